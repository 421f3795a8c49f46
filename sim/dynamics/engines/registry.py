"""The engines by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import get_args

from sim.dynamics.engines.engine import Engine, Precision
from sim.dynamics.engines.numpy_engine import NumpyEngine
from sim.specs.errors import SpecError, nearest


def _numpy(precision: Precision, threads: int | None) -> Engine:
    if precision != "float64":
        raise SpecError(f"precision: got {precision!r}: engine=numpy has float64 only")
    return NumpyEngine()


def _numba(precision: Precision, threads: int | None) -> Engine:
    if not has_numba():
        raise SpecError(
            "engine: numba is not installed; install the extra `fast` "
            "(pip install 'training-gaming-sim[fast]'), or take engine=numpy"
        )
    from sim.dynamics.engines.numba_engine import NumbaEngine

    return NumbaEngine(precision=precision, threads=threads)


_ENGINES: dict[str, Callable[[Precision, int | None], Engine]] = {"numpy": _numpy, "numba": _numba}


@cache
def has_numba() -> bool:
    """Return whether Numba is installed."""
    return find_spec("numba") is not None


def get_engine(
    name: str = "auto", *, precision: str = "float64", threads: int | None = None
) -> Engine:
    """Return an engine by name.

    Args:
        name: `numpy`, `numba`, or `auto`.
        precision: `float64`, or `float32` for exploratory maps.
        threads: Of the Numba engine; as many as the process may use processors if None. The NumPy
            engine has one.

    Raises:
        SpecError: There is no such engine, or it is not installed.
    """
    if name == "auto":
        name = "numba" if has_numba() else "numpy"
    if not isinstance(name, str) or name not in _ENGINES:
        raise SpecError(f"engine: got {name!r}: {nearest(str(name), ['auto', *_ENGINES])}")
    for allowed in get_args(Precision):
        if precision == allowed:
            return _ENGINES[name](allowed, threads)
    hint = nearest(str(precision), get_args(Precision))
    raise SpecError(f"precision: got {precision!r}: {hint}")
