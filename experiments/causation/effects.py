"""Effects of contrasts: mean differences between twins that share every random draw.

The post: "Causally, instrumental training-gaming might reinforce those factors [...], making the
model more worst-case-like."

Interventions last as long as training, and agents are measured free of them at its end.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.analysis.counterfactuals import paired_difference, paired_table, policy_distance
from sim.dynamics.measures import cosine
from sim.dynamics.state import Array
from sim.specs.overrides import Specs
from sim.specs.scenario import Scenario

from .contrasts import Contrast, Do, with_do


def effect_worlds(specs: Specs, contrasts: Mapping[str, Contrast]) -> dict[str, Specs]:
    """Return all worlds that contrasts need, by `CONTRAST|first` and `CONTRAST|second`.

    One that several contrasts need is there once, by its first name.

    Raises:
        SpecError: Something cannot be done.
    """
    return {name: with_do(specs, side) for side, name in _names(contrasts).items()}


def effects(
    contrasts: Mapping[str, Contrast],
    outcomes: Mapping[str, pd.DataFrame],
    *,
    groups: Mapping[str, NDArray[np.bool_]],
    policies: Mapping[str, Array],
) -> pd.DataFrame:
    """Return the effects, a row for each contrast, group of agents and outcome.

    `deployed_policy` is a distance (total variation between the deployed policies of twins), not a
    difference; a scenario in which nobody is deployed has none.

    Args:
        contrasts: Interventions on either twin.
        outcomes: Outcomes of `effect_worlds`.
        groups: Of each agent, whether it belongs [agent]; a group of nobody is left out.
        policies: Of the same worlds, as `counterfactuals.policies_by_world` returns them.
    """
    world = _names(contrasts)
    tables = []
    for name, sides in contrasts.items():
        first, second = (world[side] for side in sides)
        for group, members in groups.items():
            if not members.any():
                continue
            table = paired_table(outcomes[first][members], outcomes[second][members])
            if policies[first].shape[1]:
                apart = policy_distance(policies[first][members], policies[second][members])
                distance = paired_difference(apart, np.zeros_like(apart))
                row = {"outcome": "deployed_policy", "first": np.nan, "second": np.nan, **distance}
                table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
            table.insert(0, "contrast", name)
            table.insert(1, "group", group)
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def groups_at_start(
    start: Array, scenario: Scenario, *, threshold: float
) -> dict[str, NDArray[np.bool_]]:
    """Return groups of agents by the alignment with which they start [agent].

    Args:
        start: Their values [agent, value].
        scenario: Whose human values they are compared with.
        threshold: Of egregious misalignment; below 0.

    Returns:
        `all`; `aligned` and `misaligned`, those beyond the threshold on either side.
    """
    human = np.array([scenario.human_values.get(value, 0.0) for value in scenario.values])
    alignment = cosine(start, human)
    return {
        "all": np.ones(len(start), bool),
        "aligned": alignment >= -threshold,
        "misaligned": alignment <= threshold,
    }


def _names(contrasts: Mapping[str, Contrast]) -> dict[Do, str]:
    """Return the name of the world of each side."""
    names: dict[Do, str] = {}
    for name, (first, second) in contrasts.items():
        names.setdefault(first, f"{name}|first")
        names.setdefault(second, f"{name}|second")
    return names
