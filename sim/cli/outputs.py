"""What a command leaves behind: each file whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.utils.files import atomic_write

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def write_json(path: Path, data: Mapping[str, Any]) -> Path:
    """Write JSON; numbers that are not defined (nan) become null.

    Raises:
        ValueError: There is a number in it that JSON does not have (inf).
    """
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")
    return path


def none_if_not_finite(number: Any) -> float | None:
    """Return a number as JSON has it: None for what is not defined, or infinite."""
    return float(number) if math.isfinite(number) else None


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as JSON has them: null for what is not defined, or infinite."""
    return [
        {
            str(name): None if isinstance(x, float) and not math.isfinite(x) else x
            for name, x in row.items()
        }
        for row in frame.to_dict("records")
    ]


def write_frame(path: Path, frame: pd.DataFrame) -> Path:
    """Write a table as CSV."""
    with atomic_write(path) as part:
        frame.to_csv(part, index=False)
    return path


def write_figure(path: Path, figure: Figure) -> list[Path]:
    """Write a figure as `path`.png and `path`.svg, laid out alike."""
    from sim.plots.style import house_style

    written = []
    for form in ("png", "svg"):
        target = path.with_suffix(f".{form}")
        metadata = {"Date": None} if form == "svg" else None
        with house_style(), atomic_write(target) as part:
            figure.savefig(part, format=form, metadata=metadata)
            figure.set_layout_engine(None)  # it is laid out, which takes as long as drawing it
        written.append(target)
    return written
