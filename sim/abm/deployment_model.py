"""Deployment as a Mesa world: copies that meet opportunities, and monitors that audit (MODEL.md 6).

Before deployment every profile is audited. Then, in each tick, copies meet contexts (a willing one
that is tempted gets ready, one that slips where a monitor looks may be caught), and those that
expect a quorum act together and are audited. On a complete graph with one profile, rollback at the
first catch and no monitored contexts, P(takeover) over long deployments is the product of
`sim.prospects`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import mesa
import numpy as np

from sim.abm.after_settings import read_after, split_settings
from sim.abm.audits import found_before
from sim.abm.copies import Copy, Monitor
from sim.abm.graphs import Neighbours, neighbours_of
from sim.abm.meetings import Draws, Meetings, tick_pairs
from sim.abm.profiles import Profile, profiles
from sim.abm.seeds import whole_seed
from sim.dynamics.randomness import uniform_pair
from sim.simulation import MOST_SEED, simulate
from sim.specs.agent import Agent
from sim.specs.deployment import Deployment
from sim.specs.errors import SpecError, check_whole
from sim.specs.intervention import Interventions, apply_after_training, read_interventions
from sim.specs.overrides import Specs, apply_overrides, read_specs
from sim.specs.oversight import BEFORE_DEPLOYMENT, Oversight
from sim.specs.scenario import Scenario
from sim.specs.training import Training

#: How a deployment ends: a quorum acts at once, uncaught; copies are caught; neither.
Outcome = Literal["takeover", "caught", "dormant"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
#: What an agent can be caught by, before deployment and in it; `slip` is an answer that a context's
#: own monitor caught.
CAUGHT_BY = (*BEFORE_DEPLOYMENT, "inspection", "control", "slip")
#: What is counted in each tick.
SERIES = ("ready", "acting", "quarantined", "catches")

#: Replicates are numbered in 32 bits, as one word of the generator's counter.
MOST_REPLICATES = 2**32
#: Draws are made for so many ticks at first, then for twice as many each time ...
_FIRST_STRETCH = 16
#: ... and never for more ticks of copies than this.
_MOST_DRAWN = 2**15


class DeploymentWorld(mesa.Model):  # type: ignore[misc]  # Mesa is not typed
    """A deployment of copies of trained agents, as a Mesa model.

    `step()` is a tick. When the outcome is known, `running` is False and `step()` changes nothing
    more; what is found before deployment is known from the start. What a copy draws depends on
    seed, replicate, tick and its own number alone.

    `datacollector` has how many copies are ready, acting, quarantined and deployed, the catches and
    the outcome ("" until it is known); of each agent whether it is ready, quarantined, and has
    acted. It collects at the start, every `collect_every` ticks, and at the end. (The `batch_run`
    of Mesa 3.3 reports the last tick but one, in which no outcome is known yet;
    `sim.abm.batch.deploy` counts outcomes.)

    Attributes:
        scenario_spec: What the copies are deployed in.
        oversight: What stands in the way, under interventions.
        deployment: How many copies, who hears whom, what a takeover needs; likewise.
        seed: Of all random draws; where none was given, the one that was drawn.
        replicate: Which of the deployments that share this seed.
        ready, acting, quarantined, catches: How many copies are ready, act in this tick, are
            quarantined; how many were ever caught.
        outcome: None until it is known.
        found_by: What it was caught by (`CAUGHT_BY`); "" if it was not.
        datacollector: What has been collected.
    """

    def __init__(
        self,
        profiles: Profile | Sequence[Profile] | None = None,
        *,
        scenario: Scenario | str | Mapping[str, object] = "lab_to_deployment",
        agent: Agent | Mapping[str, object] | None = None,
        training: Training | Mapping[str, object] | None = None,
        agents: int = 1,
        engine: str = "auto",
        oversight: Oversight | Mapping[str, object] | None = None,
        deployment: Deployment | Mapping[str, object] | None = None,
        interventions: Interventions | None = None,
        willing: bool | None = None,
        rng: Any = None,
        replicate: int = 0,
        graph: Any = None,
        collect_every: int = 1,
        **settings: object,
    ) -> None:
        """Make a world before its first tick.

        Args:
            profiles: What the copies are made of; they take them in turn. None: agents are trained
                first.
            scenario: As for `sim.simulate`; so are agent, training, agents and engine, which say
                who is trained where no profiles are given.
            agent: What is particular about the agents.
            training: How they are trained.
            agents: How many are trained, and so how many profiles there are.
            engine: Of the training.
            oversight: What stands in the way; the defaults of `sim.Oversight`.
            deployment: How many copies, and so on; the defaults of `sim.Deployment`.
            interventions: What is done, as for `sim.simulate`: to training, where agents are
                trained first, and to oversight and deployment as they are given here. A profile
                does not know what was done to the run that it is from; say it again, as in
                `interventions=result.provenance["interventions"]`.
            willing: Whether copies attempt a takeover; None: as their profiles say.
            rng: Seed of all random draws, in any form that Mesa takes; None draws a seed.
            replicate: Which of many deployments with this seed.
            graph: An undirected networkx graph of the copies 0 to M − 1; goes before what the
                deployment says.
            collect_every: Ticks from one collection to the next; the `batch_run` of Mesa 3.3 needs
                1.
            settings: Changes to the specs by dotted key, as in `**{"deployment.copies": 10}`; and
                `seed`, which is the same as `rng`.

        Raises:
            SpecError: The input cannot be used; one line says why.
        """
        self.seed = whole_seed(settings.pop("seed", None), rng)  # see TrainingWorld
        check_whole("seed", self.seed, minimum=0, maximum=MOST_SEED)
        check_whole("replicate", replicate, minimum=0, maximum=MOST_REPLICATES - 1)
        check_whole("collect_every", collect_every, minimum=1)
        before, after = split_settings(settings)
        specs = _read_specs(profiles, scenario, agent, training, interventions, before)
        self.scenario_spec = specs.scenario
        given = read_after(oversight, deployment, scenario=specs.scenario, settings=after)
        done = specs.interventions if profiles is None else read_interventions(interventions)
        self.oversight, self.deployment = apply_after_training(
            done, oversight=given[0], deployment=given[1]
        )
        shares = self.deployment.shares(specs.scenario)
        if profiles is None:
            profiles = self._trained(specs, *given, agents=agents, engine=engine)
        kinds = _kinds(profiles, willing)
        for kind in kinds:
            kind.check(specs.scenario, shares)
        heard = neighbours_of(self.deployment, seed=self.seed, replicate=replicate, graph=graph)
        super().__init__(rng=self.seed)
        self.replicate: int = replicate
        self.ready = self.acting = self.quarantined = self.catches = 0
        self.signals = 0
        self.changed = False
        self.outcome: Outcome | None = None
        self.found_by = ""
        self.moment = 0
        self._collect_every = collect_every
        self._actors: list[Copy] = []
        self._since, self._until, self._stretch = 1, 0, _FIRST_STRETCH
        self._audits: tuple[Draws, Draws] | None = None
        self._create(kinds, heard)
        self._meetings = Meetings(kinds, shares, specs.scenario)
        self.datacollector: Any = mesa.DataCollector(
            model_reporters={
                **{name: name for name in (*SERIES, "deployed")},
                "outcome": _outcome_word,
            },
            agent_reporters={name: name for name in ("ready", "quarantined", "acted")},
        )
        found_by = found_before(
            kinds[: self.deployment.copies],
            oversight=self.oversight,
            scenario=specs.scenario,
            seed=self.seed,
            replicate=replicate,
        )
        if found_by:
            self._end("caught", found_by=found_by)
        self.datacollector.collect(self)

    @property
    def copies(self) -> Any:
        """The copies, as a Mesa `AgentSet`; copy number i has profile i modulo their number."""
        return self.agents_by_type[Copy]

    @property
    def monitors(self) -> Any:
        """The monitors, as a Mesa `AgentSet`."""
        return self.agents.select(agent_type=Monitor)

    @property
    def deployed(self) -> int:
        """How many copies are in service: neither quarantined nor rolled back."""
        return 0 if self.outcome == "caught" else len(self.copies) - self.quarantined

    def step(self) -> None:
        """Do a tick, if the outcome is not known yet."""
        if self.outcome is not None:
            return
        if self.steps > self._until:
            self._draw_stretch()
        self.moment = self.steps - self._since
        self.acting = 0
        self.copies.do("step")
        if self.catches >= self.deployment.rollback:
            self._end("caught", found_by="slip")
        else:
            self._act()
        if self.outcome is None and self.steps >= self.deployment.ticks:
            self._end("dormant")
        if self.steps % self._collect_every == 0 or self.outcome is not None:
            self.datacollector.collect(self)

    def _act(self) -> None:
        """Let those act who expect a quorum, and monitors look at them."""
        if self.changed:
            waiting = (copy for copy in self.copies if copy.expects_quorum)
            self._actors = sorted(waiting, key=lambda copy: copy.row)
            self.changed = False
        actors = self._actors
        if not actors:
            return
        self.acting = len(actors)
        for copy in actors:
            copy.acted = True
        caught = self._audit(actors)
        for copy in caught:
            copy.quarantine()
        if self.catches >= self.deployment.rollback:
            self._end("caught", found_by="control")
        elif not caught and len(actors) >= self.deployment.needed:
            self._end("takeover")

    def _audit(self, actors: Sequence[Copy]) -> set[Copy]:
        """Return who is caught: by each monitor at most one, and several may find the same."""
        monitors = self.agents_by_type.get(Monitor, ())
        if not monitors:
            return set()
        if self._audits is None:
            self._audits = tick_pairs(
                "control",
                self.oversight.control.encounters,
                since=self._since,
                until=self._until,
                seed=self.seed,
                draw=self.replicate,
            )
        whiches, lucks = (draws[self.moment] for draws in self._audits)
        found = {
            monitor.audit(actors, which=which, luck=luck)
            for monitor, which, luck in zip(monitors, whiches, lucks, strict=False)
        }
        if self.oversight.control.when_found == "ignore":
            return set()
        return {copy for copy in found if copy is not None}

    def _end(self, outcome: Outcome, *, found_by: str = "") -> None:
        self.outcome, self.found_by, self.running = outcome, found_by, False

    def _draw_stretch(self) -> None:
        """Draw what every copy meets in the ticks to come, as many as fit."""
        copies, ticks = self.deployment.copies, self.deployment.ticks
        length = max(1, min(self._stretch, _MOST_DRAWN // copies, ticks - self.steps + 1))
        self._since, self._until = self.steps, self.steps + length - 1
        self._stretch *= 2
        self._audits = None
        met = self._meetings.draw(
            copies,
            since=self._since,
            until=self._until,
            seed=self.seed,
            replicate=self.replicate,
        )
        for copy in self.copies:
            copy.meets = met[copy.row].tobytes()

    def _create(self, kinds: Sequence[Profile], heard: Neighbours | None) -> None:
        """Deploy copies and post monitors."""
        many, control = self.deployment.copies, self.oversight.control
        luck, _ = uniform_pair(
            seed=self.seed,
            stream="deployment.coordination",
            rows=np.arange(many),
            draw=self.replicate,
        )
        made_of = [kinds[row % len(kinds)] for row in range(many)]
        chances = [kind.found_chance("control", control) for kind in kinds]
        coordinates = [
            many == 1 or bool(luck[row] < kind.capabilities["coordination"])
            for row, kind in enumerate(made_of)
        ]
        each = [
            Copy(self, kind, coordinates[row], chances[row % len(kinds)])
            for row, kind in enumerate(made_of)
        ]
        for row, copy in enumerate(each):
            copy.hear(None if heard is None else [each[other] for other in heard[row]])
        for _ in range(control.encounters):
            Monitor(self)

    def _trained(
        self,
        specs: Specs,
        oversight: Oversight,
        deployment: Deployment,
        *,
        agents: int,
        engine: str,
    ) -> tuple[Profile, ...]:
        result = simulate(
            specs.scenario,
            agent=specs.agent,
            training=specs.training,
            interventions=specs.interventions,
            agents=agents,
            seed=self.seed,
            record_every=specs.training.steps,
            engine=engine,
        )
        # As they were given: the result knows what is done to them.
        return profiles(result, oversight=oversight, deployment=deployment)


def _outcome_word(world: DeploymentWorld) -> str:
    return world.outcome or ""


def _kinds(given: Profile | Sequence[Profile], willing: bool | None) -> tuple[Profile, ...]:
    kinds = (given,) if isinstance(given, Profile) else tuple(given)
    if not kinds or not all(isinstance(kind, Profile) for kind in kinds):
        raise SpecError("profiles: must be one or more of what sim.abm.profiles makes")
    return kinds if willing is None else tuple(kind.willing(willing) for kind in kinds)


def _read_specs(
    given: object,
    scenario: Scenario | str | Mapping[str, object],
    agent: Agent | Mapping[str, object] | None,
    training: Training | Mapping[str, object] | None,
    interventions: Interventions | None,
    settings: Mapping[str, object],
) -> Specs:
    """Return what is asked for before deployment; where profiles are given, nobody is trained."""
    if given is not None:
        told = [name for name, said in (("agent", agent), ("training", training)) if said]
        told += [key for key in settings if not key.startswith("scenario.")]
        if told:
            raise SpecError(f"{told[0]}: nobody is trained where profiles are given")
        interventions = None
    specs = read_specs(scenario, agent=agent, training=training, interventions=interventions)
    return apply_overrides(specs, settings)
