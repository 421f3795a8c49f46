"""The figure of footnote 4: what becomes of agents that start undecided, under each assumption."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sim.analysis.footnote4 import STATES, Outcome
from sim.plots.style import MUTED, house_style

#: From no gaming to gaming always; the two in the middle are gaming some of the time.
_COLOURS = {
    "never": "#E8E8E8",
    "undecided": "#E69F00",
    "unaware": "#56B4E9",
    "always": "#004C7A",
}
_MEANING = {
    "never": "games hardly ever",
    "undecided": "some of the time: undecided",
    "unaware": "some of the time: decided, not always aware",
    "always": "games always",
}
_COLUMNS = 4


def footnote4(outcomes: Sequence[Outcome], *, title: str) -> Figure:
    """Draw shares of agents over training, a panel for each case.

    Args:
        outcomes: The study.
        title: What was run.
    """
    with house_style():
        rows = -(-(len(outcomes) + 1) // _COLUMNS)
        figure = Figure(figsize=(11.0, 2.2 * rows + 0.6), layout="constrained")
        axes = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
        for ax, one in zip(axes.flat, outcomes, strict=False):
            _draw(ax, one)
        for ax in axes[-1]:
            ax.set_xlabel("training step")
        for ax in axes[:, 0]:
            ax.set_ylabel("share of agents")
        spare = list(axes.flat)[len(outcomes) :]
        for ax in spare:
            ax.set_axis_off()
        handles = [
            Patch(facecolor=_COLOURS[s], edgecolor=MUTED, lw=0.4, label=_MEANING[s])
            for s in reversed(STATES)
        ]
        legend = spare[0].legend(handles=handles, loc="upper left", frameon=False)
        legend.set_in_layout(False)
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
        return figure


def _draw(ax: Axes, one: Outcome) -> None:
    steps = np.maximum(one.steps, 0.8)
    stacked = [one.shares[:, STATES.index(state)] for state in STATES]
    ax.stackplot(steps, stacked, colors=[_COLOURS[s] for s in STATES], lw=0)
    ax.set(xscale="log", xlim=(steps[0], steps[-1]), ylim=(0.0, 1.0))
    ax.set_title(f"({one.case.letter}) {one.case.label}\n", fontsize=9)
    left = f"{100.0 * one.undecided[-1]:.0f} % stay undecided"
    if np.isfinite(one.half_life):
        left = f"half decided by step {one.half_life:,.0f}; {left}"
        ax.axvline(one.half_life, color="white", lw=1.2, dashes=(2, 2))
    told = f"{one.verdict}: {left}"
    ax.text(0.0, 1.03, told, transform=ax.transAxes, fontsize=7.5, color=MUTED)
