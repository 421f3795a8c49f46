"""What gaming causes: planted effects, planted nulls, twins to the bit, and honest intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import sim
from experiments.causation.scenario_effects import scenario_effects, scenario_worlds
from experiments.causation.study import Effects, effect_worlds, effects, groups_at_start
from experiments.causation.text import direction, effects_paragraph, signed, signed_small, told
from sim.analysis.after import PostTraining
from sim.analysis.contrasts import contrasts_of, with_do
from sim.analysis.counterfactuals import outcomes_by_world, policies_by_world, start_of, worlds_plan
from sim.analysis.end_outcomes import outcomes
from sim.analysis.paired_differences import paired, policy_distance
from sim.dynamics.randomness import normal, seeds_of
from sim.specs.intervention import read_interventions
from sim.specs.overrides import Specs, read_specs
from sim.sweeps.sweep import run_plan
from sim.takeover import moment

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


def starts(one: Specs) -> Any:
    return start_of(worlds_plan({"it": one}, agents=N, seed=1, engine="numpy").parts[0])


def effects_of(one: Specs, *do: dict[str, Any], after: PostTraining | None = None) -> Effects:
    contrasts = contrasts_of(one, read_interventions(do))
    worlds = effect_worlds(one, contrasts)
    plan = worlds_plan(worlds, agents=N, seed=1, engine="numpy", policies=True)
    sweep = run_plan(plan)
    return effects(
        contrasts,
        outcomes_by_world(plan, sweep, after=after),
        groups=groups_at_start(start_of(plan.parts[0]), one.scenario, threshold=-0.5),
        policies=policies_by_world(plan, sweep),
    )


def row(found: Effects, outcome: str, group: str = "all") -> Any:
    table = found.table
    main = table[(table["contrast"] == table["contrast"].iat[0]) & (table["group"] == group)]
    return main.set_index("outcome").loc[outcome]


# -------------------------------------------------------------------------------- planted effects


def test_a_value_that_is_set_has_the_effect_that_it_must() -> None:
    one = specs(learning_rate=STILL, transfer=0)
    found = effects_of(one, {"key": "state.values.care", "set": 2.0, "stop": STEPS})
    start = starts(one)
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
    untrained = (
        sim.simulate(LAB, agent=AGENT, training={"steps": 1}, seed=seed, engine="numpy")
        for seed in seeds_of(1, N)
    )
    start = np.array([result.awareness_logit.sel(step=0).item() for result in untrained])
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
    start = starts(one)
    human = np.array([one.scenario.human_values.get(v, 0.0) for v in one.scenario.values])
    cosine = start @ human / np.linalg.norm(start, axis=1) / np.linalg.norm(human)
    assert found.sizes["aligned"] == (cosine >= 0.5).sum()
    assert found.sizes["misaligned"] == (cosine <= -0.5).sum()


def test_an_agent_of_a_sweep_is_to_the_bit_that_of_a_run() -> None:
    one = with_do(specs(), read_interventions([{"key": "gaming", "set": 0, "stop": STEPS}]))
    plan = worlds_plan({"plain": specs(), "it": one}, agents=3, engine="numpy", policies=True)
    sweep = run_plan(plan)
    rules, deployed = PostTraining.default(one.scenario), list(one.scenario.of_kind("deployment"))
    found, policies = outcomes_by_world(plan, sweep)["it"], policies_by_world(plan, sweep)["it"]
    for index, seed in enumerate(seeds_of(0, 3)):
        result = sim.simulate(
            LAB,
            agent=AGENT,
            training={"steps": STEPS},
            interventions=one.interventions,
            seed=seed,
            engine="numpy",
        )
        now, start = moment(result, None), start_of(plan.parts[1])[[index]]
        np.testing.assert_array_equal(start, result.data["values"].values[0])
        alone = outcomes(now, one.scenario, start=start, after=rules)
        np.testing.assert_array_equal(found.iloc[[index]], alone)
        policy = now["policy"].sel(context=deployed).values[0]
        np.testing.assert_array_equal(policies[index], np.nan_to_num(policy))
    assert found["gaming_rate"].std() > 0.0


def test_policies_belong_to_the_run_with_their_number_and_failed_runs_have_none() -> None:
    """Of the second world, every run fails: its values grow out of all bounds."""
    away = {"key": "state.values.care", "set": 1e200}
    worlds = {"good": specs(), "bad": with_do(specs(), read_interventions([away]))}
    plan = worlds_plan(worlds, agents=4, engine="numpy", policies=True)
    sweep = run_plan(plan)
    policies = policies_by_world(plan, sweep)
    np.testing.assert_allclose(policies["good"].sum(axis=-1), 1.0)
    assert len(np.unique(policies["good"][:, 0, 0])) == 4
    assert sweep.failed == 4
    assert np.isnan(policies["bad"]).all()
    assert outcomes_by_world(plan, sweep)["bad"].isna().all(axis=None)


def test_distance_of_policies() -> None:
    """Half the sum of what chances differ by, the mean over contexts; nan where a run failed."""
    one = np.array([[[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]], [[np.nan] * 3] * 2])
    other = np.array([[[1.0, 0.0, 0.0], [0.2, 0.1, 0.7]], [[0.5, 0.5, 0.0]] * 2])
    np.testing.assert_allclose(policy_distance(one, other), [(0.5 + 0.2) / 2.0, np.nan])


def test_an_intervention_on_oversight_moves_what_comes_after_training_and_nothing_else() -> None:
    """Control that is certain to see what is done lets k^n through; none lets everything."""
    one = specs()
    rules = PostTraining.default(one.scenario)
    without = rules.under(read_interventions([{"key": "oversight.control.strength", "set": 0}]))
    strict = {"key": "oversight.control.strength", "set": 1}
    table = effects_of(one, strict, after=without).table
    main = table[(table["contrast"] == "what is done") & (table["group"] == "all")]
    moved = main[(main["effect"] != 0.0) & main["effect"].notna()].set_index("outcome")
    assert {"success"} <= set(moved.index) <= {"success", "attempts"}
    assert moved.loc["success", "effect"] < 0.0
    plan = worlds_plan({"it": one}, agents=N, seed=1, engine="numpy")
    sweep = run_plan(plan)
    loose = outcomes_by_world(plan, sweep, after=without)["it"]
    asked = rules.oversight.control.encounters
    subversion = loose["capability.subversion"]
    expected = loose["success"] * (subversion**asked - 1.0)
    assert moved.loc["success", "effect"] == pytest.approx(expected.mean(), rel=1e-9)


def test_scenarios_are_compared_with_and_without_gaming() -> None:
    training = sim.Training(steps=400)
    short = read_specs("copyright", training=training)
    worlds = scenario_worlds(["copyright", "monolithic"], {"as it is": {}}, specs=short)
    plan = worlds_plan(worlds, agents=4, engine="numpy")
    table = scenario_effects(outcomes_by_world(plan, run_plan(plan)))
    assert set(table["scenario"]) == {"copyright", "monolithic"}
    kept = table[(table["outcome"] == "kept") & (table["scenario"] == "monolithic")]
    assert kept[["up", "down"]].iloc[0].tolist() == [1.0, 0.0]


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
    plan = worlds_plan({"it": one}, agents=N, seed=1, engine="numpy")
    alone = outcomes_by_world(plan, run_plan(plan))["it"]["awareness"]
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
    assert [signed_small(x) for x in (0.0021, 0.0, 0.5)] == ["+0.0021", "0.00", "+0.50"]
    small = pd.Series({"effect": -0.005, "low": -0.009, "high": -0.001})
    assert told(small) == "−0.0050 [−0.0090, −0.0010]"
