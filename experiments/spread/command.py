"""The study of spread as a command: what its config asks for, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from omegaconf import DictConfig
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from experiments.spread.figure import reach_figure
from experiments.spread.figure_outlive import outlive_figure
from experiments.spread.figure_race import race_figure
from experiments.spread.outlive import measure_outlive, outlive_numbers, outlive_table
from experiments.spread.race import boundary, boundary_table, measure_race, race_numbers, race_table
from experiments.spread.reach import measure_reach, reach_numbers, reach_table, thresholds
from experiments.spread.study import MOVED, PARTS, Study
from experiments.spread.terminal_tables import outlive_rows, race_rows, reach_rows
from experiments.spread.text import outlive_paragraph, race_paragraph, reach_paragraph
from sim.cli.compose import read_place, read_range, read_study
from sim.cli.help import keys_of
from sim.cli.outputs import write_figure, write_frame, write_json
from sim.sweeps.plan import Plan
from sim.sweeps.result import Sweep

#: The keys of configs/spread.yaml besides the specs, with their defaults, for the help.
OWN = {
    "parts=[reach,race,outlive]": "which of the three questions",
    "points=41": "levels of spread, and of awareness in the race",
    "seeds=16": "runs at each point, each of one agent",
    "share=0.25": "a value is lost below this share of its start",
    "awareness=[-14,0]": "from where to where awareness starts",
    "ratio=[0.1,1000]": "learning rates, as multiples of the values'",
    "engine=auto": "numpy, numba, or auto for the fastest installed",
    "store=outputs/spread-sweeps": "where runs are kept for the same command again; or null",
}
KEYS = keys_of(OWN)


@dataclass(frozen=True)
class Found:
    """What came out of a part.

    Attributes:
        table: Its numbers, a row for each point.
        numbers: What its paragraph is written from, ready for JSON.
        paragraph: What they say.
        figure: The picture.
        runs: How many runs there are ...
        resumed: ... of which so many were there already ...
        failed: ... and so many failed, as numbers grew out of all bounds.
        more: Further tables, by name.
    """

    table: pd.DataFrame
    numbers: dict[str, Any]
    paragraph: str
    figure: Figure
    runs: int
    resumed: int
    failed: int
    more: Mapping[str, pd.DataFrame] = field(default_factory=dict)


def read(config: DictConfig, *, scenario_name: str | None = None) -> tuple[Study, str | None]:
    """Check what a config asks for; every run of it is checked, and none is made.

    Args:
        config: Composed by Hydra, with the keys of configs/spread.yaml.
        scenario_name: What to call a scenario that has no name of its own.

    Returns:
        The study, and the directory below which its runs are kept; None if they are not.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    specs, own = read_study(config, KEYS, scenario_name=scenario_name)
    place = read_place(own.pop("store", None))
    named = own.pop("parts", PARTS)
    parts = tuple(map(str, named)) if isinstance(named, list | tuple) else (str(named),)
    if "awareness" in own:
        own["awareness"] = read_range(own["awareness"], "awareness")
    if "ratio" in own:
        own["ratio"] = read_range(own["ratio"], "ratio", "log")
    study = Study(specs=specs, parts=tuple(dict.fromkeys(parts)), **own)
    for part in study.parts:
        study.plan(part)
    return study, place


def store_of(place: str | None, study: Study, part: str, plan: Plan) -> str | None:
    """Return where the runs of a part are kept: a directory named for all they depend on."""
    name = study.specs.scenario.name
    return None if place is None else f"{place}/{name}-{part}-{plan.id}"


def measure(study: Study, part: str, plan: Plan, sweep: Sweep) -> Found:
    """Return what came out of a part."""
    make: dict[str, Callable[[Study, Plan, Sweep], Found]] = {
        "reach": _reach,
        "race": _race,
        "outlive": _outlive,
    }
    return make[part](study, plan, sweep)


def _reach(study: Study, plan: Plan, sweep: Sweep) -> Found:
    runs = measure_reach(study, plan, sweep)
    table, edges = reach_table(runs), thresholds(runs)
    numbers = reach_numbers(table, edges, cast=study.cast)
    return Found(
        table=table,
        numbers=numbers,
        paragraph=reach_paragraph(numbers),
        figure=reach_figure(table, edges, cast=study.cast, name=study.specs.scenario.name),
        runs=plan.runs,
        resumed=sweep.resumed,
        failed=sweep.failed,
        more={"thresholds": edges},
    )


def _race(study: Study, plan: Plan, sweep: Sweep) -> Found:
    runs = measure_race(study, plan, sweep)
    edges, reversals = boundary(runs, share=study.share), boundary(runs, share=0.0)
    rows = boundary_table(edges)
    numbers = race_numbers(runs, edges, reversals, cast=study.cast, share=study.share)
    usual = {
        moved: getattr(study.specs.training.learning_rate, moved)
        / study.specs.training.learning_rate.values
        for moved in MOVED
    }
    figure = race_figure(
        runs,
        rows,
        boundary_table(reversals),
        cast=study.cast,
        name=study.specs.scenario.name,
        share=study.share,
        usual=usual,
    )
    return Found(
        table=race_table(runs),
        numbers=numbers,
        paragraph=race_paragraph(numbers),
        figure=figure,
        runs=plan.runs,
        resumed=sweep.resumed,
        failed=sweep.failed,
        more={"boundary": rows},
    )


def _outlive(study: Study, plan: Plan, sweep: Sweep) -> Found:
    runs = measure_outlive(study, plan, sweep)
    numbers = outlive_numbers(runs, cast=study.cast, share=study.share)
    name = study.specs.scenario.name
    return Found(
        table=outlive_table(runs),
        numbers=numbers,
        paragraph=outlive_paragraph(numbers),
        figure=outlive_figure(runs, cast=study.cast, name=name, share=study.share),
        runs=plan.runs,
        resumed=sweep.resumed,
        failed=sweep.failed,
    )


def write(part: str, found: Found, directory: Path) -> list[Path]:
    """Write a part's numbers and figure into a directory; returns the paths of the figure."""
    for name, table in {part: found.table, **found.more}.items():
        write_frame(directory / f"{name}.csv", table)
    return write_figure(directory / part, found.figure)


def write_summary(study: Study, found: Mapping[str, Found], directory: Path) -> None:
    """Write the numbers and the paragraphs of all parts as summary.json."""
    summary = {
        "scenario": study.specs.scenario.name,
        "points": study.points,
        "seeds": study.seeds,
        "share": study.share,
        "steps": study.steps,
        **{
            part: {
                "says": one.paragraph,
                "runs": one.runs,
                "resumed": one.resumed,
                "failed": one.failed,
                **one.numbers,
            }
            for part, one in found.items()
        },
    }
    write_json(directory / "summary.json", summary)


def closing(part: str, found: Found) -> RenderableType:
    """Return what is shown of a part: its table, and the paragraph."""
    tables: dict[str, Callable[[Mapping[str, Any]], Table]] = {
        "reach": reach_rows,
        "race": race_rows,
        "outlive": outlive_rows,
    }
    table = tables[part](found.numbers)
    kept = f", {found.resumed:,} of them kept from before" if found.resumed else ""
    failed = f", {found.failed:,} failed" if found.failed else ""
    table.title = f"{part}: {found.runs:,} runs{kept}{failed}"
    table.title_justify = "left"
    return Group(table, Padding(Text(found.paragraph), (0, 0, 1, 0)))
