"""The figures of footnote 6: before and after deployment, and what the shift goes with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sim.dynamics.state import Array
from sim.plots.style import COLOURS, MUTED, EndLabel, house_style, label_ends, literal
from sim.specs.overrides import Specs
from sim.utils.format import percent, shown

from .representativeness import (
    BAND,
    GROUPS,
    PRE_DEPLOYMENT,
    DiscernmentSweep,
    PopulationRecord,
    by_gamed,
)
from .study import Results, Settings
from .study import summary as summarise

#: Before deployment in full, afterwards dashed.
_GROUP_COLOURS = {
    group: COLOURS[place] for group, place in zip(GROUPS, (0, 3, 6, 1, 4), strict=True)
}
#: More bands would hide each other.
_BANDS = ("training", "deployed twins")
_DASHED = (5, 2)
_CAUSE_COLOURS = {"belief": COLOURS[0], "habit": COLOURS[1], "other": COLOURS[7]}


def figures(results: Results, specs: Specs, settings: Settings) -> dict[str, Figure]:
    """Return both figures."""
    records, sweeps = results
    numbers = summarise(results, specs, settings)
    return {
        "footnote6": representative(records, numbers),
        "footnote6_agents": agents(records, sweeps, numbers),
    }


def representative(records: Sequence[PopulationRecord], summary: Mapping[str, Any]) -> Figure:
    """Draw looking best over training, what gaming adds to it, and what the shift is owed to.

    Args:
        records: The populations.
        summary: The numbers of `study.summary`.
    """
    with house_style():
        rows = len(records)
        figure = Figure(figsize=(14.0, 3.5 * rows + 0.8), layout="constrained")
        axes = figure.subplots(rows, 3, squeeze=False, width_ratios=[1.15, 1.0, 1.0])
        for row, record, numbers in zip(axes, records, summary["populations"], strict=True):
            _draw_looks(row[0], record, numbers)
            _draw_added(row[1], record)
            _draw_shift(row[2], record, numbers)
        for ax in (axes[-1][0], axes[-1][2]):
            ax.set_xlabel("training step")
        axes[-1][1].set_xlabel("chance of the answer that looks best, at the end")
        figure.suptitle(
            f"{literal(summary['scenario'])}: is behaviour before deployment representative? "
            f"({_band_words(summary)})",
            x=0.01, ha="left", fontsize=12, fontweight="bold",
        )  # fmt: skip
        return figure


def _band_words(summary: Mapping[str, Any]) -> str:
    low, high = (f"{100 * level:.0f}" for level in BAND)
    return f"means; bands: {low}–{high} % of {summary['agents']} agents"


def _draw_looks(ax: Axes, record: PopulationRecord, numbers: Mapping[str, Any]) -> None:
    labels = []
    for group, chance in record.looks.items():
        before = group in PRE_DEPLOYMENT
        colour = _GROUP_COLOURS[group]
        if group in _BANDS:
            low, high = np.quantile(chance, BAND, axis=1)
            ax.fill_between(record.steps, low, high, color=colour, alpha=0.12, lw=0)
        mean = chance.mean(axis=1)
        ax.plot(record.steps, mean, color=colour, dashes=() if before else _DASHED)
        labels.append(EndLabel(group, float(mean[-1]), colour))
    ax.set(
        ylim=(-0.02, 1.02),
        xlim=(record.steps[0], record.steps[-1]),
        ylabel="answer that looks best",
    )
    gap = numbers["gap_end"]
    off = "" if gap is None else f": off by {shown(gap, 2)} once deployed"
    ax.set_title(f"{record.name.replace('_', ' ')}{off}")
    label_ends(ax, labels, line_height=0.08)


def _draw_added(ax: Axes, record: PopulationRecord) -> None:
    groups = list(record.looks)
    for place, group in enumerate(groups):
        colour = _GROUP_COLOURS[group]
        alone = float(record.by_values[group][-1].mean())
        acts = float(record.looks[group][-1].mean())
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
    most = max(groups, key=lambda group: float(record.added(group)[-1].mean()))
    points = shown(100 * float(record.added(most)[-1].mean()), 0)
    ax.set_title(f"gaming adds most in {most}: {points} points")
    handles = [
        Line2D([], [], marker="o", ls="", color="white", markeredgecolor=MUTED, ms=8),
        Line2D([], [], marker="o", ls="", color=MUTED, ms=6),
    ]
    ax.legend(
        handles, ["by its values alone", "as it acts"], loc="upper left", ncols=2, frameon=False,
        fontsize=8, borderaxespad=0.0,
    )  # fmt: skip


def _draw_shift(ax: Axes, record: PopulationRecord, numbers: Mapping[str, Any]) -> None:
    low, high = np.quantile(record.shift, BAND, axis=1)
    ax.fill_between(record.steps, low, high, color="black", alpha=0.08, lw=0)
    total = record.shift.mean(axis=1)
    ax.plot(record.steps, total, color="black")
    labels = [EndLabel("whole shift", float(total[-1]), "black")]
    for cause, part in record.owed.items():
        if cause == "other" and not np.abs(part).max() > 1e-9:
            continue
        mean = part.mean(axis=1)
        ax.plot(record.steps, mean, color=_CAUSE_COLOURS[cause], dashes=(4, 2))
        labels.append(EndLabel(f"owed to {cause}", float(mean[-1]), _CAUSE_COLOURS[cause]))
    ax.set(xlim=(record.steps[0], record.steps[-1]), ylabel="shift from training to twin")
    ax.set_ylim(min(0.0, ax.get_ylim()[0]), min(1.0, max(0.05, ax.get_ylim()[1])))
    end = numbers["shift_end"]
    cause = f", {percent(numbers['owed']['belief'] / end)} owed to belief" if end > 0.005 else ""
    ax.set_title(f"shift {shown(end, 2)} at the end{cause}")
    label_ends(ax, labels, line_height=0.08)


def agents(
    records: Sequence[PopulationRecord],
    sweeps: Sequence[DiscernmentSweep],
    summary: Mapping[str, Any],
) -> Figure:
    """Draw the shift by how many contexts are gamed, and by discernment.

    Args:
        records: The populations.
        sweeps: The same at several levels of discernment.
        summary: The numbers of `study.summary`.
    """
    with house_style():
        columns = len(records) + 1
        figure = Figure(figsize=(4.6 * columns, 4.4), layout="constrained")
        widths = [*[1.0] * len(records), 1.15]
        axes = figure.subplots(1, columns, squeeze=False, width_ratios=widths)[0]
        for ax, record in zip(axes, records, strict=False):
            _draw_gamed(ax, record)
        _draw_discernment(axes[-1], sweeps, summary)
        figure.suptitle(
            f"{literal(summary['scenario'])}: "
            "what the shift between training and deployment goes with",
            x=0.01, ha="left", fontsize=12, fontweight="bold",
        )  # fmt: skip
        return figure


def _draw_gamed(ax: Axes, record: PopulationRecord) -> None:
    gamed, shift = record.gamed[-1], record.shift[-1]
    ax.plot(gamed + _apart(len(gamed)), shift, "o", color=COLOURS[5], ms=3, alpha=0.6, mew=0)
    table = by_gamed(record)
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
        xlim=(-0.5, record.contexts + 0.5), ylim=(-0.03, 1.03), xticks=range(record.contexts + 1),
        xlabel=f"training contexts gamed, of {record.contexts}",
        ylabel="behaviour shift (dots: agents; black: means)",
    )  # fmt: skip
    ends = [shown(float(table["shift"].iloc[i]), 2) for i in (0, -1)]
    rise = f"shift {ends[0]} → {ends[1]} with reach" if len(table) > 1 else f"shift {ends[0]}"
    ax.set_title(f"{record.name.replace('_', ' ')}: {rise}\n")


def _draw_discernment(
    ax: Axes, sweeps: Sequence[DiscernmentSweep], summary: Mapping[str, Any]
) -> None:
    labels = []
    for index, record in enumerate(sweeps):
        colour = COLOURS[index % len(COLOURS)]
        for x, dashes, cause in ((record.shift, (), "shift"), (record.gap, _DASHED, "gap")):
            mean = x.mean(axis=1)
            if np.isfinite(mean).all():
                ax.plot(record.levels, mean, color=colour, dashes=dashes)
                name = f"{record.name.replace('_', ' ')}: {cause}"
                labels.append(EndLabel(name, float(mean[-1]), colour))
    ax.set(
        xlim=(sweeps[0].levels[0], sweeps[0].levels[-1]), ylim=(0.0, 1.0),
        xlabel="discernment δ: how well the cue is read", ylabel="mean over agents",
    )  # fmt: skip
    grows = [
        record["discernment"]["never_falls"]
        and record["discernment"]["shift_high"] > record["discernment"]["shift_low"]
        for record in summary["populations"]
    ]
    places_by_group = (
        "grows with it" if all(grows) else "grows in some" if any(grows) else "does not grow"
    )
    ax.set_title(f"by discernment: the shift {places_by_group}\n")
    label_ends(ax, labels, line_height=0.07)


def _apart(agents: int) -> Array:
    """Return small offsets that keep dots apart: those of the golden ratio, not random ones."""
    golden = (np.sqrt(5.0) - 1.0) / 2.0
    offsets: Array = 0.5 * ((golden * np.arange(agents)) % 1.0) - 0.25
    return offsets
