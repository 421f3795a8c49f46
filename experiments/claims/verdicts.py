"""The verdict on a claim: where it is true, and which assumptions decide that.

    holds      true at every point of which the claim says something, or, with 95 % confidence where
               points were drawn, at the share that the claim calls enough
    fails      true at none
    depends    true at some; with the rule that splits them best
    untried    there is no point of which it says anything

A rule is one split of one assumption (`leak <= 0.3`), or two splits joined by *and* or *or*. It is
searched on half of the points and judged on the others (on all, if there are few, or if they are a
whole grid): what counts is
the mean of how much of the true and how much of the false it gets right, so that saying always the
more frequent is worth 0.5. A second split must earn its place, and a rule that is hardly better
than chance is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.claims.measures import Measured, meets
from experiments.claims.spec import Claim, Condition
from sim.utils.intervals import binomial_interval

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
        """Say at which points it is so."""
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
        joined: How two are joined.
        balanced: Mean of the shares of true and of false points that it gets right.
        inside: Share of points at which the claim is true where the rule says so ...
        outside: ... and where it does not; nan if there are none.
        judged_on: How many points it was judged on.
        unseen: Whether these are other points than those it was searched on.
    """

    splits: tuple[Split, ...]
    joined: Literal["and", "or"]
    balanced: float
    inside: float
    outside: float
    judged_on: int
    unseen: bool

    def where(self, axes: pd.DataFrame) -> Flags:
        """Say at which points the rule says that the claim is true."""
        sides = [split.where(axes) for split in self.splits]
        joined: Flags = (
            np.logical_and.reduce(sides) if self.joined == "and" else (np.logical_or.reduce(sides))
        )
        return joined


@dataclass(frozen=True)
class Judged:
    """A verdict.

    Attributes:
        kind: What it is.
        points: At how many points the claim was tried.
        given: At which of them it says something [points].
        true: At which of these it is true [points]; never where nothing is said.
        share: Share of the latter among the former; nan if there are none.
        low, high: 95 % interval of it (Clopper and Pearson), if points were drawn from ranges; of a
            grid, the share itself.
        enough: The share from which on it holds.
        undefined: At how many points a quantity of the test is not defined.
        rule: If it depends, on what; None if nothing short tells.
    """

    kind: Kind
    given: Flags
    true: Flags
    share: float
    low: float
    high: float
    enough: float
    undefined: int
    rule: Rule | None

    @property
    def points(self) -> int:
        """At how many points the claim was tried."""
        return len(self.given)


def judge(claim: Claim, measured: Measured) -> Judged:
    """Return the verdict on a claim from its numbers."""
    wanted = [one.quantity for one in claim.test]
    defined = measured.quantities[wanted].notna().all(axis=1).to_numpy()
    applies = _all_met(claim.given, measured.quantities)
    given = applies & defined
    true = given & _all_met(claim.test, measured.quantities)
    count, of = int(true.sum()), int(given.sum())
    share = count / of if of else float("nan")
    # A grid is all of its region: nothing was drawn, so chance has no part in the share.
    low, high = binomial_interval(count, of) if claim.region.ranges else (share, share)
    kind: Kind = "depends"
    if of == 0:
        kind = "untried"
    elif count == 0:
        kind = "fails"
    elif count == of or low >= claim.enough:
        kind = "holds"
    rule = None
    if kind == "depends":
        axes = measured.axes[given].reset_index(drop=True)
        rule = find_rule(axes, true[given], drawn=bool(claim.region.ranges))
    return Judged(
        kind=kind,
        given=given,
        true=true,
        share=share,
        low=float(low),
        high=float(high),
        enough=claim.enough,
        undefined=int((applies & ~defined).sum()),
        rule=rule,
    )


def find_rule(axes: pd.DataFrame, true: Flags, *, drawn: bool = True) -> Rule | None:
    """Return the one or two splits that tell best where a claim is true.

    Args:
        axes: The assumptions, a row for each point.
        true: Whether it is true there.
        drawn: Whether points were drawn; of a grid, all points are searched and judged.
    """
    number = np.arange(len(true))
    unseen = drawn and len(true) >= _SPLIT_FROM
    half = (number * _ROOT) % 1.0 < 0.5  # every second point would be one level of a grid
    learn, check = (half, ~half) if unseen else (number >= 0, number >= 0)
    if len(set(true[learn])) < 2 or len(set(true[check])) < 2:
        learn = check = number >= 0
        unseen = False
    seen = axes[learn]
    candidates = [split for axis in axes for split in _candidates(axis, seen[axis])]
    if not candidates:
        return None
    best = _best(candidates, seen, true[learn])
    rules = [_judged(splits, joined, axes, true, check, unseen) for splits, joined in best]
    rule = rules[0]
    if len(rules) > 1 and rules[1].balanced >= rule.balanced + _WORTH:
        rule = rules[1]
    return rule if rule.balanced >= _BETTER else None


def _best(
    candidates: Sequence[Split], axes: pd.DataFrame, true: Flags
) -> list[tuple[tuple[Split, ...], Literal["and", "or"]]]:
    """Return the best split, and the best pair of splits of two assumptions."""
    sides = np.stack([split.where(axes) for split in candidates]).astype(np.float64)
    yes, no = true / true.sum(), ~true / (~true).sum()
    gain = sides @ (yes - no)
    one = int(gain.argmax())
    both = (sides * (yes - no)) @ sides.T
    either = gain[:, None] + gain[None, :] - both
    same = np.array([[a.axis == b.axis for b in candidates] for a in candidates])
    both[same] = either[same] = -np.inf
    found: list[tuple[tuple[Split, ...], Literal["and", "or"]]] = [((candidates[one],), "and")]
    if not same.all():
        matrix, joined = max(((both, "and"), (either, "or")), key=lambda pair: pair[0].max())
        i, j = np.unravel_index(int(matrix.argmax()), matrix.shape)
        pair = (candidates[int(min(i, j))], candidates[int(max(i, j))])
        found.append((pair, "and" if joined == "and" else "or"))
    return found


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


def _judged(
    splits: tuple[Split, ...],
    joined: Literal["and", "or"],
    axes: pd.DataFrame,
    true: Flags,
    check: Flags,
    unseen: bool,
) -> Rule:
    rule = Rule(splits, joined, 0.0, 0.0, 0.0, int(check.sum()), unseen)
    says, so = rule.where(axes)[check], true[check]
    balanced = 0.5 * (says[so].mean() + (~says[~so]).mean())
    inside, outside = (float(so[part].mean()) if part.any() else np.nan for part in (says, ~says))
    return Rule(splits, joined, float(balanced), inside, outside, len(so), unseen)


def _all_met(conditions: Sequence[Condition], quantities: pd.DataFrame) -> Flags:
    met = np.ones(len(quantities), dtype=np.bool_)
    for one in conditions:
        met &= meets(one, quantities[one.quantity].to_numpy(np.float64))
    return met
