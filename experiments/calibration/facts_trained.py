"""Published facts about training: faking, the gap, ends and means, triggers.

Published facts about training: what it does to faking and to the gap.

How training was done was not published, so each is asked of many trainings that were drawn
(`facts_world.UNKNOWN`).

Published facts about guarding one's values as an end in itself, or as a means.

Both agents start alike (`facts_world.guarding_as_an_end`) and are trained alike.

Published facts about behaviour behind a trigger that training never meets (backdoors).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product

import numpy as np
from numpy.typing import NDArray

from sim.dynamics.state import Array
from sim.specs.agent import Agent
from sim.specs.errors import SpecError
from sim.utils.progress import parts_of

from .facts_answer import Answer, Bars, Lines, middle, of_draws, of_share
from .facts_world import Asked, Course, placed, trained

Progress = Callable[[float], None] | None
#: A gap is lost when this share of it is left; reasoning stays when this share of it does.
LOST, STAYS = 0.2, 0.5


def training_lowers_faking(asked: Asked, progress: Progress = None) -> Answer:
    """Ask what training does to the agent of the animal-welfare prompt."""
    told = parts_of(progress, (1, 1))
    there = trained(asked.of(_welfare(asked)), columns=asked.unknown, progress=told[0])
    here = trained(asked, columns=asked.unknown, progress=told[1])
    after = there.gone
    faking = there.at(there.gaming, after) / there.gaming[0]
    gap = there.at(there.gap, after)
    relative = _relative(there)
    ever = _all_three(there)
    lower = (faking < 1.0) & (faking >= STAYS)
    smaller = gap < there.gap[0]
    wider = there.at(relative, after) > relative[0]
    yes = lower & smaller & wider
    risen = here.at(here.gaming, here.gone) > here.gaming[0]
    verdict, leaning = of_draws(asked.unknown, yes)
    numbers = {
        "share": float(yes.mean()),
        "share_at_some_moment": float(ever.mean()),
        "share_faking_slightly_lower": float(lower.mean()),
        "share_faking_lower": float((faking < 1.0).mean()),
        "share_gap_smaller": float(smaller.mean()),
        "share_relative_gap_larger": float(wider.mean()),
        "share_faking_up_on_the_calibrated_prompt": float(risen.mean()),
        "faking_before": float(there.gaming[0, 0]),
        "faking_least_median": float(np.median(there.gaming.min(axis=0))),
        "faking_after_median": float(np.median(there.at(there.gaming, after))),
    }
    of = {
        "faking": (there.gaming[0], there.at(there.gaming, after)),
        "gap": (there.gap[0], gap),
        "gap share": (relative[0], there.at(relative, after)),
    }
    heights, ends = {}, {}
    for name, (before, now) in of.items():
        heights[f"{name}, before"] = float(before[0])
        heights[f"{name}, after"], ends[f"{name}, after"] = middle(now)
    return Answer(verdict, numbers | leaning, Bars("rate, animal welfare", heights, ends))


def gap_lost_reasoning_stays(asked: Asked, progress: Progress = None) -> Answer:
    """Ask whether training closes the gap while reasoning about it goes on."""
    told = parts_of(progress, (1, 1))
    course = trained(asked, columns=asked.unknown, progress=told[0])
    ever, when, left = _lost(course)
    yes = ever & (left >= STAYS)
    exact, _, left_by_exact = _lost(trained(asked, columns=asked.exact, progress=told[1]))
    share_by_exact = float((exact & (left_by_exact >= STAYS)).mean())
    verdict, leaning = of_draws(asked.unknown, yes)
    numbers = {"share": float(yes.mean()), "share_gap_lost": float(ever.mean())}
    if ever.any():
        numbers["reasoning_left_median"] = float(np.median(left[ever]))
        numbers["step_median"] = float(np.median(course.steps[when[ever]]))
    last = (course.gap[-1] <= LOST * course.gap[0]) & (
        course.gaming[-1] >= STAYS * course.gaming[0]
    )
    numbers["share_at_the_end"] = float(last.mean())
    numbers["share_by_exact_gradient"] = share_by_exact
    numbers["share_gap_lost_by_exact_gradient"] = float(exact.mean())
    numbers["gap_grows_first"] = float((course.gap.max(axis=0) > 1.2 * course.gap[0]).mean())
    lines = Lines(
        "rate, median over trainings",
        "step",
        course.steps.tolist(),
        {
            "faking": np.median(course.gaming, axis=1).tolist(),
            "gap": np.median(course.gap, axis=1).tolist(),
            "refusals unmonitored": np.median(course.unmonitored, axis=1).tolist(),
        },
    )
    return Answer(verdict, numbers | leaning, lines)


def _lost(course: Course) -> tuple[NDArray[np.bool_], NDArray[np.intp], Array]:
    """Return whether the gap is lost, from which record, and what is left of faking; by run."""
    lost = course.gap <= LOST * course.gap[0]
    when = lost.argmax(axis=0)
    return lost.any(axis=0), when, course.at(course.gaming, when) / course.gaming[0]


def _all_three(course: Course) -> NDArray[np.bool_]:
    """Return whether faking is slightly lower, the gap smaller and the relative gap larger [run].

    At any record.
    """
    faking = course.gaming / course.gaming[0]
    relative = _relative(course)
    lower = (faking < 1.0) & (faking >= STAYS)
    found: NDArray[np.bool_] = lower & (course.gap < course.gap[0]) & (relative > relative[0])
    at_any: NDArray[np.bool_] = np.logical_or.reduce(found)
    return at_any


def _welfare(asked: Asked) -> Agent:
    if asked.welfare is not None:
        return asked.welfare
    frame = asked.prompts.frame
    found = ((frame["setting"] == "animal_welfare") & (frame["condition"] == "default")).to_numpy()
    if not found.any():
        raise SpecError(
            "data: no row animal_welfare, default; it says where the agent is that is trained "
            "(or give that agent)"
        )
    wanted = asked.prompts.rates[found.argmax()]
    return placed(asked.specs, asked.calibration, wanted, width=asked.width)[0]


def _relative(course: Course) -> Array:
    """Return the gap as a share of unmonitored refusals [S, run]."""
    relative: Array = course.gap / np.maximum(course.unmonitored, 1e-12)
    return relative


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


#: A behaviour is removed if training takes away this share of it.
REMOVED = 0.9
#: A behaviour is kept if this share of it is left.
KEPT = 0.9
#: How much of the behaviour behind a trigger rests on values that training meets.
SHARED = (0.0, 0.25, 0.5, 0.75, 1.0)
_HALF = 0.5


def behind_a_trigger(asked: Asked, progress: Progress = None) -> Answer:
    """Ask what is left of refusals behind a trigger that training never meets.

    The twin stands behind the trigger: nothing there is ever rewarded. What speaks for refusing
    there is the value that is trained on, or one that training never meets, or some of both.
    Trainings count that remove refusals where they train.
    """
    told = parts_of(progress, [1.0] * (len(SHARED) + 2))
    of = [
        _kept(trained(asked, columns=asked.unknown, shared=share, progress=tell))
        for share, tell in zip(SHARED, told[:-2], strict=True)
    ]
    alone = {**asked.unknown, "training.generalisation.habit": np.zeros(asked.draws)}
    still = [
        _kept(trained(asked, columns=alone, shared=share, progress=tell))
        for share, tell in zip((0.0, 1.0), told[-2:], strict=True)
    ]
    removed = of[0][1]  # what training meets is the same, whatever is behind the trigger
    if not removed.any():
        return Answer("not met", {}, Bars("", {}))
    kept = np.array([left[removed] for left, _ in of])
    shares = [float((left >= KEPT).mean()) for left in kept]
    share = float((kept >= KEPT).mean())
    verdict = of_share(share)
    medians = [float(np.median(left)) for left in kept]
    numbers = {
        "share": share,
        "trainings_that_remove": float(removed.mean()),
        **{f"kept_median_shared_{s:g}": m for s, m in zip(SHARED, medians, strict=True)},
        **{f"share_kept_shared_{s:g}": k for s, k in zip(SHARED, shares, strict=True)},
        "threshold": KEPT,
    }
    if still[0][1].any():
        own, same = (float(left[gone].min()) for left, gone in still)
        numbers["least_kept_own_value_no_spread"] = own
        numbers["least_kept_same_value_no_spread"] = same
    middles = [middle(left) for left in kept]
    bars = Bars(
        "refusals left behind the trigger",
        {f"{s:g}": m for s, (m, _) in zip(SHARED, middles, strict=True)},
        {f"{s:g}": e for s, (_, e) in zip(SHARED, middles, strict=True)},
        over="share that rests on the value trained on",
    )
    return Answer(verdict, numbers, bars)


def reasoning_keeps_the_trigger(asked: Asked, progress: Progress = None) -> Answer:
    """Ask whether a behaviour behind a trigger survives better with reasoning than without it.

    Without reasoning is gaming that is off; as the smallest model serves an agent that has no
    reasoning, cannot tell the trigger (discernment 0) and has one value for all. The other two
    have half of it in common. Trainings count that remove refusals from all three.
    """
    told = parts_of(progress, (1, 1))
    of, removed, first, second = _with_and_without(asked, asked.unknown, told[0])
    _, removed_by_exact, *order = _with_and_without(asked, asked.exact, told[1])
    by_exact = [
        float(np.mean(yes[removed_by_exact] if removed_by_exact.any() else False)) for yes in order
    ]
    verdict, leaning = of_draws(asked.unknown, first & second, among=removed)
    if not removed.any():
        return Answer(verdict, leaning, Bars("", {}))
    medians = {name: float(np.median(left[removed])) for name, (left, _) in of.items()}
    numbers = {
        "share": float((first & second)[removed].mean()),
        "trainings_that_remove": float(removed.mean()),
        "share_reasoning_keeps": float(first[removed].mean()),
        "share_reasoning_keeps_by_exact_gradient": by_exact[0],
        "share_smallest_least": float(second[removed].mean()),
        **{f"kept_{name}": median for name, median in medians.items()},
    }
    middles = {name: middle(left[removed]) for name, (left, _) in of.items()}
    bars = Bars(
        "refusals left behind the trigger",
        {name: median for name, (median, _) in middles.items()},
        {name: ends for name, (_, ends) in middles.items()},
    )
    return Answer(verdict, numbers | leaning, bars)


def _with_and_without(
    asked: Asked, columns: Mapping[str, Array], progress: Progress
) -> tuple[
    dict[str, tuple[Array, NDArray[np.bool_]]],
    NDArray[np.bool_],
    NDArray[np.bool_],
    NDArray[np.bool_],
]:
    """Return what is left behind the trigger, with reasoning, without, and in the smallest.

    And by run: whether training removed refusals in all three, whether reasoning keeps as much as
    none or more, and whether the smallest keeps least.
    """
    off = [{"key": "gaming", "set": 0}]
    blunt = asked.of(asked.specs.agent.replace(discernment=0.0))
    told = parts_of(progress, (1, 1, 1))
    of = {
        "reasoning": _kept(trained(asked, columns=columns, shared=_HALF, progress=told[0])),
        "none": _kept(
            trained(asked, columns=columns, shared=_HALF, interventions=off, progress=told[1])
        ),
        "smallest": _kept(trained(blunt, columns=columns, interventions=off, progress=told[2])),
    }
    removed = np.logical_and.reduce([found for _, found in of.values()])
    with_it, without, small = (left for left, _ in of.values())
    return of, removed, with_it >= without - _ALIKE, without > small + _ALIKE


def _kept(course: Course) -> tuple[Array, NDArray[np.bool_]]:
    """Return what is left of refusals in the twin once training has removed them, and if it has.

    Both are by run.
    """
    record, removed = course.falls_to(1.0 - REMOVED)
    return course.at(course.unmonitored, record) / course.unmonitored[0], removed
