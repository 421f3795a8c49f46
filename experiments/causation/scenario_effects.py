"""Dependence of the effects of gaming on the scenario and on assumptions about training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from sim.analysis.counterfactuals import paired_table
from sim.specs.overrides import Specs, apply_overrides, read_specs
from sim.specs.scenario import Scenario

from .contrasts import AS_IT_IS, LEAK, NO_CREDIT, Assumptions, with_do, without_gaming

#: Assumptions under which effects are compared.
ASSUMPTIONS: Assumptions = {
    AS_IT_IS: {},
    **NO_CREDIT,
    **LEAK,
    "spread 0.5": {"training.spread": 0.5},
    "anchor 0.01": {"training.anchor": 0.01},
    "replicator": {"training.update_rule": "replicator"},
}
#: Differences between agents of one story.
_STORY_SPREAD = {"values": 0.1, "habit": 0.5, "awareness": 0.5}


def scenario_worlds(
    names: Sequence[str], assumptions: Assumptions = ASSUMPTIONS, *, specs: Specs
) -> dict[str, Specs]:
    """Return twins with and without gaming, by `SCENARIO|ASSUMPTION|with` or `without`.

    Every scenario has the agent of its own story, in copies that differ a little from each other;
    training is that of the specs.

    Raises:
        SpecError: There is no such scenario, or an assumption does not fit.
    """
    worlds = {}
    for name in names:
        scenario = Scenario.load(name)
        own = scenario.agent.replace(spread={"initial": _STORY_SPREAD})
        plain = read_specs(scenario, agent=own, training=specs.training)
        for assumption, settings in assumptions.items():
            variant = apply_overrides(plain, settings)
            worlds[f"{name}|{assumption}|with"] = variant
            worlds[f"{name}|{assumption}|without"] = with_do(variant, without_gaming(variant))
    return worlds


def scenario_effects(outcomes: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the effect of gaming on every outcome, by scenario and assumption."""
    tables = []
    for name in outcomes:
        scenario, assumption, twin = name.split("|")
        if twin == "with":
            without = outcomes[f"{scenario}|{assumption}|without"]
            table = paired_table(outcomes[name], without)
            tables.append(table.assign(scenario=scenario, assumption=assumption))
    return pd.concat(tables, ignore_index=True)
