"""Overrides: specs changed by dotted keys, and what keys name."""

from typing import Any

import numpy as np
import pytest

import sim
from sim.specs.agent import Agent
from sim.specs.errors import SpecError
from sim.specs.keys import field_at, full_key, nest, override_spec, value_at
from sim.specs.overrides import Specs, apply_overrides, read_specs
from sim.specs.scenario import Scenario
from sim.specs.training import Training

SCENARIO = {
    "values": ["care", "candour"],
    "human_values": {"care": 1, "candour": 2},
    "contexts": {
        "chat": {
            "responses": {"yes": {"care": 1}, "no": {"care": -1}},
            "reward": {"yes": 1},
            "info": 1.0,
        },
        "code": {"responses": {"fix": {"candour": 1}, "stall": {}}, "reward": {"fix": 1}},
    },
    "curriculum": [{"length": 5, "weight": {"chat": 0}}, {"length": 5}],
    "agent": {"rationality": 4},
}


@pytest.fixture
def specs() -> Specs:
    return read_specs(SCENARIO, agent={"decisiveness": 2}, training={"leak": 0.1})


def test_reading_completes_the_agent_from_the_scenario(specs: Specs) -> None:
    assert specs.agent.decisiveness == 2
    assert specs.agent.rationality == 4
    assert specs.training == Training(leak=0.1)
    assert specs.scenario == Scenario.load(SCENARIO)


def test_specs_are_taken_as_they_are(specs: Specs) -> None:
    assert read_specs(specs.scenario, agent=Agent(rationality=1)).agent.rationality == 1
    assert read_specs("copyright").scenario.name == "copyright"


def test_what_is_not_named_stays(specs: Specs) -> None:
    assert apply_overrides(specs, {}) == specs
    changed = apply_overrides(specs, {"training.leak": 0.2})
    assert changed.training == Training(leak=0.2)
    assert changed.scenario is specs.scenario
    assert changed.agent is specs.agent
    assert specs.training.leak == 0.1


NUMBERS: dict[str, Any] = {
    "training.leak": 0.2,
    "training.learning_rate.habit": 0.3,
    "training.transfer.opacity": 0.3,
    "training.steps": 7,
    "training.update_rule": "natural_gradient",
    "agent.rationality": 3.0,
    "agent.spread.rationality": 3.0,
    "agent.initial.awareness": -2.0,
    "agent.initial.capability.opacity": 1.0,
    "agent.spread.initial.awareness": 2.0,
    "scenario.contexts.code.info": 2.0,
    "scenario.contexts.chat.reward.no": 2.0,
    "scenario.contexts.chat.responses.yes.candour": 2.0,
    "scenario.human_values.care": 3.0,
    "scenario.curriculum.1.length": 9,
    "scenario.curriculum.1.reward.chat.no": 9.0,
    "scenario.similarity.chat.code": 0.5,
}


def test_a_key_sets_its_number_and_nothing_else(specs: Specs) -> None:
    for key, value in NUMBERS.items():
        changed = apply_overrides(specs, {key: value})
        assert value_at(changed, key) == value
        assert sum(a != b for a, b in zip(changed, specs, strict=True)) == 1
        assert isinstance(changed, Specs)
        back = (
            apply_overrides(changed, {key: value_at(specs, key)}) if value_at_ends(key) else specs
        )
        assert back == specs


def value_at_ends(key: str) -> bool:
    """Whether a key stands in the scenario as it is: what it leaves out stays when it is put in."""
    return not any(part in key for part in (".no", "candour", "similarity"))


def test_initial_may_be_left_out(specs: Specs) -> None:
    for short, full in {
        "agent.awareness": "agent.initial.awareness",
        "agent.habit": "agent.initial.habit",
        "agent.habit.chat": "agent.initial.habit.chat",
        "agent.values.care": "agent.initial.values.care",
        "agent.log_horizon": "agent.initial.log_horizon",
        "agent.capability.opacity": "agent.initial.capability.opacity",
        "agent.spread.awareness": "agent.spread.initial.awareness",
        "agent.spread.values.care": "agent.spread.initial.values.care",
    }.items():
        changed = apply_overrides(specs, {short: 0.7})
        assert full_key(short) == full_key(full) == full
        assert changed == apply_overrides(specs, {full: 0.7})
        assert changed != specs


