"""The study of which assumptions matter, as a command: what it is told, what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from omegaconf import DictConfig
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from experiments.sensitivity.compare import Comparison, compare
from experiments.sensitivity.figure import morris_figure, sensitivity_figure
from experiments.sensitivity.methods import read_methods
from experiments.sensitivity.outcomes import (
    LOCAL,
    WORST,
    outcomes_of,
    plan_of,
    read_assumptions,
)
from experiments.sensitivity.text import MEASURE, label, said, title
from sim.analysis.sensitivity import (
    Indices,
    Method,
    Sample,
    analyse,
    convergence,
    morris_sample,
    sobol_sample,
)
from sim.analysis.worst_case import PostTraining
from sim.cli.after_training import AFTER_KEYS, pop_after
from sim.cli.compose import make_executor, read_place, read_study
from sim.cli.help import keys_of, study_help
from sim.cli.outputs import records, write_figure, write_frame, write_json
from sim.simulation import MOST_SEED
from sim.specs.errors import SpecError, check_whole
from sim.specs.overrides import Specs
from sim.sweeps.design import Range
from sim.sweeps.executors import Executor
from sim.sweeps.plan import Plan
from sim.sweeps.result import Sweep
from sim.utils.progress import parts_of

#: The keys of configs/sensitivity.yaml besides specs and what comes after training, for the help.
OWN = {
    "method=[morris,sobol]": "which of the two",
    "points=2048": "of sobol: base points, a power of 2; D + 2 runs each",
    "trajectories=64": "of morris: D + 1 runs each",
    "levels=4": "of morris' grid",
    "second_order=false": "of sobol: also pairs; nearly twice as many runs",
    "assumptions={KEY: [LOW, HIGH]}": "what is moved: numbers, or [LOW, HIGH, log]; null: not",
    "seed=0": "of the samples, of the runs and of the bootstrap",
    "engine=auto": "numpy, numba, or auto for the fastest that is installed",
    "executor=local": "threads of this process; or dask",
    "store=outputs/sensitivity-sweeps": "where runs are kept for the same command again; or null",
}
KEYS = keys_of(OWN)
HELP = study_help(
    "which assumptions matter, for training-gaming and for the worst case.\n"
    "  '++assumptions={training.leak: [0, 0.5], training.spread: null}' moves leak within other\n"
    "  ends, and spread not at all",
    OWN,
    example="method=[sobol] points=512 oversight=none",
    sections=AFTER_KEYS,
)


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is asked for."""

    specs: Specs
    after: PostTraining
    methods: tuple[Method, ...]
    assumptions: Mapping[str, Range]
    executor: Executor
    place: str | None
    points: int
    trajectories: int
    levels: int
    second_order: bool
    seed: int
    engine: str

    def sample(self, method: Method) -> Sample:
        """Return where a method asks.

        Raises:
            SpecError: It cannot with these numbers.
        """
        names = tuple(self.assumptions)
        if method == "morris":
            return morris_sample(
                names, trajectories=self.trajectories, levels=self.levels, seed=self.seed
            )
        return sobol_sample(
            names, points=self.points, second_order=self.second_order, seed=self.seed
        )

    def plan(self, sample: Sample) -> Plan:
        """Return the runs of a sample, checked.

        Raises:
            SpecError: One of them would be refused.
        """
        return plan_of(sample, self.assumptions, self.specs, seed=self.seed, engine=self.engine)

    def store(self, sample: Sample, plan: Plan) -> str | None:
        """Return where the runs of a plan are kept: a directory named for all they depend on."""
        name = f"{self.specs.scenario.name}-{sample.method}-{plan.id}"
        return None if self.place is None else f"{self.place}/{name}"

    def described(self) -> dict[str, Any]:
        """Return all of it as plain data, but for the specs, which sweeps describe."""
        return {
            "method": list(self.methods),
            "points": self.points,
            "trajectories": self.trajectories,
            "levels": self.levels,
            "second_order": self.second_order,
            "seed": self.seed,
            "assumptions": {key: vars(ends) for key, ends in self.assumptions.items()},
        }


@dataclass(frozen=True)
class Found:
    """What a method found.

    Attributes:
        indices: Of every outcome.
        settling: `sim.analysis.sensitivity.convergence`.
        compared: What training-gaming and the worst case hang on.
        says: Sentences.
        outcomes: By name, their mean, standard deviation and extremes over the runs.
        runs: How many runs there are ...
        resumed: ... of which so many were there already ...
        failed: ... and so many failed.
    """

    indices: Indices
    settling: pd.DataFrame
    compared: Comparison
    says: Mapping[str, str]
    outcomes: pd.DataFrame
    runs: int
    resumed: int
    failed: int


