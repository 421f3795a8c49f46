"""A training step: reward, gradient, update (MODEL.md section 4).

The gradient is taken exactly, or from sampled episodes. An estimator fills in how much the agent
practised gaming, what opened or closed the gate, and how answers were reinforced. What follows from
these (credit for motives, spread, transfer, learning rates) is the same for both (`learn`).

REINFORCE scores the mode and the response. The penalty for visible gaming depends on opacity
directly, and no score of a mode or a response sees that: this part of the gradient is taken along
the path, where gaming was practised. Then the mean is the exact gradient.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from sim.dynamics.cognition import Activations
from sim.dynamics.episodes import at, draw_episodes
from sim.dynamics.numerics import buffers, carry_over, distribute, logistic
from sim.dynamics.population import AgentIds, Traits
from sim.dynamics.program import Assumptions, World
from sim.dynamics.state import Array, Layout, State
from sim.specs.agent import CAPABILITIES

OPACITY = CAPABILITIES.index("opacity")
#: The stream of the episodes that agents are trained on.
TRAINING_EPISODES = "episode"


class StepBuffers:
    """Terms of a training step in the trained contexts; filled in place.

    The gradient of the values is linear in the features: G = Σ_c Σ_k Φ_ck W_ck. Each part of it
    (direct, motive, leak) adds its own coefficients to W, and one matrix product ends the step; no
    array over contexts and values is ever made.

    Attributes, by shape:
        [K − 1, C, n]: aim π^r (R − E_{π^r} R); coefficients W; scratch_k.
        [C, n]: penalty P; advantage ΔR = R^g − R^v; objective B; practice p g, pressure p a ΔR and
            gate Γ = p ΔR a d (1 − d), or estimates; motive ω Γ τ; foresight ω Γ τ λ b β; leak
            ε p g; scratch_c.
        [n]: concealment k_opacity.
        [P, n]: pull = anchor (θ − θ_0); gradient, Δθ before the anchor, with zeros where nothing
            is trained; by_kind, views on it.
    """

    def __init__(
        self, world: World, layout: Layout, agents: int, dtype: DTypeLike = np.float64
    ) -> None:
        count, contexts = world.features.shape[:2]
        k, c = (count, contexts, agents), (contexts, agents)
        self.aim, self.coefficients, self.scratch_k = buffers(3, k, dtype)
        self.penalty, self.advantage, self.objective = buffers(3, c, dtype)
        self.practice, self.pressure, self.gate, self.motive = buffers(4, c, dtype)
        self.foresight, self.leak, self.scratch_c = buffers(3, c, dtype)
        self.concealment = np.empty(agents, dtype)
        self.pull, self.gradient = np.zeros((2, layout.size, agents), dtype)
        self.by_kind = layout.view(self.gradient)


def reward(
    terms: StepBuffers, mind: Activations, world: World, state: State, assumptions: Assumptions
) -> None:
    """Fill in penalty, advantage and objective of each context.

    P = ψ m s (1 − k_opacity);  ΔR = E_{π^r} R − P − E_{π^v} R;  B = R^v + g ΔR.
    """
    logistic(state.capability[OPACITY], out=terms.concealment)
    np.multiply(world.monitor * world.scratchpad, 1.0 - terms.concealment, out=terms.penalty)
    np.multiply(assumptions.visible_gaming_penalty, terms.penalty, out=terms.penalty)
    np.subtract(mind.gaming_reward, terms.penalty, out=terms.advantage)
    np.subtract(terms.advantage, mind.value_reward, out=terms.advantage)
    np.multiply(mind.gaming_rate, terms.advantage, out=terms.objective)
    np.add(mind.value_reward, terms.objective, out=terms.objective)


def learn(
    terms: StepBuffers,
    mind: Activations,
    world: World,
    traits: Traits,
    ids: AgentIds,
    state: State,
    assumptions: Assumptions,
    step: int,
) -> None:
    """Fill in the gradient of every parameter; the world is the trained part of it."""
    np.subtract(world.reward, mind.gaming_reward, out=terms.aim)
    np.multiply(mind.gaming_policy, terms.aim, out=terms.aim)
    if assumptions.estimator == "sampled":
        estimate_from_episodes(terms, mind, world, traits, ids, assumptions, step)
    else:
        estimate_exactly(terms, mind, world, traits, assumptions)
    _credit_motives(terms, mind, traits, state, assumptions)
    _learn_habit(terms, world, assumptions)
    _learn_horizon(terms, mind, state)
    _learn_competence(terms, mind, traits, state)
    _learn_capability(terms, assumptions)
    _learn_values(terms, mind, world, traits, assumptions)


def update(theta: Array, terms: StepBuffers, assumptions: Assumptions, *, origin: Array) -> None:
    """Move θ [P, n] in place: θ + η Δθ − anchor (θ − θ_0), where `origin` is θ_0."""
    pulls = assumptions.anchor.any()
    if pulls:
        np.subtract(theta, origin, out=terms.pull)
        np.multiply(assumptions.anchor, terms.pull, out=terms.pull)
    np.multiply(assumptions.learning_rate, terms.gradient, out=terms.gradient)
    np.add(theta, terms.gradient, out=theta)
    if pulls:
        np.subtract(theta, terms.pull, out=theta)


# ------------------------------------------------------------------------------------ estimators


def estimate_exactly(
    terms: StepBuffers, mind: Activations, world: World, traits: Traits, assumptions: Assumptions
) -> None:
    """Fill in expectations over contexts, modes and responses.

    Practice p g, pressure p a ΔR, gate Γ = p ΔR a d (1 − d);
    α: Σ p ΔR a (1 − a) d;  ς: Σ p g Var_{π^r}(R);
    W: π^v β p (1 − g) (R − E R), and with leak ε p g β (π^r (R − P − B) − π^v (R^g − B)).
    """
    np.multiply(world.weight, mind.gaming_rate, out=terms.practice)
    np.multiply(world.weight, terms.advantage, out=terms.pressure)
    np.multiply(mind.awareness, terms.pressure, out=terms.pressure)
    np.multiply(mind.decision, terms.pressure, out=terms.gate)
    np.subtract(1.0, mind.awareness, out=terms.scratch_c)
    np.multiply(terms.gate, terms.scratch_c, out=terms.scratch_c)
    np.add.reduce(terms.scratch_c, axis=0, out=terms.by_kind.awareness)
    np.subtract(1.0, mind.decision, out=terms.scratch_c)
    np.multiply(terms.gate, terms.scratch_c, out=terms.gate)

    np.multiply(terms.aim, world.reward, out=terms.scratch_k)
    np.add.reduce(terms.scratch_k, axis=0, out=terms.scratch_c)
    np.multiply(terms.practice, terms.scratch_c, out=terms.scratch_c)
    np.add.reduce(terms.scratch_c, axis=0, out=terms.by_kind.log_competence)

    np.subtract(world.weight, terms.practice, out=terms.scratch_c)
    np.multiply(terms.scratch_c, mind.centred_reward, out=terms.coefficients)
    np.multiply(mind.value_policy, terms.coefficients, out=terms.coefficients)
    if assumptions.leak.any():
        _leak(terms, mind, world, assumptions)
    np.multiply(traits.decisiveness, terms.coefficients, out=terms.coefficients)


def _leak(terms: StepBuffers, mind: Activations, world: World, assumptions: Assumptions) -> None:
    """Add ε p g (π^r (R − P − B) − π^v (R^g − B)) to the coefficients."""
    leak, gain, baseline = terms.leak, terms.scratch_k, terms.scratch_c
    np.multiply(assumptions.leak, terms.practice, out=leak)
    np.add(terms.penalty, terms.objective, out=baseline)
    np.subtract(world.reward, baseline, out=gain)
    np.multiply(mind.gaming_policy, gain, out=gain)
    np.multiply(leak, gain, out=gain)
    np.add(terms.coefficients, gain, out=terms.coefficients)
    np.subtract(mind.gaming_reward, baseline, out=baseline)
    np.multiply(leak, baseline, out=leak)
    np.multiply(mind.value_policy, leak, out=gain)
    np.subtract(terms.coefficients, gain, out=terms.coefficients)


def estimate_from_episodes(
    terms: StepBuffers,
    mind: Activations,
    world: World,
    traits: Traits,
    ids: AgentIds,
    assumptions: Assumptions,
    step: int,
) -> None:
    """Fill in means over B episodes of reward less the baseline B_c, times the score.

    With A = r − B_c and z = 1 where gamed, −g / (1 − g) where not: the gate is A z (1 − d), the
    pull on α is A z (1 − a), and the pressure of the replicator rule A z a / g.
    """
    episodes = draw_episodes(
        mind,
        terms.penalty,
        world,
        ids,
        count=assumptions.episodes,
        step=step,
        stream=TRAINING_EPISODES,
    )
    context, gaming = episodes.context, episodes.gaming
    awareness, decision = at(mind.awareness, context), at(mind.decision, context)
    advantage = (episodes.reward - at(terms.objective, context)) / assumptions.episodes
    not_gaming = (1.0 - awareness) + awareness * (1.0 - decision)
    score = np.where(gaming, 1.0, -awareness * decision / not_gaming) * advantage
    pressure = np.where(gaming, 1.0 / decision, -awareness / not_gaming) * advantage
    gate = score * (1.0 - decision)
    credit = np.where(gaming, assumptions.leak, 1.0) * traits.decisiveness * advantage
    practice = gaming / assumptions.episodes
    for c in range(len(terms.gate)):
        in_context = context == c
        np.add.reduce(gate * in_context, axis=0, out=terms.gate[c])
        np.add.reduce(pressure * in_context, axis=0, out=terms.pressure[c])
        np.add.reduce(practice * in_context, axis=0, out=terms.practice[c])
        np.add.reduce(credit * in_context, axis=0, out=terms.scratch_c[c])
        for k, coefficients in enumerate(terms.coefficients):
            matches = in_context & (episodes.response == k + 1)
            np.add.reduce(credit * matches, axis=0, out=coefficients[c])
    np.multiply(mind.value_policy, terms.scratch_c, out=terms.scratch_k)
    np.subtract(terms.coefficients, terms.scratch_k, out=terms.coefficients)
    np.add.reduce(score * (1.0 - awareness), axis=0, out=terms.by_kind.awareness)
    surprise = episodes.reward + at(terms.penalty, context) - at(mind.gaming_reward, context)
    hit = np.where(gaming, advantage * surprise, 0.0)
    np.add.reduce(hit, axis=0, out=terms.by_kind.log_competence)


# ------------------------------------------------------------------------------------- gradients


def _credit_motives(
    terms: StepBuffers, mind: Activations, traits: Traits, state: State, assumptions: Assumptions
) -> None:
    """Fill in ω Γ τ and ω Γ τ λ b β, by which credit flows through the decision to game."""
    np.multiply(traits.rationality * assumptions.motive_credit, terms.gate, out=terms.motive)
    horizon = np.exp(state.log_horizon) * traits.decisiveness
    np.multiply(mind.belief, terms.motive, out=terms.foresight)
    np.multiply(horizon, terms.foresight, out=terms.foresight)


def _learn_habit(terms: StepBuffers, world: World, assumptions: Assumptions) -> None:
    """K Γ with K = (1 − ρ) I + ρ S: what is learnt in trained contexts reaches all by S."""
    learning = terms.pressure if assumptions.update_rule == "replicator" else terms.gate
    habit = terms.by_kind.habit
    if assumptions.spread.any():
        carry_over(world.similarity, learning, out=habit)
        np.multiply(assumptions.spread, habit, out=habit)
        np.multiply(1.0 - assumptions.spread, learning, out=terms.scratch_c)
        for place, own in zip(world.places, terms.scratch_c, strict=True):
            np.add(habit[place], own, out=habit[place])
    else:
        habit[world.places] = learning


def _learn_horizon(terms: StepBuffers, mind: Activations, state: State) -> None:
    """ω Σ Γ τ λ b stake."""
    np.multiply(mind.belief, mind.stake, out=terms.scratch_c)
    np.multiply(terms.motive, terms.scratch_c, out=terms.scratch_c)
    horizon = terms.by_kind.log_horizon
    np.add.reduce(terms.scratch_c, axis=0, out=horizon)
    np.multiply(np.exp(state.log_horizon), horizon, out=horizon)


def _learn_competence(terms: StepBuffers, mind: Activations, traits: Traits, state: State) -> None:
    """exp(ς) Σ [p g Var_{π^r}(R) + ω Γ τ μ Cov_{π^r}(u, R)]; the estimator has the first part."""
    competence = terms.by_kind.log_competence
    if traits.episode_concern.any():
        np.multiply(terms.aim, mind.utility, out=terms.scratch_k)
        np.add.reduce(terms.scratch_k, axis=0, out=terms.scratch_c)
        np.multiply(terms.motive, terms.scratch_c, out=terms.scratch_c)
        concession = np.add.reduce(terms.scratch_c, axis=0)
        competence += traits.episode_concern * concession
    np.multiply(np.exp(state.log_competence), competence, out=competence)


def _learn_capability(terms: StepBuffers, assumptions: Assumptions) -> None:
    """Transfer Σ p g, and for opacity Σ p g ψ m s k (1 − k), which is k Σ p g P."""
    capability = terms.by_kind.capability
    np.multiply(assumptions.transfer, np.add.reduce(terms.practice, axis=0), out=capability)
    if assumptions.visible_gaming_penalty.any():
        np.multiply(terms.practice, terms.penalty, out=terms.scratch_c)
        capability[OPACITY] += terms.concealment * np.add.reduce(terms.scratch_c, axis=0)


def _learn_values(
    terms: StepBuffers, mind: Activations, world: World, traits: Traits, assumptions: Assumptions
) -> None:
    """G_direct + ω G_motive + ε G_leak; the estimator has all but the motive's part of W.

    That is, with X = ω Γ τ λ b β (stake) and M = ω Γ τ μ (concession), both centred,

        π^v (β X Cov(u, R) − (1 + β u) (X R + M)) + π^r M.
    """
    if assumptions.motive_credit.any():
        scale, change, appeal = terms.scratch_c, terms.scratch_k, mind.scratch_k
        np.multiply(traits.episode_concern, terms.motive, out=scale)
        np.multiply(mind.gaming_policy, scale, out=change)
        np.add(terms.coefficients, change, out=terms.coefficients)
        np.multiply(terms.foresight, mind.centred_reward, out=change)
        np.add(change, scale, out=change)
        np.multiply(traits.decisiveness, mind.centred_utility, out=appeal)
        np.add(appeal, 1.0, out=appeal)
        np.multiply(appeal, change, out=change)
        np.multiply(terms.foresight, mind.stake, out=scale)  # −β Cov is the stake
        np.add(change, scale, out=change)
        np.multiply(mind.value_policy, change, out=change)
        np.subtract(terms.coefficients, change, out=terms.coefficients)
    distribute(
        world.features, terms.coefficients, out=terms.by_kind.values, scratch=terms.scratch_k
    )
