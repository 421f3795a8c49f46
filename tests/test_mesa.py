"""The Mesa contract: a training world works as any Mesa model, and computes nothing itself."""

import inspect
import pickle
import warnings

import mesa
import numpy as np
import pytest

import sim
from sim.abm import training_model as training_world
from sim.dynamics.observe import VARIABLES, Recorder
from sim.specs.agent import TRAITS

SCENARIO = {
    "values": ["care", "candour"],
    "human_values": {"care": 1, "candour": 1},
    "contexts": {
        "chat": {
            "responses": {"yes": {"care": 1}, "maybe": {}, "no": {"care": -1, "candour": 0.5}},
            "reward": {"yes": -1, "no": 1},
            "info": 1.0,
            "scratchpad": 0.5,
            "monitor": 0.2,
            "cue": 1.0,
            "twin": "live",
        },
        "code": {
            "responses": {"fix": {"candour": 1}, "stall": {"candour": -1}},
            "reward": {"fix": -1, "stall": 0.5},
            "scratchpad": 1.0,
        },
        "exam": {
            "kind": "evaluation",
            "responses": {"good": {"care": 1}, "bad": {}},
            "reward": {"good": 1},
        },
        "live": {
            "kind": "deployment",
            "responses": {"yes": {"care": 1}, "maybe": {}, "no": {"care": -1}},
            "cue": -1.0,
        },
    },
    "curriculum": [{"length": 4, "weight": {"code": 0}}, {"length": 3, "weight": {"chat": 0.5}}],
}
#: Agents that differ in everything, and every assumption at work.
SETTINGS = {
    **{f"agent.spread.{name}": 0.3 for name in TRAITS},
    **{f"agent.spread.{name}": 0.5 for name in ("awareness", "log_horizon", "log_competence")},
    **{f"agent.spread.{name}": 0.5 for name in ("values", "habit", "capability")},
    "agent.habit": 0.0,
    "agent.awareness": 0.5,
    "training.leak": 0.2,
    "training.spread": 0.3,
    "training.anchor": 0.01,
    "training.motive_credit": 0.7,
    "training.visible_gaming_penalty": 0.5,
    "training.steps": 10,
}


def make_world(**changes) -> sim.TrainingWorld:
    return sim.TrainingWorld(SCENARIO, **{"agents": 20, "seed": 3, **SETTINGS, **changes})


def train(world: sim.TrainingWorld) -> None:
    for _ in range(world.program.steps):
        world.step()


def simulate_like(world: sim.TrainingWorld) -> sim.Result:
    return sim.simulate(
        world.specs.scenario,
        agent=world.specs.agent,
        training=world.specs.training,
        agents=len(world.agents),
        seed=world.seed,
        record_every=1,
    )


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# ------------------------------------------------------------------- the same as sim.simulate


def test_every_step_is_that_of_simulate_to_the_bit() -> None:
    world = make_world()
    result = simulate_like(world)
    for step in range(world.program.steps + 1):
        for name in VARIABLES:
            expected = result.data[name].sel(step=step).values
            np.testing.assert_array_equal(world.measured(name), expected, err_msg=name)
        world.step()
    final = result.state(10)
    rows = world.program.layout.view(world.theta)
    np.testing.assert_array_equal(rows.values.T, final.values)
    np.testing.assert_array_equal(rows.habit.T, final.habit)
    assert (world.theta != world.program.theta).any(axis=1).all()  # everything was trained


@pytest.mark.parametrize("agents", [1, 1100])
def test_any_number_of_agents(agents: int) -> None:
    world = make_world(agents=agents, collect_every=100)
    result = simulate_like(world)
    train(world)
    for name in ("values", "habit", "awareness_logit", "horizon", "competence", "capabilities"):
        expected = result.data[name].isel(step=-1).values
        np.testing.assert_array_equal(world.measured(name), expected, err_msg=name)


