"""The command line: what a run leaves behind, and the one line that refuses a bad one."""

from __future__ import annotations

import errno
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from matplotlib.figure import Figure

import sim
from bad_inputs import DELETED, bad_inputs, changed
from commands import Call, assert_refused, command, script
from sim.analysis.summary import summarise
from sim.cli.application import open_sections
from sim.cli.compose import read_run
from sim.cli.console import out
from sim.cli.errors import Stopped, stopping
from sim.cli.keys import CONFIGS, SPEC_KEYS
from sim.specs.library import resolve
from sim.specs.training import Training
from sim.utils.format import printable

FEW = ("training.steps=20", "agents=3")
RESULTS = {"summary.json", "result.nc", "provenance.json", "emergence.png", "emergence.svg"}
GOOD = (*FEW, "scenario=alignment_faking", "agent.initial.awareness=-1.5", "seed=7")


def test_a_run_leaves_its_files_and_the_same_again(call: Call, tmp_path: Path) -> None:
    left = call(*GOOD, "hydra.run.dir=one")
    assert left.status == 0, left.stderr
    assert {path.name for path in (tmp_path / "one").iterdir() if path.is_file()} == RESULTS
    assert all(path.stat().st_size > 100 for path in left.files() if path.name in RESULTS)
    assert not [path for path in left.files() if ".part" in path.name]
    assert "alignment_faking: 3 agents, 20 steps, seed 7, engine " in left.stdout
    assert "free_tier_scratchpad" in left.stdout
    assert "100%" in left.stderr
    assert left.stdout.splitlines()[-1] == f"figure: {tmp_path / 'one' / 'emergence.png'}"
    assert left.only("emergence.png").read_bytes().startswith(b"\x89PNG")
    assert left.only("emergence.svg").read_text(encoding="utf-8").startswith("<?xml")

    result = sim.Result.load(left.only("result.nc"))
    provenance = left.json("provenance.json")
    assert provenance == result.provenance
    assert provenance["agent"]["initial"]["awareness"] == -1.5
    assert provenance["agent"]["initial"]["values"] == {"harmlessness": 1.2, "helpfulness": 0.5}
    assert provenance["scenario"]["name"] == "alignment_faking"
    assert provenance["training"]["steps"] == 20
    assert (provenance["agents"], provenance["seed"]) == (3, 7)
    summary = left.json("summary.json")
    assert summary == json.loads(json.dumps(summarise(result)))
    assert_quantiles(summary, result)

    again = call(*GOOD, "hydra.run.dir=two")
    assert again.status == 0, again.stderr
    assert sim.Result.load(tmp_path / "two" / "result.nc").data.identical(result.data)
    first, second = (tmp_path / run / "summary.json" for run in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()


def band(numbers: np.ndarray) -> dict[str, float] | None:
    known = numbers[np.isfinite(numbers)]
    if not known.size:
        return None
    low, median, high = np.quantile(known, [0.1, 0.5, 0.9])
    # numpy may round the last bit in another way.
    return pytest.approx({"low": low, "median": median, "high": high}, rel=1e-13, abs=1e-15)


def assert_quantiles(summary: dict[str, Any], result: sim.Result) -> None:
    """Assert that the numbers of a summary are quantiles over agents."""
    data = result.data
    assert list(summary["contexts"]) == list(data["context"].values)
    for c, numbers in enumerate(summary["contexts"].values()):
        moments = [key for key in numbers if key.endswith(("_start", "_end"))]
        assert len(moments) >= 5
        for key in moments:
            name, _, moment = key.rpartition("_")
            assert numbers[key] == band(data[name].values[-1 if moment == "end" else 0, :, c]), key
        onset = data["onset"].values[:, c]
        assert numbers["onset"].pop("share_of_agents") == np.isfinite(onset).mean()
        assert numbers["onset"] == (band(onset) or dict.fromkeys(("low", "median", "high")))
    for d, numbers in enumerate(summary["values"].values()):
        assert numbers["start"] == band(data["values"].values[0, :, d])
        assert numbers["end"] == band(data["values"].values[-1, :, d])
    for name, numbers in summary["agents"].items():
        assert numbers == band(data[name].values[-1])
    assert any(numbers["compliance_gap_end"] for numbers in summary["contexts"].values())


def test_the_help_and_the_config_are_printed_and_nothing_is_written(call: Call) -> None:
    text = call("--help")
    assert text.status == 0
    assert "training.leak=0 " in text.stdout
    config = call("--cfg", "job", "training.leak=0.25")
    assert config.status == 0
    assert "leak: 0.25" in config.stdout
    assert text.files() == []
    assert "info=0.5   weight, info, scratchpad, cue, monitor" in text.stdout


NAMES = [
    "/abs",
    "[/bold] :smile:",
    "$x_{",
    "a\x00\x1b[31mred\x9b",
    "../../up",
    "A/B test: what if?",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_text_on_the_terminal_in_figures_and_in_directories(
    name: str, call: Call, tmp_path: Path
) -> None:
    scenario = tmp_path / "configs" / "scenario" / "named.yaml"
    scenario.parent.mkdir(parents=True)
    contents = yaml.safe_load(resolve("scenario", "copyright").read_text(encoding="utf-8"))
    contents["scenario"] |= {"name": name, "passage": name}
    scenario.write_text(f"# @package _global_\n{yaml.safe_dump(contents)}", encoding="utf-8")
    dirs = ("--config-dir", "configs", "scenario=named", "hydra.sweep.dir=here", *FEW)
    for left in (call(*dirs), call("-m", *dirs, "training.leak=0,0.1")):
        assert left.status == 0, left.stderr
        assert printable(left.stdout + left.stderr) == (left.stdout + left.stderr)
    (sweep,) = (tmp_path / "here").iterdir()
    assert re.fullmatch(r"[\w .+-]+-[0-9a-f]{8}", sweep.name)
    assert {path.name for path in tmp_path.iterdir()} == {"configs", "here", "outputs"}


def test_a_number_is_the_number_that_is_meant(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEED", "5")
    monkeypatch.setenv("LEAK", "1e-1")
    settings = ("seed=${oc.env:SEED}", "training.leak=${oc.env:LEAK}", "record_every=1e1")
    left = call("training.steps=2e1", "agents=3.0", "agent.awareness=-1", *settings)
    assert left.status == 0, left.stderr
    provenance = left.json("provenance.json")
    assert (provenance["seed"], provenance["agents"], provenance["record_every"]) == (5, 3, 10)
    assert provenance["agent"]["initial"]["awareness"] == -1.0
    assert (provenance["training"]["steps"], provenance["training"]["leak"]) == (20, 0.1)


@pytest.mark.parametrize(
    ("name", "setting", "says"),
    [
        ("curves", "sweep=nosuch://x", "store: got 'nosuch://x': Protocol not known"),
        ("evidence", "store=nosuch://x", "store: got 'nosuch://x': Protocol not known"),
    ],
)
def test_a_place_that_is_none_is_refused(call: Call, name: str, setting: str, says: str) -> None:
    assert_refused(call(setting, name=name), says)


def test_a_sweep_in_a_file_runs_where_the_file_says(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "configs" / "own" / "leaks.yaml"
    file.parent.mkdir(parents=True)
    sweep = {"params": {"training.leak": "0,0.2", "seed": "range(2)"}}
    hydra = {"mode": "MULTIRUN", "sweep": {"dir": "there"}, "sweeper": sweep}
    file.write_text(f"# @package _global_\n{yaml.safe_dump({'hydra': hydra})}", encoding="utf-8")
    left = call("--config-dir", "configs", "+own=leaks", "record=summary", "seed=range(3)", *FEW)
    assert left.status == 0, left.stderr
    assert "runs: 6," in left.stdout
    (sweep_directory,) = (tmp_path / "there").iterdir()
    assert sweep_directory.name.startswith("copyright-")
    left = call("sweep=there", name="curves")
    assert (left.status, left.stdout) == (2, "")
    assert f"there is one in each of its {sweep_directory.name}" in left.stderr


def test_long_quoted_levels_leave_the_numbers_in_sight(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ("state.awareness", "scenario.contexts.*.scratchpad")
    levels = ",".join(f"[{{key: '{key}', set: 0}}]" for key in keys)
    monkeypatch.setattr(out, "width", 80)
    left = call("-m", *FEW, "record=summary", f"do={levels}")
    assert left.status == 0, left.stderr
    assert "QuotedString" not in left.stdout
    assert "alignment" in left.stdout


# ------------------------------------------------------------------------------------- bad runs

BAD = yaml.safe_load((Path(__file__).parent / "refusals.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("settings", "says"), BAD, ids=[" ".join(settings) for settings, _ in BAD])
def test_bad_settings_are_refused_in_one_line_before_anything_is_written(
    call: Call, settings: list[str], says: str
) -> None:
    assert_refused(call(*settings), says)


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


@pytest.mark.parametrize(("thing", "method"), [(Path, "write_bytes"), (Figure, "savefig")])
def test_a_full_disk_is_told_in_one_line_and_leaves_nothing_half_written(
    call: Call, monkeypatch: pytest.MonkeyPatch, thing: type, method: str
) -> None:
    def fail(it: object, content: Any, **how: object) -> None:
        (it if isinstance(it, Path) else Path(content)).write_text("half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(thing, method, fail)
    left = call(*FEW)
    assert left.status == 1
    last = left.stderr.splitlines()[-1]
    what = "written last: .*" if thing is Figure else "no result was written"
    assert re.fullmatch(rf"error: (?!.*None|.*part).*No space left on device; {what}", last)
    assert not [path for path in left.files() if ".part" in path.name]


def test_a_folder_that_cannot_be_made_is_told_in_one_line(call: Call, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    left = call(*FEW, "hydra.run.dir=taken/run")
    assert left.status in {1, 2}
    assert re.fullmatch(r"error: .*taken.*\n", left.stderr), left.stderr


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


#: What a run allows of its own keys, as in the schema of a spec.
OF_A_RUN = {
    "properties": {
        "agents": {"type": "integer", "minimum": 1, "exclusiveMaximum": 10**6},
        "seed": {"type": "integer", "minimum": 0},
        "record_every": {"type": "integer", "minimum": 1},
        **{key: {"type": "string"} for key in ("engine", "precision", "record")},
        "do": {"type": "array", "anyOf": [{"type": "null"}]},
        "executor": {"type": "object"},
    }
}


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_a_run_refuses_what_its_keys_do_not_allow(every: int) -> None:
    open_sections()
    with initialize_config_dir(config_dir=str(CONFIGS), version_base="1.3"):
        config = compose("emergence", overrides=[*FEW])
    numbers = {
        key: field
        for key, field in Training.model_json_schema()["properties"].items()
        if field.get("type") in ("number", "integer")
    }
    of_training = [
        (f"training.{key}", value)
        for key, value in bad_inputs({"properties": numbers})
        if value is not DELETED  # has its default
    ]
    bad = [*bad_inputs(OF_A_RUN, SPEC_KEYS), *of_training]
    assert len(bad) > 300
    for key, value in bad[::every]:
        with pytest.raises(Stopped) as refusal, stopping():
            read_run(changed(config, key, value))
        assert refusal.value.status == 2
        message = str(refusal.value)
        assert "\n" not in message
        assert (key if key != "do" else "") in message, f"{key}={value}: {message}"


def test_any_terminal_and_a_numba_that_does_not_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    monkeypatch.setenv("MPLBACKEND", "nonsense")
    monkeypatch.setenv("NUMBA_NUM_THREADS", "0")
    left = command(tmp_path, *FEW, "hydra.run.dir=one")
    assert left.status == 0, left.stderr
    assert "Traceback" not in left.stderr
    assert "warning: engine: numba does not work here (ValueError: Number of t" in left.stderr
    assert "engine numpy" in left.stdout
    assert left.only("emergence.png").stat().st_size > 100


def test_ctrl_c_ends_a_command_that_is_starting(tmp_path: Path) -> None:
    """When it is told so while the command line is imported, and nothing is ready to hear it."""
    starting = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import sim.cli\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "except BaseException:\n"
        "    print('swallowed')\n"
    )
    program = tmp_path / "training-gaming"
    program.write_text(starting, encoding="utf-8")
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "interrupted; no result was written\n"
