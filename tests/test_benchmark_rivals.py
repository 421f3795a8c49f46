"""The rivals that the engines are measured against compute the same thing."""

from typing import Any

import numpy as np
import pytest

import c_kernel
import mesa_per_agent
import mesa_tuned
import sim
from example import example
from sim.simulation import prepare
from sim.specs.agent import TRAITS

STEPS = 20
#: More than sit in one block of the kernel.
AGENTS = 19

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


TRAINING = {
    "all assumptions": ASSUMPTIONS,
    "replicator": {**ASSUMPTIONS, "update_rule": "replicator"},
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


def c(scenario: Any, **given: Any) -> np.ndarray:
    """Run the C kernel, if it can be compiled here."""
    compiled, reason = c_kernel.library()
    if compiled is None:
        pytest.skip(reason)
    return c_kernel.run(prepare(scenario, **given).program, STEPS)


RIVALS = {"C kernel": c, "Mesa": mesa_per_agent.run, "tuned Mesa": mesa_tuned.run}


@pytest.mark.parametrize("training", TRAINING)
@pytest.mark.parametrize(
    ("rival", "scenario"),
    [
        (rival, scenario)
        for rival in RIVALS
        for scenario in SCENARIOS
        if (rival, scenario) != ("C kernel", "phases")
    ],
)
def test_a_rival_agrees_with_simulate(rival: str, scenario: str, training: str) -> None:
    given: dict[str, Any] = {
        "agent": AGENT,
        "training": {"steps": STEPS, **TRAINING[training]},
        "agents": AGENTS,
        "seed": 2,
    }
    theta = RIVALS[rival](SCENARIOS[scenario], **given)
    result = sim.simulate(SCENARIOS[scenario], **given)
    np.testing.assert_allclose(theta, by_row(result, STEPS), rtol=0, atol=1e-9)
    if training == "all assumptions" and scenario != "one response":
        assert np.abs(theta - by_row(result, 0)).max(axis=1).min() > 0, "a parameter stood still"


def by_row(result: sim.Result, step: int) -> np.ndarray:
    """Return θ [P, N] at a step."""
    state = result.state(step)
    single = np.array([state.awareness, state.log_horizon, state.log_competence])
    return np.vstack(
        [np.transpose(part) for part in (state.values, state.habit, single.T, state.capability)]
    )


@pytest.mark.parametrize(
    ("scenario", "training"),
    [
        (SCENARIO, {"steps": STEPS}),
        ("copyright", {"steps": STEPS, "estimator": "sampled"}),
        ("copyright", {"steps": STEPS, "selection": {"every": 5}}),
    ],
)
def test_the_kernel_refuses_what_it_does_not_do(scenario: Any, training: Any) -> None:
    with pytest.raises(ValueError, match=r"world changes|sampled estimator"):
        c(scenario, training=training, agents=2)


def test_without_a_compiler_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c_kernel.shutil, "which", lambda name: None)
    compiled, reason = c_kernel.library.__wrapped__()
    assert compiled is None
    assert reason == "no C compiler: none of cc, gcc, clang is installed"
