"""Phase diagrams: the regime in which runs end, over two of their numbers (MODEL.md section 5).

Every point of the map stands for several runs that differ in their seed; its regime is their most
frequent one (`sim.analysis.regimes`). Boundaries between regimes are found by adaptive refinement
(`sim.analysis.refinement`), so that a map of many points needs few runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sim.analysis.refinement import STRIDE, Labels, Mask, refine
from sim.analysis.regimes import REGIMES, Rules, check_as_recorded, sweep_regimes
from sim.dynamics.state import Array
from sim.result import describe_run
from sim.specs.agent import Agent
from sim.specs.errors import SpecError, check_keys, check_whole, nearest
from sim.specs.keys import full_key, is_vectorisable
from sim.specs.overrides import Specs, apply_overrides, as_population, read_specs
from sim.specs.scenario import STORY, Scenario
from sim.specs.training import Training
from sim.sweeps.design import Range, Zip
from sim.sweeps.executors import Executor
from sim.sweeps.plan import Part, Plan, compile_rows, make_plan
from sim.sweeps.record import flat_names, summary_variables
from sim.sweeps.result import Sweep
from sim.sweeps.sweep import sweep, with_first_point
from sim.utils.format import count_of
from sim.utils.progress import Progress, ProgressOption, part_of, progress_reporter

#: In place of a regime where every run failed.
FAILED = "failed"
_NO_REGIME = -1
#: About how many records a run has, whatever its length. Regimes are those of the last 20 of them,
#: the last fifth of training: late enough for transients to be over, and long enough to show
#: whether something moves.
RECORDS = 100
#: The most points that an axis can have.
MOST_POINTS = 2000
#: The share of the full grid that refinement is expected to evaluate, until it is known.
_EXPECTED = 0.1

Scale = Literal["linear", "log"]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """An axis of the map.

    Attributes:
        key: Dotted key of its number (`agent.initial.awareness`).
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
        """Raise a `SpecError` for what is no axis."""
        if not isinstance(self.key, str):
            raise SpecError(f"key: got {self.key!r}: must be a key (agent.initial.awareness)")
        if self.scale not in get_args(Scale):
            hint = nearest(str(self.scale), get_args(Scale))
            raise SpecError(f"scale of {self.key}: got {self.scale!r}: {hint}")
        Range.read((self.low, self.high, self.scale), self.key)
        check_whole(f"points of {self.key}", self.points, minimum=2, maximum=MOST_POINTS)

    @classmethod
    def read(cls, axis: object, name: str) -> Axis:
        """Return an axis from a mapping of its attributes, or itself; errors call it by a name.

        Raises:
            SpecError: It is none.
        """
        if isinstance(axis, Axis):
            return axis
        form, names = "an axis, with a key, low and high", [field.name for field in fields(cls)]
        settings = check_keys(name, axis, names, form=form)
        for key in ("key", "low", "high"):
            if settings.get(key) is None:
                raise SpecError(f"{name}.{key}: is missing")
        return cls(**settings)

    @cached_property
    def numbers(self) -> Array:
        """The number at each point [points]."""
        shares = np.linspace(0.0, 1.0, int(self.points))
        numbers = Range(self.low, self.high, self.scale).stretch(shares)
        numbers[[0, -1]] = self.low, self.high  # a logarithm and back may miss them by a bit
        return numbers


