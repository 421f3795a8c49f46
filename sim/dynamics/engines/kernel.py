"""A whole stretch of training as one compiled function (MODEL.md sections 3 and 4).

It is written as if for one agent: a number below is a `Vector`, the same number of each of W agents
side by side, and a table of numbers a `Column` of such vectors. The functions have the names and
the order of `sim.dynamics.cognition` and `sim.dynamics.training`, and follow their formulas.

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
    anywhere,
    column,
    every,
    exp,
    fill,
    fma,
    maximum,
    minimum,
    odds_against,
    where,
)
from sim.dynamics.training import OPACITY, TRAINING_EPISODES
from sim.specs.agent import CAPABILITIES

Function = TypeVar("Function", bound=Callable[..., Any])
#: Numbers of all agents: [blocks, length, W], [1, length, W] or [length] where all share them.
Table = NDArray[Any]

#: Rows of θ after values and habits: α, ℓ, ς and the capabilities.
_SINGLES = 3 + len(CAPABILITIES)
#: Columns that a block has in mind: for each response, for each context, and of episodes.
_BY_RESPONSE, _BY_CONTEXT, _BY_EPISODES = 4, 12, 8
#: How far apart salience (a logit) may be for one exponential to serve all contexts.
_NARROW = 25.0

_STREAM = np.uint64(randomness.stream_id(TRAINING_EPISODES))
_FIVE, _SIX, _TWENTY_SIX = np.uint64(5), np.uint64(6), np.uint64(26)


class Tables(NamedTuple):
    """The numbers of a stretch of training, in the order context, response, value.

    Attributes:
        features, reward, weight, info, scratchpad, cue, monitor, similarity: As in
            `sim.dynamics.program.World`.
        present: 1 where a context has a k-th response, and 0 where not.
        motive_credit, leak, spread, anchor, visible_gaming_penalty, transfer, learning_rate: As in
            `sim.dynamics.program.Assumptions`.
    """

    features: Table
    reward: Table
    present: Table
    weight: Table
    info: Table
    scratchpad: Table
    cue: Table
    monitor: Table
    similarity: Table
    motive_credit: Table
    leak: Table
    spread: Table
    anchor: Table
    visible_gaming_penalty: Table
    transfer: Table
    learning_rate: Table


class Shape(NamedTuple):
    """How long things are, and which of the assumptions are in force at all.

    Attributes:
        contexts: C, those that are trained.
        others: K − 1.
        values: D.
        habits: The number of habits, of trained and untrained contexts.
        episodes: B of the sampled estimator; 0 for the exact one.
        replicator: Whether the update rule is the replicator's.
        leaks, spreads, anchors: Whether there is any leak, spread, anchor.
    """

    contexts: int
    others: int
    values: int
    habits: int
    episodes: int
    replicator: bool
    leaks: bool
    spreads: bool
    anchors: bool

    @property
    def room(self) -> int:
        """How many vectors a block has in mind at a time."""
        by_context = _BY_CONTEXT + (_BY_EPISODES if self.episodes else 0)
        by_response = _BY_RESPONSE * self.others
        return self.contexts * (by_response + by_context) + self.values + self.habits + _SINGLES + 2


class _Traits(NamedTuple):
    """As `sim.dynamics.population.Traits`, and in its order."""

    decisiveness: Vector
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
    spread: Vector
    anchor: Vector
    visible_gaming_penalty: Vector
    transfer: Column
    learning_rate: Column


class _World(NamedTuple):
    """As `sim.dynamics.program.World`, with `present` for `absent`."""

    features: Column
    reward: Column
    present: Column
    weight: Column
    info: Column
    scratchpad: Column
    cue: Column
    monitor: Column
    similarity: Column


class _State(NamedTuple):
    """As `sim.dynamics.state.State`, of θ or of its gradient."""

    values: Column
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
        value_odds, gaming_odds: What policies are shares of: sums over responses.
        value_utility: E_{π^v} u.
        threat: b stake.
        visibility: ψ m s.
        dimness: exp(highest − salience), so that a = 1 / (1 + dimness · unawareness).
        range: The highest salience and the lowest.
    """

    utility: Column
    value_policy: Column
    gaming_policy: Column
    salience: Column
    dimness: Column
    belief: Column
    cost: Column
    visibility: Column
    range: Column
    value_odds: Column
    gaming_odds: Column
    awareness: Column
    value_utility: Column
    value_reward: Column
    gaming_reward: Column
    threat: Column
    incentive: Column
    decision: Column


