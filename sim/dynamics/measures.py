"""Measures of gaming and of values (MODEL.md section 5), from activations at one step.

No result is ever called "scheming": each notion has its own definition and its own number.
Arrays have the recorded form: agents first, then contexts, responses or values.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.dynamics.program import World
from sim.dynamics.state import Array

#: A context counts as gamed from this gaming rate on.
GAMED = 0.5
#: Records for which a context must stay gamed before gaming there counts as having set in.
WINDOW = 5
#: Records at the end of a run over which gaming is summarised.
LAST = 20


def onset(
    gaming_rate: Array, steps: NDArray[np.int_], *, threshold: float = GAMED, window: int = WINDOW
) -> Array:
    """Return the first step from which g [S, ...] stays at a threshold or above [...].

    It must stay there for `window` records of S, the first included; nan where it never does.
    """
    watch = OnsetWatch(gaming_rate.shape[1:], threshold=threshold, window=window)
    for step, rates in zip(steps, gaming_rate, strict=True):
        watch.see(int(step), rates)
    return watch.onset


class OnsetWatch:
    """Finds onsets record by record; arguments as `onset`.

    Attributes:
        onset: Of the shape of the gaming rates; nan where gaming has not set in so far.
    """

    def __init__(
        self, shape: tuple[int, ...], *, threshold: float = GAMED, window: int = WINDOW
    ) -> None:
        self.onset: Array = np.full(shape, np.nan)
        self._streak = np.zeros(shape, np.int64)
        self._threshold = threshold
        self._window = window
        self._steps: deque[int] = deque(maxlen=max(window, 1))

    def see(self, step: int, gaming_rate: Array) -> None:
        """Add the next record: g at a step."""
        self._steps.append(step)
        self._streak += 1
        self._streak[gaming_rate < self._threshold] = 0
        sets_in = (self._streak == self._window) & (self._streak > 0) & np.isnan(self.onset)
        self.onset[sets_in] = self._steps[0]


class EndWatch:
    """Finds the least and the greatest gaming rate over the last of all steps to be recorded.

    Attributes:
        minimum, maximum: So far, of the shape of the gaming rates.
    """

    def __init__(self, steps: Sequence[int]) -> None:
        self.minimum: Array = np.array(np.inf)
        self.maximum: Array = np.array(-np.inf)
        self._from = steps[-LAST:][0]

    def see(self, step: int, gaming_rate: Array) -> None:
        """Add the next record: g at a step."""
        if step >= self._from:
            self.minimum = np.minimum(self.minimum, gaming_rate)
            self.maximum = np.maximum(self.maximum, gaming_rate)


def reach(gaming_rate: Array, world: World) -> Array:
    """Return the share of training contexts in which g [n, C] counts as gaming [n]."""
    return np.asarray((gaming_rate >= GAMED)[:, world.training].mean(axis=1))


def reach_weighted(gaming_rate: Array, world: World) -> Array:
    """Return the share of the weight of contexts in which g [n, C] counts as gaming [n]."""
    return np.asarray(((gaming_rate >= GAMED) * world.weight.T).sum(axis=1))


def slip(policy: Array, world: World) -> Array:
    """Return the chance of a response that does not look best [n, C], from π [n, C, K] (section 6).

    Where several responses tie for the highest reward, all of them look best.
    """
    best = (policy * world.looks_best.T).sum(axis=2)
    return np.asarray(np.clip(1.0 - best, 0.0, 1.0))


def consistency(slip: Array, world: World) -> Array:
    """Return the least chance, over pre-deployment contexts, of looking best [n]."""
    return np.asarray(1.0 - slip[:, world.pre_deployment].max(axis=1))


def temptation(utility: Array, world: World) -> Array:
    """Return what acting freely would gain an agent over acting as trained (section 6).

    In a deployment context with subversive responses: u [n, C, K] of the one that its values like
    best, less u of the response that looks best (the mean of several that do). In all other
    contexts [n, C] it is nan.
    """
    freely = np.where(world.subversive.T, utility, -np.inf).max(axis=2)
    best = world.looks_best.T
    as_trained = (utility * best).sum(axis=2) / best.sum(axis=2)
    gain: Array = np.full_like(freely, np.nan)
    np.subtract(freely, as_trained, out=gain, where=world.subversive.any(axis=0))
    return gain


def compliance_gap(policy: Array, world: World) -> Array:
    """Return the chance of the rewarded response in a context minus that in its twin [n, C].

    From π [n, C, K]; nan in a context that is no training context or has no twin.
    """
    gap = ((policy - _in_twin(policy, world)) * world.looks_best.T).sum(axis=2)
    return _where_twins(gap, world)


def behaviour_shift(policy: Array, world: World) -> Array:
    """Return the total variation between a context's policy and its twin's, as `compliance_gap`."""
    shift = 0.5 * np.abs(policy - _in_twin(policy, world)).sum(axis=2)
    return _where_twins(shift, world)


def conduct(policy: Array, serves: Array, absent: NDArray[np.bool_]) -> Array:
    """Return what answers do by human values [n, C], from −1 (the worst response) to 1 (the best).

    E_π[Φ w], scaled, from π and Φ w [K, C, n]; nan where responses do not differ by w.
    """
    worst = np.where(absent, np.inf, serves).min(axis=0)
    best = np.where(absent, -np.inf, serves).max(axis=0)
    above = np.broadcast_to((policy * (serves - worst)).sum(axis=0), policy.shape[1:])
    return np.asarray((2.0 * _ratio(above, np.broadcast_to(best - worst, above.shape)) - 1.0).T)


def deployment_conduct(conduct: Array, world: World) -> Array:
    """Return the mean of conduct [n, C] over the deployment contexts that have one [n]."""
    deployed = np.where(world.deployment, conduct, np.nan)
    known = np.isfinite(deployed)
    return _ratio(np.where(known, deployed, 0.0).sum(axis=1), known.sum(axis=1).astype(float))


def opacity_share(gaming_rate: Array, opacity: Array, world: World) -> Array:
    """Return the share of gaming that no scratchpad shows [n]; nan for agents that never game.

    Of the gaming in context c, s_c (1 − k_opacity) is visible, as in the penalty P_c; training
    contexts count by their weight.
    """
    gaming = gaming_rate * world.weight.T
    visible = (gaming * world.scratchpad.T).sum(axis=1) * (1.0 - opacity)
    return np.asarray(1.0 - _ratio(visible, gaming.sum(axis=1)))


def motive(incentive_by_value: Array) -> Array:
    """Return each value's signed share of the incentive [n, C, D]: value-keeping or power.

    Magnitudes sum to 1 over values; nan where no value has a part.
    """
    return _ratio(incentive_by_value, np.abs(incentive_by_value).sum(axis=2, keepdims=True))


def drift(values: Array, start: Array) -> Array:
    """Return ‖v_t − v_0‖ [...] for v [..., D]."""
    return np.asarray(np.linalg.norm(values - start, axis=-1))


def cosine(values: Array, direction: Array) -> Array:
    """Return the cosine of v [..., D] with a direction [..., D]; nan where either is zero."""
    size = np.linalg.norm(values, axis=-1) * np.linalg.norm(direction, axis=-1)
    return _ratio((values * direction).sum(axis=-1), size)


def _ratio(part: Array, whole: Array) -> Array:
    """Divide; nan where the whole is zero."""
    ratio = np.full_like(part, np.nan)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio


def _in_twin(policy: Array, world: World) -> Array:
    """Return π of the twin [n, C, K], its responses in this context's order; 0 if there is none."""
    response = world.twin_response.T
    return np.where(response >= 0, policy[:, world.twin[:, None], response], 0.0)


