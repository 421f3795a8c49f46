"""The update is exact gradient ascent on J (MODEL.md section 4), by a complex step through J."""

from __future__ import annotations

import numpy as np
import pytest

from cases import random_case
from sim.dynamics.cognition import think
from sim.dynamics.numerics import calculating, mean
from sim.dynamics.program import Program
from sim.dynamics.state import State
from sim.dynamics.training import estimate_exactly, gradient, pay, penalty

STEP = 1e-30
EXACT = {"motive_credit": 1.0, "leak": 0.0, "generalisation": 0.0, "transfer": 0.0, "anchor": 0.0}


def objective(program: Program, state: State, scale: np.ndarray) -> np.ndarray:
    """Return J [n]: reward less penalty, or the log-likelihood; the scale is held constant."""
    world, assumptions = program.segments[0].world.where_trained(), program.segments[0].assumptions
    mind = think(world, program.traits, state)
    reward = mean(mind.policy, world.reward)
    reward = reward - mind.gaming_rate * penalty(world, state, assumptions)
    shown = world.demonstrations > 0.0
    chances = np.where(shown, mind.policy, 1.0)
    likelihood = (world.demonstrations * np.log(chances)).sum(axis=0)
    return (world.weight * scale * np.where(world.demonstrates, likelihood, reward)).sum(axis=0)


@pytest.mark.parametrize("advantages", ["raw", "normalised"])
@pytest.mark.parametrize("seed", range(40))
def test_update_is_the_gradient_of_the_objective(seed: int, advantages: str) -> None:
    case = random_case(seed)
    rules = {**EXACT, "advantages": advantages, "update_rule": "policy_gradient"}
    case.training.update(rules, learning_rate=1.0)
    program = case.program()
    world, assumptions = program.segments[0].world.where_trained(), program.segments[0].assumptions
    with calculating():
        state = program.layout.view(program.theta)
        mind = think(world, program.traits, state)
        paid = pay(mind, world, state, assumptions)
        estimate = estimate_exactly(mind, world, paid, world.weight, assumptions)
        step = program.layout.join(
            gradient(estimate, mind, world, program.traits, state, assumptions)
        )
        size = len(program.theta)
        copies = program.take(np.zeros(size, np.intp))
        moved = copies.layout.view(copies.theta + 1j * STEP * np.eye(size))
        slopes = objective(copies, moved, paid.scale).imag / STEP
    np.testing.assert_allclose(step[:, 0], slopes, rtol=1e-9, atol=1e-12)
