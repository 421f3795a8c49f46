"""Figures: every curve has a label, labels do not overlap, the same result gives the same file."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

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
        for value in result.data["value"].values:
            assert any(word.startswith(f"{value} ") for word in words)
        for context, numbers in summarise(result)["contexts"].items():
            label = context.replace("_", " ")
            (word,) = (w for w in words if w == label or w.startswith((f"{label} (", f"{label},")))
            median, share = numbers["onset"]["median"], numbers["onset"]["share_of_agents"]
            assert (f"onset {median or 0:.0f}" in word) == (share >= 0.5)
            onsets += share >= 0.5
    assert onsets > 2


def test_labels_of_many_contexts_do_not_overlap() -> None:
    responses: dict[str, Any] = {"yes": {"v": 1}, "no": {"v": -1}}
    contexts = {f"context_{c}": {"responses": responses} for c in range(12)}
    scenario = {"values": ["v"], "human_values": {"v": 1}, "contexts": contexts}
    figure = emergence(sim.simulate(scenario, training={"steps": 5}))
    figure.draw_without_rendering()
    boxes = [
        Text.get_window_extent(artist)  # without the line that leads to it
        for artist in figure.findobj(Annotation)
        if artist.get_text().startswith("context")
    ]
    heights = sorted((box.y0, box.y1) for box in boxes)
    assert len(heights) == 12
    assert all(low[1] < high[0] + 3 for low, high in pairwise(heights))


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
