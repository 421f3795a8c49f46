"""Outcomes that come of several arms of the same cases, under the name `derived.OUTCOME`."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from .appearances import APPEARANCES
from .definitions import DEFINED
from .information import INFORMATION
from .regret import REGRET
from .several import Cases, Derived

#: By name.
DERIVED: dict[str, Derived] = {**APPEARANCES, **DEFINED, **REGRET, **INFORMATION}


def derive(names: Iterable[str], cases: Cases) -> pd.DataFrame:
    """Return derived outcomes, a column each, a row for each case."""
    index = cases["drawn"].index
    return pd.DataFrame({name: DERIVED[name].of(cases) for name in names}, index=index)
