"""Sensitivity indices: known functions, what does nothing, what is constant, and what is said.

The intervals of the bootstrap hold 95 % each. A check that all of a handful hold a published value
uses twice the half-width (about four standard errors): with the fixed seed it passes or fails for
good, and over seeds it would fail by chance about once in 2,000 for each number.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sim
from experiments.sensitivity.compare import TOP, compare, spearman
from experiments.sensitivity.outcomes import (
    OUTCOMES,
    outcomes_of,
    plan_of,
    read_assumptions,
)
from experiments.sensitivity.text import said, title
from sim.analysis.after import PostTraining
from sim.analysis.sensitivity import (
    Indices,
    Sample,
    analyse,
    convergence,
    morris_sample,
    read_methods,
    sobol_sample,
)
from sim.analysis.worst_case import TERMS, Thresholds
from sim.specs.errors import SpecError
from sim.specs.overrides import Specs, apply_overrides, read_specs
from sim.sweeps.sweep import run_plan
from sim.takeover import read_deployment, read_oversight

ISHIGAMI = ("x1", "x2", "x3")


def ishigami(shares: np.ndarray, a: float = 7.0, b: float = 0.1) -> np.ndarray:
    x = np.pi * (2.0 * shares - 1.0)
    return np.asarray(
        np.sin(x[:, 0]) + a * np.sin(x[:, 1]) ** 2 + b * x[:, 2] ** 4 * np.sin(x[:, 0])
    )


def value(found: Indices, outcome: str, index: str) -> pd.DataFrame:
    frame = found.frame
    return frame[(frame["outcome"] == outcome) & (frame["index"] == index)].set_index("input")


def assert_within(rows: pd.DataFrame, expected: dict[str, float], times: float = 2.0) -> None:
    for name, number in expected.items():
        half = times * (rows["high"][name] - rows["value"][name])
        assert abs(rows["value"][name] - number) <= half + 1e-12, (name, rows.loc[name], number)


# ------------------------------------------------------------------------------ known functions


def test_sobol_indices_of_the_ishigami_function() -> None:
    """The closed form: D1, D2, D13 with a = 7, b = 0.1 (Ishigami and Homma 1990)."""
    a, b = 7.0, 0.1
    d1 = 0.5 * (1.0 + b * np.pi**4 / 5.0) ** 2
    d2 = a**2 / 8.0
    d13 = b**2 * np.pi**8 * (1.0 / 18.0 - 1.0 / 50.0)
    whole = d1 + d2 + d13
    sample = sobol_sample(ISHIGAMI, points=1024, second_order=True, seed=3)
    assert len(sample.shares) == 1024 * 8
    found = analyse(sample, {"y": ishigami(sample.shares)}, seed=3)
    assert_within(value(found, "y", "first"), {"x1": d1 / whole, "x2": d2 / whole, "x3": 0.0})
    total = {"x1": (d1 + d13) / whole, "x2": d2 / whole, "x3": d13 / whole}
    assert_within(value(found, "y", "total"), total)
    assert_within(
        value(found, "y", "second"), {"x1 × x2": 0.0, "x1 × x3": d13 / whole, "x2 × x3": 0.0}
    )
    assert found.main("y") == pytest.approx(list(total.values()), abs=0.05)
    assert not found.frame[found.frame["index"] == "total"]["wide"].any()


def test_morris_finds_who_matters_in_the_ishigami_function() -> None:
    """On the grid of 4 levels, a step of 2/3 leaves |sin| of x2 as it is or moves it by 3/4 a."""
    sample = morris_sample(ISHIGAMI, trajectories=200, seed=1)
    assert len(sample.shares) == 200 * 4
    found = analyse(sample, {"y": ishigami(sample.shares)}, seed=1)
    sign, size, sigma = (value(found, "y", index)["value"] for index in ("mu", "mu_star", "sigma"))
    # x2 takes -pi, -pi/3, pi/3, pi, and a step is from one of the outer to one of the inner two.
    assert size["x2"] == pytest.approx(7.0 * 0.75 / (2.0 / 3.0))
    assert (size >= sign.abs() - 1e-12).all()
    assert sigma["x3"] > 1.0  # it acts through x1 only: its effect has either sign
    assert abs(sign["x3"]) < 0.5 * size["x3"]


@pytest.mark.parametrize("second_order", [False, True])
def test_a_linear_function_has_shares_of_squares(second_order: bool) -> None:
    weights = np.array([4.0, 2.0, -1.0, 0.0])
    names = ("a", "b", "c", "nothing")
    sample = sobol_sample(names, points=512, second_order=second_order, seed=0)
    found = analyse(sample, {"y": 3.0 + sample.shares @ weights}, seed=0)
    expected = dict(zip(names, weights**2 / (weights**2).sum(), strict=True))
    for index in ("first", "total"):
        rows = value(found, "y", index)
        assert_within(rows, expected)
        assert rows["value"]["nothing"] == 0.0
    screened = morris_sample(names, trajectories=16, seed=0)
    found = analyse(screened, {"y": screened.shares @ weights}, seed=0)
    assert value(found, "y", "mu")["value"].to_numpy() == pytest.approx(weights)
    assert value(found, "y", "mu_star")["value"].to_numpy() == pytest.approx(np.abs(weights))
    assert value(found, "y", "sigma")["value"].to_numpy() == pytest.approx(0.0, abs=1e-9)


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    for seed in (0, 5):
        one, again = (sobol_sample(ISHIGAMI, points=16, seed=seed) for _ in range(2))
        np.testing.assert_array_equal(one.shares, again.shares)
        first, second = (
            analyse(one, {"y": ishigami(one.shares)}, seed=seed).frame for _ in range(2)
        )
        pd.testing.assert_frame_equal(first, second)
        walks = [morris_sample(ISHIGAMI, trajectories=9, seed=seed).shares for _ in range(2)]
        np.testing.assert_array_equal(*walks)
    assert not np.array_equal(one.shares, sobol_sample(ISHIGAMI, points=16, seed=6).shares)


# ------------------------------------------------------------------- constants, gaps, convergence


@pytest.mark.parametrize("method", ["sobol", "morris"])
def test_constant_and_undefined_outcomes_are_said(method: str) -> None:
    sample = (
        sobol_sample(ISHIGAMI, points=32)
        if method == "sobol"
        else morris_sample(ISHIGAMI, trajectories=32)
    )
    runs = len(sample.shares)
    outcomes = {
        "y": ishigami(sample.shares),
        "flat": np.full(runs, 0.1),
        "gone": np.full(runs, np.nan),
    }
    found = analyse(sample, outcomes)
    assert found.states == {"y": "varies", "flat": "constant", "gone": "undefined"}
    assert set(found.frame["outcome"]) == {"y"}
    assert np.isnan(found.main("flat")).all()
    compared = compare(found, ["y"], ["flat", "gone"])
    assert not compared.sound
    assert np.isnan(compared.rank_correlation)
    assert "nothing to compare" in title(compared)
    words = said(found, compared)
    assert "never varies: flat" in words["caution"]
    assert "not defined: gone" in words["caution"]
    assert "none of its outcomes varies" in words["worst_case"]


def test_a_block_with_a_gap_is_left_out_whole() -> None:
    sample = sobol_sample(ISHIGAMI, points=64, seed=2)
    answers = ishigami(sample.shares)
    holed = answers.copy()
    holed[sample.block * 7 + 2] = np.nan
    found = analyse(sample, {"y": answers, "holed": holed}, seed=2)
    assert found.left_out == {"y": 0, "holed": 1}
    kept = sample.only(np.arange(64) != 7)
    alone = analyse(kept, {"holed": np.delete(answers.reshape(64, -1), 7, axis=0).ravel()}, seed=2)
    assert found.main("holed") == pytest.approx(alone.main("holed"))
    assert set(value(found, "holed", "total")["blocks"]) == {63}


def test_convergence_looks_at_a_quarter_half_and_all() -> None:
    sample = sobol_sample(ISHIGAMI, points=256, seed=0)
    outcomes = {"y": ishigami(sample.shares)}
    found = analyse(sample, outcomes, seed=0)
    table = convergence(sample, outcomes, found, seed=0)
    assert list(dict.fromkeys(table["blocks"])) == [64, 128, 256]
    last = table[table["blocks"] == 256]
    assert list(last["value"]) == pytest.approx(list(found.main("y")))
    fewer = Sample(
        method="sobol", names=ISHIGAMI, shares=sample.shares[: 64 * sample.block], block=5
    )
    quarter = analyse(fewer, {"y": ishigami(fewer.shares)}, seed=0)
    assert list(table[table["blocks"] == 64]["value"]) == pytest.approx(list(quarter.main("y")))
    width = (table["high"] - table["low"]).groupby(table["blocks"]).mean()
    assert width[256] < width[64]
    assert bool(table[table["blocks"] == 64]["wide"].any())


# ---------------------------------------------------------------------------------- two groups


def test_groups_that_hang_on_the_same_or_on_other_inputs() -> None:
    names = tuple("abcdefgh")
    falling = 2.0 ** -np.arange(8)
    sample = sobol_sample(names, points=256, seed=0)
    found = analyse(
        sample,
        {
            "one": sample.shares @ falling,
            "same": 5.0 * sample.shares @ falling,
            "turned": sample.shares @ falling[::-1],
        },
        seed=0,
    )
    alike = compare(found, ["one"], ["same"])
    assert alike.rank_correlation == pytest.approx(1.0)
    assert alike.shared == tuple("abcde")
    assert (alike.shared_low, alike.shared_high) == (TOP, TOP)
    assert "the same assumptions matter for both" in said(found, alike)["comparison"]
    apart = compare(found, ["one"], ["turned"])
    assert apart.rank_correlation == pytest.approx(-1.0)
    assert apart.rank_high < 0.0
    assert apart.shared == ("d", "e")
    assert list(apart.top("right")["input"]) == list("hgfed")
    assert "says little" in said(found, apart)["comparison"]
    assert "hangs most on a, the worst case on h; 2 of the top 5" in title(apart)


def test_spearman_by_hand() -> None:
    assert spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])) == pytest.approx(0.5)
    ties = spearman(np.array([1.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0]))
    assert ties == pytest.approx(np.sqrt(3.0) / 2.0)
    assert np.isnan(spearman(np.ones(3), np.arange(3.0)))


# ------------------------------------------------------------------------------- runs as answers

LITTLE = {"agent.initial.awareness": [-4, 2], "training.transfer": [0.001, 1.0, "log"]}


@pytest.fixture(scope="module")
def specs() -> Specs:
    return read_specs(
        "lab_to_deployment",
        agent={"initial": {"values": {"power": 1.0, "care": 0.5}}},
        training={"steps": 40},
    )


def after_of(specs: Specs) -> PostTraining:
    return PostTraining(
        oversight=read_oversight(None, specs.scenario),
        deployment=read_deployment(None, specs.scenario),
        thresholds=Thresholds(),
    )


def test_an_outcome_is_what_a_single_run_says(specs: Specs, tmp_path: Path) -> None:
    """Each number again, from `simulate`, `worst_case` and `prospects` of the same settings."""
    assumptions = read_assumptions(LITTLE, specs)
    sample = morris_sample(list(assumptions), trajectories=8)
    plan = plan_of(sample, assumptions, specs, seed=4, engine="numpy")
    sweep = run_plan(plan, store=tmp_path / "store")
    outcomes = outcomes_of(sweep.frame, specs, after_of(specs))
    assert tuple(outcomes) == OUTCOMES
    for run in (0, 13):
        settings = {key: float(sweep.frame[key][run]) for key in assumptions}
        span = assumptions["training.transfer"]
        share = np.log(settings["training.transfer"] / span.low) / np.log(span.high / span.low)
        assert share == pytest.approx(sample.shares[run, 1])
        assert settings["agent.initial.awareness"] == pytest.approx(-4 + 6 * sample.shares[run, 0])
        changed = apply_overrides(specs, settings)
        result = sim.simulate(
            changed.scenario, agent=changed.agent, training=changed.training, agents=1, seed=4,
            record_every=1, engine="numpy",
        )  # fmt: skip
        now, worst = result.data.isel(step=-1, agent=0), sim.worst_case(result).isel(agent=0)
        trained = [n for n, c in specs.scenario.contexts.items() if c.kind == "training"]
        expected: dict[str, Any] = {
            "gaming_rate": now["gaming_rate"].sel(context=trained).mean(),
            "onset": result.data["onset"].isel(agent=0).sel(context=trained).fillna(40.0).min(),
            "terms_met": worst["met"].sum(),
            "log_success": np.log10(max(float(worst["success"]), 1e-12)),
            "gain": worst["gain"],
            **{name: now[name] for name in ("reach", "value_drift", "alignment")},
            **{term: worst["number"].sel(term=term) for term in TERMS[1:]},
        }
        for name, number in expected.items():
            assert outcomes[name][run] == pytest.approx(float(number), abs=1e-12), name
    assert (sweep.frame["error"].isna()).all()


def test_a_failed_run_has_no_outcome(specs: Specs, tmp_path: Path) -> None:
    assumptions = read_assumptions(LITTLE, specs)
    plan = plan_of(
        morris_sample(list(assumptions), trajectories=8), assumptions, specs, seed=0, engine="numpy"
    )
    frame = run_plan(plan, store=tmp_path / "store").frame
    frame["error"] = [None, "grew out of all bounds", *[None] * (len(frame) - 2)]
    outcomes = outcomes_of(frame, specs, after_of(specs))
    for name in OUTCOMES:
        assert np.isnan(outcomes[name][1]), name
    assert np.isfinite(outcomes["terms_met"][[0, 2]]).all()


# -------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({**LITTLE, "agent.awarenes": [0, 1]}, "did you mean 'awareness'"),
        ({**LITTLE, "training.leek": [0, 1]}, "did you mean 'leak'"),
        ({**LITTLE, "training.leak": [1, 0]}, "assumptions.training.leak: got [1, 0]"),
        ({**LITTLE, "training.anchor": [0, 1, "log"]}, "above 0 where the scale is a logarithm"),
        ({**LITTLE, "training.leak": [0, 2]}, "training.leak"),
        ({**LITTLE, "training.leak": 0.5}, "assumptions.training.leak: got [0.5]"),
        ({**LITTLE, "training.steps": [10, 20]}, "training.steps"),
        ({**LITTLE, "agent.awareness": [0, 1]}, "agent.awareness: is given twice"),
        ({**LITTLE, "agent.initial.values.money": [0, 1]}, "money"),
        ({"training.leak": [0, 1], "training.spread": None}, "at least 2"),
        ([1], "must be a mapping"),
    ],
)
def test_assumptions_that_cannot_be_used(given: object, says: str, specs: Specs) -> None:
    with pytest.raises(SpecError, match=re.escape(says)) as caught:
        read_assumptions(given, specs)
    assert "\n" not in str(caught.value)


def test_samples_that_cannot_be_drawn() -> None:
    with pytest.raises(SpecError, match="power of 2, such as 64 or 128"):
        sobol_sample(ISHIGAMI, points=100)
    with pytest.raises(SpecError, match="levels: got 5: must be even"):
        morris_sample(ISHIGAMI, trajectories=8, levels=5)
    with pytest.raises(SpecError, match="trajectories: got 2"):
        morris_sample(ISHIGAMI, trajectories=2)
    with pytest.raises(SpecError, match="did you mean 'sobol'"):
        read_methods(["sobl"])
    assert read_methods("sobol") == ("sobol",)
