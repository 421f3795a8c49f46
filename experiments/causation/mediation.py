"""Routes of the effect of gaming: what is left of it while a mediator stays as it is.

For each kind of state M, both twins are also run with M frozen. What they then still differ by is
the *controlled direct effect*, at the M of the start; the *mediated part* is the total effect less
the direct one, agent by agent, so its interval is paired as well. Mediated parts need not add up to
the total: routes can be in series, and each may make up for another.

Two routes are assumptions: without credit for motives (`motive_credit` 0) gaming cannot train what
motivated it, and with `leak` it trains the values as if they had given the answer. For these, the
*direct* column has the effect under the assumption.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from sim.analysis.counterfactuals import paired_difference
from sim.specs.overrides import Specs, apply_overrides

from .contrasts import LEAK, NO_CREDIT, Contrast, Do, in_training, with_do
from .effects import OUTCOMES, is_among, is_sure

#: Kinds of state that training can change, each a route ...
MEDIATORS = (
    *("values", "propensity", "habit", "awareness", "log_horizon", "log_competence"),
    "capability",
)
#: ... and assumptions that close a route, or open one.
ROUTES = {**NO_CREDIT, **LEAK}
#: Outcomes that a mediator determines by itself; with it frozen, they say nothing.
_OWN = {
    "values": ("kept", "strength.", "value_drift", "alignment"),
    "awareness": ("awareness",),
    "log_horizon": ("log_horizon",),
    "log_competence": ("log_competence",),
    "capability": (
        "capability.",
        *(f"met.{k}" for k in ("opacity", "sandbagging", "composure", "coordination")),
        "met.subversion",
    ),
}


def is_own(route: str, outcome: str) -> bool:
    """Return whether an outcome is the mediator itself, which says nothing when frozen."""
    return is_among(outcome, _OWN.get(route, ()))


def mediators_of(specs: Specs) -> tuple[str, ...]:
    """Return the mediators; propensities are none where training moves none."""
    learnt = specs.training.learning_rate.propensity > 0.0
    return tuple(name for name in MEDIATORS if learnt or name != "propensity")


def frozen(specs: Specs, side: Do, mediator: str) -> Do:
    """Return one side of a contrast with a mediator frozen throughout training.

    Habits that gaming being set holds already are left to it: they come back as they were.
    """
    gated = {
        name
        for intervention in side
        if intervention.subject == "gaming"
        for name in intervention.names(specs.scenario)  # habit.CONTEXT
    }
    if mediator == "habit" and gated:
        free = [f"habit.{c}" for c in specs.scenario.contexts if f"habit.{c}" not in gated]
    else:
        free = [mediator]
    more = in_training(specs, *({"key": f"state.{name}", "freeze": True} for name in free))
    return (*side, *more)


def mediation_worlds(specs: Specs, contrast: Contrast) -> dict[str, Specs]:
    """Return all worlds that are needed, by `ROUTE|first` and `ROUTE|second`; `total` is no route.

    Raises:
        SpecError: Something cannot be done, as where the contrast itself holds a mediator.
    """
    worlds = {}
    for route in ("total", *mediators_of(specs), *ROUTES):
        variant = apply_overrides(specs._replace(interventions=()), ROUTES.get(route, {}))
        for name, side in zip(("first", "second"), contrast, strict=True):
            do = frozen(specs, side, route) if route in MEDIATORS else side
            worlds[f"{route}|{name}"] = with_do(variant, do)
    return worlds


def mediation(outcomes: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return total, direct and mediated effects, a row for each route and outcome.

    Args:
        outcomes: Outcomes of `mediation_worlds`.

    Returns:
        `total`, `direct`, `mediated` with `_low` and `_high`; of a mediator's own outcomes, direct
        and mediated are nan.
    """
    total = outcomes["total|first"] - outcomes["total|second"]
    undefined = paired_difference([], [])
    rows = []
    routes = dict.fromkeys(name.partition("|")[0] for name in outcomes)
    for route in [name for name in routes if name != "total"]:
        direct = outcomes[f"{route}|first"] - outcomes[f"{route}|second"]
        for outcome in total.columns:
            zero = 0.0 * total[outcome].to_numpy()
            parts = {
                "total": paired_difference(total[outcome], zero),
                "direct": paired_difference(direct[outcome], zero),
                "mediated": paired_difference(total[outcome], direct[outcome]),
            }
            if is_own(route, outcome):
                parts |= dict.fromkeys(("direct", "mediated"), undefined)
            row: dict[str, object] = {"route": route, "outcome": outcome}
            for name, part in parts.items():
                ends = {f"{name}_low": part["low"], f"{name}_high": part["high"]}
                row |= {name: part["effect"], **ends}
            rows.append(row)
    return pd.DataFrame(rows)


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
