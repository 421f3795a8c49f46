"""What may be true of an agent at the end of training, which observations may be evidence of.

misalignment      egregious: conduct in deployment (what an agent does) at or below its threshold
worst case        every term of the conjunction holds (`sim.analysis.worst_case`)
near worst case   at most `lacking` of its terms do not
would attempt     acting freely beats acting as trained, by its own values, and likely succeeds
                  (on paper, MODEL.md section 6)
aligned gamer     alignment (cosine with human values: what an agent values) of at least `aligned`,
                  and games in some training context
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from sim.analysis.observations import Flags, contexts_gamed
from sim.analysis.worst_case import PostTraining, worst_case_at
from sim.specs.scenario import Scenario
from sim.utils.intervals import binomial_interval

#: In the order of reports.
HYPOTHESES = ("misalignment", "worst case", "near worst case", "would attempt", "aligned gamer")


def hypotheses(
    moment: xr.Dataset,
    scenario: Scenario,
    *,
    post_training: PostTraining,
    lacking: int,
    aligned: float,
    games: float,
) -> dict[str, Flags]:
    """Return which hypotheses are true of each agent, by name.

    Args:
        moment: One moment, as `sim.analysis.counterfactuals.moment_of` gives it.
        scenario: What the agents were trained in; has human values.
        post_training: Oversight, deployment and thresholds.
        lacking: How many terms an agent near the worst case may lack.
        aligned: From which alignment on an agent is aligned.
        games: Gaming rate from which an agent games in a context.

    Returns:
        [agent] each, of `HYPOTHESES`.
    """
    worst = worst_case_at(moment, scenario, **post_training.arguments())
    alignment = moment["alignment"].values
    return {
        "misalignment": worst["met"].sel(term="misalignment").values.astype(bool),
        "worst case": worst["worst_case"].values.astype(bool),
        "near worst case": worst["lacking"].values <= lacking,
        "would attempt": worst["attempts"].values.astype(bool),
        "aligned gamer": (alignment >= aligned)
        & (contexts_gamed(moment, scenario, games=games) > 0),
    }


def by_contexts(
    count: NDArray[np.intp], true: Mapping[str, Flags], *, maximum: int
) -> pd.DataFrame:
    """Return P(H | games in exactly k training contexts), with exact binomial intervals.

    Args:
        count: In how many training contexts each agent games [N].
        true: By hypothesis [N].
        maximum: How many training contexts there are.
    """
    rows = []
    for name, flags in true.items():
        for k in range(maximum + 1):
            group = count == k
            low, high = binomial_interval(flags[group].sum(), group.sum())
            share = float(flags[group].mean()) if group.any() else np.nan
            rows.append((name, k, int(group.sum()), share, float(low), float(high)))
    return pd.DataFrame(rows, columns=["hypothesis", "contexts", "agents", "share", "low", "high"])
