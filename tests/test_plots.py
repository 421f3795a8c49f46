"""Figures: every curve has a label, labels do not overlap, the same result gives the same file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text

import sim
from sim.analysis.summary import summarise
from sim.cli.outputs import write_figure
from sim.plots.emergence import emergence
from sim.plots.style import _apart, _within

SPREAD = {"spread": {"initial": {"awareness": 0.5, "habit": 0.5}}}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def test_every_context_and_value_has_a_label_and_half_of_the_agents_an_onset() -> None:
    onsets = 0
    for name in ("copyright", "lab_to_deployment", "alignment_faking", "pipeline"):
        training = {"steps": 420, "learning_rate": {"habit": 0.5}}
        result = sim.simulate(name, agent=SPREAD, training=training, agents=4, record_every=20)
        words = texts(emergence(result))
        for phase in {*result.data["phase"].values.tolist()} & {*words}:
            words.remove(phase)  # a context may have the same name, and a label of its own
        for value in result.data["value"].values:
            assert any(word.startswith(f"{value} ") for word in words)
        for context, numbers in summarise(result)["contexts"].items():
            label = context.replace("_", " ")
            (word,) = (w for w in words if w == label or w.startswith((f"{label} (", f"{label},")))
            median, share = numbers["onset"]["median"], numbers["onset"]["share_of_agents"]
            assert (f"onset {median or 0:.0f}" in word) == (share >= 0.5)
            onsets += share >= 0.5
    assert onsets > 2


def invented(count: int, name: str) -> dict[str, Any]:
    responses: dict[str, Any] = {"yes": {"v": 1}, "no": {"v": -1}}
    context = {"responses": responses, "reward": {"yes": -1, "no": 1}}
    contexts = {name.format(c): {**context, "info": c % 5 / 2} for c in range(count)}
    values = ["v", *(f"value_{c}_of_some_length" for c in range(count // 2))]
    return {"values": values, "human_values": {"v": 1}, "contexts": contexts}


def assert_legible(figure: Figure) -> list[str]:
    """Assert that no text lies on another or off the page; returns all that is written."""
    figure.draw_without_rendering()
    beyond = set()  # numbers of a scale on which its ticks are not drawn
    for axis in [axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]:
        low, high = axis.get_view_interval()
        beyond |= {t.label1 for t in axis.get_major_ticks() if not low <= t.get_loc() <= high}
    texts = figure.findobj(lambda artist: isinstance(artist, Text) and artist not in beyond)
    written = [text for text in texts if text.get_visible() and text.get_text().strip()]
    page = figure.bbox
    boxes = []
    for text in written:
        box = Text.get_window_extent(text)  # without the line that leads to it
        assert page.x0 - 1 <= box.x0 < box.x1 <= page.x1 + 1, text
        assert page.y0 - 1 <= box.y0 < box.y1 <= page.y1 + 1, text
        head = text.get_text().lstrip("\n")
        if head == text.get_text().rstrip("\n"):  # a title and its note lie on blank lines
            boxes.append((box, head))
    for i, (box, text) in enumerate(boxes):
        for other, beneath in boxes[:i]:
            wide = min(box.x1, other.x1) - max(box.x0, other.x0)
            high = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert wide <= 1 or high <= 0.3 * min(box.height, other.height), (text, beneath)
    return [" ".join(text.get_text().split()) for text in written]


def test_many_contexts_and_long_names_do_not_overlap_and_interventions_are_named() -> None:
    long = "a_context_whose_name_is_much_longer_than_anybody_would_want_it_to_be_{}"
    for count, name in ((25, "context_{}"), (60, "c{}"), (8, long)):
        result = sim.simulate(
            {**invented(count, name), "name": name.format("") * 2},
            training={"steps": 30},
            interventions=[{"key": "training.leak", "set": 0.25, "start": 10}],
        )
        words = assert_legible(emergence(result))
        assert (
            len([word for word in words if re.match(r"(context|c|a context)\W?.*\d", word)])
            >= count
        )
        assert any("do=[{key: training.leak, set: 0.25, start: 10}]" in word for word in words)


@pytest.mark.parametrize(
    "name", ["a_context_of_which_the_number_{}_stands_amid_a_long_name", "c" * 40 + "{}" + "d" * 40]
)
def test_names_that_differ_in_their_middle_differ_in_figures(name: str) -> None:
    world = invented(12, name)
    world["values"] = ["v", *(f"value_{c}_of_which_the_name_is_long" for c in range(5))]
    result = sim.simulate(world, training={"steps": 10})
    beside = [text for text in texts(emergence(result)) if re.match(r"(a con|ccc|value)", text)]
    assert len(set(beside)) == len(beside) == 12 + 5


CASES: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    (
        {"scenario": ["copyright", "scratchpad", "pipeline"], "training.leak": [0, 0.2]},
        {},
        ["scenario = copyright", "scenario = pipeline", "leak", "demonstrations", "agentic tasks"],
    ),
    (
        {"scenario": [*sim.scenarios()]},
        {},
        ["14 scenarios: 14 runs", "scenario = power seeker", "1 of 3 to 11 contexts, those gamed"],
    ),
    (
        {"agent.initial.values": [{"copyright": x, "helpfulness": 1} for x in (2, 3)]},
        {},
        ["…2, ", "…3, ", "3 of 5 contexts, those gamed most"],
    ),
    (
        {"agent.awareness": [-4, -2, 0, 2], "training.leak": [0, 0.2], "training.anchor": [0, 1]},
        {"variables": ["gaming_rate", "reach"], "where": {"training.leak": 0.2}},
        ["leak = 0.2", "−4", "anchor = 1", "awareness"],
    ),
    (
        {"agent.awareness": [-4, -2, 0, 2], "training.leak": [0, 0.2], "training.anchor": [0, 1]},
        {"variables": ["values"], "difference": "training.leak"},
        ["pooled over awareness (4 levels), anchor (2 levels)", "Difference to leak = 0, with"],
    ),
    ({"interventions.0.set": [0, 0.5]}, {}, ["interventions.0.set", "0.5"]),
    ({"training.leak": [0, 0.5]}, {"lines": "training.leak"}, ["do=[{key: "]),
]


@pytest.mark.parametrize(("axes", "options", "expected"), CASES)
def test_a_sweeps_figure_is_legible_and_says_what_is_fixed_pooled_and_drawn(
    axes: dict[str, Any], options: dict[str, Any], expected: list[str]
) -> None:
    done = [{"key": "training.generalisation.habit", "set": 0.25}]
    sweep = sim.sweep(
        "copyright",
        axes=axes,
        interventions=done,
        training={"steps": 1200},
        record_every=300,
        record="curves",
        engine="numpy",
    )
    figure = sweep.plot(**options)
    words = assert_legible(figure)
    for text in expected:
        assert any(text in word for word in words), (text, words)
    for ax in figure.axes:
        if ax.get_ylabel().startswith(("gaming", "reach")):
            assert ax.get_ylim() == (-0.02, 1.02)
    limits = {ax.get_ylim() for ax in figure.axes if ax.get_ylabel().startswith("values")}
    assert len(limits) <= 1


def test_sampled_levels_read_short_and_long_names_stay_on_the_page() -> None:
    long = "a_context_whose_name_is_much_longer_than_anybody_would_want_it_to_be_{}"
    sweep = sim.sweep(
        invented(6, long),
        design=sim.Sobol({"agent.awareness": (-4, 4), "training.leak": (0, 1)}, points=32),
        training={"steps": 20},
        record="curves",
        engine="numpy",
    )
    words = assert_legible(sweep.plot())
    note = "pooled over leak (32 levels); 6 of 32 levels of awareness"
    assert any(note in word for word in words)
    levels = [word for word in words if re.fullmatch(r"−?\d\.\d{2,}", word)]
    assert len(set(levels)) >= 6
    assert all(len(word) <= 6 for word in levels)


@given(st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=9), st.floats(0.01, 0.12))
def test_labels_are_moved_apart_no_further_than_needed_and_stay_beside_the_axes(
    positions: list[float], minimum: float
) -> None:
    positions.sort()
    placed = _apart(positions, minimum=minimum)
    assert (np.diff(placed) >= minimum - 1e-9).all()
    assert np.mean(placed) == pytest.approx(np.mean(positions), abs=1e-9)
    if (np.diff(positions) >= minimum).all():
        np.testing.assert_allclose(placed, positions, atol=1e-12)
    inside = np.array(_within(placed, minimum=minimum))
    assert (np.abs(inside - 0.5) <= 0.5 + 1e-9).all()
    assert (np.diff(inside) >= minimum - 1e-9).all()


def test_the_same_result_gives_the_same_files(tmp_path: Path) -> None:
    result = sim.simulate("pipeline", training={"steps": 20}, agents=2, agent=SPREAD)
    files = [write_figure(tmp_path / name, emergence(result)) for name in ("first", "second")]
    for first, second in zip(*files, strict=True):
        assert first.read_bytes() == second.read_bytes()
