"""How the gradient is had: exactly, or from sampled episodes (MODEL.md section 4).

An estimator finds what the update of every parameter is made of: how much the agent practised
gaming, what opened or closed the gate, and how answers were reinforced. What follows from these
(credit for motives, spread, transfer, learning rates) is the same for both (`training.learn`).

REINFORCE scores the mode and the response. The penalty for visible gaming depends on opacity
directly, and no score of a mode or a response sees that: this part of the gradient is taken along
the path, where gaming was practised. Then the mean is the exact gradient.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from sim.dynamics.cognition import Activations
from sim.dynamics.compile import Assumptions, World
from sim.dynamics.episodes import at, draw_episodes
from sim.dynamics.population import AgentIds, Traits
from sim.dynamics.step_buffers import StepBuffers

#: The stream of the episodes that agents are trained on.
TRAINING_EPISODES = "episode"


class Estimator(Protocol):
    """Fills in a lesson what the gradients are made of."""

    def __call__(
        self,
        lesson: StepBuffers,
        mind: Activations,
        world: World,
        traits: Traits,
        seats: AgentIds,
        assumptions: Assumptions,
        step: int,
    ) -> None:
        """Fill in practice, pressure, gate, coefficients, and the pulls on α and ς."""
        ...


def estimator(assumptions: Assumptions) -> Estimator:
    """Return the estimator that the assumptions name."""
    return sampled if assumptions.estimator == "sampled" else exact


def exact(
    lesson: StepBuffers,
    mind: Activations,
    world: World,
    traits: Traits,
    seats: AgentIds,
    assumptions: Assumptions,
    step: int,
) -> None:
    """Take the mean over everything that could happen.

    Practice p g, pressure p a ΔR, gate Γ = p ΔR a d (1 − d);
    α: Σ p ΔR a (1 − a) d;  ς: Σ p g Var_{π^r}(R);
    W: π^v β p (1 − g) (R − E R), and with leak ε p g β (π^r (R − P − B) − π^v (R^g − B)).
    """
    np.multiply(world.weight, mind.gaming_rate, out=lesson.practice)
    np.multiply(world.weight, lesson.advantage, out=lesson.pressure)
    np.multiply(mind.awareness, lesson.pressure, out=lesson.pressure)
    np.multiply(mind.decision, lesson.pressure, out=lesson.gate)
    np.subtract(1.0, mind.awareness, out=lesson.scratch_c)
    np.multiply(lesson.gate, lesson.scratch_c, out=lesson.scratch_c)
    np.add.reduce(lesson.scratch_c, axis=0, out=lesson.named.awareness)
    np.subtract(1.0, mind.decision, out=lesson.scratch_c)
    np.multiply(lesson.gate, lesson.scratch_c, out=lesson.gate)

    np.multiply(lesson.aim, world.reward, out=lesson.scratch_k)
    np.add.reduce(lesson.scratch_k, axis=0, out=lesson.scratch_c)
    np.multiply(lesson.practice, lesson.scratch_c, out=lesson.scratch_c)
    np.add.reduce(lesson.scratch_c, axis=0, out=lesson.named.log_competence)

    np.subtract(world.weight, lesson.practice, out=lesson.scratch_c)
    np.multiply(lesson.scratch_c, mind.centred_reward, out=lesson.coefficients)
    np.multiply(mind.value_policy, lesson.coefficients, out=lesson.coefficients)
    if assumptions.leak.any():
        _leak(lesson, mind, world, assumptions)
    np.multiply(traits.decisiveness, lesson.coefficients, out=lesson.coefficients)


def _leak(lesson: StepBuffers, mind: Activations, world: World, assumptions: Assumptions) -> None:
    """Add ε p g (π^r (R − P − B) − π^v (R^g − B)) to the coefficients."""
    leaked, gained, baseline = lesson.leaked, lesson.scratch_k, lesson.scratch_c
    np.multiply(assumptions.leak, lesson.practice, out=leaked)
    np.add(lesson.penalty, lesson.objective, out=baseline)
    np.subtract(world.reward, baseline, out=gained)
    np.multiply(mind.gaming_policy, gained, out=gained)
    np.multiply(leaked, gained, out=gained)
    np.add(lesson.coefficients, gained, out=lesson.coefficients)
    np.subtract(mind.gaming_reward, baseline, out=baseline)
    np.multiply(leaked, baseline, out=leaked)
    np.multiply(mind.value_policy, leaked, out=gained)
    np.subtract(lesson.coefficients, gained, out=lesson.coefficients)


def sampled(
    lesson: StepBuffers,
    mind: Activations,
    world: World,
    traits: Traits,
    seats: AgentIds,
    assumptions: Assumptions,
    step: int,
) -> None:
    """Take the mean over B episodes of reward less the baseline B_c, times the score.

    With A = r − B_c and z = 1 where gamed, −g / (1 − g) where not: the gate is A z (1 − d), the
    pull on α is A z (1 − a), and the pressure of the replicator rule A z a / g.
    """
    episodes = draw_episodes(
        mind,
        lesson.penalty,
        world,
        seats,
        count=assumptions.episodes,
        step=step,
        stream=TRAINING_EPISODES,
    )
    context, gamed = episodes.context, episodes.gamed
    awareness, decision = at(mind.awareness, context), at(mind.decision, context)
    advantage = (episodes.reward - at(lesson.objective, context)) / assumptions.episodes
    not_gaming = (1.0 - awareness) + awareness * (1.0 - decision)
    score = np.where(gamed, 1.0, -awareness * decision / not_gaming) * advantage
    pressure = np.where(gamed, 1.0 / decision, -awareness / not_gaming) * advantage
    gate = score * (1.0 - decision)
    answered = np.where(gamed, assumptions.leak, 1.0) * traits.decisiveness * advantage
    practice = gamed / assumptions.episodes
    for c in range(len(lesson.gate)):
        here = context == c
        np.add.reduce(gate * here, axis=0, out=lesson.gate[c])
        np.add.reduce(pressure * here, axis=0, out=lesson.pressure[c])
        np.add.reduce(practice * here, axis=0, out=lesson.practice[c])
        np.add.reduce(answered * here, axis=0, out=lesson.scratch_c[c])
        for k, coefficients in enumerate(lesson.coefficients):
            chosen = here & (episodes.response == k + 1)
            np.add.reduce(answered * chosen, axis=0, out=coefficients[c])
    np.multiply(mind.value_policy, lesson.scratch_c, out=lesson.scratch_k)
    np.subtract(lesson.coefficients, lesson.scratch_k, out=lesson.coefficients)
    np.add.reduce(score * (1.0 - awareness), axis=0, out=lesson.named.awareness)
    surprise = episodes.reward + at(lesson.penalty, context) - at(mind.gaming_reward, context)
    hit = np.where(gamed, advantage * surprise, 0.0)
    np.add.reduce(hit, axis=0, out=lesson.named.log_competence)
