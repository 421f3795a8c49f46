"""The figure of a claim: where it turns, its effect beside the contrast, and along assumptions."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator
from scipy.ndimage import distance_transform_edt, gaussian_filter

from sim.plots.style import COLOURS, MUTED, house_style, literal, short_key, title_of
from sim.specs.library import read_yaml
from sim.sweeps.design import Numbers
from sim.utils.format import short_number, with_minus

from .judge import CELLS
from .results import ClaimResult, Results
from .spec import Claim

TRUE, FALSE, INK, GROUND = COLOURS[0], COLOURS[1], "#000000", "#FFFFFF"
#: Inches of a panel: on the page it is as wide as a phone.
WIDTH, HEIGHT = 3.7, 3.15
#: An assumption with so many levels, or fewer, is drawn by level.
_FEW = 4
#: Points of an axis on which surfaces are drawn, and bands of colour on each side of a boundary.
_FINE, _BANDS = 72, 4
#: By so many of these points a density is smoothed.
_SMOOTH = 6.0
#: Below which density, of the mean's, a surface is drawn fainter, and by how much.
_FAINT = {0.5: 0.35, 0.2: 0.45}
#: Ratios at which a level is drawn.
_RATIOS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
#: Ticks are at least this share of an axis apart.
_APART = 0.13
_LABEL: dict[str, Any] = {
    "fontsize": 8,
    "color": INK,
    "bbox": {"facecolor": GROUND, "alpha": 0.8, "edgecolor": "none", "pad": 1.5},
}
Draw = Callable[[Axes], None]


def figures(results: Results) -> dict[str, Figure]:
    """Draw a figure for each claim, by its name."""
    drawings = {}
    for result in results.claims:
        draws = list(panels(result, results).values())
        rows, columns = -(-len(draws) // 3), min(3, len(draws))
        with house_style():
            size = (WIDTH * columns, HEIGHT * rows + 0.4)
            figure = Figure(figsize=size, layout="constrained")
            title_of(figure, f"{result.claim.title}: {result.judgement.verdict}")
            places = list(figure.subplots(rows, columns, squeeze=False).flat)
            for axes, draw in zip(places, draws, strict=False):
                draw(axes)
            for axes in places[len(draws) :]:
                axes.set_axis_off()
        drawings[result.claim.name] = figure
    return drawings


def panel_figure(draw: Draw) -> Figure:
    """Draw a panel as a figure of its own."""
    with house_style():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        draw(figure.subplots())
    return figure


def panels(result: ClaimResult, results: Results) -> dict[str, Draw]:
    """Return what draws each panel: `plane`, `effect`, and `along KEY` where there are cases."""
    influences = {influence.key: influence for influence in result.judgement.influences}
    keys = dict.fromkeys((result.judgement.axes[0], *result.claim.along))
    keys = {key: None for key in keys if len(influences[key].effects) > 1}
    scales = {
        key: Scale.from_column(key, results.draws[key]) for key in (*keys, *result.judgement.axes)
    }
    return {
        "plane": partial(draw_plane, result, scales, results.defaults),
        "effect": partial(draw_effect, result),
        **{f"along {key}": partial(draw_along, result, scales[key]) for key in keys},
    }


@cache
def _labels() -> dict[str, str]:
    return read_yaml(Path(__file__).parent / "labels.yaml")


def axis_label(key: str) -> str:
    """Return an assumption in words."""
    words = short_key(key).replace("_", " ").replace(".", ", ").replace("*", "all")
    return _labels().get(key, words)


def effect_text(claim: Claim, number: float) -> str:
    """Write an effect: per cent of the cases, or a number, whose unit stands elsewhere."""
    if claim.number is not None:
        return short_number(number)
    return f"{short_number(100.0 * number)}\u00a0%"


def statistic_text(claim: Claim, number: float) -> str:
    """Write the statistic of a surface: a ratio, or as effects are."""
    return f"× {short_number(number)}" if claim.ratio else effect_text(claim, number)


def level_of(claim: Claim, threshold: float) -> float:
    """Return what a surface must exceed for the claim to be true."""
    return threshold + 1.0 if claim.ratio else threshold


@dataclass(frozen=True)
class Scale:
    """An assumption as an axis along which cases lie evenly, from 0 to 1.

    Attributes:
        key: The assumption.
        levels: Its levels, if they are few ...
        edges: ... and where on the axis each begins and the last ends; else the axis' ends.
        column: All its numbers in order, if they are not.
    """

    key: str
    levels: tuple[Any, ...]
    edges: Numbers
    column: Numbers

    @classmethod
    def from_column(cls, key: str, column: pd.Series) -> Scale:
        """Return the scale of an assumption as it was drawn."""
        levels = sorted(column.unique()) if column.nunique() <= _FEW else []
        shares = column.value_counts(normalize=True).reindex(levels)
        if not pd.api.types.is_numeric_dtype(column):
            shares[:] = 1.0 / len(levels)  # as it is judged
        edges = np.array([0.0, *np.cumsum(shares)[:-1], 1.0])
        return cls(key, tuple(levels), edges, np.array([]) if levels else np.sort(column))

    def place(self, value: Any) -> float:
        """Return where on the axis a value is."""
        if value is None:
            return np.nan
        if self.levels:
            at = self.levels.index(value) if value in self.levels else -1
            return float(self.edges[at] + self.edges[at + 1]) / 2.0 if at >= 0 else np.nan
        return float(np.searchsorted(self.column, value)) / len(self.column)

    @property
    def ticks(self) -> Iterator[tuple[float, str]]:
        """Yield where on the axis to write what."""
        if self.levels:
            for level in self.levels:
                text = level.replace("_", " ") if isinstance(level, str) else f"{level:g}"
                yield self.place(level), text
            return
        low, middle, high = np.quantile(self.column, (0.0, 0.5, 1.0))
        is_log = low > 0.0 and middle < (np.sqrt(low * high) + (low + high) / 2.0) / 2.0
        subs = (1.0, 3.0) if high > 30.0 * low else (1.0, 2.0, 5.0)
        locator = LogLocator(subs=subs) if is_log else MaxNLocator(6, steps=[1, 2, 5, 10])
        last = -1.0
        for tick in locator.tick_values(low, high):
            place = self.place(tick)
            if low <= tick <= high and place - last >= _APART:
                last = place
                yield place, with_minus(f"{tick:g}")

    @property
    def weights(self) -> Numbers:
        """The weight of each cell at the points of the axis [points, CELLS]: linear in between."""
        points = (np.arange(_FINE) + 0.5) / _FINE
        if self.levels:
            level = np.searchsorted(self.edges[1:-1], points, side="right")
            cells = (((self.edges[:-1] + self.edges[1:]) / 2.0) * CELLS).astype(int)
            return np.asarray(np.eye(CELLS)[np.minimum(cells[level], CELLS - 1)])
        at = points * CELLS - 0.5
        below = np.clip(np.floor(at), 0, CELLS - 2).astype(int)
        part, cells = (at - below)[:, None], np.eye(CELLS)
        return np.asarray((1.0 - part) * cells[below] + part * cells[below + 1])

    @property
    def blocks(self) -> Iterator[tuple[Numbers, slice]]:
        """Yield the points of the axis that are of one level, from edge to edge, and which."""
        ends = np.ceil(self.edges * _FINE - 0.5).astype(int)
        for begins, stops, first, last in zip(
            self.edges[:-1], self.edges[1:], ends[:-1], ends[1:], strict=True
        ):
            yield np.linspace(begins, stops, last - first), slice(first, last)

    @property
    def width(self) -> Numbers:
        """The share of the axis that each cell is [CELLS]."""
        width = np.full(CELLS, 1.0 / CELLS)
        for begins, ends in (
            zip(self.edges[:-1], self.edges[1:], strict=True) if self.levels else ()
        ):
            width[min(int((begins + ends) / 2.0 * CELLS), CELLS - 1)] = ends - begins
        return width

    def label(self, axes: Axes, side: str = "x") -> None:
        """Write the assumption and its values beside an axis."""
        places, texts = zip(*self.ticks, strict=True)
        text = "\n".join(textwrap.wrap(axis_label(self.key), 34))
        axes.set(**{f"{side}lim": (0.0, 1.0), f"{side}label": text})
        options: dict[str, Any] = {"rotation": 90, "va": "center"} if side == "y" else {}
        if side == "x" or not self.levels:
            options = {}
        getattr(axes, f"set_{side}ticks")(places, texts, **options)


def draw_plane(
    result: ClaimResult, scales: Mapping[str, Scale], defaults: Mapping[str, Any], axes: Axes
) -> None:
    """Draw the surface over the two assumptions that decide most, and its boundary."""
    claim, judgement = result.claim, result.judgement
    across, up = (scales[key] for key in judgement.axes)
    level, surface = level_of(claim, judgement.threshold), judgement.surface
    if claim.ratio:
        level, surface = np.log(level), np.log(np.maximum(surface, 1e-6))
    surface = np.clip(across.weights @ surface @ up.weights.T, surface.min(), surface.max())
    density = across.weights @ (judgement.density / np.outer(across.width, up.width)) @ up.weights.T
    density = gaussian_filter(density, [0 if scale.levels else _SMOOTH for scale in (across, up)])
    above, levels = surface - level, _levels(claim, surface, level)
    for x, columns in across.blocks:
        for y, rows in up.blocks:
            part = columns, rows
            _colour(axes, (x, y), above[part].T, np.abs(above).max())
            _veil(axes, (x, y), density[part].T)
            _draw_levels(claim, axes, (x, y), surface[part].T, levels, level)
    if across.levels and up.levels:
        _write_blocks(claim, axes, (across, up), judgement.surface)
    else:
        _write_regions(axes, above > 0.0, density)
    place = [scale.place(defaults.get(scale.key)) for scale in (across, up)]
    _mark_default(axes, place[0], place[1] - 0.13 * bool(across.levels and up.levels))
    across.label(axes)
    up.label(axes, "y")
    axes.set_title("Where it is true")


def _colour(axes: Axes, plane: tuple[Numbers, Numbers], above: Numbers, most: float) -> None:
    """Colour a surface by how far above, or below, its level it is, in bands of each side."""
    for side, colour in ((above, TRUE), (-above, FALSE)):
        for band in np.linspace(0.0, most, _BANDS + 1)[:-1]:
            if (side > band).any():
                axes.contourf(*plane, side, [band, np.inf], colors=[colour], alpha=0.17)


def _veil(axes: Axes, plane: tuple[Numbers, Numbers], density: Numbers) -> None:
    """Make a surface faint where there are few cases."""
    for least, veil in _FAINT.items():
        if (density < least).any():
            axes.contourf(*plane, density, [-1.0, least], colors=[GROUND], alpha=veil)


def _middle(region: Any, otherwise: Any) -> tuple[int, int]:
    """Return the point of a region of the plane that is farthest from its edge."""
    mask = np.pad(region if region.any() else otherwise, 1)
    depth = distance_transform_edt(mask)[1:-1, 1:-1]
    i, j = np.unravel_index(np.argmax(depth), depth.shape)
    return int(i), int(j)


def _write_regions(axes: Axes, true: Any, density: Numbers) -> None:
    """Write in the middle of each region, where there are cases, what the claim is there."""
    for region, word in ((true, "true"), (~true, "not true")):
        if region.mean() > 0.03:
            i, j = _middle(region & (density >= min(_FAINT)), region)
            place = (i + 0.5) / _FINE, (j + 0.5) / _FINE
            axes.text(*place, word, ha="center", va="center", **_LABEL)


def _write_blocks(claim: Claim, axes: Axes, scales: tuple[Scale, Scale], surface: Numbers) -> None:
    """Write the statistic where each level of an assumption meets each of the other's."""
    middles = [(scale.edges[:-1] + scale.edges[1:]) / 2.0 for scale in scales]
    for x in middles[0]:
        for y in middles[1]:
            number = float(surface[int(x * CELLS), int(y * CELLS)])
            text = statistic_text(claim, number)
            axes.text(x, y, text, ha="center", va="center", **_LABEL)


