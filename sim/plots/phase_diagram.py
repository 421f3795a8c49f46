"""The phase diagram: regimes as labelled colours, a number as contour lines."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from pydantic import BaseModel

from sim.analysis.phase_diagram import FAILED, Axis, PhaseDiagram
from sim.analysis.refinement import Mask
from sim.analysis.regimes import REGIMES
from sim.dynamics.observe import VARIABLES
from sim.plots.style import MUTED, halo, head, house_style, short_key, spaced
from sim.specs.agent import Agent
from sim.specs.keys import full_key
from sim.specs.training import Training
from sim.utils.format import count_of, with_minus

#: From least gaming to most, from light to dark, so in order in grey, too.
REGIME_COLOURS = ("#F4F1E8", "#F9D077", "#EE8A5A", "#B5446E", "#3F1E5C")
FAILED_COLOUR = "#FFFFFF"
#: Each regime in the legend.
MEANINGS = {
    "none": "no context is gamed",
    "transient": "gaming came and went, or still moves",
    "partial": "some context is gamed some of the time",
    "local": "some contexts are gamed, not all",
    "global": "every context is gamed",
}
#: Share of seeds in the most frequent regime below which a point is hatched.
AGREED = 0.75
#: Lightness, from 0 to 1, below which text is white.
_DARK = 0.5
_LINES = 4
_DOT: dict[str, Any] = {"color": "#7A7A7A", "linestyle": "none", "marker": "."}
_ABSENT = "#A6A6A6"
#: Meanings of contour numbers, where these differ from those of their variables.
_REACHES = {
    "reach": "share of training contexts that are gamed",
    "reach_weighted": "share of training that is gamed, by weight",
}
_FAILED_NAME = "all runs failed"
_FONT_SIZE = 11.0


def phase_diagram(diagram: PhaseDiagram, *, points: bool = True) -> Figure:
    """Draw a phase diagram.

    Colour is the regime, lines are the mean of the contour's number, and hatching marks where fewer
    than three of four seeds agree, or most have not settled.

    Args:
        diagram: The diagram (`sim.analysis.phase_diagram`).
        points: Whether dots mark the points that were run, if not all were.

    Returns:
        A figure; `figure.savefig(path)` writes it.
    """
    with house_style():
        figure = Figure(figsize=(8.8, 5.0), layout="constrained")
        ax = figure.subplots()
        _colour(ax, diagram)
        unsure = _hatch(ax, diagram)
        if points and not diagram.evaluated.all():
            _dot(ax, diagram)
        lines = _contour(ax, diagram)
        ax.set_xscale(diagram.x.scale)
        ax.set_yscale(diagram.y.scale)
        ax.set(xlabel=axis_label(diagram.x), ylabel=axis_label(diagram.y))
        _name_regions(ax, diagram)
        _legend(figure, diagram, unsure=unsure, lines=lines)
        _head(figure, diagram)
        return figure


def axis_label(axis: Axis) -> str:
    """Return the name of an axis, with the description of its key in the specs, if any."""
    section, *names = full_key(axis.key).split(".")
    spec: object = {"agent": Agent(), "training": Training()}.get(section)
    description = ""
    for name in names:
        if not isinstance(spec, BaseModel):
            break  # one of the user's own names: the description is of what it is an item of
        description = type(spec).model_fields[name].description or ""
        spec = getattr(spec, name)
    meaning = without_symbol(description)
    label = spaced(short_key(full_key(axis.key)))
    return f"{label}\n({meaning})" if meaning else label


def _head(figure: Figure, diagram: PhaseDiagram) -> None:
    title = f"{spaced(diagram.provenance['scenario']['name'])}: what becomes of training-gaming"
    runs = count_of(diagram.seeds, "run")
    note = f"Most frequent regime at the end of training, of {runs} at each point; "
    head(figure, title, f"{note}{diagram.runs:,} of {count_of(diagram.full_runs, 'run')} computed")


def _colour(ax: Axes, diagram: PhaseDiagram) -> None:
    colours = ListedColormap([FAILED_COLOUR, *REGIME_COLOURS])
    norm = BoundaryNorm(np.arange(len(colours.colors) + 1) - 1.5, len(colours.colors))  # type: ignore[arg-type]
    across, upwards = _edges(diagram.x), _edges(diagram.y)
    ax.pcolormesh(across, upwards, diagram.regime, cmap=colours, norm=norm, rasterized=True)


def _edges(axis: Axis) -> NDArray[np.float64]:
    """Return the edges of cells around an axis's points [points + 1]; outer cells are halved."""
    at = np.log(axis.numbers) if axis.scale == "log" else axis.numbers
    edges = np.concatenate([at[:1], 0.5 * (at[1:] + at[:-1]), at[-1:]])
    return np.asarray(np.exp(edges) if axis.scale == "log" else edges)


