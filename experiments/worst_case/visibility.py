"""The audit in numbers: findings, and visibility of gaming before and after retraining."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sim.analysis.audit import FINDERS, AuditResult
from sim.dynamics.measures import GAMED
from sim.specs.scenario import Scenario

#: How an agent games: somewhere so that a scratchpad shows it, only where none does, or nowhere.
VISIBILITY = ("visibly", "out_of_sight", "nowhere")


def summarise_audit(audit: AuditResult) -> dict[str, Any]:
    """Count the agents that an audit deploys and retrains, and the shares that it finds.

    `found_first` has the share of agents that each step finds before any retraining;
    `found_gaming` and `found_not_gaming` that of agents in which any step finds anything, None
    where there are no such agents.
    """
    first = audit.first_findings.mean(axis=0)
    finding = np.asarray(audit.first_findings.any(axis=1))
    gaming = audit.before["reach"].values > 0.0
    return {
        "deployed": int(audit.deployed.sum()),
        "retrained": int(audit.retrained.sum()),
        "turned": visibility_changes(audit),
        "found_first": dict(zip(FINDERS, map(float, first), strict=True)),
        "found_gaming": float(finding[gaming].mean()) if gaming.any() else None,
        "found_not_gaming": float(finding[~gaming].mean()) if not gaming.all() else None,
    }


def visibility_changes(
    audit: AuditResult, agents: NDArray[np.bool_] | None = None
) -> dict[str, dict[str, int]]:
    """Count retrained agents, or those of them in a mask [agent], by visibility before and after.

    Returns:
        Counts, by `VISIBILITY` before retraining and then after it.
    """
    retrained = audit.retrained if agents is None else agents & audit.retrained
    scenario = Scenario.parse(audit.final.provenance["scenario"], path="scenario")
    states = (audit.before, audit.final.data.isel(step=-1))
    first, last = (visibility_of(state, scenario)[retrained] for state in states)
    return {
        before: {after: int(((first == i) & (last == j)).sum()) for j, after in _NUMBERED}
        for i, before in _NUMBERED
    }


_NUMBERED = tuple(enumerate(VISIBILITY))


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
