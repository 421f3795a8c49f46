"""Independent pieces of work over the processors of a machine."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from typing import NoReturn, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


#: Threads or processes for each processor above which a machine does nothing but change them.
_MOST_FOR_EACH = 16


class WorkersLostError(RuntimeError):
    """Other processes that did the work have ended; the message is one line."""


def usable_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


#: More threads or processes than these are refused.
MOST_WORKERS = _MOST_FOR_EACH * usable_processors()


def parallel_map(
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> list[Result]:
    """Return the results of a function on each job, in the order of jobs.

    The function stands at the top of a module, and jobs can be sent to another process. With
    `workers` at 1 the work is done in this process; None is as many as there are processors for. A
    RuntimeError says that other processes could not be started.
    """
    count = min(usable_processors() if workers is None else workers, len(jobs))
    results: dict[int, Result] = {}
    for index, result in _in_any_order(work, jobs, count):
        results[index] = result
        if progress is not None:
            progress(len(results) / len(jobs))
    return [results[index] for index in range(len(jobs))]


def _in_any_order(
    work: Callable[[Job], Result], jobs: Sequence[Job], workers: int
) -> Iterator[tuple[int, Result]]:
    """Yield the number and the result of each job."""
    if workers <= 1:
        for index, job in enumerate(jobs):
            yield index, work(job)
        return
    queue = iter(enumerate(jobs))
    running: dict[Future[Result], int] = {}
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start)
    try:
        with _unheard_ctrl_c():
            for index, job in islice(queue, workers):
                running[_submit(pool, work, job)] = index
        while running:
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                yield running.pop(future), future.result()
                for index, job in islice(queue, 1):
                    running[_submit(pool, work, job)] = index
    except BrokenProcessPool:
        raise WorkersLostError("the other processes have ended; they may lack memory") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, work: Callable[[Job], Result], job: Job) -> Future[Result]:
    """Submit a job; a process that this starts does not run the user's script once more."""
    main = vars(sys.modules["__main__"])
    script: dict[str, object] = {
        name: main[name] for name in ("__file__", "__spec__") if name in main
    }
    main.pop("__file__", None)
    main["__spec__"] = None
    try:
        return pool.submit(work, job)
    finally:
        main.update(script)


def _start() -> None:
    """Ignore Ctrl-C, which the process that waits hears, and end when that process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=[parent_process()], daemon=True).start()


def _end_with(parent: BaseProcess | None) -> None:
    if parent is not None:
        parent.join()
        os._exit(1)


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


def leave_on_ctrl_c() -> None:
    """Let Ctrl-C end a command at once while it is starting, when an import could swallow it.

    Nothing is written by then. Other processes, and whoever ignores Ctrl-C, go on as they are.
    """
    is_main = threading.current_thread() is threading.main_thread() and parent_process() is None
    if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def raise_on_ctrl_c() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again, from where work begins."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(*_: object) -> NoReturn:
    os.write(2, b"interrupted; no result was written\n")
    os._exit(130)
