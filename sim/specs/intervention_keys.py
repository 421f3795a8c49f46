"""What interventions can be about: all the keys of gaming, of state, and of the specs' numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

from sim.specs.agent import CAPABILITIES, TRAITS
from sim.specs.base import Spec
from sim.specs.deployment import Deployment
from sim.specs.oversight import Oversight
from sim.specs.scenario import Scenario
from sim.specs.training import LearningRate, Training, Transfer

#: Numbers of a context that may be changed while agents are trained in it.
OF_CONTEXTS = ("weight", "info", "scratchpad", "cue", "monitor", "reward")
#: Numbers of training that may be changed in its course.
OF_TRAINING = ("motive_credit", "leak", "spread", "anchor", "visible_gaming_penalty")
#: Kinds of state, and what their parts are named by.
STATES: dict[str, Literal["value", "context", "capability", ""]] = {
    "values": "value",
    "habit": "context",
    "awareness": "",
    "log_horizon": "",
    "log_competence": "",
    "capability": "capability",
}
#: What comes after training, by the first part of a key.
AFTER: Mapping[str, type[Oversight] | type[Deployment]] = {
    "oversight": Oversight,
    "deployment": Deployment,
}


def matching(key: str, every: Iterable[str]) -> tuple[str, ...]:
    """Return those of all keys that a key stands for: itself, what is below it, * for one name."""
    pattern = re.compile(re.escape(key).replace(r"\*", "[^.]+") + r"(\..+)?")
    return tuple(one for one in every if pattern.fullmatch(one))


def keys_in_training(subject: str, scenario: Scenario) -> dict[str, str]:
    """Return all that may be changed while agents are trained: by key, what it is called inside.

    Of gaming and state, these are names of parameters (`habit.coding`, `awareness`); of all else,
    dotted keys of the specs.
    """
    return _OF[subject](scenario)


def keys_after_training(subject: str) -> tuple[str, ...]:
    """Return the keys of the numbers of `oversight` or `deployment`."""
    return tuple(_numbers(AFTER[subject](), subject))


def _numbers(spec: Spec, path: str) -> Iterator[str]:
    for name in type(spec).model_fields:
        value = getattr(spec, name)
        if isinstance(value, Spec):
            yield from _numbers(value, f"{path}.{name}")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{path}.{name}"


def _gaming(scenario: Scenario) -> dict[str, str]:
    return {f"gaming.{name}": f"habit.{name}" for name in scenario.contexts}


def _state(scenario: Scenario) -> dict[str, str]:
    names = {"value": scenario.values, "context": scenario.contexts, "capability": CAPABILITIES}
    every: dict[str, str] = {}
    for kind, of in STATES.items():
        parts = [f"{kind}.{name}" for name in names[of]] if of else [kind]
        every |= {f"state.{part}": part for part in parts}
    return every


def _traits(scenario: Scenario) -> dict[str, str]:
    return {f"agent.{name}": f"agent.{name}" for name in TRAITS}


def _training(scenario: Scenario) -> dict[str, str]:
    nested: dict[str, type[Spec]] = {"transfer": Transfer, "learning_rate": LearningRate}
    parts = [f"{group}.{name}" for group, spec in nested.items() for name in spec.model_fields]
    assert {*OF_TRAINING, *nested} <= set(Training.model_fields)
    return {f"training.{name}": f"training.{name}" for name in (*OF_TRAINING, *parts)}


def _contexts(scenario: Scenario) -> dict[str, str]:
    every = {}
    for name, context in scenario.contexts.items():
        for number in OF_CONTEXTS:
            parts = context.responses if number == "reward" else ("",)
            for part in parts:
                key = ".".join(filter(None, ("scenario.contexts", name, number, part)))
                every[key] = key
    return every


_OF: Mapping[str, Callable[[Scenario], dict[str, str]]] = {
    "gaming": _gaming,
    "state": _state,
    "agent": _traits,
    "training": _training,
    "scenario": _contexts,
}
