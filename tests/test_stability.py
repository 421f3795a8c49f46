"""Where training comes to rest: equilibria, corners, invasion exponents, basins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import sim
from sim.specs.overrides import read_specs
from sim.stability.equilibria import Equilibria, draw_starts, equilibria
from sim.stability.fixed_points import KINDS
from sim.stability.invasion import invasions
from sim.stability.training_map import TrainingMap

#: Nothing learns but the habit of gaming.
GATE_ALONE = {
    "learning_rate": dict.fromkeys(
        ["values", "awareness", "log_horizon", "log_competence", "capability"], 0.0
    )
}


def one_context(pull: float, **agent: object) -> dict[str, Any]:
    """A scenario in which the rewarded response offends the value, by how much is said."""
    return {
        "values": ["care"],
        "human_values": {"care": 1.0},
        "contexts": {
            "chat": {
                "responses": {"help": {"care": 1.0}, "harm": {"care": -1.0}},
                "reward": {"help": -pull, "harm": pull},
                "info": 1.0,
                "cue": 1.0,
            }
        },
        "agent": agent,
    }


def advantage(scenario: object, training: dict[str, Any]) -> np.ndarray:
    """Return η p a ΔR of each context at the start, from what a run records (MODEL.md 4)."""
    result = sim.simulate(scenario, training={**training, "steps": 1}, engine="numpy")
    now = result.data.isel(step=0, agent=0)
    described = result.provenance["scenario"]["contexts"]
    rewards = np.zeros(now["policy"].shape)
    for c, context in enumerate(described.values()):
        for k, name in enumerate(context["responses"]):
            rewards[c, k] = context["reward"].get(name, 0.0)
    gain = (np.nan_to_num(now["gaming_policy"]) - np.nan_to_num(now["value_policy"])) * rewards
    trained = (now["kind"] == "training").values
    rate = result.provenance["training"]["learning_rate"]["habit"]
    found: np.ndarray = rate * now["awareness"].values * gain.sum(axis=1) / trained.sum()
    return found


# ------------------------------------------------------------------------------ invasion exponents


def test_under_the_replicator_the_exponent_is_the_advantage_and_growth_is_logistic() -> None:
    training = {**GATE_ALONE, "update_rule": "replicator", "steps": 200}
    scenario = one_context(1.0)
    gaming, not_gaming = invasions(*_map_and_start(scenario, training))
    expected = advantage(scenario, training)[0]
    assert gaming.exponent == pytest.approx(expected, rel=1e-9)
    assert not_gaming.exponent == pytest.approx(-expected, rel=1e-9)
    assert gaming.advantage == pytest.approx(expected, rel=1e-9)
    assert (gaming.law, not_gaming.law) == ("grows exponentially", "dies out exponentially")
    result = sim.simulate(scenario, training=training, record_every=50)
    decision = result.decision.values[:, 0, 0]
    odds = np.log(decision / (1.0 - decision))
    np.testing.assert_allclose(odds, odds[0] + expected * result.data["step"].values, rtol=1e-8)


def test_under_the_policy_gradient_what_is_rare_grows_hyperbolically() -> None:
    training = {**GATE_ALONE, "steps": 2000}
    scenario = one_context(1.0)
    gaming, _ = invasions(*_map_and_start(scenario, training))
    result = sim.simulate(scenario, training=training, initial=sim.AgentState(habit=-9.0))
    share = result.decision.values[[0, -1], 0, 0]
    assert share.max() < 0.01
    # 1/x falls by the advantage in a step, but for terms of the share's own order.
    assert 1.0 / share[0] - 1.0 / share[1] == pytest.approx(2000 * gaming.advantage, rel=0.02)


def test_under_the_policy_gradient_what_loses_dies_out_as_one_over_t() -> None:
    training = {**GATE_ALONE, "steps": 200_000}
    scenario = one_context(1.0)
    gaming, not_gaming = invasions(*_map_and_start(scenario, training))
    assert gaming.exponent == pytest.approx(0.0, abs=1e-12)
    assert gaming.grows
    assert not not_gaming.grows
    assert (gaming.law, not_gaming.law) == ("grows hyperbolically", "dies out as 1/t")
    # Once it is the rule, 1 − d falls as 1/(A t), so its odds double when time does.
    result = sim.simulate(scenario, training=training, record_every=100_000)
    rare = 1.0 - result.decision.values[1:, 0, 0]
    assert rare[0] / rare[1] == pytest.approx(2.0, rel=0.01)
    assert rare[1] * 200_000 * gaming.advantage == pytest.approx(1.0, rel=0.02)


def test_spread_brings_the_gate_of_another_context_into_the_exponent() -> None:
    of, start = _map_and_start("copyright", {**GATE_ALONE, "spread": 0.4})
    alone, at = _map_and_start("copyright", GATE_ALONE)
    moved = (alone.step(at[:, None])[:, 0] - at)[[n.startswith("habit.") for n in alone.names]]
    learnt = dict(zip(of.program.layout.contexts, moved, strict=True))
    for one in invasions(of, start):
        # Similarity is 1 everywhere; its own gate teaches a saturated gate nothing.
        others = 0.4 * sum(x for name, x in learnt.items() if name != one.context)
        sign = 1.0 if one.side == "gaming" else -1.0
        assert one.exponent == pytest.approx(sign * others, rel=1e-6)


def test_a_gate_that_reward_does_not_care_about_is_undecided() -> None:
    scenario = one_context(0.0)
    for one in invasions(*_map_and_start(scenario, GATE_ALONE)):
        assert not one.decided
        assert not one.grows
        assert one.law == "neither grows nor dies out"


def test_with_an_anchor_there_is_nothing_to_invade() -> None:
    with pytest.raises(sim.SpecError, match=r"training\.anchor: must be 0"):
        invasions(*_map_and_start("copyright", {"anchor": 0.01}))


def _map_and_start(scenario: object, training: object) -> tuple[TrainingMap, np.ndarray]:
    of = TrainingMap.from_specs(read_specs(scenario, training=training))  # type: ignore[arg-type]
    return of, of.start


# ----------------------------------------------------------------------------------------- corners


def test_where_only_gates_move_every_corner_is_looked_at_and_one_holds() -> None:
    found = equilibria("copyright", training=GATE_ALONE, starts=16)
    assert len(found.points) == 2**4
    held = [one for one in found.points if one.attracts]
    assert len(held) == 1
    assert held[0].share == 1.0
    assert found.points[found.own or 0] is held[0]
    better = advantage("copyright", GATE_ALONE)[:4]
    for (context, gone), gain in zip(held[0].saturated.items(), better, strict=True):
        assert gone == ("not gaming" if gain > 0.0 else "gaming"), context
    worst = [one for one in found.points if one.kind == "unstable"]
    assert len(worst) == 1
    for context, gone in held[0].saturated.items():
        assert worst[0].saturated[context] != gone


def test_where_reward_tells_nothing_apart_every_state_rests() -> None:
    found = equilibria(one_context(0.0), training=GATE_ALONE, starts=4)
    (point,) = found.points
    assert point.kind == "neutral"
    assert "habit.chat" in found.inert
    assert found.own_drift == {}


def test_a_corner_with_a_gate_that_nothing_decides_is_neutral() -> None:
    scenario = one_context(1.0)
    chat = scenario["contexts"]["chat"]
    scenario["contexts"]["idle"] = {**chat, "reward": {"help": 0.0, "harm": 0.0}}
    training = {**GATE_ALONE, "spread": 0.5}  # so that the idle gate is moved at all
    similar = {"similarity": {"chat": {"idle": 0.5}}}
    found = equilibria({**scenario, **similar}, training=training, starts=8)
    assert [one.kind for one in found.points if "idle" in one.saturated].count("neutral") >= 1


def test_gates_saturate_the_same_way_under_both_rules() -> None:
    found = [
        equilibria("copyright", training={**GATE_ALONE, "update_rule": rule}, starts=4)
        for rule in ("policy_gradient", "replicator")
    ]
    held = [[dict(p.saturated) for p in one.points if p.attracts] for one in found]
    assert held[0] == held[1]


# -------------------------------------------------------------------------------------- equilibria


@pytest.fixture(scope="module")
def anchored() -> Equilibria:
    return equilibria("copyright", training={"anchor": 0.001}, starts=48)


def test_shares_of_starts_add_up(anchored: Equilibria) -> None:
    assert sum(one.share for one in anchored.points) + anchored.unsettled == pytest.approx(1.0)
    assert all(one.share == 0.0 for one in anchored.points if not one.attracts)
    assert {one.kind for one in anchored.points} <= set(KINDS)


def test_more_than_one_outcome_attracts_and_a_saddle_stands_between(anchored: Equilibria) -> None:
    kinds = [one.kind for one in anchored.points]
    assert kinds.count("stable") >= 2
    assert "saddle" in kinds
    kept = [p.values["copyright"] for p in anchored.points if p.kind == "stable"]
    assert min(kept) < 0.0 < max(kept)


def test_the_agents_own_start_leads_where_a_long_run_leads(anchored: Equilibria) -> None:
    assert anchored.own is not None
    result = sim.simulate(
        "copyright", training={"anchor": 0.001, "steps": 30_000}, record_every=30_000
    )
    last = result.gaming_rate.isel(step=-1, agent=0)
    for name, rate in anchored.points[anchored.own].gaming_rate.items():
        assert float(last.sel(context=name)) == pytest.approx(rate, abs=1e-6)


def test_frame_has_a_row_for_each(anchored: Equilibria) -> None:
    frame = anchored.frame
    assert list(frame["kind"]) == [one.kind for one in anchored.points]
    assert frame["share"].sum() <= 1.0
    assert (frame.loc[frame["kind"] == "saddle", "memory"] == np.inf).all()


def test_without_an_anchor_it_is_said_what_still_moves() -> None:
    found = equilibria("copyright", starts=4, steps=2000)
    assert found.points == ()
    assert found.own is None
    assert found.unsettled == 1.0
    assert found.stalled == found.attempts
    assert found.inert == ("habit.copyright_deployed",)
    assert set(found.followers) == {n for n in found.own_drift if n.startswith("capability.")}
    assert found.own_drift["values.helpfulness"] > 0.0
    assert {one.context for one in found.invasions} == {
        "copyright_chat",
        "copyright_excerpt",
        "coding",
        "travel",
    }


def test_a_penalty_on_visible_gaming_makes_opacity_a_coordinate() -> None:
    scenario = one_context(1.0)
    scenario["contexts"]["chat"] |= {"monitor": 0.5, "scratchpad": 1.0}
    training = {"visible_gaming_penalty": 1.0}
    found = equilibria(scenario, training=training, starts=4, steps=500)
    assert "capability.opacity" in found.map.names
    assert "capability.opacity" not in found.followers


def test_only_what_is_free_moves() -> None:
    found = equilibria(
        "copyright",
        training={"anchor": 0.01},
        free=["values.copyright", "habit.copyright_chat"],
        starts=8,
    )
    assert found.map.names == ("values.copyright", "habit.copyright_chat")
    assert all(one.values["helpfulness"] == 1.0 for one in found.points)


def test_the_last_phase_is_the_one_that_lasts() -> None:
    scenario = one_context(1.0)
    scenario["curriculum"] = [
        {"name": "first", "length": 10},
        {"name": "second", "length": 10, "reward": {"chat": {"help": 1.0, "harm": -1.0}}},
    ]
    training = {"anchor": 0.01}
    first, last = (equilibria(scenario, training=training, phase=p, starts=8) for p in (0, -1))
    assert last.points[last.own or 0].values["care"] > first.points[first.own or 0].values["care"]


def test_starts_are_drawn_where_they_are_said_to_be_and_stay_when_more_are_drawn() -> None:
    of = TrainingMap.from_specs(read_specs("copyright"))
    few = draw_starts(of, count=8, seed=3, box={"habit": (-1.0, 1.0), "habit.coding": (4.0, 5.0)})
    many = draw_starts(of, count=20, seed=3, box={"habit": (-1.0, 1.0), "habit.coding": (4.0, 5.0)})
    np.testing.assert_array_equal(few, many[:, :8])
    np.testing.assert_array_equal(few[:, 0], of.start)
    habits = few[[n.startswith("habit.") and n != "habit.coding" for n in of.names], 1:]
    assert ((habits >= -1.0) & (habits <= 1.0)).all()
    coding = few[of.names.index("habit.coding"), 1:]
    assert ((coding >= 4.0) & (coding <= 5.0)).all()
    assert not np.array_equal(few, draw_starts(of, count=8, seed=4))


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"starts": 0}, "starts"),
        ({"steps": 0}, "steps"),
        ({"free": ["habbit"]}, "habit"),
        ({"phase": 2}, "phase"),
        ({"box": {"habits": (0.0, 1.0)}}, r"box\.habits.*habit"),
        ({"box": {"habit": (1.0, 0.0)}}, r"box\.habit: got"),
        ({"training": {"estimator": "sampled"}}, "estimator"),
    ],
)
def test_bad_input_is_refused(settings: dict[str, Any], wrong: str) -> None:
    with pytest.raises(sim.SpecError, match=wrong):
        equilibria("copyright", **settings)
