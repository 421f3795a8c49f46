"""Published facts on alignment faking, each a check of the calibrated model.

What was published beside the tables (data/README.md) is qualitative: a sign, an order, something
that is gone. A fact says what was published, what the model is asked for it and how the answer is
judged; its verdict is computed, and `not met` and `depends` are answers too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from experiments.calibration.facts_answer import NEARLY_ALL, NEARLY_NONE, Answer
from experiments.calibration.facts_prompted import (
    ABOUT_NONE,
    NEARLY_GONE,
    no_conflict,
    no_faking_no_gap,
    no_scratchpad,
    no_scratchpad_after_documents,
)
from experiments.calibration.facts_terminal import terminal_is_bimodal, terminal_keeps_the_gap
from experiments.calibration.facts_trained import (
    LOST,
    STAYS,
    gap_lost_reasoning_stays,
    training_lowers_faking,
)
from experiments.calibration.facts_trigger import (
    KEPT,
    REMOVED,
    behind_a_trigger,
    reasoning_keeps_the_trigger,
)
from experiments.calibration.facts_world import Asked
from sim.specs.errors import SpecError, nearest
from sim.utils.format import percent
from sim.utils.progress import parts_of

#: How an answer over many trainings becomes a verdict.
_OVER_TRAININGS = (
    f"met if in at least {percent(NEARLY_ALL)} of drawn trainings, not met if in at most "
    f"{percent(NEARLY_NONE)}"
)


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A published fact.

    Attributes:
        published: What was found, in words.
        asked: What the model is asked.
        judged: How its answer is judged.
        ask: Computes the answer.
        cost: How long that takes, in seconds or so.
    """

    published: str
    asked: str
    judged: str
    ask: Callable[[Asked, Callable[[float], None] | None], Answer]
    cost: float = 1.0


#: All facts, by name.
FACTS: Mapping[str, Fact] = {
    "no conflict, no faking": Fact(
        published="where training's criteria do not conflict with the values, nobody fakes",
        asked="faking before training with the reward's contrast at 0 and at -1, all else held",
        judged=f"met if both are below {percent(ABOUT_NONE)} of faking with conflict",
        ask=no_conflict,
        cost=0.05,
    ),
    "no faking, no gap": Fact(
        published="with faking removed the gap is closed",
        asked="the gap with gaming off, before and during training; gaps of rows without faking",
        judged="met if the model's gap is 0 exactly, and the rows' gaps are 0 by their errors "
        "(chi-square, 5 %)",
        ask=no_faking_no_gap,
        cost=1.0,
    ),
    "no scratchpad": Fact(
        published="prompted and without a scratchpad, the gap is nearly gone",
        asked="the gap of the same agent in the context without a scratchpad",
        judged=f"met if below {percent(NEARLY_GONE)} of the gap with one",
        ask=no_scratchpad,
        cost=0.05,
    ),
    "no scratchpad, after documents": Fact(
        published="without a scratchpad, after fine-tuning on documents, the gap is smaller and "
        "there",
        asked="the gaps with and without, with awareness raised as far as may be",
        judged=f"met if, however far it is raised, the gap without is above "
        f"{percent(NEARLY_GONE)} of the prompted gap with one, and smaller than with one; depends "
        "if only at some levels",
        ask=no_scratchpad_after_documents,
        cost=0.05,
    ),
    "training lowers faking": Fact(
        published="on the fine-tuned and the animal-welfare models, training lowers faking "
        "slightly; the gap shrinks, the relative gap grows",
        asked="faking, gap and gap over unmonitored refusals when refusals in training are gone "
        "(or training ends), of the agent of the animal-welfare prompt",
        judged=f"each sign, with at least {percent(STAYS)} of faking left; {_OVER_TRAININGS}",
        ask=training_lowers_faking,
        cost=1.0,
    ),
    "an end keeps the gap": Fact(
        published="guarding that is terminal keeps the gap better than guarding that is "
        "instrumental",
        asked="the gap over the course of training of the agent as it is (a means: its incentive "
        "follows from what training would do to its values) and of one that starts alike and "
        "games whatever comes of it (an end: its log-odds are all habit, rationality 0)",
        judged=f"a larger mean gap; {_OVER_TRAININGS}",
        ask=terminal_keeps_the_gap,
        cost=0.5,
    ),
    "an end is bimodal": Fact(
        published="with terminal guarding, the gap is bimodal across seeds",
        asked="the gap over seeds with sampled gradients, when seeds differ most, for some of the "
        "trainings",
        judged="Sarle's coefficient above that of a uniform distribution, seeds that differ, and "
        f"both ends fuller than the middle; {_OVER_TRAININGS}",
        ask=terminal_is_bimodal,
        cost=3.5,
    ),
    "gap lost, reasoning stays": Fact(
        published="the gap is gone early, while the reasoning stays",
        asked="faking when the gap is lost, over the course of training",
        judged=f"gap down to {percent(LOST)} of its start with at least {percent(STAYS)} of "
        f"faking; {_OVER_TRAININGS}",
        ask=gap_lost_reasoning_stays,
        cost=0.3,
    ),
    "behind a trigger": Fact(
        published="backdoors survive training that never meets their trigger",
        asked="refusals left behind the trigger (the twin) where training has removed "
        f"{percent(REMOVED)} of those that it meets, by how much of them rests on the value that "
        "is trained on",
        judged=f"at least {percent(KEPT)} left; {_OVER_TRAININGS} and all amounts of sharing",
        ask=behind_a_trigger,
        cost=1.0,
    ),
    "reasoning keeps the trigger": Fact(
        published="backdoors survive better with distilled reasoning than without, and hardly in "
        "the smallest model",
        asked="the same with half of it shared, with gaming and with gaming off; and with gaming "
        "off, all shared, and no telling of the trigger",
        judged=f"left in this order; {_OVER_TRAININGS}",
        ask=reasoning_keeps_the_trigger,
        cost=0.8,
    ),
}


def answers(
    asked: Asked,
    *,
    only: Sequence[str] | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Answer]:
    """Return the answers, by the name of the fact.

    Raises:
        SpecError: There is no such fact, or the agent or the table cannot be asked.
    """
    names = list(FACTS) if only is None else list(only)
    if not names:
        raise SpecError("facts: name at least one")
    for name in names:
        if name not in FACTS:
            raise SpecError(f"facts: {nearest(name, FACTS)}")
    told = parts_of(progress, [FACTS[name].cost for name in names])
    found = {}
    for name, tell in zip(names, told, strict=True):
        found[name] = FACTS[name].ask(asked, tell)
        tell(1.0)
    return found


def table_of(found: Mapping[str, Answer]) -> pd.DataFrame:
    """Return answers as a table: what was published, asked, answered, and the verdict."""
    return pd.DataFrame(
        [
            {
                "name": name,
                "published": FACTS[name].published,
                "asked": FACTS[name].asked,
                "judged": FACTS[name].judged,
                "answer": answer.words,
                "verdict": answer.verdict,
                "numbers": dict(answer.numbers),
            }
            for name, answer in found.items()
        ]
    )
