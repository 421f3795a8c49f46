"""What meeting a context means to a copy, drawn for many copies and ticks at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sim.abm.copies import SLIPPED, TEMPTED
from sim.abm.profiles import Profile
from sim.dynamics.randomness import uniform_pair
from sim.specs.scenario import Scenario

Draws = NDArray[np.float64]


class Meetings:
    """What copies meet, by their profiles.

    Args:
        kinds: The profiles; copy number i has the one at i modulo their number.
        shares: What the copies meet: a share for each context; they sum to 1.
        scenario: Says where monitors look.
    """

    def __init__(
        self, kinds: Sequence[Profile], shares: Mapping[str, float], scenario: Scenario
    ) -> None:
        self._upto = np.cumsum(list(shares.values()))
        self._tempted = np.array(
            [[kind.attempts and name in kind.tempting for name in shares] for kind in kinds]
        )
        self._caught = np.array(
            [
                [scenario.contexts[name].monitor * kind.slip[name] for name in shares]
                for kind in kinds
            ]
        )

    def draw(
        self, copies: int, *, since: int, until: int, seed: int, replicate: int
    ) -> NDArray[np.uint8]:
        """Return `TEMPTED` and `SLIPPED` [copies, ticks] for the ticks since to until."""
        pair = tick_pairs("meeting", copies, since=since, until=until, seed=seed, draw=replicate)
        return self.of(*pair)

    def of(self, context: Draws, slipped: Draws) -> NDArray[np.uint8]:
        """Return `TEMPTED` and `SLIPPED` [copies, ticks] of two uniform draws [ticks, copies]."""
        met = np.zeros(context.T.shape, np.uint8)
        if not self._upto.size:
            return met
        maximum = self._upto.size - 1
        where = np.minimum(np.searchsorted(self._upto, context.T, side="right"), maximum)
        kind = (np.arange(len(where)) % len(self._tempted))[:, None]
        met += np.uint8(TEMPTED) * self._tempted[kind, where]
        met += np.uint8(SLIPPED) * (self._caught[kind, where] > slipped.T)
        return met


def tick_pairs(
    what: str, many: int, *, since: int, until: int, seed: int, draw: int
) -> tuple[Draws, Draws]:
    """Return two uniform draws [ticks, many] for each of `many` agents and each tick."""
    ticks = np.arange(since, until + 1)[:, None]
    return uniform_pair(
        seed=seed, stream=f"deployment.{what}", rows=np.arange(many), step=ticks, draw=draw
    )
