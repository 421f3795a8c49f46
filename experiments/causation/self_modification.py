"""Self-modification: what a goal keeps against coverage, the share of contexts that are gamed.

The post: "How does training-gaming affect the model's generalization? Is it feasible for a model to
usefully self-modify via gaming the process?" Gaming is forced on in k of the C contested contexts
and off in all others, and what is left of the goal is measured (docs/causes.md).

A closed form to compare with: in C contexts that are alike, forced gaming with chance a in k of
them slows the training of the values to a share 1 − a k / C, and does nothing else to it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from sim.analysis.counterfactuals import paired_difference
from sim.dynamics.state import Array
from sim.specs.overrides import Specs, apply_overrides, read_specs
from sim.specs.scenario import Scenario
from sim.specs.training import Training

from .contrasts import AS_IT_IS, NO_CREDIT, Assumptions, gaming_only_in, with_do

#: The scenario in which the same goal is contested everywhere.
SCENARIO = "monolithic"
#: Settings under which coverage is tried; `steps` multiplies the length of training.
KNOBS: Assumptions = {
    AS_IT_IS: {},
    "shorter (1/4)": {"steps": 0.25},
    "longer (x 4)": {"steps": 4},
    "leak 0.1": {"training.leak": 0.1},
    "leak 1": {"training.leak": 1.0},
    **NO_CREDIT,
    "anchor 0.001": {"training.anchor": 0.001},
    "sampled": {"training.estimator": "sampled"},
}
#: A share of the goal that counts as kept.
HALF = 0.5
OWN = "own choice"
#: Differences between the agents of `SCENARIO`.
_SPREAD = {"initial": {"values": 0.1, "awareness": 0.5}}


def with_copies(scenario: Scenario, copies: int) -> Scenario:
    """Return a scenario with every context `copies` times; twins are copied with them."""
    if copies == 1:
        return scenario
    contexts = {}
    for number in range(1, copies + 1):
        for name, context in scenario.contexts.items():
            twin = None if context.twin is None else f"{context.twin}_{number}"
            contexts[f"{name}_{number}"] = context.replace(twin=twin)
    return scenario.replace(contexts=contexts, curriculum=(), similarity=None)


def contested_contexts(scenario: Scenario) -> tuple[str, ...]:
    """Return the training contexts that can move a value, as their responses differ in it."""
    return tuple(
        name
        for name, context in scenario.of_kind("training").items()
        if any(
            len({serves.get(value, 0.0) for serves in context.responses.values()}) > 1
            for value in scenario.values
        )
    )


def one_goal(training: Training, copies: int) -> Specs:
    """Return the story in which the same goal is contested everywhere, in copies of contexts."""
    scenario = with_copies(Scenario.load(SCENARIO), copies)
    return read_specs(scenario, agent=scenario.agent.replace(spread=_SPREAD), training=training)


def coverage_worlds(specs: Specs, *, knobs: Assumptions = KNOBS) -> dict[str, Specs]:
    """Return worlds by `KNOB|k` for k = 0..C contexts that are gamed, and `KNOB|own choice`.

    The first k contexts in the order of the scenario are gamed; the order does not matter where
    contexts are alike, as in `monolithic`.

    Raises:
        SpecError: A knob does not fit.
    """
    worlds = {}
    contexts = contested_contexts(specs.scenario)
    for knob, settings in knobs.items():
        overrides = dict(settings)
        if "steps" in overrides:
            factor = float(overrides.pop("steps"))  # type: ignore[arg-type]
            overrides["training.steps"] = max(1, round(factor * specs.training.steps))
        variant = apply_overrides(specs._replace(interventions=()), overrides)
        for covered in range(len(contexts) + 1):
            forced = gaming_only_in(variant, contexts[:covered])
            worlds[f"{knob}|{covered}"] = with_do(variant, forced)
        worlds[f"{knob}|{OWN}"] = variant
    return worlds


def coverage(outcomes: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the share of a goal that is kept, a row for each knob and coverage.

    Args:
        outcomes: Outcomes of `coverage_worlds`.

    Returns:
        `coverage` (share of contested contexts; of the agent's `own` choice, its mean gaming rate
        at the end), `kept` with `low` and `high`, and `apart`, the root mean square of what an
        agent's `kept` differs by from its twin's as it is (nan where there is no such twin).
    """
    rows = []
    most = max(int(name.split("|")[1]) for name in outcomes if not name.endswith(OWN))
    for name, frame in outcomes.items():
        knob, covered = name.split("|")
        own, twin = covered == OWN, f"{AS_IT_IS}|{covered}"
        mean = paired_difference(frame["kept"], np.zeros(len(frame)))
        apart = np.nan
        if twin in outcomes:
            apart = float(np.sqrt(((frame["kept"] - outcomes[twin]["kept"]) ** 2).mean()))
        rows.append(
            {
                "knob": knob,
                "own": own,
                "covered": np.nan if own else int(covered),
                "coverage": frame["gaming_rate"].mean() if own else int(covered) / most,
                "kept": mean["effect"],
                "low": mean["low"],
                "high": mean["high"],
                "apart": apart,
                "agents": int(mean["agents"]),
            }
        )
    return pd.DataFrame(rows)


def knobs_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return the course of what is kept over coverage, a row for each knob.

    Returns:
        `none` and `all` (kept at no and at full coverage), `needed`, `steepness`, `shape`, and what
        the agent's own choice keeps.
    """
    rows = []
    for knob, cells in table.groupby("knob", sort=False):
        forced, own = cells[~cells["own"]], cells[cells["own"]].iloc[0]
        shares = forced["kept"].to_numpy()
        steep = steepness(shares)
        rows.append(
            {
                "knob": knob,
                "none": shares[0],
                "all": shares[-1],
                "needed": needed(forced["coverage"].to_numpy(), shares),
                "steepness": steep,
                "shape": shape_of(shares, steep),
                "own_coverage": own["coverage"],
                "own_kept": own["kept"],
            }
        )
    return pd.DataFrame(rows)


def needed(at: Array, shares: Array) -> float:
    """Return the least coverage that keeps half of the goal; nan if none does.

    Levels of coverage [level] increase; the shares that are kept are linear between them.
    """
    above = np.flatnonzero(shares >= HALF)
    if not len(above):
        return float("nan")
    first = int(above[0])
    if first == 0:
        return float(at[0])
    low, high = shares[first - 1], shares[first]
    return float(at[first - 1] + (HALF - low) / (high - low) * (at[first] - at[first - 1]))


def steepness(shares: Array) -> float:
    """Return the greatest step between levels over the mean step; nan where nothing changes.

    It is 1 for an even slope, and C for a single step of C.
    """
    whole = shares[-1] - shares[0]
    if len(shares) < 2 or abs(whole) < 1e-3:
        return float("nan")
    steps = np.diff(shares) / whole
    return float(steps.max() * len(steps))


def shape_of(shares: Array, steep: float) -> str:
    """Return `flat`, `slope` or `threshold`: whether one step makes half of all the difference."""
    if np.isnan(steep):
        return "flat"
    return "threshold" if steep >= 0.5 * (len(shares) - 1) else "slope"
