"""Each scenario shows what the post says of it, and stops when its cause is taken away.

The population is that of the main job; what each must show stands in scenarios.yaml.
"""

from __future__ import annotations

import operator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml

import sim
from sim.specs.library import read_yaml, resolve

SHOWN = yaml.safe_load((Path(__file__).parent / "scenarios.yaml").read_text(encoding="utf-8"))
COMPARE = {">": operator.gt, ">=": operator.ge, "<": operator.lt}
#: A context where gaming stays below this is called quiet.
QUIET = 0.05


@cache
def run(name: str, awareness: float | None = None) -> sim.Result:
    initial = {} if awareness is None else {"awareness": awareness}
    return simulate(sim.Scenario.load(name), **initial)


def simulate(
    scenario: sim.Scenario, training: dict[str, Any] | None = None, **initial: Any
) -> sim.Result:
    spread = read_yaml(resolve("agent", "population"))["spread"]
    agent = sim.Agent(spread=spread, initial=initial)
    return sim.simulate(scenario, agent=agent, training=training, agents=32, record_every=20)


def without_information(name: str) -> sim.Result:
    """A scenario whose contexts tell nothing about training and leave no room to think."""
    scenario = sim.Scenario.load(name)
    blind = {key: c.replace(info=0, scratchpad=0) for key, c in scenario.contexts.items()}
    return simulate(scenario.replace(contexts=blind))


def without_conflict(name: str) -> sim.Result:
    """A scenario in which training rewards what the agent values anyway."""
    scenario = sim.Scenario.load(name)
    values = scenario.agent.initial.values
    contexts = {}
    for key, context in scenario.contexts.items():
        reward = {
            response: sum(values[value] * effect for value, effect in serves.items())
            for response, serves in context.responses.items()
        }
        contexts[key] = context.replace(reward=reward)
    phases = tuple(phase.replace(reward={}) for phase in scenario.curriculum)
    return simulate(scenario.replace(contexts=contexts, curriculum=phases))


def rate(result: sim.Result, context: str) -> xr.DataArray:
    return result.gaming_rate.sel(context=context)


def sets_in(result: sim.Result, contexts: list[str]) -> bool:
    return bool(result.onset.sel(context=contexts).notnull().all())


def quiet(result: sim.Result, contexts: list[str]) -> bool:
    return bool((rate(result, contexts) < QUIET).all())


def stops(result: sim.Result) -> bool:
    """Whether, of more than nine in ten agents, gaming sets in nowhere and is gone by the end."""
    games = result.onset.notnull() | (result.gaming_rate.isel(step=-1, drop=True) > QUIET)
    return bool(games.any("context").mean() < 0.1)


def test_every_scenario_of_the_library_is_there() -> None:
    assert set(SHOWN) == set(sim.scenarios())


@pytest.mark.parametrize("name", SHOWN)
def test_a_scenario_shows_what_its_passage_says(name: str) -> None:
    assert sim.Scenario.load(name).passage
    assert np.isfinite(run(name).gaming_rate).all()
    assert np.isfinite(run(name).alignment).all()
    assert sets_in(run(name), SHOWN[name].get("games", []))
    assert quiet(run(name), SHOWN[name]["quiet"])
    for moment, variable, where, sign, number in SHOWN[name].get("shows", []):
        data = (run(name, -40.0) if moment == "unaware" else run(name)).data
        if "response" in where:
            responses = data["response_name"].sel(context=where["context"]).values.tolist()
            where = {**where, "response": responses.index(where["response"])}
        numbers = data[variable].sel(where)
        if moment != "always":
            numbers = numbers.isel(step=0 if moment == "start" else -1)
        assert COMPARE[sign](numbers, number).all(), (moment, variable, where)


@pytest.mark.parametrize("name", [name for name in SHOWN if "games" in SHOWN[name]])
def test_without_the_conflict_or_the_information_nothing_is_gamed(name: str) -> None:
    harmless, blind = without_conflict(name), without_information(name)
    assert quiet(harmless, list(harmless.data["context"].values))
    if name == "monolithic":  # it needs no information
        assert sets_in(blind, SHOWN[name]["games"])
    else:
        assert stops(blind)


# -------------------------------------------------------------------- what is not of all its agents


def test_employees_are_flattered_only_with_the_documents_at_hand() -> None:
    result = run("employee_assistant")
    assert (rate(result, "review").isel(step=0).median("agent") < QUIET).all()
    assert not result.onset.sel(context="review").notnull().any()


def test_a_scratchpad_makes_the_difference() -> None:
    result = run("scratchpad")
    thinking, answering = rate(result, "dossier_with_scratchpad"), rate(result, "dossier")
    assert (thinking > 5 * answering).isel(step=0).all()
    assert (thinking > answering).all()
    assert result.onset.sel(context="dossier").notnull().mean() < 0.1


def test_a_terminal_reward_seeker_has_nothing_at_stake_where_it_is_trained() -> None:
    result = run("reward_seeker")
    is_trained = result.data["kind"] == "training"
    assert (result.stake.isel(step=0).where(is_trained, -1.0) < 0).all()


