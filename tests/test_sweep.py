"""Sweeps as users meet them: the table, its axes, its picture, runs that fail, memory."""

from __future__ import annotations

import json
import sys
import weakref
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sharded
import sim
from refusals import assert_all_refused
from sim.analysis.curves import (
    CurveChoice,
    check_choice,
    curve_table,
    levels_of,
    quantile_curves,
)
from sim.specs.errors import SpecError
from sim.specs.overrides import apply_overrides, read_specs
from sim.sweeps import plan, record
from sim.sweeps.design import Grid
from sim.sweeps.plan import Part, make_plan, shard_runs
from sim.sweeps.record import MOST_CURVE_STEPS, MOST_REPRESENTATIVES, thinned
from sim.sweeps.store import design_pieces
from sim.sweeps.sweep import run_plan, with_first_point
from sim.utils.format import format_levels

SHORT = {"steps": 30}


def swept(**options: Any) -> sim.Sweep:
    return sim.sweep("pipeline", **{"training": SHORT, "engine": "numpy", **options})


# --------------------------------------------------------------------------------------- the table


def test_a_sweep_of_nothing_is_one_run() -> None:
    table = swept()
    alone = sim.simulate("pipeline", training=SHORT, engine="numpy")
    assert len(table.frame) == 1
    assert table.axes == ()
    assert table.frame["reach"].item() == alone.reach.values[-1, 0]
    assert table.to_xarray()["reach"].item() == alone.reach.values[-1, 0]
    assert table.to_xarray().sizes == {"seed": 1}
    with pytest.raises(SpecError, match=r"summary: has no 'reech'; did you mean 'reach'"):
        table.column("summary", "reech")
    assert table.column("summary", "reach") == '"reach"'
    with pytest.raises(SpecError, match="nothing to run"):
        make_plan([])


