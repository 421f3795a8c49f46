"""Rates after training, of prompts that were never trained on, as distributions.

Every hypothesis on training is tried with draws from what is believed of the numbers that it has,
each with a draw of the posterior before training. Its score is the logarithm of the mean
likelihood of the rates that were published after training: how well it predicted them before they
were seen. Predictions are those of draws weighted by this likelihood, of all hypotheses together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from sim.dynamics.randomness import normal, uniform_pair
from sim.dynamics.state import Array
from sim.specs.errors import SpecError

from .data import RATES, Measurements
from .fit import transform
from .model import PromptModel
from .training import (
    HYPOTHESES,
    LEVELS,
    Assumed,
    Hypothesis,
    Outcome,
    Prompts,
    train_on_first,
    weigh,
)

#: The stages of a table.
BEFORE, AFTER = "pre_rl", "post_rl"
#: The parts of a distribution that are shown.
QUANTILES = {"low_95": 0.025, "low_50": 0.25, "median": 0.5, "high_50": 0.75, "high_95": 0.975}


@dataclass(frozen=True)
class Stages:
    """A table of stages: prompts before training, the one trained on first, and that one after."""

    before: Measurements
    after: Measurements

    @property
    def setting(self) -> str:
        """Return the setting that was trained on."""
        return str(self.after.frame["setting"].iloc[0])

    @classmethod
    def read(cls, measured: Measurements, further: Measurements | None = None) -> Stages:
        """Return the stages of a table, and further prompts before training, of `predict`."""
        frame = measured.frame.rename(columns={"prompt": "condition"})
        stages = set(frame["stage"])
        if not stages <= {BEFORE, AFTER}:
            raise SpecError(f"rl: stage: got {min(stages)!r}: must be {BEFORE} or {AFTER}")
        is_after = (frame["stage"] == AFTER).to_numpy()
        if is_after.sum() != 1:
            raise SpecError(f"rl: stage: must have one row {AFTER}, has {is_after.sum()}")
        after = frame[is_after].iloc[0]
        ours = (frame["setting"] == after["setting"]) & ~is_after
        if not (trained := ours & (frame["condition"] == after["condition"])).any():
            raise SpecError(f"rl: prompt {after['condition']!r} is missing in stage {BEFORE}")
        parts = [frame[trained], frame[ours & ~trained]]
        if further is not None:
            strangers = set(further.frame["setting"]) - {after["setting"]}
            if strangers:
                need = f"training was of {after['setting']!r} alone"
                raise SpecError(f"predict: setting: got {min(strangers)!r}: {need}")
            familiar = set(frame.loc[ours, "condition"])
            parts.append(further.frame[~further.frame["condition"].isin(familiar)])
        before = pd.concat(parts, ignore_index=True)
        before["row"] = [str(row) for row in range(len(before))]
        return cls(Measurements(before), Measurements(frame[is_after].reset_index(drop=True)))


@dataclass(frozen=True)
class Predictions:
    """Hypotheses on training with their scores, and what they predict together."""

    stages: Stages
    outcomes: tuple[Outcome, ...]

    @property
    def weights(self) -> Array:
        """Return the weight of each hypothesis, which were as likely before [hypothesis]."""
        scores = np.array([outcome.score for outcome in self.outcomes])
        weights = np.exp(scores - scores.max())
        return np.asarray(weights / weights.sum())

    @property
    def joint(self) -> Array:
        """Return the weights of all draws [hypothesis, draw]; they sum to 1."""
        return self.weights[:, None] * np.stack([outcome.weight for outcome in self.outcomes])

    def scores(self) -> pd.DataFrame:
        """Return a row for each hypothesis, the best first."""
        table = pd.DataFrame(
            {
                **asdict(outcome.hypothesis),
                "score": outcome.score, "weight": weight, "effective_draws": outcome.effective,
                "ended": outcome.trained.ended.mean(), "least_chi2": outcome.least,
            }
            for outcome, weight in zip(self.outcomes, self.weights, strict=True)
        )  # fmt: skip
        return table.sort_values("score", ascending=False, kind="stable").reset_index(drop=True)

    @property
    def effective(self) -> float:
        """Return how many equal draws the weighted ones are worth."""
        return float(1.0 / (self.joint**2).sum())

    def numbers(self) -> pd.DataFrame:
        """Return what was believed of the numbers of training, and what is, with 95 %."""
        assumed, weight = self.outcomes[0].assumed, self.joint.sum(axis=0)
        labelled = {f"learning rate of {name}": ratio for name, ratio in assumed.ratios.items()}
        labelled |= {"similarity of tiers": assumed.tiers, "similarity of prompts": assumed.prompts,
                  "leak": assumed.leak}  # fmt: skip
        rows = []
        for name, number in labelled.items():
            row: dict[str, object] = {"number": name}
            for stage, weights in (("believed", np.ones(len(number))), ("posterior", weight)):
                low, _, middle, _, high = quantiles(number, weights)
                row |= {f"{stage}_low": low, f"{stage}_median": middle, f"{stage}_high": high}
            rows.append(row)
        return pd.DataFrame(rows)

    def levels(self) -> pd.DataFrame:
        """Return the score of each level of what training may be like, over all else."""
        scores = self.scores()
        rows = []
        for factor, levels in LEVELS.items():
            for level in levels:
                part = scores.loc[scores[factor] == level, "score"]
                rows.append({"factor": factor, "level": level,
                             "score": np.log(np.exp(part).mean()), "best": part.max()})  # fmt: skip
        return pd.DataFrame(rows)

    def distributions(self) -> pd.DataFrame:
        """Return the distribution of each rate after training that would be published [row].

        With the noise of as many answers as the prompt had before training.
        """
        weight = self.joint.ravel()
        rows = []
        before = self.stages.before
        for prompt, condition in enumerate(before.frame["condition"]):
            for index, rate in enumerate(RATES):
                rates = np.concatenate([o.trained.after[:, prompt, index] for o in self.outcomes])
                draws = np.arange(len(rates))
                deviate = normal(seed=0, stream=f"published {prompt} {index}", rows=draws)
                noisy = transform(rates) + deviate / np.sqrt(before.answers[prompt, index])
                noisy = np.sin(np.clip(noisy, 0.0, np.pi) / 2.0) ** 2
                rows.append(
                    {
                        "prompt": condition, "trained": prompt == 0, "rate": rate,
                        "before": before.rates[prompt, index],
                        **dict(zip(QUANTILES, quantiles(noisy, weight), strict=True)),
                    }
                )  # fmt: skip
        return pd.DataFrame(rows)


def quantiles(numbers: Array, weight: Array) -> list[float]:
    """Return the quantiles of weighted numbers [draw]."""
    order = np.argsort(numbers, kind="stable")
    total = np.cumsum(weight[order])
    places = np.searchsorted(total / total[-1], list(QUANTILES.values()))
    return [float(numbers[order[place]]) for place in places.clip(max=len(order) - 1)]


def predict(
    model: PromptModel,
    theta: Array,
    stages: Stages,
    *,
    hypotheses: Sequence[Hypothesis] = HYPOTHESES,
    draws: int,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> Predictions:
    """Try hypotheses on training, with draws of a posterior before it [draw, parameter]."""
    chance, _ = uniform_pair(seed=seed, stream="posterior draws", rows=np.arange(draws))
    prompts = Prompts.draw(
        model, theta[(chance * len(theta)).astype(np.intp)], stages.before, seed=seed
    )
    assumed = Assumed.draw(draws, seed=seed)
    outcomes = []
    for index, hypothesis in enumerate(hypotheses):
        trained = train_on_first(prompts, assumed, hypothesis)
        outcomes.append(weigh(hypothesis, trained, assumed, stages.after))
        if progress is not None:
            progress((index + 1) / len(hypotheses))
    return Predictions(stages, tuple(outcomes))
