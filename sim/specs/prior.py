"""Priors: what is believed of agents before anything of them is seen. Nobody's estimates.

A prior gives keys of the specs distributions, and says which go together:

    distributions:
      agent.awareness: {kind: normal, mean: -2, sd: 3}
      agent.capability.*: {kind: normal, mean: 0, sd: 2}
      training.leak: 0.1
    goals:
      alignment: {kind: normal, mean: 0, sd: 1}
      sd: 1
    correlations:
      - {keys: [agent.awareness, agent.capability.*], rho: 0.3}

`*` stands for all names that the scenario has at this place. `goals` says how values lie to human
values w: the value d starts at v_d = alignment · w_d + a normal draw of standard deviation `sd`.
This alignment is one hidden number for each agent; correlations call it `alignment`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import combinations, product
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from sim.specs.agent import CAPABILITIES
from sim.specs.base import NonNegative, Real, Share, Spec, Within, refuse
from sim.specs.errors import SpecError, nearest
from sim.specs.keys import full_key
from sim.specs.library import read_yaml, resolve
from sim.specs.scenario import Scenario

#: The hidden number by which values lie along human values, as correlations call it.
ALIGNMENT = "alignment"
Positive = Annotated[float, Within(low=1e-9)]
Rho = Annotated[float, Within(low=-1.0, high=1.0)]


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
            raise refuse("must be above low ({low})", at="high", low=f"{self.low:g}")
        return self


class Beta(Spec):
    """A share."""

    kind: Literal["beta"] = "beta"
    a: Positive
    b: Positive


class LogitNormal(Spec):
    """A share whose logit is normal."""

    kind: Literal["logit_normal"] = "logit_normal"
    median: Annotated[float, Within(low=1e-9, high=1.0 - 1e-9)]
    sd: NonNegative = Field(description="of the logit")


class Mixture(Spec):
    """One normal or another.

    Where it goes together with other numbers, these tell which of the two it is, first of all:
    their low end goes with `first`.
    """

    kind: Literal["mixture"] = "mixture"
    share: Share = Field(description="of the first")
    first: Normal
    second: Normal


_SPECS: dict[str, type[Spec]] = {
    str(spec.model_fields["kind"].default): spec
    for spec in (Point, Normal, LogNormal, Uniform, Beta, LogitNormal, Mixture)
}
KINDS = tuple(_SPECS)


def _with_kind(value: object) -> object:
    """Take a plain number for a point, and refuse a kind that there is not."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"kind": "point", "value": value}
    if isinstance(value, Mapping):
        if "kind" not in value:
            raise refuse("is missing; allowed: {kinds}", at="kind", kinds=", ".join(KINDS))
        if value["kind"] not in KINDS:
            raise refuse("unknown kind; {hint}", at="kind", hint=nearest(value["kind"], KINDS))
    return value


def _kind_of(value: object) -> str | None:
    kind = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
    return None if kind is None else str(kind)


AnyDistribution = Point | Normal | LogNormal | Uniform | Beta | LogitNormal | Mixture
Distribution = Annotated[
    Annotated[Point, Tag("point")]
    | Annotated[Normal, Tag("normal")]
    | Annotated[LogNormal, Tag("lognormal")]
    | Annotated[Uniform, Tag("uniform")]
    | Annotated[Beta, Tag("beta")]
    | Annotated[LogitNormal, Tag("logit_normal")]
    | Annotated[Mixture, Tag("mixture")],
    Discriminator(
        _kind_of,
        custom_error_type="distribution",
        custom_error_message="must be a number, or a mapping with a kind",
    ),
    BeforeValidator(_with_kind),
]


class Goals(Spec):
    """How values lie to human values."""

    alignment: Distribution = Field(description="how far the values are human values, times w")
    sd: NonNegative = Field(1.0, description="of each value around that")


class Correlation(Spec):
    """Two keys that go together, by a normal copula."""

    keys: tuple[str, str]
    rho: Rho = Field(description="correlation of the normal scores behind the two")


