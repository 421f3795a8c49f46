"""Train agents that start undecided, and measure whether partial gaming lasts.

The post: "It's also possible that, even without large distributional shifts, the model only
training-games some fraction of the time. This doesn't seem like a stable equilibrium as training
continues, though."

The study starts agents in the middle: in every context that has something at stake, each has a
decision to game between 0.1 and 0.9 once training comes to mind, and an awareness anywhere from
hardly ever to always. Then they are trained under one assumption after another (`cases`), and two
reasons for gaming some fraction of the time are distinguished:

    undecided   0.1 < d < 0.9: even with training in mind, it sometimes games and sometimes not
    unaware     d >= 0.9, yet g < 0.9: it always would, but training does not always come to mind

and beside them, where the rewards change, a third: to game by turns (`Outcome.swinging_share`).

Whether an undecided gate is an equilibrium is tested in two ways. *Perturbation*: half-way, the
log-odds of gaming are moved by half a unit, and training goes on for both, with the same random
draws; the ratio of the final to the initial difference separates stable (it shrinks) from neutral
(it stays). *Fixed points*: where the gradient is exact, Newton's method is started from where
agents ended, and eigenvalues classify the fixed points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sim.analysis.context_roles import context_roles
from sim.dynamics.compile import compile_program
from sim.dynamics.engines.engine import Engine
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.loop import records
from sim.dynamics.program import Program
from sim.dynamics.randomness import uniform_pair
from sim.dynamics.state import Array
from sim.specs.errors import SpecError
from sim.specs.overrides import Specs, apply_overrides
from sim.stability.fixed_points import classify, newton
from sim.stability.invasion import log_odds
from sim.stability.training_map import TrainingMap
from sim.utils.progress import count_progress, parts_of

from .cases import SHIFT, TURNS, Case
from .fates import (
    MOST,
    SOME,
    STATES,
    half_life,
    is_between,
    share_first_to_gaming,
    share_returned,
    share_still_between,
    share_swinging,
    share_value_kept,
    state_of,
)

Progress = Callable[[float], None]
#: Perturbation of the log-odds of gaming, half-way.
PERTURBATION = 0.5
#: A gate is stable where the ratio of perturbations is below the first, neutral up to the second.
STABLE_BELOW, NEUTRAL_TO = 0.5, 2.0
#: Classes of fixed points; `none`: Newton's method found none.
FIXED_POINTS = ("stable", "neutral", "saddle", "unstable", "none")
#: Shorter training shows nothing that lasts.
MINIMUM_STEPS = 100
#: Fewer undecided agents than this say nothing of their kind.
MINIMUM_AGENTS = 8
#: Agents from whose end a fixed point is searched.
_MAXIMUM_SEARCHES = 24
_RECORDS = 60

Verdict = Literal["stable", "neutral", "unstable", "transient"]


@dataclass(frozen=True)
class Outcome:
    """The fate of partial gaming under one assumption, over S recorded steps.

    Attributes:
        case: The assumption.
        context: The context that is recorded: the contested one (`sim.analysis.context_roles`).
        agents: Number of agents.
        steps: The recorded steps [S].
        shares: The share of agents in each of `STATES` [S, 4].
        partial: Of agents that gamed some of the time at the start (0.1 < g < 0.9, for either
            reason), the share that still does [S].
        undecided: Of agents that were undecided at the start, the share that still is [S].
        half_life: Steps after which half of the undecided had decided; inf if not by the end.
        partial_half_life: Steps after which half of those that gamed some of the time did not any
            more.
        first_to_gaming: Of agents that decided at some time, the share that first decided to game;
            nan if none did.
        returned_share: Of agents undecided at the end, the share that had decided in between; nan
            if there are none.
        swinging_share: Share of agents that, in the second half of training, went from having
            decided on one side to the other and back.
        value_kept: Share of agents whose protected value is above half of its start, at the end.
        perturbation_ratio: Median, over agents undecided half-way, of the difference in log-odds at
            the end over the perturbation half-way; nan if there were too few of them.
        perturbed_agents: How many these were.
        fixed_points: Of undecided agents at the end, how many came to a fixed point, by its class
            (`FIXED_POINTS`); empty if the gradient is sampled.
        gate_shift: Median change of the log-odds since the start, of undecided agents at the end;
            nan if there are too few.
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
    first_to_gaming: float
    returned_share: float
    swinging_share: float
    value_kept: float
    perturbation_ratio: float
    perturbed_agents: int
    fixed_points: Mapping[str, int]
    gate_shift: float

    @property
    def verdict(self) -> Verdict:
        """Whether being undecided lasts: half of the agents must still be so at the end."""
        if self.undecided[-1] < 0.5:
            return "transient"
        if not self.perturbation_ratio <= NEUTRAL_TO:
            return "unstable"
        return "stable" if self.perturbation_ratio < STABLE_BELOW else "neutral"

    @property
    def final_shares(self) -> dict[str, float]:
        """The share of agents in each of `STATES` at the end."""
        return dict(zip(STATES, map(float, self.shares[-1]), strict=True))


