"""Outcomes that come of several arms of the same cases, under the name `derived.OUTCOME`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import pandas as pd

from sim.sweeps.design import Numbers

from .appearances import APPEARANCES

Cases = Mapping[str, pd.DataFrame]


class Derived(NamedTuple):
    """An outcome of several arms: which arms, and how it comes of them [cases]."""

    arms: tuple[str, ...]
    of: Callable[[Cases], Numbers]


#: By name.
DERIVED: dict[str, Derived] = {name: Derived(*parts) for name, parts in APPEARANCES.items()}


def derive(names: Iterable[str], cases: Cases) -> pd.DataFrame:
    """Return derived outcomes, a column each, a row for each case."""
    index = cases["drawn"].index
    return pd.DataFrame({name: DERIVED[name].of(cases) for name in names}, index=index)
