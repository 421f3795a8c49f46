"""The phase plane of a state, as much of it as a moving slider leaves time for.

The flow of `sim.stability.phase_plane` on a coarse grid, and where the agents of the run went.
Fixed points take longer: `sim.equilibria` finds them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.dynamics.state import Array
from sim.result import Result
from sim.specs.overrides import Specs
from sim.stability.phase_plane import check_context, check_value
from sim.stability.training_map import TrainingMap

#: Of the grid: strengths of the value, habits.
_POINTS = (13, 21)
#: What the plane shows at least.
_VALUES, _HABITS = (-2.0, 2.0), (-8.0, 8.0)


@dataclass(frozen=True)
class Plane:
    """A value against a habit.

    Attributes:
        context: Whose habit it is.
        value: Which value.
        values: The grid upwards [Y].
        habits: The grid across [X].
        up: Where a training step goes by the value [Y, X], in heights of the plane ...
        across: ... and by the habit [Y, X], in widths; (up, across) has length 1, or 0 at rest.
        gaming_rate: g in the context [Y, X].
        value_course: The agents' value at each record [S, A].
        habit_course: Their habit [S, A].
    """

    context: str
    value: str
    values: Array
    habits: Array
    up: Array
    across: Array
    gaming_rate: Array
    value_course: Array
    habit_course: Array


def plane_of(result: Result, specs: Specs, *, context: str | None = None, seed: int = 0) -> Plane:
    """Return the plane of a run.

    What is not drawn is held where the run's first agent starts; the phase is the last. Where
    training samples its gradient, the flow is its mean.

    Args:
        result: The run.
        specs: What it was made from.
        context: A context; None, or one that is not trained on, for the one with most at stake.
        seed: The run's.
    """
    exact = specs._replace(training=specs.training.replace(estimator="exact"))
    whole = TrainingMap.from_specs(exact, seed=seed)
    trained = {n for n, c in specs.scenario.contexts.items() if c.kind == "training"}
    context = check_context(whole, context if context in trained else None)
    value = check_value(specs.scenario, context, None)
    value_course = result.data["values"].sel(value=value).values
    habit_course = result.data["habit"].sel(context=context).values
    values = np.linspace(*_around(value_course, _VALUES), _POINTS[0])
    habits = np.linspace(*_around(habit_course, _HABITS), _POINTS[1])
    f = whole.only([f"values.{value}", f"habit.{context}"])
    grid = np.stack([axis.ravel() for axis in np.meshgrid(values, habits, indexing="ij")])
    flow = (f.step(grid) - grid).reshape(2, *_POINTS)
    up, across = flow[0] / np.ptp(values), flow[1] / np.ptp(habits)
    length = np.hypot(up, across)
    safe = np.where(length > 0.0, length, 1.0)
    column = f.program.layout.contexts.index(context)
    rate = f.observe(grid, ("gaming_rate",))["gaming_rate"][:, column]
    return Plane(
        context=context,
        value=value,
        values=values,
        habits=habits,
        up=up / safe,
        across=across / safe,
        gaming_rate=rate.reshape(_POINTS),
        value_course=value_course,
        habit_course=habit_course,
    )


def _around(course: Array, least: tuple[float, float]) -> tuple[float, float]:
    """Return ends of an axis that has a course, and at least a range, in it."""
    return min(least[0], float(course.min())), max(least[1], float(course.max()))