class _Earnings(NamedTuple):
    """What answers earn in a context: P, ΔR and B."""

    penalty: Any
    advantage: Any
    objective: Any


class _Estimate(NamedTuple):
    """What an estimator makes of a context, apart from W: one number, or a column of them.

    Attributes:
        practice: p g, or the share of episodes that were gamed.
        pressure: p a ΔR.
        gate: Γ = p ΔR a d (1 − d).
        pull: p ΔR a (1 − a) d, the pull on α.
        hit: p g Var_{π^r}(R), the pull on ς.
    """

    practice: Any
    pressure: Any
    gate: Any
    pull: Any
    hit: Any


class _Lesson(NamedTuple):
    """As `sim.dynamics.training.StepBuffers`.

    Attributes:
        coefficients: W.
        learnt: What goes into the habit of a context.
        gradient: Δθ without learning rates; rows that nothing trains stay zero.
        estimate, penalty, objective, answered: Of episodes: what they add up to, P and B, and what
            answers were worth to the values.
    """

    coefficients: Column
    learnt: Column
    gradient: _State
    estimate: _Estimate
    penalty: Column
    objective: Column
    answered: Column


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


# ---------------------------------------------------------------------------------- cognition (3)


@inlined
def attend(
    mind: _Mind, world: _World, traits: _Traits, assumptions: _Assumptions, shape: Shape
) -> None:
    """What an input tells: salience, b = σ(δ e), κ (1 − ζ s), ψ m s."""
    for c in range(shape.contexts):
        scratchpad = world.scratchpad[c]
        mind.salience[c] = fma(
            traits.info_sensitivity, world.info[c], traits.scratchpad_sensitivity * scratchpad
        )
        mind.belief[c] = logistic(traits.discernment * world.cue[c])
        mind.cost[c] = traits.reasoning_cost * (1.0 - traits.scratchpad_saving * scratchpad)
        mind.visibility[c] = assumptions.visible_gaming_penalty * world.monitor[c] * scratchpad
    highest, lowest = mind.salience[0], mind.salience[0]
    for c in range(shape.contexts):
        highest = maximum(highest, mind.salience[c])
        lowest = minimum(lowest, mind.salience[c])
    for c in range(shape.contexts):
        mind.dimness[c] = exp(minimum(highest - mind.salience[c], _NARROW))
    mind.range[0], mind.range[1] = highest, lowest


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
    shape: Shape,
    others: int,
) -> None:
    """Own preference u = Φ v, and what softmax(β u) and softmax(exp(ς) R) are made of."""
    for i in range(shape.contexts * others):
        features = world.features + i * shape.values
        utility = features[0] * state.values[0]
        for d in range(1, shape.values):
            utility = fma(features[d], state.values[d], utility)
        mind.utility[i] = utility
    if others == 1:
        for c in range(shape.contexts):
            mind.value_odds[c] = 1.0 + odds_against(traits.decisiveness * mind.utility[c])
            mind.gaming_odds[c] = 1.0 + odds_against(nature.competence * world.reward[c])
        return
    for c in range(shape.contexts):
        highest_value = fill(nature.competence, 0.0)
        highest_gaming = highest_value
        for i in range(c * others, (c + 1) * others):
            mind.value_policy[i] = traits.decisiveness * mind.utility[i]
            mind.gaming_policy[i] = nature.competence * world.reward[i]
            highest_value = maximum(highest_value, mind.value_policy[i])
            highest_gaming = maximum(highest_gaming, mind.gaming_policy[i])
        value_odds, gaming_odds = exp(-highest_value), exp(-highest_gaming)
        for i in range(c * others, (c + 1) * others):
            by_value = world.present[i] * exp(mind.value_policy[i] - highest_value)
            by_gaming = world.present[i] * exp(mind.gaming_policy[i] - highest_gaming)
            value_odds, gaming_odds = value_odds + by_value, gaming_odds + by_gaming
            mind.value_policy[i], mind.gaming_policy[i] = by_value, by_gaming
        mind.value_odds[c], mind.gaming_odds[c] = value_odds, gaming_odds


