"""The study of causes: planted effects, planted nulls, contrasts, groups, and the command."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sim
from commands import Call, assert_refused
from experiments.causation.contrasts import contrasts_of
from experiments.causation.effects import (
    ASSUMPTIONS,
    effect_verdicts,
    effect_worlds,
    effects,
    groups_at_start,
    scenario_effects,
    scenario_worlds,
)
from experiments.causation.mediation import MEDIATORS, ROUTES, largest_routes
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
from sim.utils.format import signed
from test_counterfactuals import AGENT, LAB

STILL = dict.fromkeys(
    ("values", "habit", "awareness", "log_horizon", "log_competence", "capability"), 0
)
N, STEPS = 24, 40
SMALL = ("agents=4", "few_agents=2", "copies=1", "training.steps=8", "engine=numpy")


def specs(**training: Any) -> Specs:
    return read_specs(LAB, agent=AGENT, training={"steps": STEPS, **training})


def starts(one: Specs) -> Any:
    return initial_values(worlds_plan({"it": one}, agents=N, seed=1, engine="numpy").parts[0])


def effects_of(one: Specs, *do: dict[str, Any]) -> pd.DataFrame:
    contrasts = contrasts_of(one._replace(interventions=read_interventions(do)))
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
def of_gaming() -> pd.DataFrame:
    return effects_of(specs())


def row(table: pd.DataFrame, outcome: str) -> Any:
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
    main = found[found["contrast"] == "what is done"]
    rows = main[main["agents"] > 1]
    assert len(rows) > 30
    assert (rows[["effect", "low", "high", "up", "down"]] == 0.0).all(axis=None)
    assert set(effect_verdicts(main[main["group"] == "all"])["verdict"]) == {"no effect"}


def test_without_interventions_the_main_contrast_is_gaming() -> None:
    found = of_gaming()
    assert found["contrast"].iat[0] == "gaming"
    assert row(found, "deployed_policy")["effect"] > 0.0
    assert row(found, "log_horizon")["effect"] > 0.0
    # Twins share their agents: the interval is a fraction of that of independent groups.
    plan = worlds_plan({"it": specs()}, agents=N, seed=1, engine="numpy")
    awareness = outcomes_by_world(plan, run_plan(plan))["it"]["awareness"]
    unpaired = 2.0 * 2.0 * np.sqrt(2.0 * awareness.var(ddof=1) / N)
    assert 0.0 < row(found, "awareness")["high"] - row(found, "awareness")["low"] < 0.2 * unpaired
    # Groups are those of alignment at the start.
    start, scenario = starts(specs()), specs().scenario
    human = np.array([scenario.human_values.get(v, 0.0) for v in scenario.values])
    cosine = start @ human / np.linalg.norm(start, axis=1) / np.linalg.norm(human)
    groups = groups_at_start(start, scenario, threshold=-0.5)
    assert groups["all"].sum() == N
    assert 0 < groups["aligned"].sum() == (cosine >= 0.5).sum()
    assert 0 < groups["misaligned"].sum() == (cosine <= -0.5).sum()


def test_scenarios_are_compared_with_and_without_gaming() -> None:
    short = read_specs("copyright", training=sim.Training(steps=400))
    worlds = scenario_worlds(["copyright", "monolithic"], {"as it is": {}}, specs=short)
    plan = worlds_plan(worlds, agents=4, engine="numpy")
    table = scenario_effects(outcomes_by_world(plan, run_plan(plan)))
    assert set(table["scenario"]) == {"copyright", "monolithic"}
    kept = table[(table["outcome"] == "kept") & (table["scenario"] == "monolithic")]
    assert kept[["up", "down"]].iloc[0].tolist() == [1.0, 0.0]


def test_verdicts_follow_the_interval() -> None:
    ends = {"low": [0.1, -0.2, -0.1, 0.0, np.nan], "high": [0.2, -0.1, 0.1, 0.0, np.nan]}
    same = {"contrast": "gaming", "group": "all", "outcome": "kept", "agents": 9, "effect": 0.0}
    verdicts = effect_verdicts(pd.DataFrame(ends).assign(**same))["verdict"]
    assert verdicts.tolist() == ["raised", "lowered", "open", "no effect", "open"]
    numbers = (0.0021, 0.0, 0.5, -0.5, np.nan)
    assert [signed(x) for x in numbers] == ["0.00", "0.00", "+0.50", "−0.50", "–"]
    assert signed(numbers[0], 4) == "+0.0021"
    routes = pd.DataFrame({"route": ["a", "b", "c"], "outcome": "kept", "total": 1.0})
    parts = routes.assign(direct=0.0, mediated=[0.3, -0.5, 0.9], mediated_low=[0.2, -0.6, -1.0])
    table = largest_routes(parts.assign(mediated_high=[0.4, -0.4, 2.0]))
    assert table[["route", "verdict"]].iloc[0].tolist() == ["b", "works against it"]


def test_any_intervention_is_a_cause_and_no_run_is_made_twice(call: Call) -> None:
    do = "do=[{key: state.awareness, set: 3, stop: 8}, {key: deployment.caution, scale: 2}]"
    arguments = (*SMALL, "parts=[effects]", "seed=18446744073709551615", do)
    runs = []
    for folder in ("first", "second"):
        left = call(*arguments, f"hydra.run.dir={folder}", name="causation")
        assert left.status == 0, left.stderr
        runs.append(pd.read_csv(left.folder / folder / "runs.csv").iloc[0].to_dict())
    first, second = (left.folder / name / "effects.csv" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    assert [run["resumed"] for run in runs] == [0, 5 * 4]
    assert [run["failed"] for run in runs] == [0, 0]
    table = pd.read_csv(first)
    assert set(table["contrast"].iloc[:10]) == {"what is done"}
    awareness = table[(table["outcome"] == "awareness") & (table["group"] == "all")].iloc[0]
    assert awareness["first"] == pytest.approx(3.0)


@pytest.mark.slow
def test_other_parts_where_nobody_is_deployed(call: Call) -> None:
    parts = "parts=[mediation,scenarios,self_modification]"
    settings = (parts, "scenario=copyright", "scenarios=[copyright]", "store=null")
    left = call(*SMALL, *settings, name="causation")
    assert left.status == 0, left.stderr
    assert left.json("summary.json")["cause"] == "gaming"
    assert pd.read_csv(left.only("runs.csv"))["failed"].tolist() == [0, 0, 0]
    routes = pd.read_csv(left.only("mediation.csv"))["route"]
    assert list(dict.fromkeys(routes)) == [*(m for m in MEDIATORS if m != "propensity"), *ROUTES]
    scenarios = pd.read_csv(left.only("scenarios.csv"))
    assert set(scenarios["scenario"]) == {"copyright"}
    assert tuple(scenarios["assumption"].unique()) == tuple(ASSUMPTIONS)


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("parts=[efects]", "did you mean 'effects'"),
        ("parts=[]", "parts: got []"),
        ("scenarios=[copyrigth]", "did you mean 'copyright'"),
        ("agents=1", "agents: got 1"),
        ("copies=99", "copies: got 99"),
        ("do=[{key: state.awareness, freeze: true}]", "two of them hold awareness"),
        ("do=[{key: oversight.control.strength, scale: 99}]", "oversight.control.strength"),
        ("store=3", "store: got 3"),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Call, setting: str, line: str) -> None:
    few = ("parts=[mediation]",) if not setting.startswith("parts") else ()
    assert_refused(call(*SMALL, *few, setting, name="causation"), line)
