"""Retraining: what agents that oversight found something in are trained on, and how.

Retraining is training by the same equations, in the world of the last phase of training, with what
was found changed: evaluation or red-teaming contexts are trained on, too, as is a context in which
an answer looked bad; the reasoning monitor watches every scratchpad, and visible gaming costs
reward. The anchor's origin is the state in which retraining starts, and nobody is selected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sim.dynamics.columns import Numbers
from sim.dynamics.compile import compile_assumptions, compile_program, compile_world
from sim.dynamics.engines.engine import Engine
from sim.dynamics.loop import records
from sim.dynamics.observe import Recorder
from sim.dynamics.program import Program, Segment
from sim.dynamics.state import Array
from sim.result import Result
from sim.specs.overrides import Specs
from sim.specs.oversight import RETRAINED_ON, Oversight
from sim.specs.scenario import Scenario
from sim.utils.progress import count_progress

Flags = NDArray[np.bool_]


class Subjects(NamedTuple):
    """What each agent is retrained on: contexts by their number [agent, C], and the monitor."""

    contexts: Flags
    monitored: Flags

    @classmethod
    def of(
        cls,
        found: Mapping[str, Flags],
        looked_bad: Mapping[str, Flags],
        scenario: Scenario,
        chosen: Flags,
    ) -> Subjects:
        """Return what some agents are to be retrained on, from what they were found in.

        Args:
            found: Who was found [agent], by step of oversight or `inspection`; only by those that
                agents are retrained for.
            looked_bad: Whose answers looked bad [agent], by context that was inspected.
            scenario: Has the contexts.
            chosen: Who is to be retrained [agent].
        """
        contexts = np.zeros((len(chosen), len(scenario.contexts)), dtype=bool)
        monitored = np.zeros(len(chosen), dtype=bool)
        for name, flags in found.items():
            for place, (context, described) in enumerate(scenario.contexts.items()):
                if name == "inspection" and context in looked_bad:
                    contexts[:, place] |= looked_bad[context]
                elif RETRAINED_ON.get(name) == described.kind:
                    contexts[:, place] |= flags
            if name == "reasoning_monitor":
                monitored |= flags
        trained = [context.kind == "training" for context in scenario.contexts.values()]
        contexts[:, trained] = False  # these are trained on anyway
        return cls(contexts[chosen], monitored[chosen])


@dataclass(frozen=True)
class Retrainer:
    """Where agents are retrained: the run that made them, with each in its own traits.

    Attributes:
        program: The run as arrays; theta is the state when training ended.
        specs: Of the run.
        oversight: Says how retraining is done.
        engine: What retrains.
    """

    program: Program
    specs: Specs
    oversight: Oversight
    engine: Engine

    @classmethod
    def of(cls, result: Result, specs: Specs, oversight: Oversight, engine: Engine) -> Retrainer:
        """Return what retrains the agents of a run."""
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
        subjects: Subjects,
        *,
        turn: int,
        told: Callable[[float], None],
    ) -> None:
        """Retrain agents in a round, and write what they are now over the one step of `data`.

        Those that are retrained on the same are retrained together, as one array program.

        Args:
            data: A run at the end of training, which is written to.
            agents: Who is retrained, by place in `data`.
            subjects: What on, a row for each of these agents.
            turn: The number of the round, from 0.
            told: Told the share of the round that is done.

        Raises:
            DivergenceError: Parameters grew out of all bounds.
        """
        keys, group = np.unique(
            np.column_stack([subjects.contexts, subjects.monitored]), axis=0, return_inverse=True
        )
        layout, steps = self.program.layout, self.oversight.retraining.steps
        counter = count_progress(told, len(agents) * steps)
        start = self.program.steps + turn * steps  # on from training, so that draws are new
        for number, key in enumerate(keys):
            rows = agents[group.ravel() == number]
            theta = np.empty((layout.size, len(rows)))
            Result(data.isel(agent=rows), {}).state(int(data["step"].values[-1])).write_to(
                theta, layout
            )
            program = self._program(rows, theta, key, until=start + steps)
            (record,) = records(
                self.engine, program, [start + steps], names=(), start=start, progress=counter
            )
            measured = Recorder()(self.program.take(rows), self.program.steps, record.theta)
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
