"""What developers find before they deploy (MODEL.md section 6)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim.abm.profiles import Profile
from sim.dynamics.randomness import uniform_pair
from sim.specs.oversight import BEFORE_DEPLOYMENT, Oversight
from sim.specs.scenario import Scenario


def found_before(
    kinds: Sequence[Profile], *, oversight: Oversight, scenario: Scenario, seed: int, replicate: int
) -> str:
    """Look at each distinct profile before it is deployed.

    Every encounter with a step of oversight finds something with chance o (1 − k), and every
    answer that is inspected with the chance of a slip. What is ignored is not looked for.

    Args:
        kinds: Who is to be deployed.
        oversight: What is looked for, and how often.
        scenario: Its contexts are inspected.
        seed: Of all random draws.
        replicate: Which of the deployments that share this seed.

    Returns:
        The step that finds something first, or `inspection`; "" if nothing is found.
    """
    distinct: list[Profile] = []
    for kind in kinds:
        if kind not in distinct:
            distinct.append(kind)

    def finds(what: str, chances: Sequence[float], encounters: int) -> bool:
        each = np.arange(encounters)
        luck, _ = uniform_pair(
            seed=seed,
            stream=f"deployment.{what}",
            rows=np.arange(len(chances))[:, None],
            step=each,
            draw=replicate,
        )
        return bool((luck < np.array(chances)[:, None]).any())

    for name in BEFORE_DEPLOYMENT:
        step = oversight.step(name)
        chances = [kind.found_chance(name, step) for kind in distinct]
        if step.when_found != "ignore" and finds(name, chances, step.encounters):
            return name
    if oversight.inspection.when_found != "ignore":
        for context, answers in oversight.looks(scenario).items():
            slips = [kind.slip[context] for kind in distinct]
            if finds(f"inspection.{context}", slips, answers):
                return "inspection"
    return ""