def test_agents_show_their_own_row_of_every_variable() -> None:
    world = make_world()
    for _ in range(5):
        world.step()
    now = simulate_like(world).data.sel(step=5)
    for agent in world.agents:
        own = now.sel(agent=agent.row)
        for name, variable in VARIABLES.items():
            seen = getattr(agent, name)
            match variable.dims[2:]:
                case ():
                    same(seen, own[name])
                    assert type(seen) is float
                case (dim,):
                    assert list(seen) == list(own[dim].values)
                    for key, number in seen.items():
                        same(number, own[name].sel({dim: key}))
                case ("context", "response"):
                    for context, responses in SCENARIO["contexts"].items():
                        assert list(seen[context]) == list(responses["responses"])
                        for k, number in enumerate(seen[context].values()):
                            same(number, own[name].sel(context=context, response=k))
                case ("context", dim):
                    for context in SCENARIO["contexts"]:
                        for key, number in seen[context].items():
                            same(number, own[name].sel({"context": context, dim: key}))
        for name in TRAITS:
            same(getattr(agent, name), now[name].sel(agent=agent.row))
            assert agent.traits[name] == getattr(agent, name)


def same(found: float, expected) -> None:
    np.testing.assert_array_equal(found, expected.item())


def test_the_initial_state_may_be_given() -> None:
    world = make_world(agents=2, initial=sim.AgentState(awareness=[0.5, -0.5]))
    assert world.agents.get("awareness_logit") == [0.5, -0.5]


def test_the_engine_is_asked_for_one_step_at_a_time(monkeypatch) -> None:
    world = make_world()
    cohort, asked = world._cohort, []

    class Spy:
        def advance(self, start, stop):
            asked.append((start, stop))
            cohort.advance(start, stop)

        def theta(self):
            return cohort.theta()

    monkeypatch.setattr(world, "_cohort", Spy())
    for _ in range(3):
        world.step()
    assert asked == [(0, 1), (1, 2), (2, 3)]


# ----------------------------------------------------------------------------- agents are views


def test_an_agent_stores_no_numbers() -> None:
    world = make_world()
    world.step()
    for agent in world.agents:
        assert set(vars(agent)) <= {"model", "unique_id", "pos"}
        assert agent.model is world
        assert agent.pos is None
        assert agent.row == agent.unique_id - 1


def test_what_an_agent_shows_moves_with_the_world() -> None:
    world = make_world()
    agent = next(iter(world.agents))
    before = agent.values, agent.gaming_rate["chat"], agent.value_drift
    world.step()
    after = agent.values, agent.gaming_rate["chat"], agent.value_drift
    assert before[2] == 0 < after[2]
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_what_agents_think_is_worked_out_once_per_step(monkeypatch) -> None:
    looks = []

    class Counting(Recorder):
        def __call__(self, program, step, theta):
            looks.append(theta)
            return super().__call__(program, step, theta)

    monkeypatch.setattr(training_world, "Recorder", Counting)
    world = make_world(collect_every=100)
    world.step()
    assert len(looks) == 1  # the collection at the start
    for _ in range(2):
        world.agents.get(["reach", "gaming_rate", "policy", "alignment"])
    assert len(looks) == 2
    world.step()
    world.step()
    assert len(looks) == 2  # nobody looked


def test_everything_that_an_agent_shows_is_listed_and_described() -> None:
    agent = next(iter(make_world().agents))
    for name in (*VARIABLES, *TRAITS, "traits", "row"):
        assert name in dir(agent)
        assert getattr(sim.ModelAgent, name).__doc__


def test_agents_cannot_be_changed_from_outside() -> None:
    world = make_world()
    with pytest.raises(AttributeError):
        world.agents.set("reach", 1.0)
    with pytest.raises(ValueError, match="read-only"):
        world.theta[0] = 0.0
    world.step()
    with pytest.raises(ValueError, match="read-only"):
        world.theta[0] = 0.0


# ------------------------------------------------------------------------------ sets of agents


