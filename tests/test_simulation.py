"""A run: how often it is recorded or reported changes nothing, and its progress is a bar."""

from __future__ import annotations

from typing import Any

import pytest

import sim
from sim.dynamics import loop

FEW: dict[str, Any] = {
    "agent": {"spread": {"initial": {"values": 0.3, "habit": 0.5}}},
    "agents": 3,
    "training": {"steps": 60, "selection": {"every": 10, "mutation": 0.1}},
}


def test_how_often_is_recorded_changes_nothing() -> None:
    often = sim.simulate("pipeline", record_every=1, **FEW)
    seldom = sim.simulate("pipeline", record_every=25, **FEW)
    assert seldom.data["step"].values.tolist() == [0, 25, 50, 60]
    assert seldom.data.drop_vars("onset").equals(
        often.data.drop_vars("onset").sel(step=seldom.data["step"])
    )


def test_a_start_of_another_shape_is_refused_in_one_line() -> None:
    for ragged in ([[1, 2], [1]], "much"):
        with pytest.raises(sim.SpecError, match=r"initial\.propensity: got an array of shape"):
            sim.simulate("pipeline", initial=sim.AgentState(propensity=ragged), **FEW)


def test_progress_is_reported_to_a_function_or_as_a_bar(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(loop, "STRIDE", 60)
    plain = sim.simulate("pipeline", **FEW)
    shares: list[float] = []
    for progress, bar in (
        (None, ""),
        (False, ""),
        (shares.append, ""),
        (True, "pipeline: 3 agents"),
    ):
        assert sim.simulate("pipeline", progress=progress, **FEW).data.identical(plain.data)
        shown = capfd.readouterr()
        assert shown.out == ""
        assert bar in shown.err
        assert bool(bar) == bool(shown.err)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert len(shares) >= 3


def test_a_run_that_diverges_says_what_helps() -> None:
    training = FEW["training"] | {"learning_rate": {"values": 1e300}}
    with pytest.raises(sim.DivergenceError, match=r"^agent \d: values\.\w+ grew out of all bounds"):
        sim.simulate("pipeline", **FEW | {"training": training})


def test_an_agent_has_a_name_or_a_path_and_may_leave_out_initial() -> None:
    few = {"training": {"steps": 20}, "engine": "numpy"}
    by_name = sim.simulate("monolithic", agent={"awareness": -1, "spread": {"habit": 0.1}}, **few)  # type: ignore[arg-type]
    agent = by_name.provenance["agent"]
    assert (agent["initial"]["awareness"], agent["spread"]["initial"]["habit"]) == (-1.0, 0.1)
    opportunist = sim.simulate("lab_to_deployment", agent="opportunist", **few)  # type: ignore[arg-type]
    assert opportunist.provenance["agent"]["initial"]["log_horizon"] == -4.0
    twice = {"awareness": 1, "initial": {"awareness": 2}}
    with pytest.raises(sim.SpecError, match=r"agent\.awareness: is given twice"):
        sim.simulate("monolithic", agent=twice)
