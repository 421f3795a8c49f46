"""Likelihood ratios of populations whose joint distribution is known.

Tolerances are 4.5 standard errors, a false alarm in fewer than 1 of 10,000 seeds, if no other is
named.
"""

from __future__ import annotations

import numpy as np
import pytest

from sim.analysis.likelihood_ratios import (
    FEWEST,
    interval_of,
    joint_counts,
    likelihood_ratio,
    likelihood_table,
    resample,
)
from sim.dynamics.randomness import uniform_pair

P_TRUE, IF_TRUE, IF_NOT = 0.2, 0.7, 0.3


def population(agents: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return H and O of agents with P(H), P(O | H) and P(O | not H) as above."""
    first, second = uniform_pair(seed=seed, stream="known", rows=np.arange(agents))
    true = first < P_TRUE
    return true, second < np.where(true, IF_TRUE, IF_NOT)


def row_of(seen: np.ndarray, true: np.ndarray, **options: int) -> dict:
    return likelihood_table({"O": seen}, {"H": true}, **options).iloc[0].to_dict()


def test_ratios_and_posteriors_of_a_known_population() -> None:
    agents = 200_000
    true, seen = population(agents, seed=1)
    row = row_of(seen, true)
    error = np.sqrt(
        (1 - IF_TRUE) / (agents * P_TRUE * IF_TRUE)
        + (1 - IF_NOT) / (agents * (1 - P_TRUE) * IF_NOT)
    )
    assert abs(np.log(row["ratio"] / (IF_TRUE / IF_NOT))) < 4.5 * error
    assert np.log(row["ratio_high"] / row["ratio_low"]) == pytest.approx(2 * 1.96 * error, rel=0.15)
    posterior = P_TRUE * IF_TRUE / (P_TRUE * IF_TRUE + (1 - P_TRUE) * IF_NOT)
    assert abs(row["posterior"] - posterior) < 4.5 * np.sqrt(0.25 / (agents * 0.38))
    assert row["posterior_low"] < row["posterior"] < row["posterior_high"]
    odds = row["prior"] / (1 - row["prior"]) * row["ratio"]
    assert row["posterior"] == pytest.approx(odds / (1 + odds), abs=1e-12)  # Bayes


def test_bootstrap_intervals_cover() -> None:
    """Of 300 populations 95 % are to be covered; outside 0.91 to 0.98 in 1 of 500 seeds."""
    counts = [joint_counts(*population(400, seed=1000 + repeat)) for repeat in range(300)]
    redrawn = resample(np.array(counts), seed=0, stream="test", draws=400, added=0.5)
    low, high = interval_of(likelihood_ratio(redrawn))
    assert 0.91 <= ((low <= IF_TRUE / IF_NOT) & (high >= IF_TRUE / IF_NOT)).mean() <= 0.98
    shares = [P_TRUE * IF_TRUE, (1 - P_TRUE) * IF_NOT, P_TRUE * 0.3, (1 - P_TRUE) * 0.7]
    assert likelihood_ratio(np.array(shares) * 1e6) == pytest.approx(IF_TRUE / IF_NOT)  # type: ignore[arg-type]


def test_resampled_counts_are_multinomial() -> None:
    """Means and covariances within 5 standard errors: false alarm in 1 of 100,000 seeds."""
    counts = np.array([[30, 0, 50, 20]])
    redrawn = resample(counts, seed=4, stream="test", draws=20_000)[:, 0, :]
    assert (redrawn.sum(axis=1) == 100).all()
    assert (resample(np.array([[1, 0, 1, 0]]), seed=4, stream="test").sum(axis=-1) == 2).all()
    assert (redrawn[:, 1] == 0).all()
    share = counts[0] / 100
    covariance = 100 * (np.diag(share) - np.outer(share, share))
    assert np.abs(redrawn.mean(axis=0) - counts[0]).max() < 5 * np.sqrt(25 / 20_000)
    assert np.abs(np.cov(redrawn.T) - covariance).max() < 5 * 25 * np.sqrt(2 / 20_000)


def test_cells_with_too_few_agents_are_named_and_have_no_ratio() -> None:
    true = np.arange(1000) < 40
    seen = np.zeros(1000, bool)
    seen[: FEWEST - 1] = seen[500:600] = True  # 4 with O and H
    row = row_of(seen, true)
    assert (row["few"], row["few_of"]) == (FEWEST - 1, "seen and true")
    assert np.isnan([row["ratio"], row["ratio_low"], row["ratio_high"]]).all()
    assert row["posterior"] == pytest.approx(4 / 104)
    seen[FEWEST - 1] = True
    row = row_of(seen, true)
    assert (row["few"], row["few_of"]) == (-1, "")
    assert row["ratio"] == pytest.approx((5 / 40) / (100 / 960))
    nobody = row_of(seen, np.zeros(1000, bool))
    assert (nobody["few"], nobody["few_of"]) == (0, "true")
    never = row_of(true, true)  # O never without H: no ratio, and not an infinite one
    assert (never["few_of"], str(never["ratio"])) == ("seen and not true", "nan")


def test_a_count_of_zero_does_not_make_the_interval_certain() -> None:
    agents = np.arange(100_000)
    row = row_of(agents < 50_000, agents < 25)
    assert row["if_true"] == 1.0
    assert row["ratio_low"] < 0.97 / row["if_not"]
