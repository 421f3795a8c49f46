"""What an observation is evidence of: likelihood ratios and posteriors.

A population is drawn from a prior and trained; of each agent it is known what is seen (O) and what
is true (H). LR = P(O | H) / P(O | not H) is how many times the odds of H become when O is seen. Its
interval is the bootstrap's, over agents: the four counts are drawn again, multinomially, with the
shares found, half an agent added to each, so that 0 is not taken for never. With fewer than
`FEWEST` agents with O, with H, with not H, with O and H, or with O and not H, there are too few for
that; the posterior stands, with an exact binomial interval.
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

#: Fewer agents than this in a cell are too few for a likelihood ratio.
FEWEST = 5
#: Bootstrap draws, and what share of them an interval holds.
DRAWS, LEVEL = 1000, 0.95


def evidence_table(
    seen: Mapping[str, Flags], true: Mapping[str, Flags], *, seed: int = 0, draws: int = DRAWS
) -> pd.DataFrame:
    """Return what each observation says of each hypothesis, a row for each pair.

    Args:
        seen: By observation, whether it is made of each agent [N].
        true: By hypothesis, whether it is true of each agent [N].
        seed: Of the bootstrap.
        draws: How many times counts are drawn again.

    Returns:
        `observation`, `hypothesis`; counts `agents`, `seen`, `true`, `both`; `prior` P(H);
        `if_true` P(O | H), `if_not` P(O | not H); `ratio` with `ratio_low`, `ratio_high` (nan where
        there are too few); `posterior` P(H | O) with `posterior_low`, `posterior_high`; `few`, the
        smallest count that matters where it is below `FEWEST`, and `few_of`, of what; else -1 and
        "".
    """
    names = [(o, h) for o in seen for h in true]
    counts = np.array([joint_counts(true[h], seen[o]) for o, h in names]).reshape(-1, 4)
    ratio = likelihood_ratio(counts)
    few, few_of = too_few(counts)
    ratio_low, ratio_high = interval_of(
        likelihood_ratio(resample(counts, seed=seed, stream="evidence", draws=draws, added=0.5))
    )
    both, without, _, _ = counts.T
    in_all, in_true, in_seen = counts.sum(axis=1), counts[:, [0, 2]].sum(axis=1), both + without
    low, high = binomial_interval(both, in_seen)
    with np.errstate(all="ignore"):
        frame = pd.DataFrame(
            {
                "observation": [o for o, _ in names],
                "hypothesis": [h for _, h in names],
                "agents": in_all,
                "seen": in_seen,
                "true": in_true,
                "both": both,
                "prior": in_true / in_all,
                "if_true": both / in_true,
                "if_not": without / (in_all - in_true),
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


def likelihood_ratio(counts: NDArray[np.int64]) -> Array:
    """Return P(O | H) / P(O | not H) [...] from counts [..., 4]: OH, O not H, not O H, neither."""
    both, without, missed, neither = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    with np.errstate(all="ignore"):
        ratio: Array = (both / (both + missed)) / (without / (without + neither))
    return ratio


def resample(
    counts: NDArray[np.int64],
    *,
    seed: int,
    stream: str,
    draws: int = DRAWS,
    added: float = 0.0,
) -> NDArray[np.int64]:
    """Return counts drawn again, multinomially, with the shares that they have.

    Cell after cell, each binomial among those that the earlier cells left over.

    Args:
        counts: [rows, cells]; a row's draws depend on its number.
        seed: Of the draws.
        stream: Its name.
        draws: How many times.
        added: To each count, before shares are taken.

    Returns:
        [draws, rows, cells].
    """
    from scipy.stats import binom  # takes half a second to import

    counts = np.asarray(counts, np.int64)
    found = np.zeros((draws, *counts.shape), np.int64)
    left = np.broadcast_to(counts.sum(axis=-1), (draws, *counts.shape[:-1])).copy()
    weights = counts + added
    rest = weights.sum(axis=-1)
    for cell in range(counts.shape[-1]):
        chance = np.divide(weights[..., cell], rest, out=np.zeros_like(rest), where=rest > 0.0)
        share, _ = uniform_pair(
            seed=seed,
            stream=stream,
            rows=np.arange(counts.shape[0]),
            step=cell,
            draw=np.arange(draws)[:, None],
        )
        drawn = binom.ppf(share.clip(1e-16, 1.0 - 1e-16), left, chance.clip(0.0, 1.0))
        drawn = np.where(left > 0, np.nan_to_num(drawn), 0.0).astype(np.int64)
        found[..., cell] = drawn
        left -= drawn
        rest = rest - weights[..., cell]
    return found


def joint_counts(*flags: Flags) -> NDArray[np.int64]:
    """Return how many agents are in each cell; flags vary from last, slowest, to first, fastest."""
    code = sum((~flag).astype(np.int64) << i for i, flag in enumerate(flags))
    return np.bincount(code, minlength=2 ** len(flags))


def too_few(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """Return the smallest count that matters where it is too small (else -1), and of what."""
    both, without, missed, neither = np.moveaxis(counts, -1, 0)
    named = {
        "seen": both + without,
        "true": both + missed,
        "not true": without + neither,
        "seen and true": both,
        "seen and not true": without,
    }
    matters = np.stack(list(named.values()))
    minimum = matters.min(axis=0)
    few = minimum < FEWEST
    of = np.where(few, np.array(list(named))[matters.argmin(axis=0)], "")
    return np.where(few, minimum, -1), of


def interval_of(drawn: Array) -> tuple[Array, Array]:
    """Return the ends of the middle `LEVEL` of draws, over the first axis; of those that exist.

    A draw without a single case of one kind has an infinite logarithm or none; in cells that are
    not too few these are rare.
    """
    ordered = np.sort(np.where(np.isnan(drawn), np.inf, drawn), axis=0)
    tail = (1.0 - LEVEL) / 2.0
    last = len(ordered) - 1
    return ordered[round(tail * last)], ordered[round((1.0 - tail) * last)]
