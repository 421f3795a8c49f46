"""What deployments of copies cost."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from rich.table import Column, Table

from sim.abm.batch import deploy
from sim.abm.deployment_model import DeploymentWorld
from sim.abm.profiles import Profile
from sim.specs.agent import CAPABILITIES
from sim.specs.scenario import Scenario
from sim.utils.parallel import usable_processors
from sweeps import Cost, cost_of

REPLICATES, COPIES, TICKS = 1_000, 100, 200
SCENARIO = Scenario.load("lab_to_deployment")
STEPS = ("capability_evaluations", "red_teaming", "reasoning_monitor", "control")
UNWATCHED = {
    "inspection": {"encounters": 0},
    **{name: {"strength": 0, "encounters": 0} for name in STEPS},
}
#: Copies that get ready, and are never a quorum: deployments that last.
DULL = Profile(
    agent=0,
    attempts=True,
    capabilities={**dict.fromkeys(CAPABILITIES, 1.0), "coordination": 0.2},
    slip=dict.fromkeys(SCENARIO.contexts, 0.0),
    tempting=("access_deployed", "coding_deployed", "unwatched_cluster"),
)


@dataclass(frozen=True)
class Deployments:
    """The figures.

    Attributes:
        many: Seconds on the wall for a thousand deployments that last, on all processors.
        ticks: Agent-ticks per second of one core, in one deployment.
        command: Of the command with its defaults, figure and all.
    """

    many: float
    ticks: float
    command: Cost


def measure(folder: Path) -> Deployments:
    """Run everything: one deployment seven times, the others once."""
    return Deployments(
        many=thousand(),
        ticks=median(agent_ticks() for _ in range(7)),
        command=cost_of(folder, name="deploy"),
    )


def thousand() -> float:
    """Return the seconds that a thousand deployments of 100 copies for 200 ticks take."""
    start = time.perf_counter()
    came = deploy(
        DULL,
        scenario=SCENARIO,
        oversight=UNWATCHED,
        deployment={"copies": COPIES, "ticks": TICKS},
        replicates=REPLICATES,
    )
    seconds = time.perf_counter() - start
    assert np.all(came.tick == TICKS)
    return seconds


def agent_ticks() -> float:
    """Return how many agent-ticks a second of one core does."""
    world = DeploymentWorld(
        DULL,
        scenario=SCENARIO,
        oversight=UNWATCHED,
        deployment={"copies": COPIES, "ticks": TICKS},
        rng=0,
        collect_every=TICKS,
    )
    start = time.process_time()
    world.run_model()
    return COPIES * TICKS / (time.process_time() - start)


def deployments_table(figures: Deployments) -> Table:
    """Lay the figures out."""
    table = Table(
        "what", Column("cost", justify="right"), title="Deployments", title_justify="left"
    )
    size = f"{COPIES} copies, {TICKS} ticks"
    text = f"{REPLICATES:,} deployments of {size}, on {usable_processors()} processors"
    table.add_row(text, f"{figures.many:.1f} s")
    table.add_row("copies as Mesa agents, one core", f"{figures.ticks / 1e6:.2f} million ticks/s")
    command = figures.command
    table.add_row("the command", f"{command.seconds:.1f} s, {command.memory / 2**30:.2f} GiB")
    return table
