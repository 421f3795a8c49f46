"""The study of evidence: scores, hypotheses, cut paths of cause, verdicts, and the command."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import sim
from commands import Call, assert_refused
from experiments.evidence.causes import CUTS, cause_table, cuts
from experiments.evidence.hypotheses import HYPOTHESES, by_contexts, hypotheses
from experiments.evidence.scores import calibration, score_of
from experiments.evidence.study import Settings, run, tables
from experiments.evidence.verdicts import peaks
from sim.analysis.counterfactuals import MOMENT_VARIABLES, moment_of
from sim.analysis.likelihood_ratios import FEWEST, likelihood_table
from sim.analysis.observations import contexts_gamed
from sim.analysis.worst_case import PostTraining
from sim.specs.overrides import read_specs
from sim.specs.prior import Prior
from sim.specs.scenario import Scenario
from sim.sweeps.prior_sample import PriorSample
from sim.utils.intervals import interval_verdict
from test_likelihood_ratios import P_TRUE, population

LAB = Scenario.load("lab_to_deployment")
SMALL = ("agents=40", "training.steps=20", "engine=numpy", "priors=[benign]")
SAMPLE = PriorSample(Prior.load("uninformed"), points=24, scenario=LAB)


def test_area_under_the_curve() -> None:
    """Against every pair counted by hand."""
    count = np.array([0, 1, 1, 2, 3, 0, 2, 3, 3, 1])
    true = np.array([0, 0, 1, 1, 1, 0, 0, 1, 0, 0], bool)
    pairs = [(a > b) + 0.5 * (a == b) for a in count[true] for b in count[~true]]
    few, many = score_of(count, true), score_of(np.repeat(count, 50), np.repeat(true, 50))
    assert few.auc == many.auc == pytest.approx(np.mean(pairs))
    assert np.isnan(few.low)  # 4 are too few
    assert np.trapezoid(few.hits, few.false_alarms) == pytest.approx(few.auc)
    assert many.low < many.auc < many.high


def test_predictions_of_a_known_population_are_calibrated() -> None:
    """Within 4.5 standard errors: false alarm in fewer than 1 of 10,000 seeds."""
    true, seen = population(40_000, seed=7)
    table, errors = calibration({"O": seen}, true)
    assert len(table) == 2
    error = np.sqrt(2 * table["share"] * (1 - table["share"]) / table["agents"])
    assert (np.abs(table["predicted"] - table["share"]) < 4.5 * error).all()
    assert table["share"].between(table["low"], table["high"]).all()
    best = 0.38 * 0.3684 * 0.6316 + 0.62 * 0.0968 * 0.9032  # Brier's score of the true chances
    assert errors["score"] == pytest.approx(best, abs=0.005)
    assert errors["score"] < errors["score_prior"]
    assert errors["score_prior"] == pytest.approx(P_TRUE * (1 - P_TRUE), abs=0.005)


def test_what_cause_adds_is_the_difference_of_logarithms() -> None:
    true, seen = population(5000, seed=2)
    cut, _ = population(5000, seed=3)
    by_cut = {"gaming": {"misalignment": cut}}
    row = cause_table({"O": seen}, {"misalignment": true}, by_cut).iloc[0]
    ratios = [likelihood_table({"O": seen}, {"H": h}).iloc[0]["ratio"] for h in (true, cut)]
    assert row[["ratio", "ratio_cut"]].tolist() == pytest.approx(ratios)
    assert row["adds"] == pytest.approx(np.log(ratios[0] / ratios[1]))
    assert row["adds_low"] < row["adds"] < row["adds_high"]
    same = cause_table({"O": seen}, {"H": true}, {"feedback": {"H": true}}).iloc[0]
    assert same["adds"] == same["adds_low"] == same["adds_high"] == 0.0  # draws are paired
    few = np.arange(5000) < 2 * FEWEST - 2
    row = cause_table({"O": seen | few}, {"H": few}, {"feedback": {"H": few}}).iloc[0]
    assert row["few"] == likelihood_table({"O": seen | few}, {"H": few}).iloc[0]["few"] == -1
    contexts = np.array([0, 0, 2, 2, 2])
    table = by_contexts(contexts, {"H": np.array([True, False, True, True, False])}, maximum=2)
    assert table["agents"].tolist() == [2, 0, 3]
    assert table["share"].tolist()[::2] == pytest.approx([0.5, 2 / 3])
    assert (table["low"][1], table["high"][1]) == (0.0, 1.0)


@cache
def trained(world: str, games: bool = True) -> xr.Dataset:
    never: list[Any] = [] if games else [{"key": "gaming", "set": 0}]
    do: list[Any] = [*cuts(60).get(world, ()), *never]
    sweep = sim.sweep(LAB, design=SAMPLE, training={"steps": 60}, interventions=do, engine="numpy")
    return moment_of(sweep.frame, LAB)


def test_a_moment_of_a_sweep_is_that_of_a_result() -> None:
    state, row = trained("full"), 11
    settings = {key: float(column[row]) for key, column in SAMPLE.at(np.arange(24)).items()}
    specs = sim.specs.overrides.apply_overrides(
        sim.specs.overrides.read_specs(LAB, agent={"initial": {"values": {}}}), settings
    )
    result = sim.simulate(LAB, agent=specs.agent, training={"steps": 60}, engine="numpy")
    last = result.data.isel(step=-1, agent=0)
    for name in (*MOMENT_VARIABLES, "capabilities"):
        np.testing.assert_allclose(state[name][row], last[name].values, atol=1e-12, err_msg=name)
    case = sim.worst_case(result)
    true = hypotheses(
        state, LAB, post_training=PostTraining.default(LAB), lacking=2, aligned=0.5, games=0.5
    )
    assert tuple(true) == tuple(HYPOTHESES)
    assert true["worst case"][row] == bool(case["worst_case"][0])
    assert true["near worst case"][row] == (int(case["lacking"][0]) <= 2)
    assert true["would attempt"][row] == bool(case["attempts"][0])


def test_cutting_changes_those_who_game_and_nobody_else() -> None:
    never = trained("full", games=False)
    xr.testing.assert_identical(never, trained("feedback", games=False))
    cut_gaming = trained("gaming")  # measured free of it, after the same training
    learnt = [*("values", "awareness_logit", "log_horizon", "log_competence", "capabilities")]
    xr.testing.assert_identical(never[learnt], cut_gaming[learnt])
    assert contexts_gamed(cut_gaming, LAB).any()
    assert not contexts_gamed(never, LAB).any()
    assert (never["alignment"] >= 0.5).any()
    true = hypotheses(
        never, LAB, post_training=PostTraining.default(LAB), lacking=2, aligned=0.5, games=0.5
    )
    assert not true["aligned gamer"].any()
    full, cut = trained("full"), trained("feedback")
    games = contexts_gamed(full, LAB) > 0
    assert games.any()
    moved = np.abs(full["capabilities"].values - cut["capabilities"].values).max(axis=1)
    assert (moved[games] > 1e-6).all()
    q = SAMPLE.at(np.arange(24))["agent.initial.capability.opacity"]
    opacity = cut["capabilities"].sel(capability="opacity")
    np.testing.assert_allclose(opacity, 1 / (1 + np.exp(-q)), rtol=1e-12)


def test_verdicts_follow_intervals_and_shares() -> None:
    for low, high, verdict in [(1.1, 2, "for"), (0.2, 0.9, "against"), (0.9, 1.1, "open")]:
        assert interval_verdict(low, high, ("for", "against"), neutral=1.0) == verdict
    ends = {"rises": [0.1, 0.2, 0.4], "rises and falls": [0.1, 0.9, 0.1], "nobody": [0.0] * 3}
    ends |= {"intervals overlap": [0.1, 0.22, 0.2], "highest at the end": [0.3, 0.1, 0.4]}
    for verdict, shares in ends.items():
        rows = {"prior_name": "p", "hypothesis": "h", "contexts": range(3), "share": shares}
        table = pd.DataFrame({**rows, "low": np.array(shares) - 0.05, "agents": 50})
        assert peaks(table.assign(high=table["share"] + 0.05))["verdict"].tolist() == [verdict]


def test_every_population_is_kept_and_none_is_trained_twice(tmp_path: Path) -> None:
    thresholds = {"games": 0.5, "opaque": 0.5, "gap": 0.3, "shift": 0.3, "early": 0.25}
    settings = Settings(
        agents=24,
        priors=["uninformed", "benign"],
        cut=True,
        lacking=2,
        aligned=0.5,
        seed=0,
        engine="numpy",
        store=str(tmp_path),
        seeing={**thresholds, "context": None},
    )
    specs = read_specs(LAB, training={"steps": 20})
    first = run(specs, settings, PostTraining.default(LAB))
    populations = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/summary/*")}
    assert len(populations) == len(list(tmp_path.iterdir())) == 6
    again = run(specs, settings, PostTraining.default(LAB))
    assert populations == {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/summary/*")}
    for name, table in tables(first).items():
        pd.testing.assert_frame_equal(table, tables(again)[name])
    assert set(first.evidence["prior_name"]) == {"uninformed", "benign"}
    assert set(first.evidence["hypothesis"]) == set(HYPOTHESES)
    assert set(first.evidence["agents"]) == {24}
    assert set(first.cause["cut"]) == set(CUTS)


@pytest.mark.slow
def test_settings_are_heard(call: Call) -> None:
    settings = ("cut=false", "store=null", "thresholds.misalignment=0.99", "seeing.context=coding")
    left = call(*SMALL, *settings, name="evidence")
    assert left.status == 0, left.stderr
    table = pd.read_csv(left.only("evidence.csv"))
    assert table["observation"][0] == "games in coding"
    assert (table[table["hypothesis"] == "misalignment"]["prior"] > 0.9).all()
    assert not list(left.folder.rglob("cause.csv"))
    assert not list(left.folder.rglob("evidence-sweeps"))
    assert left.json("provenance.json")["study"]["priors"]["benign"]["goals"]["sd"] == 0.5


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("priors=[capabel]", "did you mean 'capable'"),
        ("priors=[]", "priors: got []"),
        ("priors=[benign,benign]", "must be a list of different names"),
        ("agents=1", "agents: got 1"),
        ("cut=3", "cut: got 3"),
        ("lacking=-1", "lacking: got -1"),
        ("aligned=-1", "aligned: got -1"),
        ("seeing.gap=2", "seeing.gap: got 2"),
        ("seeing.context=codng", "did you mean 'coding'"),
        ("thresholds.consistancy=1", "did you mean 'consistency'"),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Call, setting: str, line: str) -> None:
    assert_refused(call(setting, name="evidence"), line)
