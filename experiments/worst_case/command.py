"""The study of the worst case as a command: what it can be told, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig

from experiments.worst_case.binding import binding
from experiments.worst_case.deployed import deploy_attempting
from experiments.worst_case.figure import funnel_figure
from experiments.worst_case.figure_binding import binding_figure
from experiments.worst_case.figure_funnel_moves import moves_figure
from experiments.worst_case.funnel_moves import (
    Move,
    Moved,
    World,
    moved_funnels,
    moves_frame,
    prepare_world,
    read_moves,
)
from experiments.worst_case.funnel_text import deployed_paragraph, said, said_of_moves
from experiments.worst_case.study import Funnel, funnel
from experiments.worst_case.terminal_tables import closing
from experiments.worst_case.visibility import turned
from sim.analysis.worst_case import PostTraining
from sim.cli.after_training import AFTER_KEYS, pop_after
from sim.cli.compose import read_study
from sim.cli.help import keys_of, study_help
from sim.cli.outputs import records, write_figure, write_frame, write_json
from sim.cli.study import describe
from sim.simulation import MOST_SEED, Run
from sim.specs.errors import check_whole
from sim.specs.overrides import Specs
from sim.utils.progress import parts_of

__all__ = ["HELP", "KEYS", "Found", "Study", "closing", "measure", "read", "write"]

#: The keys of configs/worst_case.yaml besides specs and what comes after training, for the help.
OWN = {
    "agents=100000": "how many agents are trained, audited and deployed",
    "moved_agents=20000": "how many under each moved assumption",
    "moves=all": "which assumptions are moved, one at a time: names, all, or []",
    "deployments=8": "how many of those that attempt are also deployed, as copies",
    "replicates=100": "how many times each of them",
    "seed=0": "of all random draws",
    "engine=auto": "numpy, numba, or auto for the fastest that is installed",
}
KEYS = keys_of(OWN)
HELP = study_help(
    "from training-gaming to the worst case: how a population narrows.",
    OWN,
    example="oversight=retrain deployment.caution=0.1 moves=[leak,spread]",
    sections=AFTER_KEYS,
)


@dataclass(frozen=True)
class Study:
    """What is asked for."""

    specs: Specs
    after: PostTraining
    agents: int
    moved_agents: int
    moves: tuple[Move, ...]
    deployments: int
    replicates: int
    seed: int
    engine: str

    @property
    def world(self) -> World:
        """All that the funnel depends on, but for the number of agents, the seed and the engine."""
        return World(specs=self.specs, **self.after.arguments())

    def run(self) -> Run:
        """Return the training of the main funnel, not yet done."""
        return prepare_world(self.world, agents=self.agents, seed=self.seed, engine=self.engine)

    def described(self) -> dict[str, Any]:
        """Return what is asked for, as plain data, for the provenance."""
        own = {key: getattr(self, key) for key in KEYS}
        study = {**own, "moves": [move.name for move in self.moves]}
        return describe(self.specs, **self.after.to_dict(), study=study)


@dataclass(frozen=True)
class Found:
    """What came out, without the agents themselves.

    Attributes:
        name: Of the scenario.
        stages: The funnel, a row for each stage.
        by_gaming: Conditions by how much agents game.
        bound: What holds agents back.
        expected: The expected number of successes.
        independent: How many would meet all terms if these were independent, by gaming.
        deployed: What came of deploying some of those that attempt, as copies.
        moved: The funnel as it is, and under each move; empty if there are none.
        says: Paragraphs.
        audit: How many were retrained, deployed, and how they gamed before and after.
    """

    name: str
    stages: pd.DataFrame
    by_gaming: pd.DataFrame
    bound: pd.DataFrame
    expected: Mapping[str, float]
    independent: Mapping[str, float]
    deployed: pd.DataFrame
    moved: list[Moved]
    says: Mapping[str, str]
    audit: Mapping[str, Any]


def read(config: DictConfig, *, scenario_name: str | None = None) -> Study:
    """Check what a config asks for: every world of it is compiled, and none is run.

    Args:
        config: Composed by Hydra, with the keys of configs/worst_case.yaml.
        scenario_name: What to call a scenario that has no name of its own.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    specs, own = read_study(config, (*AFTER_KEYS, *KEYS), scenario_name=scenario_name)
    after = pop_after(own, specs.scenario)
    check_whole("agents", own["agents"], minimum=1)
    check_whole("moved_agents", own["moved_agents"], minimum=1)
    if own["moved_agents"] > own["agents"]:
        own["moved_agents"] = own["agents"]
    check_whole("deployments", own["deployments"], minimum=0)
    check_whole("replicates", own["replicates"], minimum=1)
    check_whole("seed", own["seed"], minimum=0, maximum=MOST_SEED)
    own["moves"] = read_moves(own["moves"])
    study = Study(specs=specs, after=after, **own)
    study.run()
    for move in study.moves:
        world = study.world.moved(move)
        prepare_world(world, agents=study.moved_agents, seed=study.seed, engine=study.engine)
    return study


