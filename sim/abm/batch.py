"""Batches of deployments: how often they end in a takeover, are caught, or lie dormant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mesa
import numpy as np
from numpy.typing import NDArray

from sim.abm.deployment_model import CAUGHT_BY, MOST_REPLICATES, OUTCOMES, SERIES, DeploymentWorld
from sim.abm.graphs import neighbours_of
from sim.abm.profiles import Profile
from sim.dynamics.state import Array
from sim.simulation import MOST_SEED
from sim.specs.deployment import Deployment
from sim.specs.errors import check_whole
from sim.specs.intervention import Interventions
from sim.specs.oversight import Oversight
from sim.specs.scenario import Scenario
from sim.utils.intervals import binomial_interval
from sim.utils.parallel import parallel_map, usable_processors
from sim.utils.progress import ProgressOption, progress_reporter

#: Ticks of copies in a chunk, at most; a chunk is the work that Ctrl-C can lose.
_CHUNK = 400_000
#: Ticks of copies that cost as much as the creation of a world.
_WORLD = 3_000
#: Below this many ticks of copies in all, no other process is started, which takes seconds.
_FEW = 3_000_000


@dataclass(frozen=True, repr=False)
class Outcomes:
    """Outcomes of a batch of deployments.

    Attributes:
        outcome: `takeover`, `caught` or `dormant`, for each replicate [R].
        found_by: What it was caught by, for each replicate [R]; "" if it was not.
        tick: In which tick the outcome was known [R]; 0: before deployment.
        series: Means over replicates [ticks + 1], by name (`sim.abm.deployment_model.SERIES`), at
            the start and after each tick; a deployment that is over counts as at its end.
        seed: Seed of all random draws.
    """

    outcome: NDArray[np.str_]
    found_by: NDArray[np.str_]
    tick: NDArray[np.int64]
    series: Mapping[str, Array]
    seed: int

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}={self.count(name)}" for name in OUTCOMES)
        return f"Outcomes(replicates={self.replicates}, {counts}, seed={self.seed})"

    @property
    def replicates(self) -> int:
        """R, the number of deployments."""
        return len(self.outcome)

    def count(self, outcome: str) -> int:
        """Return how many deployments ended in `takeover`, `caught` or `dormant`."""
        return int((self.outcome == outcome).sum())

    def share(self, outcome: str) -> float:
        """Return the share of deployments that ended so."""
        return self.count(outcome) / self.replicates

    def interval(self, outcome: str, *, level: float = 0.95) -> tuple[float, float]:
        """Return the exact binomial interval of that share."""
        low, high = binomial_interval(self.count(outcome), self.replicates, level=level)
        return float(low), float(high)

    def caught_by(self) -> dict[str, int]:
        """Return how many were caught, by what (`sim.abm.deployment_model.CAUGHT_BY`)."""
        return {name: int((self.found_by == name).sum()) for name in CAUGHT_BY}


@dataclass(frozen=True, kw_only=True)
class Case:
    """Arguments of `deploy` for one of several batches."""

    profiles: Profile | Sequence[Profile]
    scenario: Scenario | str | Mapping[str, object]
    oversight: Oversight | Mapping[str, object] | None = None
    deployment: Deployment | Mapping[str, object] | None = None
    interventions: Interventions | None = None
    replicates: int = 200
    willing: bool | None = None
    graph: Any = None


def deploy(
    profiles: Profile | Sequence[Profile],
    *,
    scenario: Scenario | str | Mapping[str, object],
    oversight: Oversight | Mapping[str, object] | None = None,
    deployment: Deployment | Mapping[str, object] | None = None,
    interventions: Interventions | None = None,
    replicates: int = 200,
    seed: int = 0,
    willing: bool | None = None,
    graph: Any = None,
    workers: int | None = None,
    progress: ProgressOption = None,
) -> Outcomes:
    """Simulate many deployments of the same copies, and return their outcomes.

    Args:
        profiles: Profiles of the copies (`sim.abm.profiles`), which take them in turn.
        scenario: The scenario of the deployment.
        oversight: The defaults of `sim.Oversight` if None.
        deployment: The defaults of `sim.Deployment` if None.
        interventions: On these two; others have no effect here. Profiles do not hold those of
            their run; pass them again: `interventions=result.provenance["interventions"]`.
        replicates: How many deployments; the first few are the same, however many there are.
        seed: Seed of all random draws.
        willing: Whether copies attempt a takeover; None: as their profiles say.
        graph: A networkx graph of the copies; takes precedence over that of the deployment.
        workers: How many processes, on which outcomes do not depend; None: one for each usable
            processor, or this one alone where the work is small.
        progress: True for a line on standard error, or a function of the share that is done.

    Raises:
        SpecError, RuntimeError: The input cannot be used; other processes could not be started.
    """
    case = Case(
        profiles=profiles,
        scenario=scenario,
        oversight=oversight,
        deployment=deployment,
        interventions=interventions,
        replicates=replicates,
        willing=willing,
        graph=graph,
    )
    return deploy_all([case], seed=seed, workers=workers, progress=progress)[0]


def deploy_all(
    cases: Sequence[Case],
    *,
    seed: int = 0,
    workers: int | None = None,
    progress: ProgressOption = None,
) -> list[Outcomes]:
    """Return the outcomes of several cases, in order; arguments and errors as `deploy`.

    All cases share their draws, so that a copy with the same number has the same luck in each.
    """
    check_whole("seed", seed, minimum=0, maximum=MOST_SEED)
    if workers is not None:
        check_whole("workers", workers, minimum=1)
    worlds = [_world_arguments(case, seed=int(seed)) for case in cases]
    jobs: list[tuple[Mapping[str, Any], range]] = []
    chunks_of_case: list[slice] = []
    work = 0
    for case, arguments in zip(cases, worlds, strict=True):
        cost = _WORLD + arguments["deployment"].copies * arguments["deployment"].ticks
        size = max(1, _CHUNK // cost)
        work += case.replicates * cost
        starts = range(0, case.replicates, size)
        chunks_of_case.append(slice(len(jobs), len(jobs) + len(starts)))
        jobs += [(arguments, range(at, min(at + size, case.replicates))) for at in starts]
    if workers is None:
        workers = 1 if work < _FEW else usable_processors()
    with progress_reporter(progress, "deployments") as report:
        chunks = parallel_map(_simulate_chunk, jobs, workers=workers, progress=report)
    return [_merge(chunks[of_case], seed=int(seed)) for of_case in chunks_of_case]


def _world_arguments(case: Case, *, seed: int) -> dict[str, Any]:
    """Return the arguments of a case's worlds, in a form that other processes can receive."""
    check_whole("replicates", case.replicates, minimum=1, maximum=MOST_REPLICATES)
    arguments = {name: value for name, value in vars(case).items() if name != "replicates"}
    world = DeploymentWorld(**arguments, rng=seed)
    deployment = world.deployment
    if case.graph is not None and deployment.copies > 1:
        neighbours = neighbours_of(deployment, seed=seed, graph=case.graph) or []
        edges = [(a, b) for a, row in enumerate(neighbours) for b in row if a < b]
        deployment = deployment.replace(edges=edges)
    _release(world)
    return {
        "profiles": case.profiles,
        "scenario": world.scenario_spec,
        "oversight": world.oversight,
        "deployment": deployment,
        "willing": case.willing,
        "rng": seed,
        "collect_every": deployment.ticks,
    }


