"""The course of training: from step 0 to the last, stopping where something is to be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from sim.dynamics.compile import Program
from sim.dynamics.engines.engine import Engine
from sim.dynamics.state import Array
from sim.dynamics.turns import turn, turns

#: Agent-steps between two tellings of progress: some tenths of a second.
STRIDE = 2_000_000


class Stop(NamedTuple):
    """A moment at which agents can be seen.

    Attributes:
        step: The step.
        program: Who they are by now: selection puts copies in the seats of others, interventions
            change traits.
        theta: Their parameters [P, N].
    """

    step: int
    program: Program
    theta: Array


def course(
    engine: Engine,
    program: Program,
    steps: Sequence[int],
    *,
    runs: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Stop]:
    """Train a program's agents and stop at each of `steps`.

    Args:
        engine: Moves them.
        program: Where they start, and what holds when.
        steps: Where to stop, increasing. What happens before a step (a selection, an
            intervention) is seen at it.
        runs: How many runs the program holds.
        progress: Told how many agent-steps were done since it was last told; it may raise to
            break off.
    """
    told = progress or (lambda agent_steps: None)
    stride = max(1, STRIDE // program.agents)
    turned_at, seen_at = turns(program), set(steps)
    cohort, now = engine.start(program), 0
    for step in sorted(seen_at | turned_at):
        while now < step:
            further = min(step, now + stride)
            cohort.advance(now, further)
            told(program.agents * (further - now))
            now = further
        if step in turned_at:
            program = turn(program, cohort.theta(), step=step, runs=runs)
            cohort = engine.start(program)
        if step in seen_at:
            yield Stop(step, program, cohort.theta())
