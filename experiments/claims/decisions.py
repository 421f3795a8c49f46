"""Decisions of agents and of developers: what deciding on a wrong fact, or on a signal, is worth.

*Regret* (second difference). An agent decides on two things, to game in the first context and to
attempt a takeover. Each has a payoff beside that of letting it be: of gaming, what the agent's
first values get of deployment if it games there, less what they get if it does not (`own_conduct`);
of an attempt, gain · (success − caution · (1 − success)) (MODEL.md section 6). The best decision
for a situation that differs in one fact is taken in the situation as it is. Regret is the payoff
that is lost by that, as a share of what the best decisions are worth in the mean.

*Value of information*. To deploy an agent is worth 1, less its harm over the mean harm, so that
deploying whoever comes is worth nothing. By an evaluation, a number, cases are put into bins of
equal size; in each bin, developers decide as was best in the other half of the cases. Its value is
what this is worth in the mean, as a share of what it is worth to know the harm itself.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sim.sweeps.design import Numbers

from .outcomes import Cases, Derived

#: Facts that reach both decisions: of gaming, by values and habits that it shares with them.
FACTS = ("training", "deployment")
BINS = 16
#: What can be seen of gaming before deployment.
GAMING = ("gaming_mean", "visible_gaming", "gap_first")
#: What evaluations of the further terms of the worst case measure.
FURTHER_TERMS = (
    *("consistency", "rewarded_evaluation", "rewarded_red_team"),
    *("capability_sandbagging", "capability_composure", "capability_subversion"),
    *("capability_opacity", "capability_coordination"),
)


def payoff_of_gaming(cases: Cases, suffix: str = "") -> Numbers:
    """Return what gaming in the first context is worth, in arms whose names end so [cases]."""
    always, never = (cases[f"{arm}_first{suffix}"]["own_conduct"] for arm in ("always", "never"))
    return np.asarray(always - never, np.float64)


def payoff_of_attempt(outcomes: pd.DataFrame) -> Numbers:
    """Return what an attempt is worth [cases]."""
    success, caution = outcomes["success"], outcomes["caution"]
    return np.asarray(outcomes["gain"] * (success - caution * (1.0 - success)), np.float64)


def regret(payoff: Numbers, believed: Numbers) -> Numbers:
    """Return what is lost by deciding on a believed payoff, over what deciding well is worth.

    Both [cases]. The best decision takes what has a payoff above 0, and lets the rest be.
    """
    best = np.where(np.isfinite(payoff), np.maximum(payoff, 0.0), np.nan)
    worth = np.nanmean(best)
    loss = best - np.where(believed > 0.0, payoff, 0.0)
    return np.asarray(loss / worth if worth else np.full_like(loss, np.nan))


def _regret_of_gaming(cases: Cases) -> Numbers:
    payoff = payoff_of_gaming(cases)
    losses = [regret(payoff, payoff_of_gaming(cases, f"_other_{fact}")) for fact in FACTS]
    return np.asarray(np.mean(losses, axis=0))


def _regret_of_attempt(cases: Cases) -> Numbers:
    payoff = payoff_of_attempt(cases["drawn"])
    losses = [regret(payoff, payoff_of_attempt(cases[f"other_{fact}"])) for fact in FACTS]
    return np.asarray(np.mean(losses, axis=0))


def value_of(signal: Numbers, harm: Numbers) -> Numbers:
    """Return what deciding by a signal is worth, over what it is worth to know the harm [cases]."""
    worth = 1.0 - harm / np.nanmean(harm)
    half = np.arange(len(worth)) % 2 == 0
    bins = _bins(signal)
    gain = np.zeros(len(worth))
    for learned in (half, ~half):
        finite = learned & np.isfinite(worth)
        total = np.bincount(bins[finite], worth[finite], BINS + 1)
        gain[~learned] = np.where(total[bins[~learned]] > 0.0, worth[~learned], 0.0)
    return np.asarray(gain / np.nanmean(np.maximum(worth, 0.0)))


def _bins(signal: Numbers) -> np.ndarray:
    """Return bins of equal size; what is not defined is the last."""
    ranks = pd.Series(signal).rank(method="average", pct=True).to_numpy()
    bins = np.minimum(np.nan_to_num(ranks) * BINS, BINS - 1)
    return np.where(np.isfinite(signal), bins, BINS).astype(int)


def _best_of(signals: tuple[str, ...]) -> Derived:
    """Return the value of the signal of several that is worth most in the other half."""

    def value(cases: Cases) -> Numbers:
        outcomes = cases["drawn"]
        harm = np.asarray(outcomes["subverts"] >= 0.5, np.float64)
        values = np.stack([value_of(outcomes[signal].to_numpy(), harm) for signal in signals])
        half = np.arange(len(outcomes)) % 2 == 0
        best = np.empty(len(outcomes))
        for learned in (half, ~half):
            within = [value_of(outcomes[s].to_numpy()[learned], harm[learned]) for s in signals]
            place = np.nanmean(within, axis=1).argmax()  # the other half has no part in it
            best[~learned] = values[place, ~learned]
        return best

    return Derived((), value)


DECISIONS: dict[str, Derived] = {
    "regret_gaming": Derived(
        (
            *("always_first", "never_first"),
            *(f"{arm}_first_other_{fact}" for fact in FACTS for arm in ("always", "never")),
        ),
        _regret_of_gaming,
    ),
    "regret_attempt": Derived(tuple(f"other_{fact}" for fact in FACTS), _regret_of_attempt),
    "value_gaming": _best_of(GAMING),
    "value_terms": _best_of(FURTHER_TERMS),
}
