"""The log-odds of gaming once training is in mind: logit d = h + τ I (MODEL.md section 3.6).

Where d is 0 or 1 to the last bit, its log-odds still are a number.
"""

from __future__ import annotations

from sim.dynamics.observe import Recorder
from sim.dynamics.program import Program
from sim.dynamics.state import Array


def log_odds(program: Program, theta: Array) -> Array:
    """Return h + τ I of each agent in every context [N, C], at θ [P, N], in the first phase."""
    seen = Recorder()(program, 0, theta, ("habit", "incentive"))
    odds: Array = seen["habit"] + program.traits.rationality[:, None] * seen["incentive"]
    return odds
