"""The runner of claims: each measured, judged, and told in words that its numbers choose."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

from experiments.claims.measures import How, Measured, measure_worlds, plan_of
from experiments.claims.spec import SIGNS, Claim, Condition, Region
from experiments.claims.studies import measure_study, points_of, study_of
from experiments.claims.verdicts import Judged, Rule, Split, judge
from sim.utils.format import percent
from sim.utils.progress import parts_of


@dataclass(frozen=True)
class Answer:
    """A claim with what came out.

    Attributes:
        claim: The claim.
        measured: Its numbers.
        judged: The verdict.
        seconds: How long it took.
    """

    claim: Claim
    measured: Measured
    judged: Judged
    seconds: float

    def frame(self) -> pd.DataFrame:
        """Return a row for each point: assumptions, quantities, whether it applies and is true."""
        flags = pd.DataFrame({"given": self.judged.given, "true": self.judged.true})
        return pd.concat([self.measured.axes, self.measured.quantities, flags], axis=1)

    def numbers(self) -> pd.DataFrame:
        """Return a row for each quantity: how it lies over the points of which something is said.

        `quantity`, `label`, `points` where it is defined, and its 10th, 50th and 90th percentile.
        """
        here = self.measured.quantities[self.judged.given]
        rows = []
        for name, quantity in self.claim.measure.quantities.items():
            numbers = here[name].dropna().to_numpy(np.float64)
            low, median, high = (
                np.quantile(numbers, (0.1, 0.5, 0.9)) if len(numbers) else (np.nan,) * 3
            )
            rows.append((name, quantity.label, len(numbers), low, median, high))
        return pd.DataFrame(rows, columns=["quantity", "label", "points", "low", "median", "high"])

    def conditions(self) -> list[dict[str, Any]]:
        """Return each condition of the test, in words, with the share of points that meet it."""
        here = self.measured.quantities[self.judged.given]
        single = [
            judge(self.claim.replace(test=[one], given=[]), _at(self.measured, self.judged.given))
            for one in self.claim.test
        ]
        return [
            {
                "says": condition_text(one, self.claim),
                "met": int(alone.true.sum()),
                "points": len(here),
            }
            for one, alone in zip(self.claim.test, single, strict=True)
        ]


def check(claims: Sequence[Claim], how: How) -> None:
    """Refuse claims that cannot be run, before anything is.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    for claim in claims:
        if claim.measure.study is None:
            plan_of(claim, how)
        else:
            study_of(claim)
            points_of(claim, how)


def run_claims(
    claims: Sequence[Claim], how: How, *, progress: Callable[[float], None] | None = None
) -> Iterator[Answer]:
    """Measure and judge claims, one after the other.

    Args:
        claims: What to ask.
        how: Where runs are kept, how many points, and the seed.
        progress: Told the share that is done.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    costs = [4.0 if claim.measure.study else 1.0 for claim in claims]
    for claim, told in zip(claims, parts_of(progress, costs), strict=True):
        told(0.0)
        yield answer(claim, how, progress=told)
        told(1.0)


def answer(claim: Claim, how: How, *, progress: Callable[[float], None] | None = None) -> Answer:
    """Measure and judge one claim; arguments and errors as `run_claims`."""
    start = perf_counter()
    measure = measure_worlds if claim.measure.study is None else measure_study
    measured = measure(claim, how, progress=progress)
    return Answer(claim, measured, judge(claim, measured), perf_counter() - start)


def verdict_text(found: Answer) -> str:
    """Say a verdict in a sentence or two, with its region."""
    judged = found.judged
    of, count = int(judged.given.sum()), int(judged.true.sum())
    if judged.kind == "untried":
        return f"Untried: at none of {judged.points:,} points does the claim say anything."
    drawn = bool(found.claim.region.ranges)
    interval = f"; 95 % interval {share_text(judged.low)} to {share_text(judged.high)}"
    interval = interval if drawn else ""
    places = f"{of:,} points{'' if drawn else ' of a grid'}" + (
        f" to which it applies (of {judged.points:,} tried)" if of < judged.points else ""
    )
    if judged.undefined:
        places += f" ({judged.undefined:,} more left out: what is tested is not defined there)"
    if count == of:
        few = ""
        if judged.low < judged.enough:
            few = (
                " True at all is enough, but these are few points: the interval reaches below "
                f"{share_text(judged.enough)}."
            )
        return f"Holds: true at all of {places}{interval}.{few}"
    told = f"true at {share_text(judged.share)} of {places}{interval}"
    if judged.kind == "holds":
        what = "Its lower end" if drawn else "That"
        return (
            f"Holds: {told}. {what} is not below {share_text(judged.enough)}, as this verdict asks."
        )
    if judged.kind == "fails":
        return f"Fails: true at none of {places}{interval}."
    return f"Depends: {told}. {region_text(judged, found.claim.region)}"


def region_text(judged: Judged, region: Region | None = None) -> str:
    """Say on what a verdict depends; of a region's grid, by its levels."""
    rule = judged.rule
    if rule is None:
        return (
            "No one or two assumptions tell where: no threshold that was tried does much better "
            "than chance."
        )
    how = ""
    if rule.unseen:
        how = ", found on one half of the points; these shares are of the other half"
    elif region is None or region.ranges:
        how = ", found on all points, which are few; these shares are of the same points"
    return (
        f"Where {rule_text(rule, region)}, it is true at {share_text(rule.inside)} of points, "
        f"elsewhere at {share_text(rule.outside)} (the best short rule{how})."
    )


