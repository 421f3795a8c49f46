"""A training step: exactly the gradient of J, and from episodes the same in the mean.

Statistical tests have a fixed seed, so they pass or fail for good; false alarms are the chance that
a right estimator would have failed at a seed chosen blindly.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

import reference
from cases import STATE, Case, flat, random_case, sampled_case, seeded
from sim.dynamics import training
from sim.dynamics.cognition import Activations, attend, think
from sim.dynamics.compile import compile_program
from sim.dynamics.engines.numpy_engine import NumpyEngine
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.episodes import Episodes, draw_episodes
from sim.dynamics.program import Program
from sim.dynamics.training import TRAINING_EPISODES, StepBuffers
from sim.simulation import prepare
from sim.specs.settings import apply_settings, full_key, read_specs

ENGINES = ("numpy", "numba")
RULES = ("policy_gradient", "replicator")
#: Cases that together have contexts with 1, 2, 3 and 4 responses, and 1 to 4 trained contexts.
SEEDS = (3, 5, 11, 17, 21, 24)
#: Within the second phase of a curriculum, which changes weights, rewards and monitors.
STEP = 8
AGENTS = 40_000


def given(case: Case) -> tuple[Any, ...]:
    """What functions of the reference take."""
    return case.scenario, case.traits, case.state, case.training


def state_of(case: Case, theta: np.ndarray) -> dict[str, Any]:
    """The reference's state at θ [P]."""
    ends = np.cumsum([np.size(case.state[kind]) for kind in STATE])
    parts = [part.tolist() for part in np.split(theta, ends[:-1])]
    scalar = [np.ndim(case.state[kind]) == 0 for kind in STATE]
    return {kind: p[0] if s else p for kind, p, s in zip(STATE, parts, scalar, strict=True)}


# ------------------------------------------------------------------------------ the exact gradient

#: The assumptions under which training is exact gradient ascent on J.
EXACT = {
    "update_rule": "policy_gradient",
    "motive_credit": 1.0,
    "leak": 0.0,
    "spread": 0.0,
    "anchor": 0.0,
    "transfer": 0.0,
    "learning_rate": 1.0,
    "steps": 1,
}


def gradient_and_update(seed: int, **assumptions: object) -> tuple[np.ndarray, np.ndarray]:
    """Central differences of the reference's J in every parameter, and what a step adds to it."""
    case = random_case(seed)
    case.training.update(EXACT | assumptions)
    case.scenario["curriculum"] = []
    start, end = NumpyEngine().trajectory(case.program(), [0, 1])[:, :, 0]

    def objective(theta: np.ndarray) -> float:
        state = state_of(case, theta)
        return reference.objective(case.scenario, case.traits, state, case.training, 0)

    h, centre = 1e-5, flat(case.state)
    steps = h * np.eye(len(centre))
    slopes = [(objective(centre + e) - objective(centre - e)) / (2 * h) for e in steps]
    return np.array(slopes), end - start


def test_an_update_is_the_gradient_of_the_objective() -> None:
    for seed in range(40):
        gradient, update = gradient_and_update(seed)
        np.testing.assert_allclose(update, gradient, atol=1e-8, rtol=1e-6)
    for assumption in ("motive_credit", "leak", "spread", "transfer"):
        pairs = [gradient_and_update(seed, **{assumption: 0.5}) for seed in range(10)]
        assert max(np.abs(gradient - update).max() for gradient, update in pairs) > 1e-3


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


def updates_of(case: Case, engine: str, *, seed: int, agents: int = AGENTS) -> np.ndarray:
    """The updates of agents who are alike but for their draws [P, N]."""
    return one_update(seeded(displaced(case.program(agents=agents)), seed), engine)


def exact_update(case: Case, engine: str) -> np.ndarray:
    exact = replace(case, training={**case.training, "estimator": "exact"})
    return one_update(displaced(exact.program()), engine)[:, 0]


