"""Phase planes: one value against one habit, and where training moves them.

The plane is a slice through the space of all parameters: the strength of one value and the habit of
gaming in one context are free, everything else is held where the agent has it. What holds in the
slice need not hold in the whole, so the plane also has the course of the full training, in which
everything moves, projected onto it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim.dynamics.compile import compile_program
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.program import Program
from sim.dynamics.state import Array
from sim.specs.agent import Agent
from sim.specs.errors import SpecError, check_whole, nearest
from sim.specs.scenario import Scenario
from sim.specs.settings import Specs, read_specs
from sim.specs.training import Training
from sim.stability.fixed_points import FixedPoint, Survey, survey
from sim.stability.training_map import TrainingMap
from sim.sweeps.design import Range

#: Fixed points are looked for from a lattice of so many starts each way.
_LATTICE = 8
#: Paths start this share of the plane's width inside of its edge.
_INSET = 0.02
#: A path has at most so many points, spread evenly over the logarithm of time, as paths that come
#: to rest are; the training's own course has as many, spread evenly over time.
_RECORDS = 200


@dataclass(frozen=True)
class Course:
    """A path through the plane.

    Attributes:
        steps: Training steps since its start [S].
        values: The value's strength after each [S].
        habits: The habit after each [S].
        goes_to: The number, in the plane's `points`, of where it comes to rest; None if nowhere.
    """

    steps: Array
    values: Array
    habits: Array
    goes_to: int | None = None


@dataclass(frozen=True)
class PhasePlane:
    """A slice through training: a value against a habit.

    Rows of the grid are strengths of the value, columns are habits.

    Attributes:
        context: Whose habit it is.
        value: Which value.
        map: The training step in the slice; its coordinates are the value and the habit.
        at_step: At which step of training everything else is held; 0 for the start.
        values: The grid upwards [Y].
        habits: The grid across [X].
        value_flow: What a step changes in the value [Y, X].
        habit_flow: What a step changes in the habit [Y, X].
        gaming_rate: g in the context [Y, X].
        points: The fixed points in the slice that lie in the plane; none where training drives
            what is free on for ever.
        own: The path in the slice from where the agent is at `at_step`.
        paths: Paths in the slice from all around the plane.
        training: The whole training's course, projected: the agent's, with everything free.
    """

    context: str
    value: str
    map: TrainingMap
    at_step: int
    values: Array
    habits: Array
    value_flow: Array
    habit_flow: Array
    gaming_rate: Array
    points: tuple[FixedPoint, ...]
    own: Course
    paths: tuple[Course, ...]
    training: Course

    @property
    def direction(self) -> tuple[Array, Array]:
        """Where the flow points, by value and by habit [Y, X] each.

        Measured in widths of the plane, and of length 1: only the direction. Where there is no
        flow, both are 0.
        """
        up = self.value_flow / np.ptp(self.values)
        across = self.habit_flow / np.ptp(self.habits)
        length = np.hypot(up, across)
        safe = np.where(length > 0.0, length, 1.0)
        return up / safe, across / safe


def phase_plane(
    scenario: Scenario | str | Mapping[str, object],
    context: str | None = None,
    *,
    value: str | None = None,
    agent: Agent | Mapping[str, object] | None = None,
    training: Training | Mapping[str, object] | None = None,
    habit_range: Sequence[float] = (-8.0, 8.0),
    value_range: Sequence[float] = (-2.0, 2.0),
    points: int = 121,
    at_step: int | None = None,
    paths: int = 12,
    path_steps: int = 20_000,
    phase: int = -1,
    seed: int = 0,
) -> PhasePlane:
    """Return the phase plane of one context.

    Args:
        scenario: As for `simulate`.
        context: A context that training is in; None for the one that has most at stake.
        value: A value; None for the one that this context's responses serve or offend most.
        agent: As for `simulate`.
        training: As for `simulate`; the estimator must be exact.
        habit_range: The plane's ends across.
        value_range: The plane's ends upwards.
        points: Of the grid, each way.
        at_step: Everything else is held where this agent's training has it at this step; None for
            where it starts.
        paths: How many paths start around the plane.
        path_steps: For how many steps they are followed.
        phase: Which phase of the curriculum lasts for ever in the slice; the last if -1.
        seed: Of the agent's own numbers, where the agent spec has a spread.

    Raises:
        SpecError: The input cannot be used.
    """
    across = Range.read(tuple(habit_range), "habit_range")
    upwards = Range.read(tuple(value_range), "value_range")
    check_whole("points", points, minimum=2)
    check_whole("paths", paths, minimum=0)
    check_whole("path_steps", path_steps, minimum=1)
    check_whole("seed", seed, minimum=0)
    specs = read_specs(scenario, agent=agent, training=training)
    at_step = check_step(specs, at_step)
    whole = TrainingMap.of(specs, seed=seed, phase=phase)
    context = check_context(whole, context)
    value = check_value(specs.scenario, context, value)
    program = compile_program(
        specs.scenario, agent=specs.agent, training=specs.training, agents=1, seed=seed
    )
    here = get_engine("auto", threads=1).trajectory(program, [at_step])[0]
    of = TrainingMap(whole.at_whole(here[:, 0]), whole.free).only(
        [f"values.{value}", f"habit.{context}"]
    )
    habits, values = (np.linspace(r.low, r.high, int(points)) for r in (across, upwards))
    grid = np.stack([axis.ravel() for axis in np.meshgrid(values, habits, indexing="ij")])
    shape = (len(values), len(habits))
    flow = (of.step(grid) - grid).reshape(2, *shape)
    column = of.program.layout.contexts.index(context)
    starts = np.hstack([of.start[:, None], _around(upwards, across, int(paths))])
    found, kept = _fixed_points(of, starts, upwards, across, steps=int(path_steps))
    own, *others = _courses(of, starts, found, kept, steps=int(path_steps))
    return PhasePlane(
        context=context,
        value=value,
        map=of,
        at_step=at_step,
        values=values,
        habits=habits,
        value_flow=flow[0],
        habit_flow=flow[1],
        gaming_rate=of.observe(grid, ("gaming_rate",))["gaming_rate"][:, column].reshape(shape),
        points=tuple(found.points[i] for i in kept),
        own=own,
        paths=tuple(others),
        training=_training(program, of.free, specs.training.steps),
    )


def check_context(whole: TrainingMap, context: str | None) -> str:
    """Return a context that training is in; if none is named, the one that has most at stake.

    Raises:
        SpecError: Training is in no context of that name.
    """
    contexts = whole.program.layout.contexts
    trained = {contexts[c]: c for c in whole.segment.world.trained}
    if context is None:
        stake = whole.observe(whole.start[:, None], ("stake",))["stake"][0]
        return str(max(trained, key=lambda name: float(stake[trained[name]])))
    if context not in trained:
        hint = nearest(str(context), trained)
        raise SpecError(f"context: got {context!r}: must be one that is trained on; {hint}")
    return context


def check_value(scenario: Scenario, context: str, value: str | None) -> str:
    """Return a value; if none is named, the one with most weight in a context's responses.

    Raises:
        SpecError: The scenario has no value of that name.
    """
    if value is None:
        weight = served(scenario, context)
        return max(weight, key=lambda name: weight[name])
    if value not in scenario.values:
        raise SpecError(f"value: got {value!r}: {nearest(str(value), scenario.values)}")
    return value


def check_step(specs: Specs, at_step: int | None) -> int:
    """Return a step of training; the first if none is named.

    Raises:
        SpecError: Training has no such step.
    """
    if at_step is None:
        return 0
    check_whole("at_step", at_step, minimum=0, maximum=specs.training.steps)
    return int(at_step)


def served(scenario: Scenario, context: str) -> dict[str, float]:
    """Return how much each value is served or offended by a context's responses, taken together."""
    responses = scenario.contexts[context].responses
    return {
        value: float(sum(abs(serves.get(value, 0.0)) for serves in responses.values()))
        for value in scenario.values
    }


