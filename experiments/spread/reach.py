"""Does gaming reach contexts where it protects nothing? By spread, similarity and update rule."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from experiments.spread.crossings import crossing, finite, middle
from experiments.spread.runs import per_run, sound_runs
from experiments.spread.study import CASES, RULE_KEY, SPREAD_KEY, STEPS_KEY, Study, similarity_key
from sim.analysis.context_roles import ContextRoles
from sim.analysis.regimes import STATES, classify, sweep_regimes
from sim.dynamics.measures import GAMED
from sim.dynamics.state import Array
from sim.sweeps.plan import Plan, compile_rows
from sim.sweeps.result import Sweep


def measure_reach(study: Study, plan: Plan, sweep: Sweep) -> pd.DataFrame:
    """Return, for every run and context, where gaming got to and what it would have needed.

    Returns:
        A row for each run and context: `rule`, `steps`, `faster` (how many times faster habit
        learns than configured), `spread`, `similarity`, `seed`, `context`, `role`, `gaming_rate`,
        `state`, `onset`, `habit`, `pull` (τ I), `needed` (the habit from which g >= 0.5; inf where
        awareness alone forbids it), and the run's `regime`.
    """
    frame = sound_runs(sweep)
    programs = [compile_rows(part, np.arange(part.runs)) for part in plan.parts]
    frame["rationality"] = per_run(frame, programs, lambda p: p.traits.rationality)
    regimes = sweep_regimes(sweep).set_index("run")["regime"]
    similar = similarity_key(study.cast.paying[0], study.cast.not_paying[0])
    found = []
    for context in study.specs.scenario.contexts:
        rate, aware = frame[f"gaming_rate.{context}"], frame[f"awareness.{context}"]
        ends = [
            frame[[f"{name}.{context}"]].to_numpy(np.float64)
            for name in ("gaming_rate_least", "gaming_rate_most", "onset")
        ]
        pull = frame["rationality"] * frame[f"incentive.{context}"]
        found.append(
            pd.DataFrame(
                {
                    "rule": frame[RULE_KEY],
                    "steps": frame[STEPS_KEY],
                    "faster": np.array([case[1] for case in CASES])[frame["part"] % len(CASES)],
                    "spread": frame[SPREAD_KEY],
                    "similarity": frame[similar],
                    "seed": frame["seed"],
                    "context": context,
                    "role": study.cast.role(context),
                    "gaming_rate": rate,
                    "state": np.array(STATES)[classify(*ends).state[:, 0]],
                    "onset": frame[f"onset.{context}"],
                    "habit": frame[f"habit.{context}"],
                    "pull": pull,
                    "needed": _logit(np.minimum(GAMED / aware, 1.0)) - pull,
                    "regime": frame["run"].map(regimes).astype(str),
                }
            )
        )
    return pd.concat(found, ignore_index=True)


def reach_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Return `measure_reach` by point: medians over seeds, and shares of them.

    Returns:
        A row for each `rule`, `steps`, `faster`, `similarity`, `spread` and `context`:
        `gaming_rate`, `habit`, `pull`, `needed` (medians), `gamed` (share of seeds with g >= 0.5),
        `games` (share of seeds in the state of that name), `onset` (median where it set in),
        `onset_share`, and `regime`, the most frequent of the runs.
    """
    keys = ["rule", "steps", "faster", "similarity", "spread", "context", "role"]
    marked = runs.assign(
        gamed=runs["gaming_rate"] >= GAMED,
        games=runs["state"] == "games",
        onset_share=runs["onset"].notna(),
    )
    how: dict[str, Any] = dict.fromkeys(["gaming_rate", "habit", "pull", "needed"], "median")
    how |= dict.fromkeys(["gamed", "games"], "mean") | {"onset": "median", "onset_share": "mean"}
    how["regime"] = lambda regimes: regimes.mode().iat[0]
    return marked.groupby(keys, sort=False).agg(how).reset_index()


def thresholds(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the spread from which gaming reaches a context and stays, by similarity.

    In each seed, the logit of the gaming rate is interpolated between levels of spread.

    Returns:
        A row for each `rule`, `steps`, `faster`, `similarity` and `context` where gaming does not
        pay: `spread`, the median threshold over seeds (inf if gaming does not get there, or not
        up to full spread; 0 if it is there without spread), `low`, `high` (its range over seeds),
        and `reached`, the share of seeds that have one.
    """
    others = runs[runs["role"] != "paying"]
    found = []
    names = ["rule", "steps", "faster", "similarity", "context"]
    for keys, rows in others.groupby(names, sort=False):
        each = np.array(
            [
                crossing(seed["spread"], _logit(seed["gaming_rate"]), float(_logit(GAMED)))
                for _, seed in rows.sort_values("spread").groupby("seed")
            ]
        ).clip(min=0.0)
        found.append((*keys, middle(each), each.min(), each.max(), float(np.isfinite(each).mean())))
    return pd.DataFrame(found, columns=[*names, "spread", "low", "high", "reached"])


def reach_numbers(
    table: pd.DataFrame, edges: pd.DataFrame, *, cast: ContextRoles
) -> dict[str, Any]:
    """Return what the paragraph on reach is written from.

    Args:
        table: From `reach_table`.
        edges: From `thresholds`.
        cast: Which part each context plays.
    """
    found = []
    for (rule, steps, faster), rows in table.groupby(["rule", "steps", "faster"], sort=False):
        similar = rows[rows["similarity"] == rows["similarity"].max()].set_index("context")
        most = similar[similar["spread"] == similar["spread"].max()]
        none = similar[similar["spread"] == similar["spread"].min()]
        paid = most.loc[cast.contested]
        contexts = {}
        for name in cast.not_paying:
            edge = edges[
                (edges["rule"] == rule)
                & (edges["steps"] == steps)
                & (edges["faster"] == faster)
                & (edges["context"] == name)
            ].sort_values("similarity")
            got = edge[np.isfinite(edge["spread"])]
            contexts[name] = {
                "most_gaming": float(rows.loc[rows["context"] == name, "gaming_rate"].max()),
                "gaming_rate": float(most.loc[name, "gaming_rate"]),
                "habit_without": float(none.loc[name, "habit"]),
                "habit": float(most.loc[name, "habit"]),
                "needed": finite(most.loc[name, "needed"]),
                "pull": float(most.loc[name, "pull"]),
                "onset": finite(most.loc[name, "onset"]),
                "threshold": finite(edge["spread"].iloc[-1]),
                "threshold_low": finite(edge["low"].iloc[-1]),
                "threshold_high": finite(edge["high"].iloc[-1]),
                "least_similarity": float(got["similarity"].min()) if len(got) else None,
                "threshold_there": float(got["spread"].iloc[0]) if len(got) else None,
            }
        found.append(
            {
                "rule": rule,
                "steps": int(steps),
                "faster": float(faster),
                "regime_without": str(none["regime"].iat[0]),
                "regime": str(most["regime"].iat[0]),
                "paying": {
                    "context": cast.contested,
                    "gaming_rate": float(paid["gaming_rate"]),
                    "habit": float(paid["habit"]),
                    "decision": _logistic(float(paid["habit"] + paid["pull"])),
                },
                "contexts": contexts,
            }
        )
    return {"paying": list(cast.paying), "others": list(cast.not_paying), "cases": found}


def _logit(p: ArrayLike) -> Array:
    share = np.asarray(p, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Array = np.log(share) - np.log1p(-share)
    return found


def _logistic(x: float) -> float:
    return 0.5 * (1.0 + math.tanh(0.5 * x))
