"""The phase diagram as a command: what it writes, keeps, prints and refuses."""

from __future__ import annotations

import re

import pytest
import xarray as xr

from commands import Call, assert_refused

FEW = (
    "engine=numpy", "training.steps=100", "seeds=2", "x.points=17", "y.points=17", "stride=4",
    "training.learning_rate.habit=0.5",
)  # fmt: skip


def test_it_prints_what_it_saved_and_makes_no_run_twice(call: Call) -> None:
    left = call(*FEW, name="phase_diagram")
    assert left.status == 0, left.stderr
    summary = left.json("summary.json")
    said = re.search(r"([\d,]+) of ([\d,]+) runs computed: +([\d,]+) saved", left.stdout)
    assert said is not None, left.stdout
    runs, full_runs, saved = (int(number.replace(",", "")) for number in said.groups())
    assert (runs, full_runs, saved) == (summary["runs"], 578, 578 - runs)
    data = xr.load_dataset(left.only("phase_diagram.nc"), engine="h5netcdf")
    assert 2 * int(data["evaluated"].sum()) == runs < full_runs
    assert summary["resumed"] == 0
    names = {path.name for path in left.only("summary.json").parent.iterdir() if path.is_file()}
    files = {f"phase_diagram.{ending}" for ending in ("nc", "png", "svg")}
    assert names == {"summary.json", "provenance.json", *files}
    shares = {name: float((data["regime"] == name).mean()) for name in summary["shares"]}
    assert summary["shares"] == shares
    assert left.json("provenance.json")["x"]["key"] == "agent.initial.awareness"
    (kept,) = (left.folder / "outputs" / "phase_diagram-sweeps").iterdir()
    assert kept.name.startswith("copyright-")
    again = call(*FEW, "contour=alignment", name="phase_diagram")
    assert f"{runs:,} of them kept from before" in " ".join(again.stdout.split())
    assert list((left.folder / "outputs" / "phase_diagram-sweeps").iterdir()) == [kept]


def test_runs_need_not_be_kept(call: Call) -> None:
    settings = ("store=null", "refine=false", "x.points=3", "y.points=2")
    left = call(*FEW, *settings, "scenario=scratchpad", name="phase_diagram")
    assert left.status == 0, left.stderr
    assert "12 of 12 runs computed: 0 saved (0.0 %)" in left.stdout
    assert [path.name for path in (left.folder / "outputs").iterdir()] == ["phase_diagram"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("x.key=null", "x.key: is missing"),
        ("+x.colour=red", "x.colour: unknown key; allowed: high, key, low, points, scale"),
        ("rules.gamed=2", "rules: got idle=0.1 and gamed=2: must be 0 < idle <= gamed <= 1"),
        ("rules.gamed=much", "rules.gamed: got 'much': must be a number from 0 to 1"),
        ("+rules.window=3", "rules.window: unknown key; allowed: gamed, idle, steady"),
        ("rules=3", "rules: got 3: must be thresholds: gamed, idle, steady"),
        ("store=3", "store: got 3: must be a directory"),
        ("training.leek=0", "training.leek: unknown key; did you mean 'leak'?"),
        ("strides=3", "strides: unknown key; did you mean 'stride'?"),
        ("agents=3", "agents: unknown key; did you mean 'agent'?"),
    ],
)
def test_what_is_no_map_is_refused_before_anything_is_written(
    call: Call, setting: str, message: str
) -> None:
    assert_refused(call(setting, name="phase_diagram"), message)


def test_the_help_tells_of_every_key(call: Call) -> None:
    from experiments.phase_diagram.command import KEYS, OWN

    shown = call("--help", name="phase_diagram").stdout
    assert all(f"\n  {setting} " in shown for setting in OWN)
    assert all(len(line) <= 100 for line in shown.split("== Scenarios")[0].splitlines())
    defaults = call("--cfg", "job", name="phase_diagram").stdout
    top = re.findall(r"^'?(\w+)'?:", defaults, flags=re.MULTILINE)
    assert set(top) == {"scenario", "agent", "training", *KEYS}
