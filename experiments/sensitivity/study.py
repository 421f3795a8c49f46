"""The study of sensitivity: its settings, its runs, and the tables of indices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from sim.analysis.sensitivity import (
    MAIN,
    Indices,
    Method,
    Sample,
    analyse,
    convergence,
    morris_sample,
    sobol_sample,
)
from sim.analysis.worst_case import PostTraining
from sim.cli.fields import Count, Engine, OneOrMore, Seed, Spec, Store
from sim.cli.outputs import none_if_not_finite, records
from sim.specs.errors import SpecError
from sim.specs.overrides import Specs
from sim.sweeps.executors import Executor
from sim.sweeps.plan import Plan
from sim.sweeps.sweep import run_plan
from sim.utils.format import safe_name
from sim.utils.progress import parts_of

from .compare import Comparison, compare
from .outcomes import LOCAL, WORST, outcomes_of, plan_of, read_assumptions

#: The columns that the terminal shows.
SHOWN = {
    "comparison": ("method", "input", "left", "left_rank", "right", "right_rank"),
    "verdicts": ("method", "runs", "resumed", "failed", "rank_correlation", "shared", "verdict"),
}
#: Rank correlations from which two lists are alike, and below which they are unlike.
ALIKE, UNLIKE = 0.8, 0.5


class Settings(Spec):
    """The study's own keys; their meaning and defaults are in config.yaml."""

    method: Annotated[OneOrMore[Literal["morris", "sobol"]], Field(min_length=1)]
    points: Count
    trajectories: Count
    levels: Count
    second_order: Annotated[bool, Field(strict=True)]
    assumptions: dict[str, Any]
    seed: Seed
    engine: Engine
    store: Store


@dataclass(frozen=True)
class Results:
    """Indices of one method.

    Attributes:
        indices: Of every outcome.
        convergence: `sim.analysis.sensitivity.convergence`.
        comparison: What training-gaming and the worst case hang on.
        outcomes: By name, their mean, standard deviation and extremes over the runs.
        runs: Number of runs.
        resumed: Runs that were in the store.
        failed: Runs that failed.
    """

    indices: Indices
    convergence: pd.DataFrame
    comparison: Comparison
    outcomes: pd.DataFrame
    runs: int
    resumed: int
    failed: int


