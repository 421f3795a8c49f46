"""What becomes of prompts that were never trained on, with intervals.

Predictions are distributions: over the places of prompts before training (by their published
errors), over ratios of learning rates and lengths of training (by exp(−Δχ²/2), χ² divided by
χ²/dof of the best variant where that is above 1), over the levels of spread and leak (equally
likely beforehand, as are logarithms of ratio and time), and over variants (by exp(−AIC/2)). An
interval holds the middle 95 % of that, and so what variants disagree about. It is that of the rate,
not of a measurement of it, and takes the shared numbers of the calibration as known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from experiments.calibration.measurements import OF_PROMPTS, RATES, Measurements
from experiments.calibration.problems import place
from experiments.calibration.prompt_rates import PromptRates
from experiments.calibration.reinforced import Progress, Reinforcement
from experiments.calibration.reinforced_fit import (
    Cell,
    Explored,
    Grid,
    Trainer,
    explore,
    learning_rates,
    shares,
    variants_table,
)
from experiments.calibration.reinforced_moments import Moments, after
from experiments.calibration.reinforced_places import draw, draw_places
from experiments.calibration.reinforced_stages import AFTER, Stages, read_stages
from experiments.calibration.spec import Calibration
from experiments.calibration.terms import Terms
from sim.dynamics.randomness import uniform_pair
from sim.dynamics.state import Array
from sim.specs.errors import SpecError

#: The share of a prediction's distribution that its interval holds.
LEVEL = 0.95
#: Runs of each variant, and draws from it.
RUNS, DRAWS = 256, 400
#: Ratios are drawn from where χ² is at most so far above the variant's least.
_FAR = 12.0
#: What tells variants apart in tables.
VARIANT = ("rule", "spreads", "leaks")
#: Variants with at least this weight beside the best are not told apart from it.
_TOLD_APART = 0.05


@dataclass(frozen=True)
class Reinforced:
    """Training on one prompt, fitted and carried to others.

    Attributes:
        stages: What was measured, placed.
        variants: `reinforced_fit.variants_table`, with `effective`, how many draws a variant's
            distribution is worth.
        predictions: A row for each prompt after training: as in a table of stages (`row` besides),
            its rates (medians) with `_low` and `_high`, those measured `_before`, and `measured`,
            whether the fit saw it after training.
        by_variant: The same for each variant alone.
        courses: The best run of each variant: rates of the stages' prompts step by step.
        left_out: Prompts of another setting, for which nothing is predicted.
    """

    stages: Stages
    variants: pd.DataFrame
    predictions: pd.DataFrame
    by_variant: pd.DataFrame
    courses: pd.DataFrame
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Ensemble:
    """Draws of what a variant says the agent has become.

    Attributes:
        moments: Of the agent, arrays [draw].
        places: Of the targets when it was trained, by full key [draw], in the order of targets.
        effective: How many draws they are worth.
    """

    moments: Moments
    places: tuple[dict[str, Array], ...]
    effective: float


def study(
    stages: Measurements,
    *,
    calibration: Calibration,
    terms: Terms,
    rates: PromptRates,
    shared: Mapping[str, float],
    prompts: Measurements | None = None,
    trained: str = "default",
    setting: str | None = None,
    grid: Grid | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Reinforced:
    """Fit training on one prompt to what was measured, and predict all other prompts after it.

    Args:
        stages: Prompts before training, and after it where that was measured.
        calibration: What was measured, where.
        terms: The parameters of the fit by rates.
        rates: The model before training.
        shared: What the fit by rates found (`calibration_problems.shared_of`).
        prompts: Further prompts before training.
        trained: The prompt trained on.
        setting: Which setting, if it was trained on in several.
        grid: What is tried.
        seed: Of the draws.
        progress: Told the share that is done.

    Raises:
        SpecError: The tables do not tell what is needed; one line.
    """
    known = read_stages(
        stages, terms=terms, rates=rates, shared=shared, trained=trained, setting=setting
    )
    trainer = Trainer(rates, calibration, known, grid=grid)
    explored = explore(trainer, progress=shares(progress, 0.45))
    table = variants_table(explored, known)
    drawn = ensembles(trainer, explored, table, seed=seed, progress=shares(progress, 0.35, 0.45))
    table["effective"] = [drawn[_variant(row)].effective for _, row in table.iterrows()]
    rows, left_out = _to_predict(known, prompts)
    placed = place(terms, rates, rows, shared=shared)
    by_variant, predictions = _predict(
        trainer, rows, placed.numbers(), drawn, table, seed=seed,
        birge=max(placed.inflation, known.birge), progress=shares(progress, 0.2, 0.8),
    )  # fmt: skip
    return Reinforced(
        stages=known,
        variants=table,
        predictions=predictions,
        by_variant=by_variant,
        courses=_courses(trainer, table),
        left_out=left_out,
    )


def ensembles(
    trainer: Trainer,
    explored: Explored,
    table: pd.DataFrame,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[tuple[object, ...], Ensemble]:
    """Return, for each variant, draws of what the agent has become.

    Args:
        trainer: Trains runs.
        explored: Where to look.
        table: How well variants do.
        seed: Of the draws.
        progress: Told the share that is done.
    """
    stages = trainer.stages
    fits = table[table["rates"] > table["parameters"]]
    scale = max(float((fits["chi2"] / (fits["rates"] - fits["parameters"])).min()), 1.0)
    if np.isnan(scale):
        scale = 1.0
    runs, widths = _runs(explored, trainer.grid, seed=seed)
    before = stages.before.take(list(stages.targets))
    targets = list(stages.targets)
    numbers = {key: column[targets] for key, column in stages.numbers.items()}
    places = draw_places(
        trainer.rates, trainer.calibration, before, numbers,
        count=len(runs), birge=stages.birge, seed=seed,
    )  # fmt: skip

    def of_runs(which: Array) -> dict[str, Array]:
        found = {
            key: np.broadcast_to(column, (len(which), len(targets)))
            for key, column in numbers.items()
        }
        for key in trainer.calibration.placing:
            found[key] = np.column_stack([one[key][which] for one in places])
        return found

    parts: dict[tuple[object, ...], list[tuple[Array, Array, Moments]]] = {}
    for which, seen, course in trainer(runs, numbers=of_runs, progress=progress):
        for variant in dict.fromkeys(cell.variant for cell in seen.cell):
            own = np.flatnonzero([cell.variant == variant for cell in seen.cell])
            log_weight = -0.5 * seen.chi2[:, own] / scale + np.log(widths[which[own]])
            moments = course.moments.take((slice(None), own))
            parts.setdefault(variant, []).append((which[own], log_weight, moments))
    return {
        variant: _resampled(of, places, seed=seed, stream=f"moments of {variant}")
        for variant, of in parts.items()
    }


def _runs(explored: Explored, grid: Grid, *, seed: int) -> tuple[list[tuple[Cell, float]], Array]:
    """Return runs of all variants, and how wide the logarithm of each one's ratio was drawn."""
    best = explored.chi2.min(axis=0)
    runs: list[tuple[Cell, float]] = []
    widths: list[float] = []
    by_variant: dict[tuple[object, ...], list[Cell]] = {}
    for cell in grid.cells:
        by_variant.setdefault(cell.variant, []).append(cell)
    for of in by_variant.values():
        least = min(best[i] for i, cell in enumerate(explored.cell) if cell in of)
        for cell in of:
            own = np.array([one == cell for one in explored.cell])
            near = np.log(explored.ratio[own & (best <= least + _FAR)])
            if not len(near):
                continue
            ends = near.min() - grid.apart, near.max() + grid.apart
            each = RUNS // len(of)
            within, _ = uniform_pair(seed=seed, stream=f"ratio {cell}", rows=np.arange(each))
            # One in each of so many equal shares of the range.
            share = (np.arange(each) + within) / each
            runs += [(cell, float(np.exp(ends[0] + s * (ends[1] - ends[0])))) for s in share]
            widths += [ends[1] - ends[0]] * each
    return runs, np.array(widths)


