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

from experiments.claims.spec import SIGNS, Circumstances, Claim, Condition, Quantity, Region
from experiments.sensitivity.outcomes import FLOOR
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

AFTERWARDS = ("success", "log_success", "attempts", "terms_met", "worst_case")
#: A claim is tried at no fewer points than this, however small a run is asked for.
FEWEST = 8
_RECORDS = 100
_COMPARE: dict[str, Callable[[Array, float], Any]] = {
    "at_least": np.greater_equal,
    "above": np.greater,
    "at_most": np.less_equal,
    "below": np.less,
}
assert set(_COMPARE) == set(SIGNS)


@dataclass(frozen=True)
class How:
    """How claims are run.

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

    def scaled(self, number: int, *, least: int = FEWEST) -> int:
        """Return a number of points or agents for this size; of a power of 2, a power of 2."""
        return max(least, 1 << round(math.log2(max(1.0, self.size * number))))

    def place(self, plan: Plan) -> Path | None:
        """Return where a plan's runs are kept: claims with the same runs share them."""
        return None if self.store is None else self.store / plan.id

    @property
    def tables(self) -> Path | None:
        """Where studies keep tables of their own."""
        return None if self.store is None else self.store / "tables"


@dataclass(frozen=True)
class Measured:
    """A claim's numbers at every point.

    Attributes:
        axes: The assumptions, a row for each point.
        quantities: What was measured there.
        runs: How many runs that took.
        beside: What a study found besides, by name, for its own figure.
    """

    axes: pd.DataFrame
    quantities: pd.DataFrame
    runs: int
    beside: Mapping[str, Any] = field(default_factory=dict)


def design_of(region: Region, how: How) -> Design | None:
    """Return a region's points; None if all of its assumptions are choices.

    Raises:
        SpecError: A range or a grid is none.
    """
    designs: list[Design] = []
    if region.grid:
        designs.append(Grid(region.grid))
    if region.ranges:
        designs.append(Sobol(region.ranges, points=how.scaled(region.points), seed=how.seed))
    return None if not designs else designs[0] if len(designs) == 1 else Product(*designs)


def specs_of(claim: Claim, world: Circumstances) -> Specs:
    """Return what all points of a world share.

    Raises:
        SpecError: A setting or an intervention is not allowed.
    """
    named = world.scenario or claim.measure.scenario
    assert named is not None
    specs = read_specs(named, interventions=list(world.do) or None)
    try:
        return apply_overrides(specs, {**claim.measure.settings, **world.settings})
    except SpecError as error:
        raise SpecError(f"claims/{claim.name}.measure: {error}") from None


def plan_of(claim: Claim, how: How) -> Plan:
    """Return the runs of a claim's worlds, checked.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    design = design_of(claim.region, how)
    if design is None:
        raise SpecError(f"claims/{claim.name}.region: worlds need ranges or a grid of numbers")
    parts = []
    for name, world in claim.measure.worlds.items():
        specs = specs_of(claim, world)
        try:
            parts.append(
                Part(
                    specs=with_first_point(specs, design),
                    design=design,
                    seeds=(how.seed,),
                    record_every=max(1, specs.training.steps // _RECORDS),
                    choices={"world": name},
                )
            )
        except SpecError as error:
            raise SpecError(f"claims/{claim.name}.region: {error}") from None
    return make_plan(parts, engine=how.engine)


def measure_worlds(
    claim: Claim, how: How, *, progress: Callable[[float], None] | None = None
) -> Measured:
    """Run a claim's worlds and return its quantities at every point.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    plan = plan_of(claim, how)
    sweep = run_plan(plan, store=how.place(plan), progress=progress)
    frame = sweep.frame
    worlds: dict[str, pd.DataFrame] = {}
    for number, (name, world) in enumerate(claim.measure.worlds.items()):
        rows = frame[frame["part"] == number].reset_index(drop=True)
        worlds[name] = rows.assign(**_afterwards(claim, world, rows))
    first = next(iter(worlds.values()))
    return Measured(
        axes=first[list(claim.axes)],
        quantities=quantities_of(claim, worlds),
        runs=plan.runs,
    )


def quantities_of(claim: Claim, worlds: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return a claim's quantities from the columns of its worlds, a row for each point.

    Raises:
        SpecError: A quantity names a column that there is not.
    """
    found: dict[str, Array] = {}
    for name, quantity in claim.measure.quantities.items():
        if quantity.count:
            met = [meets(one, found[one.quantity]) for one in quantity.count]
            found[name] = np.sum(met, axis=0, dtype=np.float64)
            continue
        world = quantity.world or next(iter(worlds))
        number = _number(claim, name, quantity, world, worlds[world])
        if quantity.less is not None:
            number = number - _number(claim, name, quantity, quantity.less, worlds[quantity.less])
        found[name] = np.abs(number) if quantity.size else number
    return pd.DataFrame(found)


def meets(condition: Condition, number: Array) -> Any:
    """Say where a condition is met; nowhere where its quantity is not defined."""
    with np.errstate(invalid="ignore"):
        return _COMPARE[condition.how](number, condition.threshold)


def _number(claim: Claim, name: str, quantity: Quantity, world: str, frame: pd.DataFrame) -> Array:
    columns = list(quantity.of)
    if claim.measure.study is None:
        scenario = specs_of(claim, claim.measure.worlds[world]).scenario
        columns = list(_expanded(quantity.of, scenario))
    for column in columns:
        if column not in frame:
            hint = nearest(column, frame.columns)
            raise SpecError(
                f"claims/{claim.name}.measure.quantities.{name}: there is no column {column!r}; "
                f"{hint}"
            )
    numbers = frame[columns].to_numpy(np.float64)
    match quantity.take:
        case "least":
            return np.asarray(numbers.min(axis=1))
        case "most":
            return np.asarray(numbers.max(axis=1))
        case "mean":
            return np.asarray(numbers.mean(axis=1))
        case "sum":
            return np.asarray(numbers.sum(axis=1))
    if numbers.shape[1] != 1:
        raise SpecError(
            f"claims/{claim.name}.measure.quantities.{name}: got {numbers.shape[1]} columns: say "
            "what to take of them"
        )
    return np.asarray(numbers[:, 0])


def _expanded(columns: Iterable[str], scenario: Scenario) -> Iterable[str]:
    """Write `NAME.*` out for all training contexts."""
    for column in columns:
        if column.endswith(".*"):
            yield from (f"{column[:-1]}{context}" for context in scenario.of_kind("training"))
        else:
            yield column


def _afterwards(claim: Claim, world: Circumstances, frame: pd.DataFrame) -> dict[str, Array]:
    """Return what comes after training, of each run, if a quantity asks for it."""
    asked = {name for quantity in claim.measure.quantities.values() for name in quantity.of}
    if not asked & set(AFTERWARDS):
        return {}
    specs = specs_of(claim, world)
    oversight = read_oversight(world.oversight or None, specs.scenario)
    deployment = read_deployment(world.deployment or None, specs.scenario)
    with np.errstate(all="ignore"):
        case = worst_case_at(
            moment_of(frame, specs.scenario),
            specs.scenario,
            thresholds=Thresholds(),
            oversight=oversight,
            deployment=deployment,
        )
        success = case["success"].values
        return {
            "success": success,
            "log_success": np.log10(np.maximum(success, FLOOR)),
            "attempts": case["attempts"].values.astype(np.float64),
            "terms_met": case["met"].values.sum(axis=1).astype(np.float64),
            "worst_case": (case["lacking"].values == 0).astype(np.float64),
            **{f"met.{t}": case["met"].sel(term=t).values.astype(float) for t in TERMS},
        }
