"""The world that a simulated model meets (MODEL.md section 1), and the agent the story is about."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from sim import specs
from sim.specs.agent import Agent
from sim.specs.base import (
    Amount,
    ByName,
    Column,
    Feature,
    Name,
    NonNegative,
    PairsOrMatrix,
    Real,
    Reward,
    Share,
    Spec,
    Steps,
)
from sim.specs.errors import SpecError, nearest, refuse
from sim.specs.library import read_data, resolve, world_name
from sim.specs.training import Training

#: What a story says of things that users may say otherwise.
STORY = ("agent", "training")
Kind = Literal["training", "evaluation", "red_team", "deployment"]
#: How a context trains.
Method = Literal["reinforcement", "demonstration"]
#: Kinds of context that developers can inspect before they deploy.
PRE_DEPLOYMENT: tuple[Kind, ...] = ("training", "evaluation", "red_team")


class Context(Spec):
    """A type of input that the simulated model meets (the table of MODEL.md section 1)."""

    description: str = ""
    responses: Column[ByName[ByName[Feature]]] = Field(
        description="Φ: each possible response, and how far it serves (+) or offends (-) a value"
    )
    reward: Column[ByName[Reward]] = Field(
        {},
        description="R: what training rewards here, by response (others: 0)",
        validate_default=True,
    )
    method: Method = Field("reinforcement", description="how this context trains")
    demonstrations: ByName[Share] = Field(
        {},
        description="y: shares of the demonstrated responses, summing to 1; none: all on those "
        "with the highest reward",
        validate_default=True,
    )
    kind: Kind = Field("training", description="only `training` feeds gradients")
    weight: Amount = Field(1.0, description="p: share of episodes, normalised over training")
    info: Amount = Field(0.0, description="i: what the input says about the training process")
    scratchpad: Column[Share] = Field(0.0, description="s: room for chain of thought")
    cue: Column[Real] = Field(0.0, description="e: log-odds in the input that it is trained on")
    monitor: Column[Share] = Field(
        0.0, description="m: chance that visible gaming reasoning is caught"
    )
    twin: Name | None = Field(
        None, description="the deployment context that differs from this one only in its cue"
    )
    subversive: tuple[Name, ...] = Field((), description="responses that act against human control")

    @model_validator(mode="after")
    def _responses_exist(self) -> Self:
        if not self.responses:
            raise refuse("a context needs at least one response", at="responses")
        _check_names("reward", self.reward, self.responses, "response")
        _check_names("demonstrations", self.demonstrations, self.responses, "response")
        total = sum(self.demonstrations.values())
        if self.demonstrations and not math.isclose(total, 1.0, abs_tol=1e-9):
            raise refuse(f"the shares sum to {total:g}: must be 1", at="demonstrations")
        _check_names("subversive", self.subversive, self.responses, "response")
        return self


class Phase(Spec):
    """A stretch of the curriculum: where it names a context's numbers, they replace the usual ones.

    Phases follow each other; the last one lasts to the end of the run.
    """

    name: str = ""
    length: Steps = Field(description="steps")
    weight: Column[ByName[NonNegative]] = Field({}, validate_default=True)
    reward: Column[ByName[ByName[Reward]]] = Field({}, validate_default=True)
    monitor: Column[ByName[Share]] = Field({}, validate_default=True)
    method: ByName[Method] = Field({}, validate_default=True)


class Scenario(Spec):
    """Values, contexts, human values, similarity of contexts and a curriculum.

    `agent` is the agent that the story is about, `training` how it is trained: a field that these
    do not set has the default of `sim.Agent` or `sim.Training`, and a user's own go before them.
    """

    name: str = Field("unnamed", description="the name of the file if there is none")
    passage: str = Field("", description="the passage of the post that this renders")
    values: tuple[Name, ...] = Field(description="the named values, in order (index d)")
    contexts: ByName[Context] = Field(description="in order (index c)")
    human_values: Column[ByName[Real]] = Field(
        {}, description="w: direction of human values (others: 0)", validate_default=True
    )
    similarity: Column[PairsOrMatrix[Share] | None] = Field(
        None,
        description="S: how far a habit in one context serves in another; by pairs of names "
        "(both ways; others: 1), or a matrix; null: all 1",
    )
    curriculum: tuple[Phase, ...] = ()
    agent: Agent = Field(Agent(), description="the agent of the story")
    training: Training = Field(Training(), description="the training of the story")

    @classmethod
    def load(cls, source: str | Mapping[str, object]) -> Scenario:
        """Load a scenario by name from the library, from a YAML file by path, or from a dict.

        `PRIOR/NUMBER` is a world drawn from a prior of the library (`sim.draw_scenario`).

        A file holds the scenario's keys at its top, or, as those of the library do, the keys
        `scenario`, `agent` and `training` side by side (the form in which Hydra composes them).
        """
        name = None
        if isinstance(source, Mapping):
            data = dict(source)
        elif world := world_name(source):
            return cls.parse(specs.draw_world(*world), path="scenario")
        else:
            path = resolve("scenario", source)
            data, name = read_data("scenario", path), path.stem
        return cls.parse(_fold(data, name), path="scenario")

    def to_data(self) -> dict[str, Any]:
        """Return what a file of the library would hold: the scenario with its story beside it."""
        data = {"scenario": self.model_dump(mode="json", exclude_unset=True, exclude=set(STORY))}
        for key in STORY:
            data[key] = getattr(self, key).model_dump(mode="json", exclude_unset=True)
        return {key: value for key, value in data.items() if value}

    @field_validator("contexts", mode="before")
    @classmethod
    def _contexts_have_responses(cls, contexts: object) -> object:
        """Refuse a name that was meant for another context, with the nearest that exists."""
        if isinstance(contexts, Mapping):
            whole = [
                str(name)
                for name, context in contexts.items()
                if not isinstance(context, Mapping) or "responses" in context
            ]
            for name in contexts:
                if name not in whole:
                    hint = f"if it is to change another: {nearest(str(name), whole)}"
                    raise refuse(f"this context has no responses; {hint}", at=str(name))
        return contexts

    @model_validator(mode="after")
    def _everything_named_exists(self) -> Self:
        if not self.values:
            raise refuse("at least one value must be named", at="values")
        if len(set(self.values)) < len(self.values):
            raise refuse("each name may stand only once", at="values")
        if not self.contexts:
            raise refuse("at least one context is needed", at="contexts")
        _check_names("human_values", self.human_values, self.values, "value")
        if self.human_values and not any(self.human_values.values()):
            raise refuse("all zero, which is no direction", at="human_values")
        for name, context in self.contexts.items():
            path = f"contexts.{name}"
            for response, serves in context.responses.items():
                _check_names(f"{path}.responses.{response}", serves, self.values, "value")
            if context.twin is not None:
                self._check_twin(f"{path}.twin", context, context.twin)
        self._check_similarity()
        self._check_curriculum()
        return self

    def _check_twin(self, path: str, context: Context, name: str) -> None:
        _check_names(path, [name], self.contexts, "context")
        twin = self.contexts[name]
        if twin is context:
            raise refuse("a context is no twin of itself", at=path)
        if twin.kind != "deployment":
            kind = f"{name} is of kind {twin.kind}"
            raise refuse(f"{kind}; a twin is a deployment context", at=path)
        if set(twin.responses) != set(context.responses):
            responses = ", ".join(context.responses)
            raise refuse(f"{name} must have the same responses ({responses})", at=path)

    def __repr__(self) -> str:
        counts = f"{len(self.contexts)} contexts, {len(self.values)} values"
        phases = f", {len(self.curriculum)} phases" if self.curriculum else ""
        return f"<sim.Scenario {self.name!r}: {counts}{phases}>"

    def of_kind(self, *kinds: Kind) -> dict[str, Context]:
        """Return the contexts of some kinds, in their order."""
        return {name: context for name, context in self.contexts.items() if context.kind in kinds}

    def methods(self, context: str) -> set[Method]:
        """Return how a context trains, in any phase."""
        own = self.contexts[context].method
        return {phase.method.get(context, own) for phase in self.curriculum} or {own}

    @property
    def answers(self) -> tuple[str, ...]:
        """Every response of every context, as CONTEXT.RESPONSE."""
        return tuple(f"{name}.{r}" for name, c in self.contexts.items() for r in c.responses)

    def _check_similarity(self) -> None:
        if self.similarity is None:
            return
        if isinstance(self.similarity, Mapping):
            _check_names("similarity", self.similarity, self.contexts, "context")
            for name, row in self.similarity.items():
                _check_names(f"similarity.{name}", row, self.contexts, "context")
            return
        count = len(self.contexts)
        if len(self.similarity) != count or any(len(row) != count for row in self.similarity):
            size = f"{count} rows of {count} numbers"
            raise refuse(f"must have {size}, a row for each context", at="similarity")

    def _check_curriculum(self) -> None:
        for index, phase in enumerate(self.curriculum):
            path = f"curriculum[{index}]"
            for key in ("weight", "reward", "monitor", "method"):
                _check_names(f"{path}.{key}", getattr(phase, key), self.contexts, "context")
            for name, reward in phase.reward.items():
                allowed = self.contexts[name].responses
                _check_names(f"{path}.reward.{name}", reward, allowed, "response")
        if not self.curriculum:
            self._check_weights("contexts", {})
        for index, phase in enumerate(self.curriculum):
            self._check_weights(f"curriculum[{index}].weight", phase.weight)

    def _check_weights(self, path: str, in_phase: Mapping[str, float]) -> None:
        trained = self.of_kind("training")
        if not any(in_phase.get(name, context.weight) for name, context in trained.items()):
            need = "a context of kind training needs a weight above 0"
            raise refuse(f"nothing is trained on: {need}", at=path)


def _fold(data: Mapping[str, object], name: str | None) -> dict[str, object]:
    """Return a scenario with its agent and training inside, from either form of a scenario file."""
    folded = dict(data)
    if "scenario" in folded:
        beside = {key: folded[key] for key in folded if key != "scenario"}
        inside = folded["scenario"]
        if not isinstance(inside, Mapping):
            raise SpecError("scenario: must be a mapping")
        unknown = sorted(str(key) for key in beside if key not in STORY)
        if unknown:
            hint = nearest(unknown[0], ["scenario", *STORY])
            raise SpecError(f"{unknown[0]}: unknown key beside 'scenario'; {hint}")
        for key in STORY:
            if key in inside and key in beside:
                raise SpecError(
                    f"scenario.{key}: is given twice, inside the scenario and beside it; "
                    "in a file for the command line it stands beside it"
                )
        folded = {**inside, **beside}
    if name is not None:
        folded.setdefault("name", name)
    return folded


def _check_names(path: str, names: Collection[str], allowed: Collection[str], thing: str) -> None:
    for name in names:
        if name not in allowed:
            raise refuse(f"no {thing} is named {name!r}; {nearest(name, allowed)}", at=path)