def _levels(claim: Claim, surface: Numbers, level: float) -> list[float]:
    """Return a few levels of a surface, not too near the boundary."""
    low, high = float(surface.min()), float(surface.max())
    levels = np.log(_RATIOS) if claim.ratio else MaxNLocator(4).tick_values(low, high)
    return [x for x in levels if abs(x - level) > 0.08 * (high - low)]


def _draw_levels(
    claim: Claim,
    axes: Axes,
    plane: tuple[Numbers, Numbers],
    surface: Numbers,
    levels: list[float],
    boundary: float,
) -> None:
    """Draw levels as thin lines and the boundary as a thick one, and write on each what it is."""
    write = FuncFormatter(lambda x, _: statistic_text(claim, np.exp(x) if claim.ratio else x))
    for numbers, width, weight in ((levels, 0.6, "normal"), ([boundary], 2.2, "bold")):
        inside = [x for x in numbers if surface.min() < x < surface.max()]
        if inside:
            lines = axes.contour(
                *plane, surface, inside, colors=INK, linewidths=width, linestyles="solid"
            )
            for text in axes.clabel(lines, fmt=write, fontsize=8):
                text.set(bbox=_LABEL["bbox"], color=INK, fontweight=weight, rotation=0)


def _mark_default(axes: Axes, x: float, y: float) -> None:
    """Mark the defaults of both assumptions by a point, that of one alone by a line."""
    style: dict[str, Any] = {"color": INK, "lw": 1.0, "ls": (0, (2, 2))}
    if np.isfinite((x, y)).all():
        axes.plot(x, y, "o", ms=6, mfc=GROUND, mec=INK, mew=1.6, clip_on=False)
        side: dict[str, Any] = (
            {"ha": "left", "xytext": (7, 0)} if x < 0.6 else {"ha": "right", "xytext": (-7, 0)}
        )
        axes.annotate("default", (x, y), textcoords="offset points", va="center", **side, **_LABEL)
    elif np.isfinite(x):
        axes.axvline(x, **style)
        axes.annotate("default", (x, 0.02), ha="center", va="bottom", **_LABEL)
    elif np.isfinite(y):
        axes.axhline(y, **style)
        axes.annotate("default", (0.99, y), ha="right", va="bottom", **_LABEL)


