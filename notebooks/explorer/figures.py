"""The figures of the explorer, from a view."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

import numpy as np

from notebooks.explorer import words
from notebooks.explorer.svg import Axes, stack
from notebooks.explorer.view import View
from sim.analysis.worst_case import TERMS
from sim.dynamics.state import Array
from sim.plots.style import COLOURS, DASHES, MUTED

#: Height of a row of bars.
_ROW = 24
_NAMES = 140
_GREY = "#8C8C8C"
#: Shades of the gaming rate.
_SHADES = 10
#: Points of a course through the phase plane.
_COURSE = 25


def style_of(view: View) -> list[tuple[str, tuple[float, ...]]]:
    """Return a colour and dashes for each context; a twin has the colour of its original."""
    described = view.specs.scenario.contexts
    twin_of = {context.twin: name for name, context in described.items() if context.twin}
    originals = [name for name in described if name not in twin_of]
    number = {name: i for i, name in enumerate(originals)}
    styles = []
    for name, trained in zip(view.contexts, view.trained, strict=True):
        index = number[twin_of.get(name, name)]
        turn = index // len(COLOURS)
        dashes = DASHES[2 * turn] if trained else DASHES[1 + 2 * turn]
        styles.append((COLOURS[index % len(COLOURS)], dashes))
    return styles


def rates(view: View) -> Axes:
    """Draw the gaming rate of each context."""
    ax = Axes("Where gaming emerges", _ends(view), (-0.02, 1.02), "training step", "gaming rate")
    for c, (colour, dashes) in enumerate(style_of(view)):
        low, median, high = view.rates[:, :, c]
        ax.band(view.steps, low, high, colour)
        ax.line(view.steps, median, colour, dashes=dashes)
        if np.isfinite(view.onset[c]):
            at = float(view.onset[c])
            ax.dot(at, float(np.interp(at, view.steps, median)), colour)
    return ax


def values(view: View) -> Axes:
    """Draw the strength of each value."""
    low = min(0.0, float(view.values.min()))
    high = max(0.1, float(view.values.max()))
    ends = (low - 0.04 * (high - low), high + 0.04 * (high - low))
    ax = Axes("What becomes of the values", _ends(view), ends, "training step", "strength")
    ax.line(np.array(_ends(view)), np.zeros(2), MUTED, width=0.7)
    for v in range(len(view.value_names)):
        ax.band(view.steps, view.values[0, :, v], view.values[2, :, v], value_colour(v))
        ax.line(view.steps, view.values[1, :, v], value_colour(v), dashes=DASHES[v % len(DASHES)])
    return ax


def value_colour(number: int) -> str:
    """Return the colour of a value, by its number."""
    return COLOURS[number % len(COLOURS)]


def plane(view: View) -> Axes:
    """Draw the phase plane with the agents' courses through it."""
    of = view.plane
    half_x, half_y = (float(axis[1] - axis[0]) / 2 for axis in (of.habits, of.values))
    ax = Axes(
        f"Phase plane: {words.readable(of.context)}",
        (float(of.habits[0]), float(of.habits[-1])),
        (float(of.values[0]), float(of.values[-1])),
        "habit of gaming (log-odds); shade: gaming rate",
        f"value {words.readable(of.value)}",
    )
    levels = (of.gaming_rate * _SHADES).round().astype(int)
    for level in range(1, _SHADES + 1):
        cells = [
            (x - half_x, x + half_x, y - half_y, y + half_y)
            for y, x in zip(
                of.values[np.nonzero(levels == level)[0]].tolist(),
                of.habits[np.nonzero(levels == level)[1]].tolist(),
                strict=True,
            )
        ]
        if cells:
            ax.boxes(cells, _shade(level / _SHADES))
    arrows = [
        _arrow(ax, habit, value, 2.0 * half_x * of.across[y, x], 1.3 * half_y * of.up[y, x])
        for y, value in enumerate(of.values[1:-1], 1)
        for x, habit in enumerate(of.habits[1:-1], 1)
    ]
    ax.drawn.append(
        f"<path d='{''.join(arrows)}' fill='none' stroke='#7A7A7A' stroke-width='0.9'/>"
    )
    habits, strengths = (_thin(course) for course in (of.habit_course, of.value_course))
    ax.lines(habits, strengths, "#000000", width=0.9, opacity=0.5)
    ax.dots(habits[0], strengths[0], COLOURS[0], radius=3.2)
    ax.dots(habits[0], strengths[0], "#FFFFFF", radius=1.9)
    ax.dots(habits[-1], strengths[-1], "#000000", radius=2.8)
    return ax


