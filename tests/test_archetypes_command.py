"""The comparison of archetypes as a command: what it writes, says and refuses."""

from __future__ import annotations

import pandas as pd
import pytest

from commands import Call, assert_refused
from experiments.archetypes.command import HELP, OWN
from experiments.archetypes.study import ARCHETYPES

SMALL = ("agents=8", "training.steps=40")


def test_command_writes_everything(call: Call) -> None:
    left = call(*SMALL, "odds=100", name="archetypes")
    assert left.status == 0, left.stderr
    frame = pd.read_csv(left.only("archetypes.csv"))
    assert list(frame["archetype"]) == list(ARCHETYPES)
    assert (frame["agents"] == 8).all()
    pairs = pd.read_csv(left.only("pairs.csv"))
    assert len(pairs) == 15
    assert pairs["evidence"].is_monotonic_increasing
    summary = left.json("summary.json")
    told = " ".join(left.stdout.split())
    for paragraph in summary["says"].values():
        assert paragraph in told
    assert summary["odds"] == 100
    assert len(summary["pairs"]) == 15
    assert "100:1" in summary["says"]["training_log"]
    provenance = left.json("provenance.json")
    assert provenance["study"]["archetypes"] == list(ARCHETYPES)
    assert provenance["archetypes"]["opportunist"]["initial"]["log_horizon"] == -4
    assert provenance["archetypes"]["opportunist"]["spread"]["initial"]["habit"] == 0.5
    assert provenance["after"]["thresholds"]["consistency"] == 0.9
    for name in ("archetypes", "training_log"):
        assert left.only(f"{name}.png").stat().st_size > 10_000
        assert left.only(f"{name}.svg").exists()


def test_keys_of_the_agent_hold_beneath_every_archetype(call: Call) -> None:
    left = call(
        *SMALL,
        "archetypes=[opportunist,reward_seeker]",
        "agent.initial.awareness=-1",
        "agent.spread.initial.values=0.3",
        "thresholds.consistency=0.4",
        "deployment=single",
        name="archetypes",
    )
    assert left.status == 0, left.stderr
    provenance = left.json("provenance.json")
    agents = provenance["archetypes"]
    assert agents["opportunist"]["initial"]["awareness"] == 3
    assert agents["reward_seeker"]["initial"]["awareness"] == -1
    assert agents["reward_seeker"]["spread"]["initial"]["values"] == 0.3
    assert provenance["after"]["deployment"]["copies"] == 1
    assert provenance["after"]["thresholds"]["consistency"] == 0.4


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers(call: Call) -> None:
    only = "archetypes=[opportunist,monolithic]"
    left = call(*SMALL, only, "hydra.run.dir=first", name="archetypes")
    call(*SMALL, only, "hydra.run.dir=again", name="archetypes")
    for name in ("archetypes.csv", "pairs.csv"):
        first, again = (left.folder / run / name for run in ("first", "again"))
        assert first.read_bytes() == again.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["archetypes=[monolitic,opportunist]"], "no agent is named 'monolitic'; did you mean"),
        (["archetypes=[opportunist]"], "name at least two"),
        (["archetypes=opportunist"], "name at least two"),
        (["archetypes=[opportunist,opportunist]"], "name at least two"),
        (["archetypes=[]"], "name at least two"),
        (["archetypes=[opportunist,no/such.yaml]"], "archetypes: there is no file 'no/such.yaml'"),
        (["odds=1"], "odds: got 1: must be a number above 1"),
        (["odds=even"], "odds: got 'even'"),
        (["odds=inf"], "odds: got inf"),
        (["agents=0"], "agents: got 0"),
        (["seed=-1"], "seed"),
        (["engine=gpu"], "engine"),
        (["archetype=[monolithic]"], "archetype: unknown key; did you mean 'archetypes'"),
        (["thresholds.consistensy=1"], "did you mean 'consistency'"),
        (["deployment.copies=0"], "deployment.copies"),
        (["oversight.control.strength=2"], "oversight.control.strength"),
        (["agent.rationalty=2"], "did you mean 'rationality'"),
        (["scenario=power_seeker"], "archetypes: monolithic: agent.initial.values"),
        (["scenario=pipeline"], "scenario: has no deployment context"),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Call, arguments: list[str], line: str) -> None:
    left = call(*arguments, name="archetypes")
    assert_refused(left, line)


def test_the_help_names_all_keys_and_says_what_goes_before_what() -> None:
    text = HELP("archetypes")
    for setting in OWN:
        assert f"  {setting}" in text
    for name in ARCHETYPES:
        assert name in text
    assert "beneath what one says of itself" in text
    assert "== The worst case" in text
