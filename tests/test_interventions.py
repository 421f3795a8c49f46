"""Interventions in training: nothing else differs, and twins are equal to the bit before."""

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
TRAINING: dict[str, Any] = {
    "steps": 60,
    "anchor": 0.01,
    "learning_rate": {"capability": 0.05},
    "generalisation": 0.2,
    "visible_gaming_penalty": 0.5,
}
SAMPLED = {"estimator": "sampled", "episodes": 4}
#: One of each kind, from step 20.
KINDS: tuple[dict[str, Any], ...] = (
    {"key": "gaming", "set": 0},
    {"key": "gaming.coding", "set": 1},
    {"key": "state.values.power", "set": -1},
    {"key": "state.awareness", "freeze": True},
    {"key": "state.capability", "freeze": True},
    {"key": "state.habit", "scale": 0.5},
    {"key": "agent.rationality", "set": 2},
    {"key": "agent.episode_concern", "scale": 10},
    {"key": "training.leak", "set": 0.5},
    {"key": "training.learning_rate.values", "set": 0},
    {"key": "scenario.contexts.*.scratchpad", "set": 0},
    {"key": "scenario.contexts.ruthless_plan.monitor", "set": 1},
    {"key": "scenario.contexts.song_request.reward.respect", "set": 2},
    {"key": "scenario.contexts.coding.weight", "scale": 3},
)
#: Interventions that leave everything as it is.
NOTHING: tuple[dict[str, Any], ...] = (
    {"key": "training.leak", "set": 0, "stop": 33},
    {"key": "agent.rationality", "scale": 1, "stop": 33},
    {"key": "state.values", "scale": 1},
    {"key": "scenario.contexts.*.scratchpad", "scale": 1, "stop": 33},
    {"key": "scenario.contexts.coding.info", "set": 0.4, "stop": 33},
    {"key": "state.capability", "freeze": True, "stop": 33},
)
on_both = pytest.mark.parametrize("engine", ["numpy", "numba"])


def run(*interventions: dict[str, Any], engine: str = "numpy", **changes: Any) -> sim.Result:
    arguments: dict[str, Any] = {
        "agent": AGENT,
        "training": TRAINING,
        "agents": 12,
        "seed": 3,
        "record_every": 1,
        **changes,
    }
    return sim.simulate(SCENARIO, engine=engine, interventions=list(interventions), **arguments)


def same(one: sim.Result, other: sim.Result, start: int, stop: int) -> bool:
    """Whether two runs recorded the same bits from one step to another."""
    arrays = [(v.values, other.data[n].values) for n, v in one.data.items() if "step" in v.dims]
    window = slice(start, stop + 1)
    return all(np.array_equal(a[window], b[window], equal_nan=True) for a, b in arrays)


@on_both
def test_twins_are_equal_to_the_bit_until_it_starts_and_differ_from_then_on(engine: str) -> None:
    for training in ({**TRAINING, "steps": 26}, {**TRAINING, **SAMPLED, "steps": 23}):
        few = {"engine": engine, "training": training, "agents": 4}
        twin = run(**few)
        for kind in KINDS:
            done = run({**kind, "start": 20}, **few)
            assert same(twin, done, 0, 19), kind
            assert not same(twin, done, 20, 22), kind
            last = training["steps"]
            assert not same(twin, done, last, last), kind


@on_both
def test_an_intervention_that_changes_nothing_has_no_effect_at_all(engine: str) -> None:
    training = {**TRAINING, "learning_rate": {"capability": 0}}
    twin = run(engine=engine, training=training)
    for kind in NOTHING:
        assert same(twin, run({**kind, "start": 7}, engine=engine, training=training), 0, 60), kind


# ----------------------------------------------------------------------------- what is done


def during(x: xr.DataArray, start: int = 20, stop: int = 40) -> xr.DataArray:
    return x.sel(step=slice(start, stop - 1))


def aware(data: xr.Dataset, step: int, info: float) -> None:
    """Awareness in a context where training is hinted at so much."""
    here = data.sel(context="song_request", step=step)
    logit = here["awareness_logit"] + here["info_sensitivity"] * info
    np.testing.assert_allclose(here["awareness"], 1 / (1 + np.exp(-logit)), rtol=1e-12)


@on_both
def test_gaming_is_off_and_comes_back_as_it_was(engine: str) -> None:
    earlier = {"key": "state.awareness", "freeze": True, "start": 5}
    off = {"key": "gaming", "set": 0, "start": 20, "stop": 40}
    done = run(earlier, off, engine=engine)
    assert (during(done.gaming_rate) == 0).all()
    assert (done.gaming_rate.sel(step=[19, 40]) > 0).all()
    before = run(earlier, engine=engine).habit.sel(step=20)
    np.testing.assert_array_equal(done.habit.sel(step=40), before)


@on_both
def test_gaming_is_on_wherever_training_is_in_mind(engine: str) -> None:
    done = run({"key": "gaming.coding", "set": 1, "start": 20, "stop": 40}, engine=engine)
    here = during(done.data.sel(context="coding"))
    np.testing.assert_array_equal(here["gaming_rate"], here["awareness"])
    other = during(done.data.sel(context="access_request"))
    assert (other["gaming_rate"] < other["awareness"]).all()


