"""The base of all specs: frozen, with known keys only, numbers in ranges, errors in one line."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real as RealNumber
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Self, TypeGuard, TypeVar, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from sim.specs.errors import SpecError, describe, nearest, shorten
from sim.specs.errors import refuse as refuse

T = TypeVar("T")


#: Beyond them, sums of 64 bits lose what a number stands beside, and engines, which round in their
#: own ways, come to different results.
ENDS = (-1e6, 1e6)


def within(
    low: float = -math.inf, high: float = math.inf, *, ends: tuple[float, float] = ENDS
) -> BeforeValidator:
    """Return what checks that a value is a number from `low` to `high`, and within the ends.

    Where a range is open, arithmetic has `ends`.
    """
    first, last = max(low, ends[0]), min(high, ends[1])
    allowed = f"a number from {low:g} to {high:g}"
    if math.isinf(high):
        allowed = "a finite number" if math.isinf(low) else f"a number of {low:g} or more"

    def check(value: object) -> float:
        is_number = isinstance(value, RealNumber) and not isinstance(value, bool)
        number = cast(float, value)  # or a whole number too large for one
        if not (is_number and low <= number <= high and abs(number) <= sys.float_info.max):
            raise PydanticCustomError("number", "must be {allowed}", {"allowed": allowed})
        if not first <= number <= last:
            by_arithmetic = f"a number from {first:g} to {last:g}, where arithmetic ends"
            raise PydanticCustomError("number", "must be {allowed}", {"allowed": by_arithmetic})
        return float(number)

    return BeforeValidator(check)


@dataclass(frozen=True)
class Vectorisable:
    """Marks a field whose number, or numbers, runs of one array program can differ in."""


class FrozenDict(dict[str, T]):
    """A dict that cannot be changed, so that a frozen spec is frozen all the way down."""

    def _refuse(self, *args: object, **kwargs: object) -> NoReturn:
        raise TypeError("specs are frozen; use replace() to make a changed copy")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[FrozenDict[T]], tuple[dict[str, T]]]:
        return FrozenDict, (dict(self),)


def _form(value: object) -> str:
    if isinstance(value, Mapping):
        return "by name"
    return "one each" if isinstance(value, list | tuple) else "one number"


def _by_form(forms: str) -> Discriminator:
    """Return what tells the forms of a field apart; its error names those that there are."""
    return Discriminator(_form, custom_error_type="form", custom_error_message=f"must be {forms}")


Real = Annotated[float, within()]
#: Where another key says how far.
Finite = Annotated[float, within(ends=(-math.inf, math.inf))]
#: Utilities are sums of features times values, and differences of them decide.
Feature = Annotated[float, within(ends=(-1e4, 1e4))]
#: Gradients are products of two rewards.
Reward = Annotated[float, within(ends=(-1e2, 1e2))]
#: exp of it multiplies rewards (precision, horizon), and what it multiplies is subtracted.
Logarithm = Annotated[float, within(ends=(ENDS[0], 20.0))]
#: Of a normal draw whose exp multiplies.
LogSpread = Annotated[float, Field(ge=0.0), within(low=0.0, ends=(0.0, 5.0)), Vectorisable()]
NonNegative = Annotated[float, Field(ge=0.0), within(low=0.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0), within(low=0.0, high=1.0)]
#: Steps are counted in 32 bits wherever randomness is keyed by them.
Steps = Annotated[int, Field(ge=1, le=2**32 - 1, strict=True)]
Whole = Annotated[int, Field(ge=0, le=2**32 - 1, strict=True)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]
ByName = Annotated[dict[Name, T], AfterValidator(FrozenDict)]
#: A number, or numbers, that may be a column: a number for each run of an array program.
Column = Annotated[T, Vectorisable()]
Amount = Column[NonNegative]
#: One number for everything, or one for each name.
OneOrByName = Annotated[
    Annotated[T, Tag("one number")] | Annotated[ByName[T], Tag("by name")],
    _by_form("one number for all, or a mapping of names to numbers"),
]
#: One number for everything, or one for each name below a name.
OneOrByNames = Annotated[
    Annotated[T, Tag("one number")] | Annotated[ByName[ByName[T]], Tag("by name")],
    _by_form("one number for all, or numbers by name below names"),
]
#: Numbers for pairs of names, or a matrix.
PairsOrMatrix = Annotated[
    Annotated[ByName[ByName[T]], Tag("by name")]
    | Annotated[tuple[tuple[T, ...], ...], Tag("one each")],
    _by_form("a mapping of pairs of names to numbers, or a matrix as a list of rows"),
]
#: One number for every agent, or one for each.
OneOrEach = Annotated[
    Annotated[T, Tag("one number")] | Annotated[tuple[T, ...], Tag("one each")],
    _by_form("one number, or a list with one for each agent"),
]


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether a value is a number as YAML has them; yes and no are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def plain(value: object) -> object:
    """Return numbers and arrays of NumPy, which sweeps are often made of, as Python's."""
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    to_list = getattr(value, "tolist", None)
    return to_list() if callable(to_list) else value