@dataclass(frozen=True, kw_only=True, repr=False)
class PhaseDiagram:
    """A map of regimes. Rows are points of the y axis, columns points of the x axis.

    Attributes:
        x: The axis across.
        y: The axis upwards.
        contour: The column of the summary that `number` holds.
        regime: Indices of `sim.analysis.regimes.REGIMES` [ny, nx]; -1 where every run failed.
        agreement: Share of the runs that ended in that regime, of those that did not fail
            [ny, nx].
        settled: Share of them in which no training context was still moving [ny, nx].
        failed: Share of all runs that failed [ny, nx].
        number: Mean of the contour's column over seeds [ny, nx]; nan where it is not defined.
        evaluated: Whether runs were made at each point [ny, nx]; elsewhere, numbers are linear in
            between.
        seeds: Runs at each point.
        levels: Number of runs in each round of refinement.
        resumed: Number of runs that were kept from before.
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

    def __repr__(self) -> str:
        shares = ", ".join(f"{name}={share:.1%}" for name, share in self.shares.items() if share)
        return (
            f"PhaseDiagram({self.x.key} [{self.x.points}] by {self.y.key} [{self.y.points}], "
            f"{self.runs:,} of {count_of(self.full_runs, 'run')}: {shares})"
        )

    def plot(self, *, points: bool = True) -> Any:
        """Return a matplotlib figure of the map; see `sim.plots.phase_diagram.phase_diagram`."""
        from sim.plots.phase_diagram import phase_diagram as draw

        return draw(self, points=points)

    @property
    def runs(self) -> int:
        """The number of runs of the map."""
        return sum(self.levels)

    @property
    def full_runs(self) -> int:
        """The number of runs of the full grid."""
        return int(self.regime.size) * self.seeds

    @property
    def saved(self) -> int:
        """The number of runs of the full grid that were not needed."""
        return self.full_runs - self.runs

    @property
    def shares(self) -> dict[str, float]:
        """The share of the map in each regime, and of points at which every run failed."""
        shares = {name: float((self.regime == code).mean()) for code, name in enumerate(REGIMES)}
        return {**shares, FAILED: float((self.regime == _NO_REGIME).mean())}

    def to_xarray(self) -> xr.Dataset:
        """Return the map with its axes as dimensions, by their keys; regimes are text."""
        dims = (self.y.key, self.x.key)
        names = np.array([*REGIMES, FAILED])
        return xr.Dataset(
            {
                "regime": (dims, names[self.regime]),  # -1 is the last
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
class PhaseDiagramPlan:
    """A phase diagram that has been checked, and not yet computed.

    Attributes:
        specs: Scenario, agent and training.
        x, y: The axes.
        seeds: Runs at each point.
        contour: A column of the summary.
        rules: Of the regimes.
        stride: Steps between the lines of the coarse lattice; 1 for the full grid.
        corners: The runs in the corners of the map, as they were checked.
    """

    specs: Specs
    x: Axis
    y: Axis
    seeds: int
    contour: str
    rules: Rules
    stride: int
    corners: Plan

    @property
    def name(self) -> str:
        """The scenario's name."""
        return str(self.specs.scenario.name)

    @property
    def engine(self) -> str:
        """The name of the engine."""
        return self.corners.engine

    def to_dict(self) -> dict[str, Any]:
        """Return all that the regimes depend on, as plain data."""
        scenario, agent, training, _ = self.specs
        return {
            "scenario": scenario.model_dump(mode="json", exclude=set(STORY)),
            "agent": agent.model_dump(mode="json"),
            "training": training.model_dump(mode="json"),
            "x": asdict(self.x),
            "y": asdict(self.y),
            "seeds": self.seeds,
            "rules": asdict(self.rules),
            "stride": self.stride,
            "record_every": self.corners.parts[0].record_every,
            "engine": self.engine,
        }

    @property
    def id(self) -> str:
        """A hash of what the runs depend on: of all but the contour, which is read from them."""
        text = json.dumps([self.corners.id, self.to_dict()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def execute(
        self,
        *,
        store: str | Path | None = None,
        executor: Executor | None = None,
        progress: Progress | None = None,
    ) -> PhaseDiagram:
        """Compute the map; arguments and errors as `phase_diagram`."""
        ny, nx = int(self.y.points), int(self.x.points)
        expected = ny * nx * self.seeds * (1.0 if self.stride == 1 else _EXPECTED)
        counts: list[int] = []
        resumed = 0

        def evaluate(points: Labels) -> tuple[Labels, Array]:
            nonlocal resumed
            level, before = len(counts), sum(counts)
            counts.append(len(points) * self.seeds)
            total = max(expected, sum(counts))
            runs = sweep(
                self.specs.scenario,
                agent=self.specs.agent,
                training=self.specs.training,
                design=_design(self.x, self.y, points),
                seeds=self.seeds,
                record_every=self.corners.parts[0].record_every,
                record="summary",
                engine=self.engine,
                store=None if store is None else f"{store}/level-{level:02d}",
                executor=executor,
                progress=part_of(progress, before / total, sum(counts) / total),
            )
            resumed += runs.resumed
            return self._at_points(runs, len(points))

        grid = refine((ny, nx), evaluate, stride=self.stride)
        if progress is not None:
            progress(1.0)
        agreement, settled, failed, number = np.moveaxis(grid.values, -1, 0)
        return PhaseDiagram(
            x=self.x,
            y=self.y,
            contour=self.contour,
            regime=grid.labels,
            agreement=agreement,
            settled=settled,
            failed=failed,
            number=number,
            evaluated=grid.evaluated,
            seeds=self.seeds,
            levels=tuple(points * self.seeds for points in grid.rounds),
            resumed=resumed,
            provenance=describe_run(**self.to_dict(), contour=self.contour),
        )

    def _at_points(self, runs: Sweep, points: int) -> tuple[Labels, Array]:
        """Return the regime at each point, and agreement, settled, failed and the contour's mean.

        Of equally frequent regimes it is the one with more gaming.
        """
        classes = sweep_regimes(runs, rules=self.rules)
        at: NDArray[np.intp] = classes["run"].to_numpy() // self.seeds
        counts = np.zeros((points, len(REGIMES)))
        np.add.at(counts, (at, classes["regime"].cat.codes.to_numpy()), 1.0)
        ended = counts.sum(axis=1)
        settled = np.bincount(at, weights=classes["settled"].to_numpy(np.float64), minlength=points)
        regime = len(REGIMES) - 1 - counts[:, ::-1].argmax(axis=1)
        regime[ended == 0.0] = _NO_REGIME
        numbers = runs.frame.groupby(runs.frame["run"] // self.seeds)[self.contour].mean()
        with np.errstate(invalid="ignore"):  # shares of no runs
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
    progress: ProgressOption = None,
) -> PhaseDiagram:
    """Map the regimes of runs over two of their numbers.

    Args:
        scenario: As for `sweep`; so are agent and training.
        x: The axis across.
        y: The axis upwards; another number.
        seeds: Runs at each point, which differ by `agent.spread`, and by sampled training.
        agent: The agents' initial state and traits.
        training: Their training.
        contour: A further number of the map: a column of a sweep's summary (`reach`, `alignment`,
            `values.NAME`, `gaming_rate.CONTEXT`).
        rules: Thresholds of the regimes; their onset and windows must be those of sweeps.
        refine: Whether to make runs only where regimes change; otherwise, at every point.
        stride: Steps between the lines of the coarse lattice; what is smaller can be missed.
        engine: Name of the engine.
        store: A directory, or a URL of fsspec, in which a sweep is kept for each round of
            refinement, and resumed from.
        executor: Computes the runs; threads of this process if None.
        progress: True for a line on standard error, or a function of the share that is done, an
            estimate as long as there may be more to refine.

    Returns:
        The map; `.plot()` draws it.

    Raises:
        SpecError: The input cannot be used; one line says why.
    """
    plan = prepare(
        as_population(read_specs(scenario, agent=agent, training=training)),
        x=x,
        y=y,
        seeds=seeds,
        contour=contour,
        rules=rules,
        refine=refine,
        stride=stride,
        engine=engine,
    )
    with progress_reporter(progress, "phase diagram") as report:
        return plan.execute(store=store, executor=executor, progress=report)


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
) -> PhaseDiagramPlan:
    """Check a phase diagram before anything is computed; arguments as `phase_diagram`."""
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
        # A whole number stays one, so that a number of steps is refused for the right reason.
        low = int(axis.low) if float(axis.low).is_integer() else float(axis.low)
        try:
            apply_overrides(specs, {axis.key: low})
        except SpecError as error:
            raise SpecError(f"{name}: {error}") from None
        if not is_vectorisable(axis.key):
            raise SpecError(
                f"{name}.key: got {axis.key!r}: must be a number in which runs of one program can "
                "differ; this one changes how many steps or arrays there are"
            )
    ny, nx = int(upwards.points), int(across.points)
    corners = np.array([(row, column) for row in (0, ny - 1) for column in (0, nx - 1)])
    design = _design(across, upwards, corners)
    part = Part(
        specs=with_first_point(specs, design),
        design=design,
        seeds=tuple(range(int(seeds))),
        record_every=max(1, specs.training.steps // RECORDS),
    )
    plan = PhaseDiagramPlan(
        specs=specs,
        x=across,
        y=upwards,
        seeds=int(seeds),
        contour=contour,
        rules=rules,
        stride=int(stride) if refine else 1,
        corners=make_plan([part], record="summary", engine=engine),
    )
    _check_contour(contour, plan.corners.parts[0])
    return plan


def _design(x: Axis, y: Axis, points: Labels) -> Zip:
    """Return the design of some points [m, 2], each a row and a column."""
    return Zip({y.key: y.numbers[points[:, 0]], x.key: x.numbers[points[:, 1]]})


def _check_contour(contour: object, part: Part) -> None:
    """Raise a `SpecError` for what is no column of the summary, with the nearest that is."""
    program = compile_rows(part, np.zeros(1, np.intp))
    names = summary_variables(part, program)
    by_variable = {name: [flat for flat, _ in flat_names(name, program)] for name in names}
    columns = {flat for flats in by_variable.values() for flat in flats}
    if contour in columns:
        return
    variable = str(contour).split(".")[0]
    allowed = by_variable.get(variable, list(by_variable))
    raise SpecError(f"contour: got {contour!r}: {nearest(str(contour), allowed)}")
