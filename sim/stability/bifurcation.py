"""Bifurcation diagrams of a scenario: its equilibria along an axis, and where they appear.

Fixed points are found at some places on the axis (`sim.stability.equilibria`), and each is followed
both ways (`sim.stability.continuation`). Of what no fixed point can be found at any of these places
the diagram knows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, log
from typing import Literal

import numpy as np
import pandas as pd

from sim.dynamics.state import Array
from sim.specs.agent import Agent
from sim.specs.errors import SpecError, check_whole, nearest
from sim.specs.scenario import Scenario
from sim.specs.settings import Specs, apply_settings, full_key, read_specs
from sim.specs.training import Training
from sim.stability.continuation import Branch, branches
from sim.stability.equilibria import draw_starts, uncoupled_parameters
from sim.stability.fixed_points import survey
from sim.stability.training_map import TrainingMap
from sim.sweeps.design import Range
from sim.sweeps.sweep import is_vectorisable


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
        part = TrainingMap.from_specs(
            self.specs,
            free=self.free,
            phase=self.phase,
            seed=self.seed,
            settings={self.key: self.number(position)},
        )
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
        apply_settings(specs, {key: number})
    if not is_vectorisable(specs, key, found.low):
        raise SpecError(f"key: got {key!r}: must be a number that training can be followed in")
    family = ScenarioFamily(specs, full_key(key), found, tuple(free), (), phase, seed)
    family.at(0.0)
    return family


def _without_bystanders(family: ScenarioFamily, positions: Sequence[float]) -> ScenarioFamily:
    """Return a family without what no position moves, or what acts on nothing at any."""
    aside: set[str] | None = None
    for position in positions:
        of = family.at(position)
        inert, followers = uncoupled_parameters(of, draw_starts(of, count=16))
        aside = {*inert, *followers} if aside is None else aside & {*inert, *followers}
    return replace(family, aside=tuple(sorted(aside or ())))


#: Outcomes further apart than this are two.
DISTINCT = 0.05
#: At how many places outcomes are counted, besides the ends of everything that is stable.
PLACES = 2001
#: The variables that a diagram can show, by the beginning of their column's name.
_SHOWN = ("gaming_rate.", "values.", "reward.")

Style = Literal["stable", "neutral", "repels"]


@dataclass(frozen=True)
class Interval:
    """A range of the number in which training has several stable outcomes.

    Attributes:
        low: Its lower end.
        high: Its upper end.
        outcomes: How many there are, at most.
    """

    low: float
    high: float
    outcomes: int


@dataclass(frozen=True)
class Piece:
    """A part of a branch on which the number does not turn back and the class stays the same.

    Attributes:
        branch: Its number.
        style: `stable`, `neutral` or `repels`.
        position: On the axis, 0 to 1, increasing [n].
        x: The number [n].
        y: The variable [n].
    """

    branch: int
    style: Style
    position: Array
    x: Array
    y: Array

    def at(self, position: float) -> float | None:
        """Return the variable at a position; None where the piece does not reach."""
        if not self.position[0] <= position <= self.position[-1]:
            return None
        return float(np.interp(position, self.position, self.y))


def check_variable(known: Iterable[str], variable: str) -> str:
    """Return a variable that a diagram can show.

    Args:
        known: The columns of `Bifurcations.frame`, or as many of them as are known.
        variable: `gaming_rate.CONTEXT`, `values.NAME` or `reward.CONTEXT`.

    Raises:
        SpecError: There is none of that name.
    """
    shown = [name for name in known if name.startswith(_SHOWN)]
    if variable not in shown:
        raise SpecError(f"variable: got {variable!r}: {nearest(str(variable), shown)}")
    return variable


def most_moved(frame: pd.DataFrame) -> str:
    """Return the gaming rate that differs most between the points of a diagram."""
    rates = frame[[name for name in frame if name.startswith("gaming_rate.")]]
    return str((rates.max() - rates.min()).idxmax())


def bistable(found: Bifurcations, variable: str) -> list[Interval]:
    """Return where training has two or more stable outcomes that differ in a variable.

    Outcomes that are nearer to each other than `DISTINCT` are one. Between two points of a branch,
    they are interpolated.

    Args:
        found: The diagram.
        variable: The variable.

    Raises:
        SpecError: There is no such variable.
    """
    frame = found.frame
    parts = pieces_of(frame, found.family.key, check_variable(frame.columns, variable))
    ends = [end for piece in parts for end in (piece.position[0], piece.position[-1])]
    places = np.unique([*np.linspace(0.0, 1.0, PLACES), *ends])
    counts = np.array([len(outcomes_at(parts, place)) for place in places])
    several = np.concatenate([[False], counts > 1, [False]])
    edges = np.flatnonzero(several[1:] != several[:-1]).reshape(-1, 2)
    number = found.family.number
    return [
        Interval(
            number(float(places[start])),
            number(float(places[stop - 1])),
            int(counts[start:stop].max()),
        )
        for start, stop in edges
    ]


def pieces_of(frame: pd.DataFrame, key: str, variable: str) -> list[Piece]:
    """Return the branches of a diagram in pieces."""
    pieces = []
    for branch, rows in frame.groupby("branch"):
        position, x, y = (rows[name].to_numpy(np.float64) for name in ("position", key, variable))
        styles = _styles(rows["kind"].to_list(), rows["event"].to_list())
        turns = np.sign(np.diff(position))
        start = 0
        for i in range(1, len(styles) + 1):
            if i < len(styles) and styles[i] == styles[start] and turns[i] == turns[start]:
                continue
            part = slice(start, i + 1)
            order = slice(None, None, -1 if turns[start] < 0 else 1)
            pieces.append(
                Piece(
                    int(branch),
                    styles[start],
                    position[part][order],
                    x[part][order],
                    y[part][order],
                )
            )
            start = i
    return pieces


def _styles(kinds: Sequence[str], events: Sequence[str]) -> list[Style]:
    """Return how the way from each point of a branch to the next is drawn.

    Where something happens, the class is that of either side: such a point counts as its neighbour.
    """
    styles: list[Style] = []
    for i in range(len(kinds) - 1):
        ends = [kinds[j] for j in (i, i + 1) if not events[j]] or [kinds[i], kinds[i + 1]]
        if not all(kind in ("stable", "neutral") for kind in ends):
            styles.append("repels")
        else:
            styles.append("stable" if "stable" in ends else "neutral")
    return styles


def outcomes_at(pieces: Sequence[Piece], position: float) -> list[float]:
    """Return the stable outcomes at a position that differ, increasing."""
    levels = [piece.at(position) for piece in pieces if piece.style != "repels"]
    told: list[float] = []
    for level in sorted(level for level in levels if level is not None):
        if not told or level - told[-1] > DISTINCT:
            told.append(level)
    return told
