"""Pseudo-arclength continuation of fixed points in one parameter (Keller 1977).

A branch is a curve of fixed points in the space of coordinates and parameter. From each of its
points the next is predicted along the tangent and corrected at right angles to it, so the branch is
followed around folds, where the parameter turns back and a stable and an unstable branch meet: a
system moved past a fold does not return the way it went (hysteresis). Where the determinant of the
bordered system changes sign without a fold, another branch crosses (Govaerts 2000); it is followed
too.

The parameter is measured by its position on an axis, from 0 to 1 (`Family`). A point z [P + 1] is
the coordinates and the position times `AXIS_WEIGHT`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from sim.dynamics.state import Array
from sim.stability.fixed_points import FixedPoint, classify, newton
from sim.stability.training_map import Map

#: Distance of coordinates that weighs as much as the whole axis.
AXIS_WEIGHT = 10.0
#: Arc length between successive points, in units of the coordinates: shortest, first, longest.
_SHORTEST, _FIRST, _LONGEST = 1e-5, 0.02, 0.25
#: Length of a correction at convergence.
_CONVERGED = 1e-9
#: Half the step of central differences in position.
_HALF = 1e-5

#: Relative tolerance below which singular values count as zero.
_SINGULAR = 1e-11
#: Cosines between successive tangents below which arc length halves, and above which it grows.
_STRAIGHT, _VERY_STRAIGHT = 0.9, 0.995
_MOST_CORRECTIONS, _BISECTIONS = 8, 20
#: Branches, and points of each in either direction, at most.
_MOST_BRANCHES, _MOST_POINTS = 24, 400
#: Distance from a crossing at which the other branch is looked for.
_OFFSET = 0.05
#: Distance beyond which a point is not compared with a branch.
_NEARBY = 0.3

#: Why a branch ends: at an end of the axis, at its beginning, for want of a next point, or of room.
End = Literal["axis", "closed", "lost", "long"]
Event = Literal["fold", "crossing", "change"]
#: A map for every position on an axis, from 0 to 1 or a little beyond.
Family = Callable[[float], Map]


@dataclass(frozen=True)
class BranchPoint:
    """A fixed point on a branch.

    Attributes:
        position: Position of the parameter on its axis, 0 to 1.
        point: The fixed point.
        event: `fold`: the parameter turns back; `crossing`: another branch passes; `change`: the
            class changes otherwise (an eigenvalue crosses the unit circle elsewhere than at 1);
            None for an ordinary point.
    """

    position: float
    point: FixedPoint
    event: Event | None = None

    @property
    def z(self) -> Array:
        """Coordinates and scaled position [P + 1]."""
        return np.append(self.point.at, AXIS_WEIGHT * self.position)


@dataclass(frozen=True)
class Branch:
    """A curve of fixed points, in order, with the reasons why it ends at either side."""

    points: tuple[BranchPoint, ...]
    ends: tuple[End, End]


class _Seed(NamedTuple):
    """A point near a branch, with the branch's direction and the crossing with it, if known."""

    position: float
    at: Array
    direction: Array | None = None
    crossing: BranchPoint | None = None


class _State(NamedTuple):
    """A point z [P + 1], the derivative of F(x) − x by z [P, P + 1], and the tangent [P + 1]."""

    z: Array
    slopes: Array
    tangent: Array


def branches(
    family: Family,
    seeds: Sequence[tuple[float, Array]],
    *,
    progress: Callable[[float], None] | None = None,
) -> tuple[Branch, ...]:
    """Follow the branches through some fixed points, and those that cross them, each once.

    Seeds are positions and coordinates [P] of fixed points, or near them; progress is the share of
    known seeds that are followed.
    """
    followed: list[Branch] = []
    queue = [_Seed(*seed) for seed in seeds]
    count = 0
    while queue and len(followed) < _MOST_BRANCHES:
        seed = queue.pop(0)
        count += 1
        z = _settle(family, seed)
        if z is not None and not any(_lies_on(family, branch, z) for branch in followed):
            branch = _follow_both_ways(family, z, seed.direction)
            if seed.crossing is not None:
                branch = _with_crossing(branch, seed.crossing)
            followed.append(branch)
            queue += [
                _switch_branch(family, branch, i)
                for i, point in enumerate(branch.points)
                if point.event == "crossing"
                and 0 < i < len(branch.points) - 1
                and (seed.crossing is None or point.point is not seed.crossing.point)
            ]
        if progress is not None:
            progress(count / (count + len(queue)))
    return tuple(followed)


