"""The worst case as a study: its settings, its run, and its tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

import pandas as pd
from pydantic import BeforeValidator, model_validator

from sim.analysis.audit import FINDERS, AuditResult
from sim.analysis.worst_case import PostTraining
from sim.cli.fields import Count, Engine, Seed, Spec, Whole
from sim.cli.outputs import records
from sim.specs.base import refuse
from sim.specs.errors import SpecError
from sim.specs.overrides import Specs
from sim.utils.progress import parts_of

from .binding import binding, verdict_frame
from .deployed import deploy_attempting
from .funnel import evidence_frame, funnel
from .variations import (
    VariedFunnel,
    World,
    change_frame,
    moves_frame,
    prepare_world,
    read_variations,
    varied_funnels,
)
from .visibility import retrained_frame, visibility_changes

#: The columns that the terminal shows.
SHOWN = {
    "funnel": ("stage", "count", "share", "narrowing", "alone"),
    "by_gaming": ("condition", "nowhere", "partly", "everywhere"),
    "verdicts": ("question", "by", "group", "verdict", "share", "of"),
}


def variation_names(names: object) -> tuple[str, ...]:
    """Return the names of variations, from a list of them, one of them, or `all`."""
    try:
        return tuple(variation.name for variation in read_variations(names))
    except SpecError as error:
        raise refuse(str(error).removeprefix("moves: ")) from None


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
        too_many = self.moved_agents > self.agents
        return self.replace(moved_agents=self.agents) if too_many else self


@dataclass(frozen=True)
class Results:
    """Counts of the funnel and of its variations.

    Attributes:
        stages: A row for each stage (`funnel.stage_frame`).
        by_gaming: Conditions by gaming (`funnel.gaming_frame`).
        bound: Conditions that hold agents back (`binding.binding`).
        expected: Expected numbers of successes.
        independent: Expected numbers that meet all terms if these were independent, by gaming.
        deployed: Deployments of agents that attempt (`deployed.deploy_attempting`).
        audit: Agents deployed, retrained and found, and how retrained agents gamed.
        varied: The baseline and each variation; empty if there are none.
    """

    stages: pd.DataFrame
    by_gaming: pd.DataFrame
    bound: pd.DataFrame
    expected: Mapping[str, float]
    independent: Mapping[str, float]
    deployed: pd.DataFrame
    audit: Mapping[str, Any]
    varied: list[VariedFunnel]


def check(specs: Specs, settings: Settings, post_training: PostTraining) -> None:
    """Compile the training of the funnel and of every variation.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    world = World(specs=specs, **post_training.arguments())
    own = {"seed": settings.seed, "engine": settings.engine}
    prepare_world(world, agents=settings.agents, **own)
    for variation in read_variations(settings.moves):
        prepare_world(world.vary(variation), agents=settings.moved_agents, **own)


def run(
    specs: Specs,
    settings: Settings,
    post_training: PostTraining,
    *,
    progress: Callable[[float], None] | None = None,
) -> Results:
    """Train, audit and deploy agents; then vary the assumptions, one at a time.

    Raises:
        SpecError: As for `check`.
        DivergenceError: Parameters grew out of all bounds.
    """
    world = World(specs=specs, **post_training.arguments())
    variations = read_variations(settings.moves)
    varied_cost = settings.moved_agents * (len(variations) + 1) if variations else 0
    cost = settings.agents
    shares = [0.8 * cost, 0.2 * cost] if settings.deployments else [cost, 0.0]
    report_training, report_deployments, report_varied = parts_of(progress, [*shares, varied_cost])
    training = prepare_world(
        world, agents=settings.agents, seed=settings.seed, engine=settings.engine
    )
    population = funnel(
        training.execute(progress=report_training),
        **post_training.arguments(),
        engine=settings.engine,
    )
    deployed = deploy_attempting(
        population,
        oversight=post_training.oversight,
        deployment=post_training.deployment,
        maximum=settings.deployments,
        replicates=settings.replicates,
        seed=settings.seed,
        progress=report_deployments,
    )
    report_deployments(1.0)
    summarised: dict[str, Any] = {
        "stages": population.frame(),
        "by_gaming": population.by_gaming(),
        "bound": binding(population, oversight=post_training.oversight),
        "expected": population.expected,
        "independent": population.independent,
        "deployed": deployed,
        "audit": summarise_audit(population.audit),
    }
    del population  # its states take most of the memory
    varied = []
    if variations:
        varied = varied_funnels(
            world,
            variations,
            agents=settings.moved_agents,
            seed=settings.seed,
            engine=settings.engine,
            progress=report_varied,
        )
    return Results(**summarised, varied=varied)


def summarise_audit(audit: AuditResult) -> dict[str, Any]:
    """Count the agents that an audit deploys and retrains, and the shares that it finds.

    `found_first` has the share of agents that each step finds before any retraining;
    `found_gaming` and `found_not_gaming` that of agents in which any step finds anything, None
    where there are no such agents.
    """
    first = audit.first_findings.mean(axis=0)
    anything = audit.first_findings.any(axis=1)
    gaming = audit.before["reach"].values > 0.0
    found = {"found_gaming": anything[gaming], "found_not_gaming": anything[~gaming]}
    return {
        "deployed": int(audit.deployed.sum()),
        "retrained": int(audit.retrained.sum()),
        "turned": visibility_changes(audit),
        "found_first": dict(zip(FINDERS, map(float, first), strict=True)),
        **{name: float(flags.mean()) if len(flags) else None for name, flags in found.items()},
    }


def tables(results: Results) -> dict[str, pd.DataFrame]:
    """Return the funnel, its breakdowns, and, if assumptions were moved, the moves."""
    changes = {"as asked": results.audit["turned"]}
    changes |= {varied.variation.name: varied.changes for varied in results.varied}
    frames = {
        "funnel": results.stages,
        "by_gaming": results.by_gaming,
        "binding": results.bound,
        "deployed": results.deployed,
        "evidence": evidence_frame(results.by_gaming),
        "verdicts": verdict_frame(results.stages, results.bound),
        "retrained": retrained_frame(changes),
    }
    if results.varied:
        moves = moves_frame(results.varied)
        frames |= {"moves": moves, "changes": change_frame(moves)}
    return frames


def summary(results: Results, specs: Specs, settings: Settings) -> dict[str, Any]:
    """Return counts, expected numbers and the audit, ready for JSON."""
    numbers: dict[str, Any] = {
        "scenario": specs.scenario.name,
        "agents": settings.agents,
        "stages": records(results.stages),
        "by_gaming": records(results.by_gaming),
        "expected_successes": dict(results.expected),
        "all_terms_if_independent": dict(results.independent),
        "audit": dict(results.audit),
        "deployed": records(results.deployed),
    }
    if results.varied:
        numbers["moves"] = {
            varied.variation.name: {
                "expected_successes": dict(varied.expected),
                "turned": dict(varied.changes),
                "totals": varied.totals,
            }
            for varied in results.varied
        }
    return numbers
