"""Emergence curves of a sweep, by any of its axes, with bands; and paired differences.

    python experiments/curves.py sweep=outputs/emergence-sweep/copyright-1a2b3c4d
    python experiments/curves.py sweep=... variables=[reach,alignment] lines=training.leak
    python experiments/curves.py sweep=... difference=training.leak

writes the figure and its numbers (CSV) into the run's directory.
"""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from sim.analysis.curves import CurveChoice, check_choice
from sim.cli.application import application
from sim.cli.compose import plain
from sim.cli.console import out
from sim.cli.curves import draw_curves
from sim.cli.help import curves_help
from sim.specs.errors import SpecError, nearest
from sim.sweeps.result import Sweep

KEYS = ("sweep", "variables", "lines", "panels", "difference", "baseline")


def read(config: DictConfig) -> tuple[Sweep, CurveChoice]:
    """Check the choice of curves, and open the sweep."""
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
    return sweep, check_choice(sweep, CurveChoice(variables=variables, **data))


@application("curves", check=read, keys=KEYS, help_text=curves_help)
def main(config: DictConfig) -> None:
    """Draw a sweep's curves."""
    sweep, choice = read(config)
    for path in draw_curves(sweep, Path(HydraConfig.get().runtime.output_dir), choice):
        out.print(f"{'figure' if path.suffix != '.csv' else 'numbers'}: {path}", soft_wrap=True)


if __name__ == "__main__":
    main()
