"""Fixed points: planted ones are found and classed; what is none is not called one."""

from __future__ import annotations

import numpy as np
import pytest

import toys
from cases import random_scenario
from sim.specs.errors import SpecError
from sim.specs.overrides import read_specs
from sim.stability.fixed_points import FixedPoint, classify, newton, survey
from sim.stability.training_map import TrainingMap


def column(*numbers: float) -> np.ndarray:
    return np.array(numbers, float)[:, None]


def logistic(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


# ------------------------------------------------------------------------------------ closed forms


@pytest.mark.parametrize(
    ("r", "kinds"),
    [(0.5, {"stable", "unstable"}), (2.5, {"stable", "unstable"}), (3.2, {"unstable"})],
)
def test_logistic_map(r: float, kinds: set[str]) -> None:
    of = toys.Toy(lambda x: r * x * (1.0 - x), ("x",))
    solved = newton(of, np.linspace(-0.4, 1.2, 9)[None])
    assert solved.converged.all()
    known = {0.0: r, 1.0 - 1.0 / r: 2.0 - r}
    for at in solved.points[0]:
        nearest = min(known, key=lambda x: abs(x - at))
        assert at == pytest.approx(nearest, abs=1e-9)
        point = classify(of, np.array([at]))
        assert point.eigenvalues[0] == pytest.approx(known[nearest], abs=1e-7)
        assert point.kind == ("stable" if abs(known[nearest]) < 1.0 else "unstable")
        assert point.kind in kinds


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

    of = toys.Toy(step, ("logit",))
    found = survey(of, np.linspace(-3.0, 3.0, 8)[None], steps=2000, maximum_steps=4000)
    (point,) = found.points
    share = value / cost
    assert logistic(point.at[0]) == pytest.approx(share, abs=1e-9)
    expected = 1.0 - rate * cost / 2.0 * share * (1.0 - share)
    assert point.eigenvalues[0].real == pytest.approx(expected, abs=1e-9)
    assert point.kind == kind
    assert found.shares[0] == (1.0 if kind == "stable" else 0.0)


def test_a_stable_spiral_has_the_eigenvalues_it_was_given() -> None:
    turn = 0.9 * np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    of = toys.Toy(lambda z: turn @ (z - 1.0) + 1.0, ("x", "y"))
    point = classify(of, np.ones(2))
    assert point.kind == "stable"
    np.testing.assert_allclose(np.abs(point.eigenvalues), 0.9)
    assert point.memory == pytest.approx(-1.0 / np.log(0.9))


# ------------------------------------------------------------------------- what is not to be said


def test_a_line_of_fixed_points_is_neutral_and_named_and_listed_once() -> None:
    of = toys.Toy(lambda z: np.array([0.5 * z[0], z[1]]), ("falls", "stays"))
    starts = np.array([[1.0, -2.0, 0.5, 3.0], [0.0, 1.0, 2.0, -5.0]])
    found = survey(of, starts, steps=200)
    (point,) = found.points
    assert point.kind == "neutral"
    assert point.neutral == (("stays",),)
    assert point.memory == np.inf
    assert found.shares[0] == 1.0
    # Each start comes to the point of the line that is nearest to it.
    np.testing.assert_allclose(found.ends[1], starts[1])


def test_a_line_that_repels_is_no_attractor() -> None:
    of = toys.Toy(lambda z: np.array([1.5 * z[0], z[1]]), ("grows", "stays"))
    point = classify(of, np.array([0.0, 2.0]))
    assert point.kind == "unstable"
    assert len(point.neutral) == 1
    assert not point.attracts


def test_a_saddle_is_not_reported_as_an_attractor_even_from_its_stable_side() -> None:
    of = toys.Toy(lambda z: np.array([0.5 * z[0], 1.5 * z[1]]), ("x", "y"))
    found = survey(of, np.array([[2.0, 1.0], [0.0, 0.0]]), steps=100, maximum_steps=200)
    assert [point.kind for point in found.points] == ["saddle"]
    assert found.unsettled == 1.0
    np.testing.assert_array_equal(found.shares, [0.0])


def test_what_runs_away_ever_more_slowly_is_no_fixed_point() -> None:
    of = toys.Toy(lambda z: np.array([z[0] + 0.1 * np.exp(-z[0]), 0.5 * z[1]]), ("h", "x"))
    starts = np.array([np.linspace(-1.0, 3.0, 5), np.ones(5)])
    found = survey(of, starts, steps=1000, maximum_steps=4000)
    assert found.points == ()
    assert found.stalled == found.attempts
    assert found.unsettled == 1.0
    assert (found.drift[0] > 0.0).all()
    # Newton's method would follow it in steps of 1 for as long as it is let.
    assert np.abs(newton(of, starts, radius=5.0).points - starts).max() < 6.5


def test_where_there_is_no_fixed_point_none_is_found() -> None:
    of = toys.Toy(lambda x: x + 0.1 * (1.0 + x**2), ("x",))
    assert not newton(of, np.linspace(-2.0, 2.0, 9)[None]).converged.any()


def test_a_point_found_from_many_starts_is_listed_once() -> None:
    of = toys.Toy(lambda x: x - 0.1 * (x**3 - x), ("x",))
    found = survey(of, np.linspace(-2.0, 2.0, 21)[None], steps=500)
    assert sorted(round(float(p.at[0]), 9) for p in found.points) == [-1.0, 0.0, 1.0]
    assert [p.kind for p in found.points] == ["stable", "stable", "unstable"]
    assert found.shares.sum() == pytest.approx(20 / 21)  # one start stands on the unstable point


# ------------------------------------------------------------------------------ the training step


@pytest.fixture(scope="module")
def anchored() -> TrainingMap:
    return TrainingMap.from_specs(read_specs("copyright", training={"anchor": 0.001}))


def spread_out(of: TrainingMap, count: int, *, seed: int = 0, width: float = 1.5) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return of.start[:, None] + draw.uniform(-width, width, (len(of.names), count))


@pytest.mark.parametrize("free", [(), ("values", "habit.coding", "awareness")])
def test_jacobian_agrees_with_central_differences(
    anchored: TrainingMap, free: tuple[str, ...]
) -> None:
    of = anchored.only(free) if free else anchored
    points = spread_out(of, 5)
    slopes = of.jacobian(points)
    half = 1e-6
    for j in range(len(of.names)):
        up, down = points.copy(), points.copy()
        up[j] += half
        down[j] -= half
        differences = (of.step(up) - of.step(down)) / (2.0 * half)
        np.testing.assert_allclose(slopes[:, :, j].T, differences, atol=1e-8)


def test_what_is_held_stays_even_where_an_anchor_pulls(anchored: TrainingMap) -> None:
    of = anchored.hold({"values.copyright": -0.7, "habit.coding": 3.0})
    assert "values.copyright" not in of.names
    start = spread_out(of, 3)
    held = of.program_at(start).theta[[r for r in range(15) if r not in of.free]]
    np.testing.assert_array_equal(held, [[-0.7] * 3, [3.0] * 3])
    # Every step starts from where they are held; in a longer run nothing else may move them.
    one_by_one = start
    for _ in range(20):
        one_by_one = of.step(one_by_one)
    np.testing.assert_allclose(of.iterate(start, 20), one_by_one, rtol=1e-12)


def test_a_step_of_the_map_is_a_step_of_training(anchored: TrainingMap) -> None:
    import sim

    result = sim.simulate(
        "copyright", training={"anchor": 0.001, "steps": 7}, record_every=1, engine="numpy"
    )
    reached = anchored.iterate(anchored.start[:, None], 7)[:, 0]
    layout = anchored.program.layout
    np.testing.assert_allclose(
        reached[layout.rows["values"]], result.data["values"].values[-1, 0], rtol=1e-12
    )
    np.testing.assert_allclose(
        reached[layout.rows["habit"]], result.data["habit"].values[-1, 0], rtol=1e-12
    )


def test_relaxation_and_newton_agree(anchored: TrainingMap) -> None:
    found = survey(anchored, spread_out(anchored, 24, width=3.0))
    assert found.unsettled == 0.0
    assert len([p for p in found.points if p.attracts]) >= 2
    for i, point in enumerate(found.points):
        ends = found.ends[:, found.attractor == i]
        if ends.size:
            assert np.abs(ends - point.at[:, None]).max() < 1e-6


@pytest.mark.parametrize("seed", range(8))
def test_long_simulation_agrees_with_every_class(seed: int) -> None:
    """In random scenarios: what is stable takes agents back, what is not drives them away."""
    scenario = random_scenario(seed, contexts=3, values=2)
    of = TrainingMap.from_specs(
        read_specs(scenario, training={"anchor": 0.004, "learning_rate": {"habit": 0.3}})
    )
    draw = np.random.default_rng(seed)
    starts = of.start[:, None] + draw.uniform(-4.0, 4.0, (len(of.names), 24))
    found = survey(of, starts)
    assert found.points
    for point in found.points:
        assert point.kind != "neutral"
        if point.kind == "stable":
            assert_comes_back(of, point, draw)
        else:
            assert_leaves(of, point)


def assert_comes_back(of: TrainingMap, point: FixedPoint, draw: np.random.Generator) -> None:
    nudges = draw.normal(size=(len(of.names), 6))
    nudges *= 1e-4 / np.linalg.norm(nudges, axis=0)
    steps = int(12.0 * point.memory) + 10
    away = of.iterate(point.at[:, None] + nudges, steps) - point.at[:, None]
    assert np.linalg.norm(away, axis=0).max() < 1e-6


def assert_leaves(of: TrainingMap, point: FixedPoint) -> None:
    values, vectors = np.linalg.eig(of.jacobian(point.at[:, None])[0])
    leading = int(np.argmax(np.abs(values)))
    direction = vectors[:, leading].real
    nudge = 1e-6 * direction / np.linalg.norm(direction)
    steps = int(np.log(100.0) / np.log(np.abs(values[leading]))) + 1
    away = of.iterate((point.at + nudge)[:, None], steps)[:, 0] - point.at
    if abs(values[leading].imag) < 1e-12:  # a rotation may pass by on its way out
        assert np.linalg.norm(away) == pytest.approx(1e-6 * abs(values[leading]) ** steps, rel=0.2)


def test_a_thousand_jacobians_have_the_shape_of_the_model() -> None:
    of = TrainingMap.from_specs(read_specs(random_scenario(0, contexts=12, values=4)))
    slopes = of.jacobian(np.repeat(of.start[:, None], 1000, axis=1))
    assert slopes.shape == (1000, 24, 24)
    assert (slopes == slopes[0]).all()


# --------------------------------------------------------------------------------------- bad input


def test_a_sampled_step_has_no_fixed_points() -> None:
    with pytest.raises(SpecError, match="estimator"):
        TrainingMap.from_specs(read_specs("copyright", training={"estimator": "sampled"}))


def test_unknown_parameters_and_phases_are_refused(anchored: TrainingMap) -> None:
    with pytest.raises(SpecError, match=r"habit\.coding"):
        anchored.only(["habit.codng"])
    with pytest.raises(SpecError, match=r"values\.copyright"):
        anchored.hold({"values.copyrigt": 0.0})
    with pytest.raises(SpecError, match="phase: got 1"):
        TrainingMap.from_specs(read_specs("copyright"), phase=1)
