"""The study of causes as a command: what its config asks for, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure
from omegaconf import DictConfig
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from sim.analysis.after import After
from sim.analysis.causation import (
    SCENARIOS,
    Do,
    contrasts_of,
    effects,
    outcomes_by_world,
    scenario_effects,
    scenario_worlds,
    with_do,
    worlds_plan,
)
from sim.analysis.causation_text import (
    effects_paragraph,
    mediation_paragraph,
    scenarios_paragraph,
    self_modification_paragraph,
)
from sim.analysis.mediation import mediation, mediation_worlds
from sim.analysis.self_modification import SCENARIO, coverage, coverage_worlds, with_copies
from sim.cli.after import AFTER_KEYS, pop_after
from sim.cli.compose import read_place, read_study
from sim.cli.help import keys_of, study_help
from sim.cli.outputs import records, write_figure, write_frame, write_json
from sim.cli.stability import describe
from sim.plots.causation import effects_figure
from sim.plots.mediation import mediation_figure, scenarios_figure
from sim.plots.self_modification import self_modification_figure
from sim.run import MOST_SEED
from sim.spec.errors import SpecError, check_whole, nearest
from sim.spec.scenario import Scenario
from sim.spec.settings import Specs, read_specs
from sim.sweeps.plan import Plan
from sim.sweeps.sweep import run_plan

PARTS = ("effects", "mediation", "scenarios", "self_modification")
#: The keys of configs/causation.yaml besides specs and what comes after training, for the help.
OWN = {
    "parts=[effects,mediation,...]": f"which of {', '.join(PARTS)}",
    "agents=512": "how many pairs of twins, of effects and of mediation",
    "few_agents=32": "how many in each scenario, and at each coverage",
    "copies=3": "how many times self_modification copies each context",
    "do=[]": "interventions to know the effect of; none: gaming",
    "seed=0": "of all random draws",
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
    after: After
    do: Do
    parts: tuple[str, ...]
    agents: int
    few_agents: int
    copies: int
    seed: int
    engine: str

    @property
    def cause(self) -> str:
        """What twins differ in."""
        return next(iter(contrasts_of(self.specs, self.do)))

    def sides(self) -> list[Do]:
        """Return what is done to any twin, of the effects."""
        pairs = contrasts_of(self.specs, self.do).values()
        return list(dict.fromkeys(side for pair in pairs for side in pair))

    def plan(self, part: str) -> Plan | None:
        """Return the runs of a part, checked; None of effects, which keep none.

        Raises:
            SpecError: One of them would be refused.
        """
        if part == "effects":
            worlds = {str(i): with_do(self.specs, one) for i, one in enumerate(self.sides())}
            worlds_plan(worlds, agents=1, seed=self.seed, engine=self.engine)
            return None
        worlds, agents = self._worlds(part)
        return worlds_plan(worlds, agents=agents, seed=self.seed, engine=self.engine)

    def _worlds(self, part: str) -> tuple[dict[str, Specs], int]:
        if part == "mediation":
            main = contrasts_of(self.specs, self.do)[self.cause]
            return mediation_worlds(self.specs, main), self.agents
        if part == "scenarios":
            return scenario_worlds(SCENARIOS, specs=self.specs), self.few_agents
        scenario = with_copies(Scenario.load(SCENARIO), self.copies)
        agent = scenario.agent.replace(spread=_SPREAD)
        told = read_specs(scenario, agent=agent, training=self.specs.training)
        return coverage_worlds(told), self.few_agents

    def described(self) -> dict[str, Any]:
        """Return what is asked for, as plain data, for the provenance."""
        own = {key: getattr(self, key) for key in KEYS if key not in ("store", "do")}
        study = {**own, "do": [one.model_dump(mode="json") for one in self.do]}
        return describe(self.specs, **self.after.described(), study=study)


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
    named = own.pop("parts")
    parts = tuple(map(str, named)) if isinstance(named, list | tuple) else (str(named),)
    for part in parts:
        if part not in PARTS:
            raise SpecError(f"parts: got {part!r}: {nearest(part, PARTS)}")
    if not parts:
        raise SpecError(f"parts: at least one is needed; allowed: {', '.join(PARTS)}")
    check_whole("agents", own["agents"], least=2, most=_MOST_TWINS)
    check_whole("few_agents", own["few_agents"], least=2, most=_MOST_TWINS)
    check_whole("copies", own["copies"], least=1, most=_MOST_COPIES)
    most = MOST_SEED // _MOST_TWINS - 1
    check_whole("seed", own["seed"], least=0, most=most)
    do = specs.interventions  # the key `do`, which all commands read as that
    bare = specs._replace(interventions=())
    study = Study(specs=bare, after=after, do=do, parts=tuple(dict.fromkeys(parts)), **own)
    for part in study.parts:
        study.plan(part)
    return study, place


def measure(
    study: Study, part: str, *, place: str | None, progress: Callable[[float], None]
) -> Found:
    """Make the runs of a part that are missing, and return what came out."""
    name, plan = study.specs.scenario.name, study.plan(part)
    if plan is None:
        return _effects(study, progress)
    store = None if place is None else f"{place}/{name}-{part}-{plan.id}"
    sweep = run_plan(plan, store=store, progress=progress)
    own_world = part == "mediation"
    outcomes = outcomes_by_world(plan, sweep, after=study.after if own_world else None)
    counts = Counts(plan.runs, sweep.resumed, sweep.failed)
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


def _effects(study: Study, progress: Callable[[float], None]) -> Found:
    found = effects(
        study.specs,
        do=study.do,
        after=study.after,
        agents=study.agents,
        seed=study.seed,
        engine=study.engine,
        progress=progress,
    )
    return Found(
        {"effects": found.table},
        effects_paragraph(found),
        {"effects": effects_figure(found, name=study.specs.scenario.name)},
        Counts(study.agents * len(study.sides())),
        {"groups": dict(found.sizes)},
    )


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
