"""The explorable as tests run it: built into a folder, opened from there in Chromium."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import sim
from browser import Browser, Visit, visit
from sim.dynamics.state import Array
from sim.result import Result
from sim.specs import overrides
from sim.specs.agent import Agent
from sim.specs.overrides import Specs, apply_overrides, as_population, read_specs

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "docs" / "explorable"


def build_module() -> Any:
    """Load docs/explorable/build.py, which is no package."""
    spec = importlib.util.spec_from_file_location("explorable_build", SOURCE / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page_text(typical_agents: Callable[[], Agent]) -> str:
    """Build the page with agents that differ as those of the command do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overrides, "population", typical_agents)
        return str(build_module().page())


def open_page(
    browser: Browser, text: str, folder: Path, *, width: int = 1440, scheme: Any = "light"
) -> Visit:
    """Open a page from disk, as a reader does."""
    path = folder / "explorable.html"
    path.write_text(text, encoding="utf-8")
    opened = visit(browser, width=width, height=900)
    opened.page.set_default_timeout(60_000)
    opened.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    opened.page.goto(path.as_uri())
    opened.page.wait_for_function("window.explorable")
    return opened


def state_of(described: Mapping[str, Any], *more: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of a round of the path, with more settings."""
    state = {"agents": 32, "seed": 0, "record_every": 20, **described}
    settings = dict(described.get("settings", {}))
    for each in more:
        settings |= each
    return {**state, "settings": settings}


def specs_of(state: Mapping[str, Any]) -> Specs:
    """Return what the package runs of a state of the page."""
    return apply_overrides(as_population(read_specs(state["scenario"])), state["settings"])


def path() -> list[dict[str, Any]]:
    """Return the steps of the guided path."""
    steps: list[dict[str, Any]] = yaml.safe_load((SOURCE / "path.yaml").read_text("utf-8"))["steps"]
    return steps


def trained(opened: Visit, specs: Specs, *, agents: int, seed: int, every: int) -> dict[str, Array]:
    """Train specs in the page: θ by name [S, N], gaming rates [S, N, C], last policy [R, N]."""
    plain = {key: part for key, part in specs.plain().items() if key != "interventions"}
    found = opened.page.evaluate(
        """([specs, agents, seed, recordEvery]) => {
          const {train, mindAt, data} = explorable;
          const {traits: traitNames, habit} = data;
          const run = train(specs, {agents, seed, recordEvery, traitNames, habit});
          const policy = [...Array(agents).keys()].map(
            (n) => [...mindAt(run, run.records.length - 1, n).policy]);
          const {names, records} = run;
          return {names, records, policy, theta: [...run.theta], rates: [...run.rates]};
        }""",
        [plain, agents, seed, every],
    )
    count = len(found["records"])
    theta = np.array(found["theta"]).reshape(count, agents, -1)
    arrays = {name: theta[:, :, i] for i, name in enumerate(found["names"])}
    arrays["rates"] = np.array(found["rates"]).reshape(count, agents, -1)
    arrays["policy"] = np.array(found["policy"]).T
    return arrays


def result_of(state: Mapping[str, Any]) -> Result:
    """Run a state of the page in the package."""
    specs = specs_of(state)
    return sim.simulate(
        specs.scenario,
        agent=specs.agent,
        training=specs.training,
        agents=state["agents"],
        seed=state["seed"],
        record_every=state["record_every"],
    )
