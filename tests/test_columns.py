"""Many runs in one program: each is, to the bit, the run that `simulate` gives alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sim
from sim.dynamics.columns import NoColumnError, Numbers
from sim.dynamics.compile import compile_program
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.loop import train
from sim.dynamics.measures import OnsetWatch, onset, quantiles, representatives
from sim.dynamics.observe import VARIABLES, Recorder
from sim.dynamics.program import Program
from sim.simulation import prepare
from sim.specs.agent import CAPABILITIES, TRAITS, Agent, InitialSpread, Spread
from sim.specs.keys import full_key, is_vectorisable
from sim.specs.overrides import Specs, apply_overrides, read_specs
from sim.specs.training import LearningRate, Training, Transfer

ENGINES = ["numpy", "numba"]
#: Where runs differ in what the NumPy engine takes a shared matrix product of, another order of
#: summation is allowed for.
ROUNDING = 1e-12
#: Columns of tables that are no variable.
KEYS = {"run", "step", "agent", "rank", "error", "part", "seed"}

#: Three values, contexts with one, two and three responses, of every kind, with a twin.
WORLD: dict[str, Any] = {
    "name": "everything",
    "values": ["a", "b", "c"],
    "human_values": {"a": 1.0, "b": -0.5},
    "contexts": {
        "two": {
            "responses": {"x": {"a": 1.0, "b": 0.2}, "y": {"a": -0.7, "c": 0.4}},
            "reward": {"y": 1.0},
            "weight": 1.3,
            "info": 0.4,
            "scratchpad": 0.6,
            "cue": 0.5,
            "monitor": 0.3,
            "twin": "outside",
        },
        "three": {
            "responses": {"x": {"a": 0.5}, "y": {"b": 0.9}, "z": {"a": -0.2, "c": -1.0}},
            "reward": {"x": -0.3, "y": 0.2, "z": 0.8},
            "weight": 0.7,
            "info": 0.8,
            "scratchpad": 0.2,
            "cue": -0.2,
            "monitor": 0.1,
        },
        "one": {"responses": {"x": {"c": 1.0}}, "reward": {"x": 0.4}, "info": 0.1},
        "tested": {
            "responses": {"x": {"a": 0.4}, "y": {"b": -0.4}},
            "reward": {"x": 1.0},
            "kind": "red_team",
            "info": 0.2,
        },
        "outside": {
            "responses": {"y": {"a": -0.7, "c": 0.4}, "x": {"a": 1.0, "b": 0.2}},
            "reward": {"y": 1.0},
            "kind": "deployment",
            "info": 0.4,
            "scratchpad": 0.6,
            "cue": -1.5,
        },
    },
    "similarity": {"two": {"three": 0.5, "one": 0.2}, "outside": {"two": 0.8}},
}
#: The same in three phases; in the last a context that was trained on is no more.
PHASES: dict[str, Any] = {
    **WORLD,
    "curriculum": [
        {"length": 6, "weight": {"two": 2.0}, "monitor": {"two": 0.7}},
        {"length": 5, "reward": {"three": {"y": 1.5}}, "monitor": {"three": 0.9}},
        {"length": 5, "weight": {"three": 0.0}, "reward": {"two": {"x": 0.3}}},
    ],
}
AGENT: dict[str, Any] = {
    "decisiveness": 1.2,
    "initial": {"values": {"a": 0.8, "b": 0.3, "c": -0.4}, "habit": -0.5, "awareness": -0.3},
    "spread": {
        "decisiveness": 0.2,
        "rationality": 0.1,
        "initial": {"values": 0.2, "habit": 0.4, "awareness": 0.3, "capability": 0.2},
    },
}
TRAINING: dict[str, Any] = {
    "steps": 20,
    "motive_credit": 0.8,
    "leak": 0.3,
    "spread": 0.2,
    "anchor": 0.01,
    "visible_gaming_penalty": 0.5,
    "learning_rate": 0.1,
}

SPECS = read_specs(WORLD, agent=AGENT, training=TRAINING)
IN_THREE_PHASES = read_specs(PHASES, agent=AGENT, training=TRAINING)

SHARES = [0.0, 0.9, 0.35]
POSITIVE = [0.0, 1.7, 0.4]
ANYTHING = [-0.8, 1.1, 0.0]
EXACT: dict[str, list[float]] = {
    **{f"agent.{name}": POSITIVE for name in TRAITS},
    "agent.scratchpad_saving": SHARES,
    **{f"agent.spread.{name}": POSITIVE for name in Spread.model_fields if name != "initial"},
    **{f"agent.spread.{name}": POSITIVE for name in InitialSpread.model_fields},
    "agent.spread.initial.values.b": POSITIVE,
    "agent.spread.initial.habit.three": POSITIVE,
    **{f"agent.spread.capability.{name}": POSITIVE for name in CAPABILITIES},
    **{f"agent.initial.values.{name}": ANYTHING for name in WORLD["values"]},
    "agent.values.a": ANYTHING,
    "agent.habit": ANYTHING,
    **{f"agent.habit.{name}": ANYTHING for name in WORLD["contexts"]},
    "agent.awareness": ANYTHING,
    "agent.initial.log_horizon": ANYTHING,
    "agent.log_competence": ANYTHING,
    "agent.capability": ANYTHING,
    **{f"agent.initial.capability.{name}": ANYTHING for name in CAPABILITIES},
    "training.motive_credit": SHARES,
    "training.leak": SHARES,
    "training.spread": SHARES,
    "training.anchor": [0.0, 0.1, 0.02],
    "training.visible_gaming_penalty": POSITIVE,
    "training.transfer": POSITIVE,
    **{f"training.transfer.{name}": POSITIVE for name in Transfer.model_fields},
    "training.learning_rate": [0.0, 0.3, 0.05],
    **{f"training.learning_rate.{name}": [0.0, 0.3] for name in LearningRate.model_fields},
    **{f"scenario.contexts.{name}.info": POSITIVE for name in WORLD["contexts"]},
    **{f"scenario.contexts.{name}.scratchpad": SHARES for name in ("two", "tested", "outside")},
    **{f"scenario.contexts.{name}.cue": ANYTHING for name in ("three", "tested", "outside")},
    **{f"scenario.contexts.{name}.monitor": SHARES for name in ("two", "three")},
    **{f"scenario.contexts.{name}.weight": POSITIVE for name in ("two", "three", "one")},
    **{f"scenario.human_values.{name}": [0.5, -1.0] for name in WORLD["values"]},
}
ROUNDED: dict[str, list[float]] = {
    "scenario.contexts.two.responses.x.a": ANYTHING,
    "scenario.contexts.three.responses.y.c": ANYTHING,  # not named in the scenario
    "scenario.contexts.three.responses.x.a": ANYTHING,  # of the response that serves as origin
    "scenario.contexts.outside.responses.y.a": ANYTHING,
    "scenario.contexts.two.reward.y": ANYTHING,
    "scenario.contexts.two.reward.x": ANYTHING,
    "scenario.contexts.three.reward.z": [0.8, 0.2, -1.0],  # the best changes, and ties
    "scenario.similarity.two.three": SHARES,
    "scenario.similarity.three.two": SHARES,
    "scenario.similarity.tested.two": SHARES,
}
IN_PHASES: dict[str, list[float]] = {
    "scenario.curriculum.0.weight.two": POSITIVE,
    "scenario.curriculum.2.weight.three": POSITIVE,
    "scenario.curriculum.1.weight.one": POSITIVE,
    "scenario.curriculum.0.monitor.two": SHARES,
    "scenario.curriculum.2.monitor.three": SHARES,
    "scenario.contexts.two.weight": POSITIVE,
}
IN_PHASES_ROUNDED: dict[str, list[float]] = {
    "scenario.curriculum.1.reward.three.y": ANYTHING,
    "scenario.curriculum.0.reward.two.x": ANYTHING,
}


def settings_of(row: Mapping[str, Any]) -> dict[str, object]:
    """What a row of the design says of a run's specs."""
    parts = ("scenario.", "agent.", "training.")
    return {str(key): value for key, value in row.items() if str(key).startswith(parts)}


