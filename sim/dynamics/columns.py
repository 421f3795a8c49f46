"""The numbers of a spec as arrays over agents: one for all, or, where a sweep moves it, one each.

Specs know one number for each key. In a sweep, runs that differ only in numbers are compiled into
one program, so a key may have a column: a number for each run. Compiling asks for every number
through `Numbers`, by its full key (`training.leak`, `scenario.contexts.coding.info`, ...), and so
needs no second version for sweeps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.dynamics.state import Array
from sim.specs.errors import SpecError


class NoColumnError(SpecError):
    """A key was given a column, but what depends on it is no number of the arrays."""


class Source(ABC):
    """Answers what number a key stands for."""

    @abstractmethod
    def __call__(self, key: str, said: ArrayLike) -> Array:
        """Return the number of a key, [1] or [N], of which the spec says `said`."""

    def stacked(self, keys_and_said: Iterable[tuple[str, ArrayLike]]) -> Array:
        """Return several numbers as one array, [k, 1] or [k, N]."""
        return stack([self(key, said) for key, said in keys_and_said])


class Numbers(Source):
    """What a key stands for: its column if it has one, and else what the spec says.

    Args:
        columns: By full key, a number for each run.
        agents: The agents of each run; they sit side by side.

    Attributes:
        unread: The keys of columns that nothing has asked for yet.
    """

    def __init__(self, columns: Mapping[str, ArrayLike] | None = None, *, agents: int) -> None:
        self._columns = {
            key: np.repeat(np.asarray(column, np.float64), agents)
            for key, column in (columns or {}).items()
        }
        self.unread = set(self._columns)

    def __call__(self, key: str, said: ArrayLike) -> Array:
        """Return the number of a key, [1] or [N]; a column for `a.b` also serves for `a.b.c`."""
        for name in _and_above(key):
            if name in self._columns:
                self.unread.discard(name)
                return self._columns[name]
        return np.atleast_1d(np.asarray(said, np.float64))


def stack(numbers: Sequence[Array]) -> Array:
    """Stack arrays whose last axis is 1 or N into one whose last axis is 1 or N."""
    return np.stack(np.broadcast_arrays(*numbers))


def take(array: Array, rows: slice | NDArray[np.intp]) -> Array:
    """Return some agents' part of an array whose last axis is 1 (all agents share it) or N."""
    return array if array.shape[-1] == 1 else array[..., rows]


def _and_above(key: str) -> Iterable[str]:
    while key:
        yield key
        key = key.rpartition(".")[0]
