"""A population from an agent spec: each agent's traits and starting state (MODEL.md section 2).

Each number has a random stream of its own, named by its key, so that a number that is added or
changed moves no other. Draws are normal on the scale on which the number's range has no ends
(`sim.spec.agent.Spread`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.dynamics.randomness import normal
from sim.dynamics.state import Array, Layout
from sim.spec.agent import CAPABILITIES, HABIT, TRAITS, Agent
from sim.spec.errors import SpecError, nearest
from sim.spec.scenario import Scenario


@dataclass(frozen=True)
class Traits:
    """The fixed numbers of each agent, each [n] (MODEL.md section 2)."""

    decisiveness: Array
    discernment: Array
    info_sensitivity: Array
    scratchpad_sensitivity: Array
    reasoning_cost: Array
    scratchpad_saving: Array
    episode_concern: Array
    rationality: Array

    def take(self, rows: slice | NDArray[np.intp]) -> Traits:
        """Return the traits of some agents."""
        return Traits(**{name: getattr(self, name)[rows] for name in TRAITS})


def draw_traits(agent: Agent, *, agents: int, seed: int) -> Traits:
    """Return each agent's traits.

    Raises:
        SpecError: A list of numbers is not as long as there are agents.
    """
    traits = {}
    for name in TRAITS:
        given = getattr(agent, name)
        if isinstance(given, tuple) and len(given) != agents:
            raise SpecError(
                f"agent.{name}: has {len(given)} numbers for {agents} agents; give one number, "
                "or one for each agent"
            )
        vary = _vary_share if name == "scratchpad_saving" else _vary_positive
        centre = np.broadcast_to(np.asarray(given, dtype=np.float64), agents)
        shift = _shift(f"agent.{name}", getattr(agent.spread, name), agents=agents, seed=seed)
        traits[name] = vary(centre, shift)
    return Traits(**traits)


def draw_initial(
    agent: Agent, *, scenario: Scenario, layout: Layout, agents: int, seed: int
) -> Array:
    """Return θ_0 [P, agents].

    Raises:
        SpecError: The agent says nothing of the values, or names one that the scenario has not.
    """
    start, spread = agent.initial, agent.spread.initial
    centres = {
        "values": _each(_values(agent, scenario), layout.values, "agent.initial.values", 0.0),
        "habit": _each(start.habit, layout.contexts, "agent.initial.habit", HABIT),
        "awareness": [start.awareness],
        "log_horizon": [start.log_horizon],
        "log_competence": [start.log_competence],
        "capability": [getattr(start.capability, name) for name in CAPABILITIES],
    }
    spreads = {
        "values": _each(spread.values, layout.values, "agent.spread.initial.values", 0.0),
        "habit": _each(spread.habit, layout.contexts, "agent.spread.initial.habit", 0.0),
        "awareness": [spread.awareness],
        "log_horizon": [spread.log_horizon],
        "log_competence": [spread.log_competence],
        "capability": _each(
            spread.capability, CAPABILITIES, "agent.spread.initial.capability", 0.0
        ),
    }
    centre = [number for kind in layout.rows for number in centres[kind]]
    width = [number for kind in layout.rows for number in spreads[kind]]
    theta = np.empty((layout.size, agents))
    for row, name in enumerate(layout.names):
        shift = _shift(f"agent.initial.{name}", width[row], agents=agents, seed=seed)
        theta[row] = _vary_real(np.full(agents, centre[row]), shift)
    return theta


def _values(agent: Agent, scenario: Scenario) -> Mapping[str, float]:
    if agent.initial.values is not None:
        return agent.initial.values
    if not scenario.human_values:
        raise SpecError(
            "agent.initial.values: is missing, and the scenario names no human_values to start "
            f"from; say what the agent makes of {', '.join(scenario.values)}"
        )
    return scenario.human_values


def _each(
    given: float | Mapping[str, float], names: tuple[str, ...], where: str, otherwise: float
) -> list[float]:
    if not isinstance(given, Mapping):
        return [given] * len(names)
    for name in given:
        if name not in names:
            raise SpecError(f"{where}.{name}: nothing has this name; {nearest(name, names)}")
    return [given.get(name, otherwise) for name in names]


def _vary_real(centre: Array, shift: Array) -> Array:
    return centre + shift


def _vary_positive(centre: Array, shift: Array) -> Array:
    return centre * np.exp(shift)


def _vary_share(centre: Array, shift: Array) -> Array:
    grown = centre * np.exp(shift)
    return grown / (1.0 - centre + grown)


def _shift(stream: str, spread: float, *, agents: int, seed: int) -> Array:
    if spread == 0.0:
        return np.zeros(agents)
    return spread * normal(seed=seed, stream=stream, rows=np.arange(agents))
