"""Emergence curves of a sweep, by any of its axes: quantiles over runs and agents, and differences.

Everything is asked of the sweep's store through DuckDB, which reads no more columns than it needs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sim.specs.errors import SpecError, nearest
from sim.sweeps.result import Sweep

#: The band and the median in it.
BAND = (0.1, 0.5, 0.9)
#: More levels than these of a number are thinned in a picture.
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
        by: Axes; runs that differ in others, and in the seed, are taken together.
        band: The quantiles.

    Returns:
        A row for each combination of levels, step and variable: the axes, `step`, `variable`,
        `low`, `median`, `high`, and `runs`, the number of runs behind it.

    Raises:
        SpecError: The sweep has no such column or axis, or kept no curves.
    """
    _check_some(variables)
    keys = [sweep.column("design", key) for key in dict.fromkeys(by)]
    found = []
    for variable in variables:
        column = sweep.column("curves", variable)
        grouped = ", ".join([*keys, "step"])
        frame = sweep.query(
            f"select {grouped}, quantile_cont({column}, {list(band)}) as q, "
            "count(distinct run) as runs "
            f"from (select run, step, {column} from curves) join design using (run) "
            f"where {column} is not null group by {grouped} order by {grouped}"
        )
        found.append(_spread_out(frame, variable))
    return pd.concat(found, ignore_index=True)


def paired_differences(
    sweep: Sweep,
    variables: Sequence[str],
    *,
    of: str,
    baseline: object = None,
    by: Sequence[str] = (),
    band: tuple[float, float, float] = BAND,
) -> pd.DataFrame:
    """Return what an axis changes, between runs that share their seed and all other axes.

    Such runs share every random draw, so the difference is owed to the axis, and not to chance.

    Args:
        sweep: A sweep that kept curves.
        variables: Columns of its curves.
        of: The axis.
        baseline: The level that others are compared with; the first if None.
        by: Other axes, by which pairs are kept apart.
        band: The quantiles, over pairs, of the difference between the medians of their agents.

    Returns:
        As `quantile_curves`, with the level of `of` that was compared, and `runs` for pairs.

    Raises:
        SpecError: As `quantile_curves`, or the axis has no such level.
    """
    _check_some(variables)
    axis = sweep.column("design", of)
    levels = levels_of(sweep, of)
    if baseline is None:
        baseline = levels[0]
    if baseline not in levels:
        told = ", ".join(str(level) for level in levels)
        raise SpecError(f"baseline: got {baseline!r}: {of} takes {told}")
    others = [sweep.column("design", key) for key in (*sweep.axes, "seed") if key != of]
    alike = [f"a.{key} is not distinct from b.{key}" for key in dict.fromkeys(others)]
    same = " and ".join(["a.step = b.step", *alike])
    keys = [f"b.{sweep.column('design', key)}" for key in dict.fromkeys(by) if key != of]
    grouped = ", ".join([f"b.{axis}", *keys, "b.step"])
    found = []
    for variable in variables:
        column = sweep.column("curves", variable)
        frame = sweep.query(
            f"with middle as (select run, step, median({column}) as x from curves "
            "group by run, step), seen as (select * from middle join design using (run)) "
            f"select {grouped}, quantile_cont(b.x - a.x, {list(band)}) as q, "
            "count(distinct b.run) as runs "
            f"from seen a join seen b on {same} "
            f"where a.{axis} = ? and b.{axis} <> ? and a.x is not null and b.x is not null "
            f"group by {grouped} order by {grouped}",
            [baseline, baseline],
        )
        found.append(_spread_out(frame, variable))
    return pd.concat(found, ignore_index=True)


def columns_of(sweep: Sweep, names: Sequence[str]) -> list[str]:
    """Return the columns of a sweep's curves that names stand for.

    A name is a column, or a variable, which stands for its columns (`gaming_rate` for that of
    every context).

    Raises:
        SpecError: A name stands for nothing.
    """
    known = [name for name in sweep.columns("curves") if name not in ("run", "step", "rank")]
    found = []
    for name in names:
        here = [column for column in known if column == name or column.startswith(f"{name}.")]
        if not here:
            variables = {column.split(".")[0] for column in known}
            raise SpecError(f"variables: got {name!r}: {nearest(name, variables)}")
        found += here
    return list(dict.fromkeys(found))


def most_gamed(sweep: Sweep, count: int) -> list[str]:
    """Return the gaming rates of the contexts in which most is gamed at any time, most first."""
    columns = columns_of(sweep, ["gaming_rate"])
    means = ", ".join(f"avg({sweep.column('curves', column)})" for column in columns)
    rates = sweep.query(f"select {means} from curves group by step").max().to_numpy()
    order = np.argsort(-np.nan_to_num(rates), kind="stable")
    return [columns[place] for place in order[:count]]


def levels_of(sweep: Sweep, key: str) -> list[object]:
    """Return what an axis takes, in order; a choice in the order in which it was given.

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


def shown_levels(levels: Sequence[object], *, maximum: int = MOST_LEVELS) -> list[object]:
    """Return at most so many levels, evenly spread, with the first and the last."""
    if len(levels) <= maximum:
        return list(levels)
    places = np.linspace(0, len(levels) - 1, maximum).round().astype(int)
    return [levels[place] for place in places]


def _check_some(variables: Sequence[str]) -> None:
    if not variables:
        raise SpecError("variables: at least one is needed")


def _spread_out(frame: pd.DataFrame, variable: str) -> pd.DataFrame:
    quantiles = np.stack(frame["q"].to_list()) if len(frame) else np.empty((0, 3))
    low, median, high = quantiles.T
    return frame.drop(columns="q").assign(variable=variable, low=low, median=median, high=high)
