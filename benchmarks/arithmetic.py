"""What the exponentials and divisions of a step alone would allow on a machine.

With two responses, no propensities and the exact estimator, an agent-context-step needs at least
three exponentials and five divisions. The exponentials: the odds of π^u, of π^r and of the decision
(those of π^φ are those of π^u times a constant of training, and awareness shares an exponential
over contexts). The divisions: π^u, π^r, π^φ, awareness and the decision. They are done here with
the kernel's own vectors and exponential, on numbers that stay in the first cache, and nothing
else is: no utilities, no moments, no gradients, and no result that the next step waits for.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from sim.dynamics.engines.numba_engine import WIDTH, aligned
from sim.dynamics.engines.vector import Column, Vector, column, fma, odds_against

EXPONENTIALS, DIVISIONS = 3, 5
#: Logits of the exponentials, and what odds are multiplied by; then sums of the quotients.
_INPUTS = EXPONENTIALS + 1


def bare_steps(*, contexts: int, agents: int, steps: int) -> None:
    """Do the exponentials and divisions of so many steps of so many agents, in blocks."""
    numbers = aligned((1, (_INPUTS + 1) * contexts, WIDTH), np.float64)
    numbers[:] = np.random.default_rng(0).standard_normal(numbers.shape)
    _calculate(numbers, contexts, -(-agents // WIDTH) * steps)


def _of_context(inputs: Column, c: int) -> Vector:
    """Return the sum of the quotients of a context."""
    first, second, third = inputs[_INPUTS * c], inputs[_INPUTS * c + 1], inputs[_INPUTS * c + 2]
    factor = inputs[_INPUTS * c + 3]
    own, gaming, decision = odds_against(first), odds_against(second), odds_against(third)
    of_policies = 1.0 / (1.0 + own) + 1.0 / (1.0 + gaming) + 1.0 / fma(own, factor, 1.0)
    return of_policies + 1.0 / fma(gaming, factor, 1.0) + 1.0 / (1.0 + decision)


_inlined: Any = numba.njit(error_model="numpy", forceinline=True)
_jit: Any = numba.njit(error_model="numpy", nogil=True)
_quotients = _inlined(_of_context)


@_jit
def _calculate(numbers: Any, contexts: int, repeats: int) -> None:
    inputs = column(numbers, 0, WIDTH)
    sums = inputs + _INPUTS * contexts
    for _ in range(repeats):
        for c in range(contexts):
            sums[c] = _quotients(inputs, c)
