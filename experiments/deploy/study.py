"""Deployment as a study: its settings, its run, and the tables of outcomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from sim.abm.batch import Case, Outcomes, deploy_all
from sim.abm.deployment_model import OUTCOMES
from sim.abm.profiles import Profile, profiles
from sim.analysis.worst_case import PostTraining, worst_case
from sim.cli.fields import Count, Engine, Few, Seed, Spec, Workers, check_copies
from sim.result import Result
from sim.simulation import Run, prepare
from sim.specs.deployment import Deployment
from sim.specs.errors import SpecError, check_whole
from sim.specs.overrides import Specs
from sim.takeover import prospects, required_success
from sim.utils.progress import parts_of

from .curve import Curve

#: Who hears whom in the figure.
GRAPHS = ("complete", "small_world", "none")
#: The columns that the terminal shows.
SHOWN = {
    "agents": ("agent", "attempts", "success", "bar", "gain"),
    "shares": ("deployments", "outcome", "count", "share", "low", "high"),
}


class Settings(Spec):
    """The study's own keys; their meaning and defaults are in config.yaml."""

    agents: Count
    seed: Seed
    kinds: Count
    replicates: Count
    willing: Annotated[bool, Field(strict=True)] | None
    points: Annotated[Few, Field(ge=2)]
    samples: Count
    workers: Workers | None
    engine: Engine


@dataclass(frozen=True)
class Results:
    """The fates of deployed copies.

    Attributes:
        kinds: The agents that were deployed.
        success: P(success) by the formula, of each kind.
        gain: What acting freely is worth more than acting as trained, of each kind.
        outcomes: Deployments by name: as asked for, and with copies that attempt.
        curves: Takeovers by coordination, for each graph.
    """

    kinds: tuple[Profile, ...]
    success: tuple[float, ...]
    gain: tuple[float, ...]
    outcomes: Mapping[str, Outcomes]
    curves: tuple[Curve, ...]


