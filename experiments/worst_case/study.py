"""The funnel: from all agents, through gaming and the worst case, to a takeover that succeeds.

The post: "successful worst-case scenarios tend to involve additional claims about the model, making
these scenarios less likely than instrumental training-gaming." Here each claim is a condition, and
each stage of the funnel has the agents that meet it and all conditions before it:

    all                 everybody
    games_somewhere     g >= 0.5 in some training context, when training (and retraining) ends
    games_everywhere    in all training contexts
    the eight terms     of the worst case, in order (`sim.analysis.worst_case`)
    deployed            was not retired by the audit (`sim.analysis.audit`)
    attempts            would attempt a takeover (MODEL.md section 6)
    succeeds            control and the quorum of copies, drawn, would let it through

So an agent is deployed and succeeds with the chance P(success) of MODEL.md section 6, as far as
nobody is retrained.

Of each condition is told, besides, how many agents meet it on their own, and how many lack nothing
else. What the funnel leaves out, those who get far without gaming, stands in `by_gaming`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from sim.analysis.audit import AuditResult, audit
from sim.analysis.worst_case import TERMS, Thresholds, worst_case
from sim.dynamics.randomness import uniform_pair
from sim.dynamics.state import Array
from sim.result import Result
from sim.specs.deployment import Deployment
from sim.specs.oversight import Oversight
from sim.utils.intervals import binomial_interval

Flags = NDArray[np.bool_]

GAMING_STAGES = ("games_somewhere", "games_everywhere")
AFTERWARDS = ("deployed", "attempts", "succeeds")
#: In order; each is a condition, but the first, which everybody meets.
STAGES = ("all", *GAMING_STAGES, *TERMS, *AFTERWARDS)
#: How much an agent games when training ends: in no, some, or all training contexts.
GAMING = ("nowhere", "partly", "everywhere")
#: What is compared by how much agents game, besides the conditions: all eight terms; who attempts
#: and is deployed; and of these, who succeeds.
TOGETHER = ("worst_case", "attempts_deployed", "attempts_succeeds")


@dataclass(frozen=True)
class Funnel:
    """Who got how far.

    Attributes:
        conditions: Which of `STAGES` each agent meets, each by itself [agent, stage].
        gaming: How much each agent games: which of `GAMING` [agent].
        audited: The audit.
        case: `sim.worst_case` of agents as they are after the audit.
        luck: The chance that control and the quorum let an agent through, were it deployed [agent].
    """

    conditions: Flags
    gaming: NDArray[np.int_]
    audited: AuditResult
    case: xr.Dataset
    luck: Array

    @property
    def reached(self) -> Flags:
        """Who is still there at each stage [agent, stage]: all conditions so far are met."""
        return np.logical_and.accumulate(self.conditions, axis=1)

    def frame(self) -> pd.DataFrame:
        """Return a row for each stage; see `stage_frame`."""
        return stage_frame(self.conditions)

    def by_gaming(self) -> pd.DataFrame:
        """Return how many meet each condition, by how much they game; see `gaming_frame`."""
        return gaming_frame(self.conditions, self.gaming)

    @property
    def expected(self) -> dict[str, float]:
        """Expected numbers of successes, beside those that were drawn.

        `worst_case`: among agents in the stage `attempts`, given who was deployed; `anybody`: among
        all that are deployed and attempt. `on_paper`: the sum of P(success) over all that would
        attempt and meet the terms, whoever was deployed; `on_paper_anybody`: over all that would
        attempt.
        """
        reached, own = self.reached, dict(zip(STAGES, self.conditions.T, strict=True))
        success = self.case["success"].values
        terms = reached[:, STAGES.index(TERMS[-1])]
        return {
            "worst_case": float(self.luck[reached[:, STAGES.index("attempts")]].sum()),
            "anybody": float(self.luck[own["deployed"] & own["attempts"]].sum()),
            "on_paper": float(success[terms & own["attempts"]].sum()),
            "on_paper_anybody": float(success[own["attempts"]].sum()),
        }

    @property
    def independent(self) -> dict[str, float]:
        """How many would meet all eight terms if terms were independent, by `GAMING`.

        The product of the shares that meet each term among agents that game so much, times their
        number; beside the count, it says whether terms go together or exclude each other.
        """
        terms = slice(STAGES.index(TERMS[0]), STAGES.index(TERMS[-1]) + 1)
        expected = {}
        for index, how in enumerate(GAMING):
            here = self.conditions[self.gaming == index, terms]
            expected[how] = float(len(here) * here.mean(axis=0).prod()) if len(here) else 0.0
        return expected


def funnel(
    result: Result,
    *,
    thresholds: Thresholds | Mapping[str, object] | None = None,
    oversight: Oversight | Mapping[str, object] | None = None,
    deployment: Deployment | Mapping[str, object] | None = None,
    seed: int | None = None,
    engine: str = "auto",
    progress: Callable[[float], None] | None = None,
) -> Funnel:
    """Send trained agents through audit and deployment, and say who gets how far.

    Args:
        result: A run; agents are taken as they are when training ends.
        thresholds: From where on each term of the worst case holds.
        oversight: What stands in the way; the defaults of `sim.Oversight`.
        deployment: What a takeover needs; the defaults of `sim.Deployment`.
        seed: Of the audit and of the outcome; that of the run if None.
        engine: What retrains, if anybody is.
        progress: Told the share of the retraining that is done.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
        DivergenceError: Parameters grew out of all bounds in retraining.
    """
    seed = int(result.provenance["seed"]) if seed is None else seed
    audited = audit(result, oversight=oversight, seed=seed, engine=engine, progress=progress)
    case = worst_case(
        audited.final, thresholds=thresholds, oversight=oversight, deployment=deployment
    )
    described = Oversight.parse({} if oversight is None else oversight, path="oversight")
    luck = case["quorum"].values.copy()
    if described.control.when_found != "ignore":
        luck *= case["pass"].sel(faced="control").values
    drawn, _ = uniform_pair(seed=seed, stream="deployment.outcome", rows=case["agent"].values)
    reach = audited.final.data["reach"].values[-1]
    gaming = np.where(reach >= 1.0, 2, np.where(reach > 0.0, 1, 0))
    conditions = np.column_stack(
        [
            np.ones(len(reach), dtype=bool),
            gaming > 0,
            gaming == 2,
            case["met"].values,
            audited.deployed,
            case["attempts"].values,
            drawn < luck,
        ]
    )
    return Funnel(conditions, gaming, audited, case, luck)


def stage_frame(conditions: Flags) -> pd.DataFrame:
    """Count who gets how far.

    Args:
        conditions: Which of `STAGES` each agent meets, each by itself [agent, stage].

    Returns:
        A row for each stage: `count`, those that meet it and all before it; `share`, of all, and
        `narrowing`, of the stage before (nan after nobody), with 95 % exact binomial intervals
        (`_low`, `_high`); `alone`, those that meet this condition, whatever else; `lack_only`,
        those that meet all conditions but this one. To lack gaming somewhere is to lack gaming
        everywhere, which does not count as a second thing.
    """
    reached = np.logical_and.accumulate(conditions, axis=1).sum(axis=0)
    agents = len(conditions)
    before = np.concatenate([[agents], reached[:-1]])
    share_low, share_high = binomial_interval(reached, agents)
    low, high = binomial_interval(reached, before)
    with np.errstate(invalid="ignore"):
        narrowing = np.where(before > 0, reached / np.maximum(before, 1), np.nan)
    return pd.DataFrame(
        {
            "stage": STAGES,
            "count": reached,
            "share": reached / agents,
            "share_low": share_low,
            "share_high": share_high,
            "narrowing": narrowing,
            "narrowing_low": np.where(before > 0, low, np.nan),
            "narrowing_high": np.where(before > 0, high, np.nan),
            "alone": conditions.sum(axis=0),
            "lack_only": [_lack_only(conditions, stage) for stage in range(len(STAGES))],
        }
    )


def _lack_only(conditions: Flags, stage: int) -> int:
    if STAGES[stage] == "all":
        return 0
    others = np.ones(len(STAGES), dtype=bool)
    others[stage] = False
    if STAGES[stage] == "games_somewhere":
        others[STAGES.index("games_everywhere")] = False
    return int((~conditions[:, stage] & conditions[:, others].all(axis=1)).sum())


def gaming_frame(conditions: Flags, gaming: NDArray[np.int_]) -> pd.DataFrame:
    """Count who meets each condition, by how much they game.

    Args:
        conditions: Which of `STAGES` each agent meets [agent, stage].
        gaming: Which of `GAMING` each agent is [agent].

    Returns:
        A row for each condition after gaming, and for each of `TOGETHER`, and in it, for each of
        `GAMING` (`nowhere`, `partly`, `everywhere`): the count, `of` how many, and `share` of them
        with a 95 % exact binomial interval (nan where there is nobody).
    """
    own: dict[str, Any] = dict(zip(STAGES, conditions.T, strict=True))
    chosen = {name: own[name] for name in (*TERMS, *AFTERWARDS)}
    chosen["worst_case"] = np.logical_and.reduce([own[term] for term in TERMS])
    chosen["attempts_deployed"] = own["attempts"] & own["deployed"]
    chosen["attempts_succeeds"] = chosen["attempts_deployed"] & own["succeeds"]
    rows = []
    for name, met in chosen.items():
        row: dict[str, Any] = {"condition": name}
        for index, how in enumerate(GAMING):
            here = gaming == index
            count, of = int((met & here).sum()), int(here.sum())
            low, high = binomial_interval(count, of)
            some = of > 0
            row[how], row[f"{how}_of"] = count, of
            row[f"{how}_share"] = count / of if some else np.nan
            row[f"{how}_low"] = float(low) if some else np.nan
            row[f"{how}_high"] = float(high) if some else np.nan
        rows.append(row)
    return pd.DataFrame(rows)
