"""A training step: payoff, gradient, update (MODEL.md section 4).

An estimator, exact or from sampled episodes, says how answers were reinforced, what opened or
closed the gate, and how much gaming was practised. The gradient of every parameter follows from
that alike. Symbols and axes are those of `sim.dynamics.cognition`.

REINFORCE scores the mode and the response. The penalty for visible gaming depends on opacity
directly, and no score of a mode or a response sees that: this part of the gradient is taken along
the path, where gaming was practised. Then the mean is the exact gradient.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.dynamics.cognition import Activations
from sim.dynamics.episodes import at, draw_episodes
from sim.dynamics.numerics import carry_over, distribute, logistic, mean
from sim.dynamics.population import AgentIds, Traits
from sim.dynamics.program import Assumptions, World
from sim.dynamics.state import Array, State
from sim.specs.agent import CAPABILITIES

OPACITY = CAPABILITIES.index("opacity")
#: The stream of the episodes that agents are trained on.
TRAINING_EPISODES = "episode"
#: Added to the standard deviation that divides normalised advantages.
SOFTENING = 0.01
#: Chances of demonstrated responses are taken to be this at least, so that y / π is a number.
LEAST_CHANCE = 1e-290


class Payoffs(NamedTuple):
    """What answers earn in the trained contexts."""

    payoff: Array  # F [K, C, n]
    penalty: Array  # P [C, n]
    by_values: Array  # F^v = E_{π^v} F [C, n]
    by_gaming: Array  # F^g = E_{π^r} F − P [C, n]
    baseline: Array  # B = (1 − g) F^v + g F^g [C, n]
    scale: Array  # by which weights are multiplied: 1, or 1 / (SD + 0.01) [C, n]


class Estimate(NamedTuple):
    """What an estimator makes of answers in the trained contexts."""

    answers: Array  # M: reinforcement of answers without gaming, leak included [K, C, n]
    gate: Array  # Γ = p ΔF a d (1 − d) [C, n]
    drive: Array  # p a ΔF: Γ under the natural gradient [C, n]
    attention: Array  # p ΔF a (1 − a) d [C, n]
    precision: Array  # p g Cov_{π^r}(F, R) [C, n]
    concealment: Array  # p g P [C, n]
    practice: Array  # p g, p not normalised [C, n]


def penalty(world: World, state: State, assumptions: Assumptions) -> Array:
    """Return P = ψ m s (1 − k_opacity) [C, n]; 0 in demonstrations."""
    visible = world.monitor * world.scratchpad * (1.0 - logistic(state.capability[OPACITY]))
    return np.where(world.demonstrates, 0.0, assumptions.visible_gaming_penalty * visible)


def pay(mind: Activations, world: World, state: State, assumptions: Assumptions) -> Payoffs:
    """Return payoffs: F = R, or y / π in demonstrations."""
    F, P = world.reward, penalty(world, state, assumptions)
    if world.demonstrates.any():
        F = np.where(world.demonstrates, _per_chance(world.demonstrations, mind.policy), F)
    paid = _payoffs(mind, F, P)
    if assumptions.advantages == "raw":
        return paid
    g, B = mind.gaming_rate, paid.baseline
    variance = (1.0 - g) * mean(mind.value_policy, (F - B) ** 2)
    variance += g * mean(mind.gaming_policy, (F - P - B) ** 2)
    scale = np.where(world.demonstrates, 1.0, 1.0 / (np.sqrt(variance) + SOFTENING))
    return paid._replace(scale=scale)


def _per_chance(shares: Array, policy: Array) -> Array:
    """Return y / π [K, C, n]."""
    return np.asarray(shares / np.maximum(policy, LEAST_CHANCE))


def _payoffs(mind: Activations, F: Array, P: Array) -> Payoffs:
    g, by_values, by_gaming = (
        mind.gaming_rate,
        mean(mind.value_policy, F),
        mean(mind.gaming_policy, F) - P,
    )
    baseline = (1.0 - g) * by_values + g * by_gaming
    return Payoffs(F, P, by_values, by_gaming, baseline, np.ones_like(g))


def estimate_exactly(
    mind: Activations, world: World, paid: Payoffs, weight: Array, assumptions: Assumptions
) -> Estimate:
    """Return expectations over contexts with weights [C, n], modes and responses."""
    F, P, Fv, Fg, B, scale = paid
    a, d, g = mind.awareness, mind.decision, mind.gaming_rate
    p, ΔF, R = weight * scale, Fg - Fv, world.reward
    answers = p * (1.0 - g) * mind.value_policy * (F - Fv)
    if assumptions.leak.any():
        gamed = mind.gaming_policy * (F - P - B) - mind.value_policy * (Fg - B)
        answers = answers + assumptions.leak * p * g * gamed
    return Estimate(
        answers=answers,
        gate=p * ΔF * a * d * (1.0 - d),
        drive=p * ΔF * a,
        attention=p * ΔF * a * (1.0 - a) * d,
        precision=p * g * covariance(mind.gaming_policy, F, R),
        concealment=p * g * P,
        practice=weight * g,
    )


def covariance(policy: Array, x: Array, y: Array) -> Array:
    """Return Cov_π(x, y) [C, n]."""
    return mean(policy, (x - mean(policy, x)) * y)


def estimate_from_episodes(
    mind: Activations,
    world: World,
    paid: Payoffs,
    *,
    ids: AgentIds,
    assumptions: Assumptions,
    step: int,
) -> Estimate:
    """Return means over B episodes.

    Where reinforcement trains, of reward less the baseline B_c times the score: with A = r − B_c
    and z = 1 where gamed, −g / (1 − g) where not, the gate is A z (1 − d), the pull on α is
    A z (1 − a), and the drive A z a / g. Where demonstrations do, of the exact gradient of each
    log-likelihood: F is the share of the episodes that demonstrated a response, over its chance.
    """
    count = assumptions.episodes
    drawn = draw_episodes(
        mind, paid.penalty, world, ids, count=count, step=step, stream=TRAINING_EPISODES
    )
    context, gaming = drawn.context, drawn.gaming
    a, d = at(mind.awareness, context), at(mind.decision, context)
    A = at(paid.scale, context) * (drawn.reward - at(paid.baseline, context)) / count
    not_gaming = (1.0 - a) + a * (1.0 - d)
    score = np.where(gaming, 1.0, -a * d / not_gaming) * A
    drive = np.where(gaming, 1.0 / d, -a / not_gaming) * A
    credit = np.where(gaming, assumptions.leak, 1.0) * A
    expected = at(mean(mind.gaming_policy, world.reward), context)
    surprise = drawn.reward + at(paid.penalty, context) - expected
    contexts = [context == c for c in range(len(mind.decision))]

    def by_context(x: Array) -> Array:
        return np.stack([np.where(here, x, 0.0).sum(axis=0) for here in contexts])

    def by_response(x: Array) -> Array:
        chosen = [drawn.response == k for k in range(len(mind.policy))]
        return np.stack([by_context(np.where(here, x, 0.0)) for here in chosen])

    practice = by_context(gaming / count)
    estimate = Estimate(
        answers=by_response(credit) - mind.value_policy * by_context(credit),
        gate=by_context(score * (1.0 - d)),
        drive=by_context(drive),
        attention=by_context(score * (1.0 - a)),
        precision=by_context(np.where(gaming, A * surprise, 0.0)),
        concealment=practice * paid.scale * paid.penalty,
        practice=practice,
    )
    if not world.demonstrates.any():
        return estimate
    shown = by_response(np.full(context.shape, 1.0 / count))
    demonstrated = _payoffs(mind, _per_chance(shown, mind.policy), paid.penalty)
    exact = estimate_exactly(mind, world, demonstrated, np.ones_like(practice), assumptions)
    exact = exact._replace(practice=shown.sum(axis=0) * mind.gaming_rate)
    pairs = zip(exact, estimate, strict=True)
    return Estimate(*(np.where(world.demonstrates, x, y) for x, y in pairs))


def gradient(
    estimate: Estimate,
    mind: Activations,
    world: World,
    traits: Traits,
    state: State,
    assumptions: Assumptions,
) -> State:
    """Return Δθ before learning rates and the anchor; the world is the trained part of it.

    Motives get the part of Γ that credit flows through: ω Γ τ ∂I/∂x. For the values, with
    ∂(E_π u)/∂u_k = π_k (1 + β (u_k − E_π u)), all parts of the gradient are sums Σ Φ W.
    """
    β, τ, μ = traits.decisiveness, traits.rationality, traits.episode_concern
    u, R, horizon = mind.utility, world.reward, np.exp(state.log_horizon)
    answers, Γ = estimate.answers, estimate.gate
    learnt = estimate.drive if assumptions.update_rule == "natural_gradient" else Γ
    motive = assumptions.motive_credit * Γ * τ
    care = motive * horizon * mind.belief

    weights = β * answers
    if assumptions.motive_credit.any():
        own, foreseen = (
            policy * (1.0 + β * (u - mean(policy, u)))
            for policy in (mind.own_policy, mind.foreseen_policy)
        )
        weights = weights + care * (own - foreseen) - motive * μ * (own - mind.gaming_policy)
    concession = motive * μ * covariance(mind.gaming_policy, u, R)
    capability = assumptions.transfer * estimate.practice.sum(axis=0)
    capability[OPACITY] += logistic(state.capability[OPACITY]) * estimate.concealment.sum(axis=0)
    return State(
        values=distribute(world.features, weights),
        propensity=_carried_answers(answers, world, assumptions, state.propensity),
        habit=_carried(learnt, world, assumptions.habit_generalisation, state.habit),
        awareness=estimate.attention.sum(axis=0),
        log_horizon=(care * mind.stake).sum(axis=0),
        log_competence=np.exp(state.log_competence) * (estimate.precision + concession).sum(axis=0),
        capability=capability,
    )


def _carried(own: Array, world: World, share: Array, like: Array) -> Array:
    """Return (1 − ρ) x + ρ S x [C', n]: what is learnt in trained contexts [C, n] reaches all."""
    total = np.zeros_like(like)
    total[world.places] = (1.0 - share) * own
    return total + share * carry_over(world.similarity, own) if share.any() else total


def _carried_answers(answers: Array, world: World, assumptions: Assumptions, like: Array) -> Array:
    """Return (1 − ρ) M + ρ Σ_c' S_cc' M_c'k' [K, C', n], over responses k' of the same name."""
    share = assumptions.propensity_generalisation
    total = np.zeros((*like.shape[:2], answers.shape[-1]), answers.dtype)
    total[:, world.places] = (1.0 - share) * answers
    if share.any():
        for name in range(world.response_everywhere.max() + 1):
            learnt = (answers * (world.response == name)[..., None]).sum(axis=0)
            receives = (world.response_everywhere == name)[..., None]
            total = total + receives * share * carry_over(world.similarity, learnt)
    return total


def update(theta: Array, change: Array, assumptions: Assumptions, *, origin: Array) -> Array:
    """Return θ + η Δθ − anchor (θ − θ_0) [P, n], where `origin` is θ_0."""
    moved = theta + assumptions.learning_rate * change
    return moved - assumptions.anchor * (theta - origin) if assumptions.anchor.any() else moved
