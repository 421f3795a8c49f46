"""The JAX engine: the objective of MODEL.md section 4 written once, differentiated automatically.

`surrogate` is J(θ) with what the model holds constant held constant, so that its gradient is Δθ. It
shares no gradient with the other engines, and takes equations of a user's own. Axes are those of
`sim.dynamics.cognition`.
"""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import sigmoid

from sim.dynamics.cognition import Deliberation
from sim.dynamics.engines.engine import Engine, Precision
from sim.dynamics.engines.equations import Equations
from sim.dynamics.engines.numpy_engine import Block, BlockCohort
from sim.dynamics.population import Traits
from sim.dynamics.program import Assumptions, Program, World
from sim.dynamics.state import Layout
from sim.dynamics.training import LEAST_CHANCE, OPACITY, SOFTENING
from sim.specs.errors import SpecError

#: Agents that are trained side by side where caches are small; a GPU takes all of a program's.
BLOCK = 64

#: A step is compiled for these choices; all other parts of a program are its arguments.
_CHOICES = ["estimator", "episodes", "update_rule", "advantages"]
for _arrays in (World, Traits, Assumptions):
    _choices = [field.name for field in fields(_arrays) if field.name in _CHOICES]
    _numbers = [field.name for field in fields(_arrays) if field.name not in _CHOICES]
    jax.tree_util.register_dataclass(_arrays, _numbers, _choices)

constant = jax.lax.stop_gradient


@jax.custom_jvp
def credited(x: Any, share: Any) -> Any:
    """Return x, of whose gradient only a share flows back."""
    return x


credited.defjvps(lambda change, _, x, share: share * change, None)


class JaxEngine(Engine):
    """Trains agents in blocks, in float64, by automatic differentiation of the exact objective."""

    name = "jax"
    precision: Precision = "float64"

    def check_estimator(self, estimator: str) -> None:
        """Refuse what is drawn, which has no derivative (SpecError)."""
        if estimator != "exact":
            raise SpecError(
                f"training.estimator: got {estimator!r}: engine=jax differentiates, and what is "
                "drawn has no derivative; take exact, or another engine"
            )

    def start(self, program: Program) -> BlockCohort:
        """Return a program's agents at the start."""
        self.check_estimator(program.segments[0].assumptions.estimator)
        width = BLOCK if jax.default_backend() == "cpu" else program.agents
        cut = np.split(np.arange(program.agents), range(width, program.agents, width))
        return BlockCohort([JaxBlock(program, rows) for rows in cut])


class JaxBlock(Block):
    """Agents that are trained side by side, many steps in one compiled call."""

    def advance(self, start: int, stop: int) -> None:
        """Do the training steps start <= t < stop."""
        program = self.program
        while start < stop:
            segment = program.at(start)
            end = stop if segment is program.segments[-1] else min(stop, segment.stop)
            if segment is not self._segment:
                self._segment, self._world = segment, segment.world.where_trained()
            arrays = (self._world, program.traits, segment.assumptions)
            with jax.enable_x64(True):
                choices = (program.layout, program.equations)
                self.theta = np.array(
                    _train(self.theta, self.origin, end - start, arrays, *choices)
                )
            start = end


@partial(jax.jit, static_argnames=("layout", "equations"))
def _train(
    theta: Any, origin: Any, steps: int, arrays: Any, layout: Layout, equations: Equations
) -> Any:
    """Return θ [P, n] after so many steps with one world, traits and assumptions."""
    rate, anchor = arrays[2].learning_rate, arrays[2].anchor

    def step(_: int, theta: Any) -> Any:
        change = jax.grad(surrogate)(theta, *arrays, layout, equations)
        return theta + rate * change - anchor * (theta - origin)

    return jax.lax.fori_loop(0, steps, step, theta)


