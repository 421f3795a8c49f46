"""What came out: claims with their verdicts, and the cases on which they were judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from sim.specs.agent import Agent
from sim.specs.base import is_number
from sim.specs.keys import full_key, value_at
from sim.specs.prior import Prior
from sim.specs.training import Training

from .arms import Arm, load_arms
from .assumptions import Assumptions
from .cases import RunOptions, drawn_numbers, run_cases
from .derived import derive
from .judge import Judgement, judge
from .spec import Claim

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class ClaimResult:
    """A claim and its verdict."""

    claim: Claim
    judgement: Judgement


@dataclass(frozen=True)
class Results:
    """Verdicts on claims, and the cases behind them.

    Attributes:
        claims: In the post's order, with their verdicts.
        cases: How many cases there are in each arm.
        arms: Those that were run.
        failed: Number of cases whose training diverged, as drawn.
        draws: What may decide a claim, a row for each case, a column for each assumption.
        defaults: The default of each assumption that has one.
    """

    claims: Sequence[ClaimResult]
    cases: int
    arms: Mapping[str, Arm]
    failed: int
    draws: pd.DataFrame
    defaults: Mapping[str, Any]


@cache
def all_arms() -> dict[str, Arm]:
    """Return the arms of arms.yaml, by name."""
    return load_arms(FOLDER / "arms.yaml")


@cache
def assumptions_of_cases() -> Assumptions:
    """Return the assumptions of assumptions.yaml."""
    return Assumptions.load(FOLDER / "assumptions.yaml")


def run_claims(
    claims: Sequence[Claim],
    *,
    prior: Prior,
    options: RunOptions,
    progress: Callable[[float], None] | None = None,
) -> Results:
    """Run all cases in the arms that claims need, and judge the claims (SpecError)."""
    needed = {"drawn"}.union(*(claim.arms for claim in claims))
    arms = {name: arm for name, arm in all_arms().items() if name in needed}
    cases = run_cases(
        arms, prior=prior, assumptions=assumptions_of_cases(), options=options, progress=progress
    )
    draws = drawn_numbers(prior, assumptions_of_cases(), options)
    failed = cases["drawn"].isna().all(axis=1)
    defaults = default_values(assumptions_of_cases())
    numbers = {key: default for key, default in defaults.items() if is_number(default)}
    verdicts = []
    for claim in claims:
        outcomes = {**cases, "derived": derive(claim.derived, cases)}
        verdicts.append(ClaimResult(claim, judge(claim, outcomes, draws, defaults=numbers)))
    return Results(verdicts, len(draws), arms, int(failed.sum()), draws, defaults)


def default_values(assumptions: Assumptions) -> dict[str, Any]:
    """Return the defaults of the assumptions by key, or what is near them where none exist."""
    specs = {"agent": Agent(), "training": Training()}
    parts = {key: full_key(key).partition(".") for key in assumptions.axes}
    stated = {
        key: value_at(specs[root], path) for key, (root, _, path) in parts.items() if root in specs
    }
    return {**stated, **assumptions.near}
