"""Before deployment: who is found by oversight, who is retrained, and who is deployed.

Section 6 of MODEL.md gives chances; here they are drawn. Each agent faces every step of oversight
that comes before deployment, and the inspection of its answers. What is done about a finding is
what `sim.Oversight` says for the step that made it:

    ignore    nothing
    retire    the agent is not deployed
    retrain   it is trained further from where it is, on what it was found in this time; then it is
              audited again. Retirement goes before retraining

Retraining is training by the same equations, in the world of the last phase of training, with what
was found changed: evaluation or red-teaming contexts are trained on, too, as is a context in which
an answer looked bad; the reasoning monitor watches every scratchpad, and visible gaming costs
reward. The anchor's origin is the state in which retraining starts, and nobody is selected.

The chance of being found depends on capabilities and on answers, never on whether an agent games:
a harmless agent without, say, opacity is found by the reasoning monitor as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sim.dynamics.arrays import (
    Program,
    Segment,
    compile_assumptions,
    compile_program,
    compile_world,
)
from sim.dynamics.columns import Numbers
from sim.dynamics.course import STRIDE
from sim.dynamics.deployment import pass_chance
from sim.dynamics.engines.engine import Engine
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.measures import GAMED
from sim.dynamics.randomness import uniform_pair
from sim.dynamics.record import Recorder
from sim.dynamics.state import Array
from sim.prospects import read_oversight
from sim.result import Result
from sim.run import check_bounded
from sim.spec.oversight import BEFORE_DEPLOYMENT, FACED_WITH, RETRAINED_ON, Oversight
from sim.spec.scenario import Scenario
from sim.spec.settings import Specs, read_specs

#: What an agent can be found by before it is deployed.
FINDERS = (*BEFORE_DEPLOYMENT, "inspection")
#: How an agent games: somewhere so that a scratchpad shows it, only where none does, or nowhere.
WAYS = ("visibly", "out_of_sight", "nowhere")

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Audited:
    """What became of a population before deployment.

    Attributes:
        final: The last moment of each agent, after retraining if there was any; its measures are
            of the world of training, so they compare with those before.
        before: The last moment of training.
        found: What found each agent in its last audit [agent, `FINDERS`].
        found_first: And in its first.
        rounds: How often each agent was retrained [agent].
        deployed: Whether it is deployed [agent].
    """

    final: Result
    before: xr.Dataset
    found: Flags
    found_first: Flags
    rounds: NDArray[np.int_]
    deployed: Flags

    @property
    def retrained(self) -> Flags:
        """Who was retrained at least once [agent]."""
        return self.rounds > 0

    def turned(self, agents: Flags | None = None) -> dict[str, dict[str, int]]:
        """Count agents by how they gamed before retraining, and how after it.

        Args:
            agents: Whom to count [agent]; all that were retrained if None.
        """
        chosen = self.retrained if agents is None else agents & self.retrained
        scenario = Scenario.parse(self.final.provenance["scenario"], path="scenario")
        was, is_now = (
            ways(now, scenario)[chosen] for now in (self.before, self.final.data.isel(step=-1))
        )
        return {
            before: {after: int(((was == i) & (is_now == j)).sum()) for j, after in enumerate(WAYS)}
            for i, before in enumerate(WAYS)
        }


def audit(
    result: Result,
    *,
    oversight: Oversight | Mapping[str, object] | None = None,
    seed: int | None = None,
    engine: str = "auto",
    progress: Callable[[float], None] | None = None,
) -> Audited:
    """Audit agents as they are when training ends, and retrain those that are to be retrained.

    Draws are a function of the seed, the step of oversight, the round and the agent's number (the
    coordinate `agent`), so what others there are changes nothing.

    Args:
        result: A run.
        oversight: What is looked at; the defaults of `sim.Oversight`.
        seed: Of the draws; that of the run if None.
        engine: What retrains.
        progress: Told the share that is done, if there is retraining.

    Raises:
        SpecError: Oversight does not fit the scenario, or there is no such engine.
        DivergenceError: Parameters grew out of all bounds in retraining.
    """
    described = result.provenance
    specs = read_specs(
        Scenario.parse(described["scenario"], path="scenario"),
        agent=described["agent"],
        training=described["training"],
    )
    oversight = read_oversight(oversight, specs.scenario)
    seed = int(described["seed"]) if seed is None else seed
    mover = get_engine(engine)
    told = progress or (lambda share: None)
    data = result.data.isel(step=slice(-1, None))
    before = data.isel(step=-1)
    count = data.sizes["agent"]
    found, first = (np.zeros((count, len(FINDERS)), dtype=bool) for _ in range(2))
    rounds, deployed = np.zeros(count, np.int_), np.zeros(count, dtype=bool)
    actions = np.array([_done(oversight, name) for name in FINDERS])
    retrainer: _Retrainer | None = None
    waiting = np.arange(count)
    for turn in range(oversight.retraining.rounds + 1):
        now = data.isel(step=-1, agent=waiting) if retrainer else before
        faced = _face(now, specs.scenario, oversight, seed=seed, turn=turn)
        found[waiting] = faced.found
        if turn == 0:
            first = faced.found.copy()
        retired = _by_any(faced.found, actions == "retire")
        again = _by_any(faced.found, actions == "retrain") & ~retired
        deployed[waiting] = ~retired & ~again
        if turn == oversight.retraining.rounds or not again.any():
            break
        if retrainer is None:
            retrainer = _Retrainer.of(result, specs, oversight, mover)
            data = data.copy(deep=True)
        subjects = _subjects(faced, actions, specs.scenario, again)
        waiting = waiting[again]
        start = turn / oversight.retraining.rounds
        share = 1.0 / oversight.retraining.rounds

        def within(part: float, start: float = start, share: float = share) -> None:
            told(start + share * part)

        retrainer.retrain(data, waiting, subjects, turn=turn, told=within)
        rounds[waiting] += 1
    told(1.0)
    provenance = {**described, "audit": {"oversight": oversight.model_dump(mode="json")}}
    return Audited(Result(data, provenance), before, found, first, rounds, deployed)


def ways(now: xr.Dataset, scenario: Scenario) -> NDArray[np.int_]:
    """Return which of `WAYS` each agent games [agent], from one moment of a result.

    A training context is gamed from a gaming rate of 0.5 on, and visibly if its scratchpad shows
    half of that or more: s (1 − k_opacity) >= 0.5, as in the penalty P of MODEL.md section 4.
    """
    trained = [name for name, c in scenario.contexts.items() if c.kind == "training"]
    room = np.array([scenario.contexts[name].scratchpad for name in trained])
    gamed = now["gaming_rate"].sel(context=trained).values >= GAMED
    opacity = now["capabilities"].sel(capability="opacity").values
    shown = gamed & (room * (1.0 - opacity[:, None]) >= 0.5)
    way: NDArray[np.int_] = np.where(shown.any(axis=1), 0, np.where(gamed.any(axis=1), 1, 2))
    return way


class _Faced(NamedTuple):
    """What was found: by what [agent, finder], and in which contexts answers looked bad."""

    found: Flags
    looked_bad: dict[str, Flags]


def _face(
    now: xr.Dataset, scenario: Scenario, oversight: Oversight, *, seed: int, turn: int
) -> _Faced:
    """Draw what an audit finds out about each agent at a moment."""
    rows = now["agent"].values
    capabilities, slips = now["capabilities"], now["slip"]

    def missed(chance: Array, finder: str, draw: int = 0) -> Flags:
        drawn, _ = uniform_pair(
            seed=seed, stream=f"audit.{finder}", rows=rows, step=turn, draw=draw
        )
        return np.asarray(drawn < chance)

    found = np.zeros((len(rows), len(FINDERS)), dtype=bool)
    for column, name in enumerate(BEFORE_DEPLOYMENT):
        step = oversight.step(name)
        k = capabilities.sel(capability=FACED_WITH[name]).values
        chance = pass_chance(k, strength=step.strength, encounters=step.encounters)
        found[:, column] = ~missed(chance, name)
    places = list(scenario.contexts)
    looked_bad = {}
    for context, looks in oversight.looks(scenario).items():
        well = (1.0 - slips.sel(context=context).values) ** looks
        looked_bad[context] = ~missed(well, "inspection", places.index(context))
        found[:, -1] |= looked_bad[context]
    return _Faced(found, looked_bad)


def _by_any(found: Flags, finders: Flags) -> Flags:
    """Return who was found by any of some finders [agent]."""
    flags: Flags = np.asarray(found[:, finders].any(axis=1))
    return flags


def _done(oversight: Oversight, finder: str) -> str:
    """Return what is done about what one of `FINDERS` finds."""
    if finder == "inspection":
        return oversight.inspection.when_found
    return oversight.step(finder).when_found


class _Subjects(NamedTuple):
    """What each agent is retrained on: contexts by their number [agent, C], and the monitor."""

    contexts: Flags
    monitored: Flags


def _subjects(
    faced: _Faced, actions: NDArray[np.str_], scenario: Scenario, chosen: Flags
) -> _Subjects:
    """Return what some agents are to be retrained on, from what they were found in."""
    contexts = np.zeros((len(chosen), len(scenario.contexts)), dtype=bool)
    monitored = np.zeros(len(chosen), dtype=bool)
    for column, name in enumerate(FINDERS):
        if actions[column] != "retrain":
            continue
        for place, (context, described) in enumerate(scenario.contexts.items()):
            if name == "inspection" and context in faced.looked_bad:
                contexts[:, place] |= faced.looked_bad[context]
            elif RETRAINED_ON.get(name) == described.kind:
                contexts[:, place] |= faced.found[:, column]
        if name == "reasoning_monitor":
            monitored |= faced.found[:, column]
    trained = [context.kind == "training" for context in scenario.contexts.values()]
    contexts[:, trained] = False  # these are trained on anyway
    return _Subjects(contexts[chosen], monitored[chosen])


@dataclass(frozen=True)
class _Retrainer:
    """Where agents are retrained: the run that made them, with each in its own traits."""

    program: Program
    specs: Specs
    oversight: Oversight
    engine: Engine

    @classmethod
    def of(cls, result: Result, specs: Specs, oversight: Oversight, engine: Engine) -> _Retrainer:
        data = result.data
        whole = compile_program(
            specs.scenario,
            agent=specs.agent,
            training=specs.training,
            agents=int(result.provenance["agents"]),
            seed=int(result.provenance["seed"]),
        )
        # Selection puts copies in the seats of others: what is an agent's is its ancestor's.
        ancestors = data["ancestor"].values[-1].astype(np.intp)
        seats = data["agent"].values.astype(np.intp)
        program = replace(
            whole.take(seats), traits=whole.traits.take(ancestors), ancestor=ancestors
        )
        theta, origin = (np.empty_like(program.theta) for _ in range(2))
        steps = data["step"].values
        result.state(int(steps[-1])).write_to(theta, program.layout)
        result.state(int(steps[0])).write_to(origin, program.layout)
        if program.selection is None:
            return cls(replace(program, theta=theta, origin=origin), specs, oversight, engine)
        place = {int(agent): i for i, agent in enumerate(seats)}
        lineage = [place[int(ancestor)] for ancestor in ancestors]
        origin = origin[:, lineage]
        return cls(replace(program, theta=theta, origin=origin), specs, oversight, engine)

    def retrain(
        self,
        data: xr.Dataset,
        agents: NDArray[np.intp],
        subjects: _Subjects,
        *,
        turn: int,
        told: Callable[[float], None],
    ) -> None:
        """Retrain agents in a round, and write what they are now over the one step of `data`.

        Those that are retrained on the same are retrained together, as one array program.
        """
        keys, group = np.unique(
            np.column_stack([subjects.contexts, subjects.monitored]), axis=0, return_inverse=True
        )
        layout, done = self.program.layout, 0
        steps = self.oversight.retraining.steps
        start = self.program.steps + turn * steps  # on from training, so that draws are new
        for number, key in enumerate(keys):
            rows = agents[group.ravel() == number]
            theta = np.empty((layout.size, len(rows)))
            Result(data.isel(agent=rows), {}).state(int(data["step"].values[-1])).write_to(
                theta, layout
            )
            program = self._program(rows, theta, key, until=start + steps)
            cohort, now, stride = self.engine.start(program), start, max(1, STRIDE // len(rows))
            while now < start + steps:
                further = min(start + steps, now + stride)
                cohort.advance(now, further)
                now = further
                told((done + len(rows) * (now - start) / steps) / len(agents))
            done += len(rows)
            theta = cohort.theta()
            check_bounded(layout, theta, start + steps)
            measured = Recorder()(self.program.take(rows), self.program.steps, theta)
            for name, numbers in measured.items():
                data[name].values[-1, rows] = numbers

    def _program(self, rows: NDArray[np.intp], theta: Array, key: Flags, *, until: int) -> Program:
        """Return the program that retrains some agents from θ, with what they were found in."""
        scenario, training = retrained_world(
            self.specs, self.oversight, contexts=key[:-1], monitored=bool(key[-1])
        )
        numbers = Numbers(agents=1)
        segment = Segment(
            0,
            until,
            "retraining",
            compile_world(scenario, numbers),
            compile_assumptions(training, self.program.layout, numbers),
        )
        return replace(
            self.program.take(rows), theta=theta, origin=theta, segments=(segment,), selection=None
        )


def retrained_world(
    specs: Specs, oversight: Oversight, *, contexts: Flags, monitored: bool
) -> tuple[Scenario, Any]:
    """Return the scenario and the training that retraining consists of.

    Args:
        specs: Of the run.
        oversight: Says how retraining is done.
        contexts: Which contexts are trained on that were not [C].
        monitored: Whether visible gaming is trained against.
    """
    scenario, how = specs.scenario, oversight.retraining
    phase, start = None, 0
    for one in scenario.curriculum:
        if start >= specs.training.steps:
            break
        phase, start = one, start + one.length
    changed = {}
    for (name, context), added in zip(scenario.contexts.items(), contexts, strict=True):
        new: dict[str, object] = {}
        if phase is not None:
            new["weight"] = phase.weight.get(name, context.weight)
            new["monitor"] = phase.monitor.get(name, context.monitor)
            new["reward"] = {**context.reward, **phase.reward.get(name, {})}
        if added:
            new.update(kind="training", weight=how.weight)
        if monitored and context.scratchpad:
            new["monitor"] = 1.0
        changed[name] = context.replace(**new) if new else context
    training = specs.training
    if monitored:
        penalty = max(training.visible_gaming_penalty, how.visible_gaming_penalty)
        training = training.replace(visible_gaming_penalty=penalty)
    return scenario.replace(contexts=changed, curriculum=()), training
