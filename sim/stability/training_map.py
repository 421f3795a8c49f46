"""A training step as a map of the parameters that it moves: what stability is about.

Anything with the form of `Map` can be asked for its fixed points (`sim.stability.fixed_points`) and
followed in a parameter (`sim.stability.continuation`). `TrainingMap` is that form of a scenario's
exact training step, in one phase of its world; parameters can be held, so that the map is a slice
through the whole: the plane of one value and one habit, or a face on which gates are saturated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sim.dynamics.compile import compile_program
from sim.dynamics.engines.engine import Engine
from sim.dynamics.engines.jacobian import update_jacobian
from sim.dynamics.engines.numpy_engine import NumpyEngine
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.observe import Recorder
from sim.dynamics.program import Program, Segment
from sim.dynamics.state import Array
from sim.specs.errors import SpecError, nearest
from sim.specs.settings import Specs, full_key

#: An autonomous program goes on for ever.
_FOREVER = 2**62


class Map(Protocol):
    """A map of P coordinates to themselves, which many points can go through side by side."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the coordinates, P of them."""
        ...

    def step(self, points: Array) -> Array:
        """Return where points [P, N] go in one step."""
        ...

    def iterate(self, points: Array, steps: int) -> Array:
        """Return where points [P, N] go in so many steps."""
        ...

    def jacobian(self, points: Array) -> Array:
        """Return the derivative of a step at points [P, N]: [N, P, P]."""
        ...


class TrainingMap:
    """One exact training step of one agent, as a map of the parameters that are free.

    Args:
        program: One agent's, with the world as it is in `segment` for ever.
        free: The rows of θ that are coordinates; the others stay where `program.theta` has them.

    Attributes:
        program: The program.
        free: The rows of θ [F].
        start: Where the agent starts, in the coordinates of the map [F].
    """

    def __init__(self, program: Program, free: NDArray[np.intp]) -> None:
        self.program = _holding(program, free)
        self.free = free
        self.start: Array = program.theta[free, 0].copy()
        self._exact = NumpyEngine()
        self._fast: Engine = get_engine("auto", threads=1)

    @classmethod
    def of(
        cls,
        specs: Specs,
        *,
        seed: int = 0,
        phase: int = -1,
        settings: Mapping[str, float] | None = None,
    ) -> TrainingMap:
        """Return the map of a scenario's training step, with every parameter free.

        Args:
            specs: Scenario, agent and training; the estimator must be exact.
            seed: Of the agent's own numbers, where the agent spec has a spread.
            phase: Which phase of the curriculum the world is in for ever; the last if -1.
            settings: Numbers that go before what the specs say, by dotted key.

        Raises:
            SpecError: There is no such phase, or the gradient is sampled.
        """
        if specs.training.estimator != "exact":
            raise SpecError(
                f"training.estimator: got {specs.training.estimator!r}: sampled steps have no "
                "fixed points; look at the exact ones, which are their mean"
            )
        columns = {full_key(key): [number] for key, number in (settings or {}).items()}
        program = compile_program(
            specs.scenario,
            agent=specs.agent,
            training=specs.training,
            agents=1,
            seed=seed,
            columns=columns,
        )
        return cls.of_agent(program, 0, phase=phase)

    @classmethod
    def of_agent(cls, program: Program, agent: int, *, phase: int = -1) -> TrainingMap:
        """Return the map of one agent of a program, with every parameter free.

        Raises:
            SpecError: There is no such phase.
        """
        segments = program.segments
        if not -len(segments) <= phase < len(segments):
            raise SpecError(f"phase: got {phase}: training has {len(segments)}, from 0")
        one = program.take(np.array([agent]))
        forever = replace(one.segments[phase], start=0, stop=_FOREVER)
        return cls(replace(one, segments=(forever,)), np.arange(program.layout.size))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the free parameters."""
        names = self.program.layout.names
        return tuple(names[row] for row in self.free)

    @property
    def segment(self) -> Segment:
        """What holds in every step."""
        return self.program.segments[0]

    def step(self, points: Array) -> Array:
        """Return where points [F, N] go in one step (the NumPy engine)."""
        return self._advance(self._exact, points, 1)

    def iterate(self, points: Array, steps: int) -> Array:
        """Return where points [F, N] go in so many steps (the fastest engine)."""
        return self._advance(self._fast, points, steps)

    def jacobian(self, points: Array) -> Array:
        """Return the derivative of a step at points [F, N] by the free parameters: [N, F, F]."""
        program = self.many(points)
        whole = update_jacobian(program, program.theta)
        return whole[:, self.free[:, None], self.free]

    def hold(self, held: Mapping[str, float]) -> TrainingMap:
        """Return the map with some parameters held where they are said to be.

        Raises:
            SpecError: A parameter is not free, or there is none of that name.
        """
        theta = self.program.theta.copy()
        for name, number in held.items():
            theta[self.row(name), 0] = number
        return self._part(replace(self.program, theta=theta), set(held))

    def only(self, free: Sequence[str]) -> TrainingMap:
        """Return the map with only some parameters free, the others held where they start.

        Args:
            free: Names (`habit.coding`), or kinds, for all of that kind (`habit`).

        Raises:
            SpecError: There is no such parameter.
        """
        return self._part(self.program, set(self.names) - set(self._named(free)))

    def row(self, name: str) -> int:
        """Return the row of θ of a free parameter.

        Raises:
            SpecError: There is none of that name.
        """
        if name not in self.names:
            raise SpecError(f"parameters: there is no free {name!r}; {nearest(name, self.names)}")
        return self.program.layout.names.index(name)

    def many(self, points: Array) -> Program:
        """Return a program with an agent at each of some points [F, N]."""
        program = self.program.take(np.zeros(points.shape[1], np.intp))
        theta = program.theta.copy()
        theta[self.free] = points
        return replace(program, theta=theta)

    def at_whole(self, theta: Array) -> Program:
        """Return the program with its one agent somewhere else: at θ [P]."""
        return replace(self.program, theta=theta[:, None])

    def observe(self, points: Array, names: Iterable[str]) -> dict[str, Array]:
        """Return variables of `sim.dynamics.observe` at points [F, N], agents first."""
        program = self.many(points)
        return Recorder()(program, 0, program.theta, names)

    def _part(self, program: Program, held: Collection[str]) -> TrainingMap:
        free = [row for row, name in zip(self.free, self.names, strict=True) if name not in held]
        return TrainingMap(program, np.array(free, np.intp))

    def _named(self, given: Sequence[str]) -> Iterable[str]:
        for name in given:
            of_kind = [n for n in self.names if n == name or n.startswith(f"{name}.")]
            if not of_kind:
                known = [*{n.partition(".")[0]: None for n in self.names}, *self.names]
                raise SpecError(f"parameters: there is no free {name!r}; {nearest(name, known)}")
            yield from of_kind

    def _advance(self, engine: Engine, points: Array, steps: int) -> Array:
        cohort = engine.start(self.many(points))
        cohort.advance(0, steps)
        return cohort.theta()[self.free]


def _holding(program: Program, free: NDArray[np.intp]) -> Program:
    """Return a program whose other parameters no step moves, nor the anchor."""
    held = np.setdiff1d(np.arange(program.layout.size), free)
    if not len(held):
        return program
    segment = program.segments[0]
    rates = segment.assumptions.learning_rate.copy()
    rates[held] = 0.0
    origin = program.origin.copy()
    origin[held] = program.theta[held]
    assumptions = replace(segment.assumptions, learning_rate=rates)
    return replace(program, origin=origin, segments=(replace(segment, assumptions=assumptions),))
