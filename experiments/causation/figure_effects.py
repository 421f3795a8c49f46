"""The figure of effects: what a contrast causes, outcome by outcome, with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sim.plots.style import COLOURS, MUTED, house_style, spaced, title_of
from sim.utils.format import signed

from .effects import is_among, is_sure

#: Names of outcomes for a reader, where they differ from the column's.
_NAMES = {
    "kept": "what is kept of the goal",
    "gaming_rate": "gaming rate in training",
    "instrumental_gaming": "instrumental gaming in training",
    "deployment_conduct": "conduct where deployed",
    "slip_deployed": "slips where deployed",
    "deployed_policy": "deployed policy (distance)",
    "terms_met": "worst-case terms met (count)",
    "worst_case": "all worst-case terms met",
    "success": "P(success)",
}
_GROUPS = {
    "all": ("all agents", COLOURS[2], "o"),
    "aligned": ("start aligned", COLOURS[0], "s"),
    "misaligned": ("start misaligned", COLOURS[1], "D"),
}
#: Panels by unit: a title, and how the outcomes in it begin.
_PANELS = (
    ("values", ("kept", "strength.", "value_drift", "alignment")),
    ("what else training changes", ("awareness", "log_horizon", "log_competence", "capability.")),
    (
        "what agents do at the end (chances, shares, conduct)",
        (
            *("gaming_rate", "instrumental_gaming", "reach", "opacity_share", "consistency"),
            *("behaviour_shift", "deployment_conduct"),
            *("slip_deployed", "deployed_policy", "success"),
        ),
    ),
    ("worst case: share of agents that meet it", ("met.", "worst_case", "attempts")),
)


def outcome_label(outcome: str) -> str:
    """Return an outcome's name as a reader has it."""
    kind, point, name = outcome.partition(".")
    if point:
        return spaced(f"{name} met" if kind == "met" else f"{kind} of {name}")
    return _NAMES.get(outcome, spaced(outcome))


def effects_figure(effects: pd.DataFrame, *, sizes: Mapping[str, int], name: str) -> Figure:
    """Draw every effect of the main contrast, by alignment at the start.

    Args:
        effects: As `effects` returns them.
        sizes: Numbers of agents by group.
        name: Of the scenario.
    """
    contrast = effects["contrast"].iat[0]
    table = effects[effects["contrast"] == contrast]
    with house_style():
        figure = Figure(figsize=(12.0, 8.0), layout="constrained")
        for ax, (title, names) in zip(figure.subplots(2, 2).flat, _PANELS, strict=True):
            _draw(ax, table[[is_among(outcome, names) for outcome in table["outcome"]]], sizes)
            ax.set_title(title)
        figure.legend(
            *figure.axes[0].get_legend_handles_labels(),
            title="effect: mean difference between twins, with its 95 % interval "
            "(numbers on the right: all agents; grey: the interval has 0 in it)",
            loc="outside lower center", ncols=3, frameon=False,
        )  # fmt: skip
        title_of(figure, f"{name}: effects of {contrast}")
    return figure


def _draw(ax: Axes, table: pd.DataFrame, sizes: Mapping[str, int]) -> None:
    place = {outcome: i for i, outcome in enumerate(dict.fromkeys(table["outcome"]))}
    groups = [group for group in _GROUPS if (table["group"] == group).any()]
    for index, group in enumerate(groups):
        label, colour, marker = _GROUPS[group]
        rows = table[table["group"] == group]
        y = rows["outcome"].map(place).to_numpy(float) + 0.24 * (index - 0.5 * (len(groups) - 1))
        ax.hlines(y, rows["low"], rows["high"], color=colour, lw=1.4)
        text = f"{label} ({sizes[group]:,})"
        ax.plot(rows["effect"].to_numpy(), y, marker, color=colour, ms=4.0, label=text)
    ax.axvline(0.0, color=MUTED, lw=0.8)
    ax.set_yticks(range(len(place)), [outcome_label(outcome) for outcome in place])
    ax.set_ylim(len(place) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    # The effects on all agents as numbers beside the rows: some are too small to be seen.
    for row in table[table["group"] == "all"].to_dict("records"):
        sure, effect = is_sure(row), row["effect"]
        ax.annotate(
            signed(effect, 4 if 0.0 < abs(effect) < 0.01 else 2), xy=(1.01, place[row["outcome"]]),
            xycoords=("axes fraction", "data"), va="center", fontsize=8,
            color=_GROUPS["all"][1] if sure else MUTED, style="normal" if sure else "italic",
        )  # fmt: skip
    for i in range(0, len(place), 2):
        ax.axhspan(i - 0.5, i + 0.5, color="#F4F4F4", zorder=0, lw=0)
