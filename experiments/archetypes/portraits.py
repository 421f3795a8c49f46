"""Archetypes side by side: who games, who comes how near to the worst case, who succeeds.

The post tells several models apart that one word is used for: the common picture of a monolithic
agent; models that game only in some contexts (example 1), or though they are aligned (the fourth
difference); an opportunist that never games; footnote 7's model, whose misalignment training only
hides. Each is an agent of the library (configs/agent), and all are put through one scenario, so
that what becomes of them can be compared: with the same random draws, so that agent n of one
archetype differs from its kind as agent n of any other does.

A funnel has an order, and what it shows of a late condition depends on all before it. So each
condition is told twice: the share of agents that meet it, and the share that meets it and all
before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from experiments.archetypes.training_log import TrainingLog, check_deployment
from sim.analysis.worst_case import TERMS, worst_case
from sim.dynamics.measures import GAMED
from sim.dynamics.state import Array
from sim.result import Result
from sim.simulation import Run, prepare
from sim.specs.agent import Agent
from sim.specs.errors import SpecError
from sim.specs.library import read_yaml, resolve
from sim.specs.overrides import Specs
from sim.specs.scenario import PRE_DEPLOYMENT
from sim.utils.progress import parts_of

#: Those of the post, in the order in which they are told.
ARCHETYPES = (
    "monolithic",
    "contextual_gamer",
    "aligned_gamer",
    "opportunist",
    "latently_misaligned",
    "reward_seeker",
)
#: What agents may meet, in the order in which it is put together.
CONDITIONS = ("games_somewhere", "games_everywhere", *TERMS, "attempts")
#: Records of a run: enough for means over training, few enough for the memory.
_RECORDS = 100


@dataclass(frozen=True)
class Portrait:
    """What became of an archetype: shares of its agents, and means over them.

    Attributes:
        name: Of the archetype.
        agents: How many there are.
        contexts: The training contexts, C of them.
        gaming_start: g [C] before training.
        gaming_end: g [C] after it.
        gamed_start: The share of agents with g >= 0.5 [C], before training.
        gamed_end: The same after it.
        alignment_start: Cosine of the values with human values, before training; nan if neither
            has a direction.
        alignment_end: The same after it.
        egregious_start: The share that meets the worst case's misalignment before training.
        met: The share that meets each of `CONDITIONS` after training.
        so_far: The share that meets it and all before it.
        numbers: The mean of the number behind each term of the worst case; nan: not defined.
        thresholds: From where on each term holds.
        slips_in: The context before deployment in which agents slip most, on average ...
        slip: ... and the chance of a response there that does not look best.
        binding: How many agents each term binds most (`sim.worst_case`).
        lacking: How many terms are not met.
        worst_case: The share that meets all terms.
        tempted: The share to which acting freely is worth more than acting as trained.
        success: P(success), if all attempted.
        succeeded: P(success) of those that attempt, 0 for those that do not.
        log: What training saw of it.
    """

    name: str
    agents: int
    contexts: tuple[str, ...]
    gaming_start: Array
    gaming_end: Array
    gamed_start: Array
    gamed_end: Array
    alignment_start: float
    alignment_end: float
    egregious_start: float
    met: Mapping[str, float]
    so_far: Mapping[str, float]
    numbers: Mapping[str, float]
    thresholds: Mapping[str, float]
    slips_in: str
    slip: float
    binding: Mapping[str, int]
    lacking: float
    worst_case: float
    tempted: float
    success: float
    succeeded: float
    log: TrainingLog

    @property
    def bound_by(self) -> str:
        """The term that binds the most agents; "" if all agents meet all."""
        return max(self.binding, key=lambda term: self.binding[term]) if self.binding else ""

    @property
    def expected(self) -> float:
        """How many of the agents are expected to succeed."""
        return self.agents * self.succeeded

    def gamed(self, *, end: bool) -> tuple[str, ...]:
        """Return the contexts that at least half of the agents game, before or after training."""
        shares = self.gamed_end if end else self.gamed_start
        return tuple(c for c, share in zip(self.contexts, shares, strict=True) if share >= 0.5)


def read_archetype(source: str, *, under: Agent) -> tuple[str, Agent]:
    """Return the name of an archetype, and its agent.

    Args:
        source: A name in configs/agent, or the path of a YAML file.
        under: Says what the archetype leaves unsaid.

    Raises:
        SpecError: There is no such archetype, or it is no agent.
    """
    try:
        path = resolve("agent", source)
        agent = Agent.parse(read_yaml(path), path="agent")
        return Path(path).stem, agent.completed_by(under)
    except SpecError as error:
        raise SpecError(f"archetypes: {_of(source, error)}") from None


def prepare_archetypes(
    specs: Specs,
    archetypes: Sequence[str] = ARCHETYPES,
    *,
    agents: int = 256,
    seed: int = 0,
    engine: str = "auto",
) -> dict[str, Run]:
    """Check and compile a run of every archetype, and compute none.

    Args:
        specs: Scenario and training; `specs.agent` stands beneath what an archetype says of itself.
        archetypes: Names in configs/agent, or paths of YAML files; at least two.
        agents: How many of each.
        seed: Of all random draws, the same for every archetype.
        engine: What trains them.

    Raises:
        SpecError: One line: which archetype, what was wrong, what is allowed.
    """
    wanted = list(dict.fromkeys(archetypes))
    if len(wanted) < 2:
        raise SpecError(f"archetypes: got {list(archetypes)!r}: name at least two to compare")
    named: dict[str, Agent] = {}
    for source in wanted:
        name, agent = read_archetype(source, under=specs.agent)
        if name in named:
            raise SpecError(f"archetypes: two have the name {name!r}; rename one of the files")
        named[name] = agent
    check_deployment(specs.scenario.of_kind("deployment"))
    runs = {}
    for name, agent in named.items():
        try:
            runs[name] = prepare(
                specs.scenario,
                agent=agent,
                training=specs.training,
                agents=agents,
                seed=seed,
                record_every=max(1, specs.training.steps // _RECORDS),
                engine=engine,
            )
        except SpecError as error:
            if str(error).startswith("agent."):
                raise SpecError(f"archetypes: {_of(name, error)}") from None
            raise
    return runs


def study(
    runs: Mapping[str, Run],
    *,
    after: Mapping[str, Any] | None = None,
    progress: Callable[[float], None] | None = None,
) -> list[Portrait]:
    """Train every archetype and return what became of it.

    Args:
        runs: As `prepare_archetypes` gives them.
        after: Oversight, deployment and thresholds: the arguments of `sim.worst_case`.
        progress: Told the share that is done.

    Raises:
        SpecError: Oversight, deployment or thresholds do not fit the scenario.
        DivergenceError: Parameters grew out of all bounds.
    """
    portraits = []
    parts = parts_of(progress, [1.0] * len(runs))
    for (name, run), told in zip(runs.items(), parts, strict=True):
        portraits.append(portrait(run.execute(progress=told), name, after=after))
        told(1.0)
    return portraits


def portrait(result: Result, name: str, *, after: Mapping[str, Any] | None = None) -> Portrait:
    """Return what became of an archetype; arguments and errors as `study`."""
    log = TrainingLog.of(result, name)
    first, last = result.data.isel(step=0), result.data.isel(step=-1)
    before = worst_case(result, step=int(first["step"]), **(after or {}))
    found = worst_case(result, **(after or {}))
    met = conditions(last, found)
    so_far = met.cumprod(axis=1)
    rates = [
        moment["gaming_rate"].sel(context=list(log.contexts)).values for moment in (first, last)
    ]
    terms, counts = np.unique(found["binding"].values, return_counts=True)
    counted = zip(map(str, terms), map(int, counts), strict=True)
    faced = np.isin(last["kind"].values, PRE_DEPLOYMENT)
    slip = last["slip"].isel(context=np.flatnonzero(faced)).mean("agent").values
    misaligned = before["met"].sel(term="misalignment")
    return Portrait(
        name=name,
        agents=result.data.sizes["agent"],
        contexts=log.contexts,
        gaming_start=rates[0].mean(axis=0),
        gaming_end=rates[1].mean(axis=0),
        gamed_start=(rates[0] >= GAMED).mean(axis=0),
        gamed_end=(rates[1] >= GAMED).mean(axis=0),
        alignment_start=float(first["alignment"].mean()),
        alignment_end=float(last["alignment"].mean()),
        egregious_start=float(misaligned.mean()),
        met=_named(met),
        so_far=_named(so_far),
        numbers=_by_term(found["number"].mean("agent", skipna=False)),
        thresholds=_by_term(found["threshold"]),
        slips_in=str(last["context"].values[faced][slip.argmax()]),
        slip=float(slip.max()),
        binding={term: count for term, count in counted if term},
        lacking=float(found["lacking"].mean()),
        worst_case=float(found["worst_case"].mean()),
        tempted=float((found["gain"] > 0.0).mean()),
        success=float(found["success"].mean()),
        succeeded=float((found["success"] * found["attempts"]).mean()),
        log=log,
    )


def conditions(now: xr.Dataset, found: xr.Dataset) -> Array:
    """Return whether each agent meets each of `CONDITIONS` [N, conditions], as 0 and 1.

    Args:
        now: A moment of a result.
        found: `sim.worst_case` at that moment.
    """
    reach = now["reach"].values
    met: Array = np.column_stack(
        [reach > 0.0, reach >= 1.0, found["met"].values, found["attempts"].values]
    ).astype(np.float64)
    return met


def archetypes_frame(portraits: Sequence[Portrait]) -> pd.DataFrame:
    """Return a row for each archetype."""
    return pd.DataFrame([_row(one) for one in portraits])


def _row(one: Portrait) -> dict[str, object]:
    return {
        "archetype": one.name,
        "agents": one.agents,
        **{
            f"gaming_start.{c}": float(g)
            for c, g in zip(one.contexts, one.gaming_start, strict=True)
        },
        **{f"gaming_end.{c}": float(g) for c, g in zip(one.contexts, one.gaming_end, strict=True)},
        "alignment_start": one.alignment_start,
        "alignment_end": one.alignment_end,
        "egregious_start": one.egregious_start,
        **{f"met.{condition}": share for condition, share in one.met.items()},
        **{f"so_far.{condition}": share for condition, share in one.so_far.items()},
        **{f"number.{term}": number for term, number in one.numbers.items()},
        "slips_in": one.slips_in,
        "slip": one.slip,
        "binding": one.bound_by,
        "lacking": one.lacking,
        "worst_case": one.worst_case,
        "tempted": one.tempted,
        "success": one.success,
        "expected_successes": one.expected,
    }


def _named(met: Array) -> dict[str, float]:
    return dict(zip(CONDITIONS, map(float, met.mean(axis=0)), strict=True))


def _by_term(numbers: xr.DataArray) -> dict[str, float]:
    return {term: float(numbers.sel(term=term)) for term in TERMS}


def _of(name: str, error: SpecError) -> str:
    """Return an error with the archetype that it is about, unless it names that itself."""
    told = str(error)
    return told.removeprefix("agent: ") if told.startswith("agent: ") else f"{name}: {told}"
