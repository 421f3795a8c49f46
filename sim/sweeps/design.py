"""Designs: which numbers the runs of a sweep have.

A design is a table with a row for each point and a column for each key. Rows are worked out when
they are asked for, so that a grid of any size takes no room.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, isfinite, log, prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sim.specs.base import plain
from sim.specs.errors import SpecError, check_whole

Numbers = NDArray[np.float64]
Index = NDArray[np.intp]


class Design(ABC):
    """Points in the space of some numeric keys."""

    @property
    @abstractmethod
    def keys(self) -> tuple[str, ...]:
        """The keys that have a column."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of points."""

    @abstractmethod
    def at(self, rows: Index) -> dict[str, Numbers]:
        """Return the numbers of some points, by key."""

    @abstractmethod
    def extremes(self, key: str) -> Index:
        """Return points in which a key has its least and its greatest number, for checking."""


class Grid(Design):
    """Every combination; the last key changes fastest.

    Args:
        axes: By key, the numbers that it takes.
    """

    def __init__(self, axes: Mapping[str, Iterable[float]]) -> None:
        self._axes = {key: read_numbers(values, key) for key, values in axes.items()}
        for key, values in self._axes.items():
            once, counts = np.unique(values, return_counts=True)
            if (counts > 1).any():
                raise SpecError(f"{key}: {once[counts > 1][0]:g} is given more than once")

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the keys that have a column."""
        return tuple(self._axes)

    def __len__(self) -> int:
        """Return the number of points."""
        return prod(len(values) for values in self._axes.values())

    def at(self, rows: Index) -> dict[str, Numbers]:
        """Return the numbers of some points, by key."""
        found, rest = {}, rows
        for key, values in reversed(self._axes.items()):
            rest, place = np.divmod(rest, len(values))
            found[key] = values[place]
        return {key: found[key] for key in self._axes}

    def extremes(self, key: str) -> Index:
        """Return points in which a key has its least and its greatest number."""
        later = list(self._axes)[list(self._axes).index(key) + 1 :]
        return extreme_rows(self._axes[key]) * prod(len(self._axes[k]) for k in later)


class Table(Design):
    """Points that are listed one by one."""

    def __init__(self, columns: Mapping[str, Numbers]) -> None:
        self._columns = dict(columns)

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the keys that have a column."""
        return tuple(self._columns)

    def __len__(self) -> int:
        """Return the number of points."""
        return len(next(iter(self._columns.values()), ()))

    def at(self, rows: Index) -> dict[str, Numbers]:
        """Return the numbers of some points, by key."""
        return {key: column[rows] for key, column in self._columns.items()}

    def extremes(self, key: str) -> Index:
        """Return points in which a key has its least and its greatest number."""
        return extreme_rows(self._columns[key])


