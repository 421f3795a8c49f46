"""Priors and what is drawn from them: marginals, correlations, one agent at a time, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml
from scipy import stats

import sim
from sim.specs.errors import SpecError
from sim.specs.library import names
from sim.specs.prior import ALIGNMENT, Prior
from sim.specs.scenario import Scenario
from sim.sweeps.prior_sample import PriorSample, quantile

LAB = Scenario.load("lab_to_deployment")
POINTS = 20_000
AWARENESS, COMPETENCE = "agent.initial.awareness", "agent.initial.log_competence"
NORMAL = {"kind": "normal", "mean": 1.0, "sd": 2.0}


def prior(**said: Any) -> Prior:
    return Prior.parse(said, path="prior")


def drawn(given: Prior, points: int = POINTS, seed: int = 3) -> dict[str, np.ndarray]:
    return PriorSample(given, points=points, seed=seed, scenario=LAB).at(np.arange(points))


def test_marginals_are_those_asked_for() -> None:
    """Kolmogorov and Smirnov; false alarm in 1 of 1,000 seeds, and the seed is fixed."""
    for key, distribution, reference in (
        (AWARENESS, NORMAL, stats.norm(1.0, 2.0)),
        (AWARENESS, {"kind": "lognormal", "median": 2, "sd": 0.5}, stats.lognorm(0.5, scale=2)),
        (AWARENESS, {"kind": "uniform", "low": -1, "high": 3}, stats.uniform(-1.0, 4.0)),
        ("training.leak", {"kind": "beta", "a": 2, "b": 5}, stats.beta(2.0, 5.0)),
    ):
        found = drawn(prior(distributions={key: distribution}))[key]
        assert stats.kstest(found, reference.cdf).pvalue > 0.001
    logits = {"training.leak": {"kind": "logit_normal", "median": 0.2, "sd": 1}}
    share = drawn(prior(distributions=logits))["training.leak"]
    assert stats.kstest(np.log(share / (1 - share)) - np.log(0.25), "norm").pvalue > 0.001
    assert 0.0 < share.min() < share.max() < 1.0


def test_a_mixture_is_one_or_the_other() -> None:
    """Each part by itself is normal; false alarm in 1 of 500 seeds, and the seed is fixed."""
    parts = {"first": {"mean": -5, "sd": 0.5}, "second": {"mean": 5, "sd": 2.0}}
    found = drawn(prior(distributions={AWARENESS: {"kind": "mixture", "share": 0.3, **parts}}))
    low = found[AWARENESS][found[AWARENESS] < -2.5]
    assert abs(len(low) / POINTS - 0.3) < 0.011  # more than 3 standard errors
    assert stats.kstest((low + 5) / 0.5, "norm").pvalue > 0.001


def test_correlations_are_recovered() -> None:
    """Of normal scores, within 4.5 standard errors: false alarm in fewer than 1 of 10,000 seeds."""
    rho = {(AWARENESS, COMPETENCE): 0.6, (COMPETENCE, "agent.initial.log_horizon"): -0.5}
    keys = [AWARENESS, COMPETENCE, "agent.initial.log_horizon", "agent.initial.capability.opacity"]
    given = prior(
        distributions={key: {"kind": "uniform", "low": 0, "high": 1} for key in keys},
        correlations=[{"keys": list(pair), "rho": r} for pair, r in rho.items()],
    )
    scores = PriorSample(given, points=POINTS, seed=1, scenario=LAB).scores(np.arange(POINTS))
    for i, a in enumerate(keys):
        for b in keys[i + 1 :]:
            want = rho.get((a, b), 0.0)
            found = np.corrcoef(scores[a], scores[b])[0, 1]
            assert abs(found - want) < 4.5 * (1 - want**2) / np.sqrt(POINTS), (a, b)


def test_values_lie_along_human_values() -> None:
    given = prior(goals={"alignment": -2.0, "sd": 0.0})
    found = drawn(given, points=3)
    for value in LAB.values:
        human = LAB.human_values.get(value, 0.0)
        assert found[f"agent.initial.values.{value}"] == pytest.approx(-2.0 * human)
    assert ALIGNMENT not in found


def test_a_star_stands_for_every_name() -> None:
    inclined = prior(distributions={"agent.propensity.*.*": NORMAL}).marginals(LAB)
    assert [*inclined] == sorted(f"agent.initial.propensity.{answer}" for answer in LAB.answers)
    found = drawn(prior(distributions={"agent.values.*": NORMAL, "agent.habit.*": NORMAL}), 4)
    assert {key.rpartition(".")[2] for key in found} == {*LAB.values, *LAB.contexts}
    assert len({column.tobytes() for column in found.values()}) == len(found)


def test_a_point_does_not_depend_on_how_many_there_are() -> None:
    given = Prior.load("capable")
    few, many = (PriorSample(given, points=n, seed=5, scenario=LAB) for n in (7, 1000))
    alone, company = few.at(np.arange(7)), many.at(np.arange(1000))
    backwards = many.at(np.arange(6, -1, -1))
    for key, column in alone.items():
        assert column.tobytes() == company[key][:7].tobytes() == backwards[key][::-1].tobytes()


def test_the_order_of_the_keys_does_not_matter() -> None:
    said = Prior.load("capable").model_dump()
    turned = {
        **said,
        "distributions": dict(reversed(said["distributions"].items())),
        "correlations": [
            {**one, "keys": one["keys"][::-1]} for one in reversed(said["correlations"])
        ],
    }
    first, again = (
        PriorSample(Prior.parse(p, path=""), points=9, scenario=LAB) for p in (said, turned)
    )
    assert first.keys == again.keys
    for key, column in first.at(np.arange(9)).items():
        assert column.tobytes() == again.at(np.arange(9))[key].tobytes()


def test_draws_are_the_same_in_every_process() -> None:
    third = PriorSample(Prior.load("capable"), points=3, seed=5, scenario=LAB).at(np.arange(3))
    assert third["agent.initial.log_horizon"][2] == pytest.approx(0.3560270471566906, abs=1e-12)


def test_extremes_are_the_extremes() -> None:
    draws = PriorSample(prior(distributions={AWARENESS: NORMAL}), points=50, scenario=LAB)
    column = draws.at(np.arange(50))[AWARENESS]
    assert set(draws.extremes(AWARENESS)) == {column.argmin(), column.argmax()}


@pytest.mark.parametrize("distribution", [{"kind": "beta", "a": 0.5, "b": 0.5}, NORMAL])
def test_far_scores_stay_finite(distribution: Any) -> None:
    of = prior(distributions={AWARENESS: distribution}).distributions[AWARENESS]
    assert np.isfinite(quantile(of, np.array([-8.6, 8.6]))).all()


@pytest.mark.parametrize("name", names("prior"))
def test_the_library_says_that_a_prior_is_nobodys_estimate(name: str) -> None:
    from sim.specs.library import resolve

    words = resolve("prior", name).read_text(encoding="utf-8").replace("\n# ", " ")
    assert "nobody's estimate" in words
    assert "scheming" not in words
    for scenario in ("lab_to_deployment", "copyright"):
        loaded = Scenario.load(scenario)
        assert len(PriorSample(Prior.load(name), points=2, scenario=loaded)) == 2


def test_a_sweep_runs_what_is_drawn() -> None:
    draws = PriorSample(
        prior(distributions={"agent.values.*": NORMAL}), points=5, scenario=LAB, seed=2
    )
    swept = sim.sweep(LAB, design=draws, training={"steps": 3}, engine="numpy").frame
    own = {k.removeprefix("agent."): float(c[2]) for k, c in draws.at(np.arange(5)).items()}
    values = {key.rpartition(".")[2]: number for key, number in own.items()}
    alone = sim.simulate(
        LAB, agent={"initial": {"values": values}}, training={"steps": 3}, agents=1, engine="numpy"
    )
    assert swept["alignment"][2] == pytest.approx(float(alone.data["alignment"][-1, 0]), abs=1e-14)


#: A prior as YAML (N stands for a normal distribution, T for three of them), and the refusal.
REFUSED = """
{distributions: {agent.awareness: {kind: normal, mean: 1, sd: -1}}} => sd: got -1: must be
{distributions: {agent.awareness: {kind: norml, mean: 1, sd: 2}}} => did you mean 'normal'
{distributions: {agent.awareness: {mean: 1}}} => kind: is missing; allowed: point, normal,
{distributions: {agent.awareness: wide}} => must be a number, or a mapping with a kind
{distributions: {agent.awareness: {kind: uniform, low: 2, high: 1}}} => high: must be above low (2)
{distribution: {agent.awareness: N}} => did you mean 'distributions'
{distributions: {}} => must have distributions, goals or worlds
{distributions: {agent.valus.*: N}} => did you mean 'agent.values.*'
{distributions: {agent.habit.*.*: N}} => prior: agent.habit.*.*: * cannot stand here; did you mean
{distributions: {agent.awareness: 1, agent.initial.awareness: 2}} => is given twice
{distributions: {agent.values.*: N}, goals: {alignment: 1}} => is given by goals, too
{distributions: T, correlations: [{keys: [a, b], rho: 1.5}]} => rho: got 1.5: must be a number from
{distributions: T, correlations: [{keys: [agent.awareness, agent.log_horzon], rho: 0.5}]} => did you
{distributions: {agent.awareness: 1, agent.log_horizon: N}, correlations: [
  {keys: [agent.awareness, agent.log_horizon], rho: 0.5}]} => one number for all
{distributions: T, correlations: [{keys: [agent.log_competence, agent.awareness], rho: 0.5},
  {keys: [agent.awareness, agent.log_competence], rho: 0.5}]} => is given twice
{distributions: T, correlations: [{keys: [agent.awareness, agent.log_competence], rho: 0.9},
  {keys: [agent.awareness, agent.log_horizon], rho: 0.9},
  {keys: [agent.log_competence, agent.log_horizon], rho: -0.95}]} => bring the correlation of agent.
"""


def test_bad_priors_are_refused_in_one_line() -> None:
    normal = "{kind: normal, mean: 1.0, sd: 2.0}"
    names = ("awareness", "log_competence", "log_horizon")
    three = "{" + ", ".join(f"agent.{name}: {normal}" for name in names) + "}"
    for row in REFUSED.strip().replace("\n  ", " ").splitlines():
        data, says = row.split(" => ")
        text = data.replace(": N", f": {normal}").replace(": T,", f": {three},")
        with pytest.raises(SpecError) as refused:
            PriorSample(prior(**yaml.safe_load(text)), points=3, scenario=LAB)
        assert says in str(refused.value), (data, str(refused.value))
        assert "\n" not in str(refused.value)


def test_a_key_that_no_agent_has_is_refused_before_anything_runs() -> None:
    draws = PriorSample(prior(distributions={"agent.awarness": NORMAL}), points=3, scenario=LAB)
    with pytest.raises(SpecError, match="did you mean 'awareness'"):
        sim.sweep(LAB, design=draws, training={"steps": 1})
