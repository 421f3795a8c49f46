"""Derived outcomes of how gaming appears: counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from experiments.claims.appearances import (
    MOMENTS,
    first_moment,
    lacking,
    marks,
    marks_at_first,
    shuffled_marks,
    value_distance,
    variation,
)
from experiments.claims.decisions import DECISIONS, FURTHER_TERMS
from experiments.claims.outcomes import elsewhere


def agents(**columns: list[float]) -> pd.DataFrame:
    """Return agents without a mark or a factor, but for some columns."""
    size = len(next(iter(columns.values())))
    none = {"value_cosine": 0.0, "conduct": 0.0, "instrumental_least": 0.0, "shift_mean": 0.0}
    none |= {"gaming_most": 0.0, "gaming_least": 0.0, "instrumental_most": 0.0, "consistency": 0.0}
    none |= {"contexts": 2.0}
    return pd.DataFrame({name: np.full(size, x) for name, x in none.items()} | columns)


def test_marks_are_counted_and_undefined_where_one_is() -> None:
    some = agents(
        value_cosine=[0.9, 0.89, 1.0], conduct=[-0.5, -0.49, -1.0], shift_mean=[0, 0, np.nan]
    )
    np.testing.assert_array_equal(marks(some), [2.0, 0.0, np.nan])


def test_marks_by_lot_are_as_frequent_among_gamers_and_nobody_else_has_any() -> None:
    games = agents(instrumental_most=[1.0] * 400 + [0.0] * 100, value_cosine=[1.0, 0.0] * 250)
    games["conduct"] = games["value_cosine"] * -1.0
    lot = shuffled_marks(games)
    assert np.isnan(lot[400:]).all()
    assert lot[:400].sum() == marks(games)[:400].sum()
    assert 50 < (lot[:400] == 2.0).sum() < 150 < (marks(games)[:400] == 2.0).sum()


def test_lots_are_not_drawn_with_those_of_one_context() -> None:
    games = agents(instrumental_most=[1.0] * 20, instrumental_least=[0.0] * 10 + [1.0] * 10)
    games["contexts"] = [2.0] * 10 + [1.0] * 10
    np.testing.assert_array_equal(shuffled_marks(games), [0.0] * 10 + [np.nan] * 10)


@pytest.mark.parametrize("cases", [64, 1009, 2018, 7063, 32768])
def test_facts_of_other_cases_are_of_eight_others(cases: int) -> None:
    own = np.arange(cases)
    places = np.stack([own, *(elsewhere(own, place) for place in range(1, 9))])
    assert all(len(set(column)) == 9 for column in places.T[:64].tolist())


def test_marks_count_at_the_first_moment_of_gaming() -> None:
    cases = {name: agents(instrumental_most=[0.0, 0.0]) for name in MOMENTS}
    cases[MOMENTS[2]] = agents(instrumental_most=[0.5, 0.0], conduct=[-1.0, -1.0])
    cases[MOMENTS[4]] = agents(instrumental_most=[1.0, 0.0], value_cosine=[1.0, 1.0])
    cases[MOMENTS[4]]["shift_mean"] = 1.0
    np.testing.assert_array_equal(first_moment(cases), [2.0, np.nan])
    np.testing.assert_array_equal(marks_at_first(cases), [1.0, np.nan])


def test_what_is_lacking_is_what_the_other_alone_has() -> None:
    visible = agents(gaming_most=[1.0, 0.0], conduct=[-1.0, 0.0])
    opaque = agents(gaming_most=[1.0, 1.0], consistency=[1.0, 1.0])
    np.testing.assert_array_equal(lacking(visible, opaque), [1.0, 2.0])
    np.testing.assert_array_equal(lacking(opaque, visible), [1.0, 0.0])


def test_distances_count_what_worlds_have() -> None:
    first = pd.DataFrame(
        {"answer_first_1": [1.0, 0.5], "answer_first_2": [0.0, 0.5], "answer_first_3": np.nan}
        | {"value_1": [3.0, 0.0], "value_2": [0.0, np.nan], "value_change": [9.0, 9.0]}
    )
    second = first.assign(
        answer_first_1=0.5, answer_first_2=0.5, value_1=[0.0, 2.0], value_change=0
    )
    second["value_2"] = [4.0, np.nan]
    np.testing.assert_allclose(variation(first, second), [0.5, 0.0])
    np.testing.assert_allclose(value_distance(first, second), [5.0, 2.0])


def test_of_signals_that_tell_nothing_the_best_is_worth_nothing() -> None:
    """Were signals chosen by the half in which they are tried, the best would seem worth much."""
    worth = []
    for seed in range(60):
        random = np.random.default_rng(seed)
        frame = pd.DataFrame({name: random.random(2000) for name in FURTHER_TERMS})
        frame["subverts"] = (random.random(2000) < 0.3) * 1.0
        worth.append(DECISIONS["value_terms"].compute({"drawn": frame}).mean())
    assert abs(np.mean(worth)) < 3.0 * np.std(worth) / np.sqrt(60)
