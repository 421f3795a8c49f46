"""Published facts: every verdict can come out, and where there is a closed form it is met."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import expon, norm

from experiments.calibration import facts, facts_trained
from experiments.calibration.data import (
    Calibration,
    Measurements,
    check_measurements,
    read_measurements,
)
from experiments.calibration.facts import FACTS, answers, table_of
from experiments.calibration.facts_answer import Answer, Bars, of_draws, of_share
from experiments.calibration.facts_trained import UNIFORM, sarle, two_modes
from experiments.calibration.facts_world import (
    Asked,
    Course,
    guarding_as_an_end,
    placed,
    queries,
    trained,
)
from experiments.calibration.figure import facts_figure
from sim.simulation import simulate
from sim.specs.agent import Agent
from sim.specs.errors import SpecError
from sim.specs.scenario import Scenario

DATA = Path(__file__).parent.parent / "data"
CONFIGS = Path(__file__).parent.parent / "configs"
RUNS = 8


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    text = (CONFIGS / "measured" / "alignment_faking.yaml").read_text(encoding="utf-8")
    return Calibration.parse({**yaml.safe_load(text), "kinds": 3}, path="measured")


@pytest.fixture(scope="module")
def prompts() -> Measurements:
    return read_measurements(DATA / "alignment_faking_prompts.csv")


@pytest.fixture(scope="module")
def asked(calibration: Calibration, prompts: Measurements) -> Asked:
    """A gamer in the scenario that was measured; its numbers are of no table."""
    agent = Agent.parse(
        {
            "initial": {"values": {"harmlessness": 1.2}, "awareness": -6.0, "log_competence": 2.0},
            "rationality": 30.0,
            "discernment": 3.0,
            "spread": {"initial": {"values": {"harmlessness": 0.5}}},
        },
        path="agent",
    )
    return Asked(
        agent=agent,
        scenario=Scenario.load("alignment_faking"),
        calibration=calibration,
        prompts=prompts,
        draws=RUNS,
        steps=60,
        seeds=16,
    )


def with_agent(asked: Asked, **changes: Any) -> Asked:
    """The same, of an agent in which traits or, by `initial`, its start are changed."""
    agent = asked.specs.agent
    initial = agent.initial.replace(**changes.pop("initial", {}))
    return asked.of(agent.replace(initial=initial, **changes))


# ------------------------------------------------------------------------ where facts are asked


def test_before_training_kinds_of_query_have_the_rates_of_the_prompt(asked: Asked) -> None:
    course = trained(asked)
    faking, training, unmonitored = asked.untrained({})[0]
    assert course.gaming[0, 0] == pytest.approx(faking, rel=1e-9)
    assert course.training[0, 0] == pytest.approx(training, rel=1e-9)
    assert course.unmonitored[0, 0] == pytest.approx(unmonitored, rel=1e-9)


def test_a_course_is_that_of_simulate(asked: Asked) -> None:
    columns = {key: column[:2] for key, column in asked.unknown.items()}
    course = trained(asked, columns=columns)
    training = {
        "motive_credit": columns["training.motive_credit"][1],
        "leak": columns["training.leak"][1],
        "generalisation": {"habit": columns["training.generalisation.habit"][1]},
        "learning_rate": {
            "habit": 0.3,
            "values": columns["training.learning_rate.values"][1],
            "awareness": columns["training.learning_rate.awareness"][1],
        },
    }
    specs, weights = queries(asked, training=training)
    alone = simulate(specs.scenario, agent=specs.agent, training=specs.training)
    refused = alone.policy.isel(step=-1, agent=0, response=0).values
    assert course.training[-1, 1] == pytest.approx(refused[:3] @ weights, rel=1e-9)
    assert course.unmonitored[-1, 1] == pytest.approx(refused[3:] @ weights, rel=1e-9)


def test_seeds_differ_and_are_those_of_simulate(asked: Asked) -> None:
    sampled = {"estimator": "sampled"}
    course = trained(asked, columns={"training.leak": np.array([0.0, 1.0])}, training=sampled,
                     seeds=3)  # fmt: skip
    assert course.gap.shape[1] == 6
    assert len(np.unique(course.training[-1])) == 6
    specs, weights = queries(asked, training={**sampled, "leak": 1.0})
    alone = simulate(specs.scenario, agent=specs.agent, training=specs.training, seed=2)
    refused = alone.policy.isel(step=-1, agent=0, response=0).values
    assert course.training[-1, 5] == pytest.approx(refused[:3] @ weights, rel=1e-9)


def test_without_gaming_the_gap_is_exactly_0(asked: Asked) -> None:
    off = trained(asked, columns=asked.exact, interventions=[{"key": "gaming", "set": 0}])
    assert np.abs(off.gap).max() == 0.0
    assert (off.gaming == 0.0).all()
    assert np.abs(trained(asked, columns=asked.exact).gap).max() > 0.01


def test_guarding_as_an_end_starts_alike_and_follows_no_consequence(asked: Asked) -> None:
    specs, _ = queries(asked)
    end = guarding_as_an_end(specs)
    first = [
        simulate(specs.scenario, agent=agent, training={"steps": 1}).gaming_rate.values[0]
        for agent in (specs.agent, end)
    ]
    np.testing.assert_allclose(first[0], first[1], rtol=1e-12)
    # With rationality 0 no motive has credit to get: it makes no difference how much flows.
    courses = [
        trained(
            asked,
            columns={"training.motive_credit": np.array([0.0, 1.0])},
            training={"learning_rate": {"values": 0.1, "habit": 0.3}},
            terminal=terminal,
        ).gap
        for terminal in (True, False)
    ]
    np.testing.assert_array_equal(courses[0][:, 0], courses[0][:, 1])
    assert np.abs(courses[1][:, 0] - courses[1][:, 1]).max() > 1e-3


def test_a_value_that_training_never_meets_keeps_its_behaviour(asked: Asked) -> None:
    # Helpfulness would be trained, and speaks behind the trigger too: here it speaks nowhere.
    scenario = asked.scenario.model_dump(mode="json", exclude_unset=True)
    for context in scenario["contexts"].values():
        for serves in context["responses"].values():
            serves["helpfulness"] = 0.0
    world = Scenario.parse(scenario, path="scenario")
    one = Asked(
        agent=asked.agent,
        scenario=world,
        calibration=asked.calibration,
        prompts=asked.prompts,
        draws=RUNS,
        steps=60,
    )
    off = [{"key": "gaming", "set": 0}]
    own, same = (
        trained(one, columns=one.exact, shared=shared, interventions=off) for shared in (0.0, 1.0)
    )
    np.testing.assert_array_equal(own.unmonitored, np.broadcast_to(own.unmonitored[:1], (61, RUNS)))
    np.testing.assert_array_equal(same.unmonitored, same.training)
    assert (same.unmonitored[-1] < same.unmonitored[0]).all()


def test_an_agent_is_placed_where_it_has_the_rates(asked: Asked) -> None:
    wanted = asked.untrained(
        {
            "agent.initial.values.harmlessness": np.array([0.6]),
            "agent.initial.awareness": np.array([-5.0]),
            "agent.initial.log_competence": np.array([0.5]),
        }
    )[0]
    agent, rates = placed(asked.specs, asked.calibration, wanted, width=asked.width)
    np.testing.assert_allclose(rates, wanted, atol=1e-5)
    np.testing.assert_allclose(asked.of(agent).untrained({})[0], wanted, atol=1e-5)


def test_a_value_of_0_is_refused(asked: Asked) -> None:
    with pytest.raises(SpecError, match=r"agent\.initial\.values\.harmlessness: is 0"):
        with_agent(asked, initial={"values": {"harmlessness": 0.0, "helpfulness": 1.0}})


# -------------------------------------------------------------------------------------- verdicts


@pytest.mark.parametrize(
    ("share", "verdict"),
    [(0.0, "not met"), (0.1, "not met"), (0.11, "depends"), (0.89, "depends"), (0.9, "met")],
)
def test_verdicts_of_shares(share: float, verdict: str) -> None:
    assert of_share(share) == verdict


def test_what_a_verdict_depends_on_is_found() -> None:
    drawn = np.arange(20.0)
    unknown = {"training.leak": drawn, "training.learning_rate.values": np.roll(drawn, 9) % 7}
    verdict, leaning = of_draws(unknown, drawn < 8)
    assert verdict == "depends"
    ((key, correlation),) = leaning.items()
    assert "leak" in key
    assert correlation < 0.0
    assert of_draws(unknown, drawn < 8, among=drawn < 8) == ("met", {})
    assert of_draws(unknown, drawn < 8, among=drawn > 30)[0] == "not met"


def test_sarles_coefficient() -> None:
    shares = (np.arange(2000) + 0.5) / 2000
    assert sarle(shares) == pytest.approx(UNIFORM, abs=2e-3)
    assert sarle(norm.ppf(shares)) == pytest.approx(1.0 / 3.0, abs=0.01)
    assert sarle(np.repeat([0.0, 1.0], 1000)) == pytest.approx(1.0, abs=5e-3)
    assert sarle(np.full(20, 0.3)) == 0.0
    # Exponential: skewness 2, kurtosis 9, so (4 + 1) / 9 is 5/9 too; quantiles cut the tail off.
    assert sarle(expon.ppf(shares)) == pytest.approx(UNIFORM, abs=0.06)


def test_two_modes_need_two_ends() -> None:
    shares = (np.arange(200) + 0.5) / 200
    apart = np.concatenate([norm.ppf(shares) * 0.1, norm.ppf(shares) * 0.1 + 1.0])
    assert two_modes(apart)
    lumps = np.repeat([0.0, 0.5, 1.0], [30, 40, 30])
    assert sarle(lumps) > UNIFORM
    assert not two_modes(lumps)
    assert not two_modes(0.01 * apart)  # seeds that hardly differ
    assert not two_modes(norm.ppf(shares))
    assert not two_modes(np.r_[np.zeros(195), np.ones(5)])  # Sarle's alone would say yes
    assert sarle(np.r_[np.zeros(195), np.ones(5)]) > UNIFORM


# ------------------------------------------------------------------- facts about prompts, by hand

Rates = list[list[float]]


def answered(
    asked: Asked, name: str, monkeypatch: pytest.MonkeyPatch, rates: list[Rates]
) -> Answer:
    """The answer if the model's rates before training are these, call by call."""
    left = [np.array(one) for one in rates]
    monkeypatch.setattr(Asked, "untrained", lambda *a, **k: left.pop(0))
    return FACTS[name][0](asked, None)


