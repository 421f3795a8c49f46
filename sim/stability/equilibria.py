"""Stability: where training comes to rest, and what holds it there (MODEL.md section 5).

`equilibria` asks a scenario's exact training step, as a map, for its fixed points. Three kinds of
parameters are told apart first: *inert* ones, which no step moves; *followers*, capabilities that
grow with practice for ever and act on nothing; and *coordinates*, all others, which are solved for.
With an anchor, everything is a coordinate that is moved at all.

Without an anchor, training may come to rest nowhere. Then the answer is not a fixed point but what
is still moving, how fast, and whether what has died out could come back (`sim.stability.invasion`).
Where all that moves is gates, they saturate, and the corners at which they do are examined as
equilibria of their own.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.dynamics.randomness import uniform_pair
from sim.dynamics.state import Array
from sim.specs.agent import Agent
from sim.specs.errors import SpecError, check_whole, nearest
from sim.specs.overrides import Specs, read_specs
from sim.specs.scenario import Scenario
from sim.specs.training import Training
from sim.stability.fixed_points import FixedPoint, Kind, Survey, survey
from sim.stability.invasion import SATURATED, Invasion, Side, invasions
from sim.stability.log_odds import log_odds
from sim.stability.training_map import TrainingMap

#: From where to where starts are drawn, by kind of parameter; capabilities around the agent's own.
BOX: dict[str, tuple[float, float]] = {
    "values": (-2.0, 2.0),
    "habit": (-8.0, 8.0),
    "awareness": (-8.0, 4.0),
    "log_horizon": (-1.0, 3.0),
    "log_competence": (-1.0, 2.0),
}
#: A gate whose log-odds are beyond this, and still on their way out, is heading for saturation.
_HEADING = 2.0
#: Corners of so few gates are all looked at.
_MOST_ENUMERATED = 4
#: What is left when everything is saturated.
_CORNER = FixedPoint((), np.empty(0), np.empty(0, np.complex128), "stable", (), np.empty((0, 0)))
#: A parameter that moves by less than this in a step is at rest.
_AT_REST = 1e-12
_STREAM = "stability.start"


@dataclass(frozen=True)
class Equilibrium:
    """Where training can rest: a fixed point, or a corner at which gates are saturated.

    Attributes:
        point: The fixed point of everything that is not saturated.
        gaming_rate: g in every context there, by name.
        values: v there, by name.
        reached_by: Which starts come to rest there [N].
        saturated: Contexts whose gate is saturated there, with what has died out.
        against: For each of these, whether it would come back.
    """

    point: FixedPoint
    gaming_rate: Mapping[str, float]
    values: Mapping[str, float]
    reached_by: NDArray[np.bool_]
    saturated: Mapping[str, Side]
    against: tuple[Invasion, ...]

    @property
    def kind(self) -> Kind:
        """The class: of the point, with each saturated gate as one more direction."""
        coming_back = [invasion.grows for invasion in self.against]
        if any(coming_back) or not self.point.attracts:
            some_hold = not all(coming_back) or (np.abs(self.point.eigenvalues) < 1.0).any()
            return "saddle" if some_hold or self.point.kind == "saddle" else "unstable"
        undecided = any(not invasion.decided for invasion in self.against)
        return "neutral" if undecided else self.point.kind

    @property
    def attracts(self) -> bool:
        """Whether training that comes near stays near."""
        return self.kind in ("stable", "neutral")

    @property
    def share(self) -> float:
        """The share of starts that come to rest there: its part of the basins."""
        return float(self.reached_by.mean())


@dataclass(frozen=True)
class Equilibria:
    """What a scenario's training can come to rest at.

    Attributes:
        map: The training step as a map of the coordinates.
        inert: Parameters that nothing moves.
        followers: Capabilities that are moved, and on which nothing depends.
        points: The equilibria that were found: fixed points, then corners.
        unsettled: The share of starts that had come to rest nowhere.
        steps: After how many steps.
        stalled: Of `attempts` by Newton's method, how many did not converge.
        attempts: How many there were.
        own: The number, in `points`, of the one that the agent's own start leads to; None if it
            comes to rest nowhere.
        own_end: Where the agent's own start had come to, in the coordinates of the map.
        own_drift: What one more step changes there, by parameter that is not at rest.
        invasions: At that end, could what is rare come back? Empty with an anchor.
    """

    map: TrainingMap
    inert: tuple[str, ...]
    followers: tuple[str, ...]
    points: tuple[Equilibrium, ...]
    unsettled: float
    steps: int
    stalled: int
    attempts: int
    own: int | None
    own_end: Array
    own_drift: Mapping[str, float]
    invasions: tuple[Invasion, ...]

    @property
    def frame(self) -> pd.DataFrame:
        """A row for each equilibrium: class, share of starts, spectrum, gaming rates, values."""
        return pd.DataFrame(
            [
                {
                    "kind": one.kind,
                    "share": one.share,
                    "saturated": len(one.saturated),
                    "neutral": len(one.point.neutral),
                    "largest_eigenvalue": one.point.largest,
                    "memory": one.point.memory,
                    **{f"gaming_rate.{name}": rate for name, rate in one.gaming_rate.items()},
                    **{f"values.{name}": number for name, number in one.values.items()},
                }
                for one in self.points
            ]
        )


def equilibria(
    scenario: Scenario | str | Mapping[str, object],
    *,
    agent: Agent | Mapping[str, object] | None = None,
    training: Training | Mapping[str, object] | None = None,
    free: Sequence[str] = (),
    phase: int = -1,
    seed: int = 0,
    starts: int = 64,
    box: Mapping[str, tuple[float, float]] | None = None,
    steps: int = 20_000,
) -> Equilibria:
    """Find where a scenario's training can come to rest.

    Args:
        scenario: As for `simulate`.
        agent: As for `simulate`.
        training: As for `simulate`; the estimator must be exact.
        free: Parameters that may move, by name or kind; all if empty. The others are held where
            the agent starts.
        phase: Which phase of the curriculum lasts for ever; the last if -1.
        seed: Of the starts, and of the agent's own numbers where it has a spread.
        starts: How many; the first is the agent's own.
        box: From where to where starts are drawn, by kind or name of parameter; what it leaves out
            is as in `BOX`.
        steps: For how long starts are relaxed at first (see `sim.stability.fixed_points.survey`).

    Raises:
        SpecError: The input cannot be used.
    """
    check_whole("starts", starts, minimum=1)
    check_whole("steps", steps, minimum=1)
    check_whole("seed", seed, minimum=0)
    specs = read_specs(scenario, agent=agent, training=training)
    return equilibria_of(
        whole_map(specs, free=free, phase=phase, seed=seed),
        starts=starts,
        seed=seed,
        box=box,
        steps=steps,
    )


def whole_map(
    specs: Specs,
    *,
    free: Sequence[str] = (),
    phase: int = -1,
    seed: int = 0,
    settings: Mapping[str, float] | None = None,
) -> TrainingMap:
    """Return a scenario's training map, with only some parameters free if some are named."""
    whole = TrainingMap.of(specs, phase=phase, seed=seed, settings=settings)
    return whole.only(free) if free else whole


