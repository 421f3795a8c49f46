"""The runner of studies, on the example of docs/how-to.md, outside the checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from commands import Left, assert_refused
from sim.cli.outputs import render
from test_tutorial import blocks

FEW = ("training.steps=20", "agents=3")
EXAMPLE = {title: text for _, title, text in blocks("how-to.md") if title.startswith("anchors/")}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as a user writes it down."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "anchors").mkdir()
    for title, text in EXAMPLE.items():
        (folder / title).write_text(text, encoding="utf-8")
    return folder / "anchors"


def start(study: Path, folder: Path, *arguments: str, **variables: str) -> Left:
    """Run a study as a user does, in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(study), *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200", **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Left(done.returncode, done.stdout, done.stderr, folder)


def test_the_example_leaves_everything(study: Path, tmp_path: Path) -> None:
    left = start(study, tmp_path, *FEW, "strengths=0.5")
    assert left.status == 0, left.stderr
    names = {path.name for path in left.only("report.md").parent.iterdir() if path.is_file()}
    assert names == {
        *("anchors.csv", "summary.json", "provenance.json"),
        *("anchors.png", "anchors.svg", "report.md"),
    }
    (row,) = pd.read_csv(left.only("anchors.csv")).to_dict("records")
    assert left.json("summary.json") == {"anchors": [row]}
    assert row["anchor"] == 0.5
    report = left.only("report.md").read_text(encoding="utf-8")
    assert report.startswith("# Gaming in copyright, 3 agents\n")
    assert f"| 0.500 | {100 * row['gaming_rate']:.0f} % |\n" in report
    provenance = left.json("provenance.json")
    assert provenance["study"] == {"strengths": [0.5], "agents": 3, "seed": 0}
    assert provenance["training"]["steps"] == 20
    assert provenance["interventions"] == []
    assert "gaming rate" in left.stdout
    assert left.stdout.splitlines()[-1] == (
        f"numbers, figures and report: {left.only('report.md').parent}"
    )
    assert left.only("report.md").parent.parent == tmp_path / "outputs" / "anchors"


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("strength=[1]", "strength: unknown key; did you mean 'strengths'?"),
        ("+strength=[1]", "strength: unknown key; did you mean 'strengths'?"),
        ("strengths=[0.1,2]", "strengths[1]: got 2: must be a number from 0 to 1"),
        ("agents=0", "agents: got 0: must be 1 or more"),
        ("~seed", "seed: is missing"),
        ("scenario=copyrigth", "did you mean 'copyright'?"),
        ("training.leek=1", "training.leek: unknown key; did you mean 'leak'?"),
        ("~scenario", "scenario: is missing"),
    ],
)
def test_bad_input_is_refused_in_one_line(
    study: Path, tmp_path: Path, setting: str, says: str
) -> None:
    assert_refused(start(study, tmp_path, setting), says)


def test_the_provenance_describes_interventions(study: Path, tmp_path: Path) -> None:
    shutil.copytree(study, tmp_path / "anchors")
    with (tmp_path / "anchors" / "config.yaml").open("a", encoding="utf-8") as config:
        config.write("\ndo: []\n")
    intervention = "do=[{key: gaming, set: 0, start: 5}]"
    left = start(tmp_path / "anchors", tmp_path, *FEW, "strengths=0.5", intervention)
    assert left.status == 0, left.stderr
    (described,) = left.json("provenance.json")["interventions"]
    assert described.items() >= {"key": "gaming", "set": 0, "start": 5}.items()


def test_the_help_is_the_config_with_its_comments(study: Path, tmp_path: Path) -> None:
    left = start(study, tmp_path, "--help")
    assert left.status == 0, left.stderr
    head, _, body = left.stdout.partition("Settings are given as key=value.")
    assert head.startswith("How does an anchor change gaming?\n\n  python anchors strengths=")
    assert "agents: 16                  # how many agents" in body
    assert "scenario=NAME (copyright) ==" in body
    assert "scratchpad" in body
    assert "defaults" not in left.stdout
    assert left.files() == []


def test_several_values_make_a_job_each_in_processes_too(study: Path, tmp_path: Path) -> None:
    arguments = ("-m", *FEW, "strengths=[0]", "seed=0,1", "hydra/launcher=joblib")
    left = start(study, tmp_path, *arguments)
    assert left.status == 0, left.stderr
    jobs = sorted(tmp_path.rglob("provenance.json"))
    assert [path.parent.name for path in jobs] == ["0", "1"]
    assert [json.loads(path.read_text())["study"]["seed"] for path in jobs] == [0, 1]


