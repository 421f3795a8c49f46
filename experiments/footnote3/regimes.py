"""Compute the maps: the regime in which runs end, by the penalty and another number.

Of the contexts that are *watched* (gaming pays there at the start, there is a scratchpad, and a
monitor), a run ends in one regime:

    visible   gamed, and most of it can be read
    hidden    gamed, and most of it cannot
    removed   not gamed, though it is without a penalty
    never     not gamed without a penalty either

An agent is *taught to hide* if it ends hidden, and the same agent ends visible without a penalty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt

from sim.dynamics.engines.registry import get_engine
from sim.dynamics.loop import records
from sim.dynamics.state import Array
from sim.dynamics.training import OPACITY
from sim.sweeps.plan import compile_rows
from sim.utils.progress import CountProgress, count_progress

from .plan import PENALTY_KEY, StudyDesign
from .visibility import gaming_shares, opaque_part

#: In the order of `classify`.
REGIMES = ("visible", "hidden", "removed", "never")
VISIBLE, HIDDEN, REMOVED, NEVER = range(4)
#: A run is still moving if its gaming changed by more than this over the last tenth of training.
STEADY = 0.05
#: The names of the points that `choose` looks for.
POINTS = ("removed", "taught to hide")


@dataclass(frozen=True)
class RegimeMap:
    """The ends of runs on a grid of L levels and P penalties, N agents at each point.

    Attributes:
        key: Dotted key of the levels.
        levels: Levels of the key [L].
        penalties: ψ [P], the first 0.
        level_as_set: The level of the specs.
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
    level_as_set: float
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
        """Whether most agents are taught to hide [L, P]."""
        return np.asarray(self.taught.mean(axis=2) >= 0.5, np.bool_)


def classify(
    gaming: ArrayLike, opaque: ArrayLike, *, gamed_from: float, opaque_from: float
) -> NDArray[np.intp]:
    """Classify the ends of runs [..., P, N] as indices of `REGIMES`.

    Args:
        gaming: Gaming rate in watched contexts [..., P, N]; without a penalty at P = 0.
        opaque: Opaque part of it [..., P, N]; without meaning where nothing is gamed.
        gamed_from: Gaming rate from which contexts count as gamed.
        opaque_from: Opaque part from which gaming counts as hidden.
    """
    gamed = np.asarray(gaming) >= gamed_from
    unseen = np.asarray(opaque) >= opaque_from
    without_penalty = np.broadcast_to(gamed[..., :1, :], gamed.shape)
    spared = np.where(without_penalty, REMOVED, NEVER)
    return np.asarray(np.where(gamed, np.where(unseen, HIDDEN, VISIBLE), spared), np.intp)


def train_maps(
    design: StudyDesign, *, progress: Callable[[float], None] | None = None
) -> tuple[RegimeMap, ...]:
    """Train the agents at every point of both maps.

    Raises:
        DivergenceError: Parameters grew out of all bounds.
    """
    points = sum(len(levels) for levels in design.levels.values()) * len(design.penalties)
    steps = points * design.settings.agents * design.specs.training.steps
    counter = count_progress(progress, steps)
    return tuple(_train_map(design, key, counter) for key in design.levels)


def _train_map(design: StudyDesign, key: str, counter: CountProgress) -> RegimeMap:
    part, levels, settings = design.part(key), design.levels[key], design.settings
    program = compile_rows(part, np.arange(part.runs))
    last = program.steps
    watched = [program.layout.contexts.index(name) for name in design.watched]
    unwritten = [program.layout.contexts.index(name) for name in design.unwritten]
    value = program.layout.values.index(design.roles.protected)
    world = program.at(last).world
    weight, scratchpad = world.weight[watched, 0], world.scratchpad[watched, 0]
    shape = (len(levels), -1, settings.agents)
    rates = []
    moments = sorted({last - last // 10, last})
    names, engine = ("gaming_rate", "capabilities", "values"), get_engine(settings.engine)
    for record in records(engine, program, moments, names=names, progress=counter):
        end = record.observed
        rates.append(end["gaming_rate"][:, watched] @ weight / weight.sum())
    shares = gaming_shares(
        end["gaming_rate"][:, watched],
        opacity=end["capabilities"][:, OPACITY],
        scratchpad=scratchpad,
        weight=weight,
    )
    elsewhere = end["gaming_rate"][:, unwritten].mean(axis=1) if unwritten else np.nan * rates[-1]
    start = program.origin[program.layout.rows["values"]][value]
    gaming, opaque = rates[-1].reshape(shape), opaque_part(shares).reshape(shape)
    regime = classify(gaming, opaque, gamed_from=settings.gamed, opaque_from=settings.opaque)
    return RegimeMap(
        key=key,
        levels=levels,
        penalties=design.penalties,
        level_as_set=design.level_as_set(key),
        gaming=gaming,
        opaque=opaque,
        unwritten=elsewhere.reshape(shape),
        strength=(end["values"][:, value] / start).reshape(shape),
        moving=(np.abs(rates[-1] - rates[0]) > STEADY).reshape(shape),
        regime=regime,
        taught=(regime == HIDDEN) & (regime[:, :1] == VISIBLE),
    )


def choose(maps: Sequence[RegimeMap]) -> dict[str, dict[str, float]]:
    """Choose, from the maps, a point where gaming is removed and one where it is taught to hide.

    A point is the better the farther it is, in steps of the axes, from where most agents end
    otherwise and from the edge of the map. If there are penalties that do both, in the same map,
    both points have one: that at which the worse of the two is best.

    Returns:
        By name (`removed`, `taught to hide`), dotted keys and numbers; without those that no map
        has.
    """
    points: dict[str, dict[str, float]] = {}
    depths = [(_depth(grid.most == REMOVED), _depth(grid.teaches)) for grid in maps]
    for grid, both in zip(maps, depths, strict=True):
        common = np.minimum(*(depth.max(axis=0) for depth in both))
        if not points and common.max() > 0.0:
            column = int(common.argmax())
            for name, depth in zip(POINTS, both, strict=True):
                points[name] = _point(grid, int(depth[:, column].argmax()), column)
    for place, name in enumerate(POINTS):
        for grid, both in zip(maps, depths, strict=True):
            if name not in points and both[place].max() > 0.0:
                row, column = divmod(int(both[place].argmax()), both[place].shape[1])
                points[name] = _point(grid, row, column)
    return points


def _point(grid: RegimeMap, row: int, column: int) -> dict[str, float]:
    return {grid.key: float(grid.levels[row]), PENALTY_KEY: float(grid.penalties[column])}


def _depth(region: NDArray[np.bool_]) -> Array:
    """Compute the distance of each point of a region [L, P] to its outside; 0 outside."""
    framed = np.pad(region, 1)
    depth: Array = np.asarray(distance_transform_edt(framed), np.float64)[1:-1, 1:-1]
    return depth