def _hatch(ax: Axes, diagram: PhaseDiagram) -> bool:
    """Hatch unsure and failed points; returns whether any are unsure."""
    failed = diagram.regime < 0
    unsure = ((diagram.agreement < AGREED) | (diagram.settled < 0.5)) & ~failed
    x, y = diagram.x.numbers, diagram.y.numbers
    for mask, hatch in ((unsure, "////"), (failed, "xxxx")):
        if mask.any():
            area = mask.astype(np.float64)
            hatched = ax.contourf(x, y, area, levels=[0.5, 1.5], colors="none", hatches=[hatch])
            hatched.set(edgecolor=MUTED, linewidth=0.0, hatch_linewidth=0.4)
    return bool(unsure.any())


def _dot(ax: Axes, diagram: PhaseDiagram) -> None:
    rows, columns = np.nonzero(diagram.evaluated)
    x, y = diagram.x.numbers[columns], diagram.y.numbers[rows]
    ax.plot(x, y, **_DOT, markersize=1.6, markeredgewidth=0.0, rasterized=True)


def _contour(ax: Axes, diagram: PhaseDiagram) -> bool:
    """Draw contour lines with their numbers; returns whether there are any."""
    number = np.ma.masked_invalid(diagram.number)
    if number.count() == 0 or number.max() - number.min() < 1e-9:
        return False
    levels = np.array(MaxNLocator(_LINES + 1).tick_values(number.min(), number.max()))
    levels = levels[(levels > number.min()) & (levels < number.max())]
    style: dict[str, Any] = {"colors": "black", "linewidths": 0.9, "linestyles": "solid"}
    lines = ax.contour(diagram.x.numbers, diagram.y.numbers, number, levels=levels, **style)
    lines.set_path_effects(halo(width=2.0)["path_effects"])
    texts = ax.clabel(
        lines, fmt=lambda n: with_minus(f"{n:g}"), fontsize=7.5, inline=False, colors="black"
    )
    for text in texts:
        # Upright, as numbers that stand on end are misread (0.2 for 2.0).
        text.set(rotation=0.0, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8})
    return True


def _name_regions(ax: Axes, diagram: PhaseDiagram) -> None:
    """Write each regime's name where its region has the most room, if it has enough."""
    names = {**dict(enumerate(REGIMES)), -1: _FAILED_NAME}
    colours = {**dict(enumerate(REGIME_COLOURS)), -1: FAILED_COLOUR}
    ny, nx = diagram.regime.shape
    for code, name in names.items():
        # About what the name takes up, in points of the map: axes are 5.3 by 3.8 inches.
        width = int(np.ceil(nx * len(name) * 0.62 * _FONT_SIZE / 72 / 5.3))
        height = int(np.ceil(ny * 1.6 * _FONT_SIZE / 72 / 3.8))
        place = roomiest(diagram.regime == code, height=height, width=width)
        if place is None:
            continue
        row, column = place
        style: dict[str, Any] = {"ha": "center", "va": "center", "fontweight": "bold", "zorder": 5}
        ax.text(
            diagram.x.numbers[column],
            diagram.y.numbers[row],
            name,
            color="white" if _lightness(colours[code]) < _DARK else "black",
            fontsize=_FONT_SIZE,
            **style,
            **halo(colours[code]),
        )


