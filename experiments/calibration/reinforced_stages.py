"""Tables of stages of training: prompts before it, and after it where that was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from experiments.calibration.measurements import (
    OF_STAGES,
    Measurements,
    check_measurements,
    read_measurements,
)
from experiments.calibration.problems import place
from experiments.calibration.prompt_rates import PromptRates
from experiments.calibration.terms import Terms
from sim.dynamics.state import Array
from sim.specs.errors import SpecError, nearest

#: Stages of training.
BEFORE, AFTER = "pre_rl", "post_rl"


@dataclass(frozen=True)
class Stages:
    """What was measured before and after training.

    Attributes:
        before: All prompts before training, the one trained on first, with what a fit needs.
        numbers: Where they stand, by full key [prompt].
        birge: By what errors of places are multiplied.
        after: Rates after training [target, rate].
        errors: Their standard errors [target, rate].
        targets: The places in `before` of prompts measured after training; not in order of it, but
            the one trained on is first.
        setting: Of all these.
        trained: The prompt trained on.
    """

    before: Measurements
    numbers: Mapping[str, Array]
    birge: float
    after: Array
    errors: Array
    targets: tuple[int, ...]
    setting: str
    trained: str

    @property
    def names(self) -> list[str]:
        """The prompts, by name."""
        return [str(name) for name in self.before.frame["condition"]]


def read_stages(
    stages: Measurements,
    *,
    terms: Terms,
    rates: PromptRates,
    shared: Mapping[str, float],
    trained: str = "default",
    setting: str | None = None,
) -> Stages:
    """Return a table of stages, with its prompts placed.

    Args:
        stages: Rows of prompts before training, and after it where that was measured.
        terms: The parameters of a fit by rates.
        rates: The model before training.
        shared: What the fit found; see `calibration_problems.place`.
        trained: The prompt trained on.
        setting: Of the rows to take; None: the only one that has rows after training.

    Raises:
        SpecError: One line: what is missing.
    """
    frame = check_measurements(stages.frame, of=OF_STAGES, source=stages.source or "stages").frame
    for line, stage in enumerate(frame["stage"]):
        if stage not in (BEFORE, AFTER):
            raise SpecError(
                f"stages: line {line + 2}, stage: got {stage!r}: {nearest(stage, [BEFORE, AFTER])}"
            )
    post = frame[frame["stage"] == AFTER]
    if post.empty:
        raise SpecError(
            f"stages: no row has the stage {AFTER}: there is nothing to fit training to"
        )
    known = list(dict.fromkeys(frame["prompt"]))
    if trained not in known:
        raise SpecError(f"trained: got {trained!r}: {nearest(trained, known)}")
    having = sorted(set(post.loc[post["prompt"] == trained, "setting"]))
    if not having:
        raise SpecError(f"trained: {trained!r} has no row of the stage {AFTER}")
    if setting is None and len(having) > 1:
        raise SpecError(f"setting: {trained!r} was trained on in {' and '.join(having)}: say which")
    chosen = having[0] if setting is None else setting
    if chosen not in having:
        raise SpecError(f"setting: got {chosen!r}: {nearest(chosen, having)}")
    here = frame[frame["setting"] == chosen]
    pre, post = (here[here["stage"] == stage] for stage in (BEFORE, AFTER))
    for prompt in post["prompt"]:
        if prompt not in set(pre["prompt"]):
            raise SpecError(
                f"stages: {prompt!r} has a row of the stage {AFTER}, and none of {BEFORE}, "
                "by which it would be placed"
            )
    pre = pd.concat([pre[pre["prompt"] == trained], pre[pre["prompt"] != trained]])
    before = prompts_of(pre, source=stages.source)
    placed = place(terms, rates, before, shared=shared)
    order = sorted(range(len(post)), key=lambda i: post["prompt"].iloc[i] != trained)
    measured = Measurements(post.iloc[order].reset_index(drop=True), stages.source)
    names = list(before.frame["condition"])
    return Stages(
        before=before,
        numbers=placed.numbers(),
        birge=placed.inflation,
        after=measured.rates,
        errors=measured.errors,
        targets=tuple(names.index(prompt) for prompt in measured.frame["prompt"]),
        setting=chosen,
        trained=trained,
    )


def prompts_of(rows: pd.DataFrame, *, source: str = "") -> Measurements:
    """Return rows of a table of stages as a table of prompts."""
    frame = rows.drop(columns="stage").rename(columns={"prompt": "condition"})
    frame.insert(0, "row", frame["condition"])
    return Measurements(frame.reset_index(drop=True), source)


def read_prompts(path: Path) -> Measurements:
    """Read prompts before training, from a table of prompts or from one of stages.

    Raises:
        SpecError: It cannot be read, or has no row before training.
    """
    try:
        columns = pd.read_csv(path, nrows=0).columns
    except (OSError, ValueError):
        columns = pd.Index([])
    if "stage" not in columns:
        return read_measurements(path)
    table = read_measurements(path, of=OF_STAGES).frame
    before = table[table["stage"] == BEFORE]
    if before.empty:
        raise SpecError(f"{path.name}: no row has the stage {BEFORE}")
    return prompts_of(before, source=str(path))
