"""Simulate: specs in, labelled result out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.dynamics.compile import Program, compile_program
from sim.dynamics.engines.engine import Engine
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.loop import course
from sim.dynamics.observe import Recorder
from sim.dynamics.state import AgentState, Array, Layout
from sim.dynamics.variables import VARIABLES, dimension_sizes
from sim.result import Result, describe_run, label
from sim.specs.agent import Agent
from sim.specs.errors import SpecError, check_whole
from sim.specs.intervention import Interventions
from sim.specs.overrides import Specs, read_specs
from sim.specs.scenario import Scenario
from sim.specs.training import Training

#: A record above this size is refused before anything is computed.
MOST_BYTES = 8 * 2**30

#: Parameters beyond these have diverged: measures need their squares or, of logarithms, their exp.
LARGEST = 1e100
LARGEST_LOGARITHM = 300.0

#: The seed is the generator's key (64 bits), an agent's number one word of its counter (32 bits).
MOST_SEED = 2**64 - 1
MOST_AGENTS = 2**32

#: Called with the share of the run that is done, from 0 to 1.
Progress = Callable[[float], None]


class DivergenceError(RuntimeError):
    """Parameters grew out of all bounds: a learning rate is too high for this scenario."""


@dataclass(frozen=True)
class Run:
    """A run that has been checked and compiled, and not yet computed.

    Attributes:
        program: The run as arrays.
        engine: What will compute it.
        steps: The steps that will be recorded.
        specs: What was asked for, as plain data, for the provenance.
    """

    program: Program
    engine: Engine
    steps: list[int]
    specs: dict[str, Any]

    @property
    def name(self) -> str:
        """The scenario's name."""
        return str(self.specs["scenario"]["name"])

    def execute(self, *, progress: Progress | None = None) -> Result:
        """Compute the run.

        Raises:
            DivergenceError: Parameters grew out of all bounds.
        """
        program = self.program
        whole = program.agents * program.steps
        stops = course(self.engine, program, self.steps, progress=_share_of(whole, progress))
        sizes = dimension_sizes(
            records=len(self.steps),
            agents=program.agents,
            responses=[len(names) for names in program.responses],
            values=len(program.layout.values),
        )
        recorded = {
            name: np.empty([sizes[dim] for dim in variable.dims])
            for name, variable in VARIABLES.items()
        }
        recorder = Recorder()
        for index, stop in enumerate(stops):
            check_bounded(program.layout, stop.theta, stop.step)
            for name, values in recorder(stop.program, stop.step, stop.theta).items():
                recorded[name][index] = values
        return label(
            program,
            recorded=recorded,
            steps=self.steps,
            provenance=describe_run(**self.specs),
        )


def prepare(
    scenario: Scenario | str | Mapping[str, object],
    *,
    agent: Agent | Mapping[str, object] | None = None,
    training: Training | Mapping[str, object] | None = None,
    agents: int = 1,
    seed: int = 0,
    record_every: int = 10,
    engine: str = "auto",
    precision: str = "float64",
    initial: AgentState | None = None,
    interventions: Interventions | None = None,
) -> Run:
    """Check and compile a run without computing it; arguments and errors as `simulate`."""
    specs = read_specs(scenario, agent=agent, training=training, interventions=interventions)
    check_whole("agents", agents, minimum=1, maximum=MOST_AGENTS)
    check_whole("seed", seed, minimum=0, maximum=MOST_SEED)
    check_whole("record_every", record_every, minimum=1)
    _check_size(specs, agents=agents, record_every=record_every)
    chosen = get_engine(engine, precision=precision)
    program = compile_program(
        specs.scenario,
        agent=specs.agent,
        training=specs.training,
        agents=agents,
        seed=int(seed),
        initial=initial,
        interventions=specs.interventions,
    )
    steps = [*range(0, program.steps, record_every), program.steps]
    asked_for = {
        "scenario": specs.scenario.model_dump(mode="json", exclude={"agent"}),
        "agent": specs.agent.model_dump(mode="json"),
        "training": specs.training.model_dump(mode="json"),
        "agents": int(agents),
        "seed": int(seed),
        "record_every": int(record_every),
        "engine": chosen.name,
        "precision": chosen.precision,
        "interventions": [one.model_dump(mode="json") for one in specs.interventions],
        "initial": "drawn from the agent spec" if initial is None else "given explicitly",
    }
    return Run(program, chosen, steps, asked_for)


