"""Intervals of shares, the verdicts that intervals allow, and how far chains have mixed."""

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


def mixing(chains: Array) -> tuple[Array, Array]:
    """Return R-hat and the effective sample size of split chains [step, chain, parameter]."""
    steps = len(chains) // 2
    halves = np.concatenate([chains[:steps], chains[-steps:]], axis=1)
    within = halves.var(axis=0, ddof=1).mean(axis=0)
    total = within * (steps - 1) / steps + halves.mean(axis=0).var(axis=0, ddof=1)
    power = np.abs(np.fft.rfft(halves - halves.mean(axis=0), 2 * steps, axis=0)) ** 2
    alike = np.fft.irfft(power, axis=0)[:steps].mean(axis=1) / steps
    correlation = 1.0 - (within - alike) / total
    pairs = correlation[: steps // 2 * 2].reshape(-1, 2, len(total)).sum(axis=1)
    # Geyer's initial monotone sequence: what comes after the first pair below 0 is noise.
    pairs = np.maximum(np.minimum.accumulate(pairs, axis=0), 0.0)
    return np.sqrt(total / within), halves[..., 0].size / np.maximum(
        2.0 * pairs.sum(axis=0) - 1.0, 0.1
    )
