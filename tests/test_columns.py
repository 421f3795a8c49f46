"""Many runs in one program: each is, to the bit, the run that `simulate` gives alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import sim
from sim.dynamics import compile as compiling
from sim.dynamics.columns import NoColumnError, Numbers
from sim.dynamics.compile import compile_program
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.loop import records
from sim.dynamics.observe import VARIABLES
from sim.dynamics.program import Program
from sim.simulation import prepare
from sim.specs.keys import _parts, full_key, is_vectorisable
from sim.specs.overrides import Specs, apply_overrides, read_specs
from sim.sweeps.plan import of_one_agent

ENGINES = ["numpy", "numba"]
#: Where runs differ in what the NumPy engine takes a shared matrix product of, another order of
#: summation is allowed for.
ROUNDING = 1e-12
#: Columns of tables that are no variable.
KEYS = {"run", "step", "agent", "rank", "error", "part", "seed"}

#: Three values, contexts with one, two and three responses, of every kind, with a twin.
WORLD: dict[str, Any] = yaml.safe_load("""
name: everything
values: [a, b, c]
human_values: {a: 1.0, b: -0.5}
contexts:
  two:
    {responses: {x: {a: 1.0, b: 0.2}, y: {a: -0.7, c: 0.4}}, reward: {y: 1.0}, weight: 1.3,
     info: 0.4, scratchpad: 0.6, cue: 0.5, monitor: 0.3, twin: outside}
  three:
    {responses: {x: {a: 0.5}, y: {b: 0.9}, z: {a: -0.2, c: -1.0}},
     reward: {x: -0.3, y: 0.2, z: 0.8}, weight: 0.7, info: 0.8, scratchpad: 0.2, cue: -0.2,
     monitor: 0.1}
  one: {responses: {x: {c: 1.0}}, reward: {x: 0.4}, info: 0.1}
  tested: {responses: {x: {a: 0.4}, y: {b: -0.4}}, reward: {x: 1.0}, kind: red_team, info: 0.2}
  outside:
    {responses: {y: {a: -0.7, c: 0.4}, x: {a: 1.0, b: 0.2}}, reward: {y: 1.0}, kind: deployment,
     info: 0.4, scratchpad: 0.6, cue: -1.5}
similarity: {two: {three: 0.5, one: 0.2}, outside: {two: 0.8}}
""")
#: The same in three phases; in the last a context that was trained on is no more.
PHASES: dict[str, Any] = {
    **WORLD,
    "curriculum": [
        {"length": 6, "weight": {"two": 2.0}, "monitor": {"two": 0.7}},
        {"length": 5, "reward": {"three": {"y": 1.5}}, "monitor": {"three": 0.9}},
        {"length": 5, "weight": {"three": 0.0}, "reward": {"two": {"x": 0.3}}},
    ],
}
AGENT: dict[str, Any] = yaml.safe_load("""
decisiveness: 1.2
initial: {values: {a: 0.8, b: 0.3, c: -0.4}, habit: -0.5, awareness: -0.3}
spread:
  decisiveness: 0.2
  rationality: 0.1
  initial: {values: 0.2, habit: 0.4, awareness: 0.3, capability: 0.2}
""")
TRAINING: dict[str, Any] = yaml.safe_load("""
{steps: 20, motive_credit: 0.8, leak: 0.3, generalisation: {habit: 0.2, propensity: 0.1},
 anchor: 0.01, visible_gaming_penalty: 0.5, learning_rate: 0.1}
