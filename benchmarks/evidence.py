"""What it costs to draw agents from a prior and train them."""

from __future__ import annotations

import time

import numpy as np

from sim.spec.prior import Prior
from sim.spec.scenario import Scenario
from sim.sweeps.draws import Draws
from sim.sweeps.sweep import sweep

AGENTS = 100_000


def evidence(agents: int = AGENTS, prior: str = "capable") -> dict[str, float]:
    """Return seconds: `draw`, to draw agents, and `train`, to draw and train them."""
    scenario = Scenario.load("lab_to_deployment")
    draws = Draws(Prior.load(prior), points=agents, scenario=scenario)
    start = time.perf_counter()
    draws.at(np.arange(agents))
    drawn = time.perf_counter()
    sweep(scenario, design=draws, record_every=50)
    return {"draw": drawn - start, "train": time.perf_counter() - drawn}


if __name__ == "__main__":
    print(evidence())
