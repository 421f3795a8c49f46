"""The closing tables of the study of evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Column, Table

from experiments.evidence.hypotheses import HYPOTHESES
from sim.analysis.observations import NO_SIGN
from sim.utils.format import percent, shown

#: Besides the first observation, those whose causes are shown; cause.csv has all.
_TOLD = ("games in 2 or more", "opaque gaming", "compliance gap", NO_SIGN)


def closing(evidence: pd.DataFrame, cause: pd.DataFrame, says: Mapping[str, str]) -> RenderableType:
    """Return a table for each hypothesis, one of what is cause, and what the numbers say."""
    parts: list[RenderableType] = [ratio_table(evidence, name) for name in HYPOTHESES]
    if not cause.empty:
        parts.append(_cause_table(cause))
    return Group(*parts, *(f"\n{text}" for text in says.values()))


def ratio_table(evidence: pd.DataFrame, hypothesis: str) -> Table:
    """Return likelihood ratios and posteriors of a hypothesis, a row for each observation."""
    of = evidence[evidence["hypothesis"] == hypothesis]
    priors = list(dict.fromkeys(of["prior_name"]))
    base = {name: of.loc[of["prior_name"] == name, "prior"].iloc[0] for name in priors}
    table = Table(
        Column("what is seen", no_wrap=True),
        *(Column(f"{name}: {percent(base[name])} before", justify="right") for name in priors),
        title=f"{hypothesis}: likelihood ratio [95 %] → P afterwards",
        title_justify="left",
    )
    for observation, rows in of.groupby("observation", sort=False):
        by = rows.set_index("prior_name")
        table.add_row(str(observation), *(_ratio(by.loc[name]) for name in priors))
    return table


def _ratio(row: pd.Series) -> str:
    if row["few"] >= 0:
        return f"too few ({row['few']} {row['few_of']})"
    return (
        f"{shown(row['ratio'], 2)} [{shown(row['ratio_low'], 2)}, {shown(row['ratio_high'], 2)}] → "
        f"{percent(row['posterior'])}"
    )


def _cause_table(cause: pd.DataFrame) -> Table:
    of = cause[cause["hypothesis"] == "misalignment"]
    of = of[of["observation"].isin([of["observation"].iloc[0], *_TOLD])]
    priors = list(dict.fromkeys(of["prior_name"]))
    table = Table(
        Column("what is seen", no_wrap=True),
        "cut",
        *(Column(name, justify="right") for name in priors),
        title="misalignment: what cause adds to the logarithm of the likelihood ratio [95 %]",
        title_justify="left",
        caption="Feedback: gaming moves nothing but habit. Gaming: nobody games, so nothing is "
        "shielded from training. The observation stays that of the agent as it was trained.",
        caption_justify="left",
    )
    for (observation, cut), rows in of.groupby(["observation", "cut"], sort=False):
        by = rows.set_index("prior_name")
        table.add_row(str(observation), str(cut), *(_adds(by.loc[name]) for name in priors))
    return table


def _adds(row: pd.Series) -> str:
    if row["few"] >= 0 or math.isnan(row["adds"]):
        return f"too few ({row['few']} {row['few_of']})"
    ends = f"[{shown(row['adds_low'], 2)}, {shown(row['adds_high'], 2)}]"
    return f"{shown(row['adds'], 2)} {ends}"
