"""Claims that a study answers: what it finds at every point of a region.

Each takes a claim and returns its numbers as worlds do (`experiments.claims.measures`).

    partial_gaming   footnote 4: agents that start undecided, under each assumption
    populations      agents drawn from priors, trained under each assumption: what seeing gaming
                     says of misalignment, and how many meet the worst case
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from experiments.claims.cached_table import cached_table
from experiments.claims.measures import How, Measured, design_of, quantities_of
from experiments.claims.populations import NEAR, Population, counted
from experiments.claims.spec import Claim
from experiments.footnote4.cases import CASES, Case
from experiments.footnote4.partial_gaming import try_cases as partial_gaming_study
from experiments.worst_case.funnel import GAMING_STAGES
from sim.analysis.counterfactuals import moment_of
from sim.analysis.likelihood_ratios import likelihood_table
from sim.analysis.observations import RANDOM, ObservationThresholds, observations
from sim.analysis.worst_case import TERMS, Thresholds, worst_case_at
from sim.dynamics.engines.registry import get_engine
from sim.specs.errors import SpecError, nearest
from sim.specs.overrides import Specs, apply_overrides, read_specs
from sim.specs.prior import Prior
from sim.specs.scenario import Scenario
from sim.specs.training import Training
from sim.sweeps.plan import Part, make_plan
from sim.sweeps.prior_sample import PriorSample
from sim.sweeps.sweep import run_plan, with_first_point
from sim.takeover import read_deployment, read_oversight
from sim.utils.intervals import binomial_interval
from sim.utils.progress import parts_of

Progress = Callable[[float], None]
#: From where to where the awareness of agents that start undecided is drawn (a logit).
_AWARENESS = (-8.0, 2.0)
Study = Callable[[Claim, How, Progress | None], Measured]
#: Fewer agents than this say nothing of a share.
_FEWEST_AGENTS = 32


def measure_study(claim: Claim, how: How, *, progress: Progress | None = None) -> Measured:
    """Ask the study that a claim names.

    Raises:
        SpecError: There is no such study, or it cannot be asked this.
    """
    return study_of(claim)(claim, how, progress)


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


def points_of(claim: Claim, how: How) -> list[dict[str, Any]]:
    """Return the points of a region: every choice with every combination of numbers."""
    design = design_of(claim.region, how)
    numbers: list[dict[str, Any]] = [{}]
    if design is not None:
        columns = design.at(np.arange(len(design)))
        numbers = [
            {key: float(column[i]) for key, column in columns.items()} for i in range(len(design))
        ]
    choices = claim.region.choices
    chosen = [dict(zip(choices, one, strict=True)) for one in itertools.product(*choices.values())]
    return [{**choice, **number} for choice in chosen for number in numbers]


def _partial_gaming(claim: Claim, how: How, progress: Progress | None) -> Measured:
    """Ask footnote 4's study at every point; beside, its own cases in its own scenario."""
    options = {"agents": 64, "steps": 20000, "shown": "copyright", **claim.measure.options}
    agents = how.scaled(int(options["agents"]), least=_FEWEST_AGENTS)
    points = points_of(claim, how)
    scenarios = list(dict.fromkeys(point["scenario"] for point in points))
    tables = []
    told = iter(parts_of(progress, [*[1.0] * len(scenarios), 0.5]))
    for scenario in scenarios:
        specs = read_specs(scenario, training={"steps": int(options["steps"])})
        here = [i for i, point in enumerate(points) if point["scenario"] == scenario]
        table = _fates(
            specs,
            [{k: v for k, v in points[i].items() if k != "scenario"} for i in here],
            agents=agents,
            how=how,
            told=next(told),
        )
        tables.append(table.set_axis(here))
    shown = partial_gaming_study(
        read_specs(str(options["shown"]), training={"steps": int(options["steps"])}),
        cases=CASES,
        agents=agents,
        seed=how.seed,
        awareness=_AWARENESS,
        engine=how.engine,
        progress=next(told),
    )
    found = pd.concat(tables).sort_index()
    return _measured(claim, points, found, runs=agents * len(points), beside={"footnote4": shown})


def _fates(
    specs: Specs, points: list[dict[str, Any]], *, agents: int, how: How, told: Progress
) -> pd.DataFrame:
    """Return what footnote 4's study finds at points of one scenario, a row each."""

    def ask() -> pd.DataFrame:
        cases = [Case("x", f"point {i}", "", point) for i, point in enumerate(points)]
        outcomes = partial_gaming_study(
            specs,
            cases=cases,
            agents=agents,
            seed=how.seed,
            awareness=_AWARENESS,
            engine=how.engine,
            progress=told,
        )
        return pd.DataFrame(
            {
                "undecided": [float(one.undecided[-1]) for one in outcomes],
                "some_of_the_time": [float(one.partial[-1]) for one in outcomes],
                "half_life": [
                    one.half_life if np.isfinite(one.half_life) else np.nan for one in outcomes
                ],
                "nudge_left": [one.perturbation_ratio for one in outcomes],
                "value_kept": [one.value_kept for one in outcomes],
            }
        )

    depends_on = {
        "study": "partial_gaming",
        "scenario": specs.scenario.model_dump(mode="json"),
        "agent": specs.agent.model_dump(mode="json"),
        "training": specs.training.model_dump(mode="json"),
        "points": points,
        "agents": agents,
        "seed": how.seed,
        "engine": get_engine(how.engine).name,
    }
    return cached_table(how.tables, depends_on, ask)


