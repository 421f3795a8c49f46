"""Whether scratchpads show that agents game, before an audit and after it."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sim.analysis.audit import AuditResult
from sim.dynamics.measures import GAMED
from sim.specs.scenario import Scenario

#: How an agent games: somewhere so that a scratchpad shows it, only where none does, or nowhere.
WAYS = ("visibly", "out_of_sight", "nowhere")


def turned(
    audited: AuditResult, agents: NDArray[np.bool_] | None = None
) -> dict[str, dict[str, int]]:
    """Count agents by how they gamed before retraining, and how after it.

    Args:
        audited: An audit.
        agents: Whom to count [agent]; all that were retrained if None.
    """
    retrained = audited.retrained if agents is None else agents & audited.retrained
    scenario = Scenario.parse(audited.final.provenance["scenario"], path="scenario")
    first, last = (
        ways(state, scenario)[retrained]
        for state in (audited.before, audited.final.data.isel(step=-1))
    )
    return {
        before: {after: int(((first == i) & (last == j)).sum()) for j, after in enumerate(WAYS)}
        for i, before in enumerate(WAYS)
    }


def ways(now: xr.Dataset, scenario: Scenario) -> NDArray[np.int_]:
    """Return which of `WAYS` each agent games [agent], from one moment of a result.

    A training context is gamed from a gaming rate of 0.5 on, and visibly if its scratchpad shows
    half of that or more: s (1 − k_opacity) >= 0.5, as in the penalty P of MODEL.md section 4.
    """
    trained = scenario.of_kind("training")
    room = np.array([context.scratchpad for context in trained.values()])
    gamed = now["gaming_rate"].sel(context=list(trained)).values >= GAMED
    opacity = now["capabilities"].sel(capability="opacity").values
    shown = gamed & (room * (1.0 - opacity[:, None]) >= 0.5)
    way: NDArray[np.int_] = np.where(shown.any(axis=1), 0, np.where(gamed.any(axis=1), 1, 2))
    return way
