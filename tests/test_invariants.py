"""What must hold for every agent in every scenario, tried on random ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import sim

numbers = st.floats(-3, 3, allow_nan=False)
shares = st.floats(0, 1)
positive = st.floats(0, 3)


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, Any]:
    """Scenarios of up to three values, four contexts and four responses."""
    values = [f"v{d}" for d in range(draw(st.integers(1, 3)))]
    contexts = {}
    for c in range(draw(st.integers(1, 4))):
        responses = [f"r{k}" for k in range(draw(st.integers(1, 4)))]
        contexts[f"c{c}"] = {
            "responses": {r: {v: draw(numbers) for v in values} for r in responses},
            "reward": {r: draw(numbers) for r in responses},
            "kind": "training" if c == 0 else draw(st.sampled_from(["training", "deployment"])),
            "info": draw(positive),
            "scratchpad": draw(shares),
            "cue": draw(numbers),
            "monitor": draw(shares),
        }
    return {"values": values, "human_values": {"v0": 1.0}, "contexts": contexts}


trainings = st.fixed_dictionaries(
    {
        "steps": st.just(8),
        "update_rule": st.sampled_from(["policy_gradient", "natural_gradient"]),
        "motive_credit": shares,
        "leak": shares,
        "generalisation": shares,
        "anchor": st.floats(0, 0.5),
        "visible_gaming_penalty": positive,
        "learning_rate": st.floats(0, 0.5),
    }
)
agents = st.fixed_dictionaries(
    {
        "decisiveness": positive,
        "rationality": positive,
        "episode_concern": positive,
        "initial": st.fixed_dictionaries(
            {
                "values": st.fixed_dictionaries({"v0": numbers}),
                "habit": numbers,
                "awareness": numbers,
                "log_horizon": numbers,
                "log_competence": numbers,
            }
        ),
    }
)


@settings(max_examples=60)
@given(world=worlds(), agent=agents, training=trainings)
def test_rates_are_chances_and_policies_sum_to_one(
    world: dict[str, Any], agent: dict[str, Any], training: dict[str, Any]
) -> None:
    result = sim.simulate(world, agent=agent, training=training, record_every=2)
    for name in ("gaming_rate", "awareness", "belief", "decision", "capabilities"):
        assert ((result.data[name] >= 0) & (result.data[name] <= 1)).all()
    for name in ("policy", "value_policy", "gaming_policy"):
        chances = result.data[name]
        assert (chances.fillna(0) >= 0).all()
        np.testing.assert_allclose(chances.sum("response"), 1.0, atol=1e-12)
    for name in ("reach", "reach_weighted", "consistency"):
        assert (result.data[name] >= 0).all()
        assert (result.data[name] <= 1 + 1e-12).all()


@settings(max_examples=60)
@given(world=worlds(), agent=agents)
def test_the_parts_of_the_incentive_add_up(world: dict[str, Any], agent: dict[str, Any]) -> None:
    result = sim.simulate(world, agent=agent, training={"steps": 1})
    cost = result.data["reasoning_cost"] * (
        1 - result.data["scratchpad_saving"] * scratchpads(world, result)
    )
    total = result.incentive_by_value.sum("value") - cost
    np.testing.assert_allclose(total, result.incentive, atol=1e-10)


def scratchpads(world: dict[str, Any], result: sim.Result) -> Any:
    room = [context["scratchpad"] for context in world["contexts"].values()]
    return result.data["context"].copy(data=room)


@settings(max_examples=60)
@given(world=worlds(), agent=agents, scale=st.floats(0, 3))
def test_no_conflict_no_stake(world: dict[str, Any], agent: dict[str, Any], scale: float) -> None:
    """Where the reward is what the agent values anyway, it has nothing to protect.

    At the start: a step of training also moves values that go with those it started with.
    """
    liked = agent["initial"]["values"]["v0"]
    for context in world["contexts"].values():
        context["reward"] = {r: scale * liked * f["v0"] for r, f in context["responses"].items()}
    result = sim.simulate(world, agent=agent, training={"steps": 1})
    assert (result.stake.sel(step=0) <= 1e-12).all()


@settings(max_examples=60)
@given(world=worlds(), agent=agents)
def test_values_that_nothing_touches_have_no_stake(
    world: dict[str, Any], agent: dict[str, Any]
) -> None:
    for context in world["contexts"].values():
        context["responses"] = {r: {"v0": 0.0} for r in context["responses"]}
    assert (sim.simulate(world, agent=agent, training={"steps": 1}).stake == 0).all()


@settings(max_examples=40)
@given(world=worlds(), agent=agents, training=trainings)
def test_the_order_of_contexts_and_responses_does_not_matter(
    world: dict[str, Any], agent: dict[str, Any], training: dict[str, Any]
) -> None:
    """The first response is the origin of all that is measured; any other would serve."""
    turned = {
        name: context | {"responses": dict(reversed(context["responses"].items()))}
        for name, context in reversed(world["contexts"].items())
    }
    one = sim.simulate(world, agent=agent, training=training)
    other = sim.simulate(world | {"contexts": turned}, agent=agent, training=training)
    for name in ("values", "gaming_rate", "reward", "stake"):
        found = other.data[name]
        if "context" in found.dims:
            found = found.sel(context=one.data["context"])
        np.testing.assert_allclose(found, one.data[name], atol=1e-8)
