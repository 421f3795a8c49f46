"""By how much prompts differ besides what the model and the published errors account for."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from experiments.calibration.fit import Fit, fit
from experiments.calibration.measurements import Measurements
from experiments.calibration.problems import by_condition
from experiments.calibration.prompt_rates import PromptRates
from experiments.calibration.terms import Terms

#: Prompts differ at most by so much besides.
_MOST_SCATTER = 0.4


def scatter_of(
    terms: Terms, rates: PromptRates, measured: Measurements, *, start: Fit | None = None
) -> tuple[float, Fit]:
    """Return by how much prompts differ besides, and the fit with it.

    It is the standard deviation, added to the published errors squared, at which χ² is what its
    degrees of freedom are; 0 if χ² is no more without it.
    """
    last = start or fit(by_condition(terms, rates, measured), thorough=True)
    if last.dof <= 0 or last.chi2 <= last.dof:
        return 0.0, last

    def excess(logarithm: float) -> float:
        nonlocal last
        problem = by_condition(terms, rates, measured, scatter=float(np.exp(logarithm)))
        last = fit(problem, start=last.theta)
        return float(np.log(last.chi2 / last.dof))

    ends = float(np.log(1e-3)), float(np.log(_MOST_SCATTER))
    root = float(np.exp(brentq(excess, *ends, xtol=0.01)))
    # Another valley may be lower with this scatter; once more, from there.
    cold = fit(by_condition(terms, rates, measured, scatter=root))
    begun = min(cold, last, key=lambda one: one.objective)
    last = begun
    if abs(np.log(begun.chi2 / begun.dof)) > 0.02:
        near = float(np.log(root))
        root = float(np.exp(brentq(excess, near - 0.7, near + 0.7, xtol=0.01)))
        last = fit(by_condition(terms, rates, measured, scatter=root), start=last.theta)
    return root, last
