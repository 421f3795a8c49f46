"""Training on one prompt, and the rates of this and other prompts after it.

Engines train agents on kinds of query, which offend the contested value by different factors. What
is learnt reaches other contexts by similarity: queries of a prompt are alike, tiers by one number,
prompts by another. So three contexts stand for all that is not trained on: the prompt unmonitored,
and another on either tier. Rates follow as before training (`model`), from what the agent became.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray

from sim.dynamics.compile import compile_program
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.loop import records
from sim.dynamics.randomness import normal, uniform_pair
from sim.dynamics.state import Array
from sim.specs.overrides import Specs, read_specs

from .data import Measurements
from .fit import observed, place_rows, transform
from .model import SPREAD, Design, PromptModel

KINDS = 7  # of query
#: The contexts of a prompt after training on it, and of one that was not trained on.
TRAINED_ON = ("trained_0", "unmonitored")
NEVER_TRAINED_ON = ("other", "other_unmonitored")
PART = 20  # draws that are placed at once
#: The base learning rate, and the steps at which training is looked at.
RATE = 0.1
LAST = 3000
LOOKS = tuple(sorted({0, *np.geomspace(1, LAST, 60).round().astype(int).tolist()}))
#: Refusals in training are gone when fewer than this are left.
THRESHOLD = 0.005
WIDTH = 1.5  # standard deviation of the belief in the logarithm of a ratio of learning rates
#: Learning rates that a belief is held of, relative to that of propensities.
RATIOS = ("values", "habit", "awareness", "log_competence")
#: A value less than this cannot be scaled to those of other queries.
_LEAST_VALUE = 0.05


@dataclass(frozen=True)
class Hypothesis:
    """A way for training to go, other than by numbers that nobody knows."""

    update_rule: str = "policy_gradient"
    advantages: str = "raw"
    propensities: str = "learnt"  # or none
    tiers: str = "alike"  # by a similarity that is not known; or apart
    leak: str = "none"  # or some


#: All combinations of what training may be like.
LEVELS: dict[str, tuple[str, ...]] = {
    "update_rule": ("policy_gradient", "natural_gradient"),
    "advantages": ("raw", "normalised"),
    "propensities": ("learnt", "none"),
    "tiers": ("alike", "apart"),
    "leak": ("none", "some"),
}
HYPOTHESES = tuple(Hypothesis(*levels) for levels in product(*LEVELS.values()))


@dataclass(frozen=True)
class Assumed:
    """Draws of what nobody knows of training, from what is believed of it: arrays [draw].

    Prompts of a setting are no less alike than tiers of a prompt, which differ in whether an
    answer is trained on, prompts in their words.
    """

    ratios: Mapping[str, Array]
    leak: Array
    tiers: Array  # similarity of the tiers
    prompts: Array  # similarity of prompts

    @classmethod
    def draw(cls, count: int, *, seed: int) -> Assumed:
        """Return so many draws."""
        rows = np.arange(count)
        ratios = {
            name: np.exp(WIDTH * normal(seed=seed, stream=f"ratio {name}", rows=rows))
            for name in RATIOS
        }
        tiers, prompts = uniform_pair(seed=seed, stream="similarity", rows=rows)
        leak, _ = uniform_pair(seed=seed, stream="leak", rows=rows)
        return cls(ratios, leak, tiers, tiers + (1.0 - tiers) * prompts)

    def take(self, rows: NDArray[np.intp]) -> Assumed:
        """Return some of the draws."""
        ratios = {name: ratio[rows] for name, ratio in self.ratios.items()}
        return Assumed(ratios, self.leak[rows], self.tiers[rows], self.prompts[rows])


@dataclass(frozen=True)
class Prompts:
    """Prompts of one setting, each where a draw of the posterior places it."""

    model: PromptModel
    theta: Array  # [draw, parameter]
    design: Design
    value: Array  # [draw, prompt]
    awareness: Array  # [draw, prompt]

    @classmethod
    def draw(
        cls, model: PromptModel, theta: Array, measured: Measurements, *, seed: int
    ) -> Prompts:
        """Return prompts placed by all their rates before training, one place for each draw."""
        deviates = np.empty((2, len(theta), len(measured)))
        for start in range(0, len(theta), PART):
            part = slice(start, start + PART)
            nodes, _, weight = place_rows(model, theta[part], measured, nodes=41)
            rows = np.arange(start, start + len(weight))
            for prompt in range(len(measured)):
                total = weight[:, prompt].reshape(len(weight), -1).cumsum(axis=1)
                chance, _ = uniform_pair(seed=seed, stream=f"place of prompt {prompt}", rows=rows)
                pick = (total < chance[:, None]).sum(axis=1).clip(max=total.shape[1] - 1)
                at = np.unravel_index(pick, weight.shape[2:])
                deviates[:, part, prompt] = [nodes[place] for place in at]
        return cls._off(model, theta, measured, deviates)

    @classmethod
    def mean(cls, model: PromptModel, theta: Array, measured: Measurements) -> Prompts:
        """Return prompts at the mean of where all their rates place them."""
        nodes, _, weight = place_rows(model, theta, measured, nodes=41)
        return cls._off(
            model, theta, measured, np.stack([weight.sum(axis=axis) @ nodes for axis in (3, 2)])
        )

    @classmethod
    def _off(
        cls, model: PromptModel, theta: Array, measured: Measurements, deviates: Array
    ) -> Prompts:
        design = model.design(measured.frame)
        value, awareness = (
            model.placed(theta, design, key, deviate[..., None])[..., 0]
            for key, deviate in zip((model.value, model.awareness), deviates, strict=True)
        )
        return cls(model, theta, design, value, awareness)

    def take(self, rows: NDArray[np.intp]) -> Prompts:
        """Return some of the draws."""
        theta, value, awareness = (a[rows] for a in (self.theta, self.value, self.awareness))
        return replace(self, theta=theta, value=value, awareness=awareness)

    @property
    def width(self) -> Array:
        """Return the standard deviation of the value over queries [draw, prompt]."""
        return self.model.numbers(self.theta, self.design, SPREAD)

    def columns(self, prompt: int) -> dict[str, Array]:
        """Return all numbers of a prompt but value and awareness, by full key [draw]."""
        rows = np.array([prompt])
        columns = self.model.columns(self.theta, self.design, rows)
        return {key: column[:, 0] for key, column in columns.items()}


@dataclass(frozen=True)
class Trained:
    """Agents in the course of training on the first of some prompts, at some looks."""

    prompts: Prompts
    start: Array  # the value that agents start at [draw]
    rows: Mapping[str, int]  # the places of parameters in θ, by name
    theta: Array  # [look, parameter, draw]
    refusals: Array  # in training, on the prompt that is trained on [look, draw]

    def take(self, draws: NDArray[np.intp]) -> Trained:
        """Return some of the draws."""
        names = ("start", "theta", "refusals")
        parts = {name: getattr(self, name)[..., draws] for name in names}
        return replace(self, prompts=self.prompts.take(draws), **parts)

    @property
    def ended(self) -> NDArray[np.bool_]:
        """Return whether refusals in training were gone at a look [draw]."""
        return np.asarray((self.refusals < THRESHOLD).any(axis=0))

    @property
    def end(self) -> NDArray[np.intp]:
        """Return the look at which refusals in training were gone, or the last [draw]."""
        vanished = self.refusals < THRESHOLD
        return np.where(self.ended, vanished.argmax(axis=0), len(vanished) - 1)

    @cached_property
    def after(self) -> Array:
        """Return the rates when training stops [draw, prompt, rate]."""
        return self.rates(np.take_along_axis(self.theta, self.end[None, None], axis=0)[0])

    def rates(self, theta: Array) -> Array:
        """Return the rates of all prompts [draw, prompt, rate] in a state θ [parameter, draw]."""
        prompts, model = self.prompts, self.prompts.model
        whole = ("values", "log_horizon", "log_competence", "capability")
        shared = {n: theta[row] for n, row in self.rows.items() if n.split(".")[0] in whole}
        scale = shared.pop(f"values.{model.calibration.value}") / self.start
        alpha = theta[self.rows["awareness"]] - prompts.awareness[:, 0]
        rates = np.empty((theta.shape[1], prompts.value.shape[1], 3))
        for prompt in range(rates.shape[1]):
            places = TRAINED_ON if prompt == 0 else NEVER_TRAINED_ON
            numbers = {
                **prompts.columns(prompt),
                **{f"agent.initial.{name}": number for name, number in shared.items()},
            }
            numbers.pop("agent.initial.habit", None)
            for place, context in zip(places, model.contexts, strict=True):
                for name in (n for n in self.rows if n.split(".")[1:2] == [place]):
                    key = f"agent.initial.{name.replace(place, context, 1)}"
                    numbers[key] = theta[self.rows[name]]
            for part in np.array_split(np.arange(len(rates)), -(-len(rates) // 200)):
                curves = model.curves_of({key: column[part] for key, column in numbers.items()})
                rates[part, prompt] = model.mix(
                    curves,
                    (scale * prompts.value[:, prompt])[part, None],
                    (np.abs(scale) * prompts.width[:, prompt]).clip(min=1e-3)[part, None],
                    (prompts.awareness[:, prompt] + alpha)[part, None],
                )[:, 0, 0]
        return rates


def train_on_first(
    prompts: Prompts,
    assumed: Assumed,
    hypothesis: Hypothesis,
    *,
    looks: Sequence[int] = LOOKS,
    engine: str = "auto",
) -> Trained:
    """Train on the first of some prompts."""
    specs, columns, start = _world(prompts, assumed, hypothesis, steps=looks[-1])
    program = compile_program(
        specs.scenario,
        agent=specs.agent,
        training=specs.training,
        agents=1,
        seed=np.zeros(len(start), np.uint64),
        columns=columns,
    )
    share = program.segments[0].world.weight[:KINDS, 0]
    refusal, size = prompts.model.refusal, (len(looks), len(start))
    theta, refusals = np.empty((size[0], program.layout.size, size[1])), np.empty(size)
    history = records(get_engine(engine), program, looks, names=("policy",), bounded=False)
    for look, snapshot in enumerate(history):
        theta[look] = snapshot.theta
        refusals[look] = snapshot.observed["policy"][:, :KINDS, refusal] @ share
    rows = {name: row for row, name in enumerate(program.layout.names)}
    return Trained(prompts, start, rows, theta, refusals)


def _world(
    prompts: Prompts, assumed: Assumed, hypothesis: Hypothesis, *, steps: int
) -> tuple[Specs, dict[str, Array], Array]:
    """Return the world of training, its columns by full key [draw], and the values it starts at."""
    model, nodes, weights = prompts.model, *hermegauss(KINDS)
    data = [
        model.specs.scenario.contexts[name].model_dump(
            mode="json", exclude_unset=True, exclude={"twin", "kind", "weight"}
        )
        for name in model.contexts
    ]
    trained = [f"trained_{kind}" for kind in range(KINDS)]
    share = weights / weights.sum()
    contexts = {n: {**data[0], "weight": float(w)} for n, w in zip(trained, share, strict=True)}
    reached = {"unmonitored": 1, "other": 0, "other_unmonitored": 1}
    contexts |= {name: {**data[tier], "kind": "deployment"} for name, tier in reached.items()}
    names = list(contexts)
    scenario = model.specs.scenario
    alike = np.ones((len(names), len(names)))
    specs = read_specs(
        {
            "name": scenario.name,
            "values": list(scenario.values),
            "human_values": dict(scenario.human_values),
            "contexts": contexts,
            "similarity": alike.tolist(),
        },
        agent=model.specs.agent,
        training={
            "steps": steps,
            "update_rule": hypothesis.update_rule,
            "advantages": hypothesis.advantages,
            # Similarity says all of what carries over.
            "generalisation": {"habit": 1.0, "propensity": 1.0},
        },
    )
    value, width = prompts.value[:, 0], prompts.width[:, 0]
    start = np.hypot(value, width).clip(min=_LEAST_VALUE)
    columns = {
        key: column
        for key, column in prompts.columns(0).items()
        if not key.startswith("scenario.contexts.")
    }
    columns |= {model.value: start, model.awareness: prompts.awareness[:, 0]}
    for name, node in zip(trained, nodes, strict=True):
        factor = (value + width * node) / start
        for response, serves in scenario.contexts[model.contexts[0]].responses.items():
            key = f"scenario.contexts.{name}.responses.{response}.{model.calibration.value}"
            columns[key] = factor * serves.get(model.calibration.value, 0.0)
    across = {
        "unmonitored": assumed.tiers * (hypothesis.tiers == "alike"),
        "other": assumed.prompts,
    }
    across["other_unmonitored"] = across["unmonitored"] * across["other"]
    for name, similarity in across.items():
        for kind in range(KINDS):
            columns[f"scenario.similarity.{names.index(name)}.{kind}"] = similarity
    columns |= {f"training.learning_rate.{name}": RATE * r for name, r in assumed.ratios.items()}
    constant = {"log_horizon": 1.0, "capability": 1.0,
                "propensity": float(hypothesis.propensities == "learnt")}  # fmt: skip
    columns |= {
        f"training.learning_rate.{k}": np.full(len(start), RATE * x) for k, x in constant.items()
    }
    columns["training.leak"] = (hypothesis.leak == "some") * assumed.leak
    return specs, columns, start


@dataclass(frozen=True)
class Outcome:
    """A hypothesis and the rates that were published after training."""

    hypothesis: Hypothesis
    trained: Trained
    assumed: Assumed
    score: float  # the logarithm of the predictive density of what was published
    least: float  # the least chi-square of any draw, of three rates
    weight: Array  # of each draw, given what was published [draw]

    @property
    def effective(self) -> float:
        """Return how many equal draws the weighted ones are worth."""
        return float(1.0 / (self.weight**2).sum())


def weigh(
    hypothesis: Hypothesis, trained: Trained, assumed: Assumed, published: Measurements
) -> Outcome:
    """Return how well a hypothesis predicted one published row after training on its prompt."""
    at, variance = observed(published)
    misses = (transform(trained.after[:, 0]) - at[0]) ** 2 / variance[0]
    logs = -0.5 * (misses + np.log(2.0 * np.pi * variance[0])).sum(axis=1)
    logs = np.where(np.isfinite(logs), logs, -1e9)
    weight = np.exp(logs - logs.max())
    score = float(logs.max() + np.log(weight.mean()))
    least = float(np.nanmin(misses.sum(axis=1)))
    return Outcome(hypothesis, trained, assumed, score, least, weight / weight.sum())