def equilibria_of(
    whole: TrainingMap,
    *,
    starts: int = 64,
    seed: int = 0,
    box: Mapping[str, tuple[float, float]] | None = None,
    steps: int = 20_000,
) -> Equilibria:
    """Find where a training map comes to rest; arguments as `equilibria`."""
    drawn = draw_starts(whole, count=starts, seed=seed, box=box)
    inert, followers = bystanders(whole, drawn)
    aside = (*inert, *followers)
    of = whole.hold({name: float(whole.start[whole.names.index(name)]) for name in aside})
    if not of.names:
        return _nothing_moves(of, inert, followers, starts)
    found = survey(of, drawn[[name not in aside for name in whole.names]], steps=steps)
    points = [_equilibrium(of, point, found.goes_to == i) for i, point in enumerate(found.points)]
    anchored = bool(of.segment.assumptions.anchor.any())
    if not anchored:
        points += _corners(of, found)
    end = found.ends[:, 0]
    moving = dict(zip(whole.names, _drift(whole, of, end), strict=True))
    return Equilibria(
        map=of,
        inert=inert,
        followers=followers,
        points=tuple(points),
        unsettled=1.0 - sum(one.share for one in points),
        steps=found.steps,
        stalled=found.stalled,
        attempts=found.attempts,
        own=next((i for i, one in enumerate(points) if one.reached_by[0]), None),
        own_end=end,
        own_drift={name: float(step) for name, step in moving.items() if abs(step) > _AT_REST},
        invasions=() if anchored else invasions(of, end),
    )


def _nothing_moves(
    of: TrainingMap, inert: tuple[str, ...], followers: tuple[str, ...], starts: int
) -> Equilibria:
    """Return what there is to say where training moves nothing: every state rests as it is."""
    everywhere = replace(_CORNER, kind="neutral", neutral=tuple((name,) for name in inert))
    point = _equilibrium(of, everywhere, np.ones(starts, np.bool_))
    return Equilibria(of, inert, followers, (point,), 0.0, 0, 0, 0, 0, np.empty(0), {}, ())


def draw_starts(
    whole: TrainingMap,
    *,
    count: int,
    seed: int = 0,
    box: Mapping[str, tuple[float, float]] | None = None,
) -> Array:
    """Return starts [P, count] for every coordinate of a map; the first is the agent's own.

    Raises:
        SpecError: The box names no coordinate, or a range is none.
    """
    kinds = {name.partition(".")[0] for name in whole.names}
    for name, ends in (box or {}).items():
        if name not in {*kinds, *whole.names}:
            hint = nearest(name, [*sorted(kinds), *whole.names])
            raise SpecError(f"box.{name}: there is no free parameter of that name; {hint}")
        if len(ends) != 2 or not -np.inf < ends[0] <= ends[1] < np.inf:
            raise SpecError(f"box.{name}: got {ends}: must be two numbers, the lower first")
    wanted = {**BOX, **(box or {})}
    starts = np.repeat(whole.start[:, None], count, axis=1)
    rows = np.arange(count, dtype=np.uint64)
    for i, name in enumerate(whole.names):
        own = (whole.start[i] - 1.0, whole.start[i] + 1.0)
        low, high = wanted.get(name, wanted.get(name.partition(".")[0], own))
        share, _ = uniform_pair(seed=seed, stream=f"{_STREAM}.{name}", rows=rows)
        starts[i, 1:] = (low + share * (high - low))[1:]
    return starts


