"""Progress of work that is done in parts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import partial
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


#: What computations that take long accept: True, a function of the share that is done, or neither.
ProgressOption = bool | Callable[[float], None] | None


def read_progress(progress: ProgressOption, label: str) -> Callable[[float], None] | None:
    """Return the function that a progress option stands for; None where nothing is reported.

    Args:
        progress: True: a line on standard error that is rewritten as the share rises; or a
            function that is called with it.
        label: Name of the work on that line.
    """
    if progress is True:
        return partial(_print_share, label)
    return None if progress is False else progress


def _print_share(label: str, share: float) -> None:
    end = "\n" if share >= 1.0 else ""
    print(f"\r{label}: {share:4.0%}", end=end, file=sys.stderr, flush=True)
