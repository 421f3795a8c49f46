"""Sensitivity indices of known functions, of constants and of gaps.

The intervals of the bootstrap hold 95 % each. A check that all of a handful hold a published value
uses twice the half-width (about four standard errors): with the fixed seed it passes or fails for
good, and over seeds it would fail by chance about once in 2,000 for each number.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest

from refusals import assert_all_refused
from sim.analysis.sensitivity import (
    Indices,
    Sample,
    analyse,
    convergence,
    morris_sample,
    sobol_sample,
)

ISHIGAMI = ("x1", "x2", "x3")


def ishigami(shares: np.ndarray, a: float = 7.0, b: float = 0.1) -> np.ndarray:
    x = np.pi * (2.0 * shares - 1.0)
    return np.asarray(
        np.sin(x[:, 0]) + a * np.sin(x[:, 1]) ** 2 + b * x[:, 2] ** 4 * np.sin(x[:, 0])
    )


def rows_of(indices: Indices, outcome: str, index: str) -> pd.DataFrame:
    frame = indices.frame
    return frame[(frame["outcome"] == outcome) & (frame["index"] == index)].set_index("input")


def assert_within(rows: pd.DataFrame, expected: dict[str, float]) -> None:
    for name, number in expected.items():
        half = 2.0 * (rows["high"][name] - rows["value"][name])
        assert abs(rows["value"][name] - number) <= half + 1e-12, (name, rows.loc[name], number)


def test_sobol_indices_of_the_ishigami_function() -> None:
    """The closed form: D1, D2, D13 with a = 7, b = 0.1 (Ishigami and Homma 1990)."""
    a, b = 7.0, 0.1
    d1 = 0.5 * (1.0 + b * np.pi**4 / 5.0) ** 2
    d2 = a**2 / 8.0
    d13 = b**2 * np.pi**8 * (1.0 / 18.0 - 1.0 / 50.0)
    whole = d1 + d2 + d13
    sample = sobol_sample(ISHIGAMI, points=1024, second_order=True, seed=3)
    assert len(sample.shares) == 1024 * 8
    indices = analyse(sample, {"y": ishigami(sample.shares)}, seed=3)
    total = {"x1": (d1 + d13) / whole, "x2": d2 / whole, "x3": d13 / whole}
    pairs = {"x1 × x2": 0.0, "x1 × x3": d13 / whole, "x2 × x3": 0.0}
    first = {"x1": d1 / whole, "x2": d2 / whole, "x3": 0.0}
    for index, expected in (("first", first), ("total", total), ("second", pairs)):
        assert_within(rows_of(indices, "y", index), expected)
    assert indices.main("y") == pytest.approx(list(total.values()), abs=0.05)
    assert not rows_of(indices, "y", "total")["wide"].any()


def test_morris_screening_of_the_ishigami_function() -> None:
    """On the grid of 4 levels, a step of 2/3 leaves |sin| of x2 as it is or moves it by 3/4 a."""
    sample = morris_sample(ISHIGAMI, trajectories=200, seed=1)
    assert (len(sample.shares), sample.blocks) == (200 * 4, 200)
    indices = analyse(sample, {"y": ishigami(sample.shares)}, seed=1)
    sign, size, sigma = (rows_of(indices, "y", i)["value"] for i in ("mu", "mu_star", "sigma"))
    # x2 takes -pi, -pi/3, pi/3, pi, and a step is from one of the outer to one of the inner two.
    assert size["x2"] == pytest.approx(7.0 * 0.75 / (2.0 / 3.0))
    assert (size >= sign.abs() - 1e-12).all()
    assert sigma["x3"] > 1.0  # it acts through x1 only: its effect has either sign
    assert abs(sign["x3"]) < 0.5 * size["x3"]


def test_a_linear_function_has_shares_of_squares() -> None:
    weights, names = np.array([4.0, 2.0, -1.0, 0.0]), ("a", "b", "c", "idle")
    for second_order in (False, True):
        sample = sobol_sample(names, points=512, second_order=second_order, seed=0)
        indices = analyse(sample, {"y": 3.0 + sample.shares @ weights}, seed=0)
        for index in ("first", "total"):
            rows = rows_of(indices, "y", index)
            assert_within(rows, dict(zip(names, weights**2 / (weights**2).sum(), strict=True)))
            assert rows["value"]["idle"] == 0.0
    screened = morris_sample(names, trajectories=16, seed=0)
    indices = analyse(screened, {"y": screened.shares @ weights}, seed=0)
    expected = {"mu": weights, "mu_star": np.abs(weights), "sigma": np.zeros(4)}
    for index, numbers in expected.items():
        value = rows_of(indices, "y", index)["value"].to_numpy()
        assert value == pytest.approx(numbers, abs=1e-9)


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    for seed in (0, 5):
        sobol = [sobol_sample(ISHIGAMI, points=16, seed=s) for s in (seed, seed, seed + 1)]
        morris = [morris_sample(ISHIGAMI, trajectories=9, seed=s) for s in (seed, seed, seed + 1)]
        for first, same, other in (sobol, morris):
            np.testing.assert_array_equal(first.shares, same.shares)
            assert not np.array_equal(first.shares, other.shares)
            frames = [analyse(first, {"y": ishigami(first.shares)}, seed=seed) for _ in range(2)]
            pd.testing.assert_frame_equal(frames[0].frame, frames[1].frame)


def test_constant_and_undefined_outcomes_have_no_indices() -> None:
    for sample in (sobol_sample(ISHIGAMI, points=32), morris_sample(ISHIGAMI, trajectories=32)):
        runs = len(sample.shares)
        flat, undefined = np.full(runs, 0.1), np.full(runs, np.nan)
        outcomes = {"y": ishigami(sample.shares), "flat": flat, "gone": undefined}
        indices = analyse(sample, outcomes)
        assert indices.states == {"y": "varies", "flat": "constant", "gone": "undefined"}
        assert set(indices.frame["outcome"]) == {"y"}
        assert np.isnan(indices.main("flat")).all()


def test_a_block_with_a_gap_is_left_out_whole() -> None:
    sample = sobol_sample(ISHIGAMI, points=64, seed=2)
    outcome = ishigami(sample.shares)
    holed = outcome.copy()
    holed[sample.block * 7 + 2] = np.nan
    indices = analyse(sample, {"y": outcome, "holed": holed}, seed=2)
    assert indices.left_out == {"y": 0, "holed": 1}
    part = sample.select_blocks(np.arange(64) != 7)
    whole = np.delete(outcome.reshape(64, -1), 7, axis=0).ravel()
    alone = analyse(part, {"holed": whole}, seed=2)
    assert indices.main("holed") == pytest.approx(alone.main("holed"))
    assert set(rows_of(indices, "holed", "total")["blocks"]) == {63}


def test_convergence_looks_at_a_quarter_half_and_all() -> None:
    sample = sobol_sample(ISHIGAMI, points=256, seed=0)
    outcomes = {"y": ishigami(sample.shares)}
    indices = analyse(sample, outcomes, seed=0)
    table = convergence(sample, outcomes, indices, seed=0)
    parts = dict(iter(table.groupby("blocks")))
    assert list(parts) == [64, 128, 256]
    assert list(parts[256]["value"]) == pytest.approx(list(indices.main("y")))
    shares = sample.shares[: 64 * sample.block]
    quarter = analyse(
        Sample(method="sobol", names=ISHIGAMI, shares=shares, block=5),
        {"y": ishigami(shares)},
        seed=0,
    )
    assert list(parts[64]["value"]) == pytest.approx(list(quarter.main("y")))
    assert (parts[256]["high"] - parts[256]["low"]).mean() < (
        parts[64]["high"] - parts[64]["low"]
    ).mean()
    half = parts[64]["high"] - parts[64]["value"]
    assert (parts[64]["wide"] == (half > 0.1)).all()
    assert half.between(0.1, 0.2).any()
    half, last = parts[128].set_index("input"), parts[256].set_index("input")
    inside = (last["value"] >= half["low"]) & (last["value"] <= half["high"])
    assert last["settled"].tolist() == inside.tolist()


def test_samples_that_cannot_be_drawn_are_refused() -> None:
    cases: list[tuple[Any, str]] = [
        (partial(sobol_sample, points=100), "power of 2, such as 64 or 128"),
        (partial(sobol_sample, points=64, second_order=1), "second_order: got 1: must be true"),
        (partial(morris_sample, trajectories=8, levels=5), "levels: got 5: must be even"),
        (partial(morris_sample, trajectories=2), "trajectories: got 2"),
    ]
    assert_all_refused((partial(sample, ISHIGAMI), message) for sample, message in cases)
