"""The figure of a claim: how its test comes out, and where over the assumptions it is true."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecFromSubplotSpec
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from sim.plots.style import COLOURS, house_style, title_of

from .claim_results import ClaimResult, Results
from .figure_beside import beside_figure
from .labels import axis_label, format_share, format_threshold
from .measures import meets
from .spec import Claim, Condition
from .verdicts import Split

TRUE, FALSE, SILENT = COLOURS[0], COLOURS[1], "#8C8C8C"
#: So many points of each kind are drawn.
MOST = 350
_BINS = 24
_GOLDEN = 0.6180339887498949
#: Words of conditions, as titles of panels have them.
_COMPARISONS = {"at_least": "at least", "above": "above", "at_most": "at most", "below": "below"}
#: So many characters of a label are as wide as a panel.
_LABEL = 52
#: Points of one level stand apart by this share of the way to the next.
_APART = 0.5


def figures(results: Results) -> dict[str, Figure]:
    """Draw a figure for each claim, and those of studies beside them, by file name."""
    drawings = {}
    for result in results.claims:
        drawings[result.claim.name] = claim_figure(result)
        beside = beside_figure(result)
        if beside is not None:
            drawings[f"{result.claim.name}_beside"] = beside
    return drawings


def claim_figure(result: ClaimResult) -> Figure:
    """Draw a claim: each condition of its test on the left, the map of points on the right.

    Args:
        result: The claim with its numbers and verdict.
    """
    with house_style():
        conditions = result.claim.test
        height = max(3.6, 1.1 + 1.2 * len(conditions))
        figure = Figure(figsize=(9.6, height), layout="constrained")
        halves = figure.add_gridspec(1, 2, width_ratios=[1.0, 1.25], wspace=0.08)
        rows = GridSpecFromSubplotSpec(len(conditions), 1, halves[0])
        for place, condition in enumerate(conditions):
            _test(figure.add_subplot(rows[place]), result, condition)
        ax = figure.add_subplot(halves[1])
        _map(ax, result)
        handles = []
        if result.judged.true.any():
            handles.append(Line2D([], [], ls="", marker="o", color=TRUE, ms=5, label="true"))
        if (result.judged.applies & ~result.judged.true).any():
            handles.append(
                Line2D([], [], ls="", marker="x", color=FALSE, ms=5, mew=1.5, label="not true")
            )
        if not result.judged.applies.all():
            handles.append(
                Line2D([], [], ls="", marker=".", color=SILENT, ms=7, label="nothing claimed")
            )
        figure.legend(handles=handles, loc="outside lower right", ncols=3, frameon=False)
        title_of(figure, figure_title(result))
        return figure


def figure_title(result: ClaimResult) -> str:
    """Return the title of a claim's figure: its verdict, share and rule."""
    judged = result.judged
    share = format_share(judged.share) if judged.applies_count else "none"
    title = f"{result.claim.title}: {judged.kind}, {share} of {judged.applies_count:,} points"
    return f"{title}; {result.rule}" if result.rule else title


def _test(ax: Axes, result: ClaimResult, condition: Condition) -> None:
    """Draw how a quantity lies on either side of its threshold."""
    quantity = result.claim.measure.quantities[condition.quantity]
    numbers = result.measured.quantities.loc[result.judged.applies, condition.quantity].to_numpy()
    met = meets(condition, numbers)
    edge = condition.threshold
    whole = len(set(numbers)) <= 9 and bool(np.all(numbers == np.round(numbers)))
    if whole:  # counts: a bar for each, and the threshold between two bars
        edge += {"at_least": -0.5, "at_most": 0.5}.get(condition.comparison, 0.0)
        ends = [*numbers, edge]
        bins = np.arange(np.floor(min(ends)) - 0.5, np.ceil(max(ends)) + 1.0)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    else:  # a bar ends at the threshold, so that none has both sides in it
        low, high = float(min([*numbers, edge])), float(max([*numbers, edge]))
        step = (high - low) / _BINS or 1.0
        below, above = np.ceil((edge - low) / step), np.ceil((high - edge) / step)
        bins = edge + step * np.arange(-below, max(above, 1.0 - below) + 1.0)
    ax.hist(
        [numbers[met], numbers[~met]], bins=list(bins), stacked=True, color=[TRUE, FALSE],
        edgecolor="white", lw=0.4,
    )  # fmt: skip
    ax.axvline(edge, color="black", lw=1.2, dashes=(4, 2))
    ax.margins(x=0.03)
    ax.yaxis.set_major_locator(
        MaxNLocator(nbins=3 if len(result.claim.test) < 3 else 2, integer=True)
    )
    share = format_share(met.mean()) + " of points" if len(met) else "no points"
    ax.set_title(
        f"{_COMPARISONS[condition.comparison]} {format_threshold(condition.threshold)}: {share}",
        fontsize=8.5,
        fontweight="normal",
    )
    ax.set_xlabel(textwrap.fill(quantity.label, _LABEL), fontsize=8.5)
    ax.set_ylabel("points", fontsize=8.5)


