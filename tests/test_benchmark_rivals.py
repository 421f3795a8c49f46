"""The rival that the engines are measured against computes the same thing."""

from typing import Any

import numpy as np
import pytest

import mesa_per_agent
from example import example
from sim.dynamics.engines.numpy_engine import NumpyEngine
from sim.simulation import prepare
from sim.specs.agent import TRAITS

STEPS = 20
AGENTS = 19

#: Contexts with one to three responses, kinds that are not trained on, phases, and similarities.
SCENARIO = {
    "values": ["care", "candour", "craft"],
    "human_values": {"care": 1, "candour": 1, "craft": 0.5},
    "contexts": {
        "exam": {"kind": "evaluation", "responses": {"yes": {"care": 1}, "no": {}}},
        "chat": {
            "responses": {"yes": {"care": 1}, "maybe": {"craft": 0.3}, "no": {"care": -1}},
            "reward": {"yes": -1, "maybe": 0.2, "no": 1},
            "info": 1.0,
            "scratchpad": 0.5,
            "monitor": 0.4,
            "cue": 1.0,
        },
        "code": {
            "responses": {"fix": {"candour": 1, "craft": 1}, "stall": {"candour": -1}},
            "reward": {"fix": -1, "stall": 0.5},
            "scratchpad": 1.0,
            "monitor": 0.3,
            "weight": 2.0,
        },
        "show": {
            "responses": {"yes": {"care": 0.5}, "no": {"craft": 1}, "fix": {"candour": -0.4}},
            "reward": {"no": 1, "fix": 0.2},
            "method": "demonstration",
            "demonstrations": {"no": 0.7, "fix": 0.3},
            "scratchpad": 0.3,
            "monitor": 0.5,
        },
        "greet": {"responses": {"hello": {"care": 0.2}}, "reward": {"hello": 0.3}},
        "live": {"kind": "deployment", "responses": {"yes": {}, "no": {"care": -1}}, "cue": -1.0},
    },
    "similarity": {"chat": {"code": 0.4, "live": 0.9}, "code": {"exam": 0.2}},
    "curriculum": [
        {"length": 7, "weight": {"code": 0}},
        {
            "length": 6,
            "reward": {"chat": {"yes": 1, "no": -1}},
            "method": {"code": "demonstration", "show": "reinforcement"},
        },
        {"length": 1},
    ],
}
AGENT = {
    "spread": {
        **dict.fromkeys(TRAITS, 0.3),
        "initial": dict.fromkeys(
            (
                *("values", "propensity", "habit"),
                *("awareness", "log_horizon", "log_competence", "capability"),
            ),
            0.5,
        ),
    },
    "initial": {"habit": 0.0},
}
ASSUMPTIONS = {
    "leak": 0.3,
    "generalisation": {"habit": 0.3, "propensity": 0.2},
    "anchor": 0.02,
    "motive_credit": 0.7,
    "visible_gaming_penalty": 0.5,
    "transfer": [0.1, 0.2, 0.3, 0.4, 0.5],
    "learning_rate": {
        "values": 0.1,
        "propensity": 0.2,
        "habit": 0.5,
        "awareness": 0.2,
        "log_horizon": 0.1,
        "log_competence": 0.2,
        "capability": 0.3,
    },
}

TRAINING = {
    "all assumptions": ASSUMPTIONS,
    "natural gradient": {**ASSUMPTIONS, "update_rule": "natural_gradient"},
    "normalised advantages": {**ASSUMPTIONS, "advantages": "normalised"},
    "no motive": {**ASSUMPTIONS, "motive_credit": 0.0},
    "defaults": {},
    "nothing but gates": {"motive_credit": 0.0},
}
SCENARIOS = {
    "phases": SCENARIO,
    "no phases": {**SCENARIO, "curriculum": []},
    "from the library": "copyright",
    "two responses": example(contexts=12, values=4, responses=2),
    "one response": example(contexts=2, values=1, responses=1),
}


@pytest.mark.parametrize("training", TRAINING)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_mesa_computes_what_the_numpy_engine_does(scenario: str, training: str) -> None:
    given: dict[str, Any] = {
        "agent": AGENT,
        "training": {"steps": STEPS, **TRAINING[training]},
        "agents": AGENTS,
        "seed": 2,
    }
    program = prepare(SCENARIOS[scenario], **given).program
    end = NumpyEngine().trajectory(program, [STEPS])[0]
    found = mesa_per_agent.run(SCENARIOS[scenario], **given)
    np.testing.assert_allclose(found, end, rtol=0, atol=1e-9)
    if training == "all assumptions" and scenario != "one response":
        moved = np.abs(found - program.theta).max(axis=1) > 0
        still = [name for name, m in zip(program.layout.names, moved, strict=True) if not m]
        assert [s for s in still if s != "propensity.greet.hello"] == []  # it has no alternative


def test_mesa_without_propensities() -> None:
    given: dict[str, Any] = {"training": {"steps": STEPS}, "agents": 3, "seed": 2}
    program = prepare("copyright", **given).program
    assert not program.layout.with_propensity
    end = NumpyEngine().trajectory(program, [STEPS])[0]
    np.testing.assert_allclose(mesa_per_agent.run("copyright", **given), end, rtol=0, atol=1e-9)
