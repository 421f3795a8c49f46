"""Visibility of gaming in scratchpads, before an audit and after retraining."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from sim.analysis.audit import AuditResult
from sim.dynamics.measures import GAMED
from sim.specs.scenario import Scenario

#: How an agent games: somewhere so that a scratchpad shows it, only where none does, or nowhere.
VISIBILITY = ("visibly", "out_of_sight", "nowhere")


def visibility_changes(
    audit: AuditResult, agents: NDArray[np.bool_] | None = None
) -> dict[str, dict[str, int]]:
    """Count retrained agents by `VISIBILITY` before retraining, and by that after it.

    Args:
        audit: An audit.
        agents: Which agents are counted [agent]; all that were retrained if None.
    """
    retrained = audit.retrained if agents is None else agents & audit.retrained
    scenario = Scenario.parse(audit.final.provenance["scenario"], path="scenario")
    first, last = (
        visibility_of(state, scenario)[retrained]
        for state in (audit.before, audit.final.data.isel(step=-1))
    )
    return {
        before: {
            after: int(((first == i) & (last == j)).sum()) for j, after in enumerate(VISIBILITY)
        }
        for i, before in enumerate(VISIBILITY)
    }


def visibility_of(state: xr.Dataset, scenario: Scenario) -> NDArray[np.int_]:
    """Classify agents by `VISIBILITY`, as indices [agent], at one moment of a result.

    A training context is gamed from a gaming rate of 0.5 on, and visibly if its scratchpad shows
    half of that or more: s (1 − k_opacity) >= 0.5, as in the penalty P of MODEL.md section 4.
    """
    contexts = scenario.of_kind("training")
    room = np.array([context.scratchpad for context in contexts.values()])
    gamed = state["gaming_rate"].sel(context=list(contexts)).values >= GAMED
    opacity = state["capabilities"].sel(capability="opacity").values
    visible = gamed & (room * (1.0 - opacity[:, None]) >= 0.5)
    index: NDArray[np.int_] = np.where(visible.any(axis=1), 0, np.where(gamed.any(axis=1), 1, 2))
    return index


def retrained_frame(changes: Mapping[str, Mapping[str, Mapping[str, int]]]) -> pd.DataFrame:
    """Lay out `visibility_changes` of several funnels, a row for each and each `VISIBILITY`.

    Args:
        changes: By the name of the funnel.

    Returns:
        `funnel`, `before`, and a column of counts for each visibility after retraining; none for
        funnels in which nobody was retrained.
    """
    rows = [
        {"funnel": name, "before": before, **after}
        for name, by_before in changes.items()
        if any(any(after.values()) for after in by_before.values())
        for before, after in by_before.items()
    ]
    return pd.DataFrame(rows, columns=["funnel", "before", *VISIBILITY])
