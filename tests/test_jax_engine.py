"""The JAX engine: a second opinion on every gradient, and equations of a user's own."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import sim
from cases import random_case
from sim.analysis.audit import Retrainer
from sim.dynamics.engines import registry
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.observe import VARIABLES
from sim.simulation import prepare

try:
    import jax
    import jax.numpy as jnp
except ImportError:
    jax = None
needs_jax = pytest.mark.skipif(jax is None, reason="needs the extra jax")

PRECISION = 1e-10
EVENTS: dict[str, dict[str, Any]] = {
    "phases and demonstrations": {"scenario": "pipeline"},
    "selection": {"training": {"selection": {"every": 8, "keep": 0.4, "mutation": 0.1}}},
    "a held habit": {"interventions": [{"key": "gaming", "set": 0, "start": 7, "stop": 20}]},
    "another trait": {"interventions": [{"key": "agent.rationality", "set": 3, "start": 9}]},
    "a pull back": {"training": {"anchor": 0.05, "leak": 0.4, "motive_credit": 0.5}},
}


def assert_same(left: sim.Result, right: sim.Result, *, but: tuple[str, ...] = ()) -> None:
    for name in VARIABLES:
        if name not in but:
            np.testing.assert_allclose(
                left.data[name].values,
                right.data[name].values,
                rtol=PRECISION,
                atol=PRECISION,
                err_msg=name,
            )


@needs_jax
@pytest.mark.parametrize("seed", range(8))
def test_gradients_are_those_of_the_objective(seed: int) -> None:
    program = random_case(seed).program(agents=2)
    numpy, automatic = (get_engine(e).trajectory(program, [1, 2, 30]) for e in ("numpy", "jax"))
    np.testing.assert_allclose(automatic, numpy, rtol=PRECISION, atol=PRECISION)


@needs_jax
@pytest.mark.parametrize("event", EVENTS)
def test_the_common_loop_goes_on(event: str) -> None:
    given = {"scenario": "copyright", **EVENTS[event]}
    scenario, training = given.pop("scenario"), {"steps": 30, **given.pop("training", {})}
    numpy, automatic = (
        sim.simulate(scenario, training=training, agents=70, record_every=3, engine=engine, **given)
        for engine in ("numpy", "jax")
    )
    assert_same(automatic, numpy)


@needs_jax
def test_runs_of_a_sweep_are_the_runs() -> None:
    axes = {"training.leak": [0.0, 0.5], "scenario.contexts.coding.info": [0, 2]}
    given: dict[str, Any] = {"training": {"steps": 20}, "agents": 3, "agent": "population"}
    tables = [sim.sweep("copyright", axes=axes, engine=e, **given).frame for e in ("numpy", "jax")]
    numbers = [table.select_dtypes("number").to_numpy() for table in tables]
    np.testing.assert_allclose(*numbers, rtol=PRECISION, atol=PRECISION)


@needs_jax
def test_the_model_s_equations_written_again_change_nothing() -> None:
    def stake(mind: Any) -> Any:
        return ((mind.own_policy - mind.foreseen_policy) * mind.utility).sum(axis=0)

    def incentive(mind: Any) -> Any:
        traits, future = mind.traits, mind.horizon * mind.belief * mind.stake
        cost = traits.reasoning_cost * (1 - traits.scratchpad_saving * mind.scratchpad)
        return future - traits.episode_concern * mind.concession - cost

    def decision(mind: Any) -> Any:
        return 1 / (1 + jnp.exp(-mind.habit - mind.traits.rationality * mind.incentive))

    given: dict[str, Any] = {
        "agents": 5,
        "training": {
            "steps": 40,
            "motive_credit": 0.6,
            "selection": {"every": 9, "keep": 0.5},
            "update_rule": "natural_gradient",
        },
    }
    standard = sim.simulate("scratchpad", engine="jax", **given)
    for own in ({"stake": stake}, {"incentive": incentive}, {"decision": decision}):
        result = sim.simulate("scratchpad", engine="jax", cognition=SimpleNamespace(**own), **given)
        unknown = () if "decision" in own else ("incentive_by_value", "motive")
        assert_same(result, standard, but=unknown)
        assert all(np.isnan(result.data[name]).all() for name in unknown)
        assert list(result.provenance["cognition"]) == list(own)


def deaf(mind: Any) -> Any:
    """Return the chance by habit alone."""
    return jax.nn.sigmoid(mind.habit)


@needs_jax
def test_an_own_equation_is_trained_by_and_recorded() -> None:
    given: dict[str, Any] = {"training": {"steps": 100}, "agents": 4, "engine": "jax"}
    own = SimpleNamespace(decision=deaf)
    result, standard = (
        sim.simulate("copyright", cognition=own, **given),
        sim.simulate("copyright", **given),
    )
    habit = result.data["habit"].values
    np.testing.assert_allclose(result.data["decision"], 1 / (1 + np.exp(-habit)), rtol=1e-12)
    np.testing.assert_array_equal(result.data["instrumental_gaming"], 0.0)
    # The incentive decides nothing, so nothing motivates: care for the future is left alone.
    assert np.ptp(result.data["log_horizon"].values, axis=0).max() == 0.0
    assert np.ptp(standard.data["log_horizon"].values, axis=0).max() > 0.0
    assert result.data["gaming_rate"].dtype == np.float64


@needs_jax
def test_credit_for_motives_reaches_an_own_equation() -> None:
    def incentive(mind: Any) -> Any:
        return mind.horizon * jnp.tanh(mind.stake)

    own = SimpleNamespace(incentive=incentive)
    moved = []
    for credit in (0.0, 0.5, 1.0):
        training = {"steps": 1, "motive_credit": credit}
        run = sim.simulate("copyright", training=training, engine="jax", cognition=own)
        moved.append(np.diff(run.data["log_horizon"].values[:, 0])[0])
    assert moved[0] == 0.0
    assert moved[2] != 0.0
    assert moved[1] == pytest.approx(moved[2] / 2, rel=1e-10)


@needs_jax
def test_sweeps_know_their_equations_apart(tmp_path: Path) -> None:
    def saturating(width: float) -> Any:
        def incentive(mind: Any) -> Any:
            return width * jnp.tanh(mind.horizon * mind.belief * mind.stake / width)

        return SimpleNamespace(incentive=incentive)

    given: dict[str, Any] = {"training": {"steps": 20}, "agents": 2, "axes": {"training.leak": [0]}}
    given |= {"engine": "jax", "store": tmp_path / "sweep"}
    first = sim.sweep("copyright", cognition=saturating(1.0), **given)
    assert first.resumed == 0
    assert "cognition" in first.described
    assert sim.sweep("copyright", cognition=saturating(1.0), **given).resumed == 1
    for other in (saturating(2.0), None):
        with pytest.raises(sim.SpecError, match="holds another sweep"):
            sim.sweep("copyright", cognition=other, **given)
    alone = sim.simulate(
        "copyright", agents=2, engine="jax", cognition=saturating(1.0), training={"steps": 20}
    )
    reached = np.median(alone.data["gaming_rate"].values[-1], axis=0)
    columns = [f"gaming_rate.{name}" for name in alone.data["context"].values]
    np.testing.assert_allclose(first.frame[columns].to_numpy()[0], reached, rtol=1e-12)


@needs_jax
def test_what_jax_cannot_do_is_refused() -> None:
    own = SimpleNamespace(decision=deaf)
    refused: list[tuple[str, dict[str, Any]]] = [
        ("precision: got 'float32': engine=jax has float64 only", {"precision": "float32"}),
        ("training.estimator: got 'sampled': ", {"training": {"estimator": "sampled"}}),
        ("cognition: .* has none of stake, incentive, decision", {"cognition": sys}),
        ("cognition.stake: got 3: must be a fun", {"cognition": SimpleNamespace(stake=3)}),
        (
            "cognition.stake: gives an array of shape \\(7,\\): must be ",
            {"cognition": SimpleNamespace(stake=lambda mind: np.zeros(7))},
        ),
    ]
    for line, given in refused:
        with pytest.raises(sim.SpecError, match=f"^{line}"):
            prepare("copyright", engine="jax", **given)
        with pytest.raises(sim.SpecError, match=f"^{line}"):
            sim.sweep("copyright", engine="jax", **given)
    executor = sim.DaskExecutor(workers=1)
    with pytest.raises(sim.SpecError, match="cognition: your own equations are not sent away"):
        sim.sweep("copyright", engine="jax", cognition=own, executor=executor)
    result = sim.simulate("copyright", engine="jax", cognition=own, training={"steps": 2})
    with pytest.raises(sim.SpecError, match="cognition: retraining knows the model's"):
        Retrainer.from_run(result, *[None] * 3)  # type: ignore[arg-type]


def test_other_engines_refuse_own_equations() -> None:
    own = SimpleNamespace(decision=deaf)
    for engine in ("numpy", "auto"):
        with pytest.raises(sim.SpecError, match=r"^cognition: needs engine=jax"):
            sim.simulate("copyright", engine=engine, cognition=own)
        with pytest.raises(sim.SpecError, match=r"^cognition: needs engine=jax"):
            sim.sweep("copyright", engine=engine, cognition=own)


def test_without_jax_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    with pytest.raises(sim.SpecError, match=r"^engine: jax is not .*\[jax\]'\), or take engine="):
        get_engine("jax")