def in_standard_errors(updates: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Mean of updates [P, N] less what is expected [P]; what does not vary must be right."""
    difference = updates.mean(axis=1) - expected
    error = updates.std(axis=1) / np.sqrt(updates.shape[1])
    varies = error > 1e-14
    np.testing.assert_allclose(difference[~varies], 0.0, atol=1e-12)
    return np.where(varies, difference / np.where(varies, error, 1.0), 0.0)


def deviation(case: Case, engine: str, *, seed: int) -> np.ndarray:
    """Mean sampled update less the exact one, in standard errors [P]."""
    return in_standard_errors(updates_of(case, engine, seed=seed), exact_update(case, engine))


@pytest.mark.parametrize("engine", ENGINES)
def test_the_mean_of_sampled_updates_is_the_exact_update(engine: str) -> None:
    """176 means, each within 4 standard errors: by Bonferroni, at most 1.2 % false alarms."""
    for seed in SEEDS:
        for i, rule in enumerate(RULES):
            case = sampled_case(seed, update_rule=rule)
            assert np.abs(deviation(case, engine, seed=seed + 100 * i)).max() < 4


def test_an_error_of_a_tenth_would_be_seen_in_every_kind_of_parameter() -> None:
    """The power of the test above: somewhere, a tenth of the update is over 6 standard errors.

    An error of that size would then go unseen with a chance of 2 %.
    """
    most = dict.fromkeys(STATE, 0.0)
    for seed in SEEDS:
        case = sampled_case(seed, anchor=0.0)
        updates = updates_of(case, "numpy", seed=1)
        errors = updates.std(axis=1) / np.sqrt(AGENTS) + 1e-300
        for kind, rows in case.program().layout.rows.items():
            seen = np.abs(updates.mean(axis=1)[rows] / errors[rows])
            most[kind] = max(most[kind], seen[errors[rows] > 1e-14].max(initial=0.0))
    assert min(most.values()) > 60, most


def corrupt(
    monkeypatch: pytest.MonkeyPatch,
    *,
    before: Callable[[StepBuffers], object] = lambda terms: None,
    after: Callable[[StepBuffers, Activations], np.ndarray] = lambda terms, mind: terms.gate,
) -> None:
    right = training.estimate_from_episodes

    def wrong(terms: StepBuffers, mind: Activations, *others: Any) -> None:
        before(terms)
        right(terms, mind, *others)
        terms.gate[...] = after(terms, mind)

    monkeypatch.setattr(training, "estimate_from_episodes", wrong)


def with_a_wrong_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    corrupt(monkeypatch, before=lambda terms: np.negative(terms.objective, terms.objective))


def test_what_is_wrong_with_an_estimator_is_seen() -> None:
    """A penalty that is not paid; a gate without 1 − d, the slope of log g; no path of opacity."""
    case = sampled_case(24)
    rows = case.program().layout.rows

    def transfer_alone(terms: StepBuffers, assumptions: Any) -> None:
        practice = terms.practice.sum(axis=0)
        np.multiply(assumptions.transfer, practice, out=terms.by_kind.capability)

    for error, kinds in (
        ("score", ("habit", "log_horizon")),
        ("penalty", ("awareness",)),
        ("path", ("capability",)),
    ):
        exact = exact_update(case, "numpy")
        with pytest.MonkeyPatch.context() as patch:
            if error == "score":
                corrupt(patch, after=lambda terms, mind: np.divide(terms.gate, 1 - mind.decision))
            elif error == "penalty":
                corrupt(patch, before=lambda terms: terms.penalty.fill(0.0))
            else:
                patch.setattr(training, "_learn_capability", transfer_alone)
            z = in_standard_errors(updates_of(case, "numpy", seed=2), exact)
        for kind in kinds:
            assert np.abs(z[rows[kind]]).max() > 10, (error, kind)


def test_the_baseline_matters_for_noise_alone_except_to_the_leak(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With −B for B the mean stays (z < 4, 0.1 % false alarms); with a leak, which is no score,
    the mean of the values moves, and of nothing else."""
    tight, leaky = (sampled_case(24, leak=leak, anchor=0.0) for leak in (0.0, 1.0))
    rows = tight.program().layout.rows
    noise = updates_of(tight, "numpy", seed=3).std(axis=1)
    with_a_wrong_baseline(monkeypatch)
    assert np.abs(deviation(tight, "numpy", seed=3)).max() < 4
    assert (updates_of(tight, "numpy", seed=3).std(axis=1) > noise)[rows["habit"]].all()
    z = np.abs(deviation(leaky, "numpy", seed=3))
    assert z[rows["values"]].max() > 10
    assert np.delete(z, np.r_[rows["values"]]).max() < 4


@pytest.mark.parametrize("engine", ENGINES)
def test_the_variance_of_an_update_falls_as_the_number_of_episodes(engine: str) -> None:
    """B = 1 against 16 times that of B = 16, each parameter: z < 4, 0.1 % false alarms."""
    few, many = (
        updates_of(sampled_case(17, episodes=b), engine, seed=b, agents=20_000) for b in (1, 16)
    )
    scaled = [few, 4.0 * many]
    variances = [x.var(axis=1) for x in scaled]
    fourths = [((x.T - x.mean(axis=1)) ** 4).mean(axis=0) for x in scaled]
    noise = [(m - v**2) / 20_000 for m, v in zip(fourths, variances, strict=True)]
    varies = variances[0] > 1e-20
    z = (variances[0] - variances[1])[varies] / np.sqrt(noise[0] + noise[1])[varies]
    assert varies.sum() >= 15
    assert np.abs(z).max() < 4


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
    state = state_of(case, flat(case.state) + shift)
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
        case = random_case(seed)
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


# ---------------------------------------------------------------------------------------- episodes


def drawn(program: Program, *, count: int, step: int = STEP) -> Episodes:
    """The episodes that the estimator draws of all agents as they start."""
    world = program.at(step).world.where_trained()
    mind = Activations(world, program.agents)
    terms = StepBuffers(world, program.layout, program.agents)
    state = program.layout.view(program.theta)
    attend(mind, world, program.traits)
    think(mind, world, program.traits, state)
    training.reward(terms, mind, world, state, program.at(step).assumptions)
    return draw_episodes(
        *(mind, terms.penalty, world, program.agent_ids),
        count=count,
        step=step,
        stream=TRAINING_EPISODES,
    )


def test_the_first_episodes_are_the_same_however_many_follow() -> None:
    program = sampled_case(3).program(agents=50)
    few, many = drawn(program, count=3), drawn(program, count=40)
    for name, array in vars(few).items():
        np.testing.assert_array_equal(array, getattr(many, name)[:3])
    assert (many.context[3:6] != few.context).any()


def test_what_happens_is_as_frequent_as_it_should_be() -> None:
    """Chi-square over every (context, mode, response), p > 1e-4: 0.06 % false alarms in all.

    As mode, context and response are counted together, it also sees if they depended on each other.
    """
    for seed in SEEDS:
        case = sampled_case(seed)
        found = drawn(seeded(case.program(agents=AGENTS), seed), count=2)
        possible = reference.possible_episodes(*given(case), STEP)
        possible = [(chance, e) for chance, e in possible if chance > 0]
        places = sorted({e.context.index for _, e in possible})
        counts, expected = [], []
        for chance, e in possible:
            same = found.context == places.index(e.context.index)
            same = same & (found.gaming == e.gamed) & (found.response == e.response)
            counts.append(same.sum())
            expected.append(chance * same.size)
        assert sum(counts) == found.context.size
        assert min(expected) > 5
        assert stats.chisquare(counts, expected).pvalue > 1e-4


def test_draws_of_neighbours_have_nothing_to_do_with_each_other() -> None:
    """Modes of one episode and the next, one step and the next, one agent and the next: z < 4.

    False alarms: 0.02 %.
    """
    program = sampled_case(3).program(agents=AGENTS)
    now, later = drawn(program, count=2).gaming, drawn(program, count=2, step=STEP + 1).gaming
    assert 0.05 < now.mean() < 0.95
    for a, b in ((now[0], now[1]), (now[0], later[0]), (now[0, :-1], now[0, 1:])):
        assert abs(np.corrcoef(a, b)[0, 1]) * np.sqrt(a.size) < 4


@pytest.mark.parametrize("engine", ENGINES)
def test_another_seed_gives_other_draws(engine: str) -> None:
    program = sampled_case(3).program(agents=20)
    first, again, *others = (
        get_engine(engine).trajectory(seeded(program, s), [30])[0] for s in (1, 1, 2, 2**32 + 1)
    )
    np.testing.assert_array_equal(first, again)
    for other in others:
        assert not (first == other).all(axis=0).any()


@pytest.mark.parametrize("engine", ENGINES)
def test_contexts_that_are_not_trained_on_change_no_draw(engine: str) -> None:
    for count, before in ((1, True), (1, False), (9, True), (9, False)):
        case = sampled_case(13, spread=0.0)
        case.scenario["similarity"] = None
        more = copy.deepcopy(case)
        contexts, habits = more.scenario["contexts"], more.state["habit"]
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
        more.scenario["contexts"] = {**extra, **contexts} if before else {**contexts, **extra}
        more.state["habit"] = [0.3] * count + habits if before else habits + [0.3] * count
        few, many = (each.program(agents=20) for each in (case, more))
        rows = [many.layout.names.index(name) for name in few.layout.names]
        ends = [get_engine(engine).trajectory(program, [30])[0] for program in (few, many)]
        np.testing.assert_array_equal(ends[1][rows], ends[0])


@pytest.mark.parametrize("engine", ENGINES)
def test_runs_that_differ_in_numbers_of_the_world_are_each_as_if_alone(engine: str) -> None:
    """Weights, rewards and features with a number for each run, as in a sweep."""
    columns = {
        "scenario.contexts.copyright_chat.weight": [1.0, 0.2, 3.0],
        "scenario.contexts.copyright_chat.reward.disregard": [1.0, 0.4, 2.0],
        "scenario.contexts.copyright_chat.responses.respect.copyright": [1.0, 0.9, 1.4],
        "training.leak": [0.0, 0.3, 0.8],
        "agent.awareness": [-2.0, 0.0, 1.0],
    }
    training = {"steps": 40, "estimator": "sampled", "episodes": 3}
    specs, seeds = read_specs("copyright", training=training), [5, 5, 6]
    program = compile_program(
        specs.scenario,
        agent=specs.agent,
        training=specs.training,
        agents=2,
        seed=seeds,
        columns={full_key(key): column for key, column in columns.items()},
    )
    together = get_engine(engine).trajectory(program, [40])[0]
    for run, seed in enumerate(seeds):
        own = apply_settings(specs, {key: column[run] for key, column in columns.items()})
        alone = prepare(own.scenario, agent=own.agent, training=own.training, agents=2, seed=seed)
        expected = get_engine(engine).trajectory(alone.program, [40])[0]
        np.testing.assert_allclose(together[:, 2 * run : 2 * run + 2], expected, atol=1e-12)


# --------------------------------------------------------------------------------- saturated gates


@pytest.mark.parametrize("engine", ENGINES)
def test_who_never_games_learns_nothing_about_gaming(engine: str) -> None:
    """g = 0 exactly: no episode is gamed, and no sampled update can tell what gaming would earn."""
    for rule in RULES:
        case = sampled_case(11, update_rule=rule, spread=0.0, anchor=0.0)
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