def run_alone(specs: Specs, row: Mapping[str, Any], **given: Any) -> sim.Result:
    changed = apply_overrides(specs, settings_of(row))
    return sim.simulate(
        changed.scenario,
        agent=changed.agent,
        training=changed.training,
        seed=int(row["seed"]),
        **given,
    )


def flat(result: sim.Result, name: str) -> dict[str, np.ndarray]:
    """The numbers of a variable by flat name, each [step, agent] or [agent]."""
    data = result.data[name]
    dims = [str(dim) for dim in data.dims if dim not in ("step", "agent")]
    kept = [str(dim) for dim in data.dims if dim not in dims]
    values = data.transpose(*dims, *kept).values
    coords = {dim: data[dim].values.tolist() for dim in dims}
    found = {}
    for place in np.ndindex(values.shape[: len(dims)]):
        parts = [str(coords[dim][i]) for dim, i in zip(dims, place, strict=True)]
        if "response" in dims:
            names = list(result.provenance["scenario"]["contexts"][parts[0]]["responses"])
            if place[1] >= len(names):
                assert np.isnan(values[place]).all()
                continue
            parts[1] = names[place[1]]
        found[".".join([name, *parts])] = values[place]
    return found


def numbers(frame: pd.DataFrame, column: str) -> np.ndarray:
    return frame[column].to_numpy(np.float64, na_value=np.nan)


