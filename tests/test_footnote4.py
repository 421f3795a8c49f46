"""The study of footnote 4: its states, its verdicts, and what must come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from commands import Call, assert_refused
from experiments.footnote4.cases import CASES, TURNS, Case
from experiments.footnote4.fates import (
    STATES,
    half_life,
    share_first_to_gaming,
    share_returned,
    share_swinging,
    state_of,
)
from experiments.footnote4.partial_gaming import (
    Outcome,
    compile_agents,
    try_cases,
    undecided_program,
    with_reward_shifts,
)
from sim.analysis.context_roles import context_roles
from sim.dynamics.engines.numpy_engine import NumpyEngine
from sim.dynamics.observe import Recorder
from sim.specs.overrides import Specs, read_specs
from sim.specs.training import LearningRate
from sim.stability.invasion import log_odds


@pytest.fixture(scope="module")
def specs() -> Specs:
    return read_specs("copyright", training={"steps": 1500})


def outcome(*, undecided: float, perturbation_ratio: float) -> Outcome:
    """An outcome after 100 steps with a share that is still undecided."""
    return Outcome(
        case=Case("a", "values free", "", {}),
        context="chat",
        agents=100,
        steps=np.array([0, 100]),
        shares=np.array([[0.0, 1.0, 0.0, 0.0], [0.0, undecided, 0.0, 1.0 - undecided]]),
        partial=np.array([1.0, undecided]),
        undecided=np.array([1.0, undecided]),
        half_life=42.0,
        partial_half_life=42.0,
        first_to_gaming=0.75,
        returned_share=np.nan,
        swinging_share=0.0,
        value_kept=1.0,
        perturbation_ratio=perturbation_ratio,
        perturbed_agents=0,
        fixed_points={},
        gate_shift=np.nan,
    )


def study(specs: Specs, *, cases: Sequence[Case], agents: int, seed: int = 0) -> list[Outcome]:
    return try_cases(
        specs, cases=cases, agents=agents, seed=seed, awareness=(-8.0, 2.0), engine="auto"
    )


# ------------------------------------------------------------------------------------ definitions


@pytest.mark.parametrize(
    ("rate", "decision", "state"),
    [
        (0.0, 0.0, "against"),
        (0.05, 0.1, "against"),
        (0.01, 0.5, "undecided"),  # though training hardly ever comes to mind
        (0.5, 0.89, "undecided"),
        (0.5, 0.9, "unaware"),
        (0.01, 0.99, "unaware"),
        (0.89, 0.99, "unaware"),
        (0.9, 0.95, "always"),
        (1.0, 1.0, "always"),
    ],
)
def test_states(rate: float, decision: float, state: str) -> None:
    found = state_of(np.array([rate]), np.array([decision]))
    assert STATES[found[0]] == state


@pytest.mark.parametrize(
    ("undecided", "left", "verdict"),
    [
        (0.49, 0.0, "transient"),
        (0.5, 0.0, "stable"),
        (0.9, 0.49, "stable"),
        (0.9, 0.5, "neutral"),
        (0.9, 2.0, "neutral"),
        (0.9, 2.1, "unstable"),
        (0.9, np.nan, "unstable"),
    ],
)
def test_verdicts(undecided: float, left: float, verdict: str) -> None:
    assert outcome(undecided=undecided, perturbation_ratio=left).verdict == verdict


def test_half_life_is_where_the_share_falls_below_half_for_good() -> None:
    steps = np.array([0, 9, 99, 999])
    assert half_life(steps, np.array([1.0, 0.75, 0.25, 0.0])) == pytest.approx(
        np.sqrt(10.0 * 100.0) - 1.0
    )
    assert half_life(steps, np.array([1.0, 0.2, 0.5, 0.4])) >= 99.0
    assert half_life(steps, np.array([1.0, 0.2, 0.2, 0.5])) == np.inf


def test_who_came_back_was_away() -> None:
    decision = np.array([[0.5, 0.95, 0.5], [0.5, 0.5, 0.5], [0.5, 0.95, 0.95], [0.05, 0.5, 0.5]]).T
    assert share_returned(decision) == 0.5  # of the first two, the first
    assert np.isnan(share_returned(decision[:, 2:]))


def test_who_decides_goes_to_a_side_first() -> None:
    decision = np.array([[0.5, 0.95, 0.05], [0.5, 0.05, 0.95], [0.5, 0.5, 0.5], [0.5, 0.5, 0.9]]).T
    assert share_first_to_gaming(decision) == pytest.approx(2.0 / 3.0)
    assert np.isnan(share_first_to_gaming(decision[:1]))


def test_to_swing_is_to_change_sides_and_back() -> None:
    high, low, middle = 0.95, 0.05, 0.5
    courses = [
        (high, low, high, high),
        (high, middle, low, high),
        (high, low, low, low),
        (high, middle, high, middle),
        (middle, low, middle, high),
    ]
    for number, course in enumerate(courses):
        assert share_swinging(np.array(course)[:, None]) == (number < 2)


def test_agents_start_undecided_where_something_is_at_stake(specs: Specs) -> None:
    contexts = context_roles(specs).paying
    assert contexts == ("copyright_chat", "copyright_excerpt")
    program = undecided_program(
        compile_agents(specs, agents=400, seed=0), contexts, seed=0, awareness=(-8.0, 2.0)
    )
    for name in contexts:
        odds = log_odds(program, program.theta)[:, program.layout.contexts.index(name)]
        decision = 1.0 / (1.0 + np.exp(-odds))
        assert 0.1 < decision.min() < 0.12
        assert 0.88 < decision.max() < 0.9
        # Uniform: the mean of 400 is within 4 standard errors (a false alarm in 16,000 seeds).
        assert decision.mean() == pytest.approx(0.5, abs=4.0 * 0.8 / np.sqrt(12.0 * 400.0))
    habit = program.layout.rows["habit"]
    coding = program.theta[habit][program.layout.contexts.index("coding")]
    assert (coding == -5.0).all()
    np.testing.assert_array_equal(program.theta, program.origin)


# -------------------------------------------------------------------------------- what must come


def cases(*labels: str) -> list[Case]:
    return [case for case in CASES if case.label in labels]


def test_with_gates_alone_and_no_anchor_the_undecided_decide(specs: Specs) -> None:
    """With nothing but the gate to move, d (1 − d) > 0 pushes it one way: closed form 1/t."""
    frozen = {f"training.learning_rate.{k}": 0.0 for k in ("values", "awareness", "log_horizon")}
    frozen["training.learning_rate.habit"] = 0.06
    (one,) = study(specs, cases=[Case("b", "gate alone", "", frozen)], agents=64)
    assert one.verdict == "transient"
    assert one.undecided[0] == 1.0
    assert one.value_kept == 1.0


def test_a_strong_anchor_against_gates_alone_holds_the_undecided(specs: Specs) -> None:
    """At stable fixed points, where what motivates gaming gets no credit for it."""
    (one,) = study(specs, cases=cases("anchor 0.1, no credit for motives"), agents=64)
    assert one.verdict == "stable"
    assert one.shares[0].tolist() == [0.0, 1.0, 0.0, 0.0]
    np.testing.assert_allclose(one.shares[:, 1], one.undecided)  # all began so
    assert one.perturbation_ratio < 0.01
    assert set(one.fixed_points) == {"stable"}


def test_with_credit_for_motives_the_same_anchor_holds_only_whom_training_seldom_crosses(
    specs: Specs,
) -> None:
    """The push goes as a d (1 − d), and moves what motivates gaming as far as gaming itself."""
    (one,) = study(specs, cases=cases("anchor 0.1"), agents=64)
    assert one.verdict == "transient"
    assert one.first_to_gaming == 1.0
    assert one.value_kept == 1.0
    assert set(one.fixed_points) == {"stable"}
    program = undecided_program(
        compile_agents(specs, agents=64, seed=0), context_roles(specs).paying, seed=0,
        awareness=(-8.0, 2.0),
    )  # fmt: skip
    (segment,) = program.segments
    pushes, odds = [], log_odds(program, program.theta)
    habit = program.layout.rows["habit"].start
    for credit in (1.0, 0.0):
        assumptions = replace(segment.assumptions, motive_credit=np.full(64, credit))
        changed = replace(program, segments=(replace(segment, assumptions=assumptions),))
        after = NumpyEngine().trajectory(changed, [1])[0]
        pushes.append((log_odds(program, after) - odds)[:, 0])
        by_habit = (after - program.theta)[habit]
    with_credit, without = pushes
    assert (with_credit > 0.0).all()
    assert (by_habit > 0.0).all()
    assert ((with_credit - without) / by_habit > 300.0).all()


def test_an_undecided_gate_is_pushed_through_its_motives_hundreds_of_times_as_hard() -> None:
    """By 1 + τ² (|∂I/∂v|² + (∂I/∂ℓ)²), where the other context of the value adds as much again."""
    specs = read_specs("copyright", training={"steps": 1}, agent={"awareness": 0.0})
    contexts, program = context_roles(specs).paying, compile_agents(specs, agents=1, seed=0)
    theta, layout = program.theta.copy(), program.layout
    indices = [layout.contexts.index(name) for name in contexts]
    for c in indices:
        theta[layout.rows["habit"]][c] -= log_odds(program, theta)[:, c]  # so that d is 1/2
    after = NumpyEngine().trajectory(replace(program, theta=theta), [1])[0]
    at = Recorder()(program, 0, theta, ("stake", "belief", "horizon"))
    push = (log_odds(program, after) - log_odds(program, theta))[0, indices[0]]
    habit = (after - theta)[layout.rows["habit"]][indices, 0]
    assert push == pytest.approx(0.86, abs=0.005)
    assert habit[0] == pytest.approx(0.0012, abs=5e-5)
    # Half of it through the horizon: Δℓ moves the log-odds by τ ∂I/∂ℓ = τ λ b stake.
    slope = program.traits.rationality * (at["horizon"][:, None] * at["belief"] * at["stake"])[0]
    assert slope[indices[0]] * (slope[indices] @ habit) == pytest.approx(0.42, abs=0.01)


def test_fixed_points_are_searched_where_propensities_learn() -> None:
    """Their shift is no direction: a state counts as the point that it is a shift of."""
    specs = read_specs("alignment_faking", training={"steps": 300, "anchor": 0.3})
    assert specs.training.learning_rate.propensity > 0.0
    (one,) = study(specs, cases=[Case("c", "anchored", "", {})], agents=12)
    assert one.undecided[-1] > 0.0
    assert set(one.fixed_points) == {"stable"}


def test_a_gate_that_training_does_not_push_is_neutral(specs: Specs) -> None:
    """Equal rewards: nothing moves the gate at all, so a nudge stays as it is, to the bit."""
    still = {f"training.learning_rate.{k}": 0.0 for k in LearningRate.model_fields}
    (one,) = study(specs, cases=[Case("a", "nothing learns", "", still)], agents=64)
    assert one.verdict == "neutral"
    assert one.perturbation_ratio == pytest.approx(1.0)
    assert one.undecided[-1] == 1.0
    assert set(one.fixed_points) == {"neutral"}


def test_sampled_gradients_share_their_draws_between_twins(specs: Specs) -> None:
    gates = {
        "training.estimator": "sampled",
        "training.motive_credit": 0.0,
        "training.anchor": 0.03,
    }
    (one,) = study(specs, cases=[Case("d", "sampled gates", "", gates)], agents=32)
    assert one.fixed_points == {}
    assert one.perturbation_ratio < 0.1


def test_the_same_seed_gives_the_same_study(specs: Specs) -> None:
    first, again = (study(specs, cases=CASES[:1], agents=16, seed=5)[0] for _ in range(2))
    np.testing.assert_array_equal(first.shares, again.shares)
    other = study(specs, cases=CASES[:1], agents=16, seed=6)[0]
    assert not np.array_equal(first.shares, other.shares)


def test_rewards_turn_only_where_something_is_at_stake(specs: Specs) -> None:
    turned = with_reward_shifts(specs, ["copyright_chat"], Case("e", "", "", {}, "once"))
    first, second = turned.scenario.curriculum
    assert first.length == 30
    assert first.reward == {}
    assert second.reward == {"copyright_chat": {"respect": 1.0, "disregard": -1.0}}
    back = with_reward_shifts(specs, ["copyright_chat"], Case("e", "", "", {}, "to and fro"))
    assert len(back.scenario.curriculum) == TURNS


# ---------------------------------------------------------------------------------------- command


def test_command_writes_everything(call: Call) -> None:
    left = call("cases=[a,c]", "agents=24", "training.steps=300", name="footnote4")
    assert left.status == 0, left.stderr
    assert "anchor 0.03" in left.stdout
    assert left.stdout.splitlines()[-1].startswith("numbers, figures and report: ")
    frame = pd.read_csv(left.only("footnote4.csv"))
    assert len(frame) == 8
    rows = left.json("summary.json")["footnote4"]
    assert [row["case"] for row in rows] == list(frame["case"])
    report = left.only("report.md").read_text(encoding="utf-8")
    assert all(f"({row['letter']}) {row['case']} |" in report for row in rows)
    assert left.only("footnote4.png").stat().st_size > 10_000
    assert left.only("footnote4.svg").exists()
    assert left.json("provenance.json")["study"]["agents"] == 24


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["cases=[z]"], "cases[0]: got 'z'"),
        (["agents=0"], "agents: got 0: must be 1 or more"),
        (["awareness=[2,-8]"], "awareness: got [2, -8]: must be two numbers, the lower first"),
        (["awareness=5"], "awareness: got 5"),
        (["training.steps=10"], "training.steps: got 10"),
        (["scenario=reward_seeker"], "gaming protects nothing anywhere"),
        (["scenario=pipeline"], "scenario.curriculum"),
        (["case=[a]"], "case: unknown key; did you mean 'cases'?"),
        (["engine=gpu"], "engine: got 'gpu': "),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Call, arguments: list[str], line: str) -> None:
    left = call(*arguments, name="footnote4")
    assert_refused(left, line)
