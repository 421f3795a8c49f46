"""Episodes: what happens when an agent is met once, instead of what happens on average.

An episode is a context drawn by weight, a mode of thought drawn by the gaming rate, a response
drawn from that mode's policy, and the reward for it (MODEL.md section 4, estimators).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.dynamics.cognition import Activations
from sim.dynamics.compile import World
from sim.dynamics.population import AgentIds
from sim.dynamics.randomness import coarse_fraction, fraction, words
from sim.dynamics.state import Array


@dataclass(frozen=True)
class Episodes:
    """B episodes of each of n agents, all [B, n].

    Attributes:
        context: Index among the trained contexts.
        gamed: Whether the agent was gaming.
        response: Index of the response; 0 for the first.
        reward: R − P if gamed, R if not, against the first response's R.
    """

    context: NDArray[np.intp]
    gamed: NDArray[np.bool_]
    response: NDArray[np.intp]
    reward: Array


def draw_episodes(
    mind: Activations,
    penalty: Array,
    world: World,
    seats: AgentIds,
    *,
    count: int,
    step: int,
    stream: str,
) -> Episodes:
    """Draw episodes of agents who have made up their minds.

    Episode b of an agent has the four words of draw b: two for the mode, as gaming may be rare,
    one for the context and one for the response. So no episode depends on how many there are.

    Args:
        mind: What the agents think, of the trained contexts.
        penalty: P [C, n].
        world: The trained part of the world.
        seats: Which draws are whose.
        count: B.
        step: The training step.
        stream: What the episodes are for.
    """
    draw = np.arange(count)[:, None]
    first, second, third, fourth = words(
        seed=seats.seeds, stream=stream, rows=seats.rows, step=step, draw=draw
    )
    threshold = np.cumsum(world.weight, axis=0)[:-1]
    context = (coarse_fraction(third) >= threshold[:, None]).sum(axis=0)
    gamed = fraction(first, second) < at(mind.gaming_rate, context)
    chances = np.where(
        gamed, _at_response(mind.gaming_policy, context), _at_response(mind.value_policy, context)
    )
    passed = (coarse_fraction(fourth) >= np.cumsum(chances, axis=0)).sum(axis=0)
    response = np.where(passed == len(chances), 0, passed + 1)
    reward = np.zeros(context.shape)
    for k, rewards in enumerate(world.reward):
        here = np.broadcast_to(rewards, mind.gaming_rate.shape)
        np.copyto(reward, at(here, context), where=response == k + 1)
    return Episodes(context, gamed, response, reward - gamed * at(penalty, context))


def at(x: Array, context: NDArray[np.intp]) -> Array:
    """Return x [C, n] where each episode was [B, n]."""
    found: Array = np.take_along_axis(x, context, axis=0)
    return found


def _at_response(policy: Array, context: NDArray[np.intp]) -> Array:
    """Return the chances of all responses but the first, where each episode was [K − 1, B, n]."""
    found = np.empty((len(policy), *context.shape))  # K may be 1: there is nothing to stack
    for k, chances in enumerate(policy):
        found[k] = at(chances, context)
    return found
