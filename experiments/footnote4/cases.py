"""The assumptions under which partial gaming is tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sim.utils.format import percent


@dataclass(frozen=True)
class Case:
    """An assumption under which partial gaming is tried.

    Attributes:
        letter: Of the list in the study: a to f.
        label: What is assumed, in a few words.
        meaning: The same in a sentence.
        settings: Dotted keys and what they are set to.
        shift: How the rewards of contexts with something at stake change: never, turned round once
            after `SHIFT` of training, or turned back and forth.
    """

    letter: str
    label: str
    meaning: str
    settings: Mapping[str, object]
    shift: Literal["none", "once", "to and fro"] = "none"


#: When the rewards turn round, as a share of training, and how often they turn back and forth.
SHIFT, TURNS = 0.02, 40

CASES: tuple[Case, ...] = (
    Case("a", "values free, no anchor", "Training as it is by default.", {}),
    Case(
        "a",
        "no credit for motives",
        "Rewarded gaming makes the habit of gaming stronger, but not what motivated it.",
        {"training.motive_credit": 0.0},
    ),
    Case(
        "a",
        "habit alone deciding",
        "What is at stake takes no part in the decision (rationality 0).",
        {"agent.rationality": 0.0},
    ),
    Case(
        "b",
        "values frozen",
        "Training does not change values, so what is at stake stays what it is.",
        {"training.learning_rate.values": 0.0},
    ),
    *(
        Case(
            "c",
            f"anchor {strength:g}",
            f"Each step pulls every parameter back by {strength:g} of its distance to its start.",
            {"training.anchor": strength},
        )
        for strength in (0.001, 0.01, 0.03, 0.1)
    ),
    Case(
        "c",
        "anchor 0.1, no credit for motives",
        "The anchor pulls against the gate alone, and not against what motivates it.",
        {"training.anchor": 0.1, "training.motive_credit": 0.0},
    ),
    Case(
        "d",
        "gradients sampled",
        "Each step learns from drawn responses, not from their mean.",
        {"training.estimator": "sampled"},
    ),
    Case(
        "d",
        "sampling and anchor 0.03",
        "Both at once.",
        {"training.estimator": "sampled", "training.anchor": 0.03},
    ),
    Case(
        "e",
        "rewards turned once",
        f"After {percent(SHIFT)} of training, what was rewarded is punished, wherever gaming pays.",
        {},
        "once",
    ),
    Case(
        "e",
        "rewards turned to and fro",
        f"The same {TURNS} times over, at even distances.",
        {},
        "to and fro",
    ),
    Case(
        "f",
        "generalisation 0.5",
        "Habits that are learnt in one context carry over to others that are like it.",
        {"training.generalisation.habit": 0.5},
    ),
)
