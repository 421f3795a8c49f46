"""The comparison of archetypes: its settings, its run, and the tables that come out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import pandas as pd
from pydantic import Field

from sim.analysis.worst_case import PostTraining
from sim.cli.fields import Count, End, Engine, OneOrMore, Seed, Spec
from sim.cli.outputs import records
from sim.simulation import Run
from sim.specs.base import plain
from sim.specs.errors import SpecError
from sim.specs.overrides import Specs

from .portraits import Portrait, portraits_table, prepare_archetypes, train_archetypes
from .training_log import Pair, compare_all, pairs_table

#: A change of conduct that counts as one.
_CHANGE = 0.05
#: The columns that the terminal shows.
SHOWN = {
    "archetypes": (
        "archetype", "met.games_somewhere", "met.games_everywhere", "alignment_start",
        "alignment_end", "conduct_end", "lacking", "binding", "met.attempts", "success",
    ),
    "pairs": (
        "one", "other", "episodes", "episodes_end", "total_variation", "cognition", "deployed",
    ),
}  # fmt: skip


class Settings(Spec):
    """The study's own keys; their meaning and defaults are in config.yaml."""

    archetypes: OneOrMore[Annotated[str, Field(strict=True, min_length=1)]]
    agents: Count
    seed: Seed
    odds: End
    engine: Engine


@dataclass(frozen=True)
class Results:
    """The runs of the archetypes by name, a portrait of each, and all pairs."""

    runs: dict[str, Run]
    portraits: Sequence[Portrait]
    pairs: Sequence[Pair]


def check(specs: Specs, settings: Settings) -> dict[str, Run]:
    """Refuse archetypes that do not fit the scenario; returns the compiled runs by name.

    Raises:
        SpecError: One line: which archetype, what was wrong, what is allowed.
    """
    if not settings.odds > 1.0:
        raise SpecError(f"odds: got {settings.odds:g}: must be a number above 1")
    return prepare_archetypes(
        specs,
        settings.archetypes,
        agents=settings.agents,
        seed=settings.seed,
        engine=settings.engine,
    )


def run(
    specs: Specs,
    settings: Settings,
    post_training: PostTraining,
    *,
    progress: Callable[[float], None] | None = None,
) -> Results:
    """Train every archetype, and compare the training logs of all pairs.

    Raises:
        SpecError: As for `check`, or what comes after training does not fit the scenario.
        DivergenceError: Parameters grew out of all bounds.
    """
    runs = check(specs, settings)
    portraits = train_archetypes(runs, post_training.arguments(), progress=progress)
    pairs = compare_all([portrait.log for portrait in portraits], odds=settings.odds)
    return Results(runs, portraits, pairs)


def tables(results: Results) -> dict[str, pd.DataFrame]:
    """Return archetypes and pairs, and verdicts on gaming, misalignment and generalisation."""
    portraits = results.portraits
    return {
        "archetypes": portraits_table(portraits),
        "pairs": pairs_table(results.pairs),
        "gaming": pd.DataFrame(row for portrait in portraits for row in gaming_rows(portrait)),
        "misalignment": pd.DataFrame(map(misalignment_row, portraits)),
        "generalisation": pd.DataFrame(map(generalisation_row, results.pairs)),
    }


def gaming_rows(portrait: Portrait) -> Iterator[dict[str, Any]]:
    """Return, for each training context, the share of agents that game before and after it."""
    words = {
        (True, True): "keeps gaming",
        (True, False): "stops gaming",
        (False, True): "comes to game",
        (False, False): "does not game",
    }
    shares = zip(portrait.contexts, portrait.gamed_start, portrait.gamed_end, strict=True)
    for context, start, end in shares:
        yield {
            "archetype": portrait.name,
            "context": context,
            "gamed_start": start,
            "gamed_end": end,
            "verdict": words[bool(start >= 0.5), bool(end >= 0.5)],
        }


def misalignment_row(portrait: Portrait) -> dict[str, Any]:
    """Return the share of egregiously misaligned agents before and after training."""
    start, end = portrait.egregious_start, portrait.shares["misalignment"]
    changes = abs(portrait.conduct_end - portrait.conduct_start) >= _CHANGE
    verdict = "misaligned" if end >= 0.5 else "not misaligned"
    if changes and (start >= 0.5) != (end >= 0.5):
        verdict = "becomes misaligned" if end >= 0.5 else "leaves misalignment"
    return {
        "archetype": portrait.name,
        "alignment_start": portrait.alignment_start,
        "alignment_end": portrait.alignment_end,
        "conduct_start": portrait.conduct_start,
        "conduct_end": portrait.conduct_end,
        "egregious_start": start,
        "egregious_end": end,
        "verdict": verdict,
    }


def generalisation_row(pair: Pair) -> dict[str, Any]:
    """Return whether actions of a pair differ more in deployment, and gaming more than actions."""
    more_deployed = pair.deployed > pair.total_variation
    more_cognition = pair.cognition > pair.total_variation
    return {
        "first": pair.first,
        "second": pair.second,
        "verdict": "more in deployment" if more_deployed else "not more in deployment",
        "cognition": "more than actions" if more_cognition else "not more than actions",
    }


def summary(results: Results, specs: Specs, settings: Settings) -> dict[str, Any]:
    """Return all tables, and the agents as their files and the keys of `agent` make them."""
    return {
        "scenario": specs.scenario.name or "scenario",
        "odds": settings.odds,
        "agents": {name: plain(run.specs["agent"]) for name, run in results.runs.items()},
        **{name: records(table) for name, table in tables(results).items()},
    }