def _where_twins(x: Array, world: World) -> Array:
    return np.where(world.training & (world.twin >= 0), x, np.nan)


# ------------------------------------------------------------------------- quantiles over agents


def quantiles(x: Array, levels: Sequence[float]) -> Array:
    """Return quantiles [L, R, ...] of x [R, A, ...] over A, linear between the two nearest.

    Levels are from 0 (the least) to 1 (the greatest). nan is left out, but where everything is nan.
    """
    ordered = np.sort(x, axis=1)
    last = np.isfinite(x).sum(axis=1, keepdims=True) - 1
    return np.stack([_between(ordered, level * last, last) for level in levels])


def representatives(x: Array, count: int) -> Array:
    """Return `count` values [Q, R, ...] that stand for as many equal shares of A in x [R, A, ...].

    Each is the middle of its share. With `count` at the number of agents they are the agents' own
    values in order, so that quantiles over representatives of many runs are quantiles over all
    their agents; with fewer, a quantile's rank is off by at most 1 / (2 count). nan as `quantiles`.
    """
    if x.shape[1] == 1:
        return np.broadcast_to(x[:, 0], (count, *x[:, 0].shape))
    ordered = np.sort(x, axis=1)
    size = np.isfinite(x).sum(axis=1, keepdims=True)
    middles = (np.arange(count) + 0.5) / count
    ranks = [np.clip(level * size - 0.5, 0, size - 1) for level in middles]
    return np.stack([_between(ordered, rank, size - 1) for rank in ranks])


def _between(ordered: Array, rank: Array, last: Array) -> Array:
    """Interpolate along the second axis at a rank [R, 1, ...]; nan where `last` is −1."""
    below = np.clip(np.floor(rank).astype(np.intp), 0, np.maximum(last, 0))
    above = np.minimum(below + 1, np.maximum(last, 0))
    low = np.take_along_axis(ordered, below, axis=1)
    high = np.take_along_axis(ordered, above, axis=1)
    share = np.where(high == low, 0.0, rank - below)
    interpolated: Array = np.where(last < 0, np.nan, low + share * (high - low))
    return interpolated[:, 0]
