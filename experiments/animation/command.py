"""The animated emergence as a command: what it can be told, what it leaves behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from experiments.animation.figure import animation, found
from sim.cli.compose import read_study
from sim.cli.help import keys_of, study_help
from sim.cli.outputs import write_json
from sim.result import Result
from sim.simulation import Run, prepare
from sim.specs.errors import SpecError, nearest
from sim.utils.files import atomic_write

#: The keys of configs/animation.yaml besides the specs, with their defaults, for the help.
OWN = {
    "agents=24": "how many agents; each is a dot",
    "seed=0": "of all random draws",
    "context=null": "where the dots show the gaming rate; null: the training context gamed most",
    "value=null": "which value they show; null: the one that training moves most",
    "seconds=16": "how long one loop takes",
    "engine=auto": "numpy, numba, or auto for the fastest that is installed",
}
KEYS = keys_of(OWN)
HELP = study_help(
    "an animated emergence: agents part as they are trained (SVG).",
    OWN,
    example="scenario=pipeline context=agentic_tasks seconds=20",
)
#: A page with more dots is no picture.
MOST_AGENTS = 200


def read(config: DictConfig, *, scenario_name: str | None = None) -> tuple[Run, dict[str, Any]]:
    """Check what a config asks for.

    Args:
        config: Composed by Hydra, with the keys of configs/animation.yaml.
        scenario_name: What to call a scenario that has no name of its own.

    Returns:
        The run, and `context`, `value` and `seconds`.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    specs, asked = read_study(config, KEYS, scenario_name=scenario_name)
    scenario = specs.scenario
    for key, known in (("context", [*scenario.contexts]), ("value", [*scenario.values])):
        if asked[key] is not None and asked[key] not in known:
            raise SpecError(f"{key}: got {asked[key]!r}: {nearest(str(asked[key]), known)}")
    seconds = asked["seconds"]
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 4:
        raise SpecError(f"seconds: got {seconds!r}: must be a number of at least 4")
    agents = asked.pop("agents")
    if not isinstance(agents, int) or not 1 <= agents <= MOST_AGENTS:
        raise SpecError(f"agents: got {agents!r}: must be a whole number from 1 to {MOST_AGENTS}")
    run = prepare(
        scenario,
        agent=specs.agent,
        training=specs.training,
        agents=agents,
        seed=asked.pop("seed"),
        engine=asked.pop("engine"),
        record_every=1 if specs.training.steps <= 200 else max(1, specs.training.steps // 1000),
    )
    return run, asked


def write_animation(directory: Path, result: Result, asked: dict[str, Any]) -> tuple[str, Path]:
    """Write the picture and its numbers; returns what it shows in a sentence, and its path."""
    context = asked["context"] or most_gamed(result)
    value = asked["value"] or most_moved(result)
    text = found(result, context=context, value=value)
    path = directory / "emergence_animated.svg"
    drawn = animation(result, context=context, value=value, seconds=float(asked["seconds"]))
    with atomic_write(path) as part:
        part.write_text(drawn, encoding="utf-8")
    ends = {
        "gaming_rate": result.gaming_rate.sel(context=context).values[-1].tolist(),
        "value": result.values.sel(value=value).values[-1].tolist(),
    }
    write_json(
        directory / "summary.json",
        {"sentence": text, "context": context, "value": value, "agents_at_the_end": ends},
    )
    write_json(directory / "provenance.json", result.provenance)
    return text, path


def most_gamed(result: Result) -> str:
    """Return the training context with the highest mean gaming rate at the end."""
    last = result.gaming_rate.isel(step=-1)
    trained = last.isel(context=np.flatnonzero(last["kind"].values == "training"))
    means = trained.mean("agent")
    return str(means["context"].values[int(np.argmax(means.values))])


def most_moved(result: Result) -> str:
    """Return the value that training moved most, over all agents."""
    moved = abs(result.values.isel(step=-1) - result.values.isel(step=0)).mean("agent")
    return str(result.data["value"].values[int(np.argmax(moved.values))])