@on_both
def test_what_is_held_stays_and_moves_again_afterwards(engine: str) -> None:
    times = {"start": 20, "stop": 40}
    done = run(
        {"key": "state.values.power", "set": -1, **times},
        {"key": "state.awareness", "freeze": True, **times},
        engine=engine,
    )
    power, care = (done.values.sel(value=name) for name in ("power", "care"))
    held = done.awareness_logit.sel(step=slice(20, 40))
    assert (power.sel(step=slice(20, 40)) == -1).all()
    assert (power.sel(step=41) != -1).all()
    assert (held == held.sel(step=20)).all()
    assert (done.awareness_logit.sel(step=41) != held.sel(step=40)).all()
    assert (care.sel(step=30) != care.sel(step=20)).all()


def test_drift_is_still_measured_from_the_start() -> None:
    done = run({"key": "state.values", "set": 0, "start": 20})
    expected = np.linalg.norm(done.values.sel(step=0), axis=-1)
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
    done = run({"key": "state.habit.coding", "scale": 0.5, "start": 20})
    before = run().habit.sel(step=20, context="coding")
    np.testing.assert_array_equal(done.habit.sel(step=20, context="coding"), 0.5 * before)
    assert (done.habit.sel(step=25, context="coding") != 0.5 * before).all()


@on_both
@pytest.mark.parametrize("key", ["training.learning_rate.propensity", "training.learning_rate"])
def test_propensities_are_trained_once_an_intervention_has_them_trained(
    engine: str, key: str
) -> None:
    """Though without it they would stay at 0, and need no place among the parameters."""
    done = run({"key": key, "set": 0.5, "start": 20}, engine=engine).data["propensity"].fillna(0)
    assert not done.sel(step=20).any()
    assert (abs(done.sel(step=60)).max(["context", "response"]) > 1e-5).all()


def test_a_key_of_all_state_has_propensities_too() -> None:
    done = run({"key": "state.*", "freeze": True, "start": 20}).data
    for name in ("propensity", "habit", "values"):
        np.testing.assert_array_equal(done[name].sel(step=20), done[name].sel(step=60), name)
    done = run({"key": "state.*.coding", "set": 2.0}).data.sel(context="coding", step=60)
    assert (done["habit"] == 2).all()
    assert (done["propensity"].fillna(2.0) == 2).all()


def test_traits_are_their_own_again_afterwards() -> None:
    """What agents think with a trait follows at once; here, the decision with no rationality."""
    done = run({"key": "agent.rationality", "set": 0, "start": 20, "stop": 40})
    habit, decision = during(done.habit), during(done.decision)
    np.testing.assert_allclose(decision, 1 / (1 + np.exp(-habit)), rtol=1e-12)
    later = done.data.sel(step=40)
    expected = later["habit"] + later["rationality"] * later["incentive"]
    np.testing.assert_allclose(later["decision"], 1 / (1 + np.exp(-expected)), rtol=1e-9)


def test_a_trait_that_is_a_share_stays_one() -> None:
    """Scaled in a population that varies around 0.8."""
    half, more = ({"key": "agent.scratchpad_saving", "scale": x} for x in (0.5, 1.25))
    spread = {"spread": {"scratchpad_saving": 1}}
    worlds = [
        sim.TrainingWorld(SCENARIO, agent=spread, agents=20, seed=1, interventions=done)
        for done in ([], [half], [more])
    ]
    own, halved, larger = (world.program.traits.scratchpad_saving for world in worlds)
    np.testing.assert_array_equal(halved, 0.5 * own)
    np.testing.assert_array_equal(larger, np.minimum(1.25 * own, 1.0))
    assert (1.25 * own > 1.0).any()


def test_contexts_are_as_they_were_afterwards() -> None:
    done = run({"key": "scenario.contexts.*.info", "set": 0, "start": 20, "stop": 40})
    for step, info in ((19, 1), (20, 0), (39, 0), (40, 1)):
        aware(done.data, step, info)


def test_what_ends_with_training_is_over_when_agents_are_observed() -> None:
    ends = run({"key": "gaming", "set": 0, "start": 20, "stop": 60})
    forever = run({"key": "gaming", "set": 0, "start": 20})
    assert (ends.gaming_rate.sel(step=59) == 0).all()
    assert (ends.gaming_rate.sel(step=60) > 0).all()
    assert (forever.gaming_rate.sel(step=60) == 0).all()
    np.testing.assert_array_equal(ends.values, forever.values)
    done = run({"key": "scenario.contexts.*.info", "set": 0, "start": 20, "stop": 60})
    for step, info in ((59, 0), (60, 1)):
        aware(done.data, step, info)


def test_a_curriculum_is_intervened_in_whatever_its_phase_says() -> None:
    weight = "scenario.contexts.agentic_tasks.weight"
    done = sim.simulate(
        "pipeline",
        training={"steps": 1700},
        record_every=100,
        interventions=[{"key": weight, "set": 0, "start": 1300, "stop": 1500}],
    )
    weights = done.data["weight"].sel(context="agentic_tasks")
    assert (weights.sel(step=[0, 1100, 1300, 1400]) == 0).all()
    assert (weights.sel(step=[1200, 1500, 1700]) > 0).all()
    assert done.data["phase"].values.tolist()[12:] == ["reinforcement elsewhere"] * 6


