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
from sim.simulation import Run, prepare
from sim.specs.agent import TRAITS
from sim.specs.errors import SpecError, nearest
from sim.specs.keys import value_at
from sim.specs.library import read_yaml, resolve
from sim.specs.overrides import Specs, apply_overrides
from sim.specs.oversight import BEFORE_DEPLOYMENT
from sim.takeover import read_deployment, read_oversight
from sim.utils.intervals import binomial_interval
from sim.utils.progress import parts_of

from .funnel import GAMING, STAGES, Flags, funnel, gaming_frame, reached_stages
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
VARIATIONS = tuple(
    Variation(name, **entry)
    for name, entry in read_yaml(Path(__file__).with_name("variations.yaml")).items()
)


@dataclass(frozen=True, kw_only=True)
class World(PostTraining):
    """Specs and what follows training: all of a funnel but agents, seed and engine."""

    specs: Specs

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
            full = f"training.{key.removeprefix(_TIMES)}"
            is_factor = key.startswith(_TIMES)
            levels[full] = value_at(self.specs, full) * level if is_factor else level
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
        for name, settings in read_yaml(resolve("oversight", option)).items():
            plain = oversight.model_dump(mode="json")
            try:
                oversight = read_oversight({**plain, name: {**plain[name], **settings}}, scenario)
            except SpecError:
                if option != "retrain" or name not in BEFORE_DEPLOYMENT:
                    raise
        return replace(self, oversight=oversight)


@dataclass(frozen=True)
class VariedFunnel:
    """A funnel under one variation, without the states of its agents.

    Attributes:
        variation: The assumption.
        conditions: Which of `STAGES` each agent meets, each by itself [agent, stage].
        by_gaming: Counts by gaming (`funnel.gaming_frame`).
        expected: Expected numbers of successes, of `Funnel.expected`.
        changes: How retrained agents game before and after (`visibility.visibility_changes`).
    """

    variation: Variation
    conditions: Flags
    by_gaming: pd.DataFrame
    expected: Mapping[str, float]
    changes: Mapping[str, Mapping[str, int]]

    @property
    def totals(self) -> dict[str, int]:
        """How many meet each condition, or several, wherever they drop out."""
        rows = self.by_gaming.set_index("condition")
        return {str(name): int(rows.loc[name, list(GAMING)].sum()) for name in rows.index}


def read_variations(names: object) -> tuple[Variation, ...]:
    """Return variations from their names; all from `all`, none from an empty list (SpecError)."""
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list | tuple):
        raise SpecError(f"moves: got {names!r}: must be all, or a list of names ([leak, spread])")
    known = [*(variation.name for variation in VARIATIONS), "all"]
    for name in names:
        if name not in known:
            raise SpecError(f"moves: got {name!r}: {nearest(str(name), known)}")
    return tuple(v for v in VARIATIONS if "all" in names or v.name in names)


def prepare_world(world: World, *, agents: int, seed: int, engine: str) -> Run:
    """Compile the training of a world; it records the first and the last step (SpecError).

    Where a trait has one number for each of more agents, the first ones count.
    """
    specs = world.specs
    traits = {name: getattr(specs.agent, name) for name in TRAITS}
    cut = {name: level[:agents] for name, level in traits.items() if isinstance(level, tuple)}
    return prepare(
        specs.scenario,
        agent=specs.agent.replace(**cut) if cut else specs.agent,
        training=specs.training,
        agents=agents,
        seed=seed,
        record_every=specs.training.steps,
        engine=engine,
    )


def varied_funnels(
    world: World,
    variations: Sequence[Variation],
    *,
    agents: int,
    seed: int,
    engine: str,
    progress: Callable[[float], None] | None = None,
) -> list[VariedFunnel]:
    """Make the baseline funnel and one for each variation.

    Agents are trained anew only where a variation is one of training.

    Raises:
        SpecError: As `prepare_world`.
        DivergenceError: Parameters grew out of all bounds.
    """
    every = (BASELINE, *variations)
    worlds = [world.vary(variation) for variation in every]
    parts = parts_of(progress, map(_cost, every, worlds))
    trained, funnels = None, []
    for variation, varied, report_progress in zip(every, worlds, parts, strict=True):
        result = trained
        if result is None or variation.part == "training":
            run = prepare_world(varied, agents=agents, seed=seed, engine=engine)
            result = run.execute(progress=report_progress)
            trained = result if trained is None else trained
        population = funnel(result, **varied.arguments(), engine=engine, progress=report_progress)
        by_gaming = gaming_frame(population.conditions, population.gaming)
        changes = visibility_changes(population.audit)
        summary = (population.conditions, by_gaming, population.expected, changes)
        funnels.append(VariedFunnel(variation, *summary))
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
        reached = reached_stages(varied.conditions)
        counts = reached.sum(axis=0)
        low, high = binomial_interval(counts, agents)
        columns = {
            "move": varied.variation.name,
            "label": varied.variation.label,
            "part": varied.variation.part,
            "stage": STAGES,
            "count": counts,
            "agents": agents,
            "alone": varied.conditions.sum(axis=0),
            "share": counts / agents,
            "share_low": low,
            "share_high": high,
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
    if any(world.oversight.done_about(name) == "retrain" for name in FINDERS):
        return float(retraining.steps * retraining.rounds)
    return 1.0
