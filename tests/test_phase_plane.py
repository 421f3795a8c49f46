"""Phase planes: the flow is the training step, and what is called a fixed point is one."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.text import Text

import sim
from sim.plots.phase_plane import phase_plane as draw
from sim.specs.errors import SpecError
from sim.stability.phase_plane import PhasePlane, phase_plane

ANCHORED = {"anchor": 0.001}


@pytest.fixture(scope="module")
def plane() -> PhasePlane:
    return phase_plane("copyright", training=ANCHORED, points=81)


def at(plane: PhasePlane, flow: np.ndarray, value: float, habit: float) -> float:
    """Return the flow between the points of the grid."""
    rows = [np.interp(habit, plane.habits, row) for row in flow]
    return float(np.interp(value, plane.values, rows))


def test_where_nothing_is_said_it_is_what_is_most_at_stake(plane: PhasePlane) -> None:
    assert (plane.context, plane.value) == ("copyright_chat", "copyright")
    assert plane.map.names == ("values.copyright", "habit.copyright_chat")


@pytest.mark.parametrize("at_step", [None, 300])
def test_the_flow_is_what_one_update_of_that_agent_changes(at_step: int | None) -> None:
    plane = phase_plane("copyright", training=ANCHORED, points=4, orbits=0, at_step=at_step)
    here = sim.simulate("copyright", training=ANCHORED, record_every=300).state(at_step or 0)
    i, j = 1, 2
    contexts = plane.map.program.layout.contexts
    values, habit = np.array(here.values)[0], np.array(here.habit)[0]
    values[0], habit[contexts.index(plane.context)] = plane.values[i], plane.habits[j]
    moved = sim.simulate(
        "copyright",
        training={"steps": 1},  # the anchor would pull to where this agent starts
        initial=replace(here, values=values, habit=habit),
        record_every=1,
    )
    by_value = np.diff(moved.values.sel(value="copyright", agent=0))[0]
    by_habit = np.diff(moved.habit.sel(context=plane.context, agent=0))[0]
    assert abs(by_value) > 1e-4
    by_value += ANCHORED["anchor"] * (1.0 - plane.values[i])
    by_habit += ANCHORED["anchor"] * (-5.0 - plane.habits[j])
    assert plane.value_flow[i, j] == pytest.approx(by_value, rel=1e-6)
    assert plane.habit_flow[i, j] == pytest.approx(by_habit, rel=1e-6)
    rate = moved.gaming_rate.sel(context=plane.context, agent=0, step=0)
    assert plane.gaming_rate[i, j] == pytest.approx(float(rate), rel=1e-9)


def test_fixed_points_are_where_both_nullclines_are(plane: PhasePlane) -> None:
    assert sorted(point.kind for point in plane.points) == ["saddle", "stable", "stable"]
    for point in plane.points:
        np.testing.assert_allclose(plane.map.step(point.at[:, None])[:, 0], point.at, atol=1e-12)
        for flow in (plane.value_flow, plane.habit_flow):
            assert abs(at(plane, flow, *point.at)) < 0.02 * np.abs(flow).max()


def test_what_is_called_stable_comes_back_and_what_is_called_saddle_does_not(
    plane: PhasePlane,
) -> None:
    for point in plane.points:
        offset = np.array([[1e-3, -1e-3, 0, 0], [0, 0, 1e-3, -1e-3]])
        ends = plane.map.iterate(point.at[:, None] + offset, 30_000)
        away = np.abs(ends - point.at[:, None]).max(axis=0)
        assert (away < 1e-6).all() == point.attracts
        assert point.attracts or (away > 0.1).all()


def test_paths_end_where_they_are_said_to(plane: PhasePlane) -> None:
    courses = [plane.own_orbit, *plane.orbits]
    assert len(plane.orbits) == 12
    assert {course.attractor for course in courses} == {0, 1}
    for course in courses:
        assert course.attractor is not None
        end = [course.values[-1], course.habits[-1]]
        np.testing.assert_allclose(end, plane.points[course.attractor].at, atol=1e-3)
        assert -2 <= course.values[0] <= 2
        assert -8 <= course.habits[0] <= 8


def test_the_course_of_training_is_the_run_itself(plane: PhasePlane) -> None:
    run = sim.simulate("copyright", training=ANCHORED, record_every=100)
    of_value = run.values.sel(value="copyright", agent=0).sel(step=plane.training_orbit.steps[::10])
    of_habit = run.habit.sel(context="copyright_chat", agent=0).sel(
        step=plane.training_orbit.steps[::10]
    )
    np.testing.assert_allclose(plane.training_orbit.values[::10], of_value, rtol=1e-9)
    np.testing.assert_allclose(plane.training_orbit.habits[::10], of_habit, rtol=1e-9)


def test_a_slice_later_in_training_starts_where_training_is_then() -> None:
    plane = phase_plane("pipeline", training=ANCHORED, at_step=400, points=3, orbits=0)
    value, habit = plane.own_orbit.values[0], plane.own_orbit.habits[0]
    assert value == pytest.approx(
        np.interp(400, plane.training_orbit.steps, plane.training_orbit.values)
    )
    assert habit == pytest.approx(
        np.interp(400, plane.training_orbit.steps, plane.training_orbit.habits)
    )
    assert value != plane.training_orbit.values[0]


def test_the_direction_has_length_one_in_widths_of_the_plane(plane: PhasePlane) -> None:
    up, across = plane.direction
    np.testing.assert_allclose(np.hypot(up, across), 1.0)
    np.testing.assert_array_equal(np.sign(up), np.sign(plane.value_flow))
    np.testing.assert_allclose(
        up * plane.habit_flow * 4, across * plane.value_flow * 16, atol=1e-12
    )


@pytest.mark.parametrize("anchor", [0.0, 0.001])
def test_the_figure_names_what_it_shows_and_says_where_nothing_rests(anchor: float) -> None:
    training = {"anchor": anchor}
    plane = phase_plane("copyright", training=training, points=41, orbit_steps=3000)
    figure = draw(plane, sim.simulate("copyright", training=training))
    figure.savefig(io.BytesIO(), format="png")
    told = " | ".join(text.get_text() for text in figure.findobj(Text))
    assert "habit at rest" in told
    assert "value at rest" in told
    assert ("comes to rest nowhere" in told) == (anchor == 0.0)
    assert ("stable:" in told) == ("saddle:" in told) == (anchor > 0.0)
    assert bool(plane.points) == (anchor > 0.0)


REFUSED = [
    ({"context": "coding_"}, "context: got 'coding_': must be one that is trained on; did you me"),
    ({"context": "copyright_deployed"}, "context: got 'copyright_deployed': must be one that is"),
    ({"value": "copyrigt"}, "value: got 'copyrigt': did you mean 'copyright'?"),
    ({"at_step": 2001}, "at_step: got 2001: must be 2000 or less"),
    ({"points": 1}, "points: got 1: must be a whole number of 2 or more"),
    ({"habit_range": (3, -3)}, "habit_range: got (3, -3): must be a range"),
    ({"phase": 3}, "phase: got 3"),
    ({"training": {"estimator": "sampled"}}, "training.estimator: got 'sampled'"),
]


@pytest.mark.parametrize(("asked", "says"), REFUSED, ids=[says for _, says in REFUSED])
def test_what_cannot_be_used_is_refused_in_one_line(asked: dict, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        phase_plane("copyright", **asked)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
