"""Progress of work: the share that is done, of parts and of counts, and how it is shown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate, pairwise
from time import monotonic
from typing import TYPE_CHECKING

from sim.utils.format import printable

if TYPE_CHECKING:
    from rich.console import Console

#: Called with the share of the work that is done, from 0 to 1.
Progress = Callable[[float], None]
#: Called with how much was done since the last call; it may raise to break off.
CountProgress = Callable[[int], None]
#: The `progress` of public functions: True shows a bar; None and False show nothing.
ProgressOption = Progress | bool | None

#: Seconds between two lines where there is no terminal to draw a bar on.
LINE_EVERY = 15.0


@contextmanager
def progress_reporter(progress: ProgressOption, label: str) -> Iterator[Progress | None]:
    """Yield the function that a `progress` option stands for; None where nothing is shown.

    True is a bar on stderr with a label; a function is yielded itself.
    """
    if progress is True:
        with progress_bar(label) as report:
            yield report
    else:
        yield progress or None


@contextmanager
def progress_bar(label: str, *, console: Console | None = None) -> Iterator[Progress]:
    """Show a bar with the time left on stderr, or a console; yields the function that moves it.

    A log gets a line now and then instead.
    """
    import rich.progress as bars  # a tenth of a second
    from rich.console import Console

    console, label = console or Console(stderr=True), printable(label)
    columns = (
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.TextColumn("{task.percentage:>3.0f}%"),
        bars.TimeElapsedColumn(),
        bars.TextColumn("left"),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=console) as bar:
        task = bar.add_task(label, total=1.0)
        start: tuple[float, float] | None = None  # when work began, and what was done before
        last = monotonic()

        def report(share: float) -> None:
            nonlocal last, start
            bar.update(task, completed=share)
            time = monotonic()
            start_time, before = start = start or (time, share)
            if not console.is_terminal and time - last >= LINE_EVERY and before < share < 1.0:
                last = time
                seconds = (time - start_time) * (1.0 - share) / (share - before)
                line = f"{label}: {share:.0%}, about {seconds:.0f} s left"
                console.print(line, highlight=False, markup=False)

        yield report


def part_of(progress: Progress | None, start: float, stop: float) -> Progress:
    """Return what reports the share of a part of some work as a share of the whole.

    The part lasts from the share `start` to the share `stop` of the whole.
    """

    def report(share: float) -> None:
        if progress is not None:
            progress((1.0 - share) * start + share * stop)

    return report


def parts_of(progress: Progress | None, costs: Iterable[float]) -> list[Progress]:
    """Return `part_of` for each part of some work, one after the other, by what they cost."""
    ends = list(accumulate(costs, initial=0.0))
    return [part_of(progress, start / ends[-1], stop / ends[-1]) for start, stop in pairwise(ends)]


def rest_of(progress: Progress, start: float) -> Progress:
    """Return what reports the share of some work as one of what is left after the share `start`."""

    def report(share: float) -> None:
        progress(max(share - start, 0.0) / (1.0 - start) if start < 1.0 else 1.0)

    return report


def count_progress(progress: Progress | None, total: int, *, finished: int = 0) -> CountProgress:
    """Return what takes counts of work as they are done, and reports the share of the total.

    `finished` was done before. It may be called from several threads.
    """
    lock = threading.Lock()
    count = finished

    def report(more: int) -> None:
        nonlocal count
        with lock:
            count += more
        if progress is not None:
            progress(min(count / total, 1.0))

    return report
