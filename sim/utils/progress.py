"""Progress of work: the share that is done, of parts and of counts, and how it is shown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
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


class Pace:
    """Estimates the time that is left, from new work alone.

    Of work in parts, several at once, it knows nothing before as many have been finished as are at
    work at first; and where fewer are left than that, they are no faster for it.
    """

    def __init__(self) -> None:
        self._start: tuple[float, float] | None = None  # when new work began, after which share
        self._at_once = self._parts = self._finished = 0

    def count_parts(self, finished: int, parts: int, *, at_once: int) -> None:
        """Take in how many parts of new work are finished, of how many, so many done at once."""
        self._finished, self._parts, self._at_once = finished, parts, min(at_once, parts)

    def seconds_left(self, time: float, share: float) -> float | None:
        """Return the seconds left at a time and a share of all work; None: not known."""
        if self._start is None or share <= self._start[1]:
            self._start = (time, share)
        start, before = self._start
        if share == before or self._finished < self._at_once:
            return None
        seconds = (time - start) * (1.0 - share) / (share - before)
        at_work = min(self._at_once, self._parts - self._finished)
        return seconds * self._at_once / at_work if at_work else seconds


class Bar:
    """A bar that is shown; called with the share of the work that is done, it moves.

    Attributes:
        pace: Estimates the time left; who does the work in parts says so.
    """

    def __init__(self, show: Callable[[float, float, float | None], None]) -> None:
        self.pace = Pace()
        self._show = show

    def __call__(self, share: float) -> None:
        """Show a share."""
        time = monotonic()
        self._show(time, share, self.pace.seconds_left(time, share))


@contextmanager
def progress_bar(label: str, *, console: Console | None = None) -> Iterator[Bar]:
    """Show a bar with the time left on stderr, or a console; yields what moves it.

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
        bars.TextColumn("{task.fields[left]}"),
    )
    with bars.Progress(*columns, console=console) as bar:
        task, last = bar.add_task(label, total=1.0, left=""), monotonic()

        def show(time: float, share: float, seconds: float | None) -> None:
            nonlocal last
            estimate = seconds if share < 1.0 else None
            left = "" if estimate is None else f"{timedelta(seconds=round(estimate))} left"
            bar.update(task, completed=share, left=left)
            if not console.is_terminal and time - last >= LINE_EVERY and estimate is not None:
                last = time
                line = f"{label}: {share:.0%}, about {estimate:.0f} s left"
                console.print(line, highlight=False, markup=False)

        yield Bar(show)


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
