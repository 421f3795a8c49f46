"""Curves of a sweep on disk: the figure, and its numbers beside it."""

from __future__ import annotations

from pathlib import Path

from sim.analysis.curves import CurveChoice, check_choice, curve_table, default_choice
from sim.cli.outputs import write_figure
from sim.plots.curves import choice_figure
from sim.sweeps.result import Sweep
from sim.utils.files import atomic_write


def draw_curves(sweep: Sweep, directory: Path, choice: CurveChoice | None = None) -> list[Path]:
    """Draw curves into a directory, and write their numbers beside them; returns the paths.

    Raises:
        SpecError: The sweep has no such variable or axis.
    """
    choice = check_choice(sweep, choice or default_choice(sweep))
    frame = curve_table(sweep, choice)
    name = "curves" if choice.difference is None else "differences"
    with atomic_write(directory / f"{name}.csv") as part:
        frame.to_csv(part, index=False)
    figure = choice_figure(sweep, frame, choice)
    return [directory / f"{name}.csv", *write_figure(directory / name, figure)]
