"""The command that draws emergence curves of a sweep, and writes their numbers (CSV)."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from sim.analysis.curves import CurveChoice, check_choice, curve_table
from sim.cli.application import launch
from sim.cli.help import config_help
from sim.cli.keys import CONFIGS, check_keys, plain
from sim.cli.outputs import write_figure, write_frame
from sim.plots.curves import choice_figure
from sim.specs.errors import SpecError
from sim.sweeps.result import Sweep

CONFIG = CONFIGS / "curves.yaml"
KEYS = ("sweep", "variables", "lines", "panels", "where", "difference", "baseline")


def draw_curves(sweep: Sweep, directory: Path, choice: CurveChoice | None = None) -> list[Path]:
    """Draw curves into a directory, and write their numbers beside them; returns the paths.

    Raises:
        SpecError: The sweep has no such variable or axis.
    """
    choice = check_choice(sweep, choice or CurveChoice())
    frame = curve_table(sweep, choice)
    name = "curves" if choice.difference is None else "differences"
    numbers = write_frame(directory / f"{name}.csv", frame)
    return [numbers, *write_figure(directory / name, choice_figure(sweep, frame, choice))]


def read(config: DictConfig) -> tuple[Sweep, CurveChoice]:
    """Open the sweep of a config and check its choice of curves.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    data = {**dict.fromkeys(KEYS), **plain(config)}
    check_keys(data, KEYS, CONFIG)
    place = data.pop("sweep")
    if place is None or place == "":
        raise SpecError("sweep: is missing; name its directory: sweep=outputs/emergence-sweep/...")
    sweep = Sweep.load(str(place))
    names = data.pop("variables")
    variables = names if isinstance(names, list) else [] if names is None else [names]
    where = data.pop("where")
    fixed = {} if where is None else where
    if not isinstance(fixed, dict):
        raise SpecError(f"where: got {fixed!r}: must be axes and their levels, {{AXIS: LEVEL}}")
    choice = CurveChoice(variables=variables, where=fixed, **data)
    return sweep, check_choice(sweep, choice)


def draw_sweep(config: DictConfig) -> None:
    """Draw a sweep's curves."""
    from hydra.core.hydra_config import HydraConfig

    from sim.cli.console import out

    sweep, choice = read(config)
    for path in draw_curves(sweep, Path(HydraConfig.get().runtime.output_dir), choice):
        out.print(f"{'figure' if path.suffix != '.csv' else 'numbers'}: {path}", soft_wrap=True)


def main() -> None:
    """Run the command."""
    launch(
        draw_sweep,
        config=CONFIG,
        check=read,
        keys=KEYS,
        help_text=lambda: config_help(CONFIG, "curves.py"),
    )
