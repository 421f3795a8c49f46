"""Worlds in which the same agents are trained: a sweep, so that no run is made twice.

Every world has the same runs of one agent each, by their seeds; so agents with the same number are
twins in any two worlds, and share every draw.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from sim.analysis.after import PostTraining
from sim.analysis.end_outcomes import outcomes
from sim.analysis.summary_moment import moment_of
from sim.dynamics.randomness import seeds_of
from sim.dynamics.state import Array
from sim.specs.overrides import Specs
from sim.sweeps.design import Grid
from sim.sweeps.plan import Part, Plan, compile_rows, make_plan
from sim.sweeps.result import Sweep


def worlds_plan(
    worlds: Mapping[str, Specs],
    *,
    agents: int,
    seed: int = 0,
    engine: str = "auto",
    policies: bool = False,
) -> Plan:
    """Return a sweep of worlds: in each the same `agents` runs of one agent, by their seeds.

    Args:
        worlds: What each is, by name.
        agents: How many; the first few are the same, however many there are.
        seed: What the seeds of the runs are drawn from.
        engine: What computes.
        policies: Whether policies are kept, too, for `policies_by_world`.

    Raises:
        SpecError: One of the worlds would be refused.
    """
    seeds = seeds_of(seed, agents)
    parts = [
        Part(
            specs=specs,
            design=Grid({}),
            seeds=seeds,
            record_every=specs.training.steps,
            choices={"world": name},
        )
        for name, specs in worlds.items()
    ]
    return make_plan(parts, record="full" if policies else "summary", engine=engine)


def outcomes_by_world(
    plan: Plan, sweep: Sweep, *, after: PostTraining | None = None
) -> dict[str, pd.DataFrame]:
    """Return `outcomes` of each world, a row for each run; one that failed has none (nan).

    Args:
        plan: As `worlds_plan` returns it ...
        sweep: ... and its runs.
        after: What comes after training, before what is done to it in each world; the defaults of
            each scenario where None.
    """
    frame = sweep.frame
    found = {}
    for part in plan.parts:
        scenario = part.specs.scenario
        rows = frame[frame["world"] == part.choices["world"]].reset_index(drop=True)
        sound = rows["error"].isna().to_numpy()
        rules = (after or PostTraining.default(scenario)).under(part.specs.interventions)
        told = outcomes(
            moment_of(rows[sound], scenario), scenario, start=start_of(part)[sound], after=rules
        )
        told.index = pd.Index(np.flatnonzero(sound))
        found[str(part.choices["world"])] = told.reindex(range(len(rows)))
    return found


def policies_by_world(plan: Plan, sweep: Sweep) -> dict[str, Array]:
    """Return the policies of each world at the end, where agents are deployed.

    Args:
        plan: As `worlds_plan(..., policies=True)` returns it ...
        sweep: ... and its runs.

    Returns:
        Chances [run, context, response]; 0 where a context has fewer responses, and nan of a run
        that failed.
    """
    names = list(dict.fromkeys(name for part in plan.parts for name, _ in _policy_places(part)))
    if not names:
        return {str(part.choices["world"]): np.zeros((part.runs, 0, 0)) for part in plan.parts}
    told = ", ".join(sweep.column("full", name) for name in names)
    rows = sweep.query(f'select run, step, {told} from "full"')
    found, first = {}, 0
    for part in plan.parts:
        own = rows[
            rows["run"].between(first, first + part.runs - 1)
            & (rows["step"] == part.specs.training.steps)
        ]
        deployed = part.specs.scenario.of_kind("deployment").values()
        maximum = max(len(context.responses) for context in deployed) if deployed else 0
        policy = np.full((part.runs, len(deployed), maximum), np.nan)
        at = own["run"].to_numpy() - first
        policy[at] = 0.0
        for name, (context, response) in _policy_places(part):
            policy[at, context, response] = own[name].to_numpy(np.float64)
        found[str(part.choices["world"])] = policy
        first += part.runs
    return found


def _policy_places(part: Part) -> list[tuple[str, tuple[int, int]]]:
    """Return the columns of deployed policies, and the context and response of each."""
    deployed = part.specs.scenario.of_kind("deployment")
    return [
        (f"policy.{name}.{response}", (c, k))
        for c, (name, context) in enumerate(deployed.items())
        for k, response in enumerate(context.responses)
    ]


def start_of(part: Part) -> Array:
    """Return the values with which the agents of a part start [run, value]."""
    program = compile_rows(part, np.arange(part.runs))
    names = [program.layout.names.index(f"values.{v}") for v in part.specs.scenario.values]
    start: Array = np.broadcast_to(program.origin[names], (len(names), program.agents)).T.copy()
    return start
