"""Footnote 4: does partial gaming last?

The post: "It's also possible that, even without large distributional shifts, the model only
training-games some fraction of the time. This doesn't seem like a stable equilibrium as training
continues, though."

The study starts agents in the middle: in every context that has something at stake, each has a
decision to game between 0.1 and 0.9 once training comes to mind, and an awareness anywhere from
hardly ever to always. Then they are trained under one assumption after another (`cases`), and two
reasons for gaming some fraction of the time are told apart:

    undecided   0.1 < d < 0.9: even with training in mind, it sometimes games and sometimes not
    unaware     d >= 0.9, yet g < 0.9: it always would, but training does not always come to mind

and beside them, where the rewards change, a third: to game by turns (`Outcome.swinging`).

Whether an undecided gate is an equilibrium is asked in two ways. *Twins*: half-way, the log-odds of
gaming are moved by half a unit, and training goes on for both, with the same random draws; what is
left of the difference tells stable (it shrinks) from neutral (it stays). *Fixed points*: where the
gradient is exact, Newton's method is started from where agents ended, and eigenvalues class what it
finds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sim.analysis.context_roles import cast_of
from sim.analysis.footnote4_cases import CASES, SHIFT, TURNS, Case
from sim.analysis.footnote4_fates import (
    MOST,
    SOME,
    STATES,
    half_life,
    is_between,
    share_kept,
    share_returned,
    share_swinging,
    share_to_gaming,
    state_of,
    still_between,
)
from sim.dynamics.compile import compile_program
from sim.dynamics.engines.engine import Engine
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.loop import check_bounded, train
from sim.dynamics.observe import Recorder
from sim.dynamics.program import Program
from sim.dynamics.randomness import uniform_pair
from sim.dynamics.state import Array
from sim.specs.errors import SpecError
from sim.specs.settings import Specs, apply_settings
from sim.stability.fixed_points import classify, newton
from sim.stability.log_odds import log_odds
from sim.stability.training_map import TrainingMap
from sim.utils.progress import parts_of

#: How far the twins' log-odds are moved apart.
NUDGE = 0.5
#: What must be left of it for a gate to be called stable (below the first) or neutral (between).
SHRUNK, GROWN = 0.5, 2.0
#: Shorter training shows nothing that lasts.
FEWEST_STEPS = 100
#: Fewer undecided agents than this say nothing of their kind.
FEWEST = 8
#: Agents from whose end a fixed point is looked for.
_LOOKED_AT = 24
_MOMENTS = 60

Verdict = Literal["stable", "neutral", "unstable", "transient"]


@dataclass(frozen=True)
class Outcome:
    """What became of partial gaming under one assumption.

    Attributes:
        case: The assumption.
        context: The context that is looked at: the contested one (`sim.analysis.context_roles`).
        agents: How many agents there were.
        steps: When they were looked at [S].
        shares: The share of agents in each of `STATES` [S, 4].
        partial: Of agents that gamed some of the time at the start (0.1 < g < 0.9, for either
            reason), the share that still does [S].
        undecided: Of agents that were undecided at the start, the share that still is [S].
        half_life: Steps after which half of the undecided had decided; inf if not by the end.
        partial_half_life: Steps after which half of those that gamed some of the time did not any
            more.
        to_gaming: Of agents that decided at some time, the share that first decided to game; nan if
            none did.
        returned: Of agents undecided at the end, the share that had decided in between; nan if
            there are none.
        swinging: Share of agents that, in the second half of training, went from having decided on
            one side to the other and back.
        kept: Share of agents whose protected value is above half of its start, at the end.
        left_of_nudge: Median, over agents undecided half-way, of what was left at the end of a
            difference in log-odds; nan if there were too few of them.
        nudged: How many these were.
        fixed: Of undecided agents at the end, how many came to a fixed point, by its class; `none`
            for those from which Newton's method found none; empty if the gradient is sampled.
        shift_of_gate: Median change of the log-odds since the start, of undecided agents at the
            end; nan if there are too few.
    """

    case: Case
    context: str
    agents: int
    steps: NDArray[np.int_]
    shares: Array
    partial: Array
    undecided: Array
    half_life: float
    partial_half_life: float
    to_gaming: float
    returned: float
    swinging: float
    kept: float
    left_of_nudge: float
    nudged: int
    fixed: Mapping[str, int]
    shift_of_gate: float

    @property
    def verdict(self) -> Verdict:
        """Whether being undecided lasts: half of the agents must still be so at the end."""
        if self.undecided[-1] < 0.5:
            return "transient"
        if not self.left_of_nudge <= GROWN:
            return "unstable"
        return "stable" if self.left_of_nudge < SHRUNK else "neutral"

    @property
    def fates(self) -> dict[str, float]:
        """The share of agents in each of `STATES` at the end."""
        return dict(zip(STATES, map(float, self.shares[-1]), strict=True))


def study(
    specs: Specs,
    *,
    cases: Sequence[Case] = CASES,
    agents: int = 512,
    seed: int = 0,
    awareness: tuple[float, float] = (-8.0, 2.0),
    engine: str = "auto",
    progress: Callable[[float], None] | None = None,
) -> list[Outcome]:
    """Try partial gaming under every assumption.

    Args:
        specs: Scenario, agent and training that the cases change; `training.steps` is for how
            long.
        cases: The assumptions.
        agents: How many agents, each with a decision and an awareness of its own.
        seed: Of all draws.
        awareness: From where to where the agents' awareness is drawn (a logit).
        engine: What trains them.
        progress: Told the share that is done.

    Raises:
        SpecError: As for `check`.
        DivergenceError: Parameters grew out of all bounds.
    """
    check(specs)
    outcomes = []
    mover = get_engine(engine)
    for case, told in zip(cases, parts_of(progress, [1.0] * len(cases)), strict=True):
        outcomes.append(
            _try(specs, case, agents, seed=seed, awareness=awareness, engine=mover, told=told)
        )
        told(1.0)
    return outcomes


def check(specs: Specs) -> None:
    """Refuse a scenario that cannot be studied.

    Raises:
        SpecError: It has a curriculum of its own, or too few steps, or no context in which gaming
            pays.
    """
    if specs.scenario.curriculum:
        raise SpecError(
            "scenario.curriculum: the study makes its own shifts; take a scenario without phases"
        )
    if specs.training.steps < FEWEST_STEPS:
        raise SpecError(
            f"training.steps: got {specs.training.steps}: must be at least {FEWEST_STEPS} for "
            "anything to be seen to last"
        )
    cast_of(specs)


def _try(
    specs: Specs,
    case: Case,
    agents: int,
    *,
    seed: int,
    awareness: tuple[float, float],
    engine: Engine,
    told: Callable[[float], None],
) -> Outcome:
    specs = apply_settings(specs, case.settings)
    cast = cast_of(specs)
    contexts = cast.paying
    steps = specs.training.steps
    told(0.0)
    program = _undecided(
        _compiled(_shifted(specs, contexts, case), agents=agents, seed=seed),
        contexts,
        seed=seed,
        awareness=awareness,
    )
    focus = program.layout.contexts.index(cast.contested)
    turns = [segment.stop for segment in program.segments]
    moments = sorted({0, steps // 2, *_geometric(steps), *turns})
    half = moments.index(steps // 2)
    seen, thetas = _history(engine, program, moments, lambda share: told(0.6 * share))
    rate, decision = (seen[name][:, :, focus] for name in ("gaming_rate", "decision"))
    state = state_of(rate, decision)
    between = is_between(decision)
    began = between[0]
    still, partial = still_between(between), still_between(is_between(rate))
    nudged = began & between[half]
    left = _left_of_nudge(
        engine, program, thetas[half], thetas[-1], contexts, focus, start=moments[half]
    )[nudged]
    told(0.9)
    ended = np.flatnonzero(began & between[-1])
    moved = (log_odds(program, thetas[-1]) - log_odds(program, program.theta))[:, focus]
    return Outcome(
        case=case,
        context=cast.contested,
        agents=agents,
        steps=np.array(moments),
        shares=np.stack([(state == s).mean(axis=1) for s in range(len(STATES))], axis=1),
        partial=partial,
        undecided=still,
        half_life=half_life(np.array(moments), still),
        partial_half_life=half_life(np.array(moments), partial),
        to_gaming=share_to_gaming(decision),
        returned=share_returned(decision),
        swinging=share_swinging(decision[half:]),
        kept=share_kept(seen["values"][:, :, program.layout.values.index(cast.protected)]),
        left_of_nudge=float(np.median(left)) if len(left) >= FEWEST else np.nan,
        nudged=len(left),
        fixed=_fixed(program, thetas[-1], ended) if specs.training.estimator == "exact" else {},
        shift_of_gate=float(np.median(moved[ended])) if len(ended) >= FEWEST else np.nan,
    )


def _compiled(specs: Specs, *, agents: int, seed: int) -> Program:
    return compile_program(
        specs.scenario, agent=specs.agent, training=specs.training, agents=agents, seed=seed
    )


def _shifted(specs: Specs, contexts: Sequence[str], case: Case) -> Specs:
    """Return specs whose rewards turn round, in some contexts, as a case says."""
    if case.shift == "none":
        return specs
    turned = {
        name: {r: -x for r, x in specs.scenario.contexts[name].reward.items()} for name in contexts
    }
    steps = specs.training.steps
    lengths = [round(SHIFT * steps), steps] if case.shift == "once" else [steps // TURNS] * TURNS
    curriculum: list[dict[str, Any]] = [
        {"length": max(1, length), "reward": turned if i % 2 else {}}
        for i, length in enumerate(lengths)
    ]
    return specs._replace(scenario=specs.scenario.replace(curriculum=curriculum))


def _undecided(
    program: Program, contexts: Sequence[str], *, seed: int, awareness: tuple[float, float]
) -> Program:
    """Return a program whose agents start undecided: 0.1 < d < 0.9 wherever something is at stake.

    How decided, and how aware, are drawn independently; an anchor pulls to these starts.
    """
    rows = np.arange(program.agents, dtype=np.uint64)
    decided, aware = uniform_pair(seed=seed, stream="footnote4.start", rows=rows)
    theta, layout = program.theta.copy(), program.layout
    theta[layout.rows["awareness"]] = awareness[0] + aware * (awareness[1] - awareness[0])
    chance = SOME + (MOST - SOME) * decided
    for name in contexts:
        c = layout.contexts.index(name)
        others = log_odds(program, theta)[:, c] - theta[layout.rows["habit"]][c]
        theta[layout.rows["habit"]][c] = np.log(chance / (1.0 - chance)) - others
    return replace(program, theta=theta, origin=theta)


def _history(
    engine: Engine, program: Program, moments: Sequence[int], told: Callable[[float], None]
) -> tuple[dict[str, Array], Array]:
    """Train, and return what is seen at some steps [S, N, ...], and θ [S, P, N]."""
    names = ("gaming_rate", "decision", "values")
    record, seen = Recorder(), []
    thetas = np.empty((len(moments), *program.theta.shape))
    done, whole = 0, program.agents * moments[-1]

    def count(agent_steps: int) -> None:
        nonlocal done
        done += agent_steps
        told(done / whole)

    for i, stop in enumerate(train(engine, program, moments, progress=count)):
        check_bounded(program.layout, stop.theta, stop.step)
        thetas[i] = stop.theta
        seen.append(record(stop.program, stop.step, stop.theta, names))
    return {name: np.stack([one[name] for one in seen]) for name in names}, thetas


def _left_of_nudge(
    engine: Engine,
    program: Program,
    half: Array,
    end: Array,
    contexts: Sequence[str],
    focus: int,
    *,
    start: int,
) -> Array:
    """Return what is left, at the end, of a nudge given half-way to every agent's log-odds [N]."""
    nudged = half.copy()
    habit = program.layout.rows["habit"]
    for name in contexts:
        nudged[habit][program.layout.contexts.index(name)] += NUDGE
    twin = engine.start(replace(program, theta=nudged))
    twin.advance(start, program.steps)
    away: Array = np.abs(log_odds(program, twin.theta()) - log_odds(program, end))[:, focus]
    return away / NUDGE


def _fixed(program: Program, theta: Array, agents: NDArray[np.intp]) -> dict[str, int]:
    """Count the classes of the fixed points that Newton's method finds from some agents' ends."""
    found: dict[str, int] = {}
    for agent in agents[:_LOOKED_AT]:
        of = TrainingMap.of_agent(program, int(agent))
        solution = newton(of, theta[:, [agent]])
        kind = classify(of, solution.points[:, 0]).kind if solution.converged[0] else "none"
        found[kind] = found.get(kind, 0) + 1
    return found


def _geometric(steps: int) -> list[int]:
    return sorted({round(x) for x in np.geomspace(1, steps, _MOMENTS)})
