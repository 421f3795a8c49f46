"""Selection: who is kept, who is copied, and what it leaves alone.

Statistical tests have a fixed seed; what is said of false alarms is the chance that right code
would have failed at a seed chosen blindly.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

import reference
import sim
from cases import random_case
from sim.abm.training_model import TrainingWorld
from sim.dynamics import estimators, selection
from sim.dynamics import loop as course
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.program import Program
from sim.dynamics.selection import measured_reward, select, selections
from sim.simulation import DivergenceError
from sim.sweeps.record import flat_names

#: The engines that train those who are selected.
ENGINES = ("numpy", "numba")
ESTIMATORS = ("exact", "sampled")
SPREAD = {"decisiveness": 0.2, "initial": {"values": 0.3, "habit": 1.0, "awareness": 0.5}}
EVERY = {"every": 10, "episodes": 8, "keep": 0.4, "mutation": 0.1}


def settings(*, steps: int = 35, **changes: Any) -> dict[str, Any]:
    """What `simulate` and `prepare` are given: agents who differ, selected now and then."""
    selected = EVERY | changes.pop("selection", {})
    training = {"steps": steps, "leak": 0.1, "spread": 0.1, "visible_gaming_penalty": 0.5}
    return {
        "scenario": "pipeline",
        "agent": {"spread": SPREAD},
        "training": training | {"selection": selected} | changes.pop("training", {}),
        "agents": 20,
        "seed": 3,
    } | changes


def population(**changes: Any) -> Program:
    return sim.simulation.prepare(**settings(**changes)).program


def same(found: sim.Result, expected: sim.Result) -> None:
    for name in expected.data.data_vars:
        np.testing.assert_array_equal(found.data[name], expected.data[name], err_msg=str(name))


# ------------------------------------------------------------------------------------------ when


@pytest.mark.parametrize(
    ("every", "steps", "expected"),
    [
        (0, 30, []),
        (1, 4, [1, 2, 3]),
        (10, 30, [10, 20]),
        (10, 31, [10, 20, 30]),
        (10, 10, []),
        (11, 10, []),
        (9, 10, [9]),
    ],
)
def test_agents_are_selected_every_so_often_but_at_neither_end(
    every: int, steps: int, expected: list[int]
) -> None:
    program = population(steps=steps, selection={"every": every})
    assert list(selections(program)) == expected
    result = sim.simulate(**settings(steps=steps, selection={"every": every}, record_every=1))
    ancestors = result.data["ancestor"].values
    changed = [t for t in range(1, steps + 1) if (ancestors[t] != ancestors[t - 1]).any()]
    assert ancestors[0].tolist() == list(range(20))
    assert set(changed) <= set(expected)
    assert changed[:1] == expected[:1]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_training_goes_on_from_what_selection_left(estimator: str, engine: str) -> None:
    """The course of a run, written out: 10 steps, a selection, 10, a selection, 15."""
    program = population(training={"estimator": estimator, "episodes": 3})
    found = list(course.course(get_engine(engine), program, [0, 9, 10, 35]))
    for start, stop in ((0, 10), (10, 20), (20, 30)):
        cohort = get_engine(engine).start(program)
        cohort.advance(start, stop - 1)
        if stop == 10:
            np.testing.assert_array_equal(found[1].theta, cohort.theta())
        cohort.advance(stop - 1, stop)
        program = select(program, cohort.theta(), step=stop, runs=1)
        if stop == 10:
            np.testing.assert_array_equal(found[2].theta, program.theta)
    cohort = get_engine(engine).start(program)
    cohort.advance(30, 35)
    np.testing.assert_array_equal(found[3].theta, cohort.theta())
    np.testing.assert_array_equal(found[3].program.ancestor, program.ancestor)


def test_how_often_is_looked_and_told_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    often = sim.simulate(**settings(record_every=1))
    monkeypatch.setattr(course, "STRIDE", 60)  # three steps of 20 agents
    done: list[float] = []
    seldom = sim.simulate(**settings(record_every=12), progress=done.append)
    assert seldom.data["step"].values.tolist() == [0, 12, 24, 35]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(1.0)
    assert len(done) >= 12
    assert seldom.data.drop_vars("onset").equals(
        often.data.drop_vars("onset").sel(step=seldom.data["step"])
    )


# ------------------------------------------------------------------------------------------- who


def parents_of(earned: list[float], *, keep: float, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Who sits where after a selection of agents that earned so much."""
    count = len(earned)
    program = population(agents=count, selection={"keep": keep, "mutation": 0.0})
    monkeypatch.setattr(selection, "measured_reward", lambda *a, **k: np.array(earned))
    return select(program, program.theta, step=10, runs=1).ancestor.tolist()


