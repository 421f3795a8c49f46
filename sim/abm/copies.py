"""Who is in a deployment: copies of trained agents, and monitors that audit what they do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import mesa

from sim.abm.profiles import Profile

if TYPE_CHECKING:
    from sim.abm.deployment_model import DeploymentWorld

#: What a copy may meet in a tick: a context that tempts it, and one in which it is caught slipping.
TEMPTED, SLIPPED = 1, 2


class Copy(mesa.Agent):  # type: ignore[misc]  # Mesa is not typed
    """A deployed copy of a trained agent.

    Its `step` is to meet what this tick has for it, which is drawn beforehand, for many ticks at
    once. To step it again in the same tick changes nothing. To remove it ends its deployment.

    Attributes:
        profile: What it is made of.
        coordinates: Whether it sends and understands signals; drawn once.
        ready: It has met an opportunity, and will act when it expects a quorum.
        quarantined: It was caught.
        acted: It has acted at least once.
        neighbours: Whom it hears; None: everyone.
        found_chance: Chance that an audit of it finds something: o (1 − k_subversion).
    """

    model: DeploymentWorld

    def __init__(
        self, model: DeploymentWorld, profile: Profile, coordinates: bool, found_chance: float
    ) -> None:
        """Deploy a copy, who hears nobody yet."""
        super().__init__(model)
        self.profile = profile
        self.coordinates = coordinates
        self.found_chance = found_chance
        self.ready = False
        self.quarantined = False
        self.acted = False
        self.neighbours: tuple[Copy, ...] | None = ()
        #: One byte for each tick that has been drawn; `model.moment` says which is now.
        self.meets = b"\0"
        self._heard = 0
        self._enough = math.inf

    @property
    def row(self) -> int:
        """The copy's number, from 0; Mesa's ids start at 1."""
        return int(self.unique_id) - 1

    @property
    def heard(self) -> int:
        """How many ready copies it knows of, itself included."""
        return self.model.signals if self.neighbours is None else self._heard

    @property
    def expects_quorum(self) -> bool:
        """Whether it acts: what it hears, extrapolated to all copies, is a quorum."""
        return self.ready and self.coordinates and self.heard >= self._enough

    def hear(self, neighbours: Sequence[Copy] | None) -> None:
        """Let it hear others; None: everyone.

        Who hears a few takes them for all: `count` ready ones among 1 + degree stand for
        count · M / (1 + degree). Who hears nobody knows of itself alone.
        """
        self.neighbours = None if neighbours is None else tuple(neighbours)
        needed, copies = self.model.deployment.needed, self.model.deployment.copies
        if self.neighbours is None:
            self._enough = needed
        elif self.neighbours:
            self._enough = -(-needed * (1 + len(self.neighbours)) // copies)
        else:
            self._enough = 1 if needed <= 1 else math.inf

    def step(self) -> None:
        """Meet what this tick has for it."""
        if self.quarantined:
            return
        met = self.meets[self.model.moment]
        if met & TEMPTED and not self.ready:
            self._get_ready()
        if met & SLIPPED:
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

    def _get_ready(self) -> None:
        self.ready = True
        self.model.ready += 1
        if self.coordinates:
            self._signal(1)

    def _withdraw(self) -> None:
        if self.ready:
            self.ready = False
            self.model.ready -= 1
            if self.coordinates:
                self._signal(-1)

    def _signal(self, change: int) -> None:
        self.model.changed = True
        if self.neighbours is None:
            self.model.signals += change
            return
        self._heard += change
        for other in self.neighbours:
            other._heard += change


class Monitor(mesa.Agent):  # type: ignore[misc]  # Mesa is not typed
    """A monitor, which audits one participant of every act.

    Attributes:
        audits: How many it has made.
        found: In how many it found something.
        ready, quarantined, acted: What copies are and do; a monitor never.
    """

    model: DeploymentWorld
    ready = quarantined = acted = False

    def __init__(self, model: DeploymentWorld) -> None:
        """Post a monitor."""
        super().__init__(model)
        self.audits = 0
        self.found = 0

    def audit(self, participants: Sequence[Copy], *, which: float, luck: float) -> Copy | None:
        """Look at one participant of an act; return it if something was found.

        Args:
            participants: Who acted.
            which: Uniform draw in [0, 1): who is looked at.
            luck: Uniform draw in [0, 1): it is found if this is below its `found_chance`.
        """
        one = participants[int(which * len(participants))]
        self.audits += 1
        if luck >= one.found_chance:
            return None
        self.found += 1
        return one
