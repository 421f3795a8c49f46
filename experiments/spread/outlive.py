"""Does gaming outlive the value that it protected? For how long, and what keeps it up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from experiments.spread.crossings import finite
from experiments.spread.runs import at_the_end, sound_runs
from experiments.spread.study import AWARENESS_KEY, CREDIT_KEY, LEAK_KEY, RATE_KEY, RULE_KEY, Study
from sim.analysis.context_roles import ContextRoles
from sim.dynamics.measures import GAMED
from sim.dynamics.state import Array
from sim.sweeps.plan import Plan
from sim.sweeps.result import Sweep


def measure_outlive(study: Study, plan: Plan, sweep: Sweep) -> pd.DataFrame:
    """Return which values were lost, when, and for how long gaming went on after that.

    Returns:
        A row for each run: `rule`, `motive_credit`, `leak`, `ratio` (of the habit's learning rate
        to the values'), `awareness`, `seed`, `strength`, `gaming_rate`, `habit`, `incentive`,
        `pull` (τ I) at the end; `lost`, `reversed`; `fell`, the first record from which the value
        is lost to the end (nan if it is not), `gamed_then`, whether it gamed when it fell; `after`,
        for how many steps from then it gamed without a break, and `stopped`, whether that ended;
        `outlived`, whether it games at the end though the value is lost.
    """
    frame = sound_runs(sweep)
    cast = study.cast
    ends = at_the_end(study, plan, frame)
    steps, strength, rate = _curves(sweep, cast, frame["run"].to_numpy(), ends["start"].to_numpy())
    history = after_the_fall(steps, strength, rate, share=study.share)
    lost = ends["strength"] < study.share
    return pd.DataFrame(
        {
            "rule": frame[RULE_KEY],
            "motive_credit": frame[CREDIT_KEY],
            "leak": frame[LEAK_KEY],
            "ratio": frame[RATE_KEY.format("habit")] / study.specs.training.learning_rate.values,
            "awareness": frame[AWARENESS_KEY],
            "seed": frame["seed"],
            **{
                name: ends[name]
                for name in ("strength", "gaming_rate", "habit", "incentive", "pull")
            },
            "lost": lost,
            "reversed": ends["strength"] < 0.0,
            **history,
            "outlived": lost & (ends["gaming_rate"] >= GAMED),
        }
    )


def after_the_fall(
    steps: ArrayLike, strength: ArrayLike, gaming_rate: ArrayLike, *, share: float
) -> dict[str, NDArray[Any]]:
    """Return when values were lost for good, and for how long gaming went on.

    Args:
        steps: The recorded steps [S].
        strength: The value, in units of its start [n, S].
        gaming_rate: Where it is contested [n, S].
        share: Lost below this.

    Returns:
        `fell`, `gamed_then`, `after` and `stopped` [n]: see `measure_outlive`; `after` is nan
        where the value did not fall, and 0 where it was not gaming then.
    """
    t = np.asarray(steps, np.float64)
    lost = np.asarray(strength, np.float64) < share
    gamed = np.asarray(gaming_rate, np.float64) >= GAMED
    fallen = np.logical_and.accumulate(lost[:, ::-1], axis=1)[:, ::-1]  # lost from here to the end
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


def outlive_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Return `measure_outlive` by point, as shares of its seeds and medians of those that outlive.

    Returns:
        A row for each combination of the axes: `lost`, `outlived`, `reversed` (and gaming at the
        end), `by_habit` (and gaming at the end with an incentive of 0 or less): shares of seeds;
        `after`, the median of how long gaming went on.
    """
    keys = ["rule", "motive_credit", "leak", "ratio", "awareness"]
    outlived = runs["outlived"]
    marked = runs.assign(
        reversed=outlived & runs["reversed"],
        by_habit=outlived & (runs["incentive"] <= 0.0),
        after=runs["after"].where(runs["gamed_then"]),
    )
    how: dict[str, Any] = dict.fromkeys(["lost", "outlived", "reversed", "by_habit"], "mean")
    return marked.groupby(keys, sort=False).agg(how | {"after": "median"}).reset_index()


def survival(lasted: ArrayLike, ended: ArrayLike) -> tuple[Array, Array]:
    """Return how many last how long, where some were not seen to end (Kaplan and Meier, 1958).

    Args:
        lasted: How long each was seen to last [n].
        ended: Whether it ended then, or the record did [n].

    Returns:
        Times [m], 0 first, and the share that lasts beyond each [m].
    """
    t, end = np.asarray(lasted, np.float64), np.asarray(ended, np.bool_)
    times = np.unique(t[end])
    left = np.array([1.0 - (end & (t == at)).sum() / (t >= at).sum() for at in times])
    return np.concatenate([[0.0], times]), np.concatenate([[1.0], np.cumprod(left)])


def outlive_numbers(runs: pd.DataFrame, *, cast: ContextRoles, share: float) -> dict[str, Any]:
    """Return what the paragraph on gaming that outlives values is written from.

    Args:
        runs: From `measure_outlive`.
        cast: Which part each context plays.
        share: Below this share of its start, a value is lost.
    """
    cases = {}
    for rule, rows in runs.groupby("rule", sort=False):
        still = rows[rows["outlived"]]
        gamed = rows[rows["gamed_then"]]
        at, left = survival(gamed["after"], gamed["stopped"])
        held = still["incentive"] <= 0.0
        cases[rule] = {
            "runs": len(rows),
            "lost": int(rows["lost"].sum()),
            "gamed_then": len(gamed),
            "outlived": len(still),
            "reversed": int(still["reversed"].sum()),
            "by_habit": int(held.sum()),
            "habit_of_these": _median(still.loc[held, "habit"]),
            "pull_of_these": _median(still.loc[held, "pull"]),
            "strength_of_the_others": _median(still.loc[~held, "strength"]),
            "pull_of_the_others": _median(still.loc[~held, "pull"]),
            "longest": finite(gamed["after"].max()) if len(gamed) else None,
            "last_stop": float(at[-1]) if len(at) > 1 else None,
            "survives": float(left[-1]) if len(gamed) else None,
            "by": {
                axis: {
                    f"{level:g}": float(part["outlived"].mean())
                    for level, part in rows.groupby(axis)
                }
                for axis in ("motive_credit", "leak", "ratio", "awareness")
            },
        }
    return {"value": cast.protected, "context": cast.contested, "share": share, "cases": cases}


def _curves(
    sweep: Sweep, cast: ContextRoles, runs: NDArray[np.int_], start: Array
) -> tuple[Array, Array, Array]:
    """Return the recorded steps [S], the value's strength and the gaming rate [n, S]."""
    value = sweep.column("curves", f"values.{cast.protected}")
    rate = sweep.column("curves", f"gaming_rate.{cast.contested}")
    rows = sweep.query(f"select step, {value} as v, {rate} as g from curves order by run, step")
    steps = rows["step"].unique().astype(np.float64)
    shape = (len(runs), len(steps))
    strength = rows["v"].to_numpy(np.float64).reshape(shape) / start[:, None]
    return steps, strength, rows["g"].to_numpy(np.float64).reshape(shape)


def _median(numbers: pd.Series) -> float | None:
    return float(numbers.median()) if len(numbers) else None
