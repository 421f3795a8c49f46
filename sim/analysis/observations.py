"""Observations of agents at the end of training, each of which holds of an agent or does not.

games here        games (gaming rate >= `games`) in one training context: a named one, or one that
                  is drawn for each agent
games in k        in exactly k of the training contexts; `games in k or more`
opaque gaming     games somewhere, and at least `opaque` of its gaming shows in no scratchpad
visible gaming    games somewhere, and less than that does not show
compliance gap    the greatest gap between a training context and its twin is at least `gap`
early gaming      gaming set in before the share `early` of training was over, and stayed
behaviour shift   the greatest shift between a training context and its twin is at least `shift`
nothing           neither gaming in any training context nor a compliance gap

Gaming is a mode of thought; observations of it assume an observer of thoughts. A compliance gap and
a shift are observed in answers alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sim.dynamics.measures import GAMED
from sim.dynamics.randomness import uniform_pair
from sim.dynamics.state import Array
from sim.specs.errors import SpecError, check_keys, nearest
from sim.specs.scenario import Scenario
from sim.sweeps.design import is_number

Flags = NDArray[np.bool_]

NO_SIGN = "nothing"
RANDOM = "games in a random context"


@dataclass(frozen=True, kw_only=True)
class ObservationThresholds:
    """Thresholds from which observations hold.

    Attributes:
        games: Gaming rate from which an agent games in a context.
        opaque: Share of its gaming that no scratchpad shows.
        gap: Compliance gap.
        shift: Behaviour shift.
        early: Share of training.
        context: The one training context of `games here`; None: one drawn for each agent.
    """

    games: float = GAMED
    opaque: float = 0.5
    gap: float = 0.3
    shift: float = 0.3
    early: float = 0.25
    context: str | None = None

    def __post_init__(self) -> None:
        """Raise a `SpecError` for thresholds that every agent, or none, meets."""
        for name, number in asdict(self).items():
            if name != "context" and not (is_number(number) and 0.0 < number <= 1.0):
                raise SpecError(f"seeing.{name}: got {number!r}: must be above 0 and at most 1")

    @classmethod
    def read(
        cls, thresholds: ObservationThresholds | Mapping[str, object] | None, scenario: Scenario
    ) -> ObservationThresholds:
        """Return thresholds from a mapping by name, checked; the defaults if None."""
        if thresholds is None:
            thresholds = cls()
        elif not isinstance(thresholds, ObservationThresholds):
            names, form = cls.__dataclass_fields__, "a mapping of names to numbers"
            thresholds = cls(**check_keys("seeing", thresholds, names, form=form))
        training = scenario.of_kind("training")
        if thresholds.context is not None and thresholds.context not in training:
            hint = nearest(str(thresholds.context), training)
            raise SpecError(f"seeing.context: got {thresholds.context!r}: {hint}")
        return thresholds


def contexts_gamed(
    state: xr.Dataset, scenario: Scenario, *, games: float = GAMED
) -> NDArray[np.intp]:
    """Return the number of training contexts in which each agent games [agent]."""
    return np.asarray(_games(state, scenario, games).sum(axis=1), np.intp)


def observations(
    state: xr.Dataset,
    scenario: Scenario,
    *,
    thresholds: ObservationThresholds,
    steps: int,
    seed: int = 0,
) -> dict[str, Flags]:
    """Return whether each observation holds of each agent [agent], by name, in order.

    Args:
        state: One moment, with `onset`, of `sim.analysis.counterfactuals.moment_of`.
        scenario: The scenario of the training.
        thresholds: From which observations hold.
        steps: Length of the training.
        seed: Seed of the context that is drawn for each agent.
    """
    training = list(scenario.of_kind("training"))
    games = _games(state, scenario, thresholds.games)
    count = games.sum(axis=1)
    somewhere = count > 0
    if thresholds.context is None:
        uniform, _ = uniform_pair(seed=seed, stream="context looked at", rows=state["agent"].values)
        contexts = (uniform * len(training)).astype(np.intp)
        flags = {RANDOM: games[np.arange(len(games)), contexts]}
    else:
        name = f"games in {thresholds.context}"
        flags = {name: games[:, training.index(thresholds.context)]}
    flags |= {f"games in {k} or more": count >= k for k in range(1, len(training) + 1)}
    flags |= {f"games in exactly {k}": count == k for k in range(1, len(training))}
    opaque = np.nan_to_num(state["opacity_share"].values) >= thresholds.opaque
    onset = state["onset"].sel(context=training).values
    early = np.where(np.isnan(onset), np.inf, onset) < thresholds.early * steps
    gap = _greatest(state, "compliance_gap", training) >= thresholds.gap
    return flags | {
        "opaque gaming": somewhere & opaque,
        "visible gaming": somewhere & ~opaque,
        "early gaming": early.any(axis=1),
        "compliance gap": gap,
        "behaviour shift": _greatest(state, "behaviour_shift", training) >= thresholds.shift,
        NO_SIGN: ~somewhere & ~gap,
    }


def _games(state: xr.Dataset, scenario: Scenario, minimum: float) -> Flags:
    training = list(scenario.of_kind("training"))
    games: Flags = state["gaming_rate"].sel(context=training).values >= minimum
    return games


def _greatest(state: xr.Dataset, name: str, contexts: list[str]) -> Array:
    """Return the greatest of a number over contexts [agent]; -inf where no context has a twin."""
    numbers = state[name].sel(context=contexts).values
    greatest: Array = np.where(np.isnan(numbers), -np.inf, numbers).max(axis=1)
    return greatest
