"""What happens between two steps of training: selection by developers, and interventions."""

from __future__ import annotations

from sim.dynamics.compile import Program
from sim.dynamics.interventions import act, acting, hold_again
from sim.dynamics.selection import select, selections
from sim.dynamics.state import Array


def turns(program: Program) -> set[int]:
    """Return the steps before which something happens to a program's agents."""
    return {*selections(program), *acting(program)}


def turn(program: Program, theta: Array, *, step: int, runs: int) -> Program:
    """Return the program as it goes on: who is kept, first; then what is done to them.

    Args:
        program: Agents in training.
        theta: Where they are, θ [P, N].
        step: One of `turns`.
        runs: How many runs the program has; agents are selected within their run.
    """
    if step in selections(program):
        program = hold_again(select(program, theta, step=step, runs=runs), step=step)
        theta = program.theta
    if step in acting(program):
        program = act(program, theta, step=step)
    return program
