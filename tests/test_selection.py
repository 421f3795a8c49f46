"""Selection: who is kept, who is copied, and what it leaves alone."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
from scipy import stats

import reference
import sim
from cases import random_case, seeded
from sim.abm.training_model import TrainingWorld
from sim.dynamics import selection
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.loop import train
from sim.dynamics.program import Program
from sim.dynamics.selection import measured_reward, select, selections
from sim.simulation import prepare
from sim.sweeps.record import flat_names

SPREAD = {"decisiveness": 0.2, "initial": {"values": 0.3, "habit": 1.0, "awareness": 0.5}}
EVERY = {"every": 10, "episodes": 8, "keep": 0.4, "mutation": 0.1}
#: Cases with contexts of 1 to 4 responses; in the first, no context has a choice.
SEEDS = (2, 3, 5, 11, 17, 21, 24)
on_all = pytest.mark.parametrize(
    ("engine", "estimator"), [(e, x) for e in ("numpy", "numba") for x in ("exact", "sampled")]
)


def settings(*, steps: int = 35, **changes: Any) -> dict[str, Any]:
    """What `simulate` and `prepare` are given: agents who differ, selected now and then."""
    selected = EVERY | changes.pop("selection", {})
    training = {"steps": steps, "leak": 0.1, "generalisation": 0.1, "visible_gaming_penalty": 0.5}
    return {
        "scenario": "pipeline",
        "agent": {"spread": SPREAD},
        "training": training | {"selection": selected} | changes.pop("training", {}),
        "agents": 20,
        "seed": 3,
    } | changes


def population(**changes: Any) -> Program:
    return prepare(**settings(**changes)).program


def assert_same(found: sim.Result, expected: sim.Result, *, until: int | None = None) -> None:
    for name, array in expected.data.data_vars.items():
        here = np.s_[: until if "step" in array.dims else None]
        np.testing.assert_array_equal(found.data[name].values[here], array.values[here], str(name))


# ------------------------------------------------------------------------------------------ when


def test_agents_are_selected_every_so_often_but_at_neither_end() -> None:
    for every, steps, expected in (
        (0, 30, []),
        (1, 4, [1, 2, 3]),
        (10, 30, [10, 20]),
        (10, 31, [10, 20, 30]),
        (10, 10, []),
        (11, 10, []),
        (9, 10, [9]),
    ):
        given = settings(steps=steps, selection={"every": every})
        assert list(selections(prepare(**given).program)) == expected
        ancestors = sim.simulate(**given, record_every=1).data["ancestor"].values
        changed = [t for t in range(1, steps + 1) if (ancestors[t] != ancestors[t - 1]).any()]
        assert ancestors[0].tolist() == list(range(20))
        assert set(changed) <= set(expected)
        assert changed[:1] == expected[:1]


@on_all
def test_training_goes_on_from_what_selection_left(estimator: str, engine: str) -> None:
    """The course of a run, written out: 10 steps, a selection, 10, a selection, 15."""
    program = population(training={"estimator": estimator, "episodes": 3})
    found = list(train(get_engine(engine), program, [0, 9, 10, 35]))
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


# ------------------------------------------------------------------------------------------- who


def by_the_book(earned: list[float], kept: int) -> list[int]:
    """The rule again, in words of its own."""
    ranking = sorted(range(len(earned)), key=lambda n: (-earned[n], n))
    parents = list(range(len(earned)))
    for place, n in enumerate(ranking[kept:]):
        parents[n] = ranking[place % kept]
    return parents


def test_the_best_stay_and_their_copies_take_the_places_of_the_others() -> None:
    for earned, keep, expected in (
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
    ):
        program = population(agents=len(earned), selection={"keep": keep, "mutation": 0.0})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(selection, "measured_reward", lambda *a, e=earned, **k: np.array(e))
            after = select(program, program.theta, step=10, runs=1)
        assert after.ancestor.tolist() == expected
        assert program.selection is not None
        assert by_the_book(list(earned), program.selection.survivors) == expected


def test_those_are_kept_who_measured_best_and_a_copy_has_all_of_its_parent() -> None:
    """Without mutation, a copy is its parent to the bit."""
    program = population(selection={"mutation": 0.0})
    theta = program.theta + np.random.default_rng(1).normal(size=program.theta.shape)
    for step in (10, 20):
        earned = measured_reward(program, theta, step=step, episodes=8)
        after = select(program, theta, step=step, runs=1)
        parents = after.ancestor
        assert parents.tolist() == by_the_book(earned.tolist(), 8)
        np.testing.assert_array_equal(after.theta, theta[:, parents])
        np.testing.assert_array_equal(after.origin, program.origin[:, parents])
        for name in reference.Traits.__annotations__:
            own, was = getattr(after.traits, name), getattr(program.traits, name)
            np.testing.assert_array_equal(own, was[parents])
        assert after.agent_ids is program.agent_ids
        assert after.segments is program.segments


def test_mutations_are_normal_draws_and_of_copies_only() -> None:
    """Kolmogorov and Smirnov, of each parameter: 0.2 % false alarms at a seed chosen blindly."""
    program = population(agents=6000, selection={"mutation": 0.25, "keep": 0.2})
    after = select(program, program.theta, step=10, runs=1)
    copies = after.ancestor != np.arange(6000)
    mutations = (after.theta - program.theta[:, after.ancestor]) / 0.25
    assert copies.sum() == 4800
    assert not mutations[:, ~copies].any()
    for row in mutations[:, copies]:
        assert stats.kstest(row, "norm").pvalue > 1e-4
    assert np.abs(np.corrcoef(mutations[:, copies]) - np.eye(len(mutations))).max() < 0.07


def test_propensities_mutate_whether_or_not_anything_else_moves_them() -> None:
    """An intervention that leaves them as they are changes nothing."""
    start = [{"key": "state.propensity", "scale": 1.0}]
    same: Any = settings(training={"learning_rate": {"propensity": 0.0}})
    plain, touched = (sim.simulate(**same, interventions=x) for x in ([], start))
    assert_same(touched, plain)
    assert plain.data["propensity"].isel(step=-1).fillna(0).any()


def test_ancestors_are_right_through_many_selections() -> None:
    """Everyone is marked by a trait, which goes to the copies of copies; so does θ_0."""
    marks = [0.5 + n / 100 for n in range(20)]
    for estimator in ("exact", "sampled"):
        given = settings(steps=60, selection={"every": 7}, training={"estimator": estimator})
        given["agent"] = {
            "spread": {"initial": {"values": 0.3, "habit": 1.0}},
            "discernment": marks,
        }
        program = prepare(**given).program
        stops = list(train(get_engine("numpy"), program, range(61)))
        left = [len(set(stop.program.ancestor.tolist())) for stop in stops]
        assert left == sorted(left, reverse=True)
        assert left[0] == 20
        assert left[-1] < 8
        for stop in stops:
            ancestor, traits = stop.program.ancestor, stop.program.traits
            np.testing.assert_array_equal(traits.discernment, np.array(marks)[ancestor])
            np.testing.assert_array_equal(stop.program.origin, program.theta[:, ancestor])
        given["training"]["learning_rate"] = 0.0
        given["training"]["selection"]["mutation"] = 0.0
        data = sim.simulate(**given, record_every=1).data
        assert len(set(data["ancestor"].values[-1].tolist())) < 8
        assert not data["value_drift"].values.any()  # from where the lineage started


# ---------------------------------------------------------------------------------- what they earn


def test_measured_reward_is_that_of_the_episodes_of_the_reference() -> None:
    """In each phase from its first step on; from a stream that training does not see."""
    for seed in SEEDS:
        case, key = random_case(seed), [3, 1]
        case.training["visible_gaming_penalty"] = 1.5
        program = seeded(case.program(agents=18), 2**32 + 3)
        for step in (0, 6, 7, 15, 16):
            found = measured_reward(program, program.theta, step=step, episodes=5)
            assert np.isfinite(found).all()
            for agent in (0, 17):
                rewards = []
                for b in range(5):
                    words = reference.philox([b, step, agent, zlib.crc32(b"selection")], key)
                    given = (case.scenario, case.traits, case.state, case.training)
                    rewards.append(reference.drawn_episode(*given, step, words).reward)
                assert found[agent] == pytest.approx(sum(rewards) / 5, abs=1e-12)


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


# ----------------------------------------------------------------------------- what stays the same


@on_all
def test_a_seed_says_everything_and_without_selection_nothing_of_it_matters(
    estimator: str, engine: str
) -> None:
    given = settings(training={"estimator": estimator}, engine=engine, record_every=1)
    on, again, other = (sim.simulate(**given | {"seed": seed}) for seed in (3, 3, 4))
    assert_same(again, on)
    assert (other.data["ancestor"].values[-1] != on.data["ancestor"].values[-1]).any()
    never = {"every": 0, "episodes": 3, "keep": 0.1, "mutation": 9.0}
    off = sim.simulate(**given | {"training": given["training"] | {"selection": never}})
    del given["training"]["selection"]
    plain = sim.simulate(**given)
    assert_same(off, plain)
    assert off.data["ancestor"].values[-1].tolist() == list(range(20))
    on.data["onset"] = plain.data["onset"]
    assert_same(on, plain, until=10)


def test_runs_of_a_sweep_are_selected_each_among_its_own() -> None:
    """Each of four runs of seven agents is, to the bit, the run that `simulate` gives."""
    names = ("ancestor", "values", "habit", "gaming_rate", "value_drift", "reward")
    for estimator in ("exact", "sampled"):
        given = settings(
            training={"estimator": estimator, "episodes": 3},
            agents=7,
            record_every=5,
            engine="numpy",
        )
        del given["seed"]
        axes = {"agent.awareness": [-3.0, 0.5]}
        swept = sim.sweep(**given, axes=axes, seeds=[4, 2**63], record="full")
        design = swept.query("select * from design order by run").to_dict("records")
        assert len(design) == 4
        for row in design:
            initial = {"awareness": row["agent.awareness"]}
            agent = {**given["agent"], "initial": initial}
            alone = sim.simulate(**given | {"agent": agent}, seed=int(row["seed"]))
            program = prepare(**given).program
            full = swept.query(
                f'select * from "full" where run = {row["run"]} order by step, agent'
            )
            for name in names:
                values = alone.data[name].values
                expected = values.reshape(-1, *values.shape[2:])
                for flat, place in flat_names(name, program):
                    found = full[flat].to_numpy(dtype=np.float64)
                    np.testing.assert_array_equal(found, expected[(slice(None), *place)])
            assert len(set(alone.data["ancestor"].values[-1].tolist())) < 7


@on_all
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
    agents = sorted(world.agents, key=lambda agent: agent.row)
    by_row = [agent.ancestor for agent in agents]
    assert by_row == result.data["ancestor"].values[-1].tolist()
    assert len({agent.decisiveness for agent in agents}) == len(set(by_row))


@pytest.mark.parametrize("engine", ["numpy", "numba"])
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
    given["training"]["learning_rate"] = {"values": 1e300}
    with pytest.raises(sim.DivergenceError, match="grew out of all bounds by step 40"):
        sim.simulate(**given, agent={"decisiveness": [0.0] * 5 + [1.0] + [0.0] * 2})
