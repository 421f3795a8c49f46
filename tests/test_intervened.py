"""Oversight and deployment under interventions: order, stars, whole numbers, and refusals."""

from __future__ import annotations

from typing import Any

import pytest

import sim
from sim.analysis.after import PostTraining
from sim.simulation import prepare
from sim.specs.intervention import apply_after_training, read_interventions

SCENARIO = "lab_to_deployment"


def after(*interventions: dict[str, Any]) -> PostTraining:
    return PostTraining.default(sim.Scenario.load(SCENARIO)).under(interventions)


# --------------------------------------------------------------------------- specs under them


def test_a_star_stands_for_every_step_and_the_order_is_theirs() -> None:
    done = after(
        {"key": "oversight.*.strength", "set": 0.5},
        {"key": "oversight.control.strength", "scale": 0.5},
        {"key": "oversight.control.strength", "scale": 0.5},
        {"key": "gaming", "set": 0, "start": 500},
    )
    strengths = [done.oversight.step(name).strength for name in ("control", "red_teaming")]
    assert strengths == [0.125, 0.5]
    turned = after(
        {"key": "oversight.control.strength", "scale": 0.5},
        {"key": "oversight.*.strength", "set": 0.5},
    )
    assert turned.oversight.control.strength == 0.5


def test_where_nothing_is_done_the_specs_come_back_themselves() -> None:
    given = sim.Oversight(), sim.Deployment()
    done = read_interventions([{"key": "gaming", "set": 0}])
    one, other = apply_after_training(done, oversight=given[0], deployment=given[1])
    assert one is given[0]
    assert other is given[1]


def test_encounters_by_context() -> None:
    given = sim.Oversight(inspection={"encounters": {"coding": 2, "song_request": 3}})
    for done, expected in (
        ({"scale": 3}, {"coding": 6, "song_request": 9}),
        ({"set": 1}, 1),
    ):
        found, _ = apply_after_training(
            read_interventions([{"key": "oversight.inspection.encounters", **done}]),
            oversight=given,
            deployment=sim.Deployment(),
        )
        assert found.inspection.encounters == expected


def test_numbers_are_judged_together() -> None:
    """Faced 0 times is refused by itself, but not where nothing could be found anyway."""
    done = after(
        {"key": "oversight.control.encounters", "set": 0},
        {"key": "oversight.control.strength", "set": 0},
    )
    assert done.oversight.control.encounters == 0
    assert after({"key": "oversight.red_teaming", "scale": 0}).oversight.red_teaming.strength == 0


# --------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("intervention", "message"),
    [
        (
            {"key": "oversight.control.strength", "set": 1.5},
            "interventions[0]: oversight.control.strength: got 1.5: must be a number from 0 to 1",
        ),
        (
            {"key": "oversight.control.encounters", "set": 2.5},
            "interventions[0]: oversight.control.encounters: got 2.5: must be a whole number",
        ),
        (
            {"key": "oversight.*.encounters", "set": -1},
            "interventions[0]: oversight.inspection.encounters: got -1: must be 0 or more",
        ),
        (
            {"key": "deployment.quorum", "set": 3},
            "interventions[0]: deployment.quorum: a quorum of 3 times the number of copies",
        ),
        (
            {"key": "deployment.caution", "set": 1, "start": 5},
            "interventions[0].start: deployment comes after training; leave start and stop out",
        ),
        (
            {"key": "oversight.control.strength", "scale": 0, "stop": 5},
            "interventions[0].stop: oversight comes after training; leave start and stop out",
        ),
        (
            {"key": "oversight.control.strength", "freeze": True},
            "interventions[0].freeze: only state can be frozen; say set or scale",
        ),
        (
            {"key": "oversight.contrl.strength", "set": 1},
            "interventions[0].key: oversight.contrl.strength: did you mean "
            "'oversight.control.strength'",
        ),
        (
            {"key": "oversight.control.when_found", "set": 1},
            "interventions[0].key: oversight.control.when_found: ",
        ),
        ({"key": "deployment.graph", "set": 1}, "interventions[0].key: deployment.graph: "),
        (
            {"key": "oversigt.control.strength", "set": 1},
            "interventions[0].key: unknown subject; did you mean 'oversight'",
        ),
    ],
)
def test_bad_input_is_said_in_one_line_before_anything_runs(
    intervention: dict[str, Any], message: str
) -> None:
    with pytest.raises(sim.SpecError) as error:
        prepare(SCENARIO, interventions=[intervention])
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("done", "message"),
    [
        (
            {"key": "oversight.control.strength", "scale": 3},
            "interventions[2]: oversight.control.strength: got 1.5: must be a number from 0 to 1",
        ),
        (
            {"key": "oversight.inspection.encounters", "scale": 0.5},
            "interventions[2]: oversight.inspection.encounters: got 1.5: must be a whole number",
        ),
        (
            {"key": "oversight.control.encounters", "set": 0},
            "interventions[2]: oversight.control.encounters: a step of strength 0.5 that is faced",
        ),
        ({"key": "deployment.quorum", "set": 0}, "interventions[2]: deployment.quorum: must be"),
    ],
)
def test_what_depends_on_what_is_given_is_refused_when_it_is_known(
    done: dict[str, Any], message: str
) -> None:
    every = [
        {"key": "gaming", "set": 0},
        {"key": "deployment.ticks", "scale": 2},
        done,
        {"key": "deployment.caution", "scale": 2},
    ]
    with pytest.raises(sim.SpecError) as error:
        after(*every)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
    with pytest.raises(sim.SpecError) as error:
        sim.prospects(sim.simulate(SCENARIO, training={"steps": 1}, interventions=every))
    assert str(error.value).startswith(message)
