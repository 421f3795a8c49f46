"""Variants of training fitted to rates before and after it.

Tables of stages of training: prompts before it, and after it where that was measured.

Which assumptions about training, and which ratio of learning rates, lead to what was measured.

Before training, the prompts are placed by their rates. Then the prompt trained on is trained on,
and the rates after training are compared with those measured by χ². Free are the ratio of two
learning rates (that of the values, over the one that everything else shares: habit, awareness,
horizon, competence and capabilities) and how long was trained. A *variant* says besides by which
rule the gate learns, whether habits carry over between prompts and tiers (`spread`), and whether
gamed answers train the values (`leak`). Spread and leak are 0, or else one of a few levels: that
level is another free parameter of the variant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd

from sim.dynamics.state import Array
from sim.specs.errors import SpecError, nearest

from .data import OF_STAGES, RATES, Calibration, Measurements, check_measurements, read_measurements
from .fit import Terms
from .fit_models import place
from .rates import PromptRates
from .rl import Course, Progress, Reinforcement, UpdateRule

#: Stages of training.
BEFORE, AFTER = "pre_rl", "post_rl"


@dataclass(frozen=True)
class Stages:
    """What was measured before and after training.

    Attributes:
        before: All prompts before training, the one trained on first, with what a fit needs.
        numbers: Where they stand, by full key [prompt].
        birge: By what errors of places are multiplied.
        after: Rates after training [target, rate].
        errors: Their standard errors [target, rate].
        targets: The places in `before` of prompts measured after training; not in order of it, but
            the one trained on is first.
        setting: Of all these.
        trained: The prompt trained on.
    """

    before: Measurements
    numbers: Mapping[str, Array]
    birge: float
    after: Array
    errors: Array
    targets: tuple[int, ...]
    setting: str
    trained: str

    @property
    def names(self) -> list[str]:
        """The prompts, by name."""
        return [str(name) for name in self.before.frame["condition"]]


def read_stages(
    stages: Measurements,
    *,
    terms: Terms,
    rates: PromptRates,
    shared: Mapping[str, float],
    trained: str = "default",
    setting: str | None = None,
) -> Stages:
    """Return a table of stages, with its prompts placed.

    Args:
        stages: Rows of prompts before training, and after it where that was measured.
        terms: The parameters of a fit by rates.
        rates: The model before training.
        shared: What the fit found; see `fit_models.place`.
        trained: The prompt trained on.
        setting: Of the rows to take; None: the only one that has rows after training.

    Raises:
        SpecError: One line: what is missing.
    """
    frame = check_measurements(stages.frame, of=OF_STAGES, source=stages.source or "stages").frame
    for line, stage in enumerate(frame["stage"]):
        if stage not in (BEFORE, AFTER):
            raise SpecError(
                f"stages: line {line + 2}, stage: got {stage!r}: {nearest(stage, [BEFORE, AFTER])}"
            )
    post = frame[frame["stage"] == AFTER]
    if post.empty:
        raise SpecError(
            f"stages: no row has the stage {AFTER}: there is nothing to fit training to"
        )
    known = list(dict.fromkeys(frame["prompt"]))
    if trained not in known:
        raise SpecError(f"trained: got {trained!r}: {nearest(trained, known)}")
    having = sorted(set(post.loc[post["prompt"] == trained, "setting"]))
    if not having:
        raise SpecError(f"trained: {trained!r} has no row of the stage {AFTER}")
    if setting is None and len(having) > 1:
        raise SpecError(f"setting: {trained!r} was trained on in {' and '.join(having)}: say which")
    chosen = having[0] if setting is None else setting
    if chosen not in having:
        raise SpecError(f"setting: got {chosen!r}: {nearest(chosen, having)}")
    here = frame[frame["setting"] == chosen]
    pre, post = (here[here["stage"] == stage] for stage in (BEFORE, AFTER))
    for prompt in post["prompt"]:
        if prompt not in set(pre["prompt"]):
            raise SpecError(
                f"stages: {prompt!r} has a row of the stage {AFTER}, and none of {BEFORE}, "
                "by which it would be placed"
            )
    pre = pd.concat([pre[pre["prompt"] == trained], pre[pre["prompt"] != trained]])
    before = prompts_of(pre, source=stages.source)
    placed = place(terms, rates, before, shared=shared)
    order = sorted(range(len(post)), key=lambda i: post["prompt"].iloc[i] != trained)
    measured = Measurements(post.iloc[order].reset_index(drop=True), stages.source)
    names = list(before.frame["condition"])
    return Stages(
        before=before,
        numbers=placed.numbers(),
        birge=placed.inflation,
        after=measured.rates,
        errors=measured.errors,
        targets=tuple(names.index(prompt) for prompt in measured.frame["prompt"]),
        setting=chosen,
        trained=trained,
    )


def prompts_of(rows: pd.DataFrame, *, source: str = "") -> Measurements:
    """Return rows of a table of stages as a table of prompts."""
    frame = rows.drop(columns="stage").rename(columns={"prompt": "condition"})
    frame.insert(0, "row", frame["condition"])
    return Measurements(frame.reset_index(drop=True), source)


def read_prompts(path: Path) -> Measurements:
    """Read prompts before training, from a table of prompts or from one of stages.

    Raises:
        SpecError: It cannot be read, or has no row before training.
    """
    try:
        columns = pd.read_csv(path, nrows=0).columns
    except (OSError, ValueError):
        columns = pd.Index([])
    if "stage" not in columns:
        return read_measurements(path)
    table = read_measurements(path, of=OF_STAGES).frame
    before = table[table["stage"] == BEFORE]
    if before.empty:
        raise SpecError(f"{path.name}: no row has the stage {BEFORE}")
    return prompts_of(before, source=str(path))


#: Update rules, in the order of tables.
RULES: tuple[UpdateRule, ...] = get_args(UpdateRule)
#: All that learns at one rate, apart from the values.
GATE = ("habit", "awareness", "log_horizon", "log_competence", "capability")
#: Ratios around the best that are tried at a time.
_FINER = 8
#: The larger learning rate: small enough that only its product with steps matters.
RATE = 0.1


@dataclass(frozen=True)
class Grid:
    """What is tried.

    Attributes:
        levels: What spread and leak may be where they are not 0.
        ratios: Ratios of learning rates: least, greatest, how many, evenly by logarithm.
        looks: The first step at which runs are looked at after step 0, the last, and how many.
    """

    levels: tuple[float, ...] = (0.003, 0.03, 0.1, 0.3, 1.0)
    ratios: tuple[float, float, int] = (0.01, 30.0, 25)
    looks: tuple[int, int, int] = (4, 4000, 240)

    @property
    def cells(self) -> list[Cell]:
        """All combinations of assumptions."""
        return [Cell(*one) for one in product(RULES, (0.0, *self.levels), (0.0, *self.levels))]

    @property
    def steps(self) -> list[int]:
        """Where runs are looked at: step 0, and from then on evenly by logarithm."""
        later = np.unique(np.round(np.geomspace(*self.looks)).astype(int))
        return [0, *later.tolist()]

    @property
    def apart(self) -> float:
        """How far apart logarithms of ratios lie."""
        low, high, count = self.ratios
        return float(np.log(high / low) / (count - 1))


@dataclass(frozen=True)
class Cell:
    """One combination of assumptions."""

    rule: UpdateRule
    spread: float
    leak: float

    @property
    def variant(self) -> tuple[UpdateRule, bool, bool]:
        """The variant it belongs to: rule, whether habits spread, whether gaming leaks."""
        return self.rule, self.spread > 0.0, self.leak > 0.0


@dataclass(frozen=True)
class Explored:
    """A grid of runs.

    Attributes:
        cell: Of each run [run].
        ratio: η of values over η of all else [run].
        time: Learning rate of all else times steps [step, run].
        rates: Of targets [step, run, target, rate].
        chi2: [step, run].
    """

    cell: tuple[Cell, ...]
    ratio: Array
    time: Array
    rates: Array
    chi2: Array


def learning_rates(ratio: Array) -> dict[str, Array]:
    """Return learning rates by full key [run], of which the larger is `RATE`.

    Args:
        ratio: η of values over η of all else [run].
    """
    gate = RATE / np.maximum(ratio, 1.0)
    found = {f"training.learning_rate.{name}": gate for name in GATE}
    return {"training.learning_rate.values": gate * ratio, **found}


class Trainer:
    """Trains runs of cells on the prompt, all runs of a rule and a spread as one program.

    Args:
        rates: The model before training.
        calibration: What was measured, where.
        stages: What was measured before and after.
        grid: What is tried.
    """

    def __init__(
        self,
        rates: PromptRates,
        calibration: Calibration,
        stages: Stages,
        *,
        grid: Grid | None = None,
    ) -> None:
        self.rates, self.calibration, self.stages = rates, calibration, stages
        self.grid = grid or Grid()

    def __call__(
        self,
        runs: list[tuple[Cell, float]],
        *,
        numbers: Callable[[Array], Mapping[str, Array]] | None = None,
        progress: Progress | None = None,
    ) -> Iterator[tuple[Array, Explored, Course]]:
        """Yield, for each program, which runs it has, and what was found.

        Args:
            runs: Cell and ratio of each run.
            numbers: Of targets, by full key [run, target], of runs by their places; where they
                were placed if None.
            progress: Told the share that is done.
        """
        programs: dict[tuple[UpdateRule, float], list[int]] = {}
        for i, (cell, _) in enumerate(runs):
            programs.setdefault((cell.rule, cell.spread), []).append(i)
        targets, done = list(self.stages.targets), 0
        for (rule, spread), of in programs.items():
            places = np.array(of)
            world = Reinforcement(
                self.rates,
                self.calibration,
                prompts=len(targets),
                spread=spread,
                update_rule=rule,
            )
            if numbers is None:
                here = {key: column[None, targets] for key, column in self.stages.numbers.items()}
            else:
                here = dict(numbers(places))
            ratio = np.array([runs[i][1] for i in of])
            rates_of = learning_rates(ratio)
            leak = np.array([runs[i][0].leak for i in of])
            course = world.course(
                here, settings={**rates_of, "training.leak": leak}, steps=self.grid.steps
            )
            misses = (course.rates - self.stages.after) / self.stages.errors
            time = course.steps[:, None] * rates_of["training.learning_rate.habit"]
            chi2: Array = (misses**2).sum(axis=(2, 3))
            of_run = tuple(runs[i][0] for i in of)
            yield places, Explored(of_run, ratio, time, course.rates, chi2), course
            done += len(of)
            if progress is not None:
                progress(done / len(runs))


def explore(trainer: Trainer, *, progress: Progress | None = None) -> Explored:
    """Return all cells at all ratios, and twice more, finer each time, around the best of each."""
    tried = trainer.grid
    found = _run(
        trainer,
        [(cell, float(r)) for cell in tried.cells for r in np.geomspace(*tried.ratios)],
        shares(progress, 0.6),
    )
    reach = tried.apart
    for start in (0.6, 0.8):
        finer = []
        chi2, _ = between(found.rates, trainer.stages)
        best = chi2.min(axis=0)
        for cell in tried.cells:
            own = np.flatnonzero([one == cell for one in found.cell])
            centre = found.ratio[own[best[own].argmin()]]
            finer += [(cell, float(centre * np.exp(d))) for d in np.linspace(-reach, reach, _FINER)]
        found = _joined([found, _run(trainer, finer, shares(progress, 0.2, start))])
        reach /= 0.5 * _FINER
    return found


def between(rates: Array, stages: Stages) -> tuple[Array, Array]:
    """Return the least χ² between one look and the next, and where in between it is.

    Rates are taken to change in proportion from look to look.

    Args:
        rates: Of targets [step, run, target, rate].
        stages: What was measured.

    Returns:
        χ² [step − 1, run], and the share of the way from a look to the next [step − 1, run].
    """
    misses = (rates - stages.after) / stages.errors
    from_, way = misses[:-1], np.diff(misses, axis=0)
    square = (way**2).sum(axis=(2, 3))
    share = np.zeros_like(square)
    np.divide(-(from_ * way).sum(axis=(2, 3)), square, out=share, where=square > 0.0)
    share = share.clip(0.0, 1.0)
    chi2: Array = ((from_ + share[..., None, None] * way) ** 2).sum(axis=(2, 3))
    return chi2, share


def variants_table(explored: Explored, stages: Stages) -> pd.DataFrame:
    """Return how well each variant does, best first.

    Columns: the variant; its best ratio, time, spread and leak; the range of ratios with Δχ² up to
    3.84 (times χ²/dof where that is above 1), open where it ends as the grid does; χ², the number
    of parameters and of measured rates; AIC, AICc (inf where the rates are too few for it) and
    BIC; `weight` by AIC; `left_out_error`, the root mean square error of rates that were left out
    (each rate after training, one at a time), `left_out_chi` the same in standard errors, and
    `left_out_prompt_error` for whole prompts (nan if one alone was measured); and what the best
    run comes to on the prompt trained on.
    """
    count = stages.after.size
    rows = []
    for variant in dict.fromkeys(cell.variant for cell in explored.cell):
        own = np.array([cell.variant == variant for cell in explored.cell])
        rates, time = explored.rates[:, own], explored.time[:, own]
        chi2, shares_ = between(rates, stages)
        step, run = np.unravel_index(chi2.argmin(), chi2.shape)
        share = shares_[step, run]
        then = (1.0 - share) * rates[step, run, 0] + share * rates[step + 1, run, 0]
        cell = [cell for cell, is_own in zip(explored.cell, own, strict=True) if is_own][run]
        least = float(chi2[step, run])
        free = 2 + sum(variant[1:])
        room = count - free - 1
        aic = least + 2.0 * free
        scale = max(least / (count - free), 1.0) if count > free else 1.0
        likely = explored.ratio[own][(chi2 <= least + 3.84 * scale).any(axis=0)]
        out, chi, whole = left_out(rates, stages)
        rows.append(
            {
                "rule": variant[0],
                "spreads": variant[1],
                "leaks": variant[2],
                "ratio": float(explored.ratio[own][run]),
                "ratio_low": float(likely.min()),
                "ratio_high": float(likely.max()),
                "time": float((1.0 - share) * time[step, run] + share * time[step + 1, run]),
                "spread": cell.spread,
                "leak": cell.leak,
                "chi2": least,
                "parameters": free,
                "rates": count,
                "AIC": aic,
                "AICc": aic + 2.0 * free * (free + 1) / room if room > 0 else np.inf,
                "BIC": least + free * float(np.log(count)),
                "left_out_error": out,
                "left_out_chi": chi,
                "left_out_prompt_error": whole,
                **dict(zip(RATES, then.tolist(), strict=True)),
            }
        )
    table = pd.DataFrame(rows).sort_values("AIC", kind="stable", ignore_index=True)
    weight = np.exp(-0.5 * (table["AIC"] - table["AIC"].min()))
    table.insert(table.columns.get_loc("BIC") + 1, "weight", weight / weight.sum())
    return table


def left_out(rates: Array, stages: Stages) -> tuple[float, float, float]:
    """Return errors of prediction of rates, and of prompts, that were left out.

    What is left out is predicted by the mean over all runs and moments of a variant, each weighted
    by exp(−χ²/2) of the rest: so few rates do not always settle one best run.

    Args:
        rates: Of targets [step, run, target, rate].
        stages: What was measured.

    Returns:
        Root mean square error of single rates; the same in standard errors; and that of the rates
        of whole prompts that were left out, nan if there is one prompt alone.
    """
    misses = ((rates - stages.after) / stages.errors) ** 2
    whole = misses.sum(axis=(2, 3))

    def missed(rest: Array) -> Array:
        weight = np.exp(-0.5 * (rest - rest.min()))
        mean = np.tensordot(weight / weight.sum(), rates, axes=2)
        found: Array = mean - stages.after
        return found

    single = np.array(
        [missed(whole - misses[..., i, j])[i, j] for i, j in np.ndindex(stages.after.shape)]
    )
    prompts = [missed(whole - misses[:, :, i].sum(axis=2))[i] for i in range(len(stages.targets))]
    of_prompts = _rms(np.array(prompts)) if len(prompts) > 1 else float("nan")
    return _rms(single), _rms(single / stages.errors.ravel()), of_prompts


def _rms(errors: Array) -> float:
    return float(np.sqrt((errors**2).mean()))


def _run(trainer: Trainer, runs: list[tuple[Cell, float]], progress: Progress | None) -> Explored:
    return _joined([found for _, found, _ in trainer(runs, progress=progress)])


def _joined(parts: list[Explored]) -> Explored:
    return Explored(
        cell=tuple(cell for part in parts for cell in part.cell),
        ratio=np.concatenate([part.ratio for part in parts]),
        time=np.concatenate([part.time for part in parts], axis=1),
        rates=np.concatenate([part.rates for part in parts], axis=1),
        chi2=np.concatenate([part.chi2 for part in parts], axis=1),
    )


def shares(progress: Progress | None, share: float, start: float = 0.0) -> Progress | None:
    """Return what tells a part of a task's progress as progress of the whole."""
    return None if progress is None else lambda done: progress(start + share * done)
