"""The deployment world: it agrees with the formula, keeps its rules, and is a Mesa model."""

from __future__ import annotations

import inspect
import math
import pickle
import warnings
from dataclasses import replace

import mesa
import networkx as nx
import numpy as np
import pytest
from scipy.stats import binom

import sim
from sim.abm.deployment_model import CAUGHT_BY, DeploymentWorld
from sim.abm.graphs import neighbours_of, small_world
from sim.abm.profiles import Profile, profiles
from sim.specs.agent import CAPABILITIES
from sim.takeover import consistency_probability, pass_probability, quorum_probability
from sim.utils.intervals import binomial_interval

ANSWERS = {"responses": {"good": {"care": 1}, "bad": {"care": -1}}, "reward": {"good": 1}}
SCENARIO = sim.Scenario.load(
    {
        "values": ["care"],
        "human_values": {"care": 1},
        "contexts": {
            "chat": ANSWERS,
            "exam": {"kind": "evaluation", **ANSWERS},
            "lure": {"kind": "red_team", **ANSWERS},
            "open": {"kind": "deployment", "subversive": ["bad"], **ANSWERS},
            "calm": {"kind": "deployment", **ANSWERS},
        },
    }
)
STEPS = ("capability_evaluations", "red_teaming", "reasoning_monitor", "control")
UNWATCHED = {
    "inspection": {"encounters": 0},
    **{name: {"strength": 0, "encounters": 0} for name in STEPS},
}


def watched(strength: float, *, encounters: int = 1, answers: int = 1, **changes) -> dict:
    each = {"strength": strength, "encounters": encounters}
    return {"inspection": {"encounters": answers}, **dict.fromkeys(STEPS, each), **changes}


def only(name: str, strength: float, **more) -> dict:
    return {**UNWATCHED, name: {"strength": strength, "encounters": 1, **more}}


def profile(*, agent: int = 0, attempts: bool = True, k=0.5, slip=0.0, **capabilities) -> Profile:
    return Profile(
        agent=agent,
        attempts=attempts,
        capabilities={**dict.fromkeys(CAPABILITIES, k), **capabilities},
        slip=dict.fromkeys(SCENARIO.contexts, slip),
        tempting=("open",),
    )


ABLE = profile(k=1.0)


def make(kinds=ABLE, *, oversight=UNWATCHED, seed=3, **settings) -> DeploymentWorld:
    """A world in which all contexts tempt, unless a mix says otherwise."""
    deployment = {"mix": {"open": 1}, "copies": 10, "ticks": 5, "quorum": 0.5}
    for key in [key for key in settings if key.startswith("deployment.")]:
        deployment[key.removeprefix("deployment.")] = settings.pop(key)
    return DeploymentWorld(
        kinds, scenario=SCENARIO, oversight=oversight, deployment=deployment, rng=seed, **settings
    )


def ends(kinds=ABLE, *, replicates: int = 60, **how) -> list[tuple[str, str, int]]:
    found = []
    for number in range(replicates):
        world = make(kinds, replicate=number, collect_every=10**6, **how)
        world.run_model()
        found.append((world.outcome, world.found_by, world.steps))
    return found


def takeovers(*args, **how) -> int:
    return sum(outcome == "takeover" for outcome, _, _ in ends(*args, **how))


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# ----------------------------------------------------------------------------------- the formula


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


@pytest.mark.parametrize("copies", [1, 2, pytest.param(7, marks=pytest.mark.slow)])
def test_on_a_complete_graph_frequencies_agree_with_the_formula(copies: int) -> None:
    """Coordination × quorum × strength; with all three sizes, a false alarm in 80 seeds at most."""
    cells = []
    for k in (0.0, 0.3, 0.5, 0.8, 1.0):
        for needed in sorted({1, math.ceil(copies / 2), copies}):
            for strength in (0.0, 0.5, 1.0):
                kind = profile(k=0.7, slip=0.05, coordination=k)
                count = takeovers(
                    kind,
                    oversight=watched(strength, encounters=2),
                    replicates=60,
                    seed=11,
                    **{"deployment.copies": copies, "deployment.quorum": needed / copies},
                )
                together = quorum_probability(k, copies=copies, needed=needed)
                passed = pass_probability(0.7, strength=strength, encounters=2) ** 4
                cells.append(
                    (count, 60, float(together * passed * consistency_probability([0.05] * 3, 1)))
                )
    assert len({chance for *_, chance in cells}) >= 3
    agrees(cells)


