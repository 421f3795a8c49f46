"""What gaming causes: planted effects, planted mediators, planted nulls, and honest intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import sim
from sim.analysis.causation import (
    Effects,
    default_after,
    effects,
    gaming_only_in,
    in_training,
    outcomes,
    outcomes_by_world,
    paired,
    prepared_start,
    scenario_effects,
    scenario_worlds,
    start_of,
    worlds_plan,
)
from sim.analysis.causation_text import direction, effects_paragraph, signed
from sim.analysis.mediation import MEDIATORS, frozen, is_own, mediation, mediation_worlds
from sim.dynamics.randomness import normal
from sim.on_paper import moment
from sim.spec.errors import SpecError
from sim.spec.intervention import read_interventions
from sim.spec.settings import Specs, read_specs
from sim.sweeps.sweep import run_plan

LAB = "lab_to_deployment"
AGENT: dict[str, Any] = {
    "initial": {"values": {"power": 1.0, "care": 0.5}, "awareness": -1},
    "spread": {"initial": {"values": 0.5, "habit": 0.5, "awareness": 1.0}},
}
STILL = {
    "values": 0,
    "habit": 0,
    "awareness": 0,
    "log_horizon": 0,
    "log_competence": 0,
    "capability": 0,
}
N, STEPS = 24, 40


def specs(scenario: str = LAB, **training: Any) -> Specs:
    return read_specs(scenario, agent=AGENT, training={"steps": STEPS, **training})


def effects_of(one: Specs, *do: dict[str, Any]) -> Effects:
    return effects(one, do=read_interventions(do), agents=N, seed=1, engine="numpy")


def row(found: Effects, outcome: str, group: str = "all") -> Any:
    table = found.table
    main = table[(table["contrast"] == table["contrast"].iat[0]) & (table["group"] == group)]
    return main.set_index("outcome").loc[outcome]


# -------------------------------------------------------------------------------- planted effects


def test_a_value_that_is_set_has_the_effect_that_it_must() -> None:
    one = specs(learning_rate=STILL, transfer=0)
    found = effects_of(one, {"key": "state.values.care", "set": 2.0, "stop": STEPS})
    start = prepared_start(one, agents=N, seed=1)
    care = start[:, one.scenario.values.index("care")]
    assert (care < 0.0).any(), "so that the direction in which it started matters"
    difference = (2.0 - care) * np.sign(care)
    told = row(found, "strength.care")
    assert told["effect"] == pytest.approx(difference.mean(), rel=1e-12)
    assert told["up"] == pytest.approx((difference > 0).mean())
    assert row(found, "strength.power")["effect"] == 0.0


def test_what_was_set_goes_back_with_the_anchor() -> None:
    """Nothing but the anchor moves awareness: (c - α)(1 - anchor)^(T - s) is left of it."""
    one = specs(learning_rate=STILL, transfer=0, anchor=0.1)
    found = effects_of(one, {"key": "state.awareness", "set": 4.0, "stop": 30})
    program = sim.simulate(
        LAB, agent=AGENT, training={"steps": 1}, agents=N, seed=1, engine="numpy"
    )
    start = program.awareness_logit.sel(step=0).values
    expected = ((4.0 - start) * 0.9 ** (STEPS - 30)).mean()
    assert row(found, "awareness")["effect"] == pytest.approx(expected, rel=1e-9)


def test_what_changes_nothing_has_an_effect_of_exactly_zero() -> None:
    found = effects_of(specs(), {"key": "training.leak", "set": 0.0, "stop": STEPS})
    main = found.table[found.table["contrast"] == "what is done"]
    told = main[main["agents"] > 1]
    assert len(told) > 30
    assert (told[["effect", "low", "high", "up", "down"]] == 0.0).all(axis=None)
    assert "does nothing to awareness" in effects_paragraph(found)


def test_without_gaming_in_training_the_main_contrast_is_gaming() -> None:
    found = effects_of(specs())
    assert found.table["contrast"].iat[0] == "gaming"
    assert row(found, "deployed_policy")["effect"] > 0.0
    assert row(found, "log_horizon")["effect"] > 0.0
    assert sum(found.sizes.values()) > found.sizes["all"] == N


def test_groups_are_told_apart_by_alignment_at_the_start() -> None:
    one = specs()
    found = effects_of(one)
    start = prepared_start(one, agents=N, seed=1)
    human = np.array([one.scenario.human_values.get(v, 0.0) for v in one.scenario.values])
    cosine = start @ human / np.linalg.norm(start, axis=1) / np.linalg.norm(human)
    assert found.sizes["aligned"] == (cosine >= 0.5).sum()
    assert found.sizes["misaligned"] == (cosine <= -0.5).sum()


def test_rows_of_a_sweep_give_the_outcomes_of_a_result() -> None:
    one = specs()
    plan = worlds_plan({"it": one}, agents=3, seed=2, engine="numpy")
    rules = default_after(one.scenario)
    found = outcomes_by_world(plan, run_plan(plan), after=None)["it"]
    for index, seed in enumerate((6, 7, 8)):
        result = sim.simulate(
            LAB, agent=AGENT, training={"steps": STEPS}, seed=seed, engine="numpy"
        )
        start = start_of(plan.parts[0])[[index]]
        assert start[0] == pytest.approx(result.data["values"].values[0, 0])
        other = outcomes(moment(result, None), one.scenario, start=start, after=rules)
        np.testing.assert_allclose(found.iloc[index], other.iloc[0], rtol=1e-9, atol=1e-12)


def test_scenarios_are_compared_with_and_without_gaming() -> None:
    training = sim.Training(steps=400)
    short = read_specs("copyright", training=training)
    worlds = scenario_worlds(["copyright", "monolithic"], {"as it is": {}}, specs=short)
    plan = worlds_plan(worlds, agents=4, engine="numpy")
    table = scenario_effects(outcomes_by_world(plan, run_plan(plan), after=None))
    assert set(table["scenario"]) == {"copyright", "monolithic"}
    kept = table[(table["outcome"] == "kept") & (table["scenario"] == "monolithic")]
    assert kept[["up", "down"]].iloc[0].tolist() == [1.0, 0.0]


# ------------------------------------------------------------------------------ planted mediators


@pytest.mark.parametrize("planted", ["awareness", "log_horizon"])
def test_an_effect_through_one_mediator_is_found_there_and_nowhere_else(planted: str) -> None:
    """Nothing but the planted mediator learns, and only in the first twin."""
    one = specs(learning_rate=STILL, transfer=0)
    key = f"training.learning_rate.{planted}"
    contrast = (in_training(one, {"key": key, "set": 2.0}), ())
    plan = worlds_plan(mediation_worlds(one, contrast), agents=8, engine="numpy")
    table = mediation(outcomes_by_world(plan, run_plan(plan), after=None))
    rows = table[table["outcome"] == "gaming_rate"].set_index("route")
    assert abs(rows.loc[planted, "total"]) > 1e-4
    assert rows.loc[planted, "direct"] == 0.0
    assert rows.loc[planted, "mediated"] == rows.loc[planted, "total"]
    for other in set(MEDIATORS) - {planted}:
        assert rows.loc[other, "mediated"] == 0.0
        assert rows.loc[other, "direct"] == rows.loc[other, "total"]
        assert rows.loc[other, ["mediated_low", "mediated_high"]].tolist() == [0.0, 0.0]
    own = table[(table["route"] == planted) & (table["outcome"] == planted)]
    assert own[["direct", "mediated"]].isna().all(axis=None)
    assert own["total"].notna().all()


def test_habits_that_gaming_holds_are_not_frozen_twice() -> None:
    one = specs()
    contexts = list(one.scenario.contexts)
    side = in_training(one, {"key": f"gaming.{contexts[0]}", "set": 1})
    held = [i.key for i in frozen(one, side, "habit")[1:]]
    assert held == [f"state.habit.{name}" for name in contexts[1:]]
    everywhere = gaming_only_in(one, contexts)
    assert frozen(one, everywhere, "habit") == everywhere


def test_what_is_the_mediator_itself() -> None:
    assert is_own("values", "strength.care")
    assert is_own("capability", "met.opacity")
    assert not is_own("awareness", "alignment")
    assert not is_own("motive_credit 0", "awareness")


def test_a_contrast_that_holds_a_mediator_is_refused_in_one_line() -> None:
    one = specs()
    contrast = (in_training(one, {"key": "state.awareness", "set": 1.0}), ())
    with pytest.raises(SpecError, match="two of them hold awareness") as refused:
        worlds_plan(mediation_worlds(one, contrast), agents=2, engine="numpy")
    assert "\n" not in str(refused.value)


# ------------------------------------------------------------------------------------- intervals


def draws(n: int, repetitions: int, stream: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    flat = normal(seed=7, stream=stream, rows=np.arange(n * repetitions))
    return flat.reshape(repetitions, n)


def test_intervals_cover_normal_differences_as_often_as_they_say() -> None:
    """2,000 intervals of 10 pairs; false alarm with chance below 1e-4 (4 standard errors)."""
    found = [paired(x + 0.3, np.zeros(10)) for x in draws(10, 2000, "test normal")]
    share = np.mean([one["low"] <= 0.3 <= one["high"] for one in found])
    assert abs(share - 0.95) < 4.0 * np.sqrt(0.95 * 0.05 / 2000)


def test_intervals_of_skewed_differences_cover_little_less() -> None:
    """Log-normal differences (skewness 1.75), 128 pairs: the seed is fixed; 92 % at the least."""
    found = [paired(np.exp(0.5 * x), np.zeros(128)) for x in draws(128, 1000, "test skewed")]
    mean = np.exp(0.125)
    assert np.mean([one["low"] <= mean <= one["high"] for one in found]) > 0.92


def test_pairs_tell_more_than_two_groups() -> None:
    """Twins share their agents: the interval is a fraction of that of independent groups."""
    one = specs()
    found = row(effects_of(one), "awareness")
    plan = worlds_plan({"it": one}, agents=N, engine="numpy")
    alone = outcomes_by_world(plan, run_plan(plan), after=None)["it"]["awareness"]
    unpaired = 2.0 * 2.0 * np.sqrt(2.0 * alone.var(ddof=1) / N)
    assert 0.0 < found["high"] - found["low"] < 0.2 * unpaired


def test_pairs_without_a_number_are_left_out() -> None:
    one = paired([1.0, 3.0, np.nan, 5.0], [0.0, 1.0, 2.0, np.nan])
    assert (one["agents"], one["effect"], one["up"]) == (2.0, 1.5, 1.0)
    none = paired([np.nan], [0.0])
    assert none["agents"] == 0.0
    assert np.isnan(none["effect"])
    single = paired([2.0], [1.0])
    assert single["effect"] == 1.0
    assert np.isnan(single["low"])


def test_words_follow_the_interval() -> None:
    assert direction(0.1, 0.2) == "raises"
    assert direction(-0.2, -0.1) == "lowers"
    assert direction(-0.1, 0.1) == "may or may not change"
    assert direction(0.0, 0.0) == "does nothing to"
    assert direction(np.nan, np.nan) == "leaves open"
    assert [signed(x) for x in (0.004, 0.5, -0.5, np.nan)] == ["0.00", "+0.50", "−0.50", "–"]
