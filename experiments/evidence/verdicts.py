"""What the tables of evidence come to: a row and a verdict for each prior and hypothesis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from sim.analysis.likelihood_ratios import FEWEST
from sim.utils.intervals import interval_verdict

from .scores import Score

TOO_FEW = "too few"


def groups(table: pd.DataFrame, *columns: str) -> Iterator[tuple[dict[str, object], pd.DataFrame]]:
    """Yield the rows of each prior and level of more columns, with these levels by column."""
    keys = ["prior_name", *columns]
    for levels, rows in table.groupby(keys, sort=False):
        yield dict(zip(keys, levels, strict=True)), rows


def verdicts(evidence: pd.DataFrame) -> pd.DataFrame:
    """Return the ratio of the first observation, and which have the highest and the lowest.

    `verdict`: whether the first observation is evidence `for` or `against` the hypothesis.

    Args:
        evidence: `likelihood_table` of each prior.
    """
    rows = []
    for levels, table in groups(evidence, "hypothesis"):
        first, sound = table.iloc[0], table[table["few"] < 0]
        ends = first["ratio_low"], first["ratio_high"]
        verdict = interval_verdict(*ends, ("for", "against"), neutral=1.0)
        by_ratio = sound.set_index("observation")["ratio"]
        rows.append(
            {
                **levels,
                **first[["agents", "true", "prior", "observation"]],
                **first[["ratio", "ratio_low", "ratio_high", "posterior"]],
                "highest": None if sound.empty else by_ratio.idxmax(),
                "highest_ratio": by_ratio.max(),
                "lowest": None if sound.empty else by_ratio.idxmin(),
                "lowest_ratio": by_ratio.min(),
                "verdict": verdict if first["few"] < 0 else TOO_FEW,
            }
        )
    return pd.DataFrame(rows)


def peaks(contexts: pd.DataFrame) -> pd.DataFrame:
    """Return in how many contexts those game of which a hypothesis is most often true.

    `verdict`: `rises` (in all steps), `highest at the end`, `rises and falls` (the last interval
    is below that of the peak), `intervals overlap`, or `nobody`.

    Args:
        contexts: `by_contexts` of each prior; counts with fewer than `FEWEST` agents are left out.
    """
    rows = []
    for levels, table in groups(contexts, "hypothesis"):
        sound = table[table["agents"] >= FEWEST]
        if sound.empty or not sound["share"].max() > 0.0:
            rows.append({**levels, "verdict": "nobody"})
            continue
        top, last = sound.loc[sound["share"].idxmax()], sound.iloc[-1]
        if top["contexts"] == last["contexts"]:
            rises = sound["share"].is_monotonic_increasing
            verdict = "rises" if rises else "highest at the end"
        else:
            verdict = "rises and falls" if last["high"] < top["low"] else "intervals overlap"
        rows.append(
            {
                **levels,
                **{key: top[key] for key in ("contexts", "share", "low", "high")},
                "last": last["contexts"],
                **{f"last_{key}": last[key] for key in ("share", "low", "high")},
                "verdict": verdict,
            }
        )
    columns = [*("prior_name", "hypothesis", "contexts", "share", "low", "high", "last")]
    return pd.DataFrame(rows, columns=[*columns, "last_share", "last_low", "last_high", "verdict"])


def predictions(
    scores: Mapping[str, Mapping[str, Score]],
    errors: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> pd.DataFrame:
    """Return areas under the curve and errors of predictions, a row for each hypothesis.

    `gain` is the share of the squared error of the prior that all observations together take off;
    `verdict`: whether the number of contexts gamed tells it `better` or `worse` than chance.

    Args:
        scores: By prior and hypothesis.
        errors: Likewise, as `calibration` returns them.
    """
    rows = []
    for prior, by_hypothesis in scores.items():
        for hypothesis, score in by_hypothesis.items():
            error = errors[prior][hypothesis]
            base = error["score_prior"]
            verdict = interval_verdict(score.low, score.high, ("better", "worse"), neutral=0.5)
            rows.append(
                {
                    "prior_name": prior,
                    "hypothesis": hypothesis,
                    "auc": score.auc,
                    "auc_low": score.low,
                    "auc_high": score.high,
                    **error,
                    "gain": 1.0 - error["score"] / base if base else np.nan,
                    "verdict": TOO_FEW if np.isnan(score.low) else verdict,
                }
            )
    return pd.DataFrame(rows)


def cause_verdicts(cause: pd.DataFrame) -> pd.DataFrame:
    """Return what each cut takes from the first ratio for misalignment of each prior.

    `verdict`: whether cause `adds` to the logarithm of the ratio or `takes away`.

    Args:
        cause: `cause_table` of each prior.
    """
    rows = []
    for _, table in groups(cause[cause["hypothesis"] == "misalignment"], "cut"):
        first = table.iloc[0]
        ends = first["adds_low"], first["adds_high"]
        verdict = interval_verdict(*ends, ("adds", "takes away"))
        row = first.drop(["few", "few_of"]).to_dict()
        row["log_ratio"] = np.log(first["ratio"])
        rows.append({**row, "verdict": TOO_FEW if first["few"] >= 0 else verdict})
    return pd.DataFrame(rows)
