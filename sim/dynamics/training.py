"""What training does to an agent: reward, gradient, update (MODEL.md section 4).

The gradient of the values is linear in the features: G = Σ_c Σ_k Φ_ck W_ck. Each part of it
(direct, motive, leak) adds its own coefficients to W, and one matrix product ends the step; no
array over contexts and values is ever made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from sim.dynamics.arrays import Assumptions, World
from sim.dynamics.cognition import Mind
from sim.dynamics.numerics import logistic, mean
from sim.dynamics.population import Traits
from sim.dynamics.state import Array, Layout, State
from sim.spec.agent import CAPABILITIES

OPACITY = CAPABILITIES.index("opacity")


@dataclass(frozen=True)
class Lesson:
    """What a training step finds out; buffers that are filled in place.

    Attributes:
        concealment: k_opacity [n].
        penalty: P [C, n].
        advantage: ΔR = R^g − R^v [C, n].
        objective: B [C, n].
        practice: p g [C, n].
        pressure: p a ΔR [C, n].
        gate: Γ = p ΔR a d (1 − d) [C, n].
        motive: ω Γ τ [C, n].
        foresight: ω Γ τ λ b β [C, n].
        coefficients: W [K − 1, C, n].
        scratch_k, scratch_c: room for what lies between, [K − 1, C, n] and [C, n].
        pull: anchor (θ − θ_0) [P, n].
        gradient: Δθ before the anchor [P, n]; rows that nothing trains stay zero.
        named: Views on the gradient by parameter.
    """

    concealment: Array
    penalty: Array
    advantage: Array
    objective: Array
    practice: Array
    pressure: Array
    gate: Array
    motive: Array
    foresight: Array
    coefficients: Array
    scratch_k: Array
    scratch_c: Array
    pull: Array
    gradient: Array
    named: State

    @classmethod
    def empty(
        cls, world: World, layout: Layout, agents: int, dtype: DTypeLike = np.float64
    ) -> Lesson:
        """Return a lesson with room for `agents` agents in the trained part of a world."""
        others, contexts = world.features.shape[:2]
        gradient = np.zeros((layout.size, agents), dtype)
        shapes = {
            "concealment": (agents,),
            **dict.fromkeys(_OVER_CONTEXTS, (contexts, agents)),
            **dict.fromkeys(("coefficients", "scratch_k"), (others, contexts, agents)),
            "pull": gradient.shape,
        }
        buffers = {name: np.empty(shape, dtype) for name, shape in shapes.items()}
        return cls(**buffers, gradient=gradient, named=layout.view(gradient))


_OVER_CONTEXTS = (
    "penalty",
    "advantage",
    "objective",
    "practice",
    "pressure",
    "gate",
    "motive",
    "foresight",
    "scratch_c",
)


def reward(
    lesson: Lesson, mind: Mind, world: World, state: State, assumptions: Assumptions
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
    lesson: Lesson,
    mind: Mind,
    world: World,
    traits: Traits,
    state: State,
    assumptions: Assumptions,
) -> None:
    """Fill in the gradient of every parameter; the world is the trained part of it."""
    _open_gate(lesson, mind, world, traits, state, assumptions)
    _learn_habit(lesson, world, assumptions)
    _learn_awareness(lesson, mind)
    _learn_horizon(lesson, mind, state)
    _learn_competence(lesson, mind, world, traits, state)
    _learn_capability(lesson, assumptions)
    _learn_values(lesson, mind, world, traits, assumptions)


def update(theta: Array, lesson: Lesson, assumptions: Assumptions, *, start: Array) -> None:
    """Move θ [P, n] in place from where it is: θ + Δθ − anchor (θ − θ_0); `start` is θ_0."""
    anchored = assumptions.anchor.any()
    if anchored:
        np.subtract(theta, start, out=lesson.pull)
        np.multiply(assumptions.anchor, lesson.pull, out=lesson.pull)
    np.multiply(assumptions.learning_rate, lesson.gradient, out=lesson.gradient)
    np.add(theta, lesson.gradient, out=theta)
    if anchored:
        np.subtract(theta, lesson.pull, out=theta)


def _open_gate(
    lesson: Lesson,
    mind: Mind,
    world: World,
    traits: Traits,
    state: State,
    assumptions: Assumptions,
) -> None:
    """Fill in p g, p a ΔR, Γ, ω Γ τ and ω Γ τ λ b β, which the gradients share."""
    np.multiply(world.weight, mind.gaming_rate, out=lesson.practice)
    np.multiply(world.weight, lesson.advantage, out=lesson.pressure)
    np.multiply(mind.awareness, lesson.pressure, out=lesson.pressure)
    np.subtract(1.0, mind.decision, out=lesson.gate)
    np.multiply(mind.decision, lesson.gate, out=lesson.gate)
    np.multiply(lesson.pressure, lesson.gate, out=lesson.gate)
    np.multiply(traits.rationality * assumptions.motive_credit, lesson.gate, out=lesson.motive)
    foreseen = np.exp(state.log_horizon) * traits.decisiveness
    np.multiply(mind.belief, lesson.motive, out=lesson.foresight)
    np.multiply(foreseen, lesson.foresight, out=lesson.foresight)


def _learn_habit(lesson: Lesson, world: World, assumptions: Assumptions) -> None:
    """K Γ with K = (1 − ρ) I + ρ S: what is learnt in trained contexts reaches all by S."""
    learnt = lesson.pressure if assumptions.update_rule == "replicator" else lesson.gate
    habit = lesson.named.habit
    if assumptions.spread.any():
        np.matmul(world.similarity, learnt, out=habit)
        np.multiply(assumptions.spread, habit, out=habit)
        np.multiply(1.0 - assumptions.spread, learnt, out=lesson.scratch_c)
        for place, own in zip(world.places, lesson.scratch_c, strict=True):
            np.add(habit[place], own, out=habit[place])
    else:
        habit[world.places] = learnt


def _learn_awareness(lesson: Lesson, mind: Mind) -> None:
    """Σ p ΔR a (1 − a) d."""
    np.subtract(1.0, mind.awareness, out=lesson.scratch_c)
    np.multiply(lesson.pressure, lesson.scratch_c, out=lesson.scratch_c)
    np.multiply(mind.decision, lesson.scratch_c, out=lesson.scratch_c)
    np.add.reduce(lesson.scratch_c, axis=0, out=lesson.named.awareness)


def _learn_horizon(lesson: Lesson, mind: Mind, state: State) -> None:
    """ω Σ Γ τ λ b stake."""
    np.multiply(mind.belief, mind.stake, out=lesson.scratch_c)
    np.multiply(lesson.motive, lesson.scratch_c, out=lesson.scratch_c)
    horizon = lesson.named.log_horizon
    np.add.reduce(lesson.scratch_c, axis=0, out=horizon)
    np.multiply(np.exp(state.log_horizon), horizon, out=horizon)


def _learn_competence(
    lesson: Lesson, mind: Mind, world: World, traits: Traits, state: State
) -> None:
    """exp(ς) Σ [p g Var_{π^r}(R) + ω Γ τ μ Cov_{π^r}(u, R)]."""
    competence = lesson.named.log_competence
    share = lesson.coefficients
    np.subtract(world.reward, mind.gaming_reward, out=share)
    np.multiply(mind.gaming_policy, share, out=share)
    mean(share, world.reward, out=lesson.scratch_c, scratch=lesson.scratch_k)
    np.multiply(lesson.practice, lesson.scratch_c, out=lesson.scratch_c)
    np.add.reduce(lesson.scratch_c, axis=0, out=competence)
    if traits.episode_concern.any():
        mean(share, mind.utility, out=lesson.scratch_c, scratch=lesson.scratch_k)
        np.multiply(lesson.motive, lesson.scratch_c, out=lesson.scratch_c)
        np.multiply(traits.episode_concern, lesson.scratch_c, out=lesson.scratch_c)
        competence += np.add.reduce(lesson.scratch_c, axis=0)
    np.multiply(np.exp(state.log_competence), competence, out=competence)


def _learn_capability(lesson: Lesson, assumptions: Assumptions) -> None:
    """Transfer Σ p g, and for opacity Σ p g ψ m s k (1 − k), which is k Σ p g P."""
    capability = lesson.named.capability
    np.multiply(assumptions.transfer, np.add.reduce(lesson.practice, axis=0), out=capability)
    if assumptions.visible_gaming_penalty.any():
        np.multiply(lesson.practice, lesson.penalty, out=lesson.scratch_c)
        capability[OPACITY] += lesson.concealment * np.add.reduce(lesson.scratch_c, axis=0)


def _learn_values(
    lesson: Lesson, mind: Mind, world: World, traits: Traits, assumptions: Assumptions
) -> None:
    """G_direct + ω G_motive + ε G_leak."""
    _weigh_value_policy(lesson, mind, world, traits, assumptions)
    _weigh_gaming_policy(lesson, mind, world, traits, assumptions)
    others, contexts, agents = lesson.coefficients.shape
    np.matmul(
        world.features.reshape(others * contexts, world.features.shape[2]).T,
        lesson.coefficients.reshape(others * contexts, agents),
        out=lesson.named.values,
    )


def _weigh_value_policy(
    lesson: Lesson, mind: Mind, world: World, traits: Traits, assumptions: Assumptions
) -> None:
    """Write into W what G holds as means over π^v.

    That is π^v_k times

        p β (1 − g) R                             directly
        β X Cov(u, R) − (1 + β u) (X R + M)       through the motive
        − ε p g β (R^g − B)                       through the leak

    with centred u and R, X = ω Γ τ λ b β (stake) and M = ω Γ τ μ (concession).
    """
    scale, moved, appeal = lesson.scratch_c, lesson.scratch_k, mind.scratch_k
    np.subtract(world.weight, lesson.practice, out=scale)
    np.multiply(traits.decisiveness, scale, out=scale)
    np.multiply(scale, mind.centred_reward, out=lesson.coefficients)
    if assumptions.motive_credit.any():
        np.multiply(traits.episode_concern, lesson.motive, out=scale)
        np.multiply(lesson.foresight, mind.centred_reward, out=moved)
        np.add(moved, scale, out=moved)
        np.multiply(traits.decisiveness, mind.centred_utility, out=appeal)
        np.add(appeal, 1.0, out=appeal)
        np.multiply(appeal, moved, out=moved)
        np.subtract(lesson.coefficients, moved, out=lesson.coefficients)
        np.multiply(lesson.foresight, mind.stake, out=scale)  # −β Cov is the stake
        np.subtract(lesson.coefficients, scale, out=lesson.coefficients)
    if assumptions.leak.any():
        np.subtract(lesson.advantage, lesson.objective, out=scale)
        np.add(mind.value_reward, scale, out=scale)
        np.multiply(lesson.practice, scale, out=scale)
        np.multiply(assumptions.leak * traits.decisiveness, scale, out=scale)
        np.subtract(lesson.coefficients, scale, out=lesson.coefficients)
    np.multiply(mind.value_policy, lesson.coefficients, out=lesson.coefficients)


def _weigh_gaming_policy(
    lesson: Lesson, mind: Mind, world: World, traits: Traits, assumptions: Assumptions
) -> None:
    """Add to W what G holds as means over π^r: π^r_k (M + ε p g β (R_k − P − B))."""
    scale, gained = lesson.scratch_c, lesson.scratch_k
    if assumptions.motive_credit.any() and traits.episode_concern.any():
        np.multiply(traits.episode_concern, lesson.motive, out=scale)
        np.multiply(mind.gaming_policy, scale, out=gained)
        np.add(lesson.coefficients, gained, out=lesson.coefficients)
    if assumptions.leak.any():
        np.add(lesson.penalty, lesson.objective, out=scale)
        np.subtract(world.reward, scale, out=gained)
        np.multiply(mind.gaming_policy, gained, out=gained)
        np.multiply(assumptions.leak * traits.decisiveness, lesson.practice, out=scale)
        np.multiply(scale, gained, out=gained)
        np.add(lesson.coefficients, gained, out=lesson.coefficients)
