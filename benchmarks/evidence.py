"""What the study of evidence costs: drawing agents, and 100,000 of them through the command."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from rich.table import Column, Table

from sim.specs.prior import Prior
from sim.specs.scenario import Scenario
from sim.sweeps.prior_sample import PriorSample
from sweeps import Cost, cost_of

AGENTS, PRIOR = 100_000, "capable"


@dataclass(frozen=True)
class Evidence:
    """The figures.

    Attributes:
        draw: Seconds to draw `AGENTS` agents from a prior whose numbers go together.
        once: The command, which trains each agent once.
        cut: The command, which trains each agent twice more, to tell evidence from cause.
    """

    draw: float
    once: Cost
    cut: Cost


def measure(folder: Path) -> Evidence:
    """Run the commands once, nothing being kept from before; draw five times."""
    arguments = (f"priors=[{PRIOR}]", f"agents={AGENTS}", "store=null")
    once = cost_of(folder, *arguments, "cut=false", name="evidence")
    cut = cost_of(folder, *arguments, name="evidence")
    return Evidence(draw=median(drawing() for _ in range(5)), once=once, cut=cut)


def drawing() -> float:
    """Return the seconds, on the wall, to draw `AGENTS` agents."""
    draws = PriorSample(
        Prior.load(PRIOR), points=AGENTS, scenario=Scenario.load("lab_to_deployment")
    )
    start = time.perf_counter()
    draws.at(np.arange(AGENTS))
    return time.perf_counter() - start


def evidence_costs(figures: Evidence) -> Table:
    """Lay the figures out."""
    table = Table("what", Column("cost", justify="right"), title="Evidence", title_justify="left")
    table.add_row(f"drawing {AGENTS:,} agents from {PRIOR}", f"{figures.draw:.2f} s")
    text = f"the command, {AGENTS:,} agents of one prior"
    for case, cost in (("trained once", figures.once), ("and twice more, cut", figures.cut)):
        table.add_row(f"{text}, {case}", f"{cost.seconds:.0f} s, {cost.memory / 2**30:.2f} GiB")
    return table
