"""Counterfactuals: twins to the bit, outcomes of runs, and honest intervals of differences."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sim
from sim.analysis.counterfactuals import (
    initial_values,
    outcomes,
    outcomes_by_world,
    paired_difference,
    paired_table,
    policies_by_world,
    policy_distance,
    worlds_plan,
)
from sim.analysis.worst_case import PostTraining
from sim.dynamics.randomness import normal, seeds_of
from sim.specs.overrides import Specs, read_specs
from sim.sweeps.plan import Plan
from sim.sweeps.result import Sweep
from sim.sweeps.sweep import run_plan
from sim.takeover import moment

LAB = "lab_to_deployment"
AGENT: dict[str, Any] = {
    "initial": {"values": {"power": 1.0, "care": 0.5}, "awareness": -1},
    "spread": {"initial": {"values": 0.5, "habit": 0.5, "awareness": 1.0}},
}
STEPS, AGENTS = 40, 12
OFF = {"key": "gaming", "set": 0, "stop": STEPS}
STRICT = {"key": "oversight.control.strength", "set": 1}
#: No intervention; gaming off; values that grow out of all bounds; control that sees everything.
DO: dict[str, list[dict[str, Any]]] = {
    "plain": [],
    "off": [OFF],
    "bad": [{"key": "training.learning_rate.values", "set": 1e300}],
    "strict": [STRICT],
}


def specs(do: list[dict[str, Any]]) -> Specs:
    return read_specs(LAB, agent=AGENT, training={"steps": STEPS}, interventions=do)


@cache
def worlds() -> tuple[Plan, Sweep]:
    by_name = {name: specs(do) for name, do in DO.items()}
    plan = worlds_plan(by_name, agents=AGENTS, engine="numpy", policies=True)
    return plan, run_plan(plan)


def test_an_agent_of_a_world_is_to_the_bit_that_of_a_run() -> None:
    plan, sweep = worlds()
    scenario = plan.parts[0].specs.scenario
    deployed = list(scenario.of_kind("deployment"))
    usual = PostTraining.default(scenario)
    frame, policies = outcomes_by_world(plan, sweep)["off"], policies_by_world(plan, sweep)["off"]
    for index, seed in enumerate(seeds_of(0, 3)):
        result = sim.simulate(
            LAB,
            agent=AGENT,
            training={"steps": STEPS},
            interventions=[OFF],
            seed=seed,
            engine="numpy",
        )
        state, start = moment(result, None), initial_values(plan.parts[1])[[index]]
        np.testing.assert_array_equal(start, result.data["values"].values[0])
        single = outcomes(state, scenario, start=start, post_training=usual)
        np.testing.assert_array_equal(frame.iloc[[index]], single)
        policy = state["policy"].sel(context=deployed).values[0]
        np.testing.assert_array_equal(policies[index], np.nan_to_num(policy))
    assert frame["gaming_rate"].std() > 0.0


def test_outcomes_by_their_definitions() -> None:
    plan, sweep = worlds()
    scenario, start = plan.parts[0].specs.scenario, initial_values(plan.parts[0])
    frame = outcomes_by_world(plan, sweep)["plain"]
    rows = sweep.frame[sweep.frame["world"] == "plain"].reset_index(drop=True)
    values = rows[[f"values.{name}" for name in scenario.values]].to_numpy()
    kept = (values * start).sum(axis=1) / (start**2).sum(axis=1)
    np.testing.assert_allclose(frame["kept"], kept, rtol=1e-12)
    for name, kind, variable in [
        ("gaming_rate", "training", "gaming_rate"),
        ("slip_deployed", "deployment", "slip"),
    ]:
        columns = [f"{variable}.{context}" for context in scenario.of_kind(kind)]
        np.testing.assert_allclose(frame[name], rows[columns].mean(axis=1), rtol=1e-12)
    terms = [name for name in frame if name.startswith("met.")]
    np.testing.assert_array_equal(frame["terms_met"], frame[terms].sum(axis=1))


def test_policies_belong_to_their_run_and_failed_runs_have_none() -> None:
    plan, sweep = worlds()
    policies = policies_by_world(plan, sweep)
    np.testing.assert_allclose(policies["plain"].sum(axis=-1), 1.0)
    assert len(np.unique(policies["plain"][:, 0, 0])) == AGENTS
    assert sweep.failed == AGENTS
    assert np.isnan(policies["bad"]).all()
    assert outcomes_by_world(plan, sweep)["bad"].isna().all(axis=None)
    own = np.array([[[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]], [[np.nan] * 3] * 2])
    twin = np.array([[[1.0, 0.0, 0.0], [0.2, 0.1, 0.7]], [[0.5, 0.5, 0.0]] * 2])
    np.testing.assert_allclose(policy_distance(own, twin), [(0.5 + 0.2) / 2.0, np.nan])


def test_an_intervention_on_oversight_moves_what_follows_training_and_nothing_else() -> None:
    """Control that is certain to see what is done lets k^n through; none lets everything."""
    plan, sweep = worlds()
    usual = PostTraining.default(plan.parts[0].specs.scenario)
    none = usual.with_interventions([{"key": "oversight.control.strength", "set": 0}])
    frames = outcomes_by_world(plan, sweep, post_training=none)
    table = paired_table(frames["strict"], frames["plain"]).set_index("outcome")
    moved = table[(table["effect"] != 0.0) & table["effect"].notna()]
    assert {"success"} <= set(moved.index) <= {"success", "attempts"}
    encounters = usual.oversight.control.encounters
    plain = frames["plain"]
    effect = plain["success"] * (plain["capability.subversion"] ** encounters - 1.0)
    assert moved.loc["success", "effect"] == pytest.approx(effect.mean(), rel=1e-9)
    same = paired_table(plain, plain)[["effect", "up", "down"]]
    assert (same.dropna() == 0.0).all(axis=None)


def test_intervals_cover_as_often_as_they_say() -> None:
    """Normal: 2,000 intervals of 10 pairs, false alarm below 1e-4. Skewed: a fixed seed.

    Log-normal differences have skewness 1.75; with 128 pairs 92 % at the least are covered.
    """
    for stream, n, count in (("test normal", 10, 2000), ("test skewed", 128, 1000)):
        draws = normal(seed=7, stream=stream, rows=np.arange(n * count)).reshape(count, n)
        normal_case = stream == "test normal"
        numbers, mean = (draws + 0.3, 0.3) if normal_case else (np.exp(0.5 * draws), np.exp(0.125))
        rows = pd.DataFrame([paired_difference(x, np.zeros(n)) for x in numbers])
        share = ((rows["low"] <= mean) & (mean <= rows["high"])).mean()
        if normal_case:
            assert abs(share - 0.95) < 4.0 * np.sqrt(0.95 * 0.05 / count)
        else:
            assert share > 0.92


def test_pairs_without_a_number_are_left_out_and_two_are_needed_for_an_interval() -> None:
    both = paired_difference([1.0, 3.0, np.nan, 5.0], [0.0, 1.0, 2.0, np.nan])
    assert (both["agents"], both["effect"], both["up"]) == (2.0, 1.5, 1.0)
    none = paired_difference([np.nan], [0.0])
    assert none["agents"] == 0.0
    assert np.isnan(none["effect"])
    single = paired_difference([2.0], [1.0])
    assert single["effect"] == 1.0
    assert np.isnan(single["low"])
