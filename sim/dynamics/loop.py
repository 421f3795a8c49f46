"""The loop of a run: training from step 0 to the last, with events between steps, and records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.dynamics.engines.engine import Engine
from sim.dynamics.interventions import act, hold_again, intervention_steps
from sim.dynamics.observe import VARIABLES, Recorder, side_by_side
from sim.dynamics.program import Program
from sim.dynamics.selection import select, selections
from sim.dynamics.state import Array, Layout
from sim.specs.keys import full_key
from sim.utils.progress import CountProgress

#: Agent-steps between two reports of progress: some tenths of a second.
STRIDE = 2_000_000

#: Parameters beyond these have diverged: measures need their squares or, of logarithms, their exp;
#: and with a competence of more than e^25, rounding is all that gradients have left.
LARGEST = 1e100
LARGEST_LOGARITHM = {"log_horizon": 200.0, "log_competence": 25.0}


class DivergenceError(RuntimeError):
    """Parameters grew out of all bounds: a learning rate is too high for this scenario."""


class Snapshot(NamedTuple):
    """Agents at one step: θ [P, N], and variables by name, agents first (of `train`, none).

    The program says who they are by now: selection puts copies in the places of others,
    interventions change traits.
    """

    step: int
    program: Program
    theta: Array
    observed: Mapping[str, Array] = MappingProxyType({})


def train(
    engine: Engine,
    program: Program,
    steps: Sequence[int],
    *,
    start: int = 0,
    runs: int = 1,
    progress: CountProgress | None = None,
) -> Iterator[Snapshot]:
    """Train a program's agents and yield a snapshot at each of `steps`, which increase.

    What happens before a step (a selection, an intervention) is in effect at it. A `start` later
    than 0 means that `program.theta` is the state there. Agents are selected within their run, of
    so many `runs`; `progress` takes agent-steps as they are done.
    """
    stride, stops = max(1, STRIDE // program.agents), set(steps)
    events = {step for step in event_steps(program) if start <= step <= max(stops)}
    cohort = engine.start(program)
    for step in sorted(stops | events):
        while start < step:
            end = min(step, start + stride)
            cohort.advance(start, end)
            if progress is not None:
                progress(program.agents * (end - start))
            start = end
        if step in events:
            program = apply_events(program, cohort.theta(), step=step, runs=runs)
            cohort = engine.start(program)
        if step in stops:
            yield Snapshot(step, program, cohort.theta())


def records(
    engine: Engine,
    program: Program,
    steps: Sequence[int],
    *,
    names: Sequence[str] | Callable[[int], Sequence[str]] = tuple(VARIABLES),
    bounded: bool = True,
    start: int = 0,
    runs: int = 1,
    progress: CountProgress | None = None,
) -> Iterator[Snapshot]:
    """Train a program's agents and yield them, observed, at each of `steps`: the loop of every run.

    Arguments are as for `train`, and `names`, which variables to observe (a function of the step
    where that differs). `bounded` refuses parameters that have diverged (DivergenceError).
    """
    recorder = Recorder()
    batch: list[Snapshot] = []

    def observed() -> Iterator[Snapshot]:
        first, thetas = batch[0], [snapshot.theta for snapshot in batch]
        variables = recorder.together(first.program, first.step, thetas, names_at(first.step))
        for snapshot, values in zip(batch, variables, strict=True):
            yield snapshot._replace(observed=values)
        batch.clear()

    def names_at(step: int) -> Sequence[str]:
        return names(step) if callable(names) else names

    for snapshot in train(engine, program, steps, start=start, runs=runs, progress=progress):
        if bounded:
            check_bounded(snapshot.program.layout, snapshot.theta, snapshot.step)
        if batch and (
            len(batch) == side_by_side(batch[0].program)
            or snapshot.program is not batch[0].program
            or snapshot.program.at(snapshot.step) is not batch[0].program.at(batch[0].step)
            or names_at(snapshot.step) != names_at(batch[0].step)
        ):
            yield from observed()
        batch.append(snapshot)
    if batch:
        yield from observed()


def event_steps(program: Program) -> set[int]:
    """Return the steps before which agents are selected, or an intervention starts or stops."""
    return {*selections(program), *intervention_steps(program)}


def apply_events(program: Program, theta: Array, *, step: int, runs: int) -> Program:
    """Return the program as it goes on, from θ [P, N], after the events before a step.

    Selection comes first, within each of so many runs; then interventions.
    """
    if step in selections(program):
        program = hold_again(select(program, theta, step=step, runs=runs), step=step)
        theta = program.theta
    if step in intervention_steps(program):
        program = act(program, theta, step=step)
    return program


def out_of_bounds(layout: Layout, theta: Array) -> NDArray[np.bool_]:
    """Return which parameters of θ [P, N] have diverged, or are not finite any more [P, N]."""
    largest = [LARGEST_LOGARITHM.get(name, LARGEST) for name in layout.names]
    inside: NDArray[np.bool_] = (theta >= -LARGEST) & (theta <= np.array(largest)[:, None])
    return ~inside


def divergence(layout: Layout, row: int, step: int) -> str:
    """Describe a divergence: which row of θ, by which step, and the setting that helps."""
    name = layout.names[row]
    kind = name.split(".")[0]
    if not step:
        key = full_key(f"agent.{name}")
        return f"{name} starts out of all bounds; look at {key}, its spread and interventions"
    return f"{name} grew out of all bounds by step {step}; lower training.learning_rate.{kind}"


def check_bounded(layout: Layout, theta: Array, step: int) -> None:
    """Raise `DivergenceError` if a parameter of θ [P, N] has grown out of all bounds."""
    bad = np.argwhere(out_of_bounds(layout, theta))
    if bad.size:
        row, agent = (int(i) for i in bad[0])
        raise DivergenceError(f"agent {agent}: {divergence(layout, row, step)}")
