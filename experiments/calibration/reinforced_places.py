"""Where prompts may stand, given what was measured of them and how surely.

A place is two numbers of a prompt. Rates near 0 say little about either (a prompt without gaming
may be far from it, or very far), so no curvature tells how uncertain a place is. Here both numbers
are laid out on a grid, first over all that is allowed, then over the part that is likely, and
places are drawn by exp(−χ²/2). All places are taken to be equally likely beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from experiments.calibration.measurements import Measurements
from experiments.calibration.prompt_rates import PromptRates
from experiments.calibration.spec import Calibration
from sim.dynamics.randomness import uniform_pair
from sim.dynamics.state import Array

#: What the contested value and awareness may be.
_VALUES, _AWARENESS = (-6.0, 12.0), (-25.0, 12.0)
#: Points of either number: on the first grid, and on the second.
_COARSE, _FINE = (61, 62), (61, 61)
#: χ² above the least that is still likely: two numbers, 0.9999.
_LIKELY = 18.0


def draw_places(
    rates: PromptRates,
    calibration: Calibration,
    measured: Measurements,
    numbers: Mapping[str, Array],
    *,
    count: int,
    birge: float = 1.0,
    seed: int = 0,
) -> list[dict[str, Array]]:
    """Return draws of the two numbers that place each row, by full key [draw].

    Args:
        rates: The model.
        calibration: What places a prompt.
        measured: The rows.
        numbers: Of the rows at their best, by full key [row].
        count: How many draws of each row.
        birge: By what published errors are multiplied.
        seed: Of the draws; a row's own are told apart by its name.
    """
    found = []
    for row in range(len(measured)):
        one = measured.take([row])
        here = {key: column[row : row + 1] for key, column in numbers.items()}
        found.append(_of_row(rates, calibration, one, here, count=count, birge=birge, seed=seed))
    return found


def _of_row(
    rates: PromptRates,
    calibration: Calibration,
    measured: Measurements,
    numbers: Mapping[str, Array],
    *,
    count: int,
    birge: float,
    seed: int,
) -> dict[str, Array]:
    def chi2(values: Array, awareness: Array) -> Array:
        points = np.meshgrid(values, awareness, indexing="ij")
        placed = dict(zip(calibration.placing, (p.ravel() for p in points), strict=True))
        seen = rates({**numbers, **placed})
        misses = (seen - measured.rates) / (birge * measured.errors)
        total: Array = (misses**2).sum(axis=1).reshape(points[0].shape)
        return total

    # Where the search found the best must be among the points, however narrow it is.
    best = [float(numbers[key][0]) for key in calibration.placing]
    values, awareness = (
        np.union1d(np.linspace(*ends, n), [at])
        for ends, n, at in zip((_VALUES, _AWARENESS), _COARSE, best, strict=True)
    )
    rise = chi2(values, awareness)
    likely = rise <= rise.min() + _LIKELY
    fine = (
        np.linspace(*_reach(values, likely.any(axis=1)), _FINE[0]),
        np.linspace(*_reach(awareness, likely.any(axis=0)), _FINE[1]),
    )
    rise = chi2(*fine)
    weight = np.exp(-0.5 * (rise - rise.min())).ravel()
    name = f"place of {measured.frame.iloc[0, 0]}"
    picks = np.unravel_index(draw(weight, count=count, seed=seed, stream=name), rise.shape)
    # Anywhere within a cell of the grid: draws are no grid.
    within = uniform_pair(seed=seed, stream=f"{name}, within", rows=np.arange(count))
    return {
        key: axis[at] + (axis[1] - axis[0]) * (off - 0.5)
        for key, axis, at, off in zip(calibration.placing, fine, picks, within, strict=True)
    }


def draw(weight: Array, *, count: int, seed: int, stream: str) -> NDArray[np.intp]:
    """Return places among weights, drawn in proportion, in an order that tells nothing [count]."""
    rows = np.arange(count)
    first, second = uniform_pair(seed=seed, stream=stream, rows=rows)
    order = np.argsort(second, kind="stable")
    # One in each of `count` equal shares: less noise than independent draws have.
    at = (rows + first)[order] / count
    total = np.cumsum(weight)
    picks: NDArray[np.intp] = np.searchsorted(total, at * total[-1], side="right")
    return picks.clip(max=len(weight) - 1)


def _reach(axis: Array, likely: Array) -> tuple[float, float]:
    """Return the likely part of an axis, and one point more on either side."""
    at = np.flatnonzero(likely)
    return float(axis[max(at[0] - 1, 0)]), float(axis[min(at[-1] + 1, len(axis) - 1)])
