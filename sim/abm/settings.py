"""Keyword arguments of the Mesa models: seeds, and what follows training by dotted keys."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

import mesa
import numpy as np

from sim.dynamics.randomness import fresh_seed
from sim.specs.deployment import Deployment
from sim.specs.errors import SpecError, nearest
from sim.specs.keys import nest, override_spec
from sim.specs.overrides import Specs
from sim.specs.oversight import Oversight
from sim.specs.scenario import Scenario
from sim.takeover import read_deployment, read_oversight

#: What the dotted keys of a deployment start with; the others are those of a run.
POST_TRAINING = ("oversight", "deployment")


class AgentCounts(WeakKeyDictionary[mesa.Model, "count[int]"]):
    """Counts the agents of each model, as `mesa.Agent._ids` does, but keeps no model alive."""

    def __getitem__(self, model: mesa.Model) -> count[int]:
        """Return the count of a model, from 1."""
        return self.setdefault(model, count(1))


#: Numbers the agents of each model, of all kinds together.
AGENT_COUNTS = AgentCounts()


def integer_seed(seed: Any, rng: Any) -> int:
    """Return the seed of a model, by either name: an integer as it is, or drawn from what it is.

    What NumPy does not take for a seed, and two seeds, are refused (SpecError).
    """
    if seed is not None and rng is not None:
        raise SpecError("seed: is given twice, as seed and as rng")
    source = rng if seed is None else seed
    if isinstance(source, int | np.integer):
        return int(source)
    try:
        return fresh_seed(source)
    except (TypeError, ValueError):
        raise SpecError(f"seed: got {source!r}: must be a whole number of 0 or more") from None


def split_settings(settings: Mapping[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """Split settings into those of a run and those of oversight and deployment, or refuse them."""
    parts: tuple[dict[str, object], dict[str, object]] = ({}, {})
    allowed = (*POST_TRAINING, *Specs._fields)
    for key, value in settings.items():
        spec = key.split(".")[0]
        if spec not in allowed:
            raise SpecError(f"{spec}: unknown key; {nearest(spec, allowed)}")
        parts[spec in POST_TRAINING][key] = value
    return parts


def read_post_training(
    oversight: Oversight | Mapping[str, object] | None,
    deployment: Deployment | Mapping[str, object] | None,
    *,
    scenario: Scenario,
    settings: Mapping[str, object],
) -> tuple[Oversight, Deployment]:
    """Return oversight and deployment, the defaults if None, changed by settings and checked.

    Settings are values by dotted keys that start with `oversight` or `deployment`. Where one number
    stands for many contexts, a setting for one leaves the others as they were. What does not fit
    the scenario is refused (SpecError).
    """
    tree = nest(settings, flatten=False)
    watched = Oversight.parse({} if oversight is None else oversight, path="oversight")
    planned = Deployment.parse({} if deployment is None else deployment, path="deployment")
    return (
        read_oversight(override_spec(watched, tree, "oversight", scenario), scenario),
        read_deployment(override_spec(planned, tree, "deployment", scenario), scenario),
    )