def roomiest(region: Mask, *, height: int, width: int) -> tuple[int, int] | None:
    """Return the centre of the largest box that fits into a region [ny, nx].

    Args:
        region: The region.
        height: Smallest height of the box, in points; its proportions are those of the smallest.
        width: Smallest width.

    Returns:
        A row and a column; None where the smallest box does not fit.
    """
    sums = np.zeros((region.shape[0] + 1, region.shape[1] + 1))
    sums[1:, 1:] = region.cumsum(axis=0).cumsum(axis=1)
    centre = None
    for size in range(1, max(region.shape) + 1):
        h, w = height * size, width * size
        if h > region.shape[0] or w > region.shape[1]:
            break
        inside = sums[h:, w:] - sums[:-h, w:] - sums[h:, :-w] + sums[:-h, :-w]
        fits = np.argwhere(inside == h * w)
        if len(fits) == 0:
            break
        # The one in the middle of all that fit: boxes grow by whole sizes, and leave some room.
        middle = fits[np.abs(fits - fits.mean(axis=0)).sum(axis=1).argmin()]
        centre = int(middle[0] + h // 2), int(middle[1] + w // 2)
    return centre


def _legend(figure: Figure, diagram: PhaseDiagram, *, unsure: bool, lines: bool) -> None:
    """Write the legend beside the diagram, regimes with most gaming first."""
    shares = diagram.shares
    handles: list[Patch | Line2D] = []
    for name, colour in reversed(list(zip(REGIMES, REGIME_COLOURS, strict=True))):
        label = f"{name}: {100 * shares[name]:.0f} % of the map\n{MEANINGS[name]}"
        handles.append(Patch(facecolor=colour, edgecolor=MUTED, linewidth=0.4, label=label))
    if shares[FAILED] > 0.0:
        share = f"{100 * shares[FAILED]:.0f} %"
        label = f"{_FAILED_NAME}: {share} of the map\nnumbers grew out of bounds"
        handles.append(Patch(facecolor="white", edgecolor=MUTED, hatch="xxxx", label=label))
    if unsure:
        label = "unsure\nfewer than 3 in 4 seeds agree, or most\nhave not settled"
        handles.append(Patch(facecolor="none", edgecolor=MUTED, hatch="////", lw=0.4, label=label))
    if lines:
        label = number_label(diagram.contour)
        handles.append(Line2D([], [], color="black", lw=0.9, label=label))
    if not diagram.evaluated.all():
        label = "computed\nin between, it is filled in"
        handles.append(Line2D([], [], label=label, **_DOT, markersize=3.0))
    size: dict[str, Any] = {"labelspacing": 1.0, "handleheight": 1.6, "handlelength": 1.8}
    legend = figure.legend(
        handles=handles, loc="outside right upper", frameon=False, fontsize=7.5, **size
    )
    for text, name in zip(legend.get_texts(), reversed(REGIMES), strict=False):
        if shares[name] == 0.0:
            text.set_color(_ABSENT)


def number_label(column: str) -> str:
    """Return the legend of contour lines of a column of the summary: its name and meaning."""
    variable, dot, item = column.partition(".")
    name = spaced(variable) + (f" ({spaced(item)})" if dot else "")
    meaning = _REACHES.get(variable) or without_symbol(VARIABLES[variable].meaning)
    return "\n".join([f"{name}, mean over seeds", *textwrap.wrap(meaning, 44)])


def without_symbol(meaning: str) -> str:
    """Return a meaning without the symbol that it may begin with, and its section of MODEL.md."""
    return re.sub(r"^(\S{1,3}|a \(.*\)): |\s*\([\d., ]+\)$", "", meaning)


def _lightness(colour: str) -> float:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue
