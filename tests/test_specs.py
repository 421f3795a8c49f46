"""Specs: what they refuse and in which words, the forms they take, and that they are frozen."""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import sim
from sim.dynamics.columns import Numbers
from sim.dynamics.compile import compile_program, compile_world
from sim.dynamics.program import World
from sim.specs.agent import CAPABILITIES, HABIT, Agent
from sim.specs.base import FrozenDict, Spec
from sim.specs.errors import SpecError
from sim.specs.library import config_root, read_yaml
from sim.specs.scenario import Scenario
from sim.specs.training import LearningRate, Training, Transfer

GONE = object()


def world() -> dict[str, Any]:
    song = {"agree": {"care": 1}, "decline": {"care": -1}}
    return {
        "values": ["care", "candour"],
        "human_values": {"care": 1},
        "contexts": {
            "chat": {"responses": song, "reward": {"decline": 1}, "twin": "deployed"},
            "code": {"responses": {"fix": {"candour": 1}, "stall": {}}, "reward": {"fix": 1}},
            "deployed": {"responses": song, "reward": {"decline": 1}, "kind": "deployment"},
        },
    }


def edited(changes: Mapping[str, object]) -> dict[str, Any]:
    """Return the world with what stands at dotted paths replaced."""
    data = copy.deepcopy(world())
    for path, value in changes.items():
        *branches, leaf = path.split(".")
        node = data
        for branch in branches:
            node = node[branch]
        if value is GONE:
            del node[leaf]
        else:
            node[leaf] = value
    return data


def refusal(read: Callable[[], object]) -> str:
    """Return the line by which something is refused."""
    with pytest.raises(SpecError) as caught:
        read()
    line = str(caught.value)
    assert "\n" not in line
    return line


NONSENSE = [None, True, "1", "", "one", math.nan, math.inf, -math.inf, 10**400, 1j, {"a": 1}]


def label(value: object) -> str:
    text = "".join(c if c.isalnum() else "_" for c in str(value))
    return "gone" if value is GONE else text[:40]


# ------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("spec", "data", "line"),
    [
        (Agent, {"rationalty": 1}, "agent.rationalty: unknown key; did you mean 'rationality'?"),
        (Agent, {"initial": {"awarenes": 1}}, "agent.initial.awarenes: unknown key; did you mean"),
        (Agent, {"initial": {"capability": {"opacty": 1}}}, "agent.initial.capability.opacty: "),
        (Agent, {"spread": {"initial": {"habits": 1}}}, "agent.spread.initial.habits: unknown key"),
        (Agent, {1: 1}, "agent.1: unknown key; "),
        (Training, {"leek": 1}, "training.leek: unknown key; did you mean 'leak'?"),
        (Training, {"learning_rate": {"valus": 1}}, "training.learning_rate.valus: unknown key; "),
        (Training, {"transfer": {"stealth": 1}}, "training.transfer.stealth: unknown key; "),
    ],
    ids=label,
)
def test_an_unknown_key_is_named_with_the_valid_ones(
    spec: type[Spec], data: dict[Any, object], line: str
) -> None:
    found = refusal(lambda: spec.parse(data, path=spec.__name__.lower()))
    assert found.startswith(line)
    assert "allowed: " in found


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("contxts", "contexts"),
        ("contexts.chat.wieght", "weight"),
        ("contexts.chat.scratch_pad", "scratchpad"),
    ],
)
def test_an_unknown_key_of_a_scenario_is_named_with_the_nearest(path: str, nearest: str) -> None:
    line = refusal(lambda: Scenario.load(edited({path: 1})))
    assert line.startswith(f"scenario.{path}: unknown key; did you mean {nearest!r}? allowed: ")


@pytest.mark.parametrize("key", ["a\nb", "a\r\nb"])
@pytest.mark.parametrize(
    "read",
    [
        lambda key: Agent.parse({key: 1}, path="agent"),
        lambda key: Agent.parse({"initial": {"values": {key: 1}}}, path="agent"),
        lambda key: Scenario.load(edited({f"contexts.{key}": {"responses": {"a": {}}}})),
        lambda key: Scenario.load(key),
        lambda key: Training.parse({"leak": key}, path="training"),
        lambda key: Training.parse({"update_rule": key}, path="training"),
        lambda key: sim.simulate(world(), engine=key),
    ],
    ids=["key", "name", "context", "scenario", "number", "choice", "engine"],
)
def test_no_input_breaks_the_line(read: Callable[[str], object], key: str) -> None:
    assert len(refusal(lambda: read(key)).splitlines()) == 1


@pytest.mark.parametrize("value", [*NONSENSE, -1, -1e-300, 1.0000001, [0.5]], ids=label)
@pytest.mark.parametrize("key", ["leak", "spread", "motive_credit"])
def test_a_share_is_a_number_from_0_to_1(key: str, value: object) -> None:
    line = refusal(lambda: Training.parse({key: value}, path="training"))
    assert line.startswith(f"training.{key}: got ")
    assert line.endswith(": must be a number from 0 to 1")


@pytest.mark.parametrize("value", [*NONSENSE, -1, -5e-324, [0.5]], ids=label)
@pytest.mark.parametrize("key", ["anchor", "visible_gaming_penalty"])
def test_a_size_is_a_number_of_0_or_more(key: str, value: object) -> None:
    line = refusal(lambda: Training.parse({key: value}, path="training"))
    assert line.startswith(f"training.{key}: got ")
    assert line.endswith(": must be a number of 0 or more")


@pytest.mark.parametrize("value", [*NONSENSE, [0.5]], ids=label)
@pytest.mark.parametrize("key", ["awareness", "log_horizon", "log_competence"])
def test_a_logit_is_a_finite_number(key: str, value: object) -> None:
    line = refusal(lambda: Agent.parse({"initial": {key: value}}, path="agent"))
    assert line.startswith(f"agent.initial.{key}: got ")
    assert line.endswith(": must be a finite number")


@pytest.mark.parametrize("value", [None, True, "20", 2.0, 2.5, math.nan, [1], {"a": 1}], ids=label)
def test_steps_are_whole(value: object) -> None:
    line = refusal(lambda: Training.parse({"steps": value}, path="training"))
    assert line == f"training.steps: got {value!r}: must be a whole number"


@pytest.mark.parametrize("value", [0, -1])
def test_steps_are_at_least_one(value: int) -> None:
    line = refusal(lambda: Training.parse({"steps": value}, path="training"))
    assert line == f"training.steps: got {value}: must be 1 or more"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"rationality": -1}, "agent.rationality: got -1: must be a number of 0 or more"),
        ({"rationality": [1, -1]}, "agent.rationality[1]: got -1: must be a number of 0 or more"),
        ({"rationality": [True]}, "agent.rationality[0]: got True: must be a number of 0 or more"),
        (
            {"scratchpad_saving": [0.5, 2]},
            "agent.scratchpad_saving[1]: got 2: must be a number from 0 to 1",
        ),
        (
            {"spread": {"rationality": -0.1}},
            "agent.spread.rationality: got -0.1: must be a number of 0 or more",
        ),
        (
            {"initial": {"habit": {"chat": "x"}}},
            "agent.initial.habit.chat: got 'x': must be a finite number",
        ),
        (
            {"initial": {"values": {"care": math.nan}}},
            "agent.initial.values.care: got nan: must be a finite number",
        ),
        (
            {"initial": {"capability": {"opacity": None}}},
            "agent.initial.capability.opacity: got None: must be a finite number",
        ),
    ],
    ids=label,
)
def test_a_number_of_the_agent_is_checked_where_it_stands(
    data: dict[str, object], line: str
) -> None:
    assert refusal(lambda: Agent.parse(data, path="agent")) == line


@pytest.mark.parametrize(
    ("key", "spec"), [("learning_rate", LearningRate), ("transfer", Transfer)], ids=label
)
@pytest.mark.parametrize("count", [0, 1, 4, 7])
def test_a_list_of_the_wrong_length_is_told_the_right_one(
    key: str, spec: type[Spec], count: int
) -> None:
    line = refusal(lambda: Training.parse({key: [0.1] * count}, path="training"))
    names = list(spec.model_fields)
    wanted = f"must have {len(names)} numbers ({', '.join(names)}), not {count}"
    assert line == f"training.{key}: {wanted}"


@pytest.mark.parametrize(
    ("read", "path", "forms"),
    [
        (lambda: Training.parse({"transfer": True}, path="training"), "transfer", "number"),
        (lambda: Training.parse({"learning_rate": "x"}, path="training"), "learning_rate", "list"),
        (
            lambda: Agent.parse({"initial": {"capability": None}}, path="agent"),
            "capability",
            "list",
        ),
        (lambda: Agent.parse({"rationality": {"a": 1}}, path="agent"), "rationality", "list"),
        (lambda: Agent.parse({"initial": {"habit": [1, 2]}}, path="agent"), "habit", "mapping"),
        (lambda: Scenario.load(edited({"similarity": 1})), "similarity", "matrix"),
    ],
    ids=["transfer", "learning_rate", "capability", "rationality", "habit", "similarity"],
)
def test_a_wrong_form_is_told_the_right_ones(
    read: Callable[[], object], path: str, forms: str
) -> None:
    line = refusal(read)
    assert path in line
    assert forms in line


def test_a_choice_is_told_the_others() -> None:
    line = refusal(lambda: Training.parse({"update_rule": "replicater"}, path="training"))
    assert line.startswith("training.update_rule: got 'replicater': ")
    assert "did you mean 'replicator'? allowed: policy_gradient, replicator" in line


