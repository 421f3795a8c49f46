"""What every engine promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, Protocol

import numpy as np

from sim.dynamics.program import Program
from sim.dynamics.state import Array

#: Of the arithmetic; float32 is for exploratory maps.
Precision = Literal["float64", "float32"]


class Cohort(Protocol):
    """Agents in training, step by step."""

    def advance(self, start: int, stop: int) -> None:
        """Do the training steps start <= t < stop."""
        ...

    def theta(self) -> Array:
        """Return a copy of θ [P, N], float64."""
        ...


class Engine(ABC):
    """Does the steps of training; the same steps give the same bits, however they are cut.

    Attributes:
        name: What results and progress lines call it.
        precision: Of its arithmetic.
    """

    name: str
    precision: Precision

    def check_estimator(self, estimator: str) -> None:  # noqa: B027  # most have all
        """Refuse an estimator of gradients that the engine does not have (SpecError)."""

    @abstractmethod
    def start(self, program: Program) -> Cohort:
        """Return a program's agents at the start."""

    def trajectory(self, program: Program, steps: Sequence[int]) -> Array:
        """Return θ at each of `steps`, increasing, from step 0; events between steps are left out.

        Args:
            program: Where agents start, and what holds when.
            steps: S of them.

        Returns:
            θ [S, P, N], float64.
        """
        cohort = self.start(program)
        history = np.empty((len(steps), *program.theta.shape))
        for index, (start, stop) in enumerate(pairwise([0, *steps])):
            cohort.advance(start, stop)
            history[index] = cohort.theta()
        return history
