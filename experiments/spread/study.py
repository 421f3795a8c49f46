"""How far gaming goes beyond what it is for: a study of three questions, each a sweep.

reach (`experiments.spread.reach`)
    Gaming pays where training pulls against a value. Does it reach contexts where it protects
    nothing, as habits carry over (`spread`) between contexts that are more or less similar?
race (`experiments.spread.race`)
    Is the value that is trained against overwritten before gaming has set in? By the agent's
    awareness at the start, and by how fast habit, or awareness, learns relative to the values.
outlive (`experiments.spread.outlive`)
    Does gaming go on when the value that it protected is lost, for how long, and what keeps it up:
    the incentive, or habit alone?

Here stands what is asked for and which runs answer it. What the parts have in common: where gaming
pays, and for which value, is said by `sim.analysis.context_roles`. A value is *lost* if its strength is
below a stated share of what it was at the start, and *reversed* if it has changed its sign.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.analysis.context_roles import ContextRoles, cast_of
from sim.dynamics.measures import GAMED
from sim.dynamics.state import Array
from sim.specs.errors import SpecError, check_whole, nearest
from sim.specs.overrides import Specs, apply_overrides
from sim.sweeps.design import Design, Grid, Product, Range, Zip, is_number
from sim.sweeps.plan import Part, Plan, make_plan
from sim.sweeps.sweep import with_first_point

PARTS = ("reach", "race", "outlive")
#: What becomes of a value and of gaming, in the order of `outcomes`.
OUTCOMES = ("kept, gaming", "kept, no gaming", "lost, gaming", "lost, no gaming")
RULES = ("policy_gradient", "replicator")
RULE_NAMES = {"policy_gradient": "plain gradient", "replicator": "natural gradient"}
#: Of `reach`: how many times longer training lasts, and how many times faster habit learns.
CASES = ((1, 1), (4, 1), (4, 10))
#: Whose learning rate is moved in the race, relative to that of the values.
MOVED = ("habit", "awareness")
CREDITS = (0.0, 0.5, 1.0)
#: Of the race: without credit for motives, and with all of it, as of the exact gradient.
RACE_CREDITS = (0.0, 1.0)
LEAKS = (0.0, 0.1, 0.3, 1.0)
#: Where awareness starts, and learning rates as multiples of the values', where nothing is said.
AWARENESS, RATIO = Range(-14.0, 0.0), Range(0.1, 1000.0, "log")
MOST_POINTS, MOST_SEEDS = 201, 4096

#: Settings that the parts move, and by which their runs are told apart.
SPREAD_KEY, AWARENESS_KEY = "training.spread", "agent.initial.awareness"
RATE_KEY = "training.learning_rate.{}"
RULE_KEY, STEPS_KEY = "training.update_rule", "training.steps"
CREDIT_KEY, LEAK_KEY = "training.motive_credit", "training.leak"

#: Axes that no figure has across have at most so many points, or the study would take minutes.
_SIMILARITIES, _RATIOS, _FEW_RATIOS, _FEW_AWARENESSES = 6, 13, 4, 8
_RECORDS, _FEW_RECORDS = 100, 50


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is asked for.

    Attributes:
        specs: Scenario, population and training.
        parts: Which of `PARTS`.
        points: Levels of each axis that stands across a figure.
        seeds: Runs at each point, each of one agent.
        share: A value is lost below this share of its strength at the start.
        awareness: Of the race and of what outlives: from where to where awareness starts.
        ratio: Likewise, from which to which ratio to the values' learning rate.
        engine: What computes.
    """

    specs: Specs
    parts: tuple[str, ...] = PARTS
    points: int = 41
    seeds: int = 16
    share: float = 0.25
    awareness: Range = AWARENESS
    ratio: Range = RATIO
    engine: str = "auto"

    def __post_init__(self) -> None:
        """Refuse what cannot be studied."""
        if not self.parts:
            raise SpecError(f"parts: at least one is needed; allowed: {', '.join(PARTS)}")
        for part in self.parts:
            if part not in PARTS:
                raise SpecError(f"parts: got {part!r}: {nearest(str(part), PARTS)}")
        check_whole("points", self.points, minimum=2, maximum=MOST_POINTS)
        check_whole("seeds", self.seeds, minimum=2, maximum=MOST_SEEDS)
        if not is_number(self.share) or not 0.0 < self.share < 1.0:
            raise SpecError(f"share: got {self.share!r}: must be a number between 0 and 1")
        if not self.specs.training.learning_rate.values > 0.0:
            raise SpecError(
                "training.learning_rate.values: is 0: values that do not learn run no race"
            )
        if not self.cast.others and "reach" in self.parts:
            raise SpecError(
                f"scenario: gaming pays in every context of {self.specs.scenario.name!r}, so there "
                "is none for it to reach; leave out the part 'reach'"
            )

    @cached_property
    def cast(self) -> ContextRoles:
        """Which part each context plays."""
        return cast_of(self.specs)

    @property
    def steps(self) -> int:
        """How long training lasts."""
        return self.specs.training.steps

    def plan(self, part: str) -> Plan:
        """Return the runs of a part, checked.

        Raises:
            SpecError: One of them would be refused.
        """
        make: dict[str, Callable[[], list[Part]]] = {
            "reach": self._reach,
            "race": self._race,
            "outlive": self._outlive,
        }
        record = "curves" if part == "outlive" else "summary"
        return make_plan(make[part](), record=record, engine=self.engine)

    def _reach(self) -> list[Part]:
        specs = self.specs._replace(scenario=_by_pairs(self.specs))
        similarities = np.linspace(0.0, 1.0, min(self.points, _SIMILARITIES))
        pairs = [(a, b) for a in self.cast.paying for b in self.cast.others]
        keys = [similarity_key(a, b) for x, y in pairs for a, b in ((x, y), (y, x))]
        spreads = Grid({SPREAD_KEY: np.linspace(0.0, 1.0, self.points)})
        design = Product(Zip(dict.fromkeys(keys, similarities)), spreads)
        return [
            self._part(
                design,
                _RECORDS,
                specs=specs,
                choices={
                    RULE_KEY: rule,
                    STEPS_KEY: longer * self.steps,
                    RATE_KEY.format("habit"): faster * self.specs.training.learning_rate.habit,
                },
            )
            for rule in RULES
            for longer, faster in CASES
        ]

    def _race(self) -> list[Part]:
        rates = self._ratios(min(self.points, _RATIOS)) * self._values_rate
        awareness = self._awareness(self.points)
        return [
            self._part(
                Grid(
                    {
                        CREDIT_KEY: RACE_CREDITS,
                        RATE_KEY.format(moved): rates,
                        AWARENESS_KEY: awareness,
                    }
                ),
                _RECORDS,
            )
            for moved in MOVED
        ]

    def _outlive(self) -> list[Part]:
        rates = self._ratios(min(self.points, _FEW_RATIOS)) * self._values_rate
        design = Grid(
            {
                CREDIT_KEY: CREDITS,
                LEAK_KEY: LEAKS,
                RATE_KEY.format("habit"): rates,
                AWARENESS_KEY: self._awareness(min(self.points, _FEW_AWARENESSES)),
            }
        )
        return [self._part(design, _FEW_RECORDS, choices={RULE_KEY: rule}) for rule in RULES]

    def _part(
        self,
        design: Design,
        records: int,
        *,
        specs: Specs | None = None,
        choices: Mapping[str, Any] | None = None,
    ) -> Part:
        choices = choices or {}
        changed = apply_overrides(specs or self.specs, choices)
        return Part(
            specs=with_first_point(changed, design),
            design=design,
            seeds=tuple(range(self.seeds)),
            record_every=max(1, changed.training.steps // records),
            choices=choices,
        )

    @property
    def _values_rate(self) -> float:
        return self.specs.training.learning_rate.values

    def _ratios(self, points: int) -> Array:
        return self.ratio.stretch(np.linspace(0.0, 1.0, points))

    def _awareness(self, points: int) -> Array:
        return self.awareness.stretch(np.linspace(0.0, 1.0, points))


def similarity_key(a: str, b: str) -> str:
    """Return the key of the similarity of two contexts, as it is said for the first of them."""
    return f"scenario.similarity.{a}.{b}"


def _by_pairs(specs: Specs) -> Any:
    """Return the scenario with its similarity said by names, so that pairs can be moved."""
    scenario = specs.scenario
    if not isinstance(scenario.similarity, tuple):
        return scenario
    names = list(scenario.contexts)
    named = {
        a: dict(zip(names, row, strict=True))
        for a, row in zip(names, scenario.similarity, strict=True)
    }
    return scenario.replace(similarity=named)


def outcomes(strength: ArrayLike, gaming_rate: ArrayLike, *, share: float) -> NDArray[np.intp]:
    """Return what became of a value and of gaming, as an index of `OUTCOMES`.

    Args:
        strength: The value at the end, in units of what it was at the start.
        gaming_rate: At the end, where the value is contested.
        share: Kept from here on, lost below; gaming counts from `sim.dynamics.measures.GAMED` on.
    """
    lost = np.asarray(strength, np.float64) < share
    gaming = np.asarray(gaming_rate, np.float64) >= GAMED
    return np.asarray(2 * lost + ~gaming, np.intp)
