"""The phase diagram as a command: what its config asks for, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import RenderableType
from rich.table import Column, Table

from sim.analysis.phase_diagram import FAILED, PhaseDiagram, PhaseDiagramPlan, prepare
from sim.analysis.regimes import Rules
from sim.cli.compose import read_place, read_study
from sim.cli.outputs import write_figure, write_json
from sim.plots.phase_diagram import MEANINGS, phase_diagram
from sim.plots.style import short_key
from sim.specs.errors import SpecError, nearest
from sim.sweeps.design import is_number
from sim.utils.files import atomic_write

#: The keys of configs/phase_diagram.yaml besides the specs, with their defaults, for the help.
OWN = {
    "x.key=agent.initial.awareness": "across: any number of agent, training or a context",
    "x.low=-10": "from here ...",
    "x.high=-2": "... to here",
    "x.points=100": "how many points there are",
    "x.scale=linear": "or log",
    "y.key=agent.initial.log_horizon": "upwards; y.low=0, y.high=3, y.points, y.scale",
    "seeds=8": "runs at each point; its regime is the most frequent",
    "contour=reach": "lines: alignment, values.NAME, gaming_rate.CONTEXT, ...",
    "refine=true": "runs only where regimes change; false: the full grid",
    "stride=8": "of the coarse lattice; what is smaller can be missed",
    "engine=auto": "numpy, numba, or auto for the fastest installed",
    "rules.gamed=0.5": "gaming rate from which a context is gamed",
    "rules.idle=0.1": "below which it is not gamed at all",
    "rules.steady=0.05": "how far it may move at the end and still be steady",
    "store=outputs/phase_diagram-sweeps": "where runs are kept for the same command again; or null",
}
#: The same without what is below them.
KEYS = tuple(dict.fromkeys(setting.split("=")[0].split(".")[0] for setting in OWN))
_RULES = ("gamed", "idle", "steady")


def read(
    config: DictConfig, *, scenario_name: str | None = None
) -> tuple[PhaseDiagramPlan, str | None]:
    """Check what a config asks for.

    Args:
        config: Composed by Hydra, with the keys of configs/phase_diagram.yaml.
        scenario_name: What to call a scenario that has no name of its own.

    Returns:
        The map to be made, and the directory in which its runs are kept; None if they are not.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    specs, own = read_study(config, KEYS, scenario_name=scenario_name)
    place = read_place(own.pop("store", None))
    rules = _read_rules(own.pop("rules", None) or {})
    survey = prepare(specs, rules=rules, **own)
    if place is not None:
        place = f"{place}/{survey.name}-{survey.id}"
    return survey, place


def write(diagram: PhaseDiagram, directory: Path, *, seconds: float) -> list[Path]:
    """Write a map's numbers, data and figure into a directory; returns the paths of the figure."""
    with atomic_write(directory / "phase_diagram.nc") as part:
        diagram.to_xarray().to_netcdf(part, engine="h5netcdf")
    write_json(directory / "provenance.json", diagram.provenance)
    write_json(directory / "summary.json", summarise(diagram, seconds=seconds))
    return write_figure(directory / "phase_diagram", phase_diagram(diagram))


def summarise(diagram: PhaseDiagram, *, seconds: float) -> dict[str, Any]:
    """Return a map's numbers as plain data, ready for JSON."""
    return {
        "scenario": diagram.provenance["scenario"]["name"],
        "x": asdict(diagram.x),
        "y": asdict(diagram.y),
        "seeds": diagram.seeds,
        "contour": diagram.contour,
        "engine": diagram.provenance["engine"],
        "shares": diagram.shares,
        "runs": diagram.runs,
        "full_runs": diagram.full_runs,
        "saved": diagram.saved,
        "resumed": diagram.resumed,
        "levels": list(diagram.levels),
        "seconds": seconds,
    }


def phase_diagram_table(summary: Mapping[str, Any]) -> RenderableType:
    """Return the closing table of a map, from `summarise`."""
    across, upwards = (short_key(summary[axis]["key"]) for axis in ("x", "y"))
    runs, full = summary["runs"], summary["full_runs"]
    resumed = f", {summary['resumed']:,} of them kept from before" if summary["resumed"] else ""
    table = Table(
        "regime",
        Column("of the map", justify="right"),
        "what it is",
        title=f"{summary['scenario']}: {across} by {upwards}, engine {summary['engine']}",
        title_justify="left",
        caption=f"{runs:,} of {full:,} runs computed{resumed}: {summary['saved']:,} saved "
        f"({100 * summary['saved'] / full:.1f} %). {summary['seconds']:.1f} s.",
        caption_justify="left",
    )
    for name, share in summary["shares"].items():
        if name != FAILED or share > 0.0:
            told = MEANINGS.get(name, "every run's numbers grew out of bounds")
            table.add_row(name, f"{100 * share:.1f} %", told)
    return table


def _read_rules(given: object) -> Rules:
    if not isinstance(given, Mapping):
        raise SpecError(f"rules: got {given!r}: must be thresholds: {', '.join(_RULES)}")
    for key, value in given.items():
        if key not in _RULES:
            raise SpecError(f"rules.{key}: unknown key; {nearest(str(key), _RULES)}")
        if not is_number(value):
            raise SpecError(f"rules.{key}: got {value!r}: must be a number from 0 to 1")
    return Rules(**{str(key): value for key, value in given.items()})
