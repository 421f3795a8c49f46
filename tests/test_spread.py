"""How far gaming goes beyond what it is for: the equations, the estimators, and what is said."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sim
from commands import Call, assert_refused
from experiments.spread.crossings import crossing
from experiments.spread.outlive import after_the_fall, survival
from experiments.spread.race import boundary, boundary_slope, boundary_table
from experiments.spread.reach import reach_numbers, thresholds
from experiments.spread.study import OUTCOMES, Study, outcomes
from experiments.spread.text import outlive_paragraph, race_paragraph, reach_paragraph
from sim.analysis.context_roles import ContextRoles, cast_of
from sim.specs.errors import SpecError
from sim.specs.overrides import read_specs
from sim.sweeps.plan import compile_rows
from sim.sweeps.sweep import run_plan

PAYING, OTHERS = ("copyright_chat", "copyright_excerpt"), ("coding", "travel", "copyright_deployed")
CAST = ContextRoles(
    paying=PAYING,
    idle=OTHERS[:2],
    untrained=OTHERS[2:],
    contested="copyright_chat",
    protected="copyright",
    decision=0.05,
)
LITTLE = ("points=3", "seeds=2", "training.steps=40", "engine=numpy", "awareness=[-8,0]")


# ----------------------------------------------------------------------------------- the equations


def one_step(spread: float, similarity: Any = None) -> tuple[Any, np.ndarray]:
    """Return a run of one step, and the gate factors Γ of its contexts, from its record."""
    rate = 0.06
    result = sim.simulate(
        {**sim.Scenario.load("copyright").model_dump(exclude={"agent"}), "similarity": similarity},
        agent={"initial": {"awareness": -1.0, "values": {"copyright": 0.7, "helpfulness": 0.4}}},
        training={"steps": 1, "spread": spread, "learning_rate": {"habit": rate}},
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


def test_without_spread_what_is_learnt_in_a_context_stays_in_it() -> None:
    result, gate = one_step(0.0)
    assert moved(result)[-1] == 0.0  # not trained, so not moved, to the bit
    np.testing.assert_allclose(moved(result), gate, rtol=1e-9, atol=1e-15)


def test_full_spread_between_like_contexts_moves_an_untrained_habit_by_the_sum_of_all() -> None:
    result, gate = one_step(1.0)
    assert abs(gate.sum()) > 1e-6
    np.testing.assert_allclose(moved(result), gate.sum(), rtol=1e-9)


def test_some_spread_moves_it_by_k_which_is_1_minus_rho_of_its_own_and_rho_of_all() -> None:
    rho, near = 0.3, 0.4
    pairs = {name: dict.fromkeys(OTHERS, near) for name in PAYING}
    result, gate = one_step(rho, pairs)
    similar = np.ones((5, 5))
    similar[:2, 2:] = similar[2:, :2] = near
    expected = ((1.0 - rho) * np.eye(5) + rho * similar) @ gate
    np.testing.assert_allclose(moved(result), expected, rtol=1e-9)


def test_without_spread_the_study_leaves_habits_of_untrained_contexts_as_they_were() -> None:
    study = Study(specs=read_specs("copyright", training={"steps": 30}), points=2, seeds=2)
    plan = study.plan("reach")
    frame = run_plan(plan).frame
    start = np.concatenate(
        [
            p.origin[p.layout.names.index("habit.copyright_deployed")]
            for p in (compile_rows(part, np.arange(part.runs)) for part in plan.parts)
        ]
    )
    still = (frame["training.spread"] == 0.0).to_numpy()
    assert still.any()
    assert (frame["habit.copyright_deployed"].to_numpy()[still] == start[still]).all()
    assert (frame["habit.copyright_deployed"].to_numpy()[~still] != start[~still]).any()


# --------------------------------------------------------------------------- who plays which part


def test_gaming_pays_where_training_pulls_against_a_value() -> None:
    cast = cast_of(read_specs("copyright"))
    assert (cast.paying, cast.others) == (PAYING, OTHERS)
    assert (cast.contested, cast.protected) == ("copyright_chat", "copyright")
    assert [cast.role(c) for c in ("coding", "copyright_deployed")] == ["idle", "untrained"]


def test_who_is_particular_in_a_population_does_not_change_the_cast() -> None:
    spread = {"initial": {"values": 3.0}, "rationality": 2.0}
    assert cast_of(read_specs("copyright", agent={"spread": spread})) == cast_of(
        read_specs("copyright")
    )


def test_a_similarity_that_is_a_matrix_is_moved_in_the_same_pairs() -> None:
    matrix = (0.5 * np.ones((5, 5))).tolist()
    data = sim.Scenario.load("copyright").model_dump(exclude={"agent"})
    specs = read_specs(
        {**data, "similarity": matrix},
        agent={"initial": {"values": {"copyright": 1, "helpfulness": 1}}},
    )
    part = Study(specs=specs, points=3).plan("reach").parts[0]
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
    at = np.array([0.0, 1.0, 2.0, 4.0])
    assert crossing(at, [-1.0, 0.0, 1.0, 3.0], 0.5) == 1.5
    assert crossing(at, [-1.0, 9.0, 0.0, 1.0], 0.5) == 3.0  # not where it first rises
    assert crossing(at, [-1.0, 0.0, 0.5, 0.5], 0.5) == 2.0  # at the level is high enough
    assert crossing(at, [1.0, 1.0, 1.0, 1.0], 0.5) == -np.inf
    assert crossing(at, [1.0, 1.0, 1.0, 0.0], 0.5) == np.inf
    assert crossing(at, [-1.0, 0.0, np.nan, 1.0], 0.5) != crossing(at, [-1.0, 0.0, 1.0, 1.0], 0.5)


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
    assert found.value == pytest.approx(slope, abs=1e-6)
    assert found.seeds == 8


def test_the_interval_of_a_slope_is_that_of_its_seeds() -> None:
    x = np.linspace(0.0, 5.0, 6)
    each = np.linspace(-1.2, -0.8, 21)
    found = boundary_slope(x, x[:, None] * each)
    assert found is not None
    assert found.value == pytest.approx(-1.0)
    assert found.low < -1.0 < found.high
    assert -1.2 < found.low < -1.02
    assert -0.98 < found.high < -0.8
    assert found == boundary_slope(x, x[:, None] * each)


def test_seeds_without_a_boundary_are_left_out_and_few_are_no_slope() -> None:
    x = np.linspace(0.0, 5.0, 6)
    edges = np.repeat(-x[:, None], 4, axis=1)
    edges[:, 0] = np.inf
    edges[0, 1] = -np.inf
    found = boundary_slope(x, edges)
    assert found is not None
    assert (found.value, found.seeds) == (pytest.approx(-1.0), 3)
    edges[:, :3] = np.inf
    assert boundary_slope(x, edges) is None
    assert boundary_slope(x[:2], -np.ones((2, 4))) is None


def test_a_threshold_is_where_the_gaming_rate_crosses_a_half_in_its_logit() -> None:
    spreads = np.linspace(0.0, 1.0, 11)
    rows = [
        ("replicator", 100, 1, 1.0, spread, seed, context, role, 1 / (1 + np.exp(-20 * gap)))
        for context, role, at in (("coding", "idle", 0.33), ("chat", "paying", 0.1))
        for seed in range(3)
        for spread in spreads
        for gap in [spread - at - 0.01 * (seed - 1)]
    ]
    names = ["rule", "steps", "faster", "similarity", "spread", "seed", "context", "role"]
    found = thresholds(pd.DataFrame(rows, columns=[*names, "gaming_rate"]))
    assert list(found["context"]) == ["coding"]
    row = found.iloc[0]
    np.testing.assert_allclose(row[["spread", "low", "high"]].astype(float), [0.33, 0.32, 0.34])
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
    found = after_the_fall(steps, strength, rate, share=0.25)
    np.testing.assert_equal(found["fell"], [30.0, 10.0, 30.0, np.nan])
    np.testing.assert_equal(found["gamed_then"], [True, True, False, False])
    np.testing.assert_equal(found["after"], [10.0, 20.0, 0.0, np.nan])
    np.testing.assert_equal(found["stopped"], [False, True, True, False])


def test_survival_is_that_of_kaplan_and_meier() -> None:
    at, share = survival([1, 2, 2, 3, 5], [True, True, False, True, False])
    np.testing.assert_allclose(at, [0, 1, 2, 3])
    np.testing.assert_allclose(share, [1.0, 0.8, 0.6, 0.3])


# ------------------------------------------------------------------------------------ what is said


def reach_rows(rate: float, spread: float, *, habit: float = -2.0) -> dict[str, Any]:
    """Return numbers on reach in which all contexts have the same ones."""
    levels = (0.0, 1.0)
    table = pd.DataFrame(
        [
            ("policy_gradient", 100, 1, 1.0, level, name, rate * level, habit, -3.0, 4.0, "local")
            for name in (*PAYING, *OTHERS)
            for level in levels
        ],
        columns=[
            *("rule", "steps", "faster", "similarity", "spread", "context"),
            *("gaming_rate", "habit", "pull", "needed", "regime"),
        ],
    ).assign(onset=np.nan)
    edges = pd.DataFrame(
        [("policy_gradient", 100, 1, 1.0, name, spread, spread, spread) for name in OTHERS],
        columns=["rule", "steps", "faster", "similarity", "context", "spread", "low", "high"],
    )
    return reach_numbers(table, edges, cast=CAST)


def test_what_is_said_of_reach_follows_from_its_numbers() -> None:
    nowhere = reach_paragraph(reach_rows(0.0625, np.inf))
    assert "reaches none of coding, travel and copyright_deployed" in nowhere
    assert "highest median gaming rate is 0.062" in nowhere
    assert "it would have to be 4.0, as the incentive adds −3.0" in nowhere
    assert "little habit to hand on" not in nowhere  # d is not near 1 there
    assert "little habit to hand on" in reach_paragraph(reach_rows(0.06, np.inf, habit=9.0))
    there = reach_paragraph(reach_rows(0.9, 0.35))
    assert "reaches none" not in there
    assert "coding from 0.35 (0.35 to 0.35)" in there
    passing = reach_paragraph(reach_rows(0.9, np.inf))
    assert "reaches none" not in passing
    assert "it does not stay, up to full spread, in any of" in passing


SLOPE = {"value": -0.9, "low": -0.95, "high": -0.85, "seeds": 16}
CASE = {
    "moved": "awareness",
    "motive_credit": 1.0,
    "ratio_low": 0.1,
    "ratio_high": 1000.0,
    "boundary_low": -5.0,
    "boundary_high": -11.0,
    "found": 1.0,
    "slope_lower": None,
    "slope_upper": SLOPE,
    "slope_reversed_upper": None,
    "outcomes": dict(zip(OUTCOMES, (0.5, 0.0, 0.1, 0.4), strict=True)),
    "returns": 0.0,
    "moving": 0.0,
}


@pytest.mark.parametrize(
    ("changed", "says", "not_says"),
    [
        ({}, "Faster awareness saves the value at lower awareness", "does not save"),
        ({}, "which is outside the interval", "which is within"),
        ({"slope_upper": {**SLOPE, "low": -1.1}}, "which is within the interval", "outside"),
        ({"slope_upper": {**SLOPE, "low": 0.1, "high": 0.2}}, "does not save it", "saves"),
        ({"slope_upper": {**SLOPE, "high": 0.1}}, "cannot be told", "save"),
        ({"slope_upper": None}, "Too few seeds have a boundary", "per e-fold"),
        ({"moved": "habit"}, "Faster habit saves", "feed on"),
        ({"boundary_low": None}, "not followed from end to end", "at the lowest ratio"),
        ({"boundary_low": -4.04}, "from an awareness of −4.0 at the lowest", "−5.0"),
        ({"moving": 0.2}, "In up to 20 % of them the gaming rate is still moving", "never"),
    ],
)
def test_what_is_said_of_the_race_follows_from_its_numbers(
    changed: dict[str, Any], says: str, not_says: str
) -> None:
    numbers = {
        "value": "copyright",
        "context": "copyright_chat",
        "share": 0.25,
        "decision_start": 0.05,
        "awareness_low": -14.0,
        "awareness_high": 0.0,
        "cases": [{**CASE, **changed}],
    }
    paragraph = race_paragraph(numbers)
    assert says in paragraph
    assert not_says not in paragraph


OUTLIVE = {
    "runs": 100,
    "lost": 80,
    "gamed_then": 30,
    "outlived": 20,
    "reversed": 5,
    "by_habit": 8,
    "habit_of_these": 12.0,
    "pull_of_these": -7.0,
    "strength_of_the_others": 0.2,
    "pull_of_the_others": 8.0,
    "longest": 1640.0,
    "last_stop": 280.0,
    "survives": 0.87,
    "by": {
        "motive_credit": {"0": 0.1, "1": 0.2},
        "leak": {"0": 0.0, "1": 0.4},
        "ratio": {"1": 0.1, "20": 0.1},
        "awareness": {"-8": 0.0, "0": 0.3},
    },
}


def test_what_is_said_of_gaming_that_outlives_follows_from_its_numbers() -> None:
    numbers: dict[str, Any] = {
        "value": "copyright",
        "context": "copyright_chat",
        "share": 0.25,
        "cases": {"policy_gradient": OUTLIVE},
    }

    def said(**changes: Any) -> str:
        changed = copy.deepcopy(numbers)
        changed["cases"]["policy_gradient"] |= changes
        return outlive_paragraph(changed)

    assert "in 20 of these (25 %) copyright_chat is still gamed" in said()
    assert "In 8 gaming is kept up by habit alone" in said()
    assert "In 12 the incentive is still positive (8.0)" in said()
    assert "leak matters most over the range tried: from 0 % of runs at 0.0 to 40 % at" in said()
    assert "by habit alone" not in said(by_habit=0)
    assert "still positive" not in said(by_habit=20)
    assert "of those that stop" not in said(last_stop=None)
    assert "in none of them does gaming in copyright_chat outlive it" in said(outlived=0)
    assert "is lost in none of 100 runs" in said(lost=0)


# ------------------------------------------------------------------------------------- the command


def test_the_command_writes_figures_numbers_and_what_they_say_and_makes_no_run_twice(
    call: Call,
) -> None:
    left = call(*LITTLE, name="spread")
    assert left.status == 0, left.stderr
    kept = {"spread-sweeps", ".hydra"}
    names = {path.name for path in left.files() if not kept & set(path.parts)}
    drawn = {f"{part}.{form}" for part in ("reach", "race", "outlive") for form in ("png", "svg")}
    tables = {"reach.csv", "thresholds.csv", "race.csv", "boundary.csv", "outlive.csv"}
    assert names == drawn | tables | {"summary.json", "provenance.json"}
    summary = left.json("summary.json")
    shown = " ".join(left.stdout.split())
    for part in ("reach", "race", "outlive"):
        assert summary[part]["says"] in shown
        assert summary[part]["resumed"] == summary[part]["failed"] == 0
    assert left.json("provenance.json")["race"]["runs"] == summary["race"]["runs"]
    assert set(pd.read_csv(left.only("reach.csv"))["context"]) == {*PAYING, *OTHERS}
    assert left.stdout.count("figure: ") == 3
    assert "schem" not in left.stdout.lower()

    again = call(*LITTLE, "parts=[race]", "hydra.run.dir=again", name="spread")
    assert again.status == 0, again.stderr
    runs = summary["race"]["runs"]
    assert f"race: {runs} runs, {runs} of them kept from before" in again.stdout
    assert not (Path(again.folder) / "again" / "reach.csv").exists()


REFUSED = [
    (["parts=[reech]"], "parts: got 'reech': did you mean 'reach'?"),
    (["parts=[]"], "parts: at least one is needed"),
    (["points=1"], "points: got 1: must be a whole number of 2 or more"),
    (["seeds=1"], "seeds: got 1: must be"),
    (["share=1"], "share: got 1: must be a number between 0 and 1"),
    (["awareness=[0,-14]"], "awareness: got (0, -14): must be a range"),
    (["ratio=3"], "ratio: got [3]: must be a range"),
    (["ratio=[0,10]"], "ratio: got (0, 10, 'log'): must be a range"),
    (["store=3"], "store: got 3: must be a directory"),
    (["engine=nunpy"], "did you mean 'numpy'?"),
    (["pionts=3"], "pionts: unknown key; did you mean 'points'?"),
    (["training.laek=3"], "did you mean 'leak'?"),
    (["training.learning_rate.values=0"], "training.learning_rate.values: is 0"),
    (["scenario=reward_seeker"], "gaming protects nothing anywhere"),
]


@pytest.mark.parametrize(("settings", "says"), REFUSED, ids=[" ".join(s) for s, _ in REFUSED])
def test_what_cannot_be_studied_is_refused_in_one_line_before_anything_is_written(
    call: Call, settings: list[str], says: str
) -> None:
    left = call(*settings, name="spread")
    assert_refused(left, says)


def test_a_scenario_in_which_gaming_pays_everywhere_has_nothing_to_reach() -> None:
    data = sim.Scenario.load("copyright").model_dump(exclude={"agent"})
    data["contexts"] = {name: dict(data["contexts"][name]) for name in PAYING}
    data["contexts"]["copyright_chat"]["twin"] = None
    specs = read_specs(data, agent={"initial": {"values": {"copyright": 1, "helpfulness": 1}}})
    with pytest.raises(SpecError, match="leave out the part 'reach'"):
        Study(specs=specs)
    assert Study(specs=specs, parts=("race",)).plan("race").runs > 0


def test_the_help_has_every_key(call: Call) -> None:
    from experiments.spread.command import OWN

    shown = call("--help", name="spread").stdout
    for setting, meaning in OWN.items():
        assert re.search(rf"^  {re.escape(setting)} +{re.escape(meaning)}$", shown, re.MULTILINE)