def _resampled(
    parts: Sequence[tuple[Array, Array, Moments]],
    places: Sequence[Mapping[str, Array]],
    *,
    seed: int,
    stream: str,
) -> Ensemble:
    which = np.concatenate([which for which, _, _ in parts])
    log_weight = np.concatenate([log for _, log, _ in parts], axis=1)
    weight = np.exp(log_weight - log_weight.max())
    picks = draw(weight.ravel(), count=DRAWS, seed=seed, stream=stream)
    step, run = np.unravel_index(picks, weight.shape)
    # Moments of a run are alike: what counts is how many runs share the weight.
    by_run = weight.sum(axis=0)
    joined = Moments.join([moments.turned() for _, _, moments in parts])
    return Ensemble(
        moments=joined.take((run, step)),
        places=tuple({key: c[which[run]] for key, c in one.items()} for one in places),
        effective=float(by_run.sum() ** 2 / (by_run**2).sum()),
    )


def _to_predict(
    stages: Stages, prompts: Measurements | None
) -> tuple[Measurements, tuple[str, ...]]:
    """Return prompts of the stages, then further ones, of the setting; and those of others."""
    frame = stages.before.frame
    if prompts is None:
        return stages.before, ()
    for name in OF_PROMPTS:
        if name not in prompts.frame.columns:
            raise SpecError(f"prompts: column {name!r} is missing")
    further = prompts.frame
    here = further["setting"] == stages.setting
    new = here & ~further["condition"].isin(frame["condition"])
    left_out = tuple(dict.fromkeys(further.loc[~here, "condition"]))
    return Measurements(pd.concat([frame, further[new]], ignore_index=True)), left_out