def assert_alike(found: np.ndarray, wanted: np.ndarray, *, rounding: float, told: str) -> None:
    if rounding:
        np.testing.assert_allclose(found, wanted, atol=rounding, rtol=rounding, err_msg=told)
    else:
        np.testing.assert_array_equal(found, wanted, err_msg=told)


def assert_runs_are_as_alone(
    table: sim.Sweep, specs: Specs, *, rounding: float = 0.0, agents: int = 2, **given: Any
) -> None:
    """Compare all that a sweep with record="full" kept with runs that are simulated one by one."""
    full = table.query('select * from "full" order by run, step, agent')
    curves = table.query("select * from curves order by run, step, rank")
    design = table.query("select * from design order by run")
    summary = table.query("select * from summary order by run")
    assert summary["error"].isna().all()
    assert summary["run"].tolist() == design["run"].tolist() == list(range(len(design)))
    columns = {column: numbers(full, column) for column in set(full.columns) - KEYS}
    seen = {column: numbers(curves, column) for column in set(curves.columns) - KEYS}
    compared = set()
    for run, row in enumerate(design.to_dict("records")):
        alone = run_alone(specs, row, agents=agents, **given)
        last = summary.loc[run].to_dict()
        shape = (len(design), alone.data.sizes["step"], agents)
        assert full["step"].to_numpy().reshape(shape)[run, :, 0].tolist() == [
            *alone.data["step"].values
        ]
        for name in VARIABLES:
            for column, wanted in flat(alone, name).items():
                found = columns[column].reshape(shape)[run]
                assert_alike(found, wanted, rounding=rounding, told=f"{column} of {row}")
                compared.add(column)
                if column in seen:
                    ordered = np.sort(found, axis=1).astype(np.float32)
                    drawn = seen[column].reshape(shape)[run]
                    np.testing.assert_array_equal(drawn, ordered, err_msg=column)
                if column in last:
                    assert_in_summary(last, column, found[-1])
        for column, wanted in flat(alone, "onset").items():
            assert_in_summary(last, column, wanted)
            assert last[column.replace("onset", "onset_share")] == np.isfinite(wanted).mean()
    assert compared == set(columns)


def assert_in_summary(row: Mapping[str, Any], column: str, values: np.ndarray) -> None:
    known = values[np.isfinite(values)]
    if not known.size:
        assert pd.isna(row[column])
        return
    levels = {"": 0.5, ".low": 0.1, ".high": 0.9} if len(values) > 1 else {"": 0.5}
    for end, level in levels.items():
        wanted = np.quantile(known, level)
        assert abs(row[column + end] - wanted) <= 1e-13 * np.abs(known).max(), column


