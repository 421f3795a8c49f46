"""The study `stability`: its numbers, and its own refusals."""

from __future__ import annotations

import pandas as pd
import pytest

from commands import Call, Left, assert_refused

FEW = ("starts=4", "training.steps=100", "training.anchor=0.01", "steps=1000")


def run(call: Call, *settings: str) -> Left:
    left = call(*FEW, *settings, name="stability")
    assert left.status == 0, left.stderr
    return left


def test_the_agents_own_training_leads_to_one_of_the_equilibria(call: Call) -> None:
    left = run(call)
    summary, frame = left.json("summary.json"), pd.read_csv(left.only("equilibria.csv"))
    assert (summary["context"], summary["value"]) == ("copyright_chat", "copyright")
    assert len(summary["equilibria"]) == len(frame) > 0
    own = summary["equilibria"][summary["own"]]
    assert [point["own"] for point in summary["equilibria"]].count(True) == own["own"] == 1
    assert "copyright_deployed" not in own["gaming_rate"]
    assert own["memory"] == pytest.approx(frame["memory"][summary["own"]])
    shares = sum(point["share"] for point in summary["equilibria"])
    assert shares + summary["unsettled"] == pytest.approx(1.0)
    search = pd.read_csv(left.only("search.csv")).iloc[0]
    assert (search["own"], search["verdict"]) == (summary["own"] + 1, own["kind"])
    states = pd.read_csv(left.only("states.csv"))
    assert len(states) == len(frame) * (4 + 2)


def test_without_an_anchor_training_drifts_and_invasions_are_listed(call: Call) -> None:
    left = run(call, "training.anchor=0", "context=coding", "value=helpfulness")
    summary = left.json("summary.json")
    assert summary["equilibria"] == summary["plane"]["points"] == []
    assert summary["own"] is None
    assert summary["unsettled"] == 1.0
    assert summary["newton"]["stalled"] == summary["newton"]["attempts"] > 0
    drift = pd.read_csv(left.only("drift.csv"))
    assert drift["change"].abs().is_monotonic_decreasing
    assert dict(drift.values.tolist()) == summary["drift"]
    assert len(summary["invasions"]) == len(pd.read_csv(left.only("invasions.csv"))) == 8
    assert pd.read_csv(left.only("search.csv"))["verdict"].item() == "moving"


def test_saturated_gates_have_an_invasion_each(call: Call) -> None:
    left = run(call, "training.anchor=0", "free=habit")
    corners = [point for point in left.json("summary.json")["equilibria"] if point["saturated"]]
    assert corners
    for point in corners:
        assert {against["context"] for against in point["against"]} == set(point["saturated"])


REFUSED = [
    ("context=coping", "context: got 'coping': must be one that is trained on; did you mean "),
    ("context=copyright_deployed", "context: got 'copyright_deployed': must be one that is tr"),
    ("value=helpfullness", "value: got 'helpfullness': did you mean 'helpfulness'?"),
    ("free=[habits]", "parameters: there is no free 'habits'; did you mean 'habit'?"),
    ("training.estimator=sampled", "training.estimator: got 'sampled'"),
    ("at_step=101", "at_step: got 101: must be 100 or less"),
    ("phase=7", "phase: got 7: training has 1, from 0"),
]


@pytest.mark.parametrize(("setting", "says"), REFUSED)
def test_what_the_scenario_does_not_have_is_refused(call: Call, setting: str, says: str) -> None:
    assert_refused(call(*FEW, setting, name="stability"), says)
