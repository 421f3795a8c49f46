"""The competition of learning rates, between the value and gaming that protects it: part `race`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from sim.analysis.context_roles import ContextRoles
from sim.dynamics.randomness import uniform_pair
from sim.dynamics.state import Array
from sim.sweeps.plan import Plan
from sim.sweeps.result import Sweep
from sim.utils.intervals import interval_verdict

from .measurements import end_states, last_upcrossing, median_with_inf, sound_runs
from .plans import AWARENESS_KEY, COMPETITORS, CREDIT_KEY, OUTCOMES, RATE_KEY, StudyDesign, outcomes

_RESAMPLED = 1000
_QUANTILES = (0.025, 0.975)


def measure(study: StudyDesign, plan: Plan, sweep: Sweep) -> pd.DataFrame:
    """Return the fate of the protected value, and of gaming where it is contested.

    Returns:
        A row for each run: `moved` (whose learning rate), `motive_credit`, `ratio` to the learning
        rate of the values, `awareness`, `seed`; at the end `strength` (in units of the start),
        `gaming_rate`, `habit`, whether the rate is `moving`, and the `outcome`.
    """
    frame = sound_runs(sweep)
    rate = np.select(
        [frame["part"] == number for number in range(len(COMPETITORS))],
        [frame[RATE_KEY.format(name)] for name in COMPETITORS],
    )
    ends = end_states(study, plan, frame)
    fates = outcomes(ends["strength"], ends["gaming_rate"], share=study.settings.share)
    return pd.DataFrame(
        {
            "moved": np.array(COMPETITORS)[frame["part"]],
            "motive_credit": frame[CREDIT_KEY],
            "ratio": rate / study.specs.training.learning_rate.values,
            "awareness": frame[AWARENESS_KEY],
            "seed": frame["seed"],
            **{name: ends[name] for name in ("strength", "gaming_rate", "habit", "moving")},
            "outcome": np.array(OUTCOMES)[fates],
        }
    )


def summarise_points(runs: pd.DataFrame) -> pd.DataFrame:
    """Return `measure` by point: medians over seeds; of `moving` and outcomes, shares of them."""
    names = ["moved", "motive_credit", "ratio", "awareness"]
    marked = runs.assign(**{outcome: runs["outcome"] == outcome for outcome in OUTCOMES})
    means: dict[str, Any] = dict.fromkeys(["strength", "gaming_rate", "habit"], "median")
    means |= dict.fromkeys(["moving", *OUTCOMES], "mean")
    return marked.groupby(names, sort=False).agg(means).reset_index()


def boundary(runs: pd.DataFrame, *, share: float) -> pd.DataFrame:
    """Return the awareness from which the value is kept (a strength of `share` or more).

    Returns:
        A row for each `moved`, `motive_credit`, `ratio` and `seed`: `awareness` at the boundary
        (-inf if the value is kept throughout, inf if it is lost at the highest awareness), and
        `returns`, whether it is also kept somewhere below.
    """
    names = ["moved", "motive_credit", "ratio", "seed"]
    rows = []
    for keys, row in runs.sort_values("awareness").groupby(names, sort=False):
        safe = row["strength"].to_numpy() >= share
        edge = last_upcrossing(row["awareness"], row["strength"], share)
        rows.append((*keys, edge, bool((safe[:-1] & ~safe[1:]).any())))
    edges = pd.DataFrame(rows, columns=[*names, "awareness", "returns"])
    return edges.sort_values(names, ignore_index=True)


def boundary_table(edges: pd.DataFrame) -> pd.DataFrame:
    """Return `boundary` over seeds: median `awareness`, its range, and the share that has one."""
    grouped = edges.groupby(["moved", "motive_credit", "ratio"], sort=False)["awareness"]
    return grouped.agg(
        awareness=lambda a: median_with_inf(a.to_numpy()),
        low="min",
        high="max",
        found=lambda a: float(np.isfinite(a).mean()),
    ).reset_index()


def boundary_slope(log_ratio: ArrayLike, edges: ArrayLike) -> dict[str, float] | None:
    """Return the shift of a boundary in logits of awareness per e-fold of the ratio.

    Least squares in each seed, by the logarithm of the ratio [rows], through the boundaries
    [rows, seeds] that are finite; the median over seeds, with the 95 % interval of resampled seeds.
    None if fewer than half of the seeds have a boundary in three rows.
    """
    x, y = np.asarray(log_ratio, np.float64), np.asarray(edges, np.float64)
    is_finite = np.isfinite(y)
    enough = is_finite.sum(axis=0) >= 3
    if not len(enough) or enough.mean() < 0.5:
        return None
    slopes = np.array(
        [_slope(x[is_finite[:, i]], y[is_finite[:, i], i]) for i in np.flatnonzero(enough)]
    )
    shares, _ = uniform_pair(
        seed=0,
        stream="spread.bootstrap",
        rows=np.arange(len(slopes))[None, :],
        draw=np.arange(_RESAMPLED)[:, None],
    )
    resampled = np.median(slopes[(shares * len(slopes)).astype(np.intp)], axis=1)
    low, high = map(float, np.quantile(resampled, _QUANTILES))
    return {"value": float(np.median(slopes)), "low": low, "high": high, "seeds": len(slopes)}


def slope_verdict(slope: dict[str, float] | None) -> str:
    """Return whether a faster parameter saves the value, by the interval of a slope."""
    if slope is None:
        return "too few boundaries"
    words = ("does not save it", "saves the value")
    return interval_verdict(slope["low"], slope["high"], words, between="undecided")


def summarise_cases(
    runs: pd.DataFrame, edges: pd.DataFrame, reversals: pd.DataFrame
) -> pd.DataFrame:
    """Return boundaries, their slopes and the shares of outcomes, by learning rate and credit.

    `edges` is `boundary` where the value is kept, `reversals` where it keeps its sign.
    """
    names = ["moved", "motive_credit"]
    rows = []
    for (credit, parameter), group in runs.groupby(names[::-1], sort=False):
        edge, reversal = (
            frame[(frame["moved"] == parameter) & (frame["motive_credit"] == credit)]
            for frame in (edges, reversals)
        )
        safe, same_sign = (
            frame.pivot(index="ratio", columns="seed", values="awareness").sort_index()
            for frame in (edge, reversal)
        )
        half, logs = len(safe) // 2, np.log(safe.index.to_numpy(np.float64))
        slopes = {
            "slope_lower": boundary_slope(logs[: half + 1], safe[: half + 1]),
            "slope_upper": boundary_slope(logs[half:], safe[half:]),
            "slope_reversed_upper": boundary_slope(logs[half:], same_sign[half:]),
        }
        medians = boundary_table(edge)["awareness"]
        row = {
            "moved": parameter,
            "motive_credit": credit,
            "ratio_low": safe.index[0],
            "ratio_high": safe.index[-1],
            "boundary_low": medians.iloc[0],
            "boundary_high": medians.iloc[-1],
            "found": float(np.isfinite(safe.to_numpy()).mean()),
            "returns": float(edge["returns"].mean()),
            "moving": float(group["moving"].mean()),
            **{outcome: float((group["outcome"] == outcome).mean()) for outcome in OUTCOMES},
            "verdict": slope_verdict(slopes["slope_upper"]),
        }
        for name, slope in slopes.items():
            numbers = slope or dict.fromkeys(("value", "low", "high", "seeds"), np.nan)
            row |= {f"{name}_{key}".removesuffix("_value"): x for key, x in numbers.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def tables(runs: pd.DataFrame, *, roles: ContextRoles, share: float) -> dict[str, pd.DataFrame]:
    """Return the tables of points, of the boundary, and of cases."""
    edges, reversals = boundary(runs, share=share), boundary(runs, share=0.0)
    return {
        "race": summarise_points(runs),
        "boundary": boundary_table(edges),
        "learning_rate_competition": summarise_cases(runs, edges, reversals),
    }


def _slope(x: Array, y: Array) -> float:
    """Return the least-squares slope of y [n] on x [n]."""
    centred = x - x.mean()
    return float(centred @ y / (centred @ centred))
