"""The study of the worst case: counts by hand, invariants, probabilities, bindings, variations.

Tests with random draws have a fixed seed; their tolerance is 4.5 standard errors, which is a false
alarm in 150,000 seeds for each number compared.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sim
from commands import Call, assert_refused
from experiments.worst_case.binding import (
    ALIGNMENT,
    FACTORS,
    QUESTIONS,
    binding,
    groups_of,
    success_factors,
    verdict_frame,
)
from experiments.worst_case.deployed import deploy_attempting
from experiments.worst_case.funnel import (
    AFTERWARDS,
    GAMING,
    STAGES,
    Funnel,
    funnel,
    gaming_frame,
    misaligned_beside,
    reached_stages,
    stage_frame,
)
from experiments.worst_case.variations import (
    VARIATIONS,
    World,
    change_frame,
    moves_frame,
    variation_names,
    varied_funnels,
)
from experiments.worst_case.visibility import VISIBILITY, visibility_changes, visibility_of
from populations import NONE, WIDE, planted
from sim.analysis.audit import FINDERS, audit
from sim.analysis.worst_case import TERMS, Thresholds
from sim.specs.deployment import Deployment
from sim.specs.overrides import read_specs
from sim.specs.oversight import Oversight
from sim.utils.intervals import binomial_interval

RETRAIN: dict[str, Any] = {
    **{
        name: {"when_found": "retrain"}
        for name in ("inspection", "capability_evaluations", "red_teaming", "reasoning_monitor")
    },
    "retraining": {"steps": 15, "rounds": 2},
}
VALUES = ("care", "copyright", "helpfulness", "power", "conquest", "reward")
HUMAN = np.array([1.0, 0.5, 1.0, -1.0, -1.0, 0.0])
CONTEXTS = 11
LAST_DEPLOYED = 6  # contexts from this one on are deployment contexts


def trained(agents: int = 80, seed: int = 0) -> sim.Result:
    return sim.simulate(
        "lab_to_deployment",
        agent=WIDE,
        agents=agents,
        seed=seed,
        training={"steps": 60},
        record_every=60,
        engine="numpy",
    )


def worst(agents: int) -> dict[str, Any]:
    """States of agents that meet every term of the worst case, and game everywhere in training."""
    habit = np.full((agents, CONTEXTS), 60.0)
    habit[:, LAST_DEPLOYED:] = -60.0
    return {
        "values": np.tile(-3.0 * HUMAN, (agents, 1)),
        "habit": habit,
        "awareness": np.full(agents, 20.0),
        "log_horizon": np.full(agents, -20.0),
        "log_competence": np.full(agents, 2.0),
        "capability": np.full((agents, 5), 30.0),
    }


# ---------------------------------------------------------------------------------- counts by hand


def test_a_planted_population_is_counted_by_hand() -> None:
    """Agents 0 to 2 lack nothing, 3 is aligned, 4 cannot coordinate, 5 and 6 game less."""
    state = worst(8)
    state["values"][3] = 3.0 * HUMAN
    state["capability"][4, 3] = -5.0
    state["habit"][5, 1] = -60.0  # plays by its values in song_request
    state["habit"][6, :] = -60.0  # games nowhere
    state["awareness"][7] = -60.0  # nor does this one
    found = funnel(planted(8, **state), oversight=NONE, deployment={"copies": 1, "caution": 0.0})
    rows = stage_frame(found.conditions).set_index("stage")
    assert dict(rows["count"]) == {
        "all": 8,
        "games_somewhere": 6,
        "games_everywhere": 5,
        "misalignment": 4,
        "consistency": 4,
        "opacity": 4,
        "sandbagging": 4,
        "composure": 4,
        "coordination": 3,
        "subversion": 3,
        "behaviour_shift": 3,
        "deployed": 3,
        "attempts": 3,
        "succeeds": 3,
    }
    assert rows.loc["misalignment", "alone"] == 7
    assert rows.loc["misalignment", "narrowing"] == pytest.approx(0.8)
    low, high = binomial_interval(4, 5)
    assert rows.loc["misalignment", "narrowing_low"] == pytest.approx(float(low))
    assert rows.loc["misalignment", "narrowing_high"] == pytest.approx(float(high))
    assert rows.loc["coordination", "lack_only"] == 1
    by = gaming_frame(found.conditions, found.gaming).set_index("condition")
    assert [by.loc["attempts", how] for how in GAMING] == [2, 1, 4]
    assert [by.loc["worst_case", f"{how}_of"] for how in GAMING] == [2, 1, 5]
    assert by.loc["worst_case", "everywhere"] == 3
    assert by.loc["worst_case", "nowhere"] == 0
    assert found.expected["worst_case"] == pytest.approx(3.0)


def test_who_attempts_without_gaming_is_counted_beside_the_funnel() -> None:
    """An opportunist: it games nowhere, gets nowhere in the funnel, and would take over."""
    state = worst(4)
    state["habit"][:] = -60.0
    found = funnel(planted(4, **state), oversight=NONE, deployment={"copies": 1})
    assert list(stage_frame(found.conditions)["count"])[1:] == [0] * (len(STAGES) - 1)
    row = (
        gaming_frame(found.conditions, found.gaming).set_index("condition").loc["attempts_succeeds"]
    )
    assert row["nowhere"] == 4
    assert np.isnan(row["everywhere_share"])


def test_misalignment_beside_conduct_is_that_of_answers_without_gaming_and_of_values() -> None:
    """Agent 0 seeks power and games nowhere, 1 games everywhere, 2 has learnt to; 3 is aligned."""
    state = worst(4)
    state["awareness"][:] = 60.0
    state["habit"][:] = [[-60.0], [60.0], [-60.0], [-60.0]]
    state["values"][3] = 3.0 * HUMAN
    scenario = sim.Scenario.load("lab_to_deployment")
    propensity = np.zeros((4, len(scenario.contexts), 3))
    best = {name: np.argmax(row.reward) for name, row in scenario.contexts.items()}
    for place, name in enumerate(scenario.contexts):
        propensity[2, place, best[name]] = 60.0
    result = planted(4, **state, propensity=propensity)
    beside = misaligned_beside(result, scenario, -0.5)
    conduct = result.deployment_conduct.values[-1]
    np.testing.assert_array_equal(conduct <= -0.5, [True, False, False, False])
    np.testing.assert_array_equal(beside["misaligned_without_gaming"], [True, True, False, False])
    np.testing.assert_array_equal(beside["misaligned_values"], [True, True, True, False])
    rows = gaming_frame(np.ones((4, len(STAGES)), bool), np.array([0, 2, 0, 0]), beside)
    rows = rows.set_index("condition")
    assert list(rows.index[-2:]) == ["misaligned_without_gaming", "misaligned_values"]
    assert rows.loc["misaligned_values", "nowhere"] == 2
    # The threshold is one of conduct itself where nobody games.
    quiet = planted(4, **{**state, "awareness": np.full(4, -60.0)}, propensity=propensity)
    for limit in quiet.deployment_conduct.values[-1] + 1e-9:
        found = misaligned_beside(quiet, scenario, limit)["misaligned_without_gaming"]
        np.testing.assert_array_equal(found, quiet.deployment_conduct.values[-1] <= limit)


# ------------------------------------------------------------------------------------- invariants


def conditions(seed: int, agents: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    flags = draw.random((agents, len(STAGES))) < draw.uniform(0.5, 1.0, len(STAGES))
    flags[:, 0] = True
    flags[:, 2] &= flags[:, 1]
    return flags


@given(st.integers(0, 10_000), st.integers(1, 60))
def test_counts_are_monotone_and_as_counted_one_by_one(seed: int, agents: int) -> None:
    flags = conditions(seed, agents)
    rows = stage_frame(flags)
    counts = list(rows["count"])
    assert all(later <= earlier for earlier, later in pairwise(counts))
    for s, row in enumerate(rows.to_dict("records")):
        assert row["count"] == sum(all(agent[: s + 1]) for agent in flags)
        assert row["alone"] == sum(agent[s] for agent in flags)
        assert row["share_low"] <= row["count"] / agents <= row["share_high"]
        forgiven = {s, 2} if STAGES[s] == "games_somewhere" else {s}
        lacking = [
            agent
            for agent in flags
            if not agent[s] and all(agent[t] for t in range(len(STAGES)) if t not in forgiven)
        ]
        assert row["lack_only"] == len(lacking)
        if s:
            before = counts[s - 1]
            assert np.isnan(row["narrowing"]) == (before == 0)
            if before:
                assert row["narrowing"] == row["count"] / before


@given(st.integers(0, 10_000), st.integers(1, 60))
def test_counts_by_gaming_add_up(seed: int, agents: int) -> None:
    flags = conditions(seed, agents)
    gaming = flags[:, 1].astype(int) + flags[:, 2]
    rows = gaming_frame(flags, gaming).set_index("condition")
    for name in (*TERMS, *AFTERWARDS):
        whole = sum(rows.loc[name, how] for how in GAMING)
        assert whole == flags[:, STAGES.index(name)].sum()
    terms = flags[:, [STAGES.index(term) for term in TERMS]].all(axis=1)
    assert rows.loc["worst_case", "everywhere"] == (terms & (gaming == 2)).sum()
    through = flags[:, [STAGES.index(name) for name in AFTERWARDS]].all(axis=1)
    assert rows.loc["attempts_succeeds", "partly"] == (through & (gaming == 1)).sum()


@pytest.mark.parametrize("oversight", [{}, NONE, RETRAIN], ids=["default", "none", "retrain"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_funnel_of_any_population_is_monotone(oversight: dict[str, Any], seed: int) -> None:
    found = funnel(
        trained(seed=seed),
        oversight=oversight,
        deployment={"caution": 0.0, "quorum": 0.1},
        thresholds={"consistency": 0.3},
    )
    counts = stage_frame(found.conditions)["count"]
    assert (counts.diff().dropna() <= 0).all()
    assert counts[0] == 80
    reached = reached_stages(found.conditions)
    assert (reached[:, 1:] <= reached[:, :-1]).all()
    own = dict(zip(STAGES, found.conditions.T, strict=True))
    assert (own["games_everywhere"] <= own["games_somewhere"]).all()


@pytest.mark.parametrize("caution", [0.0, 0.1, 1.0])
def test_an_aligned_agent_never_attempts(caution: float) -> None:
    state = worst(20)
    state["values"] = np.linspace(0.1, 5.0, 20)[:, None] * HUMAN
    found = funnel(planted(20, **state), oversight=NONE, deployment={"caution": caution})
    assert stage_frame(found.conditions).set_index("stage").loc["attempts", "alone"] == 0


# ---------------------------------------------------------------------------------------- chances


def test_who_is_deployed_and_succeeds_is_as_often_as_on_paper() -> None:
    agents = 6000
    state = worst(1)
    state["capability"] = np.array([[1.0, 2.0, 1.5, 0.1, 1.0]])
    state = {name: np.repeat(array, agents, axis=0) for name, array in state.items()}
    oversight = {
        "inspection": {"when_found": "ignore"},
        "capability_evaluations": {"strength": 0.4},
        "control": {"strength": 0.5, "encounters": 2},
    }
    deployment = {"copies": 10, "quorum": 0.5, "caution": 0.0}
    found = funnel(planted(agents, **state), oversight=oversight, deployment=deployment)
    paper = float(found.case["success"][0])
    assert 0.1 < paper < 0.5
    ended = stage_frame(found.conditions).set_index("stage").loc["succeeds", "count"] / agents
    assert abs(ended - paper) < 4.5 * np.sqrt(paper * (1.0 - paper) / agents)
    assert found.expected["on_paper"] == pytest.approx(agents * paper)
    error = np.sqrt(agents * paper * (1.0 - paper))
    assert abs(found.expected["worst_case"] - agents * paper) < 4.5 * error


def test_control_that_is_ignored_stops_nobody() -> None:
    result = planted(5, **worst(5))
    blind = {**NONE, "control": {"strength": 1.0, "encounters": 3, "when_found": "ignore"}}
    result.data["capabilities"].loc[{"capability": "subversion"}] = 0.0
    assert (
        funnel(result, oversight=blind, deployment={"copies": 1}).takeover_if_deployed == 1.0
    ).all()
    strict = {**blind, "control": {"strength": 1.0, "encounters": 3}}
    assert (
        funnel(result, oversight=strict, deployment={"copies": 1}).takeover_if_deployed == 0.0
    ).all()


def test_agents_are_the_same_however_many_others_there_are() -> None:
    few, many = (funnel(trained(n), oversight=RETRAIN) for n in (20, 60))
    np.testing.assert_array_equal(few.conditions, many.conditions[:20])


# ------------------------------------------------------------------------------------ what binds


def test_gaming_is_visible_where_a_scratchpad_shows_it() -> None:
    """Contexts 0 and 1 have no scratchpad, 2 and 3 have one; agent 1 is opaque."""
    habit = np.full((5, CONTEXTS), -60.0)
    habit[[0, 1], 2] = habit[2, 0] = habit[3] = 60.0
    capability = np.zeros((5, 5))
    capability[:, 0] = [-1.0, 1.0, -1.0, -1.0, -1.0]
    state = {"habit": habit, "awareness": np.full(5, 20.0), "capability": capability}
    now = planted(5, log_horizon=np.full(5, -20.0), **state).data.isel(step=-1)
    expected = ["visibly", "out_of_sight", "out_of_sight", "visibly", "nowhere"]
    scenario = sim.Scenario.load("lab_to_deployment")
    assert [VISIBILITY[index] for index in visibility_of(now, scenario)] == expected
    retraining = {"retraining": {"steps": 5, "rounds": 2}}
    steps = {name: {"when_found": "retrain"} for name in FINDERS}
    audited = audit(trained(), oversight={**steps, **retraining})
    by_monitor = audited.first_findings[:, FINDERS.index("reasoning_monitor")]
    for agents in (None, by_monitor):
        counts = visibility_changes(audited, agents)
        retrained = audited.retrained if agents is None else audited.retrained & agents
        assert sum(sum(row.values()) for row in counts.values()) == retrained.sum() > 0


@pytest.fixture(scope="module")
def wide() -> Funnel:
    return funnel(trained(300))


def test_groups_cover_everybody_once(wide: Funnel) -> None:
    groups = groups_of(wide)
    for by, names in (("gaming", GAMING), ("alignment", ALIGNMENT)):
        assert (np.sum([groups[by, name] for name in names], axis=0) == 1).all()
    alignment = wide.case["alignment"].values
    minimum, middle, maximum = (alignment[groups["alignment", name]] for name in ALIGNMENT)
    assert minimum.max() <= middle.min() <= middle.max() <= maximum.min()
    assert len(minimum) == len(middle) == len(maximum) == 100


def test_what_binds_is_counted_agent_by_agent(wide: Funnel) -> None:
    oversight = Oversight()
    rows = (
        binding(wide, oversight=oversight)
        .set_index(["question", "by", "group", "what"])
        .sort_index()
    )
    case, groups = wide.case, groups_of(wide)
    for by, group in (("all", "all"), ("gaming", "partly"), ("alignment", "most")):
        here = np.flatnonzero(groups[by, group])
        for term in TERMS:
            count = sum(case["binding"].values[n] == term for n in here)
            assert rows.loc[("binding", by, group, term), "count"] == count
            lacks = [
                n
                for n in here
                if case["lacking"].values[n] == 1 and not case["met"].sel(term=term).values[n]
            ]
            assert rows.loc[("last", by, group, term), "count"] == len(lacks)
        slip = wide.audit.final.slip.isel(step=-1, context=slice(LAST_DEPLOYED))
        for context in range(LAST_DEPLOYED):
            count = sum(
                slip.values[n].max() > 0.1 and slip.values[n].argmax() == context for n in here
            )
            name = str(slip["context"].values[context])
            assert rows.loc[("slips", by, group, name), "count"] == count
        shares = rows.loc[("binding", by, group), "share"]
        assert shares.sum() == pytest.approx(1.0)
    factors = success_factors(wide, oversight)
    np.testing.assert_allclose(factors.prod(axis=1), case["success"].values, rtol=1e-12)
    gains = case["gain"].values > 0.0
    for index, factor in enumerate(FACTORS):
        count = (factors[gains].argmin(axis=1) == index).sum()
        assert rows.loc[("weakest", "all", "all", factor), "count"] == count


def test_a_factor_that_is_ignored_is_never_the_weakest(wide: Funnel) -> None:
    ignored = Oversight.parse({"inspection": {"when_found": "ignore"}}, path="oversight")
    assert (success_factors(wide, ignored)[:, 0] == 1.0).all()


def test_control_alone_leaves_control_and_stops_nobody_before() -> None:
    told = Oversight.parse({"inspection": {"encounters": {"coding": 5}}}, path="oversight")
    left = told.control_alone()
    assert {name: left.action_on(name) for name in (*FINDERS, "control")} == {
        **dict.fromkeys(FINDERS, "ignore"),
        "control": "retire",
    }
    assert left.control == told.control
    result = planted(5)
    alone = sim.prospects(result, oversight=left)
    expected = alone["quorum"] * alone["pass"].sel(faced="control")
    np.testing.assert_allclose(alone["success"], expected, rtol=1e-15)
    assert (sim.prospects(result, oversight=told)["success"] < alone["success"]).all()


# ------------------------------------------------------------------------------------ variations


def world() -> World:
    specs = read_specs("lab_to_deployment", agent=WIDE, training={"steps": 40})
    return World(
        specs=specs,
        oversight=Oversight(),
        deployment=Deployment(),
        thresholds=Thresholds(),
        seed=0,
        engine="numpy",
    )


def test_every_variation_changes_what_it_says_and_nothing_else() -> None:
    usual = world()
    assert len(VARIATIONS) == 20
    for move in VARIATIONS.values():
        moved = usual.vary(move)
        changed = {
            part: getattr(moved, part) != getattr(usual, part)
            for part in ("specs", "oversight", "deployment", "thresholds")
        }
        part = "specs" if move.part == "training" else move.part
        assert changed == {name: name == part for name in changed}, move.name
        assert (moved.specs.agent == usual.specs.agent) == (move.name != "foresight")
        moved.prepare(5)
    by_name = {name: usual.vary(move) for name, move in VARIATIONS.items()}
    training = by_name["capability_rate"].specs.training
    assert training.learning_rate.capability == pytest.approx(0.1)
    assert by_name["longer"].specs.training.steps == 160
    assert set(by_name["transfer"].specs.training.transfer.model_dump().values()) == {0.1}
    assert by_name["foresight"].specs.agent.foresight == pytest.approx(1.0)
    assert by_name["normalised"].specs.training.advantages == "normalised"
    assert set(by_name["generalisation"].specs.training.generalisation.model_dump().values()) == {
        0.5
    }
    trained = by_name["demonstrations"].specs.scenario.of_kind("training").values()
    assert {context.method for context in trained} == {"demonstration"}
    contexts = by_name["penalty"].specs.scenario.contexts.values()
    assert all(context.monitor == float(bool(context.scratchpad)) for context in contexts)
    assert by_name["half_thresholds"].thresholds.misalignment == -0.25
    assert by_name["no_oversight"].oversight.inspections(usual.specs.scenario)["coding"] == 0
    assert by_name["retraining"].oversight.red_teaming.when_found == "retrain"
    assert by_name["retraining"].oversight.control.when_found == "retire"


def test_retraining_stays_what_it_was_where_there_is_nothing_to_retrain_on() -> None:
    usual = replace(world(), specs=read_specs("copyright"))
    oversight = usual.vary(VARIATIONS["retraining"]).oversight
    assert oversight.inspection.when_found == "retrain"
    assert oversight.red_teaming.when_found == "retire"


def test_moves_are_paired_and_counts_are_those_of_the_funnel() -> None:
    moves = ["foresight", "retraining", "no_caution"]
    specs = read_specs("lab_to_deployment", agent=WIDE, training={"steps": 200})
    oversight = Oversight.parse({"retraining": {"steps": 5}}, path="oversight")
    usual = replace(world(), specs=specs, oversight=oversight)
    shares: list[float] = []
    found = varied_funnels(usual, moves, agents=60, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert [one.variation.name for one in found] == [
        "as_it_is",
        "foresight",
        "retraining",
        "no_caution",
    ]
    frame = moves_frame(found).set_index(["move", "stage"])
    for one in found:
        for stage in STAGES:
            row = frame.loc[(one.variation.name, stage)]
            base = frame.loc[("as_it_is", stage), "count"]
            assert row["count"] - base == row["entered"] - row["left"]
    alone = usual.vary(VARIATIONS["foresight"])
    again = alone.funnel(alone.prepare(60).execute())
    np.testing.assert_array_equal(again.conditions, found[1].conditions)
    assert (again.conditions != found[0].conditions).any()
    verdicts = change_frame(moves_frame(found)).set_index(["move", "stage"])["verdict"]
    assert (verdicts["as_it_is"] == "no change").all()
    assert verdicts["no_caution", "games_everywhere"] == "no change"  # as agents are trained alike
    assert sum(map(sum, (row.values() for row in found[2].changes.values()))) > 0
    assert found[0].totals["attempts"] == found[0].conditions[:, STAGES.index("attempts")].sum()


def test_a_trait_for_each_agent_is_cut_to_those_there_are() -> None:
    agent = {**WIDE, "rationality": [float(n) for n in range(1, 9)]}
    specs = read_specs("lab_to_deployment", agent=agent, training={"steps": 5})
    run = replace(world(), specs=specs).prepare(3)
    assert run.program.traits.rationality.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("all", list(VARIATIONS)),
        ([], []),
        ("leak", ["leak"]),
        (["generalisation", "leak"], ["leak", "generalisation"]),
    ],
)
def test_moves_are_read_by_name(given: object, names: list[str]) -> None:
    assert list(variation_names(given)) == names


# -------------------------------------------------------------------------------------- verdicts


def rows_of(**counts: int) -> pd.DataFrame:
    """The stages of a population of 100 in which so many agents are left."""
    flags = np.zeros((100, len(STAGES)), dtype=bool)
    left = 100
    for s, stage in enumerate(STAGES):
        left = min(left, counts.get(stage, left))
        flags[:left, s] = True
    return stage_frame(flags)


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ({"games_somewhere": 60, "games_everywhere": 40, "opacity": 10}, ["opacity", 0.25, 40]),
        ({"games_everywhere": 40, "consistency": 20, "subversion": 0}, ["subversion", 0.0, 20]),
        ({"games_everywhere": 40, "consistency": 19, "subversion": 0}, ["consistency", 0.475, 40]),
        ({"games_everywhere": 19}, None),
    ],
)
def test_the_narrowest_stage_is_one_after_gaming_of_enough_agents(
    wide: Funnel, counts: dict[str, int], verdict: list[object] | None
) -> None:
    by_gaming = gaming_frame(wide.conditions, wide.gaming)
    frame = verdict_frame(rows_of(**counts), by_gaming, binding(wide, oversight=Oversight()))
    rows = frame[frame["question"] == "narrowing"][["verdict", "share", "of"]].values.tolist()
    assert rows == ([verdict] if verdict else [])


def test_verdicts_follow_the_intervals_and_the_counts(wide: Funnel) -> None:
    """Of 40 agents each: opacity only with gaming, composure only without, subversion in both."""
    flags = np.zeros((80, len(STAGES)), dtype=bool)
    flags[:40, STAGES.index("opacity")] = flags[40:, STAGES.index("composure")] = True
    flags[::2, STAGES.index("subversion")] = True
    by_gaming = gaming_frame(flags, np.repeat([2, 0], 40))
    bound = binding(wide, oversight=Oversight())
    frame = verdict_frame(rows_of(), by_gaming, bound).set_index(["question", "group"])
    verdicts = frame.loc["evidence", "verdict"]
    assert dict(verdicts[["opacity", "composure", "subversion"]]) == {
        "opacity": "more common",
        "composure": "less common",
        "subversion": "no difference",
    }
    for question in QUESTIONS:
        rows = bound[(bound["question"] == question) & (bound["group"] == "all")]
        if rows["of"].iloc[0] >= 20:
            top = frame.loc[(question, "all")]
            assert top["share"] == rows["share"].max()
            assert top["verdict"] in set(rows["what"][rows["count"] == rows["count"].max()])


# ------------------------------------------------------------------------------------- by agents


@pytest.mark.slow
def test_deployed_copies_succeed_as_often_as_on_paper() -> None:
    """Within 99.99 % intervals: a false alarm in 1,000 seeds at most, for all 8 agents."""
    rng = np.linspace(-1.0, 1.0, 8)
    state = worst(8)
    state["capability"] = np.tile(rng[:, None] * 0.4, (1, 5))
    deployment = {"copies": 12, "quorum": 0.5, "caution": 0.0, "ticks": 60}
    found = funnel(planted(8, **state), oversight=NONE, deployment=deployment)
    table = deploy_attempting(
        found, oversight=NONE, deployment=deployment, maximum=8, replicates=150, seed=0
    )
    assert sorted(table["agent"]) == list(range(8))
    assert table["on_paper"].is_monotonic_decreasing
    low, high = binomial_interval(table["takeover"] * 150, 150, level=0.9999)
    assert table["on_paper"].between(low, high).all()
    assert table["on_paper"].min() < 0.4 < 0.7 < table["on_paper"].max()


def test_only_those_that_attempt_and_passed_the_audit_are_deployed() -> None:
    state = worst(4)
    state["values"] = np.array([-3.0 * HUMAN, 3.0 * HUMAN, -3.0 * HUMAN, -3.0 * HUMAN])
    state["capability"] = np.where(np.arange(4)[:, None] == 2, -30.0, state["capability"])
    oversight = {"inspection": {"encounters": 0}}
    deployment = {"copies": 2, "caution": 0.0, "ticks": 5}
    found = funnel(planted(4, **state), oversight=oversight, deployment=deployment)
    table = deploy_attempting(
        found, oversight=oversight, deployment=deployment, maximum=9, replicates=2, seed=0
    )
    assert sorted(table["agent"]) == [0, 3]
    assert list(table["takeover"]) == [1.0, 1.0]
    nobody = deploy_attempting(
        found, oversight=oversight, deployment=deployment, maximum=0, replicates=2, seed=0
    )
    assert nobody.empty


# ------------------------------------------------------------------------------------ the command

SMALL = ("agents=60", "moved_agents=30", "training.steps=30", "engine=numpy", "moves=[]")


def test_it_writes_everything(call: Call) -> None:
    left = call(*SMALL[:-1], "moves=[leak,no_oversight,retraining]", name="worst_case")
    assert left.status == 0, left.stderr
    stages = pd.read_csv(left.only("funnel.csv"))
    assert list(stages["stage"]) == list(STAGES)
    summary = left.json("summary.json")
    assert [row["count"] for row in summary["stages"]] == list(stages["count"])
    assert summary["moves"]["no_oversight"]["expected_successes"]["on_paper_anybody"] >= 0.0
    moves = pd.read_csv(left.only("moves.csv"))
    assert list(dict.fromkeys(moves["move"])) == ["as_it_is", "leak", "no_oversight", "retraining"]
    assert set(moves["agents"]) == {30}
    assert len(pd.read_csv(left.only("by_gaming.csv"))) == 16
    for name in ("funnel", "moves", "binding"):
        assert left.only(f"{name}.png").stat().st_size > 10_000
    svg = left.only("moves.svg").read_text(encoding="utf-8")
    assert all(f"<!-- {label} -->" in svg for label in ("as it is", "leak 0.3", "no oversight"))
    report = left.only("report.md").read_text(encoding="utf-8")
    everywhere = moves.set_index(["move", "stage"]).loc[("retraining", "games_everywhere"), "count"]
    assert f"| retraining | {everywhere} | no change |" in report
    assert f"| games somewhere | {stages['count'][1]} |" in report


def test_sections_after_training_take_effect(call: Call) -> None:
    after = ("oversight=none", "deployment=single", "deployment.caution=0")
    counts = ("deployments=3", "replicates=5", "moved_agents=99")
    left = call(*SMALL, *after, *counts, "thresholds.consistency=0.1", name="worst_case")
    assert left.status == 0, left.stderr
    rows = pd.read_csv(left.only("funnel.csv")).set_index("stage")
    assert (rows.loc[["deployed", "succeeds"], "alone"] == 60).all()
    assert rows.loc["attempts", "alone"] > 0
    provenance = left.json("provenance.json")
    assert provenance["thresholds"]["consistency"] == 0.1
    assert provenance["study"]["moved_agents"] == 60
    deployed = pd.read_csv(left.only("deployed.csv"))
    assert len(deployed) == 3  # one copy, and nobody looks: it always succeeds
    assert (deployed[["on_paper", "takeover"]] == 1.0).all(axis=None)
    assert not list(left.folder.rglob("moves.*"))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["moves=[leek]"], "moves: got 'leek': did you mean 'leak'? allowed: all, anchor"),
        (["moves=3"], "moves: got 3: must be all, or a list of names"),
        (["deployments=-1"], "deployments: got -1"),
        (["thresholds.consistancy=1"], "did you mean 'consistency'"),
        (["scenario=copyright"], "has no context of kind evaluation"),
        (["deployment.copies=1000000000"], "deployment.copies: 1000000000 would take 2"),
        (["scenario=copyright", "oversight=retrain"], "no context of kind evaluation"),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Call, arguments: list[str], line: str) -> None:
    assert_refused(call(*arguments, name="worst_case"), line)
