"""Verdicts: what the tables of effects, of routes and of scenarios come to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sim.utils.intervals import interval_verdict

from .contrasts import AS_IT_IS

#: The outcomes of verdicts.
OUTCOMES = ("kept", "alignment", "awareness", "log_horizon", "consistency", "behaviour_shift")


def is_sure(rows: Any, name: str = "") -> Any:
    """Return whether the interval NAME_low to NAME_high of a row, or of each row, leaves out 0."""
    start = f"{name}_" if name else ""
    return (rows[f"{start}low"] > 0.0) | (rows[f"{start}high"] < 0.0)


def effect_verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """Return the effects of the main contrast on some outcomes, by group of agents.

    `verdict`: `raised`, `lowered`, `open`, or `no effect` where no agent differs from its twin.

    Args:
        table: As `effects` returns it.
    """
    main = table[table["contrast"] == table["contrast"].iat[0]]
    rows = main[main["outcome"].isin([*OUTCOMES, "terms_met", "success"])]
    rows = rows[["contrast", "group", "outcome", "agents", "effect", "low", "high"]]
    verdicts = [
        "no effect" if low == high == 0.0 else interval_verdict(low, high, ("raised", "lowered"))
        for low, high in zip(rows["low"], rows["high"], strict=True)
    ]
    return rows.assign(verdict=verdicts)


def largest_routes(table: pd.DataFrame) -> pd.DataFrame:
    """Return the route that takes the largest part of some effects, of those beyond chance.

    Args:
        table: As `mediation` returns it.
    """
    rows = []
    for outcome in OUTCOMES:
        routes = table[(table["outcome"] == outcome) & table["mediated"].notna()]
        if routes.empty or not np.isfinite(routes["total"].iat[0]):
            continue
        sure = routes[is_sure(routes, "mediated")]
        if sure.empty:
            rows.append({"outcome": outcome, "total": routes["total"].iat[0], "verdict": "none"})
            continue
        largest = sure.loc[sure["mediated"].abs().idxmax()]
        same_sign = largest["mediated"] * largest["total"] > 0.0
        rows.append({**largest, "verdict": "carries it" if same_sign else "works against it"})
    return pd.DataFrame(rows, columns=[*table.columns, "verdict"])


def scenario_verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """Return in how many scenarios gaming raises and lowers some outcomes, by assumption.

    Args:
        table: As `scenario_effects` returns it.
    """
    rows = []
    for (assumption, outcome), cells in table.groupby(["assumption", "outcome"], sort=False):
        if outcome not in ("kept", "alignment", "awareness", "terms_met"):
            continue
        if outcome != "kept" and assumption != AS_IT_IS:
            continue
        raised, lowered = int((cells["low"] > 0.0).sum()), int((cells["high"] < 0.0).sum())
        verdict = "mixed" if raised and lowered else "raised" if raised else "lowered"
        rows.append(
            {
                "assumption": assumption,
                "outcome": outcome,
                "scenarios": len(cells),
                "raised": raised,
                "lowered": lowered,
                "verdict": verdict if raised or lowered else "open",
            }
        )
    return pd.DataFrame(rows)
