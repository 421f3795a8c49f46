"""Emergence curves of a sweep against NumPy and pandas, on the data behind them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sim
from refusals import assert_all_refused
from sim.analysis.curves import (
    BAND,
    MOST_LEVELS,
    columns_of,
    levels_of,
    most_gamed,
    paired_differences,
    quantile_curves,
    thin_levels,
)
from sim.sweeps.result import Sweep

#: Curves are kept in single precision, and DuckDB interpolates in it.
NEAR: dict[str, float] = {"rtol": 3e-6, "atol": 1e-7}
RULE, AWARENESS, RATE = "training.update_rule", "agent.awareness", "gaming_rate.chat_feedback"
AXES = {RULE: ["natural_gradient", "policy_gradient"], AWARENESS: [0.0, -2.0]}
VARIABLES = ["reach", RATE, "opacity_share"]
SPREAD = {"spread": {"initial": {"habit": 2.0}}, "initial": {"habit": -1.0}}


def small(**settings: Any) -> Sweep:
    usual = {"agent": SPREAD, "training": {"steps": 10}, "engine": "numpy"}
    return sim.sweep("pipeline", **{**usual, **settings})


@pytest.fixture(scope="module")
def table() -> Sweep:
    training = {"steps": 40, "learning_rate": 0.2}
    return small(axes=AXES, seeds=[3, 1, 4], agents=5, training=training, record="full")


@pytest.fixture(scope="module")
def full(table: Sweep) -> pd.DataFrame:
    return table.query('select * from design join "full" using (run)')


def quantiles(
    frame: pd.DataFrame, by: list[str], variable: str, band: tuple[float, ...] = BAND
) -> pd.DataFrame:
    rows = []
    for place, group in frame.dropna(subset=[variable]).groupby([*by, "step"]):
        rows.append([*place, variable, *np.quantile(group[variable], band), group["run"].nunique()])
    columns = [*by, "step", "variable", "low", "median", "high", "runs"]
    return pd.DataFrame(rows, columns=columns)


def assert_same(frame: pd.DataFrame, expected: pd.DataFrame, by: list[str]) -> None:
    keys = [*by, "step", "variable"]
    frame, expected = (f.sort_values(keys, ignore_index=True) for f in (frame, expected))
    assert set(frame.columns) == set(expected.columns)
    exact = [*keys, "runs"]
    assert frame[exact].to_numpy().tolist() == expected[exact].to_numpy().tolist()
    for name in ("low", "median", "high"):
        np.testing.assert_allclose(frame[name], expected[name], **NEAR)


def test_quantile_curves_are_quantiles_over_all_agents(table: Sweep, full: pd.DataFrame) -> None:
    other = (0.0, 0.37, 1.0)
    for by, band in (([], BAND), ([AWARENESS], other), ([RULE, "seed"], BAND)):
        frame = quantile_curves(table, VARIABLES, by=[*by, *by], band=band)
        assert_same(frame, pd.concat([quantiles(full, by, n, band) for n in VARIABLES]), by)
        assert frame["runs"].max() == 12 // np.prod([full[key].nunique() for key in by])


def test_what_is_nowhere_defined_has_no_curve(table: Sweep) -> None:
    """No context of this scenario has a twin."""
    frame = quantile_curves(table, ["compliance_gap.chat_feedback", "reach"])
    assert frame["variable"].unique().tolist() == ["reach"]
    empty = quantile_curves(table, ["compliance_gap.chat_feedback"], by=["seed"])
    assert len(empty) == 0
    assert list(empty.columns) == ["seed", "step", "runs", "variable", "low", "median", "high"]


def differences(
    full: pd.DataFrame, variable: str, *, axis: str, baseline: Any, by: list[str]
) -> pd.DataFrame:
    """Medians of agents, then differences within a seed and all other axes, then quantiles."""
    shared = [key for key in (*AXES, "seed") if key != axis]
    medians = full.groupby([axis, *shared, "step"], as_index=False)[variable].median()
    levels = dict(iter(medians.set_index([*shared, "step"]).groupby(axis)))
    rows = []
    for level in set(levels) - {baseline}:
        pairs = (levels[level][variable] - levels[baseline][variable]).dropna().reset_index()
        pairs[axis] = level
        pairs["run"] = pairs[shared].astype(str).agg("/".join, axis=1)
        rows.append(quantiles(pairs, [axis, *by], variable))
    return pd.concat(rows)


def test_paired_differences_are_those_within_a_seed(table: Sweep, full: pd.DataFrame) -> None:
    cases = [(RULE, "policy_gradient"), (RULE, "natural_gradient"), (AWARENESS, 0.0), ("seed", 4)]
    for axis, baseline in cases:
        for by in ([], [key for key in (AWARENESS, RULE, "seed") if key != axis][:1]):
            frame = paired_differences(
                table, VARIABLES[:2], axis=axis, baseline=baseline, by=[axis, *by]
            )
            expected = [
                differences(full, name, axis=axis, baseline=baseline, by=by)
                for name in VARIABLES[:2]
            ]
            assert_same(frame, pd.concat(expected), [axis, *by])
            assert baseline not in set(frame[axis])
    # The first level is the baseline: of numbers the least, of choices the first of the design.
    for axis, first in ((RULE, "natural_gradient"), (AWARENESS, -2.0)):
        pd.testing.assert_frame_equal(
            paired_differences(table, ["reach"], axis=axis),
            paired_differences(table, ["reach"], axis=axis, baseline=first),
        )


def test_pairs_share_all_draws_and_seeds_alone_share_nothing_else() -> None:
    axis = "training.visible_gaming_penalty"  # nothing is monitored, so it changes nothing
    training = {"steps": 10, "estimator": "sampled"}
    table = small(axes={axis: [0.0, 1.0]}, seeds=4, agents=3, training=training, record="curves")
    frame = paired_differences(table, [RATE], axis=axis)
    assert (frame[["low", "median", "high"]] == 0.0).all(axis=None)
    assert (frame["runs"] == 4).all()
    table = small(seeds=3, record="curves")
    frame = paired_differences(table, [RATE], axis="seed")
    query = f'select "{RATE}" as g from curves join design using (run) order by seed, step'
    rates = table.query(query)["g"].to_numpy().reshape(3, 2)
    np.testing.assert_allclose(frame["median"].to_numpy().reshape(2, 2), rates[1:] - rates[0])
    assert (frame["seed"].tolist(), frame["runs"].tolist()) == ([1, 1, 2, 2], [1] * 4)


def test_levels_are_in_order_and_of_their_type(table: Sweep) -> None:
    other = small(
        axes={"training.steps": [20, 5], "agent.decisiveness": [[1, 2], [0, 1]]}, agents=2
    )
    for sweep, axis, levels in [
        (table, AWARENESS, [-2.0, 0.0]),
        (table, RULE, ["natural_gradient", "policy_gradient"]),
        (table, "seed", [1, 3, 4]),
        (other, "training.steps", [5, 20]),
        (other, "agent.decisiveness", ["[1, 2]", "[0, 1]"]),
    ]:
        assert levels_of(sweep, axis) == levels
        assert {type(level) for level in levels_of(sweep, axis)} == {type(levels[0])}


def test_thinned_levels_are_spread_evenly_with_both_ends() -> None:
    for count in (1, 5, 6, 7, 32, 101):
        for maximum in (2, MOST_LEVELS):
            places = thin_levels(list(range(count)), maximum=maximum)
            assert len(places) == len(set(places)) == min(count, maximum)
            assert (places[0], places[-1]) == (0, count - 1)
            gaps = np.diff(np.array(places, int))
            assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


def test_a_name_stands_for_its_columns_and_the_most_gamed_come_first(table: Sweep) -> None:
    contexts = ["demonstrations", "chat_feedback", "agentic_tasks", "coding_tests"]
    rates = [f"gaming_rate.{name}" for name in contexts]
    assert columns_of(table, ["gaming_rate"]) == rates
    assert columns_of(table, ["reach"]) == ["reach"]  # and not reach_weighted
    both = columns_of(table, ["values", rates[1], "gaming_rate", "reach"])
    assert both == ["values.honesty", "values.helpfulness", rates[1], rates[0], *rates[2:], "reach"]
    peaks = table.query("select * from curves").groupby("step")[rates].mean().max()
    order = peaks.sort_values(ascending=False).index.tolist()
    assert [most_gamed(table, count) for count in (2, 4, 99)] == [order[:2], order, order]


def test_what_a_sweep_does_not_have_is_refused_in_one_line(table: Sweep) -> None:
    bare = small()
    by_name = partial(paired_differences, table, ["reach"], axis=RULE, baseline="none")
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: quantile_curves(table, ["reech"]), "has no 'reech'"),
        (lambda: quantile_curves(table, ["reach"], by=["agent.awarenes"]), "'agent.awareness'"),
        (lambda: quantile_curves(table, []), "variables: at least one"),
        (lambda: paired_differences(table, [], axis="seed"), "variables: at least one"),
        (lambda: paired_differences(table, ["reach"], axis="sed"), "did you mean 'seed'"),
        (by_name, "baseline: got 'none': training.update_rule takes natural_gradient, policy_"),
        (lambda: columns_of(table, ["gaming_rat"]), "did you mean 'gaming_rate'"),
        (lambda: columns_of(table, ["step"]), "variables: got 'step'"),
        (lambda: levels_of(table, "training.leak"), "has no 'training.leak'"),
        (lambda: quantile_curves(bare, ["reach"]), "record=summary"),
        (lambda: columns_of(bare, ["reach"]), "no curves"),
        (lambda: most_gamed(bare, 3), "no curves"),
    ]
    assert_all_refused(cases)


def test_failed_runs_are_in_no_curve() -> None:
    rate = "training.learning_rate"
    table = small(axes={rate: [0.01, 1e300]}, record="curves")
    assert set(quantile_curves(table, ["reach"], by=[rate])[rate]) == {0.01}
    assert len(paired_differences(table, ["reach"], axis=rate)) == 0
