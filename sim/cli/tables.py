"""The tables that commands print: of a run, of a sweep, and those of studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from sim.analysis.summary import in_few_agents
from sim.cli.console import out
from sim.plots.style import short_key
from sim.utils.format import DASH, count_of, format_decimal, format_levels, format_number

if TYPE_CHECKING:
    from sim.sweeps.result import Sweep

Band = dict[str, float] | None


def emergence_table(summary: dict[str, Any]) -> RenderableType:
    """Return the closing table of an emergence run, from `sim.analysis.summary.summarise`."""
    run = summary["run"]
    contexts = Table(
        "context",
        Column("stake", justify="right"),
        Column("gaming rate", justify="right"),
        Column("instr.", justify="right"),
        Column("onset", justify="right"),
        Column("gap", justify="right"),
        title=f"{run['scenario']}: {count_of(run['agents'], 'agent')}, "
        f"{count_of(run['steps'], 'step')}, seed {run['seed']}, engine {run['engine']}",
        title_justify="left",
        caption="Medians over agents. Stake: utility that it foresees to lose to training, at the "
        "start. Instr.: instrumental gaming, owed to the incentive and not to habit alone, at the "
        "end. Onset: the step from which the rate stays at 0.5 or above, and in how many agents. "
        "Gap: rewarded response here minus in the twin, at the end.",
        caption_justify="left",
    )
    for name, numbers in summary["contexts"].items():
        contexts.add_row(
            name if numbers["kind"] == "training" else f"{name} ({numbers['kind']})",
            _median(numbers["stake_start"]),
            f"{_median(numbers['gaming_rate_start'])} → {_median(numbers['gaming_rate_end'])}",
            _median(numbers["instrumental_gaming_end"]),
            _onset(numbers["onset"]),
            _median(numbers["compliance_gap_end"]),
        )
    values = Table("value", Column("strength", justify="right"))
    for name, numbers in summary["values"].items():
        values.add_row(name, f"{_median(numbers['start'])} → {_median(numbers['end'])}")
    agents = Table("at the end of training", Column("median [10 %, 90 %]", justify="right"))
    for name, numbers in summary["agents"].items():
        agents.add_row(name.replace("_", " "), _band(numbers))
    agents.add_row("regime", _regimes(summary))
    return Group(contexts, values, agents)


def _regimes(summary: dict[str, Any]) -> str:
    """Return the regimes that there are, the most frequent first, and whether they last."""
    shares = sorted(summary["regimes"].items(), key=lambda item: -item[1])
    text = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares if share > 0.0)
    if summary["settled"] < 1.0:
        text += f" ({100 * (1.0 - summary['settled']):.0f} % not settled)"
    return text


def _median(numbers: Band) -> str:
    return format_decimal(None if numbers is None else numbers["median"])


def _band(numbers: Band) -> str:
    if numbers is None:
        return DASH
    low, high = (format_decimal(numbers[end]) for end in ("low", "high"))
    return f"{_median(numbers)} [{low}, {high}]"


def _onset(onset: dict[str, Any]) -> str:
    share = onset["share_of_agents"]
    if share == 0.0:
        return "never"
    if in_few_agents(onset):
        return f"in {100 * share:.0f} %"
    return (
        f"{onset['median']:.0f}" if share == 1.0 else f"{onset['median']:.0f} ({100 * share:.0f} %)"
    )


#: A table has at most so many rows.
MOST_ROWS = 24
MEASURES = ("reach", "alignment", "deployment_conduct")
#: Text of so many characters stays on one line of a table of a study.
MAXIMUM_UNBROKEN = 32
#: Levels of an axis are broken at so many characters, so that the numbers of a sweep stay in sight.
MAXIMUM_LEVEL = 24


def sweep_table(sweep: Sweep) -> RenderableType:
    """Return the closing table of a sweep: its runs by as many axes as fit, medians over them."""
    axes = [axis for axis in sweep.axes if axis != "seed"]
    while True:
        frame = _medians(sweep, axes)
        levels = {axis: format_levels(frame[axis].tolist()) for axis in axes}
        columns = _level_columns(levels)
        if not axes or (len(frame) <= MOST_ROWS and columns):
            break
        axes.pop()
    pooled = [short_key(axis) for axis in sweep.axes if axis not in axes]
    table = Table(
        *columns,
        *(_column(name) for name in ("runs", "failed", *MEASURES)),
        title=f"runs: {int(frame['runs'].sum()):,}, engine: {sweep.described['engine']}",
        title_justify="left",
        caption="At the end of training; medians over runs."
        + (f" Taken together: {', '.join(pooled)}." if pooled else ""),
        caption_justify="left",
    )
    for place, row in enumerate(frame.to_dict("records")):
        table.add_row(
            *(Text(levels[axis][place]) for axis in axes),
            f"{row['runs']:,}",
            f"{row['failed']:,}" if row["failed"] else DASH,
            *(format_decimal(row[name]) for name in MEASURES),
        )
    return table


def _level_columns(levels: Mapping[str, Sequence[str]]) -> list[Column]:
    """Return columns for the levels of axes beside those of numbers; none where they do not fit.

    Where it is narrow, long levels and titles go on in lines of their own.
    """
    titles = {axis: short_key(axis) for axis in levels}
    whole = {a: max(len(titles[a]), *map(len, texts)) for a, texts in levels.items()}
    narrow = {
        a: max(min(len(titles[a]), 10), min(max(map(len, texts)), MAXIMUM_UNBROKEN // 2))
        for a, texts in levels.items()
    }
    reserved = sum(3 + (_column(name).min_width or 0) for name in ("runs", "failed", *MEASURES))
    for widths in (whole, narrow):
        if sum(3 + width for width in widths.values()) + reserved < out.width:
            return [Column(titles[a], width=widths[a], overflow="fold") for a in levels]
    return []


def _column(name: str) -> Column:
    """Return a column of numbers, whose heading may break between words and nowhere else."""
    words = name.split("_")
    return Column(" ".join(words), justify="right", min_width=max(map(len, words)))


def _medians(sweep: Sweep, axes: list[str]) -> pd.DataFrame:
    """Return a row for each combination of levels, in the order of the runs."""
    keys = [sweep.column("design", axis) for axis in axes]
    medians = [f"median({name}) as {name}" for name in MEASURES]
    columns = [*keys, "count(*) as runs", "count(error) as failed", *medians]
    grouped = f"group by {', '.join(keys)}" if keys else ""
    return sweep.query(
        f"select {', '.join(columns)} from design join summary using (run) "
        f"{grouped} order by min(run)"
    )


def show_tables(
    tables: Mapping[str, pd.DataFrame], columns: Mapping[str, Sequence[str]] | None
) -> None:
    """Print tables to the terminal.

    Args:
        tables: By name.
        columns: Which columns of which tables; None: all of all.
    """
    for name, table in tables.items():
        if columns is None:
            out.print(terminal_table(name, table))
        elif name in columns:
            out.print(terminal_table(name, table[list(columns[name])]))


def terminal_table(name: str, frame: pd.DataFrame) -> Table:
    """Lay a table out for a terminal, numbers to the right."""
    heads = []
    for column in frame.columns:
        title = str(column).replace("_", " ")
        cells = [str(cell) for cell in frame[column]]
        is_text = not pd.api.types.is_numeric_dtype(frame[column])
        heads.append(
            Column(
                title,
                justify="left" if is_text else "right",
                min_width=max(map(len, title.split())),  # titles break between words only
                no_wrap=is_text and max(map(len, cells), default=0) <= MAXIMUM_UNBROKEN,
            )
        )
    table = Table(*heads, box=SIMPLE, title=name.replace("_", " "), title_justify="left")
    for row in frame.itertuples(index=False):
        table.add_row(*map(format_cell, row))
    return table


def format_cell(value: Any) -> str:
    """Write a cell of a table: numbers with three digits, a dash for what there is not."""
    if value is None:
        return DASH
    if isinstance(value, str | bool) or not hasattr(value, "__float__"):
        return str(value)
    return format_number(value)
