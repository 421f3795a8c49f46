"""From where on a curve stays at a level, and what to make of places that are infinite.

A curve that is never below the level has its crossing at -inf, one that ends below it at inf.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sim.dynamics.state import Array


def crossing(at: ArrayLike, heights: ArrayLike, level: float) -> float:
    """Return from where on a curve stays at a level or above, to its end.

    Args:
        at: Where it is known, increasing [n].
        heights: How high it is there [n].
        level: The level.

    Returns:
        The place, linear between points; -inf if the whole curve is that high, and inf if its end
        is not.
    """
    x, y = np.asarray(at, np.float64), np.asarray(heights, np.float64)
    below = np.flatnonzero(~(y >= level))
    if len(below) == 0:
        return -np.inf
    last = int(below[-1])
    if last == len(x) - 1:
        return np.inf
    part = (level - y[last]) / (y[last + 1] - y[last])
    return float(x[last] + part * (x[last + 1] - x[last]))


def middle(numbers: Array) -> float:
    """Return the median, of numbers that may be infinite (between -inf and inf, the upper)."""
    ordered = np.sort(numbers)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return float(0.5 * (low + high)) if np.isfinite([low, high]).all() else float(high)


def finite(number: Any) -> float | None:
    """Return a number as JSON has it: None if it is infinite or not defined."""
    return float(number) if np.isfinite(number) else None
