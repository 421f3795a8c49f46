"""The bifurcation diagram: where training can rest along one number, and where it cannot stay."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from sim.dynamics.state import Array
from sim.plots.style import COLOURS, MUTED, EndLabel, house_style, label_ends, short_key
from sim.specs.errors import SpecError
from sim.stability.bifurcation import (
    DISTINCT,
    PLACES,
    Bifurcations,
    Interval,
    Piece,
    bistable,
    check_variable,
    most_moved,
    outcomes_at,
    pieces_of,
)

#: Pieces of branches that are nowhere further apart than this are drawn as one.
_COINCIDE = 0.01
#: Folds this near to each other, as a share of the axes, are told in one.
_NEAR = 0.04
#: A fold's number stands where its branch is not; on the left only if the axis has this much room.
_ROOM = 0.2
#: Letters in a line of the note.
_NOTE_WIDTH = 108
_SHADE = "#F4EFE2"
_ON_MAP: dict[str, Any] = {"path_effects": [withStroke(linewidth=3.0, foreground="white")]}
_ON_SHADE: dict[str, Any] = {"path_effects": [withStroke(linewidth=3.0, foreground=_SHADE)]}
_COUNTS = {2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six"}
_STYLES: dict[str, dict[str, Any]] = {
    "stable": {"lw": 2.8},
    "neutral": {"lw": 2.8, "alpha": 0.45},
    "repels": {"lw": 1.2, "dashes": (3.5, 2.0)},
}


def bifurcation(
    found: Bifurcations,
    variable: str | None = None,
    *,
    below: str | None = None,
    note: str = "",
) -> Figure:
    """Draw where training can rest along one number.

    Solid lines are stable (pale ones neutral), dashed ones repel. A dot is a fold, where two
    equilibria meet and end; a cross is where branches cross. Shaded is where there are
    several stable outcomes, and an arrow says where training goes from a fold that ends this.

    Args:
        found: The diagram.
        variable: What is drawn: a column of its frame; None for the gaming rate that moves most.
        below: What is drawn in a second panel; None for no such panel.
        note: What is held, say.

    Returns:
        A figure; `figure.savefig(path)` writes it.

    Raises:
        SpecError: There is no such variable, or no branch to be drawn.
    """
    frame = found.frame
    if frame.empty:
        raise SpecError("bifurcation: there is nothing to draw: no fixed point was found")
    variable = most_moved(frame) if variable is None else variable
    intervals = bistable(found, variable)
    shown = [variable] if below is None else [variable, check_variable(frame.columns, below)]
    with house_style():
        figure = Figure(figsize=(7.8, 1.9 + 2.2 * len(shown)), layout="constrained")
        axes = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
        axes[0].set_xscale(found.family.along.scale)
        axes[0].set_xlim(found.family.along.low, found.family.along.high)
        pairs = zip(axes, shown, strict=True)
        jumps = [_draw(ax, frame, found, name, intervals) for ax, name in pairs]
        axes[-1].set_xlabel(_axis_label(found.family.key))
        _name_intervals(axes[0], frame, found, variable, intervals)
        _legend(figure, frame, jumps=any(jumps))
        _head(figure, found, note)
        return figure


def readable(variable: str) -> str:
    """Return what a variable of a diagram is, in words."""
    kind, _, name = variable.partition(".")
    words = {"gaming_rate": "gaming rate in", "values": "strength of", "reward": "reward in"}
    return f"{words[kind]} {name.replace('_', ' ')}"


def few_digits(number: float) -> str:
    """Write a number with three significant digits."""
    return f"{number:.3g}".replace("-", "−")


def _head(figure: Figure, found: Bifurcations, note: str) -> None:
    key = short_key(found.family.key).replace("_", " ")
    title = f"{found.family.specs.scenario.name}: where training comes to rest, by {key}"
    lines = textwrap.wrap(note, _NOTE_WIDTH)
    below = "\n" * max(1, len(lines))
    figure.suptitle(f"{title}{below}", x=0.01, ha="left", fontweight="bold", fontsize=10)
    told = "\n".join(lines)
    figure.text(0.01, 1.0, f"\n\n{told}", va="top", color=MUTED, fontsize=8)


def _axis_label(key: str) -> str:
    name = short_key(key).replace("_", " ")
    return f"{name} at the start" if key.startswith("agent.initial.") else name


def _two_decimals(number: float) -> str:
    return f"{round(number, 2) + 0.0:.2f}".replace("-", "−")


def _colour(branch: int) -> str:
    return COLOURS[branch % len(COLOURS)]


def _draw(
    ax: Axes,
    frame: pd.DataFrame,
    found: Bifurcations,
    variable: str,
    intervals: Sequence[Interval],
) -> bool:
    """Draw one variable; returns whether there are arrows in it."""
    key = found.family.key
    for interval in intervals:
        ax.axvspan(interval.low, interval.high, color=_SHADE, lw=0, zorder=0)
    pieces = _told_apart(pieces_of(frame, key, variable))
    for piece in pieces:
        style = _STYLES[piece.style]
        ax.plot(piece.x, piece.y, color=_colour(piece.branch), **style, zorder=3)
    low, high = ax.get_ylim()
    if variable.startswith("gaming_rate."):
        low, high = -0.03, 1.03
    elif variable.startswith("values.") and low < 0.0 < high:
        ax.axhline(0.0, color=MUTED, lw=0.6, zorder=1)
    ax.set(ylim=(low, high), title=readable(variable).capitalize())
    drawn = {piece.branch for piece in pieces}
    jumps = _mark_events(ax, frame, found, variable, drawn)
    ends = [
        EndLabel(_two_decimals(piece.y[-1]), float(piece.y[-1]), _colour(piece.branch))
        for piece in pieces
        if piece.style != "repels" and piece.position[-1] >= 1.0 - 1e-9
    ]
    label_ends(ax, ends, line_height=0.09)
    return jumps


def _mark_events(
    ax: Axes, frame: pd.DataFrame, found: Bifurcations, variable: str, drawn: Collection[int]
) -> bool:
    """Mark folds, each with its number, and crossings; returns whether any fold has an arrow."""
    key = found.family.key
    low, high = ax.get_ylim()
    shown = frame[frame["branch"].isin(drawn)]
    folds, crossings = (shown[shown["event"] == event] for event in ("fold", "crossing"))
    dots: dict[str, Any] = {"color": "black", "linestyle": "none", "zorder": 5}
    ax.plot(folds[key], folds[variable], marker="o", markersize=6, markeredgecolor="white", **dots)
    ax.plot(crossings[key], crossings[variable], marker="x", markersize=6, **dots)
    comes_from_left = frame["position"].shift(1) < frame["position"]
    places = np.stack([folds["position"], (folds[variable] - low) / (high - low)], axis=1)
    for group in _groups(places):
        first = folds.iloc[group[0]]
        told = dict.fromkeys(few_digits(number) for number in sorted(folds[key].iloc[group]))
        to_right = bool(first["position"] < _ROOM or comes_from_left[folds.index[group[0]]])
        ax.annotate(
            f"at {' and '.join(told)}",
            (first[key], first[variable]),
            xytext=(8 if to_right else -8, 0),
            textcoords="offset points",
            ha="left" if to_right else "right",
            va="center",
            fontsize=8.5,
            zorder=6,
            **_ON_MAP,
        )
    pieces = pieces_of(frame, key, variable)
    jumps = False
    columns = (folds["position"], folds[key], folds[variable])
    for position, number, level in zip(*columns, strict=True):
        goes_to = _after(pieces, position, level)
        if goes_to is not None:
            arrow = {"arrowstyle": "-|>", "color": "black", "lw": 1.0, "shrinkA": 4}
            ax.annotate("", (number, goes_to), (number, level), arrowprops=arrow, zorder=4)
            jumps = True
    return jumps


def _groups(places: Array) -> list[list[int]]:
    """Return which places [n, 2] are so near to each other that they are told in one."""
    groups: list[list[int]] = []
    for i, place in enumerate(places):
        for group in groups:
            if np.abs(places[group] - place).max(axis=1).min() < _NEAR:
                group.append(i)
                break
        else:
            groups.append([i])
    return groups


def _after(pieces: Sequence[Piece], position: float, level: float) -> float | None:
    """Return where training goes from a fold at which all other outcomes but one have ended."""
    for beyond in (position - 1e-6, position + 1e-6):
        outcomes = outcomes_at(pieces, beyond)
        if len(outcomes) == 1 and abs(outcomes[0] - level) > DISTINCT:
            return outcomes[0]
    return None


def _name_intervals(
    ax: Axes,
    frame: pd.DataFrame,
    found: Bifurcations,
    variable: str,
    intervals: Sequence[Interval],
) -> None:
    """Write how many outcomes an interval has, where nothing else is."""
    if not intervals:
        return
    family = found.family
    places = np.linspace(0.0, 1.0, PLACES)
    numbers = np.array([family.number(float(place)) for place in places])
    widest = max(
        (places[(one.low <= numbers) & (numbers <= one.high)] for one in intervals), key=len
    )
    if not len(widest):
        return
    middle = float(widest.mean())
    low, high = ax.get_ylim()
    there = [piece.at(middle) for piece in pieces_of(frame, family.key, variable)]
    levels = np.unique([low, high, *(y for y in there if y is not None)])
    gap = int(np.diff(levels).argmax())
    outcomes = len(outcomes_at(pieces_of(frame, family.key, variable), middle))
    count = _COUNTS.get(outcomes, str(outcomes))
    ax.text(
        family.number(middle),
        0.5 * (levels[gap] + levels[gap + 1]),
        f"{count} stable outcomes here:\nwhich one it is depends on\nwhere training began",
        ha="center",
        va="center",
        zorder=6,
        **_ON_SHADE,
    )


def _legend(figure: Figure, frame: pd.DataFrame, *, jumps: bool) -> None:
    line: dict[str, Any] = {"color": MUTED}
    dot: dict[str, Any] = {"color": "black", "linestyle": "none", "markersize": 6}
    handles = [
        Line2D([], [], **line, **_STYLES["stable"], label="stable: training stays"),
    ]
    if _any_piece(frame, "neutral"):
        handles.append(Line2D([], [], **line, **_STYLES["neutral"], label="neutral"))
    if _any_piece(frame, "repels"):
        label = "unstable: a threshold"
        handles.append(Line2D([], [], **line, **_STYLES["repels"], label=label))
    if (frame["event"] == "fold").any():
        handles.append(Line2D([], [], **dot, marker="o", label="fold: two equilibria meet and end"))
    if (frame["event"] == "crossing").any():
        handles.append(Line2D([], [], **dot, marker="x", label="branches cross"))
    if jumps:
        mark = {"marker": r"$\downarrow$", "markersize": 10}
        handles.append(Line2D([], [], **{**dot, **mark}, label="where training then goes"))
    figure.legend(
        handles=handles,
        loc="outside lower left",
        ncols=len(handles),
        frameon=False,
        fontsize=8,
        columnspacing=1.5,
    )


def _any_piece(frame: pd.DataFrame, style: str) -> bool:
    return any(piece.style == style for piece in pieces_of(frame, "position", "largest_eigenvalue"))


def _told_apart(pieces: Sequence[Piece]) -> list[Piece]:
    """Leave out pieces that lie on others: they differ in other variables only."""
    kept: list[Piece] = []
    order = list(_STYLES)
    for piece in sorted(
        pieces, key=lambda p: (order.index(p.style), p.position[0] - p.position[-1])
    ):
        if not any(_lies_on(piece, other) for other in kept):
            kept.append(piece)
    return kept


def _lies_on(piece: Piece, other: Piece) -> bool:
    if piece.position[0] < other.position[0] or piece.position[-1] > other.position[-1]:
        return False
    there = np.interp(piece.position, other.position, other.y)
    return bool(np.abs(there - piece.y).max() <= _COINCIDE)
