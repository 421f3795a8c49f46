"""The two ways in which a table of prompts tests the model, as fits.

*By condition*: what a prompt says tells its numbers (setting and edits), and the model predicts all
three rates. *By rates*: two of a prompt's rates tell where it stands (how strongly the contested
value is held, how readily training comes to mind), and the third tests the model: the response
mixture of MODEL.md 3.7, without a word about what the prompt says. A row's place is worked out from
its own rates, within their errors; it is no parameter of the model, and takes two of the row's
three degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.special import logit

from experiments.calibration.fit import Fit, Problem, fit
from experiments.calibration.measurements import Measurements
from experiments.calibration.prompt_rates import PromptRates
from experiments.calibration.terms import Term, Terms

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
