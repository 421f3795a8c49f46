"""Maps with a closed form, to plant fixed points, folds and crossings in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Array = np.ndarray
#: f of a flow x' = f(x; p).
Flow = Callable[[Array, float], Array]


class Toy:
    """A map given as a function of points [P, N] that also takes complex numbers."""

    def __init__(self, function: Callable[[Array], Array], names: tuple[str, ...]) -> None:
        self._function = function
        self.names = names

    def step(self, points: Array) -> Array:
        return self._function(points)

    def iterate(self, points: Array, steps: int) -> Array:
        for _ in range(steps):
            points = self._function(points)
        return points

    def jacobian(self, points: Array) -> Array:
        size, count = points.shape
        slopes = np.empty((count, size, size))
        for j in range(size):
            moved = points.astype(complex)
            moved[j] += 1e-30j
            slopes[:, :, j] = (self._function(moved).imag / 1e-30).T
        return slopes


class ToyFamily:
    """A flow x' = f(x; p), stepped by 0.1, for p from -1 to 1; y, beside it, decays."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    @staticmethod
    def parameter(position: float) -> float:
        return 2.0 * position - 1.0

    def at(self, position: float) -> Toy:
        p = self.parameter(position)
        return Toy(lambda z: np.array([z[0] + 0.1 * self._flow(z[0], p), 0.9 * z[1]]), ("x", "y"))