def history(program: Program, *, engine: str, runs: int = 1) -> dict[str, np.ndarray]:
    """Every variable at every fourth step, each [step, agent, ...], and θ as `theta`."""
    record = Recorder()
    steps = [*range(0, program.steps, 4), program.steps]
    seen = [
        {**record(stop.program, stop.step, stop.theta), "theta": stop.theta.T}
        for stop in train(get_engine(engine), program, steps, runs=runs)
    ]
    return {name: np.stack([now[name] for now in seen]) for name in seen[0]}


def check_axis(
    key: str, values: list[float], *, engine: str, specs: Specs, rounding: float
) -> None:
    """Compare runs side by side in one program with programs of one run."""
    assert is_vectorisable(key)
    # With the key said, as in a part: one that the scenario leaves out is then there.
    specs = apply_overrides(specs, {key: values[0]})
    given: dict[str, Any] = {"agents": 2, "seed": 4}
    together = compile_program(
        specs.scenario,
        agent=specs.agent,
        training=specs.training,
        agents=2,
        seed=[4] * len(values),
        columns={full_key(key): values},
    )
    found = history(together, engine=engine, runs=len(values))
    firsts = set()
    for run, value in enumerate(values):
        scenario_, agent, training, _ = apply_overrides(specs, {key: value})
        alone = prepare(scenario_, agent=agent, training=training, engine=engine, **given)
        wanted = history(alone.program, engine=engine)
        for name in wanted:
            here = found[name][:, 2 * run : 2 * run + 2]
            assert_alike(here, wanted[name], rounding=rounding, told=f"{name} at {value}")
        firsts.add(b"".join(wanted[name].tobytes() for name in sorted(wanted)))
    assert len(firsts) == len(values), "the axis changes nothing"


# --------------------------------------------------------------------------- every key of a column


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("key", EXACT)
def test_an_axis_gives_each_run_to_the_bit(key: str, engine: str) -> None:
    check_axis(key, EXACT[key], engine=engine, specs=SPECS, rounding=0.0)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("key", ROUNDED)
def test_an_axis_of_shared_products_gives_each_run(key: str, engine: str) -> None:
    check_axis(key, ROUNDED[key], engine=engine, specs=SPECS, rounding=ROUNDING)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("key", IN_PHASES)
def test_an_axis_of_a_phase_gives_each_run_to_the_bit(key: str, engine: str) -> None:
    check_axis(key, IN_PHASES[key], engine=engine, specs=IN_THREE_PHASES, rounding=0.0)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("key", IN_PHASES_ROUNDED)
def test_an_axis_of_a_phase_s_reward_gives_each_run(key: str, engine: str) -> None:
    check_axis(key, IN_PHASES_ROUNDED[key], engine=engine, specs=IN_THREE_PHASES, rounding=ROUNDING)


