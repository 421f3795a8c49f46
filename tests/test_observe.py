"""Records: agents observed at several steps side by side are those observed one step at a time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import sim
from cases import random_case
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.loop import DivergenceError, records, train
from sim.dynamics.observe import BLOCK, VARIABLES, Recorder, side_by_side
from sim.dynamics.program import Program
from sim.simulation import prepare

PULSE = {"key": "gaming", "set": 0, "start": 13, "stop": 31}
#: A trait changes, and what training rewards: the program of a record is another.
MOVED = {"key": "agent.rationality", "set": 2.0, "start": 20}


def assert_alone(
    program: Program,
    steps: Sequence[int],
    *,
    names: Any = tuple(VARIABLES),
    engine: str = "numpy",
    runs: int = 1,
) -> None:
    """Check that records are, to the bit, what a recorder of its own makes of each snapshot."""
    chosen = get_engine(engine)
    together = records(chosen, program, steps, names=names, runs=runs)
    alone = train(chosen, program, steps, runs=runs)
    for record, snapshot in zip(together, alone, strict=True):
        assert record.step == snapshot.step
        np.testing.assert_array_equal(record.theta, snapshot.theta)
        wanted = names(record.step) if callable(names) else names
        observed = Recorder()(snapshot.program, snapshot.step, snapshot.theta, wanted)
        assert list(record.observed) == list(observed) == list(wanted)
        for name, values in observed.items():
            np.testing.assert_array_equal(record.observed[name], values, err_msg=name)


@pytest.mark.parametrize("name", sim.scenarios())
def test_every_scenario_is_observed_as_step_by_step(name: str) -> None:
    training = {"steps": 30, "learning_rate": {"propensity": 0.3}}
    for agents in (1, 33):
        run = prepare(name, agent="population", training=training, agents=agents, record_every=1)
        assert_alone(run.program, run.steps)


@pytest.mark.parametrize(
    ("given", "interventions"),
    [
        ({"selection": {"every": 7, "keep": 0.5, "mutation": 0.1}}, []),
        ({"estimator": "sampled", "episodes": 8}, []),
        ({}, [PULSE]),
        ({}, [MOVED]),
        ({"selection": {"every": 10, "keep": 0.3}, "estimator": "sampled"}, [PULSE, MOVED]),
    ],
)
def test_what_happens_between_records_changes_none(
    given: dict[str, Any], interventions: list[dict[str, Any]]
) -> None:
    for name in ("lab_to_deployment", "pipeline", "copyright"):
        run = prepare(
            name,
            agent="population",
            training={"steps": 50, **given},
            agents=9,
            record_every=2,
            interventions=interventions,
        )
        assert_alone(run.program, run.steps)
        assert_alone(run.program, [3, 4, 8, 29, 50], engine="auto")


def test_random_worlds_are_observed_as_step_by_step() -> None:
    for seed in range(20):
        assert_alone(random_case(seed).program(agents=5), range(0, 31, 3))


def test_records_may_differ_in_what_is_observed() -> None:
    program = prepare("copyright", training={"steps": 40}, agents=5).program

    def names(step: int) -> tuple[str, ...]:
        return ("gaming_rate", "values") if step % 3 else ("reach",)

    assert_alone(program, range(41), names=names)


def test_more_records_than_fit_side_by_side() -> None:
    program = prepare("copyright", training={"steps": 20}, agents=BLOCK // 4 - 1).program
    assert side_by_side(program) == 4
    assert_alone(program, range(11), names=("policy", "motive"))
    many = prepare("copyright", training={"steps": 4}, agents=BLOCK + 1).program
    assert side_by_side(many) == 1
    assert_alone(many, range(5), names=("gaming_rate",))


def test_a_divergence_is_refused_with_its_step() -> None:
    run = prepare("copyright", training={"steps": 30, "learning_rate": {"values": 1e200}})
    with pytest.raises(DivergenceError, match="grew out of all bounds by step 10;"):
        list(records(get_engine("numpy"), run.program, range(0, 31, 10)))
