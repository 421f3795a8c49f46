"""The settings of the study, and the runs of its two maps.

The post: "visible instrumental training-gaming lacks many scary factors present in opaque
instrumental training-gaming." A monitor reads the scratchpad, and what it catches is penalised by ψ
(`training.visible_gaming_penalty`). The gate learns not to game there; opacity learns to be read
less, from the same penalty and from practice at gaming (`training.transfer`).

A map has the penalty on one axis, and on the other how fast opacity is learnt, or the opacity that
agents start with.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from sim.analysis.context_roles import ContextRoles, context_roles
from sim.cli.fields import End, Engine, Interval, Real, Seed, Spec
from sim.dynamics.state import Array
from sim.specs.errors import SpecError
from sim.specs.keys import value_at
from sim.specs.overrides import Specs
from sim.sweeps.design import Design, Grid, Range
from sim.sweeps.plan import Part, check_part
from sim.sweeps.sweep import with_first_point

PENALTY_KEY = "training.visible_gaming_penalty"
#: What makes opacity come easily: a map for each.
LEARNING_KEY = "training.learning_rate.capability"
OPACITY_KEY = "agent.initial.capability.opacity"


def check_above_0(number: float) -> float:
    """Refuse a number that is 0 or less."""
    if not number > 0.0:
        raise PydanticCustomError("above", "must be a number above 0")
    return number


def check_inside(share: float) -> float:
    """Refuse a number that does not lie between 0 and 1, or is one of them."""
    if not 0.0 < share < 1.0:
        raise PydanticCustomError("inside", "must be a number between 0 and 1")
    return share


#: A share that separates two classes.
Limit = Annotated[Real, AfterValidator(check_inside)]


class Settings(Spec):
    """The study's own keys; their meaning and defaults are in config.yaml."""

    agents: Annotated[int, Field(ge=1, le=4096, strict=True)]
    seed: Seed
    points: Annotated[int, Field(ge=2, le=201, strict=True)]
    penalty: Annotated[End, AfterValidator(check_above_0)]
    learning: Interval
    opacity: Interval
    gamed: Limit
    opaque: Limit
    engine: Engine


@dataclass(frozen=True)
class StudyDesign:
    """The runs of both maps, in which the same agents are trained at every point."""

    specs: Specs
    settings: Settings

    def check(self) -> None:
        """Refuse what cannot be studied, before anything is computed.

        Raises:
            SpecError: The scenario has phases, or no context to penalise, or a run of a map would
                be refused.
        """
        scenario = self.specs.scenario
        if scenario.curriculum:
            raise SpecError(
                "scenario.curriculum: the study penalises from the first step to the last; take a "
                "scenario without phases"
            )
        if not self.watched:
            raise SpecError(
                f"scenario: in {scenario.name!r} no context where gaming pays has both "
                "a scratchpad and a monitor, so a penalty for visible gaming changes nothing"
            )
        for key in self.levels:
            check_part(self.part(key))

    @cached_property
    def roles(self) -> ContextRoles:
        """Contexts in which gaming pays, and the value that it protects."""
        return context_roles(self.specs)

    @cached_property
    def watched(self) -> tuple[str, ...]:
        """Contexts where gaming pays and what is written of it can be caught."""
        contexts = self.specs.scenario.contexts
        return tuple(
            name
            for name in self.roles.paying
            if contexts[name].weight * contexts[name].scratchpad * contexts[name].monitor > 0.0
        )

    @cached_property
    def unwritten(self) -> tuple[str, ...]:
        """Contexts where gaming pays and there is no scratchpad."""
        contexts = self.specs.scenario.contexts
        return tuple(name for name in self.roles.paying if contexts[name].scratchpad == 0.0)

    @cached_property
    def penalties(self) -> Array:
        """Levels of ψ on both maps [P], the first 0."""
        return np.linspace(0.0, self.settings.penalty, self.settings.points)

    @cached_property
    def levels(self) -> dict[str, Array]:
        """Levels [L] of the other axis by its key; the level of the specs is among them."""
        learning = Range.read((*self.settings.learning, "log"), "learning")
        opacity = Range.read(self.settings.opacity, "opacity")
        return {
            key: _levels(ends, self.settings.points, self.level_as_set(key))
            for key, ends in ((LEARNING_KEY, learning), (OPACITY_KEY, opacity))
        }

    def level_as_set(self, key: str) -> float:
        """Return the number that the specs have at a dotted key."""
        return float(value_at(self.specs, key))

    def part(self, key: str) -> Part:
        """Return the runs of the map against a key of `levels`; the penalty changes fastest."""
        design: Design = Grid({key: self.levels[key], PENALTY_KEY: self.penalties})
        specs = with_first_point(self.specs, design)
        settings = self.settings
        return Part(specs=specs, design=design, seeds=(settings.seed,), agents=settings.agents)


def _levels(ends: Range, points: int, level: float) -> Array:
    evenly = ends.stretch(np.linspace(0.0, 1.0, points))
    if not ends.low < level < ends.high:
        return evenly
    others = evenly[~np.isclose(evenly, level, rtol=1e-9, atol=0.0)]
    return np.unique(np.append(others, level))
