"""A rival of the engines: `mesa_per_agent` tuned as far as plain Python goes.

What can be known before training starts is worked out before it starts (what inputs tell an agent,
features and rewards against the first response), one loop holds the whole step, and no name is
looked up twice in it. The equations are those of MODEL.md sections 3 and 4, the exact estimator
with all assumptions. Numbers are plain floats: a NumPy call on 12 of them costs more than their
arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from operator import mul
from typing import Any

import mesa
import numpy as np

import mesa_per_agent
from sim.dynamics.program import Program, Segment
from sim.dynamics.state import Array
from sim.specs.agent import TRAITS
from sim.specs.scenario import Scenario
from sim.specs.training import Training


def run(scenario: Scenario | str | dict[str, object], **options: Any) -> Array:
    """Train agents, one object each: arguments and result as `mesa_per_agent.run`."""
    return mesa_per_agent.run(scenario, model=TunedTraining, **options)


@dataclass(frozen=True)
class Context:
    """A context that is trained on, in plain numbers.

    Attributes:
        place: Its index among all contexts.
        weight, info, scratchpad, cue: p, i, s, e.
        watched: m s, the chance that gaming which the scratchpad shows is caught.
        alternatives: Φ_k and R_k of every response but the first, against the first.
    """

    place: int
    weight: float
    info: float
    scratchpad: float
    cue: float
    watched: float
    alternatives: list[tuple[list[float], float]]


class TunedTraining(mesa.Model):  # type: ignore[misc]  # Mesa is not typed
    """Training in which every agent does its own step."""

    def __init__(self, program: Program, training: Training, *, seed: int) -> None:
        super().__init__(rng=seed)
        self.program = program
        self.training = training
        self.transfer: list[float] = list(dict(training.transfer).values())
        self.rates: list[float] = program.segments[0].assumptions.learning_rate[:, 0].tolist()
        self.similarity: list[list[float]] = program.segments[0].world.similarity[..., 0].tolist()
        self.segment: Segment | None = None
        self.contexts: list[Context] = []
        self.features: list[list[float]] = []
        for row in range(program.agents):
            TunedAgent(self, row)

    def step(self) -> None:
        """Train every agent by one step."""
        segment = self.program.at(self.steps - 1)
        if segment is not self.segment:
            self.segment = segment
            self.contexts = _contexts(segment)
            every = [features for context in self.contexts for features, _ in context.alternatives]
            values = range(len(self.program.layout.values))
            self.features = [[features[d] for features in every] for d in values]
            self.agents.do("attend")
        self.agents.do("step")

    def theta(self) -> Array:
        """Return every agent's state, θ [P, N]."""
        return np.array(self.agents.get("state")).T


