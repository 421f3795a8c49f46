"""Configs: all of them compose and run, say the defaults of the specs, and quote the post."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

import sim
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
OPTIONS = sorted(path.relative_to(CONFIGS) for path in CONFIGS.glob("*/*.yaml"))
#: Groups of a run; the others are of what comes after training, and of studies.
OF_RUNS = [o for o in OPTIONS if o.parent.name in ("agent", "executor", "scenario", "training")]
SCENARIOS = [path.stem for path in OPTIONS if path.parent.name == "scenario"]


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(config_dir=str(PRIMARY), version_base="1.3"):
        return compose("emergence", overrides=list(overrides))


def written(path: Path) -> dict[str, object]:
    text = (CONFIGS / path).read_text(encoding="utf-8")
    assert "_target_" not in text, f"{path} names code to run"
    return dict(yaml.safe_load(text))


def test_the_library_is_these_files() -> None:
    assert config_root() == CONFIGS
    assert names("scenario") == SCENARIOS
    assert all(written(option) for option in OPTIONS)


@pytest.mark.parametrize("option", OF_RUNS, ids=str)
def test_every_option_composes_into_a_run(option: Path) -> None:
    settings = [f"{option.parent}={option.stem}"]
    if option.parent.name == "agent":  # agents of a story name the values that it has
        story = {"calibrated": "alignment_faking"}.get(option.stem, "lab_to_deployment")
        settings.append(f"scenario={story}")
    config = composed(*settings, "training.steps=70", "agents=5")
    run = read_run(config, scenario_name="story")
    assert (run.name, run.program.agents, run.program.steps) == ("story", 5, 70)


def test_the_command_goes_before_the_option_the_scenario_and_the_defaults() -> None:
    def discernment(*overrides: str) -> object:
        run = read_run(composed("scenario=monolithic", *overrides))
        return run.specs["agent"]["discernment"]

    story = Scenario.load("monolithic").agent.discernment
    assert story != Agent().discernment
    assert discernment() == story
    assert discernment("agent=default") == Agent().discernment
    assert discernment("agent=default", "agent.discernment=7") == 7.0


@pytest.mark.usefixtures("population")
def test_python_has_the_agents_and_the_numbers_of_the_command() -> None:
    still = {"spread": {"initial": {"values": 0, "habit": 0, "awareness": 0}}}
    training = {"steps": 20}
    for name in SCENARIOS:
        command = read_run(composed(f"scenario={name}", "training.steps=20")).execute()
        python = sim.simulate(name, training=training, agents=64, seed=0)
        xr.testing.assert_identical(command.data, python.data)
        assert (python.awareness_logit.std("agent") > 0.1).all()
        replicates = sim.sweep(name, training=training, seeds=64).frame
        assert replicates["awareness_logit"].nunique() == 64
        world = sim.TrainingWorld(name, training=training, agents=64, rng=0)
        np.testing.assert_array_equal(world.measured("habit"), python.habit.sel(step=0))
    for call in (partial(sim.simulate, agents=2), partial(sim.sweep, seeds=2)):
        with pytest.warns(UserWarning, match="agents: all are alike") as warned:
            call("copyright", training=training, agent=still)
        assert len(warned) == 1


def keys_of(data: dict[str, object], path: str = "") -> list[str]:
    """Return all keys in their order, nested ones by dotted path."""
    keys = []
    for key, value in data.items():
        keys.append(f"{path}{key}")
        if isinstance(value, dict):
            keys += keys_of(value, f"{path}{key}.")
    return keys


def test_the_default_option_says_the_defaults_of_the_spec() -> None:
    for spec in (Agent, Training, Oversight, Deployment):
        default = written(Path(spec.__name__.lower()) / "default.yaml")
        assert default == spec().model_dump(mode="json")
        assert keys_of(default) == keys_of(spec().model_dump())


def test_every_option_of_what_comes_after_training_composes() -> None:
    for spec in (Oversight, Deployment):
        group = spec.__name__.lower()
        for option in names(group):
            after = spec.parse(plain(composed(f"+{group}={option}"))[group], path=group)
            assert (after == spec()) == (option == "default"), option


# ------------------------------------------------------------------------------ quotes and help


def unquoted(text: str) -> str:
    """Return text with one kind of quote and of blank, and without footnote marks."""
    text = re.sub("[“”‘’\"']", "'", re.sub(r"\[\d+\]", "", text))
    return re.sub(r"\s+", " ", text).strip()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_says_and_quotes_its_passage_of_the_post(scenario: str) -> None:
    assert Scenario.load(scenario).passage
    text = (CONFIGS / "scenario" / f"{scenario}.yaml").read_text(encoding="utf-8")
    head = re.match(r"(#.*\n)+", text)
    assert head
    lines = [line.lstrip("# ") for line in head[0].splitlines() if "@package" not in line]
    passages = re.findall(r'"([^"]+)"', " ".join(lines))
    assert passages, "the comment at its head quotes nothing"
    assert all(len(passage.split()) >= 5 for passage in passages)
    if not POST.is_file():
        pytest.skip("the post (../shared/POST.txt) is not beside this checkout")
    post = unquoted(POST.read_text(encoding="utf-8"))
    for passage in passages:
        position = 0
        for piece in map(str.strip, unquoted(passage.replace("[...]", "…")).split("…")):
            pattern = re.compile(f"(?i:{re.escape(piece[0])}){re.escape(piece[1:])}")
            match = pattern.search(post, position)
            assert match, f"not in the post, or not in this order: {piece}"
            position = match.end()


def test_the_help_names_every_key_with_its_default() -> None:
    text = run_help()
    defaults = dict(re.findall(r"^  ([\w.]+)=(\S+)", text, flags=re.MULTILINE))
    assert "agent.spread.KEY" in text
    assert not [name for name in SCENARIOS if not re.search(rf"(?m)^  {name} +\S", text)]
    for key in ("agents", "seed", "record_every", "engine"):
        assert defaults[key] == str(composed()[key])
    for spec in (Agent(), Training()):
        for key in keys_of(spec.model_dump()):
            value: object = spec
            for part in key.split("."):
                value = getattr(value, part)
            if not isinstance(value, Spec) and not key.startswith("spread."):
                default = defaults[f"{type(spec).__name__.lower()}.{key}"]
                assert (None if default == "null" else type(value)(default)) == value, key
