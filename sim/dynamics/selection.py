"""Selection: developers keep the agents that earn most, and copy them (MODEL.md section 4).

Selection stands beside training, not in it: engines train agents from one selection to the next.
An agent is copied whole, with its traits and with where its lineage started; random draws belong
to the seat.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sim.dynamics.cognition import Activations, anticipate, attend, decide, perceive
from sim.dynamics.compile import Program
from sim.dynamics.episodes import at, draw_episodes
from sim.dynamics.numerics import calculating, whole_groups
from sim.dynamics.randomness import normal
from sim.dynamics.state import Array
from sim.dynamics.step_buffers import StepBuffers
from sim.dynamics.training import reward

#: The stream of the episodes on which agents are compared.
STREAM = "selection"
#: Agents that are measured at once.
BLOCK = 1024


def selections(program: Program) -> range:
    """Return the steps at which agents are selected: every S, and not at either end."""
    every = program.selection.every if program.selection else program.steps
    return range(every, program.steps, every)


def select(program: Program, theta: Array, *, step: int, runs: int) -> Program:
    """Return the program as it goes on after a selection.

    Args:
        program: Agents in training, with a selection.
        theta: Where they are, θ [P, N].
        step: The step before which they are selected.
        runs: How many runs the program has; agents are ranked within their run.
    """
    selection = program.selection
    assert selection is not None
    earned = measured_reward(program, theta, step=step, episodes=selection.episodes)
    parents = _parents(earned.reshape(runs, -1), selection.kept).ravel()
    copies = parents != np.arange(program.agents)
    after = theta[:, parents]
    for row, name in zip(after, program.layout.names, strict=True):
        moved = normal(
            seed=program.seats.seeds,
            stream=f"{STREAM}.mutation.{name}",
            rows=program.seats.rows,
            step=step,
        )
        row += np.where(copies, selection.mutation * moved, 0.0)
    return replace(
        program,
        traits=program.traits.take(parents),
        natural=program.own_traits.take(parents),
        theta=after,
        origin=program.origin[:, parents],
        anchored=program.pulled_to[:, parents],
        saved=program.kept[:, parents],
        ancestor=program.ancestor[parents],
    )


def measured_reward(program: Program, theta: Array, *, step: int, episodes: int) -> Array:
    """Return each agent's mean reward on so many episodes of its own [N].

    An agent whose parameters are no numbers any more earns infinitely much: it is kept, so that
    whoever looks at the run next sees that it diverged.
    """
    cut = np.split(np.arange(program.agents), range(BLOCK, program.agents, BLOCK))
    parts = [_measured(program, theta, rows, step=step, episodes=episodes) for rows in cut]
    earned: Array = np.concatenate(parts)
    earned[~np.isfinite(theta).all(axis=0)] = np.inf
    return earned


def _measured(
    program: Program, theta: Array, rows: NDArray[np.intp], *, step: int, episodes: int
) -> Array:
    seats = whole_groups(rows)
    program = program.take(seats)
    segment = program.at(step)
    world, state = segment.world.where_trained(), program.layout.view(theta[:, seats])
    mind = Activations.empty(world, len(seats))
    lesson = StepBuffers.empty(world, program.layout, len(seats))
    with calculating():
        attend(mind, world, program.traits)
        perceive(mind, world, program.traits, state)
        anticipate(mind, world, program.traits, state)
        decide(mind, world, program.traits, state)
        reward(lesson, mind, world, state, segment.assumptions)
        drawn = draw_episodes(
            mind,
            lesson.penalty,
            world,
            program.seats,
            count=episodes,
            step=step,
            stream=STREAM,
        )
    first = np.broadcast_to(world.first_reward, mind.gaming_rate.shape)
    earned: Array = np.add.reduce(drawn.reward + at(first, drawn.context), axis=0)
    return earned[: len(rows)] / episodes


def _parents(earned: Array, kept: int) -> NDArray[np.intp]:
    """Return whose copy sits where [runs, agents]: the kept stay, the others' seats go round.

    Of agents that earned the same, the one with the lower number is kept.
    """
    runs, agents = earned.shape
    ranked = np.argsort(-earned, axis=1, kind="stable")
    stays, goes = np.split(ranked, [kept], axis=1)
    parents = np.tile(np.arange(agents), (runs, 1))
    np.put_along_axis(parents, goes, stays[:, np.arange(goes.shape[1]) % kept], axis=1)
    parents += agents * np.arange(runs)[:, None]
    return parents
