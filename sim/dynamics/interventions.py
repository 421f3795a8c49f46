"""Interventions, applied to a compiled program: other numbers in segments, and events for agents.

What changes numbers of contexts or of training cuts segments where it starts and stops, and changes
the arrays of those between. What acts on agents happens between two steps (`act`), as selection
does:

    set, freeze  rows of θ are held: they learn nothing, and the anchor leaves them
    gate         habits are held out of reach of any incentive, and come back as they were
    scale        rows of θ are multiplied, once
    traits       have another number, and then their own again

What acts on oversight and deployment comes after training (`sim.specs.intervention`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from types import EllipsisType
from typing import TypeVar

import numpy as np

from sim.dynamics.columns import Numbers
from sim.dynamics.population import Traits
from sim.dynamics.program import (
    AgentIntervention,
    Assumptions,
    Indices,
    Operation,
    Program,
    Segment,
    World,
)
from sim.dynamics.state import Array, Layout
from sim.specs.agent import CAPABILITIES
from sim.specs.errors import SpecError
from sim.specs.intervention import Intervention
from sim.specs.keys import check_number
from sim.specs.scenario import Scenario

#: A habit that no incentive outweighs: the decision is 0 or 1 to the last bit.
OUT_OF_REACH = 1e4

T = TypeVar("T", World, Assumptions, Traits)
#: Where a number stands in an array.
Place = int | tuple[int, int] | slice | EllipsisType
#: The numbers of contexts that others follow from (`World.derive`).
_STATED_AS = {"weight": "raw_weight"}


def intervene(
    program: Program,
    interventions: Sequence[Intervention],
    scenario: Scenario,
    numbers: Numbers,
    stated: Traits,
) -> Program:
    """Return a program with interventions, which act in their order.

    Where runs differ in them, numbers have columns of `interventions.INDEX.set` and `.scale`. Two
    that would hold the same at the same time are refused (SpecError), and those that together make
    a number what its key does not allow: of traits, those that are `stated`, before any draw.
    """
    on_agents = tuple(_on_agents(program, interventions, scenario, numbers))
    _check_apart([each for each in on_agents if each.holds_rows], program.layout)
    segments = []
    for segment in _cut(program, interventions):
        end = max(segment.stop, segment.start + 1)
        active = [
            (index, each)
            for index, each in enumerate(interventions)
            if each.start <= segment.start and (each.stop is None or end <= each.stop)
        ]
        change = partial(_change, active, scenario, program.layout, numbers)
        change("agent", stated)
        world, assumptions = (
            change("scenario", segment.world),
            change("training", segment.assumptions),
        )
        rows = _held_rows(on_agents, segment.start, end)
        if len(rows):
            rates = assumptions.learning_rate.copy()
            rates[rows] = 0.0
            assumptions = assumptions.with_numbers(learning_rate=rates)
        segments.append(replace(segment, world=world, assumptions=assumptions))
    return replace(program, segments=tuple(segments), interventions=on_agents)


def _cut(program: Program, interventions: Sequence[Intervention]) -> Iterator[Segment]:
    """Yield the segments, cut where an intervention starts or stops.

    An intervention that stops with training is over in an empty segment at the end.
    """
    steps = {each.start for each in interventions} | {each.stop for each in interventions}
    for segment in program.segments:
        inside = sorted(t for t in steps if t is not None and segment.start < t < segment.stop)
        if segment.stop == program.steps and program.steps in steps:
            inside.append(segment.stop)
        for start, stop in pairwise([segment.start, *inside, segment.stop]):
            yield replace(segment, start=start, stop=stop)


def _change(
    active: Sequence[tuple[int, Intervention]],
    scenario: Scenario,
    layout: Layout,
    numbers: Numbers,
    subject: str,
    owner: T,
) -> T:
    """Return a world, assumptions or traits in which interventions have set or scaled numbers.

    They are judged together, as one may mend what another would break; a SpecError names the last
    one before which all was well.
    """
    arrays: dict[str, Array] = {}
    problems: dict[str, str] = {}
    for index, each in active:
        for key in each.names(scenario) if each.subject == subject else ():
            name, place = _find(key, scenario, layout)
            array: Array = arrays.get(name, getattr(owner, name))
            if each.set is not None:
                number = numbers(f"interventions.{index}.set", each.set)
            else:
                assert each.scale is not None
                factor = numbers(f"interventions.{index}.scale", each.scale)
                with np.errstate(over="ignore"):
                    number = array[place] * factor
            width = max(array.shape[-1], number.shape[-1])
            arrays[name] = np.broadcast_to(array, (*array.shape[:-1], width)).copy()
            arrays[name][place] = number
            try:
                _check_range(index, key, number)
                problems.pop(key, None)
            except SpecError as error:
                problems.setdefault(key, str(error))
        if "raw_weight" in arrays and isinstance(owner, World):
            if arrays["raw_weight"][owner.training].any(axis=0).all():
                problems.pop("weight", None)
            else:
                need = "nothing is trained on: a context of kind training needs a weight above 0"
                problems.setdefault("weight", f"interventions[{index}]: scenario.contexts: {need}")
    for problem in problems.values():
        raise SpecError(problem)
    return owner.with_numbers(**arrays) if arrays else owner


def _check_range(index: int, key: str, number: Array) -> None:
    """Refuse what an intervention makes of a key's number where the key does not allow it."""
    try:
        for extreme in (number.min(), number.max()):
            check_number(key, float(extreme))
    except SpecError as error:
        raise SpecError(f"interventions[{index}]: {error}") from None


