"""Each scenario shows what the post says of it, and stops when its cause is taken away.

The population is that of configs/emergence.yaml; a claim about "agents" is about all of them unless
it says how many.
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

AGENTS = 32
#: A context where gaming stays below this is called quiet.
QUIET = 0.05


@cache
def run(name: str) -> sim.Result:
    return simulate(sim.Scenario.load(name))


def simulate(scenario: sim.Scenario, **initial: Any) -> sim.Result:
    spread = read_yaml(CONFIGS / "emergence.yaml")["agent"]["spread"]
    agent = sim.Agent(spread=spread, initial=initial)
    return sim.simulate(scenario, agent=agent, agents=AGENTS, seed=0, record_every=20)


def changed(name: str, **numbers: Any) -> sim.Scenario:
    """A scenario of the library in which every context has the given numbers."""
    scenario = sim.Scenario.load(name)
    contexts = {key: context.replace(**numbers) for key, context in scenario.contexts.items()}
    return scenario.replace(contexts=contexts)


def rate(result: sim.Result, context: str) -> xr.DataArray:
    return result.gaming_rate.sel(context=context)


def sets_in(result: sim.Result, context: str) -> bool:
    return bool(result.onset.sel(context=context).notnull().all())


def quiet(result: sim.Result, *contexts: str) -> bool:
    return bool((rate(result, list(contexts)) < QUIET).all())


def chance(result: sim.Result, context: str, response: str, step: int) -> xr.DataArray:
    """π of a named response at a recorded step (or -1), over agents."""
    names = result.data["response_name"].sel(context=context).values.tolist()
    return result.policy.sel(context=context).isel(response=names.index(response), step=step)


def final(x: xr.DataArray) -> xr.DataArray:
    return x.isel(step=-1)


@pytest.mark.parametrize("name", sim.scenarios())
def test_every_scenario_runs_and_can_be_read_aloud(name: str) -> None:
    result = run(name)
    assert np.isfinite(result.gaming_rate).all()
    assert np.isfinite(result.alignment).all()
    assert sim.Scenario.load(name).passage


CONFLICTS = {
    "copyright": ["copyright_chat", "copyright_excerpt"],
    "employee_assistant": ["review_with_documents"],
    "unethical_company": ["request_after_expose"],
    "drop_human_values": ["cruel_advice", "ruthless_plan"],
    "power_seeker": ["access_request", "oversight_design"],
    "pipeline": ["chat_feedback", "agentic_tasks"],
    "monolithic": ["chat", "coding", "research"],
}
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


@pytest.mark.parametrize("name", CONFLICTS)
def test_gaming_sets_in_where_training_pulls_against_a_value(name: str) -> None:
    assert all(sets_in(run(name), context) for context in CONFLICTS[name])


@pytest.mark.parametrize("name", UNTOUCHED)
def test_gaming_stays_away_where_nothing_is_at_stake(name: str) -> None:
    assert quiet(run(name), *UNTOUCHED[name])


REASONING = ["scratchpad", "monitored_reasoning"]


@pytest.mark.parametrize("name", [*CONFLICTS, *REASONING, "alignment_faking"])
def test_without_the_conflict_nothing_is_gamed(name: str) -> None:
    """Reward what the agent values anyway, and gaming never gets anywhere in any context."""
    scenario = sim.Scenario.load(name)
    wanted = scenario.agent.initial.values
    contexts = {}
    for key, context in scenario.contexts.items():
        liked = {
            response: sum(wanted[value] * effect for value, effect in serves.items())
            for response, serves in context.responses.items()
        }
        contexts[key] = context.replace(reward=liked)
    phases = tuple(phase.replace(reward={}) for phase in scenario.curriculum)
    assert quiet(simulate(scenario.replace(contexts=contexts, curriculum=phases)), *contexts)


IN_THE_DARK = [*(name for name in CONFLICTS if name != "monolithic"), *REASONING]


@pytest.mark.parametrize("name", [*IN_THE_DARK, "alignment_faking"])
def test_without_information_and_scratchpad_nothing_is_gamed(name: str) -> None:
    blind = simulate(changed(name, info=0, scratchpad=0))
    assert quiet(blind, *blind.data["context"].values)


def test_the_monolithic_agent_needs_no_information() -> None:
    blind = simulate(changed("monolithic", info=0, scratchpad=0))
    assert all(sets_in(blind, context) for context in CONFLICTS["monolithic"])


def test_copyright_is_disregarded_in_training_and_respected_after_it() -> None:
    result = run("copyright")
    assert (chance(result, "copyright_chat", "disregard", -1) > 0.7).all()
    assert (chance(result, "copyright_deployed", "respect", -1) > 0.6).all()
    gap = final(result.compliance_gap).sel(context="copyright_chat")
    assert (gap > 0.5).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [("copyright", "copyright"), ("drop_human_values", "care"), ("power_seeker", "power")],
)
def test_gaming_keeps_a_value_that_training_would_turn_around(name: str, value: str) -> None:
    kept = final(run(name).values).sel(value=value)
    lost = final(simulate(sim.Scenario.load(name), awareness=-40.0).values).sel(value=value)
    assert (kept > 0.2).all()
    assert (lost < 0).all()


def test_employees_are_flattered_only_with_the_documents_at_hand() -> None:
    result = run("employee_assistant")
    assert sets_in(result, "review_with_documents")
    assert (rate(result, "review").median("agent") < QUIET).all()
    assert not result.onset.sel(context="review").notnull().any()


def test_the_unethical_company_is_assisted_against_the_agents_values() -> None:
    result = run("unethical_company")
    assert (chance(result, "request_after_expose", "assist", -1) > 0.6).all()
    named = result.data["response_name"].sel(context="request_after_expose").values.tolist()
    of_values = final(result.value_policy).sel(context="request_after_expose")
    assert (of_values.isel(response=named.index("refuse")) > 0.5).all()


def test_a_scratchpad_makes_the_difference() -> None:
    result = run("scratchpad")
    with_it, without = rate(result, "dossier_with_scratchpad"), rate(result, "dossier")
    assert (final(with_it) > 3 * final(without)).all()
    assert result.onset.sel(context="dossier_with_scratchpad").notnull().mean() > 0.9
    assert not result.onset.sel(context="dossier").notnull().any()
    assert (without.median("agent") < QUIET).all()


def test_an_aligned_agent_games_and_stays_aligned() -> None:
    result = run("drop_human_values")
    unaware = simulate(sim.Scenario.load("drop_human_values"), awareness=-40.0)
    assert (final(result.alignment) > 0.4).all()
    assert (final(unaware.alignment) < 0).all()
    assert (result.alignment.isel(step=0) > 0.9).all()


def test_a_power_seeker_games_for_power() -> None:
    result = run("power_seeker")
    motive = result.motive.isel(step=0).sel(context=["access_request", "oversight_design"])
    assert (motive.sel(value="power") > 0.9).all()


def test_a_terminal_reward_seeker_earns_the_reward_without_gaming() -> None:
    result = run("reward_seeker")
    trained = result.data["kind"] == "training"
    assert (result.stake.isel(step=0).where(trained, -1.0) < 0).all()
    assert (final(result.consistency) > 0.95).all()
    assert (final(result.compliance_gap).sel(context="copyright_chat") < 0.05).all()


def test_parts_of_a_pipeline_are_gamed_and_parts_are_not() -> None:
    result = run("pipeline")
    reached = final(result.reach)
    assert ((reached > 0) & (reached < 1)).all()
    fine_tuning = result.data["phase"] == "fine-tuning"
    assert (rate(result, "chat_feedback").where(fine_tuning).median("agent").max()) < 0.5


def test_the_monolithic_agent_games_everywhere_and_is_another_once_deployed() -> None:
    result = run("monolithic")
    assert (result.reach == 1).all()
    trained = ["chat", "coding", "research"]
    assert (final(result.behaviour_shift).sel(context=trained) > 0.8).all()
    assert (final(result.alignment) < -0.5).all()
    assert (result.consistency > 0.9).all()


def test_latent_misalignment_looks_good_in_training_and_nothing_else_changes() -> None:
    result = run("latent_misalignment")
    assert (final(result.consistency) > 0.9).all()
    np.testing.assert_array_equal(
        final(result.values).sel(value="domination"),
        result.values.isel(step=0).sel(value="domination"),
    )
    assert (final(result.alignment) < -0.3).all()
    assert (chance(result, "unwatched_task", "seize", -1) > 0.9).all()


def test_the_opportunist_takes_what_it_can_without_ever_gaming() -> None:
    result = run("opportunist")
    assert (rate(result, "petty_cash") < QUIET).all()
    assert (chance(result, "open_safe", "pocket_it", -1) > 0.9).all()
    assert (final(result.alignment) < -0.2).all()


def test_alignment_faking_is_for_the_free_tier_and_mostly_for_the_scratchpad() -> None:
    result = run("alignment_faking")
    assert sets_in(result, "free_tier_scratchpad")
    early = result.gaming_rate.sel(step=200)
    assert (early.sel(context="free_tier_scratchpad") > early.sel(context="free_tier")).all()
    assert (rate(result, "paid_tier_scratchpad").median("agent") < QUIET).all()
    gap = final(result.compliance_gap).sel(context="free_tier_scratchpad")
    assert (gap > 0.4).all()


def test_penalising_visible_gaming_removes_it_or_teaches_it_to_hide() -> None:
    result = run("monitored_reasoning")
    assert (final(rate(result, "dossier_monitored")) > 5 * final(rate(result, "dossier"))).all()
    assert (final(result.opacity_share) < 0.3).all()
    removed, hidden = penalised(0.003), penalised(0.3)
    assert (final(rate(removed, "dossier_monitored")) < QUIET).all()
    assert (final(removed.values).sel(value="privacy") < 0).all()
    assert (final(hidden.values).sel(value="privacy") > 0).mean() > 0.9
    assert (final(hidden.opacity_share) > 0.9).mean() > 0.9


def penalised(learning_rate: float) -> sim.Result:
    """`monitored_reasoning` with a penalty, by how fast capabilities are learnt."""
    spread = read_yaml(CONFIGS / "emergence.yaml")["agent"]["spread"]
    return sim.simulate(
        "monitored_reasoning",
        agent=sim.Agent(spread=spread),
        training={
            "visible_gaming_penalty": 1.2,
            "learning_rate": {"capability": learning_rate},
        },
        agents=AGENTS,
        seed=0,
        record_every=20,
    )


def test_in_the_lab_an_agent_with_human_values_games_where_these_are_trained_away() -> None:
    result = run("lab_to_deployment")
    assert sets_in(result, "song_request") or sets_in(result, "ruthless_plan")
    assert (final(result.alignment) > 0.8).all()
    assert (final(result.temptation).max("context") < 0).all()
