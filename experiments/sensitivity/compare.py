"""Do two groups of outcomes hang on the same inputs?

The post: "many of these claims, like competence at coordinating or cross-context strategizing, seem
much less convergent than the assumptions underlying instrumental training-gaming". If the lists of
what matters were the same, one could stand for the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from sim.analysis.sensitivity import Indices
from sim.dynamics.state import Array

#: How many inputs a list of what matters has.
TOP = 5


@dataclass(frozen=True)
class Comparison:
    """Two groups of outcomes, by what they hang on.

    Attributes:
        left: The outcomes of the first group that have indices ...
        right: ... and of the second.
        frame: A row for each input: `input`, `left` and `right` (its importance: the mean over the
            group's outcomes of the total index, or of mu_star as a share of the outcome's largest),
            `left_low`, `left_high`, `right_low`, `right_high` (95 % of the bootstrap; nan for
            Morris), `left_rank` and `right_rank` (1 is the most important).
        rank_correlation: Spearman's, between the two importances; nan if a group has no outcome.
        rank_low: Its 2.5th percentile over resamples; nan for Morris.
        rank_high: Its 97.5th percentile.
        shared: Inputs that are among the `TOP` of both, by their rank in the first.
        shared_low: How many these are at least, in 95 % of resamples; nan for Morris.
        shared_high: And at most.
    """

    left: tuple[str, ...]
    right: tuple[str, ...]
    frame: pd.DataFrame
    rank_correlation: float
    rank_low: float
    rank_high: float
    shared: tuple[str, ...]
    shared_low: float
    shared_high: float

    @property
    def sound(self) -> bool:
        """Whether both groups have an outcome that varies."""
        return bool(self.left and self.right)

    def top(self, side: str) -> pd.DataFrame:
        """Return the rows of the `TOP` inputs of a side (`left` or `right`), by rank."""
        return self.frame.sort_values(f"{side}_rank", kind="stable").head(TOP)


def compare(indices: Indices, left: Sequence[str], right: Sequence[str]) -> Comparison:
    """Compare what two groups of outcomes hang on.

    Args:
        indices: Indices of all these outcomes.
        left: The first group.
        right: The second.
    """
    first, second = (_varying(indices, group) for group in (left, right))
    a, b = _importance(indices, first), _importance(indices, second)
    again_a, again_b = _resampled(indices, first), _resampled(indices, second)
    frame = pd.DataFrame({"input": list(indices.sample.names), "left": a, "right": b})
    for side, again in (("left", again_a), ("right", again_b)):
        low, high = _interval(again)
        frame[f"{side}_low"], frame[f"{side}_high"] = low, high
        frame[f"{side}_rank"] = _ranks(frame[side].to_numpy())
    paired = list(zip(again_a, again_b, strict=False))
    ranks = _interval(np.array([spearman(x, y) for x, y in paired]))
    both = _interval(np.array([len(_top(x) & _top(y)) for x, y in paired], np.float64))
    names = np.array(indices.sample.names)
    shared = sorted(_top(a) & _top(b), key=lambda i: -a[i]) if first and second else []
    return Comparison(
        left=first,
        right=second,
        frame=frame,
        rank_correlation=spearman(a, b),
        rank_low=float(ranks[0]),
        rank_high=float(ranks[1]),
        shared=tuple(map(str, names[shared])),
        shared_low=float(both[0]),
        shared_high=float(both[1]),
    )


def spearman(a: Array, b: Array) -> float:
    """Return Spearman's rank correlation of two lists; nan if one of them is all the same."""
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("nan")
    x, y = (rankdata(x) - (len(x) + 1) / 2.0 for x in (a, b))
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size > 0.0 else float("nan")


def _ranks(importance: Array) -> NDArray[np.int_]:
    """Return 1 for the largest, and so on; those that are alike, or undefined, in their order."""
    order = np.argsort(-importance, kind="stable")
    return np.asarray(np.argsort(order, kind="stable") + 1, np.int_)


def _varying(indices: Indices, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if indices.states[name] == "varies")


def _importance(indices: Indices, names: Sequence[str]) -> Array:
    if not names:
        return np.full(len(indices.sample.names), np.nan)
    each = np.array([indices.main(name) for name in names])
    if indices.sample.method == "morris":
        each = each / each.max(axis=1, keepdims=True)
    return np.asarray(each.mean(axis=0))


def _resampled(indices: Indices, names: Sequence[str]) -> Array:
    """Return the importances in each resample [B, D]; none at all for Morris."""
    if not names or any(name not in indices.resampled for name in names):
        return np.empty((0, len(indices.sample.names)))
    return np.asarray(np.mean([indices.resampled[name] for name in names], axis=0))


def _interval(resampled: Array) -> Array:
    """Return the 2.5th and the 97.5th percentile over resamples [2, ...]; nan if there are none."""
    if not len(resampled) or not np.isfinite(resampled).all():
        return np.full((2, *resampled.shape[1:]), np.nan)
    return np.asarray(np.percentile(resampled, [2.5, 97.5], axis=0))


def _top(importance: Array) -> set[int]:
    return set(np.argsort(-importance, kind="stable")[:TOP].tolist())
