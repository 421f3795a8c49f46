"""Assumptions that nobody knows, as data: the region over which every claim is tried."""

from __future__ import annotations

from math import exp, log
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from sim.specs.base import Real, Spec, refuse
from sim.specs.library import read_yaml
from sim.sweeps.design import Numbers


class Range(Spec):
    """A range of a number, evenly or evenly in the logarithm."""

    low: Real
    high: Real
    scale: Literal["linear", "log"] = "linear"

    @model_validator(mode="after")
    def _low_is_below_high(self) -> Self:
        if self.low >= self.high or (self.scale == "log" and self.low <= 0.0):
            raise refuse("must be below high, and above 0 on a log scale", at="low")
        return self

    def stretch(self, share: Numbers) -> Numbers:
        """Return the numbers at shares of the range, from 0 to 1."""
        if self.scale == "log":
            return np.asarray(exp(log(self.low)) * (self.high / self.low) ** share)
        return np.asarray(self.low + (self.high - self.low) * share)


class Assumptions(Spec):
    """All assumptions.

    Attributes:
        choices: By key, what is no number of an array program.
        ranges: By key, the range of a number.
        after: By key, the range of a number of oversight or deployment.
        near: By key, where the second density has its middle, for what has no default.
        also: Further numbers that are drawn with worlds and agents, and may decide a claim.
    """

    choices: dict[str, tuple[Any, ...]] = Field({})
    ranges: dict[str, Range] = Field({})
    after: dict[str, Range] = Field({})
    near: dict[str, Real] = Field({})
    also: tuple[str, ...] = ()

    @property
    def axes(self) -> tuple[str, ...]:
        """The keys of all that may decide a claim, in order."""
        return (*self.choices, *self.ranges, *self.after, *self.also)

    @classmethod
    def load(cls, path: Path) -> Assumptions:
        """Read assumptions from a file (SpecError)."""
        return cls.parse(read_yaml(path), path=path.stem)
