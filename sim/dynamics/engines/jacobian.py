"""The Jacobian of a training step, whose eigenvalues tell stability (MODEL.md section 5).

It is computed by a complex step: the NumPy engine runs on θ + i h e_j, and the imaginary part over
h is the derivative, with no difference in which digits could be lost (Squire and Trapp, "Using
complex variables to estimate derivatives of real functions", 1998).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sim.dynamics.engines.numpy_engine import BLOCK, Block
from sim.dynamics.program import Program
from sim.dynamics.state import Array
from sim.specs.errors import SpecError

#: h: its square is lost beside 1, so the step is exact; slopes down to 1e-278 are not lost.
TINY = 1e-30


def update_jacobian(program: Program, theta: ArrayLike, *, step: int = 0) -> Array:
    """Return the Jacobian of a training step of each agent at θ [P, N]: [N, P, P].

    Row i, column j of an agent is ∂θ_i after the step by ∂θ_j before it. The anchor counts;
    selection does not, as it stands beside training. The step says which phase of the world.

    Raises:
        SpecError: Sampled gradients, or θ of another shape.
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