def _predict(
    trainer: Trainer,
    rows: Measurements,
    numbers: Mapping[str, Array],
    drawn: Mapping[tuple[object, ...], Ensemble],
    table: pd.DataFrame,
    *,
    seed: int,
    birge: float,
    progress: Progress | None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return predictions of each variant, and of all together."""
    stages, calibration = trainer.stages, trainer.calibration
    ends = ((1.0 - LEVEL) / 2.0, 0.5, (1.0 + LEVEL) / 2.0)
    by_variant, together = [], []
    for row in range(len(rows)):
        one = rows.take([row])
        told = one.frame.iloc[0]
        at = {key: column[row : row + 1] for key, column in numbers.items()}
        known = stages.targets.index(row) if row in stages.targets else None
        if known is None:
            (own,) = draw_places(
                trainer.rates, calibration, one, at, count=DRAWS, birge=birge, seed=seed
            )
        head = {
            "row": told["row"], "setting": told["setting"], "prompt": told["condition"],
            "stage": AFTER, "measured": known is not None,
            **{f"{rate}_before": told[rate] for rate in RATES},
        }  # fmt: skip
        all_rates, weights = [], []
        for _, variant in table.iterrows():
            ensemble = drawn[_variant(variant)]
            places = own if known is None else ensemble.places[known]
            then = after(
                trainer.rates, calibration, at | places, ensemble.moments, is_trained=row == 0
            )
            found = trainer.rates(then)
            all_rates.append(found)
            weights.append(np.full(len(found), variant["weight"] / len(found)))
            named = {name: variant[name] for name in VARIANT}
            by_variant.append({**named, **head, **_interval(found, np.ones(len(found)), ends)})
        mixed = _interval(np.concatenate(all_rates), np.concatenate(weights), ends)
        together.append({**head, **mixed})
        if progress is not None:
            progress((row + 1) / len(rows))
    return pd.DataFrame(by_variant), pd.DataFrame(together)


def _interval(rates: Array, weight: Array, ends: tuple[float, float, float]) -> dict[str, float]:
    """Return the median of each rate, and the ends of its interval, of weighted draws."""
    found: dict[str, float] = {}
    for i, name in enumerate(RATES):
        order = np.argsort(rates[:, i], kind="stable")
        share = np.cumsum(weight[order])
        share = (share - 0.5 * weight[order]) / share[-1]
        low, middle, high = np.interp(ends, share, rates[order, i])
        found |= {name: float(middle), f"{name}_low": float(low), f"{name}_high": float(high)}
    return found


def _courses(trainer: Trainer, table: pd.DataFrame) -> pd.DataFrame:
    """Return the best run of each variant, with all prompts of the stages in its world."""
    stages, parts = trainer.stages, []
    numbers = {key: column[None, :] for key, column in stages.numbers.items()}
    for _, one in table.iterrows():
        world = Reinforcement(
            trainer.rates, trainer.calibration, prompts=len(stages.before),
            spread=one["spread"], update_rule=one["rule"],
        )  # fmt: skip
        settings = learning_rates(np.array([one["ratio"]]))
        settings["training.leak"] = np.array([one["leak"]])
        course = world.course(numbers, settings=settings, steps=trainer.grid.steps)
        time = course.steps * settings["training.learning_rate.habit"][0]
        for p, prompt in enumerate(stages.names):
            columns = dict(zip(RATES, course.rates[:, 0, p].T, strict=True))
            named = {name: one[name] for name in VARIANT}
            parts.append(
                pd.DataFrame(
                    {**named, "prompt": prompt, "step": course.steps.astype(int), "time": time}
                    | columns
                )
            )
    return pd.concat(parts, ignore_index=True)


def _variant(row: pd.Series) -> tuple[object, ...]:
    return row["rule"], bool(row["spreads"]), bool(row["leaks"])


def variant_name(row: pd.Series) -> str:
    """Return what a variant is called."""
    rule = str(row["rule"]).replace("_", " ")
    parts = [name for name, has in (("spread", row["spreads"]), ("leak", row["leaks"])) if has]
    return f"{rule} with {' and '.join(parts)}" if parts else rule


def disagreements(found: Reinforced) -> pd.DataFrame:
    """Return how far medians of variants lie apart, for each prompt and rate, furthest first.

    Columns: `prompt`, `rate`, `lowest`, `highest`, and the variants that say so. Variants that
    AIC tells apart from the best are left out.
    """
    table = found.variants
    near = table[table["weight"] / table["weight"].max() >= _TOLD_APART]
    own = found.by_variant.merge(near[list(VARIANT)], on=list(VARIANT))
    apart = []
    for prompt, of in own[~own["measured"]].groupby("prompt", sort=False):
        for rate in RATES:
            low, high = of.loc[of[rate].idxmin()], of.loc[of[rate].idxmax()]
            apart.append(
                {
                    "prompt": prompt,
                    "rate": rate,
                    "lowest": float(low[rate]),
                    "highest": float(high[rate]),
                    "lowest_by": variant_name(low),
                    "highest_by": variant_name(high),
                }
            )
    frame = pd.DataFrame(
        apart, columns=["prompt", "rate", "lowest", "highest", "lowest_by", "highest_by"]
    )
    order = (frame["lowest"] - frame["highest"]).argsort(kind="stable")
    return frame.iloc[order].reset_index(drop=True)
