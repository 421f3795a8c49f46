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


class Engine(Protocol):
    """Moves agents through training."""

    @property
    def name(self) -> str:
        """What results and progress lines call it."""
        ...

    def trajectory(
        self,
        program: Program,
        theta: Array,
        steps: Sequence[int],
        *,
        progress: Progress | None = None,
    ) -> Array:
        """Return θ at each of `steps`, which increase.

        Args:
            program: What holds when.
            theta: θ at steps[0], shape [P, N]; not changed.
            steps: The steps to return.
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
    if name not in _ENGINES:
        raise SpecError(f"engine: got {name!r}: {nearest(name, ['auto', *_ENGINES])}")
    return _ENGINES[name]()
