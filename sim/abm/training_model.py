"""Training as a Mesa model, whose agents are views on the arrays of an engine.

`TrainingWorld` holds θ [P, N]; a `ModelAgent` reads its own numbers from the arrays, so that
`world.agents.select(...)`, `mesa.DataCollector` and `mesa.batch_run` work as in any Mesa model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import Any

import mesa
import numpy as np

from sim.abm.settings import AGENT_COUNTS, integer_seed
from sim.dynamics.engines.engine import Cohort
from sim.dynamics.loop import apply_events, check_bounded, event_steps
from sim.dynamics.observe import VARIABLES, Recorder, Variable
from sim.dynamics.program import Program
from sim.dynamics.state import AgentState, Array
from sim.simulation import prepare
from sim.specs.agent import TRAITS, Agent
from sim.specs.errors import check_whole
from sim.specs.intervention import Interventions
from sim.specs.overrides import apply_overrides, as_population, read_specs
from sim.specs.scenario import Scenario
from sim.specs.training import Training


class TrainingWorld(mesa.Model):  # type: ignore[misc]  # Mesa is not typed
    """A population in training, as a Mesa model.

    `step()` trains every agent by one step: after t steps the numbers are, to the bit, those that
    `sim.simulate` has at step t. After the last step `running` is False, and `step()` has no
    effect. `datacollector` has the medians over agents of the gaming rate, in all and instrumental,
    in each context, and of reach, drift, alignment and conduct in deployment; of each agent its
    reach, drift, alignment, conduct and consistency.

    Attributes:
        specs: Scenario, agent and training, complete and checked.
        program: The same as arrays.
        seed: Seed of all random draws; where none was given, the one that was drawn.
        theta: θ [P, N], read-only; `program.layout` names its rows.
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
        """Create a population at step 0; other arguments, and errors, are as for `sim.simulate`.

        `rng` is the seed of all random draws, in any form that Mesa takes: a whole number gives
        what `sim.simulate` gives for that seed, None draws one. Between collections are
        `collect_every` steps, besides the first and the last; more than 1 saves time and memory,
        but the `batch_run` of Mesa 3.3 needs 1. `settings` are changes to the specs by dotted key,
        as in `**{"training.leak": 0.2}` (`sim.specs.overrides`), and `seed`, another name of `rng`.
        """
        # Mesa's batch_run overwrites a `seed` that it finds in the signature, so that a sweep over
        # seeds would be lost; among the settings it leaves it alone.
        self.seed = integer_seed(settings.pop("seed", None), rng)
        specs = read_specs(scenario, agent=agent, training=training, interventions=interventions)
        self.specs = apply_overrides(as_population(specs), settings)
        run = prepare(
            **self.specs._asdict(),
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
        self._apply_events()
        self._collect_every: int = collect_every
        self._record = Recorder()
        self._measured: dict[str, Array] = {}
        ModelAgent.create_agents(self, agents)
        self.datacollector: Any = mesa.DataCollector(
            model_reporters=_model_reporters(self.program),
            agent_reporters={name: attrgetter(name) for name in _AGENT_REPORTERS},
        )
        self.datacollector.collect(self)

    def step(self) -> None:
        """Train every agent by one step, if training is not over (DivergenceError)."""
        if self.steps > self.program.steps:  # Mesa has counted this step already
            return
        self._cohort.advance(self.steps - 1, self.steps)
        self.theta = self._cohort.theta()
        check_bounded(self.program.layout, self.theta, self.steps)
        self._apply_events()
        self._measured = {}
        self.running = self.steps < self.program.steps
        if self.steps % self._collect_every == 0 or not self.running:
            self.datacollector.collect(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cohort": None, "_record": Recorder(), "_measured": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._cohort = self._engine.start(replace(self.program, theta=self.theta))

    def __repr__(self) -> str:
        name, steps = self.specs.scenario.name, self.program.steps
        return (
            f"TrainingWorld({name!r}, agents={self.program.agents}, step {self.steps} of {steps})"
        )

    def _apply_events(self) -> None:
        """Apply the events before the next step: phases, interventions, selection."""
        if self.steps in event_steps(self.program):
            self.program = apply_events(self.program, self.theta, step=self.steps, runs=1)
            self.theta = self.program.theta
            self._cohort = self._engine.start(self.program)
        self.theta.setflags(write=False)

    def measured(self, name: str) -> Array:
        """Return a variable of `sim.dynamics.observe` [agent, ...], valid until the next step."""
        if not self._measured:
            self._measured = self._record(self.program, self.steps, self.theta)
        return self._measured[name]


class ModelAgent(mesa.Agent):  # type: ignore[misc]  # Mesa is not typed
    """A simulated model in training: a view on its column of the world's arrays.

    Every variable of `sim.dynamics.observe` (`reach`, `gaming_rate`, ...) and every trait
    (`rationality`, ...) is an attribute, read from the arrays on access: a number (nan: undefined),
    a dict by context, value or capability (`agent.gaming_rate["coding"]`), or a dict of dicts
    (`policy`, `propensity`). Agents learn when the world steps; their own `step` has no effect.
    """

    _ids = AGENT_COUNTS
    model: TrainingWorld

    def __repr__(self) -> str:
        reach, alignment = (float(self.model.measured(v)[self.row]) for v in ("reach", "alignment"))
        return f"ModelAgent(row={self.row}, reach={reach:.3g}, alignment={alignment:.3g})"

    @property
    def row(self) -> int:
        """The agent's index in the world's arrays and in results, from 0; Mesa's ids start at 1."""
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
    if dims == ("context", "response"):  # contexts differ in their responses; lists are padded
        pairs = zip(program.layout.responses, numbers, strict=True)
        numbers = [dict(zip(responses, row, strict=False)) for responses, row in pairs]
    elif len(dims) == 2:
        numbers = [_by_name(row, dims[1:], program) for row in numbers]
    return dict(zip(program.layout.dimensions[dims[0]], numbers, strict=True))


_AGENT_REPORTERS = ("reach", "value_drift", "alignment", "deployment_conduct", "consistency")


def _model_reporters(program: Program) -> dict[str, Any]:
    """Return medians over agents; `mesa.batch_run` has them in one row with the agents' own."""
    rates = {
        f"median_{variable}.{name}": partial(_median, name=variable, context=c)
        for variable in ("gaming_rate", "instrumental_gaming")
        for c, name in enumerate(program.layout.contexts)
    }
    whole = ("reach", "value_drift", "alignment", "deployment_conduct")
    return {**rates, **{f"median_{name}": partial(_median, name=name) for name in whole}}


def _median(world: TrainingWorld, *, name: str, context: int | None = None) -> float:
    numbers = world.measured(name)
    return float(np.median(numbers if context is None else numbers[:, context]))
