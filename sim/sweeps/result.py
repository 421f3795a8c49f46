"""A sweep as a table: what was asked for and what came out, a row for each run."""

from __future__ import annotations

import re
import shutil
import weakref
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import xarray as xr

from sim.specs.errors import SpecError, nearest
from sim.sweeps.store import TABLES, Store

#: Columns of the design that are no axis.
_NO_AXES = ("run", "part")


class Sweep:
    """The runs of a sweep, read from its store.

    Attributes:
        store: Where everything is kept.
        resumed: How many runs were there already.
        damaged: How many shards were there but not as they had been written, and done again.
        failed: How many runs failed; `frame.error` says why.
    """

    def __init__(
        self,
        store: Store,
        *,
        resumed: int = 0,
        damaged: int = 0,
        failed: int = 0,
    ) -> None:
        self.store = store
        self.resumed = resumed
        self.damaged = damaged
        self.failed = failed
        self._columns: dict[str, list[str]] = {}

    def keep_only_while_used(self) -> None:
        """Let the store go when the table does."""
        weakref.finalize(self, shutil.rmtree, self.store.place, ignore_errors=True)

    @classmethod
    def load(cls, place: str | Path) -> Sweep:
        """Open a sweep that was kept in a directory or at a URL, finished or not.

        Raises:
            SpecError: There is none.
        """
        store = Store(place)
        store.described()
        return cls(store, failed=store.failed())

    @cached_property
    def described(self) -> dict[str, Any]:
        """What the sweep is: specs of every part, engine, versions."""
        return self.store.described()

    @cached_property
    def axes(self) -> tuple[str, ...]:
        """The keys in which runs differ; with the seed if there are several."""
        names = self.columns("design")
        several = self.query("select count(distinct seed) from design").iat[0, 0] > 1
        return tuple(n for n in names if n not in _NO_AXES and (n != "seed" or several))

    @cached_property
    def frame(self) -> pd.DataFrame:
        """A row for each run that is done: its axes, seed and measures; a failed one's `error`."""
        return self.query("select * from design join summary using (run) order by run")

    def to_xarray(self) -> xr.Dataset:
        """Return the measures with the axes as dimensions; for designs that are a full grid.

        Raises:
            SpecError: The runs make no grid.
        """
        frame = self.frame.drop(columns=list(_NO_AXES))
        axes = [*self.axes] or ["seed"]
        if "seed" not in axes:
            frame = frame.drop(columns="seed")
        sizes = np.prod([frame[axis].nunique() for axis in axes])
        if frame.duplicated(axes).any() or sizes != len(frame):
            raise SpecError("to_xarray: the runs of this sweep make no full grid; use .frame")
        data: xr.Dataset = frame.set_index(axes).to_xarray()
        return data

    def query(self, sql: str, parameters: Sequence[object] = ()) -> pd.DataFrame:
        """Ask DuckDB; the tables are `design`, `summary`, and `curves` or `full` if kept.

        `full` is a word of SQL, so it is written `"full"`.
        """
        with duckdb.connect() as connection:
            if not self.store.is_local:
                connection.register_filesystem(self.store.files)
            for name, paths in self._paths(sql).items():
                join_words = ", ".join(_quoted(path) for path in paths)
                connection.execute(
                    f'create view "{name}" as select * from '
                    f"read_parquet([{join_words}], union_by_name=true, hive_partitioning=false)"
                )
            return connection.execute(sql, list(parameters)).df()

    def columns(self, table: str) -> list[str]:
        """Return the columns of a table; a long list of files is looked through only once."""
        if table not in self._columns:
            found = self.query(f'select * from "{table}" limit 0')
            self._columns[table] = [str(name) for name in found.columns]
        return self._columns[table]

    def column(self, table: str, name: str) -> str:
        """Return the name of a column, quoted for SQL.

        Raises:
            SpecError: The table has no such column.
        """
        known = self.columns(table)
        if name not in known:
            raise SpecError(f"{table}: has no {name!r}; {nearest(name, known)}")
        return '"' + name.replace('"', '""') + '"'

    def _paths(self, sql: str) -> Mapping[str, list[str]]:
        """Return the files of the tables that a query names."""
        named = _words(sql)
        paths = {name: self.store.tables(name) for name in TABLES if name in named}
        if "design" in named:
            paths["design"] = [self.store.path("design.parquet")]
        return {name: [self.store.url(path) for path in found] for name, found in paths.items()}


def _words(sql: str) -> set[str]:
    """Return the words of a query; what stands between quotes is one word."""
    found = re.findall(r'"((?:[^"]|"")*)"|\'(?:[^\']|\'\')*\'|(\w+)', sql)
    return {quoted or word.lower() for quoted, word in found}


def _quoted(path: str) -> str:
    """Return a path as text of SQL, with nothing in it that would stand for other paths."""
    return "'" + re.sub(r"[*?[]", r"[\g<0>]", path).replace("'", "''") + "'"
