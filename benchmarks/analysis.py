"""What stability and phase diagrams cost."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from rich.table import Column, Table

from example import example
from sim.specs.overrides import read_specs
from sim.stability.equilibria import draw_starts
from sim.stability.training_map import TrainingMap
from sweeps import Cost, cost_of

JACOBIANS = 1_000
VALUES, CONTEXTS = 4, 12


@dataclass(frozen=True)
class Analyses:
    """The figures.

    Attributes:
        jacobians: Seconds of one core for a thousand Jacobians with their eigenvalues.
        diagram: Of a refined phase diagram of 100 x 100 points with 8 seeds, cold.
        bifurcation: Of a bifurcation diagram.
    """

    jacobians: float
    diagram: Cost
    bifurcation: Cost


def measure(folder: Path) -> Analyses:
    """Run everything: what is short, seven times; commands once."""
    return Analyses(
        jacobians=median(jacobians() for _ in range(7)),
        diagram=cost_of(folder, name="phase_diagram"),
        bifurcation=cost_of(folder, name="bifurcation"),
    )


def jacobians() -> float:
    """Return the seconds of one core that a thousand Jacobians and their eigenvalues take."""
    specs = read_specs(example(CONTEXTS, VALUES, 2), training={"anchor": 0.01})
    training_map = TrainingMap.from_specs(specs)
    points = draw_starts(training_map, count=JACOBIANS)
    start = time.process_time()
    np.linalg.eigvals(training_map.jacobian(points))
    return time.process_time() - start


def analyses_table(figures: Analyses) -> Table:
    """Lay the figures out."""
    table = Table("what", Column("cost", justify="right"), title="Stability", title_justify="left")
    size = f"D = {VALUES}, C = {CONTEXTS}"
    table.add_row(f"{JACOBIANS:,} Jacobians with eigenvalues, {size}", f"{figures.jacobians:.2f} s")
    for text, cost in (
        ("phase diagram, 100 x 100 points, 8 seeds, refined: the command", figures.diagram),
        ("bifurcation diagram: the command", figures.bifurcation),
    ):
        table.add_row(text, f"{cost.seconds:.1f} s, {cost.memory / 2**30:.2f} GiB")
    return table
