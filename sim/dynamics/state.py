"""The parameters that training changes: θ as one array, by name, and as users state it.

Inside the engines θ has shape [P, n]: a row for each parameter, agents last. Users see agents
first (`AgentState`), as in results. Propensities have rows only in programs in which they can be
anything but 0.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import accumulate

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.specs.agent import CAPABILITIES, parameter_names
from sim.specs.errors import SpecError

Array = NDArray[np.float64]
#: Kinds of parameters of which an agent has several, by name.
_PER_NAME = ("values", "propensity", "habit", "capability")


@dataclass(frozen=True)
class State:
    """Views on θ, agents last: the table of MODEL.md section 2."""

    values: Array  # v [D, n]
    propensity: Array  # m [K, C, n]; 0 where a context has no such response
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
    responses: tuple[tuple[str, ...], ...]  # of each context
    with_propensity: bool = False  # whether propensities have rows

    @property
    def size(self) -> int:
        """P: the number of parameters of one agent."""
        return len(self.names)

    @cached_property
    def rows(self) -> dict[str, slice]:
        """The rows of each kind of parameter that has any, in order."""
        counts = Counter(name.partition(".")[0] for name in self.names)
        stops = accumulate(counts.values())
        return {k: slice(stop - counts[k], stop) for k, stop in zip(counts, stops, strict=True)}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The full name of each row: `values.copyright`, `habit.coding`, `awareness`, ..."""
        answers = [
            f"{context}.{response}"
            for context, responses in zip(self.contexts, self.responses, strict=True)
            for response in responses
        ]
        return parameter_names(self.values, self.contexts, answers if self.with_propensity else ())

    @property
    def dimensions(self) -> dict[str, tuple[str, ...]]:
        """The names along each dimension of recorded variables."""
        return {"context": self.contexts, "value": self.values, "capability": CAPABILITIES}

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """Which contexts have how many responses [K, C]."""
        counts = np.array([len(names) for names in self.responses])
        return np.arange(counts.max())[:, None] < counts

    def view(self, theta: Array) -> State:
        """Name the rows of θ [P, ...]; only propensities, if there are any, are copied."""
        parts = {kind: theta[rows] for kind, rows in self.rows.items()}
        each = theta.shape[1:] if self.with_propensity else (1,) * (theta.ndim - 1)
        propensity = np.zeros((*self.present.shape, *each), theta.dtype)
        if self.with_propensity:
            propensity.swapaxes(0, 1)[self.present.T] = parts["propensity"]
        parts["propensity"] = propensity
        return State(**{k: part if k in _PER_NAME else part[0] for k, part in parts.items()})

    def join(self, state: State) -> Array:
        """Return the rows of θ [P, n] from their parts: the inverse of `view`."""
        parts = {field.name: getattr(state, field.name) for field in fields(State)}
        parts["propensity"] = parts["propensity"].swapaxes(0, 1)[self.present.T]
        return np.concatenate([np.atleast_2d(parts[kind]) for kind in self.rows])


@dataclass(frozen=True, kw_only=True, repr=False)
class AgentState:
    """Every agent's own parameters, stated explicitly (MODEL.md section 2), agents first.

    Each array may leave out the agent axis, and then holds for all agents. Kinds that are left out
    start as the agent spec says.

    Attributes:
        values: v [agents, values].
        propensity: m [agents, contexts, responses], 0 where a context has fewer responses.
        habit: h [agents, contexts].
        awareness, log_horizon, log_competence: α, ℓ, ς [agents].
        capability: q [agents, 5], in the order opacity, sandbagging, composure, coordination,
            subversion.
    """

    values: ArrayLike | None = None
    propensity: ArrayLike | None = None
    habit: ArrayLike | None = None
    awareness: ArrayLike | None = None
    log_horizon: ArrayLike | None = None
    log_competence: ArrayLike | None = None
    capability: ArrayLike | None = None

    def write_to(self, theta: Array, layout: Layout) -> None:
        """Write the arrays, finite and of the right shape (SpecError), over θ [P, agents]."""
        for field in fields(self):
            array = getattr(self, field.name)
            if array is None:
                continue
            path, agents = f"initial.{field.name}", theta.shape[1]
            if field.name == "propensity":
                shape = (agents, *layout.present.T.shape)
                full = _checked(array, shape, path)
                if full[:, ~layout.present.T].any():
                    raise SpecError(f"{path}: must be 0 where a context has fewer responses")
                if layout.with_propensity:
                    theta[layout.rows["propensity"]] = full[:, layout.present.T].T
                continue
            rows = theta[layout.rows[field.name]]
            shape = (agents, len(rows)) if field.name in _PER_NAME else (agents,)
            rows[...] = _checked(array, shape, path).T

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
