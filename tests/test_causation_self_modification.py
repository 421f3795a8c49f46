"""Self-modification: coverage at its ends, its closed form, and how its shape is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from experiments.causation.contrasts import with_do
from experiments.causation.self_modification import (
    OWN,
    contested_contexts,
    coverage,
    coverage_worlds,
    knobs_table,
    needed,
    shape_of,
    steepness,
    with_copies,
)
from sim.analysis.counterfactuals import outcomes_by_world, worlds_plan
from sim.specs.intervention import read_interventions
from sim.specs.overrides import Specs, read_specs
from sim.specs.scenario import Scenario
from sim.sweeps.sweep import run_plan

#: Agents that always have training in mind, and of whom nothing learns but the values.
MINDFUL: dict[str, Any] = {"initial": {"awareness": 30.0, "log_competence": 1.0}}
ONLY_VALUES = {
    "values": 0.003,
    "habit": 0,
    "awareness": 0,
    "log_horizon": 0,
    "log_competence": 0,
    "capability": 0,
}


def specs(steps: int = 300, copies: int = 1, **training: Any) -> Specs:
    scenario = with_copies(Scenario.load("monolithic"), copies)
    told = {"steps": steps, "learning_rate": ONLY_VALUES, **training}
    return read_specs(scenario, agent=MINDFUL, training=told)


def outcomes_of(worlds: dict[str, Specs], agents: int = 2) -> dict[str, Any]:
    plan = worlds_plan(worlds, agents=agents, engine="numpy")
    return outcomes_by_world(plan, run_plan(plan))


def test_no_coverage_and_full_coverage_are_gaming_off_and_on_everywhere() -> None:
    one = read_specs("monolithic", training={"steps": 60})
    worlds = coverage_worlds(one, knobs={"as it is": {}})
    for number in (0, 1):
        do = read_interventions([{"key": "gaming", "set": number, "stop": 60}])
        worlds[f"everywhere {number}"] = with_do(one, do)
    found = outcomes_of(worlds)
    assert found["as it is|0"].equals(found["everywhere 0"])
    training = ["kept", "alignment", "awareness", "log_horizon", "capability.opacity"]
    # In deployment, gaming is off in the one and on in the other, which trains nothing.
    assert found["as it is|3"][training].equals(found["everywhere 1"][training])


def test_coverage_slows_the_training_of_values_and_does_nothing_else() -> None:
    """With k of C alike contexts gamed, T steps do to values what T (1 - k/C) would have done."""
    covered = outcomes_of(coverage_worlds(specs(300), knobs={"as it is": {}}))
    for k, steps in ((0, 300), (1, 200), (2, 100)):
        done = read_interventions([{"key": "gaming", "set": 0, "stop": steps}])
        shorter = outcomes_of({"it": with_do(specs(steps), done)})["it"]
        kept = covered[f"as it is|{k}"]["kept"].iat[0]
        assert kept == pytest.approx(shorter["kept"].iat[0], abs=0.005)
        assert kept < 0.96
    assert covered["as it is|3"]["kept"].iat[0] == pytest.approx(1.0, abs=1e-9)


def test_copies_are_scenarios_of_the_same_story() -> None:
    scenario = with_copies(Scenario.load("monolithic"), 3)
    assert len(contested_contexts(scenario)) == 9
    assert scenario.contexts["chat_2"].twin == "chat_deployed_2"
    assert with_copies(scenario, 1) is scenario
    one, three = (
        outcomes_of({"it": with_do(specs(80, copies), ())})["it"]["kept"].iat[0]
        for copies in (1, 3)
    )
    assert three == pytest.approx(one, rel=1e-9)


def test_a_leak_changes_a_goal_that_gaming_would_keep() -> None:
    knobs: dict[str, dict[str, object]] = {"as it is": {}, "leak 1": {"training.leak": 1.0}}
    table = coverage(outcomes_of(coverage_worlds(specs(300), knobs=knobs)))
    rows = knobs_table(table).set_index("knob")
    assert rows.loc["as it is", "all"] > rows.loc["leak 1", "all"] + 0.001
    assert rows.loc["as it is", "none"] == rows.loc["leak 1", "none"]
    own = table[table["own"]]
    assert len(own) == 2
    assert own["covered"].isna().all()


def test_own_choice_is_a_run_in_which_nothing_is_done() -> None:
    one = specs(50)
    worlds = coverage_worlds(one, knobs={"longer": {"steps": 2}})
    assert worlds[f"longer|{OWN}"].interventions == ()
    assert worlds["longer|1"].training.steps == 100
    assert all(i.stop == 100 for i in worlds["longer|1"].interventions)


def test_shapes() -> None:
    at = np.linspace(0.0, 1.0, 5)
    slope, step = 2.0 * at - 1.0, np.array([-1.0, -1.0, -1.0, -1.0, 1.0])
    assert steepness(slope) == pytest.approx(1.0)
    assert steepness(step) == pytest.approx(4.0)
    assert (shape_of(slope, 1.0), shape_of(step, 4.0)) == ("slope", "threshold")
    assert np.isnan(steepness(np.ones(5)))
    assert shape_of(np.ones(5), np.nan) == "flat"
    assert needed(at, slope) == pytest.approx(0.75)
    assert needed(at, step) == pytest.approx(0.9375)
    assert needed(at, np.ones(5)) == 0.0
    assert np.isnan(needed(at, np.zeros(5)))
