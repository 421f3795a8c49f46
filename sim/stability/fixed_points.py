"""Fixed points of a map: found from many starts, and classed by their eigenvalues.

Relaxation iterates the map and finds attractors; damped Newton steps with exact Jacobians also find
saddles and repellers. A start from which Newton's method leaves its neighbourhood, or stalls, is
counted and gives no fixed point. A parameter that training drives on for ever, ever more slowly,
has none (for gates see `sim.stability.invasion`).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sim.dynamics.state import Array
from sim.stability.training_map import Map

Kind = Literal["stable", "neutral", "saddle", "unstable"]
#: In the order in which fixed points are listed.
KINDS: tuple[Kind, ...] = get_args(Kind)

#: Eigenvalues whose modulus is within this of 1 are neutral: over 10⁹ steps per factor e.
NEUTRAL = 1e-9
#: Length of a Newton step at convergence.
CONVERGED = 1e-10
#: Relative tolerance below which singular values count as zero.
_SINGULAR = 1e-12
#: Newton's method: steps, largest move of a parameter in one step, and from its start in all.
_MOST_STEPS, _LONGEST, _RADIUS = 60, 1.0, 8.0
#: Distance below which two points are the same fixed point, and an orbit has come to one.
_APART, _REACHED = 1e-6, 1e-4
#: Attractors between which saddles are looked for, at most.
_MOST_PAIRED = 8
#: Coordinates with at least this part of a neutral direction's largest component name it.
_COMPONENT = 0.3


@dataclass(frozen=True)
class FixedPoint:
    """A fixed point of a map, with its spectrum.

    Attributes:
        names: Coordinates.
        at: Position [P]; of a sheet of fixed points, that of one of them.
        eigenvalues: Of the Jacobian [P], by falling modulus.
        kind: `stable`: all eigenvalues inside the unit circle; `neutral`: none outside, some on
            it; `saddle`: some outside, some inside; `unstable`: some outside, none inside.
        neutral: For each eigenvalue on the unit circle, the coordinates that its direction moves.
        sheet: Orthonormal basis of the neutral directions [P, k].
    """

    names: tuple[str, ...]
    at: Array
    eigenvalues: NDArray[np.complex128]
    kind: Kind
    neutral: tuple[tuple[str, ...], ...]
    sheet: Array

    def __repr__(self) -> str:
        radius = np.abs(self.eigenvalues).max(initial=0.0)
        count = f"{len(self.names)} coordinates"
        return f"<FixedPoint: {self.kind}, {count}, spectral radius {radius:.6g}>"

    @property
    def attracts(self) -> bool:
        """Whether no eigenvalue lies outside the unit circle."""
        return self.kind in ("stable", "neutral")

    @property
    def largest(self) -> float:
        """Spectral radius of the Jacobian; 0 without coordinates."""
        return float(np.abs(self.eigenvalues).max(initial=0.0))

    @property
    def memory(self) -> float:
        """Relaxation time: steps in which a small displacement falls to 1/e; inf if it need not."""
        if not self.attracts or self.neutral:
            return np.inf
        return -1.0 / float(np.log(self.largest)) if self.largest > 0.0 else 0.0


@dataclass(frozen=True)
class Solution:
    """Last iterates of Newton's method [P, N], and whether they are fixed points [N]."""

    points: Array
    converged: NDArray[np.bool_]


@dataclass(frozen=True)
class Survey:
    """Fixed points of a map to which some starts lead.

    Attributes:
        points: Distinct fixed points, in the order of `KINDS`.
        attractor: Index of the fixed point that each start relaxes to; -1 for none [N].
        ends: Starts after relaxation [P, N].
        steps: Steps of relaxation.
        attempts: Attempts of Newton's method: from starts, ends and between attractors.
        stalled: Attempts that did not converge.
    """

    points: tuple[FixedPoint, ...]
    attractor: NDArray[np.intp]
    ends: Array
    steps: int
    attempts: int
    stalled: int


