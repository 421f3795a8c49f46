"""Executors: who computes changes nothing, and what goes wrong with one costs only what it did."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pandas as pd
import pytest

import sim
from sharded import COMPUTE, Noting, planned, shards_of, swept
from sim.cli.emergence import without_dask
from sim.cli.outputs import run_stored
from sim.specs.errors import SpecError
from sim.sweeps import executors, plan, record
from sim.sweeps.store import Store
from sim.sweeps.sweep import run_plan
from sim.utils.parallel import WorkersLostError, usable_processors

SHARDS = 6
#: What distributed says when processes are started, lost and closed.
DISTRIBUTED = [
    "ignore:Port .* is already in use",
    "ignore:unclosed",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore::DeprecationWarning:distributed",
]


def sweep(place: Path, *, steps: int = 30, **options: Any) -> sim.Sweep:
    return swept(
        "scratchpad",
        place,
        axes={"training.leak": np.linspace(0, 1, 2 * SHARDS)},
        seeds=2,
        agents=2,
        agent={"spread": {"initial": {"habit": 0.5}}},
        training={"steps": steps, "generalisation": {"habit": 0.1}},
        record="curves",
        record_every=steps,
        **{"engine": "numpy", **options},
    )


def parquet(root: Path) -> dict[str, bytes]:
    found = {path.relative_to(root).as_posix(): path for path in root.rglob("*.parquet")}
    assert len(found) == 1 + 2 * SHARDS
    return {name: path.read_bytes() for name, path in found.items()}


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one thread gives."""
    place = tmp_path_factory.mktemp("wanted")
    sweep(place, executor=sim.LocalExecutor(threads=1))
    return parquet(place)


# ------------------------------------------------------------------------------------------ threads


def test_the_time_left_of_a_study_is_that_of_its_new_work(tmp_path: Path) -> None:
    """What is there of a later sweep counts from the start, and is no leap when that begins."""
    plans = {
        name: planned(sweep, tmp_path, steps=steps) for name, steps in (("new", 30), ("old", 60))
    }
    place = tmp_path / f"old-{plans['old'].id}"
    run_plan(plans["old"], store=place)
    for path in sorted((place / "shards").iterdir())[: SHARDS // 2]:
        path.unlink()
    shares: list[float] = []
    sweeps = run_stored(plans, str(tmp_path), progress=shares.append)
    assert [s.resumed for s in sweeps.values()] == [0, 2 * SHARDS]
    assert shares[0] == pytest.approx(1 / 3)
    assert np.diff(shares).min() >= -1e-9
    assert np.diff(shares).max() <= 1 / 9 + 1e-6  # a shard of the old
    assert shares[-1] == pytest.approx(1)


@pytest.mark.parametrize(("fitting", "most"), [(2.5, 2), (0.5, 1), (99, 3)])
def test_shards_are_computed_side_by_side_as_their_memory_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fitting: float, most: int
) -> None:
    shards = planned(sweep, tmp_path).shards
    together = threading.Barrier(most)  # so many, and no more: nobody waits for ever
    running: set[str] = set()
    counts: list[int] = []

    def note(shard: plan.Shard, *_: Any) -> Any:
        running.add(shard.name)
        counts.append(len(running))
        together.wait(timeout=30)
        running.discard(shard.name)
        return shard

    monkeypatch.setattr(executors, "work", note)
    monkeypatch.setattr(executors, "MOST_BYTES", fitting * shards[0].memory)
    store: Any = None
    done = list(sim.LocalExecutor(threads=3).run(shards, store, progress=lambda _: None))
    assert len(done) == SHARDS
    assert max(counts) == most
    workers: list[int] = []

    def refuse(_: object, count: int) -> Any:
        workers.append(count)
        raise WorkersLostError

    monkeypatch.setattr(executors, "_cluster", refuse)
    with pytest.raises(WorkersLostError):
        next(sim.DaskExecutor(workers=3).run(shards, store, progress=lambda _: None))
    assert workers == [most]


def test_any_number_of_threads_gives_the_same_bytes(
    tmp_path: Path, wanted: dict[str, bytes]
) -> None:
    for threads in (2, 4, None):
        sweep(tmp_path / str(threads), executor=sim.LocalExecutor(threads=threads))
        assert parquet(tmp_path / str(threads)) == wanted
    for threads in (1, 3):
        executor = sim.LocalExecutor(threads=threads)
        sweep(tmp_path / f"numba{threads}", executor=executor, engine="numba")
    assert parquet(tmp_path / "numba1") == parquet(tmp_path / "numba3")
    assert sim.LocalExecutor().threads == usable_processors() >= 1
    assert repr(sim.LocalExecutor(threads=3)) == "LocalExecutor(threads=3)"