def _map(ax: Axes, result: ClaimResult) -> None:
    """Draw points over the two assumptions that tell most, or that the claim names."""
    x, y = map_axes(result)
    axes, judged = result.measured.axes, result.judged
    kinds: list[tuple[NDArray[np.bool_], dict[str, Any]]] = [
        (~judged.applies, {"marker": ".", "color": SILENT, "s": 26, "lw": 0}),
        (judged.applies & ~judged.true, {"marker": "x", "color": FALSE, "s": 16, "lw": 1.0}),
        (judged.true, {"marker": "o", "color": TRUE, "s": 13, "lw": 0, "alpha": 0.8}),
    ]
    places = {key: _place(ax, axes[key], key, which, result.claim) for which, key in
              (("x", x), ("y", y)) if key is not None}  # fmt: skip
    for flags, style in kinds:
        some = np.flatnonzero(flags)
        some = some[np.linspace(0, len(some) - 1, min(MOST, len(some))).astype(int)]
        across = places[x][some]
        up = places[y][some] if y is not None else _jitter(len(axes))[some]
        ax.scatter(across, up, **style)
    for split in judged.rule.splits if judged.rule else ():
        _line(ax, split, x, result.claim.region.grid.get(split.axis, ()))
    ax.set_xlabel(axis_label(x))
    ax.set_ylabel(axis_label(y) if y is not None else "")
    note = (
        "each mark a point: all must be met" if len(result.claim.test) > 1 else "each mark a point"
    )
    ax.set_title(f"{note}{'; dashed: the best short rule' if judged.rule else ''}",
                 fontsize=8.5, fontweight="normal")  # fmt: skip


def map_axes(result: ClaimResult) -> tuple[str, str | None]:
    """Return the assumptions of the map: those of the rule first, then those that are named."""
    plot, rule = result.claim.plot, result.judged.rule
    keys = [split.axis for split in rule.splits] if rule else []
    keys = list(dict.fromkeys([*keys, plot.x, *filter(None, [plot.y])]))
    return keys[0], keys[1] if len(keys) > 1 else None


def _place(ax: Axes, column: pd.Series, key: str, which: str, claim: Claim) -> Any:
    """Return where points stand on an axis, and set the axis up."""
    set_scale, set_ticks = (
        (ax.set_xscale, ax.set_xticks) if which == "x" else (ax.set_yscale, ax.set_yticks)
    )
    if not pd.api.types.is_numeric_dtype(column):
        names = sorted(set(column))
        set_ticks(range(len(names)), [name.replace("_", "\n") for name in names], fontsize=8)
        _between_levels(ax, len(names), which)
        return column.map(names.index).to_numpy(np.float64) + _APART * _jitter(len(column), which)
    numbers = column.to_numpy(np.float64)
    if key in claim.region.grid:
        levels = np.unique(numbers)
        set_ticks(range(len(levels)), [format_threshold(level) for level in levels])
        _between_levels(ax, len(levels), which)
        return np.searchsorted(levels, numbers) + _APART * _jitter(len(column), which)
    if len(claim.region.ranges[key]) == 3:
        set_scale("log")
    return numbers


def _between_levels(ax: Axes, levels: int, which: str) -> None:
    """Draw thin lines between levels, so that points that stand apart are seen to share one."""
    (ax.set_xlim if which == "x" else ax.set_ylim)(-0.5, levels - 0.5)
    for level in range(1, levels):
        draw = ax.axvline if which == "x" else ax.axhline
        draw(level - 0.5, color="#DDDDDD", lw=0.8, zorder=0)


def _line(ax: Axes, split: Split, x: str, levels: tuple[float, ...]) -> None:
    """Draw a split of numbers; of choices, points stand apart anyway."""
    if isinstance(split.value, str):
        return
    at = float(np.searchsorted(np.unique(levels), split.value)) - 0.5 if levels else split.value
    draw = ax.axvline if split.axis == x else ax.axhline
    draw(at, color="black", lw=1.2, dashes=(4, 2))


def _jitter(count: int, which: str = "x") -> NDArray[np.float64]:
    """Return numbers from -0.5 to 0.5 that stand apart, always the same."""
    start = 0.0 if which == "x" else 0.5
    apart = start + np.arange(count, dtype=np.float64) * _GOLDEN * (1.0 if which == "x" else 1.7)
    return np.asarray(apart % 1.0 - 0.5, np.float64)
