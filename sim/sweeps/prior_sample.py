"""Points that are drawn from a prior: a population of agents as the design of a sweep."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.special import betaincinv, expit, logit, ndtr, ndtri

from sim.dynamics.randomness import normal
from sim.simulation import MOST_SEED
from sim.specs.errors import SpecError, check_whole
from sim.specs.prior import (
    ALIGNMENT,
    AnyDistribution,
    Beta,
    LogitNormal,
    LogNormal,
    Mixture,
    Normal,
    Point,
    Prior,
    Uniform,
)
from sim.specs.scenario import Scenario
from sim.sweeps.design import Design, Index, Numbers, extreme_rows

#: Least eigenvalue of a matrix of correlations that is taken for positive definite.
_LEAST = 1e-9


class PriorSample(Design):
    """Points drawn from a prior, an agent for each.

    Every number of a point is drawn by the point's number and the key's name: point n stays the
    same however many there are, and in whatever order the prior names its keys.

    Args:
        prior: What the numbers are drawn from.
        points: How many.
        seed: Of the draw.
        scenario: Says what values, contexts and human values there are.

    Raises:
        SpecError: The prior says what no agent of this scenario has, or its correlations cannot
            all hold.
    """

    def __init__(self, prior: Prior, *, points: int, scenario: Scenario, seed: int = 0) -> None:
        check_whole("points", points, minimum=1, maximum=2**32 - 1)
        check_whole("seed", seed, minimum=0, maximum=MOST_SEED)
        self._points, self._seed = int(points), int(seed)
        self._marginals = prior.marginals(scenario)
        pairs = prior.pairs(scenario)
        self._joined = sorted({key for pair in pairs for key in pair})
        self._mixing = _cholesky(self._joined, pairs)
        self._goals = prior.goals
        self._human = {value: scenario.human_values.get(value, 0.0) for value in scenario.values}

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the keys that have a column."""
        own = [key for key in self._marginals if key != ALIGNMENT]
        goals = [f"agent.initial.values.{name}" for name in self._human] if self._goals else []
        return (*own, *goals)

    def __len__(self) -> int:
        """Return the number of points."""
        return self._points

    def at(self, rows: Index) -> dict[str, Numbers]:
        """Return the numbers of some points, by key."""
        scores = self.scores(rows)
        drawn = {key: quantile(of, scores[key]) for key, of in self._marginals.items()}
        if self._goals is not None:
            along = drawn.pop(ALIGNMENT)
            for value, human in self._human.items():
                key = f"agent.initial.values.{value}"
                drawn[key] = along * human + self._goals.sd * self._normal(key, rows)
        return drawn

    def scores(self, rows: Index) -> dict[str, Numbers]:
        """Return the normal scores behind some points, by key; those that go together, mixed."""
        own = {key: self._normal(key, rows) for key in self._marginals}
        mixed = dict(own)
        for i, key in enumerate(self._joined):
            # Term by term: a matrix product would not give a point the same bits in any company.
            total = np.zeros(len(rows))
            for j in range(i + 1):
                total += self._mixing[i, j] * own[self._joined[j]]
            mixed[key] = total
        return mixed

    def extremes(self, key: str) -> Index:
        """Return points in which a key has its least and its greatest number."""
        return self._extremes[key]

    @cached_property
    def _extremes(self) -> dict[str, Index]:
        """The points in which keys have their least and their greatest numbers, by key."""
        drawn = self.at(np.arange(self._points))
        return {key: extreme_rows(numbers) for key, numbers in drawn.items()}

    def _normal(self, key: str, rows: Index) -> Numbers:
        return normal(seed=self._seed, stream=f"prior {key}", rows=rows)


def quantile(of: AnyDistribution, score: Numbers) -> Numbers:
    """Return the number of a distribution that has a normal score's place in it."""
    found: Numbers
    match of:
        case Point():
            return np.full_like(score, of.value)
        case Normal():
            return of.mean + of.sd * score
        case LogNormal():
            found = of.median * np.exp(of.sd * score)
        case LogitNormal():
            found = expit(logit(of.median) + of.sd * score)
        case Uniform():
            found = (of.low + (of.high - of.low) * ndtr(score)).clip(of.low, of.high)
        case Beta():
            found = betaincinv(of.a, of.b, ndtr(score))
        case Mixture():
            place = ndtr(score)
            first = place < of.share
            within = np.where(
                first,
                place / max(of.share, 1e-300),
                (place - of.share) / max(1.0 - of.share, 1e-300),
            ).clip(1e-16, 1.0 - 1e-16)
            inner = ndtri(within)
            found = np.where(
                first,
                of.first.mean + of.first.sd * inner,
                of.second.mean + of.second.sd * inner,
            )
    return found


def _cholesky(keys: list[str], pairs: dict[tuple[str, str], float]) -> Numbers:
    """Return the lower factor of the matrix of correlations.

    Raises:
        SpecError: It is not positive definite; names the pair that makes it so most.
    """
    matrix: Numbers = np.eye(len(keys))
    place = {key: i for i, key in enumerate(keys)}
    for (a, b), rho in pairs.items():
        matrix[place[a], place[b]] = matrix[place[b], place[a]] = rho
    if not keys:
        return matrix
    values, vectors = np.linalg.eigh(matrix)
    if values[0] < _LEAST:
        minimum = vectors[:, 0]
        worst = min(
            pairs, key=lambda pair: pairs[pair] * minimum[place[pair[0]]] * minimum[place[pair[1]]]
        )
        a, b = (key.replace("agent.initial.", "agent.") for key in worst)
        raise SpecError(
            f"prior.correlations: they cannot all hold (not positive definite); bring the "
            f"correlation of {a} with {b} ({pairs[worst]:g}) nearer to 0"
        )
    factor: Numbers = np.asarray(np.linalg.cholesky(matrix), np.float64)
    return factor
