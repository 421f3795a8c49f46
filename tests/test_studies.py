"""One contract for all studies: their files, help, outputs, repetition and refusals."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from bad_inputs import bad_inputs, changed
from commands import EXPERIMENTS, Call, assert_refused
from sim.cli.application import open_sections
from sim.cli.errors import Stopped, stopping
from sim.cli.keys import AFTER_KEYS, SPEC_KEYS
from sim.cli.study import Study
from sim.utils.format import join_words

#: A size at which a study takes a second or two: a line for each.
SIZES = {
    "animation": "agents=4 training.steps=100 seconds=5",
    "archetypes": "agents=4 training.steps=20 engine=numpy archetypes=[opportunist,reward_seeker]",
    "bifurcation": "places=1 starts=4 low=-7 high=-6.5 training.anchor=0.03 free=[habit]",
    "calibration": "data=tests/few_prompts.csv parts=[fit] walk=20 workers=1",
    "causation": "agents=6 few_agents=2 copies=1 training.steps=40 engine=numpy store=null "
    "scenarios=[copyright]",
    "claims": "only=[example2] size=0.01 store=null",
    "deploy": "agents=4 training.steps=20 replicates=5 points=2 samples=2 deployment.copies=10 "
    "deployment.ticks=2 workers=1",
    "evidence": "agents=40 training.steps=20 engine=numpy priors=[benign] store=null",
    "footnote3": "agents=2 points=3 training.steps=200 engine=numpy",
    "footnote4": "cases=[a] agents=16 training.steps=100",
    "footnote6": "agents=4 points=2 training.steps=40",
    "phase_diagram": "engine=numpy training.steps=100 seeds=2 x.points=9 y.points=9 store=null",
    "sensitivity": "points=8 trajectories=8 training.steps=10 engine=numpy store=null",
    "spread": "points=3 seeds=2 training.steps=40 engine=numpy awareness=[-8,0] store=null",
    "stability": "starts=4 training.steps=100 training.anchor=0.03 steps=1000",
    "worst_case": "agents=40 moved_agents=20 moves=[no_oversight] training.steps=20 engine=numpy",
}
STUDIES = sorted(path.parent.name for path in EXPERIMENTS.glob("*/config.yaml"))
MAIN = """
from sim.cli.study import main

if __name__ == "__main__":
    main(__file__)
"""


def study_of(name: str) -> Study:
    return Study(EXPERIMENTS / name)


def composed(study: Study, *overrides: str) -> DictConfig:
    open_sections()
    with initialize_config_dir(config_dir=str(study.folder), version_base="1.3"):
        return compose("config", overrides=[*overrides])


def outputs(directory: Path) -> dict[str, bytes]:
    """Return what a study left, by name, without when it was made (netCDF says so, too)."""
    paths = [path for path in directory.iterdir() if path.is_file() and path.suffix != ".nc"]
    files = {path.name: path.read_bytes() for path in paths}
    provenance = json.loads(files["provenance.json"])
    assert provenance.pop("created")
    return {**files, "provenance.json": json.dumps(provenance).encode()}


def test_every_study_has_a_size() -> None:
    assert set(STUDIES) == set(SIZES)


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_its_config_and_its_help_says_what_every_key_is(name: str, call: Call) -> None:
    study = study_of(name)
    main = (study.folder / "__main__.py").read_text(encoding="utf-8")
    assert main.partition("\n")[2] == MAIN
    config = (study.folder / "config.yaml").read_text(encoding="utf-8")
    left = call("--help", name=name)
    assert (left.status, left.files()) == (0, [])
    assert f"python experiments/{name} " in left.stdout
    for comment in re.findall(r"# *(\S.*)", config):
        assert comment in left.stdout
    for key in type(study.read(composed(study)).settings).model_fields:
        assert re.search(rf"^{key}:.*#|^# .*\n{key}:", config, flags=re.MULTILINE), key


#: Studies that take seconds even at the least size; tests of their own run their commands.
LONG = {
    *("bifurcation", "calibration", "causation", "evidence", "footnote3", "footnote4", "footnote6"),
    *("phase_diagram", "sensitivity", "spread", "worst_case"),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in STUDIES]
)
def test_a_study_writes_what_it_promises_and_the_same_again(name: str, call: Call) -> None:
    parts = {"figures": "figure.py", "report": "report.md.j2"}
    written = [what for what, file in parts.items() if (EXPERIMENTS / name / file).exists()]
    for folder in ("one", "two"):
        left = call(*SIZES[name].split(), f"hydra.run.dir={folder}", name=name)
        assert left.status == 0, left.stderr
        end = f"{join_words(['numbers', *written])}: {left.folder / folder}"
        assert left.stdout.splitlines()[-1] == end
    first, second = outputs(left.folder / "one"), outputs(left.folder / "two")
    assert [file for file in first if second[file] != first[file]] == []
    tables = [file for file in first if file.endswith(".csv")]
    assert tables
    assert all(len(pd.read_csv(left.folder / "one" / file).columns) for file in tables)
    assert not list(sentences(json.loads(first["summary.json"]))), "text belongs into report.md.j2"
    pictures = [Path(file).stem for file in sorted(first) if file.endswith((".png", ".svg"))]
    assert pictures or "figures" not in written
    if "figures" in written:  # each twice
        assert pictures[::2] == pictures[1::2]
    if "report" in written:
        assert not re.search(rb"\{\{|\{%|\bnan\b|\| None \|", first["report.md"])


def sentences(value: object) -> Iterator[str]:
    """Yield every string in JSON data that is a sentence."""
    if isinstance(value, str) and value.endswith(".") and value.count(" ") > 3:
        yield value
    elif isinstance(value, list | dict):
        for below in value.values() if isinstance(value, dict) else value:
            yield from sentences(below)


@pytest.mark.parametrize("every", [23, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", STUDIES)
def test_a_study_refuses_what_its_settings_do_not_allow(name: str, every: int, call: Call) -> None:
    study = study_of(name)
    open_sections()
    config = composed(study, *SIZES[name].split())
    schema = type(study.read(config).settings).model_json_schema()
    sections = tuple(key for key in study.keys if key in (*SPEC_KEYS, *AFTER_KEYS))
    bad = list(bad_inputs(schema, sections))
    assert len(bad) >= 15 * len(schema["properties"])
    for key, value in bad[::every]:
        with pytest.raises(Stopped) as refusal, stopping():
            study.read(changed(config, key, value))
        assert refusal.value.status == 2
        message = str(refusal.value)
        assert key.partition(".")[0] in message, f"{key}={value}: {message}"
        assert "\n" not in message
    keys = sorted(schema["properties"])
    for key in keys[:: 1 if every == 1 else len(keys)]:
        if key != "measured":  # a group, whose choice is deleted, and not what it gave
            assert_refused(call(f"~{key}", name=name), f"{key}: ")
    key = min(schema["properties"])
    assert_refused(call(f"{key}x=1", name=name), f"{key}x: unknown key; did you mean '{key}'?")