@pytest.mark.parametrize("data", [3, "copyright", [1], True], ids=label)
def test_what_is_no_mapping_is_refused(data: object) -> None:
    assert refusal(lambda: Agent.parse(data, path="agent")) == (
        f"agent: got {data!r}: must be a mapping"
    )


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: Agent(rationality=-1), "agent.rationality: got -1: must be a number of 0 or more"),
        (lambda: Training(leak=2), "training.leak: got 2: must be a number from 0 to 1"),
        (lambda: Training(leek=2), "training.leek: unknown key; did you mean 'leak'? allowed: "),
        (lambda: sim.Context(responses={}), "context.responses: a context needs at least one"),
        (lambda: sim.Phase(length=0), "phase.length: got 0: must be 1 or more"),
        (lambda: Scenario(values=["a"], contexts={}), "scenario.contexts: at least one context"),
    ],
    ids=["number", "share", "key", "context", "phase", "scenario"],
)
def test_a_spec_made_in_python_is_refused_in_one_line_too(
    make: Callable[[], object], line: str
) -> None:
    assert refusal(make).startswith(line)


def test_the_first_of_several_problems_is_told_with_their_number() -> None:
    line = refusal(lambda: Training.parse({"leak": 2, "spread": 2, "anchor": -1}, path="training"))
    assert line == "training.leak: got 2: must be a number from 0 to 1 (and 2 more)"


NAMES = "a name has letters, digits, _ and -, and starts with a letter or _"
NUMBER = "must be a finite number"
MAPPING = "must be a mapping"
TEXT = "must be text"


@pytest.mark.parametrize(
    ("path", "value", "where", "says"),
    [
        ("values", GONE, "values", "is missing"),
        ("values", [], "values", "at least one value must be named"),
        ("values", "care", "values", "must be a list"),
        ("values", ["care", "candour", "care"], "values", "each name may stand only once"),
        ("values", ["care", "can dour"], "values[1]", NAMES),
        ("values", ["care", "1st"], "values[1]", NAMES),
        ("values", ["care", ""], "values[1]", NAMES),
        ("values", ["care", True], "values[1]", "need quotes"),
        ("values", ["candour"], "human_values", "no value is named 'care'; did you mean"),
        ("contexts", GONE, "contexts", "is missing"),
        ("contexts", {}, "contexts", "at least one context is needed"),
        ("contexts", ["chat"], "contexts", MAPPING),
        ("contexts.chat", None, "contexts.chat", MAPPING),
        ("contexts.bad name", {"responses": {"a": {}}}, "contexts.bad name", NAMES),
        ("contexts.chat.responses", GONE, "contexts.chat", "this context has no responses"),
        ("contexts.chat.responses", {}, "contexts.chat.responses", "at least one response"),
        ("contexts.chat.responses.agree", None, "contexts.chat.responses.agree", MAPPING),
        ("contexts.code.responses.not ok", {}, "contexts.code.responses.not ok", NAMES),
        (
            "contexts.chat.responses.agree",
            {"cares": 1},
            "contexts.chat.responses.agree",
            "no value is named 'cares'; did you mean 'care'? allowed: candour, care",
        ),
        (
            "contexts.chat.responses.agree.care",
            "1",
            "contexts.chat.responses.agree.care",
            NUMBER,
        ),
        (
            "contexts.chat.reward",
            {"agre": 1},
            "contexts.chat.reward",
            "no response is named 'agre'; did you mean 'agree'? allowed: agree, decline",
        ),
        ("contexts.chat.reward", {"agree": math.inf}, "contexts.chat.reward.agree", NUMBER),
        (
            "contexts.chat.subversive",
            ["fix"],
            "contexts.chat.subversive",
            "no response is named 'fix'; allowed: agree, decline",
        ),
        ("contexts.chat.subversive", "agree", "contexts.chat.subversive", "must be a list"),
        (
            "contexts.chat.kind",
            "train",
            "contexts.chat.kind",
            "did you mean 'training'? allowed: deployment, evaluation, red_team, training",
        ),
        ("contexts.chat.weight", -1, "contexts.chat.weight", "must be a number of 0 or more"),
        ("contexts.chat.info", -0.1, "contexts.chat.info", "must be a number of 0 or more"),
        ("contexts.chat.scratchpad", 1.1, "contexts.chat.scratchpad", "from 0 to 1"),
        ("contexts.chat.monitor", True, "contexts.chat.monitor", "from 0 to 1"),
        ("contexts.chat.cue", math.nan, "contexts.chat.cue", NUMBER),
        ("contexts.chat.description", 3, "contexts.chat.description", TEXT),
        (
            "contexts.chat.twin",
            "deploy",
            "contexts.chat.twin",
            "no context is named 'deploy'; did you mean 'deployed'? allowed: chat, code, deployed",
        ),
        ("contexts.chat.twin", "code", "contexts.chat.twin", "a twin is a deployment context"),
        ("contexts.chat.twin", "chat", "contexts.chat.twin", "a context is no twin of itself"),
        ("contexts.chat.twin", "", "contexts.chat.twin", NAMES),
        (
            "contexts.code.twin",
            "deployed",
            "contexts.code.twin",
            "deployed must have the same responses (fix, stall)",
        ),
        (
            "human_values",
            {"car": 1},
            "human_values",
            "no value is named 'car'; did you mean 'care'? allowed: candour, care",
        ),
        ("human_values", {"care": 0}, "human_values", "all zero"),
        ("human_values", {"care": math.nan}, "human_values.care", NUMBER),
        ("human_values", [1, 0], "human_values", MAPPING),
        ("similarity", {"chta": {"code": 0}}, "similarity", "did you mean 'chat'?"),
        ("similarity", {"chat": {"coda": 0}}, "similarity.chat", "did you mean 'code'?"),
        ("similarity", {"chat": {"code": 1.5}}, "similarity.chat.code", "from 0 to 1"),
        ("similarity", [[1, 1], [1, 1]], "similarity", "must have 3 rows of 3 numbers"),
        ("similarity", [[1] * 3, [1] * 2, [1] * 3], "similarity", "must have 3 rows of 3 numbers"),
        ("similarity", [[1] * 3, [1] * 3, [1, -1, 1]], "similarity[2][1]", "from 0 to 1"),
        ("curriculum", {"length": 5}, "curriculum", "must be a list"),
        ("curriculum", [{}], "curriculum[0].length", "is missing"),
        ("curriculum", [{"length": 0}], "curriculum[0].length", "must be 1 or more"),
        ("curriculum", [{"length": 1.5}], "curriculum[0].length", "must be a whole number"),
        ("curriculum", [{"length": True}], "curriculum[0].length", "must be a whole number"),
        ("curriculum", [{"length": 5, "wieght": {}}], "curriculum[0].wieght", "mean 'weight'?"),
        (
            "curriculum",
            [{"length": 5}, {"length": 5, "weight": {"chats": 1}}],
            "curriculum[1].weight",
            "no context is named 'chats'; did you mean 'chat'?",
        ),
        (
            "curriculum",
            [{"length": 5, "weight": {"chat": -1}}],
            "curriculum[0].weight.chat",
            "must be a number of 0 or more",
        ),
        (
            "curriculum",
            [{"length": 5, "reward": {"chat": {"fix": 1}}}],
            "curriculum[0].reward.chat",
            "no response is named 'fix'; allowed: agree, decline",
        ),
        (
            "curriculum",
            [{"length": 5, "monitor": {"chat": 2}}],
            "curriculum[0].monitor.chat",
            "from 0 to 1",
        ),
        ("agent", {"rationality": -1}, "agent.rationality", "must be a number of 0 or more"),
        ("name", 3, "name", TEXT),
    ],
    ids=label,
)
def test_a_scenario_is_refused_where_it_is_wrong(
    path: str, value: object, where: str, says: str
) -> None:
    line = refusal(lambda: Scenario.load(edited({path: value})))
    assert line.startswith(f"scenario.{where}: ")
    assert says in line


