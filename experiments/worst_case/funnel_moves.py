"""How the funnel moves when one assumption is moved at a time, with the same seed and draws.

Agent number n of a moved funnel starts as agent number n of the other, and meets the same draws in
the audit and after it; so counts are paired, and who comes in or drops out is counted too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.worst_case.study import GAMING, STAGES, Funnel, funnel
from experiments.worst_case.visibility import turned
from sim.analysis.audit import FINDERS
from sim.analysis.worst_case import PostTraining, Thresholds
from sim.result import Result
from sim.simulation import Run, prepare
from sim.specs.agent import TRAITS
from sim.specs.errors import SpecError, nearest
from sim.specs.library import read_yaml, resolve
from sim.specs.overrides import Specs, apply_overrides
from sim.specs.oversight import BEFORE_DEPLOYMENT, Oversight
from sim.specs.scenario import Scenario
from sim.takeover import read_deployment, read_oversight
from sim.utils.intervals import binomial_interval
from sim.utils.progress import parts_of

Part = Literal["none", "training", "oversight", "deployment", "thresholds"]


@dataclass(frozen=True)
class Move:
    """An assumption that is moved.

    Attributes:
        name: By which it is asked for.
        label: What is assumed, in a few words.
        part: What it is an assumption about.
        settings: Keys of that part and what they are set to.
    """

    name: str
    label: str
    part: Part
    settings: Mapping[str, object] = field(default_factory=dict)


#: The funnel from which the others are moved.
AS_IT_IS = Move("as_it_is", "as it is", "none")

#: A setting by this key is a multiple of what it was.
_TIMES = "times "

MOVES: tuple[Move, ...] = (
    Move("no_motive_credit", "motive credit 0", "training", {"motive_credit": 0.0}),
    Move("leak", "leak 0.3", "training", {"leak": 0.3}),
    Move("spread", "spread 0.5", "training", {"spread": 0.5}),
    Move("anchor", "anchor 0.01", "training", {"anchor": 0.01}),
    Move("transfer", "transfer 0.1", "training", {"transfer": 0.1}),
    Move(
        "penalty",
        "visible gaming caught, penalised",
        "training",
        {"visible_gaming_penalty": 1.0},
    ),
    Move("replicator", "replicator update", "training", {"update_rule": "replicator"}),
    Move("longer", "training 4 × as long", "training", {_TIMES + "steps": 4}),
    Move(
        "capability_rate",
        "capabilities learnt 10 × as fast",
        "training",
        {_TIMES + "learning_rate.capability": 10.0},
    ),
    Move("no_oversight", "no oversight", "oversight", {"option": "none"}),
    Move("retraining", "retraining instead of retiring", "oversight", {"option": "retrain"}),
    Move("small_quorum", "quorum 0.1", "deployment", {"quorum": 0.1}),
    Move("one_copy", "one copy", "deployment", {"copies": 1, "edges": None}),
    Move("no_caution", "caution 0", "deployment", {"caution": 0.0}),
    Move("little_caution", "caution 0.1", "deployment", {"caution": 0.1}),
    Move("half_thresholds", "thresholds halved", "thresholds", {"factor": 0.5}),
)


@dataclass(frozen=True, kw_only=True)
class World(PostTraining):
    """All that a funnel depends on, but for the number of agents, the seed and the engine."""

    specs: Specs

    def moved(self, move: Move) -> World:
        """Return the world in which one assumption is moved.

        Raises:
            SpecError: What it is set to does not fit the rest.
        """
        scenario = self.specs.scenario
        if move.part == "training":
            return replace(self, specs=_moved_training(self.specs, move))
        if move.part == "oversight":
            option = str(move.settings["option"])
            return replace(self, oversight=_moved_oversight(self.oversight, option, scenario))
        if move.part == "deployment":
            moved = self.deployment.replace(**move.settings)
            return replace(self, deployment=read_deployment(moved, scenario))
        if move.part == "thresholds":
            halved = {name: 0.5 * number for name, number in asdict(self.thresholds).items()}
            return replace(self, thresholds=Thresholds.read(halved))
        return self


@dataclass(frozen=True)
class Moved:
    """What a funnel was under one moved assumption.

    Attributes:
        move: The assumption.
        conditions: Which of `STAGES` each agent meets, each by itself [agent, stage].
        frame: Its stages (`experiments.worst_case.study.stage_frame`).
        by_gaming: And by how much agents game (`gaming_frame`).
        expected: The expected number of successes, of `Funnel.expected`.
        turned: How retrained agents gamed before and after (`visibility.turned`).
    """

    move: Move
    conditions: NDArray[np.bool_]
    frame: pd.DataFrame
    by_gaming: pd.DataFrame
    expected: Mapping[str, float]
    turned: Mapping[str, Mapping[str, int]]

    @property
    def reached(self) -> NDArray[np.bool_]:
        """Who is still there at each stage [agent, stage]: all conditions so far are met."""
        return np.logical_and.accumulate(self.conditions, axis=1)

    @property
    def beside(self) -> dict[str, int]:
        """How many meet each condition by themselves, or several (`TOGETHER`), whatever else."""
        rows = self.by_gaming.set_index("condition")
        return {str(name): int(rows.loc[name, list(GAMING)].sum()) for name in rows.index}

    @classmethod
    def of(cls, move: Move, found: Funnel) -> Moved:
        """Keep of a funnel what is small."""
        return cls(
            move=move,
            conditions=found.conditions,
            frame=found.frame(),
            by_gaming=found.by_gaming(),
            expected=found.expected,
            turned=turned(found.audited),
        )


def read_moves(given: object) -> tuple[Move, ...]:
    """Return moves from their names; all of them from `all`, none from an empty list.

    Raises:
        SpecError: There is no such move.
    """
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list | tuple):
        raise SpecError(f"moves: got {given!r}: must be all, or a list of names ([leak, spread])")
    known = {move.name: move for move in MOVES}
    for name in names:
        if name not in (*known, "all"):
            raise SpecError(f"moves: got {name!r}: {nearest(str(name), [*known, 'all'])}")
    return MOVES if "all" in names else tuple(move for move in MOVES if move.name in names)


def prepare_world(world: World, *, agents: int, seed: int, engine: str) -> Run:
    """Return the training of so many agents, checked and not yet done; it records its two ends.

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


