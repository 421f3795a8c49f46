"""The maps of footnote 3: how runs end, by the penalty for visible gaming and another number.

Of the contexts that are *watched* (gaming pays there at the start, there is a scratchpad, and a
monitor), a run ends in one regime:

    visible   gamed, and most of it can be read
    hidden    gamed, and most of it cannot
    removed   not gamed, though it is without a penalty
    never     not gamed without a penalty either

An agent is *taught to hide* if it ends hidden, and the same agent ends visible without a penalty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt

from experiments.footnote3.study import PENALTY_KEY, Limits, Study
from experiments.footnote3.visibility import gaming_shares, opaque_part
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.loop import records
from sim.dynamics.state import Array
from sim.dynamics.training import OPACITY
from sim.specs.overrides import Specs
from sim.sweeps.plan import compile_rows
from sim.utils.progress import CountProgress, count_progress

#: In the order of `regimes_of`.
REGIMES = ("visible", "hidden", "removed", "never")
VISIBLE, HIDDEN, REMOVED, NEVER = range(4)
#: A run is still moving if its gaming changed by more than this over the last tenth of training.
STEADY = 0.05
#: The names of the points that `choose` looks for.
CHOSEN = ("removed", "taught to hide")


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
    counter = count_progress(progress, whole)
    return tuple(_map(study, key, counter) for key in study.designs)


def _map(study: Study, key: str, counter: CountProgress) -> Map:
    part, levels = study.part(key), study.levels[key]
    program = compile_rows(part, np.arange(part.runs))
    last = program.steps
    places = [program.layout.contexts.index(name) for name in study.watched]
    elsewhere = [program.layout.contexts.index(name) for name in study.unwritten]
    value = program.layout.values.index(study.cast.protected)
    world = program.at(last).world
    weight, room = world.weight[places, 0], world.scratchpad[places, 0]
    shape = (len(levels), -1, study.agents)
    rates = []
    moments = sorted({last - last // 10, last})
    names, engine = ("gaming_rate", "capabilities", "values"), get_engine(study.engine)
    for record in records(engine, program, moments, names=names, progress=counter):
        seen = record.observed
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


def _point(one: Map, row: int, column: int) -> dict[str, float]:
    return {one.key: float(one.levels[row]), PENALTY_KEY: float(one.penalties[column])}


def _depth(there: NDArray[np.bool_]) -> Array:
    """Return how far each point of a region [L, P] is from its outside; 0 outside."""
    framed = np.pad(there, 1)
    depth: Array = np.asarray(distance_transform_edt(framed), np.float64)[1:-1, 1:-1]
    return depth


def _said(specs: Specs, key: str) -> float:
    node: Any = specs
    for part in key.split("."):
        node = getattr(node, part)
    return float(node)
