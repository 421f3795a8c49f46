"""Sweep: many runs, planned, computed where they are missing, and read as a table."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from sim.specs.agent import Agent
from sim.specs.base import plain
from sim.specs.errors import SpecError, check_whole
from sim.specs.intervention import Interventions
from sim.specs.keys import full_key, is_vectorisable
from sim.specs.overrides import Specs, apply_overrides, as_population, read_specs
from sim.specs.scenario import Scenario
from sim.specs.training import Training
from sim.sweeps.design import (
    MOST_PARTS,
    Design,
    Grid,
    Product,
    check_runs,
    is_number,
    level_labels,
    list_levels,
)
from sim.sweeps.executors import Executor, LocalExecutor
from sim.sweeps.plan import Part, Plan, Shard, make_plan
from sim.sweeps.result import Sweep
from sim.sweeps.store import Store
from sim.utils.progress import Pace, ProgressOption, count_progress, progress_reporter

#: Keys of a run that are no part of its specs, and can be an axis all the same.
RUN_AXES = ("scenario", "agents", "record_every")


def sweep(
    scenario: Scenario | str | Mapping[str, object],
    *,
    axes: Mapping[str, Iterable[object]] | None = None,
    design: Design | None = None,
    seeds: int | Iterable[int] = 1,
    agent: Agent | str | Mapping[str, object] | None = None,
    training: Training | Mapping[str, object] | None = None,
    interventions: Interventions | None = None,
    agents: int = 1,
    record_every: int = 10,
    record: str = "summary",
    engine: str = "auto",
    precision: str = "float64",
    cognition: object = None,
    store: str | Path | None = None,
    executor: Executor | None = None,
    progress: ProgressOption = None,
) -> Sweep:
    """Run every combination of axes, design and seeds, as few array programs.

    Numbers of the agent, its initial state, training and contexts become columns of one program;
    anything else (a scenario, an update rule, how many steps) makes a program of its own. A run is
    the one that `simulate` gives for the same settings and seed.

    Args:
        scenario: As for `simulate`.
        axes: By dotted key (`agent.awareness`, `training.leak`, `scenario`, ...), its levels.
        design: Points in the space of numeric keys: `Grid`, `Zip`, `LatinHypercube`, `Sobol`, or a
            `Product` of these. Every point goes with every combination of the axes.
        seeds: How many replicates of each (seeds 0, 1, ...), or their seeds. Runs with the same
            seed share their random draws.
        agent: As for `simulate`.
        training: As for `simulate`.
        interventions: What is done to every run; an axis such as `interventions.0.set` moves it.
        agents: How many agents each run has.
        record_every: Steps from one record to the next.
        record: `summary`: a row for each run; `curves`: also what emergence curves need; `full`:
            also every variable of every agent at every record.
        engine: As for `simulate`.
        precision: As for `simulate`.
        cognition: As for `simulate`; for threads of this process.
        store: Where results are kept: a directory, or a URL of fsspec. What is there already is not
            computed again. None: in a temporary directory, as long as the table lives.
        executor: Computes the runs; threads of this process if None.
        progress: True for a bar on stderr, or a function that is called with the share done.

    Raises:
        SpecError: The input cannot be used; one line says why.
    """
    levels = {key: _levels(values, key) for key, values in (axes or {}).items()}
    columns = {k: v for k, v in levels.items() if is_vectorisable(k) and all(map(is_number, v))}
    points: Design = Grid(columns)
    if design is not None:
        points = Product(points, design)
    discrete = {
        key: list(zip(values, level_labels(key, values), strict=True))
        for key, values in levels.items()
        if key not in columns
    }
    check_runs("axes", prod(map(len, discrete.values())), maximum=MOST_PARTS)
    parts, replicates = [], _seeds(seeds)
    for combination in itertools.product(*discrete.values()):
        choices = {key: level for key, (level, _) in zip(discrete, combination, strict=True)}
        world: Any = choices.get("scenario", scenario)
        kind: Any = agent
        if isinstance(choices.get("agent"), str):  # a name, or a file
            if agent is not None:
                raise SpecError("agent: is an axis of names, and is given as well")
            kind = choices.pop("agent")
        specs = as_population(
            read_specs(world, agent=kind, training=training, interventions=interventions)
        )
        overrides = {key: level for key, level in choices.items() if key not in RUN_AXES}
        specs = with_first_point(apply_overrides(specs, overrides), points)
        parts.append(
            Part(
                specs=specs,
                design=points,
                seeds=replicates,
                agents=choices.get("agents", plain(agents)),
                record_every=choices.get("record_every", plain(record_every)),
                choices={key: label for key, (_, label) in zip(discrete, combination, strict=True)},
            )
        )
    plan = make_plan(parts, record=record, engine=engine, precision=precision, cognition=cognition)
    return run_plan(plan, store=store, executor=executor, progress=progress)


def run_plan(
    plan: Plan,
    *,
    store: str | Path | None = None,
    executor: Executor | None = None,
    progress: ProgressOption = None,
    note: Mapping[str, Any] | None = None,
    prepare: Callable[[Shard], None] | None = None,
) -> Sweep:
    """Compute what is missing of a plan; store, executor, progress and errors as for `sweep`.

    `note` goes into the store; `prepare` is called with the first shard that is missing, if any is,
    before one is computed.
    """
    place = tempfile.mkdtemp(prefix="sweep-") if store is None else store
    try:
        files = Store(place)
        files.open(plan, note=note or {})
        stored = {shard.name: files.check(shard) for shard in plan.shards}
        missing = [shard for shard in plan.shards if stored[shard.name] is None]
        damaged = sum(files.exists(f"shards/{shard.name}.json") for shard in missing)
        if missing and prepare is not None:
            prepare(missing[0])
        total = max(plan.agent_steps, 1)
        finished = total - sum(shard.agent_steps for shard in missing)
        with progress_reporter(progress, "sweep") as report:
            if report is not None:
                report(finished / total)
            count = count_progress(report, total, finished=finished)
            computing, pace = executor or LocalExecutor(), getattr(report, "pace", Pace())
            pace.count_parts(0, len(missing), at_once=computing.at_once)
            for index, shard in enumerate(computing.run(missing, files, progress=count), 1):
                stored[shard.name] = shard
                pace.count_parts(index, len(missing), at_once=computing.at_once)
    except BaseException:
        if store is None:
            shutil.rmtree(place, ignore_errors=True)
        raise
    resumed = plan.runs - sum(shard.runs for shard in missing)
    failed = sum(shard.failed for shard in stored.values() if shard is not None)
    result = Sweep(files, resumed=resumed, damaged=damaged, failed=failed)
    if store is None:
        result.keep_only_while_used()
    return result


def with_first_point(specs: Specs, design: Design) -> Specs:
    """Return specs with the numbers of a design's first point, which must be allowed (SpecError).

    An agent that starts from human values, which are swept, must have all of its values swept, or
    none.
    """
    first = design.at(np.zeros(1, np.intp))
    keys = {full_key(key) for key in first}
    if specs.agent.initial.values is None:
        swept = [v for v in specs.scenario.values if f"agent.initial.values.{v}" in keys]
        for value in specs.scenario.values if swept else ():
            if value not in swept and f"scenario.human_values.{value}" in keys:
                raise SpecError(
                    f"agent.initial.values.{value}: follows scenario.human_values.{value}, which "
                    "is swept, while other values of the agent have numbers of their own; say "
                    "what this one starts from, too"
                )
    return apply_overrides(specs, {key: float(column[0]) for key, column in first.items()})


def _levels(values: object, key: str) -> list[Any]:
    if key == "seed":
        raise SpecError("axes.seed: seeds are given as seeds=, a number or a list")
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise SpecError(f"axes.{key}: got {values!r}: must be a list of what the key takes")
    if key == "scenario":
        values = [x if isinstance(x, Scenario) else Scenario.load(x) for x in values]
    levels = plain(list_levels(values, f"axes.{key}"))
    if not isinstance(levels, list) or not levels:
        raise SpecError(f"axes.{key}: has nothing in it")
    return levels


def _seeds(seeds: int | Iterable[int]) -> tuple[int, ...]:
    if isinstance(seeds, Iterable):
        return tuple(plain(list_levels(seeds, "seeds")))  # type: ignore[arg-type]
    check_whole("seeds", seeds, minimum=1)
    check_runs("seeds", seeds)
    return tuple(range(int(seeds)))
