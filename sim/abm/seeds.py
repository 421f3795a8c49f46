"""The seed of a world, from any form that Mesa takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.dynamics.randomness import fresh_seed
from sim.specs.errors import SpecError


def whole_seed(seed: Any, rng: Any) -> int:
    """Return a whole number as it is; of any other seed that NumPy takes, or None, make one.

    Args:
        seed: As it was given by this name; None: it was not.
        rng: The same, by the name that Mesa uses.

    Raises:
        SpecError: Both are given, or it is no seed.
    """
    if seed is not None and rng is not None:
        raise SpecError("seed: is given twice, as seed and as rng")
    given = rng if seed is None else seed
    if isinstance(given, int | np.integer):
        return int(given)
    try:
        return fresh_seed(given)
    except (TypeError, ValueError):
        raise SpecError(f"seed: got {given!r}: must be a whole number of 0 or more") from None
