"""Intervals of shares that were counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

Array = NDArray[np.float64]


def binomial_interval(
    successes: ArrayLike, trials: ArrayLike, *, level: float = 0.95
) -> tuple[Array, Array]:
    """Return the exact interval (Clopper and Pearson) of the probability behind counts.

    It covers the probability in at least `level` of all repetitions, whatever the probability is.

    Args:
        successes: Counts.
        trials: Of how many; the interval of none is 0 to 1.
        level: Of confidence, between 0 and 1.

    Returns:
        Lower and upper ends, of the shape of the counts.
    """
    x, n = np.broadcast_arrays(np.asarray(successes, np.float64), np.asarray(trials, np.float64))
    tail = (1.0 - level) / 2.0
    low, high = np.zeros(x.shape), np.ones(x.shape)
    above, below = x > 0, x < n
    low[above] = betaincinv(x[above], n[above] - x[above] + 1.0, tail)
    high[below] = betaincinv(x[below] + 1.0, n[below] - x[below], 1.0 - tail)
    return low, high
