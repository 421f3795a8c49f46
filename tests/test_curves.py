"""Emergence curves of a sweep against NumPy, on the data from which they are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import sim
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
from sim.specs.errors import SpecError
from sim.sweeps.result import Sweep

#: Curves are kept in single precision, and DuckDB interpolates in it.
NEAR: dict[str, float] = {"rtol": 3e-6, "atol": 1e-7}
AXES = {"training.update_rule": ["replicator", "policy_gradient"], "agent.awareness": [0.0, -2.0]}
VARIABLES = ["reach", "gaming_rate.chat_feedback", "opacity_share"]


@pytest.fixture(scope="module")
def table() -> Sweep:
    return sim.sweep(
        "pipeline",
        axes=AXES,
        seeds=[3, 1, 4],
        agents=5,
        agent={"spread": {"initial": {"habit": 2.0}}, "initial": {"habit": -1.0}},
        training={"steps": 40, "learning_rate": 0.2},
        record="full",
        engine="numpy",
    )


@pytest.fixture(scope="module")
def full(table: Sweep) -> pd.DataFrame:
    return table.query('select * from design join "full" using (run)')


def by_hand(frame: pd.DataFrame, by: list[str], variable: str, band: tuple = BAND) -> pd.DataFrame:
    known = frame.dropna(subset=[variable])
    rows = []
    for place, group in known.groupby([*by, "step"]):
        low, median, high = np.quantile(group[variable], band)
        rows.append([*place, variable, low, median, high, group["run"].nunique()])
    columns = [*by, "step", "variable", "low", "median", "high", "runs"]
    return pd.DataFrame(rows, columns=columns)


def assert_same(found: pd.DataFrame, wanted: pd.DataFrame, by: list[str]) -> None:
    keys = [*by, "step", "variable"]
    found = found.sort_values(keys, ignore_index=True)
    wanted = wanted.sort_values(keys, ignore_index=True)
    assert set(found.columns) == set(wanted.columns)
    assert found[keys].to_numpy().tolist() == wanted[keys].to_numpy().tolist()
    assert found["runs"].tolist() == wanted["runs"].tolist()
    for name in ("low", "median", "high"):
        np.testing.assert_allclose(found[name], wanted[name], **NEAR)


@pytest.mark.parametrize("band", [BAND, (0.0, 0.37, 1.0)])
@pytest.mark.parametrize(
    "by", [[], ["agent.awareness"], ["training.update_rule", "seed"], [*AXES, "seed"]]
)
def test_quantile_curves_are_quantiles_over_all_agents(
    table: Sweep, full: pd.DataFrame, by: list[str], band: tuple
) -> None:
    found = quantile_curves(table, VARIABLES, by=by, band=band)
    wanted = pd.concat([by_hand(full, by, name, band) for name in VARIABLES])
    assert_same(found, wanted, by)
    assert found["runs"].max() == 12 // max(1, np.prod([full[key].nunique() for key in by]))


def test_a_key_by_which_is_grouped_counts_once(table: Sweep) -> None:
    twice = quantile_curves(table, ["reach"], by=["agent.awareness", "agent.awareness"])
    once = quantile_curves(table, ["reach"], by=["agent.awareness"])
    pd.testing.assert_frame_equal(twice, once)


def test_what_is_nowhere_defined_has_no_curve(table: Sweep) -> None:
    """No context of this scenario has a twin."""
    found = quantile_curves(table, ["compliance_gap.chat_feedback", "reach"])
    assert found["variable"].unique().tolist() == ["reach"]
    alone = quantile_curves(table, ["compliance_gap.chat_feedback"], by=["seed"])
    assert len(alone) == 0
    assert list(alone.columns) == ["seed", "step", "runs", "variable", "low", "median", "high"]


def test_many_agents_are_near_what_all_of_them_give() -> None:
    """With more agents than representatives, ranks are off by no more than 1 / 18."""
    table = sim.sweep(
        "pipeline",
        axes={"training.leak": [0.0, 0.5]},
        seeds=4,
        agents=60,
        agent={"spread": {"initial": {"habit": 2.0}}, "initial": {"habit": -1.0}},
        training={"steps": 20},
        record="full",
        engine="numpy",
    )
    found = quantile_curves(table, ["gaming_rate.chat_feedback"])
    everyone = table.query('select step, "gaming_rate.chat_feedback" as g from "full"')
    for row in found.to_dict("records"):
        here = everyone["g"][everyone["step"] == row["step"]].to_numpy()
        for name, level in zip(("low", "median", "high"), BAND, strict=True):
            assert abs((here <= row[name]).mean() - level) <= 1 / 18 + 1 / 36


# ------------------------------------------------------------------------------ paired differences


def difference_by_hand(
    full: pd.DataFrame, variable: str, *, of: str, baseline: Any, by: list[str]
) -> pd.DataFrame:
    """Medians of agents, then differences within a seed and all other axes, then quantiles."""
    others = [key for key in (*AXES, "seed") if key != of]
    middle = full.groupby([of, *others, "step"], as_index=False)[variable].median()
    start = middle[middle[of] == baseline].set_index([*others, "step"])[variable]
    rows = []
    for level in middle[of].unique():
        if level != baseline:
            there = middle[middle[of] == level].set_index([*others, "step"])[variable]
            pairs = (there - start).dropna().reset_index()
            pairs[of] = level
            pairs["run"] = pairs[others].astype(str).agg("/".join, axis=1)
            rows.append(by_hand(pairs, [of, *by], variable))
    return pd.concat(rows)


@pytest.mark.parametrize("by", [[], ["agent.awareness"], ["training.update_rule"], ["seed"]])
@pytest.mark.parametrize(
    ("of", "baseline"),
    [
        ("training.update_rule", "policy_gradient"),
        ("training.update_rule", "replicator"),
        ("agent.awareness", 0.0),
        ("seed", 4),
    ],
)
def test_paired_differences_are_those_within_a_seed(
    table: Sweep, full: pd.DataFrame, of: str, baseline: Any, by: list[str]
) -> None:
    if of in by:
        by = []
    found = paired_differences(table, VARIABLES[:2], of=of, baseline=baseline, by=by)
    wanted = [
        difference_by_hand(full, name, of=of, baseline=baseline, by=by) for name in VARIABLES[:2]
    ]
    assert_same(found, pd.concat(wanted), [of, *by])
    assert baseline not in set(found[of])


def test_the_baseline_is_the_first_level_if_none_is_said(table: Sweep) -> None:
    """Of numbers the least, of choices the one that was given first."""
    for of, first in (("training.update_rule", "replicator"), ("agent.awareness", -2.0)):
        pd.testing.assert_frame_equal(
            paired_differences(table, ["reach"], of=of),
            paired_differences(table, ["reach"], of=of, baseline=first),
        )


def test_pairs_of_seeds_alone() -> None:
    """Where nothing but the seed differs, all that runs share is nothing."""
    given: dict[str, Any] = {"agent": {"spread": {"initial": {"habit": 2.0}}}, "engine": "numpy"}
    table = sim.sweep("pipeline", seeds=3, training={"steps": 10}, record="curves", **given)
    found = paired_differences(table, ["gaming_rate.chat_feedback"], of="seed")
    seen = table.query(
        'select seed, step, "gaming_rate.chat_feedback" as g '
        "from curves join design using (run) order by seed, step"
    )
    rates = seen["g"].to_numpy().reshape(3, 2)
    np.testing.assert_allclose(found["median"].to_numpy().reshape(2, 2), rates[1:] - rates[0])
    assert found["seed"].tolist() == [1, 1, 2, 2]
    assert found["runs"].tolist() == [1] * 4


def test_pairs_are_owed_to_the_axis_and_not_to_chance() -> None:
    """An axis that changes nothing makes no difference, whatever the seeds do."""
    table = sim.sweep(
        "pipeline",
        axes={"training.visible_gaming_penalty": [0.0, 1.0]},  # nothing is monitored
        seeds=4,
        agents=3,
        agent={"spread": {"initial": {"habit": 2.0}}},
        training={"steps": 10, "estimator": "sampled"},
        record="curves",
        engine="numpy",
    )
    found = paired_differences(
        table, ["gaming_rate.chat_feedback"], of="training.visible_gaming_penalty"
    )
    assert (found[["low", "median", "high"]] == 0.0).all(axis=None)
    assert (found["runs"] == 4).all()


# ------------------------------------------------------------------------------- levels and columns


def test_levels_stand_in_order(table: Sweep) -> None:
    assert levels_of(table, "agent.awareness") == [-2.0, 0.0]
    assert levels_of(table, "training.update_rule") == ["replicator", "policy_gradient"]
    assert levels_of(table, "seed") == [1, 3, 4]
    assert all(type(level) is int for level in levels_of(table, "seed"))
    assert all(type(level) is float for level in levels_of(table, "agent.awareness"))
    assert all(type(level) is str for level in levels_of(table, "training.update_rule"))


def test_whole_choices_are_whole_and_in_order() -> None:
    table = sim.sweep(
        "pipeline",
        axes={"training.steps": [20, 5], "agent.decisiveness": [[1, 2], [0, 1]]},
        agents=2,
        engine="numpy",
    )
    assert levels_of(table, "training.steps") == [5, 20]
    assert all(type(level) is int for level in levels_of(table, "training.steps"))
    assert levels_of(table, "agent.decisiveness") == ["[1, 2]", "[0, 1]"]


@pytest.mark.parametrize("count", [1, 5, 6, 7, 32, 101])
@pytest.mark.parametrize("maximum", [2, MOST_LEVELS])
def test_thin_levels_are_spread_evenly_with_both_ends(count: int, maximum: int) -> None:
    levels = [f"level {n}" for n in range(count)]
    shown = thin_levels(levels, maximum=maximum)
    if count <= maximum:
        assert shown == levels
        return
    places = [levels.index(level) for level in shown]
    assert len(places) == len(set(places)) == maximum
    assert (places[0], places[-1]) == (0, count - 1)
    gaps = np.diff(places)
    assert gaps.max() - gaps.min() <= 1


def test_a_name_stands_for_its_columns(table: Sweep) -> None:
    contexts = ["demonstrations", "chat_feedback", "agentic_tasks", "coding_tests"]
    rates = [f"gaming_rate.{name}" for name in contexts]
    assert columns_of(table, ["gaming_rate"]) == rates
    assert columns_of(table, ["reach"]) == ["reach"]  # and not reach_weighted
    both = columns_of(table, ["values", rates[1], "gaming_rate", "reach"])
    assert both == ["values.honesty", "values.helpfulness", rates[1], rates[0], *rates[2:], "reach"]


def test_the_most_gamed_contexts_come_first(table: Sweep) -> None:
    rates = columns_of(table, ["gaming_rate"])
    curves = table.query("select * from curves")
    peaks = curves.groupby("step")[rates].mean().max()
    wanted = peaks.sort_values(ascending=False).index.tolist()
    assert most_gamed(table, 4) == wanted
    assert most_gamed(table, 2) == wanted[:2]
    assert most_gamed(table, 99) == wanted


# ------------------------------------------------------------------------------------------ errors


def refused(call: Any, *words: str) -> None:
    with pytest.raises(SpecError) as caught:
        call()
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_what_the_sweep_has_not_is_refused_in_one_line(table: Sweep) -> None:
    reach = ["reach"]
    refused(lambda: quantile_curves(table, ["reech"]), "has no 'reech'", "did you mean 'reach'")
    refused(lambda: quantile_curves(table, reach, by=["agent.awarenes"]), "'agent.awareness'")
    refused(lambda: quantile_curves(table, []), "variables", "at least one")
    refused(lambda: paired_differences(table, [], of="seed"), "variables", "at least one")
    refused(lambda: paired_differences(table, reach, of="sed"), "did you mean 'seed'")
    refused(
        lambda: paired_differences(table, reach, of="training.update_rule", baseline="none"),
        "baseline: got 'none'",
        "takes replicator, policy_gradient",
    )
    refused(lambda: columns_of(table, ["gaming_rat"]), "did you mean 'gaming_rate'")
    refused(lambda: columns_of(table, ["step"]), "variables: got 'step'")
    refused(lambda: levels_of(table, "training.leak"), "has no 'training.leak'")


def test_a_sweep_without_curves_has_none() -> None:
    table = sim.sweep("pipeline", training={"steps": 5}, engine="numpy")
    refused(lambda: quantile_curves(table, ["reach"]), "record=summary", "no curves")
    refused(lambda: columns_of(table, ["reach"]), "no curves")
    refused(lambda: most_gamed(table, 3), "no curves")


def test_failed_runs_are_in_no_curve() -> None:
    axes = {"training.learning_rate": [0.01, 1e300]}
    table = sim.sweep("pipeline", axes=axes, training={"steps": 5}, record="curves", engine="numpy")
    found = quantile_curves(table, ["reach"], by=["training.learning_rate"])
    assert found["training.learning_rate"].unique().tolist() == [0.01]
    assert len(paired_differences(table, ["reach"], of="training.learning_rate")) == 0
