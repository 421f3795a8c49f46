"""The NumPy engine: blocks of agents side by side, whose arrays stay in the cache.

And the Jacobian of a step, whose eigenvalues tell stability (MODEL.md section 5), by a complex
step: the engine runs on θ + i h e_j, and the imaginary part over h is the derivative, with no
difference in which digits could be lost (Squire and Trapp, "Using complex variables to estimate
derivatives of real functions", 1998).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from sim.dynamics.cognition import think
from sim.dynamics.engines.engine import Engine, Precision
from sim.dynamics.numerics import GROUP, calculating, whole_groups
from sim.dynamics.program import Assumptions, Program, Segment, World
from sim.dynamics.state import Array
from sim.dynamics.training import (
    estimate_exactly,
    estimate_from_episodes,
    gradient,
    pay,
    update,
)
from sim.specs.errors import SpecError

#: Wide enough to outweigh the cost of calling NumPy, narrow enough for the caches (`make bench`).
BLOCK = 1024
#: Bytes, more than the arrays of a step take: else they cost a third more, in page faults.
KEPT = 2**24
#: h: its square is lost beside 1, so the step is exact; slopes down to 1e-278 are not lost.
TINY = 1e-30


class NumpyEngine(Engine):
    """Trains agents in blocks of `block`."""

    name = "numpy"
    precision: Precision = "float64"

    def __init__(self, *, block: int = BLOCK) -> None:
        self.block = -(-block // GROUP) * GROUP

    def start(self, program: Program) -> BlockCohort:
        """Return a program's agents at the start."""
        np.empty(KEPT, np.uint8)  # freed at once: malloc then keeps what arrays of a step give back
        cut = np.split(np.arange(program.agents), range(self.block, program.agents, self.block))
        return BlockCohort([Block(program, rows) for rows in cut])


class BlockCohort:
    """All agents of a program, in blocks (see `Cohort`)."""

    def __init__(self, blocks: list[Block]) -> None:
        self._blocks = blocks

    def advance(self, start: int, stop: int) -> None:
        """Do the training steps start <= t < stop."""
        for block in self._blocks:
            block.advance(start, stop)

    def theta(self) -> Array:
        """Return a copy of θ [P, N]."""
        parts = [block.theta[:, : block.agents] for block in self._blocks]
        return np.concatenate(parts, axis=1, dtype=np.float64)


class Block:
    """Agents that are trained side by side: some rows of a program.

    A block is a whole number of groups wide; the last agent also fills the places beyond it. Its
    arrays are complex for Jacobians. `theta` [P, width] is changed in place by `advance`.
    """

    def __init__(
        self, program: Program, rows: NDArray[np.intp], dtype: DTypeLike = np.float64
    ) -> None:
        self.agents = len(rows)
        self.program = program.take(whole_groups(rows))
        self.origin = self.program.anchor_or_origin.astype(dtype)
        self.theta = self.program.theta.astype(dtype)
        self._segment: Segment | None = None

    def advance(self, start: int, stop: int) -> None:
        """Do the training steps start <= t < stop."""
        with calculating():
            for t in range(start, stop):
                segment = self.program.at(t)
                if segment is not self._segment:
                    self._segment, self._world = segment, segment.world.where_trained()
                self._step(t, self._world, segment.assumptions)

    def _step(self, t: int, world: World, assumptions: Assumptions) -> None:
        """Think, be paid, estimate, learn (MODEL.md sections 3 and 4)."""
        program, traits = self.program, self.program.traits
        state = program.layout.view(self.theta)
        mind = think(world, traits, state)
        paid = pay(mind, world, state, assumptions)
        if assumptions.estimator == "exact":
            estimate = estimate_exactly(mind, world, paid, world.weight, assumptions)
        else:
            estimate = estimate_from_episodes(
                mind, world, paid, ids=program.agent_ids, assumptions=assumptions, step=t
            )
        change = program.layout.join(gradient(estimate, mind, world, traits, state, assumptions))
        self.theta = update(self.theta, change, assumptions, origin=self.origin)


def update_jacobian(program: Program, theta: ArrayLike, *, step: int = 0) -> Array:
    """Return the Jacobian of an exact training step of each agent at θ [P, N]: [N, P, P].

    Row i, column j of an agent is ∂θ_i after the step by ∂θ_j before it. The anchor counts;
    selection does not, as it stands beside training. The step says which phase of the world.
    Sampled gradients, and θ of another shape, are refused (SpecError).
    """
    estimator = program.segments[0].assumptions.estimator
    if estimator != "exact":
        raise SpecError(
            f"training.estimator: got {estimator!r}: what is drawn has no derivative; a Jacobian "
            "needs exact"
        )
    theta = np.asarray(theta, np.float64)
    if theta.shape != program.theta.shape:
        raise SpecError(
            f"theta: got an array of shape {theta.shape}: must be {program.theta.shape} "
            "(parameters, agents)"
        )
    size, agents = theta.shape
    jacobian = np.empty((agents, size, size))
    at_once = max(1, BLOCK // size)
    for start in range(0, agents, at_once):
        rows = np.arange(start, min(start + at_once, agents))
        # Side by side, a copy of each agent for each parameter, with that one perturbed.
        block = Block(program, np.repeat(rows, size), dtype=np.complex128)
        copies = slice(block.agents)
        block.theta[:, copies] = np.repeat(theta[:, rows], size, axis=1)
        block.theta[:, copies] += 1j * TINY * np.tile(np.eye(size), len(rows))
        block.advance(step, step + 1)
        slopes = block.theta[:, copies].imag / TINY
        jacobian[rows] = slopes.reshape(size, len(rows), size).swapaxes(0, 1)
    return jacobian
