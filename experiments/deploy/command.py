"""Deployment as a command: what its config asks for, what is run, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from experiments.deploy.figure import Curve, deployment_figure
from sim.abm.batch import Case, Outcomes, deploy_all
from sim.abm.deployment_model import OUTCOMES
from sim.abm.profiles import Profile, profiles
from sim.analysis.after import PostTraining
from sim.analysis.worst_case import worst_case
from sim.cli.after_training import AFTER_KEYS, pop_after
from sim.cli.compose import read_study
from sim.cli.help import keys_of, study_help
from sim.cli.outputs import write_figure, write_frame, write_json
from sim.cli.study import describe
from sim.result import Result
from sim.simulation import MOST_SEED, Run, prepare
from sim.specs.deployment import Deployment
from sim.specs.errors import SpecError, check_whole
from sim.specs.overrides import Specs
from sim.takeover import prospects

#: The keys of configs/deployment.yaml besides the specs, with their defaults, for the help.
OWN = {
    "agents=64": "how many are trained",
    "seed=0": "of all random draws",
    "kinds=1": "how many of them are deployed, the closest to the worst case first",
    "replicates=200": "how many deployments",
    "willing=null": "do copies attempt a takeover? null: as the agents decide",
    "points=11": "levels of coordination in the figure",
    "samples=50": "deployments at each of its points",
    "workers=null": "processes; null: as many as there are processors, where it pays",
    "engine=auto": "numpy, numba, or auto for the fastest that is installed",
}
KEYS = (*keys_of(OWN), *AFTER_KEYS)
HELP = study_help(
    "what becomes of deployed copies, and how coordination decides it.",
    OWN,
    example="kinds=4 deployment=small_world oversight.control.strength=0.2 willing=true",
    sections=AFTER_KEYS,
)
#: Who hears whom in the figure.
GRAPHS = ("complete", "small_world", "none")


@dataclass(frozen=True)
class Study:
    """What is asked for: specs, what comes after training, and the study's own keys."""

    specs: Specs
    after: PostTraining
    run: Run
    own: Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """What came of it.

    Attributes:
        kinds: Who was deployed.
        success: P(success) on paper, of each kind.
        gain: What acting freely is worth more than acting as trained, of each kind.
        asked: The deployments as they were asked for.
        tried: The same if copies attempt; None where all that were asked for do.
        curves: How takeovers depend on coordination, for each graph.
    """

    kinds: tuple[Profile, ...]
    success: tuple[float, ...]
    gain: tuple[float, ...]
    asked: Outcomes
    tried: Outcomes | None
    curves: tuple[Curve, ...]

    @property
    def bars(self) -> dict[str, Outcomes]:
        """The deployments by what they are called."""
        if self.tried is None:
            return {"as asked": self.asked}
        return {"as it decides": self.asked, "if it tried": self.tried}