class TunedAgent(mesa.Agent):  # type: ignore[misc]  # Mesa is not typed
    """A simulated model that holds its own state and trains itself."""

    def __init__(self, model: TunedTraining, row: int) -> None:
        super().__init__(model)
        for name in TRAITS:
            setattr(self, name, float(getattr(model.program.traits, name)[row]))
        start = model.program.layout.view(model.program.theta[:, row])
        self.values: list[float] = start.values.tolist()
        self.habit: list[float] = start.habit.tolist()
        self.awareness = float(start.awareness)
        self.log_horizon = float(start.log_horizon)
        self.log_competence = float(start.log_competence)
        self.capability: list[float] = start.capability.tolist()
        self.start = self.state
        self.attended: list[tuple[Context, float, float, float]] = []

    @property
    def state(self) -> list[float]:
        """θ of this agent [P]."""
        single = [self.awareness, self.log_horizon, self.log_competence]
        return [*self.values, *self.habit, *single, *self.capability]

    def attend(self) -> None:
        """Take in what inputs tell, which training does not change: salience, belief and cost."""
        self.attended = [
            (
                context,
                self.info_sensitivity * context.info
                + self.scratchpad_sensitivity * context.scratchpad,
                1.0 / (1.0 + exp(-self.discernment * context.cue)),
                self.reasoning_cost * (1.0 - self.scratchpad_saving * context.scratchpad),
            )
            for context in self.model.contexts
        ]

    def step(self) -> None:
        """Perceive, anticipate, decide, be rewarded and learn, in each context (3 and 4)."""
        training = self.model.training
        values, habit, alpha = self.values, self.habit, self.awareness
        beta, tau, mu = self.decisiveness, self.rationality, self.episode_concern
        horizon, competence = exp(self.log_horizon), exp(self.log_competence)
        opacity = 1.0 / (1.0 + exp(-self.capability[0]))
        exposure = training.visible_gaming_penalty * (1.0 - opacity)
        credit, leak = training.motive_credit * tau, training.leak * beta
        replicator = training.update_rule == "replicator"

        to_habit = [0.0] * len(habit)
        to_features: list[float] = []
        to_awareness = to_horizon = to_competence = practice = penalties = 0.0
        for context, salience, belief, cost in self.attended:
            weight = context.weight
            # Perceive: sums over responses of exp(logit) times 1, u, R, and their products. The
            # first response has u = R = 0 and adds 1 to the totals.
            v_total = g_total = 1.0
            v_u = v_r = v_ur = g_u = g_r = g_ur = g_rr = 0.0
            responses = []
            for features, r in context.alternatives:
                u = sum(map(mul, features, values))
                v, g = exp(beta * u), exp(competence * r)
                v_total += v
                g_total += g
                vr, gr = v * r, g * r
                v_u += v * u
                v_r += vr
                v_ur += vr * u
                g_u += g * u
                g_r += gr
                g_ur += gr * u
                g_rr += gr * r
                responses.append((u, r, v, g))
            v_u /= v_total
            v_r /= v_total
            g_u /= g_total
            g_r /= g_total
            awareness = 1.0 / (1.0 + exp(-alpha - salience))
            # Anticipate and decide.
            stake = -beta * (v_ur / v_total - v_u * v_r)
            incentive = horizon * belief * stake - mu * (v_u - g_u) - cost
            logit = habit[context.place] + tau * incentive
            decision = 1.0 / (1.0 + exp(-logit)) if logit > -700.0 else 0.0
            rate = awareness * decision
            # Reward.
            penalty = exposure * context.watched
            advantage = g_r - penalty - v_r
            objective = v_r + rate * advantage
            # Learn.
            practised = weight * rate
            pressure = weight * awareness * advantage
            gate = pressure * decision * (1.0 - decision)
            motive = credit * gate
            to_habit[context.place] = pressure if replicator else gate
            to_awareness += pressure * (1.0 - awareness) * decision
            to_horizon += motive * belief * stake
            to_competence += practised * (g_rr / g_total - g_r * g_r)
            to_competence += motive * mu * (g_ur / g_total - g_r * g_u)
            practice += practised
            penalties += practised * penalty
            direct = beta * (weight - practised)
            foresight = motive * horizon * belief * beta
            concern = motive * mu
            leaked = leak * practised
            shielded = -foresight * stake - leaked * (g_r - penalty - objective)
            baseline = penalty + objective
            for u, r, v, g in responses:
                centred = r - v_r
                drift = (1.0 + beta * (u - v_u)) * (foresight * centred + concern)
                to_features.append(
                    v / v_total * (direct * centred - drift + shielded)
                    + g / g_total * (concern + leaked * (r - baseline))
                )

        to_values = [sum(map(mul, column, to_features)) for column in self.model.features]
        if training.spread:
            to_habit = self._spread(to_habit, training.spread)
        to_capability = [share * practice for share in self.model.transfer]
        to_capability[0] += opacity * penalties
        to_single = [to_awareness, horizon * to_horizon, competence * to_competence]
        self._update([*to_values, *to_habit, *to_single, *to_capability])

    def _spread(self, learnt: list[float], share: float) -> list[float]:
        """Carry what is learnt in one context over to others: K = (1 - ρ) I + ρ S."""
        return [
            (1.0 - share) * own + share * sum(map(mul, row, learnt))
            for own, row in zip(learnt, self.model.similarity, strict=True)
        ]

    def _update(self, gradient: list[float]) -> None:
        """Move every parameter by its gradient, and back towards its start."""
        before, anchor = self.state, self.model.training.anchor
        steps = zip(before, self.model.rates, gradient, strict=True)
        after = [x + rate * slope for x, rate, slope in steps]
        if anchor:
            pulled = zip(after, before, self.start, strict=True)
            after = [x - anchor * (x_before - x_start) for x, x_before, x_start in pulled]
        values = len(self.values)
        single = values + len(self.habit)
        self.values, self.habit = after[:values], after[values:single]
        self.awareness, self.log_horizon, self.log_competence = after[single : single + 3]
        self.capability = after[single + 3 :]


def _contexts(segment: Segment) -> list[Context]:
    """Return what a training step looks at, in plain numbers."""
    world = segment.world.where_trained()
    responses, contexts = world.features.shape[:2]
    absent = np.zeros((responses, contexts, 1), bool) if world.absent is None else world.absent
    return [
        Context(
            place=int(world.places[c]),
            weight=float(world.weight[c, 0]),
            info=float(world.info[c, 0]),
            scratchpad=float(world.scratchpad[c, 0]),
            cue=float(world.cue[c, 0]),
            watched=float(world.monitor[c, 0] * world.scratchpad[c, 0]),
            alternatives=[
                (world.features[k, c, :, 0].tolist(), float(world.reward[k, c, 0]))
                for k in range(responses)
                if not absent[k, c, 0]
            ],
        )
        for c in range(contexts)
    ]
