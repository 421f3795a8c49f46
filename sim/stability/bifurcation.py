"""Bifurcation diagrams of a scenario: its equilibria along an axis, and where they appear.

Fixed points are found at some places on the axis (`sim.stability.equilibria`), and each is followed
both ways (`sim.stability.continuation`). Of what no fixed point can be found at any of these places
the diagram knows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, log

import numpy as np
import pandas as pd

from sim.dynamics.state import Array
from sim.specs.agent import Agent
from sim.specs.errors import SpecError, check_whole
from sim.specs.keys import full_key, is_vectorisable
from sim.specs.overrides import Specs, apply_overrides, read_specs
from sim.specs.scenario import Scenario
from sim.specs.training import Training
from sim.stability.continuation import Branch, branches
from sim.stability.equilibria import bystanders, draw_starts
from sim.stability.fixed_points import survey
from sim.stability.training_map import TrainingMap
from sim.sweeps.design import Range


@dataclass(frozen=True)
class ScenarioFamily:
    """A scenario's training step, for every position of one number on its axis.

    Attributes:
        specs: Everything else.
        key: The number, by full key.
        along: From where to where it goes.
        free: Parameters that may move; all if empty.
        aside: Parameters that are held where the agent starts (see `sim.stability.equilibria`).
        phase: Which phase of the curriculum lasts for ever.
        seed: Of the agent's own numbers.
    """

    specs: Specs
    key: str
    along: Range
    free: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()
    phase: int = -1
    seed: int = 0

    def number(self, position: float) -> float:
        """Return the number at a position, 0 to 1; a little beyond either end, too."""
        low, high = self.along.low, self.along.high
        if self.along.scale == "log":
            return exp(log(low) + position * (log(high) - log(low)))
        return low + position * (high - low)

    def at(self, position: float) -> TrainingMap:
        """Return the map at a position."""
        whole = TrainingMap.of(
            self.specs,
            phase=self.phase,
            seed=self.seed,
            settings={self.key: self.number(position)},
        )
        part = whole.only(self.free) if self.free else whole
        return part.only([name for name in part.names if name not in self.aside])


@dataclass(frozen=True)
class Bifurcations:
    """The equilibria of a scenario along an axis.

    Attributes:
        family: The scenario and the axis.
        branches: Curves of fixed points.
    """

    family: ScenarioFamily
    branches: tuple[Branch, ...]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """A row for each point, in order along each branch.

        Columns: `branch`, the number by its key, `position`, `kind`, `event` (empty for most),
        `largest_eigenvalue`, `gaming_rate.CONTEXT`, `values.NAME`, `reward.CONTEXT`.
        """
        rows = []
        for number, branch in enumerate(self.branches):
            for one in branch.points:
                of = self.family.at(one.position)
                seen = of.observe(one.point.at[:, None], ("gaming_rate", "values", "reward"))
                layout = of.program.layout
                row: dict[str, object] = {
                    "branch": number,
                    self.family.key: self.family.number(one.position),
                    "position": one.position,
                    "kind": one.point.kind,
                    "event": one.event or "",
                    "largest_eigenvalue": one.point.largest,
                }
                for name, dims in (
                    ("gaming_rate", layout.contexts),
                    ("values", layout.values),
                    ("reward", layout.contexts),
                ):
                    row |= {
                        f"{name}.{d}": float(x) for d, x in zip(dims, seen[name][0], strict=True)
                    }
                rows.append(row)
        return pd.DataFrame(rows)


def bifurcations(
    scenario: Scenario | str | Mapping[str, object],
    key: str,
    along: Range | Sequence[object],
    *,
    agent: Agent | Mapping[str, object] | None = None,
    training: Training | Mapping[str, object] | None = None,
    free: Sequence[str] = (),
    phase: int = -1,
    seed: int = 0,
    places: int = 5,
    starts: int = 32,
    progress: Callable[[float], None] | None = None,
) -> Bifurcations:
    """Follow a scenario's equilibria along one number.

    Args:
        scenario: As for `simulate`.
        key: The number, by dotted key; it must be one of the arrays (as a numeric axis of `sweep`).
        along: (low, high), or (low, high, "log").
        agent: As for `simulate`.
        training: As for `simulate`; the estimator must be exact.
        free: Parameters that may move, by name or kind; all if empty.
        phase: Which phase of the curriculum lasts for ever; the last if -1.
        seed: Of the starts, and of the agent's own numbers.
        places: At how many places on the axis fixed points are looked for.
        starts: From how many starts, at each.
        progress: Told the share that is done.

    Raises:
        SpecError: The input cannot be used.
    """
    check_whole("places", places, minimum=1)
    check_whole("starts", starts, minimum=1)
    specs = read_specs(scenario, agent=agent, training=training)
    family = read_family(specs, key, along, free=free, phase=phase, seed=seed)
    positions = [float(p) for p in np.linspace(0.0, 1.0, places + 2)[1:-1]]
    family = _without_bystanders(family, (0.0, *positions, 1.0))
    seeds: list[tuple[float, Array]] = []
    for i, position in enumerate(positions):
        of = family.at(position)
        points = survey(of, draw_starts(of, count=starts, seed=seed)).points
        seeds += [(position, point.at) for point in points]
        if progress is not None:
            progress(0.4 * (i + 1) / places)
    told = None if progress is None else lambda share: progress(0.4 + 0.6 * share)
    return Bifurcations(family, branches(family, seeds, progress=told))


def read_family(
    specs: Specs,
    key: str,
    along: Range | Sequence[object],
    *,
    free: Sequence[str] = (),
    phase: int = -1,
    seed: int = 0,
) -> ScenarioFamily:
    """Check an axis; arguments and errors as `bifurcations`."""
    found = Range.read(along, "along")
    for number in (found.low, found.high):
        apply_overrides(specs, {key: number})
    if not is_vectorisable(key):
        raise SpecError(f"key: got {key!r}: must be a number that training can be followed in")
    family = ScenarioFamily(specs, full_key(key), found, tuple(free), (), phase, seed)
    family.at(0.0)
    return family


def _without_bystanders(family: ScenarioFamily, positions: Sequence[float]) -> ScenarioFamily:
    """Return a family without what no position moves, or what acts on nothing at any."""
    aside: set[str] | None = None
    for position in positions:
        of = family.at(position)
        inert, followers = bystanders(of, draw_starts(of, count=16))
        aside = {*inert, *followers} if aside is None else aside & {*inert, *followers}
    return replace(family, aside=tuple(sorted(aside or ())))
