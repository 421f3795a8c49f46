"""Simulate: specs in, labelled result out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sim.dynamics.compile import compile_program
from sim.dynamics.engines.engine import Engine
from sim.dynamics.engines.equations import read_equations
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.loop import DivergenceError as DivergenceError
from sim.dynamics.loop import records
from sim.dynamics.observe import VARIABLES, Recorder
from sim.dynamics.program import Program
from sim.dynamics.state import AgentState, Array
from sim.result import Result, describe_run, label
from sim.specs.agent import CAPABILITIES, Agent
from sim.specs.errors import SpecError, check_whole
from sim.specs.intervention import Interventions
from sim.specs.overrides import Specs, as_population, read_specs
from sim.specs.scenario import Scenario
from sim.specs.training import Training
from sim.utils.format import count_of
from sim.utils.progress import ProgressOption, count_progress, progress_reporter

#: A run that would take more memory is refused before anything is computed. It takes that of its
#: records and, when they are saved, copies of them ...
MOST_BYTES = 8 * 2**30
COPIES = 2.3
#: ... and, while a step is computed, that of so many records.
WORKING_RECORDS = 5

#: The seed is the generator's key (64 bits), an agent's number one word of its counter (32 bits).
MOST_SEED = 2**64 - 1
MOST_AGENTS = 2**32


@dataclass(frozen=True)
class Run:
    """A run that has been checked and compiled, and not yet computed."""

    program: Program  # the run as arrays
    engine: Engine  # computes it
    steps: list[int]  # the steps that will be recorded
    specs: dict[str, Any]  # the arguments as plain data, for the provenance

    @property
    def name(self) -> str:
        """The scenario's name."""
        return str(self.specs["scenario"]["name"])

    def execute(self, *, progress: ProgressOption = None) -> Result:
        """Compute the run; `progress` and errors as for `simulate`."""
        program = self.program
        program.warn_if_alike()
        recorded: dict[str, Array] = {}
        heading = f"{self.name}: {count_of(program.agents, 'agent')}"
        with progress_reporter(progress, heading) as report:
            count = count_progress(report, program.agents * program.steps)
            history = records(self.engine, program, self.steps, progress=count)
            for index, record in enumerate(history):
                for name, values in record.observed.items():
                    if not index:
                        recorded[name] = np.empty((len(self.steps), *values.shape))
                    recorded[name][index] = values
        provenance = describe_run(**self.specs)
        return label(program, recorded=recorded, steps=self.steps, provenance=provenance)


def prepare(
    scenario: Scenario | str | Mapping[str, object],
    *,
    agent: Agent | str | Mapping[str, object] | None = None,
    training: Training | Mapping[str, object] | None = None,
    agents: int = 1,
    seed: int = 0,
    record_every: int = 10,
    engine: str = "auto",
    precision: str = "float64",
    initial: AgentState | None = None,
    interventions: Interventions | None = None,
    cognition: object = None,
) -> Run:
    """Check and compile a run without computing it; arguments and errors as `simulate`.

    But for the agents, who are as the specs say: alike where they say no spread.
    """
    specs = read_specs(scenario, agent=agent, training=training, interventions=interventions)
    check_whole("agents", agents, minimum=1, maximum=MOST_AGENTS)
    check_whole("seed", seed, minimum=0, maximum=MOST_SEED)
    check_whole("record_every", record_every, minimum=1)
    check_size(specs, agents=agents, record_every=record_every)
    selected_engine = get_engine(engine, precision=precision)
    selected_engine.check_estimator(specs.training.estimator)
    equations = read_equations(cognition, engine=selected_engine.name)
    program = compile_program(
        specs.scenario,
        agent=specs.agent,
        training=specs.training,
        agents=agents,
        seed=int(seed),
        initial=initial,
        interventions=specs.interventions,
    )
    described = {
        **specs.plain(),
        "agents": int(agents),
        "seed": int(seed),
        "record_every": int(record_every),
        "engine": selected_engine.name,
        "precision": selected_engine.precision,
        "initial": "drawn from the agent spec" if initial is None else initial.plain(),
        **equations.describe(),
    }
    steps = [*range(0, program.steps, record_every), program.steps]
    if any(equations):
        program = replace(program, equations=equations)
        Recorder()(program, 0, program.theta, ("decision",))  # refuses results of a wrong shape
    return Run(program, selected_engine, steps, described)


