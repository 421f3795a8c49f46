"""Published measurements of training-gaming, and the parts of the model that are free to fit them.

A table has a row for each prompt (or each prompt and stage of training) and the columns
`af_reasoning`, the share of training scratchpads that reason about gaming the training, and
`refusal_training` and `refusal_unmonitored`, the shares of answers that do not comply where the
input says that it is trained on, and is not; each with its standard error `_se` (data/README.md).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, model_validator

from sim.dynamics.state import Array
from sim.specs.base import ByName, FrozenDict, Real, Spec, refuse, within
from sim.specs.errors import SpecError, nearest

#: The rates that are measured, in the order of all arrays here.
RATES = ("af_reasoning", "refusal_training", "refusal_unmonitored")
#: The columns that tell rows apart, of a table of prompts and of a table of stages of training.
OF_PROMPTS = ("row", "setting", "condition")
OF_STAGES = ("setting", "prompt", "stage")
#: How many answers a rate is taken to be of, where no row of a table tells.
_ANSWERS = 100.0
#: A number as it is written with a decimal comma.
_COMMA = re.compile(r"\s*-?\d*,\d+\s*")


@dataclass(frozen=True)
class Measurements:
    """Rates of prompts: `frame` has a row for each, with the rates and their published errors."""

    frame: pd.DataFrame

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.frame)

    @property
    def rates(self) -> Array:
        """Return the rates as published [row, rate]."""
        return np.asarray(self.frame[list(RATES)], np.float64)

    @property
    def published(self) -> Array:
        """Return standard errors as published [row, rate]."""
        return np.asarray(self.frame[[f"{rate}_se" for rate in RATES]], np.float64)

    @property
    def answers(self) -> Array:
        """Return the effective number of answers of each rate, p (1 − p) / se² [row, rate].

        Where none (or all) of the answers are of a kind the published error is 0 and tells no
        number: it is the median of the row's other rates, else of the table.
        """
        rates, published = self.rates, self.published
        answers = np.full(rates.shape, np.nan)
        np.divide(rates * (1.0 - rates), published**2, out=answers, where=published > 0.0)
        answers[answers == 0.0] = np.nan
        finite = answers[np.isfinite(answers)]
        everywhere = float(np.median(finite)) if len(finite) else _ANSWERS
        of_row = [np.nanmedian(row) if np.isfinite(row).any() else everywhere for row in answers]
        return np.where(np.isfinite(answers), answers, np.array(of_row)[:, None])

    @property
    def errors(self) -> Array:
        """Return standard errors that can be divided by [row, rate].

        As published; where that is 0, √(p̃ (1 − p̃) / n) with Laplace's p̃ = (p n + 1) / (n + 2).
        """
        n = self.answers
        likely = (self.rates * n + 1.0) / (n + 2.0)
        return np.where(self.published > 0.0, self.published, np.sqrt(likely * (1.0 - likely) / n))

    def take(self, rows: Sequence[int] | NDArray[np.intp] | NDArray[np.bool_]) -> Measurements:
        """Return some rows, by place or by mask."""
        return Measurements(self.frame.iloc[rows].reset_index(drop=True))


def read_measurements(path: str | Path, *, columns: Sequence[str] = OF_PROMPTS) -> Measurements:
    """Return the measurements of a CSV file whose rows the columns `of` tell apart."""
    text = str(path)
    try:
        with open(text, encoding="utf-8", errors="replace") as file:
            first = file.readline()
        kinds = [name for mark, name in ((";", "semicolons"), ("\t", "tabs")) if mark in first]
        if "," not in first and kinds:
            need = "must have commas between columns, and points in numbers"
            raise SpecError(f"data: got {text!r} with {kinds[0]}: {need}")
        frame = pd.read_csv(text, dtype=dict.fromkeys(columns, str), keep_default_na=False)
    except FileNotFoundError:
        raise SpecError(f"data: there is no file {text!r}") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise SpecError(f"data: {text!r} is no table: {' '.join(str(error).split())}") from None
    return check_measurements(frame, columns=columns, source=text)


def check_measurements(
    frame: pd.DataFrame, *, columns: Sequence[str] = OF_PROMPTS, source: str = "table"
) -> Measurements:
    """Return the measurements of a table, or refuse it."""
    numbers = [*RATES, *(f"{rate}_se" for rate in RATES)]
    place = f"data {Path(source).name!r}"
    for name in (*columns, *numbers):
        if name not in frame.columns:
            hint = nearest(name, [str(column) for column in frame.columns])
            raise SpecError(f"{place}: column {name!r} is missing; it has others: {hint}")
    if frame.empty:
        raise SpecError(f"{place}: has no rows")
    table = frame[[*columns, *numbers]].copy()
    for name in columns:
        table[name] = table[name].astype(str).str.strip()
    for name in numbers:
        table[name] = _checked(table[name], name, place=place)
    _refuse(
        table.duplicated(list(columns)), place, " and ".join(columns), "the same as in a row before"
    )
    return Measurements(table.reset_index(drop=True))


def _checked(column: pd.Series, name: str, *, place: str) -> pd.Series:
    """Return a column of numbers, each allowed there."""
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    with_comma = column.astype(str).str.fullmatch(_COMMA.pattern)
    _refuse(with_comma, place, name, "has a decimal comma; numbers must have points", column)
    _refuse(~np.isfinite(numbers), place, name, "must be a number", column)
    if name.endswith("_se"):
        _refuse(numbers < 0.0, place, name, "a standard error must be 0 or more", column)
        _refuse(numbers > 0.5, place, name, "a standard error of a rate is at most 0.5", column)
    else:
        _refuse((numbers < 0.0) | (numbers > 1.0), place, name, "a rate is from 0 to 1", column)
    return numbers


def _refuse(
    bad: pd.Series, place: str, name: str, reason: str, column: pd.Series | None = None
) -> None:
    if bad.any():
        first = int(np.flatnonzero(bad.to_numpy())[0])
        content = "" if column is None else f"got {column.tolist()[first]!r}: "
        raise SpecError(f"{place}: line {first + 2}, {name}: {content}{reason}")


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise refuse(f"is no regular expression: {error}") from None
    return text


T = TypeVar("T")
Pattern = Annotated[str, AfterValidator(_pattern)]
Width = Annotated[float, within(low=1e-3)]
ByKey = Annotated[dict[str, T], AfterValidator(FrozenDict)]


class FreeNumber(Spec):
    """A number of the model that is fitted, and what is believed of it before."""

    start: Real = Field(description="centre of the belief, and where the search starts")
    width: Width = Field(description="its standard deviation, of the logarithm if that is fitted")
    by: Literal["setting"] | None = Field(None, description="one for each setting; null: for all")
    log: bool = Field(False, description="whether its logarithm is fitted")

    @model_validator(mode="after")
    def _logarithm_exists(self) -> Self:
        if self.log and self.start <= 0.0:
            raise refuse("must be above 0 where the logarithm is fitted", at="start")
        return self


class Edit(Spec):
    """Something that was changed in some prompts: it moves a number of the model, or sets some."""

    kind: str = Field(description="the kind of edit it is; cross-validation leaves kinds out")
    when: Pattern = Field(description="regular expression, found in the condition of its rows")
    moves: tuple[str, ...] = Field((), description="keys that it moves, each by a coefficient")
    by: Literal["setting"] | None = Field(None, description="one for each setting; null: for all")
    sets: ByKey[Real] = Field({}, description="numbers that it sets, by key; nothing is fitted")

    def applies(self, condition: str) -> bool:
        """Return whether a condition has the edit."""
        return re.search(self.when, condition) is not None


class Calibration(Spec):
    """The fit of a scenario to a table of prompts."""

    context: str = Field(description="the training context whose rates were measured")
    refusal: str = Field(description="the response that does not comply")
    value: str = Field(description="the value that answers are contested by")
    free: ByKey[FreeNumber] = Field(description="numbers that are fitted, by key")
    scatter: ByKey[FreeNumber] = Field(description="between prompts, of value and of awareness")
    local: ByKey[Real] = Field(description="numbers of the rival stake, which no fit moves")
    edits: ByName[Edit] = Field({}, description="what was changed in some prompts, by name")
    belief: Width = Field(1.0, description="standard deviation of coefficients of edits about 0")
    points: Annotated[int, Field(ge=20, le=10_000)] = Field(121, description="queries of a curve")
    reach: tuple[Real, Real] = Field((-4.0, 8.0), description="the least and greatest value there")

    @property
    def placing(self) -> tuple[str, str]:
        """Return the keys of the two numbers that edits and scatter between prompts move."""
        return f"agent.initial.values.{self.value}", "agent.initial.awareness"

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        for key in (*self.placing, "agent.spread.initial.values"):
            if key not in self.free:
                raise refuse(f"{key} must be free: prompts or queries differ in it", at="free")
        if self.reach[0] >= self.reach[1]:
            raise refuse("must be two numbers, the lower first", at="reach")
        if not self.local:
            raise refuse("must name a number", at="local")
        if set(self.scatter) != {"value", "awareness"}:
            raise refuse("must have value and awareness", at="scatter")
        return self