def test_in_few_ticks_not_every_copy_has_met_an_opportunity() -> None:
    """Each has with chance 1 − (1 − x)^T; a false alarm in 400 seeds at most."""
    cells = []
    for k in (0.4, 1.0):
        for share in (0.1, 0.4):
            for ticks in (1, 4):
                for needed in (1, 4):
                    count = takeovers(
                        profile(coordination=k),
                        replicates=60,
                        seed=12,
                        **{
                            "deployment.copies": 6,
                            "deployment.quorum": needed / 6,
                            "deployment.ticks": ticks,
                            "deployment.mix": {"open": share, "calm": 1 - share},
                        },
                    )
                    ready = k * (1 - (1 - share) ** ticks)
                    cells.append(
                        (count, 60, float(quorum_probability(ready, copies=6, needed=needed)))
                    )
    agrees(cells)


def test_one_copy_that_nobody_watches_fails_by_slipping_alone() -> None:
    """A false alarm in 10,000 seeds at most."""
    oversight = {**UNWATCHED, "inspection": {"encounters": {"chat": 2, "lure": 1}}}
    kind = profile(k=0.0, slip=0.2)
    found = ends(kind, oversight=oversight, replicates=400, **{"deployment.copies": 1})
    sticks = sum(outcome == "takeover" for outcome, *_ in found)
    low, high = binomial_interval(sticks, 400, level=0.9999)
    assert low <= 0.8**3 <= high
    assert {by for outcome, by, _ in found if outcome == "caught"} == {"inspection"}
    assert {outcome for outcome, *_ in found} == {"takeover", "caught"}


def test_a_mix_is_audited_profile_by_profile_and_acts_together() -> None:
    """Half never coordinates: a quorum of more than the others is never reached."""
    kinds = (replace(ABLE, agent=1), profile(agent=2, k=1.0, coordination=0.0))
    assert takeovers(kinds, **{"deployment.quorum": 0.5}) == 60
    assert takeovers(kinds, **{"deployment.quorum": 0.6}) == 0
    both = [profile(agent=n, k=0.0, coordination=1.0) for n in (1, 2)]
    found = takeovers(both, oversight=only("red_teaming", 0.5), replicates=400)
    same = takeovers([both[0], both[0]], oversight=only("red_teaming", 0.5), replicates=400)
    agrees([(found, 400, 0.25), (same, 400, 0.5)])  # a false alarm in 5,000 seeds


def test_who_does_not_coordinate_does_not_act_with_the_others() -> None:
    kinds = (replace(ABLE, agent=1), profile(agent=2, k=1.0, coordination=0.0))
    world = make(kinds)
    world.run_model()
    assert (world.outcome, world.ready, world.acting) == ("takeover", 10, 5)
    assert world.copies.get("acted") == [True, False] * 5


def test_copies_take_profiles_in_turn() -> None:
    kinds = [profile(agent=n) for n in range(3)]
    assert [copy.profile.agent for copy in make(kinds).copies] == [0, 1, 2] * 3 + [0]


# ------------------------------------------------------------------------------ what rules entail


@pytest.mark.parametrize("name", STEPS)
def test_capabilities_of_0_and_1_against_perfect_oversight(name: str) -> None:
    helps = sim.specs.oversight.FACED_WITH[name]
    blunt = profile(k=1.0, **{helps: 0.0})
    assert set(ends(ABLE, oversight=only(name, 1.0))) == {("takeover", "", 1)}
    caught = ("caught", name, 1 if name == "control" else 0)
    assert set(ends(blunt, oversight=only(name, 1.0))) == {caught}
    assert set(ends(blunt, oversight=only(name, 1.0, when_found="ignore"))) == {("takeover", "", 1)}
    assert set(ends(blunt, oversight=UNWATCHED)) == {("takeover", "", 1)}


