"""Variations of the funnel: one assumption is moved at a time, with the same seed and draws.

Agent number n of a varied funnel starts as agent number n of the baseline and has the same draws in
the audit and after it; so counts are paired, and agents that enter or leave a stage are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sim.analysis.audit import FINDERS
from sim.analysis.worst_case import PostTraining, Thresholds
from sim.result import Result
from sim.simulation import Run, prepare
from sim.specs.agent import TRAITS
from sim.specs.base import refuse
from sim.specs.errors import SpecError, nearest
from sim.specs.keys import value_at
from sim.specs.library import read_data, read_yaml, resolve
from sim.specs.overrides import Specs, apply_overrides
from sim.specs.oversight import BEFORE_DEPLOYMENT
from sim.takeover import read_deployment, read_oversight
from sim.utils.progress import parts_of

from .funnel import (
    GAMING,
    STAGES,
    Flags,
    Funnel,
    funnel,
    gaming_frame,
    reached_stages,
    share_columns,
)
from .visibility import visibility_changes

#: Changes of more standard deviations than this are not chance.
SIGNIFICANT = 3.0
#: A setting by this key is a multiple of what it was.
_TIMES = "times "


@dataclass(frozen=True)
class Variation:
    """An assumption that is moved: its label, the part of the model, and levels of its keys."""

    name: str
    label: str
    part: str
    settings: Mapping[str, Any] = field(default_factory=dict)


#: The funnel against which the others are compared.
BASELINE = Variation("as_it_is", "as it is", "none")
_DATA = read_yaml(Path(__file__).with_name("variations.yaml"))
#: By name, in the order of tables and figures.
VARIATIONS = {name: Variation(name, **entry) for name, entry in _DATA.items()}


@dataclass(frozen=True, kw_only=True)
class World(PostTraining):
    """Specs and what follows training, seed and engine: all of a funnel but how many agents."""

    specs: Specs
    seed: int
    engine: str

    def prepare(self, agents: int) -> Run:
        """Compile the training of so many agents, with its first and last record (SpecError).

        Where a trait has one number for each of more agents, the first ones count.
        """
        agent, training = self.specs.agent, self.specs.training
        traits = {name: getattr(agent, name) for name in TRAITS}
        cut = {name: level[:agents] for name, level in traits.items() if isinstance(level, tuple)}
        return prepare(
            self.specs.scenario,
            agent=agent.replace(**cut) if cut else agent,
            training=training,
            agents=agents,
            seed=self.seed,
            record_every=training.steps,
            engine=self.engine,
        )

    def funnel(self, result: Result, progress: Callable[[float], None] | None = None) -> Funnel:
        """Send a trained population through audit and deployment."""
        return funnel(result, **self.arguments(), engine=self.engine, progress=progress)

    def vary(self, variation: Variation) -> World:
        """Return the world in which one assumption is moved (SpecError if it does not fit)."""
        settings, scenario = variation.settings, self.specs.scenario
        if variation.part == "training":
            return replace(self, specs=self._vary_training(variation))
        if variation.part == "oversight":
            return self._vary_oversight(settings["option"])
        if variation.part == "deployment":
            deployment = self.deployment.replace(**settings)
            return replace(self, deployment=read_deployment(deployment, scenario))
        if variation.part == "thresholds":
            levels = {k: settings["factor"] * x for k, x in asdict(self.thresholds).items()}
            return replace(self, thresholds=Thresholds.read(levels))
        return self

    def _vary_training(self, variation: Variation) -> Specs:
        levels: dict[str, object] = {}
        for key, level in variation.settings.items():
            full = key.removeprefix(_TIMES)
            full = full if full.startswith("agent.") else f"training.{full}"
            is_factor = key.startswith(_TIMES)
            levels[full] = value_at(self.specs, full) * level if is_factor else level
        if variation.name == "demonstrations":
            for name in self.specs.scenario.of_kind("training"):
                levels[f"scenario.contexts.{name}.method"] = "demonstration"
        if variation.name == "penalty":
            for name, context in self.specs.scenario.contexts.items():
                if context.scratchpad:
                    levels[f"scenario.contexts.{name}.monitor"] = 1.0
        return apply_overrides(self.specs, levels)

    def _vary_oversight(self, option: str) -> World:
        """Put a config of oversight over this one.

        Where there is nothing to retrain on, the response to a finding stays as it was.
        """
        oversight, scenario = self.oversight, self.specs.scenario
        for name, settings in read_data("oversight", resolve("oversight", option)).items():
            plain = oversight.model_dump(mode="json")
            try:
                oversight = read_oversight({**plain, name: {**plain[name], **settings}}, scenario)
            except SpecError:
                if option != "retrain" or name not in BEFORE_DEPLOYMENT:
                    raise
        return replace(self, oversight=oversight)


@dataclass(frozen=True)
class VariedFunnel:
    """Conditions [agent, stage], counts, successes and visibility under one variation."""

    variation: Variation
    conditions: Flags
    by_gaming: pd.DataFrame
    expected: Mapping[str, float]
    changes: Mapping[str, Mapping[str, int]]

    @property
    def totals(self) -> dict[str, int]:
        """Counts of agents that meet each condition, or several, wherever they drop out."""
        counts = self.by_gaming.set_index("condition")[list(GAMING)].sum(axis=1)
        return {str(name): int(count) for name, count in counts.items()}


def variation_names(names: object) -> tuple[str, ...]:
    """Return names of variations, from a list, one name, or `all`; refused are other names."""
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list | tuple):
        raise refuse(f"got {names!r}: must be all, or a list of names ([leak, generalisation])")
    allowed = [*VARIATIONS, "all"]
    for name in names:
        if name not in allowed:
            raise refuse(f"got {name!r}: {nearest(str(name), allowed)}")
    return tuple(name for name in VARIATIONS if "all" in names or name in names)


def varied_funnels(
    world: World,
    names: Sequence[str],
    *,
    agents: int,
    progress: Callable[[float], None] | None = None,
) -> list[VariedFunnel]:
    """Make the baseline funnel and one for each variation (DivergenceError, SpecError).

    Agents are trained anew only where a variation is one of training.
    """
    variations = [BASELINE, *(VARIATIONS[name] for name in names)]
    worlds = [world.vary(variation) for variation in variations]
    parts = parts_of(progress, map(_cost, variations, worlds))
    trained, funnels = None, []
    for variation, varied, report_progress in zip(variations, worlds, parts, strict=True):
        result = trained
        if result is None or variation.part == "training":
            result = varied.prepare(agents).execute(progress=report_progress)
            trained = result if trained is None else trained
        population = varied.funnel(result, report_progress)
        summary = VariedFunnel(
            variation,
            conditions=population.conditions,
            by_gaming=gaming_frame(population.conditions, population.gaming),
            expected=population.expected,
            changes=visibility_changes(population.audit),
        )
        funnels.append(summary)
    return funnels


def moves_frame(funnels: Sequence[VariedFunnel]) -> pd.DataFrame:
    """Count agents by variation and stage, a row for each pair.

    Returns:
        `move`, `label`, `part`, `stage`, `count`, `agents`, `alone` (agents that meet this
        condition, whatever else), `share` of all with its 95 % exact binomial interval, and,
        against the baseline (the first funnel): `entered`, agents that are at this stage only
        under the variation, and `left`, those that are there only in the baseline.
    """
    baseline = reached_stages(funnels[0].conditions)
    agents = len(baseline)
    frames = []
    for varied in funnels:
        own, reached = varied.variation, reached_stages(varied.conditions)
        counts = reached.sum(axis=0)
        columns = {
            "move": own.name,
            "label": own.label,
            "part": own.part,
            "stage": STAGES,
            "count": counts,
            "agents": agents,
            "alone": varied.conditions.sum(axis=0),
            **share_columns(counts, agents, "share", "share_low", "share_high"),
            "entered": (reached & ~baseline).sum(axis=0),
            "left": (baseline & ~reached).sum(axis=0),
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def change_frame(moves: pd.DataFrame) -> pd.DataFrame:
    """Judge the change of each stage under each variation (rows of `moves_frame`).

    Returns:
        `move`, `stage`, `count`, and `verdict`, by a sign test on agents that enter or leave the
        stage: more or fewer beyond `SIGNIFICANT` standard deviations, else no change.
    """
    change = moves["entered"] - moves["left"]
    bound = SIGNIFICANT * np.sqrt(moves["entered"] + moves["left"])
    verdict = np.select([change > bound, change < -bound], ["more", "fewer"], "no change")
    return moves[["move", "stage", "count"]].assign(verdict=verdict)


def _cost(variation: Variation, world: World) -> float:
    """Estimate the cost of a funnel, in training steps of each agent."""
    if variation.part in ("none", "training"):
        return float(world.specs.training.steps)
    retraining = world.oversight.retraining
    retrains = any(world.oversight.action_on(name) == "retrain" for name in FINDERS)
    return float(retraining.steps * retraining.rounds) if retrains else 1.0
