"""Footnote 4: what becomes of agents, by their decision d and gaming rate g over training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.dynamics.state import Array

#: Gaming some of the time: more than the first, less than the second.
SOME, MOST = 0.1, 0.9
#: In the order in which they are stacked: what an agent does in the context that is looked at.
STATES = ("against", "undecided", "unaware", "always")


def state_of(rate: Array, decision: Array) -> NDArray[np.int_]:
    """Return which of `STATES` agents are in, by g and d of any shape."""
    state = np.full(rate.shape, STATES.index("unaware"))
    state[decision < MOST] = STATES.index("undecided")
    state[decision <= SOME] = STATES.index("against")
    state[rate >= MOST] = STATES.index("always")
    return state


def is_between(chance: Array) -> NDArray[np.bool_]:
    """Return where a chance, d or g, is neither near 0 nor near 1."""
    between: NDArray[np.bool_] = (chance > SOME) & (chance < MOST)
    return between


def still_between(between: NDArray[np.bool_]) -> Array:
    """Return, of those that were between at first, the share that is so [S], from [S, N]."""
    began = between[0]
    share: Array = (between & began).sum(axis=1) / max(1, int(began.sum()))
    return share


def half_life(steps: NDArray[np.int_], still: Array) -> float:
    """Return the first step from which on fewer than half are undecided for good; inf if none."""
    if still[-1] >= 0.5:
        return np.inf
    last = int(np.flatnonzero(still >= 0.5)[-1])
    # On a logarithmic scale, as the moments are.
    one, other = np.log1p(steps[last]), np.log1p(steps[last + 1])
    share = (still[last] - 0.5) / (still[last] - still[last + 1])
    return float(np.expm1(one + share * (other - one)))


def _sides(decision: Array) -> NDArray[np.int_]:
    """Return 1 where agents have decided to game, -1 where not to, 0 where they are undecided."""
    return np.where(decision >= MOST, 1, np.where(decision <= SOME, -1, 0))


def share_to_gaming(decision: Array) -> float:
    """Return, of those that ever decide, the share that goes to gaming first, from d [S, N]."""
    side = _sides(decision)
    decides = (side != 0).any(axis=0)
    first = side[(side != 0).argmax(axis=0), np.arange(side.shape[1])]
    return float((first[decides] == 1).mean()) if decides.any() else np.nan


def share_returned(decision: Array) -> float:
    """Return, of those undecided at the end, the share that was not so in between, from [S, N]."""
    between = is_between(decision)
    ended = between[0] & between[-1]
    return 1.0 - float(between[:, ended].all(axis=0).mean()) if ended.any() else np.nan


def share_swinging(decision: Array) -> float:
    """Return the share of agents that change sides twice or more, from d [S, N]."""
    side = _sides(decision)
    changes = np.zeros(side.shape[1], np.int_)
    last = side[0]
    for now in side[1:]:
        changes += last * now == -1
        last = np.where(now == 0, last, now)
    return float(np.mean(changes >= 2))


def share_kept(strength: Array) -> float:
    """Return how many agents keep half of a value [S, N], from the first moment to the last."""
    start, end = strength[0], strength[-1]
    return float(np.mean(end * np.sign(start) >= 0.5 * np.abs(start)))
