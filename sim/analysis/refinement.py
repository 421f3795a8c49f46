"""Refinement: find the regions of a map without looking at every point of it.

A coarse lattice of points is evaluated whole. Then, from spacing to spacing down to single steps of
the grid, each cell of the lattice is cut in four. Where the corners around a new point agree, it is
taken to be as they are; where they do not, it is evaluated. What is taken for granted is checked
where it matters: no two neighbours of the lattice may have different labels unless both were
evaluated. So a boundary that is met anywhere is followed, also into cells whose corners agreed, and
in the end no step of any boundary is a guess.

What this can miss is what lies between the points of the coarse lattice and is met by no boundary
that is followed: an island, or a bay with a narrow mouth, smaller than the stride.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sim.dynamics.state import Array
from sim.specs.errors import SpecError, check_whole

Labels = NDArray[np.int_]
Mask = NDArray[np.bool_]
Lines = NDArray[np.int_]

#: Called with points [m, 2], each a row and a column of the grid; returns their labels [m], and
#: whatever numbers are wanted of them [m, ...].
Evaluate = Callable[[Lines], tuple[Labels, Array]]

#: Steps between the lines of the coarse lattice where nothing is said.
STRIDE = 8


@dataclass(frozen=True)
class Refined:
    """A map, known at some points and filled in between.

    Attributes:
        labels: At every point [ny, nx].
        values: At every point [ny, nx, ...]: as evaluated, or linear between the nearest lines of
            the lattices; where one end is nan, as the other.
        evaluated: Which points were evaluated [ny, nx].
        rounds: How many points were evaluated at a time.
    """

    labels: Labels
    values: Array
    evaluated: Mask
    rounds: tuple[int, ...]

    @property
    def evaluations(self) -> int:
        """How many points were evaluated."""
        return sum(self.rounds)


def refine(shape: tuple[int, int], evaluate: Evaluate, *, stride: int = STRIDE) -> Refined:
    """Evaluate a grid where labels change, and fill in the rest.

    Args:
        shape: Rows and columns of the grid.
        evaluate: Evaluates points, many at a time and each only once.
        stride: Steps between the lines of the coarse lattice, at most; the edges of the grid are
            always among them. 1 evaluates every point.

    Returns:
        The map; along a boundary, every point on either side has been evaluated.

    Raises:
        SpecError: The stride is no whole number of 1 or more, or the grid has no points.
    """
    check_whole("stride", stride, minimum=1)
    if min(shape) < 1:
        raise SpecError(f"shape: got {shape}: must have a row and a column at least")
    known = _Known(shape, evaluate)
    lattices = [(_coarse(shape[0], int(stride)), _coarse(shape[1], int(stride)))]
    rows, columns = lattices[0]
    known.evaluate(_on(shape, rows, columns))
    while max(_widest(rows), _widest(columns)) > 1:
        rows, columns = _halved(rows), _halved(columns)
        known.evaluate(known.divide(lattices[-1], rows, columns))
        lattices.append((rows, columns))
        while known.evaluate(known.unchecked(rows, columns)):
            pass  # each round may bring new neighbours that differ
    values = known.values
    for (old_rows, old_columns), (rows, columns) in pairwise(lattices):
        _fill(values, known.evaluated, old_columns, columns, of=old_rows)
        turned = values.swapaxes(0, 1), known.evaluated.T
        _fill(*turned, old_rows, rows, of=columns)
    return Refined(known.labels, values, known.evaluated, tuple(known.rounds))


class _Known:
    """What is known of the grid so far.

    Attributes:
        labels: [ny, nx], evaluated or taken for granted; only those on the lattice mean anything.
        values: [ny, nx, ...], nan where not evaluated.
        evaluated: [ny, nx].
        rounds: How many points were evaluated at a time.
    """

    def __init__(self, shape: tuple[int, int], evaluate: Evaluate) -> None:
        self.labels: Labels = np.zeros(shape, np.int_)
        self.values: Array = np.full(shape, np.nan)
        self.evaluated: Mask = np.zeros(shape, np.bool_)
        self.rounds: list[int] = []
        self._evaluate = evaluate

    def evaluate(self, wanted: Mask) -> int:
        """Evaluate what is wanted [ny, nx] and not known yet; returns how many points that were."""
        points = np.argwhere(wanted & ~self.evaluated)
        if len(points) == 0:
            return 0
        labels, values = self._evaluate(points)
        if not self.rounds:
            self.values = np.full((*self.labels.shape, *np.shape(values)[1:]), np.nan)
        place = tuple(points.T)
        self.labels[place], self.values[place], self.evaluated[place] = labels, values, True
        self.rounds.append(len(points))
        return len(points)

    def divide(self, lattice: tuple[Lines, Lines], rows: Lines, columns: Lines) -> Mask:
        """Take labels for granted on a finer lattice; returns where corners disagree [ny, nx]."""
        above, below = _around(lattice[0], rows)
        left, right = _around(lattice[1], columns)
        corners = [self.labels[np.ix_(r, c)] for r in (above, below) for c in (left, right)]
        agree = np.logical_and.reduce([corner == corners[0] for corner in corners])
        here = np.ix_(rows, columns)
        self.labels[here] = np.where(self.evaluated[here], self.labels[here], corners[0])
        wanted = np.zeros(self.labels.shape, np.bool_)
        wanted[here] = ~agree
        return wanted

    def unchecked(self, rows: Lines, columns: Lines) -> Mask:
        """Return the points of a lattice with a neighbour on it of another label [ny, nx]."""
        labels = self.labels[np.ix_(rows, columns)]
        differ = np.zeros(labels.shape, np.bool_)
        down, across = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
        differ[1:] |= down
        differ[:-1] |= down
        differ[:, 1:] |= across
        differ[:, :-1] |= across
        found = np.zeros(self.labels.shape, np.bool_)
        found[np.ix_(rows, columns)] = differ
        return found


def _coarse(points: int, stride: int) -> Lines:
    """Return lines that are evenly spread, the first and the last among them."""
    cells = -(-(points - 1) // stride)
    return np.linspace(0, points - 1, cells + 1).round().astype(np.int_)


def _halved(lines: Lines) -> Lines:
    return np.unique([*lines, *((lines[1:] + lines[:-1]) // 2)])


def _widest(lines: Lines) -> int:
    return int(np.diff(lines).max(initial=0))


def _on(shape: tuple[int, int], rows: Lines, columns: Lines) -> Mask:
    found = np.zeros(shape, np.bool_)
    found[np.ix_(rows, columns)] = True
    return found


def _around(old: Lines, new: Lines) -> tuple[Lines, Lines]:
    """Return, for each new line, the old ones around it: itself twice if it is one."""
    return old[np.searchsorted(old, new, side="right") - 1], old[np.searchsorted(old, new)]


def _fill(values: Array, evaluated: Mask, old: Lines, new: Lines, *, of: Lines) -> None:
    """Fill in new columns of some rows `of` the values [ny, nx, ...], from the old around them."""
    low, high = _around(old, new)
    share = (new - low) / np.maximum(high - low, 1)
    share = share.reshape(-1, *[1] * (values.ndim - 2))
    first, last = values[np.ix_(of, low)], values[np.ix_(of, high)]
    between = (1.0 - share) * first + share * last
    between = np.where(np.isnan(first), last, np.where(np.isnan(last), first, between))
    here = np.ix_(of, new)
    known = (evaluated[here] | (share.ravel() == 0.0)).reshape(
        *between.shape[:2], *[1] * (values.ndim - 2)
    )
    values[here] = np.where(known, values[here], between)
