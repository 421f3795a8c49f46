"""The figures of the study; here, the share of a goal that is kept, against coverage."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sim.plots.style import COLOURS, DASHES, MUTED, EndLabel, house_style, label_ends, title_of
from sim.specs.overrides import Specs

from .contrasts import AS_IT_IS
from .figure_effects import effects_figure
from .figure_matrices import mediation_figure, scenarios_figure
from .self_modification import HALF, SCENARIO
from .study import Results, Settings

#: Which knobs stand together, each panel with the run as it is.
_PANELS = {
    "how long training lasts": ("shorter", "longer"),
    "what gaming leaves unprotected": ("leak",),
    "other assumptions": ("motive_credit", "anchor", "sampled"),
}


def figures(results: Results, specs: Specs, settings: Settings) -> dict[str, Figure]:
    """Return the figure of each part that was run."""
    name, tables, pictures = specs.scenario.name, results.tables, {}
    if "effects" in tables:
        sizes = results.group_sizes
        pictures["effects"] = effects_figure(tables["effects"], sizes=sizes, name=name)
    if "mediation" in tables:
        cause = results.cause
        pictures["mediation"] = mediation_figure(tables["mediation"], name=name, cause=cause)
    if "scenarios" in tables:
        pictures["scenarios"] = scenarios_figure(tables["scenarios"])
    if "self_modification" in tables:
        title = f"{SCENARIO} x {settings.copies}"
        coverage = tables["self_modification"]
        pictures["self_modification"] = self_modification_figure(coverage, name=title)
    return pictures


def self_modification_figure(coverage: pd.DataFrame, *, name: str) -> Figure:
    """Draw what is kept against coverage, a line for each knob, and the agent's own choice.

    Args:
        coverage: As `coverage` returns it.
        name: Of the scenario.
    """
    with house_style():
        figure = Figure(figsize=(13.0, 4.8), layout="constrained")
        axes = figure.subplots(1, len(_PANELS), sharey=True)
        lowest = min(0.0, float(coverage["low"].min()))
        for ax, (title, starts) in zip(axes, _PANELS.items(), strict=True):
            knobs = [
                knob
                for knob in dict.fromkeys(coverage["knob"])
                if knob == AS_IT_IS or knob.startswith(starts)
            ]
            ax.set(xlim=(0.0, 1.02), ylim=(1.05 * lowest - 0.05, 1.1), title=title)
            _draw(ax, coverage, knobs)
            ax.set_xlabel("share of contested contexts in which gaming is forced")
        last = axes[-1]
        for level, text in ((HALF, "half"), (0.0, "nothing left; below: reversed")):
            last.text(0.01, level, text, va="bottom", color=MUTED, fontsize=8)
        axes[0].set_ylabel("share of the goal that is kept")
        handles = axes[0].plot([], [], "o", mfc="white", mec="black", label="own choice")
        axes[0].legend(handles=handles, loc="lower right", frameon=False)
        title_of(figure, f"{name}: what is kept of the goal, by coverage")
    return figure


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
