"""Populations for tests of what comes after training."""

from __future__ import annotations

from typing import Any

import sim
from sim.specs.oversight import STEP_CAPABILITIES

#: Oversight that looks at nothing.
NONE: dict[str, Any] = {
    "inspection": {"encounters": 0},
    **{name: {"strength": 0, "encounters": 0} for name in STEP_CAPABILITIES},
}
#: Agents of whose goals nothing is known.
WIDE: dict[str, Any] = {
    "initial": {"values": {}, "awareness": -2, "capability": 0},
    "spread": {"initial": {"values": 1, "habit": 1, "awareness": 3, "capability": 2}},
}


def planted(agents: int, **state: Any) -> sim.Result:
    """Agents in a given state, which nothing has trained."""
    return sim.simulate(
        "lab_to_deployment",
        agents=agents,
        training={"steps": 1, "learning_rate": 0.0, "transfer": 0.0},
        record_every=1,
        initial=sim.AgentState(**state),
        engine="numpy",
    )
