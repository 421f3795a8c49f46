"""Settings: specs changed by dotted keys, the form that sweeps and `mesa.batch_run` need.

`training.leak`, `agent.initial.awareness` and `scenario.contexts.coding.info` each name one number.
What the agent starts from may leave out `initial`: `agent.awareness`, `agent.habit.coding`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from sim.specs.agent import CAPABILITIES, Agent, Initial
from sim.specs.base import Spec, plain
from sim.specs.errors import SpecError, nearest
from sim.specs.intervention import Intervention, Interventions, read_interventions
from sim.specs.scenario import Scenario
from sim.specs.training import Training

S = TypeVar("S", bound=Spec)
_Path = tuple[str, ...]


class Specs(NamedTuple):
    """All that a user says of a run.

    Attributes:
        scenario: The world.
        agent: The agent, complete: what was left unsaid is taken from the scenario's own agent.
        training: How it is trained.
        interventions: What is done to the run.
    """

    scenario: Scenario
    agent: Agent
    training: Training
    interventions: tuple[Intervention, ...] = ()


def read_specs(
    scenario: Scenario | str | Mapping[str, object],
    *,
    agent: Agent | Mapping[str, object] | None = None,
    training: Training | Mapping[str, object] | None = None,
    interventions: Interventions | None = None,
) -> Specs:
    """Return validated specs from specs, plain data or, for the scenario, a name or a path.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    scenario = scenario if isinstance(scenario, Scenario) else Scenario.load(scenario)
    agent = Agent.parse({} if agent is None else agent, path="agent")
    training = Training.parse({} if training is None else training, path="training")
    done = read_interventions(interventions)
    specs = Specs(scenario, agent.completed_by(scenario.agent), training, done)
    _check_interventions(specs)
    return specs


def apply_overrides(specs: Specs, settings: Mapping[str, object]) -> Specs:
    """Return specs in which what the settings name is changed and everything is checked again.

    Settings change what is there: they add no context, no response and no phase. A mapping changes
    the keys that it names; where one number stands for many, a setting for one of them leaves the
    others as they were.

    Args:
        specs: What to change.
        settings: Dotted keys, each starting with `scenario`, `agent` or `training`, and values.
            The agent is `agent`, never `scenario.agent`.

    Raises:
        SpecError: A key that does not exist, is given twice, or whose value is not allowed.
    """
    tree = _tree(settings)
    _check_key(tree, allowed=Specs._fields, path=())
    # First the scenario: it has the names by which agents have their values and habits.
    scenario = _change_spec(specs.scenario, tree, "scenario", specs.scenario)
    changed = Specs(
        scenario=scenario,
        agent=_change_spec(specs.agent, tree, "agent", scenario),
        training=_change_spec(specs.training, tree, "training", scenario),
        interventions=_changed_interventions(specs.interventions, tree, scenario),
    )
    _check_interventions(changed)
    return changed


def _changed_interventions(
    interventions: tuple[Intervention, ...], tree: Mapping[str, Any], scenario: Scenario
) -> tuple[Intervention, ...]:
    if "interventions" not in tree:
        return interventions
    changed = _changed(interventions, tree["interventions"], ("interventions",), scenario)
    assert isinstance(changed, list)
    return read_interventions(changed)


def _check_interventions(specs: Specs) -> None:
    """Refuse interventions on what is not there, or that make a number what it must not be.

    Raises:
        SpecError: There is one.
    """
    without = specs._replace(interventions=())
    for index, one in enumerate(specs.interventions):
        names = one.names(specs.scenario)
        if one.start >= specs.training.steps:
            raise SpecError(
                f"interventions[{index}].start: got {one.start}: training has "
                f"{specs.training.steps} steps"
            )
        if one.subject in ("agent", "training", "scenario"):
            now = {name: _number_at(specs, name) for name in names}
            numbers = {
                name: one.set if one.scale is None else one.scale * number
                for name, number in now.items()
            }
            try:
                apply_overrides(without, numbers)
            except SpecError as error:
                raise SpecError(f"interventions[{index}]: {error}") from None


def _number_at(specs: Specs, key: str) -> float:
    """Return the number that a dotted key of the specs stands for; of several, the largest."""
    node: Any = specs
    for part in key.split("."):
        node = node.get(part, 0.0) if isinstance(node, Mapping) else getattr(node, part)
    return float(max(node) if isinstance(node, tuple) else node)