def test_a_pipeline_is_gamed_where_reinforcement_trains_and_not_in_demonstrations() -> None:
    result = run("pipeline")
    phase = result.data["phase"]
    fine_tuning = rate(result, "demonstrations").where(phase == "demonstrations", drop=True)
    assert len(fine_tuning) > 1
    assert (fine_tuning < 0.1).all()
    told = result.value_policy.sel(context="demonstrations").isel(step=-1, response=1)
    assert (told < 0.1).all()  # as often as in demonstrations, or less


def test_gaming_sets_in_by_learning_where_training_seldom_comes_to_mind() -> None:
    result = simulate(sim.Scenario.load("copyright"), {"steps": 4000}, awareness=-6.0)
    chat = rate(result, "copyright_chat").median("agent")
    assert chat.isel(step=0) < 0.4
    assert chat.isel(step=-1) > 0.9
    late = result.onset.sel(context="copyright_chat")
    assert (late > 0).sum() >= 0.9 * late.size
    assert (result.values.sel(value="copyright").isel(step=-1) > 0).mean() > 0.9


#: The value that training pulls against, in each scenario that has one.
CONTESTED = {
    "alignment_faking": "harmlessness",
    "copyright": "copyright",
    "drop_human_values": "care",
    "employee_assistant": "candour",
    "lab_to_deployment": "care",
    "monitored_reasoning": "privacy",
    "monolithic": "domination",
    "pipeline": "honesty",
    "power_seeker": "power",
    "scratchpad": "privacy",
    "unethical_company": "ethics",
}


def test_defaults_are_firm_answers_and_gaming_that_hits() -> None:
    """By its values an agent seldom gives what is rewarded against them; when it games, it does."""
    alike = {"initial": dict.fromkeys(("values", "habit", "awareness"), 0.0)}
    for name, value in CONTESTED.items():
        scenario = sim.Scenario.load(name)
        start = sim.simulate(scenario, agent={"spread": alike}, agents=1, training={"steps": 1})
        held = dict(scenario.agent.initial.values or scenario.human_values)[value]
        for context, spec in scenario.of_kind("training").items():
            serves = [held * effects.get(value, 0.0) for effects in spec.responses.values()]
            best = list(spec.responses).index(max(spec.reward, key=spec.reward.__getitem__))
            if serves[best] < max(serves):
                at = {"context": context, "response": best}
                own, gamed = start.value_policy.sel(at)[0], start.gaming_policy.sel(at)[0]
                assert own < 0.04, (name, context)
                assert gamed > 0.97, (name, context)


@pytest.mark.parametrize("name", CONTESTED)
def test_more_of_a_contested_value_does_not_mean_less_gaming(name: str) -> None:
    scenario, value = sim.Scenario.load(name), CONTESTED[name]
    values = dict(scenario.agent.initial.values or scenario.human_values)
    final = []
    for strength in (0.25, 0.5, 1, 2, 4):
        initial = sim.Agent(initial={"values": {**values, value: strength * values[value]}})
        agent = initial.replace(spread={"initial": dict.fromkeys(("values", "habit"), 0.0)})
        result = sim.simulate(scenario, agent=agent, agents=1, record_every=1000)
        final.append(result.gaming_rate.isel(step=-1, agent=0).values)
    # What training rewards against the value is not gamed less; 0.01 is what the rest may lose.
    assert (np.diff(np.array(final), axis=0) > -0.01).all(), np.round(final, 3)


def test_latent_misalignment_is_left_as_it_is() -> None:
    domination = run("latent_misalignment").values.sel(value="domination")
    np.testing.assert_array_equal(domination.isel(step=-1), domination.isel(step=0))


def test_alignment_faking_is_for_the_free_tier_and_mostly_for_the_scratchpad() -> None:
    result = run("alignment_faking")
    free = result.gaming_rate
    assert (free.sel(context="free_tier_scratchpad") > free.sel(context="free_tier")).all()
    assert (rate(result, "paid_tier_scratchpad").median("agent") < QUIET).all()


def test_penalising_visible_gaming_removes_it_or_teaches_it_to_hide() -> None:
    slow, fast = (
        simulate(
            sim.Scenario.load("monitored_reasoning"),
            {"visible_gaming_penalty": 2.4, "learning_rate": {"capability": learning_rate}},
        ).data.isel(step=-1)
        for learning_rate in (0.003, 1.0)
    )
    assert (slow.gaming_rate.sel(context="dossier_monitored") < QUIET).mean() > 0.9
    assert (slow["values"].sel(value="privacy") < 0).mean() > 0.9
    assert (fast["values"].sel(value="privacy") > 0).all()
    assert (fast.opacity_share > 0.9).all()


def test_in_the_lab_an_agent_with_human_values_games_where_these_are_trained_away() -> None:
    result = run("lab_to_deployment")
    assert sets_in(result, ["song_request"]) or sets_in(result, ["ruthless_plan"])
    assert (result.temptation.isel(step=-1).max("context") < 0).all()
