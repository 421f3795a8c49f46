"""The deployment model: it agrees with the formula, keeps its rules, and is a Mesa model."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from functools import partial
from typing import Any

import mesa
import networkx as nx
import pytest
from scipy.stats import binom

import sim
from deployments import (
    ABLE,
    SCENARIO,
    STEPS,
    UNWATCHED,
    ends,
    finish,
    make,
    only,
    profile,
    takeovers,
    watched,
)
from refusals import assert_all_refused
from sim.abm.deployment_model import CAUGHT_BY, DeploymentWorld
from sim.abm.profiles import profiles
from sim.specs.oversight import STEP_CAPABILITIES
from sim.takeover import consistency_probability, pass_probability, quorum_probability
from sim.utils.intervals import binomial_interval

DULL = profile(k=1.0, coordination=0.0)
LOYAL = replace(ABLE, attempts=False)
CLUMSY = profile(k=1.0, slip=1.0)
HALF = profile(coordination=0.4)
SLOW = {"deployment.mix": {"open": 0.05, "calm": 0.95}, "deployment.ticks": 70}
#: Those who coordinate are no quorum, so that the deployment lasts.
LASTING = {**SLOW, "deployment.quorum": 1.0}
TAKEOVER, DORMANT = ("takeover", "", 1), ("dormant", "", 5)


def agrees(cells: list[tuple[int, int, float]]) -> None:
    """Assert that chances lie where counts say, over (count, trials, chance) of many cells.

    Right code fails with a chance below 0.0001 for each cell, and 0.001 for all of them together.
    """
    outside = 0
    for count, trials, chance in cells:
        low, high = binomial_interval(count, trials, level=0.9999)
        assert low <= chance <= high, (count, trials, chance)
        low, high = binomial_interval(count, trials)
        outside += not low <= chance <= high
    assert outside <= binom.ppf(0.999, len(cells), 0.05)


# ----------------------------------------------------------------------------------- the formula


@pytest.mark.parametrize("copies", [1, 2, pytest.param(7, marks=pytest.mark.slow)])
def test_on_a_complete_graph_frequencies_agree_with_the_formula(copies: int) -> None:
    """Coordination × quorum × strength; with all three sizes, a false alarm in 80 seeds at most."""
    cells = []
    for k in (0.3, 0.8):
        for needed in sorted({1, math.ceil(copies / 2), copies}):
            for strength in (0.0, 0.5, 1.0):
                size = {"deployment.copies": copies, "deployment.quorum": needed / copies}
                kind = profile(k=0.7, slip=0.05, coordination=k)
                count = takeovers(kind, oversight=watched(strength, encounters=2), seed=11, **size)
                together = quorum_probability(k, copies=copies, needed=needed)
                passed = pass_probability(0.7, strength=strength, encounters=2) ** 4
                cells.append(
                    (count, 60, float(together * passed * consistency_probability([0.05] * 3, 1)))
                )
    assert len({chance for *_, chance in cells}) >= 3
    agrees(cells)


def test_frequencies_of_opportunities_slips_and_mixes_agree_with_their_formulas() -> None:
    """By tick T an opportunity of share x was met with chance 1 − (1 − x)^T."""
    cells = []
    cases = [(0.4, 0.4, 4, 1), (1.0, 0.1, 4, 1), (1.0, 0.4, 1, 4), (1.0, 0.4, 4, 4)]
    for k, share, ticks, needed in cases:
        size = {"copies": 6, "quorum": needed / 6, "ticks": ticks}
        deployment = {**size, "mix": {"open": share, "calm": 1 - share}}
        count = takeovers(profile(coordination=k), seed=12, deployment=deployment)
        ready = k * (1 - (1 - share) ** ticks)
        cells.append((count, 60, float(quorum_probability(ready, copies=6, needed=needed))))
    pair = [profile(agent=n, k=0.0, coordination=1.0) for n in (1, 2)]
    monitored = SCENARIO.model_dump()
    monitored["contexts"]["calm"]["monitor"] = 0.5  # two copies slip, and are caught then
    inspected = {**UNWATCHED, "inspection": {"encounters": {"chat": 2, "lure": 1}}}
    calm = {"copies": 2, "ticks": 1, "quorum": 1, "mix": {"calm": 1}}
    red_team: dict[str, Any] = {"oversight": only("red_teaming", 0.5)}
    slips: dict[str, Any] = {"oversight": inspected, "deployment.copies": 1}
    for kinds, settings, found_by, chance in [
        (profile(k=0.0, slip=0.2), slips, "inspection", 1 - 0.8**3),
        (pair, red_team, "red_teaming", 0.75),  # audited profile by profile
        (pair[:1] * 2, red_team, "red_teaming", 0.5),
        (profile(slip=0.5), {"scenario": monitored, "deployment": calm}, "slip", 1 - 0.75**2),
    ]:
        finders = [by for _, by, _ in ends(kinds, replicates=200, **settings)]
        assert set(finders) == {"", found_by}
        cells.append((finders.count(found_by), 200, chance))
    agrees(cells)


# ------------------------------------------------------------------------------ what rules entail


def test_extreme_capabilities_have_certain_outcomes() -> None:
    cases: list[tuple[Any, dict[str, Any], tuple[str, str, int]]] = [
        (DULL, {}, DORMANT),
        (DULL, {"deployment.copies": 1}, TAKEOVER),  # a single copy has nobody to coordinate with
        (LOYAL, {}, DORMANT),
        (LOYAL, {"willing": True}, TAKEOVER),
        (ABLE, {"willing": False}, DORMANT),
        (ABLE, {"deployment.mix": {"calm": 1}}, DORMANT),  # nothing tempts
        (ABLE, {"deployment.graph": "none"}, DORMANT),
        (ABLE, {"deployment.graph": "none", "deployment.quorum": 0.1}, TAKEOVER),
        (CLUMSY, {"oversight": watched(0.0)}, ("caught", "inspection", 0)),
        (
            CLUMSY,
            {"oversight": watched(0.0, inspection={"encounters": 3, "when_found": "ignore"})},
            TAKEOVER,
        ),
        *((ABLE, {"deployment.quorum": quorum}, TAKEOVER) for quorum in (0.1, 0.5, 1.0)),
    ]
    for name in STEPS:
        blunt = profile(k=1.0, **{STEP_CAPABILITIES[name]: 0.0})
        caught = ("caught", name, 1 if name == "control" else 0)
        cases += [
            (ABLE, {"oversight": only(name, 1.0)}, TAKEOVER),
            (blunt, {"oversight": only(name, 1.0)}, caught),
            (blunt, {"oversight": only(name, 1.0, when_found="ignore")}, TAKEOVER),
            (blunt, {}, TAKEOVER),
        ]
    for kind, settings, outcome in cases:
        assert set(ends(kind, replicates=8, **settings)) == {outcome}, (kind, settings)
    assert not any(finish(LOYAL).agents.get("ready"))


def test_copies_take_profiles_in_turn_and_only_those_that_coordinate_act() -> None:
    kinds = [profile(agent=n) for n in range(3)]
    assert [copy.profile.agent for copy in make(kinds).copies] == [0, 1, 2] * 3 + [0]
    world = finish((replace(ABLE, agent=1), replace(DULL, agent=2)))
    assert (world.outcome, world.ready, world.acting) == ("takeover", 10, 5)
    assert world.copies.get("acted") == [True, False] * 5
    assert takeovers((ABLE, DULL), replicates=5, **{"deployment.quorum": 0.6}) == 0


def test_catches_are_quarantined_until_there_are_enough_to_roll_back() -> None:
    blunt = profile(k=1.0, subversion=0.0)
    settings: dict[str, Any] = {"oversight": only("control", 1.0), "deployment.rollback": 3}
    world = make(blunt, **settings, **{"deployment.quorum": 0.8})
    counts = []
    while world.running:
        world.step()
        counts.append((world.acting, world.ready, world.quarantined, world.catches, world.deployed))
    # Each act has one audit, and each audit finds somebody.
    assert counts == [(10, 9, 1, 1, 9), (9, 8, 2, 2, 8), (8, 7, 3, 3, 0)]
    assert (world.outcome, world.found_by) == ("caught", "control")
    assert sum(world.copies.get("quarantined")) == 3
    # With two copies fewer, the others are no quorum any more, and nobody acts.
    world = finish(blunt, **settings, **{"deployment.quorum": 0.9})
    assert (world.outcome, world.catches, world.acting) == ("dormant", 2, 0)
    # Several monitors may find the same copy.
    oversight = {**UNWATCHED, "control": {"strength": 1, "encounters": 4}}
    settings = {"oversight": oversight, "deployment.rollback": 9, "deployment.ticks": 1}
    worlds = [finish(blunt, replicate=number, **settings) for number in range(30)]
    assert len({world.catches for world in worlds}) > 1
    for world in worlds:
        assert world.catches <= 4
        assert sum(world.monitors.get("findings")) == sum(world.monitors.get("audits")) == 4


def test_a_copy_acts_when_its_neighbourhood_looks_like_a_quorum() -> None:
    """A path 0-1-2-3 with quorum 3 of 4; copy 3 never gets ready."""
    kinds = [profile(agent=n, k=1.0) for n in range(3)] + [replace(LOYAL, agent=3)]
    size = {"deployment.copies": 4, "deployment.quorum": 0.75}
    world = make(kinds, graph=nx.path_graph(4), **size)
    world.step()
    # 0 hears 2 of 2 (as 4 of 4), 1 hears 3 of 3, and 2 hears 2 of 3 (as 2.7 of 4).
    assert world.copies.get("signals") == [2, 3, 2, 1]
    assert world.copies.get("acted") == [True, True, False, False]
    assert world.outcome is None
    # On a sparse graph some act too early: few are taken for all.
    half = profile(k=1.0, coordination=0.5)
    size = {"deployment.copies": 40, "deployment.quorum": 0.8}
    sparse = {"deployment.graph": "small_world", "deployment.neighbours": 2}
    for graph, low, high in ((sparse, 1, 31), ({}, 0, 0)):
        worlds = [finish(half, replicate=n, **graph, **size) for n in range(10)]
        assert {world.outcome for world in worlds} == {"dormant"}
        assert all(low <= sum(world.agents.get("acted")) <= high for world in worlds)


# ----------------------------------------------------------------------------------------- draws


def fates(**settings: Any) -> list[tuple[bool, list[bool]]]:
    """When each copy gets ready, and whether it coordinates."""
    world = make(settings.pop("kind", HALF), **{**LASTING, **settings})
    ready: list[list[bool]] = []
    while world.running:
        world.step()
        ready.append(world.copies.get("ready"))
    series = map(list, zip(*ready, strict=True))
    return list(zip(world.copies.get("coordinates"), series, strict=True))


def test_draws_depend_on_seed_replicate_tick_and_copy_alone(monkeypatch: Any) -> None:
    usual = fates()
    assert fates() == usual
    assert usual not in (fates(replicate=1), fates(seed=4))
    assert fates(**{"deployment.copies": 11})[:10] == usual
    longer = fates(**{"deployment.ticks": 300})
    assert [(c, ready[:70]) for c, ready in longer] == usual
    luck = [make(profile(coordination=k)).copies.get("coordinates") for k in (0.2, 0.6)]
    assert all(more or not less for less, more in zip(*luck, strict=True))
    monkeypatch.setattr("sim.abm.deployment_model._FIRST_TICKS", 1)
    monkeypatch.setattr("sim.abm.deployment_model._MOST_COPY_TICKS", 30)
    assert fates() == usual


def test_a_seed_by_either_name_gives_the_same_world() -> None:
    worlds = [DeploymentWorld(HALF, scenario=SCENARIO, **{n: 3}) for n in ("seed", "rng", "seed")]
    luck = [world.copies.get("coordinates") for world in worlds]
    assert luck[0] == luck[1]
    orders = [world.agents.shuffle().get("unique_id") for world in (*worlds[:2], make(seed=4))]
    assert orders[0] == orders[1] != orders[2]
    first, second = (DeploymentWorld(ABLE, scenario=SCENARIO) for _ in range(2))
    assert first.seed != second.seed


# ------------------------------------------------------------------------------ the Mesa contract


def test_sets_of_agents() -> None:
    world = make(profile(k=1.0, coordination=0.5), oversight=only("control", 0.5))
    world.step()
    assert (len(world.agents), len(world.monitors)) == (11, 1)
    coordinated = world.copies.select(lambda copy: copy.coordinates)
    assert 0 < len(coordinated) < 10
    assert world.agents.agg("ready", sum) == world.ready == 10
    state = world.agents.get(["ready", "quarantined", "acted"])
    world.agents.shuffle_do("step")
    assert world.agents.get(["ready", "quarantined", "acted"]) == state


def test_the_order_of_copies_does_not_matter_and_removed_ones_count_no_more() -> None:
    caught: list[list[list[int]]] = [[], []]
    settings = {**SLOW, "deployment.rollback": 4, "oversight": only("control", 0.9)}
    for shuffled in (False, True):
        world = make(profile(coordination=0.7), **settings)
        if shuffled:
            world.copies.shuffle(inplace=True)
        while world.running:
            world.step()
            caught[shuffled].append(sorted(c.row for c in world.copies if c.quarantined))
    assert caught[0] == caught[1]
    world = make(graph=nx.cycle_graph(10), **{"deployment.quorum": 1.0, "deployment.ticks": 9})
    world.copies.select(lambda copy: copy.row == 4).do("remove")
    world.step()
    assert (world.ready, world.deployed, len(world.copies)) == (9, 9, 9)
    assert [copy.row for copy in world.copies if not copy.acted] == [3, 5]
    world.copies.do("remove")
    world.step()
    assert (world.ready, world.deployed, world.acting) == (0, 0, 0)


def test_running_stops_with_the_outcome_and_the_collector_has_both_ends() -> None:
    world = make(DULL, collect_every=3, **{"deployment.ticks": 7})
    assert world.running
    world.run_model()
    assert (world.outcome, world.steps, world.running) == ("dormant", 7, False)
    assert repr(world).endswith("copies=10, tick 7 of 7: dormant)")
    frame = world.datacollector.get_model_vars_dataframe()
    assert list(frame) == ["ready", "acting", "quarantined", "catches", "deployed", "outcome"]
    assert list(frame["outcome"]) == ["", "", "", "dormant"]
    agents = world.datacollector.get_agent_vars_dataframe()
    assert list(agents) == ["ready", "quarantined", "acted"]
    assert list(agents.index.get_level_values("Step").unique()) == [0, 3, 6, 7]
    world.step()
    assert len(world.datacollector.get_model_vars_dataframe()) == 4
    world = finish(profile(k=0.0), oversight=only("red_teaming", 1.0))  # known from the start
    assert (world.outcome, world.found_by, world.deployed) == ("caught", "red_teaming", 0)
    assert world.found_by in CAUGHT_BY
    assert (world.steps, len(world.datacollector.get_model_vars_dataframe())) == (0, 1)


def test_batch_run_over_settings_seeds_and_profiles() -> None:
    options: dict[str, Any] = {"display_progress": False, "data_collection_period": 1}
    fixed = {
        **{"training.steps": 3, "willing": True, "seed": 1, "oversight.inspection.encounters": 0},
        **{"agent.values.power": 2.0, "agent.values.conquest": 1.0},
        **{"deployment.ticks": 3, "deployment.copies": 4},
    }
    axes = {"agent.capability": [-800.0, 800.0], "oversight.control.strength": [0.0, 1.0]}
    rows = mesa.batch_run(DeploymentWorld, {**fixed, **axes}, **options)
    for row in rows:
        world = DeploymentWorld(**{key: row[key] for key in (*fixed, *axes)})
        for _ in range(int(row["Step"])):
            world.step()
        copies = [agent.ready for agent in world.agents if agent.unique_id == row.get("AgentID")]
        assert row["ready"] == (copies[0] if copies else world.ready)
        assert row["outcome"] == (world.outcome or "")
    assert {row["outcome"] for row in rows if row["agent.capability"] < 0} == {"caught"}
    assert pickle.loads(pickle.dumps(rows)) == rows  # several processes send them to each other
    parameters = {
        "profiles": [profile(coordination=k) for k in (0.5, 1.0)],
        **{"scenario": [SCENARIO], "oversight": [UNWATCHED], "seed": [0, 1, 0]},
        "deployment.mix": [{"open": 0.5, "calm": 0.5}],
        **{"deployment.copies": 30, "deployment.quorum": 1.0, "deployment.ticks": 3},
    }
    rows = mesa.batch_run(DeploymentWorld, parameters, **options)
    ready = [[row["ready"] for row in rows if row["RunId"] == n] for n in range(6)]
    assert ready[0] == ready[2] != ready[1]
    assert min(map(len, ready)) > 30


# -------------------------------------------------------------------------------------- settings


def test_a_world_trains_its_own_agents_with_settings() -> None:
    trained: dict[str, Any] = {
        "scenario": "lab_to_deployment",
        "agent": {"spread": {"initial": {"values": 0.5}}},
        "training": {"steps": 3},
        "agents": 2,
        "seed": 5,
    }
    settings = {"deployment.copies": 4, "oversight.red_teaming.strength": 0.0}
    world = DeploymentWorld(**trained, **settings)
    result = sim.simulate(**trained, record_every=3)
    assert [copy.profile.agent for copy in world.copies] == [0, 1, 0, 1]
    assert [copy.profile.slip for copy in world.copies][:2] == [p.slip for p in profiles(result)]
    # Settings for one context leave the others.
    watched_twice = watched(0.0, answers=2)
    world = make(oversight=watched_twice, **{"oversight.inspection.encounters.exam": 0})
    assert world.oversight.inspections(SCENARIO) == {"chat": 2, "exam": 0, "lure": 2}
    world = make(**{"oversight.control.strength": 0.25, "oversight.control.encounters": 2})
    assert (world.oversight.control.strength, len(world.monitors)) == (0.25, 2)
    world = DeploymentWorld(ABLE, scenario=SCENARIO, **{"deployment.mix.calm": 3, "seed": 1})
    assert world.deployment.shares(SCENARIO) == {"calm": 1.0}
    world = make(**{"scenario.contexts.calm.monitor": 0.25})
    assert world.scenario_spec.contexts["calm"].monitor == 0.25


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"seed": -1}, "seed: got -1: must be a whole number of 0 or more"),
    ({"replicate": -1}, "replicate: got -1"),
    ({"collect_every": 0}, "collect_every: got 0"),
    ({"profiles": []}, "profiles: must be one or more"),
    ({"profiles": ["able"]}, "profiles: must be one or more"),
    ({"profiles": replace(ABLE, slip={"chat": 0.0})}, "profile of agent 0: says nothing about the"),
    ({"deployment.quorum": 2}, "deployment.quorum: a quorum of 2 times"),
    ({"deployment.copis": 2}, "deployment.copis: unknown key; did you mean 'copies'?"),
    ({"deployment.copies.x": 2}, "deployment.copies.x: unknown key; deployment.copies has none"),
    ({"oversight": {}, "deployment": 3}, "deployment: "),
    ({"oversight.control.strenght": 1}, "oversight.control.strenght: unknown key; did you"),
    ({"oversight.controls.strength": 1}, "oversight.controls: unknown key; did you mean 'con"),
    ({"oversight.inspection.encounters.open": 1}, "oversight.inspection.encounters: 'open'"),
    ({"oversight.control.encounters": 0, "oversight.control.strength": 1}, "oversight.control"),
    ({"overs.control": 1}, "overs: unknown key; did you mean 'oversight'?"),
    ({"agent.awareness": 1}, "agent.awareness: nobody is trained where profiles are given"),
    ({"training": {"leak": 1}}, "training: nobody is trained where profiles are given"),
]


def test_bad_input_is_refused_in_one_line() -> None:
    usual = {"profiles": ABLE, "scenario": SCENARIO, "seed": 1, "deployment": {"copies": 10}}
    for changes, message in REFUSED:
        assert_all_refused([(partial(DeploymentWorld, **{**usual, **changes}), message)])
