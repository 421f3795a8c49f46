"""A population from an agent spec: each agent's traits and starting state (MODEL.md section 2).

Each number has a random stream of its own, named by its key, so that a number that is added or
changed moves no other. Draws are normal on the scale on which the number's range has no ends
(`sim.specs.agent.Spread`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.dynamics.columns import Numbers
from sim.dynamics.randomness import Words, normal
from sim.dynamics.state import Array, Layout
from sim.specs.agent import CAPABILITIES, HABIT, TRAITS, Agent, Capability, Initial, InitialSpread
from sim.specs.errors import SpecError, nearest
from sim.specs.scenario import Scenario


@dataclass(frozen=True)
class Traits:
    """The fixed numbers of each agent, each [n] (MODEL.md section 2)."""

    decisiveness: Array
    discernment: Array
    info_sensitivity: Array
    scratchpad_sensitivity: Array
    reasoning_cost: Array
    scratchpad_saving: Array
    episode_concern: Array
    rationality: Array

    def take(self, rows: slice | NDArray[np.intp]) -> Traits:
        """Return the traits of some agents."""
        return Traits(**{name: getattr(self, name)[rows] for name in TRAITS})


@dataclass(frozen=True)
class AgentIds:
    """Who sits where: the seed of each agent's run, and its number in the run; uint64 [N]."""

    seeds: Words
    rows: Words

    @classmethod
    def of_runs(cls, seeds: ArrayLike, *, agents: int) -> AgentIds:
        """Return the seats of runs with so many agents each, one run after the other."""
        runs = np.atleast_1d(np.asarray(seeds, np.uint64))
        return cls(np.repeat(runs, agents), np.tile(np.arange(agents, dtype=np.uint64), len(runs)))

    def take(self, rows: slice | NDArray[np.intp]) -> AgentIds:
        """Return some of the seats."""
        return AgentIds(self.seeds[rows], self.rows[rows])


def draw_traits(agent: Agent, *, seats: AgentIds, numbers: Numbers) -> Traits:
    """Return each agent's traits.

    Raises:
        SpecError: A list of numbers is not as long as there are agents.
    """
    traits = {}
    for name in TRAITS:
        given = getattr(agent, name)
        if isinstance(given, tuple):
            agents = int(seats.rows.max()) + 1
            if len(given) != agents:
                raise SpecError(
                    f"agent.{name}: has {len(given)} numbers for {agents} agents; give one "
                    "number, or one for each agent"
                )
            given = np.array(given)[seats.rows.astype(np.intp)]
        centre = numbers(f"agent.{name}", given)
        vary = _vary_share if name == "scratchpad_saving" else _vary_positive
        width = numbers(f"agent.spread.{name}", getattr(agent.spread, name))
        traits[name] = vary(centre, _shift(f"agent.{name}", width, seats))
    return Traits(**traits)


def draw_initial(
    agent: Agent, *, scenario: Scenario, layout: Layout, seats: AgentIds, numbers: Numbers
) -> Array:
    """Return θ_0 [P, N].

    Raises:
        SpecError: The agent says nothing of the values, or names one that the scenario has not.
    """
    start, spread = agent.initial, agent.spread.initial
    theta = np.empty((layout.size, len(seats.rows)))
    for row, centre, width, name in zip(
        theta,
        _row_by_row(start, layout, numbers, _values(agent, scenario), "agent.initial"),
        _row_by_row(spread, layout, numbers, None, "agent.spread.initial"),
        layout.names,
        strict=True,
    ):
        row[...] = centre + _shift(f"agent.initial.{name}", width, seats)
    return theta


def _row_by_row(
    spec: Initial | InitialSpread,
    layout: Layout,
    numbers: Numbers,
    values: tuple[str, Mapping[str, float]] | None,
    path: str,
) -> Iterator[Array]:
    """Yield the number of each row of θ, [1] or [N]."""
    otherwise = {"habit": HABIT} if isinstance(spec, Initial) else {}
    for name in layout.names:
        kind, _, part = name.partition(".")
        where, given = f"{path}.{kind}", getattr(spec, kind)
        if kind == "values" and values is not None:
            where, given = values
        if part:
            where = f"{where}.{part}"
            given = _part(given, part, otherwise.get(kind, 0.0))
        yield numbers(where, given)


def _part(given: object, name: str, otherwise: float) -> float:
    """Return one of many numbers, which may be one for all, by name, or the fields of a spec."""
    if isinstance(given, Capability):
        return float(getattr(given, name))
    if isinstance(given, Mapping):
        return float(given.get(name, otherwise))
    assert isinstance(given, int | float)
    return given


def check_names(agent: Agent, scenario: Scenario, layout: Layout) -> None:
    """Refuse an agent that names values or contexts which the scenario does not have.

    Raises:
        SpecError: It does.
    """
    known = {"values": layout.values, "habit": layout.contexts, "capability": CAPABILITIES}
    for path, spec in (("initial", agent.initial), ("spread.initial", agent.spread.initial)):
        for kind, names in known.items():
            given = getattr(spec, kind)
            for name in given if isinstance(given, Mapping) else ():
                if name not in names:
                    hint = nearest(name, names)
                    raise SpecError(f"agent.{path}.{kind}.{name}: nothing has this name; {hint}")


def _values(agent: Agent, scenario: Scenario) -> tuple[str, Mapping[str, float]]:
    """Return where the values that the agent starts with are said, and what is said."""
    if agent.initial.values is not None:
        return "agent.initial.values", agent.initial.values
    if not scenario.human_values:
        raise SpecError(
            "agent.initial.values: is missing, and the scenario names no human_values to start "
            f"from; say what the agent makes of {', '.join(scenario.values)}"
        )
    return "scenario.human_values", scenario.human_values


def _vary_positive(centre: Array, shift: Array) -> Array:
    return centre * np.exp(shift)


def _vary_share(centre: Array, shift: Array) -> Array:
    grown = centre * np.exp(shift)
    return grown / (1.0 - centre + grown)


def _shift(stream: str, width: Array, seats: AgentIds) -> Array:
    """Return how far each agent is from the centre [N]."""
    if not width.any():
        return np.zeros(len(seats.rows))
    return width * normal(seed=seats.seeds, stream=stream, rows=seats.rows)