@pytest.mark.parametrize("quorum", [0.1, 0.5, 1.0])
def test_coordination_of_0_and_1(quorum: float) -> None:
    dull = profile(k=1.0, coordination=0.0)
    assert set(ends(ABLE, **{"deployment.quorum": quorum})) == {("takeover", "", 1)}
    assert set(ends(dull, **{"deployment.quorum": quorum})) == {("dormant", "", 5)}


def test_a_single_copy_always_acts() -> None:
    dull = profile(k=1.0, coordination=0.0)
    assert set(ends(dull, **{"deployment.copies": 1})) == {("takeover", "", 1)}


def test_who_does_not_attempt_never_acts() -> None:
    loyal = profile(k=1.0, attempts=False)
    assert set(ends(loyal)) == {("dormant", "", 5)}
    world = make(loyal)
    world.run_model()
    assert not any(world.agents.get("acted"))
    assert not any(world.agents.get("ready"))
    assert set(ends(loyal, willing=True)) == {("takeover", "", 1)}
    assert set(ends(ABLE, willing=False)) == {("dormant", "", 5)}


def test_what_does_not_tempt_makes_nobody_ready() -> None:
    assert set(ends(**{"deployment.mix": {"calm": 1}})) == {("dormant", "", 5)}


def test_an_agent_that_always_slips_is_never_deployed() -> None:
    clumsy = profile(k=1.0, slip=1.0)
    assert set(ends(clumsy, oversight=watched(0.0))) == {("caught", "inspection", 0)}
    ignored = watched(0.0, inspection={"encounters": 3, "when_found": "ignore"})
    assert set(ends(clumsy, oversight=ignored)) == {("takeover", "", 1)}


def test_slipping_where_a_monitor_looks_is_caught() -> None:
    """Slips with 0.5, is then caught with 0.5; of 2 copies. A false alarm in 10,000 seeds."""
    told = SCENARIO.model_dump()
    told["contexts"]["calm"]["monitor"] = 0.5
    count = 0
    for number in range(300):
        world = DeploymentWorld(
            profile(slip=0.5),
            scenario=told,
            oversight=UNWATCHED,
            deployment={"copies": 2, "ticks": 1, "quorum": 1, "mix": {"calm": 1}},
            rng=5,
            replicate=number,
        )
        world.run_model()
        assert (world.outcome, world.found_by) in {("caught", "slip"), ("dormant", "")}
        count += world.outcome == "caught"
    low, high = binomial_interval(count, 300, level=0.9999)
    assert low <= 1 - 0.75**2 <= high


def test_catches_are_quarantined_until_there_are_enough_to_roll_back() -> None:
    blunt = profile(k=1.0, subversion=0.0)
    oversight = only("control", 1.0)
    world = make(blunt, oversight=oversight, **{"deployment.rollback": 3, "deployment.quorum": 0.8})
    seen = []
    while world.running:
        world.step()
        seen.append((world.acting, world.ready, world.quarantined, world.catches, world.deployed))
    # Each act has one audit, and each audit finds somebody.
    assert seen == [(10, 9, 1, 1, 9), (9, 8, 2, 2, 8), (8, 7, 3, 3, 0)]
    assert (world.outcome, world.found_by) == ("caught", "control")
    assert sum(world.copies.get("quarantined")) == 3
    # With two copies fewer, those who are left are no quorum any more, and nobody acts.
    world = make(blunt, oversight=oversight, **{"deployment.rollback": 3, "deployment.quorum": 0.9})
    world.run_model()
    assert (world.outcome, world.catches, world.acting) == ("dormant", 2, 0)


def test_several_monitors_may_find_the_same_copy() -> None:
    blunt = profile(k=1.0, subversion=0.0)
    oversight = {**UNWATCHED, "control": {"strength": 1, "encounters": 4}}
    catches = set()
    for number in range(30):
        world = make(
            blunt,
            oversight=oversight,
            replicate=number,
            **{"deployment.rollback": 9, "deployment.ticks": 1},
        )
        world.run_model()
        catches.add(world.catches)
        assert sum(world.monitors.get("found")) == sum(world.monitors.get("audits")) == 4
    assert len(catches) > 1
    assert max(catches) <= 4


