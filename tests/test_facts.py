"""Further facts: each has its question, and an answer that could be another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import yaml

from experiments.calibration import facts
from experiments.calibration.facts import FACTS, HELPFUL, Answer, Calibrated, rates_of
from experiments.calibration.training import Hypothesis, Prompts
from test_calibration import PROMPTS, ROOT, model_of
from test_calibration_training import predictions

QUESTIONS = yaml.safe_load(
    (ROOT / "experiments" / "calibration" / "facts.yaml").read_text(encoding="utf-8")
)


@pytest.fixture(scope="module")
def calibrated() -> Calibrated:
    model, local = model_of(), model_of(local=True)
    ours, theirs = (np.repeat(m.start[None], 12, axis=0) for m in (model, local))
    both = predictions(Hypothesis(), Hypothesis(advantages="normalised"), draws=100)
    return Calibrated(model, ours, PROMPTS, local, theirs, both)


def test_every_fact_has_its_question() -> None:
    assert list(QUESTIONS) == list(FACTS)
    for question in QUESTIONS.values():
        assert set(question) - {"numbers"} == {"source", "published", "judged", "rival"}


@pytest.mark.parametrize(
    ("share", "verdict"), [(0.95, "met"), (0.9, "met"), (0.5, "cannot tell"), (0.1, "not met")]
)
def test_a_verdict_follows_from_the_share_of_draws(share: float, verdict: str) -> None:
    assert Answer(share, {}).conclusion == verdict
    assert Answer(share, {}, verdict="met").conclusion == "met"


def with_number(calibrated: Calibrated, key: str, number: float) -> Calibrated:
    theta = calibrated.theta.copy()
    for index, each in enumerate(calibrated.model.parameters):
        if each.key == key and each.edit is None:
            theta[:, index] = number
    return replace(calibrated, theta=theta)


def test_whether_strong_values_fake_more_depends_on_foresight(calibrated: Calibrated) -> None:
    """The further an agent expects training to carry it, the surer a value may be that fakes."""
    rises = []
    for foresight in (0.5, 20.0):
        prompts = Prompts.draw(
            calibrated.model,
            with_number(calibrated, "agent.foresight", np.log(foresight)).theta,
            calibrated.default(HELPFUL),
            seed=0,
        )
        once, twice = (rates_of(prompts, scale=k)[:, 0].mean() for k in (1.0, 2.0))
        rises.append(twice / once)
    assert rises[0] < rises[1]
    assert rises[1] > 0.95


def test_compliance_is_a_step_where_queries_are_alike(calibrated: Calibrated) -> None:
    answer = facts.graded_in_oversight(calibrated)
    sharp = with_number(calibrated, "agent.spread.initial.values", np.log(0.02))
    sharp = with_number(sharp, "agent.rationality", np.log(200.0))
    assert facts.graded_in_oversight(sharp).share < 0.5
    assert answer.numbers["rise_of_compliance"].mean() > 0.05


def test_the_answers_of_all_facts_are_numbers(calibrated: Calibrated) -> None:
    table = facts.answers(calibrated)
    assert list(dict.fromkeys(table["fact"])) == list(FACTS)
    assert (table["low"] <= table["high"]).all()
    assert set(table["verdict"]) <= {"met", "not met", "cannot tell"}
    few = replace(calibrated, predictions=None)
    assert not set(facts.answers(few)["fact"]) & facts.TRAINED