@pytest.mark.parametrize(
    ("faking", "verdict"),
    [
        ([0.2, 0.019, 0.0], "met"),
        ([0.2, 0.021, 0.03], "not met"),
        ([0.2, 0.021, 0.0], "depends"),
        ([0.2, 0.0, 0.1], "depends"),
    ],
)
def test_no_conflict(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, faking: list[float], verdict: str
) -> None:
    rates = [[f, 0.5, 0.6] for f in faking]
    answer = answered(asked, "no conflict, no faking", monkeypatch, [rates, rates])
    assert answer.verdict == verdict
    assert answer.numbers["faking_with_conflict"] == faking[0]


def test_no_conflict_turns_with_habit(asked: Asked) -> None:
    # Habit asks for no conflict; incentive does.
    assert facts.no_conflict(asked).verdict == "met"
    inclined = with_agent(asked, initial={"habit": 12.0})
    assert facts.no_conflict(inclined).verdict == "not met"


def rows(gaps: list[float]) -> Measurements:
    """A table of prompts without faking that have these gaps, each with an error of 0.02."""
    count = len(gaps)
    return check_measurements(
        pd.DataFrame(
            {
                "row": [str(i) for i in range(count)],
                "setting": "helpful_only",
                "condition": "default",
                "af_reasoning": 0.0,
                "af_reasoning_se": 0.0,
                "refusal_training": 0.6,
                "refusal_training_se": 0.02,
                "refusal_unmonitored": [0.6 + gap for gap in gaps],
                "refusal_unmonitored_se": 0.02,
            }
        )
    )


