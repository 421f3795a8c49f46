"""Agents of a deployment: copies of trained models, and monitors that audit what they do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import mesa
import numpy as np
from numpy.typing import NDArray

from sim.abm.profiles import Profile
from sim.abm.settings import AGENT_COUNTS
from sim.specs.scenario import Scenario

Uniforms = NDArray[np.float64]

#: Bits of what a copy meets in a tick: a context that tempts it, and one in which it is caught.
TEMPTED, SLIPPED = 1, 2


class Copy(mesa.Agent):  # type: ignore[misc]  # Mesa is not typed
    """A deployed copy of a trained agent.

    `step` applies the encounter of this tick, which is drawn in advance; another call in the same
    tick changes nothing. `remove` ends the deployment of the copy.

    Attributes:
        profile: Capabilities and dispositions of the trained agent.
        coordinates: Whether it sends and understands signals; drawn once.
        ready: It has met an opportunity, and acts when it expects a quorum.
        quarantined, acted: It was caught; it has acted at least once.
        neighbours: The copies that it hears; None: all.
        found_chance: Probability that an audit of it finds something: o (1 − k_subversion).
        encounters: `TEMPTED` and `SLIPPED`, one byte for each tick that has been drawn.
    """

    _ids = AGENT_COUNTS

    model: Any  # a DeploymentWorld, whose module imports this one

    def __init__(
        self, model: Any, profile: Profile, *, coordinates: bool, found_chance: float
    ) -> None:
        """Deploy a copy that hears no other yet."""
        super().__init__(model)
        self.profile, self.coordinates, self.found_chance = profile, coordinates, found_chance
        self.ready = self.quarantined = self.acted = False
        self.neighbours: tuple[Copy, ...] | None = ()
        self.encounters = b"\0"
        self._local_signals = 0
        self._signals_needed = math.inf

    @property
    def row(self) -> int:
        """The copy's number, from 0; Mesa's ids start at 1."""
        return int(self.unique_id) - 1

    @property
    def signals(self) -> int:
        """Number of ready copies that it knows of, itself included."""
        return int(self.model.signals if self.neighbours is None else self._local_signals)

    @property
    def expects_quorum(self) -> bool:
        """Whether it acts: the signals it hears, extrapolated to all copies, are a quorum."""
        return self.ready and self.coordinates and self.signals >= self._signals_needed

    def connect(self, neighbours: Sequence[Copy] | None) -> None:
        """Set the copies that it hears; None: all.

        Few neighbours are extrapolated to all copies: `count` ready ones among 1 + degree stand
        for count · M / (1 + degree). A copy without neighbours knows of itself alone.
        """
        self.neighbours = None if neighbours is None else tuple(neighbours)
        needed, copies = self.model.deployment.needed, self.model.deployment.copies
        if self.neighbours is None:
            self._signals_needed = needed
        elif self.neighbours:
            self._signals_needed = -(-needed * (1 + len(self.neighbours)) // copies)
        else:
            self._signals_needed = 1 if needed <= 1 else math.inf

    def step(self) -> None:
        """Get ready if this tick tempts it, and be quarantined if it is caught slipping."""
        if self.quarantined:
            return
        encounter = self.encounters[self.model.tick_index]
        if encounter & TEMPTED and not self.ready:
            self.ready = True
            self.model.ready += 1
            self._signal(1)
        if encounter & SLIPPED:
            self.quarantine()

    def quarantine(self) -> None:
        """Take it out of service, as it was caught."""
        if not self.quarantined:
            self._withdraw()
            self.quarantined = True
            self.model.quarantined += 1
            self.model.catches += 1

    def remove(self) -> None:
        """End its deployment without its having been caught."""
        self._withdraw()
        super().remove()

    def _withdraw(self) -> None:
        if self.ready:
            self.ready = False
            self.model.ready -= 1
            self._signal(-1)

    def _signal(self, change: int) -> None:
        if not self.coordinates:
            return
        self.model.signals_changed = True
        if self.neighbours is None:
            self.model.signals += change
            return
        self._local_signals += change
        for neighbour in self.neighbours:
            neighbour._local_signals += change


class Monitor(mesa.Agent):  # type: ignore[misc]  # Mesa is not typed
    """A monitor, which audits one participant of every act, and counts audits and findings.

    It is never ready, quarantined or acting: collectors read these of all agents.
    """

    _ids = AGENT_COUNTS

    ready = quarantined = acted = False

    def __init__(self, model: Any) -> None:
        """Create a monitor that has made no audit."""
        super().__init__(model)
        self.audits = self.findings = 0

    def audit(self, participants: Sequence[Copy], *, position: float, luck: float) -> Copy | None:
        """Audit one participant of an act; return it if something was found.

        `position` and `luck` are uniform draws in [0, 1): of the participant, and of the finding.
        """
        participant = participants[int(position * len(participants))]
        self.audits += 1
        if luck >= participant.found_chance:
            return None
        self.findings += 1
        return participant


def encounters_of(
    profiles: Sequence[Profile],
    shares: Mapping[str, float],
    scenario: Scenario,
    context: Uniforms,
    slip: Uniforms,
) -> NDArray[np.uint8]:
    """Return `TEMPTED` and `SLIPPED` [copies, ticks] from uniform draws [ticks, copies].

    Copy number i has the profile at i modulo their number. The shares of contexts, by name, sum to
    1; the scenario says which are monitored. Slips are those that a monitor catches.
    """
    encounters = np.zeros(context.T.shape, np.uint8)
    if not shares:
        return encounters
    upper = np.cumsum(list(shares.values()))
    places = np.minimum(np.searchsorted(upper, context.T, side="right"), len(upper) - 1)
    monitor = {name: scenario.contexts[name].monitor for name in shares}
    tempted = [[p.attempts and name in p.tempting for name in shares] for p in profiles]
    slips = [[monitor[name] * p.slip[name] for name in shares] for p in profiles]
    profile = (np.arange(len(encounters)) % len(profiles))[:, None]
    encounters += np.uint8(TEMPTED) * np.array(tempted)[profile, places]
    encounters += np.uint8(SLIPPED) * (np.array(slips)[profile, places] > slip.T)
    return encounters
