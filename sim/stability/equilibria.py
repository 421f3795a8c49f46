"""Equilibria of training: fixed points, and corners at which gates saturate (MODEL.md section 5).

`equilibria` surveys a scenario's exact training step. Parameters are of three kinds: *inert* ones,
which no step moves, and propensities whose learning rate is 0; *followers*, which move and on which
no parameter depends (capabilities, which grow with practice for ever; habits and propensities of
contexts that are not trained on, to which others carry over); and *coordinates*, all others. A gate
that is trained is a coordinate whether or not anything depends on it, as it saturates; with an
anchor, every parameter that moves is. The shift of all propensities of a context, which
changes no answer, is no direction in which anything is neutral: the first one of each context is
held, and the others are counted from it (`sim.stability.training_map`).

Without an anchor, training may come to rest nowhere. The result then is what still moves, how fast,
and the invasion exponents of what has died out (`sim.stability.invasion`). Where gates alone move,
they saturate, and the corners at which they do are equilibria of their own.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.dynamics.randomness import uniform_pair
from sim.dynamics.state import Array
from sim.specs.agent import Agent
from sim.specs.errors import SpecError, check_whole, nearest
from sim.specs.overrides import read_specs
from sim.specs.scenario import Scenario
from sim.specs.training import Training
from sim.stability.fixed_points import FixedPoint, Kind, Survey, count_kinds, survey
from sim.stability.invasion import SATURATED, Invasion, Side, invasions, log_odds
from sim.stability.training_map import TrainingMap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Ranges by kind or name of parameter.
Box = Mapping[str, tuple[float, float]]
#: Ranges of random starts; of capabilities: around the agent's own.
BOX: Box = {
    "values": (-2.0, 2.0),
    "propensity": (-2.0, 2.0),
    "habit": (-8.0, 8.0),
    "awareness": (-8.0, 4.0),
    "log_horizon": (-1.0, 3.0),
    "log_competence": (-1.0, 2.0),
}
#: A gate whose log-odds are beyond this and still growing in size is about to saturate.
_HEADING = 2.0
#: Gates of which all corners are examined, at most.
_MOST_ENUMERATED = 4
#: Fixed point without coordinates: everything is saturated.
_CORNER = FixedPoint((), np.empty(0), np.empty(0, np.complex128), "stable", (), np.empty((0, 0)))
#: Change in a step below which a parameter is at rest.
_AT_REST = 1e-12
_STREAM = "stability.start"


@dataclass(frozen=True)
class Equilibrium:
    """A state at which training rests: a fixed point, or a corner with saturated gates.

    Attributes:
        point: Fixed point of all coordinates that are not saturated.
        gaming_rate: g in every context, by name.
        values: v, by name.
        reached_by: Starts that come to rest there [N].
        saturated: Contexts with a saturated gate, and the way of thinking that has died out.
        invasions: Invasion exponents of what has died out.
    """

    point: FixedPoint
    gaming_rate: Mapping[str, float]
    values: Mapping[str, float]
    reached_by: NDArray[np.bool_]
    saturated: Mapping[str, Side]
    invasions: tuple[Invasion, ...]

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value:.3g}" for name, value in self.values.items())
        rates = self.gaming_rate.values()
        gaming = f"gaming_rate from {min(rates):.3g} to {max(rates):.3g}"
        return f"<Equilibrium: {self.kind}, share={self.share:.3g}; {values}; {gaming}>"

    @property
    def kind(self) -> Kind:
        """Class of the fixed point, with each saturated gate as one more direction."""
        growing = [invasion.grows for invasion in self.invasions]
        if any(growing) or not self.point.attracts:
            some_decay = not all(growing) or (np.abs(self.point.eigenvalues) < 1.0).any()
            return "saddle" if some_decay or self.point.kind == "saddle" else "unstable"
        undecided = any(not invasion.decided for invasion in self.invasions)
        return "neutral" if undecided else self.point.kind

    @property
    def attracts(self) -> bool:
        """Whether training that starts nearby stays nearby."""
        return self.kind in ("stable", "neutral")

    @property
    def share(self) -> float:
        """Basin share: the share of starts that come to rest there."""
        return float(self.reached_by.mean())


@dataclass(frozen=True)
class Equilibria:
    """Equilibria of a scenario's training.

    Attributes:
        map: The training step as a map of the coordinates.
        inert: Parameters that no step moves.
        followers: Parameters that move and act on nothing.
        points: Equilibria: fixed points, then corners.
        unsettled: Share of starts that came to rest nowhere.
        steps: Steps of relaxation.
        stalled: Attempts of Newton's method that did not converge.
        attempts: All attempts of Newton's method.
        own: Index in `points` of the equilibrium that the agent's own start leads to; or None.
        own_end: End of that start, in the coordinates of the map [P].
        own_drift: Change in one more step from there, by parameter that is not at rest.
        invasions: Invasion exponents there; empty with an anchor.
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

    def __repr__(self) -> str:
        kinds = count_kinds(point.kind for point in self.points)
        return f"<Equilibria: {kinds}; own={self.own}, unsettled={self.unsettled:.2g}>"

    @property
    def frame(self) -> pd.DataFrame:
        """A row for each equilibrium: class, basin share, spectrum, gaming rates, values."""
        rows = [
            {
                "kind": equilibrium.kind,
                "share": equilibrium.share,
                "saturated": len(equilibrium.saturated),
                "neutral": len(equilibrium.point.neutral),
                "largest_eigenvalue": equilibrium.point.largest,
                "memory": equilibrium.point.memory,
                **{f"gaming_rate.{name}": g for name, g in equilibrium.gaming_rate.items()},
                **{f"values.{name}": v for name, v in equilibrium.values.items()},
            }
            for equilibrium in self.points
        ]
        return pd.DataFrame(rows)

    def plot(self) -> Figure:
        """Draw the gaming rates and values of each equilibrium (`sim.plots.equilibria`)."""
        from sim.plots.equilibria import equilibria

        return equilibria(self)


