"""Intervals of a share, against SciPy and by counting how often they cover."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from sim.utils.intervals import binomial_interval


def test_intervals_are_those_of_scipy() -> None:
    counts = np.array([0, 1, 4, 9, 10])
    low, high = binomial_interval(counts, 10)
    for x, a, b in zip(counts, low, high, strict=True):
        exact = binomtest(int(x), 10).proportion_ci()
        assert (a, b) == pytest.approx((exact.low, exact.high), abs=1e-9)
    assert binomial_interval(0, 0) == (0.0, 1.0)


def test_intervals_cover_as_often_as_they_say() -> None:
    """Exactly, by summing over all counts; no draws."""
    for level in (0.9, 0.95):
        for chance in (0.01, 0.2, 0.5, 0.97):
            counts = np.arange(31)
            low, high = binomial_interval(counts, 30, level=level)
            inside = (low <= chance) & (chance <= high)
            assert binom.pmf(counts[inside], 30, chance).sum() >= level
