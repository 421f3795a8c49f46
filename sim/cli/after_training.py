"""What comes after training, in a config: oversight, deployment and thresholds."""

from __future__ import annotations

from typing import Any

from sim.analysis.worst_case import PostTraining, Thresholds
from sim.cli.keys import AFTER_KEYS as AFTER_KEYS
from sim.specs.scenario import Scenario
from sim.takeover import read_deployment, read_oversight


def pop_after(own: dict[str, Any], scenario: Scenario) -> PostTraining:
    """Take what comes after training out of a config that is plain data.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    return PostTraining(
        oversight=read_oversight(own.pop("oversight", None), scenario),
        deployment=read_deployment(own.pop("deployment", None), scenario),
        thresholds=Thresholds.read(own.pop("thresholds", None)),
    )
