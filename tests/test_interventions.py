"""Interventions: what is done is done, nothing else differs, and twins are equal until then."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import sim
from commands import Call, assert_refused

SCENARIO = "lab_to_deployment"
AGENT = {
    "initial": {"values": {"power": 1.0, "care": 0.5, "copyright": 0.5}, "awareness": -1},
    "spread": {"rationality": 0.2, "initial": {"values": 0.3, "habit": 0.5, "awareness": 0.5}},
}
TRAINING = {"steps": 60, "anchor": 0.01, "learning_rate": {"capability": 0.05}, "spread": 0.2}
#: One of each kind, from step 20.
KINDS: dict[str, dict[str, Any]] = {
    "gaming off": {"key": "gaming", "set": 0},
    "gaming on in one context": {"key": "gaming.coding", "set": 1},
    "a value set": {"key": "state.values.power", "set": -1},
    "awareness frozen": {"key": "state.awareness", "freeze": True},
    "capabilities frozen": {"key": "state.capability", "freeze": True},
    "habits scaled": {"key": "state.habit", "scale": 0.5},
    "a trait set": {"key": "agent.rationality", "set": 2},
    "a trait scaled": {"key": "agent.episode_concern", "scale": 10},
    "leak on": {"key": "training.leak", "set": 0.5},
    "no learning of values": {"key": "training.learning_rate.values", "set": 0},
    "no scratchpad": {"key": "scenario.contexts.*.scratchpad", "set": 0},
    "monitor on": {"key": "scenario.contexts.ruthless_plan.monitor", "set": 1},
    "other rewards": {"key": "scenario.contexts.song_request.reward.respect", "set": 2},
    "weights scaled": {"key": "scenario.contexts.coding.weight", "scale": 3},
}
ENGINES = ("numpy", "numba")


def run(*interventions: dict[str, Any], engine: str = "numpy", **changes: Any) -> sim.Result:
    arguments: dict[str, Any] = {
        "agent": AGENT,
        "training": {**TRAINING, "visible_gaming_penalty": 0.5},
        "agents": 12,
        "seed": 3,
        "record_every": 1,
        **changes,
    }
    return sim.simulate(SCENARIO, engine=engine, interventions=list(interventions), **arguments)


def same(one: sim.Result, other: sim.Result, steps: slice) -> bool:
    mine, others = one.data.sel(step=steps), other.data.sel(step=steps)
    timed = [name for name in mine.data_vars if "step" in mine[name].dims]
    return all(np.array_equal(mine[n], others[n], equal_nan=True) for n in timed)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
def test_twins_are_equal_to_the_bit_until_it_starts_and_differ_from_then_on(
    kind: str, engine: str
) -> None:
    twin = run(engine=engine)
    done = run({**KINDS[kind], "start": 20}, engine=engine)
    assert same(twin, done, slice(0, 19))
    assert not same(twin, done, slice(20, 22))
    assert not same(twin, done, slice(60, 60))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
def test_with_sampled_gradients_twins_share_their_draws(kind: str, engine: str) -> None:
    training = {**TRAINING, "estimator": "sampled", "episodes": 4}
    twin = run(engine=engine, training=training)
    done = run({**KINDS[kind], "start": 20}, engine=engine, training=training)
    assert same(twin, done, slice(0, 19))


NOTHING: dict[str, dict[str, Any]] = {
    "the number that it has": {"key": "training.leak", "set": 0},
    "once": {"key": "agent.rationality", "scale": 1},
    "state, once": {"key": "state.values", "scale": 1},
    "of contexts": {"key": "scenario.contexts.*.scratchpad", "scale": 1},
    "where it is": {"key": "scenario.contexts.coding.info", "set": 0.4},
    "no learning of what does not learn": {"key": "state.capability", "freeze": True},
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("what", NOTHING)
def test_an_intervention_that_changes_nothing_has_no_effect_at_all(what: str, engine: str) -> None:
    training = {**TRAINING, "learning_rate": {"capability": 0}}
    twin = run(engine=engine, training=training)
    stop = None if what == "state, once" else 33
    done = run({**NOTHING[what], "start": 7, "stop": stop}, engine=engine, training=training)
    assert same(twin, done, slice(None))


# ----------------------------------------------------------------------------- what is done


def during(x: xr.DataArray, start: int = 20, stop: int = 40) -> xr.DataArray:
    return x.sel(step=slice(start, stop - 1))


@pytest.mark.parametrize("engine", ENGINES)
def test_gaming_is_off_and_comes_back_as_it_was(engine: str) -> None:
    done = run({"key": "gaming", "set": 0, "start": 20, "stop": 40}, engine=engine)
    assert (during(done.gaming_rate) == 0).all()
    assert (done.gaming_rate.sel(step=[19, 40]) > 0).all()
    before = run(engine=engine).habit.sel(step=20)
    np.testing.assert_array_equal(done.habit.sel(step=40), before)


@pytest.mark.parametrize("engine", ENGINES)
def test_gaming_is_on_wherever_training_is_in_mind(engine: str) -> None:
    done = run({"key": "gaming.coding", "set": 1, "start": 20, "stop": 40}, engine=engine)
    here = during(done.data.sel(context="coding"))
    np.testing.assert_array_equal(here["gaming_rate"], here["awareness"])
    other = during(done.data.sel(context="access_request"))
    assert (other["gaming_rate"] < other["awareness"]).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_held_stays_and_moves_again_afterwards(engine: str) -> None:
    done = run(
        {"key": "state.values.power", "set": -1, "start": 20, "stop": 40},
        {"key": "state.awareness", "freeze": True, "start": 20, "stop": 40},
        engine=engine,
    )
    power = done.values.sel(value="power")
    assert (power.sel(step=slice(20, 40)) == -1).all()
    assert (power.sel(step=41) != -1).all()
    held = done.awareness_logit.sel(step=slice(20, 40))
    assert (held == held.sel(step=20)).all()
    assert (done.awareness_logit.sel(step=41) != held.sel(step=40)).all()
    assert (
        done.values.sel(value="care").sel(step=30) != done.values.sel(value="care").sel(step=20)
    ).all()


def test_drift_is_still_measured_from_the_start() -> None:
    done = run({"key": "state.values", "set": 0, "start": 20})
    start = done.values.sel(step=0)
    expected = np.linalg.norm(start, axis=-1)
    np.testing.assert_allclose(done.value_drift.sel(step=60), expected)


def test_the_anchor_pulls_to_the_start_again_afterwards() -> None:
    """With learning off, all that moves is the anchor: (1 - 0.01) of the way is left each step."""
    training = {"steps": 60, "anchor": 0.01, "learning_rate": 0}
    done = run({"key": "state.awareness", "set": 5, "start": 0, "stop": 30}, training=training)
    start = run(training=training).awareness_logit.sel(step=0)
    away = done.awareness_logit.sel(step=slice(30, 60)) - start
    left = 0.99 ** np.arange(31)
    np.testing.assert_allclose(away, (5 - start.values) * left[:, None], rtol=1e-10)


def test_scaled_state_goes_on_from_there() -> None:
    twin = run()
    done = run({"key": "state.habit.coding", "scale": 0.5, "start": 20})
    before = twin.habit.sel(step=20, context="coding")
    np.testing.assert_array_equal(done.habit.sel(step=20, context="coding"), 0.5 * before)
    assert (done.habit.sel(step=25, context="coding") != 0.5 * before).all()


def test_traits_are_their_own_again_afterwards() -> None:
    """What agents think with a trait follows at once; here, the decision with no rationality."""
    done = run({"key": "agent.rationality", "set": 0, "start": 20, "stop": 40})
    habit, decision = during(done.habit), during(done.decision)
    np.testing.assert_allclose(decision, 1 / (1 + np.exp(-habit)), rtol=1e-12)
    later = done.data.sel(step=40)
    expected = later["habit"] + later["rationality"] * later["incentive"]
    np.testing.assert_allclose(later["decision"], 1 / (1 + np.exp(-expected)), rtol=1e-9)


def test_contexts_are_as_they_were_afterwards() -> None:
    done = run({"key": "scenario.contexts.*.info", "set": 0, "start": 20, "stop": 40})
    agents = done.data["info_sensitivity"]
    now = done.data.sel(context="song_request")
    for step, info in ((19, 1), (20, 0), (39, 0), (40, 1)):
        logit = now["awareness_logit"].sel(step=step) + agents * info
        expected = 1 / (1 + np.exp(-logit))
        np.testing.assert_allclose(now["awareness"].sel(step=step), expected, rtol=1e-12)


def test_what_ends_with_training_is_over_when_agents_are_looked_at() -> None:
    during_training = run({"key": "gaming", "set": 0, "start": 20, "stop": 60})
    forever = run({"key": "gaming", "set": 0, "start": 20})
    assert (during_training.gaming_rate.sel(step=59) == 0).all()
    assert (during_training.gaming_rate.sel(step=60) > 0).all()
    assert (forever.gaming_rate.sel(step=60) == 0).all()
    np.testing.assert_array_equal(during_training.values, forever.values)


def test_contexts_have_their_own_numbers_when_agents_are_looked_at_after_training() -> None:
    done = run({"key": "scenario.contexts.*.info", "set": 0, "start": 20, "stop": 60})
    now = done.data.sel(context="song_request")
    for step, info in ((59, 0), (60, 1)):
        logit = now["awareness_logit"].sel(step=step) + now["info_sensitivity"] * info
        expected = 1 / (1 + np.exp(-logit))
        np.testing.assert_allclose(now["awareness"].sel(step=step), expected, rtol=1e-12)


def test_a_copy_has_what_was_frozen_of_its_parent() -> None:
    training = {**TRAINING, "selection": {"every": 20, "episodes": 4, "mutation": 0.5}}
    done = run({"key": "state.awareness", "freeze": True, "start": 15}, training=training)
    parents = done.data["ancestor"].sel(step=20).values.astype(int)
    assert (parents != np.arange(12)).any()
    frozen = done.awareness_logit.sel(step=15).values
    for step in (20, 39):
        np.testing.assert_array_equal(done.awareness_logit.sel(step=step), frozen[parents])


def test_a_curriculum_is_intervened_in_whatever_its_phase_says() -> None:
    scenario = sim.Scenario.load("pipeline")
    done = sim.simulate(
        scenario,
        training={"steps": 900},
        record_every=100,
        interventions=[
            {"key": "scenario.contexts.chat_feedback.weight", "set": 0, "start": 500, "stop": 700}
        ],
    )
    weight = done.data["weight"].sel(context="chat_feedback")
    assert (weight.sel(step=[0, 100, 500, 600]) == 0).all()
    assert (weight.sel(step=[400, 700, 900]) > 0).all()
    phases = done.data["phase"].values.tolist()
    assert phases[4:] == ["reinforcement"] * 6


def test_selection_keeps_what_is_held() -> None:
    training = {**TRAINING, "selection": {"every": 10, "episodes": 4, "mutation": 0.5}}
    done = run(
        {"key": "state.values.power", "set": -1, "start": 15, "stop": 45},
        {"key": "state.awareness", "freeze": True, "start": 15, "stop": 45},
        training=training,
    )
    power = done.values.sel(value="power")
    assert (power.sel(step=slice(15, 45)) == -1).all()
    frozen = set(done.awareness_logit.sel(step=15).values.tolist())
    for step in (20, 29, 30, 44):
        assert set(done.awareness_logit.sel(step=step).values.tolist()) <= frozen
    assert not set(done.awareness_logit.sel(step=50).values.tolist()) <= frozen


# ------------------------------------------------------------------------- worlds and sweeps


def test_a_training_world_does_the_same() -> None:
    done = [
        {"key": "gaming", "set": 0, "start": 2, "stop": 5},
        {"key": "agent.rationality", "set": 1},
    ]
    world = sim.TrainingWorld(
        SCENARIO,
        agent=AGENT,
        training={**TRAINING, "steps": 8},
        agents=5,
        seed=1,
        interventions=done,
        **{"interventions.0.stop": 6},
    )
    done[0]["stop"] = 6
    result = run(*done, agents=5, seed=1, training={**TRAINING, "steps": 8})
    for step in range(9):
        for name in ("gaming_rate", "values", "habit"):
            expected = result.data[name].sel(step=step).values
            np.testing.assert_array_equal(world.measured(name), expected)
        world.step()


def test_the_strength_of_an_intervention_is_an_axis_of_a_sweep() -> None:
    table = sim.sweep(
        SCENARIO,
        axes={"interventions.0.set": [0.0, 0.25, 0.5], "training.anchor": [0, 0.01]},
        seeds=2,
        agent=AGENT,
        training={"steps": 40},
        interventions=[{"key": "training.leak", "set": 0, "start": 10}],
    )
    frame = table.frame.set_index(["interventions.0.set", "training.anchor", "seed"])
    for leak in (0.0, 0.25, 0.5):
        alone = sim.simulate(
            SCENARIO,
            agent=AGENT,
            training={"steps": 40, "anchor": 0.01},
            seed=1,
            interventions=[{"key": "training.leak", "set": leak, "start": 10}],
        )
        assert frame.loc[(leak, 0.01, 1), "alignment"] == alone.alignment.isel(step=-1).item()
    assert frame["alignment"].nunique() > 6


# ------------------------------------------------------------------------------ command line

OFF = "[{key: gaming, set: 0, start: 5}]"


def test_a_run_is_intervened_in_from_the_command_line(call: Call) -> None:
    left = call(f"do={OFF}", "training.steps=20", "agents=3", "engine=numpy")
    assert left.status == 0, left.stderr
    result = sim.Result.load(left.only("result.nc"))
    assert (result.gaming_rate.sel(step=slice(10, 20)) == 0).all()
    assert (result.gaming_rate.sel(step=0) > 0).all()
    assert left.json("provenance.json")["interventions"][0]["key"] == "gaming"


def test_a_sweep_has_runs_with_and_without(call: Call) -> None:
    few = ("training.steps=20", "agents=1", "engine=numpy", "record=summary")
    left = call("-m", f"do=[],{OFF}", "training.leak=0,0.2", *few)
    assert left.status == 0, left.stderr
    parts = left.json("sweep.json")["parts"]
    assert [len(part["interventions"]) for part in parts] == [0, 1]


def test_a_bad_intervention_is_refused_in_one_line(call: Call) -> None:
    refused = call("do=[{key: state.awarenes, freeze: true}]")
    assert_refused(refused, "interventions: 'state.awarenes': did you mean 'state.awareness'")


# --------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("interventions", "message"),
    [
        ("gaming", "interventions: got 'gaming': must be a list"),
        ([{"key": "gaming"}], "interventions[0]: say exactly one of set, scale and freeze"),
        ([{"key": "gaming", "set": 0, "scale": 1}], "interventions[0]: say exactly one of"),
        ([{"key": "gaming", "set": 0.5}], "interventions[0]: gaming is set to 0 (never) or to 1"),
        (
            [{"key": "gamign", "set": 0}],
            "interventions[0].key: unknown subject; did you mean 'gaming'",
        ),
        (
            [{"key": "state.awarness", "freeze": True}],
            "interventions: 'state.awarness': did you me",
        ),
        ([{"key": "training.steps", "set": 3}], "interventions: 'training.steps': did you mean"),
        ([{"key": "agent.rationality", "freeze": True}], "interventions[0].freeze: only state can"),
        ([{"key": "agent.rationality", "set": -1}], "interventions[0]: agent.rationality: got -1"),
        ([{"key": "training.leak", "set": 2}], "interventions[0]: training.leak: got 2"),
        (
            [{"key": "scenario.contexts.*.scratchpad", "scale": 2}],
            "interventions[0]: scenario.contexts.ruthless_plan.scratchpad: got 2.0",
        ),
        (
            [{"key": "scenario.contexts.*.weight", "set": 0}],
            "interventions[0]: scenario.contexts: nothing is trained on",
        ),
        (
            [{"key": "gaming", "set": 0, "start": 60}],
            "interventions[0].start: got 60: training has",
        ),
        (
            [{"key": "gaming", "set": 0, "start": 9, "stop": 9}],
            "interventions[0].stop: must be aft",
        ),
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
    ],
)
def test_bad_input_is_said_in_one_line(interventions: Any, message: str) -> None:
    with pytest.raises(sim.SpecError) as error:
        sim.simulate(SCENARIO, training={"steps": 60}, interventions=interventions)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
