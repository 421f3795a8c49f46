"""Selection: developers keep the agents that earn most, and copy them (MODEL.md section 4).

Selection stands beside training, not in it: engines train agents from one selection to the next.
A copy has its parent's parameters and traits, and the start of its lineage; random draws belong to
the place that it takes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sim.dynamics.cognition import think
from sim.dynamics.episodes import draw_episodes
from sim.dynamics.numerics import calculating, whole_groups
from sim.dynamics.program import Program
from sim.dynamics.randomness import normal
from sim.dynamics.state import Array
from sim.dynamics.training import penalty

#: The stream of the episodes on which agents are compared.
STREAM = "selection"
#: Agents that are measured at once.
BLOCK = 1024


def selections(program: Program) -> range:
    """Return the steps at which agents are selected: every S, and not at either end."""
    every = program.selection.every if program.selection else program.steps
    return range(every, program.steps, every)


def select(program: Program, theta: Array, *, step: int, runs: int) -> Program:
    """Return the program as it goes on, from θ [P, N], after a selection before a step.

    Agents are ranked within their run; the program has so many runs.
    """
    selection = program.selection
    assert selection is not None
    earned = measured_reward(program, theta, step=step, episodes=selection.episodes)
    parents = _parents(earned.reshape(runs, -1), selection.survivors).ravel()
    copies = parents != np.arange(program.agents)
    after = theta[:, parents]
    ids = program.agent_ids
    for row, name in zip(after, program.layout.names, strict=True):
        mutation = normal(
            seed=ids.seeds, stream=f"{STREAM}.mutation.{name}", rows=ids.rows, step=step
        )
        row += np.where(copies, selection.mutation * mutation, 0.0)
    return program.inherit(parents, after)


def measured_reward(program: Program, theta: Array, *, step: int, episodes: int) -> Array:
    """Return each agent's mean reward on so many episodes of its own [N].

    An agent whose parameters are not finite any more earns infinitely much: it is kept, so that
    the divergence is seen at the next record.
    """
    blocks = np.split(np.arange(program.agents), range(BLOCK, program.agents, BLOCK))
    earned: Array = np.concatenate(
        [_measured(program, theta, rows, step=step, episodes=episodes) for rows in blocks]
    )
    earned[~np.isfinite(theta).all(axis=0)] = np.inf
    return earned


def _measured(
    program: Program, theta: Array, rows: NDArray[np.intp], *, step: int, episodes: int
) -> Array:
    agents = whole_groups(rows)
    program = program.take(agents)
    traits, segment = program.traits, program.at(step)
    world, state = segment.world.where_trained(), program.layout.view(theta[:, agents])
    world = replace(world, demonstrates=np.zeros_like(world.demonstrates))  # it answers by itself
    with calculating():
        drawn_episodes = draw_episodes(
            think(world, traits, state, program.equations),
            penalty(segment.world.where_trained(), state, segment.assumptions),
            world,
            program.agent_ids,
            count=episodes,
            step=step,
            stream=STREAM,
        )
    earned: Array = drawn_episodes.reward.sum(axis=0)
    return earned[: len(rows)] / episodes


def _parents(earned: Array, survivors: int) -> NDArray[np.intp]:
    """Return the parent of each agent [runs, agents]: survivors stay and share out the places.

    Of agents that earned the same, the one with the lower number survives.
    """
    runs, agents = earned.shape
    ranking = np.argsort(-earned, axis=1, kind="stable")
    best, losers = np.split(ranking, [survivors], axis=1)
    parents = np.tile(np.arange(agents), (runs, 1))
    np.put_along_axis(parents, losers, best[:, np.arange(losers.shape[1]) % survivors], axis=1)
    parents += agents * np.arange(runs)[:, None]
    return parents
