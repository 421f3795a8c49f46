"""The verdict on a claim: how far it is true, and where it turns.

The frequency of the claim's event is a surface over the two assumptions that decide most: a
logistic regression on a quadratic form of their ranks (of a number, a linear one). The claim is
true where the surface is above what its quantifier asks for, or above the contrast's. The share of
the cases for which that is so makes the verdict; its interval is that of the bootstrap over cases,
which are drawn independently. An interval that reaches over the limit of two verdicts decides for
neither.

    holds ≥ 95 %   mostly ≥ 2/3   depends   rarely ≤ 1/3   fails ≤ 5 %   undecided
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import poisson

from sim.dynamics.randomness import uniform_pair
from sim.sweeps.design import Numbers
from sim.utils.intervals import binomial_interval

from .spec import QUANTIFIERS, Claim, Condition, Sample, sample_of

Verdict = Literal["holds", "mostly", "depends", "rarely", "fails", "undecided"]
VERDICTS: tuple[Verdict, ...] = ("holds", "mostly", "depends", "rarely", "fails", "undecided")
#: Above which share of the cases a claim holds, mostly holds, depends, holds rarely; else it fails.
LIMITS = (0.95, 2.0 / 3.0, 1.0 / 3.0, 0.05)
#: Cells of an axis, on which surfaces are fitted and shares are counted.
CELLS = 12
#: Bins of an axis by which its part is measured; of two axes together, so many each.
BINS, PAIRED_BINS = 8, 4
REPLICATES = 200
#: Fewer cases than these decide nothing.
FEWEST = 100
#: In fewer, none may be seen where 1 in 100 has it (1 in 20 times).
FEWEST_OF_SOME = 300
#: Bins and cells of fewer cases tell nothing of what decides.
FEWEST_IN_CELL = 30
#: Standard deviation of a surface's coefficients before the cases are seen, in logits.
_PRIOR = 3.0
_LEVEL = 0.95
#: Standard deviations beyond which an index is no noise; there are some thirty assumptions.
_BEYOND_NOISE = 4.0


@dataclass(frozen=True)
class Effect:
    """A statistic over all cases, with its 95 % interval.

    Attributes:
        estimate, low, high: The statistic; nan where there are no cases.
        cases: How many it is taken of.
    """

    estimate: float
    low: float
    high: float
    cases: int


@dataclass(frozen=True)
class Influence:
    """The part that an assumption has in a claim.

    Attributes:
        key: The assumption.
        index: Variance of the effect between bins of the assumption, less that of chance ...
        noise: ... and the standard deviation that it has if the assumption moves nothing.
        places: The middles of the bins ...
        effects: ... the effect in each, and ...
        errors: ... its standard error.
    """

    key: str
    index: float
    noise: float
    places: tuple[float | str, ...]
    effects: tuple[float, ...]
    errors: tuple[float, ...]

    @property
    def decides(self) -> bool:
        """Whether the assumption moves the effect by more than chance would."""
        return self.index > _BEYOND_NOISE * self.noise


@dataclass(frozen=True)
class Judgement:
    """A verdict.

    Attributes:
        verdict: The word.
        share, low, high: Of the cases to which the claim applies, the share for which it is true by
            where they lie on the plane of the two assumptions; with its 95 % interval.
        near_defaults: The same with cases near the defaults counting more.
        effect: The statistic of the claim ...
        contrast: ... that of the contrast ...
        difference: ... and the first less the second, or their ratio.
        by_alignment: These three with alignment in the place of conduct; None if it has none.
        undefined: Number of cases whose event is not defined.
        influences: All assumptions, those that decide most first.
        axes: The two that decide most.
        surface: The statistic (for `more`, less the contrast's) over cells of both [CELLS, CELLS].
        density: The share of the cases in each cell.
        threshold: What the surface must exceed.
    """

    verdict: Verdict
    share: float
    low: float
    high: float
    near_defaults: float
    effect: Effect
    contrast: Effect
    difference: Effect
    by_alignment: tuple[Effect, Effect, Effect] | None
    undefined: int
    influences: tuple[Influence, ...]
    axes: tuple[str, str]
    surface: Numbers
    density: Numbers
    threshold: float


def judge(
    claim: Claim,
    cases: Mapping[str, pd.DataFrame],
    assumptions: pd.DataFrame,
    *,
    defaults: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Judgement:
    """Return the verdict on a claim.

    Args:
        claim: The claim.
        cases: The outcomes of cases, by arm.
        assumptions: What may decide it, a row for each case.
        defaults: The default of each numeric assumption that has one.
        seed: Of the bootstrap.
    """
    main, reference = sample_of(claim, cases), sample_of(claim.reference, cases)
    effect, contrast, difference = _effects(claim, cases)
    by_alignment = claim.by_alignment()
    ranks = pd.DataFrame({key: _ranks(x) for key, x in assumptions.items() if x.nunique() > 1})
    influences = sorted(
        (_influence(claim, main, reference, key, assumptions[key], ranks[key]) for key in ranks),
        key=lambda influence: -influence.index,
    )
    first = influences[0].key
    second = max(
        (key for key in ranks if key != first),
        key=lambda key: _paired_index(claim, main, reference, ranks[first], ranks[key]),
    )
    threshold = QUANTIFIERS[claim.quantifier] if claim.quantifier != "more" else claim.margin
    plane = _Plane(
        claim, main, reference, ranks[first].to_numpy(), ranks[second].to_numpy(), threshold
    )
    surface, shares = plane.bootstrap(seed)
    near = _near_defaults(assumptions, (first, second), defaults or {})
    share = plane.share(surface, plane.density)
    low, high = _ends(shares, share)
    return Judgement(
        verdict=_verdict(low, high) if _are_enough(claim, main, reference) else "undecided",
        share=share,
        low=low,
        high=high,
        near_defaults=plane.share(surface, plane.density * near),
        effect=effect,
        contrast=contrast,
        difference=difference,
        by_alignment=None if by_alignment is None else _effects(by_alignment, cases),
        undefined=main.undefined,
        influences=tuple(influences),
        axes=(first, second),
        surface=surface,
        density=plane.density,
        threshold=threshold,
    )


def _ranks(column: pd.Series) -> Numbers:
    """Return ranks from 0 to 1 of numbers, or of choices in their order."""
    if not pd.api.types.is_numeric_dtype(column):
        codes = pd.Categorical(column, categories=sorted(column.unique())).codes
        return np.asarray((codes + 0.5) / (codes.max() + 1), np.float64)
    ranks = column.rank(method="average", pct=True).to_numpy(np.float64)
    return np.asarray(ranks - 0.5 / len(column))


def _influence(
    claim: Claim, main: Sample, reference: Sample, key: str, column: pd.Series, ranks: pd.Series
) -> Influence:
    bins = np.minimum((ranks.to_numpy() * BINS).astype(int), BINS - 1)
    effects, errors, weights = _by_cell(claim, main, reference, bins, BINS)
    filled = np.flatnonzero(weights)
    mean = float((weights * effects).sum())
    index = float((weights * ((effects - mean) ** 2 - errors**2)).sum())
    if pd.api.types.is_numeric_dtype(column):
        middles = column.groupby(bins).median()
        places: tuple[float | str, ...] = tuple(float(middles.get(b, np.nan)) for b in filled)
    else:
        middles = column.groupby(bins).first()
        places = tuple(str(middles.get(b, "")) for b in filled)
    of_bins = (tuple(float(numbers[b]) for b in filled) for numbers in (effects, errors))
    noise = float(np.sqrt(2.0 * ((weights * errors**2) ** 2).sum()))
    return Influence(key, index, noise, places, *of_bins)


def _paired_index(
    claim: Claim, main: Sample, reference: Sample, first: pd.Series, second: pd.Series
) -> float:
    a, b = (
        np.minimum((ranks.to_numpy() * PAIRED_BINS).astype(int), PAIRED_BINS - 1)
        for ranks in (first, second)
    )
    effects, errors, weights = _by_cell(claim, main, reference, a * PAIRED_BINS + b, PAIRED_BINS**2)
    mean = float((weights * effects).sum())
    return float((weights * ((effects - mean) ** 2 - errors**2)).sum())


def _by_cell(
    claim: Claim, main: Sample, reference: Sample, cells: Numbers, count: int
) -> tuple[Numbers, Numbers, Numbers]:
    """Return the effect in each cell, its standard error, and the cell's share of the cases.

    Cells of few cases have no share.
    """
    n, mean = _cell_means(main, cells, count)
    effects, fewest = mean, n
    centred = np.where(main.applies, main.value - mean[cells], 0.0) / np.maximum(n[cells], 1.0)
    if claim.quantifier == "more":
        m, contrast = _cell_means(reference, cells, count)
        against = np.where(reference.applies, reference.value - contrast[cells], 0.0)
        against = against / np.maximum(m[cells], 1.0)
        effects, fewest = mean - contrast, np.minimum(n, m)
        if claim.ratio:
            least = 1.0 / np.maximum(m, 1.0)  # a share that is not seen is below one case
            scale = np.maximum(contrast, least)
            effects = mean / scale
            centred, against = centred / scale[cells], against * (effects / scale)[cells]
        centred = centred - against
    errors = np.sqrt(np.bincount(cells, centred**2, count))
    weights = np.where(fewest >= FEWEST_IN_CELL, n, 0.0)
    return effects, errors, weights / max(weights.sum(), 1.0)


def _cell_means(sample: Sample, cells: Numbers, count: int) -> tuple[Numbers, Numbers]:
    n = np.bincount(cells, sample.applies, count)
    total = np.bincount(cells, sample.value, count)
    mean: Numbers = np.zeros(count)
    np.divide(total, n, out=mean, where=n > 0)
    return np.asarray(n, np.float64), mean


class _Plane:
    """Cases on the plane of two assumptions, and the surface of a claim's statistic over it."""

    def __init__(
        self,
        claim: Claim,
        main: Sample,
        reference: Sample,
        x: Numbers,
        y: Numbers,
        threshold: float,
    ) -> None:
        self._claim, self._main, self._reference = claim, main, reference
        self._threshold = threshold
        places = [np.minimum((ranks * CELLS).astype(int), CELLS - 1) for ranks in (x, y)]
        self._cells = places[0] * CELLS + places[1]
        self.density = self._counts(main.applies.astype(np.float64)).reshape(CELLS, CELLS)
        self.density = self.density / max(self.density.sum(), 1.0)
        self._basis = _basis(*(len(np.unique(place)) for place in places))

    def _counts(self, weights: Numbers) -> Numbers:
        return np.asarray(np.bincount(self._cells, weights, CELLS**2), np.float64)

    def surface(self, weights: Numbers) -> Numbers:
        """Return the statistic over the cells [CELLS, CELLS], each case counted by its weight."""
        main = self._fit(self._main, weights)
        if self._claim.quantifier != "more":
            return main
        reference = self._fit(self._reference, weights)
        if self._claim.ratio:
            return np.asarray(main / np.maximum(reference, 1e-12))
        return np.asarray(main - reference)

    def _fit(self, sample: Sample, weights: Numbers) -> Numbers:
        n = self._counts(weights * sample.applies)
        total = self._counts(weights * sample.value)
        fit = _fit_shares if self._claim.number is None else _fit_means
        return fit(self._basis, total, n).reshape(CELLS, CELLS)

    def bootstrap(self, seed: int) -> tuple[Numbers, list[float]]:
        """Return the surface of all cases, and the share above the threshold in each replicate."""
        cases = len(self._main.applies)
        surface = self.surface(np.ones(cases))
        shares = []
        for replicate in range(REPLICATES):
            uniform, _ = uniform_pair(
                seed=seed, stream="claims.bootstrap", rows=np.arange(cases), draw=replicate
            )
            counts = np.searchsorted(_POISSON, uniform)
            weights = counts.astype(np.float64)
            density = self._counts(weights * self._main.applies).reshape(CELLS, CELLS)
            shares.append(self.share(self.surface(weights), density))
        return surface, shares

    def share(self, surface: Numbers, mass: Numbers) -> float:
        """Return the share of the cases in cells above the threshold, by the mass of cells."""
        threshold = 1.0 + self._threshold if self._claim.ratio else self._threshold
        total = mass.sum()
        return float((mass * (surface > threshold)).sum() / total) if total else float("nan")


#: P(X <= k) of a Poisson number of mean 1.
_POISSON = poisson.cdf(np.arange(12), 1.0)


def _basis(first: int, second: int) -> Numbers:
    """Return a quadratic form of the places of all cells [CELLS², terms]."""
    place = (np.arange(CELLS) + 0.5) / CELLS * 2.0 - 1.0
    x, y = (grid.ravel() for grid in np.meshgrid(place, place, indexing="ij"))
    terms = [np.ones_like(x), x, y, x * y]
    terms += [x**2] if first > 2 else []  # two levels have no curvature
    terms += [y**2] if second > 2 else []
    return np.stack(terms, axis=1)


def _fit_shares(basis: Numbers, successes: Numbers, trials: Numbers) -> Numbers:
    """Return fitted shares of all cells, by logistic regression with a wide normal prior.

    A share that is never seen is 0, so that of two the one of fewer cases is not the larger.
    """
    if not successes.any():
        return np.zeros(len(basis))
    start = (successes.sum() + 0.5) / (trials.sum() + 1.0)
    coefficients = np.zeros(basis.shape[1])
    coefficients[0] = logit(start)
    precision = np.diag([1e-6, *[_PRIOR**-2] * (basis.shape[1] - 1)])
    for _ in range(25):
        share = expit(basis @ coefficients)
        weight = trials * share * (1.0 - share)
        gradient = basis.T @ (successes - trials * share) - precision @ coefficients
        hessian = (basis * weight[:, None]).T @ basis + precision
        step = np.linalg.solve(hessian, gradient)
        size = float(np.abs(step).max())
        coefficients = coefficients + step * min(1.0, 2.0 / size if size else 1.0)
        if size < 1e-8:
            break
    return np.asarray(expit(basis @ coefficients))


def _fit_means(basis: Numbers, total: Numbers, counts: Numbers) -> Numbers:
    """Return fitted means of all cells, by least squares."""
    matrix = (basis * counts[:, None]).T @ basis + 1e-9 * np.eye(basis.shape[1])
    return np.asarray(basis @ np.linalg.solve(matrix, basis.T @ total))


def _ends(shares: list[float], share: float) -> tuple[float, float]:
    """Return the ends of the 95 % interval of percentiles of a share, stretched to reach it."""
    tail = (1.0 - _LEVEL) / 2.0
    low, high = np.quantile(shares, (tail, 1.0 - tail))
    return float(min(low, share)), float(max(high, share))


def _verdict(low: float, high: float) -> Verdict:
    words = [word_of(low), word_of(high)]
    return words[0] if words[0] == words[1] else "undecided"


def _are_enough(claim: Claim, main: Sample, reference: Sample) -> bool:
    """Return whether cases can decide: there are enough and, of two shares, one is not 0."""
    if claim.quantifier != "more":
        is_unseen = claim.quantifier == "exists" and not main.value.any()
        fewest = FEWEST_OF_SOME if is_unseen else FEWEST
        return bool(main.applies.sum() >= fewest)
    is_there = claim.number is not None or main.value.any() or reference.value.any()
    return bool(is_there and min(main.applies.sum(), reference.applies.sum()) >= FEWEST)


def word_of(share: float) -> Verdict:
    """Return the verdict on a claim that is true for a share of the cases."""
    return next((v for v, limit in zip(VERDICTS, LIMITS, strict=False) if share >= limit), "fails")


def _near_defaults(
    assumptions: pd.DataFrame, axes: tuple[str, str], defaults: Mapping[str, float]
) -> Numbers:
    """Return weights of cells that fall from the default of each axis to both its ends [., .]."""
    weights = []
    for key in axes:
        column = assumptions[key]
        if key not in defaults or not pd.api.types.is_numeric_dtype(column):
            weights.append(np.ones(CELLS))
            continue
        place = float((column < defaults[key]).mean())
        middles = (np.arange(CELLS) + 0.5) / CELLS
        weights.append(np.maximum(1.0 - np.abs(middles - place) / max(place, 1.0 - place), 0.0))
    return np.outer(*weights)


def _effect(claim: Claim, sample: Sample) -> Effect:
    value = sample.value[sample.applies]
    if not len(value):
        return Effect(np.nan, np.nan, np.nan, 0)
    if claim.number is None:
        low, high = binomial_interval(value.sum(), len(value))
        return Effect(float(value.mean()), float(low), float(high), len(value))
    half = 1.96 * float(value.std()) / np.sqrt(len(value))
    return Effect(float(value.mean()), value.mean() - half, value.mean() + half, len(value))


def _effects(claim: Claim, cases: Mapping[str, pd.DataFrame]) -> tuple[Effect, Effect, Effect]:
    """Return the effect, the contrast's, and what lies between them."""
    main, reference = sample_of(claim, cases), sample_of(claim.reference, cases)
    return _effect(claim, main), _effect(claim, reference), _difference(claim, main, reference)


def _difference(claim: Claim, main: Sample, reference: Sample) -> Effect:
    """Return the effect less the contrast's, or their ratio, paired where they share cases."""
    n, m = main.applies.sum(), reference.applies.sum()
    if not n or not m:
        return Effect(np.nan, np.nan, np.nan, 0)
    a, b = main.value[main.applies].mean(), reference.value[reference.applies].mean()
    parts = np.where(main.applies, main.value - a, 0.0) / n
    against = np.where(reference.applies, reference.value - b, 0.0) / m
    if claim.ratio:
        if not a or not b:
            return Effect(np.nan, np.nan, np.nan, int(n))
        error = float(np.sqrt(((parts / a - against / b) ** 2).sum()))
        ends = a / b * np.exp(-1.96 * error), a / b * np.exp(1.96 * error)
        return Effect(float(a / b), float(ends[0]), float(ends[1]), int(n))
    error = float(np.sqrt(((parts - against) ** 2).sum()))
    return Effect(float(a - b), float(a - b - 1.96 * error), float(a - b + 1.96 * error), int(n))


def condition_texts(conditions: tuple[Condition, ...]) -> list[str]:
    """Return conditions as they are written."""
    return [condition.text for condition in conditions]
