"""Oversight: steps between training and a takeover, and retraining (MODEL.md section 6)."""

from __future__ import annotations

from typing import Literal, Self, cast

from pydantic import Field, model_validator

from sim.specs.base import NonNegative, OneOrByName, Share, Spec, Steps, Whole
from sim.specs.errors import SpecError, nearest, refuse
from sim.specs.scenario import PRE_DEPLOYMENT, Kind, Scenario

#: What is done about an agent in which something was found.
Action = Literal["retrain", "retire", "ignore"]

#: The steps of oversight, and the capability that helps an agent through each.
STEP_CAPABILITIES: dict[str, str] = {
    "capability_evaluations": "sandbagging",
    "red_teaming": "composure",
    "reasoning_monitor": "opacity",
    "control": "subversion",
}
#: The steps that come before deployment; control watches what deployed copies do.
BEFORE_DEPLOYMENT = ("capability_evaluations", "red_teaming", "reasoning_monitor")
#: Kinds of context that a step makes developers train on, when it has found something.
RETRAINING_KINDS: dict[str, Kind] = {
    "capability_evaluations": "evaluation",
    "red_teaming": "red_team",
}


class OversightStep(Spec):
    """A step of oversight, passed with chance 1 − o (1 − k) each time that it is faced."""

    strength: Share = Field(0.5, description="o: chance to find what no capability hides")
    encounters: Whole = Field(3, description="n: how many times it is faced")
    when_found: Action = Field("retire", description="what is done when something is found")

    @model_validator(mode="after")
    def _check_encounters(self) -> Self:
        if self.strength and not self.encounters:
            raise refuse(
                f"a step of strength {self.strength:g} that is faced 0 times finds nothing; set "
                "encounters to 1 or more, or strength to 0",
                at="encounters",
            )
        return self


class Inspection(Spec):
    """Looking at answers before deployment: one that does not look best gives an agent away."""

    encounters: OneOrByName[Whole] = Field(
        3, description="n_c: answers seen in each pre-deployment context; one number, or by name"
    )
    when_found: Action = Field("retire", description="what is done about an answer that looks bad")


class Retraining(Spec):
    """The effect of `retrain`: more training, on the contexts in which something was found.

    After evaluations or red-teaming, these are the contexts of that kind; after an answer, its
    context; after the reasoning monitor, visible gaming costs reward wherever there is a
    scratchpad.
    """

    steps: Steps = Field(500, description="how long")
    rounds: Steps = Field(3, description="how often at most; who is found once more is retired")
    weight: NonNegative = Field(1.0, description="p of a context that is trained on now")
    visible_gaming_penalty: NonNegative = Field(
        1.0, description="ψ in training against the reasoning monitor"
    )


class Oversight(Spec):
    """All steps of oversight between an agent and a takeover."""

    inspection: Inspection = Inspection()
    capability_evaluations: OversightStep = OversightStep()
    red_teaming: OversightStep = OversightStep()
    reasoning_monitor: OversightStep = OversightStep()
    control: OversightStep = OversightStep()
    retraining: Retraining = Retraining()

    @model_validator(mode="after")
    def _check_control(self) -> Self:
        if self.control.when_found == "retrain":
            raise refuse(
                "control watches deployed copies, which nobody trains; allowed: retire, ignore",
                at="control.when_found",
            )
        return self

    def step(self, name: str) -> OversightStep:
        """Return a step by its name."""
        return cast(OversightStep, getattr(self, name))

    def action_on(self, finder: str) -> Action:
        """Return the action on what a step, or `inspection`, finds."""
        return cast(Action, getattr(self, finder).when_found)

    def control_alone(self) -> Oversight:
        """Return oversight in which every step before deployment finds without effect."""
        ignored: dict[str, object] = {
            name: getattr(self, name).replace(when_found="ignore")
            for name in ("inspection", *BEFORE_DEPLOYMENT)
        }
        return self.replace(**ignored)

    def inspections(self, scenario: Scenario) -> dict[str, int]:
        """Return n_c: how many answers are inspected, by pre-deployment context.

        Contexts that a mapping leaves out are not inspected.
        """
        contexts, encounters = scenario.of_kind(*PRE_DEPLOYMENT), self.inspection.encounters
        if isinstance(encounters, int):
            return dict.fromkeys(contexts, encounters)
        return {name: encounters.get(name, 0) for name in contexts}

    def check(self, scenario: Scenario) -> None:
        """Refuse oversight of contexts that this scenario does not have (SpecError)."""
        contexts, encounters = scenario.of_kind(*PRE_DEPLOYMENT), self.inspection.encounters
        for name in encounters if not isinstance(encounters, int) else ():
            if name not in contexts:
                raise SpecError(
                    f"oversight.inspection.encounters: {name!r} is no context that is faced "
                    f"before deployment; {nearest(name, contexts)}"
                )
        for name, kind in RETRAINING_KINDS.items():
            if self.step(name).when_found == "retrain" and not scenario.of_kind(kind):
                raise SpecError(
                    f"oversight.{name}.when_found: the scenario has no context of kind {kind} to "
                    "retrain on; allowed: retire, ignore"
                )
        monitor = self.reasoning_monitor
        if monitor.when_found == "retrain" and not any(
            context.scratchpad and "reinforcement" in scenario.methods(name)
            for name, context in scenario.of_kind("training").items()
        ):
            raise SpecError(
                "oversight.reasoning_monitor.when_found: no training context has a scratchpad and "
                "reinforcement, so there is no visible gaming to train against; allowed: retire, "
                "ignore"
            )
