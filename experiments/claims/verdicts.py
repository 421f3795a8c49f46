"""The verdict on a claim: where it is true, and which assumptions decide that.

    holds      true at every point to which the claim applies, or, with 95 % confidence where
               points were drawn, at the share that the claim requires
    fails      true at none
    depends    true at some; with the rule that splits them best
    untried    it applies to no point

A rule is one split of one assumption (`leak <= 0.3`), or two splits joined by *and* or *or*. It is
searched on half of the points and judged on the others (on all, if there are few, or if they are a
whole grid) by balanced accuracy, of which chance has 0.5. A second split must add to it, and a rule
that is hardly better than chance is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.utils.intervals import binomial_interval

from .measures import Measured, meets
from .spec import Claim, Condition, Reading

Flags = NDArray[np.bool_]
Kind = Literal["holds", "depends", "fails", "untried"]

#: Candidate thresholds of an assumption.
_CUTS = 19
#: With fewer points than this a rule is judged by the points that it was searched on.
_SPLIT_FROM = 64
#: What a second split must add, and what a rule must reach, in balanced accuracy.
_WORTH, _BETTER = 0.03, 0.6
_ROOT = 2.0**0.5
#: A positive range this wide is taken as logarithmic when thresholds are rounded.
_DECADE = 10.0


@dataclass(frozen=True)
class Split:
    """One side of a threshold of one assumption, or one choice.

    Attributes:
        axis: The assumption.
        sign: `≥`, `<` or `=`.
        value: The threshold, or the choice.
    """

    axis: str
    sign: Literal["≥", "<", "="]
    value: float | str

    def where(self, axes: pd.DataFrame) -> Flags:
        """Return at which points the split holds [points]."""
        column = axes[self.axis]
        if self.sign == "=":
            return np.asarray(column == self.value)
        number = column.to_numpy(np.float64)
        return np.asarray(number >= self.value if self.sign == "≥" else number < self.value)


@dataclass(frozen=True)
class Rule:
    """Where a claim is true, in one split or two.

    Attributes:
        splits: One or two.
        joined: The operator between two.
        balanced_accuracy: Mean of its shares of true and of false points classified correctly.
        inside: Share of points at which the claim is true where the rule says so ...
        outside: ... and where it does not; nan if there are none.
        judged_on: Number of points it was judged on.
        held_out: Whether these are other points than those it was searched on.
    """

    splits: tuple[Split, ...]
    joined: Literal["and", "or"]
    balanced_accuracy: float
    inside: float
    outside: float
    judged_on: int
    held_out: bool

    def where(self, axes: pd.DataFrame) -> Flags:
        """Return at which points the rule predicts that the claim is true [points]."""
        sides = [split.where(axes) for split in self.splits]
        joined: Flags = (
            np.logical_and.reduce(sides) if self.joined == "and" else (np.logical_or.reduce(sides))
        )
        return joined


@dataclass(frozen=True)
class Judgement:
    """A verdict.

    Attributes:
        kind: The verdict.
        points: Number of points at which the claim was tried.
        applies: To which of them it applies [points].
        true: At which of these it is true [points].
        share: Share of the latter among the former; nan if there are none.
        low, high: 95 % interval of it (Clopper and Pearson), if points were drawn from ranges; of a
            grid, the share itself.
        required_share: The share from which on it holds.
        undefined: Number of points at which a quantity of the test is not defined.
        rule: If it depends, on what; None if no short rule is better than chance.
    """

    kind: Kind
    applies: Flags
    true: Flags
    share: float
    low: float
    high: float
    required_share: float
    undefined: int
    rule: Rule | None

    @property
    def points(self) -> int:
        """Number of points at which the claim was tried."""
        return len(self.applies)

    @property
    def applies_count(self) -> int:
        """Number of points to which it applies."""
        return int(self.applies.sum())

    @property
    def true_count(self) -> int:
        """Number of points at which it is true."""
        return int(self.true.sum())


def judge(claim: Claim, measured: Measured) -> Judgement:
    """Return the verdict on a claim from its numbers."""
    tested = [condition.quantity for condition in claim.test]
    defined = measured.quantities[tested].notna().all(axis=1).to_numpy()
    meets_conditions = _all_met(claim.applies_if, measured.quantities)
    applies = meets_conditions & defined
    true = applies & _all_met(claim.test, measured.quantities)
    count, total = int(true.sum()), int(applies.sum())
    share = count / total if total else float("nan")
    # A grid is all of its region: nothing was drawn, so chance has no part in the share.
    low, high = binomial_interval(count, total) if claim.region.ranges else (share, share)
    kind: Kind = "depends"
    if total == 0:
        kind = "untried"
    elif count == 0:
        kind = "fails"
    elif count == total or low >= claim.required_share:
        kind = "holds"
    rule = None
    if kind == "depends":
        axes = measured.axes[applies].reset_index(drop=True)
        rule = find_rule(axes, true[applies], drawn=bool(claim.region.ranges))
    return Judgement(
        kind=kind,
        applies=applies,
        true=true,
        share=share,
        low=float(low),
        high=float(high),
        required_share=claim.required_share,
        undefined=int((meets_conditions & ~defined).sum()),
        rule=rule,
    )


def judge_readings(claim: Claim, measured: Measured) -> list[tuple[Reading, Judgement]]:
    """Return the other readings of a claim, each with the verdict on the same runs."""
    return [
        (
            reading,
            judge(
                claim.replace(applies_if=reading.applies_if, test=reading.test or claim.test),
                measured,
            ),
        )
        for reading in claim.readings
    ]


def find_rule(axes: pd.DataFrame, true: Flags, *, drawn: bool = True) -> Rule | None:
    """Return the rule of one or two splits that predicts best where a claim is true.

    Args:
        axes: The assumptions, a row for each point.
        true: Whether it is true there.
        drawn: Whether points were drawn; of a grid, all points are searched and judged.
    """
    number = np.arange(len(true))
    held_out = drawn and len(true) >= _SPLIT_FROM
    half = (number * _ROOT) % 1.0 < 0.5  # every second point would be one level of a grid
    learn, check = (half, ~half) if held_out else (number >= 0, number >= 0)
    if len(set(true[learn])) < 2 or len(set(true[check])) < 2:
        learn = check = number >= 0
        held_out = False
    learned = axes[learn]
    candidates = [split for axis in axes for split in _candidates(axis, learned[axis])]
    if not candidates:
        return None
    best = _best(candidates, learned, true[learn])
    rules = [_judged_rule(splits, joined, axes, true, check, held_out) for splits, joined in best]
    rule = rules[0]
    if len(rules) > 1 and rules[1].balanced_accuracy >= rule.balanced_accuracy + _WORTH:
        rule = rules[1]
    return rule if rule.balanced_accuracy >= _BETTER else None


def _best(
    candidates: Sequence[Split], axes: pd.DataFrame, true: Flags
) -> list[tuple[tuple[Split, ...], Literal["and", "or"]]]:
    """Return the best split, and the best pair of splits of two assumptions."""
    sides = np.stack([split.where(axes) for split in candidates]).astype(np.float64)
    yes, no = true / true.sum(), ~true / (~true).sum()
    gain = sides @ (yes - no)
    single = int(gain.argmax())
    both = (sides * (yes - no)) @ sides.T
    either = gain[:, None] + gain[None, :] - both
    same = np.array([[a.axis == b.axis for b in candidates] for a in candidates])
    both[same] = either[same] = -np.inf
    rules: list[tuple[tuple[Split, ...], Literal["and", "or"]]] = [((candidates[single],), "and")]
    if not same.all():
        matrix, joined = max(((both, "and"), (either, "or")), key=lambda pair: pair[0].max())
        i, j = np.unravel_index(int(matrix.argmax()), matrix.shape)
        pair = (candidates[int(min(i, j))], candidates[int(max(i, j))])
        rules.append((pair, "and" if joined == "and" else "or"))
    return rules


def _candidates(axis: str, column: pd.Series) -> list[Split]:
    if not pd.api.types.is_numeric_dtype(column):
        return [Split(axis, "=", str(choice)) for choice in sorted(set(column))]
    levels = np.unique(column.to_numpy(np.float64))
    if len(levels) < 2:
        return []
    cuts = (levels[1:] + levels[:-1]) / 2.0
    if len(cuts) > _CUTS:
        cuts = _short(np.quantile(levels, np.linspace(0.0, 1.0, _CUTS + 2)[1:-1]), levels)
    return [Split(axis, sign, float(f"{cut:.3g}")) for cut in cuts for sign in ("≥", "<")]


def _short(cuts: NDArray[np.float64], levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round thresholds: more digits than two, or a hundredth of the range, are for show."""
    low, high = levels[0], levels[-1]
    if low > 0.0 and high / low >= _DECADE:
        return np.unique([float(f"{cut:.2g}") for cut in cuts])
    digits = 1 - int(np.floor(np.log10(high - low)))
    return np.unique(np.round(cuts, digits) + 0.0)


def _judged_rule(
    splits: tuple[Split, ...],
    joined: Literal["and", "or"],
    axes: pd.DataFrame,
    true: Flags,
    check: Flags,
    held_out: bool,
) -> Rule:
    rule = Rule(splits, joined, 0.0, 0.0, 0.0, int(check.sum()), held_out)
    predicted, actual = rule.where(axes)[check], true[check]
    balanced = 0.5 * (predicted[actual].mean() + (~predicted[~actual]).mean())
    inside, outside = (
        float(actual[part].mean()) if part.any() else np.nan for part in (predicted, ~predicted)
    )
    return Rule(splits, joined, float(balanced), inside, outside, len(actual), held_out)


def _all_met(conditions: Sequence[Condition], quantities: pd.DataFrame) -> Flags:
    met = np.ones(len(quantities), dtype=np.bool_)
    for condition in conditions:
        met &= meets(condition, quantities[condition.quantity].to_numpy(np.float64))
    return met
