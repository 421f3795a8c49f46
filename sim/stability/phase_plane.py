"""Phase planes: the flow of training in one value and one habit of gaming (MODEL.md section 5).

A plane is a slice of parameter space: one value's strength and the habit in one context are free,
every other parameter is held where the agent has it. As the slice need not behave like the whole, a
plane also has the orbit of the full training, projected onto it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim.dynamics.compile import compile_program
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.program import Program
from sim.dynamics.state import Array
from sim.result import Result
from sim.simulation import prepare
from sim.specs.agent import Agent
from sim.specs.errors import SpecError, check_whole, nearest
from sim.specs.overrides import Specs, read_specs
from sim.specs.scenario import Scenario
from sim.specs.training import Training
from sim.stability.fixed_points import FixedPoint, Survey, count_kinds, survey
from sim.stability.training_map import TrainingMap
from sim.sweeps.design import Range

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Starts of the survey each way, on a lattice.
_LATTICE = 8
#: Distance of orbits' starts from the edge, as a share of the plane's width.
_INSET = 0.02
#: Points of an orbit, at most: even in the logarithm of time in the slice (such orbits come to
#: rest), even in time for the full training.
_RECORDS = 200


@dataclass(frozen=True)
class Orbit:
    """An orbit in the plane.

    Attributes:
        steps: Training steps since its start [S].
        values: Strength of the value [S].
        habits: Habit [S].
        attractor: Index, in the plane's `points`, of the fixed point it tends to; or None.
    """

    steps: Array
    values: Array
    habits: Array
    attractor: int | None = None


@dataclass(frozen=True)
class PhasePlane:
    """A slice of training: a value against a habit.

    Rows of the grid are strengths of the value, columns are habits.

    Attributes:
        specs: Scenario, agent and training.
        seed: Of the agent's own parameters.
        context: Context of the habit.
        value: The value.
        map: Training step in the slice; its coordinates are the value and the habit.
        at_step: Step of training at which the other parameters are held; 0 for the start.
        values: Grid upwards [Y].
        habits: Grid across [X].
        flow: Change of the value and of the habit in a step [2, Y, X].
        gaming_rate: g in the context [Y, X].
        points: Fixed points of the slice inside the plane.
        own_orbit: Orbit in the slice from where the agent is at `at_step`.
        orbits: Orbits in the slice from all around the plane.
        training_orbit: The agent's full training, projected onto the plane.
    """

    specs: Specs
    seed: int
    context: str
    value: str
    map: TrainingMap
    at_step: int
    values: Array
    habits: Array
    flow: Array
    gaming_rate: Array
    points: tuple[FixedPoint, ...]
    own_orbit: Orbit
    orbits: tuple[Orbit, ...]
    training_orbit: Orbit

    def __repr__(self) -> str:
        kinds = count_kinds(point.kind for point in self.points)
        return f"<PhasePlane of values.{self.value} and habit.{self.context}: {kinds}>"

    @property
    def direction(self) -> Array:
        """Unit vectors of the flow in widths of the plane [2, Y, X]; 0 where there is no flow."""
        up, across = self.flow[0] / np.ptp(self.values), self.flow[1] / np.ptp(self.habits)
        length = np.hypot(up, across)
        return np.stack([up, across]) / np.where(length > 0.0, length, 1.0)

    def plot(self, result: Result | None = None) -> Figure:
        """Draw the plane beside the training that passes through it (`sim.plots.phase_plane`).

        Args:
            result: A run of one agent by the same specs; None to make one.
        """
        from sim.plots.phase_plane import phase_plane

        scenario, agent, training, _ = self.specs
        if result is None:
            every = max(1, training.steps // _RECORDS)
            result = prepare(
                scenario, agent=agent, training=training, seed=self.seed, record_every=every
            ).execute()
        return phase_plane(self, result)


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
    orbits: int = 12,
    orbit_steps: int = 20_000,
    phase: int = -1,
    seed: int = 0,
) -> PhasePlane:
    """Return the phase plane of one value and the habit of gaming in one context.

    By default the context is the trained one with most at stake, and the value the one with most
    weight in its responses. A grid of `points` each way covers `habit_range` and `value_range`, and
    `orbits` of `orbit_steps` steps start around it. The other parameters are held where the agent's
    training has them at `at_step`, by default at its start. Other arguments are as for
    `equilibria`.

    Raises:
        SpecError: The input cannot be used.
    """
    across = Range.read(tuple(habit_range), "habit_range")
    upwards = Range.read(tuple(value_range), "value_range")
    check_whole("points", points, minimum=2)
    check_whole("orbits", orbits, minimum=0)
    check_whole("orbit_steps", orbit_steps, minimum=1)
    check_whole("seed", seed, minimum=0)
    specs = read_specs(scenario, agent=agent, training=training)
    at_step = check_step(specs, at_step)
    whole = TrainingMap.from_specs(specs, seed=seed, phase=phase)
    context = check_context(whole, context)
    value = check_value(specs.scenario, context, value)
    program = compile_program(
        specs.scenario, agent=specs.agent, training=specs.training, agents=1, seed=seed
    )
    theta = get_engine("auto", threads=1).trajectory(program, [at_step])[0]
    f = TrainingMap(replace(whole.program, theta=theta), whole.free).only(
        [f"values.{value}", f"habit.{context}"]
    )
    habits, values = (np.linspace(r.low, r.high, int(points)) for r in (across, upwards))
    grid = np.stack([axis.ravel() for axis in np.meshgrid(values, habits, indexing="ij")])
    shape = (len(values), len(habits))
    column = f.program.layout.contexts.index(context)
    starts = np.hstack([f.start[:, None], _around(upwards, across, int(orbits))])
    surveyed, inside = _fixed_points(f, starts, upwards, across, steps=int(orbit_steps))
    own_orbit, *around = _orbits(f, starts, surveyed, inside, steps=int(orbit_steps))
    return PhasePlane(
        specs=specs,
        seed=seed,
        context=context,
        value=value,
        map=f,
        at_step=at_step,
        values=values,
        habits=habits,
        flow=(f.step(grid) - grid).reshape(2, *shape),
        gaming_rate=f.observe(grid, ("gaming_rate",))["gaming_rate"][:, column].reshape(shape),
        points=tuple(surveyed.points[i] for i in inside),
        own_orbit=own_orbit,
        orbits=tuple(around),
        training_orbit=_training_orbit(program, f.free, specs.training.steps),
    )


def check_context(f: TrainingMap, context: str | None) -> str:
    """Return a trained context (SpecError for another); if None, the one with most at stake."""
    trained = f.trained_contexts
    if context is None:
        stake = f.observe(f.start[:, None], ("stake",))["stake"][0]
        return max(trained, key=lambda name: float(stake[trained[name]]))
    if context not in trained:
        hint = nearest(str(context), trained)
        raise SpecError(f"context: got {context!r}: must be one that is trained on; {hint}")
    return context


def check_value(scenario: Scenario, context: str, value: str | None) -> str:
    """Return a value (SpecError for another); if None, the one with most weight in a context."""
    if value is None:
        weights = value_weights(scenario, context)
        return max(weights, key=lambda name: weights[name])
    if value not in scenario.values:
        raise SpecError(f"value: got {value!r}: {nearest(str(value), scenario.values)}")
    return value


def check_step(specs: Specs, at_step: int | None) -> int:
    """Return a step of training (SpecError for another); the first if None."""
    if at_step is None:
        return 0
    check_whole("at_step", at_step, minimum=0, maximum=specs.training.steps)
    return int(at_step)


def value_weights(scenario: Scenario, context: str) -> dict[str, float]:
    """Return Σ |u| of each value over a context's responses, by name."""
    responses = scenario.contexts[context].responses
    return {
        value: float(sum(abs(serves.get(value, 0.0)) for serves in responses.values()))
        for value in scenario.values
    }


