"""What the study of evidence found, in words that its numbers choose."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from experiments.evidence.scores import Score
from sim.analysis.likelihood_ratios import FEWEST
from sim.analysis.observations import NO_SIGN
from sim.utils.format import join_words, percent, shown

_STUDIED = ("misalignment", "near worst case")


def said(
    evidence: pd.DataFrame,
    cause: pd.DataFrame,
    contexts: pd.DataFrame,
    *,
    scores: Mapping[str, Mapping[str, Score]],
    errors: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> dict[str, str]:
    """Return paragraphs, by what they are about; tables as the command writes them.

    Args:
        evidence: `likelihood_table` for each prior, with a column `prior_name`.
        cause: `cause_table` likewise; may be empty.
        contexts: `by_contexts` likewise.
        scores: By prior and hypothesis.
        errors: Of predictions, by prior and hypothesis.
    """
    told = {
        f"evidence of {name}": " ".join(
            _of_prior(prior, rows, contexts, name)
            for prior, rows in evidence[evidence["hypothesis"] == name].groupby(
                "prior_name", sort=False
            )
        )
        for name in _STUDIED
    }
    told["rare"] = _rare(evidence)
    if not cause.empty:
        told["cause"] = _cause(cause)
    told["prediction"] = _prediction(scores, errors)
    return {name: text for name, text in told.items() if text}


def contexts_sentence(contexts: pd.DataFrame, hypothesis: str, prior: str) -> str:
    """Say where the chance of a hypothesis is highest, by contexts gamed; "" if it is nowhere."""
    rows = contexts[
        (contexts["hypothesis"] == hypothesis)
        & (contexts["prior_name"] == prior)
        & (contexts["agents"] >= FEWEST)
    ]
    if rows.empty or not rows["share"].max() > 0.0:
        return ""
    top, last = rows.loc[rows["share"].idxmax()], rows.iloc[-1]
    share = percent(top["share"])
    if top["contexts"] == last["contexts"]:
        return (
            "the more contexts an agent games in, up to all seen, the likelier: "
            f"{share} of those that game in {top['contexts']} contexts"
            if rows["share"].is_monotonic_increasing
            else f"most often true of those that game in {top['contexts']} contexts ({share})"
        )
    clear = "" if last["high"] < top["low"] else " (the intervals overlap)"
    return (
        f"most often true of those that game in {top['contexts']} contexts "
        f"({share}), and of {percent(last['share'])} of those that game in "
        f"{last['contexts']}{clear}"
    )


def _of_prior(prior: object, rows: pd.DataFrame, contexts: pd.DataFrame, name: str) -> str:
    before = rows["prior"].iloc[0]
    sound = rows[rows["few"] < 0]
    if sound.empty:
        return f"Under the prior {prior}, too few agents are {name} to say what tells of it."
    first = rows.iloc[0]
    text = (
        f"Under the prior {prior}, {name!r} is true of {percent(before)} of agents before anything "
        "is seen. "
    )
    if first["few"] < 0:
        text += (
            f"{str(first['observation']).capitalize()}: {_ratio(first)}, so "
            f"{percent(first['posterior'])} afterwards. "
        )
    strongest, weakest = sound.loc[sound["ratio"].idxmax()], sound.loc[sound["ratio"].idxmin()]
    text += (
        f"Of all that may be seen, {strongest['observation']!r} has the highest "
        f"({_ratio(strongest)}) and {weakest['observation']!r} the lowest ({_ratio(weakest)}). "
    )
    nothing = rows[rows["observation"] == NO_SIGN].iloc[0]
    text += f"Where nothing is seen, {percent(nothing['posterior'])} are left. "
    curve = contexts_sentence(contexts, name, str(prior))
    return text + (f"By the number of contexts, {curve}." if curve else "")


def _ratio(row: pd.Series) -> str:
    ends = f"{shown(row['ratio_low'], 2)} to {shown(row['ratio_high'], 2)}"
    return f"likelihood ratio {shown(row['ratio'], 2)}, {ends}"


def _rare(evidence: pd.DataFrame) -> str:
    once = evidence.drop_duplicates(["prior_name", "hypothesis"])
    told = []
    for name in ("worst case", "would attempt"):
        counts = [
            f"{row['true']:,} of {row['agents']:,} under {row['prior_name']}"
            for _, row in once[once["hypothesis"] == name].iterrows()
        ]
        told.append(f"{name}: {join_words(counts)}")
    return f"How many there are of the rarest. {'; '.join(told).capitalize()}."


def _cause(cause: pd.DataFrame) -> str:
    told = []
    rows = cause[(cause["hypothesis"] == "misalignment") & (cause["few"] < 0)]
    for (prior, cut), of in rows.groupby(["prior_name", "cut"], sort=False):
        first = of.iloc[0]
        what = "what gaming feeds back" if cut == "feedback" else "all that gaming does"
        sure = first["adds_low"] > 0.0 or first["adds_high"] < 0.0
        told.append(
            f"Under {prior}, without {what}, the likelihood ratio of {first['observation']!r} for "
            f"misalignment is {shown(first['ratio_cut'], 2)} instead of "
            f"{shown(first['ratio'], 2)}: of its logarithm, {shown(np.log(first['ratio']), 2)}, "
            f"cause adds {shown(first['adds'], 2)} ({shown(first['adds_low'], 2)} to "
            f"{shown(first['adds_high'], 2)}){'' if sure else ', which may be chance'}."
        )
    return " ".join(told)


def _prediction(
    scores: Mapping[str, Mapping[str, Score]],
    errors: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> str:
    told = []
    for prior, by in scores.items():
        one, error = by["misalignment"], errors[prior]["misalignment"]
        if np.isnan(one.low):
            continue
        better = 1.0 - error["score"] / error["score_prior"] if error["score_prior"] else 0.0
        told.append(
            f"Under {prior}, the number of contexts gamed tells the misaligned from others with an "
            f"area under the curve of {shown(one.auc, 2)} ({shown(one.low, 2)} to "
            f"{shown(one.high, 2)}; 0.5 is chance); all observations together take "
            f"{percent(max(better, 0.0))} off the squared error of the prior alone, and predicted "
            f"chances are {shown(100 * error['error'], 1)} points off on average."
        )
    return " ".join(told)