def equilibria(
    scenario: Scenario | str | Mapping[str, object],
    *,
    agent: Agent | Mapping[str, object] | None = None,
    training: Training | Mapping[str, object] | None = None,
    free: Sequence[str] = (),
    phase: int = -1,
    seed: int = 0,
    starts: int = 64,
    box: Box | None = None,
    steps: int = 20_000,
) -> Equilibria:
    """Find the equilibria of a scenario's training.

    Args:
        scenario: As for `simulate`.
        agent: As for `simulate`.
        training: As for `simulate`; the estimator must be exact.
        free: Names or kinds of the parameters that may move; all if empty. The others are held
            where the agent starts.
        phase: Phase of the curriculum that lasts for ever; the last if -1.
        seed: Of the starts, and of the agent's own parameters where it has a spread.
        starts: Number of starts; the first is the agent's own.
        box: Ranges of starts by kind or name of parameter, in place of those of `BOX`.
        steps: First steps of relaxation (see `sim.stability.fixed_points.survey`).

    Raises:
        SpecError: The input cannot be used.
    """
    check_whole("starts", starts, minimum=1)
    check_whole("steps", steps, minimum=1)
    check_whole("seed", seed, minimum=0)
    specs = read_specs(scenario, agent=agent, training=training)
    whole = TrainingMap.from_specs(specs, free=free, phase=phase, seed=seed)
    initial = draw_starts(whole, count=starts, seed=seed, box=box)
    inert, followers = uncoupled_parameters(whole, initial)
    f = whole.only([name for name in whole.names if name not in (*inert, *followers)])
    if not f.names:
        everywhere = replace(_CORNER, kind="neutral", neutral=tuple((name,) for name in inert))
        point = _equilibrium(f, everywhere, np.ones(starts, np.bool_))
        return Equilibria(f, inert, followers, (point,), 0.0, 0, 0, 0, 0, np.empty(0), {}, ())
    surveyed = survey(f, initial[[name in f.names for name in whole.names]], steps=steps)
    points = [_equilibrium(f, p, surveyed.attractor == i) for i, p in enumerate(surveyed.points)]
    anchored = bool(f.segment.assumptions.anchor.any())
    if not anchored:
        points += _corners(f, surveyed)
    end = surveyed.ends[:, 0]
    theta = f.program_at(end[:, None]).theta[whole.free]
    drift = zip(whole.names, map(float, (whole.step(theta) - theta)[:, 0]), strict=True)
    return Equilibria(
        map=f,
        inert=inert,
        followers=followers,
        points=tuple(points),
        unsettled=1.0 - sum(point.share for point in points),
        steps=surveyed.steps,
        stalled=surveyed.stalled,
        attempts=surveyed.attempts,
        own=next((i for i, point in enumerate(points) if point.reached_by[0]), None),
        own_end=end,
        own_drift={name: change for name, change in drift if abs(change) > _AT_REST},
        invasions=() if anchored else invasions(f, end),
    )


def draw_starts(f: TrainingMap, *, count: int, seed: int = 0, box: Box | None = None) -> Array:
    """Draw starts for every coordinate of a map [P, count]; the first is the agent's own.

    Raises:
        SpecError: The box names no coordinate, or a range is none.
    """
    kinds = {name.partition(".")[0] for name in f.names}
    for name, ends in (box or {}).items():
        if name not in {*kinds, *f.names}:
            hint = nearest(name, [*sorted(kinds), *f.names])
            raise SpecError(f"box.{name}: there is no free parameter of that name; {hint}")
        if len(ends) != 2 or not -np.inf < ends[0] <= ends[1] < np.inf:
            raise SpecError(f"box.{name}: got {ends}: must be two numbers, the lower first")
    ranges = {**BOX, **(box or {})}
    starts = np.repeat(f.start[:, None], count, axis=1)
    rows = np.arange(count, dtype=np.uint64)
    for i, name in enumerate(f.names):
        own = (f.start[i] - 1.0, f.start[i] + 1.0)
        low, high = ranges.get(name, ranges.get(name.partition(".")[0], own))
        share, _ = uniform_pair(seed=seed, stream=f"{_STREAM}.{name}", rows=rows)
        starts[i, 1:] = (low + share * (high - low))[1:]
    return starts


