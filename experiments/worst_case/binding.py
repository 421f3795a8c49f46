"""What holds agents back: which condition binds where.

Four questions, each answered by how much agents game and by how aligned they are:

    binding   which term of the worst case has the largest shortfall (`sim.analysis.worst_case`)
    last      of agents that lack one term alone: which one it is
    slips     of agents that lack consistency: in which context before deployment the chance of a
              response that does not look best is greatest
    weakest   of agents that would gain by acting freely: which factor of P(success) is smallest
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.worst_case.study import GAMING, Funnel
from sim.analysis.worst_case import TERMS
from sim.dynamics.state import Array
from sim.specs.oversight import FACED_WITH, Oversight
from sim.specs.scenario import PRE_DEPLOYMENT, Scenario
from sim.utils.intervals import binomial_interval

#: By how aligned agents are, in three parts of (nearly) the same size.
ALIGNMENT = ("least", "middle", "most")
#: Groups of agents: by what, and which.
GROUPS = (
    ("all", "all"),
    *(("gaming", name) for name in GAMING),
    *(("alignment", name) for name in ALIGNMENT),
)
QUESTIONS = ("binding", "last", "slips", "weakest")
#: Of an agent that lacks no term.
NOTHING = "none"
#: All that P(success) is a product of.
FACTORS = ("inspection", *FACED_WITH, "quorum")


def binding(found: Funnel, *, oversight: Oversight) -> pd.DataFrame:
    """Count what holds agents back.

    Args:
        found: A funnel.
        oversight: What stands in the way; a step that is ignored stops nobody.

    Returns:
        A row for each question, group and answer: `question` (of `QUESTIONS`), `by` and `group`
        (of `GROUPS`), `what` (a term, `none`, a context, or a factor), `count`, `of` (how many
        agents of the group the question is asked of), `share` with a 95 % exact binomial interval;
        nan where it is asked of nobody.
    """
    case = found.case
    met = case["met"].values
    scenario = Scenario.parse(found.audited.final.provenance["scenario"], path="scenario")
    seen = list(scenario.of_kind(*PRE_DEPLOYMENT))
    slip = found.audited.final.data["slip"].isel(step=-1).sel(context=seen).values
    factors = success_factors(found, oversight)
    answers: dict[str, tuple[Sequence[str], NDArray[np.int_], NDArray[np.bool_]]] = {
        "binding": (
            (*TERMS, NOTHING),
            _numbers(case["binding"].values),
            np.ones(len(met), dtype=bool),
        ),
        "last": (TERMS, (~met).argmax(axis=1), case["lacking"].values == 1),
        "slips": (seen, slip.argmax(axis=1), ~met[:, TERMS.index("consistency")]),
        "weakest": (FACTORS, factors.argmin(axis=1), case["gain"].values > 0.0),
    }
    groups = groups_of(found)
    rows = []
    for question, (names, answer, asked) in answers.items():
        for by, group in GROUPS:
            here = groups[by, group] & asked
            counts = np.bincount(answer[here], minlength=len(names))
            rows += [
                (question, by, group, name, int(count), int(here.sum()))
                for name, count in zip(names, counts, strict=True)
            ]
    frame = pd.DataFrame(rows, columns=["question", "by", "group", "what", "count", "of"])
    some = frame["of"].to_numpy() > 0
    low, high = binomial_interval(frame["count"], frame["of"])
    share = frame["count"].to_numpy() / np.maximum(frame["of"].to_numpy(), 1)
    for name, numbers in (("share", share), ("share_low", low), ("share_high", high)):
        frame[name] = np.where(some, numbers, np.nan)
    return frame


def groups_of(found: Funnel) -> dict[tuple[str, str], NDArray[np.bool_]]:
    """Return who is in each of `GROUPS`.

    Agents without an alignment (whose values are all zero) are in none of its thirds.
    """
    alignment = found.case["number"].sel(term="misalignment").values
    known = np.flatnonzero(~np.isnan(alignment))
    order = known[np.argsort(alignment[known], kind="stable")]
    groups: dict[tuple[str, str], NDArray[np.bool_]] = {
        ("all", "all"): np.ones(len(alignment), dtype=bool)
    }
    for index, name in enumerate(GAMING):
        groups["gaming", name] = found.gaming == index
    for name, third in zip(ALIGNMENT, np.array_split(order, len(ALIGNMENT)), strict=True):
        groups["alignment", name] = np.isin(np.arange(len(alignment)), third)
    return groups


def success_factors(found: Funnel, oversight: Oversight) -> Array:
    """Return the factors of P(success) [agent, factor], in the order of `FACTORS`."""
    case = found.case
    factors = np.ones((case.sizes["agent"], len(FACTORS)))
    if oversight.inspection.when_found != "ignore":
        factors[:, 0] = case["stick"].values
    for column, name in enumerate(FACED_WITH, start=1):
        if oversight.step(name).when_found != "ignore":
            factors[:, column] = case["pass"].sel(faced=name).values
    factors[:, -1] = case["quorum"].values
    return factors


def _numbers(names: NDArray[np.str_]) -> NDArray[np.int_]:
    """Return the number of each agent's binding term; that of `NOTHING` where there is none."""
    number = np.full(len(names), len(TERMS))
    for index, term in enumerate(TERMS):
        number[names == term] = index
    return number
