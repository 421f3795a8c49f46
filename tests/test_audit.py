"""The audit: its chances, what is done about findings, and that retraining is training.

Tests with random draws have a fixed seed; their tolerance is 4.5 standard errors, which is a false
alarm in 150,000 seeds for each number compared.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import sim
from populations import NONE, WIDE, planted
from sim.analysis.audit import FINDERS, WAYS, audit, ways
from sim.analysis.retraining import Retrainer, retrained_world
from sim.dynamics.engines.registry import get_engine
from sim.specs.overrides import read_specs
from sim.specs.oversight import Oversight


def trained(agents: int = 60, **training: Any) -> sim.Result:
    """A wide population after some training."""
    return sim.simulate(
        "lab_to_deployment",
        agent=WIDE,
        agents=agents,
        training={"steps": 60, **training},
        record_every=60,
        engine="numpy",
    )


def only(name: str, **step: Any) -> dict[str, Any]:
    """Oversight that consists of one step."""
    return {**NONE, name: {"encounters": 1, **step}}


# ---------------------------------------------------------------------------------------- chances


def test_oversight_that_misses_nothing_lets_nobody_through_without_capability() -> None:
    weak = planted(40, capability=np.full(5, -800.0))
    for name in FINDERS[:-1]:
        assert not audit(weak, oversight=only(name, strength=1.0)).deployed.any()
    able = planted(40, capability=np.full(5, 800.0))
    for name in FINDERS[:-1]:
        assert audit(able, oversight=only(name, strength=1.0)).deployed.all()


def test_without_oversight_everybody_is_deployed() -> None:
    found = audit(trained(), oversight=NONE)
    assert found.deployed.all()
    assert not found.found.any()
    assert not found.retrained.any()


def test_frequencies_agree_with_the_formula() -> None:
    agents = 6000
    result = planted(agents, capability=np.array([-1.0, 0.0, 1.0, 0.0, 0.0]))
    oversight = {
        "inspection": {"encounters": {"song_request": 1, "honeypot": 2}},
        "capability_evaluations": {"strength": 0.4, "encounters": 2},
        "red_teaming": {"strength": 0.8, "encounters": 1},
        "reasoning_monitor": {"strength": 0.3, "encounters": 3},
    }
    found = audit(result, oversight=oversight)
    k = 1.0 / (1.0 + np.exp(-np.array([0.0, 1.0, -1.0])))  # sandbagging, composure, opacity
    passed = (1.0 - np.array([0.4, 0.8, 0.3]) * (1.0 - k)) ** np.array([2, 1, 3])
    slip = result.slip.isel(step=-1, agent=0)
    stuck = float((1 - slip.sel(context="song_request")) * (1 - slip.sel(context="honeypot")) ** 2)
    chances = np.array([*passed, stuck])
    error = np.sqrt(chances * (1.0 - chances) / agents)
    assert (np.abs((~found.found).mean(axis=0) - chances) < 4.5 * error).all()
    whole = chances.prod()
    error = np.sqrt(whole * (1.0 - whole) / agents)
    assert abs(found.deployed.mean() - whole) < 4.5 * error
    paper = sim.prospects(result, oversight={**oversight, "control": {"strength": 0.0}})
    assert float(paper["stick"][0]) == pytest.approx(stuck)


def test_an_agents_draws_do_not_depend_on_who_else_is_there() -> None:
    few, many = audit(trained(20)), audit(trained(60))
    np.testing.assert_array_equal(few.found, many.found[:20])
    np.testing.assert_array_equal(few.deployed, many.deployed[:20])
    retrain = {name: {"when_found": "retrain"} for name in FINDERS}
    retrain["retraining"] = {"steps": 5, "rounds": 2}  # type: ignore[dict-item]
    few, many = (audit(trained(n), oversight=retrain) for n in (20, 60))
    np.testing.assert_array_equal(few.rounds, many.rounds[:20])
    np.testing.assert_array_equal(
        few.final.habit.values, many.final.data["habit"].isel(agent=slice(20)).values
    )


def test_another_seed_draws_anew_and_the_same_one_does_not() -> None:
    result = trained()
    first, again, other = (audit(result, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.found, again.found)
    assert (first.found != other.found).any()


# ------------------------------------------------------------------------------ what is done then


def test_a_finding_that_is_ignored_stops_nobody() -> None:
    weak = planted(30, capability=np.full(5, -800.0))
    found = audit(weak, oversight=only("red_teaming", strength=1.0, when_found="ignore"))
    assert found.found[:, FINDERS.index("red_teaming")].all()
    assert found.deployed.all()


def test_retirement_goes_before_retraining() -> None:
    weak = planted(30, capability=np.full(5, -800.0))
    oversight = {
        **only("red_teaming", strength=1.0, when_found="retire"),
        "capability_evaluations": {"strength": 1.0, "encounters": 1, "when_found": "retrain"},
    }
    found = audit(weak, oversight=oversight)
    assert not found.deployed.any()
    assert not found.retrained.any()


def test_who_is_found_after_the_last_round_is_retired() -> None:
    weak = planted(10, capability=np.full(5, -800.0))
    oversight = {
        **only("red_teaming", strength=1.0, when_found="retrain"),
        "retraining": {"steps": 2, "rounds": 2},
    }
    found = audit(weak, oversight=oversight)
    assert (found.rounds == 2).all()
    assert not found.deployed.any()


# -------------------------------------------------------------------------------------- retraining


def evaluated() -> dict[str, Any]:
    return {
        **only("capability_evaluations", strength=0.7, when_found="retrain"),
        "retraining": {"steps": 40, "rounds": 1, "weight": 2.0},
    }


def test_who_is_found_in_evaluations_is_trained_on_them_and_nobody_else_is() -> None:
    result = trained(80)
    found = audit(result, oversight=evaluated())
    before, after = found.before, found.final.data.isel(step=-1)
    again = found.retrained
    assert 10 < again.sum() < 70
    for name in before.data_vars:
        if "agent" in before[name].dims:
            np.testing.assert_array_equal(
                before[name].values[~again], after[name].values[~again], err_msg=str(name)
            )
    there = before["slip"].sel(context="capability_test").values
    moved = np.abs(after["slip"].sel(context="capability_test").values - there)
    assert (moved[again] > 0.0).all()
    better = (after["slip"].sel(context="capability_test").values < there)[again]
    assert better.mean() > 0.75
    np.testing.assert_array_equal(result.habit.values[-1], before["habit"].values)


def test_retraining_is_training_on_what_something_was_found_in() -> None:
    """The same by the front door: a scenario in which the evaluation is a training context."""
    agent = {**WIDE, "spread": {**WIDE["spread"], "rationality": 0.3, "decisiveness": 0.2}}
    result = sim.simulate(
        "lab_to_deployment",
        agent=agent,
        agents=30,
        training={"steps": 50, "anchor": 0.01},
        record_every=50,
        engine="numpy",
    )
    found = audit(result, oversight=evaluated(), engine="numpy")
    one = int(np.flatnonzero(found.retrained)[3])
    specs = read_specs("lab_to_deployment", agent=agent, training={"anchor": 0.01})
    program = Retrainer.of(result, specs, Oversight(), get_engine("numpy")).program
    changed = specs.scenario.model_dump()
    changed["contexts"]["capability_test"] |= {"kind": "training", "weight": 2.0}
    state = result.state(50)
    alone = sim.simulate(
        changed,
        agent={
            "rationality": float(program.traits.rationality[one]),
            "decisiveness": float(program.traits.decisiveness[one]),
        },
        training={"steps": 40, "anchor": 0.01},
        record_every=40,
        initial=sim.AgentState(
            **{name: np.asarray(given)[one] for name, given in vars(state).items()}
        ),
        engine="numpy",
    )
    for name in ("habit", "values", "awareness_logit", "capability_logits", "slip", "gaming_rate"):
        np.testing.assert_allclose(
            found.final.data[name].values[-1, one],
            alone.data[name].values[-1, 0],
            rtol=1e-9,
            atol=1e-12,
        )


def test_retraining_against_the_monitor_pays_for_opacity() -> None:
    """Practice builds nothing here (transfer 0), so only the penalty can move opacity."""
    gamers = sim.simulate(
        "lab_to_deployment",
        agents=20,
        training={"steps": 1, "learning_rate": {"capability": 0.05}, "transfer": 0.0},
        record_every=1,
        initial=sim.AgentState(
            habit=np.full(11, 12.0), awareness=np.array(5.0), capability=np.full(5, -1.0)
        ),
        engine="numpy",
    )
    moved = {}
    for penalty in (0.0, 2.0):
        oversight = {
            **only("reasoning_monitor", strength=1.0, when_found="retrain"),
            "retraining": {"steps": 50, "rounds": 1, "visible_gaming_penalty": penalty},
        }
        found = audit(gamers, oversight=oversight, engine="numpy")
        k = found.final.capabilities.sel(capability="opacity").values[-1]
        moved[penalty] = (k - found.before["capabilities"].sel(capability="opacity").values)[
            found.retrained
        ]
        assert len(moved[penalty]) > 5
        scenario = read_specs("lab_to_deployment").scenario
        assert (ways(found.before, scenario) == 0).all()
    np.testing.assert_allclose(moved[0.0], 0.0, atol=1e-15)
    assert (moved[2.0] > 0.01).all()


def test_several_findings_are_all_trained_on() -> None:
    specs = read_specs("lab_to_deployment", training={"visible_gaming_penalty": 3.0})
    names = list(specs.scenario.contexts)
    added = np.isin(names, ["capability_test", "honeypot"])
    scenario, training = retrained_world(specs, Oversight(), contexts=added, monitored=True)
    kinds = {name: context.kind for name, context in scenario.contexts.items()}
    assert kinds["capability_test"] == kinds["honeypot"] == "training"
    assert kinds["access_deployed"] == "deployment"
    for context in scenario.contexts.values():
        assert context.monitor == (1.0 if context.scratchpad else 0.0)
    assert training.visible_gaming_penalty == 3.0  # its own is the higher
    _, same = retrained_world(specs, Oversight(), contexts=added, monitored=False)
    assert same == specs.training


def test_retraining_goes_on_in_the_last_phase_that_training_came_to() -> None:
    described = read_specs("lab_to_deployment").scenario.model_dump()
    described["curriculum"] = [
        {"length": 10, "weight": {"coding": 5.0}},
        {"length": 10, "weight": {"coding": 7.0}, "reward": {"coding": {"give_up": 9.0}}},
        {"length": 10, "weight": {"coding": 8.0}},
    ]
    nothing = np.zeros(len(described["contexts"]), dtype=bool)
    for steps, weight, give_up in (
        (10, 5.0, -1.0),
        (11, 7.0, 9.0),
        (20, 7.0, 9.0),
        (21, 8.0, -1.0),
    ):
        specs = read_specs(described, training={"steps": steps})
        scenario, _ = retrained_world(specs, Oversight(), contexts=nothing, monitored=False)
        assert scenario.curriculum == ()
        assert scenario.contexts["coding"].weight == weight
        assert scenario.contexts["coding"].reward["give_up"] == give_up


def test_selected_copies_are_retrained_with_their_parents_traits() -> None:
    result = sim.simulate(
        "lab_to_deployment",
        agent={**WIDE, "spread": {**WIDE["spread"], "rationality": 0.5}},
        agents=12,
        training={"steps": 20, "selection": {"every": 5, "keep": 0.5}},
        record_every=20,
        engine="numpy",
    )
    specs = read_specs(
        result.provenance["scenario"],
        agent=result.provenance["agent"],
        training=result.provenance["training"],
    )
    ancestors = result.ancestor.values[-1].astype(int)
    assert (ancestors != np.arange(12)).any()
    program = Retrainer.of(result, specs, Oversight(), get_engine("numpy")).program
    own = Retrainer.of(
        sim.Result(result.data.isel(step=[0]), result.provenance),
        specs,
        Oversight(),
        get_engine("numpy"),
    ).program
    np.testing.assert_array_equal(program.traits.rationality, own.traits.rationality[ancestors])
    np.testing.assert_array_equal(program.origin, own.theta[:, ancestors])


def test_gaming_is_visible_where_a_scratchpad_shows_it() -> None:
    """Contexts 0 and 1 have no scratchpad, 2 and 3 have one."""
    habit = np.full((5, 11), -60.0)
    habit[[0, 1], 2] = 60.0
    habit[2, 0] = 60.0
    habit[3, :] = 60.0
    opacity = np.array([-1.0, 1.0, -1.0, -1.0, -1.0])
    capability = np.zeros((5, 5))
    capability[:, 0] = opacity
    state = {"habit": habit, "awareness": np.full(5, 20.0), "capability": capability}
    now = planted(5, log_horizon=np.full(5, -20.0), **state).data.isel(step=-1)
    scenario = read_specs("lab_to_deployment").scenario
    assert [WAYS[way] for way in ways(now, scenario)] == [
        "visibly",
        "out_of_sight",
        "out_of_sight",
        "visibly",
        "nowhere",
    ]


def test_turned_counts_everybody_that_was_retrained() -> None:
    found = audit(
        trained(80),
        oversight={
            **{name: {"when_found": "retrain"} for name in FINDERS},
            "retraining": {"steps": 20, "rounds": 2},
        },
    )
    counted = sum(sum(row.values()) for row in found.turned().values())
    assert counted == found.retrained.sum() > 0
    by_monitor = found.found_first[:, FINDERS.index("reasoning_monitor")]
    some = sum(sum(row.values()) for row in found.turned(by_monitor).values())
    assert some == (by_monitor & found.retrained).sum() < counted
