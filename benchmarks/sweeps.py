"""What sweeps cost, from the command line: time on the wall, peak memory, files.

Every figure is of commands that a user types, in processes of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.table import Column, Table

import sim
from sim.analysis.curves import most_gamed, quantile_curves

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
#: A map of 25 × 40 points with 32 seeds, one agent in each run.
MAP = (
    "-m",
    "agents=1",
    "agent.initial.awareness=range(-6,0.25,0.25)",
    "training.leak=range(0,1,0.025)",
    "seed=range(32)",
    "training.steps=4000",
)
#: A million runs of 100 steps.
MILLION = (
    "-m",
    "agents=1",
    "agent.initial.awareness=range(-6,0.25,0.0625)",
    "training.leak=range(0,1,0.01)",
    "seed=range(100)",
    "training.steps=100",
    "record=summary",
)
#: Runs that are short, to see what a job costs beside them.
JOBS = ("-m", "agents=1", "training.steps=10", "seed=range(12)", "hydra/sweeper=basic")


@dataclass(frozen=True)
class Cost:
    """The cost of a command.

    Attributes:
        seconds: On the wall.
        memory: Peak, in bytes.
    """

    seconds: float
    memory: int


def cost_of(folder: Path, *arguments: str, name: str = "emergence") -> Cost:
    """Run an application in a folder and return what it cost.

    Raises:
        RuntimeError: It failed.
    """
    folder_of_study = EXPERIMENTS / name
    application = folder_of_study if folder_of_study.is_dir() else f"{folder_of_study}.py"
    command = [sys.executable, str(application), *arguments]
    start = time.perf_counter()
    log = folder / "log.txt"
    with log.open("w") as sink:
        process = subprocess.Popen(command, cwd=folder, stdout=sink, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError(f"{' '.join(command)}:\n{log.read_text()}")
    kibibytes = usage.ru_maxrss // (1024 if sys.platform == "darwin" else 1)
    return Cost(seconds, kibibytes * 1024)


def size_of(folder: Path) -> tuple[int, int]:
    """Return how many files there are in a folder, and their bytes."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return len(files), sum(path.stat().st_size for path in files)


@dataclass(frozen=True)
class Sweeps:
    """The figures."""

    map: Cost
    map_files: tuple[int, int]
    resume: Cost
    curves: float
    million: Cost
    million_files: tuple[int, int]
    job: float
    job_files: tuple[float, float]


def measure(folder: Path) -> Sweeps:
    """Run everything once; what is short, three times."""
    folder = folder.resolve()
    mapped = cost_of(folder, *MAP)
    (stored,) = (folder / "outputs" / "emergence-sweep").iterdir()
    map_files = size_of(stored)
    resumed = sorted((cost_of(folder, *MAP) for _ in range(3)), key=lambda cost: cost.seconds)[1]
    sweep = sim.Sweep.load(stored)
    queries = []
    for _ in range(3):
        start = time.perf_counter()
        quantile_curves(sweep, most_gamed(sweep, 1), by=["agent.initial.awareness"])
        queries.append(time.perf_counter() - start)
    aside = folder / "million"
    aside.mkdir()
    million = cost_of(aside, *MILLION)
    million_files = size_of(aside / "outputs")
    jobs = folder / "jobs"
    jobs.mkdir()
    first = cost_of(jobs, *JOBS, "seed=0,1")
    before = size_of(jobs / "outputs")
    many = cost_of(jobs, *JOBS)
    after = size_of(jobs / "outputs")
    return Sweeps(
        map=mapped,
        map_files=map_files,
        resume=resumed,
        curves=median(queries),
        million=million,
        million_files=million_files,
        job=(many.seconds - first.seconds) / 10,
        job_files=((after[0] - 2 * before[0]) / 10, (after[1] - 2 * before[1]) / 10),
    )


def sweeps_table(figures: Sweeps) -> Table:
    """Return the figures as a table."""
    table = Table(
        "what",
        Column("measured", justify="right"),
        title="Sweeps from the command line, on all processors",
        title_justify="left",
    )
    per_run = figures.map.seconds / 32_000
    table.add_row("32,000 runs × 4,000 steps, with curves", _cost_text(figures.map))
    table.add_row("  files", _files(figures.map_files))
    table.add_row("  the same command again", _cost_text(figures.resume))
    table.add_row("  quantile curves over all of it", f"{figures.curves:.2f} s")
    table.add_row("1,000,000 runs × 100 steps, record=summary", _cost_text(figures.million))
    table.add_row("  files", _files(figures.million_files))
    table.add_row(
        "one Hydra job per run: a job of 10 steps, its figure too", f"{1e3 * figures.job:.0f} ms"
    )
    table.add_row("  files", f"{figures.job_files[0]:.0f}, {figures.job_files[1] / 1e3:.0f} kB")
    table.add_row("  times the cost of a run of the map", f"{figures.job / per_run:,.0f}")
    return table


def _cost_text(cost: Cost) -> str:
    return f"{cost.seconds:.1f} s, {cost.memory / 2**30:.2f} GiB"


def _files(size: tuple[int, int]) -> str:
    return f"{size[0]:,}, {size[1] / 1e6:,.0f} MB"
