"""Softmax, the logistic function, means over responses, and sums over values and contexts.

Axes stand in the order response (K), context (C), value (D), agent (n, last). All of it also works
on complex arrays, so that a complex step through the same code gives Jacobians.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

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


def logistic(x: Array) -> Array:
    """Return σ(x) = 1 / (1 + exp(−x)); exp may overflow to inf."""
    if x.dtype.kind == "c":  # where exp overflows, a complex number has no reciprocal
        x = np.maximum(x, -LARGEST_EXPONENT)
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def softmax(logits: Array, absent: NDArray[np.bool_]) -> Array:
    """Return exp(x_k) / Σ_j exp(x_j) for logits [K, C, n]; 0 where absent [K, C, 1]."""
    if absent.any():
        logits = np.where(absent, -np.inf, logits)
    weights = np.exp(logits - logits.real.max(axis=0))
    return np.asarray(weights / weights.sum(axis=0))


def mean(policy: Array, x: Array) -> Array:
    """Return E_π x [C, n] for π and x [K, C, n]."""
    return np.asarray((policy * x).sum(axis=0))


def combine(features: Array, values: Array) -> Array:
    """Return Φ v = Σ_d Φ_d v_d [K, C, n], for Φ [K, C, D, 1 or n] and v [D, n]."""
    if features.shape[-1] == 1:
        return np.asarray(features[..., 0] @ values)
    return np.asarray((features * values).sum(axis=2))


def distribute(features: Array, weights: Array) -> Array:
    """Return Σ_k Σ_c Φ_kc W_kc [D, n], for W [K, C, n]: transposed `combine`."""
    size, contexts, count, width = features.shape
    if width == 1:
        flat = weights.reshape(size * contexts, -1)
        return np.asarray(features.reshape(size * contexts, count).T @ flat)
    return np.stack([(features[:, :, d] * weights).sum(axis=(0, 1)) for d in range(count)])


def carry_over(similarity: Array, x: Array) -> Array:
    """Return Σ_c S_c'c x_c [C', n], for S [C', C, 1 or n] and x [C, n]."""
    if similarity.shape[-1] == 1:
        return np.asarray(similarity[..., 0] @ x)
    return np.asarray((similarity * x).sum(axis=1))
