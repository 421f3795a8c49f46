"""How well observations predict hypotheses: ROC curves of a count, and calibration.

Both are of one population, drawn from a prior and trained (`sim.analysis.likelihood_ratios`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.analysis.likelihood_ratios import DRAWS, FEWEST, Flags, interval_of, resample
from sim.dynamics.randomness import uniform_pair
from sim.dynamics.state import Array
from sim.utils.intervals import binomial_interval

#: Bins of predicted chances that a calibration curve has.
BINS = 10


@dataclass(frozen=True)
class Score:
    """The ROC curve of a score, and the area under it with its interval.

    Attributes:
        false_alarms: Share of others at or above each cut, from none to all.
        hits: Share of those of which it is true.
        auc: Area under the curve: the chance that of a random pair, one of each, the one of which
            it is true scores higher (a tie counts half); nan where there are no pairs.
        low: Of the bootstrap interval of the area ...
        high: ... its ends.
    """

    false_alarms: Array
    hits: Array
    auc: float
    low: float
    high: float


def score_of(count: NDArray[np.intp], true: Flags, *, seed: int = 0, draws: int = DRAWS) -> Score:
    """Return the ROC curve by which a whole number of 0 or more tells a hypothesis.

    Args:
        count: The score of each agent [N].
        true: Of which agents it is true [N].
        seed: Of the bootstrap.
        draws: How many times counts are drawn again.
    """
    levels = int(count.max(initial=0)) + 1
    table = np.stack([np.bincount(count[flags], minlength=levels) for flags in (true, ~true)])
    flat = table.reshape(1, -1)
    counts = resample(flat, seed=seed, stream="score", draws=draws).reshape(draws, 2, levels)
    low, high = interval_of(_area(counts))
    with np.errstate(all="ignore"):
        curves = np.cumsum(table[:, ::-1], axis=1) / table.sum(axis=1, keepdims=True)
    few = table.sum(axis=1).min() < FEWEST
    hits, alarms = (np.concatenate([[0.0], curve]) for curve in curves)
    auc = float(_area(table[None])[0])
    return Score(alarms, hits, auc, *((np.nan, np.nan) if few else (float(low), float(high))))


def calibration(
    signs: Mapping[str, Flags], true: Flags, *, seed: int = 0
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Predict a hypothesis from all that is seen, on one half of the agents; check on the other.

    The chance predicted is the share among agents of the first half of which exactly the same is
    seen, with one agent of the average kind added to each such group.

    Args:
        signs: By observation [N].
        true: The hypothesis [N].
        seed: Of the halves.

    Returns:
        A row for each bin of predicted chance that has agents: `predicted` (mean), `share`, `low`,
        `high` (exact), `agents`, and `lacking`; and `error`, the mean distance of the two by bin,
        weighted by agents, `score` (Brier's) and `score_prior`, that of predicting P(H) for all.
    """
    uniform, _ = uniform_pair(seed=seed, stream="halves", rows=np.arange(len(true)))
    estimation = uniform < 0.5
    _, group = np.unique(np.stack(list(signs.values()), axis=1), axis=0, return_inverse=True)
    group = group.reshape(-1)
    size = np.bincount(group[estimation], minlength=group.max() + 1)
    hits = np.bincount(group[estimation & true], minlength=group.max() + 1)
    average = true[estimation].mean() if estimation.any() else np.nan
    chance = ((hits + average) / (size + 1.0))[group][~estimation]
    truth = true[~estimation]
    place = np.minimum((chance * BINS).astype(np.intp), BINS - 1)
    rows = []
    for b in np.unique(place):
        inside = place == b
        low, high = binomial_interval(truth[inside].sum(), inside.sum())
        rows.append(
            (
                chance[inside].mean(),
                truth[inside].mean(),
                float(low),
                float(high),
                int(inside.sum()),
            )
        )
    frame = pd.DataFrame(rows, columns=["predicted", "share", "low", "high", "agents"])
    distance = (frame["predicted"] - frame["share"]).abs()
    return frame, {
        "error": float((distance * frame["agents"]).sum() / max(len(truth), 1)),
        "score": float(np.mean((chance - truth) ** 2)),
        "score_prior": float(np.mean((average - truth) ** 2)),
    }


def _area(table: NDArray[np.int64]) -> Array:
    """Return the area under the curve [...] from counts [..., 2, levels]: true, and not."""
    hit, miss = table[..., 0, :].astype(np.float64), table[..., 1, :].astype(np.float64)
    below = np.cumsum(miss, axis=-1) - 0.5 * miss
    with np.errstate(all="ignore"):
        area: Array = (hit * below).sum(axis=-1) / (hit.sum(axis=-1) * miss.sum(axis=-1))
    return area
