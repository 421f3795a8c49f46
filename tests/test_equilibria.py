"""Equilibria of training: fixed points, corners, basins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import sim
from gates import GATE_ALONE, HABIT_ALONE, advantage, one_context
from sim.specs.overrides import read_specs
from sim.stability.equilibria import Equilibria, draw_starts, equilibria
from sim.stability.fixed_points import KINDS
from sim.stability.training_map import TrainingMap
from test_plots import texts


@pytest.fixture(scope="module")
def anchored() -> Equilibria:
    return equilibria("copyright", training={"anchor": 0.001}, starts=32)


def test_there_are_two_attractors_with_a_saddle_between_and_their_shares_add_up(
    anchored: Equilibria,
) -> None:
    points = anchored.points
    assert sum(p.share for p in points) + anchored.unsettled == pytest.approx(1.0)
    assert all(p.share == 0.0 for p in points if not p.attracts)
    kinds = [p.kind for p in points]
    assert kinds.count("stable") >= 2
    assert {"saddle"} < set(kinds) <= set(KINDS)
    values = [p.values["copyright"] for p in points if p.kind == "stable"]
    assert min(values) < 0.0 < max(values)


def test_the_agents_own_start_leads_where_a_long_run_leads(anchored: Equilibria) -> None:
    training = {"anchor": 0.001, "steps": 30_000}
    result = sim.simulate("copyright", training=training, record_every=30_000)
    end = result.gaming_rate.isel(step=-1, agent=0)
    assert anchored.own is not None
    for name, rate in anchored.points[anchored.own].gaming_rate.items():
        assert float(end.sel(context=name)) == pytest.approx(rate, abs=1e-6)


def test_frame_repr_and_figure_have_every_equilibrium(anchored: Equilibria) -> None:
    frame = anchored.frame
    assert list(frame["kind"]) == [p.kind for p in anchored.points]
    assert (frame.loc[frame["kind"] == "saddle", "memory"] == np.inf).all()
    stable = sum(frame["kind"] == "stable")
    assert repr(anchored).startswith(f"<Equilibria: {stable} stable, ")
    first = repr(anchored.points[0])
    assert first.startswith("<Equilibrium: stable, share=0.")
    assert "; gaming_rate from " in first
    assert repr(anchored.points[0].point).startswith("<FixedPoint: stable, ")
    figure = anchored.plot()
    words = texts(figure)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert [label.lstrip("→ ").split(",")[0] for label in labels] == list(frame["kind"])
    assert [label.startswith("→") for label in labels].index(True) == anchored.own
    assert {name.replace("_", " ") for name in anchored.points[0].gaming_rate} < set(words)


def test_where_only_gates_move_all_corners_are_examined_and_one_attracts() -> None:
    for rule in ("policy_gradient", "natural_gradient"):
        # Where the value agrees with the reward ΔF is small: its gates need a fast habit.
        rates = {**GATE_ALONE["learning_rate"], "habit": 1.0}
        training = {"learning_rate": rates, "update_rule": rule}
        result = equilibria(
            "copyright",
            agent={**HABIT_ALONE, "habit": -1.0},
            training=training,
            starts=2,
            steps=5000,
            box={"habit": (-1.0, 1.0)},
        )
        assert len(result.points) == 2**4
        (stable,) = (p for p in result.points if p.attracts)
        assert stable.share == 1.0
        assert result.points[result.own or 0] is stable
        gains = advantage("copyright", training)[:4]  # at the start, whatever the habit
        for (context, extinct), gain in zip(stable.saturated.items(), gains, strict=True):
            assert extinct == ("not gaming" if gain > 0.0 else "gaming"), context
        (worst,) = (p for p in result.points if p.kind == "unstable")
        for context, extinct in stable.saturated.items():
            assert worst.saturated[context] != extinct


def test_after_few_steps_starts_that_are_not_yet_on_their_way_are_unsettled() -> None:
    on_their_way = {"copyright_chat": 3, "copyright_excerpt": 3, "coding": -3, "travel": -3}
    agent = {**HABIT_ALONE, "habit": on_their_way}
    result = equilibria("copyright", agent=agent, training=GATE_ALONE, starts=32, steps=10)
    (stable,) = (p for p in result.points if p.attracts)
    assert 0.0 < stable.share < 1.0
    assert result.unsettled == pytest.approx(1.0 - stable.share)


def test_gates_that_reward_does_not_decide_are_neutral() -> None:
    result = equilibria(one_context(0.0), training=GATE_ALONE, starts=4)
    assert [p.kind for p in result.points] == ["neutral"]
    assert "habit.chat" in result.inert
    assert result.own_drift == {}
    scenario = one_context(1.0)
    chat = scenario["contexts"]["chat"]
    scenario["contexts"]["idle"] = {**chat, "reward": {"help": 0.0, "harm": 0.0}}
    scenario["similarity"] = {"chat": {"idle": 0.5}}
    # Carried over, what chat teaches moves the idle gate.
    training = {**GATE_ALONE, "generalisation": {"habit": 0.5}}
    result = equilibria(scenario, training=training, starts=8, steps=2000)
    assert result.followers == ()
    assert "neutral" in [p.kind for p in result.points if "idle" in p.saturated]


def test_without_an_anchor_the_result_is_what_still_moves() -> None:
    result = equilibria("copyright", starts=4, steps=2000)
    assert (result.points, result.own, result.unsettled) == ((), None, 1.0)
    assert repr(result) == "<Equilibria: no points; own=None, unsettled=1>"
    with pytest.raises(sim.SpecError, match="nothing to draw"):
        result.plot()
    assert result.stalled == result.attempts
    assert result.inert == ("habit.copyright_deployed",)
    assert set(result.followers) == {n for n in result.own_drift if n.startswith("capability.")}
    assert result.own_drift["values.helpfulness"] > 0.0
    assert {i.context for i in result.invasions} == {*result.map.trained_contexts}


def test_coordinates_are_what_is_free_and_coupled() -> None:
    scenario = one_context(1.0)
    scenario["contexts"]["chat"] |= {"monitor": 0.5, "scratchpad": 1.0}
    training = {"visible_gaming_penalty": 1.0}  # makes opacity matter
    result = equilibria(scenario, training=training, starts=1, steps=500)
    assert "capability.opacity" in result.map.names
    # Gates whose habit is held are no corners, though values may drive them there.
    result = equilibria("copyright", free=["values", "habit.coding"], starts=16, steps=2000)
    assert {tuple(p.saturated) for p in result.points} == {("coding",)}
    free = ["values.copyright", "habit.copyright_chat"]
    result = equilibria("copyright", training={"anchor": 0.01}, free=free, starts=8)
    assert result.map.names == tuple(free)
    assert all(p.values["helpfulness"] == 1.0 for p in result.points)


def demonstrated(*shares: float) -> dict[str, Any]:
    """Return a scenario that demonstrates two answers in some shares, and a deployment context."""
    scenario = one_context(1.0)
    chat = scenario["contexts"]["chat"]
    chat |= {
        "method": "demonstration",
        "demonstrations": dict(zip(("help", "harm"), shares, strict=True)),
    }
    scenario["contexts"]["deployed"] = {**chat, "kind": "deployment", "cue": -1.0}
    return scenario


#: Nothing learns but propensities.
PROPENSITIES = {
    "learning_rate": {
        **GATE_ALONE["learning_rate"],
        "habit": 0.0,
        "propensity": 0.5,
    }
}


def test_demonstrations_have_one_stable_point_at_which_answers_have_their_shares() -> None:
    """With x = m_harm − m_help and no gaming, x moves by 2 η (y − π): 1 − 2 η y (1 − y) at rest."""
    y, rate = 0.2, 0.5
    agent = {"awareness": -40.0, "values": {"care": 1.0}, "decisiveness": 1.5}
    result = equilibria(demonstrated(1.0 - y, y), agent=agent, training=PROPENSITIES, starts=8)
    (point,) = result.points
    assert (point.kind, point.point.neutral, point.share) == ("stable", (), 1.0)
    assert point.point.names == ("propensity.chat.harm",)
    expected = np.log(y / (1.0 - y)) + 2.0 * 1.5  # what the value has against it is made up for
    assert point.point.at[0] == pytest.approx(expected, abs=1e-8)
    assert point.point.largest == pytest.approx(1.0 - 2.0 * rate * y * (1.0 - y), abs=1e-9)
    assert "propensity.deployed.harm" in result.inert
    # Carried over, the propensity of an untrained context follows, and nothing depends on it.
    training = {**PROPENSITIES, "generalisation": {"propensity": 0.25}}
    result = equilibria(demonstrated(1.0 - y, y), agent=agent, training=training, starts=4)
    assert result.followers == ("propensity.deployed.harm",)
    assert [p.kind for p in result.points] == ["stable"]


def test_without_a_learning_rate_propensities_are_left_out_where_the_agent_has_them() -> None:
    agent = {"propensity": {"coding": {"fix": -0.7}}}
    result = equilibria("copyright", agent=agent, training={"anchor": 0.01}, starts=2, steps=500)
    assert not any(name.startswith("propensity.") for name in result.map.names)
    assert {n for n in result.inert if n.startswith("propensity.coding")} == {
        "propensity.coding.stall"
    }
    layout = result.map.program.layout
    theta = result.map.program_at(result.map.start[:, None]).theta[:, 0]
    assert theta[layout.names.index("propensity.coding.fix")] == -0.7


def test_the_last_phase_is_the_one_that_lasts() -> None:
    scenario = one_context(1.0)
    scenario["curriculum"] = [
        {"name": "first", "length": 10},
        {"name": "second", "length": 10, "reward": {"chat": {"help": 1.0, "harm": -1.0}}},
    ]
    care = []
    for phase in (0, -1):
        result = equilibria(scenario, training={"anchor": 0.01}, phase=phase, starts=8)
        care.append(result.points[result.own or 0].values["care"])
    assert care[1] > care[0]


def test_starts_lie_in_their_box_and_do_not_depend_on_how_many_there_are() -> None:
    f = TrainingMap.from_specs(read_specs("copyright"))
    box = {"habit": (-1.0, 1.0), "habit.coding": (4.0, 5.0)}
    few, many = (draw_starts(f, count=n, seed=3, box=box) for n in (8, 20))
    np.testing.assert_array_equal(few, many[:, :8])
    np.testing.assert_array_equal(few[:, 0], f.start)
    coding = f.names.index("habit.coding")
    habits = [i for i, n in enumerate(f.names) if n.startswith("habit.") and i != coding]
    assert (np.abs(many[habits, 1:]) <= 1.0).all()
    assert (np.abs(many[coding, 1:] - 4.5) <= 0.5).all()
    assert not np.array_equal(few, draw_starts(f, count=8, seed=4, box=box))


REFUSED: dict[str, dict[str, Any]] = {
    "starts": {"starts": 0},
    "steps": {"steps": 0},
    "habit": {"free": ["habbit"]},
    "phase": {"phase": 2},
    r"box\.habits.*habit": {"box": {"habits": (0.0, 1.0)}},
    r"box\.habit: got \(1": {"box": {"habit": (1.0, 0.0)}},
    r"box\.habit: got \(-inf": {"box": {"habit": (-np.inf, 0.0)}},
    "estimator": {"training": {"estimator": "sampled"}},
}


def test_unusable_settings_are_refused() -> None:
    for message, settings in REFUSED.items():
        with pytest.raises(sim.SpecError, match=message):
            equilibria("copyright", **settings)
