"""The bifurcation diagram as a study: its settings, its run, and tables of branches and folds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, Self

import pandas as pd
from pydantic import Field, model_validator

from sim.cli.fields import End, Few, OneOrMore, Seed, Spec
from sim.specs.base import refuse
from sim.specs.errors import SpecError
from sim.specs.overrides import Specs
from sim.specs.scenario import Scenario
from sim.stability.bifurcation import (
    DISTINCT,
    Bifurcations,
    bifurcations,
    bistable,
    check_variable,
    most_moved,
    read_family,
    variables_of,
)
from sim.stability.phase_plane import check_context, value_weights
from sim.stability.training_map import TrainingMap
from sim.sweeps.design import Range

#: Columns of the tables of folds and of bistable intervals.
FOLD_COLUMNS = ("branch", "key", "number", "variable", "level")
INTERVAL_COLUMNS = ("key", "low", "high", "variable", "outcomes")
#: The tables that the terminal shows.
SHOWN = {
    "bifurcation": ("variable", "branches", "folds", "verdict"),
    "folds": FOLD_COLUMNS,
    "bistable": INTERVAL_COLUMNS,
}


class Settings(Spec):
    """The study's own keys; their meaning and defaults are in config.yaml."""

    key: str
    low: End
    high: End
    scale: Literal["linear", "log"]
    variable: str | None
    free: OneOrMore[str] | None
    phase: Annotated[int, Field(ge=-1, strict=True)]
    seed: Seed
    places: Few
    starts: Few

    @model_validator(mode="after")
    def _check_axis(self) -> Self:
        if not self.low < self.high:
            raise refuse(f"got {self.low:g}: must be below high, {self.high:g}", at="low")
        if self.scale == "log" and self.low <= 0.0:
            raise refuse(f"got {self.low:g}: must be above 0, as the scale is log", at="low")
        return self

    @property
    def axis(self) -> Range:
        """The range of the number."""
        return Range(self.low, self.high, self.scale)


@dataclass(frozen=True)
class Results:
    """A diagram and its variables.

    Attributes:
        diagram: The branches.
        free: Names or kinds of the parameters that training may move; all if empty.
        held_parameters: Parameters that training would move, and that are held.
        variable: Variable of the diagram; None if there is no branch and none was chosen.
        below: The value with most weight in the variable's context, as a second variable.
    """

    diagram: Bifurcations
    free: tuple[str, ...]
    held_parameters: tuple[str, ...]
    variable: str | None
    below: str | None


def free_parameters(specs: Specs, settings: Settings) -> tuple[str, ...]:
    """Check the settings against the scenario, and return what training may move.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    try:
        read_family(specs, settings.key, settings.axis)
    except SpecError as error:
        raise SpecError(f"key: {str(error).removeprefix('key: ')}") from None
    whole = TrainingMap.from_specs(specs, phase=settings.phase, seed=settings.seed)
    context = None
    if settings.variable is not None:
        columns = variables_of(whole.program)
        name = check_variable(columns, settings.variable).partition(".")[2]
        context = name if name in whole.trained_contexts else None
    if settings.free is None:
        free = parameters_bearing_on(specs.scenario, whole, check_context(whole, context))
    else:
        free = settings.free
    if free:
        whole.only(free)
    return free


def parameters_bearing_on(scenario: Scenario, whole: TrainingMap, context: str) -> tuple[str, ...]:
    """Return the parameters that bear on one context.

    These are the values that its responses serve or offend, the habits and, where training moves
    them, the propensities wherever one of these is at stake, and awareness, horizon and competence.
    """
    values = [value for value, weight in value_weights(scenario, context).items() if weight > 0.0]
    near = [
        name
        for name in whole.trained_contexts
        if name == context or any(value_weights(scenario, name)[value] > 0.0 for value in values)
    ]
    names = [f"values.{value}" for value in values] + [f"habit.{name}" for name in near]
    inclined = [f"propensity.{name}." for name in near]
    names += [name for name in whole.names if name.startswith(tuple(inclined))]
    return (*names, "awareness", "log_horizon", "log_competence")


def check(specs: Specs, settings: Settings) -> None:
    """Refuse an axis, a variable or parameters that the scenario does not have.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    free_parameters(specs, settings)


