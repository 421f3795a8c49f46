"""Equations of a user's own, in the place of the model's stake, incentive or decision.

They are called with a `sim.dynamics.cognition.Deliberation` by the engine that differentiates them
(JAX), and by everything else that has agents think: records, selection.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from functools import cache, wraps
from types import ModuleType
from typing import Any, NamedTuple

from sim.specs.errors import SpecError


class Equations(NamedTuple):
    """Functions of a deliberation that return an array [C, n]; None where the model's stands."""

    stake: Callable[[Any], Any] | None = None  # MODEL.md 3.5
    incentive: Callable[[Any], Any] | None = None  # 3.6
    decision: Callable[[Any], Any] | None = None  # 3.7

    def describe(self) -> dict[str, dict[str, str]]:
        """Return, for provenances, where each equation is from, and a hash of its code."""
        own = {name: each for name, each in self._asdict().items() if each is not None}
        return {"cognition": {name: _describe(each) for name, each in own.items()}} if own else {}


STANDARD = Equations()


def read_equations(cognition: object, *, engine: str) -> Equations:
    """Return those of `stake`, `incentive` and `decision` that a module, or an object, has.

    An engine that cannot differentiate them, and an object that has none, is a SpecError.
    """
    if cognition is None:
        return STANDARD
    if engine != "jax":
        raise SpecError(
            f"cognition: needs engine=jax, which differentiates equations of your own; engine="
            f"{engine} has only the model's"
        )
    names = Equations._fields
    own = {name: getattr(cognition, name) for name in names if hasattr(cognition, name)}
    if not own:
        kind = cognition.__name__ if isinstance(cognition, ModuleType) else repr(cognition)
        raise SpecError(f"cognition: {kind} has none of {', '.join(names)}")
    for name, equation in own.items():
        if not callable(equation):
            raise SpecError(f"cognition.{name}: got {equation!r}: must be a function")
    return Equations(**{name: _in_float64(equation) for name, equation in own.items()})


@cache
def _in_float64(equation: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return an equation that has JAX calculate in float64 wherever it is called."""
    import jax

    @wraps(equation)
    def call(mind: Any) -> Any:
        with jax.enable_x64(True):
            return equation(mind)

    return call


def _describe(equation: Callable[[Any], Any]) -> str:
    """Return an equation's name with a hash of its module and of what it was made with."""
    function = inspect.unwrap(equation)
    made_with = [getattr(function, "__defaults__", None), getattr(function, "__kwdefaults__", None)]
    made_with += [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    try:
        code = inspect.getsource(inspect.getmodule(function) or function)
    except (OSError, TypeError):  # of a console: an equation that no other is taken for
        code = repr(function)
    digest = hashlib.sha256(repr((code, made_with)).encode()).hexdigest()[:16]
    return f"{getattr(function, '__qualname__', repr(function))} ({digest})"