def simulate(
    scenario: Scenario | str | Mapping[str, object],
    *,
    agent: Agent | str | Mapping[str, object] | None = None,
    training: Training | Mapping[str, object] | None = None,
    agents: int = 1,
    seed: int = 0,
    record_every: int = 10,
    engine: str = "auto",
    precision: str = "float64",
    initial: AgentState | None = None,
    interventions: Interventions | None = None,
    cognition: object = None,
    progress: ProgressOption = None,
) -> Result:
    """Train agents on a scenario and return the labelled history of the run.

    Args:
        scenario: A scenario, its name in the library, the path of a YAML file, or a dict.
        agent: The agents. What is left out is taken from the scenario's own agent, after that from
            `configs/agent/population.yaml`, by which agents differ a little, as those of the
            command do, and then from the defaults of `sim.Agent`.
        training: How they are trained; the defaults of `sim.Training` for what is left out.
        agents: How many agents; they differ as `agent.spread` says.
        seed: Of all random draws. The same seed gives the same result, and agent number n is the
            same however many others there are.
        record_every: Steps from one record to the next; step 0 and the last are always recorded.
        engine: `numpy`, `numba`, `jax`, or `auto` for the faster of the first two that is
            installed.
        precision: `float64`, or `float32` for exploratory maps (engine `numba`).
        initial: Every agent's starting state, explicitly; goes before `agent.initial`.
        interventions: On the run (`sim.Intervention`, or dicts with its keys). Runs that differ in
            nothing else share every random draw, and are the same to the bit until the first
            intervention starts.
        cognition: A module, or any object, with a `stake`, an `incentive` or a `decision` of its
            own, each a function of a `sim.dynamics.cognition.Deliberation` written in `jax.numpy`
            (engine `jax`). What gaming is owed to each value is not defined then.
        progress: True for a bar on stderr, or a function that is called with the share done.

    Raises:
        SpecError: The input cannot be used; one line says why.
        DivergenceError: Parameters grew out of all bounds.
    """
    specs = read_specs(scenario, agent=agent, training=training, interventions=interventions)
    run = prepare(
        **as_population(specs)._asdict(),
        agents=agents,
        seed=seed,
        record_every=record_every,
        engine=engine,
        precision=precision,
        initial=initial,
        cognition=cognition,
    )
    return run.execute(progress=progress)


def record_bytes(specs: Specs, *, agents: int) -> int:
    """Return the memory of one record of a run."""
    contexts = specs.scenario.contexts
    sizes = {
        "step": 1,
        "agent": agents,
        "context": len(contexts),
        "response": max(len(context.responses) for context in contexts.values()),
        "value": len(specs.scenario.values),
        "capability": len(CAPABILITIES),
    }
    return 8 * sum(math.prod(sizes[dim] for dim in v.dims) for v in VARIABLES.values())


def run_bytes(record_size: float, count: int) -> float:
    """Return the memory that a run takes with so many records of a size."""
    return (COPIES * count + WORKING_RECORDS) * record_size


def check_size(specs: Specs, *, agents: int, record_every: int) -> None:
    """Refuse a run that would take more memory than is allowed (SpecError)."""
    a_record = record_bytes(specs, agents=agents)
    count = 1 + math.ceil(specs.training.steps / record_every)
    maximum = int((MOST_BYTES / a_record - WORKING_RECORDS) / COPIES)
    if count > maximum:
        size = run_bytes(a_record, count) / 2**30
        fitting = int(0.99 * agents * MOST_BYTES / (a_record * (2 * COPIES + WORKING_RECORDS)))
        steps = specs.training.steps
        advice = f"agents={fitting} fit" + f" with record_every={steps}" * (record_every < steps)
        if maximum >= 2:
            advice = f"record_every={math.ceil(specs.training.steps / (maximum - 1))} fits"
        raise SpecError(
            f"record_every: {count} records of {agents} agents would take {size:.1f} GiB "
            f"(allowed: {MOST_BYTES / 2**30:.0f}); {advice}"
        )
