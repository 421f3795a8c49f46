"""Adaptive refinement of a labelled grid: regions without an evaluation of every point.

A coarse lattice of points is evaluated. Then, from spacing to spacing down to single steps of the
grid, each cell of the lattice is divided in four: a new point takes the label of the corners
around it where they agree, and is evaluated where they differ. Two neighbours of the lattice with
different labels are both evaluated, until no new ones appear. So a boundary that is met anywhere is
followed, also into cells whose corners agreed, and every point along it has been evaluated.

What lies between the points of the coarse lattice and touches no such boundary can be missed: an
island, or a bay with a narrow mouth, smaller than the stride.
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

#: A function of points [m, 2], each a row and a column of the grid, that returns their labels [m]
#: and numbers [m, ...].
Evaluate = Callable[[Lines], tuple[Labels, Array]]

#: Default number of steps between the lines of the coarse lattice.
STRIDE = 8


@dataclass(frozen=True)
class Refined:
    """A grid of labels, evaluated at some points and interpolated at the others.

    Attributes:
        labels: Label of every point [ny, nx].
        values: Numbers of every point [ny, nx, ...]: as evaluated, or linear between the nearest
            lines of the lattices; where one end is nan, as the other.
        evaluated: Whether each point was evaluated [ny, nx].
        rounds: Number of points in each call of `evaluate`.
    """

    labels: Labels
    values: Array
    evaluated: Mask
    rounds: tuple[int, ...]


def refine(shape: tuple[int, int], evaluate: Evaluate, *, stride: int = STRIDE) -> Refined:
    """Evaluate a grid where labels change, and interpolate elsewhere.

    Args:
        shape: Rows and columns of the grid.
        evaluate: Evaluates points, many at a time and each only once.
        stride: Steps between the lines of the coarse lattice, at most; the edges of the grid are
            always among them. 1 evaluates every point.

    Returns:
        The grid; along a boundary, every point on either side has been evaluated.

    Raises:
        SpecError: The stride is no whole number of 1 or more, or the grid has no points.
    """
    check_whole("stride", stride, minimum=1)
    if min(shape) < 1:
        raise SpecError(f"shape: got {shape}: must have a row and a column at least")
    grid = _Grid(shape, evaluate)
    lattices = [(_coarse(shape[0], int(stride)), _coarse(shape[1], int(stride)))]
    rows, columns = lattices[0]
    grid.evaluate(_mask(shape, rows, columns, True))
    while max(_widest(rows), _widest(columns)) > 1:
        rows, columns = _halved(rows), _halved(columns)
        grid.evaluate(grid.divide(lattices[-1], rows, columns))
        lattices.append((rows, columns))
        while grid.evaluate(grid.boundary(rows, columns)):
            pass  # each round may reveal new neighbours that differ
    values = grid.values
    for (old_rows, old_columns), (rows, columns) in pairwise(lattices):
        _interpolate(values, grid.evaluated, old_columns, columns, rows=old_rows)
        transposed = values.swapaxes(0, 1), grid.evaluated.T
        _interpolate(*transposed, old_rows, rows, rows=columns)
    return Refined(grid.labels, values, grid.evaluated, tuple(grid.rounds))


class _Grid:
    """A grid that is being refined.

    Attributes:
        labels: Evaluated or assumed [ny, nx]; only those on the current lattice are meaningful.
        values: nan where not evaluated [ny, nx, ...].
        evaluated: Whether each point was evaluated [ny, nx].
        rounds: Number of points in each evaluation.
    """

    def __init__(self, shape: tuple[int, int], evaluate: Evaluate) -> None:
        self.labels: Labels = np.zeros(shape, np.int_)
        self.values: Array = np.full(shape, np.nan)
        self.evaluated: Mask = np.zeros(shape, np.bool_)
        self.rounds: list[int] = []
        self._evaluate = evaluate

    def evaluate(self, mask: Mask) -> int:
        """Evaluate the points of a mask [ny, nx] that were not yet; return how many that were."""
        points = np.argwhere(mask & ~self.evaluated)
        if len(points) == 0:
            return 0
        labels, values = self._evaluate(points)
        if not self.rounds:
            self.values = np.full((*self.labels.shape, *np.shape(values)[1:]), np.nan)
        index = tuple(points.T)
        self.labels[index], self.values[index], self.evaluated[index] = labels, values, True
        self.rounds.append(len(points))
        return len(points)

    def divide(self, lattice: tuple[Lines, Lines], rows: Lines, columns: Lines) -> Mask:
        """Assume labels on a finer lattice; return where the corners around differ [ny, nx]."""
        north, south = _around(lattice[0], rows)
        west, east = _around(lattice[1], columns)
        corners = [self.labels[np.ix_(r, c)] for r in (north, south) for c in (west, east)]
        agree = np.logical_and.reduce([corner == corners[0] for corner in corners])
        fine = np.ix_(rows, columns)
        self.labels[fine] = np.where(self.evaluated[fine], self.labels[fine], corners[0])
        return _mask(self.labels.shape, rows, columns, ~agree)

    def boundary(self, rows: Lines, columns: Lines) -> Mask:
        """Return the points of a lattice with a neighbour on it of another label [ny, nx]."""
        labels = self.labels[np.ix_(rows, columns)]
        differ = np.zeros(labels.shape, np.bool_)
        down, across = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
        differ[1:] |= down
        differ[:-1] |= down
        differ[:, 1:] |= across
        differ[:, :-1] |= across
        return _mask(self.labels.shape, rows, columns, differ)


def _coarse(points: int, stride: int) -> Lines:
    """Return evenly spread lines, the first and the last among them."""
    cells = -(-(points - 1) // stride)
    return np.linspace(0, points - 1, cells + 1).round().astype(np.int_)


def _halved(lines: Lines) -> Lines:
    return np.unique([*lines, *((lines[1:] + lines[:-1]) // 2)])


def _widest(lines: Lines) -> int:
    return int(np.diff(lines).max(initial=0))


def _mask(shape: tuple[int, ...], rows: Lines, columns: Lines, flags: Mask | bool) -> Mask:
    """Return a mask of the grid [ny, nx] with the flags of a lattice, and False elsewhere."""
    mask = np.zeros(shape, np.bool_)
    mask[np.ix_(rows, columns)] = flags
    return mask


def _around(old: Lines, new: Lines) -> tuple[Lines, Lines]:
    """Return the old lines around each new line; itself twice if it is an old one."""
    return old[np.searchsorted(old, new, side="right") - 1], old[np.searchsorted(old, new)]


def _interpolate(values: Array, evaluated: Mask, old: Lines, new: Lines, *, rows: Lines) -> None:
    """Interpolate new columns of some rows of values [ny, nx, ...] from the old around them."""
    low, high = _around(old, new)
    share = (new - low) / np.maximum(high - low, 1)
    share = share.reshape(-1, *[1] * (values.ndim - 2))
    first, last = values[np.ix_(rows, low)], values[np.ix_(rows, high)]
    between = (1.0 - share) * first + share * last
    between = np.where(np.isnan(first), last, np.where(np.isnan(last), first, between))
    block = np.ix_(rows, new)
    fixed = (evaluated[block] | (share.ravel() == 0.0)).reshape(
        *between.shape[:2], *[1] * (values.ndim - 2)
    )
    values[block] = np.where(fixed, values[block], between)
