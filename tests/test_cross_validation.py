"""Folds, rivals and errors of the cross-validation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from experiments.calibration.cross_validation import (
    cross_validate,
    errors_of,
    folds_of,
    mean_gap,
    mean_of_setting,
    product,
    regression_on_rates,
)
from experiments.calibration.data import RATES, Measurements, check_measurements


def table(rows: int = 23) -> Measurements:
    step = np.arange(rows)
    frame = pd.DataFrame(
        {
            "row": step.astype(str),
            "setting": np.where(step % 3 == 0, "a", "b"),
            "condition": [f"c {i}" for i in step],
            "af_reasoning": 0.1 + 0.02 * step,
            "refusal_training": 0.2 + 0.01 * (step * 7 % rows),
            "refusal_unmonitored": 0.5 + 0.01 * (step * 5 % rows),
            **{f"{rate}_se": 0.02 for rate in RATES},
        }
    )
    return check_measurements(frame)


def test_folds_are_balanced_in_each_setting_and_deterministic() -> None:
    measured = table()
    fold = folds_of(measured, folds=5, seed=3)
    np.testing.assert_array_equal(fold, folds_of(measured, folds=5, seed=3))
    assert not np.array_equal(fold, folds_of(measured, folds=5, seed=4))
    sizes = np.bincount(fold, minlength=5)
    assert sizes.max() - sizes.min() <= 1
    for setting in ("a", "b"):
        own = np.bincount(fold[measured.frame["setting"] == setting], minlength=5)
        assert own.max() - own.min() <= 1


def test_nothing_is_predicted_from_itself() -> None:
    measured = table()
    asked_of: list[set[str]] = []

    def spy(seen: Measurements, asked: Measurements) -> np.ndarray:
        assert not set(seen.frame["row"]) & set(asked.frame["row"])
        assert len(seen) + len(asked) == len(measured)
        asked_of.append(set(asked.frame["row"]))
        return asked.rates

    found = cross_validate(measured, {"from the prompt": {"spy": spy}}, folds=4, workers=1)
    assert sum(map(len, asked_of)) == len(measured)
    np.testing.assert_array_equal(found[list(RATES)].to_numpy(), measured.rates)
    errors = errors_of(found, measured)
    assert errors["rmse_gap"].max() == 0.0
    assert list(errors["setting"]) == ["all", "a", "b"]


def test_rivals_by_hand() -> None:
    measured = table(6)
    first = measured.take([0, 3])  # both of setting a
    mean = mean_of_setting(first, first)
    np.testing.assert_allclose(mean, np.tile(first.rates.mean(axis=0), (2, 1)))
    by_gap = mean_gap(first, first)
    np.testing.assert_allclose(by_gap[:, 2] - by_gap[:, 1], first.gap.mean())
    crude = product(first, first)
    np.testing.assert_allclose(crude[:, 2] - crude[:, 1], first.rates[:, 0] * first.rates[:, 2])


def test_a_gap_that_is_linear_in_two_rates_is_predicted_exactly() -> None:
    measured = table()
    frame = measured.frame.copy()
    gap = 0.05 + 0.4 * frame["af_reasoning"] - 0.1 * frame["refusal_unmonitored"]
    frame["refusal_training"] = frame["refusal_unmonitored"] - gap
    exact = check_measurements(frame)
    np.testing.assert_allclose(regression_on_rates(exact, exact), exact.rates, atol=1e-12)


def test_errors_by_hand() -> None:
    measured = table(4)
    names = measured.frame[["row", "setting", "condition"]]
    off = measured.rates + np.array([0.02, -0.04, 0.0])
    told = names.assign(
        task="from the prompt", predictor="off", **dict(zip(RATES, off.T, strict=True))
    )
    row = errors_of(told, measured).iloc[0]
    assert row["rmse_af_reasoning"] == pytest.approx(0.02)
    assert row["rmse_gap"] == pytest.approx(0.04)
    assert row["chi2_per_rate"] == pytest.approx((1.0 + 4.0 + 0.0) / 3.0)
