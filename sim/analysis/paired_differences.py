"""Mean differences between twins, with Student's t interval of paired differences.

Agents are the units: they are drawn independently of each other. The t interval needs no draws of
its own, is [0, 0] where no agent differs, and is exact for normal differences;
`tests/test_causation.py` states how often it covers the mean of skewed ones.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import t as student

from sim.dynamics.state import Array


def paired(first: ArrayLike, second: ArrayLike, *, level: float = 0.95) -> dict[str, float]:
    """Return the mean difference between twins, first less second, with its t interval.

    Args:
        first: A number of each agent [n].
        second: The same of its twin; pairs in which either is nan are left out.
        level: Of confidence.

    Returns:
        `effect`, `low`, `high` (nan with fewer than two pairs), the shares of agents `up` and
        `down`, and how many `agents` there are.
    """
    with np.errstate(invalid="ignore"):
        difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    difference = difference[np.isfinite(difference)]
    n = len(difference)
    if n == 0:
        return {**dict.fromkeys(("effect", "low", "high", "up", "down"), np.nan), "agents": 0.0}
    mean, half = float(difference.mean()), np.nan
    if n > 1:
        error = float(difference.std(ddof=1)) / np.sqrt(n)
        half = float(student.ppf(0.5 + level / 2.0, n - 1)) * error
    return {
        "effect": mean,
        "low": mean - half,
        "high": mean + half,
        "up": float((difference > 0.0).mean()),
        "down": float((difference < 0.0).mean()),
        "agents": float(n),
    }


def paired_table(first: pd.DataFrame, second: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """Return `paired` of every outcome, a row for each, with both means."""
    rows = []
    for name in first.columns:
        means = {"first": first[name].mean(), "second": second[name].mean()}
        rows.append({"outcome": name, **means, **paired(first[name], second[name], level=level)})
    return pd.DataFrame(rows)


def policy_distance(first: Array, second: Array) -> Array:
    """Return the mean total variation between the policies of twins [agent], over contexts.

    Args:
        first: Chances of responses [agent, context, response]; 0 where there is no such response.
        second: The same of the twins.
    """
    distance: Array = 0.5 * np.abs(first - second).sum(axis=-1).mean(axis=-1)
    return distance
