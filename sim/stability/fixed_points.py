"""Fixed points of a map: found from many starts, told apart, and classed by their eigenvalues.

Two ways lead to them. *Relaxation* follows the map itself, and so finds what attracts; damped
Newton steps, with exact Jacobians, also find what repels. Nothing is called a fixed point that has
not converged: a start from which Newton's method leaves its neighbourhood, or stalls, is counted
and said to have found nothing. Where training drives a parameter on for ever, more and more slowly,
that is what happens, and no fixed point is made up at infinity (for gates, see
`sim.stability.invasion`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sim.dynamics.state import Array
from sim.stability.training_map import Map

Kind = Literal["stable", "neutral", "saddle", "unstable"]
#: In the order in which points are listed: what attracts first.
KINDS: tuple[Kind, ...] = get_args(Kind)

#: An eigenvalue whose size is within this of 1 is neutral: over 10⁹ steps per factor e.
NEUTRAL = 1e-9
#: Newton's method has converged when its next step is shorter than this.
CONVERGED = 1e-10
#: Singular values of the linear system below this share of the largest are taken for zero.
_SINGULAR = 1e-12
#: A Newton step moves no parameter further than this, ...
_LONGEST = 1.0
#: ... and all of them together none further than this from where they started.
_RADIUS = 8.0
#: Points nearer to each other than this are one.
_SAME = 1e-6
#: Between so many of the points that attract, at most, others are looked for.
_MOST_PAIRED = 8
#: Parameters with at least this share in a neutral direction, of the largest share, name it.
_NAMED = 0.3


@dataclass(frozen=True)
class FixedPoint:
    """A point that a map leaves where it is.

    Attributes:
        names: The coordinates.
        at: Where it is [P]; of a sheet of fixed points, one of them.
        eigenvalues: Of the Jacobian there [P], largest first.
        kind: `stable`: all eigenvalues inside the unit circle; `neutral`: none outside, some on
            it; `saddle`: some outside, some inside; `unstable`: some outside, none inside.
        neutral: For each eigenvalue on the circle, the coordinates that its direction moves.
        sheet: An orthonormal basis of these directions [P, k].
        members: How many of the points that were found are this one, or lie on one sheet with it
            (apart in neutral directions only).
    """

    names: tuple[str, ...]
    at: Array
    eigenvalues: NDArray[np.complex128]
    kind: Kind
    neutral: tuple[tuple[str, ...], ...]
    sheet: Array
    members: int = 1

    @property
    def attracts(self) -> bool:
        """Whether nothing nearby is driven away."""
        return self.kind in ("stable", "neutral")

    @property
    def largest(self) -> float:
        """The size of the largest eigenvalue; 0 if there is none."""
        return float(np.abs(self.eigenvalues).max(initial=0.0))

    @property
    def memory(self) -> float:
        """Steps in which a small displacement falls to 1/e of itself; inf if it need not fall."""
        if not self.attracts or self.neutral:
            return np.inf
        return -1.0 / float(np.log(self.largest)) if self.largest > 0.0 else 0.0


@dataclass(frozen=True)
class Solution:
    """Where Newton's method came to from each start.

    Attributes:
        points: [P, N].
        converged: [N].
        gap: How far a step still moves each point, at most in any coordinate [N].
    """

    points: Array
    converged: NDArray[np.bool_]
    gap: Array


@dataclass(frozen=True)
class Survey:
    """The fixed points of a map, as far as some starts lead to them.

    Attributes:
        points: Told apart, in the order of `KINDS`.
        goes_to: For each start, the number of the point that it relaxes to; -1 for none [N].
        ends: Where relaxing each start had come to [P, N].
        steps: After how many steps.
        drift: How far one more step moves each end [P, N].
        attempts: How many attempts Newton's method made: from each start, from each end, and from
            between points that attract.
        stalled: How many of them did not converge.
    """

    points: tuple[FixedPoint, ...]
    goes_to: NDArray[np.intp]
    ends: Array
    steps: int
    drift: Array
    attempts: int
    stalled: int

    @property
    def shares(self) -> Array:
        """The share of starts that relax to each point: its part of the basins [points]."""
        counts = [np.count_nonzero(self.goes_to == i) for i in range(len(self.points))]
        return np.array(counts, np.float64) / len(self.goes_to)

    @property
    def unsettled(self) -> float:
        """The share of starts that had come to rest nowhere."""
        return float(np.count_nonzero(self.goes_to < 0)) / len(self.goes_to)


def survey(
    of: Map, starts: Array, *, steps: int = 20_000, most_steps: int = 320_000, near: float = 1e-4
) -> Survey:
    """Find the fixed points that some starts lead to, by relaxation and by Newton's method.

    Args:
        of: The map.
        starts: [P, N].
        steps: For how long starts are relaxed at first; the time doubles while one that goes
            to a known point is still on its way.
        most_steps: For how long at most.
        near: A start has come to a point when no coordinate is further from it than this.
    """
    solved = [newton(of, starts)]
    ends, done = of.iterate(starts, steps), steps
    solved.append(newton(of, ends))
    points = _told_apart(of, solved)
    goes_to = _nearest(points, ends, near)
    while (goes_to < 0).any() and done < most_steps:
        before = ends
        ends, done = of.iterate(ends, done), 2 * done
        goes_to = _nearest(points, ends, near)
        if not _approaching(points, before, ends, goes_to < 0):
            break
    if (goes_to < 0).any():
        solved.append(newton(of, ends[:, goes_to < 0]))
    between = _on_the_way(_told_apart(of, solved))
    if between is not None:
        solved.append(newton(of, between))
    points = _told_apart(of, solved)
    goes_to = _nearest(points, ends, near)
    return Survey(
        points=points,
        goes_to=goes_to,
        ends=ends,
        steps=done,
        drift=of.step(ends) - ends,
        attempts=sum(len(s.converged) for s in solved),
        stalled=sum(int(np.count_nonzero(~s.converged)) for s in solved),
    )


def newton(of: Map, starts: Array, *, maximum: int = 60, radius: float = _RADIUS) -> Solution:
    """Solve F(x) = x by damped Newton steps from many starts side by side.

    A step is the shortest that solves the linear system, so in a neutral direction it is none.
    It is halved until it brings the point nearer to being fixed.

    Args:
        of: The map F.
        starts: [P, N].
        maximum: Most steps of one start.
        radius: How far from its start a coordinate may go. Where a parameter is driven off to
            infinity, ever more slowly, Newton's method follows it in steps of about 1 for as long
            as it is let, to where floating point can tell no step from none.
    """
    points = np.array(starts, np.float64)
    converged = np.zeros(points.shape[1], np.bool_)
    active = np.arange(points.shape[1])
    for _ in range(maximum):
        if not len(active):
            break
        here = points[:, active]
        gap = of.step(here) - here
        move, solvable = _newton_step(of.jacobian(here), gap)
        done = solvable & (np.abs(move).max(axis=0) <= CONVERGED)
        converged[active[done]] = True
        points[:, active], moved = _damped(of, here, move, gap)
        inside = np.abs(points[:, active] - starts[:, active]).max(axis=0) <= radius
        active = active[~done & moved & inside]
    gap = np.abs(of.step(points) - points).max(axis=0)
    return Solution(points, converged, gap)


def classify(of: Map, at: Array) -> FixedPoint:
    """Return a fixed point with its eigenvalues and its class."""
    values, vectors = np.linalg.eig(of.jacobian(at[:, None])[0])
    order = np.argsort(-np.abs(values), kind="stable")
    values, vectors = values[order].astype(np.complex128), vectors[:, order]
    size = np.abs(values) - 1.0
    on = np.abs(size) <= NEUTRAL
    outside, inside = (size > NEUTRAL).any(), (size < -NEUTRAL).any()
    kind: Kind = "stable"
    if outside:
        kind = "saddle" if inside else "unstable"
    elif on.any():
        kind = "neutral"
    directions = tuple(_named(vectors[:, i], of.names) for i in np.flatnonzero(on))
    return FixedPoint(of.names, at.copy(), values, kind, directions, _spanned(vectors[:, on]))


def _newton_step(jacobian: Array, gap: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return the shortest steps [P, n] that close the gaps [P, n], and where they can [n]."""
    slopes = np.eye(gap.shape[0]) - jacobian
    left, size, right = np.linalg.svd(slopes)
    weight = np.einsum("nij,in->nj", left, gap)
    zero = size <= _SINGULAR * size[:, :1]
    safe = np.where(zero, 1.0, size)
    move = np.einsum("nji,nj->in", right, np.where(zero, 0.0, weight / safe))
    # In a direction that no move changes, there must be no gap either.
    left_over = np.abs(np.where(zero, weight, 0.0)).max(axis=1)
    return move, left_over <= 1e-3 * _SINGULAR


