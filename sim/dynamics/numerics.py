"""Softmax, the logistic function, means and products over responses, written into buffers.

Arrays over responses leave out the first response, against which the others are measured (see
`sim.dynamics.program.World`): shape [K − 1, C, n]. All of it also works on complex arrays, so that
a complex step through the same code gives Jacobians.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sim.dynamics.state import Array

#: Matrix products give every column the same bits only in whole groups of columns.
GROUP = 16
#: About the largest number whose exp is one.
LARGEST_EXPONENT = 700.0
#: With its usual buffer NumPy copies what it broadcasts, at twice the cost.
UFUNC_BUFFER = 16


@contextmanager
def calculating() -> Iterator[None]:
    """Calculate without warnings (overflow to inf is meant) and without copies of what is shared.

    Threads and contexts outside of it keep their settings.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        np.setbufsize(UFUNC_BUFFER)
        yield


def whole_groups(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the agents [n] with the last one repeated, up to a whole number of groups."""
    whole = np.full(-(-len(rows) // GROUP) * GROUP, rows[-1])
    whole[: len(rows)] = rows
    return whole


def buffers(count: int, shape: tuple[int, ...], dtype: DTypeLike) -> list[Array]:
    """Return several new arrays; their numbers are any."""
    return [np.empty(shape, dtype) for _ in range(count)]


def logistic(x: Array, *, out: Array) -> Array:
    """Write 1 / (1 + exp(-x)) into `out`, which may be `x`; exp may overflow to inf."""
    np.negative(x, out=out)
    if out.dtype.kind == "c":  # where exp overflows, a complex number has no reciprocal
        np.minimum(out, LARGEST_EXPONENT, out=out)
    np.exp(out, out=out)
    np.add(out, 1.0, out=out)
    np.reciprocal(out, out=out)
    return out


def softmax(logits: Array, *, absent: NDArray[np.bool_] | None, scratch: Array) -> Array:
    """Replace logits [K − 1, C, n], against the first response's, by the chances of the others.

    Responses that are absent [K − 1, C, 1] get exactly zero; scratch is [2, C, n].
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
    """Write E_π x − x_first into `out` [C, n], for π of all responses but the first [K − 1, C, n].

    x is measured against the first response's, and broadcasts; scratch is [K − 1, C, n].
    """
    if len(policy) == 1:
        np.multiply(policy[0], x[0], out=out)
    else:
        np.multiply(policy, x, out=scratch)
        np.add.reduce(scratch, axis=0, out=out)
    return out


def combine(features: Array, values: Array, *, out: Array, scratch: Array) -> Array:
    """Write Σ_d Φ_d v_d into `out` [K − 1, C, n], for Φ [K − 1, C, D, 1 or n] and v [D, n]."""
    size, contexts, count, width = features.shape
    if width == 1:
        shared = features.reshape(size * contexts, count)
        np.matmul(shared, values, out=out.reshape(size * contexts, out.shape[2]))
        return out
    np.multiply(features[:, :, 0], values[0], out=out)
    for d in range(1, count):
        np.multiply(features[:, :, d], values[d], out=scratch)
        np.add(out, scratch, out=out)
    return out


def distribute(features: Array, weights: Array, *, out: Array, scratch: Array) -> Array:
    """Write Σ_k Σ_c Φ_kc W_kc into `out` [D, n], for W [K − 1, C, n]: transposed `combine`."""
    size, contexts, count, width = features.shape
    if width == 1:
        shared = features.reshape(size * contexts, count)
        np.matmul(shared.T, weights.reshape(size * contexts, weights.shape[2]), out=out)
        return out
    for d in range(count):
        np.multiply(features[:, :, d], weights, out=scratch)
        np.add.reduce(scratch, axis=(0, 1), out=out[d])
    return out


def carry_over(similarity: Array, x: Array, *, out: Array) -> Array:
    """Write Σ_c S_c'c x_c into `out` [C', n], for S [C', C, 1] or [C', C, n] and x [C, n]."""
    if similarity.shape[-1] == 1:
        np.matmul(similarity[:, :, 0], x, out=out)
        return out
    np.multiply(similarity[:, 0], x[0], out=out)
    for c in range(1, len(x)):
        np.add(out, similarity[:, c] * x[c], out=out)
    return out
