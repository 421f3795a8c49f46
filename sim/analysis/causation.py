"""What training-gaming causes: differences between twins that share every random draw.

Two runs with the same seed that differ in their interventions alone share their agents and every
draw, so what differs at the end was caused. The post: "Causally, instrumental training-gaming might
reinforce those factors [...], making the model more worst-case-like."

An *effect* is the mean over agents of the difference between twins, with Student's t interval of
paired differences. Agents are the units: they are drawn independently of each other. The t interval
needs no draws of its own, is [0, 0] where no agent differs, and is exact for normal differences;
`tests/test_causation.py` states how often it covers the mean of skewed ones.

Interventions last as long as training, and agents are measured free of them at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from sim.analysis.after import After
from sim.analysis.cast import cast_of
from sim.analysis.summary_moment import moment_of
from sim.analysis.worst_case import TERMS, Thresholds, worst_case_at
from sim.dynamics.state import Array
from sim.on_paper import moment, read_deployment, read_oversight
from sim.run import prepare
from sim.spec.agent import CAPABILITIES
from sim.spec.errors import SpecError
from sim.spec.intervention import Intervention
from sim.spec.scenario import Scenario
from sim.spec.settings import Specs, apply_settings, read_specs
from sim.sweeps.design import Grid
from sim.sweeps.plan import Part, Plan, compile_rows, make_plan
from sim.sweeps.table import Sweep

Do = tuple[Intervention, ...]
#: What twins differ in: interventions on the first, and on the second.
Contrast = tuple[Do, Do]

#: Scenarios, and assumptions, under which effects are compared; no setting: as it is.
SCENARIOS = (
    "copyright",
    "drop_human_values",
    "scratchpad",
    "pipeline",
    "power_seeker",
    "monolithic",
    "lab_to_deployment",
)
ASSUMPTIONS: Mapping[str, Mapping[str, object]] = {
    "as it is": {},
    "motive_credit 0": {"training.motive_credit": 0.0},
    "leak 0.3": {"training.leak": 0.3},
    "spread 0.5": {"training.spread": 0.5},
    "anchor 0.01": {"training.anchor": 0.01},
    "replicator": {"training.update_rule": "replicator"},
}


def outcome_names(scenario: Scenario) -> tuple[str, ...]:
    """Return the outcomes of a scenario's agents, in the order in which they are reported."""
    return (
        "kept",
        *(f"strength.{value}" for value in contested_values(scenario)),
        "value_drift",
        "alignment",
        "awareness",
        "log_horizon",
        "log_competence",
        *(f"capability.{name}" for name in CAPABILITIES),
        "gaming_rate",
        "reach",
        "opacity_share",
        "consistency",
        "behaviour_shift",
        "slip_deployed",
        *(f"met.{term}" for term in TERMS),
        "terms_met",
        "worst_case",
        "success",
        "attempts",
    )


def contested_values(scenario: Scenario) -> tuple[str, ...]:
    """Return the values that some training context can move: its responses differ in them."""
    trained = scenario.of_kind("training").values()
    return tuple(
        value
        for value in scenario.values
        if any(
            len({serves.get(value, 0.0) for serves in c.responses.values()}) > 1 for c in trained
        )
    )


