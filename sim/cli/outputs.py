"""What a command leaves behind: JSON, tables, figures and reports, each whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.cli.console import err, prepare_shard
from sim.cli.errors import FAILED, Stopped
from sim.utils.files import atomic_write
from sim.utils.format import (
    count_of,
    format_interval,
    format_number,
    join_words,
    percent,
    printable,
    safe_name,
)
from sim.utils.progress import part_of, parts_of, rest_of

if TYPE_CHECKING:
    import pandas as pd
    from jinja2 import Environment
    from matplotlib.figure import Figure

    from sim.sweeps.executors import Executor
    from sim.sweeps.plan import Plan
    from sim.sweeps.result import Sweep

#: What templates of reports can do to numbers and lists, by name.
FILTERS = {
    "count_of": count_of,
    "percent": percent,
    "number": format_number,
    "interval": format_interval,
    "join_words": join_words,
}


def write_json(path: Path, data: Mapping[str, Any]) -> Path:
    """Write JSON; numbers that are not defined (nan) become null.

    Raises:
        ValueError: There is a number in it that JSON does not have (inf).
    """
    text = json.dumps(_with_nulls(data), indent=2, allow_nan=False) + "\n"
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")
    return path


def _with_nulls(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _with_nulls(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_with_nulls(value) for value in data]
    return None if isinstance(data, float) and math.isnan(data) else data


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

    paths = []
    for form in ("png", "svg"):
        target = path.with_suffix(f".{form}")
        metadata = {"Date": None} if form == "svg" else None
        with house_style(), atomic_write(target) as part:
            figure.savefig(part, format=form, metadata=metadata)
            figure.set_layout_engine(None)  # it is laid out, which takes as long as drawing it
        paths.append(target)
    return paths


def environment(folder: Path) -> Environment:
    """Return the environment of Jinja2 in which the templates of a folder are rendered.

    A name that a template uses and nobody gives is an error.

    Raises:
        ImportError: Jinja2 is not installed.
    """
    import jinja2

    jinja = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: printable(value) if isinstance(value, str) else value,
    )
    jinja.filters |= FILTERS
    return jinja


def render(template: Path, values: Mapping[str, object]) -> str:
    """Render a template.

    Raises:
        ImportError: Jinja2 is not installed.
        ValueError: One line: the template, the line in it, and what is wrong.
    """
    jinja = environment(template.parent)
    from jinja2 import TemplateError

    try:
        return jinja.get_template(template.name).render(values)
    except (TemplateError, TypeError, ValueError) as error:
        line = getattr(error, "lineno", None) or line_of(template.name, error)
        raise ValueError(f"{template}: line {line}: {error}") from None


def line_of(name: str, error: Exception) -> int | str:
    """Return the line of a template in which an error came up."""
    line: int | str = "?"
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith(name):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


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
        err.print(line, soft_wrap=True, highlight=False)
        return False
    except ValueError as error:
        raise Stopped(f"{error}; all but the report is in {directory}", FAILED) from None
    with atomic_write(directory / "report.md") as part:
        part.write_text(text, encoding="utf-8")
    return True


def run_stored(
    plans: Mapping[str, Plan],
    store: str | None,
    *,
    prefix: str = "",
    executor: Executor | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Sweep]:
    """Run the plans of a study, each kept below `store` by its name and id; None: kept nowhere.

    Args:
        plans: By name.
        store: A directory for all of them.
        prefix: Of the names of their directories.
        executor: Computes the sweeps.
        progress: Called with the share that is done.
    """
    from sim.sweeps.store import Store
    from sim.sweeps.sweep import run_plan

    places = {
        name: None if store is None else f"{store}/{safe_name(prefix + name)}-{plan.id}"
        for name, plan in plans.items()
    }
    # What was done before counts first, as the time left is told by the speed from there on.
    shares = [
        0.0 if place is None else Store(place).finished_share(plans[name])
        for name, place in places.items()
    ]
    work = [plan.agent_steps for plan in plans.values()]
    before = [steps * share for steps, share in zip(work, shares, strict=True)]
    new = [steps - old + 1e-9 for steps, old in zip(work, before, strict=True)]
    reports = parts_of(part_of(progress, sum(before) / max(sum(work), 1), 1.0), new)
    if reports:
        reports[0](0.0)
    return {
        name: run_plan(
            plan,
            store=places[name],
            executor=executor,
            progress=rest_of(report, share),
            prepare=prepare_shard,
        )
        for (name, plan), report, share in zip(plans.items(), reports, shares, strict=True)
    }


def runs_table(plans: Mapping[str, Plan], sweeps: Mapping[str, Sweep]) -> pd.DataFrame:
    """Return how many runs each part of a study has, was found to have, and could not finish."""
    import pandas as pd

    rows = [(name, plans[name].runs, s.resumed, s.failed) for name, s in sweeps.items()]
    return pd.DataFrame(rows, columns=["part", "runs", "resumed", "failed"])
