"""The Jacobian of an update, by a complex step through the NumPy engine."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import sim
from cases import random_case
from sim.dynamics.engines.jacobian import update_jacobian
from sim.dynamics.engines.numpy_engine import BLOCK, Block, NumpyEngine
from sim.dynamics.program import Program
from sim.specs.errors import SpecError


def differences(program: Program, theta: np.ndarray, *, step: int, h: float = 1e-6) -> np.ndarray:
    """Central differences of one step of the real engine [N, P, P]."""
    slopes = []
    for row in range(len(theta)):
        moved = []
        for way in (h, -h):
            there = theta.copy()
            there[row] += way
            cohort = NumpyEngine().start(replace(program, theta=there))
            cohort.advance(step, step + 1)
            moved.append(cohort.theta())
        slopes.append((moved[0] - moved[1]) / (2 * h))
    return np.array(slopes).transpose(2, 1, 0)


@pytest.mark.parametrize("step", [0, 8, 20])
@pytest.mark.parametrize("seed", range(20))
def test_the_jacobian_is_the_derivative_of_an_update(seed: int, step: int) -> None:
    """Of agents who are not where they started, in each phase of a curriculum."""
    program = random_case(seed).program(agents=3)
    shift = np.random.default_rng(seed).normal(0.0, 0.5, size=program.theta.shape)
    theta = program.theta + shift
    found = update_jacobian(program, theta, step=step)
    assert found.shape == (3, len(theta), len(theta))
    np.testing.assert_allclose(found, differences(program, theta, step=step), atol=1e-7)


def test_a_complex_step_gives_the_derivative_of_an_update() -> None:
    """The engine runs on complex numbers; its imaginary part is the Jacobian (see numerics)."""
    for seed in (0, 1, 2, 3):
        program = random_case(seed).program()
        size, tiny = program.layout.size, 1e-20
        exact = _after_one_step(program, 1j * tiny * np.eye(size)).imag / tiny
        h = 1e-6
        up = _after_one_step(program, h * np.eye(size))
        down = _after_one_step(program, -h * np.eye(size))
        np.testing.assert_allclose(exact, (up - down) / (2 * h), atol=1e-7)
        np.testing.assert_allclose(update_jacobian(program, program.theta)[0], exact, rtol=1e-13)


def _after_one_step(program: Program, moved: np.ndarray) -> np.ndarray:
    """Where one step leads from θ_0 moved by each column of `moved`."""
    copies = moved.shape[1]
    block = Block(program, np.zeros(copies, dtype=int), dtype=moved.dtype)
    block.theta[:, :copies] += moved
    block.advance(0, 1)
    return block.theta[:, :copies]


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
    return sim.simulation.prepare(
        {"values": ["care"], "human_values": {"care": 1}, "contexts": {"c": context}},
        agent={"decisiveness": 0, "episode_concern": 0, "reasoning_cost": 0},
        training={"learning_rate": RATES, "anchor": 0.1, "transfer": 0.25},
        agents=400,
    ).program


def test_a_jacobian_that_is_known_by_hand() -> None:
    """Each of 400 agents has its own; they do not fit into one block."""
    program = solved()
    assert program.theta.size > BLOCK
    rng, rows = np.random.default_rng(1), program.layout.rows
    theta = program.theta.copy()
    alpha, h, varsigma = rng.normal(0.0, [[2.0], [2.0], [0.4]], size=(3, 400))
    theta[rows["awareness"]], theta[rows["habit"]], theta[rows["log_competence"]] = (
        alpha,
        h,
        varsigma,
    )
    found = update_jacobian(program, theta)
    expected = [by_hand(*numbers) for numbers in zip(alpha, h, varsigma, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


def test_gradient_ascent_has_a_symmetric_jacobian() -> None:
    """It is 1 + η times the matrix of second derivatives of J; with leak it is not."""
    for seed in range(10):
        case = random_case(seed)
        case.training.update(
            update_rule="policy_gradient",
            motive_credit=1.0,
            leak=0.0,
            spread=0.0,
            transfer=0.0,
            learning_rate=1.0,
        )
        program = case.program()
        jacobian = update_jacobian(program, program.theta)[0]
        np.testing.assert_allclose(jacobian, jacobian.T, atol=1e-13)
    case = random_case(3)
    case.training.update(leak=1.0, learning_rate=1.0)
    jacobian = update_jacobian(case.program(), case.program().theta)[0]
    assert np.abs(jacobian - jacobian.T).max() > 1e-3


SATURATED = [
    (kind, number)
    for kind in ("habit", "awareness", "values", "log_horizon", "log_competence")
    for number in (-1e6, -750.0, -300.0, 300.0, 750.0, 1e6)
    if number <= 300 or not kind.startswith("log")  # such a logarithm has diverged
]


@pytest.mark.parametrize(("kind", "number"), SATURATED)
def test_a_saturated_agent_has_a_jacobian(kind: str, number: float) -> None:
    """Where exp overflows a complex number has no reciprocal; stability is asked just there."""
    case = random_case(3)
    program = case.program()
    theta = program.theta.copy()
    theta[program.layout.rows[kind]] = number
    found = update_jacobian(program, theta)
    assert np.isfinite(found).all()
    if kind in {"habit", "awareness"} and number == -1e6:
        rows = program.layout.rows["habit"]
        kept = np.eye(len(case.state["habit"])) * (1.0 - case.training["anchor"])
        np.testing.assert_allclose(found[0, rows, rows], kept, atol=1e-15)


def test_a_gate_nearly_shut_keeps_all_digits_of_its_slope() -> None:
    """Gaming at a rate of e-60 still grows or dies at a rate of its own."""
    program = solved().take(slice(1))
    theta, rows = program.theta.copy(), program.layout.rows
    theta[rows["habit"]], theta[rows["awareness"]] = -60.0, 0.5
    found = update_jacobian(program, theta)[0, rows["log_competence"], rows["habit"]]
    varsigma = float(theta[rows["log_competence"]][0, 0])
    assert found.item() == pytest.approx(by_hand(0.5, -60.0, varsigma)[4, 1], rel=1e-12)


def test_nobody_is_moved() -> None:
    program = random_case(3).program(agents=2)
    theta = program.theta.copy()
    update_jacobian(program, theta)
    np.testing.assert_array_equal(theta, program.theta)


@pytest.mark.parametrize(
    ("training", "given", "said"),
    [
        ({}, {"precision": "float32"}, "precision: got 'float32': float32 is for exploratory maps"),
        ({}, {"precision": "double"}, "precision: got 'double': "),
        ({"estimator": "sampled"}, {}, "training.estimator: got 'sampled': "),
    ],
)
def test_what_has_no_jacobian_is_refused(
    training: dict[str, Any], given: dict[str, str], said: str
) -> None:
    program = sim.simulation.prepare("copyright", training=training).program
    with pytest.raises(SpecError) as caught:
        update_jacobian(program, program.theta, **given)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_states_of_another_shape_are_refused() -> None:
    program = random_case(3).program(agents=2)
    with pytest.raises(SpecError, match=r"theta: got an array of shape \(2, 14\)"):
        update_jacobian(program, program.theta.T)
