"""What a sweep keeps of its runs, as tables with flat names (`gaming_rate.coding`, `reach`, ...).

summary
    A row for each run: `run`, `error`, and every measure at the end of training, the median over
    the run's agents, with `.low` and `.high`, the 10th and 90th percentile, where there are more
    agents than one. `onset.CONTEXT` is the median onset over the agents in which gaming set in,
    `onset_share.CONTEXT` their share; `gaming_rate_least.CONTEXT` and `gaming_rate_most.CONTEXT`
    are the least and the greatest gaming rate over the last 20 records.
curves
    A row for each run, step and representative agent: `run`, `step`, `rank`, and what an emergence
    curve is drawn of. At most 9 representatives stand for a run's agents (`sim.dynamics.measures`)
    and at most 101 steps for its records.
full
    A row for each run, step and agent, and every variable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from sim.specs.agent import CAPABILITIES
from sim.sweeps.plan import Shard

#: Drawn as curves: the measures, the values, and what the incentive comes from.
CURVES = (
    "gaming_rate",
    "stake",
    "values",
    "awareness_logit",
    "reach",
    "reach_weighted",
    "consistency",
    "compliance_gap",
    "behaviour_shift",
    "opacity_share",
    "value_drift",
    "value_cosine",
    "alignment",
)
#: Not in a summary: several numbers for each response, or for each value in each context ...
_MANY = {"policy", "value_policy", "gaming_policy", "incentive_by_value"}
#: ... and what a function of one number of the summary gives, or selection alone changes.
_DERIVED = {"belief", "horizon", "competence", "capabilities", "ancestor"}
SUMMARY = tuple(name for name in VARIABLES if name not in _MANY | _DERIVED)
#: Not of one moment: what is found while a run goes on.
_WATCHED = {"onset", "onset_share", "gaming_rate_least", "gaming_rate_most"}
#: Of a run's agents: the band around the median.
BAND = (0.1, 0.5, 0.9)
MOST_REPRESENTATIVES = 9
MOST_CURVE_STEPS = 101

#: Told how many agent-steps were done since it was last told; it may raise to break off.
Told = Callable[[int], None]


def compute(shard: Shard, *, told: Told | None = None) -> dict[str, pa.Table]:
    """Run a shard and return its tables, by name.

    A run whose parameters grow out of all bounds has a row with its error, and no curve.
    """
    with np.errstate(all="ignore"):
        tally = ShardRecorder(shard)
        engine = get_engine(shard.engine, precision=shard.precision, threads=1)
        for record in records(
            engine,
            tally.program,
            tally.steps,
            names=tally.names,
            bounded=False,
            runs=shard.runs,
            progress=told,
        ):
            tally.see(record)
        return tally.tables()


class ShardRecorder:
    """Takes in the records of a shard, one by one, and keeps what the tables need."""

    def __init__(self, shard: Shard) -> None:
        every, last = shard.part.record_every, shard.part.specs.training.steps
        self.program = shard.program()
        self.steps = [*range(0, last, every), last]
        self._shard = shard
        self._agents = shard.part.agents
        self._runs = shard.first + np.arange(shard.runs)
        self._error = np.full(shard.runs, None, dtype=object)
        contexts = len(self.program.layout.contexts)
        self._onset = OnsetWatch((self.program.agents, contexts))
        self._end = EndWatch(self.steps)
        self._in_curves = set(thinned(self.steps)) if shard.record != "summary" else set()
        self._curves: list[pa.Table] = []
        self._full: list[pa.Table] = []
        self._summary: pa.Table | None = None

    def names(self, step: int) -> tuple[str, ...]:
        """Return the variables that the tables need of a step."""
        if self._shard.record == "full":
            return tuple(VARIABLES)
        curves = CURVES if step in self._in_curves else ()
        summary = SUMMARY if step == self.steps[-1] else ()
        return tuple(dict.fromkeys(("gaming_rate", *curves, *summary)))

    def see(self, record: Snapshot) -> None:
        """Take in a record."""
        self._check_bounds(record)
        self._onset.see(record.step, record.observed["gaming_rate"])
        self._end.see(record.step, record.observed["gaming_rate"])
        if record.step in self._in_curves:
            self._curves.append(self._curve_rows(record.step, record.observed))
        if self._shard.record == "full":
            self._full.append(self._full_rows(record.step, record.observed))
        if record.step == self.steps[-1]:
            self._summary = self._summary_rows(record.observed)

    def tables(self) -> dict[str, pa.Table]:
        """Return the tables; a run that failed has a row in the first, and none in the others."""
        assert self._summary is not None
        error = pa.array(self._error.tolist(), pa.string())
        found = {"summary": self._summary.add_column(1, "error", error)}
        sound = self._sound()
        for name, parts in (("curves", self._curves), ("full", self._full)):
            if parts:
                rows = pa.concat_tables(parts)
                keep: NDArray[np.bool_] = sound[rows["run"].to_numpy() - self._shard.first]
                found[name] = rows if keep.all() else rows.filter(pa.array(keep))
        return found

    def _check_bounds(self, record: Snapshot) -> None:
        bad = out_of_bounds(record.program.layout, record.theta)
        if bad.any():
            rows = np.asarray(bad.reshape(len(bad), self._shard.runs, -1).any(axis=2))
            for run in np.flatnonzero(rows.any(axis=0)):
                if self._error[run] is None:
                    row = int(np.argmax(rows[:, run]))
                    self._error[run] = divergence(record.program.layout, row, record.step)

    def _summary_rows(self, seen: Mapping[str, Array]) -> pa.Table:
        columns: dict[str, object] = {"run": self._runs}
        sound = self._sound()
        named = [(name, seen[name]) for name in SUMMARY]
        watched = {
            "gaming_rate_least": self._end.minimum,
            "gaming_rate_most": self._end.maximum,
            "onset": self._onset.onset,
        }
        for name, values in [*named, *watched.items()]:
            low, median, high = self._band(np.where(self._of_agents(sound, values), values, np.nan))
            for flat, place in self._flat(name):
                columns[flat] = median[place]
                if self._agents > 1:
                    columns[f"{flat}.low"], columns[f"{flat}.high"] = low[place], high[place]
        set_in = self._by_run(np.isfinite(self._onset.onset)).mean(axis=1)
        for flat, place in self._flat("onset_share"):
            columns[flat] = np.where(sound, set_in[place], np.nan)
        return pa.table({name: _nan_is_null(column) for name, column in columns.items()})

    def _curve_rows(self, step: int, seen: Mapping[str, Array]) -> pa.Table:
        count = min(self._agents, MOST_REPRESENTATIVES)
        columns: dict[str, object] = {
            "run": np.tile(self._runs, count),
            "step": np.full(self._shard.runs * count, step, np.int64),
            "rank": np.repeat(np.arange(count, dtype=np.int8), self._shard.runs),
        }
        for name in CURVES:
            values = representatives(self._by_run(seen[name]), count)
            joined = values.reshape(-1, *values.shape[2:]).astype(np.float32)
            for flat, place in self._flat(name):
                columns[flat] = joined[place]
        return pa.table({name: _nan_is_null(column) for name, column in columns.items()})

    def _full_rows(self, step: int, seen: Mapping[str, Array]) -> pa.Table:
        columns: dict[str, object] = {
            "run": np.repeat(self._runs, self._agents),
            "step": np.full(self.program.agents, step, np.int64),
            "agent": self.program.agent_ids.rows.astype(np.int64),
        }
        for name in VARIABLES:
            for flat, place in self._flat(name):
                columns[flat] = seen[name][place]
        return pa.table({name: _nan_is_null(column) for name, column in columns.items()})

    def _sound(self) -> NDArray[np.bool_]:
        """Which runs have not failed [R]."""
        return np.array([error is None for error in self._error], dtype=np.bool_)

    def _band(self, values: Array) -> tuple[Array, Array, Array]:
        if self._agents == 1:
            return values, values, values
        low, median, high = quantiles(self._by_run(values), BAND)
        return low, median, high

    def _by_run(self, values: Array) -> Array:
        return values.reshape(self._shard.runs, self._agents, *values.shape[1:])

    def _of_agents(self, sound: NDArray[np.bool_], values: Array) -> NDArray[np.bool_]:
        """Whether each agent's run is sound, of a shape that broadcasts with the values."""
        spread: NDArray[np.bool_] = np.repeat(sound, self._agents)
        return spread.reshape(-1, *[1] * (values.ndim - 1))

    def _flat(self, name: str) -> Iterator[tuple[str, Any]]:
        """Yield the flat names of a variable, and where each stands after the first axis."""
        for flat, place in flat_names(name, self.program):
            yield flat, (slice(None), *place)


def flat_names(name: str, program: Program) -> list[tuple[str, tuple[int, ...]]]:
    """Return the flat names of a variable's numbers, and the place of each in an agent's array."""
    dims = ("context",) if name in _WATCHED else VARIABLES[name].dims[2:]
    known: dict[str, Sequence[str]] = {
        "context": program.layout.contexts,
        "value": program.layout.values,
        "capability": CAPABILITIES,
    }
    if dims == ("context", "response"):
        return [
            (f"{name}.{context}.{response}", (c, k))
            for c, context in enumerate(program.layout.contexts)
            for k, response in enumerate(program.responses[c])
        ]
    numbered: Iterable[tuple[tuple[int, str], ...]] = product(*(enumerate(known[d]) for d in dims))
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


def _nan_is_null(column: object) -> pa.Array:
    """Return a column in which what is not defined is null."""
    array = np.asarray(column)
    if array.dtype.kind != "f":
        return pa.array(array)
    undefined = np.isnan(array)
    return pa.array(array, mask=undefined if undefined.any() else None)
