"""Further published facts, and the answers of the calibrated model (facts.yaml)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binom

from sim.dynamics.randomness import uniform_pair
from sim.dynamics.state import Array
from sim.specs.library import read_yaml

from .data import Measurements
from .fit import place_rows
from .model import PromptModel
from .predict import Predictions, quantiles
from .training import Assumed, Hypothesis, Outcome, Prompts, Trained, train_on_first

#: The facts: what was published, and what is asked.
QUESTIONS = dict(read_yaml(Path(__file__).parent / "facts.yaml"))
#: Shares of draws that decide a verdict.
MOST, FEW = 0.9, 0.1
#: Draws by which courses of training are judged.
COURSES = 120
#: The conditions of the two default prompts, and the setting that was trained on.
DEFAULT = "default"
ANIMALS, HELPFUL = "animal_welfare", "helpful_only"


@dataclass(frozen=True)
class Answer:
    """The model's answer: the share of draws that do what was published, the rival's, numbers."""

    share: float
    numbers: Mapping[str, Array]
    rival: float | None = None
    verdict: str | None = None

    @property
    def conclusion(self) -> str:
        """Return the verdict: as stated, or by the share of draws."""
        if self.verdict is not None:
            return self.verdict
        return "met" if self.share >= MOST else "not met" if self.share <= FEW else "cannot tell"


@dataclass(frozen=True)
class Calibrated:
    """The calibrated model, its rival, and training."""

    model: PromptModel
    theta: Array
    measured: Measurements
    local: PromptModel
    local_theta: Array
    predictions: Predictions | None

    def default(self, setting: str) -> Measurements:
        """Return the default prompt of a setting; of no rows if it has none."""
        frame = self.measured.frame
        return self.measured.take(
            ((frame["setting"] == setting) & (frame["condition"] == DEFAULT)).to_numpy()
        )

    @cached_property
    def settings(self) -> list[str]:
        """Return the settings that have a default prompt."""
        return [name for name in self.model.settings if len(self.default(name))]

    def prompts(self, setting: str, *, local: bool = False) -> Prompts:
        """Return the default prompt of a setting, placed by its rates for each draw."""
        fit = (self.local, self.local_theta) if local else (self.model, self.theta)
        return Prompts.draw(*fit, self.default(setting), seed=1)

    def resampled(self, count: int, **levels: str) -> list[tuple[Outcome, NDArray[np.intp]]]:
        """Return draws as what was published after training weighs them, by hypothesis."""
        assert self.predictions is not None
        joint = self.predictions.joint
        for index, outcome in enumerate(self.predictions.outcomes):
            if any(getattr(outcome.hypothesis, key) != level for key, level in levels.items()):
                joint[index] = 0.0
        total = joint.ravel().cumsum()
        chance, _ = uniform_pair(seed=2, stream="posterior draws", rows=np.arange(count))
        at = np.searchsorted(total, (np.arange(count) + chance) / count * total[-1])
        origin, draws = np.unravel_index(at.clip(max=len(total) - 1), joint.shape)
        outcomes = self.predictions.outcomes
        return [(outcomes[i], draws[origin == i]) for i in np.unique(origin)]


def rates_of(
    prompts: Prompts,
    *,
    scale: float = 1.0,
    shift: float = 0.0,
    changes: Mapping[str, Array] | None = None,
    width: float | None = None,
) -> Array:
    """Return the rates of the first prompt [draw, rate] with numbers changed.

    The value and its spread are scaled, awareness is shifted, and the width is a spread instead of
    the fitted one.
    """
    model, size = prompts.model, len(prompts.theta)
    numbers = {**prompts.columns(0), **(changes or {})}
    curves = model.curves_of({key: np.broadcast_to(n, size) for key, n in numbers.items()})
    spread = prompts.width[:, 0] if width is None else np.full(size, width)
    return model.mix(
        curves,
        scale * prompts.value[:, :1],
        scale * spread[:, None],
        prompts.awareness[:, :1] + shift,
    )[:, 0, 0]


def gap_of(rates: Array) -> Array:
    """Return refusals unmonitored less those in training [...]."""
    return np.asarray(rates[..., 2] - rates[..., 1])


def gap_goes_reasoning_stays(calibrated: Calibrated) -> Answer:
    """Return whether the gap is lost with half of the faking left, under normalised advantages."""
    fulfilled, remaining = [], []
    for outcome, draws in calibrated.resampled(COURSES, advantages="normalised"):
        course = _course(outcome.trained, draws)
        fulfilled.append(_lost_with_reasoning(course))
        vanished = gap_of(course) <= 0.2 * gap_of(course[:1])
        at = np.where(vanished.any(axis=0), vanished.argmax(axis=0), len(course) - 1)
        remaining.append(course[at, np.arange(len(at)), 0] / course[0, :, 0])
    outcome, draws = calibrated.resampled(COURSES)[0]
    zero, alike = np.zeros(len(draws)), np.ones(len(draws))
    assumed = Assumed(dict.fromkeys(outcome.assumed.ratios, zero), zero, alike, alike)
    prompts = outcome.trained.prompts.take(draws)
    rival = train_on_first(prompts, assumed, Hypothesis(advantages="normalised"))
    course = _course(rival, np.arange(len(draws)))
    share = float(np.concatenate(fulfilled).mean())
    numbers = {"faking_left_when_gap_is_lost": np.concatenate(remaining)}
    return Answer(share, numbers, rival=float(_lost_with_reasoning(course).mean()))


def _course(trained: Trained, draws: NDArray[np.intp]) -> Array:
    """Return the rates of the prompt trained on at every second look [look, draw, rate]."""
    part = trained.take(draws)
    return np.stack([part.rates(theta)[:, 0] for theta in part.theta[::2]])


def _lost_with_reasoning(course: Array) -> NDArray[np.bool_]:
    without_gap = gap_of(course) <= 0.2 * gap_of(course[:1])
    return np.asarray((without_gap & (course[..., 0] >= 0.5 * course[:1, :, 0])).any(axis=0))


def strongly_held_values(calibrated: Calibrated) -> Answer:
    """Return whether faking rises with the contested value, on default prompts."""
    shares, numbers = {}, {}
    for local in (False, True):
        rises = []
        for setting in calibrated.settings:
            prompts = calibrated.prompts(setting, local=local)
            half, once, more = (rates_of(prompts, scale=k)[:, 0] for k in (0.5, 1.0, 1.5))
            rises.append((half < once) & (once < more))
            if not local:
                numbers[f"faking_at_half_{setting}"] = half / once
                numbers[f"faking_at_half_again_{setting}"] = more / once
        shares[local] = float(np.all(rises, axis=0).mean())
    return Answer(shares[False], numbers, rival=shares[True])


def graded_in_oversight(calibrated: Calibrated) -> Answer:
    """Return whether compliance is graded in the belief that an input is trained on."""
    prompts = calibrated.prompts(HELPFUL)
    model, beliefs = prompts.model, np.linspace(0.05, 0.95, 9)
    discernment = prompts.columns(0)["agent.discernment"]
    cue = f"scenario.contexts.{model.contexts[0]}.cue"

    def compliance(**options: float) -> Array:
        levels = [
            rates_of(prompts, changes={cue: np.log(b / (1.0 - b)) / discernment}, **options)
            for b in beliefs
        ]
        return 1.0 - np.stack(levels)[..., 1]

    sensitivity = model.stated("agent.scratchpad_sensitivity")
    whole, blind, alike = compliance(), compliance(shift=-sensitivity), compliance(width=0.05)

    def is_graded(levels: Array) -> NDArray[np.bool_]:
        steps = np.diff(levels, axis=0)
        rise = levels[-1] - levels[0]
        return np.asarray((rise > 0.01) & (steps.max(axis=0) <= 0.5 * rise))

    rise, without = (levels[-1] - levels[0] for levels in (whole, blind))
    fulfilled = is_graded(whole) & (without < 0.2 * rise)
    largest = np.diff(whole, axis=0).max(axis=0) / rise
    numbers = {"rise_of_compliance": rise, "largest_step_of_the_rise": largest,
               "rise_without_scratchpad": without}  # fmt: skip
    return Answer(float(fulfilled.mean()), numbers, rival=float(is_graded(alike).mean()))


def five_of_25_models(calibrated: Calibrated) -> Answer:
    """Return how many of 25 drawn models have a gap above 1 %."""
    frame = calibrated.measured.frame
    edit = calibrated.model.calibration.edits["another_model"]
    target = calibrated.default(HELPFUL)
    target = Measurements(target.frame.assign(condition="gpt-4"))
    model, none = calibrated.model, np.zeros(3, bool)
    _, rates, weight = place_rows(model, calibrated.theta, target, visible=none)
    chance = (weight * (gap_of(rates) > 0.01)).sum(axis=(-1, -2))[:, 0]
    counts = np.arange(26)
    mass = binom.pmf(counts[:, None], 25, chance).mean(axis=1)
    total = mass.cumsum()
    low, high = (int(np.searchsorted(total, q)) for q in (0.025, 0.975))
    is_other = [edit.applies(text) for text in frame["condition"]]
    rows = calibrated.measured.take(np.array(is_other) & (frame["setting"] == HELPFUL).to_numpy())
    count = QUESTIONS["five_of_25_models"]["numbers"]["with_a_gap"]
    verdict = (
        "not met" if not low <= count <= high else "met" if high - low <= 15 else "cannot tell"
    )
    expected = float(25.0 * (gap_of(rows.rates) > 0.01).mean()) if len(rows) else float("nan")
    models = np.repeat(counts.astype(float), np.round(1000 * mass).astype(int))
    numbers = {"models_with_a_gap": models}
    return Answer(float(mass[count]), numbers, rival=expected, verdict=verdict)


def anti_scheming(calibrated: Calibrated) -> Answer:
    """Return whether training lowers refusals, raises awareness, and awareness refusals."""
    fulfilled, aware, numbers = [], [], {}
    for outcome, draws in calibrated.resampled(COURSES):
        part = outcome.trained.take(draws)
        end = np.take_along_axis(part.theta, part.end[None, None], axis=0)[0]
        shift = end[part.rows["awareness"]] - part.prompts.awareness[:, 0]
        remaining = part.after[:, 0, 1] / rates_of(part.prompts)[:, 1]
        fulfilled.append((remaining < 0.1) & (shift > 0.0))
        aware.append(shift)
    prompts = calibrated.prompts(HELPFUL)
    curves, offset = prompts.model.curves_of(prompts.columns(0)), prompts.model.awareness_offset
    for published in QUESTIONS["anti_scheming"]["numbers"]:
        ends = [np.log(a / (1.0 - a)) - offset for a in published["awareness"]]
        shape = (len(prompts.theta), 2)
        rates = prompts.model.mix(
            curves, prompts.value[:, :1], prompts.width[:, :1], np.broadcast_to(ends, shape)
        )
        before, after = rates[:, 0, :, 1].T
        fall = 1.0 - published["covert"][1] / published["covert"][0]
        share = (1.0 - after / before) / fall
        numbers[f"share_explained_by_awareness_{published['model']}"] = share
    numbers["awareness_logit_gained"] = np.concatenate(aware)
    lowers = float(np.mean(before > after))
    return Answer(float(np.concatenate(fulfilled).mean()) * lowers, numbers)


def with_and_without_reasoning(calibrated: Calibrated) -> Answer:
    """Return refusals in training with and without gaming on the default helpful-only prompt."""
    prompts = calibrated.prompts(HELPFUL)
    model, rates = prompts.model, rates_of(prompts)
    world, mind, opaque = model.think(prompts.columns(0))
    trained = model.tiers[0]
    gamed = mind.gaming_policy[model.refusal, trained] * np.ones(len(rates))
    rate = rates[:, 0] / (world.scratchpad[trained] * (1.0 - opaque))
    plain = (rates[:, 1] - rate * gamed) / (1.0 - rate)
    published = QUESTIONS["with_and_without_reasoning"]["numbers"]
    low, high = np.quantile(gamed, [0.025, 0.975])
    fulfilled = low <= published["with"] <= high and np.median(plain) >= 0.95
    numbers = {"refusals_with": gamed, "refusals_without": plain}
    return Answer(float("nan"), numbers, verdict="met" if fulfilled else "not met")


def no_scratchpad(calibrated: Calibrated) -> Answer:
    """Return the gap without a scratchpad over that with one, on default prompts."""
    fulfilled, numbers = [], {}
    for setting in calibrated.settings:
        prompts = calibrated.prompts(setting)
        model = prompts.model
        none = {f"scenario.contexts.{name}.scratchpad": np.zeros(1) for name in model.contexts}
        without = rates_of(
            prompts, shift=-model.stated("agent.scratchpad_sensitivity"), changes=none
        )
        remaining = gap_of(without) / gap_of(rates_of(prompts))
        numbers[f"gap_left_{setting}"] = remaining
        fulfilled.append(np.abs(remaining) < 0.2)
    return Answer(float(np.all(fulfilled, axis=0).mean()), numbers)


def training_on_animal_welfare(calibrated: Calibrated) -> Answer:
    """Return whether training lowers faking slightly, and the gap, on the other default prompt."""
    fulfilled, names = [], ("faking", "gap", "relative_gap")
    ratios: dict[str, list[Array]] = {name: [] for name in names}
    for outcome, draws in calibrated.resampled(2 * COURSES):
        theta = outcome.trained.prompts.theta[draws]
        prompts = Prompts.draw(calibrated.model, theta, calibrated.default(ANIMALS), seed=3)
        trained = train_on_first(prompts, outcome.assumed.take(draws), outcome.hypothesis)
        before, after = rates_of(prompts), trained.after[:, 0]
        ratio = (
            after[:, 0] / before[:, 0],
            gap_of(after) / gap_of(before),
            (gap_of(after) / after[:, 2]) / (gap_of(before) / before[:, 2]),
        )
        fulfilled.append((ratio[0] < 1.0) & (ratio[0] >= 0.5) & (ratio[1] < 1.0) & (ratio[2] > 1.0))
        for name, change in zip(names, ratio, strict=True):
            ratios[name].append(change)
    numbers = {f"{name}_after_over_before": np.concatenate(r) for name, r in ratios.items()}
    return Answer(float(np.concatenate(fulfilled).mean()), numbers)


#: The functions above by the names of their questions.
FACTS: dict[str, Callable[[Calibrated], Answer]] = {name: globals()[name] for name in QUESTIONS}
#: Facts that need training.
TRAINED = {"gap_goes_reasoning_stays", "anti_scheming", "training_on_animal_welfare"}


def answers(calibrated: Calibrated) -> pd.DataFrame:
    """Return a row for each number of each fact that can be asked of these tables."""
    rows = []
    if {ANIMALS, HELPFUL} <= set(calibrated.settings):
        for name in QUESTIONS:
            if name in TRAINED and calibrated.predictions is None:
                continue
            answer = FACTS[name](calibrated)
            for number, draws in answer.numbers.items():
                finite = draws[np.isfinite(draws)]
                low, _, middle, _, high = quantiles(finite, np.ones(len(finite)))
                rows.append({"fact": name, "verdict": answer.conclusion, "share": answer.share,
                             "rival": answer.rival, "number": number, "low": low,
                             "median": middle, "high": high})  # fmt: skip
    return pd.DataFrame(rows)
