"""What a training log tells apart: closed forms, limits, and pairs that are planted."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import sim
from experiments.archetypes import training_log
from experiments.archetypes.training_log import (
    END,
    TrainingLog,
    divergence,
    episodes_needed,
    evidence,
    format_episodes,
    pairs_table,
    total_variation,
)

compare = partial(training_log.compare, odds=20.0)
compare_all = partial(training_log.compare_all, odds=20.0)


def bernoulli(chance: float) -> np.ndarray:
    return np.array([chance, 1.0 - chance])


def a_log(
    name: str = "one",
    *,
    chances: tuple[float, float] = (0.5, 0.5),
    gaming: float = 0.0,
    deployed: float = 0.5,
    weight: tuple[float, float] = (0.5, 0.5),
    steps: tuple[int, ...] = (0, 50, 90, 100),
) -> TrainingLog:
    """A log of two contexts with two responses each, the same at all steps."""
    policy = np.array([bernoulli(chance) for chance in chances])
    return TrainingLog(
        name=name,
        steps=np.array(steps, np.float64),
        contexts=("chat", "coding"),
        weight=np.tile(weight, (len(steps), 1)),
        policy=np.tile(policy, (len(steps), 1, 1)),
        gaming_rate=np.full((len(steps), 2), gaming),
        values=np.array([1.0, 0.0]),
        deployment=("chat_deployed",),
        deployed=bernoulli(deployed)[None],
    )


# ---------------------------------------------------------------------------------- closed forms


@pytest.mark.parametrize(("p", "q"), [(0.5, 0.25), (0.9, 0.1), (0.01, 0.99), (0.3, 0.3)])
def test_two_bernoulli_logs(p: float, q: float) -> None:
    nats = p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    assert divergence(bernoulli(p), bernoulli(q)) == pytest.approx(nats)
    assert total_variation(bernoulli(p), bernoulli(q)) == pytest.approx(abs(p - q))


def test_what_never_happens_is_no_evidence_and_what_cannot_happen_is_all_of_it() -> None:
    assert divergence(bernoulli(1.0), bernoulli(0.5)) == pytest.approx(math.log(2.0))
    assert divergence(bernoulli(0.5), bernoulli(1.0)) == math.inf
    assert divergence(bernoulli(1.0), bernoulli(1.0)) == 0.0


def test_evidence_is_the_mean_over_contexts_by_their_weights() -> None:
    one = a_log(chances=(0.5, 0.9), weight=(0.25, 0.75))
    other = a_log(chances=(0.25, 0.1), weight=(0.25, 0.75))
    expected = 0.25 * 0.5 * math.log(0.5 / 0.25 * 0.5 / 0.75) + 0.75 * 0.8 * math.log(9.0)
    assert evidence(one, other) == pytest.approx(expected)
    pair = compare(one, other, odds=20.0)
    back = 0.25 * (0.25 * math.log(0.5) + 0.75 * math.log(1.5)) + 0.75 * 0.8 * math.log(9.0)
    assert pair.evidence_first == pytest.approx(expected)
    assert pair.evidence_second == pytest.approx(back)
    assert pair.episodes == pytest.approx(math.log(20.0) / (0.5 * (expected + back)))
    assert pair.total_variation == pytest.approx(0.25 * 0.25 + 0.75 * 0.8)


def test_the_mean_of_log_odds_over_all_possible_episodes_is_the_evidence() -> None:
    """Summed over every log of three episodes, by its chance, and not over single ones."""
    p, q = bernoulli(0.7), bernoulli(0.4)
    mean = 0.0
    for responses in np.ndindex(2, 2, 2):
        chances = p[list(responses)], q[list(responses)]
        mean += chances[0].prod() * math.log(chances[0].prod() / chances[1].prod())
    one, other = a_log(chances=(0.7, 0.7)), a_log(chances=(0.4, 0.4))
    assert mean == pytest.approx(3.0 * evidence(one, other))


def test_episodes_needed() -> None:
    assert episodes_needed(0.0, odds=20.0) == math.inf
    assert episodes_needed(math.log(20.0) / 7.0, odds=20.0) == pytest.approx(7.0)
    assert episodes_needed(math.inf, odds=20.0) == 0.0


# ------------------------------------------------------------------------------ shares of the log


def test_a_record_stands_for_the_steps_to_the_next() -> None:
    shares = a_log(weight=(0.25, 0.75)).shares()
    np.testing.assert_allclose(shares[:, 0], [0.125, 0.1, 0.025, 0.0])
    np.testing.assert_allclose(shares.sum(axis=1), [0.5, 0.4, 0.1, 0.0])


@pytest.mark.parametrize(
    ("part", "expected"),
    [(0.1, [0, 0, 1, 0]), (0.2, [0, 0.5, 0.5, 0]), (0.02, [0, 0, 1, 0]), (1.0, [0.5, 0.4, 0.1, 0])],
)
def test_the_end_of_a_log(part: float, expected: list[float]) -> None:
    np.testing.assert_allclose(a_log().shares(part).sum(axis=1), expected, atol=1e-12)


def test_the_end_is_told_apart_from_the_whole() -> None:
    one, other = a_log(), a_log("other")
    policy = other.policy.copy()
    policy[2] = bernoulli(0.9)  # steps 90 to 100
    policy[3] = bernoulli(0.99)  # after training: nobody logs it
    pair = compare(one, replace(other, policy=policy))
    assert pair.total_variation == pytest.approx(0.1 * 0.4)
    assert pair.total_variation_end == pytest.approx(0.4)
    assert pair.evidence_end == pytest.approx(10.0 * pair.evidence)
    assert pair.episodes == pytest.approx(10.0 * pair.episodes_end)


def test_a_context_that_is_not_trained_on_does_not_count() -> None:
    one, other = a_log(weight=(1.0, 0.0)), a_log(weight=(1.0, 0.0), chances=(0.5, 1.0))
    assert evidence(one, other) == 0.0
    assert evidence(a_log(), replace(other, weight=a_log().weight)) == math.inf


# ----------------------------------------------------------------------------------- pairs


def test_identical_populations_are_never_told_apart() -> None:
    pair = compare(a_log(), a_log("other"))
    assert (pair.evidence, pair.total_variation, pair.cognition, pair.deployed) == (0, 0, 0, 0)
    assert pair.episodes == pair.episodes_end == math.inf
    assert pair.values == pytest.approx(0.0)


def test_a_pair_is_the_same_in_both_orders() -> None:
    one = a_log(chances=(0.2, 0.6), gaming=0.3, deployed=0.1)
    other = a_log("other", chances=(0.7, 0.5), gaming=0.9, deployed=0.8)
    other = replace(other, values=np.array([0.6, 0.8]))
    forth, back = compare(one, other), compare(other, one)
    assert (forth.first, forth.second) == ("one", "other")
    assert (forth.evidence_first, forth.evidence_second) == (
        back.evidence_second,
        back.evidence_first,
    )
    for name in (
        "evidence",
        "episodes",
        "total_variation",
        "evidence_end",
        "episodes_end",
        "total_variation_end",
        "cognition",
        "values",
        "deployed",
        "deployed_most",
        "deployed_context",
    ):
        assert getattr(forth, name) == getattr(back, name), name
    assert forth.values == pytest.approx(0.4)
    assert forth.cognition == pytest.approx(0.6)
    assert forth.deployed == pytest.approx(0.7)


def test_the_context_in_which_deployment_differs_most() -> None:
    two = {"deployment": ("cluster", "chat_deployed")}
    one = replace(a_log(), **two, deployed=np.array([bernoulli(0.1), bernoulli(0.2)]))
    other = replace(a_log("other"), **two, deployed=np.array([bernoulli(0.2), bernoulli(0.9)]))
    pair = compare(one, other)
    assert pair.deployed == pytest.approx(0.4)
    assert pair.deployed_most == pytest.approx(0.7)
    assert pair.deployed_context == "chat_deployed"


def test_a_planted_pair_with_the_same_actions_is_hardest_to_tell_apart() -> None:
    planted = [a_log("gamer", gaming=0.9, deployed=0.9), a_log("other", deployed=0.1)]
    logs = [a_log("third", chances=(0.51, 0.5)), *planted]
    pairs = compare_all(logs)
    assert (pairs[0].first, pairs[0].second) == ("gamer", "other")
    assert pairs[0].episodes == math.inf
    assert pairs[0].cognition == pytest.approx(0.9)
    assert pairs[0].deployed == pytest.approx(0.8)
    assert len(pairs) == 3
    frame = pairs_table(pairs)
    assert list(frame["one"]) == [pair.first for pair in pairs]
    assert np.isinf(frame["episodes"]).tolist() == [True, False, False]


def test_logs_of_other_training_are_not_compared() -> None:
    for other in (
        a_log("other", steps=(0, 40, 90, 100)),
        a_log("other", weight=(0.4, 0.6)),
        replace(a_log("other"), contexts=("chat", "song")),
    ):
        with pytest.raises(sim.SpecError, match="'one' and 'other' must have the same contexts"):
            compare(a_log(), other)


# ------------------------------------------------------------------------------ of a result


def logged(name: str, **initial: object) -> TrainingLog:
    result = sim.simulate(
        "lab_to_deployment",
        agent={"initial": initial},
        training={"steps": 20, "learning_rate": 0},
        record_every=5,
    )
    return TrainingLog.from_result(result, name)


def test_the_same_answers_by_other_thought_leave_the_same_log_and_generalise_otherwise() -> None:
    """β v = exp ς: what reward as a goal answers is what gaming answers, where reward is known.

    In the cluster nothing is known of reward: values leave it to chance, and gaming is rewarded.
    """
    mind: dict[str, object] = {"values": {"reward": 0.5}, "log_competence": 0.0}
    frank = logged("frank", **mind, habit=-20.0)
    gamer = logged("gamer", **mind, habit=20.0, awareness=6.0)
    pair = compare(frank, gamer)
    assert pair.total_variation < 1e-12
    assert pair.episodes > 1e9
    assert pair.cognition > 0.95
    assert pair.deployed_context == "unwatched_cluster"
    serves = 1.0 / (1.0 + math.exp(-2.0))
    assert pair.deployed_most == pytest.approx(serves - 0.5, rel=0.01)
    assert pair.deployed == pytest.approx(pair.deployed_most / 5.0)


def test_a_log_holds_means_over_agents() -> None:
    result = sim.simulate(
        "lab_to_deployment",
        agent={"spread": {"initial": {"values": 0.5, "awareness": 2.0}}},
        training={"steps": 30},
        agents=4,
    )
    log = TrainingLog.from_result(result, "four")
    assert log.contexts == ("access_request", "song_request", "ruthless_plan", "coding")
    assert log.deployment[-1] == "unwatched_cluster"
    np.testing.assert_array_equal(log.steps, [0, 10, 20, 30])
    np.testing.assert_allclose(log.weight.sum(axis=1), 1.0)
    np.testing.assert_allclose(log.policy.sum(axis=-1), 1.0)
    cluster = result.data["policy"].sel(context="unwatched_cluster").values[-1].mean(axis=0)
    np.testing.assert_allclose(log.deployed[-1, :2], cluster[:2])
    now = result.data.isel(step=2)
    for number, context in enumerate(log.contexts):
        mean = now["gaming_rate"].sel(context=context).values.mean()
        assert log.gaming_rate[2, number] == pytest.approx(mean)
    coding = now["policy"].sel(context="coding").values.mean(axis=0)
    np.testing.assert_allclose(log.policy[2, 3], coding)
    np.testing.assert_allclose(log.values, result.data["values"].values[-1].mean(axis=0))
    assert log.shares(END).sum() == pytest.approx(1.0)


def test_nothing_generalises_to_no_deployment() -> None:
    scenario = {
        "values": ["honesty"],
        "human_values": {"honesty": 1},
        "contexts": {
            "chat": {
                "responses": {"admit": {"honesty": 1}, "deny": {"honesty": -1}},
                "reward": {"admit": -1, "deny": 1},
            }
        },
    }
    result = sim.simulate({"scenario": scenario}, training={"steps": 1})
    with pytest.raises(sim.SpecError, match="no deployment context"):
        TrainingLog.from_result(result, "chat")


@pytest.mark.parametrize(
    ("episodes", "text"),
    [
        (0.4, "less than 1"),
        (1.4, "1"),
        (37.4, "37"),
        (374.0, "370"),
        (6012.0, "6,000"),
        (math.inf, "no number of"),
    ],
)
def test_episodes_have_two_digits(episodes: float, text: str) -> None:
    assert format_episodes(episodes) == text
