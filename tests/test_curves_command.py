"""experiments/curves.py: the figure of a sweep and its numbers; what it refuses."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from bad_inputs import DELETED, VALUES, changed
from commands import Call, Left, assert_refused, script
from sim.cli.curves import KEYS, read
from sim.cli.errors import Stopped, stopping
from sim.sweeps.record import CURVES
from sim.sweeps.result import Sweep

LEAK, AWARE = "training.leak", "agent.initial.awareness"
FEW = ("-m", "engine=numpy", "training.steps=40", "agents=3", "record_every=20")


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Sweeps to draw: one with curves over several axes, and one that kept none."""
    axes = (f"{AWARE}=-1,2", f"{LEAK}=0,0.1,0.2", "scenario=copyright,scratchpad", "seed=range(3)")
    asked = {"curves": (*axes, "record=curves"), "summary": (f"{LEAK}=0,0.2", "record=summary")}
    found = {}
    for name, settings in asked.items():
        root = tmp_path_factory.mktemp(name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HYDRA_FULL_ERROR", "1")
            arguments = [*FEW, *settings, f"hydra.sweep.dir={root}"]
            patch.setattr(sys, "argv", [str(script("emergence")), *arguments])
            GlobalHydra.instance().clear()
            runpy.run_path(str(script("emergence")), run_name="__main__")
            GlobalHydra.instance().clear()
        (found[name],) = root.iterdir()
    return found


def draw(call: Call, directory: Path, *settings: str) -> tuple[Left, pd.DataFrame, Path]:
    left = call(f"sweep={directory}", *settings, name="curves")
    assert left.status == 0, left.stderr
    numbers, png, svg = (
        Path(line.split(": ", 1)[1]) for line in left.stdout.splitlines() if ": " in line
    )
    assert png.read_bytes().startswith(b"\x89PNG")
    assert svg.read_text(encoding="utf-8").startswith("<?xml")
    assert {path.parent for path in (numbers, png, svg)} == {numbers.parent}
    assert not [path for path in left.files() if ".part" in path.name]
    return left, pd.read_csv(numbers), svg


def agents_at_end(directory: Path, variable: str, where: str) -> np.ndarray:
    """Return every agent's number at the last step, of the runs that are meant."""
    return (
        Sweep.load(directory)
        .query(
            f'select "{variable}" as x from curves join design using (run) '
            f"where {where} and step = 40"
        )["x"]
        .to_numpy()
    )


def test_without_more_it_draws_where_most_is_gamed_in_each_scenario_by_the_first_axis(
    call: Call, sweeps: dict[str, Path]
) -> None:
    left, frame, svg = draw(call, sweeps["curves"])
    assert set(frame.columns) >= {AWARE, "step", "variable", "low", "median", "high", "runs"}
    assert LEAK not in frame
    assert set(frame[AWARE]) == {-1.0, 2.0}
    assert frame["variable"].str.startswith("gaming_rate.").all()
    contexts = frame.groupby("scenario")["variable"].unique().to_dict()
    assert {name: len(drawn) for name, drawn in contexts.items()} == {
        "copyright": 3,
        "scratchpad": 3,
    }
    assert set(frame["step"]) == {0, 20, 40}
    text = svg.read_text(encoding="utf-8")
    for shown in ("scenario = copyright", "scenario = scratchpad", "pooled over leak (3 levels)"):
        assert shown in text
    assert left.only("curves.csv").parent.parent == left.folder / "outputs" / "curves"


def test_variables_lines_and_panels_are_as_asked_for(call: Call, sweeps: dict[str, Path]) -> None:
    asked = ("variables=[reach,value_drift]", f"lines={LEAK}", f"panels={AWARE}")
    _, frame, svg = draw(call, sweeps["curves"], *asked)
    assert list(frame["variable"].unique()) == ["reach", "value_drift"]
    assert len(frame) == 2 * 3 * 2 * 3  # variables, leaks, awarenesses, steps
    for (leak, aware), rows in frame.groupby([LEAK, AWARE]):
        where = f'"{LEAK}" = {leak} and "{AWARE}" = {aware}'
        row = rows[(rows["variable"] == "value_drift") & (rows["step"] == 40)].iloc[0]
        agents = agents_at_end(sweeps["curves"], "value_drift", where)
        assert len(agents) == 3 * row["runs"] == 18
        expected = np.quantile(agents, [0.1, 0.5, 0.9])
        np.testing.assert_allclose(row[["low", "median", "high"]].astype(float), expected, 1e-5)
    text = svg.read_text(encoding="utf-8")
    for shown in ("awareness = ", "reach", "leak"):
        assert shown in text


def test_axes_can_be_fixed_at_a_level(call: Call, sweeps: dict[str, Path]) -> None:
    asked = ("variables=value_drift", f"where={{{LEAK}: 0.2, scenario: copyright}}")
    _, frame, svg = draw(call, sweeps["curves"], *asked, f"lines={AWARE}")
    assert len(frame) == 2 * 3  # awarenesses, steps
    for aware, row in frame[frame["step"] == 40].groupby(AWARE):
        where = f""" "{LEAK}" = 0.2 and scenario = 'copyright' and "{AWARE}" = {aware}"""
        expected = np.quantile(agents_at_end(sweeps["curves"], "value_drift", where), [0.1, 0.9])
        np.testing.assert_allclose(row[["low", "high"]].iloc[0].astype(float), expected, 1e-5)
    assert "leak = 0.2; scenario = copyright" in svg.read_text(encoding="utf-8")


def test_one_variable_may_stand_without_brackets_and_stands_for_all_its_columns(
    call: Call, sweeps: dict[str, Path]
) -> None:
    _, frame, _ = draw(call, sweeps["curves"], "variables=values")
    assert set(frame["variable"]) == {
        f"values.{n}" for n in ("copyright", "helpfulness", "privacy")
    }
    _, frame, _ = draw(call, sweeps["curves"], "variables=reach", f"panels={AWARE}")
    assert {LEAK, AWARE} <= set(frame.columns)  # the first axis has the panels, the next the lines


@pytest.mark.parametrize(("baseline", "compared"), [(None, [0.1, 0.2]), (0.2, [0, 0.1])])
def test_a_difference_is_between_runs_with_the_same_seed(
    call: Call, sweeps: dict[str, Path], baseline: float | None, compared: list[float]
) -> None:
    asked = ["variables=value_drift", f"difference={LEAK}"]
    left, frame, _ = draw(
        call, sweeps["curves"], *asked, *([] if baseline is None else [f"baseline={baseline}"])
    )
    assert left.only("differences.csv").parent == left.only("differences.png").parent
    assert sorted(set(frame[LEAK])) == compared
    runs = Sweep.load(sweeps["curves"]).frame.sort_values(["scenario", AWARE, "seed"])
    level = 0.0 if baseline is None else baseline
    drift = {leak: rows["value_drift"].to_numpy() for leak, rows in runs.groupby(LEAK)}
    for leak in compared:
        row = frame[(frame[LEAK] == leak) & (frame["step"] == 40)].iloc[0]
        assert row["runs"] == 12
        expected = np.quantile(drift[leak] - drift[level], [0.1, 0.5, 0.9])
        seen = row[["low", "median", "high"]].astype(float)
        np.testing.assert_allclose(seen, expected, rtol=1e-3, atol=1e-6)
        assert abs(row["median"]) > 1e-4


def test_a_directory_can_be_chosen_and_two_drawings_never_share_one(
    call: Call, sweeps: dict[str, Path]
) -> None:
    draw(call, sweeps["curves"], "variables=reach", "hydra.run.dir=mine")
    draw(call, sweeps["curves"], "variables=reach")
    left, _, _ = draw(call, sweeps["curves"], "variables=reach")
    assert len(list(left.folder.rglob("curves.csv"))) == 3
    assert (left.folder / "mine" / "curves.csv").exists()


def test_several_drawings_are_hydras_jobs(call: Call, sweeps: dict[str, Path]) -> None:
    left = call("-m", f"sweep={sweeps['curves']}", "variables=reach,alignment", name="curves")
    assert left.status == 0, left.stderr
    jobs = sorted(left.folder.rglob("curves.csv"))
    assert [path.parent.name for path in jobs] == ["0", "1"]
    assert [set(pd.read_csv(path)["variable"]) for path in jobs] == [{"reach"}, {"alignment"}]


REFUSED = [
    (["sweep=null"], "sweep: is missing; name its directory"),
    (["sweep=nowhere"], "'nowhere' holds no sweep"),
    (["sweep="], "sweep: is missing; name its directory"),
    (["sweep=SUMMARY"], "kept record=summary, which has no curves"),
    (["variables=[reech]"], "variables: got 'reech': did you mean 'reach'?"),
    (["variables=run"], "variables: got 'run': allowed: alignment, "),
    (["variables=3"], "variables: got 3: allowed: alignment, "),
    (["variables=[gaming_rate,values]"], "11 curves are too many for one figure (at most 6)"),
    ([f"lines={LEAK[:-1]}"], f"is no axis of this sweep; did you mean '{LEAK}'?"),
    (["lines=3"], "lines: 3 is no axis of this sweep"),
    (["panels=seed"], "panels: 'seed' is no axis of this sweep"),
    ([f"lines={LEAK}", f"panels={LEAK}"], f"panels: '{LEAK}' has the lines already"),
    (["difference=leak"], "difference: 'leak' is no axis of this sweep"),
    ([f"difference={LEAK}", "baseline=7"], f"baseline: got 7: {LEAK} takes 0.0, 0.1, 0.2"),
    ([f"difference={LEAK}", f"lines={AWARE}"], "lines: the lines of a difference are"),
    (["baseline=0"], "baseline: is of a difference=AXIS"),
    ([f"where={{{LEAK}: 7}}"], f"where: got 7: {LEAK} takes 0.0, 0.1, 0.2"),
    (["where={leak: 0}"], "where: 'leak' is no axis of this sweep; allowed: agent."),
    (
        [f"where={{{LEAK}: 0}}", f"lines={LEAK}"],
        f"where: '{LEAK}' is fixed, and has the lines, too",
    ),
    (["where=3"], "where: "),
    (["linse=3"], "linse: unknown key; did you mean 'lines'?"),
    (["+linse=3"], "linse: unknown key; did you mean 'lines'?"),
    (["training.leak=0"], "training: unknown key; allowed: baseline, "),
]


@pytest.mark.parametrize(("settings", "says"), REFUSED, ids=[" ".join(s) for s, _ in REFUSED])
def test_what_cannot_be_drawn_is_refused_in_one_line_before_anything_is_written(
    call: Call, sweeps: dict[str, Path], settings: list[str], says: str
) -> None:
    if not any(setting.startswith("sweep=") for setting in settings):
        settings = [f"sweep={sweeps['curves']}", *settings]
    left = call(*(s.replace("SUMMARY", str(sweeps["summary"])) for s in settings), name="curves")
    assert_refused(left, says)


def test_a_comparison_that_no_run_allows_is_refused(call: Call, sweeps: dict[str, Path]) -> None:
    """The context is in one of the scenarios only."""
    asked = ("variables=gaming_rate.dossier", "difference=scenario")
    left = call(f"sweep={sweeps['curves']}", *asked, name="curves")
    assert left.status == 2
    why = "no run has come to an end, or no two that differ in scenario alone; variables="
    assert re.fullmatch(rf"error: curves: there is nothing to draw: {why}.*\n", left.stderr)
    assert not list(left.folder.rglob("*.csv"))


# -------------------------------------------------------------------------------------------- help


def test_each_command_has_a_help_of_its_own(call: Call) -> None:
    runs, curves = (call("--help", name=name).stdout for name in ("emergence", "curves"))
    assert runs.startswith("experiments/emergence.py: from a scenario to emergence curves.")
    assert curves.startswith("Emergence curves of a sweep, by any of its axes, with bands; and pai")
    for key in KEYS:
        assert f"\n{key}: " in curves
        assert f"\n  {key}=" not in runs
    assert set(CURVES) <= set(re.findall(r"\w+", curves))
    assert "scenario=NAME" not in curves
    assert all(len(line) <= 100 for line in curves.splitlines())


def test_the_help_of_runs_tells_of_sweeps(call: Call) -> None:
    from hydra_plugins.array_sweeper import SETTINGS
    from sim.cli.keys import ALL_KEYS, EXECUTOR_KEYS

    shown = call("--help").stdout
    for key in set(SETTINGS) - {"_target_", "dir", "max_batch_size", "params"}:
        assert f"  hydra.sweeper.{key}={SETTINGS[key]} " in shown
    for key in set(ALL_KEYS) - {"scenario", "agent", "training"}:
        assert f"\n  {key}=" in shown
    for name, keys in EXECUTOR_KEYS.items():
        assert f"  executor={name} " in shown
        assert all(f"executor.{key}=" in shown for key in keys)


def test_every_setting_of_the_sweeper_in_the_help_can_be_set(call: Call) -> None:
    shown = call("--help").stdout
    settings = re.findall(r"^  (hydra\.sweep\w*\.\w+=\w+)", shown, flags=re.MULTILINE)
    assert len(settings) == 5
    left = call(*FEW, *settings, f"{LEAK}=interval(0,1)", "hydra.sweeper.points=2")
    assert left.status == 0, left.stderr
    assert "2 runs" in left.stderr


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_bad_inputs_are_refused_in_one_line(every: int, sweeps: dict[str, Path]) -> None:
    config = OmegaConf.create({**dict.fromkeys(KEYS), "sweep": str(sweeps["curves"])})
    no_level = [{LEAK: level} for level in (0.3, float("nan"), [0], {}, None, False)]
    bad = [*VALUES, 0, False, {1: 2}, {"seed": True}, *no_level]
    none = {"where": ({},), "variables": ([],)}
    for start, key in enumerate(KEYS):
        for value in bad[start % every :: every]:
            if value in (None, DELETED, *none.get(key, ())) and key != "sweep":
                continue
            with pytest.raises(Stopped) as refusal, stopping():
                read(changed(config, key, value))
            assert "\n" not in str(refusal.value)
            assert key in str(refusal.value)
