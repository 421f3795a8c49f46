"""What comes after training: oversight, deployment, and what counts as the worst case."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from sim.analysis.worst_case import Thresholds
from sim.specs.deployment import Deployment
from sim.specs.intervention import Interventions, apply_after_training, read_interventions
from sim.specs.oversight import Oversight
from sim.specs.scenario import Scenario
from sim.takeover import read_deployment, read_oversight


@dataclass(frozen=True, kw_only=True)
class PostTraining:
    """What agents meet after training, and what counts as the worst case."""

    oversight: Oversight
    deployment: Deployment
    thresholds: Thresholds

    @classmethod
    def default(cls, scenario: Scenario) -> PostTraining:
        """Return the defaults of all three, checked against a scenario.

        Raises:
            SpecError: They do not fit the scenario.
        """
        return cls(
            oversight=read_oversight(None, scenario),
            deployment=read_deployment(None, scenario),
            thresholds=Thresholds(),
        )

    def under(self, interventions: Interventions | None) -> Self:
        """Return it with what interventions make of oversight and deployment.

        Interventions on anything else change nothing here. For judging one moment
        (`worst_case_at`, `prospects_at`), which knows no interventions; what takes a `Result`
        applies those of the run by itself, and is to be given what they have not acted on yet.

        Args:
            interventions: All that is done to a run.

        Raises:
            SpecError: One line: what was wrong, where, what is allowed.
        """
        oversight, deployment = apply_after_training(
            read_interventions(interventions),
            oversight=self.oversight,
            deployment=self.deployment,
        )
        return replace(self, oversight=oversight, deployment=deployment)

    def arguments(self) -> dict[str, Any]:
        """Return all of it as the arguments of `sim.worst_case`."""
        return {
            "oversight": self.oversight,
            "deployment": self.deployment,
            "thresholds": self.thresholds,
        }

    def described(self) -> dict[str, Any]:
        """Return all of it as plain data, for a provenance."""
        return {
            "oversight": self.oversight.model_dump(mode="json"),
            "deployment": self.deployment.model_dump(mode="json"),
            "thresholds": vars(self.thresholds),
        }
