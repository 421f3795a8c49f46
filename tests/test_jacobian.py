"""The Jacobian of a training step, by a complex step through the NumPy engine."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from cases import random_case
from sim.dynamics.engines.numpy_engine import BLOCK, NumpyEngine, update_jacobian
from sim.dynamics.program import Program
from sim.simulation import prepare
from sim.specs.errors import SpecError


def differences(program: Program, theta: np.ndarray, *, step: int, h: float = 1e-6) -> np.ndarray:
    """Central differences of one step of the real engine [N, P, P]."""

    def after(shift: np.ndarray) -> np.ndarray:
        cohort = NumpyEngine().start(replace(program, theta=theta + shift[:, None]))
        cohort.advance(step, step + 1)
        return cohort.theta()

    slopes = [(after(x) - after(-x)) / (2 * h) for x in h * np.eye(len(theta))]
    return np.array(slopes).transpose(2, 1, 0)


def test_the_jacobian_is_the_derivative_of_an_update() -> None:
    """Of agents who are not where they started, in each phase of a curriculum; nobody is moved."""
    for seed in range(20):
        program = random_case(seed).program(agents=3)
        shift = np.random.default_rng(seed).normal(0.0, 0.5, size=program.theta.shape)
        theta = program.theta + shift
        before = theta.copy()
        for step in (0, 8, 20):
            found = update_jacobian(program, theta, step=step)
            assert found.shape == (3, len(theta), len(theta))
            np.testing.assert_allclose(found, differences(program, theta, step=step), atol=1e-7)
        np.testing.assert_array_equal(theta, before)


RATES = {
    "values": 0.1,
    "habit": 0.2,
    "awareness": 0.3,
    "log_horizon": 0.4,
    "log_competence": 0.5,
    "capability": 0.6,
}


def by_hand(alpha: float, h: float, varsigma: float) -> np.ndarray:
    """The Jacobian for an agent with β = μ = κ = 0 and R = ±1, where ΔR = tanh(exp ς)."""
    a, d, s = 1 / (1 + math.exp(-alpha)), 1 / (1 + math.exp(-h)), math.exp(varsigma)
    gain = math.tanh(s)
    a1, d1, gain1 = a * (1 - a), d * (1 - d), s * (1 - gain**2)  # slopes in α, h and ς
    a2, d2 = a1 * (1 - 2 * a), d1 * (1 - 2 * d)
    jacobian = np.zeros((10, 10))  # v, h, α, ℓ, ς and five capabilities
    jacobian[1, [1, 2, 4]] = [gain * a * d2, gain * a1 * d1, gain1 * a * d1]
    jacobian[2, [1, 2, 4]] = [gain * a1 * d1, gain * a2 * d, gain1 * a1 * d]
    jacobian[4, [1, 2, 4]] = [gain1 * a * d1, gain1 * a1 * d, gain1 * (1 - 2 * s * gain) * a * d]
    jacobian[5:, 1] = 0.25 * a * d1
    jacobian[5:, 2] = 0.25 * a1 * d
    rates = [*list(RATES.values())[:5], *[RATES["capability"]] * 5]
    return np.array(rates)[:, None] * jacobian + 0.9 * np.eye(10)


def solved() -> Program:
    context = {
        "responses": {"keep": {"care": 1.0}, "drop": {"care": -1.0}},
        "reward": {"keep": -1.0, "drop": 1.0},
    }
    return prepare(
        {"values": ["care"], "human_values": {"care": 1}, "contexts": {"c": context}},
        agent={"decisiveness": 0, "foresight": 0, "episode_concern": 0, "reasoning_cost": 0},
        training={"learning_rate": RATES, "anchor": 0.1, "transfer": 0.25},
        agents=400,
    ).program


def test_a_jacobian_that_is_known_by_hand() -> None:
    """Each of 400 agents has its own; they do not fit into one block.

    And at a gate nearly shut the slope keeps all its digits: gaming at a rate of e-60 still grows
    or dies at a rate of its own.
    """
    program = solved()
    assert program.theta.size > BLOCK
    rng, rows = np.random.default_rng(1), program.layout.rows
    theta = program.theta.copy()
    numbers = rng.normal(0.0, [[2.0], [2.0], [0.4]], size=(3, 400))
    for kind, number in zip(("awareness", "habit", "log_competence"), numbers, strict=True):
        theta[rows[kind]] = number
    expected = [by_hand(*own) for own in numbers.T]
    np.testing.assert_allclose(update_jacobian(program, theta), expected, rtol=1e-12, atol=1e-15)
    program = program.take(slice(1))
    theta = program.theta.copy()
    theta[rows["habit"]], theta[rows["awareness"]] = -60.0, 0.5
    found = update_jacobian(program, theta)[0, rows["log_competence"], rows["habit"]]
    varsigma = float(theta[rows["log_competence"]][0, 0])
    assert found.item() == pytest.approx(by_hand(0.5, -60.0, varsigma)[4, 1], rel=1e-12)


def test_gradient_ascent_has_a_symmetric_jacobian() -> None:
    """It is 1 + η times the matrix of second derivatives of J; with leak it is not."""

    def asymmetry(seed: int, **training: object) -> float:
        case = random_case(seed)
        case.training.update(learning_rate=1.0, **training)
        jacobian = update_jacobian(case.program(), case.program().theta)[0]
        return float(np.abs(jacobian - jacobian.T).max())

    exact = {
        "motive_credit": 1.0,
        "leak": 0.0,
        "generalisation": 0.0,
        "transfer": 0.0,
        "advantages": "raw",
    }
    for seed in range(10):
        assert asymmetry(seed, update_rule="policy_gradient", **exact) < 1e-13
    assert asymmetry(3, leak=1.0) > 1e-3


def test_a_saturated_agent_has_a_jacobian() -> None:
    """Where exp overflows a complex number has no reciprocal; stability is asked just there."""
    case = random_case(3)
    program = case.program()
    for kind in ("habit", "awareness", "values", "log_horizon", "log_competence"):
        for number in (-1e6, -750.0, -300.0, 300.0, 750.0, 1e6):
            if number > 300 and kind.startswith("log"):
                continue  # such a logarithm has diverged
            theta = program.theta.copy()
            theta[program.layout.rows[kind]] = number
            found = update_jacobian(program, theta)
            assert np.isfinite(found).all()
            if kind in {"habit", "awareness"} and number == -1e6:
                rows = program.layout.rows["habit"]
                kept = np.eye(len(case.state["habit"])) * (1.0 - case.training["anchor"])
                np.testing.assert_allclose(found[0, rows, rows], kept, atol=1e-15)


def test_what_has_no_jacobian_is_refused() -> None:
    program = prepare("copyright", training={"estimator": "sampled"}).program
    with pytest.raises(SpecError, match=r"^training\.estimator: got 'sampled': "):
        update_jacobian(program, program.theta)
    program = random_case(3).program(agents=2)
    with pytest.raises(
        SpecError, match=rf"theta: got an array of shape \(2, {len(program.theta)}\)"
    ):
        update_jacobian(program, program.theta.T)
