"""The figure of pairs: differences of their actions in training and in deployment."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sim.plots.style import COLOURS, MUTED, head, house_style, spaced

from .training_log import Pair, format_episodes

_ALIKE, _APART = COLOURS[1], COLOURS[0]


def training_log_figure(pairs: Sequence[Pair], *, odds: float, scenario: str) -> Figure:
    """Draw every pair by its difference in training (across) and in deployment (upwards).

    Above the diagonal, two archetypes act more alike in training than they do in deployment. Dots
    are numbered as in the list beside, which says how many episodes of a log tell a pair apart.

    Args:
        pairs: The hardest to tell apart by its log first.
        odds: At which a reader of a log is sure.
        scenario: The name of the scenario.
    """
    with house_style():
        figure = Figure(figsize=(11.6, 5.6), layout="constrained")
        ax, listing = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1.0, 1.05]})
        across = 1.12 * max(pair.total_variation for pair in pairs) + 0.01
        upwards = 1.12 * max(pair.deployed for pair in pairs) + 0.02
        end = min(across, upwards)
        ax.plot([0, end], [0, end], color=MUTED, lw=0.8, dashes=(4, 3))
        for number, pair in enumerate(pairs, 1):
            at = pair.total_variation, pair.deployed
            ax.plot(*at, "o", ms=13, mfc=_colour(pair), mec="white", alpha=0.9)
            ax.text(*at, str(number), ha="center", va="center", color="white", fontsize=7.5)
        ax.set(xlim=(0.0, across), ylim=(-0.05 * upwards, upwards))
        ax.set_xlabel("difference of actions in training (total variation, for each episode)")
        ax.set_ylabel("difference of actions in deployment (mean total variation)")
        ax.text(
            0.02, 0.985, "above the line: more alike in training than in deployment",
            transform=ax.transAxes, va="top", color=_ALIKE, fontsize=8,
        )  # fmt: skip
        ax.text(
            0.98, 0.02, "below: more alike in deployment",
            transform=ax.transAxes, ha="right", color=_APART, fontsize=8,
        )  # fmt: skip
        _listing(listing, pairs, odds)
        note = (
            f"{scenario}: pairs of archetypes, numbered from the hardest to tell apart by their "
            f"logs; actions of 1 differ by {pairs[0].total_variation:.2f} in training and by "
            f"{pairs[0].deployed:.2f} in deployment"
        )
        head(figure, _title(pairs, odds), note)
        return figure


def _title(pairs: Sequence[Pair], odds: float) -> str:
    pair = pairs[0]
    verb = "are hardest to tell apart" if len(pairs) > 1 else "can be told apart"
    return (
        f"{spaced(pair.first).capitalize()} and {spaced(pair.second)} {verb} by a training log: "
        f"{format_episodes(pair.episodes)} episodes for {odds:g}:1"
    )


def _colour(pair: Pair) -> str:
    return _ALIKE if pair.deployed > pair.total_variation else _APART


def _listing(ax: Axes, pairs: Sequence[Pair], odds: float) -> None:
    """Write the pairs as a list: numbers as in the plot, and what does not show there."""
    ax.set_axis_off()
    columns = (0.0, 0.045, 0.68, 0.84, 1.0)
    heads = ("", "pair", f"episodes for\n{odds:g}:1", "of the\nlast tenth", "gaming rates\napart")
    sides = ("left", "left", "right", "right", "right")
    for at, side, text in zip(columns, sides, heads, strict=True):
        ax.text(at, 1.0, text, ha=side, va="bottom", fontsize=8, color=MUTED)
    step = min(0.062, 0.98 / len(pairs))
    for number, pair in enumerate(pairs, 1):
        cells = (
            str(number),
            f"{spaced(pair.first)}, {spaced(pair.second)}",
            _episodes(pair.episodes),
            _episodes(pair.episodes_end),
            f"{pair.cognition:.2f}",
        )
        for at, side, cell in zip(columns, sides, cells, strict=True):
            colour = _colour(pair) if at == 0.0 else "black"
            ax.text(at, 0.985 - step * number, cell, ha=side, fontsize=8, color=colour)
    ax.set(xlim=(0, 1), ylim=(0, 1))


def _episodes(episodes: float) -> str:
    return "never" if math.isinf(episodes) else format_episodes(episodes).replace("less than ", "<")
