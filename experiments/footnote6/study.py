"""The study of footnote 6: its settings, its run, and the tables that come out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from sim.cli.fields import Engine, Interval, Seed, Spec
from sim.cli.outputs import none_if_not_finite
from sim.dynamics.state import Array
from sim.specs.agent import Agent
from sim.specs.overrides import Specs
from sim.sweeps.design import Range

from .representativeness import (
    BAND,
    CAUSES,
    DEPLOYMENT,
    MAXIMUM_AGENTS,
    MAXIMUM_POINTS,
    DiscernmentSweep,
    Plan,
    PopulationRecord,
    by_gamed,
    train_populations,
)

#: A change of the shift below which it does not count as a fall.
NO_CHANGE = 0.01
#: The columns that the terminal shows.
SHOWN = {
    "populations": ("population", "measure", "start", "end", "added_by_gaming"),
    "shifts": ("population", "gap_end", "shift_end", *(f"owed_to_{c}" for c in CAUSES), "verdict"),
}


class Settings(Spec):
    """The study's own keys; their meaning and defaults are in config.yaml."""

    agents: Annotated[int, Field(ge=2, le=MAXIMUM_AGENTS, strict=True)]
    seed: Seed
    points: Annotated[int, Field(ge=2, le=MAXIMUM_POINTS, strict=True)]
    discernment: Interval
    populations: dict[str, Agent]
    engine: Engine


Results = tuple[list[PopulationRecord], list[DiscernmentSweep]]


