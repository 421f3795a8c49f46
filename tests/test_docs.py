"""The documents and the code say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

import sim
from sim.analysis.regimes import REGIMES, STATES
from sim.analysis.worst_case import TERMS
from sim.dynamics.observe import VARIABLES
from sim.specs.agent import CAPABILITIES, Agent, Initial
from sim.specs.deployment import Deployment, Graph
from sim.specs.intervention import SUBJECTS, Intervention
from sim.specs.oversight import Found, Inspection, Oversight, OversightStep, Retraining
from sim.specs.scenario import Context, Phase, Scenario
from sim.specs.training import LearningRate, Selection, Training
from sim.stability.fixed_points import KINDS

ROOT = Path(__file__).parent.parent
MODEL = (ROOT / "docs" / "model.md").read_text(encoding="utf-8")
KEYS = {
    *Agent.model_fields,
    *Initial.model_fields,
    *CAPABILITIES,
    *Scenario.model_fields,
    *Context.model_fields,
    *Phase.model_fields,
    *Training.model_fields,
    *LearningRate.model_fields,
    *Selection.model_fields,
    *Oversight.model_fields,
    *Inspection.model_fields,
    *OversightStep.model_fields,
    *Retraining.model_fields,
    *Deployment.model_fields,
    *Intervention.model_fields,
}
KINDS_AND_RULES = {"training", "evaluation", "red_team", "deployment", "exact", "sampled"}
OUTCOMES = {"takeover", "caught", "dormant"}
ON_PAPER = {"pass", "stick", "success", "gain", "attempts", "shortfall", "binding"}
NAMED = set(re.findall(r"`([a-z_]+)`", MODEL))


@pytest.mark.parametrize("key", sorted(KEYS - {"initial"}))
def test_every_key_is_explained(key: str) -> None:
    assert key in NAMED


def test_every_key_that_is_explained_exists() -> None:
    rules = {"policy_gradient", "replicator", "episode", *REGIMES, *STATES, *KINDS, "equilibria"}
    after = {*TERMS, *get_args(Found), *get_args(Graph), *OUTCOMES, *ON_PAPER, *SUBJECTS}
    assert KEYS | KINDS_AND_RULES | rules | after | set(VARIABLES) | {"onset"} >= NAMED


def test_every_measure_is_defined() -> None:
    measures = [name for name, v in VARIABLES.items() if v.meaning.endswith(("(5)", "(6)"))]
    assert set(measures) <= NAMED
    assert len(measures) == 12


@pytest.mark.parametrize("word", [*REGIMES, *STATES, *KINDS])
def test_every_regime_state_and_class_has_its_rule(word: str) -> None:
    assert re.search(rf"^\| (`\w+`, )?`{word}`", MODEL, flags=re.MULTILINE)


def test_the_readme_lists_every_scenario() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Scenarios")[2]
    assert set(re.findall(r"^\| `(\w+)` \|", readme, flags=re.MULTILINE)) == set(sim.scenarios())


@pytest.mark.parametrize(
    "page",
    ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))],
)
def test_links_lead_somewhere(page: str) -> None:
    source = ROOT / page
    for target in re.findall(r"\]\(([^)#:]+)\)", source.read_text(encoding="utf-8")):
        assert (source.parent / target).exists(), target


def test_every_dependency_has_its_reason() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(name for extra in extras for name in extra)]
    reasons = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for requirement in wanted:
        assert re.match(r"[A-Za-z0-9-]+", requirement)[0] in reasons  # type: ignore[index]


def test_the_example_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for example in re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL):
        exec(compile(f"import sim\n{example}", "README.md", "exec"), {})
    assert sim.Result.load("copyright.nc").provenance["agents"] == 64
