"""Emergence curves of a sweep, by any of its axes: quantiles over runs and agents, and differences.

They are queries of the sweep's store through DuckDB, which reads only the columns that it needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

import numpy as np
import pandas as pd

from sim.specs.errors import SpecError, nearest
from sim.sweeps.design import level_label
from sim.sweeps.result import Sweep

#: Quantiles of the band: its ends, around the median.
BAND = (0.1, 0.5, 0.9)
#: At most this many levels of an axis are drawn as lines.
MOST_LEVELS = 6
#: A figure has at most so many variables, panels, and panels beside each other.
MOST_VARIABLES = 6
MOST_PANELS = 16
MOST_BESIDE = 4


@dataclass(frozen=True)
class CurveChoice:
    """A choice of the curves of a sweep that are drawn.

    Attributes:
        variables: Columns or variables; empty for the contexts in which most is gamed.
        lines: The axis whose levels are lines; None for the first that is free.
        panels: The axis whose levels are panels; None, with no `lines` either, for the scenario, or
            else the next that has few levels.
        where: Axes that are fixed, and the level of each.
        difference: The axis whose effect is shown, by paired runs; None for the curves themselves.
        baseline: The level of that axis which others are compared with; None for the first.
    """

    variables: Sequence[str] = ()
    lines: str | None = None
    panels: str | None = None
    where: Mapping[str, object] = field(default_factory=dict)
    difference: str | None = None
    baseline: object = None


def check_choice(sweep: Sweep, choice: CurveChoice) -> CurveChoice:
    """Return a choice with columns for variables, and an axis for the lines.

    Raises:
        SpecError: The sweep has no such variable, axis or level.
    """
    axes = [axis for axis in sweep.axes if axis != "seed"]
    difference, baseline = choice.difference, choice.baseline
    for name in ("lines", "panels", "difference"):
        key = getattr(choice, name)
        if key is not None and key not in axes:
            raise SpecError(f"{name}: {key!r} is no axis of this sweep; {nearest(key, axes)}")
        if key is not None and key in choice.where:
            raise SpecError(f"where: {key!r} is fixed, and has the {name}, too")
    for key, level in choice.where.items():
        if key not in sweep.axes:
            raise SpecError(f"where: {key!r} is no axis of this sweep; {nearest(key, sweep.axes)}")
        _check_level("where", key, level, levels_of(sweep, key))
    if difference is None and baseline is not None:
        raise SpecError("baseline: is of a difference=AXIS, and none is given")
    if difference is not None and choice.lines not in (None, difference):
        raise SpecError("lines: the lines of a difference are the levels of its own axis")
    lines = difference or choice.lines
    if lines is not None and lines == choice.panels:
        raise SpecError(f"panels: {lines!r} has the lines already")
    if difference is not None and baseline is not None:
        _check_level("baseline", difference, baseline, levels_of(sweep, difference))
    if lines is None and choice.panels is None:
        choice = replace(choice, panels=_free_panels(sweep, choice.where))
    variables = columns_of(sweep, choice.variables)
    if len(variables) > MOST_VARIABLES:
        raise SpecError(
            f"variables: {len(variables)} curves are too many for one figure (at most "
            f"{MOST_VARIABLES}); name some of {', '.join(variables[:MOST_VARIABLES])}, ..."
        )
    if lines is None:
        free = (axis for axis in _line_axes(sweep, choice.where) if axis != choice.panels)
        lines = next(free, None)
    return replace(choice, variables=variables, lines=lines)


def curve_table(sweep: Sweep, choice: CurveChoice) -> pd.DataFrame:
    """Return the rows that are drawn for a checked choice, with a few levels of each axis.

    Columns as `quantile_curves`. Without variables, the contexts in which most is gamed, of each
    scenario where these are the panels.

    Raises:
        SpecError: There is nothing to draw.
    """
    if choice.panels == "scenario" and not choice.variables:
        scenarios = thin_levels(levels_of(sweep, "scenario"), maximum=MOST_PANELS)
        count = 3 if len(scenarios) <= MOST_BESIDE else 1
        worlds = [{**choice.where, "scenario": scenario} for scenario in scenarios]
        frame = pd.concat([_rows(sweep, choice, fixed, count) for fixed in worlds])
    else:
        frame = _rows(sweep, choice, choice.where, 3)
    if frame.empty:
        why = "no run has come to an end"
        if choice.difference is not None:
            why += f", or no two that differ in {choice.difference} alone; variables=[reach] may do"
        raise SpecError(f"curves: there is nothing to draw: {why}")
    for key, maximum in ((choice.lines, MOST_LEVELS), (choice.panels, MOST_PANELS)):
        if key is not None:
            present = set(frame[key])
            levels = [level for level in levels_of(sweep, key) if level in present]
            order = {x: place for place, x in enumerate(thin_levels(levels, maximum=maximum))}
            frame = frame[frame[key].isin(list(order))]
            frame = frame.sort_values(key, key=lambda c, order=order: c.map(order), kind="stable")
    return frame


def _rows(
    sweep: Sweep, choice: CurveChoice, fixed: Mapping[str, object], count: int
) -> pd.DataFrame:
    """Return quantiles where axes are fixed, of so many contexts if no variables are chosen."""
    variables = choice.variables or most_gamed(sweep, count, fixed=fixed)
    by = [key for key in (choice.lines, choice.panels) if key is not None]
    grouping: dict[str, Any] = {"by": by, "fixed": fixed}
    if choice.difference is None:
        return quantile_curves(sweep, variables, **grouping)
    axis, baseline = choice.difference, choice.baseline
    return paired_differences(sweep, variables, axis=axis, baseline=baseline, **grouping)


def quantile_curves(
    sweep: Sweep,
    variables: Sequence[str],
    *,
    by: Sequence[str] = (),
    fixed: Mapping[str, object] | None = None,
    band: tuple[float, float, float] = BAND,
) -> pd.DataFrame:
    """Return quantiles over the agents of all runs that agree in some axes.

    Args:
        sweep: A sweep that kept curves.
        variables: Columns of its curves (`reach`, `gaming_rate.coding`); see `columns_of`.
        by: Axes; runs that differ in others, and in the seed, are pooled.
        fixed: Axes that are fixed, and the level of each.
        band: The quantiles.

    Returns:
        A row for each combination of levels, step and variable: the axes, `step`, `variable`,
        `low`, `median`, `high`, and `runs`, the number of runs behind it.

    Raises:
        SpecError: The sweep has no such column or axis, or kept no curves.
    """
    grouped = ", ".join([*(sweep.column("design", key) for key in dict.fromkeys(by)), "step"])
    sql = (
        f"select {grouped}, quantile_cont({{column}}, {list(band)}) as q, "
        "count(distinct run) as runs "
        "from (select run, step, {column} from curves) join design using (run) "
        f"where {{column}} is not null{_fixing(sweep, fixed)} group by {grouped} order by {grouped}"
    )
    return _by_variable(sweep, variables, sql, _labels(fixed))


def paired_differences(
    sweep: Sweep,
    variables: Sequence[str],
    *,
    axis: str,
    baseline: object = None,
    by: Sequence[str] = (),
    fixed: Mapping[str, object] | None = None,
) -> pd.DataFrame:
    """Return the effect of an axis, between runs that share their seed and all other axes.

    Such runs share every random draw, so the difference is due to the axis, and not to chance. It
    is that between the medians of their agents; quantiles are over pairs of runs.

    Args:
        sweep: A sweep that kept curves.
        variables: Columns of its curves.
        axis: The axis.
        baseline: The level that others are compared with; the first if None.
        by: Other axes, by which pairs are grouped.
        fixed: Other axes that are fixed, and the level of each.

    Returns:
        As `quantile_curves`, with the level of the axis that was compared, and `runs` for pairs.

    Raises:
        SpecError: As `quantile_curves`, or the axis has no such level.
    """
    key, levels = sweep.column("design", axis), levels_of(sweep, axis)
    baseline = levels[0] if baseline is None else level_label(baseline)
    _check_level("baseline", axis, baseline, levels)
    shared = [sweep.column("design", name) for name in (*sweep.axes, "seed") if name != axis]
    pairs = [(f"a.{column}", f"b.{column}") for column in dict.fromkeys(shared)]
    equal = [f"{first} is not distinct from {second}" for first, second in pairs]
    condition = " and ".join(["a.step = b.step", *equal])
    groups = [f"b.{sweep.column('design', name)}" for name in dict.fromkeys(by) if name != axis]
    grouped = ", ".join([f"b.{key}", *groups, "b.step"])
    sql = (
        "with medians as (select run, step, median({column}) as x from curves "
        "group by run, step), points as (select * from medians join design using (run)) "
        f"select {grouped}, quantile_cont(b.x - a.x, {list(BAND)}) as q, "
        "count(distinct b.run) as runs "
        f"from points a join points b on {condition} "
        f"where a.{key} = ? and b.{key} <> ? and a.x is not null and b.x is not null"
        f"{_fixing(sweep, fixed, 'b.')} group by {grouped} order by {grouped}"
    )
    return _by_variable(sweep, variables, sql, [baseline, baseline, *_labels(fixed)])


def columns_of(sweep: Sweep, names: Sequence[str]) -> list[str]:
    """Return the columns of a sweep's curves by names of columns or variables.

    A variable stands for all its columns (`gaming_rate` for that of every context).

    Raises:
        SpecError: There is no such column or variable.
    """
    allowed = [name for name in sweep.columns("curves") if name not in ("run", "step", "rank")]
    columns = []
    for name in names:
        matching = [column for column in allowed if column == name or column.startswith(f"{name}.")]
        if not matching:
            variables = {column.split(".")[0] for column in allowed}
            raise SpecError(f"variables: got {name!r}: {nearest(name, variables)}")
        columns += matching
    return list(dict.fromkeys(columns))


def most_gamed(sweep: Sweep, count: int, *, fixed: Mapping[str, object] | None = None) -> list[str]:
    """Return the gaming rates with the highest mean over runs at any step, the highest first.

    Contexts that no run has, of those in which some axes are fixed, are left out.
    """
    columns = columns_of(sweep, ["gaming_rate"])
    means = ", ".join(f"avg({sweep.column('curves', column)})" for column in columns)
    source, values = "curves", _labels(fixed)
    if fixed:
        source += f" join design using (run) where true{_fixing(sweep, fixed)}"
    highest = sweep.query(f"select {means} from {source} group by step", values).max()
    rates = highest.to_numpy(float, na_value=np.nan)
    order = np.argsort(-np.nan_to_num(rates, nan=-1.0), kind="stable")
    present = [place for place in order if not np.isnan(rates[place])]
    return [columns[place] for place in (present or order)[:count]]


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


def phases_of(sweep: Sweep, fixed: Mapping[str, object]) -> list[tuple[int, str]]:
    """Return the first step and the name of each phase, if all runs with fixed axes share them."""
    sql = f"select distinct part from design where true{_fixing(sweep, fixed)}"
    parts = sweep.query(sql, _labels(fixed))["part"]
    curricula = [sweep.described["parts"][part]["scenario"]["curriculum"] for part in parts]
    if any(curriculum != curricula[0] for curriculum in curricula):
        return []
    starts = accumulate((phase["length"] for phase in curricula[0]), initial=0)
    return [(start, phase["name"]) for start, phase in zip(starts, curricula[0], strict=False)]


def thin_levels(levels: Sequence[object], *, maximum: int = MOST_LEVELS) -> list[object]:
    """Return at most `maximum` levels, evenly spread, with the first and the last."""
    if len(levels) <= maximum:
        return list(levels)
    places = np.linspace(0, len(levels) - 1, maximum).round().astype(int)
    return [levels[place] for place in places]


def _line_axes(sweep: Sweep, fixed: Mapping[str, object]) -> list[str]:
    """Return the axes that can be lines; scenarios differ in their contexts."""
    return [axis for axis in sweep.axes if axis not in ("seed", "scenario", *fixed)]


def _free_panels(sweep: Sweep, fixed: Mapping[str, object]) -> str | None:
    """Return the scenario, or else the second axis that is free and has few levels."""
    if "scenario" in sweep.axes and "scenario" not in fixed:
        return "scenario"
    free = _line_axes(sweep, fixed)[1:]
    return next((axis for axis in free if 1 < len(levels_of(sweep, axis)) <= MOST_BESIDE), None)


def _check_level(name: str, key: str, level: object, levels: Sequence[object]) -> None:
    alike = [x for x in levels if isinstance(x, bool) == isinstance(level, bool)]  # true is no 1
    if level_label(level) not in alike:
        allowed = ", ".join(str(allowed) for allowed in levels)
        raise SpecError(f"{name}: got {level!r}: {key} takes {allowed}")


def _labels(fixed: Mapping[str, object] | None) -> list[object]:
    """Return how the tables call the levels at which axes are fixed."""
    return [level_label(level) for level in (fixed or {}).values()]


def _fixing(sweep: Sweep, fixed: Mapping[str, object] | None, table: str = "") -> str:
    """Return the conditions of SQL under which axes are fixed, each with one parameter."""
    return "".join(f" and {table}{sweep.column('design', key)} = ?" for key in fixed or ())


def _by_variable(
    sweep: Sweep, variables: Sequence[str], sql: str, parameters: Sequence[object]
) -> pd.DataFrame:
    """Ask for the quantiles `q` of each variable, whose column is `{column}` in the question."""
    if not variables:
        raise SpecError("variables: at least one is needed")
    frames = []
    for variable in variables:
        question = sql.replace("{column}", sweep.column("curves", variable))
        frame = sweep.query(question, parameters)
        quantiles = np.stack(frame["q"].to_list()) if len(frame) else np.empty((0, 3))
        low, median, high = quantiles.T
        frame = frame.drop(columns="q")
        frames.append(frame.assign(variable=variable, low=low, median=median, high=high))
    return pd.concat(frames, ignore_index=True)