def draw_effect(result: ClaimResult, axes: Axes) -> None:
    """Draw the effect and that of the contrast with their intervals, and what is asked for."""
    claim, judgement = result.claim, result.judgement
    rows = (("claim", judgement.effect, TRUE), (claim.contrast.says, judgement.contrast, MUTED))
    for y, (label, effect, colour) in zip((0.62, 0.12), rows, strict=True):
        axes.plot([effect.low, effect.high], [y, y], color=colour, lw=2.5, solid_capstyle="butt")
        axes.plot(effect.estimate, y, "o", color=colour, ms=7)
        lines = textwrap.wrap(literal(label), 44)
        text = "\n".join([*lines[:2], lines[2] + " …"] if len(lines) > 3 else lines)
        place: dict[str, Any] = {
            "transform": axes.get_yaxis_transform(),
            "va": "bottom",
            "zorder": 3,
        }
        axes.text(0.0, y + 0.08, text, **place, **{**_LABEL, "fontsize": 9})
        text = effect_text(claim, effect.estimate)
        centre: dict[str, Any] = {
            "xytext": (0, -8),
            "textcoords": "offset points",
            "ha": "center",
            "va": "top",
        }
        if np.isfinite(effect.estimate):
            axes.annotate(text, (effect.estimate, y), color=colour, fontweight="bold", **centre)
    ends = [end for _, each, _ in rows for end in (each.low, each.high) if np.isfinite(end)]
    _limit(claim, axes, ends, judgement.threshold)
    axes.set(ylim=(-0.1, 1.0), yticks=[], title="Beside its contrast")
    axes.spines["left"].set_visible(False)


