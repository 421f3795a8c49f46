"""Takeovers by coordination: counts, shares and the formula, at levels of coordination."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sim.abm.batch import Outcomes


@dataclass(frozen=True)
class Curve:
    """Takeovers by coordination, on one communication graph.

    Attributes:
        graph: Its name.
        coordination: k [levels].
        takeovers: Deployments that end in a takeover [levels].
        catches: Deployments that are caught [levels].
        replicates: Deployments at each level.
        share: The share of takeovers [levels].
        low, high: Its 95 % binomial interval [levels].
        paper: The formula [levels]; None where there is neach.
    """

    graph: str
    coordination: Any
    takeovers: Any
    catches: Any
    replicates: int
    share: Any
    low: Any
    high: Any
    paper: Any = None

    @classmethod
    def from_outcomes(
        cls, graph: str, coordination: Any, outcomes: Sequence[Outcomes], *, formula: Any = None
    ) -> Curve:
        """Return the curve of the deployments at each level."""
        ends = np.array([each.interval("takeover") for each in outcomes])
        return cls(
            graph=graph,
            coordination=np.asarray(coordination),
            takeovers=np.array([each.count("takeover") for each in outcomes]),
            catches=np.array([each.count("caught") for each in outcomes]),
            replicates=outcomes[0].replicates,
            share=np.array([each.share("takeover") for each in outcomes]),
            low=ends[:, 0],
            high=ends[:, 1],
            paper=formula,
        )

    def frame(self) -> pd.DataFrame:
        """Return a row for each level."""
        return pd.DataFrame(
            {
                "graph": self.graph,
                "coordination": self.coordination,
                "replicates": self.replicates,
                "takeovers": self.takeovers,
                "caught": self.catches,
                "share": self.share,
                "low": self.low,
                "high": self.high,
                "paper": np.nan if self.paper is None else self.paper,
            }
        )

    def peak(self) -> dict[str, Any]:
        """Return where takeovers are most frequent, and how often they are there."""
        peak = int(np.argmax(self.share))
        inside = None
        if self.paper is not None:
            inside = int(((self.low <= self.paper) & (self.paper <= self.high)).sum())
        return {
            "most": float(self.share[peak]),
            "at_coordination": float(self.coordination[peak]),
            "levels": len(self.share),
            "levels_where_paper_is_within_95": inside,
        }
