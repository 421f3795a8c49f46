"""Dotted keys: the fields that they name, and reading and setting what stands there.

`training.leak`, `agent.initial.awareness` and `scenario.contexts.coding.info` each name one number.
A key of the agent may leave out `initial`: `agent.awareness`, `agent.habit.coding`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from sim.specs.agent import CAPABILITIES, Agent, Initial
from sim.specs.base import Spec, Vectorisable, plain
from sim.specs.deployment import Deployment
from sim.specs.errors import SpecError, describe, nearest
from sim.specs.oversight import Oversight
from sim.specs.scenario import PRE_DEPLOYMENT, STORY, Scenario
from sim.specs.training import Training

S = TypeVar("S", bound=Spec)
Path = tuple[str, ...]

#: The specs in which numbers have keys, by the first part of a key.
ROOTS: Mapping[str, type[Spec]] = {
    "scenario": Scenario,
    "agent": Agent,
    "training": Training,
    "oversight": Oversight,
    "deployment": Deployment,
}
#: Mappings whose names are checked where the scenario is known (`Oversight.check`, ...).
_CHECKED_LATER = {("oversight", "inspection", "encounters"), ("deployment", "mix")}


class Branch(dict[str, Any]):
    """A node of nested overrides; anything else in them is a value."""


def full_key(key: str) -> str:
    """Return a dotted key with the `initial` that it may leave out."""
    return ".".join(_full_path(tuple(key.split("."))))


@cache
def is_vectorisable(key: str) -> bool:
    """Return whether runs of one array program can differ in the number of a dotted key.

    This is a property of the key's field (`sim.specs.base.Column`); a key of nothing has none.
    """
    field, path = field_at(key)
    if field is None or not any(isinstance(mark, Vectorisable) for mark in field.metadata):
        return False
    return not path or _has_names(field.annotation)


def field_at(key: str) -> tuple[FieldInfo | None, Path]:
    """Return the innermost field that a dotted key names, and the user's own names below it."""
    root, *path = full_key(key).split(".")
    spec, field = ROOTS.get(root), None
    while spec is not None and path:
        field = spec.model_fields.get(path.pop(0))
        names, spec = (0, None) if field is None else _inner_spec(field.annotation)
        if spec is None or len(path) <= names:
            break
        del path[:names]
    return field, tuple(path)


def check_number(key: str, number: float) -> None:
    """Refuse a number that a dotted key must not have (SpecError)."""
    field, below = field_at(key)
    assert field is not None
    names: Any = number
    for name in reversed(below):
        names = {name: names}
    try:
        _validator(key).validate_python(names)
    except ValidationError as error:
        path = full_key(key).removesuffix("".join(f".{name}" for name in below))
        raise SpecError(describe(error, path=path)) from None


@cache
def _validator(key: str) -> TypeAdapter[Any]:
    field, _ = field_at(key)
    assert field is not None
    annotation: Any = Annotated[field.annotation, *field.metadata]
    return TypeAdapter(annotation)


def full_keys(name: str) -> list[str]:
    """Return the dotted keys of agent and training that end in a name."""
    keys = [key for root in ("agent", "training") for key in _keys_below(ROOTS[root], root)]
    return [key for key in keys if key.endswith(f".{name}") and ".spread." not in key]


def _keys_below(spec: type[Spec], path: str) -> Iterator[str]:
    for name, field in spec.model_fields.items():
        yield f"{path}.{name}"
        inner = _inner_spec(field.annotation)[1]
        if inner is not None:
            yield from _keys_below(inner, f"{path}.{name}")


def value_at(node: Any, key: str) -> Any:
    """Return what a dotted key names in specs, or 0.0 for a name that a mapping leaves out."""
    for part in key.split("."):
        if isinstance(node, Mapping):
            node = node.get(part, 0.0)
        else:
            node = node[int(part)] if part.isdigit() else getattr(node, part)
    return node


def nest(overrides: Mapping[str, object], *, flatten: bool = True) -> Branch:
    """Nest overrides by the parts of their dotted keys; none may be given twice (SpecError).

    With `flatten`, a mapping changes the keys that it names, and else the whole.
    """
    tree = Branch()
    for path, value in _flat((), overrides, flatten):
        *branches, leaf = _full_path(path)
        node: Any = tree
        for branch in branches:
            node = node.setdefault(branch, Branch())
            if not isinstance(node, Branch):
                break
        if not isinstance(node, Branch) or leaf in node:
            raise SpecError(f"{'.'.join(path)}: is given twice, or in whole and in part")
        node[leaf] = value
    return tree


