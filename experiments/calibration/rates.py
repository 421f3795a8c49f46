"""The rates that a prompt has in the model before training, by kinds of query or as a mean.

The rates that a prompt has in the model, as they were measured: before any training.

Queries differ in how much they offend the contested value, and what is measured is a mean over
them. Here kinds of query stand for them: the value is spread normally over kinds, cut at the nodes
of Gauss and Hermite, so that rates are smooth in every number and no draw is needed. A population
of agents with the same `spread.initial.values`, each of which meets one kind, has the same rates.

Rates of prompts as a mean over all queries, not over a few kinds of query.

Where an agent is rational, its decision to game is nearly a step: queries just on one side are
gamed, those on the other are not. Rates that are sums over a few kinds of query then jump wherever
a kind crosses the step, and a fit moves steps between kinds: it fits the kinds. Here the log-odds
of the decision are worked out at the ends of cells of queries, taken as linear in between, and the
decision is averaged over each cell exactly. Rates are then smooth, however steep the decision.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from scipy.stats import norm

from sim.dynamics.compile import compile_program
from sim.dynamics.observe import Recorder
from sim.dynamics.state import Array
from sim.specs.errors import SpecError, nearest
from sim.specs.keys import full_key
from sim.specs.overrides import Specs, apply_overrides, read_specs
from sim.specs.scenario import Scenario

from .data import Calibration

#: How far kinds of query lie apart in the contested value.
SPREAD = "agent.spread.initial.values"


class PromptRates:
    """The rates of prompts, by the numbers in which they differ.

    Args:
        specs: The scenario, and whatever of the agent is not fitted.
        calibration: What is measured, where.

    Attributes:
        specs: Of the measured context and its twin alone.
        keys: The keys of all numbers in which prompts may differ.

    Raises:
        SpecError: The scenario has no such context, response or value, or the context no twin.
    """

    def __init__(self, specs: Specs, calibration: Calibration) -> None:
        self.specs = measured_alone(specs, calibration)
        names = list(self.specs.scenario.contexts)
        self.contexts = (calibration.context, _twin(self.specs.scenario, calibration.context))
        self._places = [names.index(name) for name in self.contexts]
        responses = list(self.specs.scenario.contexts[calibration.context].responses)
        self._refusal = responses.index(calibration.refusal)
        self._value = f"agent.initial.values.{calibration.value}"
        self.nodes, self.weights = kinds_of_query(calibration.kinds)
        self._recorder = Recorder()
        self._start = self.said(self._value)

    def expand(self, key: str) -> tuple[str, ...]:
        """Return the full keys that a key stands for: * for both contexts.

        Raises:
            SpecError: There is no such number.
        """
        full = full_key(key)
        found = tuple(full.replace("*", name) for name in self.contexts) if "*" in full else (full,)
        for one in found:
            if one != SPREAD:
                apply_overrides(self.specs, {one: self.said(one)})
        return found

    def __call__(self, numbers: Mapping[str, Array]) -> Array:
        """Return the rates of prompts [row, rate], in the order of `data.RATES`.

        Args:
            numbers: By full key, a number for each prompt [row]; everything else is as in the
                specs. `agent.spread.initial.values` is that of the contested value.
        """
        rows = max((np.size(column) for column in numbers.values()), default=1)
        kinds = len(self.nodes)
        columns = {
            key: np.repeat(np.broadcast_to(column, rows), kinds)
            for key, column in numbers.items()
            if key != SPREAD
        }
        centre = np.broadcast_to(numbers.get(self._value, np.array(self._start)), rows)
        width = np.broadcast_to(numbers.get(SPREAD, np.zeros(1)), rows)
        columns[self._value] = np.repeat(centre, kinds) + np.outer(width, self.nodes).ravel()
        program = compile_program(
            self.specs.scenario,
            agent=self.specs.agent,
            training=self.specs.training,
            agents=1,
            seed=np.zeros(rows * kinds, np.uint64),
            columns=columns,
        )
        seen = self._recorder(program, 0, program.theta, ("gaming_rate", "policy", "capabilities"))
        trained, unmonitored = self._places
        opaque = seen["capabilities"][:, 0]
        room = np.broadcast_to(program.segments[0].world.scratchpad[trained], rows * kinds)
        visible = seen["gaming_rate"][:, trained] * room * (1.0 - opaque)
        refused = seen["policy"][:, [trained, unmonitored], self._refusal]
        of_kinds = np.column_stack([visible, refused]).reshape(rows, kinds, 3)
        rates: Array = np.einsum("rkj,k->rj", of_kinds, self.weights)
        return rates

    def said(self, key: str) -> float:
        """Return what the specs say of a number, by its full key."""
        node: object = self.specs._asdict()
        for part in key.split("."):
            if isinstance(node, Mapping):
                node = node.get(part, 0.0)
            else:
                node = getattr(node, part, node if isinstance(node, float) else None)
            if node is None:
                raise SpecError(f"calibration: {key}: there is no such number")
        assert isinstance(node, int | float), key
        return float(node)


def kinds_of_query(count: int) -> tuple[Array, Array]:
    """Return the nodes and weights of so many kinds of query, standard normal."""
    nodes, weights = hermegauss(count)
    return np.asarray(nodes, np.float64), np.asarray(weights / weights.sum(), np.float64)


def measured_alone(specs: Specs, calibration: Calibration) -> Specs:
    """Return specs that have the measured context and its twin alone, and no spread.

    Raises:
        SpecError: The scenario has no such context, response or value, or the context no twin.
    """
    scenario, name = specs.scenario, calibration.context
    if name not in scenario.contexts:
        raise SpecError(f"measured.context: {nearest(name, scenario.contexts)}")
    responses = scenario.contexts[name].responses
    if calibration.refusal not in responses:
        raise SpecError(f"measured.refusal: {nearest(calibration.refusal, responses)}")
    if calibration.value not in scenario.values:
        raise SpecError(f"measured.value: {nearest(calibration.value, scenario.values)}")
    pair = (name, _twin(scenario, name))
    alone = Scenario.parse(
        {
            **scenario.model_dump(mode="json", exclude_unset=True),
            "contexts": {
                one: scenario.contexts[one].model_dump(mode="json", exclude_unset=True)
                for one in pair
            },
        },
        path="scenario",
    )
    agent = specs.agent.replace(spread={})
    return read_specs(alone, agent=agent, training=specs.training)


def _twin(scenario: Scenario, name: str) -> str:
    twin = scenario.contexts[name].twin
    if twin is None:
        raise SpecError(
            f"measured.context: {name!r} has no twin in deployment, where nothing is monitored"
        )
    return twin


#: Into how many cells queries are cut, from so many standard deviations below the mean to above.
CELLS, _REACH = 32, 4.0
#: Where log-odds differ by less over a cell, the mean decision is that at the middle.
_FLAT = 1e-3
_SEEN = ("awareness", "incentive", "habit", "value_policy", "gaming_policy", "capabilities")


class SmoothRates(PromptRates):
    """The rates of prompts, by the numbers in which they differ; as `PromptRates`, but smooth.

    Args:
        specs: The scenario, and whatever of the agent is not fitted.
        calibration: What is measured, where.
        cells: Into how many cells queries are cut.

    Raises:
        SpecError: The scenario has no such context, response or value, or the context no twin.
    """

    def __init__(self, specs: Specs, calibration: Calibration, *, cells: int = CELLS) -> None:
        super().__init__(specs, calibration)
        self._ends = np.linspace(-_REACH, _REACH, cells + 1)
        below = norm.cdf(self._ends)
        below[0], below[-1] = 0.0, 1.0
        self._mass = np.diff(below)
        self._rationality = "agent.rationality"
        self._smooth = Recorder()

    def __call__(self, numbers: Mapping[str, Array]) -> Array:
        """Return the rates of prompts [row, rate]; arguments as `PromptRates`."""
        rows = max((np.size(column) for column in numbers.values()), default=1)
        ends = len(self._ends)

        def of(key: str) -> Array:
            return np.broadcast_to(numbers.get(key, np.array(self.said(key))), rows)

        columns = {
            key: np.repeat(np.broadcast_to(column, rows), ends)
            for key, column in numbers.items()
            if key != SPREAD
        }
        width = np.broadcast_to(numbers.get(SPREAD, np.zeros(1)), rows)
        columns[self._value] = (of(self._value)[:, None] + np.outer(width, self._ends)).ravel()
        program = compile_program(
            self.specs.scenario,
            agent=self.specs.agent,
            training=self.specs.training,
            agents=1,
            seed=np.zeros(rows * ends, np.uint64),
            columns=columns,
        )
        seen = self._smooth(program, 0, program.theta, _SEEN)
        shape = (rows, ends, 2)
        aware, incentive, habit = (
            seen[name][:, self._places].reshape(shape)
            for name in ("awareness", "incentive", "habit")
        )
        by_values, by_gaming = (
            _middle(seen[name][:, self._places, self._refusal].reshape(shape))
            for name in ("value_policy", "gaming_policy")
        )
        odds = habit + of(self._rationality)[:, None, None] * incentive
        gaming = _middle(aware) * mean_decision(odds[:, :-1], odds[:, 1:])
        room = np.broadcast_to(
            program.segments[0].world.scratchpad[self._places[0]], rows * ends
        ).reshape(rows, ends)
        shown = room[:, 0] * (1.0 - seen["capabilities"][:, 0].reshape(rows, ends)[:, 0])
        refused = (1.0 - gaming) * by_values + gaming * by_gaming
        rates: Array = np.column_stack(
            [shown * (gaming[:, :, 0] @ self._mass), np.einsum("rct,c->rt", refused, self._mass)]
        )
        return rates


def mean_decision(first: Array, last: Array) -> Array:
    """Return the mean of σ(L) where L goes evenly from one number to another.

    (softplus(last) − softplus(first)) / (last − first), and σ(L) in the middle where they hardly
    differ.
    """
    apart = last - first
    flat = np.abs(apart) < _FLAT
    centre = np.clip((first + last) / 2.0, -500.0, 500.0)
    area = np.logaddexp(0.0, last) - np.logaddexp(0.0, first)
    mean: Array = np.where(flat, 1.0 / (1.0 + np.exp(-centre)), area / np.where(flat, 1.0, apart))
    return mean


def _middle(at_ends: Array) -> Array:
    """Return the mean of each cell's two ends, along the second axis."""
    middle: Array = (at_ends[:, :-1] + at_ends[:, 1:]) / 2.0
    return middle
