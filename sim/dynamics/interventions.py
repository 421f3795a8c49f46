"""Interventions in the course of training: what is held, and who has other traits for a while.

What is done to contexts and to training is compiled into segments (`Intervened` numbers in
`sim.dynamics.compile`), so engines see nothing but another segment. What is done to agents happens
between two steps (`act`), as selection does:

    hold     rows of θ are set, or stay as they are; they learn nothing, and the anchor leaves them
    gate     habits are out of reach of any incentive, and come back as they were
    scale    rows of θ are multiplied, once
    traits   have another number, and then their own again

What is done to oversight and to deployment comes after all of this, and is nothing here
(`sim.specs.intervened`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.dynamics.columns import Numbers, Source, take
from sim.dynamics.population import Traits
from sim.dynamics.state import Array, Layout
from sim.specs.errors import SpecError
from sim.specs.intervention import Intervention
from sim.specs.scenario import Scenario

if TYPE_CHECKING:
    from sim.dynamics.compile import Program

#: A habit that no incentive outweighs: the decision is 0 or 1 to the last bit.
OUT_OF_REACH = 1e4

Rows = slice | NDArray[np.intp]


@dataclass(frozen=True)
class Act:
    """One thing that is done to agents.

    Attributes:
        how: What is done.
        rows: Of θ, which; of traits, none.
        trait: The name of a trait; "" of a state.
        number: What is set or multiplied by [·]; not used where state stays as it is.
        start, stop: From which step on, and before which it ends.
    """

    how: Literal["set", "freeze", "scale", "gate"]
    rows: NDArray[np.intp]
    trait: str
    number: Array
    start: int
    stop: int

    def take(self, rows: Rows) -> Act:
        """Return the act on some agents."""
        return replace(self, number=take(self.number, rows))

    @property
    def holds(self) -> bool:
        """Whether rows of θ are held."""
        return not self.trait and self.how != "scale"


@dataclass(frozen=True)
class Intervened(Source):
    """Numbers as they are while interventions are in force; what `Numbers` is otherwise.

    Args:
        numbers: What the specs, and columns, say.
        done: By full key, what is done to it: the intervention's number in the list, and itself.
    """

    numbers: Numbers
    done: Mapping[str, Sequence[tuple[int, Intervention]]]

    def __call__(self, key: str, said: ArrayLike) -> Array:
        """Return the number of a key, [1] or [N]."""
        number = self.numbers(key, said)
        for index, one in self.done.get(in_any_phase(key), ()):
            if one.set is not None:
                number = self.numbers(f"interventions.{index}.set", one.set)
            elif one.scale is not None:
                number = number * self.numbers(f"interventions.{index}.scale", one.scale)
        return number


def in_any_phase(key: str) -> str:
    """Return the key of a context's number, for one that a phase of the curriculum says."""
    parts = key.split(".")
    if parts[:2] == ["scenario", "curriculum"]:  # scenario.curriculum.0.weight.coding
        _, _, _, number, context, *response = parts
        return ".".join(["scenario", "contexts", context, number, *response])
    return key


def in_force(
    interventions: Sequence[Intervention], scenario: Scenario, *, start: int, end: int
) -> dict[str, list[tuple[int, Intervention]]]:
    """Return what is done to numbers of contexts and of training from step `start` to `end`."""
    done: dict[str, list[tuple[int, Intervention]]] = {}
    for index, one in enumerate(interventions):
        lasts = one.stop is None or end <= one.stop
        if one.subject in ("scenario", "training") and one.start <= start and lasts:
            for key in one.names(scenario):
                done.setdefault(key, []).append((index, one))
    return done


