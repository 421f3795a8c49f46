"""Claims that are measured by a study at every point of a region, instead of by worlds.

partial_gaming   footnote 4: agents that start undecided, under each assumption
populations      agents drawn from priors, trained under each assumption: likelihood ratios of
gaming for misalignment, and how many agents meet the worst case
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from experiments.footnote4.cases import CASES, Case
from experiments.footnote4.partial_gaming import try_cases
from sim.analysis.counterfactuals import moment_of
from sim.analysis.likelihood_ratios import likelihood_table
from sim.analysis.observations import RANDOM, ObservationThresholds, observations
from sim.analysis.worst_case import TERMS, Thresholds, worst_case_at
from sim.dynamics.engines.registry import get_engine
from sim.result import versions
from sim.specs.errors import SpecError, nearest
from sim.specs.overrides import Specs, apply_overrides, read_specs
from sim.specs.prior import Prior
from sim.specs.scenario import Scenario
from sim.specs.training import Training
from sim.sweeps.plan import Part, code_digest, make_plan
from sim.sweeps.prior_sample import PriorSample
from sim.sweeps.sweep import run_plan, with_first_point
from sim.takeover import read_deployment, read_oversight
from sim.utils.files import atomic_write
from sim.utils.intervals import binomial_interval
from sim.utils.progress import parts_of

from .measures import Measured, RunOptions, design_of, quantities_of
from .populations import NEAR, STAGES, Population, count_population
from .spec import Claim

Progress = Callable[[float], None]
#: From where to where the awareness of agents that start undecided is drawn (a logit).
_AWARENESS = (-8.0, 2.0)
Study = Callable[[Claim, RunOptions, Progress | None], Measured]
#: A share is not taken of fewer agents than this.
_FEWEST_AGENTS = 32


def measure_study(
    claim: Claim, run_options: RunOptions, *, progress: Progress | None = None
) -> Measured:
    """Measure a claim by the study that it names.

    Raises:
        SpecError: There is no such study, or it has no such options or columns.
    """
    return study_of(claim)(claim, run_options, progress)


def study_of(claim: Claim) -> Study:
    """Return the study that a claim names.

    Raises:
        SpecError: There is no such study, or an option that it does not have.
    """
    name = str(claim.measure.study)
    if name not in STUDIES:
        raise SpecError(
            f"claims/{claim.name}.measure.study: got {name!r}: {nearest(name, STUDIES)}"
        )
    study, options = STUDIES[name]
    for key in claim.measure.options:
        if key not in options:
            hint = nearest(key, options)
            raise SpecError(f"claims/{claim.name}.measure.options.{key}: unknown option; {hint}")
    return study


def points_of(claim: Claim, run_options: RunOptions) -> list[dict[str, Any]]:
    """Return the points of a region: every choice with every combination of numbers."""
    design = design_of(claim.region, run_options)
    numbers: list[dict[str, Any]] = [{}]
    if design is not None:
        columns = design.at(np.arange(len(design)))
        numbers = [
            {key: float(column[i]) for key, column in columns.items()} for i in range(len(design))
        ]
    choices = claim.region.choices
    combinations = [
        dict(zip(choices, levels, strict=True)) for levels in itertools.product(*choices.values())
    ]
    return [{**choice, **number} for choice in combinations for number in numbers]


def _partial_gaming(claim: Claim, run_options: RunOptions, progress: Progress | None) -> Measured:
    """Run footnote 4's study at every point; beside, its own cases in its own scenario."""
    options = {"agents": 64, "steps": 20000, "shown": "copyright", **claim.measure.options}
    agents = run_options.scaled(int(options["agents"]), minimum=_FEWEST_AGENTS)
    points = points_of(claim, run_options)
    scenarios = list(dict.fromkeys(point["scenario"] for point in points))
    tables = []
    report_progress = iter(parts_of(progress, [*[1.0] * len(scenarios), 0.5]))
    for scenario in scenarios:
        specs = read_specs(scenario, training={"steps": int(options["steps"])})
        numbers = [i for i, point in enumerate(points) if point["scenario"] == scenario]
        table = _fates(
            specs,
            [{k: v for k, v in points[i].items() if k != "scenario"} for i in numbers],
            agents=agents,
            run_options=run_options,
            progress=next(report_progress),
        )
        tables.append(table.set_axis(numbers))
    cases = try_cases(
        read_specs(str(options["shown"]), training={"steps": int(options["steps"])}),
        cases=CASES,
        agents=agents,
        seed=run_options.seed,
        awareness=_AWARENESS,
        engine=run_options.engine,
        progress=next(report_progress),
    )
    frame = pd.concat(tables).sort_index()
    runs = agents * len(points)
    return _measured(claim, points, frame, runs=runs, beside={"footnote4": cases})


