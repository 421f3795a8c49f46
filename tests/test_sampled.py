"""Sampled gradients: unbiased, as the slow reference has them, and the same draws for everyone.

Statistical tests have a fixed seed, so they pass or fail for good. What is said of false alarms is
the chance that a right estimator would have failed at a seed chosen blindly.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

import reference
import sim
from cases import STATE, Case, flat, random_case, random_state
from sim.dynamics import estimators, training
from sim.dynamics.cognition import Activations, anticipate, attend, decide, perceive
from sim.dynamics.engines.numpy_engine import NumpyEngine
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.episodes import Episodes, draw_episodes
from sim.dynamics.program import Program
from sim.dynamics.training import StepBuffers

#: The engines that learn from episodes.
ENGINES = ("numpy", "numba")
RULES = ("policy_gradient", "replicator")
#: Cases that together have contexts with 1, 2, 3 and 4 responses, and 1 to 4 trained contexts.
SEEDS = (3, 5, 11, 17, 21, 24)
#: Within the second phase of a curriculum, which changes weights, rewards and monitors.
STEP = 8
AGENTS = 40_000


def sampled_case(seed: int, *, episodes: int = 2, **assumptions: Any) -> Case:
    """A random case with every assumption on, and sampled episodes."""
    case = random_case(seed)
    case.training.update(
        estimator="sampled",
        episodes=episodes,
        update_rule="policy_gradient",
        motive_credit=0.6,
        leak=0.4,
        spread=0.3,
        anchor=0.05,
        visible_gaming_penalty=1.5,
        transfer=[0.3, 0.2, 0.1, 0.2, 0.3],
        learning_rate={kind: 0.3 + 0.1 * i for i, kind in enumerate(STATE)},
    )
    case.training.update(assumptions)
    case.traits.update(decisiveness=1.3, rationality=0.8, episode_concern=0.6)
    return case


def exactly(case: Case) -> Case:
    return replace(case, training={**case.training, "estimator": "exact"})


def displaced(program: Program) -> Program:
    """The program with all agents away from where they started, so that the anchor pulls."""
    shift = np.random.default_rng(5).normal(0.0, 0.3, size=(program.layout.size, 1))
    return replace(program, theta=program.theta + shift)


def seeded(program: Program, seed: int) -> Program:
    seeds = np.full(program.agents, seed, np.uint64)
    return replace(program, agent_ids=replace(program.agent_ids, seeds=seeds))


def one_update(program: Program, engine: str, *, step: int = STEP) -> np.ndarray:
    """What one step adds to θ [P, N]."""
    cohort = get_engine(engine).start(program)
    cohort.advance(step, step + 1)
    return cohort.theta() - program.theta


def updates_of(case: Case, engine: str, *, seed: int, agents: int = AGENTS) -> np.ndarray:
    """The updates of agents who are alike but for their draws [P, N]."""
    return one_update(seeded(displaced(case.program(agents=agents)), seed), engine)


def in_standard_errors(updates: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Mean of updates [P, N] less what is expected [P]; what does not vary must be right."""
    difference = updates.mean(axis=1) - expected
    error = updates.std(axis=1) / np.sqrt(updates.shape[1])
    varies = error > 1e-14
    np.testing.assert_allclose(difference[~varies], 0.0, atol=1e-12)
    return np.where(varies, difference / np.where(varies, error, 1.0), 0.0)


def deviation(case: Case, engine: str, *, seed: int) -> np.ndarray:
    """Mean sampled update less the exact one, in standard errors [P]."""
    exact = one_update(displaced(exactly(case).program()), engine)[:, 0]
    return in_standard_errors(updates_of(case, engine, seed=seed), exact)


# --------------------------------------------------------------------------------- the right mean


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_mean_of_sampled_updates_is_the_exact_update(seed: int, rule: str, engine: str) -> None:
    """176 means, each within 4 standard errors: by Bonferroni, at most 1.2 % false alarms."""
    case = sampled_case(seed, update_rule=rule)
    assert np.abs(deviation(case, engine, seed=seed + 100 * RULES.index(rule))).max() < 4