def share_text(share: float) -> str:
    """Write a share, so that less than all is never written as all."""
    if 0.995 <= share < 1.0:
        return f"{np.floor(1000 * share) / 10:.1f} %"
    return percent(share)


def rule_text(rule: Rule, region: Region | None = None) -> str:
    """Write a rule as assumptions and thresholds; of a region's grid, by its levels."""
    return f" {rule.joined} ".join(_split_text(split, region) for split in rule.splits)


def _split_text(split: Split, region: Region | None) -> str:
    """Write a split; a threshold between two levels of a grid as the level next to it."""
    axis = axis_text(split.axis)
    levels = region.grid.get(split.axis, ()) if region is not None else ()
    if not levels or isinstance(split.value, str):
        return f"{axis} {split.sign} {number_text(split.value)}"
    above = split.sign == "≥"
    inside = sorted(level for level in levels if (level >= split.value) == above)
    if len(inside) == 1:
        return f"{axis} = {number_text(inside[0])}"
    return (
        f"{axis} is at least {number_text(inside[0])}"
        if above
        else (f"{axis} is at most {number_text(inside[-1])}")
    )


def where_text(rule: Rule, region: Region | None = None) -> str:
    """Say in a few words where a claim is true: mostly there, or only more often than elsewhere."""
    how = "mostly" if rule.inside >= 0.5 > rule.outside else "more often"
    return f"{how} where {rule_text(rule, region)}"


def axis_text(key: str) -> str:
    """Write an assumption's key as a reader knows it."""
    for start in ("agent.initial.", "agent.", "training.", "scenario.contexts."):
        key = key.removeprefix(start)
    key = key.replace("learning_rate.", "learning rate of ")
    return key.replace("values.", "value of ").replace("_", " ").replace(".", ", ")


def number_text(value: float | str) -> str:
    """Write a threshold with a true minus sign."""
    if isinstance(value, str):
        return value.replace("_", " ")
    if abs(value) >= 100.0:
        return f"{value:,.0f}".replace("-", "−")
    text = np.format_float_positional(float(f"{value:.3g}") + 0.0, trim="-")
    return text.replace("-", "−")


def condition_text(condition: Condition, claim: Claim) -> str:
    """Write a condition with its quantity's label."""
    label = claim.measure.quantities[condition.quantity].label
    return f"{label} {SIGNS[condition.how]} {number_text(condition.threshold)}"


def command_of(claim: Claim, how: How) -> str:
    """Return the command that repeats a claim."""
    more = "" if how.size == 1.0 else f" size={how.size:g}"
    more += "" if how.seed == 0 else f" seed={how.seed}"
    return f"python experiments/claims.py only={claim.name}{more}"


def _at(measured: Measured, where: Any) -> Measured:
    """Return what was measured at some points only."""
    return Measured(
        measured.axes[where].reset_index(drop=True),
        measured.quantities[where].reset_index(drop=True),
        measured.runs,
    )
