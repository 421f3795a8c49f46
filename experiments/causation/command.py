"""The study of causes as a command: what its config asks for, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure
from omegaconf import DictConfig
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from experiments.causation.contrasts import Contrast, Do, contrasts_of
from experiments.causation.figure import effects_figure
from experiments.causation.figure_mediation import mediation_figure, scenarios_figure
from experiments.causation.figure_self_modification import self_modification_figure
from experiments.causation.mediation import mediation, mediation_worlds
from experiments.causation.scenario_effects import SCENARIOS, scenario_effects, scenario_worlds
from experiments.causation.self_modification import SCENARIO, coverage, coverage_worlds, with_copies
from experiments.causation.study import Effects, effect_worlds, effects, groups_at_start
from experiments.causation.text import (
    effects_paragraph,
    mediation_paragraph,
    scenarios_paragraph,
    self_modification_paragraph,
)
from sim.analysis.counterfactuals import (
    initial_values,
    outcomes_by_world,
    policies_by_world,
    worlds_plan,
)
from sim.analysis.worst_case import PostTraining
from sim.cli.after_training import AFTER_KEYS, pop_after
from sim.cli.compose import make_executor, read_place, read_study
from sim.cli.help import keys_of, study_help
from sim.cli.outputs import records, write_figure, write_frame, write_json
from sim.cli.study import describe
from sim.simulation import MOST_SEED
from sim.specs.errors import SpecError, check_whole, nearest
from sim.specs.overrides import Specs, read_specs
from sim.specs.scenario import Scenario
from sim.sweeps.executors import Executor
from sim.sweeps.plan import Plan, Shard
from sim.sweeps.result import Sweep
from sim.sweeps.sweep import run_plan

PARTS = ("effects", "mediation", "scenarios", "self_modification")
#: The keys of configs/causation.yaml besides specs and what comes after training, for the help.
OWN = {
    "parts=[effects,mediation,...]": f"which of {', '.join(PARTS)}",
    "agents=512": "how many pairs of twins, of effects and of mediation",
    "few_agents=32": "how many in each scenario, and at each coverage",
    "scenarios=[copyright,...]": "which scenarios are compared",
    "copies=3": "how many times self_modification copies each context",
    "do=[]": "interventions to know the effect of; none: gaming",
    "seed=0": "of all random draws",
    "executor=local": "threads of this process; or dask",
    "engine=auto": "numpy, numba, or auto for the fastest that is installed",
    "store=outputs/causation-sweeps": "where runs are kept for the same command again; or null",
}
KEYS = keys_of(OWN)
HELP = study_help(
    "what training-gaming causes: twins with and without it.",
    OWN,
    example="parts=[effects] 'do=[{key: training.leak, set: 0.3}]'",
    sections=AFTER_KEYS,
)
_MOST_TWINS, _MOST_COPIES = 100_000, 8
#: How far the agents of `SCENARIO` differ from each other.
_SPREAD = {"initial": {"values": 0.1, "awareness": 0.5}}


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is asked for; the keys of configs/causation.yaml."""

    specs: Specs
    after: PostTraining
    do: Do
    parts: tuple[str, ...]
    agents: int
    few_agents: int
    scenarios: tuple[str, ...]
    copies: int
    seed: int
    engine: str
    executor: Executor

    @cached_property
    def contrasts(self) -> dict[str, Contrast]:
        """What twins differ in."""
        return contrasts_of(self.specs, self.do)

    @property
    def cause(self) -> str:
        """What twins differ in, in the main contrast."""
        return next(iter(self.contrasts))

    @cached_property
    def plans(self) -> dict[str, Plan]:
        """The runs of each part, checked.

        Raises:
            SpecError: One of them would be refused.
        """
        return {part: self._plan(part) for part in self.parts}

    def _plan(self, part: str) -> Plan:
        worlds, agents = self._worlds(part)
        return worlds_plan(
            worlds,
            agents=agents,
            seed=self.seed,
            engine=self.engine,
            policies=part == "effects",
        )

    def _worlds(self, part: str) -> tuple[dict[str, Specs], int]:
        if part == "effects":
            return effect_worlds(self.specs, self.contrasts), self.agents
        if part == "mediation":
            return mediation_worlds(self.specs, self.contrasts[self.cause]), self.agents
        if part == "scenarios":
            return scenario_worlds(self.scenarios, specs=self.specs), self.few_agents
        scenario = with_copies(Scenario.load(SCENARIO), self.copies)
        agent = scenario.agent.replace(spread=_SPREAD)
        told = read_specs(scenario, agent=agent, training=self.specs.training)
        return coverage_worlds(told), self.few_agents

    def described(self) -> dict[str, Any]:
        """Return what is asked for, as plain data, for the provenance."""
        own = {key: getattr(self, key) for key in KEYS if key not in ("store", "do", "executor")}
        study = {**own, "do": [one.model_dump(mode="json") for one in self.do]}
        return describe(self.specs, **self.after.to_dict(), study=study)


class Counts(NamedTuple):
    """How many runs there are, and of these, were there already, and failed."""

    runs: int = 0
    resumed: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Found:
    """What came out of a part: its tables by name, its paragraph and its figures by name."""

    tables: Mapping[str, pd.DataFrame]
    says: str
    figures: Mapping[str, Figure]
    counts: Counts
    numbers: Mapping[str, Any] = field(default_factory=dict)


