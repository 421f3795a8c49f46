"""How fast the engine is, against a plain reference and against one Mesa object per agent.

    make bench

Speeds are agent-context-steps per second on one core; every contender runs the same model (C = 12
contexts, D = 4 values, K = 2 responses). The contenders take turns, so that a machine whose speed
drifts slows all of them alike; ratios are medians over the rounds.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import time
from collections.abc import Callable
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Column, Table

import mesa_per_agent
import reference
from example import example
from sim.dynamics.engines.numpy_engine import UFUNC_BUFFER, NumpyEngine
from sim.run import prepare
from sim.spec.agent import TRAITS, Agent
from sim.spec.scenario import Scenario
from sim.spec.training import Training

CONTEXTS, VALUES, RESPONSES = 12, 4, 2
ROUNDS = 5
BLOCKS = (128, 256, 512, 1024, 2048, 4096)

#: A contender runs so many agents for so many steps and returns the seconds it took.
Contender = Callable[[int, int], float]


SCENARIO = Scenario.load(example(CONTEXTS, VALUES, RESPONSES))
AGENT = Agent(spread={"initial": {"values": 0.5, "awareness": 1.0, "habit": 1.0}})


def numpy_engine(agents: int, steps: int, *, block: int | None = None) -> float:
    """The array engine, alone: neither compilation nor measuring is counted."""
    training = Training(steps=steps)
    program = prepare(SCENARIO, agent=AGENT, training=training, agents=agents).program
    engine = NumpyEngine() if block is None else NumpyEngine(block)
    return clocked(lambda: engine.trajectory(program, [0, steps]))


def mesa_objects(agents: int, steps: int) -> float:
    """One Mesa object per agent, running the same model."""
    training = Training(steps=steps)
    return clocked(
        lambda: mesa_per_agent.run(
            SCENARIO, agent=AGENT, training=training, agents=agents, steps=steps, seed=0
        )
    )


def reference_simulator(agents: int, steps: int) -> float:
    """The reference of the tests: plain Python, one agent at a time, everything by definition."""
    scenario = example(CONTEXTS, VALUES, RESPONSES) | {"similarity": None, "curriculum": []}
    for context in scenario["contexts"].values():
        context |= {"kind": "training", "weight": 1.0, "twin": None}
    traits = {name: getattr(AGENT, name) for name in TRAITS}
    spec = Training(steps=steps).model_dump()
    training = spec | {"transfer": list(spec["transfer"].values())}
    state = {
        "values": [1.0] * VALUES,
        "habit": [-5.0] * CONTEXTS,
        "awareness": -4.0,
        "log_horizon": 1.0,
        "log_competence": 0.0,
        "capability": [-2.0] * 5,
    }
    return clocked(
        lambda: [reference.simulate(scenario, traits, state, training) for _ in range(agents)]
    )


def clocked(work: Callable[[], object]) -> float:
    """Return the processor seconds that some work took."""
    start = time.process_time()
    work()
    return time.process_time() - start


def rate(contender: Contender, agents: int, steps: int) -> float:
    """Return agent-context-steps per second."""
    return agents * steps * CONTEXTS / contender(agents, steps)


def broadcasting(buffer: int) -> float:
    """Return the microseconds that one product of [C, n] with [n] takes with a ufunc buffer."""
    agents, repeats = 1024, 2000
    table, row = np.ones((CONTEXTS, agents)), np.ones(agents)
    result = np.empty_like(table)
    with np.errstate():
        np.setbufsize(buffer)
        seconds = clocked(lambda: [np.multiply(row, table, out=result) for _ in range(repeats)])
    return 1e6 * seconds / repeats


def main() -> None:
    """Run the rounds and print the tables."""
    console = Console()
    numpy_engine(1000, 5)
    rounds = []
    for number in range(ROUNDS):
        console.print(f"round {number + 1} of {ROUNDS}", end="\r")
        rounds.append(
            {
                "NumPy engine, 10,000 agents": rate(numpy_engine, 10_000, 20),
                "one Mesa object per agent, 100 agents": rate(mesa_objects, 100, 10),
                "reference simulator, 1 agent": rate(reference_simulator, 1, 10),
            }
        )
    table = Table(
        "contender",
        Column("agent-context-steps per second", justify="right"),
        Column("the engine is so many times faster", justify="right"),
        title=f"One core, float64, C = {CONTEXTS}, D = {VALUES}, K = {RESPONSES}",
        title_justify="left",
    )
    names = list(rounds[0])
    for name in names:
        ratios = [r[names[0]] / r[name] for r in rounds]
        table.add_row(name, f"{median(r[name] for r in rounds):,.0f}", f"{median(ratios):,.1f}")
    console.print(table)
    blocks = Table("agents in a block", Column("agent-context-steps per second", justify="right"))
    for block in BLOCKS:
        speeds = [
            rate(lambda n, t, block=block: numpy_engine(n, t, block=block), 10_000, 20)
            for _ in range(ROUNDS)
        ]
        blocks.add_row(str(block), f"{median(speeds):,.0f}")
    console.print(blocks)
    buffers = Table("ufunc buffer", Column("µs for a product C × n by n", justify="right"))
    for buffer in (UFUNC_BUFFER, 8192):
        buffers.add_row(str(buffer), f"{median(broadcasting(buffer) for _ in range(ROUNDS)):.1f}")
    console.print(buffers)


if __name__ == "__main__":
    main()
