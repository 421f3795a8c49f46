"""A population: its traits and starting states are the draws that the spec says."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import logit

from sim.dynamics.compile import compile_program
from sim.dynamics.randomness import normal
from sim.simulation import prepare
from sim.specs.agent import TRAITS
from sim.specs.overrides import read_specs

AGENT: dict[str, Any] = {
    **{name: 0.5 + 0.02 * i for i, name in enumerate(TRAITS)},
    "initial": {"values": {"copyright": 0.4}, "awareness": -1.0},
    "spread": {
        **{name: 0.3 + 0.1 * i for i, name in enumerate(TRAITS)},
        "initial": {"values": {"helpfulness": 0.7}, "habit": 0.2, "capability": {"opacity": 3}},
    },
}


def test_traits_and_states_are_drawn_on_the_scale_without_ends() -> None:
    """Logarithms of what is not negative, logits of shares; each number from its own stream."""
    program = prepare("copyright", agent=AGENT, agents=50, seed=9).program
    rows = np.arange(50)
    for i, name in enumerate(TRAITS):
        shift = (0.3 + 0.1 * i) * normal(seed=9, stream=f"agent.{name}", rows=rows)
        trait, centre = getattr(program.traits, name), 0.5 + 0.02 * i
        scale = logit if name == "scratchpad_saving" else np.log
        np.testing.assert_allclose(scale(trait) - scale(centre), shift, atol=1e-12)
    values = {"values.copyright": 0.4, "values.helpfulness": 1.0}
    centres = values | {"awareness": -1.0, "log_competence": 1.3}
    widths = {"values.helpfulness": 0.7, "capability.opacity": 3.0}
    for row, name in zip(program.theta, program.layout.names, strict=True):
        kind = name.partition(".")[0]
        centre = centres.get(name, {"habit": -5.0, "capability": -2.0}.get(kind, 0.0))
        width = widths.get(name, 0.2 if kind == "habit" else 0.0)
        shift = width * normal(seed=9, stream=f"agent.initial.{name}", rows=rows)
        np.testing.assert_allclose(row, centre + shift, atol=1e-12)


def test_a_spread_may_be_zero_in_some_runs_only() -> None:
    specs = read_specs("copyright")
    given = {"scenario": specs.scenario, "agent": specs.agent, "training": specs.training}
    columns = {"agent.spread.rationality": [0.0, 0.5], "agent.spread.initial.awareness": [1.0, 0.0]}
    program = compile_program(**given, agents=3, seed=[4, 4], columns=columns)
    alone = prepare("copyright", agents=3, seed=4, agent={"spread": {"rationality": 0.5}}).program
    rationality, awareness = (
        program.traits.rationality,
        program.theta[program.layout.rows["awareness"]],
    )
    assert len(set(rationality[:3])) == 1
    np.testing.assert_array_equal(rationality[3:], alone.traits.rationality)
    assert len(set(awareness[0, :3])) == 3
    assert len(set(awareness[0, 3:])) == 1
