"""A training step from episodes: in the mean, the exact update (that of test_gradient.py)."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import reference
from cases import Case, flat, random_case, reinforced, sampled_case, seeded, unflat
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.program import Program

ENGINES = ("numpy", "numba")
RULES = ("policy_gradient", "natural_gradient")
#: Cases that together have contexts with 1, 2, 3 and 4 responses, and 1 to 4 trained contexts.
SEEDS = (3, 5, 11, 17, 21, 24)
#: Within the second phase of a curriculum, which changes weights, rewards and monitors.
STEP = 8
AGENTS = 40_000


def given(case: Case) -> tuple[Any, ...]:
    """What functions of the reference take."""
    return case.scenario, case.traits, case.state, case.training


# -------------------------------------------------------------- the mean over episodes, by engines


def displaced(program: Program) -> Program:
    """The program with all agents away from where they started, so that the anchor pulls."""
    shift = np.random.default_rng(5).normal(0.0, 0.3, size=(program.layout.size, 1))
    return replace(program, theta=program.theta + shift)


def one_update(program: Program, engine: str) -> np.ndarray:
    """What one step adds to θ [P, N]."""
    cohort = get_engine(engine).start(program)
    cohort.advance(STEP, STEP + 1)
    return cohort.theta() - program.theta


def deviation(case: Case, engine: str, *, seed: int) -> np.ndarray:
    """Mean sampled update less the exact one, in standard errors [P]."""
    exact = replace(case, training={**case.training, "estimator": "exact"})
    expected = one_update(displaced(exact.program()), engine)[:, 0]
    updates = one_update(seeded(displaced(case.program(agents=AGENTS)), seed), engine)
    difference, error = updates.mean(axis=1) - expected, updates.std(axis=1) / np.sqrt(AGENTS)
    varies = error > 1e-14
    np.testing.assert_allclose(difference[~varies], 0.0, atol=1e-12)
    return np.where(varies, difference / np.where(varies, error, 1.0), 0.0)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_mean_of_sampled_updates_is_the_exact_update(engine: str) -> None:
    """176 means, each within 4 standard errors: by Bonferroni, at most 1.2 % false alarms.

    The seed is fixed, so the test passes or fails for good; each episode by itself is compared with
    the reference in test_engine.
    """
    for seed in SEEDS:
        for i, rule in enumerate(RULES):
            case = sampled_case(seed, update_rule=rule)
            assert np.abs(deviation(case, engine, seed=seed + 100 * i)).max() < 4


# ------------------------------------------------------ the mean by counting everything, no engine


def test_all_episodes_together_make_the_exact_update() -> None:
    """No sampling and no engine: Σ chance · update over every (context, mode, response)."""
    for seed in range(40):
        for rule in RULES:
            case = sampled_case(seed, update_rule=rule)
            possible = reference.possible_episodes(*given(case), STEP)
            assert sum(chance for chance, _ in possible) == pytest.approx(1.0, abs=1e-12)
            mean = reference.weighted_sum(
                [(chance, reference.episode_delta(*given(case), e)) for chance, e in possible]
            )
            exact = reference.delta(*given(case), STEP)
            np.testing.assert_allclose(flat(mean), flat(exact), atol=1e-12, rtol=0)


def episodes(case: Case, shift: Any = 0.0) -> list[tuple[float, reference.Episode]]:
    """All episodes with their chances, at shifted parameters."""
    state = unflat(flat(case.state) + shift, case.state)
    return reference.possible_episodes(case.scenario, case.traits, state, case.training, STEP)


def chances_and_rewards(case: Case, shift: Any = 0.0) -> tuple[np.ndarray, np.ndarray]:
    pairs = episodes(case, shift)
    return np.array([p for p, _ in pairs]), np.array([e.reward for _, e in pairs])


def test_reinforce_alone_teaches_opacity_nothing() -> None:
    """Why practice stands in the path of opacity; it is what MODEL.md leaves out.

    The mean of (r − B) ∇(log P(mode) + log P(response | mode)) is Σ (r − B) ∇P over all episodes,
    ∇ by central differences here, so that no formula for a score is trusted. It is ∇J, but for
    opacity, where it is 0 to the bit: neither a mode nor a response depends on opacity. What is
    missing there is Σ P ∇r.
    """
    for seed in range(40):
        case = reinforced(random_case(seed))
        case.training["visible_gaming_penalty"] = 1.5
        others = case.traits, case.state, case.training
        baseline = [reference.cognition(e.context, *others)["objective"] for _, e in episodes(case)]
        chances, rewards = chances_and_rewards(case)
        names = case.program().layout.names
        for name, shift in zip(names, 1e-5 * np.eye(len(names)), strict=True):
            above, below = (chances_and_rewards(case, x) for x in (shift, -shift))
            slope_of_chances = (above[0] - below[0]) / 2e-5
            slope_of_rewards = (above[1] - below[1]) / 2e-5
            slope_of_objective = (above[0] @ above[1] - below[0] @ below[1]) / 2e-5
            reinforce, path = (rewards - baseline) @ slope_of_chances, chances @ slope_of_rewards
            assert reinforce + path == pytest.approx(slope_of_objective, abs=1e-8)
            opacity = name == "capability.opacity"
            assert not (slope_of_chances if opacity else slope_of_rewards).any()
            assert path > 0 or not opacity


@pytest.mark.parametrize("engine", ENGINES)
def test_contexts_that_are_not_trained_on_change_no_draw(engine: str) -> None:
    for count, before in ((1, True), (1, False), (9, True), (9, False)):
        case = sampled_case(13, generalisation=0.0)
        case.scenario["similarity"] = None
        more = copy.deepcopy(case)
        contexts, habits = more.scenario["contexts"], more.state["habit"]
        propensity = more.state["propensity"]
        extra = {
            f"x{i}": {
                **random_case(i).scenario["contexts"]["c0"],
                "twin": None,
                "kind": "evaluation",
            }
            for i in range(count)
        }
        for context in extra.values():
            context["responses"] = {k: {} for k in context["responses"]}
        none = [[0.0] * len(context["responses"]) for context in extra.values()]
        more.state["propensity"] = none + propensity if before else propensity + none
        more.scenario["contexts"] = {**extra, **contexts} if before else {**contexts, **extra}
        more.state["habit"] = [0.3] * count + habits if before else habits + [0.3] * count
        few, many = (each.program(agents=20) for each in (case, more))
        rows = [many.layout.names.index(name) for name in few.layout.names]
        ends = [get_engine(engine).trajectory(program, [30])[0] for program in (few, many)]
        np.testing.assert_array_equal(ends[1][rows], ends[0])


# --------------------------------------------------------------------------------- saturated gates


@pytest.mark.parametrize("engine", ENGINES)
def test_who_never_games_learns_nothing_about_gaming(engine: str) -> None:
    """g = 0 exactly: no episode is gamed, and no sampled update can tell what gaming would earn."""
    for rule in RULES:
        case = sampled_case(11, update_rule=rule, generalisation=0.0, anchor=0.0)
        program = case.program(agents=200)
        theta, rows = program.theta.copy(), program.layout.rows
        theta[rows["awareness"]] = -800.0
        change = one_update(replace(program, theta=theta), engine)
        for kind in ("habit", "awareness", "log_horizon", "log_competence", "capability"):
            assert not change[rows[kind]].any()
        assert change[rows["values"]].any()


@pytest.mark.parametrize("engine", ENGINES)
def test_who_always_games_has_values_that_nothing_touches(engine: str) -> None:
    """g = 1 exactly: gaming shields the values (no leak), and the gate has no slope."""
    program = sampled_case(11, leak=0.0, anchor=0.0).program(agents=200)
    theta, rows = program.theta.copy(), program.layout.rows
    theta[rows["awareness"]] = theta[rows["habit"]] = 800.0
    change = one_update(replace(program, theta=theta), engine)
    for kind in ("values", "habit", "awareness", "log_horizon"):
        assert not change[rows[kind]].any()
    assert change[rows["log_competence"]].any()
    assert (change[rows["capability"]] > 0).all()
