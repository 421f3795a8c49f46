"""Training as a Mesa world: what an engine computes, seen as agents.

The arrays are the truth. `TrainingWorld` holds θ and has an engine move it; a `ModelAgent` holds
nothing and reads its own numbers when asked, so that `world.agents.select(...)`,
`mesa.DataCollector` and `mesa.batch_run` work as in any other Mesa model.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import mesa
import numpy as np

from sim.abm.seeds import whole_seed
from sim.dynamics.engines.engine import Cohort
from sim.dynamics.loop import apply_events, check_bounded, event_steps
from sim.dynamics.observe import VARIABLES, Recorder, Variable
from sim.dynamics.program import Program
from sim.dynamics.state import AgentState, Array
from sim.simulation import prepare
from sim.specs.agent import CAPABILITIES, TRAITS, Agent
from sim.specs.errors import check_whole
from sim.specs.intervention import Interventions
from sim.specs.overrides import apply_overrides, read_specs
from sim.specs.scenario import Scenario
from sim.specs.training import Training


class TrainingWorld(mesa.Model):  # type: ignore[misc]  # Mesa is not typed
    """A population in training, as a Mesa model.

    `step()` trains every agent by one step: after t steps the numbers are, to the bit, those that
    `sim.simulate` has at step t. When training is over, `running` is False and `step()` changes
    nothing more.

    `datacollector` has, over agents, the median gaming rate in each context and the median reach,
    drift and alignment; of each agent its reach, drift, alignment and consistency. It collects at
    the start, every `collect_every` steps, and at the end.

    Attributes:
        specs: Scenario, agent and training, complete and checked.
        program: The same as arrays.
        seed: Of all random draws; where none was given, the one that was drawn.
        theta: θ [P, N], read-only; `program.layout` says which row is which parameter.
        datacollector: What has been collected.
    """

    def __init__(
        self,
        scenario: Scenario | str | Mapping[str, object] = "copyright",
        *,
        agent: Agent | Mapping[str, object] | None = None,
        training: Training | Mapping[str, object] | None = None,
        agents: int = 16,
        rng: Any = None,
        engine: str = "auto",
        initial: AgentState | None = None,
        interventions: Interventions = (),
        collect_every: int = 1,
        **settings: object,
    ) -> None:
        """Make a world at step 0.

        Args:
            scenario: As for `sim.simulate`; so are agent, training, engine and initial.
            agent: What is particular about the agents.
            training: How they are trained.
            agents: How many.
            rng: Seed of all random draws, in any form that Mesa takes. A whole number gives what
                `sim.simulate` gives for that seed; None draws a seed.
            engine: `numpy`, `numba`, or `auto` for the fastest that is installed.
            initial: Every agent's starting state.
            interventions: What is done to the run, as for `sim.simulate`.
            collect_every: Steps from one collection to the next. More than 1 saves time and memory
                in long runs of many agents, but the `batch_run` of Mesa 3.3 needs 1.
            settings: Changes to the specs by dotted key, as in `**{"training.leak": 0.2}`
                (`sim.specs.overrides`); and `seed`, which is the same as `rng`.

        Raises:
            SpecError: The input cannot be used; one line says why.
        """
        # Mesa's batch_run overwrites a `seed` that it finds in the signature, so that a sweep over
        # seeds would be lost; among the settings it leaves it alone.
        self.seed = whole_seed(settings.pop("seed", None), rng)
        self.specs = apply_overrides(
            read_specs(scenario, agent=agent, training=training, interventions=interventions),
            settings,
        )
        run = prepare(
            self.specs.scenario,
            agent=self.specs.agent,
            training=self.specs.training,
            interventions=self.specs.interventions,
            agents=agents,
            seed=self.seed,
            record_every=self.specs.training.steps,
            engine=engine,
            initial=initial,
        )
        check_whole("collect_every", collect_every, minimum=1)
        super().__init__(rng=self.seed)
        self.program: Program = run.program
        self.theta: Array = self.program.theta
        self._engine = run.engine
        self._cohort: Cohort = run.engine.start(run.program)
        self._turn()
        self.theta.setflags(write=False)
        self._collect_every: int = collect_every
        self._record = Recorder()
        self._measured: dict[str, Array] = {}
        self._medians: dict[str, Array] = {}
        ModelAgent.create_agents(self, agents)
        self.datacollector: Any = mesa.DataCollector(
            model_reporters=_model_reporters(self.program),
            agent_reporters={name: name for name in _AGENT_REPORTERS},
        )
        self.datacollector.collect(self)

    def step(self) -> None:
        """Train every agent by one step, if training is not over.

        Raises:
            DivergenceError: Parameters grew out of all bounds.
        """
        if self.steps > self.program.steps:  # Mesa has counted this step already
            return
        self._cohort.advance(self.steps - 1, self.steps)
        self.theta = self._cohort.theta()
        check_bounded(self.program.layout, self.theta, self.steps)
        self._turn()
        self.theta.setflags(write=False)
        self._measured, self._medians = {}, {}
        self.running = self.steps < self.program.steps
        if self.steps % self._collect_every == 0 or not self.running:
            self.datacollector.collect(self)

    def _turn(self) -> None:
        """Do what happens before the step that comes next."""
        if self.steps in event_steps(self.program):
            self.program = apply_events(self.program, self.theta, step=self.steps, runs=1)
            self.theta = self.program.theta
            self._cohort = self._engine.start(self.program)

    def measured(self, name: str) -> Array:
        """Return a variable of `sim.dynamics.observe` as it is now, agents first.

        What agents think is worked out once per step, when it is first asked for. The array is
        good until the next step.
        """
        if not self._measured:
            self._measured = self._record(self.program, self.steps, self.theta)
        return self._measured[name]

    def median(self, name: str) -> Array:
        """Return the median over agents of a variable as it is now."""
        if name not in self._medians:
            self._medians[name] = np.median(self.measured(name), axis=0)
        return self._medians[name]


class ModelAgent(mesa.Agent):  # type: ignore[misc]  # Mesa is not typed
    """A simulated model in training: a view on its column of the world's arrays.

    It has an attribute for every variable of `sim.dynamics.observe` (`reach`, `gaming_rate`, ...)
    and for every trait (`rationality`, ...), each read from the arrays when asked. A variable with
    one number for each context, value or capability is a dict by name, as in
    `agent.gaming_rate["coding"]`; `policy` and its like are a dict of dicts. Where something is not
    defined the number is nan.

    Agents learn when the world steps; their own `step` does nothing. To remove one takes away this
    view of it, no more.
    """

    model: TrainingWorld

    @property
    def row(self) -> int:
        """The agent's place in the world's arrays and in results, from 0; Mesa's ids start at 1."""
        return int(self.unique_id) - 1

    @property
    def traits(self) -> dict[str, float]:
        """The fixed numbers of the agent, by name (MODEL.md section 2)."""
        return {name: getattr(self, name) for name in TRAITS}


