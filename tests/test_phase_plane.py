"""Phase planes: the flow is the training step, and fixed points are fixed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import sim
from sim.specs.errors import SpecError
from sim.stability.phase_plane import PhasePlane, phase_plane
from test_plots import texts

ANCHORED = {"anchor": 0.001}


@pytest.fixture(scope="module")
def plane() -> PhasePlane:
    return phase_plane("copyright", training=ANCHORED, points=161)


def test_the_default_is_what_is_most_at_stake(plane: PhasePlane) -> None:
    assert (plane.context, plane.value) == ("copyright_chat", "copyright")
    assert plane.map.names == ("values.copyright", "habit.copyright_chat")


@pytest.mark.parametrize("at_step", [None, 300])
def test_the_flow_is_the_change_of_that_agent_in_one_step(at_step: int | None) -> None:
    plane = phase_plane("copyright", training=ANCHORED, points=4, orbits=0, at_step=at_step)
    state = sim.simulate("copyright", training=ANCHORED, record_every=300).state(at_step or 0)
    i, j = 1, 2
    contexts = plane.map.program.layout.contexts
    values, habit = np.array(state.values)[0], np.array(state.habit)[0]
    values[0], habit[contexts.index(plane.context)] = plane.values[i], plane.habits[j]
    result = sim.simulate(
        "copyright",
        training={"steps": 1},  # the anchor would pull to where this agent starts
        initial=replace(state, values=values, habit=habit),
        record_every=1,
    )
    by_value = np.diff(result.values.sel(value="copyright", agent=0))[0]
    by_habit = np.diff(result.habit.sel(context=plane.context, agent=0))[0]
    assert abs(by_value) > 1e-4
    by_value += ANCHORED["anchor"] * (1.0 - plane.values[i])
    by_habit += ANCHORED["anchor"] * (-5.0 - plane.habits[j])
    np.testing.assert_allclose(plane.flow[:, i, j], [by_value, by_habit], rtol=1e-6)
    rate = result.gaming_rate.sel(context=plane.context, agent=0, step=0)
    assert plane.gaming_rate[i, j] == pytest.approx(float(rate), rel=1e-9)


def test_fixed_points_lie_on_both_nullclines_and_their_class_is_that_of_long_runs(
    plane: PhasePlane,
) -> None:
    assert sorted(point.kind for point in plane.points) == ["saddle", "stable", "stable"]
    assert repr(plane) == (
        "<PhasePlane of values.copyright and habit.copyright_chat: 2 stable, 1 saddle>"
    )
    offset = np.array([[0, 1e-3, -1e-3, 0, 0], [0, 0, 0, 1e-3, -1e-3]])
    for point in plane.points:
        for flow in plane.flow:
            by_value = [np.interp(point.at[1], plane.habits, row) for row in flow]
            level = np.interp(point.at[0], plane.values, by_value)
            assert abs(level) < 0.02 * np.abs(flow).max()
        start = point.at[:, None] + offset
        np.testing.assert_allclose(plane.map.step(start)[:, 0], point.at, atol=1e-12)
        distance = np.abs(plane.map.iterate(start, 30_000) - point.at[:, None]).max(axis=0)[1:]
        assert (distance < 1e-6).all() == point.attracts
        assert point.attracts or (distance > 0.1).all()


def test_orbits_end_at_their_attractors(plane: PhasePlane) -> None:
    orbits = [plane.own_orbit, *plane.orbits]
    assert len(orbits) == 13
    assert {orbit.attractor for orbit in orbits} == {0, 1}
    for orbit in orbits:
        end = [orbit.values[-1], orbit.habits[-1]]
        np.testing.assert_allclose(end, plane.points[orbit.attractor or 0].at, atol=1e-3)
    starts = np.array([[orbit.values[0] / 2, orbit.habits[0] / 8] for orbit in plane.orbits])
    np.testing.assert_allclose(np.abs(starts).max(axis=1), 0.96)  # around the edge, ...
    assert len(np.unique(starts.round(9), axis=0)) == 12
    np.testing.assert_allclose(starts.mean(axis=0), 0.0, atol=1e-12)  # ... evenly


def test_fixed_points_beyond_the_edge_are_left_out(plane: PhasePlane) -> None:
    ends = {"value_range": (0.0, 2.0), "points": 2, "orbits": 0}
    upper = phase_plane("copyright", training=ANCHORED, **ends)
    inside = [point.at for point in plane.points if point.at[0] > 0.0]
    assert 0 < len(inside) < len(plane.points)
    np.testing.assert_allclose([point.at for point in upper.points], inside, atol=1e-6)


def test_the_training_orbit_is_the_run_and_slices_start_on_it(plane: PhasePlane) -> None:
    result = sim.simulate("copyright", training=ANCHORED, record_every=100)
    orbit, steps = plane.training_orbit, plane.training_orbit.steps[::10]
    values = result.values.sel(value="copyright", agent=0, step=steps)
    habits = result.habit.sel(context="copyright_chat", agent=0, step=steps)
    np.testing.assert_allclose(orbit.values[::10], values, rtol=1e-9)
    np.testing.assert_allclose(orbit.habits[::10], habits, rtol=1e-9)
    later = phase_plane("pipeline", training=ANCHORED, at_step=400, points=3, orbits=0)
    own, full = later.own_orbit, later.training_orbit
    assert own.values[0] == pytest.approx(np.interp(400, full.steps, full.values))
    assert own.habits[0] == pytest.approx(np.interp(400, full.steps, full.habits))
    assert own.values[0] != full.values[0]


def test_the_direction_has_length_one_in_widths_of_the_plane(plane: PhasePlane) -> None:
    up, across = plane.direction
    np.testing.assert_allclose(np.hypot(up, across), 1.0)
    np.testing.assert_array_equal(np.sign(up), np.sign(plane.flow[0]))
    np.testing.assert_allclose(up * plane.flow[1] * 4, across * plane.flow[0] * 16, atol=1e-12)


def test_the_figure_labels_nullclines_and_classes(plane: PhasePlane) -> None:
    drifting = phase_plane("copyright", training={"steps": 400}, points=15, orbit_steps=200)
    for result, last in ((plane, "step 2000"), (drifting, "step 400")):
        words = texts(result.plot())
        assert {"habit at rest", "value at rest", "start", last} < set(words)
        kinds = {word.partition(":")[0] for word in words} & {"stable", "saddle"}
        assert kinds == {point.kind for point in result.points}
        resting = [word for word in words if "comes to rest nowhere" in word]
        assert bool(resting) == (not result.points)


REFUSED: dict[str, dict[str, Any]] = {
    "context: got 'coding_': must be one that is trained on; did you me": {"context": "coding_"},
    "context: got 'copyright_deployed': must be one that is": {"context": "copyright_deployed"},
    "value: got 'copyrigt': did you mean 'copyright'?": {"value": "copyrigt"},
    "at_step: got 2001: must be 2000 or less": {"at_step": 2001},
    "points: got 1: must be a whole number of 2 or more": {"points": 1},
    "habit_range: got (3, -3): must be a range": {"habit_range": (3, -3)},
    "phase: got 3": {"phase": 3},
    "training.estimator: got 'sampled'": {"training": {"estimator": "sampled"}},
}


def test_unusable_settings_are_refused_in_one_line() -> None:
    for message, settings in REFUSED.items():
        with pytest.raises(SpecError) as error:
            phase_plane("copyright", **settings)
        assert message in str(error.value)
        assert "\n" not in str(error.value)
