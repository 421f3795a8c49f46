"""The command line: what a run leaves behind, and the one line that refuses a bad one."""

from __future__ import annotations

import errno
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

import sim
from commands import Call, Left, assert_refused, command, script
from sim.analysis.summary import summarise

FEW = ("training.steps=20", "agents=3")
RESULTS = {"summary.json", "result.nc", "provenance.json", "emergence.png", "emergence.svg"}


# ------------------------------------------------------------------------------------ good runs

GOOD = (*FEW, "scenario=alignment_faking", "agent.initial.awareness=-1.5", "seed=7")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Left:
    return command(tmp_path_factory.mktemp("good"), *GOOD)


def test_a_run_leaves_its_files_and_nothing_half_written(good: Left) -> None:
    assert good.status == 0, good.stderr
    directory = good.only("result.nc").parent
    assert {path.name for path in directory.iterdir() if path.is_file()} == RESULTS
    assert all(path.stat().st_size > 100 for path in good.files() if path.name in RESULTS)
    assert not [path for path in good.files() if ".part" in path.name]


def test_a_run_names_the_figure_on_its_last_line(good: Left) -> None:
    path = Path(good.stdout.splitlines()[-1].removeprefix("figure: "))
    assert path.is_absolute()
    assert path == good.only("emergence.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert good.only("emergence.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_stdout_is_the_table_and_the_figure(good: Left) -> None:
    assert "alignment_faking: 3 agents, 20 steps, seed 7, engine " in good.stdout
    assert "free_tier_scratchpad" in good.stdout
    assert "Traceback" not in good.stdout + good.stderr
    assert "100%" in good.stderr


def test_the_summary_is_the_summary_of_the_result(good: Left) -> None:
    result = sim.Result.load(good.only("result.nc"))
    assert good.json("summary.json") == json.loads(json.dumps(summarise(result)))


def test_the_numbers_of_the_summary_are_quantiles_of_the_result(good: Left) -> None:
    summary, data = good.json("summary.json"), sim.Result.load(good.only("result.nc")).data

    def band(numbers: np.ndarray) -> dict[str, float] | None:
        known = numbers[np.isfinite(numbers)]
        if not known.size:
            return None
        low, median, high = np.quantile(known, [0.1, 0.5, 0.9])
        # numpy may round the last bit in another way.
        return pytest.approx({"low": low, "median": median, "high": high}, rel=1e-13, abs=1e-15)

    assert list(summary["contexts"]) == list(data["context"].values)
    for c, told in enumerate(summary["contexts"].values()):
        rates, onset = data["gaming_rate"].values[:, :, c], data["onset"].values[:, c]
        assert told["gaming_rate_start"] == band(rates[0])
        assert told["gaming_rate_end"] == band(rates[-1])
        assert told["stake_start"] == band(data["stake"].values[0, :, c])
        assert told["compliance_gap_end"] == band(data["compliance_gap"].values[-1, :, c])
        assert told["behaviour_shift_end"] == band(data["behaviour_shift"].values[-1, :, c])
        assert told["onset"]["share_of_agents"] == np.isfinite(onset).mean()
        assert {name: told["onset"][name] for name in ("low", "median", "high")} == (
            band(onset) or dict.fromkeys(("low", "median", "high"))
        )
    for d, told in enumerate(summary["values"].values()):
        assert told["start"] == band(data["values"].values[0, :, d])
        assert told["end"] == band(data["values"].values[-1, :, d])
    for name, told in summary["agents"].items():
        assert told == band(data[name].values[-1])
    assert any(told["compliance_gap_end"] for told in summary["contexts"].values())


def test_the_settings_reach_the_provenance(good: Left) -> None:
    provenance = good.json("provenance.json")
    assert provenance == sim.Result.load(good.only("result.nc")).provenance
    assert provenance["agent"]["initial"]["awareness"] == -1.5
    assert provenance["agent"]["initial"]["values"] == {"harmlessness": 1.2, "helpfulness": 0.5}
    assert provenance["scenario"]["name"] == "alignment_faking"
    assert provenance["training"]["steps"] == 20
    assert (provenance["agents"], provenance["seed"]) == (3, 7)


def test_the_same_command_gives_the_same_data_to_the_bit(good: Left, call: Call) -> None:
    again = call(*GOOD)
    assert again.status == 0, again.stderr
    first = sim.Result.load(good.only("result.nc")).data
    assert sim.Result.load(again.only("result.nc")).data.identical(first)
    assert again.json("summary.json") == good.json("summary.json")


def test_several_values_make_several_jobs_with_the_standard_sweeper(call: Call) -> None:
    left = call("-m", *FEW, "training.leak=0,0.2", "hydra/sweeper=basic")
    assert left.status == 0, left.stderr
    jobs = sorted(left.folder.rglob("provenance.json"))
    assert [path.parent.name for path in jobs] == ["0", "1"]
    leaks = [json.loads(path.read_text())["training"]["leak"] for path in jobs]
    assert leaks == [0.0, 0.2]


def test_the_help_and_the_config_are_printed_and_nothing_is_written(call: Call) -> None:
    shown = call("--help")
    assert shown.status == 0
    assert "training.leak=0 " in shown.stdout
    config = call("--cfg", "job", "training.leak=0.25")
    assert config.status == 0
    assert "leak: 0.25" in config.stdout
    assert shown.files() == []


# ------------------------------------------------------------------------------------- bad runs

BAD = [
    ("training.leek=0.1", "training.leek: unknown key; did you mean 'leak'?"),
    ("trainin.leak=0.1", "trainin: unknown key; did you mean 'training'?"),
    ("+foo=1", "foo: unknown key; allowed: agent, agents, "),
    ("hydra.rum.dir=x", "hydra"),
    ("scenario=copyrigth", "scenario: no scenario is named 'copyrigth'; did you mean 'copyright'?"),
    ("agent=defualt", "agent: no agent is named 'defualt'; did you mean 'default'?"),
    ("training=fast", "training: no training is named 'fast'; "),
    ("scenario=null", "scenario"),
    ("agent=null", "agent"),
    ("~scenario", "scenario: is missing"),
    ("training.leak=2", "training.leak: got 2: must be a number from 0 to 1"),
    ("training.leak=abc", "training.leak: got 'abc': must be a number from 0 to 1"),
    ("training.leak=", "training.leak: got '': must be a number from 0 to 1"),
    ("training.leak.x=1", "training.leak"),
    ("training.steps=0", "training.steps: got 0: must be 1 or more"),
    ("training.steps=100000000000000000000", "training.steps"),
    ("training.update_rule=replicate", "did you mean 'replicator'?"),
    ("training.learning_rate=[1,2]", "training.learning_rate: "),
    ("agents=", "agents: got '': must be a whole number of 1 or more"),
    ("agents=0", "agents: got 0: must be a whole number of 1 or more"),
    ("agents=100000000000000000000", "agents"),
    ("record_every=0", "record_every: got 0: must be a whole number of 1 or more"),
    ("engine=cuda", "engine: got 'cuda': allowed: auto, numba, numpy"),
    ("agent.rationality=[1,2]", "agent.rationality: has 2 numbers for 64 agents"),
    ("agent.rationality=${nowhere}", "nowhere"),
    ("agent.initial.values.copyrite=1", "did you mean 'copyright'?"),
    ("+agent.initial.values.copyrite=1", "did you mean 'copyright'?"),
    ("agent.initial.habit={codin: 1}", "agent.initial.habit.codin: nothing has this name; did you"),
    ("scenario.contexts.coding=null", "scenario.contexts.coding: got None: must be a mapping"),
    ("scenario.contexts.codin.info=1", "did you mean 'coding'?"),
    (
        "scenario.contexts.coding.inf=1",
        "scenario.contexts.coding.inf: unknown key; did you mean 'i",
    ),
    ("training.leak=[1", ""),
    ("training.leak", ""),
    ("training.leak=0,0.2", "training.leak"),
    ("=1", ""),
    ("", ""),
    ("executor=null", "executor= take a name"),
    ("executor=loca", "executor: no executor is named 'loca'; did you mean 'local'?"),
    ("executor.thread=1", "executor.thread: unknown key; did you mean 'threads'?"),
    ("hydra.sweeper.pionts=1", "hydra.sweeper.pionts: unknown key; did you mean 'points'?"),
    ("agents.each=1", "agents.each: unknown key"),
]


@pytest.mark.parametrize(("setting", "says"), BAD, ids=[setting for setting, _ in BAD])
def test_a_bad_setting_is_refused_in_one_line_before_anything_is_written(
    call: Call, setting: str, says: str
) -> None:
    left = call(setting)
    assert_refused(left, says)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("scenario.contexts.chat_feedbck.info=1", "did you mean 'chat_feedback'?"),
        ("scenario.contexts.coding_tests.inf=1", "coding_tests.inf: unknown key; did you mean"),
        ("agent.initial.values.honestly=1", "did you mean 'honesty'?"),
    ],
)
def test_the_nearest_word_is_of_the_scenario_that_was_chosen(
    call: Call, setting: str, says: str
) -> None:
    left = call("scenario=pipeline", setting)
    assert left.status == 2
    assert says in left.stderr