@pytest.mark.parametrize(
    ("gaps", "verdict"), [([0.01, -0.02, 0.0], "met"), ([0.01, 0.2, 0.0], "not met")]
)
def test_no_faking_no_gap(asked: Asked, gaps: list[float], verdict: str) -> None:
    one = Asked(
        agent=asked.agent,
        scenario=asked.scenario,
        calibration=asked.calibration,
        prompts=rows(gaps),
        steps=10,
    )
    answer = facts.no_faking_no_gap(one)
    assert answer.verdict == verdict
    assert answer.numbers["gap_without_gaming"] == 0.0
    assert answer.numbers["chi2_of_their_gaps"] == pytest.approx(
        sum(g**2 for g in gaps) / (2 * 0.02**2)
    )


def test_no_faking_no_gap_fails_if_gaming_off_leaves_one(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "trained", lambda *a, **k: course(unmonitored=0.51))
    assert facts.no_faking_no_gap(asked).verdict == "not met"


def test_no_scratchpad_turns_with_what_a_scratchpad_does(asked: Asked) -> None:
    assert facts.no_scratchpad(asked).verdict == "met"
    # Where a scratchpad neither brings training to mind nor saves anything, nothing changes.
    idle = with_agent(
        asked, scratchpad_sensitivity=0.0, scratchpad_saving=0.0, initial={"awareness": -2.0}
    )
    answer = facts.no_scratchpad(idle)
    assert answer.verdict == "not met"
    assert answer.numbers["share_left"] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("without", "verdict"),
    [([0.0, 0.08, 0.08], "met"), ([0.0, 0.01, 0.08], "depends"), ([0.0, 0.0, 0.01], "not met"),
     ([0.5, 0.5, 0.5], "not met")],
)  # fmt: skip
def test_after_documents(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, without: list[float], verdict: str
) -> None:
    monkeypatch.setattr(facts, "_POINTS", 3)
    scratchpad = [[0.1, 0.5, 0.6], [0.2, 0.5, 0.7], [0.2, 0.5, 0.7]]
    none = [[0.1, 0.5, 0.5 + gap] for gap in without]
    name = "no scratchpad, after documents"
    answer = answered(asked, name, monkeypatch, [scratchpad, none, none])
    assert answer.verdict == verdict


