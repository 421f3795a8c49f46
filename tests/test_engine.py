"""Engines against the slow reference, and the same bits however work is cut."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import reference
import sim
from cases import Case, agent_state, flat, random_case, random_state, sampled_case, seeded
from sim.dynamics.engines import registry
from sim.dynamics.engines.numpy_engine import NumpyEngine
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.program import Program
from sim.simulation import prepare

ENGINES = ("numpy", "numba")
ESTIMATORS = ("exact", "sampled")
on_all = pytest.mark.parametrize(
    ("engine", "estimator"), [(engine, estimator) for engine in ENGINES for estimator in ESTIMATORS]
)


def crowd(agents: int, estimator: str = "exact", **training: object) -> Program:
    """Agents that differ, with assumptions that couple contexts."""
    spread = {"decisiveness": 0.2, "initial": {"values": 0.3, "habit": 0.5, "awareness": 0.5}}
    assumptions = {
        "generalisation": 0.1,
        "leak": 0.1,
        "anchor": 0.001,
        "visible_gaming_penalty": 0.5,
    }
    return prepare(
        "pipeline",
        agent={"spread": spread},
        training={"steps": 450, **assumptions, "estimator": estimator, "episodes": 3} | training,
        agents=agents,
        seed=5,
    ).program


# ------------------------------------------------------------------------- against the reference


def simulate(case: Case, engine: str) -> sim.Result:
    return sim.simulate(
        case.scenario,
        agent=sim.Agent(**case.traits, initial={"values": {}}),
        training=case.training,
        initial=agent_state([case.state]),
        record_every=1,
        engine=engine,
    )


def parameters(result: sim.Result, agent: int = 0) -> np.ndarray:
    """θ [S, P] of one agent."""
    names = ("values", "propensity", "habit", "awareness_logit", "log_horizon", "log_competence")
    arrays = [result.data[name].values[:, agent] for name in (*names, "capability_logits")]
    rows = np.column_stack([array.reshape(len(array), -1) for array in arrays])
    return rows[:, ~np.isnan(rows[0])]


def close(found: Any, expected: Any, tolerance: float = 1e-10) -> None:
    np.testing.assert_allclose(found, expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize("engine", ENGINES)
def test_parameters_thoughts_and_measures_follow_the_reference(engine: str) -> None:
    for seed in range(40):
        case = random_case(seed)
        blank = {"weight": {}, "reward": {}, "monitor": {}, "method": {}}
        phases = [{**blank, **phase} for phase in case.scenario["curriculum"]]
        scenario = {**case.scenario, "curriculum": phases}
        states = reference.simulate(scenario, case.traits, case.state, case.training)
        result = simulate(case, engine)
        close(parameters(result), [flat(state) for state in states])
        recorded = {str(name): array.values[:, 0] for name, array in result.data.data_vars.items()}
        contexts = list(case.scenario["contexts"])
        for step in (0, 6, 7, 16, 30):
            given = (scenario, case.traits, states[step])
            thoughts = reference.cognitions(*given, case.training, step)
            for c, name in enumerate(contexts):
                thought = thoughts[name]
                keys = ("gaming_rate", "awareness", "belief", "stake", "incentive", "decision")
                close([recorded[key][step, c] for key in keys], [thought[key] for key in keys])
                close(recorded["reward"][step, c], thought["reward"])
                for key in ("policy", "value_policy", "gaming_policy", "foreseen_policy"):
                    chances = thought[key.replace("foreseen", "foresight")]
                    padding = [np.nan] * (recorded[key].shape[2] - len(chances))
                    close(recorded[key][step, c], [*chances, *padding])
            expected = reference.measures(*given, states[0], case.training, step)
            lost, conceded = (expected.pop(f"{name}_by_value") for name in ("stake", "concession"))
            for c, name in enumerate(contexts):
                care = np.exp(states[step]["log_horizon"]) * thoughts[name]["belief"]
                concern = case.traits["episode_concern"] * np.array(conceded[name])
                parts = care * np.array(lost[name]) - concern
                close(recorded["incentive_by_value"][step, c], parts)
            for key, measure in expected.items():
                by_context = isinstance(measure, dict)
                values = [measure.get(name, np.nan) for name in contexts] if by_context else measure
                close(recorded[key][step], values, 1e-9)


@pytest.mark.parametrize("engine", ENGINES)
def test_sampled_training_follows_the_reference(engine: str) -> None:
    """The reference makes its own draws, from Philox on; the seed fills both words of the key."""
    for seed in range(40):
        rule = ("policy_gradient", "natural_gradient")[seed % 2]
        episodes = (1, 3)[seed // 2 % 2]
        case = sampled_case(seed, episodes=episodes, update_rule=rule, steps=9)
        key = 2**40 + seed
        found = get_engine(engine).trajectory(seeded(case.program(agents=18), key), range(10))
        for agent in (0, 17):
            states = reference.sampled_simulate(
                *(case.scenario, case.traits, case.state, case.training),
                episodes=episodes,
                seed=key,
                agent=agent,
            )
            np.testing.assert_allclose(
                found[:, :, agent], [flat(state) for state in states], atol=1e-12, rtol=1e-12
            )


@on_all
def test_agents_with_traits_and_states_of_their_own(engine: str, estimator: str) -> None:
    """Five different agents at once are each the agent that the reference runs alone."""
    case, rng = sampled_case(3, steps=12, estimator=estimator), random.Random(7)
    shape = {"values": len(case.scenario["values"]), "contexts": case.scenario["contexts"]}
    states = [random_state(rng, **shape) for _ in range(5)]
    traits = [{name: rng.random() for name in case.traits} for _ in states]
    result = sim.simulate(
        case.scenario,
        agent={name: [t[name] for t in traits] for name in case.traits}
        | {"initial": {"values": {}}},
        training=case.training,
        agents=5,
        seed=3,
        engine=engine,
        initial=agent_state(states),
    )
    for n, (trait, state) in enumerate(zip(traits, states, strict=True)):
        given = (case.scenario, trait, state, case.training)
        last = (
            reference.sampled_simulate(*given, episodes=2, seed=3, agent=n)[-1]
            if estimator == "sampled"
            else reference.simulate(*given)[-1]
        )
        close(parameters(result, n)[-1], flat(last), 1e-11)


# -------------------------------------------------------------------------------- the same bits


def cuts(engine: str, program: Program) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield what is cut otherwise, with the end that it leads to, and the end that it must."""
    whole = get_engine(engine).trajectory(program, [1, 40])
    for rows in (slice(0, 1), slice(3, 20), slice(20, 77), np.array([76, 5, 5])):
        yield (
            f"{rows}",
            get_engine(engine).trajectory(program.take(rows), [1, 40]),
            whole[..., rows],
        )
    cohort = get_engine(engine).start(program)
    for start, stop in ((0, 1), (1, 2), (2, 17), (17, 17), (17, 18), (18, 40)):
        cohort.advance(start, stop)
    yield "steps", cohort.theta(), whole[1]
    widths = (1, 16, 48, 100, 1024) if engine == "numpy" else ()
    for width in widths:
        yield f"block {width}", NumpyEngine(block=width).trajectory(program, [1, 40]), whole
    for threads in (2, 3, 64) if engine == "numba" else ():
        parallel = get_engine(engine, threads=threads)
        yield f"threads {threads}", parallel.trajectory(program, [1, 40]), whole


