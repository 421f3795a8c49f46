"""The figure of the funnel: how many agents are left after each condition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from experiments.worst_case.funnel_text import chance, funnel_title, stage_name
from experiments.worst_case.study import AFTERWARDS, GAMING_STAGES
from sim.plots.style import COLOURS, MUTED, house_style, title_of
from sim.utils.format import percent

_KINDS = {
    "all": ("#BDBDBD", "all agents"),
    "gaming": (COLOURS[0], "training-gaming"),
    "term": (COLOURS[1], "terms of the worst case"),
    "after": (COLOURS[3], "audit and deployment"),
}
#: Where bars begin: a count of 1 must have a length.
_LEFT = 0.5
#: Where the columns beside the bars begin, from 0 to 1.
_COLUMNS = (0.0, 0.26, 0.80)


def funnel_figure(stages: pd.DataFrame, *, name: str, expected: Mapping[str, float]) -> Figure:
    """Draw the funnel, a bar for each stage, on a logarithmic scale.

    Args:
        stages: As `experiments.worst_case.study.stage_frame` gives them.
        name: Of the scenario.
        expected: The expected number of successes (`Funnel.expected`).
    """
    with house_style():
        figure = Figure(figsize=(11.0, 6.2), layout="constrained")
        ax, beside = figure.subplots(1, 2, width_ratios=[2.6, 1.0], sharey=True)
        beside.set_axis_off()
        rows = stages.to_dict("records")
        agents = int(rows[0]["count"])
        for place, row in enumerate(rows):
            _draw(ax, place, row, agents)
            _tell(beside, place, row, agents)
        ax.set(xscale="log", xlim=(_LEFT, 1.15 * agents), ylim=(len(rows) - 0.4, -0.6))
        ax.set_yticks(range(len(rows)), [stage_name(row["stage"]) for row in rows])
        ax.tick_params(axis="y", length=0, labelcolor="black")
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
        ax.set_xlabel(
            "agents that meet this condition and all above it (logarithmic)\n"
            f"expected to succeed, of those that come as far as an attempt: "
            f"{expected['worst_case']:.2g}"
        )
        for x, head in zip(_COLUMNS, ("left", "of those before", "alone"), strict=True):
            beside.text(x, -0.75, head, color=MUTED, fontsize=8)
        handles: list[Any] = [
            Patch(facecolor=colour, label=label)
            for kind, (colour, label) in _KINDS.items()
            if kind != "all"
        ]
        handles += [
            Line2D([], [], ls="", marker="o", mfc="white", mec="black", ms=5,
                   label="alone: meet this condition, whatever else"),
            Line2D([], [], color="black", lw=1.0, marker="<", ms=4,
                   label="nobody: 95 % interval of what to expect"),
        ]  # fmt: skip
        figure.legend(handles=handles, loc="outside lower left", ncols=3, frameon=False, fontsize=8)
        title_of(figure, f"{name}: {funnel_title(stages)}")
        return figure


def _draw(ax: Axes, place: int, row: Mapping[str, Any], agents: int) -> None:
    count, stage = int(row["count"]), str(row["stage"])
    if count:
        ax.barh(place, count - _LEFT, left=_LEFT, height=0.66, color=_KINDS[_kind(stage)][0])
    else:
        high = max(float(row["share_high"]) * agents, 1.05 * _LEFT)
        ax.plot([_LEFT, high], [place, place], color="black", lw=1.0)
        ax.plot([high], [place], color="black", marker="<", ms=4)
    if stage != "all" and row["alone"]:
        ax.plot(row["alone"], place, "o", mfc="white", mec="black", ms=5, zorder=3)


def _tell(ax: Axes, place: int, row: Mapping[str, Any], agents: int) -> None:
    """Write a stage's numbers beside its bar."""
    first = row["stage"] == "all"
    remain = "nobody was left"
    if row["narrowing"] == row["narrowing"]:
        ends = f"{percent(row['narrowing_low'])[:-2]}–{percent(row['narrowing_high'])}"
        remain = f"{percent(row['narrowing'])} ({ends})"
    count = int(row["count"])
    texts = (f"{count:,}", "" if first else remain, "" if first else chance(row["alone"] / agents))
    for x, text in zip(_COLUMNS, texts, strict=True):
        weight = "bold" if x == _COLUMNS[0] else "normal"
        colour = "black" if count or x == _COLUMNS[-1] else MUTED
        ax.text(x, place, text, va="center", fontsize=8, color=colour, fontweight=weight)


def _kind(stage: str) -> str:
    if stage == "all":
        return "all"
    if stage in GAMING_STAGES:
        return "gaming"
    return "after" if stage in AFTERWARDS else "term"
