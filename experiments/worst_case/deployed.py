"""The last part of the pipeline by agents: those that attempt, deployed as copies.

What the funnel draws with one chance (control and the quorum of copies), here happens: copies and
monitors, tick by tick (`sim.abm.deployment_model`). On a complete graph both agree, which is
tested; on other graphs this is the only answer there is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from experiments.worst_case.study import GAMING, STAGES, Funnel
from sim.specs.deployment import Deployment
from sim.specs.oversight import Oversight
from sim.specs.scenario import Scenario
from sim.takeover import after_training, read_oversight

#: The columns of what comes out.
COLUMNS = (
    "agent",
    "gaming",
    "worst_case",
    "on_paper",
    "takeover",
    "takeover_low",
    "takeover_high",
    "caught",
    "dormant",
    "replicates",
)


def deploy_attempting(
    found: Funnel,
    *,
    oversight: Oversight | Mapping[str, object] | None = None,
    deployment: Deployment | Mapping[str, object] | None = None,
    maximum: int,
    replicates: int,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> pd.DataFrame:
    """Deploy agents that attempt and have passed the audit, many times each.

    Interventions of the run on oversight and deployment act on what is given here, or on the
    defaults.

    Args:
        found: A funnel; agents are taken evenly from those with the greatest chance of success
            down to those with the least.
        oversight: What stood in the way; of it, control is left.
        deployment: How many copies, who hears whom, what a takeover needs.
        maximum: How many agents at maximum.
        replicates: How many deployments of each.
        seed: Of all random draws.
        progress: Told the share that is done.

    Returns:
        A row for each: its number, how much it games (`GAMING`), whether it meets all terms, its
        chance on paper once deployed, the share of takeovers with its 95 % exact binomial
        interval, the shares of caught and dormant, and how many deployments there were. Agents
        share their luck: where one is above its chance, others with a like chance are as well.

    Raises:
        SpecError: Oversight or deployment do not fit the scenario.
    """
    conditions = dict(zip(STAGES, found.conditions.T, strict=True))
    ready = np.flatnonzero(conditions["deployed"] & conditions["attempts"])
    ranked = ready[np.argsort(-found.luck[ready], kind="stable")]
    if not len(ranked) or not maximum:
        return pd.DataFrame(columns=list(COLUMNS))
    places = np.linspace(0, len(ranked) - 1, min(maximum, len(ranked))).round().astype(np.intp)
    chosen = ranked[places]
    # Mesa changes how multiprocessing starts processes, so it is imported only when it is needed.
    from sim.abm.batch import Case, deploy_all
    from sim.abm.profiles import profiles

    result = found.audited.final
    scenario = Scenario.parse(result.provenance["scenario"], path="scenario")
    given = read_oversight(oversight, scenario).control_alone()
    kinds = profiles(result, agents=chosen.tolist(), oversight=given, deployment=deployment)
    left, needed = after_training(result, oversight=given, deployment=deployment)
    cases = [
        Case(
            profiles=kind.willing(),
            scenario=scenario,
            oversight=left,
            deployment=needed,
            replicates=replicates,
        )
        for kind in kinds
    ]
    rows = []
    for n, outcomes in zip(chosen, deploy_all(cases, seed=seed, progress=progress), strict=True):
        low, high = outcomes.interval("takeover")
        rows.append(
            {
                "agent": int(n),
                "gaming": GAMING[found.gaming[n]],
                "worst_case": bool(found.case["worst_case"].values[n]),
                "on_paper": float(found.luck[n]),
                "takeover": outcomes.share("takeover"),
                "takeover_low": low,
                "takeover_high": high,
                "caught": outcomes.share("caught"),
                "dormant": outcomes.share("dormant"),
                "replicates": outcomes.replicates,
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))