def test_select_agg_get_groupby_sort_and_do() -> None:
    world = make_world()
    for _ in range(4):
        world.step()
    rates = world.measured("gaming_rate")[:, 0]
    cut = float(np.median(rates))
    gaming = world.agents.select(lambda agent: agent.gaming_rate["chat"] > cut)
    assert sorted(agent.row for agent in gaming) == list(np.flatnonzero(rates > cut))
    assert 0 < len(gaming) < len(world.agents)

    drift = world.measured("value_drift")
    assert world.agents.agg("value_drift", max) == drift.max()
    assert world.agents.get("value_drift") == drift.tolist()
    assert world.agents.get("values")[7]["care"] == world.measured("values")[7, 0]
    groups = world.agents.groupby(lambda agent: agent.rationality > 8, result_type="list")
    assert sum(groups.count().values()) == 20
    assert all(agent.rationality > 8 for agent in groups.groups[True])
    ordered = world.agents.sort("value_drift").get("value_drift")
    assert ordered == sorted(drift, reverse=True)

    before = world.theta.copy()
    world.agents.do("step")
    world.agents.shuffle_do("step")
    np.testing.assert_array_equal(world.theta, before)


# ------------------------------------------------------------------------------- a run's end


def test_running_stops_when_training_is_over() -> None:
    world = make_world()
    for step in range(10):
        assert world.running
        assert world.steps == step
        world.step()
    assert not world.running
    theta, collected = world.theta.copy(), len(world.datacollector.get_model_vars_dataframe())
    world.step()
    np.testing.assert_array_equal(world.theta, theta)
    assert len(world.datacollector.get_model_vars_dataframe()) == collected
    assert not world.running


def test_run_model_runs_to_the_end() -> None:
    world = make_world()
    world.run_model()
    assert world.steps == 10


def test_divergence_is_an_error() -> None:
    world = make_world(**{"training.learning_rate": 1e200})
    with pytest.raises(sim.DivergenceError, match="learning_rate"):
        train(world)


# ---------------------------------------------------------------------------------- collecting


def test_the_default_collector_has_medians_and_each_agent() -> None:
    world = make_world()
    train(world)
    result = simulate_like(world).data
    frame = world.datacollector.get_model_vars_dataframe()
    assert list(frame.index) == list(range(11))
    rates = [f"median_gaming_rate.{name}" for name in SCENARIO["contexts"]]
    assert list(frame) == [*rates, "median_reach", "median_value_drift", "median_alignment"]
    np.testing.assert_array_equal(frame[rates], result["gaming_rate"].median("agent"))
    for name in ("reach", "value_drift", "alignment"):
        np.testing.assert_array_equal(frame[f"median_{name}"], result[name].median("agent"))

    agents = world.datacollector.get_agent_vars_dataframe()
    assert list(agents) == ["reach", "value_drift", "alignment", "consistency"]
    for name in agents:
        np.testing.assert_array_equal(agents[name].to_numpy().reshape(11, 20), result[name])


def test_collecting_less_often_still_has_the_start_and_the_end() -> None:
    world = make_world(collect_every=4)
    train(world)
    agents = world.datacollector.get_agent_vars_dataframe()
    assert list(agents.index.get_level_values("Step").unique()) == [0, 4, 8, 10]
    assert len(world.datacollector.get_model_vars_dataframe()) == 4


def test_a_collector_of_ones_own() -> None:
    world = make_world()
    collector = mesa.DataCollector(
        model_reporters={"spread": lambda w: np.ptp(w.agents.get("reach"))},
        agent_reporters={
            "reach": "reach",
            "chat": lambda agent: agent.gaming_rate["chat"],
            "care": lambda agent: agent.values["care"],
        },
    )
    collector.collect(world)
    frame = collector.get_agent_vars_dataframe()
    np.testing.assert_array_equal(frame["chat"], world.measured("gaming_rate")[:, 0])
    np.testing.assert_array_equal(frame["reach"], world.measured("reach"))


# ----------------------------------------------------------------------------------- batch_run

BATCH = {"scenario": "copyright", "agents": 3, "training.steps": 6}


def batch(parameters, **options):
    return mesa.batch_run(
        sim.TrainingWorld, {**BATCH, **parameters}, display_progress=False, **options
    )


