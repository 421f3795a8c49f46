"""The parameters that training changes: θ as one array, by name, and as users give it.

Inside the engines θ has shape [P, n]: a row for each parameter, agents last. Users see agents
first (`AgentState`), as in results.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.specs.agent import CAPABILITIES
from sim.specs.errors import SpecError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class State:
    """Views on θ, agents last: the table of MODEL.md section 2.

    Attributes:
        values: v [D, n].
        habit: h [C, n].
        awareness: α [n], a logit.
        log_horizon: ℓ [n]; λ = exp ℓ.
        log_competence: ς [n].
        capability: q [J, n], logits.
    """

    values: Array
    habit: Array
    awareness: Array
    log_horizon: Array
    log_competence: Array
    capability: Array


@dataclass(frozen=True)
class Layout:
    """Which row of θ holds which parameter."""

    values: tuple[str, ...]
    contexts: tuple[str, ...]

    @property
    def size(self) -> int:
        """P: the number of parameters of one agent."""
        return len(self.values) + len(self.contexts) + 3 + len(CAPABILITIES)

    @property
    def rows(self) -> dict[str, slice]:
        """The rows of each kind of parameter, in order."""
        lengths = {
            "values": len(self.values),
            "habit": len(self.contexts),
            "awareness": 1,
            "log_horizon": 1,
            "log_competence": 1,
            "capability": len(CAPABILITIES),
        }
        stops = np.cumsum(list(lengths.values())).tolist()
        return {
            kind: slice(stop - length, stop)
            for (kind, length), stop in zip(lengths.items(), stops, strict=True)
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The full name of each row: `values.copyright`, `habit.coding`, `awareness`, ..."""
        return (
            *(f"values.{name}" for name in self.values),
            *(f"habit.{name}" for name in self.contexts),
            "awareness",
            "log_horizon",
            "log_competence",
            *(f"capability.{name}" for name in CAPABILITIES),
        )

    def view(self, theta: Array) -> State:
        """Name the rows of θ [P, ...]; nothing is copied."""
        rows = self.rows
        return State(
            values=theta[rows["values"]],
            habit=theta[rows["habit"]],
            awareness=theta[rows["awareness"]][0],
            log_horizon=theta[rows["log_horizon"]][0],
            log_competence=theta[rows["log_competence"]][0],
            capability=theta[rows["capability"]],
        )


@dataclass(frozen=True, kw_only=True)
class AgentState:
    """Every agent's own parameters, given explicitly (MODEL.md section 2), agents first.

    Each array may leave out the agent axis, and then holds for all agents. What is left out
    entirely starts as the agent spec says.

    Attributes:
        values: v [agents, values].
        habit: h [agents, contexts].
        awareness: α [agents].
        log_horizon: ℓ [agents].
        log_competence: ς [agents].
        capability: q [agents, 5], in the order opacity, sandbagging, composure, coordination,
            subversion.
    """

    values: ArrayLike | None = None
    habit: ArrayLike | None = None
    awareness: ArrayLike | None = None
    log_horizon: ArrayLike | None = None
    log_competence: ArrayLike | None = None
    capability: ArrayLike | None = None

    def write_to(self, theta: Array, layout: Layout) -> None:
        """Write the given arrays over θ [P, agents].

        Raises:
            SpecError: A wrong shape, or a number that is not finite.
        """
        agents = theta.shape[1]
        for field in fields(self):
            given = getattr(self, field.name)
            if given is not None:
                rows = theta[layout.rows[field.name]]
                alone = field.name in {"awareness", "log_horizon", "log_competence"}
                wanted = (agents,) if alone else (agents, len(rows))
                rows[...] = _checked(given, wanted, f"initial.{field.name}").T


def _checked(given: ArrayLike, wanted: tuple[int, ...], where: str) -> Array:
    try:
        array = np.asarray(given, dtype=np.float64)
        full = np.broadcast_to(array, wanted)
    except (ValueError, TypeError):
        found = getattr(np.asarray(given, dtype=object), "shape", ())
        raise SpecError(
            f"{where}: got an array of shape {found}: must be numbers of shape {wanted} "
            f"(agents first), or {wanted[1:]} for all agents alike"
        ) from None
    bad = np.argwhere(~np.isfinite(full))
    if bad.size:
        index = tuple(int(i) for i in bad[0])
        raise SpecError(f"{where}{list(index)}: got {full[index]}: must be a finite number")
    return full
