"""The study of footnote 6 as a command: what it can be told, what it says and leaves behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.table import Column, Table

from experiments.footnote6.figure import agents, representative
from experiments.footnote6.study import GROUPS, Seen, Study, Swept
from experiments.footnote6.text import (
    agents_table,
    discernment_table,
    numbers,
    paragraphs,
    training_table,
)
from sim.cli.compose import read_study
from sim.cli.help import study_help
from sim.cli.outputs import write_figure, write_frame, write_json
from sim.cli.study import describe
from sim.specs.agent import Agent
from sim.specs.errors import SpecError
from sim.sweeps.design import Range
from sim.utils.format import percent, shown

#: The keys of configs/footnote6.yaml besides the specs, with their defaults, for the help.
OWN = {
    "agents=256": "in each population",
    "seed=0": "of all random draws",
    "points=13": "levels of discernment",
    "discernment=[0,6]": "from where to where it is swept",
    "++populations.NAME.KEY=VALUE": "what is particular about its agents, by keys of the agent",
    "engine=auto": "numpy, numba, or auto for the fastest that is installed",
}
KEYS = ("agents", "seed", "points", "discernment", "populations", "engine")
HELP = study_help(
    "is behaviour before deployment representative of what comes after? Footnote 6 of the post.",
    OWN,
    example="scenario=copyright '~populations.power_seeker' points=7",
)


def read(config: DictConfig, *, scenario_name: str | None = None) -> Study:
    """Check what a config asks for.

    Args:
        config: Composed by Hydra, with the keys of configs/footnote6.yaml.
        scenario_name: What to call a scenario that has no name of its own.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    specs, own = read_study(config, KEYS, scenario_name=scenario_name)
    given = own.pop("populations")
    if not isinstance(given, dict):
        raise SpecError(f"populations: got {given!r}: must be agents by name")
    populations = {
        name: Agent.parse(said or {}, path=f"populations.{name}") for name, said in given.items()
    }
    ends = own.pop("discernment")
    between = Range.read(ends if isinstance(ends, list) else [ends], "discernment")
    return Study(specs=specs, populations=populations, discernment=between, **own)


def write_study(
    directory: Path, asked: Study, seen: Sequence[Seen], swept: Sequence[Swept]
) -> tuple[dict[str, Any], list[Path]]:
    """Write a study's numbers and figures; returns the summary, and the figures' paths."""
    told = numbers(asked, seen, swept)
    summary = {"says": paragraphs(told), **told}
    write_frame(directory / "training.csv", training_table(seen))
    write_frame(directory / "agents.csv", agents_table(seen))
    write_frame(directory / "discernment.csv", discernment_table(swept))
    write_json(directory / "summary.json", summary)
    described = {
        "agents": asked.agents,
        "seed": asked.seed,
        "points": asked.points,
        "discernment": [asked.discernment.low, asked.discernment.high],
        "populations": {
            name: agent.model_dump(mode="json", exclude_unset=True)
            for name, agent in asked.populations.items()
        },
        "engine": asked.engine,
    }
    write_json(directory / "provenance.json", describe(asked.specs, study=described))
    return summary, [
        write_figure(directory / "footnote6", representative(seen, told))[0],
        write_figure(directory / "footnote6_agents", agents(seen, swept, told))[0],
    ]


def footnote6_table(summary: Mapping[str, Any]) -> Table:
    """Lay the numbers out for a terminal."""
    populations = summary["populations"]
    table = Table(
        "at the end of training",
        *(Column(one["name"].replace("_", " "), justify="right") for one in populations),
        title=f"{summary['scenario']}: {summary['agents']} agents each, {summary['steps']:,} steps",
        title_justify="left",
        caption="Chance of the answer that looks best, and in brackets what gaming adds to it, in "
        "percentage points. Gap: how far an agent's mean before deployment is from its mean "
        "afterwards. Means over agents.",
        caption_justify="left",
    )
    for group in GROUPS:
        cells = [_cell(one["looks"].get(group)) for one in populations]
        if any(cell != "–" for cell in cells):
            table.add_row(f"looks best: {group}", *cells)
    table.add_row("gap", *(shown(one["gap_end"], 2) for one in populations))
    table.add_row("shift to the twin", *(shown(one["shift_end"], 2) for one in populations))
    for cause in ("belief", "habit"):
        table.add_row(f"  owed to {cause}", *(shown(one["owed"][cause], 3) for one in populations))
    return table


def _cell(looks: Mapping[str, float] | None) -> str:
    if looks is None:
        return "–"
    return f"{percent(looks['end'])} ({shown(100 * looks['added'], 0)})"
