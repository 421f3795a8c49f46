"""Published facts about guarding one's values as an end in itself, or as a means.

Both agents start alike (`facts_agents.guarding_as_an_end`) and are trained alike.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from experiments.calibration.facts_answer import Answer, Lines, of_draws
from experiments.calibration.facts_world import Asked, Course, trained
from sim.dynamics.state import Array
from sim.utils.progress import parts_of

Progress = Callable[[float], None] | None
#: Two courses keep the gap alike if they differ by less.
_ALIKE = 1e-3
#: Sarle's coefficient of a uniform distribution: above it, bimodal.
UNIFORM = 5.0 / 9.0
#: Seeds differ at all if their standard deviation is above this; two ends have this share each.
_DIFFER, _AN_END = 0.05, 0.1
#: How many of the drawn trainings are repeated over seeds.
_SAMPLED = 16


def terminal_keeps_the_gap(asked: Asked, progress: Progress = None) -> Answer:
    """Ask whether guarding as an end in itself keeps the gap better than guarding as a means."""
    told = parts_of(progress, (1, 1, 1, 1))
    means, end, means_exact, end_exact = (
        trained(asked, columns=columns, terminal=terminal, progress=tell)
        for (columns, terminal), tell in zip(
            product((asked.unknown, asked.exact), (False, True)), told, strict=True
        )
    )
    kept_by = [course.gap.mean(axis=0) for course in (means, end)]
    yes = kept_by[1] > kept_by[0] + _ALIKE
    by_exact = end_exact.gap.mean(axis=0) > means_exact.gap.mean(axis=0) + _ALIKE
    verdict, leaning = of_draws(asked.unknown, yes)
    medians = [float(np.median(kept)) for kept in kept_by]
    numbers = {
        "share": float(yes.mean()),
        "share_by_exact_gradient": float(by_exact.mean()),
        "share_alike": float((np.abs(kept_by[1] - kept_by[0]) <= _ALIKE).mean()),
        "mean_gap_terminal": medians[1],
        "mean_gap_instrumental": medians[0],
        "last_gap_terminal": float(np.median(end.gap[-1])),
        "last_gap_instrumental": float(np.median(means.gap[-1])),
        "gap_before": float(means.gap[0, 0]),
    }
    lines = Lines(
        "gap, median over trainings",
        "step",
        means.steps.tolist(),
        {
            "as an end": np.median(end.gap, axis=1).tolist(),
            "as a means": np.median(means.gap, axis=1).tolist(),
        },
    )
    return Answer(verdict, numbers | leaning, lines)


def terminal_is_bimodal(asked: Asked, progress: Progress = None) -> Answer:
    """Ask whether the gap has two modes across seeds, where guarding is an end in itself.

    It is looked at when seeds differ most, in each training.
    """
    few = {key: column[:_SAMPLED] for key, column in asked.unknown.items()}
    told = parts_of(progress, (1, 1))
    gaps = []
    for terminal, tell in zip((True, False), told, strict=True):
        course = trained(
            asked,
            columns=few,
            training={"estimator": "sampled"},
            terminal=terminal,
            seeds=asked.seeds,
            progress=tell,
        )
        gaps.append(_where_seeds_differ_most(course, asked.seeds))
    bimodal = [np.array([two_modes(row) for row in one]) for one in gaps]
    verdict, leaning = of_draws(few, bimodal[0])
    spread = [float(np.median(one.std(axis=1))) for one in gaps]
    numbers = {
        "share": float(bimodal[0].mean()),
        "share_instrumental": float(bimodal[1].mean()),
        "deviation_over_seeds": spread[0],
        "deviation_over_seeds_instrumental": spread[1],
        "largest_deviation_over_seeds": float(gaps[0].std(axis=1).max()),
        "sarle_median": float(np.median([sarle(row) for row in gaps[0]])),
        "threshold": UNIFORM,
    }
    widest = int(gaps[0].std(axis=1).argmax())
    at = (np.arange(asked.seeds) + 0.5) / asked.seeds
    lines = Lines(
        "gap when seeds differ most, in the widest training",
        "share of seeds with a gap below",
        at.tolist(),
        {
            "as an end": np.sort(gaps[0][widest]).tolist(),
            "as a means": np.sort(gaps[1][widest]).tolist(),
        },
    )
    return Answer(verdict, numbers | leaning, lines)


def sarle(numbers: Array) -> float:
    """Return Sarle's coefficient of bimodality of a sample: 5/9 if uniform, above if bimodal.

    (g² + 1) / (k + 3 (n − 1)² / ((n − 2)(n − 3))), with the sample's skewness g and excess
    kurtosis k, both corrected for its size (Pfister et al. 2013). 0 if all numbers are the same.
    """
    n = len(numbers)
    z = numbers - numbers.mean()
    m2, m3, m4 = (float((z**power).mean()) for power in (2, 3, 4))
    if m2 <= 1e-18:
        return 0.0
    skewness = m3 / m2**1.5 * np.sqrt(n * (n - 1)) / (n - 2)
    excess = ((n + 1) * (m4 / m2**2 - 3.0) + 6.0) * (n - 1) / ((n - 2) * (n - 3))
    return float((skewness**2 + 1.0) / (excess + 3.0 * (n - 1) ** 2 / ((n - 2) * (n - 3))))


def two_modes(numbers: Array) -> bool:
    """Say whether numbers have two modes: by Sarle, and with some at both ends of a real range.

    Skewed numbers with one mode pass Sarle's coefficient too; they do not pass the ends.
    """
    if sarle(numbers) <= UNIFORM or numbers.std() <= _DIFFER:
        return False
    third = (numbers.max() - numbers.min()) / 3.0
    low = (numbers < numbers.min() + third).mean()
    high = (numbers > numbers.max() - third).mean()
    between = 1.0 - low - high
    return bool(min(low, high) >= _AN_END and between < min(low, high))


def _where_seeds_differ_most(course: Course, seeds: int) -> Array:
    """Return the gap over seeds [training, seed], at the record where it varies most."""
    gap = course.gap.reshape(len(course.steps), -1, seeds)
    record = gap.std(axis=2).argmax(axis=0)
    return np.array([gap[r, i] for i, r in enumerate(record)])
