"""The study of footnote 4: its settings, its run, and the table that comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from sim.cli.fields import Engine, Interval, OneOrMore, Seed, Spec
from sim.specs.overrides import Specs

from .cases import CASES
from .fates import STATES
from .partial_gaming import FIXED_POINTS, Outcome, check_specs, try_cases


class Settings(Spec):
    """The study's own keys; their meaning and defaults are in config.yaml."""

    agents: Annotated[int, Field(ge=1, le=100_000, strict=True)]
    seed: Seed
    cases: OneOrMore[Literal["a", "b", "c", "d", "e", "f"]]
    awareness: Interval
    engine: Engine


def check(specs: Specs) -> None:
    """Refuse a scenario in which gaming protects nothing, or that has shifts of its own.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    check_specs(specs)


def run(
    specs: Specs, settings: Settings, *, progress: Callable[[float], None] | None = None
) -> list[Outcome]:
    """Train initially undecided agents under each assumption.

    Raises:
        SpecError: As for `check`.
        DivergenceError: Parameters grew out of all bounds.
    """
    return try_cases(
        specs,
        cases=[case for case in CASES if not settings.cases or case.letter in settings.cases],
        agents=settings.agents,
        seed=settings.seed,
        awareness=settings.awareness,
        engine=settings.engine,
        progress=progress,
    )


def tables(outcomes: Sequence[Outcome]) -> dict[str, pd.DataFrame]:
    """Return a row for each case; a half-life that was not reached is empty."""
    rows = [
        {
            "letter": outcome.case.letter,
            "case": outcome.case.label,
            "context": outcome.context,
            "verdict": outcome.verdict,
            "undecided_end": float(outcome.undecided[-1]),
            "half_life": _finite_or_nan(outcome.half_life),
            "partial_end": float(outcome.partial[-1]),
            "partial_half_life": _finite_or_nan(outcome.partial_half_life),
            "left_of_nudge": outcome.perturbation_ratio,
            "nudged": outcome.perturbed_agents,
            **{f"fixed_{kind}": outcome.fixed_points.get(kind, 0) for kind in FIXED_POINTS},
            "shift_of_gate": outcome.gate_shift,
            "value_kept": outcome.value_kept,
            **{f"share_{state}": outcome.final_shares[state] for state in STATES},
        }
        for outcome in outcomes
    ]
    return {"footnote4": pd.DataFrame(rows)}


#: The columns that the terminal shows.
SHOWN = {
    "footnote4": ("letter", "case", "undecided_end", "half_life", "left_of_nudge", "verdict"),
}


def _finite_or_nan(steps: float) -> float:
    return steps if np.isfinite(steps) else np.nan
