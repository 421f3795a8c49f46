"""Progress of work that is done in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate, pairwise

from rich.console import Console
from rich.progress import Progress

#: What long computations accept: True for a bar on stderr, or a function of the share that is done.
ProgressOption = bool | Callable[[float], None] | None


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


@contextmanager
def progress_reporter(
    progress: ProgressOption, label: str
) -> Iterator[Callable[[float], None] | None]:
    """Yield the function of the share done that a progress option stands for; None for nothing.

    Args:
        progress: True for a bar on stderr, or a function.
        label: Name of the work on the bar.
    """
    if progress is not True:
        yield progress or None
        return
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=1.0)
        yield lambda share: bar.update(task, completed=share)