def override_spec(spec: S, tree: Mapping[str, Any], root: str, scenario: Scenario) -> S:
    """Return a spec changed by the overrides below `root` in a tree, and checked again (SpecError).

    The scenario has the names by which agents and oversight have numbers.
    """
    if root not in tree:
        return spec
    return spec.parse(override(spec, tree[root], (root,), scenario), path=root)


def override(node: object, tree: object, path: Path, scenario: Scenario) -> object:
    """Return plain data like a node of a spec, with the values of a tree in place of its own.

    Where one number stands for many, a value for one of them leaves the others as they were. A key
    that does not exist is refused (SpecError).
    """
    if not isinstance(tree, Branch):
        return tree
    parts, explicit = _parts(node, path, scenario)
    if path not in _CHECKED_LATER:
        check_keys(tree, allowed=parts, path=path)
    for key, below in tree.items():
        explicit[key] = override(parts.get(key), below, (*path, key), scenario)
    return list(explicit.values()) if isinstance(node, tuple) else explicit


def check_keys(tree: Mapping[str, object], *, allowed: Collection[str], path: Path) -> None:
    """Refuse keys that are not among those allowed at a path (SpecError)."""
    for key in tree:
        if key in allowed:
            continue
        name = ".".join((*path, key))
        if not allowed:
            raise SpecError(f"{name}: unknown key; {'.'.join(path)} has none below it")
        short = Initial.model_fields if "initial" in allowed else ()  # may be left out
        raise SpecError(f"{name}: unknown key; {nearest(key, {*allowed, *short})}")


def _full_path(path: Path) -> Path:
    """Put in the `initial` that a key of the agent, or of its spread, leaves out."""
    for start in (("agent", "spread"), ("agent",)):
        below = path[len(start) :]
        if path[: len(start)] == start and below and below[0] in Initial.model_fields:
            return (*start, "initial", *below)
    return path


def _flat(path: Path, value: object, flatten: bool) -> Iterator[tuple[Path, object]]:
    if isinstance(value, Mapping) and (flatten or not path):
        for key, below in value.items():
            yield from _flat((*path, *str(key).split(".")), below, flatten)
    else:
        yield path, plain(value)


def _inner_spec(annotation: Any) -> tuple[int, type[Spec] | None]:
    """Return the spec inside a field's type, and how many of the user's names come before it."""
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return 0, annotation
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (dict, tuple):
        names, spec = _inner_spec(arguments[1] if origin is dict else arguments[0])
        return names + 1, spec
    inner = (_inner_spec(argument) for argument in arguments)
    return next((pair for pair in inner if pair[1] is not None), (0, None))


def _has_names(annotation: Any) -> bool:
    """Return whether a type holds mappings, which compiling reads name by name."""
    return get_origin(annotation) is dict or any(map(_has_names, get_args(annotation)))


def _parts(
    node: object, path: Path, scenario: Scenario
) -> tuple[Mapping[str, object], dict[str, object]]:
    """Return a node's parts: all that there may be, as they are now, and the explicit ones."""
    if isinstance(node, Spec):
        fields = {
            name: getattr(node, name) for name in type(node).model_fields if name not in STORY
        }
        return fields, {name: getattr(node, name) for name in node.model_fields_set}
    if isinstance(node, tuple):
        items: dict[str, object] = {str(index): item for index, item in enumerate(node)}
        return items, items.copy()
    names = names_at(path, scenario)
    if node is None and path == ("agent", "initial", "values"):
        node = scenario.human_values
    if isinstance(node, int | float):
        below = ((name, names_at((*path, name), scenario)) for name in names)
        node = {name: dict.fromkeys(inner, node) if inner else node for name, inner in below}
    explicit: dict[str, object] = dict(node) if isinstance(node, Mapping) else {}
    return {name: explicit.get(name) for name in names}, explicit


def names_at(path: Path, scenario: Scenario) -> Collection[str]:
    """Return the names that things may have at a place where the user's own names stand."""
    match path:
        case (_, "contexts" | "similarity") | (_, "similarity", _):
            return scenario.contexts
        case (*_, "initial", "habit" | "propensity"):
            return scenario.contexts
        case (
            (_, "contexts", name, "responses" | "reward" | "demonstrations")
            | (_, "curriculum", _, "reward", name)
            | (*_, "initial", "propensity", name)
        ):
            return scenario.contexts[name].responses
        case (_, "curriculum", _, "weight" | "reward" | "monitor" | "method"):
            return scenario.contexts
        case (*_, "responses", _) | (_, "human_values") | (*_, "initial", "values"):
            return scenario.values
        case (*_, "initial", "capability"):
            return CAPABILITIES
        case (_, "inspection", "encounters"):
            return scenario.of_kind(*PRE_DEPLOYMENT)
    return ()
