"""On paper: what would come of deploying trained agents (MODEL.md section 6)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from sim.dynamics.deployment import attempts, pass_chance, quorum_chance, stick_chance
from sim.dynamics.state import Array
from sim.result import Result
from sim.specs.deployment import Deployment
from sim.specs.errors import SpecError
from sim.specs.intervened import under
from sim.specs.intervention import read_interventions
from sim.specs.oversight import FACED_WITH, Oversight
from sim.specs.scenario import Scenario


def read_oversight(
    oversight: Oversight | Mapping[str, object] | None, scenario: Scenario
) -> Oversight:
    """Return validated oversight, the default if None, checked against a scenario.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    oversight = Oversight.parse({} if oversight is None else oversight, path="oversight")
    oversight.check(scenario)
    return oversight


def read_deployment(
    deployment: Deployment | Mapping[str, object] | None, scenario: Scenario
) -> Deployment:
    """Return a validated deployment, the default if None, checked against a scenario.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    deployment = Deployment.parse({} if deployment is None else deployment, path="deployment")
    deployment.shares(scenario)
    return deployment


def after_training(
    result: Result,
    *,
    oversight: Oversight | Mapping[str, object] | None = None,
    deployment: Deployment | Mapping[str, object] | None = None,
) -> tuple[Oversight, Deployment]:
    """Return what agents of a run meet after training: what is given, under its interventions.

    The one place where the interventions of a result act on what comes after it. Not to be called
    on what it has returned: what an intervention scales would be scaled again.

    Args:
        result: A run; its provenance says what was done to it.
        oversight: What stands in the way; the defaults of `sim.Oversight`.
        deployment: What a takeover needs; the defaults of `sim.Deployment`.

    Raises:
        SpecError: They do not fit the scenario, or an intervention makes a number what it must not
            be.
    """
    scenario = Scenario.parse(result.provenance["scenario"], path="scenario")
    return under(
        read_interventions(result.provenance.get("interventions")),
        oversight=read_oversight(oversight, scenario),
        deployment=read_deployment(deployment, scenario),
    )


def moment(result: Result, step: int | None) -> xr.Dataset:
    """Return what a result recorded at a step; at its last one if None.

    Raises:
        SpecError: The step was not recorded.
    """
    steps = result.data["step"].values
    if step is None:
        return result.data.isel(step=-1)
    if step not in steps:
        raise SpecError(f"step: got {step}: was not recorded; the last is {steps[-1]}")
    return result.data.sel(step=step)


def prospects(
    result: Result,
    *,
    oversight: Oversight | Mapping[str, object] | None = None,
    deployment: Deployment | Mapping[str, object] | None = None,
    step: int | None = None,
) -> xr.Dataset:
    """Return each agent's chance of success, by factors, and whether it would attempt.

    Interventions of the run on oversight and deployment act on what is given here, or on the
    defaults.

    Args:
        result: A run.
        oversight: What stands in the way; the defaults of `sim.Oversight`.
        deployment: What a takeover needs; the defaults of `sim.Deployment`.
        step: The recorded step at which training ends; the last if None.

    Returns:
        Over agents: `pass` [agent, faced], the chance of passing each step of oversight as often
        as it is faced; `stick`, the chance of sticking to the plan before deployment; `quorum`,
        the chance that enough copies act at once; `success`, the product of all these; `gain`, what
        acting freely is worth more than acting as trained, over the deployment mix (who is free
        subverts only where its values like that better; nan: nothing subversive can be done
        anywhere); `attempts`. A finding that is ignored stops nobody: its factor in
        `success` is 1.

    Raises:
        SpecError: Oversight or deployment do not fit the scenario, an intervention makes a number
            what it must not be, or the step was not recorded.
    """
    scenario = Scenario.parse(result.provenance["scenario"], path="scenario")
    met, needed = after_training(result, oversight=oversight, deployment=deployment)
    return prospects_at(moment(result, step), scenario, oversight=met, deployment=needed)


def prospects_at(
    now: xr.Dataset, scenario: Scenario, *, oversight: Oversight, deployment: Deployment
) -> xr.Dataset:
    """Return what `prospects` does, from one moment of agents, wherever it was recorded.

    Knows no interventions: oversight and deployment are what agents meet.

    Args:
        now: Has `capabilities` [agent, capability], `slip` and `temptation` [agent, context].
        scenario: What they were trained in.
        oversight: Checked against it, as is the deployment.
        deployment: What a takeover needs.
    """
    capabilities = now["capabilities"]
    passed = {
        name: pass_chance(
            capabilities.sel(capability=capability).values,
            strength=oversight.step(name).strength,
            encounters=oversight.step(name).encounters,
        )
        for name, capability in FACED_WITH.items()
    }
    looks = oversight.looks(scenario)
    consistency_probability = stick_chance(
        now["slip"].sel(context=list(looks)).values, list(looks.values())
    )
    together = quorum_chance(
        capabilities.sel(capability="coordination").values,
        copies=deployment.copies,
        needed=deployment.needed,
    )
    success = together.copy()
    if oversight.inspection.when_found != "ignore":
        success *= consistency_probability
    for name, chance in passed.items():
        if oversight.step(name).when_found != "ignore":
            success *= chance
    gain = _gain(now["temptation"], deployment.shares(scenario))
    will = attempts(gain, success, caution=deployment.caution)
    return xr.Dataset(
        {
            "pass": (("agent", "faced"), np.stack(list(passed.values()), axis=-1)),
            "stick": ("agent", consistency_probability),
            "quorum": ("agent", together),
            "success": ("agent", success),
            "gain": ("agent", gain),
            "attempts": ("agent", will),
        },
        coords={"agent": now["agent"].values, "faced": list(passed)},
    )


def _gain(temptation: xr.DataArray, shares: Mapping[str, float]) -> Array:
    """Return Σ_c share_c max(temptation_c, 0) [agent]: who is free subverts only where it pays."""
    met = temptation.sel(context=list(shares)).values
    offered = np.isfinite(met)
    total: Array = (np.where(offered, met, 0.0).clip(min=0.0) * list(shares.values())).sum(axis=1)
    return np.where(offered.any(axis=1), total, np.nan)
