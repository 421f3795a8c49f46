"""The animated emergence: what it shows is the run, and it stands still for who asks for that."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import sim
from commands import Call, assert_refused, caller
from experiments.animation.study import most_gamed, most_moved
from experiments.animation.svg import (
    ANSWERS,
    GAMES,
    PAUSE,
    PLANE,
    animation,
    moments,
    outcome_label,
)

SVG = "{http://www.w3.org/2000/svg}"


@cache
def run() -> sim.Result:
    population = {"initial": {"awareness": -5}, "spread": {"initial": {"awareness": 2}}}
    return sim.simulate("copyright", agent=population, agents=6, training={"steps": 600})


@cache
def drawn() -> str:
    return animation(run(), context="copyright_chat", value="copyright", seconds=10)


def test_moments_are_even_in_the_root_of_the_step() -> None:
    steps = np.arange(0, 1001)
    at = steps[moments(steps, 11)]
    assert at[0] == 0
    assert at[-1] == 1000
    assert np.allclose(np.diff(np.sqrt(at)), np.sqrt(1000) / 10, atol=0.06)


def test_every_dot_ends_where_its_agent_ended() -> None:
    tree = ET.fromstring(drawn())
    dots = [c for c in tree.iter(f"{SVG}circle") if c.get("class") == "dot"]
    rates = run().gaming_rate.sel(context="copyright_chat").values[-1]
    strengths = run().values.sel(value="copyright").values[-1]
    assert len(dots) == 6
    places = []
    for dot, rate in zip(dots, rates, strict=True):
        moved = re.fullmatch(r"transform:translate\((.+)px,(.+)px\)", dot.get("style", ""))
        assert moved is not None
        assert float(moved[2]) == pytest.approx(PLANE[1] + PLANE[3] * (1 - rate), abs=0.06)
        assert dot.get("fill") == (GAMES if rate >= 0.5 else ANSWERS)
        places.append(float(moved[1]))
    assert list(np.argsort(places)) == list(np.argsort(strengths))
    assert {dot.get("fill") for dot in dots} == {GAMES, ANSWERS}


def test_a_dot_passes_through_the_records_of_its_agent() -> None:
    frames = re.search(r"@keyframes a0\{(.*?)\}\}", drawn())
    assert frames is not None
    heights = [float(y) for y in re.findall(r"translate\([^,]+,([\d.]+)px\)", frames[1])]
    shown = moments(run().data["step"].values)
    rates = run().gaming_rate.sel(context="copyright_chat").values[shown, 0]
    wanted = PLANE[1] + PLANE[3] * (1 - np.append(rates, rates[-1]))
    assert np.allclose(heights, wanted, atol=0.06)
    colours = re.findall(r"fill:(#\w+)", frames[1])
    assert colours == [GAMES if rate >= 0.5 else ANSWERS for rate in np.append(rates, rates[-1])]
    times = [float(p) for p in re.findall(r"([\d.]+)%\{", frames[1])]
    assert times[0] == 0
    assert times[-2:] == [100 * (1 - PAUSE), 100]


def test_it_moves_only_where_motion_is_not_unwanted() -> None:
    before, inside = drawn().split("@media (prefers-reduced-motion:no-preference){")
    assert "animation" not in before
    assert "@keyframes" in inside
    assert "<animate" not in drawn()


def test_it_loads_nothing_and_is_small() -> None:
    assert len(drawn()) < 1_500_000
    assert set(re.findall(r"https?://[^\"']+", drawn())) == {"http://www.w3.org/2000/svg"}
    assert "<script" not in drawn()


def test_it_says_what_it_shows() -> None:
    title = ET.fromstring(drawn()).find(f"{SVG}title")
    assert title is not None
    assert title.text == outcome_label(run(), context="copyright_chat", value="copyright")
    rates = run().gaming_rate.sel(context="copyright_chat").values[-1]
    assert str(title.text).startswith(f"{(rates >= 0.5).sum()} of 6 agents game")


def test_a_population_of_one_mind_is_told_so() -> None:
    # nobody thinks of training yet
    early = sim.simulate("copyright", agent={"awareness": -9}, agents=2, training={"steps": 1})
    label = outcome_label(early, context="copyright_chat", value="copyright")
    assert label == "0 of 2 agents game the copyright chat at the end; 2 of 2 still value copyright"


def test_the_context_and_the_value_are_those_of_most() -> None:
    assert most_gamed(run()) == "copyright_chat"
    scenario = sim.Scenario.load("copyright")
    assert most_moved(run(), scenario, "copyright_chat") == "copyright"
    # Helpfulness is learnt too, but bears on other contexts.
    assert most_moved(run(), scenario, "coding") == "helpfulness"


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Call:
    return caller(tmp_path, monkeypatch, capfd)


def test_the_command_leaves_the_picture_and_its_numbers(call: Call) -> None:
    left = call("agents=4", "training.steps=100", "seconds=5", name="animation")
    assert left.status == 0, left.stderr
    assert "5s" in left.only("emergence_animated.svg").read_text(encoding="utf-8")
    summary = left.json("summary.json")
    assert summary["context"] == "copyright_chat"
    assert len(summary["agents_at_the_end"]["gaming_rate"]) == 4
    assert left.json("provenance.json")["study"]["agents"] == 4


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("context=codign", "did you mean 'coding'"),
        ("value=copyrigth", "did you mean 'copyright'"),
        ("seconds=1", "seconds: got 1"),
        ("agents=0", "agents: got 0: must be 1 or more"),
        ("frames=3", "frames"),
    ],
)
def test_bad_settings_are_refused(call: Call, setting: str, says: str) -> None:
    assert_refused(call(setting, name="animation"), says)


def test_the_picture_of_the_readme_is_this_one() -> None:
    path = Path(__file__).parent.parent / "docs" / "images" / "emergence_animated.svg"
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) < 1_500_000
    assert text.count('class="dot"') == 24
    assert "prefers-reduced-motion" in text
