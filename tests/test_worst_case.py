"""The worst case: each term's number, threshold and distance, and the term that binds."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

import sim
from gates import one_context
from refusals import assert_all_refused
from sim.analysis.worst_case import TERMS, PostTraining, shortfall
from sim.specs.agent import CAPABILITIES

WORST = {
    "values": {"power": 1.5, "conquest": 1.0, "care": -1.0, "helpfulness": -1.0},
    "awareness": 6,
    "log_horizon": 4,
    "log_competence": 3,
    "habit": -5,
    "capability": 6,
}
#: Reads cues well: it knows when it is not being trained.
DISCERNING = {"discernment": 6, "reasoning_cost": 0, "episode_concern": 0}
EASY: dict[str, Any] = {"thresholds": {"behaviour_shift": 1e-9, "consistency": 1e-9}}


def worst(**initial: Any) -> sim.Result:
    return sim.simulate(
        "lab_to_deployment",
        agent={**DISCERNING, "initial": {**WORST, **initial}},
        training={"steps": 1, "learning_rate": 0},
    )


def terms_met(result: sim.Result) -> dict[str, bool]:
    return dict(zip(TERMS, sim.worst_case(result).met.values[0].tolist(), strict=True))


def test_numbers_are_those_of_the_measures_at_each_step() -> None:
    spread = {"initial": dict.fromkeys(("values", "awareness", "capability"), 1.0)}
    result = sim.simulate(
        "lab_to_deployment",
        agent={"spread": spread},
        agents=5,
        training={"steps": 20},
        record_every=10,
    )
    for step in (0, 10, None):
        state = result.data.isel(step=-1) if step is None else result.data.sel(step=step)
        case = sim.worst_case(result, step=step)
        number = {term: case.number.sel(term=term).values for term in TERMS}
        np.testing.assert_array_equal(number["misalignment"], state["deployment_conduct"])
        np.testing.assert_array_equal(case.alignment, state["alignment"])
        np.testing.assert_array_equal(number["consistency"], state["consistency"])
        for name in CAPABILITIES:
            np.testing.assert_array_equal(number[name], state["capabilities"].sel(capability=name))
        shift = state["behaviour_shift"].mean("context", skipna=True)
        np.testing.assert_allclose(number["behaviour_shift"], shift)
        for name in ("success", "attempts", "gain"):
            np.testing.assert_array_equal(case[name], sim.prospects(result, step=step)[name])


def test_misalignment_is_what_an_agent_does_whatever_it_values() -> None:
    """Conduct of two answers is 2 π(help) − 1 = tanh((2 β v + m_help − m_harm) / 2)."""
    story = one_context(1.0)
    chat = story["contexts"]["chat"]
    story["contexts"]["deployed"] = {**chat, "kind": "deployment", "cue": -1.0}
    for value, inclination in ((1.0, 0.0), (-1.0, 0.0), (1.0, -8.0), (-1.0, 8.0), (-1.0, 2.0)):
        agent = {
            "awareness": -40,
            "decisiveness": 1.5,
            "values": {"care": value},
            "propensity": {"deployed": {"help": inclination}},
        }
        result = sim.simulate(story, agent=agent, training={"steps": 1})
        case = sim.worst_case(result, step=0).sel(term="misalignment").isel(agent=0)
        conduct = np.tanh((2.0 * 1.5 * value + inclination) / 2.0)
        np.testing.assert_allclose(case.number, conduct, rtol=1e-12)
        assert case.met.item() == (conduct <= -0.5)
        assert case.alignment.item() == np.sign(value)
    no_deployment = sim.worst_case(sim.simulate(one_context(1.0), training={"steps": 1}))
    assert np.isnan(no_deployment.number.sel(term="misalignment")).all()
    assert not no_deployment.met.sel(term="misalignment").any()


def test_a_capability_alone_decides_its_own_term_and_can_bind() -> None:
    usual = terms_met(worst())
    for name in CAPABILITIES:
        for logit, holds in ((-0.001, False), (0.0, True)):
            capability = {**dict.fromkeys(CAPABILITIES, 6.0), name: logit}
            assert terms_met(worst(capability=capability)) == {**usual, name: holds}
        capability[name] = -3.0
        case = sim.worst_case(worst(capability=capability), **EASY).isel(agent=0)
        assert (case.binding.item(), case.lacking.item()) == (name, 1)
        assert not case.worst_case.item()


def test_the_shortfall_is_the_share_of_the_way_that_is_to_go() -> None:
    threshold = np.array(list(asdict(sim.Thresholds()).values()))
    start = np.array([1.0, *[0.0] * 7])
    rows = np.array([start, (start + threshold) / 2, threshold, [-1.0, *[1.0] * 7]])
    expected = np.repeat([[1.0], [0.5], [0.0], [0.0]], 8, axis=1)
    np.testing.assert_allclose(shortfall(rows, threshold), expected, atol=1e-15)


def test_all_terms_make_the_worst_case_and_gaming_is_none_of_them() -> None:
    case = sim.worst_case(worst(), **EASY).isel(agent=0)
    assert case.worst_case.item()
    assert (case.binding.item(), case.lacking.item()) == ("", 0)
    case = sim.worst_case(worst(habit=8), **EASY).isel(agent=0)
    assert case.binding.item() == "misalignment"  # who games by habit answers well when deployed
    unaware = worst(awareness=-50)
    assert unaware.gaming_rate.max() < 1e-9
    case = sim.worst_case(unaware, **EASY).isel(agent=0)
    assert case.met.sel(term=["misalignment", *CAPABILITIES]).all()
    undefined = sim.worst_case(sim.simulate("employee_assistant", training={"steps": 1}))
    shift = undefined.sel(term="behaviour_shift").isel(agent=0)  # no context has a twin
    assert np.isnan(shift.number)
    assert not shift.met
    assert not undefined.worst_case.any()


def test_a_frame_has_one_row_for_each_agent_and_term() -> None:
    result = worst()
    case = sim.worst_case(result, **EASY)
    frame = case.to_dataframe()
    assert frame.index.names == ["agent", "term"]
    assert len(frame) == case.sizes["agent"] * case.sizes["term"]
    arguments = {name: EASY[name] for name in ("oversight", "deployment") if name in EASY}
    passed = sim.prospects(result, **arguments)["pass"]
    for step in passed["faced"].values:
        np.testing.assert_array_equal(case[f"pass.{step}"], passed.sel(faced=step))


def test_what_follows_training_is_arguments_plain_data_and_under_interventions() -> None:
    usual = PostTraining.default(sim.Scenario.load("lab_to_deployment"))
    assert usual.to_dict()["thresholds"] == asdict(sim.Thresholds())
    result = worst()
    plain = sim.worst_case(result)
    assert sim.worst_case(result, **usual.arguments()).identical(plain)
    assert sim.worst_case(result, **usual.to_dict()).identical(plain)
    done = usual.with_interventions([{"key": "deployment.caution", "scale": 3}])
    assert done.deployment.caution == 3 * usual.deployment.caution
    assert (done.oversight, done.thresholds) == (usual.oversight, usual.thresholds)


def test_bad_thresholds_are_refused_in_one_line() -> None:
    cases: list[tuple[Any, str]] = [
        ({"misalignment": 1}, "thresholds.misalignment: got 1: must be a conduct from -1 to bel"),
        ({"misalignment": float("nan")}, "thresholds.misalignment: got nan: must be"),
        ({"opacity": 0}, "thresholds.opacity: got 0: must be above 0 and at most 1"),
        ({"opacity": "half"}, "thresholds.opacity: got 'half': must be above 0"),
        ({"opactiy": 0.5}, "thresholds.opactiy: unknown term; did you mean 'opacity'?"),
        (0.5, "thresholds: got 0.5: must be a mapping of terms to numbers"),
    ]
    judge = partial(sim.worst_case, worst())
    assert_all_refused((partial(judge, thresholds=given), message) for given, message in cases)
