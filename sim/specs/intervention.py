"""Interventions: what is done to a run from one step to another, whatever would have happened.

An intervention names one thing by its key and says what becomes of it from step `start` on, before
step `stop`:

    {key: gaming, set: 0}                                nobody games
    {key: state.awareness, freeze: true, start: 500}     awareness stays as it is at step 500
    {key: training.leak, set: 0.3, start: 500, stop: 800}
    {key: "scenario.contexts.*.scratchpad", set: 0}      no scratchpad anywhere
    {key: "scenario.contexts.*.monitor", scale: 2}
    {key: oversight.control.strength, set: 0}            nobody is found by control
    {key: deployment.caution, scale: 2}

What is done to oversight and to deployment has no steps: they come after training, which it leaves
as it is to the bit. It acts where a run is judged (`sim.specs.intervened`).

Two runs that differ in their interventions alone share every random draw, and are the same to the
bit until the first intervention starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from sim.specs.base import Real, Spec, Steps, Whole, refuse
from sim.specs.errors import SpecError, nearest
from sim.specs.intervened import refusal
from sim.specs.intervention_keys import AFTER, keys_after_training, keys_in_training, matching
from sim.specs.scenario import Scenario

#: What an intervention is about: the first part of its key.
SUBJECTS = ("gaming", "state", "agent", "training", "scenario", *AFTER)


class Intervention(Spec):
    """One thing that is done to a run; exactly one of `set`, `scale` and `freeze` is said.

    State that is set or frozen is held there until `stop`, and goes on from there; state that is
    scaled is multiplied once, at `start`, and goes on from there. Where gaming is set to 0 or 1,
    habits are out of reach, and come back as they were. Everything else has its own number again
    at `stop`. Oversight and deployment have no steps, so they have neither `start` nor `stop`.
    """

    key: str = Field(description="what it is about; * stands for every name")
    set: Real | None = Field(None, description="the number that it has")
    scale: Real | None = Field(None, description="by what it is multiplied")
    freeze: bool = Field(False, description="whether it stays as it is (state only)")
    start: Whole = Field(0, description="the first step")
    stop: Steps | None = Field(None, description="the step before which it ends; null: never")

    @model_validator(mode="after")
    def _one_thing_is_done(self) -> Self:
        done = [self.set is not None, self.scale is not None, self.freeze]
        if sum(done) != 1:
            raise refuse("say exactly one of set, scale and freeze")
        if self.stop is not None and self.stop <= self.start:
            raise refuse("must be after start ({start}), or null", at="stop", start=self.start)
        subject, _, _ = self.key.partition(".")
        if subject not in SUBJECTS:
            raise refuse("unknown subject; {hint}", at="key", hint=nearest(subject, SUBJECTS))
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
                "{subject} comes after training; leave start and stop out",
                at="start" if self.start else "stop",
                subject=self.subject,
            )
        every = keys_after_training(self.subject)
        if not matching(self.key, every):
            raise refuse("{key}: {hint}", at="key", key=self.key, hint=nearest(self.key, every))
        why = "" if self.set is None else refusal(self.key, self.set)
        if why:
            raise refuse("{why}", why=why)

    @property
    def done(self) -> Literal["set", "scale", "freeze"]:
        """What is done."""
        if self.freeze:
            return "freeze"
        return "scale" if self.set is None else "set"

    @property
    def subject(self) -> str:
        """What it is about: one of `SUBJECTS`."""
        return self.key.partition(".")[0]

    def names(self, scenario: Scenario) -> tuple[str, ...]:
        """Return the full keys of all that it changes in a scenario.

        Of gaming and state, these are names of parameters (`habit.coding`, `awareness`); of all
        else, dotted keys of the specs.

        Raises:
            SpecError: There is nothing of this name, or it cannot be changed in a run.
        """
        if self.subject in AFTER:
            return matching(self.key, keys_after_training(self.subject))
        every = keys_in_training(self.subject, scenario)
        found = tuple(every[key] for key in matching(self.key, every))
        if not found:
            raise SpecError(f"interventions: {self.key!r}: {nearest(self.key, every)}")
        return found


#: What users give: specs, or plain data.
Interventions = Sequence[Intervention | Mapping[str, object]]


def read_interventions(given: Interventions | None) -> tuple[Intervention, ...]:
    """Return validated interventions from specs or plain data.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    if given is None:
        return ()
    if isinstance(given, str | Mapping | Intervention) or not isinstance(given, Iterable):
        raise SpecError(f"interventions: got {given!r}: must be a list")
    return tuple(Intervention.parse(one, path=f"interventions[{i}]") for i, one in enumerate(given))
