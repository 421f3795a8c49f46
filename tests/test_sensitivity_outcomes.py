"""The study of sensitivity: outcomes of runs, and two groups of outcomes that are compared."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
import pytest

import sim
from experiments.sensitivity.compare import TOP, compare, spearman
from experiments.sensitivity.labels import title
from experiments.sensitivity.outcomes import OUTCOMES, outcomes_of, plan_of, read_assumptions
from experiments.sensitivity.study import verdict
from sim.analysis.sensitivity import analyse, morris_sample, sobol_sample
from sim.analysis.worst_case import TERMS, PostTraining
from sim.specs.errors import SpecError
from sim.specs.overrides import Specs, apply_overrides, read_specs
from sim.sweeps.sweep import run_plan

LITTLE = {"agent.initial.awareness": [-4, 2], "training.transfer": [0.001, 1.0, "log"]}


@cache
def specs() -> Specs:
    return read_specs(
        "lab_to_deployment",
        agent={"initial": {"values": {"power": 1.0, "care": 0.5}}},
        training={"steps": 40},
    )


def test_groups_that_hang_on_the_same_or_on_other_inputs() -> None:
    falling = 2.0 ** -np.arange(8)
    sample = sobol_sample(tuple("abcdefgh"), points=256, seed=0)
    outcome = sample.shares @ falling
    turned = sample.shares @ falling[::-1]
    outcomes = {"one": outcome, "same": 5.0 * outcome, "turned": turned, "flat": 0.0 * outcome}
    found = analyse(sample, {**outcomes, "gone": np.full(len(outcome), np.nan)}, seed=0)
    alike = compare(found, ["one"], ["same"])
    assert alike.rank_correlation == pytest.approx(1.0)
    assert alike.shared == tuple("abcde")
    assert (alike.shared_low, alike.shared_high) == (TOP, TOP)
    assert verdict(alike) == "alike"
    apart = compare(found, ["one"], ["turned"])
    assert apart.rank_correlation == pytest.approx(-1.0)
    assert apart.rank_high < 0.0
    assert apart.shared == ("d", "e")
    assert list(apart.top("right")["input"]) == list("hgfed")
    assert verdict(apart) == "unlike"
    assert "hangs most on a, the worst case on h; 2 of the top 5" in title(apart)
    nothing = compare(found, ["one"], ["flat", "gone"])
    assert not nothing.sound
    assert nothing.shared == ()
    assert np.isnan(nothing.rank_correlation)
    assert "nothing to compare" in title(nothing)
    assert verdict(nothing) == "undefined"


def test_spearman_by_hand() -> None:
    assert spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])) == pytest.approx(0.5)
    ties = spearman(np.array([1.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0]))
    assert ties == pytest.approx(np.sqrt(3.0) / 2.0)
    assert np.isnan(spearman(np.ones(3), np.arange(3.0)))


def test_an_outcome_is_what_a_single_run_says() -> None:
    """Each number again, from `simulate`, `worst_case` and `prospects` of the same settings."""
    assumptions = read_assumptions(LITTLE, specs())
    sample = morris_sample(list(assumptions), trajectories=8)
    plan = plan_of(sample, assumptions, specs(), seed=4, engine="numpy")
    frame = run_plan(plan).frame
    after = PostTraining.default(specs().scenario)
    outcomes = outcomes_of(frame, specs(), after)
    assert tuple(outcomes) == OUTCOMES
    assert frame["error"].isna().all()
    for run in (0, 13):
        settings = {key: float(frame[key][run]) for key in assumptions}
        span = assumptions["training.transfer"]
        share = np.log(settings["training.transfer"] / span.low) / np.log(span.high / span.low)
        assert share == pytest.approx(sample.shares[run, 1])
        assert settings["agent.initial.awareness"] == pytest.approx(-4 + 6 * sample.shares[run, 0])
        changed = apply_overrides(specs(), settings)
        result = sim.simulate(
            changed.scenario, agent=changed.agent, training=changed.training, agents=1, seed=4,
            record_every=1, engine="numpy",
        )  # fmt: skip
        now, worst = result.data.isel(step=-1, agent=0), sim.worst_case(result).isel(agent=0)
        trained = list(changed.scenario.of_kind("training"))
        expected: dict[str, Any] = {
            "gaming_rate": now["gaming_rate"].sel(context=trained).mean(),
            "onset": result.data["onset"].isel(agent=0).sel(context=trained).fillna(40.0).min(),
            "terms_met": worst["met"].sum(),
            "log_success": np.log10(max(float(worst["success"]), 1e-12)),
            "gain": worst["gain"],
            **{name: now[name] for name in ("reach", "value_drift", "alignment")},
            **{term: worst["number"].sel(term=term) for term in TERMS},
        }
        for name, number in expected.items():
            assert outcomes[name][run] == pytest.approx(float(number), abs=1e-12), name
    frame["error"] = [None, "grew out of all bounds", *[None] * (len(frame) - 2)]
    outcomes = outcomes_of(frame, specs(), after)
    assert all(np.isnan(outcomes[name][1]) for name in OUTCOMES)
    assert np.isfinite(outcomes["terms_met"][[0, 2]]).all()


def test_assumptions_and_methods_that_cannot_be_used_are_refused() -> None:
    cases: list[tuple[object, str]] = [
        ({**LITTLE, "agent.awarenes": [0, 1]}, "did you mean 'awareness'"),
        ({**LITTLE, "training.leek": [0, 1]}, "did you mean 'leak'"),
        ({**LITTLE, "training.leak": [1, 0]}, "assumptions.training.leak: got [1, 0]"),
        ({**LITTLE, "training.anchor": [0, 1, "log"]}, "above 0 where the scale is a logarithm"),
        ({**LITTLE, "training.leak": [0, 2]}, "training.leak"),
        ({**LITTLE, "training.leak": 0.5}, "assumptions.training.leak: got [0.5]"),
        ({**LITTLE, "training.steps": [10, 20]}, "training.steps"),
        ({**LITTLE, "agent.awareness": [0, 1]}, "agent.awareness: is given twice"),
        ({**LITTLE, "agent.initial.values.money": [0, 1]}, "money"),
        ({"training.leak": [0, 1], "training.generalisation.habit": None}, "at least 2"),
        ([1], "must be a mapping"),
    ]
    for given, message in cases:
        with pytest.raises(SpecError, match=re.escape(message)) as error:
            read_assumptions(given, specs())
        assert "\n" not in str(error.value)