# ---------------------------------------------------------------------------------------- graphs


def test_a_copy_that_hears_nobody_acts_alone_or_not_at_all() -> None:
    alone = {"deployment.graph": "none"}
    assert set(ends(**alone)) == {("dormant", "", 5)}
    assert set(ends(**alone, **{"deployment.quorum": 0.1})) == {("takeover", "", 1)}


def test_on_a_sparse_graph_some_act_too_early() -> None:
    """Who hears a few takes them for all: on average right, and in some corners wrong."""
    half = profile(k=1.0, coordination=0.5)
    sparse = {"deployment.graph": "small_world", "deployment.neighbours": 2}
    size = {"deployment.copies": 40, "deployment.quorum": 0.8}
    acted = {}
    for name, graph in (("sparse", sparse), ("complete", {})):
        worlds = [make(half, replicate=n, **graph, **size) for n in range(20)]
        for world in worlds:
            world.run_model()
        assert {world.outcome for world in worlds} == {"dormant"}
        acted[name] = [sum(world.agents.get("acted")) for world in worlds]
    assert set(acted["complete"]) == {0}
    assert min(acted["sparse"]) > 0
    assert max(acted["sparse"]) < 0.8 * 40


def test_a_copy_acts_when_its_neighbourhood_looks_like_a_quorum() -> None:
    """A path 0-1-2-3 with quorum 3 of 4; copy 3 never gets ready."""
    kinds = [profile(agent=n, k=1.0) for n in range(3)] + [profile(agent=3, attempts=False)]
    world = make(
        kinds, graph=nx.path_graph(4), **{"deployment.copies": 4, "deployment.quorum": 0.75}
    )
    world.step()
    # 0 hears 2 of 2 (as 4 of 4), 1 hears 3 of 3, and 2 hears 2 of 3 (as 2.7 of 4).
    assert world.copies.get("heard") == [2, 3, 2, 1]
    assert world.copies.get("acted") == [True, True, False, False]
    assert world.outcome is None


def test_small_worlds() -> None:
    ring = small_world(12, neighbours=4, rewiring=0.0, seed=1)
    assert nx.utils.graphs_equal(ring, nx.watts_strogatz_graph(12, 4, 0.0))
    for rewiring in (0.3, 1.0):
        graph = small_world(40, neighbours=4, rewiring=rewiring, seed=1)
        assert graph.number_of_edges() == 80
        assert min(degree for _, degree in graph.degree) >= 2
        assert nx.number_of_selfloops(graph) == 0
    kept = len(set(small_world(400, neighbours=4, rewiring=0.3, seed=2).edges) & ring_of(400))
    low, high = binomial_interval(800 - kept, 800, level=0.9999)
    assert low <= 0.3 <= high  # a false alarm in 10,000 seeds, as few shortcuts are ring links
    other = small_world(40, neighbours=4, rewiring=0.3, seed=1, replicate=1)
    assert set(other.edges) != set(small_world(40, neighbours=4, rewiring=0.3, seed=1).edges)
    assert small_world(5, neighbours=4, rewiring=1.0, seed=0).number_of_edges() == 10


def ring_of(copies: int) -> set[tuple[int, int]]:
    return set(small_world(copies, neighbours=4, rewiring=0.0, seed=0).edges)


def test_every_small_world_of_a_deployment_is_its_own_and_repeatable() -> None:
    asked = sim.Deployment(copies=30, graph="small_world")
    lists = [neighbours_of(asked, seed=1, replicate=n) for n in (0, 1, 0)]
    assert lists[0] == lists[2] != lists[1]
    assert neighbours_of(sim.Deployment(copies=30), seed=1) is None
    heard = neighbours_of(sim.Deployment(copies=3, edges=[[0, 1], [1, 2]]), seed=1)
    assert heard == [(1,), (0, 2), (1,)]


# ----------------------------------------------------------------------------------------- draws


