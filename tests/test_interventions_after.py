"""Interventions on oversight and deployment: training does not notice, and each acts once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import xarray as xr

import sim
from commands import Call, assert_refused
from experiments.worst_case.deployed import deploy_attempting
from experiments.worst_case.study import funnel
from populations import NONE, WIDE
from sim.abm.batch import deploy
from sim.abm.deployment_model import DeploymentWorld
from sim.abm.profiles import profiles
from sim.analysis.audit import audit
from sim.dynamics.interventions import intervention_steps
from sim.simulation import prepare

SCENARIO = "lab_to_deployment"
#: Agents that want a takeover, are able to, and so would attempt where chances are good.
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
    usual = {"agent": ABLE, "training": {"steps": 30}, "record_every": 10, "engine": "numpy"}
    arguments: dict[str, Any] = {**usual, **changes, "interventions": list(interventions)}
    return sim.simulate(SCENARIO, agents=agents, **arguments)


@cache
def plain() -> sim.Result:
    return run()


@cache
def halved() -> sim.Result:
    return run(*HALVES)


def test_training_does_not_notice() -> None:
    for engine in ("numpy", "numba"):
        for estimator in ("exact", "sampled"):
            training = {"steps": 30, "estimator": estimator, "selection": {"every": 10}}
            pair = [
                run(*done, agents=8, engine=engine, training=training, agent=WIDE)
                for done in ((), HALVES)
            ]
            assert pair[0].data.identical(pair[1].data)
            keys = [one["key"] for one in pair[1].provenance["interventions"]]
            assert keys == [one["key"] for one in HALVES]
    programs = [
        prepare(sim.Scenario.load("pipeline"), training={"steps": 900}, interventions=i).program
        for i in ([], HALVES)
    ]
    assert intervention_steps(programs[1]) == set()
    assert programs[1].interventions == ()
    cuts = [[(s.start, s.stop) for s in program.segments] for program in programs]
    assert cuts[0] == cuts[1]
    off = {"key": "gaming", "set": 0, "start": 10}  # only this one is noticed
    assert run(off).data.identical(run(HALVES[0], off, *HALVES[1:]).data)


@pytest.mark.parametrize("judge", [sim.prospects, sim.worst_case])
def test_they_act_once_and_null_ones_not_at_all(
    judge: Callable[..., xr.Dataset], tmp_path: Any
) -> None:
    null = [
        {"key": "oversight", "scale": 1},
        {"key": "deployment", "scale": 1},
        {"key": "oversight.control.strength", "set": 0.5},
    ]
    assert judge(plain()).identical(judge(run(*null)))
    once = judge(halved(), **GIVEN)
    assert once.identical(judge(plain(), **HALVED))
    assert not once.identical(judge(plain(), **GIVEN))
    read = sim.Result.load(halved().save(tmp_path / "result.nc"))
    assert judge(read, **GIVEN).identical(once)


def test_the_audit_the_funnel_and_its_deployments_apply_them_once() -> None:
    pairs = ((run(*HALVES, agent=WIDE), GIVEN), (run(agent=WIDE), HALVED), (run(agent=WIDE), GIVEN))
    own, same, other = (audit(result, oversight=given["oversight"]) for result, given in pairs)
    for name in ("findings", "first_findings", "rounds", "deployed"):
        np.testing.assert_array_equal(getattr(own, name), getattr(same, name))
    assert own.retrained.any()
    assert own.final.data.identical(same.final.data)
    assert (other.first_findings != own.first_findings).any()
    funnels = [
        funnel(result, **given)
        for result, given in ((halved(), GIVEN), (plain(), HALVED), (plain(), GIVEN))
    ]
    np.testing.assert_array_equal(funnels[0].conditions, funnels[1].conditions)
    assert funnels[0].case.identical(funnels[1].case)
    assert (funnels[0].luck != funnels[2].luck).any()
    frames = [
        deploy_attempting(one, **given, maximum=2, replicates=40, seed=1)
        for one, given in zip(funnels[:2], (GIVEN, HALVED), strict=True)
    ]
    assert len(frames[0]) == 2
    assert frames[0].equals(frames[1])


def test_deployments_apply_them_once() -> None:
    off = {"key": "gaming", "set": 0, "start": 20}
    kinds = profiles(run(off), agents=[0, 1])
    usual: dict[str, Any] = {"scenario": SCENARIO, "replicates": 60, "willing": True}
    own = deploy(kinds, interventions=[off, *HALVES], **GIVEN, **usual)
    same, other = (deploy(kinds, **given, **usual) for given in (HALVED, GIVEN))
    assert own.outcome.tolist() == same.outcome.tolist() != other.outcome.tolist()
    assert own.tick.tolist() == same.tick.tolist()


def test_a_world_that_trains_its_agents_applies_them_once() -> None:
    """Caution 2 becomes 0.2, a bar of 1/6; once more it would be 0.02, which more get over."""
    usual: dict[str, Any] = {
        "scenario": SCENARIO,
        "agent": ABLE,
        "training": {"steps": 3},
        "rng": 2,
    }
    off = {"key": "gaming", "set": 0}
    own = DeploymentWorld(interventions=[off, *HALVES], agents=6, **GIVEN, **usual)
    same = DeploymentWorld(interventions=[off], agents=6, **HALVED, **usual)
    games = DeploymentWorld(agents=6, **HALVED, **usual)
    assert (own.oversight, own.deployment) == (same.oversight, same.deployment)
    kinds = [[copy.profile for copy in world.copies] for world in (own, same, games)]
    assert kinds[0] == kinds[1] != kinds[2]
    scaled = {"interventions.2.scale": 0.2}
    other = DeploymentWorld(interventions=[off, *HALVES], agents=6, **GIVEN, **usual, **scaled)
    assert other.deployment.caution == 0.2

    def attempting(caution: float, *interventions: dict[str, Any]) -> int:
        needs = {"copies": 40, "quorum": 0.8, "caution": caution}
        world = DeploymentWorld(
            deployment=needs, interventions=interventions, oversight=NONE, agents=40, **usual
        )
        return sum(copy.profile.attempts for copy in world.copies)

    once = attempting(2.0, {"key": "deployment.caution", "scale": 0.1})
    assert attempting(2.0) < once == attempting(0.2) < attempting(0.02)


def test_a_run_of_the_command_keeps_them_and_refuses_bad_ones(call: Call) -> None:
    key = "do=[{key: oversight.control.strength, set: %s}]"
    assert_refused(call(key % 2), "interventions[0]: oversight.control.strength: got 2: must be")
    few = ("training.steps=20", "agents=3", "engine=numpy", f"scenario={SCENARIO}")
    left = call(key % 1, *few)
    assert left.status == 0, left.stderr
    result = sim.Result.load(left.only("result.nc"))
    k = result.data.isel(step=-1)["capabilities"].sel(capability="subversion")
    passed = sim.prospects(result)["pass"].sel(faced="control")
    np.testing.assert_allclose(passed, k**3, rtol=1e-9)
