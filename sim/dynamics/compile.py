"""From specs to arrays: a run, or many runs that differ in numbers, compiled into one program."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

import numpy as np
from numpy.typing import ArrayLike

from sim.dynamics.columns import NoColumnError, Numbers, stack
from sim.dynamics.interventions import intervene
from sim.dynamics.population import AgentIds, check_names, draw_initial, draw_traits, stated_traits
from sim.dynamics.program import Assumptions, Program, Segment, Selection, World
from sim.dynamics.state import AgentState, Array, Layout
from sim.specs.agent import CAPABILITIES, Agent
from sim.specs.intervention import Intervention
from sim.specs.keys import is_vectorisable
from sim.specs.scenario import PRE_DEPLOYMENT, Scenario
from sim.specs.training import Generalisation, LearningRate, Training


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
    """Return the program of one run, or of many runs that differ in numbers only.

    Run r has its own seed, and the agents from r · `agents` on. `initial` is every agent's starting
    state, explicitly. Runs differ in `columns`: by full key, a number for each run, which goes
    before that of the specs. These are taken to be allowed (see `sim.sweeps.design`); a key that
    runs of one program cannot differ in is a NoColumnError. An agent whose numbers do not fit the
    scenario, or how many agents there are, is a SpecError.
    """
    ids = AgentIds.of_runs(seed, agents=agents)
    numbers = Numbers(columns, agents=agents)
    layout = Layout(
        scenario.values,
        tuple(scenario.contexts),
        tuple(tuple(context.responses) for context in scenario.contexts.values()),
        with_propensity=_uses_propensity(
            agent, training, initial, columns, interventions, scenario
        ),
    )
    check_names(agent, scenario, layout)
    theta = draw_initial(agent, scenario=scenario, layout=layout, ids=ids, numbers=numbers)
    if initial is not None:
        initial.write_to(theta, layout)
    human = [
        (f"scenario.human_values.{v}", scenario.human_values.get(v, 0.0)) for v in layout.values
    ]
    assumptions = compile_assumptions(training, layout, numbers)
    stated = stated_traits(agent, ids=ids, numbers=numbers)
    program = Program(
        layout=layout,
        kinds=tuple(context.kind for context in scenario.contexts.values()),
        human_values=numbers.stacked(human),
        traits=draw_traits(agent, stated, ids=ids, numbers=numbers),
        agent_ids=ids,
        theta=theta,
        origin=theta.copy(),
        ancestor=ids.rows.astype(np.intp),
        segments=tuple(
            Segment(start, stop, name, compile_world(scenario, numbers, phase), assumptions)
            for phase, name, start, stop in _phases(scenario, training.steps)
        ),
        selection=_selection(training, agents),
    )
    program = intervene(program, interventions, scenario, numbers, stated)
    # A number that may be a column can be without effect: phases of the curriculum replace it.
    unread = [key for key in numbers.unread if not is_vectorisable(key)]
    if unread:
        raise NoColumnError(f"{min(unread)}: nothing in the arrays depends on it")
    _freeze(program)
    return program


def _uses_propensity(
    agent: Agent,
    training: Training,
    initial: AgentState | None,
    columns: Mapping[str, ArrayLike] | None,
    interventions: Sequence[Intervention],
    scenario: Scenario,
) -> bool:
    """Return whether propensities may be anything but 0: else they need no rows of θ."""
    selection = training.selection
    stated = (
        agent.initial.propensity,
        agent.spread.initial.propensity,
        training.learning_rate.propensity,
        selection.every and selection.mutation,
        None
        if initial is None or initial.propensity is None
        else np.any(np.asarray(initial.propensity, dtype=object)),
        any("propensity" in key for key in columns or {}),
        any(
            name.startswith(("propensity.", "training.learning_rate.propensity"))
            for each in interventions
            for name in each.names(scenario)
        ),
    )
    return any(stated)


def compile_world(scenario: Scenario, numbers: Numbers, phase_index: int | None = None) -> World:
    """Return the contexts of a scenario, as they are in one phase, as arrays."""
    contexts = scenario.contexts
    phase = None if phase_index is None else scenario.curriculum[phase_index]
    in_phase = f"scenario.curriculum.{phase_index}"
    order = list(contexts)
    maximum = max(len(context.responses) for context in contexts.values())
    present = np.zeros((maximum, len(contexts)), dtype=bool)
    shares = np.full((maximum, len(contexts), 1), np.nan)
    known: dict[str, int] = {}
    response = np.full((maximum, len(contexts)), -1)
    subversive = np.zeros((maximum, len(contexts)), dtype=bool)
    twin = np.full(len(contexts), -1)
    twin_response = np.full((maximum, len(contexts)), -1)
    features, reward = [], []
    for c, (name, context) in enumerate(contexts.items()):
        base = f"scenario.contexts.{name}"
        names = list(context.responses)
        phase_reward = phase.reward.get(name, {}) if phase else {}
        padding = [("", 0.0)] * (maximum - len(names))
        reward += [
            (f"{in_phase}.reward.{name}.{each}", phase_reward[each])
            if each in phase_reward
            else (f"{base}.reward.{each}", context.reward.get(each, 0.0))
            for each in names
        ] + padding
        features += [
            (f"{base}.responses.{each}.{value}", serves.get(value, 0.0))
            for each, serves in context.responses.items()
            for value in scenario.values
        ] + padding * len(scenario.values)
        present[: len(names), c] = True
        response[: len(names), c] = [known.setdefault(each, len(known)) for each in names]
        if context.demonstrations:
            shares[:, c] = 0.0
            shares[: len(names), c, 0] = [context.demonstrations.get(each, 0.0) for each in names]
        if context.kind == "deployment":
            subversive[: len(names), c] = [each in context.subversive for each in names]
        if context.twin is not None:
            twin[c] = order.index(context.twin)
            twin_names = list(contexts[context.twin].responses)
            twin_response[: len(names), c] = [twin_names.index(each) for each in names]

    def per_context(key: str) -> Array:
        phase_numbers: Mapping[str, float] = getattr(phase, key, {})
        return numbers.stacked(
            (f"{in_phase}.{key}.{name}", phase_numbers[name])
            if name in phase_numbers
            else (f"scenario.contexts.{name}.{key}", getattr(context, key))
            for name, context in contexts.items()
        )

    method = phase.method if phase else {}
    methods = [method.get(name, context.method) for name, context in contexts.items()]
    kinds = [context.kind for context in contexts.values()]
    return World.derive(
        features=_by_response(
            numbers.stacked(features), len(contexts), maximum, len(scenario.values)
        ),
        reward=_by_response(numbers.stacked(reward), len(contexts), maximum),
        absent=~present[:, :, None],
        demonstrates=np.array([[each == "demonstration"] for each in methods]),
        stated_shares=shares,
        response=response,
        response_everywhere=response,
        raw_weight=per_context("weight"),
        info=per_context("info"),
        scratchpad=per_context("scratchpad"),
        cue=per_context("cue"),
        monitor=per_context("monitor"),
        similarity=_similarity(scenario, numbers),
        training=np.array([kind == "training" for kind in kinds]),
        deployment=np.array([kind == "deployment" for kind in kinds]),
        pre_deployment=np.array([kind in PRE_DEPLOYMENT for kind in kinds]),
        subversive=subversive,
        twin=twin,
        twin_response=twin_response,
    )


def compile_assumptions(training: Training, layout: Layout, numbers: Numbers) -> Assumptions:
    """Return a training spec as arrays."""
    rates = {
        kind: numbers(f"training.learning_rate.{kind}", getattr(training.learning_rate, kind))
        for kind in LearningRate.model_fields
    }
    names = ("motive_credit", "leak", "anchor", "visible_gaming_penalty")
    return Assumptions(
        estimator=training.estimator,
        episodes=training.episodes,
        update_rule=training.update_rule,
        advantages=training.advantages,
        **{name: numbers(f"training.{name}", getattr(training, name)) for name in names},
        **{
            f"{name}_generalisation": numbers(
                f"training.generalisation.{name}", getattr(training.generalisation, name)
            )
            for name in Generalisation.model_fields
        },
        transfer=numbers.stacked(
            (f"training.transfer.{name}", getattr(training.transfer, name)) for name in CAPABILITIES
        ),
        learning_rate=stack([rates[name.partition(".")[0]] for name in layout.names]),
    )


def _phases(scenario: Scenario, steps: int) -> Iterator[tuple[int | None, str, int, int]]:
    """Yield each phase of the curriculum: its number, its name, where it starts and stops."""
    if not scenario.curriculum:
        yield None, "", 0, steps
        return
    start, last = 0, len(scenario.curriculum) - 1
    for index, phase in enumerate(scenario.curriculum):
        stop = steps if index == last else min(start + phase.length, steps)
        if start < stop:
            yield index, phase.name or f"phase {index + 1}", start, stop
        start = stop


def _selection(training: Training, agents: int) -> Selection | None:
    spec = training.selection
    if not spec.every:
        return None
    survivors = max(1, math.ceil(round(spec.keep * agents, 9)))  # 0.07 of 100 are 7
    return Selection(spec.every, spec.episodes, survivors, spec.mutation)


def _by_response(numbers: Array, contexts: int, *per_context: int) -> Array:
    """Bring numbers from the order context, response, ... into response, context, ..."""
    return numbers.reshape(contexts, *per_context, numbers.shape[-1]).swapaxes(0, 1)


def _similarity(scenario: Scenario, numbers: Numbers) -> Array:
    """Return S [C', C, ·]."""
    names, similarity = list(scenario.contexts), scenario.similarity
    if isinstance(similarity, tuple):
        cells = [
            (f"scenario.similarity.{i}.{j}", number)
            for i, row in enumerate(similarity)
            for j, number in enumerate(row)
        ]
    else:
        cells = [_pair(similarity or {}, a, b) for a in names for b in names]
    return numbers.stacked(cells).reshape(len(names), len(names), -1)


def _pair(pairs: Mapping[str, Mapping[str, float]], first: str, second: str) -> tuple[str, float]:
    """Return the key and the similarity of two contexts, stated one way or the other; else 1."""
    for a, b in ((first, second), (second, first)):
        if b in pairs.get(a, {}):
            return f"scenario.similarity.{a}.{b}", pairs[a][b]
    return "", 1.0


def _freeze(part: object) -> None:
    """Make every array of a program read-only: engines copy what they change."""
    if isinstance(part, np.ndarray):
        part.setflags(write=False)
    elif isinstance(part, tuple):
        for item in part:
            _freeze(item)
    elif hasattr(part, "__dataclass_fields__"):
        for field in fields(part):  # type: ignore[arg-type]
            _freeze(getattr(part, field.name))
