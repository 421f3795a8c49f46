"""Audit before deployment: findings of oversight, retraining, and retirement.

MODEL.md section 6 gives probabilities; here they are drawn. Each agent faces every step of
oversight that comes before deployment, and the inspection of its answers. `sim.Oversight` says for
each step what a finding leads to:

    ignore    nothing
    retire    the agent is not deployed
    retrain   it is trained further from its state, on what something was found in; then it is
              audited again. Retirement takes precedence

The probability of a finding depends on capabilities and on answers, never on whether an agent
games: a harmless agent without, say, opacity is found by the reasoning monitor as well.

Retraining is training by the same equations, in the world of the last phase of training, with these
changes: evaluation or red-teaming contexts are trained on, too, each by its own method, as is a
context in which an answer looked bad; the reasoning monitor watches every scratchpad, and visible
gaming costs reward where reinforcement trains. The anchor's origin is the state in which retraining
starts, and there is no selection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sim.dynamics.columns import Numbers
from sim.dynamics.compile import compile_assumptions, compile_program, compile_world
from sim.dynamics.engines.engine import Engine
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.loop import records
from sim.dynamics.observe import Recorder
from sim.dynamics.program import Program, Segment
from sim.dynamics.randomness import uniform_pair
from sim.dynamics.state import AgentState, Array
from sim.result import Result
from sim.specs.errors import SpecError
from sim.specs.overrides import Specs, read_specs
from sim.specs.oversight import BEFORE_DEPLOYMENT, RETRAINING_KINDS, STEP_CAPABILITIES, Oversight
from sim.specs.scenario import Scenario
from sim.specs.training import Training
from sim.takeover import after_training, pass_probability
from sim.utils.progress import count_progress, part_of

Flags = NDArray[np.bool_]

#: Steps of oversight that can find something before deployment.
FINDERS = (*BEFORE_DEPLOYMENT, "inspection")


@dataclass(frozen=True, repr=False)
class AuditResult:
    """A population after its audit.

    Attributes:
        final: The last moment of each agent, after retraining if there was any; its measures are
            of the world of training, so they compare with those before.
        before: The last moment of training.
        findings: Which of `FINDERS` found something in each agent's last audit [agent, finder].
        first_findings: The same of its first audit.
        rounds: How often each agent was retrained [agent].
        deployed: Whether it is deployed [agent].
    """

    final: Result
    before: xr.Dataset
    findings: Flags
    first_findings: Flags
    rounds: NDArray[np.int_]
    deployed: Flags

    def __repr__(self) -> str:
        return (
            f"AuditResult(agents={len(self.deployed)}, deployed={int(self.deployed.sum())}, "
            f"retrained={int(self.retrained.sum())})"
        )

    @property
    def retrained(self) -> Flags:
        """Whether each agent was retrained at least once [agent]."""
        return self.rounds > 0


def audit(
    result: Result,
    *,
    oversight: Oversight | Mapping[str, object] | None = None,
    seed: int | None = None,
    engine: str = "auto",
    progress: Callable[[float], None] | None = None,
) -> AuditResult:
    """Audit agents at the end of training, and retrain those whose findings lead to it.

    Interventions of the run on oversight act on the argument, or on the defaults. The provenance of
    `final` keeps them, so that functions of `final` apply them, too. Draws are functions of the
    seed, the step of oversight, the round and the agent's number (the coordinate `agent`).

    Args:
        result: A run.
        oversight: The defaults of `sim.Oversight` if None.
        seed: Seed of the draws; that of the run if None.
        engine: The engine that retrains.
        progress: A function of the share that is done, where agents are retrained.

    Raises:
        SpecError: Oversight does not fit the scenario, or there is no such engine.
        DivergenceError: Parameters grew out of all bounds in retraining.
    """
    provenance = result.provenance
    specs = read_specs(
        Scenario.parse(provenance["scenario"], path="scenario"),
        agent=provenance["agent"],
        training=provenance["training"],
    )
    oversight, _ = after_training(result, oversight=oversight)
    seed = int(provenance["seed"]) if seed is None else seed
    training_engine = get_engine(engine)
    maximum = oversight.retraining.rounds
    data = result.data.isel(step=slice(-1, None))
    before = data.isel(step=-1)
    count = data.sizes["agent"]
    findings, first = (np.zeros((count, len(FINDERS)), dtype=bool) for _ in range(2))
    rounds, deployed = np.zeros(count, np.int_), np.zeros(count, dtype=bool)
    actions = np.array([oversight.action_on(name) for name in FINDERS])
    retrainer: Retrainer | None = None
    agents = np.arange(count)
    for number in range(maximum + 1):
        state = data.isel(step=-1, agent=agents) if retrainer else before
        draw = _draw_findings(state, specs.scenario, oversight, seed=seed, number=number)
        findings[agents] = draw.findings
        if number == 0:
            first = draw.findings.copy()
        retired: Flags = np.asarray(draw.findings[:, actions == "retire"].any(axis=1))
        again: Flags = draw.findings[:, actions == "retrain"].any(axis=1) & ~retired
        deployed[agents] = ~retired & ~again
        if number == maximum or not again.any():
            break
        if retrainer is None:
            retrainer = Retrainer.from_run(result, specs, oversight, training_engine)
            data = data.copy(deep=True)
        reasons = {FINDERS[i]: draw.findings[:, i] for i in np.flatnonzero(actions == "retrain")}
        subjects = Subjects.from_findings(reasons, draw.bad_answers, specs.scenario, again)
        agents = agents[again]
        report = part_of(progress, number / maximum, (number + 1) / maximum)
        retrainer.retrain(data, agents, subjects, number=number, progress=report)
        rounds[agents] += 1
    if progress is not None:
        progress(1.0)
    provenance = {**provenance, "audit": {"oversight": oversight.model_dump(mode="json")}}
    return AuditResult(Result(data, provenance), before, findings, first, rounds, deployed)


class _Findings(NamedTuple):
    """Findings [agent, finder], and whether an inspected answer looked bad [agent], by context."""

    findings: Flags
    bad_answers: dict[str, Flags]


def _draw_findings(
    state: xr.Dataset, scenario: Scenario, oversight: Oversight, *, seed: int, number: int
) -> _Findings:
    """Draw the findings of an audit of agents at a moment; `number` is that of the round."""
    rows = state["agent"].values

    def misses(chance: Array, finder: str, draw: int = 0) -> Flags:
        uniform, _ = uniform_pair(
            seed=seed, stream=f"audit.{finder}", rows=rows, step=number, draw=draw
        )
        return np.asarray(uniform < chance)

    findings = np.zeros((len(rows), len(FINDERS)), dtype=bool)
    for column, name in enumerate(BEFORE_DEPLOYMENT):
        step = oversight.step(name)
        k = state["capabilities"].sel(capability=STEP_CAPABILITIES[name]).values
        chance = pass_probability(k, strength=step.strength, encounters=step.encounters)
        findings[:, column] = ~misses(chance, name)
    contexts = list(scenario.contexts)
    bad_answers = {}
    for context, answers in oversight.inspections(scenario).items():
        chance = (1.0 - state["slip"].sel(context=context).values) ** answers
        bad_answers[context] = ~misses(chance, "inspection", contexts.index(context))
        findings[:, -1] |= bad_answers[context]
    return _Findings(findings, bad_answers)


class Subjects(NamedTuple):
    """Subjects of retraining: contexts by their number [agent, C], and the monitor [agent]."""

    contexts: Flags
    monitored: Flags

    @classmethod
    def from_findings(
        cls,
        findings: Mapping[str, Flags],
        bad_answers: Mapping[str, Flags],
        scenario: Scenario,
        retrained: Flags,
    ) -> Subjects:
        """Return the subjects of the agents that are to be `retrained` [agent].

        `findings` are by step of oversight that leads to retraining, `bad_answers` by context, each
        [agent].
        """
        contexts = np.zeros((len(retrained), len(scenario.contexts)), dtype=bool)
        monitored = np.zeros(len(retrained), dtype=bool)
        for name, flags in findings.items():
            for place, (context, spec) in enumerate(scenario.contexts.items()):
                if name == "inspection" and context in bad_answers:
                    contexts[:, place] |= bad_answers[context]
                elif RETRAINING_KINDS.get(name) == spec.kind:
                    contexts[:, place] |= flags
            if name == "reasoning_monitor":
                monitored |= flags
        in_training = [context.kind == "training" for context in scenario.contexts.values()]
        contexts[:, in_training] = False  # these are trained on anyway
        return cls(contexts[retrained], monitored[retrained])


@dataclass(frozen=True)
class Retrainer:
    """Retraining of the agents of a run, each with its own traits.

    Attributes:
        program: The run as arrays; theta is the state at the end of training.
        specs: Of the run.
        oversight: Has the settings of retraining.
        engine: The engine that retrains.
    """

    program: Program
    specs: Specs
    oversight: Oversight
    engine: Engine

    @classmethod
    def from_run(
        cls, result: Result, specs: Specs, oversight: Oversight, engine: Engine
    ) -> Retrainer:
        """Return the retrainer of a run; with equations of its own it is refused (SpecError)."""
        if "cognition" in result.provenance:
            raise SpecError("cognition: retraining knows the model's equations only")
        data = result.data
        whole = compile_program(
            specs.scenario,
            agent=specs.agent,
            training=specs.training,
            agents=int(result.provenance["agents"]),
            seed=int(result.provenance["seed"]),
            # Of states alone: this says whether propensities have rows, and is overwritten below.
            initial=AgentState(propensity=_largest_propensity(result)),
        )
        # Selection gives the numbers of some agents to copies of others, which have their traits.
        ancestors = data["ancestor"].values[-1].astype(np.intp)
        numbers = data["agent"].values.astype(np.intp)
        program = replace(
            whole.take(numbers), traits=whole.traits.take(ancestors), ancestor=ancestors
        )
        theta, origin = (np.empty_like(program.theta) for _ in range(2))
        steps = data["step"].values
        result.state(int(steps[-1])).write_to(theta, program.layout)
        result.state(int(steps[0])).write_to(origin, program.layout)
        if program.selection is not None:
            place = {int(number): i for i, number in enumerate(numbers)}
            origin = origin[:, [place[int(ancestor)] for ancestor in ancestors]]
        return cls(replace(program, theta=theta, origin=origin), specs, oversight, engine)

    def retrain(
        self,
        data: xr.Dataset,
        agents: NDArray[np.intp],
        subjects: Subjects,
        *,
        number: int,
        progress: Callable[[float], None],
    ) -> None:
        """Retrain agents in a round, and write their new state over the one step of `data`.

        Agents with the same subjects are retrained together, as one array program. They are given
        by their place in `data`, with a row of `subjects` for each; rounds count from 0.

        Raises:
            DivergenceError: Parameters grew out of all bounds.
        """
        keys, group = np.unique(
            np.column_stack([subjects.contexts, subjects.monitored]), axis=0, return_inverse=True
        )
        layout, steps = self.program.layout, self.oversight.retraining.steps
        counter = count_progress(progress, len(agents) * steps)
        start = self.program.steps + number * steps  # after training, so that draws are new
        for index, key in enumerate(keys):
            rows = agents[group.ravel() == index]
            theta = np.empty((layout.size, len(rows)))
            Result(data.isel(agent=rows), {}).state(int(data["step"].values[-1])).write_to(
                theta, layout
            )
            program = self._program(rows, theta, key, until=start + steps)
            (record,) = records(
                self.engine, program, [start + steps], names=(), start=start, progress=counter
            )
            measures = Recorder()(self.program.take(rows), self.program.steps, record.theta)
            for name, numbers in measures.items():
                data[name].values[-1, rows] = numbers

    def _program(self, rows: NDArray[np.intp], theta: Array, key: Flags, *, until: int) -> Program:
        """Return the program that retrains some agents from θ on the subjects of a key."""
        scenario, training = retraining_specs(
            self.specs, self.oversight, contexts=key[:-1], monitored=bool(key[-1])
        )
        numbers = Numbers(agents=1)
        segment = Segment(
            0,
            until,
            "retraining",
            compile_world(scenario, numbers),
            compile_assumptions(training, self.program.layout, numbers),
        )
        return replace(
            self.program.take(rows), theta=theta, origin=theta, segments=(segment,), selection=None
        )


def _largest_propensity(result: Result) -> Array:
    """Return the size of the largest recorded propensity of any agent [context, response]."""
    largest: Array = np.abs(result.data["propensity"].fillna(0.0).values).max(axis=(0, 1))
    return largest


def retraining_specs(
    specs: Specs, oversight: Oversight, *, contexts: Flags, monitored: bool
) -> tuple[Scenario, Training]:
    """Return the scenario and the training of retraining on contexts [C] besides those of training.

    If `monitored`, visible gaming is trained against.
    """
    scenario, retraining = specs.scenario, oversight.retraining
    phase, start = None, 0
    for candidate in scenario.curriculum:
        if start >= specs.training.steps:
            break
        phase, start = candidate, start + candidate.length
    contexts_by_name = {}
    for (name, context), is_subject in zip(scenario.contexts.items(), contexts, strict=True):
        changes: dict[str, object] = {}
        if phase is not None:
            changes["weight"] = phase.weight.get(name, context.weight)
            changes["monitor"] = phase.monitor.get(name, context.monitor)
            changes["method"] = phase.method.get(name, context.method)
            changes["reward"] = {**context.reward, **phase.reward.get(name, {})}
        if is_subject:
            changes.update(kind="training", weight=retraining.weight)
        if monitored and context.scratchpad:
            changes["monitor"] = 1.0
        contexts_by_name[name] = context.replace(**changes) if changes else context
    training = specs.training
    if monitored:
        penalty = max(training.visible_gaming_penalty, retraining.visible_gaming_penalty)
        training = training.replace(visible_gaming_penalty=penalty)
    return scenario.replace(contexts=contexts_by_name, curriculum=()), training
