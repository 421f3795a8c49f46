"""Fits by condition and by rates, their scatter, tables, and the response mixture.

The two ways in which a table of prompts tests the model, as fits.

*By condition*: what a prompt says tells its numbers (setting and edits), and the model predicts all
three rates. *By rates*: two of a prompt's rates tell where it stands (how strongly the contested
value is held, how readily training comes to mind), and the third tests the model: the response
mixture of MODEL.md 3.8, without a word about what the prompt says. A row's place is worked out from
its own rates, within their errors; it is no parameter of the model, and takes two of the row's
three degrees of freedom.

By how much prompts differ besides what the model and the published errors account for.

What a table of prompts tests without a word about prompts: the response mixture (MODEL.md 3.8).

If gaming answers comply and the rest is value-driven, the gap is the faking rate times the refusal
rate of value-driven answers, less the same where nothing is monitored; where nobody games there,
it is the faking rate times the unmonitored refusal rate: the *crude product*. What the model adds
to that can be taken out, a mechanism at a time.

What fits say, as tables and as the data of an agent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import logit

from sim.dynamics.state import Array
from sim.utils.progress import parts_of

from .data import RATES, Measurements
from .fit import Fit, Problem, Term, Terms, fit
from .rates import SPREAD, PromptRates

#: A place of a row is looked for between these.
_LEAST, _GREATEST = -25.0, 12.0


def by_condition(
    terms: Terms,
    rates: PromptRates,
    measured: Measurements,
    *,
    scatter: float = 0.0,
) -> Problem:
    """Return the fit of all three rates by what prompts say.

    Parameters that act on no row of this table are left out.

    Args:
        terms: The parameters.
        rates: The model.
        measured: The table.
        scatter: By how much prompts differ besides, as a standard deviation of each rate; it is
            added to the published errors, squared.
    """
    acts = terms.matrix(measured.frame)
    used = np.asarray(acts.any(axis=0))
    kept = tuple(t for t, is_used in zip(terms.terms, used, strict=True) if is_used)
    believed = terms.calibration.shrink or np.inf
    return Problem(
        rates=rates,
        measured=measured,
        errors=np.hypot(measured.errors, scatter),
        terms=kept,
        acts=acts[:, used],
        offset={},
        sets=terms.sets(measured.frame),
        numbers=terms.numbers,
        belief=np.array([np.inf if t.edit is None else believed for t in kept]),
    )


def by_rates(terms: Terms, rates: PromptRates, measured: Measurements) -> Problem:
    """Return the fit in which two of a row's rates place it."""
    whole = by_condition(terms, rates, measured)
    placing = terms.calibration.placing
    shared = [i for i, term in enumerate(whole.terms) if term.key not in placing]
    places = places_of(terms, measured)
    rows = len(measured)
    return replace(
        whole,
        terms=(*(whole.terms[i] for i in shared), *places),
        acts=np.hstack([whole.acts[:, shared], np.tile(np.eye(rows), (1, len(placing)))]),
        belief=np.concatenate([whole.belief[shared], np.full(len(places), np.inf)]),
    )


def places_of(terms: Terms, measured: Measurements) -> tuple[Term, ...]:
    """Return a parameter for each row and each of the two numbers that place it."""
    value, awareness = terms.calibration.placing
    names = [str(name) for name in measured.frame.iloc[:, 0]]
    seen = measured.rates.clip(0.01, 0.99)
    # Where the contested value alone decides, a refusal has the logit of about 3 v.
    values = logit(seen[:, 2]) / 3.0
    aware = logit(seen[:, 0].clip(0.005)) - 5.0
    return tuple(
        Term(key, float(number), _LEAST, _GREATEST, row=name)
        for key, starts in ((value, values), (awareness, aware))
        for number, name in zip(starts, names, strict=True)
    )


def shared_of(found: Fit) -> dict[str, float]:
    """Return the parameters of a fit that place no row, by name."""
    return {
        term.name: float(number)
        for term, number in zip(found.problem.terms, found.theta, strict=True)
        if term.row is None
    }


def hold(problem: Problem, held: Mapping[str, float]) -> Problem:
    """Return a problem with parameters held, by name; names that it does not have are left out."""
    return problem.holding(
        {i: held[term.name] for i, term in enumerate(problem.terms) if term.name in held}
    )


def place(
    terms: Terms,
    rates: PromptRates,
    measured: Measurements,
    *,
    shared: Mapping[str, float],
    unseen: tuple[int, ...] = (),
) -> Fit:
    """Return where rows stand, all else held, from the rates that may be seen.

    Args:
        terms: The parameters.
        rates: The model.
        measured: The rows.
        shared: The parameters of a fit by rates of other rows (or the same), by name; those that
            it does not have are held where a search would start.
        unseen: Rates that must not be seen, by their places in `RATES`.
    """
    problem = by_rates(terms, rates, measured)
    errors = problem.errors.copy()
    errors[:, list(unseen)] = np.inf
    starts = {term.name: term.start for term in problem.terms if term.row is None}
    return fit(hold(replace(problem, errors=errors), {**starts, **shared}))


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


_AGENT = "agent."


def parameters_of(name: str, one: Fit) -> pd.DataFrame:
    """Return a row for each parameter that places no row, with its interval by curvature."""
    rows = []
    for i, term in enumerate(one.problem.terms):
        if term.row is not None:
            continue
        theta, error = float(one.theta[i]), float(one.standard_errors[i])
        rows.append(
            {
                "fit": name,
                "name": term.name,
                "key": term.key,
                "setting": term.setting,
                "edit": term.edit,
                "fitted": theta,
                "standard_error": error,
                "low": max(theta - 1.96 * error, term.low),
                "high": min(theta + 1.96 * error, term.high),
                "interval": "curvature" if np.isfinite(error) else "none",
                "least": term.low,
                "greatest": term.high,
                "at_bound": bool(one.at_bound[i]),
            }
        )
    return pd.DataFrame(rows)


def residuals_of(name: str, one: Fit) -> pd.DataFrame:
    """Return a row for each row and rate of a fit: measured, its error, the model, the residual."""
    frame, problem = one.problem.measured.frame, one.problem
    tables = []
    for i, rate in enumerate(RATES):
        tables.append(
            frame[["row", "setting", "condition"]].assign(
                fit=name,
                rate=rate,
                measured=frame[rate],
                error=problem.errors[:, i],
                model=one.rates[:, i],
                residual=one.residuals[:, i],
            )
        )
    return pd.concat(tables, ignore_index=True)


def default_prompt(one: Fit, setting: str) -> dict[str, float] | None:
    """Return the numbers of an agent that meets a setting's default prompt, by full key.

    None if the table of the fit has no such prompt.
    """
    frame = one.problem.measured.frame
    these = ((frame["setting"] == setting) & (frame["condition"] == "default")).to_numpy()
    if not these.any():
        return None
    row = int(np.argmax(these))
    return {
        key: float(np.broadcast_to(column, len(frame))[row])
        for key, column in one.numbers().items()
        if key.startswith(_AGENT)
    }


def agent_data(numbers: Mapping[str, float], *, value: str, digits: int = 4) -> dict[str, object]:
    """Return an agent as plain data from numbers by full key, rounded.

    The spread is that of the contested value alone.
    """
    data: dict[str, object] = {}
    for key, number in sorted(numbers.items()):
        path = key.removeprefix(_AGENT).split(".")
        if key == SPREAD:
            path.append(value)
        node = data
        for part in path[:-1]:
            below = node.setdefault(part, {})
            assert isinstance(below, dict)
            node = below
        node[path[-1]] = round(number, digits)
    return data