def check(specs: Specs, settings: Settings) -> dict[Method, tuple[Sample, Plan]]:
    """Check every run, and make none; returns the sample and the plan of each method.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    assumptions = read_assumptions(settings.assumptions, specs)
    plans = {}
    for method in dict.fromkeys(settings.method):
        sample = draw_sample(method, tuple(assumptions), settings)
        plans[method] = (
            sample,
            plan_of(sample, assumptions, specs, seed=settings.seed, engine=settings.engine),
        )
    return plans


def draw_sample(method: Method, names: tuple[str, ...], settings: Settings) -> Sample:
    """Return the sample of a method.

    Raises:
        SpecError: There is none with these numbers.
    """
    if method == "morris":
        return morris_sample(
            names,
            trajectories=settings.trajectories,
            levels=settings.levels,
            seed=settings.seed,
        )
    return sobol_sample(
        names, points=settings.points, second_order=settings.second_order, seed=settings.seed
    )


def run(
    specs: Specs,
    settings: Settings,
    post_training: PostTraining,
    executor: Executor,
    *,
    progress: Callable[[float], None] | None = None,
) -> dict[Method, Results]:
    """Make the runs of each method that are not in the store, and compute its indices.

    Raises:
        SpecError: As for `check`; all runs failed.
    """
    plans = check(specs, settings)
    parts = iter(parts_of(progress, [10.0, 3.0, 2.0] * len(plans)))
    results = {}
    for method, (sample, plan) in plans.items():
        store = None
        if settings.store is not None:
            store = f"{settings.store}/{safe_name(specs.scenario.name)}-{sample.method}-{plan.id}"
        sweep = run_plan(plan, store=store, executor=executor, progress=next(parts))
        frame = sweep.frame
        if frame["error"].notna().all():
            raise SpecError(f"every run failed, the first as {frame['error'].iat[0]}")
        outcomes = outcomes_of(frame, specs, post_training)
        indices = analyse(sample, outcomes, seed=settings.seed, progress=next(parts))
        results[method] = Results(
            indices=indices,
            convergence=convergence(
                sample, outcomes, indices, seed=settings.seed, progress=next(parts)
            ),
            comparison=compare(indices, LOCAL, WORST),
            outcomes=describe_outcomes(outcomes, indices),
            runs=len(frame),
            resumed=sweep.resumed,
            failed=sweep.failed,
        )
    return results


def tables(results: Mapping[Method, Results]) -> dict[str, pd.DataFrame]:
    """Return indices, their convergence, the comparison, outcomes and verdicts, by method."""
    frames = {
        "indices": {method: each.indices.frame for method, each in results.items()},
        "convergence": {method: each.convergence for method, each in results.items()},
        "comparison": {method: each.comparison.frame for method, each in results.items()},
        "outcomes": {method: each.outcomes for method, each in results.items()},
        "verdicts": {method: verdict_row(each) for method, each in results.items()},
    }
    return {
        name: pd.concat(
            [frame.assign(method=method) for method, frame in by_method.items()],
            ignore_index=True,
        )
        for name, by_method in frames.items()
    }


def verdict_row(results: Results) -> pd.DataFrame:
    """Return how the two lists of assumptions compare, in one row."""
    comparison, frame = results.comparison, results.indices.frame
    main = frame[frame["index"] == MAIN[results.indices.sample.method]]
    row = {
        "runs": results.runs,
        "resumed": results.resumed,
        "failed": results.failed,
        "rank_correlation": comparison.rank_correlation,
        "rank_low": comparison.rank_low,
        "rank_high": comparison.rank_high,
        "shared": len(comparison.shared),
        "shared_low": comparison.shared_low,
        "shared_high": comparison.shared_high,
        "intervals": len(main),
        "wide_intervals": int(main["wide"].astype(bool).sum()),
        "left_out": max(results.indices.left_out.values(), default=0),
        "verdict": verdict(comparison),
    }
    return pd.DataFrame([row])


def verdict(comparison: Comparison) -> str:
    """Return `alike`, `unlike` or `partly alike`, by the interval of the rank correlation."""
    middle = comparison.rank_correlation
    if not comparison.sound or np.isnan(middle):
        return "undefined"
    low, high = comparison.rank_low, comparison.rank_high
    if (middle if np.isnan(low) else low) >= ALIKE:
        return "alike"
    return "unlike" if (middle if np.isnan(high) else high) < UNLIKE else "partly alike"


def describe_outcomes(outcomes: Mapping[str, Any], indices: Indices) -> pd.DataFrame:
    """Return mean, standard deviation and extremes of each outcome over the runs."""
    rows = []
    for name, values in outcomes.items():
        finite = values[np.isfinite(values)]
        some = len(finite) > 0
        rows.append(
            {
                "outcome": name,
                "state": indices.states[name],
                "mean": float(np.mean(finite)) if some else np.nan,
                "sd": float(np.std(finite)) if some else np.nan,
                "least": float(np.min(finite)) if some else np.nan,
                "most": float(np.max(finite)) if some else np.nan,
                "left_out": indices.left_out[name],
            }
        )
    return pd.DataFrame(rows)


def summary(results: Mapping[Method, Results], specs: Specs, settings: Settings) -> dict[str, Any]:
    """Return the assumptions and the comparison by method, ready for JSON."""
    assumptions = read_assumptions(settings.assumptions, specs)
    return {
        "scenario": specs.scenario.name,
        "assumptions": {key: vars(ends) for key, ends in assumptions.items()},
        **{method: summarise(each) for method, each in results.items()},
    }


def summarise(results: Results) -> dict[str, Any]:
    """Return the comparison of one method, ready for JSON."""
    comparison = results.comparison
    return {
        "runs": results.runs,
        "resumed": results.resumed,
        "failed": results.failed,
        "verdict": verdict(comparison),
        "states": dict(results.indices.states),
        "left_out": dict(results.indices.left_out),
        "local": list(comparison.left),
        "worst_case": list(comparison.right),
        "shared": list(comparison.shared),
        "shared_interval": [
            none_if_not_finite(comparison.shared_low),
            none_if_not_finite(comparison.shared_high),
        ],
        "rank_correlation": none_if_not_finite(comparison.rank_correlation),
        "rank_correlation_interval": [
            none_if_not_finite(comparison.rank_low),
            none_if_not_finite(comparison.rank_high),
        ],
        "importance": records(comparison.frame),
    }
