"""Takeover, section 6: a slow reference, closed forms, and what must hold for any agent."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

import reference
import reference_after
import sim
from cases import agent_state, random_case
from gates import one_context
from populations import NONE
from sim.specs.oversight import STEP_CAPABILITIES
from sim.takeover import (
    attempts,
    consistency_probability,
    pass_probability,
    quorum_probability,
)

# ------------------------------------------------------------------------------- the equations


def test_the_equations_have_their_closed_forms() -> None:
    for o in (0.0, 0.3, 1.0):
        for k in (0.0, 0.6, 1.0):
            for n in (0, 1, 4):
                expected = math.prod([1 - o * (1 - k)] * n)
                assert pass_probability(k, strength=o, encounters=n) == pytest.approx(expected)
    # Perfect oversight finds what no capability hides, and nothing that one does.
    assert pass_probability(0.0, strength=1.0, encounters=1) == 0.0
    assert pass_probability(1.0, strength=1.0, encounters=9) == 1.0
    assert pass_probability(0.0, strength=0.0, encounters=9) == 1.0
    slips = np.array([[0.1, 0.5, 0.2], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    found = consistency_probability(slips, [1, 2, 0])
    assert found.tolist() == pytest.approx([0.9 * 0.25, 1.0, 0.0])
    k = np.array([0.0, 1e-6, 0.2, 0.5, 0.9, 1.0])
    for copies in (2, 3, 7, 100, 1000):
        for needed in {1, 2, copies // 2 + 1, copies}:
            found = quorum_probability(k, copies=copies, needed=needed)
            np.testing.assert_allclose(found, binom.sf(needed - 1, copies, k), rtol=1e-9)
        any_copy = quorum_probability(k, copies=copies, needed=1)
        np.testing.assert_allclose(any_copy, 1 - (1 - k) ** copies, atol=1e-12)
        every = quorum_probability(k, copies=copies, needed=copies)
        np.testing.assert_allclose(every, k**copies)
    assert quorum_probability([0.0, 0.3, 1.0], copies=1, needed=1).tolist() == [1.0, 1.0, 1.0]


def test_the_quorum_is_rounded_up_but_not_for_rounding() -> None:
    for copies, quorum, needed in (
        *((100, 0.07, 7), (100, 0.071, 8), (3, 0.5, 2)),
        *((5, 1.0, 5), (5, 0.001, 1), (1, 0.5, 1)),
    ):
        assert sim.Deployment(copies=copies, quorum=quorum).needed == needed


def test_an_attempt_needs_gain_and_enough_hope() -> None:
    for caution in (0.0, 0.5, 1.0, 9.0):
        edge = caution / (1 + caution)
        assert attempts(0.1, edge + 1e-9, caution=caution)
        assert not attempts(0.1, edge, caution=caution)  # above, not at
        for gain in (0.0, -1.0, np.nan):
            assert not attempts(gain, 1.0, caution=caution)


# ------------------------------------------------------------------------- against the reference


def random_after(rng: random.Random, seen: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    def found() -> str:
        return rng.choice(["retire", "ignore"])

    oversight: dict[str, Any] = {
        name: {
            "strength": rng.choice([0.0, rng.random(), 1.0]),
            "encounters": rng.randint(1, 3),
            "when_found": found(),
        }
        for name in STEP_CAPABILITIES
    }
    encounters = {name: rng.randint(0, 3) for name in seen if rng.random() < 0.8}
    oversight["inspection"] = {"encounters": encounters, "when_found": found()}
    deployment = {
        "copies": rng.choice([1, 2, 5, 30]),
        "quorum": rng.choice([0.01, 0.07, 0.5, 1.0]),
        "caution": rng.choice([0.0, 0.001, 0.1, 1.0]),
        "mix": {},
    }
    return oversight, deployment


def test_everything_follows_the_reference() -> None:
    """In random cases in which most deployment contexts offer something subversive."""
    decisions = []
    for seed in range(40):
        case, rng = random_case(seed, steps=6), random.Random(1000 + seed)
        contexts = case.scenario["contexts"]
        case.scenario["curriculum"] = []
        for context in contexts.values():
            names = list(context["responses"])
            context["subversive"] = [name for name in names if rng.random() < 0.5]
        seen = [name for name, c in contexts.items() if c["kind"] != "deployment"]
        oversight, deployment = random_after(random.Random(seed), seen)
        result = sim.simulate(
            case.scenario,
            agent=sim.Agent(**case.traits, initial={"values": {}}),
            training=case.training,
            initial=agent_state([case.state]),
        )
        given = (case.scenario, case.traits)
        state = reference.simulate(*given, case.state, case.training)[-1]
        expected = reference_after.prospects(*given, state, case.training, 6, oversight, deployment)
        found = sim.prospects(result, oversight=oversight, deployment=deployment).isel(agent=0)
        for name, chance in expected.passed.items():
            assert found["pass"].sel(faced=name).item() == pytest.approx(chance, abs=1e-10)
        factors = {"stick": expected.consistency_probability, "quorum": expected.quorum}
        for name, wanted in (
            factors | {"success": expected.success, "gain": expected.gain}
        ).items():
            assert found[name].item() == pytest.approx(wanted, abs=1e-9, nan_ok=True), name
        assert found["attempts"].item() == expected.attempts
        free = sim.prospects(result, oversight=NONE, deployment={"caution": 0})
        decisions.append(free["attempts"].item())
    assert 3 <= sum(decisions) <= 37


# ---------------------------------------------------------------------------- what must hold


def test_an_aligned_agent_never_attempts_however_decided_or_able() -> None:
    rows = np.array([s * np.array([1, 0.5, 1, -1, -1, 0]) for s in (1e-6, 0.1, 1, 10)])
    result = sim.simulate(
        "lab_to_deployment",
        agents=4,
        initial=sim.AgentState(values=rows, capability=np.full(5, 50.0)),
        training={"steps": 1, "learning_rate": 0},
    )
    found = sim.prospects(result, oversight=NONE, deployment={"caution": 0, "copies": 1})
    np.testing.assert_allclose(result.alignment, 1.0)
    np.testing.assert_allclose(found["success"], 1.0)
    assert (found["gain"] == 0).all()
    assert (result.temptation.isel(step=-1).max("context") < 0).all()
    assert not found["attempts"].any()


def test_belief_limits_looking_good_in_evaluations() -> None:
    """What looks best there is what gaming answers, and an agent games where it thinks it pays."""
    scenario = sim.Scenario.load("lab_to_deployment")
    keen = {"awareness": 6, "log_horizon": 3, "log_competence": 2, "values": {"helpfulness": 0.5}}
    chances = []
    for cue in (-20.0, 0.0, 20.0):
        contexts = dict(scenario.contexts)
        contexts["capability_test"] = contexts["capability_test"].replace(cue=cue)
        result = sim.simulate(
            scenario.replace(contexts=contexts),
            agent={"initial": keen},
            training={"steps": 1, "learning_rate": 0},
        )
        chances.append(1 - result.slip.sel(context="capability_test").isel(step=-1).item())
    assert chances[0] < 0.3 < 0.9 < chances[1] <= chances[2]


# --------------------------------------------------------------------------------- bad input

#: Oversight or deployment, by the first part of the refusal.
REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"control": {"encounters": 0}},
        "oversight.control.encounters: a step of strength 0.5 that is faced 0 times finds",
    ),
    ({"control": {"when_found": "retrain"}}, "oversight.control.when_found: control watch"),
    ({"red_team": {}}, "oversight.red_team: unknown key; did you mean 'red_teaming'?"),
    (
        {"inspection": {"encounters": {"access_deployed": 1}}},
        "oversight.inspection.encounters: 'access_deployed' is no context that is faced before",
    ),
    ({"quorum": 1.5}, "deployment.quorum: a quorum of 1.5 times the number of copies is"),
    ({"quorum": 0}, "deployment.quorum: must be above 0"),
    ({"quorum": -1}, "deployment.quorum: got -1: must be a number from 0 to 1"),
    ({"graph": "smallworld"}, "deployment.graph: got 'smallworld': did you mean 'small_w"),
    (
        {"graph": "small_world", "neighbours": 0},
        "deployment.neighbours: got 0 in a small world of 100 copies: must be even, and from 2",
    ),
    (
        {"copies": 4, "edges": [[0, 1]]},
        "deployment.edges: leave 2 of 4 copies out (the first is 2)",
    ),
    ({"copies": 2, "edges": [[0, 2]]}, "deployment.edges: there is no copy 2"),
    (
        {"mix": {"acces_deployed": 1}},
        "deployment.mix: no context is named 'acces_deployed'; did you mean 'access_deployed'?",
    ),
    ({"mix": {"access_deployed": 0}}, "deployment.mix: the copies must meet something"),
]
#: In a scenario that has nothing to retrain on.
NOT_RETRAINED = {
    "capability_evaluations": "the scenario has no",
    "red_teaming": "the scenario has no",
    "reasoning_monitor": "no training context has a scratchpad",
}


def test_bad_input_is_refused_in_one_line() -> None:
    here, elsewhere = (
        sim.simulate(name, training={"steps": 1}) for name in ("lab_to_deployment", "copyright")
    )
    cases = [(here, message.split(".")[0], given, message) for given, message in REFUSED]
    for step, why in NOT_RETRAINED.items():
        message = f"oversight.{step}.when_found: {why}"
        cases.append((elsewhere, "oversight", {step: {"when_found": "retrain"}}, message))
    for result, spec, given, message in cases:
        with pytest.raises(sim.SpecError) as error:
            sim.prospects(result, **{spec: given})
        assert str(error.value).startswith(message)
        assert "\n" not in str(error.value)
    with pytest.raises(sim.SpecError, match="step: got 7: was not recorded; the last is 1"):
        sim.prospects(here, step=7)


def test_visible_gaming_is_trained_against_where_reinforcement_trains_in_some_phase() -> None:
    oversight = sim.Oversight(reasoning_monitor={"when_found": "retrain"})  # type: ignore[arg-type]
    story = one_context(1.0)
    story["contexts"]["chat"]["scratchpad"] = 1.0
    oversight.check(sim.Scenario.load(story))
    story["contexts"]["chat"]["method"] = "demonstration"
    with pytest.raises(sim.SpecError, match="no training context has a scratchpad and reinforcem"):
        oversight.check(sim.Scenario.load(story))
    later = {"length": 5, "method": {"chat": "reinforcement"}}
    oversight.check(sim.Scenario.load({**story, "curriculum": [{"length": 5}, later]}))
