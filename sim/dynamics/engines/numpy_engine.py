"""The NumPy engine: blocks of agents side by side, every array of a step a buffer."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sim.dynamics.cognition import Activations, anticipate, attend, decide, perceive
from sim.dynamics.compile import Program, Segment
from sim.dynamics.engines.engine import Engine, Precision
from sim.dynamics.numerics import GROUP, calculating, whole_groups
from sim.dynamics.state import Array
from sim.dynamics.step_buffers import StepBuffers
from sim.dynamics.training import learn, reward, update

#: Wide enough to outweigh the cost of calling NumPy, narrow enough for the caches (`make bench`).
BLOCK = 2048


class NumpyEngine(Engine):
    """Runs agents in blocks of `block`."""

    name = "numpy"
    precision: Precision = "float64"

    def __init__(self, *, block: int = BLOCK) -> None:
        self.block = -(-block // GROUP) * GROUP

    def start(self, program: Program) -> BlockCohort:
        """Return a program's agents as they start (see `Engine.start`)."""
        cut = np.split(np.arange(program.agents), range(self.block, program.agents, self.block))
        return BlockCohort([Block(program, rows) for rows in cut])


class BlockCohort:
    """All agents of a program, as blocks that are kept alive between calls."""

    def __init__(self, blocks: list[Block]) -> None:
        self._blocks = blocks

    def advance(self, start: int, stop: int) -> None:
        """Do the training steps start <= t < stop."""
        for block in self._blocks:
            block.advance(start, stop)

    def theta(self) -> Array:
        """Return a copy of θ as it is [P, N]."""
        parts = [block.theta[:, : block.agents] for block in self._blocks]
        return np.concatenate(parts, axis=1, dtype=np.float64)


class Block:
    """Agents that go through training side by side.

    There are seats for a whole number of groups; the last agent also takes those that are left.

    Args:
        program: The run.
        rows: Which of its agents sit here.
        dtype: Of all arrays; complex for Jacobians.

    Attributes:
        theta: θ [P, seats], changed in place by `advance`.
    """

    def __init__(
        self, program: Program, rows: NDArray[np.intp], dtype: DTypeLike = np.float64
    ) -> None:
        self.agents = len(rows)
        self.program = program.take(whole_groups(rows))
        self.origin = self.program.pulled_to.astype(dtype)
        self.theta = self.program.theta.astype(dtype)
        self.state = program.layout.view(self.theta)
        self._term: Term | None = None

    def advance(self, start: int, stop: int) -> None:
        """Do the training steps start <= t < stop."""
        with calculating():
            for t in range(start, stop):
                segment = self.program.at(t)
                if self._term is None or self._term.segment is not segment:
                    self._term = Term(self, segment)
                self._term.step(t)


class Term:
    """A block's training while nothing about the world changes, with all the buffers for it.

    One step is, in this order: perceive, anticipate, decide (sim.dynamics.cognition), reward,
    learn, update (sim.dynamics.training). To attend (what inputs tell) is done once.
    """

    def __init__(self, block: Block, segment: Segment) -> None:
        self.segment = segment
        self._block = block
        self._world = segment.world.where_trained()
        agents, dtype = block.theta.shape[1], block.theta.dtype
        self._mind = Activations.empty(self._world, agents, dtype)
        self._lesson = StepBuffers.empty(self._world, block.program.layout, agents, dtype)
        attend(self._mind, self._world, block.program.traits)

    def step(self, t: int) -> None:
        """Do training step t."""
        mind, lesson, world, block = self._mind, self._lesson, self._world, self._block
        traits, seats, state = block.program.traits, block.program.seats, block.state
        assumptions = self.segment.assumptions
        perceive(mind, world, traits, state)
        anticipate(mind, world, traits, state)
        decide(mind, world, traits, state)
        reward(lesson, mind, world, state, assumptions)
        learn(lesson, mind, world, traits, seats, state, assumptions, t)
        update(block.theta, lesson, assumptions, start=block.origin)
