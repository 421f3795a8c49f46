"""A training step as a map: its Jacobian, its slices, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

import sim
from sim.specs.errors import SpecError
from sim.specs.overrides import read_specs
from sim.stability.training_map import TrainingMap


@pytest.fixture(scope="module")
def anchored() -> TrainingMap:
    return TrainingMap.from_specs(read_specs("copyright", training={"anchor": 0.001}))


def random_points(f: TrainingMap, count: int) -> np.ndarray:
    draw = np.random.default_rng(0)
    return f.start[:, None] + draw.uniform(-1.5, 1.5, (len(f.names), count))


@pytest.mark.parametrize("free", [(), ("values", "habit.coding", "awareness")])
def test_jacobian_agrees_with_central_differences(
    anchored: TrainingMap, free: tuple[str, ...]
) -> None:
    f = anchored.only(free) if free else anchored
    points = random_points(f, 5)
    half = 1e-6 * np.eye(len(f.names))[:, :, None]
    columns = [(f.step(points + h) - f.step(points - h)) / 2e-6 for h in half]
    np.testing.assert_allclose(
        f.jacobian(points), np.stack(columns, axis=2).swapaxes(0, 1), atol=1e-8
    )


def test_held_parameters_stay_even_where_an_anchor_pulls(anchored: TrainingMap) -> None:
    f = anchored.hold({"values.copyright": -0.7, "habit.coding": 3.0})
    start = points = random_points(f, 3)
    rows = [anchored.names.index(name) for name in ("values.copyright", "habit.coding")]
    assert not set(rows) & set(f.free.tolist())
    np.testing.assert_array_equal(f.program_at(start).theta[rows], [[-0.7] * 3, [3.0] * 3])
    # A step begins where they are held; in a longer run nothing may move them on the way.
    for _ in range(20):
        points = f.step(points)
    np.testing.assert_allclose(f.iterate(start, 20), points, rtol=1e-12)


def test_a_step_of_the_map_is_a_step_of_training(anchored: TrainingMap) -> None:
    training = {"anchor": 0.001, "steps": 7}
    result = sim.simulate("copyright", training=training, record_every=1, engine="numpy")
    end = anchored.iterate(anchored.start[:, None], 7)[:, 0]
    for name in ("values", "habit"):
        rows = anchored.program.layout.rows[name]
        np.testing.assert_allclose(end[rows], result.data[name].values[-1, 0], rtol=1e-12)


def test_unusable_specs_and_names_are_refused(anchored: TrainingMap) -> None:
    specs = read_specs("copyright")
    for make, message in (
        (lambda: anchored.only(["habit.codng"]), r"habit\.coding"),
        (lambda: anchored.hold({"values.copyrigt": 0.0}), r"values\.copyright"),
        (lambda: TrainingMap.from_specs(specs, phase=1), "phase: got 1"),
        (lambda: TrainingMap.from_specs(specs, free=["habbit"]), "did you mean 'habit'"),
        (
            lambda: TrainingMap.from_specs(
                read_specs("copyright", training={"estimator": "sampled"})
            ),
            "estimator",
        ),
    ):
        with pytest.raises(SpecError, match=message):
            make()
