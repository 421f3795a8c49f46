"""The study of spread: the equations of spread, the estimators, and the command."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import sim
from commands import Call, assert_refused
from experiments.spread.learning_rate_competition import (
    boundary,
    boundary_slope,
    boundary_table,
    slope_verdict,
)
from experiments.spread.measurements import last_upcrossing, median_with_inf
from experiments.spread.persistence import follow_gaming, summarise_rules, survival
from experiments.spread.plans import OUTCOMES, Settings, StudyDesign, outcomes
from experiments.spread.spillover import summarise_cases as summarise_spillover
from experiments.spread.spillover import thresholds
from sim.analysis.context_roles import ContextRoles, context_roles
from sim.specs.errors import SpecError
from sim.specs.overrides import Specs, read_specs
from sim.sweeps.plan import compile_rows
from sim.sweeps.sweep import run_plan

PAYING, OTHERS = ("copyright_chat", "copyright_excerpt"), ("coding", "travel", "copyright_deployed")
ROLES = ContextRoles(
    paying=PAYING,
    idle=OTHERS[:2],
    untrained=OTHERS[2:],
    contested="copyright_chat",
    protected="copyright",
    decision=0.05,
)
LITTLE = ("points=3", "seeds=2", "training.steps=40", "engine=numpy", "awareness=[-8,0]")


def design(specs: Specs, *, points: int = 3) -> StudyDesign:
    """The study with few levels and seeds."""
    settings = Settings(
        parts=("reach", "race", "outlive"),
        points=points,
        seeds=2,
        share=0.25,
        awareness=(-14.0, 0.0),
        ratio=(0.1, 1000.0),
        engine="numpy",
        store=None,
    )
    return StudyDesign(specs, settings)


# ----------------------------------------------------------------------------------- the equations


def one_step(share: float, similarity: Any = None) -> tuple[Any, np.ndarray]:
    """Return a run of one step, and the gate factors Γ of its contexts, from its record."""
    rate = 0.06
    result = sim.simulate(
        {
            **sim.Scenario.load("copyright").model_dump(exclude={"agent", "training"}),
            "similarity": similarity,
        },
        agent={
            "rationality": 1,
            "initial": {"awareness": -1.0, "values": {"copyright": 0.7, "helpfulness": 0.4}},
        },
        training={"steps": 1, "generalisation": {"habit": share}, "learning_rate": {"habit": rate}},
        record_every=1,
    )
    at = result.data.isel(step=0, agent=0)
    rewards = sim.Scenario.load("copyright").contexts
    advantage = [
        sum(
            float(at[policy].sel(context=name)[k]) * sign * context.reward.get(response, 0.0)
            for policy, sign in (("gaming_policy", 1.0), ("value_policy", -1.0))
            for k, response in enumerate(context.responses)
        )
        for name, context in rewards.items()
    ]
    weight = np.array([0.25 if context.kind == "training" else 0.0 for context in rewards.values()])
    d = at["decision"].values
    return result, rate * weight * advantage * at["awareness"].values * d * (1.0 - d)


def moved(result: Any) -> np.ndarray:
    habit = result.habit.isel(agent=0).values
    return np.asarray(habit[1] - habit[0])


def test_without_generalisation_what_is_learnt_in_a_context_stays_in_it() -> None:
    result, gate = one_step(0.0)
    assert moved(result)[-1] == 0.0  # not trained, so not moved, to the bit
    np.testing.assert_allclose(moved(result), gate, rtol=1e-9, atol=1e-15)


def test_full_generalisation_between_like_contexts_moves_an_untrained_habit_by_the_sum_of_all() -> (
    None
):
    result, gate = one_step(1.0)
    assert abs(gate.sum()) > 1e-6
    np.testing.assert_allclose(moved(result), gate.sum(), rtol=1e-9)


def test_some_generalisation_moves_it_by_k_which_is_1_minus_rho_of_its_own_and_rho_of_all() -> None:
    rho, near = 0.3, 0.4
    pairs = {name: dict.fromkeys(OTHERS, near) for name in PAYING}
    result, gate = one_step(rho, pairs)
    similar = np.ones((5, 5))
    similar[:2, 2:] = similar[2:, :2] = near
    expected = ((1.0 - rho) * np.eye(5) + rho * similar) @ gate
    np.testing.assert_allclose(moved(result), expected, rtol=1e-9)


def test_without_generalisation_the_study_leaves_habits_of_untrained_contexts_as_they_were() -> (
    None
):
    plan = design(read_specs("copyright", training={"steps": 30}), points=2).plan("reach")
    frame = run_plan(plan).frame
    start = np.concatenate(
        [
            p.origin[p.layout.names.index("habit.copyright_deployed")]
            for p in (compile_rows(part, np.arange(part.runs)) for part in plan.parts)
        ]
    )
    still = (frame["training.generalisation.habit"] == 0.0).to_numpy()
    assert still.any()
    assert (frame["habit.copyright_deployed"].to_numpy()[still] == start[still]).all()
    assert (frame["habit.copyright_deployed"].to_numpy()[~still] != start[~still]).any()


# --------------------------------------------------------------------------- who plays which part


def test_gaming_pays_where_training_pulls_against_a_value() -> None:
    roles = context_roles(read_specs("copyright"))
    assert (roles.paying, roles.not_paying) == (PAYING, OTHERS)
    assert (roles.contested, roles.protected) == ("copyright_chat", "copyright")
    assert [roles.role(c) for c in ("coding", "copyright_deployed")] == ["idle", "untrained"]


def test_who_is_particular_in_a_population_does_not_change_the_roles() -> None:
    spread = {"initial": {"values": 3.0}, "rationality": 2.0}
    assert context_roles(read_specs("copyright", agent={"spread": spread})) == context_roles(
        read_specs("copyright")
    )


def test_a_similarity_that_is_a_matrix_is_moved_in_the_same_pairs() -> None:
    matrix = (0.5 * np.ones((5, 5))).tolist()
    data = sim.Scenario.load("copyright").model_dump(exclude={"agent", "training"})
    specs = read_specs(
        {**data, "similarity": matrix},
        agent={"initial": {"values": {"copyright": 1, "helpfulness": 1}}},
    )
    part = design(specs).plan("reach").parts[0]
    similarity = compile_rows(part, np.arange(part.runs)).segments[0].world.similarity
    levels = part.columns(np.arange(part.runs))["scenario.similarity.copyright_chat.coding"]
    assert set(levels) == {0.0, 0.5, 1.0}
    for here, there in ((0, 2), (2, 0), (1, 4), (4, 1)):
        assert (similarity[here, there] == levels).all()
    for here, there in ((0, 1), (2, 3), (0, 0), (4, 3)):
        assert (similarity[here, there] == 0.5).all()


# -------------------------------------------------------------------------------- rules, estimators


@pytest.mark.parametrize(
    ("strength", "rate", "outcome"),
    [
        (0.25, 0.5, "kept, gaming"),
        (0.25, 0.4999, "kept, no gaming"),
        (0.2499, 0.5, "lost, gaming"),
        (0.2499, 0.4999, "lost, no gaming"),
        (-3.0, 0.9, "lost, gaming"),
        (2.0, 0.0, "kept, no gaming"),
    ],
)
def test_an_outcome_is_by_strength_and_rate_with_both_thresholds_kept(
    strength: float, rate: float, outcome: str
) -> None:
    assert OUTCOMES[int(outcomes(strength, rate, share=0.25))] == outcome


def test_a_crossing_is_where_a_curve_rises_for_good() -> None:
    x = np.array([0.0, 1.0, 2.0, 4.0])
    assert last_upcrossing(x, [-1.0, 0.0, 1.0, 3.0], 0.5) == 1.5
    assert last_upcrossing(x, [-1.0, 9.0, 0.0, 1.0], 0.5) == 3.0  # not where it first rises
    assert last_upcrossing(x, [-1.0, 0.0, 0.5, 0.5], 0.5) == 2.0  # at the level is high enough
    assert last_upcrossing(x, [1.0, 1.0, 1.0, 1.0], 0.5) == -np.inf
    assert last_upcrossing(x, [1.0, 1.0, 1.0, 0.0], 0.5) == np.inf
    gap = last_upcrossing(x, [-1.0, 0.0, np.nan, 1.0], 0.5)
    assert gap != last_upcrossing(x, [-1.0, 0.0, 1.0, 1.0], 0.5)
    assert median_with_inf(np.array([-np.inf, 1.0, 2.0, np.inf])) == 1.5
    assert median_with_inf(np.array([1.0, np.inf])) == np.inf


def planted(slope: float, *, seeds: int = 8, noise: float = 0.2) -> pd.DataFrame:
    """Return runs of a race whose boundary is planted: a line, moved sideways in each seed."""
    rows = []
    for ratio in np.geomspace(0.1, 1000.0, 9):
        for seed in range(seeds):
            place = -6.0 + slope * np.log(ratio) + noise * (seed - (seeds - 1) / 2)
            for awareness in np.arange(-20.0, 8.0, 0.5):
                strength = 0.25 + np.clip(awareness - place, -1.0, 1.0) * 0.5
                rows.append(("awareness", 1.0, ratio, awareness, seed, strength))
    names = ["moved", "motive_credit", "ratio", "awareness", "seed", "strength"]
    return pd.DataFrame(rows, columns=names)


@pytest.mark.parametrize("slope", [-1.0, 0.0, 0.4])
def test_a_planted_boundary_is_found_with_its_slope(slope: float) -> None:
    edges = boundary(planted(slope), share=0.25)
    table = boundary_table(edges)
    np.testing.assert_allclose(
        table["awareness"], -6.0 + slope * np.log(table["ratio"]), rtol=0, atol=1e-6
    )
    np.testing.assert_allclose(table["high"] - table["low"], 0.2 * 7, atol=1e-6)
    assert (table["found"] == 1.0).all()
    assert not edges["returns"].any()
    wide = edges.pivot(index="ratio", columns="seed", values="awareness")
    found = boundary_slope(np.log(wide.index), wide)
    assert found is not None
    assert found["value"] == pytest.approx(slope, abs=1e-6)
    assert found["seeds"] == 8
    saves = {-1.0: "saves the value", 0.0: "undecided", 0.4: "does not save it"}
    assert (
        slope_verdict({**found, "low": found["low"] - 0.1, "high": found["high"] + 0.1})
        == saves[slope]
    )


def test_the_interval_of_a_slope_is_that_of_its_seeds() -> None:
    x = np.linspace(0.0, 5.0, 6)
    each = np.linspace(-1.2, -0.8, 21)
    found = boundary_slope(x, x[:, None] * each)
    assert found is not None
    assert found["value"] == pytest.approx(-1.0)
    assert found["low"] < -1.0 < found["high"]
    assert -1.2 < found["low"] < -1.02
    assert -0.98 < found["high"] < -0.8
    assert found == boundary_slope(x, x[:, None] * each)


def test_seeds_without_a_boundary_are_left_out_and_few_are_no_slope() -> None:
    x = np.linspace(0.0, 5.0, 6)
    edges = np.repeat(-x[:, None], 4, axis=1)
    edges[:, 0] = np.inf
    edges[0, 1] = -np.inf
    found = boundary_slope(x, edges)
    assert found is not None
    assert (found["value"], found["seeds"]) == (pytest.approx(-1.0), 3)
    edges[:, :3] = np.inf
    assert boundary_slope(x, edges) is None
    assert slope_verdict(None) == "too few boundaries"
    assert boundary_slope(x[:2], -np.ones((2, 4))) is None


def test_a_threshold_is_where_the_gaming_rate_crosses_a_half_in_its_logit() -> None:
    spreads = np.linspace(0.0, 1.0, 11)
    rows = [
        ("natural_gradient", 100, 1, 1.0, spread, seed, context, role, 1 / (1 + np.exp(-20 * gap)))
        for context, role, at in (("coding", "idle", 0.33), ("chat", "paying", 0.1))
        for seed in range(3)
        for spread in spreads
        for gap in [spread - at - 0.01 * (seed - 1)]
    ]
    names = ["rule", "steps", "faster", "similarity", "generalisation", "seed", "context", "role"]
    found = thresholds(pd.DataFrame(rows, columns=[*names, "gaming_rate"]))
    assert list(found["context"]) == ["coding"]
    row = found.iloc[0]
    np.testing.assert_allclose(
        row[["generalisation", "low", "high"]].astype(float), [0.33, 0.32, 0.34]
    )
    assert row["reached"] == 1.0


def test_gaming_is_followed_from_when_the_value_is_lost_for_good() -> None:
    steps = [0, 10, 20, 30, 40]
    strength = [
        [1.0, 0.1, 0.9, 0.1, 0.0],  # falls for good at 30
        [1.0, 0.1, 0.1, 0.1, 0.1],  # at 10, and gaming stops at 30, if not for good
        [1.0, 1.0, 1.0, 0.0, 0.0],  # never gamed
        [1.0, 1.0, 1.0, 1.0, 1.0],  # never falls
    ]
    rate = [[1, 0, 0, 1, 1], [1, 1, 1, 0, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]
    found = follow_gaming(steps, strength, rate, share=0.25)
    np.testing.assert_equal(found["fell"], [30.0, 10.0, 30.0, np.nan])
    np.testing.assert_equal(found["gamed_then"], [True, True, False, False])
    np.testing.assert_equal(found["after"], [10.0, 20.0, 0.0, np.nan])
    np.testing.assert_equal(found["stopped"], [False, True, True, False])


def test_survival_is_that_of_kaplan_and_meier() -> None:
    at, share = survival([1, 2, 2, 3, 5], [True, True, False, True, False])
    np.testing.assert_allclose(at, [0, 1, 2, 3])
    np.testing.assert_allclose(share, [1.0, 0.8, 0.6, 0.3])


def test_verdicts_of_spillover_follow_from_thresholds_and_rates() -> None:
    names, case = ["rule", "steps", "faster", "similarity"], ("natural_gradient", 100, 1, 1.0)
    rates = dict(zip((*PAYING, *OTHERS), (1.0, 1.0, 0.9, 0.6, 0.4), strict=True))
    ends = {"habit": -2.0, "pull": -3.0, "needed": 4.0, "onset": np.nan, "regime": "local"}
    rows = [
        (*case, spread, name, rate * spread)
        for name, rate in rates.items()
        for spread in (0.0, 1.0)
    ]
    points = pd.DataFrame(
        rows, columns=[*names, "generalisation", "context", "gaming_rate"]
    ).assign(**ends)
    places = dict(zip(OTHERS, (0.5, np.inf, np.inf), strict=True))
    edges = pd.DataFrame(
        [(*case, name, place, place, place) for name, place in places.items()],
        columns=[*names, "context", "generalisation", "low", "high"],
    )
    table = summarise_spillover(points, edges, roles=ROLES).set_index("context")
    assert table["verdict"].tolist() == ["reached", "passing", "not reached"]
    assert table.loc["coding", ["threshold", "least_similarity"]].tolist() == [0.5, 1.0]
    assert table["paying_decision"].unique() == pytest.approx([1 / (1 + np.exp(5))])


def test_runs_that_outlive_are_counted_by_what_keeps_gaming_up() -> None:
    runs = pd.DataFrame(
        {
            "rule": "natural_gradient",
            "lost": [True, True, True, False],
            "outlived": [True, True, True, False],
            "reversed": [False, True, True, True],
            "incentive": [1.0, 0.0, -1.0, -5.0],
            "habit": [1.0, 7.0, 9.0, 0.0],
            "pull": [2.0, 0.0, -8.0, 0.0],
            "strength": [0.2, -0.5, -1.0, 1.0],
            "gamed_then": [True, True, False, False],
            "after": [30.0, 10.0, 0.0, np.nan],
            "stopped": [False, True, False, False],
        }
    )
    row = summarise_rules(runs).iloc[0]
    assert row[["lost", "outlived", "reversed", "by_habit"]].tolist() == [3, 3, 2, 2]
    assert row[["habit_of_these", "pull_of_these", "pull_of_the_others"]].tolist() == [8, -4, 2]
    assert row[["survives", "last_stop", "longest"]].tolist() == [0.5, 10.0, 30.0]
    assert row["verdict"] == "by habit"
    assert summarise_rules(runs.iloc[:1])["verdict"].item() == "by incentive"
    assert summarise_rules(runs.assign(outlived=False))["verdict"].item() == "never"


# ------------------------------------------------------------------------------------- the command


def test_the_same_command_again_makes_no_run_twice(call: Call) -> None:
    left = call(*LITTLE, "parts=race", name="spread")
    assert left.status == 0, left.stderr
    (row,) = left.json("summary.json")["runs"]
    assert row["runs"] == len(pd.read_csv(left.only("race.csv"))) * 2
    assert row["resumed"] == row["failed"] == 0
    assert [path.name for path in left.folder.rglob("*.png")] == ["race.png"]
    again = call(*LITTLE, "parts=race", "share=0.5", "hydra.run.dir=again", name="spread")
    assert again.status == 0, again.stderr
    table = pd.read_csv(again.folder / "again" / "runs.csv").iloc[0]
    assert table["resumed"] == table["runs"] == row["runs"]


REFUSED = [
    ("parts=[reech]", "parts[0]: got 'reech': did you mean 'reach'?"),
    ("parts=[]", "parts: got"),
    ("share=1", "share: got 1"),
    ("awareness=[0,-14]", "awareness: got [0, -14]: must be two numbers, the lower first"),
    ("ratio=[0,10]", "ratio: got (0.0, 10.0, 'log'): must be a range"),
    ("training.learning_rate.values=0", "training.learning_rate.values: is 0"),
    ("scenario=reward_seeker", "gaming protects nothing anywhere"),
]


@pytest.mark.parametrize(("setting", "says"), REFUSED)
def test_what_cannot_be_studied_is_refused(call: Call, setting: str, says: str) -> None:
    assert_refused(call(setting, name="spread"), says)


def test_a_scenario_in_which_gaming_pays_everywhere_has_nothing_to_reach() -> None:
    data = sim.Scenario.load("copyright").model_dump(exclude={"agent", "training"})
    data["contexts"] = {name: dict(data["contexts"][name]) for name in PAYING}
    data["contexts"]["copyright_chat"]["twin"] = None
    specs = read_specs(data, agent={"initial": {"values": {"copyright": 1, "helpfulness": 1}}})
    with pytest.raises(SpecError, match="leave out the part 'reach'"):
        design(specs).plan("reach")
    assert design(specs).plan("race").runs > 0
