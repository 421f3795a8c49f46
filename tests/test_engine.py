"""The NumPy engine against a slow, obvious reference, and what must hold for any engine."""

from __future__ import annotations

import random
import tracemalloc

import numpy as np
import pytest

import reference
import sim
from cases import Case, flat, random_case, random_state
from sim.dynamics.engines.numpy_engine import Block, NumpyEngine
from sim.dynamics.state import Layout
from sim.specs.agent import TRAITS

CASES = range(40)
TOLERANCE = 1e-10


def with_curricula(case: Case) -> dict:
    """The scenario as the reference reads it: phases say all that they change."""
    blank = {"weight": {}, "reward": {}, "monitor": {}}
    phases = [{**blank, **phase} for phase in case.scenario["curriculum"]]
    return {**case.scenario, "curriculum": phases}


@pytest.mark.parametrize("seed", CASES)
def test_every_parameter_follows_the_reference(seed: int) -> None:
    case = random_case(seed)
    program = case.program()
    steps = range(case.training["steps"] + 1)
    found = NumpyEngine().trajectory(program, steps)[:, :, 0]
    states = reference.simulate(with_curricula(case), case.traits, case.state, case.training)
    np.testing.assert_allclose(found, [flat(state) for state in states], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("seed", CASES)
def test_every_recorded_thought_follows_the_reference(seed: int) -> None:
    case, scenario = random_case(seed), with_curricula(random_case(seed))
    result = run(case)
    states = reference.simulate(scenario, case.traits, case.state, case.training)
    for step in (0, 6, 7, 16, 30):
        thoughts = reference.cognitions(scenario, case.traits, states[step], case.training, step)
        for name, thought in thoughts.items():
            here = result.data.sel(step=step, context=name).isel(agent=0)
            for key in ("gaming_rate", "awareness", "belief", "stake", "incentive", "decision"):
                assert here[key].item() == pytest.approx(thought[key], abs=TOLERANCE)
            assert here["reward"].item() == pytest.approx(thought["objective"], abs=TOLERANCE)
            for key in ("policy", "value_policy", "gaming_policy"):
                chances = here[key].values[: len(thought[key])]
                np.testing.assert_allclose(chances, thought[key], atol=TOLERANCE, rtol=0)
                assert np.isnan(here[key].values[len(thought[key]) :]).all()


@pytest.mark.parametrize("seed", CASES)
def test_every_measure_follows_the_reference(seed: int) -> None:
    case, scenario = random_case(seed), with_curricula(random_case(seed))
    result = run(case)
    states = reference.simulate(scenario, case.traits, case.state, case.training)
    for step in (0, 7, 30):
        expected = reference.measures(
            scenario, case.traits, states[step], states[0], case.training, step
        )
        here = result.data.sel(step=step).isel(agent=0)
        for name in ("reach", "consistency", "value_drift", "value_cosine", "alignment"):
            assert here[name].item() == pytest.approx(expected[name], abs=1e-9)
        assert here["reach_weighted"].item() == pytest.approx(expected["reach_weighted"])
        assert here["opacity_share"].item() == pytest.approx(expected["opacity_share"], abs=1e-9)
        for name in ("compliance_gap", "behaviour_shift"):
            for context in here["context"].values:
                found = here[name].sel(context=context).item()
                wanted = expected[name].get(context, np.nan)
                assert found == pytest.approx(wanted, abs=TOLERANCE, nan_ok=True)


def run(case: Case) -> sim.Result:
    return sim.simulate(
        case.scenario,
        agent=sim.Agent(**case.traits, initial={"values": {}}),
        training=case.training,
        initial=sim.AgentState(**case.state),
        record_every=1,
    )


def test_agents_with_traits_and_states_of_their_own() -> None:
    """Five different agents at once are each the agent that the reference runs alone."""
    case, rng = random_case(3), random.Random(7)
    layout = Layout(tuple(case.scenario["values"]), tuple(case.scenario["contexts"]))
    shape = {"values": len(layout.values), "contexts": len(layout.contexts)}
    states = [random_state(rng, **shape) for _ in range(5)]
    traits = [{name: rng.random() for name in TRAITS} for _ in states]
    result = sim.simulate(
        case.scenario,
        agent={name: [t[name] for t in traits] for name in TRAITS} | {"initial": {"values": {}}},
        training=case.training,
        agents=5,
        initial=sim.AgentState(**{key: [s[key] for s in states] for key in states[0]}),
    )
    for n, (trait, state) in enumerate(zip(traits, states, strict=True)):
        last = reference.simulate(with_curricula(case), trait, state, case.training)[-1]
        found = result.data.isel(step=-1, agent=n)
        np.testing.assert_allclose(found["values"], last["values"], atol=TOLERANCE)
        np.testing.assert_allclose(found["habit"], last["habit"], atol=TOLERANCE)
        assert found["awareness_logit"].item() == pytest.approx(last["awareness"], abs=TOLERANCE)


@pytest.fixture(scope="module")
def crowd() -> sim.Agent:
    spread = {"decisiveness": 0.2, "initial": {"values": 0.3, "habit": 0.5, "awareness": 0.5}}
    return sim.Agent(spread=spread)


@pytest.mark.parametrize("agents", [1, 2, 15, 16, 17, 64, 130])
def test_one_agent_more_changes_nobody_elses_history(agents: int, crowd: sim.Agent) -> None:
    training = {"steps": 50, "spread": 0.1, "leak": 0.1}
    few = sim.simulate("pipeline", agent=crowd, training=training, agents=agents, seed=5)
    more = sim.simulate("pipeline", agent=crowd, training=training, agents=131, seed=5)
    for name in few.data.data_vars:
        np.testing.assert_array_equal(few.data[name], more.data[name].isel(agent=slice(agents)))


@pytest.mark.parametrize("block", [1, 16, 48, 100, 1024])
def test_blocks_of_any_width_give_the_same_bits(block: int, crowd: sim.Agent) -> None:
    program = sim.simulation.prepare("copyright", agent=crowd, agents=77, seed=1).program
    whole = NumpyEngine().trajectory(program, [0, 40])
    np.testing.assert_array_equal(NumpyEngine(block=block).trajectory(program, [0, 40]), whole)


def test_how_often_is_recorded_changes_nothing(crowd: sim.Agent) -> None:
    settings = {"agent": crowd, "agents": 3, "training": {"steps": 60}}
    often = sim.simulate("pipeline", record_every=1, **settings)
    seldom = sim.simulate("pipeline", record_every=25, **settings)
    assert seldom.data["step"].values.tolist() == [0, 25, 50, 60]
    assert seldom.data.drop_vars("onset").equals(
        often.data.drop_vars("onset").sel(step=seldom.data["step"])
    )


@pytest.mark.parametrize("seed", range(5))
def test_zero_learning_rates_change_nothing(seed: int) -> None:
    case = random_case(seed)
    case.training["learning_rate"] = 0.0
    program = case.program()
    start, end = NumpyEngine().trajectory(program, [0, 30])
    np.testing.assert_array_equal(start, end)


def test_steps_allocate_nothing_of_the_size_of_a_block() -> None:
    """After the first steps of a term, no array over contexts and agents is ever allocated."""
    case = next(c for c in map(random_case, CASES) if len(c.scenario["contexts"]) >= 5)
    case.scenario["curriculum"] = []
    for context in case.scenario["contexts"].values():
        context["kind"], context["twin"] = "training", None
    program = case.program(agents=1024)
    block = Block(program, np.arange(1024))
    block.advance(0, 2)
    tracemalloc.start()
    block.advance(2, 12)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    over_contexts_and_agents = 8 * 1024 * len(case.scenario["contexts"])
    assert peak < over_contexts_and_agents


def test_a_cohort_moved_step_by_step_is_where_a_whole_run_leads(crowd: sim.Agent) -> None:
    program = sim.simulation.prepare(
        "pipeline", agent=crowd, agents=40, training={"steps": 450}
    ).program
    engine = NumpyEngine(block=16)
    cohort = engine.start(program)
    for start, stop in ((0, 1), (1, 399), (399, 402), (402, 450)):
        cohort.advance(start, stop)
    np.testing.assert_array_equal(cohort.theta(), engine.trajectory(program, [450])[0])
