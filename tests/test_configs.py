"""Configs: all of them compose and run, say the defaults of the specs, and quote the post."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from experiments.calibration.spec import Calibration
from sim.cli.after_training import pop_after
from sim.cli.compose import plain, read_run
from sim.cli.help import run_help
from sim.cli.keys import CONFIGS as PRIMARY
from sim.specs.agent import Agent
from sim.specs.base import Spec
from sim.specs.deployment import Deployment
from sim.specs.library import config_root, names
from sim.specs.oversight import Oversight
from sim.specs.scenario import Scenario
from sim.specs.training import Training

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"
POST = ROOT.parent / "shared" / "POST.txt"
FILES = sorted(path.relative_to(CONFIGS) for path in CONFIGS.rglob("*.yaml"))
OPTIONS = [path for path in FILES if len(path.parts) > 1]
APPLICATIONS = {path.stem for path in (ROOT / "experiments").glob("[a-z]*.py")}
#: Applications that make one run; the others are studies, tested each by itself.
JOBS = ["emergence"]
#: Groups of a run ...
OF_RUNS = ("agent", "executor", "scenario", "training")
#: ... and of what comes after training, which runs do without.
AFTER: dict[str, type[Spec]] = {"oversight": Oversight, "deployment": Deployment}
#: Scenarios of agents that are not of the usual one.
STORIES = {"calibrated": "alignment_faking"}
SCENARIOS = [path.stem for path in OPTIONS if path.parent.name == "scenario"]


def composed(job: str, *overrides: str) -> DictConfig:
    here = (PRIMARY / f"{job}.yaml").exists()
    with initialize_config_dir(config_dir=str(PRIMARY if here else CONFIGS), version_base="1.3"):
        return compose(job, overrides=list(overrides))


def test_the_library_is_these_files() -> None:
    assert config_root() == CONFIGS
    assert names("scenario") == SCENARIOS


@pytest.mark.parametrize("job", JOBS)
def test_every_job_composes_into_a_run(job: str) -> None:
    config = composed(job)
    run = read_run(config)
    assert run.program.agents == config["agents"]
    assert run.program.steps == config["training"]["steps"]


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.parent.name in OF_RUNS], ids=str)
def test_every_option_composes_into_a_run(option: Path) -> None:
    settings = [f"{option.parent}={option.stem}"]
    if option.parent.name == "agent":  # agents of a story name the values that it has
        settings.append(f"scenario={STORIES.get(option.stem, 'lab_to_deployment')}")
    assert read_run(composed("emergence", *settings), scenario_name="story").name == "story"


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.parent.name in AFTER], ids=str)
def test_every_option_of_what_comes_after_training_composes(option: Path) -> None:
    group = option.parent.name
    own = plain(composed("worst_case", f"{group}={option.stem}"))
    after = pop_after(own, Scenario.load("lab_to_deployment"))
    default = AFTER[group]()
    assert (getattr(after, group) == default) == (option.stem == "default")


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.parent.name == "measured"], ids=str)
def test_every_option_of_what_was_measured_composes(option: Path) -> None:
    own = plain(composed("calibration", f"measured={option.stem}"))
    written = yaml.safe_load((CONFIGS / option).read_text(encoding="utf-8"))
    assert own["measured"] == written
    assert Calibration.parse(own["measured"], path="measured").free


def test_every_application_has_its_config() -> None:
    primary = {path.stem for path in FILES if len(path.parts) == 1}
    assert primary == APPLICATIONS - {"emergence", "curves"}
    for job in APPLICATIONS:
        assert composed(job)


def test_what_all_jobs_share_composes() -> None:
    assert composed("application") == {}


def test_the_command_goes_before_the_option_the_scenario_and_the_defaults() -> None:
    def discernment(*overrides: str) -> object:
        run = read_run(composed("emergence", "scenario=monolithic", *overrides))
        return run.specs["agent"]["discernment"]

    story = Scenario.load("monolithic").agent.discernment
    assert story != Agent().discernment
    assert discernment() == story
    assert discernment("agent=default") == Agent().discernment
    assert discernment("agent.discernment=7") == 7.0
    assert discernment("agent=default", "agent.discernment=7") == 7.0


@pytest.mark.parametrize("spec", [Agent, Training, *AFTER.values()], ids=lambda s: s.__name__)
def test_the_default_option_says_the_defaults_of_the_spec(spec: type[Spec]) -> None:
    path = CONFIGS / spec.__name__.lower() / "default.yaml"
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert written == spec().model_dump(mode="json")
    assert _keys(written) == _keys(spec().model_dump())


def _keys(data: dict[str, object], path: str = "") -> list[str]:
    """Return all keys in their order, nested ones by dotted path."""
    keys = []
    for key, value in data.items():
        keys.append(f"{path}{key}")
        if isinstance(value, dict):
            keys += _keys(value, f"{path}{key}.")
    return keys


@pytest.mark.parametrize("option", OPTIONS, ids=str)
def test_no_file_names_code_to_run(option: Path) -> None:
    assert "_target_" not in (CONFIGS / option).read_text(encoding="utf-8")


# ------------------------------------------------------------------------------ quotes and help


def comment_of(scenario: str) -> str:
    """Return the comment at the head of a scenario's file, as one line."""
    lines = (CONFIGS / "scenario" / f"{scenario}.yaml").read_text(encoding="utf-8").splitlines()
    head = lines[: next(i for i, line in enumerate(lines) if not line.startswith("#"))]
    return " ".join(line.removeprefix("#").strip() for line in head if "@package" not in line)


