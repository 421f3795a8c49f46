"""Assumptions as inputs of a sensitivity study, and what is looked at in each of its runs.

Every run has one agent, trained with its own numbers of the assumptions. What it comes to is read
from the summary of a sweep:

    gaming        onset (of the first training context in which gaming sets in; the end of training
                  if in none), reach, gaming_rate (mean over training contexts)
    values        value_drift, alignment (what an agent values)
    terms         the numbers behind the eight terms of the worst case; that of `misalignment` is
                  conduct in deployment (what an agent does)
    worst case    terms_met (how many of the eight), log_success (log10 of P(success), which is
                  taken for 1e-12 where it is smaller), gain (from acting freely)

Two groups of these are set against each other: `LOCAL`, how far agents training-game, and `WORST`,
how near they are to the worst case.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from sim.analysis.counterfactuals import moment_of
from sim.analysis.sensitivity import Sample
from sim.analysis.worst_case import TERMS, PostTraining, worst_case_at
from sim.dynamics.state import Array
from sim.specs.errors import SpecError
from sim.specs.keys import full_key, is_vectorisable
from sim.specs.overrides import Specs, apply_overrides
from sim.sweeps.design import Range, Table
from sim.sweeps.plan import Part, Plan, make_plan
from sim.sweeps.sweep import with_first_point

#: What is looked at, by group, in the order in which it is reported.
GROUPS: dict[str, tuple[str, ...]] = {
    "gaming": ("gaming_rate", "reach", "onset"),
    "values": ("value_drift", "alignment"),
    "terms": TERMS,
    "worst case": ("terms_met", "log_success", "gain"),
}
OUTCOMES = tuple(name for names in GROUPS.values() for name in names)
#: What is set against each other: training-gaming as such, and the worst case.
LOCAL = ("gaming_rate", "reach")
WORST = ("terms_met", "log_success")
#: A chance of success below this counts as this: nobody cares how much less than never.
FLOOR = 1e-12
_RECORDS = 100
#: A study of one assumption has nothing to compare.
_FEWEST = 2


def read_assumptions(settings: object, specs: Specs) -> dict[str, Range]:
    """Return the ranges of assumptions, by full key.

    Args:
        settings: By dotted key, [low, high] or [low, high, log]; null leaves a key out.
        specs: What they are assumptions of.

    Raises:
        SpecError: A key does not exist, its range is none or not allowed, or a run's numbers
            cannot be moved there.
    """
    if not isinstance(settings, Mapping):
        raise SpecError(
            f"assumptions: got {settings!r}: must be a mapping of keys to [low, high] or "
            "[low, high, log]"
        )
    ranges: dict[str, Range] = {}
    for name, ends in settings.items():
        if ends is None:
            continue
        key, path = full_key(str(name)), f"assumptions.{name}"
        if key in ranges:
            raise SpecError(f"{path}: is given twice")
        ranges[key] = Range.read(ends if isinstance(ends, list | tuple) else [ends], path)
        for number in (ranges[key].low, ranges[key].high):
            try:
                apply_overrides(specs, {key: number})
            except SpecError as error:
                raise SpecError(f"assumptions: {error}") from None
        if not is_vectorisable(key):
            raise SpecError(f"{path}: is no number that runs can differ in")
    if len(ranges) < _FEWEST:
        raise SpecError(f"assumptions: got {len(ranges)}: at least {_FEWEST} are needed")
    apply_overrides(specs, {key: ends.low for key, ends in ranges.items()})
    return ranges


def plan_of(
    sample: Sample, assumptions: Mapping[str, Range], specs: Specs, *, seed: int, engine: str
) -> Plan:
    """Return the runs that a sample asks for, in its order, checked.

    Raises:
        SpecError: One of them would be refused.
    """
    columns = {
        key: ends.stretch(sample.shares[:, i]) for i, (key, ends) in enumerate(assumptions.items())
    }
    design = Table(columns)
    part = Part(
        specs=with_first_point(specs, design),
        design=design,
        seeds=(seed,),
        record_every=max(1, specs.training.steps // _RECORDS),
    )
    return make_plan([part], record="summary", engine=engine)


def outcomes_of(frame: pd.DataFrame, specs: Specs, after: PostTraining) -> dict[str, Array]:
    """Return what each run came to, by name [R]; nan of a run that failed.

    Args:
        frame: The summary of a sweep of one agent a run, a row for each run, in order.
        specs: What the runs share.
        after: What agents meet after training, and what counts as the worst case.
    """
    scenario = specs.scenario
    trained = [name for name, c in scenario.contexts.items() if c.kind == "training"]
    onset = _numbers(frame, [f"onset.{name}" for name in trained])
    with np.errstate(all="ignore"):
        moment = moment_of(frame, scenario)
        worst = worst_case_at(moment, scenario, **after.arguments())
        success = np.log10(np.maximum(worst["success"].values, FLOOR))
    number = dict(zip(TERMS, worst["number"].values.T, strict=True))
    numbers = {
        "gaming_rate": _numbers(frame, [f"gaming_rate.{name}" for name in trained]).mean(axis=1),
        "reach": frame["reach"].to_numpy(np.float64),
        "onset": np.where(np.isnan(onset), specs.training.steps, onset).min(axis=1),
        "value_drift": frame["value_drift"].to_numpy(np.float64),
        "alignment": moment["alignment"].values,
        **number,
        "terms_met": worst["met"].values.sum(axis=1).astype(np.float64),
        "log_success": success,
        "gain": worst["gain"].values,
    }
    failed = frame["error"].notna().to_numpy()
    return {name: np.where(failed, np.nan, numbers[name]) for name in OUTCOMES}


def _numbers(frame: pd.DataFrame, columns: list[str]) -> Array:
    return np.asarray(frame[columns].to_numpy(np.float64))
