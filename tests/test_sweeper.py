"""Hydra sweeps as array programs: the same runs as one by one, refusals, resuming, Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode

import sim
import sim.cli.curves
import sim.cli.outputs
from commands import Call, Left, assert_refused, command, ended, start
from hydra_plugins.array_sweeper import SETTINGS
from sim.cli import application, console
from sim.cli.errors import explain
from sim.cli.keys import CONFIGS
from sim.cli.sweeper import plan_sweep
from sim.specs.errors import SpecError
from sim.sweeps.plan import Plan
from sim.sweeps.result import Sweep
from sim.sweeps.store import design_pieces

NUMPY = "engine=numpy"
FEW = (NUMPY, "training.steps=20", "agents=3")


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes the time of a small run."""

    def leave_out(path: Path, figure: object) -> list[Path]:
        return [path.with_suffix(".png")]

    monkeypatch.setattr(sim.cli.outputs, "write_figure", leave_out)
    monkeypatch.setattr(sim.cli.curves, "write_figure", leave_out)


pytestmark = pytest.mark.usefixtures("no_figures")


def directory_of(left: Left, root: str = "outputs/emergence-sweep") -> Path:
    (directory,) = (left.folder / root).iterdir()
    return directory


def sweep_of(left: Left, root: str = "outputs/emergence-sweep") -> Sweep:
    assert left.status == 0, left.stderr
    return Sweep.load(directory_of(left, root))


def stamps(directory: Path) -> dict[str, tuple[int, int]]:
    """Return what shows that a file was written again, of all that takes time to make."""
    return {
        str(path.relative_to(directory)): (path.stat().st_mtime_ns, path.stat().st_ino)
        for path in directory.rglob("*")
        if path.is_file() and path.name not in ("design.parquet", "curves.csv")
    }


def tables(directory: Path) -> dict[str, bytes]:
    """Return everything that a sweep computed."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for folder in ("summary", "curves", "full", "shards")
        for path in (directory / folder).rglob("*")
    }


# ----------------------------------------------------------- the same runs as from the command line


def expected_row(left: Left) -> dict[str, float]:
    """Return the numbers of a single run's summary.json, by the names of a sweep's columns."""
    told, found = left.json("summary.json"), {}

    def put(name: str, band: dict[str, float] | None) -> None:
        for suffix, key in (("", "median"), (".low", "low"), (".high", "high")):
            value = None if band is None else band[key]
            found[name + suffix] = np.nan if value is None else value

    for context, numbers in told["contexts"].items():
        put(f"gaming_rate.{context}", numbers["gaming_rate_end"])
        put(f"compliance_gap.{context}", numbers["compliance_gap_end"])
        put(f"behaviour_shift.{context}", numbers["behaviour_shift_end"])
        put(f"onset.{context}", numbers["onset"])
        found[f"onset_share.{context}"] = numbers["onset"]["share_of_agents"]
    for value, numbers in told["values"].items():
        put(f"values.{value}", numbers["end"])
    for name, band in told["agents"].items():
        put(name, band)
    return found


def assert_same_curves(sweep: Sweep, run: int, single: Left) -> None:
    """Compare a run's curves with result.nc: few agents and steps are kept as they are."""
    data = sim.Result.load(single.only("result.nc")).data
    rows = sweep.query("select * from curves where run = ? order by step, rank", [run])
    assert sorted(set(rows["step"])) == list(data["step"].values)
    columns = {"reach": data["reach"].values} | {
        f"gaming_rate.{name}": data["gaming_rate"].sel(context=name).values
        for name in data["context"].values
    }
    for name, values in columns.items():
        seen = rows[name].to_numpy().reshape(values.shape)
        np.testing.assert_array_equal(seen, np.sort(values, axis=1).astype(np.float32))