def surrogate(
    theta: Any,
    world: World,
    traits: Traits,
    assumptions: Assumptions,
    layout: Layout,
    equations: Equations,
) -> Any:
    """Return J(θ), summed over agents, whose gradient [P, n] is that of section 4.

    Held constant are payoffs, but for opacity; the scale of advantages; gamed answers, where the
    leak trains on them; and all but the share ω of what motivates the decision.
    """
    kinds = {kind: theta[rows] for kind, rows in layout.rows.items()}
    α, horizon, precision = (
        kinds["awareness"][0],
        jnp.exp(kinds["log_horizon"][0]),
        jnp.exp(kinds["log_competence"][0]),
    )
    v, q, R, s, p = (
        kinds["values"],
        kinds["capability"],
        world.reward,
        world.scratchpad,
        world.weight,
    )
    h = generalised(kinds["habit"], world, assumptions.habit_generalisation)
    m = generalised_answers(kinds.get("propensity"), world, assumptions, layout)

    softmax = partial(jax.nn.softmax, axis=0, where=~world.absent)
    βu = traits.decisiveness * (u := combine(world.features, v))
    own, answer, gamed = softmax(βu), softmax(βu + m), softmax(precision * R)
    foreseen = softmax(βu + traits.foresight * R)
    a = sigmoid(α + traits.info_sensitivity * world.info + traits.scratchpad_sensitivity * s)
    belief, concession = sigmoid(traits.discernment * world.cue), mean(own, u) - mean(gamed, u)
    mind = Deliberation(
        *(traits, R, world.info, s, v, horizon, h),
        *(u, own, answer, gamed, foreseen, a, belief, concession),
    )
    mind = mind._replace(stake=(equations.stake or stake)(mind))
    mind = mind._replace(incentive=(equations.incentive or incentive)(mind))
    natural = assumptions.update_rule == "natural_gradient"
    motives = Deliberation(traits, *(credited(x, assumptions.motive_credit) for x in mind[1:]))
    d = (equations.decision or decision)(motives._replace(habit=constant(h) if natural else h))
    g = a * d

    chance = constant(jnp.maximum((1.0 - g) * answer + g * gamed, LEAST_CHANCE))
    F = jnp.where(world.demonstrates, world.demonstrations / chance, R)
    visible = world.monitor * s * (1.0 - sigmoid(q[OPACITY]))
    P = jnp.where(world.demonstrates, 0.0, assumptions.visible_gaming_penalty * visible)
    by_values, by_gaming = mean(answer, F), mean(gamed, F) - P
    B = (1.0 - g) * by_values + g * by_gaming
    J = (constant(p * g).sum(axis=0) * assumptions.transfer * q).sum()
    if assumptions.advantages == "normalised":
        variance = (1.0 - g) * mean(answer, (F - B) ** 2) + g * mean(gamed, (F - P - B) ** 2)
        scale = jnp.where(world.demonstrates, 1.0, 1.0 / (jnp.sqrt(variance) + SOFTENING))
        p = p * constant(scale)
    likelihood = jnp.log(jnp.where(world.absent, 1.0, jnp.maximum(answer, LEAST_CHANCE)))
    leaked = assumptions.leak * mean(constant(g * gamed * (F - P - B)), likelihood)
    if natural:
        J += (constant(p * a * (by_gaming - by_values)) * h).sum()
    return J + (p * (B + leaked)).sum()


def stake(mind: Deliberation) -> Any:
    """Return E_{π^u} u − E_{π^φ} u [C, n] (3.5)."""
    return mean(mind.own_policy, mind.utility) - mean(mind.foreseen_policy, mind.utility)


def incentive(mind: Deliberation) -> Any:
    """Return λ b stake − μ concession − κ (1 − ζ s) [C, n] (3.6)."""
    traits, future = mind.traits, mind.horizon * mind.belief * mind.stake
    cost = traits.reasoning_cost * (1.0 - traits.scratchpad_saving * mind.scratchpad)
    return future - traits.episode_concern * mind.concession - cost


def decision(mind: Deliberation) -> Any:
    """Return σ(h + τ I) [C, n] (3.7)."""
    return sigmoid(mind.habit + mind.traits.rationality * mind.incentive)


def mean(policy: Any, x: Any) -> Any:
    """Return E_π x [C, n]."""
    return (policy * x).sum(axis=0)


def combine(features: Any, values: Any) -> Any:
    """Return Φ v [K, C, n]."""
    alike = features.shape[-1] == 1
    return features[..., 0] @ values if alike else (features * values).sum(axis=2)


def generalised(x: Any, world: World, share: Any) -> Any:
    """Return x of trained contexts [..., C, n], whose gradient all of x [..., C', n] share (ρ)."""
    change, S = x - constant(x), world.similarity
    if S.shape[-1] == 1:
        carried = jnp.einsum("cC,...cn->...Cn", S[..., 0], change)
    else:
        carried = (S * change[..., :, None, :]).sum(axis=-3)
    own = change[..., world.places, :]
    return constant(x[..., world.places, :]) + (1.0 - share) * own + share * carried


def generalised_answers(x: Any, world: World, assumptions: Assumptions, layout: Layout) -> Any:
    """Return propensities in trained contexts [K, C, n]: `generalised`, by names of responses.

    A table has a row for each name; a context without such a response has 0 there.
    """
    if x is None:
        return 0.0
    names = list(dict.fromkeys(name for responses in layout.responses for name in responses))
    places, numbers = np.nonzero(layout.present.T), np.zeros(layout.present.T.shape, np.intp)
    numbers[places] = [names.index(name) for responses in layout.responses for name in responses]
    table = jnp.zeros((len(names), len(numbers), x.shape[-1]))
    table = table.at[numbers[places], places[0]].set(x)
    learnt = generalised(table, world, assumptions.propensity_generalisation)
    return learnt[jnp.asarray(numbers)[world.places].T, jnp.arange(learnt.shape[1])]
