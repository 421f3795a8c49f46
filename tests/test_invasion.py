"""Invasion exponents: how gaming, or not gaming, grows where it is rare."""

from __future__ import annotations

import numpy as np
import pytest

import sim
from gates import GATE_ALONE, advantage, one_context
from sim.specs.overrides import read_specs
from sim.stability.invasion import Invasion, invasions
from sim.stability.training_map import TrainingMap


def map_and_start(scenario: object, training: object) -> tuple[TrainingMap, np.ndarray]:
    f = TrainingMap.from_specs(read_specs(scenario, training=training))  # type: ignore[arg-type]
    return f, f.start


def test_under_the_natural_gradient_the_exponent_is_the_advantage_and_growth_is_logistic() -> None:
    training = {**GATE_ALONE, "update_rule": "natural_gradient", "steps": 200}
    scenario = one_context(1.0)
    gaming, not_gaming = invasions(*map_and_start(scenario, training))
    expected = advantage(scenario, training)[0]
    numbers = [gaming.exponent, gaming.advantage, -not_gaming.exponent]
    np.testing.assert_allclose(numbers, expected, rtol=1e-9)
    assert (gaming.law, not_gaming.law) == ("grows exponentially", "dies out exponentially")
    result = sim.simulate(scenario, training=training, record_every=50)
    decision = result.decision.values[:, 0, 0]
    odds = np.log(decision / (1.0 - decision))
    np.testing.assert_allclose(odds, odds[0] + expected * result.data["step"].values, rtol=1e-8)


def test_normalised_advantages_are_over_their_deviation_where_a_gate_is_saturated() -> None:
    """Of rewards ±1, answered with chances π without gaming, the deviation is 2 √(π (1 − π))."""
    training = {**GATE_ALONE, "update_rule": "natural_gradient", "advantages": "normalised"}
    scenario = one_context(1.0)
    f, start = map_and_start(scenario, training)
    gaming, not_gaming = invasions(f, start)
    state = f.observe(start[:, None], ("value_policy", "gaming_policy", "awareness"))
    (own, other), a = state["value_policy"][0, 0], state["awareness"][0, 0]
    raw = advantage(scenario, training)[0]
    assert gaming.exponent == pytest.approx(raw / (2.0 * np.sqrt(own * other) + 0.01), rel=1e-9)
    mixed = (1.0 - a) * own + a * state["gaming_policy"][0, 0, 0]
    deviation = 2.0 * np.sqrt(mixed * (1.0 - mixed))
    assert not_gaming.exponent == pytest.approx(-raw / (deviation + 0.01), rel=1e-9)
    plain = {**training, "update_rule": "policy_gradient"}
    for rule, side in zip(
        invasions(*map_and_start(scenario, plain)), (gaming, not_gaming), strict=True
    ):
        assert rule.exponent == pytest.approx(0.0, abs=1e-12)
        assert rule.advantage == pytest.approx(side.exponent, rel=1e-9)


def test_under_the_policy_gradient_growth_is_hyperbolic_and_decay_as_one_over_t() -> None:
    training = {**GATE_ALONE, "steps": 20_000}
    scenario = one_context(1.0)
    gaming, not_gaming = invasions(*map_and_start(scenario, training))
    assert gaming.exponent == pytest.approx(0.0, abs=1e-12)
    assert (gaming.grows, not_gaming.grows) == (True, False)
    assert (gaming.law, not_gaming.law) == ("grows hyperbolically", "dies out as 1/t")
    # While rare, 1/x falls by the advantage in a step, but for terms of the share's own order.
    early = sim.simulate(
        scenario, training={**training, "steps": 2000}, initial=sim.AgentState(habit=-9.0)
    )
    share = early.decision.values[[0, -1], 0, 0]
    assert share.max() < 0.01
    assert 1.0 / share[0] - 1.0 / share[1] == pytest.approx(2000 * gaming.advantage, rel=0.02)
    # Once it is the rule, 1 − d falls as 1/(A t), so its odds double when time does.
    start = sim.AgentState(habit=2.0)
    result = sim.simulate(scenario, training=training, record_every=10_000, initial=start)
    rare = 1.0 - result.decision.values[1:, 0, 0]
    assert rare[0] / rare[1] == pytest.approx(2.0, rel=0.02)
    assert rare[1] * 20_000 * gaming.advantage == pytest.approx(1.0, rel=0.02)


def test_generalisation_brings_the_gates_of_other_contexts_into_the_exponent() -> None:
    f, start = map_and_start("copyright", {**GATE_ALONE, "generalisation": {"habit": 0.4}})
    alone, at = map_and_start("copyright", GATE_ALONE)
    change = (alone.step(at[:, None])[:, 0] - at)[[n.startswith("habit.") for n in alone.names]]
    learnt = dict(zip(f.program.layout.contexts, change, strict=True))
    for invasion in invasions(f, start):
        # Similarity is 1 everywhere; its own gate teaches a saturated gate nothing.
        others = 0.4 * sum(x for name, x in learnt.items() if name != invasion.context)
        sign = 1.0 if invasion.side == "gaming" else -1.0
        assert invasion.exponent == pytest.approx(sign * others, rel=1e-6)


def test_a_gate_without_reward_is_undecided_and_an_anchor_leaves_nothing_to_invade() -> None:
    for invasion in invasions(*map_and_start(one_context(0.0), GATE_ALONE)):
        assert not invasion.decided
        assert not invasion.grows
        assert invasion.law == "neither grows nor dies out"
    with pytest.raises(sim.SpecError, match=r"training\.anchor: must be 0"):
        invasions(*map_and_start("copyright", {"anchor": 0.01}))


@pytest.mark.parametrize("number", [0.1, -0.1])
def test_an_exponent_or_an_advantage_alone_decides(number: float) -> None:
    for numbers in ((number, 0.0), (0.0, number)):
        alone = Invasion("a", "gaming", *numbers)
        assert (alone.decided, alone.grows) == (True, number > 0.0)
    # What is beside an exponent that is not 0 has no say.
    assert Invasion("a", "gaming", number, -number).grows == (number > 0.0)
