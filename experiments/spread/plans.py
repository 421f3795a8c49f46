"""The settings of the study of spread, and the sweeps of its three parts.

A value is *lost* if its strength is below a stated share of that at the start, and *reversed* if
its sign has changed. The parts are in `spillover` (reach), `learning_rate_competition` (race) and
`persistence` (outlive).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from sim.analysis.context_roles import ContextRoles, context_roles
from sim.cli.fields import Engine, Interval, OneOrMore, Real, Spec, Store
from sim.dynamics.measures import GAMED
from sim.dynamics.state import Array
from sim.specs.errors import SpecError
from sim.specs.overrides import Specs, apply_overrides
from sim.sweeps.design import Design, Grid, Product, Range, Zip
from sim.sweeps.plan import Part, Plan, make_plan
from sim.sweeps.sweep import with_first_point

#: Fates of a value and of gaming, in the order of `outcomes`.
OUTCOMES = ("kept, gaming", "kept, no gaming", "lost, gaming", "lost, no gaming")
RULES = {"policy_gradient": "plain gradient", "natural_gradient": "natural gradient"}
#: Of `reach`: factors on the steps of training and on the learning rate of habit.
CASES = ((1, 1), (4, 1), (4, 10))
#: Parameters with a varied learning rate in the race.
COMPETITORS = ("habit", "awareness")
CREDITS = (0.0, 0.5, 1.0)
#: Of the race: without credit for motives, and with all of it, as of the exact gradient.
RACE_CREDITS = (0.0, 1.0)
LEAKS = (0.0, 0.1, 0.3, 1.0)

#: Settings that the parts vary.
GENERALISATION_KEY, SIMILARITY_KEY = "training.generalisation.habit", "scenario.similarity.{}.{}"
RATE_KEY, AWARENESS_KEY = "training.learning_rate.{}", "agent.initial.awareness"
RULE_KEY, STEPS_KEY = "training.update_rule", "training.steps"
CREDIT_KEY, LEAK_KEY = "training.motive_credit", "training.leak"

#: Maximum of levels of the axes that no figure has across.
_SIMILARITIES, _RATIOS, _FEW_RATIOS, _FEW_AWARENESSES = 6, 13, 4, 8
_RECORDS, _FEW_RECORDS = 100, 50


class Settings(Spec):
    """The study's own keys; their meaning and defaults are in config.yaml."""

    parts: Annotated[OneOrMore[Literal["reach", "race", "outlive"]], Field(min_length=1)]
    points: Annotated[int, Field(ge=2, le=201, strict=True)]
    seeds: Annotated[int, Field(ge=2, le=4096, strict=True)]
    share: Annotated[Real, Field(gt=0.0, lt=1.0)]
    awareness: Interval
    ratio: Interval
    engine: Engine
    store: Store


@dataclass(frozen=True)
class StudyDesign:
    """The sweeps of a scenario by the study's settings."""

    specs: Specs
    settings: Settings

    @cached_property
    def roles(self) -> ContextRoles:
        """Contexts in which gaming pays, and the others."""
        return context_roles(self.specs)

    def plan(self, part: str) -> Plan:
        """Return the checked runs of a part.

        Raises:
            SpecError: One of them would be refused, or the scenario cannot be studied.
        """
        if not self.specs.training.learning_rate.values > 0.0:
            raise SpecError("training.learning_rate.values: is 0: values must learn")
        runs = {"reach": self._reach, "race": self._race, "outlive": self._outlive}[part]()
        record = "curves" if part == "outlive" else "summary"
        return make_plan(runs, record=record, engine=self.settings.engine)

    def _reach(self) -> list[Part]:
        if not self.roles.not_paying:
            raise SpecError(
                f"scenario: gaming pays in every context of {self.specs.scenario.name!r}, so there "
                "is none for it to reach; leave out the part 'reach'"
            )
        specs = self.specs._replace(scenario=_similarity_by_name(self.specs))
        pairs = [(a, b) for a in self.roles.paying for b in self.roles.not_paying]
        keys = [SIMILARITY_KEY.format(*pair) for x, y in pairs for pair in ((x, y), (y, x))]
        similarities = Zip(dict.fromkeys(keys, self._shares(_SIMILARITIES)))
        design = Product(
            similarities, Grid({GENERALISATION_KEY: self._shares(self.settings.points)})
        )
        training = specs.training
        return [
            self._part(
                design,
                _RECORDS,
                specs=specs,
                choices={
                    RULE_KEY: rule,
                    STEPS_KEY: longer * training.steps,
                    RATE_KEY.format("habit"): faster * training.learning_rate.habit,
                },
            )
            for rule in RULES
            for longer, faster in CASES
        ]

    def _race(self) -> list[Part]:
        rates, awareness = self._rates(_RATIOS), self._awareness(self.settings.points)
        grids: list[dict[str, Iterable[float]]] = [
            {CREDIT_KEY: RACE_CREDITS, RATE_KEY.format(name): rates, AWARENESS_KEY: awareness}
            for name in COMPETITORS
        ]
        return [self._part(Grid(grid), _RECORDS) for grid in grids]

    def _outlive(self) -> list[Part]:
        design = Grid(
            {
                CREDIT_KEY: CREDITS,
                LEAK_KEY: LEAKS,
                RATE_KEY.format("habit"): self._rates(_FEW_RATIOS),
                AWARENESS_KEY: self._awareness(_FEW_AWARENESSES),
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
        varied_specs = apply_overrides(specs or self.specs, choices)
        return Part(
            specs=with_first_point(varied_specs, design),
            design=design,
            seeds=tuple(range(self.settings.seeds)),
            record_every=max(1, varied_specs.training.steps // records),
            choices=choices,
        )

    def _rates(self, maximum: int) -> Array:
        ratios = Range.read((*self.settings.ratio, "log"), "ratio")
        return ratios.stretch(self._shares(maximum)) * self.specs.training.learning_rate.values

    def _awareness(self, maximum: int) -> Array:
        awareness = Range.read(self.settings.awareness, "awareness")
        return awareness.stretch(self._shares(maximum))

    def _shares(self, maximum: int) -> Array:
        return np.linspace(0.0, 1.0, min(self.settings.points, maximum))


def _similarity_by_name(specs: Specs) -> Any:
    """Return the scenario with its similarity by names, so that pairs can be varied."""
    scenario = specs.scenario
    if not isinstance(scenario.similarity, tuple):
        return scenario
    names = list(scenario.contexts)
    rows = zip(names, scenario.similarity, strict=True)
    return scenario.replace(similarity={a: dict(zip(names, row, strict=True)) for a, row in rows})


def outcomes(strength: ArrayLike, gaming_rate: ArrayLike, *, share: float) -> NDArray[np.intp]:
    """Return the fates of a value and of gaming at the end, as indices of `OUTCOMES` [n].

    The value, in units of its start, is kept from `share` on; gaming counts from `GAMED` on.
    """
    is_lost = np.asarray(strength, np.float64) < share
    gaming = np.asarray(gaming_rate, np.float64) >= GAMED
    return np.asarray(2 * is_lost + ~gaming, np.intp)
