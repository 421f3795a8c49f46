"""Measurements that the parts of the study of spread share: of curves, and of runs at their end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from sim.analysis.regimes import classify as classify_regime
from sim.dynamics.program import Program
from sim.dynamics.state import Array
from sim.specs.errors import SpecError
from sim.sweeps.plan import Plan, compile_rows
from sim.sweeps.result import Sweep

from .plans import StudyDesign


def last_upcrossing(x: ArrayLike, y: ArrayLike, level: float) -> float:
    """Return the place from which a curve y(x) [n] stays at a level or above, to its end.

    It is linear between points; -inf if the whole curve is that high, inf if its end is not.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    below = np.flatnonzero(~(y >= level))
    if len(below) == 0:
        return -np.inf
    last = int(below[-1])
    if last == len(x) - 1:
        return np.inf
    part = (level - y[last]) / (y[last + 1] - y[last])
    return float(x[last] + part * (x[last + 1] - x[last]))


def median_with_inf(numbers: Array) -> float:
    """Return the median of numbers that may be infinite (between -inf and inf, the upper)."""
    ordered = np.sort(numbers)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return float(0.5 * (low + high)) if np.isfinite([low, high]).all() else float(high)


def sound_runs(sweep: Sweep) -> pd.DataFrame:
    """Return the summaries of the runs that did not fail.

    Raises:
        SpecError: All failed.
    """
    frame = sweep.frame
    sound = frame[frame["error"].isna()].reset_index(drop=True)
    if sound.empty:
        raise SpecError(f"every run failed, the first as {frame['error'].iat[0]}")
    return sound


def end_states(study: StudyDesign, plan: Plan, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the ends of runs where the value is contested, and its strength at the `start`."""
    context, value = study.roles.contested, study.roles.protected
    start = per_run(
        plan, frame, lambda program: program.origin[program.layout.names.index(f"values.{value}")]
    )
    rationality = per_run(plan, frame, lambda program: program.traits.rationality)
    return pd.DataFrame(
        {
            "start": start,
            "strength": frame[f"values.{value}"] / start,
            "gaming_rate": frame[f"gaming_rate.{context}"],
            **{name: frame[f"{name}.{context}"] for name in ("habit", "incentive")},
            "pull": rationality * frame[f"incentive.{context}"],
            "moving": ~classify(frame, context).settled,
        }
    )


def classify(frame: pd.DataFrame, context: str) -> Any:
    """Return the regimes of runs by one context only (`sim.analysis.regimes`)."""
    names = ("gaming_rate_least", "gaming_rate_most", "onset")
    return classify_regime(*(frame[[f"{name}.{context}"]].to_numpy(np.float64) for name in names))


def per_run(plan: Plan, frame: pd.DataFrame, number: Callable[[Program], Array]) -> Array:
    """Return a number of each run's one agent, for the runs of a frame [n]."""
    programs = [compile_rows(part, np.arange(part.runs)) for part in plan.parts]
    numbers = [np.broadcast_to(number(program), program.agents) for program in programs]
    return np.asarray(np.concatenate(numbers)[frame["run"].to_numpy()], np.float64)
