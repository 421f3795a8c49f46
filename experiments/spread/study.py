"""The study of spread: its run, and the tables of its three parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sim.analysis.context_roles import ContextRoles
from sim.cli.outputs import records, run_stored, runs_table
from sim.specs.overrides import Specs
from sim.sweeps.plan import Plan

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
    plans: dict[str, Plan] = {part: study.plan(part) for part in dict.fromkeys(settings.parts)}
    sweeps = run_stored(plans, settings.store, prefix=f"{specs.scenario.name}-", progress=progress)
    runs: dict[str, pd.DataFrame] = {}
    tables = {"runs": runs_table(plans, sweeps)}
    for part, plan in plans.items():
        runs[part] = METHODS[part].measure(study, plan, sweeps[part])
        tables |= METHODS[part].tables(runs[part], roles=study.roles, share=settings.share)
    return Results(study.roles, runs, tables)


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
