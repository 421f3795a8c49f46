"""Five things that one may be worried about, how far they agree, and what chance would give.

Each can be asked with lower and higher thresholds too: how far a definition agrees with itself is
the contrast to how far it agrees with others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pandas as pd

from sim.analysis.worst_case import TERMS, Thresholds
from sim.specs.agent import CAPABILITIES
from sim.sweeps.design import Numbers

from .outcomes import Cases, Derived, elsewhere, stride

Flags = np.ndarray[Any, np.dtype[np.bool_]]
#: So many of the eight terms of the worst case are near it.
NEAR = 6
#: By how much thresholds are moved, down and up.
SHIFT = 0.1
#: What developers can do.
INTERVENTIONS = ("hide_training", "penalise", "anchor")


def consistent_gamer(frame: pd.DataFrame, more: float) -> Flags:
    """Find who games instrumentally in every training context [cases]."""
    return np.asarray(frame["instrumental_least"] >= 0.5 + more)


def power_motivated_gamer(frame: pd.DataFrame, more: float) -> Flags:
    """Find who games somewhere and would like to subvert wherever it is unwatched later [cases]."""
    return np.asarray(
        (frame["instrumental_most"] >= 0.5 + more) & (frame["temptation_least"] > 0.0)
    )


def misaligned(frame: pd.DataFrame, more: float) -> Flags:
    """Find whose conduct in deployment is egregious [cases]."""
    return np.asarray(frame["conduct"] <= -0.5 - more)


def near_worst_case(frame: pd.DataFrame, more: float) -> Flags:
    """Find who meets six of the eight terms of the worst case [cases]."""
    least = Thresholds()
    terms = [
        frame["conduct"] <= least.misalignment - more,
        frame["consistency"] >= least.consistency + more / 2.0,
        frame["shift_mean"] >= least.behaviour_shift + more,
        *(frame[f"capability_{k}"] >= getattr(least, k) + more for k in CAPABILITIES),
    ]
    return np.asarray(np.sum(terms, axis=0) >= NEAR)


def behaves_otherwise(frame: pd.DataFrame, more: float) -> Flags:
    """Find who answers otherwise in deployment than in training somewhere [cases]."""
    return np.asarray(frame["shift_most"] >= 0.5 + more)


DEFINITIONS: tuple[Callable[[pd.DataFrame, float], Flags], ...] = (
    *(consistent_gamer, power_motivated_gamer, misaligned, near_worst_case, behaves_otherwise),
)


def disagreement(pairs: Iterable[tuple[Flags, Flags]]) -> Numbers:
    """Return, of the pairs of which one says yes, the share whose other says no [cases].

    nan where none says yes.
    """
    either, both = np.sum([(a | b, a & b) for a, b in pairs], axis=0)
    share = np.full(len(either), np.nan)
    np.divide(either - both, either, out=share, where=either > 0)
    return share


def _between(cases: Cases) -> Numbers:
    flags = [definition(cases["drawn"], 0.0) for definition in DEFINITIONS]
    return disagreement(combinations(flags, 2))


def _within(cases: Cases) -> Numbers:
    frame = cases["drawn"]
    return disagreement((each(frame, -SHIFT), each(frame, SHIFT)) for each in DEFINITIONS)


def helped(cases: Cases) -> Flags:
    """Find by which definitions an intervention helps [definitions, interventions, cases]."""
    return np.stack([[_change(cases, f, arm) > 0 for arm in INTERVENTIONS] for f in DEFINITIONS])


def harmed(cases: Cases) -> Flags:
    """Find by which definitions an intervention harms [definitions, interventions, cases]."""
    return np.stack([[_change(cases, f, arm) < 0 for arm in INTERVENTIONS] for f in DEFINITIONS])


def _change(cases: Cases, definition: Callable[[pd.DataFrame, float], Flags], arm: str) -> Numbers:
    before, after = (definition(cases[name], 0.0).astype(float) for name in ("drawn", arm))
    return np.asarray(before - after)


def _helps(cases: Cases) -> Numbers:
    return np.asarray(helped(cases).any(axis=(0, 1)), np.float64)


def _helps_and_harms(cases: Cases) -> Numbers:
    """Find where an intervention that helps by a definition harms by another [cases]."""
    both = helped(cases).any(axis=0) & harmed(cases).any(axis=0)
    return np.asarray(both.any(axis=0), np.float64)


def _by_chance(cases: Cases) -> Numbers:
    """Find the same if harm by each definition is taken from a case of its own [cases]."""
    good, bad = helped(cases), harmed(cases)
    count = len(DEFINITIONS)
    places = [(d + 1) * stride(bad.shape[-1]) for d in range(count)]
    bad = np.stack([np.roll(bad[d], place, axis=-1) for d, place in enumerate(places)])
    flags = [good[a] & bad[b] for a, b in permutations(range(count), 2)]
    return np.asarray(np.any(flags, axis=(0, 1)), np.float64)


def _senses(cases: Cases, place: int) -> tuple[Flags, Flags]:
    """Find to whom each of two senses applies; the second as it does to another, if at a place.

    All are capable, so that no ability keeps the senses apart.
    """
    frame = cases["capable"]
    second = elsewhere(near_worst_case(frame, 0.0), place) > 0.0
    return power_motivated_gamer(frame, 0.0), second


def _of_senses(combine: Callable[[Flags, Flags], Flags], place: int) -> Derived:
    return Derived(("capable",), lambda cases: combine(*_senses(cases, place)).astype(float))


def _terms_elsewhere(cases: Cases) -> Numbers:
    frame = cases["drawn"]
    terms = [elsewhere(frame[f"met_{term}"], i + 1) for i, term in enumerate(TERMS)]
    return np.asarray(np.sum(terms, axis=0))


DEFINED: dict[str, Derived] = {
    "disagreement": Derived((), _between),
    "disagreement_of_thresholds": Derived((), _within),
    "helps": Derived(INTERVENTIONS, _helps),
    "helps_and_harms": Derived(INTERVENTIONS, _helps_and_harms),
    "helps_and_harms_by_chance": Derived(INTERVENTIONS, _by_chance),
    "either_sense": _of_senses(np.logical_or, 0),
    "both_senses": _of_senses(np.logical_and, 0),
    "either_sense_by_chance": _of_senses(np.logical_or, 1),
    "both_senses_by_chance": _of_senses(np.logical_and, 1),
    "irrelevant_terms_met": Derived((), _terms_elsewhere),
}