def test_every_number_of_a_context_that_the_help_names_can_be_set(call: Call) -> None:
    numbers = {"weight": 2.0, "info": 0.5, "scratchpad": 1.0, "cue": -1.0, "monitor": 0.5}
    assert f"info=0.5   {', '.join(numbers)}" in call("--help").stdout
    left = call(*FEW, *(f"scenario.contexts.coding.{key}={x}" for key, x in numbers.items()))
    assert left.status == 0, left.stderr
    context = left.json("provenance.json")["scenario"]["contexts"]["coding"]
    assert {key: context[key] for key in numbers} == numbers


@pytest.mark.parametrize("setting", ["training.leek=0,0.2", "training.leak=0,2"])
def test_a_bad_job_stops_a_sweep_with_one_line(call: Call, setting: str) -> None:
    left = call("-m", *FEW, setting)
    assert left.status == 2
    assert re.fullmatch(r"error: training\.le.+\n", left.stderr), left.stderr
    assert list(left.folder.iterdir()) == []


def test_a_process_of_its_own_refuses_in_the_same_way(tmp_path: Path) -> None:
    left = command(tmp_path, "scenario=scratchpd")
    assert left.status == 2
    assert left.stdout == ""
    assert re.fullmatch(r"error: scenario: .+ did you mean 'scratchpad'\? .+\n", left.stderr)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_diverges_says_so_and_leaves_no_result(call: Call) -> None:
    left = call(*FEW, "training.learning_rate.values=1e300")
    assert left.status == 1
    assert left.stdout == ""
    assert "Traceback" not in left.stderr
    assert re.fullmatch(
        r"error: agent \d+: values\.\w+ grew out of all bounds by step \d+; "
        r"lower training\.learning_rate\.values",
        left.stderr.splitlines()[-1],
    )
    names = {path.name for path in left.files()}
    assert not names & RESULTS
    assert not [name for name in names if ".part" in name]


