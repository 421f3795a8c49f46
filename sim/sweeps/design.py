"""Designs: the numbers of the runs of a sweep.

A design is a table with a row for each point and a column for each key. Rows are worked out when
they are asked for, so that a grid of any size takes no room.
"""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import exp, isfinite, log, prod
from operator import length_hint
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sim.specs.base import is_number as is_number
from sim.specs.base import plain
from sim.specs.errors import SpecError, check_whole, shorten
from sim.specs.scenario import Scenario

Numbers = NDArray[np.float64]
Index = NDArray[np.intp]

#: A sweep has at most so many runs, each of which takes about so much memory ...
MOST_RUNS = 2**24
BYTES_OF_RUN = 512
#: ... in so many parts, each of which is composed and checked by itself.
MOST_PARTS = 2**14


class Design(ABC):
    """Points in the space of some numeric keys: `keys` are those that have a column."""

    keys: tuple[str, ...]

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def at(self, rows: Index) -> dict[str, Numbers]:
        """Return the numbers of some points by key, each [rows]."""

    @abstractmethod
    def extremes(self, key: str) -> Index:
        """Return points at which a key has its least and its greatest number, for checks."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self):,} points of {', '.join(self.keys)}>"


class Table(Design):
    """Points that are listed, by key a column of numbers."""

    def __init__(self, columns: Mapping[str, Numbers]) -> None:
        self._columns = dict(columns)
        self.keys = tuple(columns)

    def __len__(self) -> int:
        return len(next(iter(self._columns.values()), ()))

    def at(self, rows: Index) -> dict[str, Numbers]:
        """Return the numbers of some points by key, each [rows]."""
        return {key: column[rows] for key, column in self._columns.items()}

    def extremes(self, key: str) -> Index:
        """Return points at which a key has its least and its greatest number."""
        return extreme_rows(self._columns[key])


class Product(Design):
    """Every point of a design with every point of the next; the last changes fastest."""

    def __init__(self, *designs: Design) -> None:
        check_runs("axes", prod(len(design) for design in designs))
        self._designs = designs
        self.keys = tuple(key for design in designs for key in design.keys)
        #: Of each key, its design and how many points the later designs have together.
        self._design_of: dict[str, tuple[Design, int]] = {}
        later = 1
        for design in reversed(designs):
            for key in design.keys:
                if key in self._design_of:
                    raise SpecError(f"{key}: is given twice")
                self._design_of[key] = design, later
            later *= len(design)

    def __len__(self) -> int:
        return prod(len(design) for design in self._designs)

    def at(self, rows: Index) -> dict[str, Numbers]:
        """Return the numbers of some points by key, each [rows]."""
        parts = []
        for design in reversed(self._designs):
            rows, place = np.divmod(rows, len(design))
            parts.append(design.at(place))
        return {key: column for part in reversed(parts) for key, column in part.items()}

    def extremes(self, key: str) -> Index:
        """Return points at which a key has its least and its greatest number."""
        design, later = self._design_of[key]
        return design.extremes(key) * later


class Grid(Product):
    """Every combination of the numbers that each key takes; the last key changes fastest."""

    def __init__(self, axes: Mapping[str, Iterable[float]]) -> None:
        columns = {key: read_numbers(values, key) for key, values in axes.items()}
        for key, column in columns.items():
            check_distinct(key, column.tolist())
        super().__init__(*(Table({key: column}) for key, column in columns.items()))


class Zip(Table):
    """The first numbers of all keys together, then the second, and so on; all have as many."""

    def __init__(self, axes: Mapping[str, Iterable[float]]) -> None:
        if not axes:
            raise SpecError("axes: at least one key is needed")
        columns = {key: read_numbers(values, key) for key, values in axes.items()}
        lengths = {key: len(column) for key, column in columns.items()}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{key} has {length}" for key, length in lengths.items())
            raise SpecError(f"axes: keys that go together need as many numbers each: {counts}")
        check_distinct(
            ", ".join(columns),
            [*zip(*(column.tolist() for column in columns.values()), strict=True)],
        )
        super().__init__(columns)


@dataclass(frozen=True)
class Range:
    """A range to draw from; `scale` says whether the number or its logarithm is spread evenly."""

    low: float
    high: float
    scale: Literal["linear", "log"] = "linear"

    @classmethod
    def read(cls, source: Range | Sequence[object], key: str) -> Range:
        """Return a range from one, or from (low, high) or (low, high, "log"), or a SpecError."""
        try:
            ends = source if isinstance(source, Range) else cls(*source)  # type: ignore[arg-type]
            low, high = float(ends.low), float(ends.high)
            minimum = 0.0 if ends.scale == "log" else -np.inf
            is_range = minimum < low < high < np.inf and ends.scale in ("linear", "log")
        except (TypeError, ValueError, OverflowError):
            is_range = False
        if not is_range:
            raise SpecError(
                f"{key}: got {source!r}: must be a range (low, high) or (low, high, 'log') with "
                "low below high, and above 0 where the scale is a logarithm"
            )
        return cls(low, high, ends.scale)

    def stretch(self, share: Numbers) -> Numbers:
        """Bring shares of the range, from 0 to 1, onto it."""
        if self.scale == "log":
            low, high = log(self.low), log(self.high)
            inside: Numbers = np.exp(low + share * (high - low))
            return inside.clip(exp(low), exp(high)).clip(self.low, self.high)
        return (self.low + share * (self.high - self.low)).clip(self.low, self.high)


class _Sample(Table):
    """Points drawn from ranges, by key (`Range`, or (low, high), or (low, high, "log"))."""

    def __init__(
        self, ranges: Mapping[str, Range | Sequence[object]], *, points: int, seed: int = 0
    ) -> None:
        check_whole("points", points, minimum=1)
        check_runs("points", points)
        check_whole("seed", seed, minimum=0)
        if not ranges:
            raise SpecError("axes: at least one range is needed")
        read = {key: Range.read(ends, key) for key, ends in ranges.items()}
        shares = self._draw(len(read), int(points), int(seed))
        super().__init__({key: r.stretch(shares[:, i]) for i, (key, r) in enumerate(read.items())})

    def _draw(self, keys: int, points: int, seed: int) -> Numbers:
        """Return shares of the ranges [points, keys]."""
        raise NotImplementedError


class LatinHypercube(_Sample):
    """Points from ranges by key, spread evenly in each key by itself (scipy.stats.qmc)."""

    def _draw(self, keys: int, points: int, seed: int) -> Numbers:
        from scipy.stats import qmc  # takes half a second to import

        return np.asarray(qmc.LatinHypercube(d=keys, rng=seed).random(points))


class Sobol(_Sample):
    """Points of a scrambled Sobol sequence, even in all keys together (scipy.stats.qmc).

    A power of 2 as the number of points keeps the sequence's balance.
    """

    def _draw(self, keys: int, points: int, seed: int) -> Numbers:
        from scipy.stats import qmc

        power = (points - 1).bit_length()
        return np.asarray(qmc.Sobol(d=keys, rng=seed).random_base2(power)[:points])


def read_numbers(values: object, key: str) -> Numbers:
    """Return finite numbers as an array [n]; there must be one (SpecError)."""
    numbers = plain(list_levels(values, key) if isinstance(values, Iterable) else [values])
    if not isinstance(numbers, list) or not numbers or isinstance(values, str):
        raise SpecError(f"{key}: got {values!r}: must be a list of numbers")
    for number in numbers:
        if not _is_finite(number):
            raise SpecError(f"{key}: got {number!r}: an axis has finite numbers")
    return np.array(numbers, np.float64)


def check_runs(key: str, runs: int, *, maximum: int = MOST_RUNS) -> None:
    """Refuse more runs, or parts, than a sweep can have, before they take memory (SpecError)."""
    if runs > maximum:
        size = f"{runs:,} runs, which take about {runs * BYTES_OF_RUN / 2**30:,.0f} GiB: "
        if maximum == MOST_PARTS:
            size = f"{runs:,} combinations, each of which is a program of its own: "
        raise SpecError(f"{key}: got {size}must be {maximum:,} or fewer in a sweep")


def list_levels(values: Iterable[Any], key: str) -> list[Any]:
    """Return the levels of an axis as a list, of no more than a sweep can have (SpecError)."""
    try:
        check_runs(key, length_hint(values))
    except OverflowError:  # of a range
        check_runs(key, sys.maxsize)
    levels = list(islice(values, MOST_RUNS + 1))
    check_runs(key, len(levels))
    return levels


def check_distinct(key: str, levels: Iterable[Any]) -> None:
    """Refuse levels of an axis of which one is given twice, as it would count as more runs."""
    keys = set()
    for level in levels:
        content = _content(level)
        if content in keys:
            name = f"{level:g}" if isinstance(level, float) else shorten(repr(level))
            raise SpecError(f"{key}: {name} is given more than once")
        keys.add(content)


def _content(level: Any) -> Any:
    """Return what is the same for levels of the same content: 1 and 1.0, in mappings too."""
    if isinstance(level, Mapping):
        return frozenset((name, _content(value)) for name, value in level.items())
    if isinstance(level, list | tuple):
        return tuple(map(_content, level))
    return level if is_number(level) else json.dumps(level, default=str)


def level_labels(key: str, levels: Sequence[Any]) -> list[Any]:
    """Return what stands for each level of an axis in tables: no two levels look alike there.

    A number stands for itself. Scenarios of one name, say, are numbered: `copyright (2)`.
    """
    check_distinct(key, levels)
    labels: dict[str, Any] = {}
    for level in levels:
        name = level_label(level)
        number, text = 1, str(name)
        while text in labels:
            number += 1
            text = f"{name} ({number})"
        labels[text] = name if number == 1 else text
    return list(labels.values())


def level_label(level: Any) -> Any:
    """Return what stands for a level that no other level looks like."""
    if isinstance(level, Scenario):
        return level.name
    return level if is_number(level) or isinstance(level, str | bool) else str(level)


def extreme_rows(numbers: Numbers) -> Index:
    """Return the rows at which a column has its least and its greatest number."""
    return np.unique([numbers.argmin(), numbers.argmax()])


def _is_finite(value: object) -> bool:
    try:
        return is_number(value) and isfinite(value)
    except OverflowError:  # a whole number too large for a float
        return False
