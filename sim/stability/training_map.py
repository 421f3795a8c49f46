"""A training step as a discrete map of parameter space (MODEL.md section 5).

Fixed points (`sim.stability.fixed_points`) and branches (`sim.stability.continuation`) are those of
a `Map`. `TrainingMap` is the exact training step of one agent in one phase of its curriculum.
Parameters can be held, which restricts the map to a slice: the plane of one value and one habit, or
a face on which gates are saturated.

Softmax does not change when all propensities of a context are shifted alike: π^v depends on their
differences alone. A step carries shifted states to states shifted as far (with an anchor, less
far), so the shift would be an eigenvalue of 1 (1 − anchor) at every point, and a line of fixed
points through each, that say nothing of any answer. So where all propensities of a context are
free, the map is that of their differences: the first is held, the others are counted from it, and
the shift is no direction. Where some of them are held, nothing can shift, and the free ones are
coordinates.
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
from sim.dynamics.state import Array, Layout
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

    def __init__(self, program: Program, moving: NDArray[np.intp]) -> None:
        """Create the map in which some rows of θ may move."""
        self.program = _held_program(program, moving)
        self._references = _references(program.layout, moving)
        self.free = np.array([r for r in moving if r not in self._references.values()], np.intp)
        self.start: Array = program.theta[self.free, 0].copy()
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
        if not free:
            return whole
        names = program.layout.names
        selected = _select(names, free)
        rows = [row for row, name in enumerate(names) if name in selected]
        return cls(whole.program, np.array(rows, np.intp))

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
        slopes = whole[:, self.free[:, None], self.free]
        for i, row in self._relative_coordinates:
            slopes[:, i] -= whole[:, row, self.free]
        return slopes

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
        return self._without(self.program, set(self.names) - _select(self.names, free))

    def program_at(self, points: Array) -> Program:
        """Return a program with an agent at each point [F, N]."""
        program = self.program.take(np.zeros(points.shape[1], np.intp))
        theta = program.theta.copy()
        theta[self.free] = points
        return replace(program, theta=theta)

    def coordinates(self, theta: Array) -> Array:
        """Return the points [F, N] of parameters θ [P, N], whatever their shift of propensities."""
        points = theta[self.free]
        for i, row in self._relative_coordinates:
            points[i] -= theta[row] - self.program.theta[row, 0]
        return points

    def observe(self, points: Array, names: Iterable[str]) -> dict[str, Array]:
        """Return variables of `sim.dynamics.observe` at points [F, N]: [N, ...] each."""
        program = self.program_at(points)
        return Recorder()(program, 0, program.theta, names)

    @cached_property
    def _relative_coordinates(self) -> list[tuple[int, int]]:
        """Coordinates that are counted from another row of θ, and that row."""
        references = ((i, self._references.get(int(row))) for i, row in enumerate(self.free))
        return [(i, row) for i, row in references if row is not None]

    def _without(self, program: Program, names: Collection[str]) -> TrainingMap:
        """Return the map without some coordinates; what they are counted from is held as well."""
        fixed = {int(r) for r, n in zip(self.free, self.names, strict=True) if n in names}
        fixed |= {self._references[row] for row in fixed if row in self._references}
        moving = {*map(int, self.free), *self._references.values()} - fixed
        return TrainingMap(program, np.array(sorted(moving), np.intp))

    def _advance(self, engine: Engine, points: Array, steps: int) -> Array:
        cohort = engine.start(self.program_at(points))
        cohort.advance(0, steps)
        return self.coordinates(cohort.theta())


def _select(names: Sequence[str], free: Sequence[str]) -> set[str]:
    """Return those of some parameters that are free, by name or kind (SpecError for others)."""
    selected: set[str] = set()
    for name in free:
        matches = {n for n in names if n == name or n.startswith(f"{name}.")}
        if not matches:
            hint = nearest(name, dict.fromkeys([*(n.partition(".")[0] for n in names), *names]))
            raise SpecError(f"parameters: there is no free {name!r}; {hint}")
        selected |= matches
    return selected


def _references(layout: Layout, moving: NDArray[np.intp]) -> dict[int, int]:
    """Return the row of θ that each propensity is counted from, of contexts where all may move.

    A context's only propensity, which shifts and nothing else, is counted from itself.
    """
    by_context: dict[str, list[int]] = {}
    for row, name in enumerate(layout.names):
        kind, *place = name.split(".")
        if kind == "propensity":
            by_context.setdefault(place[0], []).append(row)
    whole = [rows for rows in by_context.values() if set(rows) <= set(map(int, moving))]
    return {row: rows[0] for rows in whole for row in rows[1:] or rows}


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
