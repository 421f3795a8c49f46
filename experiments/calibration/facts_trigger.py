"""Published facts about behaviour behind a trigger that training never meets (backdoors)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from experiments.calibration.facts_answer import Answer, Bars, middle, of_draws, of_share
from experiments.calibration.facts_world import Asked, Course, trained
from sim.dynamics.state import Array
from sim.utils.progress import parts_of

Progress = Callable[[float], None] | None
#: A behaviour is removed if training takes away this share of it.
REMOVED = 0.9
#: A behaviour is kept if this share of it is left.
KEPT = 0.9
#: How much of the behaviour behind a trigger rests on values that training meets.
SHARED = (0.0, 0.25, 0.5, 0.75, 1.0)
_HALF = 0.5
#: What is left alike differs by less.
_ALIKE = 1e-3


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
    alone = {**asked.unknown, "training.spread": np.zeros(asked.draws)}
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