""")

SPECS = read_specs(WORLD, agent=AGENT, training=TRAINING)
IN_THREE_PHASES = read_specs(PHASES, agent=AGENT, training=TRAINING)


def run_alone(specs: Specs, row: Mapping[str, Any], **options: Any) -> sim.Result:
    """Simulate what a row of a design states, in a run of its own."""
    overrides = {k: v for k, v in row.items() if k.startswith(("scenario.", "agent.", "training."))}
    changed = apply_overrides(specs, overrides)
    scenario, agent, training, _ = changed
    return sim.simulate(scenario, agent=agent, training=training, seed=int(row["seed"]), **options)


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


def assert_alike(found: np.ndarray, wanted: np.ndarray, *, rounding: float, message: str) -> None:
    if rounding:
        np.testing.assert_allclose(found, wanted, atol=rounding, rtol=rounding, err_msg=message)
    else:
        np.testing.assert_array_equal(found, wanted, err_msg=message)


def level_of(label: object) -> object:
    """Return the level that a label stands for: of None or of a list, as Python writes them."""
    with suppress(SyntaxError, ValueError):
        return ast.literal_eval(label) if isinstance(label, str) else label
    return label


def assert_runs_are_as_alone(
    table: sim.Sweep, specs: Specs, *, rounding: float = 0.0, **options: Any
) -> None:
    """Compare all that a sweep with record="full" stored with runs that are simulated one by one.

    Choices are those of the sweep's parts: what they say of a run as a whole goes before options.
    """
    parts = table.described["parts"]
    full = table.query('select * from "full" order by run, step, agent')
    curves = table.query("select * from curves order by run, step, rank")
    summary = table.query("select * from summary order by run")
    assert summary["error"].isna().all()
    rows = table.query("select * from design order by run").to_dict("records")
    assert summary["run"].tolist() == [row["run"] for row in rows] == list(range(len(rows)))
    compared = set()
    for row in rows:
        choices = {key: level_of(text) for key, text in parts[row["part"]]["chosen"].items()}
        agents = int(choices.pop("agents", options.get("agents", 1)))
        every = int(choices.pop("record_every", options.get("record_every", 10)))
        if "scenario" in choices:
            specs = read_specs(choices.pop("scenario"), training=specs.training)
        own = {**options, "agents": agents, "record_every": every}
        alone = run_alone(specs, {**row, **choices}, **own)
        here, drawn = full[full["run"] == row["run"]], curves[curves["run"] == row["run"]]
        last = summary.loc[row["run"]].to_dict()
        assert here["step"].to_numpy()[::agents].tolist() == [*alone.data["step"].values]
        for name in VARIABLES:
            for column, wanted in flat(alone, name).items():
                found = numbers(here, column).reshape(-1, agents)
                assert_alike(found, wanted, rounding=rounding, message=f"{column} of {row}")
                compared.add(column)
                if column in drawn:
                    ordered = np.sort(found, axis=1).astype(np.float32)
                    ranked = numbers(drawn, column).reshape(-1, agents)
                    np.testing.assert_array_equal(ranked, ordered, err_msg=column)
                if column in last:
                    assert_in_summary(last, column, found[-1])
        for column, wanted in flat(alone, "onset").items():
            assert_in_summary(last, column, wanted)
            assert last[column.replace("onset", "onset_share")] == np.isfinite(wanted).mean()
    assert compared == set(full.columns) - KEYS


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
    steps = [*range(0, program.steps, 4), program.steps]
    seen = [
        {**record.observed, "theta": record.theta.T}
        for record in records(get_engine(engine), program, steps, runs=runs)
    ]
    return {name: np.stack([now[name] for now in seen]) for name in seen[0]}


def check_columns(
    columns: Mapping[str, np.ndarray], *, engine: str, specs: Specs, rounding: float
) -> None:
    """Compare runs side by side in one program with programs of one run."""
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    # With the keys stated, as in a part: one that the scenario leaves out is then there.
    scenario, agent, training, _ = apply_overrides(specs, rows[0])
    together = compile_program(
        scenario,
        agent=agent,
        training=training,
        agents=2,
        seed=[4] * len(rows),
        columns={full_key(key): column for key, column in columns.items()},
    )
    found = history(together, engine=engine, runs=len(rows))
    for run, row in enumerate(rows):
        scenario, agent, training, _ = apply_overrides(specs, row)
        alone = prepare(scenario, agent=agent, training=training, engine=engine, agents=2, seed=4)
        wanted = history(alone.program, engine=engine)
        for name in wanted:
            here = found[name][:, 2 * run : 2 * run + 2]
            assert_alike(here, wanted[name], rounding=rounding, message=f"{name} of {row}")


# ------------------------------------------------------------------------------------- every key


def keys_of(specs: Specs) -> Iterator[tuple[str, bool]]:
    """Yield all dotted keys of a run's specs, those with the user's names too, and if each ends."""

    def below(node: object, path: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
        parts, _ = _parts(node, path, specs.scenario)
        for name, part in parts.items():
            inner = list(below(part, (*path, name)))
            yield ".".join((*path, name)), not inner
            yield from inner

    for root in ("scenario", "agent", "training"):
        yield from below(getattr(specs, root), (root,))


def range_of(specs: Specs, key: str) -> tuple[float, float] | None:
    """Return a range of numbers that a key may have; None if it is no number."""
    small = 0.2 if "learning_rate" in key else 0.02 if key == "training.anchor" else 1.7
    for low, high in ((-0.8, 1.1), (small / 9, small), (0.05, 0.9), (1, 3)):
        try:
            for number in (low, high):
                apply_overrides(specs, {key: number})
        except sim.SpecError:
            continue
        return low, high
    return None


MATRIX = {**PHASES, "similarity": [[1.0] * 5] * 5}
#: A number that three phases replace: nothing depends on it, and it may be a column all the same.
REPLACED = {**MATRIX, "curriculum": [{"length": 9, "weight": {"two": 2.0, "three": 1.0}}]}


@pytest.mark.parametrize("world", [WORLD, PHASES, MATRIX, REPLACED])
def test_what_can_be_a_column_is_what_compiling_reads(
    world: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A property of each key's field, compared with compiling a column for every key there is."""
    agent = {**AGENT, "rationality": [4.0]}
    specs = read_specs(world, agent=agent, training=TRAINING)
    monkeypatch.setattr(compiling, "is_vectorisable", lambda key: False)
    dead, counts = [], {True: 0, False: 0}
    for key, _ in keys_of(specs):
        numbers = range_of(specs, key)
        if numbers is None:
            continue
        scenario, own, training, _ = of_one_agent(apply_overrides(specs, {key: numbers[1]}))
        given: dict[str, Any] = {"agent": own, "training": training, "agents": 1, "seed": 0}
        try:
            compile_program(scenario, **given, columns={key: [numbers[1]]})
            is_read = True
        except NoColumnError:
            is_read = False
        if is_vectorisable(key) and not is_read:
            dead.append(key)
        else:
            assert is_vectorisable(key) == is_read, key
        counts[is_read] += 1
    assert counts[True] > 120
    assert counts[False] >= 7
    replaced = [f"scenario.contexts.{name}.weight" for name in ("two", "three")]
    assert dead == (replaced if world is REPLACED else [])
    assert is_vectorisable("agent.awareness")
    for key in ("agents", "seed", "leak", "training", "training.leek", "interventions.0.set"):
        assert not is_vectorisable(key)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["numbers", "products", "groups"])
