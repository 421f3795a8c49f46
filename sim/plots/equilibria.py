"""Equilibria of training: gaming rates and values of each, with its class and basin share."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from sim.dynamics.state import Array
from sim.plots.style import MUTED, house_style, spaced, title_of
from sim.specs.errors import SpecError
from sim.stability.equilibria import Equilibria
from sim.utils.format import format_number

_RATES = LinearSegmentedColormap.from_list("gaming", ["#FFFFFF", "#F0A070"])
_VALUES = LinearSegmentedColormap.from_list("values", ["#E0B0C8", "#FFFFFF", "#8CC0E0"])


def equilibria(result: Equilibria) -> Figure:
    """Draw a row for each equilibrium: gaming rate in each context, strength of each value.

    Returns:
        A figure; `figure.savefig(path)` writes it.

    Raises:
        SpecError: There is no equilibrium.
    """
    points = result.points
    if not points:
        raise SpecError("equilibria: there is nothing to draw: no equilibrium was found")
    rates = np.array([list(point.gaming_rate.values()) for point in points])
    values = np.array([list(point.values.values()) for point in points])
    with house_style():
        size = (3.0 + 0.9 * (rates.shape[1] + values.shape[1]), 2.3 + 0.35 * len(points))
        figure = Figure(figsize=size, layout="constrained")
        widths = [rates.shape[1], values.shape[1]]
        rate_axes, value_axes = figure.subplots(1, 2, sharey=True, width_ratios=widths)
        _draw(rate_axes, rates, list(points[0].gaming_rate), "gaming rate", _RATES, (0.0, 1.0))
        limit = max(1.0, float(np.abs(values).max(initial=0.0)))
        _draw(value_axes, values, list(points[0].values), "strength", _VALUES, (-limit, limit))
        arrows = ["→ " if i == result.own else "" for i in range(len(points))]
        shares = [f"{point.kind}, {100 * point.share:.0f} % of starts" for point in points]
        rate_axes.set_yticks(
            range(len(points)), [a + b for a, b in zip(arrows, shares, strict=True)]
        )
        title_of(figure, "Where training comes to rest (→: from the agent's own start)")
        return figure


def _draw(
    ax: Axes, numbers: Array, names: list[str], title: str, cmap: Any, limits: tuple[float, float]
) -> None:
    """Draw numbers [equilibria, names] as shaded cells."""
    ax.imshow(numbers, cmap=cmap, vmin=limits[0], vmax=limits[1], aspect="auto")
    for (row, column), number in np.ndenumerate(numbers):
        ax.text(column, row, format_number(number, 2), ha="center", va="center")
    ax.set_xticks(range(len(names)), [spaced(name) for name in names], rotation=30, ha="right")
    ax.tick_params(length=0, labelcolor=MUTED)
    ax.set_title(title)