def test_one_of_many_leaves_the_others_as_they_were(specs: Specs) -> None:
    start = apply_overrides(specs, {"agent.habit": -1}).agent.initial
    assert start.habit == -1
    agent = apply_overrides(
        apply_overrides(specs, {"agent.habit": -1}),
        {"agent.habit.chat": 2, "agent.values.care": 5, "agent.spread.habit.code": 0.5},
    ).agent
    assert agent.initial.habit == {"chat": 2, "code": -1}
    assert agent.initial.values == {"care": 5, "candour": 2}  # from the human values
    assert agent.spread.initial.habit == {"chat": 0, "code": 0.5}
    inclined = apply_overrides(specs, {"agent.propensity.chat.no": 2}).agent.initial.propensity
    assert inclined["chat"] == {"yes": 0, "no": 2}
    assert {x for name, below in inclined.items() for x in below.values() if name != "chat"} == {0}
    assert {*inclined} == {*specs.scenario.contexts}


def test_a_setting_by_name_adds_to_those_that_are_there(specs: Specs) -> None:
    once = apply_overrides(specs, {"agent.habit": {"chat": 2}})
    assert once.agent.initial.habit == {"chat": 2, "code": specs.agent.initial.habit}
    twice = apply_overrides(once, {"agent.habit.code": 3})
    assert twice.agent.initial.habit == {"chat": 2, "code": 3}


def test_a_mapping_is_the_same_as_its_keys(specs: Specs) -> None:
    nested = {
        "agent.initial": {"awareness": 1, "capability": {"opacity": 2}},
        "training": {"leak": 1},
    }
    flat = {
        "agent.initial.awareness": 1,
        "agent.initial.capability.opacity": 2,
        "training.leak": 1,
    }
    assert apply_overrides(specs, nested) == apply_overrides(specs, flat)


def test_one_number_for_a_whole_group(specs: Specs) -> None:
    assert apply_overrides(specs, {"training.transfer": 0.5}).training.transfer.composure == 0.5


def test_numbers_of_numpy_are_numbers(specs: Specs) -> None:
    changed = apply_overrides(
        specs,
        {
            "training.steps": np.int64(7),
            "agent.awareness": np.float32(0.5),
            "agent.rationality": np.array([1, 2]),
            "agent.decisiveness": [np.int64(1), 2.0],
        },
    )
    assert changed.training.steps == 7
    assert changed.agent.initial.awareness == 0.5
    assert changed.agent.rationality == (1, 2)
    assert changed.agent.decisiveness == (1, 2)
    assert apply_overrides(changed, {"agent.rationality.1": 9}).agent.rationality == (1, 9)


def test_changes_are_checked_together_not_one_by_one(specs: Specs) -> None:
    plain = read_specs({key: x for key, x in SCENARIO.items() if key != "curriculum"})
    first, second = "scenario.contexts.chat.weight", "scenario.contexts.code.weight"
    once = apply_overrides(plain, {first: 0})
    assert apply_overrides(once, {second: 0, first: 1}).scenario.contexts["code"].weight == 0
    with pytest.raises(SpecError, match="nothing is trained on"):
        apply_overrides(once, {second: 0})


