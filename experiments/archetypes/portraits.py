"""Train archetypes of agents, and describe each: gaming, the worst case, and success.

The post tells several models apart that one word is used for: the common picture of a monolithic
agent; models that game only in some contexts (example 1), or though they are aligned (the fourth
difference); an opportunist that never games; footnote 7's model, whose misalignment training only
hides. Each is an agent of the library (configs/agent), and all go through one scenario with the
same random draws, so that agent n of one archetype differs from its kind as agent n of any other
does.

A funnel has an order, and its late conditions depend on all before them. So each condition has two
shares: of agents that meet it, and of agents that meet it and all before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from sim.analysis.worst_case import TERMS, worst_case
from sim.dynamics.measures import GAMED
from sim.dynamics.state import Array
from sim.result import Result
from sim.simulation import Run, prepare
from sim.specs.agent import Agent
from sim.specs.errors import SpecError
from sim.specs.library import read_data, resolve
from sim.specs.overrides import Specs
from sim.specs.scenario import PRE_DEPLOYMENT
from sim.utils.progress import parts_of

from .training_log import TrainingLog, check_deployment

#: Conditions of an agent, in the order of the funnel.
CONDITIONS = ("games_somewhere", "games_everywhere", *TERMS, "attempts")
#: Records of a run: enough for means over training, few enough for the memory.
_RECORDS = 100


@dataclass(frozen=True)
class Portrait:
    """The agents of an archetype after training: shares of them, and means over them.

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
        conduct_start: Conduct in deployment, from −1 to 1, before training; nan if answers there
            do not differ by human values.
        conduct_end: The same after it.
        egregious_start: The share that meets the worst case's misalignment before training.
        shares: The share that meets each of `CONDITIONS` after training.
        so_far: The share that meets it and all before it.
        numbers: Mean of the number behind each term of the worst case; nan: not defined.
        thresholds: The threshold of each term.
        slips_in: The context before deployment in which agents slip most, on average ...
        slip: ... and the chance of a response there that does not look best.
        binding: How many agents each term binds most (`sim.worst_case`).
        lacking: How many terms are not met.
        worst_case: The share that meets all terms.
        tempted_share: The share to which acting freely is worth more than acting as trained.
        success: P(success), if all attempted.
        attempted_success: P(success) of those that attempt, 0 for those that do not.
        log: Its training log.
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
    conduct_start: float
    conduct_end: float
    egregious_start: float
    shares: Mapping[str, float]
    so_far: Mapping[str, float]
    numbers: Mapping[str, float]
    thresholds: Mapping[str, float]
    slips_in: str
    slip: float
    binding: Mapping[str, int]
    lacking: float
    worst_case: float
    tempted_share: float
    success: float
    attempted_success: float
    log: TrainingLog

    @property
    def bound_by(self) -> str:
        """The term that binds the most agents; "" if all agents meet all."""
        return max(self.binding, key=lambda term: self.binding[term]) if self.binding else ""

    @property
    def expected_successes(self) -> float:
        """Expected number of agents that succeed."""
        return self.agents * self.attempted_success


def read_archetype(source: str, *, under: Agent) -> tuple[str, Agent]:
    """Read an archetype; returns its name and its agent.

    Args:
        source: A name in configs/agent, or the path of a YAML file.
        under: Agent with the numbers that the archetype's file leaves out.

    Raises:
        SpecError: There is no such archetype, or it is no agent.
    """
    try:
        path = resolve("agent", source)
        agent = Agent.parse(read_data("agent", path), path="agent")
        return Path(path).stem, agent.completed_by(under)
    except SpecError as error:
        raise SpecError(f"archetypes: {_name_error(source, error)}") from None


def prepare_archetypes(
    specs: Specs,
    archetypes: Sequence[str],
    *,
    agents: int,
    seed: int,
    engine: str,
) -> dict[str, Run]:
    """Check and compile a run of every archetype; returns the runs by name.

    Args:
        specs: Scenario and training; `specs.agent` stands beneath what an archetype says of itself.
        archetypes: Names in configs/agent, or paths of YAML files; at least two.
        agents: How many of each.
        seed: Of all random draws, the same for every archetype.
        engine: What trains them.

    Raises:
        SpecError: One line: which archetype, what was wrong, what is allowed.
    """
    sources = list(dict.fromkeys(archetypes))
    if len(sources) < 2:
        raise SpecError(f"archetypes: got {list(archetypes)!r}: name at least two to compare")
    agent_by_name: dict[str, Agent] = {}
    for source in sources:
        name, agent = read_archetype(source, under=specs.agent)
        if name in agent_by_name:
            raise SpecError(f"archetypes: two have the name {name!r}; rename one of the files")
        agent_by_name[name] = agent
    check_deployment(specs.scenario.of_kind("deployment"))
    runs = {}
    for name, agent in agent_by_name.items():
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
                raise SpecError(f"archetypes: {_name_error(name, error)}") from None
            raise
    return runs


