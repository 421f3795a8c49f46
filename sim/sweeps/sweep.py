"""Sweep: many runs, planned, computed where they are missing, and read as a table."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sim.dynamics.columns import NoColumnError
from sim.dynamics.compile import compile_program
from sim.specs.agent import Agent
from sim.specs.base import plain
from sim.specs.errors import SpecError, check_whole
from sim.specs.intervention import Interventions
from sim.specs.overrides import Specs, apply_overrides, full_key, read_specs
from sim.specs.scenario import Scenario
from sim.specs.training import Training
from sim.sweeps.design import Design, Grid, Product, is_number, read_numbers
from sim.sweeps.executors import Executor, LocalExecutor
from sim.sweeps.plan import Part, Plan, Shard, make_plan, of_one_agent
from sim.sweeps.result import Sweep
from sim.sweeps.store import Store

#: Keys of a run that are no part of its specs, and can be an axis all the same.
RUN_AXES = ("scenario", "agents", "record_every")

#: Called with the share of the work that is done, from 0 to 1.
Progress = Callable[[float], None]


def sweep(
    scenario: Scenario | str | Mapping[str, object],
    *,
    axes: Mapping[str, Iterable[object]] | None = None,
    design: Design | None = None,
    seeds: int | Iterable[int] = 1,
    agent: Agent | Mapping[str, object] | None = None,
    training: Training | Mapping[str, object] | None = None,
    interventions: Interventions | None = None,
    agents: int = 1,
    record_every: int = 10,
    record: str = "summary",
    engine: str = "auto",
    precision: str = "float64",
    store: str | Path | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Sweep:
    """Run every combination of axes, design and seeds, as few array programs.

    Numbers of the agent, its initial state, training and contexts become columns of one program;
    anything else (a scenario, an update rule, how many steps) makes a program of its own. A run is
    the one that `simulate` gives for the same settings and seed.

    Args:
        scenario: As for `simulate`; so are agent, training, record_every, engine and precision.
        axes: By dotted key (`agent.awareness`, `training.leak`, `scenario`, ...), what it takes.
        design: Points in the space of numeric keys: `Grid`, `Zip`, `LatinHypercube`, `Sobol`, or a
            `Product` of these. Every point goes with every combination of the axes.
        seeds: How many replicates of each (seeds 0, 1, ...), or their seeds. Runs with the same
            seed share their random draws.
        agent: What is particular about the agents.
        training: How they are trained.
        interventions: What is done to every run; an axis such as `interventions.0.set` moves it.
        agents: How many agents each run has.
        record_every: Steps from one record to the next.
        record: `summary`: a row for each run; `curves`: also what emergence curves need; `full`:
            also every variable of every agent at every record.
        engine: What computes it.
        precision: Of its arithmetic.
        store: Where results are kept: a directory, or a URL of fsspec. What is there already is not
            computed again. None: in a temporary directory, as long as the table lives.
        executor: Who computes; threads of this process if None.
        progress: Told the share that is done.

    Returns:
        The table of all runs.

    Raises:
        SpecError: The input cannot be used; one line says why.
    """
    said = _Said(scenario, agent, training, interventions)
    chosen, columns = _sort_axes(said, axes or {})
    points: Design = Grid(columns)  # type: ignore[arg-type]  # sorted out to be numbers
    if design is not None:
        points = Product(points, design)
    parts, replicates = [], _seeds(seeds)
    for choice in _combinations(chosen):
        specs, run_keys = _specs(said, choice)
        told = {**choice, "scenario": specs.scenario.name} if "scenario" in choice else choice
        parts.append(
            Part(
                specs=with_first_point(specs, points),
                design=points,
                seeds=replicates,
                agents=run_keys.get("agents", plain(agents)),
                record_every=run_keys.get("record_every", plain(record_every)),
                chosen=told,
            )
        )
    plan = make_plan(parts, record=record, engine=engine, precision=precision)
    return run_plan(plan, store=store, executor=executor, progress=progress)


def run_plan(
    plan: Plan,
    *,
    store: str | Path | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
    asked_for: Mapping[str, Any] | None = None,
    prepare: Callable[[Shard], None] | None = None,
) -> Sweep:
    """Do what is missing of a plan; arguments as `sweep`.

    `asked_for` goes into the store as a note; `prepare` is called with the first shard that is
    missing, if any is, before one is computed.

    Raises:
        SpecError: The store holds something else.
    """
    if store is None:
        place = tempfile.mkdtemp(prefix="sweep-")
        try:
            found = run_plan(
                plan,
                store=place,
                executor=executor,
                progress=progress,
                asked_for=asked_for,
                prepare=prepare,
            )
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        found.keep_only_while_used()
        return found
    kept = Store(store)
    kept.open(plan, asked_for=asked_for or {})
    done = {shard.name: kept.done(shard) for shard in plan.shards}
    missing = [shard for shard in plan.shards if done[shard.name] is None]
    damaged = sum(kept.is_listed(shard.name) for shard in missing)
    resumed = plan.runs - sum(shard.runs for shard in missing)
    if missing and prepare is not None:
        prepare(missing[0])
    told = _share_of(plan, missing, progress)
    for one in (executor or LocalExecutor()).run(missing, kept, told=told):
        done[one.name] = one
    failed = sum(one.failed for one in done.values() if one is not None)
    return Sweep(kept, resumed=resumed, damaged=damaged, failed=failed)


def with_first_point(specs: Specs, design: Design) -> Specs:
    """Return specs that have the keys of a design, with the numbers of its first point.

    Raises:
        SpecError: A key does not exist, or its number is not allowed; or an agent that starts from
            human values, which are swept, has only some of its values swept as well.
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


