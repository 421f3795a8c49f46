"""What an agent has become in training on one prompt, and so what any other prompt comes to.

A prompt that is not trained on changes through what it shares with the one that is: values,
awareness, horizon, competence, and the habits that carry over. So it need not be in the world that
is trained in: moments of training tell its numbers, and these its rates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from experiments.calibration.prompt_rates import SPREAD, PromptRates
from experiments.calibration.spec import Calibration
from sim.dynamics.state import Array


@dataclass(frozen=True)
class Moments:
    """What an agent has become at moments of training; arrays of one shape [...].

    Attributes:
        scale: The contested value as a multiple of what it was.
        others: The other values, by name.
        awareness: By how much awareness has grown.
        habit: Of the prompt trained on, where its input says that it is trained on.
        habit_elsewhere: Of its other tier, and of all other prompts.
        log_horizon, log_competence, opacity: As they are then.
    """

    scale: Array
    others: Mapping[str, Array]
    awareness: Array
    habit: Array
    habit_elsewhere: Array
    log_horizon: Array
    log_competence: Array
    opacity: Array

    def take(self, places: Any) -> Moments:
        """Return some moments, by any index."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        others = {name: array[places] for name, array in found.pop("others").items()}
        return Moments(others=others, **{name: array[places] for name, array in found.items()})

    def turned(self) -> Moments:
        """Return moments [run, step] of moments [step, run]."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        others = {name: array.T for name, array in found.pop("others").items()}
        return Moments(others=others, **{name: array.T for name, array in found.items()})

    @staticmethod
    def join(parts: Sequence[Moments]) -> Moments:
        """Return moments one after another."""
        found = {
            one.name: np.concatenate([getattr(part, one.name) for part in parts])
            for one in fields(Moments)
            if one.name != "others"
        }
        others = {
            name: np.concatenate([part.others[name] for part in parts]) for name in parts[0].others
        }
        return Moments(others=others, **found)


def after(
    rates: PromptRates,
    calibration: Calibration,
    numbers: Mapping[str, Array],
    moments: Moments,
    *,
    is_trained: bool = False,
) -> dict[str, Array]:
    """Return the numbers of prompts at moments of training that they were no part of [row].

    What a prompt not trained on comes to depends on the agent alone, so it need not be in the
    world that is trained in; `PromptRates` of these numbers are those of `Reinforcement`.

    Args:
        rates: The model before training.
        calibration: What was measured, where.
        numbers: Of prompts before training, by full key [row].
        moments: What the agent has become [row].
        is_trained: Whether the prompt is the one trained on.
    """
    value, awareness = f"agent.initial.values.{calibration.value}", calibration.placing[1]
    signalled, unmonitored = rates.contexts

    def of(key: str) -> Array:
        return np.asarray(numbers.get(key, rates.said(key)))

    found = {key: np.asarray(column) for key, column in numbers.items()}
    for key in [key for key in found if key.startswith("agent.initial.habit")]:
        del found[key]
    width = found.get(SPREAD, np.zeros(1))
    found |= {
        value: of(value) * moments.scale,
        SPREAD: width * np.abs(moments.scale),
        awareness: of(awareness) + moments.awareness,
        f"agent.initial.habit.{signalled}": (
            moments.habit if is_trained else moments.habit_elsewhere
        ),
        f"agent.initial.habit.{unmonitored}": moments.habit_elsewhere,
        "agent.initial.log_horizon": moments.log_horizon,
        "agent.initial.log_competence": moments.log_competence,
        "agent.initial.capability.opacity": moments.opacity,
        **{f"agent.initial.values.{name}": now for name, now in moments.others.items()},
    }
    return found