NOTHING = "nothing is trained on: a context of kind training needs a weight above 0"
ZERO = {"chat": 0, "code": 0}


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"contexts.chat.weight": 0, "contexts.code.weight": 0}, "contexts"),
        ({"contexts.chat.kind": "evaluation", "contexts.code.kind": "red_team"}, "contexts"),
        ({"curriculum": [{"length": 5, "weight": ZERO}]}, "curriculum[0].weight"),
        ({"curriculum": [{"length": 5}, {"length": 5, "weight": ZERO}]}, "curriculum[1].weight"),
        (
            {"curriculum": [{"length": 5, "weight": {**ZERO, "deployed": 1}}]},
            "curriculum[0].weight",
        ),
        (
            {"contexts.chat.weight": 0, "curriculum": [{"length": 5, "weight": {"code": 0}}]},
            "curriculum[0].weight",
        ),
    ],
)
def test_training_on_nothing_is_refused(changes: dict[str, object], where: str) -> None:
    assert refusal(lambda: Scenario.load(edited(changes))) == f"scenario.{where}: {NOTHING}"


def test_a_phase_may_give_weight_to_what_has_none() -> None:
    changes = {
        "contexts.chat.weight": 0,
        "contexts.code.weight": 0,
        "curriculum": [{"length": 5, "weight": {"chat": 1}}],
    }
    assert Scenario.load(edited(changes)).curriculum[0].weight == {"chat": 1.0}


@pytest.mark.parametrize(
    ("agent", "line"),
    [
        (
            {"initial": {"habit": {"chats": 1}}},
            "agent.initial.habit.chats: nothing has this name; did you mean 'chat'? allowed: ",
        ),
        (
            {"initial": {"values": {"cares": 1}}},
            "agent.initial.values.cares: nothing has this name; did you mean 'care'? allowed: ",
        ),
        (
            {"spread": {"initial": {"values": {"cares": 1}}}},
            "agent.spread.initial.values.cares: nothing has this name; did you mean 'care'?",
        ),
        (
            {"spread": {"initial": {"capability": {"opacit": 1}}}},
            "agent.spread.initial.capability.opacit: nothing has this name; did you mean",
        ),
        ({"rationality": [1, 2, 3]}, "agent.rationality: has 3 numbers for 2 agents; give one"),
        ({"rationality": []}, "agent.rationality: has 0 numbers for 2 agents; give one"),
    ],
    ids=label,
)
def test_an_agent_must_fit_the_scenario(agent: dict[str, object], line: str) -> None:
    assert refusal(lambda: sim.simulate(world(), agent=agent, agents=2)).startswith(line)


