"""What a sensitivity study found, in words that its numbers choose."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from experiments.sensitivity.compare import TOP, Comparison
from sim.analysis.sensitivity import LEVEL, MAIN, WIDE, Indices
from sim.utils.format import join_words, percent, shown

#: What an importance is called, by method.
MEASURE = {"sobol": "total index", "morris": "mean effect, as a share of the largest"}
_ALIKE, _UNLIKE = 0.8, 0.5
#: Where the first-order indices leave more than this unexplained, inputs act together.
_TOGETHER = 0.2


def label(key: str) -> str:
    """Return a key without what a reader knows."""
    for start in ("agent.initial.", "agent.", "training.", "scenario.contexts."):
        if key.startswith(start):
            return key[len(start) :].replace("_", " ")
    return key.replace("_", " ")


def title(compared: Comparison) -> str:
    """Return the headline of a comparison."""
    if not compared.sound:
        return "One of the two groups of outcomes does not vary: nothing to compare"
    first, second = (label(compared.top(side)["input"].iat[0]) for side in ("left", "right"))
    same = (
        f"both hang most on {first}"
        if first == second
        else f"training-gaming hangs most on {first}, the worst case on {second}"
    )
    inputs = min(TOP, len(compared.frame))
    return f"{same[0].upper()}{same[1:]}; {len(compared.shared)} of the top {inputs} are shared"


def said(found: Indices, compared: Comparison) -> dict[str, str]:
    """Return sentences, by what they are about; each follows from numbers of the study."""
    return {
        "local": _list(found, compared, "left"),
        "worst_case": _list(found, compared, "right"),
        "comparison": _comparison(compared),
        "together": _together(found, compared),
        "caution": _caution(found),
    }


def _list(found: Indices, compared: Comparison, side: str) -> str:
    outcomes = compared.left if side == "left" else compared.right
    what = "Training-gaming" if side == "left" else "The worst case"
    if not outcomes:
        return f"{what}: none of its outcomes varies, so nothing matters for it here."
    rows = compared.top(side)
    told = [
        f"{label(row['input'])} {row[side]:.2f}{_range(row[f'{side}_low'], row[f'{side}_high'])}"
        for _, row in rows.iterrows()
    ]
    names = join_words([name.replace("_", " ") for name in outcomes])
    measure = MEASURE[found.sample.method]
    return f"{what} ({names}) hangs on, by {measure}: {join_words(told)}."


def _range(low: float, high: float) -> str:
    return "" if math.isnan(low) else f" [{low:.2f}, {high:.2f}]"


def _comparison(compared: Comparison) -> str:
    if not compared.sound:
        return "The two lists cannot be compared."
    inputs = min(TOP, len(compared.frame))
    shared = join_words([label(name) for name in compared.shared]) if compared.shared else "none"
    text = f"Of the top {inputs} of each, {len(compared.shared)} are shared ({shared})"
    if not math.isnan(compared.shared_low):
        low, high = compared.shared_low, compared.shared_high
        span = f"{low:.0f}" if low == high else f"{low:.0f} to {high:.0f}"
        text += f"; {span} in {100 * LEVEL:.0f} % of resamples"
    if math.isnan(compared.rank_correlation):
        return f"{text}. Ranks cannot be correlated."
    text += f". The rank correlation of the two lists is {shown(compared.rank_correlation, 2)}"
    high = compared.rank_correlation
    if not math.isnan(compared.rank_low):
        text += f" [{shown(compared.rank_low, 2)}, {shown(compared.rank_high, 2)}]"
        high = compared.rank_high
    low = compared.rank_correlation if math.isnan(compared.rank_low) else compared.rank_low
    if low >= _ALIKE:
        verdict = "the same assumptions matter for both"
    elif high < _UNLIKE:
        verdict = "what matters for the one says little of what matters for the other"
    else:
        verdict = "the lists have something in common, and differ"
    return f"{text}: {verdict}.{_apart(compared)}"


def _apart(compared: Comparison) -> str:
    """Name the inputs whose ranks differ most, either way."""
    frame = compared.frame
    gap = frame["right_rank"] - frame["left_rank"]
    rows = [frame.loc[gap.idxmax()], frame.loc[gap.idxmin()]]
    told = [
        f"{label(row['input'])} is number {row['left_rank']} for training-gaming and "
        f"{row['right_rank']} for the worst case"
        for row in rows
        if row["left_rank"] != row["right_rank"]
    ]
    return f" Furthest apart: {'; '.join(told)}." if told else ""


def _together(found: Indices, compared: Comparison) -> str:
    """Say how much of the variance inputs explain one by one."""
    frame = found.frame
    if found.sample.method == "morris":
        return ""
    told = []
    for name in (*compared.left, *compared.right):
        first = frame[(frame["outcome"] == name) & (frame["index"] == "first")]["value"]
        alone = float(np.clip(first.sum(), 0.0, 1.0))
        how = "mostly together with others" if alone < 1.0 - _TOGETHER else "mostly one by one"
        told.append(f"{name.replace('_', ' ')} {percent(alone)} ({how})")
    if not told:
        return ""
    return f"Explained by assumptions one by one, of the variance of {join_words(told)}."


def _caution(found: Indices) -> str:
    method = found.sample.method
    sentences = []
    for state, words in (("constant", "never varies"), ("undefined", "is not defined")):
        names = [name.replace("_", " ") for name, s in found.states.items() if s == state]
        if names:
            sentences.append(f"No index for what {words}: {join_words(names)}.")
    left_out = max(found.left_out.values(), default=0)
    if left_out:
        unit = "trajectories" if method == "morris" else "base points"
        sentences.append(
            f"Up to {left_out:,} of {found.sample.blocks:,} {unit} were left out, as runs failed "
            "or an outcome was not defined in them."
        )
    rows = found.frame[found.frame["index"] == MAIN[method]]
    wide = rows[rows["wide"].astype(bool)]
    if len(wide):
        limit = "0.1" if method == "sobol" else f"{WIDE[method]:g} of the largest effect"
        worst: Sequence[str] = wide.groupby("outcome").size().sort_values(ascending=False).index
        names = [name.replace("_", " ") for name in list(worst)[:3]]
        sentences.append(
            f"{len(wide)} of {len(rows)} intervals are wide (more than {limit} either way), "
            f"most of them of {join_words(names)}: more "
            f"{'trajectories' if method == 'morris' else 'points'} would narrow them."
        )
    else:
        sentences.append("No interval is wide.")
    return " ".join(sentences)
