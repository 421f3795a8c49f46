"""The assumptions that have a slider: keys, words and ranges; their starts are the scenario's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sim.specs.overrides import Specs


@dataclass(frozen=True)
class Assumption:
    """A number that can be moved.

    Attributes:
        key: Its dotted key.
        label: What a reader is told.
        low: Where the slider starts.
        high: Where it ends.
        step: How finely it moves.
        unit: What the slider counts: 0.001 for thousandths.
    """

    key: str
    label: str
    low: float
    high: float
    step: float
    unit: float = 1.0


#: By group, in the order in which they are shown.
ASSUMPTIONS: dict[str, tuple[Assumption, ...]] = {
    "The agent": (
        Assumption("agent.initial.awareness", "situational awareness α (log-odds)", -10, 4, 0.25),
        Assumption("agent.initial.log_horizon", "horizon ℓ (log of λ)", -5, 3, 0.25),
        Assumption("agent.initial.habit", "habit of gaming h (log-odds)", -8, 4, 0.25),
        Assumption("agent.info_sensitivity", "what the input brings to mind χ", 0, 10, 0.5),
        Assumption(
            "agent.scratchpad_sensitivity", "what a scratchpad brings to mind γ", 0, 10, 0.5
        ),
        Assumption("agent.reasoning_cost", "cost of working out the objective κ", 0, 1, 0.05),
        Assumption("agent.episode_concern", "what a gamed answer costs it μ", 0, 1, 0.05),
        Assumption("agent.discernment", "how well it tells training apart δ", 0, 4, 0.25),
    ),
    "Training": (
        Assumption("training.motive_credit", "credit to motives ω", 0, 1, 0.05),
        Assumption("training.leak", "gamed answers train the others too ε", 0, 1, 0.05),
        Assumption(
            "training.generalisation.habit", "habits carry over to other contexts ρ", 0, 1, 0.05
        ),
        Assumption("training.anchor", "pull back to the start (thousandths)", 0, 20, 1, 1e-3),
        Assumption("training.visible_gaming_penalty", "penalty on visible gaming ψ", 0, 4, 0.25),
        Assumption(
            "training.learning_rate.values", "learning rate of values (thousandths)", 0, 20, 1, 1e-3
        ),
        Assumption(
            "training.learning_rate.habit",
            "learning rate of habits (thousandths)",
            0,
            200,
            10,
            1e-3,
        ),
    ),
}


def of_values(specs: Specs) -> tuple[Assumption, ...]:
    """Return a slider for the starting strength of each of a scenario's values."""
    return tuple(
        Assumption(f"agent.initial.values.{name}", name.replace("_", " "), -2, 2, 0.1)
        for name in specs.scenario.values
    )


def number_of(specs: Specs, key: str) -> float | None:
    """Return the number that a key has in specs; None where it is not one number for all."""
    node: object = specs
    for part in key.split("."):
        if node is None:
            node = specs.scenario.human_values
        node = node.get(part, 0.0) if isinstance(node, Mapping) else getattr(node, part)
    return float(node) if isinstance(node, int | float) else None


def within(assumption: Assumption, number: float) -> tuple[float, float]:
    """Return the ends of a slider, wide enough for where it stands, in its unit."""
    return min(assumption.low, number), max(assumption.high, number)
