"""Executors: threads of this process, or workers of a Dask cluster, that compute shards.

An executor is handed shards and yields them as they are finished; the results stand in the store by
then. What is computed does not depend on who computes it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from sim.simulation import MOST_BYTES
from sim.specs.errors import SpecError
from sim.sweeps.plan import Shard
from sim.utils.parallel import WorkersLostError, usable_processors
from sim.utils.progress import CountProgress

if TYPE_CHECKING:  # with Arrow, which takes a tenth of a second that single runs do not need
    from sim.sweeps.store import Store, StoredShard

#: How long a scheduler may take to answer.
PATIENCE = "5s"
#: Seconds without a worker after which a sweep gives up, and between two looks at a cluster.
WITHOUT_WORKERS, PAUSE = 30, 0.05


class Executor(Protocol):
    """Computes shards."""

    @property
    def at_once(self) -> int:
        """How many shards it computes side by side."""
        ...

    def run(
        self, shards: Sequence[Shard], store: Store, *, progress: CountProgress
    ) -> Iterator[StoredShard]:
        """Yield shards as they are finished and stored, in any order.

        `progress` is called with agent-steps as they are done.
        """
        ...


def work(shard: Shard, store: Store, progress: CountProgress | None = None) -> StoredShard:
    """Compute a shard and store it."""
    from sim.sweeps.record import compute

    return store.put(shard, compute(shard, progress=progress))


class LocalExecutor:
    """Threads, by default all, one shard each; engines leave the interpreter's lock alone."""

    def __init__(self, *, threads: int | None = None) -> None:
        self.threads = self.at_once = threads or usable_processors()

    def __repr__(self) -> str:
        return f"LocalExecutor(threads={self.threads})"

    def run(
        self, shards: Sequence[Shard], store: Store, *, progress: CountProgress
    ) -> Iterator[StoredShard]:
        """Yield shards as they are finished (see `Executor`)."""
        stop = threading.Event()

        def report_unless_stopped(agent_steps: int) -> None:
            if stop.is_set():
                raise _StoppedError
            progress(agent_steps)

        queue = deque(shards)
        running: dict[Future[StoredShard], float] = {}  # and how much memory each takes
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="shard")
        try:
            while True:
                while queue and len(running) < self.threads:
                    shard = queue[0]
                    if running and sum(running.values()) + shard.memory > MOST_BYTES:
                        break  # large runs wait for each other
                    future = pool.submit(work, queue.popleft(), store, report_unless_stopped)
                    running[future] = shard.memory
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    del running[future]
                    yield future.result()
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


class _StoppedError(Exception):
    """Breaks off a shard whose results nobody waits for any more."""


class DaskExecutor:
    """Workers of a Dask cluster (dask.distributed, the extra `cluster`).

    The scheduler, by default that of a cluster of processes on this machine, one for each usable
    processor, gives what a lost worker held to another. Workers write to the store themselves, so
    it must be a place that all of them reach.
    """

    def __init__(self, *, address: str | None = None, workers: int | None = None) -> None:
        self.address = address
        self.workers = self.at_once = workers or usable_processors()

    def __repr__(self) -> str:
        place = f"workers={self.workers}" if self.address is None else f"{self.address!r}"
        return f"DaskExecutor({place})"

    def run(
        self, shards: Sequence[Shard], store: Store, *, progress: CountProgress
    ) -> Iterator[StoredShard]:
        """Yield shards as they are finished (see `Executor`)."""
        if not shards:
            return
        if any(shards[0].equations):
            raise SpecError("cognition: your own equations are not sent away; take executor=local")
        distributed = _distributed()
        fitting = int(MOST_BYTES // max(shard.memory for shard in shards))
        with self._client(distributed, min(self.workers, max(fitting, 1))) as client:
            futures = {
                client.submit(
                    work, shard.by_itself(), store, key=f"shard-{shard.name}", pure=False
                ): shard
                for shard in shards
            }
            if self.address is not None:
                self.at_once = max(1, len(client.ncores()))
            progress(0)  # from here on, the workers work
            completed, last_sign = (
                distributed.as_completed(futures, loop=client.loop),
                time.monotonic(),
            )
            while not completed.is_empty():
                batch = completed.next_batch(block=False)
                if batch or client.scheduler_info()["workers"]:
                    last_sign = time.monotonic()
                elif time.monotonic() - last_sign > WITHOUT_WORKERS:
                    raise WorkersLostError(f"executor: no worker is left in {WITHOUT_WORKERS} s")
                if not batch:
                    time.sleep(PAUSE)
                for future in batch:
                    try:
                        stored = future.result()
                    except distributed.KilledWorker as error:
                        raise WorkersLostError(
                            f"executor: {error.allowed_failures + 1} workers were lost over one "
                            "shard; they may lack memory"
                        ) from None
                    progress(futures[future].agent_steps)
                    yield stored

    @contextmanager
    def _client(self, distributed: Any, workers: int) -> Iterator[Any]:
        if self.address is not None:
            try:
                client = distributed.Client(self.address, timeout=PATIENCE, set_as_default=False)
            except Exception as error:  # an address can be wrong in any way
                reason = " ".join(str(error).split())
                raise SpecError(
                    f"executor.address: no scheduler answers at {self.address!r} ({reason})"
                ) from None
            with client:
                yield client
            return
        with (
            _cluster(distributed, workers) as cluster,
            distributed.Client(cluster, set_as_default=False) as client,
        ):
            yield client


def _cluster(distributed: Any, workers: int) -> Any:
    """Return a cluster of processes that import no script, hear no Ctrl-C and serve no pages.

    Nothing but this machine reaches its scheduler; any user of this machine does.
    """
    import dask
    from distributed.deploy.subprocess import SubprocessWorker

    class Worker(SubprocessWorker):
        """A worker in a session of its own, which ends when its scheduler does."""

        async def _start(self) -> None:
            spec = json.dumps({"cls": "distributed.Nanny", "opts": self.worker_kwargs})
            command = [sys.executable, "-m", "dask", "spec", self.scheduler, "--spec", spec]
            self.process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )

    environment = {**os.environ, "DASK_DISTRIBUTED__WORKER__HTTP__ROUTES": "[]"}
    host = "127.0.0.1"
    pages = {"dashboard": False, "dashboard_address": f"{host}:0"}
    options = {"host": host, "nthreads": 1, "dashboard": False, "death_timeout": WITHOUT_WORKERS}
    worker = {"cls": Worker, "options": {"worker_kwargs": options}}
    scheduler = {"cls": distributed.Scheduler, "options": {"host": host, "port": 0, **pages}}
    with dask.config.set({"distributed.scheduler.http.routes": []}):
        try:
            return distributed.SpecCluster(
                workers=dict.fromkeys(range(workers), worker),
                scheduler=scheduler,
                silence_logs=logging.CRITICAL,
            )
        except RuntimeError as error:
            raise WorkersLostError(f"executor: no cluster could be started ({error})") from None


def _distributed() -> Any:
    if sys.modules.get("dask", ...) is None:  # kept from xarray by a command
        del sys.modules["dask"]
    try:
        import distributed
    except ImportError:
        raise SpecError(
            "executor: dask.distributed is not installed; install the extra `cluster` "
            "(pip install 'training-gaming-sim[cluster]'), or take executor=local"
        ) from None
    return distributed


#: Makes an executor of its settings.
MAKERS: dict[str, Callable[..., Executor]] = {"local": LocalExecutor, "dask": DaskExecutor}
