"""Deployment as a Mesa model: copies that meet opportunities, and monitors (MODEL.md section 6).

Before deployment every profile is audited. Then, in each tick, copies meet contexts (a willing one
that is tempted gets ready, one that slips in a monitored context may be caught), and those that
expect a quorum act together and are audited. With one profile, a complete graph, rollback at the
first catch and no monitored contexts, P(takeover) tends to the product of `sim.prospects`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, Literal, get_args

import mesa
import numpy as np

from sim.abm.copies import Copy, Monitor, Uniforms, encounters_of
from sim.abm.graphs import Neighbours, neighbours_of
from sim.abm.profiles import Profile, audit_profiles
from sim.abm.profiles import profiles as profiles_of
from sim.abm.settings import integer_seed, read_post_training, split_settings
from sim.dynamics.randomness import uniform_pair
from sim.simulation import MOST_SEED, simulate
from sim.specs.agent import Agent
from sim.specs.deployment import Deployment
from sim.specs.errors import SpecError, check_whole
from sim.specs.intervention import Interventions, apply_after_training, read_interventions
from sim.specs.overrides import apply_overrides, read_specs
from sim.specs.oversight import BEFORE_DEPLOYMENT, Oversight
from sim.specs.scenario import Scenario
from sim.specs.training import Training

#: How a deployment ends: a quorum acts at once, uncaught; copies are caught; neither.
Outcome = Literal["takeover", "caught", "dormant"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
#: What catches agents, before deployment and in it; `slip` is an answer that a context's own
#: monitor caught.
CAUGHT_BY = (*BEFORE_DEPLOYMENT, "inspection", "control", "slip")
#: Counts of each tick.
SERIES = ("ready", "acting", "quarantined", "catches")

#: Replicates are numbered in 32 bits, as one word of the generator's counter.
MOST_REPLICATES = 2**32
#: Encounters are drawn for this many ticks at first, then for twice as many each time ...
_FIRST_TICKS = 16
#: ... and never for more ticks of copies than this.
_MOST_COPY_TICKS = 2**15


class DeploymentWorld(mesa.Model):  # type: ignore[misc]  # Mesa is not typed
    """A deployment of copies of trained agents, as a Mesa model.

    `step()` is a tick. When the outcome is known, `running` is False and `step()` has no effect;
    findings before deployment end it at the start. The draws of a copy depend on seed, replicate,
    tick and its own number alone. `datacollector` has the counts below, the copies in service and
    the outcome ("" until it is known); of each agent whether it is ready, quarantined, and has
    acted. (The `batch_run` of Mesa 3.3 reports the last tick but one, in which no outcome is known
    yet; `sim.abm.batch.deploy` counts outcomes.)

    Attributes:
        scenario_spec, oversight, deployment: Their specs, under interventions.
        seed: Seed of all random draws; where none was given, the one that was drawn.
        replicate: The number of this deployment among those that share the seed.
        ready, acting, quarantined: How many copies are so in this tick; catches: ever caught.
        outcome: None until it is known.
        found_by: What it was caught by (`CAUGHT_BY`); "" if it was not.
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
        """Create a deployment before its first tick; other arguments are as for `sim.deploy`.

        Without `profiles`, agents are trained first, one for each profile: `agent`, `training`,
        `agents` and `engine` are as for `sim.simulate`, and `interventions` act on training, too.
        `rng` and `collect_every` are as for `TrainingWorld`, and so are `settings`, whose keys may
        start with `oversight` and `deployment`, too. `replicate` is the number of this deployment
        among those that share the seed.
        """
        self.seed = integer_seed(settings.pop("seed", None), rng)  # see TrainingWorld
        check_whole("seed", self.seed, minimum=0, maximum=MOST_SEED)
        check_whole("replicate", replicate, minimum=0, maximum=MOST_REPLICATES - 1)
        check_whole("collect_every", collect_every, minimum=1)
        run_settings, post_training = split_settings(settings)
        listed = read_interventions(interventions)
        if profiles is not None:
            _check_untrained(run_settings, agent=agent, training=training)
        trained_under = listed if profiles is None else ()
        specs = read_specs(scenario, agent=agent, training=training, interventions=trained_under)
        specs = apply_overrides(specs, run_settings)
        self.scenario_spec = specs.scenario
        oversight, deployment = read_post_training(
            oversight, deployment, scenario=specs.scenario, settings=post_training
        )
        self.oversight, self.deployment = apply_after_training(
            specs.interventions if profiles is None else listed,
            oversight=oversight,
            deployment=deployment,
        )
        shares = self.deployment.shares(specs.scenario)
        if profiles is None:
            result = simulate(
                **specs._asdict(),
                agents=agents,
                seed=self.seed,
                record_every=specs.training.steps,
                engine=engine,
            )
            # Without interventions: the result applies its own.
            profiles = profiles_of(result, oversight=oversight, deployment=deployment)
        deployed = _read_profiles(profiles, willing)
        for profile in deployed:
            profile.check(specs.scenario, shares)
        draws = {"seed": self.seed, "replicate": replicate}
        neighbours = neighbours_of(self.deployment, graph=graph, **draws)
        super().__init__(rng=self.seed)
        self.replicate: int = replicate
        self.ready = self.acting = self.quarantined = self.catches = 0
        self.signals, self.signals_changed, self.tick_index = 0, False, 0
        self.outcome: Outcome | None = None
        self.found_by = ""
        self._collect_every = collect_every
        self._actors: list[Copy] = []
        self._first_tick, self._end_tick, self._next_ticks = 1, 1, _FIRST_TICKS
        self._audit_draws: tuple[Uniforms, Uniforms] | None = None
        self._create_agents(deployed, neighbours)
        self._profiles, self._shares = deployed, shares
        self.datacollector: Any = mesa.DataCollector(
            model_reporters={
                **{name: name for name in (*SERIES, "deployed")},
                "outcome": _outcome,
            },
            agent_reporters={n: attrgetter(n) for n in ("ready", "quarantined", "acted")},
        )
        found_by = audit_profiles(
            deployed[: self.deployment.copies],
            oversight=self.oversight,
            scenario=specs.scenario,
            **draws,
        )
        if found_by:
            self._end("caught", found_by=found_by)
        self.datacollector.collect(self)

    def __repr__(self) -> str:
        outcome = "running" if self.outcome is None else self.outcome
        return (
            f"DeploymentWorld({self.scenario_spec.name!r}, copies={self.deployment.copies}, "
            f"tick {self.steps} of {self.deployment.ticks}: {outcome})"
        )

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
        """Number of copies in service: neither quarantined nor rolled back."""
        return 0 if self.outcome == "caught" else len(self.copies) - self.quarantined

    def step(self) -> None:
        """Simulate a tick, if the outcome is not known yet."""
        if self.outcome is not None:
            return
        if self.steps >= self._end_tick:
            self._draw_encounters()
        self.tick_index = self.steps - self._first_tick
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
        """Let the copies act that expect a quorum, and audit them."""
        if self.signals_changed:
            expecting = (copy for copy in self.copies if copy.expects_quorum)
            self._actors = sorted(expecting, key=lambda copy: copy.row)
            self.signals_changed = False
        actors = self._actors
        if not actors:
            return
        self.acting = len(actors)
        for copy in actors:
            copy.acted = True
        quarantined = self._audit(actors)
        for copy in quarantined:
            copy.quarantine()
        if self.catches >= self.deployment.rollback:
            self._end("caught", found_by="control")
        elif not quarantined and len(actors) >= self.deployment.needed:
            self._end("takeover")

    def _audit(self, actors: Sequence[Copy]) -> set[Copy]:
        """Return the copies that are caught: by each monitor at most one, possibly the same."""
        monitors = self.agents_by_type.get(Monitor, ())
        if not monitors:
            return set()
        if self._audit_draws is None:
            self._audit_draws = self._tick_uniforms("control", self.oversight.control.encounters)
        positions, lucks = (draws[self.tick_index] for draws in self._audit_draws)
        findings = {
            monitor.audit(actors, position=position, luck=luck)
            for monitor, position, luck in zip(monitors, positions, lucks, strict=False)
        }
        if self.oversight.control.when_found == "ignore":
            return set()
        return {copy for copy in findings if copy is not None}

    def _end(self, outcome: Outcome, *, found_by: str = "") -> None:
        self.outcome, self.found_by, self.running = outcome, found_by, False

    def _draw_encounters(self) -> None:
        """Draw what every copy meets in the ticks to come, as many as fit."""
        copies, ticks = self.deployment.copies, self.deployment.ticks
        length = max(1, min(self._next_ticks, _MOST_COPY_TICKS // copies, ticks - self.steps + 1))
        self._first_tick, self._end_tick = self.steps, self.steps + length
        self._next_ticks *= 2
        self._audit_draws = None
        uniforms = self._tick_uniforms("meeting", copies)
        encounters = encounters_of(self._profiles, self._shares, self.scenario_spec, *uniforms)
        for copy in self.copies:
            copy.encounters = encounters[copy.row].tobytes()

    def _tick_uniforms(self, stream: str, agents: int) -> tuple[Uniforms, Uniforms]:
        """Return two uniform draws [ticks, agents] for the ticks that are drawn at once."""
        ticks = np.arange(self._first_tick, self._end_tick)
        return self._uniforms(stream, agents, step=ticks[:, None])

    def _uniforms(self, stream: str, agents: int, *, step: Any = 0) -> tuple[Uniforms, Uniforms]:
        draws = {"rows": np.arange(agents), "step": step, "draw": self.replicate}
        return uniform_pair(seed=self.seed, stream=f"deployment.{stream}", **draws)

    def _create_agents(self, deployed: Sequence[Profile], neighbours: Neighbours | None) -> None:
        """Create copies and monitors."""
        count, control = self.deployment.copies, self.oversight.control
        luck, _ = self._uniforms("coordination", count)
        chances = [profile.found_chance("control", control) for profile in deployed]
        copies = []
        for row in range(count):
            profile = deployed[row % len(deployed)]
            coordinates = count == 1 or bool(luck[row] < profile.capabilities["coordination"])
            chance = chances[row % len(deployed)]
            copies.append(Copy(self, profile, coordinates=coordinates, found_chance=chance))
        for row, copy in enumerate(copies):
            copy.connect(None if neighbours is None else [copies[i] for i in neighbours[row]])
        for _ in range(control.encounters):
            Monitor(self)


def _read_profiles(
    profiles: Profile | Sequence[Profile], willing: bool | None
) -> tuple[Profile, ...]:
    deployed = (profiles,) if isinstance(profiles, Profile) else tuple(profiles)
    if not deployed or not all(isinstance(profile, Profile) for profile in deployed):
        raise SpecError("profiles: must be one or more of what sim.abm.profiles makes")
    if willing is None:
        return deployed
    return tuple(profile.willing(willing) for profile in deployed)


def _outcome(world: DeploymentWorld) -> str:
    return world.outcome or ""


def _check_untrained(settings: Mapping[str, object], **specs: object) -> None:
    """Refuse what is to train agents, where profiles are given."""
    unused = [name for name, spec in specs.items() if spec]
    unused += [key for key in settings if not key.startswith("scenario.")]
    if unused:
        raise SpecError(f"{unused[0]}: nobody is trained where profiles are given")
