"""The study of spread: its run, and the tables of its three parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sim.analysis.context_roles import ContextRoles
from sim.cli.console import prepare_shard
from sim.cli.outputs import records
from sim.specs.overrides import Specs
from sim.sweeps.sweep import run_plan
from sim.utils.progress import parts_of

from . import learning_rate_competition, persistence, spillover
from .plans import Settings as Settings
from .plans import StudyDesign

METHODS = {"reach": spillover, "race": learning_rate_competition, "outlive": persistence}
#: The tables that the terminal shows, and that the summary has.
SHOWN = {
    "runs": ("part", "runs", "resumed", "failed"),
    "spillover": ("rule", "steps", "faster", "context", "threshold", "verdict"),
    "learning_rate_competition": ("moved", "motive_credit", "slope_upper", "verdict"),
    "persistence": ("rule", "lost", "outlived", "reversed", "by_habit", "survives", "verdict"),
}


@dataclass(frozen=True)
class Results:
    """The runs of the parts by name, the tables of all, and the roles of contexts."""

    roles: ContextRoles
    runs: dict[str, pd.DataFrame]
    tables: dict[str, pd.DataFrame]


def check(specs: Specs, settings: Settings) -> None:
    """Refuse a scenario in which gaming protects nothing, and runs that would be refused.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    for part in settings.parts:
        StudyDesign(specs, settings).plan(part)


def run(
    specs: Specs, settings: Settings, *, progress: Callable[[float], None] | None = None
) -> Results:
    """Run the sweeps of the parts, each kept in a directory of its own below `store`.

    Raises:
        SpecError: As for `check`, or every run of a part failed.
    """
    study = StudyDesign(specs, settings)
    plans = {part: study.plan(part) for part in dict.fromkeys(settings.parts)}
    reports = parts_of(progress, [plan.runs for plan in plans.values()])
    runs: dict[str, pd.DataFrame] = {}
    tables: dict[str, pd.DataFrame] = {}
    counts = []
    for (part, plan), report in zip(plans.items(), reports, strict=True):
        name = f"{settings.store}/{specs.scenario.name}-{part}-{plan.id}"
        store = None if settings.store is None else name
        sweep = run_plan(plan, store=store, progress=report, prepare=prepare_shard)
        counts.append((part, plan.runs, sweep.resumed, sweep.failed))
        runs[part] = METHODS[part].measure(study, plan, sweep)
        tables |= METHODS[part].tables(runs[part], roles=study.roles, share=settings.share)
    overview = pd.DataFrame(counts, columns=list(SHOWN["runs"]))
    return Results(study.roles, runs, {"runs": overview, **tables})


def tables(results: Results) -> dict[str, pd.DataFrame]:
    """Return the tables of all parts: points, thresholds, boundaries, and what they come to."""
    return results.tables


def summary(results: Results, specs: Specs, settings: Settings) -> dict[str, Any]:
    """Return settings, roles of contexts, and the tables that the terminal shows."""
    roles = results.roles
    return {
        "scenario": specs.scenario.name,
        **settings.model_dump(mode="json", include={"points", "seeds", "share", "awareness"}),
        "steps": specs.training.steps,
        "value": roles.protected,
        "context": roles.contested,
        "decision_start": roles.decision,
        "paying": list(roles.paying),
        "others": list(roles.not_paying),
        **{name: records(table) for name, table in results.tables.items() if name in SHOWN},
    }
