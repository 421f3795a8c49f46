"""The study of evidence as a command: what it can be told, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from experiments.evidence.causes import CUTS, by_contexts, cause_table
from experiments.evidence.figure import by_contexts_figure, ratios_figure
from experiments.evidence.figure_calibration_curve import calibration_figure
from experiments.evidence.hypotheses import hypotheses
from experiments.evidence.scores import Score, calibration, score_of
from experiments.evidence.terminal_tables import closing
from experiments.evidence.text import said
from sim.analysis.counterfactuals import moment_of
from sim.analysis.likelihood_ratios import likelihood_table
from sim.analysis.observations import Flags, ObservationThresholds, contexts_gamed, observations
from sim.analysis.worst_case import PostTraining
from sim.cli.after_training import AFTER_KEYS, pop_after
from sim.cli.compose import make_executor, read_place, read_study
from sim.cli.help import keys_of, study_help
from sim.cli.outputs import records, write_figure, write_frame, write_json
from sim.cli.study import describe
from sim.simulation import MOST_SEED
from sim.specs.errors import SpecError, check_whole
from sim.specs.overrides import Specs, read_specs
from sim.specs.prior import Prior
from sim.sweeps.design import is_number
from sim.sweeps.executors import Executor
from sim.sweeps.plan import Part, Plan, Shard, make_plan
from sim.sweeps.prior_sample import PriorSample
from sim.sweeps.sweep import run_plan, with_first_point
from sim.utils.progress import parts_of

__all__ = ["HELP", "KEYS", "Found", "Study", "closing", "measure", "read", "write"]

#: The keys of configs/evidence.yaml besides specs and what comes after training, for the help.
OWN = {
    "agents=12000": "how many agents are drawn from each prior",
    "priors=[uninformed,capable,benign]": "names from configs/prior, or paths of YAML files",
    "cut=true": "train them again with what gaming does to them cut",
    "lacking=2": "terms that an agent near the worst case may lack",
    "aligned=0.5": "alignment from which an agent is aligned",
    "seed=0": "of all random draws",
    "executor=local": "threads of this process; or dask",
    "engine=auto": "numpy, numba, or auto for the fastest that is installed",
    "store=outputs/evidence-sweeps": "where populations are kept; null: nowhere",
    "seeing={}": "from where on something counts as seen; its keys:",
    "  seeing.games=0.5": "gaming rate",
    "  seeing.opaque=0.5": "share of gaming that no scratchpad shows",
    "  seeing.gap=0.3": "compliance gap",
    "  seeing.shift=0.3": "behaviour shift",
    "  seeing.early=0.25": "share of training before whose end gaming set in",
    "  seeing.context=null": "the training context looked at; null: drawn for each agent",
    "What a prior gives goes before the same key of the agent.": "",
}
KEYS = tuple(key for key in keys_of(OWN) if not key.startswith(" "))
HELP = study_help(
    "what training-gaming is evidence of, under several priors.",
    OWN,
    example="priors=[capable] agents=5000 thresholds.misalignment=-0.3",
    sections=AFTER_KEYS,
)
#: A population has so many records, by which onsets are found.
_RECORDS = 40


@dataclass(frozen=True)
class Study:
    """What is asked for."""

    specs: Specs
    after: PostTraining
    seeing: ObservationThresholds
    priors: Mapping[str, Prior]
    agents: int
    cut: bool
    lacking: int
    aligned: float
    seed: int
    engine: str
    store: str | None
    executor: Executor

    @property
    def worlds(self) -> tuple[str, ...]:
        """How each population is trained: as it is, and with each cut."""
        return ("full", *(CUTS if self.cut else ()))

    def plan(self, prior: str, world: str) -> Plan:
        """Return the training of one population.

        Raises:
            SpecError: The prior gives agents that cannot be.
        """
        scenario, agent, training, _ = self.specs
        try:
            draws = PriorSample(
                self.priors[prior], points=self.agents, seed=self.seed, scenario=scenario
            )
            specs = read_specs(
                scenario, agent=agent, training=training, interventions=CUTS.get(world)
            )
            part = Part(
                specs=with_first_point(specs, draws),
                design=draws,
                seeds=(self.seed,),
                record_every=max(1, training.steps // _RECORDS),
            )
            return make_plan([part], engine=self.engine)
        except SpecError as error:
            raise SpecError(f"prior {prior!r}: {error}") from None

    def described(self) -> dict[str, Any]:
        """Return what is asked for, as plain data, for the provenance."""
        own = {
            key: getattr(self, key) for key in KEYS if key not in ("seeing", "priors", "executor")
        }
        study = {
            **own,
            "seeing": vars(self.seeing),
            "priors": {name: one.model_dump(mode="json") for name, one in self.priors.items()},
            "cuts": {name: list(CUTS[name]) for name in self.worlds[1:]},
        }
        return describe(self.specs, **self.after.to_dict(), study=study)


@dataclass(frozen=True)
class Found:
    """What came out.

    Attributes:
        name: Of the scenario.
        evidence: `sim.analysis.likelihood_ratios.likelihood_table` for each prior, with a column `prior_name`.
        cause: `cause_table` likewise; empty if nothing was cut.
        contexts: `by_contexts` likewise.
        curves: `calibration` likewise, with a column `hypothesis`.
        errors: By prior and hypothesis, how good the predictions are.
        scores: By prior and hypothesis, how well the number of contexts gamed tells it.
        left_out: By prior, agents whose training diverged, in any world.
        says: Paragraphs.
    """

    name: str
    evidence: pd.DataFrame
    cause: pd.DataFrame
    contexts: pd.DataFrame
    curves: pd.DataFrame
    errors: Mapping[str, Mapping[str, Mapping[str, float]]]
    scores: Mapping[str, Mapping[str, Score]]
    left_out: Mapping[str, int]
    says: Mapping[str, str]


def read(config: DictConfig, *, scenario_name: str | None = None) -> Study:
    """Check what a config asks for: every population is drawn and compiled, and none is trained.

    Args:
        config: Composed by Hydra, with the keys of configs/evidence.yaml.
        scenario_name: What to call a scenario that has no name of its own.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    specs, own = read_study(config, (*AFTER_KEYS, *KEYS), scenario_name=scenario_name)
    after = pop_after(own, specs.scenario)
    if not specs.scenario.human_values:
        raise SpecError(
            f"scenario: {specs.scenario.name!r} says nothing of human values, so nobody in it is "
            "aligned or misaligned"
        )
    check_whole("agents", own["agents"], minimum=2)
    check_whole("seed", own["seed"], minimum=0, maximum=MOST_SEED)
    check_whole("lacking", own["lacking"], minimum=0)
    if not isinstance(own["cut"], bool):
        raise SpecError(f"cut: got {own['cut']!r}: must be true or false")
    if not is_number(own["aligned"]) or not -1.0 < own["aligned"] <= 1.0:
        raise SpecError(f"aligned: got {own['aligned']!r}: must be an alignment above -1")
    own["store"] = read_place(own["store"])
    own["executor"] = make_executor(own.get("executor"))
    own["seeing"] = ObservationThresholds.read(own["seeing"], specs.scenario)
    given = own["priors"]
    if not isinstance(given, list) or not given or len(set(map(str, given))) < len(given):
        raise SpecError(f"priors: got {given!r}: must be a list of different names")
    own["priors"] = {Path(str(name)).stem: Prior.load(str(name)) for name in given}
    study = Study(specs=specs, after=after, **own)
    for name in study.priors:
        study.plan(name, "full")
    return study


