"""Runs as arrays: everything that an engine needs (MODEL.md sections 1, 2, 4).

Axes stand in the order response (K), context (C), value (D), agent (always last). The axis of
agents has length 1 where all agents share a number, and N where each has its own, as in a sweep:
its runs are agents of one program. Below, "·" stands for this axis.

Contexts may differ in how many responses they have: K is the most, and numbers of responses that a
context does not have are zero.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

import numpy as np
from numpy.typing import NDArray

from sim.dynamics.columns import Rows, take
from sim.dynamics.engines.equations import STANDARD, Equations
from sim.dynamics.population import AgentIds, Traits
from sim.dynamics.state import Array, Layout

Operation = Literal["set", "freeze", "scale", "gate"]
Flags = NDArray[np.bool_]
Indices = NDArray[np.intp]
T = TypeVar("T", "World", "Assumptions")
#: Attributes of a world that follow from the others.
_DERIVED = {"demonstrations", "looks_best", "weight", "trained", "places"}


@cache
def _names(arrays: type, axis: str) -> dict[str, int]:
    """Return which arrays of a dataclass have an axis, and where."""
    hints = get_type_hints(arrays, include_extras=True)
    axes = {name: getattr(hint, "__metadata__", [""])[0] for name, hint in hints.items()}
    return {name: axes[name].index(axis) for name in axes if axis in axes[name]}


@dataclass(frozen=True)
class World:
    """The contexts of one phase as arrays, each annotated with its axes and meaning.

    Axes: K responses, C contexts, c contexts of habits, D values, n agents (1 or N), 1 one entry.
    """

    features: Annotated[Array, "KCDn", "Φ"]
    reward: Annotated[Array, "KCn", "R"]
    absent: Annotated[Flags, "KC1", "a context has no such response"]
    demonstrates: Annotated[Flags, "C1", "demonstrations train here, not reinforcement"]
    demonstrations: Annotated[Array, "KCn", "y"]
    weight: Annotated[Array, "Cn", "p, normalised over the training contexts, zero elsewhere"]
    info: Annotated[Array, "Cn", "i"]
    scratchpad: Annotated[Array, "Cn", "s"]
    cue: Annotated[Array, "Cn", "e"]
    monitor: Annotated[Array, "Cn", "m"]
    similarity: Annotated[Array, "cCn", "S: how far what is learnt in C serves in c"]
    response: Annotated[Indices, "KC", "number of a response's name; -1 where absent"]
    response_everywhere: Annotated[Indices, "Kc", "the same of all contexts"]
    places: Annotated[Indices, "C", "rows of h that belong to these contexts"]
    trained: Annotated[Indices, "", "contexts with p > 0"]
    training: Annotated[Flags, "C", "kind is training"]
    pre_deployment: Annotated[Flags, "C", "kind is training, evaluation or red_team"]
    deployment: Annotated[Flags, "C", "kind is deployment"]
    looks_best: Annotated[Flags, "KCn", "a response has the highest reward of its context"]
    subversive: Annotated[Flags, "KC", "a response, in deployment, acts against human control"]
    twin: Annotated[Indices, "C", "index of the twin; -1 for none"]
    twin_response: Annotated[Indices, "KC", "the same response in the twin; -1 for none"]
    stated_shares: Annotated[Array, "KC1", "y as specs state them; nan where they do not"]
    raw_weight: Annotated[Array, "Cn", "weights as specs state them"]

    @classmethod
    def derive(
        cls, *, reward: Array, raw_weight: Array, stated_shares: Array, absent: Flags, **arrays: Any
    ) -> World:
        """Return a world from all of its arrays but those in `_DERIVED`, which follow."""
        weight = np.where(arrays["training"][:, None], raw_weight, 0.0)
        weight /= weight.max(axis=0)
        highest = np.where(absent, -np.inf, reward).max(axis=0)
        looks_best = ~absent & (reward == highest)
        equal_parts = looks_best / looks_best.sum(axis=0)
        return cls(
            reward=reward,
            raw_weight=raw_weight,
            stated_shares=stated_shares,
            absent=absent,
            looks_best=looks_best,
            demonstrations=np.where(np.isnan(stated_shares), equal_parts, stated_shares),
            weight=weight / np.cumsum(weight, axis=0)[-1],  # in order, for one run as for many
            trained=np.flatnonzero(weight.any(axis=1)),
            places=np.arange(len(weight)),
            **arrays,
        )

    def with_numbers(self, **numbers: Array) -> World:
        """Return the world with other stated numbers, and what follows from them."""
        names = {each.name for each in fields(self)} - _DERIVED
        return World.derive(**{name: getattr(self, name) for name in names} | numbers)

    def where_trained(self) -> World:
        """Return the part of this world that feeds gradients: all that a training step looks at."""
        part: dict[str, Any] = {
            name: np.take(getattr(self, name), self.trained, axis=axis)
            for name, axis in _names(World, "C").items()
        }
        return replace(self, trained=np.arange(len(self.trained)), **part)

    def take(self, rows: Rows) -> World:
        """Return the world of some agents."""
        return _take_fields(self, rows, _names(World, "n"))


@dataclass(frozen=True)
class Assumptions:
    """Rules by which training turns reward into change (MODEL.md section 4); axes as in `World`."""

    estimator: Literal["exact", "sampled"]
    episodes: Annotated[int, "", "B, episodes of a step of the sampled estimator"]
    update_rule: Literal["policy_gradient", "natural_gradient"]
    advantages: Literal["raw", "normalised"]
    motive_credit: Annotated[Array, "n"]
    leak: Annotated[Array, "n"]
    habit_generalisation: Annotated[Array, "n", "ρ_h"]
    propensity_generalisation: Annotated[Array, "n", "ρ_m"]
    anchor: Annotated[Array, "n"]
    visible_gaming_penalty: Annotated[Array, "n"]
    transfer: Annotated[Array, "Jn"]
    learning_rate: Annotated[Array, "Pn", "η of each parameter"]

    def with_numbers(self, **numbers: Array) -> Assumptions:
        """Return assumptions with other numbers."""
        return replace(self, **numbers)  # type: ignore[arg-type]

    def take(self, rows: Rows) -> Assumptions:
        """Return the assumptions of some agents."""
        return _take_fields(self, rows, _names(Assumptions, "n"))


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
class Selection:
    """Selection of agents by developers (MODEL.md section 4), alike in all runs of a program."""

    every: int  # S, steps from one selection to the next
    episodes: int  # M, on how many an agent's reward is measured
    survivors: int  # how many agents of a run are kept
    mutation: float  # standard deviation of what is added to each parameter of a copy


@dataclass(frozen=True)
class AgentIntervention:
    """An intervention on agents: on rows of θ, or on a trait (`sim.dynamics.interventions`)."""

    operation: Operation  # set, freeze and gate hold rows of θ until `stop`; scale acts once
    rows: Indices  # of θ; none if it acts on a trait
    trait: str  # the name of a trait; "" if it acts on rows of θ
    number: Array  # what is set or multiplied by [·]; not used by `freeze`
    start: int  # from this step on
    stop: int  # before which it ends

    @property
    def holds_rows(self) -> bool:
        """Whether rows of θ are held."""
        return not self.trait and self.operation != "scale"


@dataclass(frozen=True)
class Program:
    """Runs as arrays: agents, their start, and what holds when."""

    layout: Layout  # which row of θ is which parameter
    kinds: tuple[str, ...]  # the kind of each context
    human_values: Array  # w [D, ·]; zeros if the scenario names none
    traits: Traits  # each agent's fixed numbers, each [N]
    agent_ids: AgentIds  # which random draws are whose
    theta: Array  # θ [P, N] at the step from which agents are trained
    origin: Array  # θ_0 [P, N], where each agent's lineage started
    ancestor: Indices  # [N], the number, in its run, of the agent that started the lineage
    segments: tuple[Segment, ...]  # without gaps, from step 0; the last holds at its `stop`, too
    selection: Selection | None  # how agents are selected, if they are
    interventions: tuple[AgentIntervention, ...] = ()  # on agents in the course of training
    anchor: Array | None = None  # [P, N], what the anchor pulls to; None: the origin
    ungated: Array | None = None  # [P, N], what gated habits come back to
    own_traits: Traits | None = None  # without interventions; None: `traits`
    equations: Equations = STANDARD  # the model's, or a user's own

    @property
    def agents(self) -> int:
        """N: the number of agents, of all runs together."""
        return int(self.theta.shape[1])

    def warn_if_alike(self) -> None:
        """Warn that agents, or runs that differ in their seed, are copies of one, if they are."""
        is_random = self.selection or self.segments[0].assumptions.estimator == "sampled"
        numbers = [*self.theta, *(getattr(self.traits, field.name) for field in fields(Traits))]
        if self.agents > 1 and not is_random and all((x == x[0]).all() for x in numbers):
            warnings.warn(
                "agents: all are alike, and so are runs with other seeds, as agent.spread is 0 and "
                "training draws nothing; say agent.spread, or take one agent and one seed",
                stacklevel=4,
            )

    @property
    def steps(self) -> int:
        """T: the number of training steps."""
        return self.segments[-1].stop

    @property
    def anchor_or_origin(self) -> Array:
        """The state that the anchor pulls to [P, N]."""
        return self.origin if self.anchor is None else self.anchor

    def at(self, step: int) -> Segment:
        """Return the segment in force at a step; at the end of training, the last one."""
        return next((s for s in self.segments if step < s.stop), self.segments[-1])

    def take(self, rows: Rows) -> Program:
        """Return the program of some agents."""
        part = self._take_agents(rows)
        return replace(
            part,
            human_values=take(self.human_values, rows),
            agent_ids=self.agent_ids.take(rows),
            theta=self.theta[:, rows],
            interventions=tuple(
                replace(each, number=take(each.number, rows)) for each in self.interventions
            ),
            segments=tuple(segment.take(rows) for segment in self.segments),
        )

    def inherit(self, parents: Indices, theta: Array) -> Program:
        """Return the program with copies of parents in all places, which keep their draws."""
        return replace(self._take_agents(parents), theta=theta)

    def _take_agents(self, rows: Rows) -> Program:
        """Return the program with the parts that copies inherit taken from some rows."""
        return replace(
            self,
            traits=self.traits.take(rows),
            origin=self.origin[:, rows],
            ancestor=self.ancestor[rows],
            anchor=None if self.anchor is None else self.anchor[:, rows],
            ungated=None if self.ungated is None else self.ungated[:, rows],
            own_traits=None if self.own_traits is None else self.own_traits.take(rows),
        )


def _take_fields(arrays: T, rows: Rows, names: Iterable[str]) -> T:
    part: dict[str, Any] = {name: take(getattr(arrays, name), rows) for name in names}
    return replace(arrays, **part)
