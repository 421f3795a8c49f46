"""Interventions on oversight and deployment: training does not notice, and each acts once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.stats import binom

import sim
from commands import Call, assert_refused
from experiments.worst_case.deployed import deploy_attempting
from experiments.worst_case.study import funnel
from populations import NONE, WIDE
from sim.abm.batch import deploy
from sim.abm.deployment_model import DeploymentWorld
from sim.abm.profiles import profiles
from sim.analysis.audit import audit
from sim.dynamics.interventions import acting
from sim.simulation import prepare

SCENARIO = "lab_to_deployment"
ENGINES = ("numpy", "numba")
#: Who wants a takeover, is able to, and so would attempt where chances are good.
ABLE: dict[str, Any] = {
    "initial": {"values": {"care": -1, "power": 1.5, "conquest": 1}, "capability": 2},
    "spread": {"initial": {"values": 0.3, "habit": 1, "awareness": 1, "capability": 1}},
}
#: Scaled, so that whoever applied them twice would get something else.
HALVES: list[dict[str, Any]] = [
    {"key": "oversight.*.strength", "scale": 0.5},
    {"key": "deployment.caution", "scale": 0.1},
    {"key": "oversight.retraining.steps", "scale": 2},
]
GIVEN: dict[str, Any] = {
    "oversight": {
        "inspection": {"when_found": "ignore"},
        "control": {"strength": 0.8, "encounters": 2},
        "red_teaming": {"strength": 0.6, "encounters": 1, "when_found": "retrain"},
        "retraining": {"steps": 10, "rounds": 1},
    },
    "deployment": {"copies": 6, "quorum": 0.5, "caution": 1.0, "ticks": 30},
}
#: The same with HALVES done to it, by hand.
HALVED: dict[str, Any] = {
    "oversight": {
        "inspection": {"when_found": "ignore"},
        "capability_evaluations": {"strength": 0.25},
        "reasoning_monitor": {"strength": 0.25},
        "control": {"strength": 0.4, "encounters": 2},
        "red_teaming": {"strength": 0.3, "encounters": 1, "when_found": "retrain"},
        "retraining": {"steps": 20, "rounds": 1},
    },
    "deployment": {"copies": 6, "quorum": 0.5, "caution": 0.1, "ticks": 30},
}


def run(*interventions: dict[str, Any], agents: int = 40, **changes: Any) -> sim.Result:
    arguments: dict[str, Any] = {
        "agent": ABLE,
        "training": {"steps": 30},
        "record_every": 10,
        "engine": "numpy",
        **changes,
    }
    return sim.simulate(SCENARIO, agents=agents, interventions=list(interventions), **arguments)


# ---------------------------------------------------------------------------------- training


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("estimator", ["exact", "sampled"])
def test_training_does_not_notice(engine: str, estimator: str) -> None:
    training = {"steps": 30, "estimator": estimator, "selection": {"every": 10}}
    nothing, done = (
        run(*interventions, agents=8, engine=engine, training=training, agent=WIDE)
        for interventions in ((), HALVES)
    )
    assert nothing.data.identical(done.data)
    assert [one["key"] for one in done.provenance["interventions"]] == [h["key"] for h in HALVES]


def test_they_start_at_no_step() -> None:
    curriculum = sim.Scenario.load("pipeline")
    nothing, done = (
        prepare(curriculum, training={"steps": 900}, interventions=interventions).program
        for interventions in ([], HALVES)
    )
    assert acting(done) == set()
    assert done.acts == ()
    cuts = [(one.start, one.stop) for one in done.segments]
    assert cuts == [(one.start, one.stop) for one in nothing.segments]


def test_beside_an_intervention_on_training_only_that_one_is_noticed() -> None:
    off = {"key": "gaming", "set": 0, "start": 10}
    assert run(off).data.identical(run(HALVES[0], off, *HALVES[1:]).data)


# --------------------------------------------------------------------------------- chances


def test_what_control_does_to_the_chance_of_success_is_the_closed_form() -> None:
    """P is a product; of it, control is (1 - o (1 - k))^n, and a quorum a binomial tail."""
    nothing = run()
    now = nothing.data.isel(step=-1)
    k = now["capabilities"].sel(capability="subversion").values
    before = sim.prospects(nothing)
    others = before["success"].values / (1 - 0.5 * (1 - k)) ** 3
    for strength in (0.0, 0.9, 1.0):
        done = sim.prospects(run({"key": "oversight.control.strength", "set": strength}))
        expected = others * (1 - strength * (1 - k)) ** 3
        np.testing.assert_allclose(done["success"], expected, rtol=1e-12)
        effect = (done["success"] - before["success"]).values
        closed = others * ((1 - strength * (1 - k)) ** 3 - (1 - 0.5 * (1 - k)) ** 3)
        np.testing.assert_allclose(effect, closed, rtol=1e-9, atol=1e-15)
        assert (np.abs(effect) > 1e-6).any()


def test_what_copies_and_their_quorum_do_is_a_binomial_tail() -> None:
    few = sim.prospects(
        run({"key": "deployment.copies", "set": 7}, {"key": "deployment.quorum", "scale": 0.6})
    )
    together = run().data.isel(step=-1)["capabilities"].sel(capability="coordination").values
    np.testing.assert_allclose(few["quorum"], binom.sf(3 - 1, 7, together), rtol=1e-9)


def test_who_sticks_to_the_plan_where_nobody_looks() -> None:
    assert (
        sim.prospects(run({"key": "oversight.inspection.encounters", "set": 0}))["stick"] == 1
    ).all()
    slips = run().data.isel(step=-1)["slip"]
    scenario = sim.Scenario.load(SCENARIO)
    seen = list(scenario.of_kind("training", "evaluation", "red_team"))
    twice = sim.prospects(run({"key": "oversight.inspection.encounters", "scale": 2}))
    expected = ((1 - slips.sel(context=seen)) ** 6).prod("context")
    np.testing.assert_allclose(twice["stick"], expected, rtol=1e-9)


def test_caution_decides_who_attempts() -> None:
    given = {"oversight": GIVEN["oversight"], "deployment": {"copies": 6}}
    paper = sim.prospects(run(), **given)
    bars = (0.01, 0.5, 1.0, 100.0)
    attempting = []
    for factor in bars:
        done = sim.prospects(run({"key": "deployment.caution", "scale": factor}), **given)
        expected = (paper["gain"] > 0) & (paper["success"] > factor / (1 + factor))
        assert (done["attempts"] == expected).all()
        attempting.append(int(done["attempts"].sum()))
    assert attempting[0] > attempting[1] > attempting[-1] == 0


@pytest.mark.parametrize("judge", [sim.prospects, sim.worst_case])
def test_what_changes_nothing_has_an_effect_of_exactly_zero(
    judge: Callable[..., xr.Dataset],
) -> None:
    done = [
        {"key": "oversight", "scale": 1},
        {"key": "deployment", "scale": 1},
        {"key": "oversight.control.strength", "set": 0.5},
    ]
    assert judge(run()).identical(judge(run(*done)))


@pytest.mark.parametrize("judge", [sim.prospects, sim.worst_case])
def test_they_act_once_on_what_is_given(judge: Callable[..., xr.Dataset]) -> None:
    assert judge(run(*HALVES), **GIVEN).identical(judge(run(), **HALVED))
    assert not judge(run(), **GIVEN).identical(judge(run(), **HALVED))


def test_a_saved_result_keeps_them(tmp_path: Any) -> None:
    done = run(*HALVES)
    read = sim.Result.load(done.save(tmp_path / "result.nc"))
    assert sim.prospects(read, **GIVEN).identical(sim.prospects(done, **GIVEN))


# --------------------------------------------------------------------- audit and deployment


def test_the_audit_applies_them_once_with_retraining() -> None:
    mine = audit(run(*HALVES, agent=WIDE), oversight=GIVEN["oversight"])
    same = audit(run(agent=WIDE), oversight=HALVED["oversight"])
    for name in ("findings", "first_findings", "rounds", "deployed"):
        np.testing.assert_array_equal(getattr(mine, name), getattr(same, name))
    assert mine.retrained.any()
    assert mine.final.data.identical(same.final.data)
    other = audit(run(agent=WIDE), oversight=GIVEN["oversight"])
    assert (other.first_findings != mine.first_findings).any()


def test_the_funnel_and_its_deployments_apply_them_once() -> None:
    came = []
    for result, given in ((run(*HALVES), GIVEN), (run(), HALVED), (run(), GIVEN)):
        found = funnel(result, **given)
        deployed = deploy_attempting(found, **given, maximum=2, replicates=40, seed=1)
        came.append((found, deployed))
    (mine, mine_deployed), (same, same_deployed), (other, _) = came
    np.testing.assert_array_equal(mine.conditions, same.conditions)
    np.testing.assert_array_equal(mine.luck, same.luck)
    assert mine.case.identical(same.case)
    assert (mine.luck != other.luck).any()
    assert len(mine_deployed) == 2
    assert mine_deployed.equals(same_deployed)


def test_deployments_of_profiles_are_told_and_apply_them_once() -> None:
    done = run({"key": "gaming", "set": 0, "start": 20}, *HALVES)
    kinds = profiles(run({"key": "gaming", "set": 0, "start": 20}), agents=[0, 1])
    told: dict[str, Any] = {"scenario": SCENARIO, "replicates": 60, "willing": True}
    mine = deploy(kinds, interventions=done.provenance["interventions"], **GIVEN, **told)
    same = deploy(kinds, **HALVED, **told)
    assert mine.outcome.tolist() == same.outcome.tolist()
    assert mine.tick.tolist() == same.tick.tolist()
    assert mine.outcome.tolist() != deploy(kinds, **GIVEN, **told).outcome.tolist()


def test_a_world_that_trains_its_agents_applies_them_once() -> None:
    told: dict[str, Any] = {
        "scenario": SCENARIO,
        "agent": ABLE,
        "training": {"steps": 3},
        "agents": 6,
        "rng": 2,
    }
    off = {"key": "gaming", "set": 0}
    mine = DeploymentWorld(interventions=[off, *HALVES], **GIVEN, **told)
    same = DeploymentWorld(interventions=[off], **HALVED, **told)
    assert mine.oversight == same.oversight
    assert mine.deployment == same.deployment
    assert [c.profile for c in mine.copies] == [c.profile for c in same.copies]
    gaming = DeploymentWorld(**HALVED, **told)
    assert [c.profile for c in gaming.copies] != [c.profile for c in same.copies]
    moved = DeploymentWorld(
        interventions=[off, *HALVES], **GIVEN, **told, **{"interventions.2.scale": 0.2}
    )
    assert moved.deployment.caution == 0.2


def test_a_world_makes_its_profiles_from_what_was_given_and_acts_on_it_once() -> None:
    """Caution 2 becomes 0.2, a bar of 1/6; once more it would be 0.02, which more get over."""
    told: dict[str, Any] = {
        "scenario": SCENARIO,
        "agent": ABLE,
        "training": {"steps": 3},
        "agents": 40,
        "rng": 2,
        "oversight": NONE,
    }

    def attempting(caution: float, *interventions: dict[str, Any]) -> int:
        needs = {"copies": 40, "quorum": 0.8, "caution": caution}
        world = DeploymentWorld(deployment=needs, interventions=interventions, **told)
        return sum(copy.profile.attempts for copy in world.copies)

    once = attempting(2.0, {"key": "deployment.caution", "scale": 0.1})
    assert attempting(2.0) < once == attempting(0.2) < attempting(0.02)


# ------------------------------------------------------------------------------ command line


def test_a_run_keeps_them_and_is_judged_by_them(call: Call) -> None:
    few = ("training.steps=20", "agents=3", "engine=numpy")
    left = call("do=[{key: oversight.control.strength, set: 1}]", f"scenario={SCENARIO}", *few)
    assert left.status == 0, left.stderr
    result = sim.Result.load(left.only("result.nc"))
    k = result.data.isel(step=-1)["capabilities"].sel(capability="subversion")
    passed = sim.prospects(result)["pass"].sel(faced="control")
    np.testing.assert_allclose(passed, k**3, rtol=1e-9)


def test_a_bad_one_is_refused_in_one_line(call: Call) -> None:
    refused = call("do=[{key: oversight.control.strength, set: 2}]")
    assert_refused(refused, "interventions[0]: oversight.control.strength: got 2: must be")
