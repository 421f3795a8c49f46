"""Worlds drawn at random: what a prior says of scenarios before anything is known of them."""

from __future__ import annotations

from typing import Annotated, NamedTuple, Self

from pydantic import Field, model_validator

from sim.specs.base import Share, Spec, refuse
from sim.specs.distributions import Beta, Distribution, LogNormal, Normal, Uniform, support

#: How many of something a world has, each as likely.
Counts = Annotated[tuple[Annotated[int, Field(ge=0, le=50, strict=True)], ...], Field(min_length=1)]

#: Distributions of shares, and of numbers that are not below 0.
_SHARES = ("upholds", "agreement", "touches", "scratchpad", "monitor", "similarity")
_AMOUNTS = ("reward_size", "weight", "info")


class Structure(NamedTuple):
    """The numbers of a world that are no columns: how many there are of each thing."""

    training: int
    demonstrations: int
    evaluations: int
    red_teams: int
    unwatched: int
    values: int
    responses: int
    twins: int


class Worlds(Spec):
    """Scenarios drawn at random (MODEL.md section 1).

    Every training context may have a twin in deployment; `unwatched` deployment contexts have none
    before deployment. Responses stand in the order of how they serve human values, the best first,
    so that those of one name are of one kind; the last is subversive in deployment.
    A response's reward is size · (±agreement · z + √(1 − agreement²) · ε), where z is how it serves
    human values, standardised over the context's responses, and ε a standard normal number. The
    sign is + where training upholds human values, which it does in a share `upholds` of the
    training contexts; elsewhere what looks best is what people would want: always +.
    """

    training: Counts = Field((1, 2, 3, 5), description="training contexts")
    demonstrations: Counts = Field(
        (0, 1), description="of these, the last train by demonstration (never all)"
    )
    evaluations: Counts = (1,)
    red_teams: Counts = (1,)
    unwatched: Counts = Field((2,), description="deployment contexts that are no twin of any")
    twins: Annotated[tuple[Share, ...], Field(min_length=1)] = Field(
        (1.0,), description="share of the training contexts that have a twin"
    )
    values: Counts = (2, 3, 5)
    responses: Counts = (2, 4)
    upholds: Distribution = Field(
        Uniform(low=0.0, high=1.0), description="share of training that upholds human values"
    )
    agreement: Distribution = Field(
        Beta(a=2.0, b=1.0), description="correlation of rewards with human values, less its sign"
    )
    reward_size: Distribution = LogNormal(median=1.0, sd=0.5)
    human_values: Distribution = Field(Normal(mean=0.0, sd=1.0), description="w, of each value")
    touches: Distribution = Field(
        Beta(a=2.0, b=2.0), description="share of the values that a context has to do with"
    )
    feature: Distribution = Field(Normal(mean=0.0, sd=1.0), description="Φ, where it is touched")
    weight: Distribution = LogNormal(median=1.0, sd=0.5)
    info: Distribution = LogNormal(median=0.3, sd=1.0)
    scratchpad: Distribution = Beta(a=0.5, b=0.5)
    monitor: Distribution = Beta(a=0.5, b=0.5)
    cue: Distribution = Field(
        LogNormal(median=1.0, sd=0.7), description="e in training; −e in deployment"
    )
    inspection_cue: Distribution = Field(
        Normal(mean=0.0, sd=1.0), description="e in evaluations and red-teaming"
    )
    similarity: Distribution = Field(
        Beta(a=1.0, b=1.0), description="S of each pair of contexts; of twins it is 1"
    )

    @model_validator(mode="after")
    def _has_some(self) -> Self:
        for name in ("training", "values", "responses"):
            if min(getattr(self, name)) < 1:
                raise refuse("a world needs at least one", at=name)
        for name in Structure._fields:
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise refuse("each number may stand only once", at=name)
        for name in (*_SHARES, *_AMOUNTS):
            low, high = support(getattr(self, name))
            if low < 0.0 or (name in _SHARES and high > 1.0):
                allowed = "shares (beta, logit_normal, uniform, ...)"
                if name in _AMOUNTS:
                    allowed = "numbers of 0 or more (lognormal, beta, uniform, ...)"
                raise refuse(f"must be a distribution of {allowed}", at=name)
        for name in ("weight", "human_values"):
            if support(getattr(self, name)) == (0.0, 0.0):
                raise refuse("all zero, where a world needs some", at=name)
        return self
