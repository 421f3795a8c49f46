"""Fixed points: planted ones are found and classed, and nothing else is called one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import toys
from cases import random_scenario
from sim.specs.overrides import read_specs
from sim.stability.fixed_points import FixedPoint, classify, newton, survey
from sim.stability.training_map import TrainingMap

Function = Callable[[np.ndarray], np.ndarray]


def logistic(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


#: Maps of one variable, and the derivative at each of their fixed points.
PLANTED: dict[str, tuple[Function, dict[float, float]]] = {
    "logistic, r = 0.5": (lambda x: 0.5 * x * (1.0 - x), {0.0: 0.5, -1.0: 1.5}),
    "logistic, r = 2.5": (lambda x: 2.5 * x * (1.0 - x), {0.0: 2.5, 0.6: -0.5}),
    "logistic, r = 3.2": (lambda x: 3.2 * x * (1.0 - x), {0.0: 3.2, 0.6875: -1.2}),
    "cubic": (lambda x: x - 0.1 * (x**3 - x), {-1.0: 0.8, 0.0: 1.1, 1.0: 0.8}),
    "none": (lambda x: x + 0.1 * (1.0 + x**2), {}),
}


@pytest.mark.parametrize("name", PLANTED)
def test_newton_finds_planted_points_and_classify_their_eigenvalues(name: str) -> None:
    function, derivatives = PLANTED[name]
    f = toys.Toy(function, ("x",))
    solution = newton(f, np.linspace(-1.2, 1.2, 13)[None])
    assert solution.converged.all() == bool(derivatives)
    positions = np.unique(solution.points[0, solution.converged].round(9))
    np.testing.assert_allclose(positions, sorted(derivatives), atol=1e-9)
    for x, derivative in derivatives.items():
        point = classify(f, np.array([x]))
        assert point.eigenvalues[0] == pytest.approx(derivative, abs=1e-7)
        assert point.kind == ("stable" if abs(derivative) < 1.0 else "unstable")


def test_a_survey_lists_each_point_once_and_counts_basins() -> None:
    f = toys.Toy(PLANTED["cubic"][0], ("x",))
    surveyed = survey(f, np.linspace(-2.0, 2.0, 21)[None], steps=500)
    assert sorted(float(p.at[0].round(9)) for p in surveyed.points) == [-1.0, 0.0, 1.0]
    assert [p.kind for p in surveyed.points] == ["stable", "stable", "unstable"]
    # One start stands on the unstable point.
    assert np.bincount(surveyed.attractor + 1).tolist() == [1, 10, 10]


@pytest.mark.parametrize(
    ("value", "cost", "kind"), [(1.0, 2.0, "stable"), (-1.0, -2.0, "unstable")]
)
def test_two_strategies_under_the_replicator(value: float, cost: float, kind: str) -> None:
    """Hawk and dove: hawks rest at p = V/C, where the logit's slope is 1 − η C p (1 − p)/2.

    With signs turned round it is a game of coordination, and the same point repels.
    """
    rate = 0.1

    def step(logit: np.ndarray) -> np.ndarray:
        hawks = logistic(logit)
        gain = hawks * (value - cost) / 2.0 + (1.0 - hawks) * value
        return logit + rate * (gain - (1.0 - hawks) * value / 2.0)

    f = toys.Toy(step, ("logit",))
    surveyed = survey(f, np.linspace(-3.0, 3.0, 8)[None], steps=2000, maximum_steps=4000)
    (point,) = surveyed.points
    share = value / cost
    assert logistic(point.at[0]) == pytest.approx(share, abs=1e-9)
    expected = 1.0 - rate * cost / 2.0 * share * (1.0 - share)
    assert point.eigenvalues[0].real == pytest.approx(expected, abs=1e-9)
    assert point.kind == kind
    assert (surveyed.attractor == (0 if kind == "stable" else -1)).all()


def test_a_stable_spiral_has_the_relaxation_time_of_its_modulus() -> None:
    turn = 0.9 * np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    point = classify(toys.Toy(lambda z: turn @ (z - 1.0) + 1.0, ("x", "y")), np.ones(2))
    assert point.kind == "stable"
    np.testing.assert_allclose(np.abs(point.eigenvalues), 0.9)
    assert point.memory == pytest.approx(-1.0 / np.log(0.9))


def test_a_line_of_fixed_points_is_one_neutral_point() -> None:
    f = toys.Toy(lambda z: np.array([0.5 * z[0], z[1]]), ("falls", "stays"))
    starts = np.array([[1.0, -2.0, 0.5, 3.0], [0.0, 1.0, 2.0, -5.0]])
    surveyed = survey(f, starts, steps=200)
    (point,) = surveyed.points
    assert (point.kind, point.neutral, point.memory) == ("neutral", (("stays",),), np.inf)
    assert (surveyed.attractor == 0).all()
    # Each start comes to the point of the line that is nearest to it.
    np.testing.assert_allclose(surveyed.ends[1], starts[1])
    repelling = toys.Toy(lambda z: np.array([1.5 * z[0], z[1]]), ("grows", "stays"))
    point = classify(repelling, np.array([0.0, 2.0]))
    assert (point.kind, len(point.neutral), point.attracts) == ("unstable", 1, False)


def test_a_saddle_is_no_attractor_even_from_its_stable_side() -> None:
    f = toys.Toy(lambda z: np.array([0.5 * z[0], 1.5 * z[1]]), ("x", "y"))
    surveyed = survey(f, np.array([[2.0, 1.0], [0.0, 0.0]]), steps=100, maximum_steps=200)
    assert [point.kind for point in surveyed.points] == ["saddle"]
    assert (surveyed.attractor == -1).all()


def test_what_runs_away_ever_more_slowly_has_no_fixed_point() -> None:
    f = toys.Toy(lambda z: np.array([z[0] + 0.1 * np.exp(-z[0]), 0.5 * z[1]]), ("h", "x"))
    starts = np.array([np.linspace(-1.0, 3.0, 5), np.ones(5)])
    surveyed = survey(f, starts, steps=1000, maximum_steps=4000)
    assert surveyed.points == ()
    assert surveyed.stalled == surveyed.attempts == 15  # from starts, ends, and later ends
    assert (surveyed.attractor == -1).all()
    # Newton's method would follow it in steps of 1 for as long as it is let.
    assert np.abs(newton(f, starts).points - starts).max() < 9.5


def test_a_slow_start_is_waited_for_though_another_one_runs_away() -> None:
    f = toys.Toy(lambda x: np.where(x.real < 5.0, 0.99 * x, x + 1.0), ("x",))
    surveyed = survey(f, np.array([[1.0, 20.0]]), steps=100)
    assert surveyed.attractor.tolist() == [0, -1]
    assert 900 < surveyed.steps < 10_000


@pytest.mark.parametrize("seed", range(4))
def test_long_simulation_agrees_with_every_class(seed: int) -> None:
    """In random scenarios: what is stable takes agents back, what is not drives them away."""
    training = {"anchor": 0.004, "learning_rate": {"habit": 0.3}}
    scenario = random_scenario(seed, contexts=3, values=2)
    f = TrainingMap.from_specs(read_specs(scenario, training=training))
    draw = np.random.default_rng(seed)
    surveyed = survey(f, f.start[:, None] + draw.uniform(-4.0, 4.0, (len(f.names), 24)))
    assert surveyed.points
    for i, point in enumerate(surveyed.points):
        assert point.kind != "neutral"
        if point.kind == "stable":
            ends = surveyed.ends[:, surveyed.attractor == i]
            assert np.abs(ends - point.at[:, None]).max(initial=0.0) < 1e-6
            assert_returns(f, point, draw)
        else:
            assert_leaves(f, point)


def assert_returns(f: TrainingMap, point: FixedPoint, draw: np.random.Generator) -> None:
    offsets = draw.normal(size=(len(f.names), 6))
    offsets *= 1e-4 / np.linalg.norm(offsets, axis=0)
    steps = int(12.0 * point.memory) + 10
    ends = f.iterate(point.at[:, None] + offsets, steps) - point.at[:, None]
    assert np.linalg.norm(ends, axis=0).max() < 1e-6


def assert_leaves(f: TrainingMap, point: FixedPoint) -> None:
    values, vectors = np.linalg.eig(f.jacobian(point.at[:, None])[0])
    leading = int(np.argmax(np.abs(values)))
    direction = vectors[:, leading].real
    offset = 1e-6 * direction / np.linalg.norm(direction)
    steps = int(np.log(100.0) / np.log(np.abs(values[leading]))) + 1
    end = f.iterate((point.at + offset)[:, None], steps)[:, 0] - point.at
    if abs(values[leading].imag) < 1e-12:  # a rotation may pass by on its way out
        assert np.linalg.norm(end) == pytest.approx(1e-6 * abs(values[leading]) ** steps, rel=0.2)
