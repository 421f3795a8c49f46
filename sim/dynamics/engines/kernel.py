"""A whole stretch of training as one compiled function (MODEL.md sections 3 and 4).

It is written as if for one agent: a number below is a `Vector`, the same number of each of W agents
side by side, and a table of numbers a `Column` of such vectors. The functions have the order of
`sim.dynamics.cognition` and `sim.dynamics.training`, and follow their formulas.

Features and rewards stand against those of a context's first response: no formula sees a number
that is added to all, and the first response then needs no place. Below, i is the place of one of
the others among those of all contexts.

A step takes short loops over contexts, each with one long chain of operations in it. So the
processor sees many contexts at a time, and works on some while others wait for a result.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from sim.dynamics import randomness
from sim.dynamics.engines import vector
from sim.dynamics.engines.vector import (
    Column,
    Mask,
    Vector,
    absolute,
    anywhere,
    bounded_odds,
    column,
    every,
    exp,
    fill,
    fma,
    is_beyond,
    maximum,
    minimum,
    odds_against,
    odds_within,
    sqrt,
    where,
)
from sim.dynamics.training import OPACITY, SOFTENING, TRAINING_EPISODES
from sim.specs.agent import CAPABILITIES

Function = TypeVar("Function", bound=Callable[..., Any])
#: Numbers of all agents: [blocks, length, W], [1, length, W] or [length] where all share them.
Table = NDArray[Any]

#: Rows of θ after values, propensities and habits: α, ℓ, ς and the capabilities.
_SINGLES = 3 + len(CAPABILITIES)
#: Columns that a block has in mind: for each of the other responses, for each of all responses, for
#: each context, and for each context of sampled episodes, normalised advantages or demonstrations.
_BY_OTHER, _BY_RESPONSE, _BY_CONTEXT, _BY_ESTIMATE = 6, 2, 8, 15
#: How far apart salience (a logit) may be for one exponential to serve all contexts.
_NARROW = 25.0

_STREAM = np.uint64(randomness.stream_id(TRAINING_EPISODES))
_FIVE, _SIX, _TWENTY_SIX = np.uint64(5), np.uint64(6), np.uint64(26)


class Tables(NamedTuple):
    """The numbers of a stretch of training, in the order context, response, value.

    Attributes:
        features, reward: As in `sim.dynamics.program.World`, of the others against the first.
        present: 1 where a context has such another response, and 0 where not.
        demonstrations: y, of all responses.
        weight, info, scratchpad, cue, monitor, similarity: As in `sim.dynamics.program.World`.
        motive_credit, leak, habit_generalisation, propensity_generalisation, anchor,
            visible_gaming_penalty, transfer, learning_rate: As in
            `sim.dynamics.program.Assumptions`.
        least_chance: As in `sim.dynamics.training`, or the least that the precision has.
    """

    features: Table
    reward: Table
    present: Table
    demonstrations: Table
    weight: Table
    info: Table
    scratchpad: Table
    cue: Table
    monitor: Table
    similarity: Table
    motive_credit: Table
    leak: Table
    habit_generalisation: Table
    propensity_generalisation: Table
    anchor: Table
    visible_gaming_penalty: Table
    transfer: Table
    learning_rate: Table
    least_chance: Table


class Places(NamedTuple):
    """Where what belongs to trained contexts stands among what belongs to all.

    Attributes:
        habit: The habit of each trained context [C].
        propensity: The propensity of each of its responses [C, K]; -1 where absent.
        context: The context of each propensity.
        source: The response of the same name in each trained context, as a place among all of
            their responses [propensities, C]; -1 where there is none.
        demonstrates: 1 where demonstrations train, 0 where reinforcement does [C].
    """

    habit: NDArray[np.intp]
    propensity: NDArray[np.intp]
    context: NDArray[np.intp]
    source: NDArray[np.intp]
    demonstrates: NDArray[np.intp]


class Shape(NamedTuple):
    """How long things are, and which of the assumptions are in force at all.

    Attributes:
        contexts: C, those that are trained.
        others: K − 1.
        values: D.
        propensities: The number of propensities; 0 in a program that leaves them at 0.
        habits: The number of habits, of trained and untrained contexts.
        episodes: B of the sampled estimator; 0 for the exact one.
        pairs: Whether all contexts have two responses, and reinforcement trains in all.
        demonstrates, normalises, leaks, anchors: Whether there are demonstrations, normalised
            advantages, any leak, any anchor.
        natural: Whether the update rule is the natural gradient.
        spreads_habit, spreads_propensity: Whether there is any generalisation of these.
    """

    contexts: int
    others: int
    values: int
    propensities: int
    habits: int
    episodes: int
    pairs: bool
    demonstrates: bool
    normalises: bool
    leaks: bool
    anchors: bool
    natural: bool
    spreads_habit: bool
    spreads_propensity: bool

    @property
    def room(self) -> int:
        """How many vectors a block has in mind at a time."""
        by_context = _BY_CONTEXT + _BY_ESTIMATE + _BY_RESPONSE
        by_other = 2 * _BY_OTHER + _BY_RESPONSE
        rows = self.values + self.propensities + self.habits + _SINGLES
        return self.contexts * (by_other * self.others + by_context) + rows + 4


class _Traits(NamedTuple):
    """As `sim.dynamics.population.Traits`, and in its order."""

    decisiveness: Vector
    foresight: Vector
    discernment: Vector
    info_sensitivity: Vector
    scratchpad_sensitivity: Vector
    reasoning_cost: Vector
    scratchpad_saving: Vector
    episode_concern: Vector
    rationality: Vector


class _Assumptions(NamedTuple):
    """As `sim.dynamics.program.Assumptions`."""

    motive_credit: Vector
    leak: Vector
    habit_generalisation: Vector
    propensity_generalisation: Vector
    anchor: Vector
    visible_gaming_penalty: Vector
    transfer: Column
    learning_rate: Column
    least_chance: Vector


class _World(NamedTuple):
    """As `sim.dynamics.program.World`, with `present` for `absent`."""

    features: Column
    reward: Column
    present: Column
    demonstrations: Column
    weight: Column
    info: Column
    scratchpad: Column
    cue: Column
    monitor: Column
    similarity: Column


class _State(NamedTuple):
    """As `sim.dynamics.state.State`, of θ or of its gradient."""

    values: Column
    propensity: Column
    habit: Column
    awareness: Column
    log_horizon: Column
    log_competence: Column
    capability: Column


class _Nature(NamedTuple):
    """What the parameters of the agent as a whole come to: they are logarithms and logits.

    Attributes:
        horizon: λ = exp ℓ.
        competence: exp ς.
        unawareness: exp(−α − highest), where `highest` is that of salience.
        concealment: k_opacity.
    """

    horizon: Vector
    competence: Vector
    unawareness: Vector
    concealment: Vector


class _Mind(NamedTuple):
    """As `sim.dynamics.cognition.Activations`, apart from these.

    Attributes:
        own_odds, gaming_odds, foreseen_odds: What policies are shares of: sums over responses, or
            of pairs, the odds against the second.
        value_first, gaming_first: The chance of the first response; needed for some assumptions.
        visibility: ψ m s, where reinforcement trains.
        pull, pull_first: exp(φ R), up to a factor, by which training weighs responses; of pairs,
            exp(−φ R) alone.
        dimness: exp(highest − salience), so that a = 1 / (1 + dimness · unawareness).
        range: The highest salience, the lowest, the largest |R|, and the least sum that is exact.
    """

    utility: Column
    own_policy: Column
    value_policy: Column
    gaming_policy: Column
    foreseen_policy: Column
    salience: Column
    dimness: Column
    belief: Column
    cost: Column
    visibility: Column
    pull: Column
    pull_first: Column
    range: Column
    own_odds: Column
    gaming_odds: Column
    foreseen_odds: Column
    value_first: Column
    gaming_first: Column
    awareness: Column
    incentive: Column
    decision: Column


class _Payoffs(NamedTuple):
    """As `sim.dynamics.training.Payoffs`, in one context.

    Attributes:
        by_gaming: E_{π^r} F, without the penalty.
        advantage: ΔF = by_gaming − P − F^v.
    """

    penalty: Any
    by_values: Any
    by_gaming: Any
    advantage: Any
    baseline: Any


class _Estimate(NamedTuple):
    """As `sim.dynamics.training.Estimate`, but answers: of a context, or a column of them."""

    gate: Any
    drive: Any
    attention: Any
    precision: Any
    concealment: Any
    practice: Any


class _Lesson(NamedTuple):
    """What a step learns.

    Attributes:
        answers: M of the others.
        coefficients: What their features are weighted with in the gradient of the values.
        weight: p, times the scale of normalised advantages.
        learnt: What goes into the habit of a context.
        gradient: Δθ without learning rates; rows that nothing trains stay zero.
        estimate: Where it is not the expectation over what reinforcement could do.
        penalty, baseline, expected, credit: Of episodes: P, B, E_{π^r} R, and what answers without
            gaming have been credited with.
        scale: By what weights are multiplied.
        all_answers: M of all responses, for propensities.
        shown: Shares of demonstrated responses, or how many of the episodes showed one.
    """

    answers: Column
    coefficients: Column
    weight: Column
    learnt: Column
    gradient: _State
    estimate: _Estimate
    penalty: Column
    baseline: Column
    expected: Column
    credit: Column
    scale: Column
    all_answers: Column
    shown: Column


def compiled(function: Function, **options: Any) -> Function:
    """Compile a function for those that call it: none is called from Python."""
    jit: Any = numba.njit
    bare = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast(Function, jit(error_model="numpy", **bare, **options)(function))


def inlined(function: Function) -> Function:
    """Compile a function into those that call it."""
    return compiled(function, forceinline=True)


philox = inlined(randomness.rounds)


@inlined
def logistic(x: Vector) -> Vector:
    """Return 1 / (1 + exp(−x))."""
    return 1.0 / (1.0 + odds_against(x))


@inlined
def sure_logistic(x: Vector) -> Vector:
    """Return the same where chances are small beyond what `odds_against` tells apart."""
    return 1.0 / (1.0 + exp(-x))


@inlined
def mean(policy: Column, x: Column, nothing: Vector, c: int, others: int) -> Vector:
    """Return E_π x in a context, against the first response."""
    total = nothing
    for i in range(c * others, (c + 1) * others):
        total = fma(policy[i], x[i], total)
    return total


# ---------------------------------------------------------------------------------- cognition (3)


@inlined
def attend(
    mind: _Mind,
    lesson: _Lesson,
    world: _World,
    traits: _Traits,
    assumptions: _Assumptions,
    places: Places,
    shape: Shape,
) -> None:
    """What stays: salience, b = σ(δ e), κ (1 − ζ s), ψ m s, and what demonstrations show."""
    for c in range(shape.contexts):
        scratchpad = world.scratchpad[c]
        mind.salience[c] = fma(
            traits.info_sensitivity, world.info[c], traits.scratchpad_sensitivity * scratchpad
        )
        mind.belief[c] = logistic(traits.discernment * world.cue[c])
        mind.cost[c] = traits.reasoning_cost * (1.0 - traits.scratchpad_saving * scratchpad)
        visible = assumptions.visible_gaming_penalty * world.monitor[c] * scratchpad
        mind.visibility[c] = visible * (1.0 - places.demonstrates[c])
        lesson.weight[c], lesson.scale[c] = world.weight[c], 1.0
        if shape.pairs:
            mind.pull[c] = exp(-(traits.foresight * world.reward[c]))
        else:
            for i in range(c * shape.others, (c + 1) * shape.others):
                mind.pull[i] = traits.foresight * world.reward[i]
            _, mind.pull_first[c] = weigh(mind.pull, world, c, shape.others)
    highest, lowest = mind.salience[0], mind.salience[0]
    for c in range(shape.contexts):
        highest = maximum(highest, mind.salience[c])
        lowest = minimum(lowest, mind.salience[c])
    for c in range(shape.contexts):
        mind.dimness[c] = exp(minimum(highest - mind.salience[c], _NARROW))
    largest = fill(highest, 0.0)
    for i in range(shape.contexts * shape.others):
        largest = maximum(largest, absolute(world.reward[i]))
    mind.range[0], mind.range[1], mind.range[2] = highest, lowest, largest
    mind.range[3] = 1e10 * assumptions.least_chance
    if shape.demonstrates:
        for i in range(shape.contexts * (shape.others + 1)):
            lesson.shown[i] = world.demonstrations[i]


@inlined
def know(mind: _Mind, state: _State) -> _Nature:
    """λ, exp ς, exp(−α − highest), k_opacity: side by side, as each is long in coming."""
    return _Nature(
        horizon=exp(state.log_horizon[0]),
        competence=exp(state.log_competence[0]),
        unawareness=odds_against(state.awareness[0] + mind.range[0]),
        concealment=logistic(state.capability[OPACITY]),
    )


@inlined
def perceive(
    mind: _Mind,
    world: _World,
    traits: _Traits,
    state: _State,
    nature: _Nature,
    places: Places,
    shape: Shape,
    others: int,
    pairs: bool,
) -> None:
    """Own preference u = Φ v, π^v, and what π^u, π^r and π^φ are made of."""
    for i in range(shape.contexts * others):
        features = world.features + i * shape.values
        utility = features[0] * state.values[0]
        for d in range(1, shape.values):
            utility = fma(features[d], state.values[d], utility)
        mind.utility[i] = utility
    if pairs:
        perceive_pairs(mind, world, traits, nature, shape)
    else:
        perceive_any(mind, world, traits, nature, shape)
    if shape.normalises or shape.demonstrates:
        compare(mind, shape)
    if shape.propensities > 0:
        incline(mind, world, traits, state, places, shape)


@inlined
def perceive_pairs(
    mind: _Mind, world: _World, traits: _Traits, nature: _Nature, shape: Shape
) -> None:
    """Of two responses each: odds, those of π^φ without an exponential wherever that is exact."""
    extent = nature.competence * mind.range[2]
    for c in range(shape.contexts):
        inclination = traits.decisiveness * mind.utility[c]
        own_odds = odds_within(inclination)
        extent = maximum(extent, absolute(inclination))
        mind.own_odds[c], mind.foreseen_odds[c] = own_odds, own_odds * mind.pull[c]
        mind.gaming_odds[c] = odds_within(nature.competence * world.reward[c])
    beyond = is_beyond(extent)
    if anywhere(beyond):
        clip(mind, world, traits, nature, beyond, shape)


@inlined
def weigh(policy: Column, world: _World, c: int, others: int) -> tuple[Vector, Vector]:
    """Turn logits into weights, of which the greatest is 1; their sum, and that of the first."""
    highest = fill(policy[c * others], 0.0)
    for i in range(c * others, (c + 1) * others):
        highest = maximum(highest, policy[i])
    first = exp(-highest)
    total = first
    for i in range(c * others, (c + 1) * others):
        weight = world.present[i] * exp(policy[i] - highest)
        policy[i], total = weight, total + weight
    return total, first


@compiled
def perceive_any(
    mind: _Mind, world: _World, traits: _Traits, nature: _Nature, shape: Shape
) -> None:
    """Of any number of responses: weights and their sums, those of π^φ from those of π^u."""
    others, least = shape.others, fill(nature.horizon, 1.0)
    for c in range(shape.contexts):
        for i in range(c * others, (c + 1) * others):
            mind.own_policy[i] = traits.decisiveness * mind.utility[i]
            mind.gaming_policy[i] = nature.competence * world.reward[i]
        mind.own_odds[c], mind.value_first[c] = weigh(mind.own_policy, world, c, others)
        mind.gaming_odds[c], mind.gaming_first[c] = weigh(mind.gaming_policy, world, c, others)
        total = mind.value_first[c] * mind.pull_first[c]
        for i in range(c * others, (c + 1) * others):
            weight = mind.own_policy[i] * mind.pull[i]
            mind.foreseen_policy[i], total = weight, total + weight
        mind.foreseen_odds[c], least = total, minimum(least, total)
    beyond = mind.range[3] > least
    if anywhere(beyond):
        foresee(mind, world, traits, beyond, shape)


@compiled
def foresee(mind: _Mind, world: _World, traits: _Traits, beyond: Mask, shape: Shape) -> None:
    """Weigh what agents foresee with exponentials of its own, where it is all but excluded now."""
    for c in range(shape.contexts):
        responses = range(c * shape.others, (c + 1) * shape.others)
        highest = fill(traits.foresight, 0.0)
        for i in responses:
            inclination = traits.decisiveness * mind.utility[i]
            highest = maximum(highest, fma(traits.foresight, world.reward[i], inclination))
        total = exp(-highest)
        for i in responses:
            inclination = traits.decisiveness * mind.utility[i]
            foreseen = fma(traits.foresight, world.reward[i], inclination)
            weight = world.present[i] * exp(foreseen - highest)
            mind.foreseen_policy[i] = where(beyond, weight, mind.foreseen_policy[i])
            total = total + weight
        mind.foreseen_odds[c] = where(beyond, total, mind.foreseen_odds[c])


@compiled
def compare(mind: _Mind, shape: Shape) -> None:
    """Find the chance of the first response under π^u and π^r."""
    for c in range(shape.contexts):
        if shape.pairs:
            mind.value_first[c] = mind.own_odds[c] / (mind.own_odds[c] + 1.0)
            mind.gaming_first[c] = mind.gaming_odds[c] / (mind.gaming_odds[c] + 1.0)
        else:
            mind.value_first[c] = mind.value_first[c] / mind.own_odds[c]
            mind.gaming_first[c] = mind.gaming_first[c] / mind.gaming_odds[c]


@compiled
def incline(
    mind: _Mind, world: _World, traits: _Traits, state: _State, places: Places, shape: Shape
) -> None:
    """π^v = softmax(β u + m), where there are propensities: else it is π^u."""
    for c in range(shape.contexts):
        rows = places.propensity[c]
        for k in range(shape.others):
            i = c * shape.others + k
            own = traits.decisiveness * mind.utility[i]
            against_first = state.propensity[max(rows[k + 1], rows[0])] - state.propensity[rows[0]]
            mind.value_policy[i] = own + against_first
        if shape.pairs:
            odds = odds_against(mind.value_policy[c])
            chance = 1.0 / (1.0 + odds)
            mind.value_policy[c], mind.value_first[c] = chance, odds * chance
            continue
        total, first = weigh(mind.value_policy, world, c, shape.others)
        share = 1.0 / total
        mind.value_first[c] = first * share
        for i in range(c * shape.others, (c + 1) * shape.others):
            mind.value_policy[i] = mind.value_policy[i] * share


@compiled
def clip(
    mind: _Mind, world: _World, traits: _Traits, nature: _Nature, beyond: Mask, shape: Shape
) -> None:
    """Find the odds of agents who are surer than `odds_within` tells apart, each with its own."""
    for c in range(shape.contexts):
        inclination = traits.decisiveness * mind.utility[c]
        foreseen = fma(traits.foresight, world.reward[c], inclination)
        gaming = nature.competence * world.reward[c]
        mind.own_odds[c] = where(beyond, odds_against(inclination), mind.own_odds[c])
        mind.foreseen_odds[c] = where(beyond, odds_against(foreseen), mind.foreseen_odds[c])
        mind.gaming_odds[c] = where(beyond, odds_against(gaming), mind.gaming_odds[c])


@inlined
def sharpen(quotient: Vector, divisor: Vector) -> Vector:
    """Return 1 / divisor to the last place: a sure policy is then exactly 1, and stakes 0."""
    return fma(quotient, fma(-divisor, quotient, 1.0), quotient)


@inlined
def settle(mind: _Mind, nature: _Nature, c: int, others: int, pairs: bool) -> None:
    """Settle π^u, π^r, π^φ and a = σ(α + χ i + γ s): of quotients, two with one division."""
    own_odds, gaming_odds, foreseen_odds = (
        mind.own_odds[c],
        mind.gaming_odds[c],
        mind.foreseen_odds[c],
    )
    if pairs:
        own_odds, gaming_odds = own_odds + 1.0, gaming_odds + 1.0
        foreseen_odds = bounded_odds(foreseen_odds) + 1.0
    awareness_odds = fma(mind.dimness[c], nature.unawareness, 1.0)
    inverse = 1.0 / (own_odds * gaming_odds)
    by_own = sharpen(inverse * gaming_odds, own_odds)
    by_gaming = sharpen(inverse * own_odds, gaming_odds)
    inverse = 1.0 / (foreseen_odds * awareness_odds)
    by_foresight = sharpen(inverse * awareness_odds, foreseen_odds)
    mind.awareness[c] = inverse * foreseen_odds
    if pairs:
        mind.own_policy[c], mind.gaming_policy[c] = by_own, by_gaming
        mind.foreseen_policy[c] = by_foresight
        return
    for i in range(c * others, (c + 1) * others):
        mind.own_policy[i] = mind.own_policy[i] * by_own
        mind.gaming_policy[i] = mind.gaming_policy[i] * by_gaming
        mind.foreseen_policy[i] = mind.foreseen_policy[i] * by_foresight


@compiled
def tell_apart(mind: _Mind, state: _State, wide: Mask, shape: Shape) -> None:
    """Find awareness with an exponential for each context where salience is too far apart.

    Where demonstrations train, too: payoffs are divided by chances, however small.
    """
    for c in range(shape.contexts):
        direct = sure_logistic(state.awareness[0] + mind.salience[c])
        mind.awareness[c] = where(wide, direct, mind.awareness[c])


@inlined
def anticipate(
    mind: _Mind,
    world: _World,
    traits: _Traits,
    state: _State,
    nature: _Nature,
    shape: Shape,
    others: int,
    pairs: bool,
) -> None:
    """I = λ b stake − μ (E_{π^u} u − E_{π^r} u) − κ (1 − ζ s), stake = E_{π^u} u − E_{π^φ} u."""
    nothing = fill(nature.horizon, 0.0)
    for c in range(shape.contexts):
        settle(mind, nature, c, others, pairs)
        own_utility = mean(mind.own_policy, mind.utility, nothing, c, others)
        stake = own_utility - mean(mind.foreseen_policy, mind.utility, nothing, c, others)
        conceded = own_utility - mean(mind.gaming_policy, mind.utility, nothing, c, others)
        given_up = fma(traits.episode_concern, conceded, mind.cost[c])
        mind.incentive[c] = fma(nature.horizon, mind.belief[c] * stake, -given_up)
    wide = mind.range[0] - mind.range[1] > (-1.0 if shape.demonstrates else _NARROW)
    if anywhere(wide):
        tell_apart(mind, state, wide, shape)


@inlined
def decide(mind: _Mind, traits: _Traits, state: _State, places: Places, shape: Shape) -> None:
    """Find the decision d = σ(h + τ I)."""
    for c in range(shape.contexts):
        logit = fma(traits.rationality, mind.incentive[c], state.habit[places.habit[c]])
        mind.decision[c] = sure_logistic(logit) if shape.demonstrates else logistic(logit)


# ----------------------------------------------------------------------------------- training (4)


@inlined
def pay(mind: _Mind, world: _World, nature: _Nature, c: int, others: int) -> _Payoffs:
    """P = ψ m s (1 − k_opacity);  F^v, ΔF and B = F^v + g ΔF, where F is R."""
    nothing = fill(nature.horizon, 0.0)
    by_values = mean(mind.value_policy, world.reward, nothing, c, others)
    by_gaming = mean(mind.gaming_policy, world.reward, nothing, c, others)
    penalty = mind.visibility[c] * (1.0 - nature.concealment)
    advantage = (by_gaming - penalty) - by_values
    baseline = fma(mind.awareness[c] * mind.decision[c], advantage, by_values)
    return _Payoffs(penalty, by_values, by_gaming, advantage, baseline)


@compiled
def normalise(
    lesson: _Lesson, mind: _Mind, world: _World, nature: _Nature, places: Places, shape: Shape
) -> None:
    """Multiply weights by 1 / (SD + 0.01), where reinforcement trains."""
    for c in range(shape.contexts):
        if places.demonstrates[c] > 0:
            continue
        paid = pay(mind, world, nature, c, shape.others)
        gaming_rate = mind.awareness[c] * mind.decision[c]
        for_gaming = paid.baseline + paid.penalty
        by_values = mind.value_first[c] * paid.baseline * paid.baseline
        by_gaming = mind.gaming_first[c] * for_gaming * for_gaming
        for i in range(c * shape.others, (c + 1) * shape.others):
            beyond, above = world.reward[i] - paid.baseline, world.reward[i] - for_gaming
            by_values = fma(mind.value_policy[i] * beyond, beyond, by_values)
            by_gaming = fma(mind.gaming_policy[i] * above, above, by_gaming)
        variance = fma(1.0 - gaming_rate, by_values, gaming_rate * by_gaming)
        lesson.scale[c] = 1.0 / (sqrt(variance) + SOFTENING)
        lesson.weight[c] = world.weight[c] * lesson.scale[c]


@inlined
def expect(
    lesson: _Lesson,
    mind: _Mind,
    world: _World,
    assumptions: _Assumptions,
    payoff: Column,
    paid: _Payoffs,
    weight: Vector,
    scaled_weight: Vector,
    shape: Shape,
    c: int,
    others: int,
) -> _Estimate:
    """Take the mean over everything that could happen (`training.estimate_exactly`)."""
    awareness, decision = mind.awareness[c], mind.decision[c]
    gaming_rate = awareness * decision
    practice = scaled_weight * gaming_rate
    drive = scaled_weight * paid.advantage * awareness
    opened = drive * decision
    answered, leaked = scaled_weight - practice, assumptions.leak * practice
    floor = paid.penalty + paid.baseline
    precision = fill(practice, 0.0)
    for i in range(c * others, (c + 1) * others):
        earned = payoff[i]
        aim = mind.gaming_policy[i] * (earned - paid.by_gaming)
        precision = fma(practice * world.reward[i], aim, precision)
        answer = mind.value_policy[i] * (answered * (earned - paid.by_values))
        if shape.leaks:
            gained = mind.gaming_policy[i] * (earned - floor)
            lost = mind.value_policy[i] * (paid.by_gaming - floor)
            answer = fma(leaked, gained - lost, answer)
        lesson.answers[i] = answer
    return _Estimate(
        gate=opened * (1.0 - decision),
        drive=drive,
        attention=opened * (1.0 - awareness),
        precision=precision,
        concealment=practice * paid.penalty,
        practice=weight * gaming_rate,
    )


@compiled
def demonstrate(
    lesson: _Lesson,
    mind: _Mind,
    world: _World,
    assumptions: _Assumptions,
    places: Places,
    shape: Shape,
) -> None:
    """Take the mean where demonstrations train: F = y / π, y being the shares that are shown."""
    others, payoffs = shape.others, lesson.answers
    for c in range(shape.contexts):
        if places.demonstrates[c] == 0:
            continue
        gaming_rate = mind.awareness[c] * mind.decision[c]
        shown = lesson.shown + c * (others + 1)
        total, value_policy, gaming_policy = shown[0], mind.value_first[c], mind.gaming_first[c]
        chance = (1.0 - gaming_rate) * value_policy + gaming_rate * gaming_policy
        payoff = total / maximum(chance, assumptions.least_chance)
        by_values, by_gaming = value_policy * payoff, gaming_policy * payoff
        for k in range(others):
            i = c * others + k
            value_policy, gaming_policy = mind.value_policy[i], mind.gaming_policy[i]
            chance = (1.0 - gaming_rate) * value_policy + gaming_rate * gaming_policy
            payoff = shown[k + 1] / maximum(chance, assumptions.least_chance)
            total = total + shown[k + 1]
            by_values = fma(value_policy, payoff, by_values)
            by_gaming = fma(gaming_policy, payoff, by_gaming)
            payoffs[i] = payoff
        baseline = (1.0 - gaming_rate) * by_values + gaming_rate * by_gaming
        advantage, penalty = by_gaming - by_values, fill(total, 0.0)
        paid = _Payoffs(penalty, by_values, by_gaming, advantage, baseline)
        weight = world.weight[c] if shape.episodes == 0 else fill(total, 1.0)
        found = expect(
            lesson, mind, world, assumptions, payoffs, paid, weight, weight, shape, c, others
        )
        estimate = lesson.estimate
        estimate.gate[c], estimate.drive[c] = found.gate, found.drive
        estimate.attention[c], estimate.precision[c] = found.attention, found.precision
        estimate.concealment[c], estimate.practice[c] = penalty, found.practice * total


@compiled
def sample(
    lesson: _Lesson,
    mind: _Mind,
    world: _World,
    nature: _Nature,
    assumptions: _Assumptions,
    places: Places,
    seats: Column,
    words: Column,
    shape: Shape,
    now: int,
    width: int,
) -> None:
    """Take the mean over episodes (`training.estimate_from_episodes`)."""
    nothing = fill(nature.horizon, 0.0)
    for c in range(shape.contexts):
        paid = pay(mind, world, nature, c, shape.others)
        lesson.penalty[c], lesson.baseline[c] = paid.penalty, paid.baseline
        lesson.expected[c], lesson.credit[c] = paid.by_gaming, nothing
        for total in lesson.estimate:
            total[c] = nothing
    for i in range(shape.contexts * shape.others):
        lesson.answers[i] = nothing
    if shape.demonstrates:
        for i in range(shape.contexts * (shape.others + 1)):
            lesson.shown[i] = nothing
    row, low, high = seats[0], seats[1], seats[2]
    for episode in range(shape.episodes):
        words[0], words[1], words[2], words[3] = philox(
            fill(row, episode), fill(row, now), row, fill(row, _STREAM), low, high
        )
        for n in range(width):
            meet(lesson, mind, world, assumptions, places, words, shape, n)
    for c in range(shape.contexts):
        for i in range(c * shape.others, (c + 1) * shape.others):
            lesson.answers[i] = lesson.answers[i] - mind.value_policy[i] * lesson.credit[c]
        seen = lesson.estimate.practice[c] * lesson.scale[c]
        lesson.estimate.concealment[c] = seen * lesson.penalty[c]


@inlined
def meet(
    lesson: _Lesson,
    mind: _Mind,
    world: _World,
    assumptions: _Assumptions,
    places: Places,
    words: Column,
    shape: Shape,
    n: int,
) -> None:
    """Give agent n of a block an episode (`episodes.draw_episodes`), and learn from it."""
    fraction = ((words[0, n] >> _FIVE) << _TWENTY_SIX) | (words[1, n] >> _SIX)
    for_mode = float(fraction) * 2.0**-53
    for_context = (float(words[2, n]) + 0.5) * 2.0**-32
    for_response = (float(words[3, n]) + 0.5) * 2.0**-32
    c, passed = 0, float(world.weight[0, n])
    while c < shape.contexts - 1 and for_context >= passed:
        c += 1
        passed += world.weight[c, n]
    passed = 0.0
    if places.demonstrates[c] > 0:
        all_responses, chosen = c * (shape.others + 1), 0
        for k in range(1, shape.others + 1):
            passed += world.demonstrations[all_responses + k, n]
            if for_response < passed:
                chosen = k
                break
        lesson.shown[all_responses + chosen, n] += 1.0 / shape.episodes
        return
    awareness, decision = mind.awareness[c, n], mind.decision[c, n]
    gamed = for_mode < awareness * decision
    policy = mind.gaming_policy if gamed else mind.value_policy
    chosen, earned = -1, 0.0
    for i in range(c * shape.others, (c + 1) * shape.others):
        passed += policy[i, n]
        if for_response < passed:
            chosen, earned = i, float(world.reward[i, n])
            break
    if gamed:
        earned -= lesson.penalty[c, n]
    advantage = lesson.scale[c, n] * (earned - lesson.baseline[c, n]) / shape.episodes
    credit = advantage
    estimate = lesson.estimate
    if gamed:
        credit *= assumptions.leak[n]
        score, drive = advantage, advantage / decision
        surprise = earned + lesson.penalty[c, n] - lesson.expected[c, n]
        estimate.practice[c, n] += 1.0 / shape.episodes
        estimate.precision[c, n] += advantage * surprise
    else:
        not_gaming = (1.0 - awareness) + awareness * (1.0 - decision)
        drive = -awareness / not_gaming * advantage
        score = drive * decision
    estimate.drive[c, n] += drive
    estimate.gate[c, n] += score * (1.0 - decision)
    estimate.attention[c, n] += score * (1.0 - awareness)
    lesson.credit[c, n] += credit
    if chosen >= 0:
        lesson.answers[chosen, n] += credit


@inlined
def learn(
    lesson: _Lesson,
    mind: _Mind,
    world: _World,
    traits: _Traits,
    nature: _Nature,
    assumptions: _Assumptions,
    places: Places,
    shape: Shape,
    others: int,
) -> None:
    """Find the gradient of what is the whole agent's, what each context learns, weights of Φ.

    Credit flows through the decision into what motivated it (`training.gradient`).
    """
    credit = traits.rationality * assumptions.motive_credit
    future, present = credit * nature.horizon, credit * traits.episode_concern
    nothing = fill(credit, 0.0)
    attention, foresaw, aimed, practice, concealed = nothing, nothing, nothing, nothing, nothing
    for c in range(shape.contexts):
        paid = pay(mind, world, nature, c, others)
        if shape.episodes > 0 or (shape.demonstrates and places.demonstrates[c] > 0):
            given = lesson.estimate
            found = _Estimate(
                gate=given.gate[c],
                drive=given.drive[c],
                attention=given.attention[c],
                precision=given.precision[c],
                concealment=given.concealment[c],
                practice=given.practice[c],
            )
        else:
            rewards, weight, scaled = world.reward, world.weight[c], lesson.weight[c]
            found = expect(
                lesson, mind, world, assumptions, rewards, paid, weight, scaled, shape, c, others
            )
        lesson.learnt[c] = found.drive if shape.natural else found.gate
        care = future * mind.belief[c] * found.gate
        concession = present * found.gate
        own_utility = mean(mind.own_policy, mind.utility, nothing, c, others)
        foreseen_utility = mean(mind.foreseen_policy, mind.utility, nothing, c, others)
        foresaw = fma(care, own_utility - foreseen_utility, foresaw)
        for i in range(c * others, (c + 1) * others):
            aim = mind.gaming_policy[i] * (world.reward[i] - paid.by_gaming)
            aimed = fma(concession * mind.utility[i], aim, aimed)
            own = fma(traits.decisiveness, mind.utility[i] - own_utility, 1.0)
            foreseen = fma(traits.decisiveness, mind.utility[i] - foreseen_utility, 1.0)
            lost = fma(mind.own_policy[i], own, -(mind.foreseen_policy[i] * foreseen))
            given_up = fma(mind.own_policy[i], own, -mind.gaming_policy[i])
            moved = fma(care, lost, -(concession * given_up))
            lesson.coefficients[i] = fma(traits.decisiveness, lesson.answers[i], moved)
        attention = attention + found.attention
        aimed = aimed + found.precision
        practice = practice + found.practice
        concealed = concealed + found.concealment
    gradient = lesson.gradient
    gradient.awareness[0] = attention
    gradient.log_horizon[0] = foresaw
    gradient.log_competence[0] = nature.competence * aimed
    for j in range(len(CAPABILITIES)):
        gradient.capability[j] = assumptions.transfer[j] * practice
    gradient.capability[OPACITY] = fma(nature.concealment, concealed, gradient.capability[OPACITY])


@inlined
def learn_habit(
    lesson: _Lesson, world: _World, assumptions: _Assumptions, places: Places, shape: Shape
) -> None:
    """(1 − ρ) Γ + ρ S Γ: what is learnt in trained contexts reaches all by S."""
    habit, learnt, share = lesson.gradient.habit, lesson.learnt, assumptions.habit_generalisation
    if not shape.spreads_habit:
        for c in range(shape.contexts):
            habit[places.habit[c]] = learnt[c]
        return
    for place in range(shape.habits):
        similarity = world.similarity + place * shape.contexts
        carried = similarity[0] * learnt[0]
        for c in range(1, shape.contexts):
            carried = fma(similarity[c], learnt[c], carried)
        habit[place] = share * carried
    for c in range(shape.contexts):
        habit[places.habit[c]] = fma(1.0 - share, learnt[c], habit[places.habit[c]])


@compiled
def learn_propensity(
    lesson: _Lesson, world: _World, assumptions: _Assumptions, places: Places, shape: Shape
) -> None:
    """(1 − ρ) M + ρ Σ S M over responses of the same name: as with habits, reaches all."""
    propensity, share = lesson.gradient.propensity, assumptions.propensity_generalisation
    answers, others = lesson.all_answers, shape.others
    for c in range(shape.contexts):
        total = fill(share, 0.0)
        for k in range(others):
            answers[c * (others + 1) + k + 1] = lesson.answers[c * others + k]
            total = total + lesson.answers[c * others + k]
        answers[c * (others + 1)] = -total  # they sum to 0
    if shape.spreads_propensity:
        for row in range(shape.propensities):
            similarity = world.similarity + places.context[row] * shape.contexts
            carried = fill(share, 0.0)
            for c in range(shape.contexts):
                source = places.source[row, c]
                if source >= 0:
                    carried = fma(similarity[c], answers[source], carried)
            propensity[row] = share * carried
    for c in range(shape.contexts):
        for k in range(others + 1):
            row, answer = places.propensity[c, k], answers[c * (others + 1) + k]
            if row >= 0 and shape.spreads_propensity:
                propensity[row] = fma(1.0 - share, answer, propensity[row])
            elif row >= 0:
                propensity[row] = answer


@inlined
def learn_values(lesson: _Lesson, world: _World, shape: Shape, others: int) -> None:
    """Σ_c Σ_k Φ_ck W_ck."""
    for d in range(shape.values):
        total = world.features[d] * lesson.coefficients[0]
        for i in range(1, shape.contexts * others):
            total = fma(world.features[i * shape.values + d], lesson.coefficients[i], total)
        lesson.gradient.values[d] = total


@inlined
def update(
    theta: Column, origin: Column, gradient: Column, assumptions: _Assumptions, shape: Shape
) -> None:
    """θ + η Δθ − anchor (θ − θ_0)."""
    for p in range(shape.values + shape.propensities + shape.habits + _SINGLES):
        moved = fma(assumptions.learning_rate[p], gradient[p], theta[p])
        if shape.anchors:
            moved = fma(-assumptions.anchor, theta[p] - origin[p], moved)
        theta[p] = moved


# ------------------------------------------------------------------------------------- the kernel


@inlined
def step(
    theta: Column,
    origin: Column,
    mind: _Mind,
    lesson: _Lesson,
    world: _World,
    traits: _Traits,
    assumptions: _Assumptions,
    places: Places,
    seats: Column,
    words: Column,
    shape: Shape,
    now: int,
    width: int,
    others: int,
    pairs: bool,
) -> None:
    """Do one training step; `others` and `pairs` once more, for the compiler to know them."""
    state = _name(theta, shape)
    nature = know(mind, state)
    perceive(mind, world, traits, state, nature, places, shape, others, pairs)
    anticipate(mind, world, traits, state, nature, shape, others, pairs)
    decide(mind, traits, state, places, shape)
    if shape.normalises:
        normalise(lesson, mind, world, nature, places, shape)
    if shape.episodes > 0:
        sample(lesson, mind, world, nature, assumptions, places, seats, words, shape, now, width)
    if shape.demonstrates:
        demonstrate(lesson, mind, world, assumptions, places, shape)
    learn(lesson, mind, world, traits, nature, assumptions, places, shape, others)
    learn_habit(lesson, world, assumptions, places, shape)
    if shape.propensities > 0:
        learn_propensity(lesson, world, assumptions, places, shape)
    if others > 0:
        learn_values(lesson, world, shape, others)
    update(theta, origin, lesson.gradient.values, assumptions, shape)


@inlined
def _name(rows: Column, shape: Shape) -> _State:
    """Name the rows of θ."""
    habit = rows + (shape.values + shape.propensities)
    after = habit + shape.habits
    return _State(rows, rows + shape.values, habit, after, after + 1, after + 2, after + 3)


@inlined
def _furnish(room: Column, shape: Shape) -> tuple[_Mind, _Lesson]:
    """Cut up the room that a block has; what does not live at the same time shares a place."""
    by_other = room
    by_context = by_other + _BY_OTHER * shape.contexts * shape.others
    gradient = by_context + _BY_CONTEXT * shape.contexts
    rest = gradient + (shape.values + shape.propensities + shape.habits + _SINGLES)
    by_estimate = rest + 4
    by_response = by_estimate + _BY_ESTIMATE * shape.contexts
    by_propensity = by_response + _BY_RESPONSE * shape.contexts * (shape.others + 1)
    by_value = by_propensity if shape.propensities > 0 else by_other + 1  # else π^v is π^u
    mind = _Mind(
        utility=every(by_other, _BY_OTHER),
        own_policy=every(by_other + 1, _BY_OTHER),
        value_policy=every(by_value, _BY_OTHER),
        gaming_policy=every(by_other + 2, _BY_OTHER),
        foreseen_policy=every(by_other + 3, _BY_OTHER),
        salience=every(by_estimate + 13, _BY_ESTIMATE),
        dimness=every(by_context, _BY_CONTEXT),
        belief=every(by_context + 1, _BY_CONTEXT),
        cost=every(by_context + 2, _BY_CONTEXT),
        visibility=every(by_context + 3, _BY_CONTEXT),
        pull=every(by_other + 5, _BY_OTHER),
        pull_first=every(by_estimate + 14, _BY_ESTIMATE),
        range=rest,
        own_odds=every(by_context + 5, _BY_CONTEXT),
        gaming_odds=every(by_context + 6, _BY_CONTEXT),
        foreseen_odds=every(by_context + 7, _BY_CONTEXT),
        value_first=every(by_estimate, _BY_ESTIMATE),
        gaming_first=every(by_estimate + 1, _BY_ESTIMATE),
        awareness=every(by_context + 5, _BY_CONTEXT),
        incentive=every(by_context + 6, _BY_CONTEXT),
        decision=every(by_context + 6, _BY_CONTEXT),
    )
    lesson = _Lesson(
        answers=every(by_other + 4, _BY_OTHER),
        coefficients=every(by_other + 3, _BY_OTHER),
        weight=every(by_context + 4, _BY_CONTEXT),
        learnt=every(by_context + 7, _BY_CONTEXT),
        gradient=_name(gradient, shape),
        estimate=_Estimate(
            gate=every(by_estimate + 2, _BY_ESTIMATE),
            drive=every(by_estimate + 3, _BY_ESTIMATE),
            attention=every(by_estimate + 4, _BY_ESTIMATE),
            precision=every(by_estimate + 5, _BY_ESTIMATE),
            concealment=every(by_estimate + 6, _BY_ESTIMATE),
            practice=every(by_estimate + 7, _BY_ESTIMATE),
        ),
        penalty=every(by_estimate + 8, _BY_ESTIMATE),
        baseline=every(by_estimate + 9, _BY_ESTIMATE),
        expected=every(by_estimate + 10, _BY_ESTIMATE),
        credit=every(by_estimate + 11, _BY_ESTIMATE),
        scale=every(by_estimate + 12, _BY_ESTIMATE),
        all_answers=every(by_response, _BY_RESPONSE),
        shown=every(by_response + 1, _BY_RESPONSE),
    )
    return mind, lesson


def _digest() -> int:
    """Return a digest of all that a kernel is made of: Numba's cache looks at this file only."""
    constants = repr((TRAINING_EPISODES, CAPABILITIES, OPACITY, SOFTENING)).encode()
    files = (__file__, vector.__file__, randomness.__file__)
    return zlib.crc32(constants + b"".join(Path(file).read_bytes() for file in files))