@pytest.mark.parametrize(
    ("earned", "keep", "expected"),
    [
        # Kept: 3 (9) and 0 (5). Refilled from the best: 1 (4), then 4 (2), then 2 (1).
        ([5, 4, 1, 9, 2], 0.4, [0, 3, 3, 3, 0]),
        # All alike: the lower numbers are kept.
        ([1, 1, 1, 1, 1], 0.4, [0, 1, 0, 1, 0]),
        # The second place is shared by 1, 2 and 4: 1 has it.
        ([0, 3, 3, 7, 3], 0.4, [3, 1, 3, 3, 1]),
        # At least one is kept, and a share is rounded up.
        ([1, 2, 3, 4, 5], 0.0, [4, 4, 4, 4, 4]),
        ([1, 2, 3, 4, 5], 0.5, [3, 4, 2, 3, 4]),
        # Everybody is.
        ([1, 2, 3, 4, 5], 1.0, [0, 1, 2, 3, 4]),
        ([2], 0.5, [0]),
        # Who has diverged is kept, so that it is seen.
        ([1, 2, np.inf, 4, 5], 0.2, [2, 2, 2, 2, 2]),
    ],
)
def test_the_best_stay_and_their_copies_take_the_seats_of_the_others(
    earned: list[float], keep: float, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert parents_of(earned, keep=keep, monkeypatch=monkeypatch) == expected


def by_the_book(earned: np.ndarray, kept: int) -> list[int]:
    """The rule again, in words of its own."""
    ranking = sorted(range(len(earned)), key=lambda n: (-earned[n], n))
    parents = list(range(len(earned)))
    for place, n in enumerate(ranking[kept:]):
        parents[n] = ranking[place % kept]
    return parents


@pytest.mark.parametrize("step", [10, 20])
def test_those_are_kept_who_measured_best(step: int) -> None:
    program = population(selection={"mutation": 0.0})
    earned = measured_reward(program, program.theta, step=step, episodes=8)
    after = select(program, program.theta, step=step, runs=1)
    assert after.ancestor.tolist() == by_the_book(earned, 8)


def test_a_copy_has_all_of_its_parent_and_the_kept_are_as_they_were() -> None:
    """Without mutation, a copy is its parent to the bit."""
    program = population(selection={"mutation": 0.0})
    theta = program.theta + np.random.default_rng(1).normal(size=program.theta.shape)
    after = select(program, theta, step=10, runs=1)
    parents = after.ancestor
    assert len(set(parents.tolist())) == 8
    np.testing.assert_array_equal(after.theta, theta[:, parents])
    np.testing.assert_array_equal(after.origin, program.origin[:, parents])
    for name in reference.Traits.__annotations__:
        found, was = getattr(after.traits, name), getattr(program.traits, name)
        np.testing.assert_array_equal(found, was[parents])
    assert after.seats is program.agent_ids
    assert after.segments is program.segments


def test_mutations_are_normal_draws_and_of_copies_only() -> None:
    """Kolmogorov and Smirnov, and every pair of parameters: 0.2 % false alarms in all."""
    program = population(agents=6000, selection={"mutation": 0.25, "keep": 0.2})
    after = select(program, program.theta, step=10, runs=1)
    moved = (after.theta - program.theta[:, after.ancestor]) / 0.25
    copies = after.ancestor != np.arange(6000)
    assert copies.sum() == 4800
    assert not moved[:, ~copies].any()
    drawn = moved[:, copies]
    for row in drawn:
        assert stats.kstest(row, "norm").pvalue > 1e-4
    pairs = np.corrcoef(drawn)[np.triu_indices(len(drawn), 1)]
    assert np.abs(pairs).max() * np.sqrt(4800) < 4.5
    later = select(program, program.theta, step=20, runs=1)
    moved_later = (later.theta - program.theta[:, later.ancestor]) / 0.25
    both = copies & (later.ancestor != np.arange(6000))
    assert both.sum() > 3000
    for first, second in zip(moved[:, both], moved_later[:, both], strict=True):
        assert abs(np.corrcoef(first, second)[0, 1]) * np.sqrt(both.sum()) < 4.5


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_ancestors_are_right_through_many_selections(estimator: str) -> None:
    """Everyone is marked by a trait, which goes to the copies of copies; so does θ_0."""
    marks = [0.5 + n / 100 for n in range(20)]
    given = settings(steps=60, selection={"every": 7}, training={"estimator": estimator})
    given["agent"] = {"spread": {"initial": {"values": 0.3, "habit": 1.0}}, "discernment": marks}
    program = sim.simulation.prepare(**given).program
    stops = list(course.course(get_engine("numpy"), program, range(61)))
    lost = [len(set(stop.program.ancestor.tolist())) for stop in stops]
    assert lost == sorted(lost, reverse=True)
    assert lost[0] == 20
    assert lost[-1] < 8
    for stop in stops:
        ancestor = stop.program.ancestor
        np.testing.assert_array_equal(stop.program.traits.discernment, np.array(marks)[ancestor])
        np.testing.assert_array_equal(stop.program.origin, program.theta[:, ancestor])
    recorded = sim.simulate(**given, record_every=1).data["ancestor"].values
    np.testing.assert_array_equal(recorded, [stop.program.ancestor for stop in stops])


def test_drift_is_measured_from_where_the_lineage_started() -> None:
    given = settings(steps=12, selection={"mutation": 0.0}, training={"learning_rate": 0.0})
    result = sim.simulate(**given, record_every=1)
    assert len(set(result.data["ancestor"].values[-1].tolist())) == 8
    assert not result.data["value_drift"].values.any()


# ---------------------------------------------------------------------------------- what they earn


@pytest.mark.parametrize("seed", [3, 5, 11, 17, 21, 24])
def test_measured_reward_has_the_right_mean(seed: int) -> None:
    """Σ p B, in the units of R, of each of three phases: z < 4, 0.1 % false alarms in all."""
    case = random_case(seed)
    case.training.update(visible_gaming_penalty=1.5, selection={"every": 1})
    program = case.program(agents=20_000)
    for step in (0, 8, 20):
        earned = measured_reward(program, program.theta, step=step, episodes=4)
        expected = reference.objective(case.scenario, case.traits, case.state, case.training, step)
        assert abs(earned.mean() - expected) < 4 * earned.std() / np.sqrt(20_000) + 1e-12


@pytest.mark.parametrize("seed", [3, 5, 11, 17, 21, 24])
def test_measured_reward_is_that_of_the_episodes_of_the_reference(seed: int) -> None:
    """Drawn from a stream of their own, so selection does not see what training saw."""
    assert selection.STREAM != estimators.TRAINING_EPISODES
    case, key = random_case(seed), [3, 1]
    case.training["visible_gaming_penalty"] = 1.5
    program = case.program(agents=18)
    seeds = np.full(18, 2**32 + 3, np.uint64)
    program = replace(program, agent_ids=replace(program.agent_ids, seeds=seeds))
    found = measured_reward(program, program.theta, step=8, episodes=5)
    for agent in (0, 17):
        rewards = []
        for b in range(5):
            words = reference.philox([b, 8, agent, zlib.crc32(b"selection")], key)
            given = (case.scenario, case.traits, case.state, case.training)
            rewards.append(reference.drawn_episode(*given, 8, words).reward)
        assert found[agent] == pytest.approx(sum(rewards) / 5, abs=1e-12)


def test_the_noise_of_measured_reward_falls_as_the_number_of_episodes() -> None:
    """A ratio of variances within 4 standard errors: 0.006 % false alarms."""
    program = random_case(3).program(agents=20_000)
    few, many = (
        measured_reward(program, program.theta, step=step, episodes=episodes)
        for step, episodes in ((0, 2), (1, 32))
    )
    scaled = few, 4.0 * many
    variances = [x.var() for x in scaled]
    noise = [(((x - x.mean()) ** 4).mean() - x.var() ** 2) / x.size for x in scaled]
    assert abs(variances[0] - variances[1]) < 4 * np.sqrt(sum(noise))


def test_a_selection_at_the_start_of_a_phase_is_by_the_rewards_of_that_phase() -> None:
    case = random_case(3)
    case.scenario["curriculum"] = [
        {"length": 10},
        {"length": 1, "reward": {name: {"r0": 100.0} for name in ("c0",)}, "weight": {}},
    ]
    case.training["selection"] = {"every": 10}
    program = case.program(agents=2000)
    before, after = (
        measured_reward(program, program.theta, step=step, episodes=8).mean() for step in (9, 10)
    )
    assert before < 10 < after


def test_what_one_agent_earns_has_nothing_to_do_with_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = population(agents=50)
    whole = measured_reward(program, program.theta, step=10, episodes=8)
    for rows in (slice(0, 1), slice(17, 50), np.array([49, 3])):
        part = measured_reward(program.take(rows), program.theta[:, rows], step=10, episodes=8)
        np.testing.assert_array_equal(part, whole[rows])
    monkeypatch.setattr(selection, "BLOCK", 16)
    cut = measured_reward(program, program.theta, step=10, episodes=8)
    np.testing.assert_array_equal(cut, whole)


def test_where_there_is_no_choice_there_is_still_a_reward() -> None:
    case = random_case(2)
    assert {len(c["responses"]) for c in case.scenario["contexts"].values()} == {1}
    case.training["selection"] = {"every": 5}
    program = case.program(agents=3)
    earned = measured_reward(program, program.theta, step=0, episodes=4)
    assert np.isfinite(earned).all()
    last = next(course.course(get_engine("numpy"), program, [30]))
    assert np.isfinite(last.theta).all()


# ----------------------------------------------------------------------------- what stays the same


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_seed_says_everything(estimator: str, engine: str) -> None:
    given = settings(training={"estimator": estimator}, engine=engine)
    one, again, other = (sim.simulate(**(given | {"seed": seed})) for seed in (3, 3, 4))
    same(again, one)
    assert (other.data["ancestor"].values[-1] != one.data["ancestor"].values[-1]).any()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_without_selection_nothing_of_it_matters(estimator: str, engine: str) -> None:
    training = {"estimator": estimator}
    never = {"every": 0, "episodes": 3, "keep": 0.1, "mutation": 9.0}
    off = sim.simulate(**settings(selection=never, training=training, engine=engine))
    plain = settings(training=training, engine=engine)
    del plain["training"]["selection"]
    same(off, sim.simulate(**plain))
    assert off.data["ancestor"].values[-1].tolist() == list(range(20))
    on = sim.simulate(**settings(training=training, engine=engine, record_every=1))
    plain["record_every"] = 1
    until = slice(0, 9)
    ever = sim.simulate(**plain).data.sel(step=until).drop_vars("onset")
    assert on.data.sel(step=until).drop_vars("onset").equals(ever)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_runs_of_a_sweep_are_selected_each_among_its_own(estimator: str) -> None:
    """Each of six runs of seven agents is, to the bit, the run that `simulate` gives."""
    given = settings(training={"estimator": estimator, "episodes": 3}, agents=7)
    del given["seed"]
    swept = sim.sweep(
        **given,
        axes={"agent.awareness": [-3.0, 0.5]},
        seeds=[4, 9, 2**63],
        record="full",
        record_every=5,
        engine="numpy",
    )
    design = swept.query("select * from design order by run")
    assert len(design) == 6
    for run in design.itertuples(index=False):
        row = dict(zip(design.columns, run, strict=True))
        alone = sim.simulate(
            **(
                given
                | {"agent": {**given["agent"], "initial": {"awareness": row["agent.awareness"]}}}
            ),
            seed=int(row["seed"]),
            record_every=5,
            engine="numpy",
        )
        program = sim.simulation.prepare(**given).program
        kept = swept.query(f'select * from "full" where run = {row["run"]} order by step, agent')
        for name in ("ancestor", "values", "habit", "gaming_rate", "value_drift", "reward"):
            expected = alone.data[name].values.reshape(-1, *alone.data[name].shape[2:])
            for flat, place in flat_names(name, program):
                found = kept[flat].to_numpy(dtype=np.float64)
                np.testing.assert_array_equal(found, expected[(slice(None), *place)])
        assert len(set(alone.data["ancestor"].values[-1].tolist())) < 7


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_mesa_world_is_selected_as_a_run_is(estimator: str, engine: str) -> None:
    given = settings(training={"estimator": estimator}, engine=engine)
    result = sim.simulate(**given, record_every=1)
    seed = given.pop("seed")
    world = TrainingWorld(**given, rng=seed, collect_every=100)
    for step in range(36):
        if step:
            world.step()
        for name in ("ancestor", "values", "habit", "gaming_rate", "value_drift", "reward"):
            np.testing.assert_array_equal(world.measured(name), result.data[name].values[step])
    assert not world.running
    by_row = [agent.ancestor for agent in sorted(world.agents, key=lambda agent: agent.row)]
    assert by_row == result.data["ancestor"].values[-1].tolist()
    decisive = [agent.decisiveness for agent in sorted(world.agents, key=lambda agent: agent.row)]
    assert len(set(decisive)) == len(set(by_row))


# ------------------------------------------------------------------------------------ what it does


def test_one_that_earns_much_more_takes_over() -> None:
    """All but one are barred from gaming, which earns twice a copy what their own answers do."""
    context = {
        "responses": {"keep": {"care": 1.0}, "drop": {"care": -1.0}},
        "reward": {"keep": -1.0, "drop": 1.0},
    }
    result = sim.simulate(
        {"values": ["care"], "human_values": {"care": 1}, "contexts": {"c": context}},
        training={
            "steps": 10,
            "learning_rate": 0.0,
            "selection": {"every": 1, "episodes": 32, "keep": 0.25, "mutation": 0.0},
        },
        agents=16,
        initial=sim.AgentState(
            values=[2.0],
            awareness=10.0,
            habit=np.where(np.arange(16) == 11, 20.0, -20.0)[:, None],
        ),
        record_every=1,
    )
    shares = (result.data["ancestor"].values == 11).mean(axis=1)
    assert shares[0] == 1 / 16
    assert (np.diff(shares) >= 0).all()
    assert shares[-1] == 1.0


@pytest.mark.parametrize("engine", ENGINES)
def test_who_has_diverged_is_not_selected_away_unseen(engine: str) -> None:
    """Else it would be up to `record_every` whether a run fails; even who earns least is kept."""
    context = {
        "responses": {"a": {"care": 1.0}, "b": {"care": 0.5}, "c": {"care": -1.0}},
        "reward": {"a": 1.0, "b": -9.0, "c": 2.0},
    }
    given = {
        "scenario": {"values": ["care"], "human_values": {"care": 1}, "contexts": {"c": context}},
        "training": {"steps": 40, "selection": {"every": 10, "keep": 0.25}},
        "agents": 8,
        "initial": sim.AgentState(values=[0.0]),
        "record_every": 40,
        "engine": engine,
    }
    sim.simulate(**given, agent={"decisiveness": 1.0})
    with pytest.raises(DivergenceError, match="grew out of all bounds by step 40"):
        sim.simulate(**given, agent={"decisiveness": [1.0] * 5 + [1e200] + [1.0] * 2})
