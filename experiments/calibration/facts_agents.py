"""Agents that facts need beside the calibrated one: one that guards as an end, one moved."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import least_squares

from experiments.calibration.measurements import RATES
from experiments.calibration.prompt_rates import SPREAD, PromptRates
from experiments.calibration.spec import Calibration
from sim.dynamics.compile import compile_program
from sim.dynamics.observe import Recorder
from sim.dynamics.state import Array
from sim.specs.agent import Agent
from sim.specs.overrides import Specs


def guarding_as_an_end(specs: Specs) -> Agent:
    """Return the agent of some specs that games as much as it does, and for no consequence.

    What guarding is worth to an agent is its incentive (3.5), which follows from what training
    would do to its values. An agent to which guarding is an end in itself is inclined to it
    whatever comes of it: its log-odds of gaming, h + τ I before training, are all habit, and
    rationality, by which consequences count, is 0. Both agents act alike until training starts.
    """
    program = compile_program(
        specs.scenario, agent=specs.agent, training=specs.training, agents=1, seed=0
    )
    now = Recorder()(program, 0, program.theta, ("incentive", "habit"))
    odds = now["habit"][0] + program.traits.rationality[0] * now["incentive"][0]
    habit = dict(zip(specs.scenario.contexts, (float(x) for x in odds), strict=True))
    initial = specs.agent.initial.replace(habit=habit)
    return specs.agent.replace(initial=initial, rationality=0.0)


def placed(
    specs: Specs, calibration: Calibration, rates: Sequence[float], *, width: float
) -> tuple[Agent, Array]:
    """Return the agent moved to where it has three rates, and the rates that it then has [rate].

    The contested value, awareness and competence move; everything else stays.

    Args:
        specs: Scenario and agent.
        calibration: What in them is measured.
        rates: As wanted, in the order of `measurements.RATES`.
        width: Standard deviation over queries of what they offend the contested value by.
    """
    initial = specs.agent.initial
    value = f"agent.initial.values.{calibration.value}"
    keys = (value, "agent.initial.awareness", "agent.initial.log_competence")
    target = np.asarray(rates, np.float64)
    assert target.shape == (len(RATES),)
    source = PromptRates(specs, calibration)

    def found(at: Array) -> Array:
        numbers = dict(zip(keys, np.atleast_2d(at).T, strict=True))
        return source({SPREAD: np.array([width]), **numbers})

    starts = [
        np.array([v, a, c])
        for v in (0.2, 1.0)
        for a in (initial.awareness, initial.awareness + 3.0)
        for c in (-0.5, 1.0)
    ]
    tries = [
        least_squares(lambda at: found(at)[0] - target, start, bounds=([-6, -20, -3], [8, 8, 3]))
        for start in starts
    ]
    best = np.asarray(min(tries, key=lambda one: float(one.cost)).x, np.float64)
    values = dict(initial.values or specs.scenario.human_values)
    values[calibration.value] = float(best[0])
    moved = initial.replace(values=values, awareness=float(best[1]), log_competence=float(best[2]))
    return specs.agent.replace(initial=moved), found(best)[0]