@inlined
def settle(mind: _Mind, nature: _Nature, c: int, others: int) -> None:
    """Settle both policies and a = σ(α + χ i + γ s): three quotients with one division."""
    value_odds, gaming_odds = mind.value_odds[c], mind.gaming_odds[c]
    awareness_odds = fma(mind.dimness[c], nature.unawareness, 1.0)
    policies = value_odds * gaming_odds
    inverse = 1.0 / (policies * awareness_odds)
    mind.awareness[c] = policies * inverse
    inverse = inverse * awareness_odds
    by_value, by_gaming = inverse * gaming_odds, inverse * value_odds
    if others == 1:
        mind.value_policy[c], mind.gaming_policy[c] = by_value, by_gaming
    else:
        for i in range(c * others, (c + 1) * others):
            mind.value_policy[i] = mind.value_policy[i] * by_value
            mind.gaming_policy[i] = mind.gaming_policy[i] * by_gaming


@compiled
def tell_apart(mind: _Mind, state: _State, wide: Mask, shape: Shape) -> None:
    """Find awareness with an exponential for each context where salience is too far apart."""
    for c in range(shape.contexts):
        direct = logistic(state.awareness[0] + mind.salience[c])
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
) -> None:
    """I = λ b stake − μ (E_{π^v} u − E_{π^r} u) − κ (1 − ζ s), with stake = −β Cov_{π^v}(u, R)."""
    nothing = fill(nature.horizon, 0.0)
    for c in range(shape.contexts):
        settle(mind, nature, c, others)
        value_reward, gaming_reward = nothing, nothing
        value_utility, gaming_utility, covariance = nothing, nothing, nothing
        for k in range(others):
            i = c * others + k
            value_reward = fma(mind.value_policy[i], world.reward[i], value_reward)
            gaming_reward = fma(mind.gaming_policy[i], world.reward[i], gaming_reward)
            value_utility = fma(mind.value_policy[i], mind.utility[i], value_utility)
            gaming_utility = fma(mind.gaming_policy[i], mind.utility[i], gaming_utility)
        for k in range(others):
            i = c * others + k
            weighed = mind.value_policy[i] * mind.utility[i]
            covariance = fma(weighed, world.reward[i] - value_reward, covariance)
        threat = -(traits.decisiveness * mind.belief[c]) * covariance
        given_up = fma(traits.episode_concern, value_utility - gaming_utility, mind.cost[c])
        mind.incentive[c] = fma(nature.horizon, threat, -given_up)
        mind.threat[c] = threat
        mind.value_reward[c], mind.gaming_reward[c] = value_reward, gaming_reward
        mind.value_utility[c] = value_utility
    wide = mind.range[0] - mind.range[1] > _NARROW
    if anywhere(wide):
        tell_apart(mind, state, wide, shape)


@inlined
def decide(
    mind: _Mind, traits: _Traits, state: _State, places: NDArray[np.intp], shape: Shape
) -> None:
    """Find the decision d = σ(h + τ I)."""
    for c in range(shape.contexts):
        logit = fma(traits.rationality, mind.incentive[c], state.habit[places[c]])
        mind.decision[c] = logistic(logit)


# ----------------------------------------------------------------------------------- training (4)


@inlined
def reward(mind: _Mind, nature: _Nature, c: int) -> _Earnings:
    """P = ψ m s (1 − k_opacity);  ΔR = E_{π^r} R − P − E_{π^v} R;  B = E_{π^v} R + g ΔR."""
    penalty = mind.visibility[c] * (1.0 - nature.concealment)
    advantage = (mind.gaming_reward[c] - penalty) - mind.value_reward[c]
    gaming_rate = mind.awareness[c] * mind.decision[c]
    return _Earnings(penalty, advantage, fma(gaming_rate, advantage, mind.value_reward[c]))


