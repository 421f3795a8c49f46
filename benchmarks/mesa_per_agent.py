"""A rival of the engines: the model as one would write it in Mesa, one object per agent.

Each `mesa.Agent` holds its own state and trains itself in `step()`; the model calls
`self.agents.do("step")`. The equations stand as in MODEL.md sections 3 and 4, the exact estimator
with all assumptions. An agent sees its contexts as small NumPy arrays: written with plain floats
and comprehensions, the same methods took about three times as long (C = 12, D = 4, K = 2). Beyond
that nothing is done for speed; `mesa_tuned` is what comes of doing all that can be done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mesa
import numpy as np
from numpy.typing import NDArray

from sim.dynamics.compile import compile_program
from sim.dynamics.program import Program, Segment
from sim.dynamics.state import Array
from sim.specs.agent import TRAITS, Agent
from sim.specs.overrides import read_specs
from sim.specs.scenario import Scenario
from sim.specs.training import Training

#: The parameters, in the order of θ.
STATE = ("values", "habit", "awareness", "log_horizon", "log_competence", "capability")


def run(
    scenario: Scenario | str | dict[str, object],
    *,
    agent: Agent | dict[str, object] | None = None,
    training: Training | dict[str, object] | None = None,
    agents: int = 1,
    steps: int | None = None,
    seed: int = 0,
    model: type[PerAgentTraining] | None = None,
) -> Array:
    """Train agents, one object each, and return what they became.

    Args:
        scenario: As for `sim.simulate`; so are agent, training, agents and seed.
        agent: What is particular about the agents.
        training: How they are trained.
        agents: How many.
        steps: How many of the training steps to do; None for all.
        seed: Of the draws by which agents differ, which are those of `sim.simulate`.
        model: Which Mesa model to run; None for `PerAgentTraining`.

    Returns:
        θ [P, N], rows as in `sim.dynamics.state.Layout`.
    """
    specs = read_specs(scenario, agent=agent, training=training)
    program = compile_program(
        specs.scenario, agent=specs.agent, training=specs.training, agents=agents, seed=seed
    )
    world = (model or PerAgentTraining)(program, specs.training, seed=seed)
    for _ in range(program.steps if steps is None else steps):
        world.step()
    return world.theta()


@dataclass
class Contexts:
    """The contexts that are trained on.

    Attributes:
        places: Their indices among all contexts [C].
        features: Φ [C, K, D], against the first response's.
        reward: R [C, K].
        present: Whether a context has a k-th response [C, K].
        weight, info, scratchpad, cue, monitor: p, i, s, e, m [C].
    """

    places: NDArray[np.intp]
    features: Array
    reward: Array
    present: NDArray[np.bool_]
    weight: Array
    info: Array
    scratchpad: Array
    cue: Array
    monitor: Array

    @classmethod
    def from_segment(cls, segment: Segment) -> Contexts:
        """Return the contexts that are trained on in a phase."""
        world = segment.world.where_trained()
        features, reward = world.features[..., 0], world.reward[..., 0]
        absent = np.zeros_like(reward, bool) if world.absent is None else world.absent[..., 0]
        return cls(
            places=world.places,
            features=_with_first(features, 0.0),
            reward=_with_first(reward, 0.0) + world.first_reward,
            present=_with_first(~absent, True),
            weight=world.weight[:, 0],
            info=world.info[:, 0],
            scratchpad=world.scratchpad[:, 0],
            cue=world.cue[:, 0],
            monitor=world.monitor[:, 0],
        )


class PerAgentTraining(mesa.Model):  # type: ignore[misc]  # Mesa is not typed
    """Training in which every agent does its own step."""

    def __init__(self, program: Program, training: Training, *, seed: int) -> None:
        super().__init__(rng=seed)
        self.program = program
        self.training = training
        self.transfer = np.array(list(dict(training.transfer).values()))
        self.similarity = program.segments[0].world.similarity[..., 0]
        self.segment: Segment | None = None
        self.contexts: Contexts | None = None
        for row in range(program.agents):
            PerAgentModel(self, row)

    def step(self) -> None:
        """Train every agent by one step."""
        segment = self.program.at(self.steps - 1)
        if segment is not self.segment:
            self.segment = segment
            self.contexts = Contexts.from_segment(segment)
        self.agents.do("step")

    def theta(self) -> Array:
        """Return every agent's state, θ [P, N]."""
        columns = [np.hstack([getattr(agent, name) for name in STATE]) for agent in self.agents]
        return np.column_stack(columns)