def _fates(
    specs: Specs,
    points: list[dict[str, Any]],
    *,
    agents: int,
    run_options: RunOptions,
    progress: Progress,
) -> pd.DataFrame:
    """Return the results of footnote 4's study at points of one scenario, a row each."""

    def make() -> pd.DataFrame:
        outcomes = try_cases(
            specs,
            cases=[Case("x", f"point {i}", "", point) for i, point in enumerate(points)],
            agents=agents,
            seed=run_options.seed,
            awareness=_AWARENESS,
            engine=run_options.engine,
            progress=progress,
        )
        rows = [
            (
                float(outcome.undecided[-1]),
                float(outcome.partial[-1]),
                outcome.half_life if np.isfinite(outcome.half_life) else np.nan,
                outcome.perturbation_ratio,
                outcome.value_kept,
            )
            for outcome in outcomes
        ]
        names = ("undecided", "some_of_the_time", "half_life", "nudge_left", "value_kept")
        return pd.DataFrame(rows, columns=list(names))

    depends_on = {
        "study": "partial_gaming",
        "scenario": specs.scenario.model_dump(mode="json"),
        "agent": specs.agent.model_dump(mode="json"),
        "training": specs.training.model_dump(mode="json"),
        "points": points,
        "agents": agents,
        "seed": run_options.seed,
        "engine": get_engine(run_options.engine).name,
    }
    return cached_table(run_options.tables, depends_on, make)


def cached_table(
    place: Path | None, depends_on: Mapping[str, Any], make: Callable[[], pd.DataFrame]
) -> pd.DataFrame:
    """Return a stored table of numbers, or make and store it.

    A file that cannot be read, or that belongs to something else, is made again.

    Args:
        place: The folder of stored tables; None: nothing is stored.
        depends_on: Everything that determines the table, as JSON; version and code are added.
        make: Makes the table.
    """
    if place is None:
        return make()
    key = {**depends_on, "version": versions()["training-gaming-sim"], "code": code_digest()}
    text = json.dumps(key, sort_keys=True)
    path = place / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["depends_on"] == json.loads(text):
            return pd.DataFrame(stored["table"], dtype=float)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    table = make()
    place.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part:
        # JSON has no nan; null is read as one.
        columns = table.astype(object).where(table.notna(), None).to_dict("list")
        part.write_text(json.dumps({"depends_on": key, "table": columns}), encoding="utf-8")
    return table


