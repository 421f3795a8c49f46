"""The last part of a step, `measure`: from θ to everything that is recorded.

Engines move θ alone; what agents in that state think and do follows from it by the same functions
that train them, on the whole world instead of its trained part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property

import numpy as np

from sim.dynamics import measures
from sim.dynamics.cognition import (
    Activations,
    anticipate,
    attend,
    attribute,
    decide,
    perceive,
    respond,
)
from sim.dynamics.compile import Program, Segment
from sim.dynamics.numerics import calculating, logistic, whole_groups
from sim.dynamics.state import Array, State
from sim.dynamics.step_buffers import StepBuffers
from sim.dynamics.training import OPACITY, reward
from sim.dynamics.variables import VARIABLES

#: Agents that are measured at once; with fewer, threads wait for the interpreter's lock.
BLOCK = 2048


class Recorder:
    """Measures all agents of a program at one moment after another.

    What the world is stays the same over many moments, so what follows from it is kept.
    """

    def __init__(self) -> None:
        self._observers: list[Observer] = []
        self._of: tuple[Program | None, Segment | None] = (None, None)

    def __call__(
        self, program: Program, step: int, theta: Array, names: Iterable[str] = tuple(VARIABLES)
    ) -> dict[str, Array]:
        """Return variables of `sim.dynamics.variables`, without their dimension `step`.

        Args:
            program: Who is measured, in which world.
            step: The step; it says which phase of the world.
            theta: θ [P, N] at that step.
            names: Which variables.

        Returns:
            By name, agents first; nan where something is not defined (a response that a context
            does not have, say).
        """
        wanted = tuple(names)
        parts = [observer.observe(theta, wanted) for observer in self._observers_at(program, step)]
        return {name: np.concatenate([part[name] for part in parts]) for name in wanted}

    def _observers_at(self, program: Program, step: int) -> list[Observer]:
        segment = program.at(step)
        now_in, then_in = self._of
        if program is not now_in or segment is not then_in:
            starts = range(0, program.agents, BLOCK)
            self._observers = [
                Observer(program, segment, slice(start, min(start + BLOCK, program.agents)))
                for start in starts
            ]
            self._of = (program, segment)
        return self._observers


class Observer:
    """Sees some agents in the world of one segment, as often as asked."""

    def __init__(self, program: Program, segment: Segment, rows: slice) -> None:
        numbers = np.arange(rows.start, rows.stop)
        seats = whole_groups(numbers)
        self._rows = rows
        self._count = len(numbers)
        self._places = whole_groups(np.arange(len(numbers)))
        self._program = program.take(seats)
        segment = segment.take(seats)
        self._world, self._assumptions = segment.world, segment.assumptions
        self._origin = program.layout.view(self._program.origin).values.T
        self._mind = Activations.empty(self._world, len(seats))
        self._lesson = StepBuffers.empty(self._world, program.layout, len(seats))
        attend(self._mind, self._world, self._program.traits)
        counts = np.array([len(names) for names in program.responses])
        self._absent = np.arange(counts.max()) >= counts[:, None]

    def observe(self, theta: Array, names: Iterable[str]) -> dict[str, Array]:
        """Return the named variables, agents first, at θ [P, N] of the whole program."""
        with calculating():
            moment = self._think(theta[:, self._rows][:, self._places])
            return {name: _OBSERVED[name](moment)[: self._count].copy() for name in names}

    def _think(self, theta: Array) -> Moment:
        mind, world, traits = self._mind, self._world, self._program.traits
        state = self._program.layout.view(theta)
        perceive(mind, world, traits, state)
        anticipate(mind, world, traits, state)
        decide(mind, world, traits, state)
        return Moment(self, state)


class Moment:
    """What agents think and do at one moment; each thing is worked out when it is asked for."""

    def __init__(self, observer: Observer, state: State) -> None:
        self.state = state
        self.mind = observer._mind
        self.world = observer._world
        self.program = observer._program
        self.origin = observer._origin
        self.absent = observer._absent
        self._lesson = observer._lesson
        self._assumptions = observer._assumptions

    @property
    def gaming_rate(self) -> Array:
        """Chance of gaming, g [n, C]."""
        return self.mind.gaming_rate.T

    @cached_property
    def policy(self) -> Array:
        """Chance of each response, π [n, C, K]."""
        respond(self.mind)
        return all_responses(self.mind.policy)

    @cached_property
    def slip(self) -> Array:
        """Chance of a response that does not look best [n, C]."""
        return measures.slip(self.policy, self.world)

    @cached_property
    def utility(self) -> Array:
        """Utility u [n, C, K], against that of the first response."""
        others = self.mind.utility
        first = np.zeros((1, *others.shape[1:]))
        return np.moveaxis(np.concatenate([first, others]), 0, -1).swapaxes(0, 1)

    @cached_property
    def objective(self) -> Array:
        """B [n, C], as it is, not against the first response."""
        reward(self._lesson, self.mind, self.world, self.state, self._assumptions)
        objective: Array = (self._lesson.objective + self.world.first_reward).T
        return objective

    @cached_property
    def incentive_by_value(self) -> Array:
        """Each value's part in the incentive [n, C, D]."""
        return attribute(self.mind, self.world, self.program.traits, self.state)

    @cached_property
    def capabilities(self) -> Array:
        """Capabilities k [n, J]."""
        return logistic(self.state.capability, out=np.empty_like(self.state.capability)).T

    @cached_property
    def reach(self) -> measures.Reach:
        """Share of training contexts that are gamed."""
        return measures.reach(self.gaming_rate, self.world)

    def where_there(self, policy: Array) -> Array:
        """Return chances [n, C, K] with nan where a context has no such response."""
        return np.where(self.absent, np.nan, policy)


