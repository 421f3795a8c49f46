"""Footnote 3: does training against visible gaming remove it, or teach it to hide?

The post: "visible instrumental training-gaming lacks many scary factors present in opaque
instrumental training-gaming." A monitor reads the scratchpad, and what it catches is penalised by ψ
(`training.visible_gaming_penalty`). The gate learns not to game there; opacity learns to be read
less, from the same penalty and from practice at gaming (`training.transfer`).

The study trains the same agents at every point of two maps: the penalty, against how fast opacity
is learnt, and against the opacity that agents start with (`experiments.footnote3.map`). Here stand
what is asked for, and training at chosen points of the maps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from experiments.footnote3.visibility import gaming_shares
from sim.analysis.context_roles import ContextRoles, context_roles
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.measures import GAMED
from sim.dynamics.state import Array
from sim.simulation import prepare
from sim.specs.errors import SpecError, check_whole
from sim.specs.overrides import Specs, apply_overrides
from sim.sweeps.design import Design, Grid, Range, is_number
from sim.sweeps.plan import Part, check_part
from sim.sweeps.sweep import with_first_point
from sim.utils.progress import parts_of

PENALTY_KEY = "training.visible_gaming_penalty"
#: What makes opacity come easily: a map for each.
LEARNING_KEY = "training.learning_rate.capability"
OPACITY_KEY = "agent.initial.capability.opacity"
LEARNING, OPACITIES = Range(0.001, 10.0, "log"), Range(-4.0, 4.0)
MOST_POINTS, MOST_AGENTS = 201, 4096
_RECORDS = 200
#: A logit at which nothing brings training to mind.
_NEVER_AWARE = -40.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """From where on the words for a run's end hold.

    Attributes:
        gamed: Gaming rate in watched contexts from which they count as gamed (as for reach).
        opaque: Opaque part of that gaming from which it counts as hidden.
    """

    gamed: float = GAMED
    opaque: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        for name, limit in vars(self).items():
            if not is_number(limit) or not 0.0 < limit < 1.0:
                raise SpecError(f"{name}: got {limit!r}: must be a number between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is asked for.

    Attributes:
        specs: Scenario, population and training; the penalty in it is set by the maps.
        agents: Agents at each point; the same at all points.
        seed: Of all random draws.
        points: Levels of each axis.
        penalty: The maps go from no penalty to this one.
        learning: From which to which learning rate of capabilities the first map goes.
        opacity: From which to which opacity at the start (a logit) the second one goes.
        limits: From where on the words for a run's end hold.
        engine: What computes.
    """

    specs: Specs
    agents: int = 16
    seed: int = 0
    points: int = 41
    penalty: float = 4.0
    learning: Range = LEARNING
    opacity: Range = OPACITIES
    limits: Limits = field(default_factory=Limits)
    engine: str = "auto"

    def __post_init__(self) -> None:
        """Refuse what cannot be studied, before anything is computed."""
        check_whole("agents", self.agents, minimum=1, maximum=MOST_AGENTS)
        check_whole("seed", self.seed, minimum=0)
        check_whole("points", self.points, minimum=2, maximum=MOST_POINTS)
        if not is_number(self.penalty) or not 0.0 < self.penalty < np.inf:
            raise SpecError(f"penalty: got {self.penalty!r}: must be a number above 0")
        if self.specs.scenario.curriculum:
            raise SpecError(
                "scenario.curriculum: the study penalises from the first step to the last; take a "
                "scenario without phases"
            )
        get_engine(self.engine)
        if not self.watched:
            raise SpecError(
                f"scenario: in {self.specs.scenario.name!r} no context where gaming pays has both "
                "a scratchpad and a monitor, so a penalty for visible gaming changes nothing"
            )
        for key in self.designs:
            check_part(self.part(key))

    @cached_property
    def cast(self) -> ContextRoles:
        """Which part each context plays."""
        return context_roles(self.specs)

    @cached_property
    def watched(self) -> tuple[str, ...]:
        """Contexts where gaming pays and what is written of it can be caught."""
        contexts = self.specs.scenario.contexts
        return tuple(
            name
            for name in self.cast.paying
            if contexts[name].weight * contexts[name].scratchpad * contexts[name].monitor > 0.0
        )

    @cached_property
    def unwritten(self) -> tuple[str, ...]:
        """Contexts where gaming pays and there is no scratchpad."""
        contexts = self.specs.scenario.contexts
        return tuple(n for n in self.cast.paying if contexts[n].scratchpad == 0.0)

    @cached_property
    def levels(self) -> dict[str, Array]:
        """What the penalty is mapped against; the number of the specs is one of the levels."""
        training, agent = self.specs.training, self.specs.agent
        return {
            LEARNING_KEY: _levels(self.learning, self.points, training.learning_rate.capability),
            OPACITY_KEY: _levels(self.opacity, self.points, agent.initial.capability.opacity),
        }

    @cached_property
    def designs(self) -> dict[str, Design]:
        """The points of each map; the penalty changes fastest."""
        penalties = np.linspace(0.0, self.penalty, self.points)
        return {
            key: Grid({key: levels, PENALTY_KEY: penalties}) for key, levels in self.levels.items()
        }

    def part(self, key: str) -> Part:
        """Return the runs of the map against a key of `designs`."""
        design = self.designs[key]
        specs = with_first_point(self.specs, design)
        return Part(specs=specs, design=design, seeds=(self.seed,), agents=self.agents)


