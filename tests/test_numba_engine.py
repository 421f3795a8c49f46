"""The Numba engine: the NumPy engine's trajectories, blocks of any width, vectors."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

import numba

import sim
from cases import Case, random_case
from sim.dynamics.engines import registry
from sim.dynamics.engines.numba_engine import NumbaEngine, call_compiled
from sim.dynamics.engines.numpy_engine import NumpyEngine
from sim.dynamics.engines.vector import column, exp, odds_against
from sim.dynamics.program import Program
from sim.simulation import prepare
from sim.specs.library import names

ESTIMATORS = ("exact", "sampled")
CROWD = {
    "spread": {
        "decisiveness": 0.2,
        "info_sensitivity": 0.2,
        "foresight": 0.2,
        "initial": {"values": 0.3, "habit": 0.5, "awareness": 0.5, "capability": 0.3},
    }
}


def compare(program: Program, steps: list[int], tolerance: float = 1e-12) -> None:
    """Both engines lead to the same, and somewhere else than where they started."""
    found, wanted = (engine().trajectory(program, steps) for engine in (NumbaEngine, NumpyEngine))
    np.testing.assert_allclose(found, wanted, atol=tolerance, rtol=tolerance)
    assert np.abs(wanted[-1] - program.theta).max() > 1e-3


def program_of(
    seed: int, *, estimator: str = "exact", agents: int = 5, case: Case | None = None
) -> Program:
    """A random case with every agent somewhere else."""
    case = random_case(seed) if case is None else case
    case.training.update(estimator=estimator, episodes=6)
    program = case.program(agents=agents)
    rng = np.random.default_rng(seed)
    theta = program.theta + 0.3 * rng.standard_normal(program.theta.shape)
    return replace(program, theta=theta, origin=theta + 0.1)


def case_of_pairs(seed: int, *, propensities: bool) -> Case:
    """A random case of which every context has two responses and is reinforced."""
    case = random_case(seed)
    rng = np.random.default_rng(seed)
    for context in case.scenario["contexts"].values():
        first, serves = next(iter(context["responses"].items()))
        context["responses"] = {
            r: {v: rng.normal() for v in serves} for r in rng.permutation([first, "other"])
        }
        context["reward"] = {r: rng.normal() for r in context["responses"]}
        context["method"], context["demonstrations"] = "reinforcement", {}
    for phase in case.scenario["curriculum"]:
        phase["method"] = {}
    case.state["propensity"] = propensities * rng.normal(size=(len(case.state["habit"]), 2))
    case.training["learning_rate"]["propensity"] *= propensities
    return case


def with_own_numbers(program: Program) -> Program:
    """The program with every number that an agent can have to itself moved, some to 0."""
    rng = np.random.default_rng(0)

    def moved(part: object, names: str, *, least: float = 0.5) -> dict[str, np.ndarray]:
        arrays = {name: getattr(part, name) for name in names.split()}
        shapes = {name: (*x.shape[:-1], program.agents) for name, x in arrays.items()}
        return {
            name: x * rng.uniform(least, 1.0, shapes[name]).clip(min=0.0)
            for name, x in arrays.items()
        }

    segments = []
    for segment in program.segments:
        numbers = "features reward weight info scratchpad cue monitor similarity demonstrations"
        world = replace(segment.world, **moved(segment.world, numbers))
        shares = {
            name: (x := getattr(world, name)) / x.sum(axis=0)
            for name in ("weight", "demonstrations")
        }
        world = replace(world, **shares)
        assumed = (
            "motive_credit leak habit_generalisation propensity_generalisation anchor "
            "visible_gaming_penalty transfer learning_rate"
        )
        assumptions = replace(
            segment.assumptions, **moved(segment.assumptions, assumed, least=-0.5)
        )
        segments.append(replace(segment, world=world, assumptions=assumptions))
    return replace(program, segments=tuple(segments))


def crowd(scenario: str = "pipeline", *, agents: int, **training: object) -> Program:
    assumptions = {
        "steps": 450,
        "generalisation": 0.1,
        "leak": 0.1,
        "anchor": 0.001,
        "episodes": 3,
    }
    return prepare(
        scenario, agent=CROWD, agents=agents, seed=5, training=assumptions | training
    ).program


# ----------------------------------------------------------------------- the NumPy engine's numbers


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_random_cases_follow_the_numpy_engine(estimator: str) -> None:
    for seed in range(60):
        program = program_of(seed, estimator=estimator)
        compare(program, [0, 1, 7, 16, 30])
        if seed % 3 == 0:
            compare(with_own_numbers(program), [1, 30])


@pytest.mark.parametrize("propensities", [False, True])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_pairs_of_responses_follow_the_numpy_engine(estimator: str, propensities: bool) -> None:
    for seed in range(30):
        case = case_of_pairs(seed, propensities=propensities)
        program = program_of(seed, estimator=estimator, case=case)
        assert program.layout.with_propensity == propensities
        compare(program, [1, 7, 16, 30])
        if seed % 3 == 0:
            compare(with_own_numbers(program), [1, 30])


def test_propensities_that_stay_at_0_change_nothing() -> None:
    """They then have no rows, nor exponentials of their own."""
    for seed in range(0, 30, 3):
        case = case_of_pairs(seed, propensities=False)
        without = program_of(seed, case=case)
        case.state["propensity"][0, 0] = 1e-300
        with_rows = program_of(seed, case=case)
        kept = [not name.startswith("propensity") for name in with_rows.layout.names]
        theta = with_rows.theta.copy()
        theta[kept], theta[np.logical_not(kept)] = without.theta, 0.0
        origin = theta + 0.1 * np.array(kept)[:, None]
        ends = NumbaEngine().trajectory(replace(with_rows, theta=theta, origin=origin), [30])
        np.testing.assert_allclose(
            ends[:, kept], NumbaEngine().trajectory(without, [30]), rtol=1e-12, atol=1e-12
        )


def test_the_library_follows_the_numpy_engine_for_hundreds_of_steps() -> None:
    for scenario in names("scenario"):
        compare(crowd(scenario, agents=3, steps=600), [600])
    compare(crowd("copyright", agents=3, steps=600, estimator="sampled", episodes=2), [600])


def test_extremes_are_no_worse_than_in_numpy() -> None:
    program = program_of(3)
    for kind in ("awareness", "values", "habit", "capability"):
        for logit in (-2000.0, -710.0, -300.0, -60.0, 60.0, 300.0, 710.0, 2000.0):
            theta = program.theta.copy()
            theta[program.layout.rows[kind]] = logit
            far = replace(program, theta=theta, origin=theta)
            found, wanted = (e().trajectory(far, [1])[0] for e in (NumbaEngine, NumpyEngine))
            np.testing.assert_allclose(found - theta, wanted - theta, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("sensitivity", [10.0, 100.0, 2000.0])
def test_awareness_where_salience_is_far_apart(sensitivity: float) -> None:
    """One agent's inputs tell so much that one exponential cannot serve all; others' do not."""
    program = program_of(1)
    assert np.ptp(program.segments[0].world.where_trained().info) > 0.9
    traits = replace(
        program.traits, info_sensitivity=np.array([0.1, sensitivity, 1.0, sensitivity, 0.1])
    )
    for awareness in (0.0, -0.5 * sensitivity, -sensitivity):
        theta = program.theta.copy()
        theta[program.layout.rows["awareness"]] = awareness
        moved = replace(program, theta=theta, traits=traits)
        compare(moved, [2])
        first = NumbaEngine().trajectory(moved.take(slice(0, 1)), [2])
        np.testing.assert_array_equal(NumbaEngine().trajectory(moved, [2])[:, :, :1], first)


@pytest.mark.parametrize("sureness", [100.0, 315.0, 400.0, 2000.0])
@pytest.mark.parametrize("ragged", [False, True])
def test_foresight_of_agents_that_are_very_sure(sureness: float, ragged: bool) -> None:
    """Two agents are so sure that odds of theirs cannot be had from odds of π^u; others are not."""
    case = case_of_pairs(5, propensities=False)
    if ragged:  # then contexts are not pairs of responses to the kernel
        contexts = case.scenario["contexts"]
        contexts["alone"] = {**contexts["c0"], "twin": None, "responses": {"only": {}}}
        contexts["alone"]["reward"] = {}
        case.scenario["similarity"] = [[1.0] * len(contexts)] * len(contexts)
        case.state["habit"] = [*case.state["habit"], 0.0]
        case.state["propensity"] = np.zeros((len(contexts), 2))
    program = program_of(5, case=case)
    world = program.segments[0].world.where_trained()
    utility = (world.features[..., 0] @ program.theta[: len(world.features[0, 0])])[:, 0]
    slope, pull = utility[1] - utility[0], (world.reward[1] - world.reward[0])[0]
    sure = np.array([1.0, 0.0, 1.0, 0.0, 0.0]) > 0
    decisiveness = np.where(sure, sureness / np.abs(slope), 1.3)
    foresight = np.abs(decisiveness * slope / pull) * np.array([0.99, 1, 1.01, 1, 1])
    traits = replace(program.traits, decisiveness=decisiveness, foresight=foresight)
    for sign in (1.0, -1.0):  # foresight pulls away from the sure answer, or towards it
        theta = program.theta.copy()
        theta[program.layout.rows["values"]] *= -sign * np.sign(slope * pull)
        moved = replace(program, theta=theta, traits=traits)
        compare(moved, [2], 1e-10)
        for agent in range(5):
            alone = NumbaEngine().trajectory(moved.take(slice(agent, agent + 1)), [2])
            both = NumbaEngine().trajectory(moved, [2])[:, :, agent : agent + 1]
            np.testing.assert_array_equal(both, alone)


@pytest.mark.slow
def test_single_precision_stays_near() -> None:
    for seed in range(0, 60, 6):
        program = program_of(seed)
        found = NumbaEngine(precision="float32").trajectory(program, [30])
        wanted = NumpyEngine().trajectory(program, [30])
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, wanted, atol=1e-4, rtol=1e-4)
        assert (found != wanted).any()


# --------------------------------------------------------------------------------- the same bits


@pytest.mark.slow
@pytest.mark.parametrize("width", [1, 16, 32])
def test_blocks_of_any_width_give_the_same_bits(width: int) -> None:
    for estimator in ESTIMATORS:
        programs = [crowd(agents=37, estimator=estimator)]
        programs += [program_of(seed, estimator=estimator, agents=19) for seed in range(12)]
        for program in programs:
            wanted = NumbaEngine().trajectory(program, [0, 30])
            found = NumbaEngine(width=width).trajectory(program, [0, 30])
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_numbers_of_their_own_have_the_bits_of_shared_ones(estimator: str) -> None:
    """Of any part of the agents, and where all agents happen to have the same number."""
    program = with_own_numbers(crowd(agents=37, estimator=estimator))
    whole = NumbaEngine().trajectory(program, [40, 100])
    for rows in (slice(0, 1), slice(3, 20), slice(20, 37), np.array([36, 5, 5])):
        part = NumbaEngine().trajectory(program.take(rows), [40, 100])
        np.testing.assert_array_equal(part, whole[:, :, rows])
    program = program_of(7, estimator=estimator, agents=17)
    segments = tuple(
        replace(s, world=replace(s.world, info=np.repeat(s.world.info, 17, axis=-1)))
        for s in program.segments
    )
    np.testing.assert_array_equal(
        NumbaEngine().trajectory(replace(program, segments=segments), [30]),
        NumbaEngine().trajectory(program, [30]),
    )


# ------------------------------------------------------------------------------- vectors, the cache


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_exp_is_right_to_the_last_places(dtype: type) -> None:
    @numba.njit
    def apply(x, y, z):  # type: ignore[no-untyped-def]
        given, precise, bounded = column(x, 0, 8), column(y, 0, 8), column(z, 0, 8)
        for i in range(x.shape[1]):
            precise[i] = exp(given[i])
            bounded[i] = odds_against(given[i])

    largest, bound = (709.0, 320.0) if dtype is np.float64 else (88.0, 20.0)
    x = np.linspace(-largest, largest, 80_000).astype(dtype)
    x[:6] = [0.0, np.inf, -np.inf, np.nan, 2 * largest, -2 * largest]
    y, z = np.empty_like(x), np.empty_like(x)
    apply(*(array.reshape(1, -1, 8) for array in (x, y, z)))
    np.testing.assert_array_equal(y[:6], [1.0, np.inf, 0.0, np.nan, np.inf, 0.0])
    exact = np.exp(x[6:].astype(np.longdouble))
    normal = exact > np.finfo(dtype).tiny
    units = np.abs(y[6:] - exact)[normal] / np.spacing(exact[normal].astype(dtype))
    assert units.max() < 1.5
    assert np.isnan(z[3])
    clipped = np.exp(-np.clip(x[6:].astype(np.longdouble), -bound, bound))
    np.testing.assert_allclose(z[6:], clipped, rtol=bound * np.finfo(dtype).eps)


def test_a_second_process_finds_the_compiled_kernel() -> None:
    NumbaEngine().trajectory(program_of(0), [1])
    code = (
        "import cases\n"
        "from sim.dynamics.engines.kernel import kernel\n"
        "from sim.dynamics.engines.numba_engine import WIDTH, NumbaEngine\n"
        "NumbaEngine().trajectory(cases.random_case(0).program(), [1])\n"
        "print(sum(kernel(WIDTH).stats.cache_hits.values()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd="tests", capture_output=True, text=True)
    assert done.stdout.strip() == "1", done.stderr


def test_a_damaged_cache_is_compiled_again() -> None:
    done: list[object] = []

    class Compiled:
        _cache: Any = None
        read_only = False

        def __call__(self, number: int) -> None:
            if self._cache is self:
                raise EOFError("Ran out of input")
            done.append(number)

        def flush(self) -> None:
            done.append("flushed")
            if self.read_only:
                raise PermissionError
            self._cache = None

    for read_only in (False, True):
        compiled = Compiled()
        compiled.read_only, compiled._cache = read_only, compiled
        call_compiled(compiled, 3)
    assert done == ["flushed", 3] * 2


def test_a_numba_that_does_not_work_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "numba_problem", lambda: "NUMBA_DISABLE_JIT is set")
    with pytest.warns(UserWarning, match=r"^engine: numba does not work here .*; NumPy computes$"):
        assert registry.get_engine().name == "numpy"
    with pytest.raises(sim.SpecError, match=r"engine: got 'numba': it does not work .*_JIT is set"):
        registry.get_engine("numba")