def _around(upwards: Range, across: Range, count: int) -> Array:
    """Return starts at even distances along the plane's edge [2, count]."""
    along = 4.0 * (np.arange(count) + 0.5) / max(count, 1)
    side, share = along.astype(int), along % 1.0
    # Counter-clockwise from the lower left corner: the edge below, right, above, left.
    x = np.choose(side, [share, 1.0, 1.0 - share, 0.0])
    y = np.choose(side, [0.0, share, 1.0, 1.0 - share])
    x, y = (_INSET + (1.0 - 2.0 * _INSET) * axis for axis in (x, y))
    return np.stack([upwards.stretch(y), across.stretch(x)])


def _fixed_points(
    f: TrainingMap, starts: Array, upwards: Range, across: Range, *, steps: int
) -> tuple[Survey, list[int]]:
    """Survey the slice from starts [2, N]; returns indices of points inside the plane, too."""
    values, habits = (np.linspace(r.low, r.high, _LATTICE) for r in (upwards, across))
    lattice = np.stack([axis.ravel() for axis in np.meshgrid(values, habits)])
    surveyed = survey(f, np.hstack([starts, lattice]), steps=steps)
    low, high = (np.array([getattr(r, end) for r in (upwards, across)]) for end in ("low", "high"))
    inside = [((low <= point.at) & (point.at <= high)).all() for point in surveyed.points]
    return surveyed, np.flatnonzero(inside).tolist()


def _orbits(
    f: TrainingMap, starts: Array, surveyed: Survey, inside: Sequence[int], *, steps: int
) -> list[Orbit]:
    """Return the orbits in the slice of starts [2, N], the first of those surveyed."""
    stops = np.unique(np.geomspace(1, steps, _RECORDS).astype(int))
    history = [starts]
    for stride in np.diff(stops, prepend=0):
        history.append(f.iterate(history[-1], int(stride)))
    values, habits = np.stack(history, axis=1)
    index = {survey_index: i for i, survey_index in enumerate(inside)}
    times = np.append(0, stops).astype(np.float64)
    return [
        Orbit(times, values[:, n], habits[:, n], index.get(int(surveyed.attractor[n])))
        for n in range(starts.shape[1])
    ]


def _training_orbit(program: Program, rows: NDArray[np.intp], steps: int) -> Orbit:
    """Return the orbit of a program's one agent in two rows of θ."""
    stops = np.unique(np.linspace(0, steps, _RECORDS + 1).astype(int))
    history = get_engine("auto", threads=1).trajectory(program, stops.tolist())
    values, habits = history[:, rows, 0].T
    return Orbit(stops.astype(np.float64), values, habits)
