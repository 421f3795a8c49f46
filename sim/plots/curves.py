"""Emergence curves of a sweep: a row for each variable, a column for each panel, lines by level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sim.analysis.curves import (
    CurveChoice,
    check_choice,
    curve_table,
    default_choice,
)
from sim.plots.style import (
    COLOURS,
    MUTED,
    EndLabel,
    head,
    house_style,
    label_ends,
    literal,
    short_key,
    spaced,
)
from sim.sweeps.result import Sweep
from sim.utils.format import format_level, span, with_minus

#: Ends of the colour map that are neither too light nor too dark on white.
_SHADES = (0.0, 0.85)


def plot_sweep(sweep: Sweep, **options: Any) -> Figure:
    """Draw curves of a sweep; options are those of `sim.Sweep.plot`.

    Raises:
        SpecError: The sweep has no such variable, axis or level, or kept no curves.
    """
    choice = CurveChoice(**options)
    if choice.lines is None and choice.panels is None and choice.difference is None:
        default = default_choice(sweep, choice.where)
        choice = replace(choice, lines=default.lines, panels=default.panels)
    choice = check_choice(sweep, choice)
    return choice_figure(sweep, curve_table(sweep, choice), choice)


def choice_figure(sweep: Sweep, frame: pd.DataFrame, choice: CurveChoice) -> Figure:
    """Draw the rows of a checked choice (`sim.analysis.curves.curve_table`)."""
    lines, panels = choice.lines, choice.panels
    variables = list(frame["variable"].unique())
    columns: Sequence[object] = [None] if panels is None else list(frame[panels].unique())
    levels: Sequence[object] = [None] if lines is None else list(frame[lines].unique())
    colours = _colours(levels)
    with house_style():
        size = (2.2 + 3.2 * len(columns), 0.9 + 2.0 * len(variables))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(
            len(variables), len(columns), sharex=True, sharey="row", squeeze=False
        )
        for row, variable in enumerate(variables):
            for column, panel in enumerate(columns):
                ax = axes[row, column]
                cell = frame[frame["variable"] == variable]
                if panels is not None:
                    cell = cell[cell[panels] == panel]
                ends = _draw(ax, cell, lines, levels, colours)
                ax.margins(x=0)
                if choice.difference is not None:
                    ax.axhline(0.0, color=MUTED, lw=0.6)
                if row == 0 and panels is not None:
                    ax.set_title(f"{short_key(panels)} = {_level_text(panel)}")
                if column == 0:
                    ax.set_ylabel(spaced(variable.replace(".", "\n")))
                if column == len(columns) - 1 and lines is not None:
                    label_ends(ax, ends, line_height=0.12)
        for ax in axes[-1]:
            ax.set_xlabel("training step")
        head(figure, *_title_and_note(sweep, frame, choice))
        return figure


def _title_and_note(sweep: Sweep, frame: pd.DataFrame, choice: CurveChoice) -> tuple[str, str]:
    names = dict.fromkeys(part["scenario"]["name"] for part in sweep.described["parts"])
    title = f"{', '.join(names)}: {sweep.described['runs']:,} runs"
    if choice.lines is not None:
        title += f", by {short_key(choice.lines)}"
    runs = span(sorted(set(frame["runs"])))
    if choice.difference is None:
        note = f"Median and 10–90 % over the agents of {runs} runs"
    else:
        note = (
            "Difference to the baseline, between runs with the same seed: median and 10–90 % of "
            f"{runs} pairs"
        )
    fixed = [f"{short_key(key)} = {_level_text(level)}" for key, level in choice.where.items()]
    return title, "; ".join([note, *fixed])


def _draw(
    ax: Axes,
    frame: pd.DataFrame,
    lines: str | None,
    levels: Sequence[object],
    colours: Sequence[str],
) -> list[EndLabel]:
    ends = []
    for level, colour in zip(levels, colours, strict=True):
        curve = frame if lines is None else frame[frame[lines] == level]
        if curve.empty:
            continue
        ax.fill_between(curve["step"], curve["low"], curve["high"], color=colour, alpha=0.13, lw=0)
        ax.plot(curve["step"], curve["median"], color=colour)
        ends.append(EndLabel(_level_text(level), float(curve["median"].iloc[-1]), colour))
    return ends


def _colours(levels: Sequence[object]) -> list[str]:
    """Return a shade for each number in order, or a colour for each name."""
    numeric = len(levels) > 1 and all(isinstance(level, int | float) for level in levels)
    if not numeric:
        return [COLOURS[i % len(COLOURS)] for i in range(len(levels))]
    low, high = _SHADES
    shades = mpl.colormaps["viridis"]
    places = [low + (high - low) * i / (len(levels) - 1) for i in range(len(levels))]
    return [mpl.colors.to_hex(shades(place)) for place in places]


def _level_text(level: object) -> str:
    text = literal(format_level(level))
    return with_minus(text) if isinstance(level, int | float) else spaced(text)
