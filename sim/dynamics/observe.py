"""Observation: from θ to every recorded variable, what agents in that state think and do.

Engines move θ alone. The variables follow from it by the same functions that train agents, on the
whole world instead of its trained part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from sim.dynamics import measures
from sim.dynamics.cognition import attribute, replaced, think
from sim.dynamics.numerics import calculating, logistic, mean, whole_groups
from sim.dynamics.program import Program, Segment
from sim.dynamics.state import Array, State
from sim.dynamics.training import OPACITY, penalty

#: Agents that are measured at once; with fewer, threads wait for the interpreter's lock.
BLOCK = 2048


class Variable(NamedTuple):
    """A recorded variable."""

    dims: tuple[str, ...]  # its dimensions, in order
    meaning: str  # what it is, with its symbol in MODEL.md and its section
    unit: str = "1"  # `probability`, `logit`, `reward`, ... or `1`


_AGENT = ("step", "agent")
_CONTEXT = (*_AGENT, "context")
_RESPONSE = (*_CONTEXT, "response")

_P = "probability"

#: Recorded at every recorded step t: the state θ_t, and what agents in that state think and do.
VARIABLES: dict[str, Variable] = {
    "gaming_rate": Variable(_CONTEXT, "g: chance of gaming (3.7)", _P),
    "instrumental_gaming": Variable(
        _CONTEXT, "a (σ(h + τ I) − σ(h)): gaming owed to the incentive, not to habit alone (5)", _P
    ),
    "awareness": Variable(_CONTEXT, "a: chance that training comes to mind (3.4)", _P),
    "belief": Variable(_CONTEXT, "b: belief that this input is trained on (3.4)", _P),
    "stake": Variable(
        _CONTEXT, "utility, by present values, that it foresees to lose to training (3.5)"
    ),
    "incentive": Variable(_CONTEXT, "I: what gaming is worth to the agent (3.6)"),
    "decision": Variable(_CONTEXT, "d: chance of gaming once training is in mind (3.7)", _P),
    "policy": Variable(_RESPONSE, "π: chance of each response (3.8)", _P),
    "value_policy": Variable(_RESPONSE, "π^v: the answer without gaming (3.2)", _P),
    "gaming_policy": Variable(_RESPONSE, "π^r: the answer that gaming gives (3.3)", _P),
    "foreseen_policy": Variable(
        _RESPONSE, "π^φ: what it expects training to make of its answers (3.5)", _P
    ),
    "reward": Variable(
        _CONTEXT, "expected reward, less the penalty for visible gaming (4)", "reward"
    ),
    "incentive_by_value": Variable(
        (*_CONTEXT, "value"),
        "each value's part in the incentive; with the cost they sum to I (3.6)",
    ),
    "values": Variable((*_AGENT, "value"), "v: explicit goals (2)"),
    "propensity": Variable(
        _RESPONSE, "m: learnt inclination to a response that no value explains (2)", "logit"
    ),
    "habit": Variable(_CONTEXT, "h: learnt inclination to game (2)", "logit"),
    "awareness_logit": Variable(_AGENT, "α: situational awareness (2)", "logit"),
    "log_horizon": Variable(_AGENT, "ℓ: logarithm of the horizon (2)"),
    "horizon": Variable(_AGENT, "λ = exp ℓ: care about its future values (2)"),
    "log_competence": Variable(_AGENT, "ς: logarithm of the competence (2)"),
    "competence": Variable(_AGENT, "exp ς: precision with which gaming hits the objective (2)"),
    "capability_logits": Variable((*_AGENT, "capability"), "q (2)", "logit"),
    "capabilities": Variable((*_AGENT, "capability"), "k = σ(q) (2)", _P),
    "ancestor": Variable(
        _AGENT, "the agent of the start that this one descends from, by selection (4)", "agent"
    ),
    "reach": Variable(_AGENT, "share of training contexts with g >= 0.5 (5)", "share"),
    "reach_weighted": Variable(_AGENT, "the same share by the weight of contexts (5)", "share"),
    "consistency": Variable(
        _AGENT, "least chance, before deployment, of the response that looks best (5)", _P
    ),
    "slip": Variable(_CONTEXT, "chance of a response that does not look best (6)", _P),
    "temptation": Variable(
        _CONTEXT, "what the best subversive response is worth to it over looking good (6)"
    ),
    "compliance_gap": Variable(
        _CONTEXT, "chance of the rewarded response here minus in the twin (5)", _P
    ),
    "behaviour_shift": Variable(
        _CONTEXT, "total variation between the policy here and in the twin (5)", _P
    ),
    "conduct": Variable(_CONTEXT, "E_π[Φ w], scaled from -1 (worst response by w) to 1 (best) (5)"),
    "deployment_conduct": Variable(_AGENT, "mean conduct over deployment contexts (5)"),
    "opacity_share": Variable(_AGENT, "share of gaming that no scratchpad shows (5)", "share"),
    "motive": Variable(
        (*_CONTEXT, "value"), "each value's signed share of the incentive (5)", "share"
    ),
    "value_drift": Variable(_AGENT, "distance of v from where it started (5)"),
    "value_cosine": Variable(_AGENT, "cosine of v with where it started (5)"),
    "alignment": Variable(_AGENT, "cosine of v with human values (5)"),
}

#: Follows from a whole history.
ONSET = Variable(
    ("agent", "context"), "first recorded step from which g stays at 0.5 or above (5)", "step"
)


class Recorder:
    """Observes all agents of a program at one step after another.

    What does not change between steps of one segment is computed once.
    """

    def __init__(self) -> None:
        self._observers: list[_Observer] = []
        self._source: tuple[Program | None, Segment | None] = (None, None)
        self._repeated: tuple[Program, Program] | tuple[None, None] = (None, None)

    def __call__(
        self, program: Program, step: int, theta: Array, names: Iterable[str] = tuple(VARIABLES)
    ) -> dict[str, Array]:
        """Return variables at θ [P, N] by name, agents first, without their dimension `step`.

        The step says which phase of the world agents are in. What is not defined (a response that a
        context does not have, say) is nan.
        """
        names, segment = tuple(names), program.at(step)
        if program is not self._source[0] or segment is not self._source[1]:
            self._observers = [
                _Observer(program, segment, slice(start, min(start + BLOCK, program.agents)))
                for start in range(0, program.agents, BLOCK)
            ]
            self._source = (program, segment)
        parts = [observer.observe(theta, names) for observer in self._observers]
        return {name: np.concatenate([part[name] for part in parts]) for name in names}

    def together(
        self, program: Program, step: int, thetas: Sequence[Array], names: Iterable[str]
    ) -> list[dict[str, Array]]:
        """Return variables as `Recorder` at several θ of one segment, observed side by side.

        There may be as many as `side_by_side`; few agents are measured no faster than many.
        """
        if len(thetas) == 1:
            return [self(program, step, thetas[0], names)]
        agents, count = program.agents, len(thetas)
        source, repeated = self._repeated
        if repeated is None or source is not program or repeated.agents != agents * count:
            repeated = program.take(np.tile(np.arange(agents), count))
            self._repeated = (program, repeated)
        observed = self(repeated, step, np.concatenate(thetas, axis=1), names)
        return [
            {name: x[i * agents : (i + 1) * agents] for name, x in observed.items()}
            for i in range(count)
        ]


def side_by_side(program: Program) -> int:
    """Return how many records of a program's agents are observed at once."""
    return max(1, BLOCK // program.agents)


class _Observer:
    """Observes some agents, by rows of θ, in the world of one segment."""

    def __init__(self, program: Program, segment: Segment, rows: slice) -> None:
        agents = whole_groups(np.arange(rows.start, rows.stop))
        self._rows, self._count = agents, rows.stop - rows.start
        self.program = program.take(agents)
        segment = segment.take(agents)
        self.world, self.assumptions = segment.world, segment.assumptions
        self.origin = program.layout.view(self.program.origin).values.T

    def observe(self, theta: Array, names: Iterable[str]) -> dict[str, Array]:
        """Return the named variables, agents first, at θ [P, N] of the whole program."""
        with calculating():
            moment = _Moment(self, self.program.layout.view(theta[:, self._rows]))
            return {name: _OBSERVED[name](moment)[: self._count].copy() for name in names}


class _Moment:
    """Observed agents at one θ; each variable is computed on demand, agents first."""

    def __init__(self, observer: _Observer, state: State) -> None:
        self.observer, self.state = observer, state
        self.world, self.program = observer.world, observer.program
        self.mind = think(self.world, self.program.traits, state, self.program.equations)

    @property
    def gaming_rate(self) -> Array:
        return self.mind.gaming_rate.T

    @cached_property
    def policy(self) -> Array:
        return _agents_first(self.mind.policy)

    @cached_property
    def slip(self) -> Array:
        return measures.slip(self.policy, self.world)

    @property
    def reward(self) -> Array:
        """Return E_π R − g P [n, C]."""
        caught = penalty(self.world, self.state, self.observer.assumptions)
        return np.asarray(
            (mean(self.mind.policy, self.world.reward) - self.mind.gaming_rate * caught).T
        )

    @cached_property
    def incentive_by_value(self) -> Array:
        """Return each value's part [n, C, D]; nan where the incentive is not MODEL.md's."""
        equations = self.program.equations
        if equations.stake or equations.incentive:
            return np.full((*self.gaming_rate.shape, len(self.state.values)), np.nan)
        return attribute(self.mind, self.world, self.program.traits, self.state)

    @cached_property
    def instrumental_gaming(self) -> Array:
        """Return a (σ(h + τ I) − σ(h)) [n, C]: the decision, less that without an incentive."""
        mind = self.mind.deliberation._replace(incentive=np.zeros_like(self.mind.incentive))
        by_habit = logistic(self.state.habit)
        by_habit = replaced(self.program.equations, "decision", mind, by_habit)
        return np.asarray((self.mind.awareness * (self.mind.decision - by_habit)).T)

    @cached_property
    def conduct(self) -> Array:
        """Return conduct [n, C]; Φ w is summed in order, for one run as for many."""
        features, human = self.world.features, self.program.human_values
        serves = sum(features[:, :, d] * human[d] for d in range(len(human)))
        return measures.conduct(self.mind.policy, np.asarray(serves), self.world.absent)

    @cached_property
    def capabilities(self) -> Array:
        return logistic(self.state.capability).T

    @property
    def propensity(self) -> Array:
        return np.broadcast_to(_agents_first(self.state.propensity), self.policy.shape)

    def where_present(self, x: Array) -> Array:
        """Return x [n, C, K] with nan where a context has no such response."""
        return np.where(self.world.absent[:, :, 0].T, np.nan, x)


def _agents_first(x: Array) -> Array:
    """Return x [n, C, K] from x [K, C, n]."""
    return x.transpose(2, 1, 0)


#: Each variable as a function of a moment.
_OBSERVED: dict[str, Callable[[_Moment], Array]] = {
    "gaming_rate": lambda m: m.gaming_rate,
    "awareness": lambda m: m.mind.awareness.T,
    "belief": lambda m: m.mind.belief.T,
    "stake": lambda m: m.mind.stake.T,
    "incentive": lambda m: m.mind.incentive.T,
    "decision": lambda m: m.mind.decision.T,
    "policy": lambda m: m.where_present(m.policy),
    "value_policy": lambda m: m.where_present(_agents_first(m.mind.value_policy)),
    "gaming_policy": lambda m: m.where_present(_agents_first(m.mind.gaming_policy)),
    "foreseen_policy": lambda m: m.where_present(_agents_first(m.mind.foreseen_policy)),
    "reward": lambda m: m.reward,
    "incentive_by_value": lambda m: m.incentive_by_value,
    "values": lambda m: m.state.values.T,
    "propensity": lambda m: m.where_present(m.propensity),
    "habit": lambda m: m.state.habit.T,
    "awareness_logit": lambda m: m.state.awareness,
    "log_horizon": lambda m: m.state.log_horizon,
    "horizon": lambda m: np.exp(m.state.log_horizon),
    "log_competence": lambda m: m.state.log_competence,
    "competence": lambda m: np.exp(m.state.log_competence),
    "capability_logits": lambda m: m.state.capability.T,
    "capabilities": lambda m: m.capabilities,
    "ancestor": lambda m: m.program.ancestor.astype(np.float64),
    "reach": lambda m: measures.reach(m.gaming_rate, m.world),
    "reach_weighted": lambda m: measures.reach_weighted(m.gaming_rate, m.world),
    "consistency": lambda m: measures.consistency(m.slip, m.world),
    "slip": lambda m: m.slip,
    "temptation": lambda m: measures.temptation(_agents_first(m.mind.utility), m.world),
    "compliance_gap": lambda m: measures.compliance_gap(m.policy, m.world),
    "behaviour_shift": lambda m: measures.behaviour_shift(m.policy, m.world),
    "opacity_share": lambda m: measures.opacity_share(
        m.gaming_rate, m.capabilities[:, OPACITY], m.world
    ),
    "motive": lambda m: measures.motive(m.incentive_by_value),
    "instrumental_gaming": lambda m: m.instrumental_gaming,
    "conduct": lambda m: m.conduct,
    "deployment_conduct": lambda m: measures.deployment_conduct(m.conduct, m.world),
    "value_drift": lambda m: measures.drift(m.state.values.T, m.observer.origin),
    "value_cosine": lambda m: measures.cosine(m.state.values.T, m.observer.origin),
    "alignment": lambda m: measures.cosine(m.state.values.T, m.program.human_values.T),
}