def test_no_numeric_key_is_left_out() -> None:
    """Each number of an agent and of training is either an axis above, or known to be none."""
    known = {key.replace(".initial.", ".") for key in (*EXACT, *ROUNDED)}
    structural = {"steps", "estimator", "episodes", "update_rule", "selection"}
    for name in Training.model_fields:
        assert name in structural or f"training.{name}" in known
    for name in Agent.model_fields:
        assert name in ("initial", "spread") or f"agent.{name}" in known
    for name in type(Agent().initial).model_fields:
        assert any(key.startswith(f"agent.{name}") for key in known)
    for name in InitialSpread.model_fields:
        assert f"agent.spread.{name}" in known
    fields = type(sim.Scenario.load("pipeline").contexts["chat_feedback"]).model_fields
    for name in set(fields) - {"description", "kind", "twin", "subversive"}:
        assert any(f".{name}" in key and ".contexts." in key for key in known), name


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", ["policy_gradient", "replicator"])
def test_all_keys_at_once(engine: str, rule: str) -> None:
    """In a design over every numeric key, every row is the run that it says."""
    kept = {
        key: values
        for key, values in {**EXACT, **ROUNDED, **IN_PHASES, **IN_PHASES_ROUNDED}.items()
        if key not in {"agent.habit", "agent.capability", "training.transfer", "agent.values.a"}
        and key not in {"training.learning_rate", "agent.spread.values", "agent.spread.habit"}
        and key not in {"agent.spread.capability", "scenario.similarity.three.two"}
    }
    ranges = {key: (min(values) + 1e-3, max(values)) for key, values in kept.items()}
    training = {**TRAINING, "update_rule": rule}
    table = sim.sweep(
        PHASES,
        design=sim.LatinHypercube(ranges, points=3, seed=2),
        agent=AGENT,
        training=training,
        agents=3,
        seeds=[7, 1],
        record="full",
        record_every=5,
        engine=engine,
    )
    specs = read_specs(PHASES, agent=AGENT, training=training)
    assert len(table.query("select * from design")) == 6
    assert_runs_are_as_alone(table, specs, rounding=1e-10, agents=3, record_every=5, engine=engine)


WIDE: dict[str, Any] = {
    "values": [f"v{d}" for d in range(9)],
    "human_values": {f"v{d}": 0.1 + 0.37 * d for d in range(9)},
    "contexts": {
        f"c{c}": {
            "responses": {
                f"r{k}": {f"v{d}": np.sin(1.0 + 9 * c + 3 * k + d) for d in range(9)}
                for k in range(9)
            },
            "reward": {f"r{k}": np.cos(2.0 * c + k) for k in range(9)},
            "weight": 0.1 + 0.071 * c,
            "info": 0.1 * c,
        }
        for c in range(11)
    },
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("scenario.contexts.c3.weight", [0.3, 0.7]),
        ("scenario.human_values.v2", [0.3, 1.3, 0.7]),
        ("training.leak", [0.0, 0.3]),
    ],
)
def test_sums_over_many_have_the_order_that_they_have_alone(
    key: str, values: list[float], engine: str
) -> None:
    """NumPy sums eight numbers and more in pairs where they lie side by side, and else in order."""
    agent = {"initial": {"values": {f"v{d}": np.sin(d) for d in range(9)}, "habit": -0.5}}
    specs = read_specs(WIDE, agent=agent, training={"steps": 6})
    check_axis(key, values, engine=engine, specs=specs, rounding=0.0)


# ------------------------------------------------------------------------ structural axes and more


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("training.steps", [7, 20, 13]),
        ("training.update_rule", ["replicator", "policy_gradient"]),
        ("training.estimator", ["exact", "sampled"]),
        ("scenario.curriculum.0.length", [2, 9]),
        ("scenario.contexts.tested.kind", ["evaluation", "training"]),
        ("scenario.contexts.two.twin", [None, "outside"]),
        ("agent.decisiveness", [[0.5, 2.0], [1.0, 0.1]]),
    ],
)
def test_an_axis_of_choices_gives_each_run_to_the_bit(key: str, values: list, engine: str) -> None:
    specs = read_specs(PHASES, agent=AGENT, training=TRAINING)
    given: dict[str, Any] = {"record_every": 4, "engine": engine}
    table = sim.sweep(
        PHASES,
        axes={key: values, "training.leak": [0.1]},
        agent=AGENT,
        training=TRAINING,
        agents=2,
        seeds=2,
        record="full",
        **given,
    )
    assert len(table.described["parts"]) == len(values)
    design = table.query("select * from design order by run")
    assert len(design) == 2 * len(values)
    for index, value in enumerate(values):
        rows = design[2 * index : 2 * index + 2]
        chosen = apply_overrides(specs, {key: value})
        part = f"run >= {rows['run'].min()} and run <= {rows['run'].max()}"
        full = table.query(f'select * from "full" where {part} order by run, step, agent')
        for row in rows.drop(columns=key).to_dict("records"):
            alone = run_alone(chosen, row, agents=2, **given)
            here = full[full["run"] == row["run"]]
            for name in VARIABLES:
                for column, wanted in flat(alone, name).items():
                    found = numbers(here, column).reshape(-1, 2)
                    np.testing.assert_array_equal(found, wanted, err_msg=column)


