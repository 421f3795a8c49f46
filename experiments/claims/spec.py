"""A claim of the post as data: what it says, what that means here, and what would make it true.

A claim is tried at many points: at each, some worlds are run that differ from the point in nothing
but what the claim says, or a study is run. `applies_if` chooses the points to which the claim
applies, `test` says when it is true at one. The verdict follows from all points
(`experiments.claims.verdicts`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from sim.specs.base import ByName, FrozenDict, Name, Real, Share, Spec, refuse
from sim.specs.errors import SpecError, nearest
from sim.specs.library import read_yaml

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Reduction = Literal["only", "least", "most", "mean", "sum"]
#: How a condition compares, with its sign.
SIGNS = {"at_least": "≥", "above": ">", "at_most": "≤", "below": "<"}
#: The post's own order, in which claims are reported.
ORDER = (
    "picture",
    "example1",
    "example2",
    "variation",
    "example3",
    "evidential",
    "causal",
    "difference1",
    "difference2",
    "difference3",
    "difference4",
    "define_terms",
    "conjunction",
    "footnote1",
    "footnote2",
    "footnote3",
    "footnote4",
    "footnote5",
    "footnote6",
    "footnote7",
)


class Condition(Spec):
    """A quantity and a threshold; exactly one comparison."""

    quantity: Name
    at_least: Real | None = None
    above: Real | None = None
    at_most: Real | None = None
    below: Real | None = None

    @model_validator(mode="after")
    def _one_comparison(self) -> Self:
        if sum(getattr(self, name) is not None for name in SIGNS) != 1:
            raise refuse(f"needs exactly one of {', '.join(SIGNS)}")
        return self

    @property
    def comparison(self) -> str:
        """Which comparison it is: a key of `SIGNS`."""
        return next(name for name in SIGNS if getattr(self, name) is not None)

    @property
    def threshold(self) -> float:
        """What the quantity is compared with."""
        return float(getattr(self, self.comparison))


class Quantity(Spec):
    """A number that each point has.

    Attributes:
        label: What it is, in a few words.
        columns: Of a sweep's summary or of what comes after training; `NAME.*` stands for all
            training contexts. A study has columns of its own.
        world: In which of the worlds; the first if left out.
        reduce: How several columns become one number.
        minus: The world whose number is subtracted.
        absolute: Whether the absolute value is taken.
        count: Instead of columns: how many of these conditions are met.
    """

    label: Text
    columns: tuple[str, ...] = ()
    world: Name | None = None
    reduce: Reduction = "only"
    minus: Name | None = None
    absolute: bool = False
    count: tuple[Condition, ...] = ()

    @model_validator(mode="after")
    def _either(self) -> Self:
        if bool(self.columns) == bool(self.count):
            raise refuse("needs either `columns` or `count` (conditions)")
        return self


class Circumstances(Spec):
    """What is special about a world.

    Attributes:
        settings: Dotted keys of scenario, agent and training, and what they are.
        scenario: Another scenario than the measure's.
        do: Interventions.
        oversight, deployment: What comes after training, where it is not the default.
    """

    settings: dict[str, Any] = Field({})
    scenario: Name | None = None
    do: tuple[dict[str, Any], ...] = ()
    oversight: dict[str, Any] = Field({})
    deployment: dict[str, Any] = Field({})


class Measure(Spec):
    """What is run at every point, and what is measured of it.

    Attributes:
        scenario: In which the worlds are run.
        settings: What all of them share.
        worlds: By name, in order.
        study: Instead of worlds: a study of `experiments.claims.studies` ...
        options: ... and its options.
        quantities: By name.
    """

    scenario: Name | None = None
    settings: dict[str, Any] = Field({})
    worlds: ByName[Circumstances] = FrozenDict({"as_told": Circumstances()})
    study: Name | None = None
    options: dict[str, Any] = Field({})
    quantities: ByName[Quantity]

    @model_validator(mode="after")
    def _names(self) -> Self:
        if (self.scenario is None) == (self.study is None):
            raise refuse("needs either a scenario, whose worlds are run, or a study")
        for name, quantity in self.quantities.items():
            for world in (quantity.world, quantity.minus):
                if world is not None and world not in self.worlds:
                    hint = nearest(world, self.worlds)
                    raise refuse(f"no world is named {world!r}; {hint}", at=f"quantities.{name}")
            _check_conditions(quantity.count, self.quantities, at=f"quantities.{name}.count")
        return self


class Region(Spec):
    """The assumptions over which a claim is tried.

    Attributes:
        ranges: By dotted key, [low, high] or [low, high, log], for a Sobol design ...
        points: ... of so many points, a power of 2.
        grid: By dotted key, numbers; every combination goes with every point of the ranges.
        choices: What is no number (a scenario, a prior), for studies.
    """

    ranges: dict[str, tuple[Any, ...]] = Field({})
    points: Annotated[int, Field(ge=8, le=8192, strict=True)] = 256
    grid: dict[str, tuple[Real, ...]] = Field({})
    choices: dict[str, tuple[str, ...]] = Field({})

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if not (self.ranges or self.grid or self.choices):
            raise refuse("needs ranges, a grid or choices: a claim is tried over assumptions")
        if self.points & (self.points - 1):
            raise refuse("must be a power of 2", at="points")
        return self


class Plot(Spec):
    """Which two assumptions the map of points has, where no rule says so; and which labels."""

    x: str
    y: str | None = None


class Reading(Spec):
    """Another way to read a claim, judged on the same runs.

    Attributes:
        says: How, to stand after "Read otherwise,".
        applies_if: Conditions of the points to which it applies; none: all of them.
        test: When it is true; the claim's own test if there is none.
    """

    says: Text
    applies_if: tuple[Condition, ...] = ()
    test: tuple[Condition, ...] = ()


class Claim(Spec):
    """A claim of the post.

    Attributes:
        name: Of its file.
        title: In a few words.
        passage: Where the post says it.
        quote: What it says, in its own words; "[...]" for what is left out.
        says: The same in ours, short.
        means: The operational definition, with MODEL.md's names.
        limits: What the experiment cannot see, or what follows from how the model is built.
        why: How the equations bring it about, for those who have never seen them.
        measure: What is run and measured.
        region: Over which assumptions.
        applies_if: Conditions of the points to which the claim applies.
        test: True at a point that meets all of these.
        required_share: The claim holds if, with 95 % confidence, it is true at this share of points
            or more; or at every point.
        readings: Other ways to read it.
        plot: What the map shows.
    """

    name: Name
    title: Text
    passage: Text
    quote: Text
    says: Text
    means: Text
    limits: str = ""
    why: str = ""
    measure: Measure
    region: Region
    applies_if: tuple[Condition, ...] = ()
    test: tuple[Condition, ...] = Field(min_length=1)
    required_share: Share = 0.95
    readings: tuple[Reading, ...] = ()
    plot: Plot

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        for key in ("applies_if", "test"):
            _check_conditions(getattr(self, key), self.measure.quantities, at=key)
        for number, reading in enumerate(self.readings):
            conditions = (*reading.applies_if, *reading.test)
            _check_conditions(conditions, self.measure.quantities, at=f"readings.{number}")
        axes = {*self.region.ranges, *self.region.grid, *self.region.choices}
        for axis in filter(None, (self.plot.x, self.plot.y)):
            if axis not in axes:
                raise refuse(f"{axis!r} is no assumption of the region", at="plot")
        return self

    @property
    def axes(self) -> tuple[str, ...]:
        """The assumptions in which points differ, in order."""
        return (*self.region.choices, *self.region.grid, *self.region.ranges)

    @classmethod
    def load(cls, path: Path) -> Claim:
        """Read a claim from its file.

        Raises:
            SpecError: One line: what was wrong, where, what is allowed.
        """
        return cls.parse({"name": path.stem, **read_yaml(path)}, path=f"claims/{path.stem}")


def claims_folder() -> Path:
    """Return where the project's own claims are."""
    return Path(__file__).parent / "claims"


