"""The study of deployment: what it writes, and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from commands import Call, assert_refused

QUICK = (
    "agents=6",
    "training.steps=30",
    "replicates=20",
    "points=3",
    "samples=5",
    "deployment.copies=10",
    "deployment.ticks=4",
    "workers=1",
)
UNWATCHED = ("oversight=none",)


def test_it_writes_everything(call: Call) -> None:
    left = call(*QUICK, name="deploy")
    assert left.status == 0, left.stderr
    outcomes = pd.read_csv(left.only("outcomes.csv"), keep_default_na=False)
    summary = left.json("summary.json")
    (kind,) = summary["kinds"]
    # Twenty answers are looked at, and the agent is caught more often than it would dare.
    assert not kind["attempts"]
    (agent,) = pd.read_csv(left.only("agents.csv")).to_dict("records")
    assert agent["success"] < agent["bar"]
    assert agent["gain"] > 0.0
    assert 0.0 < agent["caution_below"] < 1.0
    assert list(summary["deployments"]) == ["as it decides", "if it tried"]
    for name, numbers_of in summary["deployments"].items():
        rows = outcomes[outcomes["deployments"] == name]
        assert len(rows) == numbers_of["replicates"] == 20
        for outcome, numbers in numbers_of["outcomes"].items():
            assert numbers["count"] == (rows["outcome"] == outcome).sum()
            low, high = numbers["interval_95"]
            assert low <= numbers["share"] <= high
        assert numbers_of["caught_by"]["inspection"] == (rows["found_by"] == "inspection").sum()
    assert summary["deployments"]["as it decides"]["outcomes"]["takeover"]["count"] == 0
    series = pd.read_csv(left.only("series.csv"))
    assert list(series) == ["deployments", "tick", "ready", "acting", "quarantined", "catches"]
    assert len(series) == 2 * 5
    curves = pd.read_csv(left.only("coordination.csv"))
    assert list(curves["graph"].unique()) == ["complete", "small_world", "none"]
    assert list(curves["coordination"]) == [0.0, 0.5, 1.0] * 3
    assert left.only("deployment.png").stat().st_size > 10_000
    assert left.only("deployment.svg").exists()
    provenance = left.json("provenance.json")
    assert provenance["study"]["replicates"] == 20
    assert provenance["deployment"]["copies"] == 10


def test_the_formula_stands_beside_what_was_counted(call: Call) -> None:
    """Nobody looks, all are able, and there is time: nought at 0, and all at 1."""
    left = call(
        *QUICK,
        *UNWATCHED,
        "deployment.ticks=60",
        "deployment.mix={access_deployed: 1}",
        name="deploy",
    )
    assert left.status == 0, left.stderr
    curves = pd.read_csv(left.only("coordination.csv"))
    complete = curves[curves["graph"] == "complete"]
    assert list(complete["share"])[::2] == [0.0, 1.0]
    np.testing.assert_allclose(list(complete["paper"])[::2], [0.0, 1.0])
    assert 0.5 < complete["paper"].iloc[1] < 0.7  # at least 5 of 10 at 0.5: 0.623
    assert curves[curves["graph"] != "complete"]["paper"].isna().all()
    assert (curves[curves["graph"] == "none"]["takeovers"] == 0).all()
    summary = left.json("summary.json")
    assert list(summary["deployments"]) == ["as asked"]
    assert summary["kinds"][0]["attempts"]


def test_a_mix_has_no_formula_and_willing_is_obeyed(call: Call) -> None:
    left = call(
        *QUICK, *UNWATCHED, "kinds=3", "willing=false", "deployment.copies=1", name="deploy"
    )
    assert left.status == 0, left.stderr
    summary = left.json("summary.json")
    assert len(summary["kinds"]) == 3
    assert summary["deployments"]["as it decides"]["outcomes"]["dormant"]["share"] == 1.0
    assert summary["deployments"]["if it tried"]["outcomes"]["takeover"]["share"] == 1.0
    assert list(summary["coordination"]) == ["complete"]
    assert summary["coordination"]["complete"]["levels_where_paper_is_within_95"] is None


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers(call: Call) -> None:
    frames = []
    for number, seed in enumerate((3, 3, 4)):
        left = call(*QUICK, f"seed={seed}", f"hydra.run.dir=run{number}", name="deploy")
        frames.append((left.folder / f"run{number}" / "outcomes.csv").read_bytes())
    assert frames[0] == frames[1] != frames[2]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["kinds=0"], "kinds: got 0"),
        (["agents=2", "kinds=3"], "kinds: got 3: must be 2 or less"),
        (["willing=perhaps"], "willing: got 'perhaps'"),
        (["deployment.quorum=2"], "deployment.quorum: a quorum of 2 times the number of copies"),
        (["deployment.copis=2"], "deployment.copis: unknown key; did you mean 'copies'?"),
        (["deployment.edges=[[0,1]]"], "deployment.edges: leave 98 of 100 copies out"),
        (["deployment.copies=1000000000"], "deployment.copies: 1000000000 would take 2"),
        (["workers=100000"], "workers: got 100000: must be "),
        (["deployment=large"], "deployment: no deployment is named 'large'"),
        (["oversight.control.encounters=0"], "oversight.control.encounters: a step of strength"),
        (["oversight.control.strenght=0"], "did you mean 'strength'?"),
        (["thresholds.opacty=0.1"], "thresholds.opacty: unknown term; did you mean 'opacity'?"),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Call, arguments: list[str], line: str) -> None:
    assert_refused(call(*arguments, name="deploy"), line)