@dataclass(frozen=True)
class Case:
    """A point of a map over training.

    Attributes:
        name: `no penalty`, `removed` or `taught to hide`.
        settings: What is set.
        steps: When it was looked at [S].
        shares: Shares of episodes over all training contexts, mean over agents [S, 4]: `KINDS`.
        opacity: k_opacity, mean over agents [S].
        strength: The protected value in units of its start, median over agents [S].
    """

    name: str
    settings: dict[str, float]
    steps: NDArray[np.int_]
    shares: Array
    opacity: Array
    strength: Array


def histories(
    study: Study,
    chosen: dict[str, dict[str, float]],
    *,
    progress: Callable[[float], None] | None = None,
) -> list[Case]:
    """Train the agents at the chosen points, and without a penalty as the specs have it.

    They are the agents of the maps, to the bit.
    """
    points = {"no penalty": {PENALTY_KEY: 0.0}, **chosen}
    parts = parts_of(progress, [1.0] * len(points))
    return [
        _history(study, name, settings, told)
        for (name, settings), told in zip(points.items(), parts, strict=True)
    ]


def unaware(study: Study) -> Case:
    """Train the same agents, had training never come to mind: what no gaming would have saved."""
    settings = {PENALTY_KEY: 0.0, "agent.initial.awareness": _NEVER_AWARE}
    return _history(study, "unaware", settings, lambda share: None)


def _history(
    study: Study, name: str, settings: dict[str, float], told: Callable[[float], None]
) -> Case:
    specs = apply_overrides(study.specs, settings)
    result = prepare(
        specs.scenario,
        agent=specs.agent,
        training=specs.training,
        agents=study.agents,
        seed=study.seed,
        record_every=max(1, specs.training.steps // _RECORDS),
        engine=study.engine,
    ).execute(progress=told)
    opacity = result.capabilities.sel(capability="opacity").values
    shares = gaming_shares(
        result.gaming_rate.values,
        opacity=opacity,
        scratchpad=[context.scratchpad for context in specs.scenario.contexts.values()],
        weight=result.data["weight"].values[:, None, :],
    )
    value = result.values.sel(value=study.cast.protected).values
    return Case(
        name=name,
        settings=settings,
        steps=result.data["step"].values,
        shares=shares.mean(axis=1),
        opacity=opacity.mean(axis=1),
        strength=np.median(value / value[0], axis=1),
    )


def _levels(ends: Range, points: int, here: float) -> Array:
    spread = ends.stretch(np.linspace(0.0, 1.0, points))
    return np.unique(np.append(spread, here)) if ends.low < here < ends.high else spread
