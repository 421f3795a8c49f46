"""The study of footnote 3: its run, and the tables of maps, regimes and histories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from sim.cli.outputs import records
from sim.specs.overrides import Specs
from sim.utils.progress import parts_of

from .histories import History, train_points
from .plan import Settings as Settings
from .plan import StudyDesign
from .regimes import HIDDEN, REGIMES, REMOVED, RegimeMap, choose, train_maps
from .visibility import KINDS

#: The columns that the terminal shows.
SHOWN = {
    "maps": ("key", "points", "removed_points", "taught_points", "taught", "verdict"),
    "regimes": ("key", "regime", "share", "gaming", "strength", "reversed", "unwritten", "moving"),
}


@dataclass(frozen=True)
class Results:
    """The two maps, training at chosen points of them, and training of unaware agents."""

    design: StudyDesign
    maps: Sequence[RegimeMap]
    histories: Sequence[History]
    unaware: History


def check(specs: Specs, settings: Settings) -> None:
    """Refuse scenarios with phases or without contexts to penalise, and runs that are refused.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    StudyDesign(specs, settings).check()


def run(
    specs: Specs, settings: Settings, *, progress: Callable[[float], None] | None = None
) -> Results:
    """Train the agents on both maps, and at points of them over training.

    Raises:
        SpecError: As for `check`.
        DivergenceError: Parameters grew out of all bounds.
    """
    design = StudyDesign(specs, settings)
    design.check()
    report_maps, report_points = parts_of(progress, [9.0, 1.0])
    maps = train_maps(design, progress=report_maps)
    *histories, unaware = train_points(design, choose(maps), progress=report_points)
    return Results(design, maps, histories, unaware)


def tables(results: Results) -> dict[str, pd.DataFrame]:
    """Return the tables of points, training, maps, penalties along a row, regimes and cases."""
    maps = results.maps
    return {
        "map": pd.concat(map(points_table, maps), ignore_index=True),
        "training": pd.concat(map(training_table, results.histories), ignore_index=True),
        "maps": pd.DataFrame(map(map_row, maps)),
        "penalties": pd.DataFrame([row for grid in maps for row in penalty_rows(grid)]),
        "regimes": pd.DataFrame(
            [regime_row(grid, regime) for grid in maps for regime in range(len(REGIMES))]
        ),
        "cases": pd.DataFrame(map(case_row, results.histories)),
    }


def points_table(grid: RegimeMap) -> pd.DataFrame:
    """Return a row for each point of a map: shares of agents by regime, means and medians."""
    level, penalty = np.meshgrid(grid.levels, grid.penalties, indexing="ij")
    return pd.DataFrame(
        {
            "key": grid.key,
            "level": level.ravel(),
            "penalty": penalty.ravel(),
            "most": np.array(REGIMES)[grid.most.ravel()],
            **{name: grid.shares[:, :, r].ravel() for r, name in enumerate(REGIMES)},
            "taught": grid.taught.mean(axis=2).ravel(),
            "gaming_rate": grid.gaming.mean(axis=2).ravel(),
            "opaque_part": grid.opaque.mean(axis=2).ravel(),
            "gaming_rate_unwritten": grid.unwritten.mean(axis=2).ravel(),
            "strength": np.median(grid.strength, axis=2).ravel(),
            "moving": grid.moving.mean(axis=2).ravel(),
        }
    )


def training_table(history: History) -> pd.DataFrame:
    """Return a row for each recorded step of a history."""
    return pd.DataFrame(
        {
            "case": history.name,
            "step": history.steps,
            **{k.replace(" ", "_"): history.shares[:, i] for i, k in enumerate(KINDS)},
            "opacity": history.opacity,
            "strength": history.strength,
        }
    )