def passages(scenario: str) -> list[str]:
    return re.findall(r'"([^"]+)"', comment_of(scenario))


def unquoted(text: str) -> str:
    """Return text with one kind of quote and of blank, and without footnote marks."""
    text = re.sub(r"\[\d+\]", "", text)
    text = re.sub("[“”‘’\"']", "'", text)
    return re.sub(r"\s+", " ", text).strip()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_quotes_the_post(scenario: str) -> None:
    assert passages(scenario), "the comment at its head quotes nothing"
    assert all(len(passage.split()) >= 5 for passage in passages(scenario))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_a_scenario_quotes_stands_in_the_post(scenario: str) -> None:
    if not POST.is_file():
        pytest.skip("the post (../shared/POST.txt) is not beside this checkout")
    post = unquoted(POST.read_text(encoding="utf-8"))
    for passage in passages(scenario):
        rest = post
        for piece in unquoted(passage.replace("[...]", "…")).split("…"):
            first, others = piece.strip()[0], re.escape(piece.strip()[1:])
            found = re.search(f"(?i:{re.escape(first)}){others}", rest)
            assert found, f"not in the post, or not in this order: {piece.strip()}"
            rest = rest[found.end() :]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_says_which_passage_it_renders(scenario: str) -> None:
    assert Scenario.load(scenario).passage
    assert re.search(rf"^  {scenario} +\S", run_help("emergence"), flags=re.MULTILINE)


@pytest.mark.parametrize("spec", [Agent(), Training()], ids=lambda spec: type(spec).__name__)
def test_the_help_names_every_key_with_its_default(spec: Spec) -> None:
    shown = dict(re.findall(r"^  ([\w.]+)=(\S+)", run_help("emergence"), flags=re.MULTILINE))
    path = type(spec).__name__.lower()
    for key in _keys(spec.model_dump()):
        value = spec
        for part in key.split("."):
            value = getattr(value, part)
        if not isinstance(value, Spec) and not key.startswith("spread."):
            text = shown[f"{path}.{key}"]
            assert (None if text == "null" else type(value)(text)) == value
    assert "agent.spread.KEY" in run_help("emergence")


@pytest.mark.parametrize("key", ["agents", "seed", "record_every", "engine"])
def test_the_help_says_the_defaults_of_the_job(key: str) -> None:
    assert f"  {key}={composed('emergence')[key]} " in run_help("emergence")
