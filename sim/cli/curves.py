"""Emergence curves of a sweep, by any of its axes, with bands; and paired differences.

    training-gaming curves sweep=outputs/emergence-sweep/copyright-1a2b3c4d
    training-gaming curves sweep=... variables=[reach,alignment] lines=training.leak
    training-gaming curves sweep=... difference=training.leak

writes the figure and its numbers (CSV) into the run's directory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig

from sim.analysis.curves import (
    columns_of,
    levels_of,
    most_gamed,
    paired_differences,
    quantile_curves,
    shown_levels,
)
from sim.cli.application import application
from sim.cli.help import curves_help
from sim.cli.outputs import write_figure
from sim.plots.curves import curves
from sim.specs.errors import SpecError, nearest
from sim.sweeps.result import Sweep
from sim.utils.files import atomic_write

#: A figure has at most so many rows and columns.
MOST_VARIABLES = 6
MOST_PANELS = 4


@dataclass(frozen=True)
class Wanted:
    """Which curves to draw.

    Attributes:
        variables: Columns or variables; empty for the contexts in which most is gamed.
        lines: The axis whose levels are lines; None for the first that is not in panels.
        panels: The axis whose levels are panels; None for none.
        difference: The axis whose effect is shown, by paired runs; None for the curves themselves.
        baseline: The level of that axis which others are compared with; None for the first.
    """

    variables: Sequence[str] = ()
    lines: str | None = None
    panels: str | None = None
    difference: str | None = None
    baseline: object = None


def draw_curves(sweep: Sweep, directory: Path, wanted: Wanted | None = None) -> list[Path]:
    """Draw curves into a directory, and write their numbers beside them; returns the paths.

    Raises:
        SpecError: The sweep has no such variable or axis.
    """
    wanted = checked(sweep, wanted if wanted is not None else _usual(sweep))
    variables = wanted.variables or most_gamed(sweep, 3)
    lines = wanted.lines
    by = [key for key in (lines, wanted.panels) if key is not None]
    if wanted.difference is None:
        frame = quantile_curves(sweep, variables, by=by)
    else:
        frame = paired_differences(
            sweep, variables, of=wanted.difference, baseline=wanted.baseline, by=by
        )
    if frame.empty:
        raise SpecError(
            "curves: there is nothing to draw: no run has come to an end, or none with what is "
            "to be compared"
        )
    frame = _thinned(sweep, frame, lines, wanted.panels)
    name = "curves" if wanted.difference is None else "differences"
    with atomic_write(directory / f"{name}.csv") as part:
        frame.to_csv(part, index=False)
    figure = curves(
        frame,
        lines=lines,
        panels=wanted.panels,
        title=_title(sweep),
        note=_note(frame, wanted),
        difference=wanted.difference is not None,
    )
    return [directory / f"{name}.csv", *write_figure(directory / name, figure)]


def checked(sweep: Sweep, wanted: Wanted) -> Wanted:
    """Return what is wanted with columns for variables, and an axis for the lines.

    Raises:
        SpecError: The sweep has no such variable, axis or level.
    """
    axes = [axis for axis in sweep.axes if axis != "seed"]
    for name in ("lines", "panels", "difference"):
        key = getattr(wanted, name)
        if key is not None and key not in axes:
            raise SpecError(f"{name}: {key!r} is no axis of this sweep; {nearest(key, axes)}")
    if wanted.difference is None and wanted.baseline is not None:
        raise SpecError("baseline: is of a difference=AXIS, and none is given")
    if wanted.difference is not None and wanted.lines not in (None, wanted.difference):
        raise SpecError("lines: the lines of a difference are the levels of its own axis")
    lines = wanted.difference or wanted.lines
    if lines is not None and lines == wanted.panels:
        raise SpecError(f"panels: {lines!r} has the lines already")
    if wanted.difference is not None and wanted.baseline is not None:
        levels = levels_of(sweep, wanted.difference)
        if wanted.baseline not in levels:
            told = ", ".join(str(level) for level in levels)
            raise SpecError(f"baseline: got {wanted.baseline!r}: {wanted.difference} takes {told}")
    variables = columns_of(sweep, wanted.variables)
    if len(variables) > MOST_VARIABLES:
        raise SpecError(
            f"variables: {len(variables)} curves are too many for one figure (at most "
            f"{MOST_VARIABLES}); name some of {', '.join(variables)}"
        )
    if lines is None:
        lines = next((axis for axis in _told_apart(sweep) if axis != wanted.panels), None)
    return replace(wanted, variables=variables, lines=lines)


def _told_apart(sweep: Sweep) -> list[str]:
    """Return the axes that can be lines; contexts tell scenarios apart already."""
    return [axis for axis in sweep.axes if axis not in ("seed", "scenario")]


def _usual(sweep: Sweep) -> Wanted:
    """Lines by the first axis, panels by the next that has few levels."""
    axes = _told_apart(sweep)
    if not axes:
        return Wanted()
    panels = [axis for axis in axes[1:] if 1 < len(levels_of(sweep, axis)) <= MOST_PANELS]
    return Wanted(lines=axes[0], panels=panels[0] if panels else None)


def _thinned(
    sweep: Sweep, frame: pd.DataFrame, lines: str | None, panels: str | None
) -> pd.DataFrame:
    """Keep a few levels of each axis that is drawn, in their order."""
    for key, maximum in ((lines, None), (panels, MOST_PANELS)):
        if key is not None:
            levels = [level for level in levels_of(sweep, key) if level in set(frame[key])]
            shown = (
                shown_levels(levels) if maximum is None else shown_levels(levels, maximum=maximum)
            )
            order = {level: place for place, level in enumerate(shown)}
            frame = frame[frame[key].isin(shown)]
            frame = frame.sort_values(key, key=lambda c, order=order: c.map(order), kind="stable")
    return frame


def _title(sweep: Sweep) -> str:
    parts = sweep.described["parts"]
    names = dict.fromkeys(part["scenario"]["name"] for part in parts)
    return f"{', '.join(names)}: {sweep.described['runs']:,} runs"


def _note(frame: pd.DataFrame, wanted: Wanted) -> str:
    runs = sorted(set(frame["runs"]))
    each = f"{runs[0]:,}" if len(runs) == 1 else f"{runs[0]:,} to {runs[-1]:,}"
    if wanted.difference is None:
        return f"Median and 10–90 % over the agents of {each} runs"
    return (
        f"Difference to the baseline, between runs with the same seed: median and 10–90 % of "
        f"{each} pairs"
    )


KEYS = ("sweep", "variables", "lines", "panels", "difference", "baseline")


def read(config: DictConfig) -> tuple[Sweep, Wanted]:
    """Check what is asked for, and open the sweep.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    from sim.cli.compose import plain

    data = {**dict.fromkeys(KEYS), **plain(config)}
    for key in data:
        if key not in KEYS:
            raise SpecError(f"{key}: unknown key; {nearest(key, KEYS)}")
    place = data.pop("sweep")
    if place is None or place == "":
        raise SpecError("sweep: is missing; name its directory: sweep=outputs/emergence-sweep/...")
    sweep = Sweep.load(str(place))
    named = data.pop("variables")
    variables = named if isinstance(named, list) else [] if named is None else [named]
    return sweep, checked(sweep, Wanted(variables=variables, **data))


@application("curves", check=read, keys=KEYS, help_text=curves_help)
def main(config: DictConfig) -> None:
    """Draw a sweep's curves."""
    from hydra.core.hydra_config import HydraConfig

    from sim.cli.console import out

    sweep, wanted = read(config)
    for path in draw_curves(sweep, Path(HydraConfig.get().runtime.output_dir), wanted):
        out.print(f"{'figure' if path.suffix != '.csv' else 'numbers'}: {path}", soft_wrap=True)