#: Axes (parted by blanks, as choices), and settings of all runs. Those with * are slow.
SAME: dict[str, tuple[str, str]] = {
    "several": (
        "agent.initial.awareness=-4,2 training.leak=0,0.2 scenario=copyright,scratchpad seed=0,3",
        "",
    ),
    "habit*": (
        "agent.initial.habit.coding=-5,1",
        "agent.initial.habit={copyright_chat:-1} agent.initial.awareness=0",
    ),
    "context*": (
        "scenario.contexts.copyright_chat.info=0,0.7 +scenario.contexts.coding.monitor=0,0.5",
        "scenario.contexts.coding.weight=2 training.visible_gaming_penalty=0.5 seed=4",
    ),
    "plus*": (
        "+training.leak=0,0.3 ++training.generalisation.habit=0,0.1",
        "~training.leak ++training.anchor=0.1",
    ),
    "rates*": (
        "training.update_rule=policy_gradient,natural_gradient training.learning_rate=0.01,0.3",
        "agent.initial.awareness=2",
    ),
    "run*": ("training.steps=7,20 agents=2,5 record_every=5,3", ""),
    "sampled": (
        "training.episodes=4,8 training.selection.keep=0.5,0.7",
        "training.estimator=sampled training.selection.every=5 agents=4 seed=1",
    ),
    "linked": (
        "training.leak=0,0.2 seed=1,2 scenario.contexts.coding.info=0,0.7",
        "training.anchor=${.leak} agents=${oc.select:seed} scenario.name=s${seed} "
        "+scenario.contexts.extra=${scenario.contexts.coding}",
    ),
    "merged": (
        "training.leak=0,0.3 agent.initial.values={helpfulness:2},{helpfulness:1}",
        "agent.initial.values={copyright:3}",
    ),
    "agent": (
        "agent.initial.values.copyright=0,1.5 agent.decisiveness=1,3 agent.spread.rationality=0,2",
        "agent.initial.values.helpfulness=0.5",
    ),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] if n.endswith("*") else []) for n in SAME],
)
def test_a_run_of_a_sweep_is_the_run_with_its_settings(call: Call, name: str) -> None:
    swept, fixed = (text.split() for text in SAME[name])
    axes = {axis.split("=")[0]: axis.split("=")[1].split(",") for axis in swept}
    few = [setting for setting in FEW if setting.split("=")[0] not in {*axes, *keys_of(fixed)}]
    choices = [f"{key}=choice({','.join(values)})" for key, values in axes.items()]
    sweep = sweep_of(call("-m", *few, *fixed, *choices))
    frame = sweep.frame
    combinations = list(product(*axes.values()))
    assert len(frame) == len(combinations)
    # The first and the last differ in everything.
    for values in {combinations[0], combinations[-1]} if len(axes) > 3 else {combinations[-1]}:
        settings = [f"{key}={value}" for key, value in zip(axes, values, strict=True)]
        place = f"single-{combinations.index(values)}"
        single = call(*few, *fixed, *settings, f"hydra.run.dir={place}")
        assert single.status == 0, single.stderr
        single = replace(single, folder=single.folder / place)
        here = np.ones(len(frame), bool)
        for key, value in zip(axes, values, strict=True):
            here &= [same_level(level, value) for level in frame[key.lstrip("+")]]
        (row,) = frame[here].to_dict("records")
        expected = expected_row(single)
        np.testing.assert_equal({name: row[name] for name in expected}, expected)
        assert_same_curves(sweep, row["run"], single)


def keys_of(settings: Sequence[str]) -> set[str]:
    return {setting.split("=")[0] for setting in settings}


def same_level(level: object, text: str) -> bool:
    if isinstance(level, str):
        return level.replace(" ", "").replace("'", "") == text
    return float(text) == level