@pytest.mark.parametrize("engine", ENGINES)
def test_scenario_agents_and_record_every_are_axes(engine: str) -> None:
    table = sim.sweep(
        "pipeline",
        axes={
            "scenario": ["pipeline", "copyright"],
            "agents": [1, 3],
            "record_every": [5, 8],
            "agent.awareness": [0.0],
        },
        training={"steps": 16},
        record="full",
        engine=engine,
    )
    frame = table.frame
    assert len(frame) == 8
    assert table.axes == ("scenario", "agents", "record_every", "agent.awareness")
    full = table.query('select * from "full" order by run, step, agent')
    for row in frame.to_dict("records"):
        alone = sim.simulate(
            row["scenario"],
            agent={"initial": {"awareness": row["agent.awareness"]}},
            training={"steps": 16},
            agents=int(row["agents"]),
            record_every=int(row["record_every"]),
            engine=engine,
        )
        here = full[full["run"] == row["run"]]
        for name in VARIABLES:
            for column, wanted in flat(alone, name).items():
                np.testing.assert_array_equal(numbers(here, column), wanted.ravel(), column)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "training",
    [
        {"estimator": "sampled", "episodes": 5},
        {"selection": {"every": 6, "episodes": 4, "keep": 0.4}},
        {"estimator": "sampled", "update_rule": "replicator", "selection": {"every": 7}},
    ],
)
def test_draws_and_selection_of_a_run_are_its_own(training: dict, engine: str) -> None:
    given: dict[str, Any] = {"agent": AGENT, "training": {**TRAINING, **training}}
    common: dict[str, Any] = {"agents": 5, "record_every": 4, "engine": engine}
    table = sim.sweep(
        PHASES,
        axes={"scenario.contexts.two.weight": [0.0, 1.0]},
        seeds=[3, 2**64 - 1],
        record="full",
        **given,
        **common,
    )
    assert_runs_are_as_alone(table, read_specs(PHASES, **given), **common)
    if "selection" in training:
        ancestors = table.query('select distinct ancestor from "full" where step = 20')
        assert 1 < len(ancestors) <= 5


def test_selection_is_an_axis_of_choices() -> None:
    table = sim.sweep(
        WORLD,
        axes={"training.selection.every": [0, 5], "training.selection.mutation": [0.0, 0.2]},
        agent=AGENT,
        training=TRAINING,
        agents=4,
        engine="numpy",
    )
    frame = table.frame
    assert len(table.described["parts"]) == 4
    for row in frame.to_dict("records"):
        selection = {"every": int(row["training.selection.every"])}
        selection["mutation"] = row["training.selection.mutation"]
        training = {**TRAINING, "selection": selection}
        alone = sim.simulate(WORLD, agent=AGENT, training=training, agents=4, engine="numpy")
        assert_in_summary(row, "reach", alone.reach.values[-1])
        assert_in_summary(row, "values.a", alone.data["values"].values[-1, :, 0])


def test_numbers_for_each_agent_go_with_columns() -> None:
    """A list with one number for each agent holds in every run of a sweep."""
    agent = {**AGENT, "rationality": [1.0, 4.0, 9.0]}
    given: dict[str, Any] = {"agent": agent, "training": TRAINING}
    axes = {"training.leak": [0.0, 0.4], "scenario.contexts.two.weight": [0.5, 2.0]}
    table = sim.sweep(WORLD, axes=axes, agents=3, record="full", engine="numpy", **given)
    assert_runs_are_as_alone(table, read_specs(WORLD, **given), agents=3, engine="numpy")


