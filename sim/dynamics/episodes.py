"""Episodes: single encounters with an agent, instead of means over them (MODEL.md section 4).

An episode is a context drawn by weight, a mode of thought drawn by the gaming rate, a response
drawn from that mode's policy, and the reward for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.dynamics.cognition import Activations
from sim.dynamics.population import AgentIds
from sim.dynamics.program import World
from sim.dynamics.randomness import coarse_fraction, fraction, words
from sim.dynamics.state import Array


@dataclass(frozen=True)
class Episodes:
    """B episodes of each of n agents, all [B, n]."""

    context: NDArray[np.intp]  # index among the trained contexts
    gaming: NDArray[np.bool_]  # whether the agent was gaming
    response: NDArray[np.intp]  # index of the response; 0 for the first
    reward: Array  # R − P if gaming, R if not, against the first response's R


def draw_episodes(
    mind: Activations,
    penalty: Array,
    world: World,
    ids: AgentIds,
    *,
    count: int,
    step: int,
    stream: str,
) -> Episodes:
    """Draw episodes of agents whose decisions in the trained contexts are filled in.

    Episode b of an agent has the four words of draw b: two for the mode, as gaming may be rare,
    one for the context and one for the response. So no episode depends on how many there are.
    The penalty is P [C, n]; `ids`, `step` and `stream` key the draws.
    """
    draw = np.arange(count)[:, None]
    first, second, third, fourth = words(
        seed=ids.seeds, stream=stream, rows=ids.rows, step=step, draw=draw
    )
    threshold = np.cumsum(world.weight, axis=0)[:-1]
    context = (coarse_fraction(third) >= threshold[:, None]).sum(axis=0)
    gaming = fraction(first, second) < at(mind.gaming_rate, context)
    chances = np.empty((len(mind.value_policy), *context.shape))  # K may be 1: nothing to stack
    for k, policies in enumerate(zip(mind.gaming_policy, mind.value_policy, strict=True)):
        chances[k] = np.where(gaming, *(at(policy, context) for policy in policies))
    below = (coarse_fraction(fourth) >= np.cumsum(chances, axis=0)).sum(axis=0)
    response = np.where(below == len(chances), 0, below + 1)
    reward = np.zeros(context.shape)
    for k, rewards in enumerate(world.reward):
        by_context = np.broadcast_to(rewards, mind.gaming_rate.shape)
        np.copyto(reward, at(by_context, context), where=response == k + 1)
    return Episodes(context, gaming, response, reward - gaming * at(penalty, context))


def at(x: Array, context: NDArray[np.intp]) -> Array:
    """Return x [C, n] in the context of each episode [B, n]."""
    return np.asarray(np.take_along_axis(x, context, axis=0))
