"""The scenario that all speeds refer to."""

from __future__ import annotations

import random
from typing import Any


def example(contexts: int, values: int, responses: int) -> dict[str, Any]:
    """Return a scenario of a given size, its numbers drawn once and for all."""
    draw = random.Random(0)
    names = [f"v{d}" for d in range(values)]
    options = [f"r{k}" for k in range(responses)]
    return {
        "values": names,
        "human_values": dict.fromkeys(names, 1.0),
        "contexts": {
            f"c{c}": {
                "responses": {r: {name: draw.gauss(0.0, 0.5) for name in names} for r in options},
                "reward": {r: draw.gauss(0.0, 1.0) for r in options},
                "info": draw.random(),
                "scratchpad": draw.random(),
                "cue": draw.gauss(0.0, 1.0),
                "monitor": draw.random(),
            }
            for c in range(contexts)
        },
    }