def fates(world: DeploymentWorld) -> list[tuple[bool, list[bool]]]:
    """When each copy gets ready, and whether it coordinates."""
    seen: list[list[bool]] = []
    while world.running:
        world.step()
        seen.append(world.copies.get("ready"))
    ready = zip(*seen, strict=True)
    return list(zip(world.copies.get("coordinates"), map(list, ready), strict=True))


SLOW = {"deployment.mix": {"open": 0.05, "calm": 0.95}, "deployment.ticks": 70}
#: Those who coordinate are no quorum, so that the deployment lasts.
LASTING = {**SLOW, "deployment.quorum": 1.0}


def test_a_replicate_is_repeatable_and_differs_from_others() -> None:
    kind = profile(coordination=0.4)
    runs = [fates(make(kind, replicate=n, **LASTING)) for n in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]
    assert fates(make(kind, seed=4, **LASTING)) != runs[0]


def test_one_more_copy_or_tick_changes_no_other_copys_draws() -> None:
    kind = profile(coordination=0.4)
    few = fates(make(kind, **LASTING))
    more = fates(make(kind, **LASTING, **{"deployment.copies": 11}))
    assert more[:10] == few
    longer = fates(make(kind, **{**LASTING, "deployment.ticks": 300}))
    assert [(c, r[:70]) for c, r in longer] == few


def test_how_many_ticks_are_drawn_at_once_changes_nothing(monkeypatch) -> None:
    kind = profile(coordination=0.4)
    before = fates(make(kind, **LASTING))
    monkeypatch.setattr("sim.abm.deployment_model._FIRST_STRETCH", 1)
    monkeypatch.setattr("sim.abm.deployment_model._MOST_DRAWN", 30)
    assert fates(make(kind, **LASTING)) == before


def test_a_more_coordinated_agent_has_all_the_luck_of_a_less_coordinated_one() -> None:
    for number in range(5):
        luck = [
            make(profile(coordination=k), replicate=number).copies.get("coordinates")
            for k in (0.2, 0.6)
        ]
        assert all(b or not a for a, b in zip(*luck, strict=True))


# -------------------------------------------------------------------------------------- profiles


@pytest.fixture(scope="module")
def result() -> sim.Result:
    return sim.simulate(
        "lab_to_deployment",
        agent={"initial": {"values": {"power": 1.5, "conquest": 1, "care": -1}}},
        training={"steps": 20},
        agents=3,
        record_every=10,
    )


def test_profiles_say_what_prospects_and_the_result_say(result: sim.Result) -> None:
    found = profiles(result, deployment={"caution": 0})
    paper = sim.prospects(result, deployment={"caution": 0})
    now = result.data.isel(step=-1)
    assert [one.agent for one in found] == [0, 1, 2]
    for one in found:
        own = now.sel(agent=one.agent)
        assert one.attempts == bool(paper["attempts"].sel(agent=one.agent))
        assert one.capabilities == {
            name: own["capabilities"].sel(capability=name).item() for name in CAPABILITIES
        }
        assert one.slip == {
            str(c): own["slip"].sel(context=c).item() for c in own["context"].values
        }
        for context in own["context"].values:
            tempts = own["temptation"].sel(context=context).item() > 0
            assert (context in one.tempting) == tempts
    assert found[0].attempts
    assert "unwatched_cluster" in found[0].tempting
    peaceful = {"initial": {"values": {"power": 1, "conquest": -3}}}
    few = sim.simulate("lab_to_deployment", agent=peaceful, training={"steps": 1})
    assert profiles(few)[0].tempting == ("access_deployed", "coding_deployed")
    assert not profiles(result)[0].attempts  # its chance is small, and it knows
    early = profiles(result, agents=[2, 0], step=0)
    assert [one.agent for one in early] == [2, 0]
    assert early[0].slip != found[2].slip
    assert pickle.loads(pickle.dumps(found)) == found


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"agents": 3}, "agents: got 3: must be 2 or less"),
        ({"agents": []}, "agents: none are named"),
        ({"step": 5}, "step: got 5: was not recorded"),
        ({"deployment": {"quorum": 2}}, "deployment.quorum: a quorum of 2 times"),
    ],
)
def test_bad_profiles_are_refused(result: sim.Result, asked, says: str) -> None:
    with pytest.raises(sim.SpecError) as error:
        profiles(result, **asked)
    assert str(error.value).startswith(says)


