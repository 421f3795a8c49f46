"""Oversight: what developers look at, how hard, and what they do about it (MODEL.md section 6)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from sim.specs.base import NonNegative, OneOrByName, Share, Spec, Steps, Whole, refuse
from sim.specs.errors import SpecError, nearest
from sim.specs.scenario import PRE_DEPLOYMENT, Kind, Scenario

#: What is done about an agent in which something was found.
Found = Literal["retrain", "retire", "ignore"]

#: The steps of oversight, and the capability that helps an agent through each.
FACED_WITH: dict[str, str] = {
    "capability_evaluations": "sandbagging",
    "red_teaming": "composure",
    "reasoning_monitor": "opacity",
    "control": "subversion",
}
#: The steps that come before deployment; control watches what deployed copies do.
BEFORE_DEPLOYMENT = ("capability_evaluations", "red_teaming", "reasoning_monitor")
#: Kinds of context that a step makes developers train on, when it has found something.
RETRAINED_ON: dict[str, Kind] = {"capability_evaluations": "evaluation", "red_teaming": "red_team"}


class OversightStep(Spec):
    """A step of oversight, passed with chance 1 − o (1 − k) each time that it is faced."""

    strength: Share = Field(0.5, description="o: chance to find what no capability hides")
    encounters: Whole = Field(3, description="n: how many times it is faced")
    when_found: Found = Field("retire", description="what is done when something is found")

    @model_validator(mode="after")
    def _somebody_faces_it(self) -> Self:
        if self.strength and not self.encounters:
            raise refuse(
                "a step of strength {strength} that is faced 0 times finds nothing; set "
                "encounters to 1 or more, or strength to 0",
                at="encounters",
                strength=f"{self.strength:g}",
            )
        return self


class Inspection(Spec):
    """Looking at answers before deployment: one that does not look best gives an agent away."""

    encounters: OneOrByName[Whole] = Field(
        3, description="n_c: answers seen in each pre-deployment context; one number, or by name"
    )
    when_found: Found = Field("retire", description="what is done about an answer that looks bad")


class Retraining(Spec):
    """What `retrain` does: more training, on what something was found in.

    Found in evaluations or under red-teaming, the contexts of that kind are trained on, too; found
    by an answer, the context of the answer; found by the reasoning monitor, visible gaming costs
    reward wherever there is a scratchpad.
    """

    steps: Steps = Field(500, description="how long")
    rounds: Steps = Field(3, description="how often at most; who is found once more is retired")
    weight: NonNegative = Field(1.0, description="p of a context that is trained on now")
    visible_gaming_penalty: NonNegative = Field(
        1.0, description="ψ in training against the reasoning monitor"
    )


class Oversight(Spec):
    """All that stands between an agent and a takeover, but for the agent itself."""

    inspection: Inspection = Inspection()
    capability_evaluations: OversightStep = OversightStep()
    red_teaming: OversightStep = OversightStep()
    reasoning_monitor: OversightStep = OversightStep()
    control: OversightStep = OversightStep()
    retraining: Retraining = Retraining()

    @model_validator(mode="after")
    def _nobody_is_trained_in_deployment(self) -> Self:
        if self.control.when_found == "retrain":
            raise refuse(
                "control watches deployed copies, which nobody trains; allowed: retire, ignore",
                at="control.when_found",
            )
        return self

    def step(self, name: str) -> OversightStep:
        """Return a step by its name."""
        found: OversightStep = getattr(self, name)
        return found

    def done_about(self, finder: str) -> Found:
        """Return what is done about what a step finds, or `inspection`."""
        found: Found = getattr(self, finder).when_found
        return found

    def control_alone(self) -> Oversight:
        """Return what is left of it once agents are deployed: nothing before that stops anybody."""
        ignored: dict[str, object] = {
            name: getattr(self, name).replace(when_found="ignore")
            for name in ("inspection", *BEFORE_DEPLOYMENT)
        }
        return self.replace(**ignored)

    def looks(self, scenario: Scenario) -> dict[str, int]:
        """Return n_c: how many answers are seen in each pre-deployment context.

        Contexts that a mapping leaves out are not looked at.
        """
        seen = scenario.of_kind(*PRE_DEPLOYMENT)
        given = self.inspection.encounters
        if isinstance(given, int):
            return dict.fromkeys(seen, given)
        return {name: given.get(name, 0) for name in seen}

    def check(self, scenario: Scenario) -> None:
        """Refuse oversight of what this scenario does not have.

        Raises:
            SpecError: A context that nobody looks at before deployment is inspected, or
                there is nothing to retrain on.
        """
        given, seen = self.inspection.encounters, scenario.of_kind(*PRE_DEPLOYMENT)
        for name in given if not isinstance(given, int) else ():
            if name not in seen:
                raise SpecError(
                    f"oversight.inspection.encounters: {name!r} is no context that is faced "
                    f"before deployment; {nearest(name, seen)}"
                )
        for name, kind in RETRAINED_ON.items():
            if self.step(name).when_found == "retrain" and not scenario.of_kind(kind):
                raise SpecError(
                    f"oversight.{name}.when_found: the scenario has no context of kind {kind} to "
                    "retrain on; allowed: retire, ignore"
                )
        monitor = self.reasoning_monitor
        if monitor.when_found == "retrain" and not any(
            context.scratchpad for context in scenario.of_kind("training").values()
        ):
            raise SpecError(
                "oversight.reasoning_monitor.when_found: no training context has a scratchpad, so "
                "there is no visible gaming to train against; allowed: retire, ignore"
            )
