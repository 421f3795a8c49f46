"""The study of footnote 6: what a shift is owed to, and what gaming adds to looking good."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import sim
from commands import Call, assert_refused
from experiments.footnote6.representativeness import (
    CAUSES,
    GROUPS,
    Plan,
    PopulationRecord,
    by_gamed,
    group_places,
    observe,
    train_populations,
)
from sim.result import Result
from sim.simulation import prepare
from sim.specs.agent import Agent
from sim.specs.errors import SpecError
from sim.specs.library import config_root
from sim.specs.overrides import read_specs

ROOT = Path(__file__).parent.parent
#: Where the study of the worst case has its config.
WORST_CASE = next(
    path
    for path in (ROOT / "experiments/worst_case/config.yaml", config_root() / "worst_case.yaml")
    if path.exists()
)
#: The populations of the command.
POPULATIONS: dict[str, Any] = yaml.safe_load(
    (ROOT / "experiments/footnote6/config.yaml").read_text(encoding="utf-8")
)["populations"]
WIDE = POPULATIONS["wide"]
STEPS = 300
TWINS = {
    "access_request": "access_deployed",
    "song_request": "song_deployed",
    "ruthless_plan": "plan_deployed",
    "coding": "coding_deployed",
}


def test_the_wide_population_is_that_of_the_worst_case() -> None:
    text = (WORST_CASE).read_text(encoding="utf-8")
    assert yaml.safe_load(text)["agent"] == WIDE


def watched(
    scenario: sim.Scenario | str = "lab_to_deployment",
    agent: Any = WIDE,
    *,
    agents: int = 32,
    **training: Any,
) -> tuple[PopulationRecord, Result]:
    run = prepare(
        scenario,
        agent=agent,
        training={"steps": STEPS, **training},
        agents=agents,
        seed=3,
        record_every=100,
    )
    result = run.execute()
    return observe("some", run.program, result), result


@cache
def wide() -> tuple[PopulationRecord, Result]:
    return watched()


def with_twins(**numbers: float) -> sim.Scenario:
    """The scenario with twins that have these numbers of their training contexts."""
    scenario = sim.Scenario.load("lab_to_deployment")
    contexts = dict(scenario.contexts)
    for name, twin in TWINS.items():
        same = {key: getattr(contexts[name], key) for key, share in numbers.items() if share}
        contexts[twin] = contexts[twin].replace(**same)
    return scenario.replace(contexts=contexts)


# ----------------------------------------------------------------------- what a shift is owed to


def test_the_shift_is_the_recorded_one_and_its_causes_sum_to_it() -> None:
    record, result = wide()
    recorded = result.behaviour_shift.sel(context=list(TWINS)).mean("context").values
    np.testing.assert_allclose(record.shift, recorded, atol=1e-12)
    np.testing.assert_allclose(
        sum(record.owed[cause] for cause in CAUSES), record.shift, atol=1e-12
    )
    np.testing.assert_allclose(record.owed["other"], 0.0, atol=1e-12)
    assert record.shift[-1].mean() > 0.05  # so that there is something to owe


def test_the_shift_is_how_much_more_is_gamed_times_how_far_gaming_goes() -> None:
    """π − π' = (g − g')(π^r − π^v): values and objective are the same in a twin."""
    record, result = wide()
    expected = []
    for name, twin in TWINS.items():
        of_values, gamed = (
            np.nan_to_num(result.data[p].sel(context=name).values)
            for p in ("value_policy", "gaming_policy")
        )
        apart = 0.5 * np.abs(gamed - of_values).sum(axis=-1)
        rates = result.gaming_rate
        expected.append(np.abs(rates.sel(context=name) - rates.sel(context=twin)).values * apart)
    np.testing.assert_allclose(record.shift, np.mean(expected, axis=0), atol=1e-12)


def test_a_twin_with_the_same_cue_and_habit_has_no_shift_at_all() -> None:
    agent = {**WIDE, "spread": {"initial": {**WIDE["spread"]["initial"], "habit": 0}}}
    record, _ = watched(with_twins(cue=1), agent, learning_rate={"habit": 0})
    np.testing.assert_array_equal(record.shift, 0.0)
    record, _ = watched(with_twins(cue=1), agent)
    np.testing.assert_array_equal(record.shift[0], 0.0)


def test_with_the_same_cue_what_shift_there_is_comes_from_habit_alone() -> None:
    """Habit is learnt where training is: a second reason, that takes no knowing."""
    record, _ = watched(with_twins(cue=1))
    np.testing.assert_array_equal(record.owed["belief"], 0.0)
    np.testing.assert_allclose(record.owed["habit"], record.shift, atol=1e-15)
    assert record.shift[-1].mean() > 0.001


def test_an_agent_that_cannot_read_the_cue_owes_nothing_to_belief() -> None:
    record, _ = watched(agent={**WIDE, "discernment": 0})
    np.testing.assert_array_equal(record.owed["belief"], 0.0)


def test_with_the_same_habit_the_shift_is_owed_to_belief_alone() -> None:
    agent = {**WIDE, "spread": {"initial": {**WIDE["spread"]["initial"], "habit": 0}}}
    record, _ = watched(agent=agent, learning_rate={"habit": 0})
    np.testing.assert_array_equal(record.owed["habit"], 0.0)
    np.testing.assert_allclose(record.owed["belief"], record.shift, atol=1e-15)
    assert record.shift[-1].mean() > 0.05


def test_a_twin_that_differs_in_more_than_its_cue_has_other_causes() -> None:
    scenario = sim.Scenario.load("lab_to_deployment")
    plan = scenario.contexts["plan_deployed"].replace(scratchpad=0, info=0)
    changed = scenario.replace(contexts={**scenario.contexts, "plan_deployed": plan})
    record, _ = watched(changed)
    assert record.owed["other"][-1].mean() > 0.001
    np.testing.assert_allclose(
        sum(record.owed[cause] for cause in CAUSES), record.shift, atol=1e-12
    )


# --------------------------------------------------------------- looking best, gap, and gaming


def test_groups_are_all_contexts_each_once() -> None:
    program = prepare("lab_to_deployment", agents=1).program
    groups = group_places(program)
    assert tuple(groups) == GROUPS
    assert sorted(c for places in groups.values() for c in places) == list(range(11))
    named = {g: [program.layout.contexts[c] for c in places] for g, places in groups.items()}
    assert named["training"] == list(TWINS)
    assert named["deployed twins"] == list(TWINS.values())
    assert named["evaluation"] == ["capability_test"]
    assert named["red-team"] == ["honeypot"]
    assert named["nobody's twin"] == ["unwatched_cluster"]


def test_what_gaming_adds_is_policy_less_value_driven_policy() -> None:
    """Where a single answer looks best, from the recorded policies of that answer."""
    record, result = wide()
    scenario = sim.Scenario.load("lab_to_deployment")
    for group, context in (("evaluation", "capability_test"), ("red-team", "honeypot")):
        reward = scenario.contexts[context].reward
        best = list(scenario.contexts[context].responses).index(max(reward, key=reward.__getitem__))
        deployed = result.data.sel(context=context).isel(response=best)
        np.testing.assert_allclose(record.looks[group], deployed["policy"].values, atol=1e-12)
        np.testing.assert_allclose(
            record.by_values[group], deployed["value_policy"].values, atol=1e-12
        )
        added = deployed["gaming_rate"] * (deployed["gaming_policy"] - deployed["value_policy"])
        np.testing.assert_allclose(record.added(group), added.values, atol=1e-12)
    assert np.abs(record.added("evaluation")).max() > 0.1


def test_an_agent_that_never_thinks_of_training_gains_nothing_by_gaming() -> None:
    record, _ = watched(agent={**WIDE, "initial": {**WIDE["initial"], "awareness": -80}})
    for group in record.looks:
        np.testing.assert_allclose(record.added(group), 0.0, atol=1e-12)
    np.testing.assert_allclose(record.shift, 0.0, atol=1e-12)


def test_the_gap_is_between_means_over_contexts() -> None:
    record, result = wide()
    chance = 1.0 - result.slip
    before = chance.where(chance["kind"] != "deployment", drop=True).mean("context")
    after = chance.where(chance["kind"] == "deployment", drop=True).mean("context")
    np.testing.assert_allclose(record.gap, np.abs(before - after).values, atol=1e-12)


def test_agents_are_told_apart_by_how_many_contexts_they_game() -> None:
    record, result = wide()
    gamed = (result.gaming_rate.sel(context=list(TWINS)).isel(step=-1) >= 0.5).sum("context").values
    np.testing.assert_array_equal(record.gamed[-1], gamed)
    table = by_gamed(record)
    assert table["agents"].sum() == 32
    for row in table.to_dict("records"):
        assert row["shift"] == pytest.approx(record.shift[-1][gamed == row["gamed"]].mean())


# --------------------------------------------------------------------------------- what must come


@cache
def small() -> tuple[Plan, list[Any], list[Any]]:
    asked = Plan(
        specs=read_specs("lab_to_deployment", training={"steps": STEPS}),
        populations={name: Agent.parse(said, path=name) for name, said in POPULATIONS.items()},
        agents=24,
        points=3,
    )
    return (asked, *train_populations(asked))


def test_the_power_seeker_shifts_because_it_knows_and_the_red_team_sees_it() -> None:
    _, (power, wide), _ = small()
    assert power.owed["belief"][-1].mean() > 0.95 * power.shift[-1].mean() > 0.3
    assert power.looks["training"][-1].mean() > 0.9
    assert power.looks["red-team"][-1].mean() < 0.3
    assert power.gap[-1].mean() > wide.gap[-1].mean()


def test_the_shift_grows_with_discernment_from_next_to_nothing() -> None:
    _, _, sweeps = small()
    for sweep in sweeps:
        shift = sweep.shift.mean(axis=1)
        assert shift[0] < 0.05
        assert shift[-1] > shift[0] + 0.05
        np.testing.assert_allclose(sum(sweep.owed[c] for c in CAUSES), sweep.shift, atol=1e-12)


def test_values_of_a_population_replace_those_of_the_scenario() -> None:
    asked = Plan(
        specs=read_specs("monolithic", training={"steps": 10}),
        populations={"wide": Agent.parse(WIDE, path="wide"), "own": Agent()},
        agents=2,
        points=2,
    )
    assert asked.run("wide").specs["agent"]["initial"]["values"] == {
        "domination": 0.0,
        "helpfulness": 0.0,
    }
    assert asked.run("own").specs["agent"]["initial"]["values"]["domination"] == 1.0
    assert asked.run("own").specs["agent"]["initial"]["awareness"] == 3.0


def test_the_same_seed_gives_the_same_study() -> None:
    asked, (_, first), _ = small()
    alone = Plan(
        specs=asked.specs, populations={"wide": asked.populations["wide"]}, agents=24, points=2
    )
    (again,), _ = train_populations(alone)
    np.testing.assert_array_equal(first.shift, again.shift)
    np.testing.assert_array_equal(first.gap, again.gap)


# ---------------------------------------------------------------------------------------- command


def test_command_writes_everything(call: Call) -> None:
    left = call("agents=6", "points=2", "training.steps=100", name="footnote6")
    assert left.status == 0, left.stderr
    assert set(pd.read_csv(left.only("training.csv"))["population"]) == {"power_seeker", "wide"}
    assert len(pd.read_csv(left.only("agents.csv"))) == 12
    assert len(pd.read_csv(left.only("discernment.csv"))) == 4
    for name in ("footnote6", "footnote6_agents"):
        assert left.only(f"{name}.png").stat().st_size > 10_000
        assert left.only(f"{name}.svg").exists()
    provenance = left.json("provenance.json")
    assert provenance["study"]["populations"]["wide"]["initial"]["values"] == {}


def test_populations_are_chosen_and_changed_on_the_command_line(call: Call) -> None:
    left = call(
        "scenario=monolithic",
        "~populations.power_seeker",
        "+populations.own={}",
        "++populations.wide.discernment=2",
        "agents=4",
        "points=2",
        "training.steps=50",
        name="footnote6",
    )
    assert left.status == 0, left.stderr
    names = [sweep["name"] for sweep in left.json("summary.json")["populations"]]
    assert names == ["wide", "own"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["discernment=[3,1]"], "discernment"),
        (["discernment=[-1,1]"], "discernment: got -1"),
        (["populations=3"], "populations: got 3"),
        (["populations.wide.initial.awarness=3"], "awarness"),
        (["scenario=copyright"], "populations.power_seeker"),
        (["scenario=scratchpad", "~populations.power_seeker"], "has a twin"),
        (["population=3"], "population: unknown key"),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Call, arguments: list[str], line: str) -> None:
    if arguments[0].startswith("population="):
        arguments = [f"+{arguments[0]}"]
    assert_refused(call(*arguments, name="footnote6"), line)


def test_a_plan_needs_a_population() -> None:
    with pytest.raises(SpecError, match="populations: at least one is needed"):
        Plan(specs=read_specs("lab_to_deployment"), populations={})
