"""What an observation is evidence of: likelihood ratios, posteriors, and how much is cause.

A population is drawn from a prior and trained; of each agent it is known what is seen (O) and what
is true (H). LR = P(O | H) / P(O | not H) is how many times the odds of H become when O is seen. Its
interval is the bootstrap's, over agents: the four counts are drawn again, multinomially, with the
shares found, half an agent added to each, so that 0 is not taken for never. With fewer than
`FEWEST` agents with O, with H, with not H, with O and H, or with O and not H, there are too few for
that; the posterior stands, with an exact binomial interval.

How much is cause: the same agents are trained once more with paths cut by which gaming changes them
(`CUTS`), and the hypothesis is read there, while the observation stays the one made of the agent as
it was trained. So the observation, and who shows it, is the same; what differs is what gaming did.

    feedback   motive credit 0; and learning rates 0 for awareness, horizon, competence, and
               capabilities (all that moves these goes through gaming: practice, and the penalty for
               what is visible). Gaming moves habit alone, which is gaming itself and neither a goal
               nor a capability; and it still shields values from training.
    gaming     nobody games: what gaming shields from training is trained, too. An agent that never
               games answers otherwise, so this is asked of hypotheses about values alone.

Cutting changes how much agents game, and so what is shielded: that is part of what cause adds. Here
counts are drawn again as they are. Where the cut turned nobody, the interval has no width, and says
no more than that.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.analysis.hypotheses import OF_VALUES
from sim.dynamics.randomness import uniform_pair
from sim.dynamics.state import Array
from sim.specs.intervention import Interventions
from sim.utils.intervals import binomial_interval

Flags = NDArray[np.bool_]

#: Fewer agents than this in a cell are too few for a likelihood ratio.
FEWEST = 5
#: Bootstrap draws, and what share of them an interval holds.
DRAWS, LEVEL = 1000, 0.95
#: Interventions by what they cut.
CUTS: dict[str, Interventions] = {
    "feedback": [
        {"key": "training.motive_credit", "set": 0},
        {"key": "training.transfer", "set": 0},
        *(
            {"key": f"training.learning_rate.{name}", "set": 0}
            for name in ("awareness", "log_horizon", "log_competence", "capability")
        ),
    ],
    "gaming": [{"key": "gaming", "set": 0}],
}


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
    counts = np.array([_counts(true[h], seen[o]) for o, h in names]).reshape(-1, 4)
    ratio = likelihood_ratio(counts)
    few, few_of = _too_few(counts)
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


def cause_table(
    seen: Mapping[str, Flags],
    true: Mapping[str, Flags],
    cut: Mapping[str, Mapping[str, Flags]],
    *,
    seed: int = 0,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Return how much of each likelihood ratio is gone when paths of cause are cut.

    Args:
        seen: By observation, of each agent as it was trained [N].
        true: By hypothesis, of the same agents as they were trained [N].
        cut: By what was cut, the hypotheses, of the same agents trained so [N].
        seed: Of the bootstrap, which draws agents: the same for both.
        draws: How many times.

    Returns:
        `observation`, `hypothesis`, `cut`; `ratio`, and `ratio_cut` with the hypothesis as it is
        with the cut; `adds`, the difference of their logarithms, with `adds_low` and `adds_high`;
        `few` and `few_of` as in `evidence_table`, of both. Nan where there are too few.
    """
    names = [(o, h, c) for c in cut for o in seen for h in true if c != "gaming" or h in OF_VALUES]
    joint = np.array([_counts(true[h], cut[c][h], seen[o]) for o, h, c in names], np.int64).reshape(
        -1, 8
    )
    again = resample(joint, seed=seed, stream="cause", draws=draws)
    ratios = [likelihood_ratio(_margin(joint, which)) for which in (0, 1)]
    with np.errstate(all="ignore"):
        adds = np.log(ratios[0]) - np.log(ratios[1])
        full, without = (np.log(likelihood_ratio(_margin(again, which))) for which in (0, 1))
        low, high = interval_of(full - without)
    few, few_of = _too_few(_margin(joint, 0))
    few_cut, few_cut_of = _too_few(_margin(joint, 1))
    first = few >= 0
    frame = pd.DataFrame(
        {
            "observation": [o for o, _, _ in names],
            "hypothesis": [h for _, h, _ in names],
            "cut": [c for _, _, c in names],
            "ratio": ratios[0],
            "ratio_cut": ratios[1],
            "adds": adds,
            "adds_low": low,
            "adds_high": high,
            "few": np.where(first, few, few_cut),
            "few_of": np.where(first, few_of, few_cut_of),
        }
    )
    numbers = ["ratio", "ratio_cut", "adds", "adds_low", "adds_high"]
    frame.loc[frame["few"] >= 0, numbers] = np.nan
    return frame


def by_contexts(
    count: NDArray[np.intp], true: Mapping[str, Flags], *, maximum: int
) -> pd.DataFrame:
    """Return P(H | games in exactly k training contexts), with exact binomial intervals.

    Args:
        count: In how many training contexts each agent games [N].
        true: By hypothesis [N].
        maximum: How many training contexts there are.
    """
    rows = []
    for name, flags in true.items():
        for k in range(maximum + 1):
            here = count == k
            low, high = binomial_interval(flags[here].sum(), here.sum())
            share = float(flags[here].mean()) if here.any() else np.nan
            rows.append((name, k, int(here.sum()), share, float(low), float(high)))
    return pd.DataFrame(rows, columns=["hypothesis", "contexts", "agents", "share", "low", "high"])


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


def _counts(*flags: Flags) -> NDArray[np.int64]:
    """Return how many agents are in each cell; flags vary from last, slowest, to first, fastest."""
    code = sum((~flag).astype(np.int64) << i for i, flag in enumerate(flags))
    return np.bincount(code, minlength=2 ** len(flags))


def _margin(joint: NDArray[np.int64], which: int) -> NDArray[np.int64]:
    """Return counts [..., 4] of one hypothesis of the two from counts of both [..., 8]."""
    cube = joint.reshape(*joint.shape[:-1], 2, 2, 2)  # seen, cut, full
    margin: NDArray[np.int64] = cube.sum(axis=-2 if which == 0 else -1)
    return margin.reshape(*joint.shape[:-1], 4)


def _too_few(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
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
