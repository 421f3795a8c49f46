"""What comes after training: oversight, deployment, and what counts as the worst case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sim.analysis.worst_case import Thresholds
from sim.spec.deployment import Deployment
from sim.spec.oversight import Oversight


@dataclass(frozen=True, kw_only=True)
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
