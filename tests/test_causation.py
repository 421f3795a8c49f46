"""The study of causes: planted effects, planted nulls, contrasts and groups."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sim
from experiments.causation.contrasts import contrasts_of
from experiments.causation.scenario_effects import scenario_effects, scenario_worlds
from experiments.causation.study import Effects, effect_worlds, effects, groups_at_start
from experiments.causation.text import direction, effects_paragraph, signed, signed_small, told
from sim.analysis.counterfactuals import (
    initial_values,
    outcomes_by_world,
    policies_by_world,
    worlds_plan,
)
from sim.dynamics.randomness import seeds_of
from sim.specs.intervention import read_interventions
from sim.specs.overrides import Specs, read_specs
from sim.sweeps.sweep import run_plan
from test_counterfactuals import AGENT, LAB

STILL = dict.fromkeys(
    ("values", "habit", "awareness", "log_horizon", "log_competence", "capability"), 0
)
N, STEPS = 24, 40


def specs(**training: Any) -> Specs:
    return read_specs(LAB, agent=AGENT, training={"steps": STEPS, **training})


def starts(one: Specs) -> Any:
    return initial_values(worlds_plan({"it": one}, agents=N, seed=1, engine="numpy").parts[0])


def effects_of(one: Specs, *do: dict[str, Any]) -> Effects:
    contrasts = contrasts_of(one, read_interventions(do))
    worlds = effect_worlds(one, contrasts)
    plan = worlds_plan(worlds, agents=N, seed=1, engine="numpy", policies=True)
    sweep = run_plan(plan)
    return effects(
        contrasts,
        outcomes_by_world(plan, sweep),
        groups=groups_at_start(initial_values(plan.parts[0]), one.scenario, threshold=-0.5),
        policies=policies_by_world(plan, sweep),
    )


@cache
def of_gaming() -> Effects:
    return effects_of(specs())


def row(found: Effects, outcome: str) -> Any:
    table = found.table
    main = table[(table["contrast"] == table["contrast"].iat[0]) & (table["group"] == "all")]
    return main.set_index("outcome").loc[outcome]


def test_a_value_that_is_set_has_the_effect_that_it_must() -> None:
    one = specs(learning_rate=STILL, transfer=0)
    found = effects_of(one, {"key": "state.values.care", "set": 2.0, "stop": STEPS})
    care = starts(one)[:, one.scenario.values.index("care")]
    difference = (2.0 - care) * np.sign(care)
    effect = row(found, "strength.care")
    assert effect["effect"] == pytest.approx(difference.mean(), rel=1e-12)
    assert effect["up"] == pytest.approx((difference > 0).mean())
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
    rows = main[main["agents"] > 1]
    assert len(rows) > 30
    assert (rows[["effect", "low", "high", "up", "down"]] == 0.0).all(axis=None)
    assert "does nothing to awareness" in effects_paragraph(found)


def test_without_interventions_the_main_contrast_is_gaming() -> None:
    found = of_gaming()
    assert found.table["contrast"].iat[0] == "gaming"
    assert row(found, "deployed_policy")["effect"] > 0.0
    assert row(found, "log_horizon")["effect"] > 0.0
    assert sum(found.sizes.values()) > found.sizes["all"] == N
    # Twins share their agents: the interval is a fraction of that of independent groups.
    plan = worlds_plan({"it": specs()}, agents=N, seed=1, engine="numpy")
    awareness = outcomes_by_world(plan, run_plan(plan))["it"]["awareness"]
    unpaired = 2.0 * 2.0 * np.sqrt(2.0 * awareness.var(ddof=1) / N)
    assert 0.0 < row(found, "awareness")["high"] - row(found, "awareness")["low"] < 0.2 * unpaired
    # Groups are those of alignment at the start.
    start, scenario = starts(specs()), specs().scenario
    human = np.array([scenario.human_values.get(v, 0.0) for v in scenario.values])
    cosine = start @ human / np.linalg.norm(start, axis=1) / np.linalg.norm(human)
    assert found.sizes["aligned"] == (cosine >= 0.5).sum()
    assert found.sizes["misaligned"] == (cosine <= -0.5).sum()


def test_scenarios_are_compared_with_and_without_gaming() -> None:
    short = read_specs("copyright", training=sim.Training(steps=400))
    worlds = scenario_worlds(["copyright", "monolithic"], {"as it is": {}}, specs=short)
    plan = worlds_plan(worlds, agents=4, engine="numpy")
    table = scenario_effects(outcomes_by_world(plan, run_plan(plan)))
    assert set(table["scenario"]) == {"copyright", "monolithic"}
    kept = table[(table["outcome"] == "kept") & (table["scenario"] == "monolithic")]
    assert kept[["up", "down"]].iloc[0].tolist() == [1.0, 0.0]


def test_words_follow_the_interval() -> None:
    nan = np.nan
    for ends, word in [
        ((0.1, 0.2), "raises"),
        ((-0.2, -0.1), "lowers"),
        ((-0.1, 0.1), "may or may not change"),
        ((0.0, 0.0), "does nothing to"),
        ((nan, nan), "leaves open"),
    ]:
        assert direction(*ends) == word
    assert [signed(x) for x in (0.004, 0.5, -0.5, nan)] == ["0.00", "+0.50", "−0.50", "–"]
    assert [signed_small(x) for x in (0.0021, 0.0, 0.5)] == ["+0.0021", "0.00", "+0.50"]
    small = pd.Series({"effect": -0.005, "low": -0.009, "high": -0.001})
    assert told(small) == "−0.0050 [−0.0090, −0.0010]"