class Prior(Spec):
    """What is believed of agents before anything of them is seen."""

    about: str = ""
    distributions: dict[str, Distribution] = Field({}, description="by key")
    goals: Goals | None = None
    correlations: tuple[Correlation, ...] = ()

    @model_validator(mode="after")
    def _something_is_said(self) -> Self:
        if not self.distributions and self.goals is None:
            raise refuse("must have distributions, or goals")
        return self

    @classmethod
    def load(cls, source: Prior | str | Path | Mapping[str, object]) -> Prior:
        """Return a prior from its name, a path, plain data, or itself.

        Raises:
            SpecError: There is none, or it cannot be used.
        """
        if isinstance(source, str | Path):
            return cls.parse(read_yaml(resolve("prior", source)), path=f"prior {Path(source).stem}")
        return cls.parse(source, path="prior")

    def marginals(self, scenario: Scenario) -> dict[str, AnyDistribution]:
        """Return the distribution of each number of a scenario, by full key, sorted.

        With goals, one of them is `ALIGNMENT`, which is no key of the specs.

        Raises:
            SpecError: A key is given twice, or stands for nothing here.
        """
        found: dict[str, AnyDistribution] = {}
        given = set(self.distributions)
        for key, distribution in self.distributions.items():
            for full in _expanded(key, scenario):
                if full in found:
                    raise SpecError(f"prior: {full}: is given twice; keys: {', '.join(given)}")
                found[full] = distribution
        if self.goals is not None:
            if not any(scenario.human_values.values()):
                raise SpecError(f"prior.goals: {scenario.name!r} says nothing of human values")
            for value in scenario.values:
                if f"agent.initial.values.{value}" in found:
                    raise SpecError(f"prior: agent.values.{value}: is given by goals, too")
            found[ALIGNMENT] = self.goals.alignment
        return dict(sorted(found.items()))

    def pairs(self, scenario: Scenario) -> dict[tuple[str, str], float]:
        """Return the correlation of each pair of full keys for which one is given, sorted.

        Raises:
            SpecError: A key has no distribution, or is always the same; or a pair is given twice.
        """
        marginals = self.marginals(scenario)
        found: dict[tuple[str, str], float] = {}
        for index, one in enumerate(self.correlations):
            where = f"prior.correlations[{index}]"
            sides = [self._drawn(key, marginals, scenario, where) for key in one.keys]
            same = sides[0] == sides[1]
            pairs: Iterable[tuple[str, ...]] = (
                combinations(sides[0], 2) if same else product(*sides)
            )
            for pair in pairs:
                a, b = sorted(pair)
                if a == b:
                    raise SpecError(f"{where}: {a} with itself")
                if (a, b) in found:
                    raise SpecError(f"{where}: {a} with {b}: is given twice")
                found[a, b] = one.rho
        return dict(sorted(found.items()))

    def _drawn(
        self, key: str, marginals: Mapping[str, AnyDistribution], scenario: Scenario, where: str
    ) -> list[str]:
        names = [ALIGNMENT] if key == ALIGNMENT else _expanded(key, scenario)
        for name in names:
            if name not in marginals:
                raise SpecError(f"{where}: {key!r} has no distribution; {_near(key, marginals)}")
            if marginals[name].kind == "point":
                raise SpecError(f"{where}: {key!r} is one number for all; nothing goes with it")
        return names


def _near(key: str, marginals: Collection[str]) -> str:
    return nearest(key, [name.replace("agent.initial.", "agent.") for name in marginals])


def _expanded(key: str, scenario: Scenario) -> list[str]:
    """Return the full keys that a key with * stands for, in order."""
    path = full_key(key).split(".")
    if "*" not in path:
        return [".".join(path)]
    place = path.index("*")
    names: Mapping[tuple[str, ...], Iterable[str]] = {
        ("agent", "initial", "values"): scenario.values,
        ("agent", "initial", "capability"): CAPABILITIES,
        ("agent", "initial", "habit"): scenario.contexts,
        ("scenario", "contexts"): scenario.contexts,
    }
    before = tuple(path[:place])
    if before not in names or "*" in path[place + 1 :]:
        allowed = [".".join((*start, "*")).replace("initial.", "") for start in names]
        raise SpecError(f"prior: {key}: * cannot stand here; {nearest(key, allowed)}")
    return [".".join((*before, name, *path[place + 1 :])) for name in names[before]]