def read(config: DictConfig, *, scenario_name: str | None = None) -> Study:
    """Check what a config asks for; every run of it is checked, and none is made.

    Args:
        config: Composed by Hydra, with the keys of configs/sensitivity.yaml.
        scenario_name: What to call a scenario that has no name of its own.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    specs, own = read_study(config, (*AFTER_KEYS, *KEYS), scenario_name=scenario_name)
    after = pop_after(own, specs.scenario)
    check_whole("seed", own["seed"], minimum=0, maximum=MOST_SEED)
    study = Study(
        specs=specs,
        after=after,
        methods=read_methods(own.pop("method")),
        assumptions=read_assumptions(own.pop("assumptions"), specs),
        executor=make_executor(own.pop("executor", None)),
        place=read_place(own.pop("store", None)),
        **own,
    )
    for method in study.methods:
        study.plan(study.sample(method))
    return study


def measure(
    study: Study, sample: Sample, sweep: Sweep, *, progress: Callable[[float], None] | None = None
) -> Found:
    """Return what the runs of a sample say.

    Raises:
        SpecError: All of them failed.
    """
    frame = sweep.frame
    if frame["error"].notna().all():
        raise SpecError(f"every run failed, the first as {frame['error'].iat[0]}")
    outcomes = outcomes_of(frame, study.specs, study.after)
    whole, parts = parts_of(progress, [1.0, 0.75])
    indices = analyse(sample, outcomes, seed=study.seed, progress=whole)
    settling = convergence(sample, outcomes, indices, seed=study.seed, progress=parts)
    compared = compare(indices, LOCAL, WORST)
    return Found(
        indices=indices,
        settling=settling,
        compared=compared,
        says=said(indices, compared),
        outcomes=_described(outcomes, indices),
        runs=len(frame),
        resumed=sweep.resumed,
        failed=sweep.failed,
    )


def write(
    directory: Path, study: Study, found: Mapping[Method, Found], sweeps: Mapping[Method, Sweep]
) -> list[Path]:
    """Write the tables, the summary and the figures; returns the paths of the figures."""
    tables: dict[str, dict[Method, pd.DataFrame]] = {
        "indices": {method: one.indices.frame for method, one in found.items()},
        "convergence": {method: one.settling for method, one in found.items()},
        "comparison": {method: one.compared.frame for method, one in found.items()},
        "outcomes": {method: one.outcomes for method, one in found.items()},
    }
    for name, frames in tables.items():
        told = [frame.assign(method=method) for method, frame in frames.items()]
        write_frame(directory / f"{name}.csv", pd.concat(told, ignore_index=True))
    summary: dict[str, Any] = {
        "scenario": study.specs.scenario.name,
        **{method: _summary(one) for method, one in found.items()},
    }
    write_json(directory / "summary.json", summary)
    write_json(
        directory / "provenance.json",
        {
            "study": study.described(),
            **study.after.to_dict(),
            "sweeps": {method: sweep.described for method, sweep in sweeps.items()},
        },
    )
    name = study.specs.scenario.name
    best = found.get("sobol") or found["morris"]
    figures: dict[str, Figure] = {
        "sensitivity": sensitivity_figure(best.indices, best.compared, name=name)
    }
    if "morris" in found:
        screened = found["morris"]
        figures["morris"] = morris_figure(screened.indices, screened.compared, name=name)
    return [write_figure(directory / stem, figure)[0] for stem, figure in figures.items()]


def closing(method: Method, found: Found) -> RenderableType:
    """Return what is shown of a method: a table of the assumptions, and the sentences."""
    compared = found.compared
    kept = f", {found.resumed:,} of them kept from before" if found.resumed else ""
    failed = f", {found.failed:,} failed" if found.failed else ""
    table = Table(
        "assumption",
        Column("training-gaming", justify="right"),
        Column("rank", justify="right"),
        Column("worst case", justify="right"),
        Column("rank", justify="right"),
        title=f"{method}: {found.runs:,} runs{kept}{failed}",
        title_justify="left",
        caption=f"{MEASURE[method]}, mean over the group's outcomes"
        + ("; with 95 % intervals" if method == "sobol" else ""),
        caption_justify="left",
    )
    for _, row in compared.frame.sort_values("left_rank").iterrows():
        cells = []
        for side in ("left", "right"):
            cells += [_number(row, side), str(row[f"{side}_rank"])]
        table.add_row(label(row["input"]), *cells)
    sentences = " ".join(text for text in found.says.values() if text)
    return Group(table, Padding(Text(f"{title(compared)}. {sentences}"), (0, 0, 1, 0)))


def _number(row: pd.Series[Any], side: str) -> str:
    if np.isnan(row[side]):
        return "–"
    low, high = row[f"{side}_low"], row[f"{side}_high"]
    return f"{row[side]:.2f}" + ("" if np.isnan(low) else f" [{low:.2f}, {high:.2f}]")


def _summary(found: Found) -> dict[str, Any]:
    compared = found.compared
    return {
        "runs": found.runs,
        "resumed": found.resumed,
        "failed": found.failed,
        "title": title(compared),
        "says": dict(found.says),
        "states": dict(found.indices.states),
        "left_out": dict(found.indices.left_out),
        "local": list(compared.left),
        "worst_case": list(compared.right),
        "shared": list(compared.shared),
        "shared_interval": _interval(compared.shared_low, compared.shared_high),
        "rank_correlation": _finite(compared.rank_correlation),
        "rank_correlation_interval": _interval(compared.rank_low, compared.rank_high),
        "importance": records(compared.frame),
    }


def _interval(low: float, high: float) -> list[float | None]:
    return [_finite(low), _finite(high)]


def _finite(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None


def _described(outcomes: Mapping[str, Any], indices: Indices) -> pd.DataFrame:
    """Return a row for each outcome: what it was like over the runs."""
    rows = []
    for name, values in outcomes.items():
        there = values[np.isfinite(values)]
        some = len(there) > 0
        rows.append(
            {
                "outcome": name,
                "state": indices.states[name],
                "mean": float(np.mean(there)) if some else np.nan,
                "sd": float(np.std(there)) if some else np.nan,
                "least": float(np.min(there)) if some else np.nan,
                "most": float(np.max(there)) if some else np.nan,
                "left_out": indices.left_out[name],
            }
        )
    return pd.DataFrame(rows)
