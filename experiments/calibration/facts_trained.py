"""Published facts about training: what it does to faking and to the gap.

How training was done was not published, so each is asked of many trainings that were drawn
(`facts_world.UNKNOWN`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from experiments.calibration.facts_agents import placed
from experiments.calibration.facts_answer import Answer, Bars, Lines, middle, of_draws
from experiments.calibration.facts_world import Asked, Course, trained
from sim.dynamics.state import Array
from sim.specs.agent import Agent
from sim.specs.errors import SpecError
from sim.utils.progress import parts_of

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
