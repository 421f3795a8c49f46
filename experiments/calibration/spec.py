"""What of the model is free when it is fitted to a table of prompts, and what prompts change.

A number of the model is free (one for all prompts, or one for each setting), or stays as its spec
says. What the authors of a prompt changed is an *edit*: words of the condition tell which rows have
it. An edit moves numbers by coefficients that are free too, the same in every row that has it, or
sets numbers. No row has a parameter of its own.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from sim.specs.base import ByName, FrozenDict, Real, Spec, Steps, refuse, within
from sim.specs.errors import nearest

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