def full_key(key: str) -> str:
    """Return a dotted key with the `initial` that it may leave out."""
    return ".".join(_in_full(tuple(key.split("."))))


def _tree(settings: Mapping[str, object]) -> dict[str, Any]:
    """Nest settings by their keys; in a tree, a dict is always a branch."""
    tree: dict[str, Any] = {}
    for path, value in _flat((), settings):
        *branches, leaf = _in_full(path)
        below: Any = tree
        for branch in branches:
            below = below.setdefault(branch, {})
            if not isinstance(below, dict):
                break
        if not isinstance(below, dict) or leaf in below:
            raise SpecError(f"{'.'.join(path)}: is given twice, or in whole and in part")
        below[leaf] = value
    return tree


def _flat(path: _Path, value: object) -> Iterator[tuple[_Path, object]]:
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _flat((*path, *str(key).split(".")), below)
    else:
        yield path, plain(value)


def _in_full(path: _Path) -> _Path:
    """Put in the `initial` that a key of the agent, or of its spread, leaves out."""
    for start in (("agent", "spread"), ("agent",)):
        below = path[len(start) :]
        if path[: len(start)] == start and below and below[0] in Initial.model_fields:
            return (*start, "initial", *below)
    return path


def _change_spec(spec: S, tree: Mapping[str, Any], name: str, scenario: Scenario) -> S:
    if name not in tree:
        return spec
    return spec.parse(_changed(spec, tree[name], (name,), scenario), path=name)


def _changed(node: object, tree: object, path: _Path, scenario: Scenario) -> object:
    """Return plain data like a node of a spec, with the tree's leaves in place of its own."""
    if not isinstance(tree, Mapping):
        return tree
    now, said = _parts(node, path, scenario)
    _check_key(tree, allowed=now, path=path)
    for key, below in tree.items():
        said[key] = _changed(now[key], below, (*path, key), scenario)
    return list(said.values()) if isinstance(node, tuple) else said


def _parts(
    node: object, path: _Path, scenario: Scenario
) -> tuple[Mapping[str, object], dict[str, object]]:
    """Return a node's parts: all that there may be, as they are now, and those that are said."""
    if isinstance(node, Spec):
        fields = type(node).model_fields
        now = {name: getattr(node, name) for name in fields if name != "agent"}
        return now, {name: getattr(node, name) for name in node.model_fields_set}
    if isinstance(node, tuple):
        items: dict[str, object] = {str(index): item for index, item in enumerate(node)}
        return items, items.copy()
    names = _names(path, scenario)
    if node is None and path == ("agent", "initial", "values"):
        node = scenario.human_values
    if isinstance(node, int | float):
        node = dict.fromkeys(names, node)
    said: dict[str, object] = dict(node) if isinstance(node, Mapping) else {}
    return {name: said.get(name) for name in names}, said


def _names(path: _Path, scenario: Scenario) -> Collection[str]:
    """Return the names that things may have at a place where the user's own names stand."""
    contexts, values = scenario.contexts, scenario.values
    match path:
        case ("scenario", "contexts") | ("scenario", "similarity") | ("scenario", "similarity", _):
            return contexts
        case ("scenario", "contexts", name, "responses" | "reward"):
            return contexts[name].responses
        case ("scenario", "contexts", _, "responses", _) | ("scenario", "human_values"):
            return values
        case ("scenario", "curriculum", _, "weight" | "reward" | "monitor"):
            return contexts
        case ("scenario", "curriculum", _, "reward", name):
            return contexts[name].responses
        case ("agent", "initial", "habit") | ("agent", "spread", "initial", "habit"):
            return contexts
        case ("agent", "initial", "values") | ("agent", "spread", "initial", "values"):
            return values
        case ("agent", "spread", "initial", "capability"):
            return CAPABILITIES
    return ()


def _check_key(tree: Mapping[str, object], *, allowed: Collection[str], path: _Path) -> None:
    for key in tree:
        if key in allowed:
            continue
        here = ".".join((*path, key))
        if not allowed:
            raise SpecError(f"{here}: unknown key; {'.'.join(path)} has none below it")
        raise SpecError(f"{here}: unknown key; {nearest(key, _and_short(allowed, path))}")


def _and_short(allowed: Collection[str], path: _Path) -> Collection[str]:
    """Add, to the keys of the agent or of its spread, those that may leave out `initial`."""
    return {*allowed, *Initial.model_fields} if "initial" in allowed else allowed
