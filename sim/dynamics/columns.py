"""The numbers of specs as arrays over agents: one for all, or, where runs differ, one for each.

In a sweep, runs that differ only in numbers are compiled into one program, so a key may have a
column: a number for each run. Compiling looks every number up in `Numbers`, by its full key
(`training.leak`, `scenario.contexts.coding.info`, ...), and so needs no second version for sweeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.dynamics.state import Array
from sim.specs.errors import SpecError

#: Which agents, by their place in an array.
Rows = slice | NDArray[np.intp]


class NoColumnError(SpecError):
    """A key was given a column, but no number of the arrays is that of the key."""


class Numbers:
    """The number of each key: its column if it has one, and else that of the spec.

    By full key, `columns` have a number for each run, whose agents sit side by side. `unread` are
    the keys of columns that nothing has looked up yet.
    """

    def __init__(self, columns: Mapping[str, ArrayLike] | None = None, *, agents: int) -> None:
        self._columns = {
            key: np.repeat(np.asarray(column, np.float64), agents)
            for key, column in (columns or {}).items()
        }
        self.unread = set(self._columns)

    def __call__(self, key: str, stated: ArrayLike) -> Array:
        """Return the number of a key, [1] or [N]: its column, that of a key above, or `stated`."""
        above = key
        while above:
            if above in self._columns:
                self.unread.discard(above)
                return self._columns[above]
            above = above.rpartition(".")[0]
        return np.atleast_1d(np.asarray(stated, np.float64))

    def stacked(self, stated: Iterable[tuple[str, ArrayLike]]) -> Array:
        """Return the numbers of several keys as one array, [k, 1] or [k, N]."""
        return stack([self(key, number) for key, number in stated])


def stack(numbers: Sequence[Array]) -> Array:
    """Stack arrays whose last axis is 1 or N into one whose last axis is 1 or N."""
    return np.stack(np.broadcast_arrays(*numbers))


def take(array: Array, rows: Rows) -> Array:
    """Return some agents' part of an array whose last axis is 1 (all agents share it) or N."""
    return array if array.shape[-1] == 1 else array[..., rows]
