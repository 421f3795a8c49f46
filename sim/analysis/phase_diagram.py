"""Phase diagrams: which regime a run ends in, by two of its numbers (MODEL.md section 5).

Every point of the map stands for several runs that differ in their seed. Its regime is the most
frequent one of theirs (`sim.analysis.regimes`). Boundaries between regimes are found by refinement
(`sim.analysis.refinement`), so that few runs do for a map of many points.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sim.analysis.refinement import STRIDE, Labels, Mask, refine
from sim.analysis.regimes import REGIMES, Rules, check_as_recorded, sweep_regimes
from sim.dynamics.program import Program
from sim.dynamics.state import Array
from sim.result import describe_run
from sim.specs.agent import Agent
from sim.specs.errors import SpecError, check_whole, nearest
from sim.specs.keys import full_key, is_vectorisable
from sim.specs.overrides import Specs, apply_overrides, read_specs
from sim.specs.scenario import Scenario
from sim.specs.training import Training
from sim.sweeps.design import Range, Zip
from sim.sweeps.executors import Executor
from sim.sweeps.plan import Part, Plan, compile_rows, make_plan
from sim.sweeps.record import SUMMARY, flat_names
from sim.sweeps.result import Sweep
from sim.sweeps.sweep import sweep, with_first_point
from sim.utils.progress import Progress

#: Where every run failed, there is no regime.
FAILED = "failed"
_NO_REGIME = -1
#: A run has about so many records, whatever its length. The regime looks at the last 20 of them,
#: so at the last fifth of training: late enough for a beginning to be over, and long enough to see
#: whether something moves.
RECORDS = 100
#: An axis has at most so many points.
MOST_POINTS = 2000
#: What refinement is taken to need of the full grid, until it is known.
_EXPECTED = 0.1

Scale = Literal["linear", "log"]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """An axis of the map.

    Attributes:
        key: The number that it moves, as a dotted key (`agent.initial.awareness`).
        low: Its lower end.
        high: Its upper end.
        points: How many points it has, both ends among them.
        scale: Whether the number or its logarithm is spread evenly.
    """

    key: str
    low: float
    high: float
    points: int = 100
    scale: Scale = "linear"

    def __post_init__(self) -> None:
        """Refuse what is no axis."""
        if not isinstance(self.key, str):
            raise SpecError(f"key: got {self.key!r}: must be a key (agent.initial.awareness)")
        if self.scale not in get_args(Scale):
            hint = nearest(str(self.scale), get_args(Scale))
            raise SpecError(f"scale of {self.key}: got {self.scale!r}: {hint}")
        Range.read((self.low, self.high, self.scale), self.key)
        check_whole(f"points of {self.key}", self.points, minimum=2, maximum=MOST_POINTS)

    @classmethod
    def read(cls, given: object, name: str) -> Axis:
        """Return an axis from plain data.

        Args:
            given: A mapping with the attributes of an axis; or an axis.
            name: What to call it in errors.

        Raises:
            SpecError: It is none.
        """
        if isinstance(given, Axis):
            return given
        if not isinstance(given, Mapping):
            raise SpecError(f"{name}: got {given!r}: must be an axis, with a key, low and high")
        known = [field.name for field in fields(cls)]
        for key in given:
            if key not in known:
                raise SpecError(f"{name}.{key}: unknown key; {nearest(str(key), known)}")
        for key in ("key", "low", "high"):
            if given.get(key) is None:
                raise SpecError(f"{name}.{key}: is missing")
        return cls(**{str(key): value for key, value in given.items()})

    @cached_property
    def numbers(self) -> Array:
        """What the number is at each point [points]."""
        shares = np.linspace(0.0, 1.0, int(self.points))
        numbers = Range(self.low, self.high, self.scale).stretch(shares)
        numbers[[0, -1]] = self.low, self.high  # a logarithm and back may miss them by a bit
        return numbers


@dataclass(frozen=True, kw_only=True)
class PhaseDiagram:
    """A map of regimes. Rows are points of the y axis, columns points of the x axis.

    Attributes:
        x: The axis across.
        y: The axis upwards.
        contour: The column of the summary that `number` holds.
        regime: An index of `sim.analysis.regimes.REGIMES` [ny, nx]; -1 where every run failed.
        agreement: The share of the runs that ended in that regime, of those that did not fail
            [ny, nx].
        settled: The share of them in which no training context was still moving [ny, nx].
        failed: The share of all runs that failed [ny, nx].
        number: The mean of the contour's column over seeds [ny, nx]; nan where it is not defined.
        evaluated: Where runs were made [ny, nx]; elsewhere, numbers are linear in between.
        seeds: Runs at each point.
        levels: How many runs each round of refinement asked for.
        resumed: How many of the runs were there already.
        provenance: Specs, axes, engine, versions: enough to make the map again.
    """

    x: Axis
    y: Axis
    contour: str
    regime: Labels
    agreement: Array
    settled: Array
    failed: Array
    number: Array
    evaluated: Mask
    seeds: int
    levels: tuple[int, ...]
    resumed: int
    provenance: dict[str, Any]

    @property
    def runs(self) -> int:
        """How many runs the map is made of."""
        return sum(self.levels)

    @property
    def full_runs(self) -> int:
        """How many runs the full grid has."""
        return int(self.regime.size) * self.seeds

    @property
    def saved(self) -> int:
        """How many runs of the full grid were not needed."""
        return self.full_runs - self.runs

    @property
    def shares(self) -> dict[str, float]:
        """The share of the map in each regime, and in none as every run failed."""
        found = {name: float((self.regime == code).mean()) for code, name in enumerate(REGIMES)}
        return {**found, FAILED: float((self.regime == _NO_REGIME).mean())}

    def to_xarray(self) -> xr.Dataset:
        """Return the map with its axes as dimensions, named by their keys; regimes are words."""
        dims = (self.y.key, self.x.key)
        words = np.array([*REGIMES, FAILED])
        return xr.Dataset(
            {
                "regime": (dims, words[self.regime]),  # -1 is the last
                "agreement": (dims, self.agreement),
                "settled": (dims, self.settled),
                FAILED: (dims, self.failed),
                self.contour: (dims, self.number),
                "evaluated": (dims, self.evaluated),
            },
            coords={self.y.key: self.y.numbers, self.x.key: self.x.numbers},
            attrs={
                "runs": self.runs,
                "full_runs": self.full_runs,
                "provenance": json.dumps(self.provenance),
            },
        )


@dataclass(frozen=True, kw_only=True)
class Survey:
    """A phase diagram that has been checked, and not yet computed.

    Attributes:
        specs: Scenario, agent and training.
        x, y: The axes.
        seeds: Runs at each point.
        contour: A column of the summary.
        rules: Of the regimes.
        stride: Steps between the lines of the coarse lattice; 1 for the full grid.
        plan: Of the runs in the corners of the map, as it was checked.
    """

    specs: Specs
    x: Axis
    y: Axis
    seeds: int
    contour: str
    rules: Rules
    stride: int
    plan: Plan

    @property
    def name(self) -> str:
        """The scenario's name."""
        return str(self.specs.scenario.name)

    @property
    def engine(self) -> str:
        """What computes it."""
        return self.plan.engine

    @property
    def record_every(self) -> int:
        """Steps from one record to the next."""
        return self.plan.parts[0].record_every

    @property
    def described(self) -> dict[str, Any]:
        """All that the regimes depend on, as plain data."""
        scenario, agent, training, _ = self.specs
        return {
            "scenario": scenario.model_dump(mode="json", exclude={"agent"}),
            "agent": agent.model_dump(mode="json"),
            "training": training.model_dump(mode="json"),
            "x": asdict(self.x),
            "y": asdict(self.y),
            "seeds": self.seeds,
            "rules": asdict(self.rules),
            "stride": self.stride,
            "record_every": self.record_every,
            "engine": self.engine,
        }

    @property
    def id(self) -> str:
        """A hash of what the runs depend on: of all but the contour, which is read from them."""
        text = json.dumps([self.plan.id, self.described], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def program(self) -> Program:
        """Compile a run in a corner of the map."""
        return compile_rows(self.plan.parts[0], np.zeros(1, np.intp))

    def execute(
        self,
        *,
        store: str | Path | None = None,
        executor: Executor | None = None,
        progress: Progress | None = None,
    ) -> PhaseDiagram:
        """Compute it; arguments and errors as `phase_diagram`."""
        told = _Told(progress, self.x.points * self.y.points * self.seeds, self.stride)
        resumed = 0

        def evaluate(points: Labels) -> tuple[Labels, Array]:
            nonlocal resumed
            level = told.levels
            found = sweep(
                self.specs.scenario,
                agent=self.specs.agent,
                training=self.specs.training,
                design=_zipped(self.x, self.y, points),
                seeds=self.seeds,
                record_every=self.record_every,
                record="summary",
                engine=self.engine,
                store=None if store is None else f"{store}/level-{level:02d}",
                executor=executor,
                progress=told.begin(len(points) * self.seeds),
            )
            resumed += found.resumed
            return self._at_points(found, len(points))

        ny, nx = int(self.y.points), int(self.x.points)
        found = refine((ny, nx), evaluate, stride=self.stride)
        told.end()
        agreement, settled, failed, number = np.moveaxis(found.values, -1, 0)
        return PhaseDiagram(
            x=self.x,
            y=self.y,
            contour=self.contour,
            regime=found.labels,
            agreement=agreement,
            settled=settled,
            failed=failed,
            number=number,
            evaluated=found.evaluated,
            seeds=self.seeds,
            levels=tuple(points * self.seeds for points in found.rounds),
            resumed=resumed,
            provenance=describe_run(**self.described, contour=self.contour),
        )

    def _at_points(self, sweep: Sweep, points: int) -> tuple[Labels, Array]:
        """Return the regime at each point, and agreement, settled, failed and the contour's mean.

        Where regimes are equally frequent, it is the one with more gaming: the map rather shows
        gaming that half of the seeds do not have than hides what half of them have.
        """
        judged = sweep_regimes(sweep, rules=self.rules)
        at: NDArray[np.intp] = judged["run"].to_numpy() // self.seeds
        counts = np.zeros((points, len(REGIMES)))
        np.add.at(counts, (at, judged["regime"].cat.codes.to_numpy()), 1.0)
        ended = counts.sum(axis=1)
        settled = np.bincount(at, weights=judged["settled"].to_numpy(np.float64), minlength=points)
        regime = len(REGIMES) - 1 - counts[:, ::-1].argmax(axis=1)
        regime[ended == 0.0] = _NO_REGIME
        numbers = sweep.frame.groupby(sweep.frame["run"] // self.seeds)[self.contour].mean()
        with np.errstate(invalid="ignore"):  # of no runs there are no shares
            values = [
                counts.max(axis=1) / ended,
                settled / ended,
                1.0 - ended / self.seeds,
                numbers.to_numpy(np.float64),
            ]
        return regime, np.stack(values, axis=-1)


def phase_diagram(
    scenario: Scenario | str | Mapping[str, object],
    *,
    x: Axis | Mapping[str, object],
    y: Axis | Mapping[str, object],
    seeds: int = 8,
    agent: Agent | Mapping[str, object] | None = None,
    training: Training | Mapping[str, object] | None = None,
    contour: str = "reach",
    rules: Rules | None = None,
    refine: bool = True,
    stride: int = STRIDE,
    engine: str = "auto",
    store: str | Path | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> PhaseDiagram:
    """Find the regimes of runs over two of their numbers.

    Args:
        scenario: As for `sweep`.
        x: The axis across.
        y: The axis upwards; another number.
        seeds: Runs at each point (seeds 0, 1, ...). Unless training is sampled, they differ in as
            far as agents do (`agent.spread`).
        agent: What is particular about the agents.
        training: How they are trained.
        contour: A number that the map has besides: a column of a sweep's summary (`reach`,
            `alignment`, `values.NAME`, `gaming_rate.CONTEXT`).
        rules: Thresholds of the regimes; their onset and windows must be those of sweeps.
        refine: Whether to make runs only where regimes change; otherwise, at every point.
        stride: Steps between the lines of the coarse lattice from which refinement starts: what is
            smaller can be missed.
        engine: What computes it.
        store: A directory, or a URL of fsspec, in which a sweep is kept for each round of
            refinement; what is there already is not computed again.
        executor: Who computes; threads of this process if None.
        progress: Told the share that is done; an estimate, as long as there may be more to refine.

    Returns:
        The map.

    Raises:
        SpecError: The input cannot be used; one line says why.
    """
    specs = read_specs(scenario, agent=agent, training=training)
    survey = prepare(
        specs,
        x=x,
        y=y,
        seeds=seeds,
        contour=contour,
        rules=rules,
        refine=refine,
        stride=stride,
        engine=engine,
    )
    return survey.execute(store=store, executor=executor, progress=progress)


def prepare(
    specs: Specs,
    *,
    x: Axis | Mapping[str, object],
    y: Axis | Mapping[str, object],
    seeds: int = 8,
    contour: str = "reach",
    rules: Rules | None = None,
    refine: bool = True,
    stride: int = STRIDE,
    engine: str = "auto",
) -> Survey:
    """Check everything that can be checked before anything is computed; as `phase_diagram`."""
    across, upwards = Axis.read(x, "x"), Axis.read(y, "y")
    rules = rules or Rules()
    if full_key(across.key) == full_key(upwards.key):
        raise SpecError(f"y.key: got {upwards.key!r}: must be another number than that of x")
    check_whole("seeds", seeds, minimum=1)
    check_whole("stride", stride, minimum=1)
    if not isinstance(refine, bool):
        raise SpecError(f"refine: got {refine!r}: must be true or false")
    check_as_recorded(rules)
    for name, axis in (("x", across), ("y", upwards)):
        # A whole number stays one, so that how many steps there are is refused for what it is.
        low = int(axis.low) if float(axis.low).is_integer() else float(axis.low)
        apply_overrides(specs, {axis.key: low})
        if not is_vectorisable(axis.key):
            raise SpecError(
                f"{name}.key: got {axis.key!r}: must be a number in which runs of one program can "
                "differ; this one changes how many steps or arrays there are"
            )
    ny, nx = int(upwards.points), int(across.points)
    corners = np.array([(row, column) for row in (0, ny - 1) for column in (0, nx - 1)])
    design = _zipped(across, upwards, corners)
    part = Part(
        specs=with_first_point(specs, design),
        design=design,
        seeds=tuple(range(int(seeds))),
        record_every=max(1, specs.training.steps // RECORDS),
    )
    survey = Survey(
        specs=specs,
        x=across,
        y=upwards,
        seeds=int(seeds),
        contour=contour,
        rules=rules,
        stride=int(stride) if refine else 1,
        plan=make_plan([part], record="summary", engine=engine),
    )
    _check_contour(contour, survey.program())
    return survey


def _zipped(x: Axis, y: Axis, points: Labels) -> Zip:
    """Return the design of some points [m, 2], each a row and a column."""
    return Zip({y.key: y.numbers[points[:, 0]], x.key: x.numbers[points[:, 1]]})


def _check_contour(contour: object, program: Program) -> None:
    """Refuse what is no column of the summary, with the nearest that is."""
    known = {name: [flat for flat, _ in flat_names(name, program)] for name in SUMMARY}
    columns = {flat for flats in known.values() for flat in flats}
    if contour in columns:
        return
    variable = str(contour).split(".")[0]
    allowed = known.get(variable, list(known))
    raise SpecError(f"contour: got {contour!r}: {nearest(str(contour), allowed)}")


class _Told:
    """Tells the share of the runs that are done, while it is not known how many there will be.

    It is taken of a tenth of the grid, or of what has been asked for where that is more.
    """

    def __init__(self, progress: Progress | None, full: int, stride: int) -> None:
        self.levels = 0
        self._progress = progress
        self._expected = float(full) if stride == 1 else _EXPECTED * full
        self._asked = 0

    def begin(self, runs: int) -> Callable[[float], None]:
        """Take in how many runs a level has; returns what is told the share of them."""
        before, self._asked = self._asked, self._asked + runs
        self.levels += 1
        whole = max(self._expected, self._asked)

        def told(share: float) -> None:
            if self._progress is not None:
                self._progress((before + share * runs) / whole)

        return told

    def end(self) -> None:
        """Say that there is no more."""
        if self._progress is not None:
            self._progress(1.0)