def test_the_agent_of_a_story_must_fit_it_too() -> None:
    story = edited({"agent": {"initial": {"values": {"cares": 1}}}})
    line = refusal(lambda: sim.simulate(story))
    assert "agent.initial.values" in line
    assert "did you mean 'care'?" in line


def test_an_agent_needs_values_from_somewhere() -> None:
    line = refusal(lambda: sim.simulate(edited({"human_values": GONE})))
    assert line.startswith("agent.initial.values: is missing")
    assert "care, candour" in line


@pytest.mark.parametrize("value", [None, True, 0, -1, 1.0, "3", [1], math.nan], ids=label)
@pytest.mark.parametrize("key", ["agents", "record_every"])
def test_counts_are_whole_numbers_of_1_or_more(key: str, value: object) -> None:
    line = refusal(lambda: sim.simulate(world(), **{key: value}))  # type: ignore[arg-type]
    assert line == f"{key}: got {value!r}: must be a whole number of 1 or more"


@pytest.mark.parametrize(
    ("key", "value"), [("seed", 2**64), ("agents", 2**64), ("agents", 10**400)], ids=label
)
def test_a_count_that_is_too_large_is_refused(key: str, value: int) -> None:
    line = refusal(lambda: sim.simulate(world(), **{key: value}))  # type: ignore[arg-type]
    assert line.startswith(f"{key}: got {value}: must be ")


@pytest.mark.parametrize("value", [2**32, 10**20, 10**400], ids=label)
def test_steps_that_are_too_many_are_refused(value: int) -> None:
    line = refusal(lambda: Training.parse({"steps": value}, path="training"))
    assert line.startswith("training.steps: got ")
    assert line.endswith(": must be 4294967295 or less")


def test_a_record_too_large_for_memory_is_refused_before_it_is_made() -> None:
    line = refusal(
        lambda: sim.simulate(world(), training={"steps": 2**32 - 1}, record_every=1, agents=10**5)
    )
    assert "GiB" in line
    assert "allowed: " in line


@pytest.mark.parametrize("value", [None, True, -1, 0.0, "3"], ids=label)
def test_a_seed_is_a_whole_number_of_0_or_more(value: object) -> None:
    line = refusal(lambda: sim.simulate(world(), seed=value))  # type: ignore[arg-type]
    assert line == f"seed: got {value!r}: must be a whole number of 0 or more"


@pytest.mark.parametrize("value", ["cuda", None, "", ["numpy"]], ids=label)
def test_an_unknown_engine_is_told_the_known_ones(value: object) -> None:
    line = refusal(lambda: sim.simulate(world(), engine=value))  # type: ignore[arg-type]
    assert line.startswith(f"engine: got {value!r}: ")
    assert "allowed: auto, numba, numpy" in line


# --------------------------------------------------------------------------- files and names


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("values: [a]\nvalues: [b]\n", "line 2: the key 'values' is repeated"),
        ("contexts:\n  a:\n    cue: 1\n    cue: 2\n", "line 4: the key 'cue' is repeated"),
        ("- values\n", "must hold a mapping of keys to values"),
        ("3\n", "must hold a mapping of keys to values"),
        ("", "must hold a mapping of keys to values"),
        ("values: [a\n", "line 2: expected ',' or ']'"),
        ("values: a: b\n", "line 1: mapping values are not allowed here"),
        ("values: *nowhere\n", "line 1: found undefined alias 'nowhere'"),
        ("a: 1\n---\nb: 2\n", "line 2: but found another document"),
        ("{[1, 2]: 3}\n", "line 1: found unhashable key"),
        ("values: !!python/name:os.system\n", "line 1: could not determine a constructor"),
    ],
    ids=label,
)
def test_a_file_that_is_no_mapping_is_refused_with_its_line(
    tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "story.yaml"
    path.write_text(text, encoding="utf-8")
    assert refusal(lambda: Scenario.load(str(path))).startswith(f"{path}: {says}")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "story.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    assert refusal(lambda: Scenario.load(str(path))).startswith(f"{path}: cannot be read (")


@pytest.mark.parametrize("source", ["nowhere.yaml", "no/where", "../agent/default", "."])
def test_a_missing_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.chdir(tmp_path)
    line = refusal(lambda: Scenario.load(source))
    assert line.startswith("scenario: ")
    assert repr(source) in line


def test_an_unknown_scenario_is_told_the_nearest_and_all() -> None:
    line = refusal(lambda: Scenario.load("copyrigth"))
    names = ", ".join(sim.scenarios())
    assert line == (
        f"scenario: no scenario is named 'copyrigth'; did you mean 'copyright'? allowed: {names}"
    )


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"scenario": world(), "agents": 3}, "agents: unknown key beside 'scenario'; did you mean"),
        ({"scenario": world(), 1: 3, "x": 2}, "unknown key"),
        ({"scenario": world() | {"agent": {}}, "agent": {}}, "scenario.agent: the agent is given"),
        ({"scenario": None}, "scenario: must be a mapping"),
        ({"scenario": "copyright"}, "scenario: must be a mapping"),
        ({}, "scenario.values: is missing"),
    ],
    ids=["beside", "beside-mixed", "agent-twice", "none", "name", "empty"],
)
def test_a_mapping_that_is_no_scenario_is_refused(data: dict[Any, object], says: str) -> None:
    assert says in refusal(lambda: Scenario.load(data))


