"""Small multiples: when gaming emerges in each scenario."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from sim.analysis.claims_map import Emergence
from sim.dynamics.measures import GAMED
from sim.plots.style import COLOURS, MUTED, house_style, title_of

_COLUMNS = 4


def emergence_figure(found: Sequence[Emergence]) -> tuple[Figure, str]:
    """Draw a panel for each scenario, a line for each training context; and say it."""
    with house_style():
        rows = -(-len(found) // _COLUMNS)
        figure = Figure(figsize=(9.6, 1.75 * rows + 0.5), layout="constrained")
        axes = figure.subplots(rows, _COLUMNS, sharey=True, squeeze=False)
        told = []
        for ax, one in zip(axes.flat, found, strict=False):
            gamed = [name for name, rate in one.rates.items() if rate[-1] >= GAMED]
            for name, rate in one.rates.items():
                colour = COLOURS[0] if name in gamed else "#8C8C8C"
                ax.plot(one.steps, rate, color=colour, lw=1.6)
            ax.axhline(GAMED, color=MUTED, lw=0.6, dashes=(2, 2))
            ax.set(ylim=(-0.03, 1.03), xlim=(0, one.steps[-1]))
            ax.set_xticks([0, one.steps[-1]])
            ax.set_title(one.scenario.name.replace("_", " "), fontsize=8.5)
            ax.text(
                0.97, 0.06, f"{len(gamed)} of {len(one.rates)} gamed", ha="right", fontsize=7.5,
                transform=ax.transAxes, color=MUTED,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
            )  # fmt: skip
            told.append(f"{one.scenario.name}: {len(gamed)} of {len(one.rates)} contexts gamed")
        for ax in list(axes.flat)[len(found) :]:
            ax.set_axis_off()
        for ax in axes[:, 0]:
            ax.set_ylabel("gaming rate", fontsize=8)
        some = sum(any(rate[-1] >= GAMED for rate in one.rates.values()) for one in found)
        every = sum(all(rate[-1] >= GAMED for rate in one.rates.values()) for one in found)
        title = (
            f"Gaming ends up in some training context of {some} of {len(found)} scenarios, "
            f"in all contexts of {every}"
        )
        title_of(figure, title)
        lines = "a line for each training context; blue: at 0.5 or above when training ends"
        figure.supxlabel(f"training step ({lines})", fontsize=8, color=MUTED)
        return figure, f"{title}. Gaming rate over training, a panel each. {'; '.join(told)}."
