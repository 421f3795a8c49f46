"""Is the value that is trained against overwritten before gaming sets in? By learning rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from experiments.spread.crossings import crossing, finite, middle
from experiments.spread.runs import at_the_end, sound_runs
from experiments.spread.study import (
    AWARENESS_KEY,
    CREDIT_KEY,
    MOVED,
    OUTCOMES,
    RATE_KEY,
    Study,
    outcomes,
)
from sim.analysis.context_roles import ContextRoles
from sim.dynamics.randomness import uniform_pair
from sim.dynamics.state import Array
from sim.sweeps.plan import Plan
from sim.sweeps.result import Sweep

_RESAMPLED = 1000
_LEAST, _GREATEST = 0.025, 0.975


def measure_race(study: Study, plan: Plan, sweep: Sweep) -> pd.DataFrame:
    """Return what became of the protected value, and of gaming where it is contested.

    Returns:
        A row for each run: `moved` (whose learning rate), `motive_credit`, `ratio` to the learning
        rate of the values, `awareness`, `seed`, `strength` (at the end, in units of the start),
        `gaming_rate`, `habit`, `moving` (whether the rate still moves at the end) and `outcome`.
    """
    frame = sound_runs(sweep)
    rate = np.select(
        [frame["part"] == number for number in range(len(MOVED))],
        [frame[RATE_KEY.format(moved)] for moved in MOVED],
    )
    ends = at_the_end(study, plan, frame)
    return pd.DataFrame(
        {
            "moved": np.array(MOVED)[frame["part"]],
            "motive_credit": frame[CREDIT_KEY],
            "ratio": rate / study.specs.training.learning_rate.values,
            "awareness": frame[AWARENESS_KEY],
            "seed": frame["seed"],
            **{name: ends[name] for name in ("strength", "gaming_rate", "habit", "moving")},
            "outcome": np.array(OUTCOMES)[
                outcomes(ends["strength"], ends["gaming_rate"], share=study.share)
            ],
        }
    )


def race_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Return `measure_race` by point: medians over seeds, and shares of them.

    Returns:
        A row for each `moved`, `motive_credit`, `ratio` and `awareness`: `strength`, `gaming_rate`,
        `habit` (medians), and as shares of seeds `moving` and each of the outcomes.
    """
    names = ["moved", "motive_credit", "ratio", "awareness"]
    marked = runs.assign(**{o: runs["outcome"] == o for o in OUTCOMES})
    how: dict[str, Any] = dict.fromkeys(["strength", "gaming_rate", "habit"], "median")
    how |= dict.fromkeys(["moving", *OUTCOMES], "mean")
    return marked.groupby(names, sort=False).agg(how).reset_index()


def boundary(runs: pd.DataFrame, *, share: float) -> pd.DataFrame:
    """Return the awareness from which on the value is kept, along each row of the race.

    Args:
        runs: From `measure_race`.
        share: From which strength on a value is kept.

    Returns:
        A row for each `moved`, `motive_credit`, `ratio` and `seed`: `awareness` at the boundary
        (-inf if the value is kept throughout, inf if it is lost at the end of the row), and
        `returns`, whether it is also kept somewhere below.
    """
    found = []
    names = ["moved", "motive_credit", "ratio", "seed"]
    for keys, row in runs.sort_values("awareness").groupby(names, sort=False):
        kept = row["strength"].to_numpy() >= share
        at = crossing(row["awareness"], row["strength"], share)
        found.append((*keys, at, bool((kept[:-1] & ~kept[1:]).any())))
    named = pd.DataFrame(found, columns=[*names, "awareness", "returns"])
    return named.sort_values(names, ignore_index=True)


