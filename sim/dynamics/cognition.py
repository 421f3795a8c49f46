"""Cognition of agents, in order (MODEL.md section 3): perceive, anticipate, decide, respond.

Functions fill in `Activations`: arrays over responses (K − 1: all but the first, the origin; see
`sim.dynamics.program`), contexts (C) and agents (n, last). They allocate nothing of that size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from sim.dynamics.numerics import buffers, combine, logistic, mean, softmax
from sim.dynamics.population import Traits
from sim.dynamics.program import World
from sim.dynamics.state import Array, State


class Activations:
    """Beliefs, policies and incentives of n agents in C contexts with K responses; filled in place.

    Attributes, by shape:
        [K − 1, C, n]: utility u; centred_utility u − E_{π^v} u; centred_reward R − E_{π^v} R;
            value_policy π^v, gaming_policy π^r, policy π; scratch_k.
        [C, n]: salience χ i + γ s; belief b; cost κ (1 − ζ s); awareness a; value_reward and
            gaming_reward, E_{π^v} R and E_{π^r} R, penalty not yet taken off; stake; concession
            E_{π^v} u − E_{π^r} u; incentive I; decision d; gaming_rate g; scratch_c.
        [2, C, n]: scratch_2c.
    """

    def __init__(self, world: World, agents: int, dtype: DTypeLike = np.float64) -> None:
        count, contexts = world.features.shape[:2]
        k, c = (count, contexts, agents), (contexts, agents)
        self.utility, self.centred_utility, self.centred_reward = buffers(3, k, dtype)
        self.value_policy, self.gaming_policy, self.policy = buffers(3, k, dtype)
        self.salience, self.belief, self.cost, self.awareness = buffers(4, c, dtype)
        self.value_reward, self.gaming_reward, self.stake = buffers(3, c, dtype)
        self.concession, self.incentive, self.decision = buffers(3, c, dtype)
        self.gaming_rate, self.scratch_c = buffers(2, c, dtype)
        self.scratch_k, self.scratch_2c = np.empty(k, dtype), np.empty((2, *c), dtype)


def attend(mind: Activations, world: World, traits: Traits) -> None:
    """Fill in the effects of inputs, which training does not change (3.3, 3.5).

    salience = χ i + γ s, belief b = σ(δ e), cost = κ (1 − ζ s).
    """
    np.multiply(traits.info_sensitivity, world.info, out=mind.salience)
    np.multiply(traits.scratchpad_sensitivity, world.scratchpad, out=mind.scratch_c)
    np.add(mind.salience, mind.scratch_c, out=mind.salience)
    np.multiply(traits.discernment, world.cue, out=mind.belief)
    logistic(mind.belief, out=mind.belief)
    np.multiply(traits.scratchpad_saving, world.scratchpad, out=mind.cost)
    np.subtract(1.0, mind.cost, out=mind.cost)
    np.multiply(traits.reasoning_cost, mind.cost, out=mind.cost)


def think(mind: Activations, world: World, traits: Traits, state: State) -> None:
    """Fill in everything up to the gaming rate: perceive, anticipate, decide."""
    perceive(mind, world, traits, state)
    anticipate(mind, world, traits, state)
    decide(mind, world, traits, state)


def perceive(mind: Activations, world: World, traits: Traits, state: State) -> None:
    """Fill in utility, both policies and awareness (3.1 to 3.3).

    u = Φ v, π^v = softmax(β u); π^r = softmax(exp(ς) R); a = σ(α + χ i + γ s).
    """
    combine(world.features, state.values, out=mind.utility, scratch=mind.scratch_k)
    np.multiply(traits.decisiveness, mind.utility, out=mind.value_policy)
    softmax(mind.value_policy, absent=world.absent, scratch=mind.scratch_2c)
    np.multiply(np.exp(state.log_competence), world.reward, out=mind.gaming_policy)
    softmax(mind.gaming_policy, absent=world.absent, scratch=mind.scratch_2c)
    np.add(state.awareness, mind.salience, out=mind.awareness)
    logistic(mind.awareness, out=mind.awareness)


def anticipate(mind: Activations, world: World, traits: Traits, state: State) -> None:
    """Fill in the stake and the incentive to game (3.4, 3.5).

    stake = −β Cov_{π^v}(u, R);  I = λ b stake − μ (E_{π^v} u − E_{π^r} u) − κ (1 − ζ s).
    """
    mean(mind.value_policy, world.reward, out=mind.value_reward, scratch=mind.scratch_k)
    mean(mind.gaming_policy, world.reward, out=mind.gaming_reward, scratch=mind.scratch_k)
    mean(mind.value_policy, mind.utility, out=mind.concession, scratch=mind.scratch_k)
    np.subtract(world.reward, mind.value_reward, out=mind.centred_reward)
    np.subtract(mind.utility, mind.concession, out=mind.centred_utility)
    mean(mind.gaming_policy, mind.utility, out=mind.scratch_c, scratch=mind.scratch_k)
    np.subtract(mind.concession, mind.scratch_c, out=mind.concession)
    np.multiply(mind.utility, mind.centred_reward, out=mind.scratch_k)
    mean(mind.value_policy, mind.scratch_k, out=mind.stake, scratch=mind.scratch_k)
    np.multiply(-traits.decisiveness, mind.stake, out=mind.stake)

    np.multiply(mind.belief, mind.stake, out=mind.incentive)
    np.multiply(np.exp(state.log_horizon), mind.incentive, out=mind.incentive)
    np.multiply(traits.episode_concern, mind.concession, out=mind.scratch_c)
    np.subtract(mind.incentive, mind.scratch_c, out=mind.incentive)
    np.subtract(mind.incentive, mind.cost, out=mind.incentive)


def decide(mind: Activations, world: World, traits: Traits, state: State) -> None:
    """Fill in the decision d = σ(h + τ I) and the gaming rate g = a d (3.6)."""
    habit = state.habit
    if len(world.places) < len(habit):
        habit = np.take(habit, world.places, axis=0, out=mind.scratch_c, mode="clip")
    np.multiply(traits.rationality, mind.incentive, out=mind.decision)
    np.add(habit, mind.decision, out=mind.decision)
    logistic(mind.decision, out=mind.decision)
    np.multiply(mind.awareness, mind.decision, out=mind.gaming_rate)


def respond(mind: Activations) -> None:
    """Fill in the policy π = (1 − g) π^v + g π^r (3.7)."""
    np.subtract(mind.gaming_policy, mind.value_policy, out=mind.policy)
    np.multiply(mind.gaming_rate, mind.policy, out=mind.policy)
    np.add(mind.value_policy, mind.policy, out=mind.policy)


def attribute(mind: Activations, world: World, traits: Traits, state: State) -> Array:
    """Return each value's part in the incentive [n, C, D]; all parts and −cost sum to I (3.5).

    v_d (−λ b β Cov_{π^v}(Φ_d, R) − μ (E_{π^v} Φ_d − E_{π^r} Φ_d)).
    """
    eroded = _expected(mind.value_policy * mind.centred_reward, world.features)
    conceded = _expected(mind.value_policy - mind.gaming_policy, world.features)
    foreseen = (np.exp(state.log_horizon) * traits.decisiveness * mind.belief).T[:, :, None]
    concern = traits.episode_concern[:, None, None]
    parts: Array = -foreseen * eroded - concern * conceded
    return parts * state.values.T[:, None, :]


def _expected(weights: Array, features: Array) -> Array:
    """Return Σ_k W_kc Φ_kcd [n, C, D]."""
    summed: Array = (weights[:, :, None] * features).sum(axis=0)
    return summed.transpose(2, 0, 1)