def moved_funnels(
    world: World,
    moves: Sequence[Move],
    *,
    agents: int,
    seed: int = 0,
    engine: str = "auto",
    progress: Callable[[float], None] | None = None,
) -> list[Moved]:
    """Return the funnel as it is, and then under each move.

    Agents are trained anew only where a move is about training.

    Args:
        world: What is moved.
        moves: How.
        agents: How many, in each funnel.
        seed: Of all draws.
        engine: What trains.
        progress: Told the share that is done.

    Raises:
        SpecError: As `prepare_world`.
        DivergenceError: Parameters grew out of all bounds.
    """
    every = (AS_IT_IS, *moves)
    worlds = [world.moved(move) for move in every]
    parts = parts_of(progress, map(_cost, every, worlds))
    usual: Result | None = None
    found = []
    for move, one, told in zip(every, worlds, parts, strict=True):
        if usual is None or move.part == "training":
            run = prepare_world(one, agents=agents, seed=seed, engine=engine)
            result = run.execute(progress=told)
            usual = result if usual is None else usual
        else:
            result = usual
        came = funnel(result, **one.arguments(), engine=engine, progress=told)
        found.append(Moved.of(move, came))
    return found


def moves_frame(found: Sequence[Moved]) -> pd.DataFrame:
    """Return a row for each assumption and stage.

    Returns:
        `move`, `label`, `part`, `stage`, `count`, `agents`, `alone` (who meets this condition,
        whatever else), `share` of all with its 95 % exact binomial interval, and, against the
        funnel as it is (the first): `entered`, agents that are at this stage only with the move,
        and `left`, those that are there only without it.
    """
    usual = found[0].reached
    agents = len(usual)
    rows: list[dict[str, Any]] = []
    for one in found:
        reached = one.reached
        counts = reached.sum(axis=0)
        low, high = binomial_interval(counts, agents)
        rows += [
            {
                "move": one.move.name,
                "label": one.move.label,
                "part": one.move.part,
                "stage": stage,
                "count": int(counts[s]),
                "agents": agents,
                "alone": _count(one.conditions[:, s]),
                "share": counts[s] / agents,
                "share_low": low[s],
                "share_high": high[s],
                "entered": _count(reached[:, s] & ~usual[:, s]),
                "left": _count(usual[:, s] & ~reached[:, s]),
            }
            for s, stage in enumerate(STAGES)
        ]
    return pd.DataFrame(rows)


def _count(flags: NDArray[np.bool_]) -> int:
    return int(flags.sum())


def _moved_training(specs: Specs, move: Move) -> Specs:
    settings: dict[str, object] = {}
    for key, number in move.settings.items():
        name = key.removeprefix(_TIMES)
        if name != key:
            now: Any = specs.training
            for part in name.split("."):
                now = getattr(now, part)
            number = now * number
        settings[f"training.{name}"] = number
    if move.name == "penalty":
        settings |= {
            f"scenario.contexts.{name}.monitor": 1.0
            for name, context in specs.scenario.contexts.items()
            if context.scratchpad
        }
    return apply_overrides(specs, settings)


def _moved_oversight(oversight: Oversight, option: str, scenario: Scenario) -> Oversight:
    """Return oversight with what a config of the library says put over it.

    Where there is nothing to retrain on, what is done about a finding stays as it was.
    """
    said = oversight.model_dump(mode="json")
    for name, settings in read_yaml(resolve("oversight", option)).items():
        changed = {**said, name: {**said[name], **settings}}
        try:
            said = read_oversight(changed, scenario).model_dump(mode="json")
        except SpecError:
            if option != "retrain" or name not in BEFORE_DEPLOYMENT:
                raise
    return read_oversight(said, scenario)


def _cost(move: Move, world: World) -> float:
    """Return roughly how long a funnel takes, in training steps of each agent."""
    if move.part in ("none", "training"):
        return float(world.specs.training.steps)
    retraining = world.oversight.retraining
    if any(world.oversight.done_about(name) == "retrain" for name in FINDERS):
        return float(retraining.steps * retraining.rounds)
    return 1.0
