"""The phase diagram: regimes as colours, named where they are, and a number as contour lines."""

from __future__ import annotations

import re
import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from pydantic import BaseModel

from sim.analysis.phase_diagram import FAILED, Axis, PhaseDiagram
from sim.analysis.refinement import Mask
from sim.analysis.regimes import REGIMES
from sim.dynamics.observe import VARIABLES
from sim.plots.style import MUTED, head, house_style, short_key
from sim.specs.agent import Agent
from sim.specs.settings import full_key
from sim.specs.training import Training

#: From least gaming to most, from light to dark: in order in grey, and told apart by every eye.
REGIME_COLOURS = ("#F4F1E8", "#F9D077", "#EE8A5A", "#B5446E", "#3F1E5C")
FAILED_COLOUR = "#FFFFFF"
#: What each regime is, in plain words.
MEANINGS = {
    "none": "no context is gamed",
    "transient": "gaming came and went, or still moves",
    "partial": "some context is gamed some of the time",
    "local": "some contexts are gamed, not all",
    "global": "every context is gamed",
}
#: Below this share of seeds in the regime that is shown, it is a matter of chance.
AGREED = 0.75
#: Lightness, from 0 to 1, below which writing is white.
_DARK = 0.5
_LINES = 4
_DOT = "#7A7A7A"
_ABSENT = "#A6A6A6"
#: In words that need no other; what is not here is told in those of its variable.
_REACHES = {
    "reach": "share of training contexts that are gamed",
    "reach_weighted": "share of training that is gamed, by weight",
}
_FAILED_NAME = "all runs failed"
_FONT_SIZE = 11.0


def phase_diagram(diagram: PhaseDiagram, *, points: bool = True) -> Figure:
    """Draw a map of regimes.

    Colour is the regime, lines are the mean of the contour's number, and hatching marks where fewer
    than three of four seeds agree, or most have not settled.

    Args:
        diagram: A map (`sim.analysis.phase_diagram`).
        points: Whether dots mark where runs were made, if not everywhere.

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
        for set_scale, axis in ((ax.set_xscale, diagram.x), (ax.set_yscale, diagram.y)):
            set_scale(axis.scale)
        ax.set(xlabel=axis_label(diagram.x), ylabel=axis_label(diagram.y))
        _name_regions(ax, diagram)
        _legend(figure, diagram, unsure=unsure, lines=lines)
        _head(figure, diagram)
        return figure


def axis_label(axis: Axis) -> str:
    """Return the name of an axis, and what its number means where the specs say so."""
    name = short_key(full_key(axis.key)).replace("_", " ")
    meaning = _meaning(full_key(axis.key))
    return f"{name}\n({meaning})" if meaning else name


def _meaning(key: str) -> str:
    """Return what the specs say of a key, without its symbol; nothing where they do not."""
    spec: object = {"agent": Agent(), "training": Training()}.get(key.split(".")[0])
    description = ""
    for name in key.split(".")[1:]:
        if not isinstance(spec, BaseModel):
            break  # one of the user's own names: the description is of what it is an item of
        description = type(spec).model_fields[name].description or ""
        spec = getattr(spec, name)
    return without_symbol(description)


def _head(figure: Figure, diagram: PhaseDiagram) -> None:
    name = diagram.provenance["scenario"]["name"].replace("_", " ")
    title = f"{name}: what becomes of training-gaming"
    each = "1 run" if diagram.seeds == 1 else f"{diagram.seeds} runs"
    made = f"{diagram.runs:,} of {diagram.full_runs:,} runs computed"
    note = f"Most frequent regime at the end of training, of {each} at each point; {made}"
    head(figure, title, note)


def _colour(ax: Axes, diagram: PhaseDiagram) -> None:
    colours = ListedColormap([FAILED_COLOUR, *REGIME_COLOURS])
    norm = BoundaryNorm(np.arange(len(colours.colors) + 1) - 1.5, len(colours.colors))  # type: ignore[arg-type]
    across, upwards = _edges(diagram.x), _edges(diagram.y)
    ax.pcolormesh(across, upwards, diagram.regime, cmap=colours, norm=norm, rasterized=True)


def _edges(axis: Axis) -> NDArray[np.float64]:
    """Return where the cells around an axis's points end [points + 1]; the outer ones are halved.

    So the map ends where its axes do.
    """
    at = np.log(axis.numbers) if axis.scale == "log" else axis.numbers
    edges = np.concatenate([at[:1], 0.5 * (at[1:] + at[:-1]), at[-1:]])
    return np.asarray(np.exp(edges) if axis.scale == "log" else edges)


def _hatch(ax: Axes, diagram: PhaseDiagram) -> bool:
    """Hatch what is unsure, and what failed; returns whether anything is unsure."""
    failed = diagram.regime < 0
    unsure = ((diagram.agreement < AGREED) | (diagram.settled < 0.5)) & ~failed
    for mask, hatch in ((unsure, "////"), (failed, "xxxx")):
        if mask.any():
            ax.contourf(
                diagram.x.numbers,
                diagram.y.numbers,
                mask.astype(np.float64),
                levels=[0.5, 1.5],
                colors="none",
                hatches=[hatch],
            ).set(edgecolor=MUTED, linewidth=0.0, hatch_linewidth=0.4)
    return bool(unsure.any())


def _dot(ax: Axes, diagram: PhaseDiagram) -> None:
    rows, columns = np.nonzero(diagram.evaluated)
    ax.plot(
        diagram.x.numbers[columns],
        diagram.y.numbers[rows],
        linestyle="none",
        marker=".",
        markersize=1.6,
        markeredgewidth=0.0,
        color=_DOT,
        rasterized=True,
    )


def _contour(ax: Axes, diagram: PhaseDiagram) -> bool:
    """Draw lines of equal numbers, with the numbers on them; returns whether there are any."""
    number = np.ma.masked_invalid(diagram.number)
    if number.count() == 0 or number.max() - number.min() < 1e-9:
        return False
    levels = np.array(MaxNLocator(_LINES + 1).tick_values(number.min(), number.max()))
    levels = levels[(levels > number.min()) & (levels < number.max())]
    drawn = ax.contour(
        diagram.x.numbers,
        diagram.y.numbers,
        number,
        levels=levels,
        colors="black",
        linewidths=0.9,
        linestyles="solid",
    )
    drawn.set_path_effects([withStroke(linewidth=2.0, foreground="white")])
    _number_lines(ax, drawn)
    return True


def _number_lines(ax: Axes, drawn: ContourSet) -> None:
    """Write upright, as numbers that stand on end are misread (0.2 for 2.0)."""
    texts = ax.clabel(drawn, fmt=_show, fontsize=7.5, inline=False, colors="black")
    for text in texts:
        text.set(rotation=0.0, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8})


def _show(level: float) -> str:
    return f"{level:g}".replace("-", "−")


def _name_regions(ax: Axes, diagram: PhaseDiagram) -> None:
    """Write each regime's name where its area has the most room, if it has enough."""
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
        colour = "white" if _lightness(colours[code]) < _DARK else "black"
        halo = withStroke(linewidth=3.0, foreground=colours[code])
        row, column = place
        ax.text(
            diagram.x.numbers[column],
            diagram.y.numbers[row],
            name,
            ha="center",
            va="center",
            color=colour,
            fontsize=_FONT_SIZE,
            fontweight="bold",
            path_effects=[halo],
            zorder=5,
        )


