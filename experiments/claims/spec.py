"""A claim of the post as data: what it says, with which quantifier, and what would refute it.

A claim is tried on all cases (`experiments.claims.cases`). `among` chooses those to which it
applies, `event` says when it is true of one. How frequent that must be follows from the quantifier
that the words of the post express (`QUANTIFIERS`); `contrast` is the same of matched others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import BeforeValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from sim.specs.base import Real, Spec, refuse
from sim.specs.errors import SpecError, nearest
from sim.specs.library import read_yaml
from sim.sweeps.design import Numbers

from .derived import DERIVED

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Quantifier = Literal["exists", "mostly", "always", "more"]
#: Of the cases to which a claim applies, the share above which its event must be true.
QUANTIFIERS: dict[Quantifier, float] = {"exists": 0.01, "mostly": 0.5, "always": 0.95, "more": 0.0}
Flags = np.ndarray[Any, np.dtype[np.bool_]]

_NAME = r"(?:[a-z_]\w*\.)?[a-z_]\w*"
_QUANTITY = re.compile(rf"(\|?)\s*({_NAME})(?:\s*-\s*({_NAME}))?\s*(\|?)")
_NUMBER = r"[-+]?[\d.]\S*"
_CONDITION = re.compile(rf"(?P<quantity>.*?)\s*(?P<sign>>=|<=|>|<)\s*(?P<number>{_NAME}|{_NUMBER})")
_COMPARE = {">=": np.greater_equal, "<=": np.less_equal, ">": np.greater, "<": np.less}


@dataclass(frozen=True)
class Quantity:
    """An outcome, or the difference of two, of cases: `conduct`, `|conduct - never.conduct|`.

    An outcome of an arm is ARM.OUTCOME; without an arm, of the cases as drawn.
    """

    text: str
    first: str
    second: str | None
    absolute: bool

    @classmethod
    def read(cls, text: str) -> Quantity:
        """Read a quantity (SpecError)."""
        match = _QUANTITY.fullmatch(text.strip())
        if match is None or bool(match[1]) != bool(match[4]):
            raise SpecError(f"got {text!r}: must be like `conduct`, or `|conduct - never.conduct|`")
        return cls(text, match[2], match[3], bool(match[1]))

    @property
    def names(self) -> tuple[str, ...]:
        """The outcomes that it needs."""
        return (self.first,) if self.second is None else (self.first, self.second)

    def evaluate(self, cases: Mapping[str, pd.DataFrame]) -> Numbers:
        """Return its numbers [cases], from the outcomes of each arm."""
        number = _outcome(self.first, cases)
        if self.second is not None:
            number = number - _outcome(self.second, cases)
        return np.abs(number) if self.absolute else number


@dataclass(frozen=True)
class Condition:
    """A quantity and a threshold, a number or another outcome: `instrumental_first >= 0.5`."""

    text: str
    quantity: Quantity
    sign: str
    number: float | str

    @classmethod
    def read(cls, text: str) -> Condition:
        """Read a condition (SpecError)."""
        match = _CONDITION.fullmatch(text.strip())
        if match is None:
            raise SpecError(f"got {text!r}: must be like `conduct <= -0.5`")
        threshold = match["number"]
        number = threshold if re.fullmatch(_NAME, threshold) else float(threshold)
        return cls(text, Quantity.read(match["quantity"]), match["sign"], number)

    @property
    def names(self) -> tuple[str, ...]:
        """The outcomes that it needs."""
        more = (self.number,) if isinstance(self.number, str) else ()
        return (*self.quantity.names, *more)

    def evaluate(self, cases: Mapping[str, pd.DataFrame]) -> tuple[Flags, Flags]:
        """Return where it is met [cases], and where it is defined [cases]."""
        number = self.quantity.evaluate(cases)
        threshold = _outcome(self.number, cases) if isinstance(self.number, str) else self.number
        with np.errstate(invalid="ignore"):
            is_met = _COMPARE[self.sign](number, threshold)
        return is_met, np.isfinite(number) & np.isfinite(threshold)


def _outcome(name: str, cases: Mapping[str, pd.DataFrame]) -> Numbers:
    arm, _, column = name.rpartition(".")
    return np.asarray(cases[arm or "drawn"][column], np.float64)


def _read(kind: type[Quantity] | type[Condition]) -> Any:
    def read(text: object) -> object:
        if isinstance(text, kind):
            return text
        if not isinstance(text, str):
            raise PydanticCustomError("text", "must be text")
        try:
            return kind.read(text)
        except (SpecError, ValueError) as error:
            raise PydanticCustomError("text", "{line}", {"line": str(error)}) from None

    return read


AQuantity = Annotated[Any, BeforeValidator(_read(Quantity))]
ACondition = Annotated[Any, BeforeValidator(_read(Condition))]


class Group(Spec):
    """Cases, and an event, or a number, of each.

    Attributes:
        among: Conditions of the cases; none: all of them.
        event: Conditions, all of which must be met ...
        at_least: ... or so many of them.
        number: Instead of an event: a quantity, whose mean is taken.
    """

    among: tuple[ACondition, ...] = ()
    event: tuple[ACondition, ...] = ()
    at_least: Annotated[int, Field(ge=1, strict=True)] | None = None
    number: AQuantity | None = None

    @model_validator(mode="after")
    def _either(self) -> Group:
        if self.event and self.number is not None:
            raise refuse("has an event as well; a claim is about one of them", at="number")
        if self.event and (self.at_least or 0) > len(self.event):
            raise refuse(f"the event has {len(self.event)} conditions", at="at_least")
        return self

    @property
    def names(self) -> set[str]:
        """The outcomes that are needed."""
        parts = [*self.among, *self.event, *([self.number] if self.number else [])]
        return {name for part in parts for name in part.names}


class Contrast(Group):
    """Matched others: a field that is left out is as in the claim.

    Attributes:
        says: Who or what they are.
    """

    says: Text


class Refutation(Spec):
    """What would refute a claim, and numbers that every case is given under which it turns.

    Attributes:
        says: What would have to be so.
        set: Numbers by key, of assumptions or of the prior (`worlds.upholds`).
    """

    says: Text
    set: dict[str, Any] = Field(min_length=1)


class Claim(Group):
    """A claim of the post.

    Attributes:
        name: Of its file.
        title: In a few words.
        passage: Where the post says it.
        quote: What it says, in its own words; "[...]" for what is left out.
        quantifier: What must be so: the event in some cases (`exists`), in most, in nearly all
            (`always`), or `more` than in the contrast.
        words: The words of the passage that decide that.
        says: The claim in our words, short.
        means: The operational definition, with MODEL.md's names.
        contrast: Matched others.
        margin: `more`: by how much, in the unit of the effect.
        ratio: `more`: whether the two are compared by their ratio, and not by their difference.
        unit: Of the effect, to stand after a number.
        along: Assumptions along which the effect is shown, beside those that decide.
        refuted: What would refute it.
        limits: What the experiment cannot see.
        formerly: The verdict of the first version of this claim; "" for a new one.
    """

    name: str
    title: Text
    passage: Text
    quote: Text
    quantifier: Quantifier
    words: Text
    says: Text
    means: Text
    contrast: Contrast
    margin: Real = 0.0
    ratio: bool = False
    unit: str = ""
    along: tuple[str, ...] = ()
    refuted: Refutation
    limits: str = ""
    formerly: str = ""

    @model_validator(mode="after")
    def _is_complete(self) -> Claim:
        if not self.event and self.number is None:
            raise refuse("needs conditions, or a number", at="event")
        if self.number is not None and self.quantifier != "more":
            raise refuse("a number is compared (`more`)", at="number")
        if self.quantifier != "more" and (self.ratio or self.margin):
            raise refuse("is of a comparison (`more`)", at="ratio" if self.ratio else "margin")
        return self

    @property
    def reference(self) -> Group:
        """The group of the contrast, with what it shares with the claim."""
        stated_fields = self.contrast.model_fields_set
        own = {k: getattr(self, k) for k in Group.model_fields if k not in stated_fields}
        if "number" in stated_fields or "event" in stated_fields:
            own = {k: v for k, v in own.items() if k == "among"}
        stated = {k: getattr(self.contrast, k) for k in Group.model_fields if k in stated_fields}
        return Group(**{**own, **stated})

    @property
    def arms(self) -> set[str]:
        """The arms that it needs."""
        names = {name.rpartition(".")[0] for name in self.names | self.reference.names}
        needed = [arm for name in self.derived for arm in DERIVED[name].arms]
        return {"drawn", *names, *needed} - {"", "derived"}

    @property
    def derived(self) -> list[str]:
        """The derived outcomes that it needs."""
        parts = [name.partition(".") for name in sorted(self.names | self.reference.names)]
        return [column for arm, _, column in parts if arm == "derived"]

    def by_alignment(self) -> Claim | None:
        """Return the claim with alignment in the place of conduct; None if it has no conduct."""
        parts = {
            **_by_alignment(self),
            "contrast": self.contrast.replace(**_by_alignment(self.contrast)),
        }
        claim = self.replace(**parts)
        return (
            None
            if (claim.names, claim.reference.names) == (self.names, self.reference.names)
            else claim
        )

    @classmethod
    def load(cls, path: Path) -> Claim:
        """Read a claim from its file (SpecError: one line)."""
        place = f"claims/{path.stem}"
        if not re.fullmatch(r"[a-z]\w*", path.stem, re.ASCII):
            raise SpecError(f"{place}: its file's name must be small letters, digits and _")
        data = read_yaml(path)
        if "name" in data:
            raise SpecError(f"{place}.name: cannot be set: a claim has the name of its file")
        return cls.parse({"name": path.stem, **data}, path=place)


def _by_alignment(group: Group) -> dict[str, Any]:
    def turned(part: Quantity | Condition) -> str:
        return re.sub(r"\bconduct\b", "alignment", part.text)

    parts: dict[str, Any] = {
        name: [turned(part) for part in getattr(group, name)]
        for name in ("among", "event")
        if name in group.model_fields_set
    }
    return parts if group.number is None else {**parts, "number": turned(group.number)}


@dataclass(frozen=True)
class Sample:
    """A group of a claim, counted.

    Attributes:
        applies: To which cases it applies [cases].
        value: 1 where the event is true, 0 where it is not; or the number; 0 where it does not
            apply [cases].
        undefined: Number of cases among which it would apply, whose event is not defined.
    """

    applies: Flags
    value: Numbers
    undefined: int


def sample_of(group: Group, cases: Mapping[str, pd.DataFrame]) -> Sample:
    """Return a group of a claim, counted in cases."""
    total = len(cases["drawn"])
    applies, defined = np.ones(total, np.bool_), np.ones(total, np.bool_)
    for condition in group.among:
        is_met, is_defined = condition.evaluate(cases)
        applies &= is_met & is_defined
    if group.number is not None:
        value = group.number.evaluate(cases)
        defined = np.isfinite(value)
    else:
        flags = [condition.evaluate(cases) for condition in group.event]
        count = np.sum([is_met for is_met, _ in flags], axis=0)
        value = (count >= (group.at_least or len(flags))).astype(np.float64)
        defined = np.logical_and.reduce([is_defined for _, is_defined in flags])
    undefined = int((applies & ~defined).sum())
    applies = applies & defined
    return Sample(applies, np.where(applies, value, 0.0), undefined)


def claims_folder() -> Path:
    """Return where the project's own claims are."""
    return Path(__file__).parent / "claims"


