"""Softmax, the logistic function and means over responses, written into buffers.

Arrays over responses leave out the first response, against which the others are measured (see
`sim.dynamics.arrays.World`): shape [K − 1, C, n]. All of it also works on complex arrays, so that
Jacobians can be had by a complex step through the same code.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.dynamics.state import Array

#: Matrix products give every column the same bits only in whole groups of columns.
GROUP = 16


def whole_groups(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the agents [n] with the last one repeated, up to a whole number of groups."""
    seats = np.full(-(-len(rows) // GROUP) * GROUP, rows[-1])
    seats[: len(rows)] = rows
    return seats


def logistic(x: Array, *, out: Array) -> Array:
    """Write 1 / (1 + exp(-x)) into `out`, which may be `x`; exp may overflow to inf."""
    np.negative(x, out=out)
    np.exp(out, out=out)
    np.add(out, 1.0, out=out)
    np.reciprocal(out, out=out)
    return out


def softmax(logits: Array, *, absent: NDArray[np.bool_] | None, scratch: Array) -> Array:
    """Replace logits, measured against the first response's, by the chances of the others.

    Args:
        logits: [K − 1, C, n], changed in place; the first response's logit is 0.
        absent: [K − 1, C, 1], responses that do not exist and get exactly zero; None if all do.
        scratch: [2, C, n].
    """
    if absent is not None:
        np.copyto(logits, -np.inf, where=absent)
    if len(logits) == 1:
        return logistic(logits, out=logits)
    highest, total = scratch
    np.maximum.reduce(logits, axis=0, out=highest, initial=0.0)
    np.subtract(logits, highest, out=logits)
    np.exp(logits, out=logits)
    np.negative(highest, out=highest)
    np.exp(highest, out=highest)
    np.add.reduce(logits, axis=0, out=total)
    np.add(highest, total, out=total)
    np.divide(logits, total, out=logits)
    return logits


def mean(policy: Array, x: Array, *, out: Array, scratch: Array) -> Array:
    """Write E_π x − x_first into `out` [C, n].

    Args:
        policy: Chances of all responses but the first [K − 1, C, n].
        x: A quantity, measured against the first response's, of a shape that broadcasts.
        out: Where to write.
        scratch: [K − 1, C, n].
    """
    if len(policy) == 1:
        np.multiply(policy[0], x[0], out=out)
    else:
        np.multiply(policy, x, out=scratch)
        np.add.reduce(scratch, axis=0, out=out)
    return out
