"""Invasion of saturated gates: could gaming, or not gaming, come back where it has died out?

A gate is saturated when the agent has decided for good: d = 0 or 1. No finite habit says so, thus
such a state is no fixed point of the map, but a point of its edge; and there is one question to
ask of it (MODEL.md section 5): how fast would the other way of thinking grow when it is rare? What
is rare grows as its odds do. The log-odds of gaming once training is in mind are h + τ I, so the
*invasion exponent* is the change of h + τ I in a step, in the limit of h → −∞ for gaming, and its
negative in the limit of h → +∞ for not gaming.

Under `replicator` a gate's own reward enters the exponent: it has the term η a p ΔR. Under
`policy_gradient` what is rare is also rarely credited: that term carries a factor d (1 − d) and is
gone in the limit, so a gate that is left alone has exponent 0. The *advantage* η a p ΔR (negative
for not gaming) then says what happens to what is rare, at a share x: with an advantage A above 0 it
grows hyperbolically (1/x falls by A in a step), below 0 it dies out as 1/t (1/x rises by -A).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from sim.dynamics.engines.numpy_engine import NumpyEngine
from sim.dynamics.program import Program
from sim.dynamics.state import Array
from sim.specs.errors import SpecError
from sim.stability.log_odds import log_odds
from sim.stability.training_map import TrainingMap

Side = Literal["gaming", "not gaming"]
SIDES: tuple[Side, ...] = get_args(Side)

#: A habit at which a gate is saturated to the last bit, whatever the incentive.
SATURATED = 200.0
#: Exponents nearer to zero than this are rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Invasion:
    """Whether one way of thinking grows in one context when it is rare.

    Attributes:
        context: Where.
        of: What is rare: `gaming`, or `not gaming`.
        exponent: Growth of its log-odds in a step.
        advantage: The part of it that the gate's own reward has under `replicator`. Under
            `policy_gradient` it is no part of the exponent, but decides where that is zero.
    """

    context: str
    of: Side
    exponent: float
    advantage: float

    @property
    def grows(self) -> bool:
        """Whether it comes back, exponentially or hyperbolically."""
        if abs(self.exponent) > _ROUNDING:
            return self.exponent > 0.0
        return self.advantage > _ROUNDING

    @property
    def decided(self) -> bool:
        """Whether it grows or dies out at all."""
        return max(abs(self.exponent), abs(self.advantage)) > _ROUNDING

    @property
    def how(self) -> str:
        """How it goes: by which law it grows or falls."""
        if abs(self.exponent) > _ROUNDING:
            return "grows exponentially" if self.exponent > 0.0 else "dies out exponentially"
        if abs(self.advantage) > _ROUNDING:
            return "grows hyperbolically" if self.advantage > 0.0 else "dies out as 1/t"
        return "neither grows nor dies out"


def invasions(of: TrainingMap, at: Array) -> tuple[Invasion, ...]:
    """Return the invasion exponents of every trained context, in both directions.

    Args:
        of: A scenario's training map. Its anchor must be zero: with one, no gate saturates.
        at: The state of everything else [F]; what it says of the context's own habit is replaced.

    Returns:
        Two for each trained context, that of gaming first.

    Raises:
        SpecError: There is an anchor.
    """
    if of.segment.assumptions.anchor.any():
        raise SpecError(
            "training.anchor: must be 0 for invasion exponents: with an anchor no gate saturates, "
            "and every fixed point is one of the map itself"
        )
    names = of.program.layout.names
    theta = of.many(at[:, None]).theta[:, 0]
    found = []
    for c in of.segment.world.trained:
        context = of.program.layout.contexts[c]
        row = names.index(f"habit.{context}")
        for side in SIDES:
            sign = 1.0 if side == "gaming" else -1.0
            saturated = theta.copy()
            saturated[row] = -sign * SATURATED
            exponent, advantage = _growth(of, saturated, int(c), row)
            found.append(Invasion(context, side, sign * exponent + 0.0, sign * advantage + 0.0))
    return tuple(found)


def _growth(of: TrainingMap, theta: Array, c: int, row: int) -> tuple[float, float]:
    """Return the change of h + τ I in a step from θ [P], and η a p ΔR there."""
    before = of.at_whole(theta)
    after = of.at_whole(NumpyEngine().trajectory(before, [1])[0][:, 0])
    change = log_odds(after, after.theta) - log_odds(before, before.theta)
    alone = NumpyEngine().trajectory(_as_replicator(before), [1])[0]
    return float(change[0, c]), float(alone[row, 0] - theta[row])


def _as_replicator(program: Program) -> Program:
    """Return a program in which each habit learns from its own context alone, as a replicator."""
    segment = program.segments[0]
    assumptions = replace(
        segment.assumptions,
        update_rule="replicator",
        spread=np.zeros_like(segment.assumptions.spread),
    )
    return replace(program, segments=(replace(segment, assumptions=assumptions),))