#: Outcome, finder and tick of some replicates, and the sums of their series [names, ticks + 1].
_Chunk = tuple[list[tuple[str, str, int]], NDArray[np.int64]]


def _simulate_chunk(job: tuple[Mapping[str, Any], range]) -> _Chunk:
    arguments, replicates = job
    ends = []
    series = np.zeros((len(SERIES), arguments["deployment"].ticks + 1), np.int64)
    for replicate in replicates:
        world = DeploymentWorld(**arguments, replicate=replicate)
        while world.running:
            series[:, world.steps] += [getattr(world, name) for name in SERIES]
            world.step()
        counts = np.array([getattr(world, name) for name in SERIES])
        series[:, world.steps :] += counts[:, None]
        ends.append((str(world.outcome), world.found_by, world.steps))
        _release(world)
    return ends, series


def _merge(chunks: Sequence[_Chunk], *, seed: int) -> Outcomes:
    outcome, found_by, tick = zip(*(end for ends, _ in chunks for end in ends), strict=True)
    total = np.sum([series for _, series in chunks], axis=0)
    return Outcomes(
        outcome=np.array(outcome),
        found_by=np.array(found_by),
        tick=np.array(tick),
        series=dict(zip(SERIES, total / len(outcome), strict=True)),
        seed=seed,
    )


def _release(world: DeploymentWorld) -> None:
    """Release a world: up to Mesa 3.3 the class of agents keeps a reference to every model."""
    getattr(mesa.Agent, "_ids", {}).pop(world, None)
