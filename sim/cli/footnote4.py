"""The study of footnote 4 as a command: what it can be told, what it says and leaves behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig
from rich.box import SIMPLE
from rich.table import Column, Table

from experiments.stability.command import describe
from sim.analysis.footnote4 import Outcome, check
from sim.analysis.footnote4_cases import CASES
from sim.analysis.footnote4_fates import STATES
from sim.analysis.footnote4_text import paragraph
from sim.cli.compose import read_study
from sim.cli.help import keys_of, study_help
from sim.cli.outputs import records, write_figure, write_frame, write_json
from sim.dynamics.engines.registry import get_engine
from sim.plots.footnote4 import footnote4
from sim.specs.errors import SpecError, check_whole, nearest
from sim.specs.settings import Specs

#: The keys of configs/footnote4.yaml besides the specs, with their defaults, for the help.
OWN = {
    "agents=512": "how many agents, each with a decision and an awareness of its own",
    "seed=0": "of all random draws",
    "cases=[]": "letters of the cases to try, [a,c]; none: all of a to f",
    "awareness=[-8,2]": "from where to where the agents' awareness is drawn (a logit)",
    "engine=auto": "numpy, numba, or auto for the fastest that is installed",
}
KEYS = keys_of(OWN)
HELP = study_help(
    "does partial gaming last? Footnote 4 of the post, under six kinds of assumptions.",
    OWN,
    example="scenario=monolithic training.steps=20000 cases=[a,c]",
)


def read(config: DictConfig, *, scenario_name: str | None = None) -> tuple[Specs, dict[str, Any]]:
    """Check what a config asks for.

    Args:
        config: Composed by Hydra, with the keys of configs/footnote4.yaml.
        scenario_name: What to call a scenario that has no name of its own.

    Returns:
        The specs, and the other arguments of `study`.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    specs, asked = read_study(config, KEYS, scenario_name=scenario_name)
    check_whole("agents", asked["agents"], minimum=1)
    check_whole("seed", asked["seed"], minimum=0)
    letters = sorted({case.letter for case in CASES})
    wanted = asked.pop("cases") or letters
    if not isinstance(wanted, list):
        wanted = [wanted]
    for letter in wanted:
        if letter not in letters:
            raise SpecError(f"cases: got {letter!r}: {nearest(str(letter), letters)}")
    between = asked["awareness"]
    numbers = isinstance(between, list) and all(isinstance(x, int | float) for x in between)
    if not numbers or len(between) != 2 or between[0] > between[1]:
        raise SpecError(f"awareness: got {between!r}: must be two numbers, the lower first")
    get_engine(asked["engine"])
    check(specs)
    return specs, {**asked, "cases": [case for case in CASES if case.letter in wanted]}


def write_study(
    directory: Path, specs: Specs, asked: Mapping[str, Any], outcomes: Sequence[Outcome]
) -> tuple[str, Path]:
    """Write a study's numbers and figure; returns its paragraph, and the figure's path."""
    text, frame = paragraph(outcomes), footnote4_frame(outcomes)
    write_frame(directory / "footnote4.csv", frame)
    write_json(directory / "summary.json", {"paragraph": text, "cases": records(frame)})
    study = {**asked, "cases": [case.label for case in asked["cases"]]}
    write_json(directory / "provenance.json", describe(specs, study=study))
    context, agents = outcomes[0].context.replace("_", " "), outcomes[0].agents
    title = f"does gaming some of the time last? ({context}, {agents} agents)"
    figure = footnote4(outcomes, title=f"{specs.scenario.name}: {title}")
    return text, write_figure(directory / "footnote4", figure)[0]


def footnote4_frame(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Return a row for each case; a half-life that was not reached is empty."""
    return pd.DataFrame(
        [
            {
                "letter": one.case.letter,
                "case": one.case.label,
                "context": one.context,
                "verdict": one.verdict,
                "undecided_end": float(one.undecided[-1]),
                "half_life": _reached(one.half_life),
                "partial_end": float(one.partial[-1]),
                "partial_half_life": _reached(one.partial_half_life),
                "left_of_nudge": one.left_of_nudge,
                "nudged": one.nudged,
                **{f"fixed_{kind}": one.fixed.get(kind, 0) for kind in _KINDS},
                "shift_of_gate": one.shift_of_gate,
                "value_kept": one.kept,
                **{f"share_{state}": one.fates[state] for state in STATES},
            }
            for one in outcomes
        ]
    )


_KINDS = ("stable", "neutral", "saddle", "unstable", "none")


def footnote4_table(outcomes: Sequence[Outcome]) -> Table:
    """Lay the outcomes out for a terminal."""
    table = Table(
        Column("assumption", no_wrap=True),
        Column("left at\nend", justify="right"),
        Column("half by\nstep", justify="right"),
        Column("nudge\nleft", justify="right"),
        Column("at\nrest", justify="right"),
        Column("being\nundecided", no_wrap=True),
        box=SIMPLE,
        title="Does gaming some of the time last?",
        title_justify="left",
        caption=(
            "Agents start with a decision between 0.1 and 0.9; left: those that still have one. "
            "Nudge left: of a difference of 0.5 "
            "in log-odds, given half-way to those still undecided. At rest: undecided agents whose "
            "end is a stable fixed point, of those looked at."
        ),
        caption_justify="left",
    )
    for one in outcomes:
        looked_at = sum(one.fixed.values())
        table.add_row(
            f"({one.case.letter}) {one.case.label}",
            f"{100 * one.undecided[-1]:.0f} %",
            f"{one.half_life:,.0f}" if np.isfinite(one.half_life) else "–",
            "–" if np.isnan(one.left_of_nudge) else f"{one.left_of_nudge:.2f}",
            f"{one.fixed.get('stable', 0)}/{looked_at}" if looked_at else "–",
            one.verdict,
        )
    return table


def _reached(steps: float) -> float:
    return steps if np.isfinite(steps) else np.nan
