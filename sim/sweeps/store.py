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
import re
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sim.result import describe_run
from sim.specs.errors import SpecError
from sim.sweeps.plan import FORMAT, MAXIMUM_AGENTS, Plan, Shard, code_digest
from sim.utils.files import atomic_write

TABLES = ("summary", "curves", "full")

#: What is in a store.
_FILES = ("sweep.json", "design.parquet", "shards", *TABLES)
_SHARD = re.compile(r"\d{6,}-[0-9a-f]{16}")
_BROKEN_OFF = re.compile(r"sweep\.json.*\.part")
#: Files that are looked at together, and seconds for which a file counts as just written.
_READERS, _TICK = 8, 1.0
#: What was seen in files, by URL, with the state that each was in.
_LOOKS: dict[str, tuple[Any, Any]] = {}
Look = TypeVar("Look")

#: How to have back what is lost.
AGAIN = "the command that made the sweep writes it again and keeps what is done"


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
        """Make the store of a plan, or check that it is this plan's already (SpecError).

        A `sweep.json` or a design that is lost or damaged is written again.
        """
        try:
            content = self.description()
        except SpecError as error:
            if not self._is_free(plan):
                line = f"{str(error).removeprefix('store: ')}; or choose another place"
                if not self.exists("sweep.json"):
                    line = f"{self.place!r} is not empty, and holds no sweep"
                raise SpecError(f"sweep: {line}") from None
            # Written first, it makes the place this sweep's: what is broken off can go on.
            content = _describe(plan, note)
            self.write("sweep.json", _json(_sealed(content)))
        if content["id"] != plan.id:
            reason = f"holds another sweep ({content['id']})"
            if content.get("code") != code_digest():
                by = f"{made_by(content)}; here {code_digest()}"
                reason = f"holds a sweep by other code ({by}), which sim.Sweep.load reads"
            raise SpecError(f"sweep: {self.place!r} {reason}; choose another place")
        checksum = content.get("design")
        if not self.exists("design.parquet") or self._checksum("design.parquet") != checksum:
            with self._atomic("design.parquet") as sink:
                _write_parquet(design_pieces(plan), sink)
            new_checksum = self._checksum("design.parquet")
            if new_checksum != checksum:
                self.write("sweep.json", _json(_sealed({**content, "design": new_checksum})))

    def _is_free(self, plan: Plan) -> bool:
        """Return whether a plan can begin, or go on, where no `sweep.json` can be read.

        That is where nothing is but a first file that was broken off, or shards of this plan, or
        a damaged `sweep.json` beside what a sweep leaves before a shard is finished.
        """
        names = self._names("")
        if not self.files.exists(self._root) or all(map(_BROKEN_OFF.fullmatch, names)):
            return True
        shards = {name for name in self._finished() if _SHARD.fullmatch(name)}
        if shards:
            return shards <= {shard.name for shard in plan.shards}
        own_names = [n for n in names if n in _FILES or _BROKEN_OFF.fullmatch(n)]
        return (
            own_names == names and "sweep.json" in names and self._sealed_json("sweep.json") is None
        )

    def description(self) -> dict[str, Any]:
        """Return the content of `sweep.json`; it must be of this version (SpecError)."""
        if not self.exists("sweep.json"):
            again = f"; {AGAIN}" if self._finished() else ""
            below = self.files.glob(f"{self._root}/*/sweep.json") if self.is_local else []
            names = [str(path).split("/")[-2] for path in below[:3]]
            hint = f"; there is one in each of its {', '.join(names)}, ..." if names else again
            raise SpecError(f"store: {self.place!r} holds no sweep (no sweep.json){hint}")
        try:
            content = self._sealed_json("sweep.json")
        except OSError as error:
            reason = f"sweep.json of {self.place!r} cannot be read ({error.strerror})"
            raise SpecError(f"store: {reason}") from None
        if content is None or not _describes_sweep(content):
            file_format: object = FORMAT
            with suppress(ValueError):
                file_format = self.read_json("sweep.json").get("format")
            line = f"sweep.json of {self.place!r} is damaged; {AGAIN}"
            if file_format != FORMAT:
                line = f"{self.place!r} has format {file_format}; this version reads {FORMAT}"
            raise SpecError(f"store: {line}")
        return content

    def _sealed_json(self, name: str) -> dict[str, Any] | None:
        """Return what a JSON file holds if its seal is whole, or else None."""
        with suppress(ValueError):
            content = dict(self._look(name, lambda: self.read_json(name)))
            # Earlier versions put no seal on `sweep.json`, which named no shards either.
            if "sha256" not in content and "shards" not in content and name == "sweep.json":
                return content
            if content == _sealed(content):
                return content
        return None

    def check(self, shard: Shard) -> StoredShard | None:
        """Return a shard's record if it is finished and its files are as they were written."""
        try:
            manifest = self.manifest(shard.name)
            for table, file in manifest["tables"].items():
                if self._checksum(f"{table}/{shard.name}.parquet") != file["sha256"]:
                    return None
        except (OSError, ValueError):
            return None
        return StoredShard(shard.name, manifest["runs"], manifest["failed"])

    def manifest(self, name: str) -> dict[str, Any]:
        """Return the manifest of a shard; an OSError if there is none, a ValueError if damaged."""
        manifest = self._sealed_json(f"shards/{name}.json")
        # Those of earlier versions do not name their shard.
        if manifest is None or manifest.get("name", name) != name or not _describes_shard(manifest):
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
        """Return the names of this sweep's shards that are finished, in order.

        A warning says what else is among them.
        """
        finished, planned = self._finished(), self.description().get("shards")
        own = {*planned} & {*finished} if planned else {*filter(_SHARD.fullmatch, finished)}
        if len(own) < len(finished):
            foreign = min({*finished} - own)
            warnings.warn(
                f"store: shards/{foreign}.json of {self.place!r} is no shard of this sweep and is "
                f"left out ({len(finished) - len(own)} in all)",
                stacklevel=2,
            )
        return sorted(own)

    def finished_share(self, plan: Plan) -> float:
        """Return the share of a plan's work of which the shards are there; none is checked."""
        names = {*self._finished()}
        finished = sum(shard.agent_steps for shard in plan.shards if shard.name in names)
        return finished / max(plan.agent_steps, 1)

    def _finished(self) -> list[str]:
        """Return the names of everything that looks like a finished shard."""
        return [n.removesuffix(".json") for n in self._names("shards") if n.endswith(".json")]

    def _names(self, folder: str) -> list[str]:
        """Return the names in a folder, in order; none if there is no such folder."""
        self.files.invalidate_cache()  # workers of a cluster write, too
        path = self.path(folder).rstrip("/")
        paths = self.files.ls(path, detail=False) if self.files.exists(path) else []
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in paths)

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
        place = {"name": shard.name, "runs": shard.runs, "first": shard.first}
        manifest = {**place, "failed": failed, "tables": files}
        self.write(f"shards/{shard.name}.json", _json(_sealed(manifest)))
        return StoredShard(shard.name, shard.runs, failed)

    def table_paths(self, table: str) -> list[str]:
        """Return the paths of a table's files, of all finished shards, in order.

        Every file is as it was written and no run is there twice (SpecError); a warning says how
        many runs are missing.
        """
        content, names = self.description(), self.shard_names()
        if not names:
            raise SpecError(f"store: nothing of {self.place!r} is done yet")
        if TABLES.index(table) > TABLES.index(content["record"]):
            record = content["record"]
            raise SpecError(f"store: {self.place!r} kept record={record}, which has no {table}")

        def runs_of(name: str) -> range | None:
            """Return the runs of a shard; None if it is damaged."""
            with suppress(OSError, ValueError):
                manifest = self.manifest(name)
                file = manifest["tables"].get(table, {})
                if self._checksum(f"{table}/{name}.parquet") == file.get("sha256"):
                    return range(manifest["first"], manifest["first"] + manifest["runs"])
            return None

        with ThreadPoolExecutor(_READERS) as pool:
            runs = dict(zip(names, pool.map(runs_of, names), strict=True))
        damaged = [name for name in names if runs[name] is None]
        if damaged:
            raise SpecError(
                f"store: {table}/{damaged[0]}.parquet of {self.place!r} or its manifest is not as "
                f"it was written ({len(damaged)} of {len(names)} shards); {AGAIN}; a shard without "
                "its manifest, in shards/, is left out"
            )
        spans = sorted((span.start, span.stop, name) for name, span in runs.items() if span)
        for (_, stop, before), (start, _, name) in itertools.pairwise(spans):
            if start < stop:
                raise SpecError(
                    f"store: shards {before} and {name} of {self.place!r} have the same runs"
                )
        runs_there = sum(len(span) for span in runs.values() if span)
        if runs_there < content["runs"]:
            warnings.warn(
                f"store: {self.place!r} has {runs_there:,} of {content['runs']:,} runs; the "
                "command that made the sweep computes the others",
                stacklevel=2,
            )
        return [self.path(f"{table}/{name}.parquet") for name in names]

    def design_path(self) -> str:
        """Return the path of the design, which is as it was written (SpecError)."""
        content, path = self.description(), self.path("design.parquet")
        with suppress(OSError, ValueError):  # Arrow's are such
            with self.files.open(path) as file:
                rows = pq.read_metadata(file).num_rows
            # Earlier versions did not note its checksum.
            if rows == content["runs"] and content.get("design") in (
                None,
                self._checksum("design.parquet"),
            ):
                return path
        raise SpecError(f"store: design.parquet of {self.place!r} is lost or damaged; {AGAIN}")

    def _checksum(self, name: str) -> str:
        """Return the checksum of a file, which is read once for each of its states."""

        def look() -> str:
            with self.files.open(self.path(name)) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()

        return self._look(name, look)

    def _look(self, name: str, look: Callable[[], Look]) -> Look:
        """Return what a look at a file gives, taken once for each state of the file (OSError)."""
        path = self.path(name)
        state = self.files.info(path)
        changed_at = (
            max(state.get("mtime", 0.0), state.get("created", 0.0)) if self.is_local else 0.0
        )
        url = self.url(path)
        if url not in _LOOKS or _LOOKS[url][0] != state:
            fresh = look()
            if time.time() - changed_at < _TICK:  # a change within a tick of the clock has no trace
                return fresh
            _LOOKS[url] = state, fresh
        result: Look = _LOOKS[url][1]
        return result

    def exists(self, name: str) -> bool:
        """Return whether there is a file of this name."""
        return bool(self.files.exists(self.path(name)))

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        return bytes(self.files.cat_file(self.path(name)))

    def read_json(self, name: str) -> dict[str, Any]:
        """Return the mapping in a JSON file; an OSError if there is none, or else a ValueError."""
        try:
            content = json.loads(self.read(name))
        except RecursionError:
            raise ValueError(f"{name} is nested too deeply") from None
        if not isinstance(content, dict):
            raise ValueError(f"{name} holds no mapping")
        return content

    def contents(self) -> dict[str, bytes]:
        """Return the content of every file, by name."""
        names = [path.removeprefix(f"{self._root}/") for path in self.files.find(self._root)]
        return {name: self.read(name) for name in names}

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


