"""What comes after training, in a config: oversight, deployment and thresholds."""

from __future__ import annotations

from typing import Any

from sim.analysis.after import After
from sim.analysis.worst_case import Thresholds
from sim.cli.keys import AFTER_KEYS as AFTER_KEYS
from sim.on_paper import read_deployment, read_oversight
from sim.spec.scenario import Scenario


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
