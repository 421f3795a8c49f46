"""Matrices of effects: routes against outcomes, and scenarios against assumptions."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from sim.dynamics.state import Array
from sim.plots.style import COLOURS, MUTED, house_style, spaced, title_of
from sim.utils.format import signed

from .effects import is_sure
from .figure_effects import outcome_label

#: From lowered (orange) over nothing to raised (blue).
_MAP = LinearSegmentedColormap.from_list("effect", [COLOURS[1], "#FFFFFF", COLOURS[0]])
_OUTCOMES = (
    *("kept", "alignment", "awareness", "log_horizon", "log_competence", "gaming_rate", "reach"),
    *("opacity_share", "consistency", "behaviour_shift", "slip_deployed", "met.misalignment"),
    *("met.consistency", "met.behaviour_shift", "terms_met"),
)
#: Names of routes that are assumptions.
_ROUTE_NAMES = {"motive_credit 0": "credit for motives", "leak 0.3": "having no leak (of 0.3)"}
#: Totals below this are not worth a colour.
_LESS_THAN = 0.02
_NOTE = (
    "mean differences between twins, with gaming\nless without it throughout training\n\n"
    "blue: raised; orange: lowered; colours by panel\ngrey italics: 95 % interval with 0 in it"
)


def draw_matrix(ax: Axes, numbers: Array, sure: Array, *, scale: Array) -> None:
    """Draw a matrix of effects with their numbers; those whose interval has 0 in it in grey.

    Args:
        ax: Where.
        numbers: Effects [row, column]; nan: an empty cell.
        sure: Whether the interval leaves out 0 [row, column].
        scale: What the strongest colour stands for, of a shape that broadcasts.
    """
    share = np.zeros(numbers.shape)
    np.divide(numbers, scale, out=share, where=np.broadcast_to(scale, share.shape) > 0.0)
    ax.imshow(np.ma.masked_invalid(share), cmap=_MAP, vmin=-1.25, vmax=1.25, aspect="auto")
    for (i, j), number in np.ndenumerate(numbers):
        if not np.isfinite(number):
            ax.text(j, i, "·", ha="center", va="center", color=MUTED)
            continue
        dark = abs(share[i, j]) > 0.85
        colour = ("white" if dark else "black") if sure[i, j] else MUTED
        style = "normal" if sure[i, j] else "italic"
        ax.text(
            j, i, signed(number), ha="center", va="center", fontsize=7.5, color=colour, style=style
        )
    ax.set_xticks(np.arange(-0.5, numbers.shape[1]), minor=True)
    ax.set_yticks(np.arange(-0.5, numbers.shape[0]), minor=True)
    ax.grid(which="minor", color="white", lw=1.0)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)


def mediation_figure(table: pd.DataFrame, *, name: str, cause: str) -> Figure:
    """Draw the total effect, and of it the part that each route takes, against outcomes.

    Args:
        table: As `mediation` returns it.
        name: Of the scenario.
        cause: Of the difference between twins.
    """
    routes = list(dict.fromkeys(table["route"]))
    defined = np.isfinite(table.pivot(index="route", columns="outcome", values="total")).all()
    outcomes = [outcome for outcome in _OUTCOMES if defined.get(outcome, False)]
    marked = table.assign(sure=is_sure(table, "mediated"), total_sure=is_sure(table, "total"))
    numbers, sure = (
        np.vstack(
            [
                _cells(marked, total, rows=routes[:1], columns=outcomes),
                _cells(marked, part, rows=routes, columns=outcomes),
            ]
        )
        for total, part in (("total", "mediated"), ("total_sure", "sure"))
    )
    scale = np.nanmax(np.abs(numbers), axis=0, keepdims=True)
    with house_style():
        figure = Figure(figsize=(12.0, 5.2), layout="constrained")
        ax = figure.subplots()
        draw_matrix(ax, numbers, sure, scale=np.where(scale < _LESS_THAN, 1.0, scale))
        ax.axhline(0.5, color=MUTED, lw=1.2)
        ax.set_xticks(range(len(outcomes)), [outcome_label(o) for o in outcomes])
        ax.tick_params(axis="x", labelrotation=35, top=False)
        for label in ax.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
        names = [_ROUTE_NAMES.get(route, spaced(route)) for route in routes]
        ax.set_yticks(range(len(routes) + 1), ["total effect", *names])
        title_of(figure, f"{name}: routes of the effects of {cause}")
        figure.supxlabel(
            "below the line: total less direct effect; colours by column; grey italics: interval "
            "with 0 in it; ·: the mediator itself",
            fontsize=8,
            color=MUTED,
        )
    return figure


def scenarios_figure(table: pd.DataFrame) -> Figure:
    """Draw the effect of gaming by scenario and assumption, a panel for each outcome.

    Args:
        table: As `scenario_effects` returns it.
    """
    outcomes = ("kept", "alignment", "awareness", "log_horizon", "terms_met")
    scenarios = list(dict.fromkeys(table["scenario"]))
    assumptions = list(dict.fromkeys(table["assumption"]))
    marked = table.assign(sure=is_sure(table))
    with house_style():
        figure = Figure(figsize=(13.0, 7.0), layout="constrained")
        grid = list(figure.subplots(2, 3, sharey=True).flat)
        note = grid.pop(2)
        note.set_axis_off()
        note.text(0.0, 0.9, _NOTE, transform=note.transAxes, va="top", color=MUTED)
        for index, (ax, outcome) in enumerate(zip(grid, outcomes, strict=True)):
            panel = marked[marked["outcome"] == outcome]
            numbers, sure = (
                _cells(panel, column, rows=scenarios, columns=assumptions)
                for column in ("effect", "sure")
            )
            scale = np.nanmax(np.abs(numbers), initial=_LESS_THAN)
            draw_matrix(ax, numbers, sure, scale=np.array(scale))
            ax.set_title(outcome_label(outcome))
            ax.set_yticks(range(len(scenarios)), [spaced(s) for s in scenarios])
            below = index >= 2
            ax.set_xticks(range(len(assumptions)), assumptions if below else [])
            for label in ax.get_xticklabels():
                label.set(rotation=35, ha="right", rotation_mode="anchor")
        title_of(figure, "Effects of gaming by scenario and assumption")
    return figure


def _cells(table: pd.DataFrame, column: str, *, rows: list[str], columns: list[str]) -> Array:
    """Return a column as a matrix: routes by outcomes, or scenarios by assumptions."""
    across = "outcome" if "route" in table else "assumption"
    down = "route" if "route" in table else "scenario"
    wide = table.pivot(index=down, columns=across, values=column)
    cells: Array = wide.loc[rows, columns].to_numpy()
    return cells