def _populations(claim: Claim, how: How, progress: Progress | None) -> Measured:
    """Draw agents from each prior, train them as each point says, and count."""
    scenario, _, agents = populations_setting(claim, how)
    points = points_of(claim, how)
    parts = []
    for point in points:
        draws = PriorSample(
            Prior.load(point["prior"]), points=agents, scenario=scenario, seed=how.seed
        )
        settings = {key: value for key, value in point.items() if key != "prior"}
        specs = apply_overrides(read_specs(scenario), settings)
        specs = with_first_point(specs, draws)
        every = max(1, specs.training.steps // 40)
        parts.append(Part(specs=specs, design=draws, seeds=(how.seed,), record_every=every))
    plan = make_plan(parts, engine=how.engine)
    frame = run_plan(plan, store=how.place(plan), progress=progress).frame
    rows: list[dict[str, float]] = []
    stages: dict[str, Population] = {}
    for number, point in enumerate(points):
        here = frame[(frame["part"] == number) & frame["error"].isna()].reset_index(drop=True)
        now = moment_of(here, scenario)
        row, population = _counted(
            now, scenario, steps=plan.parts[number].specs.training.steps, seed=how.seed
        )
        rows.append(row)
        if all(value == _default(key) for key, value in point.items() if key != "prior"):
            stages[point["prior"]] = population
    return _measured(claim, points, pd.DataFrame(rows), runs=plan.runs, beside={"funnels": stages})


def populations_setting(claim: Claim, how: How) -> tuple[Scenario, int, int]:
    """Return in what scenario the populations are trained, for how many steps, and of what size."""
    options = {"agents": 1024, "scenario": "lab_to_deployment", **claim.measure.options}
    scenario = Scenario.load(str(options["scenario"]))
    steps = read_specs(scenario).training.steps
    return scenario, steps, how.scaled(int(options["agents"]), least=_FEWEST_AGENTS)


def funnel_point(claim: Claim) -> dict[str, float]:
    """Return the assumptions under which the funnel is shown: those of training by default."""
    return {key: _default(key) for key in claim.axes if key not in claim.region.choices}


def _default(key: str) -> float:
    """Return what training assumes of a key where nothing is said."""
    value: Any = Training()
    for part in key.split(".")[1:]:
        value = getattr(value, part)
    return float(value)


def _counted(
    now: xr.Dataset, scenario: Scenario, *, steps: int, seed: int
) -> tuple[dict[str, float], Population]:
    """Return shares and ratios of a population, and how many meet each condition of the funnel."""
    case = worst_case_at(
        now,
        scenario,
        thresholds=Thresholds(),
        oversight=read_oversight(None, scenario),
        deployment=read_deployment(None, scenario),
    )
    reach = now["reach"].values
    met = case["met"].values
    true = {
        "misaligned": met[:, TERMS.index("misalignment")],
        "near": case["lacking"].values <= NEAR,
    }
    everywhere = f"games in {len(scenario.of_kind('training'))} or more"
    seen = observations(now, scenario, thresholds=ObservationThresholds(), steps=steps, seed=seed)
    ratio = likelihood_table(
        {name: seen[name] for name in (RANDOM, everywhere)}, true, seed=seed
    ).set_index(["observation", "hypothesis"])
    games, worst, attempts = (
        np.asarray(reach > 0.0, np.bool_),
        met.all(axis=1),
        case["attempts"].values,
    )
    conditions = np.column_stack([np.ones(len(met), bool), games, reach >= 1.0, met, attempts])
    fewest_games = float(binomial_interval(games.sum(), len(met))[0])
    most_worst = float(binomial_interval(worst.sum(), len(met))[1])
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
    names = ("all", *GAMING_STAGES, *TERMS, "attempts")
    trained = now.sel(context=list(scenario.of_kind("training")))
    return row, counted(_stages(conditions, names), trained, met, np.asarray(attempts, np.bool_))


def _stages(conditions: Any, names: tuple[str, ...]) -> pd.DataFrame:
    reached = np.logical_and.accumulate(conditions, axis=1)
    return pd.DataFrame(
        {
            "stage": names,
            "count": reached.sum(axis=0),
            "alone": conditions.sum(axis=0),
            "agents": len(conditions),
        }
    )


def _measured(
    claim: Claim,
    points: list[dict[str, Any]],
    found: pd.DataFrame,
    *,
    runs: int,
    beside: dict[str, Any],
) -> Measured:
    """Return what a study found as a claim's quantities.

    Raises:
        SpecError: A quantity names what the study does not find.
    """
    quantities = quantities_of(claim, dict.fromkeys(claim.measure.worlds, found))
    return Measured(pd.DataFrame(points)[list(claim.axes)], quantities, runs, beside)


#: By name: the study, and the options that it has.
STUDIES: dict[str, tuple[Study, tuple[str, ...]]] = {
    "partial_gaming": (_partial_gaming, ("agents", "steps", "shown")),
    "populations": (_populations, ("agents", "scenario")),
}
