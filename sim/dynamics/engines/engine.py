"""What every engine promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import numpy as np

from sim.dynamics.compile import Program
from sim.dynamics.state import Array

#: Of the arithmetic; float32 is for exploratory maps.
Precision = Literal["float64", "float32"]

#: Called with the number of agent-steps done since the last call.
Progress = Callable[[int], None]


class Cohort(Protocol):
    """Agents in training, who can be moved on step by step."""

    def advance(self, start: int, stop: int) -> None:
        """Do the training steps start <= t < stop."""
        ...

    def theta(self) -> Array:
        """Return a copy of θ as it is [P, N], float64."""
        ...


class Engine(ABC):
    """Moves agents through training; the same steps give the same bits, however they are cut.

    Attributes:
        name: What results and progress lines call it.
        precision: Of its arithmetic.
    """

    name: str
    precision: Precision

    @abstractmethod
    def start(self, program: Program) -> Cohort:
        """Return a program's agents as they start."""

    def trajectory(
        self, program: Program, steps: Sequence[int], *, progress: Progress | None = None
    ) -> Array:
        """Train a program's agents from step 0 and return θ at each of `steps`.

        Args:
            program: Where agents start, and what holds when.
            steps: The steps to return, increasing.
            progress: Told how many agent-steps were done.

        Returns:
            θ, shape [len(steps), P, N], float64.
        """
        cohort, now = self.start(program), 0
        history = np.empty((len(steps), *program.theta.shape))
        for index, step in enumerate(steps):
            cohort.advance(now, step)
            history[index] = cohort.theta()
            if progress is not None:
                progress(program.agents * (step - now))
            now = step
        return history
