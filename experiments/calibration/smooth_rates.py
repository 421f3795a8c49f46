"""Rates of prompts as a mean over all queries, not over a few kinds of query.

Where an agent is rational, its decision to game is nearly a step: queries just on one side are
gamed, those on the other are not. Rates that are sums over a few kinds of query then jump wherever
a kind crosses the step, and a fit moves steps between kinds: it fits the kinds. Here the log-odds
of the decision are worked out at the ends of cells of queries, taken as linear in between, and the
decision is averaged over each cell exactly. Rates are then smooth, however steep the decision.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.stats import norm

from experiments.calibration.prompt_rates import SPREAD, PromptRates
from experiments.calibration.spec import Calibration
from sim.dynamics.compile import compile_program
from sim.dynamics.observe import Recorder
from sim.dynamics.state import Array
from sim.specs.overrides import Specs

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
