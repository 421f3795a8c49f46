"""What a fit moves: every parameter, the number of the model that it moves, and in which rows.

The numbers of a prompt are linear in the parameters (or their logarithms are): a free number, the
same in all rows or in all rows of a setting, and what edits add to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from experiments.calibration.prompt_rates import PromptRates
from experiments.calibration.spec import Calibration, Edit, FreeNumber
from sim.dynamics.state import Array
from sim.specs.errors import SpecError


@dataclass(frozen=True)
class Term:
    """One parameter of a fit.

    Attributes:
        key: The number that it moves, as the calibration has it.
        start, low, high: Of the parameter: the number, its logarithm, or what is added to either.
        setting: Of which rows it is; None: of all.
        edit: The edit that it belongs to, by name, if it belongs to one.
        row: The row that it places, if it places one (`calibration_problems.by_rates`).
    """

    key: str
    start: float
    low: float
    high: float
    setting: str | None = None
    edit: str | None = None
    row: str | None = None

    @property
    def name(self) -> str:
        """What it is called in tables."""
        name = self.key if self.edit is None else f"{self.edit}: {self.key}"
        where = self.setting if self.row is None else f"row {self.row}"
        return name if where is None else f"{name} [{where}]"


class Terms:
    """The parameters of a fit, and the numbers of prompts that follow from them.

    Args:
        calibration: What is free, and what edits there are.
        rates: Knows the keys.
        settings: The settings that have numbers of their own.

    Raises:
        SpecError: A key names no number.
    """

    def __init__(
        self, calibration: Calibration, rates: PromptRates, *, settings: Iterable[str]
    ) -> None:
        self.calibration = calibration
        self._settings = tuple(settings)
        self.terms = tuple(self._free()) + tuple(self._of_edits())
        self._full = {
            key: rates.expand(key)
            for key in (
                *dict.fromkeys(term.key for term in self.terms),
                *(key for edit in calibration.edits.values() for key in edit.sets),
            )
        }
        self._said = {key: rates.said(full[0]) for key, full in self._full.items()}
        self._said_of = {one: rates.said(one) for full in self._full.values() for one in full}

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are moved, each once."""
        return tuple(dict.fromkeys(term.key for term in self.terms))

    def matrix(self, frame: pd.DataFrame) -> Array:
        """Return which parameters act on which rows, 0 or 1 [row, term].

        Raises:
            SpecError: A row is of a setting that nothing was fitted to.
        """
        unknown = set(frame["setting"]) - set(self._settings)
        if unknown:
            raise SpecError(
                f"data: setting {min(unknown)!r} was not in the table of the fit, which has "
                f"{', '.join(self._settings)}"
            )
        edits = self.edits(frame)
        acts = np.ones((len(frame), len(self.terms)))
        for i, term in enumerate(self.terms):
            if term.setting is not None:
                acts[:, i] *= frame["setting"].to_numpy() == term.setting
            if term.edit is not None:
                acts[:, i] *= edits[term.edit].to_numpy()
        return acts

    def edits(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return which rows have which edits."""
        return pd.DataFrame(
            {
                name: [edit.applies(condition) for condition in frame["condition"]]
                for name, edit in self.calibration.edits.items()
            },
            index=frame.index,
        )

    def sets(self, frame: pd.DataFrame) -> dict[str, Array]:
        """Return the numbers that edits set, by full key [row]; nan where none does."""
        edits = self.edits(frame)
        found: dict[str, Array] = {}
        for name, edit in self.calibration.edits.items():
            has = edits[name].to_numpy()
            for key, to in edit.sets.items():
                for full in self._full[key]:
                    found[full] = np.where(has, to, found.get(full, np.nan))
        return found

    def numbers(self, moved: Mapping[str, Array], sets: Mapping[str, Array]) -> dict[str, Array]:
        """Return the numbers of prompts by full key [row].

        Args:
            moved: By key, the sum of the parameters that act on a row [row].
            sets: As from `sets`; what is set goes before what is moved.
        """
        found: dict[str, Array] = {}
        for key, total in moved.items():
            free = self.calibration.free.get(key)
            if free is None:
                number = self._said[key] + total
            else:
                number = np.exp(total) if free.log else total
            found |= dict.fromkeys(self._full[key], number)
        for full, to in sets.items():
            otherwise = found.get(full, self._said_of[full])
            found[full] = np.where(np.isnan(to), otherwise, to)
        return found

    def _free(self) -> Iterable[Term]:
        for key, free in self.calibration.free.items():
            start, low, high = _scaled(free)
            for setting in self._each(free.by):
                yield Term(key, start, low, high, setting=setting)

    def _of_edits(self) -> Iterable[Term]:
        most = self.calibration.most
        for name, edit in self.calibration.edits.items():
            for key in edit.moves:
                for setting in self._each(edit.by):
                    yield Term(key, 0.0, -most, most, setting=setting, edit=name)

    def _each(self, by: str | None) -> Sequence[str | None]:
        return (None,) if by is None else self._settings


def _scaled(free: FreeNumber) -> tuple[float, float, float]:
    numbers = (free.start, free.low, free.high)
    start, low, high = (float(np.log(n)) if free.log else n for n in numbers)
    return start, low, high


def unknown_edits(edits: Iterable[Edit], conditions: Iterable[str]) -> list[str]:
    """Return the conditions that no edit tells anything about, other than the default."""
    known = list(edits)
    return [c for c in conditions if c != "default" and not any(e.applies(c) for e in known)]