def test_a_sweep_has_one_directory_with_a_file_for_each_shard_and_the_figure(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    left = call("-m", *FEW, "scenario=copyright,scratchpad", "seed=range(2)")
    directory = directory_of(left)
    assert re.fullmatch(r"copyright\+scratchpad-[0-9a-f]{8}", directory.name)
    assert [path for path in left.files() if directory not in path.parents] == []
    top = {path.name for path in directory.iterdir() if path.is_file()}
    assert top == {"sweep.json", "design.parquet", "curves.csv", "curves.png", "curves.svg"}
    kept = {path.name for path in directory.iterdir() if path.is_dir()}
    assert kept == {"shards", "summary", "curves"}
    assert all(len(list((directory / folder).iterdir())) == 2 for folder in kept)
    last = left.stdout.splitlines()[-1]
    assert last == f"figure: {directory.relative_to(left.folder) / 'curves.png'}"
    description = json.loads((directory / "sweep.json").read_text())
    overrides = [*FEW, "scenario=copyright,scratchpad", "seed=range(2)"]
    assert description["asked_for"]["overrides"] == overrides
    for record, count in (("summary", 1), ("full", 3)):
        left = call("-m", *FEW, f"record={record}", "training.leak=0", f"hydra.sweep.dir={record}")
        folders = [path for path in directory_of(left, record).iterdir() if path.is_dir()]
        assert len(folders) == 1 + count
        assert ("figure: " in left.stdout) == (record != "summary")


def test_stdout_is_the_result_and_stderr_the_progress(call: Call) -> None:
    """The table has medians by level, and takes levels together where there are many."""
    left = call("-m", *FEW, "agent.initial.awareness=-4,3", "seed=range(3)", "record=summary")
    frame = sweep_of(left).frame
    assert frame["gaming_rate.copyright_chat"].nunique() == len(frame) == 6
    assert "Taken together: seed." in " ".join(left.stdout.split())
    # Of one shard there is no rate to tell the time left from.
    for words in ("shard", "%", "numbers and data"):
        assert words not in left.stdout
        assert words in left.stderr
    assert "6 runs in 1 shard, engine numpy, in outputs/emergence-sweep/copyright-" in left.stderr
    assert "100%" in left.stderr
    by_level = frame.groupby("agent.initial.awareness")["deployment_conduct"].median()
    for level, conduct in by_level.items():
        row = next(line for line in left.stdout.splitlines() if f"│ {level:g} " in line)
        assert f" {conduct:.2f} " in row
        assert " 3 " in row
    axes = ("agent.initial.awareness=range(5)", "training.leak=range(0,0.6,0.1)")
    many = call("-m", *FEW, *axes, "record=summary", "hydra.sweep.dir=many")
    assert "runs: 30" in many.stdout
    assert "Taken together: leak." in " ".join(many.stdout.split())


# ------------------------------------------------------------------------ what values can be given

Planner = Callable[..., Plan]


@pytest.fixture(scope="module")
def planned() -> Planner:
    """Plan the sweep of overrides, without the command around it."""
    application.open_sections()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration("emergence", overrides=[], run_mode=RunMode.MULTIRUN)
    default = {key: SETTINGS[key] for key in SETTINGS if key not in ("_target_", "max_batch_size")}

    def plan(*overrides: str) -> Plan:
        settings, task = dict(default), []
        for override in overrides:
            key, _, value = override.partition("=")
            if "hydra.sweeper." in key:
                settings[key.rpartition(".")[2]] = yaml.safe_load(value)
            else:
                task.append(override)
        few = [setting for setting in FEW if setting.split("=")[0] not in keys_of(task)]
        return plan_sweep([*few, *task], config=config, loader=loader, settings=settings)[0]

    return plan


def design_of(plan: Plan) -> pd.DataFrame:
    return pa.concat_tables(design_pieces(plan)).to_pandas()


#: Overrides, and the levels of the last that they give.
VALUES: dict[str, list[Any]] = {
    "training.leak=choice(0.3,0.1)": [0.3, 0.1],
    "training.leak=range(0,0.3,0.1)": [0, 0.1, 0.2],
    "training.leak=sort(0.1,0.3,reverse=true)": [0.3, 0.1],
    "training.leak=tag(mine,choice(0,1))": [0, 1],
    "training.leak=0.3 training.leak=0,0.2": [0, 0.2],  # as everywhere in Hydra, the later holds
    "seed=1,2 seed=5": [5],
    "seed=range(3)": [0, 1, 2],
    "seed=5,2": [5, 2],
    "agents=range(1,3)": [1, 2],
    "scenario=glob(s*)": ["scratchpad"],
    "scenario=glob([c*,r*])": ["copyright", "reward_seeker"],
    "training.advantages='raw',\"normalised\"": ["raw", "normalised"],
}


def test_values_are_given_in_every_way_that_hydra_has(planned: Planner) -> None:
    for overrides, levels in VALUES.items():
        plan = planned(*overrides.split(" "))
        frame, key = design_of(plan), overrides.split(" ")[-1].split("=")[0]
        assert len(frame) == len(levels)
        if key in frame:
            assert list(dict.fromkeys(frame[key])) == pytest.approx(levels)
        else:
            assert [part.specs.scenario.name for part in plan.parts] == levels


def test_combinations_are_in_the_order_of_their_axes_and_zip_takes_numbers_together(
    planned: Planner,
) -> None:
    axes = ("agent.initial.awareness=2,0", "training.leak=0.2,0", "seed=1,0")
    keys = ["agent.initial.awareness", "training.leak", "seed"]
    rows = design_of(planned(*axes))[keys].to_numpy().tolist()
    assert rows == [list(row) for row in product([2, 0], [0.2, 0], [1, 0])]
    rows = design_of(planned(*axes, "hydra.sweeper.combine=zip"))[keys].to_numpy().tolist()
    assert rows == [[2, 0.2, 1], [2, 0.2, 0], [0, 0, 1], [0, 0, 0]]


def test_intervals_are_sampled_evenly_in_every_combination_of_the_rest(planned: Planner) -> None:
    """Of a number that is no power of 2, a Latin hypercube alone has one point in every share."""
    rate = "training.learning_rate.values"
    axes = ("training.leak=interval(0.2,1)", f"{rate}=tag(log,interval(0.001,0.1))")
    for sampling, count in (("sobol", 16), ("lhs", 12)):
        settings = (f"hydra.sweeper.points={count}", f"hydra.sweeper.sampling={sampling}")
        frame = design_of(planned(*settings, *axes, "agent.initial.awareness=0,1"))
        assert len(frame) == 2 * count
        for _, points in frame.groupby("agent.initial.awareness"):
            for shares in ((points["training.leak"] - 0.2) / 0.8, np.log10(points[rate]) / 2 + 1.5):
                assert sorted(np.floor(count * shares)) == list(range(count))
        firsts = frame["training.leak"].to_numpy().reshape(2, count)
        np.testing.assert_array_equal(firsts[0], firsts[1])
    settings = ("hydra.sweeper.points=4", "training.leak=interval(0,1)")
    first, other, again = (
        list(design_of(planned(*settings, f"hydra.sweeper.seed={seed}"))["training.leak"])
        for seed in (0, 1, 0)
    )
    assert first == again != other
    assert len(set(first)) == 4


def test_a_point_of_a_sample_is_the_run_with_its_numbers(call: Call) -> None:
    sample = ("record=summary", "hydra.sweeper.points=2", "training.leak=interval(0,1)")
    row = sweep_of(call("-m", *FEW, *sample)).frame.to_dict("records")[1]
    single = call(*FEW, f"training.leak={row['training.leak']!r}", "hydra.run.dir=single")
    assert expected_row(single)["value_drift"] == row["value_drift"]


@pytest.mark.slow
def test_every_scenario_is_there_by_glob(call: Call) -> None:
    left = call("-m", NUMPY, "training.steps=3", "agents=1", "scenario=glob(*)", "record=summary")
    frame = sweep_of(left).frame
    names = sorted(
        path.stem for path in (Path(__file__).parent.parent / "configs/scenario").iterdir()
    )
    assert list(frame["scenario"]) == names
    assert directory_of(left).name.startswith(f"{len(names)}-scenarios-")
    assert frame["gaming_rate.coding"].notna().sum() < len(frame)


# ----------------------------------------------------------------------------------------- refusals

LEAK = "training.leak=0,0.2"
#: Overrides (parted by blanks; LEAK is the line above), and words of the refusal.
REFUSED = """
training.leek=0,0.2 => training.leek: unknown key; did you mean 'leak'?
+foo=1,2 => foo: unknown key; allowed: agent,
scenario.contexts.coding.inf=0,1 => did you mean 'info'?
scenario=copyright,copyrigth => scenario: no scenario is named 'copyrigth'; did you mean
scenario=glob(zz*) => scenario: has nothing in it
training.leak=0,2 => training.leak: got 2
training.leak=range(0,3) => training.leak: got 2
training.leak=0,null => training.leak: got None: must be a number
training.leak=0,nan => training.leak
training.leak=range(1,1) => training.leak: has nothing in it
training.update_rule=natural_gradient,natural => did you mean 'natural_gradient'?
training.update_rule=replicator,natural_gradient => since version 2 of the model it is 'nat
agents=1,0 => agents: got 0: must be a whole number of 1 or more
seed=0,-1 => seed: got -1: must be a whole number of 0 or more
seed=0,0 => seed: 0 is given more than once
training.leak=0.1,0.1 => training.leak: 0.1 is given more than once
training.steps=50,50 => training.steps: 50 is given more than once
scenario=copyright,'copyright' => scenario: 'copyright' is given more than once
agent.initial.values={copyright:1},{copyright:1} => {'copyright': 1} is given more than once
hydra.sweeper.combine=zip training.leak=0,0 training.anchor=1,1 => is given more than once
seed=range(1000000000) => seed: got 1,000,000,000 runs, which take about 477 GiB: must be 16,777,216
seed=range(1000000000,0,-1) => seed: got 1,000,000,000 runs
training.leak=range(0,1,1e-12) => training.leak: got 1,000,000,000,000 runs
seed=range(10000) training.leak=range(0,1,0.0001) => axes: got 100,000,000 runs
training.steps=range(1,20000) => axes: got 19,999 combinations, each of which is a program
training.leak=interval(0,1) hydra.sweeper.points=100000000000 => points: got 100,000,000,000 runs
training.leak=interval(0,1) training.anchor=${training.leak} => training.anchor: follows training.l
LEAK hydra.sweeper.combine=zip training.anchor=${.leak} => training.anchor: follows training.leak, w
agent.initial.values={copyright:1},{copyright:2} agent.initial.values={helpfulness:1} => is given tw
agent.initial.values={copyright:1},{copyright:1.0} => {'copyright': 1.0} is given more than once
do=[{key:gaming,set:0}],[{key:gaming,set:0.0}] => 'set': 0.0}] is given more than once
LEAK training={leak:0.1} => training.leak: is given twice, or in whole and in part
LEAK training={anchor:0.1},{leak:0.1} => training.leak: is given twice, or in whole and in part
training.learning_rate.habit=0.1,0.2 training={learning_rate:0.3} => habit: is given twice, or in
scenario.contexts.coding.info=0,1 scenario={contexts:{coding:{info:0}}} => info: is given twice, or
training.leak=range(0,1,0) => training.leak: got training.leak=range(0,1,0): must be a range of fini
training.leak=range(0,inf) => training.leak: got training.leak=range(0,inf): must be a range of fini
training.leak=range(nan,1) => must be a range of finite steps
seed=range(3),5 => seed: got seed=range(3),5: must be a list, or one range
scenario=glob(copy*),pipeline => scenario: got scenario=glob(copy*),pipeline: must be a list, or one
seed=interval(0,3) => seed: must be whole numbers; seed=range(32) gives 0 to 31
training.steps=interval(1,5) => training.steps: cannot be drawn from an interval
training.leak=interval(0.9,1.01) => training.leak: got 1.01: must be a number from 0
training.leak=tag(log,interval(0,1)) => above 0 where the scale is a logarithm
training.leak=tag(lgo,interval(0.1,1)) => training.leak: got the tag 'lgo'
record=summary,full => record: a sweep has one for all its runs
executor=local,dask => executor: a sweep has one for all its runs
executor.threads=1,2 => executor.threads: a sweep has one for all its runs
LEAK record=sumary => record: got 'sumary': did you mean 'summary'?
LEAK executor=loca => executor: no executor is named 'loca'; did you mean 'local'?
LEAK ~executor => executor: is missing
LEAK executor.name=loca => executor.name: got 'loca': did you mean 'local'?
LEAK +executor.thread=1 => executor.thread: unknown key of executor=local; did you mean
LEAK +executor.workers=1 => executor.workers: unknown key of executor=local; allowed:
LEAK executor.threads=0 => executor.threads: got 0: must be a whole number of 1 or more
LEAK executor=dask executor.address=1 => executor.address: got 1: must be text
LEAK hydra.sweeper.combine=gird => hydra.sweeper.combine: got 'gird': did you mean 'g
LEAK hydra.sweeper.sampling=sobl => hydra.sweeper.sampling: got 'sobl': did you mean 'so
LEAK hydra.sweeper.points=0 => hydra.sweeper.points: got 0: must be a whole number of 1
LEAK hydra.sweeper.seed=-1 => hydra.sweeper.seed: got -1: must be a whole number of 0
LEAK hydra.sweeper.dir=null => hydra.sweeper.dir: got None: must be a directory
LEAK +hydra.sweeper.pionts=1 => hydra.sweeper.pionts: unknown key; did you mean 'points'
LEAK agent.initial.awareness=0,1,2 hydra.sweeper.combine=zip => has 2, agent.initial.awareness has
LEAK ++training.leak=0.1 => training.leak: is given twice
training.learning_rate.habit=0.1,0.2 training.learning_rate=0.3 => habit: is given twice, or in
scenario=copyright,scratchpad agent.initial.habit.coding=0,1 => agent.initial.habit.coding: unknown
scenario=copyright,scratchpad scenario.contexts.coding.info=0.5 => (at scenario=scratchpad)
"""
TWO_MAPPINGS = [f"agent.initial.values={{{name}: 2}}" for name in ("copyright", "helpfulness")]
#: Sweeps of the weights of four contexts in which a run trains on nothing.
WEIGHTS = [
    *(f"scenario.contexts.{name}.weight=0" for name in ("copyright_chat", "coding")),
    *(f"scenario.contexts.{name}.weight=1,0" for name in ("copyright_excerpt", "travel")),
]


def test_a_sweep_with_a_bad_run_is_refused_in_one_line(planned: Planner) -> None:
    rows = [row.split(" => ") for row in REFUSED.strip().splitlines()]
    for overrides, says in [*rows, (" ".join(WEIGHTS), "nothing is trained on")]:
        with pytest.raises((SpecError, HydraException)) as caught:
            planned(*overrides.replace("LEAK", LEAK).split(" "))
        error = caught.value
        line = str(error) if isinstance(error, SpecError) else explain(error)
        assert says in line, (overrides, line)
        assert "\n" not in line


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["training.leek=0,0.2"], "training.leek: unknown key; did you mean 'leak'?"),
        (["scenario=copyright,copyrigth"], "scenario: no scenario is named 'copyrigth'; did you"),
        ([LEAK, "hydra.sweeper.combine=gird"], "hydra.sweeper.combine: got 'gird': did you mean"),
        (["hydra.verbose=true,false"], "Sweeping over Hydra's configuration is not supported"),
        (
            ["hydra.sweeper.points=1,2", LEAK],
            "Sweeping over Hydra's configuration is not supported",
        ),
        (["training.leak=${nowhere},1"], "nowhere"),
        # Hydra's own sweeper forgets the first of two mappings.
        *(
            ([*TWO_MAPPINGS, LEAK, other], "agent.initial.values: got two mappings: must be one")
            for other in ("hydra/sweeper=basic", "hydra/launcher=joblib")
        ),
    ],
)
def test_a_refused_sweep_ends_before_anything_is_written(
    call: Call, overrides: list[str], says: str
) -> None:
    assert_refused(call("-m", *FEW, *overrides), says)


