"""One moment of agents, put together from the rows that a sweep keeps of its runs.

What comes after training is worked out from a moment of a result. A sweep of runs of one agent
each has the same numbers at the end of training, in columns with flat names.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from sim.dynamics.numerics import logistic
from sim.dynamics.observe import ONSET, VARIABLES
from sim.dynamics.state import Array
from sim.specs.agent import CAPABILITIES
from sim.specs.scenario import Scenario

#: What is taken over as it is; `capabilities` follow from their logits.
TAKEN = (
    "values",
    "awareness_logit",
    "log_horizon",
    "log_competence",
    "gaming_rate",
    "reach",
    "compliance_gap",
    "behaviour_shift",
    "slip",
    "temptation",
    "value_drift",
    "alignment",
    "consistency",
    "opacity_share",
)


def moment_of(frame: pd.DataFrame, scenario: Scenario) -> xr.Dataset:
    """Return the end of training of runs of one agent each.

    Args:
        frame: Of a sweep; one run is one agent, and one that failed has nan everywhere.
        scenario: What all of them were trained in.

    Returns:
        `TAKEN`, `capabilities` [agent, capability] and `onset` [agent, context], as a result has
        them at its last step.
    """
    known = {
        "context": list(scenario.contexts),
        "value": list(scenario.values),
        "capability": list(CAPABILITIES),
    }
    dims = {name: VARIABLES[name].dims[1:] for name in TAKEN} | {"onset": ONSET.dims}
    data: dict[str, tuple[tuple[str, ...], Array]] = {}
    for name, of in dims.items():
        parts = [f"{name}.{part}" for part in known[of[1]]] if len(of) > 1 else [name]
        numbers = _columns(frame, parts)
        data[name] = (of, numbers if len(of) > 1 else numbers[:, 0])
    logits = _columns(frame, [f"capability_logits.{name}" for name in CAPABILITIES])
    with np.errstate(over="ignore"):
        chances = logistic(logits, out=np.empty_like(logits))
    data["capabilities"] = (("agent", "capability"), chances)
    return xr.Dataset(data, coords={"agent": np.arange(len(frame)), **known})


def _columns(frame: pd.DataFrame, names: Sequence[str]) -> Array:
    numbers: Array = frame[list(names)].to_numpy(np.float64)
    return numbers
