"""The figure of footnote 3: where a penalty removes gaming, and where it teaches gaming to hide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from experiments.footnote3.map import HIDDEN, NEVER, REGIMES, REMOVED, VISIBLE, Map
from experiments.footnote3.study import LEARNING_KEY, PENALTY_KEY, Case
from experiments.footnote3.text import axis_of, finding
from experiments.footnote3.visibility import KINDS
from sim.dynamics.state import Array
from sim.plots.style import MUTED, house_style
from sim.utils.format import percent, shown

#: Those of the regimes, in their order, and of the part of `hidden` that a penalty teaches.
_REGIME_COLOURS = ("#56B4E9", "#E69F00", "#EBEBEB", "#FFFFFF", "#A03000")
_REGIME_MEANING = (
    "visible: gamed, and most of it can be read",
    "hidden even without a penalty",
    "removed: gamed without a penalty only",
    "never gamed",
    "taught to hide: visible without a penalty",
)
_TAUGHT = len(REGIMES)
_KIND_COLOURS = {"visible": "#56B4E9", "hidden": "#A03000", "no scratchpad": "#222222"}
_KIND_MEANING = {
    "visible": "visible in the scratchpad",
    "hidden": "hidden in the scratchpad",
    "no scratchpad": "no scratchpad to read",
}
_MARKS = {"no penalty": "o", "removed": "s", "taught to hide": "D"}


def footnote3(found: Sequence[Map], cases: Sequence[Case], told: Mapping[str, Any]) -> Figure:
    """Draw the maps, and gaming over training at the chosen points.

    Args:
        found: The maps.
        cases: The chosen points over training.
        told: `experiments.footnote3.text.numbers`.
    """
    with house_style():
        figure = Figure(figsize=(12.0, 8.2), layout="constrained")
        above, below = figure.subfigures(2, 1, height_ratios=[1.25, 1.0], squeeze=False)[:, 0]
        axes = above.subplots(1, len(found), squeeze=False)[0]
        for ax, one, numbers in zip(axes, found, told["maps"], strict=True):
            _draw_map(ax, one, numbers)
            _mark_cases(ax, one, cases)
        _legend(above, found)
        areas = below.subplots(1, len(cases), sharex=True, sharey=True, squeeze=False)[0]
        most = max(float((1.0 - case.shares[:, -1]).max()) for case in cases)
        for ax, case in zip(areas, cases, strict=True):
            _draw_case(ax, case, told["value"], top=min(1.0, 1.3 * most + 0.01))
        areas[0].set_ylabel("share of training episodes\n(the rest, up to 1: no gaming)")
        handles = [Patch(facecolor=_KIND_COLOURS[k], label=_KIND_MEANING[k]) for k in KINDS[-2::-1]]
        below.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
        watched = ", ".join(name.replace("_", " ") for name in told["watched"])
        figure.suptitle(
            f"{told['scenario']}: {finding(told)} ({watched})",
            x=0.01, ha="left", fontsize=12, fontweight="bold",
        )  # fmt: skip
        return figure


def _draw_map(ax: Axes, one: Map, numbers: Mapping[str, Any]) -> None:
    log = one.key == LEARNING_KEY
    colours = ListedColormap(_REGIME_COLOURS)
    norm = BoundaryNorm(np.arange(len(_REGIME_COLOURS) + 1) - 0.5, len(_REGIME_COLOURS))
    across, up = _edges(one.penalties, log=False), _edges(one.levels, log=log)
    ax.pcolormesh(across, up, _ends(one), cmap=colours, norm=norm, rasterized=True)
    ax.set(xlabel="penalty ψ for visible gaming", ylabel=axis_of(one.key))
    if log:
        ax.set_yscale("log")
    ax.set_ylim(up[0], up[-1])
    ax.axhline(one.here, color=MUTED, lw=0.8, dashes=(4, 3))
    ax.annotate(
        f"as set: {one.here:.3g}".replace("-", "−"),
        (1.0, one.here), xycoords=("axes fraction", "data"), xytext=(-3, 3),
        textcoords="offset points", ha="right", fontsize=7.5, color=MUTED,
    )  # fmt: skip
    what = "by how fast opacity is learnt" if log else "by opacity at the start"
    ax.set_title(f"{what}: {percent(numbers['taught'])} of agents taught to hide")


def _ends(one: Map) -> NDArray[np.intp]:
    """Return how most agents end [L, P]: a regime, or `_TAUGHT`."""
    return np.where(one.teaches, _TAUGHT, one.most)


def _mark_cases(ax: Axes, one: Map, cases: Sequence[Case]) -> None:
    for case in cases:
        if one.key in case.settings or (len(case.settings) == 1 and one.key == LEARNING_KEY):
            ax.plot(
                case.settings[PENALTY_KEY], case.settings.get(one.key, one.here),
                _MARKS[case.name], color="white", markeredgecolor="black", ms=7, zorder=5,
                clip_on=False,
            )  # fmt: skip


def _legend(figure: SubFigure, found: Sequence[Map]) -> None:
    there = {int(r) for one in found for r in np.unique(_ends(one))}
    handles: list[Any] = [
        Patch(facecolor=_REGIME_COLOURS[r], edgecolor=MUTED, lw=0.5, label=_REGIME_MEANING[r])
        for r in (VISIBLE, _TAUGHT, HIDDEN, REMOVED, NEVER)
        if r in there
    ]
    handles.append(
        Line2D([], [], marker="o", color="none", markeredgecolor="black", label="shown below")
    )
    figure.legend(
        handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8.5,
        title="how most agents end", title_fontsize=8.5,
    )  # fmt: skip


def _draw_case(ax: Axes, case: Case, value: str, *, top: float) -> None:
    order = (2, 1, 0)
    ax.stackplot(
        case.steps,
        [case.shares[:, i] for i in order],
        colors=[_KIND_COLOURS[KINDS[i]] for i in order],
        lw=0,
    )
    ax.set(xlim=(case.steps[0], case.steps[-1]), ylim=(0.0, top), xlabel="training step")
    ax.set_title(f"{case.name}\n")
    ax.xaxis.set_major_locator(MaxNLocator(5))
    set_to = f"ψ = {case.settings[PENALTY_KEY]:.2g}"
    for key, level in case.settings.items():
        if key != PENALTY_KEY:
            set_to += f", {axis_of(key)} {level:.2g}".replace("-", "−")
    ax.text(0.0, 1.02, set_to, transform=ax.transAxes, fontsize=8, color=MUTED)
    ends = f"{value}: 1 → {shown(float(case.strength[-1]), 2)} of its start"
    ax.text(0.97, 0.95, ends, transform=ax.transAxes, fontsize=8.5, ha="right", va="top")
    ax.plot(
        0.04, 0.94, _MARKS[case.name], transform=ax.transAxes, color="white",
        markeredgecolor="black", ms=7,
    )  # fmt: skip


def _edges(centres: Array, *, log: bool) -> Array:
    """Return the borders of cells around increasing centres."""
    x = np.log(centres) if log else centres
    between = 0.5 * (x[1:] + x[:-1])
    edges: Array = np.concatenate(
        [[x[0] - (between[0] - x[0])], between, [x[-1] + (x[-1] - between[-1])]]
    )
    return np.exp(edges) if log else edges