def roomiest(region: Mask, *, height: int, width: int) -> tuple[int, int] | None:
    """Return the centre of the largest box of some proportions that fits into a region [ny, nx].

    Args:
        region: Where the box may be.
        height: Its least height, in points.
        width: Its least width.

    Returns:
        A row and a column; None where no box of the least size fits.
    """
    sums = np.zeros((region.shape[0] + 1, region.shape[1] + 1))
    sums[1:, 1:] = region.cumsum(axis=0).cumsum(axis=1)
    found = None
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
        found = int(middle[0] + h // 2), int(middle[1] + w // 2)
    return found


def _legend(figure: Figure, diagram: PhaseDiagram, *, unsure: bool, lines: bool) -> None:
    """Say what each colour, hatching and line is, beside the map; most gaming stands at the top."""
    shares = diagram.shares
    handles: list[Patch | Line2D] = []
    for name, colour in reversed(list(zip(REGIMES, REGIME_COLOURS, strict=True))):
        label = f"{name}: {_percent(shares[name])} of the map\n{MEANINGS[name]}"
        handles.append(Patch(facecolor=colour, edgecolor=MUTED, linewidth=0.4, label=label))
    if shares[FAILED] > 0.0:
        label = f"{_FAILED_NAME}: {_percent(shares[FAILED])} of the map\nnumbers grew out of bounds"
        handles.append(Patch(facecolor="white", edgecolor=MUTED, hatch="xxxx", label=label))
    if unsure:
        label = "unsure\nfewer than 3 in 4 seeds agree, or most\nhave not settled"
        handles.append(Patch(facecolor="none", edgecolor=MUTED, hatch="////", lw=0.4, label=label))
    if lines:
        label = number_label(diagram.contour)
        handles.append(Line2D([], [], color="black", lw=0.9, label=label))
    if not diagram.evaluated.all():
        label = "computed\nin between, it is filled in"
        dot = Line2D([], [], label=label, color=_DOT, linestyle="none", marker=".", markersize=3.0)
        handles.append(dot)
    legend = figure.legend(
        handles=handles,
        loc="outside right upper",
        frameon=False,
        fontsize=7.5,
        labelspacing=1.0,
        handleheight=1.6,
        handlelength=1.8,
    )
    for text, name in zip(legend.get_texts(), reversed(REGIMES), strict=False):
        if shares[name] == 0.0:
            text.set_color(_ABSENT)


def number_label(column: str) -> str:
    """Say what lines of a column of the summary are: its name in words, and its meaning."""
    variable, dot, of = column.partition(".")
    words = variable.replace("_", " ") + (f" ({of.replace('_', ' ')})" if dot else "")
    meaning = _REACHES.get(variable) or without_symbol(VARIABLES[variable].meaning)
    return "\n".join([f"{words}, mean over seeds", *textwrap.wrap(meaning, 44)])


def without_symbol(meaning: str) -> str:
    """Leave out the symbol that a meaning may begin with, and the section it may end with."""
    return re.sub(r"^\S{1,3}: |\s*\([\d., ]+\)$", "", meaning)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _lightness(colour: str) -> float:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue
