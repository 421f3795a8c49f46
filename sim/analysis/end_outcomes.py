"""The outcomes of agents at the end of training: numbers of each, and what would come of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike

from sim.analysis.worst_case import TERMS, PostTraining, worst_case_at
from sim.specs.agent import CAPABILITIES
from sim.specs.scenario import Scenario


def outcome_names(scenario: Scenario) -> tuple[str, ...]:
    """Return the outcomes of a scenario's agents, in the order in which they are reported."""
    return (
        "kept",
        *(f"strength.{value}" for value in contested_values(scenario)),
        "value_drift",
        "alignment",
        "awareness",
        "log_horizon",
        "log_competence",
        *(f"capability.{name}" for name in CAPABILITIES),
        "gaming_rate",
        "reach",
        "opacity_share",
        "consistency",
        "behaviour_shift",
        "slip_deployed",
        *(f"met.{term}" for term in TERMS),
        "terms_met",
        "worst_case",
        "success",
        "attempts",
    )


def contested_values(scenario: Scenario) -> tuple[str, ...]:
    """Return the values that some training context can move: its responses differ in them."""
    trained = scenario.of_kind("training").values()
    return tuple(
        value
        for value in scenario.values
        if any(
            len({serves.get(value, 0.0) for serves in c.responses.values()}) > 1 for c in trained
        )
    )


def outcomes(
    now: xr.Dataset, scenario: Scenario, *, start: ArrayLike, after: PostTraining
) -> pd.DataFrame:
    """Return every outcome of every agent at the end of training, a row for each agent.

    Args:
        now: One moment, as `sim.takeover.moment` or `summary_moment.moment_of` gives it.
        scenario: What they were trained in.
        start: The values with which each agent started [agent, value].
        after: What counts as the worst case, and what stands in the way.

    Returns:
        `kept` is v·v_0 / |v_0|², what is left of the agent's goal: 1 all, 0 nothing, below 0
        reversed. `strength.V` is the strength of one value in the direction in which it started.
        `gaming_rate` and `behaviour_shift` are means over training contexts (with a twin), and
        `slip_deployed`, the chance of a response that does not look best, over deployment contexts.
        `met.TERM`, `worst_case` and `attempts` are 0 or 1; `terms_met` of the worst case counts.
        nan: not defined.
    """
    first = np.asarray(start, np.float64)
    values = now["values"].values
    judged = worst_case_at(now, scenario, **after.arguments())
    number, met = judged["number"], judged["met"]
    trained, deployed = (list(scenario.of_kind(k)) for k in ("training", "deployment"))
    norm = (first**2).sum(axis=1)
    kept = np.full(len(first), np.nan)
    np.divide((values * first).sum(axis=1), norm, out=kept, where=norm > 0.0)
    slip = now["slip"].sel(context=deployed).values
    contested = contested_values(scenario)
    columns: dict[str, ArrayLike] = {
        "kept": kept,
        **{
            f"strength.{value}": (values * np.sign(first))[:, i]
            for i, value in enumerate(scenario.values)
            if value in contested
        },
        "value_drift": now["value_drift"].values,
        "alignment": now["alignment"].values,
        "awareness": now["awareness_logit"].values,
        "log_horizon": now["log_horizon"].values,
        "log_competence": now["log_competence"].values,
        **{
            f"capability.{name}": now["capabilities"].sel(capability=name).values
            for name in CAPABILITIES
        },
        "gaming_rate": now["gaming_rate"].sel(context=trained).values.mean(axis=1),
        "reach": now["reach"].values,
        "opacity_share": now["opacity_share"].values,
        "consistency": now["consistency"].values,
        "behaviour_shift": number.sel(term="behaviour_shift").values,
        "slip_deployed": slip.mean(axis=1) if deployed else np.full(len(first), np.nan),
        **{f"met.{term}": met.sel(term=term).values.astype(float) for term in TERMS},
        "terms_met": met.values.sum(axis=1).astype(float),
        "worst_case": judged["worst_case"].values.astype(float),
        "success": judged["success"].values,
        "attempts": judged["attempts"].values.astype(float),
    }
    return pd.DataFrame(columns)[list(outcome_names(scenario))]
