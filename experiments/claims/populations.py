"""Populations of the funnel, counted in more ways than one after the other.

The funnel counts one condition after the other. Beside it stands here, for the same agents, how
many meet all eight terms whether they game or not, who attempts a takeover, and how frequent
egregious misalignment is among those that game everywhere, and in each training context. And how
often each two of the terms are met together, which says where the conjunction excludes itself.
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

Flags = NDArray[np.bool_]
#: How many agents, and of how many of them something is true.
Pair = tuple[int, int]
#: Terms that an agent near the worst case may lack.
NEAR = 2
#: Below so many that are expected, how often two terms are met together says too little.
FEWEST_EXPECTED = 5.0


#: How sure one must be that something is more than chance.
_LEVEL = 0.95


@dataclass(frozen=True)
class Together:
    """Two conditions, and how many agents meet both.

    Attributes:
        names: Of the two.
        first: How many agents meet the first, ...
        second: ... the second, ...
        both: ... and both.
        agents: How many agents there are.
    """

    names: tuple[str, str]
    first: int
    second: int
    both: int
    agents: int

    @property
    def expected(self) -> float:
        """How many would meet both if the two were as frequent, and independent."""
        return self.first * self.second / self.agents

    @property
    def ratio(self) -> float:
        """How many times as often they are met together as if they were independent."""
        return self.both / self.expected

    def beyond_chance(self, looked_at: int = 1) -> bool:
        """Tell whether independence would hardly bring so few, or so many, together.

        Of the agents that meet the first, those that meet the second are then drawn without
        replacement from all agents (hypergeometric; Fisher's exact test, each tail by half).

        Args:
            looked_at: Of how many pairs this one is an extreme (Bonferroni).
        """
        from scipy.stats import hypergeom  # takes half a second to import

        drawn = hypergeom(self.agents, self.second, self.first)
        tail = min(drawn.cdf(self.both), drawn.sf(self.both - 1))
        return bool(tail * looked_at < (1.0 - _LEVEL) / 2.0)


@dataclass(frozen=True)
class Population:
    """A population of the funnel, counted in other ways.

    Attributes:
        stages: The funnel: `stage`, `count` (meet this condition and all above), `alone` (meet this
            one) and `agents`.
        eight: How many meet all eight terms, gaming or not.
        attempts: How many would attempt a takeover.
        attempts_eight: How many of these meet all eight terms.
        everywhere: Agents that game in all training contexts, and those egregiously misaligned.
        contexts: The same of agents that game in a training context, by context.
        near: All agents, and those that lack at most `NEAR` of the eight terms.
        near_everywhere: The same of agents that game in all training contexts.
        both: How many meet both of two terms, by the two in the order of `TERMS`.
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
        """How many agents there are."""
        return int(self.stages["agents"].iat[0])

    @property
    def misaligned(self) -> Pair:
        """All agents, and those that are egregiously misaligned."""
        return self.agents, int(self.alone("misalignment"))

    def alone(self, stage: str) -> int:
        """Return how many agents meet a condition, whatever else they do."""
        return int(self.stages.set_index("stage")["alone"][stage])

    def count(self, stage: str) -> int:
        """Return how many agents meet a condition and all above it."""
        return int(self.stages.set_index("stage")["count"][stage])

    @property
    def if_independent(self) -> float:
        """How many would meet all eight terms if each were as frequent, and independent."""
        return self.agents * float(np.prod([self.alone(term) / self.agents for term in TERMS]))

    @property
    def together(self) -> tuple[Together, ...]:
        """Pairs of terms of which enough say something, those least often together first."""
        pairs = [
            Together(names, self.alone(names[0]), self.alone(names[1]), both, self.agents)
            for names, both in self.both.items()
        ]
        enough = [pair for pair in pairs if pair.expected >= FEWEST_EXPECTED]
        return tuple(sorted(enough, key=lambda pair: pair.ratio))

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


def counted(stages: pd.DataFrame, now: xr.Dataset, met: Flags, attempts: Flags) -> Population:
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
