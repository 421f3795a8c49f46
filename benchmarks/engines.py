"""How fast the engines are, against one Mesa object per agent and against bare arithmetic.

Speeds are agent-context-steps per second; every contender runs the same model, but two that do only
the exponentials and divisions of it (`arithmetic`). The contenders take
turns, so that a machine whose speed drifts slows all of them alike; ratios are medians of the
ratios of the rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median

import numpy as np
from rich.table import Column, Table

import arithmetic
import mesa_per_agent
import reference
from example import example
from sim.dynamics.compile import compile_program
from sim.dynamics.engines.engine import Engine
from sim.dynamics.engines.numba_engine import NumbaEngine
from sim.dynamics.engines.numpy_engine import NumpyEngine
from sim.dynamics.numerics import UFUNC_BUFFER
from sim.dynamics.program import Program
from sim.specs.agent import TRAITS, Agent
from sim.specs.overrides import read_specs
from sim.specs.scenario import Scenario
from sim.specs.training import Training

CONTEXTS, VALUES, RESPONSES = 12, 4, 2
AGENTS = 10_000
ROUNDS = 7
AGENT = Agent(spread={"initial": {"values": 0.5, "awareness": 1.0, "habit": 1.0}})

#: Does so much work and returns the agent-context-steps per second that it managed.
Contender = Callable[[], float]

NUMPY = "NumPy engine"
NUMBA = "Numba engine"
NUMBA_TWO = "Numba engine, 2 threads"
NUMBA_SINGLE = "Numba engine, float32"
MESA = "one Mesa object per agent"
ARITHMETIC = "exponentials and divisions of the equations alone"
ARITHMETIC_OF_KERNEL = "exponentials and divisions of the kernel alone"
REFERENCE = "reference simulator of the tests"


def program_of(
    *, agents: int = AGENTS, contexts: int = CONTEXTS, responses: int = RESPONSES, steps: int = 1
) -> Program:
    """Return the example of a given size as arrays."""
    scenario = Scenario.load(example(contexts, VALUES, responses))
    training = Training(steps=steps)
    specs = read_specs(scenario, agent=AGENT, training=training)
    return compile_program(
        specs.scenario, agent=specs.agent, training=training, agents=agents, seed=0
    )


def speed(
    work: Callable[[], object], agent_context_steps: int, *, clock: Callable[[], float]
) -> float:
    """Return how much is done in a second of a clock."""
    start = clock()
    work()
    return agent_context_steps / (clock() - start)


def engine_speed(engine: Engine, program: Program, steps: int, *, threads: int = 1) -> float:
    """Return the speed of an engine alone: neither compilation nor measuring is counted."""
    contexts = len(program.layout.contexts)
    cohort = engine.start(program)
    cohort.advance(0, 1)
    return speed(
        lambda: cohort.advance(0, steps),
        program.agents * steps * contexts,
        clock=time.process_time if threads == 1 else time.perf_counter,
    )


def arithmetic_speed(*, of_kernel: bool, steps: int) -> float:
    """Return the speed of exponentials and divisions alone, as in the equations or the kernel."""
    work = partial(
        arithmetic.bare_steps, of_kernel=of_kernel, contexts=CONTEXTS, agents=AGENTS, steps=steps
    )
    return speed(work, AGENTS * steps * CONTEXTS, clock=time.process_time)


def mesa_speed(agents: int, steps: int) -> float:
    """Return the speed of one Mesa object per agent."""
    work = partial(
        mesa_per_agent.run,
        Scenario.load(example(CONTEXTS, VALUES, RESPONSES)),
        agent=AGENT,
        training=Training(steps=steps),
        agents=agents,
        steps=steps,
        seed=0,
    )
    return speed(work, agents * steps * CONTEXTS, clock=time.process_time)


def reference_speed(steps: int) -> float:
    """Return the speed of plain Python, one agent, everything by definition."""
    scenario = example(CONTEXTS, VALUES, RESPONSES) | {"similarity": None, "curriculum": []}
    for context in scenario["contexts"].values():
        context |= {"kind": "training", "weight": 1.0, "twin": None}
    traits = {name: getattr(AGENT, name) for name in TRAITS}
    spec = Training(steps=steps).model_dump()
    training = spec | {"transfer": list(spec["transfer"].values())}
    state = {
        "values": [1.0] * VALUES,
        "propensity": [[0.0] * RESPONSES] * CONTEXTS,
        "habit": [-5.0] * CONTEXTS,
        "awareness": -4.0,
        "log_horizon": 1.0,
        "log_competence": 0.0,
        "capability": [-2.0] * 5,
    }
    work = partial(reference.simulate, scenario, traits, state, training)
    return speed(work, steps * CONTEXTS, clock=time.process_time)


def contenders() -> dict[str, Contender]:
    """Return who takes part."""
    program = program_of(steps=1000)
    single = NumbaEngine(threads=1)
    return {
        NUMPY: lambda: engine_speed(NumpyEngine(), program, 20),
        NUMBA: lambda: engine_speed(single, program, 150),
        NUMBA_TWO: lambda: engine_speed(NumbaEngine(threads=2), program, 300, threads=2),
        NUMBA_SINGLE: lambda: engine_speed(
            NumbaEngine(threads=1, precision="float32"), program, 150
        ),
        ARITHMETIC: lambda: arithmetic_speed(of_kernel=False, steps=150),
        ARITHMETIC_OF_KERNEL: lambda: arithmetic_speed(of_kernel=True, steps=150),
        MESA: lambda: mesa_speed(100, 10),
        REFERENCE: lambda: reference_speed(10),
    }


def race(
    field: Mapping[str, Contender], rounds: int, report_round: Callable[[], None]
) -> list[dict[str, float]]:
    """Let everyone run once to warm up, and then take turns."""
    for contender in field.values():
        contender()
    speeds = []
    for _ in range(rounds):
        speeds.append({name: contender() for name, contender in field.items()})
        report_round()
    return speeds


def ratio(rounds: list[dict[str, float]], name: str, to: str) -> float:
    """Return the median over rounds of how many times faster one is than another."""
    return median(r[name] / r[to] for r in rounds)


def two_threads(rounds: int) -> float:
    """Return how many times faster two threads are than one, both by the clock on the wall."""
    program = program_of(steps=1500)
    ratios = []
    for _ in range(rounds):
        single = engine_speed(NumbaEngine(threads=1), program, 1500, threads=2)
        two = engine_speed(NumbaEngine(threads=2), program, 1500, threads=2)
        ratios.append(two / single)
    return median(ratios)


def race_table(rounds: list[dict[str, float]]) -> Table:
    """Return speeds and ratios."""
    title = f"N = {AGENTS:,}, C = {CONTEXTS}, D = {VALUES}, K = {RESPONSES}, float64, one core"
    table = Table(
        "contender",
        Column("agent-context-steps per second", justify="right"),
        Column("times Mesa", justify="right"),
        Column("times the arithmetic of the equations alone", justify="right"),
        Column("of the kernel", justify="right"),
        title=title,
        title_justify="left",
    )
    for name in rounds[0]:
        table.add_row(
            name,
            f"{median(r[name] for r in rounds):,.0f}",
            f"{ratio(rounds, name, MESA):,.1f}",
            *(f"{ratio(rounds, name, x):.2g}" for x in (ARITHMETIC, ARITHMETIC_OF_KERNEL)),
        )
    return table


def scaling_table() -> Table:
    """Return how the cost of an agent-context-step depends on the size of what is run."""
    table = Table(
        "what",
        Column("NumPy, ns", justify="right"),
        Column("Numba, ns", justify="right"),
        title="Nanoseconds for an agent-context-step, one core",
        title_justify="left",
    )
    sizes: list[tuple[str, dict[str, int], int]] = [
        *((f"N = {n:,}", {"agents": n}, max(1, 200_000 // max(n, 100))) for n in
          (1, 4, 16, 100, 1_000, 10_000, 100_000)),
        *((f"C = {c}", {"contexts": c}, max(2, 240 // c)) for c in (1, 4, 12, 48)),
        *((f"K = {k}", {"responses": k}, 20) for k in (2, 3, 5)),
        *((f"T = {t:,}", {"agents": 1_000}, t) for t in (10, 100, 1_000)),
    ]  # fmt: skip
    for text, size, steps in sizes:
        program = program_of(steps=10_000, **size)
        costs = []
        for engine, factor in ((NumpyEngine(), 1), (NumbaEngine(threads=1), 5)):
            speeds = [engine_speed(engine, program, steps * factor) for _ in range(3)]
            costs.append(f"{1e9 / median(speeds):,.1f}")
        table.add_row(text, *costs)
    return table


def choices_table() -> Table:
    """Return what was measured for two numbers in the code of the engines."""
    table = Table(
        "choice", Column("measured", justify="right"), title="Choices", title_justify="left"
    )
    program = program_of(steps=100)
    for block in (256, 1024, 2048, 4096):
        speeds = [engine_speed(NumpyEngine(block=block), program, 10) for _ in range(3)]
        table.add_row(f"NumPy, agents in a block: {block}", f"{median(speeds) / 1e6:.1f} million/s")
    for width in (8, 16, 32):
        engine = NumbaEngine(threads=1, width=width)
        speeds = [engine_speed(engine, program, 50) for _ in range(3)]
        table.add_row(f"Numba, agents in a block: {width}", f"{median(speeds) / 1e6:.1f} million/s")
    for buffer in (UFUNC_BUFFER, 8192):
        cost = median(broadcasting(buffer) for _ in range(5))
        table.add_row(f"NumPy, ufunc buffer of {buffer}: C × n times n", f"{cost:.1f} µs")
    return table


def broadcasting(buffer: int) -> float:
    """Return the microseconds that one product of [C, n] with [n] takes with a ufunc buffer."""
    agents, repeats = 1024, 2000
    table, row = np.ones((CONTEXTS, agents)), np.ones(agents)
    result = np.empty_like(table)
    with np.errstate():
        np.setbufsize(buffer)
        start = time.process_time()
        for _ in range(repeats):
            np.multiply(row, table, out=result)
        return 1e6 * (time.process_time() - start) / repeats