def test_the_rows_stand_in_the_order_that_the_axes_give() -> None:
    axes = {
        "training.update_rule": ["natural_gradient", "policy_gradient"],
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


def test_the_axes_of_a_full_grid_are_dimensions_named_as_they_were_given() -> None:
    axes = {
        "training.leak": [0.5, 0.0, 0.2],
        "training.update_rule": ["natural_gradient"],
        "agent.awareness": [0],
    }
    table = swept(axes=axes, seeds=[4, 2])
    assert table.axes == ("seed", "training.update_rule", "training.leak", "agent.awareness")
    data = table.to_xarray()
    assert data.sizes == {"seed": 2, "training.update_rule": 1, "training.leak": 3} | {
        "agent.awareness": 1
    }
    for _, row in table.frame.iterrows():
        where = {axis: row[axis] for axis in table.axes}
        assert data["reach"].sel(where).item() == row["reach"]
        onset = data["onset.chat_feedback"].sel(where)
        assert onset.isnull() == pd.isna(row["onset.chat_feedback"])
    diagonal = swept(design=sim.Zip({"training.leak": [0, 1], "agent.awareness": [0, 1]}))
    with pytest.raises(SpecError, match=r"make no full grid; use \.frame"):
        diagonal.to_xarray()


def alone(overrides: dict[str, Any], **options: Any) -> sim.Result:
    """Simulate `copyright` with some settings by dotted key."""
    specs = apply_overrides(read_specs("copyright", training=SHORT, **options), overrides)
    scenario, agent, training, _ = specs
    return sim.simulate(scenario, agent=agent, training=training, engine="numpy")


def assert_like(row: pd.Series, result: sim.Result) -> None:
    """Assert that a row of a table is a run's end, to the bit."""
    last = result.data.isel(step=-1, agent=0)
    for name in ("instrumental_gaming", "conduct", "habit"):
        for context in last["context"].values:
            assert row[f"{name}.{context}"] == last[name].sel(context=context).item(), name
    assert row["deployment_conduct"] == last["deployment_conduct"].item()
    assert row["alignment"] == last["alignment"].item()
    names = zip(last["context"].values, last["response_name"].values, strict=True)
    for c, (context, responses) in enumerate(names):
        for k, response in enumerate(filter(None, responses)):
            column = f"propensity.{context}.{response}"
            assert row.get(column, 0.0) == last["propensity"].values[c, k], column


def test_advantages_methods_and_demonstrations_are_axes() -> None:
    chat = "scenario.contexts.copyright_chat"
    axes = {
        "training.advantages": ["raw", "normalised"],
        f"{chat}.method": ["reinforcement", "demonstration"],
        f"{chat}.demonstrations": [{}, {"respect": 0.25, "disregard": 0.75}],
    }
    table = sim.sweep("copyright", axes=axes, training=SHORT, engine="numpy")
    assert len(table.frame) == 8
    levels = {str(level): level for level in axes[f"{chat}.demonstrations"]}
    for _, row in table.frame.iterrows():
        settings = {key: row[key] for key in axes}
        demonstrated = settings.pop(f"{chat}.demonstrations")
        given = {f"{chat}.demonstrations.{k}": v for k, v in levels[demonstrated].items()}
        assert_like(row, alone(settings | given))
    # Only where it demonstrates does it matter what is demonstrated.
    by_method = table.frame.groupby(["training.advantages", f"{chat}.method"])
    assert by_method["values.copyright"].nunique().tolist() == [2, 1, 2, 1]
    phases = {"curriculum": [{"length": 10}, {"length": 9, "method": {"coding": "reinforcement"}}]}
    key = "scenario.curriculum.1.method.coding"
    scenario = {**sim.Scenario.load("copyright").model_dump(exclude={"agent"}), **phases}
    table = sim.sweep(scenario, axes={key: ["reinforcement", "demonstration"]}, training=SHORT)
    assert table.frame["values.helpfulness"].nunique() == 2


def test_generalisation_foresight_and_propensities_are_columns() -> None:
    """In one program; a 0 stands beside numbers, though alone it needs no row of a propensity."""
    columns = {
        "agent.foresight": [10.0, 2.0, 10.0, 0.0],
        "training.generalisation.habit": [0.0, 0.4, 0.0, 1.0],
        "training.generalisation.propensity": [0.0, 0.3, 0.0, 0.6],
        "training.learning_rate.propensity": [0.0, 0.1, 0.0, 0.2],
        "agent.propensity.coding.stall": [0.0, -0.5, 1.0, 2.0],
        "agent.spread.propensity": [0.0, 0.0, 0.0, 0.5],
    }
    table = sim.sweep("copyright", design=sim.Zip(columns), training=SHORT, engine="numpy")
    assert len(table.described["parts"]) == 1
    for index, row in table.frame.iterrows():
        assert_like(row, alone({key: column[int(index)] for key, column in columns.items()}))
    assert table.frame["propensity.coding.stall"].tolist()[:3:2] == [0.0, 1.0]
    plain = sim.sweep("copyright", training=SHORT, engine="numpy")
    assert not [name for name in plain.frame if name.startswith("propensity")]
    assert not [name for name in table.frame if name.startswith("foreseen_policy")]
    drawn = sim.LatinHypercube({"agent.foresight": (0, 20)}, points=2)
    rows = sim.sweep("copyright", design=drawn, record="curves", training=SHORT)
    curves = rows.query("select * from curves where step = 30 order by run")
    for name in ("instrumental_gaming.copyright_chat", "deployment_conduct"):
        np.testing.assert_allclose(curves[name], rows.frame[name], rtol=1e-6)


def test_levels_that_look_alike_stay_apart() -> None:
    """Scenarios of one name, and None; each row is the run by itself."""
    base = sim.Scenario.load("copyright")
    chat = base.contexts["copyright_chat"]
    coy, open_ = (
        base.replace(contexts={**base.contexts, "copyright_chat": chat.replace(info=info)})
        for info in (0.0, 1.0)
    )
    values = [None, {"copyright": 3.0}]
    axes: dict[str, Any] = {"scenario": [coy, open_], "agent.initial.values": values}
    settings: dict[str, Any] = {"training": {"steps": 20}, "engine": "numpy"}
    table = sim.sweep(base, axes=axes, record="curves", **settings)
    labels = {"scenario": ["copyright", "copyright (2)"], "agent.initial.values": ["None"]}
    labels["agent.initial.values"].append(str(values[1]))
    for axis, named in labels.items():
        assert levels_of(table, axis) == named
        assert list(table.frame.groupby(axis).groups) == named
    rows = zip(product([coy, open_], values), table.frame["value_drift"], strict=True)
    for (scenario, start), drift in rows:
        agent = {} if start is None else {"initial": {"values": start}}
        assert sim.simulate(scenario, agent=agent, **settings).value_drift[-1].item() == drift
    for level in values:
        fixed = {"agent.initial.values": level}
        assert set(quantile_curves(table, ["reach"], fixed=fixed)["runs"]) == {2}


#: Levels, and how they are written.
WRITTEN: list[tuple[list[object], str]] = [
    ([0.1 + 0.2], "0.3"),
    ([-1.0, 5.6e-17, 1.0], "-1 0 1"),
    ([0.0, 1e-10, 2e-10, 5e-10], "0 1e-10 2e-10 5e-10"),
    ([0.123456789, 0.1234568], "0.12345679 0.1234568"),
    ([0.3, 0.1 + 0.2], "0.3 0.30000000000000004"),
    ([0.0, 1e-300, 1.0, 1e300], "0 1e-300 1 1e+300"),
    ([1, 20, "name", None, float("nan"), True], "1 20 name – – True"),
]


def test_different_levels_read_differently() -> None:
    for levels, texts in WRITTEN:
        assert " ".join(format_levels(levels)) == texts


def test_names_that_sql_takes_for_one_are_refused() -> None:
    responses = {"a": {"care": 1}, "b": {"care": -1}}
    context = {"responses": responses, "reward": {"a": 1}}

    def world(**keys: Any) -> dict[str, Any]:
        whole = {"values": ["care"], "contexts": {"chat": context}, **keys}
        return {"human_values": {"care": 1.0}, **whole}

    shouted = {"A": {"care": 1}, **responses}
    bad: list[tuple[list[Any], str]] = [
        ([world(contexts={"Chat": context, "chat": context})], "scenario.contexts: got 'chat' and"),
        ([world(), world(contexts={"CHAT": context}, name="x")], "got 'CHAT' and 'chat': must"),
        ([world(values=["care", "Care"])], "scenario.values: got 'Care' and 'care'"),
        ([world(contexts={"chat": {**context, "responses": shouted}})], "chat.responses: got 'a'"),
    ]
    assert_all_refused(
        (partial(sim.sweep, worlds[0], axes={"scenario": worlds}), words) for worlds, words in bad
    )


def test_the_table_says_what_made_it_and_what_failed(tmp_path: Path) -> None:
    options: dict[str, Any] = {"axes": {"training.learning_rate": [0.01, 1e300]}, "agents": 2}
    table = swept(**options, seeds=[3, 1, 4], store=tmp_path)
    loaded = sim.Sweep.load(tmp_path)
    described = json.loads((tmp_path / "sweep.json").read_text())
    assert loaded.described == table.described == described
    [part] = described["parts"]
    assert [described[key] for key in ("engine", "precision", "record", "runs")] == [
        *("numpy", "float64", "summary"),
        6,
    ]
    assert (part["runs"], part["seeds"], part["agents"]) == (6, [3, 1, 4], 2)
    assert part["scenario"]["name"] == "pipeline"
    assert part["training"]["steps"] == 30
    again = swept(**options, seeds=[3, 1, 4], store=tmp_path)
    assert (table.failed, loaded.failed, again.failed) == (3, 3, 3)
    line = "<sim.Sweep of 'pipeline': 6 runs by training.learning_rate, 3 failed (record=summary)>"
    assert repr(loaded) == line
    either = sim.sweep("copyright", axes={"agent.awareness": [0]}, training={"steps": 1})
    assert " by agent.awareness (" in repr(either)  # as its tables call it


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
    options: dict[str, Any] = {
        "axes": {"training.leak": [0, 1]},
        "agents": 12,
        "agent": {"spread": {"initial": {"habit": 1}}},
    }
    summary, curves, full = (swept(**options, record=r) for r in ("summary", "curves", "full"))
    pd.testing.assert_frame_equal(summary.frame, curves.frame)
    pd.testing.assert_frame_equal(summary.frame, full.frame)
    sql = "select * from curves order by run, step, rank"
    pd.testing.assert_frame_equal(curves.query(sql), full.query(sql))


# ------------------------------------------------------------------------------------- its picture


def test_a_sweep_draws_itself() -> None:
    axes = {"training.leak": [0.0, 0.5], "agent.awareness": [-4.0, 0.0, 2.0]}
    table = swept(axes=axes, record="curves", seeds=2)

    def drawn(*variables: str, **options: Any) -> tuple[tuple[int, int], int, str]:
        figure = table.plot(list(variables), **options)
        rows, columns = figure.axes[0].get_subplotspec().get_gridspec().get_geometry()
        lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) > 2]  # no marks
        return (rows, columns), len(lines), figure.texts[-1].get_text().strip()

    band = "Median and 10–90 % over the agents of {} runs"
    assert drawn() == ((3, 3), 2, band.format(2))  # lines by the first axis, panels by the next
    pooled = band.format(4) + "; pooled over leak (2 levels)"
    assert drawn("reach", lines="agent.awareness") == ((1, 1), 3, pooled)
    panels = {"lines": "agent.awareness", "panels": "training.leak"}
    assert drawn("reach", "alignment", **panels) == ((2, 2), 3, band.format(2))
    fixed = drawn("reach", where={"agent.awareness": 2.0})
    assert fixed == ((1, 1), 2, band.format(2) + "; awareness = 2")
    (_, _, note) = drawn("reach", difference="training.leak", where={"agent.awareness": -4.0})
    assert " ".join(note.split()).endswith("of 2 pairs; awareness = −4")
    refusals: list[tuple[dict[str, Any], str]] = [
        ({"lines": "leak"}, "lines: 'leak' is no axis of this sweep; allowed: agent.awareness, "),
        ({"where": {"leak": 1}}, "where: 'leak' is no axis of this sweep; allowed: agent.awaren"),
        ({"where": {"training.leak": 1}}, "where: got 1: training.leak takes 0.0, 0.5"),
        ({"lines": "training.leak", "where": {"training.leak": 0.5}}, "where: 'training.leak' is"),
        ({"variables": ["reech"]}, "variables: got 'reech': did you mean 'reach'"),
    ]
    for options, words in refusals:
        with pytest.raises(SpecError) as caught:
            table.plot(**options)
        assert words in str(caught.value)
    with pytest.raises(SpecError, match="kept record=summary, which has no curves"):
        swept().plot()


