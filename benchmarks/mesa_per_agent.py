"""A rival of the engines: the model as one would write it in Mesa, one object per agent.

Each `mesa.Agent` holds its own state and trains itself in `step()`; the model calls
`self.agents.do("step")`. The equations stand as in MODEL.md sections 3 and 4, the exact estimator
with all assumptions. An agent sees its contexts as small NumPy arrays: written with plain floats
and comprehensions, the same methods took about three times as long (C = 12, D = 4, K = 2). Beyond
that nothing is done for speed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import mesa
import numpy as np
from numpy.typing import NDArray

from sim.dynamics.compile import compile_program
from sim.dynamics.program import Program, Segment
from sim.dynamics.state import Array
from sim.dynamics.training import LEAST_CHANCE, SOFTENING
from sim.specs.agent import TRAITS, Agent
from sim.specs.overrides import read_specs
from sim.specs.scenario import Scenario
from sim.specs.training import Training

#: The parameters, in the order of θ.
STATE = (
    *("values", "propensity", "habit"),
    *("awareness", "log_horizon", "log_competence", "capability"),
)


def run(
    scenario: Scenario | str | dict[str, object],
    *,
    agent: Agent | dict[str, object] | None = None,
    training: Training | dict[str, object] | None = None,
    agents: int = 1,
    steps: int | None = None,
    seed: int = 0,
) -> Array:
    """Train agents, one object each, and return what they became.

    Args:
        scenario: As for `sim.simulate`; so are agent, training, agents and seed.
        agent: What is particular about the agents.
        training: How they are trained.
        agents: How many.
        steps: How many of the training steps to do; None for all.
        seed: Of the draws by which agents differ, which are those of `sim.simulate`.

    Returns:
        θ [P, N], rows as in `sim.dynamics.state.Layout`.
    """
    specs = read_specs(scenario, agent=agent, training=training)
    program = compile_program(
        specs.scenario, agent=specs.agent, training=specs.training, agents=agents, seed=seed
    )
    world = PerAgentTraining(program, specs.training, seed=seed)
    for _ in range(program.steps if steps is None else steps):
        world.step()
    return world.theta()


@dataclass
class Contexts:
    """The contexts that are trained on.

    Attributes:
        places: Their indices among all contexts [C].
        features: Φ [C, K, D].
        reward: R [C, K].
        present: Whether a context has a k-th response [C, K].
        demonstrates: Whether demonstrations train [C].
        demonstrations: y [C, K].
        weight, info, scratchpad, cue, monitor: p, i, s, e, m [C].
    """

    places: NDArray[np.intp]
    features: Array
    reward: Array
    present: NDArray[np.bool_]
    demonstrates: NDArray[np.bool_]
    demonstrations: Array
    weight: Array
    info: Array
    scratchpad: Array
    cue: Array
    monitor: Array

    @classmethod
    def from_segment(cls, segment: Segment) -> Contexts:
        """Return the contexts that are trained on in a phase."""
        world = segment.world.where_trained()
        return cls(
            places=world.places,
            features=world.features[..., 0].swapaxes(0, 1).copy(),
            reward=world.reward[..., 0].T.copy(),
            present=~world.absent[..., 0].T,
            demonstrates=world.demonstrates[:, 0],
            demonstrations=world.demonstrations[..., 0].T.copy(),
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
        names = program.segments[0].world.response.T.ravel()
        #: Which responses, of all contexts, are of the same name [C K, C K].
        self.alike = (names[:, None] == names) & (names >= 0)
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
        return np.column_stack([agent.parameters() for agent in self.agents])


class PerAgentModel(mesa.Agent):  # type: ignore[misc]  # Mesa is not typed
    """A simulated model that holds its own state and trains itself."""

    def __init__(self, model: PerAgentTraining, row: int) -> None:
        super().__init__(model)
        for name in TRAITS:
            setattr(self, name, getattr(model.program.traits, name)[row])
        start = model.program.layout.view(model.program.theta[:, row])
        self.start = replace(start, propensity=start.propensity.T.copy())  # [C, K]
        for name in STATE:
            setattr(self, name, getattr(self.start, name))

    def parameters(self) -> Array:
        """Return the state as a column of θ [P]."""
        layout = self.model.program.layout
        state = {name: np.asarray(getattr(self, name)) for name in STATE}
        state["propensity"] = self.propensity[layout.present.T]
        return np.hstack([state[name] for name in STATE if name in layout.rows])

    def step(self) -> None:
        """Think about every context, be paid and learn from it."""
        contexts = self.model.contexts
        self.perceive(contexts)
        self.anticipate(contexts)
        self.decide(contexts)
        self.be_paid(contexts)
        self.update(self.learn(contexts))

    def perceive(self, contexts: Contexts) -> None:
        """Own preference, answers, perceived objective, awareness and belief (3.1 to 3.4)."""
        self.utility = contexts.features @ self.values
        inclination, present = self.decisiveness * self.utility, contexts.present
        self.own_policy = softmax(inclination, present)
        self.value_policy = self.own_policy
        if self.model.program.layout.with_propensity:
            self.value_policy = softmax(inclination + self.propensity[contexts.places], present)
        self.gaming_policy = softmax(np.exp(self.log_competence) * contexts.reward, present)
        self.foreseen_policy = softmax(inclination + self.foresight * contexts.reward, present)
        salience = (
            self.info_sensitivity * contexts.info
            + self.scratchpad_sensitivity * contexts.scratchpad
        )
        self.aware = logistic(self.awareness + salience)
        self.belief = logistic(self.discernment * contexts.cue)

    def anticipate(self, contexts: Contexts) -> None:
        """Foresight and incentive (3.5, 3.6)."""
        own_utility = mean(self.own_policy, self.utility)
        self.stake = own_utility - mean(self.foreseen_policy, self.utility)
        self.concession = own_utility - mean(self.gaming_policy, self.utility)
        cost = self.reasoning_cost * (1.0 - self.scratchpad_saving * contexts.scratchpad)
        self.incentive = (
            np.exp(self.log_horizon) * self.belief * self.stake
            - self.episode_concern * self.concession
            - cost
        )

    def decide(self, contexts: Contexts) -> None:
        """Decision, gaming rate and response (3.7, 3.8)."""
        habit = self.habit[contexts.places]
        self.decision = logistic(habit + self.rationality * self.incentive)
        self.gaming_rate = self.aware * self.decision
        gamed = self.gaming_rate[:, None]
        self.policy = (1.0 - gamed) * self.value_policy + gamed * self.gaming_policy

    def be_paid(self, contexts: Contexts) -> None:
        """Payoffs, penalty, baseline and scaled weights (4)."""
        training, shown = self.model.training, contexts.demonstrates
        self.opacity = logistic(self.capability[0])
        visible = contexts.monitor * contexts.scratchpad * (1.0 - self.opacity)
        self.penalty = np.where(shown, 0.0, training.visible_gaming_penalty * visible)
        self.payoff = contexts.reward
        if shown.any():
            per_chance = contexts.demonstrations / np.maximum(self.policy, LEAST_CHANCE)
            self.payoff = np.where(shown[:, None], per_chance, contexts.reward)
        self.by_values = mean(self.value_policy, self.payoff)
        self.by_gaming = mean(self.gaming_policy, self.payoff) - self.penalty
        self.advantage = self.by_gaming - self.by_values
        self.baseline = self.by_values + self.gaming_rate * self.advantage
        self.weight = contexts.weight
        if training.advantages == "normalised":
            beyond = self.payoff - self.baseline[:, None]
            without = mean(self.value_policy, beyond**2)
            gamed = mean(self.gaming_policy, (beyond - self.penalty[:, None]) ** 2)
            variance = (1.0 - self.gaming_rate) * without + self.gaming_rate * gamed
            self.weight = contexts.weight / np.where(shown, 1.0, np.sqrt(variance) + SOFTENING)

    def learn(self, contexts: Contexts) -> dict[str, Any]:
        """Return the gradient of every parameter (4)."""
        training, weight = self.model.training, self.weight
        pressed = weight * self.gaming_rate
        drive = weight * self.advantage * self.aware
        gate = drive * self.decision * (1.0 - self.decision)
        motive = training.motive_credit * gate * self.rationality
        care = motive * np.exp(self.log_horizon) * self.belief
        gained = self.gaming_policy * (contexts.reward - self.expected_reward(contexts)[:, None])
        for_payoff = (gained * self.payoff).sum(axis=1)
        for_utility = (gained * self.utility).sum(axis=1)
        capability = self.model.transfer * (contexts.weight * self.gaming_rate).sum()
        capability[0] += self.opacity * (pressed @ self.penalty)
        answers = self.answers(pressed)
        learnt = drive if training.update_rule == "natural_gradient" else gate
        return {
            "values": self.learn_values(contexts, answers, motive, care),
            "propensity": self.carry_answers(contexts, answers),
            "habit": self.carry_habit(contexts, learnt),
            "awareness": drive * (1.0 - self.aware) @ self.decision,
            "log_horizon": care @ self.stake,
            "log_competence": np.exp(self.log_competence)
            * (pressed @ for_payoff + self.episode_concern * (motive @ for_utility)),
            "capability": capability,
        }

    def expected_reward(self, contexts: Contexts) -> Array:
        """Return E_{π^r} R [C]."""
        return mean(self.gaming_policy, contexts.reward)

    def answers(self, pressed: Array) -> Array:
        """Return M [C, K]: how answers without gaming are reinforced, leak included (4)."""
        above = self.payoff - self.by_values[:, None]
        answers = (self.weight - pressed)[:, None] * self.value_policy * above
        leak = self.model.training.leak
        if leak:
            floor = self.baseline[:, None]
            gamed = self.gaming_policy * (self.payoff - self.penalty[:, None] - floor)
            gamed = gamed - self.value_policy * (self.by_gaming[:, None] - floor)
            answers = answers + leak * pressed[:, None] * gamed
        return answers

    def learn_values(self, contexts: Contexts, answers: Array, motive: Array, care: Array) -> Array:
        """Return G_direct + ω G_motive + ε G_leak, as weights of the responses' features (4)."""
        own, foreseen = (
            policy
            * (1.0 + self.decisiveness * (self.utility - mean(policy, self.utility)[:, None]))
            for policy in (self.own_policy, self.foreseen_policy)
        )
        concern = (motive * self.episode_concern)[:, None]
        weights = self.decisiveness * answers + care[:, None] * (own - foreseen)
        weights = weights - concern * (own - self.gaming_policy)
        return np.einsum("ck,ckd->d", weights, contexts.features)

    def carry_habit(self, contexts: Contexts, learnt: Array) -> Array:
        """Return what reaches every habit, also by similarity (4)."""
        share = self.model.training.generalisation.habit
        everywhere = np.zeros_like(self.habit)
        everywhere[contexts.places] = learnt
        return (1.0 - share) * everywhere + share * (self.model.similarity @ everywhere)

    def carry_answers(self, contexts: Contexts, answers: Array) -> Array:
        """Return what reaches every propensity, also by similarity and name (4)."""
        share = self.model.training.generalisation.propensity
        everywhere = np.zeros_like(self.propensity)
        everywhere[contexts.places] = answers
        if not share:
            return everywhere
        size = len(everywhere[0])
        reach = np.repeat(np.repeat(self.model.similarity, size, axis=0), size, axis=1)
        carried = (reach * self.model.alike) @ everywhere.ravel()
        return (1.0 - share) * everywhere + share * carried.reshape(everywhere.shape)

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
    logits = np.where(present, logits, -np.inf)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def mean(policy: Array, x: Array) -> Array:
    """Return E x [C] under a policy."""
    return np.vecdot(policy, x)
