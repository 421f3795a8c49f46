"""Regret: what it costs an agent to decide on a fact of another situation (second difference).

An agent decides on two things, to game in the first context and to attempt a takeover. Each has a
payoff beside that of letting it be: of gaming, what the agent's first values get of deployment if
it games there, less what they get if it does not (`own_conduct`); of an attempt, gain · (success −
caution · (1 − success)) (MODEL.md section 6). The best decision for a situation that differs in one
fact is taken in the situation as it is. Regret is the payoff that is lost by that, as a share of
what the best decisions are worth in the mean.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sim.specs.oversight import STEP_CAPABILITIES, Oversight
from sim.sweeps.design import Numbers
from sim.takeover import pass_probability

from .several import Cases, Derived, elsewhere

#: Facts of the situation that are no part of the first context, where the agent games.
SITUATION = ("training", "inspection", "deployment", "oversight")
#: Those of them that gaming can depend on in this model, if by no more than values and habits.
SHARED = ("training", "deployment")
FACTS = ("rewards", *SITUATION)
#: Facts on which what gaming does to values cannot depend: nothing there trains or is deployed.
_NOT_TRAINED = ("inspection", "oversight")


def payoff_of_gaming(cases: Cases, fact: str = "") -> Numbers:
    """Return what gaming in the first context is worth, with one fact of another world [cases]."""
    suffix = "" if not fact or fact in _NOT_TRAINED else f"_other_{fact}"
    always, never = (cases[f"{arm}_first{suffix}"]["own_conduct"] for arm in ("always", "never"))
    return np.asarray(always - never, np.float64)


def payoff_of_attempt(cases: Cases, fact: str = "") -> Numbers:
    """Return what an attempt is worth, with one fact of another world or case [cases]."""
    elsewhere_trained = fact and fact != "oversight"
    frame = cases[f"other_{fact}" if elsewhere_trained else "drawn"]
    success = _success(frame) if fact == "oversight" else frame["success"]
    caution = frame["caution"]
    return np.asarray(frame["gain"] * (success - caution * (1.0 - success)), np.float64)


def _success(frame: pd.DataFrame) -> Numbers:
    """Return P(success) if each step of oversight is as strong as in another case."""
    success = np.asarray(frame["stick"] * frame["factor_coordination"], np.float64)
    for step, capability in STEP_CAPABILITIES.items():
        success = success * pass_probability(
            frame[f"capability_{capability}"],
            strength=elsewhere(frame[f"strength_{step}"]),
            encounters=Oversight().step(step).encounters,
        )
    return success


def regret(payoff: Numbers, believed: Numbers) -> Numbers:
    """Return what is lost by deciding on a believed payoff, over what deciding well is worth.

    Both [cases]. The best decision takes what has a payoff above 0, and lets the rest be.
    """
    best = np.where(np.isfinite(payoff), np.maximum(payoff, 0.0), np.nan)
    worth = np.nanmean(best)
    lost = best - np.where(believed > 0.0, payoff, 0.0)
    return np.asarray(lost / worth if worth else np.full_like(lost, np.nan))


def _of_gaming(*facts: str) -> Derived:
    known = [fact for fact in facts if fact not in _NOT_TRAINED]
    arms = ("always_first", "never_first", *_settled(known))

    def mean(cases: Cases) -> Numbers:
        payoff = payoff_of_gaming(cases)
        lost = [regret(payoff, payoff_of_gaming(cases, fact)) for fact in facts]
        return np.asarray(np.mean(lost, axis=0))

    return Derived(arms, mean)


def _settled(facts: list[str]) -> list[str]:
    return [f"{arm}_first_other_{fact}" for fact in facts for arm in ("always", "never")]


def _of_attempt(*facts: str) -> Derived:
    arms = tuple(f"other_{fact}" for fact in facts if fact != "oversight")

    def mean(cases: Cases) -> Numbers:
        payoff = payoff_of_attempt(cases)
        lost = [regret(payoff, payoff_of_attempt(cases, fact)) for fact in facts]
        return np.asarray(np.mean(lost, axis=0))

    return Derived(arms, mean)


REGRET: dict[str, Derived] = {
    **{f"regret_gaming_{fact}": _of_gaming(fact) for fact in FACTS},
    **{f"regret_attempt_{fact}": _of_attempt(fact) for fact in FACTS},
    "regret_gaming_situation": _of_gaming(*SITUATION),
    "regret_attempt_situation": _of_attempt(*SITUATION),
    "regret_gaming_shared": _of_gaming(*SHARED),
    "regret_attempt_shared": _of_attempt(*SHARED),
}
