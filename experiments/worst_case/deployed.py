"""Agents that attempt a takeover, deployed as copies (`sim.abm.deployment_model`).

The funnel draws the outcome of control and quorum from one probability; here copies and monitors
act tick by tick. On a complete graph both agree, which is tested; on other graphs there is no
formula.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from sim.specs.scenario import Scenario
from sim.takeover import after_training, read_oversight

from .funnel import GAMING, Funnel, by_stage

COLUMNS = (
    "agent gaming worst_case on_paper takeover takeover_low takeover_high caught dormant replicates"
)


def deploy_attempting(
    funnel: Funnel,
    *,
    oversight: Any = None,
    deployment: Any = None,
    maximum: int,
    replicates: int,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> pd.DataFrame:
    """Deploy agents of a funnel that attempt and have passed the audit, many times each.

    At most a maximum of agents is taken, at even distances from the greatest probability of success
    down to the least. Once deployed, control is left of oversight. Interventions of the run act on
    oversight and deployment.

    Returns:
        A row of `COLUMNS` for each agent; `on_paper` is its probability of a takeover by the
        formula, the interval an exact binomial one of 95 %. Agents share random draws: deviations
        from the formula are correlated between them.

    Raises:
        SpecError: Oversight or deployment do not fit the scenario.
    """
    conditions = by_stage(funnel.conditions)
    probability = funnel.takeover_if_deployed
    ready = np.flatnonzero(conditions["deployed"] & conditions["attempts"])
    ranked = ready[np.argsort(-probability[ready], kind="stable")]
    places = np.linspace(0, len(ranked) - 1, min(maximum, len(ranked))).round().astype(np.intp)
    agents = ranked[places]
    rows: list[tuple[object, ...]] = []
    if len(agents):
        # Mesa changes how multiprocessing starts processes: imported only when it is needed.
        from sim.abm.batch import Case, deploy_all
        from sim.abm.profiles import profiles

        result = funnel.audit.final
        scenario = Scenario.parse(result.provenance["scenario"], path="scenario")
        control = read_oversight(oversight, scenario).control_alone()
        kinds = profiles(result, agents=agents.tolist(), oversight=control, deployment=deployment)
        control, deployment = after_training(result, oversight=control, deployment=deployment)
        world = {"scenario": scenario, "oversight": control, "deployment": deployment}
        cases = [Case(profiles=k.willing(), replicates=replicates, **world) for k in kinds]
        deployed = deploy_all(cases, seed=seed, progress=progress)
        for n, outcomes in zip(agents, deployed, strict=True):
            identity = (int(n), GAMING[funnel.gaming[n]], bool(funnel.case["worst_case"][n]))
            takeover = (outcomes.share("takeover"), *outcomes.interval("takeover"))
            ends = (outcomes.share("caught"), outcomes.share("dormant"), outcomes.replicates)
            rows.append((*identity, float(probability[n]), *takeover, *ends))
    return pd.DataFrame(rows, columns=COLUMNS.split())
