"""What the model answers to a published fact, and how an answer is judged.

A fact that holds or not in one run is `met` or `not met`. Where an answer follows from something
that nobody published (how training was done), it is asked of many trainings: `met` if it holds in
nearly all of them, `not met` if in nearly none, and else it `depends`, with on what.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from experiments.calibration.facts_world import leans_on
from sim.dynamics.state import Array

VERDICTS = ("met", "depends", "not met")
#: Shares of trainings from which on a fact is met, and up to which it is not.
NEARLY_ALL, NEARLY_NONE = 0.9, 0.1
#: Rank correlations below this say nothing of what a fact depends on.
_WEAK = 0.3


@dataclass(frozen=True)
class Bars:
    """Numbers side by side.

    Attributes:
        of: What the numbers are.
        heights: By name.
        ends: By name, from where to where most of them lie, if they are medians.
        over: What the names are, if they do not say it.
    """

    of: str
    heights: Mapping[str, float]
    ends: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    over: str = ""


@dataclass(frozen=True)
class Lines:
    """Numbers over another.

    Attributes:
        of: What the numbers are.
        over: What they change with.
        at: Where they were computed.
        heights: By name.
    """

    of: str
    over: str
    at: Sequence[float]
    heights: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Answer:
    """What the model answers.

    Attributes:
        verdict: One of `VERDICTS`.
        numbers: What it was judged by, and more.
        shown: What a picture shows.
    """

    verdict: str
    numbers: Mapping[str, float]
    shown: Bars | Lines

    def __post_init__(self) -> None:
        """Refuse other verdicts."""
        assert self.verdict in VERDICTS, self.verdict


def plain(holds: bool) -> str:
    """Return the verdict of a fact that holds or not."""
    return "met" if holds else "not met"


def of_share(share: float) -> str:
    """Return the verdict of a fact that holds in a share of trainings."""
    if share >= NEARLY_ALL:
        return "met"
    return "not met" if share <= NEARLY_NONE else "depends"


def of_draws(
    unknown: Mapping[str, Array],
    yes: NDArray[np.bool_],
    *,
    among: NDArray[np.bool_] | None = None,
) -> tuple[str, dict[str, float]]:
    """Return the verdict of a fact that holds in some trainings, and what it depends on.

    The second is the correlation with the number of trainings on which the fact depends most, if
    it is not weak.

    Args:
        unknown: What was drawn of trainings, by key [draw].
        yes: Whether it holds [draw].
        among: Trainings that count [draw]; None: all. If none does, the fact is not met.
    """
    if among is not None:
        unknown, yes = {key: column[among] for key, column in unknown.items()}, yes[among]
    if not len(yes):
        return "not met", {}
    share = float(yes.mean())
    key, correlation = leans_on(unknown, yes)
    is_strong = bool(key) and abs(correlation) >= _WEAK
    return of_share(share), {f"correlation_with_{key}": float(correlation)} if is_strong else {}


def middle(numbers: Array) -> tuple[float, tuple[float, float]]:
    """Return the median of numbers, and where the middle eight tenths lie."""
    low, median, high = np.quantile(numbers, (0.1, 0.5, 0.9))
    return float(median), (float(low), float(high))
