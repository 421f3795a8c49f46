"""Stability as a study: its settings, its run, and tables of equilibria, drift and invasions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from sim.cli.fields import Few, OneOrMore, Seed, Spec, Whole
from sim.result import Result
from sim.simulation import simulate
from sim.specs.overrides import Specs
from sim.stability.equilibria import Equilibria, Equilibrium, equilibria
from sim.stability.invasion import Invasion
from sim.stability.phase_plane import (
    PhasePlane,
    check_context,
    check_step,
    check_value,
    phase_plane,
)
from sim.stability.training_map import TrainingMap
from sim.utils.progress import parts_of

#: The emergence curves beside the plane have about so many points.
RECORDS = 200
STATE_COLUMNS = ("equilibrium", "kind", "variable", "level")
DRIFT_COLUMNS = ("parameter", "change")
INVASION_COLUMNS = ("equilibrium", "rare", "context", "exponent", "law")
#: The tables that the terminal shows.
SHOWN = {
    "search": (
        "starts",
        "steps",
        "equilibria",
        "own",
        "unsettled",
        "attempts",
        "stalled",
        "verdict",
    ),
    "states": STATE_COLUMNS,
    "invasions": INVASION_COLUMNS,
}


class Settings(Spec):
    """The study's own keys; their meaning and defaults are in config.yaml."""

    context: str | None
    value: str | None
    free: OneOrMore[str]
    phase: Annotated[int, Field(ge=-1, strict=True)]
    seed: Seed
    starts: Few
    steps: Annotated[int, Field(ge=1, le=10**7, strict=True)]
    at_step: Whole | None


@dataclass(frozen=True)
class Results:
    """Equilibria and a phase plane.

    Attributes:
        equilibria: Where training comes to rest.
        plane: The plane of one value and one habit.
        curves: Training of the agent itself, for the curves beside the plane.
    """

    equilibria: Equilibria
    plane: PhasePlane
    curves: Result


def check(specs: Specs, settings: Settings) -> tuple[str, str]:
    """Refuse what the scenario does not have; returns context and value of the plane.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    whole = TrainingMap.from_specs(
        specs, free=settings.free, phase=settings.phase, seed=settings.seed
    )
    check_step(specs, settings.at_step)
    context = check_context(whole, settings.context)
    return context, check_value(specs.scenario, context, settings.value)


def run(
    specs: Specs, settings: Settings, *, progress: Callable[[float], None] | None = None
) -> Results:
    """Find equilibria, and trace the phase plane.

    Raises:
        SpecError: As for `check`.
    """
    context, value = check(specs, settings)
    scenario, agent, training, _ = specs
    report_equilibria, report_plane = parts_of(progress, [2.0, 1.0])
    rests = equilibria(
        scenario,
        agent=agent,
        training=training,
        free=settings.free,
        phase=settings.phase,
        seed=settings.seed,
        starts=settings.starts,
        steps=settings.steps,
    )
    report_equilibria(1.0)
    plane = phase_plane(
        scenario,
        context,
        value=value,
        agent=agent,
        training=training,
        at_step=settings.at_step,
        phase=settings.phase,
        seed=settings.seed,
    )
    curves = simulate(
        scenario,
        agent=agent,
        training=training,
        seed=settings.seed,
        record_every=max(1, training.steps // RECORDS),
    )
    report_plane(1.0)
    return Results(rests, plane, curves)


def tables(results: Results, settings: Settings) -> dict[str, pd.DataFrame]:
    """Return how the search went, the equilibria, and drift and invasions at the agent's own end.

    Equilibria are numbered from 1. In `invasions`, no number is where the agent's own training is
    at the end.
    """
    rests = results.equilibria
    search = {
        "starts": settings.starts,
        "steps": rests.steps,
        "equilibria": len(rests.points),
        "own": np.nan if rests.own is None else rests.own + 1,
        "unsettled": rests.unsettled,
        "attempts": rests.attempts,
        "stalled": rests.stalled,
        "verdict": "moving" if rests.own is None else rests.points[rests.own].kind,
    }
    states = [
        (number, point.kind, variable, level)
        for number, point in enumerate(rests.points, start=1)
        for variable, level in state_of(rests, point).items()
    ]
    drift = sorted(rests.own_drift.items(), key=lambda item: -abs(item[1]))
    invasions = [_invasion_row(invasion, np.nan) for invasion in rests.invasions] + [
        _invasion_row(invasion, number)
        for number, point in enumerate(rests.points, start=1)
        for invasion in point.invasions
    ]
    return {
        "search": pd.DataFrame([search]),
        "equilibria": rests.frame,
        "states": pd.DataFrame(states, columns=list(STATE_COLUMNS)),
        "drift": pd.DataFrame(drift, columns=list(DRIFT_COLUMNS)),
        "invasions": pd.DataFrame(invasions, columns=list(INVASION_COLUMNS)),
    }


def state_of(rests: Equilibria, point: Equilibrium) -> dict[str, float]:
    """Return the gaming rates of trained contexts, and the values, of an equilibrium."""
    rates = {f"gaming_rate.{name}": point.gaming_rate[name] for name in rests.map.trained_contexts}
    return {**rates, **{f"values.{name}": level for name, level in point.values.items()}}


def _invasion_row(invasion: Invasion, number: float) -> Sequence[object]:
    return number, invasion.side, invasion.context, invasion.exponent, invasion.law


def summary(results: Results, specs: Specs, settings: Settings) -> dict[str, Any]:
    """Return equilibria, drift, invasions and the points of the plane, ready for JSON."""
    rests, plane = results.equilibria, results.plane
    return {
        "scenario": specs.scenario.name,
        "anchor": specs.training.anchor,
        **settings.model_dump(mode="json"),
        "context": plane.context,
        "value": plane.value,
        "at_step": plane.at_step,
        "relaxed_for": rests.steps,
        "equilibria": [
            describe_equilibrium(rests, point, is_own=i == rests.own)
            for i, point in enumerate(rests.points)
        ],
        "own": rests.own,
        "unsettled": rests.unsettled,
        "newton": {"attempts": rests.attempts, "stalled": rests.stalled},
        "drift": {name: float(step) for name, step in rests.own_drift.items()},
        "invasions": [describe_invasion(invasion) for invasion in rests.invasions],
        "inert": list(rests.inert),
        "followers": list(rests.followers),
        "plane": {
            "points": [
                {"kind": point.kind, "value": float(point.at[0]), "habit": float(point.at[1])}
                for point in plane.points
            ],
            "own": plane.own_orbit.attractor,
        },
    }


def describe_equilibrium(rests: Equilibria, point: Equilibrium, *, is_own: bool) -> dict[str, Any]:
    """Return an equilibrium, ready for JSON."""
    memory = point.point.memory
    return {
        "kind": point.kind,
        "own": is_own,
        "share": point.share,
        "gaming_rate": {name: point.gaming_rate[name] for name in rests.map.trained_contexts},
        "values": dict(point.values),
        "memory": memory if np.isfinite(memory) else None,
        "largest_eigenvalue": point.point.largest,
        "neutral": [list(names) for names in point.point.neutral],
        "saturated": dict(point.saturated),
        "against": [describe_invasion(invasion) for invasion in point.invasions],
    }


def describe_invasion(invasion: Invasion) -> dict[str, Any]:
    """Return an invasion exponent, ready for JSON."""
    return {
        "context": invasion.context,
        "of": invasion.side,
        "exponent": invasion.exponent,
        "advantage": invasion.advantage,
        "how": invasion.law,
    }