@pytest.mark.parametrize("name", sim.scenarios())
def test_a_scenario_is_the_same_by_name_path_and_dict(name: str, tmp_path: Path) -> None:
    scenario = Scenario.load(name)
    path = config_root() / "scenario" / f"{name}.yaml"
    beside = read_yaml(path)
    inside = {"name": name, **beside["scenario"], "agent": beside.get("agent", {})}
    copied = tmp_path / f"{name}.yaml"
    copied.write_text(yaml.safe_dump(inside, sort_keys=False), encoding="utf-8")
    assert scenario.name == name
    assert Scenario.load(str(path)) == scenario
    assert Scenario.load(inside) == scenario
    assert Scenario.load(beside).replace(name=name) == scenario
    assert Scenario.load(str(copied)) == scenario


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "+1e-3", "0.001", ".001", "1.0e-3"])
def test_a_small_number_of_yaml_is_a_number(tmp_path: Path, text: str) -> None:
    assert _cue(tmp_path, text) == 0.001


@pytest.mark.parametrize("text", ["1500", "1.5e3", "15e2", "1.5e+3", "1_500"])
def test_a_large_number_of_yaml_is_a_number(tmp_path: Path, text: str) -> None:
    assert _cue(tmp_path, text) == 1500.0


def _cue(folder: Path, text: str) -> float:
    path = folder / "story.yaml"
    story = f"values: [a]\ncontexts: {{c: {{cue: {text}, responses: {{r: {{a: 1}}}}}}}}\n"
    path.write_text(story, encoding="utf-8")
    return Scenario.load(str(path)).contexts["c"].cue


# ------------------------------------------------------------------------------------- forms


@pytest.mark.parametrize(
    ("key", "spec"), [("learning_rate", LearningRate), ("transfer", Transfer)], ids=label
)
def test_a_group_is_one_number_a_list_or_a_mapping(key: str, spec: type[Spec]) -> None:
    names = list(spec.model_fields)

    def read(given: object) -> list[float]:
        group = getattr(Training.parse({key: given}, path="training"), key)
        return [getattr(group, name) for name in names]

    numbers = [0.1 * (index + 1) for index in range(len(names))]
    assert read(0.2) == [0.2] * len(names)
    assert read(numbers) == numbers
    assert read(dict(zip(names, numbers, strict=True))) == numbers
    usual = [spec.model_fields[name].default for name in names]
    assert read({names[1]: 7}) == [usual[0], 7.0, *usual[2:]]


def test_capabilities_are_one_number_a_list_or_a_mapping() -> None:
    def read(given: object) -> list[float]:
        capability = Agent.parse(
            {"initial": {"capability": given}}, path="agent"
        ).initial.capability
        return [getattr(capability, name) for name in CAPABILITIES]

    assert read(1) == [1.0] * 5
    assert read([1, 2, 3, 4, 5]) == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert read({"composure": 3}) == [-2.0, -2.0, 3.0, -2.0, -2.0]


@pytest.mark.parametrize(
    ("habit", "numbers"),
    [(-1, [-1.0, -1.0, -1.0]), ({"code": 2}, [HABIT, 2.0, HABIT]), ({}, [HABIT] * 3)],
    ids=["number", "context", "none"],
)
def test_habit_is_one_number_or_by_context(habit: object, numbers: list[float]) -> None:
    program = compile_program(
        Scenario.load(world()),
        agent=Agent.parse({"initial": {"habit": habit}}, path="agent"),
        training=Training(),
        agents=2,
        seed=0,
    )
    start = program.theta[program.layout.rows["habit"]]
    assert start.tolist() == [[number] * 2 for number in numbers]


@pytest.mark.parametrize(
    ("similarity", "matrix"),
    [
        (None, [[1, 1, 1], [1, 1, 1], [1, 1, 1]]),
        ({"chat": {"code": 0.5}}, [[1, 0.5, 1], [0.5, 1, 1], [1, 1, 1]]),
        (
            {"chat": {"code": 0.5, "deployed": 0}, "code": {"chat": 0.25}},
            [[1, 0.5, 0], [0.25, 1, 1], [0, 1, 1]],
        ),
        (
            [[1, 0.5, 0.5], [0, 1, 0.5], [0.25, 0, 1]],
            [[1, 0.5, 0.5], [0, 1, 0.5], [0.25, 0, 1]],
        ),
    ],
    ids=["none", "both-ways", "each-way", "matrix"],
)
def test_similarity_is_by_pairs_or_a_matrix(similarity: object, matrix: list[list[float]]) -> None:
    read = _world(Scenario.load(edited({"similarity": similarity}))).similarity
    assert read[:, :, 0].tolist() == matrix


