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
from pydantic import ValidationError

import sim
from sim.dynamics.columns import Numbers
from sim.dynamics.compile import compile_program, compile_world
from sim.specs.agent import CAPABILITIES, HABIT, Agent
from sim.specs.base import FrozenDict, Spec
from sim.specs.distributions import KINDS
from sim.specs.errors import SpecError
from sim.specs.library import config_root, read_yaml
from sim.specs.scenario import STORY, Scenario
from sim.specs.training import LearningRate, Training, Transfer

GONE = object()
SONG = {"agree": {"care": 1}, "decline": {"care": -1}}
WORLD: dict[str, Any] = {
    "values": ["care", "candour"],
    "human_values": {"care": 1},
    "contexts": {
        "chat": {"responses": SONG, "reward": {"decline": 1}, "twin": "deployed"},
        "code": {"responses": {"fix": {"candour": 1}, "stall": {}}, "reward": {"fix": 1}},
        "deployed": {"responses": SONG, "reward": {"decline": 1}, "kind": "deployment"},
    },
}


def edited(data: Mapping[str, Any], changes: Mapping[str, object]) -> dict[str, Any]:
    """Return plain data with what stands at dotted paths replaced."""
    data = copy.deepcopy(dict(data))
    for path, value in changes.items():
        *branches, leaf = path.split(".")
        node: Any = data
        for branch in branches:
            node = node[int(branch) if isinstance(node, list | tuple) else branch]
        if value is GONE:
            del node[leaf]
        else:
            node[leaf] = value
    return data


def scenario(changes: Mapping[str, object]) -> Scenario:
    return Scenario.load(edited(WORLD, changes))


def refusal(read: Callable[..., object], *args: Any, **kwargs: Any) -> str:
    """Return the line by which a call is refused."""
    with pytest.raises(SpecError) as caught:
        read(*args, **kwargs)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    return line


# ------------------------------------------------------------ refusals that the schema asks for

PHASE = {"length": 5, "weight": {"chat": 1}, "reward": {"chat": {"agree": 1}}}
NORMAL = {"mean": 0, "sd": 1}
DISTRIBUTIONS: dict[str, dict[str, object]] = {
    "point": {"value": 1},
    "normal": NORMAL,
    "lognormal": {"median": 1, "sd": 1},
    "uniform": {"low": 0, "high": 1},
    "beta": {"a": 1, "b": 1},
    "logit_normal": {"median": 0.5, "sd": 1},
    "mixture": {"share": 0.5, "first": NORMAL, "second": NORMAL},
}
#: A valid example of every root, which holds every spec there is.
EXAMPLES: dict[type[Spec], dict[str, Any]] = {
    Scenario: {**WORLD, "curriculum": [PHASE], "similarity": {"chat": {"code": 0.5}}},
    Training: {},
    sim.Oversight: {},
    sim.Deployment: {},
    sim.Intervention: {"key": "training.leak", "set": 0.5},
    sim.Prior: {
        "worlds": {},
        "distributions": {
            kind: {"kind": kind, **numbers} for kind, numbers in DISTRIBUTIONS.items()
        },
        "goals": {"alignment": 1},
        "correlations": [{"keys": ["a", "b"], "rho": 0.5}],
    },
}
#: Fields that have words of their own.
OWN_WORDS = {"deployment.quorum": "it is a share of them, above 0 and at most 1"}


