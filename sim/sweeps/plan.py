"""The plan of a sweep: every run, checked, in an order that stays, cut into shards.

Runs that differ only in numbers make a *part*: one set of specs, a design, and seeds. What is no
number of the arrays (a scenario, an update rule, how many steps) makes a part of its own for each
choice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from math import ceil
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from sim.dynamics.compile import compile_program
from sim.dynamics.engines.equations import STANDARD, Equations, read_equations
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.observe import Recorder
from sim.dynamics.program import Program
from sim.result import versions
from sim.simulation import MOST_AGENTS, MOST_SEED, check_size, record_bytes, run_bytes
from sim.specs.agent import TRAITS
from sim.specs.errors import SpecError, check_whole, nearest
from sim.specs.keys import full_key
from sim.specs.overrides import Specs, apply_overrides
from sim.specs.scenario import Scenario
from sim.sweeps.design import (
    MOST_PARTS,
    Design,
    Index,
    Numbers,
    Table,
    check_distinct,
    check_runs,
)

Record = Literal["summary", "curves", "full"]

#: The source that the results of a sweep depend on, in the package.
SOURCE = (
    *("dynamics/**/*.py", "specs/**/*.py"),
    *(f"sweeps/{name}.py" for name in ("design", "plan", "prior_sample", "record")),
)

#: Version of what is stored; raised when older results would be misread or would differ.
FORMAT = 5

#: A shard has about so many agent-steps: a second or some, which is what Ctrl-C can cost ...
AGENT_STEPS = 2**24
#: ... from so few agents, below which the engines lose their speed ...
MINIMUM_AGENTS = 512
#: ... to so many, so that what is held in memory stays small.
MAXIMUM_AGENTS = 8192
#: Of `record=full`, a shard holds about so many records of an agent.
MAXIMUM_RECORDS = 2**16


@dataclass(frozen=True)
class Part:
    """Runs that differ in numbers only; run r has point r // seeds and seed r % seeds.

    They share specs; the design has the numbers in which they differ, `choices` the levels, by key,
    in which they differ from other parts.
    """

    specs: Specs
    design: Design
    seeds: tuple[int, ...]
    agents: int = 1
    record_every: int = 10
    choices: Mapping[str, Any] = field(default_factory=dict)

    @property
    def runs(self) -> int:
        """The number of runs."""
        return len(self.design) * len(self.seeds)

    def points(self, rows: Index) -> dict[str, Numbers]:
        """Return the numbers of some runs by key, as it was given, each [rows]."""
        return self.design.at(rows // len(self.seeds))

    def columns(self, rows: Index) -> dict[str, Numbers]:
        """Return the numbers of some runs by full key, each [rows]."""
        return {full_key(key): column for key, column in self.points(rows).items()}

    def seeds_of(self, rows: Index) -> NDArray[np.uint64]:
        """Return the seeds of some runs [rows]."""
        return self._seeds[rows % len(self.seeds)]

    @cached_property
    def _seeds(self) -> NDArray[np.uint64]:
        return np.array(self.seeds, np.uint64)

    @cached_property
    def agent_record_bytes(self) -> int:
        """The memory of one record of one agent."""
        return record_bytes(self.specs, agents=1)

    @cached_property
    def description(self) -> dict[str, Any]:
        """The part as plain data, without its design."""
        return {
            "chosen": dict(self.choices),
            **self.specs.plain(),
            "agents": self.agents,
            "record_every": self.record_every,
            "keys": [full_key(key) for key in self.design.keys],
        }


@dataclass(frozen=True)
class Shard:
    """Some runs of a part, computed together and stored together.

    Its name is its number in the sweep, and the hash of all that its results depend on; `first` and
    `start` are the numbers of its first run in the sweep and in the part.
    """

    name: str
    part: Part
    first: int
    start: int
    runs: int
    record: Record
    engine: str
    precision: str
    equations: Equations = STANDARD

    @property
    def rows(self) -> Index:
        """Its runs, as numbers in the part."""
        return np.arange(self.start, self.start + self.runs)

    @property
    def agent_steps(self) -> int:
        """The amount of work."""
        return self.runs * self.part.agents * self.part.specs.training.steps

    @property
    def memory(self) -> float:
        """Its greatest size in bytes, while it is computed."""
        part, records = self.part, 2
        if self.record == "full":
            records = 1 + ceil(part.specs.training.steps / part.record_every)
        return run_bytes(part.agent_record_bytes * self.runs * part.agents, records)

    def program(self) -> Program:
        """Compile its runs into one program."""
        return replace(compile_rows(self.part, self.rows), equations=self.equations)

    def by_itself(self) -> Shard:
        """Return the shard with its own points as design, to be sent away."""
        replicates = len(self.part.seeds)
        first, start = divmod(self.start, replicates)
        last = (self.start + self.runs - 1) // replicates
        points = Table(self.part.design.at(np.arange(first, last + 1)))
        return replace(self, part=replace(self.part, design=points), start=start)


@dataclass(frozen=True)
class Plan:
    """All runs of a sweep, part by part; record, engine and precision as for `sweep`."""

    parts: tuple[Part, ...]
    record: Record
    engine: str
    precision: str
    equations: Equations = STANDARD

    @property
    def runs(self) -> int:
        """The number of runs."""
        return sum(part.runs for part in self.parts)

    @property
    def agent_steps(self) -> int:
        """The amount of work."""
        return sum(p.runs * p.agents * p.specs.training.steps for p in self.parts)

    @cached_property
    def id(self) -> str:
        """A hash of everything that the results depend on."""
        return _digest([shard.name for shard in self.shards])

    @cached_property
    def shards(self) -> tuple[Shard, ...]:
        """The runs, cut into shards; the same plan is always cut alike."""
        return tuple(self._cut())

    def _cut(self) -> Iterator[Shard]:
        first = number = 0
        common = {
            "format": FORMAT,
            "record": self.record,
            "engine": self.engine,
            "precision": self.precision,
            "version": versions()["training-gaming-sim"],
            "code": code_digest(),
            **self.equations.describe(),
        }
        for part in self.parts:
            size = shard_runs(part, self.record)
            described = _json({**common, **part.description})
            for start in range(0, part.runs, size):
                rows = np.arange(start, min(start + size, part.runs))
                arrays = [part.seeds_of(rows), *part.columns(rows).values()]
                digest = _digest(described, first, *(array.tobytes() for array in arrays))
                name = f"{number:06d}-{digest}"
                made_by = (self.engine, self.precision, self.equations)
                yield Shard(name, part, first, start, len(rows), self.record, *made_by)
                first, number = first + len(rows), number + 1


def make_plan(
    parts: Sequence[Part],
    *,
    record: str = "summary",
    engine: str = "auto",
    precision: str = "float64",
    cognition: object = None,
) -> Plan:
    """Return the plan of some parts, checked before anything is computed (SpecError)."""
    if not parts:
        raise SpecError("axes: there is nothing to run")
    tables = read_record(record)
    computing = get_engine(engine, precision=precision)
    for estimator in {part.specs.training.estimator for part in parts}:
        computing.check_estimator(estimator)
    check_runs("axes", len(parts), maximum=MOST_PARTS)
    check_runs("axes", sum(part.runs for part in parts))
    for part in parts:
        check_part(part, tables)
    _check_names([part.specs.scenario for part in parts])
    equations = read_equations(cognition, engine=computing.name)
    for part in parts if any(equations) else ():
        program = replace(compile_rows(part, np.arange(1)), equations=equations)
        Recorder()(program, 0, program.theta, ("decision",))  # refuses results of a wrong shape
    return Plan(tuple(parts), tables, computing.name, computing.precision, equations)


def _check_names(scenarios: Iterable[Scenario]) -> None:
    """Refuse names that differ in case only: SQL would take their columns for one (SpecError)."""
    spelled: dict[tuple[str, str], str] = {}
    for scenario in {id(scenario): scenario for scenario in scenarios}.values():
        contexts = scenario.contexts
        groups: list[tuple[str, Collection[str]]] = [
            ("contexts", contexts),
            ("values", scenario.values),
        ]
        groups += [(f"contexts.{c}.responses", contexts[c].responses) for c in contexts]
        for place, names in groups:
            for name in names:
                spelling = spelled.setdefault((place, name.lower()), name)
                if spelling != name:
                    raise SpecError(
                        f"scenario.{place}: got {name!r} and {spelling!r}: must differ in "
                        "more than case within a sweep, whose columns are named after them"
                    )


def read_record(record: object) -> Record:
    """Return which tables a sweep is to store, or refuse what is none of the three choices."""
    if record not in get_args(Record):
        raise SpecError(f"record: got {record!r}: {nearest(str(record), get_args(Record))}")
    return cast(Record, record)


def check_part(part: Part, record: Record = "summary") -> None:
    """Refuse a part with a run that would be refused by itself (SpecError).

    Ranges of numbers have no holes, so of many numbers the least and the greatest are tried, each
    in a run that has it. What hangs on several numbers is looked at in all runs.
    """
    check_whole("agents", part.agents, minimum=1, maximum=MOST_AGENTS)
    check_whole("record_every", part.record_every, minimum=1)
    # A run holds what is kept of it, or two moments.
    every = part.record_every if record == "full" else part.specs.training.steps
    check_size(part.specs, agents=part.agents, record_every=every)
    if not part.seeds:
        raise SpecError("seed: at least one is needed")
    for seed in part.seeds:
        check_whole("seed", seed, minimum=0, maximum=MOST_SEED)
    check_distinct("seed", part.seeds)
    keys = part.design.keys
    for row in np.unique([row for key in keys for row in part.design.extremes(key)]):
        point = part.design.at(np.array([row]))
        apply_overrides(part.specs, {key: float(number[0]) for key, number in point.items()})
    compile_rows(part, np.arange(min(len(part.seeds), 2))).warn_if_alike()
    zeros = any(".weight" in key or ".human_values" in key for key in keys)
    if zeros or (keys and part.specs.interventions):
        _check_together(part)


def compile_rows(part: Part, rows: Index) -> Program:
    """Compile some runs of a part into one program."""
    return compile_program(
        part.specs.scenario,
        agent=part.specs.agent,
        training=part.specs.training,
        agents=part.agents,
        seed=part.seeds_of(rows),
        columns=part.columns(rows),
        interventions=part.specs.interventions,
    )


def shard_runs(part: Part, record: Record) -> int:
    """Return how many runs of a part make a shard: of agents, at first, a power of 2."""
    fitting = max(AGENT_STEPS // part.specs.training.steps, 1)
    agents = min(max(1 << (fitting.bit_length() - 1), MINIMUM_AGENTS), MAXIMUM_AGENTS)
    if record == "full":
        records = 1 + part.specs.training.steps // part.record_every
        agents = max(1, min(agents, MAXIMUM_RECORDS // records))
    return max(1, agents // part.agents)


def of_one_agent(specs: Specs) -> Specs:
    """Return specs for a run of one agent: of traits that are given for each, the first."""
    traits = {name: getattr(specs.agent, name) for name in TRAITS}
    first = {name: trait[0] for name, trait in traits.items() if isinstance(trait, tuple) and trait}
    return specs._replace(agent=specs.agent.replace(**first)) if first else specs


def _check_together(part: Part) -> None:
    """Refuse a design in which some run trains on nothing, or has no human values.

    And one in which interventions together make a number what it must not be.
    """
    alone = replace(part, specs=of_one_agent(part.specs), agents=1, seeds=part.seeds[:1])
    for start in range(0, alone.runs, MAXIMUM_AGENTS):
        rows = np.arange(start, min(start + MAXIMUM_AGENTS, alone.runs))
        with np.errstate(invalid="ignore"):
            program = compile_rows(alone, rows)
        if part.specs.scenario.human_values:
            zero = (program.human_values == 0.0).all(axis=0)
            _refuse_first(alone, rows, zero, "scenario.human_values are all 0: no direction")
        for segment in program.segments:
            untrained = np.array(np.isnan(segment.world.weight).any(axis=0))
            _refuse_first(alone, rows, untrained, "nothing is trained on: all weights are 0")


def _refuse_first(part: Part, rows: Index, bad: NDArray[np.bool_], reason: str) -> None:
    if bad.any():
        point = part.points(rows[np.flatnonzero(bad)[:1]])
        numbers = ", ".join(f"{key}={column[0]:g}" for key, column in point.items())
        raise SpecError(f"axes: at {numbers} {reason}")


@cache
def code_digest() -> str:
    """Return a hash of the source that results depend on, whatever its ends of lines."""
    package = Path(__file__).parents[1]
    paths = sorted(path for pattern in SOURCE for path in package.glob(pattern))
    texts = {path.relative_to(package).as_posix(): path.read_text("utf-8") for path in paths}
    return _digest(texts)


def _json(data: object) -> bytes:
    return json.dumps(data, sort_keys=True).encode()


def _digest(*parts: object) -> str:
    total = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else _json(part)
        total.update(len(content).to_bytes(8, "big") + content)
    return total.hexdigest()[:16]