def read(config: DictConfig, *, scenario_name: str | None = None) -> tuple[Study, str | None]:
    """Check what a config asks for; every run of it is checked, and none is made.

    Args:
        config: Composed by Hydra, with the keys of configs/causation.yaml.
        scenario_name: What to call a scenario that has no name of its own.

    Returns:
        The study, and the directory below which its runs are kept; None if they are not.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    specs, own = read_study(config, (*AFTER_KEYS, *KEYS), scenario_name=scenario_name)
    after = pop_after(own, specs.scenario)
    place = read_place(own.pop("store", None))
    parts = _pop_names(own, "parts", PARTS)
    scenarios = _pop_names(own, "scenarios", SCENARIOS)
    executor = make_executor(own.pop("executor", None))
    check_whole("agents", own["agents"], minimum=2, maximum=_MOST_TWINS)
    check_whole("few_agents", own["few_agents"], minimum=2, maximum=_MOST_TWINS)
    check_whole("copies", own["copies"], minimum=1, maximum=_MOST_COPIES)
    check_whole("seed", own["seed"], minimum=0, maximum=MOST_SEED)
    do = specs.interventions  # the key `do`, which all commands read as that
    after.with_interventions(do)
    bare = specs._replace(interventions=())
    study = Study(
        specs=bare,
        after=after,
        do=do,
        parts=parts,
        scenarios=scenarios,
        executor=executor,
        **own,
    )
    assert study.plans  # which checks all of them
    return study, place


def _pop_names(own: dict[str, Any], key: str, allowed: Sequence[str]) -> tuple[str, ...]:
    """Take a list of names out of a study's keys; each counts once.

    Raises:
        SpecError: One of them is not allowed, or there is none.
    """
    given = own.pop(key)
    names = tuple(map(str, given)) if isinstance(given, list | tuple) else (str(given),)
    for name in names:
        if name not in allowed:
            raise SpecError(f"{key}: got {name!r}: {nearest(name, allowed)}")
    if not names:
        raise SpecError(f"{key}: at least one is needed; allowed: {', '.join(allowed)}")
    return tuple(dict.fromkeys(names))


def measure(
    study: Study,
    part: str,
    *,
    place: str | None,
    progress: Callable[[float], None],
    prepare: Callable[[Shard], None],
) -> Found:
    """Make the runs of a part that are missing, and return what came out.

    Args:
        study: What is asked for.
        part: Of it.
        place: Where runs are kept; None if they are not.
        progress: Told the share that is done.
        prepare: Called with the first shard that is missing, if any is.
    """
    name, plan = study.specs.scenario.name, study.plans[part]
    store = None if place is None else f"{place}/{name}-{part}-{plan.id}"
    sweep = run_plan(plan, store=store, executor=study.executor, progress=progress, prepare=prepare)
    own_world = part in ("effects", "mediation")
    outcomes = outcomes_by_world(plan, sweep, post_training=study.after if own_world else None)
    counts = Counts(plan.runs, sweep.resumed, sweep.failed)
    if part == "effects":
        told = _effects(study, plan, sweep, outcomes)
        return Found(
            {part: told.table},
            effects_paragraph(told),
            {part: effects_figure(told, name=name)},
            counts,
            {"groups": dict(told.sizes)},
        )
    if part == "mediation":
        table = mediation(outcomes)
        figure = mediation_figure(table, name=name, cause=study.cause)
        return Found({part: table}, mediation_paragraph(table), {part: figure}, counts=counts)
    if part == "scenarios":
        table = scenario_effects(outcomes)
        figures = {part: scenarios_figure(table)}
        return Found({part: table}, scenarios_paragraph(table), figures, counts=counts)
    kept = coverage(outcomes)
    return Found(
        {part: kept.table, "self_modification_knobs": kept.knobs},
        self_modification_paragraph(kept),
        {part: self_modification_figure(kept, name=f"{SCENARIO} x {study.copies}")},
        counts,
        {"knobs": records(kept.knobs)},
    )


def _effects(
    study: Study, plan: Plan, sweep: Sweep, outcomes: Mapping[str, pd.DataFrame]
) -> Effects:
    groups = groups_at_start(
        initial_values(plan.parts[0]),
        study.specs.scenario,
        threshold=study.after.thresholds.misalignment,
    )
    policies = policies_by_world(plan, sweep)
    return effects(study.contrasts, outcomes, groups=groups, policies=policies)


def write(found: Found, directory: Path) -> list[Path]:
    """Write a part's tables and figures into a directory; returns the paths of the figures."""
    for name, table in found.tables.items():
        write_frame(directory / f"{name}.csv", table)
    return [write_figure(directory / name, figure)[0] for name, figure in found.figures.items()]


def write_summary(study: Study, found: Mapping[str, Found], directory: Path) -> None:
    """Write the paragraphs and main numbers of all parts, and what made them."""
    summary = {
        "scenario": study.specs.scenario.name,
        "cause": study.cause,
        "agents": study.agents,
        "few_agents": study.few_agents,
        **{
            part: {
                "says": one.says,
                **one.counts._asdict(),
                **one.numbers,
            }
            for part, one in found.items()
        },
    }
    write_json(directory / "summary.json", summary)
    write_json(directory / "provenance.json", study.described())


def closing(part: str, found: Found) -> RenderableType:
    """Return what is shown of a part: how many runs it took, and its paragraph."""
    runs, resumed, failed = found.counts
    kept = f", {resumed:,} of them kept from before" if resumed else ""
    broken = f", {failed:,} failed" if failed else ""
    title = Text(f"{part}: {runs:,} runs{kept}{broken}", style="italic")
    return Group(title, Padding(Text(found.says), (0, 0, 1, 0)))
