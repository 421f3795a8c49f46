"""What every part of the study of spread reads from its runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from experiments.spread.study import Study
from sim.analysis.regimes import judge
from sim.dynamics.program import Program
from sim.dynamics.state import Array
from sim.specs.errors import SpecError
from sim.sweeps.plan import Plan, compile_rows
from sim.sweeps.result import Sweep


def sound_runs(sweep: Sweep) -> pd.DataFrame:
    """Return the runs that did not fail.

    Raises:
        SpecError: All failed.
    """
    frame = sweep.frame
    sound = frame[frame["error"].isna()].reset_index(drop=True)
    if sound.empty:
        raise SpecError(f"every run failed, the first as {frame['error'].iat[0]}")
    return sound


def at_the_end(study: Study, plan: Plan, frame: pd.DataFrame) -> pd.DataFrame:
    """Return what a run ends with where the value is contested; `start` is where that began."""
    context, value = study.cast.contested, study.cast.protected
    programs = [compile_rows(part, np.arange(part.runs)) for part in plan.parts]
    row = programs[0].layout.names.index(f"values.{value}")
    start = per_run(frame, programs, lambda p: p.origin[row])
    rationality = per_run(frame, programs, lambda p: p.traits.rationality)
    least, most, onset = (
        frame[[f"{name}.{context}"]].to_numpy(np.float64)
        for name in ("gaming_rate_least", "gaming_rate_most", "onset")
    )
    return pd.DataFrame(
        {
            "start": start,
            "strength": frame[f"values.{value}"] / start,
            "gaming_rate": frame[f"gaming_rate.{context}"],
            "habit": frame[f"habit.{context}"],
            "incentive": frame[f"incentive.{context}"],
            "pull": rationality * frame[f"incentive.{context}"],
            "moving": ~judge(least, most, onset).settled,
        }
    )


def per_run(
    frame: pd.DataFrame, programs: list[Program], number: Callable[[Program], Array]
) -> Array:
    """Return a number of each run's one agent, for the runs of a frame."""
    numbers = [np.broadcast_to(number(program), program.agents) for program in programs]
    found: Array = np.concatenate(numbers)[frame["run"].to_numpy()]
    return found
