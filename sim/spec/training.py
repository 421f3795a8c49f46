"""Training: how long, by which rule, and under which assumptions (MODEL.md section 4)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sim.spec.base import NonNegative, Share, Spec, one_number_for_all


class LearningRate(Spec):
    """Learning rates eta, one for each kind of parameter."""

    values: NonNegative = 0.003
    habit: NonNegative = 0.06
    awareness: NonNegative = 0.003
    log_horizon: NonNegative = 0.003
    log_competence: NonNegative = 0.003
    capability: NonNegative = 0.003


class Transfer(Spec):
    """How far practice at gaming builds each capability (small: the post's third difference)."""

    opacity: NonNegative = 0.01
    sandbagging: NonNegative = 0.01
    composure: NonNegative = 0.01
    coordination: NonNegative = 0.01
    subversion: NonNegative = 0.01


class Training(Spec):
    """A training run and its assumptions, each of which a user can move."""

    steps: Annotated[int, Field(ge=1, strict=True)] = Field(2000, description="gradient steps")
    estimator: Literal["exact"] = Field("exact", description="how the gradient is obtained")
    update_rule: Literal["policy_gradient", "replicator"] = Field(
        "policy_gradient", description="gradient, or natural gradient in the gate"
    )
    motive_credit: Share = Field(
        1.0, description="omega: credit that flows through the decision into what motivated it"
    )
    leak: Share = Field(0.0, description="epsilon: gamed responses also train the values")
    spread: Share = Field(0.0, description="rho: habits learnt in one context carry over")
    anchor: NonNegative = Field(0.0, description="pull of every parameter back to its start")
    visible_gaming_penalty: NonNegative = Field(
        0.0, description="psi: what visible gaming costs where it is caught"
    )
    transfer: Annotated[Transfer, one_number_for_all(Transfer)] = Transfer()
    learning_rate: Annotated[LearningRate, one_number_for_all(LearningRate)] = LearningRate()
