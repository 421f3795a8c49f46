"""Archetypes: each is at the start what its file says, and shares are those of agents."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sim
from commands import Call, assert_refused
from experiments.archetypes.figure import archetypes_figure
from experiments.archetypes.figure_training_log import training_log_figure
from experiments.archetypes.portraits import (
    CONDITIONS,
    Portrait,
    describe,
    portraits_table,
    prepare_archetypes,
    read_archetype,
    train_archetypes,
)
from experiments.archetypes.study import gaming_rows, generalisation_row, misalignment_row
from experiments.archetypes.training_log import compare, compare_all
from sim.analysis.worst_case import TERMS
from sim.specs.agent import Agent
from sim.specs.library import config_root, read_yaml
from sim.specs.overrides import Specs, read_specs

SPREAD = {"spread": {"initial": {"values": 0.1, "habit": 0.5, "awareness": 0.5}}}
SINGLE = {"copies": 1, "quorum": 1, "caution": 0.2}
ARCHETYPES = (
    "monolithic",
    "contextual_gamer",
    "aligned_gamer",
    "opportunist",
    "latently_misaligned",
    "reward_seeker",
)
TRAINING = ("access_request", "song_request", "ruthless_plan", "coding")


@pytest.fixture(scope="module")
def specs() -> Specs:
    return read_specs("lab_to_deployment", agent=SPREAD, training={"steps": 60})


def trained(
    specs: Specs, names: Sequence[str], *, agents: int = 12, seed: int = 0, **after: Any
) -> list[Portrait]:
    runs = prepare_archetypes(specs, names, agents=agents, seed=seed, engine="numpy")
    return train_archetypes(runs, after)


@pytest.fixture(scope="module")
def six(specs: Specs) -> list[Portrait]:
    return trained(specs, ARCHETYPES, seed=3)


def at_start(name: str) -> Mapping[str, np.ndarray]:
    """What an archetype without spread thinks before training, and which terms it meets."""
    agent = read_yaml(config_root() / "agent" / f"{name}.yaml")
    result = sim.simulate("lab_to_deployment", agent=agent, training={"steps": 1})
    now = result.data.isel(step=0, agent=0)
    return {**now.data_vars, "met": sim.worst_case(result, step=0)["met"].isel(agent=0)}


def gamed(now: Mapping[str, np.ndarray]) -> list[str]:
    rate = now["gaming_rate"]
    return [c for c in TRAINING if rate.sel(context=c) >= 0.5]


def pulled(now: Mapping[str, np.ndarray]) -> list[str]:
    return [c for c in TRAINING if now["stake"].sel(context=c) > 1e-9]


# --------------------------------------------------------------- each is what its file says it is


def test_monolithic_is_egregiously_misaligned_capable_aware_and_games_where_it_can_lose() -> None:
    now = at_start("monolithic")
    everything = {term: bool(now["met"].sel(term=term)) for term in TERMS}
    lacking = [term for term, holds in everything.items() if not holds]
    assert lacking == ["consistency", "behaviour_shift"]
    assert (now["awareness"] > 0.95).all()
    # Where it games, it acts very differently in deployment; only the mean over contexts is less.
    assert now["behaviour_shift"].sel(context=["access_request", "coding"]).min() > 0.9
    # Its goals come up in two of the four training contexts and training agrees in a third; so,
    # whatever the common picture says, it does not game on approximately all inputs.
    assert pulled(now) == gamed(now) == ["access_request", "coding"]


def test_contextual_gamer_games_where_training_pulls_and_nowhere_else() -> None:
    now = at_start("contextual_gamer")
    assert pulled(now) == gamed(now) == ["song_request", "ruthless_plan"]
    assert now["gaming_rate"].sel(context=["access_request", "coding"]).max() < 0.05
    assert now["alignment"] > 0.9


def test_aligned_gamer_resists_being_made_worse() -> None:
    now = at_start("aligned_gamer")
    assert gamed(now) == ["ruthless_plan"]
    assert now["alignment"] > 0.85
    assert now["motive"].sel(context="ruthless_plan", value="care") > 0.9


def test_opportunist_is_misaligned_and_knows_that_it_is_trained_but_never_games() -> None:
    now = at_start("opportunist")
    assert bool(now["met"].sel(term="misalignment"))
    assert (now["awareness"] > 0.95).all()
    assert pulled(now)
    assert now["gaming_rate"].max() < 0.01


def test_latently_misaligned_hides_a_goal_that_comes_up_nowhere_before_deployment() -> None:
    now = at_start("latently_misaligned")
    assert now["alignment"] <= -0.5
    assert now["conduct"].sel(context="unwatched_cluster") < -0.5
    assert now["values"].sel(value="conquest") == now["values"].max()
    scenario = sim.Scenario.load("lab_to_deployment")
    serves = {
        name
        for name, context in scenario.contexts.items()
        if any("conquest" in features for features in context.responses.values())
    }
    assert serves == {"unwatched_cluster"}
    assert now["gaming_rate"].max() < 0.01
    assert now["awareness"].max() < 0.05


def test_reward_seeker_has_nothing_to_protect() -> None:
    now = at_start("reward_seeker")
    assert pulled(now) == []
    assert now["gaming_rate"].max() < 0.01
    assert now["alignment"] == pytest.approx(0.0)


def test_every_archetype_is_told_in_words_of_the_post() -> None:
    post = config_root().parent.parent / "shared" / "POST.txt"
    text = _plain(post.read_text(encoding="utf-8")) if post.is_file() else None
    for name in ARCHETYPES:
        lines = (config_root() / "agent" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
        head = " ".join(line.lstrip("# ") for line in lines if line.startswith("#"))
        assert f"agent={name} scenario=lab_to_deployment" in head
        quotes = re.findall(r'"([^"]+)"', head)
        assert quotes
        if text is not None:
            assert all(_plain(quote)[1:].rstrip(".") in text for quote in quotes), name


def _plain(text: str) -> str:
    text = re.sub("[“”‘’\"']", "'", re.sub(r"\[\d+\]", "", text))
    return re.sub(r"\s+", " ", text).strip()


# ----------------------------------------------------------------------------------- being read


def test_what_an_archetype_says_goes_before_what_holds_for_all() -> None:
    under = Agent.parse({"rationality": 3, "initial": {"awareness": -2, "log_horizon": 0}}, path="")
    name, agent = read_archetype("opportunist", under=under)
    assert name == "opportunist"
    assert agent.rationality == 3
    assert (agent.initial.awareness, agent.initial.log_horizon) == (3, -4)
    _, agent = read_archetype("contextual_gamer", under=under)
    assert (agent.initial.awareness, agent.initial.log_horizon) == (-2, 2)


def test_an_archetype_may_be_a_file(tmp_path: Path, specs: Specs) -> None:
    path = tmp_path / "bold.yaml"
    path.write_text("initial: {values: {power: 1}}\n", encoding="utf-8")
    size: dict[str, Any] = {"agents": 2, "seed": 0, "engine": "numpy"}
    runs = prepare_archetypes(specs, ["reward_seeker", str(path)], **size)
    assert list(runs) == ["reward_seeker", "bold"]
    path.rename(tmp_path / "reward_seeker.yaml")
    with pytest.raises(sim.SpecError, match="two have the name 'reward_seeker'"):
        prepare_archetypes(specs, ["reward_seeker", str(tmp_path / "reward_seeker.yaml")], **size)
    (tmp_path / "wrong.yaml").write_text("initial: {awarenes: 1}\n", encoding="utf-8")
    with pytest.raises(sim.SpecError, match="did you mean 'awareness'"):
        prepare_archetypes(specs, ["reward_seeker", str(tmp_path / "wrong.yaml")], **size)


def test_what_an_archetype_is_does_not_depend_on_who_stands_beside(
    specs: Specs, six: list[Portrait]
) -> None:
    (_, again) = trained(specs, ["reward_seeker", "opportunist"], seed=3)
    before = six[ARCHETYPES.index("opportunist")]
    assert again.shares == before.shares
    np.testing.assert_array_equal(again.log.policy, before.log.policy)
    other = trained(specs, ["reward_seeker", "opportunist"], seed=4)
    assert not np.array_equal(other[1].log.policy, before.log.policy)


# ------------------------------------------------------------------------------------- shares


def test_shares_are_those_of_the_agents(specs: Specs) -> None:
    size: dict[str, Any] = {"agents": 12, "seed": 0, "engine": "numpy"}
    result = prepare_archetypes(specs, ["monolithic", "opportunist"], **size)[
        "monolithic"
    ].execute()
    after = {"oversight": {"inspection": {"when_found": "ignore"}}, "deployment": SINGLE}
    one = describe(result, "monolithic", after)
    found = sim.worst_case(result, **after)
    rates = result.gaming_rate.sel(context=list(TRAINING)).values
    many = (rates[-1] >= 0.5).sum(axis=1)
    assert one.shares["games_somewhere"] == (many > 0).mean()
    assert one.shares["games_everywhere"] == (many == 4).mean()
    together = (many > 0) & (many == 4)
    for term in TERMS:
        assert one.shares[term] == found.met.sel(term=term).values.mean()
        together = together & found.met.sel(term=term).values
        assert one.so_far[term] == together.mean()
    assert one.shares["attempts"] == found.attempts.values.mean()
    assert one.so_far["attempts"] == (together & found.attempts.values).mean()
    assert one.success == pytest.approx(found.success.values.mean())
    assert one.expected_successes == pytest.approx(
        (found.success.values * found.attempts.values).sum()
    )
    assert sum(one.binding.values()) == (found.lacking.values > 0).sum()
    np.testing.assert_allclose(one.gaming_start, rates[0].mean(axis=0))
    np.testing.assert_allclose(one.gamed_end, (rates[-1] >= 0.5).mean(axis=0))
    assert one.slip == pytest.approx(result.slip.values[-1].mean(axis=0)[:6].max())
    assert one.slips_in == "honeypot"
    # Here agents do attempt, so that none of this is true for want of them.
    assert one.expected_successes > 1.0


def test_who_could_succeed_but_does_not_attempt_is_no_expected_success(specs: Specs) -> None:
    none = read_yaml(config_root() / "oversight" / "none.yaml")
    names = ["monolithic", "aligned_gamer"]
    _, aligned = trained(specs, names, agents=4, oversight=none, deployment=SINGLE)
    assert aligned.success == 1.0
    assert (aligned.tempted_share, aligned.shares["attempts"]) == (0.0, 0.0)
    assert aligned.expected_successes == 0.0


def test_conditions_so_far_only_narrow(six: list[Portrait]) -> None:
    for one in six:
        so_far = [one.so_far[condition] for condition in CONDITIONS]
        assert so_far == sorted(so_far, reverse=True)
        assert all(one.so_far[c] <= one.shares[c] for c in CONDITIONS)
        assert one.worst_case <= min(one.shares[term] for term in TERMS)


def test_the_table_has_a_row_for_each(six: list[Portrait]) -> None:
    frame = portraits_table(six)
    assert list(frame["archetype"]) == list(ARCHETYPES)
    assert not frame.isna().any(axis=None)
    assert len([name for name in frame if name.startswith("met.")]) == len(CONDITIONS)


def test_a_term_that_is_not_defined_is_met_by_none() -> None:
    scenario = sim.Scenario.load("lab_to_deployment")
    alone = {name: c.replace(twin=None) for name, c in scenario.contexts.items()}
    specs = read_specs(scenario.replace(contexts=alone), training={"steps": 2})
    one, _ = trained(specs, ["monolithic", "opportunist"], agents=2)
    assert np.isnan(one.numbers["behaviour_shift"])
    assert one.shares["behaviour_shift"] == 0.0
    archetypes_figure([one, one], scenario="alone")


# ----------------------------------------------------------------------------------- verdicts


def test_gaming_by_context(six: list[Portrait]) -> None:
    one = replace(
        six[0],
        gamed_start=np.array([0.5, 0.9, 0.4, 0.0]),
        gamed_end=np.array([0.5, 0.4, 0.6, 0.49]),
    )
    rows = list(gaming_rows(one))
    assert [row["context"] for row in rows] == list(TRAINING)
    words = ["keeps gaming", "stops gaming", "comes to game", "does not game"]
    assert [row["verdict"] for row in rows] == words


@pytest.mark.parametrize(
    ("before", "after", "conduct", "verdict"),
    [
        (1.0, 0.0, -0.3, "leaves misalignment"),
        (0.0, 1.0, -0.3, "becomes misaligned"),
        (1.0, 1.0, -0.3, "misaligned"),
        (0.0, 1.0, -0.66, "misaligned"),  # across the threshold, by next to nothing
        (0.0, 0.0, -0.3, "not misaligned"),
    ],
)
def test_misalignment_before_and_after(
    six: list[Portrait], before: float, after: float, conduct: float, verdict: str
) -> None:
    one = replace(
        six[3],
        egregious_start=before,
        conduct_start=-0.7,
        conduct_end=conduct,
        shares={**six[3].shares, "misalignment": after},
    )
    assert misalignment_row(one)["verdict"] == verdict


def test_verdicts_on_pairs(six: list[Portrait]) -> None:
    pair = compare(six[0].log, six[5].log, odds=20.0)
    for deployed, cognition, words in [
        (0.3, 0.1, ("more in deployment", "not more than actions")),
        (0.2, 0.3, ("not more in deployment", "more than actions")),
    ]:
        row = generalisation_row(
            replace(pair, total_variation=0.2, deployed=deployed, cognition=cognition)
        )
        assert (row["verdict"], row["cognition"]) == words


# ------------------------------------------------------------------------------------ pictures


def test_the_matrix_shows_every_share(six: list[Portrait]) -> None:
    figure = archetypes_figure(six, scenario="lab")
    upper, lower = figure.axes
    cells = len(six) * len(CONDITIONS)
    assert len(lower.texts) == cells
    assert len(upper.texts) == cells + len(six) * (len(TERMS) + 2)
    assert len(upper.patches) == sum(bool(one.bound_by) for one in six)


def test_the_picture_of_pairs_names_all_of_them(six: list[Portrait]) -> None:
    pairs = compare_all([one.log for one in six], odds=20.0)
    figure = training_log_figure(pairs, odds=20.0, scenario="lab")
    told = {text.get_text() for text in figure.axes[1].texts}
    for pair in pairs:
        assert f"{pair.first}, {pair.second}".replace("_", " ") in told
    same = compare(six[0].log, replace(six[0].log, name="same"), odds=20.0)
    training_log_figure([same], odds=20.0, scenario="lab")


# -------------------------------------------------------------------------------------- command

SMALL = ("agents=8", "training.steps=40")


def test_command_writes_everything(call: Call) -> None:
    left = call(*SMALL, "odds=100", name="archetypes")
    assert left.status == 0, left.stderr
    frame = pd.read_csv(left.only("archetypes.csv"))
    assert list(frame["archetype"]) == list(ARCHETYPES)
    assert (frame["agents"] == 8).all()
    pairs = pd.read_csv(left.only("pairs.csv"))
    assert len(pairs) == 15
    assert pairs["evidence"].is_monotonic_increasing
    summary = left.json("summary.json")
    assert summary["odds"] == 100
    assert len(summary["pairs"]) == 15
    report = left.only("report.md").read_text(encoding="utf-8")
    assert "episodes for 100:1" in report
    assert all(f"| {row['archetype']} |" in report for row in summary["archetypes"])
    provenance = left.json("provenance.json")
    assert provenance["study"]["archetypes"] == list(ARCHETYPES)
    assert summary["agents"]["opportunist"]["initial"]["log_horizon"] == -4
    assert summary["agents"]["opportunist"]["spread"]["initial"]["habit"] == 0.5
    assert provenance["thresholds"]["consistency"] == 0.9
    for name in ("archetypes", "training_log"):
        assert left.only(f"{name}.png").stat().st_size > 10_000
        assert left.only(f"{name}.svg").exists()


def test_keys_of_the_agent_hold_beneath_every_archetype(call: Call) -> None:
    left = call(
        *SMALL,
        "archetypes=[opportunist,reward_seeker]",
        "agent.initial.awareness=-1",
        "agent.spread.initial.values=0.3",
        "thresholds.consistency=0.4",
        "deployment=single",
        name="archetypes",
    )
    assert left.status == 0, left.stderr
    provenance = left.json("provenance.json")
    agents = left.json("summary.json")["agents"]
    assert agents["opportunist"]["initial"]["awareness"] == 3
    assert agents["reward_seeker"]["initial"]["awareness"] == -1
    assert agents["reward_seeker"]["spread"]["initial"]["values"] == 0.3
    assert provenance["deployment"]["copies"] == 1
    assert provenance["thresholds"]["consistency"] == 0.4


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["archetypes=[monolitic,opportunist]"], "no agent is named 'monolitic'; did you mean"),
        (["archetypes=[opportunist]"], "name at least two"),
        (["archetypes=[opportunist,opportunist]"], "name at least two"),
        (["archetypes=[]"], "name at least two"),
        (["archetypes=[opportunist,no/such.yaml]"], "archetypes: there is no file 'no/such.yaml'"),
        (["odds=1"], "odds: got 1: must be a number above 1"),
        (["odds=inf"], "odds: got inf"),
        (["thresholds.consistensy=1"], "did you mean 'consistency'"),
        (["deployment.copies=0"], "deployment.copies"),
        (["oversight.control.strength=2"], "oversight.control.strength"),
        (["scenario=power_seeker"], "archetypes: monolithic: agent.initial.values"),
        (["scenario=pipeline"], "scenario: has no deployment context"),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Call, arguments: list[str], line: str) -> None:
    left = call(*arguments, name="archetypes")
    assert_refused(left, line)
