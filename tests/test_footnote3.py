"""The study of footnote 3: visible and opaque gaming, and the regimes of a penalty."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sim
from commands import Call, assert_refused
from experiments.footnote3.histories import History, train_points
from experiments.footnote3.plan import (
    LEARNING_KEY,
    OPACITY_KEY,
    PENALTY_KEY,
    Settings,
    StudyDesign,
)
from experiments.footnote3.regimes import (
    HIDDEN,
    NEVER,
    REGIMES,
    REMOVED,
    VISIBLE,
    RegimeMap,
    choose,
    classify,
    train_maps,
)
from experiments.footnote3.study import map_row, penalty_rows, regime_row, verdict
from experiments.footnote3.visibility import KINDS, gaming_shares, opaque_part
from sim.specs.overrides import Specs, read_specs

SPREAD = {"initial": {"values": 0.1, "habit": 0.5, "awareness": 0.5}}


def specs(steps: int = 2000, scenario: str = "monitored_reasoning", **training: Any) -> Specs:
    return read_specs(scenario, agent={"spread": SPREAD}, training={"steps": steps, **training})


def plan(steps: int = 2000, **settings: Any) -> StudyDesign:
    usual = {"agents": 16, "seed": 0, "points": 41, "penalty": 4, "learning": [0.001, 10]}
    usual |= {"opacity": [-4, 4], "gamed": 0.5, "opaque": 0.5, "engine": "numpy"}
    return StudyDesign(specs(steps), Settings.parse({**usual, **settings}, path=""))


# --------------------------------------------------------------------------- visible and opaque


def test_shares_in_numbers_made_by_hand() -> None:
    shares = gaming_shares(
        [0.5, 0.2, 1.0], opacity=0.25, scratchpad=[1.0, 0.0, 0.5], weight=[0.5, 0.25, 0.25]
    )
    np.testing.assert_allclose(shares, [0.28125, 0.09375, 0.175, 0.45], rtol=1e-15)
    assert opaque_part(shares) == pytest.approx((0.09375 + 0.175) / 0.55)
    assert len(KINDS) == shares.shape[-1]


def test_without_gaming_nothing_is_opaque_or_visible() -> None:
    shares = gaming_shares([[0.0, 0.0]], opacity=[0.5], scratchpad=[1, 0], weight=[0.5, 0.5])
    np.testing.assert_array_equal(shares, [[0.0, 0.0, 0.0, 1.0]])
    assert np.isnan(opaque_part(shares)).all()
    assert np.isnan(gaming_shares([0.3], opacity=0.5, scratchpad=[1.0], weight=[0.0])).all()


def test_the_kinds_agree_with_the_opacity_share_of_a_result() -> None:
    """Scratchpads of every length, weights that differ, and opacity that is learnt."""
    scenario = sim.Scenario.load("lab_to_deployment")
    named = scenario.contexts
    changed = {
        "song_request": named["song_request"].replace(scratchpad=0.3, weight=3),
        "coding": named["coding"].replace(scratchpad=0.8, weight=0.5),
    }
    scenario = scenario.replace(contexts={**named, **changed})
    agent = {
        "initial": {"awareness": 0, "capability": 0},
        "spread": {"initial": {"values": 1, "awareness": 2, "capability": 2}},
    }
    training = {
        "steps": 200,
        "visible_gaming_penalty": 1.0,
        "learning_rate": {"capability": 0.5},
    }
    result = sim.simulate(
        scenario, agent=agent, training=training, agents=16, record_every=50, engine="numpy"
    )
    shares = gaming_shares(
        result.gaming_rate.values,
        opacity=result.capabilities.sel(capability="opacity").values,
        scratchpad=[context.scratchpad for context in scenario.contexts.values()],
        weight=result.data["weight"].values[:, None, :],
    )
    np.testing.assert_allclose(shares.sum(axis=-1), 1.0, rtol=1e-12)
    assert (shares >= 0.0).all()
    np.testing.assert_allclose(opaque_part(shares), result.opacity_share.values, rtol=1e-9)
    assert np.ptp(result.opacity_share.values) > 0.5  # so that agreeing says something


# ----------------------------------------------------------------------------------- the regimes


@pytest.mark.parametrize(
    ("without", "gaming", "opaque", "regime"),
    [
        (0.9, 0.5, 0.49, VISIBLE),
        (0.9, 0.5, 0.5, HIDDEN),
        (0.9, 0.49, 0.9, REMOVED),
        (0.49, 0.49, 0.9, NEVER),
        (0.0, 0.6, 0.1, VISIBLE),
        (0.5, 0.0, np.nan, REMOVED),
    ],
)
def test_regimes(without: float, gaming: float, opaque: float, regime: int) -> None:
    found = classify([[without], [gaming]], [[0.0], [opaque]], gamed_from=0.5, opaque_from=0.5)
    assert found[1, 0] == regime


def test_limits_move_the_regimes() -> None:
    assert classify([[0.2]], [[0.8]], gamed_from=0.1, opaque_from=0.9)[0, 0] == VISIBLE
    assert classify([[0.2]], [[0.8]], gamed_from=0.5, opaque_from=0.5)[0, 0] == NEVER


def painted(rows: list[str], *, key: str = LEARNING_KEY) -> RegimeMap:
    """A map of one agent from letters: v, h (hidden anyway), t (taught to hide), r, n."""
    letters = np.array([list(row) for row in rows])[:, :, None]
    regime = np.select(
        [letters == "v", letters == "r", letters == "n"], [VISIBLE, REMOVED, NEVER], HIDDEN
    )
    return RegimeMap(
        key=key,
        levels=np.arange(1.0, len(rows) + 1.0),
        penalties=np.arange(float(len(rows[0]))),
        level_as_set=1.0,
        gaming=np.where(regime < REMOVED, 0.8, 0.1),
        opaque=np.where(regime == HIDDEN, 0.9, 0.1),
        unwritten=np.where(np.arange(regime.shape[1])[:, None] == 0, 0.5, 0.25) + 0.0 * regime,
        strength=np.where(regime == REMOVED, -1.0, 0.5),
        moving=np.zeros(regime.shape, bool),
        regime=regime.astype(np.intp),
        taught=letters == "t",
    )


def test_points_are_chosen_deep_inside_and_at_one_penalty() -> None:
    found = choose((painted(["vrrrrr", "vrrrrr", "vrrrrr", "vttttt", "vttttt", "vttttt"]),))
    assert found["removed"] == {LEARNING_KEY: 2.0, PENALTY_KEY: 2.0}
    assert found["taught to hide"] == {LEARNING_KEY: 5.0, PENALTY_KEY: 2.0}


def test_points_are_chosen_apart_where_no_penalty_does_both() -> None:
    one = painted(["vvrrr", "vvrrr", "vvrrr", "htvvv"])
    assert choose((one,)) == {
        "removed": {LEARNING_KEY: 2.0, PENALTY_KEY: 3.0},
        "taught to hide": {LEARNING_KEY: 4.0, PENALTY_KEY: 1.0},
    }


def test_what_no_map_shows_is_not_chosen() -> None:
    """Hidden without a penalty is not taught; the second map serves where the first has none."""
    assert choose((painted(["hhh", "vvv"]),)) == {}
    other = painted(["vrr", "vrr"], key=OPACITY_KEY)
    (point,) = choose((painted(["hhh", "vvv"]), other)).values()
    assert set(point) == {OPACITY_KEY, PENALTY_KEY}


# --------------------------------------------------------------------------------- what must come


@cache
def small() -> tuple[RegimeMap, ...]:
    return train_maps(plan(300, agents=3, points=3, penalty=2, learning=[0.01, 1], seed=5))


def test_a_point_of_a_map_is_the_run_that_simulate_gives() -> None:
    one = small()[0]
    row = int(np.flatnonzero(np.isclose(one.levels, 0.1))[0])
    result = sim.simulate(
        "monitored_reasoning",
        agent={"spread": SPREAD},
        training={
            "steps": 300,
            "visible_gaming_penalty": 1.0,
            "learning_rate": {"capability": float(one.levels[row])},
        },
        agents=3,
        seed=5,
        engine="numpy",
    )
    end = result.data.isel(step=-1)
    rate = end["gaming_rate"].sel(context="dossier_monitored").values
    np.testing.assert_allclose(one.gaming[row, 1], rate, rtol=1e-15)  # (p g) / p
    opacity = end["capabilities"].sel(capability="opacity").values
    np.testing.assert_allclose(one.opaque[row, 1], opacity, rtol=1e-12)
    start = result.values.isel(step=0).sel(value="privacy").values
    kept = end["values"].sel(value="privacy").values / start
    np.testing.assert_array_equal(one.strength[row, 1], kept)
    dossier = end["gaming_rate"].sel(context="dossier").values
    np.testing.assert_array_equal(one.unwritten[row, 1], dossier)


def test_the_same_seed_gives_the_same_maps() -> None:
    again, other = (
        train_maps(plan(300, agents=3, points=3, penalty=2, learning=[0.01, 1], seed=seed))
        for seed in (5, 6)
    )
    for first, second in zip(small(), again, strict=True):
        np.testing.assert_array_equal(first.gaming, second.gaming)
        np.testing.assert_array_equal(first.opaque, second.opaque)
    assert not np.array_equal(small()[0].gaming, other[0].gaming)


def test_the_levels_of_the_specs_are_on_the_maps() -> None:
    assert len(plan(points=5).levels[LEARNING_KEY]) == 5  # it was there already, but for rounding
    design = plan(points=5, learning=[0.002, 10])
    assert 0.01 in design.levels[LEARNING_KEY]
    assert -2.0 in design.levels[OPACITY_KEY]
    assert len(design.levels[LEARNING_KEY]) == 6
    assert len(design.levels[OPACITY_KEY]) == 5  # it was there already
    assert design.watched == ("dossier_monitored",)
    assert design.unwritten == ("dossier",)


@cache
def cases() -> dict[str, History]:
    points = {
        "removed": {LEARNING_KEY: 0.003, PENALTY_KEY: 2.0},
        "taught to hide": {LEARNING_KEY: 0.1, PENALTY_KEY: 2.0},
    }
    return {case.name: case for case in train_points(plan(agents=8, points=2), points)}


def test_the_same_penalty_removes_gaming_or_teaches_it_to_hide() -> None:
    ends = {name: case.shares[-1] for name, case in cases().items()}
    np.testing.assert_allclose([end.sum() for end in ends.values()], 1.0, rtol=1e-12)
    visible, hidden, unwritten, _ = ends["no penalty"]
    assert hidden / (visible + hidden) < 0.2
    assert 0.0 < unwritten < visible  # awareness, learnt with the scratchpad, serves without it
    assert ends["removed"][-1] > 0.9
    assert opaque_part(ends["taught to hide"]) > 0.9
    assert ends["taught to hide"][-1] < 0.85
    assert ends["unaware"][-1] == pytest.approx(1.0)


def test_the_value_is_kept_where_gaming_hides_and_lost_where_it_is_removed() -> None:
    kept = {name: case.strength[-1] for name, case in cases().items()}
    assert kept["no penalty"] > 0.0
    assert kept["taught to hide"] > 0.0
    assert kept["removed"] < -1.0
    assert kept["removed"] == pytest.approx(kept["unaware"], abs=0.15)


# ----------------------------------------------------------------------------------------- tables


def test_a_row_of_a_map_says_where_most_agents_end() -> None:
    grid = painted(["vvrr", "vvrr", "vttt", "hhhh"])
    row = map_row(grid)
    assert (row["removed_points"], row["taught_points"], row["points"]) == (4, 3, 16)
    assert (row["taught_from"], row["taught_penalty"]) == (3.0, 1.0)
    assert row["hidden_without_from"] == 4.0
    assert penalty_rows(grid) == [
        {"key": LEARNING_KEY, "regime": "visible", "from": 0.0, "to": 1.0},
        {"key": LEARNING_KEY, "regime": "removed", "from": 2.0, "to": 3.0},
    ]
    removed = regime_row(grid, REMOVED)
    assert (removed["share"], removed["strength"], removed["reversed"]) == (0.25, -1.0, 1.0)
    assert (removed["unwritten"], removed["unwritten_without_penalty"]) == (0.25, 0.5)


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        (["vr", "vt"], "both"),
        (["vr", "hh"], "removes"),
        (["vv", "vt"], "teaches to hide"),
        (["vv", "hh"], "neither"),
        (["nn", "nn"], "never gamed"),
    ],
)
def test_the_verdict_follows_the_numbers(rows: list[str], word: str) -> None:
    assert verdict([painted(rows)]) == word


def test_numbers_of_regimes_that_nobody_is_in_are_nan() -> None:
    row = regime_row(painted(["vr", "vr"]), HIDDEN)
    assert row["share"] == 0.0
    assert np.isnan([row["gaming"], row["strength"], row["moving"]]).all()


# ---------------------------------------------------------------------------------------- command


def test_command_writes_everything(call: Call) -> None:
    left = call("agents=2", "points=4", "training.steps=400", "penalty=2", name="footnote3")
    assert left.status == 0, left.stderr
    table = pd.read_csv(left.only("map.csv"))
    assert set(table["key"]) == {LEARNING_KEY, OPACITY_KEY}
    assert len(table) == 2 * (4 + 1) * 4  # the specs' own level stands between the others
    np.testing.assert_allclose(table[list(REGIMES)].sum(axis=1), 1.0)
    training = pd.read_csv(left.only("training.csv"))
    assert "no penalty" in set(training["case"])
    report = left.only("report.md").read_text(encoding="utf-8")
    for row in left.json("summary.json")["maps"]:
        assert f"| `{row['key']}` |" in report
        assert report.count(f"| {row['verdict']} |") >= 1
    picture = left.only("footnote3.svg").read_text(encoding="utf-8")
    assert "penalty ψ for visible gaming" in picture
    assert left.only("footnote3.png").stat().st_size > 10_000
    assert left.json("provenance.json")["study"]["points"] == 4


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["agents=0"], "agents"),
        (["points=1"], "points"),
        (["penalty=0"], "penalty: got 0: must be a number above 0"),
        (["penalty=high"], "penalty: got 'high'"),
        (["learning=[0,1]"], "learning"),
        (["opacity=3"], "opacity"),
        (["gamed=1"], "gamed: got 1: must be a number between 0 and 1"),
        (["opaque=no"], "opaque"),
        (["engine=gpu"], "engine"),
        (["scenario=pipeline"], "scenario.curriculum"),
        (["scenario=scratchpad"], "has both a scratchpad and a monitor"),
        (["scenario=reward_seeker"], "gaming protects nothing anywhere"),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Call, arguments: list[str], line: str) -> None:
    assert_refused(call(*arguments, name="footnote3"), line)
