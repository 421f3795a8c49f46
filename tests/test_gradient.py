"""The gradient against a numerical gradient of the objective J (MODEL.md section 4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference
from cases import STATE, flat, random_case
from sim.dynamics.engines.numpy_engine import NumpyEngine

#: The assumptions under which training is exact gradient ascent on J.
EXACT = {
    "update_rule": "policy_gradient",
    "motive_credit": 1.0,
    "leak": 0.0,
    "spread": 0.0,
    "anchor": 0.0,
    "transfer": 0.0,
    "learning_rate": 1.0,
    "steps": 1,
}


@pytest.mark.parametrize("seed", range(40))
def test_an_update_is_the_gradient_of_the_objective(seed: int) -> None:
    case = random_case(seed)
    case.training.update(EXACT)
    case.scenario["curriculum"] = []
    program = case.program()
    start, end = NumpyEngine().trajectory(program, [0, 1])[:, :, 0]
    np.testing.assert_allclose(end - start, numerical_gradient(case), atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("assumption", ["motive_credit", "leak", "spread", "transfer"])
def test_no_other_assumption_gives_that_gradient(assumption: str) -> None:
    """Each assumption, moved off its exact value, is seen in some update."""
    moved = []
    for seed in range(10):
        case = random_case(seed)
        case.training.update({**EXACT, assumption: 0.5})
        case.scenario["curriculum"] = []
        program = case.program()
        start, end = NumpyEngine().trajectory(program, [0, 1])[:, :, 0]
        moved.append(np.abs(end - start - numerical_gradient(case)).max())
    assert max(moved) > 1e-3


def numerical_gradient(case: Any, h: float = 1e-5) -> np.ndarray:
    """Central differences of the reference's J in every parameter."""

    def objective(theta: np.ndarray) -> float:
        state, row = {}, 0
        for kind in STATE:
            length = np.size(case.state[kind])
            part = theta[row : row + length].tolist()
            state[kind] = part[0] if np.ndim(case.state[kind]) == 0 else part
            row += length
        return reference.objective(case.scenario, case.traits, state, case.training, 0)

    centre = flat(case.state)
    steps = h * np.eye(len(centre))
    return np.array([(objective(centre + e) - objective(centre - e)) / (2 * h) for e in steps])
