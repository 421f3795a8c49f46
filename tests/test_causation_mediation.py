"""Mediation: planted mediators are found, and nothing else is; what cannot be held is refused."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.causation.contrasts import gaming_only_in, in_training
from experiments.causation.mediation import (
    MEDIATORS,
    frozen,
    is_own,
    mediation,
    mediation_worlds,
    mediators_of,
)
from sim.analysis.counterfactuals import outcomes_by_world, worlds_plan
from sim.specs.errors import SpecError
from sim.specs.overrides import Specs, read_specs
from sim.sweeps.sweep import run_plan

AGENT: dict[str, Any] = {
    "initial": {"values": {"power": 1.0, "care": 0.5}, "awareness": -1},
    "spread": {"initial": {"values": 0.5, "habit": 0.5, "awareness": 1.0}},
}
STILL = dict.fromkeys(MEDIATORS, 0)


def specs(**training: Any) -> Specs:
    return read_specs("lab_to_deployment", agent=AGENT, training={"steps": 40, **training})


@pytest.mark.parametrize("planted", ["awareness", "log_horizon"])
def test_an_effect_through_one_mediator_is_found_there_and_nowhere_else(planted: str) -> None:
    """Nothing but the planted mediator learns, and only in the first twin."""
    one = specs(learning_rate=STILL, transfer=0)
    key = f"training.learning_rate.{planted}"
    contrast = (in_training(one, {"key": key, "set": 2.0}), ())
    plan = worlds_plan(mediation_worlds(one, contrast), agents=8, engine="numpy")
    table = mediation(outcomes_by_world(plan, run_plan(plan)))
    rows = table[table["outcome"] == "gaming_rate"].set_index("route")
    assert abs(rows.loc[planted, "total"]) > 1e-4
    assert rows.loc[planted, "direct"] == 0.0
    assert rows.loc[planted, "mediated"] == rows.loc[planted, "total"]
    for other in set(mediators_of(one)) - {planted}:
        assert rows.loc[other, "mediated"] == 0.0
        assert rows.loc[other, "direct"] == rows.loc[other, "total"]
        assert rows.loc[other, ["mediated_low", "mediated_high"]].tolist() == [0.0, 0.0]
    own = table[(table["route"] == planted) & (table["outcome"] == planted)]
    assert own[["direct", "mediated"]].isna().all(axis=None)
    assert own["total"].notna().all()


def test_propensities_are_a_route_where_they_learn_and_none_where_they_do_not() -> None:
    assert "propensity" not in mediators_of(specs())
    learning = specs(learning_rate={"propensity": 0.01})
    assert mediators_of(learning) == MEDIATORS
    worlds = mediation_worlds(learning, ((), in_training(learning, {"key": "gaming", "set": 0})))
    plan = worlds_plan(worlds, agents=4, engine="numpy")
    table = mediation(outcomes_by_world(plan, run_plan(plan)))
    assert list(dict.fromkeys(table["route"]))[: len(MEDIATORS)] == list(MEDIATORS)
    route = table[(table["route"] == "propensity") & (table["outcome"] == "deployment_conduct")]
    assert abs(route["mediated"].item()) > 1e-9


def test_habits_that_gaming_holds_are_not_frozen_twice() -> None:
    one = specs()
    contexts = list(one.scenario.contexts)
    side = in_training(one, {"key": f"gaming.{contexts[0]}", "set": 1})
    held = [i.key for i in frozen(one, side, "habit")[1:]]
    assert held == [f"state.habit.{name}" for name in contexts[1:]]
    everywhere = gaming_only_in(one, contexts)
    assert frozen(one, everywhere, "habit") == everywhere


def test_what_is_the_mediator_itself() -> None:
    assert is_own("values", "strength.care")
    assert is_own("capability", "met.opacity")
    assert not is_own("awareness", "alignment")
    assert not is_own("motive_credit 0", "awareness")


def test_a_contrast_that_holds_a_mediator_is_refused_in_one_line() -> None:
    one = specs()
    contrast = (in_training(one, {"key": "state.awareness", "set": 1.0}), ())
    with pytest.raises(SpecError, match="two of them hold awareness") as refused:
        worlds_plan(mediation_worlds(one, contrast), agents=2, engine="numpy")
    assert "\n" not in str(refused.value)
