"""The study of causation: its settings, the runs of its four parts, and their tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import Field

from sim.analysis.counterfactuals import (
    initial_values,
    outcomes_by_world,
    policies_by_world,
    worlds_plan,
)
from sim.analysis.worst_case import PostTraining
from sim.cli.fields import Engine, OneOrMore, Seed, Spec, Store
from sim.cli.outputs import records, run_stored, runs_table
from sim.specs.overrides import Specs
from sim.sweeps.executors import Executor
from sim.sweeps.plan import Plan

from .contrasts import contrasts_of
from .effects import (
    effect_verdicts,
    effect_worlds,
    effects,
    groups_at_start,
    scenario_effects,
    scenario_verdicts,
    scenario_worlds,
)
from .mediation import largest_routes, mediation, mediation_worlds
from .self_modification import coverage, coverage_worlds, knobs_table, one_goal

#: The tables that the terminal shows.
SHOWN = {
    "runs": ("part", "runs", "resumed", "failed"),
    "effect_verdicts": ("group", "outcome", "effect", "low", "high", "verdict"),
    "routes": ("outcome", "total", "route", "mediated", "direct", "verdict"),
    "scenario_verdicts": ("assumption", "outcome", "scenarios", "raised", "lowered", "verdict"),
    "self_modification_knobs": ("knob", "none", "all", "needed", "shape", "own_kept"),
}

#: The parts in the world of the specs; the others have scenarios of their own.
OWN_WORLD = ("effects", "mediation")
METHODS = {"mediation": mediation, "scenarios": scenario_effects, "self_modification": coverage}
#: The table that each part comes to: its name, and how it is made.
VERDICTS = {
    "effects": ("effect_verdicts", effect_verdicts),
    "mediation": ("routes", largest_routes),
    "scenarios": ("scenario_verdicts", scenario_verdicts),
    "self_modification": ("self_modification_knobs", knobs_table),
}

Twins = Annotated[int, Field(ge=2, le=100_000, strict=True)]
Part = Literal["effects", "mediation", "scenarios", "self_modification"]
Story = Literal[
    "copyright", "drop_human_values", "scratchpad", "pipeline", "power_seeker", "monolithic",
    "lab_to_deployment",
]  # fmt: skip


class Settings(Spec):
    """The study's own keys; their meaning and defaults are in config.yaml."""

    parts: Annotated[OneOrMore[Part], Field(min_length=1)]
    agents: Twins
    few_agents: Twins
    scenarios: Annotated[OneOrMore[Story], Field(min_length=1)]
    copies: Annotated[int, Field(ge=1, le=8, strict=True)]
    seed: Seed
    engine: Engine
    store: Store


def plans_of(specs: Specs, settings: Settings) -> dict[str, Plan]:
    """Return the checked runs of each part.

    Raises:
        SpecError: One of them would be refused.
    """
    contrasts = contrasts_of(specs)
    worlds: dict[str, Callable[[], dict[str, Specs]]] = {
        "effects": lambda: effect_worlds(specs, contrasts),
        "mediation": lambda: mediation_worlds(specs, next(iter(contrasts.values()))),
        "scenarios": lambda: scenario_worlds(dict.fromkeys(settings.scenarios), specs=specs),
        "self_modification": lambda: coverage_worlds(one_goal(specs.training, settings.copies)),
    }
    return {
        part: worlds_plan(
            worlds[part](),
            agents=settings.agents if part in OWN_WORLD else settings.few_agents,
            seed=settings.seed,
            engine=settings.engine,
            policies=part == "effects",
        )
        for part in dict.fromkeys(settings.parts)
    }


@dataclass(frozen=True)
class Results:
    """The cause of interest, the tables of all parts by name, and how many agents groups have."""

    cause: str
    tables: dict[str, pd.DataFrame]
    group_sizes: dict[str, int]


def check(specs: Specs, settings: Settings, post_training: PostTraining) -> None:
    """Refuse runs that would be refused, before one is made.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    post_training.with_interventions(specs.interventions)
    plans_of(specs, settings)


def run(
    specs: Specs,
    settings: Settings,
    post_training: PostTraining,
    executor: Executor | None = None,
    *,
    progress: Callable[[float], None] | None = None,
) -> Results:
    """Make the runs of the parts that are missing, each kept in a directory below `store`.

    Raises:
        SpecError: As for `check`.
    """
    contrasts, plans = contrasts_of(specs), plans_of(specs, settings)
    prefix = f"{specs.scenario.name}-"
    sweeps = run_stored(plans, settings.store, prefix=prefix, executor=executor, progress=progress)
    tables, sizes = {"runs": runs_table(plans, sweeps)}, {}
    for part, plan in plans.items():
        after = post_training if part in OWN_WORLD else None
        outcomes = outcomes_by_world(plan, sweeps[part], post_training=after)
        if part == "effects":
            start, threshold = initial_values(plan.parts[0]), post_training.thresholds.misalignment
            groups = groups_at_start(start, specs.scenario, threshold=threshold)
            sizes = {name: int(members.sum()) for name, members in groups.items()}
            policies = policies_by_world(plan, sweeps[part])
            table = effects(contrasts, outcomes, groups=groups, policies=policies)
        else:
            table = METHODS[part](outcomes)
        name, verdicts = VERDICTS[part]
        tables |= {part: table, name: verdicts(table)}
    return Results(next(iter(contrasts)), tables, sizes)


def tables(results: Results) -> dict[str, pd.DataFrame]:
    """Return the tables of all parts, and what they come to."""
    return results.tables


def summary(results: Results, specs: Specs, settings: Settings) -> dict[str, Any]:
    """Return the cause, and of each part the number of runs, verdicts and sizes of groups."""
    rows = {name: records(results.tables[name]) for name in SHOWN if name in results.tables}
    parts: dict[str, dict[str, Any]] = {row.pop("part"): row for row in rows.pop("runs")}
    if "effects" in parts:
        parts["effects"]["groups"] = results.group_sizes
    if "self_modification" in parts:
        parts["self_modification"]["knobs"] = rows.pop("self_modification_knobs")
    return {
        "scenario": specs.scenario.name,
        "cause": results.cause,
        "do": [intervention.model_dump(mode="json") for intervention in specs.interventions],
        "agents": settings.agents,
        "few_agents": settings.few_agents,
        **parts,
        **rows,
    }
