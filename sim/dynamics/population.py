"""A population from an agent spec: each agent's traits and starting state (MODEL.md section 2).

Each number has a random stream of its own, named by its key, so that a number that is added or
changed moves no other. Draws are normal on the scale on which the number's range has no ends
(`sim.specs.agent.Spread`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from sim.dynamics.columns import Numbers, Rows
from sim.dynamics.randomness import Words, normal
from sim.dynamics.state import Array, Layout
from sim.specs.agent import CAPABILITIES, HABIT, TRAITS, Agent, Capability, Initial, InitialSpread
from sim.specs.errors import SpecError, nearest
from sim.specs.scenario import Scenario


@dataclass(frozen=True)
class Traits:
    """The fixed numbers of each agent, each [n] (MODEL.md section 2)."""

    decisiveness: Array
    foresight: Array
    discernment: Array
    info_sensitivity: Array
    scratchpad_sensitivity: Array
    reasoning_cost: Array
    scratchpad_saving: Array
    episode_concern: Array
    rationality: Array

    def take(self, rows: Rows) -> Traits:
        """Return the traits of some agents."""
        return Traits(**{name: getattr(self, name)[rows] for name in TRAITS})

    def with_numbers(self, **numbers: Array) -> Traits:
        """Return traits with other numbers."""
        return replace(self, **numbers)


@dataclass(frozen=True)
class AgentIds:
    """Key random draws: the seed of each agent's run, and its number in the run; uint64 [N]."""

    seeds: Words
    rows: Words

    @classmethod
    def of_runs(cls, seeds: ArrayLike, *, agents: int) -> AgentIds:
        """Return the ids in runs of so many agents each, one run after the other."""
        runs = np.atleast_1d(np.asarray(seeds, np.uint64))
        return cls(np.repeat(runs, agents), np.tile(np.arange(agents, dtype=np.uint64), len(runs)))

    def take(self, rows: Rows) -> AgentIds:
        """Return some of the ids."""
        return AgentIds(self.seeds[rows], self.rows[rows])


def stated_traits(agent: Agent, *, ids: AgentIds, numbers: Numbers) -> Traits:
    """Return the traits, each [1] or [N], before any draw; a list has one for each (SpecError)."""
    traits = {}
    for name in TRAITS:
        stated = getattr(agent, name)
        if isinstance(stated, tuple):
            agents = int(ids.rows.max()) + 1
            if len(stated) != agents:
                raise SpecError(
                    f"agent.{name}: has {len(stated)} numbers for {agents} agents; give one "
                    "number, or one for each agent"
                )
            stated = np.array(stated)[ids.rows.astype(np.intp)]
        traits[name] = numbers(f"agent.{name}", stated)
    return Traits(**traits)


def draw_traits(agent: Agent, centres: Traits, *, ids: AgentIds, numbers: Numbers) -> Traits:
    """Draw each agent's traits [N] around those that are stated."""
    traits = {}
    for name in TRAITS:
        centre = getattr(centres, name)
        width = numbers(f"agent.spread.{name}", getattr(agent.spread, name))
        trait = centre * np.exp(_shift(f"agent.{name}", width, ids))
        traits[name] = trait / (1.0 - centre + trait) if name == "scratchpad_saving" else trait
    return Traits(**traits)


def draw_initial(
    agent: Agent, *, scenario: Scenario, layout: Layout, ids: AgentIds, numbers: Numbers
) -> Array:
    """Draw θ_0 [P, N]; the agent or the scenario must state values to start from (SpecError)."""
    values = ("agent.initial.values", agent.initial.values)
    if agent.initial.values is None:
        values = ("scenario.human_values", scenario.human_values)
        if not scenario.human_values:
            raise SpecError(
                "agent.initial.values: is missing, and the scenario names no human_values to start "
                f"from; say what the agent makes of {', '.join(scenario.values)}"
            )
    theta = np.empty((layout.size, len(ids.rows)))
    centres = _per_row(agent.initial, layout, numbers, "agent.initial", {"values": values})
    widths = _per_row(agent.spread.initial, layout, numbers, "agent.spread.initial", {})
    for row, centre, width, name in zip(theta, centres, widths, layout.names, strict=True):
        row[...] = centre + _shift(f"agent.initial.{name}", width, ids)
    return theta


def check_names(agent: Agent, scenario: Scenario, layout: Layout) -> None:
    """Refuse an agent that names values or contexts which a scenario does not have (SpecError)."""
    by_kind: dict[str, Mapping[str, object] | Sequence[str]] = {
        "values": layout.values,
        "propensity": dict(zip(layout.contexts, layout.responses, strict=True)),
        "habit": layout.contexts,
        "capability": CAPABILITIES,
    }
    for path, spec in (("initial", agent.initial), ("spread.initial", agent.spread.initial)):
        for kind, names in by_kind.items():
            _check_below(f"agent.{path}.{kind}", getattr(spec, kind), names)


def _check_below(path: str, stated: object, names: object) -> None:
    """Refuse names in nested mappings that nothing has; `names` are nested as deep."""
    for name, below in stated.items() if isinstance(stated, Mapping) else ():
        assert isinstance(names, Collection)
        if name not in names:
            raise SpecError(f"{path}.{name}: nothing has this name; {nearest(name, names)}")
        if isinstance(names, Mapping):
            _check_below(f"{path}.{name}", below, names[name])


def _per_row(
    spec: Initial | InitialSpread,
    layout: Layout,
    numbers: Numbers,
    path: str,
    instead: Mapping[str, tuple[str, object]],
) -> Iterator[Array]:
    """Yield the number of each row of θ, [1] or [N]; some kinds have theirs from another key."""
    default = HABIT if isinstance(spec, Initial) else 0.0
    for name in layout.names:
        kind, *parts = name.split(".")
        key, stated = instead.get(kind, (f"{path}.{kind}", getattr(spec, kind)))
        key = ".".join([key, *parts])
        if isinstance(stated, Mapping | Capability):
            for part in parts:
                otherwise = default if kind == "habit" else 0.0
                below = stated.get(part, otherwise) if isinstance(stated, Mapping) else stated
                stated = getattr(stated, part) if isinstance(stated, Capability) else below
        assert isinstance(stated, int | float)
        yield numbers(key, stated)


def _shift(stream: str, width: Array, ids: AgentIds) -> Array:
    """Draw how far each agent is from the centre [N]."""
    if not width.any():
        return np.zeros(len(ids.rows))
    return width * normal(seed=ids.seeds, stream=stream, rows=ids.rows)
