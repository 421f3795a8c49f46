"""Conditions that hold agents back, by gaming and by alignment (what agents value).

Four questions, each answered for each group of agents:

    binding   which term of the worst case has the largest shortfall (`sim.analysis.worst_case`)
    last      of agents that lack one term alone: which one it is
    slips     of agents that lack consistency: in which context before deployment the probability
              of a response that does not look best is greatest
    weakest   of agents that would gain by acting freely: which factor of P(success) is smallest
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.analysis.worst_case import TERMS
from sim.dynamics.state import Array
from sim.specs.oversight import STEP_CAPABILITIES, Oversight
from sim.specs.scenario import PRE_DEPLOYMENT, Scenario

from .funnel import AFTERWARDS, GAMING, Flags, Funnel, share_columns

#: Thirds of the agents, by alignment.
ALIGNMENT = ("least", "middle", "most")
#: Groups of agents: the grouping, and the group.
GROUPS = (
    ("all", "all"),
    *(("gaming", name) for name in GAMING),
    *(("alignment", name) for name in ALIGNMENT),
)
QUESTIONS = ("binding", "last", "slips", "weakest")
#: The answer for an agent that lacks no term.
NO_TERM = "none"
#: The factors of P(success).
FACTORS = ("inspection", *STEP_CAPABILITIES, "quorum")
#: Of fewer agents no verdict is drawn.
MINIMUM_AGENTS = 20


def binding(funnel: Funnel, *, oversight: Oversight) -> pd.DataFrame:
    """Count the answers to each of `QUESTIONS`; a step that oversight ignores stops nobody.

    Returns:
        A row for each question, group and answer: `question`, `by` and `group` (of `GROUPS`),
        `what` (a term, `none`, a context, or a factor), `count`, `of` (how many agents of the group
        the question concerns), `share` with a 95 % exact binomial interval; nan where it concerns
        nobody.
    """
    case = funnel.case
    holds = case["met"].values
    final = funnel.audit.final
    scenario = Scenario.parse(final.provenance["scenario"], path="scenario")
    contexts = list(scenario.of_kind(*PRE_DEPLOYMENT))
    slip = final.data["slip"].isel(step=-1).sel(context=contexts).values
    factors = success_factors(funnel, oversight)
    terms = (*TERMS, NO_TERM)
    bound = np.array([terms.index(name or NO_TERM) for name in case["binding"].values])
    # For each question its answers, that of each agent, and the agents that it concerns.
    answers: dict[str, tuple[Sequence[str], NDArray[np.int_], Flags]] = {
        "binding": (terms, bound, np.ones(len(holds), dtype=bool)),
        "last": (TERMS, (~holds).argmax(axis=1), case["lacking"].values == 1),
        "slips": (contexts, slip.argmax(axis=1), ~holds[:, TERMS.index("consistency")]),
        "weakest": (FACTORS, factors.argmin(axis=1), case["gain"].values > 0.0),
    }
    rows = []
    for question, (names, answer, concerned) in answers.items():
        for (by, group), flags in groups_of(funnel).items():
            members = flags & concerned
            counts = np.bincount(answer[members], minlength=len(names))
            rows += [
                (question, by, group, name, int(count), int(members.sum()))
                for name, count in zip(names, counts, strict=True)
            ]
    frame = pd.DataFrame(rows, columns=["question", "by", "group", "what", "count", "of"])
    shares = share_columns(frame["count"], frame["of"], "share", "share_low", "share_high")
    return frame.assign(**shares)


def groups_of(funnel: Funnel) -> dict[tuple[str, str], Flags]:
    """Return the members [agent] of each of `GROUPS`, in order.

    Agents without an alignment (whose values are all zero) are in none of its thirds.
    """
    alignment = funnel.case["alignment"].values
    defined = np.flatnonzero(~np.isnan(alignment))
    order = defined[np.argsort(alignment[defined], kind="stable")]
    groups: dict[tuple[str, str], Flags] = {("all", "all"): np.ones(len(alignment), dtype=bool)}
    for index, name in enumerate(GAMING):
        groups["gaming", name] = funnel.gaming == index
    for name, third in zip(ALIGNMENT, np.array_split(order, len(ALIGNMENT)), strict=True):
        groups["alignment", name] = np.isin(np.arange(len(alignment)), third)
    return groups


def success_factors(funnel: Funnel, oversight: Oversight) -> Array:
    """Return the factors of P(success) [agent, factor], in the order of `FACTORS`."""
    case = funnel.case
    factors = np.ones((case.sizes["agent"], len(FACTORS)))
    if oversight.inspection.when_found != "ignore":
        factors[:, 0] = case["stick"].values
    for column, name in enumerate(STEP_CAPABILITIES, start=1):
        if oversight.step(name).when_found != "ignore":
            factors[:, column] = case[f"pass.{name}"].values
    factors[:, -1] = case["quorum"].values
    return factors


def verdict_frame(
    stages: pd.DataFrame, by_gaming: pd.DataFrame, bound: pd.DataFrame
) -> pd.DataFrame:
    """Judge the funnel (`stage_frame`), its groups (`gaming_frame`) and `binding`.

    Returns:
        `question`, `by`, `group`, `verdict`, `share` and `of` (the agents concerned). `narrowing`:
        the stage after gaming that the smallest share passes. `evidence`, by term: whether it is
        more or less common among agents that game everywhere than among agents that game nowhere,
        by 95 % intervals that are apart. `QUESTIONS`, by group: the most frequent answer. Nothing
        is judged of fewer than `MINIMUM_AGENTS`, but evidence.
    """
    rows: list[tuple[object, ...]] = []
    before = stages["count"].shift(1, fill_value=0)
    is_judged = stages["stage"].isin((*TERMS, *AFTERWARDS)) & (before >= MINIMUM_AGENTS)
    if is_judged.any():
        narrowest = stages.loc[stages["narrowing"].where(is_judged).idxmin()]
        share, total = narrowest["narrowing"], before[narrowest.name]
        rows.append(("narrowing", "all", "all", narrowest["stage"], share, total))
    for term, row in by_gaming.set_index("condition").loc[list(TERMS)].iterrows():
        more = row["everywhere_low"] > row["nowhere_high"]
        less = row["everywhere_high"] < row["nowhere_low"]
        verdict = "more common" if more else "less common" if less else "no difference"
        share, total = row["everywhere_share"], int(row["everywhere_of"])
        rows.append(("evidence", "term", term, verdict, share, total))
    for key, group in bound.groupby(["question", "by", "group"], sort=False):
        top = group.loc[group["count"].idxmax()]
        if top["of"] >= MINIMUM_AGENTS:
            rows.append((*key, top["what"], top["share"], top["of"]))
    return pd.DataFrame(rows, columns=["question", "by", "group", "verdict", "share", "of"])