def test_selection_copies_and_keeps_what_is_held() -> None:
    training = {**TRAINING, "selection": {"every": 10, "episodes": 4, "mutation": 0.5}}
    done = run(
        {"key": "state.values.power", "set": -1, "start": 15, "stop": 45},
        {"key": "state.awareness", "freeze": True, "start": 15, "stop": 45},
        training=training,
    )
    power, awareness = done.values.sel(value="power"), done.awareness_logit
    assert (power.sel(step=slice(15, 45)) == -1).all()
    frozen = awareness.sel(step=15).values
    parents = done.data["ancestor"].sel(step=[10, 20]).values.astype(int)
    assert (parents[0] != parents[1]).any()
    for step in (20, 29, 30, 44):
        assert set(awareness.sel(step=step).values.tolist()) <= set(frozen.tolist())
    assert not set(awareness.sel(step=50).values.tolist()) <= set(frozen.tolist())
    training["selection"]["every"] = 20
    done = run({"key": "state.awareness", "freeze": True, "start": 15}, training=training)
    parents = done.data["ancestor"].sel(step=20).values.astype(int)
    frozen = done.awareness_logit.sel(step=15).values
    assert (parents != np.arange(12)).any()
    for step in (20, 39):
        np.testing.assert_array_equal(done.awareness_logit.sel(step=step), frozen[parents])


# ------------------------------------------------------------------------- worlds and sweeps


def test_a_training_world_does_the_same() -> None:
    done = [
        {"key": "gaming", "set": 0, "start": 2, "stop": 5},
        {"key": "agent.rationality", "set": 1},
    ]
    few: dict[str, Any] = {"training": {**TRAINING, "steps": 8}, "agents": 5, "seed": 1}
    few["engine"] = "numpy"
    own = {"agent": AGENT, "interventions.0.stop": 6}
    world = sim.TrainingWorld(SCENARIO, interventions=done, **few, **own)
    done[0]["stop"] = 6
    result = run(*done, **few)
    for step in range(9):
        for name in ("gaming_rate", "values", "habit"):
            expected = result.data[name].sel(step=step).values
            np.testing.assert_array_equal(world.measured(name), expected)
        world.step()


@on_both
def test_the_strength_of_an_intervention_is_an_axis_of_a_sweep(engine: str) -> None:
    """As an axis, and as columns of one program, whether what is changed has a column or not."""
    leak = {"key": "training.leak", "set": 0, "start": 10, "stop": 30}
    weight = {"key": "scenario.contexts.coding.weight", "scale": 1, "start": 5}
    given = {"agent": AGENT, "training": {"steps": 40}, "engine": engine}
    columns = {
        "interventions.0.set": [0.0, 0.25, 0.5],
        "interventions.1.scale": [2.0, 1.0, 3.0],
        "scenario.contexts.coding.weight": [1.0, 2.0, 0.5],
    }
    kinds = [{"axes": {"interventions.0.set": columns["interventions.0.set"]}}]
    kinds += [{"design": sim.Zip(columns)}]
    for kind in kinds:
        table = sim.sweep(SCENARIO, **kind, seeds=2, interventions=[leak, weight], **given)
        assert table.frame["alignment"].nunique() > 4
        for row in table.frame.to_dict("records"):
            keys = {key: row[key] for key in columns if key in row}
            specs = sim.TrainingWorld(SCENARIO, interventions=[leak, weight], **given, **keys).specs
            alone = sim.simulate(
                specs.scenario,
                agent=specs.agent,
                training=specs.training,
                seed=int(row["seed"]),
                engine=engine,
                interventions=specs.interventions,
            )
            assert row["alignment"] == alone.alignment.isel(step=-1).item()


# ------------------------------------------------------------------------------ command line

OFF = "[{key: gaming, set: 0, start: 5}]"


def test_runs_and_sweeps_are_intervened_in_from_the_command_line(call: Call) -> None:
    refused = call("do=[{key: state.awarenes, freeze: true}]")
    assert_refused(refused, "interventions: 'state.awarenes': did you mean 'state.awareness'")
    left = call(f"do={OFF}", "training.steps=20", "agents=3", "engine=numpy")
    assert left.status == 0, left.stderr
    result = sim.Result.load(left.only("result.nc"))
    assert (result.gaming_rate.sel(step=slice(10, 20)) == 0).all()
    assert (result.gaming_rate.sel(step=0) > 0).all()
    assert left.json("provenance.json")["interventions"][0]["key"] == "gaming"
    few = ("training.steps=20", "agents=1", "engine=numpy", "record=summary")
    left = call("-m", f"do=[],{OFF}", "training.leak=0,0.2", *few)
    assert left.status == 0, left.stderr
    parts = left.json("sweep.json")["parts"]
    assert [len(part["interventions"]) for part in parts] == [0, 1]