def regimes(view: View) -> Axes:
    """Draw the share of agents in each regime."""
    names = list(view.regimes)
    height = _ROW * len(names) + 76
    ax = Axes("Regime: what became of gaming", (0.0, 1.15), (0.0, float(len(names))), height=height)
    ax.x_label, ax.left = "share of agents", 90
    for row, name in enumerate(names):
        y = len(names) - 0.5 - row
        share = view.regimes[name]
        if share > 0.0:
            ax.boxes([(0.0, share, y - 0.32, y + 0.32)], COLOURS[0])
        ax.text(0.0, y, name, anchor="end", shift=(-7.0, 4.0))
        ax.text(share, y, f"{share:.0%}", shift=(6.0, 4.0))
    return ax


def terms(view: View) -> Axes:
    """Draw each worst-case term: where the agents are, and from where on it holds."""
    height = _ROW * len(TERMS) + 76
    ax = Axes("Worst-case terms", (-1.0, 1.0), (0.0, float(len(TERMS))), height=height)
    ax.x_label, ax.left = "bar: holds from here on; dot: median agent", _NAMES
    number, threshold = view.terms["number"].values, view.terms["threshold"].values
    for row, term in enumerate(TERMS):
        y = len(TERMS) - 0.5 - row
        side = (-1.0, threshold[row]) if term == "misalignment" else (threshold[row], 1.0)
        ax.boxes([(*side, y - 0.36, y + 0.36)], "#F3D3C0")
        ax.text(-1.0, y, words.term_name(term), anchor="end", shift=(-7.0, 4.0))
        of = number[:, row][np.isfinite(number[:, row])]
        if not of.size:
            ax.text(-0.95, y, "not defined here")
            continue
        low, median, high = np.clip(np.quantile(of, (0.1, 0.5, 0.9)), -1.0, 1.0)
        ax.line(np.array([low, high]), np.array([y, y]), _GREY, width=3.0)
        ax.dot(float(median), y, "#000000", radius=4.5)
    return ax


#: By name, with the words that stand for each.
FIGURES = {
    "rates": (rates, words.of_rates),
    "values": (values, words.of_values),
    "plane": (plane, words.of_plane),
    "terms": (terms, words.of_terms),
    "regimes": (regimes, words.of_regimes),
}


@dataclass(frozen=True)
class Drawing:
    """A figure as SVG.

    Attributes:
        svg: The text.
        height: In units of its own.
        alternative: What it says, in words.
    """

    svg: str
    height: int
    alternative: str


def draw(view: View) -> dict[str, Drawing]:
    """Return every figure, by name."""
    drawn = {}
    for name, (figure, say) in FIGURES.items():
        axes, said = figure(view), say(view)
        numbered = name not in ("terms", "regimes")
        text = axes.svg(name=f"figure-{name}", alternative=said, y_ticks=numbered)
        drawn[name] = Drawing(text, axes.height, said)
    return drawn


def as_one(view: View, drawn: dict[str, Drawing]) -> str:
    """Return all figures below each other as one SVG file, with the command that repeats them."""
    return stack([(one.svg, one.height) for one in drawn.values()], note=view.state.command())


def _ends(view: View) -> tuple[float, float]:
    return float(view.steps[0]), float(view.steps[-1])


def _thin(course: Array) -> Array:
    """Return some records of a course [S, A]: the first, the last, and more of the early ones."""
    last = len(course) - 1
    share = np.linspace(0.0, 1.0, _COURSE) ** 2
    kept: Array = course[np.unique((share * last).round().astype(int))]
    return kept


def _shade(rate: float) -> str:
    """Mix white and the colour of gaming."""
    end = np.array([248, 211, 184])
    red, green, blue = (255 + (end - 255) * rate).round().astype(int)
    return f"#{red:02X}{green:02X}{blue:02X}"


def _arrow(ax: Axes, x: float, y: float, right: float, up: float) -> str:
    """Return the path of a short arrow along the flow; of none where it is at rest."""
    x0, y0 = float(ax.across(x - right / 2)), float(ax.up(y - up / 2))
    x1, y1 = float(ax.across(x + right / 2)), float(ax.up(y + up / 2))
    length = hypot(x1 - x0, y1 - y0)
    if length < 1.0:
        return ""
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    (a, b), (c, d) = ((x1 - 3.5 * dx + s * 2.2 * dy, y1 - 3.5 * dy - s * 2.2 * dx) for s in (1, -1))
    return f"M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}M{a:.1f} {b:.1f}L{x1:.1f} {y1:.1f}L{c:.1f} {d:.1f}"
