"""Cognition of agents, in the order in which an agent thinks (MODEL.md section 3).

Arrays have the axes response (K), context (C), value (D), agent (n, last); numbers that all agents
share have 1 in its place.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sim.dynamics.engines.equations import STANDARD, Equations
from sim.dynamics.numerics import combine, logistic, mean, softmax
from sim.dynamics.population import Traits
from sim.dynamics.program import World
from sim.dynamics.state import Array, State
from sim.specs.errors import SpecError


class Deliberation(NamedTuple):
    """Hold in mind, for one of `Equations`, what n agents think in C contexts so far.

    Names are those of MODEL.md; `stake` and `incentive` are there once they have been taken.
    """

    traits: Traits  # each [n]: decisiveness, foresight, ..., rationality
    reward: Any  # R [K, C, n]
    info: Any  # i [C, n]
    scratchpad: Any  # s [C, n]
    values: Any  # v [D, n]
    horizon: Any  # λ [n]
    habit: Any  # h [C, n]
    utility: Any  # u [K, C, n]
    own_policy: Any  # π^u [K, C, n]
    value_policy: Any  # π^v [K, C, n]
    gaming_policy: Any  # π^r [K, C, n]
    foreseen_policy: Any  # π^φ [K, C, n]
    awareness: Any  # a [C, n]
    belief: Any  # b [C, n]
    concession: Any  # E_{π^u} u − E_{π^r} u [C, n]
    stake: Any = None  # [C, n]
    incentive: Any = None  # I [C, n]


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
    deliberation: Deliberation  # by which the decision came about


def think(
    world: World, traits: Traits, state: State, equations: Equations = STANDARD
) -> Activations:
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

    own_utility, horizon = mean(own_policy, u), np.exp(state.log_horizon)
    concession = own_utility - mean(gaming_policy, u)
    mind = Deliberation(
        *(traits, R, world.info, s, state.values, horizon, h),
        *(u, own_policy, value_policy, gaming_policy, foreseen_policy, a, b, concession),
    )
    stake = own_utility - mean(foreseen_policy, u)
    stake = replaced(equations, "stake", mind, stake)
    mind = mind._replace(stake=stake)
    incentive = horizon * b * stake - μ * concession - κ * (1.0 - ζ * s)
    incentive = replaced(equations, "incentive", mind, incentive)
    mind = mind._replace(incentive=incentive)
    d = replaced(equations, "decision", mind, logistic(h + τ * incentive))
    g = a * d
    policy = (1.0 - g) * value_policy + g * gaming_policy
    return Activations(
        *(u, own_policy, value_policy, gaming_policy, foreseen_policy, a, b),
        *(stake, concession, incentive, d, g, policy, mind),
    )


def replaced(equations: Equations, name: str, mind: Deliberation, standard: Array) -> Array:
    """Return what a user's own equation gives [C, n]; the standard where there is none."""
    equation = getattr(equations, name)
    if equation is None:
        return standard
    array = np.asarray(equation(mind), np.float64)
    try:
        return np.broadcast_to(array, standard.shape)
    except ValueError:
        raise SpecError(
            f"cognition.{name}: gives an array of shape {array.shape}: must be "
            f"({len(standard)}, agents), with a row for each context"
        ) from None


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
