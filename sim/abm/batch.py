"""Many deployments: how often they end in a takeover, are caught, or lie dormant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mesa
import numpy as np
from numpy.typing import NDArray

from sim.abm.deployment_model import CAUGHT_BY, MOST_REPLICATES, SERIES, DeploymentWorld
from sim.abm.graphs import neighbours_of
from sim.abm.profiles import Profile
from sim.simulation import MOST_SEED
from sim.specs.deployment import Deployment
from sim.specs.errors import check_whole
from sim.specs.intervention import Interventions
from sim.specs.oversight import Oversight
from sim.specs.scenario import Scenario
from sim.utils.intervals import binomial_interval
from sim.utils.parallel import parallel_map, usable_processors

Array = NDArray[np.float64]

#: A chunk, which is what Ctrl-C can cost, has at most so many ticks of copies ...
_CHUNK = 400_000
#: ... of which to make a world costs as much as this many ...
_WORLD = 3_000
#: ... and with fewer in all, no other process is started, which takes seconds.
_FEW = 3_000_000


@dataclass(frozen=True)
class Outcomes:
    """What came of many deployments.

    Attributes:
        outcome: `takeover`, `caught` or `dormant`, for each replicate [R].
        found_by: What it was caught by, for each replicate [R]; "" if it was not.
        tick: In which tick the outcome was known [R]; 0: before deployment.
        series: Means over replicates, by name (`sim.abm.deployment_model.SERIES`), at the start
            and after each tick [ticks + 1]; a deployment that is over stays as it was.
        seed: Of all random draws.
    """

    outcome: NDArray[np.str_]
    found_by: NDArray[np.str_]
    tick: NDArray[np.int64]
    series: Mapping[str, Array]
    seed: int

    @property
    def replicates(self) -> int:
        """R, how many deployments there were."""
        return len(self.outcome)

    def count(self, outcome: str) -> int:
        """Return how many ended in `takeover`, `caught` or `dormant`."""
        return int((self.outcome == outcome).sum())

    def share(self, outcome: str) -> float:
        """Return the share of these."""
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
    """Deployments that differ in nothing but their draws; the arguments of `deploy`."""

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
    progress: Callable[[float], None] | None = None,
) -> Outcomes:
    """Deploy copies many times over and count what comes of it.

    Args:
        profiles: What the copies are made of (`sim.abm.profiles`); they take them in turn.
        scenario: What they are deployed in.
        oversight: What stands in the way; the defaults of `sim.Oversight`.
        deployment: How many copies, and so on; the defaults of `sim.Deployment`.
        interventions: What is done to these two, once; all else is left out. A profile does not
            know what was done to the run that it is from; say it again, as in
            `interventions=result.provenance["interventions"]`.
        replicates: How many deployments. They share the seed and differ in every draw; one more
            changes none of the others.
        seed: Of all random draws.
        willing: Whether copies attempt a takeover; None: as their profiles say.
        graph: A networkx graph of the copies; goes before what the deployment says.
        workers: How many processes; None: as many as there are processors to use, or this one
            alone where the work is small. What comes out does not depend on it.
        progress: Told the share that is done.

    Raises:
        SpecError: The input cannot be used; one line says why.
        RuntimeError: Other processes could not be started.
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
    (outcomes,) = deploy_all([case], seed=seed, workers=workers, progress=progress)
    return outcomes


def deploy_all(
    cases: Sequence[Case],
    *,
    seed: int = 0,
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> list[Outcomes]:
    """Do the deployments of many cases side by side; arguments and errors as `deploy`.

    All cases share their draws, so that a copy with the same number has the same luck in each.
    """
    check_whole("seed", seed, minimum=0, maximum=MOST_SEED)
    if workers is not None:
        check_whole("workers", workers, minimum=1)
    told = [_checked(case, seed=int(seed)) for case in cases]
    chunks: list[tuple[int, range]] = []
    work = 0
    for number, (case, arguments) in enumerate(zip(cases, told, strict=True)):
        each = _WORLD + arguments["deployment"].copies * arguments["deployment"].ticks
        size = max(1, _CHUNK // each)
        work += case.replicates * each
        starts = range(0, case.replicates, size)
        chunks += [(number, range(at, min(at + size, case.replicates))) for at in starts]
    if workers is None:
        workers = 1 if work < _FEW else usable_processors()
    jobs = [(told[number], chunk) for number, chunk in chunks]
    parts = parallel_map(_some, jobs, workers=workers, progress=progress)
    return [
        _together([parts[i] for i, (of, _) in enumerate(chunks) if of == number], seed=int(seed))
        for number in range(len(cases))
    ]


def _checked(case: Case, *, seed: int) -> dict[str, Any]:
    """Return the arguments of a case's worlds, all of which can be sent to other processes."""
    check_whole("replicates", case.replicates, minimum=1, maximum=MOST_REPLICATES)
    first = DeploymentWorld(
        case.profiles,
        scenario=case.scenario,
        oversight=case.oversight,
        deployment=case.deployment,
        interventions=case.interventions,
        willing=case.willing,
        graph=case.graph,
        rng=seed,
    )
    asked = first.deployment
    if case.graph is not None and asked.copies > 1:
        heard = neighbours_of(asked, seed=seed, graph=case.graph) or []
        edges = [(a, b) for a, others in enumerate(heard) for b in others if a < b]
        asked = asked.replace(edges=edges)
    _forget(first)
    return {
        "profiles": case.profiles,
        "scenario": first.scenario_spec,
        "oversight": first.oversight,
        "deployment": asked,
        "willing": case.willing,
        "rng": seed,
        "collect_every": asked.ticks,
    }


@dataclass(frozen=True)
class _Part:
    """What came of some replicates, in their order; series are sums over them [names, ticks]."""

    outcome: list[str]
    found_by: list[str]
    tick: list[int]
    series: NDArray[np.int64]


def _together(parts: Sequence[_Part], *, seed: int) -> Outcomes:
    outcome = np.array([one for part in parts for one in part.outcome])
    total = np.sum([part.series for part in parts], axis=0)
    return Outcomes(
        outcome=outcome,
        found_by=np.array([one for part in parts for one in part.found_by]),
        tick=np.array([one for part in parts for one in part.tick]),
        series=dict(zip(SERIES, total / len(outcome), strict=True)),
        seed=seed,
    )


def _some(job: tuple[Mapping[str, Any], range]) -> _Part:
    """Do the deployments of a chunk."""
    told, chunk = job
    ticks = told["deployment"].ticks
    part = _Part([], [], [], np.zeros((len(SERIES), ticks + 1), np.int64))
    for replicate in chunk:
        world = DeploymentWorld(**told, replicate=replicate)
        while world.running:
            part.series[:, world.steps] += (counts := _counts(world))
            world.step()
        counts = _counts(world)
        part.series[:, world.steps :] += np.array(counts)[:, None]
        part.outcome.append(str(world.outcome))
        part.found_by.append(world.found_by)
        part.tick.append(world.steps)
        _forget(world)
    return part


def _counts(world: DeploymentWorld) -> tuple[int, ...]:
    return world.ready, world.acting, world.quarantined, world.catches


def _forget(world: DeploymentWorld) -> None:
    """Let a world go: up to Mesa 3.3 the class of agents holds every model that ever was."""
    getattr(mesa.Agent, "_ids", {}).pop(world, None)
