"""When and where gaming emerged in a run: the numbers of the closing table."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from sim.analysis.regimes import REGIMES, regimes
from sim.dynamics.measures import quantiles
from sim.result import Result

#: The band over agents: from the first to the last of these quantiles, around the median.
BAND = (0.1, 0.5, 0.9)


def summarise(result: Result) -> dict[str, Any]:
    """Return a run's numbers as plain data, ready for JSON.

    Every number over agents is a median with the 10th and 90th percentile; what is not defined
    for any agent is None. Onset is given over the agents in which gaming set in, with their share.

    Args:
        result: A run.

    Returns:
        `run` (what was run), `contexts` (by name), `values` (by name), `agents` (measures at the
        end of training), `regimes` (the share of agents in each), `settled` (the share of agents
        whose regime longer training need not change).
    """
    first, last = result.data.isel(step=0), result.data.isel(step=-1)
    made_by = result.provenance
    ended = regimes(result)
    return {
        "run": {
            "scenario": made_by["scenario"]["name"],
            "agents": made_by["agents"],
            "steps": made_by["training"]["steps"],
            "seed": made_by["seed"],
            "engine": made_by["engine"],
        },
        "contexts": {
            str(name): {
                "kind": str(last["kind"].sel(context=name).item()),
                "gaming_rate_start": band(first["gaming_rate"].sel(context=name)),
                "gaming_rate_end": band(last["gaming_rate"].sel(context=name)),
                "onset": _onset(result.onset.sel(context=name)),
                "stake_start": band(first["stake"].sel(context=name)),
                "compliance_gap_end": band(last["compliance_gap"].sel(context=name)),
                "behaviour_shift_end": band(last["behaviour_shift"].sel(context=name)),
            }
            for name in result.data["context"].values
        },
        "values": {
            str(name): {
                "start": band(first["values"].sel(value=name)),
                "end": band(last["values"].sel(value=name)),
            }
            for name in result.data["value"].values
        },
        "agents": {
            name: band(last[name])
            for name in (
                "reach",
                "reach_weighted",
                "consistency",
                "value_drift",
                "value_cosine",
                "alignment",
                "opacity_share",
            )
        },
        "regimes": {name: float((ended["regime"] == name).mean()) for name in REGIMES},
        "settled": float(ended["settled"].mean()),
    }


def band(over_agents: xr.DataArray) -> dict[str, float] | None:
    """Return the median over agents [agent] and the band around it; None if nothing is defined."""
    low, median, high = (float(q) for q in quantiles(over_agents.values[None], BAND)[:, 0])
    if np.isnan(median):
        return None
    return {"low": low, "median": median, "high": high}


def in_few_agents(onset: dict[str, Any]) -> bool:
    """Say whether gaming set in for fewer than half of the agents, so that no median is shown."""
    return bool(onset["share_of_agents"] < 0.5)


def _onset(onset: xr.DataArray) -> dict[str, float | None]:
    found = band(onset)
    share = float(np.isfinite(onset.values).mean())
    return {"share_of_agents": share, **(found or dict.fromkeys(("low", "median", "high")))}
