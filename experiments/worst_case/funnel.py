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

So an agent is deployed and succeeds with probability P(success) of MODEL.md section 6, as far as
nobody is retrained. Agents that get far without gaming are counted in `gaming_frame`.
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
#: Conjunctions that are compared by gaming, besides the conditions: all eight terms; attempts and
#: is deployed; attempts, is deployed and succeeds.
CONJUNCTIONS = ("worst_case", "attempts_deployed", "attempts_succeeds")


#: What stages are called in figures, where that is more than their name.
STAGE_LABELS = {
    "all": "all agents",
    "misalignment": "egregious misalignment",
    "consistency": "consistency before deployment",
    "behaviour_shift": "behaviour shift in deployment",
    "deployed": "deployed: passes the audit",
    "attempts": "attempts a takeover",
}


def stage_name(stage: str) -> str:
    """Return the label of a stage in figures and tables."""
    return STAGE_LABELS.get(stage, stage.replace("_", " "))


@dataclass(frozen=True)
class Funnel:
    """The conditions that each agent of a population meets.

    Attributes:
        conditions: Which of `STAGES` each agent meets, each by itself [agent, stage].
        gaming: How much each agent games: index into `GAMING` [agent].
        audit: The audit.
        case: `sim.worst_case` of agents as they are after the audit.
        takeover_if_deployed: Probability of a takeover that an agent attempts once deployed:
            control lets it pass, and copies reach a quorum [agent].
    """

    conditions: Flags
    gaming: NDArray[np.int_]
    audit: AuditResult
    case: xr.Dataset
    takeover_if_deployed: Array

    @property
    def reached(self) -> Flags:
        """Which agents meet all conditions up to each stage [agent, stage]."""
        return reached_stages(self.conditions)

    def frame(self) -> pd.DataFrame:
        """Count agents by stage, a row for each; see `stage_frame`."""
        return stage_frame(self.conditions)

    def by_gaming(self) -> pd.DataFrame:
        """Count agents by condition and gaming; see `gaming_frame`."""
        return gaming_frame(self.conditions, self.gaming)

    @property
    def expected(self) -> dict[str, float]:
        """Expected numbers of successes.

        `worst_case`: among agents in the stage `attempts`, with the audit as drawn; `anybody`:
        among all that are deployed and attempt. `on_paper`: the sum of P(success) over all that
        attempt, game everywhere and meet the terms, with the audit in expectation;
        `on_paper_anybody`: over all that attempt.
        """
        reached, own = self.reached, dict(zip(STAGES, self.conditions.T, strict=True))
        success = self.case["success"].values
        terms = reached[:, STAGES.index(TERMS[-1])]
        return {
            "worst_case": float(
                self.takeover_if_deployed[reached[:, STAGES.index("attempts")]].sum()
            ),
            "anybody": float(self.takeover_if_deployed[own["deployed"] & own["attempts"]].sum()),
            "on_paper": float(success[terms & own["attempts"]].sum()),
            "on_paper_anybody": float(success[own["attempts"]].sum()),
        }

    @property
    def independent(self) -> dict[str, float]:
        """Expected number that meets all eight terms if terms were independent, by `GAMING`.

        The product of the shares that meet each term among agents that game so much, times their
        number.
        """
        terms = slice(STAGES.index(TERMS[0]), STAGES.index(TERMS[-1]) + 1)
        expected = {}
        for index, group in enumerate(GAMING):
            flags = self.conditions[self.gaming == index, terms]
            expected[group] = float(len(flags) * flags.mean(axis=0).prod()) if len(flags) else 0.0
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
    """Audit trained agents, deploy them, and test each condition of the worst case.

    Args:
        result: A run; agents are taken as they are when training ends.
        thresholds: From where on each term of the worst case holds.
        oversight: Audit and control; the defaults of `sim.Oversight`.
        deployment: Copies, quorum and caution; the defaults of `sim.Deployment`.
        seed: Of the audit and of the outcome; that of the run if None.
        engine: For retraining.
        progress: Called with the share of the retraining that is finished.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
        DivergenceError: Parameters grew out of all bounds in retraining.
    """
    seed = int(result.provenance["seed"]) if seed is None else seed
    audit_result = audit(result, oversight=oversight, seed=seed, engine=engine, progress=progress)
    case = worst_case(
        audit_result.final, thresholds=thresholds, oversight=oversight, deployment=deployment
    )
    parsed = Oversight.parse({} if oversight is None else oversight, path="oversight")
    probability = case["quorum"].values.copy()
    if parsed.control.when_found != "ignore":
        probability *= case["pass"].sel(faced="control").values
    uniform, _ = uniform_pair(seed=seed, stream="deployment.outcome", rows=case["agent"].values)
    reach = audit_result.final.data["reach"].values[-1]
    gaming = np.where(reach >= 1.0, 2, np.where(reach > 0.0, 1, 0))
    conditions = np.column_stack(
        [
            np.ones(len(reach), dtype=bool),
            gaming > 0,
            gaming == 2,
            case["met"].values,
            audit_result.deployed,
            case["attempts"].values,
            uniform < probability,
        ]
    )
    return Funnel(conditions, gaming, audit_result, case, probability)