@inlined
def expect(
    lesson: _Lesson,
    mind: _Mind,
    world: _World,
    traits: _Traits,
    assumptions: _Assumptions,
    earnings: _Earnings,
    shape: Shape,
    c: int,
    others: int,
) -> _Estimate:
    """Take the mean over everything that could happen (`training.estimate_exactly`)."""
    weight, awareness, decision = world.weight[c], mind.awareness[c], mind.decision[c]
    practice = weight * (awareness * decision)
    pressure = weight * earnings.advantage * awareness
    opened = pressure * decision
    answered = traits.decisiveness * (weight - practice)
    hit = fill(practice, 0.0)
    for k in range(others):
        i = c * others + k
        aim = mind.gaming_policy[i] * (world.reward[i] - mind.gaming_reward[c])
        hit = fma(practice * world.reward[i], aim, hit)
        moved = answered * (world.reward[i] - mind.value_reward[c])
        lesson.coefficients[i] = mind.value_policy[i] * moved
    if shape.leaks:
        leaked = traits.decisiveness * assumptions.leak * practice
        baseline = earnings.penalty + earnings.objective
        for k in range(others):
            i = c * others + k
            gained = mind.gaming_policy[i] * (world.reward[i] - baseline)
            lost = mind.value_policy[i] * (mind.gaming_reward[c] - baseline)
            lesson.coefficients[i] = fma(leaked, gained - lost, lesson.coefficients[i])
    return _Estimate(
        practice=practice,
        pressure=pressure,
        gate=opened * (1.0 - decision),
        pull=opened * (1.0 - awareness),
        hit=hit,
    )


@compiled
def sample(
    lesson: _Lesson,
    mind: _Mind,
    world: _World,
    traits: _Traits,
    nature: _Nature,
    assumptions: _Assumptions,
    seats: Column,
    words: Column,
    shape: Shape,
    now: int,
    width: int,
) -> None:
    """Take the mean over episodes (`training.estimate_from_episodes`)."""
    nothing = fill(nature.horizon, 0.0)
    for c in range(shape.contexts):
        earnings = reward(mind, nature, c)
        lesson.penalty[c], lesson.objective[c] = earnings.penalty, earnings.objective
        for total in lesson.estimate:
            total[c] = nothing
        lesson.answered[c] = nothing
    for i in range(shape.contexts * shape.others):
        lesson.coefficients[i] = nothing
    row, low, high = seats[0], seats[1], seats[2]
    for episode in range(shape.episodes):
        words[0], words[1], words[2], words[3] = philox(
            fill(row, episode), fill(row, now), row, fill(row, _STREAM), low, high
        )
        for n in range(width):
            meet(lesson, mind, world, traits, assumptions, words, shape, n)
    for c in range(shape.contexts):
        for i in range(c * shape.others, (c + 1) * shape.others):
            shared = mind.value_policy[i] * lesson.answered[c]
            lesson.coefficients[i] = lesson.coefficients[i] - shared


