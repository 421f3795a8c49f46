"""The phase plane, drawn beside the emergence curves of the same training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from sim.dynamics.state import Array
from sim.plots.style import COLOURS, MUTED, head, house_style
from sim.result import Result
from sim.stability.fixed_points import KINDS, Kind
from sim.stability.phase_plane import PhasePlane

#: What moves keeps its colour from panel to panel: gaming and its habit, and the value.
GAMING_COLOUR, VALUE_COLOUR = COLOURS[1], COLOURS[0]
#: Of the agent's own training, in the plane.
_OWN_COLOUR = "#000000"
_PATH_COLOUR = "#4D4D4D"
_FLOW_COLOUR = "#B4B4B4"
_SHADES = LinearSegmentedColormap.from_list("gaming", ["#FFFFFF", "#F8D3B8"])
#: What each class looks like and means; filled is where training can stay.
MARKS: dict[Kind, tuple[str, bool, str]] = {
    "stable": ("o", True, "stable: what is near comes here"),
    "neutral": ("s", True, "neutral: what is near stays near"),
    "saddle": ("D", False, "saddle: comes near, then leaves"),
    "unstable": ("o", False, "unstable: what is near leaves"),
}
#: Moments of training that are marked in all panels: shares of it.
_MOMENTS = (0.0, 0.1, 0.3, 1.0)
#: How the agent's own paths are drawn: with everything moving, and in the slice.
_IN_FULL: dict[str, Any] = {"color": _OWN_COLOUR, "lw": 2.6}
_IN_PLANE: dict[str, Any] = {"color": _OWN_COLOUR, "lw": 1.4, "dashes": (3, 1.5)}
#: What is written over shades and flow.
_ON_MAP: dict[str, Any] = {"path_effects": [withStroke(linewidth=3.0, foreground="white")]}


def phase_plane(plane: PhasePlane, result: Result) -> Figure:
    """Draw a phase plane beside the emergence curves of the training that passes through it.

    Args:
        plane: The plane.
        result: A run of one agent by the same specs.

    Returns:
        A figure; `figure.savefig(path)` writes it.
    """
    with house_style():
        figure = Figure(figsize=(10.4, 5.4), layout="constrained")
        left, right = figure.subfigures(1, 2, width_ratios=[1.0, 1.75], squeeze=False)[0]
        rates, strengths = left.subplots(2, 1, sharex=True)
        _draw_curves(rates, strengths, plane, result)
        ax = right.subplots()
        shades = _draw_plane(ax, plane)
        bar = right.colorbar(shades, ax=ax, shrink=0.4, aspect=14, ticks=[0.0, 0.5, 1.0])
        bar.set_label("gaming rate", color=GAMING_COLOUR)
        bar.outline.set_visible(False)
        _legend(right, plane)
        _head(figure, plane, result)
        return figure


def _head(figure: Figure, plane: PhasePlane, result: Result) -> None:
    name = result.provenance["scenario"]["name"]
    title = f"{name}: the value {_readable(plane.value)} and gaming in {_readable(plane.context)}"
    head(figure, title, _note(plane))


def _note(plane: PhasePlane) -> str:
    held = "at the start" if plane.at_step == 0 else f"at step {plane.at_step}"
    note = f"Right: everything but this value and this habit is held where it is {held}"
    if not plane.points:
        return f"{note}. Training comes to rest nowhere in this plane: it goes on, ever more slowly"
    return note


def _draw_curves(rates: Axes, strengths: Axes, plane: PhasePlane, result: Result) -> None:
    steps = result.data["step"].values
    rate = result.gaming_rate.sel(context=plane.context).isel(agent=0).values
    value = result.values.sel(value=plane.value).isel(agent=0).values
    for ax, curve, colour, label in (
        (rates, rate, GAMING_COLOUR, "gaming rate"),
        (strengths, value, VALUE_COLOUR, f"strength of {_readable(plane.value)}"),
    ):
        ax.plot(steps, curve, color=colour)
        for _, step, mark in _moments(steps):
            height = float(np.interp(step, steps, curve))
            ax.plot([step], [height], **mark, zorder=4, clip_on=False)
        ax.set_ylabel(label, color=colour)
        ax.set_xlim(steps[0], steps[-1])
    rates.set(ylim=(-0.02, 1.02), title="In the course of training")
    strengths.axhline(0.0, color=MUTED, lw=0.6)
    strengths.set_xlabel("training step")


def _moments(steps: Array) -> Iterator[tuple[str, float, dict[str, Any]]]:
    """Yield the marked moments of training: a name for the first and the last, step and mark."""
    for share in _MOMENTS:
        step = float(round(share * float(steps[-1])))
        name = {0.0: "start", 1.0: f"step {step:.0f}"}.get(share, "")
        yield (
            name,
            step,
            {
                "color": _OWN_COLOUR,
                "marker": "o",
                "markersize": 6.5 if name else 4.5,
                "markeredgecolor": "white",
                "linestyle": "none",
            },
        )


def _draw_plane(ax: Axes, plane: PhasePlane) -> QuadContourSet:
    """Draw the plane; returns its shades."""
    habits, values = plane.habits, plane.values
    shades = ax.contourf(
        habits,
        values,
        plane.gaming_rate,
        levels=np.linspace(0.0, 1.0, 11),
        cmap=_SHADES,
        zorder=0,
    )
    up, across = plane.direction
    ax.streamplot(
        habits,
        values,
        across,
        up,
        color=_FLOW_COLOUR,
        linewidth=0.5,
        density=1.0,
        arrowsize=0.7,
        zorder=1,
    )
    ax.set(xlim=(habits[0], habits[-1]), ylim=(values[0], values[-1]))
    for course in plane.orbits:
        ax.plot(course.habits, course.values, color=_PATH_COLOUR, lw=0.9, zorder=2.5)
    taken = _name_points(ax, plane) + _draw_own(ax, plane)
    lines = {
        "habit at rest": _nullcline(ax, plane, plane.habit_flow, GAMING_COLOUR),
        "value at rest": _nullcline(ax, plane, plane.value_flow, VALUE_COLOUR),
    }
    for (name, line), colour in zip(lines.items(), (GAMING_COLOUR, VALUE_COLOUR), strict=True):
        others = [other for key, other in lines.items() if key != name and len(other)]
        if len(line):
            x, y = _roomiest(line, np.concatenate([*others, np.array(taken)]), plane)
            ax.annotate(
                name,
                (x, y),
                xytext=(0, 3),
                textcoords="offset points",
                color=colour,
                fontweight="bold",
                ha="center",
                zorder=8,
                **_ON_MAP,
            )
            taken.append((x, y))
    ax.set(
        xlabel=f"habit of gaming in {_readable(plane.context)} (log-odds)",
        ylabel=f"strength of {_readable(plane.value)}",
        title="Where training would go from anywhere",
    )
    return shades


def _nullcline(ax: Axes, plane: PhasePlane, flow: Array, colour: str) -> Array:
    """Draw where one of the two is at rest; returns its points [n, 2], none if it nowhere is."""
    if not flow.min() < 0.0 < flow.max():
        return np.empty((0, 2))
    drawn = ax.contour(
        plane.habits, plane.values, flow, levels=[0.0], colors=colour, linewidths=1.8, zorder=3
    )
    line: Array = np.concatenate([path.vertices for path in drawn.get_paths()])
    return line


def _roomiest(line: Array, others: Array, plane: PhasePlane) -> tuple[float, float]:
    """Return the point of a line [n, 2] that is furthest from other points [m, 2] and the edge."""
    low = np.array([plane.habits[0], plane.values[0]])
    width = np.array([np.ptp(plane.habits), np.ptp(plane.values)])
    at, away = (line - low) / width, (others - low) / width
    # A name is some times as long as it is high.
    shape = np.array([0.4, 1.0])
    from_edge = (np.minimum(at, 1.0 - at) * shape).min(axis=1)
    gaps = np.linalg.norm((at[:, None] - away[None]) * shape, axis=2).min(axis=1)
    x, y = line[np.minimum(from_edge, gaps).argmax()]
    return float(x), float(y)


def _name_points(ax: Axes, plane: PhasePlane) -> list[tuple[float, float]]:
    """Draw the fixed points, with what they mean for gaming; returns where they are."""
    places = []
    column = plane.map.program.layout.contexts.index(plane.context)
    for point in plane.points:
        value, habit = map(float, point.at)
        seen = plane.map.observe(point.at[:, None], ("gaming_rate",))["gaming_rate"]
        ax.plot([habit], [value], **_mark(point.kind), zorder=6)
        if point.attracts:
            ax.annotate(
                f"gaming rate {seen[0, column]:.2f}",
                (habit, value),
                xytext=(9, -11),
                textcoords="offset points",
                fontweight="bold",
                zorder=8,
                **_ON_MAP,
            )
        places.append((habit, value))
    return places


def _mark(kind: Kind) -> dict[str, Any]:
    marker, filled, _ = MARKS[kind]
    return {
        "color": _OWN_COLOUR,
        "marker": marker,
        "markersize": 9.0 if marker == "o" else 7.5,
        "markerfacecolor": _OWN_COLOUR if filled else "white",
        "linestyle": "none",
    }


def _draw_own(ax: Axes, plane: PhasePlane) -> list[tuple[float, float]]:
    """Draw the agent's own paths, and name their ends; returns where these are."""
    slice_of, course = plane.own_orbit, plane.training_orbit
    ax.plot(slice_of.habits, slice_of.values, **_IN_PLANE, zorder=4)
    ax.plot(course.habits, course.values, **_IN_FULL, zorder=5)
    places = []
    for name, step, mark in _moments(course.steps):
        habit = float(np.interp(step, course.steps, course.habits))
        value = float(np.interp(step, course.steps, course.values))
        ax.plot([habit], [value], **mark, zorder=7)
        ax.annotate(
            name,
            (habit, value),
            xytext=(-7, 2),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            zorder=8,
            **_ON_MAP,
        )
        places.append((habit, value))
    return places


def _legend(figure: SubFigure, plane: PhasePlane) -> None:
    kinds = {point.kind for point in plane.points}
    handles = [
        Line2D([], [], **_IN_FULL, label="the agent's training, everything moving"),
        Line2D([], [], **_IN_PLANE, label="the agent, were it to move in this plane only"),
        Line2D([], [], color=_PATH_COLOUR, lw=0.9, label="others in this plane"),
        *(Line2D([], [], **_mark(kind), label=MARKS[kind][2]) for kind in KINDS if kind in kinds),
    ]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=8,
        columnspacing=1.5,
    )


def _readable(name: str) -> str:
    return name.replace("_", " ")