def test_every_key_of_a_column_gives_each_run(engine: str, kind: str) -> None:
    """All keys vary at once; to the bit, but where runs differ in factors of matrix products."""
    specs = IN_THREE_PHASES
    drawn, columns = np.random.default_rng(8), {}
    for key, ends in keys_of(specs):
        in_products = {"responses", "reward", "similarity"} & {*key.split(".")}
        numbers = range_of(specs, key) if is_vectorisable(key) else None
        if numbers and ends == (kind != "groups") and (kind == "products" or not in_products):
            columns[key] = drawn.uniform(*numbers, 3)
    if kind == "groups":
        assert {"agent.initial.habit", "training.transfer"} < {*columns}
    else:
        assert len(columns) > (120 if kind == "products" else 80)
    rounding = 1e-10 if kind == "products" else 0.0
    check_columns(columns, engine=engine, specs=specs, rounding=rounding)


@pytest.mark.parametrize("engine", ENGINES)
def test_axes_of_shared_products_give_each_run(engine: str) -> None:
    """One at a time: the best response changes, and ties; of the response that serves as origin."""
    for key, values in {
        "scenario.contexts.three.responses.x.a": [-0.8, 1.1],
        "scenario.contexts.three.reward.z": [0.8, 0.2, -1.0],
        "scenario.contexts.two.reward.x": [-0.8, 1.1],
        "scenario.similarity.three.two": [0.0, 0.9],
    }.items():
        check_columns({key: np.array(values)}, engine=engine, specs=SPECS, rounding=ROUNDING)


