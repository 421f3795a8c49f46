"""The Numba engine: the NumPy engine's trajectories, and the same bits however work is cut."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("numba")

import numba

import sim
from cases import random_case
from sim.dynamics.engines import numba_engine
from sim.dynamics.engines.numba_engine import WIDTH, NumbaEngine
from sim.dynamics.engines.numpy_engine import NumpyEngine
from sim.dynamics.engines.vector import column, exp, odds_against
from sim.dynamics.program import Program
from sim.specs.library import names

CASES = range(60)
ESTIMATORS = ("exact", "sampled")
TOLERANCE = 1e-12
CROWD = {
    "spread": {
        "decisiveness": 0.2,
        "info_sensitivity": 0.2,
        "initial": {"values": 0.3, "habit": 0.5, "awareness": 0.5, "capability": 0.3},
    }
}


def assert_same(found: np.ndarray, wanted: np.ndarray, tolerance: float = TOLERANCE) -> None:
    np.testing.assert_allclose(found, wanted, atol=tolerance, rtol=tolerance)


def program_of(seed: int, *, estimator: str = "exact", agents: int = 5) -> Program:
    """A random case with every agent somewhere else."""
    case = random_case(seed)
    case.training.update(estimator=estimator, episodes=6)
    program = case.program(agents=agents)
    rng = np.random.default_rng(seed)
    theta = program.theta + 0.3 * rng.standard_normal(program.theta.shape)
    return replace(program, theta=theta, origin=theta + 0.1)


def with_own_numbers(program: Program) -> Program:
    """The program with every number that an agent can have to itself moved for each agent."""
    rng = np.random.default_rng(0)

    def moved(part: object, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        arrays = {name: getattr(part, name) for name in names}
        return {
            name: x * rng.uniform(0.5, 1.0, (*x.shape[:-1], program.agents))
            for name, x in arrays.items()
        }

    segments = []
    for segment in program.segments:
        world = replace(
            segment.world,
            **moved(
                segment.world,
                ("features", "reward", "weight", "info", "scratchpad", "cue", "monitor"),
            ),
            **moved(segment.world, ("similarity",)),
        )
        world = replace(world, weight=world.weight / world.weight.sum(axis=0))
        assumed = ("motive_credit", "leak", "spread", "anchor", "visible_gaming_penalty")
        assumptions = replace(
            segment.assumptions,
            **moved(segment.assumptions, (*assumed, "transfer", "learning_rate")),
        )
        segments.append(replace(segment, world=world, assumptions=assumptions))
    return replace(program, segments=tuple(segments))


def crowd(scenario: str = "pipeline", *, agents: int, **training: object) -> Program:
    assumptions = {"steps": 450, "spread": 0.1, "leak": 0.1, "anchor": 0.001, "episodes": 3}
    return sim.simulation.prepare(
        scenario, agent=CROWD, agents=agents, seed=5, training=assumptions | training
    ).program


# ----------------------------------------------------------------------- the NumPy engine's numbers


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("seed", CASES)
def test_random_cases_follow_the_numpy_engine(seed: int, estimator: str) -> None:
    program = program_of(seed, estimator=estimator)
    steps = [0, 1, 7, 16, 30]
    wanted = NumpyEngine().trajectory(program, steps)
    assert_same(NumbaEngine().trajectory(program, steps), wanted)
    assert np.abs(wanted[-1] - wanted[0]).max() > 1e-3


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("seed", range(0, 60, 3))
def test_agents_with_all_numbers_of_their_own_do_so_too(seed: int, estimator: str) -> None:
    program = with_own_numbers(program_of(seed, estimator=estimator))
    assert_same(
        NumbaEngine().trajectory(program, [1, 30]), NumpyEngine().trajectory(program, [1, 30])
    )


@pytest.mark.parametrize("scenario", names("scenario"))
def test_the_library_follows_the_numpy_engine_for_two_thousand_steps(scenario: str) -> None:
    program = crowd(scenario, agents=3, steps=2000)
    assert_same(
        NumbaEngine().trajectory(program, [2000]), NumpyEngine().trajectory(program, [2000])
    )


def test_episodes_follow_the_numpy_engine_for_two_thousand_steps() -> None:
    program = crowd("copyright", agents=3, steps=2000, estimator="sampled", episodes=2)
    assert_same(
        NumbaEngine().trajectory(program, [2000]), NumpyEngine().trajectory(program, [2000])
    )


@pytest.mark.parametrize("logit", [-2000.0, -710.0, -300.0, -60.0, 60.0, 300.0, 710.0, 2000.0])
@pytest.mark.parametrize("moved", ["awareness", "values", "habit", "capability"])
def test_extremes_are_no_worse_than_in_numpy(moved: str, logit: float) -> None:
    program = program_of(3)
    theta = program.theta.copy()
    theta[program.layout.rows[moved]] = logit
    program = replace(program, theta=theta, origin=theta)
    found, wanted = (e.trajectory(program, [1])[0] for e in (NumbaEngine(), NumpyEngine()))
    assert_same(found - theta, wanted - theta, tolerance=1e-10)


@pytest.mark.parametrize("sensitivity", [10.0, 100.0, 2000.0])
def test_awareness_where_salience_is_far_apart(sensitivity: float) -> None:
    """One agent's inputs tell so much that one exponential cannot serve all; others' do not."""
    program = program_of(13)
    traits = replace(
        program.traits, info_sensitivity=np.array([0.1, sensitivity, 1.0, sensitivity, 0.1])
    )
    for awareness in (0.0, -0.5 * sensitivity, -sensitivity):
        theta = program.theta.copy()
        theta[program.layout.rows["awareness"]] = awareness
        moved = replace(program, theta=theta, traits=traits)
        assert_same(NumbaEngine().trajectory(moved, [2]), NumpyEngine().trajectory(moved, [2]))
        first = NumbaEngine().trajectory(moved.take(slice(0, 1)), [2])
        np.testing.assert_array_equal(NumbaEngine().trajectory(moved, [2])[:, :, :1], first)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(0, 60, 6))
def test_single_precision_stays_near(seed: int) -> None:
    program = program_of(seed)
    found = NumbaEngine(precision="float32").trajectory(program, [30])
    assert found.dtype == np.float64
    assert_same(found, NumpyEngine().trajectory(program, [30]), tolerance=1e-4)
    assert (found != NumpyEngine().trajectory(program, [30])).any()


# --------------------------------------------------------------------------------- the same bits


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(
    "width",
    [1, pytest.param(8, marks=pytest.mark.slow), pytest.param(32, marks=pytest.mark.slow)],
)
def test_blocks_of_any_width_give_the_same_bits(width: int, estimator: str) -> None:
    programs = [crowd(agents=37, estimator=estimator)]
    programs += [program_of(seed, estimator=estimator, agents=19) for seed in range(12)]
    for program in programs:
        wanted = NumbaEngine().trajectory(program, [0, 30])
        found = NumbaEngine(width=width).trajectory(program, [0, 30])
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("rows", [slice(0, 1), slice(3, 20), slice(20, 37), np.array([36, 5, 5])])
def test_any_part_of_the_agents_has_the_same_bits(
    rows: slice | np.ndarray, own: bool, estimator: str
) -> None:
    program = crowd(agents=37, estimator=estimator)
    program = with_own_numbers(program) if own else program
    whole = NumbaEngine().trajectory(program, [40, 450])
    part = NumbaEngine().trajectory(program.take(rows), [40, 450])
    np.testing.assert_array_equal(part, whole[:, :, rows])


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_numbers_that_all_share_give_the_bits_of_as_many_equal_ones(estimator: str) -> None:
    program = program_of(7, estimator=estimator, agents=17)
    segments = tuple(
        replace(s, world=replace(s.world, info=np.repeat(s.world.info, 17, axis=-1)))
        for s in program.segments
    )
    np.testing.assert_array_equal(
        NumbaEngine().trajectory(replace(program, segments=segments), [30]),
        NumbaEngine().trajectory(program, [30]),
    )


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_steps_may_be_cut_anywhere(estimator: str) -> None:
    program = crowd(agents=20, estimator=estimator)
    cohort = NumbaEngine().start(program)
    for start, stop in ((0, 1), (1, 2), (2, 399), (399, 402), (402, 402), (402, 450)):
        cohort.advance(start, stop)
    whole = NumbaEngine().trajectory(program, [450])[0]
    np.testing.assert_array_equal(cohort.theta(), whole)


@pytest.mark.parametrize("threads", [2, 3, 64])
def test_any_number_of_threads_gives_the_same_bits(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = crowd(agents=5 * WIDTH + 1, estimator="sampled")
    wanted = NumbaEngine(threads=1).trajectory(program, [50])
    monkeypatch.setattr(numba_engine, "WORTH_A_THREAD", 1)
    np.testing.assert_array_equal(NumbaEngine(threads=threads).trajectory(program, [50]), wanted)


def test_an_engine_leaves_the_program_as_it_is() -> None:
    program = crowd(agents=3)
    before = program.theta.copy()
    cohort = NumbaEngine().start(program)
    cohort.advance(0, 5)
    cohort.theta()[:] = 0.0
    assert (cohort.theta() != before).any()
    assert cohort.theta().any()
    np.testing.assert_array_equal(program.theta, before)


# ------------------------------------------------------------------------------- vectors, the cache


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_exp_is_right_to_the_last_places(dtype: type) -> None:
    @numba.njit
    def apply(x, y, z):  # type: ignore[no-untyped-def]
        given, precise, bounded = column(x, 0, 8), column(y, 0, 8), column(z, 0, 8)
        for i in range(x.shape[1]):
            precise[i] = exp(given[i])
            bounded[i] = odds_against(given[i])

    largest, bound = (709.0, 200.0) if dtype is np.float64 else (88.0, 20.0)
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
        "import cases, sim\n"
        "from sim.dynamics.engines.kernel import kernel\n"
        "from sim.dynamics.engines.numba_engine import WIDTH, NumbaEngine\n"
        "NumbaEngine().trajectory(cases.random_case(0).program(), [1])\n"
        "print(sum(kernel(WIDTH).stats.cache_hits.values()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=None, cwd="tests", capture_output=True, text=True
    )
    assert done.stdout.strip() == "1", done.stderr
