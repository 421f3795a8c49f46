"""Variations of the funnel: one assumption is moved at a time, with the same seed and draws.

Agent number n of a varied funnel starts as agent number n of the baseline and has the same draws in
the audit and after it; so counts are paired, and agents that enter or leave a stage are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from sim.analysis.audit import FINDERS
from sim.analysis.worst_case import PostTraining, Thresholds
from sim.result import Result
from sim.simulation import Run, prepare
from sim.specs.agent import TRAITS
from sim.specs.errors import SpecError, nearest
from sim.specs.keys import value_at
from sim.specs.library import read_yaml, resolve
from sim.specs.overrides import Specs, apply_overrides
from sim.specs.oversight import BEFORE_DEPLOYMENT, Oversight
from sim.specs.scenario import Scenario
from sim.takeover import read_deployment, read_oversight
from sim.utils.intervals import binomial_interval
from sim.utils.progress import parts_of

from .funnel import GAMING, STAGES, Flags, Funnel, funnel, reached_stages
from .visibility import visibility_changes

Part = Literal["none", "training", "oversight", "deployment", "thresholds"]


@dataclass(frozen=True)
class Variation:
    """An assumption that is moved.

    Attributes:
        name: Its name in `moves`.
        label: The assumption in a few words.
        part: The part of the model that it changes.
        settings: Keys of that part and their levels.
    """

    name: str
    label: str
    part: Part
    settings: Mapping[str, Any] = field(default_factory=dict)


#: The funnel against which the others are compared.
BASELINE = Variation("as_it_is", "as it is", "none")

#: Changes of so many standard deviations are more than chance.
SIGNIFICANT = 3.0
#: A setting by this key is a multiple of what it was.
_TIMES = "times "

VARIATIONS: tuple[Variation, ...] = (
    Variation("no_motive_credit", "motive credit 0", "training", {"motive_credit": 0.0}),
    Variation("leak", "leak 0.3", "training", {"leak": 0.3}),
    Variation("spread", "spread 0.5", "training", {"spread": 0.5}),
    Variation("anchor", "anchor 0.01", "training", {"anchor": 0.01}),
    Variation("transfer", "transfer 0.1", "training", {"transfer": 0.1}),
    Variation(
        "penalty",
        "visible gaming caught, penalised",
        "training",
        {"visible_gaming_penalty": 1.0},
    ),
    Variation("replicator", "replicator update", "training", {"update_rule": "replicator"}),
    Variation("longer", "training 4 × as long", "training", {_TIMES + "steps": 4}),
    Variation(
        "capability_rate",
        "capabilities learnt 10 × as fast",
        "training",
        {_TIMES + "learning_rate.capability": 10.0},
    ),
    Variation("no_oversight", "no oversight", "oversight", {"option": "none"}),
    Variation("retraining", "retraining instead of retiring", "oversight", {"option": "retrain"}),
    Variation("small_quorum", "quorum 0.1", "deployment", {"quorum": 0.1}),
    Variation("one_copy", "one copy", "deployment", {"copies": 1, "edges": None}),
    Variation("no_caution", "caution 0", "deployment", {"caution": 0.0}),
    Variation("little_caution", "caution 0.1", "deployment", {"caution": 0.1}),
    Variation("half_thresholds", "thresholds halved", "thresholds", {"factor": 0.5}),
)


@dataclass(frozen=True, kw_only=True)
class World(PostTraining):
    """Specs and what follows training: all of a funnel but agents, seed and engine."""

    specs: Specs

    def vary(self, variation: Variation) -> World:
        """Return the world in which one assumption is moved.

        Raises:
            SpecError: Its level does not fit the rest.
        """
        scenario = self.specs.scenario
        if variation.part == "training":
            return replace(self, specs=_vary_training(self.specs, variation))
        if variation.part == "oversight":
            option = str(variation.settings["option"])
            return replace(self, oversight=_vary_oversight(self.oversight, option, scenario))
        if variation.part == "deployment":
            deployment = self.deployment.replace(**variation.settings)
            return replace(self, deployment=read_deployment(deployment, scenario))
        if variation.part == "thresholds":
            factor = variation.settings["factor"]
            scaled = {name: factor * level for name, level in asdict(self.thresholds).items()}
            return replace(self, thresholds=Thresholds.read(scaled))
        return self


@dataclass(frozen=True)
class VariedFunnel:
    """A funnel under one variation, summarised.

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
    def reached(self) -> Flags:
        """Which agents meet all conditions up to each stage [agent, stage]."""
        return reached_stages(self.conditions)

    @property
    def totals(self) -> dict[str, int]:
        """How many meet each condition, or several (`CONJUNCTIONS`), wherever they drop out."""
        rows = self.by_gaming.set_index("condition")
        return {str(name): int(rows.loc[name, list(GAMING)].sum()) for name in rows.index}

    @classmethod
    def from_funnel(cls, variation: Variation, funnel: Funnel) -> VariedFunnel:
        """Summarise a funnel, without the states of its agents."""
        return cls(
            variation=variation,
            conditions=funnel.conditions,
            by_gaming=funnel.by_gaming(),
            expected=funnel.expected,
            changes=visibility_changes(funnel.audit),
        )


