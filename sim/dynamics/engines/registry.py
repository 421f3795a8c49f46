"""The engines by name, and what all of them promise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from sim.dynamics.arrays import Program
from sim.dynamics.engines.numpy_engine import NumpyEngine
from sim.dynamics.state import Array
from sim.spec.errors import SpecError, nearest

#: Called with the number of agent-steps done since the last call.
Progress = Callable[[int], None]


class Cohort(Protocol):
    """Agents in training, who can be moved on step by step."""

    def advance(self, start: int, stop: int) -> None:
        """Do the training steps start <= t < stop."""
        ...

    def theta(self) -> Array:
        """Return a copy of θ as it is [P, N]."""
        ...


class Engine(Protocol):
    """Moves agents through training; the same steps give the same bits, however they are cut."""

    @property
    def name(self) -> str:
        """What results and progress lines call it."""
        ...

    def start(self, program: Program) -> Cohort:
        """Return a program's agents as they start."""
        ...

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
        ...


_ENGINES: dict[str, Callable[[], Engine]] = {"numpy": NumpyEngine}


def get_engine(name: str = "auto") -> Engine:
    """Return an engine by name; `auto` takes the fastest that is installed.

    Raises:
        SpecError: There is no such engine.
    """
    if name == "auto":
        name = "numpy"
    if not isinstance(name, str) or name not in _ENGINES:
        raise SpecError(f"engine: got {name!r}: {nearest(str(name), ['auto', *_ENGINES])}")
    return _ENGINES[name]()
