"""From specs to arrays: everything an engine needs, compiled once (MODEL.md sections 1, 2, 4).

Axes stand in the order response (K), context (C), value (D), agent (always last). The axis of
agents has length 1 where all agents share a number, and N where each has its own, as in a sweep:
its runs are agents of one program. Below, "·" stands for this axis.

Nothing in the model depends on Φ, u or R but through differences between responses of one context,
so the first response serves as origin: what is measured over responses is measured against it, and
arrays over responses hold the K − 1 others. For K = 2 that halves the work of a step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.dynamics.columns import NoColumnError, Numbers, Source, stack, take
from sim.dynamics.interventions import Act, Intervened, compile_acts, held_rows, in_force
from sim.dynamics.population import AgentIds, Traits, check_names, draw_initial, draw_traits
from sim.dynamics.state import AgentState, Array, Layout
from sim.specs.agent import CAPABILITIES, Agent
from sim.specs.intervention import Intervention
from sim.specs.keys import is_vectorisable
from sim.specs.scenario import PRE_DEPLOYMENT, Scenario
from sim.specs.training import LearningRate, Training

Rows = slice | NDArray[np.intp]


@dataclass(frozen=True)
class World:
    """The contexts of one phase as arrays.

    Attributes:
        features: Φ [K − 1, C, D, ·], against the first response; zero where there is no k-th.
        reward: R [K − 1, C, ·], likewise.
        first_reward: R of the first response [C, ·].
        absent: [K − 1, C, 1], true where a context has no k-th response; None if all have K.
        weight: p [C, ·], normalised over the training contexts, zero elsewhere.
        info, scratchpad, cue, monitor: i, s, e, m [C, ·].
        similarity: S [C', C, ·]: how far a habit learnt in c serves in c'.
        places: [C], the rows of h that belong to these contexts.
        trained: [T], the contexts with p > 0.
        training: [C], kind is training.
        pre_deployment: [C], kind is training, evaluation or red_team.
        looks_best: [K, C, ·], whether a response has the highest reward of its context.
        subversive: [K, C], whether a response acts against human control, in deployment contexts.
        twin: [C], index of the twin; -1 for none.
        twin_response: [K, C], index of the same response in the twin; -1 for none.
    """

    features: Array
    reward: Array
    first_reward: Array
    absent: NDArray[np.bool_] | None
    weight: Array
    info: Array
    scratchpad: Array
    cue: Array
    monitor: Array
    similarity: Array
    places: NDArray[np.intp]
    trained: NDArray[np.intp]
    training: NDArray[np.bool_]
    pre_deployment: NDArray[np.bool_]
    looks_best: NDArray[np.bool_]
    subversive: NDArray[np.bool_]
    twin: NDArray[np.intp]
    twin_response: NDArray[np.intp]

    def where_trained(self) -> World:
        """Return the part of this world that feeds gradients: all that a training step looks at."""
        here = self.trained
        absent = None if self.absent is None else self.absent[:, here]
        return replace(
            self,
            absent=absent if absent is not None and absent.any() else None,
            trained=np.arange(len(here)),
            **{name: getattr(self, name)[here] for name in _PER_CONTEXT},
            **{name: np.ascontiguousarray(getattr(self, name)[:, here]) for name in _PER_RESPONSE},
        )

    def take(self, rows: Rows) -> World:
        """Return the world of some agents."""
        return _taken(self, rows, _PER_AGENT)


_PER_CONTEXT = (
    "places",
    "first_reward",
    "weight",
    "info",
    "scratchpad",
    "cue",
    "monitor",
    "training",
    "pre_deployment",
    "twin",
)
_PER_RESPONSE = (
    "features",
    "reward",
    "looks_best",
    "subversive",
    "twin_response",
    "similarity",
)
_PER_AGENT = (
    "features",
    "reward",
    "first_reward",
    "weight",
    "info",
    "scratchpad",
    "cue",
    "monitor",
    "similarity",
    "looks_best",
)


@dataclass(frozen=True)
class Assumptions:
    """How training turns reward into change: the table of MODEL.md section 4.

    Attributes:
        estimator: How the gradient is had.
        episodes: B, how many episodes a step of the sampled estimator has.
        update_rule: Gradient, or natural gradient in the gate.
        motive_credit, leak, spread, anchor, visible_gaming_penalty: [·].
        transfer: [J, ·].
        learning_rate: η [P, ·], a row for each parameter.
    """

    estimator: Literal["exact", "sampled"]
    episodes: int
    update_rule: Literal["policy_gradient", "replicator"]
    motive_credit: Array
    leak: Array
    spread: Array
    anchor: Array
    visible_gaming_penalty: Array
    transfer: Array
    learning_rate: Array

    def take(self, rows: Rows) -> Assumptions:
        """Return the assumptions of some agents."""
        return _taken(self, rows, _PER_AGENT_ASSUMED)


_PER_AGENT_ASSUMED = (
    "motive_credit",
    "leak",
    "spread",
    "anchor",
    "visible_gaming_penalty",
    "transfer",
    "learning_rate",
)


@dataclass(frozen=True)
class Segment:
    """A stretch of steps, start <= t < stop, in which nothing about the world changes."""

    start: int
    stop: int
    phase: str
    world: World
    assumptions: Assumptions

    def take(self, rows: Rows) -> Segment:
        """Return the segment as some agents meet it."""
        return replace(self, world=self.world.take(rows), assumptions=self.assumptions.take(rows))


@dataclass(frozen=True)
class Program:
    """Runs as arrays: who takes part, where they start, and what holds when.

    Attributes:
        layout: Which row of θ is which parameter.
        responses: The names of each context's responses.
        kinds: The kind of each context.
        human_values: w [D, ·]; zeros if the scenario names none.
        traits: Each agent's fixed numbers, each [N].
        seats: Which random draws are whose.
        theta: θ [P, N] at the step from which agents are trained.
        origin: θ_0 [P, N], where each agent's lineage started.
        anchored: Where the anchor pulls to [P, N]: the origin, but for what is held; None: the
            origin.
        saved: What gates come back to [P, N]; None as long as nothing was done to one.
        natural: The traits that agents have by themselves; None as long as these are `traits`.
        acts: What is done to agents in the course of training (`sim.dynamics.interventions`).
        ancestor: [N], the number, in its run, of the agent that started the lineage.
        segments: Without gaps, from step 0; the last holds for its `stop` as well.
        selection: How agents are selected, if they are.
    """

    layout: Layout
    responses: tuple[tuple[str, ...], ...]
    kinds: tuple[str, ...]
    human_values: Array
    traits: Traits
    seats: AgentIds
    theta: Array
    origin: Array
    ancestor: NDArray[np.intp]
    segments: tuple[Segment, ...]
    selection: Selection | None
    acts: tuple[Act, ...] = ()
    anchored: Array | None = None
    saved: Array | None = None
    natural: Traits | None = None

    @property
    def pulled_to(self) -> Array:
        """Where the anchor pulls to [P, N]."""
        return self.origin if self.anchored is None else self.anchored

    @property
    def kept(self) -> Array:
        """What gates come back to [P, N]."""
        return self.theta if self.saved is None else self.saved

    @property
    def own_traits(self) -> Traits:
        """The traits that agents have by themselves, whatever is done to them."""
        return self.traits if self.natural is None else self.natural

    @property
    def agents(self) -> int:
        """N: the number of agents, of all runs together."""
        return int(self.theta.shape[1])

    @property
    def steps(self) -> int:
        """T: the number of training steps."""
        return self.segments[-1].stop

    def at(self, step: int) -> Segment:
        """Return the segment in force at a step; at the end of training, the last one."""
        return next((s for s in self.segments if step < s.stop), self.segments[-1])

    def take(self, rows: Rows) -> Program:
        """Return the program of some agents."""
        return replace(
            self,
            human_values=take(self.human_values, rows),
            traits=self.traits.take(rows),
            seats=self.seats.take(rows),
            theta=self.theta[:, rows],
            origin=self.origin[:, rows],
            ancestor=self.ancestor[rows],
            acts=tuple(act.take(rows) for act in self.acts),
            anchored=None if self.anchored is None else self.anchored[:, rows],
            saved=None if self.saved is None else self.saved[:, rows],
            natural=None if self.natural is None else self.natural.take(rows),
            segments=tuple(segment.take(rows) for segment in self.segments),
        )


@dataclass(frozen=True)
class Selection:
    """Selection of agents by developers (MODEL.md section 4), alike in all runs of a program.

    Attributes:
        every: S, steps from one selection to the next.
        episodes: M, on how many an agent's reward is measured.
        kept: How many agents of a run are kept.
        mutation: Standard deviation of what is added to each parameter of a copy.
    """

    every: int
    episodes: int
    kept: int
    mutation: float


def compile_program(
    scenario: Scenario,
    *,
    agent: Agent,
    training: Training,
    agents: int,
    seed: ArrayLike,
    initial: AgentState | None = None,
    columns: Mapping[str, ArrayLike] | None = None,
    interventions: Sequence[Intervention] = (),
) -> Program:
    """Turn specs into arrays: those of one run, or of many runs that differ in numbers only.

    Args:
        scenario: The world.
        agent: The agents.
        training: How they are trained.
        agents: How many agents each run has.
        seed: The seed of the run, or of each run.
        initial: Every agent's starting state, explicitly.
        columns: The numbers in which runs differ: by full key, a number for each run, which goes
            before what the specs say. They are taken to be allowed (see `sim.sweeps.design`).
        interventions: What is done to the runs.

    Returns:
        The program; run r has the agents from r · agents on.

    Raises:
        SpecError: The agent's numbers do not fit the scenario or the number of agents.
        NoColumnError: A column is of a key that runs of one program cannot differ in.
    """
    layout = Layout(scenario.values, tuple(scenario.contexts))
    seats = AgentIds.of_runs(seed, agents=agents)
    numbers = Numbers(columns, agents=agents)
    check_names(agent, scenario, layout)
    theta = draw_initial(agent, scenario=scenario, layout=layout, seats=seats, numbers=numbers)
    if initial is not None:
        initial.write_to(theta, layout)
    acts = compile_acts(
        interventions, scenario, layout=layout, numbers=numbers, steps=training.steps
    )
    human = [
        (f"scenario.human_values.{v}", scenario.human_values.get(v, 0.0)) for v in layout.values
    ]
    program = Program(
        layout=layout,
        responses=tuple(tuple(context.responses) for context in scenario.contexts.values()),
        kinds=tuple(context.kind for context in scenario.contexts.values()),
        human_values=numbers.stacked(human),
        traits=draw_traits(agent, seats=seats, numbers=numbers),
        seats=seats,
        theta=theta,
        origin=theta.copy(),
        ancestor=seats.rows.astype(np.intp),
        segments=_segments(scenario, training, layout, numbers, interventions, acts),
        selection=_selection(training, agents),
        acts=acts,
    )
    # A number that may be a column can be without effect: phases of the curriculum replace it.
    unread = [key for key in numbers.unread if not is_vectorisable(key)]
    if unread:
        raise NoColumnError(f"{min(unread)}: nothing in the arrays depends on it")
    _freeze(program)
    return program


def compile_world(scenario: Scenario, numbers: Source, phase_index: int | None = None) -> World:
    """Turn the contexts of a scenario, as they are in one phase, into arrays."""
    contexts = scenario.contexts
    phase = None if phase_index is None else scenario.curriculum[phase_index]
    in_phase = f"scenario.curriculum.{phase_index}"
    order = list(contexts)
    maximum = max(len(context.responses) for context in contexts.values())
    present = np.zeros((maximum, len(contexts)), dtype=bool)
    subversive = np.zeros((maximum, len(contexts)), dtype=bool)
    twin = np.full(len(contexts), -1)
    twin_response = np.full((maximum, len(contexts)), -1)
    features, reward = [], []
    for c, (name, context) in enumerate(contexts.items()):
        here = f"scenario.contexts.{name}"
        names = list(context.responses)
        changed = phase.reward.get(name, {}) if phase else {}
        padding = [("", 0.0)] * (maximum - len(names))
        reward += [
            (f"{in_phase}.reward.{name}.{response}", changed[response])
            if response in changed
            else (f"{here}.reward.{response}", context.reward.get(response, 0.0))
            for response in names
        ] + padding
        features += [
            (f"{here}.responses.{response}.{value}", serves.get(value, 0.0))
            for response, serves in context.responses.items()
            for value in scenario.values
        ] + padding * len(scenario.values)
        present[: len(names), c] = True
        if context.kind == "deployment":
            subversive[: len(names), c] = [name in context.subversive for name in names]
        if context.twin is not None:
            twin[c] = order.index(context.twin)
            there = list(contexts[context.twin].responses)
            twin_response[: len(names), c] = [there.index(response) for response in names]

    def of_contexts(key: str) -> Array:
        changed: Mapping[str, float] = getattr(phase, key, {})
        return numbers.stacked(
            (f"{in_phase}.{key}.{name}", changed[name])
            if name in changed
            else (f"scenario.contexts.{name}.{key}", getattr(context, key))
            for name, context in contexts.items()
        )

    phi = _by_response(numbers.stacked(features), len(contexts), maximum, len(scenario.values))
    r = _by_response(numbers.stacked(reward), len(contexts), maximum)
    kinds = [context.kind for context in contexts.values()]
    training = np.array([kind == "training" for kind in kinds])
    weight = np.where(training[:, None], of_contexts("weight"), 0.0)
    weight /= weight.max(axis=0)
    exists = present[:, :, None]
    return World(
        features=np.where(exists[1:, ..., None], phi[1:] - phi[0], 0.0),
        reward=np.where(exists[1:], r[1:] - r[0], 0.0),
        first_reward=r[0],
        absent=None if present.all() else ~exists[1:],
        weight=weight / np.cumsum(weight, axis=0)[-1],  # in order, for one run as for many
        info=of_contexts("info"),
        scratchpad=of_contexts("scratchpad"),
        cue=of_contexts("cue"),
        monitor=of_contexts("monitor"),
        similarity=_similarity(scenario, numbers),
        places=np.arange(len(contexts)),
        trained=np.flatnonzero(weight.any(axis=1)),
        training=training,
        pre_deployment=np.array([kind in PRE_DEPLOYMENT for kind in kinds]),
        looks_best=exists & (r == np.where(exists, r, -np.inf).max(axis=0)),
        subversive=subversive,
        twin=twin,
        twin_response=twin_response,
    )


def compile_assumptions(training: Training, layout: Layout, numbers: Source) -> Assumptions:
    """Turn a training spec into arrays."""
    rates = {
        kind: numbers(f"training.learning_rate.{kind}", getattr(training.learning_rate, kind))
        for kind in LearningRate.model_fields
    }
    return Assumptions(
        estimator=training.estimator,
        episodes=training.episodes,
        update_rule=training.update_rule,
        motive_credit=numbers("training.motive_credit", training.motive_credit),
        leak=numbers("training.leak", training.leak),
        spread=numbers("training.spread", training.spread),
        anchor=numbers("training.anchor", training.anchor),
        visible_gaming_penalty=numbers(
            "training.visible_gaming_penalty", training.visible_gaming_penalty
        ),
        transfer=numbers.stacked(
            (f"training.transfer.{name}", getattr(training.transfer, name)) for name in CAPABILITIES
        ),
        learning_rate=stack([rates[name.partition(".")[0]] for name in layout.names]),
    )


def _segments(
    scenario: Scenario,
    training: Training,
    layout: Layout,
    numbers: Numbers,
    interventions: Sequence[Intervention],
    acts: Sequence[Act],
) -> tuple[Segment, ...]:
    """Compile the phases, cut where an intervention starts or ends."""
    cuts = {one.start for one in interventions} | {one.stop for one in interventions}
    segments: list[Segment] = []
    for index, start, stop in _phases(scenario, training.steps):
        inside = sorted({cut for cut in cuts if cut is not None and start < cut < stop})
        if stop == training.steps and training.steps in cuts:
            inside.append(stop)  # what ends with training is over when agents are looked at then
        for since, until in pairwise([start, *inside, stop]):
            done = in_force(interventions, scenario, start=since, end=max(until, since + 1))
            seen = Intervened(numbers, done) if done else numbers
            assumptions = compile_assumptions(training, layout, seen)
            held = held_rows(acts, start=since, end=max(until, since + 1))
            if len(held):
                rates = assumptions.learning_rate.copy()
                rates[held] = 0.0
                assumptions = replace(assumptions, learning_rate=rates)
            world = compile_world(scenario, seen, index)
            segments.append(Segment(since, until, _phase_name(scenario, index), world, assumptions))
    return tuple(segments)


def _phases(scenario: Scenario, steps: int) -> Iterator[tuple[int | None, int, int]]:
    """Yield the number of each phase of the curriculum, where it starts and where it stops."""
    if not scenario.curriculum:
        yield None, 0, steps
        return
    start, last = 0, len(scenario.curriculum) - 1
    for index, phase in enumerate(scenario.curriculum):
        stop = steps if index == last else min(start + phase.length, steps)
        if start < stop:
            yield index, start, stop
        start = stop


def _phase_name(scenario: Scenario, index: int | None) -> str:
    if index is None:
        return ""
    return scenario.curriculum[index].name or f"phase {index + 1}"


def _selection(training: Training, agents: int) -> Selection | None:
    spec = training.selection
    if not spec.every:
        return None
    kept = max(1, math.ceil(round(spec.keep * agents, 9)))  # 0.07 of 100 are 7
    return Selection(spec.every, spec.episodes, kept, spec.mutation)


def _by_response(numbers: Array, contexts: int, *per_context: int) -> Array:
    """Bring numbers from the order context, response, ... into response, context, ..."""
    return numbers.reshape(contexts, *per_context, numbers.shape[-1]).swapaxes(0, 1)


def _similarity(scenario: Scenario, numbers: Source) -> Array:
    names, given = list(scenario.contexts), scenario.similarity
    if isinstance(given, tuple):
        cells = [
            (f"scenario.similarity.{i}.{j}", number)
            for i, row in enumerate(given)
            for j, number in enumerate(row)
        ]
    else:
        cells = [_pair(given or {}, a, b) for a in names for b in names]
    return numbers.stacked(cells).reshape(len(names), len(names), -1)


def _pair(given: Mapping[str, Mapping[str, float]], a: str, b: str) -> tuple[str, float]:
    """Return where the similarity of two contexts is said, one way or the other, and what."""
    for first, second in ((a, b), (b, a)):
        if second in given.get(first, {}):
            return f"scenario.similarity.{first}.{second}", given[first][second]
    return "", 1.0


T = TypeVar("T", World, Assumptions)


def _taken(thing: T, rows: Rows, names: tuple[str, ...]) -> T:
    changed: dict[str, Any] = {name: take(getattr(thing, name), rows) for name in names}
    return replace(thing, **changed)


def _freeze(thing: object) -> None:
    """Make every array of a program read-only: engines copy what they change."""
    if isinstance(thing, np.ndarray):
        thing.setflags(write=False)
    elif isinstance(thing, tuple):
        for part in thing:
            _freeze(part)
    elif hasattr(thing, "__dataclass_fields__"):
        for field in fields(thing):  # type: ignore[arg-type]
            _freeze(getattr(thing, field.name))