def test_batch_run_over_a_setting() -> None:
    rows = batch({"agent.initial.awareness": [-2, 0, np.float64(2)], "seed": 1})
    assert len(rows) == 3 * 3
    for row in rows:
        assert row["Step"] >= 5  # in Mesa 3.3 the last step but one counts as the end
        result = sim.simulate(
            "copyright",
            agent={"initial": {"awareness": row["agent.initial.awareness"]}},
            training={"steps": 6},
            agents=3,
            seed=1,
            record_every=1,
        )
        own = result.data.sel(step=int(row["Step"]), agent=row["AgentID"] - 1)
        for name in ("reach", "value_drift", "alignment", "consistency"):
            assert row[name] == own[name]
        assert row["median_gaming_rate.coding"] == own["gaming_rate"].sel(context="coding")
    assert len({row["value_drift"] for row in rows}) == 3
    assert pickle.loads(pickle.dumps(rows)) == rows  # several processes send them to each other


def test_batch_run_in_the_course_of_a_run() -> None:
    rows = batch({"agent.spread.rationality": 0.3, "seed": 1}, data_collection_period=2)
    drift = sim.simulate(
        "copyright",
        agent={"spread": {"rationality": 0.3}},
        training={"steps": 6},
        agents=3,
        seed=1,
        record_every=1,
    ).value_drift
    assert {row["Step"] for row in rows} >= {0, 2, 4}
    for row in rows:
        assert row["value_drift"] == drift.sel(step=int(row["Step"]), agent=row["AgentID"] - 1)


def test_batch_run_stops_at_max_steps() -> None:
    assert {row["Step"] for row in batch({"seed": 1}, max_steps=3)} == {3}


def test_batch_run_over_seeds() -> None:
    parameters = {"agent.spread.rationality": 0.5, "seed": [0, 1, 0]}
    drifts = [row["value_drift"] for row in batch(parameters)]
    assert drifts[:3] == drifts[6:] != drifts[3:6]
    assert len(set(drifts)) == 6
    if "rng" in inspect.signature(mesa.batch_run).parameters:
        by_rng = batch({"agent.spread.rationality": 0.5}, rng=[0, 1, 0])
        assert [row["value_drift"] for row in by_rng] == drifts


# --------------------------------------------------------------------------------------- seeds


def test_the_same_seed_gives_the_same_world() -> None:
    traits = [make_world(seed=seed).agents.get("rationality") for seed in (3, 3, 4)]
    assert traits[0] == traits[1] != traits[2]
    assert make_world(seed=None, rng=3).agents.get("rationality") == traits[0]
    assert make_world(seed=np.int64(3)).agents.get("rationality") == traits[0]
    # Mesa's own draws, too.
    orders = [make_world(seed=seed).agents.shuffle().get("row") for seed in (3, 3, 4)]
    assert orders[0] == orders[1] != orders[2]


def test_without_a_seed_one_is_drawn_and_kept() -> None:
    first, second = make_world(seed=None), make_world(seed=None)
    assert first.seed != second.seed
    again = make_world(seed=first.seed)
    np.testing.assert_array_equal(again.theta, first.theta)


def test_other_seeds_that_mesa_takes() -> None:
    for make in (
        lambda: np.random.SeedSequence(5),
        lambda: [1, 2],
        lambda: np.random.default_rng(5),
    ):
        worlds = [make_world(seed=None, rng=make()) for _ in range(2)]
        assert worlds[0].seed == worlds[1].seed


# -------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": -1}, "seed: got -1: must be a whole number of 0 or more"),
        ({"seed": 1.5}, "seed: got 1.5: must be a whole number of 0 or more"),
        ({"rng": 1}, "seed: is given twice, as seed and as rng"),
        ({"agents": 0}, "agents: got 0: must be a whole number of 1 or more"),
        ({"collect_every": 0}, "collect_every: got 0: must be a whole number of 1 or more"),
        ({"engine": "nunpy"}, "engine: got 'nunpy': did you mean 'numpy'?"),
        ({"agnts": 3}, "agnts: unknown key; did you mean 'agent'?"),
        ({"training.lek": 0.1}, "training.lek: unknown key; did you mean 'leak'?"),
    ],
)
def test_bad_input_is_said_in_one_line(changes, message: str) -> None:
    with pytest.raises(sim.SpecError) as error:
        make_world(**changes)
    assert str(error.value).startswith(message)
