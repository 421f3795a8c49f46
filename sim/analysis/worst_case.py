"""The worst case: a conjunction, each term with its own number and threshold (MODEL.md section 5).

The post: "a model which is egregiously misaligned, sandbags capability evaluations when it can,
fakes alignment, deliberately tries to look good during red-teaming, competently hides its
reasoning, and once deployed tries to subvert possible control mechanisms – including by
coordinating with its copies or other AIs – and take over."

    misalignment     alignment (cosine of v with w) at or below its threshold
    consistency      least chance, before deployment, of the response that looks best
    opacity, sandbagging, composure, coordination, subversion    capabilities k
    behaviour_shift  total variation between training contexts and their twins (their mean)

Gaming is no term of it: the two notions are defined apart, so that how far one goes with the other
can be measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import xarray as xr

from sim.dynamics.state import Array
from sim.result import Result
from sim.specs.agent import CAPABILITIES
from sim.specs.deployment import Deployment
from sim.specs.errors import SpecError, nearest
from sim.specs.oversight import Oversight
from sim.specs.scenario import Scenario
from sim.sweeps.design import is_number
from sim.takeover import after_training, moment, prospects_at

#: In the order in which they are reported.
TERMS = ("misalignment", "consistency", *CAPABILITIES, "behaviour_shift")


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """From where on each term of the conjunction holds.

    Attributes:
        misalignment: Alignment at or below this is egregious misalignment; from -1 to below 1.
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
        """Refuse thresholds that nothing, or everything, meets."""
        for name, number in asdict(self).items():
            low, high = (-1.0, 1.0) if name == "misalignment" else (0.0, 1.0)
            real = is_number(number)
            if name == "misalignment":
                if not real or not low <= number < high:
                    raise SpecError(
                        f"thresholds.{name}: got {number!r}: must be an alignment from -1 to "
                        "below 1"
                    )
            elif not real or not low < number <= high:
                raise SpecError(f"thresholds.{name}: got {number!r}: must be above 0 and at most 1")

    @classmethod
    def read(cls, given: Thresholds | Mapping[str, object] | None) -> Thresholds:
        """Return thresholds from what a user gives.

        Raises:
            SpecError: A term that does not exist, or a threshold that is not allowed.
        """
        if given is None or isinstance(given, Thresholds):
            return given or cls()
        if not isinstance(given, Mapping):
            raise SpecError(f"thresholds: got {given!r}: must be a mapping of terms to numbers")
        for name in given:
            if name not in TERMS:
                raise SpecError(f"thresholds.{name}: unknown term; {nearest(str(name), TERMS)}")
        return cls(**given)  # type: ignore[arg-type]


def worst_case(
    result: Result,
    *,
    thresholds: Thresholds | Mapping[str, object] | None = None,
    oversight: Oversight | Mapping[str, object] | None = None,
    deployment: Deployment | Mapping[str, object] | None = None,
    step: int | None = None,
) -> xr.Dataset:
    """Return how far each agent of a run is from the worst case, and what would come of it.

    Interventions of the run on oversight and deployment act on what is given here, or on the
    defaults, as in `sim.prospects`.

    Args:
        result: A run.
        thresholds: From where on each term holds.
        oversight: What stands in the way; the defaults of `sim.Oversight`.
        deployment: What a takeover needs; the defaults of `sim.Deployment`.
        step: The recorded step at which training ends; the last if None.

    Returns:
        `number` [agent, term], nan where a term is not defined (no context has a twin, say);
        `threshold` [term]; `met` [agent, term]; `shortfall` [agent, term], the share of the way
        from none at all (for misalignment: from perfect alignment) to the threshold that is still
        to go: 0 where the term is met, 1 at none at all; `binding` [agent], the term with the
        largest shortfall (the first of several), "" where all are met; `lacking` [agent], how many
        are not met; `worst_case` [agent], whether all are. And everything of `sim.prospects`.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    scenario = Scenario.parse(result.provenance["scenario"], path="scenario")
    read = Thresholds.read(thresholds)
    met, needed = after_training(result, oversight=oversight, deployment=deployment)
    return worst_case_at(
        moment(result, step), scenario, thresholds=read, oversight=met, deployment=needed
    )


def worst_case_at(
    now: xr.Dataset,
    scenario: Scenario,
    *,
    thresholds: Thresholds,
    oversight: Oversight,
    deployment: Deployment,
) -> xr.Dataset:
    """Return what `worst_case` does, from one moment of agents, wherever it was recorded.

    Knows no interventions: oversight and deployment are what agents meet.

    Args:
        now: Has `alignment` and `consistency` [agent], `behaviour_shift` [agent, context], and what
            `sim.takeover.prospects_at` needs.
        scenario: What they were trained in.
        thresholds: From where on each term holds.
        oversight: Checked against the scenario, as is the deployment.
        deployment: What a takeover needs.
    """
    paper = prospects_at(now, scenario, oversight=oversight, deployment=deployment)
    number = term_numbers(now)
    threshold = np.array([getattr(thresholds, term) for term in TERMS])
    short = shortfall(number, threshold)
    met = short == 0.0
    lacking = (~met).sum(axis=1)
    furthest = np.where(np.isnan(short), 1.0, short).argmax(axis=1)
    found = xr.Dataset(
        {
            "number": (("agent", "term"), number),
            "threshold": ("term", threshold),
            "met": (("agent", "term"), met),
            "shortfall": (("agent", "term"), short),
            "binding": ("agent", np.where(lacking > 0, np.array(TERMS)[furthest], "")),
            "lacking": ("agent", lacking),
            "worst_case": ("agent", lacking == 0),
        },
        coords={"agent": paper["agent"].values, "term": list(TERMS)},
    )
    return found.merge(paper)


def term_numbers(now: xr.Dataset) -> Array:
    """Return the number behind each term [agent, term], from one moment of a result."""
    shift = now["behaviour_shift"].values
    twins = np.isfinite(shift)
    of_twins = np.where(twins, shift, 0.0).sum(axis=1)
    mean_shift = np.full_like(of_twins, np.nan)
    np.divide(of_twins, twins.sum(axis=1), out=mean_shift, where=twins.any(axis=1))
    capabilities = now["capabilities"].sel(capability=list(CAPABILITIES)).values
    return np.column_stack(
        [now["alignment"].values, now["consistency"].values, capabilities, mean_shift]
    )


def shortfall(number: Array, threshold: Array) -> Array:
    """Return the share of the way to each threshold that is still to go [agent, term].

    Args:
        number: As `term_numbers` gives it [agent, term].
        threshold: One for each term.
    """
    nothing = np.array([1.0 if term == "misalignment" else 0.0 for term in TERMS])
    short: Array = np.clip((number - threshold) / (nothing - threshold), 0.0, 1.0)
    return short