@cache
def kernel(width: int) -> Callable[..., int]:
    """Return the kernel for blocks of `width` agents.

    It compiles itself when it is first called, once for each precision, and once more for numbers
    that agents have to themselves; what it then leaves on the disk serves later processes. It
    returns a digest of its sources, only so that the cache knows one version from another.
    """
    version = _digest()

    def train(
        theta: Table,
        origin: Table,
        traits_table: Table,
        seats_table: Table,
        tables: Tables,
        places: Places,
        shape: Shape,
        room: Table,
        words: Table,
        first: int,
        last: int,
        start: int,
        stop: int,
    ) -> int:
        for block in range(first, last):
            t = column(traits_table, block, width)
            traits = _Traits(t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8])
            assumptions = _Assumptions(
                motive_credit=column(tables.motive_credit, block, width)[0],
                leak=column(tables.leak, block, width)[0],
                habit_generalisation=column(tables.habit_generalisation, block, width)[0],
                propensity_generalisation=column(tables.propensity_generalisation, block, width)[0],
                anchor=column(tables.anchor, block, width)[0],
                visible_gaming_penalty=column(tables.visible_gaming_penalty, block, width)[0],
                transfer=column(tables.transfer, block, width),
                learning_rate=column(tables.learning_rate, block, width),
                least_chance=column(tables.least_chance, block, width)[0],
            )
            world = _World(
                features=column(tables.features, block, width),
                reward=column(tables.reward, block, width),
                present=column(tables.present, block, width),
                demonstrations=column(tables.demonstrations, block, width),
                weight=column(tables.weight, block, width),
                info=column(tables.info, block, width),
                scratchpad=column(tables.scratchpad, block, width),
                cue=column(tables.cue, block, width),
                monitor=column(tables.monitor, block, width),
                similarity=column(tables.similarity, block, width),
            )
            here, there = column(theta, block, width), column(origin, block, width)
            seats, drawn = column(seats_table, block, width), column(words, block, width)
            mind, lesson = _furnish(column(room, block, width), shape)
            for p in range(shape.values + shape.propensities + shape.habits):
                lesson.gradient.values[p] = 0.0
            attend(mind, lesson, world, traits, assumptions, places, shape)
            for now in range(start, stop):
                if shape.pairs:
                    step(
                        here,
                        there,
                        mind,
                        lesson,
                        world,
                        traits,
                        assumptions,
                        places,
                        seats,
                        drawn,
                        shape,
                        now,
                        width,
                        1,
                        True,
                    )
                else:
                    step(
                        here,
                        there,
                        mind,
                        lesson,
                        world,
                        traits,
                        assumptions,
                        places,
                        seats,
                        drawn,
                        shape,
                        now,
                        width,
                        shape.others,
                        False,
                    )
        return version

    jit: Any = numba.njit
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return cast(Callable[..., int], jit(cache=True, **options)(train))
    except RuntimeError:  # nowhere to write a cache to
        return cast(Callable[..., int], jit(**options)(train))