@inlined
def meet(
    lesson: _Lesson,
    mind: _Mind,
    world: _World,
    traits: _Traits,
    assumptions: _Assumptions,
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
    awareness, decision = mind.awareness[c, n], mind.decision[c, n]
    gamed = for_mode < awareness * decision
    policy = mind.gaming_policy if gamed else mind.value_policy
    chosen, passed, earned = -1, 0.0, 0.0
    for i in range(c * shape.others, (c + 1) * shape.others):
        passed += policy[i, n]
        if for_response < passed:
            chosen, earned = i, float(world.reward[i, n])
            break
    if gamed:
        earned -= lesson.penalty[c, n]
    advantage = (earned - lesson.objective[c, n]) / shape.episodes
    answered = traits.decisiveness[n] * advantage
    estimate = lesson.estimate
    if gamed:
        answered *= assumptions.leak[n]
        score, pressure = advantage, advantage / decision
        surprise = earned + lesson.penalty[c, n] - mind.gaming_reward[c, n]
        estimate.practice[c, n] += 1.0 / shape.episodes
        estimate.hit[c, n] += advantage * surprise
    else:
        not_gaming = (1.0 - awareness) + awareness * (1.0 - decision)
        pressure = -awareness / not_gaming * advantage
        score = pressure * decision
    estimate.pressure[c, n] += pressure
    estimate.gate[c, n] += score * (1.0 - decision)
    estimate.pull[c, n] += score * (1.0 - awareness)
    lesson.answered[c, n] += answered
    if chosen >= 0:
        lesson.coefficients[chosen, n] += answered


@inlined
def learn(
    lesson: _Lesson,
    mind: _Mind,
    world: _World,
    traits: _Traits,
    nature: _Nature,
    assumptions: _Assumptions,
    shape: Shape,
    others: int,
) -> None:
    """Find the gradient of what is the whole agent's, and of each context's habit and W.

    Credit flows through the decision into what motivated it (`training._credit_motives`).
    """
    credit = traits.rationality * assumptions.motive_credit
    foreseen = nature.horizon * traits.decisiveness
    awareness = fill(credit, 0.0)
    foresaw, aimed, practice, penalised = awareness, awareness, awareness, awareness
    for c in range(shape.contexts):
        earnings = reward(mind, nature, c)
        if shape.episodes > 0:
            sampled = lesson.estimate
            found = _Estimate(
                practice=sampled.practice[c],
                pressure=sampled.pressure[c],
                gate=sampled.gate[c],
                pull=sampled.pull[c],
                hit=sampled.hit[c],
            )
        else:
            found = expect(lesson, mind, world, traits, assumptions, earnings, shape, c, others)
        lesson.learnt[c] = found.pressure if shape.replicator else found.gate
        motive = credit * found.gate
        concession = traits.episode_concern * motive
        foresight = foreseen * motive
        for k in range(others):
            i = c * others + k
            aim = mind.gaming_policy[i] * (world.reward[i] - mind.gaming_reward[c])
            aimed = fma(concession * mind.utility[i], aim, aimed)
            appeal = fma(traits.decisiveness, mind.utility[i] - mind.value_utility[c], 1.0)
            surplus = mind.belief[c] * (world.reward[i] - mind.value_reward[c])
            moved = fma(appeal, fma(foresight, surplus, concession), foresight * mind.threat[c])
            gained = fma(mind.gaming_policy[i], concession, lesson.coefficients[i])
            lesson.coefficients[i] = fma(-mind.value_policy[i], moved, gained)
        awareness = awareness + found.pull
        foresaw = fma(motive, mind.threat[c], foresaw)
        aimed = aimed + found.hit
        practice = practice + found.practice
        penalised = fma(found.practice, earnings.penalty, penalised)
    gradient = lesson.gradient
    gradient.awareness[0] = awareness
    gradient.log_horizon[0] = nature.horizon * foresaw
    gradient.log_competence[0] = nature.competence * aimed
    for j in range(len(CAPABILITIES)):
        gradient.capability[j] = assumptions.transfer[j] * practice
    gradient.capability[OPACITY] = fma(nature.concealment, penalised, gradient.capability[OPACITY])


@inlined
def learn_habit(
    lesson: _Lesson,
    world: _World,
    assumptions: _Assumptions,
    places: NDArray[np.intp],
    shape: Shape,
) -> None:
    """K Γ with K = (1 − ρ) I + ρ S: what is learnt in trained contexts reaches all by S."""
    habit, learnt = lesson.gradient.habit, lesson.learnt
    if not shape.spreads:
        for c in range(shape.contexts):
            habit[places[c]] = learnt[c]
        return
    for place in range(shape.habits):
        similarity = world.similarity + place * shape.contexts
        carried = similarity[0] * learnt[0]
        for c in range(1, shape.contexts):
            carried = fma(similarity[c], learnt[c], carried)
        habit[place] = assumptions.spread * carried
    for c in range(shape.contexts):
        habit[places[c]] = fma(1.0 - assumptions.spread, learnt[c], habit[places[c]])


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
    for p in range(shape.values + shape.habits + _SINGLES):
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
    places: NDArray[np.intp],
    seats: Column,
    words: Column,
    shape: Shape,
    now: int,
    width: int,
    others: int,
) -> None:
    """Do one training step; `others` is K − 1 once more, for the compiler to know it."""
    state = _name(theta, shape)
    nature = know(mind, state)
    perceive(mind, world, traits, state, nature, shape, others)
    anticipate(mind, world, traits, state, nature, shape, others)
    decide(mind, traits, state, places, shape)
    if shape.episodes > 0:
        sample(lesson, mind, world, traits, nature, assumptions, seats, words, shape, now, width)
    learn(lesson, mind, world, traits, nature, assumptions, shape, others)
    learn_habit(lesson, world, assumptions, places, shape)
    if others > 0:
        learn_values(lesson, world, shape, others)
    update(theta, origin, lesson.gradient.values, assumptions, shape)


