"""The study of sensitivity: what it writes, what it keeps, and what it refuses."""

from __future__ import annotations

import pandas as pd
import pytest

from commands import Call, assert_refused
from experiments.sensitivity.outcomes import OUTCOMES

SMALL = ("points=8", "trajectories=8", "training.steps=20", "engine=numpy", "store=kept")


def test_command_writes_everything_and_makes_no_run_twice(call: Call) -> None:
    left = call(*SMALL, "hydra.run.dir=a", name="sensitivity")
    assert left.status == 0, left.stderr
    summary = left.json("summary.json")
    for method, runs in (("morris", 8 * 22), ("sobol", 8 * 23)):
        assert summary[method]["runs"] == runs
        assert summary[method]["resumed"] == 0
        assert set(summary[method]["states"]) == set(OUTCOMES)
    indices = pd.read_csv(left.only("indices.csv"))
    assert set(indices["method"]) == {"morris", "sobol"}
    assert {"total", "first", "mu_star", "mu", "sigma"} == set(indices["index"])
    assert set(pd.read_csv(left.only("convergence.csv"))["blocks"]) == {2, 4, 8}
    assert len(pd.read_csv(left.only("comparison.csv"))) == 2 * 21
    assert len(pd.read_csv(left.only("outcomes.csv"))) == 2 * len(OUTCOMES)
    for name in ("sensitivity", "morris"):
        assert left.only(f"{name}.png").stat().st_size > 10_000
        assert left.only(f"{name}.svg").exists()
    provenance = left.json("provenance.json")
    assert provenance["study"]["assumptions"]["training.leak"] == [0, 1]
    assert provenance["thresholds"]["consistency"] == 0.9
    again = call(*SMALL, "hydra.run.dir=b", name="sensitivity")
    assert again.status == 0, again.stderr
    verdicts = pd.read_csv(left.folder / "b" / "verdicts.csv")
    assert list(verdicts["resumed"]) == list(verdicts["runs"]) == [8 * 22, 8 * 23]
    for name in ("indices.csv", "convergence.csv", "comparison.csv", "sensitivity.svg"):
        first, second = (left.folder / folder / name for folder in "ab")
        assert first.read_bytes() == second.read_bytes()


def test_assumptions_are_changed_added_and_left_out(call: Call) -> None:
    left = call(
        *SMALL,
        "method=sobol",
        "oversight=none",
        "++assumptions={training.leak: [0, 0.5], training.generalisation.habit: null, "
        "agent.decisiveness: [1, 2]}",
        name="sensitivity",
    )
    assert left.status == 0, left.stderr
    moved = left.json("summary.json")["assumptions"]
    assert moved["training.leak"] == {"low": 0.0, "high": 0.5, "scale": "linear"}
    assert "training.generalisation.habit" not in moved
    assert "agent.decisiveness" in moved
    assert len(moved) == 21
    assert not list(left.folder.rglob("morris.*"))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["++assumptions={training.leek: [0, 1]}"], "did you mean 'leak'"),
        (["++assumptions={training.leak: [1, 0]}"], "assumptions.training.leak: got [1, 0]"),
        (["points=100"], "points: got 100: must be a power of 2"),
        (["method=[sobl]"], "got 'sobl'"),
        (["trajectories=1"], "trajectories: got 1"),
        (["thresholds.opacity=2"], "thresholds.opacity"),
        (["scenario=copyright"], "agent.initial.values.care: unknown key"),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Call, arguments: list[str], line: str) -> None:
    left = call(*arguments, name="sensitivity")
    assert_refused(left, line)
