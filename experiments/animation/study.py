"""The animated emergence as a study: one run, and the moving picture of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from sim.cli.fields import Engine, Seed, Spec
from sim.result import Result
from sim.simulation import Run, prepare
from sim.specs.errors import SpecError, nearest
from sim.specs.overrides import Specs
from sim.specs.scenario import Scenario
from sim.stability.phase_plane import value_weights
from sim.utils.files import atomic_write

from .svg import animation


class Settings(Spec):
    """The study's own keys; their meaning and defaults are in config.yaml."""

    agents: Annotated[int, Field(ge=1, le=200, strict=True)]
    seed: Seed
    context: str | None
    value: str | None
    seconds: Annotated[float, Field(ge=4, le=3600, allow_inf_nan=False)]
    engine: Engine


@dataclass(frozen=True)
class Animation:
    """A run, with the context and the value that its picture shows."""

    result: Result
    context: str
    value: str


def check(specs: Specs, settings: Settings) -> Run:
    """Refuse a context or a value that the scenario does not have; returns the compiled run.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    scenario = specs.scenario
    for key, names in (("context", [*scenario.contexts]), ("value", [*scenario.values])):
        name = getattr(settings, key)
        if name is not None and name not in names:
            raise SpecError(f"{key}: got {name!r}: {nearest(name, names)}")
    return prepare(
        scenario,
        agent=specs.agent,
        training=specs.training,
        agents=settings.agents,
        seed=settings.seed,
        engine=settings.engine,
        record_every=1 if specs.training.steps <= 200 else max(1, specs.training.steps // 1000),
    )


def run(
    specs: Specs, settings: Settings, *, progress: Callable[[float], None] | None = None
) -> Animation:
    """Train the agents, and choose what the picture shows where the config does not.

    Raises:
        SpecError: As for `check`.
        DivergenceError: Parameters grew out of all bounds.
    """
    result = check(specs, settings).execute(progress=progress)
    context = settings.context or most_gamed(result)
    value = settings.value or most_moved(result, specs.scenario, context)
    return Animation(result, context, value)


def tables(animated: Animation) -> dict[str, pd.DataFrame]:
    """Return the gaming rate and the value of each agent at the end."""
    result = animated.result
    columns = {
        "gaming_rate": result.gaming_rate.sel(context=animated.context).values[-1],
        "value": result.values.sel(value=animated.value).values[-1],
    }
    return {"agents_at_the_end": pd.DataFrame(columns)}


def summary(animated: Animation) -> dict[str, Any]:
    """Return what is shown, and the agents at the end, ready for JSON."""
    (table,) = tables(animated).values()
    return {
        "context": animated.context,
        "value": animated.value,
        "agents_at_the_end": table.to_dict("list"),
    }


def write(animated: Animation, directory: Path, settings: Settings) -> None:
    """Write the picture."""
    picture = animation(
        animated.result, context=animated.context, value=animated.value, seconds=settings.seconds
    )
    with atomic_write(directory / "emergence_animated.svg") as part:
        part.write_text(picture, encoding="utf-8")


def most_gamed(result: Result) -> str:
    """Return the training context with the highest mean gaming rate at the end."""
    last = result.gaming_rate.isel(step=-1)
    trained = last.isel(context=np.flatnonzero(last["kind"].values == "training"))
    means = trained.mean("agent")
    return str(means["context"].values[int(np.argmax(means.values))])


def most_moved(result: Result, scenario: Scenario, context: str) -> str:
    """Return the value, of those that bear on a context, that training moved most in all agents."""
    change = abs(result.values.isel(step=-1) - result.values.isel(step=0)).mean("agent")
    weights = value_weights(scenario, context)
    bearing = [name for name, weight in weights.items() if weight > 0.0] or [*weights]
    return max(bearing, key=lambda name: float(change.sel(value=name)))