def made_by(content: Mapping[str, Any]) -> str:
    """Return by which code the sweep of a `sweep.json` was made."""
    versions = content.get("versions")
    version = versions.get("training-gaming-sim") if isinstance(versions, dict) else None
    return f"version {version}, {content.get('code', 'before code was noted')}"


def _describe(plan: Plan, note: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a plan's `sweep.json`."""
    parts = [{**p.description, "runs": p.runs, "seeds": list(p.seeds)} for p in plan.parts]
    content = {"format": FORMAT, "id": plan.id, "asked_for": dict(note), "runs": plan.runs}
    made_by: dict[str, Any] = {
        "record": plan.record,
        "engine": plan.engine,
        "precision": plan.precision,
    }
    made_by |= plan.equations.describe()
    shards = [shard.name for shard in plan.shards]
    return describe_run(**content, **made_by, code=code_digest(), parts=parts, shards=shards)


def _describes_sweep(content: Mapping[str, Any]) -> bool:
    """Return whether a `sweep.json` has what readers look for."""
    texts, parts = [content.get(key) for key in ("id", "engine", "record")], content.get("parts")
    return (
        content.get("format") == FORMAT
        and all(isinstance(text, str) for text in texts)
        and content["record"] in TABLES
        and isinstance(content.get("runs"), int)
        and isinstance(content.get("shards", []), list)
        and isinstance(parts, list)
        and all(
            isinstance(part, dict)
            and isinstance(part.get("chosen"), dict)
            and isinstance(part.get("keys"), list)
            and isinstance(part.get("scenario"), dict)
            and "name" in part["scenario"]
            for part in parts
        )
    )


def _describes_shard(manifest: Mapping[str, Any]) -> bool:
    """Return whether a manifest has what readers look for."""
    tables = manifest.get("tables")
    return (
        all(isinstance(manifest.get(key), int) for key in ("runs", "first", "failed"))
        and isinstance(tables, dict)
        and all(isinstance(file, dict) and "sha256" in file for file in tables.values())
    )


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


def _sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a JSON file with the checksum of what it says."""
    bare = {key: value for key, value in content.items() if key != "sha256"}
    return {**bare, "sha256": _checksum(_json(bare))}


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