def all_responses(others: Array) -> Array:
    """π [n, C, K] from the chances of all but the first response [K − 1, C, n]."""
    first = np.maximum(0.0, 1.0 - others.sum(axis=0))
    return np.moveaxis(np.concatenate([first[None], others]), 0, -1).swapaxes(0, 1)


#: How each variable of `sim.dynamics.variables` is had from a moment.
_OBSERVED: dict[str, Callable[[Moment], Array]] = {
    "gaming_rate": lambda now: now.gaming_rate,
    "awareness": lambda now: now.mind.awareness.T,
    "belief": lambda now: now.mind.belief.T,
    "stake": lambda now: now.mind.stake.T,
    "incentive": lambda now: now.mind.incentive.T,
    "decision": lambda now: now.mind.decision.T,
    "policy": lambda now: now.where_there(now.policy),
    "value_policy": lambda now: now.where_there(all_responses(now.mind.value_policy)),
    "gaming_policy": lambda now: now.where_there(all_responses(now.mind.gaming_policy)),
    "reward": lambda now: now.objective,
    "incentive_by_value": lambda now: now.incentive_by_value,
    "values": lambda now: now.state.values.T,
    "habit": lambda now: now.state.habit.T,
    "awareness_logit": lambda now: now.state.awareness,
    "log_horizon": lambda now: now.state.log_horizon,
    "horizon": lambda now: np.exp(now.state.log_horizon),
    "log_competence": lambda now: now.state.log_competence,
    "competence": lambda now: np.exp(now.state.log_competence),
    "capability_logits": lambda now: now.state.capability.T,
    "capabilities": lambda now: now.capabilities,
    "ancestor": lambda now: now.program.ancestor.astype(np.float64),
    "reach": lambda now: now.reach.plain,
    "reach_weighted": lambda now: now.reach.weighted,
    "consistency": lambda now: measures.consistency(now.slip, now.world),
    "slip": lambda now: now.slip,
    "temptation": lambda now: measures.temptation(now.utility, now.world),
    "compliance_gap": lambda now: measures.compliance_gap(now.policy, now.world),
    "behaviour_shift": lambda now: measures.behaviour_shift(now.policy, now.world),
    "opacity_share": lambda now: measures.opacity_share(
        now.gaming_rate, now.capabilities[:, OPACITY], now.world
    ),
    "motive": lambda now: measures.motive(now.incentive_by_value),
    "value_drift": lambda now: measures.drift(now.state.values.T, now.origin),
    "value_cosine": lambda now: measures.cosine(now.state.values.T, now.origin),
    "alignment": lambda now: measures.cosine(now.state.values.T, now.program.human_values.T),
}