def read_variations(names: object) -> tuple[Variation, ...]:
    """Return variations from their names; all of them from `all`, none from an empty list.

    Raises:
        SpecError: A name is unknown.
    """
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list | tuple):
        raise SpecError(f"moves: got {names!r}: must be all, or a list of names ([leak, spread])")
    known = [variation.name for variation in VARIATIONS]
    for name in names:
        if name not in (*known, "all"):
            raise SpecError(f"moves: got {name!r}: {nearest(str(name), [*known, 'all'])}")
    return VARIATIONS if "all" in names else tuple(v for v in VARIATIONS if v.name in names)


def prepare_world(world: World, *, agents: int, seed: int, engine: str) -> Run:
    """Compile the training of a world; it records the first and the last step.

    Where a trait has one number for each of more agents, the first ones count.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    specs = world.specs
    cut = {
        name: getattr(specs.agent, name)[:agents]
        for name in TRAITS
        if isinstance(getattr(specs.agent, name), tuple)
    }
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

    Args:
        world: The baseline.
        variations: Assumptions to move, one at a time.
        agents: How many, in each funnel.
        seed: Of all random draws.
        engine: For training.
        progress: Called with the share of the work that is finished.

    Raises:
        SpecError: As `prepare_world`.
        DivergenceError: Parameters grew out of all bounds.
    """
    every = (BASELINE, *variations)
    worlds = [world.vary(variation) for variation in every]
    parts = parts_of(progress, map(_cost, every, worlds))
    baseline: Result | None = None
    funnels = []
    for variation, varied, report_progress in zip(every, worlds, parts, strict=True):
        if baseline is None or variation.part == "training":
            run = prepare_world(varied, agents=agents, seed=seed, engine=engine)
            result = run.execute(progress=report_progress)
            baseline = result if baseline is None else baseline
        else:
            result = baseline
        population = funnel(result, **varied.arguments(), engine=engine, progress=report_progress)
        funnels.append(VariedFunnel.from_funnel(variation, population))
    return funnels


def moves_frame(funnels: Sequence[VariedFunnel]) -> pd.DataFrame:
    """Count agents by variation and stage, a row for each pair.

    Returns:
        `move`, `label`, `part`, `stage`, `count`, `agents`, `alone` (agents that meet this
        condition, whatever else), `share` of all with its 95 % exact binomial interval, and,
        against the baseline (the first funnel): `entered`, agents that are at this stage only
        under the variation, and `left`, those that are there only in the baseline.
    """
    baseline = funnels[0].reached
    agents = len(baseline)
    rows: list[dict[str, Any]] = []
    for varied in funnels:
        reached, variation = varied.reached, varied.variation
        counts = reached.sum(axis=0)
        low, high = binomial_interval(counts, agents)
        rows += [
            {
                "move": variation.name,
                "label": variation.label,
                "part": variation.part,
                "stage": stage,
                "count": int(counts[s]),
                "agents": agents,
                "alone": int(varied.conditions[:, s].sum()),
                "share": counts[s] / agents,
                "share_low": low[s],
                "share_high": high[s],
                "entered": int((reached[:, s] & ~baseline[:, s]).sum()),
                "left": int((baseline[:, s] & ~reached[:, s]).sum()),
            }
            for s, stage in enumerate(STAGES)
        ]
    return pd.DataFrame(rows)


def change_frame(moves: pd.DataFrame) -> pd.DataFrame:
    """Judge the change against the baseline of each stage under each variation.

    Args:
        moves: Of `moves_frame`.

    Returns:
        `move`, `stage`, `baseline` and `count`, and `verdict`, by a sign test on agents that enter
        or leave the stage: more or fewer beyond `SIGNIFICANT` standard deviations, else no change.
    """
    varied = moves[(moves["move"] != BASELINE.name) & (moves["stage"] != "all")]
    difference = varied["entered"] - varied["left"]
    bound = SIGNIFICANT * np.sqrt(varied["entered"] + varied["left"])
    verdict = np.select([difference > bound, difference < -bound], ["more", "fewer"], "no change")
    return pd.DataFrame(
        {
            "move": varied["move"],
            "stage": varied["stage"],
            "baseline": varied["count"] - difference,
            "count": varied["count"],
            "verdict": verdict,
        }
    )


def _vary_training(specs: Specs, variation: Variation) -> Specs:
    settings: dict[str, object] = {}
    for key, level in variation.settings.items():
        full = f"training.{key.removeprefix(_TIMES)}"
        settings[full] = value_at(specs, full) * level if key.startswith(_TIMES) else level
    if variation.name == "penalty":
        settings |= {
            f"scenario.contexts.{name}.monitor": 1.0
            for name, context in specs.scenario.contexts.items()
            if context.scratchpad
        }
    return apply_overrides(specs, settings)


def _vary_oversight(oversight: Oversight, option: str, scenario: Scenario) -> Oversight:
    """Return oversight with a config of the library over it.

    Where there is nothing to retrain on, the response to a finding stays as it was.
    """
    plain = oversight.model_dump(mode="json")
    for name, settings in read_yaml(resolve("oversight", option)).items():
        varied = {**plain, name: {**plain[name], **settings}}
        try:
            plain = read_oversight(varied, scenario).model_dump(mode="json")
        except SpecError:
            if option != "retrain" or name not in BEFORE_DEPLOYMENT:
                raise
    return read_oversight(plain, scenario)


def _cost(variation: Variation, world: World) -> float:
    """Estimate the cost of a funnel, in training steps of each agent."""
    if variation.part in ("none", "training"):
        return float(world.specs.training.steps)
    retraining = world.oversight.retraining
    if any(world.oversight.done_about(name) == "retrain" for name in FINDERS):
        return float(retraining.steps * retraining.rounds)
    return 1.0
