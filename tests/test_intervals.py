"""Intervals of a share, against SciPy and by counting how often they cover."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from sim.utils.intervals import binomial_interval, mixing


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


def test_mixing_of_chains_is_that_of_their_correlation_and_of_where_they_lie() -> None:
    """Chains x' = φ x + e are worth (1 - φ) / (1 + φ) of their draws; R-hat if ±1 apart."""
    rng, phi = np.random.default_rng(0), 0.8
    chains = rng.normal(size=(8000, 8, 1))
    for step in range(1, len(chains)):
        chains[step] = phi * chains[step - 1] + np.sqrt(1.0 - phi**2) * chains[step]
    ratio, effective = mixing(chains)
    assert ratio[0] == pytest.approx(1.0, abs=0.01)
    assert effective[0] == pytest.approx(chains.size * (1.0 - phi) / (1.0 + phi), rel=0.1)
    apart, few = mixing(chains + np.array([-1.0, 1.0] * 4)[:, None])
    assert apart[0] == pytest.approx(np.sqrt(1.0 + 16.0 / 15.0), rel=0.02)
    assert few[0] < 100.0
