"""What several arms of the same cases give together, and facts taken from other cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from sim.sweeps.design import Numbers

Cases = Mapping[str, pd.DataFrame]
#: Cases are drawn independently: a fact of the case so many places on is as good as a random one.
STRIDE = 1009


class Derived(NamedTuple):
    """An outcome of several arms: which arms, and how it comes of them [cases]."""

    arms: tuple[str, ...]
    of: Callable[[Cases], Numbers]


def elsewhere(column: pd.Series | Numbers, place: int = 1) -> Numbers:
    """Return a number as it is in other cases, each case taking it from one [cases].

    Numbers of one `place` are of the same other case.
    """
    return np.roll(np.asarray(column, np.float64), place * STRIDE)
