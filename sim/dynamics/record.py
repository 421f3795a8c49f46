"""The last part of a step, `measure`: from θ to everything that is recorded.

Engines return θ alone; what agents in that state think and do follows from it by the same
functions that train them, on the whole world instead of its trained part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sim.dynamics import measures
from sim.dynamics.arrays import Program, Segment
from sim.dynamics.cognition import Mind, anticipate, attend, attribute, decide, perceive, respond
from sim.dynamics.numerics import logistic, whole_groups
from sim.dynamics.population import Traits
from sim.dynamics.state import Array, State
from sim.dynamics.training import OPACITY, Lesson, reward
from sim.dynamics.variables import VARIABLES, dimension_sizes

#: Agents that are measured at once.
BLOCK = 1024


def record(program: Program, history: Array, steps: Sequence[int]) -> dict[str, Array]:
    """Measure agents at each recorded step.

    Args:
        program: The run that the history is of.
        history: θ at each recorded step [S, P, N].
        steps: The recorded steps.

    Returns:
        The variables of `sim.dynamics.variables`, each with the shape of its dimensions; nan
        where something is not defined (a response that a context does not have, say).
    """
    sizes = dimension_sizes(
        records=len(steps),
        agents=program.agents,
        responses=[len(names) for names in program.responses],
        values=len(program.layout.values),
    )
    recorded = {
        name: np.empty([sizes[dim] for dim in variable.dims])
        for name, variable in VARIABLES.items()
    }
    for first in range(0, program.agents, BLOCK):
        rows = np.arange(first, min(first + BLOCK, program.agents))
        observer: Observer | None = None
        for index, step in enumerate(steps):
            segment = program.at(step)
            if observer is None or observer.segment is not segment:
                observer = Observer(program, segment, rows)
            for name, values in observer.observe(history[index][:, rows]):
                recorded[name][index, rows] = values
    return recorded


class Observer:
    """Sees some agents in the world of one segment, as often as asked."""

    def __init__(self, program: Program, segment: Segment, rows: NDArray[np.intp]) -> None:
        world, seats = segment.world, whole_groups(rows)
        self.segment = segment
        self._program = program
        self._count = len(rows)
        self._seats = whole_groups(np.arange(len(rows)))
        self._start = program.layout.view(program.theta[:, seats]).values.T
        self._traits: Traits = program.traits.take(seats)
        agents = len(self._start)
        self._mind = Mind.empty(world, agents)
        self._lesson = Lesson.empty(world, program.layout, agents)
        attend(self._mind, world, self._traits)
        counts = np.array([len(names) for names in program.responses])
        self._absent = np.arange(counts.max()) >= counts[:, None]

    def observe(self, theta: Array) -> Iterator[tuple[str, Array]]:
        """Yield the name and value, agents first, of every variable at θ [P, n]."""
        for name, values in self._observe(self._program.layout.view(theta[:, self._seats])):
            yield name, values[: self._count]

    def _observe(self, state: State) -> Iterator[tuple[str, Array]]:
        mind, world, traits = self._mind, self.segment.world, self._traits
        with np.errstate(over="ignore"):
            perceive(mind, world, traits, state)
            anticipate(mind, world, traits, state)
            decide(mind, world, traits, state)
            respond(mind)
            reward(self._lesson, mind, world, state, self.segment.assumptions)
            by_value = attribute(mind, world, traits, state)
        yield from self._thoughts(by_value)
        yield from self._parameters(state)
        yield from self._measures(state, by_value)

    def _thoughts(self, by_value: Array) -> Iterator[tuple[str, Array]]:
        mind, world = self._mind, self.segment.world
        for name in ("gaming_rate", "awareness", "belief", "stake", "incentive", "decision"):
            yield name, getattr(mind, name).T
        for name in ("policy", "value_policy", "gaming_policy"):
            chances = _all_responses(getattr(mind, name))
            yield name, np.where(self._absent, np.nan, chances)
        yield "reward", (self._lesson.objective + world.first_reward).T
        yield "incentive_by_value", by_value

    def _parameters(self, state: State) -> Iterator[tuple[str, Array]]:
        yield "values", state.values.T
        yield "habit", state.habit.T
        yield "awareness_logit", state.awareness
        yield "log_horizon", state.log_horizon
        yield "horizon", np.exp(state.log_horizon)
        yield "log_competence", state.log_competence
        yield "competence", np.exp(state.log_competence)
        yield "capability_logits", state.capability.T
        yield "capabilities", _capabilities(state).T

    def _measures(self, state: State, by_value: Array) -> Iterator[tuple[str, Array]]:
        world, gaming_rate = self.segment.world, self._mind.gaming_rate.T
        policy = _all_responses(self._mind.policy)
        reached = measures.reach(gaming_rate, world)
        yield "reach", reached.plain
        yield "reach_weighted", reached.weighted
        yield "consistency", measures.consistency(policy, world)
        yield "compliance_gap", measures.compliance_gap(policy, world)
        yield "behaviour_shift", measures.behaviour_shift(policy, world)
        opacity = _capabilities(state)[OPACITY]
        yield "opacity_share", measures.opacity_share(gaming_rate, opacity, world)
        yield "motive", measures.motive(by_value)
        yield "value_drift", measures.drift(state.values.T, self._start)
        yield "value_cosine", measures.cosine(state.values.T, self._start)
        human = self._program.human_values.T
        yield "alignment", measures.cosine(state.values.T, human)


def _all_responses(others: Array) -> Array:
    """π [n, C, K] from the chances of all but the first response [K − 1, C, n]."""
    first = np.maximum(0.0, 1.0 - others.sum(axis=0))
    return np.moveaxis(np.concatenate([first[None], others]), 0, -1).swapaxes(0, 1)


def _capabilities(state: State) -> Array:
    return logistic(state.capability, out=np.empty_like(state.capability))
