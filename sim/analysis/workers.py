"""Independent pieces of work over the processors of a machine, with results in order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TypeVar

from sim.dynamics.engines.engine import usable_processors

Job = TypeVar("Job")
Result = TypeVar("Result")


def mapped(
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> list[Result]:
    """Return what a function makes of each job, in the order of jobs.

    Args:
        work: A function at the top of a module; what it gives does not depend on who does it.
        jobs: What can be sent to another process.
        workers: Processes; 1: this one. None: as many as there are processors for.
        progress: Told the share that is done.
    """
    count = min(usable_processors() if workers is None else workers, len(jobs))
    found: list[Result] = []

    def keep(results: Iterator[Result]) -> list[Result]:
        for result in results:
            found.append(result)
            if progress is not None:
                progress(len(found) / len(jobs))
        return found

    if count <= 1:
        return keep(map(work, jobs))
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_leave_ctrl_c)
    try:
        with _unheard_ctrl_c():
            results = pool.map(work, jobs)
        return keep(iter(results))
    except BrokenProcessPool:
        raise RuntimeError(
            "the processes that were to fit have ended; in a script, call this below "
            "`if __name__ == '__main__':`, or say workers=1"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _leave_ctrl_c() -> None:
    """Leave Ctrl-C to the process that waits; it lets the others finish their job, and go."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _unheard_ctrl_c() -> Iterator[None]:
    """Start processes that do not hear Ctrl-C while they are starting, either."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
