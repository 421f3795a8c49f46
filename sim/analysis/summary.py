"""Summary of a run: when and where gaming emerged, what became of values, and the regimes."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from sim.analysis.regimes import REGIMES, regimes
from sim.dynamics.measures import quantiles
from sim.result import Result

#: Quantiles of the band over agents: its ends, around the median.
BAND = (0.1, 0.5, 0.9)
#: Measures of each agent at the end of training.
AGENT_MEASURES = (
    "reach",
    "reach_weighted",
    "consistency",
    "value_drift",
    "value_cosine",
    "alignment",
    "deployment_conduct",
    "opacity_share",
)


def summarise(result: Result) -> dict[str, Any]:
    """Return the summary of a run as plain data, ready for JSON.

    Every number over agents is a median with the 10th and 90th percentile; None where it is not
    defined for any agent. Onset is that of the agents in which gaming set in, with their share.

    Returns:
        `run` (scenario, size, seed, engine), `contexts` (by name), `values` (by name), `agents`
        (measures at the end of training), `regimes` (the share of agents in each), `settled` (the
        share of agents without a training context that is still moving).
    """
    first, last = result.data.isel(step=0), result.data.isel(step=-1)
    provenance = result.provenance
    outcome = regimes(result)
    return {
        "run": {
            "scenario": provenance["scenario"]["name"],
            "agents": provenance["agents"],
            "steps": provenance["training"]["steps"],
            "seed": provenance["seed"],
            "engine": provenance["engine"],
        },
        "contexts": {
            str(name): {
                "kind": str(last["kind"].sel(context=name).item()),
                "gaming_rate_start": band(first["gaming_rate"].sel(context=name)),
                "gaming_rate_end": band(last["gaming_rate"].sel(context=name)),
                "instrumental_gaming_end": band(last["instrumental_gaming"].sel(context=name)),
                "onset": _onset(result.onset.sel(context=name)),
                "stake_start": band(first["stake"].sel(context=name)),
                "compliance_gap_end": band(last["compliance_gap"].sel(context=name)),
                "behaviour_shift_end": band(last["behaviour_shift"].sel(context=name)),
                "conduct_end": band(last["conduct"].sel(context=name)),
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
        "agents": {name: band(last[name]) for name in AGENT_MEASURES},
        "regimes": {name: float((outcome["regime"] == name).mean()) for name in REGIMES},
        "settled": float(outcome["settled"].mean()),
    }


def band(numbers: xr.DataArray) -> dict[str, float] | None:
    """Return the median over agents [agent] and the ends of its band; None if none is defined."""
    low, median, high = (float(q) for q in quantiles(numbers.values[None], BAND)[:, 0])
    if np.isnan(median):
        return None
    return {"low": low, "median": median, "high": high}


def in_few_agents(onset: dict[str, Any]) -> bool:
    """Return whether gaming set in for fewer than half of the agents: then onset has no median."""
    return bool(onset["share_of_agents"] < 0.5)


def _onset(onset: xr.DataArray) -> dict[str, float | None]:
    share = float(np.isfinite(onset.values).mean())
    return {"share_of_agents": share, **(band(onset) or dict.fromkeys(("low", "median", "high")))}