def _limit(claim: Claim, axes: Axes, ends: list[float], threshold: float) -> None:
    """Set the limits of the effect's axis, and mark what the quantifier asks for."""
    if claim.quantifier != "more":
        ends = [*ends, threshold]
        axes.axvline(threshold, color=INK, lw=1.0, ls=(0, (4, 2)))
        text = f"> {effect_text(claim, threshold)}"
        axes.annotate(text, (threshold, 1.0), ha="center", va="top", **_LABEL)
    axes.set_xlabel(claim.unit)
    low, high = min([0.0, *ends]), max([0.0, *ends])
    margin = 0.14 * (high - low) or 1.0
    axes.set_xlim(low - margin, high + margin)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: effect_text(claim, x)))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    if low < 0.0:
        axes.axvline(0.0, color=MUTED, lw=0.6)


def draw_along(result: ClaimResult, scale: Scale, axes: Axes) -> None:
    """Draw the effect, less the contrast's if it is compared, along an assumption."""
    claim, judgement = result.claim, result.judgement
    influence = next(each for each in judgement.influences if each.key == scale.key)
    levels = {str(level): level for level in scale.levels}
    x = [scale.place(levels.get(str(place), place)) for place in influence.places]
    y = np.asarray(influence.effects)
    half = 1.96 * np.asarray(influence.errors)
    level = judgement.threshold + (1.0 if claim.ratio else 0.0)
    axes.axhline(level, color=INK, lw=1.0, ls=(0, (4, 2)))
    axes.plot(x, y, color=TRUE, lw=1.2)
    axes.vlines(x, y - half, y + half, color=TRUE, lw=0.8)
    for true, colour, marker in ((y > level, TRUE, "o"), (y <= level, FALSE, "s")):
        axes.plot(np.asarray(x)[true], y[true], marker, color=colour, ms=6)
    low, high = min([level, *(y - half)]), max([level, *(y + half)])
    margin = 0.12 * (high - low) or 0.1
    most = 1.02 if claim.number is None and claim.quantifier != "more" else np.inf
    axes.set_ylim(low - margin, min(high + margin, most))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: effect_text(claim, y)))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.set_ylabel(claim.unit)
    compared = "Claim over contrast" if claim.ratio else "Claim less contrast"
    axes.set_title(compared if claim.quantifier == "more" else "Effect")
    scale.label(axes)
