"""The training model works as any Mesa model, and computes nothing itself."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import weakref
from functools import partial
from typing import Any

import mesa
import numpy as np
import pytest

import sim
from refusals import assert_all_refused
from sim.abm import training_model
from sim.abm.deployment_model import DeploymentWorld
from sim.dynamics.observe import VARIABLES, Recorder
from sim.specs.agent import TRAITS

LAB = "lab_to_deployment"
SCENARIO = sim.Scenario.load(LAB)
_STATE = (
    *("awareness", "log_horizon", "log_competence"),
    *("values", "propensity", "habit", "capability"),
)
#: Agents that differ in everything, and every assumption at work.
SETTINGS = {
    **{f"agent.spread.{name}": 0.3 for name in TRAITS},
    **{f"agent.spread.{name}": 0.5 for name in _STATE},
    **{"agent.habit": 0.0, "agent.awareness": 0.5, "training.leak": 0.2, "training.anchor": 0.01},
    **{"training.motive_credit": 0.7, "training.visible_gaming_penalty": 0.5},
    **{"training.generalisation.habit": 0.3, "training.generalisation.propensity": 0.2},
    **{"training.learning_rate.propensity": 0.05, "training.steps": 10},
}


def make(steps: int = 0, **changes: Any) -> sim.TrainingWorld:
    world = sim.TrainingWorld(LAB, **{"agents": 20, "seed": 3, **SETTINGS, **changes})
    for _ in range(steps):
        world.step()
    return world


def simulate_like(world: sim.TrainingWorld) -> sim.Result:
    scenario, agent, training, _ = world.specs
    options = {"agents": len(world.agents), "seed": world.seed, "record_every": 1}
    return sim.simulate(scenario, agent=agent, training=training, **options)


def test_every_step_is_that_of_simulate_to_the_bit() -> None:
    world = make()
    result = simulate_like(world)
    for step in range(11):
        state = result.data.sel(step=step)
        for name in VARIABLES:
            np.testing.assert_array_equal(world.measured(name), state[name], err_msg=name)
        world.step()
    assert (world.theta != world.program.theta).any(axis=1).mean() > 0.7
    world = make(10, agents=1100, collect_every=100)
    last = simulate_like(world).data.isel(step=-1)
    for name in ("values", "propensity", "habit", "awareness_logit", "horizon", "competence"):
        np.testing.assert_array_equal(world.measured(name), last[name], err_msg=name)


def test_agents_have_their_own_row_of_every_variable_and_trait() -> None:
    world = make(5)
    state = simulate_like(world).data.sel(step=5)
    for agent in list(world.agents)[::7]:
        own = state.sel(agent=agent.row)
        for name, variable in VARIABLES.items():
            numbers = getattr(agent, name)
            match variable.dims[2:]:
                case ():
                    assert type(numbers) is float
                    np.testing.assert_array_equal(numbers, own[name].item())
                case (dim,):
                    assert list(numbers) == list(own[dim].values)
                    np.testing.assert_array_equal(list(numbers.values()), own[name])
                case ("context", dim):
                    for context, spec in SCENARIO.contexts.items():
                        row = own[name].sel(context=context).values
                        names = list(spec.responses) if dim == "response" else list(own[dim].values)
                        assert list(numbers[context]) == names
                        expected = row[: len(names)]
                        np.testing.assert_array_equal(list(numbers[context].values()), expected)
        assert agent.traits == {name: own[name].item() for name in TRAITS}
        assert agent.rationality == own["rationality"].item()
    assert all(getattr(sim.ModelAgent, n).__doc__ for n in (*VARIABLES, *TRAITS, "traits", "row"))
    assert {*VARIABLES, *TRAITS} <= set(dir(agent))
    assert repr(world) == "TrainingWorld('lab_to_deployment', agents=20, step 5 of 10)"
    assert repr(agent).startswith(f"ModelAgent(row={agent.row}, reach=")


def test_agents_store_nothing_move_with_the_world_and_cannot_be_changed() -> None:
    world = make(initial=sim.AgentState(awareness=np.linspace(-0.5, 0.5, 20)))
    np.testing.assert_array_equal(world.agents.get("awareness_logit"), np.linspace(-0.5, 0.5, 20))
    before = world.agents.get("values")
    for _ in range(2):
        with pytest.raises(AttributeError):
            world.agents.set("reach", 1.0)
        with pytest.raises(ValueError, match="read-only"):
            world.theta[0] = 0.0
        world.step()
    assert all(now != then for now, then in zip(world.agents.get("values"), before, strict=True))
    for agent in world.agents:
        assert set(vars(agent)) <= {"model", "unique_id", "pos"}
    coding = list(SCENARIO.contexts).index("coding")
    rates, drift = world.measured("gaming_rate")[:, coding], world.measured("value_drift")
    gaming = world.agents.select(lambda agent: agent.gaming_rate["coding"] > np.median(rates))
    assert sorted(agent.row for agent in gaming) == list(np.flatnonzero(rates > np.median(rates)))
    assert world.agents.sort("value_drift").get("value_drift") == sorted(drift, reverse=True)
    theta = world.theta.copy()
    world.agents.shuffle_do("step")
    np.testing.assert_array_equal(world.theta, theta)


def test_the_engine_advances_one_step_and_variables_are_measured_once(monkeypatch: Any) -> None:
    measured, advanced = [], []

    class Counting(Recorder):
        def __call__(self, program: Any, step: Any, theta: Any) -> Any:
            measured.append(step)
            return super().__call__(program, step, theta)

    monkeypatch.setattr(training_model, "Recorder", Counting)
    world = make(collect_every=100)
    advance = world._cohort.advance
    monkeypatch.setattr(
        world._cohort, "advance", lambda *steps: advanced.append(steps) or advance(*steps)
    )
    world.step()
    assert measured == [0]  # the collection at the start
    for _ in range(2):
        world.agents.get(["reach", "gaming_rate", "policy", "alignment"])
    world.step()
    world.step()
    assert measured == [0, 1]
    assert advanced == [(0, 1), (1, 2), (2, 3)]


def test_running_stops_with_training_and_the_collector_has_every_step() -> None:
    world = make()
    for step in range(10):
        assert (world.running, world.steps) == (True, step)
        world.step()
    theta, frame = world.theta.copy(), world.datacollector.get_model_vars_dataframe()
    world.step()
    assert not world.running
    np.testing.assert_array_equal(world.theta, theta)
    assert len(world.datacollector.get_model_vars_dataframe()) == len(frame) == 11
    data = simulate_like(world).data
    kinds = ("gaming_rate", "instrumental_gaming")
    rates = [f"median_{kind}.{name}" for kind in kinds for name in SCENARIO.contexts]
    measures = ["reach", "value_drift", "alignment", "deployment_conduct"]
    assert list(frame) == [*rates, *(f"median_{name}" for name in measures)]
    for kind, part in zip(kinds, np.split(frame[rates].to_numpy(), 2, axis=1), strict=True):
        np.testing.assert_array_equal(part, data[kind].median("agent"))
    for name in measures:
        np.testing.assert_array_equal(frame[f"median_{name}"], data[name].median("agent"))
    agents = world.datacollector.get_agent_vars_dataframe()
    assert list(agents) == [*measures, "consistency"]
    for name in agents:
        np.testing.assert_array_equal(agents[name].to_numpy().reshape(11, 20), data[name])
    agents = make(10, collect_every=4).datacollector.get_agent_vars_dataframe()
    assert list(agents.index.get_level_values("Step").unique()) == [0, 4, 8, 10]
    with pytest.raises(sim.DivergenceError, match="learning_rate"):
        make(10, **{"training.learning_rate.values": 1e200})


def test_batch_run_over_settings_and_seeds() -> None:
    usual = {"scenario": "copyright", "agents": 3, "training.steps": 6}
    batch = partial(mesa.batch_run, sim.TrainingWorld, display_progress=False)
    axes = {"agent.initial.awareness": [-2, np.float64(2)], "agent.spread.rationality": 0.3}
    rows = batch({**usual, **axes, "seed": 1}, data_collection_period=2)
    for row in rows:
        settings = {key: row[key] for key in (*usual, *axes, "seed")}
        world = sim.TrainingWorld(**settings)
        for _ in range(int(row["Step"])):
            world.step()
        agent = next(a for a in world.agents if a.unique_id == row["AgentID"])
        for name in ("reach", "value_drift", "alignment", "deployment_conduct", "consistency"):
            assert row[name] == getattr(agent, name)
        rates = [agent.gaming_rate["coding"] for agent in world.agents]
        assert row["median_gaming_rate.coding"] == np.median(rates)
    assert {row["Step"] for row in rows} >= {0, 2, 4}
    assert pickle.loads(pickle.dumps(rows)) == rows  # several processes send them to each other
    spread = {**usual, "agent.spread.rationality": 0.5}
    rows = batch({**spread, "seed": [0, 1, 0]}, max_steps=3)
    drifts = [row["value_drift"] for row in rows if row["Step"] == 3]
    assert drifts[:3] == drifts[6:] != drifts[3:6]
    assert len(drifts) == len(rows) == 9
    if "rng" in inspect.signature(mesa.batch_run).parameters:
        rows = batch(spread, max_steps=3, rng=[0, 1, 0])
        assert [row["value_drift"] for row in rows] == drifts


def test_seeds_in_any_form_that_mesa_takes() -> None:
    def traits(**seed: Any) -> list[float]:
        return make(**{"seed": None, **seed}).agents.get("rationality")

    assert traits(seed=3) == traits(rng=3) == traits(seed=np.int64(3)) != traits(seed=4)
    for form in (lambda: np.random.SeedSequence(5), lambda: [1, 2]):
        assert traits(rng=form()) == traits(rng=form())
    first, second = make(seed=None), make(seed=None)
    assert first.seed != second.seed
    np.testing.assert_array_equal(make(seed=first.seed).theta, first.theta)
    orders = [make(seed=seed).agents.shuffle().get("row") for seed in (3, 3, 4)]  # Mesa's own draws
    assert orders[0] == orders[1] != orders[2]


def test_bad_input_is_refused_in_one_line() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"seed": -1}, "seed: got -1: must be a whole number of 0 or more"),
        ({"seed": 1.5}, "seed: got 1.5: must be a whole number of 0 or more"),
        ({"rng": 1}, "seed: is given twice, as seed and as rng"),
        ({"agents": 0}, "agents: got 0: must be a whole number of 1 or more"),
        ({"collect_every": 0}, "collect_every: got 0: must be a whole number of 1 or more"),
        ({"engine": "nunpy"}, "engine: got 'nunpy': did you mean 'numpy'?"),
        ({"agnts": 3}, "agnts: unknown key; did you mean 'agent'?"),
        ({"training.lek": 0.1}, "training.lek: unknown key; did you mean 'leak'?"),
    ]
    assert_all_refused((partial(make, **changes), message) for changes, message in cases)


def test_worlds_are_copied_whole_and_freed() -> None:
    world = sim.TrainingWorld(SCENARIO, agents=3, rng=1, training={"steps": 9})
    deployment = DeploymentWorld(scenario=SCENARIO, agents=3, rng=1, training={"steps": 9})
    for _ in range(4):
        world.step()
    copies = [world, pickle.loads(pickle.dumps(world)), copy.deepcopy(world)]
    for each in copies:
        while each.running:
            each.step()
        assert each.agents[0].model is each
        np.testing.assert_array_equal(each.theta, world.theta)
        assert len(each.datacollector.get_agent_vars_dataframe()) == 30
    pickle.loads(pickle.dumps(deployment)).step()
    references = [weakref.ref(each) for each in (*copies, deployment)]
    del world, copies, each, deployment
    gc.collect()
    assert [reference() for reference in references] == [None] * 4
