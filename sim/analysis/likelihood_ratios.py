"""Likelihood ratios and posteriors of hypotheses about agents, given observations of them.

In a population that is drawn from a prior and trained, the observation O and the hypothesis H are
known of each agent. LR = P(O | H) / P(O | not H) is the factor by which O changes the odds of H.
Its interval is a bootstrap over agents: the four counts are drawn again, multinomially, with their
shares, half an agent added to each, so that a count of 0 has a positive probability. With fewer
than `FEWEST` agents with O, with H, with not H, with O and H, or with O and not H, there is no
ratio; the posterior has an exact binomial interval.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.dynamics.randomness import uniform_pair
from sim.dynamics.state import Array
from sim.utils.intervals import binomial_interval

Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]

#: Fewer agents than this in a cell are too few for a likelihood ratio.
FEWEST = 5
#: Number of bootstrap draws, and the share of them that an interval holds.
DRAWS, LEVEL = 1000, 0.95


def likelihood_table(
    observations: Mapping[str, Flags],
    hypotheses: Mapping[str, Flags],
    *,
    seed: int = 0,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Return the evidence that each observation is of each hypothesis, a row for each pair.

    Both are flags of agents [N], by name; seed and number of draws are those of the bootstrap.

    Returns:
        `observation`, `hypothesis`; counts `agents`, `seen`, `true`, `both`; `prior` P(H);
        `if_true` P(O | H), `if_not` P(O | not H); `ratio` with `ratio_low`, `ratio_high` (nan where
        there are too few); `posterior` P(H | O) with `posterior_low`, `posterior_high`; `few`, the
        smallest count that matters where it is below `FEWEST`, and `few_of`, the name of that
        count; else -1 and "".
    """
    names = [(o, h) for o in observations for h in hypotheses]
    counts = np.array([joint_counts(hypotheses[h], observations[o]) for o, h in names])
    counts = counts.reshape(-1, 4)
    ratio = likelihood_ratio(counts)
    few, few_of = smallest_count(counts)
    redrawn = resample(counts, seed=seed, stream="evidence", draws=draws, added=0.5)
    ratio_low, ratio_high = interval_of(likelihood_ratio(redrawn))
    both, without, _, _ = counts.T
    total, in_true, in_seen = counts.sum(axis=1), counts[:, [0, 2]].sum(axis=1), both + without
    low, high = binomial_interval(both, in_seen)
    with np.errstate(all="ignore"):
        frame = pd.DataFrame(
            {
                "observation": [o for o, _ in names],
                "hypothesis": [h for _, h in names],
                "agents": total,
                "seen": in_seen,
                "true": in_true,
                "both": both,
                "prior": in_true / total,
                "if_true": both / in_true,
                "if_not": without / (total - in_true),
                "ratio": ratio,
                "ratio_low": ratio_low,
                "ratio_high": ratio_high,
                "posterior": both / in_seen,
                "posterior_low": low,
                "posterior_high": high,
                "few": few,
                "few_of": few_of,
            }
        )
    frame.loc[frame["few"] >= 0, ["ratio", "ratio_low", "ratio_high"]] = np.nan
    return frame


def likelihood_ratio(counts: Counts) -> Array:
    """Return P(O | H) / P(O | not H) [...] from counts [..., 4]: OH, O not H, not O H, neither."""
    both, without, missed, neither = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    with np.errstate(all="ignore"):
        ratio: Array = (both / (both + missed)) / (without / (without + neither))
    return ratio


def resample(
    counts: Counts, *, seed: int, stream: str, draws: int = DRAWS, added: float = 0.0
) -> Counts:
    """Return counts [rows, cells] drawn again, multinomially, with their shares [draws, ...].

    Cell after cell, each is binomial among the agents that earlier cells did not take. A number may
    be added to each count before shares are taken. A row's draws depend on its number.
    """
    from scipy.stats import binom  # takes half a second to import

    counts = np.asarray(counts, np.int64)
    redrawn = np.zeros((draws, *counts.shape), np.int64)
    agents = np.broadcast_to(counts.sum(axis=-1), (draws, *counts.shape[:-1])).copy()
    weights = counts + added
    total = weights.sum(axis=-1)
    for cell in range(counts.shape[-1]):
        chance = np.divide(weights[..., cell], total, out=np.zeros_like(total), where=total > 0.0)
        uniform, _ = uniform_pair(
            seed=seed,
            stream=stream,
            rows=np.arange(counts.shape[0]),
            step=cell,
            draw=np.arange(draws)[:, None],
        )
        count = binom.ppf(uniform.clip(1e-16, 1.0 - 1e-16), agents, chance.clip(0.0, 1.0))
        count = np.where(agents > 0, np.nan_to_num(count), 0.0).astype(np.int64)
        redrawn[..., cell] = count
        agents -= count
        total = total - weights[..., cell]
    return redrawn


def joint_counts(*flags: Flags) -> Counts:
    """Return the number of agents in each cell; the first flags vary fastest, true before false."""
    code = sum((~flag).astype(np.int64) << i for i, flag in enumerate(flags))
    return np.bincount(code, minlength=2 ** len(flags))


def smallest_count(counts: Counts) -> tuple[Counts, NDArray[np.str_]]:
    """Return the smallest count that matters, and its name, where it is below `FEWEST`; else -1.

    Counts [n, 4] are as for `likelihood_ratio`.
    """
    both, without, missed, neither = np.moveaxis(counts, -1, 0)
    by_name = {
        "seen": both + without,
        "true": both + missed,
        "not true": without + neither,
        "seen and true": both,
        "seen and not true": without,
    }
    table = np.stack(list(by_name.values()))
    minimum = table.min(axis=0)
    few = minimum < FEWEST
    name = np.where(few, np.array(list(by_name))[table.argmin(axis=0)], "")
    return np.where(few, minimum, -1), name


def interval_of(draws: Array) -> tuple[Array, Array]:
    """Return the ends of the middle `LEVEL` of draws, over the first axis, without nan.

    A draw without a case of one kind has an infinite logarithm or none; in cells that are not too
    few these are rare.
    """
    ordered = np.sort(np.where(np.isnan(draws), np.inf, draws), axis=0)
    tail = (1.0 - LEVEL) / 2.0
    last = len(ordered) - 1
    return ordered[round(tail * last)], ordered[round((1.0 - tail) * last)]