# ------------------------------------------------------------------- facts about training, by hand


def course(
    *,
    gaming: float | list[float] = 0.2,
    training: float | list[float] = 0.5,
    unmonitored: float | list[float] = 0.7,
    runs: int = RUNS,
) -> Course:
    """A course of two records or more, the same in all runs."""
    given = [np.atleast_1d(x) for x in (gaming, training, unmonitored)]
    length = max(2, *(len(x) for x in given))
    of = [np.repeat(np.broadcast_to(x, length)[:, None], runs, axis=1) for x in given]
    return Course(np.arange(length) * 10, *of)


def beside(*parts: Course) -> Course:
    """Courses side by side."""
    return Course(
        parts[0].steps,
        *(
            np.concatenate([getattr(one, name) for one in parts], axis=1)
            for name in ("gaming", "training", "unmonitored")
        ),
    )


def given(monkeypatch: pytest.MonkeyPatch, module: Any, courses: list[Course]) -> None:
    left = list(courses)
    monkeypatch.setattr(module, "trained", lambda *a, **k: left.pop(0))


LOWER = course(gaming=[0.2, 0.15], training=[0.5, 0.1], unmonitored=[0.7, 0.2], runs=4)
NO_FAKING = course(gaming=[0.2, 0.01], training=[0.5, 0.1], unmonitored=[0.7, 0.2], runs=4)
RISEN = course(gaming=[0.2, 0.3], training=[0.5, 0.1], unmonitored=[0.7, 0.2], runs=4)
WIDER = course(gaming=[0.2, 0.15], training=[0.5, 0.1], unmonitored=[0.7, 0.4], runs=4)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([LOWER, LOWER], "met"),
        ([LOWER, RISEN], "depends"),
        ([NO_FAKING, RISEN], "not met"),
        ([WIDER, WIDER], "not met"),
    ],
)
def test_training_lowers_faking(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, found: list[Course], verdict: str
) -> None:
    given(monkeypatch, facts_trained, [beside(*found), course()])
    answer = facts_trained.training_lowers_faking(asked)
    assert answer.verdict == verdict


