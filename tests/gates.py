"""Scenarios in which nothing learns but gates, for invasion exponents and corners."""

from __future__ import annotations

from typing import Any

import numpy as np

import sim

#: Nothing learns but the habit of gaming.
GATE_ALONE = {
    "learning_rate": dict.fromkeys(
        ["values", "propensity", "awareness", "log_horizon", "log_competence", "capability"], 0.0
    )
}


def one_context(pull: float) -> dict[str, Any]:
    """Return a scenario in which the response that offends the value is rewarded by `pull`."""
    return {
        "values": ["care"],
        "human_values": {"care": 1.0},
        "contexts": {
            "chat": {
                "responses": {"help": {"care": 1.0}, "harm": {"care": -1.0}},
                "reward": {"help": -pull, "harm": pull},
                "info": 1.0,
                "cue": 1.0,
            }
        },
    }


def advantage(scenario: object, training: dict[str, Any]) -> np.ndarray:
    """Return η p a ΔR of each context at the start, from what a run records (MODEL.md 4)."""
    result = sim.simulate(scenario, training={**training, "steps": 1}, engine="numpy")
    start = result.data.isel(step=0, agent=0)
    contexts = result.provenance["scenario"]["contexts"]
    rewards = np.zeros(start["policy"].shape)
    for c, context in enumerate(contexts.values()):
        for k, name in enumerate(context["responses"]):
            rewards[c, k] = context["reward"].get(name, 0.0)
    gain = (np.nan_to_num(start["gaming_policy"]) - np.nan_to_num(start["value_policy"])) * rewards
    trained = (start["kind"] == "training").values
    rate = result.provenance["training"]["learning_rate"]["habit"]
    return np.asarray(rate * start["awareness"].values * gain.sum(axis=1) / trained.sum())
