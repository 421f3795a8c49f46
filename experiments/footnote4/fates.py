"""Classify agents by their decision d and gaming rate g over training, and time the changes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.dynamics.state import Array

#: Gaming some of the time: more than the first, less than the second.
SOME, MOST = 0.1, 0.9
#: In the order in which they are stacked: what an agent does in the context that is looked at.
STATES = ("against", "undecided", "unaware", "always")


def state_of(rate: Array, decision: Array) -> NDArray[np.int_]:
    """Classify agents by gaming rate g and decision d, of any shape, as indices of `STATES`."""
    state = np.full(rate.shape, STATES.index("unaware"))
    state[decision < MOST] = STATES.index("undecided")
    state[decision <= SOME] = STATES.index("against")
    state[rate >= MOST] = STATES.index("always")
    return state


def is_between(probability: Array) -> NDArray[np.bool_]:
    """Test whether a probability, d or g, is neither near 0 nor near 1."""
    between: NDArray[np.bool_] = (probability > SOME) & (probability < MOST)
    return between


def share_still_between(between: NDArray[np.bool_]) -> Array:
    """Compute the survival [S] of agents that were between at first, from flags [S, N]."""
    began = between[0]
    share: Array = (between & began).sum(axis=1) / max(1, int(began.sum()))
    return share


def half_life(steps: NDArray[np.int_], survival: Array) -> float:
    """Interpolate the step after which a survival [S] stays below one half; inf if none."""
    if survival[-1] >= 0.5:
        return np.inf
    last = int(np.flatnonzero(survival >= 0.5)[-1])
    # On a logarithmic scale, as the moments are.
    before, after = np.log1p(steps[last]), np.log1p(steps[last + 1])
    share = (survival[last] - 0.5) / (survival[last] - survival[last + 1])
    return float(np.expm1(before + share * (after - before)))


def _sides(decision: Array) -> NDArray[np.int_]:
    """Map decisions to 1 (to game), -1 (not to game) and 0 (undecided)."""
    return np.where(decision >= MOST, 1, np.where(decision <= SOME, -1, 0))


def share_first_to_gaming(decision: Array) -> float:
    """Compute the share, of agents that ever decide, that decides to game first, from d [S, N]."""
    side = _sides(decision)
    decides = (side != 0).any(axis=0)
    first = side[(side != 0).argmax(axis=0), np.arange(side.shape[1])]
    return float((first[decides] == 1).mean()) if decides.any() else np.nan


def share_returned(decision: Array) -> float:
    """Compute the share, of agents undecided at the end, that had decided before, from d [S, N]."""
    between = is_between(decision)
    ended = between[0] & between[-1]
    return 1.0 - float(between[:, ended].all(axis=0).mean()) if ended.any() else np.nan


def share_swinging(decision: Array) -> float:
    """Compute the share of agents that change sides twice or more, from d [S, N]."""
    side = _sides(decision)
    changes = np.zeros(side.shape[1], np.int_)
    last = side[0]
    for current in side[1:]:
        changes += last * current == -1
        last = np.where(current == 0, last, current)
    return float(np.mean(changes >= 2))


def share_value_kept(strength: Array) -> float:
    """Compute the share of agents that keep half of a value's strength [S, N] to the end."""
    start, end = strength[0], strength[-1]
    return float(np.mean(end * np.sign(start) >= 0.5 * np.abs(start)))
