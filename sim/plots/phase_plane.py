"""The phase plane, beside the emergence curves of the same training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from sim.dynamics.state import Array
from sim.plots.style import COLOURS, MUTED, halo, head, house_style, spaced
from sim.result import Result
from sim.stability.fixed_points import KINDS, Kind
from sim.stability.phase_plane import Orbit, PhasePlane

#: Of gaming and its habit, and of the value, in all panels.
GAMING_COLOUR, VALUE_COLOUR = COLOURS[1], COLOURS[0]
#: Of the agent's own orbits, of others, and of the flow.
_OWN_COLOUR, _ORBIT_COLOUR, _FLOW_COLOUR = "#000000", "#4D4D4D", "#B4B4B4"
_SHADES = LinearSegmentedColormap.from_list("gaming", ["#FFFFFF", "#F8D3B8"])
#: Marker of each class, whether it is filled (an attractor), and its legend.
MARKS: dict[Kind, tuple[str, bool, str]] = {
    "stable": ("o", True, "stable: what is near comes here"),
    "neutral": ("s", True, "neutral: what is near stays near"),
    "saddle": ("D", False, "saddle: comes near, then leaves"),
    "unstable": ("o", False, "unstable: what is near leaves"),
}
#: Moments of training that are marked in all panels, as shares of it.
_MOMENTS = (0.0, 0.1, 0.3, 1.0)
#: Lines of the agent's own orbits: of its full training, and in the slice.
_IN_FULL: dict[str, Any] = {"color": _OWN_COLOUR, "lw": 2.6}
_IN_PLANE: dict[str, Any] = {"color": _OWN_COLOUR, "lw": 1.4, "dashes": (3, 1.5)}


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
        curves, right = figure.subfigures(1, 2, width_ratios=[1.0, 1.75], squeeze=False)[0]
        rates, strengths = curves.subplots(2, 1, sharex=True)
        _draw_curves(rates, strengths, plane, result)
        ax = right.subplots()
        shades = _draw_plane(ax, plane)
        bar = right.colorbar(shades, ax=ax, shrink=0.4, aspect=14, ticks=[0.0, 0.5, 1.0])
        bar.set_label("gaming rate", color=GAMING_COLOUR)
        bar.outline.set_visible(False)
        _legend(right, plane)
        name = result.provenance["scenario"]["name"]
        value, context = spaced(plane.value), spaced(plane.context)
        head(figure, f"{name}: the value {value} and gaming in {context}", _note(plane))
        return figure


def _note(plane: PhasePlane) -> str:
    step = "at the start" if plane.at_step == 0 else f"at step {plane.at_step}"
    note = f"Right: everything but this value and this habit is held where it is {step}"
    if not plane.points:
        return f"{note}. Training comes to rest nowhere in this plane: it goes on, ever more slowly"
    return note


def _draw_curves(rates: Axes, strengths: Axes, plane: PhasePlane, result: Result) -> None:
    steps = result.data["step"].values
    rate = result.gaming_rate.sel(context=plane.context).isel(agent=0).values
    value = result.values.sel(value=plane.value).isel(agent=0).values
    for ax, curve, colour, label in (
        (rates, rate, GAMING_COLOUR, "gaming rate"),
        (strengths, value, VALUE_COLOUR, f"strength of {spaced(plane.value)}"),
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
    """Yield label (of the first and the last), step and marker of each moment of training."""
    for share in _MOMENTS:
        step = float(round(share * float(steps[-1])))
        name = {0.0: "start", 1.0: f"step {step:.0f}"}.get(share, "")
        size = 6.5 if name else 4.5
        mark = {"color": _OWN_COLOUR, "marker": "o", "markersize": size}
        yield name, step, {**mark, "markeredgecolor": "white", "linestyle": "none"}


def _draw_plane(ax: Axes, plane: PhasePlane) -> QuadContourSet:
    """Draw the plane; returns its shades."""
    habits, values = plane.habits, plane.values
    levels = np.linspace(0.0, 1.0, 11)
    shades = ax.contourf(habits, values, plane.gaming_rate, levels=levels, cmap=_SHADES, zorder=0)
    up, across = plane.direction
    style: dict[str, Any] = {"linewidth": 0.5, "density": 1.0, "arrowsize": 0.7, "zorder": 1}
    ax.streamplot(habits, values, across, up, color=_FLOW_COLOUR, **style)
    ax.set(xlim=(habits[0], habits[-1]), ylim=(values[0], values[-1]))
    for orbit in plane.orbits:
        ax.plot(orbit.habits, orbit.values, color=_ORBIT_COLOUR, lw=0.9, zorder=2.5)
    places = _draw_points(ax, plane) + _draw_own(ax, plane.own_orbit, plane.training_orbit)
    value_flow, habit_flow = plane.flow
    lines = [
        ("habit at rest", GAMING_COLOUR, _nullcline(ax, plane, habit_flow, GAMING_COLOUR)),
        ("value at rest", VALUE_COLOUR, _nullcline(ax, plane, value_flow, VALUE_COLOUR)),
    ]
    for i, (name, colour, line) in enumerate(lines):
        if len(line):
            obstacles = np.concatenate([lines[1 - i][2], np.array(places)])
            at = _roomiest(line, obstacles, plane)
            style = {"color": colour, "fontweight": "bold", "ha": "center"}
            _annotate(ax, name, at, (0, 3), **style)
            places.append(at)
    ax.set(
        xlabel=f"habit of gaming in {spaced(plane.context)} (log-odds)",
        ylabel=f"strength of {spaced(plane.value)}",
        title="Where training would go from anywhere",
    )
    return shades


def _annotate(
    ax: Axes, text: str, at: tuple[float, float], offset: tuple[int, int], **style: Any
) -> None:
    ax.annotate(text, at, xytext=offset, textcoords="offset points", zorder=8, **style, **halo())


def _nullcline(ax: Axes, plane: PhasePlane, flow: Array, colour: str) -> Array:
    """Draw where a flow [Y, X] is 0; returns the points of the line [n, 2]."""
    if not flow.min() < 0.0 < flow.max():
        return np.empty((0, 2))
    contours = ax.contour(
        plane.habits, plane.values, flow, levels=[0.0], colors=colour, linewidths=1.8, zorder=3
    )
    line: Array = np.concatenate([path.vertices for path in contours.get_paths()])
    return line


def _roomiest(line: Array, obstacles: Array, plane: PhasePlane) -> tuple[float, float]:
    """Return the point of a line [n, 2] that is furthest from obstacles [m, 2] and the edge."""
    low = np.array([plane.habits[0], plane.values[0]])
    width = np.array([np.ptp(plane.habits), np.ptp(plane.values)])
    at, away = (line - low) / width, (obstacles - low) / width
    # A name is some times as long as it is high.
    shape = np.array([0.4, 1.0])
    from_edge = (np.minimum(at, 1.0 - at) * shape).min(axis=1)
    gaps = np.linalg.norm((at[:, None] - away[None]) * shape, axis=2).min(axis=1)
    x, y = line[np.minimum(from_edge, gaps).argmax()]
    return float(x), float(y)


def _draw_points(ax: Axes, plane: PhasePlane) -> list[tuple[float, float]]:
    """Draw the fixed points, with the gaming rates of attractors; returns their positions."""
    places = []
    column = plane.map.program.layout.contexts.index(plane.context)
    for point in plane.points:
        value, habit = map(float, point.at)
        rates = plane.map.observe(point.at[:, None], ("gaming_rate",))["gaming_rate"]
        ax.plot([habit], [value], **_mark(point.kind), zorder=6)
        if point.attracts:
            text = f"gaming rate {rates[0, column]:.2f}"
            _annotate(ax, text, (habit, value), (9, -11), fontweight="bold")
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


def _draw_own(ax: Axes, in_plane: Orbit, in_full: Orbit) -> list[tuple[float, float]]:
    """Draw the agent's own orbits with the moments of training; returns the moments' positions."""
    ax.plot(in_plane.habits, in_plane.values, **_IN_PLANE, zorder=4)
    ax.plot(in_full.habits, in_full.values, **_IN_FULL, zorder=5)
    places = []
    rises = in_full.values[0] <= in_full.values[-1]  # the labels may be close to each other
    for name, step, mark in _moments(in_full.steps):
        habit = float(np.interp(step, in_full.steps, in_full.habits))
        value = float(np.interp(step, in_full.steps, in_full.values))
        ax.plot([habit], [value], **mark, zorder=7)
        is_upper = (name == "start") != rises
        _annotate(ax, name, (habit, value), (-7, 2 if is_upper else -9), ha="right", fontsize=8)
        places.append((habit, value))
    return places


def _legend(figure: SubFigure, plane: PhasePlane) -> None:
    kinds = {point.kind for point in plane.points}
    handles = [
        Line2D([], [], **_IN_FULL, label="the agent's training, everything moving"),
        Line2D([], [], **_IN_PLANE, label="the agent, were it to move in this plane only"),
        Line2D([], [], color=_ORBIT_COLOUR, lw=0.9, label="others in this plane"),
        *(Line2D([], [], **_mark(kind), label=MARKS[kind][2]) for kind in KINDS if kind in kinds),
    ]
    style: dict[str, Any] = {"frameon": False, "fontsize": 8, "columnspacing": 1.5}
    figure.legend(handles=handles, loc="outside lower center", ncols=2, **style)
