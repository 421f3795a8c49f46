"""A training step as a map: its Jacobian, its slices, what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import sim
from sim.dynamics.engines.numpy_engine import NumpyEngine, update_jacobian
from sim.dynamics.observe import Recorder
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


#: Contexts that share some responses, a demonstration, an untrained context, a single response.
LEARNT: dict[str, Any] = {
    "values": ["care", "candour"],
    "human_values": {"care": 1.0},
    "contexts": {
        "chat": {
            "responses": {"help": {"care": 1.0}, "harm": {"care": -0.6}, "wait": {}},
            "reward": {"harm": 1.0, "wait": 0.2},
            "info": 1.0,
        },
        "shown": {
            "responses": {"help": {"candour": 1.0}, "lie": {"candour": -1.0}},
            "reward": {"lie": 0.5},
            "method": "demonstration",
            "demonstrations": {"help": 0.3, "lie": 0.7},
        },
        "only": {"responses": {"help": {"care": 1.0}}},
        "later": {
            "responses": {"wait": {}, "lie": {"candour": -0.2}, "leave": {"care": -0.1}},
            "kind": "deployment",
        },
    },
}
LEARNING: dict[str, Any] = {
    "learning_rate": {"propensity": 0.2},
    "generalisation": {"habit": 0.1, "propensity": 0.3},
    "leak": 0.4,
}


@pytest.mark.parametrize("changes", [{}, {"advantages": "normalised"}, {"anchor": 0.01}])
def test_the_shift_of_a_context_s_propensities_is_no_direction(changes: dict[str, Any]) -> None:
    f = TrainingMap.from_specs(read_specs(LEARNT, training={**LEARNING, **changes}))
    propensities = [name for name in f.names if name.startswith("propensity.")]
    assert propensities == [
        *("propensity.chat.harm", "propensity.chat.wait", "propensity.shown.lie"),
        *("propensity.later.lie", "propensity.later.leave"),
    ]
    points = random_points(f, 4)
    half = 1e-6 * np.eye(len(f.names))[:, :, None]
    columns = [(f.step(points + h) - f.step(points - h)) / 2e-6 for h in half]
    slopes = f.jacobian(points)
    np.testing.assert_allclose(slopes, np.stack(columns, axis=2).swapaxes(0, 1), atol=1e-8)
    # Whatever is added to all propensities of a context, the point is the same.
    theta, layout = f.program_at(points).theta, f.program.layout
    for name, by in (("propensity.chat.", 0.7), ("propensity.later.", -2.0)):
        theta[[row for row, other in enumerate(layout.names) if other.startswith(name)]] += by
    np.testing.assert_allclose(f.coordinates(theta), points, atol=1e-14)
    # The whole step has the same spectrum, and 1 − anchor once more for each context.
    program = f.program_at(points)
    whole = update_jacobian(program, program.theta)
    shift = 1.0 - changes.get("anchor", 0.0)
    for z in (0.4 + 0.8j, 1.3, -0.7j):
        by_shifts = (z - shift) ** len(LEARNT["contexts"])
        expected = [np.linalg.det(z * np.eye(len(x)) - x) / by_shifts for x in whole]
        found = [np.linalg.det(z * np.eye(len(x)) - x) for x in slopes]
        np.testing.assert_allclose(found, expected, rtol=1e-8)
    # Answers are those of training itself, in which what is counted from moves as well.
    after = f.observe(f.iterate(points, 30), ("policy", "values"))
    trained = replace(program, theta=NumpyEngine().trajectory(program, [30])[0])
    for name, numbers in Recorder()(trained, 0, trained.theta, ("policy", "values")).items():
        np.testing.assert_allclose(after[name], numbers, rtol=1e-10)


def test_where_some_propensities_are_held_the_free_ones_are_coordinates() -> None:
    specs = read_specs(LEARNT, training=LEARNING)
    names = ["propensity.chat.help", "propensity.chat.harm"]
    f = TrainingMap.from_specs(specs, free=names)
    assert f.names == tuple(names)
    points = random_points(f, 3)
    before, after = f.program_at(points).theta, f.program_at(f.step(points)).theta
    moved = (before != after).any(axis=1)
    assert [f.program.layout.names[i] for i in np.flatnonzero(moved)] == names
    whole = TrainingMap.from_specs(specs)
    part = whole.only(["propensity.chat", "habit"])
    assert part.names[:2] == ("propensity.chat.harm", "propensity.chat.wait")  # differences still
    held = whole.hold({"propensity.chat.wait": 1.0})
    at = held.program_at(held.step(held.start[:, None])).theta[:, 0]
    rows = [held.program.layout.names.index(f"propensity.chat.{r}") for r in ("help", "wait")]
    np.testing.assert_array_equal(at[rows], [0.0, 1.0])


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
