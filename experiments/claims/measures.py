"""What a claim measures: a table with a row for each point, of its assumptions and quantities.

The worlds of a claim are parts of one sweep: the same points, the same seed, and so the same random
draws; what differs between two worlds of a point is what the claim says. Runs have one agent each.
What comes after training is worked out from the end of a run (`sim.analysis.worst_case`), as
columns beside those of the sweep's summary:

    success, attempts, terms_met, worst_case      P(success); 0 or 1; of eight; 0 or 1
    log_success                                   log10 P(success), not below -12
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sim.analysis.counterfactuals import moment_of
from sim.analysis.worst_case import TERMS, Thresholds, worst_case_at
from sim.dynamics.state import Array
from sim.specs.errors import SpecError, nearest
from sim.specs.overrides import Specs, apply_overrides, read_specs
from sim.specs.scenario import Scenario
from sim.sweeps.design import Design, Grid, Product, Sobol
from sim.sweeps.plan import Part, Plan, make_plan
from sim.sweeps.sweep import run_plan, with_first_point
from sim.takeover import read_deployment, read_oversight

from .spec import SIGNS, Circumstances, Claim, Condition, Quantity, Region

AFTERWARDS = ("success", "log_success", "attempts", "terms_met", "worst_case")
#: A claim is tried at no fewer points than this, however small a run is asked for.
FEWEST = 8
_RECORDS = 100
#: P(success) is not taken to be lower than this, where its logarithm is.
_FLOOR = 1e-12
_COMPARE: dict[str, Callable[[Array, float], Any]] = {
    "at_least": np.greater_equal,
    "above": np.greater,
    "at_most": np.less_equal,
    "below": np.less,
}
assert set(_COMPARE) == set(SIGNS)


@dataclass(frozen=True)
class RunOptions:
    """Where and at what size claims are run.

    Attributes:
        store: Where sweeps are kept; None: nowhere.
        size: Share of the points (and of a study's agents) that is run.
        seed: Of designs and runs.
        engine: What trains.
    """

    store: Path | None = None
    size: float = 1.0
    seed: int = 0
    engine: str = "auto"

    def scaled(self, number: int, *, minimum: int = FEWEST) -> int:
        """Return a number of points or agents for this size; of a power of 2, a power of 2."""
        return max(minimum, 1 << round(math.log2(max(1.0, self.size * number))))

    def place(self, plan: Plan) -> Path | None:
        """Return where a plan's runs are kept: claims with the same runs share them."""
        return None if self.store is None else self.store / plan.id

    @property
    def tables(self) -> Path | None:
        """Where studies keep tables of their own."""
        return None if self.store is None else self.store / "tables"


@dataclass(frozen=True)
class Measured:
    """The numbers of a claim at every point.

    Attributes:
        axes: The assumptions, a row for each point.
        quantities: The quantities, a column each, a row for each point.
        runs: The number of runs.
        beside: Further results of a study, by name, for its own figure.
    """

    axes: pd.DataFrame
    quantities: pd.DataFrame
    runs: int
    beside: Mapping[str, Any] = field(default_factory=dict)


def design_of(region: Region, run_options: RunOptions) -> Design | None:
    """Return a region's points; None if all of its assumptions are choices.

    Raises:
        SpecError: A range or a grid is none.
    """
    designs: list[Design] = []
    if region.grid:
        designs.append(Grid(region.grid))
    if region.ranges:
        designs.append(
            Sobol(region.ranges, points=run_options.scaled(region.points), seed=run_options.seed)
        )
    return None if not designs else designs[0] if len(designs) == 1 else Product(*designs)


def world_specs(claim: Claim) -> dict[str, Specs]:
    """Read the scenario, agent and training of each of a claim's worlds.

    Raises:
        SpecError: A setting or an intervention is not allowed.
    """
    specs = {}
    for name, world in claim.measure.worlds.items():
        scenario = world.scenario or claim.measure.scenario
        assert scenario is not None
        read = read_specs(scenario, interventions=list(world.do) or None)
        try:
            specs[name] = apply_overrides(read, {**claim.measure.settings, **world.settings})
        except SpecError as error:
            raise SpecError(f"claims/{claim.name}.measure: {error}") from None
    return specs


def plan_worlds(claim: Claim, specs: Mapping[str, Specs], run_options: RunOptions) -> Plan:
    """Plan the runs of a claim's worlds: a part for each world.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    design = design_of(claim.region, run_options)
    if design is None:
        raise SpecError(f"claims/{claim.name}.region: worlds need ranges or a grid of numbers")
    parts = []
    for name, world in specs.items():
        try:
            parts.append(
                Part(
                    specs=with_first_point(world, design),
                    design=design,
                    seeds=(run_options.seed,),
                    record_every=max(1, world.training.steps // _RECORDS),
                    choices={"world": name},
                )
            )
        except SpecError as error:
            raise SpecError(f"claims/{claim.name}.region: {error}") from None
    return make_plan(parts, engine=run_options.engine)


def measure_worlds(
    claim: Claim, run_options: RunOptions, *, progress: Callable[[float], None] | None = None
) -> Measured:
    """Run a claim's worlds and return its quantities at every point.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    specs = world_specs(claim)
    plan = plan_worlds(claim, specs, run_options)
    frame = run_plan(plan, store=run_options.place(plan), progress=progress).frame
    worlds = {}
    for number, (name, world) in enumerate(claim.measure.worlds.items()):
        rows = frame[frame["part"] == number].reset_index(drop=True)
        worlds[name] = rows.assign(**_after_training(claim, world, specs[name].scenario, rows))
    return Measured(
        axes=next(iter(worlds.values()))[list(claim.axes)],
        quantities=quantities_of(claim, worlds, {n: s.scenario for n, s in specs.items()}),
        runs=plan.runs,
    )


def quantities_of(
    claim: Claim,
    worlds: Mapping[str, pd.DataFrame],
    scenarios: Mapping[str, Scenario] | None = None,
) -> pd.DataFrame:
    """Return a claim's quantities, a column each and a row for each point.

    Args:
        claim: The claim.
        worlds: The columns of its worlds, by name.
        scenarios: Of the worlds, by name; None for a study, which has no `NAME.*`.

    Raises:
        SpecError: A quantity names a column that does not exist.
    """
    quantities: dict[str, Array] = {}
    for name, quantity in claim.measure.quantities.items():
        if quantity.count:
            met = [meets(condition, quantities[condition.quantity]) for condition in quantity.count]
            quantities[name] = np.sum(met, axis=0, dtype=np.float64)
            continue

        def number_in(world: str, name: str = name, quantity: Quantity = quantity) -> Array:
            columns = list(quantity.columns)
            if scenarios is not None:
                columns = list(_expanded(columns, scenarios[world]))
            where = f"claims/{claim.name}.measure.quantities.{name}"
            return _reduced(quantity, columns, worlds[world], where)

        number = number_in(quantity.world or next(iter(worlds)))
        if quantity.minus is not None:
            number = number - number_in(quantity.minus)
        quantities[name] = np.abs(number) if quantity.absolute else number
    return pd.DataFrame(quantities)


def meets(condition: Condition, number: Array) -> Any:
    """Return where a condition is met; nowhere where its quantity is not defined."""
    with np.errstate(invalid="ignore"):
        return _COMPARE[condition.comparison](number, condition.threshold)


def _reduced(quantity: Quantity, columns: list[str], frame: pd.DataFrame, where: str) -> Array:
    for column in columns:
        if column not in frame:
            hint = nearest(column, frame.columns)
            raise SpecError(f"{where}: there is no column {column!r}; {hint}")
    numbers = frame[columns].to_numpy(np.float64)
    match quantity.reduce:
        case "least":
            return np.asarray(numbers.min(axis=1))
        case "most":
            return np.asarray(numbers.max(axis=1))
        case "mean":
            return np.asarray(numbers.mean(axis=1))
        case "sum":
            return np.asarray(numbers.sum(axis=1))
    if numbers.shape[1] != 1:
        raise SpecError(f"{where}: got {numbers.shape[1]} columns: say how to `reduce` them")
    return np.asarray(numbers[:, 0])


def _expanded(columns: Iterable[str], scenario: Scenario) -> Iterable[str]:
    """Write `NAME.*` out for all training contexts."""
    for column in columns:
        if column.endswith(".*"):
            yield from (f"{column[:-1]}{context}" for context in scenario.of_kind("training"))
        else:
            yield column


def _after_training(
    claim: Claim, world: Circumstances, scenario: Scenario, frame: pd.DataFrame
) -> dict[str, Array]:
    """Return what comes after training, of each run, if a quantity needs it."""
    columns = {name for quantity in claim.measure.quantities.values() for name in quantity.columns}
    if not columns & set(AFTERWARDS):
        return {}
    oversight = read_oversight(world.oversight or None, scenario)
    deployment = read_deployment(world.deployment or None, scenario)
    with np.errstate(all="ignore"):
        case = worst_case_at(
            moment_of(frame, scenario),
            scenario,
            thresholds=Thresholds(),
            oversight=oversight,
            deployment=deployment,
        )
        success = case["success"].values
        return {
            "success": success,
            "log_success": np.log10(np.maximum(success, _FLOOR)),
            "attempts": case["attempts"].values.astype(np.float64),
            "terms_met": case["met"].values.sum(axis=1).astype(np.float64),
            "worst_case": (case["lacking"].values == 0).astype(np.float64),
            **{f"met.{t}": case["met"].sel(term=t).values.astype(float) for t in TERMS},
        }
