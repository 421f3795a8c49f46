"""The study of causation: its settings, the runs of its four parts, and their tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
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
from sim.cli.console import prepare_shard
from sim.cli.fields import Engine, OneOrMore, Seed, Spec, Store
from sim.cli.outputs import records
from sim.specs.overrides import Specs, read_specs
from sim.specs.scenario import Scenario
from sim.sweeps.executors import Executor
from sim.sweeps.plan import Plan
from sim.sweeps.sweep import run_plan
from sim.utils.progress import parts_of

from .contrasts import Contrast, contrasts_of
from .effects import Effects, effect_worlds, effects, groups_at_start
from .mediation import mediation, mediation_worlds
from .scenario_effects import scenario_effects, scenario_worlds
from .self_modification import SCENARIO, Coverage, coverage, coverage_worlds, with_copies
from .verdicts import effect_verdicts, largest_routes, scenario_verdicts

#: Differences between the agents of `SCENARIO`.
SPREAD = {"initial": {"values": 0.1, "awareness": 0.5}}
#: The tables that the terminal shows.
SHOWN = {
    "runs": ("part", "runs", "resumed", "failed"),
    "effect_verdicts": ("group", "outcome", "effect", "low", "high", "verdict"),
    "routes": ("outcome", "total", "route", "mediated", "direct", "verdict"),
    "scenario_verdicts": ("assumption", "outcome", "scenarios", "raised", "lowered", "verdict"),
    "self_modification_knobs": ("knob", "none", "all", "needed", "shape", "own_kept"),
}

Twins = Annotated[int, Field(ge=2, le=100_000, strict=True)]
Part = Literal["effects", "mediation", "scenarios", "self_modification"]
Story = Literal[
    "copyright",
    "drop_human_values",
    "scratchpad",
    "pipeline",
    "power_seeker",
    "monolithic",
    "lab_to_deployment",
]


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


@dataclass(frozen=True)
class StudyDesign:
    """The runs of the study's parts; the interventions of the specs are the cause of interest."""

    specs: Specs
    settings: Settings

    @property
    def bare(self) -> Specs:
        """The specs without interventions."""
        return self.specs._replace(interventions=())

    @cached_property
    def contrasts(self) -> dict[str, Contrast]:
        """Interventions on each twin, by the name of the contrast."""
        return contrasts_of(self.bare, self.specs.interventions)

    @property
    def cause(self) -> str:
        """The name of the main contrast."""
        return next(iter(self.contrasts))

    @cached_property
    def plans(self) -> dict[str, Plan]:
        """The runs of each part, checked.

        Raises:
            SpecError: One of them would be refused.
        """
        return {part: self._plan(part) for part in dict.fromkeys(self.settings.parts)}

    def _plan(self, part: str) -> Plan:
        settings = self.settings
        agents = settings.agents if part in ("effects", "mediation") else settings.few_agents
        return worlds_plan(
            self._worlds(part),
            agents=agents,
            seed=settings.seed,
            engine=settings.engine,
            policies=part == "effects",
        )

    def _worlds(self, part: str) -> dict[str, Specs]:
        if part == "effects":
            return effect_worlds(self.bare, self.contrasts)
        if part == "mediation":
            return mediation_worlds(self.bare, self.contrasts[self.cause])
        if part == "scenarios":
            return scenario_worlds(tuple(dict.fromkeys(self.settings.scenarios)), specs=self.bare)
        scenario = with_copies(Scenario.load(SCENARIO), self.settings.copies)
        agent = scenario.agent.replace(spread=SPREAD)
        return coverage_worlds(read_specs(scenario, agent=agent, training=self.specs.training))


@dataclass(frozen=True)
class Results:
    """The tables of all parts by name, the cause of interest, and the parts' own numbers."""

    cause: str
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    effects: Effects | None = None
    coverage: Coverage | None = None


def check(specs: Specs, settings: Settings, post_training: PostTraining) -> None:
    """Refuse runs that would be refused, before one is made.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    post_training.with_interventions(specs.interventions)
    assert StudyDesign(specs, settings).plans  # which checks all of them


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
    study = StudyDesign(specs, settings)
    reports = parts_of(progress, [plan.agent_steps for plan in study.plans.values()])
    tables: dict[str, pd.DataFrame] = {"runs": pd.DataFrame()}
    changes, coverages, counts = None, None, []
    for (part, plan), report in zip(study.plans.items(), reports, strict=True):
        name = f"{settings.store}/{specs.scenario.name}-{part}-{plan.id}"
        store = None if settings.store is None else name
        sweep = run_plan(
            plan, store=store, executor=executor, progress=report, prepare=prepare_shard
        )
        counts.append((part, plan.runs, sweep.resumed, sweep.failed))
        own_world = part in ("effects", "mediation")
        outcomes = outcomes_by_world(
            plan, sweep, post_training=post_training if own_world else None
        )
        if part == "effects":
            start, threshold = initial_values(plan.parts[0]), post_training.thresholds.misalignment
            groups = groups_at_start(start, specs.scenario, threshold=threshold)
            policies = policies_by_world(plan, sweep)
            changes = effects(study.contrasts, outcomes, groups=groups, policies=policies)
            tables |= {part: changes.table, "effect_verdicts": effect_verdicts(changes.table)}
        elif part == "mediation":
            tables[part] = mediation(outcomes)
            tables["routes"] = largest_routes(tables[part])
        elif part == "scenarios":
            tables[part] = scenario_effects(outcomes)
            tables["scenario_verdicts"] = scenario_verdicts(tables[part])
        else:
            coverages = coverage(outcomes)
            tables |= {part: coverages.table, "self_modification_knobs": coverages.knobs}
    tables["runs"] = pd.DataFrame(counts, columns=list(SHOWN["runs"]))
    return Results(study.cause, tables, changes, coverages)


def tables(results: Results) -> dict[str, pd.DataFrame]:
    """Return the tables of all parts, and what they come to."""
    return results.tables


def summary(results: Results, specs: Specs, settings: Settings) -> dict[str, Any]:
    """Return the cause, and of each part the number of runs, verdicts and sizes of groups."""
    numbers: dict[str, dict[str, Any]] = {
        row.pop("part"): row for row in records(results.tables["runs"])
    }
    if results.effects is not None:
        numbers["effects"]["groups"] = dict(results.effects.sizes)
    if results.coverage is not None:
        numbers["self_modification"]["knobs"] = records(results.coverage.knobs)
    verdicts = ("effect_verdicts", "routes", "scenario_verdicts")
    return {
        "scenario": specs.scenario.name,
        "cause": results.cause,
        "do": [intervention.model_dump(mode="json") for intervention in specs.interventions],
        "agents": settings.agents,
        "few_agents": settings.few_agents,
        **numbers,
        **{name: records(results.tables[name]) for name in verdicts if name in results.tables},
    }