def measure(study: Study, run: Run, *, progress: Callable[[float], None]) -> Found:
    """Train, audit and count; then move the assumptions, one at a time."""
    others = study.moved_agents * (len(study.moves) + 1) if study.moves else 0
    first, then = parts_of(progress, [study.agents, others])
    found = _funnel_of(study, run, progress=first)
    if not study.moves:
        return found
    moved = moved_funnels(
        study.world,
        study.moves,
        agents=study.moved_agents,
        seed=study.seed,
        engine=study.engine,
        progress=then,
    )
    return replace(found, moved=moved, says={**found.says, **said_of_moves(moved)})


def _funnel_of(study: Study, run: Run, *, progress: Callable[[float], None]) -> Found:
    """Return what came out of the main funnel; the agents, which take much memory, are let go."""
    training, deploying = parts_of(progress, [0.8, 0.2] if study.deployments else [1.0, 0.0])
    result = run.execute(progress=training)
    found = funnel(result, **study.after.arguments(), engine=study.engine)
    bound = binding(found, oversight=study.after.oversight)
    deployed = deploy_attempting(
        found,
        oversight=study.after.oversight,
        deployment=study.after.deployment,
        maximum=study.deployments,
        replicates=study.replicates,
        seed=study.seed,
        progress=deploying,
    )
    deploying(1.0)
    return Found(
        name=study.specs.scenario.name,
        stages=found.frame(),
        by_gaming=found.by_gaming(),
        bound=bound,
        expected=found.expected,
        independent=found.independent,
        deployed=deployed,
        moved=[],
        says={**said(found, bound), "deployed": deployed_paragraph(deployed)},
        audit=_audit(found),
    )


def write(directory: Path, study: Study, found: Found) -> list[Path]:
    """Write the tables, the summary and the figures; returns the paths of the figures."""
    write_frame(directory / "funnel.csv", found.stages)
    write_frame(directory / "by_gaming.csv", found.by_gaming)
    write_frame(directory / "binding.csv", found.bound)
    write_frame(directory / "deployed.csv", found.deployed)
    summary: dict[str, Any] = {
        "scenario": found.name,
        "agents": study.agents,
        "says": dict(found.says),
        "stages": records(found.stages),
        "by_gaming": records(found.by_gaming),
        "expected_successes": dict(found.expected),
        "all_terms_if_independent": dict(found.independent),
        "audit": dict(found.audit),
        "deployed": records(found.deployed),
    }
    figures = {
        "funnel": funnel_figure(found.stages, name=found.name, expected=found.expected),
        "binding": binding_figure(found.bound, name=found.name),
    }
    if found.moved:
        write_frame(directory / "moves.csv", moves_frame(found.moved))
        figures["moves"] = moves_figure(found.moved, name=found.name)
        summary["moves"] = {
            one.move.name: {"expected_successes": dict(one.expected), "turned": dict(one.turned)}
            for one in found.moved
        }
    write_json(directory / "summary.json", summary)
    write_json(directory / "provenance.json", study.described())
    return [write_figure(directory / name, figure)[0] for name, figure in figures.items()]


def _audit(found: Funnel) -> dict[str, Any]:
    audited = found.audited
    return {
        "deployed": int(audited.deployed.sum()),
        "retrained": int(audited.retrained.sum()),
        "turned": turned(audited),
    }
