"""experiments/evidence.py: what it writes, what it says, and what it refuses."""

from __future__ import annotations

import pandas as pd
import pytest

from commands import Call, assert_refused
from experiments.evidence.hypotheses import HYPOTHESES

SMALL = ("agents=80", "training.steps=40", "engine=numpy", "priors=[uninformed,benign]")


def test_command_writes_everything(call: Call) -> None:
    left = call(*SMALL, name="evidence")
    assert left.status == 0, left.stderr
    table = pd.read_csv(left.only("evidence.csv"))
    assert list(dict.fromkeys(table["prior_name"])) == ["uninformed", "benign"]
    assert set(table["hypothesis"]) == set(HYPOTHESES)
    assert set(table["agents"]) == {80}
    assert set(pd.read_csv(left.only("cause.csv"))["cut"]) == {"feedback", "gaming"}
    for name in ("evidence", "contexts", "calibration"):
        assert left.only(f"{name}.png").stat().st_size > 10_000
        assert left.only(f"{name}.svg").exists()
    assert len(list((left.folder / "outputs" / "evidence-sweeps").iterdir())) == 6
    told = " ".join(left.stdout.split())
    for text in left.json("summary.json")["says"].values():
        assert " ".join(text.split()) in told


@pytest.mark.slow
def test_the_same_command_gives_the_same_bytes_and_trains_nobody_twice(call: Call) -> None:
    for folder in ("a", "b"):
        left = call(*SMALL, f"hydra.run.dir={folder}", name="evidence")
        assert left.status == 0, left.stderr
    for name in ("evidence.csv", "cause.csv", "contexts.csv", "summary.json", "evidence.svg"):
        first, again = ((left.folder / f / name).read_bytes() for f in "ab")
        assert first == again, name
    assert len(list((left.folder / "outputs" / "evidence-sweeps").iterdir())) == 6


@pytest.mark.slow
def test_settings_are_heard(call: Call) -> None:
    left = call(
        *SMALL[:-1],
        "priors=[benign]",
        "cut=false",
        "store=null",
        "thresholds.misalignment=0.99",
        "seeing.context=coding",
        name="evidence",
    )
    assert left.status == 0, left.stderr
    table = pd.read_csv(left.only("evidence.csv"))
    assert table["observation"][0] == "games in coding"
    assert (table[table["hypothesis"] == "misalignment"]["prior"] > 0.9).all()
    assert not list(left.folder.rglob("cause.csv"))
    assert not list(left.folder.rglob("evidence-sweeps"))
    provenance = left.json("provenance.json")
    assert provenance["study"]["priors"]["benign"]["goals"]["sd"] == 0.5
    assert provenance["thresholds"]["misalignment"] == 0.99


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["priors=[capabel]"], "did you mean 'capable'"),
        (["priors=[]"], "priors: got []"),
        (["priors=[benign,benign]"], "must be a list of different names"),
        (["agents=1"], "agents: got 1"),
        (["cut=3"], "cut: got 3"),
        (["lacking=-1"], "lacking: got -1"),
        (["aligned=2"], "aligned: got 2"),
        (["seeing.gap=2"], "seeing.gap: got 2"),
        (["seeing.context=codng"], "did you mean 'coding'"),
        (["thresholds.consistancy=1"], "did you mean 'consistency'"),
        (["engine=gpu"], "engine"),
        (["seed=-1"], "seed: got -1"),
        (["prior=[benign]"], "did you mean 'priors'"),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Call, arguments: list[str], line: str) -> None:
    assert_refused(call(*arguments, name="evidence"), line)


def test_help_tells_every_key(call: Call) -> None:
    left = call("--help", name="evidence")
    for key in ("agents", "priors", "cut", "seeing.gap", "thresholds.consistency", "store"):
        assert f"{key}=" in left.stdout
