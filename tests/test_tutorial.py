"""Every command and block of Python of the tutorial and of the recipes works as it stands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from commands import Call, caller

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r'^```(\w+)(?: title="(.+?)")?\n(.*?)^```', flags=re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[str, str, str]]:
    return BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))


def words(line: str) -> list[str]:
    """Return a command as a shell would, with `$(echo FOLDER/*)` written out."""

    def join_words(match: re.Match[str]) -> str:
        (path,) = Path().glob(match[1])
        return path.as_posix()

    return shlex.split(re.sub(r"\$\(echo ([^)]+)\)", join_words, line))


def follow(page: str, folder: Path, call: Call) -> int:
    """Do what a page says, in its order; returns how much there was."""
    said: dict[str, object] = {}
    for language, title, text in blocks(page):
        if title:
            (folder / title).parent.mkdir(parents=True, exist_ok=True)
            (folder / title).write_text(text, encoding="utf-8")
        elif language == "python":
            exec(compile(text, page, "exec"), said)
        elif language != "sh":  # tests/test_main.py has those of the command
            assert language == "bash"
            for line in text.splitlines():
                program, script, *arguments = words(line)
                assert program == "python"
                left = call(*arguments, name=Path(script).stem)
                assert left.status == 0, f"{line}\n{left.stderr}"
    return len(blocks(page))


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Call:
    monkeypatch.chdir(tmp_path)
    return caller(tmp_path, monkeypatch, capfd)


def test_the_tutorial_works(tmp_path: Path, call: Call) -> None:
    assert follow("tutorial.md", tmp_path, call) >= 8


@pytest.mark.slow
def test_the_recipes_work(tmp_path: Path, call: Call) -> None:
    assert follow("how-to.md", tmp_path, call) >= 10


def test_a_command_of_the_guide_works(tmp_path: Path, call: Call) -> None:
    assert follow("reading-group.md", tmp_path, call) == 1


def test_what_the_tutorial_says_of_its_runs_is_so(tmp_path: Path) -> None:
    import sim

    (own,) = (text for kind, _, text in blocks("tutorial.md") if kind == "yaml")
    (tmp_path / "flattery.yaml").write_text(own, encoding="utf-8")
    result = sim.simulate(str(tmp_path / "flattery.yaml"), agents=2)
    rate = result.gaming_rate.isel(step=-1).median("agent")
    assert rate.sel(context="essay_review") > 0.5
    assert rate.sel(context="recipes") < 0.01
    unaware = sim.simulate("copyright", agent={"initial": {"awareness": -9}}, agents=8)
    assert (unaware.gaming_rate.isel(step=-1) < 0.1).all()
    assert (unaware.values.sel(value="copyright").isel(step=-1) < 0).all()
