"""A training step as a discrete map of parameter space (MODEL.md section 5).

Fixed points (`sim.stability.fixed_points`) and branches (`sim.stability.continuation`) are those of
a `Map`. `TrainingMap` is the exact training step of one agent in one phase of its curriculum.
Parameters can be held, which restricts the map to a slice: the plane of one value and one habit, or
a face on which gates are saturated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sim.dynamics.compile import compile_program
from sim.dynamics.engines.engine import Engine
from sim.dynamics.engines.numpy_engine import NumpyEngine, update_jacobian
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.observe import Recorder
from sim.dynamics.program import Program, Segment
from sim.dynamics.state import Array
from sim.specs.errors import SpecError, nearest
from sim.specs.keys import full_key
from sim.specs.overrides import Specs

#: Steps of a phase that does not end.
_FOREVER = 2**62


class Map(Protocol):
    """A map F of P coordinates, evaluated at N points side by side."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the P coordinates."""

    def step(self, points: Array) -> Array:
        """Return F(x) at points [P, N]: [P, N]."""

    def iterate(self, points: Array, steps: int) -> Array:
        """Return the `steps`-th iterate of F at points [P, N]: [P, N]."""

    def jacobian(self, points: Array) -> Array:
        """Return the Jacobian DF at points [P, N]: [N, P, P]."""


class TrainingMap:
    """The exact training step of one agent, as a map of its free parameters.

    Attributes:
        program: One agent's program, whose only segment lasts for ever.
        free: Rows of θ that are coordinates [F]; the others stay where `program.theta` has them.
        start: Coordinates at which the agent starts [F].
    """

    def __init__(self, program: Program, free: NDArray[np.intp]) -> None:
        self.program = _held_program(program, free)
        self.free = free
        self.start: Array = program.theta[free, 0].copy()
        self._exact = NumpyEngine()
        self._fast: Engine = get_engine("auto", threads=1)

    @classmethod
    def from_specs(
        cls,
        specs: Specs,
        *,
        free: Sequence[str] = (),
        seed: int = 0,
        phase: int = -1,
        settings: Mapping[str, float] | None = None,
    ) -> TrainingMap:
        """Return the map of a scenario's training step.

        Arguments are those of `sim.equilibria`; `settings` by dotted key replace those of specs.

        Raises:
            SpecError: There is no such phase or parameter, or the gradient is sampled.
        """
        if specs.training.estimator != "exact":
            raise SpecError(
                f"training.estimator: got {specs.training.estimator!r}: sampled steps have no "
                "fixed points; look at the exact ones, which are their mean"
            )
        columns = {full_key(key): [number] for key, number in (settings or {}).items()}
        scenario, agent, training, _ = specs
        program = compile_program(
            scenario, agent=agent, training=training, agents=1, seed=seed, columns=columns
        )
        whole = cls.from_program(program, 0, phase=phase)
        return whole.only(free) if free else whole

    @classmethod
    def from_program(cls, program: Program, agent: int, *, phase: int = -1) -> TrainingMap:
        """Return the map of one agent of a program, with every parameter free.

        Raises:
            SpecError: There is no such phase.
        """
        segments = program.segments
        if not -len(segments) <= phase < len(segments):
            raise SpecError(f"phase: got {phase}: training has {len(segments)}, from 0")
        single = program.take(np.array([agent]))
        forever = replace(single.segments[phase], start=0, stop=_FOREVER)
        return cls(replace(single, segments=(forever,)), np.arange(program.layout.size))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the free parameters."""
        names = self.program.layout.names
        return tuple(names[row] for row in self.free)

    @property
    def segment(self) -> Segment:
        """World and assumptions of every step."""
        return self.program.segments[0]

    @property
    def trained_contexts(self) -> dict[str, int]:
        """Contexts that are trained on: name and index."""
        return {self.program.layout.contexts[c]: int(c) for c in self.segment.world.trained}

    def step(self, points: Array) -> Array:
        """Return points [F, N] after one step (NumPy engine): [F, N]."""
        return self._advance(self._exact, points, 1)

    def iterate(self, points: Array, steps: int) -> Array:
        """Return points [F, N] after some steps (fastest engine): [F, N]."""
        return self._advance(self._fast, points, steps)

    def jacobian(self, points: Array) -> Array:
        """Return the Jacobian of a step at points [F, N]: [N, F, F]."""
        program = self.program_at(points)
        whole = update_jacobian(program, program.theta)
        return whole[:, self.free[:, None], self.free]

    def hold(self, parameters: Mapping[str, float]) -> TrainingMap:
        """Return the map with some free parameters held at given numbers.

        Raises:
            SpecError: A parameter is not free, or there is none of that name.
        """
        theta = self.program.theta.copy()
        for name, number in parameters.items():
            if name not in self.names:
                hint = nearest(name, self.names)
                raise SpecError(f"parameters: there is no free {name!r}; {hint}")
            theta[self.program.layout.names.index(name), 0] = number
        return self._without(replace(self.program, theta=theta), parameters)

    def only(self, free: Sequence[str]) -> TrainingMap:
        """Return the map with some parameters free, by name or kind, and others held at the start.

        Raises:
            SpecError: There is no such parameter.
        """
        selected: set[str] = set()
        for name in free:
            matches = {n for n in self.names if n == name or n.startswith(f"{name}.")}
            if not matches:
                choices = [*{n.partition(".")[0]: None for n in self.names}, *self.names]
                hint = nearest(name, choices)
                raise SpecError(f"parameters: there is no free {name!r}; {hint}")
            selected |= matches
        return self._without(self.program, set(self.names) - selected)

    def program_at(self, points: Array) -> Program:
        """Return a program with an agent at each point [F, N]."""
        program = self.program.take(np.zeros(points.shape[1], np.intp))
        theta = program.theta.copy()
        theta[self.free] = points
        return replace(program, theta=theta)

    def observe(self, points: Array, names: Iterable[str]) -> dict[str, Array]:
        """Return variables of `sim.dynamics.observe` at points [F, N]: [N, ...] each."""
        program = self.program_at(points)
        return Recorder()(program, 0, program.theta, names)

    def _without(self, program: Program, names: Collection[str]) -> TrainingMap:
        rows = zip(self.free, self.names, strict=True)
        return TrainingMap(program, np.array([r for r, n in rows if n not in names], np.intp))

    def _advance(self, engine: Engine, points: Array, steps: int) -> Array:
        cohort = engine.start(self.program_at(points))
        cohort.advance(0, steps)
        return cohort.theta()[self.free]


def _held_program(program: Program, free: NDArray[np.intp]) -> Program:
    """Return a program in which neither learning nor the anchor moves the other rows of θ."""
    fixed = np.setdiff1d(np.arange(program.layout.size), free)
    if not len(fixed):
        return program
    rates, origin = program.segments[0].assumptions.learning_rate.copy(), program.origin.copy()
    rates[fixed] = 0.0
    origin[fixed] = program.theta[fixed]
    return replace(with_assumptions(program, learning_rate=rates), origin=origin)


def with_assumptions(program: Program, **changes: Any) -> Program:
    """Return a program of one segment under changed assumptions."""
    (segment,) = program.segments
    assumptions = replace(segment.assumptions, **changes)
    return replace(program, segments=(replace(segment, assumptions=assumptions),))