def outcomes(
    now: xr.Dataset, scenario: Scenario, *, start: ArrayLike, after: After
) -> pd.DataFrame:
    """Return every outcome of every agent at the end of training, a row for each agent.

    Args:
        now: One moment, as `sim.on_paper.moment` or `summary_moment.moment_of` gives it.
        scenario: What they were trained in.
        start: The values with which each agent started [agent, value].
        after: What counts as the worst case, and what stands in the way.

    Returns:
        `kept` is v·v_0 / |v_0|², what is left of the agent's goal: 1 all, 0 nothing, below 0
        reversed. `strength.V` is the strength of one value in the direction in which it started.
        `gaming_rate` and `behaviour_shift` are means over training contexts (with a twin), and
        `slip_deployed`, the chance of a response that does not look best, over deployment contexts.
        `met.TERM`, `worst_case` and `attempts` are 0 or 1; `terms_met` of the worst case counts.
        nan: not defined.
    """
    first = np.asarray(start, np.float64)
    values = now["values"].values
    judged = worst_case_at(now, scenario, **after.arguments())
    number, met = judged["number"], judged["met"]
    trained, deployed = (list(scenario.of_kind(k)) for k in ("training", "deployment"))
    norm = (first**2).sum(axis=1)
    kept = np.full(len(first), np.nan)
    np.divide((values * first).sum(axis=1), norm, out=kept, where=norm > 0.0)
    slip = now["slip"].sel(context=deployed).values
    contested = contested_values(scenario)
    columns: dict[str, ArrayLike] = {
        "kept": kept,
        **{
            f"strength.{value}": (values * np.sign(first))[:, i]
            for i, value in enumerate(scenario.values)
            if value in contested
        },
        "value_drift": now["value_drift"].values,
        "alignment": now["alignment"].values,
        "awareness": now["awareness_logit"].values,
        "log_horizon": now["log_horizon"].values,
        "log_competence": now["log_competence"].values,
        **{
            f"capability.{name}": now["capabilities"].sel(capability=name).values
            for name in CAPABILITIES
        },
        "gaming_rate": now["gaming_rate"].sel(context=trained).values.mean(axis=1),
        "reach": now["reach"].values,
        "opacity_share": now["opacity_share"].values,
        "consistency": now["consistency"].values,
        "behaviour_shift": number.sel(term="behaviour_shift").values,
        "slip_deployed": slip.mean(axis=1) if deployed else np.full(len(first), np.nan),
        **{f"met.{term}": met.sel(term=term).values.astype(float) for term in TERMS},
        "terms_met": met.values.sum(axis=1).astype(float),
        "worst_case": judged["worst_case"].values.astype(float),
        "success": judged["success"].values,
        "attempts": judged["attempts"].values.astype(float),
    }
    return pd.DataFrame(columns)[list(outcome_names(scenario))]


# ------------------------------------------------------------------------------ paired differences