def test_without_jinja_all_but_the_report_is_written(study: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "jinja2.py").write_text("raise ModuleNotFoundError(name='jinja2')\n")
    left = start(study, tmp_path, *FEW, PYTHONPATH=str(hidden))
    assert left.status == 0, left.stderr
    assert 'pip install "training-gaming-sim[studies]"' in left.stderr
    names = {path.name for path in left.files()}
    assert names >= {"anchors.csv", "anchors.svg", "summary.json", "provenance.json"}
    assert "report.md" not in names
    assert left.stdout.splitlines()[-1].startswith("numbers and figures: ")


# ---------------------------------------------------------------------- what a study may leave out

SMALL = """
import pandas as pd
from sim.cli.fields import Count, Spec

SHOWN = {"squares": ["square"]}

class Settings(Spec):
    numbers: Count

def check(settings):
    if settings.numbers == 13:
        from sim import SpecError
        raise SpecError("numbers: got 13: not this one")

def run(specs, settings, *, progress):
    assert specs is None
    progress(1.0)
    return list(range(settings.numbers))

def tables(results):
    squares = pd.DataFrame({"number": results, "square": [x * x for x in results]})
    return {"squares": squares, "hidden": squares}

def summary(results, settings):
    return {"sum": sum(results), "of": settings.numbers}

def write(results, directory):
    (directory / "list.txt").write_text(" ".join(map(str, results)))
"""


@pytest.fixture
def small(tmp_path: Path, study: Path) -> Path:
    """A study without a scenario, figure and report, with all that is optional in study.py."""
    folder = tmp_path / "place" / "small"
    folder.mkdir(parents=True)
    shutil.copy(study / "__main__.py", folder)
    (folder / "config.yaml").write_text("defaults: [application, _self_]\nnumbers: 3 # how many\n")
    (folder / "study.py").write_text(SMALL)
    return folder


def test_a_study_need_not_have_a_scenario_a_figure_or_a_report(small: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    left = start(small, tmp_path / "run")
    assert left.status == 0, left.stderr
    assert left.json("summary.json") == {"sum": 3, "of": 3}
    assert left.json("provenance.json")["study"] == {"numbers": 3}
    assert left.only("list.txt").read_text() == "0 1 2"
    assert left.only("hidden.csv").read_text() == left.only("squares.csv").read_text()
    assert "square" in left.stdout
    assert "number " not in left.stdout
    assert "hidden" not in left.stdout
    assert left.stdout.splitlines()[-1].startswith("numbers: ")
    assert "scenario" not in start(small, tmp_path / "run", "--help").stdout


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("numbers=13", "numbers: got 13: not this one"),
        ("+scenario=copyright", "unknown key"),
        ("number=3", "number: unknown key; did you mean 'numbers'?"),
    ],
)
def test_its_own_check_and_keys_refuse(
    small: Path, tmp_path: Path, setting: str, says: str
) -> None:
    (tmp_path / "run").mkdir()
    assert_refused(start(small, tmp_path / "run", setting), says)


def test_a_report_has_text_of_data_as_text(tmp_path: Path) -> None:
    (tmp_path / "report.md.j2").write_text("# {{ name }}\n", encoding="utf-8")
    values = {"name": "a\ud800\x1b[31m\0"}
    assert render(tmp_path / "report.md.j2", values) == "# a\\ud800\\x1b[31m\\x00\n"


def test_a_mistake_in_the_template_leaves_the_numbers(small: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (small / "report.md.j2").write_text("# Squares\n{{ tables.square }}\n")
    left = start(small, tmp_path / "run")
    assert left.status == 1
    last = left.stderr.splitlines()[-1]
    assert re.match(r"error: .+report\.md\.j2: line 2: .+ has no attribute 'square'", last), last
    assert left.only("squares.csv").exists()
    assert not list((tmp_path / "run").rglob("report.md*"))


def test_a_name_that_another_package_has_is_refused(small: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    taken = small.rename(small.parent / "json")
    assert_refused(start(taken, tmp_path / "run"), "its name is taken by another package")
