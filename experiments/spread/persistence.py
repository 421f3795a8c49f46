"""The persistence of gaming after the loss of the value that it protected: part `outlive`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sim.analysis.context_roles import ContextRoles
from sim.dynamics.measures import GAMED
from sim.dynamics.state import Array
from sim.sweeps.plan import Plan
from sim.sweeps.result import Sweep

from .measurements import end_states, sound_runs
from .plans import AWARENESS_KEY, CREDIT_KEY, LEAK_KEY, RATE_KEY, RULE_KEY, StudyDesign

AXES = ("motive_credit", "leak", "ratio", "awareness")


def measure(study: StudyDesign, plan: Plan, sweep: Sweep) -> pd.DataFrame:
    """Return the losses of the value, and for how long gaming went on after them.

    Returns:
        A row for each run: the axes, `strength`, `gaming_rate`, `habit`, `incentive`, `pull` (τ I)
        at the end; `lost`, `reversed`; the columns of `follow_gaming`; `outlived`, whether it games
        at the end though the value is lost.
    """
    frame, share = sound_runs(sweep), study.settings.share
    ends = end_states(study, plan, frame)
    curves = _curves(sweep, study.roles, ends["start"].to_numpy())
    is_lost = ends["strength"] < share
    return pd.DataFrame(
        {
            "rule": frame[RULE_KEY],
            "motive_credit": frame[CREDIT_KEY],
            "leak": frame[LEAK_KEY],
            "ratio": frame[RATE_KEY.format("habit")] / study.specs.training.learning_rate.values,
            "awareness": frame[AWARENESS_KEY],
            "seed": frame["seed"],
            **ends[["strength", "gaming_rate", "habit", "incentive", "pull"]],
            "lost": is_lost,
            "reversed": ends["strength"] < 0.0,
            **follow_gaming(*curves, share=share),
            "outlived": is_lost & (ends["gaming_rate"] >= GAMED),
        }
    )


def follow_gaming(
    steps: ArrayLike, strength: ArrayLike, gaming_rate: ArrayLike, *, share: float
) -> dict[str, NDArray[Any]]:
    """Return when values were lost for good, below `share`, and how long gaming went on [n].

    Steps are those of the records [S]; strength is in units of the start [n, S].

    Returns:
        `fell`, the first record from which the value is lost to the end (nan if it is not);
        `gamed_then`, whether it gamed when it fell; `after`, for how many steps from then it gamed
        without a break (nan where the value did not fall, 0 where it was not gaming then), and
        `stopped`, whether that ended.
    """
    t = np.asarray(steps, np.float64)
    is_lost = np.asarray(strength, np.float64) < share
    gamed = np.asarray(gaming_rate, np.float64) >= GAMED
    fallen = np.logical_and.accumulate(is_lost[:, ::-1], axis=1)[
        :, ::-1
    ]  # lost from here to the end
    falls = fallen.any(axis=1)
    first = fallen.argmax(axis=1)
    breaks = ~gamed & (np.arange(len(t)) >= first[:, None])
    stopped = breaks.any(axis=1) & falls
    last = np.where(stopped, breaks.argmax(axis=1), len(t) - 1)
    return {
        "fell": np.where(falls, t[first], np.nan),
        "gamed_then": falls & gamed[np.arange(len(gamed)), first],
        "after": np.where(falls, t[last] - t[first], np.nan),
        "stopped": stopped,
    }


def summarise_points(runs: pd.DataFrame) -> pd.DataFrame:
    """Return `measure` by point of the axes.

    Returns:
        Shares of seeds: `lost`, `outlived`, `reversed` (and gaming at the end), `by_habit` (and
        gaming with an incentive of 0 or less); `after`, the median of how long gaming went on.
    """
    outlived = runs["outlived"]
    marked = runs.assign(
        reversed=outlived & runs["reversed"],
        by_habit=outlived & (runs["incentive"] <= 0.0),
        after=runs["after"].where(runs["gamed_then"]),
    )
    means: dict[str, Any] = dict.fromkeys(["lost", "outlived", "reversed", "by_habit"], "mean")
    return (
        marked.groupby(["rule", *AXES], sort=False).agg(means | {"after": "median"}).reset_index()
    )


def survival(durations: ArrayLike, ended: ArrayLike) -> tuple[Array, Array]:
    """Return times [m], 0 first, and the share that lasts beyond each (Kaplan and Meier, 1958).

    Durations [n] have `ended` [n], or are censored.
    """
    t, end = np.asarray(durations, np.float64), np.asarray(ended, np.bool_)
    times = np.unique(t[end])
    shares = np.array([1.0 - (end & (t == time)).sum() / (t >= time).sum() for time in times])
    return np.concatenate([[0.0], times]), np.concatenate([[1.0], np.cumprod(shares)])


def summarise_rules(runs: pd.DataFrame) -> pd.DataFrame:
    """Return counts of runs in which gaming outlives the value, and medians, by update rule.

    Columns `of_these` are of the runs that game without incentive (`by_habit`); `survives` is the
    share that games to the end of the record, of those that gamed when the value fell.
    """
    rows = []
    for rule, group in runs.groupby("rule", sort=False):
        outliving = group[group["outlived"]]
        gamed = group[group["gamed_then"]]
        times, shares = survival(gamed["after"], gamed["stopped"])
        is_habit = outliving["incentive"] <= 0.0
        habitual, motivated = outliving[is_habit], outliving[~is_habit]
        cause = "by habit" if len(habitual) > len(motivated) else "by incentive"
        rows.append(
            {
                "rule": rule,
                "runs": len(group),
                "lost": int(group["lost"].sum()),
                "gamed_then": len(gamed),
                "outlived": len(outliving),
                "reversed": int(outliving["reversed"].sum()),
                "by_habit": len(habitual),
                "habit_of_these": habitual["habit"].median(),
                "pull_of_these": habitual["pull"].median(),
                "strength_of_the_others": motivated["strength"].median(),
                "pull_of_the_others": motivated["pull"].median(),
                "longest": gamed["after"].max(),
                "last_stop": times[-1] if len(times) > 1 else np.nan,
                "survives": shares[-1] if len(gamed) else np.nan,
                "verdict": cause if len(outliving) else "never",
            }
        )
    return pd.DataFrame(rows)


def tables(runs: pd.DataFrame, *, roles: ContextRoles, share: float) -> dict[str, pd.DataFrame]:
    """Return the tables of points, of update rules, and of each level of each axis."""
    levels = [
        (rule, axis, level, float(outlived))
        for rule, group in runs.groupby("rule", sort=False)
        for axis in AXES
        for level, outlived in group.groupby(axis)["outlived"].mean().items()
    ]
    return {
        "outlive": summarise_points(runs),
        "persistence": summarise_rules(runs),
        "persistence_by_axis": pd.DataFrame(levels, columns=["rule", "axis", "level", "outlived"]),
    }


def _curves(sweep: Sweep, roles: ContextRoles, start: Array) -> tuple[Array, Array, Array]:
    """Return the recorded steps [S], the value's strength and the gaming rate [n, S]."""
    value = sweep.column("curves", f"values.{roles.protected}")
    rate = sweep.column("curves", f"gaming_rate.{roles.contested}")
    rows = sweep.query(f"select step, {value} as v, {rate} as g from curves order by run, step")
    steps = rows["step"].unique().astype(np.float64)
    shape = (len(start), len(steps))
    strength = rows["v"].to_numpy(np.float64).reshape(shape) / start[:, None]
    return steps, strength, rows["g"].to_numpy(np.float64).reshape(shape)
