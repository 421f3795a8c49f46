"""Rates of prompts that no fit has seen, by the model, its rival and baselines.

Rows are left out in parts dealt at random, or by kinds of edit: all rows that have one of a kind.
Predictors know of a prompt its setting and, by task, its edits, its rate of faking, or both.
Where edits are not known, the model is fitted without any, and prompts only scatter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.dynamics.randomness import uniform_pair
from sim.dynamics.state import Array
from sim.specs.overrides import Specs
from sim.utils.parallel import parallel_map

from .data import RATES, Calibration, Measurements
from .fit import Posterior, place_rows
from .model import PromptModel

#: The inputs of a predictor besides the setting: whether edits are known, and the rate of faking.
TASKS = {"edits": (True, False), "faking": (False, True), "edits and faking": (True, True)}
#: The model with the stake of foresight, and with the rival one.
MODELS = {"model": False, "model, local stake": True}


@dataclass(frozen=True)
class Split:
    """Rows that are left out together: by `rows` or `kind`, and which part it is."""

    by: str
    part: str
    left_out: NDArray[np.bool_]


def splits(
    measured: Measurements, calibration: Calibration, *, folds: int, seed: int
) -> list[Split]:
    """Return all splits of a table."""
    part = deal(measured, folds=folds, seed=seed)
    results = [Split("rows", str(fold), part == fold) for fold in range(part.max() + 1)]
    conditions = measured.frame["condition"]
    for kind in dict.fromkeys(edit.kind for edit in calibration.edits.values()):
        edits = [edit for edit in calibration.edits.values() if edit.kind == kind]
        has = np.array([any(edit.applies(text) for edit in edits) for text in conditions])
        if has.any() and not has.all():
            results.append(Split("kind", kind, has))
    setting = measured.frame["setting"].to_numpy()
    return [s for s in results if set(setting[s.left_out]) <= set(setting[~s.left_out])]


def deal(measured: Measurements, *, folds: int, seed: int) -> NDArray[np.intp]:
    """Return the part of each row [row]: parts are of equal size, in each setting too."""
    chance, _ = uniform_pair(seed=seed, stream="cross-validation", rows=np.arange(len(measured)))
    order = np.lexsort([chance, measured.frame["setting"].to_numpy()])
    part = np.empty(len(measured), np.intp)
    part[order] = np.arange(len(measured)) % min(folds, len(measured))
    return part


def predict_split(
    split: Split, *, specs: Specs, calibration: Calibration, measured: Measurements
) -> pd.DataFrame:
    """Return what all predictors say of the rows that a split leaves out."""
    fitted, targets = measured.take(~split.left_out), measured.take(split.left_out)
    results = predict_rows(fitted, targets, specs=specs, calibration=calibration)
    return results.assign(by=split.by, part=split.part)


def predict_rows(
    fitted: Measurements, targets: Measurements, *, specs: Specs, calibration: Calibration
) -> pd.DataFrame:
    """Return what all predictors, fitted to some rows, say of others."""
    settings = sorted(set(fitted.frame["setting"]))
    results = []
    for knows_edits in (True, False):
        of_edits = calibration if knows_edits else calibration.replace(edits={})
        models = {}
        for name, local in MODELS.items():
            model = PromptModel(specs, of_edits, settings, local=local)
            models[name] = model, Posterior(model, fitted).maximise(steps=60).theta
        for task, faking in (
            (t, knows[1]) for t, knows in TASKS.items() if knows[0] == knows_edits
        ):
            for name, (model, theta) in models.items():
                score = np.full(len(targets), np.nan)
                if not faking:
                    score = Posterior(model, targets).log_likelihood(theta[None])[0]
                rates = expected(model, theta, targets, knows_faking=faking)
                results.append(_rows(task, name, targets, rates, score))
            for name, rates in baselines(fitted, targets, of_edits, knows_faking=faking):
                results.append(_rows(task, name, targets, rates, np.full(len(targets), np.nan)))
    return pd.concat(results, ignore_index=True)


def expected(
    model: PromptModel, theta: Array, measured: Measurements, *, knows_faking: bool
) -> Array:
    """Return the mean rates of prompts over where they may lie [row, rate]."""
    visible = np.array([knows_faking, False, False])
    _, rates, weight = place_rows(model, theta[None], measured, visible=visible)
    return np.asarray((rates * weight[..., None]).sum(axis=(2, 3))[0])


def baselines(
    fitted: Measurements, targets: Measurements, calibration: Calibration, *, knows_faking: bool
) -> Iterator[tuple[str, Array]]:
    """Yield what simple rules say, with the same inputs [row, rate]."""
    means = fitted.frame.groupby("setting")[list(RATES)].mean()
    mean = means.loc[targets.frame["setting"]].to_numpy()
    yield "mean of the setting", mean
    settings = sorted(set(fitted.frame["setting"]))
    inputs = partial(_inputs, settings=settings, calibration=calibration, knows_faking=knows_faking)
    weights = np.linalg.lstsq(inputs(fitted), fitted.rates, rcond=1e-6)[0]
    yield "linear regression", np.clip(inputs(targets) @ weights, 0.0, 1.0)
    if knows_faking:
        faking = targets.rates[:, 0]
        yield "product", np.column_stack([faking, (1.0 - faking) * mean[:, 2], mean[:, 2]])


def _inputs(
    measured: Measurements, *, settings: list[str], calibration: Calibration, knows_faking: bool
) -> Array:
    """Return setting, edits (of each setting where coefficients are), and faking [row, input]."""
    setting, columns = measured.frame["setting"].to_numpy(), []
    columns += [(setting == name).astype(float) for name in settings]
    for edit in calibration.edits.values():
        has = np.array([edit.applies(text) for text in measured.frame["condition"]], float)
        columns += [has * (setting == name) for name in settings] if edit.by else [has]
    if knows_faking:
        columns += [measured.rates[:, 0] * (setting == name) for name in settings]
    return np.column_stack(columns)


def _rows(
    task: str, predictor: str, targets: Measurements, rates: Array, score: Array
) -> pd.DataFrame:
    table = targets.frame[["row", "setting", "condition"]].assign(
        task=task, predictor=predictor, score=score
    )
    for index, name in enumerate(RATES):
        table[f"predicted_{name}"] = rates[:, index]
        table[f"measured_{name}"] = targets.rates[:, index]
        table[f"error_{name}"] = targets.errors[:, index]
    return table


def cross_validate(
    specs: Specs,
    calibration: Calibration,
    measured: Measurements,
    *,
    folds: int,
    seed: int,
    workers: int | None,
    progress: Callable[[float], None] | None = None,
) -> pd.DataFrame:
    """Return what every predictor says of every row that it has not seen."""
    jobs = splits(measured, calibration, folds=folds, seed=seed)
    work = partial(predict_split, specs=specs, calibration=calibration, measured=measured)
    results = parallel_map(work, jobs, workers=workers, progress=progress)
    return pd.concat(results, ignore_index=True) if results else pd.DataFrame()


def errors(predicted: pd.DataFrame) -> pd.DataFrame:
    """Return root mean square errors by split, task and predictor, in all and in each setting.

    `score` is the mean logarithm of the likelihood of a row, of models that know no rate of it.
    """
    rows = []
    every = predicted.assign(setting="all")
    keys = ["by", "task", "predictor", "setting"]
    for group, part in pd.concat([every, predicted]).groupby(keys, sort=False):
        task, misses = group[1], {}
        for name in RATES:
            if not (name == RATES[0] and TASKS[task][1]):
                misses[name] = (part[f"predicted_{name}"] - part[f"measured_{name}"]).to_numpy()
        errors_of = np.concatenate([m / part[f"error_{n}"].to_numpy() for n, m in misses.items()])
        row = {**dict(zip(keys, group, strict=True)), "rows": len(part)}
        row |= {f"rmse_{name}": np.sqrt((m**2).mean()) for name, m in misses.items()}
        row["rmse_gap"] = np.sqrt(((misses[RATES[2]] - misses[RATES[1]]) ** 2).mean())
        rows.append({**row, "chi2_per_rate": (errors_of**2).mean(), "score": part["score"].mean()})
    return pd.DataFrame(rows)
