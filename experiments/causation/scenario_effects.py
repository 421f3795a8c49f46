"""How the effects of gaming depend on the scenario and on assumptions about training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from sim.analysis.counterfactuals import paired_table
from sim.specs.overrides import Specs, apply_overrides, read_specs
from sim.specs.scenario import Scenario

from .contrasts import in_training, with_do

AS_IT_IS = "as it is"
#: Assumptions under which effects are compared; no setting: as it is.
ASSUMPTIONS: Mapping[str, Mapping[str, object]] = {
    AS_IT_IS: {},
    "motive_credit 0": {"training.motive_credit": 0.0},
    "leak 0.3": {"training.leak": 0.3},
    "spread 0.5": {"training.spread": 0.5},
    "anchor 0.01": {"training.anchor": 0.01},
    "replicator": {"training.update_rule": "replicator"},
}
#: How far agents of one story differ from each other.
_STORY_SPREAD = {"values": 0.1, "habit": 0.5, "awareness": 0.5}


def scenario_worlds(
    names: Sequence[str],
    assumptions: Mapping[str, Mapping[str, object]] = ASSUMPTIONS,
    *,
    specs: Specs,
) -> dict[str, Specs]:
    """Return twins with and without gaming, by `SCENARIO|ASSUMPTION|with` or `without`.

    Every scenario has the agent of its own story, in copies that differ a little from each other.

    Args:
        names: Of scenarios.
        assumptions: What is changed under each, by key; no setting: as it is.
        specs: Of which training is taken over.

    Raises:
        SpecError: There is no such scenario, or an assumption does not fit.
    """
    worlds = {}
    for name in names:
        scenario = Scenario.load(name)
        own = scenario.agent.replace(spread={"initial": _STORY_SPREAD})
        plain = read_specs(scenario, agent=own, training=specs.training)
        for label, settings in assumptions.items():
            variant = apply_overrides(plain, settings)
            off = in_training(variant, {"key": "gaming", "set": 0.0})
            worlds[f"{name}|{label}|with"] = variant
            worlds[f"{name}|{label}|without"] = with_do(variant, off)
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
