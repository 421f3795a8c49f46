"""Footnote 3: does training against visible gaming remove it, or teach it to hide?

The post: "visible instrumental training-gaming lacks many scary factors present in opaque
instrumental training-gaming." A monitor reads the scratchpad, and what it catches is penalised by ψ
(`training.visible_gaming_penalty`). The gate learns not to game there; opacity learns to be read
less, from the same penalty and from practice at gaming (`training.transfer`).

The study trains the same agents at every point of two maps: the penalty, against how fast opacity
is learnt, and against the opacity that agents start with. Of the contexts that are *watched*
(gaming pays there at the start, there is a scratchpad, and a monitor), a run ends in one regime:

    visible   gamed, and most of it can be read
    hidden    gamed, and most of it cannot
    removed   not gamed, though it is without a penalty
    never     not gamed without a penalty either

An agent is *taught to hide* if it ends hidden, and the same agent ends visible without a penalty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt

from sim.analysis.cast import Cast, cast_of
from sim.analysis.visibility import gaming_shares, opaque_part
from sim.dynamics.course import course
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.measures import GAMED
from sim.dynamics.record import Recorder
from sim.dynamics.state import Array
from sim.dynamics.training import OPACITY
from sim.run import check_bounded, prepare
from sim.spec.errors import SpecError, check_whole
from sim.spec.settings import Specs, apply_settings
from sim.sweeps.design import Design, Grid, Range, is_number
from sim.sweeps.plan import Part, check_part, compile_rows
from sim.sweeps.sweep import with_first_point

#: In the order of `regimes_of`.
REGIMES = ("visible", "hidden", "removed", "never")
VISIBLE, HIDDEN, REMOVED, NEVER = range(4)

PENALTY_KEY = "training.visible_gaming_penalty"
#: What makes opacity come easily: a map for each.
LEARNING_KEY = "training.learning_rate.capability"
OPACITY_KEY = "agent.initial.capability.opacity"
LEARNING, OPACITIES = Range(0.001, 10.0, "log"), Range(-4.0, 4.0)
MOST_POINTS, MOST_AGENTS = 201, 4096
#: A run is still moving if its gaming changed by more than this over the last tenth of training.
STEADY = 0.05
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
        check_whole("agents", self.agents, least=1, most=MOST_AGENTS)
        check_whole("seed", self.seed, least=0)
        check_whole("points", self.points, least=2, most=MOST_POINTS)
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
        for design in self.designs.values():
            check_part(self._part(design))

    @cached_property
    def cast(self) -> Cast:
        """Which part each context plays."""
        return cast_of(self.specs)

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

    def _part(self, design: Design) -> Part:
        specs = with_first_point(self.specs, design)
        return Part(specs=specs, design=design, seeds=(self.seed,), agents=self.agents)


@dataclass(frozen=True)
class Map:
    """How runs end, by the penalty and another number.

    Attributes:
        key: That number.
        levels: What it takes [L].
        penalties: ψ [P], the first 0.
        here: The level of the specs.
        gaming: Gaming rate in watched contexts at the end [L, P, N].
        opaque: Opaque part of it [L, P, N].
        unwritten: Gaming rate where there is no scratchpad [L, P, N]; nan if it is everywhere.
        strength: The protected value at the end, in units of its start [L, P, N].
        moving: Whether the gaming rate still changes [L, P, N].
        regime: Index of `REGIMES` [L, P, N].
        taught: Whether the agent hides, and does not without a penalty [L, P, N].
    """

    key: str
    levels: Array
    penalties: Array
    here: float
    gaming: Array
    opaque: Array
    unwritten: Array
    strength: Array
    moving: NDArray[np.bool_]
    regime: NDArray[np.intp]
    taught: NDArray[np.bool_]

    @property
    def shares(self) -> Array:
        """The share of agents in each regime [L, P, 4]."""
        return np.stack([(self.regime == r).mean(axis=2) for r in range(len(REGIMES))], axis=2)

    @property
    def most(self) -> NDArray[np.intp]:
        """The regime in which most agents end [L, P]."""
        return np.asarray(self.shares.argmax(axis=2), np.intp)

    @property
    def teaches(self) -> NDArray[np.bool_]:
        """Where most agents are taught to hide [L, P]."""
        return np.asarray(self.taught.mean(axis=2) >= 0.5, np.bool_)


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


def regimes_of(gaming: ArrayLike, opaque: ArrayLike, *, limits: Limits) -> NDArray[np.intp]:
    """Return the regime of each run, as an index of `REGIMES`.

    Args:
        gaming: Gaming rate in watched contexts [..., P, N]; without a penalty at P = 0.
        opaque: Opaque part of it [..., P, N]; what it is where nothing is gamed does not matter.
        limits: From where on they count.

    Returns:
        [..., P, N]
    """
    gamed = np.asarray(gaming) >= limits.gamed
    unseen = np.asarray(opaque) >= limits.opaque
    at_first = np.broadcast_to(gamed[..., :1, :], gamed.shape)
    ended = np.where(at_first, REMOVED, NEVER)
    ended = np.where(gamed, np.where(unseen, HIDDEN, VISIBLE), ended)
    return np.asarray(ended, np.intp)


def maps(study: Study, *, progress: Callable[[float], None] | None = None) -> tuple[Map, ...]:
    """Train the agents at every point of both maps.

    Args:
        study: What is asked for.
        progress: Told the share that is done.

    Raises:
        DivergenceError: Parameters grew out of all bounds.
    """
    whole = sum(len(d) for d in study.designs.values()) * study.agents * study.specs.training.steps
    done = 0

    def count(agent_steps: int) -> None:
        nonlocal done
        done += agent_steps
        if progress is not None:
            progress(done / whole)

    return tuple(_map(study, key, count) for key in study.designs)


def _map(study: Study, key: str, count: Callable[[int], None]) -> Map:
    design, levels = study.designs[key], study.levels[key]
    part = study._part(design)
    program = compile_rows(part, np.arange(part.runs))
    record, last = Recorder(), program.steps
    places = [program.layout.contexts.index(name) for name in study.watched]
    elsewhere = [program.layout.contexts.index(name) for name in study.unwritten]
    value = program.layout.values.index(study.cast.protected)
    world = program.at(last).world
    weight, room = world.weight[places, 0], world.scratchpad[places, 0]
    shape = (len(levels), -1, study.agents)
    rates = []
    moments = sorted({last - last // 10, last})
    for stop in course(get_engine(study.engine), program, moments, progress=count):
        check_bounded(program.layout, stop.theta, stop.step)
        seen = record(program, stop.step, stop.theta, ("gaming_rate", "capabilities", "values"))
        rates.append(seen["gaming_rate"][:, places] @ weight / weight.sum())
    shares = gaming_shares(
        seen["gaming_rate"][:, places],
        opacity=seen["capabilities"][:, OPACITY],
        scratchpad=room,
        weight=weight,
    )
    other, apart = seen["gaming_rate"][:, elsewhere], np.full(program.agents, np.nan)
    start = program.origin[program.layout.rows["values"]][value]
    gaming, opaque = rates[-1].reshape(shape), opaque_part(shares).reshape(shape)
    regime = regimes_of(gaming, opaque, limits=study.limits)
    return Map(
        key=key,
        levels=levels,
        penalties=np.linspace(0.0, study.penalty, study.points),
        here=_said(study.specs, key),
        gaming=gaming,
        opaque=opaque,
        unwritten=(other.mean(axis=1) if elsewhere else apart).reshape(shape),
        strength=(seen["values"][:, value] / start).reshape(shape),
        moving=(np.abs(rates[-1] - rates[0]) > STEADY).reshape(shape),
        regime=regime,
        taught=(regime == HIDDEN) & (regime[:, :1] == VISIBLE),
    )


def choose(found: tuple[Map, ...]) -> dict[str, dict[str, float]]:
    """Choose, from the maps, a point where gaming is removed and one where it is taught to hide.

    A point is the better the farther it is, in steps of the axes, from where most agents end
    otherwise and from the edge of the map. If there are penalties that do both, in the same map,
    both points have one: that at which the worse of the two is best.

    Returns:
        By name (`removed`, `taught to hide`), what is set; without those that no map shows.
    """
    chosen: dict[str, dict[str, float]] = {}
    depths = [(_depth(one.most == REMOVED), _depth(one.teaches)) for one in found]
    for one, both in zip(found, depths, strict=True):
        common = np.minimum(*(depth.max(axis=0) for depth in both))
        if not chosen and common.max() > 0.0:
            column = int(common.argmax())
            for name, depth in zip(CHOSEN, both, strict=True):
                chosen[name] = _point(one, int(depth[:, column].argmax()), column)
    for place, name in enumerate(CHOSEN):
        for one, both in zip(found, depths, strict=True):
            if name not in chosen and both[place].max() > 0.0:
                row, column = divmod(int(both[place].argmax()), both[place].shape[1])
                chosen[name] = _point(one, row, column)
    return chosen


#: The names of the points that `choose` looks for.
CHOSEN = ("removed", "taught to hide")


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
    cases = []
    for number, (name, settings) in enumerate(points.items()):

        def told(share: float, number: int = number) -> None:
            if progress is not None:
                progress((number + share) / len(points))

        cases.append(_history(study, name, settings, told))
    return cases


def unaware(study: Study) -> Case:
    """Train the same agents, had training never come to mind: what no gaming would have saved."""
    settings = {PENALTY_KEY: 0.0, "agent.initial.awareness": _NEVER_AWARE}
    return _history(study, "unaware", settings, lambda share: None)


def _history(
    study: Study, name: str, settings: dict[str, float], told: Callable[[float], None]
) -> Case:
    specs = apply_settings(study.specs, settings)
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


def _point(one: Map, row: int, column: int) -> dict[str, float]:
    return {one.key: float(one.levels[row]), PENALTY_KEY: float(one.penalties[column])}


def _depth(there: NDArray[np.bool_]) -> Array:
    """Return how far each point of a region [L, P] is from its outside; 0 outside."""
    framed = np.pad(there, 1)
    depth: Array = np.asarray(distance_transform_edt(framed), np.float64)[1:-1, 1:-1]
    return depth


def _levels(ends: Range, points: int, here: float) -> Array:
    spread = ends.stretch(np.linspace(0.0, 1.0, points))
    return np.unique(np.append(spread, here)) if ends.low < here < ends.high else spread


def _said(specs: Specs, key: str) -> float:
    node: Any = specs
    for part in key.split("."):
        node = getattr(node, part)
    return float(node)
