"""Pictures of how far gaming goes beyond what it is for: reach, race, and what it outlives."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sim.analysis.spread import (
    CREDITS,
    LEAKS,
    MOVED,
    OUTCOMES,
    RACE_CREDITS,
    RULES,
    Cast,
    survival,
)
from sim.dynamics.measures import GAMED
from sim.plots.style import COLOURS, DASHES, MUTED, EndLabel, house_style, label_ends

RULE_NAMES = {"policy_gradient": "plain gradient", "replicator": "natural gradient"}
#: Value kept: cold; lost: warm. Gaming: dark.
OUTCOME_COLOURS = ("#2F6C9E", "#BBD6E8", "#A63603", "#FBD9B5")
_BY_INCENTIVE, _BY_HABIT = "#56B4E9", "#D55E00"


def reach_figure(table: pd.DataFrame, edges: pd.DataFrame, *, cast: Cast, name: str) -> Figure:
    """Draw where gaming gets to, what it would have needed there, and from which spread it does.

    Args:
        table: `sim.analysis.spread.reach_table`.
        edges: `sim.analysis.spread.thresholds`.
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
                for context in (cast.contested, *cast.others)
            ]
            margins = figure.add_subplot(grid[1, column], sharex=rates)
            margins.set_title(f"{RULE_NAMES[rule]}: habit, less the habit needed")
            gap = here.assign(gap=here["habit"] - here["needed"])
            gaps = [_line(margins, gap, context, "gap", colours) for context in cast.others]
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
        paying = _and(cast.paying)
        _head(
            figure,
            f"{name}: gaming pays in {paying}. Does it reach contexts where it protects nothing?",
            "Medians over seeds at the end of training. Spread: the share of what is learnt in one "
            "context that carries over, as far as contexts are similar.",
        )
        return figure


def race_figure(
    runs: pd.DataFrame,
    edges: pd.DataFrame,
    reversals: pd.DataFrame,
    *,
    cast: Cast,
    name: str,
    share: float,
    usual: dict[str, float],
) -> Figure:
    """Draw what became of value and gaming, by awareness and by ratios of learning rates.

    Args:
        runs: `sim.analysis.spread.measure_race`.
        edges: `sim.analysis.spread.boundary_table`: where the value is kept.
        reversals: The same, where its sign is kept.
        cast: Which part each context plays.
        name: The scenario.
        share: Below this share of its start, a value is lost.
        usual: The ratio that the config has, by what is moved.
    """
    with house_style():
        figure = Figure(figsize=(11.4, 7.0), layout="constrained")
        axes = figure.subplots(len(RACE_CREDITS), len(MOVED), sharex=True, sharey=True)
        colours = ListedColormap(OUTCOME_COLOURS)
        norm = BoundaryNorm(np.arange(len(OUTCOMES) + 1) - 0.5, len(OUTCOMES))
        drawn: set[int] = set()
        shown = [(credit, moved) for credit in reversed(RACE_CREDITS) for moved in MOVED]
        for ax, (credit, moved) in zip(axes.flat, shown, strict=True):
            here, line, turned = (
                frame[(frame["moved"] == moved) & (frame["motive_credit"] == credit)]
                for frame in (runs, edges, reversals)
            )
            place = here["outcome"].map({o: i for i, o in enumerate(OUTCOMES)})
            most = (
                here.assign(place=place)
                .groupby(["ratio", "awareness"])["place"]
                .agg(lambda found: found.mode().iat[0])
                .unstack("awareness")
            )
            drawn |= set(most.stack())
            ax.pcolormesh(
                most.columns, most.index, most, cmap=colours, norm=norm, shading="nearest"
            )
            for end in ("low", "high"):
                ax.plot(line[end], line["ratio"], color="black", lw=0.7, ls=":")
            ax.plot(line["awareness"], line["ratio"], color="black", lw=2.0)
            ax.plot(turned["awareness"], turned["ratio"], color="black", lw=1.2, ls=(0, (4, 2)))
            ax.axhline(usual[moved], color=MUTED, lw=0.7, ls=":")
            ax.annotate(
                "this config",
                (0.99, usual[moved]),
                xycoords=("axes fraction", "data"),
                xytext=(0, 2),
                textcoords="offset points",
                ha="right",
                color="white",
                fontsize=7.5,
            )
            ax.set(
                yscale="log",
                title=f"{moved} learns faster upwards; motive credit {credit:g}",
                xlim=(here["awareness"].min(), here["awareness"].max()),
                ylim=(here["ratio"].min(), here["ratio"].max()),
            )
        for ax in axes[-1]:
            ax.set_xlabel("awareness at the start (logit)")
        for ax in axes[:, 0]:
            ax.set_ylabel("learning rate, as a multiple of the values'")
        value = cast.protected
        words = {
            "kept, gaming": f"{value} kept, by gaming",
            "kept, no gaming": f"{value} kept, without gaming",
            "lost, gaming": f"{value} lost, and gaming goes on",
            "lost, no gaming": f"{value} lost, no gaming",
        }
        handles: list[Patch | Line2D] = [
            Patch(facecolor=colour, label=words[outcome])
            for place, (outcome, colour) in enumerate(zip(OUTCOMES, OUTCOME_COLOURS, strict=True))
            if place in drawn
        ]
        handles += [
            Line2D(
                [], [], color="black", lw=2.0,
                label=f"strength at {100 * share:.0f} % of its start\n(dotted: range over seeds)",
            ),
            Line2D(
                [], [], color="black", lw=1.2, ls=(0, (4, 2)),
                label="strength at 0: reversed to the left",
            ),
        ]  # fmt: skip
        figure.legend(handles=handles, loc="outside right upper", frameon=False, labelspacing=0.9)
        _head(
            figure,
            f"{name}: is {value} overwritten before gaming sets in?",
            f"Most frequent outcome over seeds at the end of training, in {cast.contested}. "
            f"Lost: below {100 * share:.0f} % of its strength at the start.",
        )
        return figure


def outlive_figure(runs: pd.DataFrame, *, cast: Cast, name: str, share: float) -> Figure:
    """Draw how often gaming outlives the value that it protected, where, why and for how long.

    Args:
        runs: `sim.analysis.spread.measure_outlive`.
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
        _head(
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


def _thresholds(
    ax: Axes, beside: Axes, edges: pd.DataFrame, cast: Cast, colours: dict[str, str]
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
            for context in cast.others:
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
        handles += [Line2D([], [], color=colours[name], label=name) for name in cast.others]
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


def _context_colours(cast: Cast) -> dict[str, str]:
    others = [colour for colour in COLOURS if colour != "#000000"]
    named = {name: others[i % len(others)] for i, name in enumerate(cast.others)}
    return {**named, **dict.fromkeys(cast.paying, "#000000")}


def _head(figure: Figure, title: str, note: str) -> None:
    figure.suptitle(f"{title}\n", x=0.01, ha="left", fontweight="bold", fontsize=10)
    figure.text(0.01, 1.0, f"\n\n{note}", va="top", color=MUTED, fontsize=8)


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