def reached_stages(conditions: Flags) -> Flags:
    """Test which agents meet all conditions up to each stage [agent, stage]."""
    return np.logical_and.accumulate(conditions, axis=1)


def stage_frame(conditions: Flags) -> pd.DataFrame:
    """Count agents that meet all conditions up to each stage, a row for each stage.

    Args:
        conditions: Which of `STAGES` each agent meets, each by itself [agent, stage].

    Returns:
        `count`, agents that meet it and all before it; `share`, of all, and `narrowing`, of the
        stage before (nan after nobody), with 95 % exact binomial intervals (`_low`, `_high`);
        `alone`, agents that meet this condition, whatever else; `lack_only`, agents that meet all
        conditions but this one. To lack gaming somewhere is to lack gaming everywhere, which does
        not count as a second condition.
    """
    reached = reached_stages(conditions).sum(axis=0)
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
    """Count agents that meet each condition, by how much they game.

    Args:
        conditions: Which of `STAGES` each agent meets [agent, stage].
        gaming: Index into `GAMING` [agent].

    Returns:
        A row for each condition after gaming, and for each of `CONJUNCTIONS`, and in it, for each of
        `GAMING` (`nowhere`, `partly`, `everywhere`): the count, `of` how many, and `share` of them
        with a 95 % exact binomial interval (nan where there is nobody).
    """
    own: dict[str, Any] = dict(zip(STAGES, conditions.T, strict=True))
    columns = {name: own[name] for name in (*TERMS, *AFTERWARDS)}
    columns["worst_case"] = np.logical_and.reduce([own[term] for term in TERMS])
    columns["attempts_deployed"] = own["attempts"] & own["deployed"]
    columns["attempts_succeeds"] = columns["attempts_deployed"] & own["succeeds"]
    rows = []
    for name, met in columns.items():
        row: dict[str, Any] = {"condition": name}
        for index, group in enumerate(GAMING):
            members = gaming == index
            count, total = int((met & members).sum()), int(members.sum())
            low, high = binomial_interval(count, total)
            row[group], row[f"{group}_of"] = count, total
            row[f"{group}_share"] = count / total if total else np.nan
            row[f"{group}_low"] = float(low) if total else np.nan
            row[f"{group}_high"] = float(high) if total else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def evidence_frame(by_gaming: pd.DataFrame) -> pd.DataFrame:
    """Compare agents that game everywhere with agents that game nowhere, a row for each term.

    Args:
        by_gaming: Of `gaming_frame`.

    Returns:
        `term`, both shares that meet it, and `verdict`: more common or less common among agents
        that game everywhere where the 95 % intervals are apart, else no difference.
    """
    rows = by_gaming[by_gaming["condition"].isin(TERMS)]
    more = rows["everywhere_low"] > rows["nowhere_high"]
    less = rows["everywhere_high"] < rows["nowhere_low"]
    verdict = np.select([more, less], ["more common", "less common"], "no difference")
    return pd.DataFrame(
        {
            "term": rows["condition"],
            "nowhere": rows["nowhere_share"],
            "everywhere": rows["everywhere_share"],
            "verdict": verdict,
        }
    )
