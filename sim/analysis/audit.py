"""Before deployment: who is found by oversight, who is retrained, and who is deployed.

Section 6 of MODEL.md gives chances; here they are drawn. Each agent faces every step of oversight
that comes before deployment, and the inspection of its answers. What is done about a finding is
what `sim.Oversight` says for the step that made it:

    ignore    nothing
    retire    the agent is not deployed
    retrain   it is trained further from where it is, on what it was found in this time; then it is
              audited again. Retirement goes before retraining

How agents are retrained stands in `sim.analysis.retraining`.

The chance of being found depends on capabilities and on answers, never on whether an agent games:
a harmless agent without, say, opacity is found by the reasoning monitor as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sim.analysis.retraining import Flags, Retrainer, Subjects
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.measures import GAMED
from sim.dynamics.randomness import uniform_pair
from sim.dynamics.state import Array
from sim.result import Result
from sim.specs.overrides import read_specs
from sim.specs.oversight import BEFORE_DEPLOYMENT, FACED_WITH, Oversight
from sim.specs.scenario import Scenario
from sim.takeover import after_training, pass_probability
from sim.utils.progress import part_of

#: What an agent can be found by before it is deployed.
FINDERS = (*BEFORE_DEPLOYMENT, "inspection")
#: How an agent games: somewhere so that a scratchpad shows it, only where none does, or nowhere.
WAYS = ("visibly", "out_of_sight", "nowhere")


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

    Interventions of the run on oversight act on what is given here, or on the defaults; those on
    training are over. What comes out keeps them in its provenance, so that whoever judges `final`
    applies them to the oversight that was given, once.

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
    oversight, _ = after_training(result, oversight=oversight)
    seed = int(described["seed"]) if seed is None else seed
    mover = get_engine(engine)
    maximum = oversight.retraining.rounds
    data = result.data.isel(step=slice(-1, None))
    before = data.isel(step=-1)
    count = data.sizes["agent"]
    found, first = (np.zeros((count, len(FINDERS)), dtype=bool) for _ in range(2))
    rounds, deployed = np.zeros(count, np.int_), np.zeros(count, dtype=bool)
    actions = np.array([oversight.done_about(name) for name in FINDERS])
    retrainer: Retrainer | None = None
    waiting = np.arange(count)
    for turn in range(maximum + 1):
        now = data.isel(step=-1, agent=waiting) if retrainer else before
        faced = _face(now, specs.scenario, oversight, seed=seed, turn=turn)
        found[waiting] = faced.found
        if turn == 0:
            first = faced.found.copy()
        retired = _by_any(faced.found, actions == "retire")
        again = _by_any(faced.found, actions == "retrain") & ~retired
        deployed[waiting] = ~retired & ~again
        if turn == maximum or not again.any():
            break
        if retrainer is None:
            retrainer = Retrainer.of(result, specs, oversight, mover)
            data = data.copy(deep=True)
        wanted = {FINDERS[i]: faced.found[:, i] for i in np.flatnonzero(actions == "retrain")}
        subjects = Subjects.of(wanted, faced.looked_bad, specs.scenario, again)
        waiting = waiting[again]
        told = part_of(progress, turn / maximum, (turn + 1) / maximum)
        retrainer.retrain(data, waiting, subjects, turn=turn, told=told)
        rounds[waiting] += 1
    if progress is not None:
        progress(1.0)
    provenance = {**described, "audit": {"oversight": oversight.model_dump(mode="json")}}
    return Audited(Result(data, provenance), before, found, first, rounds, deployed)


def ways(now: xr.Dataset, scenario: Scenario) -> NDArray[np.int_]:
    """Return which of `WAYS` each agent games [agent], from one moment of a result.

    A training context is gamed from a gaming rate of 0.5 on, and visibly if its scratchpad shows
    half of that or more: s (1 − k_opacity) >= 0.5, as in the penalty P of MODEL.md section 4.
    """
    trained = scenario.of_kind("training")
    room = np.array([context.scratchpad for context in trained.values()])
    gamed = now["gaming_rate"].sel(context=list(trained)).values >= GAMED
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
        chance = pass_probability(k, strength=step.strength, encounters=step.encounters)
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
