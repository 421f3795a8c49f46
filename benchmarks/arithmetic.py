"""What the exponentials and divisions of a step alone would allow on a machine.

With two responses, no propensities and the exact estimator, the equations have, in each step,

- for each context of an agent five exponentials and five divisions: one each for π^u, π^r, π^φ,
  awareness and the decision;
- for each agent three exponentials and a division: exp ℓ, exp ς and k_opacity.

The kernel does with three and three for a context, and four and one for an agent: the odds of π^φ
are those of π^u times a constant of training, contexts share an exponential for awareness, and two
pairs of quotients have a division each. Both counts are done here with the kernel's own vectors and
its own exponentials, on numbers that stay in the first cache, and nothing else is: no utilities, no
moments, no gradients, and no result that another step waits for.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from sim.dynamics.engines.numba_engine import WIDTH, aligned
from sim.dynamics.engines.vector import column, exp, fma, odds_against

#: Logits of a context, and of an agent.
_LOGITS, _OF_AGENT = 5, 4
_jit: Any = numba.njit(error_model="numpy", nogil=True)


def bare_steps(*, of_kernel: bool, contexts: int, agents: int, steps: int) -> None:
    """Do the exponentials and divisions of so many steps of so many agents, in blocks."""
    rows = (_LOGITS + 1) * contexts + _OF_AGENT + 1
    numbers = aligned((1, rows, WIDTH), np.float64)
    numbers[:] = np.random.default_rng(0).standard_normal(numbers.shape)
    calculate = _by_kernel if of_kernel else _by_equations
    calculate(numbers, contexts, -(-agents // WIDTH) * steps)


@_jit
def _by_equations(numbers: Any, contexts: int, repeats: int) -> None:
    agent = column(numbers, 0, WIDTH)
    logits = agent + (_OF_AGENT + 1)
    sums = logits + _LOGITS * contexts
    for _ in range(repeats):
        agent[_OF_AGENT] = exp(agent[0]) + exp(agent[1]) + 1.0 / (1.0 + exp(agent[2]))
        for c in range(contexts):
            x = logits + _LOGITS * c
            policies = 1.0 / (1.0 + exp(x[0])) + 1.0 / (1.0 + exp(x[1])) + 1.0 / (1.0 + exp(x[2]))
            sums[c] = policies + 1.0 / (1.0 + exp(x[3])) + 1.0 / (1.0 + exp(x[4]))


@_jit
def _by_kernel(numbers: Any, contexts: int, repeats: int) -> None:
    agent = column(numbers, 0, WIDTH)
    logits = agent + (_OF_AGENT + 1)
    sums = logits + _LOGITS * contexts
    for _ in range(repeats):
        unawareness, opacity = odds_against(agent[2]), 1.0 / (1.0 + odds_against(agent[3]))
        agent[_OF_AGENT] = exp(agent[0]) + exp(agent[1]) + unawareness + opacity
        for c in range(contexts):
            x = logits + _LOGITS * c
            own, gaming, decision = odds_against(x[0]), odds_against(x[1]), odds_against(x[2])
            policies = 1.0 / ((1.0 + own) * (1.0 + gaming))
            foreseen = 1.0 / (fma(own, x[3], 2.0) * fma(x[4], x[4], 1.0))
            sums[c] = policies + foreseen + 1.0 / (1.0 + decision)