def claim_names(folder: Path) -> list[str]:
    """Return the names of the claims in a folder: in the post's order, then the others.

    Raises:
        SpecError: There is no such folder, or no claim in it.
    """
    if not folder.is_dir():
        raise SpecError(f"folder: there is no folder {str(folder)!r}")
    stems = sorted(path.stem for path in folder.glob("*.yaml"))
    if not stems:
        raise SpecError(f"folder: there is no claim in {str(folder)!r}")
    place = {name: i for i, name in enumerate(ORDER)}
    return sorted(stems, key=lambda name: (place.get(name, len(ORDER)), name))


def load_claims(folder: Path, only: Iterable[str] = ()) -> list[Claim]:
    """Return claims, in the post's order.

    Args:
        folder: Where they are.
        only: Their names; none: all of them.

    Raises:
        SpecError: There is no such claim, or one that cannot be used.
    """
    known = claim_names(folder)
    names = list(only) or known
    for name in names:
        if name not in known:
            raise SpecError(f"only: no claim is named {name!r}; {nearest(str(name), known)}")
    return [Claim.load(folder / f"{name}.yaml") for name in known if name in names]


def _check_conditions(conditions: Iterable[Condition], known: Iterable[str], *, at: str) -> None:
    names = list(known)
    for condition in conditions:
        if condition.quantity not in names:
            hint = nearest(condition.quantity, names)
            raise refuse(f"no quantity is named {condition.quantity!r}; {hint}", at=at)
