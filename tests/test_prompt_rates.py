"""Rates of prompts: what the simulation says, and smooth where kinds of query are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.integrate import quad

import sim
from experiments.calibration.data import Calibration
from experiments.calibration.rates import (
    SPREAD,
    PromptRates,
    SmoothRates,
    kinds_of_query,
    mean_decision,
)
from sim.dynamics.state import Array
from sim.specs.errors import SpecError
from sim.specs.overrides import read_specs

CONFIGS = Path(__file__).parent.parent / "configs"
VALUE, AWARE = "agent.initial.values.harmlessness", "agent.initial.awareness"


def calibration(**changes: object) -> Calibration:
    text = (CONFIGS / "measured" / "alignment_faking.yaml").read_text(encoding="utf-8")
    return Calibration.parse({**yaml.safe_load(text), **changes}, path="measured")


SPECS = read_specs("alignment_faking")
SMOOTH = SmoothRates(SPECS, calibration())


def numbers(**other: float) -> dict[str, Array]:
    found = {VALUE: 0.9, SPREAD: 0.6, AWARE: -5.5, "agent.rationality": 12.0}
    found |= {"agent.initial.habit": 0.5, "agent.discernment": 1.5, **other}
    return {key: np.array([number]) for key, number in found.items()}


def evenly(count: int) -> PromptRates:
    """Kinds of query that are many, and lie evenly."""
    rates = PromptRates(SPECS, calibration())
    rates.nodes = np.linspace(-5.0, 5.0, count)
    weights = np.exp(-(rates.nodes**2) / 2.0)
    rates.weights = weights / weights.sum()
    return rates


def test_weights_of_kinds_have_the_moments_of_a_normal() -> None:
    nodes, weights = kinds_of_query(9)
    for power, moment in enumerate((1.0, 0.0, 1.0, 0.0, 3.0, 0.0, 15.0)):
        assert (nodes**power) @ weights == pytest.approx(moment, abs=1e-10)


@pytest.mark.parametrize("rationality", [1.0, 12.0, 200.0])
def test_smooth_rates_are_those_of_very_many_kinds(rationality: float) -> None:
    asked = numbers(**{"agent.rationality": rationality})
    np.testing.assert_allclose(SMOOTH(asked), evenly(4001)(asked), atol=4e-3)
    finer = SmoothRates(SPECS, calibration(), cells=256)
    np.testing.assert_allclose(finer(asked), evenly(4001)(asked), atol=5e-4)


def test_few_kinds_jump_where_decisions_are_steep() -> None:
    """Why fits use smooth rates: 15 kinds at a rationality of 200 are off by a standard error."""
    values = np.linspace(0.6, 1.4, 60)
    asked = numbers(**{"agent.rationality": 200.0})
    asked = {key: np.broadcast_to(one, 60) for key, one in asked.items()} | {VALUE: values}
    few, smooth, true = PromptRates(SPECS, calibration()), SMOOTH(asked), evenly(2001)(asked)
    assert np.abs(few(asked) - true).max() > 0.03
    assert np.abs(smooth - true).max() < 0.004


def test_a_population_of_agents_with_the_same_spread_has_the_same_rates() -> None:
    """By the simulation itself; 4,000 agents, so 4 standard errors: a false alarm in 10,000."""
    (rates,) = SMOOTH(numbers())
    result = sim.simulate(
        "alignment_faking",
        agent={
            "rationality": 12.0,
            "discernment": 1.5,
            "initial": {
                "values": {"harmlessness": 0.9, "helpfulness": 0.5},
                "habit": 0.5,
                "awareness": -5.5,
            },
            "spread": {"initial": {"values": {"harmlessness": 0.6}}},
        },
        training={"steps": 1},
        agents=4000,
        seed=3,
        record_every=1,
    )
    start = result.data.isel(step=0) if hasattr(result, "data") else result.isel(step=0)
    trained, unmonitored = "free_tier_scratchpad", "paid_tier_scratchpad"
    shown = start["gaming_rate"].sel(context=trained) * (1 - start["capabilities"][:, 0])
    refused = [start["policy"].sel(context=c)[:, 0] for c in (trained, unmonitored)]
    for found, rate in zip((shown, *refused), rates, strict=True):
        error = float(found.std()) / np.sqrt(4000)
        assert float(found.mean()) == pytest.approx(rate, abs=4.0 * error + 1e-3)


@pytest.mark.parametrize(("first", "last"), [(-3.0, 4.0), (2.0, 2.0), (600.0, 700.0), (-900, -5)])
def test_mean_decision_is_an_integral(first: float, last: float) -> None:
    def decision(share: float) -> float:
        return float(1.0 / (1.0 + np.exp(-(first + share * (last - first)))))

    with np.errstate(over="ignore"):
        wanted = quad(decision, 0.0, 1.0, points=[0.5, 0.99])[0]
    found = mean_decision(np.array([first]), np.array([last]))
    assert found[0] == pytest.approx(wanted, abs=1e-7)


def test_rates_do_not_jump_where_the_mean_changes_its_form() -> None:
    apart = np.array([0.99e-3, 1.01e-3])
    found = mean_decision(np.full(2, 0.3), 0.3 + apart)
    assert found[1] - found[0] == pytest.approx(0.02e-3 / 2 * 0.2445, rel=0.05)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"context": "free_tiers"}, "measured.context"),
        ({"context": "benign_query", "refusal": "refuse"}, "has no twin"),
        ({"refusal": "refuses"}, "measured.refusal"),
    ],
)
def test_what_the_scenario_has_not_is_refused(changes: dict[str, object], line: str) -> None:
    with pytest.raises(SpecError, match=line):
        SmoothRates(SPECS, calibration(**changes))
