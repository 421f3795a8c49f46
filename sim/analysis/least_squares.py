"""Least squares within bounds, for problems with long curved valleys and many parameters.

Levenberg and Marquardt's method, with the scaling of Coleman and Li: the nearer a parameter is to
the bound that it moves towards, the shorter are its steps, so that none sticks to a bound before
the others have found their place. Where a search ends with parameters near bounds, it is tried
again from a little further inside: rates that saturate have no slope there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from sim.dynamics.state import Array

#: A step goes at most so far towards a bound, as a share of what is left.
_TOWARDS = 0.9
#: How far off the bounds a search starts at least, as shares of the range: a first one, one that is
#: tried again, and one that starts where another ended.
_OFF, _INSIDE, _HARDLY = 1e-3, 0.05, 1e-9
#: Damping of the first step; the least there is.
_DAMPING, _LEAST = 1e-2, 1e-9
#: How often a step that does not descend is shortened, and a search is tried again.
_SHORTER, _AGAIN = 25, 3

Function = Callable[[Array], Array]


@dataclass(frozen=True)
class Found:
    """Where a search ended.

    Attributes:
        x: The parameters.
        cost: The sum of squares.
        converged: Whether it ended by itself.
    """

    x: Array
    cost: float
    converged: bool


def least_squares(
    residuals: Function,
    slopes: Function,
    start: Array,
    *,
    low: Array,
    high: Array,
    most: int = 200,
    tolerance: float = 1e-5,
    damping: float = _DAMPING,
    again: bool = True,
) -> Found:
    """Return where the sum of squares is least, as far as a search from one start tells.

    Args:
        residuals: Of parameters [n] → [m].
        slopes: Their derivatives [n] → [m, n].
        start: Where to begin [n]; moved inside the bounds.
        low: The least they may be [n].
        high: The most [n].
        most: Steps at most.
        tolerance: It ends when two steps in a row gain less than this share of the sum (of 1 where
            the sum is less: squares are in units of standard errors).
        damping: Of the first step; another may find another valley.
        again: Whether to try again from further inside where it ended near bounds; False for a
            start that is where another search ended, bounds and all.
    """
    wide = high - low

    def descend(first: Array) -> Found:
        return _descend(
            residuals,
            slopes,
            first,
            low=low,
            high=high,
            most=most,
            tolerance=tolerance,
            damping=damping,
        )

    off = (_OFF if again else _HARDLY) * wide
    best = descend(np.clip(start, low + off, high - off))
    for _ in range(_AGAIN if again else 0):
        inside = np.clip(best.x, low + _INSIDE * wide, high - _INSIDE * wide)
        if np.array_equal(inside, best.x):
            break
        other = descend(inside)
        gained = best.cost - other.cost
        best = other if gained > 0.0 else best
        if gained < 10.0 * tolerance * max(best.cost, 1.0):
            break
    return best


def _descend(
    residuals: Function,
    slopes: Function,
    x: Array,
    *,
    low: Array,
    high: Array,
    most: int,
    tolerance: float,
    damping: float,
) -> Found:
    off = residuals(x)
    cost, calm = float(off @ off), 0
    for _ in range(most):
        jacobian = slopes(x)
        square, gradient = jacobian.T @ jacobian, jacobian.T @ off
        room = np.maximum(np.where(gradient < 0.0, high - x, x - low), 1e-12)
        pull = np.abs(gradient) / room
        steep = np.diag(square)
        floor = max(1e-10 * float(steep.max(initial=0.0)), 1e-30)
        longer, taken = 2.0, None
        for _ in range(_SHORTER):
            added = np.diag(damping * np.maximum(steep, floor) + pull)
            try:
                step = cho_solve(cho_factor(square + added), -gradient)
            except LinAlgError:
                damping *= 10.0
                continue
            bound = np.where(step < 0.0, x - low, high - x)
            step = np.clip(step, -_TOWARDS * bound, _TOWARDS * bound)
            expected = -float(2.0 * gradient @ step + step @ square @ step)
            if expected > 0.0:
                there = residuals(x + step)
                cost_there = float(there @ there)
                if cost_there < cost:
                    taken = step, there, cost_there
                    break
                if expected < 1e-3 * tolerance * max(cost, 1.0):
                    break
            damping, longer = damping * longer, 2.0 * longer
        if taken is None:
            return Found(x, cost, True)
        step, off, now = taken
        gain, as_expected = cost - now, (cost - now) / expected
        shrunk = max(0.2, 1.0 - (2.0 * min(as_expected, 2.0) - 1.0) ** 3)
        damping = max(damping * min(shrunk, 2.0), _LEAST)
        x, cost = x + step, now
        calm = calm + 1 if gain < tolerance * max(cost, 1.0) else 0
        if calm == 2:
            return Found(x, cost, True)
    return Found(x, cost, False)
