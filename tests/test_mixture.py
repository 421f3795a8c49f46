"""The response mixture on tables made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from experiments.calibration.data import RATES, Measurements, check_measurements
from experiments.calibration.fit_models import crude_product, explained, product_chi2


def table(rates: list[tuple[float, float, float]], error: float = 0.02) -> Measurements:
    frame = pd.DataFrame(rates, columns=list(RATES))
    for rate in RATES:
        frame[f"{rate}_se"] = error
    names = {"row": [str(i) for i in range(len(rates))], "setting": "a", "condition": "default"}
    return check_measurements(frame.assign(**names))


def test_the_product_on_a_table_made_by_hand() -> None:
    measured = table([(0.5, 0.4, 0.8), (0.1, 0.85, 0.9)])
    product, error = crude_product(measured)
    np.testing.assert_allclose(product, [0.4, 0.09])
    # √(0.02² + (0.5 · 0.02)² + (0.8 · 0.02)²) and √(0.02² + (0.9 · 0.02)² + (0.9 · 0.02)²)
    np.testing.assert_allclose(error, [0.0275, 0.03236], atol=1e-4)
    assert product_chi2(measured) == pytest.approx((0.04 / 0.03236) ** 2, rel=1e-3)


def test_the_product_explains_all_or_nothing() -> None:
    exact = table([(g, u * (1.0 - g), u) for g, u in ((0.1, 0.9), (0.4, 0.8), (0.7, 0.5))])
    assert explained(exact) == pytest.approx(1.0)
    assert product_chi2(exact) == pytest.approx(0.0, abs=1e-20)
    no_gap = table([(g, u, u) for g, u in ((0.1, 0.9), (0.4, 0.8), (0.7, 0.5))])
    assert product_chi2(no_gap) > 100.0


def test_the_error_of_the_product_is_that_of_draws() -> None:
    """20,000 draws of one row: the spread of gap − product is within 4 % (5 standard errors)."""
    from sim.dynamics.randomness import normal

    measured = table([(0.3, 0.5, 0.7)])
    g, t, u = (
        rate + 0.02 * normal(seed=1, stream=f"draw {rate}", rows=np.arange(20_000))
        for rate in (0.3, 0.5, 0.7)
    )
    off = (u - t) - g * u
    assert off.std() == pytest.approx(float(crude_product(measured)[1][0]), rel=0.04)
