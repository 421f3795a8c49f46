"""Takeover after training: P(success) by factors, and who attempts (MODEL.md section 6)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc

from sim.dynamics.state import Array
from sim.result import Result
from sim.specs.deployment import Deployment
from sim.specs.errors import SpecError
from sim.specs.intervention import apply_after_training, read_interventions
from sim.specs.oversight import STEP_CAPABILITIES, Oversight
from sim.specs.scenario import Scenario

# ------------------------------------------------------------------------------------- equations


def pass_probability(capability: ArrayLike, *, strength: ArrayLike, encounters: ArrayLike) -> Array:
    """Return the probability of passing a step of oversight, (1 − o (1 − k))^n.

    That is with capability k, in n encounters of strength o: the probability that one of them finds
    what no capability hides.
    """
    miss = 1.0 - np.asarray(strength) * (1.0 - np.asarray(capability))
    return np.asarray(miss ** np.asarray(encounters))


def consistency_probability(slip: ArrayLike, encounters: ArrayLike) -> Array:
    """Return the probability that every answer which is seen looks best, Π_c (1 − slip_c)^{n_c}.

    Slip [..., C] is that of a response that does not look best; n_c [C] answers are seen.
    """
    return np.asarray(((1.0 - np.asarray(slip)) ** np.asarray(encounters)).prod(axis=-1))


def quorum_probability(coordination: ArrayLike, *, copies: int, needed: int) -> Array:
    """Return P(X >= needed) for X binomial: enough of M copies act, each with probability k.

    The probability is k_coordination, and `needed` is ⌈quorum · M⌉, from 1 to M. A single copy
    needs no coordination, and acts.
    """
    chance = np.asarray(coordination, np.float64)
    if copies == 1:
        return np.ones_like(chance)
    return np.asarray(betainc(needed, copies - needed + 1, chance))


def required_success(caution: ArrayLike) -> Array:
    """Return the bar that P(success) must exceed for an attempt, caution / (1 + caution)."""
    cost = np.asarray(caution)
    return np.asarray(cost / (1.0 + cost))


def attempts(gain: ArrayLike, success: ArrayLike, *, caution: ArrayLike) -> NDArray[np.bool_]:
    """Return whether an agent attempts a takeover: gain > 0, P(success) > caution / (1 + caution).

    Gain is what acting freely is worth more than acting as trained (nan where nothing can be gained
    anywhere); caution is the cost of a failure in units of what a success is worth.
    """
    bold = np.asarray(success) > required_success(caution)
    return np.asarray((np.asarray(gain) > 0.0) & bold)


# ------------------------------------------------------------------------------- specs, results


def read_oversight(
    oversight: Oversight | Mapping[str, object] | None, scenario: Scenario
) -> Oversight:
    """Return validated oversight, the default if None, checked against a scenario (SpecError)."""
    oversight = Oversight.parse({} if oversight is None else oversight, path="oversight")
    oversight.check(scenario)
    return oversight


def read_deployment(
    deployment: Deployment | Mapping[str, object] | None, scenario: Scenario
) -> Deployment:
    """Return validated deployment, the default if None, checked against a scenario (SpecError)."""
    deployment = Deployment.parse({} if deployment is None else deployment, path="deployment")
    deployment.shares(scenario)
    return deployment


def after_training(
    result: Result,
    *,
    oversight: Oversight | Mapping[str, object] | None = None,
    deployment: Deployment | Mapping[str, object] | None = None,
) -> tuple[Oversight, Deployment]:
    """Return oversight and deployment, the defaults if None, under the interventions of a run.

    Not to be called on its own output: what an intervention scales would be scaled again. What does
    not fit the scenario, or becomes what it must not be, is refused (SpecError).
    """
    scenario = Scenario.parse(result.provenance["scenario"], path="scenario")
    return apply_after_training(
        read_interventions(result.provenance.get("interventions")),
        oversight=read_oversight(oversight, scenario),
        deployment=read_deployment(deployment, scenario),
    )


def moment(result: Result, step: int | None) -> xr.Dataset:
    """Return the record of a result at a recorded step (SpecError); the last one if None."""
    steps = result.data["step"].values
    if step is None:
        return result.data.isel(step=-1)
    if step not in steps:
        raise SpecError(f"step: got {step}: was not recorded; the last is {steps[-1]}")
    return result.data.sel(step=step)


def takeover_probability(
    result: Result,
    *,
    oversight: Oversight | Mapping[str, object] | None = None,
    deployment: Deployment | Mapping[str, object] | None = None,
    step: int | None = None,
) -> xr.Dataset:
    """Return each agent's probability of a successful takeover, by factors, and its attempts.

    Interventions of the run on oversight and deployment act on the arguments, or on the defaults.
    What does not fit the scenario, or was not recorded, is refused (SpecError).

    Args:
        result: A run.
        oversight: What stands in the way; the defaults of `sim.Oversight` if None.
        deployment: What a takeover needs; the defaults of `sim.Deployment` if None.
        step: The recorded step at which training ends; the last if None.

    Returns:
        Over agents: `pass` [agent, faced], the probability of passing each step of oversight as
        often as it is faced; `stick`, of sticking to the plan before deployment; `quorum`, that
        enough copies act at once; `success`, the product of all these; `gain`, what acting freely
        is worth more than acting as trained, over the deployment mix (nan: nothing subversive can
        be done anywhere); `attempts`. A finding that is ignored stops nobody: its factor is 1.
    """
    scenario = Scenario.parse(result.provenance["scenario"], path="scenario")
    oversight, deployment = after_training(result, oversight=oversight, deployment=deployment)
    return prospects_at(moment(result, step), scenario, oversight=oversight, deployment=deployment)


#: The public name, `sim.prospects`.
prospects = takeover_probability


def prospects_at(
    record: xr.Dataset, scenario: Scenario, *, oversight: Oversight, deployment: Deployment
) -> xr.Dataset:
    """Return `takeover_probability` from one record, under no interventions.

    The record has `capabilities` [agent, capability], `slip` and `temptation` [agent, context];
    oversight and deployment have been checked against the scenario.
    """
    capabilities = record["capabilities"]
    passing = {
        name: pass_probability(
            capabilities.sel(capability=capability).values,
            strength=oversight.step(name).strength,
            encounters=oversight.step(name).encounters,
        )
        for name, capability in STEP_CAPABILITIES.items()
    }
    counts = oversight.inspections(scenario)
    consistency = consistency_probability(
        record["slip"].sel(context=list(counts)).values, list(counts.values())
    )
    together = quorum_probability(
        capabilities.sel(capability="coordination").values,
        copies=deployment.copies,
        needed=deployment.needed,
    )
    success = together.copy()
    if oversight.inspection.when_found != "ignore":
        success *= consistency
    for name, probability in passing.items():
        if oversight.step(name).when_found != "ignore":
            success *= probability
    gain = _gain(record["temptation"], deployment.shares(scenario))
    return xr.Dataset(
        {
            "pass": (("agent", "faced"), np.stack(list(passing.values()), axis=-1)),
            "stick": ("agent", consistency),
            "quorum": ("agent", together),
            "success": ("agent", success),
            "gain": ("agent", gain),
            "attempts": ("agent", attempts(gain, success, caution=deployment.caution)),
        },
        coords={"agent": record["agent"].values, "faced": list(passing)},
    )


def _gain(temptation: xr.DataArray, shares: Mapping[str, float]) -> Array:
    """Return Σ_c share_c max(temptation_c, 0) [agent]; nan where nothing tempts anywhere."""
    by_context = temptation.sel(context=list(shares)).values
    defined = np.isfinite(by_context)
    positive = np.where(defined, by_context, 0.0).clip(min=0.0)
    total: Array = (positive * list(shares.values())).sum(axis=1)
    return np.where(defined.any(axis=1), total, np.nan)
