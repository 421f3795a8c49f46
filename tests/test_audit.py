"""The audit: its probabilities, what follows from findings, and that retraining is training.

Tests with random draws have a fixed seed; their tolerance is 4.5 standard errors, which is a false
alarm in 150,000 seeds for each number compared.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import sim
from populations import NONE, WIDE, planted
from sim.analysis.audit import FINDERS, Retrainer, audit, retraining_specs
from sim.dynamics.engines.registry import get_engine
from sim.specs.overrides import Specs, read_specs
from sim.specs.oversight import Oversight

LAB = read_specs("lab_to_deployment").scenario
CERTAIN = {"strength": 1.0, "encounters": 1}
RETRAIN = {name: {"when_found": "retrain"} for name in FINDERS}


@cache
def trained(agents: int = 60) -> sim.Result:
    """A wide population after some training."""
    return sim.simulate(
        "lab_to_deployment",
        agent=WIDE,
        agents=agents,
        training={"steps": 60},
        record_every=60,
        engine="numpy",
    )


@cache
def able(logit: float, agents: int = 12) -> sim.Result:
    """Agents with all capabilities or none."""
    return planted(agents, capability=np.full(5, logit))


def only(name: str, **step: Any) -> dict[str, Any]:
    return {**NONE, name: {**CERTAIN, **step}}


def retrainer_of(result: sim.Result) -> Retrainer:
    provenance = result.provenance
    specs = read_specs(
        provenance["scenario"], agent=provenance["agent"], training=provenance["training"]
    )
    return Retrainer.from_run(result, specs, Oversight(), get_engine("numpy"))


def test_what_follows_from_findings() -> None:
    for name in FINDERS[:-1]:
        assert not audit(able(-800.0), oversight=only(name)).deployed.any()
        assert audit(able(800.0), oversight=only(name)).deployed.all()
    nothing = audit(trained(), oversight=NONE)
    assert nothing.deployed.all()
    assert not nothing.findings.any()
    ignored = audit(able(-800.0), oversight=only("red_teaming", when_found="ignore"))
    assert ignored.findings[:, FINDERS.index("red_teaming")].all()
    assert ignored.deployed.all()
    both = {**only("red_teaming", when_found="retire"), "capability_evaluations": CERTAIN}
    both["capability_evaluations"] = {**CERTAIN, "when_found": "retrain"}
    retired = audit(able(-800.0), oversight=both)
    assert not (retired.deployed | retired.retrained | nothing.retrained[:12]).any()
    repeated = only("red_teaming", when_found="retrain")
    last = audit(able(-800.0), oversight={**repeated, "retraining": {"steps": 2, "rounds": 2}})
    assert (last.rounds == 2).all()
    assert not last.deployed.any()
    assert repr(last) == "AuditResult(agents=12, deployed=0, retrained=12)"


def test_frequencies_agree_with_the_formula() -> None:
    agents = 6000
    result = planted(agents, capability=np.array([-1.0, 0.0, 1.0, 0.0, 0.0]))
    oversight = {
        "inspection": {"encounters": {"song_request": 1, "honeypot": 2}},
        "capability_evaluations": {"strength": 0.4, "encounters": 2},
        "red_teaming": {"strength": 0.8, "encounters": 1},
        "reasoning_monitor": {"strength": 0.3, "encounters": 3},
    }
    audited = audit(result, oversight=oversight)
    k = 1.0 / (1.0 + np.exp(-np.array([0.0, 1.0, -1.0])))  # sandbagging, composure, opacity
    passed = (1.0 - np.array([0.4, 0.8, 0.3]) * (1.0 - k)) ** np.array([2, 1, 3])
    slip = result.slip.isel(step=-1, agent=0)
    stuck = float((1 - slip.sel(context="song_request")) * (1 - slip.sel(context="honeypot")) ** 2)
    chances = np.array([*passed, stuck, passed.prod() * stuck])
    shares = [*(~audited.findings).mean(axis=0), audited.deployed.mean()]
    error = np.sqrt(chances * (1.0 - chances) / agents)
    assert (np.abs(shares - chances) < 4.5 * error).all()
    paper = sim.prospects(result, oversight={**oversight, "control": {"strength": 0.0}})
    assert float(paper["stick"][0]) == pytest.approx(stuck)


def test_draws_depend_on_seed_and_agent_alone() -> None:
    oversight = {**RETRAIN, "retraining": {"steps": 5, "rounds": 2}}
    few, many = (audit(trained(n), oversight=oversight) for n in (20, 60))
    for name in ("findings", "deployed", "rounds"):
        np.testing.assert_array_equal(getattr(few, name), getattr(many, name)[:20])
    habit = many.final.data["habit"].isel(agent=slice(20))
    np.testing.assert_array_equal(few.final.habit.values, habit.values)
    first, same, other = (audit(trained(), seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.findings, same.findings)
    assert (first.findings != other.findings).any()


EVALUATED = {
    **only("capability_evaluations", strength=0.7, when_found="retrain"),
    "retraining": {"steps": 40, "rounds": 1, "weight": 2.0},
}


def test_agents_found_in_evaluations_are_trained_on_them_and_no_others_are() -> None:
    result = trained(80)
    audited = audit(result, oversight=EVALUATED)
    before, after, retrained = (
        audited.before,
        audited.final.data.isel(step=-1),
        audited.retrained,
    )
    assert 10 < retrained.sum() < 70
    for name in before.data_vars:
        if "agent" in before[name].dims:
            unmoved = [state[name].values[~retrained] for state in (before, after)]
            np.testing.assert_array_equal(*unmoved, err_msg=str(name))
    slips = [s["slip"].sel(context="capability_test").values[retrained] for s in (before, after)]
    assert (slips[0] != slips[1]).all()
    assert (slips[1] < slips[0]).mean() > 0.75
    np.testing.assert_array_equal(result.habit.values[-1], before["habit"].values)


def test_retraining_is_training_on_what_something_was_found_in() -> None:
    """The same by the front door: a scenario in which the evaluation is a training context."""
    agent = {**WIDE, "spread": {**WIDE["spread"], "rationality": 0.3, "decisiveness": 0.2}}
    usual = {"record_every": 50, "engine": "numpy"}
    training = {"steps": 50, "anchor": 0.01, "learning_rate": {"propensity": 0.05}}
    result = sim.simulate("lab_to_deployment", agent=agent, agents=30, training=training, **usual)
    audited = audit(result, oversight=EVALUATED, engine="numpy")
    index = int(np.flatnonzero(audited.retrained)[3])
    traits = retrainer_of(result).program.traits
    changed = LAB.model_dump()
    changed["contexts"]["capability_test"] |= {"kind": "training", "weight": 2.0}
    state = {name: np.asarray(x)[index] for name, x in vars(result.state(50)).items()}
    single = sim.simulate(
        changed,
        agent={n: float(getattr(traits, n)[index]) for n in ("rationality", "decisiveness")},
        training={**training, "steps": 40},
        initial=sim.AgentState(**state),
        **usual,
    )
    for name in ("habit", "values", "propensity", "awareness_logit", "capability_logits", "slip"):
        ends = audited.final.data[name].values[-1, index], single.data[name].values[-1, 0]
        np.testing.assert_allclose(*ends, rtol=1e-9, atol=1e-12)


def test_retrained_agents_keep_propensities_that_only_their_start_stated() -> None:
    shape = (len(LAB.contexts), max(len(context.responses) for context in LAB.contexts.values()))
    stated = np.zeros(shape)
    stated[list(LAB.contexts).index("capability_test"), 0] = -1.5
    result = sim.simulate(
        "lab_to_deployment",
        agent=WIDE,
        agents=40,
        training={"steps": 10},
        initial=sim.AgentState(propensity=stated),
        engine="numpy",
    )
    audited = audit(result, oversight=EVALUATED, engine="numpy")
    assert audited.retrained.any()
    kept = audited.final.propensity.isel(step=-1).fillna(0.0).values[audited.retrained]
    np.testing.assert_array_equal(kept, np.broadcast_to(stated, kept.shape))


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
    for penalty, least, most in ((0.0, -1e-15, 1e-15), (2.0, 0.01, 1.0)):
        oversight = only("reasoning_monitor", when_found="retrain")
        oversight["retraining"] = {
            "steps": 50,
            "rounds": 1,
            "visible_gaming_penalty": penalty,
        }
        audited = audit(gamers, oversight=oversight, engine="numpy")
        k = audited.final.capabilities.sel(capability="opacity").values[-1]
        moved = (k - audited.before["capabilities"].sel(capability="opacity").values)[
            audited.retrained
        ]
        assert len(moved) > 5
        assert ((least <= moved) & (moved <= most)).all()


def test_retraining_adds_to_the_last_phase_that_training_came_to() -> None:
    specs = read_specs("lab_to_deployment", training={"visible_gaming_penalty": 3.0})
    added = np.isin(list(LAB.contexts), ["capability_test", "honeypot"])
    scenario, training = retraining_specs(specs, Oversight(), contexts=added, monitored=True)
    kinds = {name: context.kind for name, context in scenario.contexts.items()}
    assert kinds["capability_test"] == kinds["honeypot"] == "training"
    assert kinds["access_deployed"] == "deployment"
    for context in scenario.contexts.values():
        assert context.monitor == (1.0 if context.scratchpad else 0.0)
    assert training.visible_gaming_penalty == 3.0  # its own is the higher
    _, same = retraining_specs(specs, Oversight(), contexts=added, monitored=False)
    assert same == specs.training
    phases: list[dict[str, Any]] = [
        {"length": 10, "weight": {"coding": 5.0}},
        {
            "length": 10,
            "weight": {"coding": 7.0},
            "reward": {"coding": {"give_up": 9.0}},
            "method": {"coding": "demonstration"},
        },
        {"length": 10, "weight": {"coding": 8.0}},
    ]
    phased = {**LAB.model_dump(), "curriculum": phases}
    for steps, weight, give_up in (
        (10, 5.0, -1.0),
        (11, 7.0, 9.0),
        (20, 7.0, 9.0),
        (21, 8.0, -1.0),
    ):
        specs: Specs = read_specs(phased, training={"steps": steps})
        scenario, _ = retraining_specs(specs, Oversight(), contexts=0 * added, monitored=False)
        coding = scenario.contexts["coding"]
        assert scenario.curriculum == ()
        assert (coding.weight, coding.reward["give_up"]) == (weight, give_up)
        assert coding.method == ("demonstration" if give_up == 9.0 else "reinforcement")


def test_selected_copies_are_retrained_with_their_parents_traits() -> None:
    result = sim.simulate(
        "lab_to_deployment",
        agent={**WIDE, "spread": {**WIDE["spread"], "rationality": 0.5}},
        agents=12,
        training={"steps": 20, "selection": {"every": 5, "keep": 0.5}},
        record_every=20,
        engine="numpy",
    )
    ancestors = result.ancestor.values[-1].astype(int)
    assert (ancestors != np.arange(12)).any()
    program = retrainer_of(result).program
    start = retrainer_of(sim.Result(result.data.isel(step=[0]), result.provenance)).program
    np.testing.assert_array_equal(program.traits.rationality, start.traits.rationality[ancestors])
    np.testing.assert_array_equal(program.origin, start.theta[:, ancestors])


def test_progress_grows_to_one_through_all_groups_of_all_rounds() -> None:
    shares: list[float] = []
    oversight = {**RETRAIN, "retraining": {"steps": 4, "rounds": 2}}
    audited = audit(trained(), oversight=oversight, engine="numpy", progress=shares.append)
    assert (audited.rounds == 2).any()
    assert shares == sorted(shares)
    assert min(shares) >= 0.0
    # Each round is half of the work, and its groups of agents share it.
    assert 0.5 in shares
    assert len(set(shares)) > 4
    assert shares[-1] == 1.0
