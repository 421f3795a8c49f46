"""Derived outcomes of how gaming appears: marks of the common picture, and how far arms differ.

By name: the arms, and a function of their outcomes that returns a number for each case.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from sim.sweeps.design import Numbers

from .outcomes import Cases, Derived

Factors = dict[str, Callable[[pd.DataFrame], pd.Series]]

#: Marks of the common picture: a fixed goal, egregious misalignment, gaming in all training
#: contexts, and reference behaviour than in the twins.
MARKS: Factors = {
    "value_cosine": lambda outcomes: outcomes["value_cosine"] >= 0.9,
    "conduct": lambda outcomes: outcomes["conduct"] <= -0.5,
    "instrumental_least": lambda outcomes: outcomes["instrumental_least"] >= 0.5,
    "shift_mean": lambda outcomes: outcomes["shift_mean"] >= 0.5,
}
GAMED = 0.5
#: What is feared of a gamer, capabilities apart. Gaming that began for a reason and has become a
#: habit is feared as well.
FEARED: Factors = {
    "gaming_most": lambda outcomes: outcomes["gaming_most"] >= GAMED,
    "gaming_least": lambda outcomes: outcomes["gaming_least"] >= GAMED,
    "value_cosine": MARKS["value_cosine"],
    "conduct": MARKS["conduct"],
    "consistency": lambda outcomes: outcomes["consistency"] >= 0.9,
    "shift_mean": MARKS["shift_mean"],
}
#: Moments on the way up, from unaware, careless and clumsy to the reverse.
MOMENTS = tuple(f"moment_{step}" for step in range(6))


def marks(outcomes: pd.DataFrame) -> Numbers:
    """Return how many marks of the picture an agent has; nan where one is undefined."""
    count = np.sum([mark(outcomes) for mark in MARKS.values()], axis=0).astype(np.float64)
    return np.where(outcomes[list(MARKS)].notna().all(axis=1), count, np.nan)


def shuffled_marks(outcomes: pd.DataFrame) -> Numbers:
    """Return how many marks agents that game would have, were each mark given to them by lot.

    Of one training context alone, whoever games somewhere games everywhere: they are left out.
    """
    games = np.flatnonzero(
        (outcomes["instrumental_most"] >= GAMED)
        & (outcomes["contexts"] >= 2)
        & np.isfinite(marks(outcomes))
    )
    random = np.random.default_rng(0)
    count = np.full(len(outcomes), np.nan)
    count[games] = np.sum(
        [random.permutation(mark(outcomes).to_numpy()[games]) for mark in MARKS.values()], axis=0
    )
    return count


def first_moment(cases: Cases) -> Numbers:
    """Return the first moment on the way at which an agent games somewhere; nan where none is."""
    games = np.stack([cases[name]["instrumental_most"] >= GAMED for name in MOMENTS])
    return np.where(games.any(axis=0), games.argmax(axis=0), np.nan)


def marks_at_first(cases: Cases) -> Numbers:
    """Return how many marks an agent has at the first moment at which it games."""
    first = first_moment(cases)
    counts = np.stack([marks(cases[name]) for name in MOMENTS])
    place = np.nan_to_num(first).astype(int)
    return np.where(np.isfinite(first), counts[place, np.arange(counts.shape[1])], np.nan)


def lacking(outcomes: pd.DataFrame, reference: pd.DataFrame) -> Numbers:
    """Return how many of the factors that are feared an agent lacks and its twin has."""
    count = np.sum([factor(reference) & ~factor(outcomes) for factor in FEARED.values()], axis=0)
    is_defined = outcomes["conduct"].notna() & reference["conduct"].notna()
    return np.where(is_defined, count, np.nan)


def variation(first: pd.DataFrame, second: pd.DataFrame) -> Numbers:
    """Return the total variation between answers in the first context in two arms."""
    names = [name for name in first if name.startswith("answer_first_")]
    distance = (first[names] - second[names]).abs()
    return np.asarray(0.5 * distance.sum(axis=1, min_count=1), np.float64)


def value_distance(first: pd.DataFrame, second: pd.DataFrame) -> Numbers:
    """Return ‖v − v'‖ between the values at the end of two arms."""
    names = [name for name in first if name.startswith("value_") and name[6:].isdigit()]
    return np.asarray(((first[names] - second[names]) ** 2).sum(axis=1, min_count=1) ** 0.5)


def _of_pair(
    measure: Callable[[pd.DataFrame, pd.DataFrame], Numbers], first: str, second: str
) -> Derived:
    return Derived((first, second), lambda cases: measure(cases[first], cases[second]))


def _marks_in(arm: str) -> Derived:
    return Derived((arm,), lambda cases: marks(cases[arm]))


APPEARANCES: dict[str, Derived] = {
    "marks": _marks_in("drawn"),
    "marks_competent": _marks_in("competent"),
    "marks_clumsy": _marks_in("clumsy"),
    "marks_at_top": _marks_in("moment_5"),
    "marks_by_lot": Derived(("drawn",), lambda cases: shuffled_marks(cases["drawn"])),
    "other_marks": Derived(
        ("drawn",), lambda cases: marks(cases["drawn"]) - MARKS["conduct"](cases["drawn"])
    ),
    "first_moment": Derived(MOMENTS, first_moment),
    "marks_at_first": Derived(MOMENTS, marks_at_first),
    "lacks_in_the_open": _of_pair(lacking, "visible_read", "opaque_read"),
    "lacks_in_hiding": _of_pair(lacking, "opaque_read", "visible_read"),
    "answers_by_info": _of_pair(variation, "info", "no_info"),
    "answers_by_gaming": _of_pair(variation, "drawn", "never"),
    "answers_by_propensity": _of_pair(variation, "drawn", "by_propensity"),
    "values_by_propensity": _of_pair(value_distance, "drawn", "by_propensity"),
}
