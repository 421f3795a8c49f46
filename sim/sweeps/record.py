"""The tables that a sweep stores of its runs, with flat names (`gaming_rate.coding`, `reach`, ...).

summary
    A row for each run: `run`, `error`, and every measure at the end of training, the median over
    the run's agents, with `.low` and `.high`, the 10th and 90th percentile, where there are more
    agents than one. `onset.CONTEXT` is the median onset over the agents in which gaming set in,
    `onset_share.CONTEXT` their share; `gaming_rate_least.CONTEXT` and `gaming_rate_most.CONTEXT`
    are the least and the greatest gaming rate over the last 20 records. Propensities have columns
    where those of a run of the same part can be anything but 0.
curves
    A row for each run, step and representative agent: `run`, `step`, `rank`, and what an emergence
    curve is drawn of. At most 9 representatives stand for a run's agents (`sim.dynamics.measures`)
    and at most 101 steps for its records.
full
    A row for each run, step and agent, and every variable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sim.dynamics.engines.registry import get_engine
from sim.dynamics.loop import Snapshot, divergence, out_of_bounds, records
from sim.dynamics.measures import EndWatch, OnsetWatch, quantiles, representatives
from sim.dynamics.observe import VARIABLES
from sim.dynamics.program import Program
from sim.dynamics.state import Array
from sim.specs.keys import full_key
from sim.sweeps.plan import Part, Shard
from sim.utils.progress import CountProgress

#: Drawn as curves: the measures, the values, and what the incentive comes from.
CURVES = (
    *("gaming_rate", "instrumental_gaming", "stake", "values", "awareness_logit"),
    *("reach", "reach_weighted", "consistency", "compliance_gap", "behaviour_shift"),
    *("opacity_share", "value_drift", "value_cosine", "alignment"),
    *("conduct", "deployment_conduct"),
)
#: Not in a summary: several numbers for each response, or for each value in each context ...
_MANY = {"policy", "value_policy", "gaming_policy", "foreseen_policy", "incentive_by_value"}
#: ... and what a function of one number of the summary gives, or selection alone changes.
_DERIVED = {"belief", "horizon", "competence", "capabilities", "ancestor"}
SUMMARY = tuple(name for name in VARIABLES if name not in _MANY | _DERIVED)
#: Of the course of a run and not of one moment, by context.
_WATCHED = {"onset", "onset_share", "gaming_rate_least", "gaming_rate_most"}
#: Of a run's agents: the band around the median.
BAND = (0.1, 0.5, 0.9)
MOST_REPRESENTATIVES = 9
MOST_CURVE_STEPS = 101


def compute(shard: Shard, *, progress: CountProgress | None = None) -> dict[str, pa.Table]:
    """Run a shard and return its tables, by name.

    A run whose parameters grow out of all bounds has a row with its error, and no curve.
    """
    with np.errstate(all="ignore"):
        recorder = ShardRecorder(shard)
        engine = get_engine(shard.engine, precision=shard.precision, threads=1)
        for record in records(
            engine,
            recorder.program,
            recorder.steps,
            names=recorder.names,
            bounded=False,
            runs=shard.runs,
            progress=progress,
        ):
            recorder.add(record)
        return recorder.tables()


class ShardRecorder:
    """Takes in the snapshots of a shard, at its steps, and keeps what the tables need."""

    def __init__(self, shard: Shard) -> None:
        every, last = shard.part.record_every, shard.part.specs.training.steps
        self.program = shard.program()
        self.steps = [*range(0, last, every), last]
        self._shard = shard
        self._measured = summary_variables(shard.part, self.program)
        self._agents = shard.part.agents
        self._runs = shard.first + np.arange(shard.runs)
        self._error = np.full(shard.runs, None, dtype=object)
        self._onset = OnsetWatch((self.program.agents, len(self.program.layout.contexts)))
        self._end = EndWatch(self.steps)
        self._curve_steps = set(thinned(self.steps)) if shard.record != "summary" else set()
        self._curves: list[pa.Table] = []
        self._full: list[pa.Table] = []
        self._summary: pa.Table | None = None

    def names(self, step: int) -> tuple[str, ...]:
        """Return the variables that the tables need of a step."""
        if self._shard.record == "full":
            return tuple(VARIABLES)
        curves = CURVES if step in self._curve_steps else ()
        summary = self._measured if step == self.steps[-1] else ()
        return tuple(dict.fromkeys(("gaming_rate", *curves, *summary)))

    def add(self, record: Snapshot) -> None:
        """Take in a record."""
        self._check_bounds(record)
        step, values = record.step, record.observed
        self._onset.see(step, values["gaming_rate"])
        self._end.see(step, values["gaming_rate"])
        if step in self._curve_steps:
            self._curves.append(self._curve_rows(step, values))
        if self._shard.record == "full":
            self._full.append(self._full_rows(step, values))
        if step == self.steps[-1]:
            self._summary = self._summary_rows(values)

    def tables(self) -> dict[str, pa.Table]:
        """Return the tables; a run that failed has a row in the first, and none in the others."""
        assert self._summary is not None
        error = pa.array(self._error.tolist(), pa.string())
        tables = {"summary": self._summary.add_column(1, "error", error)}
        sound = self._sound()
        for name, parts in (("curves", self._curves), ("full", self._full)):
            if parts:
                rows = pa.concat_tables(parts)
                keep: NDArray[np.bool_] = sound[rows["run"].to_numpy() - self._shard.first]
                tables[name] = rows if keep.all() else rows.filter(pa.array(keep))
        return tables

    def _check_bounds(self, record: Snapshot) -> None:
        bad = out_of_bounds(record.program.layout, record.theta)
        if bad.any():
            rows = np.asarray(bad.reshape(len(bad), self._shard.runs, -1).any(axis=2))
            for run in np.flatnonzero(rows.any(axis=0)):
                if self._error[run] is None:
                    row = int(np.argmax(rows[:, run]))
                    self._error[run] = divergence(record.program.layout, row, record.step)

    def _summary_rows(self, values: Mapping[str, Array]) -> pa.Table:
        columns: dict[str, object] = {"run": self._runs}
        sound = self._sound()
        measures = {
            **{name: values[name] for name in self._measured},
            "gaming_rate_least": self._end.minimum,
            "gaming_rate_most": self._end.maximum,
            "onset": self._onset.onset,
        }
        of_agents = np.repeat(sound, self._agents)
        for name, measure in measures.items():
            is_sound = of_agents.reshape(-1, *[1] * (measure.ndim - 1))
            low, median, high = self._band(np.where(is_sound, measure, np.nan))
            for flat, place in self._flat(name):
                columns[flat] = median[place]
                if self._agents > 1:
                    columns[f"{flat}.low"], columns[f"{flat}.high"] = low[place], high[place]
        set_in = self._by_run(np.isfinite(self._onset.onset)).mean(axis=1)
        for flat, place in self._flat("onset_share"):
            columns[flat] = np.where(sound, set_in[place], np.nan)
        return _table(columns)

    def _curve_rows(self, step: int, values: Mapping[str, Array]) -> pa.Table:
        count = min(self._agents, MOST_REPRESENTATIVES)
        columns: dict[str, object] = {
            "run": np.tile(self._runs, count),
            "step": np.full(self._shard.runs * count, step, np.int64),
            "rank": np.repeat(np.arange(count, dtype=np.int8), self._shard.runs),
        }
        for name in CURVES:
            ranked = representatives(self._by_run(values[name]), count)
            joined = ranked.reshape(-1, *ranked.shape[2:]).astype(np.float32)
            columns |= {flat: joined[place] for flat, place in self._flat(name)}
        return _table(columns)

    def _full_rows(self, step: int, values: Mapping[str, Array]) -> pa.Table:
        columns: dict[str, object] = {
            "run": np.repeat(self._runs, self._agents),
            "step": np.full(self.program.agents, step, np.int64),
            "agent": self.program.agent_ids.rows.astype(np.int64),
        }
        for name in VARIABLES:
            columns |= {flat: values[name][place] for flat, place in self._flat(name)}
        return _table(columns)

    def _sound(self) -> NDArray[np.bool_]:
        """Return which runs have not failed [R]."""
        return np.array([error is None for error in self._error], dtype=np.bool_)

    def _band(self, values: Array) -> tuple[Array, Array, Array]:
        if self._agents == 1:
            return values, values, values
        low, median, high = quantiles(self._by_run(values), BAND)
        return low, median, high

    def _by_run(self, values: Array) -> Array:
        return values.reshape(self._shard.runs, self._agents, *values.shape[1:])

    def _flat(self, name: str) -> Iterator[tuple[str, Any]]:
        """Yield the flat names of a variable, and where each stands after the first axis."""
        for flat, place in flat_names(name, self.program):
            yield flat, (slice(None), *place)


def summary_variables(part: Part, program: Program) -> tuple[str, ...]:
    """Return the variables of the summary of a part's runs, some of which make a program."""
    keys = (full_key(key) for key in part.design.keys)
    has_propensities = program.layout.with_propensity or any("propensity" in key for key in keys)
    return tuple(name for name in SUMMARY if has_propensities or name != "propensity")


