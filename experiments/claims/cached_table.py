"""Tables that a study made before, where it has no sweep whose store would keep them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sim.result import versions
from sim.utils.files import atomic_write


def cached_table(
    place: Path | None, depends_on: Mapping[str, Any], make: Callable[[], pd.DataFrame]
) -> pd.DataFrame:
    """Return a table that was made before; else make it, and keep it.

    A file that cannot be read, or that belongs to something else, is made again.

    Args:
        place: The folder where tables are kept; None: nowhere.
        depends_on: Everything that the table follows from, as JSON has it. The version of this
            project comes to it.
        make: Makes the table: numbers only.
    """
    if place is None:
        return make()
    said = {**depends_on, "version": versions()["training-gaming-sim"]}
    text = json.dumps(said, sort_keys=True)
    path = place / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["depends_on"] == json.loads(text):
            return pd.DataFrame(found["table"], dtype=float)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    table = make()
    place.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part:
        # JSON has no nan; null is read as one.
        columns = table.astype(object).where(table.notna(), None).to_dict("list")
        part.write_text(json.dumps({"depends_on": said, "table": columns}), encoding="utf-8")
    return table
