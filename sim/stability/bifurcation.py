"""Bifurcation diagrams: branches of a scenario's equilibria along one number.

Fixed points are found at some positions on the axis, and each is followed both ways
(`sim.stability.continuation`). A branch that passes none of these positions is missed, unless it
crosses another.

Several branches may coincide in one variable, so `bistable` counts the stable outcomes that differ
in it: where there are two or more, the outcome depends on the start.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, log
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from sim.dynamics.program import Program
from sim.dynamics.state import Array
from sim.specs.agent import Agent
from sim.specs.errors import SpecError, check_whole, nearest
from sim.specs.keys import full_key, is_vectorisable
from sim.specs.overrides import Specs, apply_overrides, read_specs
from sim.specs.scenario import Scenario
from sim.specs.training import Training
from sim.stability.continuation import Branch, branches
from sim.stability.equilibria import draw_starts, uncoupled_parameters
from sim.stability.fixed_points import survey
from sim.stability.training_map import TrainingMap
from sim.sweeps.design import Range
from sim.sweeps.record import flat_names
from sim.utils.progress import ProgressOption, parts_of, progress_reporter

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Distance beyond which two outcomes differ.
DISTINCT = 0.05
#: Positions at which outcomes are counted, besides the ends of stable pieces.
PLACES = 2001
#: Kinds of variables of a diagram: beginnings of column names.
_KINDS = ("gaming_rate", "values", "reward")

Style = Literal["stable", "neutral", "repels"]


@dataclass(frozen=True)
class ScenarioFamily:
    """A scenario's training step for every position of one number on its axis.

    Attributes are as the arguments of `bifurcations`; `aside` names the parameters that are held
    because they are uncoupled at every position (`uncoupled_parameters`).
    """

    specs: Specs
    key: str
    along: Range
    free: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()
    phase: int = -1
    seed: int = 0

    def number(self, position: float) -> float:
        """Return the number at a position from 0 to 1, or a little beyond."""
        low, high = self.along.low, self.along.high
        if self.along.scale == "log":
            return exp(log(low) + position * (log(high) - log(low)))
        return low + position * (high - low)

    def at(self, position: float) -> TrainingMap:
        """Return the training map at a position."""
        settings = {self.key: self.number(position)}
        f = TrainingMap.from_specs(
            self.specs, free=self.free, phase=self.phase, seed=self.seed, settings=settings
        )
        return f.only([name for name in f.names if name not in self.aside])


@dataclass(frozen=True)
class Bifurcations:
    """Bifurcation diagram of a scenario along an axis: its branches of fixed points."""

    family: ScenarioFamily
    branches: tuple[Branch, ...]

    def __repr__(self) -> str:
        events = Counter(p.event for branch in self.branches for p in branch.points)
        along = self.family.along
        return (
            f"<Bifurcations along {self.family.key} from {along.low:g} to {along.high:g}: "
            f"branches={len(self.branches)}, folds={events['fold']}, "
            f"crossings={events['crossing']}>"
        )

    @cached_property
    def frame(self) -> pd.DataFrame:
        """A row for each point, in order along each branch.

        Columns: `branch`, the number by its key, `position`, `kind`, `event` (empty for most),
        `largest_eigenvalue`, `gaming_rate.CONTEXT`, `values.NAME`, `reward.CONTEXT`.
        """
        rows = []
        for number, branch in enumerate(self.branches):
            for point in branch.points:
                f = self.family.at(point.position)
                observed = f.observe(point.point.at[:, None], _KINDS)
                levels = np.concatenate([observed[kind][0] for kind in _KINDS]).tolist()
                row = {
                    "branch": number,
                    self.family.key: self.family.number(point.position),
                    "position": point.position,
                    "kind": point.point.kind,
                    "event": point.event or "",
                    "largest_eigenvalue": point.point.largest,
                }
                rows.append(row | dict(zip(variables_of(f.program), levels, strict=True)))
        return pd.DataFrame(rows)

    def plot(self, variable: str | None = None, *, below: str | None = None) -> Figure:
        """Draw the diagram of one variable or two (`sim.plots.bifurcation`).

        Variables are columns of `frame`; None is the gaming rate that differs most. `below` is for
        a second panel. It is a SpecError if there is no such variable, or no branch.
        """
        from sim.plots.bifurcation import bifurcation

        return bifurcation(self, variable, below=below)


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
    progress: ProgressOption = None,
) -> Bifurcations:
    """Follow the branches of a scenario's equilibria along one number.

    Args:
        scenario: As for `simulate`.
        key: Dotted key of a number that can be an axis of `sweep`.
        along: (low, high), or (low, high, "log").
        agent: As for `simulate`.
        training: As for `simulate`; the estimator must be exact.
        free: Names or kinds of the parameters that may move; all if empty.
        phase: Phase of the curriculum that lasts for ever; the last if -1.
        seed: Of the starts, and of the agent's own parameters.
        places: Positions on the axis at which fixed points are looked for.
        starts: Starts at each of them.
        progress: True for a bar; or a function, called with the share that is done.

    Raises:
        SpecError: The input cannot be used.
    """
    check_whole("places", places, minimum=1)
    check_whole("starts", starts, minimum=1)
    specs = read_specs(scenario, agent=agent, training=training)
    family = read_family(specs, key, along, free=free, phase=phase, seed=seed)
    positions = np.linspace(0.0, 1.0, places + 2)[1:-1].tolist()
    family = _without_uncoupled(family, (0.0, *positions, 1.0))
    seeds: list[tuple[float, Array]] = []
    with progress_reporter(progress, f"{specs.scenario.name}: along {key}") as report:
        *reports, report_branches = parts_of(report, [*[0.4 / places] * places, 0.6])
        for position, report_survey in zip(positions, reports, strict=True):
            f = family.at(position)
            points = survey(f, draw_starts(f, count=starts, seed=seed)).points
            seeds += [(position, point.at) for point in points]
            report_survey(1.0)
        return Bifurcations(family, branches(family.at, seeds, progress=report_branches))


def read_family(
    specs: Specs,
    key: str,
    along: Range | Sequence[object],
    *,
    free: Sequence[str] = (),
    phase: int = -1,
    seed: int = 0,
) -> ScenarioFamily:
    """Return a checked family; arguments and errors as `bifurcations`."""
    axis = Range.read(along, "along")
    for number in (axis.low, axis.high):
        apply_overrides(specs, {key: number})
    if not is_vectorisable(key):
        raise SpecError(f"key: got {key!r}: must be a number that training can be followed in")
    family = ScenarioFamily(specs, full_key(key), axis, tuple(free), (), phase, seed)
    family.at(0.0)
    return family


def _without_uncoupled(family: ScenarioFamily, positions: Sequence[float]) -> ScenarioFamily:
    """Return a family that holds the parameters which are uncoupled at every position."""
    maps = map(family.at, positions)
    uncoupled = (uncoupled_parameters(f, draw_starts(f, count=16)) for f in maps)
    aside = set.intersection(*({*inert, *followers} for inert, followers in uncoupled))
    return replace(family, aside=tuple(sorted(aside)))


@dataclass(frozen=True)
class Interval:
    """A range of the number from `low` to `high` with up to so many stable outcomes."""

    low: float
    high: float
    outcomes: int


@dataclass(frozen=True)
class Piece:
    """A part of a branch along which the number is monotone and the class constant.

    Attributes:
        branch: Index of the branch.
        style: Its class.
        position: Increasing positions on the axis, with the number `x` and the variable `y` [n].
    """

    branch: int
    style: Style
    position: Array
    x: Array
    y: Array

    def at(self, position: float) -> float:
        """Interpolate the variable at a position; nan beyond the ends."""
        return float(np.interp(position, self.position, self.y, left=np.nan, right=np.nan))


def variables_of(program: Program) -> list[str]:
    """Return the variables of a diagram of a program, in the order of its columns."""
    return [flat for kind in _KINDS for flat, _ in flat_names(kind, program)]


def check_variable(columns: Iterable[str], variable: str) -> str:
    """Return a variable of a diagram: `gaming_rate.CONTEXT`, `values.NAME` or `reward.CONTEXT`.

    Raises:
        SpecError: It is not among the columns of `Bifurcations.frame`.
    """
    variables = [name for name in columns if name.partition(".")[0] in _KINDS]
    if variable not in variables:
        raise SpecError(f"variable: got {variable!r}: {nearest(str(variable), variables)}")
    return variable


def most_moved(frame: pd.DataFrame) -> str:
    """Return the gaming rate with the widest range over the points of a diagram."""
    rates = frame[[name for name in frame if name.startswith("gaming_rate.")]]
    return str((rates.max() - rates.min()).idxmax())


def bistable(diagram: Bifurcations, variable: str) -> list[Interval]:
    """Return the ranges of the number in which stable outcomes differ in a variable.

    Outcomes nearer than `DISTINCT` are the same. Branches are interpolated between their points.

    Raises:
        SpecError: There is no such variable.
    """
    check_variable(diagram.frame.columns, variable)
    pieces = pieces_of(diagram.frame, diagram.family.key, variable)
    ends = [end for piece in pieces for end in (piece.position[0], piece.position[-1])]
    positions = np.unique([*np.linspace(0.0, 1.0, PLACES), *ends])
    counts = np.array([len(outcomes_at(pieces, position)) for position in positions])
    several = np.concatenate([[False], counts > 1, [False]])
    edges = np.flatnonzero(several[1:] != several[:-1]).reshape(-1, 2)
    numbers = [diagram.family.number(float(position)) for position in positions]
    return [
        Interval(numbers[start], numbers[stop - 1], int(counts[start:stop].max()))
        for start, stop in edges
    ]


def pieces_of(frame: pd.DataFrame, key: str, variable: str) -> list[Piece]:
    """Return the branches of a diagram's frame, cut where they turn back or change class."""
    pieces = []
    for branch, rows in frame.groupby("branch"):
        columns = [rows[name].to_numpy(np.float64) for name in ("position", key, variable)]
        styles = _styles(rows["kind"].to_list(), rows["event"].to_list())
        turns = np.sign(np.diff(columns[0]))
        start = 0
        for (style, turn), steps in itertools.groupby(zip(styles, turns, strict=True)):
            stop = start + len(list(steps))
            order = slice(None, None, -1 if turn < 0 else 1)
            part = (column[start : stop + 1][order] for column in columns)
            pieces.append(Piece(int(branch), style, *part))
            start = stop
    return pieces


def _styles(kinds: Sequence[str], events: Sequence[str]) -> list[Style]:
    """Return the class between each point of a branch and the next.

    At an event the class is that of either side, so such a point counts as its neighbour.
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
    """Return the distinct stable outcomes at a position, increasing."""
    levels = [piece.at(position) for piece in pieces if piece.style != "repels"]
    distinct: list[float] = []
    for level in sorted(level for level in levels if not np.isnan(level)):
        if not distinct or level - distinct[-1] > DISTINCT:
            distinct.append(level)
    return distinct
