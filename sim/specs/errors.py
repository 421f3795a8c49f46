"""Errors that a user can mend: one line with the path, the value and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

#: What is said of a problem that pydantic finds, by its type.
_MESSAGES = {
    "missing": "is missing",
    "string_pattern_mismatch": (
        "a name has letters, digits, _ and -, and starts with a letter or _"
    ),
    "string_type": "must be text (in YAML, words such as yes, no, on and off need quotes)",
    "greater_than_equal": "must be {ge} or more",
    "greater_than": "must be above {gt}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be {le} or less",
    **dict.fromkeys(("int_type", "int_from_float", "int_parsing"), "must be a whole number"),
    **dict.fromkeys(("dict_type", "model_type"), "must be a mapping"),
    **dict.fromkeys(("tuple_type", "list_type"), "must be a list"),
}
#: What version 1 of the model called a key or a word, and what it is since.
RENAMED = {"spread": "generalisation.habit", "replicator": "natural_gradient"}
#: Parts of a problem's place that stand for the form of a value, not for a key.
_FORMS = {"by name", "one each", "one number", "[key]"}


class SpecError(ValueError):
    """An input that cannot be used; the message is one line.

    The command line prints the line and leaves with exit status 2; Python users may catch it as
    a `ValueError`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Return a hint for a word that is not allowed: the nearest right one and the whole list.

    Of a word of version 1 of the model, it is the new one.
    """
    words = sorted(allowed)
    if not words:
        return "none are defined here"
    place, _, old = str(word).rpartition(".")
    new = ".".join(filter(None, (place, RENAMED.get(old))))
    if old in RENAMED and {new, new.partition(".")[0]} & set(words):
        return f"since version 2 of the model it is {new!r}"
    close = difflib.get_close_matches(str(word), words, n=1, cutoff=0.5)
    guess = f"did you mean {close[0]!r}? " if close else ""
    return f"{guess}allowed: {', '.join(words)}"


def check_whole(name: str, value: object, *, minimum: int, maximum: int | None = None) -> None:
    """Refuse what is no whole number from `minimum` to `maximum` (SpecError)."""
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < minimum:
        raise SpecError(f"{name}: got {value!r}: must be a whole number of {minimum} or more")
    if maximum is not None and int(value) > maximum:
        raise SpecError(f"{name}: got {value!r}: must be {maximum} or less")


def check_keys(
    path: str, data: object, allowed: Iterable[str], *, form: str, noun: str = "key"
) -> dict[str, Any]:
    """Return a mapping that has only allowed keys, as a dict.

    Else a SpecError begins with the path, and calls the mapping by its form, a key by a noun.
    """
    if not isinstance(data, Mapping):
        raise SpecError(f"{path}: got {data!r}: must be {form}")
    names = list(allowed)
    for key in data:
        if key not in names:
            raise SpecError(f"{path}.{key}: unknown {noun}; {nearest(str(key), names)}")
    return {str(key): value for key, value in data.items()}


def refuse(message: str, *, at: str = "") -> PydanticCustomError:
    """Return the error by which a validator refuses what stands `at` a path below its value."""
    return PydanticCustomError("refused", "{message}", {"message": message, "at": at})


def describe(error: ValidationError, *, path: str) -> str:
    """Describe the first problem of a failed validation in one line, with the number of others."""
    problems = error.errors(include_url=False)
    first = problems[0]
    key = path + "".join(_step(part) for part in first["loc"])
    below = first.get("ctx", {}).get("at")
    key += f".{below}" if below else ""
    value = ""
    if first["type"] not in {"refused", "missing"}:
        value = f": got {shorten(repr(first['input']))}"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{key}{value}: {_message(first)}{more}"


def shorten(text: str, limit: int = 60) -> str:
    """Return a text that is cut where it is too long."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _step(part: int | str) -> str:
    if part in _FORMS:
        return ""
    return f"[{part}]" if isinstance(part, int) else f".{part}"


def _message(problem: ErrorDetails) -> str:
    context = problem.get("ctx", {})
    if problem["type"] == "literal_error":
        allowed = str(context["expected"]).replace(" or ", ", ").replace("'", "").split(", ")
        return nearest(str(problem["input"]), allowed)
    message = _MESSAGES.get(problem["type"])
    return problem["msg"].replace("\n", " ") if message is None else message.format(**context)
