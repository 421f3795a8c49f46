"""Published measurements of training-gaming: three rates for each prompt, with standard errors.

A table has a row for each prompt (or for each prompt and stage of training) and the columns
`af_reasoning`, the share of training scratchpads that reason about gaming the training;
`refusal_training` and `refusal_unmonitored`, the shares of answers that do not comply, where the
input says that it is trained on and where it says that it is not; each with its standard error
`_se`. The measurements of Greenblatt et al. (arXiv 2412.14093) have this form: data/README.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.dynamics.state import Array
from sim.specs.errors import SpecError, nearest

#: What is measured, in the order of all arrays here.
RATES = ("af_reasoning", "refusal_training", "refusal_unmonitored")
#: What tells the rows of a table of prompts apart, and of a table of stages of training.
OF_PROMPTS = ("row", "setting", "condition")
OF_STAGES = ("setting", "prompt", "stage")
#: How many answers a rate is taken to be of, where no row of a table tells.
_ANSWERS = 100.0


@dataclass(frozen=True)
class Measurements:
    """Rates of prompts.

    Attributes:
        frame: A row for each prompt: what tells it apart, the rates and their published errors.
        source: Where they were read.
    """

    frame: pd.DataFrame
    source: str = ""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.frame)

    @property
    def rates(self) -> Array:
        """What was measured [row, rate]."""
        return np.asarray(self.frame[list(RATES)], np.float64)

    @property
    def published(self) -> Array:
        """Standard errors as published [row, rate]."""
        return np.asarray(self.frame[[f"{rate}_se" for rate in RATES]], np.float64)

    @property
    def errors(self) -> Array:
        """Standard errors that can be divided by [row, rate].

        Of n answers of which none (or all) are of a kind, the published error is 0, which no
        measurement has. There, n is inferred from the row's other rates by n = p(1 − p)/se², or
        from the table where the row has none, and the error is √(p̃(1 − p̃)/n) with Laplace's
        p̃ = (pn + 1)/(n + 2).
        """
        rates, published = self.rates, self.published
        known = published > 0.0
        answers = np.full(rates.shape, np.nan)
        np.divide(rates * (1.0 - rates), published**2, out=answers, where=known)
        answers[answers == 0.0] = np.nan
        told = answers[np.isfinite(answers)]
        everywhere = float(np.median(told)) if len(told) else _ANSWERS
        of_row = np.array(
            [np.nanmedian(a) if np.isfinite(a).any() else everywhere for a in answers]
        )
        n = of_row[:, None]
        likely = (rates * n + 1.0) / (n + 2.0)
        return np.where(known, published, np.sqrt(likely * (1.0 - likely) / n))

    @property
    def gap(self) -> Array:
        """The compliance gap [row]: refusals unmonitored less those in training."""
        rates: Array = self.rates[:, 2] - self.rates[:, 1]
        return rates

    def take(self, rows: Sequence[int] | NDArray[np.intp] | NDArray[np.bool_]) -> Measurements:
        """Return some rows, by place."""
        return Measurements(self.frame.iloc[rows].reset_index(drop=True), self.source)


def read_measurements(path: str | Path, *, of: Sequence[str] = OF_PROMPTS) -> Measurements:
    """Return the measurements of a CSV file.

    Args:
        path: The file.
        of: The columns that tell its rows apart.

    Raises:
        SpecError: One line: what is missing or wrong, in which column and row, what is allowed.
    """
    text = str(path)
    try:
        frame = pd.read_csv(text, dtype=dict.fromkeys(of, str), keep_default_na=False)
    except FileNotFoundError:
        raise SpecError(f"data: there is no file {text!r}") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise SpecError(f"data: {text!r} is no table: {' '.join(str(error).split())}") from None
    return check_measurements(frame, of=of, source=text)


def check_measurements(
    frame: pd.DataFrame, *, of: Sequence[str] = OF_PROMPTS, source: str = "table"
) -> Measurements:
    """Return the measurements of a table, or refuse it.

    Raises:
        SpecError: One line: what is missing or wrong, in which column and row, what is allowed.
    """
    numbers = [*RATES, *(f"{rate}_se" for rate in RATES)]
    where = f"data {Path(source).name!r}"
    for name in (*of, *numbers):
        if name not in frame.columns:
            hint = nearest(name, [str(column) for column in frame.columns])
            raise SpecError(f"{where}: column {name!r} is missing; it has others: {hint}")
    if frame.empty:
        raise SpecError(f"{where}: has no rows")
    kept = frame[[*of, *numbers]].copy()
    for name in of:
        kept[name] = kept[name].astype(str).str.strip()
    for name in numbers:
        kept[name] = _checked(kept[name], name, where=where)
    _refuse(kept.duplicated(list(of)), where, " and ".join(of), "the same as in a row before")
    return Measurements(kept.reset_index(drop=True), source)


def _checked(column: pd.Series, name: str, *, where: str) -> pd.Series:
    """Return a column of numbers, each allowed there."""
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    _refuse(~np.isfinite(numbers), where, name, "must be a number", column)
    if name.endswith("_se"):
        _refuse(numbers < 0.0, where, name, "a standard error must be 0 or more", column)
        _refuse(numbers > 0.5, where, name, "a standard error of a rate is at most 0.5", column)
    else:
        _refuse((numbers < 0.0) | (numbers > 1.0), where, name, "a rate is from 0 to 1", column)
    return numbers


def _refuse(
    bad: pd.Series, where: str, name: str, why: str, column: pd.Series | None = None
) -> None:
    if bad.any():
        first = int(np.flatnonzero(bad.to_numpy())[0])
        got = "" if column is None else f"got {column.tolist()[first]!r}: "
        raise SpecError(f"{where}: line {first + 2}, {name}: {got}{why}")