def load_claims(folder: Path, only: Iterable[str] = ()) -> list[Claim]:
    """Return the claims of a folder in the order of its `order.yaml`, or some of them.

    Raises:
        SpecError: There is no such claim, or one that cannot be used.
    """
    if not folder.is_dir():
        raise SpecError(f"folder: there is no folder {str(folder)!r}")
    order = folder / "order.yaml"
    listed = read_yaml(order).get("order") if order.is_file() else []
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise SpecError("order.yaml: must hold a list of claims under `order`")
    stems = sorted(path.stem for path in folder.glob("*.yaml") if path != order)
    if not stems:
        raise SpecError(f"folder: there is no claim in {str(folder)!r}")
    place = {name: i for i, name in enumerate(listed)}
    available = sorted(stems, key=lambda name: (place.get(name, len(place)), name))
    for name in only:
        if name not in available:
            raise SpecError(f"only: no claim is named {name!r}; {nearest(str(name), available)}")
    return [Claim.load(folder / f"{name}.yaml") for name in available if not only or name in only]


def check_names(
    claim: Claim, outcomes: Iterable[str], arms: Iterable[str], axes: Iterable[str]
) -> None:
    """Refuse outcomes, arms and assumptions that do not exist (SpecError)."""
    for key in claim.along:
        if key not in (available := list(axes)):
            hint = nearest(key, available)
            raise SpecError(f"claims/{claim.name}.along: no assumption is named {key!r}; {hint}")
    available = [*arms, "derived"]
    for name in sorted(claim.names | claim.reference.names):
        arm, _, column = name.rpartition(".")
        columns = list(DERIVED if arm == "derived" else outcomes)
        if arm and arm not in available:
            raise SpecError(
                f"claims/{claim.name}: no arm is named {arm!r}; {nearest(arm, available)}"
            )
        if column not in columns:
            hint = nearest(column, columns)
            raise SpecError(f"claims/{claim.name}: no outcome is named {column!r}; {hint}")
