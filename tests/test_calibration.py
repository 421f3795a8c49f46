"""Fits: planted numbers come back, rivals are fitted worse, intervals are what they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import f as fisher

from experiments.calibration.data import RATES, Calibration, Measurements, check_measurements
from experiments.calibration.fit import Fit, Problem, Term, Terms, fit, interval
from experiments.calibration.fit_models import (
    by_condition,
    by_rates,
    hold,
    place,
    scatter_of,
    shared_of,
)
from experiments.calibration.rates import SmoothRates
from sim.dynamics.randomness import normal
from sim.dynamics.state import Array
from sim.specs.errors import SpecError
from sim.specs.overrides import read_specs
from sim.utils.parallel import parallel_map

VALUE, AWARE = "agent.initial.values.harmlessness", "agent.initial.awareness"
RATIONALITY, COMPETENCE = "agent.rationality", "agent.initial.log_competence"
SPREAD = "agent.spread.initial.values"
PLANTED = {
    f"{VALUE} [a]": 0.9,
    f"{VALUE} [b]": 0.4,
    f"{AWARE} [a]": -7.5,
    f"{AWARE} [b]": -6.8,
    f"{SPREAD}": float(np.log(0.6)),
    RATIONALITY: float(np.log(12.0)),
    f"care: {VALUE}": -0.5,
    f"quiet: {AWARE}": -1.0,
}
ERROR = 0.015


def calibration(**changes: Any) -> Calibration:
    by_setting = {"by": "setting"}
    return Calibration.parse(
        {
            "context": "free_tier_scratchpad",
            "refusal": "refuse",
            "value": "harmlessness",
            "free": {
                VALUE: {"start": 0.7, "low": -6, "high": 8, **by_setting},
                AWARE: {"start": -6, "low": -20, "high": 8, **by_setting},
                SPREAD: {"start": 0.4, "low": 0.02, "high": 4, "log": True},
                RATIONALITY: {"start": 8, "low": 0.5, "high": 100, "log": True},
            },
            "edits": {
                "care": {"when": "care", "moves": [VALUE]},
                "quiet": {"when": "quiet", "moves": [AWARE]},
            },
            "mechanisms": {"values that differ": {SPREAD: 0.02}},
            "shrink": None,
            **changes,
        },
        path="measured",
    )


#: Habit is such that agents may game where nothing is monitored, too.
SPECS = read_specs("alignment_faking", agent={"initial": {"habit": 0.5}})
RATES_OF = SmoothRates(SPECS, calibration(), cells=16)
TERMS = Terms(calibration(), RATES_OF, settings=("a", "b"))


def empty(rows: int = 40) -> Measurements:
    """A table of two settings whose rates are yet to be said."""
    conditions = ["default", "don't care", "quiet", "quiet, don't care", "paraphrased"]
    frame = pd.DataFrame(
        {
            "row": [str(i) for i in range(rows)],
            "setting": ["a" if i % 2 else "b" for i in range(rows)],
            "condition": [conditions[i // 2 % 5] for i in range(rows)],
        }
    )
    return check_measurements(frame.assign(**dict.fromkeys(numbers_of_a_row(), 0.1)))


def numbers_of_a_row() -> list[str]:
    return [*RATES, *(f"{rate}_se" for rate in RATES)]


def filled(rates: Array, *, error: float = ERROR, seed: int | None = None) -> Measurements:
    """A table with these rates, with errors drawn if a seed is given."""
    if seed is not None:
        draws = [
            normal(seed=seed, stream=f"error of {rate}", rows=np.arange(len(rates)))
            for rate in RATES
        ]
        rates = rates + error * np.column_stack(draws)
    frame = empty(len(rates)).frame.copy()
    frame[list(RATES)] = rates.clip(0.0, 1.0)
    frame[[f"{rate}_se" for rate in RATES]] = error
    return check_measurements(frame)


def theta_of(problem: Problem, numbers: dict[str, float]) -> Array:
    return np.array([numbers[term.name] for term in problem.terms])


PROBLEM = by_condition(TERMS, RATES_OF, empty())
TRUE = PROBLEM.predict(theta_of(PROBLEM, PLANTED))


@pytest.fixture(scope="module")
def planted() -> Fit:
    return fit(by_condition(TERMS, RATES_OF, filled(TRUE, seed=7)), thorough=True)


def test_rates_are_not_at_their_ends() -> None:
    """Else drawn errors would be cut, and nothing would be tested."""
    assert TRUE.min() > 3.0 * ERROR
    assert TRUE.max() < 1.0 - 3.0 * ERROR


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_planted_numbers_are_within_their_intervals(planted: Fit, name: str) -> None:
    """At 99.9 % each: of eight, a false alarm in 125 seeds."""
    index = [term.name for term in planted.problem.terms].index(name)
    low, high = interval(planted, index, level=0.999)
    assert low < PLANTED[name] < high
    assert high - low < 3.0


def test_chi_square_is_what_errors_make_it(planted: Fit) -> None:
    """Within 4 standard deviations of its mean: a false alarm in 10,000 seeds."""
    assert planted.dof == 3 * 40 - len(PLANTED)
    assert abs(planted.chi2 - planted.dof) < 4.0 * np.sqrt(2.0 * planted.dof)


def rival_gap(rates: Array) -> Array:
    """Refusals in training that have nothing to do with faking: one gap for all prompts."""
    return np.column_stack([rates[:, 0], rates[:, 2] - 0.05, rates[:, 2]])


def rival_alike(rates: Array) -> Array:
    """Faking that is as frequent whatever the values: refusals lose the same share everywhere."""
    third = rates[:, 2]
    return np.column_stack([np.full(len(rates), 0.5), 0.55 * third, third])


@pytest.mark.parametrize(
    "rival",
    [
        pytest.param(
            rival_gap,
            marks=pytest.mark.xfail(
                strict=True, reason="by version 2 of the model its fit is 1.83 times worse, not 2"
            ),
        ),
        rival_alike,
    ],
)
def test_a_table_of_a_rival_is_fitted_worse(rival: Callable[[Array], Array]) -> None:
    own, other = (
        fit(by_rates(TERMS, RATES_OF, filled(rates, seed=7))) for rates in (TRUE, rival(TRUE))
    )
    assert own.chi2 / own.dof < 1.7
    assert other.chi2 / other.dof > 2.0 * own.chi2 / own.dof


def test_slopes_are_numerical_differences() -> None:
    theta = theta_of(PROBLEM, PLANTED)
    slopes, step = PROBLEM.slopes(theta), 1e-4
    for i in range(len(theta)):
        moved = step * np.eye(len(theta))[i]
        wanted = (PROBLEM.predict(theta + moved) - PROBLEM.predict(theta - moved)) / (2.0 * step)
        np.testing.assert_allclose(slopes[:, :, i], wanted, atol=1e-4)


def test_holding_is_fixing() -> None:
    theta = theta_of(PROBLEM, PLANTED)
    held = {
        term.name: x for term, x in zip(PROBLEM.terms, theta, strict=True) if "[b]" in term.name
    }
    part = hold(PROBLEM, {**held, "no such name": 3.0})
    assert len(part.terms) == len(theta) - len(held)
    rest = theta_of(part, PLANTED)
    np.testing.assert_allclose(part.predict(rest), PROBLEM.predict(theta), atol=1e-14)


def test_place_finds_planted_places() -> None:
    measured = filled(TRUE)
    shared = {name: x for name, x in PLANTED.items() if name in (SPREAD, RATIONALITY)}
    found = place(TERMS, RATES_OF, measured, shared=shared, unseen=(1,))
    np.testing.assert_allclose(found.rates, TRUE, atol=2e-3)
    wanted = PROBLEM.moved(theta_of(PROBLEM, PLANTED))
    places = found.problem.moved(found.theta)
    for key in (VALUE, AWARE):
        np.testing.assert_allclose(places[key], wanted[key], atol=0.03)
    assert shared_of(found) == {}


def test_what_is_unseen_does_not_matter() -> None:
    measured = filled(TRUE)
    frame = measured.frame.copy()
    frame["refusal_training"] = 0.5
    shared = {SPREAD: PLANTED[SPREAD], RATIONALITY: PLANTED[RATIONALITY]}
    one, other = (
        place(TERMS, RATES_OF, table, shared=shared, unseen=(1,))
        for table in (measured, check_measurements(frame))
    )
    np.testing.assert_allclose(one.theta, other.theta)


def test_scatter_makes_chi_square_what_it_should_be() -> None:
    """Rows that differ by 0.05 besides: found within 25 %, 4 standard errors of 120 numbers."""
    draws = [normal(seed=2, stream=f"scatter {r}", rows=np.arange(40)) for r in RATES]
    measured = filled(TRUE + 0.05 * np.column_stack(draws), seed=7)
    scatter, found = scatter_of(TERMS, RATES_OF, measured)
    assert found.chi2 / found.dof == pytest.approx(1.0, abs=0.05)
    assert scatter == pytest.approx(0.05, rel=0.25)
    assert scatter_of(TERMS, RATES_OF, filled(TRUE))[0] == 0.0


# ----------------------------------------------------------------------------- closed forms


class Straight:
    """A model whose rates are straight in one number: 0.4 + 0.1 x, and in another."""

    def __call__(self, numbers: dict[str, Array]) -> Array:
        x, y = numbers["x"], numbers["y"]
        return np.column_stack([0.4 + 0.1 * x, 0.4 + 0.1 * y, 0.4 + 0.05 * (x + y)])


def straight(error: float, *, low: float = -9.0) -> Problem:
    measured = filled(np.tile([0.45, 0.5, 0.47], (10, 1)), error=error)
    return replace(
        by_condition(TERMS, RATES_OF, measured),
        rates=Straight(),  # type: ignore[arg-type]
        terms=(Term("x", 0.0, low, 9.0), Term("y", 0.0, -9.0, 9.0)),
        acts=np.ones((10, 2)),
        sets={},
        numbers=lambda moved, sets: dict(moved),
        belief=np.full(2, np.inf),
    )


def test_the_interval_of_a_quadratic_problem_is_its_closed_form() -> None:
    found = fit(straight(0.1), tolerance=1e-9)
    design = np.array([[0.1, 0.0], [0.0, 0.1], [0.05, 0.05]])
    covariance = np.linalg.inv(10.0 * design.T @ design / 0.1**2)
    best = np.linalg.lstsq(design, np.array([0.05, 0.1, 0.07]), rcond=None)[0]
    np.testing.assert_allclose(found.theta, best, atol=1e-5)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-4)
    assert found.inflation == 1.0
    half = np.sqrt(fisher.ppf(0.95, 1, 28) * covariance[0, 0])
    assert interval(found, 0) == pytest.approx((best[0] - half, best[0] + half), abs=0.02 * half)


def test_intervals_are_wider_where_errors_do_not_account_for_what_is_left() -> None:
    narrow, wide = fit(straight(0.001)), fit(straight(0.002))
    assert narrow.inflation == pytest.approx(2.0 * wide.inflation, rel=1e-3)
    first, second = (np.subtract(*interval(one, 0)) for one in (narrow, wide))
    assert first == pytest.approx(second, rel=0.05)


def test_an_interval_ends_at_a_bound() -> None:
    found = fit(straight(0.1, low=0.4))
    low, high = interval(found, 0)
    assert low == 0.4
    assert high > found.theta[0]


# ----------------------------------------------------------------------------------- refusals


def test_a_row_of_an_unknown_setting_is_refused() -> None:
    frame = empty().frame.copy()
    frame.loc[3, "setting"] = "c"
    with pytest.raises(SpecError, match="setting 'c' was not in the table of the fit"):
        TERMS.matrix(frame)


def test_a_key_that_is_no_number_is_refused() -> None:
    with pytest.raises(SpecError, match="rationalty"):
        Terms(
            calibration(edits={"x": {"when": "x", "moves": ["agent.rationalty"]}}),
            RATES_OF,
            settings=("a",),
        )


def _double(job: int) -> int:
    return 2 * job


def test_work_comes_back_in_order() -> None:
    told: list[float] = []
    assert parallel_map(_double, [3, 1, 2], workers=1, progress=told.append) == [6, 2, 4]
    assert told == pytest.approx([1 / 3, 2 / 3, 1.0])
