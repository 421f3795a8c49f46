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
from sim.simulation import MOST_SEED
from sim.specs.base import Name, NonNegative, Real, Share, Spec, Steps, Whole, refuse
from sim.specs.errors import SpecError

__all__ = [
    "Count",
    "Engine",
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
]

T = TypeVar("T")
#: A whole number of 1 or more.
Count = Steps


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


def as_list(value: object) -> object:
    """Let one thing stand for a list of it."""
    return value if isinstance(value, list | tuple) else [value]


#: The seed of all random draws.
Seed = Annotated[int, Field(ge=0, le=MOST_SEED, strict=True)]
#: Two numbers, the lower first.
Interval = Annotated[tuple[Real, Real], AfterValidator(check_order)]
#: The name of an engine.
Engine = Annotated[str, AfterValidator(check_engine)]
#: A list of things, or one of them.
OneOrMore = Annotated[tuple[T, ...], BeforeValidator(as_list)]
#: Where sweeps are kept, a directory or a URL of fsspec; None: nowhere.
Store = Annotated[str | None, BeforeValidator(check_store)]
