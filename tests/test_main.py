"""The command `training-gaming`, and the public names that `import sim` brings."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra

import sim
from commands import Left
from sim.cli.main import find_studies, main

ROOT = Path(__file__).parent.parent
HEAVY = ("numpy", "pandas", "xarray", "matplotlib", "scipy", "numba", "mesa", "hydra", "pydantic")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """Call the command in this process."""

    def call(*arguments: str, **variables: str) -> Left:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["training-gaming", *arguments])
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        GlobalHydra.instance().clear()
        status: object = 0
        try:
            main()
        except SystemExit as leaving:
            status = leaving.code or 0
        finally:
            GlobalHydra.instance().clear()
        assert isinstance(status, int)
        return Left(status, *capfd.readouterr(), tmp_path)

    return call


# -------------------------------------------------------------------------------------- the command


def test_the_console_script_is_this_command() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"training-gaming": "sim.cli.main:main"}


def test_every_study_of_the_checkout_is_a_command(command) -> None:  # type: ignore[no-untyped-def]
    studies = find_studies()
    folders = {path.parent for path in (ROOT / "experiments").glob("*/config.yaml")}
    assert set(studies.values()) == folders
    text = command("--help").stdout
    for name in ("emergence", "curves", "scenarios", *studies):
        assert f"\n  {name} " in text
    assert "Footnote 4 of the post: does partial gaming last?" in text
    assert command().stdout == text


def test_a_study_and_a_run_start(command) -> None:  # type: ignore[no-untyped-def]
    left = command("emergence", "agents=3", "training.steps=20")
    assert left.status == 0, left.stderr
    assert left.only("result.nc").parent.parent == left.folder / "outputs" / "emergence"
    left = command("footnote4", "cases=[b]", "agents=3", "training.steps=100")
    assert left.status == 0, left.stderr
    assert left.only("footnote4.csv").parent.parent == left.folder / "outputs" / "footnote4"
    assert "training-gaming footnote4 cases=[a,c]" in command("footnote4", "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["emergense"], "error: emergense: unknown command; did you mean 'emergence'?"),
        (["footnote-4"], "error: footnote-4: unknown command; did you mean 'footnote4'?"),
        (["emergence", "agents=0"], "error: agents: got 0: must be a whole number of 1 or more"),
        (["curves"], "error: sweep: is missing"),
        (["scenarios", "copyrigth"], "error: scenario: no scenario is named 'copyrigth'; did you"),
        (["scenarios", __file__], f"error: {__file__}: line 1: "),
        (["scenarios", "a", "b"], "error: scenarios: takes one name, got a b"),
    ],
)
def test_a_bad_command_is_refused_in_one_line(command, arguments: list[str], line: str) -> None:  # type: ignore[no-untyped-def]
    left = command(*arguments)
    assert (left.status, left.stdout, left.files()) == (2, "", [])
    assert left.stderr.startswith(line)
    assert left.stderr.count("\n") == 1


def test_scenarios_are_listed_and_printed(command) -> None:  # type: ignore[no-untyped-def]
    listed = command("scenarios").stdout.splitlines()
    assert [line.split()[0] for line in listed] == [*sim.scenarios(), "PRIOR/NUMBER"]
    path = ROOT / "configs" / "scenario" / "copyright.yaml"
    assert command("scenarios", "copyright").stdout == path.read_text(encoding="utf-8")
    text = command("scenarios", "worlds/7").stdout
    assert sim.Scenario.load(yaml.safe_load(text)) == sim.draw_scenario("worlds", 7)


def test_the_version(command) -> None:  # type: ignore[no-untyped-def]
    assert command("--version").stdout == f"training-gaming {sim.__version__}\n"


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("training-gaming emer", "emergence"),
        ("training-gaming ", "footnote4"),
        ("training-gaming emergence scenario=", "scenario=copyright"),
        ("training-gaming footnote4 training.l", "training.leak="),
    ],
)
def test_a_shell_completes_commands_and_keys(command, line: str, word: str) -> None:  # type: ignore[no-untyped-def]
    left = command("-sc", "query=bash", COMP_LINE=line)
    assert left.status == 0, left.stderr
    assert word in left.stdout.split()


def test_a_shell_is_told_how_to_complete(command) -> None:  # type: ignore[no-untyped-def]
    script = command("-sc", "install=bash").stdout
    assert script.rstrip().endswith("-F hydra_bash_completion training-gaming")


# ---------------------------------------------------------------------------------------- the names


def test_every_public_name_is_there() -> None:
    assert set(dir(sim)) == {*sim.__all__, "__version__"}
    renamed = {"Draws": "PriorSample", "prospects": "takeover_probability"}  # public names stay
    for name in sim.__all__:
        assert getattr(sim, name).__name__ == renamed.get(name, name)
    with pytest.raises(AttributeError, match="has no attribute 'simulat'"):
        sim.simulat  # type: ignore[attr-defined]  # noqa: B018


def test_no_module_has_the_name_of_something_public() -> None:
    """Importing `sim.NAME` would put the module where the public thing of that name is."""
    modules = {module.name for module in pkgutil.iter_modules(sim.__path__)}
    assert len(modules) > 5
    assert not modules & set(sim.__all__)


def test_importing_the_package_imports_nothing_else() -> None:
    code = f"import sim, sys; print(*[m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import runpy, sys; sys.argv = ['x', '--help']\n"
        f"runpy.run_path({str(ROOT / 'experiments' / 'emergence.py')!r}, run_name='__main__')\n"
        "print(*[m for m in ('pandas', 'xarray', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""
