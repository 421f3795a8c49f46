"""What the funnel costs: from trained agents to counts, retraining, and the whole command."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Column, Table

import sim
from experiments.worst_case.binding import binding
from experiments.worst_case.funnel import funnel, gaming_frame, stage_frame
from sim.specs.library import config_root, read_yaml
from sim.specs.oversight import Oversight
from sweeps import EXPERIMENTS, Cost, cost_of

AGENTS = 100_000
#: Agents that are retrained, for as long as configs/oversight/retrain.yaml says.
RETRAINED = 10_000


@dataclass(frozen=True)
class Funnels:
    """The figures.

    Attributes:
        counting: Seconds for audit, worst case, funnel and binding of `AGENTS` trained agents.
        retraining: Seconds for the audit of `RETRAINED` agents with up to three rounds of
            retraining.
        command: The command, with its defaults.
    """

    counting: float
    retraining: float
    command: Cost


def measure(folder: Path) -> Funnels:
    """Run everything: what is short, five times; the command once, and first, for its memory."""
    command = cost_of(folder, name="worst_case")
    result = trained(AGENTS)
    return Funnels(
        counting=median(counting(result) for _ in range(5)),
        retraining=retraining(),
        command=command,
    )


def trained(agents: int) -> sim.Result:
    """Return the population of experiments/worst_case/config.yaml, trained."""
    config: dict[str, Any] = read_yaml(EXPERIMENTS / "worst_case" / "config.yaml")
    return sim.simulate(
        "lab_to_deployment", agents=agents, agent=config["agent"], record_every=2000
    )


def counting(result: sim.Result) -> float:
    """Return the seconds, on the wall, from trained agents to all counts."""
    start = time.perf_counter()
    counts = funnel(result)
    stage_frame(counts.conditions)
    gaming_frame(counts.conditions, counts.gaming)
    binding(counts, oversight=Oversight())
    return time.perf_counter() - start


def retraining() -> float:
    """Return the seconds, on the wall, of a funnel in which almost everybody is retrained."""
    result = trained(RETRAINED)
    oversight = read_yaml(config_root() / "oversight" / "retrain.yaml")
    start = time.perf_counter()
    funnel(result, oversight=oversight)
    return time.perf_counter() - start


def funnels_table(figures: Funnels) -> Table:
    """Lay the figures out."""
    table = Table("what", Column("cost", justify="right"), title="Funnel", title_justify="left")
    text = f"audit, worst case, funnel and binding of {AGENTS:,} trained agents"
    table.add_row(text, f"{figures.counting:.2f} s")
    text = f"audit of {RETRAINED:,} agents with up to 3 rounds of retraining"
    table.add_row(text, f"{figures.retraining:.1f} s")
    cost = f"{figures.command.seconds:.0f} s, {figures.command.memory / 2**30:.2f} GiB"
    table.add_row("experiments/worst_case: the command", cost)
    return table