def test_the_agent_of_the_animal_welfare_prompt(asked: Asked) -> None:
    frame = asked.prompts.frame
    helpful = asked.prompts.take((frame["setting"] == "helpful_only").to_numpy())
    without = Asked(
        agent=asked.agent,
        scenario=asked.scenario,
        calibration=asked.calibration,
        prompts=helpful,
        draws=RUNS,
        steps=60,
    )
    with pytest.raises(SpecError, match="no row animal_welfare, default"):
        facts_trained.training_lowers_faking(without)


KEEPS = course(gaming=0.2, training=0.5, unmonitored=[0.7, 0.69], runs=4)
REASONS = course(gaming=[0.2, 0.11], training=0.5, unmonitored=[0.7, 0.53], runs=4)
FORGETS = course(gaming=[0.2, 0.09], training=0.5, unmonitored=[0.7, 0.53], runs=4)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [([REASONS, REASONS], "met"), ([REASONS, FORGETS], "depends"), ([KEEPS, FORGETS], "not met")],
)
def test_gap_lost_reasoning_stays(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, found: list[Course], verdict: str
) -> None:
    given(monkeypatch, facts_trained, [beside(*found), course()])
    answer = facts_trained.gap_lost_reasoning_stays(asked)
    assert answer.verdict == verdict
    assert answer.numbers["share_by_exact_gradient"] == 0.0


@pytest.mark.parametrize(
    ("means", "end", "verdict"),
    [
        ([FORGETS, FORGETS], [KEEPS, KEEPS], "met"),
        ([FORGETS, KEEPS], [KEEPS, KEEPS], "depends"),
        ([KEEPS, KEEPS], [FORGETS, KEEPS], "not met"),
    ],
)
def test_an_end_keeps_the_gap(
    asked: Asked,
    monkeypatch: pytest.MonkeyPatch,
    means: list[Course],
    end: list[Course],
    verdict: str,
) -> None:
    given(monkeypatch, facts_trained, [beside(*means), beside(*end), course(), course()])
    assert facts_trained.terminal_keeps_the_gap(asked).verdict == verdict


@pytest.mark.parametrize(("bimodal", "verdict"), [(8, "met"), (4, "depends"), (0, "not met")])
def test_an_end_is_bimodal(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, bimodal: int, verdict: str
) -> None:
    # The first record is where seeds differ; at the last they are the same again.
    two, one = np.repeat([0.0, 0.2], 8), np.linspace(0.08, 0.12, 16)
    gaps = np.concatenate([two] * bimodal + [one] * (RUNS - bimodal))
    high = np.array([0.5 + gaps, np.full_like(gaps, 0.5)])
    found = Course(np.array([0, 10]), np.full_like(high, 0.2), np.full_like(high, 0.5), high)
    given(monkeypatch, facts_trained, [found, found])
    assert facts_trained.terminal_is_bimodal(asked).verdict == verdict


