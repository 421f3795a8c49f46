"""experiments/causation.py: what it writes, what it says, and what it refuses."""

from __future__ import annotations

import pandas as pd
import pytest

from commands import Call, assert_refused
from sim.analysis.causation import ASSUMPTIONS, SCENARIOS
from sim.analysis.mediation import MEDIATORS, ROUTES

SMALL = ("agents=6", "few_agents=2", "copies=1", "training.steps=12", "engine=numpy")


def test_command_writes_everything_and_makes_no_run_twice(call: Call) -> None:
    parts = ("effects", "mediation", "self_modification")
    left = call(*SMALL, f"parts=[{','.join(parts)}]", "hydra.run.dir=first", name="causation")
    assert left.status == 0, left.stderr
    summary = left.json("summary.json")
    told = " ".join(left.stdout.split())
    assert summary["cause"] == "gaming"
    for part in parts:
        assert " ".join(summary[part]["says"].split()) in told
        assert summary[part]["failed"] == 0
        assert left.only(f"{part}.png").stat().st_size > 10_000
        assert left.only(f"{part}.svg").exists()
    routes = pd.read_csv(left.only("mediation.csv"))["route"]
    assert list(dict.fromkeys(routes)) == [*MEDIATORS, *ROUTES]
    knobs = pd.read_csv(left.only("self_modification_knobs.csv"))
    assert list(knobs["knob"]) == [row["knob"] for row in summary["self_modification"]["knobs"]]
    provenance = left.json("provenance.json")
    assert provenance["study"]["agents"] == 6
    assert provenance["thresholds"]["consistency"] == 0.9

    again = call(*SMALL, "parts=[mediation]", "hydra.run.dir=second", name="causation")
    assert again.status == 0, again.stderr
    assert "kept from before" in again.stdout
    first, second = (again.folder / name / "mediation.csv" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.slow
def test_scenarios_are_compared(call: Call) -> None:
    left = call(*SMALL, "parts=scenarios", "store=null", name="causation")
    assert left.status == 0, left.stderr
    table = pd.read_csv(left.only("scenarios.csv"))
    assert tuple(table["scenario"].unique()) == SCENARIOS
    assert tuple(table["assumption"].unique()) == tuple(ASSUMPTIONS)
    assert left.only("scenarios.png").stat().st_size > 10_000
    assert left.json("summary.json")["scenarios"]["failed"] == 0


def test_any_intervention_can_be_asked_about(call: Call) -> None:
    left = call(
        *SMALL,
        "parts=[effects]",
        "store=null",
        "do=[{key: state.awareness, set: 3, stop: 12}]",
        name="causation",
    )
    assert left.status == 0, left.stderr
    table = pd.read_csv(left.only("effects.csv"))
    assert table["contrast"].iat[0] == "what is done"
    awareness = table[(table["outcome"] == "awareness") & (table["group"] == "all")].iloc[0]
    assert awareness["first"] == pytest.approx(3.0)
    assert left.json("provenance.json")["study"]["do"][0]["key"] == "state.awareness"


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("parts=[efects]", "effects"),
        ("parts=[]", "parts: at least one is needed"),
        ("agents=1", "agents: got 1"),
        ("few_agents=0", "few_agents: got 0"),
        ("copies=99", "copies: got 99"),
        ("do=[{key: gamin, set: 0}]", "gaming"),
        ("do=[{key: state.awareness, freeze: true}]", "two of them hold awareness"),
        ("thresholds.opacty=1", "opacity"),
        ("store=3", "store: got 3"),
        ("agnts=3", "agents"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(call: Call, setting: str, says: str) -> None:
    assert_refused(call(*SMALL, setting, name="causation"), says)