def bystanders(of: TrainingMap, starts: Array) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the parameters that nothing moves, and those that move and act on nothing."""
    some = starts[:, :16]
    unit = np.eye(len(of.names))
    moved = of.step(some) != some
    slopes = of.jacobian(some) - unit
    inert = ~moved.any(axis=1) & ~slopes.any(axis=(0, 2))
    capability = np.array([name.startswith("capability.") for name in of.names])
    follows = capability & ~slopes.any(axis=(0, 1)) & ~inert
    named = np.array(of.names, dtype=object)
    return tuple(named[inert]), tuple(named[follows])


def _equilibrium(of: TrainingMap, point: FixedPoint, reached_by: NDArray[np.bool_]) -> Equilibrium:
    """Return a fixed point of a map with what it means for the agent."""
    seen = of.observe(point.at[:, None], ("gaming_rate", "values"))
    layout = of.program.layout
    return Equilibrium(
        point=point,
        gaming_rate=dict(zip(layout.contexts, map(float, seen["gaming_rate"][0]), strict=True)),
        values=dict(zip(layout.values, map(float, seen["values"][0]), strict=True)),
        reached_by=reached_by,
        saturated={},
        against=(),
    )


def _corners(of: TrainingMap, found: Survey) -> list[Equilibrium]:
    """Return equilibria at which gates are saturated, as far as starts are heading for them."""
    lost = found.goes_to < 0
    heading = _heading(of, found.ends)
    patterns = {tuple(p): lost & (heading == p[:, None]).all(axis=0) for p in heading[:, lost].T}
    habits = [name for name in of.names if name.startswith("habit.")]
    if len(habits) == len(of.names) == len(heading) <= _MOST_ENUMERATED:
        nobody = np.zeros(len(lost), np.bool_)
        for signs in itertools.product((1, -1), repeat=len(heading)):
            patterns.setdefault(signs, nobody)
    corners = []
    for pattern, who in patterns.items():
        if any(pattern):
            corners += _on_face(of, pattern, who, found)
    return corners


def _heading(of: TrainingMap, ends: Array) -> NDArray[np.int_]:
    """Say which gates are on their way to d = 1 (1), to d = 0 (-1) or neither (0) [T, N]."""
    trained = of.segment.world.trained
    now, later = (
        log_odds(program, program.theta)[:, trained].T
        for program in (of.many(ends), of.many(of.step(ends)))
    )
    out = (np.abs(now) > _HEADING) & (np.sign(later - now) == np.sign(now))
    return np.where(out, np.sign(now), 0.0).astype(int)


def _on_face(
    of: TrainingMap, pattern: Sequence[int], who: NDArray[np.bool_], found: Survey
) -> list[Equilibrium]:
    """Return the equilibria of a map with gates saturated by a pattern of signs."""
    contexts = [of.program.layout.contexts[c] for c in of.segment.world.trained]
    gone: dict[str, Side] = {
        context: "gaming" if sign < 0 else "not gaming"
        for context, sign in zip(contexts, pattern, strict=True)
        if sign and f"habit.{context}" in of.names
    }
    if not gone:
        return []
    face = of.hold(
        {f"habit.{c}": -SATURATED if side == "gaming" else SATURATED for c, side in gone.items()}
    )
    if not face.names:
        return [_corner(of, face, _CORNER, who, gone)]
    if not who.any():
        return []
    keep = [name in face.names for name in of.names]
    on_face = survey(face, found.ends[:, who][keep], steps=found.steps)
    reached = np.full(len(who), -1, np.intp)
    reached[who] = on_face.goes_to
    return [
        _corner(of, face, point, reached == i, gone)
        for i, point in enumerate(on_face.points)
        if point.attracts
    ]


def _corner(
    of: TrainingMap,
    face: TrainingMap,
    point: FixedPoint,
    reached_by: NDArray[np.bool_],
    gone: Mapping[str, Side],
) -> Equilibrium:
    """Return a fixed point of a face of a map, and what has died out there but would come back."""
    whole = face.many(point.at[:, None]).theta[of.free, 0]
    against = [i for i in invasions(of, whole) if gone.get(i.context) == i.of]
    # Who only seemed to be heading there will turn back.
    holds = not any(invasion.grows for invasion in against)
    found = _equilibrium(face, point, reached_by & holds)
    return replace(found, saturated=gone, against=tuple(against))


def _drift(whole: TrainingMap, of: TrainingMap, at: Array) -> Array:
    """Return what a step changes in every coordinate of the whole map, at a point of a slice."""
    theta = of.many(at[:, None]).theta[whole.free]
    moved: Array = (whole.step(theta) - theta)[:, 0]
    return moved
