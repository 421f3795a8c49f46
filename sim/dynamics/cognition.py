"""Cognition of agents, in the order in which an agent thinks (MODEL.md section 3).

Arrays have the axes response (K), context (C), value (D), agent (n, last); numbers that all agents
share have 1 in its place.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.dynamics.numerics import combine, logistic, mean, softmax
from sim.dynamics.population import Traits
from sim.dynamics.program import World
from sim.dynamics.state import Array, State


class Activations(NamedTuple):
    """What n agents think in C contexts with K responses."""

    utility: Array  # u [K, C, n]
    own_policy: Array  # π^u [K, C, n]
    value_policy: Array  # π^v [K, C, n]
    gaming_policy: Array  # π^r [K, C, n]
    foreseen_policy: Array  # π^φ [K, C, n]
    awareness: Array  # a [C, n]
    belief: Array  # b [C, n]
    stake: Array  # E_{π^u} u − E_{π^φ} u [C, n]
    concession: Array  # E_{π^u} u − E_{π^r} u [C, n]
    incentive: Array  # I [C, n]
    decision: Array  # d [C, n]
    gaming_rate: Array  # g [C, n]
    policy: Array  # π [K, C, n]


def think(world: World, traits: Traits, state: State) -> Activations:
    """Return what agents think in each context of a world (3.1 to 3.8)."""
    β, φ, δ, χ, γ = (
        *(traits.decisiveness, traits.foresight, traits.discernment),
        *(traits.info_sensitivity, traits.scratchpad_sensitivity),
    )
    κ, ζ, μ, τ = (
        *(traits.reasoning_cost, traits.scratchpad_saving),
        *(traits.episode_concern, traits.rationality),
    )
    R, s, absent = world.reward, world.scratchpad, world.absent
    m, h = state.propensity[:, world.places], state.habit[world.places]

    u = combine(world.features, state.values)
    own_policy = softmax(β * u, absent)
    value_policy = softmax(β * u + m, absent) if m.any() else own_policy
    gaming_policy = softmax(np.exp(state.log_competence) * R, absent)
    foreseen_policy = softmax(β * u + φ * R, absent)

    a = logistic(state.awareness + χ * world.info + γ * s)
    b = logistic(δ * world.cue)

    own_utility = mean(own_policy, u)
    stake = own_utility - mean(foreseen_policy, u)
    concession = own_utility - mean(gaming_policy, u)
    incentive = np.exp(state.log_horizon) * b * stake - μ * concession - κ * (1.0 - ζ * s)

    d = logistic(h + τ * incentive)
    g = a * d
    policy = (1.0 - g) * value_policy + g * gaming_policy
    return Activations(
        *(u, own_policy, value_policy, gaming_policy, foreseen_policy, a, b),
        *(stake, concession, incentive, d, g, policy),
    )


def attribute(mind: Activations, world: World, traits: Traits, state: State) -> Array:
    """Return each value's part in the incentive [n, C, D]; all parts and −cost sum to I (3.6).

    v_d (λ b (E_{π^u} Φ_d − E_{π^φ} Φ_d) − μ (E_{π^u} Φ_d − E_{π^r} Φ_d)).
    """
    lost, conceded = (
        ((mind.own_policy - other)[:, :, None] * world.features).sum(axis=0)
        for other in (mind.foreseen_policy, mind.gaming_policy)
    )
    care = (np.exp(state.log_horizon) * mind.belief)[:, None]
    parts = state.values * (care * lost - traits.episode_concern * conceded)
    return np.asarray(parts.transpose(2, 0, 1))