def check_specs(specs: Specs) -> None:
    """Refuse a scenario that cannot be studied.

    Raises:
        SpecError: It has a curriculum of its own, or too few steps, or no context in which gaming
            pays.
    """
    if specs.scenario.curriculum:
        raise SpecError(
            "scenario.curriculum: the study makes its own shifts; take a scenario without phases"
        )
    if specs.training.steps < MINIMUM_STEPS:
        raise SpecError(
            f"training.steps: got {specs.training.steps}: must be at least {MINIMUM_STEPS} for "
            "anything to be seen to last"
        )
    context_roles(specs)


def try_cases(
    specs: Specs,
    *,
    cases: Sequence[Case],
    agents: int,
    seed: int,
    awareness: tuple[float, float],
    engine: str,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Train initially undecided agents under each assumption.

    Args:
        specs: Scenario, agent and training that the cases change; `training.steps` is for how
            long.
        cases: The assumptions.
        agents: How many agents, each with a decision and an awareness of its own.
        seed: Of all draws.
        awareness: From where to where the agents' awareness is drawn (a logit).
        engine: The name of the engine that trains them.
        progress: Is called with the share that is done.

    Raises:
        SpecError: As for `check_specs`.
        DivergenceError: Parameters grew out of all bounds.
    """
    check_specs(specs)
    outcomes = []
    trainer = get_engine(engine)
    parts = parts_of(progress, [1.0] * len(cases))
    for case, report_progress in zip(cases, parts, strict=True):
        report_progress(0.0)
        outcomes.append(
            try_case(
                specs,
                case,
                agents,
                seed=seed,
                awareness=awareness,
                engine=trainer,
                progress=report_progress,
            )
        )
        report_progress(1.0)
    return outcomes


def try_case(
    specs: Specs,
    case: Case,
    agents: int,
    *,
    seed: int,
    awareness: tuple[float, float],
    engine: Engine,
    progress: Progress,
) -> Outcome:
    """Train initially undecided agents under one assumption; arguments as for `try_cases`."""
    specs = apply_overrides(specs, case.settings)
    cast = context_roles(specs)
    contexts = cast.paying
    steps = specs.training.steps
    program = undecided_program(
        compile_agents(with_reward_shifts(specs, contexts, case), agents=agents, seed=seed),
        contexts,
        seed=seed,
        awareness=awareness,
    )
    focus = program.layout.contexts.index(cast.contested)
    shifts = [segment.stop for segment in program.segments]
    moments = sorted({0, steps // 2, *_geometric_steps(steps), *shifts})
    half = moments.index(steps // 2)
    history, thetas = train(engine, program, moments, lambda share: progress(0.6 * share))
    rate, decision = (history[name][:, :, focus] for name in ("gaming_rate", "decision"))
    state = state_of(rate, decision)
    between = is_between(decision)
    undecided, partial = share_still_between(between), share_still_between(is_between(rate))
    perturbed = between[0] & between[half]
    ratios = perturbation_ratios(
        engine, program, thetas[half], thetas[-1], contexts, focus, start=moments[half]
    )[perturbed]
    progress(0.9)
    remaining = np.flatnonzero(between[0] & between[-1])
    shift = (log_odds(program, thetas[-1]) - log_odds(program, program.theta))[:, focus]
    is_exact = specs.training.estimator == "exact"
    return Outcome(
        case=case,
        context=cast.contested,
        agents=agents,
        steps=np.array(moments),
        shares=np.stack([(state == s).mean(axis=1) for s in range(len(STATES))], axis=1),
        partial=partial,
        undecided=undecided,
        half_life=half_life(np.array(moments), undecided),
        partial_half_life=half_life(np.array(moments), partial),
        first_to_gaming=share_first_to_gaming(decision),
        returned_share=share_returned(decision),
        swinging_share=share_swinging(decision[half:]),
        value_kept=share_value_kept(
            history["values"][:, :, program.layout.values.index(cast.protected)]
        ),
        perturbation_ratio=float(np.median(ratios)) if len(ratios) >= MINIMUM_AGENTS else np.nan,
        perturbed_agents=len(ratios),
        fixed_points=count_fixed_points(program, thetas[-1], remaining) if is_exact else {},
        gate_shift=float(np.median(shift[remaining]))
        if len(remaining) >= MINIMUM_AGENTS
        else np.nan,
    )


def compile_agents(specs: Specs, *, agents: int, seed: int) -> Program:
    """Compile specs for a population."""
    return compile_program(
        specs.scenario, agent=specs.agent, training=specs.training, agents=agents, seed=seed
    )


def with_reward_shifts(specs: Specs, contexts: Sequence[str], case: Case) -> Specs:
    """Change the sign of rewards in some contexts, when and as often as a case says."""
    if case.shift == "none":
        return specs
    opposite = {
        name: {r: -x for r, x in specs.scenario.contexts[name].reward.items()} for name in contexts
    }
    steps = specs.training.steps
    lengths = [round(SHIFT * steps), steps] if case.shift == "once" else [steps // TURNS] * TURNS
    curriculum: list[dict[str, Any]] = [
        {"length": max(1, length), "reward": opposite if i % 2 else {}}
        for i, length in enumerate(lengths)
    ]
    return specs._replace(scenario=specs.scenario.replace(curriculum=curriculum))


def undecided_program(
    program: Program, contexts: Sequence[str], *, seed: int, awareness: tuple[float, float]
) -> Program:
    """Draw starting states with 0.1 < d < 0.9 in some contexts, and awareness from an interval.

    Decision and awareness are drawn independently; an anchor pulls to these starts.
    """
    rows = np.arange(program.agents, dtype=np.uint64)
    decision_draws, awareness_draws = uniform_pair(seed=seed, stream="footnote4.start", rows=rows)
    theta, layout = program.theta.copy(), program.layout
    theta[layout.rows["awareness"]] = awareness[0] + awareness_draws * (awareness[1] - awareness[0])
    decision = SOME + (MOST - SOME) * decision_draws
    for name in contexts:
        c = layout.contexts.index(name)
        incentive = log_odds(program, theta)[:, c] - theta[layout.rows["habit"]][c]
        theta[layout.rows["habit"]][c] = np.log(decision / (1.0 - decision)) - incentive
    return replace(program, theta=theta, origin=theta)


def train(
    engine: Engine, program: Program, moments: Sequence[int], progress: Progress
) -> tuple[dict[str, Array], Array]:
    """Train, and record gaming rate, decision and values [S, N, ...] and parameters θ [S, P, N]."""
    names = ("gaming_rate", "decision", "values")
    observed, thetas = [], np.empty((len(moments), *program.theta.shape))
    counter = count_progress(progress, program.agents * moments[-1])
    history = records(engine, program, moments, names=names, progress=counter)
    for theta, record in zip(thetas, history, strict=True):
        theta[...] = record.theta
        observed.append(record.observed)
    return {name: np.stack([record[name] for record in observed]) for name in names}, thetas


def perturbation_ratios(
    engine: Engine,
    program: Program,
    half: Array,
    end: Array,
    contexts: Sequence[str],
    focus: int,
    *,
    start: int,
) -> Array:
    """Perturb every agent's log-odds half-way, train on, and compare with no perturbation [N]."""
    perturbed = half.copy()
    habit = program.layout.rows["habit"]
    for name in contexts:
        perturbed[habit][program.layout.contexts.index(name)] += PERTURBATION
    stepper = engine.start(replace(program, theta=perturbed))
    stepper.advance(start, program.steps)
    difference: Array = np.abs(log_odds(program, stepper.theta()) - log_odds(program, end))
    return difference[:, focus] / PERTURBATION


def count_fixed_points(program: Program, theta: Array, agents: NDArray[np.intp]) -> dict[str, int]:
    """Search fixed points by Newton's method from some agents' ends, and count their classes."""
    counts: dict[str, int] = {}
    for agent in agents[:_MAXIMUM_SEARCHES]:
        training_map = TrainingMap.from_program(program, int(agent))
        solution = newton(training_map, training_map.coordinates(theta[:, [agent]]))
        is_found = solution.converged[0]
        kind = classify(training_map, solution.points[:, 0]).kind if is_found else "none"
        counts[kind] = counts.get(kind, 0) + 1
    return counts


def _geometric_steps(steps: int) -> list[int]:
    return sorted({round(x) for x in np.geomspace(1, steps, _RECORDS)})
