"""Matrices of effects: routes against outcomes, and scenarios against assumptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from sim.plots.style import COLOURS, MUTED, house_style, spaced, title_of
from sim.utils.format import signed

from .effects import is_sure
from .figure_effects import outcome_label

#: From lowered (orange) over nothing to raised (blue).
_MAP = LinearSegmentedColormap.from_list("effect", [COLOURS[1], "#FFFFFF", COLOURS[0]])
_OUTCOMES = (
    *("kept", "alignment", "awareness", "log_horizon", "log_competence", "gaming_rate", "reach"),
    *("opacity_share", "consistency", "behaviour_shift", "slip_deployed", "deployment_conduct"),
    "met.misalignment",
    *("met.consistency", "met.behaviour_shift", "terms_met"),
)
#: Routes that are assumptions.
_ROUTES = {"motive_credit 0": "credit for motives", "leak 0.3": "having no leak (of 0.3)"}
#: Totals below this are not worth a colour.
_LESS_THAN = 0.02
_NOTE = (
    "mean differences between twins, with gaming\nless without it throughout training\n\n"
    "blue: raised; orange: lowered; colours by panel\ngrey italics: 95 % interval with 0 in it"
)


def mediation_figure(table: pd.DataFrame, *, name: str, cause: str) -> Figure:
    """Draw the total effect, and of it the part that each route takes, against outcomes.

    Args:
        table: As `mediation` returns it.
        name: Of the scenario.
        cause: Of the difference between twins.
    """
    routes = list(dict.fromkeys(table["route"]))
    defined = table["total"].notna().groupby(table["outcome"]).all()
    outcomes = [outcome for outcome in _OUTCOMES if defined.get(outcome, False)]
    total = _effects(table[table["route"] == routes[0]], "total", row="total effect")
    parts = _effects(table, "mediated", row=table["route"])
    names = {"total effect": "total effect"} | {r: _ROUTES.get(r, spaced(r)) for r in routes}
    columns = {outcome: outcome_label(outcome) for outcome in outcomes}
    with house_style():
        figure = Figure(figsize=(12.0, 5.2), layout="constrained")
        ax = figure.subplots()
        effects = pd.concat([total, parts]).rename(columns={"outcome": "column"})
        _draw_matrix(ax, effects, names, columns, by_column=True)
        ax.axhline(0.5, color=MUTED, lw=1.2)
        title_of(figure, f"{name}: routes of the effects of {cause}")
        figure.supxlabel(
            "below the line: total less direct effect; colours by column; grey italics: interval "
            "with 0 in it; ·: the mediator itself",
            fontsize=8, color=MUTED,
        )  # fmt: skip
    return figure


def scenarios_figure(table: pd.DataFrame) -> Figure:
    """Draw the effect of gaming by scenario and assumption, a panel for each outcome.

    Args:
        table: As `scenario_effects` returns it.
    """
    outcomes = ("kept", "alignment", "awareness", "log_horizon", "terms_met")
    table = table.rename(columns={"scenario": "row", "assumption": "column"})
    names = {scenario: spaced(scenario) for scenario in table["row"]}
    with house_style():
        figure = Figure(figsize=(13.0, 7.0), layout="constrained")
        grid = list(figure.subplots(2, 3, sharey=True).flat)
        note = grid.pop(2)
        note.set_axis_off()
        note.text(0.0, 0.9, _NOTE, transform=note.transAxes, va="top", color=MUTED)
        for index, (ax, outcome) in enumerate(zip(grid, outcomes, strict=True)):
            columns = {name: name if index >= 2 else "" for name in table["column"]}
            _draw_matrix(ax, table[table["outcome"] == outcome], names, columns, by_column=False)
            ax.set_title(outcome_label(outcome))
        title_of(figure, "Effects of gaming by scenario and assumption")
    return figure


def _effects(table: pd.DataFrame, part: str, *, row: str | pd.Series) -> pd.DataFrame:
    """Return a part of effects with its interval, as the rows of a matrix."""
    names = {part: "effect", f"{part}_low": "low", f"{part}_high": "high"}
    return table[["outcome", *names]].rename(columns=names).assign(row=row)


def _draw_matrix(
    ax: Axes,
    effects: pd.DataFrame,
    rows: Mapping[str, str],
    columns: Mapping[str, str],
    *,
    by_column: bool,
) -> None:
    """Draw effects as coloured cells with their numbers; in grey where the interval has 0 in it.

    Args:
        ax: Its axes.
        effects: `effect`, `low` and `high` by `row` and `column`; nan: an empty cell.
        rows: Labels by row.
        columns: Labels by column.
        by_column: Whether the strongest colour is that of each column, rather than of all.
    """
    cells = effects.assign(sure=is_sure(effects)).pivot(index="row", columns="column")
    numbers, sure = (cells[name].loc[[*rows], [*columns]].to_numpy() for name in ("effect", "sure"))
    if by_column:
        scale = np.nanmax(np.abs(numbers), axis=0, keepdims=True)
        scale = np.where(scale < _LESS_THAN, 1.0, scale)
    else:
        scale = np.nanmax(np.abs(numbers), initial=_LESS_THAN)
    share = numbers / scale
    ax.imshow(np.ma.masked_invalid(share), cmap=_MAP, vmin=-1.25, vmax=1.25, aspect="auto")
    for (i, j), number in np.ndenumerate(numbers):
        style: dict[str, Any] = {"ha": "center", "va": "center", "color": MUTED}
        if not np.isfinite(number):
            ax.text(j, i, "·", **style)
            continue
        if sure[i, j]:
            style["color"] = "white" if abs(share[i, j]) > 0.85 else "black"
        italic = "normal" if sure[i, j] else "italic"
        ax.text(j, i, signed(number), fontsize=7.5, style=italic, **style)
    ax.set_xticks(np.arange(-0.5, len(columns)), minor=True)
    ax.set_yticks(np.arange(-0.5, len(rows)), minor=True)
    ax.grid(which="minor", color="white", lw=1.0)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    ax.set_yticks(range(len(rows)), rows.values())
    ax.set_xticks(range(len(columns)), columns.values())
    for label in ax.get_xticklabels():
        label.set(rotation=35, ha="right", rotation_mode="anchor")
