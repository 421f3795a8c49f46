"""The figures of the study of spread, one for each part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sim.dynamics.measures import GAMED
from sim.plots.style import COLOURS, DASHES, MUTED, EndLabel, head, house_style, label_ends
from sim.specs.overrides import Specs
from sim.utils.format import join_words

from .learning_rate_competition import boundary, boundary_table
from .persistence import survival
from .plans import COMPETITORS, CREDITS, LEAKS, OUTCOMES, RACE_CREDITS, RULES, Settings
from .study import Results

#: Of `OUTCOMES`: a value that is kept is cold, a lost one warm; gaming is dark.
_OUTCOME_COLOURS = ("#2F6C9E", "#BBD6E8", "#A63603", "#FBD9B5")
_BY_INCENTIVE, _BY_HABIT = "#56B4E9", "#D55E00"
_PERCENT = mpl.ticker.PercentFormatter(1.0, decimals=0)
#: Small notes, at an offset; and those at the right end of a horizontal line.
_NOTE: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7.5}
_AT_LINE: dict[str, Any] = {**_NOTE, "xycoords": ("axes fraction", "data"), "ha": "right"}
#: Lines of the boundary where the value is kept, where it keeps its sign, and of its range.
_BOUNDARY: dict[str, Any] = {"color": "black", "lw": 2.0}
_SAME_SIGN: dict[str, Any] = {"color": "black", "lw": 1.2, "ls": (0, (4, 2))}
_RANGE: dict[str, Any] = {"color": "black", "lw": 0.7, "ls": ":"}


def figures(results: Results, specs: Specs, settings: Settings) -> dict[str, Figure]:
    """Return a figure for each part that was run."""
    parts = {"reach": draw_spillover, "race": draw_competition, "outlive": draw_persistence}
    with house_style():
        return {name: parts[name](results, specs, settings.share) for name in results.runs}


def draw_spillover(results: Results, specs: Specs, share: float) -> Figure:
    """Draw gaming rate and habit by generalisation, and its thresholds by similarity."""
    roles, points = results.roles, results.tables["reach"]
    palette = [colour for colour in COLOURS if colour != "#000000"]
    colours = {name: palette[i % len(palette)] for i, name in enumerate(roles.not_paying)}
    colours |= dict.fromkeys(roles.paying, "#000000")
    points = points[(points["similarity"] == 1.0) & (points["steps"] == points["steps"].min())]
    points = points.assign(gap=points["habit"] - points["needed"]).sort_values("generalisation")
    figure = Figure(figsize=(14.0, 6.2), layout="constrained")
    grid = figure.add_gridspec(2, 3, width_ratios=[1, 1, 0.95])
    for column, (rule, label) in enumerate(RULES.items()):
        of_rule = points[points["rule"] == rule]
        rates = figure.add_subplot(grid[0, column])
        rates.set(ylim=(-0.03, 1.03), title=f"{label}: gaming rate at the end")
        rates.axhline(GAMED, color=MUTED, lw=0.6, ls=":")
        margins = figure.add_subplot(grid[1, column], sharex=rates)
        margins.set_title(f"{label}: habit, less the habit needed")
        ends: dict[Axes, list[EndLabel]] = {rates: [], margins: []}
        for ax, name, contexts in (
            (rates, "gaming_rate", (roles.contested, *roles.not_paying)),
            (margins, "gap", roles.not_paying),
        ):
            for context in contexts:
                rows = of_rule[of_rule["context"] == context]
                ax.plot(rows["generalisation"], rows[name], color=colours[context])
                ends[ax].append(EndLabel(context, float(rows[name].iloc[-1]), colours[context]))
        margins.axhline(0.0, color=MUTED, lw=0.8)
        if float(of_rule["gap"].replace([np.inf, -np.inf], np.nan).abs().max()) > 30.0:
            margins.set_yscale("symlog", linthresh=10.0)
            margins.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
        margins.set(xlabel="generalisation of habits (at similarity 1)")
        note = "games from here up"
        margins.annotate(note, (0.98, 0.0), xytext=(0, 3), color=MUTED, **_AT_LINE)
        rates.set_ylabel("gaming rate" if column == 0 else "")
        margins.set_ylabel("logits" if column == 0 else "")
        for ax, labels in ends.items():
            ax.set_xlim(0.0, 1.0)
            label_ends(ax, labels, line_height=0.08)
    ax, legend = figure.add_subplot(grid[0, 2]), figure.add_subplot(grid[1, 2])
    _draw_thresholds(ax, legend, results.tables["thresholds"], colours, roles.not_paying)
    head(
        figure,
        f"{specs.scenario.name}: gaming pays in {join_words(roles.paying)}. Does it reach contexts "
        "where it protects nothing?",
        "medians over seeds at the end of training; generalisation: the share of what is learnt in "
        "one context that carries over, as far as contexts are similar",
    )
    return figure


def _draw_thresholds(
    ax: Axes, beside: Axes, edges: pd.DataFrame, colours: dict[str, str], contexts: Sequence[str]
) -> None:
    """Draw thresholds of generalisation by similarity; the legend is `beside`."""
    handles: list[Line2D] = []
    for (rule, label), marker in zip(RULES.items(), "os", strict=True):
        cases = edges[edges["rule"] == rule].groupby(["steps", "faster"])
        for ((steps, faster), case), dash in zip(cases, DASHES, strict=False):
            name = f"{label}, {steps:,} steps" + (f", habit × {faster:g}" if faster != 1 else "")
            style: dict[str, Any] = {"ls": (0, dash) if dash else "-", "lw": 1.4}
            style |= {"marker": marker, "ms": 4}
            lines = case[np.isfinite(case["generalisation"])]
            for context, line in lines.groupby("context", sort=False):
                colour = colours[str(context)]
                style |= {"color": colour, "mfc": "white" if marker == "o" else colour}
                ax.plot(line["similarity"], line["generalisation"], clip_on=False, **style)
            style |= {"color": MUTED, "mfc": "white" if marker == "o" else MUTED}
            nowhere = Line2D([], [], color="none", label=f"{name}: nowhere")
            handles.append(nowhere if lines.empty else Line2D([], [], label=name, **style))
    ax.set(
        xlim=(0.0, 1.0),
        ylim=(0.0, 1.0),
        xlabel="similarity to contexts where gaming pays",
        ylabel="generalisation",
        title="From which generalisation on it gets there",
    )
    if np.isfinite(edges["generalisation"]).any():
        handles += [Line2D([], [], color=colours[name], label=name) for name in contexts]
    beside.axis("off")
    legend = beside.legend(handles=handles, loc="upper left", fontsize=8, handlelength=4.0)
    legend.set_frame_on(False)
    legend.set_in_layout(False)  # it may be wider than its column, which is not to grow for it


def draw_competition(results: Results, specs: Specs, share: float) -> Figure:
    """Draw fates of value and gaming, by awareness and by ratios of learning rates."""
    roles, runs = results.roles, results.runs["race"]
    rates, value = specs.training.learning_rate, roles.protected
    lines = (results.tables["boundary"], boundary_table(boundary(runs, share=0.0)))
    figure = Figure(figsize=(11.4, 7.0), layout="constrained")
    axes = figure.subplots(len(RACE_CREDITS), len(COMPETITORS), sharex=True, sharey=True)
    colours = ListedColormap(_OUTCOME_COLOURS)
    norm = BoundaryNorm(np.arange(len(OUTCOMES) + 1) - 0.5, len(OUTCOMES))
    panels = [(credit, name) for credit in reversed(RACE_CREDITS) for name in COMPETITORS]
    present: set[int] = set()
    for ax, (credit, name) in zip(axes.flat, panels, strict=True):
        panel, edge, reversal = (
            frame[(frame["moved"] == name) & (frame["motive_credit"] == credit)]
            for frame in (runs, *lines)
        )
        codes = panel.assign(code=panel["outcome"].map(OUTCOMES.index))
        by_point = codes.groupby(["ratio", "awareness"])["code"]
        modes = by_point.agg(lambda code: code.mode().iat[0]).unstack("awareness")
        present |= set(modes.stack())
        mesh = (modes.columns, modes.index, modes)
        ax.pcolormesh(*mesh, cmap=colours, norm=norm, shading="nearest")
        ax.plot(edge["low"], edge["ratio"], **_RANGE)
        ax.plot(edge["high"], edge["ratio"], **_RANGE)
        ax.plot(edge["awareness"], edge["ratio"], **_BOUNDARY)
        ax.plot(reversal["awareness"], reversal["ratio"], **_SAME_SIGN)
        configured = getattr(rates, name) / rates.values
        ax.axhline(configured, color=MUTED, lw=0.7, ls=":")
        note = "this config"
        ax.annotate(note, (0.99, configured), xytext=(0, 2), color="white", **_AT_LINE)
        ax.set(
            yscale="log",
            title=f"{name} learns faster upwards; motive credit {credit:g}",
            xlim=(panel["awareness"].min(), panel["awareness"].max()),
            ylim=(panel["ratio"].min(), panel["ratio"].max()),
        )
    for ax in axes[-1]:
        ax.set_xlabel("awareness at the start (logit)")
    for ax in axes[:, 0]:
        ax.set_ylabel("learning rate, as a multiple of the values'")
    words = ("kept, by gaming", "kept, without gaming", "lost, and gaming goes on")
    labels = [f"{value} {text}" for text in (*words, "lost, no gaming")]
    at_share = f"strength at {100 * share:.0f} % of its start\n(dotted: range over seeds)"
    at_zero = "strength at 0: reversed to the left"
    handles: list[Patch | Line2D] = [
        Patch(facecolor=_OUTCOME_COLOURS[i], label=labels[i]) for i in sorted(present)
    ]
    handles += [
        Line2D([], [], label=at_share, **_BOUNDARY),
        Line2D([], [], label=at_zero, **_SAME_SIGN),
    ]
    figure.legend(handles=handles, loc="outside right upper", frameon=False, labelspacing=0.9)
    head(
        figure,
        f"{specs.scenario.name}: is {value} overwritten before gaming sets in?",
        f"most frequent outcome over seeds at the end of training, in {roles.contested}; "
        f"lost: below {100 * share:.0f} % of its strength at the start",
    )
    return figure


def draw_persistence(results: Results, specs: Specs, share: float) -> Figure:
    """Draw shares of runs in which gaming outlives the value, by the axes, and durations."""
    roles, runs = results.roles, results.runs["outlive"]
    figure = Figure(figsize=(11.4, 6.6), layout="constrained")
    axes = figure.subplots(2, 2)
    tops = []
    for ax, (rule, label) in zip(axes[0], RULES.items(), strict=True):
        tops.append(_draw_bars(ax, runs[runs["rule"] == rule]))
        ax.set_title(f"{label}: share of runs in which gaming outlives the value")
    for ax in axes[0]:
        ax.set_ylim(0.0, 1.15 * max(tops) or 1.0)
    _draw_by_awareness(axes[1, 0], runs)
    _draw_durations(axes[1, 1], runs[runs["gamed_then"]])
    handles = [
        Patch(facecolor=_BY_INCENTIVE, label="incentive still above 0"),
        Patch(facecolor=_BY_HABIT, label="incentive gone: by habit alone"),
    ]
    legend = axes[0, 0].legend(handles=handles, title="kept up by", loc="upper left", fontsize=8)
    legend.set_alignment("left")
    legend.set_frame_on(False)
    head(
        figure,
        f"{specs.scenario.name}: gaming that outlives the value that it protected "
        f"({roles.protected})",
        f"gaming rate of {GAMED:g} or more in {roles.contested} at the end of training, with "
        f"the value below {100 * share:.0f} % of its start; every panel takes together the "
        "axes that it does not have",
    )
    return figure


def _draw_bars(ax: Axes, runs: pd.DataFrame) -> float:
    """Draw stacked bars by leak, grouped by motive credit; returns the height of the highest."""
    width = 0.8 / len(CREDITS)
    top = 0.0
    for i, leak in enumerate(LEAKS):
        for j, credit in enumerate(CREDITS):
            bar = runs[(runs["leak"] == leak) & (runs["motive_credit"] == credit)]
            by_habit = float((bar["outlived"] & (bar["incentive"] <= 0.0)).mean())
            by_incentive = float(bar["outlived"].mean()) - by_habit
            x, height = i + (j - (len(CREDITS) - 1) / 2) * width, by_habit + by_incentive
            ax.bar(x, by_habit, 0.9 * width, color=_BY_HABIT)
            ax.bar(x, by_incentive, 0.9 * width, bottom=by_habit, color=_BY_INCENTIVE)
            note = f"{credit:g}"
            ax.annotate(note, (x, height), xytext=(0, 2), ha="center", color=MUTED, **_NOTE)
            top = max(top, height)
    ax.set_xticks(range(len(LEAKS)), [f"{leak:g}" for leak in LEAKS])
    ax.set(xlabel="leak: how far gamed answers train the values (above bars: motive credit)")
    ax.yaxis.set_major_formatter(_PERCENT)
    return top


def _draw_by_awareness(ax: Axes, runs: pd.DataFrame) -> None:
    ratios = np.unique(runs["ratio"])
    shades = mpl.colormaps["viridis"](np.linspace(0.0, 0.85, len(ratios)))
    ends = []
    for ratio, shade in zip(ratios, shades, strict=True):
        share = runs[runs["ratio"] == ratio].groupby("awareness")["outlived"].mean()
        colour = mpl.colors.to_hex(shade)
        ax.plot(share.index, share, color=colour, marker="o", ms=3)
        ends.append(EndLabel(f"habit {float(f'{ratio:.2g}'):,g} ×", float(share.iloc[-1]), colour))
    ax.yaxis.set_major_formatter(_PERCENT)
    ax.margins(x=0.0)
    ax.set_ylim(bottom=0.0)
    ax.set(
        title="where: by awareness, and how fast habit learns",
        xlabel="awareness at the start (logit); × the values' learning rate",
    )
    label_ends(ax, ends, line_height=0.08)


def _draw_durations(ax: Axes, gamed: pd.DataFrame) -> None:
    ends = []
    longest = float(gamed["after"].max()) if len(gamed) else 1.0
    for i, (rule, label) in enumerate(RULES.items()):
        rows = gamed[gamed["rule"] == rule]
        if rows.empty:
            continue
        times, share = survival(rows["after"], rows["stopped"])
        times, share = np.append(times, longest), np.append(share, share[-1])
        ax.step(times, share, where="post", color=COLOURS[i], ls=(0, DASHES[i]) if i else "-")
        ends.append(EndLabel(label, float(share[-1]), COLOURS[i]))
    ax.set(
        title="how long: share that still games",
        xlabel="steps since the value was lost (of runs that gamed then)",
        ylim=(0.0, 1.03),
        xlim=(0.0, max(longest, 1.0)),
    )
    label_ends(ax, ends, line_height=0.08)
