"""Emergence curves of a sweep, by any of its axes: quantiles over runs and agents, and differences.

They are queries of the sweep's store through DuckDB, which reads only the columns that it needs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sim.specs.errors import SpecError, nearest
from sim.sweeps.result import Sweep

#: Quantiles of the band: its ends, around the median.
BAND = (0.1, 0.5, 0.9)
#: At most this many levels of an axis are drawn.
MOST_LEVELS = 6


def quantile_curves(
    sweep: Sweep,
    variables: Sequence[str],
    *,
    by: Sequence[str] = (),
    band: tuple[float, float, float] = BAND,
) -> pd.DataFrame:
    """Return quantiles over the agents of all runs that agree in some axes.

    Args:
        sweep: A sweep that kept curves.
        variables: Columns of its curves (`reach`, `gaming_rate.coding`); see `columns_of`.
        by: Axes; runs that differ in others, and in the seed, are pooled.
        band: The quantiles.

    Returns:
        A row for each combination of levels, step and variable: the axes, `step`, `variable`,
        `low`, `median`, `high`, and `runs`, the number of runs behind it.

    Raises:
        SpecError: The sweep has no such column or axis, or kept no curves.
    """
    _check_not_empty(variables)
    keys = [sweep.column("design", key) for key in dict.fromkeys(by)]
    grouped = ", ".join([*keys, "step"])
    frames = []
    for variable in variables:
        column = sweep.column("curves", variable)
        frame = sweep.query(
            f"select {grouped}, quantile_cont({column}, {list(band)}) as q, "
            "count(distinct run) as runs "
            f"from (select run, step, {column} from curves) join design using (run) "
            f"where {column} is not null group by {grouped} order by {grouped}"
        )
        frames.append(_split_quantiles(frame, variable))
    return pd.concat(frames, ignore_index=True)


def paired_differences(
    sweep: Sweep,
    variables: Sequence[str],
    *,
    axis: str,
    baseline: object = None,
    by: Sequence[str] = (),
    band: tuple[float, float, float] = BAND,
) -> pd.DataFrame:
    """Return the effect of an axis, between runs that share their seed and all other axes.

    Such runs share every random draw, so the difference is due to the axis, and not to chance.

    Args:
        sweep: A sweep that kept curves.
        variables: Columns of its curves.
        axis: The axis.
        baseline: The level that others are compared with; the first if None.
        by: Other axes, by which pairs are grouped.
        band: The quantiles, over pairs, of the difference between the medians of their agents.

    Returns:
        As `quantile_curves`, with the level of the axis that was compared, and `runs` for pairs.

    Raises:
        SpecError: As `quantile_curves`, or the axis has no such level.
    """
    _check_not_empty(variables)
    key = sweep.column("design", axis)
    levels = levels_of(sweep, axis)
    if baseline is None:
        baseline = levels[0]
    if baseline not in levels:
        allowed = ", ".join(str(level) for level in levels)
        raise SpecError(f"baseline: got {baseline!r}: {axis} takes {allowed}")
    shared = [sweep.column("design", name) for name in (*sweep.axes, "seed") if name != axis]
    pairs = [(f"a.{column}", f"b.{column}") for column in dict.fromkeys(shared)]
    equal = [f"{first} is not distinct from {second}" for first, second in pairs]
    condition = " and ".join(["a.step = b.step", *equal])
    groups = [f"b.{sweep.column('design', name)}" for name in dict.fromkeys(by) if name != axis]
    grouped = ", ".join([f"b.{key}", *groups, "b.step"])
    frames = []
    for variable in variables:
        column = sweep.column("curves", variable)
        frame = sweep.query(
            f"with medians as (select run, step, median({column}) as x from curves "
            "group by run, step), points as (select * from medians join design using (run)) "
            f"select {grouped}, quantile_cont(b.x - a.x, {list(band)}) as q, "
            "count(distinct b.run) as runs "
            f"from points a join points b on {condition} "
            f"where a.{key} = ? and b.{key} <> ? and a.x is not null and b.x is not null "
            f"group by {grouped} order by {grouped}",
            [baseline, baseline],
        )
        frames.append(_split_quantiles(frame, variable))
    return pd.concat(frames, ignore_index=True)


def columns_of(sweep: Sweep, names: Sequence[str]) -> list[str]:
    """Return the columns of a sweep's curves by names of columns or variables.

    A variable stands for all its columns (`gaming_rate` for that of every context).

    Raises:
        SpecError: There is no such column or variable.
    """
    allowed = [name for name in sweep.columns("curves") if name not in ("run", "step", "rank")]
    columns = []
    for name in names:
        matches = [column for column in allowed if column == name or column.startswith(f"{name}.")]
        if not matches:
            variables = {column.split(".")[0] for column in allowed}
            raise SpecError(f"variables: got {name!r}: {nearest(name, variables)}")
        columns += matches
    return list(dict.fromkeys(columns))


def most_gamed(sweep: Sweep, count: int) -> list[str]:
    """Return the gaming rates with the highest mean over runs at any step, the highest first."""
    columns = columns_of(sweep, ["gaming_rate"])
    means = ", ".join(f"avg({sweep.column('curves', column)})" for column in columns)
    rates = sweep.query(f"select {means} from curves group by step").max().to_numpy()
    order = np.argsort(-np.nan_to_num(rates), kind="stable")
    return [columns[place] for place in order[:count]]


def levels_of(sweep: Sweep, key: str) -> list[object]:
    """Return the levels of an axis, in ascending order; of a choice, in the order of the design.

    Raises:
        SpecError: There is no such axis.
    """
    column = sweep.column("design", key)
    frame = sweep.query(
        f"select {column} as level, min(run) as first from design "
        f"where {column} is not null group by {column}"
    )
    numeric = frame["level"].dtype.kind in "fiu"
    ordered = frame.sort_values("level" if numeric else "first")["level"]
    return [level.item() if hasattr(level, "item") else level for level in ordered]


def thin_levels(levels: Sequence[object], *, maximum: int = MOST_LEVELS) -> list[object]:
    """Return at most `maximum` levels, evenly spread, with the first and the last."""
    if len(levels) <= maximum:
        return list(levels)
    places = np.linspace(0, len(levels) - 1, maximum).round().astype(int)
    return [levels[place] for place in places]


def _check_not_empty(variables: Sequence[str]) -> None:
    if not variables:
        raise SpecError("variables: at least one is needed")


def _split_quantiles(frame: pd.DataFrame, variable: str) -> pd.DataFrame:
    quantiles = np.stack(frame["q"].to_list()) if len(frame) else np.empty((0, 3))
    low, median, high = quantiles.T
    return frame.drop(columns="q").assign(variable=variable, low=low, median=median, high=high)
