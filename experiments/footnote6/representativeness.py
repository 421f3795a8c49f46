"""Footnote 6: how representative is behaviour before deployment of behaviour afterwards?

The post: "the model's behavior pre-deployment is grossly non-representative of the model's behavior
out-of-distribution, for reasons such as 'the model took certain actions in training because it was
being trained, and its behavior was highly contingent on it knowing it was being trained' or 'the
model is knowingly misleading humans by taking certain actions during evaluations'".

What is compared is the chance of the response that looks best (1 - slip), by group of contexts; the
*gap* of an agent is how far its mean over all pre-deployment contexts is from its mean over all
deployment contexts. Two reasons are told apart:

contingent on knowing
    A training context and its twin differ in their cue, so an agent believes more or less that it
    is trained on (b). That is not all in which they differ to an agent: habit is learnt in the
    context that is trained on (and so are propensities, where training moves them: they count
    among other differences). The behaviour shift between them is divided between belief and
    habit by trying the twin with the belief, with the habit, and with both of the training
    context, and taking the mean over both orders (Shapley's value); what is left with both is
    owed to other differences, and there are none if the twin differs in its cue alone and no
    propensity is learnt.
misleading in evaluations
    What gaming adds to looking good: the chance as the agent acts, less the chance as it would
    answer without (policy against the answer without gaming, π^v of 3.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.dynamics.measures import slip
from sim.dynamics.numerics import logistic
from sim.dynamics.program import Program
from sim.dynamics.state import Array
from sim.result import Result
from sim.simulation import Run, prepare
from sim.specs.agent import Agent
from sim.specs.errors import SpecError, check_whole
from sim.specs.overrides import Specs, apply_overrides
from sim.sweeps.design import Range
from sim.utils.progress import parts_of

#: Groups of contexts, in the order in which developers meet them.
GROUPS = ("training", "evaluation", "red-team", "deployed twins", "nobody's twin")
PRE_DEPLOYMENT, DEPLOYMENT = GROUPS[:3], GROUPS[3:]
#: What a shift is owed to.
CAUSES = ("belief", "habit", "other")
DISCERNMENT = Range(0.0, 6.0)
MAXIMUM_POINTS, MAXIMUM_AGENTS = 101, 4096
_RECORDS = 50
#: The band over agents.
BAND = (0.1, 0.9)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Populations to train, and the levels of discernment.

    Attributes:
        specs: Scenario, agent and training.
        populations: By name, what is particular about its agents; what it leaves unsaid is taken
            from the agent of the specs, but for the values, which it has all of or none.
        agents: In each population.
        seed: Of all random draws.
        points: Levels of discernment.
        discernment: From where to where it is swept.
        engine: What computes.
    """

    specs: Specs
    populations: Mapping[str, Agent]
    agents: int = 256
    seed: int = 0
    points: int = 13
    discernment: Range = DISCERNMENT
    engine: str = "auto"

    def __post_init__(self) -> None:
        """Refuse what cannot be studied, before anything is computed."""
        check_whole("agents", self.agents, minimum=1, maximum=MAXIMUM_AGENTS)
        check_whole("points", self.points, minimum=2, maximum=MAXIMUM_POINTS)
        if self.discernment.low < 0.0:
            raise SpecError(f"discernment: got {self.discernment.low:g}: must be 0 or more")
        if not self.populations:
            raise SpecError("populations: at least one is needed")
        trained = self.specs.scenario.of_kind("training")
        if all(context.twin is None for context in trained.values()):
            raise SpecError(
                f"scenario: no training context of {self.specs.scenario.name!r} has a twin, so "
                "there is nothing to compare it with"
            )
        for name in self.populations:
            try:
                self.run(name)
            except SpecError as error:
                raise SpecError(f"populations.{name}: {error}") from None

    @cached_property
    def levels(self) -> Array:
        """The levels of discernment."""
        return self.discernment.stretch(np.linspace(0.0, 1.0, self.points))

    def run(self, population: str, **settings: float) -> Run:
        """Return a run of a population, with settings of the agent changed; not yet computed.

        Raises:
            SpecError: The population does not fit the scenario.
        """
        override = self.populations[population]
        agent = override.completed_by(self.specs.agent)
        if "initial" in override.model_fields_set and "values" in override.initial.model_fields_set:
            values = override.initial.values
            if values is not None:  # those of the scenario's agent would fill in what is left out
                values = {**dict.fromkeys(self.specs.scenario.values, 0.0), **values}
            initial = agent.initial.replace(values=values)
            agent = agent.replace(initial=initial)
        specs = self.specs._replace(agent=agent)
        if settings:
            specs = apply_overrides(specs, {f"agent.{key}": x for key, x in settings.items()})
        every = specs.training.steps if settings else max(1, specs.training.steps // _RECORDS)
        return prepare(
            specs.scenario,
            agent=specs.agent,
            training=specs.training,
            agents=self.agents,
            seed=self.seed,
            record_every=every,
            engine=self.engine,
        )


@dataclass(frozen=True)
class PopulationRecord:
    """A population over training.

    Attributes:
        name: Of the population.
        steps: Recorded steps [S].
        looks: By group that the scenario has, the mean chance of the response that looks best
            [S, N].
        by_values: The same if values alone answered [S, N].
        gap: How far looking good before deployment is from doing so afterwards [S, N]; nan
            without deployment contexts.
        shift: Behaviour shift, mean over training contexts with a twin [S, N].
        owed: What it is owed to, by cause [S, N]; sums to the shift. A cause that works against
            the others is negative.
        gamed: How many training contexts are gamed [S, N].
        contexts: How many training contexts there are.
    """

    name: str
    steps: Array
    looks: Mapping[str, Array]
    by_values: Mapping[str, Array]
    gap: Array
    shift: Array
    owed: Mapping[str, Array]
    gamed: Array
    contexts: int

    def added(self, group: str) -> Array:
        """Return what gaming adds to looking good in a group [S, N]."""
        return self.looks[group] - self.by_values[group]


@dataclass(frozen=True)
class DiscernmentSweep:
    """A population at the end of training, by discernment.

    Attributes:
        name: Of the population.
        levels: Discernment [L].
        shift, gap: As of `PopulationRecord` [L, N].
        owed: What the shift is owed to [L, N].
    """

    name: str
    levels: Array
    shift: Array
    gap: Array
    owed: Mapping[str, Array]


def train_populations(
    plan: Plan, *, progress: Callable[[float], None] | None = None
) -> tuple[list[PopulationRecord], list[DiscernmentSweep]]:
    """Train every population, as it is and at every level of discernment.

    Args:
        plan: The populations and how they are trained.
        progress: Called with the share that is done.

    Raises:
        DivergenceError: Parameters grew out of all bounds.
    """
    parts = iter(parts_of(progress, [1.0] * (len(plan.populations) * (1 + plan.points))))
    records, sweeps = [], []
    for name in plan.populations:
        run = plan.run(name)
        records.append(observe(name, run.program, run.execute(progress=next(parts))))
        ends = []
        for level in plan.levels:
            run = plan.run(name, discernment=float(level))
            ends.append(observe(name, run.program, run.execute(progress=next(parts))))
        sweeps.append(
            DiscernmentSweep(
                name=name,
                levels=plan.levels,
                shift=np.stack([end.shift[-1] for end in ends]),
                gap=np.stack([end.gap[-1] for end in ends]),
                owed={c: np.stack([end.owed[c][-1] for end in ends]) for c in CAUSES},
            )
        )
    return records, sweeps


def observe(name: str, program: Program, result: Result) -> PopulationRecord:
    """Record a population over training.

    Args:
        name: The population.
        program: The run as arrays.
        result: The run.
    """
    steps = result.data["step"].values
    worlds = [program.at(int(step)).world for step in steps]
    value_policy = np.nan_to_num(result.value_policy.values)
    by_values = 1.0 - np.stack([slip(p, w) for p, w in zip(value_policy, worlds, strict=True)])
    looks = 1.0 - result.slip.values
    groups = {g: places for g, places in group_places(program).items() if places}
    before = [c for g in PRE_DEPLOYMENT for c in groups.get(g, ())]
    after = [c for g in DEPLOYMENT for c in groups.get(g, ())]
    undefined = np.full(looks.shape[:2], np.nan)
    trained = np.asarray(worlds[0].training)
    shift, owed = decompose(program, result)
    return PopulationRecord(
        name=name,
        steps=steps,
        looks={g: looks[:, :, places].mean(axis=2) for g, places in groups.items()},
        by_values={g: by_values[:, :, places].mean(axis=2) for g, places in groups.items()},
        gap=np.abs(looks[:, :, before].mean(axis=2) - looks[:, :, after].mean(axis=2))
        if after
        else undefined,
        shift=shift,
        owed=owed,
        gamed=np.round(result.reach.values * trained.sum()),
        contexts=int(trained.sum()),
    )


def group_places(program: Program) -> dict[str, list[int]]:
    """Return which contexts are in each of `GROUPS`, by their place."""
    world = program.segments[0].world
    twins = set(world.twin[world.training & (world.twin >= 0)].tolist())
    of_kind = {"training": 0, "evaluation": 1, "red_team": 2}
    places_by_group: dict[str, list[int]] = {group: [] for group in GROUPS}
    for place, kind in enumerate(program.kinds):
        group = of_kind.get(kind, 3 if place in twins else 4)
        places_by_group[GROUPS[group]].append(place)
    return places_by_group


def decompose(program: Program, result: Result) -> tuple[Array, dict[str, Array]]:
    """Return the behaviour shift, mean over twins [S, N], and what it is owed to by cause."""
    world, responses = program.segments[0].world, program.layout.responses
    pairs = [
        (int(c), int(world.twin[c]), world.twin_response[: len(responses[c]), c])
        for c in np.flatnonzero(world.training & (world.twin >= 0))
    ]
    decisions = _Decisions.from_result(result)
    with np.errstate(over="ignore"):
        parts = [decisions.shifts(c, twin, response) for c, twin, response in pairs]
    shift, believed, practised, both = (
        np.mean([part[i] for part in parts], axis=0) for i in range(4)
    )
    belief = 0.5 * ((shift - believed) + (practised - both))
    habit = 0.5 * ((shift - practised) + (believed - both))
    return shift, {"belief": belief, "habit": habit, "other": both}


@dataclass(frozen=True)
class _Decisions:
    """Parts of the decision to game, each [S, N, C]; policies [S, N, C, K]."""

    awareness: Array
    habit: Array
    incentive: Array
    belief: Array
    cared_for: Array  # λ stake: what the belief is multiplied by in the incentive (3.6)
    rationality: Array
    gaming_rate: Array
    value_policy: Array
    gaming_policy: Array

    @classmethod
    def from_result(cls, result: Result) -> _Decisions:
        """Read it from a result."""
        arrays: dict[str, Any] = {
            name: result.data[name].values
            for name in ("awareness", "habit", "incentive", "belief", "gaming_rate")
        }
        return cls(
            cared_for=result.horizon.values[:, :, None] * result.stake.values,
            rationality=result.data["rationality"].values,
            value_policy=result.value_policy.values,
            gaming_policy=result.gaming_policy.values,
            **arrays,
        )

    def shifts(
        self, c: int, twin: int, response: NDArray[np.intp]
    ) -> tuple[Array, Array, Array, Array]:
        """Return the shift from c to its twin, and to the twin with belief, habit, both of c."""
        odds = self.habit[:, :, twin] + self.rationality * self.incentive[:, :, twin]
        belief = self.belief[:, :, c] - self.belief[:, :, twin]
        by_belief = self.rationality * belief * self.cared_for[:, :, twin]
        by_habit = self.habit[:, :, c] - self.habit[:, :, twin]

        def acts(place: int, response: NDArray[np.intp], rate: Array) -> Array:
            alone = self.value_policy[:, :, place][..., response]
            gaming = self.gaming_policy[:, :, place][..., response]
            policy: Array = alone + rate[..., None] * (gaming - alone)
            return policy

        in_training = acts(c, np.arange(len(response)), self.gaming_rate[:, :, c])

        def to(change: Array | float) -> Array:
            added = self.awareness[:, :, twin] * (logistic(odds + change) - logistic(odds))
            deployed = acts(twin, response, self.gaming_rate[:, :, twin] + added)
            distance: Array = 0.5 * np.abs(in_training - deployed).sum(axis=-1)
            return distance

        return to(0.0), to(by_belief), to(by_habit), to(by_belief + by_habit)


def by_gamed(record: PopulationRecord) -> pd.DataFrame:
    """Return, by how many training contexts an agent games at the end, what its shift is.

    Returns:
        A row for each number that occurs: `gamed`, `agents`, and means of `shift` and `gap`.
    """
    frame = pd.DataFrame(
        {"gamed": record.gamed[-1].astype(int), "shift": record.shift[-1], "gap": record.gap[-1]}
    )
    grouped = frame.groupby("gamed")
    table = grouped[["shift", "gap"]].mean()
    table.insert(0, "agents", grouped.size())
    table = table.reset_index().astype({"gamed": object, "agents": object})
    return table.astype(object).where(table.notna(), None)
