"""The store: what a sweep leaves on disk, or wherever fsspec can write.

    sweep.json                what the sweep is
    design.parquet            a row for each run: its part, choices, numbers and seed
    shards/NAME.json          the manifest of a finished shard: its tables, sizes and checksums
    summary/NAME.parquet      its runs' measures; likewise curves/ and full/

A shard's name holds a hash of all that its results depend on. Files appear whole, the tables first
and their manifest last, so a shard is there wholly or not at all. Nothing is pickled.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sim.result import describe_run
from sim.specs.errors import SpecError
from sim.sweeps.plan import FORMAT, MAXIMUM_AGENTS, Plan, Shard
from sim.utils.files import atomic_write

TABLES = ("summary", "curves", "full")


class StoredShard(NamedTuple):
    """A shard in the store: how many runs it has, and how many of them failed."""

    name: str
    runs: int
    failed: int


class Store:
    """A sweep's files in a directory, or at a URL of fsspec (`s3://bucket/sweep`).

    `files` is their file system (fsspec), `is_local` whether that is a directory of this machine.
    """

    def __init__(self, place: str | Path) -> None:
        self.place = str(place)
        try:
            self.files, self._root = fsspec.core.url_to_fs(self.place)
        except (ImportError, ValueError) as error:  # no such protocol, or what it needs is missing
            raise SpecError(f"store: got {self.place!r}: {error}") from None
        self.is_local = isinstance(self.files, fsspec.implementations.local.LocalFileSystem)

    def __repr__(self) -> str:
        return f"Store({self.place!r})"

    def path(self, name: str) -> str:
        """Return where a file stands, for its file system."""
        return f"{self._root}/{name}"

    def url(self, path: str) -> str:
        """Return a path of the file system in the form that DuckDB takes."""
        if self.is_local:
            return path
        protocol = self.files.protocol
        return f"{protocol if isinstance(protocol, str) else protocol[0]}://{path}"

    def open(self, plan: Plan, *, note: Mapping[str, Any]) -> None:
        """Make the store of a plan, or check that it is this plan's already (SpecError)."""
        if self.exists("sweep.json"):
            stored_id = self.description().get("id")
            if stored_id != plan.id:
                raise SpecError(
                    f"sweep: {self.place!r} holds another sweep ({stored_id}); choose another place"
                )
        elif self._is_free():
            # Written first, it makes the place this sweep's: what is broken off can go on.
            parts = [{**p.description, "runs": p.runs, "seeds": list(p.seeds)} for p in plan.parts]
            content = {"format": FORMAT, "id": plan.id, "asked_for": dict(note), "runs": plan.runs}
            made_by = {"record": plan.record, "engine": plan.engine, "precision": plan.precision}
            self.write("sweep.json", _json(describe_run(**content, **made_by, parts=parts)))
        else:
            raise SpecError(f"sweep: {self.place!r} is not empty, and holds no sweep")
        with self._atomic("design.parquet") as sink:
            _write_parquet(design_pieces(plan), sink)

    def _is_free(self) -> bool:
        """Return whether a sweep can begin here; a first file that was broken off is none."""
        if not self.files.exists(self._root):
            return True
        names = [str(p).rpartition("/")[2] for p in self.files.ls(self._root, detail=False)]
        return all(name.startswith("sweep.json") and name.endswith(".part") for name in names)

    def description(self) -> dict[str, Any]:
        """Return the content of `sweep.json`; it must be of this version (SpecError)."""
        if not self.exists("sweep.json"):
            below = self.files.glob(f"{self._root}/*/sweep.json") if self.is_local else []
            names = [str(path).split("/")[-2] for path in below[:3]]
            hint = f"; there is one in each of its {', '.join(names)}, ..." if names else ""
            raise SpecError(f"store: {self.place!r} holds no sweep (no sweep.json){hint}")
        try:
            description = self.read_json("sweep.json")
        except ValueError:
            raise SpecError(f"store: sweep.json of {self.place!r} is damaged") from None
        if description.get("format") != FORMAT:
            raise SpecError(
                f"store: {self.place!r} has format {description.get('format')}; this version reads "
                f"{FORMAT}"
            )
        return description

    def check(self, shard: Shard) -> StoredShard | None:
        """Return a shard's record if it is finished and its files are as they were written."""
        try:
            manifest = self.manifest(shard.name)
            for table, file in manifest["tables"].items():
                if _checksum(self.read(f"{table}/{shard.name}.parquet")) != file["sha256"]:
                    return None
        except (OSError, ValueError):
            return None
        return StoredShard(shard.name, manifest["runs"], manifest["failed"])

    def manifest(self, name: str) -> dict[str, Any]:
        """Return the manifest of a shard; an OSError if there is none, a ValueError if damaged."""
        manifest = self.read_json(f"shards/{name}.json")
        if manifest.pop("sha256", None) != _checksum(_json(manifest)):
            raise ValueError(f"shards/{name}.json is damaged")
        return manifest

    def failed_runs(self) -> int:
        """Return how many runs failed, of all shards that are finished and can be read."""
        count = 0
        for name in self.shard_names():
            with suppress(OSError, ValueError):
                count += int(self.manifest(name)["failed"])
        return count

    def shard_names(self) -> list[str]:
        """Return the names of the shards that are finished, in order."""
        folder = self.path("shards")
        self.files.invalidate_cache()  # workers of a cluster write, too
        paths = self.files.ls(folder, detail=False) if self.files.exists(folder) else []
        names = [str(path).rpartition("/")[2] for path in paths]
        return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))

    def put(self, shard: Shard, tables: Mapping[str, pa.Table]) -> StoredShard:
        """Write a shard's tables, and then its manifest."""
        files = {}
        for name, table in tables.items():
            sink = io.BytesIO()
            _write_parquet(iter([table]), sink)
            content = sink.getvalue()
            self.write(f"{name}/{shard.name}.parquet", content)
            size = {"rows": table.num_rows, "bytes": len(content)}
            files[name] = {**size, "sha256": _checksum(content)}
        summary = tables["summary"]
        failed = summary.num_rows - summary["error"].null_count
        manifest = {"runs": shard.runs, "first": shard.first, "failed": failed, "tables": files}
        sealed = {**manifest, "sha256": _checksum(_json(manifest))}
        self.write(f"shards/{shard.name}.json", _json(sealed))
        return StoredShard(shard.name, shard.runs, failed)

    def table_paths(self, name: str) -> list[str]:
        """Return the paths of a table's files, of all finished shards, in order (SpecError)."""
        paths = [self.path(f"{name}/{shard}.parquet") for shard in self.shard_names()]
        if not paths:
            raise SpecError(f"store: nothing of {self.place!r} is done yet")
        if not self.files.exists(paths[0]):
            record = self.description()["record"]
            raise SpecError(f"store: {self.place!r} kept record={record}, which has no {name}")
        return paths

    def exists(self, name: str) -> bool:
        """Return whether there is a file of this name."""
        return bool(self.files.exists(self.path(name)))

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        return bytes(self.files.cat_file(self.path(name)))

    def read_json(self, name: str) -> dict[str, Any]:
        """Return the mapping in a JSON file; an OSError if there is none, or else a ValueError."""
        content = json.loads(self.read(name))
        if not isinstance(content, dict):
            raise ValueError(f"{name} holds no mapping")
        return content

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all."""
        with self._atomic(name) as sink:
            sink.write(content)

    @contextmanager
    def _atomic(self, name: str) -> Iterator[BinaryIO]:
        """Yield a file to write to, which is there when all went well and not otherwise."""
        path = self.path(name)
        if self.is_local:
            target = Path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(target) as part, part.open("wb") as sink:
                yield sink
        else:  # what is open there would be visible, half written, when an error closes it
            with tempfile.TemporaryDirectory() as folder:
                part = Path(folder) / "part"
                with part.open("wb") as sink:
                    yield sink
                self.files.put_file(str(part), path)


def design_pieces(plan: Plan) -> Iterator[pa.Table]:
    """Yield the design table of a plan in pieces: a row for each run."""
    choices = {
        key: _choice_column([part.choices.get(key) for part in plan.parts])
        for key in dict.fromkeys(key for part in plan.parts for key in part.choices)
    }
    keys = dict.fromkeys(key for part in plan.parts for key in part.design.keys)
    first, size = 0, MAXIMUM_AGENTS * 16
    for number, part in enumerate(plan.parts):
        for start in range(0, part.runs, size):
            rows = np.arange(start, min(start + size, part.runs))
            columns = {
                "run": pa.array(first + rows),
                "part": pa.array(np.full(len(rows), number)),
                "seed": pa.array(part.seeds_of(rows)),
            }
            columns |= {key: pa.repeat(c[number], len(rows)) for key, c in choices.items()}
            absent = pa.nulls(len(rows), pa.float64())
            points = {key: pa.array(column) for key, column in part.points(rows).items()}
            columns |= {key: points.get(key, absent) for key in keys if key not in part.choices}
            yield pa.table(columns)
        first += part.runs


def _choice_column(values: Sequence[Any]) -> pa.Array:
    """Return the choices of parts [parts]: whole numbers if all are, numbers, or else text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float}:
        return pa.array(values, pa.float64() if float in kinds else pa.int64())
    return pa.array([None if value is None else str(value) for value in values], pa.string())


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=1).encode()


def _write_parquet(pieces: Iterator[pa.Table], sink: Any) -> None:
    """Write the pieces of a table as one Parquet file; the same pieces give the same bytes."""
    first = next(pieces)
    # Numbers are encoded byte by byte, which packs neighbours that are alike.
    is_split = {field.name: pa.types.is_floating(field.type) for field in first.schema}
    split = [name for name, split in is_split.items() if split]
    whole = [name for name, split in is_split.items() if not split]
    with pq.ParquetWriter(
        sink, first.schema, compression="zstd", use_dictionary=whole, use_byte_stream_split=split
    ) as writer:
        for piece in itertools.chain([first], pieces):
            writer.write_table(piece)
