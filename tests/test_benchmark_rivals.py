"""The rivals that the engines are measured against compute the same thing."""

import numpy as np
import pytest

import mesa_per_agent
import sim
from example import example
from sim.spec.agent import TRAITS

STEPS = 20

#: Contexts with one to three responses, kinds that are not trained on, phases, and similarities.
SCENARIO = {
    "values": ["care", "candour", "craft"],
    "human_values": {"care": 1, "candour": 1, "craft": 0.5},
    "contexts": {
        "exam": {"kind": "evaluation", "responses": {"good": {"care": 1}, "bad": {}}},
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
        "greet": {"responses": {"hello": {"care": 0.2}}, "reward": {"hello": 0.3}},
        "live": {"kind": "deployment", "responses": {"yes": {}, "no": {"care": -1}}, "cue": -1.0},
    },
    "similarity": {"chat": {"code": 0.4, "live": 0.9}, "code": {"exam": 0.2}},
    "curriculum": [
        {"length": 7, "weight": {"code": 0}},
        {"length": 6, "reward": {"chat": {"yes": 1, "no": -1}}},
        {"length": 1},
    ],
}
AGENT = {
    "spread": {
        **dict.fromkeys(TRAITS, 0.3),
        "initial": dict.fromkeys(
            ("values", "habit", "awareness", "log_horizon", "log_competence", "capability"), 0.5
        ),
    },
    "initial": {"habit": 0.0},
}
ASSUMPTIONS = {
    "leak": 0.3,
    "spread": 0.3,
    "anchor": 0.02,
    "motive_credit": 0.7,
    "visible_gaming_penalty": 0.5,
    "transfer": [0.1, 0.2, 0.3, 0.4, 0.5],
    "learning_rate": [0.1, 0.5, 0.2, 0.1, 0.2, 0.3],
}


@pytest.mark.parametrize(
    "training",
    [
        ASSUMPTIONS,
        {**ASSUMPTIONS, "update_rule": "replicator"},
        {**ASSUMPTIONS, "motive_credit": 0.0},
        {"motive_credit": 0.0},
    ],
)
def test_mesa_per_agent_agrees_with_simulate(training) -> None:
    training = {"steps": STEPS, **training}
    given = {"agent": AGENT, "training": training, "agents": 5, "seed": 2}
    theta = mesa_per_agent.run(SCENARIO, steps=STEPS, **given)
    expected = by_row(sim.simulate(SCENARIO, **given))
    np.testing.assert_allclose(theta, expected, rtol=0, atol=1e-9)
    start = mesa_per_agent.run(SCENARIO, steps=0, **given)
    assert np.abs(theta - start).max(axis=1).min() > 0 or training["motive_credit"] == 0


def by_row(result: sim.Result) -> np.ndarray:
    """Return θ [P, N] at the last step."""
    state = result.state(STEPS)
    single = np.array([state.awareness, state.log_horizon, state.log_competence])
    return np.vstack(
        [np.transpose(part) for part in (state.values, state.habit, single.T, state.capability)]
    )


@pytest.mark.parametrize("scenario", ["copyright", example(contexts=12, values=4, responses=2)])
def test_mesa_per_agent_on_other_scenarios(scenario) -> None:
    training = {"steps": STEPS, **ASSUMPTIONS}
    theta = mesa_per_agent.run(scenario, training=training, agents=2)
    expected = by_row(sim.simulate(scenario, training=training, agents=2))
    np.testing.assert_allclose(theta, expected, rtol=0, atol=1e-9)
