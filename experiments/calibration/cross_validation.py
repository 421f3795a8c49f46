"""How well rows are predicted that no fit has seen: the model against what needs no model.

Two tasks, for what is known of a row differs. *From the prompt*: setting and edits are known, all
three rates are asked; rivals are the mean of each rate in the setting, and a linear regression of
each rate on the same edits. *From two rates*: the faking rate and the unmonitored refusal rate are
known, refusals in training (and so the gap) are asked; rivals are the mean gap, the crude product,
and a linear regression of the gap on the two rates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.dynamics.randomness import normal
from sim.dynamics.state import Array
from sim.utils.parallel import parallel_map

from .data import RATES, Measurements
from .fit import Terms, fit
from .fit_models import by_condition, by_rates, crude_product, place, shared_of
from .rates import PromptRates

#: Weight of the penalty on slopes of a linear regression on edits, in rows.
_RIDGE = 0.3

#: Predicts all rates of rows [row, rate] from other rows.
Predictor = Callable[[Measurements, Measurements], Array]


@dataclass(frozen=True)
class Model:
    """The model, to be fitted again and again.

    Attributes:
        terms: Its parameters.
        rates: What follows from its numbers.
        scatter: By how much prompts differ besides, in fits by condition.
    """

    terms: Terms
    rates: PromptRates
    scatter: float = 0.0

    def from_prompt(self, seen: Measurements, asked: Measurements) -> Array:
        """Predict rates by what prompts say."""
        found = fit(by_condition(self.terms, self.rates, seen, scatter=self.scatter))
        parameters = found.by_name()
        problem = by_condition(self.terms, self.rates, asked)
        theta = np.array(
            [parameters.get(t.name, 0.0 if t.edit else t.start) for t in problem.terms]
        )
        return problem.predict(theta)

    def from_rates(self, seen: Measurements, asked: Measurements) -> Array:
        """Predict refusals in training by the two other rates."""
        shared = shared_of(fit(by_rates(self.terms, self.rates, seen)))
        predicted = asked.rates.copy()
        predicted[:, 1] = place(self.terms, self.rates, asked, shared=shared, unseen=(1,)).rates[
            :, 1
        ]
        return predicted


def mean_of_setting(seen: Measurements, asked: Measurements) -> Array:
    """Predict each rate by its mean over the rows of the setting."""
    means = seen.frame.groupby("setting")[list(RATES)].mean()
    return np.asarray(means.reindex(asked.frame["setting"]), np.float64)


@dataclass(frozen=True)
class RegressionOnEdits:
    """A linear regression of each rate on edits, in each setting by itself.

    Edits that few rows have are drawn to 0, as the model's coefficients are.

    Attributes:
        terms: Know the edits.
    """

    terms: Terms

    def __call__(self, seen: Measurements, asked: Measurements) -> Array:
        """Predict rates by edits."""
        predicted = np.empty((len(asked), len(RATES)))
        for setting in sorted(set(asked.frame["setting"])):
            rows = (seen.frame["setting"] == setting).to_numpy()
            these = (asked.frame["setting"] == setting).to_numpy()
            known, wanted = (
                np.column_stack([np.ones(len(m)), self.terms.edits(m.frame).to_numpy(float)])
                for m in (seen.take(rows), asked.take(these))
            )
            penalty = np.diag([0.0] + [_RIDGE] * (known.shape[1] - 1))
            slopes = np.linalg.solve(known.T @ known + penalty, known.T @ seen.rates[rows])
            predicted[these] = wanted @ slopes
        return predicted


def mean_gap(seen: Measurements, asked: Measurements) -> Array:
    """Predict refusals in training by the mean gap of the setting."""
    gaps = pd.Series(seen.gap).groupby(seen.frame["setting"].to_numpy()).mean()
    return _with_gap(asked, gaps.reindex(asked.frame["setting"]).to_numpy())


def product(seen: Measurements, asked: Measurements) -> Array:
    """Predict refusals in training by the crude product; nothing is fitted."""
    return _with_gap(asked, crude_product(asked)[0])


def regression_on_rates(seen: Measurements, asked: Measurements) -> Array:
    """Predict the gap by a linear regression on the two other rates, in each setting by itself."""
    gap = np.empty(len(asked))
    for setting in sorted(set(asked.frame["setting"])):
        rows = (seen.frame["setting"] == setting).to_numpy()
        these = (asked.frame["setting"] == setting).to_numpy()
        known, wanted = (
            np.column_stack([np.ones(len(m)), m.rates[:, [0, 2]]])
            for m in (seen.take(rows), asked.take(these))
        )
        gap[these] = wanted @ np.linalg.lstsq(known, seen.gap[rows], rcond=None)[0]
    return _with_gap(asked, gap)


def _with_gap(asked: Measurements, gap: Array) -> Array:
    predicted = asked.rates.copy()
    predicted[:, 1] = predicted[:, 2] - gap
    return predicted


def predictors(model: Model) -> dict[str, dict[str, Predictor]]:
    """Return what is compared, by task and name; the model first."""
    return {
        "from the prompt": {
            "model": model.from_prompt,
            "mean of each rate": mean_of_setting,
            "linear regression": RegressionOnEdits(model.terms),
        },
        "from two rates": {
            "model": model.from_rates,
            "mean gap": mean_gap,
            "faking × unmonitored refusals": product,
            "linear regression": regression_on_rates,
        },
    }


def folds_of(measured: Measurements, *, folds: int, seed: int) -> NDArray[np.intp]:
    """Return the fold of each row [row]; those of a setting are dealt out evenly, at random."""
    draws = normal(seed=seed, stream="cross-validation", rows=np.arange(len(measured)))
    fold = np.empty(len(measured), np.intp)
    dealt = 0
    for setting in sorted(set(measured.frame["setting"])):
        rows = np.flatnonzero((measured.frame["setting"] == setting).to_numpy())
        order = rows[np.argsort(draws[rows])]
        fold[order] = (dealt + np.arange(len(rows))) % folds
        dealt += len(rows)
    return fold


def cross_validate(
    measured: Measurements,
    compared: Mapping[str, Mapping[str, Predictor]],
    *,
    folds: int = 10,
    seed: int = 0,
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> pd.DataFrame:
    """Return the prediction of every row by every predictor, which has seen the other folds.

    Args:
        measured: The table.
        compared: Predictors by task and name.
        folds: Into how many parts rows are dealt.
        seed: Of the dealing.
        workers: Processes; None: as many as there are processors for.
        progress: Told the share that is done.

    Returns:
        As `predictions`.
    """
    fold = folds_of(measured, folds=folds, seed=seed)
    asked = [fold == held_out for held_out in sorted(set(fold.tolist()))]
    named = [(task, name) for task, own in compared.items() for name in own]
    jobs = [
        (compared[task][name], measured.take(~rows), measured.take(rows))
        for task, name in named
        for rows in asked
    ]
    done = iter(parallel_map(_predicted, jobs, workers=workers, progress=progress))
    found = {job: np.full((len(measured), len(RATES)), np.nan) for job in named}
    for job in named:
        for rows in asked:
            found[job][rows] = next(done)
    return predictions(measured, found)


def _predicted(job: tuple[Predictor, Measurements, Measurements]) -> Array:
    predictor, seen, asked = job
    return predictor(seen, asked)


def predictions(measured: Measurements, predicted: Mapping[tuple[str, str], Array]) -> pd.DataFrame:
    """Return predictions as one table.

    Args:
        measured: The rows that were predicted.
        predicted: Rates [row, rate] by task and predictor.

    Returns:
        A row for each task, predictor and row of the table: `task`, `predictor`, what tells the
        row apart, and each predicted rate.
    """
    apart = [c for c in measured.frame.columns if c.removesuffix("_se") not in RATES]
    tables = []
    for (task, name), rates in predicted.items():
        table = measured.frame[apart].copy()
        table.insert(0, "task", task)
        table.insert(1, "predictor", name)
        tables.append(table.assign(**dict(zip(RATES, rates.T, strict=True))))
    return pd.concat(tables, ignore_index=True)


def errors_of(predicted: pd.DataFrame, measured: Measurements) -> pd.DataFrame:
    """Return how far predictions are off, a row for each task, predictor and setting (and all).

    Returns:
        `rmse_RATE` and `rmse_gap`: roots of mean squared errors; `chi2_per_rate`: the mean of
        (error / published standard error)² over the rates that are asked.
    """
    settings = measured.frame["setting"].to_numpy()
    rows = []
    for (task, name), table in predicted.groupby(["task", "predictor"], sort=False):
        off = table[list(RATES)].to_numpy(np.float64) - measured.rates
        asked = [0, 1, 2] if task == "from the prompt" else [1]
        for setting in ("all", *sorted(set(settings))):
            these = np.ones(len(off), bool) if setting == "all" else settings == setting
            part = off[these]
            squares = {
                f"rmse_{rate}": _root(part[:, i]) for i, rate in enumerate(RATES) if i in asked
            }
            weighted = (part / measured.errors[these])[:, asked]
            rows.append(
                {
                    "task": task,
                    "predictor": name,
                    "setting": setting,
                    **squares,
                    "rmse_gap": _root(part[:, 2] - part[:, 1]),
                    "chi2_per_rate": float((weighted**2).mean()),
                }
            )
    return pd.DataFrame(rows)


def _root(off: Array) -> float:
    return float(np.sqrt((off**2).mean()))
