"""Priors: distributions of agents before anything is observed of them. Nobody's estimates.

A prior has distributions by keys of the specs, and correlations between keys:

    distributions:
      agent.awareness: {kind: normal, mean: -2, sd: 3}
      agent.capability.*: {kind: normal, mean: 0, sd: 2}
      training.leak: 0.1
    goals:
      alignment: {kind: normal, mean: 0, sd: 1}
      sd: 1
    correlations:
      - {keys: [agent.awareness, agent.capability.*], rho: 0.3}

`*` stands for all names that the scenario has at this place. With `goals`, values are correlated
with human values w: the value d starts at v_d = alignment · w_d + a normal draw of standard
deviation `sd`. This alignment is one hidden number of each agent, `alignment` in correlations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations, product
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from sim.specs.base import NonNegative, Spec, within
from sim.specs.distributions import AnyDistribution, Distribution
from sim.specs.errors import SpecError, nearest, refuse
from sim.specs.keys import full_key, names_at
from sim.specs.library import read_data, resolve
from sim.specs.scenario import Scenario
from sim.specs.worlds import Worlds

#: The hidden number by which values lie along human values, in correlations.
ALIGNMENT = "alignment"
#: The places at which * stands for all names.
_STARRED = (
    *(f"agent.initial.{kind}.*" for kind in ("values", "capability", "habit", "propensity")),
    "agent.initial.propensity.*.*",
    "scenario.contexts.*",
)
Rho = Annotated[float, Field(ge=-1.0, le=1.0), within(low=-1.0, high=1.0)]


class Goals(Spec):
    """Values around human values."""

    alignment: Distribution = Field(description="how far the values are human values, times w")
    sd: NonNegative = Field(1.0, description="of each value around that")


class Correlation(Spec):
    """The correlation of two keys, by a normal copula."""

    keys: tuple[str, str]
    rho: Rho = Field(description="correlation of the normal scores behind the two")


class Prior(Spec):
    """Distributions of agents before anything is observed of them."""

    about: str = ""
    distributions: dict[str, Distribution] = Field({}, description="by key")
    goals: Goals | None = None
    correlations: tuple[Correlation, ...] = ()
    worlds: Worlds | None = Field(None, description="scenarios drawn at random; null: none")

    @model_validator(mode="after")
    def _check_some(self) -> Self:
        if not self.distributions and self.goals is None and self.worlds is None:
            raise refuse("must have distributions, goals or worlds")
        return self

    def __repr__(self) -> str:
        goals = ", goals" if self.goals else ""
        counts = f"{len(self.distributions)} distributions{goals}"
        return f"<sim.Prior: {counts}, {len(self.correlations)} correlations>"

    @classmethod
    def load(cls, source: Prior | str | Path | Mapping[str, object]) -> Prior:
        """Return a prior from its name, a path, plain data, or itself (SpecError)."""
        if isinstance(source, str | Path):
            data = read_data("prior", resolve("prior", source))
            return cls.parse(data, path=f"prior {Path(source).stem}")
        return cls.parse(source, path="prior")

    def marginals(self, scenario: Scenario) -> dict[str, AnyDistribution]:
        """Return the distribution of each number of a scenario, by full key, sorted.

        With goals, one of them is `ALIGNMENT`, which is no key of the specs. A key that is given
        twice, or stands for nothing here, is refused (SpecError).
        """
        marginals: dict[str, AnyDistribution] = {}
        for key, distribution in self.distributions.items():
            for full in _expand(key, scenario):
                if full in marginals:
                    keys = ", ".join(set(self.distributions))
                    raise SpecError(f"prior: {full}: is given twice; keys: {keys}")
                marginals[full] = distribution
        if self.goals is not None:
            if not any(scenario.human_values.values()):
                raise SpecError(f"prior.goals: {scenario.name!r} says nothing of human values")
            for value in scenario.values:
                if f"agent.initial.values.{value}" in marginals:
                    raise SpecError(f"prior: agent.values.{value}: is given by goals, too")
            marginals[ALIGNMENT] = self.goals.alignment
        return dict(sorted(marginals.items()))

    def pairs(self, scenario: Scenario) -> dict[tuple[str, str], float]:
        """Return the correlations by pairs of full keys, sorted.

        A key without a distribution, or of one number for all, and a pair that is given twice, are
        refused (SpecError).
        """
        marginals = self.marginals(scenario)
        correlations: dict[tuple[str, str], float] = {}
        for index, correlation in enumerate(self.correlations):
            path = f"prior.correlations[{index}]"
            first, second = (_random(k, marginals, scenario, path) for k in correlation.keys)
            pairs: Iterable[tuple[str, ...]] = (
                combinations(first, 2) if first == second else product(first, second)
            )
            for pair in pairs:
                a, b = sorted(pair)
                if a == b:
                    raise SpecError(f"{path}: {a} with itself")
                if (a, b) in correlations:
                    raise SpecError(f"{path}: {a} with {b}: is given twice")
                correlations[a, b] = correlation.rho
        return dict(sorted(correlations.items()))


def _random(
    key: str, marginals: Mapping[str, AnyDistribution], scenario: Scenario, path: str
) -> list[str]:
    """Return the full keys that a key stands for, all of which have distributions."""
    names = [ALIGNMENT] if key == ALIGNMENT else _expand(key, scenario)
    for name in names:
        if name not in marginals:
            hint = nearest(key, [full.replace("agent.initial.", "agent.") for full in marginals])
            raise SpecError(f"{path}: {key!r} has no distribution; {hint}")
        if marginals[name].kind == "point":
            raise SpecError(f"{path}: {key!r} is one number for all; nothing goes with it")
    return names


def _expand(key: str, scenario: Scenario) -> list[str]:
    """Return the full keys that a key with * stands for, in order."""
    path = full_key(key).split(".")
    if "*" not in path:
        return [".".join(path)]
    stars = [place for place, part in enumerate(path) if part == "*"]
    if ".".join(path[: stars[0] + 1] + ["*"] * (len(stars) - 1)) not in _STARRED:
        allowed = [starred.replace("initial.", "") for starred in _STARRED]
        raise SpecError(f"prior: {key}: * cannot stand here; {nearest(key, allowed)}")
    before, after = tuple(path[: stars[0]]), path[stars[0] + 1 :]
    keys = (".".join((*before, name, *after)) for name in names_at(before, scenario))
    return [full for each in keys for full in _expand_last(each, scenario)]


def _expand_last(key: str, scenario: Scenario) -> list[str]:
    """Return the full keys that a key with at most one * stands for."""
    before, star, _ = key.partition(".*")
    return (
        [f"{before}.{x}" for x in names_at(tuple(before.split(".")), scenario)] if star else [key]
    )
