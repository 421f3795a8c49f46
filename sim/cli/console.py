"""What a command shows while it works and when it is done."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from rich.console import Console
from rich.text import Text

from sim.dynamics.engines.engine import Engine
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.program import Program
from sim.sweeps.plan import Shard
from sim.utils import progress
from sim.utils.format import printable


class _PicklableConsole(Console):
    """A console that is known by its name in this module, and takes text as text.

    Launchers that run jobs in other processes pickle what a task uses; there, it is their own.
    """

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)
        self._name = name

    def render_str(self, text: str, **options: Any) -> Text:
        """Render text, such as a title or a cell, with its control characters escaped."""
        return super().render_str(printable(text), **options)

    def __reduce__(self) -> str:
        return self._name


out = _PicklableConsole("out")
err = _PicklableConsole("err", stderr=True)


def show_heading() -> None:
    """Say, in a sweep that Hydra runs job by job, which job is running, and with what settings."""
    running = HydraConfig.get()
    if running.mode is RunMode.MULTIRUN:
        settings = " ".join(running.overrides.task)
        out.rule(f"{running.job.num}: {settings}", align="left")


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


#: Shows a bar with the time left on stderr (`sim.utils.progress.progress_bar`).
progress_bar = partial(progress.progress_bar, console=err)
