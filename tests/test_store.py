"""The store: what is kept, under which names, and what happens when it is not as it was written."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import sim
from sim.analysis.curves import quantile_curves
from sim.dynamics.columns import NoColumnError
from sim.specs.errors import SpecError
from sim.sweeps import plan, record
from sim.sweeps.store import Store

WORLD: dict[str, Any] = {
    "name": "small",
    "values": ["v"],
    "human_values": {"v": 1},
    "contexts": {
        "here": {
            "responses": {"x": {"v": 1}, "y": {"v": -1}},
            "reward": {"y": 1},
            "info": 1,
            "twin": "there",
        },
        "there": {"responses": {"x": {"v": 1}, "y": {"v": -1}}, "kind": "deployment"},
    },
}
SWEEP: dict[str, Any] = {
    "axes": {"training.leak": [0.0, 0.25, 0.5, 1.0]},
    "seeds": 4,
    "agents": 2,
    "training": {"steps": 10},
    "agent": {"spread": {"initial": {"habit": 0.5}}},
    "record": "full",
    "engine": "numpy",
}
RUNS, IN_A_SHARD = 16, 4


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of four runs of two agents."""
    monkeypatch.setattr(plan, "MAXIMUM_AGENTS", 8)
    monkeypatch.setattr(plan, "MINIMUM_AGENTS", 8)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the shards that are computed, as they are."""
    names: list[str] = []
    compute = record.compute

    def noted(shard: plan.Shard, **kwargs: Any) -> Any:
        names.append(shard.name)
        return compute(shard, **kwargs)

    monkeypatch.setattr(record, "compute", noted)
    return names


def sweep(place: object, **changed: Any) -> sim.Sweep:
    return sim.sweep(WORLD, store=place, **{**SWEEP, **changed})  # type: ignore[arg-type]


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def shards_of(root: Path) -> list[str]:
    return sorted(path.stem for path in (root / "shards").iterdir())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("finished") / "sweep"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "MAXIMUM_AGENTS", 8)
        patch.setattr(plan, "MINIMUM_AGENTS", 8)
        sweep(place)
    assert len(shards_of(place)) == RUNS / IN_A_SHARD
    return place


@pytest.fixture
def done(tmp_path: Path, finished: Path) -> Path:
    """A sweep that is finished."""
    return Path(shutil.copytree(finished, tmp_path / "sweep"))


# ------------------------------------------------------------------------------------ what is kept


def test_a_store_holds_parquet_and_json_and_nothing_else(done: Path) -> None:
    found = contents(done)
    names = shards_of(done)
    assert set(found) == {
        "sweep.json",
        "design.parquet",
        *(f"shards/{name}.json" for name in names),
        *(f"{table}/{name}.parquet" for name in names for table in ("summary", "curves", "full")),
    }
    for name, content in found.items():
        if name.endswith(".json"):
            assert isinstance(json.loads(content), dict)
        else:
            assert content[:4] == content[-4:] == b"PAR1"
            columns = pq.read_table(done / name).schema
            kinds = {str(field.type) for field in columns}
            assert kinds <= {"int64", "int8", "uint64", "double", "float", "string"}
    pickled = (b"\x80\x04\x95", b"\x80\x05\x95", b"pickle")
    assert not any(mark in content for content in found.values() for mark in pickled)


def test_the_runs_of_all_shards_are_the_runs_of_the_design(done: Path) -> None:
    table = sim.Sweep.load(done)
    assert table.query("select run from design")["run"].tolist() == list(range(RUNS))
    assert table.query("select run from summary order by run")["run"].tolist() == list(range(RUNS))
    for name in shards_of(done):
        join_words = json.loads((done / f"shards/{name}.json").read_bytes())
        rows = pq.read_table(done / f"summary/{name}.parquet")["run"].to_pylist()
        assert rows == list(range(join_words["first"], join_words["first"] + join_words["runs"]))


def test_the_same_plan_gives_the_same_names_and_bytes(done: Path, tmp_path: Path) -> None:
    sweep(tmp_path / "again")
    first, second = contents(done), contents(tmp_path / "again")
    assert first.keys() == second.keys()
    for name in set(first) - {"sweep.json"}:
        assert first[name] == second[name], name
    told, again = json.loads(first["sweep.json"]), json.loads(second["sweep.json"])
    assert told["id"] == again["id"]


@pytest.mark.parametrize(
    "changed",
    [
        {"axes": {"training.leak": [0.0, 0.25, 0.5, 1.0 - 2**-53]}},
        {"axes": {"training.spread": [0.0, 0.25, 0.5, 1.0]}},
        {"seeds": [0, 1, 2, 4]},
        {"seeds": [1, 0, 2, 3]},
        {"agents": 1},
        {"training": {"steps": 11}},
        {"training": {"steps": 10, "anchor": 0.1}},
        {"agent": {"spread": {"initial": {"habit": 0.25}}}},
        {"agent": {"rationality": 7}},
        {"record_every": 5},
        {"record": "summary"},
        {"record": "curves"},
    ],
)
def test_another_plan_has_other_names_and_is_refused(done: Path, changed: dict) -> None:
    before = contents(done)
    with pytest.raises(SpecError, match=r"holds another sweep .*choose another place"):
        sweep(done, **changed)
    assert contents(done) == before
    other = done.parent / "other"
    sweep(other, **changed)
    # A shard may be the same only if nothing that it depends on has changed.
    same = set(shards_of(other)) & set(shards_of(done))
    for name in same:
        assert (other / f"summary/{name}.parquet").read_bytes() == before[f"summary/{name}.parquet"]
    assert len(same) < len(shards_of(done))
    if set(changed) - {"axes"}:
        assert not same


def test_the_names_hold_a_hash_of_what_the_results_depend_on(
    done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = shards_of(done)
    assert [name.partition("-")[0] for name in names] == [f"{n:06d}" for n in range(4)]
    assert all(len(name.partition("-")[2]) == 16 for name in names)
    monkeypatch.setattr(plan, "FORMAT", 99)
    with pytest.raises(SpecError, match="holds another sweep"):
        sweep(done)


# -------------------------------------------------------------------------- what is in the way


def test_a_directory_with_other_things_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "design.parquet").write_text("mine")
    with pytest.raises(SpecError, match="is not empty, and holds no sweep"):
        sweep(tmp_path)
    assert contents(tmp_path) == {"design.parquet": b"mine"}


def test_an_empty_directory_is_taken(tmp_path: Path) -> None:
    assert len(sweep(tmp_path, seeds=1).frame) == 4


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"{}"])
def test_a_damaged_description_is_refused_in_one_line(done: Path, content: bytes) -> None:
    (done / "sweep.json").write_bytes(content)
    for call in (lambda: sweep(done), lambda: sim.Sweep.load(done)):
        with pytest.raises(SpecError, match=r"^(store|sweep): ") as caught:
            call()
        assert "\n" not in str(caught.value)


def test_there_is_no_sweep_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"holds no sweep \(no sweep.json\)"):
        sim.Sweep.load(tmp_path / "nowhere")


def test_a_sweep_of_another_format_is_refused(done: Path) -> None:
    said = json.loads((done / "sweep.json").read_bytes())
    (done / "sweep.json").write_text(json.dumps({**said, "format": 99}))
    with pytest.raises(SpecError, match="has format 99; this version reads 4"):
        sim.Sweep.load(done)


def test_tables_that_were_not_kept_are_refused(tmp_path: Path) -> None:
    table = sweep(tmp_path, record="summary")
    for name in ("curves", '"full"'):
        with pytest.raises(SpecError, match=r"kept record=summary, which has no (curves|full)"):
            table.query(f"select * from {name}")


# ------------------------------------------------------------------------- going on, and repairing


def times(root: Path) -> dict[str, int]:
    return {
        path.relative_to(root).as_posix(): path.stat().st_mtime_ns
        for path in root.rglob("*")
        if path.is_file() and path.parent != root
    }


def make_old(root: Path) -> dict[str, int]:
    for path in root.rglob("*"):
        os.utime(path, ns=(10**18, 10**18))
    return times(root)


def test_a_finished_sweep_computes_nothing(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise AssertionError("a shard was computed")

    monkeypatch.setattr(record, "compute", fail)
    before, shares = make_old(done), []
    table = sweep(done, progress=shares.append)
    assert (table.resumed, table.damaged, table.failed) == (RUNS, 0, 0)
    assert shares == [1.0]
    assert times(done) == before
    assert len(table.frame) == RUNS


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("harm", [truncate, empty, flip, Path.unlink])
@pytest.mark.parametrize("table", ["summary", "curves", "full"])
def test_a_damaged_table_is_done_again(done: Path, computed: list, harm: Any, table: str) -> None:
    whole, before = contents(done), make_old(done)
    name = shards_of(done)[2]
    harm(done / f"{table}/{name}.parquet")
    found = sweep(done)
    assert computed == [name]
    assert (found.resumed, found.damaged) == (RUNS - IN_A_SHARD, 1)
    after = times(done)
    assert {path for path in after if after[path] != before[path]} == {
        f"shards/{name}.json",
        *(f"{kept}/{name}.parquet" for kept in ("summary", "curves", "full")),
    }
    assert contents(done).keys() == whole.keys()
    assert all(contents(done)[p] == whole[p] for p in whole if p != "sweep.json")


def other_numbers(path: Path) -> None:
    """A list that can be read, and is not the one that was written."""
    said = json.loads(path.read_bytes())
    path.write_text(json.dumps({**said, "failed": 1}))


def no_tables(path: Path) -> None:
    said = json.loads(path.read_bytes())
    path.write_text(json.dumps({**said, "tables": {}}))


def a_list(path: Path) -> None:
    path.write_text("[1, 2]")


@pytest.mark.parametrize("harm", [truncate, empty, flip, other_numbers, no_tables, a_list])
def test_a_damaged_list_is_done_again(done: Path, computed: list, harm: Any) -> None:
    whole = contents(done)
    name = shards_of(done)[0]
    harm(done / f"shards/{name}.json")
    found = sweep(done)
    assert computed == [name]
    assert (found.resumed, found.damaged, found.failed) == (RUNS - IN_A_SHARD, 1, 0)
    assert contents(done)[f"shards/{name}.json"] == whole[f"shards/{name}.json"]


def test_every_flipped_bit_of_a_list_is_noticed(done: Path) -> None:
    name = shards_of(done)[1]
    path = done / f"shards/{name}.json"
    whole, store = path.read_bytes(), Store(done)
    [shard] = [shard for shard in planned().shards if shard.name == name]
    assert store.check(shard) is not None
    spaces = 0
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(bytes(changed))
        if store.check(shard) is not None:
            spaces += 1  # a space that became another character would have been noticed
    assert spaces == 0


def planned() -> plan.Plan:
    """The plan of SWEEP."""
    caught: list[plan.Plan] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sim.sweeps.sweep.run_plan", lambda plan, **_: caught.append(plan))
        sweep(None)
    return caught[0]


def test_a_missing_list_means_that_a_shard_was_not_finished(done: Path, computed: list) -> None:
    names = shards_of(done)
    for name in names[1:3]:
        (done / f"shards/{name}.json").unlink()
    (done / f"summary/{names[1]}.parquet").write_bytes(b"half")
    unfinished = sim.Sweep.load(done)
    assert len(unfinished.frame) == RUNS - 2 * IN_A_SHARD
    found = sweep(done)
    assert sorted(computed) == names[1:3]
    assert (found.resumed, found.damaged) == (RUNS - 2 * IN_A_SHARD, 0)
    assert len(found.frame) == RUNS


def test_a_damaged_design_is_written_again(done: Path, computed: list) -> None:
    whole = (done / "design.parquet").read_bytes()
    for harm in (truncate, flip, Path.unlink):
        harm(done / "design.parquet")
        assert len(sweep(done).frame) == RUNS
        assert (done / "design.parquet").read_bytes() == whole
    assert not computed


@pytest.mark.parametrize("kept", ["sweep.json", "design.parquet", "shards/", "summary/", "curves/"])
def test_an_interrupted_write_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    """Broken off while a file is written, wherever that is, a sweep goes on from there."""
    replace = Path.replace

    def broken(self: Path, target: Path) -> Path:
        if kept in Path(target).as_posix():
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path / "sweep", executor=sim.LocalExecutor(threads=1))
    left = contents(tmp_path)
    assert not [name for name in left if name.endswith(".part")]
    assert not [name for name in left if name.startswith(f"sweep/{kept}")]
    for name, content in left.items():
        assert name.endswith(".json") or content[-4:] == b"PAR1"
    monkeypatch.setattr(Path, "replace", replace)
    assert len(sweep(tmp_path / "sweep").frame) == RUNS


def test_what_a_killed_process_left_is_in_nobody_s_way(done: Path, computed: list) -> None:
    """A process that is killed has no time to take its unfinished files with it."""
    name = shards_of(done)[3]
    for place in (f"shards/{name}.json", f"summary/{name}.parquet", "sweep.json", "design.parquet"):
        (done / f"{place}abc123.part").write_bytes(b"half")
    assert len(sim.Sweep.load(done).frame) == RUNS
    assert len(sweep(done).frame) == RUNS
    assert not computed
    young = done.parent / "young"
    young.mkdir()
    (young / "sweep.jsonabc123.part").write_bytes(b"{")
    assert len(sweep(young).frame) == RUNS


def test_a_sweep_that_was_killed_before_its_design_goes_on(done: Path) -> None:
    young = done.parent / "young"
    young.mkdir()
    (young / "sweep.json").write_bytes((done / "sweep.json").read_bytes())
    with pytest.raises(SpecError, match=r"nothing of .* is done yet"):
        sim.Sweep.load(young).frame  # noqa: B018
    assert len(sweep(young).frame) == RUNS


# ------------------------------------------------------------------------------------ other places


@pytest.fixture
def memory() -> Iterator[str]:
    name = f"memory://{uuid.uuid4().hex}"
    yield name
    files = fsspec.filesystem("memory")
    if files.exists(name):
        files.rm(name, recursive=True)


def test_a_store_may_be_at_a_url(memory: str, done: Path, computed: list) -> None:
    table = sweep(memory)
    local = sim.Sweep.load(done)
    pd.testing.assert_frame_equal(table.frame, local.frame)
    pd.testing.assert_frame_equal(
        quantile_curves(table, ["reach"]), quantile_curves(local, ["reach"])
    )
    files = fsspec.filesystem("memory")
    for name, content in contents(done).items():
        if name != "sweep.json":
            assert files.cat_file(f"{memory}/{name}") == content
    computed.clear()
    assert sweep(memory).resumed == RUNS
    name = shards_of(done)[2]
    files.pipe_file(f"{memory}/summary/{name}.parquet", b"half")
    assert sweep(memory).damaged == 1
    assert computed == [name]
    pd.testing.assert_frame_equal(sim.Sweep.load(memory).frame, local.frame)
    with pytest.raises(SpecError, match="holds another sweep"):
        sweep(memory, seeds=3)


def test_a_file_system_may_have_several_names(memory: str, done: Path) -> None:
    """As that of s3 has: `s3` and `s3a`."""

    class Several(MemoryFileSystem):
        protocol = ("several", "severala")

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return MemoryFileSystem._strip_protocol(path.replace("several://", "memory://"))

    fsspec.register_implementation("several", Several, clobber=True)
    table = sweep(memory.replace("memory://", "several://"))
    pd.testing.assert_frame_equal(table.frame, sim.Sweep.load(done).frame)


def test_nothing_half_written_is_shown_at_a_url(
    memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object, piece: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", broken)
    with pytest.raises(KeyboardInterrupt):
        sweep(memory)
    monkeypatch.undo()
    found = fsspec.filesystem("memory").find(memory)
    assert [path.rpartition("/")[2] for path in found] == ["sweep.json"]


@pytest.mark.parametrize(
    "name",
    ["a=[1,2]", "agents=3/training.leak=0.5", "it's", "a*b", "a?b", "with space", "a#%20{b}"],
)
def test_a_directory_may_have_any_name(done: Path, tmp_path: Path, name: str) -> None:
    """Names that mean something to globs, to Hive, to SQL or to URLs are names like any other."""
    for other in ("axxb", "axb"):
        sweep(tmp_path / other, seeds=1, record="summary")
    table = sweep(tmp_path / name)
    pd.testing.assert_frame_equal(table.frame, sim.Sweep.load(done).frame)
    assert table.axes == ("seed", "training.leak")


def test_a_place_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table = sweep("here/and/there", seeds=1)
    monkeypatch.chdir("/")
    assert len(table.frame) == 4
    assert (tmp_path / "here/and/there/sweep.json").is_file()


def test_a_column_named_like_a_table_asks_for_no_table(tmp_path: Path) -> None:
    world = {
        "values": ["v"],
        "human_values": {"v": 1},
        "contexts": {
            name: {"responses": {"x": {"v": 1}, "y": {"v": -1}}, "reward": {"y": 1}}
            for name in ("full", "curves", "carefully")
        },
    }
    training = {"steps": 5}
    table = sim.sweep(
        world,
        axes={"scenario.contexts.full.info": [0, 1]},
        training=training,
        store=tmp_path,
        engine="numpy",
    )
    found = table.query(
        'select "gaming_rate.full", "gaming_rate.curves", s."gaming_rate.carefully" '
        'from design join summary s using (run) where "scenario.contexts.full.info" = 0'
    )
    assert found.shape == (1, 3)
    assert table.column("design", "scenario.contexts.full.info")
    assert (
        len(table.query("SELECT * FROM Summary where error is null or error <> 'from full'")) == 2
    )


# --------------------------------------------------------------------------- temporary directories


def test_a_temporary_store_goes_with_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    table = sweep(None, seeds=1)
    assert len(table.frame) == 4
    assert len(list(tmp_path.iterdir())) == 1
    del table
    assert not list(tmp_path.iterdir())

    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(record, "compute", fail)
    with pytest.raises(RuntimeError):
        sweep(None, seeds=1)
    assert not list(tmp_path.iterdir())


# --------------------------------------------------------------------------------- the plan's parts


def test_the_shards_have_every_run_once_and_fit_their_size() -> None:
    shards = planned().shards
    runs = np.concatenate([shard.first + np.arange(shard.runs) for shard in shards])
    assert runs.tolist() == list(range(RUNS))
    assert sum(shard.agent_steps for shard in shards) == planned().agent_steps == RUNS * 2 * 10


def test_a_shard_by_itself_is_the_same_shard() -> None:
    leaks = np.linspace(0, 1, 7)
    [*shards] = planned_of(sim.Grid({"training.leak": leaks, "agent.awareness": leaks})).shards
    for shard in (shards[0], shards[5], shards[-1]):
        alone = shard.by_itself()
        assert (alone.name, alone.first, alone.runs) == (shard.name, shard.first, shard.runs)
        assert len(alone.part.design) <= IN_A_SHARD
        mine, whole = alone.program(), shard.program()
        np.testing.assert_array_equal(mine.theta, whole.theta)
        np.testing.assert_array_equal(mine.seats.seeds, whole.seats.seeds)
        np.testing.assert_array_equal(
            mine.segments[0].assumptions.leak, whole.segments[0].assumptions.leak
        )
    nothing = planned_of(sim.Grid({})).shards[0].by_itself()
    assert nothing.program().agents == 6


def planned_of(design: sim.Grid) -> plan.Plan:
    caught: list[plan.Plan] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sim.sweeps.sweep.run_plan", lambda plan, **_: caught.append(plan))
        sim.sweep("pipeline", design=design, seeds=3, agents=2, engine="numpy")
    return caught[0]


def test_how_many_agents_a_run_has_is_in_the_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the runs are cut alike."""
    monkeypatch.setattr(plan, "MAXIMUM_AGENTS", 64)
    caught: list[plan.Plan] = []
    monkeypatch.setattr("sim.sweeps.sweep.run_plan", lambda plan, **_: caught.append(plan))
    for agents in (1, 2, 1):
        sweep(None, agents=agents)
    first, other, again = ([shard.name for shard in found.shards] for found in caught)
    assert len(first) == len(other)
    assert first == again
    assert not set(first) & set(other)


def test_no_column_is_a_spec_error() -> None:
    assert issubclass(NoColumnError, SpecError)
