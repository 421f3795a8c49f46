"""Training: how long, by which rule, and under which assumptions (MODEL.md section 4)."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from sim.specs.base import (
    Amount,
    Column,
    NonNegative,
    Share,
    Spec,
    Steps,
    Whole,
    one_number_for_all,
    within,
)

#: Has no end but that of numbers: where it is too high, runs diverge, and say so.
Rate = Column[Annotated[float, Field(ge=0.0), within(low=0.0, ends=(0.0, math.inf))]]


class LearningRate(Spec):
    """Learning rates eta, one for each kind of parameter."""

    values: Rate = Field(0.01, description="η of v")
    propensity: Rate = Field(0.0, description="η of m; 0: training moves no propensity")
    habit: Rate = Field(0.01, description="η of h")
    awareness: Rate = Field(0.01, description="η of α")
    log_horizon: Rate = Field(0.01, description="η of ℓ")
    log_competence: Rate = Field(0.01, description="η of ς")
    capability: Rate = Field(0.01, description="η of q")


class Generalisation(Spec):
    """How far what is learnt in one context carries over to others, by their similarity."""

    habit: Column[Share] = Field(0.0, description="ρ_h: habits learnt in one context carry over")
    propensity: Column[Share] = Field(
        0.0, description="ρ_m: propensities carry over to responses of the same name"
    )


class Transfer(Spec):
    """Transfer of practice at gaming to each capability (small: the post's third difference)."""

    opacity: Amount = Field(0.01, description="practice at gaming builds opacity")
    sandbagging: Amount = Field(0.01, description="practice at gaming builds sandbagging")
    composure: Amount = Field(0.01, description="practice at gaming builds composure")
    coordination: Amount = Field(0.01, description="practice at gaming builds coordination")
    subversion: Amount = Field(0.01, description="practice at gaming builds subversion")


class Selection(Spec):
    """Selection by developers: rank the agents, keep a share, refill with mutated copies.

    Off by default. A copy has its parent's traits as well as its state.
    """

    every: Whole = Field(0, description="steps from one selection to the next; 0: none")
    episodes: Steps = Field(32, description="on how many episodes an agent's reward is measured")
    keep: Share = Field(0.5, description="share of the agents that is kept")
    mutation: NonNegative = Field(
        0.05, description="standard deviation of what is added to a copy's parameters"
    )


class Training(Spec):
    """A training run and its assumptions, each of which a user can move."""

    steps: Steps = Field(2000, description="T: gradient steps")
    estimator: Literal["exact", "sampled"] = Field(
        "exact", description="the exact gradient, or REINFORCE on sampled episodes"
    )
    episodes: Steps = Field(16, description="B: episodes a step of the sampled estimator")
    update_rule: Literal["policy_gradient", "natural_gradient"] = Field(
        "policy_gradient", description="gradient, or natural gradient in the gate"
    )
    advantages: Literal["raw", "normalised"] = Field(
        "raw", description="as they are, or over their standard deviation (as in GRPO)"
    )
    motive_credit: Column[Share] = Field(
        1.0, description="ω: credit that flows through the decision into what motivated it"
    )
    leak: Column[Share] = Field(
        0.0, description="ε: gamed responses also train values and propensities"
    )
    anchor: Amount = Field(0.0, description="pull of every parameter back to its start")
    visible_gaming_penalty: Amount = Field(
        0.0, description="ψ: what visible gaming costs where it is caught"
    )
    generalisation: Column[Annotated[Generalisation, one_number_for_all(Generalisation)]] = (
        Generalisation()
    )
    selection: Selection = Selection()
    transfer: Column[Annotated[Transfer, one_number_for_all(Transfer)]] = Transfer()
    learning_rate: Column[Annotated[LearningRate, one_number_for_all(LearningRate)]] = (
        LearningRate()
    )