def survey(f: Map, starts: Array, *, steps: int = 20_000, maximum_steps: int = 320_000) -> Survey:
    """Find fixed points by relaxation and by Newton's method from many starts [P, N].

    Steps of relaxation are doubled, up to a maximum, while a start approaches a fixed point.
    """
    solutions = [newton(f, starts)]
    ends, elapsed = f.iterate(starts, steps), steps
    solutions.append(newton(f, ends))
    points = _distinct(f, solutions)
    attractor = _attractors(points, ends)
    while (attractor < 0).any() and elapsed < maximum_steps:
        before = ends
        ends, elapsed = f.iterate(ends, elapsed), 2 * elapsed
        attractor = _attractors(points, ends)
        if not _approaching(points, before, ends, attractor < 0):
            break
    if (attractor < 0).any():
        solutions.append(newton(f, ends[:, attractor < 0]))
    between = _between_attractors(_distinct(f, solutions))
    if between is not None:
        solutions.append(newton(f, between))
    points = _distinct(f, solutions)
    return Survey(
        points=points,
        attractor=_attractors(points, ends),
        ends=ends,
        steps=elapsed,
        attempts=sum(len(s.converged) for s in solutions),
        stalled=sum(int(np.count_nonzero(~s.converged)) for s in solutions),
    )


def newton(f: Map, starts: Array) -> Solution:
    """Solve F(x) = x by damped Newton steps from many starts [P, N].

    A step is the shortest solution of the linear system, so there is none in neutral directions. It
    is halved until the residual falls. A start that leaves its neighbourhood is given up: a
    parameter that is driven to infinity would be followed to where rounding hides its drift.
    """
    points = np.array(starts, np.float64)
    converged = np.zeros(points.shape[1], np.bool_)
    active = np.arange(points.shape[1])
    for _ in range(_MOST_STEPS):
        if not len(active):
            break
        x = points[:, active]
        residual = f.step(x) - x
        move, solvable = _newton_step(f.jacobian(x), residual)
        ready = solvable & (np.abs(move).max(axis=0) <= CONVERGED)
        converged[active[ready]] = True
        points[:, active], improved = _damped(f, x, move, residual)
        inside = np.abs(points[:, active] - starts[:, active]).max(axis=0) <= _RADIUS
        active = active[~ready & improved & inside]
    return Solution(points, converged)


def classify(f: Map, at: Array) -> FixedPoint:
    """Return a fixed point at x [P] with its eigenvalues and its class."""
    values, vectors = np.linalg.eig(f.jacobian(at[:, None])[0])
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
    directions = tuple(_main_coordinates(vectors[:, i], f.names) for i in np.flatnonzero(on))
    return FixedPoint(f.names, at.copy(), values, kind, directions, _real_basis(vectors[:, on]))


def count_kinds(kinds: Iterable[Kind]) -> str:
    """Return a list of classes as text: `2 stable, 1 saddle`."""
    counts = Counter(kinds)
    return ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind]) or "no points"


