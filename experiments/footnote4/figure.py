"""The figure: shares of agents that start undecided, over training, under each assumption."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sim.plots.style import MUTED, halo, house_style, title_of
from sim.specs.overrides import Specs
from sim.utils.format import percent

from .fates import MOST, SOME, STATES
from .partial_gaming import Outcome

#: From no gaming to gaming always; the two in the middle are gaming some of the time.
_COLOURS = {
    "against": "#E8E8E8",
    "undecided": "#E69F00",
    "unaware": "#56B4E9",
    "always": "#004C7A",
}
_MEANING = {
    "against": f"decided not to game (d ≤ {SOME:g})",
    "undecided": "undecided",
    "unaware": f"decided to game (d ≥ {MOST:g}), not always aware",
    "always": f"games always (g ≥ {MOST:g})",
}
_COLUMNS = 4
#: Inches between the title and the panels, for the legend.
_HEAD = 0.4


def figures(outcomes: Sequence[Outcome], specs: Specs) -> dict[str, Figure]:
    """Draw the figures of the study, by name."""
    context, agents = outcomes[0].context.replace("_", " "), outcomes[0].agents
    title = f"does gaming some of the time last? ({context}, {agents} agents)"
    return {"footnote4": shares_figure(outcomes, title=f"{specs.scenario.name}: {title}")}


def shares_figure(outcomes: Sequence[Outcome], *, title: str) -> Figure:
    """Draw shares of agents over training, a panel for each case.

    Args:
        outcomes: The study.
        title: What was run.
    """
    with house_style():
        rows = -(-len(outcomes) // _COLUMNS)
        height = 1.95 * rows + _HEAD
        # The legend stands between the title and the panels, in room of its own.
        below = ConstrainedLayoutEngine(rect=(0.0, 0.0, 1.0, 1.0 - _HEAD / height))
        figure = Figure(figsize=(11.0, height), layout=below)
        axes = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
        panels = list(axes.flat)
        for ax, outcome in zip(panels, outcomes, strict=False):
            _draw(ax, outcome)
        for ax in panels[max(0, len(outcomes) - _COLUMNS) : len(outcomes)]:
            ax.set_xlabel("training step")
            ax.tick_params(labelbottom=True)
        for ax in axes[:, 0]:
            ax.set_ylabel("share of agents")
        for ax in panels[len(outcomes) :]:
            ax.set_axis_off()
        dark = halo(_COLOURS["always"], 8.0)  # as the line lies on the areas
        handles: list[Patch | Line2D] = [
            Patch(facecolor=_COLOURS[s], edgecolor=MUTED, lw=0.4, label=_MEANING[s]) for s in STATES
        ]
        handles.append(
            Line2D([], [], color="white", lw=1.2, dashes=(2, 2), label="half had decided", **dark)
        )
        title_of(figure, title)
        figure.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(0.01, 1.0 - 0.3 / height),
            borderaxespad=0.0, ncols=len(handles), frameon=False, fontsize=8.5,
            columnspacing=1.4, handlelength=1.6,
        ).set_in_layout(False)  # fmt: skip
        return figure


def _draw(ax: Axes, outcome: Outcome) -> None:
    steps = np.maximum(outcome.steps, 0.8)
    stacked = [outcome.shares[:, STATES.index(state)] for state in STATES]
    ax.stackplot(steps, stacked, colors=[_COLOURS[s] for s in STATES], lw=0)
    ax.set(xscale="log", xlim=(steps[0], steps[-1]), ylim=(0.0, 1.0))
    ax.set_title(f"{outcome.case.label}\n", fontsize=9)
    note_text = f"{percent(outcome.undecided[-1])} left at the end"
    if np.isfinite(outcome.half_life):
        note_text = f"half by step {outcome.half_life:,.0f}, {note_text}"
        ax.axvline(outcome.half_life, color="white", lw=1.2, dashes=(2, 2))
    note = ax.text(0.0, 1.03, note_text, transform=ax.transAxes, fontsize=7.5, color=MUTED)
    note.set_in_layout(False)  # a long one would make all panels narrow
