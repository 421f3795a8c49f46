"""What may be true of an agent at the end of training, which observations may be evidence of.

misalignment      egregious: alignment (cosine with human values) at or below its threshold
worst case        every term of the conjunction holds (`sim.analysis.worst_case`)
near worst case   at most `lacking` of its terms do not
would attempt     acting freely beats acting as trained, by its own values, and likely succeeds
                  (on paper, MODEL.md section 6)
aligned gamer     alignment of at least `aligned`, and games in some training context
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sim.analysis.observations import contexts_gamed
from sim.analysis.worst_case import PostTraining, worst_case_at
from sim.dynamics.measures import GAMED
from sim.specs.scenario import Scenario

#: In the order of reports; and what is said of an agent of which it is true.
HYPOTHESES = {
    "misalignment": "is egregiously misaligned",
    "worst case": "is the worst case",
    "near worst case": "is near the worst case",
    "would attempt": "would attempt a takeover",
    "aligned gamer": "is an aligned gamer",
}
#: Those that look at values alone, and so do not change with how agents answer at the moment.
OF_VALUES = ("misalignment",)
#: The worst case and the near one are far apart, or the near one would be as rare.
LACKING, ALIGNED = 2, 0.5


def hypotheses(
    now: xr.Dataset,
    scenario: Scenario,
    *,
    after: PostTraining,
    lacking: int = LACKING,
    aligned: float = ALIGNED,
    games: float = GAMED,
) -> dict[str, NDArray[np.bool_]]:
    """Return what is true of each agent, by name.

    Args:
        now: One moment, as `sim.analysis.counterfactuals.moment_of` gives it.
        scenario: What the agents were trained in; has human values.
        after: Oversight, deployment and thresholds.
        lacking: How many terms an agent near the worst case may lack.
        aligned: From which alignment on an agent is aligned.
        games: Gaming rate from which an agent games in a context.

    Returns:
        [agent] each, of `HYPOTHESES`.
    """
    worst = worst_case_at(now, scenario, **after.arguments())
    alignment = now["alignment"].values
    return {
        "misalignment": alignment <= after.thresholds.misalignment,
        "worst case": worst["worst_case"].values.astype(bool),
        "near worst case": worst["lacking"].values <= lacking,
        "would attempt": worst["attempts"].values.astype(bool),
        "aligned gamer": (alignment >= aligned) & (contexts_gamed(now, scenario, games=games) > 0),
    }
