"""Published measurements of training-gaming, and what of the model is free to fit them.

Published measurements of training-gaming: three rates for each prompt, with standard errors.

A table has a row for each prompt (or for each prompt and stage of training) and the columns
`af_reasoning`, the share of training scratchpads that reason about gaming the training;
`refusal_training` and `refusal_unmonitored`, the shares of answers that do not comply, where the
input says that it is trained on and where it says that it is not; each with its standard error
`_se`. The measurements of Greenblatt et al. (arXiv 2412.14093) have this form: data/README.md.

What of the model is free when it is fitted to a table of prompts, and what prompts change.

A number of the model is free (one for all prompts, or one for each setting), or stays as its spec
says. What the authors of a prompt changed is an *edit*: words of the condition tell which rows have
it. An edit moves numbers by coefficients that are free too, the same in every row that has it, or
sets numbers. No row has a parameter of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, model_validator

from sim.dynamics.state import Array
from sim.specs.base import ByName, FrozenDict, Real, Spec, Steps, refuse, within
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
        with open(text, encoding="utf-8", errors="replace") as file:
            head = file.readline()
        if "," not in head and (";" in head or "\t" in head):
            found = "semicolons" if ";" in head else "tabs"
            need = "must have commas between columns, and points in numbers"
            raise SpecError(f"data: got {text!r} with {found}: {need}")
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


#: Keys have dots, and * for all contexts.
ByKey = Annotated[dict[str, Real], AfterValidator(FrozenDict)]


def _a_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise refuse(f"is no regular expression: {error}") from None
    return text


class FreeNumber(Spec):
    """A number of the model that is fitted."""

    start: Real = Field(description="where the search starts")
    low: Real = Field(description="the least number allowed")
    high: Real = Field(description="the greatest")
    by: Literal["setting"] | None = Field(None, description="one for each setting; null: for all")
    log: bool = Field(False, description="whether its logarithm is what is fitted and moved")

    @model_validator(mode="after")
    def _start_lies_within(self) -> Self:
        if not self.low < self.high:
            raise refuse(f"must be above low ({self.low:g})", at="high")
        if not self.low <= self.start <= self.high:
            raise refuse(f"must be from low ({self.low:g}) to high ({self.high:g})", at="start")
        if self.log and self.low <= 0.0:
            raise refuse("must be above 0 where the logarithm is fitted", at="low")
        return self


class Edit(Spec):
    """Something that was changed in some prompts."""

    when: Annotated[str, AfterValidator(_a_pattern)] = Field(
        description="regular expression; rows in whose condition it is found have the edit"
    )
    moves: tuple[str, ...] = Field(
        (), description="keys that it moves, each by a coefficient that is fitted"
    )
    by: Literal["setting"] | None = Field(
        None, description="coefficients for each setting; null: for all"
    )
    sets: ByKey = Field({}, description="numbers that it sets, by key; nothing is fitted")

    def applies(self, condition: str) -> bool:
        """Say whether a condition has the edit."""
        return re.search(self.when, condition) is not None


class Calibration(Spec):
    """How a scenario is fitted to a table of prompts.

    `agent.initial.values.VALUE` (of the contested value) and `agent.initial.awareness` are free.
    """

    context: str = Field(description="the training context whose rates were measured")
    refusal: str = Field(description="the response that does not comply")
    value: str = Field(description="the value that answers are contested by")
    free: Annotated[dict[str, FreeNumber], AfterValidator(FrozenDict)] = Field(
        description="numbers that are fitted, by key"
    )
    edits: ByName[Edit] = Field({}, description="what was changed in some prompts, by name")
    mechanisms: Annotated[dict[str, ByKey], AfterValidator(FrozenDict)] = Field(
        {}, description="parts of the model, by name: the numbers that free keys have without it"
    )
    most: Annotated[float, within(low=0.1, high=100.0)] = Field(
        12.0, description="how far an edit moves a number at most"
    )
    shrink: Annotated[float, within(low=1e-3)] | None = Field(
        2.0,
        description="standard deviation about 0 that coefficients of edits are believed to have; "
        "null: nothing is believed",
    )
    kinds: Steps = Field(15, description="into how many kinds of query a spread of values is cut")

    @property
    def placing(self) -> tuple[str, str]:
        """The two numbers by which prompts differ most: what places a prompt."""
        return f"agent.initial.values.{self.value}", "agent.initial.awareness"

    @model_validator(mode="after")
    def _all_is_named(self) -> Self:
        for key in self.placing:
            if key not in self.free:
                raise refuse(f"{key} must be free: prompts differ in it", at="free")
        for name, without in self.mechanisms.items():
            for key in without:
                if key not in self.free:
                    hint = nearest(key, self.free)
                    raise refuse(f"{key} is not free; {hint}", at=f"mechanisms.{name}")
        return self