def run(
    specs: Specs, settings: Settings, *, progress: Callable[[float], None] | None = None
) -> Results:
    """Follow the branches of equilibria along the number.

    Raises:
        SpecError: As for `check`.
    """
    free = free_parameters(specs, settings)
    diagram = bifurcations(
        specs.scenario,
        settings.key,
        settings.axis,
        agent=specs.agent,
        training=specs.training,
        free=free,
        phase=settings.phase,
        seed=settings.seed,
        places=settings.places,
        starts=settings.starts,
        progress=progress,
    )
    whole = TrainingMap.from_specs(specs, phase=settings.phase, seed=settings.seed)
    moving = {*diagram.family.at(0.5).names, *diagram.family.aside}
    variable = settings.variable
    if variable is None and diagram.branches:
        variable = most_moved(diagram.frame)
    below = None
    if variable is not None and not variable.startswith("values."):
        weights = value_weights(specs.scenario, variable.partition(".")[2])
        below = f"values.{max(weights, key=lambda name: weights[name])}"
    held_parameters = tuple(name for name in whole.names if name not in moving)
    return Results(diagram, free, held_parameters, variable, below)


def tables(results: Results, settings: Settings) -> dict[str, pd.DataFrame]:
    """Return the points of the branches, their folds, and the bistable intervals."""
    folds, intervals = find_folds(results), find_intervals(results)
    verdict = "bistable" if intervals else "one outcome"
    overview = {
        "key": results.diagram.family.key,
        "variable": results.variable,
        "places": settings.places,
        "branches": len(results.diagram.branches),
        "folds": len(folds),
        "bistable": len(intervals),
        "verdict": verdict if results.diagram.branches else "no fixed point",
    }
    key = results.diagram.family.key
    fold_rows = [
        (fold["branch"], key, fold[key], variable, level)
        for fold in folds
        for variable, level in fold.items()
        if variable not in ("branch", key)
    ]
    interval_rows = [
        (key, interval["low"], interval["high"], results.variable, interval["outcomes"])
        for interval in intervals
    ]
    return {
        "bifurcation": pd.DataFrame([overview]),
        "branches": results.diagram.frame,
        "folds": pd.DataFrame(fold_rows, columns=list(FOLD_COLUMNS)),
        "bistable": pd.DataFrame(interval_rows, columns=list(INTERVAL_COLUMNS)),
    }


def find_folds(results: Results) -> list[dict[str, Any]]:
    """Return branch, number and variables at each fold."""
    frame = results.diagram.frame
    if frame.empty:
        return []
    variables = [name for name in (results.variable, results.below) if name]
    folds = frame[frame["event"] == "fold"][["branch", results.diagram.family.key, *variables]]
    return [{str(name): x for name, x in fold.items()} for fold in folds.to_dict("records")]


def find_intervals(results: Results) -> list[dict[str, Any]]:
    """Return the intervals of the number with several stable outcomes of the variable."""
    if results.variable is None or not results.diagram.branches:
        return []
    return [asdict(interval) for interval in bistable(results.diagram, results.variable)]


def summary(results: Results, specs: Specs, settings: Settings) -> dict[str, Any]:
    """Return the settings, folds and bistable intervals, ready for JSON."""
    return {
        "scenario": specs.scenario.name,
        **settings.model_dump(mode="json"),
        "key": results.diagram.family.key,
        "free": list(results.free),
        "held": list(results.held_parameters),
        "branches": len(results.diagram.branches),
        "variable": results.variable,
        "distinct": DISTINCT,
        "folds": find_folds(results),
        "bistable": find_intervals(results),
    }