def _around(upwards: Range, across: Range, count: int) -> Array:
    """Return starts at even distances along the plane's edge [2, count]."""
    along = 4.0 * (np.arange(count) + 0.5) / max(count, 1)
    side, share = along.astype(int), along % 1.0
    zero, one = np.zeros(count), np.ones(count)
    # Counter-clockwise from the lower left corner: the edge below, right, above, left.
    x = np.choose(side, [share, one, 1.0 - share, zero])
    y = np.choose(side, [zero, share, one, 1.0 - share])
    x, y = (_INSET + (1.0 - 2.0 * _INSET) * place for place in (x, y))
    return np.stack([upwards.stretch(y), across.stretch(x)])


def _fixed_points(
    of: TrainingMap, starts: Array, upwards: Range, across: Range, *, steps: int
) -> tuple[Survey, list[int]]:
    """Survey the slice; returns what is found, and the numbers of points inside the plane."""
    values, habits = (np.linspace(r.low, r.high, _LATTICE) for r in (upwards, across))
    lattice = np.stack([axis.ravel() for axis in np.meshgrid(values, habits)])
    found = survey(of, np.hstack([starts, lattice]), steps=steps)
    low, high = (np.array([getattr(r, end) for r in (upwards, across)]) for end in ("low", "high"))
    inside = [((low <= point.at) & (point.at <= high)).all() for point in found.points]
    return found, [i for i, is_inside in enumerate(inside) if is_inside]


def _courses(
    of: TrainingMap, starts: Array, found: Survey, kept: Sequence[int], *, steps: int
) -> list[Course]:
    """Follow starts [2, N] through the slice; the survey began with these starts."""
    stops = np.unique(np.geomspace(1, steps, _RECORDS).astype(int))
    history = [starts]
    for stride in np.diff(stops, prepend=0):
        history.append(of.iterate(history[-1], int(stride)))
    values, habits = np.stack(history, axis=1)
    number = {found_as: i for i, found_as in enumerate(kept)}
    return [
        Course(
            np.append(0, stops).astype(np.float64),
            values[:, n],
            habits[:, n],
            number.get(int(found.goes_to[n])),
        )
        for n in range(starts.shape[1])
    ]


def _training(program: Program, rows: Sequence[int] | np.ndarray, steps: int) -> Course:
    """Return the course of a program's one agent in two rows of θ."""
    stops = np.unique(np.linspace(0, steps, _RECORDS + 1).astype(int))
    history = get_engine("auto", threads=1).trajectory(program, stops.tolist())
    values, habits = history[:, rows, 0].T
    return Course(stops.astype(np.float64), values, habits)
