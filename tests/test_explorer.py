"""The explorer apart from its page: the state, what is seen of it, the words and the figures."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

import sim
from commands import Call
from notebooks.explorer import words
from notebooks.explorer.assumptions import ASSUMPTIONS, number_of, of_values
from notebooks.explorer.figures import FIGURES, as_one, draw
from notebooks.explorer.page import Asked, Memory, respond
from notebooks.explorer.state import State, base, split_settings
from notebooks.explorer.svg import ticks
from notebooks.explorer.view import View, look
from sim.cli.application import open_sections
from sim.cli.compose import read_run
from sim.cli.keys import CONFIGS
from sim.simulation import prepare
from sim.specs.errors import SpecError
from sim.specs.library import config_root, names
from sim.stability.phase_plane import phase_plane

SOME = ("copyright", "lab_to_deployment", "monolithic", "pipeline")
SMALL = {"training.steps": 60, "training.learning_rate.habit": 0.5}

pytestmark = pytest.mark.usefixtures("population")


def of_command(state: State) -> dict[str, object]:
    """Return what the shared command line would run, and from where."""
    open_sections()
    program, script, *overrides = shlex.split(state.command())
    assert (program, script) == ("python", "experiments/emergence.py")
    with initialize_config_dir(config_dir=str(CONFIGS), version_base="1.3"):
        config = compose("emergence", overrides=overrides)
    run = read_run(config, scenario_name=state.scenario)
    return {**run.specs, "theta": run.program.theta.tobytes()}


def of_explorer(state: State) -> dict[str, object]:
    specs = state.specs()
    run = prepare(
        specs.scenario,
        agent=specs.agent,
        training=specs.training,
        agents=state.agents,
        seed=state.seed,
        record_every=state.record_every,
    )
    return {**run.specs, "theta": run.program.theta.tobytes()}


# ----------------------------------------------------------------------------- the command line


@pytest.mark.parametrize("scenario", SOME)
def test_the_command_line_is_the_run_with_every_slider_moved(scenario: str) -> None:
    specs = base(scenario)
    moved = {}
    for assumption in (*(a for group in ASSUMPTIONS.values() for a in group), *of_values(specs)):
        number = number_of(specs, assumption.key)
        assert number is not None
        step = assumption.step * assumption.unit
        down = number + step > assumption.high * assumption.unit
        moved[assumption.key] = round(number - step if down else number + step, 9)
    for state in (State(scenario), State(scenario, moved, agents=5, seed=2**40, record_every=7)):
        assert of_command(state) == of_explorer(state)
    assert State.read(state.command()).command() == state.command()


@pytest.mark.parametrize(
    "setting",
    [
        "agent.initial.habit.coding=1.5",
        "agent.habit.coding=-1",
        "agent.initial.values.helpfulness=0.5",
        "agent.spread.initial.habit.travel=1",
        "agent.spread.initial.values=0",
        "agent.initial.capability.opacity=1",
        "scenario.contexts.coding.info=1e-1",
        "scenario.contexts.copyright_chat.weight=3",
        "scenario.human_values.helpfulness=0.25",
        "training.estimator=sampled",
        "training.update_rule=natural_gradient",
        "training.selection.every=500",
        "training.learning_rate=.01",
        "training.transfer.opacity=0.1",
    ],
)
def test_the_command_line_is_the_run_with_any_other_setting(setting: str) -> None:
    state = State().with_settings([setting])
    assert of_explorer(state) != of_explorer(State())
    assert of_command(state) == of_explorer(state)


def test_one_number_for_all_and_one_for_some() -> None:
    state = State().with_settings(["agent.initial.habit=-2", "agent.initial.habit.coding=1"])
    habit = state.specs().agent.initial.habit
    assert habit == {
        name: 1.0 if name == "coding" else -2.0 for name in state.specs().scenario.contexts
    }
    assert of_command(state) == of_explorer(state)


@pytest.mark.slow
def test_the_command_reproduces_the_numbers_to_the_bit(call: Call) -> None:
    state = State("scratchpad", SMALL, agents=6, seed=3, record_every=20)
    view = look(state)
    left = call(*shlex.split(state.command())[2:], "hydra.run.dir=.")
    assert left.status == 0, left.stderr
    again = sim.Result.load(left.only("result.nc")).data
    assert set(again.data_vars) == set(view.result.data.data_vars)
    for name, variable in view.result.data.data_vars.items():
        assert np.array_equal(variable.values, again[name].values, equal_nan=True), name
    shares = left.json("summary.json")["regimes"]
    assert shares == view.regimes


def test_a_state_is_read_from_its_settings_alone() -> None:
    state = State.read("scenario=pipeline agents=4 'training.leak=0.3' seed=7")
    assert state == State("pipeline", {"training.leak": 0.3}, agents=4, seed=7)


# -------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("training.leak=2", "training.leak: got 2: must be a number from 0 to 1"),
        ("training.leek=0.2", "did you mean 'leak'"),
        ("training.leak=nan", "training.leak: got nan"),
        ("training.leak", "must be KEY=VALUE"),
        ("trainin.leak=1", "did you mean 'training'"),
        ("training=1", "training: name a number in it"),
        ("agents=0", "agents: got 0"),
        ("agents=257", "must be 256 or less"),
        ("agents=many", "agents: got 'many'"),
        ("seed=-1", "seed: got -1"),
        ("training.steps=1000000", "the explorer takes at most 20000"),
        ("training.leak='0.1", "no closing quotation"),
        ("x=" + "1" * 5000, "at most 4000 characters"),
        # Nothing is a path, is filled in from elsewhere, or is run.
        ("scenario=../../../etc/passwd", "must be a number or a word"),
        ("scenario=/etc/passwd", "must be a number or a word"),
        ("scenario=passwd", "scenario: no scenario is named 'passwd'"),
        ("scenario=copyright.yaml", "must be a number or a word"),
        ("training.leak=${oc.env:HOME}", "must be a number or a word"),
        ("training.leak=__import__('os')", "must be a number or a word"),
        ("agent.initial.values={a:1}", "must be a number or a word"),
        ("hydra.run.dir=x", "hydra.run.dir: unknown key"),
        ("scenario.name=x", "of a scenario, the explorer sets"),
        ("scenario.contexts.coding.kind=deployment", "of a scenario, the explorer sets"),
        ("scenario.contexts.nowhere.info=1", "unknown key"),
        ("do=1", "do: unknown key"),
        ("agent.__class__=1", "agent.__class__: unknown key"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(text: str, says: str) -> None:
    with pytest.raises(SpecError) as refused:
        State().with_settings(split_settings(text)).specs()
    line = str(refused.value)
    assert says in line
    assert "\n" not in line
    assert len(line) < 1000


def test_no_scenario_comes_from_a_path(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text((config_root() / "scenario" / "copyright.yaml").read_text(encoding="utf-8"))
    assert sim.Scenario.load(str(mine)).name == "mine"
    with pytest.raises(SpecError, match="no scenario is named"):
        State(str(mine)).specs()


def test_the_last_good_figures_stay_and_say_so() -> None:
    memory = Memory()
    message, body = respond(Asked(State("opportunist", SMALL, agents=3)), memory)
    assert message == ""
    assert "stale" not in body
    wrong = State("opportunist", {**SMALL, "training.leak": 2}, agents=3)
    message, stale = respond(Asked(wrong), memory)
    assert "training.leak: got 2: must be a number from 0 to 1" in message
    assert 'role="alert"' in message
    assert stale == body.replace('class="figures"', 'class="figures stale"')
    diverging = {**SMALL, "training.learning_rate.values": 1e200}
    message, again = respond(Asked(State("opportunist", diverging, agents=3)), memory)
    assert "lower training.learning_rate.values" in message
    assert again == stale
    assert respond(Asked(None, "<b>x</b>"), memory)[0].count("&lt;b&gt;x") == 1


def test_without_a_good_one_there_is_only_the_message() -> None:
    message, body = respond(Asked(None, "seed: got -1"), Memory())
    assert "seed: got -1" in message
    assert body == ""


def test_a_slider_that_speaks_twice_is_heard_once() -> None:
    memory = Memory()
    heard = [memory.is_new(Asked(State(seed=seed))) for seed in (1, 1, 2, 1)]
    assert heard == [True, False, True, True]


# ------------------------------------------------------------------------------------ what is seen


@pytest.fixture(scope="module")
def view() -> View:
    return look(State("copyright", {"training.steps": 400}, agents=8, seed=1))


def test_what_is_seen_is_what_the_analyses_say(view: View) -> None:
    result = view.result
    ended = sim.regimes(result)
    for name, share in view.regimes.items():
        assert share == np.mean(ended["regime"].values == name)
    assert view.terms.identical(sim.worst_case(result))
    c = view.contexts.index("copyright_chat")
    rate = result.gaming_rate.sel(context="copyright_chat").values
    assert np.array_equal(view.rates[1, :, c], np.median(rate, axis=1))
    assert view.onset[c] == np.nanmedian(result.onset.values[:, c])
    assert np.isnan(view.onset[view.contexts.index("travel")])


def test_the_plane_is_that_of_the_study(view: View) -> None:
    plane, specs = view.plane, view.specs
    whole = phase_plane(
        specs.scenario,
        agent=specs.agent,
        training=specs.training,
        seed=view.state.seed,
        habit_range=(plane.habits[0], plane.habits[-1]),
        value_range=(plane.values[0], plane.values[-1]),
        points=4,
        orbits=0,
        orbit_steps=2,
    )
    assert (plane.context, plane.value) == (whole.context, whole.value)
    up, across = whole.direction
    for mine, theirs in ((plane.up, up), (plane.across, across)):
        assert np.allclose(mine[:: len(mine) - 1, [0, -1]], theirs[::3, [0, -1]], atol=1e-12)
    assert np.array_equal(
        plane.habit_course[0], view.result.habit.sel(context=plane.context).values[0]
    )


def test_the_table_has_what_is_drawn(view: View) -> None:
    head, *rows = view.csv().splitlines()
    columns = head.split(",")
    assert len(rows) == len(view.steps) == 21
    last = dict(zip(columns, map(float, rows[-1].split(",")), strict=True))
    assert last["step"] == 400
    assert last["gaming_rate.copyright_chat.0.5"] == view.rates[1, -1, 0]
    assert last["values.helpfulness.0.9"] == view.values[2, -1, 1]


def test_every_figure_is_drawn_and_says_what_it_shows(view: View) -> None:
    drawn = draw(view)
    assert set(drawn) == set(FIGURES)
    for one in drawn.values():
        root = ElementTree.fromstring(one.svg)
        assert root.attrib["role"] == "img"
        assert root.attrib["aria-label"] == one.alternative
        assert "nan" not in one.svg.split(">", 1)[1]
    chat = drawn["rates"].alternative
    ends = view.rates[1, [0, -1], 0]
    assert f"copyright chat: from {ends[0]:.2f} to {ends[1]:.2f}, onset at step" in chat
    assert f"{view.regimes['local']:.0%}" in words.headline(view)
    whole = ElementTree.fromstring(as_one(view, drawn))
    texts = "".join(t.text or "" for t in whole.iter("{http://www.w3.org/2000/svg}text"))
    assert view.state.command() in texts


@pytest.mark.parametrize("scenario", SOME)
def test_every_scenario_can_be_seen(scenario: str) -> None:
    _, body = respond(Asked(State(scenario, {"training.steps": 40}, agents=2)), Memory())
    figures = re.findall(r"<figure>\s*(<svg.*?</svg>)", body, flags=re.DOTALL)
    assert len(figures) == len(FIGURES)
    for figure in figures:
        ElementTree.fromstring(figure)


def test_a_sampled_training_has_the_plane_of_its_mean() -> None:
    sampled = {"training.steps": 20, "training.estimator": "sampled"}
    plane = look(State("copyright", sampled, agents=2)).plane
    exact = look(State("copyright", {"training.steps": 20}, agents=2)).plane
    assert np.array_equal(plane.up, exact.up)
    assert not np.array_equal(plane.habit_course, exact.habit_course)


@pytest.mark.parametrize(
    ("ends", "expected"),
    [((0, 1), [0, 0.2, 0.4, 0.6, 0.8, 1]), ((-8, 8), [-8, -6, -4, -2, 0, 2, 4, 6, 8])],
)
def test_ticks_are_round(ends: tuple[float, float], expected: list[float]) -> None:
    count = 5 if ends == (0, 1) else 8
    assert ticks(*ends, count=count) == pytest.approx(expected)


def test_no_slider_starts_outside_of_its_range() -> None:
    for scenario in names("scenario"):
        for assumption in (a for group in ASSUMPTIONS.values() for a in group):
            number = number_of(base(scenario), assumption.key)
            assert number is not None
            low, high = (end * assumption.unit for end in (assumption.low, assumption.high))
            assert low <= number <= high, (scenario, assumption.key)


def test_nothing_of_the_explorer_names_a_place_on_the_machine(view: View) -> None:
    _, body = respond(Asked(view.state), Memory())
    assert str(Path(__file__).parent.parent) not in body