@pytest.mark.parametrize(
    "zeros",
    [
        {"contexts.code.reward.stall": 0},
        {"contexts.code.responses.stall": {"candour": 0, "care": 0}},
        {"contexts.code.responses.fix.care": 0},
        {"human_values.candour": 0},
    ],
    ids=lambda zeros: next(iter(zeros)),
)
def test_what_is_left_out_counts_as_zero(zeros: dict[str, object]) -> None:
    assert _arrays(Scenario.load(edited(zeros))) == _arrays(Scenario.load(world()))


def _world(scenario: Scenario) -> World:
    return compile_world(scenario, Numbers(agents=1))


def _arrays(scenario: Scenario) -> dict[str, object]:
    read = _world(scenario)
    program = compile_program(
        scenario, agent=Agent(), training=Training(), agents=1, seed=0, initial=None
    )
    arrays = {field.name: getattr(read, field.name) for field in fields(World)}
    arrays |= {"human_values": program.human_values, "theta": program.theta}
    return {key: None if array is None else array.tolist() for key, array in arrays.items()}


# ----------------------------------------------------------------------- who says what of an agent


STORY = {"rationality": 4, "initial": {"awareness": -1, "values": {"care": 2, "candour": 1}}}


@pytest.mark.parametrize(
    ("said", "read", "wanted"),
    [
        ({}, lambda agent: agent.rationality, 4.0),
        ({"rationality": 6}, lambda agent: agent.rationality, 6.0),
        ({"rationality": 8.0}, lambda agent: agent.rationality, 8.0),
        ({}, lambda agent: agent.decisiveness, Agent().decisiveness),
        ({"initial": {"habit": 1}}, lambda agent: agent.initial.awareness, -1.0),
        ({"initial": {"habit": 1}}, lambda agent: agent.initial.habit, 1.0),
        ({"initial": {"awareness": 3}}, lambda agent: agent.initial.awareness, 3.0),
        ({"initial": {"awareness": 3}}, lambda agent: agent.rationality, 4.0),
        (
            {"initial": {"values": {"candour": 5}}},
            lambda agent: agent.initial.values,
            {"care": 2.0, "candour": 5.0},
        ),
        ({"initial": {"values": None}}, lambda agent: agent.initial.values, None),
        ({"spread": {"rationality": 1}}, lambda agent: agent.spread.rationality, 1.0),
    ],
)
def test_what_is_said_goes_before_the_story_and_that_before_the_defaults(
    said: dict[str, object], read: Callable[[Agent], object], wanted: object
) -> None:
    story = Agent.parse(STORY, path="agent")
    assert read(Agent.parse(said, path="agent").completed_by(story)) == wanted


def test_a_default_that_is_said_goes_before_the_story() -> None:
    story = Agent.parse({"decisiveness": 9, "initial": {"habit": 9}}, path="agent")
    said = Agent(decisiveness=Agent().decisiveness, initial={"habit": HABIT})
    assert said.completed_by(story) == Agent()


def test_completing_changes_neither_agent() -> None:
    said, story = Agent(rationality=1.0), Agent.parse(STORY, path="agent")
    before = copy.deepcopy((said, story))
    said.completed_by(story)
    assert (said, story) == before


# ---------------------------------------------------------------------------------- frozenness


SPECS: list[Spec] = [
    *(Scenario.load(name) for name in sim.scenarios()),
    Scenario.load(edited({"similarity": {"chat": {"code": 0.5}}})),
    Scenario.load(edited({"similarity": [[1, 1, 1]] * 3})),
    Agent.parse({"rationality": [1, 2], "initial": {"habit": {"a": 1}}}, path="agent"),
    Training(),
]


def parts(thing: object) -> Iterator[object]:
    """Yield a spec and everything in it."""
    yield thing
    below: Any = ()
    if isinstance(thing, Spec):
        below = [getattr(thing, name) for name in type(thing).model_fields]
    elif isinstance(thing, Mapping):
        below = thing.values()
    elif isinstance(thing, tuple):
        below = thing
    for part in below:
        yield from parts(part)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: getattr(spec, "name", type(spec).__name__))
def test_a_spec_is_frozen_all_the_way_down(spec: Spec) -> None:
    for part in parts(spec):
        if isinstance(part, Spec):
            for name in [*type(part).model_fields, "something_new"]:
                with pytest.raises(ValidationError):
                    setattr(part, name, 1)
                with pytest.raises(ValidationError):
                    delattr(part, name)
        else:
            assert isinstance(part, FrozenDict | tuple | str | float | int | None)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.__setitem__("chat", 1),
        lambda d: d.__delitem__("chat"),
        lambda d: d.__ior__({"chat": 1}),
        lambda d: d.update(chat=1),
        lambda d: d.setdefault("new", 1),
        lambda d: d.pop("chat"),
        lambda d: d.popitem(),
        lambda d: d.clear(),
    ],
    ids=["set", "del", "or", "update", "setdefault", "pop", "popitem", "clear"],
)
def test_a_mapping_in_a_spec_refuses_to_change(change: Callable[[Any], object]) -> None:
    scenario = Scenario.load(world())
    with pytest.raises(TypeError, match="frozen"):
        change(scenario.contexts)
    assert scenario == Scenario.load(world())


