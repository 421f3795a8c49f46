"""Distributions of a number, as a prior states them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from sim.specs.base import NonNegative, Real, Share, Spec, is_number, within
from sim.specs.errors import nearest, refuse

Positive = Annotated[float, Field(ge=1e-9), within(low=1e-9)]
Inside = Annotated[float, Field(ge=1e-9, le=1.0 - 1e-9), within(low=1e-9, high=1.0 - 1e-9)]


class Point(Spec):
    """One number for all agents."""

    kind: Literal["point"] = "point"
    value: Real


class Normal(Spec):
    """A normal number."""

    kind: Literal["normal"] = "normal"
    mean: Real
    sd: NonNegative


class LogNormal(Spec):
    """A positive number whose logarithm is normal."""

    kind: Literal["lognormal"] = "lognormal"
    median: Positive
    sd: NonNegative = Field(description="of the logarithm")


class Uniform(Spec):
    """A number anywhere in a range."""

    kind: Literal["uniform"] = "uniform"
    low: Real
    high: Real

    @model_validator(mode="after")
    def _low_is_below_high(self) -> Self:
        if self.low >= self.high:
            raise refuse(f"must be above low ({self.low:g})", at="high")
        return self


class Beta(Spec):
    """A share."""

    kind: Literal["beta"] = "beta"
    a: Positive
    b: Positive


class LogitNormal(Spec):
    """A share whose logit is normal."""

    kind: Literal["logit_normal"] = "logit_normal"
    median: Inside
    sd: NonNegative = Field(description="of the logit")


class Mixture(Spec):
    """One normal or another; under a positive correlation, low scores belong to `first`."""

    kind: Literal["mixture"] = "mixture"
    share: Share = Field(description="of the first")
    first: Normal
    second: Normal


AnyDistribution = Point | Normal | LogNormal | Uniform | Beta | LogitNormal | Mixture
KINDS = [str(spec.model_fields["kind"].default) for spec in get_args(AnyDistribution)]


def support(distribution: AnyDistribution) -> tuple[float, float]:
    """Return between which ends a distribution has its numbers."""
    d = distribution
    match d:
        case Point():
            return d.value, d.value
        case Uniform():
            return d.low, d.high
        case Beta() | LogitNormal():
            return 0.0, 1.0
        case LogNormal():
            return 0.0, math.inf
    return -math.inf, math.inf


def _with_kind(value: object) -> object:
    """Return a plain number as a point, and refuse an unknown kind."""
    if is_number(value):
        return {"kind": "point", "value": value}
    if not isinstance(value, Mapping | AnyDistribution):
        raise PydanticCustomError("distribution", "must be a number, or a mapping with a kind")
    if isinstance(value, Mapping):
        if "kind" not in value:
            raise refuse(f"is missing; allowed: {', '.join(KINDS)}", at="kind")
        if value["kind"] not in KINDS:
            raise refuse(f"unknown kind; {nearest(value['kind'], KINDS)}", at="kind")
    return value


Distribution = Annotated[AnyDistribution, Field(discriminator="kind"), BeforeValidator(_with_kind)]
