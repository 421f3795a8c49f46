"""The NumPy engine: blocks of agents side by side, every array of a step a buffer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sim.dynamics.arrays import Program, Segment
from sim.dynamics.cognition import Mind, anticipate, attend, decide, perceive
from sim.dynamics.state import Array
from sim.dynamics.training import Lesson, learn, reward, update

#: A block's buffers stay in the second-level cache; measured, see docs/architecture.md.
BLOCK = 512
#: With its usual buffer NumPy copies what it broadcasts, at twice the cost; errstate restores it.
UFUNC_BUFFER = 16
#: Matrix products give every column the same bits only in whole groups of columns.
GROUP = 16


class NumpyEngine:
    """Runs agents in blocks of `block`, each through the whole run before the next."""

    name = "numpy"

    def __init__(self, block: int = BLOCK) -> None:
        self.block = -(-block // GROUP) * GROUP

    def trajectory(
        self,
        program: Program,
        theta: Array,
        steps: Sequence[int],
        *,
        progress: Callable[[int], None] | None = None,
    ) -> Array:
        """Return θ at each of `steps` (see `Engine.trajectory`)."""
        agents = theta.shape[1]
        history = np.empty((len(steps), *theta.shape))
        for first in range(0, agents, self.block):
            rows = np.arange(first, min(first + self.block, agents))
            seats = np.resize(rows, -(-len(rows) // GROUP) * GROUP)
            seats[len(rows) :] = rows[-1]
            block = Block(program, theta[:, seats], seats)
            for index, step in enumerate(steps):
                if index:
                    block.advance(steps[index - 1], step)
                    if progress is not None:
                        progress(len(rows) * (step - steps[index - 1]))
                history[index][:, rows] = block.theta[:, : len(rows)]
        return history


class Block:
    """Agents that go through training side by side.

    Attributes:
        theta: θ [P, n], changed in place by `advance`.
    """

    def __init__(
        self,
        program: Program,
        theta: Array,
        seats: NDArray[np.intp],
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.program = program
        self.traits = program.traits.take(seats)
        self.start = program.theta[:, seats].astype(dtype)
        self.theta = theta.astype(dtype)
        self.state = program.layout.view(self.theta)
        self._term: Term | None = None

    def advance(self, start: int, stop: int) -> None:
        """Do the training steps start <= t < stop."""
        with np.errstate(over="ignore", invalid="ignore"):
            np.setbufsize(UFUNC_BUFFER)
            for t in range(start, stop):
                segment = self.program.at(t)
                if self._term is None or self._term.segment is not segment:
                    self._term = Term(self, segment)
                self._term.step()


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
        self._mind = Mind.empty(self._world, agents, dtype)
        self._lesson = Lesson.empty(self._world, block.program.layout, agents, dtype)
        attend(self._mind, self._world, block.traits)

    def step(self) -> None:
        """Do one training step."""
        mind, lesson, world, block = self._mind, self._lesson, self._world, self._block
        traits, state, assumptions = block.traits, block.state, self.segment.assumptions
        perceive(mind, world, traits, state)
        anticipate(mind, world, traits, state)
        decide(mind, world, traits, state)
        reward(lesson, mind, world, state, assumptions)
        learn(lesson, mind, world, traits, state, assumptions)
        update(block.theta, lesson, assumptions, start=block.start)
