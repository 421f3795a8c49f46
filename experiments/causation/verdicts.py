"""What the tables of causes come to, each with a verdict; and the names of outcomes and routes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sim.utils.format import format_number

from .scenario_effects import AS_IT_IS

#: The outcomes of verdicts.
OUTCOMES = ("kept", "alignment", "awareness", "log_horizon", "consistency", "behaviour_shift")
#: Names of outcomes for a reader, where they differ from the column's.
NAMES = {
    "kept": "what is kept of the goal",
    "gaming_rate": "gaming rate in training",
    "slip_deployed": "slips where deployed",
    "deployed_policy": "deployed policy (distance)",
    "terms_met": "worst-case terms met (count)",
    "worst_case": "all worst-case terms met",
    "success": "P(success)",
}
#: Names of routes that are assumptions.
ROUTE_NAMES = {"motive_credit 0": "credit for motives", "leak 0.3": "having no leak (of 0.3)"}


def outcome_label(outcome: str) -> str:
    """Return an outcome's name as a reader has it."""
    start, point, end = outcome.partition(".")
    if point:
        return (
            f"{end} met".replace("_", " ")
            if start == "met"
            else f"{start} of {end}".replace("_", " ")
        )
    return NAMES.get(outcome, outcome.replace("_", " "))


def route_label(route: str) -> str:
    """Return a route's name: a mediator, or what an assumption takes away."""
    return ROUTE_NAMES.get(route, route.replace("_", " "))


def signed(number: float, digits: int = 2) -> str:
    """Write a number with its sign; one that rounds to 0 without."""
    text = format_number(number if np.isfinite(number) else None, digits)
    return f"+{text}" if round(number, digits) > 0 else text


def signed_small(number: float) -> str:
    """Write an effect with its sign, and with more digits where it is small."""
    return signed(number, 4 if 0.0 < abs(number) < 0.01 else 2)


def direction(low: float, high: float) -> str:
    """Return `raised`, `lowered`, `no effect`, or `open`, from the interval of an effect."""
    if low == high == 0.0:
        return "no effect"
    return "raised" if low > 0.0 else "lowered" if high < 0.0 else "open"


def effect_verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """Return the effects of the main contrast on some outcomes, by group of agents.

    Args:
        table: `Effects.table`.
    """
    main = table[table["contrast"] == table["contrast"].iat[0]]
    rows = main[main["outcome"].isin([*OUTCOMES, "terms_met", "success"])]
    rows = rows[["contrast", "group", "outcome", "agents", "effect", "low", "high"]]
    ends = zip(rows["low"], rows["high"], strict=True)
    return rows.assign(verdict=[direction(*pair) for pair in ends])


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
        sure = routes[(routes["mediated_low"] > 0.0) | (routes["mediated_high"] < 0.0)]
        if sure.empty:
            rows.append({"outcome": outcome, "total": routes["total"].iat[0], "verdict": "none"})
            continue
        largest = sure.loc[sure["mediated"].abs().idxmax()]
        carries = largest["mediated"] * largest["total"] > 0.0
        rows.append({**largest, "verdict": "carries it" if carries else "works against it"})
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