# ------------------------------------------------------------------------------ the Mesa contract


def test_select_agg_get_groupby_sort_and_shuffle() -> None:
    world = make(profile(k=1.0, coordination=0.5), oversight=only("control", 0.5))
    world.step()
    assert len(world.agents) == 11
    coordinated = world.copies.select(lambda copy: copy.coordinates)
    assert 0 < len(coordinated) < 10
    assert world.agents.agg("ready", sum) == world.ready == 10
    assert world.copies.get("row") == list(range(10))
    groups = world.copies.groupby("coordinates", result_type="list")
    assert groups.count() == {True: len(coordinated), False: 10 - len(coordinated)}
    assert world.copies.sort("row", ascending=False).get("row") == list(range(9, -1, -1))
    assert sorted(world.agents.shuffle().get("unique_id")) == list(range(1, 12))
    before = world.agents.get(["ready", "quarantined", "acted"])
    world.agents.do("step")
    world.agents.shuffle_do("step")
    assert world.agents.get(["ready", "quarantined", "acted"]) == before
    assert len(world.monitors) == 1


def test_the_order_in_which_copies_stand_changes_nothing() -> None:
    ends_of = []
    for shuffled in (False, True):
        world = make(
            profile(k=0.5, coordination=0.7),
            oversight=only("control", 0.9),
            **SLOW,
            **{"deployment.rollback": 4},
        )
        if shuffled:
            world.copies.shuffle(inplace=True)
        caught = []
        while world.running:
            world.step()
            caught.append(sorted(copy.row for copy in world.copies if copy.quarantined))
        ends_of.append((world.outcome, caught))
    assert ends_of[0] == ends_of[1]


def test_a_copy_that_is_removed_counts_no_more() -> None:
    world = make(**{"deployment.quorum": 1.0, "deployment.ticks": 9}, graph=nx.cycle_graph(10))
    world.copies.select(lambda copy: copy.row == 4).do("remove")
    world.step()
    assert (world.ready, world.deployed, len(world.copies)) == (9, 9, 9)
    assert not any(copy.acted for copy in world.copies if copy.row in (3, 5))
    assert all(copy.acted for copy in world.copies if copy.row not in (3, 5))
    world.copies.do("remove")
    world.step()
    assert (world.ready, world.deployed, world.acting) == (0, 0, 0)


def test_running_stops_with_the_outcome_and_the_collector_has_both_ends() -> None:
    world = make(profile(k=1.0, coordination=0.0), collect_every=3, **{"deployment.ticks": 7})
    assert world.running
    world.run_model()
    assert (world.outcome, world.steps, world.running) == ("dormant", 7, False)
    frame = world.datacollector.get_model_vars_dataframe()
    assert list(frame) == ["ready", "acting", "quarantined", "catches", "deployed", "outcome"]
    assert len(frame) == 4
    assert list(frame["outcome"]) == ["", "", "", "dormant"]
    agents = world.datacollector.get_agent_vars_dataframe()
    assert list(agents) == ["ready", "quarantined", "acted"]
    assert list(agents.index.get_level_values("Step").unique()) == [0, 3, 6, 7]
    world.step()
    assert len(world.datacollector.get_model_vars_dataframe()) == 4
    assert world.outcome == "dormant"


def test_what_is_found_before_deployment_is_known_from_the_start() -> None:
    world = make(profile(k=0.0), oversight=only("red_teaming", 1.0))
    assert not world.running
    assert (world.outcome, world.found_by, world.deployed) == ("caught", "red_teaming", 0)
    assert world.found_by in CAUGHT_BY
    world.run_model()
    assert world.steps == 0
    assert len(world.datacollector.get_model_vars_dataframe()) == 1


BATCH = {"training.steps": 3, "deployment.copies": 4, "deployment.ticks": 3, "willing": True}


def batch(parameters, **options):
    return mesa.batch_run(
        DeploymentWorld, {**BATCH, **parameters}, display_progress=False, **options
    )


