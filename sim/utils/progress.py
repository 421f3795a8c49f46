"""Progress of work that is done in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import accumulate, pairwise


def part_of(
    progress: Callable[[float], None] | None, start: float, stop: float
) -> Callable[[float], None]:
    """Return what a part of some work tells the share of it that is done.

    Args:
        progress: Told the share of the whole; None: nobody is told.
        start: The share of the whole that is done when the part begins ...
        stop: ... and when it ends.
    """

    def told(share: float) -> None:
        if progress is not None:
            progress((1.0 - share) * start + share * stop)

    return told


def parts_of(
    progress: Callable[[float], None] | None, costs: Iterable[float]
) -> list[Callable[[float], None]]:
    """Return `part_of` for each part of some work, one after the other.

    Args:
        progress: Told the share of the whole; None: nobody is told.
        costs: How much of the work each part is, in any unit.
    """
    ends = list(accumulate(costs, initial=0.0))
    return [part_of(progress, start / ends[-1], stop / ends[-1]) for start, stop in pairwise(ends)]
