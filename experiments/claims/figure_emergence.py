"""Small multiples: when gaming emerges in each scenario."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from sim.dynamics.measures import GAMED
from sim.plots.style import COLOURS, MUTED, house_style, title_of

from .map import Emergence

_COLUMNS = 4
_OTHER = "#8C8C8C"


def emergence_figure(scenarios: Sequence[Emergence]) -> Figure:
    """Draw a panel for each scenario, a line for each training context."""
    with house_style():
        rows = -(-len(scenarios) // _COLUMNS)
        figure = Figure(
            figsize=(10.4, 1.72 * rows + 0.9),
            layout=ConstrainedLayoutEngine(w_pad=0.09, h_pad=0.06),
        )
        axes = figure.subplots(rows, _COLUMNS, sharey=True, squeeze=False)
        for ax, emergence in zip(axes.flat, scenarios, strict=False):
            gamed = [name for name, rate in emergence.rates.items() if rate[-1] >= GAMED]
            for name, rate in emergence.rates.items():
                colour = COLOURS[0] if name in gamed else _OTHER
                ax.plot(emergence.steps, rate, color=colour, lw=1.7, clip_on=False)
            ax.axhline(GAMED, color=MUTED, lw=0.6, dashes=(2, 2))
            ax.set(ylim=(0.0, 1.0), xlim=(0, emergence.steps[-1]))
            ax.set_yticks([0.0, 0.5, 1.0])
            ax.set_xticks(
                [0, emergence.steps[-1]], ["0", f"{emergence.steps[-1]:,.0f}"], fontsize=8
            )
            first, last = ax.get_xticklabels()
            first.set_ha("left")
            last.set_ha("right")
            name = emergence.scenario.name.replace("_", " ")
            ax.set_title(f"{name}\n", fontsize=9)
            note = f"gamed: {len(gamed)} of {len(emergence.rates)} contexts"
            ax.text(0.0, 1.05, note, fontsize=8, transform=ax.transAxes, color=MUTED)
        for ax in list(axes.flat)[len(scenarios) :]:
            ax.set_axis_off()
        for ax in axes[:, 0]:
            ax.set_ylabel("gaming rate", fontsize=8)
        handles = [
            Line2D(
                [], [], color=COLOURS[0], label="context that is gamed (0.5 or more) at the end"
            ),
            Line2D([], [], color=_OTHER, label="context that is not"),
            Line2D([], [], color=MUTED, lw=0.6, dashes=(2, 2), label="0.5"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
        for ax in list(axes.flat)[max(0, len(scenarios) - _COLUMNS) : len(scenarios)]:
            ax.set_xlabel("training step", fontsize=8, labelpad=-6)
        title_of(figure, emergence_title(scenarios))
        return figure


def emergence_title(scenarios: Sequence[Emergence]) -> str:
    """Return the title: the number of scenarios in which gaming emerges."""
    some = sum(
        any(rate[-1] >= GAMED for rate in emergence.rates.values()) for emergence in scenarios
    )
    every = sum(
        all(rate[-1] >= GAMED for rate in emergence.rates.values()) for emergence in scenarios
    )
    return (
        f"When gaming emerges: at the end in some training context of {some}, in every one of "
        f"{every} of {len(scenarios)} scenarios"
    )