@pytest.mark.parametrize(
    ("thing", "method"), [(xr.Dataset, "to_netcdf"), (Figure, "savefig")], ids=["result", "figure"]
)
def test_a_full_disk_is_told_in_one_line_and_leaves_nothing_half_written(
    call: Call, monkeypatch: pytest.MonkeyPatch, thing: type, method: str
) -> None:
    def fail(it: object, path: str | Path, **how: object) -> None:
        Path(path).write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(thing, method, fail)
    left = call(*FEW)
    assert left.status == 1
    last = left.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert "No space left on device" in last
    assert "None" not in last
    assert not [path for path in left.files() if ".part" in path.name]


def test_a_reader_that_leaves_early_is_no_error_of_ours(tmp_path: Path) -> None:
    pipe = subprocess.PIPE
    arguments = [sys.executable, str(script("emergence")), "--help"]
    with subprocess.Popen(arguments, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        stderr = running.stderr.read()
    assert "Traceback" not in stderr
    assert "error:" not in stderr


def test_a_folder_that_cannot_be_made_is_told_in_one_line(call: Call, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    left = call(*FEW, "hydra.run.dir=taken/run")
    assert left.status in {1, 2}
    assert re.fullmatch(r"error: .*taken.*\n", left.stderr), left.stderr
