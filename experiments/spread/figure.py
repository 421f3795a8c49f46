"""The picture of where gaming gets to: the study of spread, its part `reach`."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.spread.study import RULE_NAMES, RULES
from sim.analysis.context_roles import ContextRoles
from sim.dynamics.measures import GAMED
from sim.plots.style import COLOURS, DASHES, MUTED, EndLabel, head, house_style, label_ends
from sim.utils.format import join_words


def reach_figure(
    table: pd.DataFrame, edges: pd.DataFrame, *, cast: ContextRoles, name: str
) -> Figure:
    """Draw where gaming gets to, what it would have needed there, and from which spread it does.

    Args:
        table: `experiments.spread.reach.reach_table`.
        edges: `experiments.spread.reach.thresholds`.
        cast: Which part each context plays.
        name: The scenario.
    """
    short = table["steps"].min()
    colours = _context_colours(cast)
    with house_style():
        figure = Figure(figsize=(14.0, 6.2), layout="constrained")
        grid = figure.add_gridspec(2, 3, width_ratios=[1, 1, 0.95])
        for column, rule in enumerate(RULES):
            here = table[
                (table["rule"] == rule) & (table["similarity"] == 1.0) & (table["steps"] == short)
            ]
            rates = figure.add_subplot(grid[0, column])
            rates.set(ylim=(-0.03, 1.03), title=f"{RULE_NAMES[rule]}: gaming rate at the end")
            rates.axhline(GAMED, color=MUTED, lw=0.6, ls=":")
            lines = [
                _line(rates, here, context, "gaming_rate", colours)
                for context in (cast.contested, *cast.not_paying)
            ]
            margins = figure.add_subplot(grid[1, column], sharex=rates)
            margins.set_title(f"{RULE_NAMES[rule]}: habit, less the habit needed")
            gap = here.assign(gap=here["habit"] - here["needed"])
            gaps = [_line(margins, gap, context, "gap", colours) for context in cast.not_paying]
            margins.axhline(0.0, color=MUTED, lw=0.8)
            most = max(float(np.abs(gap["gap"].replace([np.inf, -np.inf], np.nan)).max()), 1.0)
            if most > 30.0:
                margins.set_yscale("symlog", linthresh=10.0)
                margins.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
            margins.set(xlabel="spread of habits (at similarity 1)")
            margins.annotate(
                "games from here up",
                (0.98, 0.0),
                xycoords=("axes fraction", "data"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="right",
                color=MUTED,
                fontsize=7.5,
            )
            rates.set_ylabel("gaming rate" if column == 0 else "")
            margins.set_ylabel("logits" if column == 0 else "")
            for ax, ends in ((rates, lines), (margins, gaps)):
                ax.set_xlim(0.0, 1.0)
                label_ends(ax, ends, line_height=0.08)
        _thresholds(
            figure.add_subplot(grid[0, 2]), figure.add_subplot(grid[1, 2]), edges, cast, colours
        )
        paying = join_words(cast.paying)
        head(
            figure,
            f"{name}: gaming pays in {paying}. Does it reach contexts where it protects nothing?",
            "Medians over seeds at the end of training. Spread: the share of what is learnt in one "
            "context that carries over, as far as contexts are similar.",
        )
        return figure


def _thresholds(
    ax: Axes, beside: Axes, edges: pd.DataFrame, cast: ContextRoles, colours: dict[str, str]
) -> None:
    """Draw from which spread on gaming gets to a context, by similarity; the legend is `beside`."""
    handles: list[Line2D] = []
    drawn = False
    for rule, marker in zip(RULES, "os", strict=True):
        of_rule = edges[edges["rule"] == rule]
        cases = of_rule.groupby(["steps", "faster"])
        for ((steps, faster), case), dash in zip(cases, DASHES, strict=False):
            label = f"{RULE_NAMES[rule]}, {steps:,} steps"
            if faster != 1:
                label += f", habit × {faster:g}"
            style = "-" if not dash else (0, dash)
            found = False
            for context in cast.not_paying:
                line = case[(case["context"] == context) & np.isfinite(case["spread"])]
                if line.empty:
                    continue
                found = True
                ax.plot(
                    line["similarity"], line["spread"], color=colours[context], ls=style, lw=1.4,
                    marker=marker, ms=4, clip_on=False,
                    markerfacecolor="white" if rule == RULES[0] else colours[context],
                )  # fmt: skip
            drawn |= found
            if found:
                handles.append(
                    Line2D(
                        [], [], color=MUTED, ls=style, lw=1.4, marker=marker, ms=4, label=label,
                        markerfacecolor="white" if rule == RULES[0] else MUTED,
                    )
                )  # fmt: skip
            else:
                handles.append(Line2D([], [], color="none", label=f"{label}: nowhere"))
    ax.set(
        xlim=(0.0, 1.0),
        ylim=(0.0, 1.0),
        xlabel="similarity to contexts where gaming pays",
        ylabel="spread",
        title="From which spread on it gets there",
    )
    if drawn:
        handles += [Line2D([], [], color=colours[name], label=name) for name in cast.not_paying]
    beside.axis("off")
    legend = beside.legend(
        handles=handles, loc="upper left", frameon=False, fontsize=8, handlelength=4.0
    )
    legend.set_in_layout(False)  # it may be wider than its column, which is not to grow for it


def _line(
    ax: Axes, table: pd.DataFrame, context: str, column: str, colours: dict[str, str]
) -> EndLabel:
    rows = table[table["context"] == context].sort_values("spread")
    ax.plot(rows["spread"], rows[column], color=colours[context])
    return EndLabel(context, float(rows[column].iloc[-1]), colours[context])


def _context_colours(cast: ContextRoles) -> dict[str, str]:
    others = [colour for colour in COLOURS if colour != "#000000"]
    named = {name: others[i % len(others)] for i, name in enumerate(cast.not_paying)}
    return {**named, **dict.fromkeys(cast.paying, "#000000")}