def uncoupled_parameters(f: TrainingMap, starts: Array) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the parameters that no step moves, and those that move and act on nothing."""
    sample = starts[:, :16]
    change = f.step(sample) != sample
    slopes = f.jacobian(sample) - np.eye(len(f.names))
    inert = ~change.any(axis=1) & ~slopes.any(axis=(0, 2))
    propensity = np.array([name.startswith("propensity.") for name in f.names], np.bool_)
    inert |= propensity & ~f.segment.assumptions.learning_rate[f.free].any(axis=1)
    gates = np.isin(f.names, [f"habit.{context}" for context in f.trained_contexts])
    followers = ~slopes.any(axis=(0, 1)) & ~inert & ~gates
    names = np.array(f.names, dtype=object)
    return tuple(names[inert]), tuple(names[followers])


def _equilibrium(
    f: TrainingMap,
    point: FixedPoint,
    reached_by: NDArray[np.bool_],
    saturated: Mapping[str, Side] | None = None,
    rare: tuple[Invasion, ...] = (),
) -> Equilibrium:
    """Return a fixed point of a map with its gaming rates and values."""
    observed, layout = f.observe(point.at[:, None], ("gaming_rate", "values")), f.program.layout
    rates = dict(zip(layout.contexts, observed["gaming_rate"][0].tolist(), strict=True))
    values = dict(zip(layout.values, observed["values"][0].tolist(), strict=True))
    return Equilibrium(point, rates, values, reached_by, saturated or {}, rare)


def _corners(f: TrainingMap, surveyed: Survey) -> list[Equilibrium]:
    """Return the equilibria with saturated gates that starts are heading for."""
    unsettled = surveyed.attractor < 0
    contexts = [context for context in f.trained_contexts if f"habit.{context}" in f.names]
    heading = _heading(f, surveyed.ends, contexts)
    patterns = {
        tuple(p): unsettled & (heading == p[:, None]).all(axis=0) for p in heading[:, unsettled].T
    }
    if len(contexts) == len(f.names) <= _MOST_ENUMERATED:
        for signs in itertools.product((1, -1), repeat=len(contexts)):
            patterns.setdefault(signs, np.zeros(len(unsettled), np.bool_))
    corners = []
    for pattern, starts in patterns.items():
        extinct: dict[str, Side] = {
            context: "gaming" if sign < 0 else "not gaming"
            for context, sign in zip(contexts, pattern, strict=True)
            if sign
        }
        if extinct:
            corners += _on_face(f, extinct, starts, surveyed)
    return corners


def _heading(f: TrainingMap, ends: Array, contexts: Sequence[str]) -> NDArray[np.int_]:
    """Return the direction in which gates saturate: 1 to d = 1, -1 to d = 0, or 0 [T, N]."""
    trained = [f.trained_contexts[context] for context in contexts]
    odds, later = (
        log_odds(program, program.theta)[:, trained].T
        for program in (f.program_at(ends), f.program_at(f.step(ends)))
    )
    growing = (np.abs(odds) > _HEADING) & (np.sign(later - odds) == np.sign(odds))
    return np.where(growing, np.sign(odds), 0.0).astype(int)


def _on_face(
    f: TrainingMap, extinct: Mapping[str, Side], starts: NDArray[np.bool_], surveyed: Survey
) -> list[Equilibrium]:
    """Return the equilibria of the face of a map on which some ways of thinking are extinct."""
    saturated = {"gaming": -SATURATED, "not gaming": SATURATED}
    face = f.hold({f"habit.{context}": saturated[side] for context, side in extinct.items()})
    points = [(_CORNER, starts)]
    if face.names:
        if not starts.any():
            return []
        rows = [name in face.names for name in f.names]
        on_face = survey(face, surveyed.ends[:, starts][rows], steps=surveyed.steps)
        attractor = np.full(len(starts), -1, np.intp)
        attractor[starts] = on_face.attractor
        points = [(p, attractor == i) for i, p in enumerate(on_face.points) if p.attracts]
    corners = []
    for point, reached_by in points:
        at = face.program_at(point.at[:, None]).theta[f.free, 0]
        rare = tuple(i for i in invasions(f, at) if extinct.get(i.context) == i.side)
        # Starts that only seemed to be heading there turn back.
        stays = not any(invasion.grows for invasion in rare)
        corners.append(_equilibrium(face, point, reached_by & stays, extinct, rare))
    return corners