def walk(part: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield a spec and everything in it, with paths."""
    yield path, part
    below: Mapping[Any, object] = {}
    if isinstance(part, Spec):
        below = {name: getattr(part, name) for name in type(part).model_fields}
    elif isinstance(part, Mapping):
        below = part
    elif isinstance(part, tuple):
        below = dict(enumerate(part))
    for key, inner in below.items():
        yield from walk(inner, (*path, str(key)))


def forms_of(schema: Mapping[str, Any], top: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the simple schemas of all forms that a field may have."""
    if "$ref" in schema:
        return forms_of(top["$defs"][schema["$ref"].rsplit("/", 1)[1]], top)
    forms = schema.get("anyOf") or schema.get("oneOf")
    return [simple for form in forms for simple in forms_of(form, top)] if forms else [schema]


def allowed_number(form: Mapping[str, Any]) -> str:
    low, high = form.get("minimum"), form.get("maximum")
    if high is not None:
        return f"must be a number from {low:g} to {high:g}"
    return "must be a finite number" if low is None else f"must be a number of {low:g} or more"


def bad_values(forms: list[Mapping[str, Any]]) -> Iterator[tuple[object, str]]:
    """Yield values that a field must not have, and what its refusal says."""
    kinds = {"enum" if "enum" in form else form["type"] for form in forms}
    (form, *others) = [form for form in forms if form.get("type") != "null"]
    words = "must be "
    if not others:
        match form:
            case {"enum": choices}:
                words = f"allowed: {', '.join(sorted(choices))}"
            case {"type": "number"}:
                words = allowed_number(form)
            case {"type": "integer"}:
                words = "must be a whole number"
            case {"type": "string"}:
                words = "must be text"
            case {"type": "array"}:
                words = "must be a list"
            case {"type": "boolean"}:
                words = "a valid boolean"
    for value, kind in ((None, "null"), ([1j], "array"), ({"a": 1j}, "object"), (1j, "")):
        if kind not in kinds and not ("object" in kinds and kind == "array"):
            yield value, words
    if "boolean" not in kinds and kinds != {"object"}:
        yield True, words
    if "string" not in kinds:
        yield "nonsense", words
    elif "pattern" in form:
        yield "not a name", "a name has letters, digits, _ and -, and starts with a letter or _"
    for number in [form for form in forms if form.get("type") == "number"]:
        says = allowed_number(number) if not others else "must be a"
        yield from ((value, says) for value in (math.nan, math.inf, -math.inf, 10**400))
        if "minimum" in number:
            yield number["minimum"] - 1, says
            yield math.nextafter(number["minimum"], -math.inf), says
        if "maximum" in number:
            yield number["maximum"] + 1, says
            yield math.nextafter(number["maximum"], math.inf), says
    for number in [form for form in forms if form.get("type") == "integer"]:
        yield from ((value, "must be a whole number") for value in (2.0, 2.5, math.nan))
        yield number["minimum"] - 1, f"must be {number['minimum']} or more"
        yield from ((x, f"must be {number['maximum']} or less") for x in (2**32, 10**400))


def test_every_field_of_every_spec_refuses_what_its_schema_does_not_allow() -> None:
    """One line: the key, the value, and what is allowed; below, above, of a wrong type, unknown."""
    seen: set[type[Spec]] = set()
    bounded = tried = 0
    for root, example in EXAMPLES.items():
        name = root.__name__.lower()
        data = root.parse(example, path=name).model_dump()
        for path, spec in walk(root.parse(example, path=name)):
            if not isinstance(spec, Spec) or type(spec) in seen:
                continue
            seen.add(type(spec))
            where = "".join(f"[{p}]" if p.isdigit() else f".{p}" for p in (name, *path))[1:]
            top = type(spec).model_json_schema()
            if "const" in top["properties"].get("kind", ()):
                del top["properties"]["kind"]
                where += f".{spec.kind}"
            for key, schema in top["properties"].items():
                forms = forms_of(schema, top)
                bounded += any({"minimum", "maximum"} & form.keys() for form in forms)
                for value, words in bad_values(forms):
                    bad = edited(data, {".".join((*path, key)): value})
                    line = refusal(root.parse, bad, path=name)
                    assert line.startswith(f"{where}.{key}"), line
                    is_told = f": got {value!r}"[:50] in line and words in line
                    assert is_told or OWN_WORDS.get(f"{name}.{key}", "no") in line, line
                    tried += 1
                bad = edited(data, {".".join((*path, f"{key}x")): 1})
                line = refusal(root.parse, bad, path=name)
                assert line.startswith(f"{where}.{key}x: unknown key; did you mean '"), line
                assert {*top["properties"]} <= {*line.partition("allowed: ")[2].split(", ")}, line
    assert seen == {s for s in Spec.__subclasses__() if s.__module__.startswith("sim.specs.")}
    assert set(DISTRIBUTIONS) == set(KINDS)
    assert bounded > 60
    assert tried > 1000


# ------------------------------------------------------- refusals of rules that span several fields

#: A change of WORLD (GONE: without this key), and the line that refuses it, after `scenario.`.
REFUSED = """
values: GONE => values: is missing
values: [] => values: at least one value must be named
values: [care, candour, care] => values: each name may stand only once
values: [care, 1st] => values[1]: got '1st': a name has letters, digits, _ and -, and starts with a
values: [candour] => human_values: no value is named 'care'; did
contexts: GONE => contexts: is missing
contexts: {} => contexts: at least one context is needed
contexts.bad name: {responses: {a: {}}} => contexts.bad name: got 'bad name': a name has letters
contexts.chat.responses: GONE => contexts.chat: this context has no responses; if it is to change
contexts.chats: {info: 1} => contexts.chats: this context has no responses; if it is to change
contexts.chat.responses: {} => contexts.chat.responses: a context needs at least one response
contexts.code.responses.not ok: {} => contexts.code.responses.not ok: got 'not ok': a name has
contexts.chat.responses.agree: {cares: 1} => contexts.chat.responses.agree: no value is named 'cares
contexts.chat.reward: {agre: 1} => contexts.chat.reward: no response is named 'agre'; did you mean
contexts.chat.reward: {agree: x} => contexts.chat.reward.agree: got 'x': must be a finite number
contexts.chat.subversive: [fix] => contexts.chat.subversive: no response is named 'fix'; allowed: ag
contexts.chat.twin: deploy => contexts.chat.twin: no context is named 'deploy'; did you mean 'deploy
contexts.chat.twin: code => contexts.chat.twin: code is of kind training; a twin is a deployment con
contexts.chat.twin: chat => contexts.chat.twin: a context is no twin of itself
contexts.code.twin: deployed => contexts.code.twin: deployed must have the same responses (fix, stal
human_values: {car: 1} => human_values: no value is named 'car'; did you mean 'care'? allowed: cando
human_values: {care: 0} => human_values: all zero, which is no direction
similarity: {chta: {code: 0}} => similarity: no context is named 'chta'; did you mean 'chat'?
similarity: {chat: {coda: 0}} => similarity.chat: no context is named 'coda'; did you mean 'code'?
similarity: {chat: {code: 1.5}} => similarity.chat.code: got 1.5: must be a number from 0 to 1
similarity: [[1, 1], [1, 1]] => similarity: must have 3 rows of 3 numbers, a row for each context
similarity: [[1, 1, 1], [1, 1], [1, 1, 1]] => similarity: must have 3 rows of 3 numbers
similarity: [[1, 1, 1], [1, 1, 1], [1, -1, 1]] => similarity[2][1]: got -1: must be a number from 0
curriculum: [{}] => curriculum[0].length: is missing
curriculum: [{length: 5}, {length: 5, weight: {chats: 1}}] => curriculum[1].weight: no context is
curriculum: [{length: 5, weight: {chat: -1}}] => curriculum[0].weight.chat: got -1: must be a number
curriculum: [{length: 5, reward: {chat: {fix: 1}}}] => curriculum[0].reward.chat: no response is nam
curriculum: [{length: 5, monitor: {chat: 2}}] => curriculum[0].monitor.chat: got 2: must be a number
curriculum: [{length: 5}, {length: 5, weight: {chat: 0, code: 0}}] => curriculum[1].weight: nothing
curriculum: [{length: 5, weight: {chat: 0, code: 0, deployed: 1}}] => curriculum[0].weight: nothing
{contexts.chat.weight: 0, contexts.code.weight: 0} => contexts: nothing is trained on: a context of
{contexts.chat.kind: evaluation, contexts.code.kind: red_team} => contexts: nothing is trained on: a
agent: {rationality: [1, -1]} => agent.rationality[1]: got -1: must be a number of 0 or more
agent: {initial: {habit: {chat: x}}} => agent.initial.habit.chat: got 'x': must be a finite number
"""


def test_a_scenario_is_refused_where_it_is_wrong() -> None:
    for row in REFUSED.strip().splitlines():
        change, start = row.split(" => ")
        changes = yaml.safe_load(change)
        line = refusal(scenario, {k: GONE if x == "GONE" else x for k, x in changes.items()})
        assert line.startswith(f"scenario.{start}"), line
    weights = {f"contexts.{name}.weight": 0 for name in ("chat", "code")}
    phases = [{"length": 5, "weight": {"chat": 1}}]  # a phase may give what a context has not
    assert scenario({**weights, "curriculum": phases}).curriculum[0].weight == {"chat": 1.0}


def test_wrong_forms_keys_and_lines_of_specs() -> None:
    """Python's constructors refuse as `parse` does; the first of several problems is named."""
    rates = ", ".join(LearningRate.model_fields)
    lines: list[tuple[type[Spec], dict[str, object], str]] = [
        (
            Training,
            {"leak": 2, "anchor": -1, "visible_gaming_penalty": -1},
            "training.leak: got 2: must be a number",
        ),
        (
            Training,
            {"leak": 2, "anchor": -1, "visible_gaming_penalty": -1},
            "from 0 to 1 (and 2 more)",
        ),
        (Training, {"learning_rate": [0.1] * 4}, f"must have 7 numbers ({rates}), not 4"),
        (Training, {"transfer": []}, "training.transfer: must have 5 numbers ("),
        (Training, {"update_rule": "natural"}, "did you mean 'natural_gradient'? allowed: nat"),
        (Training, {"leek": 2}, "training.leek: unknown key; did you mean 'leak'? allowed: "),
        (Agent, {"initial": {"habit": [1]}}, "one number for all, or a mapping of names to"),
        (Agent, {"rationality": {"a": 1}}, "must be one number, or a list with one for each"),
        (sim.Context, {"responses": {}}, "context.responses: a context needs at least one"),
        (sim.Phase, {"length": 0}, "phase.length: got 0: must be 1 or more"),
        (Scenario, {"values": ["a"], "contexts": {}}, "scenario.contexts: at least one context"),
    ]
    for spec, data, words in lines:
        assert words in refusal(spec, **data)
        assert words in refusal(spec.parse, data, path=spec.__name__.lower())
    assert refusal(Agent.parse, [1], path="agent") == "agent: got [1]: must be a mapping"
    assert refusal(Agent.parse, {1: 1}, path="agent").startswith("agent.1: unknown key; ")
    for key in ("a\nb", "a\r\nb"):  # no input breaks the line
        refusal(Agent.parse, {key: 1}, path="agent")
        refusal(scenario, {f"contexts.{key}": {"responses": {"a": {}}}})
        refusal(Scenario.load, key)
        refusal(Training, update_rule=key)
        refusal(sim.simulate, WORLD, engine=key)


WHOLE = "must be a whole number of"
RUNS: list[tuple[dict[str, Any], str]] = [
    *(({key: x}, f"{key}: got {x!r}: {WHOLE} 1 or more") for key in ("agents", "record_every")
      for x in (None, True, 0, -1, 1.0, "3", [1], math.nan)),
    *(({"seed": x}, f"seed: got {x!r}: {WHOLE} 0 or more") for x in (None, True, -1, 0.0, "3")),
    ({"seed": 2**64}, f"seed: got {2**64}: must be "),
    ({"agents": 2**64}, f"agents: got {2**64}: must be "),
    ({"agents": 10**400}, f"agents: got {10**400}: must be "),
    *(({"engine": x}, f"engine: got {x!r}: ") for x in ("cuda", None, "", ["numpy"])),
    ({"engine": "nmpy"}, "engine: got 'nmpy': did you mean 'numpy'? allowed: auto, jax, numba"),
    ({"training": {"steps": 2**32 - 1}, "record_every": 1, "agents": 10**5}, "record_every: "),
    ({"agent": {"initial": {"habit": {"chats": 1}}}}, "agent.initial.habit.chats: nothing has "),
    ({"agent": {"initial": {"values": {"cares": 1}}}}, "agent.initial.values.cares: nothing has"),
    ({"agent": {"spread": {"initial": {"values": {"cares": 1}}}}}, "agent.spread.initial.values."),
    ({"agent": {"spread": {"initial": {"capability": {"opac": 1}}}}}, "agent.spread.initial.capa"),
    ({"agent": {"rationality": [1, 2, 3]}, "agents": 2}, "agent.rationality: has 3 numbers for 2 "),
    ({"agent": {"rationality": []}, "agents": 2}, "agent.rationality: has 0 numbers for 2 agents;"),
]  # fmt: skip


def test_a_run_is_refused_in_one_line() -> None:
    for options, start in RUNS:
        line = refusal(sim.simulate, WORLD, **options)
        assert line.startswith(start), line
    story = edited(WORLD, {"agent": {"initial": {"values": {"cares": 1}}}})
    assert "did you mean 'care'?" in refusal(sim.simulate, story)
    line = refusal(sim.simulate, edited(WORLD, {"human_values": GONE}))
    assert line.startswith("agent.initial.values: is missing")
    assert "care, candour" in line


# --------------------------------------------------------------------------------- files and names


#: What a file holds (its lines parted by |), and how it is refused.
FILES = """
values: [a]|values: [b]| => line 2: the key 'values' is repeated
contexts:|  a:|    cue: 1|    cue: 2| => line 4: the key 'cue' is repeated
- values| => must hold a mapping of keys to values
3| => must hold a mapping of keys to values
 => must hold a mapping of keys to values
values: [a| => line 2: expected ',' or ']'
values: a: b| => line 1: mapping values are not allowed here
values: *nowhere| => line 1: found undefined alias 'nowhere'
a: 1|---|b: 2| => line 2: but found another document
{[1, 2]: 3}| => line 1: found unhashable key
values: !!python/name:os.system| => line 1: could not determine a constructor
\xff => cannot be read (
"""


def test_a_file_that_is_no_mapping_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "story.yaml"
    for row in FILES.strip("\n").splitlines():
        content, says = row.split(" => ")
        path.write_bytes(content.replace("|", "\n").encode("latin-1"))
        assert refusal(Scenario.load, str(path)).startswith(f"{path}: {says}")


def test_what_is_no_scenario_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for source in ("nowhere.yaml", "no/where", "../agent/default", "."):
        line = refusal(Scenario.load, source)
        assert line.startswith("scenario: ")
        assert repr(source) in line
    assert refusal(Scenario.load, "copyrigth") == (
        "scenario: no scenario is named 'copyrigth'; did you mean 'copyright'? "
        f"allowed: {', '.join(sim.scenarios())}"
    )
    mappings: list[tuple[dict[Any, Any], str]] = [
        ({"scenario": WORLD, "agents": 3}, "agents: unknown key beside 'scenario'; did you mean"),
        ({"scenario": WORLD, 1: 3, "x": 2}, "unknown key"),
        ({"scenario": {**WORLD, "agent": {}}, "agent": {}}, "scenario.agent: is given twice"),
        ({"scenario": None}, "scenario: must be a mapping"),
        ({"scenario": "copyright"}, "scenario: must be a mapping"),
        ({}, "scenario.values: is missing"),
    ]
    for data, says in mappings:
        assert says in refusal(Scenario.load, data)


def test_a_scenario_is_the_same_by_name_path_and_dict(tmp_path: Path) -> None:
    for name in sim.scenarios():
        loaded = Scenario.load(name)
        path = config_root() / "scenario" / f"{name}.yaml"
        beside = read_yaml(path)
        inside = {"name": name, **beside["scenario"], **{key: beside.get(key, {}) for key in STORY}}
        copied = tmp_path / f"{name}.yaml"
        copied.write_text(yaml.safe_dump(inside, sort_keys=False), encoding="utf-8")
        assert loaded.name == name
        assert Scenario.load(str(path)) == Scenario.load(inside) == loaded
        assert Scenario.load(beside).replace(name=name) == Scenario.load(str(copied)) == loaded


def test_a_file_that_is_read_twice_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text("initial: {habit: -2}", encoding="utf-8")
    read_yaml(path)["initial"]["habit"] = 5
    assert read_yaml(path) == {"initial": {"habit": -2}}
    path.write_text("initial: {habit: -3}", encoding="utf-8")
    assert read_yaml(path) == {"initial": {"habit": -3}}


def test_numbers_of_yaml_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "story.yaml"
    for number, texts in {
        0.001: ("1e-3", "1E-3", "+1e-3", "0.001", ".001", "1.0e-3"),
        1500.0: ("1500", "1.5e3", "15e2", "1.5e+3", "1_500"),
    }.items():
        for text in texts:
            story = f"values: [a]\ncontexts: {{c: {{cue: {text}, responses: {{r: {{a: 1}}}}}}}}\n"
            path.write_text(story, encoding="utf-8")
            assert Scenario.load(str(path)).contexts["c"].cue == number


# ------------------------------------------------------------------------------------------- forms


@pytest.mark.parametrize("key", ["learning_rate", "transfer", "capability"])
def test_a_group_is_one_number_a_list_or_a_mapping(key: str) -> None:
    def read(value: object) -> list[float]:
        if key == "capability":
            group: Spec = Agent(initial={key: value}).initial.capability
        else:
            group = getattr(Training(**{key: value}), key)
        return [getattr(group, name) for name in names]

    spec = {"learning_rate": LearningRate, "transfer": Transfer}.get(key, sim.Agent)
    names = list(CAPABILITIES if key == "capability" else spec.model_fields)
    numbers = [0.1 * (index + 1) for index in range(len(names))]
    assert read(0.2) == [0.2] * len(names)
    assert read(numbers) == read(dict(zip(names, numbers, strict=True))) == numbers
    default = read({})
    assert read({names[1]: 7}) == [default[0], 7.0, *default[2:]]


def compiled(story: Scenario, agent: Agent | None = None, agents: int = 1) -> Any:
    return compile_program(
        story, agent=agent or Agent(), training=Training(), agents=agents, seed=0
    )


def test_habit_is_one_number_or_by_context() -> None:
    for habit, numbers in ((-1, [-1.0] * 3), ({"code": 2}, [HABIT, 2.0, HABIT]), ({}, [HABIT] * 3)):
        program = compiled(scenario({}), Agent(initial={"habit": habit}), 2)
        start = program.theta[program.layout.rows["habit"]]
        assert start.tolist() == [[number] * 2 for number in numbers]


def test_similarity_is_by_pairs_or_a_matrix() -> None:
    each_way = {"chat": {"code": 0.5, "deployed": 0}, "code": {"chat": 0.25}}
    given_matrix = [[1, 0.5, 0.5], [0, 1, 0.5], [0.25, 0, 1]]
    for similarity, matrix in (
        (None, [[1, 1, 1], [1, 1, 1], [1, 1, 1]]),
        ({"chat": {"code": 0.5}}, [[1, 0.5, 1], [0.5, 1, 1], [1, 1, 1]]),
        (each_way, [[1, 0.5, 0], [0.25, 1, 1], [0, 1, 1]]),
        (given_matrix, given_matrix),
    ):
        world = compile_world(scenario({"similarity": similarity}), Numbers(agents=1))
        assert world.similarity[:, :, 0].tolist() == matrix


def test_what_is_left_out_counts_as_zero() -> None:
    def arrays(story: Scenario) -> dict[str, object]:
        world, program = compile_world(story, Numbers(agents=1)), compiled(story)
        found = {field.name: getattr(world, field.name) for field in fields(world)}
        found |= {"human_values": program.human_values, "theta": program.theta}
        return {
            key: None if array is None else repr(array.tolist()) for key, array in found.items()
        }

    for path, zero in {
        "contexts.code.reward.stall": 0,
        "contexts.code.responses.stall": {"candour": 0, "care": 0},
        "contexts.code.responses.fix.care": 0,
        "human_values.candour": 0,
    }.items():
        assert arrays(scenario({path: zero})) == arrays(scenario({}))


def test_numbers_of_numpy_are_numbers() -> None:
    for kind in (np.int64, np.int32, np.float32, np.float64):
        assert Agent.parse({"rationality": kind(2)}, path="agent").rationality == 2.0
    assert Agent(rationality=np.array([1.0, 2.0])).rationality == (1.0, 2.0)


# ----------------------------------------------------- the user's agent, the story's, the defaults


def test_a_user_s_agent_goes_before_the_story_s_and_that_before_the_defaults() -> None:
    story = Agent(rationality=4, initial={"awareness": -1, "values": {"care": 2, "candour": 1}})
    rows: list[tuple[dict[str, object], Callable[[Agent], object], object]] = [
        ({}, lambda agent: agent.rationality, 4.0),
        ({"rationality": 8.0}, lambda agent: agent.rationality, 8.0),
        ({}, lambda agent: agent.decisiveness, Agent().decisiveness),
        ({"initial": {"habit": 1}}, lambda agent: agent.initial.awareness, -1.0),
        ({"initial": {"habit": 1}}, lambda agent: agent.initial.habit, 1.0),
        ({"initial": {"awareness": 3}}, lambda agent: agent.initial.awareness, 3.0),
        ({"initial": {"values": {"candour": 5}}}, lambda agent: agent.initial.values["care"], 2.0),
        ({"initial": {"values": None}}, lambda agent: agent.initial.values, None),
        ({"spread": {"rationality": 1}}, lambda agent: agent.spread.rationality, 1.0),
    ]
    for data, read, number in rows:
        own = Agent.parse(data, path="agent")
        before = copy.deepcopy((own, story))
        assert read(own.completed_by(story)) == number
        assert (own, story) == before
    default = Agent(decisiveness=Agent().decisiveness, initial={"habit": HABIT})
    other = Agent(decisiveness=9, initial={"habit": 9})
    assert default.completed_by(other) == Agent()  # a default that is set goes before the story


# -------------------------------------------------------------------------- frozen, copied, printed

SPECS: list[Spec] = [
    *(Scenario.load(name) for name in ("copyright", "pipeline", "monolithic")),
    scenario({"similarity": {"chat": {"code": 0.5}}}),
    scenario({"similarity": [[1, 1, 1]] * 3}),
    Agent(rationality=[1, 2], initial={"habit": {"a": 1}}),
    Training(leak=0.5),
    *(root.parse(example, path="") for root, example in EXAMPLES.items()),
]


def test_a_spec_is_frozen_all_the_way_down() -> None:
    for spec in SPECS:
        for _, part in walk(spec):
            if isinstance(part, Spec):
                for name in [*type(part).model_fields, "something_new"]:
                    with pytest.raises(ValidationError):
                        setattr(part, name, 1)
                    with pytest.raises(ValidationError):
                        delattr(part, name)
            elif not isinstance(spec, sim.Prior):  # whose keys are no names
                assert isinstance(part, FrozenDict | tuple | str | float | int | None)
    contexts: Any = SPECS[0].contexts  # type: ignore[attr-defined]
    before = dict(contexts)
    changes: list[Callable[[], object]] = [
        lambda: contexts.__setitem__("chat", 1),
        lambda: contexts.__delitem__("chat"),
        lambda: contexts.__ior__({"chat": 1}),
        lambda: contexts.update(chat=1),
        lambda: contexts.setdefault("new", 1),
        lambda: contexts.pop("chat"),
        contexts.popitem,
        contexts.clear,
    ]
    for change in changes:
        with pytest.raises(TypeError, match="frozen"):
            change()
    assert contexts == before


def test_copies_are_the_same_as_frozen_and_what_was_set_in_them_is_known() -> None:
    for spec in SPECS:
        for again in (copy.copy, copy.deepcopy, lambda spec: pickle.loads(pickle.dumps(spec))):
            made = again(spec)
            assert made == spec
            kinds = [
                (type(part), getattr(part, "model_fields_set", None)) for _, part in walk(spec)
            ]
            assert kinds == [(type(p), getattr(p, "model_fields_set", None)) for _, p in walk(made)]
    training = Training(leak=0.1)
    assert training.replace(steps=5) == Training(leak=0.1, steps=5)
    assert training == Training(leak=0.1)
    assert refusal(training.replace, leak=2).startswith("training.leak: got 2: must be")
    assert refusal(training.replace, leek=2).startswith("training.leek: unknown key; ")


def test_reprs_are_short_and_show_what_was_set() -> None:
    assert all(len(repr(spec)) <= 160 and "\n" not in repr(spec) for spec in SPECS)
    assert repr(Training(leak=0.5)) == "Training(leak=0.5)"
    assert repr(Agent(initial={"awareness": 2})) == "Agent(initial=Initial(awareness=2.0))"
    pipeline = "<sim.Scenario 'pipeline': 4 contexts, 2 values, 3 phases>"
    assert repr(SPECS[1]) == pipeline
    assert repr(sim.Prior.load("capable")).startswith("<sim.Prior: ")


# ------------------------------------------------------------------------------------- JSON schema


def test_a_spec_survives_being_written_and_read() -> None:
    for spec in SPECS:
        kind = type(spec)
        assert kind.parse(spec.model_dump(), path="spec") == spec
        assert kind.parse(json.loads(spec.model_dump_json()), path="spec") == spec


def test_the_schema_has_the_ranges_in_every_form_and_is_closed() -> None:
    schema = json.loads(json.dumps(Scenario.model_json_schema()))
    specs = [schema, *schema["$defs"].values()]
    assert all(spec["additionalProperties"] is False for spec in specs if "properties" in spec)
    assert schema["required"] == ["values", "contexts"]
    share = {"type": "number", "minimum": 0.0, "maximum": 1.0}
    pairs, matrix = schema["properties"]["similarity"]["anyOf"][0]["oneOf"]
    (row,) = pairs["patternProperties"].values()
    assert list(row["patternProperties"].values()) == [share]
    assert matrix["items"]["items"] == share
    saving = schema["$defs"]["Agent"]["properties"]["scratchpad_saving"]["oneOf"]
    assert saving == [share, {"type": "array", "items": share}]
    for part, key, low, high in (
        ("Context", "weight", 0.0, None),
        ("Context", "monitor", 0.0, 1.0),
        ("Context", "cue", None, None),
        ("Phase", "length", 1, 2**32 - 1),
        ("Initial", "awareness", None, None),
        ("InitialSpread", "awareness", 0.0, None),
    ):
        bounds = schema["$defs"][part]["properties"][key]
        assert (bounds.get("minimum"), bounds.get("maximum")) == (low, high)
