"""Sweeps as users meet them: the table, its axes, runs that fail, memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sim
from sim.specs.errors import SpecError
from sim.specs.keys import is_vectorisable
from sim.sweeps import plan
from sim.sweeps.design import Grid
from sim.sweeps.plan import Part, make_plan, shard_runs
from sim.sweeps.record import MOST_CURVE_STEPS, MOST_REPRESENTATIVES, thinned
from sim.sweeps.sweep import run_plan, with_first_point

ENGINES = ["numpy", "numba"]
SHORT = {"steps": 30}


def swept(**given: Any) -> sim.Sweep:
    return sim.sweep("pipeline", **{"training": SHORT, "engine": "numpy", **given})


# --------------------------------------------------------------------------------------- the table


def test_a_sweep_of_nothing_is_one_run() -> None:
    table = swept()
    alone = sim.simulate("pipeline", training=SHORT, engine="numpy")
    assert len(table.frame) == 1
    assert table.axes == ()
    assert table.frame["reach"].item() == alone.reach.values[-1, 0]
    assert table.to_xarray()["reach"].item() == alone.reach.values[-1, 0]
    assert table.to_xarray().sizes == {"seed": 1}


def test_the_rows_stand_in_the_order_that_the_axes_give() -> None:
    axes = {
        "training.update_rule": ["replicator", "policy_gradient"],
        "training.leak": [0.5, 0.0],
        "training.steps": [5, 3],
        "agent.awareness": [1.0, -1.0],
    }
    frame = swept(axes=axes, seeds=[7, 2]).frame
    assert frame["run"].tolist() == list(range(32))
    # Choices first, each a part; then the numbers, the last fastest; then the seeds.
    keys = ["training.update_rule", "training.steps", "training.leak", "agent.awareness", "seed"]
    levels = [axes[key] for key in keys[:-1]] + [[7, 2]]
    wanted = pd.MultiIndex.from_product(levels).to_frame().to_numpy().tolist()
    assert frame[keys].to_numpy().tolist() == wanted
    assert frame["part"].tolist() == np.repeat(range(4), 8).tolist()


def test_axes_are_named_as_they_were_given() -> None:
    table = swept(axes={"agent.awareness": [0, 1], "agent.initial.log_horizon": [1]}, seeds=2)
    assert table.axes == ("seed", "agent.awareness", "agent.initial.log_horizon")
    assert swept(axes={"agents": [1, 2]}).axes == ("agents",)


def test_a_full_grid_is_an_array() -> None:
    axes = {"training.leak": [0.5, 0.0, 0.2], "training.update_rule": ["replicator"]}
    table = swept(axes=axes, seeds=[4, 2])
    data = table.to_xarray()
    assert dict(data.sizes) == {"seed": 2, "training.update_rule": 1, "training.leak": 3}
    for _, row in table.frame.iterrows():
        where = {axis: row[axis] for axis in table.axes}
        assert data["reach"].sel(where).item() == row["reach"]
        assert data["onset.chat_feedback"].sel(where).isnull() == pd.isna(
            row["onset.chat_feedback"]
        )


def test_what_is_no_full_grid_is_no_array() -> None:
    table = swept(design=sim.Zip({"training.leak": [0, 1], "agent.awareness": [0, 1]}))
    with pytest.raises(SpecError, match=r"make no full grid; use \.frame"):
        table.to_xarray()


def test_the_table_says_what_made_it(tmp_path: Path) -> None:
    table = swept(axes={"training.leak": [0, 1]}, seeds=[3, 1], agents=2, store=tmp_path)
    told = sim.Sweep.load(tmp_path).described
    assert told == table.described == json.loads((tmp_path / "sweep.json").read_text())
    [part] = told["parts"]
    assert (told["engine"], told["precision"], told["record"]) == ("numpy", "float64", "summary")
    assert (part["runs"], part["seeds"], part["agents"]) == (4, [3, 1], 2)
    assert part["scenario"]["name"] == "pipeline"
    assert part["training"]["steps"] == 30
    assert told["runs"] == 4


def test_a_column_that_is_not_there_names_the_nearest() -> None:
    table = swept()
    with pytest.raises(SpecError, match=r"summary: has no 'reech'; did you mean 'reach'"):
        table.column("summary", "reech")
    assert table.column("summary", "reach") == '"reach"'


def test_a_loaded_sweep_knows_what_failed(tmp_path: Path) -> None:
    given: dict[str, Any] = {"axes": {"training.learning_rate": [0.01, 1e300]}, "seeds": 3}
    assert swept(**given, store=tmp_path).failed == 3
    assert sim.Sweep.load(tmp_path).failed == 3
    assert swept(**given, store=tmp_path).failed == 3


@pytest.mark.parametrize(("agents", "steps"), [(9, 101), (30, 102), (1, 250)])
def test_curves_have_at_most_nine_representatives_and_101_steps(agents: int, steps: int) -> None:
    table = swept(training={"steps": steps - 1}, agents=agents, record_every=1, record="curves")
    found = table.query("select step, rank, reach from curves order by step, rank")
    seen = found["step"].unique().tolist()
    assert seen == thinned(range(steps))
    assert (seen[0], seen[-1], len(seen)) == (0, steps - 1, min(steps, MOST_CURVE_STEPS))
    assert np.diff(seen).max() <= np.ceil((steps - 1) / 100)
    assert found["rank"].unique().tolist() == list(range(min(agents, MOST_REPRESENTATIVES)))


def test_curves_and_summary_do_not_depend_on_what_else_is_kept() -> None:
    given: dict[str, Any] = {
        "axes": {"training.leak": [0, 1]},
        "agents": 12,
        "agent": {"spread": {"initial": {"habit": 1}}},
    }
    summary, curves, full = (swept(**given, record=r) for r in ("summary", "curves", "full"))
    pd.testing.assert_frame_equal(summary.frame, curves.frame)
    pd.testing.assert_frame_equal(summary.frame, full.frame)
    asked = "select * from curves order by run, step, rank"
    pd.testing.assert_frame_equal(curves.query(asked), full.query(asked))


# ------------------------------------------------------------------------------------ failing runs


def reason(*given: Any, **more: Any) -> str | None:
    """Why a run fails by itself, without the number of the agent; none if it does not."""
    try:
        sim.simulate(*given, **more)
    except sim.DivergenceError as error:
        return str(error).partition(": ")[2]
    return None


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("record", ["summary", "full"])
def test_a_run_that_fails_leaves_the_others_alone(engine: str, record: str) -> None:
    rates = [0.05, 1e200, 0.1, 30.0, 0.2, 1e308]
    spread = {"initial": {"habit": 0.5, "values": 0.3}}
    given: dict[str, Any] = {"agent": {"spread": spread}, "agents": 3, "engine": engine}
    key = "training.learning_rate.values"
    # leak: what is infinite for a neighbour must not become nan for a run.
    table = sim.sweep(
        "pipeline", axes={key: rates}, training={**SHORT, "leak": 0.5}, record=record, **given
    )
    sound = sim.sweep(
        "pipeline", axes={key: rates[::2]}, training={**SHORT, "leak": 0.5}, record=record, **given
    )
    failed = []
    for row in table.frame.to_dict("records"):
        training = {**SHORT, "leak": 0.5, "learning_rate": {"values": row[key]}}
        why = reason("pipeline", training=training, **given)
        assert why == (None if pd.isna(row["error"]) else row["error"])
        if why:
            failed.append(row[key])
            measures = set(row) - {"run", "part", "seed", key, "error"}
            assert all(pd.isna(row[name]) for name in measures)
    assert failed
    assert len(failed) == table.failed
    assert set(failed) <= set(rates[1::2])
    kept = table.frame[~table.frame[key].isin(rates[1::2])].drop(columns=["run", "error"])
    other = sound.frame.drop(columns=["run", "error"])
    pd.testing.assert_frame_equal(kept.reset_index(drop=True), other)
    if record == "full":
        for name in ("curves", '"full"'):
            runs = set(table.query(f"select distinct run from {name}")["run"])
            assert runs == {n for n, rate in enumerate(rates) if rate not in failed}


def test_a_sweep_in_which_every_run_fails() -> None:
    axes = {"training.learning_rate": [1e300, 1e301]}
    table = swept(axes=axes, record="curves")
    assert table.failed == 2
    assert table.frame["reach"].isna().all()
    assert not len(table.query("select * from curves"))


# ------------------------------------------------------------------------------------------ memory

MEASURED = """
import resource, sys
import sim
from sim.sweeps import plan
record, runs = sys.argv[1], int(sys.argv[2])
plan.MAXIMUM_AGENTS = plan.MINIMUM_AGENTS = runs
def run(shards):
    sim.sweep(
        "pipeline",
        seeds=runs * shards,
        training={"steps": 4},
        record=record,
        record_every=1,
        executor=sim.LocalExecutor(threads=2),
        engine="numpy",
    )
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
run(4)
run(10)
run(40)
"""


@pytest.mark.parametrize(("record", "runs"), [("summary", 1024), ("full", 128)])
def test_memory_does_not_grow_with_the_number_of_shards(record: str, runs: int) -> None:
    """40 shards need, but for some MiB, no more than 10 (the system tells KiB)."""
    said = subprocess.run(
        [sys.executable, "-c", MEASURED, record, str(runs)],
        capture_output=True,
        text=True,
        check=True,
    )
    _, few, many = map(int, said.stdout.split())
    assert many - few < 8 * 1024


# ----------------------------------------------------------------------------------- shards, parts


def part(**given: Any) -> Part:
    specs = sim.specs.overrides.read_specs("pipeline", training={"steps": given.pop("steps", 30)})
    design = Grid({"training.leak": np.linspace(0, 1, 1000)})
    return Part(**{"specs": specs, "design": design, "seeds": (0,), **given})


def test_a_shard_is_neither_too_little_work_nor_too_much_memory() -> None:
    for steps in (1, 30, 2000, 100_000, 2**31):
        agents = shard_runs(part(steps=steps), "summary")
        assert plan.MINIMUM_AGENTS <= agents <= plan.MAXIMUM_AGENTS
        assert agents * steps <= plan.AGENT_STEPS or agents == plan.MINIMUM_AGENTS
        kept = shard_runs(part(steps=steps), "full")
        records = 1 + steps // 10
        assert kept == 1 or kept * records <= plan.MAXIMUM_RECORDS
    assert shard_runs(part(agents=plan.MAXIMUM_AGENTS * 3), "summary") == 1
    assert shard_runs(part(agents=100), "summary") * 100 <= plan.MAXIMUM_AGENTS


def test_parts_need_not_be_alike() -> None:
    """Of several parts, each has its own design and seeds; the table has all columns."""
    specs = part().specs
    first, second = Grid({"training.leak": [0.0, 1.0]}), Grid({"agent.awareness": [1.0]})
    parts = [
        Part(with_first_point(specs, first), first, (0, 1), choices={"what": "leak"}),
        Part(with_first_point(specs, second), second, (5,), agents=2, choices={"what": "aware"}),
    ]
    table = run_plan(make_plan(parts, record="curves", engine="numpy"))
    frame = table.frame
    assert frame["what"].tolist() == ["leak"] * 4 + ["aware"]
    assert frame["training.leak"].isna().tolist() == [False] * 4 + [True]
    assert frame["agent.awareness"].tolist()[-1] == 1.0
    assert frame["seed"].tolist() == [0, 1, 0, 1, 5]
    assert frame["part"].tolist() == [0, 0, 0, 0, 1]
    ranks = table.query(
        "select run, count(distinct rank) as n from curves group by run order by run"
    )
    assert ranks["n"].tolist() == [1, 1, 1, 1, 2]


def test_what_stands_in_a_column() -> None:
    for key in (
        "training.leak",
        "agent.habit.chat_feedback",
        "scenario.contexts.chat_feedback.cue",
    ):
        assert is_vectorisable(key)
    for key in ("training.steps", "training.episodes", "training.selection.every"):
        assert not is_vectorisable(key)
    assert not is_vectorisable("training.selection.keep")
    assert not is_vectorisable("training.leek")


def test_there_must_be_something_to_run() -> None:
    with pytest.raises(SpecError, match="nothing to run"):
        make_plan([])
