"""The comparison of archetypes as a command: what it can be told, and what it leaves behind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from experiments.archetypes.figure import archetypes_figure
from experiments.archetypes.figure_training_log import training_log_figure
from experiments.archetypes.study import (
    ARCHETYPES,
    Portrait,
    archetypes_frame,
    prepare_archetypes,
)
from experiments.archetypes.text import (
    count_of,
    gaming_paragraph,
    log_paragraph,
    name_of,
    worst_case_paragraph,
)
from experiments.archetypes.training_log import Pair, pairs_frame
from sim.analysis.worst_case import PostTraining
from sim.cli.after_training import AFTER_KEYS, pop_after
from sim.cli.compose import read_study
from sim.cli.help import keys_of, study_help
from sim.cli.outputs import records, write_figure, write_frame, write_json
from sim.cli.study import describe
from sim.simulation import Run
from sim.specs.errors import SpecError
from sim.specs.overrides import Specs
from sim.sweeps.design import is_number
from sim.utils.format import shown

#: The keys of configs/archetypes.yaml besides the specs, with their defaults, for the help.
OWN = {
    "archetypes=[...]": "two or more of configs/agent, or files; the six are these:",
    f"  {', '.join(ARCHETYPES)}": "",
    "agents=256": "how many agents of each archetype",
    "seed=0": "of all random draws, the same for each archetype",
    "odds=20": "a reader of a training log is sure at so much to 1",
    "engine=auto": "numpy, numba, or auto for the fastest that is installed",
}
KEYS = (*keys_of(OWN), *AFTER_KEYS)
HELP = study_help(
    "six archetypes of the post side by side: who games, who comes near the\n"
    "worst case, and what a training log alone could tell apart (footnote 2).\n\n"
    "Keys of `agent` hold for all archetypes, beneath what one says of itself in its file\n"
    "(configs/agent/NAME.yaml): agent.spread.initial.values=0.3 moves all of them, and\n"
    "agent.initial.awareness=-2 those that say nothing of their awareness.",
    OWN,
    example="archetypes=[monolithic,opportunist] agents=64 deployment=single",
    sections=AFTER_KEYS,
)


@dataclass(frozen=True)
class Asked:
    """What a config asks for.

    Attributes:
        specs: Scenario, training, and the agent beneath all archetypes.
        runs: A run of each archetype.
        after: What they meet after training.
        odds: At which a reader of a log is sure.
        own: The study's own keys, as plain data.
    """

    specs: Specs
    runs: dict[str, Run]
    after: PostTraining
    odds: float
    own: dict[str, Any]


def read(config: DictConfig, *, scenario_name: str | None = None) -> Asked:
    """Check what a config asks for; every run of it is checked, and none is made.

    Args:
        config: Composed by Hydra, with the keys of configs/archetypes.yaml.
        scenario_name: What to call a scenario that has no name of its own.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    specs, own = read_study(config, KEYS, scenario_name=scenario_name)
    after = pop_after(own, specs.scenario)
    odds = own.pop("odds")
    if not is_number(odds) or not 1.0 < odds < math.inf:
        raise SpecError(f"odds: got {odds!r}: must be a number above 1")
    named = own.pop("archetypes")
    named = named if isinstance(named, list) else [named]
    runs = prepare_archetypes(specs, [str(name) for name in named], **own)
    return Asked(specs, runs, after, float(odds), {"archetypes": list(runs), **own, "odds": odds})


def write_study(
    directory: Path, asked: Asked, portraits: Sequence[Portrait], pairs: Sequence[Pair]
) -> list[Path]:
    """Write the numbers and the figures of a study; returns the paths of the figures."""
    scenario = asked.specs.scenario.name or "scenario"
    archetypes, compared = archetypes_frame(portraits), pairs_frame(pairs)
    write_frame(directory / "archetypes.csv", archetypes)
    write_frame(directory / "pairs.csv", compared)
    told = paragraphs(portraits, pairs, odds=asked.odds)
    write_json(
        directory / "summary.json",
        {
            "scenario": scenario,
            "odds": asked.odds,
            "says": told,
            "archetypes": records(archetypes),
            "pairs": records(compared),
        },
    )
    agents = {name: run.specs["agent"] for name, run in asked.runs.items()}
    provenance = describe(
        asked.specs, study=asked.own, archetypes=agents, after=asked.after.to_dict()
    )
    write_json(directory / "provenance.json", provenance)
    figures = {
        "archetypes": archetypes_figure(portraits, scenario=scenario),
        "training_log": training_log_figure(pairs, odds=asked.odds, scenario=scenario),
    }
    return [write_figure(directory / name, figure)[0] for name, figure in figures.items()]


