"""Errors that a user can mend: one line with the path, the value and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from numbers import Integral


class SpecError(ValueError):
    """An input that cannot be used; the message is one line.

    The command line prints the line and leaves with exit status 2; Python users may catch it as
    a `ValueError`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Return a hint for a word that is not allowed: the nearest right one and the whole list."""
    words = sorted(allowed)
    if not words:
        return "none are defined here"
    close = difflib.get_close_matches(str(word), words, n=1, cutoff=0.5)
    guess = f"did you mean {close[0]!r}? " if close else ""
    return f"{guess}allowed: {', '.join(words)}"


def check_whole(name: str, value: object, *, minimum: int, maximum: int | None = None) -> None:
    """Refuse what is no whole number from `minimum` to `maximum` (SpecError)."""
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < minimum:
        raise SpecError(f"{name}: got {value!r}: must be a whole number of {minimum} or more")
    if maximum is not None and int(value) > maximum:
        raise SpecError(f"{name}: got {value!r}: must be {maximum} or less")