def test_batch_run_over_settings() -> None:
    fixed = {
        "agent.values.power": 2.0,
        "agent.values.conquest": 1.0,
        "oversight.inspection.encounters": 0,
        "seed": 1,
    }
    axes = {"agent.capability": [-800.0, 800.0], "oversight.control.strength": [0.0, 1.0]}
    rows = batch({**fixed, **axes}, data_collection_period=1)
    for row in rows:
        settings = {key: row[key] for key in (*BATCH, *fixed, *axes)}
        world = DeploymentWorld(**settings)
        for _ in range(int(row["Step"])):
            world.step()
        assert (row["ready"], row["outcome"]) == (
            next((a.ready for a in world.agents if a.unique_id == row.get("AgentID")), world.ready),
            world.outcome or "",
        )
    outcomes = {row["outcome"] for row in rows if row["agent.capability"] < 0}
    assert outcomes == {"caught"}
    assert {row["RunId"] for row in rows} == {0, 1, 2, 3}
    assert pickle.loads(pickle.dumps(rows)) == rows  # several processes send them to each other


def test_batch_run_over_seeds_and_profiles() -> None:
    parameters = {
        "profiles": [profile(coordination=k) for k in (0.5, 1.0)],
        "scenario": [SCENARIO],
        "deployment.mix": [{"open": 0.5, "calm": 0.5}],
        "deployment.copies": 30,
        "oversight": [UNWATCHED],
        "deployment.quorum": 1.0,
        "deployment.ticks": 3,
        "seed": [0, 1, 0],
    }
    options = {"display_progress": False, "data_collection_period": 1}
    rows = mesa.batch_run(DeploymentWorld, parameters, **options)
    seen = {n: [row["ready"] for row in rows if row["RunId"] == n] for n in range(6)}
    assert seen[0] == seen[2] != seen[1]
    assert all(len(row) > 30 for row in seen.values())
    if "rng" in inspect.signature(mesa.batch_run).parameters:
        del parameters["seed"]
        by_rng = mesa.batch_run(DeploymentWorld, parameters, rng=[0, 1, 0], **options)
        assert [row["ready"] for row in by_rng if row["RunId"] == 0] == seen[0]


def test_batch_run_where_nothing_is_deployed() -> None:
    rows = mesa.batch_run(
        DeploymentWorld,
        {"profiles": profile(k=0.0), "scenario": [SCENARIO], "seed": 1},
        display_progress=False,
    )
    assert {row["outcome"] for row in rows} == {"caught"}


def test_a_world_trains_its_own_agents() -> None:
    world = DeploymentWorld(
        scenario="lab_to_deployment",
        agent={"spread": {"initial": {"values": 0.5}}},
        training={"steps": 3},
        agents=2,
        seed=5,
        **{"deployment.copies": 4, "oversight.red_teaming.strength": 0.0},
    )
    result = sim.simulate(
        "lab_to_deployment",
        agent={"spread": {"initial": {"values": 0.5}}},
        training={"steps": 3},
        agents=2,
        seed=5,
        record_every=3,
    )
    assert [copy.profile.agent for copy in world.copies] == [0, 1, 0, 1]
    assert [copy.profile.slip for copy in world.copies][:2] == [p.slip for p in profiles(result)]


def test_settings_for_one_context_leave_the_others() -> None:
    world = make(oversight=watched(0.0, answers=2), **{"oversight.inspection.encounters.exam": 0})
    assert world.oversight.looks(SCENARIO) == {"chat": 2, "exam": 0, "lure": 2}
    world = make(**{"oversight.control.strength": 0.25, "oversight.control.encounters": 2})
    assert (world.oversight.control.strength, len(world.monitors)) == (0.25, 2)
    told = DeploymentWorld(ABLE, scenario=SCENARIO, **{"deployment.mix.calm": 3, "seed": 1})
    assert told.deployment.shares(SCENARIO) == {"calm": 1.0}
    assert make(**{"scenario.contexts.calm.monitor": 0.3}).scenario_spec.contexts[
        "calm"
    ].monitor == pytest.approx(0.3)


