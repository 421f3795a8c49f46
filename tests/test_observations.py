"""Observations by their definitions, on agents that are made by hand."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from refusals import assert_all_refused
from sim.analysis.observations import NO_SIGN, ObservationThresholds, observations
from sim.specs.scenario import Scenario

LAB = Scenario.load("lab_to_deployment")


def moment(games: list[list[float]]) -> xr.Dataset:
    """Return agents that game so in the training contexts, without any other sign."""
    agents, contexts = len(games), list(LAB.contexts)
    rate = np.zeros((agents, len(contexts)))
    rate[:, : len(games[0])] = games
    per_context = {
        "gaming_rate": rate,
        "compliance_gap": np.zeros_like(rate),
        "behaviour_shift": np.zeros_like(rate),
        "onset": np.full_like(rate, np.nan),
    }
    data: dict[str, object] = {n: (("agent", "context"), x) for n, x in per_context.items()}
    data["opacity_share"] = ("agent", np.full(agents, np.nan))
    return xr.Dataset(data, coords={"agent": np.arange(agents), "context": contexts})


def test_observations_by_their_definitions() -> None:
    state = moment([[0.9, 0.1, 0, 0], [0.5, 0.5, 0.5, 0.5], [0, 0, 0, 0], [0.4, 0.4, 0, 0]])
    state["opacity_share"] = ("agent", np.array([0.2, 0.5, np.nan, 0.9]))
    state["onset"][1, 2] = 24.0
    state["onset"][0, 0] = 25.0
    state["compliance_gap"][3, 1] = 0.3
    state["compliance_gap"][2, 9] = 1.0  # of no training context
    state["behaviour_shift"][2, 3] = 0.3
    thresholds = ObservationThresholds(context="song_request")
    flags = observations(state, LAB, thresholds=thresholds, steps=100)
    assert {name: np.flatnonzero(held).tolist() for name, held in flags.items()} == {
        "games in song_request": [1],
        "games in 1 or more": [0, 1],
        "games in 2 or more": [1],
        "games in 3 or more": [1],
        "games in 4 or more": [1],
        "games in exactly 1": [0],
        "games in exactly 2": [],
        "games in exactly 3": [],
        "opaque gaming": [1],
        "visible gaming": [0],
        "early gaming": [1],
        "compliance gap": [3],
        "behaviour shift": [2],
        NO_SIGN: [2],
    }


def test_the_context_of_each_agent_is_drawn_evenly() -> None:
    """4,000 agents that game in 1 of 4 contexts: a quarter is seen, within 4.5 standard errors."""
    state = moment([[0, 1, 0, 0]] * 4000)
    flags = observations(state, LAB, thresholds=ObservationThresholds(), steps=10, seed=5)
    assert abs(next(iter(flags.values())).mean() - 0.25) < 4.5 * np.sqrt(0.25 * 0.75 / 4000)


def test_thresholds_that_every_agent_or_none_meets_are_refused() -> None:
    cases: list[tuple[Any, str]] = [
        ({"gapp": 0.1}, "seeing.gapp: unknown key; did you mean 'gap'"),
        ({"gap": 0}, "seeing.gap: got 0: must be above 0"),
        ({"early": 1.5}, "seeing.early: got 1.5: must be above 0 and at most 1"),
        ({"context": "codng"}, "seeing.context: got 'codng': did you mean 'coding'"),
        (3, "seeing: got 3: must be a mapping"),
    ]
    read = ObservationThresholds.read
    assert_all_refused((partial(read, given, LAB), message) for given, message in cases)