UNKNOWN = "unknown key; did you mean"
#: Overrides (of one key: 1), and the start of the line that refuses them.
REFUSED: list[tuple[str | dict[str, Any], str]] = [
    ("trainng.leak", f"trainng: {UNKNOWN} 'training'? allowed: agent,"),
    ("training.lek", f"training.lek: {UNKNOWN} 'leak'? allowed: advantages,"),
    ("agent.awarenes", f"agent.awarenes: {UNKNOWN} 'awareness'? allowed: awareness, capab"),
    (
        "agent.initial.awarenes",
        f"agent.initial.awarenes: {UNKNOWN} 'awareness'? allowed: awareness,",
    ),
    ("scenario.contexts.chatt.info", f"scenario.contexts.chatt: {UNKNOWN} 'chat'? allowed: chat, "),
    (
        "scenario.contexts.chat.responses.yess.care",
        f"scenario.contexts.chat.responses.yess: {UNKNOWN} 'yes'? allowed: no, yes",
    ),
    (
        "scenario.curriculum.0.reward.chat.q",
        "scenario.curriculum.0.reward.chat.q: unknown key; allowed: no, yes",
    ),
    ("scenario.curriculum.7.length", "scenario.curriculum.7: unknown key; allowed: 0, 1"),
    ("scenario.similarity.chat.code.x", "scenario.similarity.chat.code.x: unknown key; scenario."),
    ("agent.habit.chatt", f"agent.initial.habit.chatt: {UNKNOWN} 'chat'? allowed: chat, code"),
    ("agent.values.cares", f"agent.initial.values.cares: {UNKNOWN} 'care'? allowed: candour, care"),
    ("scenario.agent.rationality", "scenario.agent: unknown key;"),
    ("training.leak.x", "training.leak.x: unknown key; training.leak has none below it"),
    ({"training.leak": 2}, "training.leak: got 2: must be a number from 0 to 1"),
    ({"training.leak": "0.2"}, "training.leak: got '0.2': must be a number from 0 to 1"),
    ({"training.steps": 2.5}, "training.steps: got 2.5: must be"),
    (
        {"agent.awareness": 1, "agent.initial.awareness": 2},
        "agent.initial.awareness: is given twice",
    ),
    ({"agent.habit": 1, "agent.habit.chat": 2}, "agent.habit.chat: is given twice, or in whole"),
    ({"agent.habit.chat": 2, "agent.habit": 1}, "agent.habit: is given twice, or in whole and in"),
]


def test_errors_say_where_and_what_is_allowed(specs: Specs) -> None:
    for overrides, message in REFUSED:
        with pytest.raises(SpecError) as error:
            apply_overrides(specs, overrides if isinstance(overrides, dict) else {overrides: 1})
        assert str(error.value).startswith(message)
        assert "\n" not in str(error.value)


def test_what_follows_training_is_overridden_as_a_whole_or_by_name(specs: Specs) -> None:
    """A mapping is a new one; where one number stands for many contexts, the others stay."""
    oversight, deployment = sim.Oversight(), sim.Deployment(mix={"chat": 1})
    tree = nest(
        {
            "oversight.control.strength": 0.25,
            "oversight.inspection.encounters.code": 0,
            "deployment.mix": {"code": 2},
        },
        flatten=False,
    )
    oversight = override_spec(oversight, tree, "oversight", specs.scenario)
    assert oversight.control.strength == 0.25
    assert oversight.inspection.encounters == {"chat": 3, "code": 0}
    assert override_spec(deployment, tree, "deployment", specs.scenario).mix == {"code": 2}
    added = nest({"deployment.mix.code": 1})
    assert override_spec(deployment, added, "deployment", specs.scenario).mix == {
        "chat": 1,
        "code": 1,
    }


def test_a_key_has_a_field_with_its_meaning() -> None:
    for key, path, words in (
        ("training.leak", (), "gamed responses also train"),
        ("agent.values.care", ("care",), "its explicit goals"),
        ("scenario.contexts.any.reward.yes", ("yes",), "what training rewards here"),
        ("oversight.control.strength", (), "chance to find what no capability hides"),
        ("scenario.curriculum.3.length", (), "steps"),
    ):
        field, names = field_at(key)
        assert field is not None
        assert names == path
        assert words in str(field.description)
    for key in ("leak", "training.leek", "scenario.contexts.chat.colour", "agent"):
        assert field_at(key)[0] is None
