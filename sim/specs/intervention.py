"""Interventions: changes of a run from one step to another, whatever would have happened.

An intervention names one thing by its key, and its change from step `start` on, before step `stop`:

    {key: gaming, set: 0}                                nobody games
    {key: state.awareness, freeze: true, start: 500}     awareness stays as it is at step 500
    {key: training.leak, set: 0.3, start: 500, stop: 800}
    {key: "scenario.contexts.*.scratchpad", set: 0}      no scratchpad anywhere
    {key: "scenario.contexts.*.monitor", scale: 2}
    {key: oversight.control.strength, set: 0}            nobody is found by control
    {key: deployment.caution, scale: 2}

Oversight and deployment come after training, which interventions on them leave as it is to the bit;
they have no steps, and act where a run is judged (`apply_after_training`).

Two runs that differ in their interventions alone share every random draw, and are the same to the
bit until the first intervention starts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from sim.specs.agent import TRAITS, parameter_names
from sim.specs.base import Finite, Real, Spec, Steps, Whole, is_number
from sim.specs.deployment import Deployment
from sim.specs.errors import SpecError, describe, nearest, refuse
from sim.specs.oversight import Oversight
from sim.specs.scenario import Scenario
from sim.specs.training import Generalisation, LearningRate, Transfer

#: Numbers of a context that may be changed while agents are trained in it.
CONTEXT_NUMBERS = ("weight", "info", "scratchpad", "cue", "monitor", "reward")
#: Numbers of training that may be changed in its course.
TRAINING_NUMBERS = (
    *("motive_credit", "leak", "anchor", "visible_gaming_penalty"),
    *(f"generalisation.{name}" for name in Generalisation.model_fields),
    *(f"transfer.{name}" for name in Transfer.model_fields),
    *(f"learning_rate.{name}" for name in LearningRate.model_fields),
)
#: The specs that come after training, by the first part of a key.
AFTER: Mapping[str, type[Oversight] | type[Deployment]] = {
    "oversight": Oversight,
    "deployment": Deployment,
}
#: What an intervention is about: the first part of its key.
SUBJECTS = ("gaming", "state", "agent", "training", "scenario", *AFTER)


class Intervention(Spec):
    """One change of a run; exactly one of `set`, `scale` and `freeze` is stated.

    State that is set or frozen is held there until `stop`, and goes on from there; state that is
    scaled is multiplied once, at `start`, and goes on from there. Where gaming is set to 0 or 1,
    habits are out of reach, and come back as they were. Everything else has its own number again
    at `stop`. Oversight and deployment have no steps, so they have neither `start` nor `stop`.
    """

    key: str = Field(description="what it is about; * stands for every name")
    set: Finite | None = Field(None, description="the number that it has")
    scale: Real | None = Field(None, description="by what it is multiplied")
    freeze: bool = Field(False, description="whether it stays as it is (state only)")
    start: Whole = Field(0, description="the first step")
    stop: Steps | None = Field(None, description="the step before which it ends; null: never")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum([self.set is not None, self.scale is not None, self.freeze]) != 1:
            raise refuse("say exactly one of set, scale and freeze")
        if self.stop is not None and self.stop <= self.start:
            raise refuse(f"must be after start ({self.start}), or null", at="stop")
        subject = self.subject
        if subject not in SUBJECTS:
            raise refuse(f"unknown subject; {nearest(subject, SUBJECTS)}", at="key")
        if self.freeze and subject != "state":
            raise refuse("only state can be frozen; say set or scale", at="freeze")
        if subject == "gaming" and self.set not in (0.0, 1.0):
            raise refuse("gaming is set to 0 (never) or to 1 (whenever training is in mind)")
        if subject == "state" and self.scale is not None and self.stop is not None:
            raise refuse("state that is scaled once is not held; leave stop out", at="stop")
        if subject in AFTER:
            self._check_after_training()
        return self

    def _check_after_training(self) -> None:
        """Refuse steps, and what oversight or deployment do not have whatever their numbers are."""
        if self.start or self.stop is not None:
            raise refuse(
                f"{self.subject} comes after training; leave start and stop out",
                at="start" if self.start else "stop",
            )
        keys = keys_after_training(self.subject)
        matches = matching(self.key, keys)
        if not matches:
            raise refuse(f"{self.key}: {nearest(self.key, keys)}", at="key")
        for key in matches if self.set is not None else ():
            tree = {self.subject: AFTER[self.subject]().model_dump()}
            self._change(tree, key)
            try:
                AFTER[self.subject].model_validate(tree[self.subject])
            except ValidationError as error:  # of this number alone, whatever the others are
                location = ".".join(map(str, (self.subject, *error.errors()[0]["loc"])))
                if location == key or location.startswith(f"{key}."):
                    raise refuse(describe(error, path=self.subject)) from None

    @property
    def operation(self) -> Literal["set", "scale", "freeze"]:
        """The one that is stated."""
        if self.freeze:
            return "freeze"
        return "scale" if self.set is None else "set"

    @property
    def subject(self) -> str:
        """The first part of the key: one of `SUBJECTS`."""
        return self.key.partition(".")[0]

    def names(self, scenario: Scenario) -> tuple[str, ...]:
        """Return the full names of all that it changes in a scenario (see `keys_in_training`).

        A key of nothing, or of what cannot be changed in a run, is refused (SpecError).
        """
        if self.subject in AFTER:
            return matching(self.key, keys_after_training(self.subject))
        keys = keys_in_training(self.subject, scenario)
        names = tuple(keys[key] for key in matching(self.key, keys))
        if not names:
            raise SpecError(f"interventions: {self.key!r}: {nearest(self.key, keys)}")
        return names

    def _change(self, tree: dict[str, Any], key: str) -> None:
        """Set or scale the number of a key in a tree of specs as plain data."""
        *branches, leaf = key.split(".")
        for branch in branches:
            tree = tree[branch]
        if self.set is not None:
            tree[leaf] = _whole(self.set)
            return
        assert self.scale is not None
        if isinstance(tree[leaf], Mapping):  # encounters, by context
            tree[leaf] = {name: _whole(self.scale * x) for name, x in tree[leaf].items()}
        else:
            tree[leaf] = _whole(self.scale * tree[leaf])


#: What users write: specs, or plain data.
Interventions = Sequence[Intervention | Mapping[str, object]]


def read_interventions(interventions: Interventions | None) -> tuple[Intervention, ...]:
    """Return validated interventions from specs or plain data (SpecError)."""
    if interventions is None:
        return ()
    single = isinstance(interventions, str | Mapping | Intervention)
    if single or not isinstance(interventions, Iterable):
        raise SpecError(f"interventions: got {interventions!r}: must be a list")
    return tuple(
        Intervention.parse(data, path=f"interventions[{index}]")
        for index, data in enumerate(interventions)
    )


def apply_after_training(
    interventions: Sequence[Intervention], *, oversight: Oversight, deployment: Deployment
) -> tuple[Oversight, Deployment]:
    """Return oversight and deployment under interventions, in the order in which they are listed.

    Without any on these, the arguments themselves are returned. A second call on the output scales
    again what was scaled. Numbers are judged together, as one intervention may mend what another
    would break; a SpecError names the last one before which all was well.
    """
    trees: dict[str, Any] = {"oversight": oversight.model_dump()}
    trees["deployment"] = deployment.model_dump()
    culprit, problem = 0, None
    for index, intervention in enumerate(interventions):
        if intervention.subject not in AFTER:
            continue
        culprit = culprit if problem else index
        for key in matching(intervention.key, keys_after_training(intervention.subject)):
            intervention._change(trees, key)
        try:
            oversight = Oversight.parse(trees["oversight"], path="oversight")
            deployment = Deployment.parse(trees["deployment"], path="deployment")
            problem = None
        except SpecError as error:
            problem = error
    if problem:
        raise SpecError(f"interventions[{culprit}]: {problem}")
    return oversight, deployment


def matching(key: str, keys: Iterable[str]) -> tuple[str, ...]:
    """Return those keys that a key stands for: itself, those below it, with * for one name."""
    pattern = re.compile(re.escape(key).replace(r"\*", "[^.]+") + r"(\..+)?")
    return tuple(candidate for candidate in keys if pattern.fullmatch(candidate))


def keys_in_training(subject: str, scenario: Scenario) -> dict[str, str]:
    """Return the keys of all that may be changed in training, each with its full name.

    Of gaming and state, these are names of parameters (`habit.coding`, `awareness`); of all else,
    the keys themselves.
    """
    contexts = scenario.contexts
    if subject == "gaming":
        return {f"gaming.{name}": f"habit.{name}" for name in contexts}
    if subject == "state":
        names = parameter_names(scenario.values, contexts, scenario.answers)
        return {f"state.{name}": name for name in names}
    if subject == "agent":
        keys = [f"agent.{name}" for name in TRAITS]
    elif subject == "training":
        keys = [f"training.{name}" for name in TRAINING_NUMBERS]
    else:
        keys = [
            f"scenario.contexts.{name}.{number}{part}"
            for name, context in contexts.items()
            for number in CONTEXT_NUMBERS
            for part in ([f".{r}" for r in context.responses] if number == "reward" else [""])
        ]
    return {key: key for key in keys}


def keys_after_training(subject: str) -> tuple[str, ...]:
    """Return the keys of the numbers of `oversight` or `deployment`."""
    return tuple(_numbers(AFTER[subject](), subject))


def _numbers(spec: Spec, path: str) -> Iterator[str]:
    for name in type(spec).model_fields:
        value = getattr(spec, name)
        if isinstance(value, Spec):
            yield from _numbers(value, f"{path}.{name}")
        elif is_number(value):
            yield f"{path}.{name}"


def _whole(number: float) -> float:
    """Return a whole number as such, which is what counts have to be."""
    return int(number) if float(number).is_integer() else number
