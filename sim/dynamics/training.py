"""What training does to an agent: reward, gradient, update (MODEL.md section 4)."""

from __future__ import annotations

import numpy as np

from sim.dynamics.cognition import Activations
from sim.dynamics.compile import Assumptions, World
from sim.dynamics.estimators import estimator
from sim.dynamics.numerics import carry_over, distribute, logistic
from sim.dynamics.population import AgentIds, Traits
from sim.dynamics.state import Array, State
from sim.dynamics.step_buffers import StepBuffers
from sim.specs.agent import CAPABILITIES

OPACITY = CAPABILITIES.index("opacity")


def reward(
    lesson: StepBuffers, mind: Activations, world: World, state: State, assumptions: Assumptions
) -> None:
    """Fill in what each mode of thought earns.

    P = ψ m s (1 − k_opacity);  ΔR = E_{π^r} R − P − E_{π^v} R;  B = R^v + g ΔR.
    """
    logistic(state.capability[OPACITY], out=lesson.concealment)
    np.multiply(world.monitor * world.scratchpad, 1.0 - lesson.concealment, out=lesson.penalty)
    np.multiply(assumptions.visible_gaming_penalty, lesson.penalty, out=lesson.penalty)
    np.subtract(mind.gaming_reward, lesson.penalty, out=lesson.advantage)
    np.subtract(lesson.advantage, mind.value_reward, out=lesson.advantage)
    np.multiply(mind.gaming_rate, lesson.advantage, out=lesson.objective)
    np.add(mind.value_reward, lesson.objective, out=lesson.objective)


def learn(
    lesson: StepBuffers,
    mind: Activations,
    world: World,
    traits: Traits,
    seats: AgentIds,
    state: State,
    assumptions: Assumptions,
    step: int,
) -> None:
    """Fill in the gradient of every parameter; the world is the trained part of it."""
    np.subtract(world.reward, mind.gaming_reward, out=lesson.aim)
    np.multiply(mind.gaming_policy, lesson.aim, out=lesson.aim)
    estimate = estimator(assumptions)
    estimate(lesson, mind, world, traits, seats, assumptions, step)
    _credit_motives(lesson, mind, traits, state, assumptions)
    _learn_habit(lesson, world, assumptions)
    _learn_horizon(lesson, mind, state)
    _learn_competence(lesson, mind, traits, state)
    _learn_capability(lesson, assumptions)
    _learn_values(lesson, mind, world, traits, assumptions)


def update(theta: Array, lesson: StepBuffers, assumptions: Assumptions, *, start: Array) -> None:
    """Move θ [P, n] in place from where it is: θ + Δθ − anchor (θ − θ_0); `start` is θ_0."""
    anchored = assumptions.anchor.any()
    if anchored:
        np.subtract(theta, start, out=lesson.pull)
        np.multiply(assumptions.anchor, lesson.pull, out=lesson.pull)
    np.multiply(assumptions.learning_rate, lesson.gradient, out=lesson.gradient)
    np.add(theta, lesson.gradient, out=theta)
    if anchored:
        np.subtract(theta, lesson.pull, out=theta)


def _credit_motives(
    lesson: StepBuffers, mind: Activations, traits: Traits, state: State, assumptions: Assumptions
) -> None:
    """Fill in ω Γ τ and ω Γ τ λ b β, by which credit flows through the decision to game."""
    np.multiply(traits.rationality * assumptions.motive_credit, lesson.gate, out=lesson.motive)
    foreseen = np.exp(state.log_horizon) * traits.decisiveness
    np.multiply(mind.belief, lesson.motive, out=lesson.foresight)
    np.multiply(foreseen, lesson.foresight, out=lesson.foresight)


