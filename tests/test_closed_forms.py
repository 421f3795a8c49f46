"""Cases in which the model can be solved by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, logit

import sim
from cases import STATE

#: So high a logit that the chance is 1 to the last bit.
CERTAIN = 100.0
STEPS = 300


def one_context(**changes: Any) -> dict[str, Any]:
    """A single context in which training pulls against the one value."""
    context = {
        "responses": {"keep": {"care": 1.0}, "drop": {"care": -1.0}},
        "reward": {"keep": -1.0, "drop": 1.0},
        "cue": 1.0,
    }
    return {"values": ["care"], "human_values": {"care": 1}, "contexts": {"c": context | changes}}


def only(kind: str, rate: float, **assumptions: Any) -> dict[str, Any]:
    """Training that changes one kind of parameter only."""
    return {
        "steps": STEPS,
        "learning_rate": {**dict.fromkeys(STATE, 0.0), kind: rate},
    } | assumptions


AGENT = {"initial": {"values": {"care": 0.7}, "awareness": CERTAIN, "habit": -6.0}}


def test_the_gate_under_the_natural_gradient_is_a_logistic_curve_in_time() -> None:
    """Values frozen, one context, a = 1: logit d grows by η ΔF a step, so d is logistic in t."""
    eta = 0.05
    training = only("habit", eta, update_rule="natural_gradient")
    result = sim.simulate(one_context(), agent=AGENT, training=training, record_every=1)
    first = result.data.isel(step=0, agent=0, context=0)
    rewarded = first["gaming_policy"].values - first["value_policy"].values
    advantage = rewarded @ [-1.0, 1.0]
    gate = logit(first["decision"].item()) + eta * advantage * result.data["step"].values
    np.testing.assert_allclose(result.gaming_rate.isel(agent=0, context=0), expit(gate), rtol=1e-12)
    assert result.gaming_rate.values[0] < 0.3 < 0.99 < result.gaming_rate.values[-1]


def test_an_anchored_habit_approaches_its_limit_geometrically() -> None:
    """A constant push η ΔF against an anchor κ: h_t − h_0 = η ΔF (1 − (1 − κ)^t) / κ."""
    eta, anchor = 0.05, 0.03
    training = only("habit", eta, update_rule="natural_gradient", anchor=anchor)
    result = sim.simulate(one_context(), agent=AGENT, training=training, record_every=1)
    first = result.data.isel(step=0, agent=0, context=0)
    advantage = (first["gaming_policy"] - first["value_policy"]).values @ [-1.0, 1.0]
    t = result.data["step"].values
    expected = -6.0 + eta * advantage * (1.0 - (1.0 - anchor) ** t) / anchor
    np.testing.assert_allclose(result.habit.isel(agent=0, context=0), expected, rtol=1e-12)


def test_without_gaming_the_values_are_a_two_armed_softmax_bandit() -> None:
    """v falls by 2 η β · 2 π (1 − π) a step, π = σ(2 β v): policy gradient on one logit."""
    beta, eta = 1.3, 0.02
    agent = {"decisiveness": beta, "initial": {"values": {"care": 0.7}, "awareness": -CERTAIN}}
    training = only("values", eta)
    result = sim.simulate(one_context(), agent=agent, training=training, record_every=1)
    v, expected = 0.7, []
    for _ in range(STEPS + 1):
        expected.append(v)
        keep = expit(2.0 * beta * v)
        v -= 4.0 * eta * beta * keep * (1.0 - keep)
    np.testing.assert_allclose(result.values.isel(agent=0, value=0), expected, rtol=1e-12)
    assert result.values.values.min() < 0


def test_values_that_gaming_shields_do_not_move() -> None:
    """g = 1 and no leak: nothing is left that trains the values."""
    certain = {"awareness": CERTAIN, "habit": CERTAIN, "log_competence": 0.0}
    agent = {"initial": {"values": {"care": 0.7}, **certain}}
    shielded = sim.simulate(one_context(), agent=agent, training=only("values", 0.1))
    assert np.all(shielded.values == 0.7)
    leaking = sim.simulate(one_context(), agent=agent, training=only("values", 0.1, leak=0.5))
    assert leaking.values.values[-1].item() < 0.5


def test_opacity_under_a_penalty_alone() -> None:
    """With g = 1, dq = η ψ m s k (1 − k): the logistic flow of one logit, step by step."""
    agent = {"initial": {"values": {"care": 0.7}, "awareness": CERTAIN, "habit": CERTAIN}}
    eta, psi, seen, room = 0.2, 0.8, 0.5, 0.6
    training = only("capability", eta, visible_gaming_penalty=psi, transfer=0.0)
    scenario = one_context(monitor=seen, scratchpad=room)
    result = sim.simulate(scenario, agent=agent, training=training, record_every=1)
    q, expected = -2.0, []
    for _ in range(STEPS + 1):
        expected.append(expit(q))
        q += eta * psi * seen * room * expit(q) * (1.0 - expit(q))
    found = result.capabilities.isel(agent=0).sel(capability="opacity")
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_habits_carry_over_by_similarity() -> None:
    """Δh = η K Γ with K = (1 − ρ) I + ρ S, also in a context that is never trained on."""
    rho = 0.25
    scenario = one_context()
    scenario["contexts"]["elsewhere"] = scenario["contexts"]["c"] | {"kind": "deployment"}
    scenario["similarity"] = {"c": {"elsewhere": 0.4}}
    training = only("habit", 0.1, update_rule="natural_gradient", generalisation=rho) | {"steps": 1}
    result = sim.simulate(scenario, agent=AGENT, training=training, record_every=1)
    gained = (result.habit.isel(step=1) - result.habit.isel(step=0)).isel(agent=0)
    own, carried = gained.sel(context="c").item(), gained.sel(context="elsewhere").item()
    assert np.isclose(carried / own, rho * 0.4 / (1.0 - rho + rho * 1.0), rtol=1e-12)
