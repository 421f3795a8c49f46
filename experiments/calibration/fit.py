"""Parameters of a fit, and fits to a table of prompts by weighted least squares.

What a fit moves: every parameter, the number of the model that it moves, and in which rows.

The numbers of a prompt are linear in the parameters (or their logarithms are): a free number, the
same in all rows or in all rows of a setting, and what edits add to it.

Fitting the model to a table of prompts by weighted least squares.

χ² = Σ over rows and rates of ((model − measured) / standard error)². Every number of a prompt is a
sum of parameters, so the derivatives of the rates by a few numbers of the model give those by all
parameters. Where the model and the published errors do not account for how prompts differ, χ² is
larger than its degrees of freedom; intervals are then wider by √(χ²/dof) (the Birge ratio).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, least_squares
from scipy.stats import f as fisher

from sim.dynamics.state import Array
from sim.specs.errors import SpecError

from .data import Calibration, Edit, FreeNumber, Measurements
from .rates import PromptRates


@dataclass(frozen=True)
class Term:
    """One parameter of a fit.

    Attributes:
        key: The number that it moves, as the calibration has it.
        start, low, high: Of the parameter: the number, its logarithm, or what is added to either.
        setting: Of which rows it is; None: of all.
        edit: The edit that it belongs to, by name, if it belongs to one.
        row: The row that it places, if it places one (`fit_models.by_rates`).
    """

    key: str
    start: float
    low: float
    high: float
    setting: str | None = None
    edit: str | None = None
    row: str | None = None

    @property
    def name(self) -> str:
        """What it is called in tables."""
        name = self.key if self.edit is None else f"{self.edit}: {self.key}"
        where = self.setting if self.row is None else f"row {self.row}"
        return name if where is None else f"{name} [{where}]"


class Terms:
    """The parameters of a fit, and the numbers of prompts that follow from them.

    Args:
        calibration: What is free, and what edits there are.
        rates: Knows the keys.
        settings: The settings that have numbers of their own.

    Raises:
        SpecError: A key names no number.
    """

    def __init__(
        self, calibration: Calibration, rates: PromptRates, *, settings: Iterable[str]
    ) -> None:
        self.calibration = calibration
        self._settings = tuple(settings)
        self.terms = tuple(self._free()) + tuple(self._of_edits())
        self._full = {
            key: rates.expand(key)
            for key in (
                *dict.fromkeys(term.key for term in self.terms),
                *(key for edit in calibration.edits.values() for key in edit.sets),
            )
        }
        self._said = {key: rates.said(full[0]) for key, full in self._full.items()}
        self._said_of = {one: rates.said(one) for full in self._full.values() for one in full}

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are moved, each once."""
        return tuple(dict.fromkeys(term.key for term in self.terms))

    def matrix(self, frame: pd.DataFrame) -> Array:
        """Return which parameters act on which rows, 0 or 1 [row, term].

        Raises:
            SpecError: A row is of a setting that nothing was fitted to.
        """
        unknown = set(frame["setting"]) - set(self._settings)
        if unknown:
            raise SpecError(
                f"data: setting {min(unknown)!r} was not in the table of the fit, which has "
                f"{', '.join(self._settings)}"
            )
        edits = self.edits(frame)
        acts = np.ones((len(frame), len(self.terms)))
        for i, term in enumerate(self.terms):
            if term.setting is not None:
                acts[:, i] *= frame["setting"].to_numpy() == term.setting
            if term.edit is not None:
                acts[:, i] *= edits[term.edit].to_numpy()
        return acts

    def edits(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return which rows have which edits."""
        return pd.DataFrame(
            {
                name: [edit.applies(condition) for condition in frame["condition"]]
                for name, edit in self.calibration.edits.items()
            },
            index=frame.index,
        )

    def sets(self, frame: pd.DataFrame) -> dict[str, Array]:
        """Return the numbers that edits set, by full key [row]; nan where none does."""
        edits = self.edits(frame)
        found: dict[str, Array] = {}
        for name, edit in self.calibration.edits.items():
            has = edits[name].to_numpy()
            for key, to in edit.sets.items():
                for full in self._full[key]:
                    found[full] = np.where(has, to, found.get(full, np.nan))
        return found

    def numbers(self, moved: Mapping[str, Array], sets: Mapping[str, Array]) -> dict[str, Array]:
        """Return the numbers of prompts by full key [row].

        Args:
            moved: By key, the sum of the parameters that act on a row [row].
            sets: As from `sets`; what is set goes before what is moved.
        """
        found: dict[str, Array] = {}
        for key, total in moved.items():
            free = self.calibration.free.get(key)
            if free is None:
                number = self._said[key] + total
            else:
                number = np.exp(total) if free.log else total
            found |= dict.fromkeys(self._full[key], number)
        for full, to in sets.items():
            otherwise = found.get(full, self._said_of[full])
            found[full] = np.where(np.isnan(to), otherwise, to)
        return found

    def _free(self) -> Iterable[Term]:
        for key, free in self.calibration.free.items():
            start, low, high = _scaled(free)
            for setting in self._each(free.by):
                yield Term(key, start, low, high, setting=setting)

    def _of_edits(self) -> Iterable[Term]:
        most = self.calibration.most
        for name, edit in self.calibration.edits.items():
            for key in edit.moves:
                for setting in self._each(edit.by):
                    yield Term(key, 0.0, -most, most, setting=setting, edit=name)

    def _each(self, by: str | None) -> Sequence[str | None]:
        return (None,) if by is None else self._settings


def _scaled(free: FreeNumber) -> tuple[float, float, float]:
    numbers = (free.start, free.low, free.high)
    start, low, high = (float(np.log(n)) if free.log else n for n in numbers)
    return start, low, high


def unknown_edits(edits: Iterable[Edit], conditions: Iterable[str]) -> list[str]:
    """Return the conditions that no edit tells anything about, other than the default."""
    known = list(edits)
    return [c for c in conditions if c != "default" and not any(e.applies(c) for e in known)]


#: What numbers rows have, by full key [row], from the sums of what acts on them, by key, and from
#: what is set in them, by full key.
NumbersOf = Callable[[Mapping[str, Array], Mapping[str, Array]], dict[str, Array]]

#: Step of the differences by which derivatives are taken.
_STEP = 1e-6
#: A parameter is at a bound if it is this near to it, as a share of its range.
_AT_BOUND = 1e-3
#: An end of an interval is where the objective has risen by this much of what is asked, or nearer.
_NEAR = 0.03
#: How often an end of an interval is looked for, at most.
_TRIES = 14
#: How far from bounds a search starts that goes on from another, a first one, and one that is tried
#: again, as shares of the range.
_HARDLY, _OFF, _INSIDE = 1e-9, 1e-3, 0.05
#: How often a search is tried again, and how often a thorough one.
_AGAIN, _THOROUGHLY = 1, 3


@dataclass(frozen=True)
class Problem:
    """What is to be fitted to what.

    Attributes:
        rates: The model.
        measured: The table.
        errors: Standard errors [row, rate]; inf for what the fit must not see.
        terms: The parameters.
        acts: On which rows each acts [row, term].
        offset: What acts besides, by key [row].
        sets: What is set, by full key [row]; nan where nothing is.
        numbers: What the model's numbers are.
        belief: Standard deviation about 0 that a parameter is believed to have [term]; inf: none.
    """

    rates: PromptRates
    measured: Measurements
    errors: Array
    terms: tuple[Term, ...]
    acts: Array
    offset: Mapping[str, Array]
    sets: Mapping[str, Array]
    numbers: NumbersOf
    belief: Array

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The keys that parameters move, each once."""
        return tuple(dict.fromkeys(term.key for term in self.terms))

    @cached_property
    def of_key(self) -> Array:
        """Which parameters move which key, 0 or 1 [key, term]."""
        return np.array([[float(t.key == key) for t in self.terms] for key in self.keys])

    def moved(self, theta: Array) -> dict[str, Array]:
        """Return the sums of all that acts on each row, by key [row]."""
        total = dict(self.offset)
        for key, of in zip(self.keys, self.of_key, strict=True):
            total[key] = total.get(key, 0.0) + self.acts @ (theta * of)
        return total

    def predict(self, theta: Array) -> Array:
        """Return the rates of the model [row, rate]."""
        return self.rates(self.numbers(self.moved(theta), self.sets))

    def slopes(self, theta: Array) -> Array:
        """Return the derivatives of the rates by all parameters [row, rate, term].

        One call of the model for all: rows beside rows, as they are, and with one key moved.
        """
        rows, keys = len(self.measured), self.keys
        shifts = _STEP * np.vstack([np.zeros(len(keys)), np.eye(len(keys))])
        place = {key: i for i, key in enumerate(keys)}
        wide = {
            key: np.concatenate(
                [total + (shift[place[key]] if key in place else 0.0) for shift in shifts]
            )
            for key, total in self.moved(theta).items()
        }
        sets = {key: np.tile(to, len(shifts)) for key, to in self.sets.items()}
        found = self.rates(self.numbers(wide, sets)).reshape(len(shifts), rows, 3)
        by_key = (found[1:] - found[0]) / _STEP
        slopes: Array = np.einsum("krj,kt,rt->rjt", by_key, self.of_key, self.acts)
        return slopes

    def holding(self, held: Mapping[int, float]) -> Problem:
        """Return the problem with some parameters held, by their places among the terms."""
        free = np.array([i not in held for i in range(len(self.terms))], bool)
        offset = dict(self.offset)
        for i, number in held.items():
            key = self.terms[i].key
            offset[key] = offset.get(key, 0.0) + self.acts[:, i] * number
        return replace(
            self,
            terms=tuple(t for t, is_free in zip(self.terms, free, strict=True) if is_free),
            acts=self.acts[:, free],
            belief=self.belief[free],
            offset=offset,
        )


@dataclass(frozen=True)
class Fit:
    """A fitted model.

    Attributes:
        problem: What was fitted.
        theta: The parameters [term].
        rates: What the model says [row, rate].
        covariance: Of the parameters [term, term], from the curvature, without the Birge ratio;
            those at a bound, or that the table says nothing of, have nan.
        converged: Whether the search ended by itself.
    """

    problem: Problem
    theta: Array
    rates: Array
    covariance: Array
    converged: bool

    @property
    def residuals(self) -> Array:
        """(model − measured) / standard error [row, rate]; 0 for what was not seen."""
        residuals: Array = (self.rates - self.problem.measured.rates) / self.problem.errors
        return residuals

    @property
    def chi2(self) -> float:
        """The weighted sum of squares."""
        return float((self.residuals**2).sum())

    @property
    def objective(self) -> float:
        """What is least: χ², and what is believed of parameters."""
        return self.chi2 + float(((self.theta / self.problem.belief) ** 2).sum())

    @property
    def dof(self) -> int:
        """Rates that were seen, less parameters."""
        return int(np.isfinite(self.problem.errors).sum()) - len(self.theta)

    @property
    def inflation(self) -> float:
        """The Birge ratio, by which errors are multiplied: √(χ²/dof) where that is above 1."""
        return float(np.sqrt(max(self.chi2 / self.dof, 1.0))) if self.dof > 0 else float("nan")

    @property
    def standard_errors(self) -> Array:
        """Of the parameters [term], with the Birge ratio."""
        variances = np.diag(self.covariance)
        known = np.where(variances > 0.0, variances, np.nan)
        errors: Array = np.sqrt(known) * self.inflation
        return errors

    @property
    def at_bound(self) -> NDArray[np.bool_]:
        """Which parameters are at an end of their range [term]."""
        return ~_inside(self.theta, *_bounds(self.problem))

    def by_name(self) -> dict[str, float]:
        """Return the parameters by name."""
        return {t.name: float(x) for t, x in zip(self.problem.terms, self.theta, strict=True)}

    def numbers(self) -> dict[str, Array]:
        """Return the model's numbers of every row, by full key [row]."""
        return self.problem.numbers(self.problem.moved(self.theta), self.problem.sets)


def fit(
    problem: Problem,
    *,
    start: Array | None = None,
    most: int = 100,
    tolerance: float = 2e-4,
    thorough: bool = False,
) -> Fit:
    """Return the model with the least χ².

    Args:
        problem: What is fitted to what.
        start: Where the search starts [term]; the terms' own starts where None.
        most: Steps of the search at most.
        tolerance: The search ends where steps gain less than this share of the objective.
        thorough: Whether to search longer, and again and again from further inside the bounds: the
            objective has more than one valley.
    """
    measured, errors, belief = problem.measured.rates, problem.errors, problem.belief
    low, high = _bounds(problem)
    first = np.array([term.start for term in problem.terms]) if start is None else start
    count = len(problem.terms)
    if not count:
        return Fit(problem, first, problem.predict(first), np.zeros((0, 0)), True)

    def residuals_at(theta: Array) -> Array:
        residuals = ((problem.predict(theta) - measured) / errors).ravel()
        return np.concatenate([residuals, theta / belief])

    def jacobian_at(theta: Array) -> Array:
        jacobian = (problem.slopes(theta) / errors[:, :, None]).reshape(-1, count)
        return np.vstack([jacobian, np.diag(1.0 / belief)])

    def search(first: Array, off: float) -> OptimizeResult:
        margin = off * (high - low)
        return least_squares(
            residuals_at,
            np.clip(first, low + margin, high - margin),
            jac=jacobian_at,
            bounds=(low, high),
            x_scale="jac",
            ftol=tolerance / (200.0 if thorough else 10.0),
            max_nfev=2 * most if thorough else most,
        )

    best = search(first, _OFF if start is None else _HARDLY)
    # Rates that saturate have no slope near a bound, and there is more than one valley.
    for _ in range(0 if start is not None else _THOROUGHLY if thorough else _AGAIN):
        other = search(best.x, _INSIDE)
        gained = best.cost - other.cost
        best = other if gained > 0.0 else best
        if gained < tolerance * best.cost:
            break
    covariance = _covariance(jacobian_at(best.x), _inside(best.x, low, high))
    return Fit(problem, best.x, problem.predict(best.x), covariance, bool(best.status > 0))


def interval(found: Fit, index: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return the profile-likelihood interval of a parameter, in the units in which it is fitted.

    Its ends are where the least objective over all other parameters has risen by F(level; 1, dof)
    times χ²/dof (times 1 where that is below 1). An end that is not reached within the bounds is
    the bound.
    """
    term = found.problem.terms[index]
    rise = float(fisher.ppf(level, 1, max(found.dof, 1))) * found.inflation**2
    error = float(found.standard_errors[index])
    step = 2.0 * error if np.isfinite(error) and error > 0.0 else 0.1 * (term.high - term.low)
    low, high = (
        _end(found, index, side=side, bound=bound, step=step, rise=rise)
        for side, bound in ((-1.0, term.low), (1.0, term.high))
    )
    return low, high


def _end(found: Fit, index: int, *, side: float, bound: float, step: float, rise: float) -> float:
    """Return where the profile has risen by `rise` on one side, or the bound."""
    centre = float(found.theta[index])
    along = _along(found, index)
    warm, at = np.delete(found.theta, index), centre
    whole = abs(bound - centre)
    inner, outer, distance = 0.0, float("inf"), min(step, whole)
    for _ in range(_TRIES):
        held = centre + side * distance
        best = fit(
            found.problem.holding({index: held}),
            start=warm + along * (held - at),
            most=40,
            tolerance=1e-4,
        )
        risen = best.objective + (held / found.problem.belief[index]) ** 2 - found.objective
        if risen < rise:
            inner, warm, at = distance, best.theta, held
            if distance == whole:
                return bound
        else:
            outer = distance
        if outer - inner < 0.02 * outer or abs(risen / rise - 1.0) < _NEAR:
            break
        # The profile is about quadratic: where it would have risen by just enough.
        likely = distance * float(np.sqrt(rise / max(risen, 1e-3 * rise)))
        if np.isinf(outer):
            distance = min(max(likely, 1.2 * distance), 4.0 * distance, whole)
        else:
            distance = likely if inner < likely < outer else (inner + outer) / 2.0
    if abs(risen / rise - 1.0) < _NEAR:
        return centre + side * distance
    return centre + side * (inner if np.isinf(outer) else (inner + outer) / 2.0)


def _along(found: Fit, index: int) -> Array:
    """Return how the other parameters follow one along its profile, to first order."""
    column, variance = found.covariance[:, index], found.covariance[index, index]
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.delete(column / variance, index)
    follows: Array = np.nan_to_num(slope, nan=0.0, posinf=0.0, neginf=0.0)
    return follows


def _bounds(problem: Problem) -> tuple[Array, Array]:
    low, high = ([getattr(term, end) for term in problem.terms] for end in ("low", "high"))
    return np.array(low, np.float64), np.array(high, np.float64)


def _inside(theta: Array, low: Array, high: Array) -> NDArray[np.bool_]:
    near = _AT_BOUND * (high - low)
    inside: NDArray[np.bool_] = (theta > low + near) & (theta < high - near)
    return inside


def _covariance(jacobian: Array, inside: NDArray[np.bool_]) -> Array:
    """Return (JᵀJ)⁻¹ over the parameters that are inside their bounds and that rates depend on."""
    count = jacobian.shape[1]
    covariance = np.full((count, count), np.nan)
    seen = inside & ((jacobian**2).sum(axis=0) > 1e-12)
    part = jacobian[:, seen]
    if part.size:
        covariance[np.ix_(seen, seen)] = np.linalg.pinv(part.T @ part)
    return covariance