def _newton_step(jacobian: Array, residual: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return shortest steps [P, n] that remove residuals [P, n], and where there are such [n]."""
    slopes = np.eye(residual.shape[0]) - jacobian
    u, size, vt = np.linalg.svd(slopes)
    weight = np.einsum("nij,in->nj", u, residual)
    zero = size <= _SINGULAR * size[:, :1]
    safe = np.where(zero, 1.0, size)
    move = np.einsum("nji,nj->in", vt, np.where(zero, 0.0, weight / safe))
    # In the null space of I − DF there must be no residual.
    unsolved = np.abs(np.where(zero, weight, 0.0)).max(axis=1)
    return move, unsolved <= 1e-3 * _SINGULAR


def _damped(f: Map, x: Array, move: Array, residual: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Take steps, halved until the residual falls; returns points [P, n] and whether it did [n]."""
    longest = np.abs(move).max(axis=0)
    move = move * np.minimum(1.0, _LONGEST / np.maximum(longest, _LONGEST))
    before = np.linalg.norm(residual, axis=0)
    share = np.ones(x.shape[1])
    best, improved = x.copy(), np.zeros(x.shape[1], np.bool_)
    for _ in range(10):
        rows = np.flatnonzero(~improved)
        if not len(rows):
            break
        trial = x[:, rows] + share[rows] * move[:, rows]
        after = np.linalg.norm(f.step(trial) - trial, axis=0)
        better = (after < before[rows] * (1.0 - 1e-4 * share[rows])) | (after == 0.0)
        best[:, rows[better]] = trial[:, better]
        improved[rows[better]] = True
        share *= 0.5
    # At rest but for rounding, no step improves it, and none is needed.
    return best, improved | (longest <= 1e3 * CONVERGED)


def _distinct(f: Map, solutions: list[Solution]) -> tuple[FixedPoint, ...]:
    """Return the fixed points that Newton's method converged to, each once."""
    points: list[FixedPoint] = []
    for at in np.concatenate([s.points[:, s.converged] for s in solutions], axis=1).T:
        if not any(_is_same(point, at) for point in points):
            points.append(classify(f, at))
    return tuple(sorted(points, key=lambda point: KINDS.index(point.kind)))


def _between_attractors(points: tuple[FixedPoint, ...]) -> Array | None:
    """Return points on the lines between attractors [P, n], from which saddles are found."""
    ends = [point.at for point in points if point.attracts][:_MOST_PAIRED]
    between = [
        start + share * (stop - start)
        for start, stop in itertools.combinations(ends, 2)
        for share in np.linspace(0.0, 1.0, 9)[1:-1]
    ]
    return np.stack(between, axis=1) if between else None


def _is_same(point: FixedPoint, at: Array) -> bool:
    """Return whether a position [P] is that of a fixed point, or on its sheet."""
    offset = at - point.at
    across = np.abs(offset - point.sheet @ (point.sheet.T @ offset)).max()
    # A sheet need not be flat.
    bend = 0.05 * np.abs(offset).max() if point.neutral else 0.0
    return bool(across <= _APART + bend)


def _real_basis(vectors: NDArray[np.complex128]) -> Array:
    """Return an orthonormal basis of the real span of vectors [P, k]."""
    u, size, _ = np.linalg.svd(np.concatenate([vectors.real, vectors.imag], axis=1))
    return np.asarray(u[:, : np.count_nonzero(size > 1e-9)])


def _attractors(points: tuple[FixedPoint, ...], ends: Array) -> NDArray[np.intp]:
    """Return the index of the attractor that each end [P, N] is at, or -1 [N]."""
    attractor = np.full(ends.shape[1], -1, np.intp)
    for i, point in enumerate(points):
        if point.attracts:
            neutral = {name for direction in point.neutral for name in direction}
            across = [name not in neutral for name in point.names]
            distance = np.abs(ends - point.at[:, None])[across]
            attractor[(attractor < 0) & (distance.max(axis=0, initial=0.0) <= _REACHED)] = i
    return attractor


def _approaching(
    points: tuple[FixedPoint, ...], before: Array, ends: Array, unsettled: NDArray[np.bool_]
) -> bool:
    """Return whether an unsettled end [P, N] has come nearer to an attractor."""

    def distances(point: FixedPoint, x: Array) -> Array:
        return np.asarray(np.abs(x[:, unsettled] - point.at[:, None]).max(axis=0))

    attractors = (point for point in points if point.attracts)
    return any((distances(p, ends) < 0.9 * distances(p, before)).any() for p in attractors)


def _main_coordinates(direction: NDArray[np.complex128], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the coordinates with the largest components of a direction [P], largest first."""
    size = np.abs(direction)
    order = np.argsort(-size, kind="stable")
    return tuple(names[i] for i in order if size[i] >= _COMPONENT * size.max())
