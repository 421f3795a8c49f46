"""Training on one prompt: closed forms, what reaches other prompts, planted truths."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from experiments.calibration.data import OF_STAGES, RATES, Measurements, read_measurements
from experiments.calibration.facts import rates_of
from experiments.calibration.predict import Predictions, Stages, predict, quantiles
from experiments.calibration.training import Assumed, Hypothesis, Outcome, train_on_first, weigh
from sim.dynamics.randomness import normal
from sim.specs.errors import SpecError
from test_calibration import ROOT, model_of

TABLE = read_measurements(ROOT / "data" / "alignment_faking_rl.csv", columns=OF_STAGES)
STAGES = Stages.read(TABLE)
DRAWS = 1500


def predictions(*hypotheses: Hypothesis, draws: int = DRAWS) -> Predictions:
    model = model_of()
    off = normal(seed=1, stream="planted", rows=np.arange(40 * len(model.start)))
    theta = model.start + 0.2 * model.width * off.reshape(40, -1)
    return predict(model, theta, STAGES, hypotheses=hypotheses, draws=draws, seed=0)


@pytest.fixture(scope="module")
def rivals() -> Predictions:
    return predictions(
        Hypothesis(), Hypothesis(update_rule="natural_gradient"), Hypothesis(tiers="apart")
    )


def published(outcome: Outcome, draw: int) -> Measurements:
    """Return the row that would be published of a draw after training, with 200 answers."""
    rates = outcome.trained.after[draw, 0]
    frame = STAGES.after.frame.copy()
    for index, name in enumerate(RATES):
        frame[name] = rates[index]
        frame[f"{name}_se"] = np.sqrt(rates[index] * (1.0 - rates[index]) / 200.0)
    return Measurements(frame)


def likely(outcome: Outcome) -> np.ndarray:
    """Return draws in which training came to its end."""
    return np.flatnonzero(outcome.trained.ended)


def test_before_training_rates_are_those_of_the_prompts(rivals: Predictions) -> None:
    """And so they are where nothing is learnt, at all looks."""
    trained = rivals.outcomes[0].trained
    first = trained.rates(trained.theta[0])
    np.testing.assert_allclose(first[:, 0], rates_of(trained.prompts), atol=1e-9)
    size = len(trained.start)
    none = Assumed(
        dict.fromkeys(rivals.outcomes[0].assumed.ratios, np.zeros(size)), *np.zeros((3, size))
    )
    still = train_on_first(trained.prompts, none, Hypothesis(propensities="none"), looks=(0, 50))
    np.testing.assert_allclose(
        still.rates(still.theta[1])[:, :, 1:], trained.rates(trained.theta[0])[:, :, 1:], atol=0.08
    )


def test_what_is_learnt_reaches_other_contexts_by_similarity(rivals: Predictions) -> None:
    outcome = rivals.outcomes[0]
    trained, assumed, last = outcome.trained, outcome.assumed, outcome.trained.theta[-1]
    own, unmonitored, elsewhere, far = (
        last[trained.rows[f"propensity.{name}.refuse"]]
        for name in ("trained_0", "unmonitored", "other", "other_unmonitored")
    )
    assert (own < 0.0).all()
    np.testing.assert_allclose(unmonitored, assumed.tiers * own, rtol=1e-9)
    np.testing.assert_allclose(elsewhere, assumed.prompts * own, rtol=1e-9)
    np.testing.assert_allclose(far, assumed.tiers * assumed.prompts * own, rtol=1e-9)
    apart = rivals.outcomes[2].trained
    assert not apart.theta[:, apart.rows["propensity.unmonitored.refuse"]].any()


def test_training_stops_when_refusals_are_gone(rivals: Predictions) -> None:
    trained = rivals.outcomes[1].trained
    at = np.arange(len(trained.end))
    assert trained.ended.mean() > 0.5
    assert (trained.refusals[trained.end, at][trained.ended] < 0.005).all()
    before = trained.refusals[np.maximum(trained.end - 1, 0), at][trained.ended]
    assert (before >= 0.005).all()


def test_a_score_is_the_logarithm_of_the_mean_likelihood(rivals: Predictions) -> None:
    outcome = rivals.outcomes[0]
    again = weigh(outcome.hypothesis, outcome.trained, outcome.assumed, STAGES.after)
    assert again.score == pytest.approx(outcome.score)
    assert again.weight.sum() == pytest.approx(1.0)
    # Of a table with hardly any answers every draw is as likely.
    vague = STAGES.after.frame.assign(**dict.fromkeys(RATES, 0.5))
    vague = vague.assign(**{f"{rate}_se": 0.5 for rate in RATES})
    flat = weigh(outcome.hypothesis, outcome.trained, outcome.assumed, Measurements(vague))
    assert flat.effective > 0.6 * DRAWS


def test_weighted_quantiles_by_hand() -> None:
    found = quantiles(np.array([3.0, 1.0, 2.0]), np.array([0.1, 0.3, 0.6]))
    assert found == [1.0, 1.0, 2.0, 2.0, 3.0]


def test_intervals_of_predictions_cover_planted_truths(rivals: Predictions) -> None:
    """Each of many draws in turn is the truth: other prompts, and numbers of training."""
    outcome = rivals.outcomes[0]
    inside: list[bool] = []
    planted: list[bool] = []
    for draw in likely(outcome)[:100]:
        weight = weigh(outcome.hypothesis, outcome.trained, outcome.assumed,
                       published(outcome, draw)).weight  # fmt: skip
        weight = np.where(np.arange(DRAWS) == draw, 0.0, weight)
        for prompt in (1, 2):
            for rate in range(3):
                numbers = outcome.trained.after[:, prompt, rate]
                low, *_, high = quantiles(numbers, weight)
                inside.append(low - 0.01 <= numbers[draw] <= high + 0.01)
        for numbers in (*outcome.assumed.ratios.values(), outcome.assumed.tiers):
            low, *_, high = quantiles(numbers, weight)
            planted.append(low <= numbers[draw] <= high)
    # Intervals of 100 truths; few effective draws make them a little narrow.
    assert 0.9 < np.mean(inside) <= 1.0, np.mean(inside)
    assert 0.9 < np.mean(planted) <= 1.0, np.mean(planted)


@pytest.mark.parametrize(("truth", "rival"), [(0, 1), (1, 0), (0, 2), (2, 0)])
def test_a_rule_is_told_from_its_rival_by_the_rates_it_gives(
    rivals: Predictions, truth: int, rival: int
) -> None:
    made, other = rivals.outcomes[truth], rivals.outcomes[rival]
    gains = []
    for draw in likely(made)[:200]:
        row = published(made, draw)
        own, foreign = (weigh(o.hypothesis, o.trained, o.assumed, row).score for o in (made, other))
        gains.append(own - foreign)
    error = np.std(gains) / np.sqrt(len(gains))
    assert np.mean(gains) > 2.0 * error, (np.mean(gains), error)


def test_distributions_know_what_was_published(rivals: Predictions) -> None:
    table = rivals.distributions()
    assert set(table["prompt"]) == set(STAGES.before.frame["condition"])
    own = table[table["trained"]].reset_index(drop=True)
    assert (own["low_95"] <= STAGES.after.rates[0] + 0.01).all()
    assert (own["high_95"] >= STAGES.after.rates[0] - 0.01).all()
    quantile = table[["low_95", "low_50", "median", "high_50", "high_95"]].to_numpy()
    assert (np.diff(quantile, axis=1) >= 0.0).all()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda f: f[f["stage"] == "pre_rl"], "must have one row post_rl"),
        (lambda f: f[f["stage"] == "post_rl"], "is missing in stage pre_rl"),
        (lambda f: f.assign(stage="after"), "must be pre_rl or post_rl"),
    ],
)
def test_tables_of_stages_that_say_nothing_are_refused(change, line: str) -> None:
    frame: pd.DataFrame = change(TABLE.frame)
    with pytest.raises(SpecError, match=line):
        Stages.read(Measurements(frame))
