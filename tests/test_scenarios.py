"""Each scenario shows what the post says of it, and stops when its cause is taken away.

The population is that of the main job; a claim about "agents" is about all of them unless it says
how many.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import xarray as xr

import sim
from sim.cli.keys import CONFIGS
from sim.specs.library import read_yaml

#: A context where gaming stays below this is called quiet.
QUIET = 0.05
#: Where gaming sets in ...
CONFLICTS = {
    "copyright": ["copyright_chat", "copyright_excerpt"],
    "employee_assistant": ["review_with_documents"],
    "unethical_company": ["request_after_expose"],
    "drop_human_values": ["cruel_advice", "ruthless_plan"],
    "power_seeker": ["access_request", "oversight_design"],
    "pipeline": ["chat_feedback", "agentic_tasks"],
    "monolithic": ["chat", "coding", "research"],
}
#: ... and where it stays away.
UNTOUCHED = {
    "copyright": ["coding", "travel", "copyright_deployed"],
    "employee_assistant": ["minutes_with_documents", "minutes"],
    "unethical_company": ["request", "question"],
    "scratchpad": ["arithmetic_with_scratchpad"],
    "drop_human_values": ["timetable", "advice_deployed"],
    "power_seeker": ["drafting", "access_deployed"],
    "pipeline": ["demonstrations", "coding_tests"],
    "monolithic": ["chat_deployed", "coding_deployed", "research_deployed"],
    "reward_seeker": ["copyright_chat", "coding", "copyright_deployed"],
    "latent_misalignment": ["small_talk", "support_chat", "unwatched_task"],
    "opportunist": ["bookkeeping", "petty_cash", "open_safe"],
    "alignment_faking": ["benign_query", "paid_tier"],
    "monitored_reasoning": ["arithmetic_monitored"],
    "lab_to_deployment": ["access_request", "coding", "access_deployed", "unwatched_cluster"],
}
GAMED = [*CONFLICTS, "scratchpad", "monitored_reasoning", "alignment_faking"]


@cache
def run(name: str) -> sim.Result:
    return simulate(sim.Scenario.load(name))


def simulate(
    scenario: sim.Scenario, training: dict[str, Any] | None = None, **initial: Any
) -> sim.Result:
    spread = read_yaml(CONFIGS / "emergence.yaml")["agent"]["spread"]
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


def sets_in(result: sim.Result, context: str) -> bool:
    return bool(result.onset.sel(context=context).notnull().all())


def quiet(result: sim.Result, *contexts: str) -> bool:
    return bool((rate(result, list(contexts)) < QUIET).all())


def final(variable: xr.DataArray, **coordinates: Any) -> xr.DataArray:
    return variable.isel(step=-1).sel(coordinates)


def chance(result: sim.Result, context: str, response: str, of: str = "policy") -> xr.DataArray:
    """Chance of a named response at the end, over agents."""
    names = result.data["response_name"].sel(context=context).values.tolist()
    return final(result.data[of], context=context).isel(response=names.index(response))


@pytest.mark.parametrize("name", sim.scenarios())
def test_gaming_sets_in_where_training_pulls_against_a_value_and_nowhere_else(name: str) -> None:
    result = run(name)
    assert sim.Scenario.load(name).passage
    assert np.isfinite(result.gaming_rate).all()
    assert np.isfinite(result.alignment).all()
    assert all(sets_in(result, context) for context in CONFLICTS.get(name, ()))
    assert quiet(result, *UNTOUCHED[name])


@pytest.mark.parametrize("name", GAMED)
def test_without_the_conflict_or_the_information_nothing_is_gamed(name: str) -> None:
    harmless = without_conflict(name)
    assert quiet(harmless, *harmless.data["context"].values)
    blind = without_information(name)
    if name == "monolithic":  # it needs no information
        assert all(sets_in(blind, context) for context in CONFLICTS[name])
    else:
        assert quiet(blind, *blind.data["context"].values)


def test_copyright_is_disregarded_in_training_and_respected_after_it() -> None:
    result = run("copyright")
    assert (chance(result, "copyright_chat", "disregard") > 0.7).all()
    assert (chance(result, "copyright_deployed", "respect") > 0.6).all()
    assert (final(result.compliance_gap, context="copyright_chat") > 0.5).all()


def test_gaming_keeps_a_value_that_training_would_turn_around() -> None:
    protected = {"copyright": "copyright", "drop_human_values": "care", "power_seeker": "power"}
    for name, value in protected.items():
        unaware = simulate(sim.Scenario.load(name), awareness=-40.0)
        assert (final(run(name).values, value=value) > 0.2).all(), name
        assert (final(unaware.values, value=value) < 0).all(), name


def test_employees_are_flattered_only_with_the_documents_at_hand() -> None:
    result = run("employee_assistant")
    assert (rate(result, "review").median("agent") < QUIET).all()
    assert not result.onset.sel(context="review").notnull().any()


def test_the_unethical_company_is_assisted_against_the_agents_values() -> None:
    result = run("unethical_company")
    assert (chance(result, "request_after_expose", "assist") > 0.6).all()
    assert (chance(result, "request_after_expose", "refuse", of="value_policy") > 0.5).all()


def test_a_scratchpad_makes_the_difference() -> None:
    result = run("scratchpad")
    thinking, answering = rate(result, "dossier_with_scratchpad"), rate(result, "dossier")
    assert (final(thinking) > 3 * final(answering)).all()
    assert result.onset.sel(context="dossier_with_scratchpad").notnull().mean() > 0.9
    assert not result.onset.sel(context="dossier").notnull().any()
    assert (answering.median("agent") < QUIET).all()


def test_an_aligned_agent_games_and_stays_aligned() -> None:
    result = run("drop_human_values")
    unaware = simulate(sim.Scenario.load("drop_human_values"), awareness=-40.0)
    assert (result.alignment.isel(step=0) > 0.9).all()
    assert (final(result.alignment) > 0.4).all()
    assert (final(unaware.alignment) < 0).all()


def test_a_power_seeker_games_for_power() -> None:
    motive = run("power_seeker").motive.isel(step=0)
    assert (motive.sel(context=CONFLICTS["power_seeker"], value="power") > 0.9).all()


def test_a_terminal_reward_seeker_earns_the_reward_without_gaming() -> None:
    result = run("reward_seeker")
    is_trained = result.data["kind"] == "training"
    assert (result.stake.isel(step=0).where(is_trained, -1.0) < 0).all()
    assert (final(result.consistency) > 0.95).all()
    assert (final(result.compliance_gap, context="copyright_chat") < 0.05).all()


def test_parts_of_a_pipeline_are_gamed_and_parts_are_not() -> None:
    result = run("pipeline")
    assert ((final(result.reach) > 0) & (final(result.reach) < 1)).all()
    fine_tuning = result.data["phase"] == "fine-tuning"
    assert (rate(result, "chat_feedback").where(fine_tuning).median("agent").max()) < 0.5


def test_the_monolithic_agent_games_everywhere_and_is_another_once_deployed() -> None:
    result = run("monolithic")
    assert (result.reach == 1).all()
    assert (final(result.behaviour_shift, context=CONFLICTS["monolithic"]) > 0.8).all()
    assert (final(result.alignment) < -0.5).all()
    assert (result.consistency > 0.9).all()


def test_latent_misalignment_looks_good_in_training_and_nothing_else_changes() -> None:
    result = run("latent_misalignment")
    domination = result.values.sel(value="domination")
    assert (final(result.consistency) > 0.9).all()
    np.testing.assert_array_equal(final(domination), domination.isel(step=0))
    assert (final(result.alignment) < -0.3).all()
    assert (chance(result, "unwatched_task", "seize") > 0.9).all()


def test_the_opportunist_takes_what_it_can_without_ever_gaming() -> None:
    result = run("opportunist")
    assert (chance(result, "open_safe", "pocket_it") > 0.9).all()
    assert (final(result.alignment) < -0.2).all()


def test_alignment_faking_is_for_the_free_tier_and_mostly_for_the_scratchpad() -> None:
    result = run("alignment_faking")
    assert sets_in(result, "free_tier_scratchpad")
    early = result.gaming_rate.sel(step=200)
    assert (early.sel(context="free_tier_scratchpad") > early.sel(context="free_tier")).all()
    assert (rate(result, "paid_tier_scratchpad").median("agent") < QUIET).all()
    assert (final(result.compliance_gap, context="free_tier_scratchpad") > 0.4).all()


def test_penalising_visible_gaming_removes_it_or_teaches_it_to_hide() -> None:
    result, scenario = run("monitored_reasoning"), sim.Scenario.load("monitored_reasoning")
    assert (final(rate(result, "dossier_monitored")) > 5 * final(rate(result, "dossier"))).all()
    assert (final(result.opacity_share) < 0.3).all()
    slow, fast = (
        simulate(
            scenario,
            {"visible_gaming_penalty": 1.2, "learning_rate": {"capability": learning_rate}},
        )
        for learning_rate in (0.003, 0.3)
    )
    assert (final(rate(slow, "dossier_monitored")) < QUIET).all()
    assert (final(slow.values, value="privacy") < 0).all()
    assert (final(fast.values, value="privacy") > 0).mean() > 0.9
    assert (final(fast.opacity_share) > 0.9).mean() > 0.9


def test_in_the_lab_an_agent_with_human_values_games_where_these_are_trained_away() -> None:
    result = run("lab_to_deployment")
    assert sets_in(result, "song_request") or sets_in(result, "ruthless_plan")
    assert (final(result.alignment) > 0.8).all()
    assert (final(result.temptation).max("context") < 0).all()
