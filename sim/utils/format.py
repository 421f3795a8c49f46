"""How numbers and names are written in sentences and tables."""

from __future__ import annotations

from collections.abc import Sequence


def shown(number: float | None, digits: int = 1) -> str:
    """Write a number with a true minus sign; a dash for none."""
    if number is None:
        return "–"
    return f"{round(number, digits) + 0.0:,.{digits}f}".replace("-", "−")


def percent(share: float) -> str:
    """Write a share in whole per cent, or in tenths where it is small and not 0."""
    return f"{100 * share:.0f} %" if share >= 0.0095 or share == 0.0 else f"{100 * share:.1f} %"


def join_words(names: Sequence[str], last: str = "and") -> str:
    """Write names one after the other, with a word before the last."""
    return f" {last} ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def span(counts: Sequence[int]) -> str:
    """Write counts as from the least to the most: `3 to 1,024`, `7`, or `none`."""
    low, high = min(counts), max(counts)
    if low == high:
        return f"{low:,}" if low else "none"
    return f"{low:,} to {high:,}"
