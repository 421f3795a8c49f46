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
    reward: Array  # R − P if gaming, R if not


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
    Where demonstrations train, the response is one that is demonstrated.
    The penalty is P [C, n]; `ids`, `step` and `stream` key the draws.
    """
    draw = np.arange(count)[:, None]
    first, second, third, fourth = words(
        seed=ids.seeds, stream=stream, rows=ids.rows, step=step, draw=draw
    )
    threshold = np.cumsum(world.weight, axis=0)[:-1]
    context = (coarse_fraction(third) >= threshold[:, None]).sum(axis=0)
    shown = world.demonstrates[:, 0][context]
    gaming = (fraction(first, second) < at(mind.gaming_rate, context)) & ~shown
    policies = zip(world.demonstrations, mind.gaming_policy, mind.value_policy, strict=True)
    chances = [
        np.where(shown, at(y, context), np.where(gaming, at(by_gaming, context), at(own, context)))
        for y, by_gaming, own in policies
    ]
    others = np.cumsum([np.zeros_like(gaming, dtype=float), *chances[1:]], axis=0)[1:]
    below = (coarse_fraction(fourth) >= others).sum(axis=0)
    response = np.where(below == len(others), 0, below + 1)
    rewards = np.array([at(each, context) for each in world.reward])
    reward = np.take_along_axis(rewards, response[None], axis=0)[0]
    return Episodes(context, gaming, response, reward - gaming * at(penalty, context))


def at(x: Array, context: NDArray[np.intp]) -> Array:
    """Return x [C, n or 1] in the context of each episode [B, n]."""
    full = np.broadcast_to(x, (len(x), context.shape[1]))
    return np.asarray(np.take_along_axis(full, context, axis=0))
