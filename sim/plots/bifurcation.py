"""The bifurcation diagram: stable and unstable branches of equilibria along one number."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sim.dynamics.state import Array
from sim.plots.style import (
    COLOURS,
    MUTED,
    EndLabel,
    halo,
    head,
    house_style,
    label_ends,
    short_key,
    spaced,
)
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
from sim.utils.format import format_number, with_minus

#: Pieces of branches that are nowhere further apart than this are drawn as one.
_COINCIDE = 0.01
#: Folds nearer than this, as a share of the axes, have one label.
_NEAR = 0.04
#: Position left of which a fold's label stands right of it.
_ROOM = 0.2
#: Letters in a line of the note.
_NOTE_WIDTH = 108
_SHADE = "#F4EFE2"
_COUNTS = {2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six"}
#: Lines and legends of pieces, in the order in which they cover each other.
_STYLES: dict[str, dict[str, Any]] = {
    "stable": {"lw": 2.8},
    "neutral": {"lw": 2.8, "alpha": 0.45},
    "repels": {"lw": 1.2, "dashes": (3.5, 2.0)},
}
_MEANINGS = {
    "stable": "stable: training stays",
    "neutral": "neutral",
    "repels": "unstable: a threshold",
}
_DOT: dict[str, Any] = {"color": "black", "linestyle": "none", "markersize": 6}


def bifurcation(
    diagram: Bifurcations,
    variable: str | None = None,
    *,
    below: str | None = None,
    note: str = "",
) -> Figure:
    """Draw a bifurcation diagram.

    Solid lines are stable (pale ones neutral), dashed ones repel. A dot is a fold, where two
    equilibria meet and end; a cross is where branches cross. Shaded is where there are
    several stable outcomes, and an arrow says where training goes from a fold that ends this.

    Args:
        diagram: The diagram.
        variable: A column of its frame; None for the gaming rate that moves most.
        below: Variable of a second panel; None for no such panel.
        note: Text below the title.

    Returns:
        A figure; `figure.savefig(path)` writes it.

    Raises:
        SpecError: There is no such variable, or no branch to be drawn.
    """
    frame, family = diagram.frame, diagram.family
    if frame.empty:
        raise SpecError("bifurcation: there is nothing to draw: no fixed point was found")
    variable = most_moved(frame) if variable is None else variable
    intervals = bistable(diagram, variable)
    variables = [variable] if below is None else [variable, check_variable(frame.columns, below)]
    pieces = [pieces_of(frame, family.key, name) for name in variables]
    with house_style():
        figure = Figure(figsize=(7.8, 1.9 + 2.2 * len(variables)), layout="constrained")
        axes = figure.subplots(len(variables), 1, sharex=True, squeeze=False)[:, 0]
        axes[0].set_xscale(family.along.scale)
        axes[0].set_xlim(family.along.low, family.along.high)
        jumps = False
        for ax, name, parts in zip(axes, variables, pieces, strict=True):
            for interval in intervals:
                ax.axvspan(interval.low, interval.high, color=_SHADE, lw=0, zorder=0)
            visible = _draw_pieces(ax, name, parts)
            _label_folds(ax, frame, family.key, name, {piece.branch for piece in visible})
            jumps |= _draw_jumps(ax, frame, family.key, name, parts, visible)
            label_ends(ax, _end_labels(visible), line_height=0.09)
        axes[-1].set_xlabel(_axis_label(family.key))
        _label_interval(axes[0], diagram, pieces[0], intervals)
        _legend(figure, frame, {piece.style for piece in pieces[0]}, jumps=jumps)
        title = f"{family.specs.scenario.name}: where training comes to rest, by "
        lines = "\n".join(textwrap.wrap(note, _NOTE_WIDTH))
        head(figure, title + spaced(short_key(family.key)), lines)
        return figure


def _label(variable: str) -> str:
    kind, _, name = variable.partition(".")
    labels = {"gaming_rate": "gaming rate in", "values": "strength of", "reward": "reward in"}
    return f"{labels[kind]} {spaced(name)}"


def _axis_label(key: str) -> str:
    name = spaced(short_key(key))
    return f"{name} at the start" if key.startswith("agent.initial.") else name


def _colour(branch: int) -> str:
    return COLOURS[branch % len(COLOURS)]


def _draw_pieces(ax: Axes, variable: str, pieces: Sequence[Piece]) -> list[Piece]:
    """Draw pieces of branches; returns those that no other one covers."""
    visible = _visible(pieces)
    for piece in visible:
        ax.plot(piece.x, piece.y, color=_colour(piece.branch), **_STYLES[piece.style], zorder=3)
    low, high = ax.get_ylim()
    if variable.startswith("gaming_rate."):
        low, high = -0.03, 1.03
    elif variable.startswith("values.") and low < 0.0 < high:
        ax.axhline(0.0, color=MUTED, lw=0.6, zorder=1)
    ax.set(ylim=(low, high), title=_label(variable).capitalize())
    return visible


def _visible(pieces: Sequence[Piece]) -> list[Piece]:
    """Return the pieces that do not lie on others: these differ in other variables only."""
    order = list(_STYLES)
    visible: list[Piece] = []
    for piece in sorted(
        pieces, key=lambda p: (order.index(p.style), p.position[0] - p.position[-1])
    ):
        if not any(_lies_on(piece, upper) for upper in visible):
            visible.append(piece)
    return visible


def _lies_on(piece: Piece, upper: Piece) -> bool:
    if piece.position[0] < upper.position[0] or piece.position[-1] > upper.position[-1]:
        return False
    level = np.interp(piece.position, upper.position, upper.y)
    return bool(np.abs(level - piece.y).max() <= _COINCIDE)


def _end_labels(pieces: Sequence[Piece]) -> list[EndLabel]:
    """Return the levels of attracting pieces at the right end of the axis."""
    return [
        EndLabel(format_number(piece.y[-1], 2), float(piece.y[-1]), _colour(piece.branch))
        for piece in pieces
        if piece.style != "repels" and piece.position[-1] >= 1.0 - 1e-9
    ]


def _label_folds(
    ax: Axes, frame: pd.DataFrame, key: str, variable: str, branches: Collection[int]
) -> None:
    """Mark the folds of some branches, each with its number, and their crossings."""
    low, high = ax.get_ylim()
    rows = frame[frame["branch"].isin(branches)]
    folds, crossings = (rows[rows["event"] == event] for event in ("fold", "crossing"))
    ax.plot(folds[key], folds[variable], marker="o", markeredgecolor="white", zorder=5, **_DOT)
    ax.plot(crossings[key], crossings[variable], marker="x", zorder=5, **_DOT)
    comes_from_left = frame["position"].shift(1) < frame["position"]
    places = np.stack([folds["position"], (folds[variable] - low) / (high - low)], axis=1)
    for group in _groups(places):
        first = folds.iloc[group[0]]
        numbers = dict.fromkeys(with_minus(f"{x:.3g}") for x in sorted(folds[key].iloc[group]))
        to_right = bool(first["position"] < _ROOM or comes_from_left[folds.index[group[0]]])
        ax.annotate(
            f"at {' and '.join(numbers)}",
            (first[key], first[variable]),
            xytext=(8 if to_right else -8, 0),
            textcoords="offset points",
            ha="left" if to_right else "right",
            va="center",
            fontsize=8.5,
            zorder=6,
            **halo(),
        )


def _groups(places: Array) -> list[list[int]]:
    """Return groups of places [n, 2] that are near to each other, as indices."""
    groups: list[list[int]] = []
    for i, place in enumerate(places):
        for group in groups:
            if np.abs(places[group] - place).max(axis=1).min() < _NEAR:
                group.append(i)
                break
        else:
            groups.append([i])
    return groups


def _draw_jumps(
    ax: Axes,
    frame: pd.DataFrame,
    key: str,
    variable: str,
    pieces: Sequence[Piece],
    visible: Sequence[Piece],
) -> bool:
    """Draw arrows from folds to the only outcome that is left beside them; returns whether any."""
    folds = frame[frame["branch"].isin({piece.branch for piece in visible})]
    folds = folds[folds["event"] == "fold"]
    jumps = False
    arrow = {"arrowstyle": "-|>", "color": "black", "lw": 1.0, "shrinkA": 4}
    columns = (folds["position"], folds[key], folds[variable])
    for position, number, level in zip(*columns, strict=True):
        for beyond in (position - 1e-6, position + 1e-6):
            outcomes = outcomes_at(pieces, beyond)
            if len(outcomes) == 1 and abs(outcomes[0] - level) > DISTINCT:
                end = (number, outcomes[0])
                ax.annotate("", end, (number, level), arrowprops=arrow, zorder=4)
                jumps = True
                break
    return jumps


def _label_interval(
    ax: Axes, diagram: Bifurcations, pieces: Sequence[Piece], intervals: Sequence[Interval]
) -> None:
    """Write the number of outcomes of the widest interval, where nothing else is."""
    places = np.linspace(0.0, 1.0, PLACES)
    numbers = np.array([diagram.family.number(float(place)) for place in places])
    inside = [places[(i.low <= numbers) & (numbers <= i.high)] for i in intervals]
    widest = max(inside, key=len, default=places[:0])
    if not len(widest):
        return
    middle = float(widest.mean())
    levels = [level for level in (piece.at(middle) for piece in pieces) if not np.isnan(level)]
    edges = np.unique([*ax.get_ylim(), *levels])
    gap = int(np.diff(edges).argmax())
    outcomes = len(outcomes_at(pieces, middle))
    ax.text(
        diagram.family.number(middle),
        0.5 * (edges[gap] + edges[gap + 1]),
        f"{_COUNTS.get(outcomes, str(outcomes))} stable outcomes here:\n"
        "which one it is depends on\nwhere training began",
        ha="center",
        va="center",
        zorder=6,
        **halo(_SHADE),
    )


def _legend(figure: Figure, frame: pd.DataFrame, styles: set[str], *, jumps: bool) -> None:
    handles = [
        Line2D([], [], color=MUTED, **style, label=_MEANINGS[name])
        for name, style in _STYLES.items()
        if name == "stable" or name in styles
    ]
    if (frame["event"] == "fold").any():
        handles.append(
            Line2D([], [], **_DOT, marker="o", label="fold: two equilibria meet and end")
        )
    if (frame["event"] == "crossing").any():
        handles.append(Line2D([], [], **_DOT, marker="x", label="branches cross"))
    if jumps:
        mark = {"marker": r"$\downarrow$", "markersize": 10}
        handles.append(Line2D([], [], **{**_DOT, **mark}, label="where training then goes"))
    style = {"frameon": False, "fontsize": 8, "columnspacing": 1.5}
    figure.legend(handles=handles, loc="outside lower left", ncols=len(handles), **style)