@on_all
def test_agents_and_steps_may_be_cut_anywhere(
    engine: str, estimator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim.dynamics.engines.numba_engine.WORTH_A_THREAD", 1)
    program = crowd(77, estimator)
    for what, found, expected in cuts(engine, program):
        np.testing.assert_array_equal(found, expected, err_msg=what)
    long = get_engine(engine).start(program)
    for start, stop in ((0, 399), (399, 402), (402, 450)):  # over the end of a phase
        long.advance(start, stop)
    np.testing.assert_array_equal(long.theta(), get_engine(engine).trajectory(program, [450])[0])


@on_all
def test_one_agent_more_changes_nobody_elses_history(engine: str, estimator: str) -> None:
    more = get_engine(engine).trajectory(crowd(131, estimator), [1, 40])
    for agents in (1, 2, 15, 16, 17, 64, 130):
        few = get_engine(engine).trajectory(crowd(agents, estimator), [1, 40])
        np.testing.assert_array_equal(few, more[:, :, :agents])


@on_all
def test_an_engine_leaves_the_program_as_it_is(engine: str, estimator: str) -> None:
    program = crowd(3, estimator)
    before = program.theta.copy()
    cohort = get_engine(engine).start(program)
    cohort.advance(0, 5)
    cohort.theta()[:] = 0.0
    assert (cohort.theta() != before).any()
    assert cohort.theta().any()
    np.testing.assert_array_equal(program.theta, before)


@on_all
def test_zero_learning_rates_change_nothing(engine: str, estimator: str) -> None:
    for seed in range(5):
        case = random_case(seed)
        case.training.update(learning_rate=0.0, estimator=estimator)
        start, end = get_engine(engine).trajectory(case.program(), [0, 30])
        np.testing.assert_array_equal(start, end)


#: Parameters far out; whatever they are, steps give numbers.
EXTREMES: tuple[dict[str, float], ...] = (
    {"awareness": -800.0},
    {"awareness": 800.0},
    {"habit": -800.0},
    {"habit": 800.0, "awareness": 800.0},
    {"habit": -40.0},
    {"habit": 36.0, "awareness": 36.0},
    {"log_competence": 8.0},
    {"log_competence": -800.0},
    {"log_horizon": 30.0},
    {"values": 1e6},
    {"capability": 800.0},
    {"capability": -800.0},
)


@on_all
def test_extremes_give_numbers(engine: str, estimator: str) -> None:
    """All extremes side by side; in case 2, no context has a choice."""
    for seed, decisive in ((3, 1.3), (11, 0.0), (2, 1.3)):
        for rule in ("policy_gradient", "natural_gradient"):
            case = sampled_case(seed, update_rule=rule, estimator=estimator, steps=20)
            case.traits["decisiveness"] = decisive
            program = case.program(agents=len(EXTREMES))
            theta, rows = program.theta.copy(), program.layout.rows
            for agent, extreme in enumerate(EXTREMES):
                for kind, number in extreme.items():
                    theta[rows[kind], agent] = number
            program = replace(program, theta=theta, origin=theta)
            assert np.isfinite(get_engine(engine).trajectory(program, [1, 20])).all()


def test_engines_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (get_engine().name, get_engine("numpy").name) == ("numba", "numpy")
    assert get_engine("auto", precision="float32").precision == "float32"
    refusals = [
        ({"name": "nump"}, "engine: got 'nump': did you mean 'numpy'"),
        ({"precision": "float16"}, "precision: got 'float16': did you mean 'float"),
        ({"name": "numpy", "precision": "float32"}, "precision: got 'float32': engine=numpy has"),
        ({"name": "numba"}, "engine: numba is not installed; install the extra `fast`"),
    ]
    for given, message in refusals:
        monkeypatch.setattr(registry, "has_numba", lambda given=given: given != {"name": "numba"})
        with pytest.raises(sim.SpecError) as error:
            get_engine(**given)
        assert str(error.value).startswith(message)
    assert get_engine().name == "numpy"