def _learn_habit(lesson: StepBuffers, world: World, assumptions: Assumptions) -> None:
    """K Γ with K = (1 − ρ) I + ρ S: what is learnt in trained contexts reaches all by S."""
    learnt = lesson.pressure if assumptions.update_rule == "replicator" else lesson.gate
    habit = lesson.named.habit
    if assumptions.spread.any():
        carry_over(world.similarity, learnt, out=habit)
        np.multiply(assumptions.spread, habit, out=habit)
        np.multiply(1.0 - assumptions.spread, learnt, out=lesson.scratch_c)
        for place, own in zip(world.places, lesson.scratch_c, strict=True):
            np.add(habit[place], own, out=habit[place])
    else:
        habit[world.places] = learnt


def _learn_horizon(lesson: StepBuffers, mind: Activations, state: State) -> None:
    """ω Σ Γ τ λ b stake."""
    np.multiply(mind.belief, mind.stake, out=lesson.scratch_c)
    np.multiply(lesson.motive, lesson.scratch_c, out=lesson.scratch_c)
    horizon = lesson.named.log_horizon
    np.add.reduce(lesson.scratch_c, axis=0, out=horizon)
    np.multiply(np.exp(state.log_horizon), horizon, out=horizon)


def _learn_competence(lesson: StepBuffers, mind: Activations, traits: Traits, state: State) -> None:
    """exp(ς) Σ [p g Var_{π^r}(R) + ω Γ τ μ Cov_{π^r}(u, R)]; the estimator has the first part."""
    competence = lesson.named.log_competence
    if traits.episode_concern.any():
        np.multiply(lesson.aim, mind.utility, out=lesson.scratch_k)
        np.add.reduce(lesson.scratch_k, axis=0, out=lesson.scratch_c)
        np.multiply(lesson.motive, lesson.scratch_c, out=lesson.scratch_c)
        conceded = np.add.reduce(lesson.scratch_c, axis=0)
        competence += traits.episode_concern * conceded
    np.multiply(np.exp(state.log_competence), competence, out=competence)


def _learn_capability(lesson: StepBuffers, assumptions: Assumptions) -> None:
    """Transfer Σ p g, and for opacity Σ p g ψ m s k (1 − k), which is k Σ p g P."""
    capability = lesson.named.capability
    np.multiply(assumptions.transfer, np.add.reduce(lesson.practice, axis=0), out=capability)
    if assumptions.visible_gaming_penalty.any():
        np.multiply(lesson.practice, lesson.penalty, out=lesson.scratch_c)
        capability[OPACITY] += lesson.concealment * np.add.reduce(lesson.scratch_c, axis=0)


def _learn_values(
    lesson: StepBuffers, mind: Activations, world: World, traits: Traits, assumptions: Assumptions
) -> None:
    """G_direct + ω G_motive + ε G_leak; the estimator has all but the motive's part of W.

    That is, with X = ω Γ τ λ b β (stake) and M = ω Γ τ μ (concession), both centred,

        π^v (β X Cov(u, R) − (1 + β u) (X R + M)) + π^r M.
    """
    if assumptions.motive_credit.any():
        scale, moved, appeal = lesson.scratch_c, lesson.scratch_k, mind.scratch_k
        np.multiply(traits.episode_concern, lesson.motive, out=scale)
        np.multiply(mind.gaming_policy, scale, out=moved)
        np.add(lesson.coefficients, moved, out=lesson.coefficients)
        np.multiply(lesson.foresight, mind.centred_reward, out=moved)
        np.add(moved, scale, out=moved)
        np.multiply(traits.decisiveness, mind.centred_utility, out=appeal)
        np.add(appeal, 1.0, out=appeal)
        np.multiply(appeal, moved, out=moved)
        np.multiply(lesson.foresight, mind.stake, out=scale)  # −β Cov is the stake
        np.add(moved, scale, out=moved)
        np.multiply(mind.value_policy, moved, out=moved)
        np.subtract(lesson.coefficients, moved, out=lesson.coefficients)
    distribute(
        world.features, lesson.coefficients, out=lesson.named.values, scratch=lesson.scratch_k
    )