def compile_acts(
    interventions: Sequence[Intervention],
    scenario: Scenario,
    *,
    layout: Layout,
    numbers: Numbers,
    steps: int,
) -> tuple[Act, ...]:
    """Turn what is done to agents into arrays.

    Raises:
        SpecError: Two interventions would hold the same at the same time, or there is nothing of
            the name that one gives.
    """
    acts: list[Act] = []
    for index, one in enumerate(interventions):
        if one.subject not in ("gaming", "state", "agent"):
            continue
        stop = steps + 1 if one.stop is None else one.stop
        names = one.names(scenario)
        here = f"interventions.{index}"
        if one.subject == "gaming":
            assert one.set is not None
            number = np.array([OUT_OF_REACH if one.set else -OUT_OF_REACH])
            acts.append(Act("gate", _rows(layout, names), "", number, one.start, stop))
            continue
        if one.set is not None:
            how, number = "set", numbers(f"{here}.set", one.set)
        elif one.scale is not None:
            how, number = "scale", numbers(f"{here}.scale", one.scale)
        else:
            how, number = "freeze", np.zeros(1)
        if one.subject == "state":
            acts.append(Act(how, _rows(layout, names), "", number, one.start, stop))  # type: ignore[arg-type]
        else:
            nothing = np.zeros(0, np.intp)
            acts += [
                Act(how, nothing, name.removeprefix("agent."), number, one.start, stop)  # type: ignore[arg-type]
                for name in names
            ]
    _check_apart([act for act in acts if act.holds], layout)
    return tuple(acts)


def _rows(layout: Layout, names: Sequence[str]) -> NDArray[np.intp]:
    return np.array([layout.names.index(name) for name in names], np.intp)


def _check_apart(holds: Sequence[Act], layout: Layout) -> None:
    for i, one in enumerate(holds):
        for other in holds[:i]:
            both = np.intersect1d(one.rows, other.rows)
            if len(both) and one.start < other.stop and other.start < one.stop:
                raise SpecError(
                    f"interventions: two of them hold {layout.names[both[0]]} at step "
                    f"{max(one.start, other.start)}; let one end before the other starts"
                )


def held_rows(acts: Sequence[Act], *, start: int, end: int) -> NDArray[np.intp]:
    """Return the rows of θ that are held from step `start` to `end`."""
    rows = [act.rows for act in acts if act.holds and act.start <= start and end <= act.stop]
    return np.concatenate([np.zeros(0, np.intp), *rows])


def acting(program: Program) -> set[int]:
    """Return the steps before which something is done to agents, or comes to its end."""
    steps = {step for act in program.acts for step in (act.start, act.stop)}
    return {step for step in steps if step <= program.steps}


def act(program: Program, theta: Array, *, step: int) -> Program:
    """Return the program as it goes on from a step at which something is done, or ends.

    Args:
        program: Agents in training.
        theta: Where they are, θ [P, N].
        step: The step before which it happens.
    """
    theta = theta.copy()
    anchored, kept = program.pulled_to.copy(), program.kept.copy()
    for one in program.acts:
        if one.trait or one.stop != step:
            continue
        if one.how == "gate":
            theta[one.rows] = kept[one.rows]
        anchored[one.rows] = program.origin[one.rows]
    for one in program.acts:
        if one.trait or one.start != step:
            continue
        if one.how == "scale":
            theta[one.rows] *= one.number
            continue
        if one.how == "gate":
            kept[one.rows] = theta[one.rows]
        if one.how != "freeze":
            theta[one.rows] = one.number
        anchored[one.rows] = theta[one.rows]
    traits = traits_at(program, step)
    return replace(
        program,
        theta=theta,
        anchored=anchored,
        saved=kept,
        traits=traits,
        natural=program.own_traits,
    )


def hold_again(program: Program, *, step: int) -> Program:
    """Return the program with what is held as it is held, whatever a mutation made of it."""
    rows = held_rows(program.acts, start=step, end=step + 1)
    if not len(rows):
        return program
    theta = program.theta.copy()
    theta[rows] = program.pulled_to[rows]
    return replace(program, theta=theta)


def traits_at(program: Program, step: int) -> Traits:
    """Return the traits that agents have at a step: their own, but for interventions."""
    changed: dict[str, Array] = {}
    for one in program.acts:
        if one.trait and one.start <= step < one.stop:
            now = changed.get(one.trait, getattr(program.own_traits, one.trait))
            number = np.broadcast_to(one.number, now.shape)
            changed[one.trait] = number.copy() if one.how == "set" else now * number
    if "scratchpad_saving" in changed:
        changed["scratchpad_saving"] = changed["scratchpad_saving"].clip(0.0, 1.0)
    return replace(program.own_traits, **changed)