if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)  # pydantic does not export it


class _OneLineErrors(ModelMetaclass):
    """Makes a spec that is built in Python refuse bad input in one line, as `parse` does."""

    def __call__(self, *args: object, **data: object) -> Any:
        try:
            return super().__call__(*args, **data)
        except ValidationError as error:
            raise SpecError(describe(error, path=self.__name__.lower())) from None


class Spec(BaseModel, metaclass=_OneLineErrors):
    """A frozen piece of a specification that accepts only the keys it knows.

    Raises:
        SpecError: One line: the path, the value and what is allowed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _only_known_keys(cls, data: object) -> object:
        if isinstance(data, Mapping):
            for key in data:
                if key not in cls.model_fields:
                    hint = nearest(str(key), cls.model_fields)
                    raise refuse(f"unknown key; {hint}", at=str(key))
            return {key: plain(value) for key, value in data.items()}
        return data

    @classmethod
    def parse(cls, data: object, *, path: str) -> Self:
        """Return the spec of plain data, or an instance as it is; errors begin with `path`."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise SpecError(describe(error, path=path)) from None

    def replace(self, **changes: object) -> Self:
        """Return a copy in which the named fields are changed and everything is checked again."""
        explicit = {name: getattr(self, name) for name in self.model_fields_set}
        return self.parse({**explicit, **changes}, path=type(self).__name__.lower())

    def completed_by(self, story: Self) -> Self:
        """Return this spec, with the fields that it does not set taken from `story`."""
        path = type(self).__name__.lower()
        return self.parse(_merge(_explicit(story), _explicit(self)), path=path)

    def __repr__(self) -> str:
        explicit = [f"{name}={getattr(self, name)!r}" for name in sorted(self.model_fields_set)]
        return shorten(f"{type(self).__name__}({', '.join(explicit)})", limit=160)


def _explicit(spec: Spec) -> dict[str, object]:
    """Return the fields that were set, and not those that have their defaults."""
    fields = {name: getattr(spec, name) for name in spec.model_fields_set}
    return {name: _explicit(x) if isinstance(x, Spec) else x for name, x in fields.items()}


def _merge(lower: dict[str, object], upper: dict[str, object]) -> dict[str, object]:
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            value = _merge(below, value)
        merged[key] = value
    return merged


def one_number_for_all(spec: type[Spec]) -> BeforeValidator:
    """Let a group of numbers be written as one number for all, or as a list in order."""
    names = list(spec.model_fields)

    def by_name(value: object) -> object:
        if isinstance(value, list | tuple):
            if len(value) != len(names):
                numbers = f"{len(names)} numbers ({', '.join(names)})"
                raise refuse(f"must have {numbers}, not {len(value)}")
            return dict(zip(names, value, strict=True))
        if isinstance(value, RealNumber) and not isinstance(value, bool):
            return dict.fromkeys(names, value)
        if not isinstance(value, Mapping | Spec):
            raise PydanticCustomError(
                "form", "must be one number for all, a list in order, or a mapping of names"
            )
        return value

    return BeforeValidator(by_name)