def _populations(claim: Claim, run_options: RunOptions, progress: Progress | None) -> Measured:
    """Draw agents from each prior, train them at each point, and count."""
    scenario, _, agents = populations_setting(claim, run_options)
    points = points_of(claim, run_options)
    parts = []
    for point in points:
        draws = PriorSample(
            Prior.load(point["prior"]), points=agents, scenario=scenario, seed=run_options.seed
        )
        settings = {key: value for key, value in point.items() if key != "prior"}
        specs = apply_overrides(read_specs(scenario), settings)
        specs = with_first_point(specs, draws)
        every = max(1, specs.training.steps // 40)
        parts.append(Part(specs=specs, design=draws, seeds=(run_options.seed,), record_every=every))
    plan = make_plan(parts, engine=run_options.engine)
    frame = run_plan(plan, store=run_options.place(plan), progress=progress).frame
    rows: list[dict[str, float]] = []
    stages: dict[str, Population] = {}
    for number, point in enumerate(points):
        runs = frame[(frame["part"] == number) & frame["error"].isna()].reset_index(drop=True)
        moment = moment_of(runs, scenario)
        row, population = _count_point(
            moment, scenario, steps=plan.parts[number].specs.training.steps, seed=run_options.seed
        )
        rows.append(row)
        if all(value == _default(key) for key, value in point.items() if key != "prior"):
            stages[point["prior"]] = population
    return _measured(claim, points, pd.DataFrame(rows), runs=plan.runs, beside={"funnels": stages})


def populations_setting(claim: Claim, run_options: RunOptions) -> tuple[Scenario, int, int]:
    """Return the scenario of the populations, their number of training steps, and their size."""
    options = {"agents": 1024, "scenario": "lab_to_deployment", **claim.measure.options}
    scenario = Scenario.load(str(options["scenario"]))
    steps = read_specs(scenario).training.steps
    return scenario, steps, run_options.scaled(int(options["agents"]), minimum=_FEWEST_AGENTS)


def funnel_point(claim: Claim) -> dict[str, float]:
    """Return the assumptions of the funnel that is shown: the defaults of training."""
    return {key: _default(key) for key in claim.axes if key not in claim.region.choices}


def _default(key: str) -> float:
    """Return the default of a key of training."""
    value: Any = Training()
    for part in key.split(".")[1:]:
        value = getattr(value, part)
    return float(value)


def _count_point(
    moment: xr.Dataset, scenario: Scenario, *, steps: int, seed: int
) -> tuple[dict[str, float], Population]:
    """Return shares and ratios of a population, and how many meet each condition of the funnel."""
    case = worst_case_at(
        moment,
        scenario,
        thresholds=Thresholds(),
        oversight=read_oversight(None, scenario),
        deployment=read_deployment(None, scenario),
    )
    reach = moment["reach"].values
    terms_met = case["met"].values
    true = {
        "misaligned": terms_met[:, TERMS.index("misalignment")],
        "near": case["lacking"].values <= NEAR,
    }
    everywhere = f"games in {len(scenario.of_kind('training'))} or more"
    observed = observations(
        moment, scenario, thresholds=ObservationThresholds(), steps=steps, seed=seed
    )
    ratio = likelihood_table(
        {name: observed[name] for name in (RANDOM, everywhere)}, true, seed=seed
    ).set_index(["observation", "hypothesis"])
    games, worst, attempts = (
        np.asarray(reach > 0.0, np.bool_),
        terms_met.all(axis=1),
        case["attempts"].values,
    )
    conditions = np.column_stack(
        [np.ones(len(terms_met), bool), games, reach >= 1.0, terms_met, attempts]
    )
    fewest_games = float(binomial_interval(games.sum(), len(terms_met))[0])
    most_worst = float(binomial_interval(worst.sum(), len(terms_met))[1])
    row = {
        "games": float(games.mean()),
        "misaligned": float(true["misaligned"].mean()),
        "worst_case": float(worst.mean()),
        "attempts": float(attempts.mean()),
        "worst_per_gaming": most_worst / fewest_games if fewest_games > 0.0 else np.nan,
        "ratio": float(ratio.loc[(RANDOM, "misaligned"), "ratio"]),
        "ratio_low": float(ratio.loc[(RANDOM, "misaligned"), "ratio_low"]),
        "ratio_everywhere": float(ratio.loc[(everywhere, "misaligned"), "ratio"]),
        "near_ratio": float(ratio.loc[(RANDOM, "near"), "ratio"]),
    }
    trained = moment.sel(context=list(scenario.of_kind("training")))
    attempting = np.asarray(attempts, np.bool_)
    return row, count_population(_stages(conditions), trained, terms_met, attempting)


def _stages(conditions: Any) -> pd.DataFrame:
    reached = np.logical_and.accumulate(conditions, axis=1)
    return pd.DataFrame(
        {
            "stage": STAGES,
            "count": reached.sum(axis=0),
            "alone": conditions.sum(axis=0),
            "agents": len(conditions),
        }
    )


def _measured(
    claim: Claim,
    points: list[dict[str, Any]],
    frame: pd.DataFrame,
    *,
    runs: int,
    beside: dict[str, Any],
) -> Measured:
    """Return the columns of a study as a claim's quantities.

    Raises:
        SpecError: A quantity names a column that the study does not have.
    """
    quantities = quantities_of(claim, dict.fromkeys(claim.measure.worlds, frame))
    return Measured(pd.DataFrame(points)[list(claim.axes)], quantities, runs, beside)


#: By name: the study, and the options that it has.
STUDIES: dict[str, tuple[Study, tuple[str, ...]]] = {
    "partial_gaming": (_partial_gaming, ("agents", "steps", "shown")),
    "populations": (_populations, ("agents", "scenario")),
}
