"""What a study leaves behind: tables, summary, provenance, figures, report; and what it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.box import SIMPLE
from rich.table import Column, Table

from sim.cli.console import err, out
from sim.cli.errors import FAILED, Stopped
from sim.cli.outputs import records, write_figure, write_frame, write_json
from sim.cli.templates import render
from sim.utils.files import atomic_write
from sim.utils.format import DASH, format_number, join_words

if TYPE_CHECKING:
    from sim.cli.study import Inputs, Study

REPORT = "report.md.j2"
#: Text of so many characters stays on one line of a table in the terminal.
MAXIMUM_UNBROKEN = 32


def write_results(
    directory: Path,
    study: Study,
    inputs: Inputs,
    results: object,
    tables: Mapping[str, pd.DataFrame],
) -> None:
    """Write all that came out of a study, and say last where it is.

    The numbers come first, so that nothing that is wrong with a figure or with the template of the
    report takes them away.

    Args:
        directory: Where to.
        study: The study.
        inputs: What its config said.
        results: What `run` returned.
        tables: What `tables` made of it, each for a file of its own.
    """
    module = study.module
    rows = {name: records(table) for name, table in tables.items()}
    summarise = getattr(module, "summary", None)
    summary = rows if summarise is None else inputs.give(summarise, results)
    for name, table in tables.items():
        write_frame(directory / f"{name}.csv", table)
    write_json(directory / "summary.json", summary)
    write_json(directory / "provenance.json", inputs.describe())
    written = ["numbers"]
    if hasattr(module, "write"):
        inputs.give(module.write, results, directory)
    if study.figures is not None:
        for name, figure in inputs.give(study.figures, results).items():
            write_figure(directory / name, figure)
        written.append("figures")
    if (study.folder / REPORT).exists() and write_report(
        directory,
        study.folder / REPORT,
        specs=inputs.specs,
        settings=inputs.settings,
        tables=rows,
        summary=summary,
        **inputs.optional,
    ):
        written.append("report")
    out.print(f"{join_words(written)}: {directory}", soft_wrap=True, highlight=False, markup=False)


def write_report(directory: Path, template: Path, **values: object) -> bool:
    """Render a report; says in one line how to have it where Jinja2 is missing.

    Returns:
        Whether it was written.

    Raises:
        Stopped: There is a mistake in the template.
    """
    try:
        text = render(template, values)
    except ImportError:
        line = 'no report.md, for want of Jinja2: pip install "training-gaming-sim[studies]"'
        err.print(line, soft_wrap=True, highlight=False, markup=False)
        return False
    except ValueError as error:
        raise Stopped(f"{error}; all but the report is in {directory}", FAILED) from None
    with atomic_write(directory / "report.md") as part:
        part.write_text(text, encoding="utf-8")
    return True


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
        return str(value).replace("[", r"\[")
    return format_number(value)
