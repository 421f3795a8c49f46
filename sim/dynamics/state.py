"""The parameters that training changes: θ as one array, by name, and as users state it.

Inside the engines θ has shape [P, n]: a row for each parameter, agents last. Users see agents
first (`AgentState`), as in results.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from itertools import accumulate

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.specs.agent import CAPABILITIES, parameter_names
from sim.specs.errors import SpecError

Array = NDArray[np.float64]
#: Kinds of parameters of which an agent has several, by name.
_PER_NAME = ("values", "habit", "capability")


@dataclass(frozen=True)
class State:
    """Views on θ, agents last: the table of MODEL.md section 2."""

    values: Array  # v [D, n]
    habit: Array  # h [C, n]
    awareness: Array  # α [n], a logit
    log_horizon: Array  # ℓ [n]; λ = exp ℓ
    log_competence: Array  # ς [n]
    capability: Array  # q [J, n], logits


@dataclass(frozen=True)
class Layout:
    """Order of the parameters: which row of θ holds which."""

    values: tuple[str, ...]
    contexts: tuple[str, ...]

    @property
    def size(self) -> int:
        """P: the number of parameters of one agent."""
        return len(self.names)

    @property
    def rows(self) -> dict[str, slice]:
        """The rows of each kind of parameter, in order."""
        counts = Counter(name.partition(".")[0] for name in self.names)
        stops = accumulate(counts.values())
        return {k: slice(stop - counts[k], stop) for k, stop in zip(counts, stops, strict=True)}

    @property
    def names(self) -> tuple[str, ...]:
        """The full name of each row: `values.copyright`, `habit.coding`, `awareness`, ..."""
        return parameter_names(self.values, self.contexts)

    @property
    def dimensions(self) -> dict[str, tuple[str, ...]]:
        """The names along each dimension of recorded variables."""
        return {"context": self.contexts, "value": self.values, "capability": CAPABILITIES}

    def view(self, theta: Array) -> State:
        """Name the rows of θ [P, ...]; nothing is copied."""
        parts = {kind: theta[rows] for kind, rows in self.rows.items()}
        return State(**{k: part if k in _PER_NAME else part[0] for k, part in parts.items()})


@dataclass(frozen=True, kw_only=True, repr=False)
class AgentState:
    """Every agent's own parameters, stated explicitly (MODEL.md section 2), agents first.

    Each array may leave out the agent axis, and then holds for all agents. Kinds that are left out
    start as the agent spec says.

    Attributes:
        values: v [agents, values].
        habit: h [agents, contexts].
        awareness, log_horizon, log_competence: α, ℓ, ς [agents].
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
        """Write the arrays, finite and of the right shape (SpecError), over θ [P, agents]."""
        for field in fields(self):
            array = getattr(self, field.name)
            if array is not None:
                rows = theta[layout.rows[field.name]]
                shape = rows.T.shape if field.name in _PER_NAME else rows.T.shape[:1]
                rows[...] = _checked(array, shape, f"initial.{field.name}").T

    def plain(self) -> dict[str, object]:
        """Return the arrays that are stated as lists, for provenances: AgentState(**lists)."""
        stated = {field.name: getattr(self, field.name) for field in fields(self)}
        return {k: np.asarray(a, np.float64).tolist() for k, a in stated.items() if a is not None}

    def __repr__(self) -> str:
        stated = {f.name: np.asarray(getattr(self, f.name), dtype=object) for f in fields(self)}
        parts = [
            f"{name}={array.item() if array.ndim == 0 else f'array of shape {array.shape}'}"
            for name, array in stated.items()
            if getattr(self, name) is not None
        ]
        return f"AgentState({', '.join(parts)})"


def _checked(array: ArrayLike, shape: tuple[int, ...], path: str) -> Array:
    """Return an array broadcast to a shape, or refuse it."""
    try:
        full = np.broadcast_to(np.asarray(array, dtype=np.float64), shape)
    except (ValueError, TypeError):
        wrong = getattr(np.asarray(array, dtype=object), "shape", ())
        raise SpecError(
            f"{path}: got an array of shape {wrong}: must be numbers of shape {shape} "
            f"(agents first), or {shape[1:]} for all agents alike"
        ) from None
    bad = np.argwhere(~np.isfinite(full))
    if bad.size:
        index = tuple(int(i) for i in bad[0])
        raise SpecError(f"{path}{list(index)}: got {full[index]}: must be a finite number")
    return full
