"""Names of version 1 of the model: each is refused in one line that has the new one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import sim
from refusals import assert_all_refused
from sim.specs.errors import RENAMED, nearest
from sim.specs.library import read_data
from sim.specs.overrides import read_specs
from sim.specs.prior import Prior
from sim.sweeps.design import Grid
from sim.sweeps.plan import Part, check_part
from sim.sweeps.prior_sample import PriorSample

SPREAD = "training.spread: unknown key; since version 2 of the model it is 'generalisation.habit'"
RULE = "training.update_rule: got 'replicator': since version 2 of the model it is 'natural_gradi"
AXES = {
    "x": {"key": "training.spread", "low": 0, "high": 1},
    "y": {"key": "training.leak", "low": 0, "high": 1},
}


def prior_of_spread() -> None:
    specs = read_specs("monolithic")
    prior = Prior.load({"distributions": {"training.spread": {"kind": "beta", "a": 1, "b": 1}}})
    design = PriorSample(prior, points=2, scenario=specs.scenario)
    check_part(Part(specs=specs, design=design, seeds=(0,)))


def test_old_names_are_refused_from_everywhere_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "training.yaml"
    file.write_text("spread: 0.1\n")
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: sim.Training(spread=0.1), SPREAD),  # type: ignore[call-arg]
        (lambda: sim.Training(update_rule="replicator"), RULE),  # type: ignore[arg-type]
        (lambda: sim.simulate("monolithic", training={"spread": 0.3}), SPREAD),
        (lambda: sim.Training.parse(read_data("training", file), path="training"), SPREAD),
        (lambda: sim.sweep("monolithic", axes={"training.spread": [0, 1]}), SPREAD),
        (lambda: sim.sweep("monolithic", axes={"training.update_rule": ["replicator"]}), RULE),
        (lambda: sim.sweep("monolithic", design=Grid({"training.spread": [0, 1]})), SPREAD),
        (lambda: sim.phase_diagram("monolithic", **AXES), SPREAD),
        (lambda: sim.bifurcations("monolithic", "training.spread", (0, 1)), SPREAD),
        (prior_of_spread, SPREAD),
        (
            lambda: sim.simulate(
                "monolithic", interventions=[{"key": "training.spread", "set": 0}]
            ),
            "interventions: 'training.spread': since version 2 of the model it is 'training.gener",
        ),
    ]
    assert_all_refused(calls)


def test_a_word_that_was_never_a_name_of_it_has_the_usual_hint() -> None:
    assert set(RENAMED) == {"spread", "replicator"}
    assert nearest("spread", ["spread_out", "leak"]).startswith("did you mean 'spread_out'")
    assert nearest("replicator", ["replicators"]).startswith("did you mean 'replicators'")
    assert sim.Agent(spread={"rationality": 0.1}).spread.rationality == 0.1  # type: ignore[arg-type]