class PerAgentModel(mesa.Agent):  # type: ignore[misc]  # Mesa is not typed
    """A simulated model that holds its own state and trains itself."""

    def __init__(self, model: PerAgentTraining, row: int) -> None:
        super().__init__(model)
        for name in TRAITS:
            setattr(self, name, getattr(model.program.traits, name)[row])
        start = model.program.layout.view(model.program.theta[:, row])
        for name in STATE:
            setattr(self, name, getattr(start, name))
        self.start = start

    def step(self) -> None:
        """Think about every context, be rewarded and learn from it."""
        contexts = self.model.contexts
        self.perceive(contexts)
        self.anticipate(contexts)
        self.decide(contexts)
        self.reward(contexts)
        self.update(self.learn(contexts))

    def perceive(self, contexts: Contexts) -> None:
        """Own preference, perceived objective, awareness and belief (3.1 to 3.3)."""
        self.utility = contexts.features @ self.values
        self.value_policy = softmax(self.decisiveness * self.utility, contexts.present)
        competence = np.exp(self.log_competence)
        self.gaming_policy = softmax(competence * contexts.reward, contexts.present)
        salience = (
            self.info_sensitivity * contexts.info
            + self.scratchpad_sensitivity * contexts.scratchpad
        )
        self.aware = logistic(self.awareness + salience)
        self.belief = logistic(self.discernment * contexts.cue)

    def anticipate(self, contexts: Contexts) -> None:
        """Stake and incentive (3.4, 3.5)."""
        value_utility = mean(self.value_policy, self.utility)
        self.value_reward = mean(self.value_policy, contexts.reward)
        gaming_utility = mean(self.gaming_policy, self.utility)
        self.gaming_reward = mean(self.gaming_policy, contexts.reward)
        self.centred_utility = self.utility - value_utility[:, None]
        self.centred_reward = contexts.reward - self.value_reward[:, None]
        covariance = mean(self.value_policy, self.centred_utility * contexts.reward)
        self.stake = -self.decisiveness * covariance
        cost = self.reasoning_cost * (1.0 - self.scratchpad_saving * contexts.scratchpad)
        self.incentive = (
            np.exp(self.log_horizon) * self.belief * self.stake
            - self.episode_concern * (value_utility - gaming_utility)
            - cost
        )

    def decide(self, contexts: Contexts) -> None:
        """Decision and gaming rate (3.6)."""
        habit = self.habit[contexts.places]
        self.decision = logistic(habit + self.rationality * self.incentive)
        self.gaming_rate = self.aware * self.decision

    def reward(self, contexts: Contexts) -> None:
        """Penalty, advantage of gaming and objective (4)."""
        self.opacity = logistic(self.capability[0])
        visible = contexts.monitor * contexts.scratchpad * (1.0 - self.opacity)
        self.penalty = self.model.training.visible_gaming_penalty * visible
        self.advantage = self.gaming_reward - self.penalty - self.value_reward
        self.objective = self.value_reward + self.gaming_rate * self.advantage

    def learn(self, contexts: Contexts) -> dict[str, Any]:
        """Return the gradient of every parameter (4)."""
        training = self.model.training
        practice = contexts.weight * self.gaming_rate
        pressure = contexts.weight * self.advantage * self.aware
        gate = pressure * self.decision * (1.0 - self.decision)
        motive = training.motive_credit * gate * self.rationality
        horizon, competence = np.exp(self.log_horizon), np.exp(self.log_competence)

        learnt = np.zeros_like(self.habit)
        learnt[contexts.places] = pressure if training.update_rule == "replicator" else gate
        spread = self.model.similarity @ learnt
        above_usual = contexts.reward - self.gaming_reward[:, None]
        variance = mean(self.gaming_policy, above_usual * contexts.reward)
        covariance = mean(self.gaming_policy, above_usual * self.utility)
        capability = self.model.transfer * practice.sum()
        capability[0] += self.opacity * (practice @ self.penalty)
        return {
            "values": self.learn_values(contexts, practice, motive),
            "habit": (1.0 - training.spread) * learnt + training.spread * spread,
            "awareness": pressure * (1.0 - self.aware) @ self.decision,
            "log_horizon": horizon * (motive * self.belief @ self.stake),
            "log_competence": competence
            * (practice @ variance + self.episode_concern * (motive @ covariance)),
            "capability": capability,
        }

    def learn_values(self, contexts: Contexts, practice: Array, motive: Array) -> Array:
        """Return G_direct + ω G_motive + ε G_leak, as weights of the responses' features (4)."""
        beta, value_policy, gaming_policy = self.decisiveness, self.value_policy, self.gaming_policy
        mean_features = np.einsum("ck,ckd->cd", value_policy, contexts.features)
        features = contexts.features - mean_features[:, None]
        utility, reward = self.centred_utility, self.centred_reward
        gained = contexts.reward - self.objective[:, None]
        foreseen = motive * np.exp(self.log_horizon) * self.belief
        concern = (motive * self.episode_concern)[:, None]

        direct = (contexts.weight - practice)[:, None] * beta * value_policy * gained
        eroded = foreseen[:, None] * beta * value_policy * reward * (1.0 + beta * utility)
        conceded = concern * (beta * value_policy * utility - gaming_policy)
        penalised = gained - self.penalty[:, None]
        leak = self.model.training.leak * practice[:, None] * beta * gaming_policy * penalised
        return np.einsum("ck,ckd->d", direct - eroded - conceded + leak, features)

    def update(self, gradient: dict[str, Any]) -> None:
        """Move every parameter by its gradient, and back towards its start (4)."""
        training = self.model.training
        for name, slope in gradient.items():
            present = getattr(self, name)
            pull = training.anchor * (present - getattr(self.start, name))
            setattr(self, name, present + getattr(training.learning_rate, name) * slope - pull)


def logistic(x: Array) -> Array:
    """Return σ(x)."""
    return 1.0 / (1.0 + np.exp(-x))


def softmax(logits: Array, present: NDArray[np.bool_]) -> Array:
    """Return the chances of the responses [C, K] that there are."""
    odds = present * np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def mean(policy: Array, x: Array) -> Array:
    """Return E x [C] under a policy."""
    return np.vecdot(policy, x)


def _with_first(differences: Array, first: float) -> Array:
    """Put the first response, against which the others are measured, in front; contexts first."""
    return np.insert(differences, 0, first, axis=0).swapaxes(0, 1)
