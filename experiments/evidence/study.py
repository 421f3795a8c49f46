"""The study of evidence: its settings, its populations, and the tables that it writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import BeforeValidator, Field

from sim.analysis.counterfactuals import moment_of
from sim.analysis.likelihood_ratios import likelihood_table
from sim.analysis.observations import ObservationThresholds, contexts_gamed, observations
from sim.analysis.worst_case import TERMS, PostTraining
from sim.cli.fields import Count, Engine, Real, Seed, Spec, Store
from sim.cli.outputs import none_if_not_finite, records, run_stored
from sim.specs.base import refuse
from sim.specs.errors import SpecError
from sim.specs.overrides import Specs, read_specs
from sim.specs.prior import Prior
from sim.sweeps.executors import Executor
from sim.sweeps.plan import Part, Plan, make_plan
from sim.sweeps.prior_sample import PriorSample
from sim.sweeps.sweep import with_first_point

from .causes import CUTS, cause_table, cuts
from .hypotheses import by_contexts, hypotheses
from .scores import Score, calibration, score_of
from .verdicts import cause_verdicts, peaks, predictions, verdicts

#: A population has so many records, by which onsets are found.
RECORDS = 40
#: The tables that the terminal shows.
SHOWN = {
    "verdicts": (
        *("prior_name", "hypothesis", "prior", "observation", "ratio", "ratio_low", "ratio_high"),
        *("posterior", "verdict"),
    ),
    "peaks": ("prior_name", "hypothesis", "contexts", "share", "last", "last_share", "verdict"),
    "predictions": ("prior_name", "hypothesis", "auc", "auc_low", "auc_high", "gain", "verdict"),
    "cause_verdicts": (
        *("prior_name", "cut", "observation", "ratio", "ratio_cut", "adds", "adds_low"),
        *("adds_high", "verdict"),
    ),
}

Level = Annotated[Real, Field(gt=0.0, le=1.0)]


def load_priors(names: object) -> object:
    """Return priors by name from a list of names and paths."""
    if isinstance(names, Mapping):
        return names
    if not isinstance(names, list | tuple) or not names or len(set(map(str, names))) < len(names):
        raise refuse(f"got {names!r}: must be a list of different names")
    try:
        return {Path(str(name)).stem: Prior.load(str(name)) for name in names}
    except SpecError as error:
        raise refuse(str(error)) from None


class Seeing(Spec):
    """Thresholds of observations (`sim.analysis.observations.ObservationThresholds`)."""

    games: Level
    opaque: Level
    gap: Level
    shift: Level
    early: Level
    context: str | None


class Settings(Spec):
    """The study's own keys; their meaning and defaults are in config.yaml."""

    agents: Annotated[Count, Field(ge=2)]
    priors: Annotated[dict[str, Prior], BeforeValidator(load_priors), Field(min_length=1)]
    cut: Annotated[bool, Field(strict=True)]
    lacking: Annotated[int, Field(ge=0, lt=len(TERMS), strict=True)]
    aligned: Annotated[Real, Field(gt=-1.0, le=1.0)]
    seed: Seed
    engine: Engine
    store: Store
    seeing: Seeing

    @property
    def worlds(self) -> tuple[str, ...]:
        """Populations of each prior: `full`, as it is, and one for each cut."""
        return ("full", *(CUTS if self.cut else ()))


@dataclass(frozen=True)
class Results:
    """Tables of all priors, and what they leave out.

    Attributes:
        evidence: `likelihood_table` for each prior, with a column `prior_name`.
        cause: `cause_table` likewise; empty if nothing was cut.
        contexts: `by_contexts` likewise.
        curves: `calibration` likewise, with a column `hypothesis`.
        errors: Errors of predictions, by prior and hypothesis.
        scores: By prior and hypothesis, how well the number of contexts gamed tells it.
        left_out: By prior, the number of agents whose training diverged, in any world.
    """

    evidence: pd.DataFrame
    cause: pd.DataFrame
    contexts: pd.DataFrame
    curves: pd.DataFrame
    errors: Mapping[str, Mapping[str, Mapping[str, float]]]
    scores: Mapping[str, Mapping[str, Score]]
    left_out: Mapping[str, int]


