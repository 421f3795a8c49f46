"""Points that are drawn from a prior: a population of agents as the design of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from scipy.special import betaincinv, expit, logit, ndtr, ndtri

from sim.dynamics.randomness import normal
from sim.simulation import MOST_SEED
from sim.specs.distributions import (
    AnyDistribution,
    Beta,
    LogitNormal,
    LogNormal,
    Mixture,
    Normal,
    Point,
    Uniform,
)
from sim.specs.errors import SpecError, check_whole
from sim.specs.prior import ALIGNMENT, Prior
from sim.specs.scenario import Scenario
from sim.sweeps.design import Design, Index, Numbers, extreme_rows

#: Least eigenvalue of a matrix of correlations that is taken for positive definite.
_MINIMUM_EIGENVALUE = 1e-9


class PriorSample(Design):
    """Points drawn from a prior, an agent of a scenario for each.

    Every number of a point is drawn by the point's number and the key's name: point n stays the
    same however many there are, and in whatever order the prior names its keys. A prior of what no
    agent of this scenario has, or whose correlations cannot all hold, is refused (SpecError).
    """

    def __init__(self, prior: Prior, *, points: int, scenario: Scenario, seed: int = 0) -> None:
        check_whole("points", points, minimum=1, maximum=2**32 - 1)
        check_whole("seed", seed, minimum=0, maximum=MOST_SEED)
        self._points, self._seed = int(points), int(seed)
        self._marginals = prior.marginals(scenario)
        pairs = prior.pairs(scenario)
        self._correlated = sorted({key for pair in pairs for key in pair})
        self._factor = _cholesky(self._correlated, pairs)
        self._goals = prior.goals
        weights = {value: scenario.human_values.get(value, 0.0) for value in scenario.values}
        self._human_values = {f"agent.initial.values.{v}": w for v, w in weights.items()}
        independent = [key for key in self._marginals if key != ALIGNMENT]
        self.keys = (*independent, *(self._human_values if self._goals else ()))

    def __len__(self) -> int:
        return self._points

    def at(
        self, rows: Index, *, human_values: Mapping[str, Numbers] | None = None
    ) -> dict[str, Numbers]:
        """Return the numbers of some points by key, each [rows].

        Where points have worlds of their own, `human_values` are theirs by value, each [rows].
        """
        scores = self.scores(rows)
        numbers = {key: quantile(d, scores[key]) for key, d in self._marginals.items()}
        if self._goals is not None:
            alignment = numbers.pop(ALIGNMENT)
            for key, stated in self._human_values.items():
                weight = stated if human_values is None else human_values[key.split(".")[-1]]
                numbers[key] = alignment * weight + self._goals.sd * self._normal(key, rows)
        return numbers

    def scores(self, rows: Index) -> dict[str, Numbers]:
        """Return the normal scores of some points by key, each [rows], with their correlations."""
        independent = {key: self._normal(key, rows) for key in self._marginals}
        scores = dict(independent)
        for i, key in enumerate(self._correlated):
            # Term by term: a matrix product would not give a point the same bits in any company.
            total = np.zeros(len(rows))
            for j in range(i + 1):
                total += self._factor[i, j] * independent[self._correlated[j]]
            scores[key] = total
        return scores

    def extremes(self, key: str) -> Index:
        """Return points at which a key has its least and its greatest number."""
        return self._extremes[key]

    @cached_property
    def _extremes(self) -> dict[str, Index]:
        numbers = self.at(np.arange(self._points))
        return {key: extreme_rows(column) for key, column in numbers.items()}

    def _normal(self, key: str, rows: Index) -> Numbers:
        return normal(seed=self._seed, stream=f"prior {key}", rows=rows)


def quantile(distribution: AnyDistribution, score: Numbers) -> Numbers:
    """Return the numbers at the places in a distribution that normal scores have [scores]."""
    d, number = distribution, score
    match d:
        case Point():
            return np.full_like(score, d.value)
        case Normal():
            return d.mean + d.sd * score
        case LogNormal():
            number = d.median * np.exp(d.sd * score)
        case LogitNormal():
            number = expit(logit(d.median) + d.sd * score)
        case Uniform():
            number = (d.low + (d.high - d.low) * ndtr(score)).clip(d.low, d.high)
        case Beta():
            number = betaincinv(d.a, d.b, ndtr(score))
        case Mixture():
            place = ndtr(score)
            is_first = place < d.share
            within = np.where(
                is_first,
                place / max(d.share, 1e-300),
                (place - d.share) / max(1.0 - d.share, 1e-300),
            ).clip(1e-16, 1.0 - 1e-16)
            inner = ndtri(within)
            number = np.where(
                is_first, d.first.mean + d.first.sd * inner, d.second.mean + d.second.sd * inner
            )
    return number


def _cholesky(keys: list[str], pairs: dict[tuple[str, str], float]) -> Numbers:
    """Return the lower factor of the matrix of correlations [keys, keys].

    Where it is not positive definite, a SpecError names the pair that makes it so most.
    """
    matrix: Numbers = np.eye(len(keys))
    place = {key: i for i, key in enumerate(keys)}
    for (a, b), rho in pairs.items():
        matrix[place[a], place[b]] = matrix[place[b], place[a]] = rho
    if not keys:
        return matrix
    eigenvalues, eigenvectors = np.linalg.eigh(matrix)
    if eigenvalues[0] < _MINIMUM_EIGENVALUE:
        v = eigenvectors[:, 0]
        worst = min(pairs, key=lambda pair: pairs[pair] * v[place[pair[0]]] * v[place[pair[1]]])
        a, b = (key.replace("agent.initial.", "agent.") for key in worst)
        raise SpecError(
            f"prior.correlations: they cannot all hold (not positive definite); bring the "
            f"correlation of {a} with {b} ({pairs[worst]:g}) nearer to 0"
        )
    return np.asarray(np.linalg.cholesky(matrix), np.float64)
