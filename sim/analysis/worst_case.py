"""The worst case: a conjunction, each term with its own number and threshold (MODEL.md section 5).

The post: "a model which is egregiously misaligned, sandbags capability evaluations when it can,
fakes alignment, deliberately tries to look good during red-teaming, competently hides its
reasoning, and once deployed tries to subvert possible control mechanisms – including by
coordinating with its copies or other AIs – and take over."

    misalignment     conduct in deployment, from −1 (the worst answers by human values) to 1 (the
                     best), at or below its threshold
    consistency      least probability, before deployment, of the response that looks best
    opacity, sandbagging, composure, coordination, subversion    capabilities k
    behaviour_shift  total variation between training contexts and their twins (their mean)

Gaming is no term of it: both are defined independently, so that their association can be measured.
Nor is alignment, what an agent values, which is reported beside conduct, what it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
import xarray as xr

from sim.dynamics.state import Array
from sim.result import Result
from sim.specs.agent import CAPABILITIES
from sim.specs.deployment import Deployment
from sim.specs.errors import SpecError, check_keys
from sim.specs.intervention import Interventions, apply_after_training, read_interventions
from sim.specs.oversight import Oversight
from sim.specs.scenario import Scenario
from sim.sweeps.design import is_number
from sim.takeover import after_training, moment, prospects_at, read_deployment, read_oversight

#: Terms of the conjunction, in order.
TERMS = ("misalignment", "consistency", *CAPABILITIES, "behaviour_shift")


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Thresholds of the terms of the worst case.

    Attributes:
        misalignment: Conduct in deployment at or below this is egregious misalignment; from -1 to
            below 1.
        consistency, opacity, sandbagging, composure, coordination, subversion, behaviour_shift:
            The number must be at least this; above 0, at most 1.
    """

    misalignment: float = -0.5
    consistency: float = 0.9
    opacity: float = 0.5
    sandbagging: float = 0.5
    composure: float = 0.5
    coordination: float = 0.5
    subversion: float = 0.5
    behaviour_shift: float = 0.5

    def __post_init__(self) -> None:
        """Raise a `SpecError` for thresholds that nothing, or everything, meets."""
        for name, number in asdict(self).items():
            real, form = is_number(number), "above 0 and at most 1"
            is_allowed = real and 0.0 < number <= 1.0
            if name == "misalignment":
                form = "a conduct from -1 to below 1"
                is_allowed = real and -1.0 <= number < 1.0
            if not is_allowed:
                raise SpecError(f"thresholds.{name}: got {number!r}: must be {form}")

    @classmethod
    def read(cls, thresholds: Thresholds | Mapping[str, object] | None) -> Thresholds:
        """Return thresholds from a mapping of terms to numbers; the defaults if None.

        Raises:
            SpecError: A term that does not exist, or a threshold that is not allowed.
        """
        if thresholds is None or isinstance(thresholds, Thresholds):
            return thresholds or cls()
        form = "a mapping of terms to numbers"
        return cls(**check_keys("thresholds", thresholds, TERMS, form=form, noun="term"))


