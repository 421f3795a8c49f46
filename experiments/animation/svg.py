"""Emergence as it moves: who games where over training, and what becomes of each agent's value.

An SVG with animation by style sheet alone. Where a reader asks for less motion, or nothing can
move, it shows the end of training with every path.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sim.dynamics.measures import GAMED
from sim.plots.style import COLOURS, MUTED
from sim.result import Result

#: Size of the picture, and of the two plots in it: left, top, width, height.
SIZE = (900, 450)
CURVES = (60.0, 96.0, 330.0, 280.0)
PLANE = (570.0, 96.0, 300.0, 280.0)
#: Moments of the animation, and the share of a loop for which it rests at the end.
FRAMES = 64
PAUSE = 0.15
#: Colours of an agent that games and of one that does not.
GAMES, ANSWERS = COLOURS[0], COLOURS[1]
#: Dashes of contexts, trained on or not.
_DASHES = ("", "6 3", "2 2", "9 3 2 3", "12 4", "1 3")

Array = NDArray[np.float64]


def moments(steps: NDArray[np.int64], frames: int = FRAMES) -> NDArray[np.int64]:
    """Return the records to show [frame]: even in the square root of the step, so early is slow."""
    even = np.linspace(0.0, np.sqrt(steps[-1]), frames) ** 2
    nearest = np.abs(steps[None, :] - even[:, None]).argmin(axis=1)
    return np.unique(nearest)


def animation(result: Result, *, context: str, value: str, seconds: float = 16.0) -> str:
    """Draw an animated emergence.

    On the left the median gaming rate of every context grows with training; on the right every
    agent is a dot in the plane of what it values and how often it games, with its path behind it.
    Time runs evenly in the square root of the step, as most happens early.

    Args:
        result: A run of several agents.
        context: Where the dots show the gaming rate.
        value: Which value they show.
        seconds: How long one loop takes.

    Returns:
        The text of an SVG file.
    """
    steps = result.data["step"].values.astype(np.int64)
    frames = moments(steps)
    rates = np.asarray(result.gaming_rate.sel(context=context).values)[frames]
    strengths = np.asarray(result.values.sel(value=value).values)[frames]
    share = np.sqrt(steps[frames] / steps[-1])
    low, high = _padded(strengths)
    xs = PLANE[0] + PLANE[2] * (strengths - low) / (high - low)
    ys = PLANE[1] + PLANE[3] * (1.0 - rates)
    rules: list[str] = []
    body = [
        *_curves(result, steps),
        *_plane(context, value, low, high),
        *_agents(xs, ys, rates, share, rules),
    ]
    label = outcome_label(result, context=context, value=value)
    return _document(label, body, rules, seconds)


def outcome_label(result: Result, *, context: str, value: str) -> str:
    """Return the label: how many agents game at the end, and how many of them keep the value."""
    rates = np.asarray(result.gaming_rate.sel(context=context).values)[-1]
    strengths = np.asarray(result.values.sel(value=value).values)[-1]
    games = rates >= GAMED
    keeps = strengths > 0.0
    gamers = f"{int(games.sum())} of {len(games)} agents game the {_plain(context)} at the end"
    if games.any() and not games.all():
        return (
            f"{gamers}; {int((keeps & games).sum())} of them still value {_plain(value)}, and "
            f"{int((keeps & ~games).sum())} of the {int((~games).sum())} others"
        )
    return f"{gamers}; {int(keeps.sum())} of {len(games)} still value {_plain(value)}"


def _document(label: str, body: Sequence[str], rules: Sequence[str], seconds: float) -> str:
    width, height = SIZE
    moving = f"{seconds:g}s linear infinite"
    style = [
        "text{font-family:system-ui,'DejaVu Sans',Verdana,sans-serif;font-size:13px;fill:#222}",
        f".small{{font-size:12px;fill:{MUTED}}}.head{{font-size:15px;font-weight:bold}}",
        ".cover,.now{visibility:hidden}",
        "@media (prefers-reduced-motion:no-preference){",
        ".cover,.now{visibility:visible}",
        f".cover,.now{{animation:sweep {moving}}}",
        f".dot{{animation-duration:{seconds:g}s;animation-timing-function:linear;"
        "animation-iteration-count:infinite}",
        f".path{{animation-duration:{seconds:g}s;animation-timing-function:linear;"
        "animation-iteration-count:infinite;stroke-dasharray:1;}",
        f"@keyframes sweep{{0%{{transform:translateX(0)}}{100 * (1 - PAUSE):g}%,100%"
        f"{{transform:translateX({CURVES[2]:g}px)}}}}",
        *rules,
        "}",
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" aria-labelledby="title">',
            f'<title id="title">{escape(label)}</title>',
            f"<style>{''.join(style)}</style>",
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
            *(
                f'<text class="head" x="16" y="{24 + 20 * i}">{escape(line)}</text>'
                for i, line in enumerate(label.split("; "))
            ),
            *body,
            "</svg>",
            "",
        ]
    )


def _curves(result: Result, steps: NDArray[np.int64]) -> list[str]:
    """The median gaming rate of each context, below a cover that moves away."""
    x0, top, width, height = CURVES
    at = x0 + width * np.sqrt(steps / steps[-1])
    lines, labels = [], []
    for index, name in enumerate(result.data["context"].values):
        rate = result.gaming_rate.sel(context=name)
        median = np.asarray(rate.median("agent").values)
        colour = COLOURS[index % len(COLOURS)]
        dash = _DASHES[index % len(_DASHES)]
        path = _path(at, top + height * (1.0 - median))
        lines.append(
            f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2.4" '
            f'stroke-dasharray="{dash}"/>'
        )
        labels.append((float(median[-1]), _context_label(rate), colour, dash))
    ticks = [
        f'<text class="small" text-anchor="middle" x="{x0 + width * np.sqrt(t / steps[-1]):.1f}" '
        f'y="{top + height + 18:g}">{t:,}</text>'
        for t in _round_steps(int(steps[-1]))
    ]
    return [
        *lines,
        f'<rect class="cover" x="{x0:g}" y="{top - 4:g}" width="{width + 3:g}" '
        f'height="{height + 7:g}" fill="#fff" clip-path="url(#plot)"/>',
        f'<clipPath id="plot"><rect x="{x0 + 1:g}" y="{top - 5:g}" width="{width + 4:g}" '
        f'height="{height + 8:g}"/></clipPath>',
        *_axes(CURVES, "gaming rate, median of the agents, by context"),
        f'<path class="now" d="M{x0:g},{top:g}v{height:g}" stroke="{MUTED}"/>',
        *ticks,
        f'<text class="small" text-anchor="middle" x="{x0 + width / 2:g}" '
        f'y="{top + height + 38:g}">training step (root scale)</text>',
        f'<text class="small" x="{x0:g}" y="{top + height + 62:g}">* not trained on</text>',
        *_labels(labels),
    ]


def _labels(labels: list[tuple[float, str, str, str]]) -> list[str]:
    """Names beside the ends of lines, moved apart."""
    x0, top, width, height = CURVES
    placed: list[str] = []
    last = top + height + 16.0
    for end, name, colour, dash in sorted(labels, key=lambda label: label[0]):
        y = min(top + height * (1.0 - end), last - 16.0)
        last = y
        x = x0 + width + 8
        placed.append(
            f'<path d="M{x:g},{y:.1f}h18" stroke="{colour}" stroke-width="2.4" '
            f'stroke-dasharray="{dash}"/>'
            f'<text class="small" x="{x + 22:g}" y="{y + 4:.1f}">{escape(name)}</text>'
        )
    return placed


def _plane(context: str, value: str, low: float, high: float) -> list[str]:
    x0, top, width, height = PLANE
    ticks = [
        f'<text class="small" text-anchor="middle" '
        f'x="{x0 + width * (t - low) / (high - low):.1f}" y="{top + height + 18:g}">'
        f"{f'{t:g}'.replace('-', chr(0x2212))}</text>"
        for t in np.arange(np.ceil(low), high + 1e-9)
    ]
    zero = x0 + width * (0.0 - low) / (high - low)
    line = f'<path d="M{zero:.1f},{top:g}v{height:g}" stroke="#c8c8c8"/>' if low < 0 < high else ""
    half = top + height * (1.0 - GAMED)
    return [
        line,
        f'<path d="M{x0:g},{half:g}h{width:g}" stroke="#c8c8c8" stroke-dasharray="2 4"/>',
        *_axes(PLANE, f"each agent: its gaming rate in {_plain(context)}"),
        *ticks,
        f'<text class="small" text-anchor="middle" x="{x0 + width / 2:g}" '
        f'y="{top + height + 38:g}">how strongly it values {escape(_plain(value))}</text>',
        f'<circle cx="{x0:g}" cy="{top + height + 58:g}" r="5" fill="{GAMES}"/>'
        f'<text class="small" x="{x0 + 10:g}" y="{top + height + 62:g}">games</text>'
        f'<circle cx="{x0 + 74:g}" cy="{top + height + 58:g}" r="5" fill="{ANSWERS}"/>'
        f'<text class="small" x="{x0 + 84:g}" y="{top + height + 62:g}">answers as it values'
        "</text>",
    ]


def _agents(xs: Array, ys: Array, rates: Array, share: Array, rules: list[str]) -> list[str]:
    """Dots with paths; what moves them is added to the rules."""
    paths = []
    percent = 100.0 * (1.0 - PAUSE) * share
    for agent in range(xs.shape[1]):
        x, y, rate = xs[:, agent], ys[:, agent], rates[:, agent]
        length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
        length /= max(length[-1], 1e-9)
        colours = [GAMES if r >= GAMED else ANSWERS for r in rate]
        dots = "".join(
            f"{p:.1f}%{{transform:translate({a:.1f}px,{b:.1f}px);fill:{colour}}}"
            for p, a, b, colour in zip(percent, x, y, colours, strict=True)
        )
        tails = "".join(
            f"{p:.1f}%{{stroke-dashoffset:{1.0 - g:.3f}}}"
            for p, g in zip(percent, length, strict=True)
        )
        end = f"transform:translate({x[-1]:.1f}px,{y[-1]:.1f}px);fill:{colours[-1]}"
        rules.append(f"@keyframes a{agent}{{{dots}100%{{{end}}}}}")
        rules.append(f"@keyframes p{agent}{{{tails}100%{{stroke-dashoffset:0}}}}")
        rules.append(f"#a{agent}{{animation-name:a{agent}}}#p{agent}{{animation-name:p{agent}}}")
        paths.append(
            f'<path class="path" id="p{agent}" pathLength="1" d="{_path(x, y)}" fill="none" '
            f'stroke="{colours[-1]}" stroke-opacity="0.35"/>'
        )
    circles = [
        f'<circle class="dot" id="a{agent}" r="5" stroke="#fff" fill="'
        f"{GAMES if rates[-1, agent] >= GAMED else ANSWERS}"
        f'" style="transform:translate({xs[-1, agent]:.1f}px,{ys[-1, agent]:.1f}px)"/>'
        for agent in range(xs.shape[1])
    ]
    return [*paths, *circles]


def _axes(plot: tuple[float, float, float, float], title: str) -> list[str]:
    x0, top, width, height = plot
    ticks = [
        f'<text class="small" text-anchor="end" x="{x0 - 8:g}" '
        f'y="{top + height * (1 - t) + 4:g}">{t:g}</text>'
        for t in (0, 0.5, 1)
    ]
    return [
        f'<text x="{x0 - 30:g}" y="{top - 22:g}">{escape(title)}</text>',
        f'<path d="M{x0:g},{top:g}v{height:g}h{width:g}" fill="none" stroke="{MUTED}"/>',
        *ticks,
    ]


def _path(xs: Array, ys: Array) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))


def _padded(numbers: Array) -> tuple[float, float]:
    low, high = float(numbers.min()), float(numbers.max())
    pad = 0.05 * max(high - low, 0.1)
    return low - pad, high + pad


def _round_steps(last: int) -> list[int]:
    """Return steps that are round, and far enough from each other in the square root."""
    shares = (0.0, 0.05, 0.25, 0.5, 1.0)
    return sorted({int(float(f"{share * last:.1g}")) if share < 1 else last for share in shares})


def _context_label(rate: xr.DataArray) -> str:
    name = _plain(str(rate["context"].item()))
    return name if rate["kind"].item() == "training" else f"{name}*"


def _plain(name: str) -> str:
    return name.replace("_", " ")
