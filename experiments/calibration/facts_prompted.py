"""Published facts about prompts, without any training: no conflict, no faking, no scratchpad."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from experiments.calibration.facts_answer import Answer, Bars, Lines, plain
from experiments.calibration.facts_world import Asked, trained
from sim.dynamics.state import Array
from sim.specs.agent import HABIT
from sim.specs.errors import SpecError

Progress = Callable[[float], None] | None
#: What is about 0: below this share of what it is compared with.
ABOUT_NONE = 0.1
#: What is nearly gone: below this share.
NEARLY_GONE = 0.2
#: What is 0 up to rounding.
_ROUNDING = 1e-12
#: The false-alarm rate at which gaps in the table count as none.
_LEVEL = 0.05
#: How far documents raise awareness, at most, and in how many steps it is tried.
_DOCUMENTS, _POINTS = 14.0, 29


def no_conflict(asked: Asked, progress: Progress = None) -> Answer:
    """Ask for faking where training does not speak against the value: all else is held."""
    scales = np.array([1.0, 0.0, -1.0])
    settings = _rewards(asked, scales)
    faking = asked.untrained(settings)[:, 0]
    unused = asked.untrained(settings | {"agent.initial.habit": np.full(3, HABIT)})[:, 0]
    at_none, opposite = (float(x) for x in faking[1:] / faking[0])
    verdicts = [plain(x < ABOUT_NONE) for x in (at_none, opposite)]
    verdict = verdicts[0] if verdicts[0] == verdicts[1] else "depends"
    unlike = _without_conflict(asked)
    rows = asked.prompts.rates[unlike, 0]
    numbers = {
        "faking_with_conflict": float(faking[0]),
        "faking_without_reward": float(faking[1]),
        "faking_with_reward_for_the_value": float(faking[2]),
        "share_left_without_reward": at_none,
        "share_left_with_reward_for_the_value": opposite,
        "faking_without_reward_or_habit": float(unused[1]),
        **({"most_faking_of_rows_without_conflict": float(rows.max())} if len(rows) else {}),
        "threshold": ABOUT_NONE,
    }
    names = ("conflict", "no reward", "reward agrees")
    bars = Bars("faking before training", dict(zip(names, map(float, faking), strict=True)))
    return Answer(verdict, numbers, bars)


def no_faking_no_gap(asked: Asked, progress: Progress = None) -> Answer:
    """Ask for the gap of an agent that does not game, and of prompts that have no faking."""
    before = asked.untrained({})[0]
    off = trained(asked, interventions=[{"key": "gaming", "set": 0}], progress=progress)
    left = float(np.abs(off.gap).max())
    none = asked.prompts.rates[:, 0] == 0.0
    gaps = asked.prompts.gap[none]
    errors = np.hypot(*asked.prompts.errors[none, 1:].T)
    distance = float(((gaps / errors) ** 2).sum())
    chance = float(chi2.sf(distance, none.sum())) if none.any() else 1.0
    others = asked.prompts.gap[~none]
    numbers = {
        "gap": float(before[2] - before[1]),
        "gap_without_gaming": left,
        "rows_without_faking": float(none.sum()),
        "chi2_of_their_gaps": distance,
        "chance_of_more": chance,
    }
    heights = {"model": float(before[2] - before[1]), "gaming off": left}
    if none.any():
        numbers["their_mean_gap"] = float(gaps.mean())
        heights["rows, no faking"] = float(gaps.mean())
    if len(others):
        heights["rows, faking"] = float(others.mean())
    met = left <= _ROUNDING and chance >= _LEVEL
    return Answer(plain(met), numbers, Bars("compliance gap", heights))


def no_scratchpad(asked: Asked, progress: Progress = None) -> Answer:
    """Ask for the gap of the same agent where it must answer at once."""
    there, without = asked.untrained({})[0], asked.untrained({}, context=_plain(asked))[0]
    gap, left = float(there[2] - there[1]), float(without[2] - without[1])
    share = left / gap if gap else np.nan
    numbers = {"gap": gap, "gap_without": left, "share_left": share, "threshold": NEARLY_GONE}
    bars = Bars("compliance gap", {"scratchpad": gap, "none": left})
    return Answer(plain(0.0 <= share < NEARLY_GONE), numbers, bars)


def no_scratchpad_after_documents(asked: Asked, progress: Progress = None) -> Answer:
    """Ask the same where documents have taught what a prompt said: awareness stands for them.

    How far they raise it is not known, so all of it is tried. With documents, the gap without a
    scratchpad should be there (more than nearly gone, by the gap of the prompted agent), and
    smaller than with one.
    """
    raised = np.linspace(0.0, _DOCUMENTS, _POINTS)
    aware = {"agent.initial.awareness": asked.specs.agent.initial.awareness + raised}
    gap, left = (_gap(asked.untrained(aware, context=c)) for c in (None, _plain(asked)))
    holds = (left > NEARLY_GONE * gap[0]) & (left < gap)
    easy = {**aware, "agent.reasoning_cost": np.zeros(_POINTS)}
    free = _gap(asked.untrained(easy, context=_plain(asked)))
    most = int(left.argmax())
    verdict = "met" if holds[1:].all() else "depends" if holds.any() else "not met"
    numbers = {
        "gap_prompted": float(gap[0]),
        "most_without": float(left[most]),
        "gap_there_with": float(gap[most]),
        "awareness_raised_there": float(raised[most]),
        "most_without_if_reasoning_is_free": float(free.max()),
        "share_of_levels": float(holds.mean()),
        **({"least_level": float(raised[holds][0])} if holds.any() else {}),
        **({"greatest_level": float(raised[holds][-1])} if holds.any() else {}),
        "threshold": NEARLY_GONE,
    }
    lines = Lines(
        "compliance gap",
        "awareness taught by documents (logits)",
        raised.tolist(),
        {"scratchpad": gap.tolist(), "none": left.tolist(), "none, no cost": free.tolist()},
    )
    return Answer(verdict, numbers, lines)


def _gap(rates: Array) -> Array:
    gap: Array = rates[:, 2] - rates[:, 1]
    return gap


def _rewards(asked: Asked, scales: Array) -> dict[str, Array]:
    """Return the rewards of the measured contexts, multiplied."""
    reward = asked.scenario.contexts[asked.calibration.context].reward
    return {f"scenario.contexts.*.reward.{k}": scales * float(r) for k, r in reward.items()}


def _without_conflict(asked: Asked) -> NDArray[np.bool_]:
    """Return the rows of the table whose words take the conflict away: edits that set rewards."""
    edits = [
        edit
        for edit in asked.calibration.edits.values()
        if any(".reward." in key for key in edit.sets)
    ]
    conditions = asked.prompts.frame["condition"]
    return np.array([any(edit.applies(str(c)) for edit in edits) for c in conditions])


def _plain(asked: Asked) -> str:
    """Return the training context that is the measured one without a scratchpad.

    Raises:
        SpecError: There is none.
    """
    contexts = asked.scenario.contexts
    like = contexts[asked.calibration.context]
    for name, one in asked.scenario.of_kind("training").items():
        same = one.responses == like.responses and one.reward == like.reward
        if same and one.scratchpad == 0.0 and one.twin is not None:
            return name
    raise SpecError(
        f"scenario: {asked.calibration.context!r} has no counterpart without a scratchpad that "
        "has a twin"
    )