def test_an_error_of_a_tenth_would_be_seen_in_every_kind_of_parameter() -> None:
    """The power of the test above: somewhere, a tenth of the update is over 6 standard errors.

    An error of that size would then go unseen with a chance of 2 %.
    """
    maximum = dict.fromkeys(STATE, 0.0)
    for seed in SEEDS:
        case = sampled_case(seed, anchor=0.0)
        updates = updates_of(case, "numpy", seed=1)
        errors = updates.std(axis=1) / np.sqrt(AGENTS) + 1e-300
        for kind, rows in case.program().layout.rows.items():
            seen = np.abs(updates.mean(axis=1)[rows] / errors[rows])
            maximum[kind] = max(maximum[kind], seen[errors[rows] > 1e-14].max(initial=0.0))
    assert min(maximum.values()) > 60, maximum


def without_the_path_of_opacity(monkeypatch: pytest.MonkeyPatch) -> None:
    def learn(lesson: StepBuffers, assumptions: Any) -> None:
        practice = lesson.practice.sum(axis=0)
        np.multiply(assumptions.transfer, practice, out=lesson.named.capability)

    monkeypatch.setattr(training, "_learn_capability", learn)


def with_a_wrong_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slope of log g in the gate is 1 − d; without it the gate opens too fast."""
    _corrupt(monkeypatch, after=lambda lesson, mind: np.divide(lesson.gate, 1 - mind.decision))


def with_a_penalty_that_is_not_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    _corrupt(monkeypatch, before=lambda lesson: lesson.penalty.fill(0.0))


def with_a_wrong_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    _corrupt(monkeypatch, before=lambda lesson: np.negative(lesson.objective, lesson.objective))


def _corrupt(
    monkeypatch: pytest.MonkeyPatch,
    *,
    before: Callable[[StepBuffers], object] = lambda lesson: None,
    after: Callable[[StepBuffers, Activations], np.ndarray] = lambda lesson, mind: lesson.gate,
) -> None:
    right = estimators.sampled

    def wrong(lesson: StepBuffers, mind: Activations, *others: Any) -> None:
        before(lesson)
        right(lesson, mind, *others)
        lesson.gate[...] = after(lesson, mind)

    monkeypatch.setattr(estimators, "sampled", wrong)


@pytest.mark.parametrize(
    ("corrupt", "kind"),
    [
        (without_the_path_of_opacity, "capability"),
        (with_a_wrong_score, "habit"),
        (with_a_wrong_score, "log_horizon"),
        (with_a_penalty_that_is_not_paid, "awareness"),
    ],
)
def test_what_is_wrong_with_an_estimator_is_seen(
    corrupt: Callable[[pytest.MonkeyPatch], None], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = sampled_case(24)
    rows = case.program().layout.rows[kind]
    exact = one_update(displaced(exactly(case).program()), "numpy")[:, 0]
    corrupt(monkeypatch)
    z = in_standard_errors(updates_of(case, "numpy", seed=2), exact)
    assert np.abs(z[rows]).max() > 10


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


# ------------------------------------------------------ the mean by counting everything, no engine


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(40))
def test_all_episodes_together_make_the_exact_update(seed: int, rule: str) -> None:
    """No sampling and no engine: Σ chance · update over every (context, mode, response)."""
    case = sampled_case(seed, update_rule=rule)
    given = (case.scenario, case.traits, case.state, case.training)
    episodes = reference.possible_episodes(*given, STEP)
    assert sum(chance for chance, _ in episodes) == pytest.approx(1.0, abs=1e-12)
    mean = reference.weighted_sum(
        [(chance, reference.episode_delta(*given, episode)) for chance, episode in episodes]
    )
    np.testing.assert_allclose(flat(mean), flat(reference.delta(*given, STEP)), atol=1e-12, rtol=0)


@pytest.mark.parametrize("seed", range(40))
def test_reinforce_alone_teaches_opacity_nothing(seed: int) -> None:
    """Why practice stands in the path of opacity; it is what MODEL.md leaves out.

    The mean of (r − B) ∇(log P(mode) + log P(response | mode)) is Σ (r − B) ∇P over all episodes,
    ∇ by central differences here, so that no formula for a score is trusted. It is ∇J, but for
    opacity, where it is 0 to the bit: neither a mode nor a response depends on opacity. What is
    missing there is Σ P ∇r.
    """
    case = random_case(seed)
    case.training["visible_gaming_penalty"] = 1.5
    baseline = np.array([_objective_here(case, episode) for _, episode in _episodes(case, 0, 0.0)])
    chances, rewards = _chances_and_rewards(case, 0, 0.0)
    layout = case.program().layout
    for row, name in enumerate(layout.names):
        above, below = (_chances_and_rewards(case, row, h) for h in (1e-5, -1e-5))
        slope_of_chances = (above[0] - below[0]) / 2e-5
        slope_of_rewards = (above[1] - below[1]) / 2e-5
        slope_of_objective = (above[0] @ above[1] - below[0] @ below[1]) / 2e-5
        reinforce, path = (rewards - baseline) @ slope_of_chances, chances @ slope_of_rewards
        assert reinforce + path == pytest.approx(slope_of_objective, abs=1e-8)
        if name == "capability.opacity":
            assert not slope_of_chances.any()
            assert path > 0
        else:
            assert not slope_of_rewards.any()


def _episodes(case: Case, row: int, shift: float) -> list[tuple[float, reference.Episode]]:
    """All episodes with their chances, with one parameter moved."""
    theta = flat(case.state)
    theta[row] += shift
    state, start = {}, 0
    for kind in STATE:
        part = theta[start : start + np.size(case.state[kind])].tolist()
        state[kind] = part if isinstance(case.state[kind], list) else part[0]
        start += len(part)
    return reference.possible_episodes(case.scenario, case.traits, state, case.training, STEP)


def _chances_and_rewards(case: Case, row: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    episodes = _episodes(case, row, shift)
    return np.array([p for p, _ in episodes]), np.array([e.reward for _, e in episodes])


def _objective_here(case: Case, episode: reference.Episode) -> float:
    given = (case.traits, case.state, case.training)
    return float(reference.cognition(episode.context, *given)["objective"])


# --------------------------------------------------------- episode by episode, agent by agent


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("episodes", [1, 3])
@pytest.mark.parametrize("seed", range(40))
def test_every_parameter_follows_the_reference(seed: int, episodes: int, engine: str) -> None:
    """One episode a step: each is seen alone. The reference makes its own draws, from Philox on."""
    case = sampled_case(seed, episodes=episodes, update_rule=RULES[seed % 2], steps=9)
    key = 2**40 + seed  # both words of the key
    program = seeded(case.program(agents=18), key)
    found = get_engine(engine).trajectory(program, range(10))
    for agent in (0, 17):
        states = reference.sampled_simulate(
            case.scenario,
            case.traits,
            case.state,
            case.training,
            episodes=episodes,
            seed=key,
            agent=agent,
        )
        expected = [flat(state) for state in states]
        np.testing.assert_allclose(found[:, :, agent], expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
def test_agents_with_traits_and_states_of_their_own(engine: str) -> None:
    """Five different agents at once are each the agent that the reference runs alone."""
    case, rng = sampled_case(3, steps=12), random.Random(7)
    layout = case.program().layout
    shape = {"values": len(layout.values), "contexts": len(layout.contexts)}
    states = [random_state(rng, **shape) for _ in range(5)]
    traits = [{name: rng.random() for name in case.traits} for _ in states]
    result = sim.simulate(
        case.scenario,
        agent={name: [t[name] for t in traits] for name in case.traits}
        | {"initial": {"values": {}}},
        training=case.training,
        agents=5,
        seed=3,
        engine=engine,
        initial=sim.AgentState(**{key: [s[key] for s in states] for key in states[0]}),
    )
    for n, (trait, state) in enumerate(zip(traits, states, strict=True)):
        last = reference.sampled_simulate(
            case.scenario, trait, state, case.training, episodes=2, seed=3, agent=n
        )[-1]
        found = result.data.isel(step=-1, agent=n)
        np.testing.assert_allclose(found["values"], last["values"], atol=1e-11)
        np.testing.assert_allclose(found["habit"], last["habit"], atol=1e-11)
        np.testing.assert_allclose(found["capability_logits"], last["capability"], atol=1e-11)


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
    base = {"steps": 40, "estimator": "sampled", "episodes": 3}
    specs = sim.specs.overrides.read_specs("copyright", training=base)
    seeds = [5, 5, 6]

    def together() -> np.ndarray:
        full = {sim.specs.overrides.full_key(key): column for key, column in columns.items()}
        program = sim.dynamics.compile.compile_program(
            specs.scenario,
            agent=specs.agent,
            training=specs.training,
            agents=2,
            seed=seeds,
            columns=full,
        )
        return get_engine(engine).trajectory(program, [40])[0]

    found = together()
    for run, seed in enumerate(seeds):
        one = sim.specs.overrides.apply_overrides(specs, {k: c[run] for k, c in columns.items()})
        alone = sim.simulation.prepare(
            one.scenario, agent=one.agent, training=one.training, agents=2, seed=seed
        ).program
        expected = get_engine(engine).trajectory(alone, [40])[0]
        np.testing.assert_allclose(found[:, 2 * run : 2 * run + 2], expected, atol=1e-12)


# ------------------------------------------------------------------------------------------ draws


def drawn(program: Program, *, count: int, step: int = STEP) -> Episodes:
    """The episodes that the estimator draws of all agents as they start."""
    world = program.at(step).world.where_trained()
    mind, lesson = (
        Activations.empty(world, program.agents),
        StepBuffers.empty(world, program.layout, program.agents),
    )
    state = program.layout.view(program.theta)
    attend(mind, world, program.traits)
    perceive(mind, world, program.traits, state)
    anticipate(mind, world, program.traits, state)
    decide(mind, world, program.traits, state)
    training.reward(lesson, mind, world, state, program.at(step).assumptions)
    stream = estimators.TRAINING_EPISODES
    return draw_episodes(
        mind, lesson.penalty, world, program.agent_ids, count=count, step=step, stream=stream
    )


ARRAYS = ("context", "gamed", "response", "reward")


def test_the_first_episodes_are_the_same_however_many_follow() -> None:
    program = sampled_case(3).program(agents=50)
    few, many = drawn(program, count=3), drawn(program, count=40)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(few, name), getattr(many, name)[:3])
    assert (many.context[3:6] != few.context).any()


@pytest.mark.parametrize("seed", SEEDS)
def test_what_happens_is_as_frequent_as_it_should_be(seed: int) -> None:
    """Chi-square over every (context, mode, response), p > 1e-4: 0.06 % false alarms in all.

    As mode, context and response are counted together, it also sees if they depended on each other.
    """
    case = sampled_case(seed)
    episodes = drawn(seeded(case.program(agents=AGENTS), seed), count=2)
    possible = reference.possible_episodes(
        case.scenario, case.traits, case.state, case.training, STEP
    )
    trained = [e.context.index for chance, e in possible if chance > 0]
    places = {c: place for place, c in enumerate(sorted(set(trained)))}
    counts, expected = [], []
    for chance, e in possible:
        if chance > 0:
            here = episodes.context == places[e.context.index]
            found = here & (episodes.gamed == e.gamed) & (episodes.response == e.response)
            counts.append(found.sum())
            expected.append(chance * found.size)
    assert sum(counts) == episodes.context.size
    assert min(expected) > 5
    assert stats.chisquare(counts, expected).pvalue > 1e-4


def test_draws_of_neighbours_have_nothing_to_do_with_each_other() -> None:
    """Modes of one episode and the next, one step and the next, one agent and the next: z < 4.

    False alarms: 0.02 %.
    """
    program = sampled_case(3).program(agents=AGENTS)
    now, later = drawn(program, count=2).gamed, drawn(program, count=2, step=STEP + 1).gamed
    assert 0.05 < now.mean() < 0.95
    for a, b in ((now[0], now[1]), (now[0], later[0]), (now[0, :-1], now[0, 1:])):
        assert abs(np.corrcoef(a, b)[0, 1]) * np.sqrt(a.size) < 4


@pytest.mark.parametrize("engine", ENGINES)
def test_the_variance_of_an_update_falls_as_the_number_of_episodes(engine: str) -> None:
    """B = 1 against 16 times that of B = 16, each parameter: z < 4, 0.1 % false alarms."""
    one, many = (
        updates_of(sampled_case(17, episodes=b), engine, seed=b, agents=20_000) for b in (1, 16)
    )
    scaled = [one, 4.0 * many]
    variances = [x.var(axis=1) for x in scaled]
    fourths = [((x.T - x.mean(axis=1)) ** 4).mean(axis=0) for x in scaled]
    noise = [(m - v**2) / 20_000 for m, v in zip(fourths, variances, strict=True)]
    varies = variances[0] > 1e-20
    z = (variances[0] - variances[1])[varies] / np.sqrt(noise[0] + noise[1])[varies]
    assert varies.sum() >= 15
    assert np.abs(z).max() < 4


@pytest.mark.parametrize("engine", ENGINES)
def test_another_seed_gives_other_draws(engine: str) -> None:
    program = sampled_case(3).program(agents=20)
    ends = [
        get_engine(engine).trajectory(seeded(program, s), [30])[0] for s in (1, 1, 2, 2**32 + 1)
    ]
    np.testing.assert_array_equal(ends[0], ends[1])
    assert not (ends[0] == ends[2]).all(axis=0).any()
    assert not (ends[0] == ends[3]).all(axis=0).any()


def crowd(agents: int, estimator: str) -> Program:
    spread = {"decisiveness": 0.2, "initial": {"values": 0.3, "habit": 0.5, "awareness": 0.5}}
    settings = {"steps": 40, "spread": 0.1, "leak": 0.1, "visible_gaming_penalty": 0.5}
    return sim.simulation.prepare(
        "pipeline",
        agent={"spread": spread},
        training={**settings, "estimator": estimator, "episodes": 3},
        agents=agents,
        seed=5,
    ).program


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("estimator", ["exact", "sampled"])
@pytest.mark.parametrize("agents", [1, 2, 15, 16, 17, 64])
def test_one_agent_more_changes_nobody_elses_history(
    agents: int, estimator: str, engine: str
) -> None:
    few = get_engine(engine).trajectory(crowd(agents, estimator), [1, 40])
    more = get_engine(engine).trajectory(crowd(77, estimator), [1, 40])
    np.testing.assert_array_equal(few, more[:, :, :agents])


@pytest.mark.parametrize("block", [1, 16, 48, 1024])
@pytest.mark.parametrize("estimator", ["exact", "sampled"])
def test_blocks_of_any_width_give_the_same_bits(block: int, estimator: str) -> None:
    whole = NumpyEngine().trajectory(crowd(77, estimator), [40])
    cut = NumpyEngine(block=block).trajectory(crowd(77, estimator), [40])
    np.testing.assert_array_equal(cut, whole)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("estimator", ["exact", "sampled"])
def test_agents_taken_apart_have_the_history_that_they_had_together(
    estimator: str, engine: str
) -> None:
    program = crowd(77, estimator)
    whole = get_engine(engine).trajectory(program, [40])[0]
    for rows in (slice(0, 30), slice(30, 77), np.array([76, 3, 40])):
        part = get_engine(engine).trajectory(program.take(rows), [40])[0]
        np.testing.assert_array_equal(part, whole[:, rows])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("estimator", ["exact", "sampled"])
def test_training_cut_in_pieces_is_the_same_training(estimator: str, engine: str) -> None:
    program = crowd(20, estimator)
    cohort = get_engine(engine).start(program)
    for start, stop in ((0, 1), (1, 17), (17, 18), (18, 40)):
        cohort.advance(start, stop)
    whole = get_engine(engine).trajectory(program, [40])[0]
    np.testing.assert_array_equal(cohort.theta(), whole)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("added", [1, 9])
@pytest.mark.parametrize("where", ["before", "after"])
def test_contexts_that_are_not_trained_on_change_no_draw(
    added: int, where: str, engine: str
) -> None:
    case = sampled_case(13, spread=0.0)
    more = copy.deepcopy(case)
    extra = {
        f"x{i}": {**random_case(i).scenario["contexts"]["c0"], "twin": None, "kind": "evaluation"}
        for i in range(added)
    }
    for context in extra.values():
        context["responses"] = {k: {} for k in context["responses"]}
    old = more.scenario["contexts"]
    more.scenario["contexts"] = {**extra, **old} if where == "before" else {**old, **extra}
    more.scenario["similarity"] = None
    case.scenario["similarity"] = None
    habits = [0.3] * added
    own = more.state["habit"]
    more.state["habit"] = habits + own if where == "before" else own + habits
    ends, named = [], []
    for one in (case, more):
        program = one.program(agents=20)
        ends.append(get_engine(engine).trajectory(program, [30])[0])
        named.append(program.layout.names)
    rows = [named[1].index(name) for name in named[0]]
    np.testing.assert_array_equal(ends[1][rows], ends[0])


# -------------------------------------------------------------------------- rare and extreme gates


EXTREMES: dict[str, dict[str, Any]] = {
    "never aware": {"awareness": -800.0},
    "always aware": {"awareness": 800.0},
    "never games": {"habit": -800.0},
    "always games": {"habit": 800.0, "awareness": 800.0},
    "hardly ever games": {"habit": -40.0},
    "hardly ever does not": {"habit": 36.0, "awareness": 36.0},
    "hits exactly": {"log_competence": 8.0},
    "misses": {"log_competence": -800.0},
    "cares for ever": {"log_horizon": 30.0},
    "fanatic": {"values": 1e6},
    "hides all": {"capability": 800.0},
    "hides nothing": {"capability": -800.0},
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("estimator", ["exact", "sampled"])
@pytest.mark.parametrize("extreme", EXTREMES)
def test_extremes_give_numbers(extreme: str, estimator: str, rule: str, engine: str) -> None:
    for seed, decisive in ((3, 1.3), (11, 0.0), (2, 1.3)):  # in case 2, no context has a choice
        case = sampled_case(seed, update_rule=rule, estimator=estimator, steps=20)
        case.traits["decisiveness"] = decisive
        program = case.program(agents=17)
        theta, rows = program.theta.copy(), program.layout.rows
        for kind, number in EXTREMES[extreme].items():
            theta[rows[kind]] = number
        program = replace(program, theta=theta, origin=theta)
        assert np.isfinite(get_engine(engine).trajectory(program, [1, 20])).all()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", RULES)
def test_who_never_games_learns_nothing_about_gaming(rule: str, engine: str) -> None:
    """g = 0 exactly: no episode is gamed, and no sampled update can tell what gaming would earn."""
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
    case = sampled_case(11, leak=0.0, anchor=0.0)
    program = case.program(agents=200)
    theta, rows = program.theta.copy(), program.layout.rows
    theta[rows["awareness"]] = theta[rows["habit"]] = 800.0
    change = one_update(replace(program, theta=theta), engine)
    for kind in ("values", "habit", "awareness", "log_horizon"):
        assert not change[rows[kind]].any()
    assert change[rows["log_competence"]].any()
    assert (change[rows["capability"]] > 0).all()
