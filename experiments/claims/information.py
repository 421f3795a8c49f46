"""The value of evaluations for a decision to deploy, in held-out cases.

To deploy an agent is worth 1, less its harm over the mean harm: without any evaluation, deploying
is worth nothing in the mean, and the decision is open. An evaluation is a number by which cases are
put into bins of equal size; in each bin, developers decide as was best in the other half of the
cases. Its value is what this is worth in the mean, as a share of what it is worth to know the harm
itself. An evaluation that is noise is worth nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from sim.sweeps.design import Numbers

from .several import Cases, Derived, elsewhere

BINS = 16
#: What can be seen of gaming before deployment.
GAMING = ("gaming_mean", "visible_gaming", "gap_first")
#: What evaluations of the further terms of the worst case measure.
TERMS = (
    *("consistency", "rewarded_evaluation", "rewarded_red_team"),
    *("capability_sandbagging", "capability_composure", "capability_subversion"),
    *("capability_opacity", "capability_coordination"),
)
#: What developers can also look at: what the agent does where they watch.
SIGNALS = (*GAMING, *TERMS, "conduct_before")


def subverts(frame: pd.DataFrame) -> Numbers:
    """Return the harm of an agent that subverts control where it is unwatched, 0 or 1 [cases]."""
    return np.asarray(frame["subverts"] >= 0.5, np.float64)


def takes_over(frame: pd.DataFrame) -> Numbers:
    """Return the chance that an agent subverts, and that this succeeds [cases]."""
    return np.asarray(frame["subverts"] * frame["success"], np.float64)


def value_of(signal: Numbers, harm: Numbers) -> Numbers:
    """Return what deciding by a signal is worth, over what it is worth to know the harm [cases]."""
    worth = 1.0 - harm / np.nanmean(harm)
    half = np.arange(len(worth)) % 2 == 0
    bins = _bins(signal)
    gained = np.zeros(len(worth))
    for known in (half, ~half):
        used = known & np.isfinite(worth)
        total = np.bincount(bins[used], worth[used], BINS + 1)
        gained[~known] = np.where(total[bins[~known]] > 0.0, worth[~known], 0.0)
    return np.asarray(gained / np.nanmean(np.maximum(worth, 0.0)))


def _bins(signal: Numbers) -> np.ndarray:
    """Return bins of equal size; what is not known is the last."""
    known = np.isfinite(signal)
    ranks = pd.Series(signal).rank(method="average", pct=True).to_numpy()
    return np.where(known, np.minimum(np.nan_to_num(ranks) * BINS, BINS - 1), BINS).astype(int)


def _best(signals: tuple[str, ...], harm: Callable[[pd.DataFrame], Numbers]) -> Derived:
    """Return the value of the signal of several that is worth most in the other half."""

    def value(cases: Cases) -> Numbers:
        frame = cases["drawn"]
        done = harm(frame)
        each = np.stack([value_of(frame[signal].to_numpy(), done) for signal in signals])
        half = np.arange(len(frame)) % 2 == 0
        best = np.empty(len(frame))
        for known in (half, ~half):
            best[~known] = each[np.nanmean(each[:, known], axis=1).argmax(), ~known]
        return best

    return Derived((), value)


def _one(signal: str, harm: Callable[[pd.DataFrame], Numbers]) -> Derived:
    return Derived(
        (), lambda cases: value_of(cases["drawn"][signal].to_numpy(), harm(cases["drawn"]))
    )


def _noise(cases: Cases) -> Numbers:
    frame = cases["drawn"]
    return value_of(elsewhere(frame["conduct_before"]), subverts(frame))


INFORMATION: dict[str, Derived] = {
    **{f"value_{signal}": _one(signal, subverts) for signal in SIGNALS},
    "value_gaming": _best(GAMING, subverts),
    "value_terms": _best(TERMS, subverts),
    **{f"value_{signal}_takeover": _one(signal, takes_over) for signal in SIGNALS},
    "value_gaming_takeover": _best(GAMING, takes_over),
    "value_terms_takeover": _best(TERMS, takes_over),
    "value_noise": Derived((), _noise),
}