def measure(
    study: Study,
    *,
    progress: Callable[[float], None],
    prepare: Callable[[Shard], None] | None = None,
) -> Found:
    """Draw and train the populations, and count."""
    told = iter(parts_of(progress, [1.0] * len(study.priors) * len(study.worlds)))
    evidence, cause, contexts, curves = [], [], [], []
    errors: dict[str, dict[str, dict[str, float]]] = {}
    scores: dict[str, dict[str, Score]] = {}
    left_out: dict[str, int] = {}
    scenario, steps = study.specs.scenario, study.specs.training.steps
    most = len(scenario.of_kind("training"))
    for name in study.priors:
        frames = {}
        for world in study.worlds:
            plan = study.plan(name, world)
            kept = None if study.store is None else f"{study.store}/{name}-{world}-{plan.id}"
            frames[world] = run_plan(
                plan,
                store=kept,
                executor=study.executor,
                progress=next(told),
                prepare=prepare,
            ).frame.set_index("run")
        sound = np.logical_and.reduce([frame["error"].isna() for frame in frames.values()])
        if sound.sum() < 2:
            raise SpecError(f"prior {name!r}: the training of nearly every agent diverged")
        left_out[name] = int((~sound).sum())
        now = {world: moment_of(frame[sound], scenario) for world, frame in frames.items()}
        true = {
            world: hypotheses(
                one,
                scenario,
                after=study.after,
                lacking=study.lacking,
                aligned=study.aligned,
                games=study.seeing.games,
            )
            for world, one in now.items()
        }
        full = now["full"]
        seen = observations(full, scenario, thresholds=study.seeing, steps=steps, seed=study.seed)
        count = contexts_gamed(full, scenario, games=study.seeing.games)
        holds = true.pop("full")
        evidence.append(_of(name, likelihood_table(seen, holds, seed=study.seed)))
        if true:
            cause.append(_of(name, cause_table(seen, holds, true, seed=study.seed)))
        contexts.append(_of(name, by_contexts(count, holds, maximum=most)))
        scores[name] = {h: score_of(count, flags, seed=study.seed) for h, flags in holds.items()}
        errors[name] = {}
        for h, flags in holds.items():
            curve, errors[name][h] = calibration(_separate(seen), flags, seed=study.seed)
            curves.append(_of(name, curve.assign(hypothesis=h)))
    tables = [pd.concat(parts, ignore_index=True) for parts in (evidence, contexts, curves)]
    causes = pd.concat(cause, ignore_index=True) if cause else pd.DataFrame()
    return Found(
        name=scenario.name,
        evidence=tables[0],
        cause=causes,
        contexts=tables[1],
        curves=tables[2],
        errors=errors,
        scores=scores,
        left_out=left_out,
        says=said(tables[0], causes, tables[1], scores=scores, errors=errors),
    )


