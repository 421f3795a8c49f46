"""Intervals of shares that were counted, and the verdicts that intervals allow."""

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


def interval_verdict(
    low: float,
    high: float,
    words: tuple[str, str],
    *,
    neutral: float = 0.0,
    between: str = "open",
) -> str:
    """Return the first word for an interval above a neutral value, the second for one below.

    Args:
        low: Its lower end; nan: there is no interval, and the verdict is `between`.
        high: Its upper end.
        words: Above, and below.
        neutral: The value that decides nothing.
        between: The verdict where the interval has the neutral value in it.
    """
    above, below = words
    return above if low > neutral else below if high < neutral else between
