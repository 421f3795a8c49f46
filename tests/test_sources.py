"""Files of data: they set their own keys and nothing else, through whichever door they come."""

from __future__ import annotations

import string
from pathlib import Path

import pytest

import sim
from commands import Call, assert_refused
from refusals import assert_all_refused
from sim.specs.library import DATA_GROUPS, config_root

TOUCH = "{_target_: builtins.open, file: HERE/touched, mode: w}"
HYDRA = f"hydra: {{callbacks: {{it: {TOUCH}}}}}"
GLOBAL = "# @package _global_\n"
WORLD = """
scenario:
  values: [care]
  human_values: {care: 1}
  contexts:
    chat: {responses: {a: {care: 1}, b: {care: -1}}, reward: {a: -1, b: 1}, info: 1, cue: 2}
"""
LAUGHS = "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n"
    for before, name in zip(string.ascii_letters, string.ascii_letters[1:10], strict=False)
)
#: What a file of a scenario holds, and what the one line says.
SCENARIOS = {
    "callback": (GLOBAL + WORLD + HYDRA, "hydra: is Hydra's; a file of scenario is data"),
    "dotted": (GLOBAL + WORLD + "hydra.job_logging: none", "hydra.job_logging: is Hydra's"),
    "oversight": (GLOBAL + WORLD + "oversight: {steps: 5}", "oversight: unknown key"),
    "package": (f"# @package hydra.callbacks\nit: {TOUCH}", "@package: got 'hydra.callbacks'"),
    "defaults": (
        GLOBAL + "defaults: [override /hydra/job_logging: default]" + WORLD,
        "defaults: is Hydra's",
    ),
    "target": (GLOBAL + WORLD + f"agent: {{rationality: {TOUCH}}}", "agent.rationality._target_"),
    "environment": (GLOBAL + WORLD + '  passage: "${oc.env:HOME}"', "scenario.passage: got"),
    "link": (GLOBAL + WORLD + "  passage: [a, '${.x}']", "must have no links"),
    "tag": ("a: !!python/object/apply:os.getcwd []", "python/object/apply:os.getcwd"),
    "laughs": ("a: &a [x, x, x]\n" + LAUGHS, "line 7: has more than 1,000,000 values"),
    "deep": ("scenario: " + "[" * 2000 + "]" * 2000, "nests more than 50 deep"),
    "itself": ("a: &a\n  - *a", "line 2: *a stands inside what it repeats"),
    "digits": ("a: " + "9" * 5000, "cannot be read"),
    "empty": ("", "must hold a mapping"),
}


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace("HERE", str(folder)), encoding="utf-8")
    return path


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("configs")


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_sets_its_own_keys_through_both_doors(
    name: str, call: Call, elsewhere: Path
) -> None:
    text, says = SCENARIOS[name]
    path = write(elsewhere, f"scenario/{name}", text)
    write(elsewhere, "own/nested", f"{GLOBAL}defaults: [override /scenario: {name}]")
    dirs = ("--config-dir", str(elsewhere))
    left = call(*dirs, f"scenario={name}")
    assert_refused(left, says)
    assert_all_refused([(lambda: sim.simulate(str(path)), left.stderr[7:-1])])
    assert_refused(call(*dirs, "-m", f"scenario=copyright,{name}"), says)
    assert_refused(call(*dirs, f"scenario=../scenario/{name}", name="footnote4"), says)
    assert_refused(call(*dirs, "+own=nested"), says)
    assert not (elsewhere / "touched").exists()


@pytest.mark.parametrize(
    "group",
    ["agent", "training", "executor", "prior", "oversight", "deployment", "measured", "Measured"],
)
def test_files_of_other_groups_are_data_too(group: str, call: Call, elsewhere: Path) -> None:
    cases = [GLOBAL + HYDRA, HYDRA, f"a: [{TOUCH}]", "a: ${oc.env:HOME}"]
    for text, says in zip(cases, ["hydra: ", "hydra: ", "_target_", "no links"], strict=True):
        path = write(elsewhere, f"{group}/it", text)
        plus = "" if group in ("agent", "training", "executor") else "+"
        left = call("--config-dir", str(elsewhere), f"{plus}{group}=it")
        assert_refused(left, says)
        if group == "prior":
            assert_all_refused([(lambda: sim.Prior.load(path), left.stderr[7:-1])])  # noqa: B023
    assert not (elsewhere / "touched").exists()


def test_every_folder_of_configs_holds_data() -> None:
    assert {folder.name for folder in config_root().iterdir() if folder.is_dir()} <= {*DATA_GROUPS}


def test_a_folder_of_scenarios_brings_nothing_that_was_not_asked_for(
    call: Call, elsewhere: Path
) -> None:
    for name in ("application", "sections/open", "hydra/sweeper/array", "hydra/launcher/basic"):
        write(elsewhere, name, GLOBAL + HYDRA)
    write(elsewhere, "executor/local", "name: nonsense")
    write(elsewhere, "scenario/mine", GLOBAL + WORLD)
    dirs = ("--config-dir", str(elsewhere), "scenario=mine")
    for name in ("emergence", "footnote4"):
        left = call(*dirs, "training.steps=100", "agents=2", name=name)
        assert left.status == 0, left.stderr
    assert not (elsewhere / "touched").exists()


def test_a_users_own_experiment_is_code_and_a_date_is_text(call: Call, elsewhere: Path) -> None:
    write(elsewhere, "own/it", f"{GLOBAL}hydra: {{run: {{dir: there}}}}\ntraining: {{steps: 20}}")
    write(elsewhere, "scenario/mine", f"{GLOBAL}{WORLD}  passage: 2026-01-01")
    left = call("--config-dir", str(elsewhere), "+own=it", "scenario=mine", "agents=2")
    assert left.status == 0, left.stderr
    provenance = left.json("provenance.json")
    assert (provenance["training"]["steps"], provenance["scenario"]["passage"]) == (
        20,
        "2026-01-01",
    )
    assert (left.folder / "there").is_dir()


def test_a_scenario_that_says_no_place_is_told_so(call: Call, elsewhere: Path) -> None:
    write(elsewhere, "scenario/mine", WORLD)
    left = call("--config-dir", str(elsewhere), "scenario=mine")
    assert_refused(left, "its first line must be # @package _global_")
