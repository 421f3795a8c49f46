"""How assumptions, thresholds, conditions, rules and passages are written in figures and tables."""

from __future__ import annotations

import re

import numpy as np

from sim.utils.format import percent, with_minus

from .spec import SIGNS, Claim, Condition, Region
from .verdicts import Rule, Split

_STAGES = {
    "all": "all agents",
    "misalignment": "egregious misalignment",
    "consistency": "consistency before deployment",
    "behaviour_shift": "behaviour shift in deployment",
    "attempts": "attempts a takeover",
}


def format_share(share: float) -> str:
    """Write a share in per cent; one below 1 is never rounded up to 100 %."""
    if 0.995 <= share < 1.0:
        return f"{np.floor(1000 * share) / 10:.1f} %"
    return percent(share)


def format_threshold(value: float | str) -> str:
    """Write a threshold or a level without trailing zeros, and a choice without underscores."""
    if isinstance(value, str):
        return value.replace("_", " ")
    if abs(value) >= 100.0:
        return with_minus(f"{value:,.0f}")
    return with_minus(np.format_float_positional(float(f"{value:.3g}") + 0.0, trim="-"))


def axis_label(key: str) -> str:
    """Return the name of an assumption: `learning rate of values` for its dotted key."""
    for start in ("agent.initial.", "agent.", "training.", "scenario.contexts."):
        key = key.removeprefix(start)
    key = key.replace("learning_rate.", "learning rate of ")
    key = key.replace("generalisation.habit", "generalisation of habits")
    return key.replace("values.", "value of ").replace("_", " ").replace(".", ", ")


def stage_label(stage: str) -> str:
    """Return the name of a condition of the funnel."""
    return _STAGES.get(stage, stage.replace("_", " "))


def condition_label(condition: Condition, claim: Claim) -> str:
    """Write a condition: the label of its quantity, the sign, the threshold."""
    label = claim.measure.quantities[condition.quantity].label
    return f"{label} {SIGNS[condition.comparison]} {format_threshold(condition.threshold)}"


def rule_label(rule: Rule, region: Region | None = None) -> str:
    """Write a rule as splits of assumptions; on a region's grid, by the grid's levels."""
    return f" {rule.joined} ".join(_split_label(split, region) for split in rule.splits)


def _split_label(split: Split, region: Region | None) -> str:
    """Write a split; a threshold between two levels of a grid as the level next to it."""
    axis = axis_label(split.axis)
    levels = region.grid.get(split.axis, ()) if region is not None else ()
    if not levels or isinstance(split.value, str):
        return f"{axis} {split.sign} {format_threshold(split.value)}"
    above = split.sign == "≥"
    inside = sorted(level for level in levels if (level >= split.value) == above)
    sign, level = ("≥", inside[0]) if above else ("≤", inside[-1])
    return f"{axis} {'=' if len(inside) == 1 else sign} {format_threshold(level)}"


def short_passage(passage: str) -> str:
    """Return a passage in short: the footnote if there is one, else what follows the heading."""
    footnote = re.search(r"[Ff]ootnote \d", passage)
    if footnote:
        return footnote.group().capitalize().replace(" ", "\u00a0")
    short = passage.rpartition("? ")[2]
    return re.sub(r" (?=\d)", "\u00a0", re.sub(r" \(.*\)$", "", short))