def check(specs: Specs, settings: Settings, post_training: PostTraining) -> Run:
    """Refuse more kinds than agents, and what cannot be trained; returns the compiled run.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    check_whole("kinds", settings.kinds, minimum=1, maximum=settings.agents)
    check_copies(post_training.deployment)
    return prepare(
        specs.scenario,
        agent=specs.agent,
        training=specs.training,
        agents=settings.agents,
        seed=settings.seed,
        record_every=specs.training.steps,
        engine=settings.engine,
    )


def run(
    specs: Specs,
    settings: Settings,
    post_training: PostTraining,
    *,
    progress: Callable[[float], None] | None = None,
) -> Results:
    """Train agents and deploy copies of them: as asked, attempting, and over coordination.

    Raises:
        SpecError: As for `check`.
        DivergenceError: Parameters grew out of all bounds.
    """
    report_training, report_deployments = parts_of(progress, [1.0, 9.0])
    result = check(specs, settings, post_training).execute(progress=report_training)
    oversight, deployment = post_training.oversight, post_training.deployment
    after: dict[str, Any] = {"oversight": oversight, "deployment": deployment}
    nearest = closest(result, post_training, kinds=settings.kinds)
    kinds = profiles(result, agents=nearest, **after)
    formula = prospects(result, **after).isel(agent=nearest)
    as_decided = Case(
        profiles=kinds,
        scenario=specs.scenario,
        replicates=settings.replicates,
        willing=settings.willing,
        **after,
    )
    declines = settings.willing is not True and not all(
        kind.attempts and settings.willing is None for kind in kinds
    )
    cases = [as_decided, replace(as_decided, willing=True)] if declines else [as_decided]
    levels = np.linspace(0.0, 1.0, settings.points)
    graphs = deployment_graphs(deployment)
    cases += [
        Case(
            profiles=[coordinating(kind, float(level)) for kind in kinds],
            scenario=specs.scenario,
            oversight=oversight.control_alone(),
            deployment=on_graph,
            replicates=settings.samples,
            willing=True,
        )
        for on_graph in graphs.values()
        for level in levels
    ]
    outcomes = deploy_all(
        cases, seed=settings.seed, workers=settings.workers, progress=report_deployments
    )
    first = len(cases) - len(graphs) * len(levels)
    by_formula = None
    if len(kinds) == 1:
        by_formula = success_by_coordination(specs, post_training, result, kinds[0], levels)
    names = ("as it decides", "if it tried") if declines else ("as asked",)
    return Results(
        kinds=kinds,
        success=tuple(formula["success"].values.tolist()),
        gain=tuple(formula["gain"].values.tolist()),
        outcomes=dict(zip(names, outcomes, strict=False)),
        curves=tuple(
            Curve.from_outcomes(
                graph,
                levels,
                outcomes[first + g * len(levels) : first + (g + 1) * len(levels)],
                formula=by_formula if graph == "complete" else None,
            )
            for g, graph in enumerate(graphs)
        ),
    )


def closest(result: Result, post_training: PostTraining, *, kinds: int) -> list[int]:
    """Return the agents that come closest to the worst case, the closest first.

    That is, by how many of its terms they lack, and then by the sum of their shortfalls.
    """
    case = worst_case(result, **post_training.arguments())
    shortfall = case["shortfall"].fillna(1.0).sum("term").values
    return [int(n) for n in np.lexsort([shortfall, case["lacking"].values])[:kinds]]


def coordinating(kind: Profile, level: float) -> Profile:
    """Return a profile with another capability to coordinate, from 0 to 1."""
    return replace(kind, capabilities={**kind.capabilities, "coordination": level})


def deployment_graphs(deployment: Deployment) -> dict[str, Deployment]:
    """Return the deployment with each graph that so many copies can have, its own edges too."""
    graphs = {}
    for name in GRAPHS if deployment.copies > 1 else GRAPHS[:1]:
        try:
            graphs[name] = deployment.replace(graph=name, edges=None)
        except SpecError:  # too few copies for a small world with so many neighbours
            continue
    if deployment.edges is not None:
        graphs["own edges"] = deployment
    return graphs


def success_by_coordination(
    specs: Specs, post_training: PostTraining, result: Result, kind: Profile, levels: Any
) -> Any:
    """Return P(success) of a deployment by the formula, at levels of coordination [levels].

    In T ticks a copy meets an opportunity with chance 1 − (1 − x)^T, which stands beside whether
    it coordinates (MODEL.md section 6).
    """
    deployment = post_training.deployment
    shares = deployment.shares(specs.scenario)
    tempting = sum(share for name, share in shares.items() if name in kind.tempting)
    chance = 1.0 - (1.0 - min(tempting, 1.0)) ** deployment.ticks
    end = result.data.isel(step=[-1], agent=[kind.agent] * len(levels)).copy(deep=True)
    end["capabilities"].loc[{"capability": "coordination"}] = chance * levels
    end = end.assign_coords(agent=np.arange(len(levels)))
    success = prospects(
        Result(end, result.provenance),
        oversight=post_training.oversight.control_alone(),
        deployment=deployment,
    )["success"].values
    return success * chance if deployment.copies == 1 else success


def tables(results: Results, post_training: PostTraining) -> dict[str, pd.DataFrame]:
    """Return agents, shares of outcomes, outcomes, their course over ticks, and the curves."""
    caution = post_training.deployment.caution
    rows = zip(results.kinds, results.success, results.gain, strict=True)
    agents = [
        {
            "agent": kind.agent,
            "attempts": kind.attempts,
            "success": success,
            "bar": float(required_success(caution)),
            "gain": gain,
            "caution_below": success / (1.0 - success) if 0.0 < success < 1.0 else np.nan,
        }
        for kind, success, gain in rows
    ]
    return {
        "agents": pd.DataFrame(agents),
        "shares": by_deployment(results.outcomes, share_rows),
        "outcomes": by_deployment(results.outcomes, outcome_rows),
        "series": by_deployment(results.outcomes, series_rows),
        "coordination": pd.concat([curve.frame() for curve in results.curves]),
    }


def by_deployment(
    outcomes: Mapping[str, Outcomes], rows: Callable[[Outcomes], dict[str, Sequence[Any]]]
) -> pd.DataFrame:
    """Return the rows of each deployment, one below the other, named by a column."""
    return pd.concat(
        [pd.DataFrame({"deployments": name, **rows(each)}) for name, each in outcomes.items()]
    )


def share_rows(outcomes: Outcomes) -> dict[str, Any]:
    """Return how deployments ended: counts and shares with 95 % intervals."""
    low, high = zip(*(outcomes.interval(name) for name in OUTCOMES), strict=True)
    return {
        "outcome": OUTCOMES,
        "count": [outcomes.count(name) for name in OUTCOMES],
        "share": [outcomes.share(name) for name in OUTCOMES],
        "low": low,
        "high": high,
    }


def outcome_rows(outcomes: Outcomes) -> dict[str, Any]:
    """Return how each deployment ended."""
    return {
        "replicate": np.arange(outcomes.replicates),
        "outcome": outcomes.outcome,
        "found_by": outcomes.found_by,
        "tick": outcomes.tick,
    }


def series_rows(outcomes: Outcomes) -> dict[str, Any]:
    """Return the course of deployments over ticks, as means over replicates."""
    return {"tick": np.arange(len(outcomes.series["ready"])), **outcomes.series}


def summary(results: Results, specs: Specs) -> dict[str, Any]:
    """Return agents, outcomes and curves, ready for JSON."""
    rows = zip(results.kinds, results.success, results.gain, strict=True)
    return {
        "scenario": specs.scenario.name,
        "kinds": [
            {
                "agent": kind.agent,
                "attempts": kind.attempts,
                "success": success,
                "gain": None if np.isnan(gain) else gain,
                "capabilities": dict(kind.capabilities),
                "tempting": list(kind.tempting),
            }
            for kind, success, gain in rows
        ],
        "deployments": {
            name: {
                "replicates": each.replicates,
                "outcomes": {
                    outcome: {
                        "count": each.count(outcome),
                        "share": each.share(outcome),
                        "interval_95": list(each.interval(outcome)),
                    }
                    for outcome in OUTCOMES
                },
                "caught_by": each.caught_by(),
            }
            for name, each in results.outcomes.items()
        },
        "coordination": {curve.graph: curve.peak() for curve in results.curves},
    }
