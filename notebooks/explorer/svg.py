"""Drawing by hand: SVG in a hundredth of the time that a plotting library takes.

A figure of the house (`sim/plots`) needs half a second and more, which is all the time there is
between a slider's move and its answer. Text is dark on white, lines have the house's colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from math import ceil, floor, log10

import numpy as np

from sim.dynamics.state import Array
from sim.plots.style import MUTED

#: Of all figures, in units of their own; they are shown at up to this size.
WIDTH, HEIGHT = 460, 280
INK = "#1F1F1F"
_FONT = "font-family='PT Sans, DejaVu Sans, sans-serif'"
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 32, 44


@dataclass
class Axes:
    """A drawing with two axes.

    Attributes:
        title: What stands above it.
        x: The ends of the axis across.
        y: The ends of the axis upwards.
        x_label: What is across.
        y_label: What is upwards.
        height: Of the drawing.
        left: Of what is drawn, to leave room for names.
        drawn: What has been drawn.
    """

    title: str
    x: tuple[float, float]
    y: tuple[float, float]
    x_label: str = ""
    y_label: str = ""
    height: int = HEIGHT
    left: int = _LEFT
    drawn: list[str] = field(default_factory=list)

    def across(self, x: Array | float) -> Array:
        """Return where x stands."""
        low, high = self.x
        return self.left + (np.asarray(x) - low) / (high - low) * (WIDTH - self.left - _RIGHT)

    def up(self, y: Array | float) -> Array:
        """Return where y stands."""
        low, high = self.y
        bottom = self.height - _BOTTOM
        return bottom - (np.asarray(y) - low) / (high - low) * (bottom - _TOP)

    def band(self, x: Array, low: Array, high: Array, colour: str) -> None:
        """Shade between two curves."""
        points = _points(
            np.append(self.across(x), self.across(x)[::-1]),
            np.append(self.up(low), self.up(high)[::-1]),
        )
        self.drawn.append(f"<polygon points='{points}' fill='{colour}' fill-opacity='0.15'/>")

    def line(
        self,
        x: Array,
        y: Array,
        colour: str,
        *,
        width: float = 2.0,
        dashes: Sequence[float] = (),
        opacity: float = 1.0,
    ) -> None:
        """Draw a curve."""
        dashed = f" stroke-dasharray='{' '.join(f'{d * width:g}' for d in dashes)}'"
        self.drawn.append(
            f"<polyline points='{_points(self.across(x), self.up(y))}' fill='none' "
            f"stroke='{colour}' stroke-width='{width:g}' stroke-opacity='{opacity:g}' "
            f"stroke-linejoin='round'{dashed if dashes else ''}/>"
        )

    def dot(
        self, x: float, y: float, colour: str, *, radius: float = 4.0, full: bool = True
    ) -> None:
        """Draw a dot, or a ring."""
        fill, edge = (colour, "#FFFFFF") if full else ("#FFFFFF", colour)
        self.drawn.append(
            f"<circle cx='{float(self.across(x)):.1f}' cy='{float(self.up(y)):.1f}' "
            f"r='{radius:g}' fill='{fill}' stroke='{edge}' stroke-width='1.2'/>"
        )

    def dots(self, x: Array, y: Array, colour: str, *, radius: float) -> None:
        """Draw many dots as one path, which a browser shows sooner than many circles."""
        places = zip(self.across(x).tolist(), self.up(y).tolist(), strict=True)
        path = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in places)
        self.drawn.append(
            f"<path d='{path}' stroke='{colour}' stroke-width='{2 * radius:g}' "
            "stroke-linecap='round'/>"
        )

    def lines(self, x: Array, y: Array, colour: str, *, width: float, opacity: float) -> None:
        """Draw a curve for each column of x and y [S, N] as one path."""
        across, up = self.across(x), self.up(y)
        path = "".join(
            "M" + _points(across[:, n], up[:, n]).replace(" ", "L") for n in range(x.shape[1])
        )
        self.drawn.append(
            f"<path d='{path}' fill='none' stroke='{colour}' stroke-width='{width:g}' "
            f"stroke-opacity='{opacity:g}'/>"
        )

    def boxes(self, places: Sequence[tuple[float, float, float, float]], colour: str) -> None:
        """Fill rectangles (left, right, bottom, top), clipped to the axes, as one path."""
        ends = np.array(places).reshape(-1, 4)
        across = self.across(np.clip(ends[:, :2], *self.x))
        up = self.up(np.clip(ends[:, 2:], *self.y))
        path = "".join(
            f"M{x0:.1f} {y0:.1f}H{x1:.1f}V{y1:.1f}H{x0:.1f}Z"
            for (x0, x1), (y0, y1) in zip(across.tolist(), up.tolist(), strict=True)
        )
        self.drawn.append(f"<path d='{path}' fill='{colour}'/>")

    def text(
        self,
        x: float,
        y: float,
        said: str,
        *,
        anchor: str = "start",
        size: int = 12,
        shift: tuple[float, float] = (0.0, 4.0),
    ) -> None:
        """Write beside a place of the axes."""
        at = float(self.across(x)) + shift[0], float(self.up(y)) + shift[1]
        self.drawn.append(_text(*at, said, anchor=anchor, size=size))

    def svg(
        self, *, name: str, alternative: str, y_ticks: bool = True, x_ticks: bool = True
    ) -> str:
        """Return the drawing.

        Args:
            name: Its id, unique in the page.
            alternative: What is told to who does not see it.
            y_ticks: Whether the axis upwards has numbers.
            x_ticks: Whether the axis across has.
        """
        frame = [_text(4, 17, self.title, size=13, weight="bold")]
        bottom = self.height - _BOTTOM
        frame.append(_rule(self.left, bottom, WIDTH - _RIGHT, bottom))
        frame.append(_rule(self.left, _TOP, self.left, bottom))
        for tick in ticks(*self.x) if x_ticks else []:
            at = float(self.across(tick))
            frame.append(_rule(at, bottom, at, bottom + 4))
            frame.append(_text(at, bottom + 16, _number(tick), anchor="middle", colour=MUTED))
        for tick in ticks(*self.y, count=4) if y_ticks else []:
            at = float(self.up(tick))
            frame.append(_rule(self.left - 4, at, self.left, at))
            frame.append(_text(self.left - 7, at + 4, _number(tick), anchor="end", colour=MUTED))
        middle = (self.left + WIDTH - _RIGHT) / 2
        frame.append(_text(middle, self.height - 8, self.x_label, anchor="middle", colour=MUTED))
        if self.y_label:
            turn = (_TOP + bottom) / 2
            frame.append(
                f"<g transform='translate(13 {turn:.1f}) rotate(-90)'>"
                f"{_text(0, 0, self.y_label, anchor='middle', colour=MUTED)}</g>"
            )
        inside = "".join(self.drawn)
        return (
            f"<svg xmlns='http://www.w3.org/2000/svg' id='{name}' role='img' "
            f"aria-label='{escape(alternative, quote=True)}' viewBox='0 0 {WIDTH} {self.height}' "
            f"width='{WIDTH}' height='{self.height}'>"
            f"<rect width='100%' height='100%' fill='#FFFFFF'/>{inside}{''.join(frame)}</svg>"
        )


def stack(drawings: Sequence[tuple[str, int]], *, note: str) -> str:
    """Return drawings (each with its height) below each other as one file, and a note."""
    parts, y = [], 0
    for drawing, height in drawings:
        parts.append(drawing.replace("<svg ", f"<svg y='{y}' ", 1))
        y += height
    lines = [note[i : i + 76] for i in range(0, len(note), 76)]
    written = "".join(_text(4, y + 16 + 14 * i, line, size=11) for i, line in enumerate(lines))
    y += 24 + 14 * len(lines)
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {y}' width='{WIDTH}' "
        f"height='{y}'><rect width='100%' height='100%' fill='#FFFFFF'/>{''.join(parts)}{written}"
        "</svg>"
    )


def swatch(colour: str, dashes: Sequence[float] = ()) -> str:
    """Return a short piece of a line, for a legend."""
    dashed = f" stroke-dasharray='{' '.join(f'{2 * d:g}' for d in dashes)}'" if dashes else ""
    return (
        "<svg width='34' height='10' viewBox='0 0 34 10' aria-hidden='true' focusable='false'>"
        f"<line x1='0' y1='5' x2='34' y2='5' stroke='{colour}' stroke-width='2.5'{dashed}/></svg>"
    )


def ticks(low: float, high: float, *, count: int = 5) -> list[float]:
    """Return round numbers between two ends, about so many."""
    rough = (high - low) / count
    size = 10.0 ** floor(log10(rough))
    step = min((s * size for s in (1, 2, 5, 10)), key=lambda s: abs(s - rough))
    first = ceil(low / step - 1e-9)
    return [i * step for i in range(first, floor(high / step + 1e-9) + 1)]


def _number(number: float) -> str:
    return f"{round(number, 9) + 0.0:g}".replace("-", "−")


def _points(x: Array, y: Array) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))


def _rule(x0: float, y0: float, x1: float, y1: float) -> str:
    return f"<path d='M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}' stroke='{MUTED}' stroke-width='1'/>"


def _text(
    x: float,
    y: float,
    said: str,
    *,
    anchor: str = "start",
    size: int = 12,
    colour: str = INK,
    weight: str = "normal",
) -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' font-size='{size}' "
        f"font-weight='{weight}' fill='{colour}' {_FONT}>{escape(said)}</text>"
    )