def map_row(grid: RegimeMap) -> dict[str, Any]:
    """Return how much of a map is removed and taught to hide, and the least level that teaches."""
    row = _row_as_set(grid)
    taught = np.argwhere(grid.teaches)
    level, penalty = taught[0] if len(taught) else (None, None)
    hidden = np.flatnonzero(grid.most[:, 0] == HIDDEN)
    return {
        "key": grid.key,
        "points": int(grid.most.size),
        "level_as_set": float(grid.levels[row]),
        "taught": float(grid.taught.mean()),
        "taught_points": len(taught),
        "removed_points": int((grid.most == REMOVED).sum()),
        "taught_from": np.nan if level is None else float(grid.levels[level]),
        "taught_penalty": np.nan if penalty is None else float(grid.penalties[penalty]),
        "hidden_without_from": float(grid.levels[hidden[0]]) if len(hidden) else np.nan,
        "verdict": verdict([grid]),
    }


def verdict(maps: Sequence[RegimeMap]) -> str:
    """Classify a penalty by its effects on most agents, somewhere on the maps."""
    removes = any((grid.most == REMOVED).any() for grid in maps)
    teaches = any(grid.teaches.any() for grid in maps)
    if removes or teaches:
        return "both" if removes and teaches else "removes" if removes else "teaches to hide"
    never = [REGIMES[r] == "never" for grid in maps for r in grid.most[_row_as_set(grid)]]
    return "never gamed" if all(never) else "neither"


def penalty_rows(grid: RegimeMap) -> list[dict[str, Any]]:
    """Return ranges of penalties and the regime of most agents, at the level of the specs."""
    rows, column = [], 0
    for regime, group in groupby(grid.most[_row_as_set(grid)]):
        count = len(list(group))
        low, high = grid.penalties[column], grid.penalties[column + count - 1]
        rows.append({"key": grid.key, "regime": REGIMES[regime], "from": low, "to": high})
        column += count
    return rows


def _row_as_set(grid: RegimeMap) -> int:
    return int(np.abs(grid.levels - grid.level_as_set).argmin())


def regime_row(grid: RegimeMap, regime: int) -> dict[str, Any]:
    """Return the share of agents in a regime, and their means; nan if there are none."""
    inside = grid.regime == regime
    row = {"key": grid.key, "regime": REGIMES[regime], "share": float(inside.mean())}
    columns = ("strength", "reversed", "gaming", "unwritten", "unwritten_without_penalty", "moving")
    if not inside.any():
        return row | dict.fromkeys(columns, np.nan)
    without = np.broadcast_to(grid.unwritten[:, :1], inside.shape)
    strength = grid.strength[inside]
    means = (
        np.median(strength),
        (strength < 0.0).mean(),
        grid.gaming[inside].mean(),
        grid.unwritten[inside].mean(),
        without[inside].mean(),
        grid.moving[inside].mean(),
    )
    return row | dict(zip(columns, map(float, means), strict=True))


def case_row(history: History) -> dict[str, Any]:
    """Return gaming, opacity and the protected value at the end of a history, and its settings."""
    gaming, end = 1.0 - history.shares[:, -1], history.shares[-1]
    return {
        "case": history.name,
        **history.settings,
        "gaming_most": float(gaming.max()),
        "gaming_end": float(gaming[-1]),
        "opaque_part_end": (end[1] + end[2]) / gaming[-1] if gaming[-1] > 0.005 else np.nan,
        **{kind.replace(" ", "_"): float(end[i]) for i, kind in enumerate(KINDS)},
        "opacity_end": float(history.opacity[-1]),
        "strength_end": float(history.strength[-1]),
    }


def summary(results: Results, specs: Specs, settings: Settings) -> dict[str, Any]:
    """Return settings, contexts, and all tables but those of points and training."""
    design = results.design
    return {
        "scenario": specs.scenario.name,
        "agents": settings.agents,
        "steps": specs.training.steps,
        "watched": list(design.watched),
        "unwritten": list(design.unwritten),
        "value": design.roles.protected,
        "limits": {"gamed": settings.gamed, "opaque": settings.opaque},
        "strength_unaware": float(results.unaware.strength[-1]),
        "verdict": verdict(results.maps),
        **{
            name: records(table)
            for name, table in tables(results).items()
            if name not in ("map", "training")
        },
    }