def check(specs: Specs, settings: Settings) -> None:
    """Refuse what cannot be studied: every population is drawn and compiled, and none is trained.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    if not specs.scenario.human_values:
        raise SpecError(
            f"scenario: {specs.scenario.name!r} says nothing of human values, so nobody in it is "
            "aligned or misaligned"
        )
    ObservationThresholds.read(settings.seeing.model_dump(), specs.scenario)
    for name in settings.priors:
        population_plan(specs, settings, name, "full")


def population_plan(specs: Specs, settings: Settings, prior: str, world: str) -> Plan:
    """Return the training of one population.

    Raises:
        SpecError: The prior gives agents that cannot be.
    """
    scenario, agent, training, _ = specs
    try:
        sample = PriorSample(
            settings.priors[prior], points=settings.agents, seed=settings.seed, scenario=scenario
        )
        population = read_specs(
            scenario, agent=agent, training=training, interventions=cuts(training.steps).get(world)
        )
        part = Part(
            specs=with_first_point(population, sample),
            design=sample,
            seeds=(settings.seed,),
            record_every=max(1, training.steps // RECORDS),
        )
        return make_plan([part], engine=settings.engine)
    except SpecError as error:
        raise SpecError(f"prior {prior!r}: {error}") from None


def run(
    specs: Specs,
    settings: Settings,
    post_training: PostTraining,
    executor: Executor | None = None,
    *,
    progress: Callable[[float], None] | None = None,
) -> Results:
    """Draw and train the populations, each kept in a directory of its own below `store`; count.

    Raises:
        SpecError: As for `check`, or nearly every training of a prior diverged.
    """
    plans = {
        f"{prior}-{world}": population_plan(specs, settings, prior, world)
        for prior in settings.priors
        for world in settings.worlds
    }
    sweeps = run_stored(plans, settings.store, executor=executor, progress=progress)
    thresholds = ObservationThresholds.read(settings.seeing.model_dump(), specs.scenario)
    parts: dict[str, list[pd.DataFrame]] = {"evidence": [], "cause": [], "contexts": []}
    curves: list[pd.DataFrame] = []
    errors: dict[str, dict[str, dict[str, float]]] = {}
    scores: dict[str, dict[str, Score]] = {}
    left_out: dict[str, int] = {}
    scenario, steps, seed = specs.scenario, specs.training.steps, settings.seed
    for prior in settings.priors:
        frames = {
            world: sweeps[f"{prior}-{world}"].frame.set_index("run") for world in settings.worlds
        }
        sound = np.logical_and.reduce([frame["error"].isna() for frame in frames.values()])
        if sound.sum() < 2:
            raise SpecError(f"prior {prior!r}: the training of nearly every agent diverged")
        left_out[prior] = int((~sound).sum())
        moments = {world: moment_of(frame[sound], scenario) for world, frame in frames.items()}
        truth = {
            world: hypotheses(
                moment,
                scenario,
                post_training=post_training,
                lacking=settings.lacking,
                aligned=settings.aligned,
                games=thresholds.games,
            )
            for world, moment in moments.items()
        }
        full, holds = moments["full"], truth.pop("full")
        signs = observations(full, scenario, thresholds=thresholds, steps=steps, seed=seed)
        count = contexts_gamed(full, scenario, games=thresholds.games)
        maximum = len(scenario.of_kind("training"))
        parts["evidence"].append(with_prior(prior, likelihood_table(signs, holds, seed=seed)))
        if truth:
            parts["cause"].append(with_prior(prior, cause_table(signs, holds, truth, seed=seed)))
        parts["contexts"].append(with_prior(prior, by_contexts(count, holds, maximum=maximum)))
        scores[prior] = {h: score_of(count, flags, seed=seed) for h, flags in holds.items()}
        errors[prior] = {}
        # Counts of contexts follow from the others.
        elementary = {name: flags for name, flags in signs.items() if "exactly" not in name}
        for hypothesis, flags in holds.items():
            curve, errors[prior][hypothesis] = calibration(elementary, flags, seed=seed)
            curves.append(with_prior(prior, curve.assign(hypothesis=hypothesis)))
    return Results(
        evidence=pd.concat(parts["evidence"], ignore_index=True),
        cause=pd.concat(parts["cause"], ignore_index=True) if parts["cause"] else pd.DataFrame(),
        contexts=pd.concat(parts["contexts"], ignore_index=True),
        curves=pd.concat(curves, ignore_index=True),
        errors=errors,
        scores=scores,
        left_out=left_out,
    )


def with_prior(prior: str, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the name of its prior in the first column."""
    table.insert(0, "prior_name", prior)
    return table


def tables(results: Results) -> dict[str, pd.DataFrame]:
    """Return ratios, shares by contexts, calibration, causes, and a table of verdicts for each."""
    frames = {
        "evidence": results.evidence,
        "contexts": results.contexts,
        "calibration": results.curves,
        "verdicts": verdicts(results.evidence),
        "peaks": peaks(results.contexts),
        "predictions": predictions(results.scores, results.errors),
    }
    if results.cause.empty:
        return frames
    return {**frames, "cause": results.cause, "cause_verdicts": cause_verdicts(results.cause)}


def summary(results: Results, specs: Specs, settings: Settings) -> dict[str, Any]:
    """Return counts, errors of predictions, areas under curves, shares and verdicts, for JSON."""
    rows = {name: records(table) for name, table in tables(results).items()}
    return {
        "scenario": specs.scenario.name,
        "agents": settings.agents,
        "left_out": dict(results.left_out),
        "predictions": {
            prior: {h: finite(numbers) for h, numbers in errors.items()}
            for prior, errors in results.errors.items()
        },
        "auc": {
            prior: {
                h: finite({"value": x.auc, "low": x.low, "high": x.high}) for h, x in by.items()
            }
            for prior, by in results.scores.items()
        },
        "contexts": rows["contexts"],
        **{name: rows[name] for name in ("verdicts", "peaks", "cause_verdicts") if name in rows},
    }


def finite(numbers: Mapping[str, float]) -> dict[str, float | None]:
    """Return numbers as JSON has them."""
    return {name: none_if_not_finite(number) for name, number in numbers.items()}