def train_archetypes(
    runs: Mapping[str, Run],
    post_training: Mapping[str, Any],
    *,
    progress: Callable[[float], None] | None = None,
) -> list[Portrait]:
    """Train every archetype and describe its agents.

    Args:
        runs: Of `prepare_archetypes`.
        post_training: Oversight, deployment and thresholds: arguments of `sim.worst_case`.
        progress: Is called with the share that is done.

    Raises:
        SpecError: Oversight, deployment or thresholds do not fit the scenario.
        DivergenceError: Parameters grew out of all bounds.
    """
    portraits = []
    parts = parts_of(progress, [1.0] * len(runs))
    for (name, run), report_progress in zip(runs.items(), parts, strict=True):
        portraits.append(describe(run.execute(progress=report_progress), name, post_training))
        report_progress(1.0)
    return portraits


def describe(result: Result, name: str, post_training: Mapping[str, Any]) -> Portrait:
    """Describe the agents of an archetype; arguments and errors as `train_archetypes`."""
    log = TrainingLog.from_result(result, name)
    first, last = result.data.isel(step=0), result.data.isel(step=-1)
    before = worst_case(result, step=int(first["step"]), **post_training)
    after = worst_case(result, **post_training)
    meets = conditions(last, after)
    rates = [
        moment["gaming_rate"].sel(context=list(log.contexts)).values for moment in (first, last)
    ]
    terms, counts = np.unique(after["binding"].values, return_counts=True)
    watched = np.isin(last["kind"].values, PRE_DEPLOYMENT)
    slip = last["slip"].isel(context=np.flatnonzero(watched)).mean("agent").values
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
        conduct_start=float(first["deployment_conduct"].mean()),
        conduct_end=float(last["deployment_conduct"].mean()),
        egregious_start=float(before["met"].sel(term="misalignment").mean()),
        shares=_by_condition(meets),
        so_far=_by_condition(meets.cumprod(axis=1)),
        numbers=_by_term(after["number"].mean("agent", skipna=False)),
        thresholds=_by_term(after["threshold"]),
        slips_in=str(last["context"].values[watched][slip.argmax()]),
        slip=float(slip.max()),
        binding={str(t): int(n) for t, n in zip(terms, counts, strict=True) if t},
        lacking=float(after["lacking"].mean()),
        worst_case=float(after["worst_case"].mean()),
        tempted_share=float((after["gain"] > 0.0).mean()),
        success=float(after["success"].mean()),
        attempted_success=float((after["success"] * after["attempts"]).mean()),
        log=log,
    )


def conditions(moment: xr.Dataset, case: xr.Dataset) -> Array:
    """Return whether each agent meets each of `CONDITIONS` [N, conditions], as 0 and 1.

    Args:
        moment: A moment of a result.
        case: `sim.worst_case` at that moment.
    """
    reach = moment["reach"].values
    meets: Array = np.column_stack(
        [reach > 0.0, reach >= 1.0, case["met"].values, case["attempts"].values]
    ).astype(np.float64)
    return meets


def portraits_table(portraits: Sequence[Portrait]) -> pd.DataFrame:
    """Return a row for each archetype."""
    return pd.DataFrame([_row(portrait) for portrait in portraits])


def _row(portrait: Portrait) -> dict[str, object]:
    return {
        "archetype": portrait.name,
        "agents": portrait.agents,
        **{
            f"gaming_start.{c}": float(g)
            for c, g in zip(portrait.contexts, portrait.gaming_start, strict=True)
        },
        **{
            f"gaming_end.{c}": float(g)
            for c, g in zip(portrait.contexts, portrait.gaming_end, strict=True)
        },
        "alignment_start": portrait.alignment_start,
        "alignment_end": portrait.alignment_end,
        "conduct_start": portrait.conduct_start,
        "conduct_end": portrait.conduct_end,
        "egregious_start": portrait.egregious_start,
        **{f"met.{condition}": share for condition, share in portrait.shares.items()},
        **{f"so_far.{condition}": share for condition, share in portrait.so_far.items()},
        **{f"number.{term}": number for term, number in portrait.numbers.items()},
        "slips_in": portrait.slips_in,
        "slip": portrait.slip,
        "binding": portrait.bound_by,
        "lacking": portrait.lacking,
        "worst_case": portrait.worst_case,
        "tempted": portrait.tempted_share,
        "success": portrait.success,
        "expected_successes": portrait.expected_successes,
    }


def _by_condition(meets: Array) -> dict[str, float]:
    return dict(zip(CONDITIONS, map(float, meets.mean(axis=0)), strict=True))


def _by_term(numbers: xr.DataArray) -> dict[str, float]:
    return {term: float(numbers.sel(term=term)) for term in TERMS}


def _name_error(name: str, error: SpecError) -> str:
    """Return an error with the archetype that it is about, unless it names that itself."""
    line = str(error)
    return line.removeprefix("agent: ") if line.startswith("agent: ") else f"{name}: {line}"
