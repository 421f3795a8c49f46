"""Bad inputs of every application, generated from its config and the schema of its settings."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

#: Stands for a key that is taken out of a config, as `~key` does.
DELETED = "~"
VALUES: tuple[Any, ...] = (
    DELETED,
    *("no such value", "caf\u00e9 \u2615", "", "${oc.env:HOME", "/no/such/place/at.all"),
    *(float("nan"), float("inf"), -float("inf"), 1e308, -1e308, 1e12, 0.5, True),
    *(-1, 10**9, 4 * 10**9, 10**12, -(10**12)),
    *(None, [], [[]], {}, {"no_such_key": 1}, [{"a": {"b": [1]}}], [float("nan"), 1]),
    *([-1e308, 1e308], [1e308, -1e308]),
)
#: Of sections that specs read, and that may be empty.
OF_SECTIONS = tuple(value for value in VALUES if value is not None and value != {})

Input = tuple[str, Any]
_MOST = sys.float_info.max


def bad_inputs(schema: Mapping[str, Any], sections: tuple[str, ...] = ()) -> Iterator[Input]:
    """Yield dotted keys with values that a schema and the sections beside it do not allow."""
    for section in sections:
        yield from ((section, value) for value in OF_SECTIONS)
    yield from _bad_fields(schema, schema, "")


def _bad_fields(whole: Mapping[str, Any], spec: Mapping[str, Any], path: str) -> Iterator[Input]:
    for key, field in spec["properties"].items():
        choices = [field, *field.get("anyOf", [])]
        for choice in choices:
            below = whole.get("$defs", {}).get(choice.get("$ref", "").rpartition("/")[2], {})
            if "properties" in below:
                yield from _bad_fields(whole, below, f"{path}{key}.")
        for value in VALUES:
            is_bound = isinstance(value, float | int) and value is not True
            beyond = [1 for choice in choices if is_bound and _holds(choice, value)]
            is_default = "default" in field and value in (DELETED, field["default"])
            if not beyond and not is_default and not _allows(key, choices, value):
                yield f"{path}{key}", value
        for choice in choices:
            for bound, step in (("minimum", -1), ("maximum", 1), ("exclusiveMinimum", 0)):
                if bound in choice and len(choices) == 1:
                    yield f"{path}{key}", choice[bound] + step


def _holds(choice: Mapping[str, Any], value: float) -> bool:
    """Return whether a number is within the bounds of a schema of numbers."""
    if choice.get("type") not in ("number", "integer"):
        return False
    if choice["type"] == "integer" and not float(value).is_integer():
        return False
    low, high = choice.get("minimum", -_MOST), choice.get("maximum", _MOST)
    above, below = (
        choice.get("exclusiveMinimum", -_MOST),
        choice.get("exclusiveMaximum", float("inf")),
    )
    return bool(low <= value <= high and above < value < below)


def _allows(key: str, choices: list[Mapping[str, Any]], value: Any) -> bool:
    """Return whether a schema allows what is no number; directories may have any name."""
    kinds = {choice.get("type") for choice in choices}
    if value is None:
        return "null" in kinds
    if value is True:
        return "boolean" in kinds
    if value == []:
        return any(c.get("type") == "array" and not c.get("minItems") for c in choices)
    return key == "store" and isinstance(value, str) and value not in (DELETED, "")


def changed(config: DictConfig, key: str, value: Any) -> DictConfig:
    """Return a copy of a config in which a key is something else, or gone."""
    copy = config.copy()
    OmegaConf.set_struct(copy, False)
    if value is DELETED:
        above, _, last = key.rpartition(".")
        del (OmegaConf.select(copy, above) if above else copy)[last]
    else:
        OmegaConf.update(copy, key, value, merge=False)
    return copy
