"""Emergence curves of a sweep, by any of its axes, with bands; and paired differences.

    training-gaming curves sweep=outputs/emergence-sweep/copyright-1a2b3c4d
    training-gaming curves sweep=... variables=[reach,alignment] lines=training.leak
    training-gaming curves sweep=... difference=training.leak

writes the figure and its numbers (CSV) into the run's directory.
"""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from sim.analysis.curves import CurveChoice, check_choice, curve_table, default_choice
from sim.cli.application import application
from sim.cli.help import curves_help
from sim.cli.outputs import write_figure
from sim.plots.curves import choice_figure
from sim.specs.errors import SpecError, nearest
from sim.sweeps.result import Sweep
from sim.utils.files import atomic_write

KEYS = ("sweep", "variables", "lines", "panels", "difference", "baseline")


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


def read(config: DictConfig) -> tuple[Sweep, CurveChoice]:
    """Open the sweep of a config and check its choice of curves.

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
    names = data.pop("variables")
    variables = names if isinstance(names, list) else [] if names is None else [names]
    return sweep, check_choice(sweep, CurveChoice(variables=variables, **data))


@application("curves", check=read, keys=KEYS, help_text=curves_help)
def main(config: DictConfig) -> None:
    """Draw a sweep's curves."""
    from hydra.core.hydra_config import HydraConfig

    from sim.cli.console import out

    sweep, choice = read(config)
    for path in draw_curves(sweep, Path(HydraConfig.get().runtime.output_dir), choice):
        out.print(f"{'figure' if path.suffix != '.csv' else 'numbers'}: {path}", soft_wrap=True)