class Zip(Table):
    """The first numbers of all keys together, then the second, and so on.

    Args:
        axes: By key, its numbers; all have the same length.

    Raises:
        SpecError: They have not.
    """

    def __init__(self, axes: Mapping[str, Iterable[float]]) -> None:
        if not axes:
            raise SpecError("axes: at least one key is needed")
        columns = {key: read_numbers(values, key) for key, values in axes.items()}
        lengths = {key: len(column) for key, column in columns.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{key} has {length}" for key, length in lengths.items())
            raise SpecError(f"axes: keys that go together need as many numbers each: {told}")
        super().__init__(columns)


@dataclass(frozen=True)
class Range:
    """A range to draw from.

    Attributes:
        low: Its lower end.
        high: Its upper end.
        scale: Whether the number or its logarithm is spread evenly.
    """

    low: float
    high: float
    scale: Literal["linear", "log"] = "linear"

    @classmethod
    def read(cls, given: Range | Sequence[object], key: str) -> Range:
        """Return a range from one, or from (low, high) or (low, high, "log").

        Raises:
            SpecError: It is none.
        """
        try:
            found = given if isinstance(given, Range) else cls(*given)  # type: ignore[arg-type]
            low, high = (float(end) for end in (found.low, found.high))
            minimum = 0.0 if found.scale == "log" else -np.inf
            sound = minimum < low < high < np.inf and found.scale in ("linear", "log")
        except (TypeError, ValueError, OverflowError):
            sound = False
        if not sound:
            raise SpecError(
                f"{key}: got {given!r}: must be a range (low, high) or (low, high, 'log') with "
                "low below high, and above 0 where the scale is a logarithm"
            )
        return cls(low, high, found.scale)

    def stretch(self, share: Numbers) -> Numbers:
        """Bring shares of the range, from 0 to 1, onto it."""
        if self.scale == "log":
            low, high = log(self.low), log(self.high)
            inside: Numbers = np.exp(low + share * (high - low))
            return inside.clip(exp(low), exp(high)).clip(self.low, self.high)
        return (self.low + share * (self.high - self.low)).clip(self.low, self.high)


class LatinHypercube(Table):
    """Points that are spread evenly in each key by itself (scipy.stats.qmc).

    Args:
        ranges: By key, its range.
        points: How many.
        seed: Of the draw.
    """

    def __init__(
        self, ranges: Mapping[str, Range | Sequence[object]], *, points: int, seed: int = 0
    ) -> None:
        read = _read_ranges(ranges, points=points, seed=seed)
        from scipy.stats import qmc  # takes half a second to import

        drawn = qmc.LatinHypercube(d=len(read), rng=int(seed)).random(int(points))
        super().__init__(_stretched(read, drawn))


class Sobol(Table):
    """Points of a scrambled Sobol sequence, even in all keys together (scipy.stats.qmc).

    Args:
        ranges: By key, its range.
        points: How many; a power of 2 keeps the sequence's balance.
        seed: Of the scrambling.
    """

    def __init__(
        self, ranges: Mapping[str, Range | Sequence[object]], *, points: int, seed: int = 0
    ) -> None:
        read = _read_ranges(ranges, points=points, seed=seed)
        power = (int(points) - 1).bit_length()
        from scipy.stats import qmc

        drawn = qmc.Sobol(d=len(read), rng=int(seed)).random_base2(power)
        super().__init__(_stretched(read, drawn[:points]))


class Product(Design):
    """Every point of one design with every point of the next; the last changes fastest."""

    def __init__(self, *designs: Design) -> None:
        self._designs = designs
        keys = self.keys
        for key in keys:
            if keys.count(key) > 1:
                raise SpecError(f"{key}: is given twice")

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the keys that have a column."""
        return tuple(key for design in self._designs for key in design.keys)

    def __len__(self) -> int:
        """Return the number of points."""
        return prod(len(design) for design in self._designs)

    def at(self, rows: Index) -> dict[str, Numbers]:
        """Return the numbers of some points, by key."""
        parts, rest = [], rows
        for design in reversed(self._designs):
            rest, place = np.divmod(rest, len(design))
            parts.append(design.at(place))
        return {key: column for part in reversed(parts) for key, column in part.items()}

    def extremes(self, key: str) -> Index:
        """Return points in which a key has its least and its greatest number."""
        place = next(i for i, design in enumerate(self._designs) if key in design.keys)
        later = prod(len(design) for design in self._designs[place + 1 :])
        return self._designs[place].extremes(key) * later


def read_numbers(values: object, key: str) -> Numbers:
    """Return finite numbers as an array.

    Raises:
        SpecError: There are none, or not all are.
    """
    join_words = plain(list(values) if isinstance(values, Iterable) else [values])
    if not isinstance(join_words, list) or not join_words or isinstance(values, str):
        raise SpecError(f"{key}: got {values!r}: must be a list of numbers")
    for value in join_words:
        if not _is_finite(value):
            raise SpecError(f"{key}: got {value!r}: an axis has finite numbers")
    return np.array(join_words, np.float64)


def is_number(value: object) -> bool:
    """Say whether a value can stand on a numeric axis."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_finite(value: object) -> bool:
    try:
        return is_number(value) and isfinite(value)  # type: ignore[arg-type]
    except OverflowError:  # a whole number too large for a float
        return False


def extreme_rows(numbers: Numbers) -> Index:
    """Return where a column has its least and its greatest number."""
    return np.unique([numbers.argmin(), numbers.argmax()])


def _read_ranges(
    ranges: Mapping[str, Range | Sequence[object]], *, points: int, seed: int
) -> dict[str, Range]:
    check_whole("points", points, minimum=1)
    check_whole("seed", seed, minimum=0)
    if not ranges:
        raise SpecError("axes: at least one range is needed")
    return {key: Range.read(given, key) for key, given in ranges.items()}


def _stretched(ranges: Mapping[str, Range], shares: Numbers) -> dict[str, Numbers]:
    return {key: read.stretch(shares[:, i]) for i, (key, read) in enumerate(ranges.items())}
