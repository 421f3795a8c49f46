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
import itertools
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sim.result import describe_run
from sim.specs.errors import SpecError
from sim.sweeps.plan import FORMAT, MOST, Part, Plan, Shard
from sim.utils.files import atomic_write

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

    def url(self, path: str) -> str:
        """Return a path of the file system as DuckDB has to be told it."""
        if self._local:
            return path
        protocol = self._files.protocol
        return f"{protocol if isinstance(protocol, str) else protocol[0]}://{path}"

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
            found = self.described().get("id")
            if found != plan.id:
                raise SpecError(
                    f"sweep: {self.place!r} holds another sweep ({found}); choose another place"
                )
        elif self._is_free():
            # Written first, it makes the place this sweep's: what is broken off can go on.
            self.write("sweep.json", _json(self._description(plan, asked_for)))
        else:
            raise SpecError(f"sweep: {self.place!r} is not empty, and holds no sweep")
        with self._whole("design.parquet") as sink:
            _write_parquet(design_pieces(plan), sink)

    def _description(self, plan: Plan, asked_for: Mapping[str, Any]) -> dict[str, Any]:
        return describe_run(
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

    def _is_free(self) -> bool:
        """Say whether a sweep can begin here; a first file that was broken off is none."""
        if not self._files.exists(self._root):
            return True
        names = [str(p).rpartition("/")[2] for p in self._files.ls(self._root, detail=False)]
        return all(name.startswith("sweep.json") and name.endswith(".part") for name in names)

    def described(self) -> dict[str, Any]:
        """Return what the sweep is.

        Raises:
            SpecError: There is no sweep here, or one that this version cannot read.
        """
        if not self.exists("sweep.json"):
            raise SpecError(f"store: {self.place!r} holds no sweep (no sweep.json)")
        try:
            found = self.read_json("sweep.json")
        except ValueError:
            raise SpecError(f"store: sweep.json of {self.place!r} is damaged") from None
        if found.get("format") != FORMAT:
            raise SpecError(
                f"store: {self.place!r} has format {found.get('format')}; this version reads "
                f"{FORMAT}"
            )
        return found

    # --------------------------------------------------------------------------------- its shards

    def done(self, shard: Shard) -> Done | None:
        """Return what is known of a shard if it is done, and its files are as they were written."""
        try:
            join_words = self.join_words(shard.name)
            for table, said in join_words["tables"].items():
                if _checksum(self.read(f"{table}/{shard.name}.parquet")) != said["sha256"]:
                    return None
        except (OSError, ValueError):
            return None
        return Done(shard.name, join_words["runs"], join_words["failed"])

    def is_listed(self, name: str) -> bool:
        """Say whether there is a list of a shard's files, damaged or not."""
        return self.exists(f"shards/{name}.json")

    def join_words(self, name: str) -> dict[str, Any]:
        """Return the list of a shard's files.

        Raises:
            OSError: There is none.
            ValueError: It is not as it was written.
        """
        found = self.read_json(f"shards/{name}.json")
        said = found.pop("sha256", None)
        if said != _checksum(_json(found)):
            raise ValueError(f"shards/{name}.json is damaged")
        return found

    def failed(self) -> int:
        """Return how many runs failed, of all shards that are done and can be read."""
        count = 0
        for name in self.done_names():
            with suppress(OSError, ValueError):
                count += int(self.join_words(name)["failed"])
        return count

    def done_names(self) -> list[str]:
        """Return the names of the shards that are done, in order."""
        folder = self.path("shards")
        self._files.invalidate_cache()  # workers of a cluster write, too
        found = self._files.ls(folder, detail=False) if self._files.exists(folder) else []
        names = [str(path).rpartition("/")[2] for path in found]
        return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))

    def put(self, shard: Shard, tables: Mapping[str, pa.Table]) -> Done:
        """Write a shard's tables, and then the list of them."""
        join_words = {}
        for name, table in tables.items():
            content = _parquet(table)
            self.write(f"{name}/{shard.name}.parquet", content)
            join_words[name] = {
                "rows": table.num_rows,
                "bytes": len(content),
                "sha256": _checksum(content),
            }
        summary = tables["summary"]
        failed = summary.num_rows - summary["error"].null_count
        described = {
            "runs": shard.runs,
            "first": shard.first,
            "failed": failed,
            "tables": join_words,
        }
        sealed = {**described, "sha256": _checksum(_json(described))}
        self.write(f"shards/{shard.name}.json", _json(sealed))
        return Done(shard.name, shard.runs, failed)

    def tables(self, name: str) -> list[str]:
        """Return the paths of a table's files, of all shards that are done, in order.

        Raises:
            SpecError: The sweep did not keep this table, or nothing is done yet.
        """
        found = [self.path(f"{name}/{shard}.parquet") for shard in self.done_names()]
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
        """Return the content of a JSON file.

        Raises:
            OSError: There is none.
            ValueError: It holds no mapping in JSON.
        """
        found = json.loads(self.read(name))
        if not isinstance(found, dict):
            raise ValueError(f"{name} holds no mapping")
        return found

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all."""
        with self._whole(name) as sink:
            sink.write(content)

    @contextmanager
    def _whole(self, name: str) -> Iterator[BinaryIO]:
        """Yield a file to write to, which is there when all went well and not otherwise."""
        path = self.path(name)
        if self._local:
            target = Path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(target) as part, part.open("wb") as sink:
                yield sink
        else:  # what is open there would be shown, half written, when an error closes it
            with tempfile.TemporaryDirectory() as folder:
                part = Path(folder) / "part"
                with part.open("wb") as sink:
                    yield sink
                self._files.put_file(str(part), path)


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


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=1).encode()


def _parquet(table: pa.Table) -> bytes:
    """Return a table as the bytes of a Parquet file: the same table gives the same bytes."""
    sink = io.BytesIO()
    _write_parquet(iter([table]), sink)
    return sink.getvalue()


def _write_parquet(pieces: Iterator[pa.Table], sink: Any) -> None:
    first = next(pieces)
    with pq.ParquetWriter(
        sink, first.schema, compression="zstd", **_encoding(first.schema)
    ) as writer:
        for piece in itertools.chain([first], pieces):
            writer.write_table(piece)


def _encoding(schema: pa.Schema) -> dict[str, Any]:
    """Encode numbers byte by byte, which packs neighbouring ones that are alike."""
    split = [field.name for field in schema if pa.types.is_floating(field.type)]
    others = [field.name for field in schema if field.name not in split]
    return {"use_dictionary": others, "use_byte_stream_split": split}