def test_values_follow_the_human_values_of_their_own_run() -> None:
    """Where an agent starts from human values, an axis of these moves where it starts."""
    agent = {"initial": {"habit": -0.5}}
    axes = {"scenario.human_values.a": [0.5, 2.0]}
    table = sim.sweep(
        WORLD, axes=axes, agent=agent, training=TRAINING, record="full", engine="numpy"
    )
    specs = read_specs(WORLD, agent=agent, training=TRAINING)
    assert_runs_are_as_alone(table, specs, agents=1, engine="numpy")
    start = table.query('select "values.a" as v from "full" where step = 0 order by run')
    assert start["v"].tolist() == [0.5, 2.0]


def test_values_that_follow_human_values_are_not_half_an_axis() -> None:
    """With an axis of its own for one value, the others would stay with the first human values."""
    axes = {"scenario.human_values.a": [0.5, 2.0], "agent.values.b": [0.1, 0.2]}
    with pytest.raises(sim.SpecError, match=r"agent\.initial\.values\.a: .*human_values"):
        sim.sweep(WORLD, axes=axes, training=TRAINING, engine="numpy")
    axes["agent.values.a"] = [1.0]
    table = sim.sweep(WORLD, axes=axes, training=TRAINING, record="full", engine="numpy")
    specs = read_specs(WORLD, training=TRAINING)
    assert_runs_are_as_alone(table, specs, agents=1, engine="numpy")


@pytest.mark.parametrize("size", [1, 3, 16, 17])
def test_neighbours_in_a_program_change_nothing(size: int) -> None:
    """A run has the same bits however many others stand beside it."""
    leaks = np.linspace(0.0, 1.0, 17)
    specs = read_specs(PHASES, agent=AGENT, training=TRAINING)

    def final(columns: dict[str, np.ndarray]) -> np.ndarray:
        program = compile_program(
            specs.scenario,
            agent=specs.agent,
            training=specs.training,
            agents=2,
            seed=np.arange(len(columns["training.leak"])),
            columns=columns,
        )
        engine = prepare("pipeline", engine="numpy").engine
        return engine.trajectory(program, [20])[0]

    everyone = final({"training.leak": leaks, "agent.initial.awareness": leaks})
    few = final({"training.leak": leaks[:size], "agent.initial.awareness": leaks[:size]})
    np.testing.assert_array_equal(few, everyone[:, : 2 * size])


# -------------------------------------------------------------------------------------- the numbers


def test_a_number_is_its_column_or_that_of_what_is_above_it_or_what_is_said() -> None:
    columns = {"training.transfer": [1.0, 2.0], "training.transfer.opacity": [3.0, 4.0]}
    found = Numbers(columns, agents=2)
    assert found.unread == set(columns)
    assert found("training.transfer.opacity", 9.0).tolist() == [3.0, 3.0, 4.0, 4.0]
    assert found.unread == {"training.transfer"}
    assert found("training.transfer.subversion", 9.0).tolist() == [1.0, 1.0, 2.0, 2.0]
    assert found("training.transferable", 9.0).tolist() == [9.0]
    assert not found.unread
    assert found.stacked([("training.leak", 5.0), ("training.transfer", 5.0)]).tolist() == [
        [5.0] * 4,
        [1.0, 1.0, 2.0, 2.0],
    ]


@pytest.mark.parametrize(
    "key",
    ["training.steps", "training.selection.keep", "training.episodes", "training.leek", "leak"],
)
def test_a_column_that_nothing_reads_is_refused(key: str) -> None:
    specs = read_specs("pipeline")
    with pytest.raises(NoColumnError, match=key):
        compile_program(
            specs.scenario,
            agent=specs.agent,
            training=specs.training,
            agents=1,
            seed=0,
            columns={key: [1.0]},
        )


# ------------------------------------------------------------------------ quantiles and onset watch


