"""Train the agents of a map at chosen points, and record visible and opaque gaming over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.dynamics.state import Array
from sim.simulation import prepare
from sim.specs.overrides import apply_overrides
from sim.utils.progress import parts_of

from .plan import PENALTY_KEY, StudyDesign
from .visibility import gaming_shares

#: Records of a history.
_RECORDS = 200
#: A logit at which training never comes to mind.
_NEVER_AWARE = -40.0


@dataclass(frozen=True)
class History:
    """A point of a map over training, at S recorded steps.

    Attributes:
        name: `no penalty`, `removed`, `taught to hide` or `unaware`.
        settings: Dotted keys and their numbers.
        steps: The recorded steps [S].
        shares: Shares of episodes over all training contexts, mean over agents [S, 4]: `KINDS`.
        opacity: k_opacity, mean over agents [S].
        strength: The protected value in units of its start, median over agents [S].
    """

    name: str
    settings: Mapping[str, float]
    steps: NDArray[np.int_]
    shares: Array
    opacity: Array
    strength: Array


def train_points(
    design: StudyDesign,
    points: Mapping[str, Mapping[str, float]],
    *,
    progress: Callable[[float], None] | None = None,
) -> list[History]:
    """Train the agents of the maps, to the bit, without a penalty, at the points, and unaware.

    The last history is of agents to whom training never comes to mind: their value is what no
    gaming would have saved.
    """
    points = {
        "no penalty": {PENALTY_KEY: 0.0},
        **points,
        "unaware": {PENALTY_KEY: 0.0, "agent.initial.awareness": _NEVER_AWARE},
    }
    reports = parts_of(progress, [1.0] * len(points))
    return [
        _train_point(design, name, settings, report)
        for (name, settings), report in zip(points.items(), reports, strict=True)
    ]


def _train_point(
    design: StudyDesign, name: str, settings: Mapping[str, float], report: Callable[[float], None]
) -> History:
    specs = apply_overrides(design.specs, settings)
    result = prepare(
        specs.scenario,
        agent=specs.agent,
        training=specs.training,
        agents=design.settings.agents,
        seed=design.settings.seed,
        record_every=max(1, specs.training.steps // _RECORDS),
        engine=design.settings.engine,
    ).execute(progress=report)
    opacity = result.capabilities.sel(capability="opacity").values
    shares = gaming_shares(
        result.gaming_rate.values,
        opacity=opacity,
        scratchpad=[context.scratchpad for context in specs.scenario.contexts.values()],
        weight=result.data["weight"].values[:, None, :],
    )
    value = result.values.sel(value=design.roles.protected).values
    return History(
        name=name,
        settings=settings,
        steps=result.data["step"].values,
        shares=shares.mean(axis=1),
        opacity=opacity.mean(axis=1),
        strength=np.median(value / value[0], axis=1),
    )