@inlined
def _name(rows: Column, shape: Shape) -> _State:
    """Name the rows of θ."""
    after = rows + (shape.values + shape.habits)
    return _State(rows, rows + shape.values, after, after + 1, after + 2, after + 3)


@inlined
def _furnish(room: Column, shape: Shape) -> tuple[_Mind, _Lesson]:
    """Cut up the room that a block has; what does not live at the same time shares a place."""
    by_response = room
    by_context = by_response + _BY_RESPONSE * shape.contexts * shape.others
    gradient = by_context + _BY_CONTEXT * shape.contexts
    rest = gradient + (shape.values + shape.habits + _SINGLES)
    by_episodes = rest + 2
    mind = _Mind(
        utility=every(by_response, _BY_RESPONSE),
        value_policy=every(by_response + 1, _BY_RESPONSE),
        gaming_policy=every(by_response + 2, _BY_RESPONSE),
        salience=every(by_context, _BY_CONTEXT),
        dimness=every(by_context + 1, _BY_CONTEXT),
        belief=every(by_context + 2, _BY_CONTEXT),
        cost=every(by_context + 3, _BY_CONTEXT),
        visibility=every(by_context + 4, _BY_CONTEXT),
        range=rest,
        value_odds=every(by_context + 6, _BY_CONTEXT),
        gaming_odds=every(by_context + 7, _BY_CONTEXT),
        awareness=every(by_context + 5, _BY_CONTEXT),
        value_utility=every(by_context + 6, _BY_CONTEXT),
        value_reward=every(by_context + 7, _BY_CONTEXT),
        gaming_reward=every(by_context + 8, _BY_CONTEXT),
        threat=every(by_context + 9, _BY_CONTEXT),
        incentive=every(by_context + 10, _BY_CONTEXT),
        decision=every(by_context + 10, _BY_CONTEXT),
    )
    lesson = _Lesson(
        coefficients=every(by_response + 3, _BY_RESPONSE),
        learnt=every(by_context + 11, _BY_CONTEXT),
        gradient=_name(gradient, shape),
        estimate=_Estimate(
            practice=every(by_episodes, _BY_EPISODES),
            pressure=every(by_episodes + 1, _BY_EPISODES),
            gate=every(by_episodes + 2, _BY_EPISODES),
            pull=every(by_episodes + 3, _BY_EPISODES),
            hit=every(by_episodes + 4, _BY_EPISODES),
        ),
        penalty=every(by_episodes + 5, _BY_EPISODES),
        objective=every(by_episodes + 6, _BY_EPISODES),
        answered=every(by_episodes + 7, _BY_EPISODES),
    )
    return mind, lesson


def _digest() -> int:
    """Return a digest of all that a kernel is made of: Numba's cache looks at this file only."""
    constants = repr((TRAINING_EPISODES, CAPABILITIES, OPACITY)).encode()
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
        places: NDArray[np.intp],
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
            traits = _Traits(t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7])
            assumptions = _Assumptions(
                motive_credit=column(tables.motive_credit, block, width)[0],
                leak=column(tables.leak, block, width)[0],
                spread=column(tables.spread, block, width)[0],
                anchor=column(tables.anchor, block, width)[0],
                visible_gaming_penalty=column(tables.visible_gaming_penalty, block, width)[0],
                transfer=column(tables.transfer, block, width),
                learning_rate=column(tables.learning_rate, block, width),
            )
            world = _World(
                features=column(tables.features, block, width),
                reward=column(tables.reward, block, width),
                present=column(tables.present, block, width),
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
            for place in range(shape.habits):
                lesson.gradient.habit[place] = 0.0
            for d in range(shape.values):
                lesson.gradient.values[d] = 0.0
            attend(mind, world, traits, assumptions, shape)
            for now in range(start, stop):
                if shape.others == 1:
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
                    )
        return version

    jit: Any = numba.njit
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return cast(Callable[..., int], jit(cache=True, **options)(train))
    except RuntimeError:  # nowhere to write a cache to
        return cast(Callable[..., int], jit(**options)(train))
