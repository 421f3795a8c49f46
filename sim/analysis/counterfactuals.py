"""Counterfactuals: the same agents trained in several worlds, and differences between twins.

Every world has the same runs of one agent each, by their seeds; so agents with the same number are
twins in any two worlds, and share every draw. The runs are a sweep, which can be kept and resumed.

Agents are the units of inference: they are drawn independently of each other. The t interval of
paired differences is [0, 0] where no agent differs, and exact for normal differences;
`tests/test_counterfactuals.py` states its coverage for skewed ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike
from scipy.stats import t as student

from sim.analysis.worst_case import TERMS, PostTraining, worst_case_at
from sim.dynamics.numerics import logistic
from sim.dynamics.observe import ONSET, VARIABLES
from sim.dynamics.randomness import seeds_of
from sim.dynamics.state import Array
from sim.specs.agent import CAPABILITIES
from sim.specs.overrides import Specs
from sim.specs.scenario import Scenario
from sim.sweeps.design import Grid
from sim.sweeps.plan import Part, Plan, compile_rows, make_plan
from sim.sweeps.result import Sweep

#: Variables of a sweep's summary that `moment_of` returns; `capabilities` follow from their logits.
MOMENT_VARIABLES = (
    "values",
    "awareness_logit",
    "log_horizon",
    "log_competence",
    "gaming_rate",
    "instrumental_gaming",
    "reach",
    "compliance_gap",
    "behaviour_shift",
    "slip",
    "temptation",
    "value_drift",
    "alignment",
    "deployment_conduct",
    "consistency",
    "opacity_share",
)


def worlds_plan(
    worlds: Mapping[str, Specs],
    *,
    agents: int,
    seed: int = 0,
    engine: str = "auto",
    policies: bool = False,
) -> Plan:
    """Return the plan of a sweep of worlds: in each the same `agents` runs of one agent.

    The first few agents are the same, however many there are. `policies` are kept for
    `policies_by_world`.

    Raises:
        SpecError: One of the worlds would be refused.
    """
    seeds = seeds_of(seed, agents)
    parts = [
        Part(
            specs=specs,
            design=Grid({}),
            seeds=seeds,
            record_every=specs.training.steps,
            choices={"world": name},
        )
        for name, specs in worlds.items()
    ]
    return make_plan(parts, record="full" if policies else "summary", engine=engine)


def outcomes_by_world(
    plan: Plan, sweep: Sweep, *, post_training: PostTraining | None = None
) -> dict[str, pd.DataFrame]:
    """Return `outcomes` of each world of a plan, a row for each run; nan where it failed.

    Interventions of each world act on `post_training`, or on the defaults of its scenario.
    """
    by_world = {}
    for part in plan.parts:
        scenario = part.specs.scenario
        rows = sweep.frame[sweep.frame["world"] == part.choices["world"]].reset_index(drop=True)
        sound = rows["error"].isna().to_numpy()
        usual = post_training or PostTraining.default(scenario)
        frame = outcomes(
            moment_of(rows[sound], scenario),
            scenario,
            start=initial_values(part)[sound],
            post_training=usual.with_interventions(part.specs.interventions),
        )
        frame.index = pd.Index(np.flatnonzero(sound))
        by_world[str(part.choices["world"])] = frame.reindex(range(len(rows)))
    return by_world


def policies_by_world(plan: Plan, sweep: Sweep) -> dict[str, Array]:
    """Return the deployed policies of each world at the end [run, context, response].

    Probabilities are 0 where a context has fewer responses, and nan where a run failed. The plan is
    of `worlds_plan(..., policies=True)`.
    """
    names = list(dict.fromkeys(name for part in plan.parts for name in _policy_columns(part)))
    if not names:
        return {str(part.choices["world"]): np.zeros((part.runs, 0, 0)) for part in plan.parts}
    columns = ", ".join(sweep.column("full", name) for name in names)
    rows = sweep.query(f'select run, step, {columns} from "full"')
    by_world, first = {}, 0
    for part in plan.parts:
        in_part = rows["run"].between(first, first + part.runs - 1)
        last = rows[in_part & (rows["step"] == part.specs.training.steps)]
        deployed = part.specs.scenario.of_kind("deployment").values()
        maximum = max((len(context.responses) for context in deployed), default=0)
        policy = np.full((part.runs, len(deployed), maximum), np.nan)
        runs = last["run"].to_numpy() - first
        policy[runs] = 0.0
        for name, (context, response) in _policy_columns(part).items():
            policy[runs, context, response] = last[name].to_numpy(np.float64)
        by_world[str(part.choices["world"])] = policy
        first += part.runs
    return by_world


def _policy_columns(part: Part) -> dict[str, tuple[int, int]]:
    """Return the indices of context and response of each column of deployed policies."""
    deployed = part.specs.scenario.of_kind("deployment")
    return {
        f"policy.{name}.{response}": (c, k)
        for c, (name, context) in enumerate(deployed.items())
        for k, response in enumerate(context.responses)
    }


def initial_values(part: Part) -> Array:
    """Return the values with which the agents of a part start [run, value]."""
    program = compile_rows(part, np.arange(part.runs))
    names = [program.layout.names.index(f"values.{v}") for v in part.specs.scenario.values]
    start: Array = np.broadcast_to(program.origin[names], (len(names), program.agents)).T.copy()
    return start


def moment_of(frame: pd.DataFrame, scenario: Scenario) -> xr.Dataset:
    """Return the end of training of a sweep's runs of one agent each, as one moment of agents.

    The frame is the summary of the sweep; a run that failed has nan everywhere.

    Returns:
        `MOMENT_VARIABLES`, `capabilities` [agent, capability] and `onset` [agent, context], as a
        result has them at its last step.
    """
    coords = {
        "context": list(scenario.contexts),
        "value": list(scenario.values),
        "capability": list(CAPABILITIES),
    }
    dims = {name: VARIABLES[name].dims[1:] for name in MOMENT_VARIABLES} | {"onset": ONSET.dims}
    data: dict[str, tuple[tuple[str, ...], Array]] = {}
    for name, axes in dims.items():
        columns = [f"{name}.{part}" for part in coords[axes[1]]] if len(axes) > 1 else [name]
        numbers = _numbers(frame, columns)
        data[name] = (axes, numbers if len(axes) > 1 else numbers[:, 0])
    logits = _numbers(frame, [f"capability_logits.{name}" for name in CAPABILITIES])
    with np.errstate(over="ignore"):
        capabilities = logistic(logits)
    data["capabilities"] = (("agent", "capability"), capabilities)
    return xr.Dataset(data, coords={"agent": np.arange(len(frame)), **coords})


def _numbers(frame: pd.DataFrame, columns: Sequence[str]) -> Array:
    return np.asarray(frame[list(columns)].to_numpy(np.float64))


def contested_values(scenario: Scenario) -> tuple[str, ...]:
    """Return the values in which responses of some training context differ."""
    return tuple(
        value
        for value in scenario.values
        if any(
            len({serves.get(value, 0.0) for serves in context.responses.values()}) > 1
            for context in scenario.of_kind("training").values()
        )
    )


def outcomes(
    state: xr.Dataset, scenario: Scenario, *, start: ArrayLike, post_training: PostTraining
) -> pd.DataFrame:
    """Return the outcomes of agents at the end of training, a row for each agent.

    Args:
        state: One moment, of `sim.takeover.moment` or `moment_of`.
        scenario: The scenario of the training.
        start: The values with which each agent started [agent, value].
        post_training: Oversight, deployment and thresholds.

    Returns:
        `kept` is v·v_0 / |v_0|², the share of the agent's goal that is left: below 0 if reversed.
        `strength.V` is the strength of one value in the direction in which it started.
        `gaming_rate`, `instrumental_gaming` and `behaviour_shift` are means over training contexts
        (with a twin); `deployment_conduct` and `slip_deployed`, the probability of a response that
        does not look best, over deployment contexts. `met.TERM`, `worst_case` and `attempts` are 0
        or 1; `terms_met` counts terms of the worst case. nan: not defined.
    """
    first = np.asarray(start, np.float64)
    values = state["values"].values
    case = worst_case_at(state, scenario, **post_training.arguments())
    number, is_met = case["number"], case["met"]
    training, deployed = (list(scenario.of_kind(k)) for k in ("training", "deployment"))
    norm = (first**2).sum(axis=1)
    goal_kept = np.full(len(first), np.nan)
    np.divide((values * first).sum(axis=1), norm, out=goal_kept, where=norm > 0.0)
    slip = state["slip"].sel(context=deployed).values
    strength = values * np.sign(first)
    contested, capabilities = contested_values(scenario), state["capabilities"]
    columns: dict[str, ArrayLike] = {
        "kept": goal_kept,
        **{
            f"strength.{v}": strength[:, i] for i, v in enumerate(scenario.values) if v in contested
        },
        "value_drift": state["value_drift"].values,
        "alignment": state["alignment"].values,
        "deployment_conduct": state["deployment_conduct"].values,
        "awareness": state["awareness_logit"].values,
        "log_horizon": state["log_horizon"].values,
        "log_competence": state["log_competence"].values,
        **{f"capability.{k}": capabilities.sel(capability=k).values for k in CAPABILITIES},
        **{
            name: state[name].sel(context=training).values.mean(axis=1)
            for name in ("gaming_rate", "instrumental_gaming")
        },
        "reach": state["reach"].values,
        "opacity_share": state["opacity_share"].values,
        "consistency": state["consistency"].values,
        "behaviour_shift": number.sel(term="behaviour_shift").values,
        "slip_deployed": slip.mean(axis=1) if deployed else np.full(len(first), np.nan),
        **{f"met.{term}": is_met.sel(term=term).values.astype(float) for term in TERMS},
        "terms_met": is_met.values.sum(axis=1).astype(float),
        "worst_case": case["worst_case"].values.astype(float),
        "success": case["success"].values,
        "attempts": case["attempts"].values.astype(float),
    }
    return pd.DataFrame(columns)


def paired_difference(
    first: ArrayLike, second: ArrayLike, *, level: float = 0.95
) -> dict[str, float]:
    """Return the mean difference between twins, first less second [n each], with its t interval.

    Pairs in which either is nan are left out.

    Returns:
        `effect`, `low`, `high` (nan with fewer than two pairs), the shares of agents `up` and
        `down`, and how many `agents` there are.
    """
    with np.errstate(invalid="ignore"):
        difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    difference = difference[np.isfinite(difference)]
    n = len(difference)
    if n == 0:
        return {**dict.fromkeys(("effect", "low", "high", "up", "down"), np.nan), "agents": 0.0}
    mean, half = float(difference.mean()), np.nan
    if n > 1:
        error = float(difference.std(ddof=1)) / np.sqrt(n)
        half = float(student.ppf(0.5 + level / 2.0, n - 1)) * error
    return {
        "effect": mean,
        "low": mean - half,
        "high": mean + half,
        "up": float((difference > 0.0).mean()),
        "down": float((difference < 0.0).mean()),
        "agents": float(n),
    }


def paired_table(first: pd.DataFrame, second: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """Return `paired_difference` of every outcome, a row for each, with both means."""
    rows = []
    for name in first.columns:
        means = {"first": first[name].mean(), "second": second[name].mean()}
        difference = paired_difference(first[name], second[name], level=level)
        rows.append({"outcome": name, **means, **difference})
    return pd.DataFrame(rows)


def policy_distance(first: Array, second: Array) -> Array:
    """Return the mean total variation between the policies of twins [agent], over contexts.

    Policies are probabilities [agent, context, response], 0 where there is no such response.
    """
    distance: Array = 0.5 * np.abs(first - second).sum(axis=-1).mean(axis=-1)
    return distance
