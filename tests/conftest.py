"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from browser import NEEDED, Browser, chromium, find_chromium
from commands import Call, caller
from sim.specs import overrides
from sim.specs.agent import Agent

# The same examples every time: a failure in CI is a failure here.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Call:
    """Run a script in this process."""
    return caller(tmp_path, monkeypatch, capfd)


@pytest.fixture(scope="session", autouse=True)
def typical_agents() -> Iterator[Callable[[], Agent]]:
    """Let agents differ only where a test says how; return what makes those of the command."""
    usual = overrides.population
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overrides, "population", Agent)
        yield usual


@pytest.fixture
def population(typical_agents: Callable[[], Agent], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let agents differ as those of the command do, where nothing else is said."""
    monkeypatch.setattr(overrides, "population", typical_agents)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Chromium."""
    with chromium() as running:
        yield running


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests of pages where there is no Chromium, unless they are required."""
    is_required = os.environ.get("BROWSER_TESTS") == "required"
    if "browser" in getattr(item, "fixturenames", ()) and not is_required and not find_chromium():
        pytest.skip(f"tests of pages need {NEEDED}")