def _damped(of: Map, here: Array, move: Array, gap: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Take the steps, halved where they lead away; returns where to, and whether it is nearer."""
    longest = np.abs(move).max(axis=0)
    move = move * np.minimum(1.0, _LONGEST / np.maximum(longest, _LONGEST))
    before = np.linalg.norm(gap, axis=0)
    share = np.ones(here.shape[1])
    best, moved = here.copy(), np.zeros(here.shape[1], np.bool_)
    for _ in range(10):
        todo = np.flatnonzero(~moved)
        if not len(todo):
            break
        there = here[:, todo] + share[todo] * move[:, todo]
        after = np.linalg.norm(of.step(there) - there, axis=0)
        better = (after < before[todo] * (1.0 - 1e-4 * share[todo])) | (after == 0.0)
        best[:, todo[better]] = there[:, better]
        moved[todo[better]] = True
        share *= 0.5
    # At rest but for rounding, no step makes it better, and none is needed.
    return best, moved | (longest <= 1e3 * CONVERGED)


def _told_apart(of: Map, solved: list[Solution]) -> tuple[FixedPoint, ...]:
    """Return the points that converged, each once."""
    found: list[FixedPoint] = []
    for at in np.concatenate([s.points[:, s.converged] for s in solved], axis=1).T:
        for i, other in enumerate(found):
            if _is_same(other, at):
                found[i] = replace(other, members=other.members + 1)
                break
        else:
            found.append(classify(of, at))
    return tuple(sorted(found, key=lambda point: KINDS.index(point.kind)))


def _on_the_way(points: tuple[FixedPoint, ...]) -> Array | None:
    """Return points between every two that attract [P, n]: what divides them is on the way."""
    pulls = [point.at for point in points if point.attracts][:_MOST_PAIRED]
    ways = [
        one + share * (other - one)
        for one, other in itertools.combinations(pulls, 2)
        for share in np.linspace(0.0, 1.0, 9)[1:-1]
    ]
    return np.stack(ways, axis=1) if ways else None


def _is_same(point: FixedPoint, at: Array) -> bool:
    """Say whether a fixed point is another one, or on its sheet."""
    away = at - point.at
    across = np.abs(away - point.sheet @ (point.sheet.T @ away)).max()
    # A sheet need not be flat.
    bent = 0.05 * np.abs(away).max() if point.neutral else 0.0
    return bool(across <= _SAME + bent)


def _spanned(vectors: NDArray[np.complex128]) -> Array:
    """Return an orthonormal basis of the real space that vectors [P, k] span."""
    left, size, _ = np.linalg.svd(np.concatenate([vectors.real, vectors.imag], axis=1))
    basis: Array = left[:, : np.count_nonzero(size > 1e-9)]
    return basis


def _nearest(points: tuple[FixedPoint, ...], ends: Array, near: float) -> NDArray[np.intp]:
    """Return, for each end [P, N], the attracting point that it has come to, or -1 [N]."""
    goes_to = np.full(ends.shape[1], -1, np.intp)
    for i, point in enumerate(points):
        if point.attracts:
            away = np.abs(ends - point.at[:, None])
            if point.neutral:
                moved = {name for direction in point.neutral for name in direction}
                away = away[[name not in moved for name in point.names]]
            goes_to[(goes_to < 0) & (away.max(axis=0, initial=0.0) <= near)] = i
    return goes_to


def _approaching(
    points: tuple[FixedPoint, ...], before: Array, ends: Array, who: NDArray[np.bool_]
) -> bool:
    """Say whether some end that has come to no point has come nearer to one."""
    for point in points:
        if point.attracts:
            earlier = np.abs(before[:, who] - point.at[:, None]).max(axis=0)
            now = np.abs(ends[:, who] - point.at[:, None]).max(axis=0)
            if (now < 0.9 * earlier).any():
                return True
    return False


def _named(direction: NDArray[np.complex128], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the coordinates that a direction moves most, largest first."""
    size = np.abs(direction)
    order = np.argsort(-size, kind="stable")
    return tuple(names[i] for i in order if size[i] >= _NAMED * size.max())