def boundary_table(edges: pd.DataFrame) -> pd.DataFrame:
    """Return `boundary` over seeds.

    Returns:
        A row for each `moved`, `motive_credit` and `ratio`: the median `awareness`, `low` and
        `high` (its range), and `found`, the share of seeds whose row has a boundary.
    """
    grouped = edges.groupby(["moved", "motive_credit", "ratio"], sort=False)["awareness"]
    return grouped.agg(
        awareness=lambda a: middle(a.to_numpy()),
        low="min",
        high="max",
        found=lambda a: float(np.isfinite(a).mean()),
    ).reset_index()


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: The number.
        low: 2.5 % of what resampled seeds give is below ...
        high: ... and 2.5 % above.
        seeds: How many seeds it comes from.
    """

    value: float
    low: float
    high: float
    seeds: int


def boundary_slope(log_ratio: ArrayLike, boundary: ArrayLike) -> Estimate | None:
    """Return by how many logits of awareness a boundary moves per e-fold of the ratio.

    Least squares in each seed, through the rows in which it has a boundary; the median over seeds,
    with the interval of resampled seeds.

    Args:
        log_ratio: Natural logarithm of the learning rates' ratio [rows].
        boundary: The awareness at the boundary [rows, seeds]; infinite or nan where there is none.

    Returns:
        The slope; None if fewer than half of the seeds have a boundary in three rows.
    """
    x, y = np.asarray(log_ratio, np.float64), np.asarray(boundary, np.float64)
    known = np.isfinite(y)
    enough = known.sum(axis=0) >= 3
    if not len(enough) or enough.mean() < 0.5:
        return None
    slopes = np.array([_slope(x[known[:, i]], y[known[:, i], i]) for i in np.flatnonzero(enough)])
    drawn, _ = uniform_pair(
        seed=0,
        stream="spread.bootstrap",
        rows=np.arange(len(slopes))[None, :],
        draw=np.arange(_RESAMPLED)[:, None],
    )
    resampled = np.median(slopes[(drawn * len(slopes)).astype(np.intp)], axis=1)
    low, high = np.quantile(resampled, [_LEAST, _GREATEST])
    return Estimate(float(np.median(slopes)), float(low), float(high), len(slopes))


def race_numbers(
    runs: pd.DataFrame,
    edges: pd.DataFrame,
    reversals: pd.DataFrame,
    *,
    cast: ContextRoles,
    share: float,
) -> dict[str, Any]:
    """Return what the paragraph on the race is written from.

    Args:
        runs: From `measure_race`.
        edges: From `boundary`, at the share from which a value is kept.
        reversals: The same at 0.
        cast: Which part each context plays.
        share: That share.
    """
    cases = []
    for (credit, moved), here in runs.groupby(["motive_credit", "moved"], sort=False):
        edge, turning = (
            frame[(frame["moved"] == moved) & (frame["motive_credit"] == credit)]
            for frame in (edges, reversals)
        )
        wide, turned = _by_seed(edge), _by_seed(turning)
        half = len(wide) // 2
        logs = np.log(wide.index.to_numpy(np.float64))
        rows = boundary_table(edge)
        one = {
            "moved": str(moved),
            "motive_credit": float(credit),
            "ratio_low": float(wide.index[0]),
            "ratio_high": float(wide.index[-1]),
            "boundary_low": finite(rows["awareness"].iloc[0]),
            "boundary_high": finite(rows["awareness"].iloc[-1]),
            "found": float(np.isfinite(wide.to_numpy()).mean()),
            "slope_lower": _estimate(logs[: half + 1], wide.to_numpy()[: half + 1]),
            "slope_upper": _estimate(logs[half:], wide.to_numpy()[half:]),
            "slope_reversed_upper": _estimate(logs[half:], turned.to_numpy()[half:]),
            "outcomes": {o: float((here["outcome"] == o).mean()) for o in OUTCOMES},
            "returns": float(edge["returns"].mean()),
            "moving": float(here["moving"].mean()),
        }
        cases.append(one)
    return {
        "value": cast.protected,
        "context": cast.contested,
        "share": share,
        "decision_start": cast.decision,
        "awareness_low": float(runs["awareness"].min()),
        "awareness_high": float(runs["awareness"].max()),
        "cases": cases,
    }


def _by_seed(edges: pd.DataFrame) -> pd.DataFrame:
    """Return boundaries [ratio, seed], rows in increasing order of the ratio."""
    return edges.pivot(index="ratio", columns="seed", values="awareness").sort_index()


def _estimate(log_ratio: Any, edges: Any) -> dict[str, float] | None:
    found = boundary_slope(log_ratio, edges)
    return None if found is None else dict(vars(found))


def _slope(x: Array, y: Array) -> float:
    """Return the least-squares slope of y [n] on x [n]."""
    centred = x - x.mean()
    return float(centred @ y / (centred @ centred))
