"""The store: what is kept, under which names, and what happens when it is not as it was written."""

from __future__ import annotations

import copy
import json
import os
import pickle
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import sim
from sharded import Noting, planned, shards_of, swept
from sim.analysis.curves import quantile_curves
from sim.specs.errors import SpecError
from sim.sweeps import plan, record, store
from sim.sweeps.store import Store

SONG = {"x": {"v": 1}, "y": {"v": -1}}
HERE = {"responses": SONG, "reward": {"y": 1}, "info": 1, "twin": "there"}
WORLD: dict[str, Any] = {
    "name": "small",
    "values": ["v"],
    "human_values": {"v": 1},
    "contexts": {"here": HERE, "there": {"responses": SONG, "kind": "deployment"}},
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
TABLES = ("summary", "curves", "full")


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the shards that are computed, as they are."""
    noting = Noting()
    monkeypatch.setattr(record, "compute", noting)
    return noting.names


def sweep(place: object, **changed: Any) -> sim.Sweep:
    return swept(WORLD, place, **{**SWEEP, **changed})


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("finished") / "sweep"
    sweep(place)
    assert len(shards_of(place)) == RUNS / IN_A_SHARD
    return place


@pytest.fixture
def done(tmp_path: Path, finished: Path) -> Path:
    """A sweep that is finished."""
    return Path(shutil.copytree(finished, tmp_path / "sweep"))


# ------------------------------------------------------------------------------------ what is kept


def test_a_store_holds_parquet_and_json_and_nothing_else(done: Path, tmp_path: Path) -> None:
    found, names = contents(done), shards_of(done)
    assert set(found) == {
        *("sweep.json", "design.parquet"),
        *(f"shards/{name}.json" for name in names),
        *(f"{table}/{name}.parquet" for name in names for table in TABLES),
    }
    for name, content in found.items():
        if name.endswith(".json"):
            assert isinstance(json.loads(content), dict)
        else:
            assert content[:4] == content[-4:] == b"PAR1"
            kinds = {str(field.type) for field in pq.read_table(done / name).schema}
            assert kinds <= {"int64", "int8", "uint64", "double", "float", "string"}
    pickled = (b"\x80\x04\x95", b"\x80\x05\x95", b"pickle")
    assert not any(mark in content for content in found.values() for mark in pickled)
    sweep(tmp_path / "again")  # the same plan gives the same names and bytes
    second = contents(tmp_path / "again")
    first_json, second_json = (json.loads(c.pop("sweep.json")) for c in (found, second))
    assert found == second
    assert first_json["id"] == second_json["id"]


def test_the_runs_of_all_shards_are_the_runs_of_the_design(done: Path) -> None:
    table = sim.Sweep.load(done)
    assert (table.resumed, table.damaged, table.failed) == (0, 0, 0)
    for name in ("design", "summary"):
        runs = table.query(f"select run from {name} order by run")["run"]
        assert runs.tolist() == list(range(RUNS))
    for name in shards_of(done):
        manifest = json.loads((done / f"shards/{name}.json").read_bytes())
        rows = pq.read_table(done / f"summary/{name}.parquet")["run"].to_pylist()
        assert rows == list(range(manifest["first"], manifest["first"] + manifest["runs"]))


OTHERS: list[dict[str, Any]] = [
    {"axes": {"training.leak": [0.0, 0.25, 0.5, 1.0 - 2**-53]}},
    {"axes": {"training.generalisation.habit": [0.0, 0.25, 0.5, 1.0]}},
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
]


def test_another_plan_has_other_names_and_is_refused(
    done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names hold a hash of what the results depend on."""
    before, names = contents(done), shards_of(done)
    assert [name.partition("-")[0] for name in names] == [f"{n:06d}" for n in range(4)]
    assert all(len(name.partition("-")[2]) == 16 for name in names)
    assert [shard.name for shard in planned(sweep, None).shards] == names
    for changed in OTHERS:
        other = planned(sweep, None, **changed)
        with pytest.raises(SpecError, match=r"holds another sweep .*choose another place"):
            Store(done).open(other, note={})
        # A shard may be the same only if nothing that it depends on has changed.
        same = {shard.name for shard in other.shards} & set(names)
        assert len(same) == (3 if changed == OTHERS[0] else 0)
    assert contents(done) == before
    monkeypatch.setattr(plan, "FORMAT", 99)
    with pytest.raises(SpecError, match="holds another sweep"):
        sweep(done)


# ------------------------------------------------------------------------------- what is in the way


def test_what_is_no_sweep_of_this_plan_is_refused_in_one_line(done: Path, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    assert len(sweep(tmp_path / "empty", seeds=1).frame) == 4
    (stranger / "design.parquet").write_text("mine")
    with pytest.raises(SpecError, match="is not empty, and holds no sweep"):
        sweep(stranger)
    assert contents(stranger) == {"design.parquet": b"mine"}
    with pytest.raises(SpecError, match=r"holds no sweep \(no sweep.json\)"):
        sim.Sweep.load(tmp_path / "nowhere")
    description = json.loads((done / "sweep.json").read_bytes())
    (done / "sweep.json").write_text(json.dumps({**description, "format": 99}))
    with pytest.raises(SpecError, match="has format 99; this version reads 4"):
        sim.Sweep.load(done)


FORMS = (b"", b"{", b"[1]", b"\xff\xfe", b"{}", b"[" * 10**5, b"\0" * 99, b'{"parts": [{}]}', None)
KEYS = ("id", "parts", "shards", "sha256")


def test_a_sweep_json_that_is_lost_or_damaged_is_written_again(
    done: Path, computed: list[str]
) -> None:
    """By the command that made the sweep, of which a reader tells."""
    path = done / "sweep.json"
    whole, table = json.loads(path.read_bytes()), sim.Sweep.load(done)
    frame = table.frame
    lacking = [json.dumps({k: v for k, v in whole.items() if k != key}).encode() for key in KEYS]
    other = [json.dumps({**whole, key: 3}).encode() for key in KEYS]
    for content in (*FORMS, *lacking, *other):
        path.unlink() if content is None else path.write_bytes(content)
        for read in (sim.Sweep.load, lambda _: table.query("from summary")):
            with pytest.raises(SpecError, match=r"^store: [^\n]+$") as caught:
                read(done)
            assert "format" in str(caught.value) or "writes it again" in str(caught.value)
        pd.testing.assert_frame_equal(sweep(done).frame, frame)
        again = json.loads(path.read_bytes())
        for key in whole.keys() - {"created", "sha256"}:
            assert again[key] == whole[key]
    assert not computed
    for content in FORMS[:-1]:
        path.write_bytes(content)
        with pytest.raises(SpecError, match=r"^sweep: .* choose another place$"):
            sweep(done, seeds=3)  # another sweep than that whose shards are here
    shutil.rmtree(done / "shards")
    for content in (b'{"method": "grid"}', None):
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(SpecError, match=r"^sweep: "):
            sweep(done)
    path.write_bytes(b"{")
    assert len(sweep(done).frame) == RUNS


def test_tables_that_were_not_kept_are_refused(tmp_path: Path) -> None:
    table = sweep(tmp_path, record="summary")
    for name in ("curves", '"full"'):
        with pytest.raises(SpecError, match=r"kept record=summary, which has no (curves|full)"):
            table.query(f"select * from {name}")


# ------------------------------------------------------------------------- going on, and repairing


def make_old(root: Path) -> dict[str, int]:
    for path in root.rglob("*"):
        os.utime(path, ns=(10**18, 10**18))
    return times(root)


def times(root: Path) -> dict[str, int]:
    return {
        path.relative_to(root).as_posix(): path.stat().st_mtime_ns
        for path in root.rglob("*")
        if path.is_file() and path.parent != root
    }


def test_a_finished_sweep_computes_nothing(done: Path, computed: list[str]) -> None:
    before, shares = make_old(done), []
    table = sweep(done, progress=shares.append)
    assert (table.resumed, table.damaged, table.failed) == (RUNS, 0, 0)
    assert shares == [1.0]
    assert times(done) == before
    assert len(table.frame) == RUNS
    assert not computed


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(bytes(content))


def restate(**changes: object) -> Callable[[Path], None]:
    """Make a manifest that can be read, and is not the one that was written."""
    return lambda path: path.write_text(json.dumps({**json.loads(path.read_bytes()), **changes}))  # type: ignore[func-returns-value]


HARMS: list[tuple[str, Callable[[Path], Any]]] = [
    *((table, harm) for table in TABLES for harm in (truncate, flip)),
    ("summary", empty),
    ("full", Path.unlink),
    *(("shards", harm) for harm in (truncate, empty, flip)),
    ("shards", restate(failed=1)),
    ("shards", restate(tables={})),
    ("shards", lambda path: path.write_text("[1, 2]")),
]


def test_a_damaged_shard_is_done_again(done: Path, computed: list[str]) -> None:
    whole, name = contents(done), shards_of(done)[2]
    for folder, harm in HARMS:
        before = make_old(done)
        harm(done / folder / f"{name}.{'json' if folder == 'shards' else 'parquet'}")
        found = sweep(done)
        assert computed == [name], (folder, harm)
        computed.clear()
        assert (found.resumed, found.damaged, found.failed) == (RUNS - IN_A_SHARD, 1, 0)
        after = times(done)
        written = {f"shards/{name}.json", *(f"{table}/{name}.parquet" for table in TABLES)}
        assert {path for path in after if after[path] != before[path]} == written
        assert contents(done).keys() == whole.keys()
        assert all(contents(done)[path] == whole[path] for path in {*whole} - {"sweep.json"})


def test_every_flipped_bit_of_a_manifest_is_noticed(done: Path) -> None:
    shard = planned(sweep, None).shards[1]
    path, files = done / f"shards/{shard.name}.json", Store(done)
    whole = path.read_bytes()
    assert files.check(shard) is not None
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert files.check(shard) is None, place


def test_what_is_missing_is_done(done: Path, computed: list[str]) -> None:
    """Shards without a manifest were not finished; a design is written again."""
    names = shards_of(done)
    for name in names[1:3]:
        (done / f"shards/{name}.json").unlink()
    (done / f"summary/{names[1]}.parquet").write_bytes(b"half")
    with pytest.warns(UserWarning, match="has 8 of 16 runs; the command"):
        assert len(sim.Sweep.load(done).frame) == RUNS - 2 * IN_A_SHARD
    found = sweep(done)
    assert sorted(computed) == names[1:3]
    assert (found.resumed, found.damaged) == (RUNS - 2 * IN_A_SHARD, 0)
    assert len(found.frame) == RUNS
    computed.clear()
    whole = (done / "design.parquet").read_bytes()
    for harm in (truncate, flip, Path.unlink):
        harm(done / "design.parquet")
        assert len(sweep(done).frame) == RUNS
        assert (done / "design.parquet").read_bytes() == whole
    assert not computed


def test_what_is_read_is_as_it_was_written(done: Path) -> None:
    """Any bit of any file, a shard in another's place, under another name, or of another form."""
    wanted = sim.Sweep.load(done).frame
    names, whole, rng = shards_of(done), contents(done), np.random.default_rng(1)
    kinds = {"design": "design.parquet"} | {t: f"{t}/{names[1]}.parquet" for t in TABLES[:2]}
    read = {"curves": lambda: quantile_curves(sim.Sweep.load(done), ["reach"])}
    for kind in (*kinds, "shards"):
        path = done / kinds.get(kind, f"shards/{names[1]}.json")
        before = path.read_bytes()
        damages = [before[:-9], b"", *(FORMS[:-1] if kind == "shards" else ())]
        for place in rng.integers(8 * len(before), size=15):
            changed = bytearray(before)
            changed[place // 8] ^= 1 << int(place % 8)
            damages.append(bytes(changed))
        for damage in damages:
            path.write_bytes(damage)
            with pytest.raises(SpecError, match=r"^store: [^\n]+writes it again"):
                read.get(kind, lambda: sim.Sweep.load(done).frame)()
        path.write_bytes(before)
    for folder, end in (*((table, "parquet") for table in TABLES), ("shards", "json")):
        first, second = (done / folder / f"{name}.{end}" for name in names[:2])
        shutil.copy(first, second)
        shutil.copy(first, first.with_stem(f"{names[0]} (conflict)"))
        shutil.copy(first, first.with_stem(f"000009-{names[0][-16:]}"))
    foreign = r"is no shard of this sweep .*\(2 in all\)"
    with pytest.warns(UserWarning, match=foreign), pytest.raises(SpecError, match="not as it was"):
        sim.Sweep.load(done).frame  # noqa: B018
    found = sweep(done)
    with pytest.warns(UserWarning, match=foreign):
        pd.testing.assert_frame_equal(found.frame, wanted)
    assert (found.resumed, found.damaged) == (RUNS - IN_A_SHARD, 1)
    after = contents(done)
    assert all(after[name] == whole[name] for name in whole if name != "sweep.json")


def test_sweeps_of_earlier_versions_can_be_read(done: Path) -> None:
    """They have no seal and no code; of two shards with the same runs it is not known which."""
    frame, names = sim.Sweep.load(done).frame, shards_of(done)
    whole = json.loads((done / "sweep.json").read_bytes())
    old = {k: v for k, v in whole.items() if k not in {"sha256", "shards", "design", "code"}}
    (done / "sweep.json").write_text(json.dumps(old))
    table = sim.Sweep.load(done)
    pd.testing.assert_frame_equal(table.frame, frame)
    assert "before code was noted" in repr(table)
    for key in ("format", "id", "runs", "record", "engine", "parts"):
        for content in ({**old, key: [3]}, {k: v for k, v in old.items() if k != key}):
            (done / "sweep.json").write_text(json.dumps(content))
            with pytest.raises(SpecError, match=r"^store: [^\n]+$"):
                repr(sim.Sweep.load(done))
    (done / "sweep.json").write_text(json.dumps(old))
    for folder, end in (("summary", "parquet"), ("shards", "json")):
        path = done / folder / f"{names[0]}.{end}"
        text = path.read_bytes()
        if end == "json":
            manifest = {k: v for k, v in json.loads(text).items() if k not in {"name", "sha256"}}
            text = store._json(store._sealed(manifest))
        for name in (names[0], f"000009-{names[0][-16:]}"):
            path.with_stem(name).write_bytes(text)
    with pytest.raises(SpecError, match="have the same runs"):
        table.query("from summary")


def test_another_code_is_another_sweep(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what was made by the other can still be read, and says so."""
    read_text, before, frame = Path.read_text, planned(sweep, None).id, sim.Sweep.load(done).frame
    assert "made by" not in repr(sim.Sweep.load(done))

    def read_edited(path: Path, *arguments: Any, **options: Any) -> str:
        return read_text(path, *arguments, **options) + ("#" if path.name == edited else "")

    monkeypatch.setattr(Path, "read_text", read_edited)
    for edited in ("training.py", "kernel.py", "scenario.py", "record.py", "figure.py"):
        plan.code_digest.cache_clear()
        assert (planned(sweep, None).id == before) == (edited == "figure.py")
        if edited != "figure.py":
            with pytest.raises(SpecError, match=r"holds a sweep by other code \(version .* place$"):
                sweep(done)
            table = sim.Sweep.load(done)
            pd.testing.assert_frame_equal(table.frame, frame)
            assert "; made by version" in repr(table)
    monkeypatch.undo()
    plan.code_digest.cache_clear()
    assert sweep(done).resumed == RUNS


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
    assert all(name.endswith(".json") or content[-4:] == b"PAR1" for name, content in left.items())
    monkeypatch.setattr(Path, "replace", replace)
    assert len(sweep(tmp_path / "sweep").frame) == RUNS


def test_what_a_killed_process_left_is_in_nobody_s_way(done: Path, computed: list[str]) -> None:
    """A process that is killed has no time to take its unfinished files with it."""
    name = shards_of(done)[3]
    for place in (f"shards/{name}.json", f"summary/{name}.parquet", "sweep.json", "design.parquet"):
        (done / f"{place}abc123.part").write_bytes(b"half")
    assert len(sim.Sweep.load(done).frame) == len(sweep(done).frame) == RUNS
    assert not computed
    for young, file, content in (
        (done.parent / "young", "sweep.jsonabc123.part", b"{"),
        (done.parent / "younger", "sweep.json", (done / "sweep.json").read_bytes()),
    ):
        young.mkdir()
        (young / file).write_bytes(content)
        if file == "sweep.json":
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


def test_a_store_may_be_at_a_url(memory: str, done: Path, computed: list[str]) -> None:
    table, local = sweep(memory), sim.Sweep.load(done)
    pd.testing.assert_frame_equal(table.frame, local.frame)
    curves = [quantile_curves(either, ["reach"]) for either in (table, local)]
    pd.testing.assert_frame_equal(*curves)
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


def test_a_directory_may_have_any_name(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names that mean something to globs, to Hive, to SQL or to URLs are names like any other."""
    shutil.copytree(done, tmp_path / "axb")
    frame = sim.Sweep.load(done).frame
    for name in ("a=[1,2]", "agents=3/training.leak=0.5", "it's", "a*b", "a?b", "a #%20{b}"):
        shutil.copytree(done, tmp_path / name)
        table = sweep(tmp_path / name)
        pd.testing.assert_frame_equal(table.frame, frame)
        assert table.axes == ("seed", "training.leak")
    monkeypatch.chdir(tmp_path)
    table = sweep("here/and/there", seeds=1)
    monkeypatch.chdir("/")
    assert len(table.frame) == 4
    assert (tmp_path / "here/and/there/sweep.json").is_file()


def test_a_column_named_like_a_table_asks_for_no_table(tmp_path: Path) -> None:
    names = ("full", "curves", "carefully")
    contexts = {name: {"responses": SONG, "reward": {"y": 1}} for name in names}
    world = {"values": ["v"], "human_values": {"v": 1}, "contexts": contexts}
    axes = {"scenario.contexts.full.info": [0, 1]}
    table = swept(world, tmp_path, axes=axes, training={"steps": 5}, engine="numpy")
    found = table.query(
        'select "gaming_rate.full", "gaming_rate.curves", s."gaming_rate.carefully" '
        'from design join summary s using (run) where "scenario.contexts.full.info" = 0'
    )
    assert found.shape == (1, 3)
    assert table.column("design", "scenario.contexts.full.info")
    rows = table.query("SELECT * FROM Summary where error is null or error <> 'from full'")
    assert len(rows) == 2


def test_a_temporary_store_goes_with_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    table = sweep(None, seeds=1)
    assert len(table.frame) == 4
    assert len(list(tmp_path.iterdir())) == 1
    others = [copy.copy(table), copy.deepcopy(table), pickle.loads(pickle.dumps(table))]
    sent, frame = pickle.dumps(table), table.frame
    if (child := os.fork()) == 0:  # a copy of this process ends, and takes nothing with it
        table.__dict__.clear()
        del table
        os._exit(0)
    os.waitpid(child, 0)
    assert len(table.query("from summary")) == 4
    del table
    assert len(list(tmp_path.iterdir())) == 3
    for other in (*others, pickle.loads(sent), pickle.loads(pickle.dumps(pickle.loads(sent)))):
        pd.testing.assert_frame_equal(other.frame, frame)
        assert (other.resumed, other.failed) == (0, 0)
    del other, others
    assert not list(tmp_path.iterdir())
    kept = sweep(tmp_path / "kept", seeds=1)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(kept)).frame, kept.frame)
    shutil.rmtree(tmp_path / "kept")
    monkeypatch.setattr(record, "compute", Noting("0", RuntimeError()))
    with pytest.raises(RuntimeError):
        sweep(None, seeds=1)
    assert not list(tmp_path.iterdir())


# --------------------------------------------------------------------------------- the plan's parts


def test_the_shards_have_every_run_once_and_fit_their_size() -> None:
    whole = planned(sweep, None)
    runs = np.concatenate([shard.first + np.arange(shard.runs) for shard in whole.shards])
    assert runs.tolist() == list(range(RUNS))
    assert sum(shard.agent_steps for shard in whole.shards) == whole.agent_steps == RUNS * 2 * 10


def test_a_shard_by_itself_is_the_same_shard() -> None:
    leaks = np.linspace(0, 1, 7)
    options: dict[str, Any] = {"seeds": 3, "agents": 2, "engine": "numpy"}
    design = sim.Grid({"training.leak": leaks, "agent.awareness": leaks})
    shards = planned(sim.sweep, "pipeline", design=design, **options).shards
    for shard in (shards[0], shards[5], shards[-1]):
        alone = shard.by_itself()
        assert (alone.name, alone.first, alone.runs) == (shard.name, shard.first, shard.runs)
        assert len(alone.part.design) <= IN_A_SHARD
        mine, whole = alone.program(), shard.program()
        np.testing.assert_array_equal(mine.theta, whole.theta)
        np.testing.assert_array_equal(mine.agent_ids.seeds, whole.agent_ids.seeds)
        np.testing.assert_array_equal(
            mine.segments[0].assumptions.leak, whole.segments[0].assumptions.leak
        )
    nothing = planned(sim.sweep, "pipeline", design=sim.Grid({}), **options).shards[0]
    assert nothing.by_itself().program().agents == 6


def test_how_many_agents_a_run_has_is_in_the_names() -> None:
    """Also where the runs are cut alike."""
    options: dict[str, Any] = {"training": {"steps": 10}, "engine": "numpy", "seeds": 2}
    first, other, again = (
        [shard.name for shard in planned(sim.sweep, WORLD, agents=n, **options).shards]
        for n in (3, 4, 3)
    )
    assert len(first) == len(other) == 1
    assert first == again
    assert first != other


def test_the_order_in_which_a_mapping_is_stated_is_in_no_name() -> None:
    options: dict[str, Any] = {"training": {"steps": 10}, "engine": "numpy"}
    orders = ("here", "there"), ("there", "here")
    habits = [{name: float(len(name)) for name in order} for order in orders]
    first, other = (
        planned(sim.sweep, WORLD, agent={"initial": {"habit": habit}}, **options)
        for habit in habits
    )
    assert first.id == other.id
    assert [shard.name for shard in first.shards] == [shard.name for shard in other.shards]
