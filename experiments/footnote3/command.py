"""The study of footnote 3 as a command: what it can be told, what it says and leaves behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Group, RenderableType
from rich.table import Column, Table

from experiments.footnote3.figure import footnote3
from experiments.footnote3.map import REGIMES, Map
from experiments.footnote3.study import Case, Limits, Study, unaware
from experiments.footnote3.text import axis_of, map_table, numbers, paragraphs, training_table
from sim.cli.compose import read_range, read_study
from sim.cli.help import keys_of, study_help
from sim.cli.outputs import write_figure, write_frame, write_json
from sim.cli.study import describe
from sim.utils.format import percent, shown

#: The keys of configs/footnote3.yaml besides the specs, with their defaults, for the help.
OWN = {
    "agents=16": "agents at each point of the maps, the same at all of them",
    "seed=0": "of all random draws",
    "points=41": "levels of each axis",
    "penalty=4": "the maps go from no penalty to this one",
    "learning=[0.001,10]": "learning rates of capabilities, from which to which",
    "opacity=[-4,4]": "opacity at the start (a logit), from where to where",
    "gamed=0.5": "gaming rate from which a context counts as gamed",
    "opaque=0.5": "opaque part of gaming from which it counts as hidden",
    "engine=auto": "numpy, numba, or auto for the fastest that is installed",
}
KEYS = keys_of(OWN)
HELP = study_help(
    "does training against visible gaming remove it, or teach it to hide? Footnote 3 of the post.",
    OWN,
    example="points=21 penalty=2 training.motive_credit=0",
)


def read(config: DictConfig, *, scenario_name: str | None = None) -> Study:
    """Check what a config asks for.

    Args:
        config: Composed by Hydra, with the keys of configs/footnote3.yaml.
        scenario_name: What to call a scenario that has no name of its own.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    specs, own = read_study(config, KEYS, scenario_name=scenario_name)
    own["learning"] = read_range(own["learning"], "learning", "log")
    own["opacity"] = read_range(own["opacity"], "opacity")
    limits = Limits(gamed=own.pop("gamed"), opaque=own.pop("opaque"))
    return Study(specs=specs, limits=limits, **own)


def write_study(
    directory: Path, study: Study, found: Sequence[Map], cases: Sequence[Case]
) -> tuple[dict[str, Any], Path]:
    """Write a study's numbers and figure; returns the summary, and the figure's path."""
    told = numbers(study, found, cases, unaware(study))
    summary = {"says": paragraphs(told), **told}
    write_frame(directory / "map.csv", map_table(found))
    write_frame(directory / "training.csv", training_table(cases))
    write_json(directory / "summary.json", summary)
    asked = {
        "agents": study.agents,
        "seed": study.seed,
        "points": study.points,
        "penalty": study.penalty,
        "learning": [study.learning.low, study.learning.high],
        "opacity": [study.opacity.low, study.opacity.high],
        "limits": vars(study.limits),
        "engine": study.engine,
    }
    write_json(directory / "provenance.json", describe(study.specs, study=asked))
    figure = footnote3(found, cases, told)
    return summary, write_figure(directory / "footnote3", figure)[0]


def footnote3_tables(summary: Mapping[str, Any]) -> RenderableType:
    """Lay the numbers out for a terminal."""
    return Group(*(_table(one, summary) for one in summary["maps"]))


def _table(one: Mapping[str, Any], summary: Mapping[str, Any]) -> Table:
    names = ("agents", "gaming", summary["value"], "turned round", "no scratchpad", "moving")
    table = Table(
        Column("ends", no_wrap=True),
        *(Column(name, justify="right") for name in names),
        title=f"penalty × {axis_of(one['key'])}: {one['points']:,} points",
        title_justify="left",
        caption="Share of all agents; of these, gaming rate where watched, the protected value in "
        "units of its start (median), the share in which it is turned round, gaming rate where "
        "there is no scratchpad, and the share that still moves.",
        caption_justify="left",
    )
    for name in REGIMES:
        found = one["regimes"][name]
        if found is None:
            table.add_row(name, *["–"] * len(names))
            continue
        unwritten = found["unwritten"]
        table.add_row(
            name,
            percent(found["share"]),
            f"{found['gaming']:.2f}",
            shown(found["strength"], 2),
            percent(found["reversed"]),
            "–" if unwritten is None else f"{unwritten:.3f}",
            percent(found["moving"]),
        )
    return table
