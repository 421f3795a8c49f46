"""Claims with their numbers and verdicts: how they are run, and what is written of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sim.cli.outputs import records
from sim.utils.progress import parts_of

from .labels import condition_label, rule_label
from .map import Emergence, RegimeMap
from .measures import Measured, RunOptions, measure_worlds, plan_worlds, world_specs
from .spec import Claim
from .studies import measure_study, points_of, study_of
from .verdicts import Judgement, Rule, judge, judge_readings

#: What the JSON of a claim has at its top already.
_TEXTS = {"name", "title", "passage", "says", "means"}


@dataclass(frozen=True)
class ClaimResult:
    """A claim with its numbers and its verdict.

    Attributes:
        claim: The claim.
        measured: Its numbers.
        judged: The verdict.
    """

    claim: Claim
    measured: Measured
    judged: Judgement

    def frame(self) -> pd.DataFrame:
        """Return a row for each point: assumptions, quantities, whether it applies and is true."""
        flags = pd.DataFrame({"given": self.judged.applies, "true": self.judged.true})
        return pd.concat([self.measured.axes, self.measured.quantities, flags], axis=1)

    def numbers(self) -> pd.DataFrame:
        """Return the distribution of each quantity over the points to which the claim applies.

        A row for each quantity: `quantity`, `label`, `points` where it is defined, and its 10th,
        50th and 90th percentile.
        """
        applying = self.measured.quantities[self.judged.applies]
        rows = []
        for name, quantity in self.claim.measure.quantities.items():
            numbers = applying[name].dropna().to_numpy(np.float64)
            low, median, high = (
                np.quantile(numbers, (0.1, 0.5, 0.9)) if len(numbers) else (np.nan,) * 3
            )
            rows.append((name, quantity.label, len(numbers), low, median, high))
        return pd.DataFrame(rows, columns=["quantity", "label", "points", "low", "median", "high"])

    def conditions(self) -> list[dict[str, Any]]:
        """Return each condition of the test with the number of points that meet it."""
        where = self.judged.applies
        applying = Measured(
            self.measured.axes[where].reset_index(drop=True),
            self.measured.quantities[where].reset_index(drop=True),
            self.measured.runs,
        )
        return [
            {
                "says": condition_label(condition, self.claim),
                "met": judge(
                    self.claim.replace(test=[condition], applies_if=[]), applying
                ).true_count,
                "points": len(applying.axes),
            }
            for condition in self.claim.test
        ]

    @property
    def rule(self) -> str:
        """The rule in short; "" if there is none."""
        return "" if self.judged.rule is None else rule_label(self.judged.rule, self.claim.region)

    def to_dict(self, run_options: RunOptions) -> dict[str, Any]:
        """Return the claim with its verdict and numbers, ready for JSON."""
        claim, judged = self.claim, self.judged
        return {
            "name": claim.name,
            "title": claim.title,
            "passage": claim.passage,
            "says": claim.says,
            "means": claim.means,
            "command": command_of(claim, run_options),
            "verdict": judged.kind,
            "points": judged.points,
            "given": judged.applies_count,
            "true": judged.true_count,
            "share": None if judged.kind == "untried" else judged.share,
            "share_low": judged.low,
            "share_high": judged.high,
            "enough": judged.required_share,
            "undefined": judged.undefined,
            "rule": rule_data(judged.rule),
            "given_where": [condition_label(condition, claim) for condition in claim.applies_if],
            "test": self.conditions(),
            "read_otherwise": [
                {"says": reading.says, "given": other.applies_count, "true": other.true_count}
                for reading, other in judge_readings(claim, self.measured)
            ],
            "numbers": records(self.numbers()),
            "runs": self.measured.runs,
            "claim": claim.model_dump(mode="json", exclude=_TEXTS),
        }


@dataclass(frozen=True)
class Results:
    """The claims with their verdicts, and what only the page shows.

    Attributes:
        claims: In the post's order.
        scenarios: Emergence in every scenario; empty without a page.
        regimes: The map of regimes; None without a page.
    """

    claims: Sequence[ClaimResult]
    scenarios: Sequence[Emergence] = ()
    regimes: RegimeMap | None = None


def check_claims(claims: Sequence[Claim], run_options: RunOptions) -> None:
    """Refuse claims that cannot be run.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    for claim in claims:
        if claim.measure.study is None:
            plan_worlds(claim, world_specs(claim), run_options)
        else:
            study_of(claim)
            points_of(claim, run_options)


def run_claims(
    claims: Sequence[Claim],
    run_options: RunOptions,
    *,
    progress: Callable[[float], None] | None = None,
) -> list[ClaimResult]:
    """Measure and judge claims, one after the other.

    Args:
        claims: The claims.
        run_options: Where runs are kept, how many points, and the seed.
        progress: Called with the share that is done.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    costs = [4.0 if claim.measure.study else 1.0 for claim in claims]
    results = []
    for claim, report_progress in zip(claims, parts_of(progress, costs), strict=True):
        report_progress(0.0)
        results.append(run_claim(claim, run_options, progress=report_progress))
        report_progress(1.0)
    return results


def run_claim(
    claim: Claim, run_options: RunOptions, *, progress: Callable[[float], None] | None = None
) -> ClaimResult:
    """Measure and judge one claim; arguments and errors as `run_claims`."""
    measure = measure_worlds if claim.measure.study is None else measure_study
    measured = measure(claim, run_options, progress=progress)
    return ClaimResult(claim, measured, judge(claim, measured))


def verdict_table(results: Sequence[ClaimResult]) -> pd.DataFrame:
    """Return a row for each claim: the verdict, the share of points with its interval, the rule."""
    return pd.DataFrame(
        [
            {
                "claim": result.claim.name,
                "title": result.claim.title,
                "verdict": result.judged.kind,
                "share": result.judged.share,
                "share_low": result.judged.low,
                "share_high": result.judged.high,
                "given": result.judged.applies_count,
                "points": result.judged.points,
                "runs": result.measured.runs,
                "rule": result.rule,
            }
            for result in results
        ]
    )


def rule_data(rule: Rule | None) -> dict[str, Any] | None:
    """Return a rule, ready for JSON."""
    if rule is None:
        return None
    return {
        "splits": [vars(split) for split in rule.splits],
        "joined": rule.joined,
        "balanced_accuracy": rule.balanced_accuracy,
        "true_inside": rule.inside,
        "true_outside": rule.outside,
        "judged_on": rule.judged_on,
        "unseen": rule.held_out,
    }


def command_of(claim: Claim, run_options: RunOptions) -> str:
    """Return the command that repeats a claim."""
    more = "" if run_options.size == 1.0 else f" size={run_options.size:g}"
    more += "" if run_options.seed == 0 else f" seed={run_options.seed}"
    return f"python experiments/claims only={claim.name}{more}"