def _settle(family: Family, seed: _Seed) -> Array | None:
    """Return the point z [P + 1] of a branch near a seed; None if there is none."""
    z = np.append(seed.at, AXIS_WEIGHT * seed.position)
    if seed.direction is not None:
        return _correct(family, z, seed.direction)
    solution = newton(family(seed.position), seed.at[:, None])
    return np.append(solution.points[:, 0], z[-1]) if solution.converged[0] else None


def _follow_both_ways(family: Family, z: Array, direction: Array | None) -> Branch:
    if direction is None:
        direction = np.zeros(len(z))
        direction[-1] = 1.0
    forward, end = _follow(family, z, direction)
    if end == "closed":
        return Branch((_branch_point(family, z), *forward), ("closed", "closed"))
    backward, beginning = _follow(family, z, -direction)
    points = (*reversed(backward), _branch_point(family, z), *forward)
    return Branch(points, (beginning, end))


def _follow(family: Family, first: Array, direction: Array) -> tuple[list[BranchPoint], End]:
    """Follow a branch from a point z [P + 1] in one direction, as far as it goes."""
    points: list[BranchPoint] = []
    state = _state(family, first, direction)
    length = _FIRST
    kind = _branch_point(family, first).point.kind
    while len(points) < _MOST_POINTS:
        z = _correct(family, state.z + length * state.tangent, state.tangent)
        if z is None or state.tangent @ (z - state.z) < 0.5 * length:
            length *= 0.5
            if length < _SHORTEST:
                return points, "lost"
            continue
        if not 0.0 <= z[-1] <= AXIS_WEIGHT:
            edge = _at_edge(family, state.z, z)
            return points + ([_branch_point(family, edge)] if edge is not None else []), "axis"
        following = _state(family, z, state.tangent)
        cosine = float(state.tangent @ following.tangent)
        if cosine < _STRAIGHT and length > 10.0 * _SHORTEST:
            length *= 0.5
            continue
        point = _branch_point(family, z)
        event = _event_between(state, following)
        if event is not None:
            points.append(_bisect(family, state, length, event))
        elif point.point.kind != kind:
            point = replace(point, event="change")
        points.append(point)
        if len(points) > 10 and np.abs(z - first).max() < length:
            return points, "closed"
        state, kind = following, point.point.kind
        length = min(_LONGEST, length * (1.5 if cosine > _VERY_STRAIGHT else 1.0))
    return points, "long"


def _state(family: Family, z: Array, direction: Array) -> _State:
    slopes = _slopes(family, z)
    return _State(z, slopes, _tangent(slopes, direction))


def _slopes(family: Family, z: Array, by_position: Array | None = None) -> Array:
    """Return the derivative of F(x) − x by z [P, P + 1]; that by position may be known."""
    jacobian = family(z[-1] / AXIS_WEIGHT).jacobian(z[:-1, None])[0]
    last = _by_position(family, z) if by_position is None else by_position
    return np.hstack([jacobian - np.eye(len(jacobian)), last])


def _by_position(family: Family, z: Array) -> Array:
    """Return the derivative of F(x) − x by scaled position [P, 1]."""
    x, position = z[:-1, None], z[-1] / AXIS_WEIGHT
    upper, lower = (family(position + shift).step(x) for shift in (_HALF, -_HALF))
    return np.asarray((upper - lower) / (2.0 * _HALF * AXIS_WEIGHT))


def _tangent(slopes: Array, direction: Array) -> Array:
    """Return the unit null vector of slopes [P, P + 1] nearest to a direction [P + 1]."""
    _, size, vt = np.linalg.svd(slopes)
    rank = int(np.count_nonzero(size > _SINGULAR * size[0]))
    null = vt[min(rank, len(slopes)) :]
    tangent = null.T @ (null @ direction)
    length = float(np.linalg.norm(tangent))
    if length < 1e-6:  # at right angles to it: the branch runs the other way
        tangent, length = null[-1], 1.0
    return np.asarray(tangent / length)


