"""What a table of prompts tests without a word about prompts: the response mixture (MODEL.md 3.7).

If gaming answers comply and the rest is value-driven, the gap is the faking rate times the refusal
rate of value-driven answers, less the same where nothing is monitored; where nobody games there,
it is the faking rate times the unmonitored refusal rate: the *crude product*. What the model adds
to that can be taken out, a mechanism at a time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from experiments.calibration.fit import Fit, fit
from experiments.calibration.measurements import Measurements
from experiments.calibration.problems import by_rates, hold
from experiments.calibration.prompt_rates import PromptRates
from experiments.calibration.terms import Terms
from sim.dynamics.state import Array
from sim.utils.progress import parts_of


def crude_product(measured: Measurements) -> tuple[Array, Array]:
    """Return the gap that is the faking rate times the unmonitored refusal rate, and its error.

    Returns:
        The product [row], and the standard error of (measured gap − product) [row].
    """
    faking, _, unmonitored = measured.rates.T
    of_faking, of_training, of_unmonitored = measured.errors.T
    # gap − product = (1 − g) ru − rt: the error of ru enters once.
    error: Array = np.sqrt(
        of_training**2 + ((1.0 - faking) * of_unmonitored) ** 2 + (unmonitored * of_faking) ** 2
    )
    return faking * unmonitored, error


def explained(measured: Measurements) -> float:
    """Return the share of the variance of the gap that the crude product explains (R²).

    1 − Σ (gap − product)² / Σ (gap − mean gap)²; below 0 where the mean gap is nearer.
    """
    gap, (product, _) = measured.gap, crude_product(measured)
    return float(1.0 - ((gap - product) ** 2).sum() / ((gap - gap.mean()) ** 2).sum())


def product_chi2(measured: Measurements) -> float:
    """Return χ² of the crude product; a degree of freedom for each row."""
    product, error = crude_product(measured)
    return float((((measured.gap - product) / error) ** 2).sum())


def without(terms: Terms, rates: PromptRates, measured: Measurements, off: tuple[str, ...]) -> Fit:
    """Return the fit by rates of a model without some mechanisms, by name."""
    held: dict[str, float] = {}
    problem = by_rates(terms, rates, measured)
    for name in off:
        for key, number in terms.calibration.mechanisms[name].items():
            scaled = float(np.log(number)) if terms.calibration.free[key].log else number
            held |= {t.name: scaled for t in problem.terms if t.key == key and t.row is None}
    return fit(hold(problem, held))


def mechanisms(
    terms: Terms,
    rates: PromptRates,
    measured: Measurements,
    *,
    progress: Callable[[float], None] | None = None,
) -> pd.DataFrame:
    """Return how well the model fits with no mechanism, each alone, all but each, and all.

    Returns:
        A row for each model: `model`, `chi2`, `dof`, `per_dof`, and the shared parameters by name.
    """
    names = tuple(terms.calibration.mechanisms)
    models: dict[str, tuple[str, ...]] = {
        "none": names,
        **{f"only {name}": tuple(n for n in names if n != name) for name in names},
        **{f"all but {name}": (name,) for name in names},
        "all": (),
    }
    rows = []
    parts = parts_of(progress, [1.0] * len(models))
    for told, (label, off) in zip(parts, models.items(), strict=True):
        found = without(terms, rates, measured, off)
        shared = {
            t.name: float(x)
            for t, x in zip(found.problem.terms, found.theta, strict=True)
            if t.row is None
        }
        rows.append(
            {
                "model": label,
                "chi2": found.chi2,
                "dof": found.dof,
                "per_dof": found.chi2 / found.dof,
                **shared,
            }
        )
        told(1.0)
    return pd.DataFrame(rows)
