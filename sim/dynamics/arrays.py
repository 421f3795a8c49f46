"""From specs to arrays: everything an engine needs, compiled once (MODEL.md sections 1, 2, 4).

Axes stand in the order response (K), context (C), value (D), agent (n, always last). Numbers of a
context have a trailing axis of length 1 where all agents share them.

Nothing in the model depends on Φ, u or R but through differences between responses of one context,
so the first response serves as origin: what is measured over responses is measured against it, and
arrays over responses hold the K − 1 others. For K = 2 that halves the work of a step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sim.dynamics.population import Traits, draw_initial, draw_traits
from sim.dynamics.state import AgentState, Array, Layout
from sim.spec.agent import CAPABILITIES, Agent
from sim.spec.scenario import PRE_DEPLOYMENT, Phase, Scenario
from sim.spec.training import LearningRate, Training


@dataclass(frozen=True)
class World:
    """The contexts of one phase as arrays.

    Attributes:
        features: Φ [K − 1, C, D], against the first response; zero where there is no k-th.
        reward: R [K − 1, C, 1], likewise.
        first_reward: R of the first response [C, 1].
        absent: [K − 1, C, 1], true where a context has no k-th response; None if all have K.
        weight: p [C, 1], normalised over the training contexts, zero elsewhere.
        info, scratchpad, cue, monitor: i, s, e, m [C, 1].
        similarity: S [C', C]: how far a habit learnt in c serves in c'.
        places: [C], the rows of h that belong to these contexts.
        trained: [T], the contexts with p > 0.
        training: [C], kind is training.
        pre_deployment: [C], kind is training, evaluation or red_team.
        looks_best: [K, C], whether a response has the highest reward of its context.
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
    twin: NDArray[np.intp]
    twin_response: NDArray[np.intp]

    def where_trained(self) -> World:
        """Return the part of this world that feeds gradients: all that a training step looks at."""
        here = self.trained
        absent = None if self.absent is None else self.absent[:, here]
        return replace(
            self,
            features=np.ascontiguousarray(self.features[:, here]),
            absent=absent if absent is not None and absent.any() else None,
            similarity=np.ascontiguousarray(self.similarity[:, here]),
            trained=np.arange(len(here)),
            **{name: getattr(self, name)[here] for name in _PER_CONTEXT},
            **{name: getattr(self, name)[:, here] for name in _PER_RESPONSE},
        )


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
_PER_RESPONSE = ("reward", "looks_best", "twin_response")


@dataclass(frozen=True)
class Assumptions:
    """How training turns reward into change: the table of MODEL.md section 4.

    Arrays have shape [1] (or [n], one number for each agent); `learning_rate` is [P, 1], a row
    for each parameter; `transfer` is [J, 1].
    """

    update_rule: Literal["policy_gradient", "replicator"]
    motive_credit: Array
    leak: Array
    spread: Array
    anchor: Array
    visible_gaming_penalty: Array
    transfer: Array
    learning_rate: Array


@dataclass(frozen=True)
class Segment:
    """A stretch of steps, start <= t < stop, in which nothing about the world changes."""

    start: int
    stop: int
    phase: str
    world: World
    assumptions: Assumptions


@dataclass(frozen=True)
class Program:
    """A run as arrays: where it starts, and what holds when.

    Attributes:
        layout: Which row of θ is which parameter.
        responses: The names of each context's responses.
        kinds: The kind of each context.
        human_values: w [D, 1]; zeros if the scenario names none.
        traits: Each agent's fixed numbers, each [N].
        theta: θ_0 [P, N].
        segments: Without gaps, from step 0; the last holds for its `stop` as well.
    """

    layout: Layout
    responses: tuple[tuple[str, ...], ...]
    kinds: tuple[str, ...]
    human_values: Array
    traits: Traits
    theta: Array
    segments: tuple[Segment, ...]

    @property
    def agents(self) -> int:
        """N: the number of agents."""
        return int(self.theta.shape[1])

    @property
    def steps(self) -> int:
        """T: the number of training steps."""
        return self.segments[-1].stop

    def at(self, step: int) -> Segment:
        """Return the segment in force at a step; at the end of training, the last one."""
        return next((s for s in self.segments if step < s.stop), self.segments[-1])


def compile_program(
    scenario: Scenario,
    *,
    agent: Agent,
    training: Training,
    agents: int,
    seed: int,
    initial: AgentState | None = None,
) -> Program:
    """Turn specs into arrays.

    Raises:
        SpecError: The agent's numbers do not fit the scenario or the number of agents.
    """
    layout = Layout(scenario.values, tuple(scenario.contexts))
    theta = draw_initial(agent, scenario=scenario, layout=layout, agents=agents, seed=seed)
    if initial is not None:
        initial.write_to(theta, layout)
    program = Program(
        layout=layout,
        responses=tuple(tuple(context.responses) for context in scenario.contexts.values()),
        kinds=tuple(context.kind for context in scenario.contexts.values()),
        human_values=_by_name(scenario.human_values, scenario.values)[:, None],
        traits=draw_traits(agent, agents=agents, seed=seed),
        theta=theta,
        segments=_segments(scenario, training, layout),
    )
    _freeze(program)
    return program


def compile_world(scenario: Scenario, phase: Phase | None = None) -> World:
    """Turn the contexts of a scenario, as they are in one phase, into arrays."""
    contexts = scenario.contexts
    count = len(contexts)
    most = max(len(context.responses) for context in contexts.values())
    features = np.zeros((most, count, len(scenario.values)))
    reward = np.zeros((most, count))
    present = np.zeros((most, count), dtype=bool)
    twin = np.full(count, -1)
    twin_response = np.full((most, count), -1)
    order = list(contexts)
    changed_reward = phase.reward if phase else {}
    for c, (name, context) in enumerate(contexts.items()):
        rewards = {**context.reward, **changed_reward.get(name, {})}
        for k, (response, serves) in enumerate(context.responses.items()):
            features[k, c] = _by_name(serves, scenario.values)
            reward[k, c] = rewards.get(response, 0.0)
            present[k, c] = True
            if context.twin is not None:
                twin[c] = order.index(context.twin)
                twin_response[k, c] = list(contexts[context.twin].responses).index(response)
    kinds = [context.kind for context in contexts.values()]
    training = np.array([kind == "training" for kind in kinds])
    weight = np.where(training, _numbers(scenario, phase, "weight"), 0.0)
    weight /= weight.max()
    return World(
        features=np.where(present[1:, :, None], features[1:] - features[0], 0.0),
        reward=np.where(present[1:], reward[1:] - reward[0], 0.0)[:, :, None],
        first_reward=reward[0][:, None],
        absent=None if present.all() else ~present[1:, :, None],
        weight=(weight / weight.sum())[:, None],
        info=_numbers(scenario, phase, "info")[:, None],
        scratchpad=_numbers(scenario, phase, "scratchpad")[:, None],
        cue=_numbers(scenario, phase, "cue")[:, None],
        monitor=_numbers(scenario, phase, "monitor")[:, None],
        similarity=_similarity(scenario),
        places=np.arange(count),
        trained=np.flatnonzero(weight),
        training=training,
        pre_deployment=np.array([kind in PRE_DEPLOYMENT for kind in kinds]),
        looks_best=present & (reward == np.where(present, reward, -np.inf).max(axis=0)),
        twin=twin,
        twin_response=twin_response,
    )


def compile_assumptions(training: Training, layout: Layout) -> Assumptions:
    """Turn a training spec into arrays."""
    learning_rate = np.empty((layout.size, 1))
    for kind in LearningRate.model_fields:
        learning_rate[layout.rows[kind]] = getattr(training.learning_rate, kind)
    return Assumptions(
        update_rule=training.update_rule,
        motive_credit=np.array([training.motive_credit]),
        leak=np.array([training.leak]),
        spread=np.array([training.spread]),
        anchor=np.array([training.anchor]),
        visible_gaming_penalty=np.array([training.visible_gaming_penalty]),
        transfer=np.array([[getattr(training.transfer, name)] for name in CAPABILITIES]),
        learning_rate=learning_rate,
    )


def _segments(scenario: Scenario, training: Training, layout: Layout) -> tuple[Segment, ...]:
    assumptions = compile_assumptions(training, layout)
    phases: tuple[Phase | None, ...] = scenario.curriculum or (None,)
    segments, start = [], 0
    for index, phase in enumerate(phases):
        last = phase is phases[-1]
        stop = training.steps if phase is None or last else start + phase.length
        stop = min(stop, training.steps)
        if start < stop:
            name = "" if phase is None else phase.name or f"phase {index + 1}"
            world = compile_world(scenario, phase)
            segments.append(Segment(start, stop, name, world, assumptions))
        start = stop
    return tuple(segments)


def _numbers(scenario: Scenario, phase: Phase | None, key: str) -> Array:
    changed: Mapping[str, float] = getattr(phase, key, {})
    return np.array(
        [changed.get(name, getattr(context, key)) for name, context in scenario.contexts.items()]
    )


def _similarity(scenario: Scenario) -> Array:
    names = list(scenario.contexts)
    given = scenario.similarity
    if isinstance(given, tuple):
        return np.array(given)
    matrix = np.ones((len(names), len(names)))
    pairs = {(a, b): s for a, row in (given or {}).items() for b, s in row.items()}
    for (a, b), value in pairs.items():
        i, j = names.index(a), names.index(b)
        matrix[i, j] = value
        matrix[j, i] = pairs.get((b, a), value)
    return matrix


def _by_name(numbers: Mapping[str, float], names: tuple[str, ...]) -> Array:
    return np.array([numbers.get(name, 0.0) for name in names])


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