STILL = course(training=[0.5, 0.04], unmonitored=[0.7, 0.64])
SHAKEN = course(training=[0.5, 0.04], unmonitored=[0.7, 0.62])
GONE = course(training=[0.5, 0.04], unmonitored=[0.7, 0.04])
UNTRAINED = course(training=[0.5, 0.4], unmonitored=[0.7, 0.7])


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([STILL] * 5, "met"),
        ([STILL, STILL, SHAKEN, GONE, GONE], "depends"),
        ([SHAKEN, SHAKEN, SHAKEN, GONE, GONE], "not met"),
        ([UNTRAINED] * 5, "not met"),  # what is not removed was not put to the test
    ],
)
def test_behind_a_trigger(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, found: list[Course], verdict: str
) -> None:
    given(monkeypatch, facts_trained, [*found, STILL, GONE])
    assert facts_trained.behind_a_trigger(asked).verdict == verdict


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([STILL, SHAKEN, GONE], "met"),
        ([SHAKEN, SHAKEN, GONE], "met"),
        ([SHAKEN, STILL, GONE], "not met"),
        ([STILL, GONE, GONE], "not met"),
        ([STILL, SHAKEN, UNTRAINED], "not met"),
    ],
)
def test_reasoning_keeps_the_trigger(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, found: list[Course], verdict: str
) -> None:
    given(monkeypatch, facts_trained, [*found, *found])
    assert facts_trained.reasoning_keeps_the_trigger(asked).verdict == verdict


def test_reasoning_keeps_the_trigger_in_some_trainings(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed = beside(
        course(training=[0.5, 0.04], unmonitored=[0.7, 0.64], runs=4),
        course(training=[0.5, 0.04], unmonitored=[0.7, 0.1], runs=4),
    )
    given(monkeypatch, facts_trained, [mixed, SHAKEN, GONE] * 2)
    answer = facts_trained.reasoning_keeps_the_trigger(asked)
    assert answer.verdict == "depends"
    assert answer.numbers["share_reasoning_keeps"] == 0.5


# ------------------------------------------------------------------------------------- the whole


@pytest.fixture(scope="module")
def found(asked: Asked) -> dict[str, Answer]:
    told: list[float] = []
    all_of_them = answers(asked, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)
    return all_of_them


def test_every_fact_is_answered(found: dict[str, Answer]) -> None:
    table = table_of(found)
    assert list(table["name"]) == list(FACTS)
    for name, answer in found.items():
        numbers = json.loads(json.dumps(dict(answer.numbers), allow_nan=False))
        assert numbers == dict(answer.numbers)
        assert all(type(number) is float for number in answer.numbers.values()), name


def test_the_same_question_has_the_same_answer(asked: Asked, found: dict[str, Answer]) -> None:
    names = ["an end is bimodal", "reasoning keeps the trigger"]
    assert answers(asked, only=names) == {name: found[name] for name in names}


def test_unknown_facts_are_refused(asked: Asked) -> None:
    with pytest.raises(SpecError, match=r"facts: .*no scratchpad"):
        answers(asked, only=["no scratchpads"])
    with pytest.raises(SpecError, match="name at least one"):
        answers(asked, only=[])


def test_a_scenario_without_a_plain_counterpart_is_refused(asked: Asked) -> None:
    contexts = asked.scenario.model_dump(mode="json", exclude_unset=True)
    for name in ("free_tier", "paid_tier"):
        del contexts["contexts"][name]
    one = Asked(
        agent=asked.agent,
        scenario=Scenario.parse(contexts, path="scenario"),
        calibration=asked.calibration,
        prompts=asked.prompts,
    )
    with pytest.raises(SpecError, match="no counterpart without a scratchpad"):
        facts.no_scratchpad(one)


def test_the_picture_says_every_verdict(found: dict[str, Answer]) -> None:
    figure = facts_figure(found, name="an agent")
    panels = [ax for ax in figure.axes if ax.axison]
    assert [ax.get_title(loc="left") for ax in panels] == list(FACTS)
    for ax, answer in zip(panels, found.values(), strict=True):
        assert answer.verdict in [text.get_text() for text in ax.texts]
    met = sum(answer.verdict == "met" for answer in found.values())
    assert f"{met} of {len(FACTS)} published facts are met" in figure.get_suptitle()
    empty = facts_figure({"a fact": Answer("not met", {}, Bars("", {}))}, name="nobody")
    figure.canvas.draw()
    empty.canvas.draw()
