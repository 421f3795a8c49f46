"""What comes after training, in a config: oversight, deployment and thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sim.analysis.worst_case import Thresholds
from sim.prospects import read_deployment, read_oversight
from sim.spec.deployment import Deployment
from sim.spec.oversight import Oversight
from sim.spec.scenario import Scenario

#: The keys of a config that are read here.
AFTER_KEYS = ("oversight", "deployment", "thresholds")


@dataclass(frozen=True)
class After:
    """What agents meet after training, and what counts as the worst case."""

    oversight: Oversight
    deployment: Deployment
    thresholds: Thresholds

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


def pop_after(own: dict[str, Any], scenario: Scenario) -> After:
    """Take what comes after training out of a config that is plain data.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    return After(
        oversight=read_oversight(own.pop("oversight", None), scenario),
        deployment=read_deployment(own.pop("deployment", None), scenario),
        thresholds=Thresholds.read(own.pop("thresholds", None)),
    )
