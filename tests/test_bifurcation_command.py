"""The study `bifurcation`: its files and numbers, and its own refusals."""

from __future__ import annotations

import pandas as pd
import pytest

from commands import Call, Left, assert_refused
from experiments.bifurcation.figure import free_note

KEY, RATE = "agent.initial.awareness", "gaming_rate.copyright_chat"
FREE = ["values.copyright", "habit.copyright_chat", "habit.copyright_excerpt"]
SMALL = ("places=1", "starts=4", "key=training.anchor", "low=1e-2", "high=0.1", "scale=log")


def run(call: Call, *settings: str) -> Left:
    left = call(*settings, name="bifurcation")
    assert left.status == 0, left.stderr
    return left


def test_numbers_of_the_summary_are_those_of_the_tables(call: Call) -> None:
    left = run(call, *SMALL)
    summary, frame = left.json("summary.json"), pd.read_csv(left.only("branches.csv"))
    assert summary["free"] == [*FREE, "awareness", "log_horizon", "log_competence"]
    assert {"values.helpfulness", "habit.coding"} <= set(summary["held"])
    assert not set(summary["held"]) & set(summary["free"])
    assert summary["branches"] == frame["branch"].nunique() > 0
    assert frame["training.anchor"].between(0.0099, 0.1001).all()
    assert len(pd.read_csv(left.only("folds.csv"))) == 2 * len(summary["folds"]) == 0
    assert pd.read_csv(left.only("bifurcation.csv"))["verdict"].item() == "one outcome"


@pytest.mark.slow
def test_below_the_fold_one_outcome_and_above_it_two(call: Call) -> None:
    left = run(call, "places=1", "starts=8", "low=-8.4", "high=-7")
    summary, frame = left.json("summary.json"), pd.read_csv(left.only("branches.csv"))
    assert summary["variable"] == RATE
    (fold,) = summary["folds"]
    assert (frame["event"] == "fold").sum() == 1
    (interval,) = summary["bistable"]
    assert interval["low"] == pytest.approx(fold[KEY], abs=1e-6)
    assert (interval["high"], interval["outcomes"]) == (-7, 2)
    assert "bistable" in left.stdout


def test_with_nothing_at_rest_there_is_no_figure(call: Call) -> None:
    left = run(call, "places=1", "starts=4", "low=-7", "high=-6", "training.anchor=0")
    assert left.json("summary.json")["branches"] == 0
    assert pd.read_csv(left.only("bifurcation.csv"))["verdict"].item() == "no fixed point"
    assert not list(left.folder.rglob("*.png"))


def test_the_note_lists_what_is_free_by_kind() -> None:
    assert free_note([*FREE, "log_horizon"]).startswith(
        "Free to move: values copyright; habit copyright chat, copyright excerpt; log horizon. "
    )


REFUSED = [
    ("low=3", "low: got 3: must be below high, 2"),
    ("scale=log", "low: got -10: must be above 0, as the scale is log"),
    ("key=agent.initial.awarness", "key: agent.initial.awarness: unknown key; did you mean 'aw"),
    ("key=training.update_rule", "key: training.update_rule: "),
    ("key=training.selection.keep low=0.1 high=1", "key: got 'training.selection.keep'"),
    ("variable=gaming_rate.copyrigh_chat", "did you mean 'gaming_rate.copyright_chat'?"),
    ("variable=reach", "variable: got 'reach': "),
    ("free=[value.copyright]", "there is no free 'value.copyright'; did you mean 'values.copyr"),
    ("training.estimator=sampled", "training.estimator: got 'sampled'"),
    ("phase=1", "phase: got 1: training has 1, from 0"),
]


@pytest.mark.parametrize(("settings", "says"), REFUSED)
def test_what_the_scenario_does_not_have_is_refused(call: Call, settings: str, says: str) -> None:
    assert_refused(call(*settings.split(), name="bifurcation"), says)