def check(specs: Specs, settings: Settings) -> Plan:
    """Refuse populations that do not fit the scenario, and one without twins; returns the plan.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    return Plan(
        specs=specs,
        populations=settings.populations,
        agents=settings.agents,
        seed=settings.seed,
        points=settings.points,
        discernment=Range.read(settings.discernment, "discernment"),
        engine=settings.engine,
    )


def run(
    specs: Specs, settings: Settings, *, progress: Callable[[float], None] | None = None
) -> Results:
    """Train every population, as it is and at every level of discernment.

    Raises:
        SpecError: As for `check`.
        DivergenceError: Parameters grew out of all bounds.
    """
    return train_populations(check(specs, settings), progress=progress)


def tables(results: Results) -> dict[str, pd.DataFrame]:
    """Return the tables of populations, of shifts, and of all that they are made of."""
    records, sweeps = results
    return {
        "populations": populations_table(records),
        "shifts": shifts_table(records, sweeps),
        "training": training_table(records),
        "agents": agents_table(records),
        "discernment": discernment_table(sweeps),
    }


def populations_table(records: Sequence[PopulationRecord]) -> pd.DataFrame:
    """Return, by population and group of contexts, the chance of the best-looking response."""
    rows = [
        {
            "population": record.name,
            "deployed": group in DEPLOYMENT,
            "measure": group,
            "start": float(chance[0].mean()),
            "end": float(chance[-1].mean()),
            "low": float(np.quantile(chance[-1], BAND[0])),
            "high": float(np.quantile(chance[-1], BAND[1])),
            "by_values": float(record.by_values[group][-1].mean()),
            "added_by_gaming": float(record.added(group)[-1].mean()),
        }
        for record in records
        for group, chance in record.looks.items()
    ]
    return pd.DataFrame(rows)


def shifts_table(
    records: Sequence[PopulationRecord], sweeps: Sequence[DiscernmentSweep]
) -> pd.DataFrame:
    """Return gap, shift, its causes and its course over discernment, a row for each population."""
    rows = []
    for record, sweep in zip(records, sweeps, strict=True):
        course = sweep_numbers(sweep)
        rises = course["never_falls"] and course["shift_high"] > course["shift_low"]
        flat = course["shift_most"] - course["shift_least"] < NO_CHANGE
        rows.append(
            {
                "population": record.name,
                "gap_start": float(record.gap[0].mean()),
                "gap_end": float(record.gap[-1].mean()),
                "shift_start": float(record.shift[0].mean()),
                "shift_end": float(record.shift[-1].mean()),
                **{f"owed_to_{cause}": float(record.owed[cause][-1].mean()) for cause in CAUSES},
                "shift_low_discernment": course["shift_low"],
                "shift_high_discernment": course["shift_high"],
                "nine_tenths_of_the_rise_by": course["most_of_the_rise_by"],
                "verdict": "flat" if flat else "rises" if rises else "not monotonic",
            }
        )
    return pd.DataFrame(rows)


def summary(results: Results, specs: Specs, settings: Settings) -> dict[str, Any]:
    """Return all numbers by population, ready for JSON."""
    records, sweeps = results
    return {
        "scenario": specs.scenario.name,
        "agents": settings.agents,
        "steps": specs.training.steps,
        "populations": [
            population_numbers(record, sweep) for record, sweep in zip(records, sweeps, strict=True)
        ],
    }


def population_numbers(record: PopulationRecord, sweep: DiscernmentSweep) -> dict[str, Any]:
    """Return the numbers of one population, ready for JSON."""
    return {
        "name": record.name,
        "looks": {
            group: {
                "start": float(chance[0].mean()),
                "end": float(chance[-1].mean()),
                "low": float(np.quantile(chance[-1], BAND[0])),
                "high": float(np.quantile(chance[-1], BAND[1])),
                "by_values": float(record.by_values[group][-1].mean()),
                "added": float(record.added(group)[-1].mean()),
            }
            for group, chance in record.looks.items()
        },
        "gap_start": none_if_not_finite(record.gap[0].mean()),
        "gap_end": none_if_not_finite(record.gap[-1].mean()),
        "shift_start": float(record.shift[0].mean()),
        "shift_end": float(record.shift[-1].mean()),
        "owed": {cause: float(record.owed[cause][-1].mean()) for cause in CAUSES},
        "contexts": record.contexts,
        "by_gamed": by_gamed(record).to_dict("records"),
        "discernment": sweep_numbers(sweep),
    }


def sweep_numbers(sweep: DiscernmentSweep) -> dict[str, Any]:
    """Return the shift over discernment in numbers, ready for JSON."""
    shift = sweep.shift.mean(axis=1)
    low, high = float(shift.min()), float(shift.max())
    rise = np.flatnonzero(shift - shift[0] >= 0.9 * (high - shift[0]))
    return {
        "low": float(sweep.levels[0]),
        "high": float(sweep.levels[-1]),
        "shift_low": float(shift[0]),
        "shift_high": float(shift[-1]),
        "shift_least": low,
        "shift_most": high,
        "most_of_the_rise_by": float(sweep.levels[rise[0]]),
        "never_falls": bool((np.diff(shift) >= -NO_CHANGE).all()),
        "gap_low": none_if_not_finite(sweep.gap[0].mean()),
        "gap_high": none_if_not_finite(sweep.gap[-1].mean()),
    }


def training_table(records: Sequence[PopulationRecord]) -> pd.DataFrame:
    """Return a row for each population, recorded step and measure: mean and band over agents."""
    rows = []
    for record in records:
        measures: dict[str, Array] = {
            **{f"looks best: {group}": x for group, x in record.looks.items()},
            **{f"looks best by values: {group}": x for group, x in record.by_values.items()},
            "gap": record.gap,
            "shift": record.shift,
            **{f"shift owed to {cause}": x for cause, x in record.owed.items()},
        }
        for name, x in measures.items():
            low, high = np.quantile(x, BAND, axis=1)
            rows.append(
                pd.DataFrame(
                    {
                        "population": record.name,
                        "measure": name,
                        "step": record.steps,
                        "mean": x.mean(axis=1),
                        "low": low,
                        "high": high,
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


def agents_table(records: Sequence[PopulationRecord]) -> pd.DataFrame:
    """Return a row for each agent, at the end of training."""
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "population": record.name,
                    "agent": np.arange(record.shift.shape[1]),
                    "contexts_gamed": record.gamed[-1].astype(int),
                    "shift": record.shift[-1],
                    **{f"owed_to_{cause}": record.owed[cause][-1] for cause in CAUSES},
                    "gap": record.gap[-1],
                    **{f"looks best: {group}": x[-1] for group, x in record.looks.items()},
                    **{f"added by gaming: {g}": record.added(g)[-1] for g in record.looks},
                }
            )
            for record in records
        ],
        ignore_index=True,
    )


def discernment_table(sweeps: Sequence[DiscernmentSweep]) -> pd.DataFrame:
    """Return a row for each population and level of discernment: means over agents."""
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "population": record.name,
                    "discernment": record.levels,
                    "shift": record.shift.mean(axis=1),
                    **{f"owed_to_{cause}": record.owed[cause].mean(axis=1) for cause in CAUSES},
                    "gap": record.gap.mean(axis=1),
                }
            )
            for record in sweeps
        ],
        ignore_index=True,
    )
