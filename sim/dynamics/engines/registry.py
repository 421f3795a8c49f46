"""The engines by name.

All do the same steps. Numba compiles them, and JAX differentiates their objective; both are extras
of the package (`fast`, `jax`), imported only where they are used, as that takes a second.
"""

from __future__ import annotations

import warnings
from functools import cache
from importlib.util import find_spec
from typing import cast, get_args

from sim.dynamics.engines.engine import Engine, Precision
from sim.dynamics.engines.numpy_engine import NumpyEngine
from sim.specs.errors import SpecError, nearest

_NAMES = ("auto", "numpy", "numba", "jax")


@cache
def has_numba() -> bool:
    """Return whether Numba is installed."""
    return find_spec("numba") is not None


@cache
def numba_problem() -> str:
    """Return why Numba, which is installed, does not work here; nothing if it does."""
    try:
        from numba import config

        from sim.dynamics.engines import numba_engine  # noqa: F401  # what it needs of Numba
    except Exception as error:  # of a Numba that is damaged, or set up wrongly, in any way
        return " ".join(f"{type(error).__name__}: {error}".split())
    return "NUMBA_DISABLE_JIT is set" if getattr(config, "DISABLE_JIT", 0) else ""


def get_engine(
    name: str = "auto", *, precision: str = "float64", threads: int | None = None
) -> Engine:
    """Return an engine by name.

    Args:
        name: `numpy`, `numba`, `jax`, or `auto` for the faster of the first two that is installed.
        precision: `float64`, or `float32` for exploratory maps.
        threads: Of the Numba engine; as many as the process may use processors if None. Results do
            not depend on it.

    Returns:
        The engine, ready to start programs.

    Raises:
        SpecError: There is no such engine, it is not installed, or it does not have the precision;
            one line says what is allowed.
    """
    if name not in _NAMES:
        raise SpecError(f"engine: got {name!r}: {nearest(str(name), _NAMES)}")
    if precision not in get_args(Precision):
        hint = nearest(str(precision), get_args(Precision))
        raise SpecError(f"precision: got {precision!r}: {hint}")
    if name == "jax":
        return _jax(precision)
    if name == "numpy" or (name == "auto" and not has_numba()):
        return _numpy(precision)
    if not has_numba():
        raise SpecError(
            "engine: numba is not installed; install the extra `fast` "
            "(pip install 'training-gaming-sim[fast]'), or take engine=numpy"
        )
    if problem := numba_problem():
        if name == "numba":
            raise SpecError(f"engine: got 'numba': it does not work here ({problem}); take numpy")
        engine = _numpy(precision)
        warnings.warn(f"engine: numba does not work here ({problem}); NumPy computes", stacklevel=3)
        return engine
    from sim.dynamics.engines.numba_engine import NumbaEngine

    return NumbaEngine(precision=cast(Precision, precision), threads=threads)


def _numpy(precision: str) -> NumpyEngine:
    if precision != "float64":
        raise SpecError(f"precision: got {precision!r}: engine=numpy has float64 only")
    return NumpyEngine()


def _jax(precision: str) -> Engine:
    if find_spec("jax") is None:
        raise SpecError(
            "engine: jax is not installed; install the extra `jax` "
            "(pip install 'training-gaming-sim[jax]'), or take engine=numpy"
        )
    if precision != "float64":
        raise SpecError(f"precision: got {precision!r}: engine=jax has float64 only")
    from sim.dynamics.engines.jax_engine import JaxEngine

    return JaxEngine()
