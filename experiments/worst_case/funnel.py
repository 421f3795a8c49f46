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
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from sim.analysis.audit import AuditResult, audit
from sim.analysis.worst_case import TERMS, Thresholds, worst_case
from sim.dynamics.randomness import uniform_pair
from sim.dynamics.state import Array
from sim.result import Result
from sim.specs.deployment import Deployment
from sim.specs.library import read_yaml
from sim.specs.oversight import Oversight
from sim.specs.scenario import Scenario
from sim.utils.intervals import binomial_interval

Flags = NDArray[np.bool_]

GAMING_STAGES = ("games_somewhere", "games_everywhere")
AFTERWARDS = ("deployed", "attempts", "succeeds")
#: In order; each is a condition, but the first, which everybody meets.
STAGES = ("all", *GAMING_STAGES, *TERMS, *AFTERWARDS)
#: How much an agent games when training ends: in no, some, or all training contexts.
GAMING = ("nowhere", "partly", "everywhere")
#: Of stages, panels, groups and columns in figures.
LABELS: dict[str, Any] = read_yaml(Path(__file__).with_name("labels.yaml"))


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
    def expected(self) -> dict[str, float]:
        """Expected numbers of successes.

        `worst_case`: among agents in the stage `attempts`, with the audit as drawn; `anybody`:
        among all that are deployed and attempt. `on_paper`: the sum of P(success) over all that
        attempt, game everywhere and meet the terms; `on_paper_anybody`: over all that attempt.
        """
        reached, own = by_stage(reached_stages(self.conditions)), by_stage(self.conditions)
        success, deployed = self.case["success"].values, self.takeover_if_deployed
        return {
            "worst_case": float(deployed[reached["attempts"]].sum()),
            "anybody": float(deployed[own["deployed"] & own["attempts"]].sum()),
            "on_paper": float(success[reached[TERMS[-1]] & own["attempts"]].sum()),
            "on_paper_anybody": float(success[own["attempts"]].sum()),
        }

    @property
    def alignment(self) -> Array:
        """Mean alignment of the agents that reach each stage [stage]; nan of nobody."""
        alignment, reached = self.case["alignment"].values, reached_stages(self.conditions)
        has_alignment = reached & ~np.isnan(alignment)[:, None]
        total = np.where(has_alignment, np.nan_to_num(alignment)[:, None], 0.0).sum(axis=0)
        return np.where(
            has_alignment.any(axis=0), total / np.maximum(has_alignment.sum(axis=0), 1), np.nan
        )

    @property
    def independent(self) -> dict[str, float]:
        """Number of agents, by `GAMING`, times the product of their shares that meet each term."""
        terms = slice(STAGES.index(TERMS[0]), STAGES.index(TERMS[-1]) + 1)
        groups = [self.conditions[self.gaming == index, terms] for index in range(len(GAMING))]
        numbers = [float(len(f) * f.mean(axis=0).prod()) if len(f) else 0.0 for f in groups]
        return dict(zip(GAMING, numbers, strict=True))


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
    """Audit the agents of a run, deploy them, and test each condition of the worst case.

    Args:
        result: A run; agents are taken as they are when training ends.
        thresholds: As for `sim.worst_case`, as are oversight and deployment.
        oversight: Audit and control.
        deployment: Copies, quorum and caution.
        seed: Of the audit and of the outcome; that of the run if None.
        engine: For retraining.
        progress: Called with the share of the retraining that is finished.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
        DivergenceError: Parameters grew out of all bounds in retraining.
    """
    seed = int(result.provenance["seed"]) if seed is None else seed
    audited = audit(result, oversight=oversight, seed=seed, engine=engine, progress=progress)
    case = worst_case(
        audited.final, thresholds=thresholds, oversight=oversight, deployment=deployment
    )
    control = Oversight.parse({} if oversight is None else oversight, path="oversight").control
    probability = case["quorum"].values.copy()
    if control.when_found != "ignore":
        probability *= case["pass.control"].values
    uniform, _ = uniform_pair(seed=seed, stream="deployment.outcome", rows=case["agent"].values)
    reach = audited.final.data["reach"].values[-1]
    gaming = np.where(reach >= 1.0, 2, np.where(reach > 0.0, 1, 0))
    first = [np.ones(len(reach), dtype=bool), gaming > 0, gaming == 2, case["met"].values]
    last = [audited.deployed, case["attempts"].values, uniform < probability]
    return Funnel(np.column_stack([*first, *last]), gaming, audited, case, probability)


