"""What training can come to, along a number: stable outcomes that differ in what is looked at.

A bifurcation diagram has curves in the space of all parameters. Seen by one variable, some fall
together, and what matters is which outcomes are left that can be told apart, and where there is
more than one: there, what becomes of an agent depends on where it began.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from sim.dynamics.state import Array
from sim.specs.errors import SpecError, nearest
from sim.stability.bifurcation import Bifurcations

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
