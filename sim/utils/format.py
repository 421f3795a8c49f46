"""How numbers and lists of words are written in tables, figures and reports."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

#: Stands for a number that there is not.
DASH = "–"
#: Characters that act on a terminal, or that no file of text has; not the end of a line, or a tab.
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def printable(text: object) -> str:
    """Write text from data with its control characters escaped."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], str(text))


def safe_name(text: str) -> str:
    """Write a name as part of a file's, on any system: `A_B test_ what if_`."""
    return re.sub(r"[^\w .+-]", "_", text)[:60].strip(" .") or "unnamed"


def format_number(number: float | None, digits: int | None = None) -> str:
    """Write a number with thousands set apart and a true minus sign; a dash for none, or nan.

    Without digits after the point: three significant ones, and whole numbers whole.
    """
    if number is None or math.isnan(number):
        return DASH
    if math.isinf(number):
        return "∞" if number > 0 else "−∞"
    if digits is None:
        size = abs(number)
        if isinstance(number, int) or size >= 1000 or number == round(number):
            digits = 0
        elif size < 1e-4:
            return with_minus(f"{number:.1e}")
        else:
            digits = 2 - math.floor(math.log10(size))
    return shown(number, max(digits, 0))


def short_number(number: float) -> str:
    """Write a number for a figure: two significant digits, more if it is whole; a dash for nan."""
    if not math.isfinite(number):
        return format_number(number)
    if abs(number) >= 100.0:
        return shown(number, 0)
    text = f"{float(f'{number:.2g}'):.12f}".rstrip("0").rstrip(".")
    return with_minus("0" if text == "-0" else text)


def shown(number: float | None, digits: int = 1) -> str:
    """Write a number with so many digits after the point, whatever its size; a dash for none."""
    return DASH if number is None else with_minus(f"{round(number, digits) + 0.0:,.{digits}f}")


def signed(number: float, digits: int = 2) -> str:
    """Write a number with its sign; one that rounds to 0 without."""
    text = format_number(number, digits)
    return f"+{text}" if round(number, digits) > 0 else text


def format_decimal(number: float | None, digits: int = 2) -> str:
    """Write a number for a terminal, with an ASCII minus sign; a dash for none."""
    return DASH if number is None or math.isnan(number) else f"{number:.{digits}f}"


def format_levels(levels: Sequence[object], *, digits: int = 6) -> list[str]:
    """Write levels of one axis, without what rounding left of a number; a dash for none, or nan.

    They have so many digits, or as many more as tell them apart.
    """
    sizes = [abs(level) for level in levels if isinstance(level, float) and math.isfinite(level)]
    different = {level for level in levels if level is not None and level == level}
    for least in (1e-12 * max(sizes, default=0.0), 0.0):
        for enough in range(digits, 17):
            texts = [_level_text(level, f".{enough}g", least) for level in levels]
            if len(set(texts) - {DASH}) == len(different):
                return texts
    return [_level_text(level, "", 0.0) for level in levels]


def _level_text(level: object, form: str, least: float) -> str:
    if level is None or level != level:
        return DASH
    if not isinstance(level, float):
        return str(level)
    return format(0.0 if abs(level) <= least else level, form)


def with_minus(text: str) -> str:
    """Return the text of a number with a true minus sign."""
    return text.replace("-", "−")


def percent(share: float | None) -> str:
    """Write a share in whole per cent, in tenths where it is small and not 0; a dash for none."""
    if share is None or math.isnan(share):
        return DASH
    return f"{100 * share:.0f} %" if share >= 0.0095 or share == 0.0 else f"{100 * share:.1f} %"


def format_interval(ends: Sequence[float | None], digits: int | None = None) -> str:
    """Write an interval from its two ends: `0.12 to 0.34`; a dash where there is none."""
    low, high = (format_number(end, digits) for end in ends)
    return DASH if low == high == DASH else f"{low} to {high}"


def join_words(names: Sequence[object], last: str = "and") -> str:
    """Write names one after the other, with a word before the last: `a, b and c`."""
    words = [str(name) for name in names]
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def count_of(number: int, thing: str) -> str:
    """Write how many there are of a thing: `1 run`, `1,024 runs`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def span(counts: Sequence[int]) -> str:
    """Write counts as from the least to the most: `3 to 1,024`, `7`, or `none`."""
    low, high = min(counts), max(counts)
    if low == high:
        return f"{low:,}" if low else "none"
    return f"{low:,} to {high:,}"