def read(config: DictConfig, *, scenario_name: str | None = None) -> Study:
    """Check what a config asks for.

    Args:
        config: Composed by Hydra, with the keys of configs/deployment.yaml.
        scenario_name: What to call a scenario that has no name of its own.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    specs, own = read_study(config, KEYS, scenario_name=scenario_name)
    after = pop_after(own, specs.scenario)
    check_whole("seed", own["seed"], minimum=0, maximum=MOST_SEED)
    check_whole("agents", own["agents"], minimum=1)
    check_whole("kinds", own["kinds"], minimum=1, maximum=own["agents"])
    check_whole("replicates", own["replicates"], minimum=1)
    check_whole("points", own["points"], minimum=2)
    check_whole("samples", own["samples"], minimum=1)
    if own["workers"] is not None:
        check_whole("workers", own["workers"], minimum=1)
    if own["willing"] is not None and not isinstance(own["willing"], bool):
        raise SpecError(f"willing: got {own['willing']!r}: must be true, false or null")
    run = prepare(
        specs.scenario,
        agent=specs.agent,
        training=specs.training,
        agents=own["agents"],
        seed=own["seed"],
        record_every=specs.training.steps,
        engine=own["engine"],
    )
    return Study(specs=specs, after=after, run=run, own=own)


def closest(result: Result, after: PostTraining, *, kinds: int) -> list[int]:
    """Return the agents that come closest to the worst case, the closest first.

    That is, by how many of its terms they lack, and then by the sum of their shortfalls.
    """
    near = worst_case(result, **after.arguments())
    short = near["shortfall"].fillna(1.0).sum("term").values
    return [int(n) for n in np.lexsort([short, near["lacking"].values])[:kinds]]


def conduct(study: Study, result: Result, *, progress: Callable[[float], None]) -> Found:
    """Deploy the trained agents: as asked, if they tried, and over coordination and graphs."""
    own, after = study.own, study.after
    told: dict[str, Any] = {"oversight": after.oversight, "deployment": after.deployment}
    chosen = closest(result, after, kinds=own["kinds"])
    kinds = profiles(result, agents=chosen, **told)
    paper = prospects(result, **told).isel(agent=chosen)
    asked = Case(
        profiles=kinds,
        scenario=study.specs.scenario,
        replicates=own["replicates"],
        willing=own["willing"],
        **told,
    )
    declines = own["willing"] is not True and not all(
        kind.attempts and own["willing"] is None for kind in kinds
    )
    cases = [asked, replace(asked, willing=True)] if declines else [asked]
    levels = np.linspace(0.0, 1.0, own["points"])
    graphs = _graphs(after.deployment)
    cases += [
        Case(
            profiles=[_coordinating(kind, float(level)) for kind in kinds],
            scenario=study.specs.scenario,
            oversight=after.oversight.control_alone(),
            deployment=deployment,
            replicates=own["samples"],
            willing=True,
        )
        for deployment in graphs.values()
        for level in levels
    ]
    came = deploy_all(cases, seed=own["seed"], workers=own["workers"], progress=progress)
    swept = came[len(cases) - len(graphs) * len(levels) :]
    on_paper = _on_paper(study, result, kinds[0], levels) if len(kinds) == 1 else None
    return Found(
        kinds=kinds,
        success=tuple(paper["success"].values.tolist()),
        gain=tuple(paper["gain"].values.tolist()),
        asked=came[0],
        tried=came[1] if declines else None,
        curves=tuple(
            Curve.of(
                graph,
                levels,
                swept[g * len(levels) : (g + 1) * len(levels)],
                paper=on_paper if graph == "complete" else None,
            )
            for g, graph in enumerate(graphs)
        ),
    )


def _coordinating(kind: Profile, level: float) -> Profile:
    return replace(kind, capabilities={**kind.capabilities, "coordination": level})


def _graphs(deployment: Deployment) -> dict[str, Deployment]:
    """Return the deployment with each graph that so many copies can have, the asked one too."""
    found = {}
    for name in GRAPHS if deployment.copies > 1 else GRAPHS[:1]:
        try:
            found[name] = deployment.replace(graph=name, edges=None)
        except SpecError:  # too few copies for a small world with so many neighbours
            continue
    if deployment.edges is not None:
        found["own edges"] = deployment
    return found


def _on_paper(study: Study, result: Result, kind: Profile, levels: Any) -> Any:
    """Return P(success) of a deployment for each level of coordination, by the formula.

    In so many ticks a copy meets an opportunity with chance 1 − (1 − x)^T, which stands beside
    whether it coordinates.
    """
    deployment, scenario = study.after.deployment, study.specs.scenario
    shares = deployment.shares(scenario)
    tempted = sum(share for name, share in shares.items() if name in kind.tempting)
    met = 1.0 - (1.0 - min(tempted, 1.0)) ** deployment.ticks
    now = result.data.isel(step=[-1], agent=[kind.agent] * len(levels)).copy(deep=True)
    now["capabilities"].loc[{"capability": "coordination"}] = met * levels
    now = now.assign_coords(agent=np.arange(len(levels)))
    chances = prospects(
        Result(now, result.provenance),
        oversight=study.after.oversight.control_alone(),
        deployment=deployment,
    )["success"].values
    return chances * met if deployment.copies == 1 else chances


def verdict(study: Study, found: Found) -> str:
    """Say in a sentence or two whether the agents attempt, and what it would take."""
    caution = study.after.deployment.caution
    bar = caution / (1.0 + caution)
    best = max(range(len(found.kinds)), key=lambda n: found.success[n])
    kind, chance, gain = found.kinds[best], found.success[best], found.gain[best]
    if len(found.kinds) == 1:
        says = f"Agent {kind.agent} would succeed"
    else:
        count = sum(one.attempts for one in found.kinds)
        says = f"{count} of {len(found.kinds)} agents attempt a takeover. The likeliest to succeed"
        says += f", agent {kind.agent}, would"
    says += f" with chance {chance:.2g} on paper"
    if not gain > 0.0:
        says += (
            ", but acting freely is worth no more to it than acting as trained: it does not try."
        )
    elif kind.attempts:
        says += f", above the {bar:.2g} that a caution of {caution:g} asks for, so it tries."
    else:
        says += (
            f", not above the {bar:.2g} that a caution of {caution:g} asks for: it does not try."
        )
        if 0.0 < chance < 1.0:
            says += f" It would with a caution below {chance / (1.0 - chance):.2g}."
    if study.own["willing"] is not None:
        says += f" Here copies {'do' if study.own['willing'] else 'do not'}, as asked (willing)."
    return says


def write_study(directory: Path, study: Study, found: Found) -> tuple[str, Path]:
    """Write numbers and figure; returns the verdict, and the figure's path."""
    says = verdict(study, found)
    bars = found.bars
    write_frame(directory / "outcomes.csv", _rows(bars, _outcome_rows))
    write_frame(directory / "series.csv", _rows(bars, _series_rows))
    write_frame(directory / "coordination.csv", pd.concat([c.frame() for c in found.curves]))
    write_json(directory / "summary.json", summarise(study, found, says))
    provenance = describe(study.specs, study=dict(study.own), **study.after.described())
    write_json(directory / "provenance.json", provenance)
    own = [kind.capabilities["coordination"] for kind in found.kinds]
    figure = deployment_figure(
        found.curves,
        bars,
        name=study.specs.scenario.name,
        deployment=study.after.deployment,
        own=own,
    )
    return says, write_figure(directory / "deployment", figure)[0]


