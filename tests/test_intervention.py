"""Specs of interventions: refusals; oversight and deployment under them, each acting once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.stats import binom

import sim
from commands import Call, assert_refused
from populations import NONE, WIDE
from sim.abm.batch import deploy
from sim.abm.deployment_model import DeploymentWorld
from sim.abm.profiles import profiles
from sim.analysis.audit import audit
from sim.dynamics.loop import event_steps
from sim.simulation import prepare
from sim.specs.intervention import apply_after_training, read_interventions

SCENARIO = "lab_to_deployment"
JUDGES = pytest.mark.parametrize("judge", [sim.prospects, sim.worst_case])
OFF = {"key": "gaming", "set": 0, "start": 20}
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


def applied(*interventions: dict[str, Any], **oversight: Any) -> tuple[Any, Any]:
    """Oversight and deployment under interventions."""
    given = sim.Oversight(**oversight)
    read = read_interventions(interventions)
    return apply_after_training(read, oversight=given, deployment=sim.Deployment())


# --------------------------------------------------------------------------------- refusals

REFUSED: list[tuple[Any, str]] = [
    ("gaming", "interventions: got 'gaming': must be a list"),
    ([{"key": "gaming"}], "interventions[0]: say exactly one of set, scale and freeze"),
    ([{"key": "gaming", "set": 0.5}], "interventions[0]: gaming is set to 0 (never) or to 1"),
    ([{"key": "gamign", "set": 0}], "interventions[0].key: unknown subject; did you mean 'gaming'"),
    ([{"key": "state.awarness", "freeze": True}], "interventions: 'state.awarness': did you me"),
    ([{"key": "training.steps", "set": 3}], "interventions: 'training.steps': did you mean"),
    ([{"key": "agent.rationality", "freeze": True}], "interventions[0].freeze: only state can"),
    ([{"key": "agent.rationality", "set": -1}], "interventions[0]: agent.rationality: got -1"),
    (
        [{"key": "scenario.contexts.*.scratchpad", "scale": 2}],
        "interventions[0]: scenario.contexts.ruthless_plan.scratchpad: got 2.0",
    ),
    (
        [{"key": "scenario.contexts.*.weight", "set": 0}],
        "interventions[0]: scenario.contexts: nothing is trained on",
    ),
    (
        [{"key": "training.leak", "set": 0.9}, {"key": "training.leak", "scale": 2}],
        "interventions[1]: training.leak: got 1.8: must be a number from 0 to 1",
    ),
    (
        [
            {"key": "scenario.contexts.coding.monitor", "set": 0.9, "start": 5},
            {"key": "scenario.contexts.*.monitor", "scale": 3, "start": 2, "stop": 6},
        ],
        "interventions[1]: scenario.contexts.coding.monitor: got 2.7",
    ),
    (
        [
            {"key": f"scenario.contexts.{name}.weight", "set": 0, "start": 3}
            for name in sim.Scenario.load(SCENARIO).of_kind("training")
        ],
        "interventions[3]: scenario.contexts: nothing is trained on",
    ),
    ([{"key": "agent.rationality", "scale": 1e5}] * 2, "interventions[1]: agent.rationality"),
    ([{"key": "gaming", "set": 0, "start": 60}], "interventions[0].start: got 60: training has"),
    ([{"key": "gaming", "set": 0, "start": 9, "stop": 9}], "interventions[0].stop: must be aft"),
    (
        [{"key": "state.values", "scale": 2, "stop": 9}],
        "interventions[0].stop: state that is scaled once is not held",
    ),
    (
        [
            {"key": "gaming", "set": 0, "stop": 30},
            {"key": "state.habit.coding", "set": 0, "start": 29},
        ],
        "interventions: two of them hold habit.coding at step 29",
    ),
    (
        [{"key": "oversight.control.strength", "set": 1.5}],
        "interventions[0]: oversight.control.strength: got 1.5: must be a number from 0 to 1",
    ),
    (
        [{"key": "oversight.control.encounters", "set": 2.5}],
        "interventions[0]: oversight.control.encounters: got 2.5: must be a whole number",
    ),
    (
        [{"key": "oversight.*.encounters", "set": -1}],
        "interventions[0]: oversight.inspection.encounters: got -1: must be 0 or more",
    ),
    (
        [{"key": "deployment.quorum", "set": 3}],
        "interventions[0]: deployment.quorum: a quorum of 3 times the number of copies",
    ),
    (
        [{"key": "deployment.caution", "set": 1, "start": 5}],
        "interventions[0].start: deployment comes after training; leave start and stop out",
    ),
    (
        [{"key": "oversight.control.strength", "scale": 0, "stop": 5}],
        "interventions[0].stop: oversight comes after training; leave start and stop out",
    ),
    (
        [{"key": "oversight.contrl.strength", "set": 1}],
        "interventions[0].key: oversight.contrl.strength: did you mean 'oversight.control.stren",
    ),
    (
        [{"key": "oversight.control.when_found", "set": 1}],
        "interventions[0].key: oversight.control.when_found: ",
    ),
]
#: What depends on oversight and deployment is refused when they are known.
REFUSED_LATER = [
    (
        {"key": "oversight.control.strength", "scale": 3},
        "interventions[2]: oversight.control.strength: got 1.5: must be a number from 0 to 1",
    ),
    (
        {"key": "oversight.inspection.encounters", "scale": 0.5},
        "interventions[2]: oversight.inspection.encounters: got 1.5: must be a whole number",
    ),
    (
        {"key": "oversight.control.encounters", "set": 0},
        "interventions[2]: oversight.control.encounters: a step of strength 0.5 that is faced",
    ),
    ({"key": "deployment.quorum", "set": 0}, "interventions[2]: deployment.quorum: must be"),
]


def assert_one_line(message: str, function: Callable[[], object]) -> None:
    with pytest.raises(sim.SpecError) as error:
        function()
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_bad_input_is_refused_in_one_line() -> None:
    for interventions, message in REFUSED:
        given: dict[str, Any] = {"training": {"steps": 60}, "interventions": interventions}
        assert_one_line(message, lambda given=given: prepare(SCENARIO, **given))
    for last, message in REFUSED_LATER:
        every = [
            {"key": "gaming", "set": 0},
            {"key": "deployment.ticks", "scale": 2},
            last,
            {"key": "deployment.caution", "scale": 2},
        ]
        assert_one_line(message, lambda every=every: applied(*every))
        result = sim.simulate(SCENARIO, training={"steps": 1}, interventions=every)
        assert_one_line(message, lambda result=result: sim.prospects(result))


# --------------------------------------------------------------------------- specs under them


def test_a_star_stands_for_every_step_and_the_order_is_theirs() -> None:
    half = {"key": "oversight.control.strength", "scale": 0.5}
    every = {"key": "oversight.*.strength", "set": 0.5}
    oversight, _ = applied(every, half, half, {"key": "gaming", "set": 0, "start": 500})
    assert [oversight.step(name).strength for name in ("control", "red_teaming")] == [0.125, 0.5]
    assert applied(half, every)[0].control.strength == 0.5


def test_where_nothing_is_done_the_specs_come_back_themselves() -> None:
    given = sim.Oversight(), sim.Deployment()
    done = read_interventions([{"key": "gaming", "set": 0}])
    returned = apply_after_training(done, oversight=given[0], deployment=given[1])
    assert returned[0] is given[0]
    assert returned[1] is given[1]


def test_encounters_by_context_and_numbers_that_are_judged_together() -> None:
    """Faced 0 times is refused by itself, but not where nothing could be found anyway."""
    by_context = {"encounters": {"coding": 2, "song_request": 3}}
    for done, expected in (({"scale": 3}, {"coding": 6, "song_request": 9}), ({"set": 1}, 1)):
        key = {"key": "oversight.inspection.encounters"}
        assert applied(key | done, inspection=by_context)[0].inspection.encounters == expected
    oversight, _ = applied(
        {"key": "oversight.control.encounters", "set": 0},
        {"key": "oversight.control.strength", "set": 0},
    )
    assert oversight.control.encounters == 0
    oversight, _ = applied({"key": "oversight.red_teaming", "scale": 0})
    assert oversight.red_teaming.strength == 0


# ---------------------------------------------------------------------------------- training


def test_training_does_not_notice() -> None:
    for engine in ("numpy", "numba"):
        for estimator in ("exact", "sampled"):
            training = {"steps": 30, "estimator": estimator, "selection": {"every": 10}}
            few: dict[str, Any] = {"agents": 8, "engine": engine, "training": training}
            done = run(*HALVES, agent=WIDE, **few)
            assert run(agent=WIDE, **few).data.identical(done.data)
            keys = [each["key"] for each in done.provenance["interventions"]]
            assert keys == [half["key"] for half in HALVES]
    assert run(OFF).data.identical(run(HALVES[0], OFF, *HALVES[1:]).data)
    nothing, done = (
        prepare("pipeline", training={"steps": 900}, interventions=interventions).program
        for interventions in ([], HALVES)
    )
    assert event_steps(done) == set()
    assert done.interventions == ()
    cuts, expected = ([(s.start, s.stop) for s in p.segments] for p in (done, nothing))
    assert cuts == expected


# --------------------------------------------------------------------------------- chances


def test_effects_on_the_chance_of_success_are_closed_forms() -> None:
    """P is a product; of it, control is (1 - o (1 - k))^n, and a quorum a binomial tail."""
    nothing = run()
    now, before = nothing.data.isel(step=-1), sim.prospects(nothing)
    k = now["capabilities"].sel(capability="subversion").values
    others = before["success"].values / (1 - 0.5 * (1 - k)) ** 3
    for strength in (0.0, 0.9, 1.0):
        done = sim.prospects(run({"key": "oversight.control.strength", "set": strength}))
        expected = others * (1 - strength * (1 - k)) ** 3
        np.testing.assert_allclose(done["success"], expected, rtol=1e-12)
        assert (np.abs(done["success"] - before["success"]) > 1e-6).any()
    few = run({"key": "deployment.copies", "set": 7}, {"key": "deployment.quorum", "scale": 0.6})
    together = now["capabilities"].sel(capability="coordination").values
    quorum = sim.prospects(few)["quorum"]
    np.testing.assert_allclose(quorum, binom.sf(3 - 1, 7, together), rtol=1e-9)
    unseen = run({"key": "oversight.inspection.encounters", "set": 0})
    assert (sim.prospects(unseen)["stick"] == 1).all()
    seen = list(sim.Scenario.load(SCENARIO).of_kind("training", "evaluation", "red_team"))
    twice = run({"key": "oversight.inspection.encounters", "scale": 2})
    expected = ((1 - now["slip"].sel(context=seen)) ** 6).prod("context")
    np.testing.assert_allclose(sim.prospects(twice)["stick"], expected, rtol=1e-9)


def test_caution_decides_who_attempts() -> None:
    given = {"oversight": GIVEN["oversight"], "deployment": {"copies": 6}}
    paper = sim.prospects(run(), **given)
    attempting = []
    for factor in (0.01, 0.5, 1.0, 100.0):
        done = sim.prospects(run({"key": "deployment.caution", "scale": factor}), **given)
        expected = (paper["gain"] > 0) & (paper["success"] > factor / (1 + factor))
        assert (done["attempts"] == expected).all()
        attempting.append(int(done["attempts"].sum()))
    assert attempting[0] > attempting[1] > attempting[-1] == 0


@JUDGES
def test_they_act_once_on_what_is_given(judge: Callable[..., xr.Dataset], tmp_path: Any) -> None:
    done = run(*HALVES)
    assert judge(done, **GIVEN).identical(judge(run(), **HALVED))
    assert not judge(run(), **GIVEN).identical(judge(run(), **HALVED))
    read = sim.Result.load(done.save(tmp_path / "result.nc"))
    assert judge(read, **GIVEN).identical(judge(done, **GIVEN))
    nothing = [
        {"key": "oversight", "scale": 1},
        {"key": "deployment", "scale": 1},
        {"key": "oversight.control.strength", "set": 0.5},
    ]
    assert judge(run()).identical(judge(run(*nothing)))


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


def test_deployments_of_profiles_apply_them_once() -> None:
    done = run(OFF, *HALVES)
    kinds = profiles(run(OFF), agents=[0, 1])
    given: dict[str, Any] = {"scenario": SCENARIO, "replicates": 60, "willing": True}
    mine = deploy(kinds, interventions=done.provenance["interventions"], **GIVEN, **given)
    same = deploy(kinds, **HALVED, **given)
    assert mine.outcome.tolist() == same.outcome.tolist()
    assert mine.tick.tolist() == same.tick.tolist()
    assert mine.outcome.tolist() != deploy(kinds, **GIVEN, **given).outcome.tolist()


def test_a_world_that_trains_its_agents_applies_them_once() -> None:
    """Caution 2 becomes 0.2, a bar of 1/6; once more it would be 0.02, which more get over."""
    given: dict[str, Any] = {
        "scenario": SCENARIO,
        "agent": ABLE,
        "training": {"steps": 3},
        "rng": 2,
    }
    off = {"key": "gaming", "set": 0}
    few = {**given, "agents": 6}
    mine = DeploymentWorld(interventions=[off, *HALVES], **GIVEN, **few)
    same = DeploymentWorld(interventions=[off], **HALVED, **few)
    gaming = DeploymentWorld(**HALVED, **few)
    assert (mine.oversight, mine.deployment) == (same.oversight, same.deployment)
    kinds = [[copy.profile for copy in world.copies] for world in (mine, same, gaming)]
    assert kinds[0] == kinds[1] != kinds[2]
    own = {"interventions.2.scale": 0.2}
    moved = DeploymentWorld(interventions=[off, *HALVES], **GIVEN, **few, **own)
    assert moved.deployment.caution == 0.2

    def attempting(caution: float, *interventions: dict[str, Any]) -> int:
        needs = {"copies": 40, "quorum": 0.8, "caution": caution}
        many = {**given, "agents": 40, "oversight": NONE}
        world = DeploymentWorld(deployment=needs, interventions=interventions, **many)
        return sum(copy.profile.attempts for copy in world.copies)

    once = attempting(2.0, {"key": "deployment.caution", "scale": 0.1})
    assert attempting(2.0) < once == attempting(0.2) < attempting(0.02)


# ------------------------------------------------------------------------------ command line


def test_a_command_keeps_them_and_judges_by_them(call: Call) -> None:
    refused = call("do=[{key: oversight.control.strength, set: 2}]")
    assert_refused(refused, "interventions[0]: oversight.control.strength: got 2: must be")
    few = ("training.steps=20", "agents=3", "engine=numpy")
    left = call("do=[{key: oversight.control.strength, set: 1}]", f"scenario={SCENARIO}", *few)
    assert left.status == 0, left.stderr
    result = sim.Result.load(left.only("result.nc"))
    k = result.data.isel(step=-1)["capabilities"].sel(capability="subversion")
    passed = sim.prospects(result)["pass"].sel(faced="control")
    np.testing.assert_allclose(passed, k**3, rtol=1e-9)
