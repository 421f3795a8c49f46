"""The result of a sweep: a row for each run, its axes and its measures, read from the store."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from sim.specs.errors import SpecError, nearest
from sim.sweeps.plan import code_digest
from sim.sweeps.store import TABLES, Store, made_by
from sim.utils.format import count_of

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
        self, store: Store, *, resumed: int = 0, damaged: int = 0, failed: int = 0
    ) -> None:
        self.store = store
        self.resumed = resumed
        self.damaged = damaged
        self.failed = failed
        self._columns: dict[str, list[str]] = {}
        self._is_temporary = False

    def __repr__(self) -> str:
        parts = self.described["parts"]
        names = dict.fromkeys(repr(part["scenario"]["name"]) for part in parts)
        try:
            axes = [key for key in self.axes if key != "seed"]  # as tables call them
        except SpecError:  # of a damaged design
            axes = list({key: 0 for part in parts for key in (*part["chosen"], *part["keys"])})
        by = f" by {', '.join(axes)}" if axes else ""
        failed = f", {self.failed:,} failed" if self.failed else ""
        runs, record = self.described["runs"], self.described["record"]
        is_own_code = self.described.get("code") == code_digest()
        code = "" if is_own_code else f"; made by {made_by(self.described)}"
        sweep = f"sim.Sweep of {', '.join(names)}: {count_of(runs, 'run')}{by}{failed}"
        return f"<{sweep} (record={record}{code})>"

    def keep_only_while_used(self) -> None:
        """Remove the store when this object goes in this process; not in one that was forked."""
        self._is_temporary = True
        weakref.finalize(self, _remove, self.store.place, os.getpid())

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle, and copy: what is kept in a temporary store goes along, to one of its own."""
        make = partial(type(self), resumed=self.resumed, damaged=self.damaged, failed=self.failed)
        if self._is_temporary:
            return _unpack, (make, self.store.contents())
        return make, (self.store,)

    @classmethod
    def load(cls, place: str | Path) -> Sweep:
        """Open a sweep that was kept in a directory or at a URL, finished or not (SpecError)."""
        store = Store(place)
        store.description()
        return cls(store, failed=store.failed_runs())

    @cached_property
    def described(self) -> dict[str, Any]:
        """The specs of every part, the engine and versions: the content of `sweep.json`."""
        return self.store.description()

    @cached_property
    def axes(self) -> tuple[str, ...]:
        """The keys in which runs differ; with the seed if there are several."""
        names = self.columns("design")
        several = self.query("select count(distinct seed) from design").iat[0, 0] > 1
        return tuple(n for n in names if n not in _NO_AXES and (n != "seed" or several))

    @cached_property
    def frame(self) -> pd.DataFrame:
        """A row for each finished run: its axes, seed and measures; a failed one's `error`."""
        return self.query("select * from design join summary using (run) order by run")

    def to_xarray(self) -> xr.Dataset:
        """Return the measures with axes as dimensions; runs must make a full grid (SpecError)."""
        frame = self.frame.drop(columns=list(_NO_AXES))
        axes = [*self.axes] or ["seed"]
        if "seed" not in axes:
            frame = frame.drop(columns="seed")
        sizes = np.prod([frame[axis].nunique() for axis in axes])
        if frame.duplicated(axes).any() or sizes != len(frame):
            raise SpecError("to_xarray: the runs of this sweep make no full grid; use .frame")
        data: xr.Dataset = frame.set_index(axes).to_xarray()
        return data

    def plot(
        self,
        variables: Sequence[str] = (),
        *,
        lines: str | None = None,
        panels: str | None = None,
        where: Mapping[str, object] | None = None,
        difference: str | None = None,
        baseline: object = None,
    ) -> Any:
        """Return a figure (matplotlib) of a sweep that kept curves; of what it lacks, a SpecError.

        Args:
            variables: Columns of the curves, or variables (`reach`, `gaming_rate.coding`); the
                gaming rates of the contexts in which most is gamed if there are none.
            lines: The axis whose levels are lines; the first that is free if None.
            panels: The axis whose levels are panels; if neither is given, the scenario, or else the
                next with few levels.
            where: Axes that are fixed, and the level of each.
            difference: The axis whose effect is drawn, between runs that differ in nothing else.
            baseline: Its level with which others are compared; the first if None.
        """
        from sim.plots.curves import plot_sweep  # from above: loaded when it is asked for

        return plot_sweep(
            self,
            variables=variables,
            lines=lines,
            panels=panels,
            where=where or {},
            difference=difference,
            baseline=baseline,
        )

    def query(self, sql: str, parameters: Sequence[object] = ()) -> pd.DataFrame:
        """Ask DuckDB; the tables are `design`, `summary`, and `curves` or `full` if kept.

        `full` is a word of SQL, so it is written `"full"`.
        """
        import duckdb  # a single run does without

        with duckdb.connect() as connection:
            if not self.store.is_local:
                connection.register_filesystem(self.store.files)
            for name, paths in self._paths(sql).items():
                files = ", ".join(_quoted(self.store.url(path)) for path in paths)
                connection.execute(
                    f'create view "{name}" as select * from '
                    f"read_parquet([{files}], union_by_name=true, hive_partitioning=false)"
                )
            return connection.execute(sql, list(parameters)).df()

    def columns(self, table: str) -> list[str]:
        """Return the columns of a table; a long list of files is looked through only once."""
        if table not in self._columns:
            names = self.query(f'select * from "{table}" limit 0').columns
            self._columns[table] = [str(name) for name in names]
        return self._columns[table]

    def column(self, table: str, name: str) -> str:
        """Return the name of a column, quoted for SQL; the table must have it (SpecError)."""
        names = self.columns(table)
        if name not in names:
            raise SpecError(f"{table}: has no {name!r}; {nearest(name, names)}")
        return '"' + name.replace('"', '""') + '"'

    def _paths(self, sql: str) -> Mapping[str, list[str]]:
        """Return the files of the tables that a query names."""
        words = _words(sql)
        paths = {name: self.store.table_paths(name) for name in TABLES if name in words}
        if "design" in words:
            paths["design"] = [self.store.design_path()]
        return paths


def _remove(place: str, owner: int) -> None:
    """Remove a temporary store in the process that owns it."""
    if os.getpid() == owner:
        shutil.rmtree(place, ignore_errors=True)


def _unpack(make: Callable[[Store], Sweep], contents: Mapping[str, bytes]) -> Sweep:
    """Return a sweep whose files came along, in a temporary store."""
    sweep = make(Store(tempfile.mkdtemp(prefix="sweep-")))
    sweep.keep_only_while_used()
    for name, content in contents.items():
        sweep.store.write(name, content)
    return sweep


def _words(sql: str) -> set[str]:
    """Return the words of a query; what stands between quotes is one word."""
    matches = re.findall(r'"((?:[^"]|"")*)"|\'(?:[^\']|\'\')*\'|(\w+)', sql)
    return {quoted or word.lower() for quoted, word in matches}


def _quoted(path: str) -> str:
    """Return a path as text of SQL, with nothing in it that would stand for other paths."""
    return "'" + re.sub(r"[*?[]", r"[\g<0>]", path).replace("'", "''") + "'"