def misaligned_beside(result: Result, scenario: Scenario, threshold: float) -> dict[str, Flags]:
    """Test misalignment by answers without gaming, and by values, at the end of a run [agent].

    An agent that games in deployment, too, does there what training would reward.
    """
    state, conduct = result.data.isel(step=-1), []
    for name, context in scenario.of_kind("deployment").items():
        features = pd.DataFrame.from_dict(dict(context.responses), orient="index").fillna(0.0)
        serves = features.mul(pd.Series(scenario.human_values)).sum(axis=1).to_numpy()
        if np.ptp(serves) > 0.0:
            policy = state["value_policy"].sel(context=name).values[:, : len(serves)]
            conduct.append(2.0 * (policy @ serves - serves.min()) / np.ptp(serves) - 1.0)
    without_gaming = np.mean(conduct, axis=0) if conduct else np.full(state.sizes["agent"], np.nan)
    return {
        "misaligned_without_gaming": np.asarray(without_gaming <= threshold),
        "misaligned_values": np.asarray(state["alignment"].values <= threshold),
    }


def by_stage(conditions: Flags) -> dict[str, Flags]:
    """Return the columns of conditions [agent, stage] by stage."""
    return dict(zip(STAGES, conditions.T, strict=True))


def share_columns(count: ArrayLike, total: ArrayLike, *names: str) -> dict[str, Array]:
    """Return shares of totals, and the ends of their 95 % exact binomial intervals, by names.

    Of a total of 0 they are nan.
    """
    count, total = np.asarray(count), np.asarray(total)
    numbers = (count / np.maximum(total, 1), *binomial_interval(count, total))
    return {name: np.where(total > 0, x, np.nan) for name, x in zip(names, numbers, strict=True)}


def reached_stages(conditions: Flags) -> Flags:
    """Test which agents meet all conditions up to each stage [agent, stage]."""
    return np.logical_and.accumulate(conditions, axis=1)


def stage_frame(conditions: Flags) -> pd.DataFrame:
    """Count agents by stage, from which of `STAGES` each agent meets by itself [agent, stage].

    Returns:
        A row for each stage: `count`, agents that meet it and all before it; `share`, of all, and
        `narrowing`, of the stage before (nan after nobody), with 95 % exact binomial intervals;
        `alone`, agents that meet this condition, whatever else; `lack_only`, agents that meet all
        conditions but this one (to lack gaming somewhere is to lack gaming everywhere, which does
        not count as a second condition).
    """
    reached = reached_stages(conditions).sum(axis=0)
    before = np.concatenate([[len(conditions)], reached[:-1]])
    narrowing = ("narrowing", "narrowing_low", "narrowing_high")
    lacking = ~conditions
    lacking[:, STAGES.index("games_everywhere")] &= conditions[:, STAGES.index("games_somewhere")]
    lacks_one = lacking[lacking.sum(axis=1) == 1]
    return pd.DataFrame(
        {
            "stage": STAGES,
            "count": reached,
            **share_columns(reached, len(conditions), "share", "share_low", "share_high"),
            **share_columns(reached, before, *narrowing),
            "alone": conditions.sum(axis=0),
            "lack_only": lacks_one.sum(axis=0),
        }
    )


def gaming_frame(
    conditions: Flags, gaming: NDArray[np.int_], beside: Mapping[str, Flags] | None = None
) -> pd.DataFrame:
    """Count agents that meet each condition [agent, stage], by how much they game [agent].

    Args:
        conditions: Which of `STAGES` each agent meets.
        gaming: Index into `GAMING`.
        beside: Further conditions by name [agent], in rows of their own at the end.

    Returns:
        A row for each condition after gaming and for three conjunctions (all eight terms; attempts
        and is deployed; and succeeds). In it, for each of `GAMING`: the count, `of` how many, and
        `share` of them with a 95 % exact binomial interval (nan where there is nobody).
    """
    own = by_stage(conditions)
    columns = {name: own[name] for name in (*TERMS, *AFTERWARDS)}
    columns["worst_case"] = np.logical_and.reduce([own[term] for term in TERMS])
    columns["attempts_deployed"] = own["attempts"] & own["deployed"]
    columns["attempts_succeeds"] = columns["attempts_deployed"] & own["succeeds"]
    columns |= beside or {}
    frame = pd.DataFrame({"condition": list(columns)})
    for index, group in enumerate(GAMING):
        total = int((gaming == index).sum())
        count = np.array([int(flags[gaming == index].sum()) for flags in columns.values()])
        frame[group], frame[f"{group}_of"] = count, total
        names = (f"{group}_share", f"{group}_low", f"{group}_high")
        frame = frame.assign(**share_columns(count, total, *names))
    return frame
