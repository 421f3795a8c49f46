"""The figures of footnote 6: before and after deployment, and what the shift goes with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.footnote6.study import GROUPS, Seen, Swept
from experiments.footnote6.text import BAND, before_and_after, by_gamed
from sim.dynamics.state import Array
from sim.plots.style import COLOURS, MUTED, EndLabel, house_style, label_ends
from sim.utils.format import percent, shown

#: Before deployment in full, afterwards dashed.
_GROUP_COLOURS = {
    group: COLOURS[place] for group, place in zip(GROUPS, (0, 3, 6, 1, 4), strict=True)
}
#: More bands would hide each other.
_BANDS = ("training", "deployed twins")
_DASHED = (5, 2)
_CAUSE_COLOURS = {"belief": COLOURS[0], "habit": COLOURS[1], "other": COLOURS[7]}


def representative(seen: Sequence[Seen], told: Mapping[str, Any]) -> Figure:
    """Draw looking best over training, what gaming adds to it, and what the shift is owed to.

    Args:
        seen: The populations.
        told: `experiments.footnote6.text.numbers`.
    """
    with house_style():
        rows = len(seen)
        figure = Figure(figsize=(14.0, 3.5 * rows + 0.8), layout="constrained")
        axes = figure.subplots(rows, 3, squeeze=False, width_ratios=[1.15, 1.0, 1.0])
        for row, one, numbers in zip(axes, seen, told["populations"], strict=True):
            _draw_looks(row[0], one, numbers)
            _draw_added(row[1], one)
            _draw_shift(row[2], one, numbers)
        for ax in (axes[-1][0], axes[-1][2]):
            ax.set_xlabel("training step")
        axes[-1][1].set_xlabel("chance of the answer that looks best, at the end")
        figure.suptitle(
            f"{told['scenario']}: is behaviour before deployment representative? "
            f"({_band_words(told)})",
            x=0.01, ha="left", fontsize=12, fontweight="bold",
        )  # fmt: skip
        return figure


def _band_words(told: Mapping[str, Any]) -> str:
    low, high = (f"{100 * level:.0f}" for level in BAND)
    return f"means; bands: {low}–{high} % of {told['agents']} agents"


def _draw_looks(ax: Axes, one: Seen, numbers: Mapping[str, Any]) -> None:
    labels = []
    for group, chance in one.looks.items():
        before = group in before_and_after(numbers)[0]
        colour = _GROUP_COLOURS[group]
        if group in _BANDS:
            low, high = np.quantile(chance, BAND, axis=1)
            ax.fill_between(one.steps, low, high, color=colour, alpha=0.12, lw=0)
        mean = chance.mean(axis=1)
        ax.plot(one.steps, mean, color=colour, dashes=() if before else _DASHED)
        labels.append(EndLabel(group, float(mean[-1]), colour))
    ax.set(ylim=(-0.02, 1.02), xlim=(one.steps[0], one.steps[-1]), ylabel="answer that looks best")
    gap = numbers["gap_end"]
    off = "" if gap is None else f": off by {shown(gap, 2)} once deployed"
    ax.set_title(f"{one.name.replace('_', ' ')}{off}")
    label_ends(ax, labels, line_height=0.08)


def _draw_added(ax: Axes, one: Seen) -> None:
    groups = list(one.looks)
    for place, group in enumerate(groups):
        colour = _GROUP_COLOURS[group]
        alone = float(one.by_values[group][-1].mean())
        acts = float(one.looks[group][-1].mean())
        ax.plot([alone, acts], [place, place], color=colour, lw=2.5, alpha=0.6)
        ax.plot(alone, place, "o", color="white", markeredgecolor=colour, ms=8)
        ax.plot(acts, place, "o", color=colour, ms=6)
        added = f"{shown(100 * (acts - alone), 0)}"
        ax.annotate(
            f"+{added}" if not added.startswith("−") else added,
            (max(alone, acts), place), xytext=(9, 0), textcoords="offset points", va="center",
            fontsize=8, color=colour,
        )  # fmt: skip
    ax.set(yticks=range(len(groups)), yticklabels=groups, xlim=(-0.03, 1.12))
    ax.set_xticks(np.linspace(0.0, 1.0, 6))
    ax.set_ylim(len(groups) - 0.4, -1.1)
    ax.tick_params(axis="y", length=0)
    most = max(groups, key=lambda group: float(one.added(group)[-1].mean()))
    points = shown(100 * float(one.added(most)[-1].mean()), 0)
    ax.set_title(f"gaming adds most in {most}: {points} points")
    handles = [
        Line2D([], [], marker="o", ls="", color="white", markeredgecolor=MUTED, ms=8),
        Line2D([], [], marker="o", ls="", color=MUTED, ms=6),
    ]
    ax.legend(
        handles, ["by its values alone", "as it acts"], loc="upper left", ncols=2, frameon=False,
        fontsize=8, borderaxespad=0.0,
    )  # fmt: skip


def _draw_shift(ax: Axes, one: Seen, numbers: Mapping[str, Any]) -> None:
    low, high = np.quantile(one.shift, BAND, axis=1)
    ax.fill_between(one.steps, low, high, color="black", alpha=0.08, lw=0)
    total = one.shift.mean(axis=1)
    ax.plot(one.steps, total, color="black")
    labels = [EndLabel("whole shift", float(total[-1]), "black")]
    for cause, part in one.owed.items():
        if cause == "other" and not np.abs(part).max() > 1e-9:
            continue
        mean = part.mean(axis=1)
        ax.plot(one.steps, mean, color=_CAUSE_COLOURS[cause], dashes=(4, 2))
        labels.append(EndLabel(f"owed to {cause}", float(mean[-1]), _CAUSE_COLOURS[cause]))
    ax.set(xlim=(one.steps[0], one.steps[-1]), ylabel="shift from training to twin")
    ax.set_ylim(min(0.0, ax.get_ylim()[0]), min(1.0, max(0.05, ax.get_ylim()[1])))
    end = numbers["shift_end"]
    what = f", {percent(numbers['owed']['belief'] / end)} owed to belief" if end > 0.005 else ""
    ax.set_title(f"shift {shown(end, 2)} at the end{what}")
    label_ends(ax, labels, line_height=0.08)


def agents(seen: Sequence[Seen], swept: Sequence[Swept], told: Mapping[str, Any]) -> Figure:
    """Draw the shift by how many contexts are gamed, and by discernment.

    Args:
        seen: The populations.
        swept: The same at several levels of discernment.
        told: `experiments.footnote6.text.numbers`.
    """
    with house_style():
        columns = len(seen) + 1
        figure = Figure(figsize=(4.6 * columns, 4.4), layout="constrained")
        widths = [*[1.0] * len(seen), 1.15]
        axes = figure.subplots(1, columns, squeeze=False, width_ratios=widths)[0]
        for ax, one in zip(axes, seen, strict=False):
            _draw_gamed(ax, one)
        _draw_discernment(axes[-1], swept, told)
        figure.suptitle(
            f"{told['scenario']}: what the shift between training and deployment goes with",
            x=0.01, ha="left", fontsize=12, fontweight="bold",
        )  # fmt: skip
        return figure


def _draw_gamed(ax: Axes, one: Seen) -> None:
    gamed, shift = one.gamed[-1], one.shift[-1]
    ax.plot(gamed + _apart(len(gamed)), shift, "o", color=COLOURS[5], ms=3, alpha=0.6, mew=0)
    table = by_gamed(one)
    ax.plot(table["gamed"], table["shift"], "D", ls="-", color="black", ms=6, lw=1.0)
    for row in table.to_dict("records"):
        ax.annotate(
            f"{row['agents']}", (row["gamed"], 1.02), xycoords=("data", "axes fraction"),
            ha="center", fontsize=7.5, color=MUTED,
        )  # fmt: skip
    ax.annotate(
        "agents", (-0.02, 1.02), xycoords="axes fraction", ha="right", fontsize=7.5, color=MUTED
    )
    ax.set(
        xlim=(-0.5, one.contexts + 0.5), ylim=(-0.03, 1.03), xticks=range(one.contexts + 1),
        xlabel=f"training contexts gamed, of {one.contexts}",
        ylabel="behaviour shift (dots: agents; black: means)",
    )  # fmt: skip
    ends = [shown(float(table["shift"].iloc[i]), 2) for i in (0, -1)]
    rise = f"shift {ends[0]} → {ends[1]} with reach" if len(table) > 1 else f"shift {ends[0]}"
    ax.set_title(f"{one.name.replace('_', ' ')}: {rise}\n")


def _draw_discernment(ax: Axes, swept: Sequence[Swept], told: Mapping[str, Any]) -> None:
    labels = []
    for index, one in enumerate(swept):
        colour = COLOURS[index % len(COLOURS)]
        for x, dashes, what in ((one.shift, (), "shift"), (one.gap, _DASHED, "gap")):
            mean = x.mean(axis=1)
            if np.isfinite(mean).all():
                ax.plot(one.levels, mean, color=colour, dashes=dashes)
                name = f"{one.name.replace('_', ' ')}: {what}"
                labels.append(EndLabel(name, float(mean[-1]), colour))
    ax.set(
        xlim=(swept[0].levels[0], swept[0].levels[-1]), ylim=(0.0, 1.0),
        xlabel="discernment δ: how well the cue is read", ylabel="mean over agents",
    )  # fmt: skip
    grows = [
        one["discernment"]["never_falls"]
        and one["discernment"]["shift_high"] > one["discernment"]["shift_low"]
        for one in told["populations"]
    ]
    found = "grows with it" if all(grows) else "grows in some" if any(grows) else "does not grow"
    ax.set_title(f"by discernment: the shift {found}\n")
    label_ends(ax, labels, line_height=0.07)


def _apart(agents: int) -> Array:
    """Return small offsets that keep dots apart: those of the golden ratio, not random ones."""
    golden = (np.sqrt(5.0) - 1.0) / 2.0
    offsets: Array = 0.5 * ((golden * np.arange(agents)) % 1.0) - 0.25
    return offsets