def write(directory: Path, study: Study, found: Found) -> list[Path]:
    """Write the tables, the summary and the figures; returns the paths of the figures."""
    write_frame(directory / "evidence.csv", found.evidence)
    write_frame(directory / "contexts.csv", found.contexts)
    write_frame(directory / "calibration.csv", found.curves)
    if study.cut:
        write_frame(directory / "cause.csv", found.cause)
    summary: dict[str, Any] = {
        "scenario": found.name,
        "agents": study.agents,
        "left_out": dict(found.left_out),
        "says": dict(found.says),
        "predictions": {
            prior: {h: _finite(errors) for h, errors in by.items()}
            for prior, by in found.errors.items()
        },
        "auc": {
            prior: {
                h: _finite({"value": one.auc, "low": one.low, "high": one.high})
                for h, one in by.items()
            }
            for prior, by in found.scores.items()
        },
        "contexts": records(found.contexts),
    }
    write_json(directory / "summary.json", summary)
    write_json(directory / "provenance.json", study.described())
    figures = {
        "evidence": ratios_figure(found.evidence, found.cause, name=found.name),
        "contexts": by_contexts_figure(found.contexts, name=found.name),
        "calibration": calibration_figure(found.curves, found.scores, name=found.name),
    }
    return [write_figure(directory / name, figure)[0] for name, figure in figures.items()]


def _of(prior: str, table: pd.DataFrame) -> pd.DataFrame:
    table.insert(0, "prior_name", prior)
    return table


def _separate(seen: Mapping[str, Flags]) -> dict[str, Flags]:
    """Leave out what follows from the rest: counts of contexts from these, and nothing seen."""
    return {name: flags for name, flags in seen.items() if "exactly" not in name}


def _finite(numbers: Mapping[str, float]) -> dict[str, float | None]:
    return {name: float(x) if np.isfinite(x) else None for name, x in numbers.items()}
