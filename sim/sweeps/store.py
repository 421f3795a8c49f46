"""The store: what a sweep leaves on disk, or wherever fsspec can write.

    sweep.json                what the sweep is
    design.parquet            a row for each run: its part, choices, numbers and seed
    shards/NAME.json          a shard that is done: its tables, with sizes and checksums
    summary/NAME.parquet      its runs' measures; likewise curves/ and full/

A shard's name holds a hash of all that its results depend on. Files appear whole, the tables first
and the list of them last, so a shard is there wholly or not at all. Nothing is pickled.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sim.files import whole_file
from sim.result import describe_run
from sim.spec.errors import SpecError
from sim.sweeps.plan import FORMAT, MOST, Part, Plan, Shard

TABLES = ("summary", "curves", "full")


@dataclass(frozen=True)
class Done:
    """What is known of a shard that is done.

    Attributes:
        name: The shard.
        runs: How many runs it has.
        failed: How many of them failed.
    """

    name: str
    runs: int
    failed: int


class Store:
    """A sweep's files.

    Args:
        place: A directory, or a URL of fsspec (`s3://bucket/sweep`, `memory://sweep`).
    """

    def __init__(self, place: str | Path) -> None:
        self.place = str(place)
        self._files, self._root = fsspec.core.url_to_fs(self.place)
        self._local = isinstance(self._files, fsspec.implementations.local.LocalFileSystem)

    def path(self, name: str) -> str:
        """Return where a file stands, for its file system."""
        return f"{self._root}/{name}"

    @property
    def files(self) -> Any:
        """The file system (fsspec)."""
        return self._files

    @property
    def is_local(self) -> bool:
        """Whether the files stand in a directory of this machine."""
        return self._local

    # -------------------------------------------------------------------------- what the sweep is

    def open(self, plan: Plan, *, asked_for: Mapping[str, Any]) -> None:
        """Make the store of a plan, or find that it is there already.

        Raises:
            SpecError: There is another sweep, or something else, in this place.
        """
        if self.exists("sweep.json"):
            found = self.read_json("sweep.json").get("id")
            if found != plan.id:
                raise SpecError(
                    f"sweep: {self.place!r} holds another sweep ({found}); choose another place"
                )
            if self.exists("design.parquet"):
                return
        elif self._files.exists(self._root) and self._files.ls(self._root):
            raise SpecError(f"sweep: {self.place!r} is not empty, and holds no sweep")
        self.write("design.parquet", _parquet_in_pieces(design_pieces(plan)))
        described = describe_run(
            format=FORMAT,
            id=plan.id,
            asked_for=dict(asked_for),
            runs=plan.runs,
            record=plan.record,
            engine=plan.engine,
            precision=plan.precision,
            parts=[
                {**part.described, "runs": part.runs, "seeds": list(part.seeds)}
                for part in plan.parts
            ],
        )
        self.write("sweep.json", json.dumps(described, indent=1).encode())

    def described(self) -> dict[str, Any]:
        """Return what the sweep is.

        Raises:
            SpecError: There is no sweep here, or one that this version cannot read.
        """
        if not self.exists("sweep.json"):
            raise SpecError(f"store: {self.place!r} holds no sweep (no sweep.json)")
        found = self.read_json("sweep.json")
        if found.get("format") != FORMAT:
            raise SpecError(
                f"store: {self.place!r} has format {found.get('format')}; this version reads "
                f"{FORMAT}"
            )
        return found

    # --------------------------------------------------------------------------------- its shards

    def done(self, shard: Shard) -> Done | None:
        """Return what is known of a shard if it is done, and its files are as they were written."""
        listed = self.listed(shard.name)
        if listed is None:
            return None
        try:
            for table, said in listed["tables"].items():
                content = self.read(f"{table}/{shard.name}.parquet")
                if hashlib.sha256(content).hexdigest() != said["sha256"]:
                    return None
            return Done(shard.name, int(listed["runs"]), int(listed["failed"]))
        except (OSError, KeyError, TypeError, ValueError):
            return None

    def listed(self, name: str) -> dict[str, Any] | None:
        """Return the list of a shard's files, if there is one that can be read."""
        try:
            found = self.read_json(f"shards/{name}.json")
        except (OSError, ValueError):
            return None
        return found

    def put(self, shard: Shard, tables: Mapping[str, pa.Table]) -> Done:
        """Write a shard's tables, and then the list of them."""
        listed = {}
        for name, table in tables.items():
            content = _parquet(table)
            self.write(f"{name}/{shard.name}.parquet", content)
            listed[name] = {
                "rows": table.num_rows,
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        summary = tables["summary"]
        failed = summary.num_rows - summary["error"].null_count
        described = {"runs": shard.runs, "first": shard.first, "failed": failed, "tables": listed}
        self.write(f"shards/{shard.name}.json", json.dumps(described, indent=1).encode())
        return Done(shard.name, shard.runs, failed)

    def tables(self, name: str) -> list[str]:
        """Return the paths of a table's files, of all shards that are done, in order.

        Raises:
            SpecError: The sweep did not keep this table, or nothing is done yet.
        """
        folder = self.path("shards")
        listed = sorted(self._files.ls(folder, detail=False)) if self._files.exists(folder) else []
        names = [path.rpartition("/")[2].removesuffix(".json") for path in listed]
        found = [self.path(f"{name}/{shard}.parquet") for shard in names]
        if not found:
            raise SpecError(f"store: nothing of {self.place!r} is done yet")
        if not self._files.exists(found[0]):
            kept = self.described()["record"]
            raise SpecError(f"store: {self.place!r} kept record={kept}, which has no {name}")
        return found

    # ---------------------------------------------------------------------------------- its files

    def exists(self, name: str) -> bool:
        """Say whether there is a file of this name."""
        return bool(self._files.exists(self.path(name)))

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        return bytes(self._files.cat_file(self.path(name)))

    def read_json(self, name: str) -> dict[str, Any]:
        """Return the content of a JSON file."""
        return dict(json.loads(self.read(name)))

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all."""
        path = self.path(name)
        if self._local:
            target = Path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(target) as part:
                part.write_bytes(content)
        else:  # object stores show a file when all of it has arrived
            self._files.pipe_file(path, content)


def design_pieces(plan: Plan) -> Iterator[pa.Table]:
    """Yield the design table of a plan in pieces: a row for each run."""
    chosen = list(dict.fromkeys(key for part in plan.parts for key in part.chosen))
    keys = list(dict.fromkeys(key for part in plan.parts for key in part.design.keys))
    first = 0
    for number, part in enumerate(plan.parts):
        size = MOST * 16
        for start in range(0, part.runs, size):
            rows = np.arange(start, min(start + size, part.runs))
            yield pa.table(
                {
                    "run": pa.array(first + rows),
                    "part": pa.array(np.full(len(rows), number)),
                    "seed": pa.array(part.seeds_of(rows)),
                    **{key: _choice(part, key, len(rows), plan) for key in chosen},
                    **_numbers(part, keys, rows),
                }
            )
        first += part.runs


def _numbers(part: Part, keys: list[str], rows: np.ndarray[Any, Any]) -> dict[str, pa.Array]:
    columns = part.points(rows)
    return {
        key: pa.array(columns[key]) if key in columns else pa.nulls(len(rows), pa.float64())
        for key in keys
        if key not in part.chosen
    }


def _choice(part: Part, key: str, rows: int, plan: Plan) -> pa.Array:
    """Return a column of choices: whole numbers if all of them are, and text otherwise."""
    every = [p.chosen.get(key) for p in plan.parts]
    numeric = all(value is None or type(value) in (int, float) for value in every)
    value = part.chosen.get(key)
    if numeric:
        whole = all(value is None or type(value) is int for value in every)
        return pa.array([value] * rows, pa.int64() if whole else pa.float64())
    return pa.array([None if value is None else str(value)] * rows, pa.string())


def _parquet(table: pa.Table) -> bytes:
    return _parquet_in_pieces(iter([table]))


def _parquet_in_pieces(pieces: Iterator[pa.Table]) -> bytes:
    """Return Parquet bytes: the same tables give the same bytes."""
    sink, writer = io.BytesIO(), None
    for piece in pieces:
        if writer is None:
            writer = pq.ParquetWriter(
                sink, piece.schema, compression="zstd", **_encoding(piece.schema)
            )
        writer.write_table(piece)
    assert writer is not None
    writer.close()
    return sink.getvalue()


def _encoding(schema: pa.Schema) -> dict[str, Any]:
    """Encode numbers byte by byte, which packs neighbouring ones that are alike."""
    split = [field.name for field in schema if pa.types.is_floating(field.type)]
    others = [field.name for field in schema if field.name not in split]
    return {"use_dictionary": others, "use_byte_stream_split": split}
