"""Reports from templates: Jinja2, with the project's way of writing numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sim.utils.format import join_words, percent, shown

if TYPE_CHECKING:
    from jinja2 import Environment

#: What stands for a number that there is not.
DASH = "–"


def format_percent(share: float | None) -> str:
    """Write a share in per cent: `12 %`; a dash for none."""
    return DASH if is_missing(share) else percent(float(share or 0.0))


def format_number(number: float | None, digits: int | None = None) -> str:
    """Write a number with so many digits after the point; a dash for none.

    Args:
        number: The number.
        digits: After the point; None: three significant ones, whole numbers whole.
    """
    if number is None or is_missing(number):
        return DASH
    if math.isinf(number):
        return "∞" if number > 0 else "−∞"
    if digits is None:
        size = abs(number)
        if isinstance(number, int) or size >= 1000 or number == round(number):
            digits = 0
        elif size < 1e-4:
            return f"{number:.1e}".replace("-", "−")
        else:
            digits = 2 - math.floor(math.log10(size))
    return shown(number, max(digits, 0))


def format_interval(ends: Sequence[float | None], digits: int | None = None) -> str:
    """Write an interval from its two ends: `0.12 to 0.34`."""
    low, high = ends
    return f"{format_number(low, digits)} to {format_number(high, digits)}"


def is_missing(number: float | None) -> bool:
    """Say whether there is no number: None or nan."""
    return number is None or math.isnan(number)


def join_list(words: Sequence[object], last: str = "and") -> str:
    """Write words one after the other, `last` before the last: `a, b and c`."""
    return join_words([str(word) for word in words], last) if words else ""


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
        "percent": format_percent,
        "number": format_number,
        "interval": format_interval,
        "join_words": join_list,
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