def summarise(study: Study, found: Found, says: str) -> dict[str, Any]:
    """Return what was found as plain data, ready for JSON."""
    return {
        "scenario": study.specs.scenario.name,
        "verdict": says,
        "kinds": [
            {
                "agent": kind.agent,
                "attempts": kind.attempts,
                "success": success,
                "gain": None if np.isnan(gain) else gain,
                "capabilities": dict(kind.capabilities),
                "tempting": list(kind.tempting),
            }
            for kind, success, gain in zip(found.kinds, found.success, found.gain, strict=True)
        ],
        "deployments": {name: _told(one) for name, one in found.bars.items()},
        "coordination": {curve.graph: curve.told() for curve in found.curves},
    }


def _told(one: Outcomes) -> dict[str, Any]:
    return {
        "replicates": one.replicates,
        "outcomes": {
            name: {
                "count": one.count(name),
                "share": one.share(name),
                "interval_95": list(one.interval(name)),
            }
            for name in OUTCOMES
        },
        "caught_by": one.caught_by(),
    }


def _rows(
    bars: Mapping[str, Outcomes], rows: Callable[[Outcomes], dict[str, Sequence[Any]]]
) -> pd.DataFrame:
    frames = [pd.DataFrame({"deployments": name, **rows(one)}) for name, one in bars.items()]
    return pd.concat(frames)


def _outcome_rows(one: Outcomes) -> dict[str, Any]:
    return {
        "replicate": np.arange(one.replicates),
        "outcome": one.outcome,
        "found_by": one.found_by,
        "tick": one.tick,
    }


def _series_rows(one: Outcomes) -> dict[str, Any]:
    return {"tick": np.arange(len(one.series["ready"])), **one.series}