def flat_names(name: str, program: Program) -> list[tuple[str, tuple[int, ...]]]:
    """Return the flat names of a variable's numbers, and the place of each in an agent's array."""
    dims = ("context",) if name in _WATCHED else VARIABLES[name].dims[2:]
    if dims == ("context", "response"):
        return [
            (f"{name}.{context}.{response}", (c, k))
            for c, context in enumerate(program.layout.contexts)
            for k, response in enumerate(program.layout.responses[c])
        ]
    names = program.layout.dimensions
    numbered: Iterable[tuple[tuple[int, str], ...]] = product(*(enumerate(names[d]) for d in dims))
    return [
        (".".join((name, *(part for _, part in parts))), tuple(i for i, _ in parts))
        for parts in numbered
    ]


def thinned(steps: Sequence[int]) -> list[int]:
    """Return at most 101 of the recorded steps, evenly spread, with the first and the last."""
    if len(steps) <= MOST_CURVE_STEPS:
        return list(steps)
    places = np.linspace(0, len(steps) - 1, MOST_CURVE_STEPS).round().astype(int)
    return [steps[place] for place in places]


def _table(columns: Mapping[str, object]) -> pa.Table:
    """Return columns as a table in which what is not defined is null."""
    table = {}
    for name, column in columns.items():
        array = np.asarray(column)
        undefined = np.isnan(array) if array.dtype.kind == "f" else None
        table[name] = pa.array(array, mask=undefined if np.any(undefined) else None)
    return pa.table(table)