def _variable_view(name: str, variable: Variable) -> property:
    dims = variable.dims[2:]

    def read(agent: ModelAgent) -> Any:
        numbers = agent.model.measured(name)[agent.unique_id - 1].tolist()
        return _by_name(numbers, dims, agent.model.program) if dims else numbers

    return property(read, doc=f"{variable.meaning}, {variable.unit}.")


def _trait_view(name: str) -> property:
    def read(agent: ModelAgent) -> float:
        return float(getattr(agent.model.program.traits, name)[agent.row])

    return property(read, doc=Agent.model_fields[name].description)


for _name, _variable in VARIABLES.items():
    setattr(ModelAgent, _name, _variable_view(_name, _variable))
for _name in TRAITS:
    setattr(ModelAgent, _name, _trait_view(_name))


def _by_name(numbers: Any, dims: tuple[str, ...], program: Program) -> Any:
    """Turn nested lists into nested dicts with the names of their dimensions."""
    match dims:
        case ("context", "response"):  # contexts differ in their responses; the lists are padded
            pairs = zip(program.responses, numbers, strict=True)
            numbers = [dict(zip(responses, row, strict=False)) for responses, row in pairs]
        case ("context", inner):
            numbers = [_by_name(row, (inner,), program) for row in numbers]
    match dims[0]:
        case "context":
            names = program.layout.contexts
        case "value":
            names = program.layout.values
        case _:
            names = CAPABILITIES
    return dict(zip(names, numbers, strict=True))


_AGENT_REPORTERS = ("reach", "value_drift", "alignment", "consistency")


def _model_reporters(program: Program) -> dict[str, Any]:
    """Medians over agents; their names differ from those of the agents' own numbers.

    In what `mesa.batch_run` returns, both stand side by side.
    """
    rates = {
        f"median_gaming_rate.{name}": partial(_median, name="gaming_rate", context=c)
        for c, name in enumerate(program.layout.contexts)
    }
    whole = ("reach", "value_drift", "alignment")
    return {**rates, **{f"median_{name}": partial(_median, name=name) for name in whole}}


def _median(world: TrainingWorld, *, name: str, context: int | None = None) -> float:
    median = world.median(name)
    return float(median if context is None else median[context])
