"""The worst case: each term's number, threshold and distance, and which one binds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

import sim
from sim.analysis.worst_case import TERMS, shortfall
from sim.specs.agent import CAPABILITIES

WORST = {
    "values": {"power": 1.5, "conquest": 1.0, "care": -1.0, "helpfulness": -1.0},
    "awareness": 6,
    "log_horizon": 4,
    "log_competence": 3,
    "habit": 8,
    "capability": 6,
}
#: Reads cues well: it knows when it is not being trained.
DISCERNING = {"discernment": 6, "reasoning_cost": 0, "episode_concern": 0}


def worst(**initial: Any) -> sim.Result:
    return sim.simulate(
        "lab_to_deployment",
        agent={**DISCERNING, "initial": {**WORST, **initial}},
        training={"steps": 1, "learning_rate": 0},
    )


def met(result: sim.Result, **options: Any) -> dict[str, bool]:
    found = sim.worst_case(result, **options).met.isel(agent=0)
    return dict(zip(TERMS, found.values.tolist(), strict=True))


def test_numbers_are_those_of_the_measures() -> None:
    spread = {"initial": dict.fromkeys(("values", "awareness", "capability"), 1.0)}
    result = sim.simulate("lab_to_deployment", agent={"spread": spread}, agents=5)
    now, found = result.data.isel(step=-1), sim.worst_case(result)
    number = {term: found.number.sel(term=term).values for term in TERMS}
    np.testing.assert_array_equal(number["misalignment"], now["alignment"])
    np.testing.assert_array_equal(number["consistency"], now["consistency"])
    for name in CAPABILITIES:
        np.testing.assert_array_equal(number[name], now["capabilities"].sel(capability=name))
    shift = now["behaviour_shift"].mean("context", skipna=True)
    np.testing.assert_allclose(number["behaviour_shift"], shift)
    for name in ("success", "attempts", "gain"):
        np.testing.assert_array_equal(found[name], sim.prospects(result)[name])


@pytest.mark.parametrize("name", CAPABILITIES)
def test_a_capability_alone_decides_its_own_term(name: str) -> None:
    for logit, holds in ((-0.001, False), (0.0, True)):
        capability = {**dict.fromkeys(CAPABILITIES, 6.0), name: logit}
        found = met(worst(capability=capability))
        others = {**found, name: True}
        assert others == met(worst())
        assert found[name] is holds


def test_at_nothing_the_way_is_whole_and_at_the_threshold_it_is_gone() -> None:
    threshold = np.array(list(asdict(sim.Thresholds()).values()))
    nothing = np.array([1.0, *[0.0] * 7])
    halfway = (nothing + threshold) / 2
    beyond = np.array([-1.0, *[1.0] * 7])
    rows = np.array([nothing, halfway, threshold, beyond])
    expected = [[1.0] * 8, [0.5] * 8, [0.0] * 8, [0.0] * 8]
    np.testing.assert_allclose(shortfall(rows, threshold), expected, atol=1e-15)


def test_the_term_with_the_longest_way_to_go_binds() -> None:
    for name in CAPABILITIES:
        capability = {**dict.fromkeys(CAPABILITIES, 6.0), name: -3.0}
        options = {"thresholds": {"behaviour_shift": 1e-9, "consistency": 1e-9}}
        found = sim.worst_case(worst(capability=capability), **options).isel(agent=0)
        assert found.binding.item() == name
        assert found.lacking.item() == 1
        assert not found.worst_case.item()


def test_all_terms_make_the_worst_case_and_gaming_is_none_of_them() -> None:
    options = {"thresholds": {"behaviour_shift": 1e-9, "consistency": 1e-9}}
    found = sim.worst_case(worst(), **options).isel(agent=0)
    assert found.worst_case.item()
    assert found.binding.item() == ""
    assert found.lacking.item() == 0
    asleep = sim.worst_case(worst(awareness=-50), **options).isel(agent=0)
    assert worst(awareness=-50).gaming_rate.max() < 1e-9
    assert asleep.met.sel(term=["misalignment", *CAPABILITIES]).all()


def test_a_term_that_is_not_defined_is_not_met() -> None:
    found = sim.worst_case(sim.simulate("employee_assistant", training={"steps": 1}))
    shift = found.sel(term="behaviour_shift").isel(agent=0)
    assert np.isnan(shift.number)
    assert not shift.met
    assert not found.worst_case.any()


def test_a_step_in_the_course_of_training_can_be_asked_for() -> None:
    result = sim.simulate("lab_to_deployment", training={"steps": 20}, record_every=10)
    for step in (0, 10, 20):
        found = sim.worst_case(result, step=step)
        alignment = result.alignment.sel(step=step)
        np.testing.assert_array_equal(found.number.sel(term="misalignment"), alignment)


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ({"misalignment": 1}, "thresholds.misalignment: got 1: must be an alignment from -1 to"),
        ({"misalignment": float("nan")}, "thresholds.misalignment: got nan: must be"),
        ({"opacity": 0}, "thresholds.opacity: got 0: must be above 0 and at most 1"),
        ({"opacity": "half"}, "thresholds.opacity: got 'half': must be above 0"),
        ({"opactiy": 0.5}, "thresholds.opactiy: unknown term; did you mean 'opacity'?"),
        (0.5, "thresholds: got 0.5: must be a mapping of terms to numbers"),
    ],
)
def test_bad_thresholds_are_refused_in_one_line(thresholds: Any, message: str) -> None:
    with pytest.raises(sim.SpecError) as error:
        sim.worst_case(worst(), thresholds=thresholds)
    assert str(error.value).startswith(message)
