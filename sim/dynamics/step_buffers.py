"""What a training step finds out: buffers that estimators fill in and gradients are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from sim.dynamics.compile import World
from sim.dynamics.state import Array, Layout, State


@dataclass(frozen=True)
class StepBuffers:
    """What a training step finds out, in the trained contexts; filled in place.

    The gradient of the values is linear in the features: G = Σ_c Σ_k Φ_ck W_ck. Each part of it
    (direct, motive, leak) adds its own coefficients to W, and one matrix product ends the step; no
    array over contexts and values is ever made.

    Attributes:
        concealment: k_opacity [n].
        penalty: P [C, n].
        advantage: ΔR = R^g − R^v [C, n].
        objective: B [C, n].
        aim: π^r (R − E_{π^r} R) [K − 1, C, n].
        practice: p g, or the share of episodes that were gamed here [C, n].
        pressure: p a ΔR, or an estimate [C, n].
        gate: Γ = p ΔR a d (1 − d), or an estimate [C, n].
        motive: ω Γ τ [C, n].
        foresight: ω Γ τ λ b β [C, n].
        leaked: ε p g [C, n].
        coefficients: W [K − 1, C, n].
        scratch_k, scratch_c: room for what lies between, [K − 1, C, n] and [C, n].
        pull: anchor (θ − θ_0) [P, n].
        gradient: Δθ before the anchor [P, n]; rows that nothing trains stay zero.
        named: Views on the gradient by parameter.
    """

    concealment: Array
    penalty: Array
    advantage: Array
    objective: Array
    aim: Array
    practice: Array
    pressure: Array
    gate: Array
    motive: Array
    foresight: Array
    leaked: Array
    coefficients: Array
    scratch_k: Array
    scratch_c: Array
    pull: Array
    gradient: Array
    named: State

    @classmethod
    def empty(
        cls, world: World, layout: Layout, agents: int, dtype: DTypeLike = np.float64
    ) -> StepBuffers:
        """Return a lesson with room for `agents` agents in the trained part of a world."""
        others, contexts = world.features.shape[:2]
        gradient = np.zeros((layout.size, agents), dtype)
        shapes = {
            "concealment": (agents,),
            **dict.fromkeys(_OVER_CONTEXTS, (contexts, agents)),
            **dict.fromkeys(_OVER_RESPONSES, (others, contexts, agents)),
            "pull": gradient.shape,
        }
        buffers = {name: np.empty(shape, dtype) for name, shape in shapes.items()}
        return cls(**buffers, gradient=gradient, named=layout.view(gradient))


_OVER_RESPONSES = ("aim", "coefficients", "scratch_k")
_OVER_CONTEXTS = (
    "penalty",
    "advantage",
    "objective",
    "practice",
    "pressure",
    "gate",
    "motive",
    "foresight",
    "leaked",
    "scratch_c",
)
