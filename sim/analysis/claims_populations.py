"""Populations of the funnel, counted in more ways than one after the other.

The funnel counts one condition after the other. Beside it stands here, for the same agents, how
many meet all eight terms whether they game or not, who attempts a takeover, and how frequent
egregious misalignment is among those that game everywhere, and in each training context.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from sim.analysis.worst_case import TERMS
from sim.dynamics.measures import GAMED

Flags = NDArray[np.bool_]
#: How many agents, and how many of them are egregiously misaligned.
Pair = tuple[int, int]


@dataclass(frozen=True)
class Population:
    """A population of the funnel, counted in other ways.

    Attributes:
        stages: The funnel: `stage`, `count` (meet this condition and all above), `alone` (meet this
            one) and `agents`.
        eight: How many meet all eight terms, gaming or not.
        attempts: How many would attempt a takeover.
        attempts_eight: How many of these meet all eight terms.
        everywhere: Agents that game in all training contexts.
        contexts: By training context, agents that game in it.
    """

    stages: pd.DataFrame
    eight: int
    attempts: int
    attempts_eight: int
    everywhere: Pair
    contexts: Mapping[str, Pair]

    @property
    def agents(self) -> int:
        """How many agents there are."""
        return int(self.stages["agents"].iat[0])

    @property
    def misaligned(self) -> Pair:
        """All agents."""
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


def counted(stages: pd.DataFrame, now: xr.Dataset, met: Flags, attempts: Flags) -> Population:
    """Count a population.

    Args:
        stages: Its funnel.
        now: The moment at the end of training: `reach` [agent], `gaming_rate` [agent, context].
        met: Which of the eight terms agents meet [agent, term].
        attempts: Which attempt a takeover [agent].
    """
    worst, bad = met.all(axis=1), met[:, TERMS.index("misalignment")]
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
    )
