"""The figure of self-modification: what is kept of a goal against where gaming is forced."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.causation.self_modification import AS_IT_IS, HALF, Coverage
from sim.plots.style import COLOURS, DASHES, MUTED, EndLabel, house_style, label_ends, title_of
from sim.utils.format import percent, shown

#: Which knobs stand together, each panel with the run as it is.
_PANELS = {
    "how long training lasts": ("shorter", "longer"),
    "what gaming leaves unprotected": ("leak",),
    "other assumptions": ("motive_credit", "anchor", "sampled"),
}


def self_modification_figure(found: Coverage, *, name: str) -> Figure:
    """Draw what is kept against coverage, a line for each knob, and the agent's own choice.

    Args:
        found: The study.
        name: Of the scenario.
    """
    with house_style():
        figure = Figure(figsize=(13.0, 4.8), layout="constrained")
        axes = figure.subplots(1, len(_PANELS), sharey=True)
        lowest = min(0.0, float(found.table["low"].min()))
        for ax, (title, starts) in zip(axes, _PANELS.items(), strict=True):
            knobs = [
                knob
                for knob in found.knobs["knob"]
                if knob == AS_IT_IS or str(knob).startswith(starts)
            ]
            ax.set(xlim=(0.0, 1.02), ylim=(1.05 * lowest - 0.05, 1.1), title=title)
            _draw(ax, found.table, knobs)
            ax.set_xlabel("share of contested contexts in which gaming is forced")
        last = axes[-1]
        for level, text in ((HALF, "half"), (0.0, "nothing left; below: reversed")):
            last.text(0.01, level, text, va="bottom", color=MUTED, fontsize=8)
        axes[0].set_ylabel("share of the goal that is kept")
        handles = axes[0].plot([], [], "o", mfc="white", mec="black", label="own choice")
        axes[0].legend(handles=handles, loc="lower right", frameon=False)
        title_of(figure, f"{name}: {self_modification_title(found)}")
    return figure


def self_modification_title(found: Coverage) -> str:
    """Say what coverage keeps half of the goal, and how that depends on how long training is."""
    parts = []
    for _, row in found.knobs.iterrows():
        knob = str(row["knob"])
        if knob == AS_IT_IS or knob.startswith(_PANELS["how long training lasts"]):
            needed = row["needed"]
            need = "no coverage does" if needed != needed else percent(needed)
            parts.append(f"{knob} {need} ({row['shape']})")
    row = found.knobs.iloc[0]
    return (
        f"coverage that keeps {percent(HALF)} of the goal: {', '.join(parts)}; the agent's own "
        f"choice keeps {shown(row['own_kept'], 2)}"
    )


def _draw(ax: Axes, table: pd.DataFrame, knobs: list[str]) -> None:
    labels = []
    for index, knob in enumerate(knobs):
        colour = COLOURS[2] if knob == AS_IT_IS else COLOURS[(0, 1, 3)[(index - 1) % 3]]
        rows = table[(table["knob"] == knob) & ~table["own"]]
        own = table[(table["knob"] == knob) & table["own"]]
        ax.fill_between(rows["coverage"], rows["low"], rows["high"], color=colour, alpha=0.2, lw=0)
        dashes = DASHES[index]
        ax.plot(rows["coverage"], rows["kept"], color=colour, dashes=dashes or (None, None))
        ax.plot(own["coverage"], own["kept"], "o", mfc="white", mec=colour, ms=6, zorder=5)
        labels.append(EndLabel(knob, float(rows["kept"].iat[-1]), colour))
    ax.axhline(HALF, color=MUTED, lw=0.7)
    ax.axhline(0.0, color=MUTED, lw=0.7, dashes=(1, 2))
    label_ends(ax, labels)
