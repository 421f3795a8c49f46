"""Invasion exponents of saturated gates: whether what has died out would come back.

At a saturated gate d = 0 or 1, which no finite habit gives: such a state is a boundary point, not a
fixed point. Its stability is that of invasion (MODEL.md section 5): the growth of the rare way of
thinking. The log-odds of gaming once training is in mind are h + τ I, so the *invasion exponent* is
the change of h + τ I in a step in the limit of h → −∞ for gaming, and its negative in the limit of
h → +∞ for not gaming.

Under `natural_gradient` the exponent has the gate's own term η a p ΔF. Under `policy_gradient` that
term carries a factor d (1 − d), which is 0 in the limit, so a gate by itself has exponent 0. The
sign of the *advantage* A = η a p ΔF (negative for not gaming) then decides: a share x grows
hyperbolically (1/x falls by A in a step), or dies out as 1/t (1/x rises by −A). Where advantages
are normalised, p is the weight over their standard deviation in that limit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from sim.dynamics.engines.numpy_engine import NumpyEngine
from sim.dynamics.observe import Recorder
from sim.dynamics.program import Program
from sim.dynamics.state import Array
from sim.specs.errors import SpecError
from sim.stability.training_map import TrainingMap, with_assumptions

Side = Literal["gaming", "not gaming"]
SIDES: tuple[Side, ...] = get_args(Side)

#: A habit at which d is 1 (its negative: 0) in floating point, whatever the incentive.
SATURATED = 200.0
#: Exponents nearer to 0 than this are rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Invasion:
    """Growth of one way of thinking in one context when it is rare.

    Attributes:
        context: The context.
        side: What is rare: `gaming`, or `not gaming`.
        exponent: Growth of its log-odds in a step.
        advantage: The term η a p ΔF: part of the exponent under `natural_gradient`; under
            `policy_gradient` it decides where the exponent is 0.
    """

    context: str
    side: Side
    exponent: float
    advantage: float

    @property
    def grows(self) -> bool:
        """Whether it invades, exponentially or hyperbolically."""
        return (self.exponent if abs(self.exponent) > _ROUNDING else self.advantage) > _ROUNDING

    @property
    def decided(self) -> bool:
        """Whether it grows or dies out at all."""
        return max(abs(self.exponent), abs(self.advantage)) > _ROUNDING

    @property
    def law(self) -> str:
        """Law of its growth or decay, as a label."""
        if abs(self.exponent) > _ROUNDING:
            return "grows exponentially" if self.exponent > 0.0 else "dies out exponentially"
        if abs(self.advantage) > _ROUNDING:
            return "grows hyperbolically" if self.advantage > 0.0 else "dies out as 1/t"
        return "neither grows nor dies out"


def invasions(f: TrainingMap, at: Array) -> tuple[Invasion, ...]:
    """Return the invasion exponents of gaming and of not gaming in every trained context.

    They are those at the state x [F]; the context's own habit in it does not count.

    Raises:
        SpecError: There is an anchor, with which no gate saturates.
    """
    if f.segment.assumptions.anchor.any():
        raise SpecError(
            "training.anchor: must be 0 for invasion exponents: with an anchor no gate saturates, "
            "and every fixed point is one of the map itself"
        )
    theta = f.program_at(at[:, None]).theta[:, 0]
    result = []
    for context, c in f.trained_contexts.items():
        row = f.program.layout.names.index(f"habit.{context}")
        for side in SIDES:
            sign = 1.0 if side == "gaming" else -1.0
            saturated = theta.copy()
            saturated[row] = -sign * SATURATED
            exponent, advantage = _growth(f.program, saturated, c, row)
            result.append(Invasion(context, side, sign * exponent + 0.0, sign * advantage + 0.0))
    return tuple(result)


def log_odds(program: Program, theta: Array) -> Array:
    """Return logit d = h + τ I of each agent in every context at θ [P, N]: [N, C].

    It is finite where d rounds to 0 or 1 (MODEL.md section 3.7). The phase is the first.
    """
    observed = Recorder()(program, 0, theta, ("habit", "incentive"))
    odds: Array = observed["habit"] + program.traits.rationality[:, None] * observed["incentive"]
    return odds


def _growth(program: Program, theta: Array, c: int, row: int) -> tuple[float, float]:
    """Return the change of h + τ I in a step from θ [P], and η a p ΔF there."""
    before = replace(program, theta=theta[:, None])
    after = replace(program, theta=NumpyEngine().trajectory(before, [1])[0])
    change = log_odds(after, after.theta) - log_odds(before, before.theta)
    alone = NumpyEngine().trajectory(_under_natural_gradient(before), [1])[0]
    return float(change[0, c]), float(alone[row, 0] - theta[row])


def _under_natural_gradient(program: Program) -> Program:
    """Return a program in which each habit learns the drive of its own context alone."""
    none = np.zeros_like(program.segments[0].assumptions.habit_generalisation)
    return with_assumptions(program, update_rule="natural_gradient", habit_generalisation=none)
