"""The commands of the project as tests run them: as a user does, or in this process."""

from __future__ import annotations

import json
import os
import re
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra

EXPERIMENTS = Path(__file__).parent.parent / "experiments"


def script(name: str) -> Path:
    """Return what `python` is to run: the folder of a study, wherever it is, or a script."""
    for folder in (Path(name).absolute(), EXPERIMENTS / name):
        if (folder / "__main__.py").exists():
            return folder
    return EXPERIMENTS / f"{name}.py"


@dataclass(frozen=True)
class Left:
    """What a command left behind."""

    status: int
    stdout: str
    stderr: str
    folder: Path

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    def only(self, name: str) -> Path:
        (path,) = self.folder.rglob(name)
        return path

    def json(self, name: str) -> Any:
        return json.loads(self.only(name).read_text(encoding="utf-8"))


def assert_refused(left: Left, says: str) -> None:
    """Assert that a command refused its input in one line, before anything was written."""
    assert left.status == 2, left.stderr
    assert left.stdout == ""
    assert re.fullmatch(r"error: .+\n", left.stderr), left.stderr
    assert says in left.stderr
    assert list(left.folder.iterdir()) == []


def start(folder: Path, *arguments: str, name: str = "emergence") -> subprocess.Popen[str]:
    """Start a script as a user does, in a process of its own that Ctrl-C reaches.

    Where the tests run in the background, a shell has told them to ignore it, and what they start
    would ignore it too.
    """
    return subprocess.Popen(
        [sys.executable, str(script(name)), *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def ended(running: subprocess.Popen[str], folder: Path, *, timeout: float = 120) -> Left:
    """Wait for a script to end."""
    with running:
        try:
            stdout, stderr = running.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            running.kill()
            raise
    return Left(running.returncode, stdout, stderr, folder)


def command(folder: Path, *arguments: str, name: str = "emergence") -> Left:
    """Run a script as a user does, in a process of its own."""
    return ended(start(folder, *arguments, name=name), folder)


Call = Callable[..., Left]


def caller(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Call:
    """Return a function that runs a script in this process, which takes a tenth of the time."""

    def call(*arguments: str, name: str = "emergence") -> Left:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", [str(script(name)), *arguments])
        monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # as the scripts do, but undone afterwards
        GlobalHydra.instance().clear()
        status: object = 0
        try:
            runpy.run_path(str(script(name)), run_name="__main__")
        except SystemExit as leaving:
            status = leaving.code
        finally:
            GlobalHydra.instance().clear()
        assert isinstance(status, int)
        return Left(status, *capfd.readouterr(), folder)

    return call


def port_of(running: subprocess.Popen[str]) -> int:
    """Wait until a server has said its address, and return the port."""
    assert running.stdout is not None
    text = ""
    while not (match := re.search(r"http://(?:localhost|127\.0\.0\.1):(\d+)", text)):
        line = running.stdout.readline()
        assert line, f"the server ended: {text}"
        text += line
    return int(match[1])