# ------------------------------------------------------------------------------------ failing runs


def reason(**options: Any) -> str | None:
    """Why a run fails by itself, without the number of the agent; none if it does not."""
    try:
        sim.simulate("pipeline", **options)
    except sim.DivergenceError as error:
        return str(error).partition(": ")[2]
    return None


@pytest.mark.parametrize(("engine", "record"), [("numpy", "full"), ("numba", "summary")])
def test_a_run_that_fails_leaves_the_others_alone(engine: str, record: str) -> None:
    rates = [0.05, 1e200, 0.1, 30.0, 0.2, 1e308]
    spread = {"initial": {"habit": 0.5, "values": 0.3}}
    options: dict[str, Any] = {"agent": {"spread": spread}, "agents": 3, "engine": engine}
    key = "training.learning_rate.values"
    # leak: what is infinite for a neighbour must not become nan for a run.
    leaking = {**SHORT, "leak": 0.5}
    table, sound = (
        sim.sweep("pipeline", axes={key: some}, training=leaking, record=record, **options)
        for some in (rates, rates[::2])
    )
    failed = []
    for row in table.frame.to_dict("records"):
        training = {**leaking, "learning_rate": {"values": row[key]}}
        why = reason(training=training, **options)
        assert why == (None if pd.isna(row["error"]) else row["error"])
        if why:
            failed.append(row[key])
            assert all(
                pd.isna(row[name]) for name in {*row} - {"run", "part", "seed", key, "error"}
            )
    assert failed
    assert len(failed) == table.failed
    assert set(failed) <= set(rates[1::2])
    kept = table.frame[~table.frame[key].isin(rates[1::2])].drop(columns=["run", "error"])
    other = sound.frame.drop(columns=["run", "error"])
    pd.testing.assert_frame_equal(kept.reset_index(drop=True), other)
    for name in ("curves", '"full"') if record == "full" else ():
        runs = set(table.query(f"select distinct run from {name}")["run"])
        assert runs == {n for n, rate in enumerate(rates) if rate not in failed}


