"""What a command shows while it works and when it is done."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from rich.console import Console

from sim.dynamics.engines.engine import Engine
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.program import Program
from sim.sweeps.executors import Executor
from sim.sweeps.plan import Plan, Shard
from sim.sweeps.result import Sweep
from sim.sweeps.sweep import run_plan
from sim.utils import progress


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
    plan: Plan,
    store: str | None,
    name: str,
    *,
    executor: Executor | None = None,
    report_progress: Callable[[float], None] | None = None,
) -> Sweep:
    """Run a plan of a study, kept below `store` in a directory of its name and id; None: nowhere.

    Raises:
        SpecError: The directory holds another sweep.
    """
    return run_plan(
        plan,
        store=None if store is None else f"{store}/{name}-{plan.id}",
        executor=executor,
        progress=report_progress,
        prepare=prepare_shard,
    )


#: Shows a bar with the time left on stderr (`sim.utils.progress.progress_bar`).
progress_bar = partial(progress.progress_bar, console=err)