def with_holes(shape: tuple[int, ...], *, share: float = 0.3, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    x[rng.random(shape) < share] = np.nan
    x[0, :, ...] = np.nan
    x[1, 1:, ...] = np.nan
    return x


@pytest.mark.filterwarnings("ignore:All-NaN slice")
@pytest.mark.parametrize("agents", [1, 2, 9, 50])
def test_quantiles_are_those_of_numpy(agents: int) -> None:
    x = with_holes((12, agents, 3))
    levels = [0.0, 0.1, 1 / 3, 0.5, 0.9, 1.0]
    found = quantiles(x, levels)
    assert found.shape == (6, 12, 3)
    np.testing.assert_allclose(found, np.nanquantile(x, levels, axis=1), rtol=1e-13, atol=1e-15)
    # What everything is, and the least and the greatest, are had to the bit.
    assert (quantiles(np.full((2, agents), 0.1), levels) == 0.1).all()
    np.testing.assert_array_equal(found[0], np.nanmin(x, axis=1))
    np.testing.assert_array_equal(found[-1], np.nanmax(x, axis=1))


@pytest.mark.parametrize("agents", [1, 2, 5, 9])
def test_few_agents_represent_themselves(agents: int) -> None:
    x = np.random.default_rng(1).normal(size=(7, agents, 2))
    np.testing.assert_array_equal(representatives(x, agents), np.moveaxis(np.sort(x, axis=1), 1, 0))


@pytest.mark.parametrize("agents", [10, 37, 1000])
@pytest.mark.parametrize("count", [1, 4, 9])
def test_many_agents_are_represented_within_half_a_share(agents: int, count: int) -> None:
    """A representative is the middle of its share; at no number is a rank off by more than half."""
    x = np.random.default_rng(2).exponential(size=(200, agents)) ** np.linspace(1, 5, 200)[:, None]
    found = representatives(x, count)
    assert found.shape == (count, 200)
    for place, values in enumerate(found):
        rank = (x <= values[:, None]).mean(axis=1)
        assert (np.abs(rank - (place + 0.5) / count) <= 1.0 / agents).all()
    for number in np.quantile(x, np.linspace(0, 1, 30)):
        share = (x <= number).mean(axis=1)
        guess = np.less_equal(found.T, number).mean(axis=1)
        assert (np.abs(share - guess) <= 0.5 / count + 1.0 / agents).all()
    # So a quantile over representatives of many runs is off, in rank, by no more.
    for level in (0.1, 0.5, 0.9):
        rank = (x <= np.quantile(found, level)).mean()
        assert abs(rank - level) <= 0.5 / count + 1.0 / agents


def test_representatives_leave_out_what_is_not_defined() -> None:
    x = with_holes((6, 20))
    found = representatives(x, 9)
    assert np.isnan(found[:, 0]).all()
    assert (found[:, 1] == x[1, 0]).all() or np.isnan(x[1, 0])
    for run in range(2, 6):
        known = x[run][np.isfinite(x[run])]
        np.testing.assert_array_equal(found[:, run], representatives(known[None], 9)[:, 0])
        assert known.min() <= found[:, run].min() <= found[:, run].max() <= known.max()


def slow_onset(rates: np.ndarray, steps: np.ndarray, threshold: float, window: int) -> np.ndarray:
    """As the words have it: the first step from which it holds for `window` records."""
    found = np.full(rates.shape[1:], np.nan)
    for place in np.ndindex(rates.shape[1:]):
        here = rates[(slice(None), *place)]
        for first in range(len(steps) - window + 1):
            if (here[first : first + window] >= threshold).all():
                found[place] = steps[first]
                break
    return found


@pytest.mark.parametrize("window", [1, 2, 5, 30, 31])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 1.0])
def test_a_watch_finds_the_onset_of_a_history(window: int, threshold: float) -> None:
    rates = np.random.default_rng(3).random((30, 20, 4))
    rates[:, 0] = 1.0
    steps = np.array([*range(0, 87, 3), 88])
    watch = OnsetWatch(rates.shape[1:], threshold=threshold, window=window)
    for index, (step, now) in enumerate(zip(steps, rates, strict=True)):
        watch.see(int(step), now)
        sofar = slow_onset(rates[: index + 1], steps[: index + 1], threshold, window)
        np.testing.assert_array_equal(watch.onset, sofar)
    np.testing.assert_array_equal(
        watch.onset, onset(rates, steps, threshold=threshold, window=window)
    )
