"""The study `phase_diagram`: its numbers, the runs that it keeps, and its own refusals."""

from __future__ import annotations

import pandas as pd
import pytest
import xarray as xr

from commands import Call, assert_refused

AWARENESS = "agent.initial.awareness"
FEW = (
    "engine=numpy", "training.steps=100", "seeds=2", "x.points=9", "y.points=9", "stride=4",
    "training.learning_rate.habit=0.5",
)  # fmt: skip


def test_the_same_command_again_makes_no_run_twice(call: Call) -> None:
    left = call(*FEW, name="phase_diagram")
    assert left.status == 0, left.stderr
    summary = left.json("summary.json")
    data = xr.load_dataset(left.only("phase_diagram.nc"), engine="h5netcdf")
    assert 2 * int(data["evaluated"].sum()) == summary["runs"] == sum(summary["levels"])
    assert summary["runs"] + summary["saved"] == summary["full_runs"] == 2 * 81
    shares = {name: float((data["regime"] == name).mean()) for name in summary["shares"]}
    assert summary["shares"] == shares
    regimes = pd.read_csv(left.only("regimes.csv")).set_index("regime")["share"]
    assert regimes.sum() == pytest.approx(1.0)
    (kept,) = (left.folder / "outputs" / "phase_diagram-sweeps").iterdir()
    assert kept.name.startswith("copyright-")

    again = call(*FEW, "contour=alignment", "hydra.run.dir=again", name="phase_diagram")
    runs = pd.read_csv(again.folder / "again" / "runs.csv").iloc[0]
    assert runs["resumed"] == runs["runs"] == summary["runs"]
    assert list((left.folder / "outputs" / "phase_diagram-sweeps").iterdir()) == [kept]


def test_the_full_grid_need_not_be_kept(call: Call) -> None:
    settings = ("store=null", "refine=false", "x.points=3", "y.points=2", "scenario=scratchpad")
    left = call(*FEW, *settings, name="phase_diagram")
    assert left.status == 0, left.stderr
    assert left.json("summary.json")["runs"] == left.json("summary.json")["full_runs"] == 12
    assert [path.name for path in (left.folder / "outputs").iterdir()] == ["phase_diagram"]


REFUSED = [
    ("x.key=agent.initial.awarenes", "did you mean 'awareness'?"),
    ("x.key=training.steps x.low=10 x.high=20", "x.key: got 'training.steps': must be a number in"),
    ("x.key=training.update_rule", "training.update_rule: "),
    ("y.key=agent.awareness", "y.key: got 'agent.awareness': must be another number than that of"),
    ("x.key=null", "x.key: got None: must be text"),
    ("x=3", "x: got 3: must be a mapping"),
    ("+x.colour=red", "x.colour: unknown key; allowed: high, key, low, points, scale"),
    ("x.points=100000", "x.points: got 100000: must be 2000 or less"),
    ("x.low=5", f"{AWARENESS}: got (5.0, -2.0, 'linear'): must be a range (low, high)"),
    ("x.scale=log", f"{AWARENESS}: got (-10.0, -2.0, 'log'): must be a range (low, high)"),
    ("y={key:training.leak,low:0,high:2}", "training.leak: "),
    ("contour=reech", "contour: got 'reech': did you mean 'reach'?"),
    ("contour=values.copright", "contour: got 'values.copright': did you mean 'values.copyright'?"),
    ("rules.idle=0.6", "rules: got idle=0.6 and gamed=0.5: must be 0 < idle <= gamed <= 1"),
    ("+rules.window=3", "rules.window: unknown key; allowed: gamed, idle, steady"),
    ("store=3", "store: got 3: must be a directory"),
]


@pytest.mark.parametrize(("settings", "says"), REFUSED)
def test_what_is_no_diagram_is_refused(call: Call, settings: str, says: str) -> None:
    assert_refused(call(*settings.split(), name="phase_diagram"), says)