def _correct(family: Family, guess: Array, tangent: Array) -> Array | None:
    """Return the branch's point in the plane through a guess normal to a tangent [P + 1 each]."""
    z = guess
    by_position = _by_position(family, z)  # near enough for all corrections
    for _ in range(_MOST_CORRECTIONS):
        x = z[:-1, None]
        residual = (family(z[-1] / AXIS_WEIGHT).step(x) - x)[:, 0]
        system = np.vstack([_slopes(family, z, by_position), tangent])
        right = -np.append(residual, tangent @ (z - guess))
        move = np.linalg.lstsq(system, right, rcond=_SINGULAR)[0]
        if not np.abs(move).max() <= 1.0:
            return None
        z = z + move
        if np.abs(move).max() <= _CONVERGED:
            return z
    return None


def _event_between(state: _State, following: _State) -> Event | None:
    """Return whether the parameter turns back or another branch passes between two points."""
    if state.tangent[-1] * following.tangent[-1] < 0.0:
        return "fold"
    return "crossing" if _orientation(state) * _orientation(following) < 0.0 else None


def _orientation(state: _State) -> float:
    """Return the sign of the bordered system's determinant; 0 where a sheet makes it singular."""
    system = np.vstack([state.slopes, state.tangent])
    size = np.linalg.svd(system, compute_uv=False)
    if size[-1] <= _SINGULAR * size[0]:
        return 0.0
    return float(np.linalg.slogdet(system)[0])


def _bisect(family: Family, state: _State, length: float, event: Event) -> BranchPoint:
    """Locate an event within a step of the arc length by bisection."""
    low, high, at = 0.0, length, state.z
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        z = _correct(family, state.z + middle * state.tangent, state.tangent)
        if z is None:
            break
        if _event_between(state, _state(family, z, state.tangent)) is None:
            low, at = middle, z
        else:
            high = middle
    return replace(_branch_point(family, at), event=event)


def _switch_branch(family: Family, branch: Branch, index: int) -> _Seed:
    """Return a seed on the branch that passes at a crossing, the index-th point of another."""
    z = branch.points[index].z
    # F(x) − x stays 0 to first order in two directions: along this branch, and along the other.
    null = np.linalg.svd(_slopes(family, z))[2][-2:]
    along = null @ (branch.points[index + 1].z - branch.points[index - 1].z)
    direction = null.T @ np.array([-along[1], along[0]]) / float(np.linalg.norm(along))
    start = z + _OFFSET * direction
    return _Seed(float(start[-1]) / AXIS_WEIGHT, start[:-1], direction, branch.points[index])


def _with_crossing(branch: Branch, crossing: BranchPoint) -> Branch:
    """Return a branch with the crossing from which it was reached, where it passes there.

    At a pitchfork the new branch turns back exactly there, which from afar looks like a fold.
    """
    points = list(branch.points)
    for i, point in enumerate(points):
        if point.event in ("fold", "crossing") and np.abs(point.z - crossing.z).max() < _OFFSET:
            points[i] = replace(crossing, event="crossing")
    return replace(branch, points=tuple(points))


def _at_edge(family: Family, z: Array, beyond: Array) -> Array | None:
    """Return the branch's point at the end of the axis between two of its points [P + 1 each]."""
    edge = AXIS_WEIGHT if beyond[-1] > AXIS_WEIGHT else 0.0
    share = (edge - z[-1]) / (beyond[-1] - z[-1])
    return _correct(family, z + share * (beyond - z), np.append(np.zeros(len(z) - 1), 1.0))


def _branch_point(family: Family, z: Array) -> BranchPoint:
    position = float(z[-1]) / AXIS_WEIGHT
    return BranchPoint(position, classify(family(position), z[:-1]))


def _lies_on(family: Family, branch: Branch, z: Array) -> bool:
    """Return whether a point z [P + 1] lies on a branch."""
    position = z[-1] / AXIS_WEIGHT
    for start, stop in itertools.pairwise(branch.points):
        low, high = sorted((start.position, stop.position))
        if low <= position <= high:
            width = stop.position - start.position
            share = 0.0 if low == high else (position - start.position) / width
            between = start.point.at + share * (stop.point.at - start.point.at)
            if np.abs(between - z[:-1]).max() < _NEARBY:
                x = newton(family(position), between[:, None]).points[:, 0]
                if np.abs(x - z[:-1]).max() < 1e-5:
                    return True
    return False