def test_shares_grow_to_one(tmp_path: Path) -> None:
    shares: list[float] = []
    sweep(tmp_path, progress=shares.append, executor=sim.LocalExecutor(threads=1))
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert len(shares) > SHARDS


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("error", [ZeroDivisionError("in a shard"), KeyboardInterrupt()])
def test_what_goes_wrong_in_a_shard_surfaces_and_stops_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int, error: BaseException
) -> None:
    failing = Noting("000002", error)
    monkeypatch.setattr(record, "compute", failing)
    with pytest.raises(type(error)):
        sweep(tmp_path, executor=sim.LocalExecutor(threads=threads))
    assert len(failing.names) <= 2 + threads
    stored = {name[:6] for name in shards_of(tmp_path)}
    assert "000002" not in stored
    assert {"000000", "000001"} <= stored
    assert not [t for t in threading.enumerate() if t.name.startswith("shard")]


def test_a_shard_that_nobody_waits_for_is_broken_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others do not go on to their end when one has failed."""
    monkeypatch.setattr("sim.dynamics.loop.STRIDE", 8)

    def fail_soon(shard: plan.Shard, **options: Any) -> Any:
        if shard.name.startswith("000001"):
            time.sleep(0.1)
            raise ZeroDivisionError
        return COMPUTE(shard, **options)

    monkeypatch.setattr(record, "compute", fail_soon)
    start = time.perf_counter()
    with pytest.raises(ZeroDivisionError):
        sweep(tmp_path, steps=2 * 10**5, executor=sim.LocalExecutor(threads=2))
    assert time.perf_counter() - start < 20
    assert not shards_of(tmp_path)


@pytest.mark.parametrize(("threads", "after"), [(1, 0), (1, 4), (2, 2)])
def test_an_interrupted_sweep_keeps_what_is_done_and_does_the_rest(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wanted: dict[str, bytes],
    threads: int,
    after: int,
) -> None:
    calls = 0

    def interrupt(share: float) -> None:
        nonlocal calls
        calls += share > 0
        if calls > after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path, progress=interrupt, executor=sim.LocalExecutor(threads=threads))
    kept = shards_of(tmp_path)
    assert max(0, after - threads + 1) <= len(kept) <= after
    assert not list(tmp_path.rglob("*.part"))
    noting = Noting()
    monkeypatch.setattr(record, "compute", noting)
    found = sweep(tmp_path)
    assert sorted(noting.names + kept) == shards_of(tmp_path)
    assert (found.resumed, found.damaged) == (4 * len(kept), 0)
    assert parquet(tmp_path) == wanted


# --------------------------------------------------------------------------------------------- Dask

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two worker processes on this machine."""
    options = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with distributed.LocalCluster(n_workers=2, processes=True, **options) as found:
        yield found


def with_filters(test: Any) -> Any:
    for line in DISTRIBUTED:
        test = pytest.mark.filterwarnings(line)(test)
    return test


@with_filters
def test_workers_give_the_same_bytes_as_threads(
    tmp_path: Path, wanted: dict[str, bytes], cluster: Any
) -> None:
    address = cluster.scheduler_address
    assert address.startswith("tcp://127.0.0.1")
    shares: list[float] = []
    executor = sim.DaskExecutor(address=address)
    found = sweep(tmp_path, executor=executor, progress=shares.append)
    assert parquet(tmp_path) == wanted
    assert found.query("select run from summary order by run")["run"].tolist() == list(range(24))
    assert shares == sorted(shares)
    assert len(shares) == 2 + SHARDS  # at the start, and when workers are there
    assert shares[-1] == 1.0
    # What is there is not sent out again.
    (tmp_path / "summary" / f"{shards_of(tmp_path)[3]}.parquet").unlink()
    again = sweep(tmp_path, executor=executor)
    assert (again.resumed, again.damaged) == (20, 1)
    assert parquet(tmp_path) == wanted


@pytest.mark.slow
@with_filters
def test_a_lost_worker_costs_nothing_but_time(tmp_path: Path, cluster: Any) -> None:
    """A worker that is killed in the middle of a shard: another does it, and each is there once."""
    with distributed.Client(cluster, set_as_default=False) as client:
        pids = client.run(os.getpid)
        assert len(pids) == 2
        killed: list[int] = []

        def kill_one(share: float) -> None:
            if share > 0 and not killed:
                busy = [worker for worker, keys in client.processing().items() if keys]
                killed.append(pids[busy[0]])
                os.kill(killed[0], signal.SIGKILL)

        executor = sim.DaskExecutor(address=cluster.scheduler_address)
        found = sweep(tmp_path / "dask", steps=1500, executor=executor, progress=kill_one)
        assert killed
        client.wait_for_workers(2, timeout=30)
        assert killed[0] not in client.run(os.getpid).values()
    assert found.failed == 0
    assert found.frame["run"].tolist() == list(range(24))
    rows = found.query("select run, step, rank from curves")
    assert not rows.duplicated().any()
    sweep(tmp_path / "local", steps=1500)
    assert parquet(tmp_path / "dask") == parquet(tmp_path / "local")


