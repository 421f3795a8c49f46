"""Writes explorable.html, one page that holds the model, the guided path and the sandbox.

`make explorable` runs it. Scenarios, defaults, ranges, thresholds and rules of regimes come from
`sim` and configs/, sentences from path.yaml and sandbox.yaml; the page asks for nothing.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import jinja2
import yaml

from sim.analysis.regimes import REGIMES, Rules
from sim.analysis.summary import BAND
from sim.analysis.worst_case import TERMS, Thresholds
from sim.simulation import MOST_SEED
from sim.specs.agent import HABIT, TRAITS, Agent, Initial
from sim.specs.errors import SpecError
from sim.specs.keys import check_number, field_at
from sim.specs.library import names
from sim.specs.overrides import Specs, as_population, read_specs

HERE = Path(__file__).parent
#: Modules of the page, each before those that use it.
MODULES = ("model", "measures", "settings", "chart", "figures", "runner", "path", "sandbox", "main")
#: Numbers of a scenario that have keys.
SCENARIO_KEYS = (
    "scenario.human_values.*",
    *(f"scenario.contexts.*.{k}" for k in ("weight", "info", "cue", "scratchpad", "monitor")),
    "scenario.contexts.*.reward.*",
)
#: Numbers of an agent below names that scenarios give.
NAMED_KEYS = tuple(
    f"agent.{part}.{kind}.{names}"
    for part in ("initial", "spread.initial")
    for kind, names in (("values", "*"), ("habit", "*"), ("propensity", "*.*"))
)
CHOICES = ("training.update_rule", "training.advantages")
#: Whole numbers that count; the page computes in the time that a reader waits.
COUNTS = {
    "agents": (1, 2000),
    "seed": (0, min(2**32 - 1, MOST_SEED)),
    "record_every": (1, 20_000),
    "training.steps": (1, 20_000),
}


def data() -> dict[str, Any]:
    """Return everything that the page knows, as plain data."""
    texts = {name: _yaml(f"{name}.yaml") for name in ("path", "sandbox")}
    return {
        "scenarios": {name: _story(name) for name in names("scenario")},
        "traits": TRAITS,
        "initial": list(Initial.model_fields),
        "habit": HABIT,
        "ranges": {key: _range(key) for key in _number_keys()},
        "counts": COUNTS,
        "choices": {key: _choices(key) for key in CHOICES},
        "terms": dict(zip(TERMS, asdict(Thresholds()).values(), strict=True)),
        "regimes": REGIMES,
        "rules": asdict(Rules()),
        "band": BAND,
        **texts,
    }


def page() -> str:
    """Return the page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=False, undefined=jinja2.StrictUndefined
    )
    plain = json.dumps(data(), separators=(",", ":"), ensure_ascii=False)
    return environment.get_template("page.html.j2").render(
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        script="\n".join(_module(name) for name in MODULES),
        data=plain.replace("<", "\\u003c"),
        steps=_yaml("path.yaml")["steps"],
        texts=_yaml("sandbox.yaml"),
    )


def _module(name: str) -> str:
    """Return a module without its imports and exports: in the page all are one."""
    text = (HERE / f"{name}.js").read_text(encoding="utf-8")
    text = re.sub(r"^import .*?;\n", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^export ", "", text, flags=re.MULTILINE)


def _yaml(name: str) -> Any:
    return yaml.safe_load((HERE / name).read_text(encoding="utf-8"))


def _story(name: str) -> dict[str, Any]:
    """Return a scenario of the library with what it is run with if nothing else is said."""
    plain = as_population(read_specs(name)).plain()
    return {key: plain[key] for key in ("scenario", "agent", "training")}


def _number_keys() -> Iterator[str]:
    yield from SCENARIO_KEYS
    yield from NAMED_KEYS
    specs: Specs = read_specs("copyright")
    plain = {"agent": Agent().model_dump(), "training": specs.training.model_dump()}
    for key, number in _leaves(plain, ""):
        is_number = isinstance(number, int | float) and not isinstance(number, bool)
        is_used = not key.startswith(("training.selection", "training.episodes"))
        if is_number and is_used and key not in COUNTS:
            yield key


def _leaves(node: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for name, below in node.items():
        if isinstance(below, Mapping):
            yield from _leaves(below, f"{path}{name}.")
        else:
            yield f"{path}{name}", below


def _range(key: str) -> dict[str, Any]:
    """Return the least and the greatest number that a key may have, and what a refusal says."""
    key = key.replace("*", "x")
    ends: list[float | None] = []
    for sign in (-1.0, 1.0):
        tried = [sign * 10.0**power for power in range(300, -4, -1)] + [0.0]
        allowed = [number for number in tried if not _refusal(key, number)]
        ends.append(_end(key, allowed[0] if allowed else 0.0, sign))
    must = re.sub(r"^.*: (must be .*)$", r"\1", _refusal(key, float("nan")))
    return {"low": ends[0], "high": ends[1], "must": must}


def _end(key: str, allowed: float, sign: float) -> float:
    """Return the end of a range that lies between a power of ten and the next, by halving."""
    beyond = 10.0 * allowed if allowed else sign
    if not _refusal(key, beyond):
        return beyond
    for _ in range(60):
        middle = (allowed + beyond) / 2.0
        if _refusal(key, middle):
            beyond = middle
        else:
            allowed = middle
    return round(allowed, 9)


def _refusal(key: str, number: float) -> str:
    try:
        check_number(key, number)
    except SpecError as error:
        return str(error)
    return ""


def _choices(key: str) -> tuple[str, ...]:
    field, _ = field_at(key)
    assert field is not None
    return get_args(field.annotation)


def main() -> None:
    """Write the page to where the first argument says, or to explorable.html."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "explorable.html")
    target.parent.mkdir(parents=True, exist_ok=True)
    text = page()
    target.write_text(text, encoding="utf-8")
    print(f"{target}: {len(text.encode()) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
