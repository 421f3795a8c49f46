"""The tests that Hydra ships for sweepers and launchers, on ours; and its own beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.test_utils.launcher_common_tests import (
    BatchedSweeperTestSuite,
    IntegrationTestSuite,
    LauncherTestSuite,
)
from hydra.version import Version, VersionBase

from commands import Call, Left, command, ended, start
from hydra_plugins.array_sweeper import SETTINGS

# The suites' applications leave it to Hydra whether jobs change the working directory.
pytestmark = pytest.mark.filterwarnings("ignore:Future Hydra versions will no longer change:")

OURS = "hydra/sweeper=array"
FEW = ("-m", "engine=numpy", "training.steps=20", "agents=3", "training.leak=0,0.2")
parametrize = pytest.mark.parametrize


@pytest.fixture(autouse=True)
def as_if_nothing_ran_before() -> Iterator[None]:
    """Let applications without a version of their own be of Hydra 1.1, as the suites expect."""
    version = VersionBase.instance()
    before = version.version_base
    version.version_base = Version("1.1")
    yield
    version.version_base = before


def test_hydra_finds_the_sweeper() -> None:
    sweepers = [f"{it.__module__}.{it.__name__}" for it in Plugins.instance().discover(Sweeper)]
    assert SETTINGS["_target_"] in sweepers


@parametrize(("launcher_name", "overrides"), [("basic", [OURS])])
class TestLaunching(LauncherTestSuite):
    """Sweeping any application, with Hydra's basic launcher."""


@parametrize(("launcher_name", "overrides"), [("basic", [OURS, "hydra.sweeper.max_batch_size=2"])])
class TestBatches(BatchedSweeperTestSuite):
    """Sweeping in batches."""


@pytest.mark.slow  # a process for each
@parametrize(
    ("task_launcher_cfg", "extra_flags"),
    [({"defaults": [{"override hydra/sweeper": "array"}]}, ["-m"])],
)
class TestIntegration(IntegrationTestSuite):
    """Sweeping an application in a process of its own."""


# ------------------------------------------------------------------------- our runs as Hydra's jobs


def assert_two_runs(left: Left, directory: Path) -> None:
    """Each job has left what a single run leaves, in a directory of its own."""
    assert left.status == 0, left.stderr
    assert "Traceback" not in left.stderr
    for job, leak in (("0", 0.0), ("1", 0.2)):
        names = {path.name for path in (directory / job).iterdir() if path.is_file()}
        assert names >= {"summary.json", "result.nc", "provenance.json", "emergence.png"}
        provenance = json.loads((directory / job / "provenance.json").read_text())
        assert provenance["training"]["leak"] == leak
        assert provenance["scenario"]["name"] == "copyright"


@pytest.mark.slow
def test_launchers_run_one_job_for_each_run_and_never_in_the_same_place(tmp_path: Path) -> None:
    launchers = ("hydra/launcher=joblib", "hydra/launcher=submitit_local")
    jobs = [(name, *more) for name in launchers for more in ((), ("hydra/sweeper=basic",))]
    running = [start(tmp_path, *FEW, *job) for job in jobs]
    lefts = [ended(process, tmp_path, timeout=300) for process in running]
    root = tmp_path / "outputs" / "emergence-sweep"
    directories = [path.parent for path in root.glob("*/multirun.yaml")]
    assert len(directories) == len(jobs)
    for left, directory in zip(lefts, directories, strict=True):
        assert_two_runs(left, directory)


def test_the_standard_sweeper_runs_one_job_for_each_run(call: Call) -> None:
    left = call(*FEW, "hydra/sweeper=basic")
    (directory,) = (left.folder / "outputs" / "emergence-sweep").iterdir()
    assert_two_runs(left, directory)


@pytest.mark.slow
def test_a_job_that_fails_in_another_process_is_told_in_one_line(tmp_path: Path) -> None:
    for launcher in ("joblib", "submitit_local"):
        left = command(tmp_path, *FEW[:-1], f"hydra/launcher={launcher}", "training.leak=0,2")
        assert left.status == 2
        assert "Traceback" not in left.stderr
        last = left.stderr.splitlines()[-1]
        assert last == "error: training.leak: got 2: must be a number from 0 to 1"
