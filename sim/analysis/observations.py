"""What may be seen of an agent at the end of training: each is seen or not, of every agent.

games here        games (gaming rate >= `games`) in one training context: a named one, or one that
                  is drawn for each agent
games in k        in exactly k of the training contexts; `games in k or more`
opaque gaming     games somewhere, and at least `opaque` of its gaming shows in no scratchpad
visible gaming    games somewhere, and less than that does not show
compliance gap    the greatest gap between a training context and its twin is at least `gap`
early gaming      gaming set in before the share `early` of training was over, and stayed
behaviour shift   the greatest shift between a training context and its twin is at least `shift`
nothing           neither gaming in any training context nor a compliance gap

Gaming is a mode of thought. Who observes it is assumed to see it; a compliance gap and a shift are
seen in answers alone.
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
from sim.specs.errors import SpecError, nearest
from sim.specs.scenario import Scenario
from sim.sweeps.design import is_number

Flags = NDArray[np.bool_]

NOTHING = "nothing"
RANDOM = "games in a random context"


@dataclass(frozen=True, kw_only=True)
class Seeing:
    """From where on something counts as seen.

    Attributes:
        games: Gaming rate from which an agent games in a context.
        opaque: Share of its gaming that no scratchpad shows.
        gap: Compliance gap.
        shift: Behaviour shift.
        early: Share of training.
        context: The one training context that is looked at; None: one drawn for each agent.
    """

    games: float = GAMED
    opaque: float = 0.5
    gap: float = 0.3
    shift: float = 0.3
    early: float = 0.25
    context: str | None = None

    def __post_init__(self) -> None:
        """Refuse what everybody, or nobody, shows."""
        for name, number in asdict(self).items():
            if name != "context" and not (is_number(number) and 0.0 < number <= 1.0):
                raise SpecError(f"seeing.{name}: got {number!r}: must be above 0 and at most 1")

    @classmethod
    def read(cls, given: Seeing | Mapping[str, object] | None, scenario: Scenario) -> Seeing:
        """Return these from what a user gives, checked against a scenario.

        Raises:
            SpecError: A key that does not exist, a number that is not allowed, or no such context.
        """
        if not isinstance(given, Seeing):
            if given is not None and not isinstance(given, Mapping):
                raise SpecError(f"seeing: got {given!r}: must be a mapping of names to numbers")
            for name in given or {}:
                if name not in cls.__dataclass_fields__:
                    hint = nearest(str(name), cls.__dataclass_fields__)
                    raise SpecError(f"seeing.{name}: unknown key; {hint}")
            given = cls(**(given or {}))  # type: ignore[arg-type]
        trained = scenario.of_kind("training")
        if given.context is not None and given.context not in trained:
            hint = nearest(str(given.context), trained)
            raise SpecError(f"seeing.context: got {given.context!r}: {hint}")
        return given


def contexts_gamed(
    now: xr.Dataset, scenario: Scenario, *, games: float = GAMED
) -> NDArray[np.intp]:
    """Return in how many training contexts each agent games [agent]."""
    return np.asarray(_games(now, scenario, games).sum(axis=1), np.intp)


def observations(
    now: xr.Dataset, scenario: Scenario, *, seeing: Seeing, steps: int, seed: int = 0
) -> dict[str, Flags]:
    """Return what is seen of each agent, by name, in the order of reports.

    Args:
        now: One moment, with `onset`, as `sim.analysis.counterfactuals.moment_of` gives it.
        scenario: What the agents were trained in.
        seeing: From where on something counts as seen.
        steps: How long training lasted.
        seed: Of the context that is drawn for each agent.

    Returns:
        [agent] each.
    """
    trained = list(scenario.of_kind("training"))
    games = _games(now, scenario, seeing.games)
    count = games.sum(axis=1)
    somewhere = count > 0
    if seeing.context is None:
        drawn, _ = uniform_pair(seed=seed, stream="context looked at", rows=now["agent"].values)
        here = games[np.arange(len(games)), (drawn * len(trained)).astype(np.intp)]
        found = {RANDOM: here}
    else:
        found = {f"games in {seeing.context}": games[:, trained.index(seeing.context)]}
    contexts = len(trained)
    found |= {f"games in {k} or more": count >= k for k in range(1, contexts + 1)}
    found |= {f"games in exactly {k}": count == k for k in range(1, contexts)}
    opaque = np.nan_to_num(now["opacity_share"].values) >= seeing.opaque
    onset = now["onset"].sel(context=trained).values
    gap = _greatest(now, "compliance_gap", trained) >= seeing.gap
    return found | {
        "opaque gaming": somewhere & opaque,
        "visible gaming": somewhere & ~opaque,
        "early gaming": (np.where(np.isnan(onset), np.inf, onset) < seeing.early * steps).any(
            axis=1
        ),
        "compliance gap": gap,
        "behaviour shift": _greatest(now, "behaviour_shift", trained) >= seeing.shift,
        NOTHING: ~somewhere & ~gap,
    }


def _games(now: xr.Dataset, scenario: Scenario, minimum: float) -> Flags:
    trained = list(scenario.of_kind("training"))
    games: Flags = now["gaming_rate"].sel(context=trained).values >= minimum
    return games


def _greatest(now: xr.Dataset, name: str, contexts: list[str]) -> Array:
    """Return the greatest of a number over contexts [agent]; -inf where no context has a twin."""
    numbers = now[name].sel(context=contexts).values
    greatest: Array = np.where(np.isnan(numbers), -np.inf, numbers).max(axis=1)
    return greatest
