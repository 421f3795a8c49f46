"""After training, on paper: the equations of MODEL.md section 6, over any shape of arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc

from sim.dynamics.state import Array


def pass_chance(capability: ArrayLike, *, strength: ArrayLike, encounters: ArrayLike) -> Array:
    """Return the chance of passing a step of oversight: (1 − o (1 − k))^n.

    Args:
        capability: k, the capability that helps through this step.
        strength: o, the chance to find what no capability hides.
        encounters: n, how many times it is faced.
    """
    missed = 1.0 - np.asarray(strength) * (1.0 - np.asarray(capability))
    chance: Array = np.asarray(missed ** np.asarray(encounters))
    return chance


def stick_chance(slip: ArrayLike, encounters: ArrayLike) -> Array:
    """Return the chance of sticking to the plan: Π_c (1 − slip_c)^{n_c}.

    Args:
        slip: Chance of a response that does not look best [..., C], in each context.
        encounters: n_c [C], answers seen in each context.
    """
    chance: Array = np.asarray(((1.0 - np.asarray(slip)) ** np.asarray(encounters)).prod(axis=-1))
    return chance


def quorum_chance(coordination: ArrayLike, *, copies: int, needed: int) -> Array:
    """Return the chance that enough copies act together, when each does with chance k.

    That is P(X >= needed) for X binomial, of `copies` trials with chance k_coordination. A single
    copy has nobody to coordinate with, and acts.

    Args:
        coordination: k_coordination.
        copies: M.
        needed: ⌈quorum · M⌉, from 1 to M.
    """
    chance = np.asarray(coordination, np.float64)
    if copies == 1:
        return np.ones_like(chance)
    tail: Array = np.asarray(betainc(needed, copies - needed + 1, chance))
    return tail


def attempts(gain: ArrayLike, success: ArrayLike, *, caution: ArrayLike) -> NDArray[np.bool_]:
    """Return whether an agent attempts a takeover.

    It does iff acting freely beats acting as trained by its own values, and P(success) is above
    caution / (1 + caution).

    Args:
        gain: What acting freely is worth more than acting as trained; nan where there is nothing
            to gain anywhere.
        success: P(success).
        caution: What a failure costs, in units of what a success is worth.
    """
    caution = np.asarray(caution)
    bold = np.asarray(success) > caution / (1.0 + caution)
    willing: NDArray[np.bool_] = np.asarray((np.asarray(gain) > 0.0) & bold)
    return willing
