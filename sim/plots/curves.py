"""Emergence curves of a sweep: a row for each variable, a column for each panel, lines by level."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sim.analysis.curves import (
    MOST_BESIDE,
    CurveChoice,
    check_choice,
    curve_table,
    levels_of,
    phases_of,
)
from sim.dynamics.observe import VARIABLES
from sim.plots import style
from sim.plots.style import EndLabel, cut, cut_apart, short_key, spaced
from sim.sweeps.result import Sweep
from sim.utils.format import count_of, format_levels, span, with_minus

#: Ends of the colour map that are neither too light nor too dark on white.
_SHADES = (0.0, 0.85)
#: Text beside and above a panel is cut and broken to so many characters.
_BESIDE, _ACROSS = 22, 30


def plot_sweep(sweep: Sweep, **options: Any) -> Figure:
    """Draw curves of a sweep; options are those of `sim.Sweep.plot`.

    Raises:
        SpecError: The sweep has no such variable, axis or level, or kept no curves.
    """
    choice = check_choice(sweep, CurveChoice(**options))
    return choice_figure(sweep, curve_table(sweep, choice), choice)


def choice_figure(sweep: Sweep, frame: pd.DataFrame, choice: CurveChoice) -> Figure:
    """Draw the rows of a checked choice (`sim.analysis.curves.curve_table`)."""
    lines = choice.lines
    levels = [None] if lines is None else list(frame[lines].unique())
    texts = cut_apart(_level_texts(levels), _BESIDE)
    styles = list(zip(levels, _colours(levels), texts, strict=True))
    names = _names(list(frame["variable"].unique()))
    panels = list(_panels(frame, choice.panels))
    deep = max(cells["variable"].nunique() for _, _, cells in panels)
    beside = min(len(panels), MOST_BESIDE)
    blocks = ceil(len(panels) / beside)
    alike = len({tuple(cells["variable"].unique()) for _, _, cells in panels}) == 1
    with style.house_style():
        size = (2.4 + (3.2 if alike else 3.5) * beside, 1.0 + 2.1 * deep * blocks)
        figure = Figure(figsize=size, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.1)  # type: ignore[union-attr, call-arg]
        grid = figure.subplots(blocks * deep, beside, squeeze=False)
        for place, (panel, title, cells) in enumerate(panels):
            block, column = divmod(place, beside)
            variables = list(cells["variable"].unique())
            fixed = {choice.panels: panel} if choice.panels is not None else {}
            phases = phases_of(sweep, {**choice.where, **fixed})
            is_last = place == len(panels) - 1 or column == beside - 1
            for row, variable in enumerate(variables):
                ax = grid[block * deep + row, column]
                ends = _draw(ax, cells[cells["variable"] == variable], lines, styles)
                ax.set(xlim=(frame["step"].min(), frame["step"].max() or 1))
                ax.set_ylim(*_limits(frame, variable, choice))
                ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
                if choice.difference is not None:
                    ax.axhline(0.0, color=style.MUTED, lw=0.6)
                if row == 0 and title:
                    ax.set_title(title)
                if column == 0 or not alike:
                    ax.set_ylabel(names[variable])
                else:
                    ax.tick_params(labelleft=False)
                if place + beside >= len(panels) and row == len(variables) - 1:
                    ax.set_xlabel("training step")
                elif row < len(variables) - 1:
                    ax.tick_params(labelbottom=False)
                style.mark_phases(ax, phases, names="" if row else "inside")
                if is_last and lines is not None:
                    style.label_ends(
                        ax, ends, line_height=0.12, heading=cut(short_key(lines), _BESIDE)
                    )
            for ax in grid[block * deep + len(variables) : (block + 1) * deep, column]:
                ax.remove()
        for ax in grid[(blocks - 1) * deep :, len(panels) - (blocks - 1) * beside :].flat:
            ax.remove()
        style.head(figure, *_title_and_note(sweep, frame, choice))
        return figure


def _panels(frame: pd.DataFrame, key: str | None) -> Iterator[tuple[object, str, pd.DataFrame]]:
    """Yield each panel: its level, its title and its rows."""
    if key is None:
        yield None, "", frame
        return
    levels = list(frame[key].unique())
    for level, text in zip(levels, _level_texts(levels), strict=True):
        title = textwrap.fill(f"{cut(short_key(key), _BESIDE)} = {text}", _ACROSS)
        yield level, title, frame[frame[key] == level]


def _names(variables: Sequence[str]) -> dict[str, str]:
    """Return the names of columns, in lines that fit beside a panel."""
    roots, _, parts = zip(*(variable.partition(".") for variable in variables), strict=True)
    short = cut_apart([spaced(variable) for variable in parts], 2 * _BESIDE)
    texts = [f"{spaced(r)}\n{textwrap.fill(p, _BESIDE)}" for r, p in zip(roots, short, strict=True)]
    return {variable: text.strip() for variable, text in zip(variables, texts, strict=True)}


def _limits(frame: pd.DataFrame, variable: str, choice: CurveChoice) -> tuple[float, float]:
    """Return the ends of a scale, which all columns of a variable share: of shares, 0 to 1."""
    root = variable.split(".")[0]
    family = frame[frame["variable"].str.split(".").str[0] == root]
    low, high = float(family["low"].min()), float(family["high"].max())
    unit = VARIABLES[root].unit if root in VARIABLES else ""
    if unit in ("probability", "share") and choice.difference is None:
        return (-0.02 if low >= 0.0 else -1.02), 1.02
    if choice.difference is not None:
        low, high = min(low, 0.0), max(high, 0.0)
    margin = 0.05 * (high - low) or 0.05 * max(abs(high), 1.0)
    return low - margin, high + margin


def _title_and_note(sweep: Sweep, frame: pd.DataFrame, choice: CurveChoice) -> tuple[str, str]:
    lines, panels = choice.lines, choice.panels
    names = list(dict.fromkeys(part["scenario"]["name"] for part in sweep.described["parts"]))
    name = ", ".join(cut(name, 40) for name in names[:3])
    title = f"{name if len(names) <= 3 else f'{len(names)} scenarios'}: "
    title += count_of(sweep.described["runs"], "run")
    if lines is not None:
        title += f", by {short_key(lines)}"
    runs = span(sorted(set(frame["runs"])))
    thing = "run" if choice.difference is None else "pair"
    of_runs = f"{runs} {thing}{'s' * (runs != '1')}"
    notes = [f"Median and 10–90 % over the agents of {of_runs}"]
    if choice.difference is not None:
        key, levels = choice.difference, levels_of(sweep, choice.difference)
        base = levels[0] if choice.baseline is None else choice.baseline
        text = f"{short_key(key)} = {cut(_level_texts([base])[0], 40)}"
        notes = [f"Difference to {text}, with the same seed: median, 10–90 % of {of_runs}"]
    if not choice.variables:
        groups = [frame] if panels is None else [cells for _, cells in frame.groupby(panels)]
        drawn = {cells["variable"].nunique() for cells in groups}
        there = {len(part["scenario"]["contexts"]) for part in sweep.described["parts"]}
        if drawn != there:
            parts = f"{span(sorted(drawn))} of {span(sorted(there))}"
            notes.append(f"{parts} contexts, those gamed most")
    texts = {key: cut(_level_texts([level])[0], 40) for key, level in choice.where.items()}
    notes += [f"{short_key(key)} = {text}" for key, text in texts.items()]
    separate = {"seed", lines, panels, *choice.where}
    pooled = {key: len(levels_of(sweep, key)) for key in sweep.axes if key not in separate}
    if pooled:
        listed = ", ".join(f"{short_key(key)} ({count} levels)" for key, count in pooled.items())
        notes.append(f"pooled over {listed}")
    for key in filter(None, (lines, panels)):
        few, count = frame[key].nunique(), len(levels_of(sweep, key))
        if few + (key == choice.difference) < count:
            notes.append(f"{few} of {count} levels of {short_key(key)}")
    changes = {style.changes_text(part["interventions"]) for part in sweep.described["parts"]}
    if len(changes) == 1 and not any(key.startswith("interventions.") for key in sweep.axes):
        notes += filter(None, changes)
    return title, "; ".join(notes)


def _draw(
    ax: Axes, frame: pd.DataFrame, lines: str | None, styles: Sequence[tuple[object, str, str]]
) -> list[EndLabel]:
    ends = []
    for level, colour, text in styles:
        curve = frame if lines is None else frame[frame[lines] == level]
        if curve.empty:
            continue
        ax.fill_between(curve["step"], curve["low"], curve["high"], color=colour, alpha=0.13, lw=0)
        ax.plot(curve["step"], curve["median"], color=colour)
        ends.append(EndLabel(text, float(curve["median"].iloc[-1]), colour))
    return ends


def _colours(levels: Sequence[object]) -> list[str]:
    """Return a shade for each number in order, or a colour for each name."""
    numeric = len(levels) > 1 and all(isinstance(level, int | float) for level in levels)
    if not numeric:
        return [style.COLOURS[i % len(style.COLOURS)] for i in range(len(levels))]
    low, high = _SHADES
    shades = mpl.colormaps["viridis"]
    places = [low + (high - low) * i / (len(levels) - 1) for i in range(len(levels))]
    return [mpl.colors.to_hex(shades(place)) for place in places]


def _level_texts(levels: Sequence[object]) -> list[str]:
    """Return levels of one axis as text: long numbers in as few digits as tell them apart."""
    texts = format_levels(levels)
    if not all(isinstance(level, int | float) for level in levels):
        return [spaced(style.literal(text)) for text in texts]
    if max(map(len, texts)) > 7:
        texts = format_levels(levels, digits=3)
    return [with_minus(text) for text in texts]
