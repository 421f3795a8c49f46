"""Published facts on alignment faking, each a check of the calibrated model.

What was published beside the tables (data/README.md) is qualitative: a sign, an order, something
that is gone. Of each, facts.yaml says what was published, what the model is asked and how its
answer is judged; its verdict is computed, and `not met` and `depends` are answers too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from experiments.calibration.facts_answer import Answer
from experiments.calibration.facts_prompted import (
    no_conflict,
    no_faking_no_gap,
    no_scratchpad,
    no_scratchpad_after_documents,
)
from experiments.calibration.facts_terminal import terminal_is_bimodal, terminal_keeps_the_gap
from experiments.calibration.facts_trained import (
    gap_lost_reasoning_stays,
    training_lowers_faking,
)
from experiments.calibration.facts_trigger import (
    behind_a_trigger,
    reasoning_keeps_the_trigger,
)
from experiments.calibration.facts_world import Asked
from sim.specs.errors import SpecError, nearest
from sim.specs.library import read_yaml
from sim.utils.progress import parts_of

#: What computes the answer to a fact.
Ask = Callable[[Asked, Callable[[float], None] | None], Answer]
#: All facts, by name: what computes the answer, and how long that takes (seconds or so).
FACTS: Mapping[str, tuple[Ask, float]] = {
    "no conflict, no faking": (no_conflict, 0.05),
    "no faking, no gap": (no_faking_no_gap, 1.0),
    "no scratchpad": (no_scratchpad, 0.05),
    "no scratchpad, after documents": (no_scratchpad_after_documents, 0.05),
    "training lowers faking": (training_lowers_faking, 1.0),
    "an end keeps the gap": (terminal_keeps_the_gap, 0.5),
    "an end is bimodal": (terminal_is_bimodal, 3.5),
    "gap lost, reasoning stays": (gap_lost_reasoning_stays, 0.3),
    "behind a trigger": (behind_a_trigger, 1.0),
    "reasoning keeps the trigger": (reasoning_keeps_the_trigger, 0.8),
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
    told = parts_of(progress, [FACTS[name][1] for name in names])
    found = {}
    for name, tell in zip(names, told, strict=True):
        found[name] = FACTS[name][0](asked, tell)
        tell(1.0)
    return found


def table_of(found: Mapping[str, Answer]) -> pd.DataFrame:
    """Return answers as a table: what was published, asked, how it is judged, and the verdict."""
    texts = read_yaml(Path(__file__).parent / "facts.yaml")
    return pd.DataFrame(
        [{"name": name, **texts[name], "verdict": answer.verdict} for name, answer in found.items()]
    )
