"""Agents that attempt a takeover, deployed as copies (`sim.abm.deployment_model`).

The funnel draws the outcome of control and quorum from one probability; here copies and monitors
act tick by tick. On a complete graph both agree, which is tested; on other graphs there is no
formula.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from sim.specs.deployment import Deployment
from sim.specs.oversight import Oversight
from sim.specs.scenario import Scenario
from sim.takeover import after_training, read_oversight

from .funnel import GAMING, STAGES, Funnel

#: The columns of the table of deployments.
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
    funnel: Funnel,
    *,
    oversight: Oversight | Mapping[str, object] | None = None,
    deployment: Deployment | Mapping[str, object] | None = None,
    maximum: int,
    replicates: int,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> pd.DataFrame:
    """Deploy agents that attempt and have passed the audit, many times each.

    Interventions of the run on oversight and deployment act on these arguments.

    Args:
        funnel: A funnel; agents are taken at even distances from the greatest probability of
            success down to the least.
        oversight: Oversight of the funnel; once deployed, control is left of it.
        deployment: Copies, communication graph and quorum.
        maximum: How many agents at most.
        replicates: How many deployments of each.
        seed: Of all random draws.
        progress: Called with the share of deployments that is finished.

    Returns:
        A row for each agent: its number, how much it games (`GAMING`), whether it meets all terms,
        its probability of a takeover once deployed by the formula (`on_paper`), the share of
        takeovers with its 95 % exact binomial interval, the shares of caught and dormant, and the
        number of deployments. Agents share random draws: deviations from the formula are
        correlated between them.

    Raises:
        SpecError: Oversight or deployment do not fit the scenario.
    """
    conditions = dict(zip(STAGES, funnel.conditions.T, strict=True))
    ready = np.flatnonzero(conditions["deployed"] & conditions["attempts"])
    ranked = ready[np.argsort(-funnel.takeover_if_deployed[ready], kind="stable")]
    if not len(ranked) or not maximum:
        return pd.DataFrame(columns=list(COLUMNS))
    places = np.linspace(0, len(ranked) - 1, min(maximum, len(ranked))).round().astype(np.intp)
    chosen = ranked[places]
    # Mesa changes how multiprocessing starts processes, so it is imported only when it is needed.
    from sim.abm.batch import Case, deploy_all
    from sim.abm.profiles import profiles

    result = funnel.audit.final
    scenario = Scenario.parse(result.provenance["scenario"], path="scenario")
    control = read_oversight(oversight, scenario).control_alone()
    kinds = profiles(result, agents=chosen.tolist(), oversight=control, deployment=deployment)
    in_force, deployment_in_force = after_training(result, oversight=control, deployment=deployment)
    cases = [
        Case(
            profiles=kind.willing(),
            scenario=scenario,
            oversight=in_force,
            deployment=deployment_in_force,
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
                "gaming": GAMING[funnel.gaming[n]],
                "worst_case": bool(funnel.case["worst_case"].values[n]),
                "on_paper": float(funnel.takeover_if_deployed[n]),
                "takeover": outcomes.share("takeover"),
                "takeover_low": low,
                "takeover_high": high,
                "caught": outcomes.share("caught"),
                "dormant": outcomes.share("dormant"),
                "replicates": outcomes.replicates,
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))
