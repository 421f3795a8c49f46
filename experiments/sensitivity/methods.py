"""Methods of a sensitivity study, from what a config asks for."""

from __future__ import annotations

from sim.analysis.sensitivity import METHODS, Method
from sim.specs.errors import SpecError, nearest


def read_methods(given: object) -> tuple[Method, ...]:
    """Return methods from a name or a list of names.

    Raises:
        SpecError: One does not exist, or there are none.
    """
    names: list[object] = list(given) if isinstance(given, list | tuple) else [given]
    for name in names:
        if name not in METHODS:
            raise SpecError(f"method: got {name!r}: {nearest(str(name), METHODS)}")
    if not names:
        raise SpecError(f"method: at least one is needed; allowed: {', '.join(METHODS)}")
    return tuple(dict.fromkeys(names))  # type: ignore[arg-type]