def test_a_sweep_in_which_every_run_fails() -> None:
    table = swept(axes={"training.learning_rate": [1e300, 1e301]}, record="curves")
    assert table.failed == 2
    assert table.frame["reach"].isna().all()
    assert not len(table.query("select * from curves"))


# ------------------------------------------------------------------------------------------ memory


def test_memory_does_not_grow_with_the_number_of_shards(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of 24 shards, no more are in memory at any time than there are threads, and one."""
    alive: list[weakref.ref[Any]] = []
    counts: list[int] = []

    class Watched(record.ShardRecorder):
        def tables(self) -> dict[str, Any]:
            tables = super().tables()
            alive.extend(map(weakref.ref, (self, *tables.values())))
            counts.append(sum(reference() is not None for reference in alive))
            return tables

    monkeypatch.setattr(record, "ShardRecorder", Watched)
    options: dict[str, Any] = {"training": {"steps": 4}, "record": "full", "engine": "numpy"}
    executor = sim.LocalExecutor(threads=2)
    sharded.swept("copyright", tmp_path, seeds=24 * sharded.AGENTS, executor=executor, **options)
    of_a_shard = 1 + len(("summary", "curves", "full"))
    assert len(alive) == 24 * of_a_shard
    assert max(counts) <= 3 * of_a_shard


# ----------------------------------------------------------------------------------- shards, parts


def part(**options: Any) -> Part:
    specs = read_specs("pipeline", training={"steps": options.pop("steps", 30)})
    design = Grid({"training.leak": np.linspace(0, 1, 1000)})
    return Part(**{"specs": specs, "design": design, "seeds": (0,), **options})


def test_a_shard_is_neither_too_little_work_nor_too_much_memory() -> None:
    for steps in (1, 30, 2000, 100_000, 2**31):
        agents = shard_runs(part(steps=steps), "summary")
        assert plan.MINIMUM_AGENTS <= agents <= plan.MAXIMUM_AGENTS
        assert agents * steps <= plan.AGENT_STEPS or agents == plan.MINIMUM_AGENTS
        kept = shard_runs(part(steps=steps), "full")
        assert kept == 1 or kept * (1 + steps // 10) <= plan.MAXIMUM_RECORDS
    assert shard_runs(part(agents=plan.MAXIMUM_AGENTS * 3), "summary") == 1
    assert shard_runs(part(agents=100), "summary") * 100 <= plan.MAXIMUM_AGENTS


def test_work_grows_with_runs_and_not_with_their_square(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of planning, by seeds and by parts; levels looked at in drawing, by levels."""

    def calls(times: int = 1, **options: Any) -> int:
        count = 0

        def add(*_: object) -> None:
            nonlocal count
            count += 1

        sys.setprofile(add)
        try:
            list(design_pieces(make_plan([part(**options)] * times)))
        finally:
            sys.setprofile(None)
        return count

    looked = 0
    whole = pd.Series.__iter__

    def look(series: pd.Series) -> Any:
        nonlocal looked
        looked += len(series)
        return whole(series)

    monkeypatch.setattr(pd.Series, "__iter__", look)

    def levels(count: int) -> int:
        nonlocal looked
        leak = {"training.leak": np.linspace(0, 1, count)}
        table = sim.sweep("copyright", axes=leak, training={"steps": 2}, record="curves")
        looked = 0
        curve_table(table, check_choice(table, CurveChoice()))
        return looked

    one = Grid({"training.leak": [0.0]})
    for grows in (
        lambda n: calls(seeds=tuple(range(20 * n)), design=one),
        lambda n: calls(times=n, design=one),
        levels,
    ):
        assert grows(200) <= 2.2 * grows(100)


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
    ranks = table.query("select count(distinct rank) as n from curves group by run order by run")
    assert ranks["n"].tolist() == [1, 1, 1, 1, 2]


def test_agents_can_be_an_axis_by_name_as_on_the_command_line() -> None:
    few: dict[str, Any] = {"training": {"steps": 20}, "agents": 3}
    names = ["default", "opportunist"]
    table = sim.sweep("lab_to_deployment", axes={"agent": names}, **few)
    assert list(table.frame["agent"]) == names
    for name, reach in zip(names, table.frame["value_drift"], strict=True):
        run = sim.simulate("lab_to_deployment", agent=name, **few)
        assert reach == run.value_drift.isel(step=-1).median().item()
    with pytest.raises(sim.SpecError, match="agent: is an axis of names, and is given as well"):
        sim.sweep("lab_to_deployment", axes={"agent": names}, agent="default")