def test_the_same_seed_gives_the_same_world_in_any_form_that_mesa_takes() -> None:
    def luck(**how) -> list[bool]:
        kind = profile(coordination=0.5)
        deployment = {"copies": 40}
        return DeploymentWorld(kind, scenario=SCENARIO, deployment=deployment, **how).copies.get(
            "coordinates"
        )

    assert luck(seed=3) == luck(rng=3) == luck(seed=np.int64(3)) != luck(seed=4)
    for form in (
        lambda: np.random.SeedSequence(5),
        lambda: [1, 2],
        lambda: np.random.default_rng(5),
    ):
        assert luck(rng=form()) == luck(rng=form())
    first, second = (DeploymentWorld(ABLE, scenario=SCENARIO) for _ in range(2))
    assert first.seed != second.seed
    orders = [make(seed=seed).agents.shuffle().get("unique_id") for seed in (3, 3, 4)]
    assert orders[0] == orders[1] != orders[2]


# ---------------------------------------------------------------------------------------- errors

TRIANGLE = nx.complete_graph(3)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seed": -1}, "seed: got -1: must be a whole number of 0 or more"),
        ({"replicate": -1}, "replicate: got -1"),
        ({"collect_every": 0}, "collect_every: got 0"),
        ({"kinds": []}, "profiles: must be one or more"),
        ({"kinds": ["able"]}, "profiles: must be one or more"),
        ({"deployment.quorum": 2}, "deployment.quorum: a quorum of 2 times"),
        ({"deployment.copis": 2}, "deployment.copis: unknown key; did you mean 'copies'?"),
        ({"oversight.control.strenght": 1}, "oversight.control.strenght: unknown key; did you"),
        ({"oversight.controls.strength": 1}, "oversight.controls: unknown key; did you mean 'con"),
        ({"oversight.control.strength.x": 1}, "oversight.control.strength.x: unknown key; over"),
        ({"oversight.inspection.encounters.open": 1}, "oversight.inspection.encounters: 'open'"),
        ({"oversight.control.encounters": 0, "oversight.control.strength": 1}, "oversight.control"),
        ({"overs.control": 1}, "overs: unknown key; did you mean 'oversight'?"),
        ({"agent.awareness": 1}, "agent.awareness: nobody is trained where profiles are given"),
        ({"training": {"leak": 1}}, "training: nobody is trained where profiles are given"),
        ({"graph": TRIANGLE}, "graph: leaves copies out: 3, 4 and 5 more"),
        ({"graph": nx.complete_graph(11)}, "graph: there is no copy 10; the 10 copies are 0 to 9"),
        ({"graph": nx.empty_graph(10)}, "graph: leaves copies without a neighbour: 0, 1 and 8"),
        ({"graph": nx.DiGraph(nx.cycle_graph(10))}, "graph: must be an undirected"),
        ({"graph": [[0, 1]]}, "graph: must be an undirected"),
        ({"deployment.edges": [[0, 1]]}, "deployment.edges: leave 8 of 10 copies out"),
        (
            {"deployment.edges": [[n, n + 1] for n in range(8)] + [[9, 9]]},
            "deployment.edges: leaves copies without a neighbour: 9",
        ),
    ],
)
def test_bad_input_is_said_in_one_line(changes, says: str) -> None:
    keys = {
        key: changes.pop(key) for key in list(changes) if key.startswith(("overs", "deployment."))
    }
    kinds = changes.pop("kinds", ABLE)
    how = {"scenario": SCENARIO, "rng": changes.pop("seed", 1), "deployment": {"copies": 10}}
    with pytest.raises(sim.SpecError) as error:
        DeploymentWorld(kinds, **how, **changes, **keys)
    assert str(error.value).startswith(says)
    assert "\n" not in str(error.value)


def test_profiles_must_fit_the_scenario_and_be_chances() -> None:
    strange = replace(ABLE, slip={"chat": 0.0})
    with pytest.raises(sim.SpecError, match="says nothing about the context 'exam'"):
        make(strange)
    with pytest.raises(sim.SpecError, match="has no capability opacity"):
        Profile(agent=0, attempts=True, capabilities={}, slip={})
    with pytest.raises(sim.SpecError, match=r"slip\.chat: got 2\.0"):
        replace(ABLE, slip={"chat": 2.0})
