"""Reports from templates: Jinja2, with the project's way of writing numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sim.utils.format import format_interval, format_number, join_words, percent

if TYPE_CHECKING:
    from jinja2 import Environment


def environment(folder: Path) -> Environment:
    """Return the environment in which the templates of a folder are rendered.

    A name that a template uses and nobody gives is an error.

    Raises:
        ImportError: Jinja2 is not installed.
    """
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "percent": percent,
        "number": format_number,
        "interval": format_interval,
        "join_words": join_words,
    }
    return made


def render(template: Path, values: Mapping[str, object]) -> str:
    """Render a template.

    Raises:
        ImportError: Jinja2 is not installed.
        ValueError: One line: the template, the line in it, and what is wrong.
    """
    made = environment(template.parent)
    import jinja2

    try:
        return made.get_template(template.name).render(values)
    except (jinja2.TemplateError, TypeError, ValueError) as error:
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