def paired(first: ArrayLike, second: ArrayLike, *, level: float = 0.95) -> dict[str, float]:
    """Return the mean difference between twins, first less second, with its t interval.

    Args:
        first: A number of each agent [n].
        second: The same of its twin; pairs in which either is nan are left out.
        level: Of confidence.

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
    """Return `paired` of every outcome, a row for each, with both means."""
    rows = []
    for name in first.columns:
        means = {"first": first[name].mean(), "second": second[name].mean()}
        rows.append({"outcome": name, **means, **paired(first[name], second[name], level=level)})
    return pd.DataFrame(rows)


def policy_distance(first: xr.Dataset, second: xr.Dataset, contexts: Sequence[str]) -> Array:
    """Return the mean total variation between the policies of twins [agent], over some contexts."""
    one, other = (now["policy"].sel(context=list(contexts)).values for now in (first, second))
    distance: Array = 0.5 * np.nansum(np.abs(one - other), axis=-1).mean(axis=-1)
    return distance


# --------------------------------------------------------------------------------------- contrasts


def in_training(specs: Specs, *done: Mapping[str, object]) -> Do:
    """Return interventions that last to the end of training, so that agents are measured free."""
    steps = specs.training.steps
    return tuple(Intervention.parse({"stop": steps, **one}, path="do") for one in done)


def gaming_only_in(specs: Specs, contexts: Iterable[str]) -> Do:
    """Return what forces gaming on, whenever training is in mind, in some contexts only."""
    wanted = set(contexts)
    return in_training(
        specs,
        *({"key": f"gaming.{c}", "set": float(c in wanted)} for c in specs.scenario.contexts),
    )


def contrasts_of(specs: Specs, do: Do = ()) -> dict[str, Contrast]:
    """Return what is contrasted; the effect is that of the first less that of the second.

    Args:
        specs: Without interventions.
        do: What a user wants to know the effect of; nothing: gaming itself, with it less without.

    Returns:
        The main contrast first: `gaming` (the agent's own, against none throughout training) or
        `what is done`. Then gaming forced on in one context only, against none; and the agent's
        own gaming in the second half of training, against gaming in the first half only.
    """
    off = in_training(specs, {"key": "gaming", "set": 0.0})
    main: dict[str, Contrast] = {"what is done": (do, ())} if do else {"gaming": ((), off)}
    context = _one_context(specs)
    found = {**main, f"gaming in {context} only": (gaming_only_in(specs, [context]), off)}
    half = specs.training.steps // 2
    if half:
        late = in_training(specs, {"key": "gaming", "set": 0.0, "start": half})
        found["gaming in the second half"] = ((), late)
    return found


def _one_context(specs: Specs) -> str:
    """Return the contested context; the first that is trained on, where none is."""
    try:
        return cast_of(specs._replace(interventions=())).contested
    except SpecError:
        return next(iter(specs.scenario.of_kind("training")))


def with_do(specs: Specs, do: Do) -> Specs:
    """Return checked specs in which nothing but `do` is done.

    Raises:
        SpecError: It cannot be done.
    """
    return read_specs(specs.scenario, agent=specs.agent, training=specs.training, interventions=do)


# ------------------------------------------------------------------------------------------- worlds


def worlds_plan(
    worlds: Mapping[str, Specs], *, agents: int, seed: int = 0, engine: str = "auto"
) -> Plan:
    """Return a sweep of worlds: in each the same `agents` runs of one agent, by their seeds.

    Raises:
        SpecError: One of the worlds would be refused.
    """
    seeds = tuple(range(seed * agents, (seed + 1) * agents))
    parts = [
        Part(
            specs=specs,
            design=Grid({}),
            seeds=seeds,
            record_every=specs.training.steps,
            chosen={"world": name},
        )
        for name, specs in worlds.items()
    ]
    return make_plan(parts, record="summary", engine=engine)


def outcomes_by_world(plan: Plan, sweep: Sweep, *, after: After | None) -> dict[str, pd.DataFrame]:
    """Return `outcomes` of each world of `worlds_plan`; a run that failed has none (nan).

    Args:
        plan: The plan ...
        sweep: ... and its runs.
        after: What comes after training; the defaults of each scenario where None.
    """
    frame = sweep.frame
    found = {}
    for part in plan.parts:
        name, scenario = part.chosen["world"], part.specs.scenario
        rows = frame[frame["world"] == name].reset_index(drop=True)
        rules = after or default_after(scenario)
        sound = rows["error"].isna().to_numpy()
        now = moment_of(rows[sound], scenario)
        start = start_of(part)[sound]
        kept = outcomes(now, scenario, start=start, after=rules)
        kept.index = pd.Index(np.flatnonzero(sound))
        found[name] = kept.reindex(range(len(rows)))
    return found


def start_of(part: Part) -> Array:
    """Return the values with which the agents of a part start [run, value]."""
    program = compile_rows(part, np.arange(part.runs))
    names = [program.layout.names.index(f"values.{v}") for v in part.specs.scenario.values]
    start: Array = np.broadcast_to(program.origin[names], (len(names), program.agents)).T.copy()
    return start


def default_after(scenario: Scenario) -> After:
    """Return what comes after training where nothing is said."""
    return After(
        oversight=read_oversight(None, scenario),
        deployment=read_deployment(None, scenario),
        thresholds=Thresholds(),
    )


# ------------------------------------------------------------------------------------------ studies


@dataclass(frozen=True)
class Effects:
    """What contrasts cause.

    Attributes:
        table: A row for each contrast, group of agents and outcome.
        sizes: How many agents each group has.
    """

    table: pd.DataFrame
    sizes: Mapping[str, int]


def effects(
    specs: Specs,
    *,
    do: Do = (),
    after: After | None = None,
    agents: int = 256,
    seed: int = 0,
    engine: str = "auto",
    level: float = 0.95,
    progress: Callable[[float], None] | None = None,
) -> Effects:
    """Return the effects of `contrasts_of` on every outcome, for one population.

    Agents are also told apart by their alignment at the start: `aligned` and `misaligned` are those
    beyond the threshold of egregious misalignment, on either side. `deployed_policy` is a distance
    (total variation between the deployed policies of twins), not a difference.

    Args:
        specs: Scenario, population and training; its interventions are left out.
        do: What to know the effect of; nothing: gaming.
        after: What comes after training; defaults if None.
        agents: How many.
        seed: Of all random draws.
        engine: What computes.
        level: Of confidence.
        progress: Told the share that is done.

    Raises:
        SpecError: Something cannot be done.
    """
    scenario = specs.scenario
    rules = after or default_after(scenario)
    contrasts = contrasts_of(specs, do)
    sides = list(dict.fromkeys(side for pair in contrasts.values() for side in pair))
    seen: dict[Do, tuple[xr.Dataset, pd.DataFrame]] = {}
    groups: dict[str, NDArray[np.bool_]] = {}
    start = prepared_start(specs, agents=agents, seed=seed)
    for index, side in enumerate(sides):
        done = with_do(specs, side)
        result = prepare(
            scenario,
            agent=done.agent,
            training=done.training,
            interventions=done.interventions,
            agents=agents,
            seed=seed,
            record_every=done.training.steps,
            engine=engine,
        ).execute()
        now = moment(result, None)
        seen[side] = now, outcomes(now, scenario, start=start, after=rules)
        if not groups:
            groups = _groups(
                start, result.data["human_value"].values, rules.thresholds.misalignment
            )
        if progress is not None:
            progress((index + 1) / len(sides))
    deployed = list(scenario.of_kind("deployment"))
    tables = []
    for name, (one, other) in contrasts.items():
        distance = policy_distance(seen[one][0], seen[other][0], deployed) if deployed else None
        for group, members in groups.items():
            if not members.any():
                continue
            first_of, second_of = (seen[side][1][members] for side in (one, other))
            table = paired_table(first_of, second_of, level=level)
            if distance is not None:
                apart = paired(distance[members], np.zeros(int(members.sum())), level=level)
                row = {"outcome": "deployed_policy", "first": np.nan, "second": np.nan, **apart}
                table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
            tables.append(table.assign(contrast=name, group=group))
    found = pd.concat(tables, ignore_index=True)
    order = ["contrast", "group", *(c for c in found.columns if c not in ("contrast", "group"))]
    return Effects(found[order], {name: int(of.sum()) for name, of in groups.items()})


def prepared_start(specs: Specs, *, agents: int, seed: int) -> Array:
    """Return the values with which agents start, before anything is done to them [agent, value]."""
    program = prepare(
        specs.scenario, agent=specs.agent, training=specs.training, agents=agents, seed=seed
    ).program
    rows = [program.layout.names.index(f"values.{v}") for v in specs.scenario.values]
    start: Array = np.broadcast_to(program.origin[rows], (len(rows), agents)).T.copy()
    return start


def _groups(start: Array, human: Array, threshold: float) -> dict[str, NDArray[np.bool_]]:
    groups = {"all": np.ones(len(start), bool)}
    norm = np.linalg.norm(start, axis=1) * np.linalg.norm(human)
    cosine = np.full(len(start), np.nan)
    np.divide(start @ human, norm, out=cosine, where=norm > 0.0)
    return {**groups, "aligned": cosine >= -threshold, "misaligned": cosine <= threshold}


def scenario_worlds(
    names: Sequence[str] = SCENARIOS,
    assumptions: Mapping[str, Mapping[str, object]] = ASSUMPTIONS,
    *,
    specs: Specs,
) -> dict[str, Specs]:
    """Return twins with and without gaming, by `SCENARIO|ASSUMPTION|with` or `without`.

    Every scenario has the agent of its own story; how agents differ, and training, are as in
    `specs`.
    """
    worlds = {}
    for name in names:
        scenario = Scenario.load(name)
        own = scenario.agent.replace(spread={"initial": _STORY_SPREAD})
        plain = read_specs(scenario, agent=own, training=specs.training)
        for label, settings in assumptions.items():
            changed = apply_settings(plain, settings)
            off = in_training(changed, {"key": "gaming", "set": 0.0})
            worlds[f"{name}|{label}|with"] = changed
            worlds[f"{name}|{label}|without"] = with_do(changed, off)
    return worlds


#: How far agents of one story differ from each other.
_STORY_SPREAD = {"values": 0.1, "habit": 0.5, "awareness": 0.5}


def scenario_effects(found: Mapping[str, pd.DataFrame], *, level: float = 0.95) -> pd.DataFrame:
    """Return the effect of gaming on every outcome, by scenario and assumption."""
    tables = []
    for name in found:
        scenario, assumption, twin = name.split("|")
        if twin == "with":
            other = found[f"{scenario}|{assumption}|without"]
            table = paired_table(found[name], other, level=level)
            tables.append(table.assign(scenario=scenario, assumption=assumption))
    return pd.concat(tables, ignore_index=True)
