"""The spillover of gaming to contexts where it protects nothing: part `reach`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from sim.analysis.context_roles import ContextRoles
from sim.analysis.regimes import STATES, sweep_regimes
from sim.dynamics.measures import GAMED
from sim.dynamics.state import Array
from sim.sweeps.plan import Plan
from sim.sweeps.result import Sweep

from .measurements import classify, last_upcrossing, median_with_inf, per_run, sound_runs
from .plans import CASES, GENERALISATION_KEY, RULE_KEY, SIMILARITY_KEY, STEPS_KEY, StudyDesign

_THRESHOLDS = ("threshold", "threshold_low", "threshold_high")


def measure(study: StudyDesign, plan: Plan, sweep: Sweep) -> pd.DataFrame:
    """Return the end of every run in every context, and the habit that gaming would have needed.

    Returns:
        A row for each run and context: `faster` is the factor on the learning rate of habit, `pull`
        τ I, `needed` the habit from which g >= 0.5 (inf where awareness alone forbids it), `regime`
        that of the run.
    """
    frame = sound_runs(sweep)
    rationality = per_run(plan, frame, lambda program: program.traits.rationality)
    regimes = sweep_regimes(sweep).set_index("run")["regime"]
    similarity = SIMILARITY_KEY.format(study.roles.paying[0], study.roles.not_paying[0])
    tables = []
    for context in study.specs.scenario.contexts:
        pull = rationality * frame[f"incentive.{context}"]
        awareness = frame[f"awareness.{context}"]
        columns = {
            "rule": frame[RULE_KEY],
            "steps": frame[STEPS_KEY],
            "faster": np.array([case[1] for case in CASES])[frame["part"] % len(CASES)],
            "generalisation": frame[GENERALISATION_KEY],
            "similarity": frame[similarity],
            "seed": frame["seed"],
            "context": context,
            "role": study.roles.role(context),
            "gaming_rate": frame[f"gaming_rate.{context}"],
            "state": np.array(STATES)[classify(frame, context).state[:, 0]],
            "onset": frame[f"onset.{context}"],
            "habit": frame[f"habit.{context}"],
            "pull": pull,
            "needed": _logit(np.minimum(GAMED / awareness, 1.0)) - pull,
            "regime": frame["run"].map(regimes).astype(str),
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def summarise_points(runs: pd.DataFrame) -> pd.DataFrame:
    """Return `measure` by point: medians over seeds; of `gamed`, `games`, `onset_share` shares."""
    keys = ["rule", "steps", "faster", "similarity", "generalisation", "context", "role"]
    marked = runs.assign(
        gamed=runs["gaming_rate"] >= GAMED,
        games=runs["state"] == "games",
        onset_share=runs["onset"].notna(),
    )
    means: dict[str, Any] = dict.fromkeys(["gaming_rate", "habit", "pull", "needed"], "median")
    means |= dict.fromkeys(["gamed", "games"], "mean") | {"onset": "median", "onset_share": "mean"}
    means["regime"] = lambda regimes: regimes.mode().iat[0]
    return marked.groupby(keys, sort=False).agg(means).reset_index()


def thresholds(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the generalisation from which gaming reaches a context and stays, by similarity.

    In each seed, the logit of the gaming rate is interpolated between levels of
    generalisation.

    Returns:
        A row for each case, similarity and context where gaming does not pay: `generalisation`, the
        median over seeds (inf: not reached, or not up to full generalisation; 0: without any), its
        range `low` and `high`, and `reached`, the share of seeds that have a threshold.
    """
    names = ["rule", "steps", "faster", "similarity", "context"]
    level = float(_logit(GAMED))
    rows = []
    for keys, group in runs[runs["role"] != "paying"].groupby(names, sort=False):
        levels = np.array(
            [
                last_upcrossing(seed["generalisation"], _logit(seed["gaming_rate"]), level)
                for _, seed in group.sort_values("generalisation").groupby("seed")
            ]
        ).clip(min=0.0)
        reached = float(np.isfinite(levels).mean())
        rows.append((*keys, median_with_inf(levels), levels.min(), levels.max(), reached))
    return pd.DataFrame(rows, columns=[*names, "generalisation", "low", "high", "reached"])


def summarise_cases(
    points: pd.DataFrame, edges: pd.DataFrame, *, roles: ContextRoles
) -> pd.DataFrame:
    """Return ends at full generalisation and similarity, and thresholds, by case and context.

    Columns with `paying` are of the contested context; the verdict is reached, passing (gaming is
    at 0.5 or more at some point, and does not stay), or not reached.
    """
    names = ["rule", "steps", "faster"]
    rows = []
    for case, group in points.groupby(names, sort=False):
        similar = group[group["similarity"] == group["similarity"].max()].set_index("context")
        full = similar[similar["generalisation"] == similar["generalisation"].max()]
        without = similar[similar["generalisation"] == similar["generalisation"].min()]
        paying = full.loc[roles.contested]
        log_odds = float(paying["habit"] + paying["pull"])
        of_case = edges[edges[names].eq(list(case)).all(axis=1)].sort_values("similarity")
        for context in roles.not_paying:
            edge = of_case[of_case["context"] == context]
            reached = edge[np.isfinite(edge["generalisation"])]
            most = float(group.loc[group["context"] == context, "gaming_rate"].max())
            passing = "passing" if most >= GAMED else "not reached"
            row = {
                "context": context,
                "verdict": "reached" if len(reached) else passing,
                **full.loc[context, ["gaming_rate", "habit", "needed", "pull", "onset"]],
                "habit_without": without.loc[context, "habit"],
                "most_gaming": most,
                **dict(
                    zip(_THRESHOLDS, edge[["generalisation", "low", "high"]].iloc[-1], strict=True)
                ),
                "least_similarity": reached["similarity"].min(),
                "threshold_there": reached["generalisation"].iloc[0] if len(reached) else np.nan,
                "regime": full.loc[context, "regime"],
                "regime_without": without.loc[context, "regime"],
                "paying_gaming_rate": paying["gaming_rate"],
                "paying_habit": paying["habit"],
                "paying_decision": 0.5 * (1.0 + math.tanh(0.5 * log_odds)),
            }
            rows.append(dict(zip(names, case, strict=True)) | row)
    return pd.DataFrame(rows)


def tables(runs: pd.DataFrame, *, roles: ContextRoles, share: float) -> dict[str, pd.DataFrame]:
    """Return the tables of points, of thresholds, and of cases."""
    points, edges = summarise_points(runs), thresholds(runs)
    cases = summarise_cases(points, edges, roles=roles)
    return {"reach": points, "thresholds": edges, "spillover": cases}


def _logit(p: ArrayLike) -> Array:
    share = np.asarray(p, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(share) - np.log1p(-share))
