"""What the `Settings` of a study are made of: types that say what is allowed.

    class Settings(Spec):
        agents: Count
        awareness: Interval

Besides those below: `Literal` for words, and `float | None` and the like for what may be null.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from sim.dynamics.engines.registry import get_engine
from sim.simulation import MOST_BYTES, MOST_SEED
from sim.specs.base import Name, NonNegative, Real, Share, Spec, Whole, refuse, within
from sim.specs.deployment import Deployment
from sim.specs.errors import SpecError
from sim.utils.parallel import MOST_WORKERS

__all__ = [
    "Count",
    "End",
    "Engine",
    "Few",
    "Interval",
    "Name",
    "NonNegative",
    "OneOrMore",
    "Real",
    "Seed",
    "Share",
    "Spec",
    "Store",
    "Whole",
    "Workers",
    "check_copies",
]

T = TypeVar("T")
#: Bytes of a deployed copy, and of one of its links, as measured.
_COPY, _LINK = 3000, 200
#: How many there may be of what a study makes one by one.
MOST = 10**6


def check_order(ends: tuple[float, float]) -> tuple[float, float]:
    """Refuse an interval whose lower end is not the first."""
    if ends[0] > ends[1]:
        raise PydanticCustomError("order", "must be two numbers, the lower first")
    return ends


def check_engine(name: str) -> str:
    """Refuse an engine that there is not."""
    try:
        get_engine(name)
    except SpecError as error:
        raise refuse(str(error).removeprefix("engine: ")) from None
    return name


def check_store(place: object) -> object:
    """Refuse what is no place, and take the slash from the end of one."""
    if place is not None and (not isinstance(place, str) or not place):
        raise refuse(f"got {place!r}: must be a directory, a URL of fsspec, or null")
    if place is not None and "://" in place:
        from sim.sweeps.store import Store  # with Arrow, which other places do without

        try:
            Store(place)
        except SpecError as error:
            raise refuse(str(error).removeprefix("store: ")) from None
    return None if place is None else place.rstrip("/")


def check_copies(deployment: Deployment) -> None:
    """Refuse more copies, as Mesa agents with their links, than fit into memory (SpecError)."""
    each = _COPY + (deployment.neighbours * _LINK if deployment.graph == "small_world" else 0)
    if deployment.copies * each > MOST_BYTES:
        raise SpecError(
            f"deployment.copies: {deployment.copies} would take "
            f"{deployment.copies * each / 2**30:.1f} GiB (allowed: {MOST_BYTES / 2**30:.0f}); "
            f"{MOST_BYTES // each} fit"
        )


def as_list(value: object) -> object:
    """Let one thing stand for a list of it."""
    return value if isinstance(value, list | tuple) else [value]


#: A whole number of 1 or more, of what is small ...
Count = Annotated[int, Field(ge=1, le=MOST, strict=True)]
#: ... of what is large, or takes a while: seeds, starts, points.
Few = Annotated[int, Field(ge=1, le=4096, strict=True)]
#: How many threads or processes.
Workers = Annotated[int, Field(ge=1, le=MOST_WORKERS, strict=True)]
#: The end of a range of numbers: far beyond all that are used, and their squares are numbers.
End = Annotated[float, Field(ge=-1e9, le=1e9), within(-1e9, 1e9)]
#: The seed of all random draws.
Seed = Annotated[int, Field(ge=0, le=MOST_SEED, strict=True)]
#: Two numbers, the lower first.
Interval = Annotated[tuple[End, End], AfterValidator(check_order)]
#: The name of an engine.
Engine = Annotated[str, AfterValidator(check_engine)]
#: A list of things, or one of them.
OneOrMore = Annotated[tuple[T, ...], BeforeValidator(as_list)]
#: Where sweeps are kept, a directory or a URL of fsspec; None: nowhere.
Store = Annotated[str | None, BeforeValidator(check_store)]
