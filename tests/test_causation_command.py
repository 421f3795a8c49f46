"""experiments/causation.py: what it writes, what it says, and what it refuses."""

from __future__ import annotations

import pandas as pd
import pytest

from commands import Call, assert_refused
from experiments.causation.mediation import MEDIATORS, ROUTES
from experiments.causation.scenario_effects import ASSUMPTIONS

SMALL = ("agents=4", "few_agents=2", "copies=1", "training.steps=8", "engine=numpy")
FIGURE = 10_000


def test_any_intervention_can_be_asked_about_and_no_run_is_made_twice(call: Call) -> None:
    do = "do=[{key: state.awareness, set: 3, stop: 8}, {key: deployment.caution, scale: 2}]"
    asked = (*SMALL, "parts=[effects]", "seed=18446744073709551615", do)
    left = call(*asked, "hydra.run.dir=first", name="causation")
    assert left.status == 0, left.stderr
    summary, provenance = left.json("summary.json"), left.json("provenance.json")
    effects = summary["effects"]
    assert summary["cause"] == "what is done"
    assert " ".join(effects["says"].split()) in " ".join(left.stdout.split())
    assert (effects["failed"], effects["resumed"]) == (0, 0)
    table = pd.read_csv(left.only("effects.csv"))
    assert table["contrast"].iat[0] == "what is done"
    awareness = table[(table["outcome"] == "awareness") & (table["group"] == "all")].iloc[0]
    assert awareness["first"] == pytest.approx(3.0)
    assert left.only("effects.png").stat().st_size > FIGURE
    assert left.only("effects.svg").exists()
    keys = [one["key"] for one in provenance["study"]["do"]]
    assert keys == ["state.awareness", "deployment.caution"]
    assert provenance["study"]["agents"] == 4
    assert provenance["thresholds"]["consistency"] == 0.9

    again = call(*asked, "hydra.run.dir=second", name="causation")
    assert again.status == 0, again.stderr
    runs = effects["runs"]
    assert runs == 5 * 4
    assert f"effects: {runs} runs, {runs} of them kept from before" in again.stdout
    first, second = (again.folder / name / "effects.csv" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.slow
def test_other_parts_where_nobody_is_deployed(call: Call) -> None:
    parts = ("mediation", "scenarios", "self_modification")
    asked = (f"parts=[{','.join(parts)}]", "scenario=copyright", "scenarios=[copyright]")
    left = call(*SMALL, *asked, "store=null", name="causation")
    assert left.status == 0, left.stderr
    summary, told = left.json("summary.json"), " ".join(left.stdout.split())
    assert summary["cause"] == "gaming"
    for part in parts:
        assert " ".join(summary[part]["says"].split()) in told
        assert summary[part]["failed"] == 0
        assert left.only(f"{part}.png").stat().st_size > FIGURE
    routes = pd.read_csv(left.only("mediation.csv"))["route"]
    assert list(dict.fromkeys(routes)) == [*MEDIATORS, *ROUTES]
    compared = pd.read_csv(left.only("scenarios.csv"))
    assert set(compared["scenario"]) == {"copyright"}
    assert tuple(compared["assumption"].unique()) == tuple(ASSUMPTIONS)
    knobs = pd.read_csv(left.only("self_modification_knobs.csv"))
    assert list(knobs["knob"]) == [row["knob"] for row in summary["self_modification"]["knobs"]]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("parts=[efects]", "effects"),
        ("parts=[]", "parts: at least one is needed"),
        ("scenarios=[copyrigth]", "copyright"),
        ("scenarios=[]", "scenarios: at least one is needed"),
        ("agents=1", "agents: got 1"),
        ("few_agents=0", "few_agents: got 0"),
        ("copies=99", "copies: got 99"),
        ("seed=-1", "seed: got -1"),
        ("do=[{key: gamin, set: 0}]", "gaming"),
        ("do=[{key: state.awareness, freeze: true}]", "two of them hold awareness"),
        ("do=[{key: oversight.control.strength, scale: 99}]", "oversight.control.strength"),
        ("thresholds.opacty=1", "opacity"),
        ("store=3", "store: got 3"),
        ("agnts=3", "agents"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(call: Call, setting: str, says: str) -> None:
    few = ("parts=[mediation]",) if not setting.startswith("parts") else ()
    assert_refused(call(*SMALL, *few, setting, name="causation"), says)
