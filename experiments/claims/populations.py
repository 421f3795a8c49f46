"""Populations of the funnel, counted stage by stage and each condition by itself.

Beside the funnel: how many agents meet all eight terms of the worst case whether they game or not,
who attempts a takeover, how frequent egregious misalignment is among agents that game everywhere
and in each training context, and how often each two of the terms are met together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from sim.analysis.worst_case import TERMS
from sim.dynamics.measures import GAMED
from sim.utils.intervals import binomial_interval

Flags = NDArray[np.bool_]
#: A number of agents, and the number of those that meet a condition.
Pair = tuple[int, int]
#: The funnel's conditions in order.
STAGES = ("all", "games_somewhere", "games_everywhere", *TERMS, "attempts")
#: Terms that an agent near the worst case may lack.
NEAR = 2
#: Pairs of terms are compared if independence would give at least so many agents.
FEWEST_EXPECTED = 5.0

#: Confidence at which a difference is beyond chance.
_LEVEL = 0.95


@dataclass(frozen=True)
class Together:
    """Two conditions, and the number of agents that meet both.

    Attributes:
        names: Of the two.
        first, second, both: Numbers of agents that meet the first, the second, and both.
        agents: Number of all agents.
    """

    names: tuple[str, str]
    first: int
    second: int
    both: int
    agents: int

    @property
    def expected(self) -> float:
        """Number of agents that would meet both if the two were independent."""
        return self.first * self.second / self.agents

    @property
    def ratio(self) -> float:
        """Number that meets both, over the number expected."""
        return self.both / self.expected

    def beyond_chance(self, comparisons: int = 1) -> bool:
        """Test independence at 5 % by Fisher's exact test (hypergeometric, each tail by half).

        Args:
            comparisons: Number of pairs that are compared (Bonferroni).
        """
        from scipy.stats import hypergeom  # takes half a second to import

        overlap = hypergeom(self.agents, self.second, self.first)
        tail = min(overlap.cdf(self.both), overlap.sf(self.both - 1))
        return bool(tail * comparisons < (1.0 - _LEVEL) / 2.0)


@dataclass(frozen=True)
class Population:
    """Counts of a population.

    Attributes:
        stages: The funnel: `stage`, `count` (meet this condition and all above), `alone` (meet this
            one) and `agents`.
        eight: Number that meets all eight terms, gaming or not.
        attempts: Number that would attempt a takeover.
        attempts_eight: Number of these that meets all eight terms.
        everywhere: Agents that game in all training contexts, and those egregiously misaligned.
        contexts: The same of agents that game in a training context, by context.
        near: All agents, and those that lack at most `NEAR` of the eight terms.
        near_everywhere: The same of agents that game in all training contexts.
        both: Number that meets both of two terms, by the two in the order of `TERMS`.
    """

    stages: pd.DataFrame
    eight: int
    attempts: int
    attempts_eight: int
    everywhere: Pair
    contexts: Mapping[str, Pair]
    near: Pair
    near_everywhere: Pair
    both: Mapping[tuple[str, str], int]

    @property
    def agents(self) -> int:
        """Number of agents."""
        return int(self.stages["agents"].iat[0])

    @property
    def misaligned(self) -> Pair:
        """All agents, and those that are egregiously misaligned."""
        return self.agents, int(self.alone("misalignment"))

    def alone(self, stage: str) -> int:
        """Return the number of agents that meet a condition, whatever else they do."""
        return int(self.stages.set_index("stage")["alone"][stage])

    def count(self, stage: str) -> int:
        """Return the number of agents that meet a condition and all above it."""
        return int(self.stages.set_index("stage")["count"][stage])

    @property
    def if_independent(self) -> float:
        """Number that would meet all eight terms if these were independent."""
        return self.agents * float(np.prod([self.alone(term) / self.agents for term in TERMS]))

    @property
    def together(self) -> tuple[Together, ...]:
        """Pairs of terms with enough expected agents, those least often met together first."""
        pairs = [
            Together(names, self.alone(names[0]), self.alone(names[1]), both, self.agents)
            for names, both in self.both.items()
        ]
        frequent = [pair for pair in pairs if pair.expected >= FEWEST_EXPECTED]
        return tuple(sorted(frequent, key=lambda pair: pair.ratio))

    @property
    def steps(self) -> tuple[Together, ...]:
        """Each of the eight terms with all conditions above it, in the order of the funnel."""
        above = ("games_everywhere", *TERMS)
        return tuple(
            Together(
                (before, term), self.count(before), self.alone(term), self.count(term), self.agents
            )
            for before, term in zip(above[:-1], TERMS, strict=True)
        )


def differs(group: Pair, everyone: Pair) -> str:
    """Compare a share among a group with that of all agents: `more`, `less` or `within chance`."""
    if not group[0] or not everyone[1]:
        return "undefined"
    low, high = (float(end) for end in binomial_interval(group[1], group[0]))
    share = everyone[1] / everyone[0]
    return "more" if low > share else "less" if high < share else "within chance"


def count_population(
    stages: pd.DataFrame, now: xr.Dataset, met: Flags, attempts: Flags
) -> Population:
    """Count a population.

    Args:
        stages: Its funnel.
        now: The moment at the end of training: `reach` [agent], `gaming_rate` [agent, context].
        met: Which of the eight terms agents meet [agent, term].
        attempts: Which attempt a takeover [agent].
    """
    worst, bad = met.all(axis=1), met[:, TERMS.index("misalignment")]
    near = (~met).sum(axis=1) <= NEAR
    games = now["gaming_rate"].values >= GAMED
    everywhere = now["reach"].values >= 1.0
    return Population(
        stages=stages,
        eight=int(worst.sum()),
        attempts=int(attempts.sum()),
        attempts_eight=int((attempts & worst).sum()),
        everywhere=(int(everywhere.sum()), int((everywhere & bad).sum())),
        contexts={
            str(name): (int(games[:, i].sum()), int((games[:, i] & bad).sum()))
            for i, name in enumerate(now["context"].values)
        },
        near=(len(met), int(near.sum())),
        near_everywhere=(int(everywhere.sum()), int((everywhere & near).sum())),
        both={
            (TERMS[i], TERMS[j]): int((met[:, i] & met[:, j]).sum())
            for i, j in combinations(range(len(TERMS)), 2)
        },
    )
