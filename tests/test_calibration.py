"""The fit before training: rates by hand, planted parameters, and the rival stake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.special import digamma, polygamma

from experiments.calibration.data import RATES, Calibration, Measurements, read_measurements
from experiments.calibration.fit import Fit, Posterior, observed, place_rows, transform
from experiments.calibration.model import SPREAD, PromptModel
from sim.dynamics.compile import compile_program
from sim.dynamics.observe import Recorder
from sim.dynamics.randomness import normal
from sim.specs.errors import SpecError
from sim.specs.overrides import read_specs

ROOT = Path(__file__).parent.parent
PROMPTS = read_measurements(ROOT / "data" / "alignment_faking_prompts.csv")
SPECS = read_specs("alignment_faking")
SETTINGS = ["animal_welfare", "helpful_only"]
CALIBRATION = Calibration.parse(
    yaml.safe_load((ROOT / "configs" / "measured" / "alignment_faking.yaml").read_text("utf-8")),
    path="measured",
)


def model_of(*, local: bool = False) -> PromptModel:
    return PromptModel(SPECS, CALIBRATION, SETTINGS, local=local)


def off_centre(model: PromptModel, seed: int, width: float = 0.4) -> np.ndarray:
    deviates = normal(seed=seed, stream="planted", rows=np.arange(len(model.start)))
    return model.start + width * model.width * deviates


def planted(model: PromptModel, theta: np.ndarray, *, seed: int, answers: float) -> Measurements:
    """Return the table that a model makes: prompts off their places, and counts of answers."""
    design = model.design(PROMPTS.frame)
    rows = np.arange(len(PROMPTS))
    value, awareness, *noise = (normal(seed=seed, stream=f"off {i}", rows=rows) for i in range(5))
    places = [
        model.placed(theta[None], design, key, off[None, :, None])[0, :, 0]
        for key, off in ((model.value, value), (model.awareness, awareness))
    ]
    rates = model.mix(
        model.curves(theta[None], design)[0, design.curve],
        places[0][:, None],
        model.numbers(theta[None], design, SPREAD)[0, :, None],
        places[1][:, None],
    )[:, 0, 0]
    angle = transform(rates) + np.stack(noise, axis=1) / np.sqrt(answers)
    found = np.sin(np.clip(angle, 0.0, np.pi) / 2.0) ** 2
    errors = np.sqrt(found * (1.0 - found) / answers)
    columns = {rate: found[:, i] for i, rate in enumerate(RATES)}
    columns |= {f"{rate}_se": errors[:, i] for i, rate in enumerate(RATES)}
    return Measurements(PROMPTS.frame.assign(**columns))


def test_rates_are_those_of_agents_that_meet_one_query_each() -> None:
    """Against a fine sum over agents with their own awareness, as the recorder observes them."""
    model = model_of()
    theta = off_centre(model, 3)[None]
    design = model.design(PROMPTS.frame)
    row = 50
    nodes = np.linspace(-5.0, 5.0, 4001)
    weight = np.exp(-0.5 * nodes**2)
    numbers = {
        key: np.full(len(nodes), column[0, 0])
        for key, column in model.columns(theta, design, np.array([row])).items()
    }
    centre, width, aware = (
        model.numbers(theta, design, key)[0, row] for key in (model.value, SPREAD, model.awareness)
    )
    program = compile_program(
        model.specs.scenario,
        agent=model.specs.agent,
        training=model.specs.training,
        agents=1,
        seed=np.zeros(len(nodes), np.uint64),
        columns={
            **numbers,
            model.value: centre + width * nodes,
            model.awareness: np.full(len(nodes), aware),
        },
    )
    seen = Recorder()(program, 0, program.theta, ("gaming_rate", "policy", "capabilities"))
    trained, unmonitored = model.tiers
    by_hand = np.stack(
        [
            seen["gaming_rate"][:, trained] * (1.0 - seen["capabilities"][:, 0]),
            seen["policy"][:, trained, model.refusal],
            seen["policy"][:, unmonitored, model.refusal],
        ],
        axis=1,
    )
    expected = (weight / weight.sum()) @ by_hand
    np.testing.assert_allclose(model.rates(theta, design)[0, row, 0, 0], expected, atol=0.004)


def test_no_row_has_a_parameter_of_its_own() -> None:
    model = model_of()
    design = model.design(PROMPTS.frame)
    acts = sum(np.asarray(matrix) for matrix in design.acts.values())
    assert len(model.names) < len(PROMPTS) / 2
    alone = [name for name, rows in zip(model.names, acts.sum(axis=0), strict=True) if rows == 1]
    assert all("signalled" in name for name in alone), alone
    edited = PROMPTS.frame["condition"].str.contains("share values").to_numpy()
    at = model.names.index("told_to_share_values: agent.initial.values.harmlessness")
    np.testing.assert_array_equal(acts[:, at].astype(bool), edited)


def test_a_setting_that_nothing_is_fitted_to_is_refused() -> None:
    with pytest.raises(SpecError, match="setting"):
        model_of().design(PROMPTS.frame.assign(setting="helpful_onyl"))


def test_the_likelihood_is_that_of_its_normal_distribution() -> None:
    """By SciPy, a row at a time; without scatter it is that of independent angles."""
    from scipy.stats import multivariate_normal

    model = model_of()
    theta = off_centre(model, 1)[None]
    posterior = Posterior(model, PROMPTS)
    at, variance = observed(PROMPTS)
    centre, scatter = posterior.predict(theta)
    for row in (0, 40, 70):
        covariance = scatter[0, row] + np.diag(variance[row])
        expected = multivariate_normal(centre[0, row], covariance).logpdf(at[row])
        assert posterior.log_likelihood(theta)[0, row] == pytest.approx(expected, rel=1e-9)


def test_places_given_every_rate_are_where_the_prompt_was() -> None:
    model = model_of()
    theta = off_centre(model, 5)
    measured = planted(model, theta, seed=2, answers=1e5)
    deviates, rates, weight = place_rows(model, theta[None], measured, nodes=81)
    best = (rates * weight[..., None]).sum(axis=(2, 3))[0]
    assert np.abs(best - measured.rates).max() < 0.03
    np.testing.assert_allclose(weight.sum(axis=(2, 3)), 1.0, rtol=1e-9)
    assert len(deviates) == 81


def fitted(model: PromptModel, measured: Measurements) -> Fit:
    return Posterior(model, measured).maximise()


class Skewed(Posterior):
    """The logarithms of three gamma variables of shape 2."""

    def __call__(self, theta: np.ndarray) -> np.ndarray:
        return np.asarray((2.0 * theta - np.exp(theta)).sum(axis=1))


class Rough(Fit):
    """A fit whose curvature is not that of its posterior."""

    covariance = np.diag([0.3, 1.0, 2.0])


def test_draws_are_of_the_posterior_though_it_is_skewed() -> None:
    fit = Rough(Skewed(model_of(), PROMPTS), np.full(3, np.log(2.0)), 0.0)
    draws, ratio, effective = fit.sample(count=10_000, seed=1, steps=2000)
    assert ratio.max() < 1.02 < 2000 < effective.min()
    np.testing.assert_allclose(draws.mean(axis=0), digamma(2.0), atol=0.06)
    np.testing.assert_allclose(draws.var(axis=0), polygamma(1, 2.0), rtol=0.1)


@pytest.mark.slow
def test_planted_parameters_are_recovered_within_their_intervals() -> None:
    """95 % intervals, by curvature, hold 95 % of what was planted; 0.87 leaves for few tables."""
    model = model_of()
    inside: list[bool] = []
    for seed in range(4):
        theta = off_centre(model, seed)
        fit = fitted(model, planted(model, theta, seed=seed, answers=600.0))
        error = np.sqrt(np.diag(fit.covariance))
        inside += (np.abs(fit.theta - theta) < 1.96 * error).tolist()
    assert np.mean(inside) > 0.87, np.mean(inside)


@pytest.mark.slow
@pytest.mark.parametrize("local", [False, True])
def test_a_table_of_either_stake_is_told_from_one_of_the_other(local: bool) -> None:
    """The stake of foresight grows with the value, the rival's does not.

    The rival is the limit of small foresight and great rationality, so a table that it made is told
    apart by what is believed of these alone: by less.
    """
    truth = model_of(local=local)
    theta = truth.start.copy()
    for index, each in enumerate(truth.parameters):
        if each.key == "agent.initial.values.harmlessness" and each.edit is None:
            theta[index] = 1.0 if each.setting == "animal_welfare" else 2.5
    measured = planted(truth, theta, seed=7, answers=2000.0)
    density = {rival: fitted(model_of(local=rival), measured).density for rival in (False, True)}
    assert density[local] > density[not local] + (1.0 if local else 3.0), density