@with_filters
def test_a_failure_on_a_worker_surfaces(tmp_path: Path, cluster: Any) -> None:
    """Here the store cannot be written by the workers."""
    store = Store(tmp_path / "sweep")

    class Refusing(Store):
        def __reduce__(self) -> Any:
            return Store, (os.fspath(tmp_path / "file" / "below"),)

    (tmp_path / "file").write_text("no directory")
    shards = planned(sweep, tmp_path / "sweep").shards[:2]
    executor = sim.DaskExecutor(address=cluster.scheduler_address)
    with pytest.raises(OSError, match="file"):
        list(executor.run(shards, Refusing(store.place), progress=lambda steps: None))


@pytest.mark.slow
@with_filters
def test_an_executor_makes_its_own_cluster(tmp_path: Path, wanted: dict[str, bytes]) -> None:
    """Which serves no pages."""

    def look(share: float) -> None:
        clients = [c for c in distributed.Client._instances if c.status == "running"]
        assert len(clients) == (share > 0)
        for link in [client.dashboard_link for client in clients]:
            with pytest.raises(HTTPError, match="404"):
                urlopen(link)

    sweep(tmp_path, executor=sim.DaskExecutor(workers=1), progress=look)
    assert parquet(tmp_path) == wanted


SCRIPT = """
import sim
axes = {"training.leak": [0, 0.2]}
with_dask = {"executor": sim.DaskExecutor(workers=1), "engine": "numpy"}
print(sim.sweep("scratchpad", axes=axes, training={"steps": 10}, **with_dask).frame.shape)
"""


@pytest.mark.slow
def test_a_cluster_can_be_used_at_the_top_of_a_script(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("(2, ")


def test_a_command_that_kept_dask_from_xarray_finds_it_when_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("dask", "xarray"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "argv", ["emergence.py", "+experiment=a_sweep_with_dask"])
    with without_dask():
        assert sys.modules["dask"] is None
        assert executors._distributed() is distributed
        assert sys.modules.get("dask", distributed) is not None
    assert sys.modules.get("dask", distributed) is not None


@with_filters
def test_a_cluster_that_has_no_worker_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "WITHOUT_WORKERS", 0.5)
    options = {"host": "127.0.0.1", "dashboard_address": None, "processes": False}
    with distributed.LocalCluster(n_workers=0, protocol="tcp", **options) as empty:
        executor = sim.DaskExecutor(address=empty.scheduler_address)
        with pytest.raises(WorkersLostError, match=r"no worker is left in 0\.5 s$"):
            sweep(tmp_path, executor=executor)


@with_filters
def test_a_shard_that_ends_its_workers_is_given_up(
    tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(future: Any) -> None:
        raise distributed.KilledWorker(future.key, None, 3)

    monkeypatch.setattr(distributed.Future, "result", lost)
    executor = sim.DaskExecutor(address=cluster.scheduler_address)
    with pytest.raises(WorkersLostError, match="4 workers were lost over one shard"):
        sweep(tmp_path, executor=executor)


@with_filters
def test_where_no_scheduler_answers_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "PATIENCE", "0.3s")
    for address in (
        "tcp://127.0.0.1:1",
        "nonsense://x",
        "127.0.0.1",
        "tcp://",
        "",
        "tcp://127.0.0.1:99999",
        "a\nb",
    ):
        executor = sim.DaskExecutor(address=address)
        assert repr(executor) == f"DaskExecutor({address!r})"
        with pytest.raises(SpecError, match=r"executor\.address: no scheduler answers") as caught:
            sweep(tmp_path, executor=executor)
        assert "\n" not in str(caught.value)
        assert repr(address) in str(caught.value)
        assert not shards_of(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(SpecError, match="not installed; install the extra `cluster`"):
        sweep(tmp_path, executor=sim.DaskExecutor())


def test_what_is_sent_to_a_worker_is_small() -> None:
    """A shard takes its own points along, and not the design of the whole sweep."""
    points = 5_000
    design = sim.LatinHypercube({"training.leak": (0, 1)}, points=points)
    options: dict[str, Any] = {"training": {"steps": 10}, "engine": "numpy"}
    shard = planned(sim.sweep, "scratchpad", design=design, **options).shards[-1]
    sent = pickle.dumps(shard.by_itself())
    assert len(sent) < 20_000 < 8 * points < len(pickle.dumps(shard))
    mine, whole = (COMPUTE(s)["summary"].to_pandas() for s in (pickle.loads(sent), shard))
    pd.testing.assert_frame_equal(mine, whole)


def test_an_executor_keeps_the_number_of_workers_that_it_is_given() -> None:
    assert repr(sim.DaskExecutor(workers=1234)) == "DaskExecutor(workers=1234)"
    assert sim.DaskExecutor().workers == usable_processors()
