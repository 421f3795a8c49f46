"""Every command and block of Python of the tutorial and of the recipes works as it stands."""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest

import sim
from commands import Call

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r'^```(\w+)(?: title="(.+?)")?\n(.*?)^```', flags=re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[str, str, str]]:
    """Return language, title and text of the blocks of code of a page."""
    return BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))


def words(line: str) -> list[str]:
    """Return a command as a shell would, with `$(echo FOLDER/*)` written out."""
    folder = re.search(r"\$\(echo ([^)]+)\)", line)
    if folder:
        (path,) = Path().glob(folder[1])
        line = line.replace(folder[0], path.as_posix())
    return shlex.split(line)


@pytest.mark.parametrize(
    ("page", "count", "fewer"),
    [
        ("tutorial.md", 8, ["training.steps=20"]),
        pytest.param("tutorial.md", 8, [], marks=pytest.mark.slow),
        pytest.param("reading-group.md", 1, [], marks=pytest.mark.slow),
        pytest.param("how-to.md", 20, [], marks=pytest.mark.slow),
    ],
)
def test_what_a_page_says_works(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: Call,
    page: str,
    count: int,
    fewer: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    for language, title, text in blocks(page):
        if title:
            Path(title).parent.mkdir(parents=True, exist_ok=True)
            Path(title).write_text(text, encoding="utf-8")
        elif language == "python":
            if "import jax" not in text or find_spec("jax"):
                exec(compile(text, page, "exec"), namespace)
        elif language != "sh":  # tests/test_main.py has those of the command
            assert language == "bash"
            for line in text.splitlines():
                program, script, *arguments = words(line)
                assert program == "python"
                more = fewer if script.endswith("emergence.py") else []
                left = call(*arguments, *more, name=Path(script).stem)
                assert left.status == 0, f"{line}\n{left.stderr}"
    assert len(blocks(page)) >= count


def test_what_the_tutorial_says_of_its_runs_is_so(tmp_path: Path) -> None:
    (own,) = (text for language, _, text in blocks("tutorial.md") if language == "yaml")
    (tmp_path / "flattery.yaml").write_text(own, encoding="utf-8")
    result = sim.simulate(str(tmp_path / "flattery.yaml"), agents=2)
    rate = result.gaming_rate.isel(step=-1).median("agent")
    assert rate.sel(context="essay_review") > 0.5
    assert rate.sel(context="recipes") < 0.01
    unaware = sim.simulate("copyright", agent={"initial": {"awareness": -9}}, agents=8)
    assert (unaware.gaming_rate.isel(step=-1) < 0.1).all()
    assert (unaware.values.sel(value="copyright").isel(step=-1) < 0).all()