@pytest.mark.parametrize(
    ("engine", "rule"), [("numpy", "policy_gradient"), ("numba", "natural_gradient")]
)
def test_a_sweep_stores_each_run_as_it_is_alone(engine: str, rule: str) -> None:
    ranges = {
        "training.leak": (0.0, 0.9),
        "training.learning_rate": (0.01, 0.2),
        "agent.habit": (-1.0, 1.0),
        "agent.spread.rationality": (0.0, 0.5),
        "scenario.contexts.two.reward.y": (0.5, 1.5),
        "scenario.curriculum.0.weight.two": (0.2, 2.0),
    }
    given: dict[str, Any] = {"agent": AGENT, "training": {**TRAINING, "update_rule": rule}}
    common: dict[str, Any] = {"agents": 3, "record_every": 5, "engine": engine}
    design = sim.LatinHypercube(ranges, points=3, seed=2)
    table = sim.sweep(PHASES, design=design, seeds=[7, 1], record="full", **given, **common)
    assert len(table.query("select * from design")) == 6
    assert_runs_are_as_alone(table, read_specs(PHASES, **given), rounding=1e-10, **common)


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
def test_sums_over_many_have_the_order_that_they_have_alone(engine: str) -> None:
    """NumPy sums eight numbers and more in pairs where they lie side by side, and else in order."""
    agent = {"initial": {"values": {f"v{d}": np.sin(d) for d in range(9)}, "habit": -0.5}}
    specs = read_specs(WIDE, agent=agent, training={"steps": 6})
    for key, values in {
        "scenario.contexts.c3.weight": [0.3, 0.7],
        "scenario.human_values.v2": [0.3, 1.3, 0.7],
        "training.leak": [0.0, 0.3],
    }.items():
        check_columns({key: np.array(values)}, engine=engine, specs=specs, rounding=0.0)


# ------------------------------------------------------------------------ structural axes and more


@pytest.mark.parametrize(
    ("key", "values", "engine"),
    [
        ("training.steps", [7, 20, 13], "numpy"),
        ("training.update_rule", ["natural_gradient", "policy_gradient"], "numba"),
        ("training.estimator", ["exact", "sampled"], "numpy"),
        ("scenario.curriculum.0.length", [2, 9], "numba"),
        ("scenario.contexts.tested.kind", ["evaluation", "training"], "numpy"),
        ("scenario.contexts.two.twin", [None, "outside"], "numpy"),
        ("agent.decisiveness", [[0.5, 2.0], [1.0, 0.1]], "numpy"),
        ("training.selection.every", [0, 5], "numpy"),
    ],
)
def test_an_axis_of_choices_gives_each_run_to_the_bit(key: str, values: list, engine: str) -> None:
    given: dict[str, Any] = {"agent": AGENT, "training": TRAINING}
    common: dict[str, Any] = {"agents": 2, "record_every": 8, "engine": engine}
    axes = {key: values, "training.leak": [0.1]}
    table = sim.sweep(PHASES, axes=axes, record="full", **given, **common)
    assert len(table.described["parts"]) == len(table.frame) == len(values)
    assert_runs_are_as_alone(table, read_specs(PHASES, **given), **common)


def test_scenario_agents_and_record_every_are_axes() -> None:
    axes = {"scenario": ["scratchpad", "copyright"], "agents": [1, 3], "record_every": [5, 8]}
    given: dict[str, Any] = {"training": {"steps": 16}, "engine": "numpy"}
    table = sim.sweep(
        "employee_assistant", axes={**axes, "agent.awareness": [0.0]}, record="full", **given
    )
    assert table.axes == ("scenario", "agents", "record_every", "agent.awareness")
    assert len(table.frame) == 8
    specs = read_specs("employee_assistant", training={"steps": 16})
    assert_runs_are_as_alone(table, specs, engine="numpy")


