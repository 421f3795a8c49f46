"""Quantiles over agents of what may not be defined for all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim.dynamics.state import Array


def quantiles(x: Array, levels: Sequence[float]) -> Array:
    """Return quantiles over the second axis, between the two nearest where they fall between.

    Args:
        x: [R, A, ...]; nan is left out.
        levels: From 0 (the least) to 1 (the greatest).

    Returns:
        [L, R, ...]; nan where everything is.
    """
    ordered = np.sort(x, axis=1)
    last = np.isfinite(x).sum(axis=1, keepdims=True) - 1
    return np.stack([_between(ordered, level * last, last) for level in levels])


def representatives(x: Array, count: int) -> Array:
    """Return `count` values that stand for as many equal shares of the second axis.

    Each is the middle of its share. With `count` at the number of agents they are the agents' own
    values in order, so that quantiles over representatives of many runs are quantiles over all
    their agents; with fewer, a quantile's rank is off by at most 1 / (2 count).

    Args:
        x: [R, A, ...]; nan is left out.
        count: Q.

    Returns:
        [Q, R, ...]; nan where everything is.
    """
    if x.shape[1] == 1:
        return np.broadcast_to(x[:, 0], (count, *x[:, 0].shape))
    ordered = np.sort(x, axis=1)
    known = np.isfinite(x).sum(axis=1, keepdims=True)
    middles = (np.arange(count) + 0.5) / count
    places = [np.clip(level * known - 0.5, 0, known - 1) for level in middles]
    return np.stack([_between(ordered, place, known - 1) for place in places])


def _between(ordered: Array, place: Array, last: Array) -> Array:
    """Interpolate along the second axis at a place [R, 1, ...]; nan where `last` is −1."""
    below = np.clip(np.floor(place).astype(np.intp), 0, np.maximum(last, 0))
    above = np.minimum(below + 1, np.maximum(last, 0))
    low = np.take_along_axis(ordered, below, axis=1)
    high = np.take_along_axis(ordered, above, axis=1)
    share = np.where(high == low, 0.0, place - below)
    found: Array = np.where(last < 0, np.nan, low + share * (high - low))
    return found[:, 0]
