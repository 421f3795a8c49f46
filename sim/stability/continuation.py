"""Continuation: a fixed point followed in one parameter, through folds, both ways.

Pseudo-arclength continuation (Keller 1977). A branch is a curve of fixed points in the space of
coordinates and parameter together. From each of its points the next is guessed along the tangent
and then corrected at right angles to it, so that the branch can be followed around a fold, where
the parameter turns back: there a stable and an unstable branch meet, and a system that was moved
past the fold does not come back the way it went (hysteresis). Where the determinant of the system
changes sign along a branch without a fold, another branch crosses it; that one is followed too.

The parameter is measured by its position on an axis, from 0 to 1; `Family` says what that means.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from sim.dynamics.state import Array
from sim.stability.fixed_points import FixedPoint, classify, newton
from sim.stability.training_map import Map

#: How far apart coordinates are that weigh as much as the whole axis.
AXIS_WEIGHT = 10.0
#: Arc length from one point to the next, in units of the coordinates: least, first, most.
_SHORTEST, _FIRST, _LONGEST = 1e-5, 0.02, 0.25
#: A correction has converged when it is shorter than this.
_CONVERGED = 1e-9
#: Derivatives by the position on the axis are central differences over this.
_HALF = 1e-5

#: Singular values below this share of the largest are taken for zero.
_SINGULAR = 1e-11
#: Cosines between successive tangents: below the first the step was too long, above the second it
#: can grow.
_STRAIGHT, _VERY_STRAIGHT = 0.9, 0.995
_MOST_CORRECTIONS = 8
_BISECTIONS = 20
#: How far to the side of a crossing the other branch is looked for.
_ASIDE = 0.05
#: A point further than this from a branch is not compared with it.
_NEARBY = 0.3

#: Why a branch ends: at an end of the axis, where it began, where no next point could be found, or
#: because it has too many points.
End = Literal["axis", "closed", "lost", "long"]
Event = Literal["fold", "crossing", "change"]


class Family(Protocol):
    """A map for every position on an axis."""

    def at(self, position: float) -> Map:
        """Return the map at a position from 0 to 1; a little beyond either end must work."""
        ...


@dataclass(frozen=True)
class BranchPoint:
    """A fixed point on a branch.

    Attributes:
        position: Of the parameter on its axis, 0 to 1.
        point: The fixed point.
        event: What happens here: `fold`, where the parameter turns back; `crossing`, where another
            branch passes; `change`, where an eigenvalue crosses the unit circle elsewhere than at
            1, or what else changed the class; None for an ordinary point.
    """

    position: float
    point: FixedPoint
    event: Event | None = None


@dataclass(frozen=True)
class Branch:
    """A curve of fixed points.

    Attributes:
        points: In order along the curve.
        closed: Whether the curve comes back to where it began.
        ends: Why it ends where it does, at its beginning and at its end.
    """

    points: tuple[BranchPoint, ...]
    closed: bool
    ends: tuple[End, End]

    @property
    def folds(self) -> tuple[BranchPoint, ...]:
        """The points at which the parameter turns back."""
        return tuple(p for p in self.points if p.event == "fold")

    @property
    def crossings(self) -> tuple[BranchPoint, ...]:
        """The points at which another branch passes."""
        return tuple(p for p in self.points if p.event == "crossing")


def branches(
    family: Family,
    seeds: Sequence[tuple[float, Array]],
    *,
    maximum_points: int = 400,
    maximum_branches: int = 24,
    progress: Callable[[float], None] | None = None,
) -> tuple[Branch, ...]:
    """Follow every branch that some fixed points lie on, and every one that crosses these.

    Args:
        family: The map at every position.
        seeds: Fixed points, or near them: position and coordinates [P].
        maximum_points: Of a branch, in each of its two directions.
        maximum_branches: How many branches are followed.
        progress: Told the share of what is known to be done.

    Returns:
        The branches, each once. A seed from which no fixed point is found is left out.
    """
    found: list[Branch] = []
    todo = [_Start(*seed) for seed in seeds]
    done = 0
    while todo and len(found) < maximum_branches:
        start = todo.pop(0)
        done += 1
        z = _settle(family, start)
        if z is not None and not any(_lies_on(family, branch, z) for branch in found):
            branch = _follow_both_ways(family, z, along=start.along, maximum=maximum_points)
            if start.crossing is not None:
                branch = _through(branch, start.crossing)
            found.append(branch)
            todo += [
                _across(family, branch, i)
                for i, point in enumerate(branch.points)
                if point.event == "crossing"
                and 0 < i < len(branch.points) - 1
                and (start.crossing is None or point.point is not start.crossing.point)
            ]
        if progress is not None:
            progress(done / (done + len(todo)))
    return tuple(found)


@dataclass(frozen=True)
class _Start:
    """Where to look for a branch.

    Attributes:
        position: On the axis.
        at: Coordinates [P].
        along: In which direction, if that is known [P + 1].
        crossing: The crossing that led here, if one did.
    """

    position: float
    at: Array
    along: Array | None = None
    crossing: BranchPoint | None = None


def _settle(family: Family, start: _Start) -> Array | None:
    """Return a point of a branch, as coordinates and scaled position [P + 1]; None if none."""
    z = np.append(start.at, AXIS_WEIGHT * start.position)
    if start.along is not None:
        return _corrected(family, z, start.along)
    solution = newton(family.at(start.position), start.at[:, None])
    return np.append(solution.points[:, 0], z[-1]) if solution.converged[0] else None


def _follow_both_ways(family: Family, z: Array, *, along: Array | None, maximum: int) -> Branch:
    if along is None:
        along = np.zeros(len(z))
        along[-1] = 1.0
    forward, end = _follow(family, z, along, maximum)
    if end == "closed":
        return Branch((_point(family, z), *forward), True, ("closed", "closed"))
    backward, beginning = _follow(family, z, -along, maximum)
    points = (*reversed(backward), _point(family, z), *forward)
    return Branch(points, False, (beginning, end))


def _follow(family: Family, z: Array, along: Array, maximum: int) -> tuple[list[BranchPoint], End]:
    """Follow a branch from a point in one direction, as far as it goes."""
    points: list[BranchPoint] = []
    first = z
    slopes = _slopes(family, z)
    tangent = _tangent(slopes, along)
    length = _FIRST
    kind = classify(family.at(z[-1] / AXIS_WEIGHT), z[:-1]).kind
    while len(points) < maximum:
        there = _corrected(family, z + length * tangent, tangent)
        if there is None or tangent @ (there - z) < 0.5 * length:
            length *= 0.5
            if length < _SHORTEST:
                return points, "lost"
            continue
        if not 0.0 <= there[-1] <= AXIS_WEIGHT:
            edge = _at_edge(family, z, there)
            return points + ([_point(family, edge)] if edge is not None else []), "axis"
        slopes_there = _slopes(family, there)
        tangent_there = _tangent(slopes_there, tangent)
        turn = float(tangent @ tangent_there)
        if turn < _STRAIGHT and length > 10.0 * _SHORTEST:
            length *= 0.5
            continue
        here = _point(family, there)
        event = _event_between(slopes, tangent, slopes_there, tangent_there)
        if event is not None:
            points.append(_located(family, z, tangent, length, event))
        elif here.point.kind != kind:
            here = replace(here, event="change")
        points.append(here)
        if len(points) > 10 and np.abs(there - first).max() < length:
            return points, "closed"
        z, slopes, tangent, kind = there, slopes_there, tangent_there, here.point.kind
        length = min(_LONGEST, length * (1.5 if turn > _VERY_STRAIGHT else 1.0))
    return points, "long"


def _slopes(family: Family, z: Array) -> Array:
    """Return the derivative of F(x) − x by coordinates and scaled position [P, P + 1]."""
    return np.hstack([_by_coordinates(family, z), _by_position(family, z)])


def _by_coordinates(family: Family, z: Array) -> Array:
    jacobian = family.at(z[-1] / AXIS_WEIGHT).jacobian(z[:-1, None])[0]
    slopes: Array = jacobian - np.eye(len(jacobian))
    return slopes


def _by_position(family: Family, z: Array) -> Array:
    x, position = z[:-1, None], z[-1] / AXIS_WEIGHT
    further, nearer = (family.at(position + by).step(x) for by in (_HALF, -_HALF))
    slope: Array = (further - nearer) / (2.0 * _HALF * AXIS_WEIGHT)
    return slope


def _tangent(slopes: Array, along: Array) -> Array:
    """Return the unit direction in which nothing changes, as near as can be to another one."""
    _, size, right = np.linalg.svd(slopes)
    rank = int(np.count_nonzero(size > _SINGULAR * size[0]))
    null = right[min(rank, len(slopes)) :]
    direction = null.T @ (null @ along)
    length = float(np.linalg.norm(direction))
    if length < 1e-6:  # at right angles to it: the branch runs the other way
        direction, length = null[-1], 1.0
    unit: Array = direction / length
    return unit


def _corrected(family: Family, guess: Array, tangent: Array) -> Array | None:
    """Return the point of the branch in the plane through a guess at right angles to a tangent."""
    z = guess
    by_position = _by_position(family, z)  # near enough for all corrections
    for _ in range(_MOST_CORRECTIONS):
        x = z[:-1, None]
        gap = (family.at(z[-1] / AXIS_WEIGHT).step(x) - x)[:, 0]
        slopes = np.hstack([_by_coordinates(family, z), by_position])
        system = np.vstack([slopes, tangent])
        move = np.linalg.lstsq(system, -np.append(gap, tangent @ (z - guess)), rcond=_SINGULAR)[0]
        if not np.abs(move).max() <= 1.0:
            return None
        z = z + move
        if np.abs(move).max() <= _CONVERGED:
            return z
    return None


def _event_between(
    slopes: Array, tangent: Array, slopes_there: Array, tangent_there: Array
) -> Event | None:
    """Say whether the parameter turns back, or another branch passes, between two points."""
    if tangent[-1] * tangent_there[-1] < 0.0:
        return "fold"
    if _side(slopes, tangent) * _side(slopes_there, tangent_there) < 0.0:
        return "crossing"
    return None


def _side(slopes: Array, tangent: Array) -> float:
    """Return the sign of the determinant of the system; 0 where it is singular on a sheet."""
    system = np.vstack([slopes, tangent])
    size = np.linalg.svd(system, compute_uv=False)
    if size[-1] <= _SINGULAR * size[0]:
        return 0.0
    return float(np.linalg.slogdet(system)[0])


def _located(family: Family, z: Array, tangent: Array, length: float, event: Event) -> BranchPoint:
    """Find by bisection where, within a step from a point, an event happens."""
    slopes = _slopes(family, z)
    low, high, at = 0.0, length, z
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        there = _corrected(family, z + middle * tangent, tangent)
        if there is None:
            break
        slopes_there = _slopes(family, there)
        if _event_between(slopes, tangent, slopes_there, _tangent(slopes_there, tangent)) is None:
            low, at = middle, there
        else:
            high = middle
    return replace(_point(family, at), event=event)


def _across(family: Family, branch: Branch, index: int) -> _Start:
    """Return where to look for the branch that passes at a crossing, the index-th point."""
    z = _stacked(branch.points[index])
    # Nothing changes (to first order) in two directions: along the branch, and along the other.
    null = np.linalg.svd(_slopes(family, z))[2][-2:]
    before, after = (_stacked(branch.points[i]) for i in (index - 1, index + 1))
    own = null @ (after - before)
    along = null.T @ np.array([-own[1], own[0]]) / float(np.linalg.norm(own))
    start = z + _ASIDE * along
    return _Start(float(start[-1]) / AXIS_WEIGHT, start[:-1], along, branch.points[index])


def _through(branch: Branch, crossing: BranchPoint) -> Branch:
    """Return a branch with the crossing that led to it, where it passes there.

    At a pitchfork the new branch turns back exactly there, which from afar looks like a fold.
    """
    z = _stacked(crossing)
    points = list(branch.points)
    for i, point in enumerate(points):
        if point.event in ("fold", "crossing") and np.abs(_stacked(point) - z).max() < _ASIDE:
            points[i] = replace(crossing, event="crossing")
    return replace(branch, points=tuple(points))


def _stacked(point: BranchPoint) -> Array:
    """Return a point of a branch as coordinates and scaled position [P + 1]."""
    return np.append(point.point.at, AXIS_WEIGHT * point.position)


def _at_edge(family: Family, z: Array, beyond: Array) -> Array | None:
    """Return the point of a branch at the end of the axis that lies between two of its points."""
    edge = AXIS_WEIGHT if beyond[-1] > AXIS_WEIGHT else 0.0
    share = (edge - z[-1]) / (beyond[-1] - z[-1])
    return _corrected(family, z + share * (beyond - z), np.append(np.zeros(len(z) - 1), 1.0))


def _point(family: Family, z: Array) -> BranchPoint:
    position = float(z[-1]) / AXIS_WEIGHT
    return BranchPoint(position, classify(family.at(position), z[:-1]))


def _lies_on(family: Family, branch: Branch, z: Array) -> bool:
    """Say whether a point is one of a branch's."""
    position = z[-1] / AXIS_WEIGHT
    for one, next_one in itertools.pairwise(branch.points):
        low, high = sorted((one.position, next_one.position))
        if low <= position <= high:
            share = (
                0.0
                if low == high
                else (position - one.position) / (next_one.position - one.position)
            )
            between = one.point.at + share * (next_one.point.at - one.point.at)
            if np.abs(between - z[:-1]).max() < _NEARBY:
                there = newton(family.at(position), between[:, None]).points[:, 0]
                if np.abs(there - z[:-1]).max() < 1e-5:
                    return True
    return False