def paragraphs(
    portraits: Sequence[Portrait], pairs: Sequence[Pair], *, odds: float
) -> dict[str, str]:
    """Return what was found, a paragraph for each question."""
    return {
        "gaming": gaming_paragraph(portraits),
        "worst_case": worst_case_paragraph(portraits),
        "training_log": log_paragraph(pairs, odds=odds),
    }


def closing(portraits: Sequence[Portrait], pairs: Sequence[Pair], *, odds: float) -> RenderableType:
    """Return what is shown at the end: two tables, each with what it says."""
    told = paragraphs(portraits, pairs, odds=odds)
    return Group(
        archetypes_table(portraits),
        Text(told["gaming"]),
        Padding(Text(told["worst_case"]), (1, 0)),
        pairs_table(pairs, odds=odds),
        Padding(Text(told["training_log"]), (0, 0, 1, 0)),
    )


def archetypes_table(portraits: Sequence[Portrait]) -> Table:
    """Lay the archetypes out for a terminal."""
    table = Table(
        Column("archetype", no_wrap=True),
        _number("games\nsome"),
        _number("every-\nwhere"),
        _number("alignment"),
        _number("terms\nlack"),
        Column("bound by", min_width=12),
        _number("at-\ntempt"),
        _number("P(suc-\ncess)"),
        **_HOW,
        title=f"Archetypes after training: {portraits[0].agents} agents each",
        caption="Games somewhere, everywhere, attempts: shares of agents; the others: means. "
        "Alignment: before → after training. Bound by: the term of the worst case that is furthest "
        "from its threshold for most agents.",
    )
    for one in portraits:
        table.add_row(
            name_of(one.name),
            _share(one.met["games_somewhere"]),
            _share(one.met["games_everywhere"]),
            f"{shown(one.alignment_start, 2)} → {shown(one.alignment_end, 2)}",
            f"{one.lacking:.1f}",
            name_of(one.bound_by) or "–",
            _share(one.met["attempts"]),
            f"{one.success:.2f}" if one.success >= 0.005 else f"{one.success:.0e}",
        )
    return table


def pairs_table(pairs: Sequence[Pair], *, odds: float, most: int = 15) -> Table:
    """Lay pairs out for a terminal, the hardest to tell apart by their log first."""
    table = Table(
        Column("pair"),
        *map(
            _number,
            (
                f"episodes\nfor {odds:g}:1",
                "last\ntenth",
                "ac-\ntions",
                "gaming\nrates",
                "deploy-\nment",
            ),
        ),
        **_HOW,
        title="What a training log alone could tell apart",
        caption="Episodes that make a reader sure, of all training or of its last tenth. "
        "Differences: of actions (total variation) and of gaming rates in training, and of actions "
        "in deployment, after it."
        + (f" The first {most} of {len(pairs)} pairs." if len(pairs) > most else ""),
    )
    for pair in pairs[:most]:
        table.add_row(
            f"{name_of(pair.one)}, {name_of(pair.other)}",
            _episodes(pair.episodes),
            _episodes(pair.episodes_end),
            *(f"{number:.2f}" for number in (pair.total_variation, pair.cognition, pair.deployed)),
        )
    return table


#: Tables that fit into 80 columns.
_HOW: dict[str, Any] = {
    "box": SIMPLE,
    "padding": (0, 0, 0, 0),
    "pad_edge": False,
    "title_justify": "left",
    "caption_justify": "left",
}


def _number(head: str) -> Column:
    return Column(head, justify="right", no_wrap=True)


def _share(share: float) -> str:
    return f"{100 * share:.0f} %"


def _episodes(episodes: float) -> str:
    return "never" if math.isinf(episodes) else count_of(episodes).replace("less than ", "< ")
