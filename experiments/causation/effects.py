"""Effects of gaming: mean differences between twins that share every random draw.

The post: "Causally, instrumental training-gaming might reinforce those factors [...], making the
model more worst-case-like."

Interventions last as long as training, and agents are measured free of them at its end. Effects are
those of contrasts, or those of gaming by scenario and by assumption about training.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.analysis.counterfactuals import paired_difference, paired_table, policy_distance
from sim.dynamics.measures import cosine
from sim.dynamics.state import Array
from sim.specs.overrides import Specs, apply_overrides, read_specs
from sim.specs.scenario import Scenario
from sim.utils.intervals import interval_verdict

from .contrasts import (
    AS_IT_IS,
    LEAK,
    NO_CREDIT,
    Assumptions,
    Contrast,
    Do,
    with_do,
    without_gaming,
)

#: The outcomes of verdicts.
OUTCOMES = (
    *("kept", "alignment", "deployment_conduct", "awareness", "log_horizon", "consistency"),
    "behaviour_shift",
)
#: Assumptions under which effects are compared.
ASSUMPTIONS: Assumptions = {
    AS_IT_IS: {},
    **NO_CREDIT,
    **LEAK,
    "generalisation 0.5": {"training.generalisation.habit": 0.5},
    "anchor 0.01": {"training.anchor": 0.01},
    "natural gradient": {"training.update_rule": "natural_gradient"},
    "advantages normalised": {"training.advantages": "normalised"},
    "propensities learnt": {"training.learning_rate.propensity": 0.01},
    "foresight a tenth": {"agent.foresight": 1.0},
}
#: Differences between agents of one story.
_STORY_SPREAD = {"values": 0.1, "habit": 0.5, "awareness": 0.5}


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
        threshold: Of alignment; below 0.

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


def effect_verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """Return the effects of the main contrast on some outcomes, by group of agents.

    `verdict`: `raised`, `lowered`, `open`, or `no effect` where no agent differs from its twin.

    Args:
        table: As `effects` returns it.
    """
    main = table[table["contrast"] == table["contrast"].iat[0]]
    rows = main[main["outcome"].isin([*OUTCOMES, "terms_met", "success"])]
    rows = rows[["contrast", "group", "outcome", "agents", "effect", "low", "high"]]
    verdicts = [
        "no effect" if low == high == 0.0 else interval_verdict(low, high, ("raised", "lowered"))
        for low, high in zip(rows["low"], rows["high"], strict=True)
    ]
    return rows.assign(verdict=verdicts)


def scenario_worlds(
    names: Iterable[str], assumptions: Assumptions = ASSUMPTIONS, *, specs: Specs
) -> dict[str, Specs]:
    """Return twins with and without gaming, by `SCENARIO|ASSUMPTION|with` or `without`.

    Every scenario has the agent of its own story, in copies that differ a little from each other;
    training is that of the specs where the story says nothing of it.

    Raises:
        SpecError: There is no such scenario, or an assumption does not fit.
    """
    worlds = {}
    for name in names:
        scenario = Scenario.load(name)
        own = scenario.agent.replace(spread={"initial": _STORY_SPREAD})
        training = scenario.training.completed_by(specs.training)
        plain = read_specs(scenario, agent=own, training=training)
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


def scenario_verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """Return in how many scenarios gaming raises and lowers some outcomes, by assumption.

    Args:
        table: As `scenario_effects` returns it.
    """
    rows = []
    for (assumption, outcome), cells in table.groupby(["assumption", "outcome"], sort=False):
        if outcome not in ("kept", "alignment", "deployment_conduct", "awareness", "terms_met"):
            continue
        if outcome != "kept" and assumption != AS_IT_IS:
            continue
        raised, lowered = int((cells["low"] > 0.0).sum()), int((cells["high"] < 0.0).sum())
        verdict = "mixed" if raised and lowered else "raised" if raised else "lowered"
        rows.append(
            {
                "assumption": assumption,
                "outcome": outcome,
                "scenarios": len(cells),
                "raised": raised,
                "lowered": lowered,
                "verdict": verdict if raised or lowered else "open",
            }
        )
    return pd.DataFrame(rows)


def is_among(outcome: str, names: Iterable[str]) -> bool:
    """Return whether names have an outcome; one that ends with a point has all that begin so."""
    return any(outcome.startswith(n) if n.endswith(".") else outcome == n for n in names)


def is_sure(rows: Any, name: str = "") -> Any:
    """Return whether the interval NAME_low to NAME_high of a row, or of each row, leaves out 0."""
    start = f"{name}_" if name else ""
    return (rows[f"{start}low"] > 0.0) | (rows[f"{start}high"] < 0.0)


def _names(contrasts: Mapping[str, Contrast]) -> dict[Do, str]:
    """Return the name of the world of each side."""
    names: dict[Do, str] = {}
    for name, (first, second) in contrasts.items():
        names.setdefault(first, f"{name}|first")
        names.setdefault(second, f"{name}|second")
    return names