def is_vectorisable(specs: Specs, key: str, value: float) -> bool:
    """Say whether runs of one program can differ in this number.

    Raises:
        SpecError: There is no such key, or the number is not allowed.
    """
    changed = of_one_agent(apply_overrides(specs, {key: value}))
    try:
        compile_program(
            changed.scenario,
            agent=changed.agent,
            training=changed.training,
            agents=1,
            seed=0,
            columns={full_key(key): [value]},
        )
    except NoColumnError:
        return False
    return True


class _Said(NamedTuple):
    """What a user says that all runs share, but for the axes."""

    scenario: Scenario | str | Mapping[str, object]
    agent: Agent | Mapping[str, object] | None
    training: Training | Mapping[str, object] | None
    interventions: Interventions | None


def _sort_axes(
    said: _Said, axes: Mapping[str, Iterable[object]]
) -> tuple[dict[str, list[object]], dict[str, list[object]]]:
    """Sort axes into choices, each of which makes a part, and columns."""
    join_words = {key: _listed(values, key) for key, values in axes.items()}
    if "seed" in join_words:
        raise SpecError("axes.seed: seeds are given as seeds=, a number or a list")
    numeric = [k for k, v in join_words.items() if k not in RUN_AXES and all(map(is_number, v))]
    for key in numeric:
        read_numbers(join_words[key], key)
    first: dict[str, Any] = {key: join_words[key][0] for key in numeric}
    worlds = {k: v for k, v in join_words.items() if k.startswith("scenario") and k not in numeric}
    found = [_specs(said, choice)[0] for choice in _combinations(worlds)]
    starts = [apply_overrides(specs, first) for specs in found]
    columns = {
        key: join_words[key]
        for key in numeric
        if all(is_vectorisable(specs, key, first[key]) for specs in starts)
    }
    return {key: values for key, values in join_words.items() if key not in columns}, columns


def _listed(values: object, key: str) -> list[object]:
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise SpecError(f"axes.{key}: got {values!r}: must be a list of what the key takes")
    join_words = plain(list(values))
    if not isinstance(join_words, list) or not join_words:
        raise SpecError(f"axes.{key}: has nothing in it")
    return join_words


def _combinations(chosen: Mapping[str, Sequence[object]]) -> Iterable[dict[str, object]]:
    for values in itertools.product(*chosen.values()):
        yield dict(zip(chosen, values, strict=True))


def _specs(said: _Said, choice: Mapping[str, object]) -> tuple[Specs, dict[str, Any]]:
    run_keys: dict[str, Any] = {key: choice[key] for key in RUN_AXES if key in choice}
    said = said._replace(scenario=run_keys.pop("scenario", said.scenario))
    settings = {key: value for key, value in choice.items() if key not in RUN_AXES}
    specs = read_specs(
        said.scenario, agent=said.agent, training=said.training, interventions=said.interventions
    )
    return apply_overrides(specs, settings), run_keys


def _seeds(seeds: int | Iterable[int]) -> tuple[int, ...]:
    if isinstance(seeds, Iterable):
        return tuple(plain(list(seeds)))  # type: ignore[arg-type]
    check_whole("seeds", seeds, minimum=1)
    return tuple(range(int(seeds)))


def _share_of(
    plan: Plan, missing: Sequence[Any], progress: Progress | None
) -> Callable[[int], None]:
    lock = threading.Lock()  # executors tell from several threads
    whole = max(plan.agent_steps, 1)
    done = whole - sum(shard.agent_steps for shard in missing)
    if progress is not None:
        progress(done / whole)

    def told(agent_steps: int) -> None:
        nonlocal done
        with lock:
            done += agent_steps
        if progress is not None:
            progress(min(done / whole, 1.0))

    return told
