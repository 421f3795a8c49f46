"""The figure: maps of the ends of runs by the penalty, and gaming over training at points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from sim.dynamics.state import Array
from sim.plots.style import MUTED, house_style, literal
from sim.utils.format import percent, shown, with_minus

from .histories import History
from .plan import LEARNING_KEY, OPACITY_KEY, PENALTY_KEY
from .regimes import HIDDEN, NEVER, REGIMES, REMOVED, VISIBLE, RegimeMap
from .study import Results, verdict
from .visibility import KINDS

_AXES = {LEARNING_KEY: "learning rate of capabilities", OPACITY_KEY: "opacity at the start (logit)"}
_TITLES = {
    "both": "a penalty for visible gaming removes it, or teaches it to hide",
    "removes": "a penalty for visible gaming removes it, and teaches no hiding",
    "teaches to hide": "a penalty for visible gaming teaches it to hide, and removes none",
    "never gamed": "gaming does not last even without a penalty",
    "neither": "a penalty for visible gaming neither removes it nor teaches it to hide",
}
#: Of the regimes, in their order, and of the part of `hidden` that a penalty teaches.
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


def figures(results: Results) -> dict[str, Figure]:
    """Draw the figures of the study, by name."""
    design = results.design
    watched = ", ".join(name.replace("_", " ") for name in design.watched)
    title = f"{design.specs.scenario.name}: {_TITLES[verdict(results.maps)]} ({watched})"
    value = design.roles.protected
    return {"footnote3": maps_figure(results.maps, results.histories, value=value, title=title)}


def maps_figure(
    maps: Sequence[RegimeMap], histories: Sequence[History], *, value: str, title: str
) -> Figure:
    """Draw the maps, and gaming over training at the chosen points.

    Args:
        maps: The maps.
        histories: The chosen points over training.
        value: The name of the protected value.
        title: The title of the figure.
    """
    with house_style():
        figure = Figure(figsize=(12.0, 8.2), layout="constrained")
        above, below = figure.subfigures(2, 1, height_ratios=[1.25, 1.0], squeeze=False)[:, 0]
        for ax, grid in zip(above.subplots(1, len(maps), squeeze=False)[0], maps, strict=True):
            _draw_map(ax, grid)
            _mark_points(ax, grid, histories)
        _legend(above, maps)
        areas = below.subplots(1, len(histories), sharex=True, sharey=True, squeeze=False)[0]
        most = max(float((1.0 - history.shares[:, -1]).max()) for history in histories)
        for ax, history in zip(areas, histories, strict=True):
            _draw_history(ax, history, value, top=min(1.0, 1.3 * most + 0.01))
        areas[0].set_ylabel("share of training episodes\n(the rest, up to 1: no gaming)")
        handles = [Patch(facecolor=_KIND_COLOURS[k], label=_KIND_MEANING[k]) for k in KINDS[-2::-1]]
        below.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
        figure.suptitle(literal(title), x=0.01, ha="left", fontsize=12, fontweight="bold")
        return figure


def _draw_map(ax: Axes, grid: RegimeMap) -> None:
    log = grid.key == LEARNING_KEY
    colours = ListedColormap(_REGIME_COLOURS)
    norm = BoundaryNorm(np.arange(len(_REGIME_COLOURS) + 1) - 0.5, len(_REGIME_COLOURS))
    across, up = _edges(grid.penalties, log=False), _edges(grid.levels, log=log)
    ax.pcolormesh(across, up, _classes(grid), cmap=colours, norm=norm, rasterized=True)
    ax.set(xlabel="penalty ψ for visible gaming", ylabel=_AXES[grid.key])
    if log:
        ax.set_yscale("log")
    ax.set_ylim(up[0], up[-1])
    ax.axhline(grid.level_as_set, color=MUTED, lw=0.8, dashes=(4, 3))
    ax.annotate(
        with_minus(f"as set: {grid.level_as_set:.3g}"),
        (1.0, grid.level_as_set), xycoords=("axes fraction", "data"), xytext=(-3, 3),
        textcoords="offset points", ha="right", fontsize=7.5, color=MUTED,
    )  # fmt: skip
    name = "by how fast opacity is learnt" if log else "by opacity at the start"
    ax.set_title(f"{name}: {percent(grid.taught.mean())} of agents taught to hide")


def _classes(grid: RegimeMap) -> NDArray[np.intp]:
    """Return the ends of most agents [L, P]: a regime, or `_TAUGHT`."""
    return np.where(grid.teaches, _TAUGHT, grid.most)


def _mark_points(ax: Axes, grid: RegimeMap, histories: Sequence[History]) -> None:
    for history in histories:
        settings = history.settings
        if grid.key in settings or (len(settings) == 1 and grid.key == LEARNING_KEY):
            ax.plot(
                settings[PENALTY_KEY], settings.get(grid.key, grid.level_as_set),
                _MARKS[history.name], color="white", markeredgecolor="black", ms=7, zorder=5,
                clip_on=False,
            )  # fmt: skip


def _legend(figure: SubFigure, maps: Sequence[RegimeMap]) -> None:
    present = {int(r) for grid in maps for r in np.unique(_classes(grid))}
    handles: list[Any] = [
        Patch(facecolor=_REGIME_COLOURS[r], edgecolor=MUTED, lw=0.5, label=_REGIME_MEANING[r])
        for r in (VISIBLE, _TAUGHT, HIDDEN, REMOVED, NEVER)
        if r in present
    ]
    handles.append(
        Line2D([], [], marker="o", color="none", markeredgecolor="black", label="shown below")
    )
    figure.legend(
        handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8.5,
        title="how most agents end", title_fontsize=8.5,
    )  # fmt: skip


def _draw_history(ax: Axes, history: History, value: str, *, top: float) -> None:
    order = (2, 1, 0)
    ax.stackplot(
        history.steps,
        [history.shares[:, i] for i in order],
        colors=[_KIND_COLOURS[KINDS[i]] for i in order],
        lw=0,
    )
    ax.set(xlim=(history.steps[0], history.steps[-1]), ylim=(0.0, top), xlabel="training step")
    ax.set_title(f"{history.name}\n")
    ax.xaxis.set_major_locator(MaxNLocator(5))
    settings = f"ψ = {history.settings[PENALTY_KEY]:.2g}"
    for key, level in history.settings.items():
        if key != PENALTY_KEY:
            settings += with_minus(f", {_AXES[key]} {level:.2g}")
    ax.text(0.0, 1.02, settings, transform=ax.transAxes, fontsize=8, color=MUTED)
    end = f"{value}: 1 → {shown(float(history.strength[-1]), 2)} of its start"
    ax.text(0.97, 0.95, end, transform=ax.transAxes, fontsize=8.5, ha="right", va="top")
    ax.plot(
        0.04, 0.94, _MARKS[history.name], transform=ax.transAxes, color="white",
        markeredgecolor="black", ms=7,
    )  # fmt: skip


def _edges(centres: Array, *, log: bool) -> Array:
    """Compute the borders [n + 1] of cells around increasing centres [n]."""
    x = np.log(centres) if log else centres
    between = 0.5 * (x[1:] + x[:-1])
    edges: Array = np.concatenate(
        [[x[0] - (between[0] - x[0])], between, [x[-1] + (x[-1] - between[-1])]]
    )
    return np.exp(edges) if log else edges