def simulate(
    scenario: Scenario | str | Mapping[str, object],
    *,
    agent: Agent | Mapping[str, object] | None = None,
    training: Training | Mapping[str, object] | None = None,
    agents: int = 1,
    seed: int = 0,
    record_every: int = 10,
    engine: str = "auto",
    precision: str = "float64",
    initial: AgentState | None = None,
    interventions: Interventions | None = None,
    progress: Progress | None = None,
) -> Result:
    """Train agents on a scenario and return what they became, step by step.

    Args:
        scenario: A scenario, its name in the library, the path of a YAML file, or a dict.
        agent: What is particular about the agents. What it leaves unsaid is taken from the
            scenario's own agent, and what that leaves unsaid are the defaults of `sim.Agent`.
        training: How they are trained; the defaults of `sim.Training` where nothing is said.
        agents: How many agents; they differ as `agent.spread` says.
        seed: Of all random draws. The same seed gives the same result, and agent number n is the
            same however many others there are.
        record_every: Steps from one record to the next; step 0 and the last are always recorded.
        engine: `numpy`, `numba`, or `auto` for the fastest that is installed.
        precision: `float64`, or `float32` for exploratory maps (engine `numba`).
        initial: Every agent's starting state, explicitly; goes before `agent.initial`.
        interventions: What is done to the run (`sim.Intervention`, or dicts with its keys). Runs
            that differ in nothing else share every random draw, and are the same to the bit until
            the first of them starts.
        progress: Told the share that is done.

    Returns:
        The labelled result.

    Raises:
        SpecError: The input cannot be used; one line says why.
        DivergenceError: Parameters grew out of all bounds.
    """
    run = prepare(
        scenario,
        agent=agent,
        training=training,
        agents=agents,
        seed=seed,
        record_every=record_every,
        engine=engine,
        precision=precision,
        initial=initial,
        interventions=interventions,
    )
    return run.execute(progress=progress)


def _check_size(specs: Specs, *, agents: int, record_every: int) -> None:
    sizes = dimension_sizes(
        records=1,
        agents=agents,
        responses=[len(context.responses) for context in specs.scenario.contexts.values()],
        values=len(specs.scenario.values),
    )
    a_record = 8 * sum(math.prod(sizes[dim] for dim in v.dims) for v in VARIABLES.values())
    records = 1 + math.ceil(specs.training.steps / record_every)
    maximum = MOST_BYTES // a_record
    if records > maximum:
        size = records * a_record / 2**30
        advice = "lower agents"
        if maximum >= 2:
            advice = f"record_every={math.ceil(specs.training.steps / (maximum - 1))} fits"
        raise SpecError(
            f"record_every: {records} records of {agents} agents would take {size:.1f} GiB "
            f"(allowed: {MOST_BYTES / 2**30:.0f}); {advice}"
        )


def out_of_bounds(layout: Layout, theta: Array) -> NDArray[np.bool_]:
    """Return which parameters of θ [P, N] have diverged, or are no numbers any more [P, N]."""
    largest = [LARGEST_LOGARITHM if name.startswith("log_") else LARGEST for name in layout.names]
    inside: NDArray[np.bool_] = (theta >= -LARGEST) & (theta <= np.array(largest)[:, None])
    return ~inside


def divergence(layout: Layout, row: int, step: int) -> str:
    """Say which parameter, of which row of θ, had diverged by a step, and what helps."""
    name = layout.names[row]
    kind = name.split(".")[0]
    return f"{name} grew out of all bounds by step {step}; lower training.learning_rate.{kind}"


def check_bounded(layout: Layout, theta: Array, step: int) -> None:
    """Raise `DivergenceError` if a parameter of θ [P, N] has grown out of all bounds."""
    bad = np.argwhere(out_of_bounds(layout, theta))
    if bad.size:
        row, agent = (int(i) for i in bad[0])
        raise DivergenceError(f"agent {agent}: {divergence(layout, row, step)}")


def _share_of(whole: int, progress: Progress | None) -> Callable[[int], None] | None:
    """Turn "so many agent-steps more" into "this share is done"."""
    if progress is None:
        return None
    done = 0

    def count(agent_steps: int) -> None:
        nonlocal done
        done += agent_steps
        progress(done / whole)

    return count
