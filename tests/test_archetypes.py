"""Archetypes: each is at the start what its file says, shares are shares, and words are numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sim
from experiments.archetypes.figure import archetypes_figure
from experiments.archetypes.figure_training_log import training_log_figure
from experiments.archetypes.study import (
    ARCHETYPES,
    CONDITIONS,
    Portrait,
    archetypes_frame,
    portrait,
    prepare_archetypes,
    read_archetype,
    study,
)
from experiments.archetypes.text import (
    count_of,
    gaming_paragraph,
    log_paragraph,
    worst_case_paragraph,
)
from experiments.archetypes.training_log import compare, compare_all
from sim.analysis.worst_case import TERMS
from sim.specs.agent import Agent
from sim.specs.library import config_root, read_yaml
from sim.specs.overrides import Specs, read_specs

SPREAD = {"spread": {"initial": {"values": 0.1, "habit": 0.5, "awareness": 0.5}}}
SINGLE = {"copies": 1, "quorum": 1, "caution": 0.2}
TRAINING = ("access_request", "song_request", "ruthless_plan", "coding")


@pytest.fixture(scope="module")
def specs() -> Specs:
    return read_specs("lab_to_deployment", agent=SPREAD, training={"steps": 60})


@pytest.fixture(scope="module")
def six(specs: Specs) -> list[Portrait]:
    return study(prepare_archetypes(specs, agents=12, seed=3))


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
    assert bool(now["met"].sel(term="misalignment"))
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
    runs = prepare_archetypes(specs, ["reward_seeker", str(path)], agents=2)
    assert list(runs) == ["reward_seeker", "bold"]
    path.rename(tmp_path / "reward_seeker.yaml")
    with pytest.raises(sim.SpecError, match="two have the name 'reward_seeker'"):
        prepare_archetypes(specs, ["reward_seeker", str(tmp_path / "reward_seeker.yaml")])
    (tmp_path / "wrong.yaml").write_text("initial: {awarenes: 1}\n", encoding="utf-8")
    with pytest.raises(sim.SpecError, match="did you mean 'awareness'"):
        prepare_archetypes(specs, ["reward_seeker", str(tmp_path / "wrong.yaml")])


def test_what_an_archetype_is_does_not_depend_on_who_stands_beside(
    specs: Specs, six: list[Portrait]
) -> None:
    (_, again) = study(
        prepare_archetypes(specs, ["reward_seeker", "opportunist"], agents=12, seed=3)
    )
    before = six[ARCHETYPES.index("opportunist")]
    assert again.met == before.met
    np.testing.assert_array_equal(again.log.policy, before.log.policy)
    other = study(prepare_archetypes(specs, ["reward_seeker", "opportunist"], agents=12, seed=4))
    assert not np.array_equal(other[1].log.policy, before.log.policy)


# ------------------------------------------------------------------------------------- shares


def test_shares_are_those_of_the_agents(specs: Specs) -> None:
    run = prepare_archetypes(specs, ["monolithic", "opportunist"], agents=12)["monolithic"]
    result = run.execute()
    after = {"oversight": {"inspection": {"when_found": "ignore"}}, "deployment": SINGLE}
    one = portrait(result, "monolithic", after=after)
    found = sim.worst_case(result, **after)
    rates = result.gaming_rate.sel(context=list(TRAINING)).values
    many = (rates[-1] >= 0.5).sum(axis=1)
    assert one.met["games_somewhere"] == (many > 0).mean()
    assert one.met["games_everywhere"] == (many == 4).mean()
    together = (many > 0) & (many == 4)
    for term in TERMS:
        assert one.met[term] == found.met.sel(term=term).values.mean()
        together = together & found.met.sel(term=term).values
        assert one.so_far[term] == together.mean()
    assert one.met["attempts"] == found.attempts.values.mean()
    assert one.so_far["attempts"] == (together & found.attempts.values).mean()
    assert one.success == pytest.approx(found.success.values.mean())
    assert one.expected == pytest.approx((found.success.values * found.attempts.values).sum())
    assert sum(one.binding.values()) == (found.lacking.values > 0).sum()
    np.testing.assert_allclose(one.gaming_start, rates[0].mean(axis=0))
    np.testing.assert_allclose(one.gamed_end, (rates[-1] >= 0.5).mean(axis=0))
    assert one.slip == pytest.approx(result.slip.values[-1].mean(axis=0)[:6].max())
    assert one.slips_in == "honeypot"
    # Here agents do attempt, so that none of this is true for want of them.
    assert one.expected > 1.0


def test_who_could_succeed_but_does_not_attempt_is_no_expected_success(specs: Specs) -> None:
    runs = prepare_archetypes(specs, ["monolithic", "aligned_gamer"], agents=4)
    after = {"oversight": read_yaml(config_root() / "oversight" / "none.yaml")}
    _, aligned = study(runs, after={**after, "deployment": SINGLE})
    assert aligned.success == 1.0
    assert (aligned.tempted, aligned.met["attempts"], aligned.expected) == (0.0, 0.0, 0.0)


def test_conditions_so_far_only_narrow(six: list[Portrait]) -> None:
    for one in six:
        so_far = [one.so_far[condition] for condition in CONDITIONS]
        assert so_far == sorted(so_far, reverse=True)
        assert all(one.so_far[c] <= one.met[c] for c in CONDITIONS)
        assert one.worst_case <= min(one.met[term] for term in TERMS)


def test_the_table_has_a_row_for_each(six: list[Portrait]) -> None:
    frame = archetypes_frame(six)
    assert list(frame["archetype"]) == list(ARCHETYPES)
    assert not frame.isna().any(axis=None)
    assert len([name for name in frame if name.startswith("met.")]) == len(CONDITIONS)


def test_a_term_that_is_not_defined_is_met_by_none() -> None:
    scenario = sim.Scenario.load("lab_to_deployment")
    alone = {name: c.replace(twin=None) for name, c in scenario.contexts.items()}
    specs = read_specs(scenario.replace(contexts=alone), training={"steps": 2})
    (one, _) = study(prepare_archetypes(specs, ["monolithic", "opportunist"], agents=2))
    assert np.isnan(one.numbers["behaviour_shift"])
    assert one.met["behaviour_shift"] == 0.0
    archetypes_figure([one, one], scenario="alone")


# -------------------------------------------------------------------------------------- words


def test_gaming_in_words(six: list[Portrait]) -> None:
    still = [
        replace(one, gamed_end=one.gamed_start, met={**one.met, "games_everywhere": 0.0})
        for one in six
    ]
    text = gaming_paragraph(still)
    assert "monolithic in access request and coding" in text
    assert "opportunist nowhere" in text
    assert "Training changes none of this. No agent games everywhere." in text
    everywhere = replace(
        still[0], gamed_end=np.ones(4), met={**still[0].met, "games_everywhere": 0.9}
    )
    text = gaming_paragraph([everywhere, *still[1:]])
    assert "After it: monolithic everywhere; the others as before." in text
    assert text.endswith("Most agents game everywhere: monolithic.")
    some = replace(still[0], met={**still[0].met, "games_everywhere": 0.2})
    assert "monolithic comes nearest (20 %)" in gaming_paragraph([some, *still[1:]])


def test_the_worst_case_in_words(six: list[Portrait]) -> None:
    first = replace(
        six[0],
        lacking=1.5,
        binding={"consistency": 12},
        numbers={**six[0].numbers, "consistency": 0.12},
        slips_in="honeypot",
        slip=0.88,
    )
    text = worst_case_paragraph([first, *six[1:]])
    assert "No agent meets all terms of the worst case. Nearest is monolithic" in text
    assert "consistency (mean 0.12: in honeypot, 88 % of answers look bad)" in text
    assert "no agent attempts a takeover" in text
    daring = replace(
        first,
        worst_case=0.25,
        tempted=1.0,
        met={**first.met, "attempts": 0.5},
        succeeded=0.25,
        success=0.6,
    )
    text = worst_case_paragraph([daring, *six[1:]])
    assert "met by agents of monolithic (25 %)" in text
    assert "attempted by monolithic (50 %, 3.0 successes expected of 12 agents)" in text
    assert "highest chance of success is that of monolithic (0.6)" in text


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (1.0, 0.0, "Training takes most agents out of egregious misalignment: opportunist"),
        (0.0, 1.0, "Training makes most agents egregiously misaligned: opportunist"),
        (1.0, 1.0, ""),
    ],
)
def test_who_leaves_misalignment(
    six: list[Portrait], before: float, after: float, says: str
) -> None:
    one = replace(
        six[3],
        egregious_start=before,
        alignment_start=-0.7,
        alignment_end=-0.3,
        met={**six[3].met, "misalignment": after},
    )
    text = worst_case_paragraph([one, six[5]])
    assert says in text
    assert ("egregious" in text) == bool(says)


def test_logs_in_words(six: list[Portrait]) -> None:
    one = six[0].log
    apart = replace(one, name="twin", gaming_rate=1.0 - one.gaming_rate)
    text = log_paragraph([compare(one, apart)], odds=20.0)
    assert text.startswith("Monolithic and twin: no number of episodes make a reader sure at 20:1")
    assert "No pair differs more in deployment than in training." in text
    assert "Thought differs more than action between monolithic and twin" in text
    same = replace(one, name="same")
    assert "Between no pair" in log_paragraph([compare(one, same)], odds=20.0)
    pairs = compare_all([portrait.log for portrait in six])
    text = log_paragraph(pairs, odds=20.0)
    assert text.startswith("Hardest to tell apart by the log of training are ")
    assert f"{count_of(pairs[0].episodes)} episodes make a reader sure" in text


@pytest.mark.parametrize(
    ("episodes", "told"),
    [
        (0.4, "less than 1"),
        (1.4, "1"),
        (37.4, "37"),
        (374.0, "370"),
        (6012.0, "6,000"),
        (float("inf"), "no number of"),
    ],
)
def test_episodes_in_words(episodes: float, told: str) -> None:
    assert count_of(episodes) == told


# ------------------------------------------------------------------------------------ pictures


def test_the_matrix_shows_every_share(six: list[Portrait]) -> None:
    figure = archetypes_figure(six, scenario="lab")
    upper, lower = figure.axes
    cells = len(six) * len(CONDITIONS)
    assert len(lower.texts) == cells
    assert len(upper.texts) == cells + len(six) * (len(TERMS) + 2)
    assert len(upper.patches) == sum(bool(one.bound_by) for one in six)


def test_the_picture_of_pairs_names_all_of_them(six: list[Portrait]) -> None:
    pairs = compare_all([one.log for one in six])
    figure = training_log_figure(pairs, odds=20.0, scenario="lab")
    told = {text.get_text() for text in figure.axes[1].texts}
    for pair in pairs:
        assert f"{pair.one}, {pair.other}".replace("_", " ") in told
    same = compare(six[0].log, replace(six[0].log, name="same"))
    training_log_figure([same], odds=20.0, scenario="lab")