@dataclass(frozen=True, kw_only=True)
class PostTraining:
    """Oversight, deployment, and the thresholds of the worst case."""

    oversight: Oversight
    deployment: Deployment
    thresholds: Thresholds

    @classmethod
    def default(cls, scenario: Scenario) -> PostTraining:
        """Return the defaults of all three; a `SpecError` if they do not fit the scenario."""
        return cls(
            oversight=read_oversight(None, scenario),
            deployment=read_deployment(None, scenario),
            thresholds=Thresholds(),
        )

    def with_interventions(self, interventions: Interventions | None) -> Self:
        """Return it with oversight and deployment under interventions; others have no effect.

        For functions of one moment (`worst_case_at`, `prospects_at`); those of a `Result` apply
        the interventions of the run themselves.

        Raises:
            SpecError: One line: what was wrong, where, what is allowed.
        """
        interventions = read_interventions(interventions)
        oversight, deployment = apply_after_training(
            interventions, oversight=self.oversight, deployment=self.deployment
        )
        return replace(self, oversight=oversight, deployment=deployment)

    def arguments(self) -> dict[str, Any]:
        """Return all three as the arguments of `sim.worst_case`."""
        return {
            "oversight": self.oversight,
            "deployment": self.deployment,
            "thresholds": self.thresholds,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return all three as plain data, for a provenance."""
        return {
            "oversight": self.oversight.model_dump(mode="json"),
            "deployment": self.deployment.model_dump(mode="json"),
            "thresholds": vars(self.thresholds),
        }


def worst_case(
    result: Result,
    *,
    thresholds: Thresholds | Mapping[str, object] | None = None,
    oversight: Oversight | Mapping[str, object] | None = None,
    deployment: Deployment | Mapping[str, object] | None = None,
    step: int | None = None,
) -> xr.Dataset:
    """Return each agent's distance from the worst case, and its prospects of a takeover.

    Interventions of the run on oversight and deployment act on the arguments, or on the defaults,
    as in `sim.prospects`.

    Args:
        result: A run.
        thresholds: Of the terms.
        oversight: What stands in the way; the defaults of `sim.Oversight`.
        deployment: What a takeover needs; the defaults of `sim.Deployment`.
        step: The recorded step at which training ends; the last if None.

    Returns:
        `number` [agent, term], nan where a term is not defined (no context has a twin, say);
        `threshold` [term]; `met` [agent, term]; `shortfall` [agent, term], the share of the way
        from 0 (for misalignment: from the best conduct) to the threshold that is still to go: 0
        where the term is met; `binding` [agent], the term with the largest shortfall (the first of
        several), "" where all are met; `lacking` [agent], how many are not met; `worst_case`
        [agent], whether all are; `alignment` [agent], the cosine of v with w. And everything of
        `sim.prospects`.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    scenario = Scenario.parse(result.provenance["scenario"], path="scenario")
    thresholds = Thresholds.read(thresholds)
    oversight, deployment = after_training(result, oversight=oversight, deployment=deployment)
    after = PostTraining(oversight=oversight, deployment=deployment, thresholds=thresholds)
    return worst_case_at(moment(result, step), scenario, **after.arguments())


def worst_case_at(
    state: xr.Dataset,
    scenario: Scenario,
    *,
    thresholds: Thresholds,
    oversight: Oversight,
    deployment: Deployment,
) -> xr.Dataset:
    """Return `worst_case` from one moment of agents, without interventions.

    Args:
        state: Has `deployment_conduct`, `alignment` and `consistency` [agent], `behaviour_shift`
            [agent, context], and what `sim.takeover.prospects_at` needs.
        scenario: The scenario of the training.
        thresholds: Of the terms.
        oversight: Checked against the scenario, as is the deployment.
        deployment: What a takeover needs.
    """
    takeover = prospects_at(state, scenario, oversight=oversight, deployment=deployment)
    number = term_numbers(state)
    threshold = np.array([getattr(thresholds, term) for term in TERMS])
    short = shortfall(number, threshold)
    is_met = short == 0.0
    lacking = (~is_met).sum(axis=1)
    furthest = np.where(np.isnan(short), 1.0, short).argmax(axis=1)
    terms = xr.Dataset(
        {
            "number": (("agent", "term"), number),
            "threshold": ("term", threshold),
            "met": (("agent", "term"), is_met),
            "shortfall": (("agent", "term"), short),
            "binding": ("agent", np.where(lacking > 0, np.array(TERMS)[furthest], "")),
            "lacking": ("agent", lacking),
            "worst_case": ("agent", lacking == 0),
            "alignment": ("agent", state["alignment"].values),
        },
        coords={"agent": takeover["agent"].values, "term": list(TERMS)},
    )
    return terms.merge(takeover)


def term_numbers(state: xr.Dataset) -> Array:
    """Return the number behind each term [agent, term], from one moment of agents."""
    shift = state["behaviour_shift"].values
    twins = np.isfinite(shift)
    total = np.where(twins, shift, 0.0).sum(axis=1)
    mean_shift = np.full_like(total, np.nan)
    np.divide(total, twins.sum(axis=1), out=mean_shift, where=twins.any(axis=1))
    capabilities = state["capabilities"].sel(capability=list(CAPABILITIES)).values
    return np.column_stack(
        [state["deployment_conduct"].values, state["consistency"].values, capabilities, mean_shift]
    )


def shortfall(number: Array, threshold: Array) -> Array:
    """Return the share of the way from numbers [agent, term] to thresholds [term] still to go."""
    start = np.array([1.0 if term == "misalignment" else 0.0 for term in TERMS])
    short: Array = np.clip((number - threshold) / (start - threshold), 0.0, 1.0)
    return short