def _find(key: str, scenario: Scenario, layout: Layout) -> tuple[str, Place]:
    """Return which array of a world, or of assumptions, has the number of a key, and where."""
    match key.split("."):
        case ["training" | "agent", name]:
            return name, ...
        case ["training", "generalisation", kind]:
            return f"{kind}_generalisation", ...
        case ["training", "transfer", capability]:
            return "transfer", CAPABILITIES.index(capability)
        case ["training", "learning_rate", kind]:
            return "learning_rate", layout.rows.get(kind, slice(0))
        case ["scenario", "contexts", context, name, response]:
            k = list(scenario.contexts[context].responses).index(response)
            return name, (k, layout.contexts.index(context))
        case [_, _, context, name]:
            return _STATED_AS.get(name, name), layout.contexts.index(context)
    raise AssertionError(key)


def _on_agents(
    program: Program, interventions: Sequence[Intervention], scenario: Scenario, numbers: Numbers
) -> Iterator[AgentIntervention]:
    """Yield the interventions on agents as arrays."""
    layout = program.layout
    for index, each in enumerate(interventions):
        if each.subject not in ("gaming", "state", "agent"):
            continue
        names, number = each.names(scenario), np.zeros(1)
        operation: Operation = each.operation
        if each.subject == "gaming":
            operation, number = "gate", np.array([OUT_OF_REACH if each.set else -OUT_OF_REACH])
        elif each.set is not None:
            number = numbers(f"interventions.{index}.set", each.set)
            if each.subject == "state":
                _check_range(index, f"agent.{names[0]}", number)
        elif each.scale is not None:
            number = numbers(f"interventions.{index}.scale", each.scale)
        time = each.start, program.steps + 1 if each.stop is None else each.stop
        if each.subject == "agent":
            for name in names:
                trait = name.removeprefix("agent.")
                yield AgentIntervention(operation, np.zeros(0, np.intp), trait, number, *time)
        else:
            rows = np.array([layout.names.index(name) for name in names], np.intp)
            yield AgentIntervention(operation, rows, "", number, *time)


def _check_apart(holding: Sequence[AgentIntervention], layout: Layout) -> None:
    for i, each in enumerate(holding):
        for earlier in holding[:i]:
            both = np.intersect1d(each.rows, earlier.rows)
            if len(both) and each.start < earlier.stop and earlier.start < each.stop:
                raise SpecError(
                    f"interventions: two of them hold {layout.names[both[0]]} at step "
                    f"{max(each.start, earlier.start)}; let one end before the other starts"
                )


def _held_rows(interventions: Sequence[AgentIntervention], start: int, end: int) -> Indices:
    """Return the rows of θ that are held from step `start` to `end`."""
    holding = [each for each in interventions if each.holds_rows]
    rows = [each.rows for each in holding if each.start <= start and end <= each.stop]
    return np.concatenate([np.zeros(0, np.intp), *rows])


def intervention_steps(program: Program) -> set[int]:
    """Return the steps before which an intervention on agents starts or stops."""
    steps = {step for each in program.interventions for step in (each.start, each.stop)}
    return {step for step in steps if step <= program.steps}


def act(program: Program, theta: Array, *, step: int) -> Program:
    """Return the program as it goes on, from θ [P, N], where interventions start or stop."""
    theta, anchor = theta.copy(), program.anchor_or_origin.copy()
    ungated = theta.copy() if program.ungated is None else program.ungated.copy()
    for each in program.interventions:
        if each.holds_rows and each.stop == step:
            if each.operation == "gate":
                theta[each.rows] = ungated[each.rows]
            anchor[each.rows] = program.origin[each.rows]
    for each in program.interventions:
        if each.trait or each.start != step:
            continue
        if each.operation == "scale":
            theta[each.rows] *= each.number
            continue
        if each.operation == "gate":
            ungated[each.rows] = theta[each.rows]
        if each.operation != "freeze":
            theta[each.rows] = each.number
        anchor[each.rows] = theta[each.rows]
    own = program.traits if program.own_traits is None else program.own_traits
    return replace(
        program,
        theta=theta,
        anchor=anchor,
        ungated=ungated,
        traits=_traits_at(program, own, step),
        own_traits=own,
    )


def hold_again(program: Program, *, step: int) -> Program:
    """Return the program with held rows of θ where they are held, not where mutation put them."""
    rows = _held_rows(program.interventions, step, step + 1)
    theta = program.theta.copy()
    theta[rows] = program.anchor_or_origin[rows]
    return replace(program, theta=theta)


def _traits_at(program: Program, own: Traits, step: int) -> Traits:
    """Return the traits of agents at a step: their own, but for interventions."""
    arrays: dict[str, Array] = {}
    for each in program.interventions:
        if each.trait and each.start <= step < each.stop:
            current = arrays.get(each.trait, getattr(own, each.trait))
            number = np.broadcast_to(each.number, current.shape)
            arrays[each.trait] = number.copy() if each.operation == "set" else current * number
    if "scratchpad_saving" in arrays:
        arrays["scratchpad_saving"] = arrays["scratchpad_saving"].clip(0.0, 1.0)
    return replace(own, **arrays)