@pytest.mark.parametrize(
    ("training", "engine"),
    [
        ({"estimator": "sampled", "episodes": 5}, "numpy"),
        ({"selection": {"every": 6, "episodes": 4, "keep": 0.4}}, "numba"),
        (
            {"estimator": "sampled", "update_rule": "natural_gradient", "selection": {"every": 7}},
            "numpy",
        ),
    ],
)
def test_draws_and_selection_of_a_run_are_its_own(training: dict, engine: str) -> None:
    given: dict[str, Any] = {"agent": AGENT, "training": {**TRAINING, **training}}
    common: dict[str, Any] = {"agents": 5, "record_every": 8, "engine": engine}
    axes = {"scenario.contexts.two.weight": [0.0, 1.0]}
    table = sim.sweep(PHASES, axes=axes, seeds=[3, 2**64 - 1], record="full", **given, **common)
    assert_runs_are_as_alone(table, read_specs(PHASES, **given), **common)
    if "selection" in training:
        ancestors = table.query('select distinct ancestor from "full" where step = 20')
        assert 1 < len(ancestors) <= 5


def test_lists_for_agents_and_human_values_go_with_columns() -> None:
    """A list holds in every run; where an agent starts from human values, their axis moves it."""
    given: dict[str, Any] = {"agent": {**AGENT, "rationality": [1.0, 4.0]}, "training": TRAINING}
    common: dict[str, Any] = {"record": "full", "engine": "numpy"}
    axes = {"training.leak": [0.0, 0.4], "scenario.contexts.two.weight": [0.5, 2.0]}
    table = sim.sweep(WORLD, axes=axes, agents=2, **common, **given)
    assert_runs_are_as_alone(table, read_specs(WORLD, **given), agents=2, engine="numpy")
    axes = {"scenario.human_values.a": [0.5, 2.0]}
    given = {"agent": {"initial": {"habit": -0.5}}, "training": TRAINING}
    table = sim.sweep(WORLD, axes=axes, **common, **given)
    assert_runs_are_as_alone(table, read_specs(WORLD, **given), agents=1, engine="numpy")
    start = table.query('select "values.a" as v from "full" where step = 0 order by run')
    assert start["v"].tolist() == [0.5, 2.0]
    # With an axis of its own for one value, the others would stay with the first human values.
    axes |= {"agent.values.b": [0.1, 0.2]}
    with pytest.raises(sim.SpecError, match=r"agent\.initial\.values\.a: .*human_values"):
        sim.sweep(WORLD, axes=axes, training=TRAINING, engine="numpy")
    axes["agent.values.a"] = [1.0]
    table = sim.sweep(WORLD, axes=axes, training=TRAINING, **common)
    specs = read_specs(WORLD, training=TRAINING)
    assert_runs_are_as_alone(table, specs, agents=1, engine="numpy")


def test_neighbours_in_a_program_change_nothing() -> None:
    """A run has the same bits however many others stand beside it."""
    leaks = np.linspace(0.0, 1.0, 17)
    scenario, agent, training, _ = IN_THREE_PHASES

    def final(size: int) -> np.ndarray:
        columns = dict.fromkeys(("training.leak", "agent.initial.awareness"), leaks[:size])
        given: dict[str, Any] = {"agent": agent, "training": training, "agents": 2}
        program = compile_program(scenario, **given, seed=np.arange(size), columns=columns)
        return get_engine("numpy").trajectory(program, [20])[0]

    for size in (1, 3, 16):
        np.testing.assert_array_equal(final(size), final(17)[:, : 2 * size])


# -------------------------------------------------------------------------------------- the numbers


def test_a_number_is_its_column_or_that_of_what_is_above_it_or_what_is_stated() -> None:
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


def test_a_column_that_nothing_reads_is_refused() -> None:
    scenario, agent, training, _ = SPECS
    given: dict[str, Any] = {"agent": agent, "training": training, "agents": 1, "seed": 0}
    for key in ("training.steps", "training.selection.keep", "training.leek", "leak"):
        with pytest.raises(NoColumnError, match=key):
            compile_program(scenario, **given, columns={key: [1.0]})
    assert issubclass(NoColumnError, sim.SpecError)
