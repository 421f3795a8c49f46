"""Splits, baselines and errors of the cross-validation of calibration."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from experiments.calibration.cross_validation import baselines, deal, errors, predict_rows, splits
from experiments.calibration.data import RATES, Measurements
from test_calibration import CALIBRATION, PROMPTS, SPECS


def test_parts_are_balanced_in_each_setting_and_deterministic() -> None:
    part = deal(PROMPTS, folds=5, seed=3)
    np.testing.assert_array_equal(part, deal(PROMPTS, folds=5, seed=3))
    assert not np.array_equal(part, deal(PROMPTS, folds=5, seed=4))
    for rows in (slice(None), *((PROMPTS.frame["setting"] == s) for s in ("animal_welfare",))):
        sizes = np.bincount(part[rows], minlength=5)
        assert sizes.max() - sizes.min() <= 1


def test_every_row_is_left_out_once_and_kinds_with_all_their_rows() -> None:
    found = splits(PROMPTS, CALIBRATION, folds=5, seed=0)
    by_rows = [split.left_out for split in found if split.by == "rows"]
    np.testing.assert_array_equal(np.sum(by_rows, axis=0), 1)
    kinds = {split.part: split.left_out for split in found if split.by == "kind"}
    assert set(kinds) == {edit.kind for edit in CALIBRATION.edits.values()}
    told = PROMPTS.frame["condition"].str.contains("don't care|share values").to_numpy()
    assert kinds["values"][told].all()
    assert not kinds["values"][(PROMPTS.frame["condition"] == "default").to_numpy()].any()


def test_baselines_by_hand() -> None:
    """On a table that is linear in faking and in an edit, regression is exact."""
    rows = 20
    faking = np.linspace(0.05, 0.4, rows)
    honest = np.arange(rows) % 2 == 0
    frame = pd.DataFrame(
        {
            "row": [str(i) for i in range(rows)],
            "setting": "a",
            "condition": np.where(honest, "honest", "default"),
            RATES[0]: faking,
            RATES[1]: 0.6 - 0.5 * faking + 0.1 * honest,
            RATES[2]: 0.8 - 0.2 * honest,
            **{f"{rate}_se": 0.02 for rate in RATES},
        }
    )
    table = Measurements(frame)
    fitted, asked = table.take(range(14)), table.take(range(14, rows))
    found = dict(baselines(fitted, asked, CALIBRATION, knows_faking=True))
    np.testing.assert_allclose(found["linear regression"], asked.rates, atol=1e-6)
    mean = fitted.rates.mean(axis=0)
    np.testing.assert_allclose(found["mean of the setting"], np.tile(mean, (6, 1)))
    np.testing.assert_allclose(found["product"][:, 1], (1.0 - asked.rates[:, 0]) * mean[2])


def test_errors_are_those_of_rates_that_were_not_known() -> None:
    fitted, asked = PROMPTS.take(range(12)), PROMPTS.take(range(14, 18))
    without = CALIBRATION.replace(edits={}, points=61)
    found = predict_rows(fitted, asked, specs=SPECS, calibration=without)
    table = errors(found.assign(by="rows", part="0"))
    own = table.set_index(["task", "predictor", "setting"]).sort_index()
    row = own.loc[("edits", "mean of the setting", "all")]
    misses = fitted.rates.mean(axis=0) - asked.rates
    for index, rate in enumerate(RATES):
        expected = np.sqrt((misses[:, index] ** 2).mean())
        assert row[f"rmse_{rate}"] == pytest.approx(expected)
    assert row["chi2_per_rate"] == pytest.approx(((misses / asked.errors) ** 2).mean())
    known = own.loc[("faking", "model", "all")]
    assert np.isnan(known[f"rmse_{RATES[0]}"])
    assert np.isfinite(known[f"rmse_{RATES[1]}"])
