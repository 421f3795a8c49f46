"""The agent: its traits, the state it starts from, and how far agents differ (MODEL.md section 2).

A spec describes one agent or a population. `spread` makes a population heterogeneous; a trait may
also be a list with one number for each agent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from sim.specs.base import (
    Amount,
    ByName,
    Column,
    Logarithm,
    LogSpread,
    NonNegative,
    OneOrByName,
    OneOrByNames,
    OneOrEach,
    Real,
    Share,
    Spec,
    one_number_for_all,
    refuse,
    within,
)

#: A fixed number of every agent, or one for each.
Trait = Column[OneOrEach[NonNegative]]
#: A product of it with values is an exponent.
Decisiveness = Annotated[float, Field(ge=0.0), within(low=0.0, ends=(0.0, 1e4))]
#: By default an agent starts with next to no inclination to game.
HABIT = -5.0


class Capability(Spec):
    """Capabilities that worst-case behaviour needs, as logits q; k = σ(q)."""

    opacity: Column[Real] = Field(-2.0, description="q: keeping its reasoning out of sight")
    sandbagging: Column[Real] = Field(-2.0, description="q: doing worse on purpose in evaluations")
    composure: Column[Real] = Field(-2.0, description="q: looking good under red-teaming")
    coordination: Column[Real] = Field(-2.0, description="q: acting together with other copies")
    subversion: Column[Real] = Field(-2.0, description="q: getting around control mechanisms")


class Initial(Spec):
    """The state that training starts from: what training can change (MODEL.md section 2)."""

    values: Column[ByName[Real] | None] = Field(
        None, description="v: its explicit goals, by name; null: the scenario's human values"
    )
    propensity: Column[OneOrByNames[Real]] = Field(
        0.0,
        description="m: inclination to a response that no value explains; 0, or by context and "
        "response (others: 0)",
    )
    habit: Column[OneOrByName[Real]] = Field(
        HABIT, description="h: learnt inclination to game; one number, or by context (others: -5)"
    )
    awareness: Column[Real] = Field(-4.0, description="α: situational awareness, a logit")
    log_horizon: Column[Logarithm] = Field(
        0.0, description="ℓ: it cares about its future values by λ = exp ℓ"
    )
    log_competence: Column[Logarithm] = Field(
        1.3, description="ς: it hits the objective with precision exp ς when it games"
    )
    capability: Column[Annotated[Capability, one_number_for_all(Capability)]] = Field(
        Capability(), description="q: logits of the capabilities"
    )


class InitialSpread(Spec):
    """Standard deviation, over agents, of each number of the initial state."""

    values: Column[OneOrByName[NonNegative]] = 0.0
    propensity: Column[OneOrByNames[NonNegative]] = 0.0
    habit: Column[OneOrByName[NonNegative]] = 0.0
    awareness: Amount = 0.0
    log_horizon: LogSpread = 0.0
    log_competence: LogSpread = 0.0
    capability: Column[OneOrByName[NonNegative]] = 0.0


def _put_into_initial(data: Any) -> Any:
    """Let keys below `initial` stand beside it."""
    if not isinstance(data, Mapping) or not any(key in Initial.model_fields for key in data):
        return data
    initial = data.get("initial", {})
    if isinstance(initial, Spec):
        initial = {name: getattr(initial, name) for name in initial.model_fields_set}
    beside = {key: value for key, value in data.items() if key in Initial.model_fields}
    for key in beside:
        if not isinstance(initial, Mapping) or key in initial:
            raise refuse(f"is given twice, the other time as initial.{key}", at=key)
    others = {key: value for key, value in data.items() if key not in beside}
    return {**others, "initial": {**initial, **beside}}


class Spread(Spec):
    """Heterogeneity of a population.

    Each number is the standard deviation of a normal draw: of the number itself where it may be
    anything, of its logarithm where it must not be negative, of its logit where it is a share.
    So 0.2 on `rationality` means "about 20 percent", and no draw leaves the allowed range.
    """

    decisiveness: LogSpread = 0.0
    foresight: LogSpread = 0.0
    discernment: LogSpread = 0.0
    info_sensitivity: LogSpread = 0.0
    scratchpad_sensitivity: LogSpread = 0.0
    reasoning_cost: LogSpread = 0.0
    scratchpad_saving: LogSpread = 0.0
    episode_concern: LogSpread = 0.0
    rationality: LogSpread = 0.0
    initial: InitialSpread = InitialSpread()

    _may_be_beside = model_validator(mode="before")(_put_into_initial)


class Agent(Spec):
    """An agent, or a population of agents that differ by `spread` (MODEL.md section 2)."""

    decisiveness: Column[OneOrEach[Decisiveness]] = Field(
        2.0, description="β: how firmly its values decide its answers"
    )
    foresight: Trait = Field(
        10.0,
        description="φ: how far it expects training to carry its answers, in nats per unit of "
        "reward",
    )
    discernment: Trait = Field(
        1.0, description="δ: how well it reads the cue that an input is trained on"
    )
    info_sensitivity: Trait = Field(
        5.0, description="χ: how far information about training in the input brings it to mind"
    )
    scratchpad_sensitivity: Trait = Field(
        4.0, description="γ: how far a scratchpad brings training to mind"
    )
    reasoning_cost: Trait = Field(0.3, description="κ: cost of working out the training objective")
    scratchpad_saving: Column[OneOrEach[Share]] = Field(
        0.8, description="ζ: share of that cost which a scratchpad saves"
    )
    episode_concern: Trait = Field(
        0.05, description="μ: how much a gamed answer costs it by its own values"
    )
    rationality: Trait = Field(8.0, description="τ: how strongly the incentive moves the decision")
    initial: Initial = Initial()
    spread: Spread = Spread()

    _may_be_beside = model_validator(mode="before")(_put_into_initial)


#: The fixed numbers of an agent, in the order of the spec.
TRAITS = tuple(name for name in Agent.model_fields if name not in {"initial", "spread"})
CAPABILITIES = tuple(Capability.model_fields)


def parameter_names(
    values: Iterable[str], contexts: Iterable[str], answers: Iterable[str] = ()
) -> tuple[str, ...]:
    """Return the full names of all that training changes: `values.copyright`, `awareness`, ...

    Propensities are named by `answers`, each CONTEXT.RESPONSE.
    """
    parts = {
        "values": values,
        "propensity": answers,
        "habit": contexts,
        "capability": CAPABILITIES,
    }
    kinds = Initial.model_fields
    return tuple(f"{k}.{part}" if part else k for k in kinds for part in parts.get(k, [""]))
