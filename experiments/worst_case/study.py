"""The worst case as a study: its settings, its run, and its tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

import pandas as pd
from pydantic import BeforeValidator, model_validator

from sim.analysis.worst_case import PostTraining
from sim.cli.fields import Count, Engine, Seed, Spec, Whole, check_copies
from sim.cli.outputs import records
from sim.specs.errors import SpecError
from sim.specs.overrides import Specs
from sim.utils.progress import parts_of

from .binding import binding, verdict_frame
from .deployed import deploy_attempting
from .funnel import gaming_frame, misaligned_beside, stage_frame
from .variations import (
    VARIATIONS,
    VariedFunnel,
    World,
    change_frame,
    moves_frame,
    variation_names,
    varied_funnels,
)
from .visibility import summarise_audit

#: The columns that the terminal shows.
SHOWN = {
    "funnel": ("stage", "count", "share", "narrowing", "alone"),
    "by_gaming": ("condition", "nowhere", "partly", "everywhere"),
    "verdicts": ("question", "by", "group", "verdict", "share", "of"),
}


class Settings(Spec):
    """The study's own keys; their meaning and defaults are in config.yaml."""

    agents: Count
    moved_agents: Count
    moves: Annotated[tuple[str, ...], BeforeValidator(variation_names)]
    deployments: Whole
    replicates: Count
    seed: Seed
    engine: Engine

    @model_validator(mode="after")
    def _cut_moved_agents(self) -> Self:
        is_more = self.moved_agents > self.agents
        return self.replace(moved_agents=self.agents) if is_more else self


@dataclass(frozen=True)
class Results:
    """Counts of the funnel and of its variations.

    Attributes:
        frames: The tables, by name.
        numbers: Expected numbers of successes, and the audit, ready for JSON.
        varied: The baseline and each variation; empty if there are none.
    """

    frames: dict[str, pd.DataFrame]
    numbers: Mapping[str, Any]
    varied: list[VariedFunnel]


def check(specs: Specs, settings: Settings, post_training: PostTraining) -> World:
    """Compile the training of the funnel and of every variation; returns the world (SpecError)."""
    if not specs.scenario.of_kind("evaluation"):
        name = specs.scenario.name
        raise SpecError(f"scenario: {name!r} has no context of kind evaluation to audit in")
    check_copies(post_training.deployment)
    seed, engine = settings.seed, settings.engine
    world = World(specs=specs, seed=seed, engine=engine, **post_training.arguments())
    world.prepare(settings.agents)
    for name in settings.moves:
        world.vary(VARIATIONS[name]).prepare(settings.moved_agents)
    return world


def run(
    specs: Specs,
    settings: Settings,
    post_training: PostTraining,
    *,
    progress: Callable[[float], None] | None = None,
) -> Results:
    """Train, audit and deploy agents; then vary the assumptions (DivergenceError, SpecError)."""
    world = check(specs, settings, post_training)
    agents, moves = settings.moved_agents, settings.moves
    cost = agents * (len(moves) + 1) if moves else 0
    report_funnel, report_varied = parts_of(progress, [settings.agents, cost])
    frames, numbers = run_funnel(world, settings, report_funnel)
    if not moves:
        return Results(frames, numbers, [])
    varied = varied_funnels(world, moves, agents=agents, progress=report_varied)
    frames["moves"] = moves_frame(varied)
    frames["changes"] = change_frame(frames["moves"])
    return Results(frames, numbers, varied)


def run_funnel(
    world: World, settings: Settings, progress: Callable[[float], None]
) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Return tables and numbers of the main funnel, whose agents take much memory meanwhile."""
    report_training, report_deployments = parts_of(progress, [0.8, 0.2])
    result = world.prepare(settings.agents).execute(progress=report_training)
    population = world.funnel(result)
    deployed = deploy_attempting(
        population,
        oversight=world.oversight,
        deployment=world.deployment,
        maximum=settings.deployments,
        replicates=settings.replicates,
        seed=settings.seed,
        progress=report_deployments,
    )
    report_deployments(1.0)
    stages = stage_frame(population.conditions).assign(alignment=population.alignment)
    beside = misaligned_beside(
        population.audit.final, world.specs.scenario, world.thresholds.misalignment
    )
    by_gaming = gaming_frame(population.conditions, population.gaming, beside)
    bound = binding(population, oversight=world.oversight)
    verdicts = verdict_frame(stages, by_gaming, bound)
    frames = {"funnel": stages, "by_gaming": by_gaming, "binding": bound, "deployed": deployed}
    numbers = {
        "expected_successes": population.expected,
        "all_terms_if_independent": population.independent,
        "audit": summarise_audit(population.audit),
    }
    return {**frames, "verdicts": verdicts}, numbers


def tables(results: Results) -> dict[str, pd.DataFrame]:
    """Return the funnel, its breakdowns, and, if assumptions were moved, the moves."""
    return results.frames


def summary(results: Results, specs: Specs, settings: Settings) -> dict[str, Any]:
    """Return counts, expected numbers and the audit, ready for JSON."""
    moves = {
        varied.variation.name: {
            "expected_successes": varied.expected,
            "turned": varied.changes,
            "totals": varied.totals,
        }
        for varied in results.varied
    }
    return {
        "scenario": specs.scenario.name,
        "agents": settings.agents,
        "stages": records(results.frames["funnel"]),
        "by_gaming": records(results.frames["by_gaming"]),
        **results.numbers,
        "deployed": records(results.frames["deployed"]),
        **({"moves": moves} if moves else {}),
    }
