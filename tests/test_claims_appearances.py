"""Derived outcomes of how gaming appears: counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

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


def agents(**columns: list[float]) -> pd.DataFrame:
    """Return agents without a mark or a factor, but for some columns."""
    size = len(next(iter(columns.values())))
    none = {"value_cosine": 0.0, "conduct": 0.0, "instrumental_least": 0.0, "shift_mean": 0.0}
    none |= {"gaming_most": 0.0, "gaming_least": 0.0, "instrumental_most": 0.0, "consistency": 0.0}
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
