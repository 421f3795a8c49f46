"""What a command shows while it works and when it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from sim.dynamics.engines.engine import Engine
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.program import Program
from sim.sweeps.executors import Executor
from sim.sweeps.plan import Plan, Shard
from sim.sweeps.result import Sweep
from sim.sweeps.sweep import run_plan
from sim.utils.progress import parts_of
from sim.utils.progress import progress_bar as bar_of


class _Named(Console):
    """A console that is known by its name in this module.

    Launchers that run jobs in other processes pickle what a task uses; there, it is their own.
    """

    def __init__(self, name: str, **how: Any) -> None:
        super().__init__(**how)
        self._is = name

    def __reduce__(self) -> str:
        return self._is


out = _Named("out")
err = _Named("err", stderr=True)


def prepare_engine(engine: Engine, program: Program) -> None:
    """Have an engine do a step of two agents, so that what it must compile once is compiled.

    The Numba engine compiles when it first meets a kind of program on a machine, which takes some
    seconds, and a progress bar that stands still for so long looks broken.
    """
    if program.agents > 1:
        program = program.take(np.arange(2))
    with err.status(f"preparing the {engine.name} engine (it may compile, once)"):
        engine.start(program).advance(0, 1)


def prepare_shard(shard: Shard) -> None:
    """Prepare the engine of a sweep's shard, as `sim.sweeps.sweep.run_plan` asks for it."""
    engine = get_engine(shard.engine, precision=shard.precision, threads=1)
    prepare_engine(engine, shard.program())


def run_stored(
    plans: Mapping[str, Plan],
    store: str | None,
    *,
    prefix: str = "",
    executor: Executor | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Sweep]:
    """Run the plans of a study, each kept below `store` by its name and id; None: kept nowhere.

    Args:
        plans: By name.
        store: A directory for all of them.
        prefix: Of the names of their directories.
        executor: Computes the sweeps.
        progress: Called with the share that is done.
    """
    reports = parts_of(progress, [plan.agent_steps for plan in plans.values()])
    return {
        name: run_plan(
            plan,
            store=None if store is None else f"{store}/{prefix}{name}-{plan.id}",
            executor=executor,
            progress=report,
            prepare=prepare_shard,
        )
        for (name, plan), report in zip(plans.items(), reports, strict=True)
    }


def runs_table(plans: Mapping[str, Plan], sweeps: Mapping[str, Sweep]) -> pd.DataFrame:
    """Return how many runs each part of a study has, was found to have, and could not finish."""
    rows = [(name, plans[name].runs, s.resumed, s.failed) for name, s in sweeps.items()]
    return pd.DataFrame(rows, columns=["part", "runs", "resumed", "failed"])


#: Shows a bar with the time left on stderr (`sim.utils.progress.progress_bar`).
progress_bar = partial(bar_of, console=err)