def test_replace_makes_a_changed_copy_and_checks_it() -> None:
    training = Training(leak=0.1)
    assert training.replace(steps=5) == Training(leak=0.1, steps=5)
    assert training == Training(leak=0.1)
    assert refusal(lambda: training.replace(leak=2)).startswith("training.leak: got 2: must be")
    assert refusal(lambda: training.replace(leek=2)).startswith("training.leek: unknown key; ")


@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, lambda spec: pickle.loads(pickle.dumps(spec))],
    ids=["copy", "deepcopy", "pickle"],
)
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: getattr(spec, "name", type(spec).__name__))
def test_a_copy_is_the_same_and_as_frozen(spec: Spec, again: Callable[[Spec], Spec]) -> None:
    made = again(spec)
    assert made == spec
    kinds = [(type(part), getattr(part, "model_fields_set", None)) for part in parts(spec)]
    assert [(type(p), getattr(p, "model_fields_set", None)) for p in parts(made)] == kinds


# --------------------------------------------------------------------------------- JSON schema


def from_schema(schema: dict[str, Any], top: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return whatever a JSON schema allows (of what pydantic writes)."""
    if "$ref" in schema:
        return from_schema(top["$defs"][schema["$ref"].rsplit("/", 1)[1]], top)
    if forms := schema.get("anyOf") or schema.get("oneOf"):
        return st.one_of([from_schema(form, top) for form in forms])
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    low, high = schema.get("minimum"), schema.get("maximum")
    match schema["type"]:
        case "null":
            return st.none()
        case "integer":
            return st.integers(low, high)
        case "number":
            return st.floats(low, high, allow_nan=False, allow_infinity=False)
        case "array":
            return st.lists(from_schema(schema["items"], top), max_size=3)
        case "object" if "properties" in schema:
            known = {key: from_schema(s, top) for key, s in schema["properties"].items()}
            return st.fixed_dictionaries({}, optional=known)
        case "object":
            (pattern,) = schema["patternProperties"].items()
            names = st.sampled_from(["care", "can-dour", "_c3"])
            return st.dictionaries(names, from_schema(pattern[1], top))
    raise AssertionError(f"a form that this test does not know: {schema}")


@pytest.mark.parametrize("kind", [Agent, Training])
@settings(max_examples=60)
@given(data=st.data())
def test_what_the_schema_allows_survives_being_written_and_read(
    kind: type[Spec], data: st.DataObject
) -> None:
    schema = kind.model_json_schema()
    spec = kind.parse(data.draw(from_schema(schema, schema)), path="spec")
    assert kind.parse(spec.model_dump(), path="spec") == spec
    assert kind.parse(json.loads(spec.model_dump_json()), path="spec") == spec


RANGES = [
    ("Context", "weight", 0.0, None),
    ("Context", "info", 0.0, None),
    ("Context", "scratchpad", 0.0, 1.0),
    ("Context", "monitor", 0.0, 1.0),
    ("Context", "cue", None, None),
    ("Phase", "length", 1, 2**32 - 1),
    ("Initial", "awareness", None, None),
    ("InitialSpread", "awareness", 0.0, None),
    ("Spread", "rationality", 0.0, None),
]


@pytest.mark.parametrize(("part", "key", "low", "high"), RANGES)
def test_the_schema_has_the_ranges(
    part: str, key: str, low: float | None, high: float | None
) -> None:
    schema = Scenario.model_json_schema()["$defs"][part]["properties"][key]
    assert (schema.get("minimum"), schema.get("maximum")) == (low, high)


def test_the_schema_has_the_ranges_in_every_form() -> None:
    schema = Scenario.model_json_schema()
    share = {"type": "number", "minimum": 0.0, "maximum": 1.0}
    pairs, matrix = schema["properties"]["similarity"]["anyOf"][0]["oneOf"]
    (row,) = pairs["patternProperties"].values()
    assert list(row["patternProperties"].values()) == [share]
    assert matrix["items"]["items"] == share
    saving = schema["$defs"]["Agent"]["properties"]["scratchpad_saving"]["oneOf"]
    assert saving == [share, {"type": "array", "items": share}]


def test_the_schema_is_json_and_closed() -> None:
    schema = json.loads(json.dumps(Scenario.model_json_schema()))
    specs = [schema, *schema["$defs"].values()]
    assert all(spec["additionalProperties"] is False for spec in specs if "properties" in spec)
    assert schema["required"] == ["values", "contexts"]


# --------------------------------------------------------------------- numbers that NumPy makes


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.float32, np.float64])
def test_a_number_of_numpy_is_a_number(kind: type) -> None:
    assert Agent.parse({"rationality": kind(2)}, path="agent").rationality == 2.0


def test_an_array_gives_every_agent_its_own_number() -> None:
    agent = Agent.parse({"rationality": np.array([1.0, 2.0])}, path="agent")
    assert agent.rationality == (1.0, 2.0)
