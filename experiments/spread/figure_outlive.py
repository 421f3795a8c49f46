"""The picture of gaming that outlives its value: the study of spread, its part `outlive`."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from experiments.spread.outlive import survival
from experiments.spread.study import CREDITS, LEAKS, RULE_NAMES, RULES
from sim.analysis.context_roles import ContextRoles
from sim.dynamics.measures import GAMED
from sim.plots.style import COLOURS, DASHES, MUTED, EndLabel, head, house_style, label_ends

_BY_INCENTIVE, _BY_HABIT = "#56B4E9", "#D55E00"


def outlive_figure(runs: pd.DataFrame, *, cast: ContextRoles, name: str, share: float) -> Figure:
    """Draw how often gaming outlives the value that it protected, where, why and for how long.

    Args:
        runs: `experiments.spread.outlive.measure_outlive`.
        cast: Which part each context plays.
        name: The scenario.
        share: Below this share of its start, a value is lost.
    """
    with house_style():
        figure = Figure(figsize=(11.4, 6.6), layout="constrained")
        axes = figure.subplots(2, 2)
        top = 0.0
        for ax, rule in zip(axes[0], RULES, strict=True):
            top = max(top, _bars(ax, runs[runs["rule"] == rule]))
            ax.set_title(f"{RULE_NAMES[rule]}: share of runs in which gaming outlives the value")
        for ax in axes[0]:
            ax.set_ylim(0.0, 1.15 * top or 1.0)
        _by_awareness(axes[1, 0], runs)
        _lasting(axes[1, 1], runs)
        handles = [
            Patch(facecolor=_BY_INCENTIVE, label="incentive still above 0"),
            Patch(facecolor=_BY_HABIT, label="incentive gone: by habit alone"),
        ]
        axes[0, 0].legend(
            handles=handles, title="kept up by", loc="upper left", frameon=False, fontsize=8,
            alignment="left",
        )  # fmt: skip
        head(
            figure,
            f"{name}: gaming that outlives the value that it protected ({cast.protected})",
            f"Gaming rate of {GAMED:g} or more in {cast.contested} at the end of training, with "
            f"the value below {100 * share:.0f} % of its start. Every panel takes together the "
            "axes that it does not show.",
        )
        return figure


def _bars(ax: Axes, runs: pd.DataFrame) -> float:
    """Draw stacked bars by leak, grouped by motive credit; returns the height of the highest."""
    width = 0.8 / len(CREDITS)
    top = 0.0
    for i, leak in enumerate(LEAKS):
        for j, credit in enumerate(CREDITS):
            here = runs[(runs["leak"] == leak) & (runs["motive_credit"] == credit)]
            outlived = here["outlived"]
            by_habit = float((outlived & (here["incentive"] <= 0.0)).mean())
            rest = float(outlived.mean()) - by_habit
            at = i + (j - (len(CREDITS) - 1) / 2) * width
            ax.bar(at, by_habit, 0.9 * width, color=_BY_HABIT)
            ax.bar(at, rest, 0.9 * width, bottom=by_habit, color=_BY_INCENTIVE)
            ax.annotate(
                f"{credit:g}",
                (at, by_habit + rest),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                color=MUTED,
                fontsize=7.5,
            )
            top = max(top, by_habit + rest)
    ax.set_xticks(range(len(LEAKS)), [f"{leak:g}" for leak in LEAKS])
    ax.set(xlabel="leak: how far gamed answers train the values (above bars: motive credit)")
    ax.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0, decimals=0))
    return top


def _by_awareness(ax: Axes, runs: pd.DataFrame) -> None:
    ratios = np.unique(runs["ratio"])
    shades = mpl.colormaps["viridis"](np.linspace(0.0, 0.85, len(ratios)))
    ends = []
    for ratio, shade in zip(ratios, shades, strict=True):
        share = runs[runs["ratio"] == ratio].groupby("awareness")["outlived"].mean()
        colour = mpl.colors.to_hex(shade)
        ax.plot(share.index, share, color=colour, marker="o", ms=3)
        ends.append(EndLabel(f"habit {float(f'{ratio:.2g}'):,g} ×", float(share.iloc[-1]), colour))
    ax.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0, decimals=0))
    ax.margins(x=0.0)
    ax.set_ylim(bottom=0.0)
    ax.set(
        title="where: by awareness, and how fast habit learns",
        xlabel="awareness at the start (logit); × the values' learning rate",
    )
    label_ends(ax, ends, line_height=0.08)


def _lasting(ax: Axes, runs: pd.DataFrame) -> None:
    ends = []
    gamed = runs[runs["gamed_then"]]
    longest = float(gamed["after"].max()) if len(gamed) else 1.0
    for i, rule in enumerate(RULES):
        here = gamed[gamed["rule"] == rule]
        if here.empty:
            continue
        at, share = survival(here["after"], here["stopped"])
        at, share = np.append(at, longest), np.append(share, share[-1])
        ax.step(at, share, where="post", color=COLOURS[i], ls=(0, DASHES[i]) if i else "-")
        ends.append(EndLabel(RULE_NAMES[rule], float(share[-1]), COLOURS[i]))
    ax.set(
        title="how long: share that still games",
        xlabel="steps since the value was lost (of runs that gamed then)",
        ylim=(0.0, 1.03),
        xlim=(0.0, max(longest, 1.0)),
    )
    label_ends(ax, ends, line_height=0.08)
