"""Settings of what comes after training: oversight and deployment changed by dotted keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sim.specs.base import Spec
from sim.specs.deployment import Deployment
from sim.specs.errors import SpecError, nearest
from sim.specs.oversight import Oversight
from sim.specs.scenario import Scenario
from sim.takeover import read_deployment, read_oversight

#: What dotted keys may start with, here and in `sim.specs.overrides`.
AFTER = ("oversight", "deployment")
BEFORE = ("scenario", "agent", "training", "interventions")


def split_settings(
    settings: Mapping[str, object],
) -> tuple[dict[str, object], dict[str, object]]:
    """Return the settings of what comes before deployment, and of what comes after training.

    Raises:
        SpecError: A key that belongs to neither.
    """
    before: dict[str, object] = {}
    after: dict[str, object] = {}
    for key, value in settings.items():
        first = key.split(".")[0]
        if first not in (*AFTER, *BEFORE):
            raise SpecError(f"{first}: unknown key; {nearest(first, (*AFTER, *BEFORE))}")
        (after if first in AFTER else before)[key] = value
    return before, after


def read_after(
    oversight: Oversight | Mapping[str, object] | None,
    deployment: Deployment | Mapping[str, object] | None,
    *,
    scenario: Scenario,
    settings: Mapping[str, object],
) -> tuple[Oversight, Deployment]:
    """Return oversight and deployment with what the settings name changed, all of it checked.

    Args:
        oversight: What to change; the defaults of `sim.Oversight` if None.
        deployment: What to change; the defaults of `sim.Deployment` if None.
        scenario: What they must fit.
        settings: Dotted keys, each starting with `oversight` or `deployment`, and values. Where
            one number stands for many contexts, a setting for one leaves the others as they were.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    watched = Oversight.parse({} if oversight is None else oversight, path="oversight")
    asked = Deployment.parse({} if deployment is None else deployment, path="deployment")
    trees: dict[str, dict[str, Any]] = {}
    for key, value in settings.items():
        first, *path = key.split(".")
        if not path:
            raise SpecError(f"{first}: is given twice; settings name one number, {first}.KEY")
        spec: Spec = watched if first == "oversight" else asked
        tree = trees.setdefault(first, spec.model_dump())
        many = {"inspection": {"encounters": watched.looks(scenario)}}
        _put(tree, path, value, key, many if first == "oversight" else {})
    if "oversight" in trees:
        watched = Oversight.parse(trees["oversight"], path="oversight")
    if "deployment" in trees:
        asked = Deployment.parse(trees["deployment"], path="deployment")
    return read_oversight(watched, scenario), read_deployment(asked, scenario)


def _put(
    node: dict[str, Any], path: list[str], value: object, key: str, many: Mapping[str, Any]
) -> None:
    """Put a value into a tree of plain data; the spec that reads it knows which keys there are."""
    name, *below = path
    if not below:
        node[name] = value
        return
    inner = node.get(name, {})
    if isinstance(inner, int) and isinstance(many.get(name), Mapping):
        inner = dict(many[name])
    if not isinstance(inner, Mapping):
        above = key.removesuffix("." + ".".join(below))
        raise SpecError(f"{key}: unknown key; {above} has none below it")
    node[name] = dict(inner)
    _put(node[name], below, value, key, many.get(name, {}) if isinstance(many, Mapping) else {})