def test_a_place_that_cannot_be_written_is_told_in_one_line(call: Call, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    left = call("-m", *FEW, LEAK, "hydra.sweep.dir=taken")
    assert left.status == 1
    assert re.fullmatch(r"error: .*taken.*\n", left.stderr), left.stderr


def test_a_place_that_holds_something_else_is_left_alone(call: Call) -> None:
    left = call("-m", *FEW, LEAK)
    directory = directory_of(left)
    for path in sorted(directory.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (directory / "mine.txt").write_text("my notes")
    again = call("-m", *FEW, LEAK)
    assert again.status == 2
    assert again.stderr.splitlines()[-1].startswith("error: ")
    assert "holds no sweep" in again.stderr
    assert [path.name for path in directory.iterdir()] == ["mine.txt"]


# --------------------------------------------------------------------------- the same command again

AGAIN = ("-m", *FEW, *["record=summary", "scenario=copyright,scratchpad", "training.leak=0,0.2"])


def test_the_same_command_does_what_is_missing_or_damaged_and_says_so(call: Call) -> None:
    first = call(*AGAIN)
    assert "there already" not in first.stderr
    directory = directory_of(first)
    before, content = stamps(directory), {p: p.read_bytes() for p in first.files()}
    whole = tables(directory)
    again = call(*AGAIN)
    assert directory_of(again) == directory
    assert "there already: 4 runs" in again.stderr
    assert stamps(directory) == before
    assert {path: path.read_bytes() for path in again.files()} == content
    assert again.stdout == first.stdout
    lost, hurt = (sorted((directory / folder).iterdir())[1] for folder in ("shards", "summary"))
    lost.unlink()
    again = call(*AGAIN)
    assert (again.status, "damaged" in again.stderr) == (0, False)
    assert "there already: 2 runs" in again.stderr
    assert tables(directory) == whole
    after = stamps(directory)
    written = {f"shards/{lost.name}", f"summary/{lost.stem}.parquet"}
    assert {name for name, stamp in after.items() if before[name] != stamp} == written
    middle = len(hurt.read_bytes()) // 2
    flipped = bytearray(hurt.read_bytes())
    flipped[middle] ^= 1
    hurt.write_bytes(flipped)
    again = call(*AGAIN)
    assert again.status == 0
    assert "done again, as they were damaged: 1 shard" in again.stderr
    assert "there already: 2 runs" in again.stderr
    assert tables(directory) == whole
    assert {name for name, stamp in stamps(directory).items() if after[name] != stamp} == written


def test_order_does_not_matter_where_none_was_asked_for(planned: Planner) -> None:
    """Hydra shuffles anew every time; then nothing would ever be there already."""
    shuffled = ("seed=shuffle(range(20))", "training.leak=shuffle(0,0.1,0.2,0.3,0.4)")
    assert len({planned(*shuffled).id for _ in range(3)}) == 1
    assert planned(*shuffled, "executor.threads=1").id == planned(*shuffled).id


def test_a_changed_command_has_a_directory_of_its_own(call: Call, planned: Planner) -> None:
    directory = directory_of(call(*AGAIN))
    before = stamps(directory)
    other = call(*AGAIN, "record_every=5")
    assert "there already" not in other.stderr
    assert stamps(directory) == before
    assert len(list(directory.parent.iterdir())) == 2
    changes = ("seed=range(4)", "training.leak=0,0.3", "training.steps=21", "record_every=5")
    plans = [planned(*AGAIN[1:]), *(planned(*AGAIN[1:], change) for change in changes)]
    assert len({plan.id for plan in plans}) == 5


def test_the_root_of_sweeps_can_be_chosen(call: Call) -> None:
    for number, setting in enumerate(("hydra.sweep.dir", "++hydra.sweep.dir", "hydra.sweeper.dir")):
        left = call("-m", *FEW, LEAK, "record=summary", f"{setting}=mine/sweeps")
        directory = directory_of(left, "mine/sweeps")
        assert directory.name.startswith("copyright-")
        assert not (left.folder / "outputs").exists()
        assert ("there already: 2 runs" in left.stderr) == (number > 0)


def test_home_is_one_place(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A `~` is the user's home wherever a place is named: of runs, jobs, sweeps and results."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for setting in ("hydra.sweep.dir", "hydra.sweeper.dir"):
        left = call("-m", *FEW, LEAK, "record=curves", f"{setting}='~/{setting}'")
        directory_of(left, str(home / setting))
    call("-m", *FEW, LEAK, "hydra.sweep.dir='~/jobs'", "hydra/sweeper=basic")
    assert call(*FEW, "hydra.run.dir='~/run'").status == 0
    result = sim.Result.load("~/run/result.nc")
    assert result.save("~/again.nc") == home / "again.nc"
    sim.sweep("copyright", training={"steps": 2}, store="~/stored")
    there = {"hydra.sweep.dir", "hydra.sweeper.dir", "jobs", "run", "again.nc", "stored"}
    assert {path.name for path in home.iterdir() if path.name[0] != "."} == there
    assert [path for path in left.folder.iterdir() if "~" in path.name] == []


def test_a_sweep_that_stands_in_a_file_is_run(
    call: Call, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("configs")
    params = {"training.leak": "0,0.2", "seed": "range(2)"}
    hydra = {"mode": "MULTIRUN", "sweep": {"dir": "mine"}, "sweeper": {"params": params}}
    (folder / "experiment").mkdir()
    text = "# @package _global_\n" + yaml.safe_dump({"hydra": hydra})
    for name in ("leaks", "leaks2"):
        (folder / "experiment" / f"{name}.yaml").write_text(text)
    asked = ("--config-dir", str(folder), "+experiment=leaks", "record=summary")
    refused = call(*asked[:2], "-m", "+experiment=leaks,leaks2", *FEW)  # of two files, nobody's
    assert_refused(refused, "hydra.sweeper: stands in a file that is swept: must be one for all")
    for more, runs in (((), 4), (("seed=3",), 2)):
        left = call(*asked, *FEW, *more, f"training.steps={10 + runs}")
        assert f"{runs} runs in 1 shard" in left.stderr
        assert (left.folder / "mine").is_dir()


def test_long_levels_leave_the_numbers_on_the_page(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.out, "_width", 80)
    gaming = "{key: 'gaming', set: 0, start: 5}"
    do = f"do=[{gaming}],[{gaming},{{key: training.leak, set: 0.1, start: 5}}],[]"
    left = call("-m", *FEW, do, "training.anchor=0,1e-10,2e-10,5e-10", "record=summary")
    assert "QuotedString" not in left.stdout
    lines = left.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    for level in ("0", "1e-10", "2e-10", "5e-10"):
        rows = [line for line in lines if f"│ {level} " in line]
        assert len(rows) == 3
        assert all(len(line.rstrip("│ ").rpartition(" ")[2]) == 4 for line in rows)


# ------------------------------------------------------------------------------------- failing runs


def test_a_run_that_fails_leaves_the_others_alone_and_is_told(call: Call) -> None:
    axis = "training.learning_rate.values"
    for _ in range(2):
        left = call("-m", *FEW, f"{axis}=0.003,1e300,0.01", "seed=range(2)", "record=summary")
        assert left.status == 1
        assert re.fullmatch(
            r"error: 2 of 6 runs failed, the first because \(run 2\) values\.\w+ grew out of all "
            r"bounds by step 10; lower training\.learning_rate\.values; .*",
            left.stderr.splitlines()[-1],
        )
        assert "Traceback" not in left.stderr
    assert "there already: 6 runs" in left.stderr
    frame = Sweep.load(directory_of(left)).frame
    assert list(frame["error"].notna()) == [level == 1e300 for level in frame[axis]]
    assert list(frame["reach"].notna()) == [level != 1e300 for level in frame[axis]]
    left = call("-m", *FEW, f"{axis}=1e299,1e300", "hydra.sweep.dir=nothing")
    assert left.status == 1
    assert "2 of 2 runs failed" in left.stderr.splitlines()[-1]
    assert "Traceback" not in left.stderr
    assert "figure" not in left.stdout


# ------------------------------------------------------------------------------------------ Ctrl-C

LONG = (
    *("-m", NUMPY, "scenario=scratchpad", "agents=4", "seed=range(400)", "record_every=1000"),
    *("training.steps=range(200,208)", "record=summary", "executor.threads=1"),
)


def test_an_interrupted_sweep_stops_at_once_and_the_same_command_finishes_it(
    tmp_path_factory: pytest.TempPathFactory, call: Call
) -> None:
    """After the second of eight shards; nothing is half-written, and the bytes are the same."""
    folder = tmp_path_factory.mktemp("interrupted")
    running = start(folder, *LONG)
    try:
        end = time.monotonic() + 60
        while len(list(folder.rglob("shards/*.json"))) < 2:
            assert time.monotonic() < end, "waited too long"
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        begun = time.monotonic()
        left = ended(running, folder, timeout=30)
        assert time.monotonic() - begun < 10
    finally:
        running.kill()
    directory = directory_of(left)
    assert (left.status, left.stdout) == (130, "")
    assert "Traceback" not in left.stderr
    assert left.stderr.splitlines()[-1] == (
        f"interrupted; the same command goes on from what is in {directory.relative_to(folder)}"
    )
    assert left.stderr.count("interrupted") == 1
    done = {path.stem for path in (directory / "shards").iterdir()}
    assert 1 < len(done) < 8
    assert {path.stem for path in (directory / "summary").iterdir()} == done
    assert not [path for path in left.files() if ".part" in path.name]
    with pytest.warns(UserWarning, match=f"has {400 * len(done):,} of 3,200 runs"):
        assert len(Sweep.load(directory).frame) == 400 * len(done)
    before = stamps(directory)
    rest = call(*LONG, f"hydra.sweep.dir={directory.parent}")
    assert rest.status == 0, rest.stderr
    assert f"there already: {400 * len(done):,} runs" in rest.stderr
    after = stamps(directory)
    assert {name: after[name] for name in before} == before
    whole = call(*LONG, "executor.threads=2")
    assert "there already" not in whole.stderr
    assert directory_of(whole).name == directory.name
    assert tables(directory_of(whole)) == tables(directory)
    assert len(tables(directory)) == 16


# -------------------------------------------------------------------------------------------- dask

SPREAD = ("-m", NUMPY, *["agents=3", "scenario=scratchpad,copyright", "training.steps=10,20"])


@pytest.mark.slow
def test_a_cluster_gives_the_same_bytes_and_a_missing_one_is_told(
    call: Call, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pytest.importorskip("distributed")
    nobody, folder = tmp_path_factory.mktemp("nobody"), tmp_path_factory.mktemp("dask")
    refused = start(nobody, *SPREAD, "executor=dask", "executor.address=tcp://127.0.0.1:1")
    done = command(folder, *SPREAD, "executor=dask", "executor.workers=2")
    left = ended(refused, nobody)
    assert done.status == 0, done.stderr
    assert "Traceback" not in done.stderr
    local = call(*SPREAD)
    assert tables(directory_of(done)) == tables(directory_of(local))
    assert len(tables(directory_of(local))) == 12
    assert left.status == 2
    assert left.stdout == ""
    last = left.stderr.splitlines()[-1]
    assert last.startswith("error: executor.address: no scheduler answers at 'tcp://127.0.0.1:1'")
    assert "Traceback" not in left.stderr
