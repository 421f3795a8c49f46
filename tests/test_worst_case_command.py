"""experiments/worst_case.py: what it writes, what it says, and what it refuses."""

from __future__ import annotations

import pandas as pd
import pytest

from commands import Call, assert_refused
from experiments.worst_case.binding import QUESTIONS
from experiments.worst_case.funnel_moves import MOVES
from experiments.worst_case.study import STAGES

SMALL = ("agents=60", "moved_agents=30", "training.steps=30", "engine=numpy")


def test_command_writes_everything(call: Call) -> None:
    left = call(*SMALL, "moves=[leak,no_oversight,retraining]", name="worst_case")
    assert left.status == 0, left.stderr
    stages = pd.read_csv(left.only("funnel.csv"))
    assert list(stages["stage"]) == list(STAGES)
    assert stages["count"].is_monotonic_decreasing
    summary = left.json("summary.json")
    assert [row["count"] for row in summary["stages"]] == list(stages["count"])
    told = " ".join(left.stdout.split())
    for text in summary["says"].values():
        assert " ".join(text.split()) in told
    assert "What becomes" not in left.stderr
    moves = pd.read_csv(left.only("moves.csv"))
    assert list(dict.fromkeys(moves["move"])) == ["as_it_is", "leak", "no_oversight", "retraining"]
    assert set(moves["agents"]) == {30}
    assert summary["moves"]["no_oversight"]["expected_successes"]["on_paper_anybody"] >= 0.0
    bound = pd.read_csv(left.only("binding.csv"))
    assert list(dict.fromkeys(bound["question"])) == list(QUESTIONS)
    assert len(pd.read_csv(left.only("by_gaming.csv"))) == 14
    for name in ("funnel", "moves", "binding"):
        assert left.only(f"{name}.png").stat().st_size > 10_000
        assert left.only(f"{name}.svg").exists()
    provenance = left.json("provenance.json")
    assert provenance["study"]["agents"] == 60
    assert provenance["oversight"]["retraining"]["rounds"] == 3
    assert provenance["thresholds"]["consistency"] == 0.9


def test_settings_of_what_comes_after_training_are_heard(call: Call) -> None:
    left = call(
        *SMALL,
        "moves=[]",
        "oversight=none",
        "deployment=single",
        "deployment.caution=0",
        "deployments=3",
        "replicates=5",
        "thresholds.consistency=0.1",
        name="worst_case",
    )
    assert left.status == 0, left.stderr
    rows = pd.read_csv(left.only("funnel.csv")).set_index("stage")
    assert rows.loc["deployed", "alone"] == 60
    assert rows.loc["succeeds", "alone"] == 60
    assert rows.loc["attempts", "alone"] > 0
    assert left.json("provenance.json")["thresholds"]["consistency"] == 0.1
    deployed = pd.read_csv(left.only("deployed.csv"))
    assert len(deployed) == 3  # one copy, and nobody looks: it always succeeds
    assert (deployed[["on_paper", "takeover"]] == 1.0).all(axis=None)
    assert "were deployed as copies, 5 times each" in " ".join(left.stdout.split())
    assert not list(left.folder.rglob("moves.*"))


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(call: Call) -> None:
    for folder in ("a", "b"):
        left = call(
            *SMALL,
            "moves=[]",
            "oversight=retrain",
            "oversight.retraining.steps=10",
            f"hydra.run.dir={folder}",
            name="worst_case",
        )
        assert left.status == 0, left.stderr
    for name in ("funnel.csv", "binding.csv", "by_gaming.csv", "summary.json", "funnel.svg"):
        first, again = ((left.folder / f / name).read_bytes() for f in "ab")
        assert first == again, name


def test_help_tells_every_key(call: Call) -> None:
    left = call("--help", name="worst_case")
    for key in ("moved_agents", "moves", "deployments", "oversight.control.strength"):
        assert f"{key}=" in left.stdout
    for key in ("deployment.caution", "thresholds.consistency", "agent.rationality"):
        assert f"{key}=" in left.stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["moves=[leek]"], "moves: got 'leek': did you mean 'leak'? allowed: all, anchor"),
        (["moves=3"], "moves: got 3: must be all, or a list of names"),
        (["agents=0"], "agents: got 0"),
        (["moved_agents=x"], "moved_agents: got 'x'"),
        (["seed=-1"], "seed: got -1"),
        (["deployments=-1"], "deployments: got -1"),
        (["replicates=0"], "replicates: got 0"),
        (["engine=gpu"], "engine"),
        (["oversight.control.when_found=retrain"], "oversight.control.when_found"),
        (["oversight.contrl.strength=1"], "did you mean 'control'"),
        (["deployment.quorum=0"], "deployment.quorum"),
        (["thresholds.consistancy=1"], "did you mean 'consistency'"),
        (["oversight=nobody"], "oversight: no oversight is named 'nobody'"),
        (["scenario=copyright", "oversight=retrain"], "no context of kind evaluation"),
        (["treshold.opacity=1"], "treshold: unknown key; did you mean 'thresholds'"),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Call, arguments: list[str], line: str) -> None:
    assert_refused(call(*arguments, name="worst_case"), line)


def test_every_move_has_a_name_of_its_own() -> None:
    assert len({move.name for move in MOVES}) == len(MOVES) == 16
